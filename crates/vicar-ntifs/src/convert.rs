//! Between the structures of `ntifs.h` and the values of the kernel.

use vicar_kernel::token::TokenSource;
use vicar_kernel::{Reach, TokenControl};
use vicar_nt::check::AccessMode;
use vicar_nt::{GenericMapping, Guid, ImpersonationLevel, Luid, NtStatus};

use crate::layout::{
    BOOLEAN, GENERIC_MAPPING, GUID, KPROCESSOR_MODE, KernelMode, LUID, NTSTATUS, SECURITY_IMPERSONATION_LEVEL,
    TOKEN_CONTROL, TOKEN_SOURCE,
};

/// Returns the C form of an identifier.
pub(crate) fn luid(luid: Luid) -> LUID {
    LUID { LowPart: luid.low, HighPart: luid.high }
}

/// Reads the C form of an identifier.
pub(crate) fn from_luid(luid: LUID) -> Luid {
    Luid { low: luid.LowPart, high: luid.HighPart }
}

/// Returns the C form of a level.
pub(crate) fn level(level: ImpersonationLevel) -> SECURITY_IMPERSONATION_LEVEL {
    level.number().cast_signed()
}

/// Reads the C form of a level.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when it is not 0 to 3.
pub(crate) fn from_level(level: SECURITY_IMPERSONATION_LEVEL) -> Result<ImpersonationLevel, NtStatus> {
    ImpersonationLevel::from_number(level.cast_unsigned()).ok_or(NtStatus::INVALID_PARAMETER)
}

/// Returns the C form of a reach.
pub(crate) fn effective_only(reach: Reach) -> BOOLEAN {
    u8::from(reach.is_effective_only())
}

/// Reads the C form of a reach; every value but zero is true.
pub(crate) fn reach(effective_only: BOOLEAN) -> Reach {
    if effective_only == 0 { Reach::AllHeld } else { Reach::EffectiveOnly }
}

/// Reads on whose behalf something is asked; every value but zero is a user.
pub(crate) fn mode(mode: KPROCESSOR_MODE) -> AccessMode {
    if mode == KernelMode { AccessMode::Kernel } else { AccessMode::User }
}

/// Reads what generic rights mean.
pub(crate) fn mapping(mapping: GENERIC_MAPPING) -> GenericMapping {
    GenericMapping::of(mapping.GenericRead, mapping.GenericWrite, mapping.GenericExecute, mapping.GenericAll)
}

/// Returns the C form of a token's source.
pub(crate) fn source(source: TokenSource) -> TOKEN_SOURCE {
    TOKEN_SOURCE { SourceName: source.name, SourceIdentifier: luid(source.identifier) }
}

/// Returns the C form of a token's identity.
pub(crate) fn control(control: &TokenControl) -> TOKEN_CONTROL {
    TOKEN_CONTROL {
        TokenId: luid(control.token_id),
        AuthenticationId: luid(control.authentication_id),
        ModifiedId: luid(control.modified_id),
        TokenSource: source(control.source),
    }
}

/// Returns the C form of a status.
pub(crate) fn status(status: NtStatus) -> NTSTATUS {
    status.0.cast_signed()
}

/// Reads the name of an object type; the first three parts stand as numbers in it.
pub(crate) fn guid(guid: GUID) -> Guid {
    let [a, b, c, d] = guid.Data1.to_le_bytes();
    let ([e, f], [g, h]) = (guid.Data2.to_le_bytes(), guid.Data3.to_le_bytes());
    let [i, j, k, l, m, n, o, p] = guid.Data4;
    Guid([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}
