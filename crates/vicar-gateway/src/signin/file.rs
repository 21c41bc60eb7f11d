//! The password file: one line a person, written by the administrator.
//!
//! ```text
//! # comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$...            a system account; ids and groups are looked up at each sign-in
//! guest@61001:61001,61050:$argon2id$...               ids and groups as given; no account needed
//! ```

use super::hash::{Cost, HashError, PasswordHash};
use core::fmt;
use rustix::fs::{FileType, Mode, OFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use vicar_os::{KernelGid, KernelUid, UnixIdentity};

/// Largest password file in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Whose line it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An account of this system; resolved when the person signs in.
    System,
    /// These ids and groups, as the administrator wrote them.
    Numeric(UnixIdentity),
}

/// Name and identity of one line: what stands before the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name that is typed at sign-in.
    pub name: String,
    /// Who that is to the kernel.
    pub who: Who,
}

impl Person {
    /// Reads `NAME` or `NAME@UID:GID[,GROUP...]`.
    ///
    /// A text with a colon is the second form and its last `@` ends the name, so that accounts such as
    /// `alice@REALM.EXAMPLE` can be named.
    ///
    /// # Errors
    /// - [`Problem`] naming what was expected.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (name, ids) = if text.contains(':') {
            let (name, ids) = text.rsplit_once('@').ok_or(Problem::Shape)?;
            (name, Some(ids))
        } else {
            (text, None)
        };
        if name.is_empty()
            || name.len() > super::basic::MAX_USER
            || name.starts_with('#')
            || name.chars().any(|character| character == ':' || character.is_control() || character.is_whitespace())
        {
            return Err(Problem::Name);
        }
        let who = match ids {
            None => Who::System,
            Some(ids) => Who::Numeric(parse_ids(ids)?),
        };
        Ok(Self { name: name.to_owned(), who })
    }
}

fn parse_ids(text: &str) -> Result<UnixIdentity, Problem> {
    let (uid, gids) = text.split_once(':').ok_or(Problem::Shape)?;
    let uid = KernelUid::new(parse_id(uid)?).ok_or(Problem::MinusOne)?;
    let mut groups = Vec::new();
    for gid in gids.split(',') {
        groups.push(KernelGid::new(parse_id(gid)?).ok_or(Problem::MinusOne)?);
    }
    let gid = *groups.first().ok_or(Problem::Shape)?;
    UnixIdentity::new(uid, gid, groups).map_err(|_| Problem::TooManyGroups)
}

fn parse_id(text: &str) -> Result<u32, Problem> {
    // `u32::from_str` would take a sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Id);
    }
    text.parse().map_err(|_| Problem::Id)
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let Who::Numeric(identity) = &self.who else { return Ok(()) };
        write!(f, "@{}:{}", identity.uid(), identity.gid())?;
        for group in identity.groups().iter().filter(|group| **group != identity.gid()) {
            write!(f, ",{group}")?;
        }
        Ok(())
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It has neither form.
    Shape,
    /// The name is empty, too long, or has a space or control character.
    Name,
    /// An id is not a decimal number below 4294967295.
    Id,
    /// An id is 4294967295, which system calls read as "do not change".
    MinusOne,
    /// More groups than the kernel keeps.
    TooManyGroups,
    /// The hash is none we take.
    Hash(HashError),
    /// It maps to uid 0, and the administrator has not allowed that.
    Root,
    /// The name stands on an earlier line.
    Duplicate {
        /// That line.
        first: usize,
    },
    /// The line is not UTF-8.
    NotUtf8,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("expected NAME:HASH or NAME@UID:GID[,GROUP...]:HASH"),
            Self::Name => f.write_str("expected a name of 1 to 255 bytes without spaces, colons or control characters"),
            Self::Id => f.write_str("expected a decimal id from 0 to 4294967294"),
            Self::MinusOne => f.write_str("id 4294967295 means \"do not change\" to the kernel and is nobody's"),
            Self::TooManyGroups => write!(f, "expected at most {} groups", UnixIdentity::MAX_GROUPS),
            Self::Hash(error) => write!(f, "expected an argon2id hash, found {error}"),
            Self::Root => f.write_str("uid 0 needs --allow-root"),
            Self::Duplicate { first } => write!(f, "this name stands on line {first} already"),
            Self::NotUtf8 => f.write_str("expected UTF-8"),
        }
    }
}

/// Why a password file is not used.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    Open {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// It is not a regular file.
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else owns it or may write it.
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It lies in the directory that is served.
    InsideShare {
        /// The file, links resolved.
        path: PathBuf,
    },
    /// It is larger than 16 MiB.
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: Problem,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, error } => write!(f, "cannot read password file {}: {error}", path.display()),
            Self::NotAFile { path } => write!(f, "password file {} is not a regular file", path.display()),
            Self::NotOurs { path, uid, mode } => write!(
                f,
                "password file {} belongs to uid {uid} with mode {mode:04o}; it must be this user's own and writable by nobody else",
                path.display()
            ),
            Self::InsideShare { path } => {
                write!(f, "password file {} lies inside the directory that is served", path.display())
            }
            Self::TooLarge { path } => write!(f, "password file {} is larger than 16 MiB", path.display()),
            Self::Line { path, line, problem } => write!(f, "{}:{line}: {problem}", path.display()),
        }
    }
}

impl core::error::Error for FileError {}

/// Whether a numeric line may name uid 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// No.
    Refused,
    /// The administrator said so.
    Allowed,
}

#[derive(Debug)]
struct Entry {
    who: Who,
    hash: PasswordHash,
    line: usize,
}

/// A checked password file.
#[derive(Debug)]
pub struct PasswordFile {
    entries: HashMap<String, Entry>,
    /// Verified when the name is unknown, so that it takes as long as a wrong password.
    decoy: PasswordHash,
}

impl PasswordFile {
    /// Opens, checks and reads a password file.
    ///
    /// # Inputs
    /// - `share`: the directory that is served, links resolved; the file must not lie in it.
    ///
    /// # Errors
    /// - [`FileError`] naming the file, the line and what was expected.
    ///
    /// # Identity
    /// Reads as the server, at start-up; the file must be the effective user's own.
    pub fn read(path: &Path, share: &Path, root: Root) -> Result<Self, FileError> {
        let failed = |error| FileError::Open { path: path.to_owned(), error };
        let real = path.canonicalize().map_err(failed)?;
        if real.starts_with(share) {
            return Err(FileError::InsideShare { path: real });
        }
        let (file, _mode) = open_own(&real)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(FileError::TooLarge { path: real });
        }
        Self::parse(&bytes, &real, root)
    }

    /// Reads the text of a password file; `path` is for the messages.
    ///
    /// # Errors
    /// - [`FileError::Line`] for the first line that is wrong.
    pub fn parse(bytes: &[u8], path: &Path, root: Root) -> Result<Self, FileError> {
        let mut entries: HashMap<String, Entry> = HashMap::new();
        let mut costliest: Option<PasswordHash> = None;
        for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = index.saturating_add(1);
            let wrong = |problem| FileError::Line { path: path.to_owned(), line, problem };
            let Some((person, hash)) = parse_line(raw).map_err(wrong)? else { continue };
            if root == Root::Refused && matches!(&person.who, Who::Numeric(identity) if identity.uid().is_root()) {
                return Err(wrong(Problem::Root));
            }
            if let Some(earlier) = entries.get(&person.name) {
                return Err(wrong(Problem::Duplicate { first: earlier.line }));
            }
            if costliest.as_ref().is_none_or(|so_far| so_far.work() < hash.work()) {
                costliest = Some(hash.clone());
            }
            entries.insert(person.name, Entry { who: person.who, hash, line });
        }
        let decoy = match costliest {
            Some(hash) => hash,
            None => PasswordHash::of("", Cost::Interactive).map_err(|error| FileError::Line {
                path: path.to_owned(),
                line: 0,
                problem: Problem::Hash(error),
            })?,
        };
        Ok(Self { entries, decoy })
    }

    /// Whose password this is, if it is theirs. An unknown name takes as long as a wrong password.
    #[must_use]
    pub fn verify(&self, name: &str, password: &str) -> Option<&Who> {
        match self.entries.get(name) {
            Some(entry) => entry.hash.verify(password).then_some(&entry.who),
            None => {
                let _ = self.decoy.verify(password);
                None
            }
        }
    }

    /// How many people it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names that are looked up among the system's accounts: the administrator let them in by naming them here.
    pub fn system_accounts(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| entry.who == Who::System).map(|(name, _)| name.as_str())
    }

    /// The identities of the numeric lines, with their names.
    pub fn numeric(&self) -> impl Iterator<Item = (&str, &UnixIdentity)> {
        self.entries.iter().filter_map(|(name, entry)| match &entry.who {
            Who::System => None,
            Who::Numeric(identity) => Some((name.as_str(), identity)),
        })
    }
}

/// Reads one line; comments and empty lines are `None`.
fn parse_line(raw: &[u8]) -> Result<Option<(Person, PasswordHash)>, Problem> {
    let text = core::str::from_utf8(raw).map_err(|_| Problem::NotUtf8)?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    // A hash in PHC form has no colon.
    let (person, hash) = text.rsplit_once(':').ok_or(Problem::Shape)?;
    let person = Person::parse(person)?;
    let hash = PasswordHash::parse(hash).map_err(Problem::Hash)?;
    Ok(Some((person, hash)))
}

/// Opens a regular file that is the effective user's own and that nobody else may write; gives its permission bits too.
pub(super) fn open_own(path: &Path) -> Result<(File, u32), FileError> {
    let failed = |error: rustix::io::Errno| FileError::Open { path: path.to_owned(), error: error.into() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let mode = stat.st_mode & 0o7777;
    if stat.st_uid != rustix::process::geteuid().as_raw() || mode & 0o022 != 0 {
        return Err(FileError::NotOurs { path: path.to_owned(), uid: stat.st_uid, mode });
    }
    Ok((File::from(fd), mode))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
