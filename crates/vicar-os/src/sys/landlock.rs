//! Landlock: restrictions that a process puts on itself, whatever its user may do.
#![expect(unsafe_code, reason = "the three Landlock calls have no safe wrapper")]

use core::mem::size_of;
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Asks for the version of the interface instead of a ruleset.
const VERSION: libc::c_uint = 1;
/// The one kind of rule used here: about a file hierarchy.
const PATH_BENEATH: libc::c_int = 1;

/// What a ruleset is about. Zeros at the end are what older versions take for granted.
#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent: libc::c_int,
}

/// The version of the interface; an error when this kernel has none or it is switched off.
///
/// # Source
/// landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION.
pub(crate) fn version() -> Result<u32, Errno> {
    // SAFETY: with a null pointer, size 0 and this flag the call reads no memory and returns a number.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, core::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(result).map_err(|_negative| last_errno())
}

/// Rules that are being put together.
#[derive(Debug)]
pub(crate) struct Ruleset(OwnedFd);

impl Ruleset {
    /// Begins a set: whatever `handled` names is refused unless a rule allows it.
    ///
    /// # Source
    /// landlock_create_ruleset(2).
    pub(crate) fn new(handled: u64, scoped: u64) -> Result<Self, Errno> {
        let attributes = RulesetAttributes { handled_access_fs: handled, handled_access_net: 0, scoped };
        // SAFETY:
        // 1. `attributes` is live and readable for the size given with it; the kernel copies it.
        // 2. the call returns a new descriptor or fails.
        let result = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attributes,
                size_of::<RulesetAttributes>(),
                0 as libc::c_uint,
            )
        };
        let raw = i32::try_from(result).ok().filter(|raw| *raw >= 0).ok_or_else(last_errno)?;
        // SAFETY:
        // 1. the kernel has just made this descriptor for us and it is not negative (checked).
        // 2. nobody else knows its number.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// Allows `access` to `place` and, when it is a directory, to everything beneath it.
    ///
    /// # Source
    /// landlock_add_rule(2).
    pub(crate) fn allow(&self, place: BorrowedFd<'_>, access: u64) -> Result<(), Errno> {
        let rule = PathBeneath { allowed_access: access, parent: place.as_raw_fd() };
        // SAFETY:
        // 1. `rule` is live and has the layout that this kind of rule has; the kernel copies it.
        // 2. both descriptors are open.
        let result = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.0.as_raw_fd(),
                PATH_BENEATH,
                &raw const rule,
                0 as libc::c_uint,
            )
        };
        if result == 0 { Ok(()) } else { Err(last_errno()) }
    }

    /// Restricts the calling thread, and every thread and process it makes, for good. `no_new_privs` must be set.
    ///
    /// # Source
    /// landlock_restrict_self(2).
    pub(crate) fn restrict_self(self) -> Result<(), Errno> {
        // SAFETY: the call takes two numbers; the descriptor is open.
        let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0 as libc::c_uint) };
        if result == 0 { Ok(()) } else { Err(last_errno()) }
    }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}
