//! What a token says about itself.

use super::{
    ACL, LARGE_INTEGER, LUID, LUID_AND_ATTRIBUTES, PSID, PVOID, SECURITY_IMPERSONATION_LEVEL, SID_AND_ATTRIBUTES,
    TOKEN_TYPE, ULONG,
};

/// Who made a token.
///
/// # Source
/// ntifs.h, `TOKEN_SOURCE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TOKEN_SOURCE {
    /// Eight characters, padded with spaces or zeros.
    pub SourceName: [u8; 8],
    /// A number of the source's own.
    pub SourceIdentifier: LUID,
}

/// A list of groups; `GroupCount` entries.
///
/// # Source
/// ntifs.h, `TOKEN_GROUPS`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_GROUPS {
    /// How many entries there are.
    pub GroupCount: ULONG,
    /// The first entry.
    pub Groups: [SID_AND_ATTRIBUTES; 1],
}

/// A list of privileges; `PrivilegeCount` entries.
///
/// # Source
/// ntifs.h, `TOKEN_PRIVILEGES`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_PRIVILEGES {
    /// How many entries there are.
    pub PrivilegeCount: ULONG,
    /// The first entry.
    pub Privileges: [LUID_AND_ATTRIBUTES; 1],
}

/// The token's user.
///
/// # Source
/// ntifs.h, `TOKEN_USER`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_USER {
    /// The user, and whether it only counts for refusals.
    pub User: SID_AND_ATTRIBUTES,
}

/// Who owns new objects.
///
/// # Source
/// ntifs.h, `TOKEN_OWNER`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_OWNER {
    /// The owner.
    pub Owner: PSID,
}

/// The primary group of new objects.
///
/// # Source
/// ntifs.h, `TOKEN_PRIMARY_GROUP`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_PRIMARY_GROUP {
    /// The group.
    pub PrimaryGroup: PSID,
}

/// The access list of new objects that nobody else gives one.
///
/// # Source
/// ntifs.h, `TOKEN_DEFAULT_DACL`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_DEFAULT_DACL {
    /// The list, or null.
    pub DefaultDacl: *mut ACL,
}

/// Identifiers and counts of one token.
///
/// # Source
/// ntifs.h, `TOKEN_STATISTICS`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_STATISTICS {
    /// The token's own identifier.
    pub TokenId: LUID,
    /// The logon session it belongs to.
    pub AuthenticationId: LUID,
    /// When the token ends; never enforced.
    pub ExpirationTime: LARGE_INTEGER,
    /// Primary or impersonation.
    pub TokenType: TOKEN_TYPE,
    /// The level, of an impersonation token only.
    pub ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
    /// Bytes charged for what can change.
    pub DynamicCharged: ULONG,
    /// Bytes of those that are free.
    pub DynamicAvailable: ULONG,
    /// How many groups the token has.
    pub GroupCount: ULONG,
    /// How many privileges the token has.
    pub PrivilegeCount: ULONG,
    /// Changes with every modification of the token.
    pub ModifiedId: LUID,
}

/// The token's integrity level.
///
/// # Source
/// ntifs.h, `TOKEN_MANDATORY_LABEL`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_MANDATORY_LABEL {
    /// The level as a SID, and its attributes.
    pub Label: SID_AND_ATTRIBUTES,
}

/// How the token's integrity level is applied.
///
/// # Source
/// ntifs.h, `TOKEN_MANDATORY_POLICY`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_MANDATORY_POLICY {
    /// Bit 0: no write up; bit 1: new processes get the lower level.
    pub Policy: ULONG,
}

/// What an access check reads of a token.
///
/// # Source
/// ntifs.h, `TOKEN_ACCESS_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_ACCESS_INFORMATION {
    /// A hash of the groups.
    pub SidHash: PVOID,
    /// A hash of the restricting SIDs.
    pub RestrictedSidHash: PVOID,
    /// The privileges.
    pub Privileges: *mut TOKEN_PRIVILEGES,
    /// The logon session.
    pub AuthenticationId: LUID,
    /// Primary or impersonation.
    pub TokenType: TOKEN_TYPE,
    /// The level, of an impersonation token only.
    pub ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
    /// How the integrity level is applied.
    pub MandatoryPolicy: TOKEN_MANDATORY_POLICY,
    /// Reserved.
    pub Flags: ULONG,
    /// The application container's number, or zero.
    pub AppContainerNumber: ULONG,
    /// The application container's package, or null.
    pub PackageSid: PSID,
    /// A hash of the capabilities.
    pub CapabilitiesHash: PVOID,
    /// The trust label, or null. Headers before Windows 8.1 end above this field.
    pub TrustLevelSid: PSID,
    /// Reserved.
    pub SecurityAttributes: PVOID,
}

/// Groups, restricting SIDs and privileges in one block.
///
/// # Source
/// ntifs.h, `TOKEN_GROUPS_AND_PRIVILEGES`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_GROUPS_AND_PRIVILEGES {
    /// How many groups there are.
    pub SidCount: ULONG,
    /// Their size in bytes.
    pub SidLength: ULONG,
    /// The groups.
    pub Sids: *mut SID_AND_ATTRIBUTES,
    /// How many restricting SIDs there are.
    pub RestrictedSidCount: ULONG,
    /// Their size in bytes.
    pub RestrictedSidLength: ULONG,
    /// The restricting SIDs.
    pub RestrictedSids: *mut SID_AND_ATTRIBUTES,
    /// How many privileges there are.
    pub PrivilegeCount: ULONG,
    /// Their size in bytes.
    pub PrivilegeLength: ULONG,
    /// The privileges.
    pub Privileges: *mut LUID_AND_ATTRIBUTES,
    /// The logon session.
    pub AuthenticationId: LUID,
}

/// The logon session that the token's logon was made from.
///
/// # Source
/// ntifs.h, `TOKEN_ORIGIN`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_ORIGIN {
    /// That session, or zero.
    pub OriginatingLogonSession: LUID,
}

/// The other half of a split logon.
///
/// # Source
/// ntifs.h, `TOKEN_LINKED_TOKEN`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_LINKED_TOKEN {
    /// A handle to it.
    pub LinkedToken: super::HANDLE,
}

/// Whether the token is the elevated half of a split logon.
///
/// # Source
/// ntifs.h, `TOKEN_ELEVATION`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_ELEVATION {
    /// Non-zero if it is.
    pub TokenIsElevated: ULONG,
}
