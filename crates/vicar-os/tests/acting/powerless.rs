//! Servers that are not root, or may not do what root may.

use crate::scratch::{Scratch, client, identity, server};
use crate::{NONE, TWO, status};
use std::process::Command;
use vicar_nt::token::{Filter, FilterFlags};
use vicar_nt::{Group, GroupAttributes, well_known};
use vicar_os::capability::{Namespace, namespace_here};
use vicar_os::fs::{BeneathPath, Links};
use vicar_os::question::AskError;
use vicar_os::switch::{Step, SwitchError};
use vicar_os::{
    ClientThread, Could, DEFAULT_UMASK, EnterError, LogonError, LogonKind, MailboxError, Powerless, ProjectError,
    Question, SafePoint, Server, Want, source,
};

/// Set in the process that [`as_service`] starts.
const INNER: &str = "VICAR_TEST_INNER";

/// Runs the present test again through `setpriv` with these arguments; `true` in the inner process.
fn through(program: &str, arguments: &[&str]) -> bool {
    if std::env::var_os(INNER).is_some() {
        return true;
    }
    let exe = std::env::current_exe().unwrap();
    let status = Command::new(program).args(arguments).arg(exe).env(INNER, "1").status();
    match status {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => eprintln!("skipped: {program}: {error}"),
    }
    false
}

const IDS: [&str; 3] = ["--reuid=61000", "--regid=61000", "--clear-groups"];

pub(crate) fn a_service_with_ambient_capabilities_serves() {
    let caps = [
        "--inh-caps=-all,+setuid,+setgid",
        "--ambient-caps=-all,+setuid,+setgid",
        "--bounding-set=-all,+setuid,+setgid",
    ];
    if !through("setpriv", &[&IDS[..], &caps[..]].concat()) {
        return;
    }
    let scratch = Scratch::new();
    let server = server();
    assert!(server.report().self_test.is_some(), "{:?}", server.report());
    assert_eq!([status("CapPrm"), status("CapEff"), status("CapAmb"), status("CapInh")], [TWO, TWO, NONE, NONE]);
    let (alice, bob) = (client(&server, 61_001, &[61_300]), client(&server, 61_002, &[]));
    for round in 0..200 {
        let (who, uid) = if round % 2 == 0 { (&alice, "61001") } else { (&bob, "61002") };
        server
            .run_as(who, |_| {
                assert_eq!(status("Uid"), format!("65520 {uid} 61000 {uid}"));
                assert_eq!([status("CapEff"), status("CapPrm")], [NONE, TWO]);
            })
            .unwrap();
        assert_eq!([status("Uid"), status("CapEff")], ["61000 61000 61000 61000", TWO]);
    }
    server.run_as(&alice, |_| std::fs::write(scratch.path("a"), "x").unwrap()).unwrap();
    let read = server.run_as(&bob, |_| std::fs::OpenOptions::new().append(true).open(scratch.path("a")).is_ok());
    assert_eq!(read, Ok(false));
    server.run_as(&alice, |_| std::fs::remove_file(scratch.path("a")).unwrap()).unwrap();
    let pool = server.client_threads(vicar_os::ClientThreadOptions::default()).unwrap();
    for _ in 0..200 {
        assert_eq!(pool.run_blocking(&bob, |as_client| as_client.shown().uid.raw()), Ok(61_002));
        assert_eq!(pool.run_blocking(&alice, |_| status("CapEff")), Ok(NONE.to_owned()));
    }
}

pub(crate) fn a_user_without_capabilities_serves_itself_only() {
    if !through("setpriv", &[&IDS[..], &["--inh-caps=-all", "--bounding-set=-all"]].concat()) {
        return;
    }
    let server = server();
    assert_eq!(server.report().powerless, Some(Powerless::NoCapabilities));
    let own = client(&server, 61_000, &[]);
    assert_eq!(server.run_as(&own, |as_client| as_client.shown().uid.raw()), Ok(61_000));
    // Another user: the gate lowers the level. The same user with another group: allowed, but it cannot be made.
    let other = client(&server, 61_001, &[]);
    assert!(matches!(server.run_as(&other, |_| ()), Err(EnterError::BelowImpersonation { gate_step: Some(_), .. })));
    let more = server.logon(LogonKind::Network, &identity(61_000, &[61_300])).unwrap();
    assert_eq!(server.run_as(&more, |_| ()), Err(EnterError::CannotProject));
    let pool = server.client_threads(vicar_os::ClientThreadOptions::default()).unwrap();
    assert_eq!(pool.run_blocking(&own, |as_client| as_client.shown().uid.raw()), Ok(61_000));
    serves_itself_only(&server, 61_000);
}

/// What a server that cannot change identities does for its own user, and says of all others.
fn serves_itself_only(server: &Server, uid: u32) {
    let (own, other) =
        (server.logon(LogonKind::Network, &source::own::own().unwrap().identity).unwrap(), client(server, 61_001, &[]));
    let scratch = std::env::temp_dir();
    let question = Question { root: scratch, path: BeneathPath::here(), links: Links::Stay, want: Want::Search };
    assert_eq!(server.could(&own, &question), Ok(Could::Yes));
    assert_eq!(server.could(&other, &question), Err(AskError::Enter(EnterError::CannotProject)));
    assert!(matches!(server.run_as(&other, |_| ()), Err(EnterError::BelowImpersonation { gate_step: Some(_), .. })));
    // A restricted token needs several identities, and this process has one.
    let everyone = [Group::new(well_known::EVERYONE, GroupAttributes::empty())];
    let filter = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &everyone };
    let token = own.kernel().token().filter(&filter).unwrap();
    let restricted = server.context_from_token(&token, own.qos()).unwrap();
    assert_eq!(server.run_restricted(&restricted, |_| ()), Err(EnterError::CannotProject));
    // Another thread can be told to act as the own user, and as nobody else.
    let (tell, told) = std::sync::mpsc::channel();
    let here = server.clone();
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&here, DEFAULT_UMASK).unwrap().register().unwrap();
        tell.send(thread.handle()).unwrap();
        while thread.wait(None) == SafePoint::Answered && thread.assigned().is_none() {}
        thread.run(|_| rustix::process::geteuid().as_raw())
    });
    let (handle, limit) = (told.recv().unwrap(), std::time::Duration::from_secs(60));
    assert!(matches!(server.impersonate_on(&handle, &other, limit), Err(MailboxError::Enter(_))));
    assert_eq!(server.impersonate_on(&handle, &own, limit).map(|shown| shown.uid.raw()), Ok(uid));
    assert_eq!(thread.join().unwrap(), Ok(uid));
}

/// Makes a user namespace that has every id and in which groups cannot be set, and becomes the test in it.
const DENIED: &str = r#"
import ctypes, os, sys
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    if ctypes.CDLL(None).unshare(0x10000000) != 0:
        os._exit(77)
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os.execv(sys.argv[2], [sys.argv[2]])
if not os.read(ready[0], 1):
    os._exit(77)
for name, text in (("setgroups", "deny"), ("uid_map", "0 0 " + sys.argv[1]), ("gid_map", "0 0 " + sys.argv[1])):
    with open("/proc/%d/%s" % (child, name), "w") as file:
        file.write(text)
os.write(go[1], b"x")
status = os.waitpid(child, 0)[1]
os._exit(os.waitstatus_to_exitcode(status) & 255)
"#;

/// With all ids and both capabilities, and still without power: the self-test finds out, and says which call was refused.
pub(crate) fn with_every_id_and_setgroups_denied_it_serves_itself() {
    // All ids there are, and all that anybody has: the first of these maps looks like that of the first namespace.
    for count in ["4294967295", "65536"] {
        if !through("python3", &["-c", DENIED, count]) {
            continue;
        }
        assert_eq!(std::fs::read_to_string("/proc/self/setgroups").unwrap(), "deny\n");
        assert_eq!(namespace_here(), Namespace::Other);
        let server = server();
        let refused = SwitchError { step: Step::SetGroups, errno: libc::EPERM };
        assert_eq!(server.report().powerless, Some(Powerless::Refused(refused)));
        assert_eq!([status("CapPrm"), status("CapEff")], [NONE, NONE]);
        // User 0 of the namespace is user 0 outside: a client that the administrator has to name.
        let own = source::own::own().unwrap().identity;
        assert_eq!(server.logon(LogonKind::Network, &own).map(|_| ()), Err(LogonError::Project(ProjectError::Root)));
        let other = client(&server, 61_001, &[]);
        assert!(matches!(
            server.run_as(&other, |_| ()),
            Err(EnterError::BelowImpersonation { gate_step: Some(_), .. })
        ));
        return;
    }
}

pub(crate) fn one_of_the_two_capabilities_is_given_up_too() {
    let caps = ["--inh-caps=-all,+setuid", "--ambient-caps=-all,+setuid", "--bounding-set=-all,+setuid"];
    if !through("setpriv", &[&IDS[..], &caps[..]].concat()) {
        return;
    }
    assert_ne!(status("CapPrm"), NONE);
    let server = server();
    assert_eq!(server.report().powerless, Some(Powerless::NoCapabilities));
    let own = client(&server, 61_000, &[]);
    assert_eq!(server.run_as(&own, |_| [status("CapPrm"), status("CapEff")]), Ok([NONE.to_owned(), NONE.to_owned()]));
}

pub(crate) fn denied_setgroups_is_said_aloud() {
    // In a user namespace made without privileges setgroups is denied and one id is mapped: nobody's is not.
    if !through(
        "setpriv",
        &[&IDS[..], &["--inh-caps=-all", "--bounding-set=-all", "unshare", "--user", "--map-root-user"]].concat(),
    ) {
        return;
    }
    let refused = vicar_os::Starting::begin(vicar_os::StartOptions::default()).unwrap_err();
    assert_eq!(refused.to_string(), "id 65520 does not exist in this user namespace");
}

/// An ordinary user to whom a range of ids is lent; the files that say so exist in this mount namespace only.
const LENT: &str = "set -e; mount -t tmpfs tmpfs /mnt; cp -a /etc/. /mnt; \
    echo 'vicar-test:x:61000:61000::/nonexistent:/bin/sh' >>/mnt/passwd; \
    echo 'vicar-test:200000:65536' >/mnt/subuid; cp /mnt/subuid /mnt/subgid; \
    mount --bind /mnt /etc; exec setpriv --reuid=61000 --regid=61000 --clear-groups --inh-caps=-all \"$@\"";

pub(crate) fn a_user_with_lent_ids_is_root_of_its_own_namespace() {
    if !std::path::Path::new("/usr/bin/newuidmap").exists() {
        return eprintln!("skipped: newuidmap is not installed");
    }
    if !through("unshare", &["--mount", "sh", "-c", LENT, "sh"]) {
        return;
    }
    vicar_os::switch::userns::become_root_of_own().unwrap();
    assert_eq!(status("Uid"), "0 0 0 0");
    let scratch = Scratch::new();
    scratch.file("bob.txt", 0o600, 61_002, 61_002);
    scratch.file("team.txt", 0o660, 0, 61_300);
    let server = server();
    assert!(server.report().self_test.is_some(), "{:?}", server.report());
    let alice = client(&server, 61_001, &[61_300]);
    let seen = server.run_as(&alice, |_| {
        std::fs::write(scratch.path("made.txt"), "x").unwrap();
        (std::fs::read(scratch.path("bob.txt")).is_ok(), std::fs::read(scratch.path("team.txt")).is_ok())
    });
    assert_eq!(seen, Ok((false, true)));
}
