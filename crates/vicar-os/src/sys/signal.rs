//! The signal mask of the calling thread, and the one signal that interrupts a blocking call.
#![expect(unsafe_code, reason = "pthread_sigmask(3), sigaction(2) and tgkill(2) have no safe wrapper")]

use rustix::io::Errno;
use rustix::thread::Pid;
use std::sync::{Mutex, PoisonError};

/// Blocks every signal that can be blocked on the calling thread.
///
/// A handler would run with the identity of whatever thread the signal hits.
///
/// # Source
/// pthread_sigmask(3), signal(7).
pub(crate) fn block_all() -> Result<(), Errno> {
    let mut every = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to live memory of the right type, which the call initialises.
    let filled = unsafe { libc::sigfillset(every.as_mut_ptr()) };
    if filled != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY:
    // 1. `every` was initialised by sigfillset, which succeeded.
    // 2. a null third argument asks for no copy of the old mask.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, every.as_ptr(), core::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(result)) }
}

/// The signal that interrupts a blocking call. The C library says where the real-time signals begin.
fn interruption() -> libc::c_int {
    libc::SIGRTMIN().saturating_add(3)
}

/// Does nothing: that a handler ran at all is what interrupts a call.
extern "C" fn nothing(_signal: libc::c_int) {}

/// Gives the process the handler that does nothing, and unblocks its signal on the calling thread.
///
/// `EBUSY` when something else in the process handles or ignores the signal.
///
/// # Source
/// sigaction(2): without `SA_RESTART` an interrupted call fails with `EINTR`.
pub(crate) fn allow_interruption() -> Result<(), Errno> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut before = core::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY:
    // 1. a null second argument changes nothing.
    // 2. the third points to live memory of the right type, which the call fills.
    if unsafe { libc::sigaction(interruption(), core::ptr::null(), before.as_mut_ptr()) } != 0 {
        return Err(last_errno());
    }
    // SAFETY: every field is an integer or an optional function, for which all zeroes are valid, and the call filled it.
    let before = unsafe { before.assume_init() };
    let ours: extern "C" fn(libc::c_int) = nothing;
    let ours = ours as libc::sighandler_t;
    if before.sa_sigaction != ours {
        if before.sa_sigaction != libc::SIG_DFL {
            return Err(Errno::BUSY);
        }
        let mut action = core::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: as above, all zeroes are a valid value: no flags, nothing blocked, the default handler.
        let action = unsafe {
            let action = action.assume_init_mut();
            action.sa_sigaction = ours;
            *action
        };
        // SAFETY:
        // 1. the action lives during the call and names a function with the signature that a handler without flags has.
        // 2. the handler touches nothing, so it may run at any point of any thread.
        if unsafe { libc::sigaction(interruption(), &raw const action, core::ptr::null_mut()) } != 0 {
            return Err(last_errno());
        }
    }
    drop(one_at_a_time);
    let mut only = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to live memory of the right type, which the call initialises.
    if unsafe { libc::sigemptyset(only.as_mut_ptr()) } != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: the set was initialised by sigemptyset, which succeeded.
    if unsafe { libc::sigaddset(only.as_mut_ptr(), interruption()) } != 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY:
    // 1. the set is initialised.
    // 2. a null third argument asks for no copy of the old mask.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, only.as_ptr(), core::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(result)) }
}

/// Sends the signal to a thread of this process that allowed it. The caller makes sure that the thread has not ended.
///
/// # Source
/// tgkill(2).
pub(crate) fn interrupt(thread: Pid) -> Result<(), Errno> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: three numbers; the signal has a handler, which does nothing, or the call fails.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, own, thread.as_raw_nonzero().get(), interruption()) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// What a descriptor sends signals to, or which, as fcntl(2) with this command and number.
#[cfg(test)]
pub(crate) fn own(file: impl std::os::fd::AsFd, command: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the descriptor is open, and the commands that tests give take a number.
    let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, value) };
    if result >= 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
