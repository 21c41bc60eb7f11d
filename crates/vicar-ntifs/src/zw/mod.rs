//! The system services that drivers call: by handle, in two forms.
//!
//! `Zw` is called on the kernel's behalf: nobody is checked, handles get the rights that are asked for. `Nt` is called on
//! behalf of whoever [`vicar_set_previous_mode`](crate::testing::api::vicar_set_previous_mode) says, and for a user
//! pointers are tested as NT tests them.

use std::ptr::null_mut;

use vicar_kernel::{Qos, TokenHandle, TokenRef};
use vicar_nt::check::AccessMode;
use vicar_nt::{AccessMask, NtStatus};

use crate::convert;
use crate::current;
use crate::entry::Call;
use crate::handle::{OBJ_KERNEL_HANDLE, Table};
use crate::layout::{HANDLE, SECURITY_QUALITY_OF_SERVICE};
use crate::ptr::{self, Plain};
use crate::verifier::Rule;
use crate::world;

pub(crate) mod access;
pub(crate) mod adjust;
pub(crate) mod audit;
pub(crate) mod filter;
pub(crate) mod process;
pub(crate) mod question;
pub(crate) mod setting;
pub(crate) mod thread;
pub(crate) mod token;

/// Returns on whose behalf an `Nt` routine is called.
pub(crate) fn previous_mode() -> AccessMode {
    convert::mode(current::seat().previous_mode.get())
}

/// Tests that there is room for a `T` where a caller says.
///
/// # Errors
/// - `STATUS_ACCESS_VIOLATION` for null, `STATUS_DATATYPE_MISALIGNMENT` for what is not aligned.
///
/// # Source
/// ProbeForWrite, ProbeForRead (wdm.h pages).
pub(crate) fn probe<T>(call: &Call, at: *const T, mode: AccessMode) -> Result<(), NtStatus> {
    if at.is_null() {
        if mode == AccessMode::Kernel {
            call.report(Rule::NullArgument, "a pointer is NULL");
        }
        return Err(NtStatus::ACCESS_VIOLATION);
    }
    if ptr::is_aligned(at) { Ok(()) } else { Err(NtStatus::DATATYPE_MISALIGNMENT) }
}

/// Tests an output that may be left out.
///
/// # Errors
/// - `STATUS_DATATYPE_MISALIGNMENT`.
pub(crate) fn probe_optional<T>(call: &Call, at: *const T, mode: AccessMode) -> Result<(), NtStatus> {
    if at.is_null() { Ok(()) } else { probe(call, at, mode) }
}

/// Reads what a caller points to, once.
///
/// # Errors
/// - as for [`probe`].
pub(crate) fn capture<T: Plain>(call: &Call, from: *const T, mode: AccessMode) -> Result<T, NtStatus> {
    probe(call, from, mode)?;
    ptr::read(from).ok_or(NtStatus::ACCESS_VIOLATION)
}

/// Reads a quality of service.
///
/// # Errors
/// - as for [`probe`].
/// - `STATUS_INVALID_PARAMETER` for a length that is not the structure's. Whether the level is one is tested later.
pub(crate) fn quality(
    call: &Call,
    from: *const SECURITY_QUALITY_OF_SERVICE,
    mode: AccessMode,
) -> Result<[u8; Qos::SIZE], NtStatus> {
    let wire = capture(call, from, mode)?;
    if wire.Length != 12 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let [l0, l1, l2, l3] = wire.ImpersonationLevel.to_le_bytes();
    Ok([12, 0, 0, 0, l0, l1, l2, l3, wire.ContextTrackingMode, wire.EffectiveOnly, 0, 0])
}

/// Returns the token of a handle that has the rights; the kernel is not asked for any.
///
/// # Errors
/// - `STATUS_ACCESS_DENIED`.
pub(crate) fn held(opened: &TokenHandle, rights: AccessMask, mode: AccessMode) -> Result<&TokenRef, NtStatus> {
    match mode {
        AccessMode::Kernel => Ok(opened.token_unchecked()),
        AccessMode::User => opened.demand(rights),
    }
}

/// Answers with a status that says more than that it was done.
pub(crate) fn answer(status: NtStatus) -> Result<(), NtStatus> {
    if status == NtStatus::SUCCESS { Ok(()) } else { Err(status) }
}

/// Says in whose table a handle goes.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when the kernel asks for a handle of a process that is not the system's.
///
/// # Source
/// ZwOpenThreadTokenEx, ZwOpenProcessTokenEx (ntifs.h pages); a user's wish for a kernel handle is not heard, spec/nt-impersonation
/// 2.22, 9.
pub(crate) fn table(attributes: u32, mode: AccessMode) -> Result<Table, NtStatus> {
    match mode {
        AccessMode::User => Ok(Table::Own),
        AccessMode::Kernel if attributes & OBJ_KERNEL_HANDLE != 0 => Ok(Table::Kernel),
        AccessMode::Kernel => {
            let own = current::seat().host.process.process.id();
            if own == world::current().system_process.process.id() {
                Ok(Table::Own)
            } else {
                Err(NtStatus::INVALID_PARAMETER)
            }
        }
    }
}

/// Stores a handle, or clears the place when there is none.
pub(crate) fn store(to: *mut HANDLE, opened: Result<HANDLE, NtStatus>) -> Result<(), NtStatus> {
    ptr::write(to, opened.unwrap_or(null_mut()));
    opened.map(drop)
}
