//! Weaker copies of tokens.

use std::ptr::null_mut;

use vicar_kernel::token::parse_filter_flags;
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes};
use vicar_nt::token::Filter;
use vicar_nt::{Group, GroupAttributes, Luid, NtStatus, Sid};

use crate::convert;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::layout::{
    LUID_AND_ATTRIBUTES, NTSTATUS, PACCESS_TOKEN, SID_AND_ATTRIBUTES, TOKEN_GROUPS, TOKEN_PRIVILEGES, ULONG,
};
use crate::object;
use crate::ptr;
use crate::se::token::look;
use crate::verifier::Rule;

static FILTER: Routine = routine!(SeFilterToken, PASSIVE_LEVEL, "SeFilterToken (ntifs.h page)");

/// More entries than any token has.
const MOST: u32 = 0x1_0000;

/// Reads how many entries a list has; null has none.
fn count(list: *const u32) -> Result<usize, NtStatus> {
    match ptr::read(list) {
        None => Ok(0),
        Some(count) if count <= MOST => usize::try_from(count).map_err(|_| NtStatus::INVALID_PARAMETER),
        Some(_) => Err(NtStatus::INVALID_PARAMETER),
    }
}

/// Reads a list of SIDs with attributes.
///
/// # Errors
/// - `STATUS_INVALID_SID` for an entry that is none, `STATUS_INVALID_PARAMETER` for far too many.
pub(crate) fn groups(call: &Call, list: *const TOKEN_GROUPS) -> Result<Vec<Group>, NtStatus> {
    entries(call, list.wrapping_byte_add(8).cast(), ptr::read(list.cast::<u32>()).unwrap_or(0))
}

/// Reads an array of SIDs with attributes.
///
/// # Errors
/// - as for [`groups`].
pub(crate) fn entries(call: &Call, list: *const SID_AND_ATTRIBUTES, count: u32) -> Result<Vec<Group>, NtStatus> {
    if count > MOST {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    (0..usize::try_from(count).unwrap_or(0))
        .map(|index| {
            let entry = ptr::read_at(list, index).ok_or(NtStatus::INVALID_PARAMETER)?;
            Ok(Group::new(ptr::sid(call, entry.Sid)?, GroupAttributes::from_bits_retain(entry.Attributes)))
        })
        .collect()
}

/// Reads a list of privileges with attributes.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` for far too many.
pub(crate) fn privileges(list: *const TOKEN_PRIVILEGES) -> Result<Vec<LuidAndAttributes>, NtStatus> {
    let entries: *const LUID_AND_ATTRIBUTES = list.wrapping_byte_add(4).cast();
    (0..count(list.cast())?)
        .map(|index| {
            let entry = ptr::read_at(entries, index).ok_or(NtStatus::INVALID_PARAMETER)?;
            Ok(LuidAndAttributes {
                luid: convert::from_luid(entry.Luid),
                attributes: PrivilegeAttributes::from_bits_retain(entry.Attributes),
            })
        })
        .collect()
}

/// Makes a copy of a token that can do less.
///
/// # Returns
/// `STATUS_SUCCESS`: a reference to the copy is the caller's. `STATUS_INVALID_PARAMETER` for a flag that means nothing to
/// the world's profile, a restricting SID with attributes, write-restricting without restricting SIDs, and null;
/// `STATUS_INVALID_SID`; `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`. The output is null then.
///
/// # Safety
/// `ExistingToken` is a token that the caller references; each list is null or has as many entries as it says;
/// `FilteredToken` is null or points to room for a pointer.
///
/// # Source
/// SeFilterToken (ntifs.h page); spec/nt-impersonation 2.14.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeFilterToken(
    ExistingToken: PACCESS_TOKEN,
    Flags: ULONG,
    SidsToDisable: *const TOKEN_GROUPS,
    PrivilegesToDelete: *const TOKEN_PRIVILEGES,
    RestrictedSids: *const TOKEN_GROUPS,
    FilteredToken: *mut PACCESS_TOKEN,
) -> NTSTATUS {
    enter_status(&FILTER, |call| {
        if !ptr::write(FilteredToken, null_mut()) {
            call.report(Rule::NullArgument, "FilteredToken is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let token = look(call, ExistingToken)?;
        // The attributes of these are not looked at.
        let disable: Vec<Sid> = groups(call, SidsToDisable)?.into_iter().map(|group| group.sid).collect();
        let delete: Vec<Luid> = privileges(PrivilegesToDelete)?.into_iter().map(|entry| entry.luid).collect();
        let restrict = groups(call, RestrictedSids)?;
        let flags = parse_filter_flags(token.system().profile(), Flags)?;
        let made = token.filter(&Filter { flags, disable: &disable, delete: &delete, restrict: &restrict })?;
        ptr::write(FilteredToken, object::give(call, made));
        Ok(())
    })
}
