//! Counted references to tokens.
//!
//! A [`TokenRef`] counts on a [`Lease`]. A token has one lease of its own; whoever hands the same token to many threads
//! makes one more for each of them, so that their counts are not on one cache line. The sum over the leases is the number
//! of references, and nobody counts it before it is asked for.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, PoisonError, Weak};

use super::Token;
use crate::sync::Mutex;
use crate::system::System;
use crate::tally::Purpose;

/// Where references to one token are counted; the count is that of the `Arc` around it.
///
/// Outside this crate it is only good for keeping a reference where no [`TokenRef`] can be kept:
/// [`TokenRef::into_lease`] and [`TokenRef::from_lease`].
#[repr(align(128))]
pub struct Lease {
    token: Arc<Token>,
    entry: usize,
    is_home: bool,
}

impl Lease {
    fn new(token: Arc<Token>, purpose: Purpose, is_home: bool) -> Arc<Self> {
        Arc::new_cyclic(|lease| {
            let entry = token.system.tally().enter(token.number, lease.clone(), purpose);
            Self { token, entry, is_home }
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.token.system.tally().strike(self.entry);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("token", &self.token.id()).field("is_home", &self.is_home).finish_non_exhaustive()
    }
}

/// The lease of a token that references go back to when they are kept as leases; there is at most one at a time.
#[derive(Debug, Default)]
pub(super) struct Home(Mutex<Weak<Lease>>);

impl Home {
    fn of(token: &Arc<Token>) -> Arc<Lease> {
        let mut home = token.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = home.upgrade() {
            return lease;
        }
        let lease = Lease::new(Arc::clone(token), Purpose::References, true);
        let old = std::mem::replace(&mut *home, Arc::downgrade(&lease));
        drop(home);
        drop(old);
        lease
    }
}

/// The source line that took a reference, entered where lines are kept.
struct Taken {
    at: &'static Location<'static>,
    kept_by: Option<System>,
}

impl Taken {
    #[inline]
    #[track_caller]
    fn enter(system: &System) -> Self {
        let at = Location::caller();
        let kept_by = system.tally().tracks_sites().then(|| system.clone());
        if let Some(system) = &kept_by {
            system.tally().take(at);
        }
        Self { at, kept_by }
    }
}

impl Drop for Taken {
    #[inline]
    fn drop(&mut self) {
        if let Some(system) = &self.kept_by {
            system.tally().give(self.at);
        }
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
    taken: Taken,
    lease: Arc<Lease>,
}

impl TokenRef {
    /// Makes the first reference to a new token.
    #[track_caller]
    pub(super) fn adopt(token: &Arc<Token>) -> Self {
        Self::from_lease(Home::of(token))
    }

    /// Makes a reference of a lease that was one before; the count is the same.
    #[inline]
    #[track_caller]
    pub fn from_lease(lease: Arc<Lease>) -> Self {
        Self { taken: Taken::enter(&lease.token.system), lease }
    }

    /// Keeps this reference as a lease, for those who can keep an `Arc` and no value of this type.
    ///
    /// As long as one lease that was returned for a token lives, every other one is the same `Arc`. It counts like a
    /// reference; the source line that took it is no longer known.
    #[inline]
    pub fn into_lease(self) -> Arc<Lease> {
        let Self { taken, lease } = self;
        drop(taken);
        if lease.is_home { lease } else { Home::of(&lease.token) }
    }

    /// Returns whether both references are to the same token object.
    #[inline]
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
        self.taken.at
    }

    /// Makes a lease for others to take references on.
    pub(crate) fn spare(&self) -> Spare {
        Spare(Lease::new(Arc::clone(&self.lease.token), Purpose::HandingOut, false))
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
        TokenRef::from_lease(Arc::clone(&self.0))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.token.system.tally().keep_no_longer(self.0.entry);
    }
}

impl Clone for TokenRef {
    #[inline]
    #[track_caller]
    fn clone(&self) -> Self {
        Self::from_lease(Arc::clone(&self.lease))
    }
}

impl Deref for TokenRef {
    type Target = Token;

    #[inline]
    fn deref(&self) -> &Token {
        &self.lease.token
    }
}

impl fmt::Debug for TokenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.lease.token, f)
    }
}
