//! What a Unix socket knows about the process at its other end.
#![expect(unsafe_code, reason = "SO_PEERCRED, SO_PEERGROUPS and SO_PEERPIDFD have no safe wrapper that fits")]

use core::mem::size_of;
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// getsockopt(2) option that answers with a process descriptor (Linux 6.5).
const SO_PEERPIDFD: libc::c_int = 77;

/// Most groups one credential holds (NGROUPS_MAX).
const MAX_GROUPS: usize = 65_536;

/// The other end's ids as the kernel recorded them; nothing is interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawPeer {
    pub(crate) pid: i32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Returns process, effective user and effective group of the peer at the time of `connect`, `listen` or `socketpair`.
///
/// # Source
/// unix(7), SO_PEERCRED.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> Result<RawPeer, Errno> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = option_len(size_of::<libc::ucred>())?;
    // SAFETY:
    // 1. `peer` is live and writable for `len` bytes, which is what the kernel is told.
    // 2. every bit pattern the kernel may write is a valid `ucred`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &raw mut len)
    };
    if result != 0 {
        return Err(last_errno());
    }
    if usize::try_from(len) != Ok(size_of::<libc::ucred>()) {
        return Err(Errno::IO);
    }
    Ok(RawPeer { pid: peer.pid, uid: peer.uid, gid: peer.gid })
}

/// Returns the peer's supplementary groups at the same moment.
///
/// # Source
/// unix(7), SO_PEERGROUPS (Linux 4.13): `ERANGE` carries the length needed.
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut room: usize = 64;
    loop {
        let mut groups = vec![u32::MAX; room];
        let mut len = option_len(room.saturating_mul(size_of::<u32>()))?;
        // SAFETY:
        // 1. `groups` is live and writable for `len` bytes, which is what the kernel is told.
        // 2. every bit pattern is a valid `u32`.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let count = usize::try_from(len).map_err(|_too_long| Errno::IO)?.div_euclid(size_of::<u32>());
        if result == 0 {
            if count > room {
                return Err(Errno::IO);
            }
            groups.truncate(count);
            return Ok(groups);
        }
        match last_errno() {
            Errno::RANGE if room < MAX_GROUPS => room = count.max(room.saturating_mul(2)).min(MAX_GROUPS),
            error => return Err(error),
        }
    }
}

/// Returns a descriptor of the peer's process, or `None` when this kernel has no such option.
///
/// # Source
/// Linux 6.5, SO_PEERPIDFD. Some versions answer `ESRCH` or `EINVAL` for a process that is gone.
pub(crate) fn peer_process(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let mut descriptor: libc::c_int = -1;
    let mut len = option_len(size_of::<libc::c_int>())?;
    // SAFETY:
    // 1. `descriptor` is live and writable for `len` bytes, which is what the kernel is told.
    // 2. every bit pattern is a valid `c_int`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, (&raw mut descriptor).cast(), &raw mut len)
    };
    if result != 0 {
        return match last_errno() {
            Errno::NOPROTOOPT => Ok(None),
            error => Err(error),
        };
    }
    if descriptor < 0 {
        return Err(Errno::IO);
    }
    // SAFETY:
    // 1. the kernel has just made this descriptor for us and it is not negative (checked).
    // 2. nobody else knows its number.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

fn option_len(bytes: usize) -> Result<libc::socklen_t, Errno> {
    libc::socklen_t::try_from(bytes).map_err(|_too_long| Errno::INVAL)
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
