//! Which client is which personality of a ring: a bounded table, the longest unused leaves first.
//!
//! A number that the kernel has forgotten may be given to another client later. So no number leaves the table while a
//! submission that names it is under way: it is *leased*, and only what nobody leases is unregistered.

use crate::sync::{Condvar, Mutex, MutexGuard};
use core::hash::{BuildHasherDefault, Hash, Hasher};
use core::num::NonZeroU16;
use std::collections::HashMap;
use std::sync::PoisonError;

/// A table for keys `K`.
pub(super) struct Identities<K> {
    state: Mutex<State<K>>,
    changed: Condvar,
    limit: usize,
}

struct State<K> {
    entries: HashMap<K, Entry, BuildHasherDefault<ByNumber>>,
    /// Counts uses, so that the least recent can be found.
    uses: u64,
    /// How many wait for a change: telling nobody would cost a system call.
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    /// Somebody registers it.
    Registering,
    Ready {
        id: NonZeroU16,
        /// How many hold it.
        leases: usize,
        /// When it was last leased.
        used: u64,
    },
}

/// Hashes keys that are made of numbers of our own: nobody outside chooses them, so nobody can make them collide.
#[derive(Clone, Copy, Debug, Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        // What a number of 128 bits would lose here only makes entries collide.
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_usize(number.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// Whether to wait until an entry can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until another lease ends.
    Wait,
    /// Not at all: the caller is needed for leases to end.
    Never,
}

/// Why there is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLease<E> {
    /// The client was revoked.
    Revoked,
    /// Every entry is leased.
    Full,
    /// The identity could not be registered.
    Register(E),
}

impl<K: Eq + Hash + Clone> Identities<K> {
    /// An empty table for at most `limit` identities, at least 1.
    pub(super) fn new(limit: usize) -> Self {
        let state = State { entries: HashMap::default(), uses: 0, waiting: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit: limit.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State<K>>) -> MutexGuard<'a, State<K>> {
        state.waiting = state.waiting.saturating_add(1);
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting = state.waiting.saturating_sub(1);
        state
    }

    fn tell(&self, state: MutexGuard<'_, State<K>>) {
        if state.waiting > 0 {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Leases the personality of `key`, registering it if it is not there; to be given back by [`Self::release`].
    ///
    /// # Inputs
    /// - `is_revoked`: asked under the table's lock, before and after registering.
    /// - `register`: takes its time and is called without the lock, by one thread for one key.
    /// - `unregister`: called under the lock, for what nobody leases.
    ///
    /// # Errors
    /// - [`NoLease`]; nothing is leased.
    pub(super) fn lease<E>(
        &self,
        key: &K,
        patience: Patience,
        is_revoked: impl Fn() -> bool,
        register: impl FnOnce() -> Result<NonZeroU16, E>,
        unregister: impl Fn(NonZeroU16),
    ) -> Result<NonZeroU16, NoLease<E>> {
        let mut state = self.lock();
        loop {
            if is_revoked() {
                return Err(NoLease::Revoked);
            }
            match state.lease(key) {
                Some(Entry::Ready { id, .. }) => return Ok(id),
                Some(Entry::Registering) => state = self.wait(state),
                None if state.entries.len() < self.limit => break,
                None => match state.take_longest_unused() {
                    Some(id) => unregister(id),
                    None if patience == Patience::Never => return Err(NoLease::Full),
                    None => state = self.wait(state),
                },
            }
        }
        state.entries.insert(key.clone(), Entry::Registering);
        drop(state);
        let registered = register();
        let mut state = self.lock();
        state.entries.remove(key);
        let leased = match registered {
            Ok(id) if is_revoked() => {
                unregister(id);
                Err(NoLease::Revoked)
            }
            Ok(id) => {
                let used = state.next_use();
                state.entries.insert(key.clone(), Entry::Ready { id, leases: 1, used });
                Ok(id)
            }
            Err(error) => Err(NoLease::Register(error)),
        };
        self.tell(state);
        leased
    }

    /// Leases the personality of `key` if it is there; never waits for anything.
    pub(super) fn lease_kept(&self, key: &K, is_revoked: impl Fn() -> bool) -> Option<NonZeroU16> {
        let mut state = self.lock();
        if is_revoked() {
            return None;
        }
        match state.lease(key) {
            Some(Entry::Ready { id, .. }) => Some(id),
            Some(Entry::Registering) | None => None,
        }
    }

    /// Gives one lease back; all submissions under it have ended.
    pub(super) fn release(&self, key: &K) {
        let mut state = self.lock();
        if let Some(Entry::Ready { leases, .. }) = state.entries.get_mut(key) {
            *leases = leases.saturating_sub(1);
            if *leases == 0 {
                self.tell(state);
            }
        }
    }

    /// Waits until nothing is under way for the keys that `which` names, and unregisters them. Nobody may lease them any
    /// more when this is called.
    pub(super) fn revoke(&self, which: impl Fn(&K) -> bool, unregister: impl Fn(NonZeroU16)) {
        let mut state = self.lock();
        loop {
            state.take_unused(&which, &unregister);
            if !state.entries.keys().any(&which) {
                return;
            }
            state = self.wait(state);
        }
    }

    /// Unregisters those of the keys that `which` names for which nothing is under way.
    pub(super) fn sweep(&self, which: impl Fn(&K) -> bool, unregister: impl Fn(NonZeroU16)) {
        let mut state = self.lock();
        state.take_unused(&which, &unregister);
        self.tell(state);
    }

    /// How many identities are registered or being registered.
    pub(super) fn count(&self) -> usize {
        self.lock().entries.len()
    }
}

impl<K: Eq + Hash + Clone> State<K> {
    fn next_use(&mut self) -> u64 {
        self.uses = self.uses.wrapping_add(1);
        self.uses
    }

    /// Leases the entry if it is ready.
    fn lease(&mut self, key: &K) -> Option<Entry> {
        let now = self.next_use();
        let entry = self.entries.get_mut(key)?;
        if let Entry::Ready { leases, used, .. } = entry {
            *leases = leases.saturating_add(1);
            *used = now;
        }
        Some(*entry)
    }

    fn take_longest_unused(&mut self) -> Option<NonZeroU16> {
        let unused = self.entries.iter().filter_map(|(key, entry)| match entry {
            Entry::Ready { id, leases: 0, used } => Some((*used, *id, key)),
            Entry::Ready { .. } | Entry::Registering => None,
        });
        let (_, id, key) = unused.min_by_key(|(used, ..)| *used)?;
        let key = key.clone();
        self.entries.remove(&key);
        Some(id)
    }

    fn take_unused(&mut self, which: &impl Fn(&K) -> bool, unregister: &impl Fn(NonZeroU16)) {
        self.entries.retain(|key, entry| match entry {
            Entry::Ready { id, leases: 0, .. } if which(key) => {
                unregister(*id);
                false
            }
            Entry::Ready { .. } | Entry::Registering => true,
        });
    }
}
