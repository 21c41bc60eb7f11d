//! Counted strings.

use crate::entry::{Routine, enter, routine};
use crate::ex::pool;
use crate::layout::{UNICODE_STRING, WCHAR};
use crate::ptr;
use crate::verifier::Rule;

static INIT: Routine = routine!(RtlInitUnicodeString, DISPATCH_LEVEL, "RtlInitUnicodeString (wdm.h page)");
static FREE: Routine = routine!(RtlFreeUnicodeString, PASSIVE_LEVEL, "RtlFreeUnicodeString (wdm.h page)");

/// Says whose allocation a string is in the report of leaks: "RtlS".
pub(super) const TAG: [u8; 4] = *b"RtlS";

/// The most characters a counted string can have, so that its terminator can be counted too.
const MOST: u16 = 32_766;

/// A string of nothing.
const EMPTY: UNICODE_STRING = UNICODE_STRING { Length: 0, MaximumLength: 0, Buffer: std::ptr::null_mut() };

/// Lets a string stand for a text that ends with a zero; the text is not copied. Null makes an empty string.
///
/// # Safety
/// `DestinationString` is null or points to a string, `SourceString` is null or points to a text that ends with a zero.
///
/// # Source
/// RtlInitUnicodeString (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlInitUnicodeString(DestinationString: *mut UNICODE_STRING, SourceString: *const WCHAR) {
    enter(&INIT, |call| {
        let is_end = |at: &u16| ptr::read_at(SourceString, usize::from(*at)).is_none_or(|unit: WCHAR| unit == 0);
        let count = (0..MOST).find(is_end).unwrap_or(MOST);
        let length = count.saturating_mul(2);
        let string = match SourceString.is_null() {
            true => EMPTY,
            false => UNICODE_STRING {
                Length: length,
                MaximumLength: length.saturating_add(2),
                Buffer: SourceString.cast_mut(),
            },
        };
        if !ptr::write(DestinationString, string) {
            call.report(Rule::NullArgument, "DestinationString is NULL");
        }
    });
}

/// Frees a string that an Rtl routine allocated, and clears it.
///
/// # Safety
/// `UnicodeString` is null or points to a string whose buffer is null or allocated from the pool.
///
/// # Source
/// RtlFreeUnicodeString (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RtlFreeUnicodeString(UnicodeString: *mut UNICODE_STRING) {
    enter(&FREE, |call| {
        let Some(string) = ptr::read(UnicodeString) else {
            return call.report(Rule::NullArgument, "UnicodeString is NULL");
        };
        if !string.Buffer.is_null() {
            pool::free(call, string.Buffer.cast());
        }
        ptr::write(UnicodeString, EMPTY);
    });
}
