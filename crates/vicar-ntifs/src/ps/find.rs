//! The calling thread and process, and finding others by number.

use std::ffi::c_void;
use std::ptr::{null_mut, with_exposed_provenance_mut, without_provenance_mut};

use vicar_kernel::{ProcessRef, ThreadRef};
use vicar_nt::NtStatus;

use crate::current;
use crate::entry::{Routine, enter, enter_status, routine};
use crate::layout::{BOOLEAN, HANDLE, IRP, KPROCESSOR_MODE, NTSTATUS, PEPROCESS, PETHREAD};
use crate::object;
use crate::ptr;
use crate::verifier::Rule;
use crate::world;

static THREAD: Routine = routine!(PsGetCurrentThread, DISPATCH_LEVEL, "PsGetCurrentThread (wdm.h page)");
static PROCESS: Routine = routine!(PsGetCurrentProcess, DISPATCH_LEVEL, "PsGetCurrentProcess (ntifs.h page)");
static THREAD_ID: Routine = routine!(PsGetCurrentThreadId, DISPATCH_LEVEL, "PsGetCurrentThreadId (ntddk.h page)");
static PROCESS_ID: Routine = routine!(PsGetCurrentProcessId, DISPATCH_LEVEL, "PsGetCurrentProcessId (ntddk.h page)");
static ID_OF_THREAD: Routine = routine!(PsGetThreadId, DISPATCH_LEVEL, "PsGetThreadId (ntddk.h page)");
static ID_OF_PROCESS: Routine = routine!(PsGetProcessId, DISPATCH_LEVEL, "PsGetProcessId (ntddk.h page)");
static FIND_THREAD: Routine = routine!(PsLookupThreadByThreadId, APC_LEVEL, "PsLookupThreadByThreadId (ntifs.h page)");
static FIND_PROCESS: Routine =
    routine!(PsLookupProcessByProcessId, APC_LEVEL, "PsLookupProcessByProcessId (ntifs.h page)");
static IS_SYSTEM: Routine = routine!(PsIsSystemThread, DISPATCH_LEVEL, "PsIsSystemThread (ntifs.h page)");
static PROCESS_OF: Routine = routine!(IoThreadToProcess, DISPATCH_LEVEL, "IoThreadToProcess (ntifs.h page)");
static REQUESTOR: Routine = routine!(IoGetRequestorProcess, DISPATCH_LEVEL, "IoGetRequestorProcess (ntifs.h page)");
static PREVIOUS: Routine = routine!(ExGetPreviousMode, PASSIVE_LEVEL, "ExGetPreviousMode (wdm.h page)");

/// Numbers of threads and processes are multiples of four.
const STEP: u64 = 4;

/// Returns the C form of a number.
pub(crate) fn id(number: u64) -> HANDLE {
    without_provenance_mut(usize::try_from(number.saturating_mul(STEP)).unwrap_or(0))
}

fn number(id: HANDLE) -> Option<u64> {
    let id = u64::try_from(id.addr()).ok()?;
    (id % STEP == 0 && id != 0).then_some(id / STEP)
}

/// Returns the calling thread, without a reference.
///
/// # Safety
/// None needed.
///
/// # Source
/// PsGetCurrentThread (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsGetCurrentThread() -> PETHREAD {
    enter(&THREAD, |_| with_exposed_provenance_mut(current::seat().host.pointer))
}

/// Returns the calling thread's process, without a reference.
///
/// # Safety
/// None needed.
///
/// # Source
/// PsGetCurrentProcess (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsGetCurrentProcess() -> PEPROCESS {
    enter(&PROCESS, |_| with_exposed_provenance_mut(current::seat().host.process.pointer))
}

/// Returns the calling thread's number.
///
/// # Safety
/// None needed.
///
/// # Source
/// PsGetCurrentThreadId (ntddk.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsGetCurrentThreadId() -> HANDLE {
    enter(&THREAD_ID, |_| id(current::seat().host.thread.id()))
}

/// Returns the number of the calling thread's process.
///
/// # Safety
/// None needed.
///
/// # Source
/// PsGetCurrentProcessId (ntddk.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsGetCurrentProcessId() -> HANDLE {
    enter(&PROCESS_ID, |_| id(current::seat().host.process.process.id()))
}

/// Returns a thread's number; null for what is no thread.
///
/// # Safety
/// `Thread` is a thread that the caller may use.
///
/// # Source
/// PsGetThreadId (ntddk.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsGetThreadId(Thread: PETHREAD) -> HANDLE {
    enter(&ID_OF_THREAD, |call| object::with(call, Thread, |thread: &ThreadRef| id(thread.id())).unwrap_or(null_mut()))
}

/// Returns a process's number; null for what is no process.
///
/// # Safety
/// `Process` is a process that the caller may use.
///
/// # Source
/// PsGetProcessId (ntddk.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsGetProcessId(Process: PEPROCESS) -> HANDLE {
    enter(&ID_OF_PROCESS, |call| {
        object::with(call, Process, |process: &ProcessRef| id(process.id())).unwrap_or(null_mut())
    })
}

/// Finds a thread by number and takes a reference on it.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` when no thread has this number, or there is nowhere to store it. The output
/// is null then.
///
/// # Safety
/// `Thread` is null or points to room for a pointer.
///
/// # Source
/// PsLookupThreadByThreadId (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsLookupThreadByThreadId(ThreadId: HANDLE, Thread: *mut PETHREAD) -> NTSTATUS {
    enter_status(&FIND_THREAD, |call| {
        if !ptr::write(Thread, null_mut()) {
            call.report(Rule::NullArgument, "Thread is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let found = number(ThreadId).and_then(|number| world::current().find_thread(number));
        let found = found.ok_or(NtStatus::INVALID_PARAMETER)?;
        ptr::write(Thread, object::give(call, found.thread.clone()));
        Ok(())
    })
}

/// Finds a process by number and takes a reference on it.
///
/// # Returns
/// As for [`PsLookupThreadByThreadId`].
///
/// # Safety
/// `Process` is null or points to room for a pointer.
///
/// # Source
/// PsLookupProcessByProcessId (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsLookupProcessByProcessId(ProcessId: HANDLE, Process: *mut PEPROCESS) -> NTSTATUS {
    enter_status(&FIND_PROCESS, |call| {
        if !ptr::write(Process, null_mut()) {
            call.report(Rule::NullArgument, "Process is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let found = number(ProcessId).and_then(|number| world::current().find_process(number));
        let found = found.ok_or(NtStatus::INVALID_PARAMETER)?;
        ptr::write(Process, object::give(call, found.process.clone()));
        Ok(())
    })
}

/// Returns whether a thread is one of the system's own.
///
/// # Safety
/// `Thread` is a thread that the caller may use.
///
/// # Source
/// PsIsSystemThread (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsIsSystemThread(Thread: PETHREAD) -> BOOLEAN {
    enter(&IS_SYSTEM, |call| {
        let found =
            object::look::<ThreadRef>(call, Thread).and_then(|thread| world::current().find_thread(thread.id()));
        u8::from(found.is_some_and(|thread| thread.is_system))
    })
}

/// Returns a thread's process, without a reference.
///
/// # Safety
/// `Thread` is a thread that the caller may use.
///
/// # Source
/// IoThreadToProcess (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn IoThreadToProcess(Thread: PETHREAD) -> PEPROCESS {
    enter(&PROCESS_OF, |call| {
        let found = object::look::<ThreadRef>(call, Thread)
            .and_then(|thread| world::current().find_process(thread.process().id()));
        found.map_or(null_mut(), |process| with_exposed_provenance_mut::<c_void>(process.pointer))
    })
}

/// Returns the process of the thread that a request came from, without a reference; null when it came from none.
///
/// # Safety
/// `Irp` points to a request.
///
/// # Source
/// IoGetRequestorProcess (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn IoGetRequestorProcess(Irp: *const IRP) -> PEPROCESS {
    enter(&REQUESTOR, |call| {
        let Some(request) = ptr::read(Irp) else {
            call.report(Rule::NullArgument, "Irp is NULL");
            return null_mut();
        };
        let thread = request.Tail.Thread;
        if thread.is_null() {
            return null_mut();
        }
        let found = object::look::<ThreadRef>(call, thread)
            .and_then(|thread| world::current().find_process(thread.process().id()));
        found.map_or(null_mut(), |process| with_exposed_provenance_mut::<c_void>(process.pointer))
    })
}

/// Returns whose request the calling thread works on.
///
/// # Safety
/// None needed.
///
/// # Source
/// ExGetPreviousMode (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExGetPreviousMode() -> KPROCESSOR_MODE {
    enter(&PREVIOUS, |_| current::seat().previous_mode.get())
}
