//! Subject contexts: both tokens of a thread and its process, captured together.
//!
//! A `SECURITY_SUBJECT_CONTEXT` is not opaque: file systems put other tokens into it before a check. So it is read anew
//! at every call, and nothing is remembered about it but by the verifier.

use std::mem::offset_of;
use std::sync::Arc;

use vicar_kernel::token::Snapshot;
use vicar_kernel::{ProcessRef, SubjectContext, SubjectTokens, ThreadRef, TokenRef};
use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::convert;
use crate::current;
use crate::entry::{Call, Routine, enter, routine};
use crate::layout::{PACCESS_TOKEN, PEPROCESS, PETHREAD, SECURITY_SUBJECT_CONTEXT};
use crate::object;
use crate::ps::find;
use crate::ptr::{self, Held};
use crate::verifier::{Rule, book, flow};

static CAPTURE: Routine = routine!(SeCaptureSubjectContext, PASSIVE_LEVEL, "SeCaptureSubjectContext (ntifs.h page)");
static CAPTURE_EX: Routine =
    routine!(SeCaptureSubjectContextEx, PASSIVE_LEVEL, "SeCaptureSubjectContextEx (ntifs.h page)");
static LOCK: Routine = routine!(SeLockSubjectContext, PASSIVE_LEVEL, "SeLockSubjectContext (ntifs.h page)");
static UNLOCK: Routine = routine!(SeUnlockSubjectContext, PASSIVE_LEVEL, "SeUnlockSubjectContext (ntifs.h page)");
static RELEASE: Routine = routine!(SeReleaseSubjectContext, PASSIVE_LEVEL, "SeReleaseSubjectContext (ntifs.h page)");
static QUERY: Routine =
    routine!(vicar_query_subject_context_token, APC_LEVEL, "SeQuerySubjectContextToken (ntifs.h page)");

/// Reads a subject context and shows its tokens to `action`, where the caller keeps them.
///
/// # Returns
/// `None` for null, and for fields that are no tokens. A level that is none counts as Anonymous: it authorises nothing.
#[inline(always)]
pub(crate) fn with_tokens<R>(
    call: &Call,
    from: *const SECURITY_SUBJECT_CONTEXT,
    mut action: impl FnMut(SubjectTokens<'_>) -> R,
) -> Option<R> {
    // The fields, and not the whole: they may have been written one by one just before.
    let Some(primary) = ptr::read(ptr::field(from, offset_of!(SECURITY_SUBJECT_CONTEXT, PrimaryToken))) else {
        call.report(Rule::NullArgument, "SubjectContext is NULL");
        return None;
    };
    let client: PACCESS_TOKEN = ptr::read(ptr::field(from, offset_of!(SECURITY_SUBJECT_CONTEXT, ClientToken)))?;
    let level = ptr::read(ptr::field(from, offset_of!(SECURITY_SUBJECT_CONTEXT, ImpersonationLevel)))?;
    let level = convert::from_level(level).unwrap_or(ImpersonationLevel::Anonymous);
    object::with_two(call, primary, client, |primary: &TokenRef, client: Option<&TokenRef>| {
        action(SubjectTokens::new(client.map(|client| (client, level)), primary))
    })
}

/// Reads a subject context and shows it to `action`, with references of its own.
///
/// # Returns
/// As for [`with_tokens`].
pub(crate) fn view<R>(
    call: &Call,
    from: *const SECURITY_SUBJECT_CONTEXT,
    action: impl FnOnce(&SubjectContext) -> R,
) -> Option<R> {
    let subject = with_tokens(call, from, |tokens| tokens.to_context())?;
    Some(action(&subject))
}

/// Returns the state of whoever may authorise something: the client, or the process if there is no client.
///
/// # Errors
/// - `STATUS_BAD_IMPERSONATION_LEVEL` when there is a client below level Impersonation.
/// - `STATUS_INVALID_PARAMETER` when it is no subject context.
pub(crate) fn effective(call: &Call, from: *const SECURITY_SUBJECT_CONTEXT) -> Result<Arc<Snapshot>, NtStatus> {
    view(call, from, |subject| subject.for_authorisation().map(|token| token.state()))
        .ok_or(NtStatus::INVALID_PARAMETER)?
}

/// Captures a thread, or none, and a process into the caller's structure.
pub(crate) fn capture(call: &Call, thread: Option<&ThreadRef>, process: &ProcessRef) -> SECURITY_SUBJECT_CONTEXT {
    let worn = thread.and_then(|thread| thread.reference_impersonation());
    if let Some(thread) = thread {
        test_alive(call, thread);
        flow::shown(call, thread);
    }
    let level = worn.as_ref().map_or(0, |worn| convert::level(worn.level));
    let client = worn.map_or(std::ptr::null_mut(), |worn| object::give(call, worn.token));
    SECURITY_SUBJECT_CONTEXT {
        ClientToken: client,
        ImpersonationLevel: level,
        PrimaryToken: object::give(call, process.reference_primary()),
        ProcessAuditId: find::id(process.id()),
    }
}

/// Notes what is captured into a structure.
#[cold]
pub(crate) fn note(call: &Call, address: usize, context: &SECURITY_SUBJECT_CONTEXT) {
    let level = convert::from_level(context.ImpersonationLevel).unwrap_or(ImpersonationLevel::Anonymous);
    book::captured(address, context.PrimaryToken.addr(), context.ClientToken.addr(), level, call.site());
}

/// Reports a client that is recorded of a thread when it has ended: whom it acted as is gone with it.
pub(crate) fn test_alive(call: &Call, thread: &ThreadRef) {
    if call.is_verified() && thread.has_exited() {
        call.report(Rule::ClientThreadGone, "the thread has ended: its process is recorded, not whom it acted as");
    }
}

fn store(call: &Call, to: *mut SECURITY_SUBJECT_CONTEXT, context: SECURITY_SUBJECT_CONTEXT) {
    if call.is_verified() {
        note(call, to.addr(), &context);
    }
    ptr::write(to, context);
}

/// A subject context of nobody.
pub(crate) const EMPTY: SECURITY_SUBJECT_CONTEXT = SECURITY_SUBJECT_CONTEXT {
    ClientToken: std::ptr::null_mut(),
    ImpersonationLevel: 0,
    PrimaryToken: std::ptr::null_mut(),
    ProcessAuditId: std::ptr::null_mut(),
};

/// Captures the calling thread and its process.
///
/// # Safety
/// `SubjectContext` is null or points to room for a subject context.
///
/// # Source
/// SeCaptureSubjectContext (ntifs.h page); spec/nt-impersonation 2.13.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeCaptureSubjectContext(SubjectContext: *mut SECURITY_SUBJECT_CONTEXT) {
    enter(&CAPTURE, |call| {
        if SubjectContext.is_null() {
            return call.report(Rule::NullArgument, "SubjectContext is NULL");
        }
        let seat = current::seat();
        store(call, SubjectContext, capture(call, Some(&seat.host.thread), &seat.host.process.process));
    });
}

/// Captures a thread, or none, and a process.
///
/// # Safety
/// `Thread` is null or a thread that the caller may use, `Process` a process, `SubjectContext` null or room for a subject
/// context.
///
/// # Source
/// SeCaptureSubjectContextEx (ntifs.h page); spec/nt-impersonation 2.13.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeCaptureSubjectContextEx(
    Thread: PETHREAD,
    Process: PEPROCESS,
    SubjectContext: *mut SECURITY_SUBJECT_CONTEXT,
) {
    enter(&CAPTURE_EX, |call| {
        if SubjectContext.is_null() {
            return call.report(Rule::NullArgument, "SubjectContext is NULL");
        }
        let thread: Option<Held<ThreadRef>> = if Thread.is_null() { None } else { object::look(call, Thread) };
        let is_known = Thread.is_null() || thread.is_some();
        match object::look::<ProcessRef>(call, Process) {
            Some(process) if is_known => store(call, SubjectContext, capture(call, thread.as_deref(), &process)),
            Some(_) | None => {
                ptr::write(SubjectContext, EMPTY);
            }
        }
    });
}

/// Keeps both tokens from changing until [`SeUnlockSubjectContext`].
///
/// Every check reads each token once, as a whole, so nothing has to wait here; what is kept is the pairing.
///
/// # Safety
/// `SubjectContext` is null or points to a captured subject context.
///
/// # Source
/// SeLockSubjectContext (ntifs.h page); spec/nt-impersonation 2.13.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeLockSubjectContext(SubjectContext: *const SECURITY_SUBJECT_CONTEXT) {
    enter(&LOCK, |call| {
        if !call.is_verified() {
            return;
        }
        let Some(context) = ptr::read(SubjectContext) else {
            return call.report(Rule::NullArgument, "SubjectContext is NULL");
        };
        if !book::locked(SubjectContext.addr(), context.PrimaryToken.addr()) {
            call.report(Rule::SubjectReleasedTwice, "a subject context is locked that is not captured");
        }
    });
}

/// Ends what [`SeLockSubjectContext`] began.
///
/// # Safety
/// As for [`SeLockSubjectContext`].
///
/// # Source
/// SeUnlockSubjectContext (ntifs.h page); spec/nt-impersonation 2.13.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeUnlockSubjectContext(SubjectContext: *const SECURITY_SUBJECT_CONTEXT) {
    enter(&UNLOCK, |call| {
        if !call.is_verified() {
            return;
        }
        let Some(context) = ptr::read(SubjectContext) else {
            return call.report(Rule::NullArgument, "SubjectContext is NULL");
        };
        if !book::unlocked(SubjectContext.addr(), context.PrimaryToken.addr()) {
            call.report(Rule::SubjectNotLocked, "a subject context is unlocked that is not locked");
        }
    });
}

/// Gives both references back and clears the two pointers; a second call does nothing.
///
/// The references that are given back are those in the fields, whoever put them there.
///
/// # Safety
/// `SubjectContext` is null or points to a captured subject context.
///
/// # Source
/// SeReleaseSubjectContext (ntifs.h page); spec/nt-impersonation 2.13.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeReleaseSubjectContext(SubjectContext: *mut SECURITY_SUBJECT_CONTEXT) {
    enter(&RELEASE, |call| release(call, SubjectContext));
}

/// Gives the references of a subject context back.
pub(crate) fn release(call: &Call, at: *mut SECURITY_SUBJECT_CONTEXT) {
    let Some(context) = ptr::read(at) else {
        return call.report(Rule::NullArgument, "SubjectContext is NULL");
    };
    if call.is_verified() {
        match book::released(at.addr(), context.PrimaryToken.addr()) {
            book::Released::Properly => {}
            book::Released::Locked => {
                call.report(Rule::SubjectStillLocked, "a subject context is released while it is locked");
            }
            book::Released::NotCaptured => {
                return call.report(Rule::SubjectReleasedTwice, "a subject context is released that is not captured");
            }
        }
    }
    ptr::write(
        at,
        SECURITY_SUBJECT_CONTEXT { ClientToken: std::ptr::null_mut(), PrimaryToken: std::ptr::null_mut(), ..context },
    );
    for token in [context.PrimaryToken, context.ClientToken] {
        if !token.is_null() {
            drop(object::take::<TokenRef>(call, token));
        }
    }
}

/// Returns the client's token, or the process's if there is no client, whatever the level and without a reference.
///
/// C: `PACCESS_TOKEN vicar_query_subject_context_token(PSECURITY_SUBJECT_CONTEXT SubjectContext);`
///
/// # Safety
/// `SubjectContext` is null or points to a captured subject context.
///
/// # Source
/// SeQuerySubjectContextToken (ntifs.h page), a macro there; spec/nt-impersonation 2.13.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_query_subject_context_token(
    SubjectContext: *const SECURITY_SUBJECT_CONTEXT,
) -> PACCESS_TOKEN {
    enter(&QUERY, |call| match ptr::read(SubjectContext) {
        None => {
            call.report(Rule::NullArgument, "SubjectContext is NULL");
            std::ptr::null_mut()
        }
        Some(context) if context.ClientToken.is_null() => context.PrimaryToken,
        Some(context) => {
            if call.is_verified() && context.ImpersonationLevel < convert::level(ImpersonationLevel::Impersonation) {
                flow::asks_for_token(call, &context);
            }
            context.ClientToken
        }
    })
}

/// Captures the calling thread for one call, without giving references to anybody.
pub(crate) fn of_caller() -> SubjectContext {
    let seat = current::seat();
    SubjectContext::capture_in(Some(&seat.host.thread), &seat.host.process.process)
}
