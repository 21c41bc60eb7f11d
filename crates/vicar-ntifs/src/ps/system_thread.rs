//! Threads that a driver starts for itself.

use std::ffi::c_void;

use vicar_nt::check::AccessMode;
use vicar_nt::{AccessMask, NtStatus};

use crate::current;
use crate::entry::{Routine, enter, enter_status, routine};
use crate::handle::{self, Table};
use crate::ke;
use crate::layout::{HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, PVOID, ULONG};
use crate::ptr;
use crate::testing;
use crate::verifier::{Rule, Site};
use crate::world;

static CREATE: Routine = routine!(PsCreateSystemThread, PASSIVE_LEVEL, "PsCreateSystemThread (wdm.h page)");
static TERMINATE: Routine = routine!(PsTerminateSystemThread, PASSIVE_LEVEL, "PsTerminateSystemThread (wdm.h page)");

/// What a thread runs.
pub type KSTART_ROUTINE = extern "system" fn(PVOID);

/// Starts a thread of the system's process, or of the process that is named.
///
/// # Returns
/// `STATUS_SUCCESS` and a handle with the rights asked for; `STATUS_INVALID_PARAMETER` for null; the handle statuses for
/// the process; `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`. The handle is null then.
///
/// # Safety
/// `ThreadHandle` is null or room for a handle; `ObjectAttributes` is null or points to its structure; `ClientId` is null
/// or room for two handles; `StartRoutine` may run with `StartContext` on another thread.
///
/// # Source
/// PsCreateSystemThread (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsCreateSystemThread(
    ThreadHandle: *mut HANDLE,
    DesiredAccess: ULONG,
    ObjectAttributes: *const OBJECT_ATTRIBUTES,
    ProcessHandle: HANDLE,
    ClientId: *mut HANDLE,
    StartRoutine: Option<KSTART_ROUTINE>,
    StartContext: PVOID,
) -> NTSTATUS {
    enter_status(&CREATE, |call| {
        if !ptr::write(ThreadHandle, std::ptr::null_mut()) {
            call.report(Rule::NullArgument, "ThreadHandle is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let routine = StartRoutine.ok_or(NtStatus::INVALID_PARAMETER)?;
        let world = world::current();
        let process = match ProcessHandle.is_null() {
            true => std::sync::Arc::clone(&world.system_process),
            false => {
                let named = handle::process(call, ProcessHandle, AccessMode::Kernel, &[AccessMask::NONE])?;
                world.find_process(named.id()).ok_or(NtStatus::INVALID_HANDLE)?
            }
        };
        let host = world.create_thread(&process, true);
        let table = Table::of(ptr::read(ObjectAttributes).map_or(0, |attributes| attributes.Attributes));
        let rights = handle::kernel_rights(DesiredAccess, handle::ALL_OF_THREAD);
        let opened = handle::insert(call, table, |handles| handles.add_thread(&host.thread, rights));
        let opened = opened.inspect_err(|_| world.end_thread(&host))?;
        for (index, number) in [process.process.id(), host.thread.id()].into_iter().enumerate() {
            ptr::write_at(ClientId, index, super::find::id(number));
        }
        let context = StartContext.expose_provenance();
        let (own_world, own_host) = (std::sync::Arc::clone(&world), std::sync::Arc::clone(&host));
        let started = std::thread::Builder::new().name("vicar-system".to_owned()).spawn(move || {
            current::become_thread(own_host, own_world);
            routine(std::ptr::with_exposed_provenance_mut::<c_void>(context));
            ke::held::end("the end of a thread");
            let seat = current::seat();
            testing::note_exit(&seat.host, Site::in_function((routine as *const ()).addr()));
            // Reported; what ends with the seat need not say it again.
            seat.host.thread.revert();
            drop(seat);
            current::act_as_system();
        });
        if started.is_err() {
            world.end_thread(&host);
            let _ = handle::close(call, opened, AccessMode::Kernel);
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        ptr::write(ThreadHandle, opened);
        Ok(())
    })
}

/// Ends the calling thread, if it is one that [`PsCreateSystemThread`] started.
///
/// It does not return then: the thread of the world ends, and the thread of the program sleeps until the process ends,
/// because C frames cannot be unwound.
///
/// # Returns
/// `STATUS_INVALID_PARAMETER` on any other thread.
///
/// # Safety
/// None needed.
///
/// # Source
/// PsTerminateSystemThread (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS {
    // Nobody can ask for it: there is nothing to wait with.
    let _ = ExitStatus;
    let ends = enter(&TERMINATE, |_| current::end());
    if !ends {
        return NtStatus::INVALID_PARAMETER.0.cast_signed();
    }
    loop {
        std::thread::park();
    }
}
