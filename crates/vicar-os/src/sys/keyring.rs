//! The session keyring of the calling thread.
#![expect(unsafe_code, reason = "keyctl(2) has no safe wrapper")]

use rustix::io::Errno;

/// Gives the calling thread a new, empty session keyring, so that it finds no key of the server.
///
/// A kernel without keyrings, or a container's filter that refuses every use of them, has nothing in reach to hide and
/// is not an error.
///
/// # Source
/// keyctl_join_session_keyring(3); the change is per thread.
pub(crate) fn join_empty_session() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    match keyctl(JOIN_SESSION_KEYRING, 0) {
        Ok(()) | Err(Errno::NOSYS) => Ok(()),
        Err(Errno::PERM) if every_use_is_refused() => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether even asking for the number of one's own thread keyring is refused, which the kernel itself never does.
fn every_use_is_refused() -> bool {
    const GET_KEYRING_ID: libc::c_long = 0;
    const THREAD_KEYRING: libc::c_long = -1;
    keyctl(GET_KEYRING_ID, THREAD_KEYRING) == Err(Errno::PERM)
}

/// Makes one of the two calls above: neither reads nor writes memory of ours.
fn keyctl(operation: libc::c_long, argument: libc::c_long) -> Result<(), Errno> {
    // SAFETY:
    // 1. operation 1 reads one argument, a name; 0 is the null pointer and asks for an anonymous new keyring.
    // 2. operation 0 reads two numbers; the third argument 0 asks that no keyring be made.
    // 3. the function is private and is called with these two operations only.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, operation, argument, 0 as libc::c_long) };
    if result >= 0 {
        return Ok(());
    }
    Err(Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)))
}
