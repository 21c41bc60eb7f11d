//! 6.J: logon sessions.

use std::sync::{Arc, Mutex, OnceLock};

use vicar_kernel::policy::MissingRoutine;
use vicar_kernel::{LogonKind, Policy, Profile, System, TokenKind, TokenSpec};
use vicar_nt::token::TokenState;
use vicar_nt::{Luid, NtStatus, well_known};

use crate::fixture::{Imp, Who, World, context, imp, user_a};

fn ended() -> (Arc<Mutex<Vec<Luid>>>, impl Fn(Luid) + Send + Sync + 'static) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    (seen, move |id| log.lock().unwrap().push(id))
}

fn spec() -> TokenSpec {
    let state = TokenState::builder(user_a()).build().unwrap();
    TokenSpec { state, kind: TokenKind::Primary, source: *b"Test    ", origin: Luid::ZERO }
}

#[test]
fn t194_a_live_session_can_be_marked_more_than_once() {
    let world = World::new();
    let _token = world.token(Who::Sys);
    assert_eq!(world.system.mark_for_termination_notice(Luid::SYSTEM), Ok(()));
    assert_eq!(world.system.mark_for_termination_notice(Luid::SYSTEM), Ok(()));
}

#[test]
fn t195_an_unknown_session_cannot_be_marked() {
    let world = World::new();
    let unknown = Luid { low: 1, high: 0 };
    assert_eq!(world.system.mark_for_termination_notice(unknown), Err(NtStatus::NOT_FOUND));
}

#[test]
fn t197_a_marked_session_is_announced_once_to_every_routine_with_no_lock_held() {
    let world = World::new();
    let (first, log_first) = ended();
    let (second, log_second) = ended();
    let system = world.system.clone();
    let inner = world.system.clone();
    world.system.register_termination_routine(log_first).unwrap();
    world
        .system
        .register_termination_routine(move |id| {
            // Every lock of the system is free: all of this would hang otherwise.
            assert!(inner.session(id).is_none());
            let _ = inner.logon(LogonKind::Network, None).unwrap().create_token(spec()).unwrap();
            log_second(id);
        })
        .unwrap();
    let token = world.token(Who::A);
    let id = token.authentication_id();
    let copy = imp(&token, Imp);
    system.mark_for_termination_notice(id).unwrap();
    drop(token);
    assert!(first.lock().unwrap().is_empty());
    drop(copy);
    assert_eq!((first.lock().unwrap().clone(), second.lock().unwrap().clone()), (vec![id], vec![id]));
}

#[test]
fn t198_an_unmarked_session_ends_in_silence() {
    let world = World::new();
    let (seen, log) = ended();
    world.system.register_termination_routine(log).unwrap();
    drop(world.token(Who::A));
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(world.system.session_count(), 0);
}

#[test]
fn t199_a_thread_that_still_wears_the_user_keeps_the_session_alive() {
    let world = World::new();
    let (seen, log) = ended();
    world.system.register_termination_routine(log).unwrap();
    let server = world.thread(Who::Sys);
    let client = context(&world, Who::A, Imp);
    let id = client.token().authentication_id();
    world.system.mark_for_termination_notice(id).unwrap();
    let _ = server.impersonate(&client).unwrap();
    drop(client);
    assert!(seen.lock().unwrap().is_empty() && world.system.session(id).is_some());
    server.revert();
    assert_eq!(seen.lock().unwrap().clone(), [id]);
    assert!(world.system.session(id).is_none());
}

#[test]
fn t200_a_routine_may_take_itself_back() {
    let world = World::strict();
    let own = Arc::new(OnceLock::new());
    let (inner, id_inside) = (world.system.clone(), Arc::clone(&own));
    let calls = Arc::new(Mutex::new(0));
    let count = Arc::clone(&calls);
    let id = world
        .system
        .register_termination_routine(move |_| {
            *count.lock().unwrap() += 1;
            inner.unregister_termination_routine(*id_inside.get().unwrap()).unwrap();
        })
        .unwrap();
    own.set(id).unwrap();
    for _ in 0..2 {
        let token = world.token(Who::A);
        world.system.mark_for_termination_notice(token.authentication_id()).unwrap();
        drop(token);
    }
    assert_eq!(*calls.lock().unwrap(), 1);
    assert_eq!(world.system.unregister_termination_routine(id), Err(NtStatus::NOT_FOUND));
    let mut policy = Policy::strict();
    policy.missing_routine = MissingRoutine::InsufficientResources;
    let other = World::with(Profile::V4, policy);
    assert_eq!(other.system.unregister_termination_routine(id), Err(NtStatus::INSUFFICIENT_RESOURCES));
}

#[test]
fn t201_no_token_can_be_made_in_a_session_that_is_over() {
    let system = System::new(Profile::V4, crate::fixture::policy());
    let session = system.logon(LogonKind::Interactive, None).unwrap();
    drop(session.create_token(spec()).unwrap());
    assert!(session.is_ended());
    assert_eq!(session.create_token(spec()).unwrap_err(), NtStatus::NO_SUCH_LOGON_SESSION);
}

#[test]
fn a_session_that_never_had_a_token_ends_with_its_last_handle() {
    let system = System::new(Profile::V4, crate::fixture::policy());
    let session = system.logon(LogonKind::Network, None).unwrap();
    let second = session.clone();
    drop(session);
    assert_eq!(system.session_count(), 1);
    drop(second);
    assert_eq!((system.session_count(), system.pool().in_use_bytes()), (0, 0));
}

#[test]
fn a_first_token_that_cannot_be_made_does_not_end_the_session() {
    let system = System::new(Profile::V4, crate::fixture::policy());
    let session = system.logon(LogonKind::Network, None).unwrap();
    system.pool().fail_nth(1);
    assert_eq!(session.create_token(spec()).unwrap_err(), NtStatus::INSUFFICIENT_RESOURCES);
    assert!(!session.is_ended());
    assert!(session.create_token(spec()).is_ok());
}

#[test]
fn two_live_sessions_never_share_an_identifier_and_dynamic_ones_are_above_the_well_known() {
    let system = System::new(Profile::V4, crate::fixture::policy());
    let first = system.logon(LogonKind::System, Some(Luid::SYSTEM)).unwrap();
    assert_eq!(system.logon(LogonKind::System, Some(Luid::SYSTEM)).unwrap_err(), NtStatus::LOGON_SESSION_COLLISION);
    drop(first);
    assert!(system.logon(LogonKind::System, Some(Luid::SYSTEM)).is_ok());
    let dynamic = system.logon(LogonKind::Interactive, None).unwrap();
    assert!(dynamic.id() >= Luid::FIRST_DYNAMIC);
    assert_eq!(dynamic.kind(), LogonKind::Interactive);
}

#[test]
fn a_token_whose_primary_group_is_not_its_own_is_not_made() {
    let world = World::new();
    let session = world.system.logon(LogonKind::Network, None).unwrap();
    let balance = world.system.balance();
    let make = |state: TokenState| session.create_token(TokenSpec { state, ..spec() });
    let state = |group| {
        let on = vicar_nt::GroupAttributes::ALWAYS_ENABLED;
        TokenState::builder(user_a()).group(well_known::USERS, on).primary_group(group).build().unwrap()
    };
    assert_eq!(make(state(well_known::GUESTS)).unwrap_err(), NtStatus::INVALID_PRIMARY_GROUP);
    assert_eq!(world.system.balance(), balance);
    assert!(make(state(well_known::USERS)).is_ok());
    let session = world.system.logon(LogonKind::Network, None).unwrap();
    let own = TokenSpec { state: state(user_a()), ..spec() };
    assert!(session.create_token(own).is_ok());
}
