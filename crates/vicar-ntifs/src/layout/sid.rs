//! Security identifiers.

use super::{PSID, UCHAR, ULONG};

/// Who gives out the sub-authorities that follow: six bytes, most significant first.
///
/// # Source
/// ntifs.h, `SID_IDENTIFIER_AUTHORITY`; MS-DTYP 2.4.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SID_IDENTIFIER_AUTHORITY {
    /// The authority, big-endian.
    pub Value: [UCHAR; 6],
}

/// The head of a security identifier and its first sub-authority; up to fourteen more follow.
///
/// # Source
/// ntifs.h, `SID`; MS-DTYP 2.4.2.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SID {
    /// Always 1.
    pub Revision: UCHAR,
    /// How many sub-authorities there are, at most 15.
    pub SubAuthorityCount: UCHAR,
    /// Who gives them out.
    pub IdentifierAuthority: SID_IDENTIFIER_AUTHORITY,
    /// The first of `SubAuthorityCount` numbers.
    pub SubAuthority: [ULONG; 1],
}

/// A security identifier and how it takes part in a check.
///
/// # Source
/// ntifs.h, `SID_AND_ATTRIBUTES`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SID_AND_ATTRIBUTES {
    /// The identifier.
    pub Sid: PSID,
    /// `SE_GROUP_*` bits.
    pub Attributes: ULONG,
}
