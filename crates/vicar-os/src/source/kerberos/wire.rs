//! The messages between a server and the helper of one client: short, read by total functions.

use super::{MAX_PRINCIPAL_LEN, MAX_TOKEN_LEN};
use crate::delegation::MechanismRefusal;
use crate::packet::{Reader, put_text};

/// Longest message in bytes: a token, a principal, and numbers.
pub(super) const MAX_MESSAGE_LEN: usize = MAX_TOKEN_LEN + 4096;
/// Longest text about a refusal in bytes.
pub(super) const MAX_TEXT_LEN: usize = 512;
/// Longest service name in bytes.
const MAX_SERVICE_LEN: usize = 511;

/// What the server wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// A client's token.
    Accept(&'a [u8]),
    /// The first token to a service.
    Begin { number: u32, service: &'a str },
    /// The service's answer.
    Step { number: u32, token: &'a [u8] },
    /// A proof is not wanted any more. Nothing is answered.
    End { number: u32 },
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A token for the other side, which must answer.
    Continue(Vec<u8>),
    /// The client is proved.
    Accepted { token: Vec<u8>, principal: String, delegated_until: Option<u64> },
    /// The proof to a service is complete.
    Done(Vec<u8>),
    /// The mechanism refused.
    Refused(MechanismRefusal),
    /// A rule of this crate refused.
    Against(Rule),
}

/// A rule of this crate that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The mechanism that was negotiated is another than Kerberos.
    Mechanism,
    /// The client did not say who it is.
    Anonymous,
    /// The principal is too long or is no text.
    Principal,
    /// The client handed over somebody else's credential.
    ForeignCredential,
    /// The token to send is too long.
    TooLong,
    /// There is no credential, it is over, or the number is another proof's.
    OutOfTurn,
    /// Too many proofs at a time.
    TooMany,
    /// The keytab cannot be read; the number is what the kernel answered.
    Keytab(i32),
    /// The process could not be made powerless.
    Seal,
    /// Too many helpers.
    Busy,
}

pub(super) fn encode_request(request: &Request<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let numbered = |out: &mut Vec<u8>, tag: u8, number: u32| {
        out.push(tag);
        out.extend_from_slice(&number.to_le_bytes());
    };
    match *request {
        Request::Accept(token) => {
            out.push(1);
            put_text(&mut out, token);
        }
        Request::Begin { number, service } => {
            numbered(&mut out, 2, number);
            put_text(&mut out, service.as_bytes());
        }
        Request::Step { number, token } => {
            numbered(&mut out, 3, number);
            put_text(&mut out, token);
        }
        Request::End { number } => numbered(&mut out, 4, number),
    }
    out
}

pub(super) fn decode_request(bytes: &[u8]) -> Option<Request<'_>> {
    let mut reader = Reader::new(bytes);
    let request = match reader.byte()? {
        1 => Request::Accept(reader.text(MAX_TOKEN_LEN)?),
        2 => Request::Begin { number: reader.number()?, service: text(&mut reader, MAX_SERVICE_LEN)? },
        3 => Request::Step { number: reader.number()?, token: reader.text(MAX_TOKEN_LEN)? },
        4 => Request::End { number: reader.number()? },
        _ => return None,
    };
    reader.end()?;
    Some(request)
}

pub(super) fn encode_reply(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    match reply {
        Reply::Continue(token) => {
            out.push(1);
            put_text(&mut out, token);
        }
        Reply::Accepted { token, principal, delegated_until } => {
            out.push(2);
            put_text(&mut out, token);
            put_text(&mut out, principal.as_bytes());
            out.push(u8::from(delegated_until.is_some()));
            out.extend_from_slice(&delegated_until.unwrap_or(0).to_le_bytes());
        }
        Reply::Done(token) => {
            out.push(3);
            put_text(&mut out, token);
        }
        Reply::Refused(refusal) => {
            out.push(4);
            out.extend_from_slice(&refusal.major.to_le_bytes());
            out.extend_from_slice(&refusal.minor.to_le_bytes());
            put_text(&mut out, refusal.text.as_bytes());
        }
        Reply::Against(rule) => {
            let (tag, errno) = rule_tag(*rule);
            out.extend_from_slice(&[5, tag]);
            out.extend_from_slice(&errno.to_le_bytes());
        }
    }
    out
}

pub(super) fn decode_reply(bytes: &[u8]) -> Option<Reply> {
    let mut reader = Reader::new(bytes);
    let reply = match reader.byte()? {
        1 => Reply::Continue(reader.text(MAX_TOKEN_LEN)?.to_vec()),
        2 => {
            let token = reader.text(MAX_TOKEN_LEN)?.to_vec();
            let principal = text(&mut reader, MAX_PRINCIPAL_LEN)?.to_owned();
            let delegated_until = match (reader.byte()?, reader.long()?) {
                (0, 0) => None,
                (1, end) => Some(end),
                _ => return None,
            };
            Reply::Accepted { token, principal, delegated_until }
        }
        3 => Reply::Done(reader.text(MAX_TOKEN_LEN)?.to_vec()),
        4 => {
            let (major, minor) = (reader.number()?, reader.number()?);
            let text = text(&mut reader, MAX_TEXT_LEN)?;
            if !text.bytes().all(is_printable) {
                return None;
            }
            Reply::Refused(MechanismRefusal { major, minor, text: text.to_owned() })
        }
        5 => Reply::Against(rule(reader.byte()?, i32::from_le_bytes(reader.array()?))?),
        _ => return None,
    };
    reader.end()?;
    Some(reply)
}

fn text<'a>(reader: &mut Reader<'a>, most: usize) -> Option<&'a str> {
    core::str::from_utf8(reader.text(most)?).ok()
}

/// What may stand in a log as it is.
pub(super) const fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

const fn rule_tag(rule: Rule) -> (u8, i32) {
    match rule {
        Rule::Mechanism => (1, 0),
        Rule::Anonymous => (2, 0),
        Rule::Principal => (3, 0),
        Rule::ForeignCredential => (4, 0),
        Rule::TooLong => (5, 0),
        Rule::OutOfTurn => (6, 0),
        Rule::TooMany => (7, 0),
        Rule::Keytab(errno) => (8, errno),
        Rule::Seal => (9, 0),
        Rule::Busy => (10, 0),
    }
}

fn rule(tag: u8, errno: i32) -> Option<Rule> {
    let rule = match tag {
        1 => Rule::Mechanism,
        2 => Rule::Anonymous,
        3 => Rule::Principal,
        4 => Rule::ForeignCredential,
        5 => Rule::TooLong,
        6 => Rule::OutOfTurn,
        7 => Rule::TooMany,
        8 => Rule::Keytab(errno),
        9 => Rule::Seal,
        10 => Rule::Busy,
        _ => return None,
    };
    (rule_tag(rule) == (tag, errno)).then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Vec<u8>> {
        let long = vec![7; MAX_TOKEN_LEN];
        [
            Request::Accept(b"token"),
            Request::Accept(&long),
            Request::Begin { number: 7, service: "HTTP@localhost" },
            Request::Step { number: u32::MAX, token: &long },
            Request::End { number: 0 },
        ]
        .iter()
        .map(|request| {
            let bytes = encode_request(request);
            assert_eq!(decode_request(&bytes).as_ref(), Some(request));
            assert!(bytes.len() <= MAX_MESSAGE_LEN);
            bytes
        })
        .collect()
    }

    fn replies() -> Vec<Vec<u8>> {
        let rules = [
            Rule::Mechanism,
            Rule::Anonymous,
            Rule::Principal,
            Rule::ForeignCredential,
            Rule::TooLong,
            Rule::OutOfTurn,
            Rule::TooMany,
            Rule::Keytab(2),
            Rule::Seal,
            Rule::Busy,
        ];
        let principal = "p".repeat(MAX_PRINCIPAL_LEN);
        let mut replies: Vec<Reply> = rules.into_iter().map(Reply::Against).collect();
        replies.push(Reply::Continue(vec![1; MAX_TOKEN_LEN]));
        replies.push(Reply::Accepted { token: vec![2; MAX_TOKEN_LEN], principal, delegated_until: Some(u64::MAX) });
        replies.push(Reply::Accepted { token: Vec::new(), principal: "a@B".into(), delegated_until: None });
        replies.push(Reply::Done(Vec::new()));
        replies.push(Reply::Refused(MechanismRefusal { major: 1, minor: 2, text: "no, never".into() }));
        replies
            .iter()
            .map(|reply| {
                let bytes = encode_reply(reply);
                assert_eq!(decode_reply(&bytes).as_ref(), Some(reply));
                assert!(bytes.len() <= MAX_MESSAGE_LEN);
                bytes
            })
            .collect()
    }

    #[test]
    fn messages_are_read_as_they_were_written_and_otherwise_not() {
        for bytes in requests().into_iter().filter(|bytes| bytes.len() < 1000) {
            for len in 0..bytes.len() {
                assert_eq!(decode_request(&bytes[..len]), None);
            }
            assert_eq!(decode_request(&[bytes.as_slice(), &[0]].concat()), None);
        }
        for bytes in replies().into_iter().filter(|bytes| bytes.len() < 1000) {
            for len in 0..bytes.len() {
                assert_eq!(decode_reply(&bytes[..len]), None);
            }
            assert_eq!(decode_reply(&[bytes.as_slice(), &[0]].concat()), None);
        }
        let escape = Reply::Refused(MechanismRefusal { major: 1, minor: 2, text: "\u{1b}[2J".into() });
        assert_eq!(decode_reply(&encode_reply(&escape)), None);
        for tag in [0, 11, 255] {
            assert_eq!(decode_reply(&[5, tag, 0, 0, 0, 0]), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message_or_none(bytes: Vec<u8>) {
            if let Some(request) = decode_request(&bytes) {
                assert_eq!(encode_request(&request), bytes);
            }
            if let Some(reply) = decode_reply(&bytes) {
                assert_eq!(encode_reply(&reply), bytes);
            }
        }
    }
}
