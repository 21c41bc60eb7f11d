//! Events, and waiting for them and for the ends of threads.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vicar_kernel::ThreadRef;
use vicar_nt::NtStatus;

use super::{current_irql, gate};
use crate::convert;
use crate::entry::{Call, Routine, enter, planned, routine};
use crate::layout::{
    BOOLEAN, DISPATCH_LEVEL, EVENT_TYPE, KEVENT, KPRIORITY, KPROCESSOR_MODE, KWAIT_REASON, LONG, NTSTATUS, PVOID,
};
use crate::object;
use crate::ptr::{self, Held};
use crate::verifier::Rule;

static INITIALIZE: Routine = routine!(KeInitializeEvent, HIGH_LEVEL, "KeInitializeEvent (wdm.h page)");
static SET: Routine = routine!(KeSetEvent, DISPATCH_LEVEL, "KeSetEvent (wdm.h page)");
static CLEAR: Routine = routine!(KeClearEvent, DISPATCH_LEVEL, "KeClearEvent (wdm.h page)");
static RESET: Routine = routine!(KeResetEvent, DISPATCH_LEVEL, "KeResetEvent (wdm.h page)");
static READ: Routine = routine!(KeReadStateEvent, DISPATCH_LEVEL, "KeReadStateEvent (wdm.h page)");
static WAIT: Routine = routine!(KeWaitForSingleObject, DISPATCH_LEVEL, "KeWaitForSingleObject (wdm.h page)");

/// What stands in every event that was initialised.
const MARK: u64 = u64::from_le_bytes(*b"vicarevt");
/// The type of an event that lets one waiter through.
const SYNCHRONIZATION: u32 = 1;
/// `STATUS_TIMEOUT`, which is a success.
const TIMEOUT: NTSTATUS = 0x102;

/// An event that was initialised; its contents are read and written while the gate is closed.
#[derive(Clone, Copy)]
struct Made(*mut KEVENT);

impl Made {
    /// Says whether there is an event at an address.
    fn is_at(gate: &gate::Gate, at: *const KEVENT) -> bool {
        gate.is_event(at.addr()) && ptr::read_at(at.cast::<u64>(), 1) == Some(MARK)
    }

    fn address(self) -> usize {
        self.0.addr()
    }

    fn kind(self) -> u32 {
        ptr::read(self.0.cast()).unwrap_or(0)
    }

    fn state(self) -> u32 {
        ptr::read_at(self.0.cast::<u32>(), 1).unwrap_or(0)
    }

    fn set_state(self, state: u32) {
        ptr::write_at(self.0.cast::<u32>(), 1, state);
    }

    /// Passes, if it is set.
    fn pass(self) -> bool {
        let is_set = self.state() != 0;
        if is_set && self.kind() == SYNCHRONIZATION {
            self.set_state(0);
        }
        is_set
    }
}

/// Looks at an event and changes it; 0 for what is none.
fn with(call: &Call, at: *const KEVENT, action: impl FnOnce(&mut gate::Gate, Made) -> u32) -> LONG {
    if at.is_null() {
        call.report(Rule::NullArgument, "Event is NULL");
        return 0;
    }
    let mut gate = gate::close();
    if !Made::is_at(&gate, at) {
        drop(gate);
        call.report(Rule::NotAnObject, format!("{at:p} is no event that was initialised"));
        return 0;
    }
    action(&mut gate, Made(at.cast_mut())).cast_signed()
}

/// Makes an event in the caller's memory.
///
/// # Safety
/// `Event` is null or points to room for an event, which stays where it is.
///
/// # Source
/// KeInitializeEvent (wdm.h page). A type other than 0 and 1 is that of a notification event.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeInitializeEvent(Event: *mut KEVENT, Type: EVENT_TYPE, State: BOOLEAN) {
    enter(&INITIALIZE, |call| {
        let kind = u64::from(u32::from(u32::try_from(Type) == Ok(SYNCHRONIZATION)));
        let state = u64::from(State != 0) << 32;
        let mut gate = gate::close();
        if ptr::write(Event, KEVENT { Opaque: [kind | state, MARK, 0] }) {
            gate.make_event(Event.addr());
        } else {
            drop(gate);
            call.report(Rule::NullArgument, "Event is NULL");
        }
    });
}

/// Sets an event and lets through who waits: everybody, or the first.
///
/// # Returns
/// Whether it was set before. Whether a wait follows at once, and by how much the waiter is raised, makes no difference.
///
/// # Safety
/// `Event` is null or points to an event that was initialised.
///
/// # Source
/// KeSetEvent (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeSetEvent(Event: *mut KEVENT, Increment: KPRIORITY, Wait: BOOLEAN) -> LONG {
    let _ = (Increment, Wait);
    enter(&SET, |call| {
        with(call, Event, |gate, event| {
            let before = event.state();
            if before == 0 && event.kind() == SYNCHRONIZATION {
                event.set_state(u32::from(!gate.let_one_through(event.address())));
            } else {
                gate.let_all_through(event.address());
                event.set_state(1);
            }
            gate::ring();
            before
        })
    })
}

/// Resets an event.
///
/// # Safety
/// As for [`KeSetEvent`].
///
/// # Source
/// KeClearEvent (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeClearEvent(Event: *mut KEVENT) {
    enter(&CLEAR, |call| {
        with(call, Event, |_, event| {
            event.set_state(0);
            0
        })
    });
}

/// Resets an event, and returns whether it was set.
///
/// # Safety
/// As for [`KeSetEvent`].
///
/// # Source
/// KeResetEvent (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeResetEvent(Event: *mut KEVENT) -> LONG {
    enter(&RESET, |call| {
        with(call, Event, |_, event| {
            let before = event.state();
            event.set_state(0);
            before
        })
    })
}

/// Returns whether an event is set.
///
/// # Safety
/// As for [`KeSetEvent`].
///
/// # Source
/// KeReadStateEvent (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeReadStateEvent(Event: *const KEVENT) -> LONG {
    enter(&READ, |call| with(call, Event, |_, event| event.state()))
}

/// How long a wait may last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Not at all.
    None,
    Until(Instant),
    Endless,
}

/// Hundreds of nanoseconds from now if negative, else since 1601.
fn patience(timeout: *const i64) -> Patience {
    let Some(timeout) = ptr::read(timeout) else { return Patience::Endless };
    let tick = Duration::from_nanos(100);
    let span = |ticks: u64| {
        let rest = tick.saturating_mul(u32::try_from(ticks % 10).unwrap_or(0));
        Duration::from_micros(ticks / 10).saturating_add(rest)
    };
    let left = match timeout {
        0 => return Patience::None,
        ..0 => span(timeout.unsigned_abs()),
        1.. => {
            let epoch = Duration::from_secs(11_644_473_600);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(epoch);
            span(timeout.unsigned_abs()).saturating_sub(now)
        }
    };
    Instant::now().checked_add(left).map_or(Patience::Endless, Patience::Until)
}

/// Waits until an event is set or a thread has ended.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_TIMEOUT` when it took too long; `STATUS_INVALID_PARAMETER` for what is neither.
///
/// # Safety
/// `Object` is an event that was initialised or a thread that the caller references; `Timeout` is null or points to a
/// number.
///
/// # Source
/// KeWaitForSingleObject (wdm.h page): at `DISPATCH_LEVEL` only with a timeout of zero. Nothing is alerted here, so mode
/// and alertability make no difference.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn KeWaitForSingleObject(
    Object: PVOID,
    WaitReason: KWAIT_REASON,
    WaitMode: KPROCESSOR_MODE,
    Alertable: BOOLEAN,
    Timeout: *const i64,
) -> NTSTATUS {
    let _ = (WaitReason, WaitMode, Alertable);
    enter(&WAIT, |call| {
        let patience = patience(Timeout);
        let irql = current_irql();
        if irql >= DISPATCH_LEVEL && patience != Patience::None {
            call.report(Rule::WaitsAtDispatch, format!("a thread at IRQL {irql} must not wait"));
        }
        if let Some(status) = planned(call) {
            return status;
        }
        wait(call, Object, patience).unwrap_or_else(convert::status)
    })
}

fn wait(call: &Call, object: PVOID, patience: Patience) -> Result<NTSTATUS, NtStatus> {
    let event = Made(object.cast());
    let is_event = !object.is_null() && Made::is_at(&gate::close(), event.0);
    let thread: Option<Held<ThreadRef>> = match is_event {
        true => None,
        false => Some(object::look(call, object).ok_or(NtStatus::INVALID_PARAMETER)?),
    };
    let mut gate = gate::close();
    let is_ready = || match &thread {
        Some(thread) => thread.has_exited(),
        None => event.pass(),
    };
    if is_ready() {
        return Ok(0);
    }
    let until = match patience {
        Patience::None => return Ok(TIMEOUT),
        Patience::Until(until) => Some(until),
        Patience::Endless => None,
    };
    let ticket = gate.join(event.address());
    loop {
        let (again, in_time) = gate::wait(gate, until);
        gate = again;
        let has_ended = thread.as_ref().is_some_and(|thread| thread.has_exited());
        let let_through = gate.leave(ticket, has_ended || !in_time).unwrap_or(true);
        if has_ended || let_through {
            return Ok(0);
        }
        if !in_time {
            return Ok(TIMEOUT);
        }
    }
}
