//! Interleavings of the places where threads meet, tried out one by one.
//!
//! Runs only as `RUSTFLAGS="--cfg loom" cargo test -p vicar-kernel --test loom --release -- --nocapture`; each test prints
//! how many interleavings of its locks and atomic operations it went through. They are all that have at most so many
//! preemptions as the test names (`PREEMPTIONS`, or `LOOM_MAX_PREEMPTIONS`), under the memory orderings that the code asks
//! for. What is not modelled: the standard library's `Arc` counts, whose last drop is therefore always seen at once.
#![cfg(loom)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test that fails is a test that fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering};

use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;
use vicar_kernel::work::{OnBugCheck, QueueError, Urgency, WorkQueueOptions};
use vicar_kernel::{
    ClientContext, Locality, LogonKind, LogonSession, OnOpen, Outcome, Policy, Process, ProcessRef, Profile, Qos,
    Reach, System, Terms, Thread, TokenKind, TokenRef, TokenSpec, Tracking, WorkItem, WorkQueue,
};
use vicar_nt::privilege::{LuidAndAttributes, Privilege, PrivilegeAttributes, PrivilegeState};
use vicar_nt::token::TokenState;
use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, NtStatus, well_known};

/// Preemptions tried in one interleaving.
const PREEMPTIONS: usize = 4;

fn explore(name: &str, program: impl Fn() + Send + Sync + 'static) {
    let count = Arc::new(Count::new(0));
    let counted = Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    let bound = builder.preemption_bound.unwrap_or(0);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        program();
    });
    println!("{name}: {} interleavings, at most {bound} preemptions", count.load(Ordering::Relaxed));
}

const STATIC: Qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::AllHeld };
fn without_impersonate() -> LuidAndAttributes {
    LuidAndAttributes::new(Privilege::Impersonate, PrivilegeAttributes::empty())
}

fn session(system: &System) -> LogonSession {
    system.logon(LogonKind::Network, None).unwrap()
}

fn spec(uid: u32, impersonate: bool) -> TokenSpec {
    let mut builder = TokenState::builder(well_known::unix_user(uid)).integrity(IntegrityLevel::HIGH);
    if impersonate {
        builder = builder.privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault);
    }
    TokenSpec { state: builder.build().unwrap(), kind: TokenKind::Primary, source: *b"Loom    ", origin: Luid::ZERO }
}

fn token(system: &System, uid: u32, impersonate: bool) -> TokenRef {
    session(system).create_token(spec(uid, impersonate)).unwrap()
}

fn server(system: &System) -> ProcessRef {
    Process::new(system, token(system, 1000, true)).unwrap()
}

fn world() -> System {
    System::new(Profile::V4, Policy::strict())
}

fn is_downgraded(outcome: Result<Outcome, NtStatus>) -> bool {
    matches!(outcome.expect("nothing is short of memory"), Outcome::Downgraded { .. })
}

/// A context of somebody else that the gate has allowed once for this process, so that the short way is open.
fn judged(process: &ProcessRef, client: &TokenRef) -> Arc<ClientContext> {
    let context = Arc::new(ClientContext::from_token(client, STATIC, Locality::Local).unwrap());
    let first = Thread::new(process);
    assert!(!is_downgraded(first.impersonate(&context)));
    first.revert();
    context
}

#[test]
fn a_record_is_swapped_whole_and_loses_no_reference() {
    explore("record swap", || {
        let system = world();
        let process = server(&system);
        let target = Thread::new(&process);
        let (one, other) = (token(&system, 1001, false), token(&system, 1002, false));
        let context = Arc::new(ClientContext::from_token(&one, STATIC, Locality::Local).unwrap());
        assert!(!is_downgraded(target.impersonate(&context)));
        target.revert();
        let before = system.balance();
        let terms =
            Terms { level: ImpersonationLevel::Delegation, reach: Reach::EffectiveOnly, on_open: OnOpen::Share };
        let own = thread::spawn({
            let (target, context) = (target.clone(), Arc::clone(&context));
            move || {
                let _ = target.impersonate(&context).unwrap();
                target.revert();
            }
        });
        let foreign = thread::spawn({
            let (target, other) = (target.clone(), other.clone());
            move || {
                let _ = target.impersonate_token(&other, terms).unwrap();
            }
        });
        if let Some(worn) = target.reference_impersonation() {
            let is_other = worn.token.is_same(&other);
            assert!(is_other || worn.token.is_same(context.token()));
            assert_eq!(is_other, worn.terms() == terms);
        }
        own.join().unwrap();
        foreign.join().unwrap();
        assert_eq!(target.is_impersonating(), target.reference_impersonation().is_some());
        target.revert();
        assert_eq!(system.balance(), before);
        assert!(!target.is_impersonating());
    });
}

#[test]
fn a_gate_decision_after_a_privilege_is_gone_never_uses_it() {
    explore("adjust while checking", || {
        let system = world();
        let process = server(&system);
        let client = token(&system, 1001, false);
        let context = judged(&process, &client);
        let worker = Thread::new(&process);
        assert!(!is_downgraded(worker.impersonate(&context)));
        worker.revert();
        let is_gone = Arc::new(AtomicBool::new(false));
        let adjuster = thread::spawn({
            let (process, is_gone, context) = (process.clone(), Arc::clone(&is_gone), Arc::clone(&context));
            move || {
                assert!(process.reference_primary().adjust_privileges(&[without_impersonate()]).changed);
                is_gone.store(true, Ordering::Release);
                assert!(is_downgraded(Thread::new(&process).impersonate(&context)));
            }
        });
        let was_gone = is_gone.load(Ordering::Acquire);
        let outcome = worker.impersonate(&context);
        assert!(!was_gone || is_downgraded(outcome));
        adjuster.join().unwrap();
        worker.revert();
        assert!(is_downgraded(worker.impersonate(&context)));
    });
}

#[test]
fn a_gate_decision_after_the_primary_token_was_replaced_uses_the_new_one() {
    explore("replace while checking", || {
        let system = world();
        let process = server(&system);
        let client = token(&system, 1001, false);
        let context = judged(&process, &client);
        let worker = Thread::new(&process);
        assert!(!is_downgraded(worker.impersonate(&context)));
        worker.revert();
        let is_replaced = Arc::new(AtomicBool::new(false));
        let plain = token(&system, 1003, false);
        let replacer = thread::spawn({
            let (process, is_replaced) = (process.clone(), Arc::clone(&is_replaced));
            move || {
                let old = process.replace_primary(plain).unwrap();
                is_replaced.store(true, Ordering::Release);
                drop(old);
            }
        });
        let was_replaced = is_replaced.load(Ordering::Acquire);
        let outcome = worker.impersonate(&context);
        assert!(!was_replaced || is_downgraded(outcome));
        replacer.join().unwrap();
        worker.revert();
        assert!(is_downgraded(worker.impersonate(&context)));
    });
}

#[test]
fn a_look_at_oneself_is_of_one_moment() {
    explore("own look", || {
        let system = world();
        let process = server(&system);
        let client = token(&system, 1001, false);
        let context = judged(&process, &client);
        let target = Thread::new(&process);
        let changer = thread::spawn({
            let (target, context) = (target.clone(), Arc::clone(&context));
            move || {
                let _ = target.impersonate(&context).unwrap();
            }
        });
        let mut own = target.own();
        for _ in 0..2 {
            let now = own.effective();
            let is_client = now.state.user().sid == well_known::unix_user(1001);
            assert_eq!(is_client, now.level == Some(ImpersonationLevel::Impersonation));
        }
        changer.join().unwrap();
        assert_eq!(own.effective().level, Some(ImpersonationLevel::Impersonation));
        target.revert();
        assert_eq!(own.effective().level, None);
    });
}

#[test]
fn setting_aside_and_a_foreign_assignment_lose_no_reference() {
    explore("set aside", || {
        let system = world();
        let process = server(&system);
        let target = Thread::new(&process);
        let client = token(&system, 1001, false);
        let terms = Terms { level: ImpersonationLevel::Impersonation, reach: Reach::AllHeld, on_open: OnOpen::Copy };
        let before = system.balance();
        let _ = target.impersonate_token(&client, terms).unwrap();
        let foreign = thread::spawn({
            let (target, client) = (target.clone(), client.clone());
            move || {
                let _ = target.impersonate_token(&client, terms).unwrap();
            }
        });
        let disabled = target.disable_impersonation();
        let had_somebody = disabled.is_some();
        drop(disabled);
        assert!(had_somebody && target.is_impersonating());
        foreign.join().unwrap();
        target.revert();
        assert_eq!(system.balance(), before);
    });
}

#[test]
fn the_last_token_ends_its_session_once_and_tells_once() {
    explore("last reference", || {
        let system = world();
        let logon = session(&system);
        let id = logon.id();
        let told = Arc::new(Count::new(0));
        let routine = system
            .register_termination_routine({
                let told = Arc::clone(&told);
                move |ended| {
                    assert_eq!(ended, id);
                    told.fetch_add(1, Ordering::Relaxed);
                }
            })
            .unwrap();
        let first = logon.create_token(spec(1001, false)).unwrap();
        let second = first.copy_for_client(ImpersonationLevel::Impersonation).unwrap();
        system.mark_for_termination_notice(id).unwrap();
        let dropping = thread::spawn(move || drop(first));
        let making = thread::spawn(move || match logon.create_token(spec(1001, false)) {
            Ok(token) => drop(token),
            Err(status) => assert_eq!(status, NtStatus::NO_SUCH_LOGON_SESSION),
        });
        drop(second);
        dropping.join().unwrap();
        making.join().unwrap();
        assert_eq!((told.load(Ordering::Relaxed), system.session_count(), system.balance()), (1, 0, 0));
        system.unregister_termination_routine(routine).unwrap();
        assert_eq!(system.pool().in_use_bytes(), 0);
    });
}

#[test]
fn an_item_runs_once_for_each_time_it_was_queued_and_not_cancelled() {
    explore("work item", || {
        let system = world();
        let runs = Arc::new(AtomicUsize::new(0));
        let options = WorkQueueOptions { workers: 1, capacity: 4, on_bug_check: OnBugCheck::Abort };
        let queue = WorkQueue::start(&server(&system), options).unwrap();
        let item = WorkItem::new(&queue, {
            let runs = Arc::clone(&runs);
            move |_| {
                runs.fetch_add(1, Ordering::AcqRel);
            }
        });
        let handle = queue.handle();
        let other = thread::spawn({
            let item = item.clone();
            move || match handle.queue(&item, Urgency::Critical) {
                Ok(()) => 1,
                Err(why) => {
                    assert_eq!(why, QueueError::AlreadyQueued);
                    0
                }
            }
        });
        let mut queued: usize = queue.queue(&item, Urgency::Delayed).map_or(0, |()| 1);
        let cancelled = usize::from(queue.cancel(&item));
        queued = queued.saturating_add(other.join().unwrap());
        drop(queue);
        assert_eq!(runs.load(Ordering::Acquire).saturating_add(cancelled), queued);
        assert!(!item.is_queued());
    });
}
