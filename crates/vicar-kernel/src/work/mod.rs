//! System workers: where work goes that needs more rights than the thread that asks for it.
//!
//! A [`WorkQueue`] runs [`WorkItem`]s on threads of a privileged process, one at a time each. Nobody is impersonated on the
//! way: the asking thread stays what it is, and what crosses is data. A worker is looked at before and after every item;
//! one that still wears somebody, or is at a raised interrupt level, is fatal ([`BugCheck`]), because the next item would
//! run as the last client. A worker is never quietly reverted.
//!
//! Impersonation may lower what a thread can do. It must not be used to raise a thread that untrusted code can reach.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};

use vicar_nt::NtStatus;

use crate::process::ProcessRef;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::verifier::{Lock, Watched};

#[cfg(test)]
mod tests;
mod worker;

use worker::serve;
pub use worker::{BugCheck, OnBugCheck, Worker};

/// Which items go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "WORK_QUEUE_TYPE")]
pub enum Urgency {
    /// Before every delayed item.
    #[doc(alias = "CriticalWorkQueue")]
    Critical,
    /// The ordinary queue.
    #[doc(alias = "DelayedWorkQueue")]
    Delayed,
}

/// Why an item was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// It is queued already and has not started.
    AlreadyQueued,
    /// The queue holds as many items as it may.
    Full,
    /// The queue is shutting down, or every worker has retired.
    Closed,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyQueued => "work item is queued already",
            Self::Full => "work queue is full",
            Self::Closed => "work queue is closed",
        })
    }
}

impl std::error::Error for QueueError {}

type Routine = Box<dyn Fn(&Worker<'_>) + Send + Sync>;

struct Item {
    number: u64,
    routine_number: u64,
    parameter: u64,
    is_queued: AtomicBool,
    running: AtomicUsize,
    routine: Routine,
}

/// Where an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemState {
    /// Nowhere: it may be queued.
    Idle,
    /// In a line.
    Queued,
    /// Off the queue, with a worker: it may be queued again.
    Running,
    /// With a worker, and in a line again.
    RunningAndQueued,
}

/// What a bug check names an item by, copied before the item runs because it may be gone afterwards.
#[derive(Clone, Copy, Debug)]
struct Names {
    routine: u64,
    parameter: u64,
    item: u64,
}

/// Something to be done by a system worker. Cloning gives another handle to the same item.
///
/// An item is off the queue before its routine runs, so the routine may queue it again or forget it. What the routine owns,
/// a captured client for example, is released exactly once, when the last handle is gone.
#[derive(Clone)]
#[doc(alias = "WORK_QUEUE_ITEM")]
#[doc(alias = "IO_WORKITEM")]
pub struct WorkItem(Arc<Item>);

impl WorkItem {
    /// Makes an item for this queue's world.
    ///
    /// # NT
    /// `ExInitializeWorkItem`, `IoAllocateWorkItem`.
    #[doc(alias = "ExInitializeWorkItem")]
    #[doc(alias = "IoAllocateWorkItem")]
    pub fn new(queue: &WorkQueue, routine: impl Fn(&Worker<'_>) + Send + Sync + 'static) -> Self {
        Self::with_parameter(queue, 0, routine)
    }

    /// Makes an item whose bug check also tells `parameter`, the number its caller knows the work by.
    pub fn with_parameter(
        queue: &WorkQueue,
        parameter: u64,
        routine: impl Fn(&Worker<'_>) + Send + Sync + 'static,
    ) -> Self {
        let system = queue.shared.process.system();
        Self(Arc::new(Item {
            number: system.next_number(),
            routine_number: system.next_number(),
            parameter,
            is_queued: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            routine: Box::new(routine),
        }))
    }

    /// Returns the number that a bug check names the routine by.
    pub fn routine_number(&self) -> u64 {
        self.0.routine_number
    }

    /// Returns where the item is at the moment.
    pub fn state(&self) -> ItemState {
        match (self.is_queued(), self.0.running.load(Ordering::Acquire) > 0) {
            (false, false) => ItemState::Idle,
            (true, false) => ItemState::Queued,
            (false, true) => ItemState::Running,
            (true, true) => ItemState::RunningAndQueued,
        }
    }

    pub(crate) fn downgrade(&self) -> WeakItem {
        WeakItem(Arc::downgrade(&self.0))
    }

    fn names(&self) -> Names {
        Names { routine: self.0.routine_number, parameter: self.0.parameter, item: self.0.number }
    }

    /// Returns the number that a bug check names the item by.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Returns whether the item waits for a worker.
    pub fn is_queued(&self) -> bool {
        self.0.is_queued.load(Ordering::Acquire)
    }
}

/// A handle that does not keep the item, nor what its routine owns.
#[derive(Clone, Debug)]
pub(crate) struct WeakItem(Weak<Item>);

impl WeakItem {
    /// Returns the item if it still waits, runs or is held by somebody.
    pub(crate) fn upgrade(&self) -> Option<WorkItem> {
        self.0.upgrade().map(WorkItem)
    }
}

impl fmt::Debug for WorkItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkItem").field("number", &self.0.number).field("is_queued", &self.is_queued()).finish()
    }
}

struct Lines {
    critical: VecDeque<WorkItem>,
    delayed: VecDeque<WorkItem>,
    is_closed: bool,
}

struct Shared {
    process: ProcessRef,
    capacity: usize,
    on_bug_check: OnBugCheck,
    lines: Mutex<Lines>,
    wake: Condvar,
    live: AtomicUsize,
}

impl Shared {
    #[track_caller]
    fn lines(&self) -> Watched<'_, MutexGuard<'_, Lines>> {
        let locking = self.process.system().locking(Lock::WorkQueue);
        Watched::new(locking, self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives the lines back until somebody queues something or closes the queue.
    fn wait<'a>(&'a self, lines: Watched<'a, MutexGuard<'a, Lines>>) -> Watched<'a, MutexGuard<'a, Lines>> {
        let guard = self.wake.wait(lines.into_guard()).unwrap_or_else(PoisonError::into_inner);
        Watched::new(self.process.system().locking(Lock::WorkQueue), guard)
    }

    /// Takes every waiting item off the queue. What they own is released when the caller drops them, not under the lock.
    fn take_waiting(&self) -> VecDeque<WorkItem> {
        let mut lines = self.lines();
        let mut waiting = std::mem::take(&mut lines.critical);
        waiting.append(&mut lines.delayed);
        for item in &waiting {
            item.0.is_queued.store(false, Ordering::Release);
        }
        waiting
    }
}

/// How a queue is to be made.
#[derive(Debug)]
pub struct WorkQueueOptions {
    /// How many workers; at least one is started.
    pub workers: usize,
    /// How many items may wait.
    pub capacity: usize,
    /// What happens when a worker wears somebody between items.
    pub on_bug_check: OnBugCheck,
}

/// Workers of one process, and the items that wait for them.
///
/// Dropping it refuses new items, lets the waiting ones run and waits for the workers.
pub struct WorkQueue {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl WorkQueue {
    /// Starts the workers as threads of `process`, which should run under the system's token.
    ///
    /// # Errors
    /// - `STATUS_INSUFFICIENT_RESOURCES` when a thread cannot be started; those already started end.
    pub fn start(process: &ProcessRef, options: WorkQueueOptions) -> Result<Self, NtStatus> {
        let WorkQueueOptions { workers, capacity, on_bug_check } = options;
        let count = workers.max(1);
        let lines = Lines { critical: VecDeque::new(), delayed: VecDeque::new(), is_closed: false };
        let shared = Arc::new(Shared {
            process: process.clone(),
            capacity,
            on_bug_check,
            lines: Mutex::new(lines),
            wake: Condvar::new(),
            live: AtomicUsize::new(count),
        });
        let mut queue = Self { shared, workers: Vec::with_capacity(count) };
        for _ in 0..count {
            let shared = Arc::clone(&queue.shared);
            let started = thread::Builder::new().name("vicar-worker".to_owned()).spawn(move || serve(&shared));
            queue.workers.push(started.map_err(|_| NtStatus::INSUFFICIENT_RESOURCES)?);
        }
        Ok(queue)
    }

    /// Puts an item at the end of its line.
    ///
    /// # Errors
    /// - [`QueueError`]; the item is not queued. It is never run on the calling thread instead.
    ///
    /// # NT
    /// `ExQueueWorkItem`, `IoQueueWorkItem`. Differs: queuing an item twice is refused instead of corrupting the queue.
    #[doc(alias = "ExQueueWorkItem")]
    #[doc(alias = "IoQueueWorkItem")]
    pub fn queue(&self, item: &WorkItem, urgency: Urgency) -> Result<(), QueueError> {
        self.handle().queue(item, urgency)
    }

    /// Returns a handle that queues items and does not keep the workers running.
    pub fn handle(&self) -> WorkQueueHandle {
        WorkQueueHandle(Arc::clone(&self.shared))
    }

    /// Takes an item off the queue before it starts.
    ///
    /// # Returns
    /// Whether it was waiting; if not, it runs, has run or was never queued.
    pub fn cancel(&self, item: &WorkItem) -> bool {
        let mut lines = self.shared.lines();
        let Lines { critical, delayed, .. } = &mut *lines;
        let mut removed = None;
        for line in [critical, delayed] {
            if let Some(index) = line.iter().position(|waiting| Arc::ptr_eq(&waiting.0, &item.0)) {
                removed = line.remove(index);
            }
        }
        if removed.is_some() {
            item.0.is_queued.store(false, Ordering::Release);
        }
        drop(lines);
        removed.is_some()
    }

    /// Returns the number of workers that have not retired.
    pub fn live_workers(&self) -> usize {
        self.shared.live.load(Ordering::Acquire)
    }
}

/// Queues items from anywhere, an item's own routine included.
#[derive(Clone)]
pub struct WorkQueueHandle(Arc<Shared>);

impl WorkQueueHandle {
    /// Puts an item at the end of its line.
    ///
    /// # Errors
    /// - as for [`WorkQueue::queue`].
    pub fn queue(&self, item: &WorkItem, urgency: Urgency) -> Result<(), QueueError> {
        let mut lines = self.0.lines();
        if lines.is_closed || self.0.live.load(Ordering::Acquire) == 0 {
            return Err(QueueError::Closed);
        }
        // One step, because the item may be offered to another queue at the same moment.
        if item.0.is_queued.swap(true, Ordering::AcqRel) {
            return Err(QueueError::AlreadyQueued);
        }
        if lines.critical.len().saturating_add(lines.delayed.len()) >= self.0.capacity {
            item.0.is_queued.store(false, Ordering::Release);
            return Err(QueueError::Full);
        }
        match urgency {
            Urgency::Critical => lines.critical.push_back(item.clone()),
            Urgency::Delayed => lines.delayed.push_back(item.clone()),
        }
        drop(lines);
        self.0.wake.notify_one();
        Ok(())
    }
}

impl fmt::Debug for WorkQueueHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueueHandle").finish_non_exhaustive()
    }
}

impl fmt::Debug for WorkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").field("live_workers", &self.live_workers()).finish_non_exhaustive()
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        self.shared.lines().is_closed = true;
        self.shared.wake.notify_all();
        let own = thread::current().id();
        for worker in self.workers.drain(..) {
            // A queue dropped by one of its own items cannot wait for itself.
            if worker.thread().id() != own {
                drop(worker.join());
            }
        }
        // An item that dropped its own queue leaves those behind it; what they own is released here.
        drop(self.shared.take_waiting());
    }
}
