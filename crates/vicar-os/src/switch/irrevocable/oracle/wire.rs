//! Questions and answers as bytes. Numbers are little-endian; texts are a length and bytes; nothing may be left over.

use super::{Answer, Question, Seen, Verdict};
use crate::switch::irrevocable::answer;
use crate::switch::irrevocable::ask::AskError;
use crate::{KernelGid, KernelUid, UnixIdentity};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The calls that [`AskError::Failed`] can name.
const OPERATIONS: [&str; 5] = ["pipe2", "fork", "poll", "read", "waitpid"];

pub(super) fn encode_question(identity: &UnixIdentity, question: &Question) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, identity.uid().raw());
    put_number(&mut out, identity.gid().raw());
    put_number(&mut out, u32::try_from(identity.groups().len()).unwrap_or(u32::MAX));
    for group in identity.groups() {
        put_number(&mut out, group.raw());
    }
    let (tag, path, mode, other): (u8, &Path, u32, Option<&Path>) = match question {
        Question::OpenRead(path) => (1, path, 0, None),
        Question::OpenWrite(path) => (2, path, 0, None),
        Question::Stat(path) => (3, path, 0, None),
        Question::LinkStat(path) => (4, path, 0, None),
        Question::Create(path, mode) => (5, path, *mode, None),
        Question::Unlink(path) => (6, path, 0, None),
        Question::CreateDirectory(path, mode) => (7, path, *mode, None),
        Question::RemoveDirectory(path) => (8, path, 0, None),
        Question::Rename(from, to) => (9, from, 0, Some(to)),
        Question::List(path) => (10, path, 0, None),
    };
    out.push(tag);
    put_text(&mut out, path.as_os_str());
    put_number(&mut out, mode);
    put_text(&mut out, other.map_or(OsStr::new(""), Path::as_os_str));
    out
}

pub(super) fn decode_question(bytes: &[u8]) -> Option<(UnixIdentity, Question)> {
    let mut reader = Reader(bytes);
    let uid = KernelUid::new(reader.number()?)?;
    let gid = KernelGid::new(reader.number()?)?;
    let count = usize::try_from(reader.number()?).ok().filter(|count| *count <= UnixIdentity::MAX_GROUPS)?;
    let mut groups = Vec::with_capacity(count);
    for _ in 0..count {
        groups.push(KernelGid::new(reader.number()?)?);
    }
    let identity = UnixIdentity::new(uid, gid, groups).ok()?;
    let tag = reader.byte()?;
    let path = PathBuf::from(reader.text()?);
    let mode = reader.number()?;
    let other = PathBuf::from(reader.text()?);
    let question = match tag {
        1 => Question::OpenRead(path),
        2 => Question::OpenWrite(path),
        3 => Question::Stat(path),
        4 => Question::LinkStat(path),
        5 => Question::Create(path, mode),
        6 => Question::Unlink(path),
        7 => Question::CreateDirectory(path, mode),
        8 => Question::RemoveDirectory(path),
        9 => Question::Rename(path, other),
        10 => Question::List(path),
        _ => return None,
    };
    reader.end(())?;
    Some((identity, question))
}

pub(super) fn encode_verdict(verdict: &Verdict) -> Vec<u8> {
    let mut out = Vec::new();
    match verdict {
        Err(errno) => {
            out.push(0);
            put_number(&mut out, errno.cast_unsigned());
        }
        Ok(Answer::Done) => out.push(1),
        Ok(Answer::Seen(seen)) => {
            out.push(2);
            put_number(&mut out, seen.mode);
            put_number(&mut out, seen.uid);
            put_number(&mut out, seen.gid);
            out.extend_from_slice(&seen.size.to_le_bytes());
        }
        Ok(Answer::Names(names)) => {
            out.push(3);
            put_number(&mut out, u32::try_from(names.len()).unwrap_or(u32::MAX));
            for name in names {
                put_text(&mut out, name);
            }
        }
    }
    out
}

pub(super) fn decode_verdict(bytes: &[u8]) -> Option<Verdict> {
    let mut reader = Reader(bytes);
    let verdict = match reader.byte()? {
        0 => Err(reader.number()?.cast_signed()),
        1 => Ok(Answer::Done),
        2 => Ok(Answer::Seen(Seen {
            mode: reader.number()?,
            uid: reader.number()?,
            gid: reader.number()?,
            size: u64::from_le_bytes(reader.array()?),
        })),
        3 => {
            let mut names = Vec::new();
            for _ in 0..reader.number()? {
                names.push(reader.text()?);
            }
            Ok(Answer::Names(names))
        }
        _ => return None,
    };
    reader.end(verdict)
}

pub(super) fn encode_answer(answer: &Result<Verdict, AskError>) -> Vec<u8> {
    let mut out = Vec::new();
    match answer {
        Ok(verdict) => {
            out.push(0);
            out.extend_from_slice(&encode_verdict(verdict));
        }
        Err(AskError::ManyThreads) => out.push(1),
        Err(AskError::Dropped(error)) => {
            out.push(2);
            out.extend_from_slice(&answer::encode(&Err(*error)));
        }
        Err(AskError::Failed { operation, errno }) => {
            out.push(3);
            let index = OPERATIONS.iter().position(|candidate| candidate == operation);
            out.push(index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX));
            put_number(&mut out, errno.cast_unsigned());
        }
        Err(AskError::Crashed) => out.push(4),
        Err(AskError::TimedOut) => out.push(5),
        Err(AskError::TooLong) => out.push(6),
    }
    out
}

pub(super) fn decode_answer(bytes: &[u8]) -> Option<Result<Verdict, AskError>> {
    let (tag, rest) = bytes.split_first()?;
    let mut reader = Reader(rest);
    match tag {
        0 => decode_verdict(rest).map(Ok),
        1 => reader.end(Err(AskError::ManyThreads)),
        2 => answer::decode(rest)?.err().map(|error| Err(AskError::Dropped(error))),
        3 => {
            let operation = *OPERATIONS.get(usize::from(reader.byte()?))?;
            let errno = reader.number()?.cast_signed();
            reader.end(Err(AskError::Failed { operation, errno }))
        }
        4 => reader.end(Err(AskError::Crashed)),
        5 => reader.end(Err(AskError::TimedOut)),
        6 => reader.end(Err(AskError::TooLong)),
        _ => None,
    }
}

fn put_number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &OsStr) {
    put_number(out, u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// The only reader of offsets here.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<OsString> {
        let len = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(OsString::from_vec(text.to_vec()))
    }

    fn end<T>(&self, value: T) -> Option<T> {
        if self.0.is_empty() { Some(value) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::irrevocable::DropError;
    use proptest::prelude::*;

    #[test]
    fn every_question_and_answer_comes_back_as_it_was() {
        let gids = [61_002, 61_003].map(|gid| KernelGid::new(gid).unwrap());
        let identity =
            UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(61_001).unwrap(), gids).unwrap();
        let path = || PathBuf::from(OsString::from_vec(b"/srv/\xff".to_vec()));
        for question in [
            Question::OpenRead(path()),
            Question::OpenWrite(path()),
            Question::Stat(path()),
            Question::LinkStat(path()),
            Question::Create(path(), 0o640),
            Question::Unlink(path()),
            Question::CreateDirectory(path(), 0o2770),
            Question::RemoveDirectory(path()),
            Question::Rename(path(), PathBuf::from("/b")),
            Question::List(path()),
        ] {
            let bytes = encode_question(&identity, &question);
            assert_eq!(decode_question(&bytes), Some((identity.clone(), question)));
            assert_eq!(decode_question(&[&bytes[..], b"x"].concat()), None);
        }
        let seen = Seen { mode: 0o100_640, uid: 61_001, gid: 61_002, size: u64::MAX };
        let mut answers: Vec<Result<Verdict, AskError>> = vec![
            Ok(Err(13)),
            Ok(Ok(Answer::Done)),
            Ok(Ok(Answer::Seen(seen))),
            Ok(Ok(Answer::Names(vec!["a".into(), "b".into()]))),
            Err(AskError::ManyThreads),
            Err(AskError::Dropped(DropError::Root)),
            Err(AskError::Crashed),
            Err(AskError::TimedOut),
            Err(AskError::TooLong),
        ];
        answers.extend(OPERATIONS.map(|operation| Err(AskError::Failed { operation, errno: 11 })));
        for answer in answers {
            assert_eq!(decode_answer(&encode_answer(&answer)), Some(answer));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_question(&bytes);
            let _ = decode_answer(&bytes);
            let _ = decode_verdict(&bytes);
        }
    }
}
