//! Who nobody is: a user and a group that no account, no range and no process uses.

use crate::{KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use std::fs;
use std::io;

/// The account that names the anonymous identity, when it exists.
const ACCOUNT: &str = "vicar-anon";

/// The id of the anonymous user and group when there is no such account. Not 65534, which owns whatever is unmapped.
const DEFAULT_ID: u32 = 65_520;

/// Why an id cannot be nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnonymousError {
    /// An account or group has the id.
    Taken {
        /// The id.
        id: u32,
        /// The file or service that says so.
        by: String,
    },
    /// A running process has the id.
    InUse {
        /// The id.
        id: u32,
        /// The process.
        pid: u32,
    },
    /// The id does not exist in this user namespace.
    Unmapped {
        /// The id.
        id: u32,
    },
    /// The account exists and is not usable as nobody.
    BadAccount(&'static str),
    /// The system's files could not be read.
    Unreadable {
        /// Which file.
        path: &'static str,
        /// What the kernel said.
        error: io::ErrorKind,
    },
}

impl fmt::Display for AnonymousError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { id, by } => write!(f, "id {id} must be nobody's but is used in {by}"),
            Self::InUse { id, pid } => write!(f, "id {id} must be nobody's but process {pid} has it"),
            Self::Unmapped { id } => write!(f, "id {id} does not exist in this user namespace"),
            Self::BadAccount(why) => write!(f, "account {ACCOUNT}: {why}"),
            Self::Unreadable { path, error } => write!(f, "{path}: {error}"),
        }
    }
}

impl core::error::Error for AnonymousError {}

/// Finds the anonymous identity and makes sure that it is nobody.
///
/// # Errors
/// - [`AnonymousError`] when passwd, group, a subordinate range or a process uses it, or when it is not mapped here.
pub(super) fn find() -> Result<UnixIdentity, AnonymousError> {
    let (uid, gid) = match account()? {
        Some(ids) => ids,
        None => {
            free_in_accounts(DEFAULT_ID)?;
            (DEFAULT_ID, DEFAULT_ID)
        }
    };
    for (path, id) in [("/proc/self/uid_map", uid), ("/proc/self/gid_map", gid)] {
        if !is_mapped(&read(path)?, id) {
            return Err(AnonymousError::Unmapped { id });
        }
    }
    not_subordinate(uid, "/etc/subuid")?;
    not_subordinate(gid, "/etc/subgid")?;
    no_process_is(uid)?;
    let (Some(uid), Some(gid)) = (KernelUid::new(uid), KernelGid::new(gid)) else {
        return Err(AnonymousError::BadAccount("its id is -1"));
    };
    UnixIdentity::new(uid, gid, []).map_err(|_one_group| AnonymousError::BadAccount("too many groups"))
}

/// The ids of the account that names the identity. Read from the files, so that a server elsewhere cannot choose it.
fn account() -> Result<Option<(u32, u32)>, AnonymousError> {
    let passwd = read("/etc/passwd")?;
    let Some(line) = passwd.lines().find(|line| line.split(':').next() == Some(ACCOUNT)) else { return Ok(None) };
    let mut fields = line.split(':').skip(2);
    let ids = fields.next().zip(fields.next()).and_then(|(uid, gid)| uid.parse().ok().zip(gid.parse().ok()));
    match ids {
        None => Err(AnonymousError::BadAccount("its line in /etc/passwd is malformed")),
        Some((0, _) | (_, 0)) => Err(AnonymousError::BadAccount("it is user or group 0")),
        Some((65_534, _) | (_, 65_534)) => Err(AnonymousError::BadAccount("65534 owns whatever is unmapped")),
        Some(ids) => Ok(Some(ids)),
    }
}

fn free_in_accounts(id: u32) -> Result<(), AnonymousError> {
    for path in ["/etc/passwd", "/etc/group"] {
        let taken = read(path)?.lines().any(|line| {
            // The gid of an account is its fourth field: also an account's own group must not be nobody's.
            let mut fields = line.split(':').skip(2);
            let own = fields.next() == Some(&id.to_string());
            own || (path == "/etc/passwd" && fields.next() == Some(&id.to_string()))
        });
        if taken {
            return Err(AnonymousError::Taken { id, by: path.to_owned() });
        }
    }
    // Accounts that are not in the files: a directory service.
    if crate::source::account::by_uid(id).is_ok() {
        return Err(AnonymousError::Taken { id, by: "the user database".to_owned() });
    }
    Ok(())
}

fn not_subordinate(id: u32, path: &'static str) -> Result<(), AnonymousError> {
    let ranges = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(AnonymousError::Unreadable { path, error: error.kind() }),
    };
    let inside = ranges.lines().any(|line| {
        let mut fields = line.split(':').skip(1);
        let range = fields.next().zip(fields.next());
        let range = range.and_then(|(first, count)| first.parse::<u64>().ok().zip(count.parse::<u64>().ok()));
        range.is_some_and(|(first, count)| contains(first, count, id))
    });
    if inside { Err(AnonymousError::Taken { id, by: path.to_owned() }) } else { Ok(()) }
}

fn contains(first: u64, count: u64, id: u32) -> bool {
    u64::from(id).checked_sub(first).is_some_and(|offset| offset < count)
}

/// Whether an id exists in this user namespace, by the text of its map (user_namespaces(7)).
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next().and_then(|field| field.parse::<u64>().ok());
        let count = fields.nth(1).and_then(|field| field.parse::<u64>().ok());
        first.zip(count).is_some_and(|(first, count)| contains(first, count, id))
    })
}

fn no_process_is(uid: u32) -> Result<(), AnonymousError> {
    use std::os::unix::fs::MetadataExt as _;
    let unreadable = |error: io::Error| AnonymousError::Unreadable { path: "/proc", error: error.kind() };
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process that ended meanwhile is no process.
        if entry.metadata().is_ok_and(|about| about.uid() == uid) {
            return Err(AnonymousError::InUse { id: uid, pid });
        }
    }
    Ok(())
}

fn read(path: &'static str) -> Result<String, AnonymousError> {
    let bytes = fs::read(path).map_err(|error| AnonymousError::Unreadable { path, error: error.kind() })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_mapped_only_inside_a_range() {
        assert!(is_mapped("         0          0 4294967295\n", 65_520));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65_520));
        assert!(!is_mapped("0 1000 1\n1 100000 65519\n", 65_520));
        assert!(!is_mapped("", 0));
    }

    #[test]
    fn a_range_ends_before_first_plus_count() {
        assert!(contains(65_520, 1, 65_520));
        assert!(!contains(65_521, 10, 65_520));
        assert!(!contains(65_000, 520, 65_520));
    }
}
