//! Access states: what an open carries from the request to the decision.
//!
//! An `ACCESS_STATE` lives in the caller's memory and is read again at every call; the caller also gives the memory of its
//! private part, [`AUX_ACCESS_DATA`].

use std::mem::offset_of;
use std::ptr::null_mut;

use vicar_kernel::{SubjectContext, TokenRef};
use vicar_nt::group::Group;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, IntegrityLevel, NtStatus, Privilege};

use crate::convert;
use crate::current;
use crate::entry::{Call, Routine, enter, enter_status, planned, routine};
use crate::ex::pool;
use crate::layout::{
    ACCESS_MASK, ACCESS_STATE, ACCESS_STATE_PRIVILEGES, BOOLEAN, GENERIC_MAPPING, INITIAL_PRIVILEGE_SET,
    KPROCESSOR_MODE, LUID_AND_ATTRIBUTES, NTSTATUS, PACCESS_TOKEN, PRIVILEGE_SET, PSECURITY_DESCRIPTOR, PVOID,
    TOKEN_ACCESS_INFORMATION, ULONG,
};
use crate::object;
use crate::ptr::{self, Held};
use crate::se::access::{Answer, Question, check};
use crate::se::{filter, subject};
use crate::verifier::{Rule, flow};
use crate::world;

static CREATE: Routine = routine!(SeCreateAccessState, PASSIVE_LEVEL, "SeCreateAccessState (ntifs.h)");
static DELETE: Routine = routine!(SeDeleteAccessState, PASSIVE_LEVEL, "SeDeleteAccessState (ntifs.h)");
static SET_MAPPING: Routine =
    routine!(SeSetAccessStateGenericMapping, PASSIVE_LEVEL, "SeSetAccessStateGenericMapping (ntifs.h page)");
static APPEND: Routine = routine!(SeAppendPrivileges, PASSIVE_LEVEL, "SeAppendPrivileges (ntifs.h page)");
static FROM_STATE: Routine = routine!(SeAccessCheckFromState, PASSIVE_LEVEL, "SeAccessCheckFromState (ntifs.h page)");
static FROM_STATE_EX: Routine =
    routine!(SeAccessCheckFromStateEx, PASSIVE_LEVEL, "SeAccessCheckFromStateEx (ntifs.h page)");

/// The private part of an access state; 64 bytes in C.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AUX_ACCESS_DATA {
    /// The set of privileges in use: the state's own room, or an allocation.
    pub PrivilegesUsed: *mut PRIVILEGE_SET,
    /// What generic rights mean for the type that is opened.
    pub GenericMapping: GENERIC_MAPPING,
    /// Room for what is to come.
    pub Reserved: [u64; 5],
}

const NO_PRIVILEGES: ACCESS_STATE_PRIVILEGES = ACCESS_STATE_PRIVILEGES {
    InitialPrivilegeSet: INITIAL_PRIVILEGE_SET {
        PrivilegeCount: 0,
        Control: 1,
        Privilege: [LUID_AND_ATTRIBUTES { Luid: crate::se::client::NO_LUID, Attributes: 0 }; 3],
    },
};
const NO_NAME: crate::layout::UNICODE_STRING =
    crate::layout::UNICODE_STRING { Length: 0, MaximumLength: 0, Buffer: null_mut() };
/// `TOKEN_HAS_TRAVERSE_PRIVILEGE`, in `ACCESS_STATE.Flags`.
const HAS_TRAVERSE: ULONG = 1;
/// Entries of the room that every access state has.
const ROOM: usize = 3;

/// Where the subject context of a state is.
pub(crate) fn subject_of(state: *mut ACCESS_STATE) -> *mut crate::layout::SECURITY_SUBJECT_CONTEXT {
    state.wrapping_byte_add(offset_of!(ACCESS_STATE, SubjectSecurityContext)).cast()
}

/// Where a state's own room for privileges is.
fn room_of(state: *mut ACCESS_STATE) -> *mut PRIVILEGE_SET {
    state.wrapping_byte_add(offset_of!(ACCESS_STATE, Privileges)).cast()
}

/// Fills an access state for the calling thread and its process.
///
/// # Returns
/// `STATUS_SUCCESS`; the state must be deleted once. `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// `AccessState` is null or room for a state, `AuxData` null or room for its private part, which must last as long;
/// `GenericMapping` is null or points to a mapping.
///
/// # Source
/// SeCreateAccessState and ACCESS_STATE (ntifs.h, wdm.h).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeCreateAccessState(
    AccessState: *mut ACCESS_STATE,
    AuxData: PVOID,
    DesiredAccess: ACCESS_MASK,
    GenericMapping: *const GENERIC_MAPPING,
) -> NTSTATUS {
    enter_status(&CREATE, |call| {
        if AccessState.is_null() || AuxData.is_null() {
            call.report(Rule::NullArgument, "AccessState or AuxData is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let mapping = ptr::read(GenericMapping);
        let desired = mapping.map_or(DesiredAccess, |mapping| map(DesiredAccess, mapping));
        let seat = current::seat();
        let (thread, process) = (&seat.host.thread, &seat.host.process.process);
        let traverses = match thread.reference_effective() {
            vicar_kernel::Effective::Primary(token) => token.state().privileges().is_enabled(Privilege::ChangeNotify),
            vicar_kernel::Effective::Impersonating(worn) => {
                worn.token.state().privileges().is_enabled(Privilege::ChangeNotify)
            }
        };
        let context = subject::capture(call, Some(thread), process);
        if call.is_verified() {
            subject::note(call, subject_of(AccessState).addr(), &context);
        }
        let none = GENERIC_MAPPING { GenericRead: 0, GenericWrite: 0, GenericExecute: 0, GenericAll: 0 };
        ptr::write(
            AuxData.cast::<AUX_ACCESS_DATA>(),
            AUX_ACCESS_DATA {
                PrivilegesUsed: room_of(AccessState),
                GenericMapping: mapping.unwrap_or(none),
                Reserved: [0; 5],
            },
        );
        ptr::write(
            AccessState,
            ACCESS_STATE {
                OperationID: convert::luid(world::current().system.allocate_luid()),
                SecurityEvaluated: 0,
                GenerateAudit: 0,
                GenerateOnClose: 0,
                PrivilegesAllocated: 0,
                Flags: if traverses { HAS_TRAVERSE } else { 0 },
                RemainingDesiredAccess: desired,
                PreviouslyGrantedAccess: 0,
                OriginalDesiredAccess: desired,
                SubjectSecurityContext: context,
                SecurityDescriptor: null_mut(),
                AuxData,
                Privileges: NO_PRIVILEGES,
                AuditPrivileges: 0,
                ObjectName: NO_NAME,
                ObjectTypeName: NO_NAME,
            },
        );
        Ok(())
    })
}

fn map(desired: ACCESS_MASK, mapping: GENERIC_MAPPING) -> ACCESS_MASK {
    convert::mapping(mapping).map(vicar_nt::RequestedMask(desired)).bits()
}

/// Gives back what [`SeCreateAccessState`] and [`SeAppendPrivileges`] took.
///
/// # Safety
/// `AccessState` is null or points to a state that was created.
///
/// # Source
/// SeDeleteAccessState (ntifs.h).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeDeleteAccessState(AccessState: *mut ACCESS_STATE) {
    enter(&DELETE, |call| {
        let Some(state) = ptr::read(AccessState) else {
            return call.report(Rule::NullArgument, "AccessState is NULL");
        };
        if state.PrivilegesAllocated != 0 {
            let aux: *mut AUX_ACCESS_DATA = state.AuxData.cast();
            if let Some(data) = ptr::read(aux) {
                pool::free(call, data.PrivilegesUsed.cast());
                ptr::write(aux, AUX_ACCESS_DATA { PrivilegesUsed: null_mut(), ..data });
            }
            ptr::write(AccessState, ACCESS_STATE { PrivilegesAllocated: 0, ..state });
        }
        subject::release(call, subject_of(AccessState));
    });
}

/// Says what generic rights mean for the type that is opened.
///
/// # Safety
/// `AccessState` is null or points to a state that was created, `GenericMapping` null or points to a mapping.
///
/// # Source
/// SeSetAccessStateGenericMapping (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeSetAccessStateGenericMapping(
    AccessState: *mut ACCESS_STATE,
    GenericMapping: *const GENERIC_MAPPING,
) {
    enter(&SET_MAPPING, |call| {
        let state = ptr::read(AccessState);
        let aux: *mut AUX_ACCESS_DATA = state.map_or(null_mut(), |state| state.AuxData.cast());
        let (Some(data), Some(mapping)) = (ptr::read(aux), ptr::read(GenericMapping)) else {
            return call.report(Rule::NullArgument, "AccessState or GenericMapping is NULL");
        };
        ptr::write(aux, AUX_ACCESS_DATA { GenericMapping: mapping, ..data });
    });
}

/// Where the entries of a set are.
fn entries(set: *mut PRIVILEGE_SET) -> *mut LUID_AND_ATTRIBUTES {
    set.wrapping_byte_add(8).cast()
}

fn count(set: *const PRIVILEGE_SET) -> usize {
    ptr::read(set.cast::<u32>()).and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
}

/// Adds privileges to those that an open has used.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for null; `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` when
/// more than three need an allocation that cannot be made; the state is unchanged then.
///
/// # Safety
/// `AccessState` is null or points to a state that was created, `Privileges` null or points to a set.
///
/// # Source
/// SeAppendPrivileges (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeAppendPrivileges(
    AccessState: *mut ACCESS_STATE,
    Privileges: *const PRIVILEGE_SET,
) -> NTSTATUS {
    enter_status(&APPEND, |call| {
        let state = ptr::read(AccessState);
        let aux: *mut AUX_ACCESS_DATA = state.map_or(null_mut(), |state| state.AuxData.cast());
        let (Some(state), Some(data), false) = (state, ptr::read(aux), Privileges.is_null()) else {
            call.report(Rule::NullArgument, "AccessState or Privileges is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        let (old, more) = (count(data.PrivilegesUsed), count(Privileges));
        let sum = old.saturating_add(more);
        let (from, is_own) = (data.PrivilegesUsed, state.PrivilegesAllocated == 0);
        let to = match is_own && sum <= ROOM {
            true => from,
            false => grown(call, from, old, sum)?,
        };
        for index in 0..more {
            if let Some(entry) = ptr::read_at(entries(Privileges.cast_mut()), index) {
                ptr::write_at(entries(to), old.saturating_add(index), entry);
            }
        }
        ptr::write(to.cast::<u32>(), u32::try_from(sum).unwrap_or(0));
        if to != from {
            ptr::write(aux, AUX_ACCESS_DATA { PrivilegesUsed: to, ..data });
            ptr::write(AccessState, ACCESS_STATE { PrivilegesAllocated: 1, ..state });
            if !is_own {
                pool::free(call, from.cast());
            }
        }
        Ok(())
    })
}

/// Allocates a set with room for `sum` entries and copies the old ones.
fn grown(call: &Call, from: *mut PRIVILEGE_SET, old: usize, sum: usize) -> Result<*mut PRIVILEGE_SET, NtStatus> {
    let length = sum.saturating_mul(size_of::<LUID_AND_ATTRIBUTES>()).saturating_add(8);
    let to: *mut PRIVILEGE_SET = pool::allocate(call, length, *b"SeAp", 0)?.cast();
    ptr::write_at(to.cast::<u32>(), 1, ptr::read_at(from.cast::<u32>().cast_const(), 1).unwrap_or(1));
    for index in 0..old {
        if let Some(entry) = ptr::read_at(entries(from).cast_const(), index) {
            ptr::write_at(entries(to), index, entry);
        }
    }
    Ok(to)
}

/// What both routines without a subject context are asked, and where they answer, as the header names it.
struct Stateless {
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    DesiredAccess: ACCESS_MASK,
    PreviouslyGrantedAccess: ACCESS_MASK,
    Privileges: *mut *mut PRIVILEGE_SET,
    GenericMapping: *const GENERIC_MAPPING,
    AccessMode: KPROCESSOR_MODE,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
}

impl Stateless {
    fn answer(&self, call: &Call, subject: Result<SubjectContext, NtStatus>) -> BOOLEAN {
        flow::checks(call, self.AccessMode);
        let answer = match planned(call) {
            Some(status) => Answer::from(NtStatus(status.cast_unsigned())),
            None => self.decide(call, subject),
        };
        answer.store(call, self.Privileges, self.GrantedAccess, self.AccessStatus)
    }

    fn decide(&self, call: &Call, subject: Result<SubjectContext, NtStatus>) -> Answer {
        let Some(mapping) = ptr::read(self.GenericMapping) else {
            call.report(Rule::NullArgument, "GenericMapping is NULL");
            return Answer::from(NtStatus::ACCESS_DENIED);
        };
        let question = Question {
            descriptor: self.SecurityDescriptor,
            desired: self.DesiredAccess,
            previous: self.PreviouslyGrantedAccess,
            mapping: convert::mapping(mapping),
            mode: self.AccessMode,
        };
        match subject {
            Ok(subject) => check(call, subject.tokens(), &question),
            Err(status) => Answer::from(status),
        }
    }
}

/// Checks access for two tokens: the client's decides, at its own level, if there is one.
///
/// # Returns
/// As for [`SeAccessCheck`](crate::SeAccessCheck).
///
/// # Safety
/// As for [`SeAccessCheck`](crate::SeAccessCheck); the tokens are null or the caller references them.
///
/// # Source
/// SeAccessCheckFromStateEx (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeAccessCheckFromStateEx(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrimaryToken: PACCESS_TOKEN,
    ClientToken: PACCESS_TOKEN,
    DesiredAccess: ACCESS_MASK,
    PreviouslyGrantedAccess: ACCESS_MASK,
    Privileges: *mut *mut PRIVILEGE_SET,
    GenericMapping: *const GENERIC_MAPPING,
    AccessMode: KPROCESSOR_MODE,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> BOOLEAN {
    let asked = Stateless {
        SecurityDescriptor,
        DesiredAccess,
        PreviouslyGrantedAccess,
        Privileges,
        GenericMapping,
        AccessMode,
        GrantedAccess,
        AccessStatus,
    };
    enter(&FROM_STATE_EX, |call| asked.answer(call, of_tokens(call, PrimaryToken, ClientToken)))
}

fn of_tokens(call: &Call, primary: PACCESS_TOKEN, client: PACCESS_TOKEN) -> Result<SubjectContext, NtStatus> {
    flow::decides_by(call, primary);
    let primary: Held<TokenRef> = object::look(call, primary).ok_or(NtStatus::ACCESS_DENIED)?;
    let at = client;
    let client: Option<TokenRef> = match client.is_null() {
        true => None,
        false => Some(TokenRef::clone(&*object::look::<TokenRef>(call, client).ok_or(NtStatus::ACCESS_DENIED)?)),
    };
    // The token's own level is answered by; the thread may have acted at a lower one.
    match client.as_ref().and_then(|client| client.level()).is_some_and(|level| !level.may_act_locally()) {
        true => client.iter().for_each(|client| flow::looked_at_token(call, at, client)),
        false => flow::decides_by(call, at),
    }
    let level = client.as_ref().and_then(|client| client.level());
    let level = level.unwrap_or(vicar_nt::ImpersonationLevel::Impersonation);
    Ok(SubjectContext::from_parts(client, level, TokenRef::clone(&primary)))
}

/// Checks access for tokens that are described by what `TokenAccessInformation` tells.
///
/// # Returns
/// As for [`SeAccessCheck`](crate::SeAccessCheck).
///
/// # Safety
/// As for [`SeAccessCheck`](crate::SeAccessCheck); each description is null or was filled by a query of that class.
///
/// # Source
/// SeAccessCheckFromState (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeAccessCheckFromState(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    PrimaryTokenInformation: *const TOKEN_ACCESS_INFORMATION,
    ClientTokenInformation: *const TOKEN_ACCESS_INFORMATION,
    DesiredAccess: ACCESS_MASK,
    PreviouslyGrantedAccess: ACCESS_MASK,
    Privileges: *mut *mut PRIVILEGE_SET,
    GenericMapping: *const GENERIC_MAPPING,
    AccessMode: KPROCESSOR_MODE,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> BOOLEAN {
    let asked = Stateless {
        SecurityDescriptor,
        DesiredAccess,
        PreviouslyGrantedAccess,
        Privileges,
        GenericMapping,
        AccessMode,
        GrantedAccess,
        AccessStatus,
    };
    enter(&FROM_STATE, |call| asked.answer(call, described(call, PrimaryTokenInformation, ClientTokenInformation)))
}

/// Makes tokens of the descriptions, in a world of their own: nobody else sees them.
fn described(
    call: &Call,
    primary: *const TOKEN_ACCESS_INFORMATION,
    client: *const TOKEN_ACCESS_INFORMATION,
) -> Result<SubjectContext, NtStatus> {
    let host = world::current();
    let system = vicar_kernel::System::new(host.system.profile(), *host.system.policy());
    let session = system.logon(vicar_kernel::LogonKind::System, None)?;
    let make = |from: TOKEN_ACCESS_INFORMATION, kind| {
        let spec = vicar_kernel::TokenSpec {
            state: state_of(call, &from)?,
            kind,
            source: *b"describe",
            origin: vicar_nt::Luid::ZERO,
        };
        session.create_token(spec)
    };
    let primary = ptr::read(primary).ok_or(NtStatus::ACCESS_DENIED)?;
    let primary = make(primary, vicar_kernel::TokenKind::Primary)?;
    let Some(client) = ptr::read(client) else {
        return Ok(SubjectContext::from_parts(None, vicar_nt::ImpersonationLevel::Anonymous, primary));
    };
    let level = match client.TokenType {
        1 => vicar_nt::ImpersonationLevel::Impersonation,
        _ => convert::from_level(client.ImpersonationLevel)?,
    };
    let client = make(client, vicar_kernel::TokenKind::Impersonation(level))?;
    Ok(SubjectContext::from_parts(Some(client), level, primary))
}

/// Reads the groups of a `SID_AND_ATTRIBUTES_HASH`.
fn hashed(call: &Call, from: *const core::ffi::c_void) -> Result<Vec<Group>, NtStatus> {
    let Some(count) = ptr::read(from.cast::<u32>()) else { return Ok(Vec::new()) };
    let list = ptr::read(from.wrapping_byte_add(8).cast()).unwrap_or(std::ptr::null());
    filter::entries(call, list, count)
}

fn state_of(call: &Call, from: &TOKEN_ACCESS_INFORMATION) -> Result<TokenState, NtStatus> {
    let groups = hashed(call, from.SidHash)?;
    let (user, groups) = groups.split_first().ok_or(NtStatus::INVALID_PARAMETER)?;
    let mut builder = TokenState::builder(user.sid);
    if user.attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY) {
        builder = builder.user_deny_only();
    }
    builder = builder.no_integrity();
    for group in groups {
        builder = match group.attributes.contains(GroupAttributes::INTEGRITY) {
            true => builder.integrity(IntegrityLevel(group.sid.rid().unwrap_or(0))),
            false => builder.group(group.sid, group.attributes),
        };
    }
    for group in hashed(call, from.RestrictedSidHash)? {
        builder = builder.restricting(group.sid);
    }
    /// The flag of a token whose restricting SIDs count for writing only.
    const WRITE_RESTRICTED: u32 = 0x8;
    if from.Flags & WRITE_RESTRICTED != 0 {
        builder = builder.write_restricted();
    }
    let listed = from.Privileges.cast_const();
    let entries: *const LUID_AND_ATTRIBUTES = listed.wrapping_byte_add(4).cast();
    let count = ptr::read(listed.cast::<u32>()).unwrap_or(0);
    for index in 0..usize::try_from(count.min(64)).unwrap_or(0) {
        let Some(entry) = ptr::read_at(entries, index) else { break };
        if let Some(privilege) = Privilege::from_luid(convert::from_luid(entry.Luid)) {
            let state = match entry.Attributes & 3 {
                0 | 1 => PrivilegeState::Disabled,
                2 => PrivilegeState::Enabled,
                _ => PrivilegeState::EnabledByDefault,
            };
            builder = builder.privilege(privilege, state);
        }
    }
    builder = builder.mandatory_policy(from.MandatoryPolicy.Policy);
    if !from.PackageSid.is_null() {
        builder = builder.app_container(ptr::sid(call, from.PackageSid)?);
        for group in hashed(call, from.CapabilitiesHash)? {
            builder = builder.capability(group.sid);
        }
    }
    if !from.TrustLevelSid.is_null() {
        builder = builder.trust(ptr::sid(call, from.TrustLevelSid)?);
    }
    builder.build().map_err(|_| NtStatus::INVALID_PARAMETER)
}
