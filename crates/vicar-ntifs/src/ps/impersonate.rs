//! Putting tokens on threads, taking them off, and taking references to them.

use vicar_kernel::{Impersonation, OnOpen, Outcome, ProcessRef, Terms, ThreadRef, TokenRef};
use vicar_nt::NtStatus;

use crate::convert;
use crate::current;
use crate::entry::{Call, Routine, enter, planned, routine};
use crate::handle;
use crate::layout::{
    BOOLEAN, HANDLE, NTSTATUS, PACCESS_TOKEN, PEPROCESS, PETHREAD, SE_IMPERSONATION_STATE,
    SECURITY_IMPERSONATION_LEVEL, TOKEN_TYPE,
};
use crate::object;
use crate::ptr::{self, Held};
use crate::se::client::{answer, noted};
use crate::verifier::{Rule, book, flow};
use crate::zw::previous_mode;

static IMPERSONATE: Routine = routine!(PsImpersonateClient, PASSIVE_LEVEL, "PsImpersonateClient (ntifs.h page)");
static ASSIGN: Routine =
    routine!(PsAssignImpersonationToken, PASSIVE_LEVEL, "PsAssignImpersonationToken (ntifs.h page)");
static REVERT: Routine = routine!(PsRevertToSelf, PASSIVE_LEVEL, "PsRevertToSelf (ntifs.h page)");
static REVERT_THREAD: Routine = routine!(PsRevertThreadToSelf, PASSIVE_LEVEL, "PsRevertThreadToSelf (ntifs.h page)");
static IS: Routine = routine!(PsIsThreadImpersonating, PASSIVE_LEVEL, "PsIsThreadImpersonating (ntifs.h page)");
static DISABLE: Routine = routine!(PsDisableImpersonation, PASSIVE_LEVEL, "PsDisableImpersonation (ntifs.h page)");
static RESTORE: Routine = routine!(PsRestoreImpersonation, PASSIVE_LEVEL, "PsRestoreImpersonation (ntifs.h page)");
static REFERENCE: Routine =
    routine!(PsReferenceImpersonationToken, PASSIVE_LEVEL, "PsReferenceImpersonationToken (ntifs.h page)");
static REFERENCE_PRIMARY: Routine =
    routine!(PsReferencePrimaryToken, PASSIVE_LEVEL, "PsReferencePrimaryToken (ntifs.h page)");
static REFERENCE_EFFECTIVE: Routine =
    routine!(PsReferenceEffectiveToken, PASSIVE_LEVEL, "spec/nt-impersonation 2.11: PsReferenceEffectiveToken");
static DEREFERENCE: Routine =
    routine!(PsDereferenceImpersonationToken, APC_LEVEL, "PsDereferenceImpersonationToken (ntifs.h page)");
static DEREFERENCE_PRIMARY: Routine =
    routine!(PsDereferencePrimaryToken, APC_LEVEL, "PsDereferencePrimaryToken (ntifs.h page)");

/// Looks at the thread that a routine changes.
pub(crate) fn thread(call: &Call, thread: PETHREAD) -> Result<Held<ThreadRef>, NtStatus> {
    object::look(call, thread).ok_or(NtStatus::INVALID_PARAMETER)
}

/// Puts a token on a thread, or takes off what it wears when there is no token.
///
/// A token that the thread's process may not wear is put on as a copy at level Identification, which is a success.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_ACCESS_DENIED` when the process is in a job that forbids the token; `STATUS_NO_MEMORY`,
/// `STATUS_INSUFFICIENT_RESOURCES` or `STATUS_QUOTA_EXCEEDED` when something cannot be made; `STATUS_INVALID_PARAMETER`
/// for a level outside 0 to 3 and for what is no thread or token. On failure the thread is unchanged.
///
/// # Safety
/// `Thread` is a thread that the caller may use, `Token` null or a token that the caller references.
///
/// # Source
/// PsImpersonateClient (ntifs.h page); spec/nt-impersonation 2.8.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsImpersonateClient(
    Thread: PETHREAD,
    Token: PACCESS_TOKEN,
    CopyOnOpen: BOOLEAN,
    EffectiveOnly: BOOLEAN,
    ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
) -> NTSTATUS {
    enter(&IMPERSONATE, |call| {
        // A failure that a test planned is one that the driver must react to.
        let result = match planned(call) {
            None => put_on(call, Thread, Token, (ImpersonationLevel, EffectiveOnly, CopyOnOpen)),
            Some(status) => Err(NtStatus(status.cast_unsigned())),
        };
        answer(match result {
            Ok(Some(outcome)) => noted(call, Thread, Ok(outcome)),
            Ok(None) => Ok(()),
            Err(status) => noted(call, Thread, Err(status)),
        })
    })
}

/// Puts a token on a thread, or takes off what it wears; then there is no outcome.
fn put_on(
    call: &Call,
    on: PETHREAD,
    token: PACCESS_TOKEN,
    (level, effective_only, copy_on_open): (SECURITY_IMPERSONATION_LEVEL, BOOLEAN, BOOLEAN),
) -> Result<Option<Outcome>, NtStatus> {
    let thread = thread(call, on)?;
    if token.is_null() {
        thread.revert();
        flow::ended_of(thread.id());
        return Ok(None);
    }
    let terms = Terms {
        level: convert::from_level(level)?,
        reach: convert::reach(effective_only),
        on_open: if copy_on_open == 0 { OnOpen::Share } else { OnOpen::Copy },
    };
    flow::takes_on(call, token, terms.level);
    object::with(call, token, |token: &TokenRef| thread.impersonate_token(token, terms).map(Some))
        .ok_or(NtStatus::INVALID_PARAMETER)?
}

/// Puts the impersonation token of a handle on a thread, or takes off what it wears when there is no handle.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH` or `STATUS_ACCESS_DENIED` for the handle;
/// `STATUS_BAD_TOKEN_TYPE` for a primary token; and as for [`PsImpersonateClient`].
///
/// # Safety
/// `Thread` is a thread that the caller may use.
///
/// # Source
/// PsAssignImpersonationToken (ntifs.h page); spec/nt-impersonation 2.10.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsAssignImpersonationToken(Thread: PETHREAD, Token: HANDLE) -> NTSTATUS {
    enter(&ASSIGN, |call| {
        let result = match planned(call) {
            None => assign(call, Thread, Token),
            Some(status) => Err(NtStatus(status.cast_unsigned())),
        };
        answer(match result {
            Ok(Some(outcome)) => noted(call, Thread, Ok(outcome)),
            Ok(None) => Ok(()),
            Err(status) => noted(call, Thread, Err(status)),
        })
    })
}

/// Puts the token of a handle on a thread, or takes off what it wears; then there is no outcome.
fn assign(call: &Call, on: PETHREAD, token: HANDLE) -> Result<Option<Outcome>, NtStatus> {
    let thread = thread(call, on)?;
    if token.is_null() {
        thread.revert();
        flow::ended_of(thread.id());
        return Ok(None);
    }
    thread.assign_handle(&handle::token(call, token, previous_mode())?).map(Some)
}

/// Ends all impersonation of the calling thread.
///
/// # Safety
/// None needed.
///
/// # Source
/// PsRevertToSelf (ntifs.h page); spec/nt-impersonation 2.9.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsRevertToSelf() {
    enter(&REVERT, |call| {
        current::seat().host.thread.revert();
        if call.is_verified() {
            flow::ended();
        }
    });
}

/// Ends all impersonation of a thread.
///
/// # Safety
/// `Thread` is a thread that the caller may use.
///
/// # Source
/// PsRevertThreadToSelf (ntifs.h page); spec/nt-impersonation 2.9.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsRevertThreadToSelf(Thread: PETHREAD) {
    enter(&REVERT_THREAD, |call| {
        // What is no thread has nothing to end.
        let _ = object::with(call, Thread, |thread: &ThreadRef| {
            thread.revert();
            flow::ended_of(thread.id());
        });
    });
}

/// Returns whether a thread wears a token, at any level.
///
/// # Safety
/// `Thread` is a thread that the caller may use.
///
/// # Source
/// PsIsThreadImpersonating (ntifs.h page); spec/nt-impersonation 2.11.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsIsThreadImpersonating(Thread: PETHREAD) -> BOOLEAN {
    enter(&IS, |call| {
        u8::from(object::with(call, Thread, |thread: &ThreadRef| thread.is_impersonating()).unwrap_or(false))
    })
}

const NOBODY: SE_IMPERSONATION_STATE =
    SE_IMPERSONATION_STATE { Token: std::ptr::null_mut(), CopyOnOpen: 0, EffectiveOnly: 0, Level: 0 };

/// Puts aside what a thread wears, with its reference.
///
/// # Returns
/// Whether there was something; only then [`PsRestoreImpersonation`] must be called, once. Otherwise the state is all zero.
///
/// # Safety
/// `Thread` is a thread that the caller may use, `ImpersonationState` points to room for the state.
///
/// # Source
/// PsDisableImpersonation (ntifs.h page); spec/nt-impersonation 2.12.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsDisableImpersonation(
    Thread: PETHREAD,
    ImpersonationState: *mut SE_IMPERSONATION_STATE,
) -> BOOLEAN {
    enter(&DISABLE, |call| {
        if ImpersonationState.is_null() {
            call.report(Rule::NullArgument, "ImpersonationState is NULL");
            return 0;
        }
        let worn = object::with(call, Thread, |thread: &ThreadRef| thread.take_off()).flatten();
        let was_worn = worn.is_some();
        let state = worn.map_or(NOBODY, |worn| SE_IMPERSONATION_STATE {
            CopyOnOpen: u8::from(worn.copy_on_open),
            EffectiveOnly: convert::effective_only(worn.reach),
            Level: convert::level(worn.level),
            Token: object::give(call, worn.token),
        });
        if was_worn && call.is_verified() {
            book::disabled(state.Token.addr(), call.site());
        }
        ptr::write(ImpersonationState, state);
        u8::from(was_worn)
    })
}

/// Puts back what [`PsDisableImpersonation`] put aside, in place of what the thread took on meanwhile.
///
/// The reference in the state goes back to the thread. A state of nobody changes nothing; NT would mark the thread.
///
/// # Safety
/// As for [`PsDisableImpersonation`], which filled the state.
///
/// # Source
/// PsRestoreImpersonation (ntifs.h page); spec/nt-impersonation 2.12.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsRestoreImpersonation(
    Thread: PETHREAD,
    ImpersonationState: *const SE_IMPERSONATION_STATE,
) {
    enter(&RESTORE, |call| {
        let Some(state) = ptr::read(ImpersonationState) else {
            return call.report(Rule::NullArgument, "ImpersonationState is NULL");
        };
        if state.Token.is_null() {
            return call.report(Rule::RestoreWithoutDisable, "the state holds nobody: nothing was disabled");
        }
        let Some(thread) = object::look::<ThreadRef>(call, Thread) else { return };
        let Ok(level) = convert::from_level(state.Level) else {
            return call.report(Rule::RestoreWithoutDisable, format!("the state's level is {}", state.Level));
        };
        if call.is_verified() && !book::restored(state.Token.addr()) {
            call.report(Rule::RestoreWithoutDisable, "the token of the state was not taken off a thread");
        }
        if let Some(token) = object::take::<TokenRef>(call, state.Token) {
            let copy_on_open = state.CopyOnOpen != 0;
            let reach = convert::reach(state.EffectiveOnly);
            thread.put_back_unchecked(Impersonation { token, level, reach, copy_on_open });
        }
    });
}

/// Takes a reference on what a thread wears.
///
/// # Returns
/// The token, with its flags and level of the same moment; null when the thread wears nobody, and then the outputs are not
/// written.
///
/// # Safety
/// `Thread` is a thread that the caller may use; each output is null or points to room for it.
///
/// # Source
/// PsReferenceImpersonationToken (ntifs.h page); spec/nt-impersonation 2.11.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsReferenceImpersonationToken(
    Thread: PETHREAD,
    CopyOnOpen: *mut BOOLEAN,
    EffectiveOnly: *mut BOOLEAN,
    ImpersonationLevel: *mut SECURITY_IMPERSONATION_LEVEL,
) -> PACCESS_TOKEN {
    enter(&REFERENCE, |call| {
        let Some(thread) = object::look::<ThreadRef>(call, Thread) else { return std::ptr::null_mut() };
        let Some(worn) = thread.reference_impersonation() else { return std::ptr::null_mut() };
        let written = [
            ptr::write(CopyOnOpen, u8::from(worn.copy_on_open)),
            ptr::write(EffectiveOnly, convert::effective_only(worn.reach)),
            ptr::write(ImpersonationLevel, convert::level(worn.level)),
        ];
        if written != [true; 3] {
            call.report(Rule::NullArgument, "an output is NULL");
        }
        flow::looked_at(call, thread.id());
        object::give(call, worn.token)
    })
}

/// Takes a reference on the token of a process.
///
/// # Safety
/// `Process` is a process that the caller may use.
///
/// # Source
/// PsReferencePrimaryToken (ntifs.h page); spec/nt-impersonation 2.11.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsReferencePrimaryToken(Process: PEPROCESS) -> PACCESS_TOKEN {
    enter(&REFERENCE_PRIMARY, |call| {
        object::with(call, Process, |process: &ProcessRef| object::give(call, process.reference_primary()))
            .unwrap_or(std::ptr::null_mut())
    })
}

/// Takes a reference on the token that a thread's requests are judged by.
///
/// # Returns
/// The token and its type. For a primary token `EffectiveOnly` is false and the level is not written.
///
/// # Safety
/// As for [`PsReferenceImpersonationToken`].
///
/// # Source
/// spec/nt-impersonation 2.11.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsReferenceEffectiveToken(
    Thread: PETHREAD,
    TokenType: *mut TOKEN_TYPE,
    EffectiveOnly: *mut BOOLEAN,
    ImpersonationLevel: *mut SECURITY_IMPERSONATION_LEVEL,
) -> PACCESS_TOKEN {
    enter(&REFERENCE_EFFECTIVE, |call| {
        let Some(thread) = object::look::<ThreadRef>(call, Thread) else { return std::ptr::null_mut() };
        match thread.reference_effective() {
            vicar_kernel::Effective::Primary(token) => {
                ptr::write(TokenType, 1);
                ptr::write(EffectiveOnly, 0);
                object::give(call, token)
            }
            vicar_kernel::Effective::Impersonating(worn) => {
                ptr::write(TokenType, 2);
                ptr::write(EffectiveOnly, convert::effective_only(worn.reach));
                ptr::write(ImpersonationLevel, convert::level(worn.level));
                flow::looked_at(call, thread.id());
                object::give(call, worn.token)
            }
        }
    })
}

/// Gives a reference back; null is allowed.
///
/// # Safety
/// `ImpersonationToken` is null or a token that the caller references.
///
/// # Source
/// PsDereferenceImpersonationToken (ntifs.h page); spec/nt-impersonation 2.11.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsDereferenceImpersonationToken(ImpersonationToken: PACCESS_TOKEN) {
    enter(&DEREFERENCE, |call| {
        if !ImpersonationToken.is_null() {
            drop(object::take::<TokenRef>(call, ImpersonationToken));
        }
    });
}

/// Gives a reference back.
///
/// # Safety
/// `PrimaryToken` is a token that the caller references.
///
/// # Source
/// PsDereferencePrimaryToken (ntifs.h page); spec/nt-impersonation 2.11.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsDereferencePrimaryToken(PrimaryToken: PACCESS_TOKEN) {
    enter(&DEREFERENCE_PRIMARY, |call| drop(object::take::<TokenRef>(call, PrimaryToken)));
}
