//! Longer schedules than `loom` can go through, chosen at random.
//!
//! Runs only as `RUSTFLAGS="--cfg shuttle" cargo test -p vicar-kernel --test shuttle --release -- --nocapture`. Each test
//! goes through so many random schedules of its locks and atomic operations (`SCHEDULES`), sequentially consistent ones; a
//! failure prints the schedule.
#![cfg(shuttle)]
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread;
use vicar_kernel::work::{OnBugCheck, Urgency, WorkQueueOptions};
use vicar_kernel::{
    ClientContext, Locality, LogonKind, OnOpen, Policy, Process, Profile, Qos, Reach, System, Terms, Thread, TokenKind,
    TokenRef, TokenSpec, Tracking, WorkItem, WorkQueue,
};
use vicar_nt::privilege::{LuidAndAttributes, Privilege, PrivilegeAttributes, PrivilegeState};
use vicar_nt::token::TokenState;
use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, well_known};

/// Schedules tried by each test, unless `VICAR_SCHEDULES` says how many.
const SCHEDULES: usize = 20_000;

fn explore(name: &str, program: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("VICAR_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES);
    shuttle::check_random(program, schedules);
    println!("{name}: {schedules} schedules");
}

fn token(system: &System, uid: u32) -> TokenRef {
    let state = TokenState::builder(well_known::unix_user(uid))
        .integrity(IntegrityLevel::HIGH)
        .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault)
        .build()
        .unwrap();
    let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Shuttle ", origin: Luid::ZERO };
    system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap()
}

const STATIC: Qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::AllHeld };

#[test]
fn four_threads_on_two_records_lose_nothing() {
    explore("four threads on two records", || {
        let system = System::new(Profile::V4, Policy::strict());
        let process = Process::new(&system, token(&system, 1000)).unwrap();
        let targets = Arc::new([Thread::new(&process), Thread::new(&process)]);
        let client = token(&system, 1001);
        let context = Arc::new(ClientContext::from_token(&client, STATIC, Locality::Local).unwrap());
        let before = system.balance();
        let workers: Vec<_> = (0..4_usize)
            .map(|number| {
                let (targets, context, client) = (Arc::clone(&targets), Arc::clone(&context), client.clone());
                let process = process.clone();
                thread::spawn(move || {
                    let level = ImpersonationLevel::Identification;
                    let terms = Terms { level, reach: Reach::AllHeld, on_open: OnOpen::Share };
                    for step in 0..4_usize {
                        let [one, other] = &*targets;
                        let target = if (number ^ step) & 1 == 0 { one } else { other };
                        match number {
                            0 | 1 => {
                                let _ = target.impersonate(&context).unwrap();
                                target.revert();
                            }
                            2 => {
                                let _ = target.impersonate_token(&client, terms).unwrap();
                                drop(target.disable_impersonation());
                            }
                            _ => {
                                let on = if step & 1 == 0 {
                                    PrivilegeAttributes::empty()
                                } else {
                                    PrivilegeAttributes::ENABLED
                                };
                                let change = LuidAndAttributes::new(Privilege::Impersonate, on);
                                let _ = process.reference_primary().adjust_privileges(&[change]);
                                if let Some(worn) = target.reference_impersonation() {
                                    assert!(worn.token.level().is_none_or(|own| worn.level <= own));
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        for target in &*targets {
            target.revert();
        }
        assert_eq!(system.balance(), before);
        drop((targets, context, client, process));
        assert_eq!((system.balance(), system.session_count(), system.pool().in_use_bytes()), (0, 0, 0));
    });
}

/// Two workers, items that queue themselves again, cancelling, a client that is worn on the way, and the end of a session.
#[test]
fn items_run_as_often_as_they_were_queued_and_give_their_client_back() {
    explore("work items and the end of a session", || {
        let system = System::new(Profile::V4, Policy::strict());
        let process = Process::new(&system, token(&system, 1000)).unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&ended);
        let routine = system.register_termination_routine(move |_| {
            told.fetch_add(1, Ordering::SeqCst);
        });
        let client = token(&system, 1001);
        system.mark_for_termination_notice(client.authentication_id()).unwrap();
        let context = ClientContext::from_token(&client, STATIC, Locality::Local).unwrap();
        drop(client);
        let options = WorkQueueOptions { workers: 2, capacity: 8, on_bug_check: OnBugCheck::Abort };
        let queue = Arc::new(WorkQueue::start(&process, options).unwrap());
        let runs = Arc::new(AtomicUsize::new(0));
        let (count, handle) = (Arc::clone(&runs), queue.handle());
        // Never held while anything else happens, so nobody waits for it.
        let own: Arc<std::sync::Mutex<Option<WorkItem>>> = Arc::default();
        let again = Arc::clone(&own);
        let item = WorkItem::new(&queue, move |worker| {
            let _ = worker.thread().impersonate(&context).unwrap();
            worker.thread().revert();
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                let item = again.lock().unwrap().clone();
                // Queued already by somebody else, perhaps.
                let _ = item.map(|item| handle.queue(&item, Urgency::Critical));
            }
        });
        *own.lock().unwrap() = Some(item.clone());
        let second = {
            let (queue, item) = (Arc::clone(&queue), item.clone());
            thread::spawn(move || {
                let queued = queue.queue(&item, Urgency::Delayed).is_ok();
                let cancelled = queue.cancel(&item);
                (queued, cancelled)
            })
        };
        let first = queue.queue(&item, Urgency::Delayed).is_ok();
        let (other, cancelled) = second.join().unwrap();
        assert!(first || other);
        drop(Arc::into_inner(queue).unwrap());
        let ran = runs.load(Ordering::SeqCst);
        // Each time that it was queued it ran or was cancelled; itself it queues at most once.
        let most = usize::from(first) + usize::from(other) + 1;
        assert!(ran <= most && ran + usize::from(cancelled) >= 1, "{ran} runs");
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        let last = own.lock().unwrap().take();
        drop((last, item));
        assert_eq!((ended.load(Ordering::SeqCst), system.session_count()), (1, 1));
        system.unregister_termination_routine(routine.unwrap()).unwrap();
        drop(process);
        assert_eq!((system.balance(), system.session_count(), system.pool().in_use_bytes()), (0, 0, 0));
    });
}
