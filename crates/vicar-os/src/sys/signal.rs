//! The signal mask of the calling thread.
#![expect(unsafe_code, reason = "pthread_sigmask(3) has no safe wrapper")]

use rustix::io::Errno;

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
