//! What is asked about a token.

use vicar_kernel::{TokenKind, TokenRef};
use vicar_nt::NtStatus;

use crate::convert;
use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::layout::{BOOLEAN, LUID, NTSTATUS, PACCESS_TOKEN, SECURITY_IMPERSONATION_LEVEL, TOKEN_TYPE, ULONG};
use crate::object;
use crate::ptr::{self, Held};
use crate::verifier::{Rule, flow};

static TYPE: Routine = routine!(SeTokenType, PASSIVE_LEVEL, "SeTokenType (ntifs.h page)");
static LEVEL: Routine = routine!(SeTokenImpersonationLevel, PASSIVE_LEVEL, "SeTokenImpersonationLevel (ntifs.h page)");
static IS_ADMIN: Routine = routine!(SeTokenIsAdmin, PASSIVE_LEVEL, "SeTokenIsAdmin (ntifs.h page)");
static IS_RESTRICTED: Routine = routine!(SeTokenIsRestricted, PASSIVE_LEVEL, "SeTokenIsRestricted (ntifs.h page)");
static IS_WRITE_RESTRICTED: Routine =
    routine!(SeTokenIsWriteRestricted, PASSIVE_LEVEL, "SeTokenIsWriteRestricted (ntifs.h page)");
static AUTHENTICATION: Routine =
    routine!(SeQueryAuthenticationIdToken, PASSIVE_LEVEL, "SeQueryAuthenticationIdToken (ntifs.h page)");
static SESSION: Routine = routine!(SeQuerySessionIdToken, PASSIVE_LEVEL, "SeQuerySessionIdToken (ntifs.h page)");

/// Looks at a token and answers one question about it.
fn ask<R>(call: &Call, token: PACCESS_TOKEN, otherwise: R, question: impl FnOnce(&TokenRef) -> R) -> R {
    object::with(call, token, question).unwrap_or(otherwise)
}

/// Looks at a token that a routine cannot do without.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when it is none.
pub(crate) fn look(call: &Call, token: PACCESS_TOKEN) -> Result<Held<TokenRef>, NtStatus> {
    object::look(call, token).ok_or(NtStatus::INVALID_PARAMETER)
}

/// Returns whether a token is a primary (1) or an impersonation token (2); zero for what is no token.
///
/// # Safety
/// `Token` is a token that the caller references.
///
/// # Source
/// SeTokenType (ntifs.h page); spec/nt-impersonation 2.16.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeTokenType(Token: PACCESS_TOKEN) -> TOKEN_TYPE {
    enter(&TYPE, |call| {
        ask(call, Token, 0, |token| match token.kind() {
            TokenKind::Primary => 1,
            TokenKind::Impersonation(_) => 2,
        })
    })
}

/// Returns the level of an impersonation token; `SecurityAnonymous` for a primary token, which has none.
///
/// # Safety
/// `Token` is a token that the caller references.
///
/// # Source
/// SeTokenImpersonationLevel (ntifs.h page); spec/nt-impersonation 2.16.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeTokenImpersonationLevel(Token: PACCESS_TOKEN) -> SECURITY_IMPERSONATION_LEVEL {
    enter(&LEVEL, |call| {
        ask(call, Token, 0, |token| {
            flow::looked_at_token(call, Token, token);
            token.level().map_or(0, convert::level)
        })
    })
}

/// Returns whether a token has the local administrators enabled.
///
/// # Safety
/// `Token` is a token that the caller references.
///
/// # Source
/// SeTokenIsAdmin (ntifs.h page); spec/nt-impersonation 2.16.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeTokenIsAdmin(Token: PACCESS_TOKEN) -> BOOLEAN {
    enter(&IS_ADMIN, |call| {
        flow::decides_by(call, Token);
        ask(call, Token, 0, |token| u8::from(token.state().is_admin()))
    })
}

/// Returns whether a token has restricting SIDs.
///
/// # Safety
/// `Token` is a token that the caller references.
///
/// # Source
/// SeTokenIsRestricted (ntifs.h page); spec/nt-impersonation 2.16.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeTokenIsRestricted(Token: PACCESS_TOKEN) -> BOOLEAN {
    enter(&IS_RESTRICTED, |call| {
        flow::decides_by(call, Token);
        ask(call, Token, 0, |token| u8::from(token.state().is_restricted()))
    })
}

/// Returns whether a token's restricting SIDs count for writing only.
///
/// # Safety
/// `Token` is a token that the caller references.
///
/// # Source
/// SeTokenIsWriteRestricted (ntifs.h page); spec/nt-impersonation 2.16.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeTokenIsWriteRestricted(Token: PACCESS_TOKEN) -> BOOLEAN {
    enter(&IS_WRITE_RESTRICTED, |call| {
        flow::decides_by(call, Token);
        ask(call, Token, 0, |token| u8::from(token.state().is_write_restricted()))
    })
}

/// Stores the logon session of a token, whatever its level: it authorises nothing.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for what is no token and for null.
///
/// # Safety
/// `Token` is a token that the caller references, `AuthenticationId` null or room for an identifier.
///
/// # Source
/// SeQueryAuthenticationIdToken (ntifs.h page); spec/nt-impersonation 2.16.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeQueryAuthenticationIdToken(
    Token: PACCESS_TOKEN,
    AuthenticationId: *mut LUID,
) -> NTSTATUS {
    enter_status(&AUTHENTICATION, |call| {
        if !ptr::write(AuthenticationId, LUID { LowPart: 0, HighPart: 0 }) {
            call.report(Rule::NullArgument, "AuthenticationId is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        ptr::write(AuthenticationId, convert::luid(look(call, Token)?.authentication_id()));
        Ok(())
    })
}

/// Stores the terminal session of a token.
///
/// # Returns
/// As for [`SeQueryAuthenticationIdToken`].
///
/// # Safety
/// `Token` is a token that the caller references, `SessionId` null or room for a number.
///
/// # Source
/// SeQuerySessionIdToken (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeQuerySessionIdToken(Token: PACCESS_TOKEN, SessionId: *mut ULONG) -> NTSTATUS {
    enter_status(&SESSION, |call| {
        if !ptr::write(SessionId, 0) {
            call.report(Rule::NullArgument, "SessionId is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        ptr::write(SessionId, look(call, Token)?.state().session());
        Ok(())
    })
}
