//! Every operation, by whoever may do it and by whoever may not.

use crate::stage::{Stage, ask, directory, name, path, word};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use vicar_os::fs::{Access, Errno, FsError, Links, Replace, Time};
use vicar_os::ring::{Lock, OpenFor};
use vicar_os::{KernelGid, KernelUid};

/// VFS_CAP_REVISION_2 with CAP_SETUID permitted and effective.
const FILE_CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(crate) fn the_owner_may_and_a_stranger_may_not() {
    let stage = Stage::new(|scratch, road| {
        directory(scratch, &format!("{road}/alices"), 0o700, 61_001, 61_001);
        directory(scratch, &format!("{road}/shown"), 0o755, 61_001, 61_001);
        scratch.file(&format!("{road}/shown/secret"), 0o600, 61_001, 61_001);
        scratch.file(&format!("{road}/shown/servers"), 0o600, 0, 0);
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let (alice, bob) = (stage.client(61_001, &[]), stage.client(61_002, &[]));
        let mut said = Vec::new();
        for client in [&bob, &alice] {
            let home = stage.home(road, client);
            let shown = ask!(road, look, client, &home, &path("shown"), Links::Stay).unwrap();
            let secret = ask!(road, look, client, &home, &path("shown/secret"), Links::Stay).unwrap();
            let servers = ask!(road, open_file, client, &shown, &path("servers"), OpenFor::Reading);
            assert_eq!(word(&servers), "EACCES", "{}", road.name);
            let text = c"anywhere";
            said.push([
                word(&ask!(road, look, client, &home, &path("alices/inside"), Links::Stay)),
                word(&ask!(road, open_file, client, &shown, &path("secret"), OpenFor::Reading)),
                word(&ask!(road, open_file, client, &shown, &path("secret"), OpenFor::Writing)),
                word(&ask!(road, reopen, client, &secret, OpenFor::Both)),
                word(&ask!(road, create, client, &shown, &name("made"), 0o600)),
                word(&ask!(road, create_nameless, client, &shown, 0o600)),
                word(&ask!(road, make_directory, client, &shown, &name("directory"), 0o755)),
                word(&ask!(road, make_link, client, &shown, &name("link"), text)),
                word(&ask!(road, link, client, &shown, &name("secret"), &shown, &name("second"))),
                word(&ask!(road, rename, client, &shown, &name("secret"), &shown, &name("moved"), Replace::Never)),
                word(&ask!(road, unlink, client, &shown, &name("moved"))),
                word(&ask!(road, remove_directory, client, &shown, &name("directory"))),
                word(&ask!(road, stat, client, &shown, &name("servers"))),
            ]);
        }
        let refused = ["EACCES"; 12];
        assert_eq!(said[0][..8], refused[..8], "{}", road.name);
        // protected_hardlinks, where it is set, says EPERM of a file that the client may not write.
        assert!(said[0][8] == "EACCES" || said[0][8] == "EPERM", "{}", said[0][8]);
        assert_eq!(said[0][9], "EACCES");
        // Whether a name exists may be seen by all who may search.
        assert!(said[0][10] == "errno 2" || said[0][10] == "EACCES", "{}", said[0][10]);
        assert!(said[0][11] == "errno 2" || said[0][11] == "EACCES", "{}", said[0][11]);
        assert_eq!(said[0][12], "ok");
        assert_eq!(said[1][0], "errno 2", "{}", road.name);
        assert!(said[1][1..].iter().all(|word| word == "ok"), "{}: {:?}", road.name, said[1]);
    });
}

pub(crate) fn groups_allow_and_deny() {
    let stage = Stage::new(|scratch, road| {
        for (file, mode) in [("team", 0o660), ("not-team", 0o606), ("primary", 0o640)] {
            let gid = if file == "primary" { 61_001 } else { 61_300 };
            scratch.file(&format!("{road}/{file}"), mode, 0, gid);
        }
    });
    let Some(stage) = stage else { return };
    let many: Vec<u32> = (61_301..61_365).chain([61_300]).collect();
    stage.every_road(|stage, road| {
        for (groups, team, not_team) in
            [(&[][..], "EACCES", "ok"), (&[61_300], "ok", "EACCES"), (&many, "ok", "EACCES")]
        {
            let client = stage.client(61_001, groups);
            let home = stage.home(road, &client);
            let open = |file: &str| word(&ask!(road, open_file, &client, &home, &path(file), OpenFor::Reading));
            assert_eq!((open("team").as_str(), open("not-team").as_str()), (team, not_team), "{}", road.name);
            assert_eq!(open("primary"), "ok");
        }
    });
}

pub(crate) fn what_is_made_is_the_clients() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    // Not the umask of the ring: what is made must not depend on this thread.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[61_300]);
        let home = stage.home(road, &client);
        let content = ask!(road, create, &client, &home, &name("file"), 0o666).unwrap();
        assert_eq!((content.stat().uid, content.stat().gid, content.stat().mode), (61_001, 61_001, 0o644));
        assert_eq!(ask!(road, write, &client, &content, 0, b"some bytes".to_vec()).unwrap(), 10);
        assert_eq!(ask!(road, read, &client, &content, 5, 100).unwrap(), b"bytes");
        let nameless = ask!(road, create_nameless, &client, &home, 0o666).unwrap();
        ask!(road, name_it, &client, &nameless, &home, &name("named")).unwrap();
        ask!(road, make_directory, &client, &home, &name("directory"), 0o777).unwrap();
        ask!(road, make_link, &client, &home, &name("link"), c"file").unwrap();
        ask!(road, link, &client, &home, &name("file"), &home, &name("second")).unwrap();
        for (made, mode, links) in
            [("file", 0o644, 2), ("named", 0o644, 1), ("directory", 0o755, 2), ("link", 0o777, 1), ("second", 0o644, 2)]
        {
            let stat = ask!(road, stat, &client, &home, &name(made)).unwrap();
            let told = (stat.uid, stat.gid, stat.mode, stat.links);
            assert_eq!(told, (61_001, 61_001, mode, links), "{} {made}", road.name);
            let raw = std::fs::symlink_metadata(stage.scratch.path(road.name).join(made)).unwrap();
            assert_eq!((raw.uid(), raw.ino()), (stat.uid, stat.id.inode));
        }
        let again = ask!(road, create, &client, &home, &name("file"), 0o666);
        assert_eq!(word(&again), format!("errno {}", libc::EEXIST));
        assert_eq!(word(&ask!(road, name_it, &client, &nameless, &home, &name("file"))), "errno 17");
    });
}

pub(crate) fn sticky_directories_and_set_group_directories() {
    let stage = Stage::new(|scratch, road| {
        scratch.file(&format!("{road}/alices"), 0o666, 61_001, 61_001);
        scratch.file(&format!("{road}/bobs"), 0o666, 61_002, 61_002);
        directory(scratch, &format!("{road}/team"), 0o2777, 0, 61_300);
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let bob = stage.client(61_002, &[]);
        let home = stage.home(road, &bob);
        let moved = name("moved");
        let rename = ask!(road, rename, &bob, &home, &name("alices"), &home, &moved, Replace::File);
        let unlink = ask!(road, unlink, &bob, &home, &name("alices"));
        assert_eq!((word(&rename), word(&unlink)), ("EPERM".to_owned(), "EPERM".to_owned()), "{}", road.name);
        assert_eq!(word(&ask!(road, unlink, &bob, &home, &name("bobs"))), "ok");
        let team = ask!(road, look, &bob, &home, &path("team"), Links::Stay).unwrap();
        let made = ask!(road, create, &bob, &team, &name("made"), 0o2755).unwrap();
        // The directory's group; and no set-group-id bit for somebody who is no member of it.
        assert_eq!((made.stat().uid, made.stat().gid, made.stat().mode), (61_002, 61_300, 0o755), "{}", road.name);
        ask!(road, make_directory, &bob, &team, &name("inner"), 0o755).unwrap();
        let inner = ask!(road, stat, &bob, &team, &name("inner")).unwrap();
        assert_eq!((inner.gid, inner.mode), (61_300, 0o2755));
    });
}

pub(crate) fn attributes_are_the_clients() {
    let stage = Stage::new(|scratch, road| {
        scratch.file(&format!("{road}/file"), 0o640, 61_001, 61_300);
        let path = scratch.path(&format!("{road}/file"));
        let none = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.a", b"value", none).unwrap();
        rustix::fs::setxattr(&path, "trusted.x", b"hidden", none).unwrap();
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let people = [(61_001, &[][..]), (61_002, &[61_300][..]), (61_003, &[][..])];
        let mut said = Vec::new();
        for (uid, groups) in people {
            let client = stage.client(uid, groups);
            let home = stage.home(road, &client);
            let file = ask!(road, look, &client, &home, &path("file"), Links::Stay).unwrap();
            let read = ask!(road, attribute, &client, &file, "user.a");
            assert!(read.as_ref().is_err() || read.as_ref().is_ok_and(|value| value.as_deref() == Some(b"value")));
            let trusted = ask!(road, attribute, &client, &file, "trusted.x");
            assert!(!matches!(trusted, Ok(Some(_))), "{}", road.name);
            let planted = ask!(road, set_attribute, &client, &file, "security.capability", &FILE_CAPABILITY);
            assert_eq!(word(&planted), "EPERM", "{}", road.name);
            assert!(ask!(road, set_attribute, &client, &file, "trusted.x", b"mine").is_err());
            let absent = ask!(road, attribute, &client, &file, "user.none");
            said.push([
                word(&read),
                word(&absent),
                word(&ask!(road, set_attribute, &client, &file, "user.b", b"more")),
                word(&ask!(road, attribute_names, &client, &file)),
                word(&ask!(road, remove_attribute, &client, &file, "user.b")),
            ]);
        }
        assert_eq!(said[0], ["ok"; 5], "{}", road.name);
        assert_eq!(said[1], ["ok", "ok", "EACCES", "ok", "EACCES"], "{}", road.name);
        assert_eq!(said[2], ["EACCES", "EACCES", "EACCES", "ok", "EACCES"], "{}", road.name);
    });
}

pub(crate) fn sockets_are_the_clients() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let socket = ask!(road, socket, &alice, libc::AF_UNIX, libc::SOCK_STREAM, 0).unwrap();
        let about = rustix::fs::fstat(&socket).unwrap();
        assert_eq!((about.st_uid, about.st_gid), (61_001, 61_001), "{}", road.name);
        assert!(rustix::io::fcntl_getfd(&socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert_eq!(word(&ask!(road, socket, &alice, libc::AF_INET, libc::SOCK_RAW, 1)), "EPERM", "{}", road.name);
    });
}

pub(crate) fn what_has_no_opcode_is_done_too() {
    let stage = Stage::new(|scratch, road| {
        for (file, owner) in [("alices", 61_001), ("bobs", 61_002)] {
            scratch.file(&format!("{road}/{file}"), 0o600, owner, owner);
        }
        std::os::unix::fs::symlink("alices", scratch.path(&format!("{road}/link"))).unwrap();
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[61_300]);
        let home = stage.home(road, &alice);
        let mut names: Vec<_> = ask!(road, list, &alice, &home, 100).unwrap();
        names.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(
            names.iter().map(|entry| entry.name.as_bytes()).collect::<Vec<_>>(),
            [b"alices", &b"bobs"[..], b"link"]
        );
        let link = ask!(road, look, &alice, &home, &path("link"), Links::Stay).unwrap();
        assert_eq!(ask!(road, read_link, &alice, &link).unwrap().as_c_str(), c"alices");
        let no_link = ask!(road, look, &alice, &home, &path("bobs"), Links::Stay).unwrap();
        assert_eq!(word(&ask!(road, read_link, &alice, &no_link)), "errno 22", "{}", road.name);
        let (gid, uid) = (KernelGid::new(61_300), KernelUid::new(61_002));
        for (file, word_of_all) in [("bobs", "EPERM"), ("alices", "ok")] {
            let of = ask!(road, look, &alice, &home, &path(file), Links::Stay).unwrap();
            assert_eq!(word(&ask!(road, set_mode, &alice, &of, 0o640)), word_of_all, "{}", road.name);
            assert_eq!(word(&ask!(road, set_owner, &alice, &of, None, gid)), word_of_all);
            let past = Time { seconds: 1_000_000, nanos: 5 };
            assert_eq!(word(&ask!(road, set_times, &alice, &of, Some(past), Some(past))), word_of_all);
            let may = if word_of_all == "ok" { "ok" } else { "EACCES" };
            assert_eq!(word(&ask!(road, truncate, &alice, &of, 3)), may);
            assert_eq!(word(&ask!(road, access, &alice, &of, Access::Write)), may);
            assert_eq!(word(&ask!(road, set_owner, &alice, &of, uid, None)), "EPERM");
        }
        let raw = std::fs::metadata(stage.scratch.path(road.name).join("alices")).unwrap();
        assert_eq!((raw.permissions().mode() & 0o7777, raw.gid(), raw.len()), (0o640, 61_300, 3), "{}", road.name);
        assert!(ask!(road, space, &alice, &home).unwrap().used_bytes > 0);
        let first = ask!(road, open_file, &alice, &home, &path("alices"), OpenFor::Reading).unwrap();
        let second = ask!(road, open_file, &alice, &home, &path("alices"), OpenFor::Reading).unwrap();
        ask!(road, lock, &alice, &first, Lock::Exclusive).unwrap();
        let held = ask!(road, lock, &alice, &second, Lock::Shared);
        assert!(matches!(held, Err(FsError::Os { errno: Errno::WOULDBLOCK, .. })), "{}", road.name);
        ask!(road, lock, &alice, &first, Lock::Unlock).unwrap();
        ask!(road, lock, &alice, &second, Lock::Shared).unwrap();
    });
}
