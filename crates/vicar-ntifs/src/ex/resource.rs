//! Resources: locks for one writer or several readers.

use vicar_nt::NtStatus;

use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::ke::held::{self, Kind};
use crate::ke::{are_apcs_disabled, gate};
use crate::layout::{BOOLEAN, ERESOURCE, NTSTATUS};
use crate::ptr;
use crate::verifier::Rule;

static INITIALIZE: Routine =
    routine!(ExInitializeResourceLite, DISPATCH_LEVEL, "ExInitializeResourceLite (wdm.h page)");
static SHARED: Routine = routine!(ExAcquireResourceSharedLite, APC_LEVEL, "ExAcquireResourceSharedLite (wdm.h page)");
static EXCLUSIVE: Routine =
    routine!(ExAcquireResourceExclusiveLite, APC_LEVEL, "ExAcquireResourceExclusiveLite (wdm.h page)");
static RELEASE: Routine = routine!(ExReleaseResourceLite, DISPATCH_LEVEL, "ExReleaseResourceLite (wdm.h page)");
static DELETE: Routine = routine!(ExDeleteResourceLite, DISPATCH_LEVEL, "ExDeleteResourceLite (wdm.h page)");

/// What stands in every resource that was initialised.
const MARK: u64 = u64::from_le_bytes(*b"vicarres");

/// What stands in a resource; it is read and written while the gate is closed.
#[derive(Clone, Copy)]
struct State {
    owner: u64,
    /// How often the owner has it.
    depth: u64,
    /// How often readers have it.
    readers: u64,
    /// How many wait to write, before whom no new reader comes.
    writers_waiting: u64,
}

impl State {
    fn read(at: *const ERESOURCE) -> Option<Self> {
        let [mark, owner, depth, readers, writers_waiting, ..] = ptr::read(at)?.Opaque;
        (mark == MARK).then_some(Self { owner, depth, readers, writers_waiting })
    }

    fn write(self, at: *mut ERESOURCE) {
        let Self { owner, depth, readers, writers_waiting } = self;
        let Opaque = [MARK, owner, depth, readers, writers_waiting, 0, 0, 0, 0, 0, 0, 0, 0];
        ptr::write(at, ERESOURCE { Opaque });
    }
}

fn me() -> u64 {
    u64::try_from(held::me()).unwrap_or(u64::MAX)
}

#[cold]
fn none(call: &Call, at: *const ERESOURCE) {
    match at.is_null() {
        true => call.report(Rule::NullArgument, "Resource is NULL"),
        false => call.report(Rule::NotAnObject, format!("{at:p} is no resource that was initialised")),
    }
}

/// Makes a resource that nobody holds.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// `Resource` is null or points to room for a resource.
///
/// # Source
/// ExInitializeResourceLite (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExInitializeResourceLite(Resource: *mut ERESOURCE) -> NTSTATUS {
    enter_status(&INITIALIZE, |call| {
        if Resource.is_null() {
            none(call, Resource);
            return Err(NtStatus::INVALID_PARAMETER);
        }
        State { owner: 0, depth: 0, readers: 0, writers_waiting: 0 }.write(Resource);
        Ok(())
    })
}

/// Waits for a resource, or does not, and takes it.
fn acquire(call: &Call, at: *mut ERESOURCE, wait: BOOLEAN, kind: Kind) -> BOOLEAN {
    if !are_apcs_disabled() {
        call.report(Rule::LockMisused, "a resource is acquired outside of a critical region");
    }
    let is_reader = held::holds(at.addr(), Kind::Shared);
    let mut gate = gate::close();
    let mut waits = false;
    loop {
        let Some(mut state) = State::read(at) else {
            drop(gate);
            none(call, at);
            return 0;
        };
        let is_own = state.owner == me();
        let is_free = state.owner == 0
            && match kind {
                Kind::Exclusive => state.readers == 0,
                Kind::Shared | Kind::Spin | Kind::Mutex => state.writers_waiting == 0 || is_reader,
            };
        if waits && (is_own || is_free) {
            state.writers_waiting = state.writers_waiting.saturating_sub(u64::from(kind == Kind::Exclusive));
        }
        if is_own || is_free {
            // Whoever has it alone has it alone again, whatever is asked for.
            let kind = if is_own { Kind::Exclusive } else { kind };
            if kind == Kind::Exclusive {
                state.owner = me();
                state.depth = state.depth.saturating_add(1);
            } else {
                state.readers = state.readers.saturating_add(1);
            }
            state.write(at);
            drop(gate);
            held::took(call, at.addr(), kind, 0);
            return 1;
        }
        if wait == 0 {
            return 0;
        }
        if kind == Kind::Exclusive && is_reader {
            drop(gate);
            held::stuck(call, at.addr(), kind);
            return 0;
        }
        if !waits && kind == Kind::Exclusive {
            state.writers_waiting = state.writers_waiting.saturating_add(1);
            state.write(at);
        }
        waits = true;
        gate = gate::wait(gate, None).0;
    }
}

/// Takes a resource together with other readers.
///
/// # Returns
/// Whether it was taken; false only when it is not free and `Wait` is false.
///
/// # Safety
/// `Resource` is null or points to a resource that was initialised.
///
/// # Source
/// ExAcquireResourceSharedLite (wdm.h page): in a critical region or at `APC_LEVEL`.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExAcquireResourceSharedLite(Resource: *mut ERESOURCE, Wait: BOOLEAN) -> BOOLEAN {
    enter(&SHARED, |call| acquire(call, Resource, Wait, Kind::Shared))
}

/// Takes a resource alone.
///
/// # Returns
/// As for [`ExAcquireResourceSharedLite`].
///
/// # Safety
/// As for [`ExAcquireResourceSharedLite`].
///
/// # Source
/// ExAcquireResourceExclusiveLite (wdm.h page). A reader that waits to be alone waits for itself.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExAcquireResourceExclusiveLite(Resource: *mut ERESOURCE, Wait: BOOLEAN) -> BOOLEAN {
    enter(&EXCLUSIVE, |call| acquire(call, Resource, Wait, Kind::Exclusive))
}

/// Gives a resource back once.
///
/// # Safety
/// As for [`ExAcquireResourceSharedLite`].
///
/// # Source
/// ExReleaseResourceLite (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExReleaseResourceLite(Resource: *mut ERESOURCE) {
    enter(&RELEASE, |call| {
        let gate = gate::close();
        let Some(mut state) = State::read(Resource) else {
            drop(gate);
            return none(call, Resource);
        };
        drop(gate);
        let Some(holding) = held::gave(call, Resource.addr(), &[Kind::Shared, Kind::Exclusive]) else { return };
        let gate = gate::close();
        state = State::read(Resource).unwrap_or(state);
        if holding.kind == Kind::Exclusive {
            state.depth = state.depth.saturating_sub(1);
            state.owner = if state.depth == 0 { 0 } else { state.owner };
        } else {
            state.readers = state.readers.saturating_sub(1);
        }
        state.write(Resource);
        drop(gate);
        gate::ring();
    });
}

/// Ends a resource that nobody holds.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for what is none.
///
/// # Safety
/// As for [`ExAcquireResourceSharedLite`].
///
/// # Source
/// ExDeleteResourceLite (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExDeleteResourceLite(Resource: *mut ERESOURCE) -> NTSTATUS {
    enter_status(&DELETE, |call| {
        let gate = gate::close();
        let Some(state) = State::read(Resource) else {
            drop(gate);
            none(call, Resource);
            return Err(NtStatus::INVALID_PARAMETER);
        };
        ptr::write(Resource.cast::<u64>(), 0);
        drop(gate);
        if state.owner != 0 || state.readers != 0 {
            call.report(Rule::LockMisused, "a resource is deleted that somebody holds");
        }
        Ok(())
    })
}
