//! What is refused before or because of where a path leads, whose an inode is, and who asks.

use crate::stage::{LACKING, Stage, ask, directory, name, path, word};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use vicar_os::fs::{FsError, Kind, Links};
use vicar_os::ring::{Batch, FilesOptions, OpenFor, Operation, UseRing};
use vicar_os::{EnterError, Misuse, RunError};

pub(crate) fn a_path_stays_beneath() {
    let stage = Stage::new(|scratch, road| {
        directory(scratch, &format!("{road}/inner"), 0o755, 61_001, 61_001);
        scratch.file(&format!("{road}/inner/file"), 0o644, 61_001, 61_001);
        scratch.file(&format!("{road}/outside"), 0o644, 61_001, 61_001);
        let inner = scratch.path(&format!("{road}/inner"));
        for (link, to) in [
            ("up", "../outside"),
            ("absolute", "/etc/passwd"),
            ("magic", "/proc/self/root/etc/passwd"),
            ("fine", "file"),
            ("loop", "loop"),
        ] {
            symlink(to, inner.join(link)).unwrap();
        }
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        let inner = ask!(road, look, &alice, &home, &path("inner"), Links::Stay).unwrap();
        let read = |file: &str| word(&ask!(road, open_file, &alice, &inner, &path(file), OpenFor::Reading));
        let outside = format!("errno {}", libc::EXDEV);
        assert_eq!(["file", "fine"].map(read), ["ok", "ok"], "{}", road.name);
        assert_eq!(["up", "absolute", "magic"].map(read), [(); 3].map(|()| outside.clone()), "{}", road.name);
        assert_eq!(read("loop"), format!("errno {}", libc::ELOOP));
        let link = ask!(road, look, &alice, &inner, &path("up"), Links::Stay).unwrap();
        assert_eq!(link.stat().kind, Kind::Symlink);
        // One name, and what it is, not where it leads.
        assert_eq!(ask!(road, stat, &alice, &inner, &name("absolute")).unwrap().kind, Kind::Symlink);
        assert_eq!(word(&ask!(road, create, &alice, &inner, &name("up"), 0o644)), format!("errno {}", libc::EEXIST));
        let proc = ask!(road, root, &alice, std::path::Path::new("/proc/self"));
        assert!(matches!(proc, Err(FsError::KernelFileSystem { .. } | FsError::Os { .. })), "{proc:?}");
        let top = ask!(road, root, &alice, std::path::Path::new("/")).unwrap();
        let mounted = ask!(road, look, &alice, &top, &path("proc/1"), Links::Stay);
        assert!(matches!(mounted, Err(FsError::KernelFileSystem { .. })), "{}: {mounted:?}", road.name);
    });
}

/// A name that is a directory of the client's now and a link to somebody else's the next moment.
pub(crate) fn a_race_of_links_leads_nowhere_else() {
    let stage = Stage::new(|scratch, road| {
        directory(scratch, &format!("{road}/share"), 0o777, 61_001, 61_001);
        directory(scratch, &format!("{road}/share/real"), 0o777, 61_001, 61_001);
        scratch.file(&format!("{road}/share/real/file"), 0o644, 61_001, 61_001);
        directory(scratch, &format!("{road}/elsewhere"), 0o777, 61_001, 61_001);
        std::fs::write(scratch.path(&format!("{road}/elsewhere/file")), "not this").unwrap();
        symlink("../elsewhere", scratch.path(&format!("{road}/share/other"))).unwrap();
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        let share = ask!(road, look, &alice, &home, &path("share"), Links::Stay).unwrap();
        let stop = AtomicBool::new(false);
        let place = stage.scratch.path(road.name).join("share");
        let (mut inside, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                while !stop.load(Ordering::Relaxed) {
                    let (real, other) = (place.join("real"), place.join("other"));
                    rustix::fs::renameat_with(rustix::fs::CWD, &real, rustix::fs::CWD, &other, flags).unwrap();
                }
            });
            for _ in 0..3000 {
                match ask!(road, open_file, &alice, &share, &path("real/file"), OpenFor::Reading) {
                    Ok(content) => {
                        let bytes = ask!(road, read, &alice, &content, 0, 100).unwrap();
                        assert_ne!(bytes, b"not this", "{}", road.name);
                        inside += 1;
                    }
                    Err(FsError::Changed) => refused += 1,
                    Err(error) => {
                        assert!(["errno 18", "errno 2", "errno 11"].contains(&word::<()>(&Err(error)).as_str()));
                        refused += 1;
                    }
                }
                if inside > 20 && refused > 20 {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(inside > 0 && refused > 0, "{}: the race never happened: {inside} {refused}", road.name);
    });
}

pub(crate) fn only_regular_files_are_opened_for_content() {
    let stage = Stage::new(|scratch, road| {
        let place = scratch.path(road);
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let (fifo, device) = (rustix::fs::FileType::Fifo, rustix::fs::FileType::CharacterDevice);
        rustix::fs::mknodat(rustix::fs::CWD, place.join("fifo"), fifo, mode, 0).unwrap();
        let number = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(rustix::fs::CWD, place.join("device"), device, mode, number).unwrap();
        for file in ["fifo", "device"] {
            std::os::unix::fs::chown(place.join(file), Some(61_001), Some(61_001)).unwrap();
        }
        scratch.file(&format!("{road}/file"), 0o644, 61_001, 61_001);
        scratch.file(&format!("{road}/twin"), 0o644, 61_001, 61_001);
        symlink("twin", place.join("link")).unwrap();
    });
    let Some(stage) = stage else { return };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        for (file, kind) in [("fifo", Kind::Fifo), ("device", Kind::CharacterDevice)] {
            let looked = ask!(road, look, &alice, &home, &path(file), Links::Stay).unwrap();
            for open_for in [OpenFor::Reading, OpenFor::Writing] {
                let opened = ask!(road, open_file, &alice, &home, &path(file), open_for).map(|_| ());
                assert_eq!(opened, Err(FsError::NotServed { kind }), "{}", road.name);
                let opened = ask!(road, reopen, &alice, &looked, open_for).map(|_| ());
                assert_eq!(opened, Err(FsError::NotServed { kind }));
            }
        }
        // What was looked at is what is opened: another file, and a FIFO that took the name, are not it.
        let looked = ask!(road, look, &alice, &home, &path("twin"), Links::Stay).unwrap();
        for file in ["file", "fifo"] {
            for operation in [
                Operation::open(&home, &path(file), &looked, OpenFor::Reading).unwrap(),
                Operation::open_name(&home, &name(file), &looked, OpenFor::Reading).unwrap(),
            ] {
                let mut results = road.files.blocking().run(&alice, Batch::of(operation)).unwrap();
                assert_eq!(results.pop().unwrap().map(|_| ()), Err(FsError::Changed), "{} {file}", road.name);
            }
        }
        // One name is no link, wherever that leads; a path may be one that stays beneath.
        for (file, said) in [("twin", "ok".to_owned()), ("link", format!("errno {}", libc::ELOOP))] {
            let operation = Operation::open_name(&home, &name(file), &looked, OpenFor::Reading).unwrap();
            let mut results = road.files.blocking().run(&alice, Batch::of(operation)).unwrap();
            assert_eq!(word(&results.pop().unwrap()), said, "{} {file}", road.name);
        }
        let operation = Operation::open(&home, &path("link"), &looked, OpenFor::Reading).unwrap();
        let mut results = road.files.blocking().run(&alice, Batch::of(operation)).unwrap();
        assert_eq!(word(&results.pop().unwrap()), "ok", "{}", road.name);
    });
}

pub(crate) fn an_inode_belongs_to_its_client() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o666, 61_001, 61_001)) else {
        return;
    };
    stage.every_road(|stage, road| {
        let (alice, bob) = (stage.client(61_001, &[]), stage.client(61_002, &[]));
        let home = stage.home(road, &alice);
        let bobs = stage.home(road, &bob);
        let file = name("file");
        assert_eq!(ask!(road, stat, &bob, &home, &file).map(|_| ()), Err(FsError::ForeignRoot), "{}", road.name);
        let rename = ask!(road, rename, &bob, &bobs, &file, &home, &file, vicar_os::fs::Replace::File);
        assert_eq!(rename, Err(FsError::ForeignRoot));
        assert_eq!(ask!(road, set_mode, &bob, &home, 0o777), Err(FsError::ForeignRoot));
        // The same person signed in twice is the same person.
        let again = stage.client(61_001, &[]);
        assert!(ask!(road, stat, &again, &home, &file).is_ok());
    });
}

/// What is kept is kept under the server's token: without the privilege nobody is acted as any more.
pub(crate) fn the_gate_is_asked_again() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    let roads = crate::stage::ROADS.map(|name| stage.road(name));
    let alice = stage.client(61_001, &[]);
    let homes = roads.each_ref().map(|road| stage.home(road, &alice));
    for (road, home) in roads.iter().zip(&homes) {
        ask!(road, make_directory, &alice, home, &name("before"), 0o755).unwrap();
    }
    stage.server.give_up_impersonation();
    for (road, home) in roads.iter().zip(&homes) {
        let refused = road.files.blocking().make_directory(&alice, home, &name("after"), 0o755);
        assert!(
            matches!(refused, Err(RunError::Enter(EnterError::BelowImpersonation { gate_step: Some(_), .. }))),
            "{}: {refused:?}",
            road.name
        );
        if let Some(ring) = road.files.ring() {
            assert_eq!(ring.identities(), 0, "{}", road.name);
        }
    }
}

pub(crate) fn no_thread_that_acts_submits() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    let road = stage.road("waiting");
    let alice = stage.client(61_001, &[]);
    let home = stage.home(&road, &alice);
    let ring = road.files.ring().unwrap();
    let inside = stage.server.run_as(&alice, |_| ring.run_blocking(&alice, Batch::of(home.look_again())).map(|_| ()));
    assert_eq!(inside, Ok(Err(RunError::Enter(EnterError::Misuse(Misuse::AlreadyImpersonating)))));
}

pub(crate) fn the_report_says_which_and_why() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    let all = stage.road("waiting").files.report().to_string();
    assert!(all.starts_with("the ring does openat2, statx, ") && all.contains("socket"), "{all}");
    let lacking = stage.road("lacking").files.report().to_string();
    assert!(lacking.contains("client threads do") && LACKING.iter().all(|name| lacking.contains(name)), "{lacking}");
    let never = stage.server.files(&FilesOptions { use_ring: UseRing::Never, ..FilesOptions::default() }).unwrap();
    assert_eq!(never.report().to_string(), "client threads do everything: no ring, turned off");
}

pub(crate) fn the_trial_of_a_ring_passes() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    for name in ["waiting", "workers", "small"] {
        let road = stage.road(name);
        let tried = stage.server.try_ring(road.files.ring().unwrap()).unwrap();
        assert_eq!((tried.identities, tried.checks), (2, 604), "{name}: {tried:?}");
    }
}
