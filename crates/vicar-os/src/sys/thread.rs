//! Parting a thread from what it shares with the others of its process.
#![expect(unsafe_code, reason = "unshare(2) can also part the descriptor table, which safe code relies on")]

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// Gives the calling thread its own copy of what `flags` names; the descriptor table cannot be named.
///
/// # Source
/// unshare(2).
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    if flags.contains(UnshareFlags::FILES) {
        return Err(Errno::INVAL);
    }
    // SAFETY: the descriptor table stays shared (checked above), so every `OwnedFd` stays valid on every thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}
