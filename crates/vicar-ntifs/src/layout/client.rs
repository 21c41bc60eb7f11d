//! What a server keeps of its client, and what a thread keeps of itself.

use super::{
    BOOLEAN, LUID, PACCESS_TOKEN, PVOID, SECURITY_CONTEXT_TRACKING_MODE, SECURITY_IMPERSONATION_LEVEL, TOKEN_SOURCE,
    ULONG,
};

/// How a client lets a server use its identity.
///
/// # Source
/// ntifs.h, `SECURITY_QUALITY_OF_SERVICE`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SECURITY_QUALITY_OF_SERVICE {
    /// Size of this structure in bytes.
    pub Length: ULONG,
    /// The highest level the client allows.
    pub ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
    /// Whether the server sees later changes of the client's token.
    pub ContextTrackingMode: SECURITY_CONTEXT_TRACKING_MODE,
    /// Whether only what is enabled in the client's token may be used.
    pub EffectiveOnly: BOOLEAN,
}

/// Which token it is and in which state: enough to notice that it changed.
///
/// # Source
/// ntifs.h, `TOKEN_CONTROL`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TOKEN_CONTROL {
    /// The token's own identifier.
    pub TokenId: LUID,
    /// The logon session it belongs to.
    pub AuthenticationId: LUID,
    /// Changes with every modification of the token.
    pub ModifiedId: LUID,
    /// Who made the token.
    pub TokenSource: TOKEN_SOURCE,
}

/// A captured client, ready to be impersonated.
///
/// # Source
/// ntifs.h, `SECURITY_CLIENT_CONTEXT`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SECURITY_CLIENT_CONTEXT {
    /// What the client allowed.
    pub SecurityQos: SECURITY_QUALITY_OF_SERVICE,
    /// The token to act with; one reference belongs to this structure.
    pub ClientToken: PACCESS_TOKEN,
    /// Whether `ClientToken` is the client's own token and not a copy.
    pub DirectlyAccessClientToken: BOOLEAN,
    /// Whether only the enabled part of the client's own token may be used.
    pub DirectAccessEffectiveOnly: BOOLEAN,
    /// Whether the client is on another machine.
    pub ServerIsRemote: BOOLEAN,
    /// What the token was when it was captured.
    pub ClientTokenControl: TOKEN_CONTROL,
}

/// Both tokens of one thread, captured together.
///
/// # Source
/// ntifs.h, `SECURITY_SUBJECT_CONTEXT`. Not opaque: file systems replace its fields before an access check.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SECURITY_SUBJECT_CONTEXT {
    /// The token the thread impersonates with, or null.
    pub ClientToken: PACCESS_TOKEN,
    /// The level of `ClientToken`.
    pub ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
    /// The token of the process.
    pub PrimaryToken: PACCESS_TOKEN,
    /// The process, for audit records.
    pub ProcessAuditId: PVOID,
}

/// An impersonation that was put aside, to be restored later.
///
/// # Source
/// ntifs.h, `SE_IMPERSONATION_STATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SE_IMPERSONATION_STATE {
    /// The token that was in force, or null.
    pub Token: PACCESS_TOKEN,
    /// Whether opening the thread's token opens a copy.
    pub CopyOnOpen: BOOLEAN,
    /// Whether only the enabled part counts.
    pub EffectiveOnly: BOOLEAN,
    /// The level that was in force.
    pub Level: SECURITY_IMPERSONATION_LEVEL,
}
