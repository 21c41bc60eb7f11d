//! Access lists: made, judged, walked, cut.

use std::ffi::c_void;

use vicar_nt::NtStatus;

use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::layout::{ACL, BOOLEAN, NTSTATUS, PACL, PVOID, ULONG};
use crate::ptr;
use crate::rtl::list::{Change, HEAD, List, entries};
use crate::verifier::Rule;

static CREATE: Routine = routine!(RtlCreateAcl, APC_LEVEL, "RtlCreateAcl (ntifs.h page)");
static VALID: Routine = routine!(RtlValidAcl, APC_LEVEL, "IsValidAcl (securitybaseapi.h page)");
static FIRST_FREE: Routine = routine!(RtlFirstFreeAce, APC_LEVEL, "FindFirstFreeAce (securitybaseapi.h page)");
static GET: Routine = routine!(RtlGetAce, APC_LEVEL, "RtlGetAce (ntifs.h page)");
static DELETE: Routine = routine!(RtlDeleteAce, APC_LEVEL, "RtlDeleteAce (ntifs.h page)");
static ADD: Routine = routine!(RtlAddAce, APC_LEVEL, "RtlAddAce (ntifs.h page)");

/// Writes a change into the list it was computed from.
pub(super) fn apply(to: PACL, change: &Change) {
    let to: *mut c_void = to.cast();
    // The entries first: a reader of the old head finds the old count.
    ptr::write_bytes(to.wrapping_byte_add(change.at), &change.tail);
    ptr::write_bytes(to, &change.head);
}

/// Views the list behind a pointer.
///
/// # Errors
/// - `status` for null, and for a list or an entry that is malformed.
pub(super) fn list(call: &Call, from: PACL, status: NtStatus) -> Result<List<'_>, NtStatus> {
    if from.is_null() {
        call.report(Rule::NullArgument, "Acl is NULL");
        return Err(status);
    }
    ptr::acl(call, from).ok().and_then(List::parse).ok_or(status)
}

/// Makes an empty list in `AclLength` bytes.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_BUFFER_TOO_SMALL` when the head does not fit; `STATUS_INVALID_PARAMETER` for a revision
/// outside 2 to 4, more than 65,535 bytes, and null. A length that is no multiple of four counts as the one below.
///
/// # Safety
/// `Acl` is null or points to `AclLength` bytes.
///
/// # Source
/// RtlCreateAcl (ntifs.h page); MS-DTYP 2.4.5.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlCreateAcl(Acl: PACL, AclLength: ULONG, AclRevision: ULONG) -> NTSTATUS {
    enter_status(&CREATE, |call| {
        if usize::try_from(AclLength).is_ok_and(|length| length < HEAD) {
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        let size = u16::try_from(AclLength).map_err(|_| NtStatus::INVALID_PARAMETER)? & !3;
        let revision = u8::try_from(AclRevision).ok().filter(|revision| (2..=4).contains(revision));
        let revision = revision.ok_or(NtStatus::INVALID_PARAMETER)?;
        let head = ACL { AclRevision: revision, Sbz1: 0, AclSize: size, AceCount: 0, Sbz2: 0 };
        if !ptr::write(Acl, head) {
            call.report(Rule::NullArgument, "Acl is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    })
}

/// Returns whether a list and all its entries are well formed.
///
/// # Safety
/// `Acl` is null or points to as many bytes as its head says.
///
/// # Source
/// IsValidAcl (securitybaseapi.h page); MS-DTYP 2.4.5.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlValidAcl(Acl: PACL) -> BOOLEAN {
    enter(&VALID, |call| {
        let is_valid = !Acl.is_null() && list(call, Acl, NtStatus::INVALID_ACL).is_ok();
        u8::from(is_valid)
    })
}

/// Stores where the next entry would stand; null when the entries fill the list. False for a malformed list.
///
/// # Safety
/// `Acl` is null or points to as many bytes as its head says, `FirstFree` is null or points to a pointer.
///
/// # Source
/// FindFirstFreeAce (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlFirstFreeAce(Acl: PACL, FirstFree: *mut PVOID) -> BOOLEAN {
    enter(&FIRST_FREE, |call| {
        ptr::write(FirstFree, std::ptr::null_mut());
        let Ok(list) = list(call, Acl, NtStatus::INVALID_ACL) else { return 0 };
        let free = if list.is_full() { std::ptr::null_mut() } else { Acl.wrapping_byte_add(list.used()).cast() };
        u8::from(ptr::write(FirstFree, free))
    })
}

/// Stores where an entry stands.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for a malformed list, an index beyond its entries, and null; `*Ace` is null then.
///
/// # Safety
/// As for [`RtlFirstFreeAce`].
///
/// # Source
/// RtlGetAce (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlGetAce(Acl: PACL, AceIndex: ULONG, Ace: *mut PVOID) -> NTSTATUS {
    enter_status(&GET, |call| {
        ptr::write(Ace, std::ptr::null_mut());
        let at = list(call, Acl, NtStatus::INVALID_PARAMETER)?.start_of(AceIndex).ok_or(NtStatus::INVALID_PARAMETER)?;
        match ptr::write(Ace, Acl.wrapping_byte_add(at).cast()) {
            true => Ok(()),
            false => Err(NtStatus::INVALID_PARAMETER),
        }
    })
}

/// Removes an entry; those behind it move up.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for a malformed list, an index beyond its entries, and null.
///
/// # Safety
/// `Acl` is null or points to as many bytes as its head says.
///
/// # Source
/// RtlDeleteAce (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlDeleteAce(Acl: PACL, AceIndex: ULONG) -> NTSTATUS {
    enter_status(&DELETE, |call| {
        let change =
            list(call, Acl, NtStatus::INVALID_PARAMETER)?.remove(AceIndex).ok_or(NtStatus::INVALID_PARAMETER)?;
        apply(Acl, &change);
        Ok(())
    })
}

/// Adds whole entries before the `StartingAceIndex`-th, or behind the last.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` when the list or the entries are malformed, the entries do not fill
/// `AceListLength`, or need a higher revision than `AceRevision`; `STATUS_BUFFER_TOO_SMALL` when they do not fit.
///
/// # Safety
/// `Acl` is null or points to as many bytes as its head says, `AceList` to `AceListLength` bytes.
///
/// # Source
/// RtlAddAce (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAce(
    Acl: PACL,
    AceRevision: ULONG,
    StartingAceIndex: ULONG,
    AceList: PVOID,
    AceListLength: ULONG,
) -> NTSTATUS {
    enter_status(&ADD, |call| {
        const WRONG: NtStatus = NtStatus::INVALID_PARAMETER;
        let list = list(call, Acl, WRONG)?;
        let revision = u8::try_from(AceRevision).ok().filter(|revision| (2..=4).contains(revision)).ok_or(WRONG)?;
        let length = usize::try_from(AceListLength).map_err(|_| WRONG)?;
        let new = ptr::bytes(call, AceList, length).ok_or(WRONG)?;
        let (count, needed) = entries(new).ok_or(WRONG)?;
        if needed > revision {
            return Err(WRONG);
        }
        let change = list.insert(StartingAceIndex, new, count, revision).map_err(|_| NtStatus::BUFFER_TOO_SMALL)?;
        apply(Acl, &change);
        Ok(())
    })
}
