//! 6.L: several threads of the machine at once.

use std::sync::atomic::{AtomicBool, Ordering};

use vicar_kernel::{ClientContext, OnOpen, Process, Reach, Terms, Thread};
use vicar_nt::token::TokenFlags;
use vicar_nt::{ImpersonationLevel, Luid, Privilege};

use crate::fixture::{Identification, Imp, Local, STATIC, Who, World, disabled, enabled, imp, terms};

const ROUNDS: usize = 2_000;

#[test]
fn t226_snapshots_are_never_mixed_and_nothing_leaks() {
    let world = World::new();
    let target = world.thread(Who::Sys);
    let balance = world.system.balance();
    // Each pair is recognisable: token, level and flags belong together.
    let pairs: Vec<_> = ImpersonationLevel::ALL
        .into_iter()
        .map(|level| {
            let on_open = if level == Imp { OnOpen::Share } else { OnOpen::Copy };
            let reach = if level == Identification { Reach::EffectiveOnly } else { Reach::AllHeld };
            (world.imp(Who::B, level), Terms { level, reach, on_open })
        })
        .collect();
    let known: Vec<(Luid, Terms)> = pairs.iter().map(|(token, terms)| (token.id(), *terms)).collect();
    std::thread::scope(|scope| {
        for (token, terms) in &pairs {
            let target = target.clone();
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let _ = target.impersonate_token(token, *terms).unwrap();
                    if round % 3 == 0 {
                        target.revert();
                    }
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    if let Some(worn) = target.reference_impersonation() {
                        assert!(known.contains(&(worn.token.id(), worn.terms())));
                    }
                }
            });
        }
    });
    target.revert();
    assert!(pairs.iter().all(|(token, _)| token.reference_count() == 1));
    drop(pairs);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t228_a_copy_of_a_token_that_is_being_adjusted_is_consistent() {
    let world = World::new();
    let token = world.token(Who::Ns);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                let _ = token.adjust_privileges(&[disabled(Privilege::Impersonate), disabled(Privilege::ChangeNotify)]);
                let _ = token.adjust_privileges(&[enabled(Privilege::Impersonate), enabled(Privilege::ChangeNotify)]);
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let context = ClientContext::from_token(&token, STATIC, Local).unwrap();
            let state = context.token().state();
            let impersonate = state.privileges().is_enabled(Privilege::Impersonate);
            assert_eq!(impersonate, state.privileges().is_enabled(Privilege::ChangeNotify));
            assert_eq!(impersonate, state.flags().contains(TokenFlags::HAS_IMPERSONATE_PRIVILEGE));
            let seen = token.state_id();
            assert!(token.state().id() >= seen);
        }
    });
}

#[test]
fn t229_a_verdict_is_computed_on_one_process_token() {
    let world = World::new();
    let process = Process::new(&world.system, world.token(Who::Ns)).unwrap();
    let thread = Thread::new(&process);
    let client = world.imp(Who::B, Imp);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = world.token(Who::A);
            for _ in 0..ROUNDS {
                other = process.replace_primary(other).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let pending = thread.prepare_token(&client, terms(Imp)).unwrap();
            // With Network Service as the process: by its privilege. With A: refused by the user. Nothing else exists.
            assert!(["G4 privilege", "G7 user"].contains(&pending.verdict().step.to_string().as_str()));
            assert_eq!(pending.verdict().is_allowed, pending.level() == Imp);
        }
    });
}

#[test]
fn sessions_end_exactly_once_when_many_threads_drop_their_tokens() {
    let world = World::new();
    for _ in 0..200 {
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let count = std::sync::Arc::clone(&ended);
        let routine = world.system.register_termination_routine(move |_| {
            count.fetch_add(1, Ordering::AcqRel);
        });
        let token = world.token(Who::A);
        world.system.mark_for_termination_notice(token.authentication_id()).unwrap();
        let copies: Vec<_> = (0..4).map(|_| imp(&token, Imp)).collect();
        drop(token);
        std::thread::scope(|scope| {
            for copy in copies {
                scope.spawn(move || drop(copy.copy_for_client(Identification).unwrap()));
            }
        });
        assert_eq!(ended.load(Ordering::Acquire), 1);
        assert_eq!(world.system.session_count(), 0);
        world.system.unregister_termination_routine(routine.unwrap()).unwrap();
    }
}
