//! The `If` header, and the other headers of WebDAV that are a line long.

use core::fmt;
use core::time::Duration;

/// Longest `If` header in bytes.
pub const HEADER_LIMIT: usize = 8 * 1024;

/// The `If` header: true when one of its lists is true.
///
/// # Source
/// RFC 4918 10.4.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct IfHeader {
    /// The lists, each with the resource it speaks of; `None` is the one of the request.
    pub lists: Vec<(Option<String>, Vec<Condition>)>,
}

/// One condition of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it must hold or must not.
    pub sense: Sense,
    /// What must match.
    pub state: State,
}

/// Whether a condition must hold or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// As it stands.
    Plain,
    /// After `Not`.
    Not,
}

/// What a condition speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A state token, as a rule of a lock.
    Token(String),
    /// An entity tag, with its quotes.
    Etag(String),
}

/// Why a header is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError {
    /// Which header.
    pub header: &'static str,
    /// Where it stops making sense.
    pub at_byte: usize,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {} header at byte {}", self.header, self.at_byte)
    }
}

impl core::error::Error for HeaderError {}

impl IfHeader {
    /// Reads the header.
    ///
    /// # Errors
    /// - [`HeaderError`] naming the byte where it stops being one.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        if text.len() > HEADER_LIMIT {
            return Err(HeaderError { header: "If", at_byte: HEADER_LIMIT });
        }
        let mut cursor = Cursor { text, rest: text };
        let mut lists = Vec::new();
        let mut resource: Option<String> = None;
        let mut tag_without_list = false;
        cursor.skip_space();
        let tagged = cursor.rest.starts_with('<');
        while !cursor.rest.is_empty() {
            if cursor.rest.starts_with('<') {
                if !tagged || tag_without_list {
                    return Err(cursor.error());
                }
                resource = Some(cursor.until('<', '>')?.to_owned());
                tag_without_list = true;
            } else {
                lists.push((resource.clone(), cursor.list()?));
                tag_without_list = false;
            }
            cursor.skip_space();
        }
        if lists.is_empty() || tag_without_list {
            return Err(cursor.error());
        }
        Ok(Self { lists })
    }

    /// Returns every state token that is named without `Not`: what the client hands in.
    pub fn submitted_tokens(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().flat_map(|(_, list)| list).filter_map(|condition| match (&condition.state, condition.sense) {
            (State::Token(token), Sense::Plain) => Some(token.as_str()),
            (State::Token(_) | State::Etag(_), Sense::Plain | Sense::Not) => None,
        })
    }

    /// Whether it holds, asking `is_true` about each condition of each resource.
    pub fn holds(&self, mut is_true: impl FnMut(Option<&str>, &State) -> bool) -> bool {
        self.lists.iter().any(|(resource, list)| {
            list.iter().all(|condition| {
                let matches = is_true(resource.as_deref(), &condition.state);
                match condition.sense {
                    Sense::Plain => matches,
                    Sense::Not => !matches,
                }
            })
        })
    }
}

struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    const fn error(&self) -> HeaderError {
        HeaderError { header: "If", at_byte: self.text.len().saturating_sub(self.rest.len()) }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn until(&mut self, open: char, close: char) -> Result<&'a str, HeaderError> {
        let inside = self.rest.strip_prefix(open).ok_or_else(|| self.error())?;
        let (inside, after) = inside.split_once(close).ok_or_else(|| self.error())?;
        if inside.is_empty() || inside.contains(['<', '(', ')', ' ']) && open == '<' {
            return Err(self.error());
        }
        self.rest = after;
        Ok(inside)
    }

    fn list(&mut self) -> Result<Vec<Condition>, HeaderError> {
        self.rest = self.rest.strip_prefix('(').ok_or_else(|| self.error())?;
        let mut conditions = Vec::new();
        loop {
            self.skip_space();
            if let Some(after) = self.rest.strip_prefix(')') {
                if conditions.is_empty() {
                    return Err(self.error());
                }
                self.rest = after;
                return Ok(conditions);
            }
            let sense = match self.rest.get(..3) {
                Some(word) if word.eq_ignore_ascii_case("not") => {
                    self.rest = self.rest.get(3..).unwrap_or_default();
                    self.skip_space();
                    Sense::Not
                }
                Some(_) | None => Sense::Plain,
            };
            let state = if self.rest.starts_with('<') {
                State::Token(self.until('<', '>')?.to_owned())
            } else {
                State::Etag(self.etag()?)
            };
            conditions.push(Condition { sense, state });
        }
    }

    fn etag(&mut self) -> Result<String, HeaderError> {
        let inside = self.rest.strip_prefix('[').ok_or_else(|| self.error())?;
        let opaque = inside.strip_prefix("W/").unwrap_or(inside);
        let weak = inside.len().saturating_sub(opaque.len());
        let quoted = opaque.strip_prefix('"').ok_or_else(|| self.error())?;
        let (tag, after) = quoted.split_once('"').ok_or_else(|| self.error())?;
        self.rest = after.strip_prefix(']').ok_or_else(|| self.error())?;
        let length = weak.saturating_add(tag.len()).saturating_add(2);
        Ok(inside.get(..length).unwrap_or_default().to_owned())
    }
}

/// How deep a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The thing itself.
    Zero,
    /// And what is in it.
    One,
    /// And everything beneath.
    Infinity,
}

impl Depth {
    /// Reads the `Depth` header.
    ///
    /// # Errors
    /// - [`HeaderError`] when it is none of `0`, `1` and `infinity`.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        match text.trim() {
            "0" => Ok(Self::Zero),
            "1" => Ok(Self::One),
            other if other.eq_ignore_ascii_case("infinity") => Ok(Self::Infinity),
            _ => Err(HeaderError { header: "Depth", at_byte: 0 }),
        }
    }
}

/// Reads the `Timeout` header: the first wish, and never more than `limit`; without a readable wish it is the limit.
#[must_use]
pub fn timeout(text: Option<&str>, limit: Duration) -> Duration {
    let wish = text
        .and_then(|text| text.split(',').next())
        .and_then(|first| first.trim().strip_prefix("Second-"))
        .and_then(|digits| digits.parse::<u64>().ok());
    match wish {
        Some(seconds) => Duration::from_secs(seconds).max(Duration::from_secs(1)).min(limit),
        None => limit,
    }
}

/// Reads the `Lock-Token` header.
///
/// # Errors
/// - [`HeaderError`] when it is not one URL in angle brackets.
pub fn lock_token(text: &str) -> Result<&str, HeaderError> {
    text.trim()
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .filter(|token| !token.is_empty() && !token.contains(['<', '>', ' ']))
        .ok_or(HeaderError { header: "Lock-Token", at_byte: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_alternatives_and_conditions_are_not() {
        let header = IfHeader::parse("(<urn:a> [\"e\"]) (Not <urn:b> [W/\"f\"])").unwrap();
        assert_eq!(header.lists.len(), 2);
        assert_eq!(header.submitted_tokens().collect::<Vec<_>>(), ["urn:a"]);
        let etag = |wanted: &'static str| move |_: Option<&str>, state: &State| *state == State::Etag(wanted.into());
        assert!(!header.holds(etag("\"e\"")));
        assert!(header.holds(etag("W/\"f\"")));
    }

    #[test]
    fn tags_speak_of_their_lists() {
        let header = IfHeader::parse("<http://h/a> (<urn:a>) (<urn:b>)\t<http://h/b> ([\"x\"])").unwrap();
        let tags: Vec<_> = header.lists.iter().map(|(tag, _)| tag.as_deref().unwrap()).collect();
        assert_eq!(tags, ["http://h/a", "http://h/a", "http://h/b"]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for bad in [
            "",
            " ",
            "()",
            "(",
            "(<a>",
            "<http://h/a>",
            "<http://h/a> <http://h/b> (<a>)",
            "(<a>) <http://h/a> (<b>)",
            "(a)",
            "([e])",
            "([\"e\")",
            "(Not)",
            "(<>)",
            "x(<a>)",
            "(<a>)x",
            "(<a>",
        ] {
            assert!(IfHeader::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(IfHeader::parse("(<a> x)"), Err(HeaderError { header: "If", at_byte: 5 }));
    }

    #[test]
    fn a_lock_lasts_an_hour_at_most() {
        let hour = Duration::from_secs(3600);
        assert_eq!(timeout(Some("Second-60"), hour), Duration::from_secs(60));
        assert_eq!(timeout(Some("Infinite, Second-4100000000"), hour), hour);
        assert_eq!(timeout(Some("Second-4100000000"), hour), hour);
        assert_eq!(timeout(Some("Second-0"), hour), Duration::from_secs(1));
        assert_eq!(timeout(None, hour), hour);
        let moment = Duration::from_millis(1);
        assert_eq!(timeout(Some("Second-60"), moment), moment);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "[()<>\\[\\]\"NotW/ a-c:\u{e9}]{0,60}") {
            let _ = IfHeader::parse(&text);
            let _ = lock_token(&text);
        }
    }
}
