//! The SIDs of services, which follow from their names.

use vicar_nt::utf16::Utf16;
use vicar_nt::{NtStatus, named};

use crate::entry::{Routine, enter_status, routine};
use crate::layout::{NTSTATUS, PSID, ULONG, UNICODE_STRING};
use crate::ptr;
use crate::verifier::Rule;

static CREATE: Routine = routine!(RtlCreateServiceSid, PASSIVE_LEVEL, "RtlCreateServiceSid (ntifs.h page)");

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
        let whole = name.and_then(|name| name.get(..name.len() & !1)).and_then(Utf16::from_bytes);
        let sid = named::service_of_units(whole.ok_or(NtStatus::INVALID_PARAMETER)?);
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
