//! What threads wait at: one lock for the contents of all events and locks, and one bell that is rung when any of them
//! changes. It is simple and not fast; drivers' tests have few threads.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A thread that waits for an event.
#[derive(Debug)]
struct Waiter {
    ticket: u64,
    event: usize,
    is_let_through: bool,
}

/// Who waits, and what is known to be an event.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    waiters: Vec<Waiter>,
    next_ticket: u64,
    events: Option<HashSet<usize>>,
}

static GATE: Mutex<Gate> = Mutex::new(Gate { waiters: Vec::new(), next_ticket: 0, events: None });
static BELL: Condvar = Condvar::new();

/// Closes the gate: nothing in an event or a lock changes until the guard is dropped.
pub(crate) fn close() -> MutexGuard<'static, Gate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes everybody who waits, to look again.
pub(crate) fn ring() {
    BELL.notify_all();
}

/// Wakes everybody who waits for a thread that may have ended.
pub(crate) fn thread_ended() {
    drop(close());
    ring();
}

/// Waits until something changes, or until a moment.
///
/// # Returns
/// False when the moment has come.
pub(crate) fn wait(gate: MutexGuard<'static, Gate>, until: Option<Instant>) -> (MutexGuard<'static, Gate>, bool) {
    let Some(until) = until else { return (BELL.wait(gate).unwrap_or_else(PoisonError::into_inner), true) };
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (gate, false);
    }
    (BELL.wait_timeout(gate, left).unwrap_or_else(PoisonError::into_inner).0, true)
}

impl Gate {
    /// Remembers that there is an event at an address.
    pub(crate) fn make_event(&mut self, at: usize) {
        self.events.get_or_insert_default().insert(at);
    }

    /// Says whether an event was ever made at an address.
    pub(crate) fn is_event(&self, at: usize) -> bool {
        self.events.as_ref().is_some_and(|events| events.contains(&at))
    }

    /// Joins the end of the line of an event.
    pub(crate) fn join(&mut self, event: usize) -> u64 {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let ticket = self.next_ticket;
        self.waiters.push(Waiter { ticket, event, is_let_through: false });
        ticket
    }

    /// Lets the first of an event's line through; false when nobody waits.
    pub(crate) fn let_one_through(&mut self, event: usize) -> bool {
        let first = self.waiters.iter_mut().find(|waiter| waiter.event == event && !waiter.is_let_through);
        first.map(|waiter| waiter.is_let_through = true).is_some()
    }

    /// Lets everybody through who waits for an event.
    pub(crate) fn let_all_through(&mut self, event: usize) {
        while self.let_one_through(event) {}
    }

    /// Leaves the line, if this waiter was let through or gives up; returns whether it was let through.
    pub(crate) fn leave(&mut self, ticket: u64, gives_up: bool) -> Option<bool> {
        let index = self.waiters.iter().position(|waiter| waiter.ticket == ticket)?;
        let was_let_through = self.waiters.get(index)?.is_let_through;
        if was_let_through || gives_up {
            self.waiters.remove(index);
        }
        Some(was_let_through)
    }
}
