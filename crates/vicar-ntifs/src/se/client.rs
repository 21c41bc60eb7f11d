//! Client contexts: created, taken on, deleted.
//!
//! A `SECURITY_CLIENT_CONTEXT` lives in the caller's memory and is read again at every call, so what a driver writes into
//! it counts. One reference to `ClientToken` belongs to the structure.

use std::mem::offset_of;

use vicar_kernel::{ClientParts, Locality, OnOpen, Outcome, Qos, Terms, ThreadRef, TokenRef, Tracking};
use vicar_nt::NtStatus;

use crate::convert;
use crate::current;
use crate::entry::{Call, Routine, enter, planned, routine};
use crate::layout::{
    BOOLEAN, LUID, NTSTATUS, PACCESS_TOKEN, PETHREAD, SECURITY_CLIENT_CONTEXT, SECURITY_QUALITY_OF_SERVICE,
    SECURITY_SUBJECT_CONTEXT, TOKEN_CONTROL, TOKEN_SOURCE,
};
use crate::object;
use crate::ptr;
use crate::se::subject;
use crate::verifier::{Rule, book, flow};

static CREATE: Routine = routine!(SeCreateClientSecurity, PASSIVE_LEVEL, "SeCreateClientSecurity (ntifs.h page)");
static CREATE_FROM: Routine = routine!(
    SeCreateClientSecurityFromSubjectContext,
    PASSIVE_LEVEL,
    "SeCreateClientSecurityFromSubjectContext (ntifs.h page)"
);
static DELETE: Routine = routine!(SeDeleteClientSecurity, PASSIVE_LEVEL, "SeDeleteClientSecurity (ntifs.h page)");
static IMPERSONATE: Routine = routine!(SeImpersonateClient, PASSIVE_LEVEL, "SeImpersonateClient (ntifs.h page)");
static IMPERSONATE_EX: Routine = routine!(SeImpersonateClientEx, PASSIVE_LEVEL, "SeImpersonateClientEx (ntifs.h page)");
static STOP: Routine = routine!(SeStopImpersonatingClient, PASSIVE_LEVEL, "SeStopImpersonatingClient (ntifs.h page)");

/// A context that nobody can use.
pub(crate) const EMPTY: SECURITY_CLIENT_CONTEXT = SECURITY_CLIENT_CONTEXT {
    SecurityQos: SECURITY_QUALITY_OF_SERVICE {
        Length: 0,
        ImpersonationLevel: 0,
        ContextTrackingMode: 0,
        EffectiveOnly: 0,
    },
    ClientToken: std::ptr::null_mut(),
    DirectlyAccessClientToken: 0,
    DirectAccessEffectiveOnly: 0,
    ServerIsRemote: 0,
    ClientTokenControl: TOKEN_CONTROL {
        TokenId: NO_LUID,
        AuthenticationId: NO_LUID,
        ModifiedId: NO_LUID,
        TokenSource: TOKEN_SOURCE { SourceName: [0; 8], SourceIdentifier: NO_LUID },
    },
};

pub(crate) const NO_LUID: LUID = LUID { LowPart: 0, HighPart: 0 };

/// Reads what a client grants; the length is not looked at, because the caller is the kernel.
///
/// Member by member: they may have been written so just before, and would not be in one piece yet.
#[inline(always)]
fn qos(call: &Call, from: *const SECURITY_QUALITY_OF_SERVICE) -> Result<Qos, NtStatus> {
    let Some(level) = ptr::read(ptr::field(from, offset_of!(SECURITY_QUALITY_OF_SERVICE, ImpersonationLevel))) else {
        call.report(Rule::NullArgument, "ClientSecurityQos is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    };
    let flag = |offset: usize| ptr::read::<BOOLEAN>(ptr::field(from, offset)).unwrap_or(0);
    Ok(Qos {
        level: convert::from_level(level)?,
        tracking: match flag(offset_of!(SECURITY_QUALITY_OF_SERVICE, ContextTrackingMode)) {
            0 => Tracking::Static,
            1.. => Tracking::Dynamic,
        },
        reach: convert::reach(flag(offset_of!(SECURITY_QUALITY_OF_SERVICE, EffectiveOnly))),
    })
}

fn locality(is_remote: BOOLEAN) -> Locality {
    if is_remote == 0 { Locality::Local } else { Locality::Remote }
}

/// Stores what was captured; nothing is referenced when there is nowhere to store it.
#[inline(always)]
fn store(
    call: &Call,
    to: *mut SECURITY_CLIENT_CONTEXT,
    is_remote: BOOLEAN,
    captured: Result<ClientParts, NtStatus>,
) -> Result<(), NtStatus> {
    let parts = match captured {
        Ok(parts) => parts,
        Err(status) => return refuse(to, status),
    };
    if to.is_null() {
        call.report(Rule::NullArgument, "ClientContext is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let token = object::give(call, parts.token);
    if call.is_verified() {
        book::created(to.addr(), token.addr(), call.site());
    }
    ptr::write(
        to,
        SECURITY_CLIENT_CONTEXT {
            SecurityQos: SECURITY_QUALITY_OF_SERVICE {
                Length: 12,
                ImpersonationLevel: convert::level(parts.qos.level),
                ContextTrackingMode: match parts.qos.tracking {
                    Tracking::Static => 0,
                    Tracking::Dynamic => 1,
                },
                // The reach of a copy is what the policy made of it; of a live token the other field counts.
                EffectiveOnly: convert::effective_only(if parts.is_direct { parts.qos.reach } else { parts.reach }),
            },
            ClientToken: token,
            DirectlyAccessClientToken: u8::from(parts.is_direct),
            DirectAccessEffectiveOnly: convert::effective_only(parts.direct_reach),
            ServerIsRemote: is_remote,
            ClientTokenControl: parts.control.as_ref().map_or(EMPTY.ClientTokenControl, convert::control),
        },
    );
    Ok(())
}

/// Leaves a context that nobody can use behind.
#[cold]
fn refuse(to: *mut SECURITY_CLIENT_CONTEXT, status: NtStatus) -> Result<(), NtStatus> {
    ptr::write(to, EMPTY);
    Err(status)
}

/// Captures whom a thread acts as.
///
/// # Returns
/// `STATUS_SUCCESS`; the context then owns a reference and must be deleted once. Otherwise the context is all zero:
/// `STATUS_BAD_IMPERSONATION_LEVEL` when the client may not be passed on at this level, `STATUS_INVALID_PARAMETER` for a
/// level outside 0 to 3 or a null pointer, `STATUS_INSUFFICIENT_RESOURCES` or `STATUS_QUOTA_EXCEEDED` when no copy can be
/// made.
///
/// # Safety
/// `ClientThread` is a thread that the caller may use, the other two are null or point to their structures.
///
/// # Source
/// SeCreateClientSecurity (ntifs.h page); spec/nt-impersonation 2.1, 3.1.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeCreateClientSecurity(
    ClientThread: PETHREAD,
    ClientSecurityQos: *const SECURITY_QUALITY_OF_SERVICE,
    RemoteSession: BOOLEAN,
    ClientContext: *mut SECURITY_CLIENT_CONTEXT,
) -> NTSTATUS {
    enter(&CREATE, |call| {
        let qos = match planned(call) {
            Some(status) => Err(NtStatus(status.cast_unsigned())),
            None => qos(call, ClientSecurityQos),
        };
        let stored = match qos {
            Ok(qos) => object::with(call, ClientThread, |thread: &ThreadRef| {
                subject::test_alive(call, thread);
                let captured = ClientParts::capture(thread, qos, locality(RemoteSession));
                answer(store(call, ClientContext, RemoteSession, captured))
            }),
            Err(status) => Some(answer(refuse(ClientContext, status))),
        };
        stored.unwrap_or_else(|| answer(refuse(ClientContext, NtStatus::INVALID_PARAMETER)))
    })
}

pub(crate) fn answer(result: Result<(), NtStatus>) -> NTSTATUS {
    result.map_or_else(convert::status, |()| 0)
}

/// Captures the client of a subject context, or its process if it has none.
///
/// # Returns
/// As for [`SeCreateClientSecurity`]. The subject context keeps its own references.
///
/// # Safety
/// The pointers are null or point to their structures.
///
/// # Source
/// SeCreateClientSecurityFromSubjectContext (ntifs.h page); spec/nt-impersonation 2.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeCreateClientSecurityFromSubjectContext(
    SubjectContext: *const SECURITY_SUBJECT_CONTEXT,
    ClientSecurityQos: *const SECURITY_QUALITY_OF_SERVICE,
    ServerIsRemote: BOOLEAN,
    ClientContext: *mut SECURITY_CLIENT_CONTEXT,
) -> NTSTATUS {
    enter(&CREATE_FROM, |call| {
        let qos = match planned(call) {
            Some(status) => Err(NtStatus(status.cast_unsigned())),
            None => qos(call, ClientSecurityQos),
        };
        let stored = match qos {
            Ok(qos) => subject::with_tokens(call, SubjectContext, |tokens| {
                let captured = ClientParts::from_subject(tokens, qos, locality(ServerIsRemote));
                answer(store(call, ClientContext, ServerIsRemote, captured))
            }),
            Err(status) => Some(answer(refuse(ClientContext, status))),
        };
        stored.unwrap_or_else(|| answer(refuse(ClientContext, NtStatus::INVALID_PARAMETER)))
    })
}

/// Gives the reference of a context back and clears its token. Threads that act as the client are not disturbed.
///
/// # Safety
/// `ClientContext` is null or points to a context.
///
/// # Source
/// SeDeleteClientSecurity (ntifs.h page); spec/nt-impersonation 2.3.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeDeleteClientSecurity(ClientContext: *mut SECURITY_CLIENT_CONTEXT) {
    enter(&DELETE, |call| {
        let at: *const PACCESS_TOKEN = member(ClientContext, offset_of!(SECURITY_CLIENT_CONTEXT, ClientToken));
        let Some(token) = ptr::read(at) else {
            return call.report(Rule::NullArgument, "ClientContext is NULL");
        };
        if call.is_verified() && !book::deleted(ClientContext.addr(), token.addr(), || call.site()) {
            let why = why_not_created(ClientContext, token);
            return call.report(Rule::ContextDeletedTwice, format!("the context {ClientContext:p} {why}"));
        }
        if !token.is_null() {
            ptr::write(at.cast_mut(), std::ptr::null_mut());
            drop(object::take::<TokenRef>(call, token));
        }
    });
}

/// Says why a context is none, as far as that is known.
#[cold]
fn why_not_created(context: *const SECURITY_CLIENT_CONTEXT, token: PACCESS_TOKEN) -> String {
    match book::deleted_at(context.addr()) {
        Some(site) => format!("was deleted at {site}"),
        None if token.is_null() => "was never created: it holds no token".to_owned(),
        None => "was never created, or the context that it is a copy of is deleted".to_owned(),
    }
}

/// Where a member of a context is. Members are read one by one: they may have been written so just before.
fn member<T>(of: *const SECURITY_CLIENT_CONTEXT, offset: usize) -> *const T {
    ptr::field(of, offset)
}

/// Takes a client on, on the thread that is named or the calling one.
fn impersonate(call: &Call, from: *const SECURITY_CLIENT_CONTEXT, thread: PETHREAD) -> Result<Outcome, NtStatus> {
    let token: *const PACCESS_TOKEN = member(from, offset_of!(SECURITY_CLIENT_CONTEXT, ClientToken));
    let Some(token) = ptr::read(token) else {
        call.report(Rule::NullArgument, "ClientContext is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    };
    if call.is_verified() && !book::is_created(token.addr()) {
        let why = why_not_created(from, token);
        call.report(Rule::ContextNotCreated, format!("the context {from:p} {why}"));
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let flag = |offset: usize| ptr::read::<BOOLEAN>(member(from, offset)).unwrap_or(0);
    let effective_only = if flag(offset_of!(SECURITY_CLIENT_CONTEXT, DirectlyAccessClientToken)) == 0 {
        flag(offset_of!(SECURITY_CLIENT_CONTEXT, SecurityQos.EffectiveOnly))
    } else {
        flag(offset_of!(SECURITY_CLIENT_CONTEXT, DirectAccessEffectiveOnly))
    };
    let level: *const i32 = member(from, offset_of!(SECURITY_CLIENT_CONTEXT, SecurityQos.ImpersonationLevel));
    let terms = Terms {
        level: convert::from_level(ptr::read(level).unwrap_or(-1))?,
        reach: convert::reach(effective_only),
        on_open: OnOpen::Copy,
    };
    object::with(call, token, |token: &TokenRef| {
        on_thread(call, thread, |thread| thread.impersonate_token(token, terms))
    })
    .ok_or(NtStatus::INVALID_PARAMETER)?
}

/// Lets the verifier know what it came to for the thread that is named, or the calling one.
pub(crate) fn noted(call: &Call, thread: PETHREAD, result: Result<Outcome, NtStatus>) -> Result<(), NtStatus> {
    if call.is_verified()
        && let Some(thread) = target(thread)
    {
        return flow::impersonated(call, thread, result);
    }
    result.map(drop)
}

/// Returns the number of the thread that a routine is about; nothing is reported for what is none, because the routine
/// itself has done so.
#[cold]
fn target(thread: PETHREAD) -> Option<u64> {
    if thread.is_null() {
        return Some(current::seat().host.thread.id());
    }
    object::peek::<ThreadRef>(thread).map(|thread| thread.id())
}

/// Runs `action` with the thread that is named, or the calling one.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when it is no thread.
#[inline]
pub(crate) fn on_thread<R>(
    call: &Call,
    thread: PETHREAD,
    action: impl FnOnce(&ThreadRef) -> Result<R, NtStatus>,
) -> Result<R, NtStatus> {
    if thread.is_null() {
        return action(&current::seat().host.thread);
    }
    object::with(call, thread, action).ok_or(NtStatus::INVALID_PARAMETER)?
}

/// Makes a thread act as a client.
///
/// A client that the thread's process may not act as is taken on at level Identification, which is a success: look at the
/// level before relying on it.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_ACCESS_DENIED` when the thread's process is in a job that forbids the token;
/// `STATUS_NO_MEMORY`, `STATUS_INSUFFICIENT_RESOURCES` or `STATUS_QUOTA_EXCEEDED` when something cannot be made;
/// `STATUS_INVALID_PARAMETER` for what is no context or no thread. On failure the thread acts as whom it acted as before.
///
/// # Safety
/// `ClientContext` is null or points to a context that was created; `ServerThread` is null, for the calling thread, or a
/// thread that the caller may use.
///
/// # Source
/// SeImpersonateClientEx (ntifs.h page); spec/nt-impersonation 2.5.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeImpersonateClientEx(
    ClientContext: *const SECURITY_CLIENT_CONTEXT,
    ServerThread: PETHREAD,
) -> NTSTATUS {
    enter(&IMPERSONATE_EX, |call| {
        // A failure that a test planned is one that the driver must react to.
        let result = match planned(call) {
            None => impersonate(call, ClientContext, ServerThread),
            Some(status) => Err(NtStatus(status.cast_unsigned())),
        };
        answer(noted(call, ServerThread, result))
    })
}

/// [`SeImpersonateClientEx`] without its status: after a failure the caller's work runs as the server.
///
/// # Safety
/// As for [`SeImpersonateClientEx`].
///
/// # Source
/// SeImpersonateClient (ntifs.h page): obsolete; spec/nt-impersonation 2.6.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeImpersonateClient(
    ClientContext: *const SECURITY_CLIENT_CONTEXT,
    ServerThread: PETHREAD,
) {
    enter(&IMPERSONATE, |call| {
        call.report(Rule::ResultUnseen, "nobody will know whether the client was taken on");
        let result = match planned(call) {
            None => impersonate(call, ClientContext, ServerThread),
            Some(status) => Err(NtStatus(status.cast_unsigned())),
        };
        // The routine has no way to say it.
        let _ = noted(call, ServerThread, result);
    });
}

/// Ends all impersonation of the calling thread.
///
/// # Safety
/// None needed.
///
/// # Source
/// SeStopImpersonatingClient (ntifs.h page); spec/nt-impersonation 2.7.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeStopImpersonatingClient() {
    enter(&STOP, |call| {
        current::seat().host.thread.revert();
        if call.is_verified() {
            flow::ended();
        }
    });
}
