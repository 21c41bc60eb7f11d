//! What is told to an audit sink, and what a verifier finds.

use std::sync::{Arc, Mutex};

use vicar_kernel::audit::{Attempt, Event, What};
use vicar_kernel::verifier::{Finding, Report};
use vicar_kernel::work::{OnBugCheck, Urgency, WorkItem, WorkQueue, WorkQueueOptions};
use vicar_kernel::{ClientContext, GateStep, Outcome, Policy, Profile, SubjectContext, System};
use vicar_nt::NtStatus;

use crate::fixture::{Delegation, Identification, Imp, Local, STATIC, Who, World, at, context, terms, user_b};

fn listening(world: &World) -> Arc<Mutex<Vec<Event>>> {
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = Arc::clone(&told);
    world.system.set_audit(Some(Arc::new(move |event: &Event| sink.lock().unwrap().push(event.clone()))));
    told
}

#[test]
fn capture_impersonation_revert_and_refusal_are_told_with_their_lines() {
    let world = World::new();
    let client = world.thread(Who::B);
    let server = world.thread(Who::Ns);
    let told = listening(&world);
    let context = ClientContext::capture(&client, STATIC, Local).unwrap();
    let line = line!() - 1;
    let _ = server.impersonate(&context).unwrap();
    server.revert();
    server.revert();
    let identified = world.wearing(Who::B, Identification);
    let _ = ClientContext::capture(&identified, STATIC, Local).unwrap_err();
    world.system.set_audit(None);
    server.revert();
    let told = told.lock().unwrap();
    let whats: Vec<&What> = told.iter().map(|event| &event.what).collect();
    let token = context.token().id();
    let (user, thread) = (user_b(), server.id());
    assert_eq!(whats[0], &What::Captured { token, user, level: Imp, is_direct: false });
    assert_eq!((told[0].at.file(), told[0].at.line()), (file!(), line));
    assert_eq!(whats[1], &What::Impersonated { thread, token, user, level: Imp });
    assert_eq!(whats[2], &What::Reverted { thread });
    let status = NtStatus::BAD_IMPERSONATION_LEVEL;
    assert_eq!(whats.last().unwrap(), &&What::Refused { attempt: Attempt::Capture, status });
    assert_eq!(whats.len(), 5, "a revert of nobody is not told: {whats:?}");
    assert!(told[1].to_string().contains("wears"));
}

#[test]
fn a_downgrade_is_told_with_the_gates_reasons() {
    let world = World::new();
    let weak = world.thread(Who::A);
    let told = listening(&world);
    let outcome = weak.impersonate_token(&world.imp(Who::B, Imp), terms(Imp)).unwrap();
    assert_eq!(outcome, Outcome::Downgraded { step: GateStep::User });
    let told = told.lock().unwrap();
    let What::Downgraded { user, verdict, .. } = &told.last().unwrap().what else { panic!("{told:?}") };
    assert_eq!((*user, verdict.step), (user_b(), GateStep::User));
}

fn verified() -> World {
    World { system: System::with_verifier(Profile::V4, Policy::strict()) }
}

fn report(world: &World) -> Report {
    world.system.verify().unwrap()
}

#[test]
fn an_ordinary_system_is_not_verified() {
    let world = World::new();
    assert!(world.system.verify().is_none());
    let reported = Mutex::new(false);
    drop(world.system.verify_at_end(|_| *reported.lock().unwrap() = true));
    assert!(!*reported.lock().unwrap());
}

#[test]
fn what_is_held_is_named_by_its_line_and_a_clean_end_is_clean() {
    let world = verified();
    let clean = Mutex::new(None);
    {
        let _end = world.system.verify_at_end(|report| *clean.lock().unwrap() = Some(report.is_clean()));
        let client = world.thread(Who::B);
        let server = world.thread(Who::Ns);
        let context = ClientContext::capture(&client, STATIC, Local).unwrap();
        let line = line!() - 1;
        let copy = context.clone();
        let _ = server.impersonate(&context).unwrap();
        let now = report(&world);
        assert_eq!(now.contexts.iter().map(|(_, count)| count).sum::<usize>(), 2);
        assert!(now.contexts.iter().any(|(site, _)| (site.file(), site.line()) == (file!(), line)));
        assert_eq!(now.impersonating.iter().map(|(thread, _)| *thread).collect::<Vec<_>>(), [server.id()]);
        assert!(!now.is_clean() && now.findings.is_empty() && !now.references.is_empty());
        assert!(now.to_string().contains("held: 1 contexts captured at"));
        server.revert();
        drop((context, copy));
    }
    assert_eq!(*clean.lock().unwrap(), Some(true));
    let end = report(&world);
    assert!(end.locks > 0 && end.captures == 2 && end.impersonations == 1, "{end}");
}

#[test]
fn a_leaked_context_is_found_where_it_was_captured() {
    let world = verified();
    let leaked: Box<ClientContext> = Box::new(context(&world, Who::B, Imp));
    let _ = Box::leak(leaked);
    let report = report(&world);
    assert_eq!(report.contexts.len(), 1);
    assert!(!report.is_clean());
}

#[test]
fn a_thread_that_ends_as_somebody_is_found() {
    let world = verified();
    for forgotten in [false, true] {
        let server = world.thread(Who::Ns);
        let _ = server.impersonate(&context(&world, Who::B, Imp)).unwrap();
        let thread = server.id();
        if forgotten {
            drop(server);
        } else {
            server.exit();
        }
        let last = report(&world).findings.last().copied();
        assert!(matches!(last, Some(Finding::ExitedImpersonating { thread: found, .. }) if found == thread));
    }
}

#[test]
fn a_worker_that_comes_back_as_somebody_is_found() {
    let world = verified();
    let options = WorkQueueOptions { workers: 1, capacity: 1, on_bug_check: OnBugCheck::Retire(Box::new(|_| ())) };
    let queue = WorkQueue::start(&world.process(Who::Sys), options).unwrap();
    let client = context(&world, Who::B, Imp);
    let item = WorkItem::new(&queue, move |worker| {
        let _ = worker.thread().impersonate(&client).unwrap();
    });
    let number = item.number();
    queue.queue(&item, Urgency::Delayed).unwrap();
    drop(queue);
    let found = report(&world).findings;
    assert!(matches!(found[..], [Finding::WorkerImpersonating { item, .. }] if item == number), "{found:?}");
}

#[test]
fn using_a_downgraded_thread_to_act_is_found_and_showing_who_it_is_is_not() {
    let world = verified();
    let weak = world.thread(Who::A);
    let _ = weak.impersonate_token(&world.imp(Who::B, Imp), terms(Imp)).unwrap();
    assert!(SubjectContext::capture(&weak).for_display().is_ok());
    assert!(report(&world).findings.is_empty());
    let _ = SubjectContext::capture(&weak).is_admin().unwrap_err();
    let line = line!() - 1;
    let _ = ClientContext::capture(&weak, at(Identification, STATIC), Local).unwrap_err();
    let found = report(&world).findings;
    assert_eq!(found.len(), 2, "{found:?}");
    let Finding::DowngradeUnseen { thread, step, used_at, .. } = found[0] else { panic!("{found:?}") };
    assert_eq!((thread, step, used_at.line()), (weak.id(), GateStep::User, line));
    assert!(found[0].to_string().contains("G7 user"));
    // A client that asked for no more than it got is no downgrade.
    let asked = world.wearing(Who::B, Identification);
    let _ = SubjectContext::capture(&asked).is_admin().unwrap_err();
    assert_eq!(report(&world).findings.len(), 2);
}

#[test]
fn no_routine_takes_a_lock_while_it_holds_another() {
    let world = verified();
    let server = world.thread(Who::Ns);
    let context = context(&world, Who::B, Delegation);
    world.system.mark_for_termination_notice(context.token().authentication_id()).unwrap();
    let system = world.system.clone();
    world.system.register_termination_routine(move |_| assert!(system.session_count() < 9)).unwrap();
    let _ = server.impersonate(&context).unwrap();
    server.with_client(&context, || ()).unwrap();
    drop(server.disable_impersonation());
    let _ =
        server.open_token(&server, vicar_kernel::handle::right::QUERY.into(), vicar_kernel::OpenAs::Process).unwrap();
    let other = world.token(Who::Ns);
    drop(server.process().replace_primary(other).unwrap());
    server.revert();
    let names = vicar_kernel::PipeNames::new();
    let pipe = names.create("p", vicar_kernel::pipe::FirstInstance::Required).unwrap();
    let end = names.open("P", &server, Some(crate::fixture::DYNAMIC)).unwrap();
    end.write(&server, b"question").unwrap();
    assert_eq!(pipe.peek().unwrap().unwrap(), b"question");
    assert_eq!(pipe.read_wait(8, std::time::Duration::from_secs(20)).unwrap(), b"question");
    let _ = pipe.impersonate(&server).unwrap();
    pipe.write(b"answer").unwrap();
    assert_eq!(end.read(8).unwrap().unwrap(), b"answer");
    server.revert();
    drop(end);
    pipe.disconnect();
    drop((context, server));
    let report = report(&world);
    assert!(report.findings.is_empty() && report.locks > 30, "{report}");
}
