//! Past vulnerabilities (section 4.4), each as the test that would have caught it. Those that need an operating system, and
//! the crate that looks at them, are in `golden/elsewhere.txt`.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use vicar_kernel::access::Access;
use vicar_kernel::anonymous::{AnonymousLogon, EveryoneIncludesAnonymous};
use vicar_kernel::handle::right;
use vicar_kernel::nt::Caller;
use vicar_kernel::object::{HandleValue, Handles, process_right, thread_right};
use vicar_kernel::pipe::{CAUTIOUS, FirstInstance, PipeNames};
use vicar_kernel::work::{BugCheck, OnBugCheck, Urgency, WorkItem, WorkQueue, WorkQueueOptions};
use vicar_kernel::{
    ClientContext, GateStep, OpenAs, Outcome, Policy, Process, Profile, SubjectContext, Thread, ThreadRef, TokenHandle,
};
use vicar_nt::check::AccessMode;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, NtStatus, Privilege, RequestedMask, Sid, well_known};

use crate::fixture::{
    Anonymous, DYNAMIC, Identification, Imp, Local, STATIC, Who, World, allowed, at, context, disabled, downgraded,
    terms, user_a, user_b,
};

const BAD: NtStatus = NtStatus::BAD_IMPERSONATION_LEVEL;

fn both() -> [World; 2] {
    [Policy::strict(), Policy::compatible()].map(|policy| World::with(Profile::V4, policy))
}

fn ask<'a>(descriptor: &'a vicar_nt::descriptor::Descriptor, mode: AccessMode) -> Access<'a> {
    Access {
        descriptor: Some(descriptor.as_ref()),
        desired: RequestedMask::GENERIC_READ,
        previously_granted: RequestedMask::NONE,
        mapping: GenericMapping::FILE,
        mode,
    }
}

/// The entry points that decide something for a thread.
fn entry_points(world: &World, thread: &ThreadRef) -> Vec<(&'static str, bool)> {
    let system_only = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;SY)", None).unwrap();
    let subject = || SubjectContext::capture(thread);
    let handles = Handles::new(&world.system);
    let caller = Caller { thread, handles: &handles };
    let process = handles.add_process(&world.process(Who::A), process_right::ALL).unwrap();
    let primary = handles.add_token(TokenHandle::with_rights(world.token(Who::A), right::ALL)).unwrap();
    let wearer = world.wearing(Who::Sys, Imp);
    vec![
        ("access check", subject().access_check(&ask(&system_only, AccessMode::User)).is_ok()),
        ("is an administrator", subject().is_admin().is_ok_and(|is| is)),
        ("logon session of the system", subject().authentication_id().is_ok_and(|id| id == vicar_nt::Luid::SYSTEM)),
        ("privilege", thread.holds(Privilege::Impersonate, AccessMode::User)),
        ("replace a process token", caller.set_process_token(process, primary).is_ok()),
        ("open a process token", caller.open_process_token(process, right::QUERY.into()).is_ok()),
        ("open a thread token", wearer.open_token(thread, right::QUERY.into(), OpenAs::Caller).is_ok()),
        ("open a thread", handles.open_thread(&subject(), &wearer, thread_right::ALL.into()).is_ok()),
        ("be captured as the system", {
            let captured = ClientContext::capture(thread, at(Imp, STATIC), Local);
            captured.is_ok_and(|context| context.token().state().user().sid == well_known::LOCAL_SYSTEM)
        }),
    ]
}

#[test]
fn cv03_no_entry_point_does_for_an_identified_system_what_it_does_not_do_for_a_guest() {
    for world in both() {
        let guest = TokenState::builder(crate::fixture::user(501))
            .group(well_known::GUESTS, vicar_nt::GroupAttributes::ALWAYS_ENABLED);
        let guest = Process::new(&world.system, world.token_of(guest, 0x501, 0)).unwrap();
        let plain = entry_points(&world, &Thread::new(&guest));
        for level in [Anonymous, Identification] {
            let thread = Thread::new(&world.process(Who::B));
            let token = world.imp(Who::Sys, level);
            let _ = thread.impersonate_token(&token, terms(level)).unwrap();
            for ((name, by_guest), (_, by_identified)) in plain.iter().zip(entry_points(&world, &thread)) {
                assert!(*by_guest || !by_identified, "{name} at {level}");
            }
        }
        // At Impersonation, the same entry points do work: they are not refused for another reason.
        let full = entry_points(&world, &world.wearing(Who::Sys, Imp));
        assert!(full.iter().filter(|(_, done)| *done).count() >= 7, "{full:?}");
    }
}

#[test]
fn cv05_an_identified_subject_is_refused_before_the_object_is_looked_at() {
    let world = World::new();
    let subject = SubjectContext::capture(&world.wearing(Who::Sys, Identification));
    for text in ["D:(A;;FA;;;SY)", "O:SYG:SYD:(D;;FA;;;SY)", "O:SYG:SYD:NO_ACCESS_CONTROL", "O:SYG:SYD:"] {
        let descriptor = vicar_nt::sddl::parse(text, None).unwrap();
        assert_eq!(subject.access_check(&ask(&descriptor, AccessMode::User)), Err(BAD), "{text}");
    }
}

#[test]
fn cv07_a_service_that_requires_the_system_denies_an_identified_one() {
    for world in both() {
        let require_system = |thread: &ThreadRef| {
            let subject = SubjectContext::capture(thread);
            let user = subject.for_authorisation()?.state().user().sid;
            if user == well_known::LOCAL_SYSTEM { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) }
        };
        assert_eq!(require_system(&world.wearing(Who::Sys, Identification)), Err(BAD));
        assert_eq!(require_system(&world.wearing(Who::B, Imp)), Err(NtStatus::ACCESS_DENIED));
        assert_eq!(require_system(&world.wearing(Who::Sys, Imp)), Ok(()));
    }
}

#[test]
fn cv09_what_is_done_for_a_client_runs_as_the_client_or_not_at_all() {
    let world = World::new();
    let server = world.thread(Who::Ns);
    let who = || server.reference_effective().token().state().user().sid;
    assert_eq!(server.with_client(&context(&world, Who::B, Imp), who), Ok(user_b()));
    assert_eq!(server.with_client(&context(&world, Who::B, Identification), who), Err(BAD));
    assert_eq!(who(), well_known::NETWORK_SERVICE);
}

#[test]
fn cv10_an_identified_token_does_not_decide_about_the_sandbox() {
    for world in both() {
        let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap();
        let thread = world.thread(Who::Ac1);
        let _ = thread.impersonate_token(&world.imp(Who::A, Identification), terms(Identification)).unwrap();
        let _ = anonymous.impersonate(&thread, &thread).unwrap();
        assert!(thread.reference_impersonation().unwrap().token.is_app_container());
    }
}

#[test]
fn cv11_a_less_privileged_caller_gets_a_less_privileged_anonymous_token() {
    for world in both() {
        let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::Yes).unwrap();
        let state = TokenState::builder(user_a()).app_container(Sid::new(15, &[2, 7]).unwrap()).less_privileged();
        let thread = Thread::new(&Process::new(&world.system, world.token_of(state, 0xA001, 0)).unwrap());
        let _ = anonymous.impersonate(&thread, &thread).unwrap();
        assert!(thread.reference_impersonation().unwrap().token.state().is_lpac());
    }
}

#[test]
fn cv12_a_wrapped_token_of_another_user_stays_out_of_reach() {
    let [strict, compatible] = both();
    assert_eq!(strict.level(Who::Ac1, Who::Bc1), downgraded(GateStep::User));
    assert_eq!(strict.level(Who::Ac1, Who::SysC1), downgraded(GateStep::User));
    // What the vulnerable rule allowed: the system itself, in a wrapping that anybody may make.
    assert_eq!(compatible.level(Who::Ac1, Who::Bc1), allowed());
    assert_eq!(compatible.level(Who::Ac1, Who::SysC1), allowed());
}

#[test]
fn cv13_nobody_gains_process_trust() {
    let [strict, compatible] = both();
    for who in [Who::BTrust, Who::AnonTrust] {
        let (_, worn) = strict.ask(Who::Ns, &strict.imp(who, Imp), Imp);
        assert_eq!(worn.token.state().trust(), None, "{who:?}");
        let (_, worn) = compatible.ask(Who::Ns, &compatible.imp(who, Imp), Imp);
        assert_eq!(worn.token.state().trust().is_some(), who == Who::AnonTrust);
        let process = strict.process(Who::B);
        assert_eq!(process.replace_primary(strict.token(who)).unwrap_err(), NtStatus::ACCESS_DENIED);
    }
}

#[test]
fn cv14_a_squatted_pipe_is_noticed_and_gives_identification_at_most() {
    let world = World::new();
    let names = PipeNames::new();
    let squatter = names.create(r"net\NtControlPipe1", FirstInstance::NotRequired).unwrap();
    let own = names.create(r"net\ntcontrolpipe1", FirstInstance::Required);
    assert_eq!(own.unwrap_err(), NtStatus::ACCESS_DENIED);
    let system = world.thread(Who::Sys);
    let client = names.open(r"NET\NtControlPipe1", &system, Some(DYNAMIC)).unwrap();
    client.write(&system, b"start").unwrap();
    squatter.read(10).unwrap();
    let attacker = world.thread(Who::A);
    let outcome = squatter.impersonate(&attacker).unwrap();
    assert_eq!(outcome, Outcome::Downgraded { step: GateStep::Integrity });
    drop((squatter, client));
    assert!(names.create(r"net\ntcontrolpipe1", FirstInstance::Required).is_ok());
}

#[test]
fn cv15_opening_a_name_shows_who_one_is_and_no_more() {
    let world = World::new();
    let names = PipeNames::new();
    let pipe = names.create("anything", FirstInstance::Required).unwrap();
    let client = names.open("anything", &world.thread(Who::B), None).unwrap();
    assert_eq!((client.qos(), client.qos().level), (CAUTIOUS, Identification));
    let server = world.thread(Who::Ns);
    let _ = pipe.impersonate(&server).unwrap();
    assert_eq!(server.reference_impersonation().unwrap().level, Identification);
    let missing = names.open("nothing", &world.thread(Who::B), None);
    assert_eq!(missing.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
}

fn queue(world: &World) -> (WorkQueue, std::sync::mpsc::Receiver<BugCheck>) {
    let (sender, stops) = channel();
    let sender = Mutex::new(sender);
    let on_bug_check = OnBugCheck::Retire(Box::new(move |stop| sender.lock().unwrap().send(stop).unwrap()));
    let options = WorkQueueOptions { workers: 1, capacity: 4, on_bug_check };
    (WorkQueue::start(&world.process(Who::Sys), options).unwrap(), stops)
}

#[test]
fn cv16_a_pool_thread_keeps_no_token_and_strangers_cannot_open_it() {
    let world = World::new();
    let (queue, stops) = queue(&world);
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let client = context(&world, Who::B, Imp);
    let item = WorkItem::new(&queue, move |worker| {
        worker.thread().with_client(&client, || ()).unwrap();
        sender.lock().unwrap().send(worker.thread().clone()).unwrap();
    });
    queue.queue(&item, Urgency::Delayed).unwrap();
    let worker = seen.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(!worker.is_impersonating());
    let handles = Handles::new(&world.system);
    for who in [Who::Ns, Who::A, Who::B] {
        let subject = SubjectContext::capture(&world.thread(who));
        let opened = handles.open_thread(&subject, &worker, thread_right::SET_THREAD_TOKEN.into());
        assert_eq!(opened, Err(NtStatus::ACCESS_DENIED), "{who:?}");
    }
    drop(queue);
    assert!(stops.try_recv().is_err());
}

#[test]
fn cv17_a_service_that_is_led_to_a_strangers_pipe_gives_identification_at_most() {
    for world in both() {
        let names = PipeNames::new();
        let pipe = names.create("trace", FirstInstance::NotRequired).unwrap();
        let service = world.thread(Who::Ns);
        let client = names.open("trace", &service, Some(DYNAMIC)).unwrap();
        client.write(&service, b"log").unwrap();
        pipe.read(10).unwrap();
        let attacker = world.thread(Who::A);
        assert!(matches!(pipe.impersonate(&attacker).unwrap(), Outcome::Downgraded { .. }));
    }
}

#[test]
fn cv18_a_holder_of_the_privilege_takes_the_system_and_one_without_does_not() {
    for world in both() {
        assert_eq!(world.level(Who::Ns, Who::Sys), allowed(), "this is the rule, and why the privilege matters");
        assert_eq!(world.level(Who::Nsx, Who::Sys), downgraded(GateStep::User));
        let service = world.thread(Who::Ns);
        let _ = service.process().reference_primary().adjust_privileges(&[disabled(Privilege::Impersonate)]);
        let outcome = service.impersonate_token(&world.imp(Who::Sys, Imp), terms(Imp)).unwrap();
        assert_eq!(outcome, Outcome::Downgraded { step: GateStep::User });
    }
}

#[test]
fn cv19_a_thread_of_a_stronger_process_is_taken_on_for_identifying_only() {
    for world in both() {
        let low = world.thread(Who::A);
        let system = world.thread(Who::Sys);
        let handles = Handles::new(&world.system);
        let caller = Caller { thread: &low, handles: &handles };
        let own = handles.add_thread(&low, thread_right::ALL).unwrap();
        let seen = handles.add_thread(&system, thread_right::QUERY_INFORMATION).unwrap();
        let qos = STATIC.to_bytes();
        assert_eq!(caller.impersonate_thread(own, seen, qos), Err(NtStatus::ACCESS_DENIED));
        let leaked = handles.add_thread(&system, thread_right::DIRECT_IMPERSONATION).unwrap();
        assert!(matches!(caller.impersonate_thread(own, leaked, qos), Ok(Outcome::Downgraded { .. })));
        assert_eq!(low.reference_impersonation().unwrap().level, Identification);
    }
}

#[test]
fn cv21_a_privileged_action_without_a_client_is_the_servers_own_and_says_so() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;SY)", None).unwrap();
    let check = || SubjectContext::capture(&server).access_check(&ask(&descriptor, AccessMode::User)).map(|_| ());
    assert_eq!(check(), Ok(()));
    let as_client = server.with_client(&context(&world, Who::B, Imp), check);
    assert_eq!(as_client, Ok(Err(NtStatus::ACCESS_DENIED)));
}

#[test]
fn cv24_a_check_on_the_kernels_own_behalf_is_asked_for_by_name() {
    let world = World::new();
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;SY)", None).unwrap();
    let subject = SubjectContext::capture(&world.wearing(Who::B, Imp));
    assert_eq!(subject.access_check(&ask(&descriptor, AccessMode::User)), Err(NtStatus::ACCESS_DENIED));
    assert!(subject.access_check(&ask(&descriptor, AccessMode::Kernel)).is_ok());
}

#[test]
fn cv25_two_tokens_of_one_session_are_told_apart() {
    let world = World::new();
    let halves = [Who::A, Who::Ar].map(|who| world.token(who));
    assert_eq!(halves[0].authentication_id(), halves[1].authentication_id());
    let contexts = halves.each_ref().map(|token| ClientContext::from_token(token, DYNAMIC, Local).unwrap());
    assert_ne!(contexts[0].token().id(), contexts[1].token().id());
    assert_ne!(contexts[0].token().state_id(), contexts[1].token().state_id());
    assert!(!contexts[0].token().is_restricted() && contexts[1].token().is_restricted());
}

#[test]
fn cv26_a_number_that_names_somebody_in_one_process_names_nobody_in_another() {
    let world = World::new();
    let (mine, theirs) = (Handles::new(&world.system), Handles::new(&world.system));
    let handle = mine.add_token(TokenHandle::with_rights(world.token(Who::Sys), right::ALL)).unwrap();
    assert_eq!(theirs.token(handle).unwrap_err(), NtStatus::INVALID_HANDLE);
    assert_eq!(mine.token(HandleValue::new(handle.number() + 4)).unwrap_err(), NtStatus::INVALID_HANDLE);
}

#[test]
fn cv27_a_worker_that_does_not_revert_serves_nobody_again() {
    let world = World::new();
    let (queue, stops) = queue(&world);
    let client = context(&world, Who::B, Imp);
    let item = WorkItem::new(&queue, move |worker| {
        let _ = worker.thread().impersonate(&client).unwrap();
    });
    queue.queue(&item, Urgency::Delayed).unwrap();
    let stop = stops.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(stop.code, BugCheck::IMPERSONATING_WORKER_THREAD);
    assert_eq!(queue.live_workers(), 0);
}
