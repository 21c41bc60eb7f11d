//! 6.B: impersonating, reverting, and who owns which reference.

use std::sync::Arc;

use vicar_kernel::thread::Effective;
use vicar_kernel::{
    ClientContext, Impersonation, OnOpen, Outcome, Profile, Qos, Reach, Terms, Thread, ThreadBlock, TokenKind,
};
use vicar_nt::token::GroupChange;
use vicar_nt::{GroupAttributes, ImpersonationLevel, NtStatus, Privilege, well_known};

use crate::fixture::{
    Anonymous, DYNAMIC, Delegation, Identification, Imp, Local, STATIC, Who, World, context, enabled, imp, terms,
    user_a, user_b,
};

fn fields(worn: &Impersonation) -> (vicar_nt::Luid, ImpersonationLevel, Reach, bool) {
    (worn.token.id(), worn.level, worn.reach, worn.copy_on_open)
}

#[test]
fn t021_the_record_holds_the_copy_copy_on_open_the_requested_reach_and_the_level() {
    let world = World::new();
    let client = world.thread(Who::A);
    for reach in [Reach::AllHeld, Reach::EffectiveOnly] {
        let context = ClientContext::capture(&client, Qos { reach, ..STATIC }, Local).unwrap();
        let server = world.thread(Who::Sys);
        assert_eq!(server.impersonate(&context), Ok(Outcome::AsRequested));
        let worn = server.reference_impersonation().unwrap();
        assert!(worn.token.is_same(context.token()));
        assert_eq!((worn.level, worn.reach, worn.copy_on_open), (Imp, reach, true));
        assert_eq!(worn.token.state().user().sid, user_a());
    }
}

#[test]
fn t022_only_the_named_thread_changes() {
    let world = World::new();
    let first = world.thread(Who::Sys);
    let second = Thread::new(first.process());
    assert_eq!(second.impersonate(&context(&world, Who::A, Imp)), Ok(Outcome::AsRequested));
    assert!(!first.is_impersonating() && second.is_impersonating());
}

#[test]
fn t023_the_thread_keeps_the_token_when_the_context_is_gone() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let context = context(&world, Who::A, Imp);
    let _ = server.impersonate(&context).unwrap();
    drop(context);
    let worn = server.reference_impersonation().unwrap();
    assert_eq!(worn.token.state().user().sid, user_a());
    assert_eq!(worn.token.reference_count(), 2);
}

#[test]
fn t024_the_second_client_replaces_the_first_and_one_revert_ends_all() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let (first, second) = (context(&world, Who::A, Imp), context(&world, Who::B, Imp));
    let _ = server.impersonate(&first).unwrap();
    assert_eq!(first.token().reference_count(), 2);
    let _ = server.impersonate(&second).unwrap();
    assert_eq!((first.token().reference_count(), second.token().reference_count()), (1, 2));
    assert!(server.reference_impersonation().unwrap().token.is_same(second.token()));
    server.revert();
    assert!(!server.is_impersonating() && server.reference_impersonation().is_none());
    assert_eq!(second.token().reference_count(), 1);
}

#[test]
fn t025_reverting_twice_or_without_a_client_is_harmless() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let balance = world.system.balance();
    server.revert();
    assert_eq!(world.system.balance(), balance);
    let _ = server.impersonate(&context(&world, Who::A, Delegation)).unwrap();
    server.revert();
    server.revert();
    assert!(!server.is_impersonating());
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t027_a_primary_token_can_be_worn() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let token = world.token(Who::A);
    assert_eq!(server.impersonate_token(&token, terms(Imp)), Ok(Outcome::AsRequested));
    let worn = server.reference_impersonation().unwrap();
    assert!(worn.token.is_same(&token));
    assert_eq!((worn.level, worn.token.kind()), (Imp, TokenKind::Primary));
}

#[test]
fn t028_saving_and_restoring_gives_the_same_record_field_by_field() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let narrow = Terms { level: Delegation, reach: Reach::EffectiveOnly, on_open: OnOpen::Share };
    let _ = server.impersonate_token(&world.imp(Who::A, Delegation), narrow).unwrap();
    let balance = world.system.balance();
    let saved = server.reference_impersonation().unwrap();
    let before = fields(&saved);
    let _ = server.impersonate(&context(&world, Who::B, Imp)).unwrap();
    let _ = server.impersonate_token(&saved.token, saved.terms()).unwrap();
    drop(saved);
    assert_eq!(fields(&server.reference_impersonation().unwrap()), before);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn a_restore_that_cannot_be_copied_ends_in_a_revert() {
    let world = World::new();
    let server = world.thread(Who::Nsx);
    let primary = server.process().reference_primary();
    let _ = primary.adjust_privileges(&[enabled(Privilege::Impersonate)]);
    let _ = server.impersonate(&context(&world, Who::A, Imp)).unwrap();
    let saved = server.reference_impersonation().unwrap();
    let _ = server.impersonate(&context(&world, Who::B, Imp)).unwrap();
    // Meanwhile the process lost the right, so the restore needs a copy, and there is no room for it.
    let _ = primary.disable_all_privileges();
    world.system.pool().fail_nth(1);
    let restored = server.impersonate_token(&saved.token, saved.terms());
    assert_eq!(restored, Err(NtStatus::INSUFFICIENT_RESOURCES));
    server.revert();
    assert!(!server.is_impersonating());
}

#[test]
fn t030_the_first_record_of_an_early_profile_is_an_allocation_that_can_fail() {
    let world = World::with(Profile::V1, crate::fixture::policy());
    let server = world.thread(Who::Sys);
    let client = context(&world, Who::A, Imp);
    world.system.pool().fail_nth(1);
    assert_eq!(server.impersonate(&client), Err(NtStatus::NO_MEMORY));
    assert!(!server.is_impersonating());
    assert_eq!(client.token().reference_count(), 1);
    assert_eq!(server.impersonate(&client), Ok(Outcome::AsRequested));
}

#[test]
fn t031_a_record_that_exists_is_not_allocated_again() {
    let world = World::with(Profile::V1, crate::fixture::policy());
    let server = world.thread(Who::Sys);
    let _ = server.impersonate(&context(&world, Who::A, Imp)).unwrap();
    let client = context(&world, Who::B, Imp);
    let charges = world.system.pool().charge_count();
    world.system.pool().fail_nth(1);
    assert_eq!(server.impersonate(&client), Ok(Outcome::AsRequested));
    server.revert();
    assert_eq!(server.impersonate(&client), Ok(Outcome::AsRequested));
    assert_eq!(world.system.pool().charge_count(), charges);
}

#[test]
fn t032_a_downgrade_that_cannot_be_copied_leaves_the_previous_client_on() {
    let world = World::new();
    let server = world.thread(Who::A);
    let own = world.imp(Who::A, Imp);
    let _ = server.impersonate_token(&own, terms(Imp)).unwrap();
    let before = fields(&server.reference_impersonation().unwrap());
    let other = world.imp(Who::B, Imp);
    let (balance, used) = (world.system.balance(), world.system.pool().in_use_bytes());
    world.system.pool().fail_nth(1);
    assert_eq!(server.impersonate_token(&other, terms(Imp)), Err(NtStatus::INSUFFICIENT_RESOURCES));
    assert_eq!(fields(&server.reference_impersonation().unwrap()), before);
    assert_eq!((world.system.balance(), world.system.pool().in_use_bytes()), (balance, used));
}

#[test]
fn t033_there_is_nothing_to_reference_and_nothing_to_release_without_a_client() {
    let world = World::new();
    let balance = world.system.balance();
    let thread = world.thread(Who::A);
    drop(thread.reference_impersonation());
    assert!(thread.reference_impersonation().is_none());
    drop(thread);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t035_the_effective_token_of_a_thread_that_wears_nobody_is_the_primary_one() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let effective = thread.reference_effective();
    assert!(matches!(&effective, Effective::Primary(token) if token.is_same(&thread.process().reference_primary())));
    assert_eq!(effective.level(), None);
}

#[test]
fn t036_the_effective_token_of_an_anonymous_thread_is_the_worn_one_at_level_zero() {
    let world = World::new();
    let thread = world.wearing(Who::B, Anonymous);
    let effective = thread.reference_effective();
    assert_eq!((effective.level(), effective.token().state().user().sid), (Some(Anonymous), user_b()));
}

#[test]
fn t037_disabling_sets_aside_and_restoring_puts_back_the_same() {
    let world = World::new();
    let thread = world.wearing_with(Who::B, Imp, Reach::EffectiveOnly);
    let before = fields(&thread.reference_impersonation().unwrap());
    let balance = world.system.balance();
    let disabled = thread.disable_impersonation().unwrap();
    assert!(!thread.is_impersonating());
    assert_eq!(world.system.balance(), balance);
    assert_eq!(disabled.saved().map(fields), Some(before));
    drop(disabled);
    assert_eq!(fields(&thread.reference_impersonation().unwrap()), before);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t038_there_is_nothing_to_disable_without_a_client() {
    let world = World::new();
    let thread = world.thread(Who::A);
    assert!(thread.disable_impersonation().is_none());
    assert!(!thread.is_impersonating());
}

#[test]
fn t039_restoring_replaces_what_was_taken_on_meanwhile() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let before = fields(&thread.reference_impersonation().unwrap());
    let balance = world.system.balance();
    let disabled = thread.disable_impersonation().unwrap();
    let other = context(&world, Who::A, Imp);
    let _ = thread.impersonate(&other).unwrap();
    assert_eq!(other.token().reference_count(), 2);
    drop(disabled);
    assert_eq!(other.token().reference_count(), 1);
    drop(other);
    assert_eq!(fields(&thread.reference_impersonation().unwrap()), before);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t040_a_thread_that_ends_gives_its_token_back() {
    let world = World::new();
    let balance = world.system.balance();
    let token = world.imp(Who::B, Imp);
    let forgotten = world.thread(Who::Sys);
    let _ = forgotten.impersonate_token(&token, terms(Imp)).unwrap();
    drop(forgotten);
    let ended = world.thread(Who::Sys);
    let _ = ended.impersonate_token(&token, terms(Imp)).unwrap();
    let pending = ended.prepare_token(&token, terms(Imp)).unwrap();
    ended.exit();
    assert_eq!(token.reference_count(), 2);
    assert_eq!(ended.impersonate_token(&token, terms(Imp)), Err(NtStatus::THREAD_IS_TERMINATING));
    let _ = pending.commit();
    assert!(!ended.is_impersonating());
    assert_eq!(token.reference_count(), 1);
    drop((token, ended));
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t041_a_thread_is_impersonating_at_every_level() {
    let world = World::new();
    for level in ImpersonationLevel::ALL {
        assert!(world.wearing(Who::B, level).is_impersonating());
    }
}

#[test]
fn t044_a_live_token_shows_what_the_client_enables_later() {
    let world = World::new();
    let client = world.thread(Who::A);
    let context = ClientContext::capture(&client, DYNAMIC, Local).unwrap();
    let _ = client.process().reference_primary().adjust_privileges(&[enabled(Privilege::Shutdown)]);
    let server = world.thread(Who::Sys);
    let _ = server.impersonate(&context).unwrap();
    let worn = server.reference_impersonation().unwrap();
    assert_eq!(worn.reach, Reach::AllHeld);
    assert!(worn.token.state().privileges().is_enabled(Privilege::Shutdown));
}

#[test]
fn t045_a_live_token_does_not_follow_the_client_to_another_token() {
    let world = World::new();
    let client = world.wearing(Who::B, Imp);
    let context = ClientContext::capture(&client, DYNAMIC, Local).unwrap();
    client.revert();
    let server = world.thread(Who::Sys);
    let _ = server.impersonate(&context).unwrap();
    assert_eq!(server.reference_impersonation().unwrap().token.state().user().sid, user_b());
}

#[test]
fn t046_a_static_copy_does_not_see_what_the_client_disables_later() {
    let world = World::new();
    let state = vicar_nt::token::TokenState::builder(user_a())
        .group(well_known::GUESTS, GroupAttributes::ENABLED.union(GroupAttributes::ENABLED_BY_DEFAULT));
    let token = imp(&world.token_of(state, 0xA001, 0x3e7), Imp);
    let client = world.thread(Who::Sys);
    let _ = client.assign(&token).unwrap();
    let context = ClientContext::capture(&client, STATIC, Local).unwrap();
    let _ = token.adjust_groups(&[(well_known::GUESTS, GroupChange::Disable)]).unwrap();
    assert!(!token.state().counts_for_allow(well_known::GUESTS.as_ref()));
    assert!(context.token().state().counts_for_allow(well_known::GUESTS.as_ref()));
}

#[test]
fn a_prepared_impersonation_changes_nothing_until_committed() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let client = context(&world, Who::A, Imp);
    let balance = world.system.balance();
    let pending = server.prepare(&client).unwrap();
    assert!(!server.is_impersonating());
    assert_eq!((pending.level(), pending.reach(), pending.outcome()), (Imp, Reach::AllHeld, Outcome::AsRequested));
    assert!(pending.token().is_same(client.token()) && pending.thread().is_same(&server));
    drop(pending);
    assert_eq!(world.system.balance(), balance);
    assert!(!server.is_impersonating());
    let pending = server.prepare(&client).unwrap();
    assert_eq!(pending.commit(), Outcome::AsRequested);
    assert!(server.is_impersonating());
}

#[test]
fn a_token_of_another_system_is_refused() {
    let (world, other) = (World::new(), World::new());
    let server = world.thread(Who::Sys);
    assert_eq!(server.impersonate(&context(&other, Who::A, Imp)), Err(NtStatus::INVALID_PARAMETER));
    assert!(!server.is_impersonating());
}

#[test]
fn t219_a_primary_token_cannot_be_assigned() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    assert_eq!(server.assign(&world.token(Who::A)), Err(NtStatus::BAD_TOKEN_TYPE));
    let token = world.imp(Who::A, Identification);
    let _ = server.assign(&token).unwrap();
    let worn = server.reference_impersonation().unwrap();
    assert!(worn.token.is_same(&token));
    assert_eq!((worn.level, worn.reach, worn.copy_on_open), (Identification, Reach::AllHeld, false));
}

#[test]
fn t230_a_panic_inside_a_client_scope_reverts() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let client = context(&world, Who::A, Imp);
    let inner = server.clone();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), _> = server.with_client(&client, || {
            assert!(inner.is_impersonating());
            std::panic::resume_unwind(Box::new(()));
        });
    }));
    assert!(caught.is_err());
    assert!(!server.is_impersonating());
}

#[test]
fn a_client_scope_puts_back_the_client_before_it_and_refuses_mere_identification() {
    let world = World::new();
    let server = world.wearing(Who::B, Imp);
    let before = fields(&server.reference_impersonation().unwrap());
    let client = context(&world, Who::A, Imp);
    let inside = server.with_client(&client, || server.reference_impersonation().unwrap().token.state().user().sid);
    assert_eq!(inside, Ok(user_a()));
    assert_eq!(fields(&server.reference_impersonation().unwrap()), before);
    let refused = world.thread(Who::A).with_client(&context(&world, Who::B, Imp), || ());
    assert_eq!(refused, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    let refused = server.with_client(&context(&world, Who::A, Identification), || ());
    assert_eq!(refused, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
}

#[test]
fn t042_a_threads_block_follows_its_impersonation_and_is_never_read_back() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    let (a, b) = (world.imp(Who::A, Imp), world.imp(Who::B, Identification));
    let block = ThreadBlock::new();
    let shows = || (block.is_impersonating(), block.locale());
    thread.attach_block(Arc::clone(&block)).unwrap();
    assert_eq!(thread.attach_block(ThreadBlock::new()), Err(NtStatus::INVALID_PARAMETER));
    assert!(Arc::ptr_eq(thread.block().unwrap(), &block));
    assert_eq!(shows(), (0, 0));
    // Every way on and off, twice: the second time the gate's answer is remembered.
    let client = ClientContext::from_token(&a, DYNAMIC, Local).unwrap();
    for _ in 0..2 {
        let _ = thread.impersonate(&client).unwrap();
        assert_eq!(shows(), (1, -1));
        thread.revert();
        assert_eq!(shows(), (0, 0));
        let _ = thread.impersonate_token(&a, terms(Imp)).unwrap();
        assert_eq!(shows(), (1, -1));
        // Identification counts too.
        let _ = thread.impersonate_token(&b, terms(Identification)).unwrap();
        assert_eq!(shows(), (1, -1));
        thread.revert();
        let inside = thread.with_client(&client, shows).unwrap();
        assert_eq!((inside, shows()), ((1, -1), (0, 0)));
    }
    // Setting aside and putting back is not shown.
    let _ = thread.impersonate(&client).unwrap();
    let disabled = thread.disable_impersonation().unwrap();
    assert!(!thread.is_impersonating());
    assert_eq!(shows(), (1, -1));
    drop(disabled);
    assert_eq!(shows(), (1, -1));
    // What the program writes there changes nothing, and is written over by the next change only.
    block.overwrite(0, 7);
    assert!(thread.is_impersonating());
    assert_eq!(thread.reference_impersonation().unwrap().level, Imp);
    thread.revert();
    assert_eq!(shows(), (0, 0));
    block.overwrite(1, -1);
    assert!(!thread.is_impersonating());
    assert_eq!(thread.reference_effective().level(), None);
    thread.revert();
    assert_eq!(shows(), (1, -1));
}
