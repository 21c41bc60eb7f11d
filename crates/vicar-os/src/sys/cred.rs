//! Reading the three user and three group ids of the calling thread.
#![expect(unsafe_code, reason = "getresuid(2) and getresgid(2) write through pointers and have no safe wrapper")]

use rustix::io::Errno;

/// Real, effective and saved id of the calling thread, in this order.
pub(crate) type Triple = [u32; 3];

fn errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// Returns the calling thread's user ids.
///
/// # Source
/// getresuid(2).
pub(crate) fn user_ids() -> Result<Triple, Errno> {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY:
    // 1. the three pointers come from live, distinct, aligned `u32`s.
    // 2. the call writes one `u32` to each and keeps none of them.
    let result = unsafe { libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved) };
    if result == 0 { Ok([real, effective, saved]) } else { Err(errno()) }
}

/// Returns the calling thread's group ids.
///
/// # Source
/// getresgid(2).
pub(crate) fn group_ids() -> Result<Triple, Errno> {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY:
    // 1. the three pointers come from live, distinct, aligned `u32`s.
    // 2. the call writes one `u32` to each and keeps none of them.
    let result = unsafe { libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved) };
    if result == 0 { Ok([real, effective, saved]) } else { Err(errno()) }
}
