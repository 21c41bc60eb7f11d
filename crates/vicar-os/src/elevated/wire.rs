//! The messages of the queue, read by total functions.

use super::subject::SubjectNumber;
use super::task::Task;
use super::{ElevatedError, Refusal};
use crate::packet::{MAX_IDENTITY_LEN, Reader, put_identity};
use crate::{KernelGid, KernelUid, UnixIdentity};
use vicar_nt::{ImpersonationLevel, Privilege};

/// Longest message in bytes.
pub(super) const MAX_MESSAGE_LEN: usize = 512;
/// Longest registration in bytes; it travels in memory that cannot change.
pub(super) const MAX_REGISTRATION_LEN: usize = 16 + MAX_IDENTITY_LEN;
const VERSION: u8 = 1;
const ASK: u8 = 1;
const REGISTER: u8 = 2;
const FORGET: u8 = 3;

/// A subject's token state, as a value: what the server says it was when it was captured. It can only lower what the queue
/// knows of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) uid: KernelUid,
    pub(super) gid: KernelGid,
    pub(super) level: ImpersonationLevel,
    /// The privileges that are enabled, by their numbers.
    pub(super) enabled: u64,
}

impl Stated {
    pub(super) fn has(&self, privilege: Privilege) -> bool {
        1_u64.checked_shl(u32::from(privilege.number())).is_some_and(|bit| self.enabled & bit != 0)
    }
}

/// What the server asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A task, with the socket for its answer and the descriptors it needs.
    Ask { number: SubjectNumber, stated: Stated, task: Task },
    /// Somebody whom the server vouches for; the identity is in the descriptor.
    Register,
    /// Somebody who will ask for nothing more.
    Forget(SubjectNumber),
}

pub(super) fn encode(message: &Message) -> Vec<u8> {
    let mut out = vec![VERSION];
    match message {
        Message::Ask { number, stated, task } => {
            out.push(ASK);
            out.extend_from_slice(number.as_bytes());
            out.extend_from_slice(&stated.uid.raw().to_le_bytes());
            out.extend_from_slice(&stated.gid.raw().to_le_bytes());
            out.push(level_number(stated.level));
            out.extend_from_slice(&stated.enabled.to_le_bytes());
            task.put(&mut out);
        }
        Message::Register => out.push(REGISTER),
        Message::Forget(number) => {
            out.push(FORGET);
            out.extend_from_slice(number.as_bytes());
        }
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return None;
    }
    let message = match reader.byte()? {
        ASK => {
            let number = SubjectNumber::from_bytes(reader.array()?);
            let stated = Stated {
                uid: KernelUid::new(reader.number()?)?,
                gid: KernelGid::new(reader.number()?)?,
                level: level(reader.byte()?)?,
                enabled: reader.long()?,
            };
            Message::Ask { number, stated, task: Task::take(&mut reader)? }
        }
        REGISTER => Message::Register,
        FORGET => Message::Forget(SubjectNumber::from_bytes(reader.array()?)),
        _ => return None,
    };
    reader.end()?;
    Some(message)
}

const fn level_number(level: ImpersonationLevel) -> u8 {
    match level {
        ImpersonationLevel::Anonymous => 0,
        ImpersonationLevel::Identification => 1,
        ImpersonationLevel::Impersonation => 2,
        ImpersonationLevel::Delegation => 3,
    }
}

const fn level(number: u8) -> Option<ImpersonationLevel> {
    match number {
        0 => Some(ImpersonationLevel::Anonymous),
        1 => Some(ImpersonationLevel::Identification),
        2 => Some(ImpersonationLevel::Impersonation),
        3 => Some(ImpersonationLevel::Delegation),
        _ => None,
    }
}

pub(super) fn encode_registration(number: SubjectNumber, identity: &UnixIdentity) -> Vec<u8> {
    let mut out = number.as_bytes().to_vec();
    put_identity(&mut out, identity);
    out
}

pub(super) fn decode_registration(bytes: &[u8]) -> Option<(SubjectNumber, UnixIdentity)> {
    let mut reader = Reader::new(bytes);
    let number = SubjectNumber::from_bytes(reader.array()?);
    let identity = reader.identity()?;
    reader.end()?;
    Some((number, identity))
}

/// What comes back: done, an error of the kernel's, or a refusal of the queue's.
pub(super) type Told = Result<(), ElevatedError>;

pub(super) fn encode_told(told: &Told) -> [u8; 8] {
    let (tag, value) = match told {
        Ok(()) => (0, 0),
        Err(ElevatedError::Os(errno)) => (1, *errno),
        Err(ElevatedError::NotServed) => (2, 0),
        Err(ElevatedError::Refused(refusal)) => (
            3,
            Refusal::ALL.iter().position(|known| known == refusal).and_then(|at| i32::try_from(at).ok()).unwrap_or(-1),
        ),
        Err(ElevatedError::TimedOut) => (4, 0),
        Err(
            ElevatedError::Crashed
            | ElevatedError::Enter(_)
            | ElevatedError::NotHeld(_)
            | ElevatedError::Status(_)
            | ElevatedError::Malformed
            | ElevatedError::Dead
            | ElevatedError::Failed { .. },
        ) => (5, 0),
    };
    let [a, b, c, d] = value.to_le_bytes();
    [tag, 0, 0, 0, a, b, c, d]
}

pub(super) fn decode_told(bytes: &[u8]) -> Option<Told> {
    let &[tag, 0, 0, 0, a, b, c, d] = bytes else { return None };
    let value = i32::from_le_bytes([a, b, c, d]);
    match (tag, value) {
        (0, 0) => Some(Ok(())),
        (1, 1..4096) => Some(Err(ElevatedError::Os(value))),
        (2, 0) => Some(Err(ElevatedError::NotServed)),
        (3, _) => {
            let refusal = usize::try_from(value).ok().and_then(|at| Refusal::ALL.get(at))?;
            Some(Err(ElevatedError::Refused(*refusal)))
        }
        (4, 0) => Some(Err(ElevatedError::TimedOut)),
        (5, 0) => Some(Err(ElevatedError::Crashed)),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::elevated::task;

    pub(in super::super) fn messages() -> Vec<Message> {
        let number = SubjectNumber::from_bytes([7; 16]);
        let stated = Stated {
            uid: KernelUid::new(61_001).unwrap(),
            gid: KernelGid::new(61_002).unwrap(),
            level: ImpersonationLevel::Impersonation,
            enabled: 1 << 17 | 1 << 18,
        };
        let asks = task::tests::every().into_iter().map(|task| Message::Ask { number, stated, task });
        asks.chain([Message::Register, Message::Forget(number)]).collect()
    }

    #[test]
    fn every_message_comes_back_as_it_was_and_no_part_of_it_is_one() {
        for message in messages() {
            let bytes = encode(&message);
            assert!(bytes.len() <= MAX_MESSAGE_LEN);
            assert_eq!(decode(&bytes), Some(message));
            for len in 0..bytes.len() {
                assert_eq!(decode(&bytes[..len]), None);
            }
            assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
        }
        for name in [&b"a/b"[..], b"..", b".", b"", b"a\0", &[b'x'; 256]] {
            let mut bytes = encode(&Message::Register);
            bytes[1] = ASK;
            bytes.extend([7; 16]);
            bytes.extend(61_001_u32.to_le_bytes());
            bytes.extend(61_001_u32.to_le_bytes());
            bytes.push(2);
            bytes.extend(0_u64.to_le_bytes());
            bytes.push(1);
            crate::packet::put_text(&mut bytes, name);
            assert_eq!(decode(&bytes), None, "{name:?}");
        }
    }

    #[test]
    fn every_answer_comes_back_as_it_was() {
        let mut all = vec![
            Ok(()),
            Err(ElevatedError::Os(13)),
            Err(ElevatedError::NotServed),
            Err(ElevatedError::TimedOut),
            Err(ElevatedError::Crashed),
        ];
        all.extend(Refusal::ALL.map(|refusal| Err(ElevatedError::Refused(refusal))));
        for told in all {
            assert_eq!(decode_told(&encode_told(&told)), Some(told));
        }
        for bytes in [
            &[][..],
            &[0; 7],
            &[0; 9],
            &[9, 0, 0, 0, 0, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 99, 0, 0, 0],
        ] {
            assert_eq!(decode_told(bytes), None);
        }
    }

    /// A million changed messages: each is one that means itself, or none.
    #[test]
    fn a_million_changed_messages_are_judged() {
        let messages: Vec<Vec<u8>> = messages().iter().map(encode).collect();
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let index = |number: u64, len: usize| usize::try_from(number % u64::try_from(len).unwrap()).unwrap();
        let (mut bytes, mut accepted) = (Vec::new(), 0_u32);
        for _ in 0..1_000_000_u32 {
            bytes.clear();
            bytes.extend_from_slice(&messages[index(next(), messages.len())]);
            for _ in 0..next() % 4 {
                let number = next();
                let at = index(next(), bytes.len());
                match number % 5 {
                    0 => bytes[at] = number.to_le_bytes()[1],
                    1 => bytes[at] ^= 1_u8.rotate_left(u32::from(number.to_le_bytes()[1])),
                    2 => bytes.truncate(at + 1),
                    3 => bytes.insert(at, number.to_le_bytes()[1]),
                    _ => bytes[at] = [0, 0xFF, b'/', b'.', 0x7F][index(number >> 8, 5)],
                }
            }
            if let Some(message) = decode(&bytes) {
                accepted += 1;
                assert_eq!(encode(&message), bytes);
            }
            let _ = (decode_registration(&bytes), decode_told(&bytes));
        }
        assert!((1000..1_000_000).contains(&accepted), "{accepted}");
    }
}
