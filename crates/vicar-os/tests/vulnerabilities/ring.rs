//! The same vulnerabilities by the calls of `Files`: by rings of several kinds, and by the threads behind the same calls.

use crate::files::FILE_CAPABILITY;
use crate::numbers::Numbers;
use crate::stage::{Road, Stage, ask, directory, name, path, word};
use rustix::fs::{Gid, XattrFlags};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use vicar_os::fs::{Access, Links, Stat};
use vicar_os::ring::{Batch, Inode, OpenFor};
use vicar_os::{ClientContext, KernelGid, KernelUid, LogonKind, UnixIdentity};

fn look(road: &Road, client: &ClientContext, home: &Inode, file: &str) -> Inode {
    ask!(road, look, client, home, &path(file), Links::Stay).unwrap()
}

fn stat(road: &Road, client: &ClientContext, home: &Inode, file: &str) -> Stat {
    ask!(road, stat, client, home, &name(file)).unwrap()
}

/// What becomes of opening a file, by its path and by its inode, which must agree.
fn open(road: &Road, client: &ClientContext, home: &Inode, file: &str, open_for: OpenFor) -> String {
    let by_path = word(&ask!(road, open_file, client, home, &path(file), open_for));
    let looked = look(road, client, home, file);
    let by_inode = word(&ask!(road, reopen, client, &looked, open_for));
    assert_eq!(by_path, by_inode, "{file} by {}", road.name);
    by_path
}

fn read(road: &Road, client: &ClientContext, home: &Inode, file: &str) -> String {
    open(road, client, home, file, OpenFor::Reading)
}

fn set_mode_as_root(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn v01_by_files() {
    let Some(stage) = Stage::new(|scratch, road| directory(scratch, &format!("{road}/team"), 0o2777, 0, 61_300)) else {
        return;
    };
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[]);
        let home = stage.home(road, &client);
        let team = look(road, &client, &home, "team");
        let made = ask!(road, create, &client, &team, &name("made"), 0o2755).unwrap();
        assert_eq!((made.stat().uid, made.stat().gid, made.stat().mode), (61_001, 61_300, 0o755), "{}", road.name);
        let made = look(road, &client, &team, "made");
        ask!(road, set_mode, &client, &made, 0o2755).unwrap();
        assert_eq!(stat(road, &client, &team, "made").mode, 0o755, "{}", road.name);
    });
}

pub(crate) fn v02_by_files() {
    let stage = Stage::new(|scratch, road| {
        for file in ["by-mode", "by-acl", "members"] {
            scratch.file(&format!("{road}/{file}"), 0o755, 61_001, 61_300);
        }
        set_mode_as_root(&scratch.path(&format!("{road}/by-acl")), 0o2755);
    });
    let Some(stage) = stage else { return };
    let entry = |tag: u8, permissions: u8| [tag, 0, permissions, 0, 0xFF, 0xFF, 0xFF, 0xFF];
    let acl = [&[2, 0, 0, 0][..], &entry(1, 7), &entry(4, 5), &entry(0x20, 5)].concat();
    stage.every_road(|stage, road| {
        for (groups, file, mode) in [(&[][..], "by-mode", 0o755), (&[61_300], "members", 0o2755)] {
            let client = stage.client(61_001, groups);
            let home = stage.home(road, &client);
            let of = look(road, &client, &home, file);
            ask!(road, set_mode, &client, &of, 0o2755).unwrap();
            assert_eq!(stat(road, &client, &home, file).mode, mode, "{} {file}", road.name);
        }
        let client = stage.client(61_001, &[]);
        let home = stage.home(road, &client);
        let of = look(road, &client, &home, "by-acl");
        ask!(road, set_attribute, &client, &of, "system.posix_acl_access", &acl).unwrap();
        assert_eq!(stat(road, &client, &home, "by-acl").mode, 0o755, "{}", road.name);
    });
}

pub(crate) fn v03_by_files() {
    let stage = Stage::new(|scratch, road| {
        let tool = format!("{road}/tool");
        scratch.file(&tool, 0o777, 0, 0);
        set_mode_as_root(&scratch.path(&tool), 0o6777);
        rustix::fs::setxattr(scratch.path(&tool), "security.capability", &FILE_CAPABILITY, XattrFlags::empty())
            .unwrap();
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[]);
        let home = stage.home(road, &client);
        let tool = look(road, &client, &home, "tool");
        assert!(ask!(road, attribute, &client, &tool, "security.capability").unwrap().is_some());
        let opened = ask!(road, open_file, &client, &home, &path("tool"), OpenFor::Writing).unwrap();
        assert_eq!(ask!(road, write, &client, &opened, 0, b"more".to_vec()).unwrap(), 4);
        assert_eq!(ask!(road, attribute, &client, &tool, "security.capability").unwrap(), None, "{}", road.name);
        assert_eq!(stat(road, &client, &home, "tool").mode, 0o777, "{}", road.name);
    });
}

pub(crate) fn v05_by_files() {
    let stage = Stage::new(|scratch, road| {
        scratch.file(&format!("{road}/own"), 0o755, 61_001, 61_001);
        scratch.file(&format!("{road}/others"), 0o666, 61_002, 61_002);
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[]);
        let home = stage.home(road, &client);
        let (own, others) = (look(road, &client, &home, "own"), look(road, &client, &home, "others"));
        let uid = KernelUid::new(61_002);
        let said = [
            word(&ask!(road, set_attribute, &client, &own, "security.capability", &FILE_CAPABILITY)),
            word(&ask!(road, set_attribute, &client, &own, "trusted.x", b"y")),
            word(&ask!(road, set_attribute, &client, &own, "security.x", b"y")),
            word(&ask!(road, set_mode, &client, &others, 0o777)),
            word(&ask!(road, set_owner, &client, &own, uid, None)),
        ];
        assert_eq!(said, ["EPERM"; 5], "{}", road.name);
    });
}

pub(crate) fn v06_by_files() {
    const GROUPS: std::ops::Range<u32> = 61_300..61_310;
    let stage = Stage::new(|scratch, road| {
        GROUPS.for_each(|group| scratch.file(&format!("{road}/{group}"), 0o040, 0, group));
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let mut numbers = Numbers(6);
        for _ in 0..20 {
            let mut list = Vec::new();
            for _ in 0..numbers.below(70) {
                let group = if numbers.below(2) == 0 { 61_300 + numbers.below(10) } else { numbers.below(900) + 1 };
                list.push(group);
            }
            let client = stage.client(61_001, &list);
            let home = stage.home(road, &client);
            for group in GROUPS {
                let expected = if list.contains(&group) { "ok" } else { "EACCES" };
                assert_eq!(read(road, &client, &home, &group.to_string()), expected, "{} {list:?}", road.name);
            }
        }
    });
}

pub(crate) fn v10_by_files() {
    let stage = Stage::new(|scratch, road| {
        scratch.file(&format!("{road}/own"), 0o600, 4_000_000_000, 0);
        scratch.file(&format!("{road}/other"), 0o600, 61_001, 0);
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        for uid in [2_147_483_648, 4_000_000_000, u32::MAX - 1] {
            let client = stage.client(uid, &[4_000_000_001]);
            let home = stage.home(road, &client);
            let made = name(&format!("made-{uid}"));
            let content = ask!(road, create, &client, &home, &made, 0o600).unwrap();
            assert_eq!((content.stat().uid, content.stat().gid), (uid, uid), "{}", road.name);
            let own = if uid == 4_000_000_000 { "ok" } else { "EACCES" };
            let said = (read(road, &client, &home, "own"), read(road, &client, &home, "other"));
            assert_eq!((said.0.as_str(), said.1.as_str()), (own, "EACCES"), "{}", road.name);
        }
    });
}

pub(crate) fn v16_by_files() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/not-team"), 0o604, 0, 61_300)) else {
        return;
    };
    stage.every_road(|stage, road| {
        for length in [0, 1, 31, 64, 1000, 65_535] {
            let others: Vec<u32> = (100_000..100_000 + length).collect();
            let with: Vec<u32> = others.iter().copied().skip(1).chain([61_300]).collect();
            for (groups, expected) in [(others, "ok"), (with, "EACCES")] {
                let client = stage.client(61_001, &groups);
                let home = stage.home(road, &client);
                assert_eq!(read(road, &client, &home, "not-team"), expected, "{} {length}", road.name);
            }
        }
    });
}

pub(crate) fn v17_by_files() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/not-team"), 0o604, 0, 61_300)) else {
        return;
    };
    let gid = |raw| KernelGid::new(raw).unwrap();
    stage.every_road(|stage, road| {
        for groups in [vec![], vec![gid(61_400)]] {
            let who = UnixIdentity::new(KernelUid::new(61_001).unwrap(), gid(61_300), groups).unwrap();
            let client = stage.server.logon(LogonKind::Network, &who).unwrap();
            let home = stage.home(road, &client);
            assert_eq!(read(road, &client, &home, "not-team"), "EACCES", "{}", road.name);
        }
    });
}

/// Files of the server's groups, which no client has, and of a team's.
fn with_servers_groups() -> Option<Stage> {
    rustix::thread::set_thread_groups(&[0, 61_500, 61_501].map(Gid::from_raw)).unwrap();
    Stage::new(|scratch, road| {
        for (file, gid) in [("daemons", 61_500), ("roots", 0), ("team", 61_300)] {
            scratch.file(&format!("{road}/{file}"), 0o040, 0, gid);
        }
    })
}

pub(crate) fn v20_by_files() {
    let Some(stage) = with_servers_groups() else { return };
    stage.every_road(|stage, road| {
        let people = [(61_001, &[61_300][..], "ok"), (61_002, &[], "EACCES"), (61_003, &[61_301, 61_302], "EACCES")];
        let people = people.map(|(uid, groups, expected)| {
            let client = stage.client(uid, groups);
            let home = stage.home(road, &client);
            (client, home, expected)
        });
        for round in 0..20 {
            for index in [0, 1, 2, 1, 0, 0, 2] {
                let (client, home, expected) = &people[index];
                let said = ["daemons", "roots", "team"].map(|file| read(road, client, home, file));
                assert_eq!(said, ["EACCES", "EACCES", expected], "{} round {round}", road.name);
            }
        }
    });
}

pub(crate) fn v21_by_files() {
    let Some(stage) = with_servers_groups() else { return };
    stage.every_road(|stage, road| {
        for count in [0_u32, 1, 63, 64, 65, 1023, 1024, 1025, 65_535] {
            let client = stage.client(61_001, &(100_000..100_000 + count).collect::<Vec<_>>());
            let home = stage.home(road, &client);
            assert_eq!(read(road, &client, &home, "roots"), "EACCES", "{} {count}", road.name);
        }
        // Who has it, has it.
        let client = stage.client(61_001, &[0]);
        let home = stage.home(road, &client);
        assert_eq!(read(road, &client, &home, "roots"), "ok", "{}", road.name);
    });
}

pub(crate) fn v25_by_files() {
    let stage = Stage::new(|scratch, road| {
        scratch.file(&format!("{road}/alices"), 0o600, 61_001, 61_001);
        scratch.file(&format!("{road}/bobs"), 0o604, 61_002, 61_002);
        directory(scratch, &format!("{road}/room"), 0o755, 61_002, 61_002);
        scratch.file(&format!("{road}/room/inside"), 0o644, 61_002, 61_002);
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let (alice, bob) = (stage.client(61_001, &[]), stage.client(61_002, &[]));
        let (home, bobs_home) = (stage.home(road, &alice), stage.home(road, &bob));
        let (file, room) = (look(road, &bob, &bobs_home, "bobs"), look(road, &bob, &bobs_home, "room"));
        // Also what is held from before gives no right that was taken away.
        let (alices_file, alices_room) = (look(road, &alice, &home, "bobs"), look(road, &alice, &home, "room"));
        let every_operation = || {
            [
                read(road, &alice, &home, "alices"),
                word(&ask!(road, open_file, &alice, &home, &path("bobs"), OpenFor::Reading)),
                word(&ask!(road, reopen, &alice, &alices_file, OpenFor::Reading)),
                word(&ask!(road, open_file, &alice, &home, &path("bobs"), OpenFor::Writing)),
                word(&ask!(road, open_file, &alice, &home, &path("room/inside"), OpenFor::Reading)),
                word(&ask!(road, stat, &alice, &alices_room, &name("inside"))),
                word(&ask!(road, create, &alice, &alices_room, &name("new"), 0o600)),
                word(&ask!(road, unlink, &alice, &alices_room, &name("inside"))),
                word(&ask!(road, set_mode, &alice, &alices_file, 0o777)),
            ]
        };
        let before = ["ok", "ok", "ok", "EACCES", "ok", "ok", "EACCES", "EACCES", "EPERM"];
        let after = ["ok", "EACCES", "EACCES", "EACCES", "EACCES", "EACCES", "EACCES", "EACCES", "EPERM"];
        for _ in 0..4 {
            for (file_mode, room_mode, expected) in [(0o604, 0o755, before), (0o600, 0o700, after)] {
                ask!(road, set_mode, &bob, &file, file_mode).unwrap();
                ask!(road, set_mode, &bob, &room, room_mode).unwrap();
                for _ in 0..3 {
                    assert_eq!(every_operation(), expected, "{}", road.name);
                }
            }
        }
    });
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

pub(crate) fn v29_by_files() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/own"), 0o600, 61_001, 61_001)) else {
        return;
    };
    let waker = Waker::from(Arc::new(PanickingWaker));
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[]);
        let home = stage.home(road, &client);
        for _ in 0..200 {
            let mut answer = Box::pin(road.files.run(&client, Batch::of(home.look_again()).and(home.look_again())));
            let _ = answer.as_mut().poll(&mut Context::from_waker(&waker));
            drop(answer);
        }
        assert_eq!(read(road, &client, &home, "own"), "ok", "{}", road.name);
    });
}

pub(crate) fn v33_by_files() {
    let Some(stage) = with_servers_groups() else { return };
    stage.every_road(|stage, road| {
        let before = stage.client(61_001, &[61_300]);
        let home = stage.home(road, &before);
        assert_eq!(read(road, &before, &home, "team"), "ok");
        let after = stage.client(61_001, &[]);
        let home_after = stage.home(road, &after);
        assert_ne!(before.generation(), after.generation());
        for _ in 0..20 {
            assert_eq!(read(road, &after, &home_after, "team"), "EACCES", "{}", road.name);
            assert_eq!(read(road, &before, &home, "team"), "ok", "{}", road.name);
        }
    });
}

pub(crate) fn v39_by_files() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[61_300]);
        let home = stage.home(road, &client);
        let file = ask!(road, create, &client, &home, &name("file"), 0o600).unwrap();
        let nameless = ask!(road, create_nameless, &client, &home, 0o600).unwrap();
        assert_eq!([file.stat().uid, file.stat().gid, nameless.stat().uid, nameless.stat().gid], [61_001; 4]);
        ask!(road, make_directory, &client, &home, &name("directory"), 0o700).unwrap();
        ask!(road, make_link, &client, &home, &name("link"), c"nowhere").unwrap();
        for made in ["file", "directory", "link"] {
            let about = std::fs::symlink_metadata(stage.scratch.path(road.name).join(made)).unwrap();
            let ids = (std::os::unix::fs::MetadataExt::uid(&about), std::os::unix::fs::MetadataExt::gid(&about));
            assert_eq!(ids, (61_001, 61_001), "{} {made}", road.name);
        }
    });
}

pub(crate) fn v40_by_files() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/own"), 0o644, 61_001, 61_001)) else {
        return;
    };
    stage.every_road(|stage, road| {
        let client = stage.client(61_001, &[61_300]);
        let home = stage.home(road, &client);
        let own = look(road, &client, &home, "own");
        let said = [61_300, 61_301, 0, 61_500]
            .map(|gid| word(&ask!(road, set_owner, &client, &own, None, KernelGid::new(gid))));
        assert_eq!(said, ["ok", "EPERM", "EPERM", "EPERM"], "{}", road.name);
    });
}

pub(crate) fn v44_by_files() {
    const FILES: u32 = 120;
    const GROUPS: [u32; 4] = [61_300, 61_301, 61_302, 61_303];
    let stage = Stage::new(|scratch, road| {
        let mut numbers = Numbers(44);
        for index in 0..FILES {
            let file = format!("{road}/{index}");
            let uid = 61_001 + numbers.below(5);
            let (mode, group) = (numbers.mode(), GROUPS[numbers.index(4)]);
            scratch.file(&file, mode, uid, group);
            if numbers.once_in(2) {
                let acl = numbers.acl(&[61_001, 61_002, 61_003], &GROUPS);
                rustix::fs::setxattr(scratch.path(&file), "system.posix_acl_access", &acl, XattrFlags::empty())
                    .unwrap();
            }
        }
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let mut count = [0_u32; 2];
        for (uid, groups) in [(61_001, &[][..]), (61_002, &[61_300, 61_301]), (61_003, &[61_302])] {
            let client = stage.client(uid, groups);
            let home = stage.home(road, &client);
            for index in 0..FILES {
                let file = look(road, &client, &home, &index.to_string());
                for (access, open_for) in [(Access::Read, OpenFor::Reading), (Access::Write, OpenFor::Writing)] {
                    let may = word(&ask!(road, access, &client, &file, access));
                    let does = word(&ask!(road, reopen, &client, &file, open_for));
                    assert_eq!(may, does, "{} {uid} {index}", road.name);
                    count[usize::from(does == "ok")] += 1;
                }
            }
        }
        assert!(count[0] > FILES / 2 && count[1] > FILES / 2, "{count:?}");
    });
}
