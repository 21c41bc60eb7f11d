//! The same things done by several threads at once, on shared threads, contexts, tokens and processes.
//!
//! Nobody can say what such a run comes to step by step; what must hold is looked at when all of them pause.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier, Mutex};

use vicar_kernel::handle::right;
use vicar_kernel::work::{OnBugCheck, Urgency, WorkQueueOptions};
use vicar_kernel::{
    ClientContext, Locality, OnOpen, OpenAs, Policy, Process, ProcessRef, Profile, Reach, SubjectContext, System,
    Terms, Thread, ThreadRef, TokenHandle, TokenRef, WorkItem, WorkQueue,
};
use vicar_nt::ImpersonationLevel::Impersonation;
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes};
use vicar_nt::{NtStatus, RequestedMask, check::AccessMode};

use crate::cast::{PRIVILEGES, Role};
use crate::op::Random;

const CROWD: u64 = 4;
const PAUSES: usize = 60;
const STEPS_BETWEEN: usize = 150;

/// What all of them work on.
struct Shared {
    system: System,
    cast: Vec<TokenRef>,
    processes: Vec<ProcessRef>,
    threads: Vec<ThreadRef>,
    contexts: Vec<Mutex<Option<Arc<ClientContext>>>>,
    handles: Vec<Mutex<Option<TokenHandle>>>,
}

impl Shared {
    fn new() -> Self {
        let system = System::new(Profile::V4, Policy::strict());
        let cast = Role::ALL.iter().map(|role| role.token(&system)).collect();
        let runs_as = [Role::System, Role::Service, Role::Alice];
        let processes: Vec<ProcessRef> =
            runs_as.iter().map(|role| Process::new(&system, role.token(&system)).unwrap()).collect();
        let threads = (0..6).map(|index| Thread::new(&processes[index % processes.len()])).collect();
        let contexts = (0..4).map(|_| Mutex::new(None)).collect();
        let handles = (0..2).map(|_| Mutex::new(None)).collect();
        Self { system, cast, processes, threads, contexts, handles }
    }

    fn step(&self, random: &mut Random) {
        let thread = &self.threads[random.below(self.threads.len())];
        let other = &self.threads[random.below(self.threads.len())];
        let token = &self.cast[random.below(self.cast.len())];
        let place = &self.contexts[random.below(self.contexts.len())];
        match random.below(12) {
            0..=3 => {
                let context = place.lock().unwrap().clone();
                if let Some(context) = context {
                    let _ = thread.impersonate(&context).unwrap();
                }
            }
            4 => {
                let on_open = if random.flag() { OnOpen::Copy } else { OnOpen::Share };
                let terms = Terms { level: random.level(), reach: Reach::AllHeld, on_open };
                let _ = thread.impersonate_token(token, terms).unwrap();
            }
            5 | 6 => thread.revert(),
            7 => drop(thread.disable_impersonation()),
            8 => {
                // What is captured may be below Impersonation at this moment; nothing else may be wrong.
                match ClientContext::capture(other, random.qos(), Locality::Local) {
                    Ok(context) => drop(place.lock().unwrap().replace(Arc::new(context))),
                    Err(status) => assert_eq!(status, NtStatus::BAD_IMPERSONATION_LEVEL),
                }
            }
            9 => {
                let desired = RequestedMask(right::QUERY.bits() | right::ADJUST_PRIVILEGES.bits());
                let place = &self.handles[random.below(self.handles.len())];
                if let Ok(handle) = thread.open_token(other, desired, OpenAs::Process) {
                    let old = place.lock().unwrap().replace(handle);
                    drop(old);
                }
            }
            10 => {
                let process = &self.processes[random.below(self.processes.len())];
                let attributes =
                    if random.flag() { PrivilegeAttributes::ENABLED } else { PrivilegeAttributes::empty() };
                let change = LuidAndAttributes::new(PRIVILEGES[random.below(PRIVILEGES.len())], attributes);
                let _ = process.reference_primary().adjust_privileges(&[change]);
            }
            _ => {
                let mut own = thread.own();
                let now = own.effective();
                assert_ne!(now.state.id(), 0);
            }
        }
    }

    /// What must hold while nobody does anything.
    fn check(&self) {
        let mut references = self.cast.len() + self.processes.len();
        let mut sessions: BTreeSet<u64> = self.cast.iter().map(|token| token.authentication_id().to_u64()).collect();
        for thread in &self.threads {
            let worn = thread.reference_impersonation();
            assert_eq!(thread.is_impersonating(), worn.is_some());
            let subject = SubjectContext::capture(thread);
            let may_act = worn.as_ref().is_none_or(|worn| worn.level >= Impersonation);
            assert_eq!(subject.for_authorisation().is_ok(), may_act);
            let primary = thread.process().reference_primary().state();
            for privilege in PRIVILEGES {
                assert!(may_act || !subject.holds(privilege, AccessMode::User));
                assert_eq!(subject.primary_holds(privilege), primary.privileges().is_enabled(privilege));
            }
            if let Some(worn) = worn {
                references += 1;
                sessions.insert(worn.token.authentication_id().to_u64());
                assert!(worn.token.level().is_none_or(|own| worn.level <= own));
            }
        }
        for place in &self.contexts {
            let context = place.lock().unwrap();
            references += usize::from(context.is_some());
            assert!(context.iter().all(|kept| kept.token().level().is_none_or(|own| kept.level() <= own)));
        }
        references += self.handles.iter().filter(|place| place.lock().unwrap().is_some()).count();
        assert_eq!(self.system.balance(), i64::try_from(references).unwrap());
        assert_eq!(self.system.session_count(), sessions.len());
    }
}

#[test]
fn a_crowd_keeps_the_invariants_whenever_it_pauses() {
    let shared = Arc::new(Shared::new());
    let options = WorkQueueOptions {
        workers: 1,
        capacity: 8,
        on_bug_check: OnBugCheck::Retire(Box::new(|stop| unreachable!("a worker kept an identity: {stop:?}"))),
    };
    // The worker lives in a world of its own: it never pauses, so its references would be seen half taken.
    let beside = Shared::new();
    let queue = WorkQueue::start(&beside.processes[0], options).unwrap();
    let barrier = Barrier::new(usize::try_from(CROWD).unwrap());
    std::thread::scope(|scope| {
        for seed in 0..CROWD {
            let (barrier, shared) = (&barrier, &shared);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..PAUSES {
                    for _ in 0..STEPS_BETWEEN {
                        shared.step(&mut random);
                    }
                    if barrier.wait().is_leader() {
                        shared.check();
                    }
                    barrier.wait();
                }
            });
        }
        // A worker acts as clients all the while and must come back from each item as itself.
        let client = beside.cast[2].clone();
        let item = WorkItem::new(&queue, move |worker| {
            let terms = Terms { level: Impersonation, reach: Reach::AllHeld, on_open: OnOpen::Copy };
            let _ = worker.thread().impersonate_token(&client, terms).unwrap();
            worker.thread().revert();
        });
        for _ in 0..PAUSES {
            // An item that is queued still is refused; that is as good here.
            let _ = queue.queue(&item, Urgency::Delayed);
            std::thread::yield_now();
        }
        assert_eq!(queue.live_workers(), 1);
        drop((item, queue));
    });
    for thread in &shared.threads {
        thread.revert();
        thread.revert();
        assert!(!thread.is_impersonating());
    }
    let Shared { system, .. } = &*shared;
    let system = system.clone();
    drop(shared);
    assert_eq!((system.balance(), system.pool().in_use_bytes(), system.session_count()), (0, 0, 0));
}
