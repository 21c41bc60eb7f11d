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

const GET_KEYRING_ID: libc::c_long = 0;

/// Whether this process has a keyring that its threads share.
///
/// # Source
/// process-keyring(7): made when first used, and never left again.
pub(crate) fn has_process_keyring() -> Result<bool, Errno> {
    const PROCESS_KEYRING: libc::c_long = -2;
    match keyctl(GET_KEYRING_ID, PROCESS_KEYRING) {
        Ok(()) => Ok(true),
        Err(Errno::NOKEY | Errno::NOSYS) => Ok(false),
        Err(Errno::PERM) if every_use_is_refused() => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether even asking for the number of one's own thread keyring is refused, which the kernel itself never does.
fn every_use_is_refused() -> bool {
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

/// Gives this process a keyring that its threads share, with a key in it.
#[cfg(test)]
pub(crate) fn make_process_keyring() {
    const PROCESS_KEYRING: libc::c_long = -2;
    let (kind, name, secret) = (c"user", c"vicar-test", b"secret");
    // SAFETY: the strings and the bytes live during the call, which copies them.
    let serial = unsafe {
        libc::syscall(libc::SYS_add_key, kind.as_ptr(), name.as_ptr(), secret.as_ptr(), secret.len(), PROCESS_KEYRING)
    };
    assert!(serial > 0, "add_key: {}", std::io::Error::last_os_error());
}

/// Whether keyrings can be used at all by the calling thread.
#[cfg(test)]
pub(crate) fn works_here() -> bool {
    keyctl(GET_KEYRING_ID, -3) == Ok(()) && !every_use_is_refused()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filtered_thread_uses_no_key() {
        if !works_here() {
            return eprintln!("skipped: no keyrings here");
        }
        std::thread::spawn(|| {
            join_empty_session().unwrap();
            crate::sys::seccomp::refuse_tasks_programs_and_keys().unwrap();
            assert!(!works_here());
            assert_eq!(keyctl(GET_KEYRING_ID, -3), Err(Errno::PERM));
            // Asked for again, there is nothing in reach, which is what was wanted.
            assert_eq!((join_empty_session(), has_process_keyring()), (Ok(()), Ok(false)));
        })
        .join()
        .unwrap();
    }
}
