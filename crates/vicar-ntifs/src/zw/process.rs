//! System services on processes.

use vicar_kernel::handle::right;
use vicar_kernel::object::process_right;
use vicar_nt::check::AccessMode;
use vicar_nt::{AccessMask, NtStatus};

use super::{capture, held, previous_mode};
use crate::current;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle;
use crate::layout::{HANDLE, NTSTATUS, PROCESS_ACCESS_TOKEN, PVOID, ULONG};

static ZW_SET: Routine = routine!(ZwSetInformationProcess, PASSIVE_LEVEL, "spec/nt-impersonation 2.23");
static NT_SET: Routine = routine!(NtSetInformationProcess, PASSIVE_LEVEL, "spec/nt-impersonation 2.23");

/// `ProcessAccessToken`.
const ACCESS_TOKEN: i32 = 9;

fn set(call: &Call, process: HANDLE, class: i32, from: PVOID, length: ULONG, mode: AccessMode) -> Result<(), NtStatus> {
    if class != ACCESS_TOKEN {
        return Err(NtStatus::INVALID_INFO_CLASS);
    }
    if usize::try_from(length) != Ok(size_of::<PROCESS_ACCESS_TOKEN>()) {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let given = capture(call, from.cast::<PROCESS_ACCESS_TOKEN>().cast_const(), mode)?;
    let wanted = match mode {
        AccessMode::Kernel => AccessMask::NONE,
        AccessMode::User => process_right::SET_INFORMATION,
    };
    let process = handle::process(call, process, mode, &[wanted])?;
    let opened = handle::token(call, given.Token, mode)?;
    let token = held(&opened, right::ASSIGN_PRIMARY, mode)?;
    process.assign_primary(token, &current::seat().host.thread, mode)
}

/// Replaces the primary token of a process, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; in this order `STATUS_INVALID_INFO_CLASS` for every class but `ProcessAccessToken` (9),
/// `STATUS_INFO_LENGTH_MISMATCH`, `STATUS_ACCESS_VIOLATION` and `STATUS_DATATYPE_MISALIGNMENT` for the buffer, the handle
/// statuses of process and token, `STATUS_BAD_TOKEN_TYPE` for an impersonation token, `STATUS_TOKEN_ALREADY_IN_USE` for one that
/// another process runs under, `STATUS_ACCESS_DENIED` for one of a higher trust than that which it would replace. The process
/// keeps its token then.
///
/// # Safety
/// `ProcessInformation` is null or points to as many bytes as the length says.
///
/// # Source
/// spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwSetInformationProcess(
    ProcessHandle: HANDLE,
    ProcessInformationClass: i32,
    ProcessInformation: PVOID,
    ProcessInformationLength: ULONG,
) -> NTSTATUS {
    enter_status(&ZW_SET, |call| {
        let length = ProcessInformationLength;
        set(call, ProcessHandle, ProcessInformationClass, ProcessInformation, length, AccessMode::Kernel)
    })
}

/// [`ZwSetInformationProcess`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`ZwSetInformationProcess`]. A user's handles need `PROCESS_SET_INFORMATION` and `TOKEN_ASSIGN_PRIMARY`.
/// `STATUS_PRIVILEGE_NOT_HELD` when the token is neither a child nor a sibling of that of the caller's process, and whomever the
/// caller acts as does not hold the privilege to assign primary tokens.
///
/// # Safety
/// As for [`ZwSetInformationProcess`].
///
/// # Source
/// spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtSetInformationProcess(
    ProcessHandle: HANDLE,
    ProcessInformationClass: i32,
    ProcessInformation: PVOID,
    ProcessInformationLength: ULONG,
) -> NTSTATUS {
    enter_status(&NT_SET, |call| {
        let length = ProcessInformationLength;
        set(call, ProcessHandle, ProcessInformationClass, ProcessInformation, length, previous_mode())
    })
}
