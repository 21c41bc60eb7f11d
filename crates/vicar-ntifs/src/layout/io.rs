//! Requests, and work for others.
//!
//! A request has the documented fields that code about security reads, not all of them and not at their Windows offsets: there
//! is no I/O manager, and whoever tests a driver makes its requests.

use super::{PETHREAD, PVOID, UCHAR, ULONG, USHORT};

/// A link of a list that goes both ways.
///
/// # Source
/// wdm.h, `LIST_ENTRY`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LIST_ENTRY {
    /// The next link, or the head.
    pub Flink: *mut LIST_ENTRY,
    /// The link before, or the head.
    pub Blink: *mut LIST_ENTRY,
}

/// What a work item calls.
pub type WORKER_THREAD_ROUTINE = extern "system" fn(PVOID);

/// A work item in its caller's memory.
///
/// # Source
/// wdm.h, `WORK_QUEUE_ITEM`, `ExInitializeWorkItem`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WORK_QUEUE_ITEM {
    /// The link of the queue; `Flink` is null while the item is not queued.
    pub List: LIST_ENTRY,
    /// What is called.
    pub WorkerRoutine: Option<WORKER_THREAD_ROUTINE>,
    /// What it is called with.
    pub Parameter: PVOID,
}

/// How a request ended.
///
/// # Source
/// wdm.h, `IO_STATUS_BLOCK`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IO_STATUS_BLOCK {
    /// The status, or a pointer.
    pub Pointer: PVOID,
    /// What else there is to say.
    pub Information: usize,
}

/// Who asked, and where the request is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VICAR_IRP_OVERLAY {
    /// The driver's.
    pub DriverContext: [PVOID; 4],
    /// The thread that asked; null is nobody.
    pub Thread: PETHREAD,
    /// The driver's, to queue the request.
    pub ListEntry: LIST_ENTRY,
    /// What the driver is asked for.
    pub CurrentStackLocation: PVOID,
    /// The file it is about.
    pub OriginalFileObject: PVOID,
}

/// A request.
///
/// # Source
/// wdm.h, `IRP`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IRP {
    /// The type of the structure.
    pub Type: i16,
    /// Its size.
    pub Size: USHORT,
    /// Flags.
    pub Flags: ULONG,
    /// The buffer of the system.
    pub AssociatedIrp: PVOID,
    /// The link of the thread's list.
    pub ThreadListEntry: LIST_ENTRY,
    /// How it ended.
    pub IoStatus: IO_STATUS_BLOCK,
    /// Whose request it is.
    pub RequestorMode: i8,
    /// Whether it was pended.
    pub PendingReturned: UCHAR,
    /// How many stack locations there are.
    pub StackCount: i8,
    /// Which is the current one.
    pub CurrentLocation: i8,
    /// Whether it is to be cancelled.
    pub Cancel: UCHAR,
    /// The interrupt level it is cancelled at.
    pub CancelIrql: UCHAR,
    /// The buffer of the user.
    pub UserBuffer: PVOID,
    /// How often it was completed.
    pub VicarCompletions: ULONG,
    /// Who asked.
    pub Tail: VICAR_IRP_OVERLAY,
}
