//! Access checks that a server makes of its own objects for the client that its thread acts as, with an eye to auditing.
//!
//! There is no log of audits here: what is told is whether the object's audit list wants a record of what was granted, which
//! is what a server needs to know when it closes its handle.

use vicar_kernel::SubjectContext;
use vicar_nt::check::{AccessMode, may_record};
use vicar_nt::{NtStatus, RequestedMask};

use super::access::{Object, Places};
use super::{capture, previous_mode, probe};
use crate::entry::{Call, Routine, enter_status, routine};
use crate::layout::{
    ACCESS_MASK, BOOLEAN, GENERIC_MAPPING, NTSTATUS, OBJECT_TYPE_LIST, PSECURITY_DESCRIPTOR, PSID, PVOID, ULONG,
    UNICODE_STRING,
};
use crate::ptr;
use crate::se::subject;
use crate::verifier::flow;

static ZW: Routine =
    routine!(ZwAccessCheckAndAuditAlarm, PASSIVE_LEVEL, "AccessCheckAndAuditAlarmW (securitybaseapi.h page)");
static NT: Routine =
    routine!(NtAccessCheckAndAuditAlarm, PASSIVE_LEVEL, "AccessCheckAndAuditAlarmW (securitybaseapi.h page)");
static ZW_TYPE: Routine = routine!(
    ZwAccessCheckByTypeAndAuditAlarm,
    PASSIVE_LEVEL,
    "AccessCheckByTypeAndAuditAlarmW (securitybaseapi.h page)"
);
static NT_TYPE: Routine = routine!(
    NtAccessCheckByTypeAndAuditAlarm,
    PASSIVE_LEVEL,
    "AccessCheckByTypeAndAuditAlarmW (securitybaseapi.h page)"
);
static ZW_LIST: Routine = routine!(
    ZwAccessCheckByTypeResultListAndAuditAlarm,
    PASSIVE_LEVEL,
    "AccessCheckByTypeResultListAndAuditAlarmW (securitybaseapi.h page)"
);
static NT_LIST: Routine = routine!(
    NtAccessCheckByTypeResultListAndAuditAlarm,
    PASSIVE_LEVEL,
    "AccessCheckByTypeResultListAndAuditAlarmW (securitybaseapi.h page)"
);

/// `AUDIT_ALLOW_NO_PRIVILEGE`: a process that may not have records written is answered without one.
const ALLOW_NO_PRIVILEGE: ULONG = 1;
/// `AuditEventDirectoryServiceAccess`, the last of its type.
const LAST_TYPE: i32 = 1;

/// What a record would say, and whether one is wanted.
struct Record {
    names: [*const UNICODE_STRING; 3],
    AuditType: i32,
    Flags: ULONG,
    GenerateOnClose: *mut BOOLEAN,
}

impl Record {
    /// Tests what a record would say.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_VIOLATION`, `STATUS_DATATYPE_MISALIGNMENT` for the pointers.
    /// - `STATUS_INVALID_PARAMETER` for a string whose lengths do not fit each other, a type or a flag that there is none of.
    fn probe(&self, call: &Call, mode: AccessMode) -> Result<(), NtStatus> {
        probe(call, self.GenerateOnClose, mode)?;
        for name in self.names {
            let string = capture(call, name, mode)?;
            let is_whole = string.Length.is_multiple_of(2) && string.Length <= string.MaximumLength;
            if !is_whole || (string.Buffer.is_null() && string.Length != 0) {
                return Err(NtStatus::INVALID_PARAMETER);
            }
        }
        let is_known = (0..=LAST_TYPE).contains(&self.AuditType) && self.Flags & !ALLOW_NO_PRIVILEGE == 0;
        if is_known { Ok(()) } else { Err(NtStatus::INVALID_PARAMETER) }
    }

    /// Says whether a record may be written for a user's request.
    ///
    /// # Errors
    /// - `STATUS_PRIVILEGE_NOT_HELD` when the process does not hold the privilege, and asked for nothing less.
    fn is_allowed(&self, subject: &SubjectContext, mode: AccessMode) -> Result<bool, NtStatus> {
        match (mode, may_record(&subject.lock().subject())) {
            (AccessMode::Kernel, _) | (AccessMode::User, Ok(())) => Ok(true),
            (AccessMode::User, Err(_)) if self.Flags & ALLOW_NO_PRIVILEGE != 0 => Ok(false),
            (AccessMode::User, Err(status)) => Err(status),
        }
    }
}

/// Checks access for the client that the calling thread acts as.
fn check(call: &Call, object: &Object, record: &Record, places: &Places, mode: AccessMode) -> Result<(), NtStatus> {
    ptr::write(record.GenerateOnClose, 0);
    let answer = places.probe(call, mode).and_then(|()| {
        record.probe(call, mode)?;
        probe(call, object.GenericMapping, mode)?;
        // It answers by the level itself.
        flow::looked(call);
        let subject = subject::of_caller();
        let locked = subject.lock();
        locked.may_be_asked_about(RequestedMask(object.DesiredAccess))?;
        let is_allowed = record.is_allowed(&subject, mode)?;
        let answer = object.ask(call, &locked, places.answers, mode)?;
        ptr::write(record.GenerateOnClose, u8::from(is_allowed && answer.is_recorded));
        Ok(answer)
    });
    places.write(answer.as_ref().map(|answer| &*answer.nodes).map_err(|status| *status));
    answer.map(drop)
}

/// Checks access to an object of the caller's for the client that the calling thread acts as, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`: `*AccessStatus` says whether everything asked for is granted, `*GrantedAccess` what is, and
/// `*GenerateOnClose` whether the object's audit list wants a record of it, and so another when it is closed. In this order
/// `STATUS_ACCESS_VIOLATION` and `STATUS_DATATYPE_MISALIGNMENT` for the pointers, `STATUS_INVALID_PARAMETER` for what a record
/// would say, `STATUS_GENERIC_NOT_MAPPED`, `STATUS_NO_IMPERSONATION_TOKEN` when the thread acts as nobody,
/// `STATUS_BAD_IMPERSONATION_LEVEL` at level Anonymous, and for the object as [`ZwAccessCheck`](crate::ZwAccessCheck). Nothing is
/// granted then, and `*AccessStatus` is the same.
///
/// # Safety
/// Each pointer is null or points to what it is named for.
///
/// # Source
/// AccessCheckAndAuditAlarmW (securitybaseapi.h page), ZwAccessCheckAndAuditAlarm (DDK export); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAccessCheckAndAuditAlarm(
    SubsystemName: *const UNICODE_STRING,
    HandleId: PVOID,
    ObjectTypeName: *const UNICODE_STRING,
    ObjectName: *const UNICODE_STRING,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    DesiredAccess: ACCESS_MASK,
    GenericMapping: *const GENERIC_MAPPING,
    ObjectCreation: BOOLEAN,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
    GenerateOnClose: *mut BOOLEAN,
) -> NTSTATUS {
    // A record would say these.
    let _ = (HandleId, ObjectCreation);
    let object = Object::whole(SecurityDescriptor, DesiredAccess, GenericMapping);
    let names = [SubsystemName, ObjectTypeName, ObjectName];
    let record = Record { names, AuditType: 0, Flags: 0, GenerateOnClose };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&ZW, |call| check(call, &object, &record, &places, AccessMode::Kernel))
}

/// [`ZwAccessCheckAndAuditAlarm`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`ZwAccessCheckAndAuditAlarm`]; `STATUS_PRIVILEGE_NOT_HELD`, before the object is looked at, unless a user's process
/// holds the privilege to have records written, whomever its thread acts as.
///
/// # Safety
/// As for [`ZwAccessCheckAndAuditAlarm`].
///
/// # Source
/// AccessCheckAndAuditAlarmW (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAccessCheckAndAuditAlarm(
    SubsystemName: *const UNICODE_STRING,
    HandleId: PVOID,
    ObjectTypeName: *const UNICODE_STRING,
    ObjectName: *const UNICODE_STRING,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    DesiredAccess: ACCESS_MASK,
    GenericMapping: *const GENERIC_MAPPING,
    ObjectCreation: BOOLEAN,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
    GenerateOnClose: *mut BOOLEAN,
) -> NTSTATUS {
    // A record would say these.
    let _ = (HandleId, ObjectCreation);
    let object = Object::whole(SecurityDescriptor, DesiredAccess, GenericMapping);
    let names = [SubsystemName, ObjectTypeName, ObjectName];
    let record = Record { names, AuditType: 0, Flags: 0, GenerateOnClose };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&NT, |call| check(call, &object, &record, &places, previous_mode()))
}

/// [`ZwAccessCheckAndAuditAlarm`] for an object that may be a principal, and for types and properties of it.
///
/// # Returns
/// As for [`ZwAccessCheckAndAuditAlarm`]; `STATUS_INVALID_PARAMETER` also for another type of audit than access to objects and to
/// a directory, another flag than `AUDIT_ALLOW_NO_PRIVILEGE`, and types that are no tree; `STATUS_INVALID_SID`.
///
/// # Safety
/// As for [`ZwAccessCheckAndAuditAlarm`]; `ObjectTypeList` has as many entries as its length says, each with a pointer to a GUID.
///
/// # Source
/// AccessCheckByTypeAndAuditAlarmW (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAccessCheckByTypeAndAuditAlarm(
    SubsystemName: *const UNICODE_STRING,
    HandleId: PVOID,
    ObjectTypeName: *const UNICODE_STRING,
    ObjectName: *const UNICODE_STRING,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    DesiredAccess: ACCESS_MASK,
    AuditType: i32,
    Flags: ULONG,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    ObjectCreation: BOOLEAN,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
    GenerateOnClose: *mut BOOLEAN,
) -> NTSTATUS {
    // A record would say these.
    let _ = (HandleId, ObjectCreation);
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let record = Record { names: [SubsystemName, ObjectTypeName, ObjectName], AuditType, Flags, GenerateOnClose };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&ZW_TYPE, |call| check(call, &object, &record, &places, AccessMode::Kernel))
}

/// [`ZwAccessCheckByTypeAndAuditAlarm`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`NtAccessCheckAndAuditAlarm`]; with `AUDIT_ALLOW_NO_PRIVILEGE` a user without the privilege is answered, and no record
/// is wanted.
///
/// # Safety
/// As for [`ZwAccessCheckByTypeAndAuditAlarm`].
///
/// # Source
/// AccessCheckByTypeAndAuditAlarmW (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAccessCheckByTypeAndAuditAlarm(
    SubsystemName: *const UNICODE_STRING,
    HandleId: PVOID,
    ObjectTypeName: *const UNICODE_STRING,
    ObjectName: *const UNICODE_STRING,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    DesiredAccess: ACCESS_MASK,
    AuditType: i32,
    Flags: ULONG,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    ObjectCreation: BOOLEAN,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
    GenerateOnClose: *mut BOOLEAN,
) -> NTSTATUS {
    // A record would say these.
    let _ = (HandleId, ObjectCreation);
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let record = Record { names: [SubsystemName, ObjectTypeName, ObjectName], AuditType, Flags, GenerateOnClose };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&NT_TYPE, |call| check(call, &object, &record, &places, previous_mode()))
}

/// [`ZwAccessCheckByTypeAndAuditAlarm`] with an answer for each of the types.
///
/// # Safety
/// As for [`ZwAccessCheckByTypeAndAuditAlarm`]; `GrantedAccess` and `AccessStatus` have as many entries as the list.
///
/// # Source
/// AccessCheckByTypeResultListAndAuditAlarmW (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAccessCheckByTypeResultListAndAuditAlarm(
    SubsystemName: *const UNICODE_STRING,
    HandleId: PVOID,
    ObjectTypeName: *const UNICODE_STRING,
    ObjectName: *const UNICODE_STRING,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    DesiredAccess: ACCESS_MASK,
    AuditType: i32,
    Flags: ULONG,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    ObjectCreation: BOOLEAN,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
    GenerateOnClose: *mut BOOLEAN,
) -> NTSTATUS {
    // A record would say these.
    let _ = (HandleId, ObjectCreation);
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let record = Record { names: [SubsystemName, ObjectTypeName, ObjectName], AuditType, Flags, GenerateOnClose };
    let places = Places::each(GrantedAccess, AccessStatus, ObjectTypeListLength);
    enter_status(&ZW_LIST, |call| check(call, &object, &record, &places, AccessMode::Kernel))
}

/// [`ZwAccessCheckByTypeResultListAndAuditAlarm`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`NtAccessCheckByTypeAndAuditAlarm`].
///
/// # Safety
/// As for [`ZwAccessCheckByTypeResultListAndAuditAlarm`].
///
/// # Source
/// AccessCheckByTypeResultListAndAuditAlarmW (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAccessCheckByTypeResultListAndAuditAlarm(
    SubsystemName: *const UNICODE_STRING,
    HandleId: PVOID,
    ObjectTypeName: *const UNICODE_STRING,
    ObjectName: *const UNICODE_STRING,
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    DesiredAccess: ACCESS_MASK,
    AuditType: i32,
    Flags: ULONG,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    ObjectCreation: BOOLEAN,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
    GenerateOnClose: *mut BOOLEAN,
) -> NTSTATUS {
    // A record would say these.
    let _ = (HandleId, ObjectCreation);
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let record = Record { names: [SubsystemName, ObjectTypeName, ObjectName], AuditType, Flags, GenerateOnClose };
    let places = Places::each(GrantedAccess, AccessStatus, ObjectTypeListLength);
    enter_status(&NT_LIST, |call| check(call, &object, &record, &places, previous_mode()))
}
