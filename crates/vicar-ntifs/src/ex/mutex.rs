//! Fast mutexes, which raise their owner to `APC_LEVEL`.

use crate::entry::{Routine, enter, routine};
use crate::ke::held::{self, Kind};
use crate::ke::{current_irql, set_irql};
use crate::layout::{APC_LEVEL, FAST_MUTEX};
use crate::ptr;
use crate::verifier::Rule;

static INITIALIZE: Routine = routine!(ExInitializeFastMutex, DISPATCH_LEVEL, "ExInitializeFastMutex (wdm.h page)");
static ACQUIRE: Routine = routine!(ExAcquireFastMutex, APC_LEVEL, "ExAcquireFastMutex (wdm.h page)");
static RELEASE: Routine = routine!(ExReleaseFastMutex, APC_LEVEL, "ExReleaseFastMutex (wdm.h page)");

/// Where the owner stands.
fn owner(mutex: *mut FAST_MUTEX) -> *mut usize {
    mutex.cast::<usize>().wrapping_add(1)
}

/// Makes a mutex that nobody holds.
///
/// # Safety
/// `FastMutex` is null or points to room for a mutex.
///
/// # Source
/// ExInitializeFastMutex (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExInitializeFastMutex(FastMutex: *mut FAST_MUTEX) {
    enter(&INITIALIZE, |call| {
        if !ptr::write(FastMutex, FAST_MUTEX { Opaque: [1, 0, 0, 0, 0, 0, 0] }) {
            call.report(Rule::NullArgument, "FastMutex is NULL");
        }
    });
}

/// Raises the calling thread to `APC_LEVEL` and waits for a mutex.
///
/// # Safety
/// `FastMutex` is null or points to a mutex that was initialised.
///
/// # Source
/// ExAcquireFastMutex (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExAcquireFastMutex(FastMutex: *mut FAST_MUTEX) {
    enter(&ACQUIRE, |call| {
        if FastMutex.is_null() {
            return call.report(Rule::NullArgument, "FastMutex is NULL");
        }
        let before = current_irql();
        set_irql(before.max(APC_LEVEL));
        if held::take_word(call, owner(FastMutex), FastMutex.addr(), Kind::Mutex) {
            held::took(call, FastMutex.addr(), Kind::Mutex, before);
        }
    });
}

/// Gives a mutex back and lowers the level to what it was before.
///
/// # Safety
/// As for [`ExAcquireFastMutex`].
///
/// # Source
/// ExReleaseFastMutex (wdm.h page): called at `APC_LEVEL`.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExReleaseFastMutex(FastMutex: *mut FAST_MUTEX) {
    enter(&RELEASE, |call| {
        if FastMutex.is_null() {
            return call.report(Rule::NullArgument, "FastMutex is NULL");
        }
        let Some(holding) = held::gave(call, FastMutex.addr(), &[Kind::Mutex]) else { return };
        held::give_word(owner(FastMutex));
        let now = current_irql();
        if now != APC_LEVEL {
            call.report(Rule::IrqlNotRestored, format!("released at IRQL {now}, and its owner is at {APC_LEVEL}"));
        }
        set_irql(holding.irql);
    });
}
