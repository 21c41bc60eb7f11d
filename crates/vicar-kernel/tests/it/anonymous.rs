//! 6.H: the anonymous user.

use vicar_kernel::anonymous::{AnonymousLogon, EveryoneIncludesAnonymous};
use vicar_kernel::{Outcome, Thread};
use vicar_nt::token::TokenState;
use vicar_nt::{Luid, NtStatus, Sid, well_known};

use crate::fixture::{Identification, Imp, Who, World, terms, user_a};

fn start(world: &World) -> AnonymousLogon {
    AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap()
}

#[test]
fn t169_an_ordinary_caller_acts_as_the_anonymous_user_without_everyone() {
    let world = World::new();
    let anonymous = start(&world);
    let thread = world.thread(Who::A);
    assert_eq!(anonymous.impersonate(&thread, &thread), Ok(Outcome::AsRequested));
    let worn = thread.reference_impersonation().unwrap();
    assert!(worn.token.is_same(anonymous.token()));
    assert_eq!((worn.level, worn.copy_on_open), (Imp, true));
    assert_eq!(worn.token.state().user().sid, well_known::ANONYMOUS);
    assert_eq!(worn.token.authentication_id(), Luid::ANONYMOUS_LOGON);
    assert!(!worn.token.state().counts_for_allow(well_known::EVERYONE.as_ref()));
    assert_eq!(thread.process().reference_primary().state().user().sid, user_a());
}

#[test]
fn t170_everyone_is_there_when_the_setting_says_so() {
    let world = World::new();
    let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::Yes).unwrap();
    assert!(anonymous.token().state().counts_for_allow(well_known::EVERYONE.as_ref()));
    let thread = world.thread(Who::A);
    assert_eq!(anonymous.impersonate(&thread, &thread), Ok(Outcome::AsRequested));
}

#[test]
fn t172_a_restricted_process_is_refused() {
    let world = World::new();
    let anonymous = start(&world);
    let thread = world.thread(Who::Ar);
    assert_eq!(anonymous.impersonate(&thread, &thread), Err(NtStatus::ACCESS_DENIED));
    assert!(!thread.is_impersonating());
}

#[test]
fn t173_a_sandboxed_caller_gets_an_anonymous_token_in_its_package() {
    let world = World::new();
    let anonymous = start(&world);
    let thread = world.thread(Who::Ac1);
    assert_eq!(anonymous.impersonate(&thread, &thread), Ok(Outcome::AsRequested));
    let worn = thread.reference_impersonation().unwrap();
    let own = thread.process().reference_primary().state();
    let package = |state: &TokenState| state.app_container().map(|container| *container.package());
    assert_eq!(worn.token.state().user().sid, well_known::ANONYMOUS);
    assert!(package(&own).is_some());
    assert_eq!(package(&worn.token.state()), package(&own));
}

#[test]
fn t174_a_sandboxed_caller_cannot_get_out_by_an_identified_token() {
    let world = World::new();
    let anonymous = start(&world);
    let thread = world.thread(Who::Ac1);
    let _ = thread.impersonate_token(&world.imp(Who::A, Identification), terms(Identification)).unwrap();
    assert_eq!(anonymous.impersonate(&thread, &thread), Ok(Outcome::AsRequested));
    assert!(thread.reference_impersonation().unwrap().token.state().app_container().is_some());
}

#[test]
fn t175_a_less_privileged_caller_stays_less_privileged() {
    let world = World::new();
    let anonymous = start(&world);
    let state = TokenState::builder(user_a()).app_container(Sid::new(15, &[2, 7]).unwrap()).less_privileged();
    let process = vicar_kernel::Process::new(&world.system, world.token_of(state, 0xA001, 0)).unwrap();
    let thread = Thread::new(&process);
    assert_eq!(anonymous.impersonate(&thread, &thread), Ok(Outcome::AsRequested));
    assert!(thread.reference_impersonation().unwrap().token.state().is_lpac());
}

#[test]
fn t176_a_thousand_calls_leave_no_reference_behind() {
    let world = World::new();
    let anonymous = start(&world);
    let (thread, sandboxed) = (world.thread(Who::A), world.thread(Who::Ac1));
    let balance = world.system.balance();
    for _ in 0..1000 {
        for thread in [&thread, &sandboxed] {
            let _ = anonymous.impersonate(thread, thread).unwrap();
            thread.revert();
        }
    }
    assert_eq!((world.system.balance(), anonymous.token().reference_count()), (balance, 1));
}
