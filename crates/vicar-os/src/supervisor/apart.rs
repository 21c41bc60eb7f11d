//! What every process that this crate forks has in common.

use super::error::Operation;
use crate::sys::fork;
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::os::fd::{AsRawFd as _, OwnedFd};

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
