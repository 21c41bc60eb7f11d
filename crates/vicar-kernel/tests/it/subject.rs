//! 6.G: subject contexts, and what each level may decide.

use vicar_kernel::{ClientContext, SubjectContext};
use vicar_nt::{ImpersonationLevel, Luid, NtStatus};

use crate::fixture::{Anonymous, Delegation, Identification, Imp, Local, STATIC, Who, World, terms, user_a, user_b};

const BAD: NtStatus = NtStatus::BAD_IMPERSONATION_LEVEL;

#[test]
fn capturing_takes_both_tokens_and_releasing_gives_both_back() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let balance = world.system.balance();
    let subject = SubjectContext::capture(&thread);
    assert_eq!(world.system.balance(), balance + 2);
    assert_eq!(subject.level(), Some(Imp));
    assert_eq!(subject.audit_id(), thread.process().id());
    assert!(subject.primary().is_same(&thread.process().reference_primary()));
    thread.revert();
    assert_eq!(subject.effective_token_unchecked().state().user().sid, user_b());
    drop(subject);
    assert_eq!(SubjectContext::capture(&thread).level(), None);
}

#[test]
fn t166_the_process_is_named_and_need_not_be_the_threads_own() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let attached = world.process(Who::A);
    let subject = SubjectContext::capture_in(Some(&thread), &attached);
    assert_eq!(subject.primary().state().user().sid, user_a());
    assert_eq!(subject.client().map(|client| client.level), Some(Imp));
    assert!(SubjectContext::capture_in(None, &attached).client().is_none());
}

#[test]
fn t165_the_logon_session_of_a_token_is_readable_at_every_level_but_decides_nothing_below_impersonation() {
    let world = World::new();
    for level in ImpersonationLevel::ALL {
        let thread = world.wearing(Who::B, level);
        let worn = thread.reference_impersonation().unwrap();
        assert_eq!(worn.token.authentication_id(), Luid::from_u64(0xB001));
        let decided = SubjectContext::capture(&thread).authentication_id();
        assert_eq!(decided.is_ok(), level >= Imp);
    }
}

#[test]
fn cv01_an_identified_system_token_is_not_an_administrator() {
    let world = World::new();
    let thread = world.thread(Who::A);
    for level in [Anonymous, Identification] {
        let _ = thread.impersonate_token(&world.imp(Who::Sys, level), terms(level)).unwrap();
        let subject = SubjectContext::capture(&thread);
        assert_eq!(subject.is_admin(), Err(BAD));
        assert_eq!(subject.for_authorisation().unwrap_err(), BAD);
    }
    assert_eq!(SubjectContext::capture(&world.wearing(Who::Sys, Imp)).is_admin(), Ok(true));
    thread.revert();
    assert_eq!(SubjectContext::capture(&thread).is_admin(), Ok(false));
}

#[test]
fn cv02_an_identified_token_names_no_logon_session() {
    let world = World::new();
    let subject = SubjectContext::capture(&world.wearing(Who::Sys, Identification));
    assert_eq!(subject.authentication_id(), Err(BAD));
}

#[test]
fn an_identified_client_may_be_shown_and_an_anonymous_one_may_not() {
    let world = World::new();
    let shown = |level| {
        let subject = SubjectContext::capture(&world.wearing(Who::B, level));
        subject.for_display().map(|token| token.state().user().sid)
    };
    assert_eq!(shown(Anonymous), Err(BAD));
    assert_eq!(shown(Identification), Ok(user_b()));
    assert_eq!(shown(Delegation), Ok(user_b()));
}

#[test]
fn parts_make_a_subject_whose_level_is_at_most_the_tokens() {
    let world = World::new();
    let primary = world.token(Who::A);
    let client = world.imp(Who::B, Identification);
    let subject = SubjectContext::from_parts(Some(client), Delegation, primary);
    assert_eq!(subject.level(), Some(Identification));
    assert_eq!(ClientContext::from_subject(&subject, STATIC, Local).unwrap_err(), BAD);
    let subject = SubjectContext::from_parts(Some(world.token(Who::B)), Imp, world.token(Who::A));
    assert_eq!(subject.level(), Some(Imp));
}
