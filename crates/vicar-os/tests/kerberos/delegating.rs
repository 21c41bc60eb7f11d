//! What a client delegates, and who reaches it.

use crate::process::{only_helper, watch};
use crate::realm::{ALICE, HELPER, Other, Realm, Said, with_short_tickets};
use crate::{accept, sign_in};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use vicar_os::source::kerberos::Accept;
use vicar_os::{
    ClientContext, ClientThreadOptions, DelegationError, EnterError, ImpersonationLevel, InitiateError, LogonError,
    Server, Service, Turn,
};

pub(crate) fn delegation_needs_a_forwarded_ticket() {
    let realm = Realm::new();
    let (forwardable, not) = (realm.kinit("alice", &["-f"]), realm.kinit("alice", &["-F"]));
    let ([kerberos], world) = realm.serve([realm.options()]);
    for (cache, how, delegates) in [
        (&forwardable, "negotiated,delegate", true),
        (&forwardable, "plain,delegate", true),
        (&forwardable, "negotiated", false),
        // The client wants to, and its ticket does not allow it.
        (&not, "negotiated,delegate", false),
        (&not, "plain,delegate", false),
    ] {
        let accepted = accept(&kerberos, cache, how).unwrap();
        assert_eq!(accepted.delegates(), delegates, "{how}");
        let signed_in = accepted.sign_in(&world.rule, &world.supervisor).unwrap();
        let client = signed_in.logon(&world.server).unwrap();
        let level = if delegates { ImpersonationLevel::Delegation } else { ImpersonationLevel::Impersonation };
        assert_eq!(client.level(), level, "{how}");
        assert_eq!(world.server.run_as(&client, |as_client| as_client.shown().uid.raw()), Ok(ALICE));
        let known = client.delegated();
        assert_eq!(known.map(|known| known.mechanism()).ok(), delegates.then_some("krb5"));
        let signed_in = accept(&kerberos, cache, how).unwrap().sign_in(&world.rule, &world.supervisor).unwrap();
        let asked = signed_in.logon_at(&world.server, ImpersonationLevel::Delegation).map(|client| client.level());
        let none = Err(LogonError::Delegation(DelegationError::NotDelegated));
        assert_eq!(asked, if delegates { Ok(ImpersonationLevel::Delegation) } else { none });
    }
    // A server that wants no more than to act here has no more.
    let signed_in =
        accept(&kerberos, &forwardable, "delegate").unwrap().sign_in(&world.rule, &world.supervisor).unwrap();
    let client = signed_in.logon_at(&world.server, ImpersonationLevel::Impersonation).unwrap();
    assert_eq!(client.delegated().map(|_| ()), Err(DelegationError::NotDelegated));
}

/// Proves a client to the service `host`, and returns who that service says it is.
fn proved(realm: &Realm, server: &Server, client: &ClientContext) -> Result<String, InitiateError> {
    let mut proof = server.initiate(client, &Service::new("host", "localhost").unwrap())?;
    let mut service = Other::service(realm);
    let mut turn = proof.step(None)?;
    loop {
        let (token, is_last) = match turn {
            Turn::Continue(token) => (token, false),
            Turn::Done(Some(token)) => (token, true),
            Turn::Done(None) => match service.hear() {
                Said::Done(who) => return Ok(who),
                said => panic!("{said:?}"),
            },
        };
        match service.step(&token) {
            Said::Token(answer) if !is_last => turn = proof.step(Some(&answer))?,
            Said::Done(who) => return Ok(who),
            said => panic!("{said:?}"),
        }
    }
}

pub(crate) fn a_client_is_proved_to_another_service() {
    let realm = Realm::new();
    let (alices, bobs) = (realm.kinit("alice", &["-f"]), realm.kinit("bob", &["-f"]));
    let ([kerberos], world) = realm.serve([realm.options()]);
    let server = &world.server;
    let alice = sign_in(&world, &kerberos, &alices, "delegate");
    let bob = sign_in(&world, &kerberos, &bobs, "delegate");
    let alice_here = sign_in(&world, &kerberos, &alices, "no-more");
    // Many at a time, each as who it is; and from inside of a closure that acts as somebody.
    for _ in 0..3 {
        assert_eq!(proved(&realm, server, &alice).as_deref(), Ok("alice@VICAR.TEST"));
        assert_eq!(proved(&realm, server, &bob).as_deref(), Ok("bob@VICAR.TEST"));
    }
    let host = Service::new("host", "localhost").unwrap();
    let mut begun: Vec<_> = (0..32).map(|_| server.initiate(&alice, &host).unwrap()).collect();
    for proof in &mut begun {
        assert!(matches!(proof.step(None), Ok(Turn::Continue(_))));
    }
    let mut more = server.initiate(&alice, &host).unwrap();
    assert_eq!(more.step(None), Err(InitiateError::TooMany));
    drop(begun);
    assert_eq!(proved(&realm, server, &alice).as_deref(), Ok("alice@VICAR.TEST"));
    let inside = server.run_as(&alice, |_as_client| server.initiate(&alice, &host).unwrap().step(None).is_ok());
    assert_eq!(inside, Ok(true));
    // Without a credential there is none to use, not the server's own, which its environment names.
    let none = InitiateError::Delegation(DelegationError::NotDelegated);
    assert_eq!(proved(&realm, server, &alice_here), Err(none));
    // What is no answer and what comes out of turn ends a proof, not the credential.
    let mut proof = server.initiate(&alice, &host).unwrap();
    assert_eq!(proof.step(Some(b"early")), Err(InitiateError::OutOfTurn));
    let mut proof = server.initiate(&alice, &host).unwrap();
    assert!(proof.step(None).is_ok());
    assert!(matches!(proof.step(Some(b"garbage")), Err(InitiateError::Refused(_))));
    assert_eq!(proof.step(Some(b"more")), Err(InitiateError::OutOfTurn));
    let mut unknown = server.initiate(&alice, &Service::new("ldap", "localhost").unwrap()).unwrap();
    assert!(matches!(unknown.step(None), Err(InitiateError::Refused(_))));
    assert_eq!(proved(&realm, server, &alice).as_deref(), Ok("alice@VICAR.TEST"));
    // A client that was revoked is nobody's any more, and a server that may not act here may not act elsewhere.
    alice.revoke();
    assert_eq!(alice.delegated().map(|_| ()), Err(DelegationError::Revoked));
    assert_eq!(proved(&realm, server, &alice), Err(InitiateError::Enter(EnterError::Revoked)));
    server.give_up_impersonation();
    let lowered = proved(&realm, server, &bob);
    assert!(matches!(lowered, Err(InitiateError::Enter(EnterError::BelowImpersonation { .. }))), "{lowered:?}");
}

/// Files that hold credentials, by the names that the library gives them.
fn caches_of_everybody() -> Vec<String> {
    let entries = std::fs::read_dir("/tmp").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| name.starts_with("krb5")).collect();
    names.sort();
    names
}

/// What the calling thread sees of keys and of the memory of a process.
fn reached(process: u32) -> Vec<String> {
    let keys = std::fs::read_to_string("/proc/keys").unwrap_or_default();
    let mut found: Vec<String> = keys.lines().filter(|line| line.contains("krb")).map(str::to_owned).collect();
    for name in ["mem", "environ", "maps", "fd", "cwd", "auxv"] {
        let path = format!("/proc/{process}/{name}");
        let is_reached = match name {
            // The numbers may be listed; what is behind them may not be opened.
            "fd" => (0..64).any(|number| std::fs::read_link(format!("{path}/{number}")).is_ok()),
            "cwd" => std::fs::read_link(&path).is_ok(),
            "mem" => std::fs::File::open(&path).is_ok(),
            _ => std::fs::read(&path).is_ok(),
        };
        if is_reached {
            found.push(path);
        }
    }
    found
}

/// The principal of the tickets that the library finds in this process by itself.
fn found_by_the_library() -> Option<String> {
    use libgssapi::credential::{Cred, CredUsage};
    Some(Cred::acquire(None, None, CredUsage::Initiate, None).ok()?.name().ok()?.to_string())
}

pub(crate) fn nobody_else_reaches_what_was_delegated() {
    let realm = Realm::new();
    let (alices, bobs) = (realm.kinit("alice", &["-f"]), realm.kinit("bob", &["-f"]));
    let environment: Vec<_> = std::env::vars_os().collect();
    let files = caches_of_everybody();
    let ([kerberos], world) = realm.serve([realm.options()]);
    let server = &world.server;
    let threads = server.client_threads(ClientThreadOptions { threads: 1, ..ClientThreadOptions::default() }).unwrap();
    let bob = sign_in(&world, &kerberos, &bobs, "no-more");
    let in_scratch = |realm: &Realm| std::fs::read_dir(realm.path("")).unwrap().count();
    let scratch = in_scratch(&realm);
    let alice = sign_in(&world, &kerberos, &alices, "delegate");
    assert_eq!(proved(&realm, server, &alice).as_deref(), Ok("alice@VICAR.TEST"));
    let helper = only_helper(&kerberos);
    // The server: no file, no keyring, no environment, and the memory is another process's.
    assert_eq!(caches_of_everybody(), files);
    // The other service has made its replay cache.
    assert_eq!(in_scratch(&realm), scratch + 1);
    assert_eq!(std::env::vars_os().collect::<Vec<_>>(), environment);
    assert_eq!(reached(helper), Vec::<String>::new());
    assert_eq!(found_by_the_library(), None);
    // A client, on the server's thread and on a client thread: bob, and alice herself, whose files here are not her ticket.
    for client in [&bob, &alice] {
        assert_eq!(server.run_as(client, |_| reached(helper)), Ok(Vec::new()));
        assert_eq!(server.run_as(client, |_| found_by_the_library()), Ok(None));
        assert_eq!(
            threads.run(client, move |_| (reached(helper), found_by_the_library())).wait(),
            Ok((Vec::new(), None))
        );
    }
    // Another context, of bob and of alice, has no way to it.
    let here = sign_in(&world, &kerberos, &alices, "no-more");
    for other in [&bob, &here] {
        let none = Err(InitiateError::Delegation(DelegationError::NotDelegated));
        assert_eq!(proved(&realm, server, other), none);
    }
    // It ends with the last context that holds it.
    let (clone, end) = (alice.clone(), watch(helper));
    drop(alice);
    assert_eq!(proved(&realm, server, &clone).as_deref(), Ok("alice@VICAR.TEST"));
    drop(clone);
    end.wait();
    // Nothing is left under the helpers' user.
    let mut find = Command::new("find");
    find.args(["/tmp", "/var/tmp", "/run", "/dev/shm", "-xdev", "-user", &HELPER.to_string()]);
    let left = find.stderr(Stdio::null()).output().unwrap();
    let replay = format!("{}\n", realm.path("replay").display());
    let left = String::from_utf8(left.stdout).unwrap();
    assert!(left.is_empty() || left == replay, "{left}");
}

pub(crate) fn what_ends_is_over() {
    let realm = Realm::new();
    let ([kerberos], world) = realm.serve([realm.options()]);
    let (alice, end) = with_short_tickets(|seconds| {
        let cache = realm.kinit("alice", &["-f", "-l", &format!("{seconds}s")]);
        let began = SystemTime::now();
        let token = Other::client(&cache, "HTTP", "delegate,one-way").token_in_time()?;
        let Ok(Accept::Done(accepted)) = kerberos.accept().unwrap().step(&token) else { return None };
        let alice = accepted.sign_in(&world.rule, &world.supervisor).unwrap().logon(&world.server).unwrap();
        let end = alice.delegated().ok()?.expires()?;
        // Its end is the ticket's.
        assert!(end <= began + Duration::from_secs(seconds + 1), "{end:?} {began:?}");
        Some((alice, end))
    });
    std::thread::sleep(end.duration_since(SystemTime::now()).unwrap_or_default());
    assert_eq!(alice.delegated().map(|_| ()), Err(DelegationError::Expired));
    let over = InitiateError::Delegation(DelegationError::Expired);
    assert_eq!(proved(&realm, &world.server, &alice), Err(over));
    // Local work goes on as before.
    assert_eq!(world.server.run_as(&alice, |as_client| as_client.shown().uid.raw()), Ok(ALICE));
}

/// What Debian's own centre says about a service that acts for somebody who did not delegate: S4U2self gives a ticket to the
/// service itself, S4U2proxy is refused. So nothing here pretends to have it.
pub(crate) fn no_service_gets_a_ticket_for_somebody_else() {
    let realm = Realm::new();
    let cache = format!("FILE:{}", realm.path("own").display());
    let keytab = realm.path("http.keytab");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).env("KRB5CCNAME", &cache).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let admin =
        Command::new("kadmin.local").args(["-q", "modprinc +ok_to_auth_as_delegate HTTP/localhost"]).output().unwrap();
    assert!(admin.status.success());
    let keytab = keytab.to_str().unwrap();
    let (is_done, said) = run("kinit", &["-f", "-k", "-t", keytab, "HTTP/localhost"]);
    assert!(is_done, "{said}");
    let (is_done, said) = run("kvno", &["-k", keytab, "-U", "alice", "HTTP/localhost"]);
    assert!(is_done, "{said}");
    let (is_done, said) = run("kvno", &["-k", keytab, "-P", "-U", "alice", "HTTP/localhost", "host/localhost"]);
    assert!(!is_done, "S4U2proxy succeeded: {said}");
}
