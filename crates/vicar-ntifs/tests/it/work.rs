//! Work items, threads of a driver's own, and logon sessions that end.

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use vicar_ntifs::testing;
use vicar_ntifs::verifier::Rule;
use vicar_ntifs::*;

use crate::call::c;
use crate::stage::*;

fn item<T>(routine: WORKER_THREAD_ROUTINE, parameter: &T) -> WORK_QUEUE_ITEM {
    let link = LIST_ENTRY { Flink: null_mut(), Blink: null_mut() };
    WORK_QUEUE_ITEM {
        List: link,
        WorkerRoutine: Some(routine),
        Parameter: std::ptr::from_ref(parameter).cast_mut().cast(),
    }
}

fn queue(item: &mut WORK_QUEUE_ITEM) {
    c!(ExQueueWorkItem(std::ptr::from_mut(item), 1));
}

static SEEN: AtomicI32 = AtomicI32::new(0);

extern "system" fn look_around(_: PVOID) {
    let is_system = i32::from(c!(PsIsSystemThread(c!(PsGetCurrentThread()))));
    let is_clean = i32::from(c!(PsIsThreadImpersonating(c!(PsGetCurrentThread()))) == 0);
    let is_passive = i32::from(c!(KeGetCurrentIrql()) == PASSIVE_LEVEL);
    SEEN.store(is_system + 10 * is_clean + 100 * is_passive, Ordering::SeqCst);
}

#[test]
fn t202_an_item_runs_on_a_clean_thread_of_the_system() {
    let stage = Stage::new();
    let mut work = item(look_around, &0);
    queue(&mut work);
    testing::settle();
    assert_eq!(SEEN.load(Ordering::SeqCst), 111);
    stage.clean();
}

extern "system" fn impersonate(context: PVOID) {
    assert_eq!(c!(SeImpersonateClientEx(context.cast_const().cast(), null_mut())), SUCCESS);
    let level = level(c!(PsGetCurrentThread()));
    SEEN.store(level.unwrap_or(-1), Ordering::SeqCst);
}

extern "system" fn impersonate_and_revert(context: PVOID) {
    impersonate(context);
    c!(SeStopImpersonatingClient());
}

extern "system" fn impersonate_at_dispatch(context: PVOID) {
    impersonate(context);
    let mut old = 0;
    c!(KeRaiseIrql(DISPATCH_LEVEL, &raw mut old));
}

#[test]
fn t203_an_item_that_returns_impersonating_is_bug_check_df() {
    let stage = Stage::new();
    let mut context = capture(ALICE.thread(), STATIC).unwrap();
    let mut work = item(impersonate_and_revert, &context);
    queue(&mut work);
    testing::settle();
    assert_eq!(SEEN.load(Ordering::SeqCst), 2, "the system may act as anybody");
    assert_eq!(stage.found(), []);
    let mut work = item(impersonate, &context);
    queue(&mut work);
    testing::settle();
    let found = testing::take_findings();
    assert_eq!(found.iter().map(|one| one.rule).collect::<Vec<_>>(), [Rule::WorkerImpersonating]);
    assert!(found[0].detail.contains("0xDF"), "{}", found[0].detail);
    assert!(found[0].site.to_string().contains("impersonate"), "{}", found[0].site);
    // The queue goes on with other workers.
    let mut work = item(look_around, &0);
    queue(&mut work);
    testing::settle();
    assert_eq!(SEEN.load(Ordering::SeqCst), 111);
    c!(SeDeleteClientSecurity(&raw mut context));
    stage.clean();
}

#[test]
fn t208_the_interrupt_level_is_tested_first() {
    let stage = Stage::new();
    let mut context = capture(ALICE.thread(), STATIC).unwrap();
    let mut work = item(impersonate_at_dispatch, &context);
    queue(&mut work);
    testing::settle();
    assert_eq!(stage.found(), [Rule::WorkerIrql, Rule::WorkerImpersonating]);
    c!(SeDeleteClientSecurity(&raw mut context));
    stage.clean();
}

const FREES: Option<IO_WORKITEM_ROUTINE_EX> = Some(free_itself);

extern "system" fn free_itself(device: PVOID, context: PVOID, work: PVOID) {
    assert_eq!(device.addr(), 0x1000);
    c!(IoFreeWorkItem(work));
    let count: *const AtomicUsize = context.cast_const().cast();
    COUNTED.fetch_add(count.addr().min(1), Ordering::SeqCst);
}

static COUNTED: AtomicUsize = AtomicUsize::new(0);

const WAITS: Option<IO_WORKITEM_ROUTINE> = Some(wait_for_the_gate);

extern "system" fn wait_for_the_gate(_: PVOID, gate: PVOID) {
    assert!(!gate.is_null());
    while GATE.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
}

static GATE: AtomicUsize = AtomicUsize::new(0);

#[test]
fn an_item_of_a_device_may_free_itself_and_waits_once() {
    let stage = Stage::new();
    let device: PVOID = std::ptr::without_provenance_mut(0x1000);
    let work = c!(IoAllocateWorkItem(device));
    let context: PVOID = std::ptr::without_provenance_mut(1);
    c!(IoQueueWorkItemEx(work, FREES, 1, context));
    testing::settle();
    assert_eq!(COUNTED.load(Ordering::SeqCst), 1);
    c!(IoFreeWorkItem(work));
    assert_eq!(stage.found(), [Rule::PoolNotAllocated]);
    // Both workers are busy: the third item waits.
    GATE.store(0, Ordering::SeqCst);
    let items: Vec<PVOID> = (0..3).map(|_| c!(IoAllocateWorkItem(device))).collect();
    for work in &items {
        c!(IoQueueWorkItem(*work, WAITS, 1, context));
    }
    c!(IoQueueWorkItem(items[2], WAITS, 1, context));
    c!(IoFreeWorkItem(items[2]));
    assert_eq!(stage.found(), [Rule::QueuedTwice, Rule::WorkItemBusy]);
    GATE.store(1, Ordering::SeqCst);
    testing::settle();
    for work in items {
        c!(IoFreeWorkItem(work));
    }
    assert!(c!(IoAllocateWorkItem(null_mut())).is_null());
    c!(ExQueueWorkItem(null_mut(), 1));
    assert_eq!(stage.found(), [Rule::NullArgument, Rule::NullArgument]);
    c!(vicar_fail_allocation(1, 0));
    assert!(c!(IoAllocateWorkItem(device)).is_null());
    stage.clean();
}

extern "system" fn tell(to: PVOID) {
    let sender: Sender<(bool, bool)> = crate::call::peek_clone(to.cast_const().cast());
    let thread = c!(PsGetCurrentThread());
    sender.send((c!(PsIsSystemThread(thread)) == 1, c!(ExGetPreviousMode()) == KernelMode)).unwrap();
    if c!(PsTerminateSystemThread(0)) == SUCCESS {
        sender.send((false, false)).unwrap();
    }
}

#[test]
fn a_driver_starts_and_ends_a_thread() {
    let stage = Stage::new();
    let (sender, receiver) = channel::<(bool, bool)>();
    let (mut handle, mut id) = (null_mut(), [null_mut(); 2]);
    let parameter: PVOID = (&raw const sender).cast_mut().cast();
    let none: *const OBJECT_ATTRIBUTES = null();
    let start = |handle: *mut HANDLE, id: *mut HANDLE, routine: Option<KSTART_ROUTINE>| {
        c!(PsCreateSystemThread(handle, 0x1F_FFFF, none, null_mut(), id, routine, parameter))
    };
    assert_eq!(start(&raw mut handle, id.as_mut_ptr(), Some(tell)), SUCCESS);
    assert_eq!(receiver.recv().unwrap(), (true, true));
    assert_eq!(id[0], c!(PsGetCurrentProcessId()));
    assert_eq!(c!(ZwClose(handle)), SUCCESS);
    assert_eq!(start(&raw mut handle, null_mut(), None), INVALID_PARAMETER);
    assert_eq!(start(null_mut(), null_mut(), Some(tell)), INVALID_PARAMETER);
    assert_eq!(stage.found(), [Rule::NullArgument]);
    assert_eq!(c!(PsTerminateSystemThread(0)), INVALID_PARAMETER, "this thread was not started by a driver");
    stage.clean();
}

static ENDED: AtomicUsize = AtomicUsize::new(0);

const TOLD: Option<SE_LOGON_SESSION_TERMINATED_ROUTINE> = Some(ended);

extern "system" fn ended(id: *const LUID) -> NTSTATUS {
    ENDED.fetch_add(usize::try_from(crate::call::peek(id).LowPart).unwrap(), Ordering::SeqCst);
    // A routine may take itself off.
    c!(SeUnregisterLogonSessionTerminatedRoutine(TOLD))
}

#[test]
fn t196_t197_a_marked_session_is_announced_once() {
    let stage = Stage::new();
    assert_eq!(c!(SeRegisterLogonSessionTerminatedRoutine(None)), INVALID_PARAMETER);
    assert_eq!(c!(SeUnregisterLogonSessionTerminatedRoutine(None)), INVALID_PARAMETER);
    assert_eq!(c!(SeUnregisterLogonSessionTerminatedRoutine(TOLD)), status(0xC000_0225));
    assert_eq!(c!(SeRegisterLogonSessionTerminatedRoutine(TOLD)), SUCCESS);
    let unknown = LUID { LowPart: 1, HighPart: 0 };
    assert_eq!(c!(SeMarkLogonSessionForTerminationNotification(&raw const unknown)), status(0xC000_0225));
    let token = ALICE.token();
    let mut id = unknown;
    assert_eq!(c!(SeQueryAuthenticationIdToken(token, &raw mut id)), SUCCESS);
    assert_eq!(c!(SeMarkLogonSessionForTerminationNotification(&raw const id)), SUCCESS);
    assert_eq!(c!(SeMarkLogonSessionForTerminationNotification(null())), INVALID_PARAMETER);
    assert_eq!(stage.found(), [Rule::NullArgument]);
    c!(PsDereferencePrimaryToken(token));
    assert_eq!(ENDED.load(Ordering::SeqCst), usize::try_from(id.LowPart).unwrap());
    assert_eq!(c!(SeUnregisterLogonSessionTerminatedRoutine(TOLD)), status(0xC000_0225), "it took itself off");
    c!(vicar_fail_allocation(1, 0));
    assert_eq!(c!(SeRegisterLogonSessionTerminatedRoutine(TOLD)), INSUFFICIENT);
    stage.clean();
}
