//! The interrupt level and the critical regions of the calling thread, events and locks.
//!
//! Nothing is interrupted here: the level is a number that the verifier compares with what each routine allows.

use std::cell::Cell;

use crate::entry::{Routine, enter, routine};
use crate::layout::{APC_LEVEL, KIRQL, PASSIVE_LEVEL};
use crate::ptr;
use crate::verifier::Rule;

pub(crate) mod event;
pub(crate) mod gate;
pub(crate) mod held;
pub(crate) mod spin;

thread_local! {
    static IRQL: Cell<KIRQL> = const { Cell::new(PASSIVE_LEVEL) };
    static CRITICAL: Cell<u32> = const { Cell::new(0) };
}

/// Returns the interrupt level of the calling thread.
pub(crate) fn current_irql() -> KIRQL {
    IRQL.get()
}

/// Changes the interrupt level of the calling thread.
pub(crate) fn set_irql(irql: KIRQL) {
    IRQL.set(irql);
}

/// Says whether normal kernel APCs are kept away from the calling thread.
pub(crate) fn are_apcs_disabled() -> bool {
    CRITICAL.get() > 0 || current_irql() >= APC_LEVEL
}

/// Puts the calling thread back to the level that threads begin at, and returns the level it was at.
pub(crate) fn reset_irql() -> KIRQL {
    IRQL.replace(PASSIVE_LEVEL)
}

/// Returns how many critical regions the calling thread is in, and leaves them.
pub(crate) fn reset_critical() -> u32 {
    CRITICAL.replace(0)
}

static GET: Routine = routine!(KeGetCurrentIrql, HIGH_LEVEL, "KeGetCurrentIrql (wdm.h page)");
static RAISE: Routine = routine!(KeRaiseIrql, HIGH_LEVEL, "KeRaiseIrql (wdm.h page)");
static LOWER: Routine = routine!(KeLowerIrql, HIGH_LEVEL, "KeLowerIrql (wdm.h page)");
static ENTER: Routine = routine!(KeEnterCriticalRegion, APC_LEVEL, "KeEnterCriticalRegion (wdm.h page)");
static LEAVE: Routine = routine!(KeLeaveCriticalRegion, APC_LEVEL, "KeLeaveCriticalRegion (wdm.h page)");
static DISABLED: Routine = routine!(KeAreApcsDisabled, DISPATCH_LEVEL, "KeAreApcsDisabled (wdm.h page)");

/// Returns the interrupt level of the calling thread.
///
/// # Safety
/// None needed.
///
/// # Source
/// KeGetCurrentIrql (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeGetCurrentIrql() -> KIRQL {
    enter(&GET, |_| current_irql())
}

/// Raises the interrupt level and stores the old one.
///
/// # Safety
/// `OldIrql` is null or points to a writable byte.
///
/// # Source
/// KeRaiseIrql (wdm.h page): the new level is not below the present one.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeRaiseIrql(NewIrql: KIRQL, OldIrql: *mut KIRQL) {
    enter(&RAISE, |call| {
        let old = current_irql();
        if !ptr::write(OldIrql, old) {
            call.report(Rule::NullArgument, "OldIrql is NULL");
        }
        if NewIrql < old {
            call.report(Rule::IrqlOrder, format!("raised from {old} to {NewIrql}"));
        } else {
            IRQL.set(NewIrql);
        }
    });
}

/// Lowers the interrupt level.
///
/// # Safety
/// None needed.
///
/// # Source
/// KeLowerIrql (wdm.h page): the new level is not above the present one.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeLowerIrql(NewIrql: KIRQL) {
    enter(&LOWER, |call| {
        let old = current_irql();
        if NewIrql > old {
            call.report(Rule::IrqlOrder, format!("lowered from {old} to {NewIrql}"));
        } else {
            IRQL.set(NewIrql);
        }
    });
}

/// Keeps normal kernel APCs away until [`KeLeaveCriticalRegion`].
///
/// # Safety
/// None needed.
///
/// # Source
/// KeEnterCriticalRegion (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeEnterCriticalRegion() {
    enter(&ENTER, |_| CRITICAL.set(CRITICAL.get().saturating_add(1)));
}

/// Ends what [`KeEnterCriticalRegion`] began.
///
/// # Safety
/// None needed.
///
/// # Source
/// KeLeaveCriticalRegion (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeLeaveCriticalRegion() {
    enter(&LEAVE, |call| match CRITICAL.get().checked_sub(1) {
        Some(left) => CRITICAL.set(left),
        None => call.report(Rule::CriticalRegion, "the thread is in no critical region"),
    });
}

/// Returns whether the thread is in a critical region or at a raised level.
///
/// # Safety
/// None needed.
///
/// # Source
/// KeAreApcsDisabled (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeAreApcsDisabled() -> crate::layout::BOOLEAN {
    enter(&DISABLED, |_| u8::from(are_apcs_disabled()))
}
