//! Making and ending processes.
#![expect(unsafe_code, reason = "fork(2), _exit(2), close_range(2), signal(2) and getauxval(3) have no safe wrapper")]

use rustix::io::Errno;
use rustix::process::Pid;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};

/// Which side of a fork this is.
#[derive(Debug)]
pub(crate) enum Side {
    /// The process that called.
    Parent {
        /// The new process.
        child: Pid,
    },
    /// The new process.
    Child,
}

/// Forks the calling process, which must have one thread.
///
/// In a process with more threads the child could use a lock that another thread held at the moment of the fork, and
/// nobody would ever release it. That hangs; it is not undefined behaviour with this C library, which repairs its own
/// locks in the child.
///
/// # Errors
/// - `EBUSY` when the process has more than one thread, or `/proc` cannot say.
///
/// # Source
/// fork(2); POSIX.1-2017 fork: a multi-threaded child may only make async-signal-safe calls.
pub(crate) fn fork() -> Result<Side, Errno> {
    if thread_count() != Some(THREADS) && thread_count() != Some(1) {
        return Err(Errno::BUSY);
    }
    // SAFETY:
    // 1. this is the only thread (checked), so no lock can be held by a thread that the child does not have. In a test of
    //    this crate there is one more, which waits for this one and holds none.
    // 2. no memory of ours is passed.
    let result = unsafe { libc::fork() };
    match result {
        0 => Ok(Side::Child),
        pid => match Pid::from_raw(pid).filter(|_| pid > 0) {
            Some(child) => Ok(Side::Parent { child }),
            None => Err(last_errno()),
        },
    }
}

/// The test runner has a thread besides the test's own when a test runs alone.
#[cfg(test)]
const THREADS: usize = 2;
#[cfg(not(test))]
const THREADS: usize = 1;

/// How many threads this process has; `None` when `/proc` cannot say.
pub(crate) fn thread_count() -> Option<usize> {
    let mut count: usize = 0;
    for entry in std::fs::read_dir("/proc/self/task").ok()? {
        entry.ok()?;
        count = count.saturating_add(1);
    }
    Some(count)
}

/// Ends the process at once: no exit handlers, no destructors, no buffers flushed.
///
/// # Source
/// _exit(2).
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: the call takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` up.
///
/// Values that own such a descriptor must not be used or dropped afterwards; the callers leave them behind in a
/// process that ends with [`exit_now`] or becomes another program.
///
/// # Source
/// close_range(2), Linux 5.9.
pub(crate) fn close_from(first: u32) -> Result<(), Errno> {
    if first > MAX_DESCRIPTOR {
        return Ok(());
    }
    close_between(first, u32::MAX)
}

/// Closes every descriptor from 3 up, except `kept`, in ascending order.
pub(crate) fn close_all_but(kept: &mut [u32]) -> Result<(), Errno> {
    kept.sort_unstable();
    let mut first: u32 = 3;
    for &mut descriptor in kept {
        if descriptor > first {
            close_between(first, descriptor.saturating_sub(1))?;
        }
        first = first.max(descriptor.saturating_add(1));
    }
    close_from(first)
}

/// Closes what the caller owns: in one call when the numbers follow one another, as those of files that were opened in a row do.
///
/// # Source
/// close_range(2), Linux 5.9.
pub(crate) fn close_together(owned: Vec<OwnedFd>) {
    let number = |file: &OwnedFd| file.as_raw_fd().unsigned_abs();
    let (Some(first), Some(last)) = (owned.first().map(number), owned.last().map(number)) else { return };
    let in_a_row = owned.iter().zip(first..).all(|(file, expected)| number(file) == expected);
    if in_a_row && close_between(first, last).is_ok() {
        // They are closed: nobody owns these numbers any more.
        owned.into_iter().for_each(|file| {
            let _closed = file.into_raw_fd();
        });
    }
}

const MAX_DESCRIPTOR: u32 = i32::MAX.unsigned_abs();

fn close_between(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY:
    // 1. the call takes three numbers and touches no memory.
    // 2. owners of these descriptors are left behind, see `close_from`, or give them up, see `close_together`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Gives every signal its default action and unblocks all of them.
///
/// # Source
/// signal(7): dispositions and the mask survive fork(2); ignored signals and the mask survive execve(2).
pub(crate) fn reset_signals() -> Result<(), Errno> {
    for number in 1..=64 {
        set_disposition(number, libc::SIG_DFL);
    }
    let mut none = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to live memory of the right type, which the call initialises.
    let emptied = unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    if emptied != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY:
    // 1. `none` was initialised by sigemptyset, which succeeded.
    // 2. a null third argument asks for no copy of the old mask.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), core::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(result)) }
}

/// Ignores one signal.
pub(crate) fn ignore(signal: rustix::process::Signal) {
    set_disposition(signal.as_raw(), libc::SIG_IGN);
}

fn set_disposition(number: i32, disposition: libc::sighandler_t) {
    // SAFETY:
    // 1. the disposition is `SIG_DFL` or `SIG_IGN`, so no code of ours runs as a handler.
    // 2. numbers that cannot be set (SIGKILL, SIGSTOP, the C library's own) are refused without effect.
    let _previous = unsafe { libc::signal(number, disposition) };
}

/// Whether the kernel started this program with more rights than its caller had (set-user-ID, set-group-ID, file
/// capabilities).
///
/// # Source
/// getauxval(3), AT_SECURE.
pub(crate) fn started_with_more_rights() -> bool {
    // SAFETY: the call reads the auxiliary vector and touches no memory of ours.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that are open here, by what they are and not by their numbers.
    fn open_pipes() -> usize {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        let is_pipe = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_link(entry.unwrap().path()).is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"))
        };
        entries.filter_map(|entry| is_pipe(entry).then_some(())).count()
    }

    #[test]
    fn what_is_closed_together_is_closed_and_nothing_else_is() {
        crate::testing::passes_alone("sys::fork::tests::what_is_closed_together_is_closed_and_nothing_else_is", || {
            let before = open_pipes();
            let pipes = || {
                (0..8).flat_map(|_| {
                    let (read, write) = rustix::pipe::pipe().unwrap();
                    [read, write]
                })
            };
            close_together(Vec::new());
            close_together(pipes().collect());
            assert_eq!(open_pipes(), before);
            // With one between that is somebody else's.
            let (kept, closed): (Vec<_>, Vec<_>) = pipes().enumerate().partition(|(index, _)| *index == 5);
            close_together(closed.into_iter().map(|(_, file)| file).collect());
            assert_eq!(open_pipes(), before + 1);
            drop(kept);
            assert_eq!(open_pipes(), before);
        });
    }
}
