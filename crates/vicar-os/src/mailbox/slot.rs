//! One request at a time from many threads to one, decided by one atomic word.
//!
//! ```text
//!            post                 take (target)            collect (caller)
//!   EMPTY ─────────> POSTED ───────────────────> TAKEN ──────────────────> EMPTY
//!     ^                 │ withdraw (caller, time is up)
//!     └─────────────────┘             close (target ends): any ──> CLOSED
//! ```
//!
//! Out of POSTED lead two compare-and-swaps, the caller's and the target's, and one of them wins: a request that was
//! withdrawn is never done, one that was taken is always answered. The lock guards only what is handed over, and the
//! sleepers.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

const EMPTY: u32 = 0;
const POSTED: u32 = 1;
const TAKEN: u32 = 2;
const CLOSED: u32 = 3;

/// The place where a request waits for its target.
#[derive(Debug)]
pub(super) struct Slot<Q, A> {
    word: AtomicU32,
    content: Mutex<Content<Q, A>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Content<Q, A> {
    /// A caller has posted and not yet collected.
    is_occupied: bool,
    is_closed: bool,
    request: Option<Q>,
    answer: Option<Result<A, Dropped>>,
}

/// The target let a request that it had taken go without an answer: it panicked.
#[derive(Debug)]
struct Dropped;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It was not taken in time. It was withdrawn and never will be.
    TimedOut,
    /// The target has ended without taking it.
    Ended,
    /// The target took it and panicked.
    Panicked,
}

/// A request that its target has taken and owes an answer to; dropping it is one.
#[derive(Debug)]
pub(super) struct Taken<'s, Q, A> {
    slot: &'s Slot<Q, A>,
    request: Option<Q>,
    is_answered: bool,
}

/// What a caller does to make its target hurry: called under the lock, so that the target cannot have ended; returns how
/// long to wait before the next time.
pub(super) type Nudge<'n> = &'n mut dyn FnMut() -> Option<Duration>;

impl<Q, A> Slot<Q, A> {
    pub(super) fn new() -> Self {
        let content = Content { is_occupied: false, is_closed: false, request: None, answer: None };
        Self { word: AtomicU32::new(EMPTY), content: Mutex::new(content), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Content<Q, A>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts `request` and waits for its answer, until `deadline` or, once it was taken, as long as it takes.
    pub(super) fn post(&self, request: Q, deadline: Option<Instant>, nudge: Nudge<'_>) -> Result<A, Unanswered> {
        let mut content = self.lock();
        while content.is_occupied && !content.is_closed {
            let (again, is_late) = self.sleep(content, deadline, None);
            content = again;
            if is_late && content.is_occupied {
                return Err(Unanswered::TimedOut);
            }
        }
        if content.is_closed {
            return Err(Unanswered::Ended);
        }
        content.is_occupied = true;
        content.request = Some(request);
        // Closing is done under the lock that is held here, so the word is EMPTY.
        self.word.store(POSTED, Ordering::Release);
        self.changed.notify_all();
        self.collect(content, deadline, nudge)
    }

    fn collect(
        &self,
        mut content: MutexGuard<'_, Content<Q, A>>,
        mut deadline: Option<Instant>,
        nudge: Nudge<'_>,
    ) -> Result<A, Unanswered> {
        let result = loop {
            if let Some(answer) = content.answer.take() {
                break answer.map_err(|Dropped| Unanswered::Panicked);
            }
            if content.is_closed {
                break Err(Unanswered::Ended);
            }
            let again_in = if self.word.load(Ordering::Relaxed) == POSTED { nudge() } else { None };
            let (again, is_late) = self.sleep(content, deadline, again_in);
            content = again;
            if is_late && content.answer.is_none() {
                if self.word.compare_exchange(POSTED, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    break Err(Unanswered::TimedOut);
                }
                // Taken, or closed: it is being done, or will never be. Both are said soon.
                deadline = None;
            }
        };
        content.is_occupied = false;
        let _ = self.word.compare_exchange(TAKEN, EMPTY, Ordering::AcqRel, Ordering::Acquire);
        let withdrawn = content.request.take();
        self.changed.notify_all();
        drop(content);
        // Outside the lock: what a request holds may do anything when it is dropped.
        drop(withdrawn);
        result
    }

    /// Sleeps until something changes; the flag says that the deadline has passed. Does not sleep when it already has.
    fn sleep<'c>(
        &self,
        content: MutexGuard<'c, Content<Q, A>>,
        deadline: Option<Instant>,
        at_most: Option<Duration>,
    ) -> (MutexGuard<'c, Content<Q, A>>, bool) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return (content, true);
        }
        let content = match [left, at_most].into_iter().flatten().min() {
            None => self.changed.wait(content).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(content, limit).unwrap_or_else(PoisonError::into_inner).0,
        };
        (content, deadline.is_some_and(|deadline| deadline <= Instant::now()))
    }

    /// Takes the request that is waiting, if there is one. One relaxed load when there is none.
    pub(super) fn take(&self) -> Option<Taken<'_, Q, A>> {
        if self.word.load(Ordering::Relaxed) != POSTED {
            return None;
        }
        self.word.compare_exchange(POSTED, TAKEN, Ordering::AcqRel, Ordering::Acquire).ok()?;
        let request = self.lock().request.take();
        Some(Taken { slot: self, request, is_answered: false })
    }

    /// Waits until a request is there, at most until `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>) {
        let mut content = self.lock();
        let mut is_late = false;
        while !is_late && self.word.load(Ordering::Relaxed) != POSTED {
            (content, is_late) = self.sleep(content, deadline, None);
        }
    }

    /// Ends it: a request that was not taken never will be, and whoever waits is told.
    pub(super) fn close(&self) {
        let mut content = self.lock();
        content.is_closed = true;
        self.word.store(CLOSED, Ordering::Release);
        let never_taken = content.request.take();
        self.changed.notify_all();
        drop(content);
        drop(never_taken);
    }

    fn answer(&self, answer: Result<A, Dropped>) {
        self.lock().answer = Some(answer);
        self.changed.notify_all();
    }
}

impl<Q, A> Taken<'_, Q, A> {
    /// What is asked; `None` only the second time.
    pub(super) fn request(&mut self) -> Option<Q> {
        self.request.take()
    }

    pub(super) fn answer(mut self, answer: A) {
        self.is_answered = true;
        self.slot.answer(Ok(answer));
    }
}

impl<Q, A> Drop for Taken<'_, Q, A> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.slot.answer(Err(Dropped));
        }
    }
}
