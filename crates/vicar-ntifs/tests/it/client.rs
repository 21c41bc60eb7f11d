//! Client contexts.

use std::ptr::null_mut;

use vicar_ntifs::verifier::Rule;

use crate::call::c;
use crate::stage::*;

#[test]
fn a_service_acts_as_its_client_and_goes_back() {
    let stage = Stage::new();
    let (server, client) = (SERVICE.thread(), ALICE.thread());
    c!(vicar_act_as(server));
    let before = c!(vicar_balance());
    let mut context = capture(client, STATIC).unwrap();
    assert_eq!(context.SecurityQos.Length, 12);
    assert_eq!(c!(SeImpersonateClientEx(&raw const context, null_mut())), SUCCESS);
    assert_eq!(level(server), Some(2));
    c!(SeDeleteClientSecurity(&raw mut context));
    assert!(context.ClientToken.is_null());
    assert_eq!(level(server), Some(2), "the thread has a reference of its own");
    c!(SeStopImpersonatingClient());
    assert_eq!(level(server), None);
    assert_eq!(c!(vicar_balance()), before);
    c!(vicar_return_to_user_mode());
    stage.clean();
}

#[test]
fn without_the_privilege_a_client_is_only_identified() {
    let stage = Stage::new();
    let (server, client) = (BOB.thread(), ALICE.thread());
    let mut context = capture(client, STATIC).unwrap();
    assert_eq!(c!(SeImpersonateClientEx(&raw const context, server)), SUCCESS);
    assert_eq!(level(server), Some(1));
    c!(PsRevertThreadToSelf(server));
    c!(SeDeleteClientSecurity(&raw mut context));
    stage.clean();
}

#[test]
fn a_context_is_deleted_once() {
    let stage = Stage::new();
    let client = ALICE.thread();
    let mut context = capture(client, STATIC).unwrap();
    let mut copy = context;
    c!(SeDeleteClientSecurity(&raw mut context));
    assert_eq!(stage.found(), []);
    c!(SeDeleteClientSecurity(&raw mut context));
    assert_eq!(stage.found(), [Rule::ContextDeletedTwice]);
    c!(SeDeleteClientSecurity(&raw mut copy));
    assert_eq!(stage.found(), [Rule::ContextDeletedTwice]);
    assert_eq!(c!(SeImpersonateClientEx(&raw const copy, null_mut())), INVALID_PARAMETER);
    assert_eq!(stage.found(), [Rule::ContextNotCreated]);
    stage.clean();
}

#[test]
fn what_is_not_given_back_is_found() {
    let stage = Stage::new();
    let client = ALICE.thread();
    let _leaked = capture(client, STATIC).unwrap();
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    let _token = ALICE.token();
    assert_eq!(c!(vicar_verify()), 3);
    let mut found = stage.found();
    found.sort_unstable();
    assert_eq!(found, [Rule::ReferenceLeaked, Rule::ContextNotDeleted, Rule::SubjectNotReleased]);
}

#[test]
fn the_call_site_of_a_finding_is_the_line_that_called() {
    let stage = Stage::new();
    c!(SeDeleteClientSecurity(null_mut()));
    let found = vicar_ntifs::testing::take_findings();
    assert_eq!(found.len(), 1);
    let site = found[0].site.to_string();
    assert!(site.contains("the_call_site_of_a_finding_is_the_line_that_called"), "{site}");
    assert!(site.contains(".rs:"), "{site}");
    stage.clean();
}
