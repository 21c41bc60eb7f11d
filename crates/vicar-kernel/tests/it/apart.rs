//! Cases that share a situation with another one and are told apart here.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vicar_kernel::access::Access;
use vicar_kernel::anonymous::{AnonymousLogon, EveryoneIncludesAnonymous};
use vicar_kernel::handle::right;
use vicar_kernel::job::{Job, JobLimit};
use vicar_kernel::token::{DuplicateKind, Info, InfoClass};
use vicar_kernel::work::{BugCheck, OnBugCheck, Urgency, WorkItem, WorkQueue, WorkQueueOptions};
use vicar_kernel::{
    ClientContext, Duplicate, OpenAs, Outcome, Profile, Qos, Reach, SubjectContext, Thread, TokenHandle,
};
use vicar_nt::check::AccessMode;
use vicar_nt::{GenericMapping, NtStatus, Privilege, RequestedMask, well_known};

use crate::fixture::{
    DYNAMIC, Delegation, Identification, Imp, Local, Who, World, context, enabled, imp, terms, user_a, user_b,
};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn t026_reverting_by_no_token_ignores_everything_else_and_succeeds_either_way() {
    let world = World::new();
    let thread = world.wearing(Who::A, Imp);
    thread.revert();
    assert!(!thread.is_impersonating());
    thread.revert();
    assert!(!thread.is_impersonating() && thread.reference_impersonation().is_none());
}

#[test]
fn t034_releasing_nothing_is_harmless() {
    let world = World::new();
    let balance = world.system.balance();
    let thread = world.thread(Who::A);
    let inside = world.system.balance();
    drop(thread.reference_impersonation());
    assert_eq!(world.system.balance(), inside);
    drop(thread);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t047_an_effective_only_live_client_shows_an_opener_only_what_it_had_enabled() {
    let world = World::new();
    let client = world.thread(Who::B);
    let server = world.thread(Who::Sys);
    let context = ClientContext::capture(&client, Qos { reach: Reach::EffectiveOnly, ..DYNAMIC }, Local).unwrap();
    let _ = server.impersonate(&context).unwrap();
    let opened = server.open_token(&server, right::QUERY.into(), OpenAs::Process).unwrap();
    let held = opened.query().unwrap().privileges().present();
    assert!(held.contains(Privilege::ChangeNotify) && !held.contains(Privilege::Shutdown));
    assert!(context.token().state().privileges().present().contains(Privilege::Shutdown));
}

#[test]
fn t098_a_restricted_token_job_takes_a_restricted_token() {
    let world = World::with(Profile::V1, crate::fixture::policy());
    let process = world.process(Who::Sys);
    let job = Job::new();
    job.limit(JobLimit::RestrictedToken);
    job.limit(JobLimit::OnlyToken);
    process.assign_job(&job).unwrap();
    let thread = Thread::new(&process);
    assert_eq!(thread.impersonate_token(&world.imp(Who::Ar, Imp), terms(Imp)), Ok(Outcome::AsRequested));
    assert_eq!(thread.impersonate_token(&world.imp(Who::A, Imp), terms(Imp)), Err(NtStatus::ACCESS_DENIED));
}

#[test]
fn t106_an_identified_thread_cannot_open_its_token_as_the_client() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let _ = thread.impersonate_self(Identification).unwrap();
    let opened = thread.open_token(&thread, right::QUERY.into(), OpenAs::Caller);
    assert_eq!(opened.unwrap_err(), NtStatus::BAD_IMPERSONATION_LEVEL);
}

#[test]
fn t111_a_second_open_gives_the_object_of_the_first() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let _ = server.impersonate(&context(&world, Who::A, Imp)).unwrap();
    let open = || server.open_token(&server, right::QUERY.into(), OpenAs::Process).unwrap();
    assert!(open().is_same_object(&open()));
    assert!(!server.reference_impersonation().unwrap().copy_on_open);
}

#[test]
fn t122_a_primary_copy_of_a_delegation_token_has_no_level_to_query() {
    let world = World::new();
    let wanted = Duplicate { kind: DuplicateKind::Primary, level: None, reach: Reach::AllHeld };
    let primary = world.imp(Who::A, Delegation).duplicate(wanted).unwrap();
    let level = primary.query_information(InfoClass::ImpersonationLevel);
    assert_eq!(level.unwrap_err(), NtStatus::INVALID_INFO_CLASS);
    assert!(matches!(primary.query_information(InfoClass::Type), Ok(Info::Type(vicar_kernel::TokenKind::Primary))));
}

#[test]
fn t159_generic_rights_are_not_for_a_servers_own_check() {
    let world = World::new();
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;WD)", None).unwrap();
    let access = Access {
        descriptor: Some(descriptor.as_ref()),
        desired: RequestedMask::GENERIC_READ,
        previously_granted: RequestedMask::NONE,
        mapping: GenericMapping::FILE,
        mode: AccessMode::User,
    };
    let handle = TokenHandle::with_rights(world.imp(Who::A, Imp), right::QUERY);
    assert_eq!(handle.access_check(&access), Err(NtStatus::GENERIC_NOT_MAPPED));
    assert_eq!(world.imp(Who::A, Imp).access_check(&access), Err(NtStatus::GENERIC_NOT_MAPPED));
}

#[test]
fn t164_a_new_thread_wears_nobody() {
    let world = World::new();
    let maker = world.wearing(Who::B, Imp);
    let made = Thread::new(maker.process());
    assert!(maker.is_impersonating() && !made.is_impersonating());
}

#[test]
fn t177_while_anonymous_the_process_stays_itself_and_the_thread_is_nobody() {
    let world = World::new();
    let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap();
    let thread = world.thread(Who::A);
    let _ = anonymous.impersonate(&thread, &thread).unwrap();
    let user = |token: &vicar_kernel::TokenRef| token.state().user().sid;
    assert_eq!(user(&thread.process().reference_primary()), user_a());
    assert_eq!(user(&thread.reference_impersonation().unwrap().token), well_known::ANONYMOUS);
    assert_eq!(user(thread.reference_effective().token()), well_known::ANONYMOUS);
    assert_eq!(user(SubjectContext::capture(&thread).for_authorisation().unwrap()), well_known::ANONYMOUS);
}

fn queue(world: &World) -> (WorkQueue, std::sync::mpsc::Receiver<BugCheck>) {
    let (sender, stops) = channel();
    let sender = Mutex::new(sender);
    let on_bug_check = OnBugCheck::Retire(Box::new(move |stop| sender.lock().unwrap().send(stop).unwrap()));
    let options = WorkQueueOptions { workers: 1, capacity: 4, on_bug_check };
    (WorkQueue::start(&world.process(Who::Sys), options).unwrap(), stops)
}

#[test]
fn t207_the_numbers_of_an_item_that_is_gone_are_still_told() {
    let world = World::new();
    let (queue, stops) = queue(&world);
    let client = context(&world, Who::A, Imp);
    let own: Arc<Mutex<Option<WorkItem>>> = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&own);
    let item = WorkItem::with_parameter(&queue, 77, move |worker| {
        drop(slot.lock().unwrap().take());
        let _ = worker.thread().impersonate(&client).unwrap();
    });
    let expected = [item.routine_number(), 77, item.number(), 0];
    *own.lock().unwrap() = Some(item.clone());
    queue.queue(&item, Urgency::Delayed).unwrap();
    drop(item);
    assert_eq!(stops.recv_timeout(SOON).unwrap(), BugCheck { code: 0xDF, parameters: expected });
}

#[test]
fn t212_a_worker_of_the_system_acts_as_the_client_at_impersonation() {
    let world = World::new();
    let (queue, _stops) = queue(&world);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let client = context(&world, Who::A, Imp);
    let item = WorkItem::new(&queue, move |worker| {
        let inside = worker.thread().with_client(&client, || {
            let worn = worker.thread().reference_impersonation().unwrap();
            (worn.level, worn.token.state().user().sid)
        });
        sender.lock().unwrap().send(inside).unwrap();
    });
    queue.queue(&item, Urgency::Delayed).unwrap();
    assert_eq!(seen.recv_timeout(SOON).unwrap(), Ok((Imp, user_a())));
}

#[test]
fn t215_the_device_lives_until_its_item_has_run() {
    let world = World::new();
    let (queue, _stops) = queue(&world);
    let device = Arc::new(Mutex::new("there"));
    let (gone, owned) = (Arc::downgrade(&device), Arc::clone(&device));
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    queue
        .queue(
            &WorkItem::new(&queue, move |_| sender.lock().unwrap().send(*owned.lock().unwrap()).unwrap()),
            Urgency::Delayed,
        )
        .unwrap();
    drop(device);
    assert_eq!(seen.recv_timeout(SOON).unwrap(), "there");
    drop(queue);
    assert!(gone.upgrade().is_none());
}

#[test]
fn t227_a_reference_taken_while_the_thread_reverts_is_whole_or_nothing() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    let token = world.imp(Who::B, Imp);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2000 {
                let _ = thread.impersonate_token(&token, terms(Imp)).unwrap();
                thread.revert();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    if let Some(worn) = thread.reference_impersonation() {
                        assert_eq!((worn.level, worn.token.state().user().sid), (Imp, user_b()));
                    }
                }
            });
        }
    });
    assert_eq!(token.reference_count(), 1);
}

#[test]
fn a_privilege_enabled_by_one_holder_of_a_token_counts_for_all() {
    let world = World::new();
    let token = imp(&world.token(Who::B), Imp);
    let thread = world.thread(Who::Sys);
    assert_eq!(thread.assign(&token), Ok(Outcome::AsRequested));
    assert!(!thread.holds(Privilege::Shutdown, AccessMode::User));
    let _ = token.adjust_privileges(&[enabled(Privilege::Shutdown)]);
    assert!(thread.holds(Privilege::Shutdown, AccessMode::User));
    assert!(thread.holds(Privilege::Debug, AccessMode::Kernel));
}
