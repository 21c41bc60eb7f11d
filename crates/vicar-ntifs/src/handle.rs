//! Handles: numbers of a process, or of the kernel, for tokens, threads and processes.
//!
//! A kernel handle has the upper half of its bits set, as on NT, and belongs to no process. The two pseudo-handles name
//! the calling thread and its process. Everything else is in the table of the calling thread's process.

use vicar_kernel::object::{HandleValue, Handles, process_right, thread_right};
use vicar_kernel::{ProcessRef, ThreadRef, TokenHandle};
use vicar_nt::check::AccessMode;
use vicar_nt::{AccessMask, NtStatus};

use crate::current;
use crate::entry::Call;
use crate::export::Type;
use crate::layout::HANDLE;
use crate::verifier::{Rule, book};
use crate::world;

/// `NtCurrentProcess()`.
const CURRENT_PROCESS: usize = usize::MAX;
/// `NtCurrentThread()`.
const CURRENT_THREAD: usize = usize::MAX - 1;
/// Handles of the kernel.
const KERNEL: usize = 0xFFFF_FFFF_8000_0000;
/// `OBJ_KERNEL_HANDLE`.
pub(crate) const OBJ_KERNEL_HANDLE: u32 = 0x0000_0200;

/// What a number is.
enum Place {
    Null,
    CurrentProcess,
    CurrentThread,
    Kernel(HandleValue),
    Own(HandleValue),
    Nothing,
}

impl Place {
    fn of(handle: HANDLE) -> Self {
        match handle.addr() {
            0 => Self::Null,
            CURRENT_PROCESS => Self::CurrentProcess,
            CURRENT_THREAD => Self::CurrentThread,
            kernel if kernel >= KERNEL => value(kernel ^ KERNEL).map_or(Self::Nothing, Self::Kernel),
            own => value(own).map_or(Self::Nothing, Self::Own),
        }
    }
}

fn value(number: usize) -> Option<HandleValue> {
    u32::try_from(number).ok().map(HandleValue::new)
}

/// In whose table a handle goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// The calling process's.
    Own,
    /// The kernel's.
    Kernel,
}

impl Table {
    /// Reads the attributes of a call.
    pub(crate) fn of(attributes: u32) -> Self {
        if attributes & OBJ_KERNEL_HANDLE == 0 { Self::Own } else { Self::Kernel }
    }
}

/// Names an object in a table.
pub(crate) fn insert(
    call: &Call,
    table: Table,
    add: impl FnOnce(&Handles) -> Result<HandleValue, NtStatus>,
) -> Result<HANDLE, NtStatus> {
    let bits = match table {
        Table::Own => usize::try_from(add(&current::seat().host.process.handles)?.number()).unwrap_or(0),
        Table::Kernel => KERNEL | usize::try_from(add(&world::current().kernel_handles)?.number()).unwrap_or(0),
    };
    // A process's own handles are closed when it ends; the kernel's are not.
    if call.is_verified() && matches!(table, Table::Kernel) {
        book::opened(bits, call.site());
    }
    Ok(std::ptr::without_provenance_mut(bits))
}

/// Looks a handle up in the table it belongs to. The kernel's handles mean nothing in a user's request.
///
/// # Source
/// InitializeObjectAttributes (ntdef.h page), OBJ_KERNEL_HANDLE.
fn find<R>(
    handle: HANDLE,
    mode: AccessMode,
    action: impl FnOnce(&Handles, HandleValue) -> Result<R, NtStatus>,
) -> Result<R, NtStatus> {
    match (Place::of(handle), mode) {
        (Place::Own(value), _) => action(&current::seat().host.process.handles, value),
        (Place::Kernel(value), AccessMode::Kernel) => action(&world::current().kernel_handles, value),
        (Place::CurrentProcess | Place::CurrentThread, _) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        (Place::Null | Place::Nothing, _) | (Place::Kernel(_), AccessMode::User) => Err(NtStatus::INVALID_HANDLE),
    }
}

/// Finds by a handle, and reports one of the driver's own that is not open; what number a user sends is not its mistake.
fn noted<R>(
    call: &Call,
    handle: HANDLE,
    mode: AccessMode,
    action: impl FnOnce(&Handles, HandleValue) -> Result<R, NtStatus>,
) -> Result<R, NtStatus> {
    let found = find(handle, mode, action);
    if let (Err(NtStatus::INVALID_HANDLE), AccessMode::Kernel) = (&found, mode)
        && !handle.is_null()
    {
        call.report(Rule::BadHandle, format!("the handle {handle:p} is not open"));
    }
    found
}

/// Returns the token of a handle, whatever its rights.
pub(crate) fn token(call: &Call, handle: HANDLE, mode: AccessMode) -> Result<TokenHandle, NtStatus> {
    noted(call, handle, mode, |table, value| table.token(value))
}

/// Returns the thread of a handle that has a right, or the calling thread.
pub(crate) fn thread(call: &Call, handle: HANDLE, mode: AccessMode, wanted: AccessMask) -> Result<ThreadRef, NtStatus> {
    if let Place::CurrentThread = Place::of(handle) {
        return Ok(current::seat().host.thread.clone());
    }
    noted(call, handle, mode, |table, value| table.thread(value, wanted))
}

/// Returns the process of a handle that has one of the rights, or the calling thread's.
pub(crate) fn process(
    call: &Call,
    handle: HANDLE,
    mode: AccessMode,
    rights: &[AccessMask],
) -> Result<ProcessRef, NtStatus> {
    if let Place::CurrentProcess = Place::of(handle) {
        return Ok(current::seat().host.process.process.clone());
    }
    noted(call, handle, mode, |table, value| table.process(value, rights))
}

/// Closes a handle; closing a pseudo-handle does nothing.
pub(crate) fn close(call: &Call, handle: HANDLE, mode: AccessMode) -> Result<(), NtStatus> {
    if let Place::CurrentThread | Place::CurrentProcess = Place::of(handle) {
        return Ok(());
    }
    noted(call, handle, mode, |table, value| table.close(value))?;
    if call.is_verified() {
        book::closed(handle.addr());
    }
    Ok(())
}

/// Every right to a thread.
pub(crate) const ALL_OF_THREAD: AccessMask = thread_right::ALL;
/// Every right to a process.
pub(crate) const ALL_OF_PROCESS: AccessMask = process_right::ALL;
/// Returns the rights that the kernel gets to something whose generic rights all mean everything.
pub(crate) fn kernel_rights(desired: u32, all: AccessMask) -> AccessMask {
    /// `GENERIC_*` and `MAXIMUM_ALLOWED`.
    const WIDE: u32 = 0xF200_0000;
    if desired & WIDE == 0 { AccessMask::truncate(desired) } else { all }
}

/// Returns what kind of object a handle names.
pub(crate) fn kind(call: &Call, handle: HANDLE, mode: AccessMode) -> Result<Type, NtStatus> {
    match Place::of(handle) {
        Place::CurrentThread => return Ok(Type::Thread),
        Place::CurrentProcess => return Ok(Type::Process),
        Place::Null | Place::Nothing | Place::Kernel(_) | Place::Own(_) => {}
    }
    let nothing = AccessMask::truncate(0);
    noted(call, handle, mode, |table, value| match table.token(value) {
        Ok(_) => Ok(Type::Token),
        Err(NtStatus::OBJECT_TYPE_MISMATCH) if table.thread(value, nothing).is_ok() => Ok(Type::Thread),
        Err(NtStatus::OBJECT_TYPE_MISMATCH) => Ok(Type::Process),
        Err(status) => Err(status),
    })
}
