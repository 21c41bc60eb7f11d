//! Work that needs more rights than its client has.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vicar_kernel::access::Access;
use vicar_kernel::audit::{Event, What};
use vicar_kernel::elevate::{Acting, Elevated, Raise, RaiseError, Ticket, raise_of};
use vicar_kernel::work::{ItemState, OnBugCheck, WorkQueue, WorkQueueOptions};
use vicar_kernel::{Elevator, GateStep, Outcome, Policy, Profile, Request, SubjectContext};
use vicar_nt::check::AccessMode;
use vicar_nt::descriptor::Descriptor;
use vicar_nt::{GenericMapping, NtStatus, RequestedMask, Sid};

use crate::fixture::{Anonymous, Identification, Imp, Who, World, context, user_a, user_b};

const SOON: Duration = Duration::from_secs(20);

fn elevator(world: &World, system: Who, capacity: usize) -> Elevator {
    let on_bug_check = OnBugCheck::Retire(Box::new(|stop| assert_eq!(stop.code, 0, "{stop:?}")));
    let options = WorkQueueOptions { workers: 1, capacity, on_bug_check };
    Elevator::new(WorkQueue::start(&world.process(system), options).unwrap())
}

/// The object that the requests of these tests are about: B may read it.
fn log_of_b() -> Descriptor {
    vicar_nt::sddl::parse(&format!("O:SYG:SYD:(A;;FR;;;{})", user_b()), None).unwrap()
}

fn may_read_log(subject: &SubjectContext) -> Result<(), NtStatus> {
    let descriptor = log_of_b();
    let access = Access {
        descriptor: Some(descriptor.as_ref()),
        desired: RequestedMask::GENERIC_READ,
        previously_granted: RequestedMask::NONE,
        mapping: GenericMapping::FILE,
        mode: AccessMode::User,
    };
    subject.access_check(&access).map(drop)
}

/// Tells who did it.
#[derive(Debug)]
struct ReadLog;

impl Request for ReadLog {
    const NAME: &'static str = "read-log";
    const ACTING: Acting = Acting::ForItself;
    type Answer = (Sid, bool);

    fn approve(&self, subject: &SubjectContext) -> Result<(), NtStatus> {
        may_read_log(subject)
    }

    fn perform(self, worker: &Elevated<'_>) -> Result<Self::Answer, NtStatus> {
        assert_eq!(worker.as_client(|| ()), Err(NtStatus::CANNOT_IMPERSONATE));
        let thread = worker.thread();
        let user = thread.reference_effective().token().state().user().sid;
        Ok((user, thread.is_impersonating()))
    }
}

/// Acts as the client for a part, and as the system for the rest; waits until it may begin.
struct CopyOut {
    begin: Arc<Mutex<Receiver<()>>>,
}

impl Request for CopyOut {
    const NAME: &'static str = "copy-out";
    const ACTING: Acting = Acting::AlsoAsClient;
    type Answer = [Sid; 2];

    fn approve(&self, _: &SubjectContext) -> Result<(), NtStatus> {
        Ok(())
    }

    fn perform(self, worker: &Elevated<'_>) -> Result<Self::Answer, NtStatus> {
        self.begin.lock().unwrap().recv_timeout(SOON).unwrap();
        let thread = worker.thread();
        let who = || thread.reference_effective().token().state().user().sid;
        let client = worker.as_client(who)?;
        Ok([client, who()])
    }
}

fn copy_out() -> (CopyOut, Sender<()>) {
    let (sender, begin) = channel();
    (CopyOut { begin: Arc::new(Mutex::new(begin)) }, sender)
}

#[test]
fn an_approved_request_is_done_by_the_system_and_the_client_never_changes() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 4);
    let client = world.wearing(Who::B, Imp);
    let before = client.reference_impersonation().unwrap().token.id();
    let ticket = elevator.submit(&client, ReadLog).unwrap();
    assert_eq!(ticket.wait(), Ok((vicar_nt::well_known::LOCAL_SYSTEM, false)));
    assert_eq!(client.reference_impersonation().unwrap().token.id(), before);
}

#[test]
fn a_request_is_judged_as_the_client_before_it_is_queued() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 4);
    let refused = |who, level| elevator.submit(&world.wearing(who, level), ReadLog).unwrap_err();
    assert_eq!(refused(Who::A, Imp), NtStatus::ACCESS_DENIED);
    assert_eq!(refused(Who::B, Identification), NtStatus::BAD_IMPERSONATION_LEVEL);
    assert_eq!(refused(Who::B, Anonymous), NtStatus::BAD_IMPERSONATION_LEVEL);
}

#[test]
fn the_worker_acts_as_the_client_where_it_says_so_and_as_itself_afterwards() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 4);
    let (request, begin) = copy_out();
    let client = world.wearing(Who::B, Imp);
    let ticket = elevator.submit(&client, request).unwrap();
    // The client may revert or go: what was captured stays.
    client.revert();
    drop(client);
    assert_eq!(ticket.wait_for(Duration::from_millis(1)), Err(NtStatus::IO_TIMEOUT));
    begin.send(()).unwrap();
    assert_eq!(ticket.wait(), Ok([user_b(), vicar_nt::well_known::LOCAL_SYSTEM]));
    let (request, _begin) = copy_out();
    let identified = world.wearing(Who::B, Identification);
    assert_eq!(elevator.submit(&identified, request).unwrap_err(), NtStatus::BAD_IMPERSONATION_LEVEL);
}

#[test]
fn a_system_that_may_only_identify_does_not_act_at_all() {
    let world = World::new();
    let elevator = elevator(&world, Who::Nsx, 4);
    let (request, begin) = copy_out();
    begin.send(()).unwrap();
    let ticket = elevator.submit(&world.wearing(Who::B, Imp), request).unwrap();
    assert_eq!(ticket.wait(), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
}

#[test]
fn a_cancelled_request_never_runs_and_its_client_is_released_once() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 4);
    let client = world.wearing(Who::B, Imp);
    let (first, begin) = copy_out();
    let running: Ticket<_> = elevator.submit(&client, first).unwrap();
    let balance = world.system.balance();
    let bytes = world.system.pool().in_use_bytes();
    let (second, _never) = copy_out();
    let waiting = elevator.submit(&client, second).unwrap();
    assert!(elevator.cancel(waiting));
    assert_eq!((world.system.balance(), world.system.pool().in_use_bytes()), (balance, bytes));
    begin.send(()).unwrap();
    running.wait().unwrap();
}

#[test]
fn a_full_queue_refuses_instead_of_doing_it_here() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 1);
    let client = world.wearing(Who::B, Imp);
    let mut begins = Vec::new();
    let mut refused = None;
    for _ in 0..3 {
        let (request, begin) = copy_out();
        begin.send(()).unwrap();
        let (held, hold) = copy_out();
        begins.push(hold);
        drop(request);
        if let Err(status) = elevator.submit(&client, held) {
            refused = Some(status);
        }
    }
    assert_eq!(refused, Some(NtStatus::INSUFFICIENT_RESOURCES));
    for begin in begins {
        let _ = begin.send(());
    }
}

#[test]
fn what_is_done_upwards_is_told() {
    let world = World::new();
    let told: Arc<Mutex<Vec<What>>> = Arc::default();
    let sink = Arc::clone(&told);
    world.system.set_audit(Some(Arc::new(move |event: &Event| sink.lock().unwrap().push(event.what.clone()))));
    let elevator = elevator(&world, Who::Sys, 4);
    elevator.submit(&world.wearing(Who::B, Imp), ReadLog).unwrap().wait().unwrap();
    let expected = What::Elevated { request: "read-log", client: user_b(), status: NtStatus::SUCCESS };
    assert!(told.lock().unwrap().contains(&expected));
    let _ = elevator.submit(&world.wearing(Who::A, Imp), ReadLog).unwrap_err();
    let last = told.lock().unwrap().last().cloned();
    let attempt = vicar_kernel::audit::Attempt::Elevate;
    assert_eq!(last, Some(What::Refused { attempt, status: NtStatus::ACCESS_DENIED }));
}

#[test]
fn raising_a_thread_is_refused_with_a_reason_or_left_to_the_gate() {
    for (policy, is_strict) in [(Policy::strict(), true), (Policy::compatible(), false)] {
        let world = World::with(Profile::V4, policy);
        let thread = world.thread(Who::A);
        let answer = thread.raise(&context(&world, Who::Sys, Imp));
        if is_strict {
            assert_eq!(answer, Err(RaiseError::Refused(Raise::System)));
            assert!(!thread.is_impersonating());
            let text = answer.unwrap_err().to_string();
            assert!(text.contains("system worker"), "{text}");
        } else {
            assert_eq!(answer, Ok(Outcome::Downgraded { step: GateStep::Integrity }));
        }
        let equal = world.thread(Who::A);
        assert_eq!(equal.raise(&context(&world, Who::A, Imp)), Ok(Outcome::AsRequested));
    }
}

#[test]
fn every_kind_of_more_is_noticed() {
    let world = World::new();
    let raise = |process, client| raise_of(&world.token(process).state(), &world.token(client).state());
    assert_eq!(raise(Who::A, Who::Sys), Some(Raise::System));
    assert_eq!(raise(Who::A, Who::Ae), Some(Raise::Administrator));
    assert_eq!(raise(Who::Al, Who::A), Some(Raise::Integrity));
    assert_eq!(raise(Who::A, Who::BTrust), Some(Raise::Trust));
    assert!(matches!(raise(Who::Ns, Who::B), Some(Raise::Privilege(_))));
    assert_eq!(raise(Who::A, Who::B), None);
    assert_eq!(raise(Who::Sys, Who::Ae), None);
    assert_ne!(user_a(), user_b());
}

#[test]
fn an_item_is_idle_queued_and_running_in_turn() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 4);
    let queue = elevator.queue();
    let (entered, inside) = channel();
    let (go, gate) = channel::<()>();
    let (entered, gate) = (Mutex::new(entered), Mutex::new(gate));
    let item = vicar_kernel::WorkItem::new(queue, move |_| {
        entered.lock().unwrap().send(()).unwrap();
        gate.lock().unwrap().recv_timeout(SOON).unwrap();
    });
    assert_eq!(item.state(), ItemState::Idle);
    queue.queue(&item, vicar_kernel::work::Urgency::Critical).unwrap();
    inside.recv_timeout(SOON).unwrap();
    assert_eq!(item.state(), ItemState::Running);
    queue.queue(&item, vicar_kernel::work::Urgency::Critical).unwrap();
    assert_eq!(item.state(), ItemState::RunningAndQueued);
    go.send(()).unwrap();
    inside.recv_timeout(SOON).unwrap();
    go.send(()).unwrap();
    drop(elevator);
    assert_eq!(item.state(), ItemState::Idle);
}

/// An elevator with one worker, an item that stays a client as soon as it may, and the word that lets it.
fn elevator_that_will_stop(world: &World) -> (Elevator, Sender<()>) {
    let options = WorkQueueOptions { workers: 1, capacity: 8, on_bug_check: OnBugCheck::Retire(Box::new(|_| ())) };
    let elevator = Elevator::new(WorkQueue::start(&world.process(Who::Sys), options).unwrap());
    let client = context(world, Who::A, Imp);
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let item = vicar_kernel::WorkItem::new(elevator.queue(), move |worker| {
        gate.lock().unwrap().recv_timeout(SOON).unwrap();
        let _ = worker.thread().impersonate(&client).unwrap();
    });
    elevator.queue().queue(&item, vicar_kernel::work::Urgency::Critical).unwrap();
    (elevator, go)
}

#[test]
fn requests_that_no_worker_is_left_for_are_cancelled_and_their_clients_released() {
    let world = World::new();
    let client = world.wearing(Who::B, Imp);
    let (elevator, go) = elevator_that_will_stop(&world);
    let bytes = world.system.pool().in_use_bytes();
    let tickets: Vec<Ticket<_>> = (0..2).map(|_| elevator.submit(&client, copy_out().0).unwrap()).collect();
    let plain = vicar_kernel::WorkItem::new(elevator.queue(), |_| ());
    elevator.queue().queue(&plain, vicar_kernel::work::Urgency::Delayed).unwrap();
    go.send(()).unwrap();
    for ticket in tickets {
        assert_eq!(ticket.wait_for(SOON), Err(NtStatus::CANCELLED));
        assert_eq!(ticket.wait(), Err(NtStatus::CANCELLED));
    }
    assert_eq!(plain.state(), ItemState::Idle);
    assert!(world.system.pool().in_use_bytes() <= bytes);
    assert_eq!(elevator.submit(&client, copy_out().0).unwrap_err(), NtStatus::PROCESS_IS_TERMINATING);
}

#[test]
fn a_request_whose_worker_was_given_a_token_from_outside_is_cancelled() {
    let world = World::new();
    let client = world.wearing(Who::B, Imp);
    let options = WorkQueueOptions { workers: 1, capacity: 8, on_bug_check: OnBugCheck::Retire(Box::new(|_| ())) };
    let elevator = Elevator::new(WorkQueue::start(&world.process(Who::Sys), options).unwrap());
    let (sender, worker) = channel();
    let sender = Mutex::new(sender);
    let item = vicar_kernel::WorkItem::new(elevator.queue(), move |worker| {
        sender.lock().unwrap().send(worker.thread().clone()).unwrap();
    });
    elevator.queue().queue(&item, vicar_kernel::work::Urgency::Critical).unwrap();
    let worker: vicar_kernel::ThreadRef = worker.recv_timeout(SOON).unwrap();
    while item.state() != ItemState::Idle {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(20)); // the look at the worker after the item
    let _ = worker.impersonate(&context(&world, Who::A, Imp)).unwrap();
    let ticket = elevator.submit(&client, ReadLog);
    if let Ok(ticket) = ticket {
        assert_eq!(ticket.wait_for(SOON), Err(NtStatus::CANCELLED));
    }
    assert_eq!(elevator.submit(&client, ReadLog).unwrap_err(), NtStatus::PROCESS_IS_TERMINATING);
}

#[test]
fn a_request_that_panics_is_cancelled() {
    let world = World::new();
    let elevator = elevator(&world, Who::Sys, 4);
    let (request, begin) = copy_out();
    drop(begin);
    let ticket = elevator.submit(&world.wearing(Who::B, Imp), request).unwrap();
    assert_eq!(ticket.wait(), Err(NtStatus::CANCELLED));
}
