//! One line of the audit log.

use super::clock::rfc3339;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The reply left as a whole.
    Done,
    /// The front refused it before the share saw it; the word says why.
    Refused(&'static str),
    /// The connection or the server ended before the reply had left as a whole.
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
        let mut map = Map::new();
        map.insert("time".into(), rfc3339(self.at).into());
        map.insert("request".into(), self.request.as_str().into());
        map.insert("remote".into(), self.remote.as_str().into());
        map.insert("method".into(), self.method.as_str().into());
        map.insert("op".into(), self.op.into());
        map.insert("path".into(), self.path.as_str().into());
        map.insert("user".into(), self.user.as_deref().map_or(Value::Null, Into::into));
        map.insert("uid".into(), self.shown.map_or(Value::Null, |(uid, _)| uid.into()));
        map.insert("gid".into(), self.shown.map_or(Value::Null, |(_, gid)| gid.into()));
        map.insert("status".into(), self.status.map_or(Value::Null, Into::into));
        map.insert("bytes_in".into(), self.bytes_in.into());
        map.insert("bytes_out".into(), self.bytes_out.into());
        map.insert("duration_us".into(), u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX).into());
        match self.ended {
            Ended::Done => map.insert("ended".into(), "done".into()),
            Ended::Cut => map.insert("ended".into(), "cut".into()),
            Ended::Refused(reason) => {
                map.insert("ended".into(), "refused".into());
                map.insert("reason".into(), reason.into())
            }
        };
        let mut line = escape(&Value::Object(map).to_string());
        line.push('\n');
        line
    }
}

/// Escapes what a terminal would obey, in text that is JSON already.
///
/// In JSON such characters can only stand inside strings, so that replacing them keeps the meaning.
fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len().saturating_add(1));
    for character in json.chars() {
        if is_unsafe_to_show(character) {
            let mut units = [0_u16; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
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
    use std::time::UNIX_EPOCH;

    fn record(path: &str) -> Record {
        Record {
            at: UNIX_EPOCH,
            request: "r-1".into(),
            remote: "127.0.0.1:9".into(),
            method: "GET".into(),
            op: "get",
            path: path.into(),
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
