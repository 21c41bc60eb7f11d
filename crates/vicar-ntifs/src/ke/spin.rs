//! Spin locks, which raise their owner to `DISPATCH_LEVEL`.

use super::held::{self, Kind};
use super::{current_irql, set_irql};
use crate::entry::{Call, Routine, enter, routine};
use crate::layout::{DISPATCH_LEVEL, KIRQL, KSPIN_LOCK};
use crate::ptr;
use crate::verifier::Rule;

static INITIALIZE: Routine = routine!(KeInitializeSpinLock, HIGH_LEVEL, "KeInitializeSpinLock (wdm.h page)");
static ACQUIRE: Routine = routine!(KeAcquireSpinLock, DISPATCH_LEVEL, "KeAcquireSpinLock (wdm.h page)");
static ACQUIRE_RAISE: Routine =
    routine!(KeAcquireSpinLockRaiseToDpc, DISPATCH_LEVEL, "KeAcquireSpinLockRaiseToDpc (wdm.h page)");
static RELEASE: Routine = routine!(KeReleaseSpinLock, DISPATCH_LEVEL, "KeReleaseSpinLock (wdm.h page)");

/// Makes a spin lock that nobody holds.
///
/// # Safety
/// `SpinLock` is null or points to room for a spin lock.
///
/// # Source
/// KeInitializeSpinLock (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeInitializeSpinLock(SpinLock: *mut KSPIN_LOCK) {
    enter(&INITIALIZE, |call| {
        if !ptr::write(SpinLock, 0) {
            call.report(Rule::NullArgument, "SpinLock is NULL");
        }
    });
}

/// Takes a spin lock at `DISPATCH_LEVEL`, and returns the level before.
fn acquire(call: &Call, lock: *mut KSPIN_LOCK) -> KIRQL {
    let before = current_irql();
    if lock.is_null() {
        call.report(Rule::NullArgument, "SpinLock is NULL");
        return before;
    }
    // A level that is too high already is reported at the door and stays.
    set_irql(before.max(DISPATCH_LEVEL));
    if held::take_word(call, lock.cast(), lock.addr(), Kind::Spin) {
        held::took(call, lock.addr(), Kind::Spin, before);
    }
    before
}

/// Raises the calling thread to `DISPATCH_LEVEL`, waits for a spin lock and stores the level before.
///
/// # Safety
/// `SpinLock` is null or points to a spin lock that was initialised, `OldIrql` is null or room for a level.
///
/// # Source
/// KeAcquireSpinLock (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeAcquireSpinLock(SpinLock: *mut KSPIN_LOCK, OldIrql: *mut KIRQL) {
    enter(&ACQUIRE, |call| {
        if !ptr::write(OldIrql, acquire(call, SpinLock)) {
            call.report(Rule::NullArgument, "OldIrql is NULL");
        }
    });
}

/// [`KeAcquireSpinLock`] that returns the level before, as the macro of x64 kits calls it.
///
/// # Safety
/// As for [`KeAcquireSpinLock`].
///
/// # Source
/// KeAcquireSpinLockRaiseToDpc (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeAcquireSpinLockRaiseToDpc(SpinLock: *mut KSPIN_LOCK) -> KIRQL {
    enter(&ACQUIRE_RAISE, |call| acquire(call, SpinLock))
}

/// Gives a spin lock back and lowers the level to what it was before.
///
/// # Safety
/// As for [`KeAcquireSpinLock`].
///
/// # Source
/// KeReleaseSpinLock (wdm.h page): called at `DISPATCH_LEVEL`, with the level that acquiring stored.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeReleaseSpinLock(SpinLock: *mut KSPIN_LOCK, NewIrql: KIRQL) {
    enter(&RELEASE, |call| {
        if SpinLock.is_null() {
            return call.report(Rule::NullArgument, "SpinLock is NULL");
        }
        let Some(holding) = held::gave(call, SpinLock.addr(), &[Kind::Spin]) else { return };
        held::give_word(SpinLock.cast());
        let now = current_irql();
        if now != DISPATCH_LEVEL || NewIrql != holding.irql {
            call.report(
                Rule::IrqlNotRestored,
                format!("released at IRQL {now} to {NewIrql}, and it was acquired at {}", holding.irql),
            );
        }
        set_irql(NewIrql);
    });
}
