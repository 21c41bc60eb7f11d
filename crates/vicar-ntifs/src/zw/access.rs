//! Access checks that a server makes of its own objects, for a client whose token it has a handle to.

use vicar_kernel::access::{Answers, ServerAccess, ServerAnswer};
use vicar_kernel::handle::right;
use vicar_kernel::subject::LockedSubject;
use vicar_nt::check::{AccessMode, NodeAnswer, ObjectType};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::{AccessMask, NtStatus, RequestedMask, Sid};

use super::{capture, held, previous_mode, probe, probe_optional};
use crate::convert;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle;
use crate::layout::{
    ACCESS_MASK, GENERIC_MAPPING, GUID, HANDLE, NTSTATUS, OBJECT_TYPE_LIST, PRIVILEGE_SET, PSECURITY_DESCRIPTOR, PSID,
    ULONG,
};
use crate::ptr;
use crate::se::access::{bytes_of_privileges, write_privileges};
use crate::world;

static ZW: Routine = routine!(ZwAccessCheck, PASSIVE_LEVEL, "AccessCheck (securitybaseapi.h page)");
static NT: Routine = routine!(NtAccessCheck, PASSIVE_LEVEL, "AccessCheck (securitybaseapi.h page)");
static ZW_TYPE: Routine = routine!(ZwAccessCheckByType, PASSIVE_LEVEL, "AccessCheckByType (securitybaseapi.h page)");
static NT_TYPE: Routine = routine!(NtAccessCheckByType, PASSIVE_LEVEL, "AccessCheckByType (securitybaseapi.h page)");
static ZW_LIST: Routine =
    routine!(ZwAccessCheckByTypeResultList, PASSIVE_LEVEL, "AccessCheckByTypeResultList (securitybaseapi.h page)");
static NT_LIST: Routine =
    routine!(NtAccessCheckByTypeResultList, PASSIVE_LEVEL, "AccessCheckByTypeResultList (securitybaseapi.h page)");

/// More types than any list names.
const MOST: ULONG = 0x1000;
/// The bytes of a set of one privilege, the least room that is taken.
const LEAST: usize = size_of::<PRIVILEGE_SET>();

/// What is asked about an object, as the headers name it.
pub(super) struct Object {
    pub(super) SecurityDescriptor: PSECURITY_DESCRIPTOR,
    pub(super) PrincipalSelfSid: PSID,
    pub(super) DesiredAccess: ACCESS_MASK,
    pub(super) ObjectTypeList: *const OBJECT_TYPE_LIST,
    pub(super) ObjectTypeListLength: ULONG,
    pub(super) GenericMapping: *const GENERIC_MAPPING,
}

impl Object {
    /// The object itself, which is no principal.
    pub(super) const fn whole(
        SecurityDescriptor: PSECURITY_DESCRIPTOR,
        DesiredAccess: ACCESS_MASK,
        GenericMapping: *const GENERIC_MAPPING,
    ) -> Self {
        Self {
            SecurityDescriptor,
            PrincipalSelfSid: std::ptr::null_mut(),
            DesiredAccess,
            ObjectTypeList: std::ptr::null(),
            ObjectTypeListLength: 0,
            GenericMapping,
        }
    }

    /// Reads the list of types.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` for a type without a name, and for far too many.
    fn types(&self, call: &Call, mode: AccessMode) -> Result<Vec<ObjectType>, NtStatus> {
        if self.ObjectTypeListLength > MOST {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        if self.ObjectTypeListLength != 0 {
            probe(call, self.ObjectTypeList, mode)?;
        }
        (0..usize::try_from(self.ObjectTypeListLength).unwrap_or(0))
            .map(|index| {
                let entry = ptr::read_at(self.ObjectTypeList, index).ok_or(NtStatus::ACCESS_VIOLATION)?;
                let guid: GUID = ptr::read(entry.ObjectType.cast_const()).ok_or(NtStatus::INVALID_PARAMETER)?;
                Ok(ObjectType { level: entry.Level, guid: convert::guid(guid) })
            })
            .collect()
    }

    /// Asks about the object for a subject that may be asked about, if there is room for the least that is answered.
    ///
    /// # Errors
    /// - as for [`LockedSubject::answer_server`].
    /// - `STATUS_INVALID_SECURITY_DESCR`, `STATUS_INVALID_SID`, `STATUS_INVALID_PARAMETER` for arguments that are none.
    pub(super) fn ask(
        &self,
        call: &Call,
        subject: &LockedSubject,
        answers: Answers,
        mode: AccessMode,
    ) -> Result<ServerAnswer, NtStatus> {
        let descriptor = match self.SecurityDescriptor.is_null() {
            true => None,
            false => {
                let bytes = ptr::descriptor(call, self.SecurityDescriptor)?;
                Some(Descriptor::parse(&bytes).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?)
            }
        };
        let itself: Option<Sid> = match self.PrincipalSelfSid.is_null() {
            true => None,
            false => Some(ptr::sid(call, self.PrincipalSelfSid)?),
        };
        let types = self.types(call, mode)?;
        let mapping = capture(call, self.GenericMapping, mode)?;
        let asked = ServerAccess {
            descriptor: descriptor.as_ref().map(Descriptor::as_ref),
            desired: RequestedMask(self.DesiredAccess),
            mapping: convert::mapping(mapping),
            object_types: &types,
            self_sid: itself.as_ref().map(Sid::as_ref),
            readings: world::current().system.policy().readings,
        };
        subject.answer_server(&asked, answers)
    }
}

/// Where the answers go: to one place each, or to as many as there are types.
pub(super) struct Places {
    granted: *mut ACCESS_MASK,
    status: *mut NTSTATUS,
    count: ULONG,
    pub(super) answers: Answers,
}

impl Places {
    pub(super) const fn one(granted: *mut ACCESS_MASK, status: *mut NTSTATUS) -> Self {
        Self { granted, status, count: 1, answers: Answers::Whole }
    }

    pub(super) const fn each(granted: *mut ACCESS_MASK, status: *mut NTSTATUS, count: ULONG) -> Self {
        Self { granted, status, count, answers: Answers::Each }
    }

    /// Tests the places.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when there is none, or there are far too many.
    /// - as for [`probe`].
    pub(super) fn probe(&self, call: &Call, mode: AccessMode) -> Result<(), NtStatus> {
        if self.count == 0 || self.count > MOST {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        probe(call, self.granted, mode)?;
        probe(call, self.status, mode)
    }

    /// Writes the answers, or that nothing is granted because the question cannot be answered.
    ///
    /// NT leaves the places alone then; a caller that does not look at the status finds a refusal here.
    pub(super) fn write(&self, answers: Result<&[NodeAnswer], NtStatus>) {
        // So many places are not believed in.
        let count = if self.count > MOST { 0 } else { self.count };
        for index in 0..usize::try_from(count).unwrap_or(0) {
            let refused = |status| NodeAnswer { status, granted: AccessMask::NONE };
            let answer = match answers {
                Ok(nodes) => nodes.get(index).copied().unwrap_or(refused(NtStatus::ACCESS_DENIED)),
                Err(status) => refused(status),
            };
            ptr::write_at(self.granted, index, answer.granted.bits());
            ptr::write_at(self.status, index, convert::status(answer.status));
        }
    }
}

/// The caller's room for the privileges that were used.
struct Used {
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
}

impl Used {
    fn probe(&self, call: &Call, mode: AccessMode) -> Result<(), NtStatus> {
        probe(call, self.PrivilegeSetLength, mode)?;
        probe_optional(call, self.PrivilegeSet.cast::<ULONG>(), mode)
    }

    /// Tests that there is room for so many privileges, and says how much is needed otherwise.
    fn demand(&self, count: u32) -> Result<(), NtStatus> {
        let needed = ULONG::try_from(bytes_of_privileges(count).max(LEAST)).unwrap_or(ULONG::MAX);
        let room = ptr::read(self.PrivilegeSetLength.cast_const()).unwrap_or(0);
        if room < needed {
            ptr::write(self.PrivilegeSetLength, needed);
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        if self.PrivilegeSet.is_null() { Err(NtStatus::ACCESS_VIOLATION) } else { Ok(()) }
    }
}

/// Checks access for the token of a handle. The order of the tests is what was observed: pointers, generic rights, the handle
/// and its right, the token's type and level, room for privileges, the object.
fn check(
    call: &Call,
    token: HANDLE,
    object: &Object,
    used: &Used,
    places: &Places,
    mode: AccessMode,
) -> Result<(), NtStatus> {
    let answer = places.probe(call, mode).and_then(|()| {
        used.probe(call, mode)?;
        probe(call, object.GenericMapping, mode)?;
        let desired = RequestedMask(object.DesiredAccess);
        if desired.has_generic() {
            return Err(NtStatus::GENERIC_NOT_MAPPED);
        }
        let opened = handle::token(call, token, mode)?;
        let subject = LockedSubject::of_token(held(&opened, right::QUERY, mode)?);
        subject.may_be_asked_about(desired)?;
        used.demand(1)?;
        let answer = object.ask(call, &subject, places.answers, mode)?;
        used.demand(answer.privileges.count())?;
        Ok(answer)
    });
    places.write(answer.as_ref().map(|answer| &*answer.nodes).map_err(|status| *status));
    answer.map(|answer| write_privileges(used.PrivilegeSet, answer.privileges))
}

/// Checks access to an object of the caller's for whomever a token speaks for, for the kernel.
///
/// The token decides, whoever asks, and level Identification is enough: the caller itself acts on the answer.
///
/// # Returns
/// `STATUS_SUCCESS`: `*AccessStatus` says whether everything asked for is granted, `*GrantedAccess` what is, `*PrivilegeSet`
/// which privileges it took. In this order `STATUS_ACCESS_VIOLATION` and `STATUS_DATATYPE_MISALIGNMENT` for the pointers,
/// `STATUS_GENERIC_NOT_MAPPED`, the handle statuses, `STATUS_NO_IMPERSONATION_TOKEN` for a primary token,
/// `STATUS_BAD_IMPERSONATION_LEVEL` at level Anonymous, `STATUS_BUFFER_TOO_SMALL` with the bytes needed in
/// `*PrivilegeSetLength`, at least those of a set of one; `STATUS_INVALID_SECURITY_DESCR` for a descriptor that is malformed or
/// lacks an owner or a group, `STATUS_ACCESS_DENIED` for none. Nothing is granted then, and `*AccessStatus` is the same.
///
/// # Safety
/// Each pointer is null or points to what it is named for; `PrivilegeSet` has as many bytes as `*PrivilegeSetLength`.
///
/// # Source
/// AccessCheck (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAccessCheck(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    ClientToken: HANDLE,
    DesiredAccess: ACCESS_MASK,
    GenericMapping: *const GENERIC_MAPPING,
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> NTSTATUS {
    let object = Object::whole(SecurityDescriptor, DesiredAccess, GenericMapping);
    let used = Used { PrivilegeSet, PrivilegeSetLength };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&ZW, |call| check(call, ClientToken, &object, &used, &places, AccessMode::Kernel))
}

/// [`ZwAccessCheck`] for whoever the calling thread works for: a user's handle needs `TOKEN_QUERY`.
///
/// # Safety
/// As for [`ZwAccessCheck`].
///
/// # Source
/// AccessCheck (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAccessCheck(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    ClientToken: HANDLE,
    DesiredAccess: ACCESS_MASK,
    GenericMapping: *const GENERIC_MAPPING,
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> NTSTATUS {
    let object = Object::whole(SecurityDescriptor, DesiredAccess, GenericMapping);
    let used = Used { PrivilegeSet, PrivilegeSetLength };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&NT, |call| check(call, ClientToken, &object, &used, &places, previous_mode()))
}

/// [`ZwAccessCheck`] for an object that may be a principal, and for types and properties of it: the answer is that of the first.
///
/// # Returns
/// As for [`ZwAccessCheck`]; `STATUS_INVALID_PARAMETER` for types that are no tree, `STATUS_INVALID_SID` for the principal.
///
/// # Safety
/// As for [`ZwAccessCheck`]; `ObjectTypeList` has as many entries as its length says, each with a pointer to a GUID.
///
/// # Source
/// AccessCheckByType (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAccessCheckByType(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    ClientToken: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> NTSTATUS {
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let used = Used { PrivilegeSet, PrivilegeSetLength };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&ZW_TYPE, |call| check(call, ClientToken, &object, &used, &places, AccessMode::Kernel))
}

/// [`ZwAccessCheckByType`] for whoever the calling thread works for: a user's handle needs `TOKEN_QUERY`.
///
/// # Safety
/// As for [`ZwAccessCheckByType`].
///
/// # Source
/// AccessCheckByType (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAccessCheckByType(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    ClientToken: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> NTSTATUS {
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let used = Used { PrivilegeSet, PrivilegeSetLength };
    let places = Places::one(GrantedAccess, AccessStatus);
    enter_status(&NT_TYPE, |call| check(call, ClientToken, &object, &used, &places, previous_mode()))
}

/// [`ZwAccessCheckByType`] with an answer for each of the types.
///
/// # Returns
/// As for [`ZwAccessCheckByType`]; `STATUS_INVALID_PARAMETER` also when there are no types. `GrantedAccess` and `AccessStatus` are
/// arrays; a node that is refused is told the part of what was asked for that it would have had.
///
/// # Safety
/// As for [`ZwAccessCheckByType`]; both arrays have as many entries as the list.
///
/// # Source
/// AccessCheckByTypeResultList (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAccessCheckByTypeResultList(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    ClientToken: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> NTSTATUS {
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let used = Used { PrivilegeSet, PrivilegeSetLength };
    let places = Places::each(GrantedAccess, AccessStatus, ObjectTypeListLength);
    enter_status(&ZW_LIST, |call| check(call, ClientToken, &object, &used, &places, AccessMode::Kernel))
}

/// [`ZwAccessCheckByTypeResultList`] for whoever the calling thread works for: a user's handle needs `TOKEN_QUERY`.
///
/// # Safety
/// As for [`ZwAccessCheckByTypeResultList`].
///
/// # Source
/// AccessCheckByTypeResultList (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAccessCheckByTypeResultList(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrincipalSelfSid: PSID,
    ClientToken: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectTypeList: *const OBJECT_TYPE_LIST,
    ObjectTypeListLength: ULONG,
    GenericMapping: *const GENERIC_MAPPING,
    PrivilegeSet: *mut PRIVILEGE_SET,
    PrivilegeSetLength: *mut ULONG,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> NTSTATUS {
    let object = Object {
        SecurityDescriptor,
        PrincipalSelfSid,
        DesiredAccess,
        ObjectTypeList,
        ObjectTypeListLength,
        GenericMapping,
    };
    let used = Used { PrivilegeSet, PrivilegeSetLength };
    let places = Places::each(GrantedAccess, AccessStatus, ObjectTypeListLength);
    enter_status(&NT_LIST, |call| check(call, ClientToken, &object, &used, &places, previous_mode()))
}
