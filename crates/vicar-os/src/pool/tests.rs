//! The schedule and the answers, without threads of their own.

use super::RunError;
use super::answer;
use super::schedule::{Limits, Placed, Schedule};

const LIMITS: Limits = Limits { threads: 3, per_client: 2, queued_per_client: 2 };

fn with_idle(holds: &[Option<u32>]) -> Schedule<u32> {
    let mut schedule = Schedule::new(LIMITS);
    for (thread, held) in holds.iter().enumerate() {
        assert_eq!(schedule.next(thread, *held), None);
    }
    schedule
}

#[test]
fn a_job_goes_to_the_thread_that_holds_its_client_then_to_nobodys_then_to_the_longest_idle() {
    let mut schedule = with_idle(&[Some(7), None, Some(8)]);
    assert_eq!(schedule.submit(8, 80), Placed::On(2, 80));
    assert_eq!(schedule.submit(9, 90), Placed::On(1, 90));
    assert_eq!(schedule.submit(5, 50), Placed::On(0, 50));
}

#[test]
fn one_client_never_has_more_than_its_share() {
    let mut schedule = with_idle(&[None, None, None]);
    assert!(matches!(schedule.submit(1, 10), Placed::On(..)));
    assert!(matches!(schedule.submit(1, 11), Placed::On(..)));
    assert_eq!(schedule.submit(1, 12), Placed::Waits);
    assert_eq!(schedule.submit(1, 13), Placed::Waits);
    assert_eq!(schedule.submit(1, 14), Placed::Full(14));
    assert!(matches!(schedule.submit(2, 20), Placed::On(..)));
}

#[test]
fn waiting_clients_take_turns() {
    let limits = Limits { threads: 1, per_client: 1, queued_per_client: 100 };
    let mut schedule = Schedule::new(limits);
    assert_eq!(schedule.next(0, None), None);
    assert_eq!(schedule.submit(1, 0), Placed::On(0, 0));
    for job in 1..40 {
        assert_eq!(schedule.submit(1, job), Placed::Waits);
    }
    assert_eq!(schedule.submit(2, 100), Placed::Waits);
    let mut held = Some(1);
    for round in 0.. {
        schedule.ended(held.unwrap());
        let (client, _) = schedule.next(0, held).unwrap();
        if client == 2 {
            assert!(round <= 16, "client 2 waited for {round} jobs of client 1");
            return;
        }
        held = Some(client);
    }
}

#[test]
fn every_job_runs_once_whatever_the_order() {
    // A small deterministic walk: submit and end in a scrambled order, and count.
    let mut schedule = with_idle(&[None, None, None]);
    let (mut running, mut started, mut submitted, mut seed) = (Vec::new(), 0, 0, 12_345_u64);
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let dice = seed >> 33;
        if dice % 2 == 0 {
            let client = u32::try_from(dice % 5).unwrap();
            match schedule.submit(client, 0) {
                Placed::On(thread, _) => {
                    running.push((thread, client));
                    (started, submitted) = (started + 1, submitted + 1);
                }
                Placed::Waits => submitted += 1,
                Placed::Full(_) => {}
            }
        } else if !running.is_empty() {
            let (thread, client) = running.swap_remove(usize::try_from(dice).unwrap() % running.len());
            schedule.ended(client);
            if let Some((next, _)) = schedule.next(thread, Some(client)) {
                running.push((thread, next));
                started += 1;
            }
        }
        let mut threads: Vec<usize> = running.iter().map(|(thread, _)| *thread).collect();
        threads.sort_unstable();
        threads.dedup();
        assert_eq!(threads.len(), running.len(), "a thread runs two jobs");
        for client in 0..5 {
            assert!(running.iter().filter(|(_, of)| *of == client).count() <= LIMITS.per_client);
        }
    }
    while let Some((thread, client)) = running.pop() {
        schedule.ended(client);
        if let Some((next, _)) = schedule.next(thread, Some(client)) {
            running.push((thread, next));
            started += 1;
        }
    }
    assert_eq!(started, submitted);
}

#[test]
fn a_broken_promise_is_an_answer() {
    let (promise, answer) = answer::pair::<u32>();
    drop(promise);
    assert_eq!(answer.wait(), Err(RunError::Closed));
    let (promise, answer) = answer::pair();
    promise.keep(Ok(3));
    assert_eq!(answer.wait(), Ok(3));
}
