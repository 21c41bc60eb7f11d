//! The thread of a ring: submits what is not submitted on a caller's own thread, and leads when nobody else does.

use super::{Driver, Locked, NoLease, Patience, Register, Traffic, hand, run_error};
use crate::sys::ring::Queue;
use rustix::io::Errno;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How far the driver's end has come.
#[derive(Clone, Copy, Debug)]
enum End {
    NotYet,
    /// What is under way may end by itself until then.
    Waits(Instant),
    /// It was cancelled, and may end until then.
    Cancelled(Instant),
}

/// How long what was cancelled may take.
const CANCELLING: Duration = Duration::from_secs(1);

impl End {
    /// How long to wait now; `None` ends the driver.
    fn next(&mut self, is_idle: bool, patience: Duration, queue: &Queue) -> Option<Duration> {
        let now = Instant::now();
        loop {
            match *self {
                _ if is_idle => return None,
                Self::NotYet => *self = Self::Waits(now.checked_add(patience).unwrap_or(now)),
                Self::Waits(until) | Self::Cancelled(until) if now < until => {
                    return until.checked_duration_since(now);
                }
                Self::Waits(_) => {
                    // Where nothing can be cancelled it is only waited for.
                    let _ = queue.cancel();
                    *self = Self::Cancelled(now.checked_add(CANCELLING).unwrap_or(now));
                }
                Self::Cancelled(_) => return None,
            }
        }
    }
}

impl Traffic {
    /// What the driver does until [`Self::close`].
    pub(in crate::ring) fn drive(&self, register: Register<'_>) {
        let mut state = self.lock();
        let mut end = End::NotYet;
        loop {
            state = self.take_orders(state, register);
            let submitted = state.queue.submit();
            state = self.settle(state, None);
            if submitted.is_err() {
                drop(state);
                std::thread::yield_now();
                state = self.lock();
                continue;
            }
            let is_idle = state.queue.under_way() == 0;
            if state.closed {
                match end.next(is_idle, self.bounds.patience, &state.queue) {
                    Some(left) => state = self.lead_driver(state, Some(left)),
                    // What the kernel does not end is given up: dropping its promises answers them.
                    None => {
                        let left = core::mem::take(&mut state.groups);
                        drop(state);
                        return drop(left);
                    }
                }
                continue;
            }
            let can_go_on =
                !state.orders.is_empty() && !self.starved.load(Ordering::SeqCst) && state.has_room(self.limit);
            if can_go_on {
                continue;
            }
            state = match (is_idle, state.is_led) {
                (true, _) => self.rest(state, Driver::Idle),
                (false, true) => self.rest(state, Driver::Follows),
                (false, false) => self.lead_driver(state, None),
            };
        }
    }

    fn rest<'a>(&self, mut state: Locked<'a>, driver: Driver) -> Locked<'a> {
        state.driver = driver;
        let mut state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.driver = Driver::Works;
        state
    }

    fn lead_driver<'a>(&'a self, mut state: Locked<'a>, at_most: Option<Duration>) -> Locked<'a> {
        state.driver = Driver::Leads;
        let mut state = self.lead(state, at_most);
        state.driver = Driver::Works;
        self.tell(&state);
        state
    }

    /// Pushes as many orders as there is room and identities for.
    fn take_orders<'a>(&'a self, mut state: Locked<'a>, register: Register<'_>) -> Locked<'a> {
        while state.has_room(self.limit) {
            let Some(order) = state.orders.pop_front() else { break };
            let kept = self.identities.lease_kept(&order.key, || order.client.is_revoked());
            if kept.is_none() && state.queue.submit().is_err() {
                // Registering submits too, and waits for what was pushed before: that must be with the kernel.
                state.orders.push_front(order);
                break;
            }
            if kept.is_none() && !state.is_led {
                // Registering may wait for whoever leads, and this thread will not for a while.
                self.tell(&state);
            }
            drop(state);
            let lease = || self.lease(&order.client, &order.key, Patience::Never, register);
            let mut leased = kept.map_or_else(lease, Ok);
            if leased == Err(NoLease::Full) {
                self.starved.store(true, Ordering::SeqCst);
                // A lease that ended before the flag stood would wake nobody.
                leased = lease();
            }
            state = self.lock();
            let id = match leased {
                Ok(id) => id,
                Err(NoLease::Full) if !state.closed => {
                    state.orders.push_front(order);
                    break;
                }
                Err(error) => {
                    state.leave(order.user());
                    drop(state);
                    hand(order.deliver, Err(run_error(error)));
                    state = self.lock();
                    continue;
                }
            };
            self.starved.store(false, Ordering::SeqCst);
            state.leave(order.user());
            while !state.has_room_for(order.calls.len(), self.limit) {
                // A failure is tried again with the next one's.
                let _ = state.queue.submit();
                state = self.settle(state, None);
                if !state.has_room_for(order.calls.len(), self.limit) {
                    state = self.advance(state, None);
                }
            }
            let group = state.begin(order.calls.len(), Some((order.key, order.deliver)));
            if let Err(calls) = state.queue.push(id, group, order.calls, self.bounds.always_async)
                && let Some((key, deliver)) = state.take(group).and_then(|group| group.to)
            {
                drop(state);
                self.release(&key);
                hand(deliver, Ok(calls.iter().map(|_| Err(Errno::AGAIN)).collect()));
                state = self.lock();
            }
        }
        state
    }
}
