//! One line of the audit log.

use super::clock::rfc3339;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The reply left as a whole.
    Done,
    /// The front refused it before the share saw it; the word says why.
    Refused(&'static str),
    /// The connection or the server ended before the request's body had arrived or the reply had left as a whole.
    Cut,
}

/// What one request was, who asked and what came of it.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the head of the request was there.
    pub at: SystemTime,
    /// The request's id, unique for this run of the server.
    pub request: String,
    /// The client's address.
    pub remote: String,
    /// The HTTP method.
    pub method: String,
    /// What the share did: `get`, `put` and so on; `-` where the share was not asked.
    pub op: &'static str,
    /// The path, decoded where that gives UTF-8.
    pub path: String,
    /// Where a copy or a move goes, decoded.
    pub destination: Option<String>,
    /// The name that was presented at sign-in, whether it was let in or not.
    pub user: Option<String>,
    /// User and group id as the kernel showed them on the thread that did the work.
    pub shown: Option<(u32, u32)>,
    /// The status that was sent; `None` when the request was cut before one was.
    pub status: Option<u16>,
    /// Bytes of the request's body that arrived.
    pub bytes_in: u64,
    /// Bytes of the reply's body that were handed to the connection.
    pub bytes_out: u64,
    /// From the head of the request to the end of the reply.
    pub took: Duration,
    /// How it ended.
    pub ended: Ended,
}

impl Record {
    /// Writes the record as one JSON object and a line feed.
    ///
    /// Control characters, characters that turn the direction of text and line separators are written as `\uXXXX`, so
    /// that the file can be looked at in a terminal; reading it as JSON gives the exact text back.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = Line(String::with_capacity(384));
        line.text("{\"time\":", &rfc3339(self.at));
        line.text(",\"request\":", &self.request);
        line.text(",\"remote\":", &self.remote);
        line.text(",\"method\":", &self.method);
        line.text(",\"op\":", self.op);
        line.text(",\"path\":", &self.path);
        if let Some(destination) = &self.destination {
            line.text(",\"destination\":", destination);
        }
        match &self.user {
            Some(user) => line.text(",\"user\":", user),
            None => line.number(",\"user\":", None),
        }
        line.number(",\"uid\":", self.shown.map(|(uid, _)| u64::from(uid)));
        line.number(",\"gid\":", self.shown.map(|(_, gid)| u64::from(gid)));
        line.number(",\"status\":", self.status.map(u64::from));
        line.number(",\"bytes_in\":", Some(self.bytes_in));
        line.number(",\"bytes_out\":", Some(self.bytes_out));
        line.number(",\"duration_us\":", Some(u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)));
        match self.ended {
            Ended::Done => line.text(",\"ended\":", "done"),
            Ended::Cut => line.text(",\"ended\":", "cut"),
            Ended::Refused(reason) => {
                line.text(",\"ended\":", "refused");
                line.text(",\"reason\":", reason);
            }
        }
        line.0.push_str("}\n");
        line.0
    }
}

/// A line that is being written.
struct Line(String);

impl Line {
    fn number(&mut self, key: &str, value: Option<u64>) {
        self.0.push_str(key);
        // Writing to a `String` cannot fail.
        let _ = match value {
            Some(value) => write!(self.0, "{value}"),
            None => write!(self.0, "null"),
        };
    }

    fn text(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push('"');
        for character in value.chars() {
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                unsafe_to_show if is_unsafe_to_show(unsafe_to_show) => {
                    let mut units = [0_u16; 2];
                    for unit in unsafe_to_show.encode_utf16(&mut units) {
                        let _ = write!(self.0, "\\u{unit:04x}");
                    }
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }
}

/// Whether a character changes more than the place it stands in: controls, direction marks, separators, tags.
fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::time::UNIX_EPOCH;

    fn record(path: &str) -> Record {
        Record {
            at: UNIX_EPOCH,
            request: "r-1".into(),
            remote: "127.0.0.1:9".into(),
            method: "GET".into(),
            op: "get",
            path: path.into(),
            destination: None,
            user: Some("alice".into()),
            shown: Some((61_001, 61_002)),
            status: Some(200),
            bytes_in: 0,
            bytes_out: 5,
            took: Duration::from_micros(7),
            ended: Ended::Done,
        }
    }

    #[test]
    fn a_line_is_one_object_with_every_fact() {
        let line = record("/alice/a.txt").to_line();
        assert_eq!(
            line,
            "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"request\":\"r-1\",\"remote\":\"127.0.0.1:9\",\"method\":\"GET\",\"op\":\"get\",\
             \"path\":\"/alice/a.txt\",\"user\":\"alice\",\"uid\":61001,\"gid\":61002,\"status\":200,\"bytes_in\":0,\"bytes_out\":5,\
             \"duration_us\":7,\"ended\":\"done\"}\n"
        );
    }

    #[test]
    fn control_and_direction_characters_never_reach_a_terminal() {
        let nasty = "/a\n\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{2066}\u{2028}\u{feff}\u{e0041}\"\\z";
        let line = record(nasty).to_line();
        assert!(line.trim_end_matches('\n').chars().all(|character| !is_unsafe_to_show(character)), "{line:?}");
        assert_eq!(line.matches('\n').count(), 1);
        let back: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["path"], nasty);
    }

    #[test]
    fn a_copy_says_where_it_goes() {
        let mut copy = record("/a");
        copy.destination = Some("/b\n".into());
        let line = copy.to_line();
        assert!(line.contains(r#""path":"/a","destination":"/b\u000a","user""#), "{line}");
    }

    #[test]
    fn a_cut_request_has_no_status_and_a_refused_one_says_why() {
        let mut cut = record("/");
        cut.status = None;
        cut.ended = Ended::Cut;
        let back: Value = serde_json::from_str(&cut.to_line()).unwrap();
        assert_eq!((&back["status"], &back["ended"]), (&Value::Null, &Value::from("cut")));
        cut.ended = Ended::Refused("password");
        let back: Value = serde_json::from_str(&cut.to_line()).unwrap();
        assert_eq!((&back["ended"], &back["reason"]), (&Value::from("refused"), &Value::from("password")));
    }
}
