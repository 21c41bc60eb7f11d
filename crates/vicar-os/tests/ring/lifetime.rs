//! Batches, chains, futures that nobody waits for, identities that come and go, and the end.

use crate::stage::{ROADS, Stage, ask, block_on, name, path, word};
use std::collections::HashSet;
use vicar_os::fs::{FsError, Links, Replace};
use vicar_os::ring::{Batch, Done, OpenFor, Operation, Ring, RingOptions};
use vicar_os::{EnterError, RunError};

fn words(results: &[Result<Done, FsError>]) -> Vec<String> {
    results.iter().map(word).collect()
}

pub(crate) fn chains_stop_at_the_first_failure() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o600, 61_002, 61_002)) else {
        return;
    };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        let run = |batch: Batch| road.files.blocking().run(&alice, batch).unwrap();
        let good = Batch::of(Operation::make_directory(&home, &name("made"), 0o700)).then(Operation::look(
            &home,
            &path("made"),
            Links::Stay,
        ));
        let results = run(good);
        assert!(matches!(&results[..], [Ok(Done::Nothing), Ok(Done::Inode(_))]), "{}: {results:?}", road.name);
        let file = ask!(road, look, &alice, &home, &path("file"), Links::Stay).unwrap();
        let stopped = Batch::of(Operation::open(&home, &path("file"), &file, OpenFor::Reading).unwrap())
            .then(Operation::make_directory(&home, &name("never"), 0o700))
            .and(Operation::make_directory(&home, &name("anyway"), 0o700));
        if road.name == "small" {
            // More than such a ring holds: the threads do it, with the same answers.
            assert!(road.files.ring().unwrap().batch_limit() < 3);
        }
        let cancelled = format!("errno {}", libc::ECANCELED);
        assert_eq!(words(&run(stopped)), ["EACCES", cancelled.as_str(), "ok"], "{}", road.name);
        assert!(ask!(road, stat, &alice, &home, &name("never")).is_err());
        assert!(ask!(road, stat, &alice, &home, &name("anyway")).is_ok());
        assert!(run(Batch::default()).is_empty());
    });
}

/// The kernel itself goes on behind a failure of these.
pub(crate) fn a_chain_stops_behind_every_kind_of_failure() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o644, 61_002, 61_002)) else {
        return;
    };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        let none = name("none");
        let looked = ask!(road, look, &alice, &home, &path("file"), Links::Stay).unwrap();
        let content = ask!(road, reopen, &alice, &looked, OpenFor::Reading).unwrap();
        let failing = || {
            [
                Operation::look(&home, &path("none"), Links::Stay),
                Operation::open(&home, &path("file"), &looked, OpenFor::Writing).unwrap(),
                Operation::create(&home, &name("file"), 0o600),
                Operation::stat(&home, &none),
                Operation::make_directory(&home, &name("file"), 0o700),
                Operation::unlink(&home, &none),
                Operation::remove_directory(&home, &none),
                Operation::rename(&home, &none, &home, &name("other"), Replace::File),
                Operation::link(&home, &none, &home, &name("other")),
                Operation::make_link(&home, &name("file"), c"text"),
                Operation::set_attribute(&looked, "user.none", b"value").unwrap(),
                Operation::socket(libc::AF_INET, libc::SOCK_RAW, 1),
                Operation::write(&content, 0, b"text".to_vec()).unwrap(),
            ]
        };
        let cancelled = format!("errno {}", libc::ECANCELED);
        for (at, operation) in failing().into_iter().enumerate() {
            let chain = Batch::of(operation).then(Operation::make_directory(&home, &name("never"), 0o700));
            let results = words(&road.files.blocking().run(&alice, chain.clone()).unwrap());
            assert!(results[0] != "ok" && results[1] == cancelled, "{}: {at}: {results:?}", road.name);
            assert!(ask!(road, stat, &alice, &home, &name("never")).is_err(), "{}: {at}", road.name);
            let Some(ring) = road.files.ring() else { continue };
            // A ring by itself does it right or not at all.
            let results = words(&ring.run_blocking(&alice, chain).unwrap());
            assert_ne!(results[0], "ok", "{}: {at}: {results:?}", road.name);
            assert!(ask!(road, stat, &alice, &home, &name("never")).is_err(), "{}: {at}", road.name);
        }
    });
}

/// How many descriptors of this process are of this file.
fn descriptors_of(file: &std::path::Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links.filter(|link| std::fs::read_link(link.as_ref().unwrap().path()).is_ok_and(|to| to == file)).count()
}

pub(crate) fn what_is_closed_among_others_is_closed() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o600, 61_001, 61_001)) else {
        return;
    };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        let looked = ask!(road, look, &alice, &home, &path("file"), Links::Stay).unwrap();
        let file = stage.scratch.path(road.name).join("file");
        let open = || ask!(road, reopen, &alice, &looked, OpenFor::Reading).unwrap();
        let run = |batch: Batch| words(&road.files.blocking().run(&alice, batch).unwrap());
        // The one that is looked at stays.
        let count = || descriptors_of(&file) - 1;
        let (first, second) = (open(), open());
        assert_eq!(count(), 2, "{}", road.name);
        assert_eq!(run(Batch::of(Operation::close(first)).and(Operation::close(second))), ["ok", "ok"]);
        assert_eq!(count(), 0, "{}", road.name);
        // Others go on with it.
        let content = open();
        assert_eq!(run(Batch::of(Operation::close(content.clone()))), ["ok"]);
        assert_eq!(count(), 1, "{}", road.name);
        assert!(ask!(road, read, &alice, &content, 0, 10).is_ok());
        let closing = Operation::close(content);
        let copy = closing.clone();
        assert_eq!(run(Batch::of(closing)), ["ok"]);
        assert_eq!(count(), 1, "{}", road.name);
        drop(copy);
        assert_eq!(count(), 0, "{}", road.name);
        let cancelled = format!("errno {}", libc::ECANCELED);
        // It is given away also when it is cancelled.
        let failing = Operation::unlink(&home, &name("none"));
        let said = run(Batch::of(failing).then(Operation::close(open())));
        assert_eq!(said, ["errno 2", cancelled.as_str()], "{}", road.name);
        assert_eq!(count(), 0, "{}", road.name);
    });
}

pub(crate) fn one_operation_is_a_batch_of_one() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o600, 61_001, 61_001)) else {
        return;
    };
    for name in ["waiting", "workers", "small"] {
        let road = stage.road(name);
        let ring = road.files.ring().unwrap();
        let (alice, bob) = (stage.client(61_001, &[]), stage.client(61_002, &[]));
        let home = stage.home(&road, &alice);
        let opened = ask!(road, open_file, &alice, &home, &path("file"), OpenFor::Reading).map(drop);
        assert_eq!(opened, Ok(()), "{}", road.name);
        let seen = ring.run_one(&alice, Operation::stat_of(&home)).unwrap().unwrap();
        assert!(matches!(seen, Done::Stat(stat) if stat.id == home.stat().id), "{}", road.name);
        let refused = ring.run_one(&bob, Operation::stat_of(&home)).unwrap().map(|_| ());
        assert_eq!(refused, Err(FsError::ForeignRoot), "{}", road.name);
        let make = |name| Operation::make_directory(&home, &self::name(name), 0o777);
        assert_eq!(word(&ring.run_one(&alice, make("made")).unwrap()), "ok");
        assert_eq!(word(&ring.run_one(&alice, make("made")).unwrap()), format!("errno {}", libc::EEXIST));
        let made = ask!(road, stat, &alice, &home, &self::name("made")).unwrap();
        assert_eq!((made.uid, made.mode), (61_001, 0o755), "{}", road.name);
        let inside = stage.server.run_as(&alice, |_| ring.run_one(&alice, home.look_again()).map(|_| ()));
        assert_eq!(inside, Ok(Err(RunError::Enter(EnterError::Misuse(vicar_os::Misuse::AlreadyImpersonating)))));
        ring.revoke(&alice);
        let later = ring.run_one(&alice, Operation::stat_of(&home)).map(|_| ());
        assert_eq!(later, Err(RunError::Enter(EnterError::Revoked)), "{}", road.name);
    }
}

pub(crate) fn batches_are_larger_than_the_ring_is_quick() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o644, 0, 0)) else { return };
    stage.every_road(|stage, road| {
        let alice = stage.client(61_001, &[]);
        let home = stage.home(road, &alice);
        for round in 0..20 {
            let one = || Operation::stat(&home, &name(if round % 2 == 0 { "file" } else { "none" }));
            let batch = (1..200).fold(Batch::of(one()), |batch, _| batch.and(one()));
            let results = road.files.blocking().run(&alice, batch).unwrap();
            assert_eq!(results.len(), 200);
            assert!(results.iter().all(|result| result.is_ok() == (round % 2 == 0)), "{}", road.name);
        }
    });
}

pub(crate) fn dropped_futures_lose_nothing() {
    let Some(stage) = Stage::new(|scratch, road| scratch.file(&format!("{road}/file"), 0o644, 61_001, 61_001)) else {
        return;
    };
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    for road in ROADS {
        let road = stage.road(road);
        let alice = stage.client(61_001, &[]);
        let home = stage.home(&road, &alice);
        // Everything that is made once is made now.
        ask!(&road, make_directory, &alice, &home, &name("first"), 0o700).unwrap();
        let before = descriptors();
        for round in 0..200 {
            let text = format!("d{round}");
            drop(road.files.run(&alice, Batch::of(Operation::make_directory(&home, &name(&text), 0o700))));
            drop(road.files.run(&alice, Batch::of(Operation::look(&home, &path("file"), Links::Stay))));
            // A plan that is dropped before or after its first step.
            let (inner, client) = (home.clone(), alice.clone());
            let mut plan = Box::pin(road.files.open_file(&client, &inner, const_path(), OpenFor::Reading));
            if round % 2 == 0 {
                let waker = std::task::Waker::noop();
                let _ = plan.as_mut().poll(&mut std::task::Context::from_waker(waker));
            }
        }
        // The last answers come after those that nobody waits for, on a road that keeps the order.
        for _ in 0..3 {
            block_on(road.files.make_directory(&alice, &home, &name("last"), 0o700)).unwrap().ok();
        }
        loop {
            let made = std::fs::read_dir(stage.scratch.path(road.name)).unwrap().count();
            if made == 203 && descriptors() == before {
                break;
            }
            std::thread::yield_now();
        }
    }
}

fn const_path() -> &'static vicar_os::fs::BeneathPath {
    static PATH: std::sync::OnceLock<vicar_os::fs::BeneathPath> = std::sync::OnceLock::new();
    PATH.get_or_init(|| path("file"))
}

fn threads_of_the_ring() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    let of_the_ring = ["ring-driver", "ring-registrar", "ring-capture"];
    tasks.map(name).filter(|name| of_the_ring.contains(&name.trim())).count()
}

pub(crate) fn a_ring_ends_after_what_is_under_way() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    let road = stage.road("threads");
    let alice = stage.client(61_001, &[]);
    let home = stage.home(&road, &alice);
    for round in 0..30 {
        let ring = Ring::start(&stage.server, &RingOptions::default()).unwrap();
        assert!(threads_of_the_ring() > 0);
        let answers: Vec<_> = (0..20)
            .map(|index| {
                let text = format!("{round}-{index}");
                ring.run(&alice, Batch::of(Operation::make_directory(&home, &name(&text), 0o700)))
            })
            .collect();
        drop(ring);
        // Each is done, or was told that it will not be.
        for (index, answer) in answers.into_iter().enumerate() {
            let made = ask!(&road, stat, &alice, &home, &name(&format!("{round}-{index}"))).is_ok();
            match answer.wait() {
                Ok(results) => assert!(matches!(results[..], [Ok(Done::Nothing)]) && made),
                Err(error) => assert!(error == RunError::Closed && !made, "{error:?}"),
            }
        }
        // A thread that was joined may be listed for a moment more.
        while threads_of_the_ring() > 0 {
            std::thread::yield_now();
        }
    }
}

pub(crate) fn ten_thousand_clients_in_turn() {
    let Some(stage) = Stage::new(|scratch, road| {
        for uid in 61_001..61_009 {
            scratch.file(&format!("{road}/{uid}"), 0o600, uid, uid);
        }
    }) else {
        return;
    };
    let road = stage.road("small");
    let ring = road.files.ring().unwrap();
    let people: Vec<_> = (61_001..61_009_u32)
        .map(|uid| {
            let client = stage.client(uid, &[]);
            let home = stage.home(&road, &client);
            let files: Vec<_> = (61_001..61_009_u32)
                .map(|file| ask!(&road, look, &client, &home, &path(&file.to_string()), Links::Stay).unwrap())
                .collect();
            (client, home, files)
        })
        .collect();
    let mut seed = 7_usize;
    for turn in 0..10_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (own, other) = ((seed >> 33) % 8, (seed >> 40) % 8);
        let (client, home, files) = &people[own];
        let file = if turn % 2 == 0 { own } else { other };
        let opened =
            Operation::open(home, &path(&(61_001 + file).to_string()), &files[file], OpenFor::Reading).unwrap();
        let results = ring.run_blocking(client, Batch::of(opened)).unwrap();
        assert_eq!(results[0].is_ok(), file == own, "{:?}", results[0]);
        assert!(ring.identities() <= 2);
    }
}

pub(crate) fn many_threads_and_clients_share_a_small_ring() {
    let Some(stage) = Stage::new(|scratch, road| {
        for uid in 61_001..61_005 {
            scratch.file(&format!("{road}/{uid}"), 0o600, uid, uid);
        }
    }) else {
        return;
    };
    for road in ["small", "waiting", "future"] {
        let road = stage.road(road);
        let people: Vec<_> = (61_001..61_005_u32)
            .map(|uid| {
                let client = stage.client(uid, &[]);
                (client.clone(), stage.home(&road, &client))
            })
            .collect();
        let seen = std::sync::Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for worker in 0..4_usize {
                let (road, people, seen) = (&road, &people, &seen);
                scope.spawn(move || {
                    for round in 0..300 {
                        let (client, home) = &people[(worker + round) % 4];
                        let uid = 61_001 + (worker + round) % 4;
                        let other = 61_001 + (worker + round + 1) % 4;
                        let own = path(&uid.to_string());
                        // One that is done at once, one by a kernel worker, and one by the driver.
                        let content = ask!(road, open_file, client, home, &own, OpenFor::Reading).unwrap();
                        assert_eq!(content.stat().uid, u32::try_from(uid).unwrap());
                        let refused = ask!(road, open_file, client, home, &path(&other.to_string()), OpenFor::Reading);
                        assert_eq!(word(&refused), "EACCES", "{}", road.name);
                        let text = format!("{worker}-{round}");
                        let made = ask!(road, create, client, home, &name(&text), 0o600).unwrap();
                        assert_eq!(made.stat().uid, u32::try_from(uid).unwrap());
                        ask!(road, unlink, client, home, &name(&text)).unwrap();
                        seen.lock().unwrap().insert((worker, uid));
                    }
                });
            }
        });
        assert_eq!(seen.lock().unwrap().len(), 16);
    }
}

pub(crate) fn a_revoked_client_is_refused_everywhere() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    stage.every_road(|stage, road| {
        let (alice, bob) = (stage.client(61_001, &[]), stage.client(61_002, &[]));
        let (home, bobs) = (stage.home(road, &alice), stage.home(road, &bob));
        ask!(road, make_directory, &alice, &home, &name("before"), 0o700).unwrap();
        road.files.revoke(&alice);
        let revoked = Err(RunError::Enter(EnterError::Revoked));
        let directory = name("after");
        assert_eq!(road.files.blocking().make_directory(&alice, &home, &directory, 0o700), revoked, "{}", road.name);
        assert_eq!(block_on(road.files.make_directory(&alice, &home, &directory, 0o700)), revoked);
        let stat = road.files.blocking().stat(&alice, &home, &directory).map(|_| ());
        assert_eq!(stat, Err(RunError::Enter(EnterError::Revoked)));
        assert_eq!(road.files.blocking().set_mode(&alice, &home, 0o700), revoked);
        assert_eq!(stage.server.run_as(&alice, |_| ()), Err(EnterError::Revoked));
        if let Some(ring) = road.files.ring() {
            // Bob is kept when the ring did something for him; alice is not.
            ask!(road, stat, &bob, &bobs, &directory).ok();
            assert!(ring.identities() <= 1);
        }
        ask!(road, make_directory, &bob, &bobs, &directory, 0o700).unwrap();
        let again = stage.client(61_001, &[]);
        let home = stage.home(road, &again);
        ask!(road, make_directory, &again, &home, &name("again"), 0o700).unwrap();
    });
}

pub(crate) fn too_much_is_refused() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    let road = stage.road("threads");
    let (alice, bob) = (stage.client(61_001, &[]), stage.client(61_002, &[]));
    let (home, bobs) = (stage.home(&road, &alice), stage.home(&road, &bob));
    let options = RingOptions { entries: 1, queued: 64, queued_per_client: 8, ..RingOptions::default() };
    let ring = Ring::start(&stage.server, &options).unwrap();
    let make = |ring: &Ring, index: usize, whose: &str| {
        let (client, home) = if whose == "alice" { (&alice, &home) } else { (&bob, &bobs) };
        let text = format!("{whose}-{index}");
        ring.run(client, Batch::of(Operation::make_directory(home, &name(&text), 0o700)))
    };
    let mut answers: Vec<_> = (0..2000).map(|index| make(&ring, index, "alice")).collect();
    answers.extend((0..4).map(|index| make(&ring, index, "bob")));
    let results: Vec<_> = answers.into_iter().map(vicar_os::Answer::wait).collect();
    let busy = results.iter().filter(|result| matches!(result, Err(RunError::Busy))).count();
    let done = results.iter().filter(|result| matches!(result, Ok(made) if made[0].is_ok())).count();
    assert!(busy > 0 && done > 8 && busy + done == results.len(), "{busy} {done}");
    // Who waits with his own is not refused because of somebody else's.
    assert!(results[2000..].iter().all(Result::is_ok));
}
