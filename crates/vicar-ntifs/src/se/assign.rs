//! The security of new objects.

use std::borrow::Cow;
use std::ptr::null_mut;

use vicar_nt::NtStatus;
use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign_by};
use vicar_nt::descriptor::{Control, DescriptorRef};

use crate::convert;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::ex::pool;
use crate::layout::{
    BOOLEAN, GENERIC_MAPPING, GUID, NTSTATUS, POOL_TYPE, PSECURITY_DESCRIPTOR, SECURITY_SUBJECT_CONTEXT, ULONG,
};
use crate::ptr;
use crate::rtl::descriptor::control;
use crate::se::subject;
use crate::verifier::Rule;

static ASSIGN: Routine = routine!(SeAssignSecurity, PASSIVE_LEVEL, "SeAssignSecurity (wdm.h page)");
static ASSIGN_EX: Routine = routine!(SeAssignSecurityEx, PASSIVE_LEVEL, "SeAssignSecurityEx (wdm.h page)");
static DEASSIGN: Routine = routine!(SeDeassignSecurity, PASSIVE_LEVEL, "SeDeassignSecurity (wdm.h page)");

/// Says whose allocation a descriptor is in the report of leaks: "SeSd".
pub(super) const TAG: [u8; 4] = *b"SeSd";

/// Reads a descriptor of either form, if there is one, as a block that is not judged yet.
///
/// # Errors
/// - `STATUS_UNKNOWN_REVISION`, `STATUS_INVALID_SECURITY_DESCR`.
fn block(call: &Call, from: PSECURITY_DESCRIPTOR) -> Result<Option<Cow<'_, [u8]>>, NtStatus> {
    if from.is_null() {
        return Ok(None);
    }
    control(call, from)?;
    ptr::descriptor(call, from).map(Some)
}

/// Judges a block.
fn parse<'b>(block: Option<&'b Cow<'_, [u8]>>) -> Result<Option<DescriptorRef<'b>>, NtStatus> {
    block.map(|block| DescriptorRef::parse(block)).transpose().map_err(|error| error.status())
}

/// What both routines are asked for.
struct Asked {
    parent: PSECURITY_DESCRIPTOR,
    explicit: PSECURITY_DESCRIPTOR,
    new: *mut PSECURITY_DESCRIPTOR,
    object_type: *const GUID,
    is_container: BOOLEAN,
    flags: ULONG,
    subject: *const SECURITY_SUBJECT_CONTEXT,
    mapping: *const GENERIC_MAPPING,
}

fn assign_security(call: &Call, asked: &Asked) -> Result<(), NtStatus> {
    ptr::write(asked.new, null_mut());
    let mapping = ptr::read(asked.mapping).filter(|_| !asked.new.is_null());
    let Some(mapping) = mapping else {
        call.report(Rule::NullArgument, "NewDescriptor or GenericMapping is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    };
    let flags = AssignFlags::from_bits(asked.flags).ok_or(NtStatus::INVALID_PARAMETER)?;
    let (parent, explicit) = (block(call, asked.parent)?, block(call, asked.explicit)?);
    let (parent, creator) = (parse(parent.as_ref())?, parse(explicit.as_ref())?);
    let state = subject::effective(call, asked.subject)?;
    let of_primary = subject::view(call, asked.subject, |subject| {
        let primary = subject.primary();
        (*primary.state().default_owner(), primary.system().policy().readings)
    });
    let (owner, readings) = of_primary.ok_or(NtStatus::INVALID_PARAMETER)?;
    // Only a creator that asks for it gets entries for its clients through this server.
    let names_server = creator.is_some_and(|creator| creator.control().contains(Control::SERVER_SECURITY));
    let server = names_server.then_some(owner);
    let object_type = ptr::read(asked.object_type).map(convert::guid);
    let asked_for = NewObject {
        parent,
        creator,
        token: &state,
        kind: if asked.is_container == 0 { ObjectKind::Leaf } else { ObjectKind::Container },
        flags,
        object_types: object_type.as_slice(),
        mapping: convert::mapping(mapping),
        server: server.as_ref(),
    };
    let descriptor = assign_by(&asked_for, readings)?;
    let block = pool::allocate(call, descriptor.as_bytes().len(), TAG, 0)?;
    ptr::write_bytes(block, descriptor.as_bytes());
    ptr::write(asked.new, block);
    Ok(())
}

/// Makes the descriptor of a new object from its parent's, its creator's wishes and its creator's token.
///
/// Privileges are asked of the subject's effective token, also for callers in the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; the descriptor is one block of pool, which [`SeDeassignSecurity`] frees. Otherwise `*NewDescriptor` is null:
/// `STATUS_INVALID_OWNER`, `STATUS_INVALID_PRIMARY_GROUP`, `STATUS_PRIVILEGE_NOT_HELD` for what the creator may not give;
/// `STATUS_BAD_IMPERSONATION_LEVEL` for a client below level Impersonation; the status of a malformed descriptor;
/// `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// Each pointer is null or points to what it is named for.
///
/// # Source
/// SeAssignSecurity (wdm.h page); MS-DTYP 2.5.3.4.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeAssignSecurity(
    ParentDescriptor: PSECURITY_DESCRIPTOR,
    ExplicitDescriptor: PSECURITY_DESCRIPTOR,
    NewDescriptor: *mut PSECURITY_DESCRIPTOR,
    IsDirectoryObject: BOOLEAN,
    SubjectContext: *const SECURITY_SUBJECT_CONTEXT,
    GenericMapping: *const GENERIC_MAPPING,
    PoolType: POOL_TYPE,
) -> NTSTATUS {
    // The kinds of pool differ in where they may be touched, which means nothing here.
    let _ = PoolType;
    let asked = Asked {
        parent: ParentDescriptor,
        explicit: ExplicitDescriptor,
        new: NewDescriptor,
        object_type: std::ptr::null(),
        is_container: IsDirectoryObject,
        flags: 0,
        subject: SubjectContext,
        mapping: GenericMapping,
    };
    enter_status(&ASSIGN, |call| assign_security(call, &asked))
}

/// [`SeAssignSecurity`] with a type of object and `SEF_` flags.
///
/// # Returns
/// As for [`SeAssignSecurity`]; `STATUS_INVALID_PARAMETER` also for an unknown flag.
///
/// # Safety
/// As for [`SeAssignSecurity`].
///
/// # Source
/// SeAssignSecurityEx (wdm.h page); MS-DTYP 2.5.3.4.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeAssignSecurityEx(
    ParentDescriptor: PSECURITY_DESCRIPTOR,
    ExplicitDescriptor: PSECURITY_DESCRIPTOR,
    NewDescriptor: *mut PSECURITY_DESCRIPTOR,
    ObjectType: *const GUID,
    IsDirectoryObject: BOOLEAN,
    AutoInheritFlags: ULONG,
    SubjectContext: *const SECURITY_SUBJECT_CONTEXT,
    GenericMapping: *const GENERIC_MAPPING,
    PoolType: POOL_TYPE,
) -> NTSTATUS {
    let _ = PoolType;
    let asked = Asked {
        parent: ParentDescriptor,
        explicit: ExplicitDescriptor,
        new: NewDescriptor,
        object_type: ObjectType,
        is_container: IsDirectoryObject,
        flags: AutoInheritFlags,
        subject: SubjectContext,
        mapping: GenericMapping,
    };
    enter_status(&ASSIGN_EX, |call| assign_security(call, &asked))
}

/// Frees a descriptor of [`SeAssignSecurity`] and stores null in its place; null is left as it is.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` when there is no place.
///
/// # Safety
/// `SecurityDescriptor` is null or points to a pointer, which is null or a block of pool.
///
/// # Source
/// SeDeassignSecurity (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeDeassignSecurity(SecurityDescriptor: *mut PSECURITY_DESCRIPTOR) -> NTSTATUS {
    enter_status(&DEASSIGN, |call| {
        let Some(block) = ptr::read(SecurityDescriptor) else {
            call.report(Rule::NullArgument, "SecurityDescriptor is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        if !block.is_null() {
            pool::free(call, block);
        }
        ptr::write(SecurityDescriptor, null_mut());
        Ok(())
    })
}
