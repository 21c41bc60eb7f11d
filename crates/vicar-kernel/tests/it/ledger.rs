//! References that are held by number.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use vicar_kernel::{Ledger, NotHeld, ObjectId, ObjectKind, ObjectRef, Terms, Thread};
use vicar_nt::NtStatus;

use crate::fixture::{DYNAMIC, Imp, Who, World, imp, terms};

#[test]
fn a_reference_held_by_number_counts_like_any_other() {
    let world = World::new();
    let token = world.token(Who::A);
    let base = world.system.balance();
    let ledger = Ledger::new();

    let id = ledger.keep(token.clone());
    assert_eq!(id, token.object_id());
    assert_eq!((token.reference_count(), world.system.balance(), ledger.count(id)), (2, base + 1, 1));
    assert_eq!(ledger.reference(id), Ok(2));
    assert_eq!(ledger.keep(token.clone()), id);
    assert_eq!((token.reference_count(), world.system.balance(), ledger.count(id)), (4, base + 3, 3));

    assert!(ledger.token(id).unwrap().is_same(&token));
    assert_eq!(token.reference_count(), 4);
    let taken = ledger.take(id).unwrap();
    assert!(matches!(&taken, ObjectRef::Token(same) if same.is_same(&token)));
    assert_eq!((token.reference_count(), ledger.count(id)), (4, 2));
    drop(taken);
    assert_eq!(ledger.dereference(id), Ok(1));
    assert_eq!(ledger.dereference(id), Ok(0));
    assert_eq!((token.reference_count(), world.system.balance()), (1, base));
}

#[test]
fn a_number_given_back_too_often_is_an_answer() {
    let world = World::new();
    let ledger = Ledger::new();
    let token = world.token(Who::A);
    let id = ledger.keep(token.clone());
    assert_eq!(ledger.dereference(id), Ok(0));
    // The token lives, but nobody holds it by number any more.
    assert_eq!(ledger.dereference(id), Err(NotHeld::Unknown));
    assert_eq!(ledger.reference(id), Err(NotHeld::Unknown));
    assert_eq!(ledger.token(id).unwrap_err(), NotHeld::Unknown);
    assert_eq!(ledger.take(id).unwrap_err(), NotHeld::Unknown);
    assert_eq!(token.reference_count(), 1);
    assert_eq!(NotHeld::Unknown.status(), NtStatus::INVALID_PARAMETER);
}

#[test]
fn the_last_reference_by_number_ends_the_token_and_its_session_with_nothing_locked() {
    let world = World::new();
    let ledger = Arc::new(Ledger::new());
    let token = world.token(Who::B);
    let session = token.authentication_id();
    world.system.mark_for_termination_notice(session).unwrap();
    let id = ledger.keep(token);
    let (told, held): (Arc<AtomicUsize>, Arc<OnceLock<usize>>) = (Arc::default(), Arc::default());
    {
        let (told, held, ledger) = (Arc::clone(&told), Arc::clone(&held), Arc::clone(&ledger));
        let routine = move |_| {
            told.fetch_add(1, Ordering::SeqCst);
            // Would wait for ever if the ledger were locked here.
            held.set(ledger.count(id)).unwrap();
        };
        world.system.register_termination_routine(routine).unwrap();
    }
    assert_eq!(ledger.reference(id), Ok(2));
    assert_eq!(ledger.dereference(id), Ok(1));
    assert_eq!(told.load(Ordering::SeqCst), 0);
    assert_eq!(ledger.dereference(id), Ok(0));
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!(held.get(), Some(&0));
    assert!(world.system.session(session).is_none());
}

#[test]
fn numbers_tell_the_kinds_apart_and_never_name_two_objects() {
    let world = World::new();
    let ledger = Ledger::new();
    let process = world.process(Who::A);
    let thread = Thread::new(&process);
    let ids = [
        (ledger.keep(process.clone()), ObjectKind::Process),
        (ledger.keep(thread.clone()), ObjectKind::Thread),
        (ledger.keep(process.reference_primary()), ObjectKind::Token),
        (ledger.keep(imp(&process.reference_primary(), Imp)), ObjectKind::Token),
    ];
    for (index, (id, kind)) in ids.iter().enumerate() {
        assert!(ids.iter().skip(index + 1).all(|(other, _)| other != id));
        let other_kind = |asked| if *kind == asked { None } else { Some(NotHeld::OtherKind(*kind)) };
        assert_eq!(ledger.token(*id).err(), other_kind(ObjectKind::Token));
        assert_eq!(ledger.thread(*id).err(), other_kind(ObjectKind::Thread));
        assert_eq!(ledger.process(*id).err(), other_kind(ObjectKind::Process));
        assert_eq!(ledger.object(*id).unwrap().kind(), *kind);
        assert_eq!(ledger.object(*id).unwrap().id(), *id);
        assert_eq!(ObjectId::new(id.number()), Some(*id));
    }
    assert_eq!(NotHeld::OtherKind(ObjectKind::Thread).status(), NtStatus::OBJECT_TYPE_MISMATCH);
    assert_eq!(ObjectId::new(0), None);
    assert!(ledger.thread(ids[1].0).unwrap().is_same(&thread));
    assert!(ledger.process(ids[0].0).unwrap().is_same(&process));

    let mut expected: Vec<_> = ids.iter().map(|(id, kind)| (*id, *kind, 1)).collect();
    expected.sort_unstable_by_key(|(id, _, _)| *id);
    assert_eq!(ledger.held(), expected);
    // A token made after another one has gone has a number of its own.
    let gone = world.token(Who::B).object_id();
    assert_ne!(world.token(Who::B).object_id(), gone);
}

#[test]
fn what_is_held_by_number_is_worn_and_outlives_the_giving_back() {
    let world = World::new();
    let ledger = Ledger::new();
    let token = world.imp(Who::B, Imp);
    let id = ledger.keep(token);
    let thread = world.thread(Who::Sys);
    let worn_with = Terms { reach: DYNAMIC.reach, ..terms(Imp) };
    let outcome = thread.impersonate_token(&ledger.token(id).unwrap(), worn_with).unwrap();
    assert_eq!(outcome, vicar_kernel::Outcome::AsRequested);
    // A driver that drops its context right after impersonating from it.
    assert_eq!(ledger.dereference(id), Ok(0));
    assert_eq!(thread.reference_impersonation().unwrap().token.object_id(), id);
    thread.revert();
    assert_eq!(ledger.token(id).unwrap_err(), NotHeld::Unknown);
}

#[test]
fn a_ledger_that_goes_gives_everything_back() {
    let world = World::new();
    let token = world.token(Who::A);
    let base = world.system.balance();
    let ledger = Ledger::new();
    let id = ledger.keep(token.clone());
    for _ in 0..100 {
        ledger.reference(id).unwrap();
    }
    assert_eq!(token.reference_count(), 102);
    drop(ledger);
    assert_eq!((token.reference_count(), world.system.balance()), (1, base));
}

#[test]
fn many_threads_count_by_number_and_none_is_lost() {
    let world = World::new();
    let ledger = Ledger::new();
    let token = world.token(Who::A);
    let id = ledger.keep(token.clone());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    ledger.reference(id).unwrap();
                    assert!(ledger.token(id).unwrap().is_same(&token));
                    ledger.dereference(id).unwrap();
                }
            });
        }
    });
    assert_eq!((ledger.count(id), token.reference_count()), (1, 2));
}
