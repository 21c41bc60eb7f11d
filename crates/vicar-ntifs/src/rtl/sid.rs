//! Security identifiers in their callers' memory.

use vicar_nt::{NtStatus, Sid as Value};

use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::ex::pool;
use crate::layout::{BOOLEAN, NTSTATUS, PSID, SID_IDENTIFIER_AUTHORITY, UCHAR, ULONG, UNICODE_STRING};
use crate::ptr;
use crate::rtl::string;
use crate::verifier::Rule;

static LENGTH_REQUIRED: Routine = routine!(RtlLengthRequiredSid, HIGH_LEVEL, "RtlLengthRequiredSid (ntifs.h page)");
static INITIALIZE: Routine = routine!(RtlInitializeSid, APC_LEVEL, "RtlInitializeSid (ntifs.h page)");
static VALID: Routine = routine!(RtlValidSid, APC_LEVEL, "RtlValidSid (ntifs.h page)");
static EQUAL: Routine = routine!(RtlEqualSid, APC_LEVEL, "RtlEqualSid (ntifs.h page)");
static EQUAL_PREFIX: Routine = routine!(RtlEqualPrefixSid, APC_LEVEL, "RtlEqualPrefixSid (ntifs.h page)");
static COPY: Routine = routine!(RtlCopySid, APC_LEVEL, "RtlCopySid (ntifs.h page)");
static LENGTH: Routine = routine!(RtlLengthSid, APC_LEVEL, "RtlLengthSid (ntifs.h page)");
static SUB_AUTHORITY: Routine = routine!(RtlSubAuthoritySid, APC_LEVEL, "RtlSubAuthoritySid (ntifs.h page)");
static COUNT: Routine = routine!(RtlSubAuthorityCountSid, APC_LEVEL, "RtlSubAuthorityCountSid (ntifs.h page)");
static AUTHORITY: Routine = routine!(RtlIdentifierAuthoritySid, APC_LEVEL, "RtlIdentifierAuthoritySid (ntifs.h page)");
static CONVERT: Routine =
    routine!(RtlConvertSidToUnicodeString, PASSIVE_LEVEL, "RtlConvertSidToUnicodeString (ntifs.h page)");

/// The most sub-authorities a SID has.
const MOST: u32 = 15;
/// Where authority, count and sub-authorities stand.
const COUNT_AT: usize = 1;
const AUTHORITY_AT: usize = 2;
const SUB_AUTHORITIES_AT: usize = 8;

/// Reads a SID that must be one; null is reported.
fn read(call: &Call, from: PSID) -> Result<Value, NtStatus> {
    if from.is_null() {
        call.report(Rule::NullArgument, "Sid is NULL");
    }
    ptr::sid(call, from)
}

/// A place inside a SID; null, and reported, for a null SID.
fn inside<T>(call: &Call, sid: PSID, at: usize) -> *mut T {
    if sid.is_null() {
        call.report(Rule::NullArgument, "Sid is NULL");
        return std::ptr::null_mut();
    }
    sid.wrapping_byte_add(at).cast()
}

/// Returns the bytes of a SID with so many sub-authorities.
///
/// # Safety
/// None needed.
///
/// # Source
/// RtlLengthRequiredSid (ntifs.h page); MS-DTYP 2.4.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlLengthRequiredSid(SubAuthorityCount: ULONG) -> ULONG {
    enter(&LENGTH_REQUIRED, |_| SubAuthorityCount.wrapping_mul(4).wrapping_add(8))
}

/// Writes revision, count and authority of a SID; its sub-authorities are the caller's to write.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for more than 15 sub-authorities, and null.
///
/// # Safety
/// `Sid` is null or points to [`RtlLengthRequiredSid`] bytes, `IdentifierAuthority` is null or points to an authority.
///
/// # Source
/// RtlInitializeSid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlInitializeSid(
    Sid: PSID,
    IdentifierAuthority: *const SID_IDENTIFIER_AUTHORITY,
    SubAuthorityCount: UCHAR,
) -> NTSTATUS {
    enter_status(&INITIALIZE, |call| {
        if u32::from(SubAuthorityCount) > MOST {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let authority = ptr::bytes(call, IdentifierAuthority.cast(), 6).and_then(<[u8]>::first_chunk::<6>);
        let Some([a, b, c, d, e, f]) = authority.filter(|_| !Sid.is_null()) else {
            call.report(Rule::NullArgument, "Sid or IdentifierAuthority is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        ptr::write_bytes(Sid, &[1, SubAuthorityCount, *a, *b, *c, *d, *e, *f]);
        Ok(())
    })
}

/// Returns whether revision and count are legal; false for null.
///
/// # Safety
/// `Sid` is null or points to two bytes, and to the rest of the SID if they are legal.
///
/// # Source
/// RtlValidSid (ntifs.h page); MS-DTYP 2.4.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlValidSid(Sid: PSID) -> BOOLEAN {
    enter(&VALID, |call| u8::from(ptr::sid(call, Sid).is_ok()))
}

/// Returns whether two valid SIDs are the same.
///
/// # Safety
/// Each is null or points to a SID.
///
/// # Source
/// RtlEqualSid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlEqualSid(Sid1: PSID, Sid2: PSID) -> BOOLEAN {
    enter(&EQUAL, |call| match (read(call, Sid1), read(call, Sid2)) {
        (Ok(one), Ok(other)) => u8::from(one == other),
        (Err(_), _) | (_, Err(_)) => 0,
    })
}

/// Returns whether two valid SIDs are the same but for their last sub-authority.
///
/// # Safety
/// Each is null or points to a SID.
///
/// # Source
/// RtlEqualPrefixSid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlEqualPrefixSid(Sid1: PSID, Sid2: PSID) -> BOOLEAN {
    enter(&EQUAL_PREFIX, |call| {
        let (Ok(one), Ok(other)) = (read(call, Sid1), read(call, Sid2)) else { return 0 };
        let count = one.sub_authorities().len();
        let is_same = one.authority() == other.authority()
            && count == other.sub_authorities().len()
            && one
                .sub_authorities()
                .zip(other.sub_authorities())
                .take(count.saturating_sub(1))
                .all(|(one, other)| one == other);
        u8::from(is_same)
    })
}

/// Copies a SID.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_SID` when the source is none; `STATUS_BUFFER_TOO_SMALL` when it does not fit;
/// `STATUS_INVALID_PARAMETER` when there is nowhere to copy it to. Nothing is written then.
///
/// # Safety
/// `DestinationSid` is null or points to `DestinationSidLength` bytes, `SourceSid` is null or points to a SID.
///
/// # Source
/// RtlCopySid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlCopySid(
    DestinationSidLength: ULONG,
    DestinationSid: PSID,
    SourceSid: PSID,
) -> NTSTATUS {
    enter_status(&COPY, |call| {
        let sid = read(call, SourceSid)?;
        if usize::try_from(DestinationSidLength).is_ok_and(|length| length < sid.as_bytes().len()) {
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        if !ptr::write_bytes(DestinationSid, sid.as_bytes()) {
            call.report(Rule::NullArgument, "DestinationSid is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    })
}

/// Returns the bytes of a valid SID; 0 of anything else.
///
/// # Safety
/// `Sid` is null or points to a SID.
///
/// # Source
/// RtlLengthSid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlLengthSid(Sid: PSID) -> ULONG {
    enter(&LENGTH, |call| read(call, Sid).ok().and_then(|sid| ULONG::try_from(sid.as_bytes().len()).ok()).unwrap_or(0))
}

/// Returns where a sub-authority stands; null beyond the fifteenth. The count is not looked at: SIDs are built with this.
///
/// # Safety
/// `Sid` is null or points to a SID.
///
/// # Source
/// RtlSubAuthoritySid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSubAuthoritySid(Sid: PSID, SubAuthority: ULONG) -> *mut ULONG {
    enter(&SUB_AUTHORITY, |call| match usize::try_from(SubAuthority) {
        Ok(index) if SubAuthority < MOST => {
            inside(call, Sid, index.saturating_mul(4).saturating_add(SUB_AUTHORITIES_AT))
        }
        Ok(_) | Err(_) => std::ptr::null_mut(),
    })
}

/// Returns where the count of sub-authorities stands.
///
/// # Safety
/// `Sid` is null or points to a SID.
///
/// # Source
/// RtlSubAuthorityCountSid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlSubAuthorityCountSid(Sid: PSID) -> *mut UCHAR {
    enter(&COUNT, |call| inside(call, Sid, COUNT_AT))
}

/// Returns where the authority stands.
///
/// # Safety
/// `Sid` is null or points to a SID.
///
/// # Source
/// RtlIdentifierAuthoritySid (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlIdentifierAuthoritySid(Sid: PSID) -> *mut SID_IDENTIFIER_AUTHORITY {
    enter(&AUTHORITY, |call| inside(call, Sid, AUTHORITY_AT))
}

/// Writes a SID as text.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_SID`; `STATUS_BUFFER_OVERFLOW` when the text does not fit in `MaximumLength`, with nothing
/// written; `STATUS_NO_MEMORY`; `STATUS_INVALID_PARAMETER` for a null string. With `AllocateDestinationString` the buffer is
/// pool that [`RtlFreeUnicodeString`](crate::RtlFreeUnicodeString) frees.
///
/// # Safety
/// `UnicodeString` is null or points to a string, whose buffer has `MaximumLength` bytes unless one is to be allocated; `Sid` is
/// null or points to a SID.
///
/// # Source
/// RtlConvertSidToUnicodeString (ntifs.h page); MS-DTYP 2.4.2.1.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlConvertSidToUnicodeString(
    UnicodeString: *mut UNICODE_STRING,
    Sid: PSID,
    AllocateDestinationString: BOOLEAN,
) -> NTSTATUS {
    enter_status(&CONVERT, |call| {
        let sid = read(call, Sid)?;
        let Some(given) = ptr::read(UnicodeString) else {
            call.report(Rule::NullArgument, "UnicodeString is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        let mut text: Vec<u8> = sid.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
        // The longest text, fifteen numbers of ten digits and their authority, has 368 bytes.
        let length = u16::try_from(text.len()).map_err(|_| NtStatus::BUFFER_OVERFLOW)?;
        text.extend_from_slice(&[0, 0]);
        if AllocateDestinationString == 0 {
            if length > given.MaximumLength {
                return Err(NtStatus::BUFFER_OVERFLOW);
            }
            let room = usize::from(given.MaximumLength);
            let fits = text.get(..text.len().min(room)).unwrap_or(&[]);
            if !ptr::write_bytes(given.Buffer.cast(), fits) {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            ptr::write(UnicodeString, UNICODE_STRING { Length: length, ..given });
            return Ok(());
        }
        let buffer = pool::allocate(call, text.len(), string::TAG, 0).map_err(|_| NtStatus::NO_MEMORY)?;
        ptr::write_bytes(buffer, &text);
        let whole = length.saturating_add(2);
        ptr::write(UnicodeString, UNICODE_STRING { Length: length, MaximumLength: whole, Buffer: buffer.cast() });
        Ok(())
    })
}
