//! Security descriptors from parts to a block, and from a block to parts.

use std::ffi::c_void;

use vicar_nt::NtStatus;
use vicar_nt::descriptor::{Control, Dacl, DescriptorRef, Sacl};

use crate::entry::{Routine, enter_status, routine};
use crate::layout::{NTSTATUS, PACL, PSECURITY_DESCRIPTOR, PSID, SECURITY_DESCRIPTOR, ULONG};
use crate::ptr;
use crate::rtl::descriptor::{ABSOLUTE_HEAD, control, sizes};
use crate::verifier::Rule;

static TO_BLOCK: Routine =
    routine!(RtlAbsoluteToSelfRelativeSD, APC_LEVEL, "RtlAbsoluteToSelfRelativeSD (ntifs.h page)");
static TO_PARTS: Routine =
    routine!(RtlSelfRelativeToAbsoluteSD, APC_LEVEL, "RtlSelfRelativeToAbsoluteSD (ntifs.h page)");

/// Copies a descriptor in parts into one block: head, SACL, DACL, owner, group.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_BUFFER_TOO_SMALL` with what is needed in `*BufferLength`; `STATUS_BAD_DESCRIPTOR_FORMAT` for one
/// that is in a block already; the status of what is malformed; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// `AbsoluteSecurityDescriptor` is null or points to a descriptor, `BufferLength` to a length, `SelfRelativeSecurityDescriptor`
/// to that many bytes.
///
/// # Source
/// RtlAbsoluteToSelfRelativeSD (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlAbsoluteToSelfRelativeSD(
    AbsoluteSecurityDescriptor: PSECURITY_DESCRIPTOR,
    SelfRelativeSecurityDescriptor: PSECURITY_DESCRIPTOR,
    BufferLength: *mut ULONG,
) -> NTSTATUS {
    enter_status(&TO_BLOCK, |call| {
        if control(call, AbsoluteSecurityDescriptor)?.contains(Control::SELF_RELATIVE) {
            return Err(NtStatus::BAD_DESCRIPTOR_FORMAT);
        }
        let block = ptr::descriptor(call, AbsoluteSecurityDescriptor)?;
        DescriptorRef::parse(&block).map_err(|error| error.status())?;
        let Some(room) = ptr::read(BufferLength) else {
            call.report(Rule::NullArgument, "BufferLength is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        let needed = ULONG::try_from(block.len()).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?;
        if room < needed {
            ptr::write(BufferLength, needed);
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        if !ptr::write_bytes(SelfRelativeSecurityDescriptor, &block) {
            call.report(Rule::NullArgument, "SelfRelativeSecurityDescriptor is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    })
}

/// Copies a descriptor in a block into parts of the caller's.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_BUFFER_TOO_SMALL` when some buffer is, with what is needed in all sizes and nothing else written;
/// `STATUS_BAD_DESCRIPTOR_FORMAT` for one in parts; the status of what is malformed; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// Each pointer is null or points to what it is named for, the buffers to as many bytes as their sizes say.
///
/// # Source
/// RtlSelfRelativeToAbsoluteSD (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSelfRelativeToAbsoluteSD(
    SelfRelativeSecurityDescriptor: PSECURITY_DESCRIPTOR,
    AbsoluteSecurityDescriptor: PSECURITY_DESCRIPTOR,
    AbsoluteSecurityDescriptorSize: *mut ULONG,
    Dacl: PACL,
    DaclSize: *mut ULONG,
    Sacl: PACL,
    SaclSize: *mut ULONG,
    Owner: PSID,
    OwnerSize: *mut ULONG,
    PrimaryGroup: PSID,
    PrimaryGroupSize: *mut ULONG,
) -> NTSTATUS {
    enter_status(&TO_PARTS, |call| {
        if !control(call, SelfRelativeSecurityDescriptor)?.contains(Control::SELF_RELATIVE) {
            return Err(NtStatus::BAD_DESCRIPTOR_FORMAT);
        }
        // A copy, because the caller's parts may lie over the block.
        let block = ptr::descriptor(call, SelfRelativeSecurityDescriptor)?.into_owned();
        let descriptor = DescriptorRef::parse(&block).map_err(|error| error.status())?;
        let [dacl, sacl, owner, group] = sizes(&descriptor);
        let room = [AbsoluteSecurityDescriptorSize, DaclSize, SaclSize, OwnerSize, PrimaryGroupSize];
        let needs = [ABSOLUTE_HEAD, dacl, sacl, owner, group];
        let to: [*mut c_void; 5] = [AbsoluteSecurityDescriptor, Dacl.cast(), Sacl.cast(), Owner, PrimaryGroup];
        let mut is_small = false;
        for ((room, needed), to) in room.into_iter().zip(needs).zip(to) {
            let Some(given) = ptr::read(room) else {
                call.report(Rule::NullArgument, "a size is NULL");
                return Err(NtStatus::INVALID_PARAMETER);
            };
            // A buffer that is too small may be null: the call then asks for sizes.
            if given >= needed && needed > 0 && to.is_null() {
                call.report(Rule::NullArgument, "a buffer that is said to have room is NULL");
                return Err(NtStatus::INVALID_PARAMETER);
            }
            is_small |= given < needed;
        }
        if is_small {
            for (room, needed) in room.into_iter().zip(needs) {
                ptr::write(room, needed);
            }
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        let copy = |to: *mut c_void, from: Option<&[u8]>| match from {
            Some(from) if ptr::write_bytes(to, from) => to,
            Some(_) | None => std::ptr::null_mut(),
        };
        let dacl = match descriptor.dacl() {
            Dacl::List(list) => Some(list.as_bytes()),
            Dacl::Absent | Dacl::Null => None,
        };
        let sacl = match descriptor.sacl() {
            Sacl::List(list) => Some(list.as_bytes()),
            Sacl::Absent | Sacl::Null => None,
        };
        let [_, dacl_to, sacl_to, owner_to, group_to] = to;
        let head = SECURITY_DESCRIPTOR {
            Revision: 1,
            Sbz1: descriptor.resource_manager_byte().unwrap_or(0),
            Control: descriptor.control().difference(Control::SELF_RELATIVE).bits(),
            Owner: copy(owner_to, descriptor.owner().map(|sid| sid.as_bytes())),
            Group: copy(group_to, descriptor.group().map(|sid| sid.as_bytes())),
            Sacl: copy(sacl_to, sacl).cast(),
            Dacl: copy(dacl_to, dacl).cast(),
        };
        ptr::write(AbsoluteSecurityDescriptor.cast(), head);
        Ok(())
    })
}
