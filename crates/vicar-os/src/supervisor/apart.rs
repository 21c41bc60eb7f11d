//! What every process that this crate forks has in common.

use super::error::{ForkError, Missing, Operation};
use crate::packet::{self, Received};
use crate::sys::fork::{self, Side};
use core::ffi::CStr;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, WaitOptions};
use rustix::thread::CapabilitySet;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// How long a process that was forked for a service may take to report, to take a message, and to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A process that was forked for a service of its own, by its socket. It ends with this value.
#[derive(Debug)]
pub(crate) struct Apart {
    socket: OwnedFd,
    process: Pid,
}

impl Apart {
    /// Forks a process, which runs `main` with its end of a socket and a descriptor of the calling process and ends with the
    /// code that gives, and waits until it has said that it is [ready](report).
    pub(crate) fn fork(main: impl FnOnce(OwnedFd, OwnedFd) -> i32) -> Result<Self, ForkError> {
        let failed = |operation| move |errno: Errno| ForkError::Failed { operation, errno: errno.raw_os_error() };
        let (near, far) = packet::pair().map_err(failed(Operation::Pipe))?;
        let caller = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map_err(failed(Operation::Fork))?;
        let process = match fork::fork() {
            Ok(Side::Child) => {
                // A panic must not unwind into the code of the process that forked this one.
                let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| main(far, caller)));
                fork::exit_now(code.unwrap_or(70))
            }
            Ok(Side::Parent { child }) => child,
            Err(Errno::BUSY) => return Err(ForkError::ManyThreads),
            Err(errno) => return Err(failed(Operation::Fork)(errno)),
        };
        drop((far, caller));
        // From here on it is ended when something fails.
        let apart = Self { socket: near, process };
        for side in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&apart.socket, side, Some(PATIENCE)).map_err(failed(Operation::Receive))?;
        }
        let mut first = [0; REPORT_LEN];
        match packet::receive(apart.socket.as_fd(), &mut first, RecvFlags::empty()) {
            Ok(Received::Message { len: REPORT_LEN, .. }) => read_report(first).map(|()| apart),
            Ok(_) | Err(Errno::AGAIN) => Err(ForkError::NotReady),
            Err(errno) => Err(failed(Operation::Receive)(errno)),
        }
    }

    /// Whether the process is there. It says nothing on the socket after its report: whatever there is to read is its end.
    pub(crate) fn is_alive(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        matches!(rustix::event::poll(&mut watched, Some(&now)), Ok(0))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_raw_nonzero().get().unsigned_abs()
    }

    pub(crate) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }
}

impl Drop for Apart {
    /// Ends the process and waits a moment for it, so that no zombie stays.
    fn drop(&mut self) {
        // An error means that the other end is gone already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        if let Ok(ended) = rustix::process::pidfd_open(self.process, PidfdFlags::empty()) {
            see_off(vec![(self.process, ended)], PATIENCE);
        }
    }
}

const REPORT_LEN: usize = 8;

/// Says whether this process is ready, as the first message on its socket.
///
/// # Errors
/// - when it is not ready, or nobody listens: it must end.
pub(crate) fn report(socket: &OwnedFd, ready: Result<(), ForkError>) -> Result<(), ()> {
    let sent = packet::send(socket.as_fd(), &write_report(ready), &[], SendFlags::empty());
    ready.map_err(drop).and(sent.map_err(drop))
}

/// The operations that a report can name.
const REPORTED: [Operation; 2] = [Operation::Shape, Operation::Close];

fn write_report(ready: Result<(), ForkError>) -> [u8; REPORT_LEN] {
    match ready {
        Ok(()) => [0; REPORT_LEN],
        Err(ForkError::Failed { operation, errno }) => {
            let [a, b, c, d] = errno.to_le_bytes();
            let place = REPORTED.iter().position(|known| *known == operation);
            [1, place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0), 0, 0, a, b, c, d]
        }
        Err(ForkError::Lacks(Missing(set))) => {
            let [a, b, c, d, e, f, g, _] = set.bits().to_le_bytes();
            [2, a, b, c, d, e, f, g]
        }
        Err(ForkError::ManyThreads | ForkError::NotReady) => [3, 0, 0, 0, 0, 0, 0, 0],
    }
}

fn read_report(message: [u8; REPORT_LEN]) -> Result<(), ForkError> {
    let [kind, place, b, c, errno @ ..] = message;
    match kind {
        0 => Ok(()),
        1 => Err(ForkError::Failed {
            operation: REPORTED.get(usize::from(place)).copied().unwrap_or(Operation::Shape),
            errno: i32::from_le_bytes(errno),
        }),
        2 => {
            let [e, f, g, h] = errno;
            let bits = u64::from_le_bytes([place, b, c, e, f, g, h, 0]);
            Err(ForkError::Lacks(Missing(CapabilitySet::from_bits_retain(bits))))
        }
        _ => Err(ForkError::NotReady),
    }
}

/// A step that failed while a process took its shape.
pub(crate) fn failed((operation, errno): (Operation, Errno)) -> ForkError {
    ForkError::Failed { operation, errno: errno.raw_os_error() }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_report_comes_back_as_it_was() {
        let lacks = Missing(CapabilitySet::KILL | CapabilitySet::CHECKPOINT_RESTORE);
        assert_eq!(lacks.to_string(), "CAP_KILL and CAP_CHECKPOINT_RESTORE");
        let failed = |operation| ForkError::Failed { operation, errno: libc::EPERM };
        for report in [
            Ok(()),
            Err(failed(Operation::Shape)),
            Err(failed(Operation::Close)),
            Err(ForkError::Lacks(lacks)),
            Err(ForkError::NotReady),
        ] {
            assert_eq!(read_report(write_report(report)), report);
        }
    }
}
