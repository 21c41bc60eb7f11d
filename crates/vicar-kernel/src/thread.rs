//! Threads, and the record of whom they wear.
//!
//! A [`Thread`] belongs to one process for life. Its record is one lock around token, level, reach and what happens on
//! opening: a reader gets all four of one moment. There is no stack of identities; a new one replaces the old, and
//! [`Thread::revert`] ends all impersonation. Nothing here decides: that is done before, in `impersonate`.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, OnceLock, PoisonError};

use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::audit::What;
use crate::block::ThreadBlock;
use crate::impersonate::Impersonation;
use crate::ledger::ObjectId;
use crate::pool::{Charge, Purpose};
use crate::process::{KnownPrimary, ProcessRef};
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::system::System;
use crate::tally::Seat;
use crate::token::TokenRef;
use crate::verifier::{Lock, Site};

/// The bytes of a separately allocated impersonation record.
const RECORD_SIZE: usize = 16;

/// A thread. Reached through a [`ThreadRef`].
#[doc(alias = "PETHREAD")]
#[repr(align(128))]
pub struct Thread {
    process: ProcessRef,
    id: u64,
    seat: Seat,
    summary: AtomicU64,
    record: RwLock<Record>,
    record_charge: Mutex<Option<Charge>>,
    block: OnceLock<Arc<ThreadBlock>>,
    irql: AtomicU8,
}

struct Record {
    worn: Option<Impersonation>,
    /// What the process runs under, as far as this thread has looked.
    primary: Option<KnownPrimary>,
}

/// The part of a record that is read without its lock: a number that is another one after every change, and two flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary(u64);

impl Summary {
    const ACTIVE: u64 = 1;
    const EXITED: u64 = 2;
    const ONE_CHANGE: u64 = 4;

    pub(crate) const fn is_active(self) -> bool {
        self.0 & Self::ACTIVE != 0
    }

    const fn has_exited(self) -> bool {
        self.0 & Self::EXITED != 0
    }

    const fn changed(self, is_active: bool) -> Self {
        let flag = if is_active { Self::ACTIVE } else { 0 };
        Self(self.0.wrapping_add(Self::ONE_CHANGE) & !Self::ACTIVE | flag)
    }

    const fn exited(self) -> Self {
        Self(self.changed(false).0 | Self::EXITED)
    }
}

/// A shared handle to a [`Thread`].
#[derive(Clone, Debug)]
pub struct ThreadRef(Arc<Thread>);

/// The token that a thread's requests are judged by.
#[derive(Debug)]
pub enum Effective {
    /// The process's own; it has no level.
    Primary(TokenRef),
    /// The one the thread wears.
    Impersonating(Impersonation),
}

impl Effective {
    /// Returns the token, whichever it is.
    pub fn token(&self) -> &TokenRef {
        match self {
            Self::Primary(token) => token,
            Self::Impersonating(worn) => &worn.token,
        }
    }

    /// Returns the level a worn token is worn at.
    pub fn level(&self) -> Option<ImpersonationLevel> {
        match self {
            Self::Primary(_) => None,
            Self::Impersonating(worn) => Some(worn.level),
        }
    }
}

impl Thread {
    /// Makes a thread of `process`. It wears nobody, whatever its creator wears.
    #[expect(clippy::new_ret_no_self, reason = "a thread exists only behind its shared handle")]
    pub fn new(process: &ProcessRef) -> ThreadRef {
        let id = process.system().next_number();
        ThreadRef(Arc::new(Self {
            process: process.clone(),
            id,
            seat: process.system().next_seat(),
            summary: AtomicU64::new(0),
            record: RwLock::new(Record { worn: None, primary: None }),
            record_charge: Mutex::new(None),
            block: OnceLock::new(),
            irql: AtomicU8::new(0),
        }))
    }

    /// Returns the world of this thread.
    pub fn system(&self) -> &System {
        self.process.system()
    }

    /// Returns the process of this thread.
    pub fn process(&self) -> &ProcessRef {
        &self.process
    }

    /// Returns a number that no other process or thread of this system has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the number that no other token, process or thread of this system has.
    pub fn object_id(&self) -> ObjectId {
        ObjectId::of(self.id)
    }

    /// Returns whether the thread wears a token, at any level.
    ///
    /// # Cost
    /// One atomic load; a hint that may be out of date when it is read.
    ///
    /// # NT
    /// `PsIsThreadImpersonating`.
    #[doc(alias = "PsIsThreadImpersonating")]
    #[inline]
    pub fn is_impersonating(&self) -> bool {
        self.summary().is_active()
    }

    #[inline]
    pub(crate) fn summary(&self) -> Summary {
        Summary(self.summary.load(Ordering::Acquire))
    }

    /// Which lease of a shared context this thread counts its reference on.
    pub(crate) fn seat(&self) -> Seat {
        self.seat
    }

    /// Takes a reference on what the thread wears, with its level and flags of the same moment.
    ///
    /// # Returns
    /// `None` when the thread wears nobody.
    ///
    /// # Identity
    /// Whoever decides something by this must test the level first.
    ///
    /// # NT
    /// `PsReferenceImpersonationToken`.
    ///
    /// # Source
    /// PsReferenceImpersonationToken (ntifs.h page); spec/nt-impersonation 2.11.
    #[doc(alias = "PsReferenceImpersonationToken")]
    #[inline]
    #[track_caller]
    pub fn reference_impersonation(&self) -> Option<Impersonation> {
        if !self.is_impersonating() {
            return None;
        }
        let _locking = self.system().locking(Lock::ThreadRecord);
        let record = self.record.read().unwrap_or_else(PoisonError::into_inner);
        let worn = record.worn.as_ref()?;
        Some(worn.reference())
    }

    /// Takes a reference on the token that the thread's requests are judged by.
    ///
    /// # NT
    /// `PsReferenceEffectiveToken`. Differs: the level of a primary token does not exist instead of being left unwritten.
    ///
    /// # Source
    /// spec/nt-impersonation 2.11.
    #[doc(alias = "PsReferenceEffectiveToken")]
    #[inline]
    #[track_caller]
    pub fn reference_effective(&self) -> Effective {
        match self.reference_impersonation() {
            Some(worn) => Effective::Impersonating(worn),
            None => Effective::Primary(self.process.reference_primary()),
        }
    }

    /// Ends all impersonation of this thread. Always succeeds; nothing happens when it wears nobody.
    ///
    /// # Identity
    /// The thread is judged by its process's token afterwards.
    ///
    /// # NT
    /// `PsRevertToSelf`, `PsRevertThreadToSelf`, `SeStopImpersonatingClient`.
    ///
    /// # Source
    /// PsRevertToSelf (ntifs.h page); spec/nt-impersonation 2.7, 2.9.
    #[doc(alias = "PsRevertToSelf")]
    #[doc(alias = "PsRevertThreadToSelf")]
    #[doc(alias = "SeStopImpersonatingClient")]
    #[doc(alias = "RevertToSelf")]
    #[track_caller]
    pub fn revert(&self) {
        if !self.is_impersonating() {
            return;
        }
        let reverted = self.exchange(None);
        self.note_end(Location::caller(), reverted.old.is_some());
        drop(reverted);
    }

    /// Tells whoever listens or verifies that the thread wears nobody any more.
    #[inline]
    pub(crate) fn note_end(&self, at: Site, wore_somebody: bool) {
        if !wore_somebody {
            return;
        }
        self.system().tell(at, || What::Reverted { thread: self.id });
        if let Some(verifier) = self.system().verifier() {
            verifier.reverted(self.id);
        }
    }

    /// Tells the verifier that somebody wanted to act as whom the thread wears, and could not.
    #[inline]
    pub(crate) fn note_use(&self, at: Site) {
        if let Some(verifier) = self.system().verifier() {
            verifier.used_to_act(self.id, at);
        }
    }

    /// Replaces what the thread wears and returns what it wore; a thread that has exited takes nothing on.
    ///
    /// The caller drops the old token, outside the lock.
    pub(crate) fn exchange(&self, worn: Option<Impersonation>) -> Exchanged {
        self.exchange_and(worn, |thread, active| thread.show(active))
    }

    /// Does the same without showing it in the thread's block.
    pub(crate) fn exchange_unshown(&self, worn: Option<Impersonation>) -> Exchanged {
        self.exchange_and(worn, |_, _| ())
    }

    fn exchange_and(&self, worn: Option<Impersonation>, show: impl FnOnce(&Self, bool)) -> Exchanged {
        let _locking = self.system().locking(Lock::ThreadRecord);
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        if self.has_exited() && worn.is_some() {
            drop(record);
            return Exchanged { old: None, refused: worn };
        }
        let is_active = worn.is_some();
        self.summarise(self.summary().changed(is_active));
        let old = std::mem::replace(&mut record.worn, worn);
        if is_active || old.is_some() {
            show(self, is_active);
        }
        drop(record);
        Exchanged { old, refused: None }
    }

    /// Shows in the thread's block whether it acts as somebody. Called with the record locked, so that the last change is
    /// the one that stays.
    #[inline]
    fn show(&self, is_active: bool) {
        if let Some(block) = self.block.get() {
            block.show(is_active);
        }
    }

    pub(crate) const fn block_slot(&self) -> &OnceLock<Arc<ThreadBlock>> {
        &self.block
    }

    pub(crate) const fn irql_number(&self) -> &AtomicU8 {
        &self.irql
    }

    /// Called with the record locked for writing: nobody else stores.
    #[inline]
    fn summarise(&self, summary: Summary) {
        self.summary.store(summary.0, Ordering::Release);
    }

    /// Replaces what the thread wears if its process still runs under a state that the gate was asked about.
    ///
    /// # Errors
    /// What was to be worn, when the gate has to be asked again or the thread has exited.
    #[inline]
    pub(crate) fn wear_as_judged(
        &self,
        worn: Impersonation,
        process_state: u64,
    ) -> Result<Option<Impersonation>, Impersonation> {
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        let is_judged = record.primary.as_ref().is_some_and(|known| known.is_still(&self.process, process_state));
        let summary = self.summary();
        if !is_judged || summary.has_exited() {
            drop(record);
            return Err(worn);
        }
        self.summarise(summary.changed(true));
        self.show(true);
        let old = record.worn.replace(worn);
        drop(record);
        Ok(old)
    }

    /// Looks again what the process runs under, for [`Thread::wear_as_judged`].
    pub(crate) fn look_at_primary(&self) {
        let known = self.process.known_primary();
        let locking = self.system().locking(Lock::ThreadRecord);
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        let old = record.primary.replace(known);
        drop(record);
        drop(locking);
        drop(old);
    }

    /// Replaces what the thread wears if it is still `expected`, the same object on the same terms.
    pub(crate) fn replace_if_unchanged(&self, expected: &Impersonation, worn: Impersonation) -> Replaced {
        let _locking = self.system().locking(Lock::ThreadRecord);
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        let is_unchanged = record
            .worn
            .as_ref()
            .is_some_and(|now| now.token.is_same(&expected.token) && now.terms() == expected.terms());
        if !is_unchanged {
            drop(record);
            return Replaced::Changed(worn);
        }
        self.summarise(self.summary().changed(true));
        let old = record.worn.replace(worn);
        drop(record);
        Replaced::Done(old)
    }

    /// Ends the thread: what it wears is given back, and it takes nothing on any more.
    ///
    /// # NT
    /// The part of thread deletion that releases the impersonation token. A thread that is only forgotten gives its token
    /// back too, when its last handle goes.
    pub fn exit(&self) {
        let locking = self.system().locking(Lock::ThreadRecord);
        let mut record = self.record.write().unwrap_or_else(PoisonError::into_inner);
        self.summarise(self.summary().exited());
        let old = record.worn.take();
        drop(record);
        drop(locking);
        self.note_exit();
        drop(old);
    }

    fn note_exit(&self) {
        if let Some(verifier) = self.system().verifier() {
            verifier.exited(self.id);
        }
    }

    /// Returns whether the thread has ended.
    pub fn has_exited(&self) -> bool {
        self.summary().has_exited()
    }

    /// Charges for the impersonation record where it is an allocation of its own and not there yet.
    pub(crate) fn charge_record(&self) -> Result<Option<Charge>, NtStatus> {
        if !self.system().profile().has_record_allocation() {
            return Ok(None);
        }
        if self.record_charge.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(None);
        }
        self.system().pool().charge(Purpose::ThreadRecord, RECORD_SIZE).map(Some)
    }

    /// Keeps the charge for the record until the thread is gone; a second one is given back.
    pub(crate) fn keep_record_charge(&self, charge: Option<Charge>) {
        let Some(charge) = charge else { return };
        let mut kept = self.record_charge.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            *kept = Some(charge);
        }
    }
}

/// What an exchange leaves to be dropped outside the lock.
#[must_use = "dropping the old token is the caller's to time"]
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) old: Option<Impersonation>,
    #[expect(dead_code, reason = "held only to be dropped outside the lock")]
    refused: Option<Impersonation>,
}

/// Whether a conditional exchange happened; what is left over is dropped outside the lock.
#[must_use = "dropping the old token is the caller's to time"]
#[derive(Debug)]
pub(crate) enum Replaced {
    Done(Option<Impersonation>),
    Changed(Impersonation),
}

impl ThreadRef {
    /// Returns whether both are the same thread.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Keeps this handle as an `Arc`, for those who can keep no value of this type.
    pub fn into_arc(self) -> Arc<Thread> {
        self.0
    }

    /// Makes a handle of an `Arc` that was one before.
    pub const fn from_arc(thread: Arc<Thread>) -> Self {
        Self(thread)
    }
}

impl Deref for ThreadRef {
    type Target = Thread;

    fn deref(&self) -> &Thread {
        &self.0
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.note_exit();
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id)
            .field("process", &self.process.id())
            .field("wears", &self.reference_impersonation())
            .field("has_exited", &self.has_exited())
            .finish_non_exhaustive()
    }
}
