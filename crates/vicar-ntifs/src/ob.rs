//! The object manager: references, and objects by handle.

use std::ptr::null_mut;

use vicar_kernel::{ObjectRef, ProcessRef, ThreadRef, TokenHandle, TokenRef};
use vicar_nt::check::AccessMode;
use vicar_nt::{AccessMask, NtStatus, RequestedMask};

use crate::convert;
use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::export::{self, Type};
use crate::handle::{self, Table};
use crate::layout::{
    ACCESS_MASK, ACCESS_STATE, HANDLE, KPROCESSOR_MODE, LONG_PTR, NTSTATUS, POBJECT_TYPE, PVOID, ULONG,
};
use crate::object;
use crate::ptr;
use crate::se::subject;
use crate::verifier::{Rule, flow};

static REFERENCE: Routine = routine!(ObfReferenceObject, DISPATCH_LEVEL, "ObfReferenceObject (wdm.h page)");
static DEREFERENCE: Routine = routine!(ObfDereferenceObject, DISPATCH_LEVEL, "ObDereferenceObject (wdm.h page)");
static BY_POINTER: Routine =
    routine!(ObReferenceObjectByPointer, DISPATCH_LEVEL, "ObReferenceObjectByPointer (wdm.h page)");
static BY_HANDLE: Routine =
    routine!(ObReferenceObjectByHandle, PASSIVE_LEVEL, "ObReferenceObjectByHandle (wdm.h page)");
static OPEN: Routine = routine!(ObOpenObjectByPointer, PASSIVE_LEVEL, "ObOpenObjectByPointer (ntifs.h page)");

/// Takes one more reference to an object.
///
/// # Returns
/// One if there is such an object, else zero. NT reserves the value.
///
/// # Safety
/// `Object` is an object that the caller references.
///
/// # Source
/// ObfReferenceObject (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ObfReferenceObject(Object: PVOID) -> LONG_PTR {
    enter(&REFERENCE, |call| LONG_PTR::from(object::reference(call, Object)))
}

/// Gives a reference to an object back; the last one ends it.
///
/// # Returns
/// Zero. NT reserves the value.
///
/// # Safety
/// `Object` is an object that the caller references.
///
/// # Source
/// ObDereferenceObject (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ObfDereferenceObject(Object: PVOID) -> LONG_PTR {
    enter(&DEREFERENCE, |call| {
        object::dereference(call, Object);
        0
    })
}

/// Says whether an object is of a type; no type is any.
fn is_of(object: &ObjectRef, wanted: POBJECT_TYPE) -> bool {
    wanted.is_null()
        || export::kind(wanted).is_some_and(|wanted| {
            wanted
                == match object {
                    ObjectRef::Token(_) => Type::Token,
                    ObjectRef::Thread(_) => Type::Thread,
                    ObjectRef::Process(_) => Type::Process,
                }
        })
}

/// Takes one more reference to an object of a type.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_OBJECT_TYPE_MISMATCH` when it is of another type; `STATUS_INVALID_PARAMETER` when it is none.
///
/// # Safety
/// `Object` is an object that the caller references.
///
/// # Source
/// ObReferenceObjectByPointer (wdm.h page). Rights are not looked at: who has a pointer may use it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ObReferenceObjectByPointer(
    Object: PVOID,
    DesiredAccess: ACCESS_MASK,
    ObjectType: POBJECT_TYPE,
    AccessMode: KPROCESSOR_MODE,
) -> NTSTATUS {
    let _ = (DesiredAccess, AccessMode);
    enter_status(&BY_POINTER, |call| {
        let found = object::look_any(call, Object).ok_or(NtStatus::INVALID_PARAMETER)?;
        if !is_of(&found, ObjectType) {
            return Err(NtStatus::OBJECT_TYPE_MISMATCH);
        }
        if object::reference(call, Object) { Ok(()) } else { Err(NtStatus::INVALID_PARAMETER) }
    })
}

/// Finds the object of a handle and takes a reference on it.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_HANDLE` when it names nothing, `STATUS_OBJECT_TYPE_MISMATCH` when it names something
/// else, `STATUS_ACCESS_DENIED` when a user's handle lacks a right. The output is null then. The handle information, if
/// asked for, is the granted rights; its attributes are zero.
///
/// # Safety
/// `Object` is null or points to room for a pointer; `HandleInformation` is null or points to two 32-bit numbers.
///
/// # Source
/// ObReferenceObjectByHandle (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ObReferenceObjectByHandle(
    Handle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectType: POBJECT_TYPE,
    AccessMode: KPROCESSOR_MODE,
    Object: *mut PVOID,
    HandleInformation: *mut ULONG,
) -> NTSTATUS {
    enter_status(&BY_HANDLE, |call| {
        if !ptr::write(Object, null_mut()) {
            call.report(Rule::NullArgument, "Object is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        // A caller in kernel mode gets what the handle names, whatever its rights.
        let mode = convert::mode(AccessMode);
        let wanted = match mode {
            AccessMode::Kernel => AccessMask::truncate(0),
            AccessMode::User => AccessMask::truncate(DesiredAccess),
        };
        let kind = match ObjectType.is_null() {
            true => handle::kind(call, Handle, mode)?,
            false => export::kind(ObjectType).ok_or(NtStatus::OBJECT_TYPE_MISMATCH)?,
        };
        let (pointer, granted) = match kind {
            Type::Token => {
                let token = handle::token(call, Handle, mode)?;
                (object::give(call, token.demand(wanted)?.clone()), token.access())
            }
            Type::Thread => {
                (object::give(call, handle::thread(call, Handle, mode, wanted)?), AccessMask::truncate(DesiredAccess))
            }
            Type::Process => (
                object::give(call, handle::process(call, Handle, mode, &[wanted])?),
                AccessMask::truncate(DesiredAccess),
            ),
        };
        ptr::write(Object, pointer);
        if !HandleInformation.is_null() {
            ptr::write_at(HandleInformation, 0, 0);
            ptr::write_at(HandleInformation, 1, granted.bits());
        }
        Ok(())
    })
}

/// Opens an object that the caller has a pointer to.
///
/// A token is opened for the subject of the access state, if one is passed; threads and processes always for the calling
/// thread.
///
/// # Returns
/// `STATUS_SUCCESS`; the statuses of an access check for a caller in user mode, who is checked as whoever the calling
/// thread acts as; `STATUS_OBJECT_TYPE_MISMATCH`; `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`. The output is
/// null then.
///
/// # Safety
/// `Object` is an object that the caller references; `PassedAccessState` is null or points to a state; `Handle` is null or points to room for a
/// handle.
///
/// # Source
/// ObOpenObjectByPointer (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ObOpenObjectByPointer(
    Object: PVOID,
    HandleAttributes: ULONG,
    PassedAccessState: PVOID,
    DesiredAccess: ACCESS_MASK,
    ObjectType: POBJECT_TYPE,
    AccessMode: KPROCESSOR_MODE,
    Handle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&OPEN, |call| {
        if !ptr::write(Handle, null_mut()) {
            call.report(Rule::NullArgument, "Handle is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let state: *mut ACCESS_STATE = PassedAccessState.cast();
        let desired = match ptr::read(state) {
            None => DesiredAccess,
            Some(state) => DesiredAccess | state.RemainingDesiredAccess | state.PreviouslyGrantedAccess,
        };
        flow::works(call, "an object was opened");
        let found = object::look_any(call, Object).ok_or(NtStatus::INVALID_PARAMETER)?;
        if !is_of(&found, ObjectType) {
            return Err(NtStatus::OBJECT_TYPE_MISMATCH);
        }
        let table = Table::of(HandleAttributes);
        let opened = match found {
            ObjectRef::Token(token) => open_token(call, &token, desired, convert::mode(AccessMode), table, state),
            ObjectRef::Thread(thread) => open_thread(call, &thread, desired, convert::mode(AccessMode), table),
            ObjectRef::Process(process) => open_process(call, &process, desired, convert::mode(AccessMode), table),
        };
        ptr::write(Handle, opened?);
        Ok(())
    })
}

fn open_token(
    call: &Call,
    token: &TokenRef,
    desired: ACCESS_MASK,
    mode: AccessMode,
    table: Table,
    state: *mut ACCESS_STATE,
) -> Result<HANDLE, NtStatus> {
    let desired = RequestedMask(desired);
    let opened = match mode {
        AccessMode::Kernel => TokenHandle::open_unchecked(token, desired),
        AccessMode::User if state.is_null() => TokenHandle::open(token, &subject::of_caller(), desired)?,
        AccessMode::User => subject::view(call, crate::se::state::subject_of(state), |subject| {
            TokenHandle::open(token, subject, desired)
        })
        .ok_or(NtStatus::INVALID_PARAMETER)??,
    };
    handle::insert(call, table, |handles| handles.add_token(opened))
}

fn open_thread(
    call: &Call,
    thread: &ThreadRef,
    desired: ACCESS_MASK,
    mode: AccessMode,
    table: Table,
) -> Result<HANDLE, NtStatus> {
    handle::insert(call, table, |handles| match mode {
        AccessMode::Kernel => handles.add_thread(thread, handle::kernel_rights(desired, handle::ALL_OF_THREAD)),
        AccessMode::User => handles.open_thread(&subject::of_caller(), thread, RequestedMask(desired)),
    })
}

/// A process has no descriptor of its own here: its user and the system may open it, by the rule of its threads.
fn open_process(
    call: &Call,
    process: &ProcessRef,
    desired: ACCESS_MASK,
    mode: AccessMode,
    table: Table,
) -> Result<HANDLE, NtStatus> {
    handle::insert(call, table, |handles| match mode {
        AccessMode::Kernel => handles.add_process(process, handle::kernel_rights(desired, handle::ALL_OF_PROCESS)),
        AccessMode::User => handles.open_process(&subject::of_caller(), process, RequestedMask(desired)),
    })
}
