//! The SIDs of services, which follow from their names.

use vicar_nt::{NtStatus, Sid};

use crate::entry::{Routine, enter_status, routine};
use crate::layout::{NTSTATUS, PSID, ULONG, UNICODE_STRING};
use crate::ptr;
use crate::rtl::sha1;
use crate::verifier::Rule;

static CREATE: Routine = routine!(RtlCreateServiceSid, PASSIVE_LEVEL, "RtlCreateServiceSid (ntifs.h page)");

/// S-1-5-80 and five numbers: the digest of the name in capitals.
fn of_name(name: &[u8]) -> Option<Sid> {
    let (units, _) = name.as_chunks::<2>();
    let capitals = units.iter().map(|unit| capital(u16::from_le_bytes(*unit)));
    let text: Vec<u8> = capitals.flat_map(u16::to_le_bytes).collect();
    let digest = sha1::digest(&text);
    let (words, _) = digest.as_chunks::<4>();
    let mut numbers = vec![80];
    numbers.extend(words.iter().map(|word| u32::from_le_bytes(*word)));
    Sid::new(5, &numbers)
}

/// The capital of one unit, where there is exactly one.
fn capital(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut capitals = letter.to_uppercase();
    match (capitals.next(), capitals.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

/// Writes the SID that a service has by its name.
///
/// # Returns
/// `STATUS_SUCCESS`, with its bytes in `*ServiceSidLength`; `STATUS_BUFFER_TOO_SMALL` with the bytes that are needed, and nothing else
/// written; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// `ServiceName` is null or points to a string, `ServiceSidLength` to a length, `ServiceSid` to as many bytes.
///
/// # Source
/// RtlCreateServiceSid (ntifs.h page); MS-DTYP 2.4.2.4 (S-1-5-80).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlCreateServiceSid(
    ServiceName: *const UNICODE_STRING,
    ServiceSid: PSID,
    ServiceSidLength: *mut ULONG,
) -> NTSTATUS {
    enter_status(&CREATE, |call| {
        let (Some(string), Some(room)) = (ptr::read(ServiceName), ptr::read(ServiceSidLength)) else {
            call.report(Rule::NullArgument, "ServiceName or ServiceSidLength is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        let name = ptr::bytes(call, string.Buffer.cast(), usize::from(string.Length));
        let sid = name.and_then(of_name).ok_or(NtStatus::INVALID_PARAMETER)?;
        let needed = ULONG::try_from(sid.as_bytes().len()).map_err(|_| NtStatus::INVALID_SID)?;
        ptr::write(ServiceSidLength, needed);
        if room < needed {
            return Err(NtStatus::BUFFER_TOO_SMALL);
        }
        if !ptr::write_bytes(ServiceSid, sid.as_bytes()) {
            call.report(Rule::NullArgument, "ServiceSid is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    })
}
