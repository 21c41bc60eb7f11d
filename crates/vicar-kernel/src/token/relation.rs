//! What ties a token to others: its other half, and what was charged to it later.

use std::sync::{Mutex, PoisonError};

use vicar_nt::NtStatus;

use super::{Token, TokenRef};
use crate::pool::Charge;

/// The parts of a token that only the system itself may change, and that no check and no gate looks at: what one of them
/// looks at belongs to the [`Snapshot`](super::Snapshot), because decisions are remembered by its number.
#[derive(Debug, Default)]
pub(super) struct Relations {
    linked: Mutex<Option<TokenRef>>,
    later_charge: Mutex<Option<Charge>>,
}

impl Token {
    /// Replaces what was charged for the part of the state that may grow, and gives the old charge back.
    pub(super) fn keep_later_charge(&self, charge: Option<Charge>) {
        let mut kept = self.relations.later_charge.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *kept, charge);
        drop(kept);
        drop(old);
    }

    /// Takes a reference on the other half of a split pair, if it was named.
    #[track_caller]
    pub(super) fn linked(&self) -> Option<TokenRef> {
        self.relations.linked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TokenRef {
    /// Names the other half, which lives as long as this token.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when that half, or one that it names, names this token: they would never end.
    pub(super) fn set_linked(&self, other: &Self) -> Result<(), NtStatus> {
        let mut next = Some(other.clone());
        while let Some(half) = next {
            if half.is_same(self) {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            next = half.linked();
        }
        let mut slot = self.relations.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let old = slot.replace(other.clone());
        drop(slot);
        drop(old);
        Ok(())
    }
}
