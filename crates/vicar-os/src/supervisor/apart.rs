//! What every process that this crate forks has in common.

use super::error::Operation;
use crate::sys::fork;
use core::ffi::CStr;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, WaitOptions};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// A descriptor's number; descriptors are never negative.
pub(crate) fn descriptor(owner: &OwnedFd) -> u32 {
    owner.as_raw_fd().unsigned_abs()
}

/// Takes leave of the process that forked this one: a session of its own, default signals, no core files, not dumpable,
/// no descriptor but standard error and those `kept`, standard input and output silent, in `/`.
///
/// # Source
/// setsid(2), close_range(2), prctl(2) PR_SET_DUMPABLE and PR_SET_NAME, getrlimit(2).
pub(crate) fn be_apart(name: &CStr, kept: &mut [u32], umask: Mode) -> Result<(), (Operation, Errno)> {
    let shape = |errno| (Operation::Shape, errno);
    fork::close_all_but(kept).map_err(|errno| (Operation::Close, errno))?;
    rustix::process::setsid().map_err(shape)?;
    fork::reset_signals().map_err(shape)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(shape)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(shape)?;
    rustix::thread::set_name(name).map_err(shape)?;
    rustix::process::chdir("/").map_err(shape)?;
    rustix::process::umask(umask);
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).map_err(shape)?;
    rustix::stdio::dup2_stdin(&null).map_err(shape)?;
    rustix::stdio::dup2_stdout(&null).map_err(shape)
}

/// Waits for children that were told to end, but not for ever, so that no zombies are left to whoever has none to reap them.
pub(crate) fn see_off(mut children: Vec<(Pid, OwnedFd)>, limit: Duration) {
    let start = Instant::now();
    loop {
        children.retain(|(process, _)| {
            matches!(rustix::process::waitpid(Some(*process), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR))
        });
        let left = limit.saturating_sub(start.elapsed());
        if children.is_empty() || left.is_zero() {
            return;
        }
        let mut watched: Vec<_> = children.iter().map(|(_, ended)| PollFd::new(ended, PollFlags::IN)).collect();
        let _ = rustix::event::poll(&mut watched, Some(&super::timespec(left)));
    }
}
