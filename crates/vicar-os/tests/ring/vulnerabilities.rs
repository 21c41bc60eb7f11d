//! The vulnerabilities of io_uring's users and of io_uring itself that this road must not have.

use crate::stage::{ROADS, Stage, ask, name, path, word};
use std::path::Path;
use vicar_os::fs::Links;
use vicar_os::ring::{Batch, Done, Inline, OpenFor, Operation, Ring, RingOptions};

/// What `/proc` says of every ring of this process.
fn rings() -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("anon_inode:[io_uring]")) {
            let number = entry.file_name().into_string().unwrap();
            found.push(std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap());
        }
    }
    found
}

/// CVE-2024-22017 (Node, libuv): a ring that the kernel polls keeps acting as who made it.
pub(crate) fn v22_no_polling_thread_and_no_nameless_request() {
    let Some(stage) = Stage::new(|_, _| {}) else { return };
    let roads = ROADS.map(|name| stage.road(name));
    let alice = stage.client(61_001, &[]);
    for road in &roads {
        let home = stage.home(road, &alice);
        ask!(road, make_directory, &alice, &home, &name("made"), 0o700).unwrap();
    }
    let rings = rings();
    // Each has a second descriptor, for the calls that need no lock.
    assert_eq!(rings.len(), 2 * (ROADS.len() - 1), "{rings:?}");
    assert!(rings.iter().all(|info| info.contains("SqThread:\t-1")), "{rings:?}");
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let name = std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default();
        assert!(!name.starts_with("iou-sqp"), "{name}");
    }
    // One function puts entries into a queue, and it takes the number of an identity, which is never zero.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut pushes, mut files) = (Vec::new(), vec![source]);
    while let Some(file) = files.pop() {
        if file.is_dir() {
            files.extend(std::fs::read_dir(file).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(".setup_sqpoll("), "{}", file.display());
        let found = text.matches(".submission().push(").count() + text.matches("push_multiple(").count();
        if found > 0 {
            pushes.push((file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned(), found));
            assert!(text.contains("personality: NonZeroU16,") && text.contains(".personality(personality.get());"));
        }
    }
    assert_eq!(pushes, [(Path::new("src/sys/ring.rs").to_owned(), 1)]);
}

/// CVE-2019-19241 (Linux): a kernel worker that did a request as root.
pub(crate) fn v23_a_kernel_worker_is_the_client_too() {
    let Some(stage) = Stage::new(|scratch, road| {
        scratch.file(&format!("{road}/alices"), 0o600, 61_001, 61_001);
        scratch.file(&format!("{road}/servers"), 0o600, 0, 0);
        scratch.file(&format!("{road}/teams"), 0o640, 0, 61_300);
    }) else {
        return;
    };
    let ring = Ring::start(&stage.server, &RingOptions { inline: Inline::Never, ..RingOptions::default() }).unwrap();
    let threads = stage.road("threads");
    let (alice, bob) = (stage.client(61_001, &[61_300]), stage.client(61_002, &[]));
    let mut made = 0;
    for round in 0..50 {
        for (client, uid, expected) in [(&alice, 61_001, ["ok", "EACCES", "ok"]), (&bob, 61_002, ["EACCES"; 3])] {
            let home = stage.home(&threads, client);
            let open = |file: &str| {
                let looked = ask!(&threads, look, client, &home, &path(file), Links::Stay).unwrap();
                Operation::open(&home, &path(file), &looked, OpenFor::Reading).unwrap()
            };
            let batch = || Batch::of(open("alices")).and(open("servers")).and(open("teams"));
            for results in [ring.run_blocking(client, batch()).unwrap(), ring.run(client, batch()).wait().unwrap()] {
                assert_eq!(results.iter().map(word).collect::<Vec<_>>(), expected);
            }
            let text = format!("{uid}-{round}");
            let create = Batch::of(Operation::create(&home, &name(&text), 0o600))
                .and(Operation::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0))
                .and(Operation::socket(libc::AF_INET, libc::SOCK_RAW, 1));
            let results = ring.run_blocking(client, create).unwrap();
            let [Ok(Done::Content(content)), Ok(Done::Socket(socket)), Err(_)] = &results[..] else {
                panic!("{results:?}")
            };
            assert_eq!((content.stat().uid, content.stat().gid), (uid, uid));
            assert_eq!(rustix::fs::fstat(socket).unwrap().st_uid, uid);
            made += 1;
        }
    }
    assert_eq!(made, 100);
    let is_worker = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).is_ok_and(|name| name.starts_with("iou-wrk"))
    };
    assert!(std::fs::read_dir("/proc/self/task").unwrap().any(is_worker), "no worker did anything");
}

/// CVE-2022-1043 (Linux): credentials that were put once too often when they were unregistered.
pub(crate) fn v24_identities_come_and_go_while_requests_run() {
    const PEOPLE: std::ops::Range<u32> = 61_001..61_007;
    let Some(stage) = Stage::new(|scratch, road| {
        for uid in PEOPLE {
            scratch.file(&format!("{road}/{uid}"), 0o600, uid, uid);
        }
    }) else {
        return;
    };
    let options = RingOptions { identities: 2, entries: 8, inline: Inline::Never, ..RingOptions::default() };
    let ring = Ring::start(&stage.server, &options).unwrap();
    let threads = stage.road("threads");
    std::thread::scope(|scope| {
        for worker in 0..3_u32 {
            let (stage, ring, threads) = (&stage, &ring, &threads);
            scope.spawn(move || {
                for round in 0..60_u32 {
                    let uid = PEOPLE.start + (worker * 2 + round % 2);
                    // Somebody new each time: registered, used, evicted by the others or revoked, never used again.
                    let client = stage.client(uid, &[61_300]);
                    let home = stage.home(threads, &client);
                    let file = path(&uid.to_string());
                    let looked = ask!(threads, look, &client, &home, &file, Links::Stay).unwrap();
                    let open = || Operation::open(&home, &file, &looked, OpenFor::Reading).unwrap();
                    let batch = || Batch::of(open()).and(open()).and(home.look_again());
                    let pending: Vec<_> = (0..4).map(|_| ring.run(&client, batch())).collect();
                    let results = ring.run_blocking(&client, batch()).unwrap();
                    assert!(results.iter().all(Result::is_ok), "{results:?}");
                    if round % 3 == 0 {
                        ring.revoke(&client);
                    }
                    for answer in pending {
                        match answer.wait() {
                            Ok(results) => assert!(results.iter().all(Result::is_ok), "{results:?}"),
                            Err(error) => assert!(client.is_revoked(), "{error}"),
                        }
                    }
                }
            });
        }
    });
    assert!(ring.identities() <= 2);
}
