//! Where paths lead, and what is found there.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use vicar_os::fs::{Access, BeneathPath, Directory, Errno, FsError, Kind, Links, Root};

use crate::Test;
use crate::stage::{ALICE, Acting, BOB, Stage, TEAM, name, path};

pub(crate) const TESTS: &[Test] = &[
    ("links_that_leave_are_refused", links, act_links),
    ("a_root_serves_the_client_who_opened_it", nothing, act_foreign_root),
    ("roots_of_the_kernel_are_refused", nothing, act_kernel_roots),
    ("special_files_are_looked_at_and_not_opened", special, act_special),
    ("access_answers_as_open_does", modes, act_access),
    ("a_closed_directory_closes_what_is_in_it", closed, act_closed),
    ("lists_are_limited_and_whole", many, act_lists),
];

fn nothing(_: &Stage) {}

fn links(stage: &Stage) {
    stage.file("outside", "outside", 0, 0, 0o644);
    stage.file("root/inside", "inside", ALICE, ALICE, 0o600);
    stage.directory("root/d", ALICE, ALICE, 0o755);
    for (text, link) in [
        ("../inside", "root/d/round"),
        ("../../outside", "root/d/out"),
        ("/etc/hostname", "root/absolute"),
        ("/proc/self/root/etc/hostname", "root/magic"),
        ("loop", "root/loop"),
        ("d/round", "root/twice"),
    ] {
        symlink(text, stage.0.join(link)).unwrap();
    }
    symlink(stage.root().join("inside"), stage.root().join("absolute-inside")).unwrap();
}

fn act_links(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        for good in ["d/round", "twice", "inside"] {
            let node = root.look(as_client, &path(good), Links::Follow).unwrap();
            assert_eq!(node.open_read(as_client).unwrap().read_at(as_client, 0, 100).unwrap(), b"inside");
        }
        for (bad, errno) in [
            ("d/out", Errno::XDEV),
            ("absolute", Errno::XDEV),
            ("absolute-inside", Errno::XDEV),
            ("magic", Errno::XDEV),
            ("loop", Errno::LOOP),
            ("inside/x", Errno::NOTDIR),
            ("nothing", Errno::NOENT),
        ] {
            let error = root.look(as_client, &path(bad), Links::Follow).unwrap_err();
            assert!(error.is(errno), "{bad}: {error}");
        }
        let link = root.look(as_client, &path("d/out"), Links::Stay).unwrap();
        assert_eq!(link.stat().kind, Kind::Symlink);
        assert_eq!(link.read_link(as_client).unwrap().to_bytes(), b"../../outside");
        assert!(matches!(link.open_read(as_client), Err(FsError::NotServed { kind: Kind::Symlink })));
    });
}

fn act_foreign_root(acting: &Acting) {
    let root = acting.run_plain(&acting.alice, |as_client| Root::open(as_client, &acting.stage.root()).unwrap());
    acting.run_plain(&acting.bob, |as_client| {
        assert_eq!(root.look(as_client, &BeneathPath::here(), Links::Follow).unwrap_err(), FsError::ForeignRoot);
        assert_eq!(root.directory(as_client, &BeneathPath::here()).unwrap_err(), FsError::ForeignRoot);
        assert_eq!(root.space(as_client).unwrap_err(), FsError::ForeignRoot);
    });
    acting.run_plain(&acting.alice, |as_client| {
        assert!(root.look(as_client, &BeneathPath::here(), Links::Follow).is_ok());
        assert!(Root::open(as_client, "relative".as_ref()).unwrap_err().is(Errno::INVAL));
    });
}

fn act_kernel_roots(acting: &Acting) {
    acting.run_plain(&acting.alice, |as_client| {
        for kernel in ["/proc", "/sys", "/proc/sys", "/dev/pts"] {
            match Root::open(as_client, kernel.as_ref()) {
                Err(FsError::KernelFileSystem { .. }) => {}
                Err(error) if error.is(Errno::NOENT) => println!("skipped: no {kernel} here"),
                other => panic!("{kernel}: {other:?}"),
            }
        }
        // From `/` the way leads into procfs, but not to its content.
        let root = Root::open(as_client, "/".as_ref()).unwrap();
        let error = root.look(as_client, &path("proc/version"), Links::Follow).unwrap_err();
        assert!(matches!(error, FsError::KernelFileSystem { magic: 0x9fa0 }), "{error}");
    });
}

fn special(stage: &Stage) {
    let make = |name: &str, kind, device| {
        mknodat(CWD, stage.root().join(name), kind, Mode::from_raw_mode(0o666), device).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(stage.root().join(name), std::fs::Permissions::from_mode(0o666)).unwrap();
    };
    make("fifo", FileType::Fifo, 0);
    make("zero", FileType::CharacterDevice, makedev(1, 5));
    make("block", FileType::BlockDevice, makedev(7, 200));
    make("socket", FileType::Socket, 0);
}

fn act_special(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        for (name, kind) in [
            ("fifo", Kind::Fifo),
            ("zero", Kind::CharacterDevice),
            ("block", Kind::BlockDevice),
            ("socket", Kind::Socket),
        ] {
            let node = root.look(as_client, &path(name), Links::Follow).unwrap();
            assert_eq!(node.stat().kind, kind);
            assert_eq!(node.open_read(as_client).unwrap_err(), FsError::NotServed { kind });
            assert_eq!(node.open_write(as_client).unwrap_err(), FsError::NotServed { kind });
        }
    });
}

fn modes(stage: &Stage) {
    stage.directory("root/modes", 0, 0, 0o755);
    for mode in 0..0o1000 {
        for (uid, gid) in [(ALICE, BOB), (BOB, TEAM), (BOB, BOB)] {
            stage.file(&format!("root/modes/{mode:o}-{uid}-{gid}"), "x", uid, gid, mode);
        }
    }
}

fn act_access(acting: &Acting) {
    let mut differing = 0;
    for client in [&acting.alice, &acting.bob] {
        acting.run(client, |as_client, root| {
            let directory = root.directory(as_client, &path("modes")).unwrap();
            let entries = directory.list(as_client, 10_000).unwrap();
            assert_eq!(entries.len(), 3 * 0o1000);
            for entry in entries {
                let node = directory.look(as_client, &entry.name).unwrap();
                let read = node.open_read(as_client).is_ok();
                let write = node.open_write(as_client).is_ok();
                assert_eq!(read, node.access(as_client, Access::Read).is_ok(), "{:?}", entry.name);
                assert_eq!(write, node.access(as_client, Access::Write).is_ok(), "{:?}", entry.name);
                differing += usize::from(read != write);
            }
        });
    }
    assert!(differing > 0);
}

fn closed(stage: &Stage) {
    stage.directory("root/closed", BOB, BOB, 0o700);
    stage.file("root/closed/open", "x", ALICE, ALICE, 0o777);
    stage.directory("root/listless", BOB, BOB, 0o711);
    stage.file("root/listless/open", "x", ALICE, ALICE, 0o777);
}

fn act_closed(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        for inside in ["closed/open", "closed/nothing"] {
            assert!(root.look(as_client, &path(inside), Links::Follow).unwrap_err().is(Errno::ACCESS));
        }
        let directory = root.directory(as_client, &path("closed")).unwrap();
        assert!(directory.look(as_client, &name("open")).unwrap_err().is(Errno::ACCESS));
        assert!(directory.stat(as_client, &name("open")).unwrap_err().is(Errno::ACCESS));
        assert!(directory.list(as_client, 10).unwrap_err().is(Errno::ACCESS));
        assert!(directory.create_temp(as_client, 0o600).unwrap_err().is(Errno::ACCESS));
        let listless = root.directory(as_client, &path("listless")).unwrap();
        assert!(listless.list(as_client, 10).unwrap_err().is(Errno::ACCESS));
        assert!(listless.look(as_client, &name("open")).unwrap().open_read(as_client).is_ok());
    });
}

fn many(stage: &Stage) {
    stage.directory("root/many", ALICE, ALICE, 0o755);
    for number in 0..5000 {
        stage.file(&format!("root/many/{number:0200}"), "", ALICE, ALICE, 0o644);
    }
}

fn act_lists(acting: &Acting) {
    acting.run(&acting.alice, |as_client, root| {
        let node = root.look(as_client, &path("many"), Links::Follow).unwrap();
        let directory = Directory::of(node).unwrap();
        let mut names: Vec<_> = directory.list(as_client, 5000).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 5000);
        assert_eq!(directory.list(as_client, 4999).unwrap_err(), FsError::TooMany { limit: 4999 });
        assert_eq!(directory.ancestors(as_client, root).unwrap(), [root.id()]);
    });
}
