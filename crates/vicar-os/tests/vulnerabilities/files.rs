//! Files: who owns what is made, what is refused, and what a write takes away.

use crate::numbers::Numbers;
use crate::racer;
use crate::scratch::Scratch;
use crate::world::{every_keeping_road, every_road, raw_word, status, word};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, XattrFlags};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

/// VFS_CAP_REVISION_2 with CAP_SETUID permitted and effective.
pub(crate) const FILE_CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(crate) fn directory(scratch: &Scratch, name: &str, mode: u32, uid: u32, gid: u32) {
    let path = scratch.path(name);
    std::fs::create_dir(&path).unwrap();
    chown(&path, Some(uid), Some(gid)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn owner(path: &Path) -> String {
    let about = std::fs::symlink_metadata(path).unwrap();
    format!("{}:{} {:o}", about.uid(), about.gid(), about.mode() & 0o7777)
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// CVE-2022-0358 (virtiofsd): a file made in a set-group-id directory by somebody who is no member.
pub(crate) fn v01_set_group_directory() {
    every_road(
        |scratch| directory(scratch, "team", 0o2777, 0, 61_300),
        |world| {
            let said = world.act(&world.client(61_001, &[]), |dir| {
                let made = dir.join("team/made");
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
                let file = rustix::fs::open(&made, flags, Mode::from_raw_mode(0o2755)).unwrap();
                drop(file);
                let first = owner(&made);
                set_mode(&made, 0o2755).unwrap();
                format!("{first}, {}, groups {}", owner(&made), status("Groups"))
            });
            assert_eq!(said, "61001:61300 755, 61001:61300 755, groups 61001");
        },
    );
}

/// CVE-2018-13405, CVE-2016-7097: the set-group-id bit kept for somebody who is no member, by chmod or by ACL.
pub(crate) fn v02_set_group_bit() {
    every_road(
        |scratch| {
            for name in ["by-mode", "by-acl", "members"] {
                scratch.file(name, 0o755, 61_001, 61_300);
            }
            // chown has cleared it; root may set it.
            set_mode(&scratch.path("by-acl"), 0o2755).unwrap();
        },
        |world| {
            let said = world.act(&world.client(61_001, &[]), |dir| {
                set_mode(&dir.join("by-mode"), 0o2755).unwrap();
                // user::rwx, group::r-x, other::r-x and nobody else: version 2, then tag, permissions, id.
                let entry = |tag: u8, permissions: u8| [tag, 0, permissions, 0, 0xFF, 0xFF, 0xFF, 0xFF];
                let acl = [&[2, 0, 0, 0][..], &entry(1, 7), &entry(4, 5), &entry(0x20, 5)].concat();
                let set =
                    rustix::fs::setxattr(dir.join("by-acl"), "system.posix_acl_access", &acl, XattrFlags::empty());
                format!("{} {} {}", owner(&dir.join("by-mode")), raw_word(set), owner(&dir.join("by-acl")))
            });
            assert_eq!(said, "61001:61300 755 ok 61001:61300 755");
            let said = world.act(&world.client(61_001, &[61_300]), |dir| {
                set_mode(&dir.join("members"), 0o2755).unwrap();
                owner(&dir.join("members"))
            });
            assert_eq!(said, "61001:61300 2755");
        },
    );
}

/// CVE-2021-20263 (virtiofsd): file capabilities, and the set-id bits, that survive a write.
pub(crate) fn v03_file_capabilities_end_with_a_write() {
    every_road(
        |scratch| {
            scratch.file("tool", 0o777, 0, 0);
            set_mode(&scratch.path("tool"), 0o6777).unwrap();
            let tool = scratch.path("tool");
            rustix::fs::setxattr(&tool, "security.capability", &FILE_CAPABILITY, XattrFlags::empty()).unwrap();
        },
        |world| {
            let said = world.act(&world.client(61_001, &[]), |dir| {
                use std::io::Write as _;
                let mut file = std::fs::OpenOptions::new().append(true).open(dir.join("tool")).unwrap();
                file.write_all(b"more").unwrap();
                let mut value = [0_u8; 64];
                let left = rustix::fs::getxattr(dir.join("tool"), "security.capability", &mut value[..]);
                format!("{} {}", owner(&dir.join("tool")), left == Err(rustix::io::Errno::NODATA))
            });
            assert_eq!(said, "0:0 777 true");
        },
    );
}

/// CVE-2019-10197 (Samba): a short cut for "already this client" that skipped a check.
pub(crate) fn v25_a_kept_identity_is_checked_like_a_new_one() {
    every_keeping_road(
        |scratch| {
            scratch.file("alices", 0o600, 61_001, 61_001);
            scratch.file("bobs", 0o604, 61_002, 61_002);
            directory(scratch, "bobs-room", 0o755, 61_002, 61_002);
            scratch.file("bobs-room/inside", 0o644, 61_002, 61_002);
        },
        |world| {
            let (alice, bob) = (world.client(61_001, &[]), world.client(61_002, &[]));
            let every_operation = |dir: &Path| {
                let open = std::fs::OpenOptions::new().append(true).open(dir.join("bobs"));
                [
                    word(std::fs::read(dir.join("alices"))),
                    word(std::fs::read(dir.join("bobs"))),
                    word(open),
                    word(std::fs::read(dir.join("bobs-room/inside"))),
                    word(std::fs::write(dir.join("bobs-room/new"), "x")),
                    word(std::fs::remove_file(dir.join("bobs-room/inside"))),
                    word(std::fs::rename(dir.join("bobs-room/inside"), dir.join("mine"))),
                    word(std::fs::hard_link(dir.join("bobs"), dir.join("link"))),
                    word(set_mode(&dir.join("bobs"), 0o777)),
                    word(chown(dir.join("bobs"), Some(61_001), None)),
                ]
                .join(" ")
            };
            let before = "ok ok EACCES ok EACCES EACCES EACCES EPERM EPERM EPERM";
            let after = "ok EACCES EACCES EACCES EACCES EACCES EACCES EPERM EPERM EPERM";
            for round in 0..6 {
                // Cold, then twice with the identity kept.
                for _ in 0..3 {
                    assert_eq!(world.act(&alice, move |dir| every_operation(dir)), before, "round {round}");
                }
                world.act(&bob, |dir| {
                    set_mode(&dir.join("bobs"), 0o600).unwrap();
                    set_mode(&dir.join("bobs-room"), 0o700).unwrap();
                    String::new()
                });
                for _ in 0..3 {
                    assert_eq!(world.act(&alice, move |dir| every_operation(dir)), after, "round {round}");
                }
                world.act(&bob, |dir| {
                    set_mode(&dir.join("bobs"), 0o604).unwrap();
                    set_mode(&dir.join("bobs-room"), 0o755).unwrap();
                    String::new()
                });
            }
        },
    );
}

/// CVE-2021-20316, CVE-2017-2619, CVE-2010-0926, CVE-2015-7560 (Samba), CVE-2026-43619 (rsync): a link put where a
/// directory was. What protects here is whose the walk is; that walks stay beneath a directory is in tests/fs.
pub(crate) fn v26_a_link_leads_only_where_the_client_may_go() {
    every_road(
        |scratch| {
            for (name, mode, uid) in [("secret", 0o700, 61_002), ("roots", 0o700, 0), ("alice", 0o755, 61_001)] {
                directory(scratch, name, mode, uid, uid);
            }
            for (name, uid) in [("secret/f", 61_002), ("roots/f", 0), ("alice/f", 61_001)] {
                scratch.file(name, 0o666, uid, uid);
            }
            directory(scratch, "play", 0o777, 61_001, 61_001);
            directory(scratch, "play/d", 0o777, 61_001, 61_001);
            scratch.file("play/d/f", 0o666, 61_001, 61_001);
            for name in ["secret", "roots"] {
                symlink(format!("../{name}"), scratch.path(&format!("play/{name}"))).unwrap();
                std::os::unix::fs::lchown(scratch.path(&format!("play/{name}")), Some(61_001), Some(61_001)).unwrap();
            }
            racer::exchange_for_ever(61_001, &scratch.path("play/d"), &scratch.path("play/secret"));
            racer::exchange_for_ever(61_001, &scratch.path("play/d"), &scratch.path("play/roots"));
        },
        |world| {
            let _races = racer::Races;
            let alice = world.client(61_001, &[]);
            let (mut inside, mut refused) = (0_u32, 0_u32);
            // As often as it takes: the other processes may get their turn late.
            for turn in 0..20_000 {
                if turn >= 10 && inside > 0 && refused > 0 {
                    break;
                }
                let said = world.act(&alice, |dir| {
                    let (mut inside, mut refused) = (0_u32, 0_u32);
                    for _ in 0..40 {
                        match std::fs::read(dir.join("play/d/f")) {
                            Ok(content) => {
                                assert!(content.starts_with(b"play/d/f") || content == b"x", "{content:?}");
                                inside += 1;
                            }
                            Err(_) => refused += 1,
                        }
                        let _ = std::fs::write(dir.join("play/d/new"), "x");
                        let _ = std::fs::rename(dir.join("alice/f"), dir.join("play/d/moved"));
                        let _ = std::fs::write(dir.join("alice/f"), "x");
                        let _ = std::fs::remove_file(dir.join("play/d/new"));
                    }
                    format!("{inside} {refused}")
                });
                let (more, fewer) = said.split_once(' ').unwrap();
                inside += more.parse::<u32>().unwrap();
                refused += fewer.parse::<u32>().unwrap();
            }
            assert!(inside > 0 && refused > 0, "the race never happened: {inside} {refused}");
            if !world.is_irrevocable() {
                let bob = world.client(61_002, &[]);
                let names = world.act(&bob, |dir| {
                    let names = std::fs::read_dir(dir.join("secret")).unwrap();
                    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>().join(" ")
                });
                assert_eq!(names, "f");
            }
        },
    );
}

/// CVE-2023-41914 (Slurm), bindfs: what is made belongs to the client from the first moment on.
pub(crate) fn v39_objects_are_born_with_their_owner() {
    every_road(
        |scratch| directory(scratch, "open", 0o777, 0, 0),
        |world| {
            let said = world.act(&world.client(61_001, &[61_300]), |dir| {
                let dir = dir.join("open");
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
                let file = rustix::fs::open(dir.join("file"), flags, Mode::from_raw_mode(0o600)).unwrap();
                let born = rustix::fs::fstat(&file).unwrap();
                let nameless = rustix::fs::open(&dir, OFlags::TMPFILE | OFlags::RDWR, Mode::from_raw_mode(0o600));
                let nameless = rustix::fs::fstat(nameless.unwrap()).unwrap();
                std::fs::create_dir(dir.join("directory")).unwrap();
                symlink("nowhere", dir.join("symlink")).unwrap();
                rustix::fs::mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
                let _listener = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
                let mut owners = vec![(born.st_uid, born.st_gid), (nameless.st_uid, nameless.st_gid)];
                for name in ["file", "directory", "symlink", "fifo", "socket"] {
                    let about = std::fs::symlink_metadata(dir.join(name)).unwrap();
                    owners.push((about.uid(), about.gid()));
                }
                format!("{}", owners.len() == 7 && owners.iter().all(|ids| *ids == (61_001, 61_001)))
            });
            assert_eq!(said, "true");
        },
    );
}

/// Found by experiment: access(2) answers for the real user. With AT_EACCESS the answer is what open does.
pub(crate) fn v44_access_is_what_open_does() {
    /// With four people and three ways to open: 30,000 questions.
    const FILES: u32 = 2_500;
    const PEOPLE: [(u32, &[u32]); 4] =
        [(61_001, &[]), (61_002, &[61_300, 61_301]), (61_003, &[61_302]), (61_004, &[61_300, 61_302, 61_303])];
    const GROUPS: [u32; 4] = [61_300, 61_301, 61_302, 61_303];
    every_road(
        |scratch| {
            directory(scratch, "many", 0o755, 0, 0);
            let mut numbers = Numbers(44);
            for index in 0..FILES {
                let name = format!("many/{index}");
                let uid = 61_001 + numbers.below(5);
                let (mode, group) = (numbers.mode(), GROUPS[numbers.index(4)]);
                scratch.file(&name, mode, uid, group);
                if numbers.once_in(2) {
                    let acl = numbers.acl(&[61_001, 61_002, 61_003], &GROUPS);
                    let path = scratch.path(&name);
                    rustix::fs::setxattr(path, "system.posix_acl_access", &acl, XattrFlags::empty()).unwrap();
                }
            }
        },
        |world| {
            let mut total = [0_u32; 2];
            for (uid, groups) in PEOPLE {
                let who = world.client(uid, groups);
                let said = world.act(&who, move |dir| {
                    let mut count = [0_u32; 2];
                    for index in 0..FILES {
                        let path = dir.join("many").join(index.to_string());
                        for (access, flags) in [
                            (Access::READ_OK, OFlags::RDONLY),
                            (Access::WRITE_OK, OFlags::WRONLY),
                            (Access::READ_OK | Access::WRITE_OK, OFlags::RDWR),
                        ] {
                            let may = rustix::fs::accessat(CWD, &path, access, AtFlags::EACCESS).err();
                            let does = rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty()).err();
                            assert_eq!(may, does, "{uid} {path:?} {access:?}");
                            count[usize::from(does.is_none())] += 1;
                        }
                    }
                    format!("{} {}", count[0], count[1])
                });
                let (refused, allowed) = said.split_once(' ').unwrap();
                total[0] += refused.parse::<u32>().unwrap();
                total[1] += allowed.parse::<u32>().unwrap();
            }
            assert!(total[0] + total[1] == 12 * FILES && total[0] > FILES && total[1] > FILES, "{total:?}");
        },
    );
}
