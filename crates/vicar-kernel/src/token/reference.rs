//! Counted references to tokens.
//!
//! A [`TokenRef`] counts on a [`Lease`]. A token has one lease of its own; whoever hands the same token to many threads
//! makes one more for each of them, so that their counts are not on one cache line. The sum over the leases is the number
//! of references, and nobody counts it before it is asked for.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use super::Token;
use crate::tally::Purpose;

/// Where references to one token are counted; the count is that of the `Arc` around it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Lease {
    token: Arc<Token>,
    entry: usize,
    tracks_sites: bool,
}

impl Lease {
    fn new(token: Arc<Token>, purpose: Purpose) -> Arc<Self> {
        let tracks_sites = token.system.tally().tracks_sites();
        Arc::new_cyclic(|lease| {
            let entry = token.system.tally().enter(token.number, lease.clone(), purpose);
            Self { token, entry, tracks_sites }
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.token.system.tally().strike(self.entry);
    }
}

/// A counted reference to a [`Token`]. Cloning references, dropping dereferences.
///
/// The last reference deletes the token, and with it perhaps the logon session: termination routines run where it is
/// dropped. No reference is dropped while a lock of this crate is held.
///
/// # Cost
/// One atomic operation to reference, one to dereference.
///
/// # NT
/// `PsReferencePrimaryToken`, `PsReferenceImpersonationToken` and `ObReferenceObject` on one side,
/// `PsDereferencePrimaryToken`, `PsDereferenceImpersonationToken` and `ObDereferenceObject` on the other.
#[doc(alias = "PsDereferencePrimaryToken")]
#[doc(alias = "PsDereferenceImpersonationToken")]
pub struct TokenRef {
    lease: Arc<Lease>,
    taken_at: &'static Location<'static>,
}

impl TokenRef {
    /// Makes the first reference to a new token.
    #[track_caller]
    pub(super) fn adopt(token: Arc<Token>) -> Self {
        Self::take(Lease::new(token, Purpose::References))
    }

    #[track_caller]
    fn take(lease: Arc<Lease>) -> Self {
        let taken_at = Location::caller();
        if lease.tracks_sites {
            lease.token.system.tally().take(taken_at);
        }
        Self { lease, taken_at }
    }

    /// Returns whether both references are to the same token object.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.lease.token, &other.lease.token)
    }

    /// Returns the number of references to this token at the moment.
    ///
    /// # Cost
    /// A walk over the live tokens of the system: for tests and leak hunts.
    pub fn reference_count(&self) -> usize {
        self.system().tally().count_of(self.number)
    }

    /// Returns the source line that took this reference.
    pub fn taken_at(&self) -> &'static Location<'static> {
        self.taken_at
    }

    /// Makes a lease for others to take references on.
    pub(crate) fn spare(&self) -> Spare {
        Spare(Lease::new(Arc::clone(&self.lease.token), Purpose::HandingOut))
    }
}

/// A lease that is kept for handing out references; keeping it is no reference itself, and keeps the token all the same.
///
/// Only whoever holds a reference meanwhile may keep one.
#[derive(Debug)]
pub(crate) struct Spare(Arc<Lease>);

impl Spare {
    /// Takes a reference that is counted here.
    #[track_caller]
    pub(crate) fn reference(&self) -> TokenRef {
        TokenRef::take(Arc::clone(&self.0))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.token.system.tally().keep_no_longer(self.0.entry);
    }
}

impl Clone for TokenRef {
    #[track_caller]
    fn clone(&self) -> Self {
        Self::take(Arc::clone(&self.lease))
    }
}

impl Drop for TokenRef {
    fn drop(&mut self) {
        if self.lease.tracks_sites {
            self.lease.token.system.tally().give(self.taken_at);
        }
    }
}

impl Deref for TokenRef {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.lease.token
    }
}

impl fmt::Debug for TokenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.lease.token, f)
    }
}
