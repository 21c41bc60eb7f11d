//! Clients that come with Kerberos tickets: who they are here, what they delegate, and who reaches it.
//!
//! Each test has a key distribution centre of its own on loopback. It runs with an environment that names the server's own
//! tickets and keys: nothing may take them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
mod delegating;
mod hostile;
mod other;
mod process;
mod realm;
mod refused;

use realm::{ALICE, Other, Realm, Said, World};
use std::process::ExitCode;
use vicar_os::source::kerberos::{Accept, AcceptError, Accepted, Accepting, Kerberos};
use vicar_os::{ClientContext, DelegationError, ImpersonationLevel, LogonError};

const TESTS: &[alone::Test] = &[
    ("a_ticket_signs_its_principal_in", a_ticket_signs_its_principal_in),
    ("a_conversation_may_have_several_turns", a_conversation_may_have_several_turns),
    ("delegation_needs_a_forwarded_ticket", delegating::delegation_needs_a_forwarded_ticket),
    ("a_client_is_proved_to_another_service", delegating::a_client_is_proved_to_another_service),
    ("nobody_else_reaches_what_was_delegated", delegating::nobody_else_reaches_what_was_delegated),
    ("what_ends_is_over", delegating::what_ends_is_over),
    ("no_service_gets_a_ticket_for_somebody_else", delegating::no_service_gets_a_ticket_for_somebody_else),
    ("principals_that_are_no_account_are_refused", refused::principals_that_are_no_account_are_refused),
    ("a_token_is_good_once_here_and_now", refused::a_token_is_good_once_here_and_now),
    ("a_ticket_that_has_ended_is_refused", refused::a_ticket_that_has_ended_is_refused),
    ("hostile_tokens_are_refused_and_crash_nothing", hostile::hostile_tokens_are_refused_and_crash_nothing),
    ("a_helper_has_nothing", process::a_helper_has_nothing),
    ("a_helper_that_hangs_is_given_up", process::a_helper_that_hangs_is_given_up),
    ("there_are_no_more_helpers_than_allowed", process::there_are_no_more_helpers_than_allowed),
    ("when_its_process_dies_everybody_is_told", process::when_its_process_dies_everybody_is_told),
    ("options_that_cannot_be_start_nothing", process::options_that_cannot_be_start_nothing),
];

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(other::ROLE) {
        other::play(&role);
        return ExitCode::SUCCESS;
    }
    alone::run(true, TESTS)
}

/// Hands tokens back and forth until the client is accepted or refused.
fn converse(accepting: &mut Accepting, client: &mut Other) -> Result<Accepted, AcceptError> {
    let mut token = client.token();
    loop {
        match accepting.step(&token)? {
            Accept::Done(accepted) => return Ok(accepted),
            Accept::Continue(answer) => match client.step(&answer) {
                Said::Token(next) => token = next,
                said => panic!("{said:?}"),
            },
        }
    }
}

/// Accepts a client that comes with a cache of tickets.
fn accept(kerberos: &Kerberos, cache: &str, how: &str) -> Result<Accepted, AcceptError> {
    converse(&mut kerberos.accept().unwrap(), &mut Other::client(cache, "HTTP", how))
}

fn sign_in(world: &World, kerberos: &Kerberos, cache: &str, how: &str) -> ClientContext {
    let accepted = accept(kerberos, cache, how).unwrap();
    accepted.sign_in(&world.rule, &world.supervisor).unwrap().logon(&world.server).unwrap()
}

fn a_ticket_signs_its_principal_in() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &[]);
    let environment: Vec<_> = std::env::vars_os().collect();
    let ([kerberos], world) = realm.serve([realm.options()]);
    for how in ["negotiated", "plain", "negotiated,one-way", "plain,one-way"] {
        let mut client = Other::client(&cache, "HTTP", how);
        let accepted = converse(&mut kerberos.accept().unwrap(), &mut client).unwrap();
        assert_eq!((accepted.principal(), accepted.delegates()), ("alice@VICAR.TEST", false), "{how}");
        // The client learns that this is the service it meant.
        let said = if accepted.answer().is_empty() { client.hear() } else { client.step(accepted.answer()) };
        assert!(matches!(&said, Said::Done(name) if name.contains("HTTP")), "{how}: {said:?}");
        let signed_in = accepted.sign_in(&world.rule, &world.supervisor).unwrap();
        assert_eq!(signed_in.account().identity.to_string(), "uid 61001 gid 61001 groups 61001,61100");
        let alice = signed_in.logon(&world.server).unwrap();
        assert_eq!(alice.level(), ImpersonationLevel::Impersonation);
        assert_eq!(world.server.run_as(&alice, |as_client| as_client.shown().uid.raw()), Ok(ALICE));
        assert_eq!(alice.delegated().map(|_| ()), Err(DelegationError::NotDelegated));
    }
    // Whoever asks for more than there is gets an error; less is given.
    let signed_in = |how| accept(&kerberos, &cache, how).unwrap().sign_in(&world.rule, &world.supervisor).unwrap();
    let refused = signed_in("plain").logon_at(&world.server, ImpersonationLevel::Delegation).map(|_| ());
    assert_eq!(refused, Err(LogonError::Delegation(DelegationError::NotDelegated)));
    let known = signed_in("plain").logon_at(&world.server, ImpersonationLevel::Identification).unwrap();
    assert_eq!(known.level(), ImpersonationLevel::Identification);
    assert_eq!(std::env::vars_os().collect::<Vec<_>>(), environment);
}

fn a_conversation_may_have_several_turns() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &["-f"]);
    let ([kerberos], world) = realm.serve([realm.options()]);
    for how in ["plain,third", "negotiated,third"] {
        let mut accepting = kerberos.accept().unwrap();
        let mut client = Other::client(&cache, "HTTP", how);
        let Accept::Continue(answer) = accepting.step(&client.token()).unwrap() else { panic!("{how}: one turn") };
        let Said::Token(third) = client.step(&answer) else { panic!("{how}: no third token") };
        let mut token = third;
        let accepted = loop {
            match accepting.step(&token).unwrap() {
                Accept::Done(accepted) => break accepted,
                Accept::Continue(answer) => match client.step(&answer) {
                    Said::Token(next) => token = next,
                    said => panic!("{how}: {said:?}"),
                },
            }
        };
        assert_eq!((accepted.principal(), accepted.delegates()), ("alice@VICAR.TEST", false));
        // It is over.
        assert_eq!(accepting.step(b"more").map(|_| ()), Err(AcceptError::OutOfTurn));
        drop(accepted.sign_in(&world.rule, &world.supervisor).unwrap());
    }
}
