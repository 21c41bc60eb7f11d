//! The adjustable half of a token: which snapshot is the current one, and who must be told its number.
//!
//! A [`Slot`] is shared by the token and by whoever wants to notice changes without a lock. Holding a slot keeps neither
//! the token nor its logon session alive. It decides nothing about what a state may become.

use std::sync::{Arc, PoisonError};

use vicar_nt::Luid;

use super::{Replacement, Snapshot};
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::system::System;
use crate::verifier::Lock;

/// The current state of one token.
#[derive(Debug)]
pub(crate) struct Slot {
    state_id: AtomicU64,
    modified_id: AtomicU64,
    current: RwLock<Arc<Snapshot>>,
}

impl Slot {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            state_id: AtomicU64::new(snapshot.id),
            modified_id: AtomicU64::new(snapshot.modified_id.to_u64()),
            current: RwLock::new(snapshot),
        }
    }

    pub(crate) fn state(&self, system: &System) -> Arc<Snapshot> {
        let _locking = system.locking(Lock::TokenState);
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn state_id(&self) -> u64 {
        self.state_id.load(Ordering::Acquire)
    }

    pub(super) fn modified_id(&self) -> Luid {
        Luid::from_u64(self.modified_id.load(Ordering::Acquire))
    }

    /// Replaces the snapshot by what `change` makes of it, if it makes anything: one critical section.
    pub(super) fn modify<R>(&self, system: &System, change: impl FnOnce(&Snapshot) -> (Option<Replacement>, R)) -> R {
        let locking = system.locking(Lock::TokenState);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let (replacement, answer) = change(&current);
        let Some(Replacement { origin, state }) = replacement else { return answer };
        let snapshot = Snapshot::new(system.next_number(), system.allocate_luid(), origin, state);
        let (id, modified_id) = (snapshot.id, snapshot.modified_id);
        let old = std::mem::replace(&mut *current, Arc::new(snapshot));
        // A reader that sees a new number and then asks for the state waits for this lock.
        self.modified_id.store(modified_id.to_u64(), Ordering::Release);
        self.state_id.store(id, Ordering::Release);
        drop(current);
        drop(locking);
        drop(old);
        answer
    }
}
