//! Security descriptors in their callers' memory: made, filled, looked into, judged.
//!
//! A descriptor in parts (absolute) is changed in place; one in a block (self-relative) is only looked at.

use std::ffi::c_void;

use vicar_nt::NtStatus;
use vicar_nt::descriptor::{Control, Dacl, DescriptorRef, Sacl};

use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::layout::{
    BOOLEAN, NTSTATUS, PACL, PSECURITY_DESCRIPTOR, PSID, SECURITY_DESCRIPTOR, SECURITY_DESCRIPTOR_RELATIVE,
    SECURITY_INFORMATION, ULONG,
};
use crate::ptr;
use crate::verifier::Rule;

static CREATE: Routine = routine!(RtlCreateSecurityDescriptor, APC_LEVEL, "RtlCreateSecurityDescriptor (wdm.h page)");
static VALID: Routine = routine!(RtlValidSecurityDescriptor, APC_LEVEL, "RtlValidSecurityDescriptor (wdm.h page)");
static VALID_RELATIVE: Routine =
    routine!(RtlValidRelativeSecurityDescriptor, APC_LEVEL, "RtlValidRelativeSecurityDescriptor (wdm.h page)");
static LENGTH: Routine = routine!(RtlLengthSecurityDescriptor, APC_LEVEL, "RtlLengthSecurityDescriptor (wdm.h page)");
static SET_DACL: Routine =
    routine!(RtlSetDaclSecurityDescriptor, APC_LEVEL, "RtlSetDaclSecurityDescriptor (wdm.h page)");
static SET_SACL: Routine =
    routine!(RtlSetSaclSecurityDescriptor, APC_LEVEL, "SetSecurityDescriptorSacl (securitybaseapi.h page)");
static SET_OWNER: Routine =
    routine!(RtlSetOwnerSecurityDescriptor, APC_LEVEL, "RtlSetOwnerSecurityDescriptor (ntifs.h page)");
static SET_GROUP: Routine =
    routine!(RtlSetGroupSecurityDescriptor, APC_LEVEL, "RtlSetGroupSecurityDescriptor (ntifs.h page)");
static GET_DACL: Routine =
    routine!(RtlGetDaclSecurityDescriptor, APC_LEVEL, "RtlGetDaclSecurityDescriptor (ntifs.h page)");
static GET_SACL: Routine =
    routine!(RtlGetSaclSecurityDescriptor, APC_LEVEL, "RtlGetSaclSecurityDescriptor (ntifs.h page)");
static GET_OWNER: Routine =
    routine!(RtlGetOwnerSecurityDescriptor, APC_LEVEL, "RtlGetOwnerSecurityDescriptor (ntifs.h page)");
static GET_GROUP: Routine =
    routine!(RtlGetGroupSecurityDescriptor, APC_LEVEL, "RtlGetGroupSecurityDescriptor (ntifs.h page)");

/// Bytes of a descriptor in parts, without its parts.
pub(super) const ABSOLUTE_HEAD: u32 = 40;
const RELATIVE_HEAD: u32 = 20;

/// Reads the control bits of a descriptor of either form.
///
/// # Errors
/// - `STATUS_UNKNOWN_REVISION` for another revision than 1.
/// - `STATUS_INVALID_SECURITY_DESCR` for null, which is reported.
pub(crate) fn control(call: &Call, from: PSECURITY_DESCRIPTOR) -> Result<Control, NtStatus> {
    let Some(&[revision, _, low, high]) = ptr::bytes(call, from, 4) else {
        call.report(Rule::NullArgument, "SecurityDescriptor is NULL");
        return Err(NtStatus::INVALID_SECURITY_DESCR);
    };
    match revision {
        1 => Ok(Control::from_bits_retain(u16::from_le_bytes([low, high]))),
        _ => Err(NtStatus::UNKNOWN_REVISION),
    }
}

/// Makes an empty descriptor in parts.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_UNKNOWN_REVISION` for another revision than 1; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// `SecurityDescriptor` is null or points to 40 bytes.
///
/// # Source
/// RtlCreateSecurityDescriptor (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlCreateSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    Revision: ULONG,
) -> NTSTATUS {
    enter_status(&CREATE, |call| {
        if Revision != 1 {
            return Err(NtStatus::UNKNOWN_REVISION);
        }
        let empty = SECURITY_DESCRIPTOR {
            Revision: 1,
            Sbz1: 0,
            Control: 0,
            Owner: std::ptr::null_mut(),
            Group: std::ptr::null_mut(),
            Sacl: std::ptr::null_mut(),
            Dacl: std::ptr::null_mut(),
        };
        if !ptr::write(SecurityDescriptor.cast(), empty) {
            call.report(Rule::NullArgument, "SecurityDescriptor is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    })
}

/// Returns whether a descriptor of either form, its SIDs and its lists are well formed. False for null.
///
/// Offsets are believed as far as it takes to look; for bytes of a stranger use [`RtlValidRelativeSecurityDescriptor`].
///
/// # Safety
/// `SecurityDescriptor` is null or points to a descriptor.
///
/// # Source
/// RtlValidSecurityDescriptor (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlValidSecurityDescriptor(SecurityDescriptor: PSECURITY_DESCRIPTOR) -> BOOLEAN {
    enter(&VALID, |call| {
        let block = ptr::descriptor(call, SecurityDescriptor);
        u8::from(block.is_ok_and(|block| DescriptorRef::parse(&block).is_ok()))
    })
}

/// Returns whether bytes are a well-formed descriptor in a block that has certain parts. Reads nothing outside them.
///
/// A list that is asked for must be there: a NULL list is not enough.
///
/// # Safety
/// `SecurityDescriptorInput` is null or points to `SecurityDescriptorLength` bytes.
///
/// # Source
/// RtlValidRelativeSecurityDescriptor (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlValidRelativeSecurityDescriptor(
    SecurityDescriptorInput: PSECURITY_DESCRIPTOR,
    SecurityDescriptorLength: ULONG,
    RequiredInformation: SECURITY_INFORMATION,
) -> BOOLEAN {
    enter(&VALID_RELATIVE, |call| {
        let Some(descriptor) = bounded(call, SecurityDescriptorInput, SecurityDescriptorLength) else { return 0 };
        let parts = [
            (0x1, descriptor.owner().is_some()),
            (0x2, descriptor.group().is_some()),
            (0x4, matches!(descriptor.dacl(), Dacl::List(_))),
            (0x8, matches!(descriptor.sacl(), Sacl::List(_))),
        ];
        u8::from(parts.into_iter().all(|(part, is_there)| is_there || RequiredInformation & part == 0))
    })
}

/// Reads a block of a known length as a descriptor.
pub(crate) fn bounded(call: &Call, from: PSECURITY_DESCRIPTOR, length: ULONG) -> Option<DescriptorRef<'_>> {
    let bytes = ptr::bytes(call, from, usize::try_from(length).ok()?)?;
    DescriptorRef::parse(bytes).ok()
}

/// Returns the bytes a descriptor and its parts take in its own form; 0 of a malformed one.
///
/// # Safety
/// `SecurityDescriptor` is null or points to a descriptor.
///
/// # Source
/// RtlLengthSecurityDescriptor (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlLengthSecurityDescriptor(SecurityDescriptor: PSECURITY_DESCRIPTOR) -> ULONG {
    enter(&LENGTH, |call| {
        let Ok(control) = control(call, SecurityDescriptor) else { return 0 };
        let Ok(block) = ptr::descriptor(call, SecurityDescriptor) else { return 0 };
        let Ok(descriptor) = DescriptorRef::parse(&block) else { return 0 };
        let head = if control.contains(Control::SELF_RELATIVE) { RELATIVE_HEAD } else { ABSOLUTE_HEAD };
        sizes(&descriptor).into_iter().fold(head, u32::saturating_add)
    })
}

/// The bytes of DACL, SACL, owner and group; 0 for what is not there.
pub(super) fn sizes(descriptor: &DescriptorRef<'_>) -> [u32; 4] {
    let dacl = match descriptor.dacl() {
        Dacl::List(list) => list.as_bytes().len(),
        Dacl::Absent | Dacl::Null => 0,
    };
    let sacl = match descriptor.sacl() {
        Sacl::List(list) => list.as_bytes().len(),
        Sacl::Absent | Sacl::Null => 0,
    };
    let owner = descriptor.owner().map_or(0, |sid| sid.as_bytes().len());
    let group = descriptor.group().map_or(0, |sid| sid.as_bytes().len());
    // No part has more than 65,535 bytes.
    [dacl, sacl, owner, group].map(|size| u32::try_from(size).unwrap_or(u32::MAX))
}

/// Changes a descriptor in parts.
///
/// # Errors
/// - `STATUS_UNKNOWN_REVISION`, and `STATUS_INVALID_SECURITY_DESCR` for one in a block, and null.
fn change(
    call: &Call,
    at: PSECURITY_DESCRIPTOR,
    action: impl FnOnce(Control, SECURITY_DESCRIPTOR) -> (Control, SECURITY_DESCRIPTOR),
) -> Result<(), NtStatus> {
    let control = control(call, at)?;
    if control.contains(Control::SELF_RELATIVE) {
        return Err(NtStatus::INVALID_SECURITY_DESCR);
    }
    let head: SECURITY_DESCRIPTOR = ptr::read(at.cast()).ok_or(NtStatus::INVALID_SECURITY_DESCR)?;
    let (control, head) = action(control, head);
    ptr::write(at.cast(), SECURITY_DESCRIPTOR { Control: control.bits(), ..head });
    Ok(())
}

/// Control bits with one of them set or clear.
fn with(mut control: Control, bit: Control, is_set: bool) -> Control {
    control.set(bit, is_set);
    control
}

/// Lets a descriptor in parts point to a DACL, or to none. The list is not copied; a null one grants everything to everyone.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_UNKNOWN_REVISION`; `STATUS_INVALID_SECURITY_DESCR` for a descriptor in a block, and null.
///
/// # Safety
/// `SecurityDescriptor` is null or points to a descriptor.
///
/// # Source
/// RtlSetDaclSecurityDescriptor (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSetDaclSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    DaclPresent: BOOLEAN,
    Dacl: PACL,
    DaclDefaulted: BOOLEAN,
) -> NTSTATUS {
    enter_status(&SET_DACL, |call| {
        change(call, SecurityDescriptor, |control, head| {
            let is_present = DaclPresent != 0;
            let control = with(control, Control::DACL_PRESENT, is_present);
            let control = with(control, Control::DACL_DEFAULTED, is_present && DaclDefaulted != 0);
            let list = if is_present { Dacl } else { std::ptr::null_mut() };
            (control, SECURITY_DESCRIPTOR { Dacl: list, ..head })
        })
    })
}

/// Lets a descriptor in parts point to a SACL, or to none. The list is not copied.
///
/// # Returns
/// As for [`RtlSetDaclSecurityDescriptor`].
///
/// # Safety
/// As for [`RtlSetDaclSecurityDescriptor`].
///
/// # Source
/// SetSecurityDescriptorSacl (securitybaseapi.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSetSaclSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    SaclPresent: BOOLEAN,
    Sacl: PACL,
    SaclDefaulted: BOOLEAN,
) -> NTSTATUS {
    enter_status(&SET_SACL, |call| {
        change(call, SecurityDescriptor, |control, head| {
            let is_present = SaclPresent != 0;
            let control = with(control, Control::SACL_PRESENT, is_present);
            let control = with(control, Control::SACL_DEFAULTED, is_present && SaclDefaulted != 0);
            let list = if is_present { Sacl } else { std::ptr::null_mut() };
            (control, SECURITY_DESCRIPTOR { Sacl: list, ..head })
        })
    })
}

/// Lets a descriptor in parts point to an owner, or to none. The SID is not copied.
///
/// # Returns
/// As for [`RtlSetDaclSecurityDescriptor`].
///
/// # Safety
/// As for [`RtlSetDaclSecurityDescriptor`].
///
/// # Source
/// RtlSetOwnerSecurityDescriptor (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSetOwnerSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    Owner: PSID,
    OwnerDefaulted: BOOLEAN,
) -> NTSTATUS {
    enter_status(&SET_OWNER, |call| {
        change(call, SecurityDescriptor, |control, head| {
            let control = with(control, Control::OWNER_DEFAULTED, OwnerDefaulted != 0);
            (control, SECURITY_DESCRIPTOR { Owner, ..head })
        })
    })
}

/// Lets a descriptor in parts point to a group, or to none. The SID is not copied.
///
/// # Returns
/// As for [`RtlSetDaclSecurityDescriptor`].
///
/// # Safety
/// As for [`RtlSetDaclSecurityDescriptor`].
///
/// # Source
/// RtlSetGroupSecurityDescriptor (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSetGroupSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    Group: PSID,
    GroupDefaulted: BOOLEAN,
) -> NTSTATUS {
    enter_status(&SET_GROUP, |call| {
        change(call, SecurityDescriptor, |control, head| {
            let control = with(control, Control::GROUP_DEFAULTED, GroupDefaulted != 0);
            (control, SECURITY_DESCRIPTOR { Group, ..head })
        })
    })
}

/// Where the parts of a descriptor stand, whichever form it has.
struct Parts {
    control: Control,
    owner: *mut c_void,
    group: *mut c_void,
    sacl: *mut c_void,
    dacl: *mut c_void,
}

fn parts(call: &Call, from: PSECURITY_DESCRIPTOR) -> Result<Parts, NtStatus> {
    let control = control(call, from)?;
    if control.contains(Control::SELF_RELATIVE) {
        let head: SECURITY_DESCRIPTOR_RELATIVE = ptr::read(from.cast()).ok_or(NtStatus::INVALID_SECURITY_DESCR)?;
        let [owner, group, sacl, dacl] =
            [head.Owner, head.Group, head.Sacl, head.Dacl].map(|offset| match usize::try_from(offset) {
                Ok(0) | Err(_) => std::ptr::null_mut(),
                Ok(offset) => from.wrapping_byte_add(offset),
            });
        return Ok(Parts { control, owner, group, sacl, dacl });
    }
    let head: SECURITY_DESCRIPTOR = ptr::read(from.cast()).ok_or(NtStatus::INVALID_SECURITY_DESCR)?;
    Ok(Parts { control, owner: head.Owner, group: head.Group, sacl: head.Sacl.cast(), dacl: head.Dacl.cast() })
}

/// Stores where a list stands, if there is one.
fn store_list(
    call: &Call,
    (present, list, defaulted): (*mut BOOLEAN, *mut PACL, *mut BOOLEAN),
    found: Result<(*mut c_void, bool, bool), NtStatus>,
) -> Result<(), NtStatus> {
    ptr::write(present, 0);
    let (at, is_present, is_defaulted) = found?;
    let mut is_stored = ptr::write(present, u8::from(is_present));
    if is_present {
        is_stored &= ptr::write(list, at.cast());
        is_stored &= ptr::write(defaulted, u8::from(is_defaulted));
    }
    if !is_stored {
        call.report(Rule::NullArgument, "an output is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Ok(())
}

/// Stores where the DACL of a descriptor of either form stands; null there means that everything is granted to everyone.
///
/// # Returns
/// `STATUS_SUCCESS`, with `*Dacl` and `*DaclDefaulted` written only if there is a DACL; `STATUS_UNKNOWN_REVISION`;
/// `STATUS_INVALID_SECURITY_DESCR` and `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// Each pointer is null or points to what it is named for.
///
/// # Source
/// RtlGetDaclSecurityDescriptor (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlGetDaclSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    DaclPresent: *mut BOOLEAN,
    Dacl: *mut PACL,
    DaclDefaulted: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&GET_DACL, |call| {
        let found = parts(call, SecurityDescriptor).map(|parts| {
            let has = |bit| parts.control.contains(bit);
            (parts.dacl, has(Control::DACL_PRESENT), has(Control::DACL_DEFAULTED))
        });
        store_list(call, (DaclPresent, Dacl, DaclDefaulted), found)
    })
}

/// Stores where the SACL of a descriptor of either form stands.
///
/// # Returns
/// As for [`RtlGetDaclSecurityDescriptor`].
///
/// # Safety
/// As for [`RtlGetDaclSecurityDescriptor`].
///
/// # Source
/// RtlGetSaclSecurityDescriptor (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlGetSaclSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    SaclPresent: *mut BOOLEAN,
    Sacl: *mut PACL,
    SaclDefaulted: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&GET_SACL, |call| {
        let found = parts(call, SecurityDescriptor).map(|parts| {
            let has = |bit| parts.control.contains(bit);
            (parts.sacl, has(Control::SACL_PRESENT), has(Control::SACL_DEFAULTED))
        });
        store_list(call, (SaclPresent, Sacl, SaclDefaulted), found)
    })
}

/// Stores where a SID stands.
fn store_sid(
    call: &Call,
    (sid, defaulted): (*mut PSID, *mut BOOLEAN),
    found: Result<(*mut c_void, bool), NtStatus>,
) -> Result<(), NtStatus> {
    ptr::write(sid, std::ptr::null_mut());
    let (at, is_defaulted) = found?;
    if !(ptr::write(sid, at) & ptr::write(defaulted, u8::from(is_defaulted))) {
        call.report(Rule::NullArgument, "an output is NULL");
        return Err(NtStatus::INVALID_PARAMETER);
    }
    Ok(())
}

/// Stores where the owner of a descriptor of either form stands; null when it has none.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_UNKNOWN_REVISION`; `STATUS_INVALID_SECURITY_DESCR` and `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// As for [`RtlGetDaclSecurityDescriptor`].
///
/// # Source
/// RtlGetOwnerSecurityDescriptor (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlGetOwnerSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    Owner: *mut PSID,
    OwnerDefaulted: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&GET_OWNER, |call| {
        let found = parts(call, SecurityDescriptor);
        let found = found.map(|parts| (parts.owner, parts.control.contains(Control::OWNER_DEFAULTED)));
        store_sid(call, (Owner, OwnerDefaulted), found)
    })
}

/// Stores where the group of a descriptor of either form stands; null when it has none.
///
/// # Returns
/// As for [`RtlGetOwnerSecurityDescriptor`].
///
/// # Safety
/// As for [`RtlGetDaclSecurityDescriptor`].
///
/// # Source
/// RtlGetGroupSecurityDescriptor (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlGetGroupSecurityDescriptor(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    Group: *mut PSID,
    GroupDefaulted: *mut BOOLEAN,
) -> NTSTATUS {
    enter_status(&GET_GROUP, |call| {
        let found = parts(call, SecurityDescriptor);
        let found = found.map(|parts| (parts.group, parts.control.contains(Control::GROUP_DEFAULTED)));
        store_sid(call, (Group, GroupDefaulted), found)
    })
}
