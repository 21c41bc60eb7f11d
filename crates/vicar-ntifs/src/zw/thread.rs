//! System services on threads.

use vicar_kernel::handle::OpenAs;
use vicar_kernel::nt::{THREAD_IMPERSONATION_TOKEN, check_thread_token_length};
use vicar_kernel::object::thread_right;
use vicar_kernel::policy::ThreadQuery;
use vicar_kernel::{Profile, Qos, ThreadRef};
use vicar_nt::check::AccessMode;
use vicar_nt::{AccessMask, NtStatus, RequestedMask};

use super::{capture, previous_mode, probe, quality, store, table};
use crate::current;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle;
use crate::layout::{ACCESS_MASK, BOOLEAN, HANDLE, NTSTATUS, PVOID, SECURITY_QUALITY_OF_SERVICE, ULONG};
use crate::verifier::flow;
use crate::world;

static ZW_OPEN_OWN: Routine = routine!(ZwOpenThreadToken, PASSIVE_LEVEL, "ZwOpenThreadToken (ntifs.h page)");
static NT_OPEN_OWN: Routine = routine!(NtOpenThreadToken, PASSIVE_LEVEL, "NtOpenThreadToken (ntifs.h page)");
static ZW_OPEN: Routine = routine!(ZwOpenThreadTokenEx, PASSIVE_LEVEL, "ZwOpenThreadTokenEx (ntifs.h page)");
static NT_OPEN: Routine = routine!(NtOpenThreadTokenEx, PASSIVE_LEVEL, "NtOpenThreadTokenEx (ntifs.h page)");
static ZW_SET: Routine = routine!(ZwSetInformationThread, PASSIVE_LEVEL, "ZwSetInformationThread (ntifs.h page)");
static NT_SET: Routine = routine!(NtSetInformationThread, PASSIVE_LEVEL, "NtSetInformationThread (ntifs.h page)");
static ZW_IMPERSONATE: Routine = routine!(ZwImpersonateThread, PASSIVE_LEVEL, "spec/nt-impersonation 2.22");
static NT_IMPERSONATE: Routine = routine!(NtImpersonateThread, PASSIVE_LEVEL, "spec/nt-impersonation 2.22");
static ANONYMOUS: Routine =
    routine!(NtImpersonateAnonymousToken, PASSIVE_LEVEL, "ImpersonateAnonymousToken (securitybaseapi.h page)");
static ZW_ANONYMOUS: Routine =
    routine!(ZwImpersonateAnonymousToken, PASSIVE_LEVEL, "ImpersonateAnonymousToken (securitybaseapi.h page)");

/// The rights that a thread's handle must have: none for the kernel.
fn right(mode: AccessMode, right: AccessMask) -> AccessMask {
    match mode {
        AccessMode::Kernel => AccessMask::truncate(0),
        AccessMode::User => right,
    }
}

/// Returns the thread whose token is opened.
fn target(call: &Call, thread: HANDLE, mode: AccessMode) -> Result<ThreadRef, NtStatus> {
    let full = handle::thread(call, thread, mode, right(mode, thread_right::QUERY_INFORMATION));
    match (full, world::current().system.policy().thread_query) {
        (Err(NtStatus::ACCESS_DENIED), ThreadQuery::Limited) => {
            handle::thread(call, thread, mode, thread_right::QUERY_LIMITED_INFORMATION)
        }
        (found, ThreadQuery::Full | ThreadQuery::Limited) => found,
    }
}

fn open(
    call: &Call,
    thread: HANDLE,
    desired: ACCESS_MASK,
    as_self: BOOLEAN,
    attributes: ULONG,
    to: *mut HANDLE,
    mode: AccessMode,
) -> Result<(), NtStatus> {
    probe(call, to, mode)?;
    let open_as = match (mode, as_self) {
        (AccessMode::Kernel, _) => OpenAs::Kernel,
        (AccessMode::User, 0) => OpenAs::Caller,
        (AccessMode::User, 1..) => OpenAs::Process,
    };
    let opened = table(attributes, mode).and_then(|table| {
        let target = target(call, thread, mode)?;
        let open = || target.open_token(&current::seat().host.thread, RequestedMask(desired), open_as);
        handle::insert(call, table, |handles| handles.add_opened(open))
    });
    // Before Windows 7 the place kept what it held.
    match (opened, world::current().system.profile()) {
        (Err(status), Profile::V0 | Profile::V1) => Err(status),
        (opened, Profile::V0 | Profile::V1 | Profile::V2 | Profile::V3 | Profile::V4) => store(to, opened),
    }
}

/// [`ZwOpenThreadTokenEx`] without attributes: the handle is the calling process's, which must be the system's.
///
/// # Safety
/// As for [`ZwOpenThreadTokenEx`].
///
/// # Source
/// ZwOpenThreadToken (ntifs.h page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwOpenThreadToken(
    ThreadHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    OpenAsSelf: BOOLEAN,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&ZW_OPEN_OWN, |call| {
        open(call, ThreadHandle, DesiredAccess, OpenAsSelf, 0, TokenHandle, AccessMode::Kernel)
    })
}

/// [`ZwOpenThreadToken`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`NtOpenThreadTokenEx`].
///
/// # Safety
/// As for [`ZwOpenThreadTokenEx`].
///
/// # Source
/// NtOpenThreadToken (ntifs.h page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtOpenThreadToken(
    ThreadHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    OpenAsSelf: BOOLEAN,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&NT_OPEN_OWN, |call| {
        open(call, ThreadHandle, DesiredAccess, OpenAsSelf, 0, TokenHandle, previous_mode())
    })
}

/// Opens the token that a thread wears, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_NO_TOKEN` when it wears nobody; `STATUS_CANT_OPEN_ANONYMOUS` at level Anonymous;
/// `STATUS_INVALID_PARAMETER` when a handle of another process than the system's is asked for; `STATUS_ACCESS_VIOLATION`
/// and `STATUS_DATATYPE_MISALIGNMENT` for the output; the handle statuses; `STATUS_INSUFFICIENT_RESOURCES`,
/// `STATUS_QUOTA_EXCEEDED`.
///
/// # Safety
/// `TokenHandle` is null or points to room for a handle.
///
/// # Source
/// ZwOpenThreadTokenEx (ntifs.h page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwOpenThreadTokenEx(
    ThreadHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    OpenAsSelf: BOOLEAN,
    HandleAttributes: ULONG,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&ZW_OPEN, |call| {
        open(call, ThreadHandle, DesiredAccess, OpenAsSelf, HandleAttributes, TokenHandle, AccessMode::Kernel)
    })
}

/// Opens the token that a thread wears, for whoever the calling thread works for.
///
/// # Returns
/// As for [`ZwOpenThreadTokenEx`], and for a user the statuses of the access check.
///
/// # Safety
/// `TokenHandle` is null or points to room for a handle.
///
/// # Source
/// NtOpenThreadTokenEx (ntifs.h page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtOpenThreadTokenEx(
    ThreadHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    OpenAsSelf: BOOLEAN,
    HandleAttributes: ULONG,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&NT_OPEN, |call| {
        open(call, ThreadHandle, DesiredAccess, OpenAsSelf, HandleAttributes, TokenHandle, previous_mode())
    })
}

fn set(call: &Call, thread: HANDLE, class: i32, from: PVOID, length: ULONG, mode: AccessMode) -> Result<(), NtStatus> {
    if u32::try_from(class) != Ok(THREAD_IMPERSONATION_TOKEN) {
        return Err(NtStatus::INVALID_INFO_CLASS);
    }
    check_thread_token_length(usize::try_from(length).unwrap_or(usize::MAX))?;
    let from: *const HANDLE = from.cast_const().cast();
    let token = capture(call, from, mode)?;
    let target = handle::thread(call, thread, mode, right(mode, thread_right::SET_THREAD_TOKEN))?;
    if token.is_null() {
        target.revert();
        flow::ended_of(target.id());
        return Ok(());
    }
    let token = handle::token(call, token, mode)?;
    match mode {
        AccessMode::Kernel => flow::impersonated(call, target.id(), target.assign(token.token_unchecked())),
        AccessMode::User => target.assign_handle(&token).map(drop),
    }
}

/// Puts a token on a thread, or takes it off when the handle is null, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_INFO_CLASS` for every class but `ThreadImpersonationToken` (5);
/// `STATUS_INFO_LENGTH_MISMATCH`, then `STATUS_ACCESS_VIOLATION` or `STATUS_DATATYPE_MISALIGNMENT` for the buffer; the
/// handle statuses; `STATUS_BAD_TOKEN_TYPE` for a primary token; and as for `PsImpersonateClient`.
///
/// # Safety
/// `ThreadInformation` is null or points to as many bytes as the length says.
///
/// # Source
/// ZwSetInformationThread (ntifs.h page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwSetInformationThread(
    ThreadHandle: HANDLE,
    ThreadInformationClass: i32,
    ThreadInformation: PVOID,
    ThreadInformationLength: ULONG,
) -> NTSTATUS {
    enter_status(&ZW_SET, |call| {
        set(call, ThreadHandle, ThreadInformationClass, ThreadInformation, ThreadInformationLength, AccessMode::Kernel)
    })
}

/// [`ZwSetInformationThread`] for whoever the calling thread works for.
///
/// # Safety
/// As for [`ZwSetInformationThread`].
///
/// # Source
/// NtSetInformationThread (ntifs.h page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtSetInformationThread(
    ThreadHandle: HANDLE,
    ThreadInformationClass: i32,
    ThreadInformation: PVOID,
    ThreadInformationLength: ULONG,
) -> NTSTATUS {
    enter_status(&NT_SET, |call| {
        set(call, ThreadHandle, ThreadInformationClass, ThreadInformation, ThreadInformationLength, previous_mode())
    })
}

fn impersonate(
    call: &Call,
    server: HANDLE,
    client: HANDLE,
    qos: *const SECURITY_QUALITY_OF_SERVICE,
    mode: AccessMode,
) -> Result<(), NtStatus> {
    let qos = quality(call, qos, mode)?;
    let server = handle::thread(call, server, mode, right(mode, thread_right::IMPERSONATE))?;
    let client = handle::thread(call, client, mode, right(mode, thread_right::DIRECT_IMPERSONATION))?;
    // The level is the capture's to judge, so a wrong handle is found before a wrong level.
    let qos = Qos::parse(qos)?;
    match mode {
        AccessMode::Kernel => flow::impersonated(call, server.id(), server.impersonate_thread(&client, qos)),
        AccessMode::User => server.impersonate_thread(&client, qos).map(drop),
    }
}

/// Makes one thread act as whom another acts as, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_ACCESS_VIOLATION`, `STATUS_DATATYPE_MISALIGNMENT` or `STATUS_INVALID_PARAMETER` for the quality
/// of service; the handle statuses; and as for `SeCreateClientSecurity` and `SeImpersonateClientEx`.
///
/// # Safety
/// `SecurityQos` is null or points to its structure.
///
/// # Source
/// spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwImpersonateThread(
    ServerThreadHandle: HANDLE,
    ClientThreadHandle: HANDLE,
    SecurityQos: *const SECURITY_QUALITY_OF_SERVICE,
) -> NTSTATUS {
    enter_status(&ZW_IMPERSONATE, |call| {
        impersonate(call, ServerThreadHandle, ClientThreadHandle, SecurityQos, AccessMode::Kernel)
    })
}

/// [`ZwImpersonateThread`] for whoever the calling thread works for.
///
/// # Safety
/// As for [`ZwImpersonateThread`].
///
/// # Source
/// spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtImpersonateThread(
    ServerThreadHandle: HANDLE,
    ClientThreadHandle: HANDLE,
    SecurityQos: *const SECURITY_QUALITY_OF_SERVICE,
) -> NTSTATUS {
    enter_status(&NT_IMPERSONATE, |call| {
        impersonate(call, ServerThreadHandle, ClientThreadHandle, SecurityQos, previous_mode())
    })
}

fn anonymous(call: &Call, thread: HANDLE, mode: AccessMode) -> Result<(), NtStatus> {
    let target = handle::thread(call, thread, mode, right(mode, thread_right::IMPERSONATE))?;
    let result = world::current().anonymous.impersonate(&current::seat().host.thread, &target);
    match mode {
        AccessMode::Kernel => flow::impersonated(call, target.id(), result),
        AccessMode::User => result.map(drop),
    }
}

/// Makes a thread act as the anonymous user, for whoever the calling thread works for.
///
/// # Returns
/// `STATUS_SUCCESS`; the handle statuses; `STATUS_ACCESS_DENIED` when the caller's process is restricted; and as for
/// `PsImpersonateClient`.
///
/// # Safety
/// None needed.
///
/// # Source
/// ImpersonateAnonymousToken (page); spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtImpersonateAnonymousToken(ThreadHandle: HANDLE) -> NTSTATUS {
    enter_status(&ANONYMOUS, |call| anonymous(call, ThreadHandle, previous_mode()))
}

/// [`NtImpersonateAnonymousToken`] for the kernel.
///
/// # Safety
/// None needed.
///
/// # Source
/// spec/nt-impersonation 2.22.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwImpersonateAnonymousToken(ThreadHandle: HANDLE) -> NTSTATUS {
    enter_status(&ZW_ANONYMOUS, |call| anonymous(call, ThreadHandle, AccessMode::Kernel))
}
