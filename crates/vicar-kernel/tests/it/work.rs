//! 6.K: system workers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vicar_kernel::verifier::Finding;
use vicar_kernel::work::{BugCheck, OnBugCheck, QueueError, Urgency, WorkItem, WorkQueue, WorkQueueOptions};
use vicar_kernel::{ClientContext, Irql, Process, Profile, System};
use vicar_nt::{ImpersonationLevel, NtStatus, Sid};

use crate::fixture::{Anonymous, Identification, Imp, Local, STATIC, Who, World, at, context, terms, user_a};

const SOON: Duration = Duration::from_secs(20);

/// A queue whose bug checks arrive on the receiver.
fn start(world: &World, who: Who, workers: usize) -> (WorkQueue, Receiver<BugCheck>) {
    let (sender, stops) = channel();
    let sender = Mutex::new(sender);
    let on_bug_check = OnBugCheck::Retire(Box::new(move |stop| sender.lock().unwrap().send(stop).unwrap()));
    let options = WorkQueueOptions { workers, capacity: 4, on_bug_check };
    (WorkQueue::start(&world.process(who), options).unwrap(), stops)
}

fn report<T>(sender: &Mutex<Sender<T>>, value: T) {
    sender.lock().unwrap().send(value).unwrap();
}

#[test]
fn t202_an_item_runs_as_the_system_and_wears_nobody() {
    let world = World::new();
    let (queue, _stops) = start(&world, Who::Sys, 1);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let item = WorkItem::new(&queue, move |worker| {
        let user: Sid = worker.thread().reference_effective().token().state().user().sid;
        report(&sender, (user, worker.thread().is_impersonating()));
    });
    queue.queue(&item, Urgency::Delayed).unwrap();
    assert_eq!(seen.recv_timeout(SOON).unwrap(), (vicar_nt::well_known::LOCAL_SYSTEM, false));
}

#[test]
fn t203_an_item_that_stays_a_client_at_any_level_is_fatal_even_when_it_is_gone() {
    for level in ImpersonationLevel::ALL {
        let world = World::new();
        let (queue, stops) = start(&world, Who::Sys, 1);
        let client = context(&world, Who::A, level);
        let item = WorkItem::new(&queue, move |worker| {
            let _ = worker.thread().impersonate(&client).unwrap();
        });
        let (routine, number) = (item.routine_number(), item.number());
        queue.queue(&item, Urgency::Delayed).unwrap();
        drop(item);
        let stop = stops.recv_timeout(SOON).unwrap();
        assert_eq!(stop, BugCheck { code: 0xDF, parameters: [routine, 0, number, 0] });
        assert_eq!(queue.live_workers(), 0);
        let next = WorkItem::new(&queue, |_| ());
        assert_eq!(queue.queue(&next, Urgency::Delayed), Err(QueueError::Closed));
    }
}

#[test]
fn t205_a_worker_left_at_identification_by_a_downgrade_is_fatal_too() {
    let world = World::new();
    let (queue, stops) = start(&world, Who::Nsx, 1);
    let client = context(&world, Who::A, Imp);
    let item = WorkItem::new(&queue, move |worker| {
        let _ = worker.thread().impersonate(&client).unwrap();
    });
    queue.queue(&item, Urgency::Delayed).unwrap();
    assert_eq!(stops.recv_timeout(SOON).unwrap().code, BugCheck::IMPERSONATING_WORKER_THREAD);
}

#[test]
fn t204_an_item_may_act_as_a_client_and_revert() {
    let world = World::new();
    let (queue, stops) = start(&world, Who::Sys, 1);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let client = context(&world, Who::A, Imp);
    let item = WorkItem::new(&queue, move |worker| {
        let _ = worker.thread().impersonate(&client).unwrap();
        let worn = worker.thread().reference_impersonation().unwrap();
        worker.thread().revert();
        report(&sender, (worn.level, worn.token.state().user().sid));
    });
    for _ in 0..2 {
        queue.queue(&item, Urgency::Critical).unwrap();
        assert_eq!(seen.recv_timeout(SOON).unwrap(), (Imp, user_a()));
    }
    drop(queue);
    assert!(stops.try_recv().is_err());
}

#[test]
fn t209_an_item_cannot_be_queued_twice_and_a_full_queue_refuses() {
    let world = World::new();
    let (queue, _stops) = start(&world, Who::Sys, 1);
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let (sender, started) = channel();
    let sender = Mutex::new(sender);
    let blocker = WorkItem::new(&queue, move |_| {
        report(&sender, ());
        held.lock().unwrap().recv_timeout(SOON).unwrap();
    });
    queue.queue(&blocker, Urgency::Delayed).unwrap();
    started.recv_timeout(SOON).unwrap();
    let items: Vec<WorkItem> = (0..5).map(|_| WorkItem::new(&queue, |_| ())).collect();
    for item in &items[..4] {
        queue.queue(item, Urgency::Delayed).unwrap();
    }
    assert_eq!(queue.queue(&items[0], Urgency::Critical), Err(QueueError::AlreadyQueued));
    assert_eq!(queue.queue(&items[4], Urgency::Delayed), Err(QueueError::Full));
    assert!(queue.cancel(&items[0]) && !queue.cancel(&items[0]));
    queue.queue(&items[4], Urgency::Delayed).unwrap();
    release.send(()).unwrap();
}

#[test]
fn t210_an_item_may_queue_itself_again_and_critical_ones_go_first() {
    let world = World::new();
    let (queue, _stops) = start(&world, Who::Sys, 1);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let own: Arc<Mutex<Option<WorkItem>>> = Arc::default();
    let (handle, inside) = (queue.handle(), Arc::clone(&own));
    let runs = Mutex::new(0);
    let item = WorkItem::new(&queue, move |_| {
        let mut runs = runs.lock().unwrap();
        *runs += 1;
        if *runs < 3 {
            handle.queue(inside.lock().unwrap().as_ref().unwrap(), Urgency::Delayed).unwrap();
        } else {
            inside.lock().unwrap().take();
        }
        report(&sender, *runs);
    });
    *own.lock().unwrap() = Some(item.clone());
    queue.queue(&item, Urgency::Delayed).unwrap();
    drop(item);
    for expected in 1..=3 {
        assert_eq!(seen.recv_timeout(SOON).unwrap(), expected);
    }
}

#[test]
fn t211_the_asking_thread_stays_what_it_is() {
    let world = World::new();
    let (queue, _stops) = start(&world, Who::Sys, 1);
    let asking = world.wearing(Who::A, Imp);
    let before = asking.reference_impersonation().unwrap().token.id();
    let (sender, done) = channel();
    let sender = Mutex::new(sender);
    let client = ClientContext::capture(&asking, STATIC, Local).unwrap();
    let item = WorkItem::new(&queue, move |worker| {
        let is_privileged = worker.thread().reference_effective().token().state().is_admin();
        report(&sender, (is_privileged, client.token().state().is_admin()));
    });
    queue.queue(&item, Urgency::Delayed).unwrap();
    assert_eq!(done.recv_timeout(SOON).unwrap(), (true, false));
    assert_eq!(asking.reference_impersonation().unwrap().token.id(), before);
}

#[test]
fn t213_a_system_without_the_privilege_does_not_act_as_the_client_at_all() {
    let world = World::new();
    let (queue, stops) = start(&world, Who::Nsx, 1);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let client = context(&world, Who::A, Imp);
    let item = WorkItem::new(&queue, move |worker| report(&sender, worker.thread().with_client(&client, || ())));
    queue.queue(&item, Urgency::Delayed).unwrap();
    assert_eq!(seen.recv_timeout(SOON).unwrap(), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    drop(queue);
    assert!(stops.try_recv().is_err());
}

#[test]
fn t214_a_cancelled_item_never_runs_and_releases_its_client_once() {
    let world = World::new();
    let (queue, _stops) = start(&world, Who::Sys, 1);
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let (sender, started) = channel();
    let sender = Mutex::new(sender);
    let blocker = WorkItem::new(&queue, move |_| {
        report(&sender, ());
        held.lock().unwrap().recv_timeout(SOON).unwrap();
    });
    queue.queue(&blocker, Urgency::Delayed).unwrap();
    started.recv_timeout(SOON).unwrap();
    let client = context(&world, Who::A, Anonymous);
    let token = client.token().clone();
    let ran = Arc::new(Mutex::new(false));
    let mark = Arc::clone(&ran);
    let item = WorkItem::new(&queue, move |_| *mark.lock().unwrap() = client.level() == Anonymous);
    queue.queue(&item, Urgency::Delayed).unwrap();
    assert_eq!((queue.cancel(&item), queue.cancel(&item), token.reference_count()), (true, false, 2));
    drop(item);
    assert_eq!(token.reference_count(), 1);
    release.send(()).unwrap();
    drop(queue);
    assert!(!*ran.lock().unwrap());
}

#[test]
fn t206_what_an_item_owns_lives_until_it_has_run_and_dropping_the_queue_drains_it() {
    let world = World::new();
    let (queue, _stops) = start(&world, Who::Sys, 2);
    let device = Arc::new(Mutex::new(0));
    for _ in 0..4 {
        let owned = Arc::clone(&device);
        queue.queue(&WorkItem::new(&queue, move |_| *owned.lock().unwrap() += 1), Urgency::Delayed).unwrap();
    }
    drop(queue);
    assert_eq!((*device.lock().unwrap(), Arc::strong_count(&device)), (4, 1));
}

#[test]
fn a_panicking_item_does_not_take_its_worker_along_unless_it_was_a_client() {
    let world = World::new();
    let (queue, stops) = start(&world, Who::Sys, 1);
    let clean = WorkItem::new(&queue, |_| std::panic::resume_unwind(Box::new(())));
    queue.queue(&clean, Urgency::Delayed).unwrap();
    let client = ClientContext::from_token(&world.token(Who::A), at(Identification, STATIC), Local).unwrap();
    let dirty = WorkItem::new(&queue, move |worker| {
        let _ = worker.thread().impersonate(&client).unwrap();
        std::panic::resume_unwind(Box::new(()));
    });
    queue.queue(&dirty, Urgency::Delayed).unwrap();
    assert_eq!(stops.recv_timeout(SOON).unwrap().parameters[2], dirty.number());
}

#[test]
fn a_worker_that_was_given_a_token_from_outside_runs_nothing() {
    let world = World::new();
    let (queue, stops) = start(&world, Who::Sys, 1);
    let (sender, threads) = channel();
    let sender = Mutex::new(sender);
    let first = WorkItem::new(&queue, move |worker| report(&sender, worker.thread().clone()));
    queue.queue(&first, Urgency::Delayed).unwrap();
    let worker = threads.recv_timeout(SOON).unwrap();
    // Usually the worker is past its look after the first item by now; if not, it stops a little earlier.
    std::thread::sleep(Duration::from_millis(50));
    let _ = worker.impersonate_token(&world.imp(Who::A, Imp), terms(Imp)).unwrap();
    let ran = Arc::new(Mutex::new(false));
    let mark = Arc::clone(&ran);
    let _ = queue.queue(&WorkItem::new(&queue, move |_| *mark.lock().unwrap() = true), Urgency::Delayed);
    assert_eq!(stops.recv_timeout(SOON).unwrap().code, 0xDF);
    assert!(!*ran.lock().unwrap());
    drop(queue);
    assert!(worker.has_exited() && !worker.is_impersonating());
    assert!(Process::new(&world.system, world.token(Who::Sys)).is_ok());
}

#[test]
fn t208_an_item_that_comes_back_at_a_raised_level_is_fatal_before_anybody_asks_whom_it_wears() {
    for wears in [true, false] {
        let world = World { system: System::with_verifier(Profile::V4, crate::fixture::policy()) };
        let (queue, stops) = start(&world, Who::Sys, 1);
        let client = context(&world, Who::A, Imp);
        let item = WorkItem::with_parameter(&queue, 77, move |worker| {
            assert_eq!(worker.thread().raise_irql(Irql::DISPATCH), Ok(Irql::PASSIVE));
            if wears {
                let _ = worker.thread().impersonate(&client).unwrap();
            }
        });
        queue.queue(&item, Urgency::Delayed).unwrap();
        let stop = stops.recv_timeout(SOON).unwrap();
        assert_eq!(stop, BugCheck { code: 0xE1, parameters: [item.routine_number(), 2, 77, item.number()] });
        assert_eq!(queue.live_workers(), 0);
        drop(queue);
        let findings = world.system.verify().unwrap().findings;
        let levels = |finding: &&Finding| matches!(finding, Finding::WorkerAtBadIrql { irql: Irql::DISPATCH, .. });
        assert_eq!(findings.iter().filter(levels).count(), 1);
        let wearing = findings.iter().filter(|finding| matches!(finding, Finding::WorkerImpersonating { .. }));
        assert_eq!(wearing.count(), usize::from(wears));
    }
}

#[test]
fn a_level_goes_up_and_down_and_an_item_may_raise_it_for_a_while() {
    let world = World::new();
    let thread = world.thread(Who::A);
    assert_eq!(thread.irql(), Irql::PASSIVE);
    assert_eq!(thread.raise_irql(Irql::DISPATCH), Ok(Irql::PASSIVE));
    assert_eq!(thread.raise_irql(Irql::APC), Err(NtStatus::INVALID_PARAMETER));
    assert_eq!(thread.lower_irql(Irql::HIGH), Err(NtStatus::INVALID_PARAMETER));
    assert_eq!(thread.irql(), Irql::DISPATCH);
    assert_eq!((thread.lower_irql(Irql::PASSIVE), thread.irql()), (Ok(()), Irql::PASSIVE));
    assert_eq!((Irql::new(15), Irql::new(16), Irql::APC.number()), (Some(Irql::HIGH), None, 1));

    let (queue, stops) = start(&world, Who::Sys, 1);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let item = WorkItem::new(&queue, move |worker| {
        let old = worker.thread().raise_irql(Irql::APC).unwrap();
        worker.thread().lower_irql(old).unwrap();
        report(&sender, worker.thread().irql());
    });
    for _ in 0..2 {
        queue.queue(&item, Urgency::Delayed).unwrap();
        assert_eq!(seen.recv_timeout(SOON).unwrap(), Irql::PASSIVE);
    }
    drop(queue);
    assert!(stops.try_recv().is_err());
}

/// Panics when it is dropped, and with something that panics when it is dropped, and so on so many times.
struct Fuse(u32);

impl Fuse {
    fn length(&self) -> u32 {
        self.0
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        if self.0 > 0 && !std::thread::panicking() {
            std::panic::resume_unwind(Box::new(Self(self.0.saturating_sub(1))));
        }
    }
}

#[test]
fn an_item_that_panics_while_it_is_dropped_does_not_take_its_worker_along() {
    for length in [1, 2, 3] {
        let world = World::new();
        let (queue, stops) = start(&world, Who::Sys, 1);
        let (sender, seen) = channel();
        let sender = Mutex::new(sender);
        let fuse = Fuse(length);
        let item = WorkItem::new(&queue, move |_| report(&sender, fuse.length()));
        queue.queue(&item, Urgency::Delayed).unwrap();
        // The worker has the last handle.
        drop(item);
        assert_eq!(seen.recv_timeout(SOON).unwrap(), length);
        let (sender, seen) = channel();
        let sender = Mutex::new(sender);
        let next = WorkItem::new(&queue, move |_| report(&sender, ()));
        queue.queue(&next, Urgency::Delayed).unwrap();
        seen.recv_timeout(SOON).unwrap();
        assert_eq!(queue.live_workers(), 1);
        drop(queue);
        assert!(stops.try_recv().is_err());
    }
}

#[test]
fn a_worker_that_retires_lets_go_of_everything_though_one_thing_panics() {
    let world = World::new();
    let process = world.process(Who::Sys);
    let (sender, stops) = channel();
    let sender = Mutex::new(sender);
    // Who is told panics too.
    let on_bug_check = OnBugCheck::Retire(Box::new(move |stop| {
        sender.lock().unwrap().send(stop).unwrap();
        std::panic::resume_unwind(Box::new(()));
    }));
    let queue = WorkQueue::start(&process, WorkQueueOptions { workers: 1, capacity: 4, on_bug_check }).unwrap();
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let client = context(&world, Who::A, Imp);
    let (sender, threads) = channel();
    let sender = Mutex::new(sender);
    let dirty = WorkItem::new(&queue, move |worker| {
        report(&sender, worker.thread().clone());
        held.lock().unwrap().recv_timeout(SOON).unwrap();
        let _ = worker.thread().impersonate(&client).unwrap();
    });
    queue.queue(&dirty, Urgency::Delayed).unwrap();
    let worker = threads.recv_timeout(SOON).unwrap();
    let token = world.token(Who::B);
    let base = token.reference_count();
    for _ in 0..3 {
        let (fuse, kept) = (Fuse(1), token.clone());
        let item = WorkItem::new(&queue, move |_| assert!(fuse.length() > 0 && kept.level().is_none()));
        queue.queue(&item, Urgency::Delayed).unwrap();
    }
    release.send(()).unwrap();
    assert_eq!(stops.recv_timeout(SOON).unwrap().code, 0xDF);
    drop(queue);
    assert!(worker.has_exited() && !worker.is_impersonating());
    assert_eq!(token.reference_count(), base);
}
