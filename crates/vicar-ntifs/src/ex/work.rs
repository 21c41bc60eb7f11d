//! Work items: routines that a system worker calls.
//!
//! The workers are those of `vicar-kernel`, threads of the system's process. An item is off the queue before its routine
//! runs and is not looked at afterwards, so the routine may queue it again or free it. A routine that returns at a raised
//! level or impersonating stops the system on NT; here it is a finding, and the worker serves nobody again.

use std::collections::{HashMap, HashSet};
use std::ffi::c_void;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use vicar_kernel::work::{OnBugCheck, QueueError, Urgency, WorkQueueOptions, Worker};
use vicar_kernel::{WorkItem, WorkQueue};
use vicar_nt::NtStatus;

use crate::current;
use crate::entry::{Call, Routine, enter, routine};
use crate::ex::pool;
use crate::ke;
use crate::layout::{PASSIVE_LEVEL, PVOID, WORK_QUEUE_ITEM, WORKER_THREAD_ROUTINE};
use crate::ptr;
use crate::verifier::{Mode, Rule, Site, flow, mode, report_at};
use crate::world::{self, World};

static QUEUE: Routine = routine!(ExQueueWorkItem, DISPATCH_LEVEL, "ExQueueWorkItem (wdm.h page)");
static ALLOCATE: Routine = routine!(IoAllocateWorkItem, DISPATCH_LEVEL, "IoAllocateWorkItem (wdm.h page)");
static IO_QUEUE: Routine = routine!(IoQueueWorkItem, DISPATCH_LEVEL, "IoQueueWorkItem (wdm.h page)");
static IO_QUEUE_EX: Routine = routine!(IoQueueWorkItemEx, DISPATCH_LEVEL, "IoQueueWorkItemEx (wdm.h page)");
static FREE: Routine = routine!(IoFreeWorkItem, DISPATCH_LEVEL, "IoFreeWorkItem (wdm.h page)");

/// What a worker runs for [`IoQueueWorkItem`]: the device and the context.
pub type IO_WORKITEM_ROUTINE = extern "system" fn(PVOID, PVOID);
/// What a worker runs for [`IoQueueWorkItemEx`]: the device, the context and the item.
pub type IO_WORKITEM_ROUTINE_EX = extern "system" fn(PVOID, PVOID, PVOID);

/// How many workers there are; each may be busy with one item.
const WORKERS: usize = 2;
/// How many items may wait.
const CAPACITY: usize = 4096;
/// The bytes of an `IO_WORKITEM`, which nobody reads.
const ITEM_SIZE: usize = 64;

/// The work of a world.
#[derive(Debug, Default)]
pub(crate) struct Work {
    queue: Mutex<Option<WorkQueue>>,
    /// The addresses of items that wait.
    waiting: Mutex<HashSet<usize>>,
    /// The device of each `IO_WORKITEM`.
    devices: Mutex<HashMap<usize, usize>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    /// Lets the waiting items run and ends the workers.
    pub(crate) fn end(&self) {
        let queue = lock(&self.queue).take();
        drop(queue);
    }
}

/// A routine and its arguments, as numbers that cross to another thread.
#[derive(Clone, Copy, Debug)]
enum Job {
    Plain(WORKER_THREAD_ROUTINE, usize),
    Device(IO_WORKITEM_ROUTINE, usize, usize),
    DeviceAndItem(IO_WORKITEM_ROUTINE_EX, usize, usize),
}

fn pointer(address: usize) -> PVOID {
    with_exposed_provenance_mut::<c_void>(address)
}

impl Job {
    fn run(self, item: usize) {
        match self {
            Self::Plain(routine, parameter) => routine(pointer(parameter)),
            Self::Device(routine, device, context) => routine(pointer(device), pointer(context)),
            Self::DeviceAndItem(routine, device, context) => routine(pointer(device), pointer(context), pointer(item)),
        }
    }

    /// The routine and its parameter as a bug check names them.
    fn names(self) -> (usize, usize) {
        match self {
            Self::Plain(routine, parameter) => ((routine as *const ()).addr(), parameter),
            Self::Device(routine, _, context) => ((routine as *const ()).addr(), context),
            Self::DeviceAndItem(routine, _, context) => ((routine as *const ()).addr(), context),
        }
    }
}

/// Runs one job on a worker and looks at what it left.
fn run(world: &Weak<World>, worker: &Worker<'_>, item: usize, job: Job) {
    let Some(world) = world.upgrade() else { return };
    current::sit_as_worker(&world, worker.thread());
    lock(&world.work.waiting).remove(&item);
    let (routine, parameter) = job.names();
    job.run(item);
    let (irql, regions) = (ke::reset_irql(), ke::reset_critical());
    // What the next item does is another request's.
    flow::ended();
    let wears = worker.thread().is_impersonating();
    // The kernel retires a worker that wears somebody; which driver did it is known here.
    let stop = |rule, code: &str| {
        let detail = format!(
            "bug check {code} (routine {routine:#x}, parameter {parameter:#x}, item {item:#x}, 0): the routine returned"
        );
        report_at(rule, "a system worker", Site::in_function(routine), detail);
    };
    ke::held::end("a system worker");
    if regions > 0 {
        let detail = format!("the routine {routine:#x} returned in {regions} critical regions");
        report_at(Rule::CriticalRegion, "a system worker", Site::in_function(routine), detail);
    }
    if irql != PASSIVE_LEVEL {
        stop(Rule::WorkerIrql, "0xE1");
    }
    if wears {
        stop(Rule::WorkerImpersonating, "0xDF");
        if mode() == Mode::Off {
            eprintln!("vicar-ntifs: bug check 0xDF: a worker routine at {routine:#x} returned impersonating");
            std::process::abort();
        }
    }
}

fn start(world: &World) -> Result<WorkQueue, NtStatus> {
    WorkQueue::start(
        &world.system_process.process,
        WorkQueueOptions { workers: WORKERS, capacity: CAPACITY, on_bug_check: OnBugCheck::Retire(Box::new(|_| {})) },
    )
}

/// Puts a job on the world's queue; workers are started when there are none.
fn queue(call: &Call, item: usize, job: Job, kind: i32) {
    let world = world::current();
    if !lock(&world.work.waiting).insert(item) {
        return call.report(Rule::QueuedTwice, format!("the item {item:#x} waits already"));
    }
    let urgency = if kind == 1 { Urgency::Delayed } else { Urgency::Critical };
    let weak = Arc::downgrade(&world);
    let mut place = lock(&world.work.queue);
    // A queue whose workers have all retired takes nothing any more.
    for _ in 0..2 {
        if place.is_none() {
            match start(&world) {
                Ok(started) => *place = Some(started),
                Err(_) => break,
            }
        }
        let Some(queue) = &*place else { break };
        let weak = Weak::clone(&weak);
        let work = WorkItem::new(queue, move |worker: &Worker<'_>| run(&weak, worker, item, job));
        match queue.queue(&work, urgency) {
            Ok(()) => return,
            Err(QueueError::Closed) => *place = None,
            Err(_) => break,
        }
    }
    lock(&world.work.waiting).remove(&item);
    eprintln!("vicar-ntifs: a work item cannot be queued: more than {CAPACITY} wait, or no thread can be started");
    std::process::abort();
}

/// Has a system worker call an item's routine with its parameter.
///
/// # Safety
/// `WorkItem` is an initialised item that stays where it is until its routine runs.
///
/// # Source
/// ExQueueWorkItem (wdm.h page); spec/nt-impersonation 5.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExQueueWorkItem(WorkItem: *mut WORK_QUEUE_ITEM, QueueType: i32) {
    enter(&QUEUE, |call| match ptr::read(WorkItem) {
        None => call.report(Rule::NullArgument, "WorkItem is NULL"),
        Some(WORK_QUEUE_ITEM { WorkerRoutine: Some(routine), Parameter, .. }) => {
            let job = Job::Plain(routine, Parameter.expose_provenance());
            queue(call, WorkItem.expose_provenance(), job, QueueType);
        }
        Some(WORK_QUEUE_ITEM { WorkerRoutine: None, .. }) => {
            call.report(Rule::NullArgument, "the item has no routine");
        }
    });
}

/// Makes a work item of a device.
///
/// # Returns
/// The item; null when there is no memory.
///
/// # Safety
/// `DeviceObject` is a device that stays until the item is freed.
///
/// # Source
/// IoAllocateWorkItem (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn IoAllocateWorkItem(DeviceObject: PVOID) -> PVOID {
    enter(&ALLOCATE, |call| {
        if DeviceObject.is_null() {
            call.report(Rule::NullArgument, "DeviceObject is NULL");
            return null_mut();
        }
        let Ok(item) = pool::allocate(call, ITEM_SIZE, *b"IoWi", 0) else { return null_mut() };
        lock(&world::current().work.devices).insert(item.addr(), DeviceObject.expose_provenance());
        item
    })
}

/// Queues an item of a device.
fn queue_io(call: &Call, item: PVOID, kind: i32, job: impl FnOnce(usize) -> Option<Job>) {
    let device = lock(&world::current().work.devices).get(&item.addr()).copied();
    let Some(device) = device else {
        return call.report(Rule::PoolNotAllocated, format!("{item:p} is no work item, or is freed"));
    };
    match job(device) {
        Some(job) => queue(call, item.expose_provenance(), job, kind),
        None => call.report(Rule::NullArgument, "WorkerRoutine is NULL"),
    }
}

/// Has a system worker call a routine with the item's device and a context.
///
/// # Safety
/// `IoWorkItem` came from [`IoAllocateWorkItem`].
///
/// # Source
/// IoQueueWorkItem (wdm.h page); spec/nt-impersonation 5.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn IoQueueWorkItem(
    IoWorkItem: PVOID,
    WorkerRoutine: Option<IO_WORKITEM_ROUTINE>,
    QueueType: i32,
    Context: PVOID,
) {
    enter(&IO_QUEUE, |call| {
        let context = Context.expose_provenance();
        queue_io(call, IoWorkItem, QueueType, |device| Some(Job::Device(WorkerRoutine?, device, context)));
    });
}

/// Has a system worker call a routine with the item's device, a context and the item, which it may free.
///
/// # Safety
/// `IoWorkItem` came from [`IoAllocateWorkItem`].
///
/// # Source
/// IoQueueWorkItemEx (wdm.h page); spec/nt-impersonation 5.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn IoQueueWorkItemEx(
    IoWorkItem: PVOID,
    WorkerRoutine: Option<IO_WORKITEM_ROUTINE_EX>,
    QueueType: i32,
    Context: PVOID,
) {
    enter(&IO_QUEUE_EX, |call| {
        let context = Context.expose_provenance();
        queue_io(call, IoWorkItem, QueueType, |device| Some(Job::DeviceAndItem(WorkerRoutine?, device, context)));
    });
}

/// Frees a work item that does not wait.
///
/// # Safety
/// `IoWorkItem` came from [`IoAllocateWorkItem`].
///
/// # Source
/// IoFreeWorkItem (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn IoFreeWorkItem(IoWorkItem: PVOID) {
    enter(&FREE, |call| {
        let world = world::current();
        if lock(&world.work.waiting).contains(&IoWorkItem.addr()) {
            return call.report(Rule::WorkItemBusy, format!("the item {IoWorkItem:p} waits for a worker"));
        }
        if lock(&world.work.devices).remove(&IoWorkItem.addr()).is_none() {
            return call.report(Rule::PoolNotAllocated, format!("{IoWorkItem:p} is no work item, or is freed"));
        }
        pool::free(call, IoWorkItem);
    });
}

/// Waits until no item waits or runs, and ends the workers; the next item starts them again. For tests.
pub(crate) fn settle() {
    world::current().work.end();
}
