//! Interleavings of the mailbox and of the registry, tried out one by one; see `interleavings` in `check`.

use super::registry::Registry;
use super::slot::{Slot, Unanswered};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

/// Preemptions tried in one interleaving.
const PREEMPTIONS: usize = 3;

fn explore(name: &str, program: impl Fn() + Send + Sync + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        program();
    });
    println!("{name}: {} interleavings", count.load(std::sync::atomic::Ordering::Relaxed));
}

type Numbers = Slot<u32, u32>;

/// Does one request, if there is one: counts it in `done` and answers with its number.
fn serve(slot: &Numbers, done: &AtomicU32) -> bool {
    let Some(mut taken) = slot.take() else { return false };
    let request = taken.request().unwrap();
    done.fetch_add(request, Ordering::Relaxed);
    taken.answer(request);
    true
}

fn post(slot: &Numbers, request: u32, is_patient: bool) -> Result<u32, Unanswered> {
    slot.post(request, if is_patient { None } else { Some(Instant::now()) }, &mut || None)
}

/// A deadline that has passed when the request is posted: withdrawing meets the target at every point.
#[test]
fn a_request_is_withdrawn_or_done_and_the_caller_knows_which() {
    explore("withdraw against take", || {
        let (slot, done) = (Arc::new(Numbers::new()), Arc::new(AtomicU32::new(0)));
        let caller = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || post(&slot, 1, false))
        };
        let mut served = u32::from(serve(&slot, &done));
        served += u32::from(serve(&slot, &done));
        let told = caller.join().unwrap();
        // After the caller was told that it never will, it never is.
        assert!(!serve(&slot, &done));
        match told {
            Ok(answer) => assert_eq!((answer, served), (1, 1)),
            Err(why) => assert_eq!((why, served), (Unanswered::TimedOut, 0)),
        }
        assert_eq!(done.load(Ordering::Relaxed), served);
    });
}

#[test]
fn a_target_that_ends_leaves_nobody_waiting() {
    explore("close against post", || {
        let (slot, done) = (Arc::new(Numbers::new()), Arc::new(AtomicU32::new(0)));
        let caller = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || post(&slot, 1, true))
        };
        let served = serve(&slot, &done);
        slot.close();
        let told = caller.join().unwrap();
        assert_eq!(told, if served { Ok(1) } else { Err(Unanswered::Ended) });
        assert_eq!(post(&slot, 1, true), Err(Unanswered::Ended));
        assert_eq!(done.load(Ordering::Relaxed), u32::from(served));
    });
}

#[test]
fn a_waiting_target_is_woken_and_callers_get_their_own_answers() {
    explore("two callers", || {
        let (slot, done) = (Arc::new(Numbers::new()), Arc::new(AtomicU32::new(0)));
        let callers = [1, 2].map(|number| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || post(&slot, number, true))
        });
        for _ in 0..2 {
            slot.wait(None);
            assert!(serve(&slot, &done));
        }
        let told = callers.map(|caller| caller.join().unwrap());
        assert_eq!(told, [Ok(1), Ok(2)]);
        assert_eq!(done.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_target_that_panics_says_so() {
    explore("dropped after take", || {
        let slot = Arc::new(Numbers::new());
        let caller = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || post(&slot, 1, true))
        };
        slot.wait(None);
        drop(slot.take());
        slot.close();
        assert_eq!(caller.join().unwrap(), Err(Unanswered::Panicked));
    });
}

/// A caller looks its target up while the target registers, serves once and ends.
#[test]
fn a_thread_is_found_only_while_it_lives_and_a_found_one_always_answers() {
    explore("registration", || {
        let registry = Arc::new(Registry::<u32, Numbers>::default());
        let target = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let (slot, done) = (Arc::new(Numbers::new()), AtomicU32::new(0));
                assert!(registry.add(7, Arc::clone(&slot)));
                assert!(!registry.add(7, Arc::new(Numbers::new())));
                let served = serve(&slot, &done);
                registry.remove(&7);
                slot.close();
                served
            })
        };
        let found = registry.find(&7);
        let told = found.map(|slot| post(&slot, 5, true));
        let served = target.join().unwrap();
        match told {
            None | Some(Err(Unanswered::Ended)) => assert!(!served),
            Some(Ok(answer)) => assert_eq!((answer, served), (5, true)),
            Some(Err(other)) => panic!("{other:?}"),
        }
        assert!(registry.find(&7).is_none());
    });
}
