//! Setting one value of a token by its handle.

use vicar_kernel::token::{InfoClass, Setting, set};
use vicar_nt::acl::Acl;
use vicar_nt::check::AccessMode;
use vicar_nt::token::MandatoryPolicy;
use vicar_nt::{IntegrityLevel, NtStatus};

use super::{capture, previous_mode};
use crate::convert;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle;
use crate::layout::{ACL, HANDLE, LUID, NTSTATUS, PSID, PVOID, SID_AND_ATTRIBUTES, ULONG};
use crate::ptr;
use crate::se::subject;

static ZW_SET: Routine = routine!(ZwSetInformationToken, PASSIVE_LEVEL, "ZwSetInformationToken (ntifs.h page)");
static NT_SET: Routine = routine!(NtSetInformationToken, PASSIVE_LEVEL, "NtSetInformationToken (ntifs.h page)");

/// Reads a value from the structure of its class.
///
/// # Errors
/// - `STATUS_ACCESS_VIOLATION`, `STATUS_DATATYPE_MISALIGNMENT` for the structure.
/// - `STATUS_INVALID_SID`, `STATUS_INVALID_ACL`, `STATUS_INVALID_LABEL`, `STATUS_INVALID_PARAMETER` for what is in it; the
///   handle statuses for a linked token.
/// - `STATUS_INVALID_INFO_CLASS` for a class that can only be read.
fn read(call: &Call, class: InfoClass, from: PVOID, mode: AccessMode) -> Result<Setting, NtStatus> {
    let sid = || ptr::sid(call, capture(call, from.cast::<PSID>().cast_const(), mode)?);
    let number = || capture(call, from.cast::<ULONG>().cast_const(), mode);
    Ok(if class == InfoClass::Owner {
        Setting::Owner(sid()?)
    } else if class == InfoClass::PrimaryGroup {
        Setting::PrimaryGroup(sid()?)
    } else if class == InfoClass::DefaultDacl {
        let list = capture(call, from.cast::<*mut ACL>().cast_const(), mode)?;
        Setting::DefaultDacl(match list.is_null() {
            true => None,
            false => Some(Acl::parse(ptr::acl(call, list)?).map_err(|_| NtStatus::INVALID_ACL)?),
        })
    } else if class == InfoClass::SessionId {
        Setting::SessionId(number()?)
    } else if class == InfoClass::Origin {
        Setting::Origin(convert::from_luid(capture(call, from.cast::<LUID>().cast_const(), mode)?))
    } else if class == InfoClass::MandatoryPolicy {
        Setting::MandatoryPolicy(MandatoryPolicy::from_bits(number()?).ok_or(NtStatus::INVALID_PARAMETER)?)
    } else if class == InfoClass::IntegrityLevel {
        let label = capture(call, from.cast::<SID_AND_ATTRIBUTES>().cast_const(), mode)?;
        let level = IntegrityLevel::parse_sid(ptr::sid(call, label.Sid)?.as_ref());
        Setting::IntegrityLevel(level.ok_or(NtStatus::INVALID_LABEL)?)
    } else if class == InfoClass::LinkedToken {
        let other = capture(call, from.cast::<HANDLE>().cast_const(), mode)?;
        Setting::LinkedToken(handle::token(call, other, mode)?.token_unchecked().clone())
    } else {
        return Err(NtStatus::INVALID_INFO_CLASS);
    })
}

fn set(call: &Call, token: HANDLE, class: i32, from: PVOID, length: ULONG, mode: AccessMode) -> Result<(), NtStatus> {
    let class = InfoClass::parse(class.cast_unsigned())?;
    set::check_length(class, usize::try_from(length).unwrap_or(0))?;
    let setting = read(call, class, from, mode)?;
    let opened = handle::token(call, token, mode)?;
    match mode {
        AccessMode::Kernel => opened.token_unchecked().set_information_unchecked(setting),
        AccessMode::User => opened.set_information(&subject::of_caller(), setting),
    }
}

/// Sets one value of a token, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; in this order `STATUS_INVALID_INFO_CLASS` for a class that there is none of or that can only be read,
/// `STATUS_INFO_LENGTH_MISMATCH` for a buffer that is too short, `STATUS_ACCESS_VIOLATION` and
/// `STATUS_DATATYPE_MISALIGNMENT` for where it is, `STATUS_INVALID_SID`, `STATUS_INVALID_ACL`, `STATUS_INVALID_LABEL`,
/// `STATUS_INVALID_PARAMETER` for what is in it, the handle statuses; `STATUS_INVALID_OWNER`,
/// `STATUS_INVALID_PRIMARY_GROUP`, `STATUS_ALLOTTED_SPACE_EXCEEDED` for what the token cannot take;
/// `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`. The token is unchanged then.
///
/// # Safety
/// `TokenInformation` is null or points to as many bytes as the length says, and what is pointed to there is whole.
///
/// # Source
/// ZwSetInformationToken (ntifs.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwSetInformationToken(
    TokenHandle: HANDLE,
    TokenInformationClass: i32,
    TokenInformation: PVOID,
    TokenInformationLength: ULONG,
) -> NTSTATUS {
    enter_status(&ZW_SET, |call| {
        set(call, TokenHandle, TokenInformationClass, TokenInformation, TokenInformationLength, AccessMode::Kernel)
    })
}

/// [`ZwSetInformationToken`] for whoever the calling thread works for.
///
/// # Returns
/// As for [`ZwSetInformationToken`]. A user's handle needs `TOKEN_ADJUST_DEFAULT`, or `TOKEN_ADJUST_SESSIONID` for the session.
/// `STATUS_PRIVILEGE_NOT_HELD` unless the caller holds the privilege that the class takes: that of acting as the system for
/// session, origin, policy and to raise the integrity level, that of making tokens for the linked token.
///
/// # Safety
/// As for [`ZwSetInformationToken`].
///
/// # Source
/// NtSetInformationToken (ntifs.h page), SetTokenInformation (page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtSetInformationToken(
    TokenHandle: HANDLE,
    TokenInformationClass: i32,
    TokenInformation: PVOID,
    TokenInformationLength: ULONG,
) -> NTSTATUS {
    enter_status(&NT_SET, |call| {
        set(call, TokenHandle, TokenInformationClass, TokenInformation, TokenInformationLength, previous_mode())
    })
}
