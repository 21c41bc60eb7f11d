//! Entries added to an access list.

use vicar_nt::acl::{AceFlags, AceKind};
use vicar_nt::{NtStatus, RequestedMask};

use crate::entry::{Call, Routine, enter_status, routine};
use crate::layout::{ACCESS_MASK, BOOLEAN, NTSTATUS, PACL, PSID, UCHAR, ULONG};
use crate::ptr;
use crate::rtl::acl::{apply, list};
use crate::rtl::list::plain;

static ALLOWED: Routine = routine!(RtlAddAccessAllowedAce, APC_LEVEL, "RtlAddAccessAllowedAce (ntifs.h page)");
static ALLOWED_EX: Routine = routine!(RtlAddAccessAllowedAceEx, APC_LEVEL, "RtlAddAccessAllowedAceEx (ntifs.h page)");
static DENIED: Routine = routine!(RtlAddAccessDeniedAce, APC_LEVEL, "AddAccessDeniedAce (securitybaseapi.h page)");
static DENIED_EX: Routine =
    routine!(RtlAddAccessDeniedAceEx, APC_LEVEL, "AddAccessDeniedAceEx (securitybaseapi.h page)");
static AUDIT: Routine = routine!(RtlAddAuditAccessAce, APC_LEVEL, "AddAuditAccessAce (securitybaseapi.h page)");
static AUDIT_EX: Routine = routine!(RtlAddAuditAccessAceEx, APC_LEVEL, "AddAuditAccessAceEx (securitybaseapi.h page)");
static MANDATORY: Routine = routine!(RtlAddMandatoryAce, APC_LEVEL, "AddMandatoryAce (securitybaseapi.h page)");

/// The flags that say what is inherited, and that an entry is.
const INHERITANCE: AceFlags = AceFlags::OBJECT_INHERIT
    .union(AceFlags::CONTAINER_INHERIT)
    .union(AceFlags::NO_PROPAGATE_INHERIT)
    .union(AceFlags::INHERIT_ONLY)
    .union(AceFlags::INHERITED);
const OUTCOMES: AceFlags = AceFlags::SUCCESSFUL_ACCESS.union(AceFlags::FAILED_ACCESS);

/// An entry that is to be added behind the others.
struct New {
    kind: AceKind,
    flags: AceFlags,
    mask: ACCESS_MASK,
    sid: PSID,
}

/// Adds an entry.
///
/// # Errors
/// - `STATUS_INVALID_ACL`, `STATUS_INVALID_SID` for what is malformed, null too.
/// - `STATUS_REVISION_MISMATCH` when a revision is not 2 to 4.
/// - `STATUS_ALLOTTED_SPACE_EXCEEDED` when it does not fit.
fn add(call: &Call, to: PACL, revision: ULONG, new: &New) -> Result<(), NtStatus> {
    let list = list(call, to, NtStatus::INVALID_ACL)?;
    let sid = ptr::sid(call, new.sid)?;
    let revision = u8::try_from(revision).ok().filter(|revision| (2..=4).contains(revision));
    let revision = revision.ok_or(NtStatus::REVISION_MISMATCH)?;
    let ace = plain(new.kind, new.flags, RequestedMask(new.mask), &sid);
    let change = list.insert(ULONG::MAX, &ace, 1, revision).map_err(|_| NtStatus::ALLOTTED_SPACE_EXCEEDED)?;
    apply(to, &change);
    Ok(())
}

/// Reads flags of which only some are allowed.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` for any other.
fn flags(given: ULONG, allowed: AceFlags) -> Result<AceFlags, NtStatus> {
    let flags = u8::try_from(given).ok().map(AceFlags::from_bits_retain);
    flags.filter(|flags| allowed.contains(*flags)).ok_or(NtStatus::INVALID_PARAMETER)
}

/// Adds an entry that grants rights, behind the others.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_ACL`, `STATUS_INVALID_SID`, `STATUS_REVISION_MISMATCH`,
/// `STATUS_ALLOTTED_SPACE_EXCEEDED`; the list is as it was then. The list's revision becomes the higher of the two.
///
/// # Safety
/// `Acl` is null or points to as many bytes as its head says, `Sid` is null or points to a SID.
///
/// # Source
/// RtlAddAccessAllowedAce (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAccessAllowedAce(
    Acl: PACL,
    AceRevision: ULONG,
    AccessMask: ACCESS_MASK,
    Sid: PSID,
) -> NTSTATUS {
    let new = New { kind: AceKind::Allow, flags: AceFlags::empty(), mask: AccessMask, sid: Sid };
    enter_status(&ALLOWED, |call| add(call, Acl, AceRevision, &new))
}

/// [`RtlAddAccessAllowedAce`] with inheritance flags; `STATUS_INVALID_PARAMETER` for others.
///
/// # Safety
/// As for [`RtlAddAccessAllowedAce`].
///
/// # Source
/// RtlAddAccessAllowedAceEx (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAccessAllowedAceEx(
    Acl: PACL,
    AceRevision: ULONG,
    AceFlags: ULONG,
    AccessMask: ACCESS_MASK,
    Sid: PSID,
) -> NTSTATUS {
    enter_status(&ALLOWED_EX, |call| {
        let flags = flags(AceFlags, INHERITANCE)?;
        add(call, Acl, AceRevision, &New { kind: AceKind::Allow, flags, mask: AccessMask, sid: Sid })
    })
}

/// Adds an entry that refuses rights, behind the others.
///
/// # Safety
/// As for [`RtlAddAccessAllowedAce`].
///
/// # Source
/// AddAccessDeniedAce (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAccessDeniedAce(
    Acl: PACL,
    AceRevision: ULONG,
    AccessMask: ACCESS_MASK,
    Sid: PSID,
) -> NTSTATUS {
    let new = New { kind: AceKind::Deny, flags: AceFlags::empty(), mask: AccessMask, sid: Sid };
    enter_status(&DENIED, |call| add(call, Acl, AceRevision, &new))
}

/// [`RtlAddAccessDeniedAce`] with inheritance flags; `STATUS_INVALID_PARAMETER` for others.
///
/// # Safety
/// As for [`RtlAddAccessAllowedAce`].
///
/// # Source
/// AddAccessDeniedAceEx (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAccessDeniedAceEx(
    Acl: PACL,
    AceRevision: ULONG,
    AceFlags: ULONG,
    AccessMask: ACCESS_MASK,
    Sid: PSID,
) -> NTSTATUS {
    enter_status(&DENIED_EX, |call| {
        let flags = flags(AceFlags, INHERITANCE)?;
        add(call, Acl, AceRevision, &New { kind: AceKind::Deny, flags, mask: AccessMask, sid: Sid })
    })
}

/// The flags of an audit entry.
fn outcomes(success: BOOLEAN, failure: BOOLEAN) -> AceFlags {
    let wanted = |outcome: BOOLEAN, flag| if outcome == 0 { AceFlags::empty() } else { flag };
    wanted(success, AceFlags::SUCCESSFUL_ACCESS) | wanted(failure, AceFlags::FAILED_ACCESS)
}

/// Adds an entry that asks for an audit record.
///
/// # Safety
/// As for [`RtlAddAccessAllowedAce`].
///
/// # Source
/// AddAuditAccessAce (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAuditAccessAce(
    Acl: PACL,
    AceRevision: ULONG,
    AccessMask: ACCESS_MASK,
    Sid: PSID,
    AuditSuccess: BOOLEAN,
    AuditFailure: BOOLEAN,
) -> NTSTATUS {
    let flags = outcomes(AuditSuccess, AuditFailure);
    enter_status(&AUDIT, |call| {
        add(call, Acl, AceRevision, &New { kind: AceKind::Audit, flags, mask: AccessMask, sid: Sid })
    })
}

/// [`RtlAddAuditAccessAce`] with inheritance flags, the two of auditing allowed among them.
///
/// # Safety
/// As for [`RtlAddAccessAllowedAce`].
///
/// # Source
/// AddAuditAccessAceEx (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddAuditAccessAceEx(
    Acl: PACL,
    AceRevision: ULONG,
    AceFlags: ULONG,
    AccessMask: ACCESS_MASK,
    Sid: PSID,
    AuditSuccess: BOOLEAN,
    AuditFailure: BOOLEAN,
) -> NTSTATUS {
    enter_status(&AUDIT_EX, |call| {
        let flags = flags(AceFlags, INHERITANCE.union(OUTCOMES))? | outcomes(AuditSuccess, AuditFailure);
        add(call, Acl, AceRevision, &New { kind: AceKind::Audit, flags, mask: AccessMask, sid: Sid })
    })
}

/// Adds a mandatory label.
///
/// # Returns
/// As for [`RtlAddAccessAllowedAceEx`]; `STATUS_INVALID_PARAMETER` also for a type that is not
/// `SYSTEM_MANDATORY_LABEL_ACE_TYPE`, a SID that names no integrity level, and a mask with other bits than the three policies.
///
/// # Safety
/// As for [`RtlAddAccessAllowedAce`].
///
/// # Source
/// AddMandatoryAce (securitybaseapi.h page); MS-DTYP 2.4.4.13. The parameter list is recalled.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAddMandatoryAce(
    Acl: PACL,
    AceRevision: ULONG,
    AceFlags: ULONG,
    Sid: PSID,
    AceType: UCHAR,
    AccessMask: ACCESS_MASK,
) -> NTSTATUS {
    enter_status(&MANDATORY, |call| {
        const LABEL_AUTHORITY: u64 = 16;
        const POLICIES: ACCESS_MASK = 7;
        let flags = flags(AceFlags, INHERITANCE)?;
        let sid = ptr::sid(call, Sid)?;
        let is_level = sid.authority() == LABEL_AUTHORITY && sid.sub_authorities().len() == 1;
        if AceType != AceKind::MandatoryLabel.number() || !is_level || AccessMask & !POLICIES != 0 {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        add(call, Acl, AceRevision, &New { kind: AceKind::MandatoryLabel, flags, mask: AccessMask, sid: Sid })
    })
}
