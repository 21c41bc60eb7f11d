//! The session keyring of the calling thread.
#![expect(unsafe_code, reason = "keyctl(2) has no safe wrapper")]

use rustix::io::Errno;

/// Gives the calling thread a new, empty session keyring, so that it finds no key of the server.
///
/// A kernel without keyrings has nothing to hide and is not an error.
///
/// # Source
/// keyctl_join_session_keyring(3); the change is per thread.
pub(crate) fn join_empty_session() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY:
    // 1. operation 1 reads one argument, the keyring's name; a null name asks for an anonymous new keyring.
    // 2. no memory of ours is read or written.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, core::ptr::null::<u8>()) };
    if result >= 0 {
        return Ok(());
    }
    match std::io::Error::last_os_error().raw_os_error().unwrap_or(0) {
        libc::ENOSYS => Ok(()),
        error => Err(Errno::from_raw_os_error(error)),
    }
}
