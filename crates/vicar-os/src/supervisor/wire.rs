//! The messages between a server and its supervisor: packets of limited length, read by total functions.
//!
//! A question is one packet. An answer can be longer than a packet (65,536 groups), so it travels in parts. Every
//! number is little-endian; every text is a length and bytes; bytes left over are an error.

mod error;

pub(crate) use error::{operation, operation_tag};

use super::error::{Field, SignInError};
use super::secret::Secret;
use crate::elevated::SubjectNumber;
use crate::source::Account;
use crate::{KernelGid, KernelUid, UnixIdentity};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest packet in bytes.
pub(crate) const MAX_PACKET_LEN: usize = 32_768;
/// Longest answer in bytes: an account in every group the kernel keeps, its name and its two paths.
pub(crate) const MAX_ANSWER_LEN: usize = 4 * UnixIdentity::MAX_GROUPS + 16_384;
/// Longest service name, in bytes.
pub(crate) const MAX_SERVICE_LEN: usize = 64;
/// Longest user name as sent to PAM, in bytes.
pub(crate) const MAX_USER_LEN: usize = 256;
/// Longest remote host, in bytes.
pub(crate) const MAX_HOST_LEN: usize = 255;
/// Longest home directory or shell, in bytes (PATH_MAX).
const MAX_PATH_LEN: usize = 4096;
const VERSION: u8 = 1;
const PART_HEAD_LEN: usize = 9;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A question and the number its answer will carry.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) id: u64,
    pub(crate) ask: Ask,
}

/// What the server asks.
#[derive(Debug)]
pub(crate) enum Ask {
    Name(String),
    Uid(u32),
    SignIn(SignIn),
}

/// A sign-in: all texts are without zero bytes and within their limits.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) service: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) remote_host: Option<String>,
}

impl SignIn {
    /// Whether every part can be what it is said to be; otherwise, which one cannot.
    pub(crate) fn check(&self) -> Result<(), Field> {
        let is_text = |text: &[u8], most: usize| (1..=most).contains(&text.len()) && !text.contains(&0);
        let is_file_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !is_text(self.service.as_bytes(), MAX_SERVICE_LEN) || !self.service.bytes().all(is_file_name) {
            return Err(Field::Service);
        }
        if !is_text(self.user.as_bytes(), MAX_USER_LEN) {
            return Err(Field::User);
        }
        if !is_text(self.password.expose(), crate::sys::pam::MAX_ANSWER_LEN) {
            return Err(Field::Password);
        }
        // It ends up in logs and in look-ups: addresses and host names have no other characters.
        let is_host = |host: &str| is_text(host.as_bytes(), MAX_HOST_LEN) && host.bytes().all(|b| b.is_ascii_graphic());
        if !self.remote_host.as_deref().is_none_or(is_host) {
            return Err(Field::RemoteHost);
        }
        Ok(())
    }
}

/// What the supervisor answers. For a look-up only [`SignInError::Account`] and [`SignInError::Unavailable`] occur.
pub(crate) type Answer = Result<Account, SignInError>;

/// Writes a question. The buffer never grows, so no copy of a password is left behind.
pub(crate) fn encode_question(question: &Question) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(2048));
    out.push(VERSION);
    out.extend_from_slice(&question.id.to_le_bytes());
    match &question.ask {
        Ask::Name(name) => {
            out.push(1);
            put_text(&mut out, name.as_bytes());
        }
        Ask::Uid(uid) => {
            out.push(2);
            out.extend_from_slice(&uid.to_le_bytes());
        }
        Ask::SignIn(sign_in) => {
            out.push(3);
            put_text(&mut out, sign_in.service.as_bytes());
            put_text(&mut out, sign_in.user.as_bytes());
            put_text(&mut out, sign_in.password.expose());
            put_optional(&mut out, sign_in.remote_host.as_deref().map(str::as_bytes));
        }
    }
    out
}

/// Reads a question; every text is within its limit and has no zero byte.
pub(crate) fn decode_question(bytes: &[u8]) -> Result<Question, Malformed> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != VERSION {
        return Err(Malformed);
    }
    let id = u64::from_le_bytes(reader.array()?);
    let ask = match reader.byte()? {
        1 => Ask::Name(reader.string(MAX_USER_LEN)?),
        2 => Ask::Uid(reader.number()?),
        3 => {
            let sign_in = SignIn {
                service: reader.string(MAX_SERVICE_LEN)?,
                user: reader.string(MAX_USER_LEN)?,
                password: Secret::new(without_zero(reader.text(crate::sys::pam::MAX_ANSWER_LEN)?)?),
                remote_host: match reader.byte()? {
                    0 => None,
                    1 => Some(reader.string(MAX_HOST_LEN)?),
                    _ => return Err(Malformed),
                },
            };
            // The sender has checked this as well, but the sender is not the one who has the rights.
            sign_in.check().map_err(|_field| Malformed)?;
            Ask::SignIn(sign_in)
        }
        _ => return Err(Malformed),
    };
    reader.end()?;
    Ok(Question { id, ask })
}

/// Cuts an answer into packets.
pub(crate) fn encode_parts(id: u64, answer: &[u8]) -> Vec<Vec<u8>> {
    let chunks: Vec<&[u8]> = answer.chunks(MAX_PACKET_LEN.saturating_sub(PART_HEAD_LEN)).collect();
    let last = chunks.len().saturating_sub(1);
    chunks
        .into_iter()
        .enumerate()
        .map(|(index, chunk)| {
            let mut packet = Vec::with_capacity(chunk.len().saturating_add(PART_HEAD_LEN));
            packet.extend_from_slice(&id.to_le_bytes());
            packet.push(u8::from(index == last));
            packet.extend_from_slice(chunk);
            packet
        })
        .collect()
}

/// One packet of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) id: u64,
    pub(crate) is_last: bool,
    pub(crate) bytes: &'a [u8],
}

/// Reads one packet of an answer.
pub(crate) fn decode_part(packet: &[u8]) -> Result<Part<'_>, Malformed> {
    let mut reader = Reader { rest: packet };
    let id = u64::from_le_bytes(reader.array()?);
    let is_last = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed),
    };
    if reader.rest.is_empty() { Err(Malformed) } else { Ok(Part { id, is_last, bytes: reader.rest }) }
}

/// Writes an answer.
pub(crate) fn encode_answer(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    match answer {
        Ok(account) => {
            out.push(0);
            put_account(&mut out, account);
        }
        Err(error) => {
            out.push(1);
            error::put_error(&mut out, error);
        }
    }
    out
}

/// Reads an answer.
pub(crate) fn decode_answer(bytes: &[u8]) -> Result<Answer, Malformed> {
    let mut reader = Reader { rest: bytes };
    let answer = match reader.byte()? {
        0 => Ok(reader.account()?),
        1 => Err(reader.error()?),
        _ => return Err(Malformed),
    };
    reader.end()?;
    Ok(answer)
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    // Every text was limited far below 65,535 bytes by whoever made it; a longer one would be refused by the reader.
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text);
}

fn put_optional(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            put_text(out, text);
        }
    }
}

fn put_path(out: &mut Vec<u8>, path: Option<&Path>) {
    let path = path.map(Path::as_os_str).map(OsStr::as_bytes).filter(|path| path.len() <= MAX_PATH_LEN);
    put_optional(out, path.filter(|path| !path.is_empty()));
}

fn put_account(out: &mut Vec<u8>, account: &Account) {
    put_text(out, account.name.as_bytes());
    let identity = &account.identity;
    out.extend_from_slice(&identity.uid().raw().to_le_bytes());
    out.extend_from_slice(&identity.gid().raw().to_le_bytes());
    let count = u32::try_from(identity.groups().len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for group in identity.groups() {
        out.extend_from_slice(&group.raw().to_le_bytes());
    }
    put_path(out, account.home.as_deref());
    put_path(out, account.shell.as_deref());
    out.push(u8::from(account.subject.is_some()));
    if let Some(number) = account.subject {
        out.extend_from_slice(number.as_bytes());
    }
}

fn without_zero(text: &[u8]) -> Result<&[u8], Malformed> {
    if text.contains(&0) { Err(Malformed) } else { Ok(text) }
}

/// The only reader of offsets here.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self, most: usize) -> Result<&'a [u8], Malformed> {
        let len = usize::from(u16::from_le_bytes(self.array()?));
        if len > most {
            return Err(Malformed);
        }
        let (text, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(text)
    }

    fn string(&mut self, most: usize) -> Result<String, Malformed> {
        let text = without_zero(self.text(most)?)?;
        core::str::from_utf8(text).map(str::to_owned).map_err(|_not_text| Malformed)
    }

    fn path(&mut self) -> Result<Option<PathBuf>, Malformed> {
        match self.byte()? {
            0 => Ok(None),
            1 => {
                let text = without_zero(self.text(MAX_PATH_LEN)?)?;
                if text.is_empty() {
                    return Err(Malformed);
                }
                Ok(Some(PathBuf::from(OsString::from_vec(text.to_vec()))))
            }
            _ => Err(Malformed),
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    fn account(&mut self) -> Result<Account, Malformed> {
        let name = self.string(MAX_PATH_LEN)?;
        let uid = KernelUid::new(self.number()?).ok_or(Malformed)?;
        let gid = KernelGid::new(self.number()?).ok_or(Malformed)?;
        let count = usize::try_from(self.number()?).map_err(|_too_many| Malformed)?;
        if count > UnixIdentity::MAX_GROUPS {
            return Err(Malformed);
        }
        let mut groups = Vec::with_capacity(count);
        for _ in 0..count {
            groups.push(KernelGid::new(self.number()?).ok_or(Malformed)?);
        }
        let identity = UnixIdentity::new(uid, gid, groups.iter().copied()).map_err(|_too_many| Malformed)?;
        // An identity has one spelling: sorted, unique, the primary group among the others.
        if identity.groups() != groups {
            return Err(Malformed);
        }
        let mut account = Account::new(name, identity);
        account.home = self.path()?;
        account.shell = self.path()?;
        account.subject = match self.byte()? {
            0 => None,
            1 => Some(SubjectNumber::from_bytes(self.array()?)),
            _ => return Err(Malformed),
        };
        Ok(account)
    }
}

#[cfg(test)]
mod tests;
