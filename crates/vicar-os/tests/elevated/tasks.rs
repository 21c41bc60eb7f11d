//! Each task, for those who may and those who may not.

use crate::scratch::identity;
use crate::world::{World, name};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use vicar_nt::Privilege;
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes};
use vicar_os::elevated::{ElevatedError, Refusal, Task};
use vicar_os::{EnterError, KernelGid, KernelUid, LogonKind};

fn read(file: Option<OwnedFd>) -> String {
    let mut text = String::new();
    std::fs::File::from(file.unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn backup(text: &str) -> Task {
    Task::OpenForBackup { name: name(text) }
}

pub(crate) fn backup_reads_what_the_client_may_not() {
    let world = World::new(|scratch| {
        scratch.file("roots", 0o600, 0, 0);
        scratch.file("bobs", 0o000, 61_002, 61_002);
        std::fs::create_dir(scratch.path("d")).unwrap();
        std::fs::set_permissions(scratch.path("d"), std::fs::Permissions::from_mode(0o700)).unwrap();
        scratch.file("d/inner", 0o600, 0, 0);
    });
    let alice = world.client(61_001, &[]);
    for file in ["roots", "bobs"] {
        let opened = world.ask(&alice, backup(file)).unwrap();
        let flags = rustix::fs::fcntl_getfl(opened.as_ref().unwrap()).unwrap();
        assert_eq!(flags & rustix::fs::OFlags::RWMODE, rustix::fs::OFlags::RDONLY);
        assert_eq!(read(opened), file);
    }
    // From one directory to the next, each by its name.
    let directory = world.ask(&alice, backup("d")).unwrap().unwrap();
    let inner = world.tasks.submit(&alice.0, alice.1, backup("inner"), &directory, None).unwrap().wait().unwrap();
    assert_eq!(read(inner), "d/inner");
    // Reading is all it is for.
    let client = alice.0.clone();
    let path = world.scratch.path("roots");
    assert!(world.server.run_as(&client, |_| std::fs::read(path)).unwrap().is_err());
}

pub(crate) fn restore_writes_and_sets_what_the_client_may_not() {
    let world = World::new(|scratch| {
        scratch.file("roots", 0o600, 0, 0);
        scratch.file("programs", 0o755, 61_002, 61_002);
    });
    let carol = world.client(61_003, &[61_300]);
    let file = world.ask(&carol, Task::OpenForRestore { name: name("roots") }).unwrap().unwrap();
    std::fs::File::from(file).write_all(b"ROOTS").unwrap();
    let (owner, group) = (KernelUid::new(61_001).unwrap(), KernelGid::new(61_400).unwrap());
    assert_eq!(world.ask(&carol, Task::SetOwner { name: name("roots"), owner, group }).map(|_| ()), Ok(()));
    let about = std::fs::metadata(world.scratch.path("roots")).unwrap();
    assert_eq!((about.uid(), about.gid()), (61_001, 61_400));
    assert_eq!(world.ask(&carol, Task::SetMode { name: name("programs"), mode: 0o1640 }).map(|_| ()), Ok(()));
    let mode = std::fs::metadata(world.scratch.path("programs")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o1640);
    // Nobody is made root's, and nothing runs as somebody else.
    let root = Task::SetOwner { name: name("roots"), owner: KernelUid::new(0).unwrap(), group };
    assert_eq!(world.ask(&carol, root).err(), Some(ElevatedError::Refused(Refusal::NotAllowed)));
    let set_id = Task::SetMode { name: name("programs"), mode: 0o4755 };
    assert_eq!(world.ask(&carol, set_id).err(), Some(ElevatedError::Refused(Refusal::Malformed)));
    let directory = Task::OpenForRestore { name: name("nothing") };
    assert_eq!(world.ask(&carol, directory).err(), Some(ElevatedError::Os(libc::ENOENT)));
}

pub(crate) fn ownership_is_taken_for_oneself() {
    let world = World::new(|scratch| {
        scratch.file("roots", 0o640, 0, 61_400);
        scratch.file("set-id", 0o6755, 0, 61_400);
    });
    let bob = world.client(61_002, &[]);
    assert_eq!(world.ask(&bob, Task::TakeOwnership { name: name("roots") }).map(|_| ()), Ok(()));
    let about = std::fs::metadata(world.scratch.path("roots")).unwrap();
    assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (61_002, 61_400, 0o640));
    // One capability is not enough to take the bits away, and with the bits it is not given away.
    let set_id = world.ask(&bob, Task::TakeOwnership { name: name("set-id") }).err();
    assert_eq!(set_id, Some(ElevatedError::Os(libc::EPERM)));
    assert_eq!(std::fs::metadata(world.scratch.path("set-id")).unwrap().uid(), 0);
    let alice = world.client(61_001, &[]);
    let refused = world.ask(&alice, Task::TakeOwnership { name: name("roots") }).err();
    assert_eq!(refused, Some(ElevatedError::NotHeld(Privilege::TakeOwnership)));
}

pub(crate) fn a_link_needs_the_clients_own_right_to_the_directory() {
    let world = World::new(|scratch| {
        scratch.file("alices", 0o600, 61_001, 61_001);
        std::fs::create_dir(scratch.path("closed")).unwrap();
    });
    let alice = world.client(61_001, &[]);
    let link = |directory: &str, text: &str| {
        let file = std::fs::File::open(world.scratch.path("audit")).unwrap();
        drop(file);
        let path = world.scratch.path("alices");
        let file = world.server.run_as(&alice.0, |_| std::fs::File::open(path)).unwrap().unwrap();
        let directory = std::fs::File::open(world.scratch.path(directory)).unwrap();
        let task = Task::Link { name: name(text) };
        world.tasks.submit(&alice.0, alice.1, task, directory, Some(file.into())).unwrap().wait().map(|_| ())
    };
    assert_eq!(link("", "more"), Ok(()));
    assert_eq!(std::fs::metadata(world.scratch.path("more")).unwrap().nlink(), 2);
    assert_eq!(link("", "more"), Err(ElevatedError::Os(libc::EEXIST)));
    // The capability reads; writing the directory is the client's own business.
    assert_eq!(link("closed", "more"), Err(ElevatedError::Os(libc::EACCES)));
}

pub(crate) fn a_privilege_that_is_not_held_or_off_is_refused_before_the_queue() {
    let world = World::new(|scratch| scratch.file("roots", 0o600, 0, 0));
    let bob = world.client(61_002, &[]);
    assert_eq!(world.ask(&bob, backup("roots")).err(), Some(ElevatedError::NotHeld(Privilege::Backup)));
    let alice = world.client(61_001, &[]);
    let off = [LuidAndAttributes::new(Privilege::Backup, PrivilegeAttributes::empty())];
    let _ = alice.0.kernel().token().adjust_privileges(&off);
    assert_eq!(world.ask(&alice, backup("roots")).err(), Some(ElevatedError::NotHeld(Privilege::Backup)));
    let alice = world.client(61_001, &[]);
    assert_eq!(read(world.ask(&alice, backup("roots")).unwrap()), "roots");
    // A server that hands out more than the queue grants is refused there.
    let who = identity(61_002, &[]);
    let more = world.queue().granted(&identity(61_001, &[]));
    let client = world.server.logon_holding(LogonKind::Network, &who, more).unwrap();
    let asked = world.ask(&(client, bob.1), backup("roots")).err();
    assert_eq!(asked, Some(ElevatedError::Refused(Refusal::NotHeld)));
    // One client's number is of no use to another.
    assert_eq!(
        world.ask(&(alice.0.clone(), bob.1), backup("roots")).err(),
        Some(ElevatedError::Refused(Refusal::Mismatch))
    );
    world.queue().forget(alice.1).unwrap();
    assert_eq!(world.ask(&alice, backup("roots")).err(), Some(ElevatedError::Refused(Refusal::Unknown)));
    let alice = world.client(61_001, &[]);
    world.server.give_up_impersonation();
    match world.ask(&alice, backup("roots")).err() {
        Some(ElevatedError::Enter(EnterError::BelowImpersonation { .. })) => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) fn what_is_no_file_is_not_touched() {
    let world = World::new(|scratch| {
        symlink("/etc/shadow", scratch.path("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, scratch.path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
    });
    let (alice, bob, carol) = (world.client(61_001, &[]), world.client(61_002, &[]), world.client(61_003, &[61_300]));
    let owner = std::fs::symlink_metadata(world.scratch.path("link")).unwrap().uid();
    assert_eq!(world.ask(&alice, backup("link")).err(), Some(ElevatedError::NotServed));
    assert_eq!(world.ask(&alice, backup("pipe")).err(), Some(ElevatedError::NotServed));
    assert_eq!(world.ask(&bob, Task::TakeOwnership { name: name("link") }).err(), Some(ElevatedError::NotServed));
    assert_eq!(
        world.ask(&carol, Task::SetMode { name: name("link"), mode: 0o666 }).err(),
        Some(ElevatedError::NotServed)
    );
    assert_eq!(std::fs::symlink_metadata(world.scratch.path("link")).unwrap().uid(), owner);
    let proc = std::fs::File::open("/proc/1").unwrap();
    let asked = world.tasks.submit(&alice.0, alice.1, backup("environ"), proc, None).unwrap().wait();
    assert_eq!(asked.err(), Some(ElevatedError::NotServed));
}

pub(crate) fn each_task_is_written_down() {
    let world = World::new(|scratch| scratch.file("roots", 0o600, 0, 0));
    let (alice, bob) = (world.client(61_001, &[]), world.client(61_002, &[]));
    world.ask(&alice, backup("roots")).unwrap();
    let _ = world.ask(&alice, backup("none"));
    let _ = world.ask(&(alice.0.clone(), bob.1), backup("roots"));
    // A task that is asked for later is begun when the ones before it have been taken note of.
    world.ask(&alice, backup("roots")).unwrap();
    drop(world.tasks);
    let text = std::fs::read_to_string(world.scratch.path("audit")).unwrap();
    let whats: Vec<&str> =
        text.lines().map(|line| line.split("\"what\":\"").nth(1).unwrap().trim_end_matches("\"}")).collect();
    for what in ["begin", "done", "errno-2", "other-subject"] {
        assert!(whats.contains(&what), "{what}: {text}");
    }
    assert_eq!(whats.iter().filter(|what| **what == "begin").count(), 3, "{text}");
    let first = text.lines().next().unwrap();
    assert!(
        first.contains("\"task\":\"open-for-backup\",\"uid\":61001,\"gid\":61001,\"privilege\":\"SeBackupPrivilege\""),
        "{first}"
    );
    assert!(first.contains("\"name\":\"roots\""), "{first}");
}

pub(crate) fn many_threads_ask_at_once() {
    let world = World::new(|scratch| {
        for number in 0..8 {
            scratch.file(&format!("f{number}"), 0o600, 0, 0);
        }
    });
    let alice = world.client(61_001, &[]);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (world, alice) = (&world, &alice);
            scope.spawn(move || {
                for round in 0..25_usize {
                    let file = format!("f{}", (thread + round) % 8);
                    assert_eq!(read(world.ask(alice, backup(&file)).unwrap()), file);
                }
            });
        }
    });
}
