//! Who a client is: ids, names, levels, and what others see of a server that acts.

use crate::files::directory;
use crate::scratch::{client, identity, server};
use crate::world::{every_road, every_server_road, status, word};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::sync::{Arc, Barrier, Mutex};
use vicar_os::{
    ClientThreadOptions, EnterError, ImpersonationLevel, KernelGid, KernelUid, LogonError, LogonKind, Misuse,
    ProjectError, Qos, Reach, RunError, Tracking, source,
};

/// ksmbd 7c88c1e: the identity came from whatever thread happened to serve.
pub(crate) fn v07_the_identity_does_not_depend_on_the_thread() {
    let server = server();
    let alice = client(&server, 61_001, &[61_300]);
    let every = || format!("{} {} {} {}", status("Uid"), status("Gid"), status("Groups"), status("CapEff"));
    let expected = "65520 61001 0 61001 65520 61001 0 61001 61001 61300 0000000000000000";
    let options = ClientThreadOptions { threads: 4, per_client: 4, ..ClientThreadOptions::default() };
    let threads = server.client_threads(options).unwrap();
    // Other clients first, on every thread.
    let barrier = Arc::new(Barrier::new(4));
    let others: Vec<_> = (0..4_u32)
        .map(|index| {
            let (other, barrier) = (client(&server, 61_002 + index, &[61_301 + index]), Arc::clone(&barrier));
            threads.run(&other, move |_| barrier.wait().is_leader())
        })
        .collect();
    assert_eq!(others.into_iter().map(|answer| answer.wait().unwrap()).filter(|leads| *leads).count(), 1);
    let answers: Vec<_> = (0..4)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            threads.run(&alice, move |_| {
                barrier.wait();
                (rustix::thread::gettid(), every())
            })
        })
        .collect();
    let seen: Vec<_> = answers.into_iter().map(|answer| answer.wait().unwrap()).collect();
    assert_eq!(seen.iter().map(|(thread, _)| thread.as_raw_nonzero()).collect::<BTreeSet<_>>().len(), 4);
    assert!(seen.iter().all(|(_, said)| said == expected), "{seen:?}");
    let scoped: Vec<String> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..4).map(|_| scope.spawn(|| server.run_as(&alice, |_| every()).unwrap())).collect();
        made.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(scoped.iter().all(|said| said == expected), "{scoped:?}");
}

/// CVE-2019-14287 (sudo): -1 leaves an id unchanged.
pub(crate) fn v09_minus_one_is_nobody() {
    use vicar_kernel::{TokenKind, TokenSpec};
    use vicar_nt::token::TokenState;
    use vicar_nt::{GroupAttributes, IntegrityLevel, Luid, well_known};
    const ON: GroupAttributes = GroupAttributes::MANDATORY.union(GroupAttributes::ENABLED);
    assert_eq!((KernelUid::new(u32::MAX), KernelGid::new(u32::MAX)), (None, None));
    assert!(KernelUid::new(u32::MAX - 1).is_some());
    let server = server();
    // A token may say it all the same, as user, as primary group and as one group of many.
    let (user, group) = (well_known::unix_user(61_001), well_known::unix_group(61_001));
    let (no_user, no_group) = (well_known::unix_user(u32::MAX), well_known::unix_group(u32::MAX));
    let base =
        |user, group| TokenState::builder(user).integrity(IntegrityLevel::MEDIUM).group(group, ON).primary_group(group);
    for (state, expected) in [
        (base(no_user, group), ProjectError::UnmappedUser(no_user)),
        (base(user, no_group), ProjectError::UnmappedGroup(no_group)),
        (base(user, group).group(no_group, ON), ProjectError::UnmappedGroup(no_group)),
    ] {
        let session = server.system().logon(LogonKind::Network, None).unwrap();
        let kind = TokenKind::Impersonation(ImpersonationLevel::Impersonation);
        let (state, origin) = (state.build().unwrap(), Luid::from_u64(0));
        let token = session.create_token(TokenSpec { state, kind, source: *b"test\0\0\0\0", origin }).unwrap();
        let refused = server.context_from_token(&token, qos(ImpersonationLevel::Impersonation));
        assert_eq!(refused.map(|_| ()), Err(LogonError::Project(expected)));
    }
}

fn qos(level: ImpersonationLevel) -> Qos {
    Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly }
}

/// CVE-2018-19788 (polkit): ids above two billion read as negative.
pub(crate) fn v10_large_ids_are_themselves() {
    every_road(
        |scratch| {
            directory(scratch, "open", 0o777, 0, 0);
            scratch.file("own", 0o600, 4_000_000_000, 0);
            scratch.file("other", 0o600, 61_001, 0);
        },
        |world| {
            for uid in [2_147_483_648, 4_000_000_000, u32::MAX - 1] {
                let said = world.act(&world.client(uid, &[4_000_000_001]), |dir| {
                    std::fs::write(dir.join("open/made"), "x").unwrap();
                    let made = std::fs::metadata(dir.join("open/made")).unwrap();
                    std::fs::remove_file(dir.join("open/made")).unwrap();
                    let read = |name: &str| word(std::fs::read(dir.join(name)));
                    format!("{}:{} {} {}", made.uid(), made.gid(), read("own"), read("other"))
                });
                let own = if uid == 4_000_000_000 { "ok" } else { "EACCES" };
                assert_eq!(said, format!("{uid}:{uid} {own} EACCES"));
            }
        },
    );
}

/// CVE-2017-1000082, CVE-2020-13776 (systemd): a name that could not be read became root.
pub(crate) fn v11_a_name_is_an_account_or_an_error() {
    use source::account::by_name;
    let long = "a".repeat(300);
    let strange =
        ["", "0", "0day", "00", "0x0", "+0", "-1", "-", "4294967295", "4294967296", "61001", " root", "root "];
    let strange = strange.into_iter().chain(["root:", "root\n", "root\0x", "../root", "no-such-vicar-user", &long]);
    for name in strange {
        let found = by_name(name);
        assert!(found.is_err(), "{name:?} is {found:?}");
    }
    assert!(by_name("root").unwrap().identity.uid().is_root());
    // Found is not permitted: user 0 is no client.
    let root = server().logon(LogonKind::Network, &identity(0, &[]));
    assert_eq!(root.map(|_| ()), Err(LogonError::Project(ProjectError::Root)));
}

/// CVE-2013-1979: a receiver that is shown the wrong ids. Whom a connection comes from is the client, with its groups.
pub(crate) fn v15_a_connection_is_the_clients() {
    every_server_road(
        |scratch| directory(scratch, "open", 0o777, 0, 0),
        |world| {
            let server = world.server().clone();
            let path = world.dir().join("open/socket");
            // Anybody's socket; bob made it and anybody may connect.
            let kept = Arc::new(Mutex::new(None));
            let (bind, slot) = (path.clone(), Arc::clone(&kept));
            world.act(&world.client(61_002, &[]), move |_| {
                *slot.lock().unwrap() = Some(UnixListener::bind(&bind).unwrap());
                std::fs::set_permissions(&bind, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
                String::new()
            });
            let listener = kept.lock().unwrap().take().unwrap();
            for (uid, groups) in [(61_001, vec![61_300, 61_301]), (61_003, vec![])] {
                let (near, slot) = (Arc::new(Mutex::new(None)), path.clone());
                let far = Arc::clone(&near);
                world.act(&world.client(uid, &groups), move |_| {
                    *far.lock().unwrap() = Some(UnixStream::connect(slot).unwrap());
                    String::new()
                });
                let (accepted, _) = listener.accept().unwrap();
                let peer = source::peer::of(&accepted).unwrap();
                assert_eq!(*peer.identity(), identity(uid, &groups));
                drop(near);
            }
            assert!(server.report().self_test.is_some());
        },
    );
}

/// CVE-2023-3961 (Samba): connected as root to a socket that the client named.
pub(crate) fn v27_connect_is_the_clients() {
    every_road(
        |scratch| {
            for (name, uid, mode) in [("roots", 0, 0o600), ("bobs", 61_002, 0o600), ("own", 61_001, 0o600)] {
                let path = scratch.path(name);
                // The file stays when the listener is gone: a permitted connect is then refused for want of one.
                drop(UnixListener::bind(&path).unwrap());
                std::os::unix::fs::chown(&path, Some(uid), Some(uid)).unwrap();
                std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            }
        },
        |world| {
            let said = world.act(&world.client(61_001, &[]), |dir| {
                ["roots", "bobs", "own"]
                    .map(|name| match UnixStream::connect(dir.join(name)) {
                        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => "permitted".to_owned(),
                        other => word(other),
                    })
                    .join(" ")
            });
            assert_eq!(said, "EACCES EACCES permitted");
        },
    );
}

/// CVE-2016-10010 (sshd): sockets made as root for a user.
pub(crate) fn v28_bind_is_the_clients() {
    every_road(
        |scratch| {
            directory(scratch, "open", 0o777, 0, 0);
            directory(scratch, "bobs", 0o755, 61_002, 61_002);
        },
        |world| {
            let said = world.act(&world.client(61_001, &[]), |dir| {
                let stream = UnixListener::bind(dir.join("open/stream")).map(drop);
                let datagram = UnixDatagram::bind(dir.join("open/datagram")).map(drop);
                let refused = UnixListener::bind(dir.join("bobs/stream")).map(drop);
                let low = std::net::TcpListener::bind("127.0.0.1:79").map(drop);
                let owners = ["stream", "datagram"].map(|name| {
                    let about = std::fs::symlink_metadata(dir.join("open").join(name)).unwrap();
                    (about.uid(), about.gid()) == (61_001, 61_001)
                });
                format!("{} {} {} {} {owners:?}", word(stream), word(datagram), word(refused), word(low))
            });
            let unprivileged = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
            if unprivileged.trim().parse::<u32>().unwrap() > 79 {
                assert_eq!(said, "ok ok EACCES EACCES [true, true]");
            } else {
                assert!(said.starts_with("ok ok EACCES ") && said.ends_with(" [true, true]"), "{said}");
            }
        },
    );
}

/// Set in the process that runs without user 0.
const SERVICE: &str = "VICAR_TEST_SERVICE";

/// libkrun pull request 723: a restore to the constant 0. A server that is not root alternates between its clients.
pub(crate) fn v30_a_server_that_is_not_root_is_itself_again() {
    if std::env::var_os(SERVICE).is_none() {
        let caps = "-all,+setuid,+setgid";
        let status = Command::new("setpriv")
            .args(["--reuid=61000", "--regid=61000", "--groups=61000,61400"])
            .args([format!("--inh-caps={caps}"), format!("--ambient-caps={caps}"), format!("--bounding-set={caps}")])
            .arg(std::env::current_exe().unwrap())
            .env(SERVICE, "1")
            .status();
        return match status {
            Ok(status) => assert!(status.success(), "{status}"),
            Err(error) => eprintln!("skipped: setpriv: {error}"),
        };
    }
    // The self-test has already alternated 10,000 times nowhere: this does, on every road of a server.
    every_server_road(
        |_| {},
        |world| {
            let people = [world.client(61_001, &[61_300]), world.client(61_002, &[]), world.client(61_003, &[61_301])];
            for round in 0..10_000_usize {
                let index = (round + round / 7) % 3;
                let said = world.act(&people[index], |_| {
                    format!("{} {}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
                });
                let uid = 61_001 + index;
                assert_eq!(said, format!("{uid} {uid}"));
                if round % 97 == 0 {
                    let said = world.act(&people[index], |_| format!("{} {}", status("Uid"), status("CapEff")));
                    assert_eq!(said, format!("65520 {uid} 61000 {uid} 0000000000000000"));
                    let server = [status("Uid"), status("Gid"), status("Groups"), status("CapEff")];
                    let ids = "61000 61000 61000 61000";
                    assert_eq!(server, [ids, ids, "61000 61400", "00000000000000c0"]);
                }
            }
        },
    );
}

/// CVE-2012-1574 (Hadoop): whoever could sign in could act as anybody. The answer is no unless something says yes.
pub(crate) fn v41_who_may_act_as_whom() {
    every_server_road(
        |_| {},
        |world| {
            let server = world.server().clone();
            let threads = server.client_threads(ClientThreadOptions::default()).unwrap();
            for level in [ImpersonationLevel::Anonymous, ImpersonationLevel::Identification] {
                let low = server.logon_with(LogonKind::Network, &identity(61_001, &[]), qos(level)).unwrap();
                let expected = EnterError::BelowImpersonation { level, gate_step: None };
                assert_eq!(threads.run_blocking(&low, |_| ()), Err(RunError::Enter(expected)));
                assert_eq!(server.run_as(&low, |_| ()), Err(expected));
            }
            assert!(server.logon(LogonKind::Network, &identity(0, &[])).is_err());
            let alice = client(&server, 61_001, &[]);
            assert_eq!(threads.run_blocking(&alice, |_| ()), Ok(()));
            let nested = (server.clone(), client(&server, 61_002, &[]));
            let nested = threads.run_blocking(&alice, move |_| nested.0.run_as(&nested.1, |_| ()));
            assert_eq!(nested, Ok(Err(EnterError::Misuse(Misuse::AlreadyImpersonating))));
            server.give_up_impersonation();
            let lowered =
                |error: &EnterError| matches!(error, EnterError::BelowImpersonation { gate_step: Some(_), .. });
            assert!(server.run_as(&alice, |_| ()).is_err_and(|error| lowered(&error)));
            let refused = threads.run_blocking(&alice, |_| ());
            assert!(matches!(refused, Err(RunError::Enter(error)) if lowered(&error)), "{refused:?}");
            assert!(world.try_act(&world.client(61_001, &[]), |_| String::new()).is_err());
        },
    );
}

/// Found by experiment: automatic SCM_CREDENTIALS carry the real user, so a middle tier with real user 0 looks like root.
pub(crate) fn v45_a_message_never_says_root() {
    every_road(
        |_| {},
        |world| {
            let expected = if world.is_irrevocable() { "61001:61001" } else { "65520:65520" };
            let said = world.act(&world.client(61_001, &[]), |_| {
                use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
                let (near, far) = UnixStream::pair().unwrap();
                rustix::net::sockopt::set_socket_passcred(&near, true).unwrap();
                rustix::net::send(&far, b"x", rustix::net::SendFlags::empty()).unwrap();
                let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let mut byte = [0_u8; 1];
                let mut parts = [std::io::IoSliceMut::new(&mut byte)];
                rustix::net::recvmsg(&near, &mut parts, &mut control, RecvFlags::empty()).unwrap();
                let mut said = String::new();
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmCredentials(sender) = message {
                        said = format!("{}:{}", sender.uid.as_raw(), sender.gid.as_raw());
                    }
                }
                said
            });
            assert_eq!(said, expected);
        },
    );
}
