//! Security descriptors in both forms, and the generic mapping.

use super::{ACCESS_MASK, ACL, PSID, UCHAR, ULONG, USHORT};

/// A descriptor whose parts lie anywhere in memory.
///
/// # Source
/// ntifs.h, `SECURITY_DESCRIPTOR`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SECURITY_DESCRIPTOR {
    /// Always 1.
    pub Revision: UCHAR,
    /// Resource manager control bits, else zero.
    pub Sbz1: UCHAR,
    /// `SE_*` control bits; `SE_SELF_RELATIVE` is clear.
    pub Control: USHORT,
    /// The owner, or null.
    pub Owner: PSID,
    /// The primary group, or null.
    pub Group: PSID,
    /// The audit list, or null.
    pub Sacl: *mut ACL,
    /// The access list; null with `SE_DACL_PRESENT` set grants everything to everyone.
    pub Dacl: *mut ACL,
}

/// A descriptor in one block, with offsets from its start.
///
/// # Source
/// ntifs.h, `SECURITY_DESCRIPTOR_RELATIVE`; MS-DTYP 2.4.6.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SECURITY_DESCRIPTOR_RELATIVE {
    /// Always 1.
    pub Revision: UCHAR,
    /// Resource manager control bits, else zero.
    pub Sbz1: UCHAR,
    /// `SE_*` control bits; `SE_SELF_RELATIVE` is set.
    pub Control: USHORT,
    /// Offset of the owner, or zero.
    pub Owner: ULONG,
    /// Offset of the primary group, or zero.
    pub Group: ULONG,
    /// Offset of the audit list, or zero.
    pub Sacl: ULONG,
    /// Offset of the access list, or zero.
    pub Dacl: ULONG,
}

/// What each generic right means for one object type.
///
/// # Source
/// ntifs.h, `GENERIC_MAPPING`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GENERIC_MAPPING {
    /// Rights of generic read.
    pub GenericRead: ACCESS_MASK,
    /// Rights of generic write.
    pub GenericWrite: ACCESS_MASK,
    /// Rights of generic execute.
    pub GenericExecute: ACCESS_MASK,
    /// Rights of generic all.
    pub GenericAll: ACCESS_MASK,
}
