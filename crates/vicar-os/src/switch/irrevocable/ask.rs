//! One closure in a process that is somebody else for good.

use super::{DropError, answer, drop_to};
use crate::UnixIdentity;
use crate::sys::fork::{self, Side};
use core::fmt;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Longest time for one closure; its process is killed after that.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// Most bytes a closure may return.
pub(super) const MAX_ANSWER_LEN: usize = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// This process has more than one thread: use an [`Oracle`](super::Oracle) made earlier.
    ManyThreads,
    /// The forked process did not become the other identity; the closure did not run.
    Dropped(DropError),
    /// A system call failed here.
    Failed {
        /// The call.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
    /// The process ended before it was done: the closure panicked or was killed.
    Crashed,
    /// The process took longer than a minute and was killed.
    TimedOut,
    /// The closure returned more than 64 MiB.
    TooLong,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyThreads => f.write_str("only a process with one thread can fork"),
            Self::Dropped(error) => error.fmt(f),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Crashed => f.write_str("the process ended before it was done"),
            Self::TimedOut => f.write_str("the process took too long"),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl core::error::Error for AskError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Dropped(error) => Some(error),
            Self::ManyThreads | Self::Failed { .. } | Self::Crashed | Self::TimedOut | Self::TooLong => None,
        }
    }
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> AskError {
    move |errno| AskError::Failed { operation, errno: errno.raw_os_error() }
}

/// Runs `work` in a forked process that is `identity` for good, and returns the bytes it returned.
///
/// The process has this one's memory, descriptors and working directory, and nothing of its rights. It ends without
/// running destructors. Only for a process with one thread: after a fork, a lock that another thread held would never be
/// released.
///
/// # Errors
/// - [`AskError::ManyThreads`] when this process has more than one thread; nothing was done.
/// - [`AskError::Dropped`] when the process could not become `identity`; `work` did not run.
/// - [`AskError::Crashed`], [`AskError::TimedOut`], [`AskError::TooLong`] when `work` gave no answer.
/// - [`AskError::Failed`] when a call failed here.
///
/// # Cost
/// A fork: about 0.1 ms from a small process.
pub fn ask(identity: &UnixIdentity, work: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, AskError> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe2"))?;
    let this = rustix::process::getpid();
    let child = match fork::fork() {
        Ok(Side::Child) => {
            drop(read);
            be_asked(identity, work, &write, this)
        }
        Ok(Side::Parent { child }) => child,
        Err(Errno::BUSY) => return Err(AskError::ManyThreads),
        Err(errno) => return Err(failed("fork")(errno)),
    };
    drop(write);
    let bytes = read_all(&read);
    let _ = rustix::process::kill_process(child, Signal::KILL);
    reap(child).map_err(failed("waitpid"))?;
    match answer::decode(&bytes?) {
        Some(Ok(bytes)) => Ok(bytes),
        Some(Err(error)) => Err(AskError::Dropped(error)),
        None => Err(AskError::Crashed),
    }
}

fn be_asked(identity: &UnixIdentity, work: impl FnOnce() -> Vec<u8>, pipe: &OwnedFd, parent: Pid) -> ! {
    // A panic must not unwind into the code of the process that forked this one.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let report = drop_to(identity).map(|_dropped| {
            // A change of ids clears this, so it comes after.
            let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            if rustix::process::getppid() == Some(parent) { work() } else { Vec::new() }
        });
        i32::from(write_all(pipe, &answer::encode(&report)).is_err())
    }));
    fork::exit_now(code.unwrap_or(70))
}

fn write_all(pipe: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(pipe, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads until the other end is closed.
fn read_all(pipe: &OwnedFd) -> Result<Vec<u8>, AskError> {
    let start = Instant::now();
    let mut bytes = Vec::new();
    let mut chunk = [0; 16_384];
    loop {
        let left = LIMIT.saturating_sub(start.elapsed());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match rustix::event::poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&limit)) {
            Ok(0) => return Err(AskError::TimedOut),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(failed("poll")(errno)),
        }
        match rustix::io::read(pipe, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("read")(errno)),
        }
        if bytes.len() > MAX_ANSWER_LEN {
            return Err(AskError::TooLong);
        }
    }
}

/// Waits for a child that has been killed.
pub(super) fn reap(child: Pid) -> Result<(), Errno> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            // Whoever ignores SIGCHLD has no children to wait for.
            Ok(_) | Err(Errno::CHILD) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}
