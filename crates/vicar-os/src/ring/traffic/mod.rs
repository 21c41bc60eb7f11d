//! What is under way in a ring, and who waits for it.
//!
//! A caller that can wait submits on its own thread: what the kernel can do at once is then done without a hand-over.
//! Everything else goes through one thread, the driver, which is nobody and has a umask of its own. Of all threads that
//! wait, one *leads*: it waits in the kernel, takes what has ended and tells the others; the others wait for it.

mod driver;

use super::identities::{Identities, NoLease, Patience};
use crate::client::{ClientContext, IdentityKey};
use crate::enter::{EnterError, Purpose};
use crate::pool::{AdoptError, RunError, discard};
use crate::sys::ring::{Channel, Queue};
use crate::sys::ring_call::{Calls, Output, Outputs};
use core::num::NonZeroU16;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Takes what became of a batch; called on whichever thread took the last completion, without a lock.
pub(super) type Deliver = Box<dyn FnOnce(Result<Outputs, RunError>) + Send>;

/// A batch that waits for the driver.
pub(super) struct Order {
    pub(super) client: ClientContext,
    pub(super) key: IdentityKey,
    pub(super) calls: Calls,
    pub(super) deliver: Deliver,
}

impl Order {
    fn user(&self) -> u32 {
        self.client.identity().uid().raw()
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) queued: usize,
    pub(super) queued_per_client: usize,
    pub(super) always_async: bool,
    /// How long the end waits for what is under way, before it is cancelled.
    pub(super) patience: Duration,
}

/// Registers one client's identity.
pub(super) type Register<'a> = &'a dyn Fn(&ClientContext) -> Result<NonZeroU16, EnterError>;

pub(super) struct Traffic {
    state: Mutex<State>,
    /// Callers that wait while another leads.
    turn: Condvar,
    /// The driver, while it does not lead.
    work: Condvar,
    channel: Channel,
    /// Calls whoever leads back from the kernel: there is something to do, or its answer was taken by another.
    recall: OwnedFd,
    identities: Identities<IdentityKey>,
    /// The driver waits for a lease to end.
    starved: AtomicBool,
    bounds: Bounds,
    /// Most calls under way.
    limit: usize,
}

struct State {
    queue: Queue,
    /// The batches in the kernel's hands, by number; `None` is free.
    groups: Vec<Option<Group>>,
    free: Vec<usize>,
    is_led: bool,
    /// How many callers wait at `turn`.
    followers: usize,
    driver: Driver,
    orders: VecDeque<Order>,
    queued: HashMap<u32, usize>,
    closed: bool,
}

/// What the driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    /// Something; it looks at everything before it waits.
    Works,
    /// It waits for an order.
    Idle,
    /// It waits for an end while somebody else leads.
    Follows,
    /// It leads.
    Leads,
}

/// One batch in the kernel's hands.
struct Group {
    left: usize,
    outputs: SmallVec<[Option<Result<Output, Errno>>; 1]>,
    /// What is to be given back when it ends, and to whom its outputs go; `None`: a caller takes both.
    to: Option<(IdentityKey, Deliver)>,
}

impl Group {
    fn take(self) -> Outputs {
        self.outputs.into_iter().map(|output| output.unwrap_or(Err(Errno::IO))).collect()
    }
}

type Locked<'a> = MutexGuard<'a, State>;

impl Traffic {
    pub(super) fn new(queue: Queue, identities: usize, bounds: Bounds) -> Result<Self, Errno> {
        let (channel, limit) = (queue.channel()?, queue.limit());
        let recall = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let state = State {
            queue,
            groups: Vec::new(),
            free: Vec::new(),
            is_led: false,
            followers: 0,
            driver: Driver::Works,
            orders: VecDeque::new(),
            queued: HashMap::new(),
            closed: false,
        };
        Ok(Self {
            state: Mutex::new(state),
            turn: Condvar::new(),
            work: Condvar::new(),
            channel,
            recall,
            identities: Identities::new(identities),
            starved: AtomicBool::new(false),
            bounds,
            limit,
        })
    }

    /// Most calls of one batch.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether the driver waits for a lease to end.
    #[cfg(test)]
    pub(super) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::SeqCst)
    }

    /// How many requests the kernel has.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.lock().queue.under_way()
    }

    pub(super) fn identity_count(&self) -> usize {
        self.identities.count()
    }

    pub(super) fn forget(&self, id: NonZeroU16) {
        // A number that the ring does not know is forgotten already; there is no other way for this to fail.
        let _ = self.channel.unregister_personality(id);
    }

    fn lock(&self) -> Locked<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow<'a>(&self, mut state: Locked<'a>) -> Locked<'a> {
        state.followers = state.followers.saturating_add(1);
        let mut state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.followers = state.followers.saturating_sub(1);
        state
    }

    /// Lets those who wait look again: something has ended, or nobody leads any more. Costs nothing when nobody waits.
    fn tell(&self, state: &State) {
        if state.followers > 0 {
            self.turn.notify_all();
        }
        if state.driver == Driver::Follows {
            self.work.notify_all();
        }
    }

    /// Leases `client`'s personality; waits for a free place only when `patience` says so.
    fn lease(
        &self,
        client: &ClientContext,
        key: &IdentityKey,
        patience: Patience,
        register: Register<'_>,
    ) -> Result<NonZeroU16, NoLease<EnterError>> {
        let register = || {
            // Another state of the server's token: what was kept under the old one is of no use any more.
            let stale = |kept: &IdentityKey| kept.server_state() != key.server_state();
            self.identities.sweep(stale, |id| self.forget(id));
            let id = register(client)?;
            // What was kept is what the token said then; for a token that has changed meanwhile it is kept for nobody.
            if client.key(key.server_state(), Purpose::Act) == *key {
                return Ok(id);
            }
            self.forget(id);
            let changed = AdoptError { operation: "the token changed meanwhile", errno: libc::EAGAIN };
            Err(EnterError::Keep(changed))
        };
        self.identities.lease(key, patience, || client.is_revoked(), register, |id| self.forget(id))
    }

    /// Gives a lease back, and lets the driver go on if it waits for one.
    fn release(&self, key: &IdentityKey) {
        self.identities.release(key);
        // The driver sets it before it looks at the leases once more, so an end that it did not see sees it set.
        if self.starved.load(Ordering::SeqCst) && self.starved.swap(false, Ordering::SeqCst) {
            let state = self.lock();
            self.wake_driver(&state);
        }
    }

    /// Ends an identity: waits for what is under way and unregisters it.
    pub(super) fn revoke(&self, client: &ClientContext) {
        client.revoke();
        let generation = client.generation();
        self.identities.revoke(|key| key.generation() == generation, |id| self.forget(id));
    }

    /// Submits a batch on the calling thread and waits for all of it.
    pub(super) fn run_here(
        &self,
        client: &ClientContext,
        key: &IdentityKey,
        calls: Calls,
        register: Register<'_>,
    ) -> Result<Outputs, RunError> {
        let id = self.lease(client, key, Patience::Wait, register).map_err(run_error)?;
        let outputs = self.run_unleased(id, calls);
        self.release(key);
        Ok(outputs)
    }

    /// As [`Self::run_here`], with a personality that the caller answers for.
    pub(super) fn run_unleased(&self, id: NonZeroU16, calls: Calls) -> Outputs {
        let mut state = self.lock();
        // What others pushed and the kernel has not taken is not submitted from here: its umask is another.
        while state.queue.has_unsubmitted() || state.queue.under_way().saturating_add(calls.len()) > self.limit {
            state = self.advance(state, None);
        }
        let group = state.begin(calls.len(), None);
        if let Err(calls) = state.queue.push(id, group, calls, self.bounds.always_async) {
            let _none_is_under_way = state.take(group);
            return calls.iter().map(|_| Err(Errno::AGAIN)).collect();
        }
        loop {
            let submitted = state.queue.submit();
            state = self.settle(state, Some(group));
            if state.group(group).is_none_or(|group| group.left == 0) {
                break;
            }
            match submitted {
                Ok(()) => state = self.advance(state, Some(group)),
                // The kernel is short of memory: a moment later it may not be.
                Err(_short) => {
                    drop(state);
                    std::thread::yield_now();
                    state = self.lock();
                }
            }
        }
        let done = state.take(group);
        // Whoever follows may lead now.
        self.tell(&state);
        drop(state);
        done.map(Group::take).unwrap_or_default()
    }

    /// Waits for an end: in the kernel if nobody does, else for who does. Something must be under way.
    fn advance<'a>(&'a self, state: Locked<'a>, own: Option<u64>) -> Locked<'a> {
        let state = if state.is_led { self.follow(state) } else { self.lead(state, None) };
        self.settle(state, own)
    }

    /// Waits in the kernel until something has ended, for [`Self::recall`], or for a time.
    fn lead<'a>(&'a self, mut state: Locked<'a>, at_most: Option<Duration>) -> Locked<'a> {
        state.is_led = true;
        drop(state);
        let mut fds = [PollFd::new(&self.channel, PollFlags::IN), PollFd::new(&self.recall, PollFlags::IN)];
        let at_most = at_most.and_then(|left| Timespec::try_from(left).ok());
        // Interrupted or not: the caller looks again.
        let _ = poll(&mut fds, at_most.as_ref());
        if fds[1].revents().contains(PollFlags::IN) {
            let mut count = [0_u8; 8];
            let _ = rustix::io::read(&self.recall, &mut count);
        }
        let mut state = self.lock();
        state.is_led = false;
        state
    }

    fn recall(&self) {
        // A counter that is full has been written to, which is all that matters.
        let _ = rustix::io::write(&self.recall, &1_u64.to_ne_bytes());
    }

    /// Takes what has ended and gives it to whom it belongs; `own` is the batch that the caller waits for.
    fn settle<'a>(&'a self, mut state: Locked<'a>, own: Option<u64>) -> Locked<'a> {
        let mut delivered = Vec::new();
        let (mut any, mut is_others) = (false, false);
        while let Some(finished) = state.queue.finish() {
            is_others |= own != Some(finished.group);
            let Some(group) = state.group(finished.group) else { continue };
            if let Some(place) = group.outputs.get_mut(finished.position) {
                *place = Some(finished.output);
            }
            group.left = group.left.saturating_sub(1);
            if group.left > 0 {
                continue;
            }
            any = true;
            if let Some((key, deliver)) = group.to.take()
                && let Some(group) = state.take(finished.group)
            {
                delivered.push((key, deliver, group));
            }
        }
        if any {
            self.tell(&state);
        }
        if is_others && state.is_led {
            // Who leads may be about to wait for what was taken here.
            self.recall();
        }
        if delivered.is_empty() {
            return state;
        }
        drop(state);
        for (key, deliver, group) in delivered {
            self.release(&key);
            hand(deliver, Ok(group.take()));
        }
        self.lock()
    }

    /// Gives a batch to the driver.
    pub(super) fn order(&self, order: Order) {
        let mut state = self.lock();
        let user = order.user();
        let waiting = state.queued.get(&user).copied().unwrap_or(0);
        let refused = if state.closed {
            Some(RunError::Closed)
        } else if state.orders.len() >= self.bounds.queued || waiting >= self.bounds.queued_per_client {
            Some(RunError::Busy)
        } else {
            None
        };
        if let Some(error) = refused {
            drop(state);
            return hand(order.deliver, Err(error));
        }
        state.queued.insert(user, waiting.saturating_add(1));
        state.orders.push_back(order);
        self.wake_driver(&state);
    }

    fn wake_driver(&self, state: &State) {
        match state.driver {
            Driver::Works => {}
            Driver::Idle | Driver::Follows => self.work.notify_all(),
            Driver::Leads => self.recall(),
        }
    }

    /// Ends the driver after what is under way; what waits is answered `Closed`.
    pub(super) fn close(&self) {
        let orders = {
            let mut state = self.lock();
            state.closed = true;
            state.queued.clear();
            let orders = core::mem::take(&mut state.orders);
            self.wake_driver(&state);
            orders
        };
        for order in orders {
            hand(order.deliver, Err(RunError::Closed));
        }
    }
}

impl State {
    fn begin(&mut self, len: usize, to: Option<(IdentityKey, Deliver)>) -> u64 {
        let group = Some(Group { left: len, outputs: (0..len).map(|_| None).collect(), to });
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.groups.push(None);
                self.groups.len().saturating_sub(1)
            }
        };
        if let Some(place) = self.groups.get_mut(number) {
            *place = group;
        }
        u64::try_from(number).unwrap_or(u64::MAX)
    }

    fn group(&mut self, number: u64) -> Option<&mut Group> {
        self.groups.get_mut(usize::try_from(number).ok()?)?.as_mut()
    }

    fn take(&mut self, number: u64) -> Option<Group> {
        let number = usize::try_from(number).ok()?;
        let group = self.groups.get_mut(number)?.take()?;
        self.free.push(number);
        Some(group)
    }

    fn has_room(&self, limit: usize) -> bool {
        self.queue.under_way() < limit
    }

    fn has_room_for(&mut self, len: usize, limit: usize) -> bool {
        self.queue.under_way().saturating_add(len) <= limit
    }

    /// One order of this user waits no more.
    fn leave(&mut self, user: u32) {
        if let Some(count) = self.queued.get_mut(&user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.queued.remove(&user);
            }
        }
    }
}

/// Delivers, and lets no panic of whoever is woken end this thread, on which others wait.
fn hand(deliver: Deliver, outputs: Result<Outputs, RunError>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| deliver(outputs))) {
        discard(panic);
    }
}

fn run_error(error: NoLease<EnterError>) -> RunError {
    match error {
        NoLease::Revoked => RunError::Enter(EnterError::Revoked),
        NoLease::Full => RunError::Busy,
        NoLease::Register(error) => RunError::Enter(error),
    }
}
