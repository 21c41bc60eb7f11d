//! Becoming root of a user namespace of one's own, where a range of ids has been lent to the user.
//!
//! An ordinary user with a line in `/etc/subuid` and `/etc/subgid` may own other ids, and the kernel enforces them like
//! any others. That is enough to show a server that acts as several clients, and to test one, without being root.

use super::calls::{CredentialCalls as _, Kernel};
use crate::{source, sys};
use core::fmt;
use rustix::io::Errno;
use rustix::thread::UnshareFlags;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Ids that must exist besides 0 so that the anonymous identity does.
const NEEDED: u32 = 65_535;

/// Why this user cannot be root of a namespace of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsernsError {
    /// No account has this uid, so no range can be lent to it.
    NoAccount(u32),
    /// The file has no range of 65,535 ids or more for this user.
    NoRange {
        /// `/etc/subuid` or `/etc/subgid`.
        path: &'static str,
        /// Whose range is missing.
        user: String,
    },
    /// The set-uid helpers that write the maps are not installed.
    NoHelper(&'static str),
    /// The process that runs the helpers could not be made or told to begin.
    NoMapper(i32),
    /// The helpers refused.
    Maps {
        /// The exit code; `None` when a signal ended them.
        code: Option<i32>,
        /// What they said, for people.
        said: String,
    },
    /// The kernel refused.
    System {
        /// Which call.
        operation: &'static str,
        /// What it answered.
        errno: i32,
    },
}

impl fmt::Display for UsernsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAccount(uid) => write!(f, "no account has uid {uid}"),
            Self::NoRange { path, user } => write!(f, "{path} lends no {NEEDED} ids to {user}"),
            Self::NoHelper(name) => write!(f, "{name} is not installed (Debian package uidmap)"),
            Self::NoMapper(errno) => {
                write!(f, "running the helpers for the id maps: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Maps { said, .. } => write!(f, "writing the id maps: {said}"),
            Self::System { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl core::error::Error for UsernsError {}

fn at(operation: &'static str) -> impl FnOnce(Errno) -> UsernsError {
    move |errno| UsernsError::System { operation, errno: errno.raw_os_error() }
}

fn no_mapper(error: std::io::Error) -> UsernsError {
    UsernsError::NoMapper(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Makes this process, which must have one thread, root of a new user namespace.
///
/// User and group 0 there are the caller's own outside, ids from 1 on are the ranges lent to it.
///
/// # Errors
/// - [`UsernsError`]; after a failure of the maps the process has no usable ids and must end.
///
/// # Identity
/// Afterwards all ids are 0 in the namespace, there are no supplementary groups, and all capabilities are held over the
/// namespace and over nothing else.
///
/// # Source
/// user_namespaces(7), newuidmap(1), subuid(5).
pub fn become_root_of_own() -> Result<(), UsernsError> {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let account = source::account::by_uid(uid).map_err(|_absent| UsernsError::NoAccount(uid))?;
    let uids = range("/etc/subuid", &account.name, uid)?;
    let gids = range("/etc/subgid", &account.name, uid)?;
    for helper in ["newuidmap", "newgidmap"] {
        if !is_installed(helper) {
            return Err(UsernsError::NoHelper(helper));
        }
    }
    // The helpers must be outside the namespace, so their parent is made first and waits for a line.
    let script =
        "read -r _ && newuidmap \"$1\" 0 \"$2\" 1 1 \"$3\" \"$4\" && newgidmap \"$1\" 0 \"$5\" 1 1 \"$6\" \"$7\"";
    let pid = std::process::id();
    let numbers = [pid, uid, uids.0, uids.1, gid, gids.0, gids.1].map(|number| number.to_string());
    let mut mapper = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args(numbers)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(no_mapper)?;
    sys::thread::unshare(UnshareFlags::NEWUSER).map_err(at("unshare CLONE_NEWUSER"))?;
    if let Some(mut go) = mapper.stdin.take() {
        go.write_all(b"\n").map_err(no_mapper)?;
    }
    let mapped = mapper.wait_with_output().map_err(no_mapper)?;
    if !mapped.status.success() {
        let said = String::from_utf8_lossy(&mapped.stderr).trim().to_owned();
        return Err(UsernsError::Maps { code: mapped.status.code(), said });
    }
    // Groups from outside that have no number here could not be set again after a switch.
    Kernel.set_groups(&[]).map_err(at("setgroups"))?;
    let observed = Kernel.observe().map_err(at("reading credentials"))?;
    if observed.user_ids == [0; 3] && observed.group_ids == [0; 3] && observed.groups.is_empty() {
        Ok(())
    } else {
        Err(UsernsError::System { operation: "verifying the namespace's ids", errno: libc::EPERM })
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain([Path::new("/usr/bin").to_owned()]).any(|dir| dir.join(program).is_file())
}

/// The first large enough range that `path` lends to the user, as first id and count.
fn range(path: &'static str, name: &str, uid: u32) -> Result<(u32, u32), UsernsError> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    find_range(&text, name, uid).ok_or_else(|| UsernsError::NoRange { path, user: name.to_owned() })
}

fn find_range(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        if owner != name && owner.parse() != Ok(uid) {
            return None;
        }
        let first: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        (count >= NEEDED && first.checked_add(count).is_some()).then_some((first, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_by_name_or_number_and_must_be_large_enough() {
        let text = "bob:100000:65536\nalice:165536:1000\nalice:231072:65536\n1007:300000:65535\n";
        assert_eq!(find_range(text, "alice", 1000), Some((231_072, 65_536)));
        assert_eq!(find_range(text, "carol", 1007), Some((300_000, 65_535)));
        assert_eq!(find_range(text, "dave", 1008), None);
        assert_eq!(find_range("alice:4294967000:65536\n", "alice", 1), None);
        assert_eq!(find_range("alice:x:65536\nalice\n", "alice", 1), None);
    }
}
