//! What is asked about tokens by handle: are they alike, are privileges in force.

use vicar_kernel::handle::right;
use vicar_nt::NtStatus;
use vicar_nt::check::AccessMode;

use super::{held, previous_mode, probe};
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle;
use crate::layout::{BOOLEAN, HANDLE, NTSTATUS, PRIVILEGE_SET, ULONG};
use crate::ptr;
use crate::se::privilege::Required;

static ZW_COMPARE: Routine = routine!(ZwCompareTokens, PASSIVE_LEVEL, "NtCompareTokens (winternl page)");
static NT_COMPARE: Routine = routine!(NtCompareTokens, PASSIVE_LEVEL, "NtCompareTokens (winternl page)");
static ZW_PRIVILEGE: Routine = routine!(ZwPrivilegeCheck, PASSIVE_LEVEL, "PrivilegeCheck (securitybaseapi.h page)");
static NT_PRIVILEGE: Routine = routine!(NtPrivilegeCheck, PASSIVE_LEVEL, "PrivilegeCheck (securitybaseapi.h page)");

fn compare(call: &Call, first: HANDLE, second: HANDLE, to: *mut BOOLEAN, mode: AccessMode) -> Result<(), NtStatus> {
    probe(call, to, mode)?;
    ptr::write(to, 0);
    let (first, second) = (handle::token(call, first, mode)?, handle::token(call, second, mode)?);
    let (first, second) = (held(&first, right::QUERY, mode)?, held(&second, right::QUERY, mode)?);
    ptr::write(to, u8::from(first.is_same(second) || first.is_equal_to(second)));
    Ok(())
}

/// Says whether two tokens would be judged alike, for the kernel: the same SIDs, restriction, restricting SIDs and privileges.
///
/// # Returns
/// `STATUS_SUCCESS` with the answer in `*Equal`; `STATUS_ACCESS_VIOLATION` when there is no place for it; the handle statuses,
/// with FALSE there.
///
/// # Safety
/// `Equal` is null or points to a byte.
///
/// # Source
/// NtCompareTokens (page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwCompareTokens(
    FirstTokenHandle: HANDLE,
    SecondTokenHandle: HANDLE,
    Equal: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&ZW_COMPARE, |call| compare(call, FirstTokenHandle, SecondTokenHandle, Equal, AccessMode::Kernel))
}

/// [`ZwCompareTokens`] for whoever the calling thread works for: a user's handles need `TOKEN_QUERY`.
///
/// # Safety
/// As for [`ZwCompareTokens`].
///
/// # Source
/// NtCompareTokens (page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtCompareTokens(
    FirstTokenHandle: HANDLE,
    SecondTokenHandle: HANDLE,
    Equal: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&NT_COMPARE, |call| compare(call, FirstTokenHandle, SecondTokenHandle, Equal, previous_mode()))
}

fn check(
    call: &Call,
    token: HANDLE,
    required: *mut PRIVILEGE_SET,
    to: *mut BOOLEAN,
    mode: AccessMode,
) -> Result<(), NtStatus> {
    probe(call, to, mode)?;
    ptr::write(to, 0);
    probe(call, required.cast::<ULONG>().cast_const(), mode)?;
    let mut set = Required::read(required).ok_or(NtStatus::INVALID_PARAMETER)?;
    let opened = handle::token(call, token, mode)?;
    let token = held(&opened, right::QUERY, mode)?;
    let answer = token.privilege_check(&mut set.wanted, set.need)?;
    set.write_back(required);
    ptr::write(to, u8::from(answer));
    Ok(())
}

/// Says whether privileges are in force in a token, and marks those that are, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS` with the answer in `*Result`; `STATUS_ACCESS_VIOLATION`, `STATUS_DATATYPE_MISALIGNMENT` for the pointers;
/// `STATUS_INVALID_PARAMETER` for far more privileges than there are; the handle statuses; `STATUS_BAD_IMPERSONATION_LEVEL`
/// when the token is at level Anonymous. `*Result` is FALSE then, and nothing is marked.
///
/// # Safety
/// `RequiredPrivileges` is null or points to a set with as many entries as it says, which are written to; `Result` is null or
/// points to a byte.
///
/// # Source
/// PrivilegeCheck (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwPrivilegeCheck(
    ClientToken: HANDLE,
    RequiredPrivileges: *mut PRIVILEGE_SET,
    Result: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&ZW_PRIVILEGE, |call| check(call, ClientToken, RequiredPrivileges, Result, AccessMode::Kernel))
}

/// [`ZwPrivilegeCheck`] for whoever the calling thread works for: a user's handle needs `TOKEN_QUERY`.
///
/// # Safety
/// As for [`ZwPrivilegeCheck`].
///
/// # Source
/// PrivilegeCheck (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtPrivilegeCheck(
    ClientToken: HANDLE,
    RequiredPrivileges: *mut PRIVILEGE_SET,
    Result: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&NT_PRIVILEGE, |call| check(call, ClientToken, RequiredPrivileges, Result, previous_mode()))
}
