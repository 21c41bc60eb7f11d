//! Who nobody is: a user and a group that no account, no range and no process uses.

use crate::{KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

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
        by: &'static str,
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

/// How long processes that have the ids may take to end: other servers act as nobody for a moment, in processes of their own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds the anonymous identity and makes sure that it is nobody.
///
/// # Errors
/// - [`AnonymousError`] when passwd, group, a subordinate range or a process uses it, or when it is not mapped here.
pub(super) fn find() -> Result<UnixIdentity, AnonymousError> {
    let (uid, gid) = match account()? {
        Some(ids) => {
            nobody_else_has(ids, &read("/etc/passwd")?, &read("/etc/group")?)?;
            ids
        }
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
    becomes_free(uid, gid, PATIENCE)?;
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
            return Err(AnonymousError::Taken { id, by: path });
        }
    }
    // Accounts that are not in the files: a directory service.
    if crate::source::account::by_uid(id).is_ok() {
        return Err(AnonymousError::Taken { id, by: "the user database" });
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
    if inside { Err(AnonymousError::Taken { id, by: path }) } else { Ok(()) }
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

/// Makes sure that the account's ids are its own: no other account has them, and its group is its own and empty.
fn nobody_else_has((uid, gid): (u32, u32), passwd: &str, group: &str) -> Result<(), AnonymousError> {
    let is = |field: Option<&str>, id: u32| field.and_then(|field| field.parse().ok()) == Some(id);
    let taken = |id, by| AnonymousError::Taken { id, by };
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let own = fields.next() == Some(ACCOUNT);
        if !own && is(fields.nth(1), uid) {
            return Err(taken(uid, "/etc/passwd"));
        }
        if !own && is(fields.next(), gid) {
            return Err(taken(gid, "/etc/passwd"));
        }
    }
    for line in group.lines() {
        let mut fields = line.split(':');
        let own = fields.next() == Some(ACCOUNT);
        let same = is(fields.nth(1), gid);
        let has_members = fields.next().is_some_and(|members| !members.trim().is_empty());
        if same && (!own || has_members) {
            return Err(taken(gid, "/etc/group"));
        }
    }
    Ok(())
}

/// Waits until no process has the ids.
fn becomes_free(uid: u32, gid: u32, limit: Duration) -> Result<(), AnonymousError> {
    let start = Instant::now();
    loop {
        let found = no_process_is(uid, gid);
        let Err(AnonymousError::InUse { pid, .. }) = found else { return found };
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return found;
        }
        // One that has ended by now has no descriptor; one that only changes its ids is looked at again soon.
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let process = process.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(process) = process {
            let soon = crate::supervisor::timespec(left.min(Duration::from_millis(20)));
            // An interruption only means that it is looked at sooner.
            let _ = rustix::event::poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&soon));
        }
    }
}

fn no_process_is(uid: u32, gid: u32) -> Result<(), AnonymousError> {
    let unreadable = |error: io::Error| AnonymousError::Unreadable { path: "/proc", error: error.kind() };
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process that ended meanwhile is no process.
        let Ok(status) = fs::read(entry.path().join("status")) else { continue };
        let status = String::from_utf8_lossy(&status);
        if has_ended(&status) {
            continue;
        }
        for (keys, id) in [(&["Uid:"][..], uid), (&["Gid:", "Groups:"][..], gid)] {
            if keys.iter().any(|key| acts_as(&status, key, id)) {
                return Err(AnonymousError::InUse { id, pid });
            }
        }
    }
    Ok(())
}

/// Whether nothing is left of a process but what its parent has yet to hear: its first thread has ended, and no other goes on.
fn has_ended(status: &str) -> bool {
    let value = |key| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let has_others = value("Threads:").and_then(|count| count.parse().ok()).is_none_or(|count: u32| count > 1);
    !has_others && value("State:").is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// Whether a process has an id other than as its real one, by one line of its status: a program that somebody's client ran
/// has the anonymous id as its real one, and can do nothing with it.
///
/// # Source
/// proc_pid_status(5): real, effective, saved and file system id.
fn acts_as(status: &str, key: &str, id: u32) -> bool {
    let Some(ids) = status.lines().find_map(|line| line.strip_prefix(key)) else { return false };
    let real = usize::from(key != "Groups:");
    ids.split_ascii_whitespace().skip(real).any(|field| field.parse() == Ok(id))
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
    fn the_account_shares_its_ids_with_nobody() {
        let passwd = "root:x:0:0::/:\nvicar-anon:x:900:901::/:\n";
        let check = |passwd: &str, group: &str| nobody_else_has((900, 901), passwd, group);
        assert_eq!(check(passwd, "root:x:0:\nvicar-anon:x:901:\n"), Ok(()));
        for (more, group) in [
            ("bob:x:900:50::/:\n", ""),
            ("bob:x:50:901::/:\n", ""),
            ("", "users:x:901:\n"),
            ("", "vicar-anon:x:901:bob\n"),
        ] {
            let taken = check(&format!("{passwd}{more}"), group);
            assert!(matches!(taken, Err(AnonymousError::Taken { .. })), "{more}{group}: {taken:?}");
        }
    }

    #[test]
    fn a_process_acts_as_its_effective_and_saved_ids_and_its_groups() {
        let status = "Name:\tx\nUid:\t7\t8\t9\t8\nGid:\t17\t18\t19\t18\nGroups:\t20 21 \n";
        assert!(!acts_as(status, "Uid:", 7));
        assert!(acts_as(status, "Uid:", 8) && acts_as(status, "Uid:", 9));
        assert!(!acts_as(status, "Gid:", 17) && acts_as(status, "Gid:", 19));
        assert!(acts_as(status, "Groups:", 20) && acts_as(status, "Groups:", 21));
        assert!(!acts_as("Name:\tx\n", "Uid:", 8));
    }

    #[test]
    fn a_process_has_ended_with_its_last_thread() {
        let status = |state: &str, threads: &str| format!("Name:\tx\nState:\t{state}\n{threads}");
        assert!(has_ended(&status("Z (zombie)", "Threads:\t1\n")));
        assert!(has_ended(&status("X (dead)", "Threads:\t0\n")));
        // The first thread has ended and another goes on.
        assert!(!has_ended(&status("Z (zombie)", "Threads:\t2\n")));
        assert!(!has_ended(&status("S (sleeping)", "Threads:\t1\n")));
        for unknown in ["", "Threads:\t\n", "Threads:\tZ\n"] {
            assert!(!has_ended(&status("Z (zombie)", unknown)), "{unknown:?}");
        }
        assert!(!has_ended("Threads:\t1\n"));
    }

    #[test]
    fn who_is_nobody_for_a_moment_is_waited_for() {
        let name = "server::anonymous::tests::who_is_nobody_for_a_moment_is_waited_for";
        crate::testing::passes_alone(name, || {
            // An id of this test's own: others may run at the same time.
            const ID: u32 = 61_977;
            let mut command = std::process::Command::new("setpriv");
            command.args(["--reuid=61000", "--regid=61000", "--groups=61977", "sh", "-c", "echo; read -r _"]);
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut member = match command.spawn() {
                Ok(member) => member,
                Err(error) => return eprintln!("skipped: setpriv: {error}"),
            };
            let mut line = [0];
            std::io::Read::read_exact(member.stdout.as_mut().unwrap(), &mut line).unwrap();
            let found = becomes_free(ID, ID, Duration::ZERO);
            assert_eq!(found, Err(AnonymousError::InUse { id: ID, pid: member.id() }));
            let waiting = std::thread::spawn(|| becomes_free(ID, ID, Duration::from_secs(60)));
            drop(member.stdin.take());
            assert_eq!(waiting.join().unwrap(), Ok(()));
            // It has ended, and nobody has heard of it yet.
            assert_eq!(becomes_free(ID, ID, Duration::ZERO), Ok(()));
            member.wait().unwrap();
        });
    }

    #[test]
    fn a_range_ends_before_first_plus_count() {
        assert!(contains(65_520, 1, 65_520));
        assert!(!contains(65_521, 10, 65_520));
        assert!(!contains(65_000, 520, 65_520));
    }
}
