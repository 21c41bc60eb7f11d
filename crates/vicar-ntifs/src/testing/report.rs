//! The C side of the verifier: reading what it found.

use std::ffi::c_char;

use vicar_nt::NtStatus;

use crate::entry::{Routine, enter, enter_status, routine};
use crate::layout::{NTSTATUS, PVOID, ULONG};
use crate::ptr;
use crate::testing;
use crate::verifier;

static VERIFY: Routine = routine!(vicar_verify, HIGH_LEVEL, "vicar_test.h");
static SETTLE: Routine = routine!(vicar_settle, HIGH_LEVEL, "vicar_test.h");
static FINDINGS: Routine = routine!(vicar_finding_count, HIGH_LEVEL, "vicar_test.h");
static FINDING: Routine = routine!(vicar_finding, HIGH_LEVEL, "vicar_test.h");
static FINDING_TEXT: Routine = routine!(vicar_finding_text, HIGH_LEVEL, "vicar_test.h");
static CLEAR: Routine = routine!(vicar_findings_clear, HIGH_LEVEL, "vicar_test.h");
static PAGED: Routine = routine!(vicar_paged_code, APC_LEVEL, "PAGED_CODE (wdm.h page)");

/// One finding; the texts are read by [`vicar_finding_text`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VICAR_FINDING {
    /// Size of this structure in bytes.
    pub Size: ULONG,
    /// The number of the rule.
    pub Rule: ULONG,
    /// The instruction after the call, or null.
    pub CallSite: PVOID,
}

/// Reports what is held still, and returns how many findings there are now.
///
/// C: `ULONG vicar_verify(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_verify() -> ULONG {
    enter(&VERIFY, |_| ULONG::try_from(testing::verify()).unwrap_or(ULONG::MAX))
}

/// Waits until every work item has run.
///
/// C: `void vicar_settle(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_settle() {
    enter(&SETTLE, |_| testing::settle());
}

/// Returns how many findings there are.
///
/// C: `ULONG vicar_finding_count(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_finding_count() -> ULONG {
    enter(&FINDINGS, |_| ULONG::try_from(verifier::count()).unwrap_or(ULONG::MAX))
}

/// Reads a finding.
///
/// C: `NTSTATUS vicar_finding(ULONG Index, VICAR_FINDING *Finding);`
///
/// # Safety
/// `Finding` is null or points to its structure.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_finding(Index: ULONG, Finding: *mut VICAR_FINDING) -> NTSTATUS {
    enter_status(&FINDING, |_| {
        let found = usize::try_from(Index).ok().and_then(verifier::finding).ok_or(NtStatus::NOT_FOUND)?;
        let size = ULONG::try_from(size_of::<VICAR_FINDING>()).unwrap_or(0);
        let site = std::ptr::without_provenance_mut(found.site.address());
        let written = ptr::write(Finding, VICAR_FINDING { Size: size, Rule: found.rule.number(), CallSite: site });
        if written { Ok(()) } else { Err(NtStatus::INVALID_PARAMETER) }
    })
}

/// Writes a text of a finding, cut to the room and always ended: 0 whole, 1 rule, 2 routine, 3 call site, 4 page, 5 detail.
///
/// C: `SIZE_T vicar_finding_text(ULONG Index, ULONG Part, char *Buffer, SIZE_T Length);` returns the bytes of the whole
/// text, without its end.
///
/// # Safety
/// `Buffer` is null or points to `Length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_finding_text(
    Index: ULONG,
    Part: ULONG,
    Buffer: *mut c_char,
    Length: usize,
) -> usize {
    enter(&FINDING_TEXT, |_| {
        let Some(found) = usize::try_from(Index).ok().and_then(verifier::finding) else {
            write_text("", Buffer, Length);
            return 0;
        };
        let text = match Part {
            0 => found.to_string(),
            1 => found.rule.name().to_owned(),
            2 => found.routine.to_owned(),
            3 => found.site.to_string(),
            4 => found.page.to_owned(),
            5 => found.detail,
            6.. => String::new(),
        };
        write_text(&text, Buffer, Length);
        text.len()
    })
}

fn write_text(text: &str, to: *mut c_char, room: usize) {
    let Some(most) = room.checked_sub(1) else { return };
    let mut bytes = text.as_bytes().get(..most.min(text.len())).unwrap_or_default().to_vec();
    bytes.push(0);
    ptr::write_bytes(to.cast(), &bytes);
}

/// Forgets the findings.
///
/// C: `void vicar_findings_clear(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_findings_clear() {
    enter(&CLEAR, |_| drop(verifier::take_findings()));
}

/// What `PAGED_CODE()` asks: that the level allows page faults.
///
/// C: `void vicar_paged_code(const char *Function);`
///
/// # Safety
/// `Function` is null or a text.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_paged_code(Function: *const c_char) {
    // Entering is the test: the routine may be called at APC level at most.
    enter(&PAGED, |_| {
        let _ = Function;
    });
}
