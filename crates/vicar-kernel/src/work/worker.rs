//! The threads that run items, and what ends them.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Lines, Names, Shared, WorkItem};
use crate::irql::Irql;
use crate::sync::atomic::Ordering;
use crate::thread::{Thread, ThreadRef};

/// A stop that no worker survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BugCheck {
    /// The stop code.
    pub code: u32,
    /// What each code says; for an impersonating worker routine, parameter and item, then a reserved zero. Only numbers: the
    /// item may be gone.
    pub parameters: [u64; 4],
}

impl BugCheck {
    /// `IMPERSONATING_WORKER_THREAD`.
    ///
    /// # Source
    /// Bug check 0xDF (page); spec/nt-impersonation 5.3.
    pub const IMPERSONATING_WORKER_THREAD: u32 = 0xDF;
    /// `WORKER_THREAD_RETURNED_AT_BAD_IRQL`; its parameters are routine, level, parameter and item.
    ///
    /// # Source
    /// Bug check 0xE1 (page); spec/nt-impersonation 5.3.
    pub const WORKER_THREAD_RETURNED_AT_BAD_IRQL: u32 = 0xE1;

    /// Returns why a worker may not go on: at a raised interrupt level, or wearing somebody. The level is looked at first.
    fn of(thread: &ThreadRef, names: Names) -> Option<Self> {
        let Names { routine, parameter, item } = names;
        if thread.irql() != Irql::PASSIVE {
            let level = u64::from(thread.irql().number());
            let parameters = [routine, level, parameter, item];
            return Some(Self { code: Self::WORKER_THREAD_RETURNED_AT_BAD_IRQL, parameters });
        }
        let parameters = [routine, parameter, item, 0];
        thread.is_impersonating().then_some(Self { code: Self::IMPERSONATING_WORKER_THREAD, parameters })
    }
}

/// What a worker does that may not go on to the next item.
pub enum OnBugCheck {
    /// The program ends at once.
    Abort,
    /// The routine is told and the worker ends; its thread object serves nobody again.
    Retire(Box<dyn Fn(BugCheck) + Send + Sync>),
}

impl fmt::Debug for OnBugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abort => "Abort",
            Self::Retire(_) => "Retire",
        })
    }
}

/// The worker an item runs on.
///
/// # Examples
/// An item cannot keep its worker, nor hand it to another thread:
/// ```compile_fail,E0521
/// # use std::cell::Cell;
/// # use vicar_kernel::{WorkItem, WorkQueue, work::Worker};
/// thread_local!(static KEPT: Cell<Option<&'static Worker<'static>>> = const { Cell::new(None) });
/// fn keep(queue: &WorkQueue) {
///     let _ = WorkItem::new(queue, |worker: &Worker<'_>| KEPT.set(Some(worker)));
/// }
/// ```
/// ```compile_fail,E0277
/// # use vicar_kernel::work::Worker;
/// fn hand_over(worker: &Worker<'_>) {
///     std::thread::scope(|scope| drop(scope.spawn(move || worker.thread().revert())));
/// }
/// ```
#[derive(Debug)]
pub struct Worker<'a> {
    thread: &'a ThreadRef,
    _of_one_thread: PhantomData<*const ()>,
}

impl Worker<'_> {
    /// Returns the worker's thread, on which the item may act as a client and must revert before it returns.
    pub fn thread(&self) -> &ThreadRef {
        self.thread
    }
}

/// Runs what belongs to an item. A panic is the item's own business, be it in its routine, in what is dropped with it or
/// in what it panicked with: this thread holds no borrowed identity that would have to be restored.
fn contain(work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        // What panics while it is dropped is not dropped again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(ManuallyDrop::new);
    }
}

/// The life of one worker.
pub(super) fn serve(shared: &Shared) {
    let thread = Thread::new(&shared.process);
    while let Some(item) = next(shared) {
        let names = item.names();
        // Somebody may have put a token on this thread from outside; the item must not run under it.
        if let Some(stop) = BugCheck::of(&thread, names) {
            item.0.running.fetch_sub(1, Ordering::AcqRel);
            return retire(shared, &thread, stop, names, Some(item));
        }
        contain(|| (item.0.routine)(&Worker { thread: &thread, _of_one_thread: PhantomData }));
        item.0.running.fetch_sub(1, Ordering::AcqRel);
        contain(|| drop(item));
        if let Some(stop) = BugCheck::of(&thread, names) {
            return retire(shared, &thread, stop, names, None);
        }
    }
    shared.live.fetch_sub(1, Ordering::AcqRel);
    thread.exit();
}

/// Waits for an item and takes it off the queue; `None` when the queue is closed and empty.
fn next(shared: &Shared) -> Option<WorkItem> {
    let mut lines = shared.lines();
    loop {
        let Lines { critical, delayed, .. } = &mut *lines;
        if let Some(item) = critical.pop_front().or_else(|| delayed.pop_front()) {
            item.0.running.fetch_add(1, Ordering::AcqRel);
            item.0.is_queued.store(false, Ordering::Release);
            return Some(item);
        }
        if lines.is_closed {
            return None;
        }
        lines = shared.wait(lines);
    }
}

/// Stops a worker that may not go on. Nothing will run any more what waits for the last worker, so that is let go, and so
/// is `unrun`, which it took but did not run.
fn retire(shared: &Shared, thread: &ThreadRef, stop: BugCheck, names: Names, unrun: Option<WorkItem>) {
    if let Some(verifier) = thread.system().verifier() {
        verifier.worker_stopped(thread.id(), names.item, thread.irql());
    }
    match &shared.on_bug_check {
        OnBugCheck::Abort => std::process::abort(),
        OnBugCheck::Retire(tell) => {
            // An item is queued under the lock that takes the waiting ones, and only while somebody is alive.
            let is_last = shared.live.fetch_sub(1, Ordering::AcqRel) == 1;
            let waiting = if is_last { shared.take_waiting() } else { VecDeque::new() };
            contain(|| tell(stop));
            thread.exit();
            // What the items own is released by a thread that wears nobody, each by itself: one may panic.
            for item in waiting.into_iter().chain(unrun) {
                contain(|| drop(item));
            }
        }
    }
}
