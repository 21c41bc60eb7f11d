//! What is refused, and what stays as it was.

use crate::scratch::{Scratch, server};
use crate::{NOTHING, alice, filtered, group, restricting};
use std::ffi::CString;
use vicar_kernel::{TokenKind, TokenSpec};
use vicar_nt::token::{Filter, TokenState};
use vicar_nt::{GroupAttributes, IntegrityLevel, Luid, well_known};
use vicar_os::fs::{BeneathPath, Directory, FsError, Links, Name, Node, Replace, Root};
use vicar_os::{
    AsClient, ClientThread, ClientThreadOptions, DEFAULT_UMASK, EnterError, ImpersonationLevel, LogonKind,
    MailboxError, ProjectError, Qos, Reach, RunError, Server, Tracking,
};

pub(crate) fn other_roads_refuse() {
    let server = server();
    let team = group(61_300);
    let client = filtered(&server, &Filter { disable: &[team], ..NOTHING });
    let refusal = EnterError::Project(ProjectError::DenyOnlyGroup(team));
    assert_eq!(client.is_restricted(), Ok(true));
    assert_eq!(server.run_as(&client, |_| unreachable!("ran")).map(|_: ()| ()), Err(refusal));
    let threads = server.client_threads(ClientThreadOptions::default()).unwrap();
    assert_eq!(threads.run_blocking(&client, |_| ()), Err(RunError::Enter(refusal)));
    let (tell, told) = std::sync::mpsc::channel();
    let own = server.clone();
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&own, DEFAULT_UMASK).unwrap().register().unwrap();
        tell.send(thread.handle()).unwrap();
        thread.wait(None)
    });
    let limit = std::time::Duration::from_secs(60);
    let asked = server.impersonate_on(&told.recv().unwrap(), &client, limit);
    assert_eq!(asked, Err(MailboxError::Enter(refusal)));
    thread.join().unwrap();
    // Whoever is not restricted is served by the restricted entry as by the other.
    let whole = alice(&server);
    assert_eq!(whole.is_restricted(), Ok(false));
    assert_eq!(server.run_restricted(&whole, |_| rustix::process::geteuid().as_raw()), Ok(61_001));
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn look(as_client: &AsClient<'_>, root: &std::path::Path, path: &str) -> Node {
    let path = BeneathPath::parse(path.as_bytes()).unwrap();
    Root::open(as_client, root).unwrap().look(as_client, &path, Links::Follow).unwrap()
}

/// In a directory where the client may do everything with each of its identities.
pub(crate) fn what_cannot_be_done_twice() {
    let scratch = Scratch::new();
    scratch.file("file", 0o666, 61_001, 61_300);
    let root = scratch.path("");
    let server = server();
    let client = filtered(&server, &Filter { disable: &[group(61_300)], ..NOTHING });
    let deeds = |as_client: &AsClient<'_>| {
        let here = Directory::of(
            Root::open(as_client, &root).unwrap().look(as_client, &BeneathPath::here(), Links::Stay).unwrap(),
        )
        .unwrap();
        let node = look(as_client, &root, "file");
        vec![
            here.make_directory(as_client, &name("d"), 0o755),
            here.remove_directory(as_client, &name("d")),
            here.make_link(as_client, &name("l"), &CString::new("file").unwrap()),
            here.unlink(as_client, &name("l")),
            here.rename(as_client, &name("file"), &here, &name("file2"), Replace::Never),
            here.rename(as_client, &name("file2"), &here, &name("file"), Replace::Never),
            here.create_temp(as_client, 0o600).map(|_| ()),
            here.create_named_temp(as_client, 0o600).and_then(|temp| temp.link_new(as_client, &here, &name("t"))),
            here.unlink(as_client, &name("t")),
            node.set_mode(as_client, 0o660),
            node.set_xattr(as_client, "user.vicar", b"x"),
            node.remove_xattr(as_client, "user.vicar"),
            node.take_attributes(as_client, &node),
        ]
    };
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for (index, done) in server.run_restricted(&client, deeds).unwrap().into_iter().enumerate() {
        assert!(matches!(done, Err(FsError::CannotBeDoneTwice { .. })), "deed {index}: {done:?}");
    }
    assert_eq!(names(), before);
    // The same deeds are the whole client's to do.
    for (index, done) in server.run_restricted(&alice(&server), deeds).unwrap().into_iter().enumerate() {
        assert!(done.is_ok(), "deed {index}: {done:?}");
    }
    // Content can be changed through a descriptor that every identity may have.
    server
        .run_restricted(&client, |as_client| {
            let file = look(as_client, &root, "file").open_write(as_client).unwrap();
            file.write_at(as_client, 0, b"new!").unwrap();
            let node = look(as_client, &root, "file");
            assert_eq!(node.xattr(as_client, "user.none"), Ok(None));
            assert!(node.xattr_names(as_client).is_ok());
            assert_eq!(node.open_read(as_client).unwrap().read_at(as_client, 0, 9).unwrap(), b"new!");
        })
        .unwrap();
}

pub(crate) fn token(server: &Server, state: TokenState) -> vicar_os::ClientContext {
    let session = server.system().logon(LogonKind::Network, None).unwrap();
    let level = ImpersonationLevel::Impersonation;
    let kind = TokenKind::Impersonation(level);
    let spec = TokenSpec { state, kind, source: *b"test\0\0\0\0", origin: Luid::from_u64(0) };
    let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    server.context_from_token(&session.create_token(spec).unwrap(), qos).unwrap()
}

pub(crate) fn lowered_integrity_reads() {
    let scratch = Scratch::new();
    scratch.file("file", 0o666, 61_001, 61_001);
    let root = scratch.path("");
    let server = server();
    let own = well_known::unix_group(61_001);
    let state = TokenState::builder(well_known::unix_user(61_001))
        .integrity(IntegrityLevel::LOW)
        .group(own, GroupAttributes::ALWAYS_ENABLED)
        .primary_group(own)
        .build()
        .unwrap();
    let client = token(&server, state);
    server
        .run_restricted(&client, |as_client| {
            let node = look(as_client, &root, "file");
            assert_eq!(node.open_read(as_client).unwrap().read_at(as_client, 0, 9).unwrap(), b"file");
            assert_eq!(node.open_write(as_client).map(|_| ()), Err(FsError::MayNotWrite));
            assert_eq!(node.set_mode(as_client, 0o600), Err(FsError::CannotBeDoneTwice { operation: "set mode" }));
        })
        .unwrap();
    let refused = server.run_as(&client, |_| ());
    let low = ProjectError::LoweredIntegrity(Some(IntegrityLevel::LOW));
    assert_eq!(refused, Err(EnterError::Project(low)));
}

fn ids() -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let wanted = |line: &&str| ["Uid:", "Gid:", "Groups:", "CapEff:"].iter().any(|key| line.starts_with(key));
    text.lines()
        .filter(wanted)
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(" ")
}

const NOBODY: &str = "Uid: 65520 65520 0 65520 Gid: 65520 65520 0 65520 Groups: 65520 CapEff: 0000000000000000";

/// Also after a deed that failed in the middle, and after a panic.
pub(crate) fn in_between_the_thread_is_nobody() {
    std::panic::set_hook(Box::new(|_| {}));
    let scratch = Scratch::new();
    scratch.file("members", 0o640, 0, 61_300);
    scratch.file("own", 0o600, 61_001, 61_001);
    let root = scratch.path("");
    let server = server();
    let before = ids();
    let client = filtered(&server, &Filter { disable: &[group(61_300)], ..NOTHING });
    server
        .run_restricted(&client, |as_client| {
            assert_eq!(ids(), NOBODY);
            // A raw call is nobody's.
            assert!(std::fs::read(root.join("own")).is_err());
            let node = look(as_client, &root, "members");
            assert!(node.open_read(as_client).is_err());
            assert_eq!(ids(), NOBODY);
            assert!(look(as_client, &root, "own").open_read(as_client).is_ok());
            assert_eq!(ids(), NOBODY);
            assert_eq!(as_client.shown().uid.raw(), 61_001);
            assert!(!as_client.shown().groups.iter().any(|gid| gid.raw() == 61_300));
        })
        .unwrap();
    assert_eq!(ids(), before);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        server.run_restricted(&client, |as_client| {
            let _node = look(as_client, &root, "own");
            panic!("in the work")
        })
    }));
    assert!(caught.is_err());
    assert_eq!(ids(), before);
}

/// What one client may pass through, the same user with other restrictions may not.
pub(crate) fn a_root_is_its_openers() {
    let scratch = Scratch::new();
    scratch.file("file", 0o644, 61_001, 61_001);
    let root = scratch.path("");
    let server = server();
    let list = restricting(&[well_known::EVERYONE]);
    let clients = [
        alice(&server),
        filtered(&server, &Filter { disable: &[group(61_300)], ..NOTHING }),
        filtered(&server, &Filter { restrict: &list, ..NOTHING }),
    ];
    let path = BeneathPath::parse(b"file").unwrap();
    let opened: Vec<Root> = clients
        .iter()
        .map(|client| server.run_restricted(client, |as_client| Root::open(as_client, &root).unwrap()).unwrap())
        .collect();
    for (user, client) in clients.iter().enumerate() {
        for (opener, root) in opened.iter().enumerate() {
            let found = server.run_restricted(client, |as_client| root.look(as_client, &path, Links::Stay).map(|_| ()));
            assert_eq!(found.unwrap(), if user == opener { Ok(()) } else { Err(FsError::ForeignRoot) });
        }
    }
}
