//! Whom a ticket does not let in.

use crate::accept;
use crate::realm::{Other, Realm, with_short_tickets};
use std::time::{Duration, SystemTime};
use vicar_os::source::AccountError;
use vicar_os::source::NameError;
use vicar_os::source::kerberos::{Accept, AcceptError};
use vicar_os::source::principal::PrincipalError;
use vicar_os::supervisor::ResolveError;
use vicar_os::supervisor::admission::Refusal;

pub(crate) fn principals_that_are_no_account_are_refused() {
    let realm = Realm::new();
    let unknown = PrincipalError::Resolve(ResolveError::Account(AccountError::Unknown));
    let people = [
        ("alice@EVIL", PrincipalError::Realm),
        ("root@EVIL", PrincipalError::Realm),
        ("root", PrincipalError::Root),
        ("toor", PrincipalError::Root),
        ("system", PrincipalError::BelowFloor { floor: 1000 }),
        ("nobody", PrincipalError::NotAdmitted(Refusal::Overflow)),
        ("alice/admin", PrincipalError::Components),
        ("HTTP/localhost", PrincipalError::Components),
        ("65534", PrincipalError::Name(NameError::Number)),
        ("ALICE", unknown),
        ("carol", unknown),
    ];
    let keytab = realm.path("http.keytab");
    let caches = people.map(|(who, _)| match who {
        "HTTP/localhost" => realm.kinit(who, &["-k", "-t", keytab.to_str().unwrap()]),
        _ => realm.kinit(who, &["-f"]),
    });
    let ([kerberos], world) = realm.serve([realm.options()]);
    for ((who, refusal), cache) in people.iter().zip(&caches) {
        // The ticket is good, and what it proves is nobody here.
        let accepted = accept(&kerberos, cache, "delegate").unwrap();
        assert_eq!(accepted.principal().split('@').next(), who.split('@').next());
        let refused = accepted.sign_in(&world.rule, &world.supervisor).map(|_| ());
        assert_eq!(refused, Err(*refusal), "{who}");
    }
    let bob = realm.kinit("bob", &[]);
    assert!(accept(&kerberos, &bob, "plain").unwrap().sign_in(&world.rule, &world.supervisor).is_ok());
}

pub(crate) fn a_token_is_good_once_here_and_now() {
    let realm = Realm::new();
    let cache = realm.kinit("alice", &["-f"]);
    let mut other_keys = realm.options();
    other_keys.keytab = realm.path("old.keytab");
    let mut no_keys = realm.options();
    no_keys.keytab = realm.path("absent");
    let mut no_keytab = realm.options();
    no_keytab.keytab = realm.path("krb5.conf");
    let mut other_service = realm.options();
    other_service.service = "ldap".to_owned();
    let options = [realm.options(), other_keys, no_keys, no_keytab, other_service];
    let ([kerberos, other_keys, no_keys, no_keytab, other_service], _world) = realm.serve(options);
    let refusal = |result: Result<Accept, AcceptError>, what: &str| match result {
        Err(AcceptError::Refused(refusal)) => refusal,
        other => panic!("{what}: {other:?}"),
    };
    for how in ["negotiated", "plain", "plain,delegate"] {
        // Once, whichever helper reads it.
        let token = Other::client(&cache, "HTTP", how).token();
        assert!(matches!(kerberos.accept().unwrap().step(&token), Ok(Accept::Done(_))), "{how}");
        let again = refusal(kerberos.accept().unwrap().step(&token), how);
        assert!(again.text.contains("Request is a replay"), "{how}: {again:?}");
        // With the key of another service, which is in the keytab as well.
        let token = Other::client(&cache, "host", how).token();
        let wrong = refusal(kerberos.accept().unwrap().step(&token), how);
        assert!(wrong.major >> 16 != 0 && !wrong.text.is_empty(), "{how}: {wrong:?}");
        // With keys that the service has no more.
        let token = Other::client(&cache, "HTTP", how).token();
        let wrong = refusal(other_keys.accept().unwrap().step(&token), how);
        assert!(wrong.major >> 16 != 0, "{how}: {wrong:?}");
        // The keytab that the environment names is not looked at.
        let absent = no_keys.accept().unwrap().step(&token).map(|_| ());
        assert_eq!(absent, Err(AcceptError::Keytab { errno: 2 }), "{how}");
        refusal(no_keytab.accept().unwrap().step(&token), "no keytab");
        refusal(other_service.accept().unwrap().step(&token), "no key of the service");
        // None of these has used it up.
        assert!(matches!(kerberos.accept().unwrap().step(&token), Ok(Accept::Done(_))), "{how}");
    }
    // What was refused once is over.
    let mut accepting = kerberos.accept().unwrap();
    refusal(accepting.step(b"none"), "garbage");
    assert_eq!(accepting.step(b"none").map(|_| ()), Err(AcceptError::OutOfTurn));
    for (token, bytes) in [(Vec::new(), 0), (vec![0x60; 65_536], 65_536)] {
        let refused = kerberos.accept().unwrap().step(&token).map(|_| ());
        assert_eq!(refused, Err(AcceptError::TokenLength { bytes }));
    }
}

pub(crate) fn a_ticket_that_has_ended_is_refused() {
    let realm = Realm::new();
    // A clock of the server's own mind: nothing is forgiven but a second. The others forgive minutes.
    let strict = std::fs::read_to_string(realm.path("krb5.conf")).unwrap();
    let (end, tokens) = with_short_tickets(|seconds| {
        let cache = realm.kinit("alice", &["-l", &format!("{seconds}s")]);
        let end = SystemTime::now() + Duration::from_secs(seconds);
        let token = |how| Other::client(&cache, "HTTP", how).token_in_time();
        Some((end, [token("negotiated")?, token("plain")?]))
    });
    let lasting = realm.kinit("alice", &[]);
    std::fs::write(realm.path("krb5.conf"), strict.replace("[libdefaults]", "[libdefaults]\n clockskew = 1")).unwrap();
    let ([kerberos], _world) = realm.serve([realm.options()]);
    std::thread::sleep((end + Duration::from_secs(2)).duration_since(SystemTime::now()).unwrap_or_default());
    for token in tokens {
        match kerberos.accept().unwrap().step(&token) {
            Err(AcceptError::Refused(refusal)) => {
                assert!(refusal.text.contains("Ticket expired"), "{refusal:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Not because nobody is accepted by such a clock; a busy machine may be slower than it, so it is tried again.
    let is_accepted = || {
        let token = Other::client(&lasting, "HTTP", "plain,one-way").token_in_time();
        token.is_some_and(|token| matches!(kerberos.accept().unwrap().step(&token), Ok(Accept::Done(_))))
    };
    assert!((0..100).any(|_| is_accepted()));
}
