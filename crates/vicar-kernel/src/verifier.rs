//! A mode that remembers every capture, reference, impersonation and lock, and says what was wrong.
//!
//! A system made by [`System::with_verifier`](crate::system::System::with_verifier) keeps the source line of everything
//! that must be given back. [`System::verify`](crate::system::System::verify) gives a [`Report`] at any time;
//! [`System::verify_at_end`](crate::system::System::verify_at_end) gives one when a scope ends. In any other system none
//! of this exists and each place costs one test of a flag. It never changes what a routine answers.
//!
//! | finding | what was done |
//! |---|---|
//! | [`Finding::ExitedImpersonating`] | a thread ended, or was forgotten, in a client's identity |
//! | [`Finding::WorkerImpersonating`] | a work item came back in a client's identity |
//! | [`Finding::WorkerAtBadIrql`] | a work item came back at a raised interrupt level |
//! | [`Finding::DowngradeUnseen`] | a thread was downgraded, and whoever used it asked for more than identifying |
//! | [`Finding::LockOrder`] | a lock of this crate was taken with another one held |
//!
//! Contexts and references that are still held are not findings but part of the report: whether they are leaks depends on
//! when it is asked for. Deleting a context twice cannot be written down here; a C interface has to look for that.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use crate::gate::GateStep;
use crate::irql::Irql;
use crate::system::System;

/// A line of the program.
pub type Site = &'static Location<'static>;

/// The locks of objects that many routines use. No two of them are ever held at once by one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lock {
    /// The impersonation record of a thread.
    ThreadRecord,
    /// The slot of a process that holds its primary token.
    PrimaryToken,
    /// The state of a token.
    TokenState,
    /// The data base of logon sessions.
    Sessions,
    /// The list of termination routines.
    Routines,
    /// The state of a pipe; known from the first client on, because a pipe belongs to no system before.
    Pipe,
    /// The names of a machine's pipes.
    PipeNames,
    /// The lines of a work queue.
    WorkQueue,
}

/// Something that was done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A thread ended while it wore a client.
    ExitedImpersonating {
        /// The thread.
        thread: u64,
        /// Where it took the client on.
        taken_on_at: Site,
    },
    /// A worker wore a client between two items.
    WorkerImpersonating {
        /// The worker's thread.
        thread: u64,
        /// The item it came back from, or was about to begin.
        item: u64,
    },
    /// A worker was at a raised interrupt level between two items.
    WorkerAtBadIrql {
        /// The worker's thread.
        thread: u64,
        /// The item it came back from, or was about to begin.
        item: u64,
        /// The level.
        irql: Irql,
    },
    /// A downgraded thread was used for something that needs level Impersonation.
    DowngradeUnseen {
        /// The thread.
        thread: u64,
        /// The step of the gate that refused.
        step: GateStep,
        /// Where it was downgraded.
        downgraded_at: Site,
        /// Where it was used.
        used_at: Site,
    },
    /// A lock was taken while the same thread held another.
    LockOrder {
        /// The lock held, and where it was taken.
        held: (Lock, Site),
        /// The lock taken, and where.
        taken: (Lock, Site),
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitedImpersonating { thread, taken_on_at } => {
                write!(f, "thread {thread} ended in an identity it took on at {taken_on_at}")
            }
            Self::WorkerImpersonating { thread, item } => {
                write!(f, "worker thread {thread} wore a client around item {item}")
            }
            Self::WorkerAtBadIrql { thread, item, irql } => {
                write!(f, "worker thread {thread} was at interrupt level {} around item {item}", irql.number())
            }
            Self::DowngradeUnseen { thread, step, downgraded_at, used_at } => {
                write!(f, "thread {thread}, downgraded by {step} at {downgraded_at}, was used to act at {used_at}")
            }
            Self::LockOrder { held, taken } => {
                write!(f, "{:?} taken at {} while {:?} of {} was held", taken.0, taken.1, held.0, held.1)
            }
        }
    }
}

/// What a verifier knows at one moment.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done wrong so far, in order.
    pub findings: Vec<Finding>,
    /// Client contexts captured and not dropped, by where they were captured.
    pub contexts: Vec<(Site, usize)>,
    /// Token references taken and not given back: file, line and column, and how many.
    pub references: Vec<((&'static str, u32, u32), i64)>,
    /// Threads that wear a client, and where they took it on.
    pub impersonating: Vec<(u64, Site)>,
    /// How many captures there were.
    pub captures: u64,
    /// How many impersonations there were.
    pub impersonations: u64,
    /// How many locks were taken.
    pub locks: u64,
}

impl Report {
    /// Returns whether nothing was done wrong and nothing is held.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
            && self.contexts.is_empty()
            && self.references.is_empty()
            && self.impersonating.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} captures, {} impersonations, {} locks", self.captures, self.impersonations, self.locks)?;
        for finding in &self.findings {
            writeln!(f, "wrong: {finding}")?;
        }
        for (site, count) in &self.contexts {
            writeln!(f, "held: {count} contexts captured at {site}")?;
        }
        for ((file, line, column), count) in &self.references {
            writeln!(f, "held: {count} references taken at {file}:{line}:{column}")?;
        }
        for (thread, site) in &self.impersonating {
            writeln!(f, "active: thread {thread} wears a client since {site}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Worn {
    at: Site,
    downgraded_by: Option<GateStep>,
}

#[derive(Debug, Default)]
struct Records {
    next_ticket: u64,
    contexts: BTreeMap<u64, Site>,
    worn: BTreeMap<u64, Worn>,
    held: HashMap<ThreadId, (Lock, Site)>,
    findings: Vec<Finding>,
    impersonations: u64,
    locks: u64,
}

/// The memory of a system that is verified.
#[derive(Debug, Default)]
pub(crate) struct Verifier(Mutex<Records>);

impl Verifier {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn captured(&self, at: Site) -> u64 {
        let mut records = self.records();
        records.next_ticket = records.next_ticket.saturating_add(1);
        let ticket = records.next_ticket;
        records.contexts.insert(ticket, at);
        ticket
    }

    pub(crate) fn deleted(&self, ticket: u64) {
        self.records().contexts.remove(&ticket);
    }

    pub(crate) fn taken_on(&self, thread: u64, at: Site, downgraded_by: Option<GateStep>) {
        let mut records = self.records();
        records.impersonations = records.impersonations.saturating_add(1);
        records.worn.insert(thread, Worn { at, downgraded_by });
    }

    pub(crate) fn reverted(&self, thread: u64) {
        self.records().worn.remove(&thread);
    }

    /// The thread ended; it should have reverted before.
    pub(crate) fn exited(&self, thread: u64) {
        let mut records = self.records();
        if let Some(worn) = records.worn.remove(&thread) {
            records.findings.push(Finding::ExitedImpersonating { thread, taken_on_at: worn.at });
        }
    }

    pub(crate) fn worker_stopped(&self, thread: u64, item: u64, irql: Irql) {
        let mut records = self.records();
        let wore_somebody = records.worn.remove(&thread).is_some();
        if irql != Irql::PASSIVE {
            records.findings.push(Finding::WorkerAtBadIrql { thread, item, irql });
        }
        if wore_somebody || irql == Irql::PASSIVE {
            records.findings.push(Finding::WorkerImpersonating { thread, item });
        }
    }

    /// Somebody wants to act as whom the thread wears.
    pub(crate) fn used_to_act(&self, thread: u64, used_at: Site) {
        let mut records = self.records();
        let Some(Worn { at, downgraded_by: Some(step) }) = records.worn.get(&thread).copied() else { return };
        records.findings.push(Finding::DowngradeUnseen { thread, step, downgraded_at: at, used_at });
    }

    pub(crate) fn locking(&self, lock: Lock, at: Site) -> Locking<'_> {
        let mut records = self.records();
        records.locks = records.locks.saturating_add(1);
        let own = std::thread::current().id();
        match records.held.get(&own).copied() {
            Some(held) => records.findings.push(Finding::LockOrder { held, taken: (lock, at) }),
            None => {
                records.held.insert(own, (lock, at));
                return Locking { verifier: self, is_outermost: true };
            }
        }
        Locking { verifier: self, is_outermost: false }
    }

    pub(crate) fn report(&self, references: Vec<((&'static str, u32, u32), i64)>) -> Report {
        let records = self.records();
        let mut contexts: BTreeMap<Site, usize> = BTreeMap::new();
        for site in records.contexts.values() {
            let count = contexts.entry(site).or_insert(0);
            *count = count.saturating_add(1);
        }
        Report {
            findings: records.findings.clone(),
            contexts: contexts.into_iter().collect(),
            references,
            impersonating: records.worn.iter().map(|(thread, worn)| (*thread, worn.at)).collect(),
            captures: records.next_ticket,
            impersonations: records.impersonations,
            locks: records.locks,
        }
    }
}

/// A lock that is held as far as the verifier knows.
#[derive(Debug)]
#[must_use]
pub(crate) struct Locking<'a> {
    verifier: &'a Verifier,
    is_outermost: bool,
}

impl Drop for Locking<'_> {
    fn drop(&mut self) {
        if self.is_outermost {
            self.verifier.records().held.remove(&std::thread::current().id());
        }
    }
}

/// A guard and the note that its lock is held; both go together.
#[derive(Debug)]
pub(crate) struct Watched<'a, G> {
    // In this order: the lock is given back before the note is.
    guard: G,
    _locking: Option<Locking<'a>>,
}

impl<'a, G> Watched<'a, G> {
    pub(crate) fn new(locking: Option<Locking<'a>>, guard: G) -> Self {
        Self { guard, _locking: locking }
    }

    /// Gives the guard to a condition variable, which gives the lock back: the note ends now.
    pub(crate) fn into_guard(self) -> G {
        self.guard
    }
}

impl<G: Deref> Deref for Watched<'_, G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Watched<'_, G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// One context that must be dropped. Nothing, in a system that is not verified.
#[derive(Debug)]
pub(crate) struct Ticket(Option<(System, u64)>);

impl Ticket {
    #[track_caller]
    pub(crate) fn take(system: &System) -> Self {
        let at = Location::caller();
        Self(system.verifier().map(|verifier| (system.clone(), verifier.captured(at))))
    }

    #[track_caller]
    pub(crate) fn again(&self) -> Self {
        match &self.0 {
            Some((system, _)) => Self::take(system),
            None => Self(None),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some((system, ticket)) = &self.0 else { return };
        if let Some(verifier) = system.verifier() {
            verifier.deleted(*ticket);
        }
    }
}

/// Gives a report when it is dropped.
#[must_use = "dropping it reports at once"]
pub struct AtEnd<F: FnMut(Report)> {
    system: System,
    tell: F,
}

impl<F: FnMut(Report)> AtEnd<F> {
    pub(crate) fn new(system: System, tell: F) -> Self {
        Self { system, tell }
    }
}

impl<F: FnMut(Report)> Drop for AtEnd<F> {
    fn drop(&mut self) {
        if let Some(report) = self.system.verify() {
            (self.tell)(report);
        }
    }
}

impl<F: FnMut(Report)> fmt::Debug for AtEnd<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtEnd").field("system", &self.system).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_of_one_thread_is_found_and_another_threads_is_not() {
        let verifier = Verifier::default();
        let at = Location::caller();
        let outer = verifier.locking(Lock::ThreadRecord, at);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(verifier.locking(Lock::TokenState, at)));
        });
        assert!(verifier.report(Vec::new()).findings.is_empty());
        drop(verifier.locking(Lock::TokenState, at));
        drop(outer);
        drop(verifier.locking(Lock::TokenState, at));
        let report = verifier.report(Vec::new());
        let expected = Finding::LockOrder { held: (Lock::ThreadRecord, at), taken: (Lock::TokenState, at) };
        assert_eq!(report.findings, [expected]);
        assert_eq!(report.locks, 4);
    }
}
