//! What a process is now, read through a descriptor that cannot come to mean another one.

use crate::{KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Effective user, effective group and supplementary groups of its first thread.
    pub(crate) identity: UnixIdentity,
    /// When it was started, in ticks since boot: no two processes with the same number have the same.
    pub(crate) started: u64,
}

/// Why nothing is known about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookError {
    /// It has ended.
    Ended,
    /// The kernel would not answer.
    Failed {
        /// What was asked.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
    /// The answer was not what it is documented to be.
    Malformed,
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the process has ended"),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Malformed => f.write_str("the process's status is malformed"),
        }
    }
}

impl core::error::Error for LookError {}

fn failed(operation: &'static str) -> impl FnOnce(Errno) -> LookError {
    move |errno| match errno {
        Errno::SRCH | Errno::NOENT => LookError::Ended,
        errno => LookError::Failed { operation, errno: errno.raw_os_error() },
    }
}

/// Opens a process by its number, where the socket does not say which one it is. Whoever has the number now may be another
/// than the one meant.
pub(crate) fn open(pid: i32) -> Result<OwnedFd, LookError> {
    let pid = Pid::from_raw(pid).ok_or(LookError::Malformed)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(failed("pidfd_open"))
}

/// Reads what the process with a number is, while a descriptor says that it is still the same one.
///
/// # Inputs
/// - `process`: its descriptor. A number is not given to another process before this one has ended and been waited for, and
///   the descriptor is asked after reading.
///
/// # Source
/// pidfd_open(2); proc_pid_status(5); proc_pid_stat(5), field 22.
pub(crate) fn look(process: BorrowedFd<'_>, pid: i32) -> Result<Seen, LookError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, format!("/proc/{pid}"), flags, Mode::empty()).map_err(failed("open /proc/PID"))?;
    let status = read(&directory, "status")?;
    let stat = read(&directory, "stat")?;
    if has_ended(process)? {
        return Err(LookError::Ended);
    }
    let identity = identity(&status).ok_or(LookError::Malformed)?;
    let started = started(&stat).ok_or(LookError::Malformed)?;
    Ok(Seen { identity, started })
}

fn read(directory: &OwnedFd, name: &'static str) -> Result<String, LookError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).map_err(failed("open a file of /proc/PID"))?;
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH) => LookError::Ended,
        other => LookError::Failed { operation: "read a file of /proc/PID", errno: other.unwrap_or(0) },
    })?;
    // The name of a program may be any bytes; nothing of it is looked at.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A process descriptor is readable once the process has ended.
fn has_ended(process: BorrowedFd<'_>) -> Result<bool, LookError> {
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut watched, Some(&NOW)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("poll")(errno)),
        }
    }
}

fn identity(status: &str) -> Option<UnixIdentity> {
    // The first line holds the program's name, in which a newline is written as two characters.
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
    let effective = |key| line(key)?.split_ascii_whitespace().nth(1)?.parse::<u32>().ok();
    let groups: Option<Vec<KernelGid>> =
        line("Groups:")?.split_ascii_whitespace().map(|id| id.parse().ok().and_then(KernelGid::new)).collect();
    let (uid, gid) = (KernelUid::new(effective("Uid:")?)?, KernelGid::new(effective("Gid:")?)?);
    UnixIdentity::new(uid, gid, groups?).ok()
}

fn started(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, which may hold any; the last one ends it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn this_process_is_itself() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let process = open(pid).unwrap();
        let seen = look(process.as_fd(), pid).unwrap();
        assert_eq!(seen.identity, crate::source::own::own().unwrap().identity);
        assert_eq!(look(process.as_fd(), pid), Ok(seen));
    }

    #[test]
    fn a_process_that_ended_is_not_read() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = open(pid).unwrap();
        // Ended and not waited for: its status is still there to read.
        while !has_ended(process.as_fd()).unwrap() {
            std::thread::yield_now();
        }
        assert_eq!(look(process.as_fd(), pid), Err(LookError::Ended));
        child.wait().unwrap();
        assert_eq!(look(process.as_fd(), pid), Err(LookError::Ended));
        assert_eq!(open(pid).map(|_| ()), Err(LookError::Ended));
        // Another process's number never makes up for it.
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(look(process.as_fd(), own), Err(LookError::Ended));
    }

    #[test]
    fn names_of_programs_say_nothing() {
        let status = "Name:\tUid:\\n0 0 0 0\nUmask:\t0022\nUid:\t5\t6\t7\t6\nGid:\t15\t16\t17\t16\nGroups:\t9 20 \n";
        assert_eq!(identity(status).unwrap().to_string(), "uid 6 gid 16 groups 9,16,20");
        let fields: Vec<String> = (3..53).map(|field| field.to_string()).collect();
        assert_eq!(started(&format!("1 (a) S 9) b (c) {}", fields.join(" "))), Some(22));
        assert_eq!(identity("Name:\tx\nUid:\t5\n"), None);
        assert_eq!(started("1 x"), None);
    }
}
