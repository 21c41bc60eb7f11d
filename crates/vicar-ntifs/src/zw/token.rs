//! System services on tokens and handles.

use vicar_kernel::object::process_right;
use vicar_kernel::token::{DuplicateKind, descriptor_of_new};
use vicar_kernel::{Duplicate, Profile, Qos, TokenHandle};
use vicar_nt::check::AccessMode;
use vicar_nt::descriptor::Descriptor;
use vicar_nt::{NtStatus, RequestedMask};

use super::{capture, previous_mode, probe, quality, store, table};
use crate::convert;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle::{self, Table};
use crate::layout::{
    ACCESS_MASK, BOOLEAN, HANDLE, NTSTATUS, OBJECT_ATTRIBUTES, SECURITY_QUALITY_OF_SERVICE, TOKEN_TYPE, ULONG,
};
use crate::ptr;
use crate::se::subject;
use crate::world;

static ZW_OPEN_OWN: Routine = routine!(ZwOpenProcessToken, PASSIVE_LEVEL, "ZwOpenProcessToken (ntifs.h page)");
static NT_OPEN_OWN: Routine = routine!(NtOpenProcessToken, PASSIVE_LEVEL, "NtOpenProcessToken (ntifs.h page)");
static ZW_OPEN: Routine = routine!(ZwOpenProcessTokenEx, PASSIVE_LEVEL, "ZwOpenProcessTokenEx (ntifs.h page)");
static NT_OPEN: Routine = routine!(NtOpenProcessTokenEx, PASSIVE_LEVEL, "NtOpenProcessTokenEx (ntifs.h page)");
static ZW_DUPLICATE: Routine = routine!(ZwDuplicateToken, PASSIVE_LEVEL, "ZwDuplicateToken (ntifs.h page)");
static NT_DUPLICATE: Routine = routine!(NtDuplicateToken, PASSIVE_LEVEL, "NtDuplicateToken (ntifs.h page)");
static ZW_CLOSE: Routine = routine!(ZwClose, PASSIVE_LEVEL, "ZwClose (wdm.h page)");
static NT_CLOSE: Routine = routine!(NtClose, PASSIVE_LEVEL, "NtClose (winternl.h page)");

fn open(
    call: &Call,
    process: HANDLE,
    desired: ACCESS_MASK,
    attributes: ULONG,
    to: *mut HANDLE,
    mode: AccessMode,
) -> Result<(), NtStatus> {
    probe(call, to, mode)?;
    let full = process_right::QUERY_INFORMATION;
    let rights = match (mode, world::current().system.profile()) {
        (AccessMode::Kernel, _) => vec![vicar_nt::AccessMask::truncate(0)],
        (AccessMode::User, Profile::V0 | Profile::V1) => vec![full],
        (AccessMode::User, Profile::V2 | Profile::V3 | Profile::V4) => {
            vec![full, process_right::QUERY_LIMITED_INFORMATION]
        }
    };
    let opened = table(attributes, mode).and_then(|table| {
        let token = handle::process(call, process, mode, &rights)?.reference_primary();
        let opened = match mode {
            AccessMode::Kernel => TokenHandle::open_unchecked(&token, RequestedMask(desired)),
            AccessMode::User => TokenHandle::open(&token, &subject::of_caller(), RequestedMask(desired))?,
        };
        handle::insert(call, table, |handles| handles.add_token(opened))
    });
    store(to, opened)
}

/// [`ZwOpenProcessTokenEx`] without attributes: the handle is the calling process's, which must be the system's.
///
/// # Safety
/// As for [`ZwOpenProcessTokenEx`].
///
/// # Source
/// ZwOpenProcessToken (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwOpenProcessToken(
    ProcessHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&ZW_OPEN_OWN, |call| open(call, ProcessHandle, DesiredAccess, 0, TokenHandle, AccessMode::Kernel))
}

/// [`ZwOpenProcessToken`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`NtOpenProcessTokenEx`].
///
/// # Safety
/// As for [`ZwOpenProcessTokenEx`].
///
/// # Source
/// NtOpenProcessToken (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtOpenProcessToken(
    ProcessHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&NT_OPEN_OWN, |call| open(call, ProcessHandle, DesiredAccess, 0, TokenHandle, previous_mode()))
}

/// Opens the primary token of a process, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` when a handle of another process than the system's is asked for;
/// `STATUS_ACCESS_VIOLATION` and `STATUS_DATATYPE_MISALIGNMENT` for the output; the handle statuses;
/// `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`.
///
/// # Safety
/// `TokenHandle` is null or points to room for a handle.
///
/// # Source
/// ZwOpenProcessTokenEx (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwOpenProcessTokenEx(
    ProcessHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    HandleAttributes: ULONG,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&ZW_OPEN, |call| {
        open(call, ProcessHandle, DesiredAccess, HandleAttributes, TokenHandle, AccessMode::Kernel)
    })
}

/// Opens the primary token of a process, for whoever the calling thread works for.
///
/// # Returns
/// As for [`ZwOpenProcessTokenEx`], and for a user the statuses of the access check.
///
/// # Safety
/// `TokenHandle` is null or points to room for a handle.
///
/// # Source
/// NtOpenProcessTokenEx (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtOpenProcessTokenEx(
    ProcessHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    HandleAttributes: ULONG,
    TokenHandle: *mut HANDLE,
) -> NTSTATUS {
    enter_status(&NT_OPEN, |call| {
        open(call, ProcessHandle, DesiredAccess, HandleAttributes, TokenHandle, previous_mode())
    })
}

/// What the attributes of a new token say.
#[derive(Default)]
struct Attributes {
    qos: Option<Qos>,
    descriptor: Option<Descriptor>,
    flags: ULONG,
}

/// Reads the attributes of a new token.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` for a wrong length of the attributes or of the quality of service, or a level that is none.
/// - `STATUS_INVALID_SECURITY_DESCR` and the other statuses of a malformed descriptor.
fn attributes(call: &Call, from: *const OBJECT_ATTRIBUTES, mode: AccessMode) -> Result<Attributes, NtStatus> {
    if from.is_null() {
        return Ok(Attributes::default());
    }
    let attributes = capture(call, from, mode)?;
    if usize::try_from(attributes.Length) != Ok(size_of::<OBJECT_ATTRIBUTES>()) {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let qos: *const SECURITY_QUALITY_OF_SERVICE = attributes.SecurityQualityOfService.cast_const().cast();
    let qos = if qos.is_null() { None } else { Some(Qos::parse(quality(call, qos, mode)?)?) };
    let descriptor = match attributes.SecurityDescriptor.is_null() {
        true => None,
        false => {
            let bytes = ptr::descriptor(call, attributes.SecurityDescriptor)?;
            Some(Descriptor::parse(&bytes).map_err(|error| error.status())?)
        }
    };
    Ok(Attributes { qos, descriptor, flags: attributes.Attributes })
}

/// A token to be copied, and how, as the header names it.
struct Copying {
    ExistingTokenHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectAttributes: *const OBJECT_ATTRIBUTES,
    EffectiveOnly: BOOLEAN,
    TokenType: TOKEN_TYPE,
}

fn duplicate(call: &Call, wanted: &Copying, to: *mut HANDLE, mode: AccessMode) -> Result<(), NtStatus> {
    // The order of these tests is the page's and what was observed.
    let kind = DuplicateKind::parse(wanted.TokenType.cast_unsigned())?;
    probe(call, to, mode)?;
    let opened = attributes(call, wanted.ObjectAttributes, mode).and_then(|given| {
        let table = match mode {
            AccessMode::Kernel => Table::of(given.flags),
            AccessMode::User => Table::Own,
        };
        let existing = handle::token(call, wanted.ExistingTokenHandle, mode)?;
        let level = given.qos.map(|qos| qos.level);
        let wished = Duplicate { kind, level, reach: convert::reach(wanted.EffectiveOnly) };
        let desired = (wanted.DesiredAccess != 0).then_some(RequestedMask(wanted.DesiredAccess));
        let asked = given.descriptor.as_ref().map(Descriptor::as_ref);
        let copy = match (mode, asked) {
            (AccessMode::User, None) => existing.duplicate(&subject::of_caller(), desired, wished)?,
            (AccessMode::User, Some(asked)) => {
                existing.duplicate_protected(&subject::of_caller(), desired, wished, asked)?
            }
            (AccessMode::Kernel, asked) => {
                let existing_token = existing.token_unchecked();
                let copy = match asked {
                    None => existing_token.duplicate(wished)?,
                    Some(asked) => existing_token
                        .duplicate_protected(wished, || descriptor_of_new(asked, &subject::of_caller(), mode))?,
                };
                match desired {
                    None => TokenHandle::with_rights(copy, existing.access()),
                    Some(desired) => TokenHandle::open_unchecked(&copy, desired),
                }
            }
        };
        handle::insert(call, table, |handles| handles.add_token(copy))
    });
    store(to, opened)
}

/// Copies a token, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; in this order `STATUS_INVALID_PARAMETER` for a type that is none, `STATUS_ACCESS_VIOLATION` and
/// `STATUS_DATATYPE_MISALIGNMENT` for the output, `STATUS_INVALID_PARAMETER` for attributes that are none and the status of a
/// malformed descriptor in them, the handle statuses, `STATUS_BAD_IMPERSONATION_LEVEL`, `STATUS_INVALID_OWNER` and
/// `STATUS_INVALID_PRIMARY_GROUP` for what the descriptor asks for; `STATUS_INSUFFICIENT_RESOURCES` or
/// `STATUS_QUOTA_EXCEEDED`.
///
/// # Safety
/// `ObjectAttributes` is null or points to its structure, `NewTokenHandle` is null or room for a handle.
///
/// # Source
/// ZwDuplicateToken (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwDuplicateToken(
    ExistingTokenHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectAttributes: *const OBJECT_ATTRIBUTES,
    EffectiveOnly: BOOLEAN,
    TokenType: TOKEN_TYPE,
    NewTokenHandle: *mut HANDLE,
) -> NTSTATUS {
    let wanted = Copying { ExistingTokenHandle, DesiredAccess, ObjectAttributes, EffectiveOnly, TokenType };
    enter_status(&ZW_DUPLICATE, |call| duplicate(call, &wanted, NewTokenHandle, AccessMode::Kernel))
}

/// [`ZwDuplicateToken`] for whoever the calling thread works for: the handle must allow it, and the copy is opened by an
/// access check.
///
/// # Returns
/// As for [`ZwDuplicateToken`]; a user's descriptor can also be answered with `STATUS_PRIVILEGE_NOT_HELD` for audit entries or a
/// label above the maker's, and `STATUS_BAD_IMPERSONATION_LEVEL` for a maker that is only identified.
///
/// # Safety
/// As for [`ZwDuplicateToken`].
///
/// # Source
/// NtDuplicateToken (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtDuplicateToken(
    ExistingTokenHandle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectAttributes: *const OBJECT_ATTRIBUTES,
    EffectiveOnly: BOOLEAN,
    TokenType: TOKEN_TYPE,
    NewTokenHandle: *mut HANDLE,
) -> NTSTATUS {
    let wanted = Copying { ExistingTokenHandle, DesiredAccess, ObjectAttributes, EffectiveOnly, TokenType };
    enter_status(&NT_DUPLICATE, |call| duplicate(call, &wanted, NewTokenHandle, previous_mode()))
}

/// Closes a handle.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_HANDLE` when it is not open.
///
/// # Safety
/// None needed.
///
/// # Source
/// ZwClose (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwClose(Handle: HANDLE) -> NTSTATUS {
    enter_status(&ZW_CLOSE, |call| handle::close(call, Handle, AccessMode::Kernel))
}

/// [`ZwClose`].
///
/// # Safety
/// None needed.
///
/// # Source
/// NtClose (winternl.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtClose(Handle: HANDLE) -> NTSTATUS {
    enter_status(&NT_CLOSE, |call| handle::close(call, Handle, previous_mode()))
}
