//! Events and locks in their callers' memory: as large as on x64 Windows, and nobody's business what is in them.

use super::LONG;

/// What a set event does: 0 stays set and lets everybody through, 1 lets one through and is reset.
pub type EVENT_TYPE = i32;
/// Why a thread waits; nobody is told.
pub type KWAIT_REASON = i32;
/// A raise of priority; there are no priorities here.
pub type KPRIORITY = LONG;
/// A spin lock.
pub type KSPIN_LOCK = usize;

/// An event.
///
/// # Source
/// wdm.h, `KEVENT`: 24 bytes on x64.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct KEVENT {
    /// Type, state and a mark.
    pub Opaque: [u64; 3],
}

/// A mutex that raises its owner to APC level.
///
/// # Source
/// wdm.h, `FAST_MUTEX`: 56 bytes on x64.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FAST_MUTEX {
    /// Owner and the level that it came from.
    pub Opaque: [u64; 7],
}

/// A lock for one writer or several readers.
///
/// # Source
/// wdm.h, `ERESOURCE`: 104 bytes on x64.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ERESOURCE {
    /// Owner, depth, readers and who waits.
    pub Opaque: [u64; 13],
}
