//! The security of objects that exist: replaced, copied out, judged.

use std::borrow::Cow;

use vicar_kernel::SubjectContext;
use vicar_nt::NtStatus;
use vicar_nt::change::{Change, SecurityInformation, SetFlags, access_to_query, access_to_set, query, set_by};
use vicar_nt::descriptor::{Control, DescriptorRef};

use crate::convert;
use crate::current;
use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::ex::pool;
use crate::layout::{
    ACCESS_MASK, BOOLEAN, GENERIC_MAPPING, NTSTATUS, POOL_TYPE, PSECURITY_DESCRIPTOR, PVOID, SECURITY_INFORMATION,
    ULONG,
};
use crate::ptr;
use crate::rtl::descriptor::{bounded, control};
use crate::se::assign::TAG;
use crate::verifier::Rule;

static SET: Routine =
    routine!(SeSetSecurityDescriptorInfo, PASSIVE_LEVEL, "SeSetSecurityDescriptorInfo (ntifs.h page)");
static SET_EX: Routine =
    routine!(SeSetSecurityDescriptorInfoEx, PASSIVE_LEVEL, "SeSetSecurityDescriptorInfoEx (ntifs.h page)");
static QUERY: Routine =
    routine!(SeQuerySecurityDescriptorInfo, PASSIVE_LEVEL, "SeQuerySecurityDescriptorInfo (ntifs.h page)");
static VALID: Routine = routine!(SeValidSecurityDescriptor, PASSIVE_LEVEL, "SeValidSecurityDescriptor (wdm.h page)");
static QUERY_MASK: Routine =
    routine!(SeQuerySecurityAccessMask, APC_LEVEL, "SECURITY_INFORMATION (winnt.h page): rights to query");
static SET_MASK: Routine =
    routine!(SeSetSecurityAccessMask, APC_LEVEL, "SECURITY_INFORMATION (winnt.h page): rights to set");

/// Reads the descriptor that an object stores, which must be one block.
///
/// # Errors
/// - `STATUS_NO_SECURITY_ON_OBJECT` when there is none.
/// - `STATUS_BAD_DESCRIPTOR_FORMAT` for one in parts; the status of what is malformed.
fn stored(call: &Call, place: *mut PSECURITY_DESCRIPTOR) -> Result<Cow<'_, [u8]>, NtStatus> {
    let Some(at) = ptr::read(place) else {
        call.report(Rule::NullArgument, "ObjectsSecurityDescriptor is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    };
    if at.is_null() {
        return Err(NtStatus::NO_SECURITY_ON_OBJECT);
    }
    if !control(call, at)?.contains(Control::SELF_RELATIVE) {
        return Err(NtStatus::BAD_DESCRIPTOR_FORMAT);
    }
    ptr::descriptor(call, at)
}

fn parse(block: &[u8]) -> Result<DescriptorRef<'_>, NtStatus> {
    DescriptorRef::parse(block).map_err(|error| error.status())
}

/// What both routines that replace parts are asked for.
struct Asked {
    parts: *const SECURITY_INFORMATION,
    new: PSECURITY_DESCRIPTOR,
    place: *mut PSECURITY_DESCRIPTOR,
    flags: ULONG,
    mapping: *const GENERIC_MAPPING,
}

fn replace(call: &Call, asked: &Asked) -> Result<(), NtStatus> {
    let (Some(parts), Some(mapping)) = (ptr::read(asked.parts), ptr::read(asked.mapping)) else {
        call.report(Rule::NullArgument, "SecurityInformation or GenericMapping is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    };
    let flags = SetFlags::from_bits(asked.flags).ok_or(NtStatus::INVALID_PARAMETER)?;
    let old = stored(call, asked.place)?;
    control(call, asked.new)?;
    let new = ptr::descriptor(call, asked.new)?;
    let subject = SubjectContext::capture(&current::seat().host.thread);
    let state = subject.for_authorisation()?.state();
    let change = Change {
        current: Some(parse(&old)?),
        new: parse(&new)?,
        parts: SecurityInformation::from_bits_retain(parts),
        flags,
        token: &state,
        mapping: convert::mapping(mapping),
    };
    let descriptor = set_by(&change, subject.primary().system().policy().readings)?;
    let block = pool::allocate(call, descriptor.as_bytes().len(), TAG, 0)?;
    ptr::write_bytes(block, descriptor.as_bytes());
    ptr::write(asked.place, block);
    Ok(())
}

/// Replaces parts of an object's descriptor, as the calling thread.
///
/// # Returns
/// `STATUS_SUCCESS`, with a new block of pool in `*ObjectsSecurityDescriptor`; the old one is the caller's to free. Otherwise
/// nothing is changed: `STATUS_NO_SECURITY_ON_OBJECT`, `STATUS_BAD_DESCRIPTOR_FORMAT` for what is stored;
/// `STATUS_INVALID_OWNER`, `STATUS_INVALID_PRIMARY_GROUP`, `STATUS_PRIVILEGE_NOT_HELD`, `STATUS_ACCESS_DENIED` for what the
/// caller may not give; `STATUS_BAD_IMPERSONATION_LEVEL` below level Impersonation; the status of a malformed descriptor;
/// `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// Each pointer but `Object` is null or points to what it is named for.
///
/// # Source
/// SeSetSecurityDescriptorInfo (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeSetSecurityDescriptorInfo(
    Object: PVOID,
    SecurityInformation: *const SECURITY_INFORMATION,
    ModificationDescriptor: PSECURITY_DESCRIPTOR,
    ObjectsSecurityDescriptor: *mut PSECURITY_DESCRIPTOR,
    PoolType: POOL_TYPE,
    GenericMapping: *const GENERIC_MAPPING,
) -> NTSTATUS {
    // The object is not looked at, and the kinds of pool are the same here.
    let _ = (Object, PoolType);
    let asked = Asked {
        parts: SecurityInformation,
        new: ModificationDescriptor,
        place: ObjectsSecurityDescriptor,
        flags: 0,
        mapping: GenericMapping,
    };
    enter_status(&SET, |call| replace(call, &asked))
}

/// [`SeSetSecurityDescriptorInfo`] with `SEF_` flags.
///
/// # Returns
/// As for [`SeSetSecurityDescriptorInfo`]; `STATUS_INVALID_PARAMETER` also for a flag that is not of changes.
///
/// # Safety
/// As for [`SeSetSecurityDescriptorInfo`].
///
/// # Source
/// SeSetSecurityDescriptorInfoEx (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeSetSecurityDescriptorInfoEx(
    Object: PVOID,
    SecurityInformation: *const SECURITY_INFORMATION,
    ModificationDescriptor: PSECURITY_DESCRIPTOR,
    ObjectsSecurityDescriptor: *mut PSECURITY_DESCRIPTOR,
    AutoInheritFlags: ULONG,
    PoolType: POOL_TYPE,
    GenericMapping: *const GENERIC_MAPPING,
) -> NTSTATUS {
    let _ = (Object, PoolType);
    let asked = Asked {
        parts: SecurityInformation,
        new: ModificationDescriptor,
        place: ObjectsSecurityDescriptor,
        flags: AutoInheritFlags,
        mapping: GenericMapping,
    };
    enter_status(&SET_EX, |call| replace(call, &asked))
}

/// Copies parts of a stored descriptor out, as one block.
///
/// # Returns
/// `STATUS_SUCCESS` or `STATUS_BUFFER_TOO_SMALL`, with what is needed in `*Length`; `STATUS_NO_SECURITY_ON_OBJECT`,
/// `STATUS_BAD_DESCRIPTOR_FORMAT`, the status of what is malformed; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// Each pointer is null or points to what it is named for, `SecurityDescriptor` to `*Length` bytes.
///
/// # Source
/// SeQuerySecurityDescriptorInfo (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeQuerySecurityDescriptorInfo(
    SecurityInformation: *const SECURITY_INFORMATION,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    Length: *mut ULONG,
    ObjectsSecurityDescriptor: *mut PSECURITY_DESCRIPTOR,
) -> NTSTATUS {
    enter_status(&QUERY, |call| {
        let (Some(parts), Some(room)) = (ptr::read(SecurityInformation), ptr::read(Length)) else {
            call.report(Rule::NullArgument, "SecurityInformation or Length is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        let block = stored(call, ObjectsSecurityDescriptor)?;
        let parts = vicar_nt::change::SecurityInformation::from_bits_retain(parts);
        let answer = query(Some(parse(&block)?), parts)?;
        let needed = ULONG::try_from(answer.as_bytes().len()).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?;
        ptr::write(Length, needed);
        if room < needed {
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        if !ptr::write_bytes(SecurityDescriptor, answer.as_bytes()) {
            call.report(Rule::NullArgument, "SecurityDescriptor is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    })
}

/// Returns whether bytes are a well-formed descriptor in one block that has an owner. Reads nothing outside them.
///
/// # Safety
/// `SecurityDescriptor` is null or points to `Length` bytes.
///
/// # Source
/// SeValidSecurityDescriptor (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeValidSecurityDescriptor(
    Length: ULONG,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
) -> BOOLEAN {
    enter(&VALID, |call| {
        u8::from(bounded(call, SecurityDescriptor, Length).is_some_and(|descriptor| descriptor.owner().is_some()))
    })
}

fn store_mask(call: &Call, to: *mut ACCESS_MASK, mask: ACCESS_MASK) {
    if !ptr::write(to, mask) {
        call.report(Rule::NullArgument, "DesiredAccess is NULL");
    }
}

/// Stores the rights one needs to query parts of a descriptor.
///
/// # Safety
/// `DesiredAccess` is null or points to a mask.
///
/// # Source
/// SECURITY_INFORMATION (winnt.h page), "Right required to query".
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeQuerySecurityAccessMask(
    SecurityInformation: SECURITY_INFORMATION,
    DesiredAccess: *mut ACCESS_MASK,
) {
    let parts = vicar_nt::change::SecurityInformation::from_bits_retain(SecurityInformation);
    enter(&QUERY_MASK, |call| store_mask(call, DesiredAccess, access_to_query(parts).bits()));
}

/// Stores the rights one needs to set parts of a descriptor.
///
/// # Safety
/// `DesiredAccess` is null or points to a mask.
///
/// # Source
/// SECURITY_INFORMATION (winnt.h page), "Right required to set".
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeSetSecurityAccessMask(
    SecurityInformation: SECURITY_INFORMATION,
    DesiredAccess: *mut ACCESS_MASK,
) {
    let parts = vicar_nt::change::SecurityInformation::from_bits_retain(SecurityInformation);
    enter(&SET_MASK, |call| store_mask(call, DesiredAccess, access_to_set(parts).bits()));
}
