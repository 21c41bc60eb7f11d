//! The people a test is run for: how they sign in and who they are to the kernel.

use std::fmt;

use vicar_os::{KernelGid, KernelUid, UnixIdentity};

/// How a person's password reaches us.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Password {
    /// It was given.
    Given(String),
    /// It is asked for on the terminal.
    Ask,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(..)",
            Self::Ask => "Ask",
        })
    }
}

/// One `NAME:PASSWORD[@UID:GID[,GROUP...]]` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) password: Password,
    pub(crate) identity: Option<UnixIdentity>,
}

/// Why a line does not name a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    NoColon,
    NoName,
    NoPassword,
    Ids(String),
    TooManyGroups,
    Root,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoColon => f.write_str("no ':' between name and password"),
            Self::NoName => f.write_str("no name before the ':'"),
            Self::NoPassword => f.write_str("no password after the ':' ('-' asks for it)"),
            Self::Ids(text) => write!(f, "'{text}' is not UID:GID[,GROUP...]"),
            Self::TooManyGroups => f.write_str("more groups than the kernel keeps"),
            Self::Root => f.write_str("uid 0 may read everything, so nothing can be proved for it"),
        }
    }
}

impl Line {
    /// Reads one person: the name ends at the first `:`, ids begin after the last `@`.
    ///
    /// What follows the last `@` is ids when it is made of digits, `:` and `,` only; a password that ends like that needs its ids
    /// written after it.
    pub(crate) fn parse(text: &str) -> Result<Self, LineError> {
        let (name, rest) = text.split_once(':').ok_or(LineError::NoColon)?;
        if name.is_empty() {
            return Err(LineError::NoName);
        }
        let (password, identity) = match rest.rsplit_once('@') {
            Some((password, ids)) if looks_like_ids(ids) => (password, Some(parse_ids(ids)?)),
            Some(_) | None => (rest, None),
        };
        let password = match password {
            "" => return Err(LineError::NoPassword),
            "-" => Password::Ask,
            given => Password::Given(given.to_owned()),
        };
        Ok(Self { name: name.to_owned(), password, identity })
    }
}

fn looks_like_ids(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b',')
}

fn parse_ids(text: &str) -> Result<UnixIdentity, LineError> {
    let wrong = || LineError::Ids(text.to_owned());
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
    let (uid, groups) = text.split_once(':').ok_or_else(wrong)?;
    let uid = KernelUid::new(number(uid)?).ok_or_else(wrong)?;
    let mut gids = Vec::new();
    for group in groups.split(',') {
        gids.push(KernelGid::new(number(group)?).ok_or_else(wrong)?);
    }
    let (gid, rest) = gids.split_first().ok_or_else(wrong)?;
    if uid.is_root() {
        return Err(LineError::Root);
    }
    UnixIdentity::new(uid, *gid, rest.iter().copied()).map_err(|_| LineError::TooManyGroups)
}

/// A person whose password and ids are known.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) identity: UnixIdentity,
    /// What this person's directory is called: the name where that is plain, else a number.
    pub(crate) slug: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("name", &self.name).field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Person {
    /// The supplementary group that the group questions use, or the primary group when there is no other.
    pub(crate) fn team(&self) -> KernelGid {
        let primary = self.identity.gid();
        self.identity.groups().iter().copied().find(|group| *group != primary).unwrap_or(primary)
    }

    /// Whether [`Self::team`] is a supplementary group, which is the one that servers forget.
    pub(crate) fn has_supplementary_group(&self) -> bool {
        self.team() != self.identity.gid()
    }
}

/// Gives a person's directory a name that is plain in a path, a URL and a table.
pub(crate) fn slug(name: &str, number: usize, taken: &[String]) -> String {
    let plain = !name.is_empty()
        && name.len() <= 32
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let reserved = matches!(name, "groups" | "sticky" | "someone");
    if plain && !reserved && !taken.iter().any(|other| other == name) {
        name.to_owned()
    } else {
        format!("person{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(uid: u32, gid: u32, groups: &[u32]) -> UnixIdentity {
        let groups: Vec<_> = groups.iter().map(|raw| KernelGid::new(*raw).unwrap()).collect();
        UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(gid).unwrap(), groups).unwrap()
    }

    fn check(text: &str, name: &str, password: &str, identity: Option<UnixIdentity>) {
        let line = Line::parse(text).unwrap();
        assert_eq!((line.name.as_str(), &line.password), (name, &Password::Given(password.to_owned())), "{text}");
        assert_eq!(line.identity, identity, "{text}");
    }

    #[test]
    fn a_line_splits_at_the_first_colon_and_the_last_at() {
        check("alice:pw", "alice", "pw", None);
        check("alice:p:w", "alice", "p:w", None);
        check("alice:p@w", "alice", "p@w", None);
        check("alice:pw@61001:61002", "alice", "pw", Some(ids(61001, 61002, &[])));
        check("alice:p:w@x@61001:61002,61100,61101", "alice", "p:w@x", Some(ids(61001, 61002, &[61100, 61101])));
        check("a@b:pw@x", "a@b", "pw@x", None);
        check("alice:-x", "alice", "-x", None);
    }

    #[test]
    fn a_dash_asks_for_the_password() {
        assert_eq!(Line::parse("alice:-").unwrap().password, Password::Ask);
        assert_eq!(Line::parse("alice:-@61001:61001").unwrap().password, Password::Ask);
    }

    #[test]
    fn a_bad_line_says_why() {
        assert_eq!(Line::parse("alice"), Err(LineError::NoColon));
        assert_eq!(Line::parse(":pw"), Err(LineError::NoName));
        assert_eq!(Line::parse("alice:"), Err(LineError::NoPassword));
        assert_eq!(Line::parse("alice:@1:1"), Err(LineError::NoPassword));
        for bad in ["1", "1:", "1:2,", ":", "1:2:3", "4294967295:1", "1:4294967295", "1:2,99999999999"] {
            assert_eq!(Line::parse(&format!("alice:pw@{bad}")), Err(LineError::Ids(bad.to_owned())), "{bad}");
        }
        assert_eq!(Line::parse("root:pw@0:0"), Err(LineError::Root));
    }

    #[test]
    fn a_password_is_never_in_debug_output() {
        assert!(!format!("{:?}", Line::parse("alice:secret").unwrap()).contains("secret"));
    }

    #[test]
    fn directories_have_plain_and_different_names() {
        assert_eq!(slug("alice", 1, &[]), "alice");
        assert_eq!(slug("../x", 1, &[]), "person1");
        assert_eq!(slug("groups", 2, &[]), "person2");
        assert_eq!(slug("alice", 2, &["alice".to_owned()]), "person2");
    }
}
