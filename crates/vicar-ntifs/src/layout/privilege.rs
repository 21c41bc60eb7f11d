//! Privileges, alone and in sets.

use super::{LUID, ULONG};

/// A privilege and its state.
///
/// # Source
/// ntifs.h, `LUID_AND_ATTRIBUTES` (packed to four bytes there too).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LUID_AND_ATTRIBUTES {
    /// Which privilege.
    pub Luid: LUID,
    /// `SE_PRIVILEGE_*` bits.
    pub Attributes: ULONG,
}

/// Privileges that a check needs or used; `PrivilegeCount` entries.
///
/// # Source
/// ntifs.h, `PRIVILEGE_SET`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PRIVILEGE_SET {
    /// How many entries there are.
    pub PrivilegeCount: ULONG,
    /// 1 (`PRIVILEGE_SET_ALL_NECESSARY`): all of them are needed; 0: one is enough.
    pub Control: ULONG,
    /// The first entry.
    pub Privilege: [LUID_AND_ATTRIBUTES; 1],
}

/// Room for the three privileges that an access check can use, inside an access state.
///
/// # Source
/// ntifs.h, `INITIAL_PRIVILEGE_SET`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct INITIAL_PRIVILEGE_SET {
    /// How many entries are used.
    pub PrivilegeCount: ULONG,
    /// As in [`PRIVILEGE_SET`].
    pub Control: ULONG,
    /// The entries.
    pub Privilege: [LUID_AND_ATTRIBUTES; 3],
}
