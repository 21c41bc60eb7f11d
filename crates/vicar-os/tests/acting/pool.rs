//! Client threads: what they are while they rest, and what they do.

use crate::scratch::{Scratch, client, server};
use crate::{NONE, TWO};
use std::collections::BTreeMap;
use std::time::Duration;
use vicar_os::{ClientThreadOptions, EnterError, RunError, Server};

fn options() -> ClientThreadOptions {
    ClientThreadOptions { threads: 4, per_client: 2, keep: Duration::from_millis(50), ..ClientThreadOptions::default() }
}

/// Name and identity lines of every thread of this process.
fn threads() -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let text = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let lines: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
            .collect();
        found.push((lines["Name"].clone(), lines));
    }
    found
}

/// Waits until every client thread has let go of its last client.
fn come_to_rest(server: &Server) {
    let nobody = server.anonymous().uid();
    let resting = format!("{nobody} {nobody} 0 {nobody}");
    for _ in 0..6_000 {
        if threads().iter().all(|(name, lines)| !name.starts_with("client-") || lines["Uid"] == resting) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn all_rest(server: &Server) {
    let nobody = server.anonymous().uid();
    let (mut client_threads, expected) = (0, format!("{nobody} {nobody} 0 {nobody}"));
    for (name, lines) in threads() {
        if name.starts_with("client-") {
            client_threads += 1;
            assert_eq!([&lines["Uid"], &lines["Gid"]], [&expected, &expected], "{name}");
            assert_eq!(lines["Groups"], nobody.to_string(), "{name}");
            assert_eq!([lines["CapEff"].as_str(), &lines["CapPrm"], &lines["Seccomp"]], [NONE, TWO, "2"], "{name}");
            // Every signal that can be blocked is; the C library keeps two for itself.
            assert_eq!(lines["SigBlk"], "fffffffe7ffbfeff", "{name}");
        } else {
            assert_eq!([&lines["Uid"], &lines["CapEff"]], ["0 0 0 0", TWO], "{name}");
        }
    }
    assert_eq!(client_threads, 4);
}

pub(crate) fn threads_rest_anonymous() {
    let server = server();
    let pool = server.client_threads(options()).unwrap();
    all_rest(&server);
    let alice = client(&server, 61_001, &[61_300]);
    for _ in 0..100 {
        pool.run_blocking(&alice, |_| ()).unwrap();
    }
    come_to_rest(&server);
    all_rest(&server);
}

pub(crate) fn every_job_runs_as_its_client() {
    let scratch = Scratch::new();
    let people =
        [(61_001, vec![]), (61_002, vec![61_300]), (61_003, (61_300..61_364).collect()), (61_004, vec![61_301])];
    for (uid, _) in &people {
        scratch.file(&uid.to_string(), 0o600, *uid, *uid);
    }
    let server = server();
    let pool = server.client_threads(options()).unwrap();
    let clients: Vec<_> = people.iter().map(|(uid, groups)| (*uid, client(&server, *uid, groups))).collect();
    std::thread::scope(|scope| {
        for worker in 0..8_usize {
            let (pool, clients, scratch) = (&pool, &clients, &scratch);
            scope.spawn(move || {
                for round in 0..500 {
                    let (uid, client) = &clients[(worker + round) % 4];
                    let (own, other) = (
                        scratch.path(&uid.to_string()),
                        scratch.path(&clients[(worker + round + 1) % 4].0.to_string()),
                    );
                    let (shown, own, other) = pool
                        .run_blocking(client, move |as_client| {
                            (as_client.shown().uid.raw(), std::fs::read(own).is_ok(), std::fs::read(other).is_ok())
                        })
                        .unwrap();
                    assert_eq!((shown, own, other), (*uid, true, false));
                }
            });
        }
    });
}

pub(crate) fn a_panic_ends_the_job_and_nothing_else() {
    std::panic::set_hook(Box::new(|_| {}));
    let server = server();
    let pool = server.client_threads(options()).unwrap();
    let alice = client(&server, 61_001, &[]);
    for _ in 0..20 {
        let panicked: Result<(), _> = pool.run_blocking(&alice, |_| panic!("in the job"));
        assert_eq!(panicked, Err(RunError::Panicked));
        assert_eq!(pool.run_blocking(&alice, |as_client| as_client.shown().uid.raw()), Ok(61_001));
    }
    come_to_rest(&server);
    all_rest(&server);
}

pub(crate) fn a_client_thread_makes_no_thread_and_runs_no_program() {
    let server = server();
    let pool = server.client_threads(options()).unwrap();
    let alice = client(&server, 61_001, &[]);
    let (thread, program, nested) = pool
        .run_blocking(&alice, {
            let (server, alice) = (server.clone(), alice.clone());
            move |_| {
                let thread = std::thread::Builder::new().spawn(|| ()).map(|_| ()).map_err(|error| error.raw_os_error());
                let program = std::process::Command::new("/bin/true").status().map_err(|error| error.raw_os_error());
                (thread, program.map(|_| ()), server.run_as(&alice, |_| ()).is_ok())
            }
        })
        .unwrap();
    assert_eq!((thread, program, nested), (Err(Some(libc::EPERM)), Err(Some(libc::EPERM)), false));
}

/// The kept identity is keyed by the server's token too: without the privilege the next entry is downgraded.
pub(crate) fn the_gate_is_asked_again_when_the_servers_token_changes() {
    let server = server();
    let pool = server.client_threads(options()).unwrap();
    let alice = client(&server, 61_001, &[]);
    assert_eq!(pool.run_blocking(&alice, |_| ()), Ok(()));
    server.give_up_impersonation();
    let refused = pool.run_blocking(&alice, |_| ()).unwrap_err();
    assert!(
        matches!(refused, RunError::Enter(EnterError::BelowImpersonation { gate_step: Some(_), .. })),
        "{refused:?}"
    );
    assert!(matches!(server.run_as(&alice, |_| ()), Err(EnterError::BelowImpersonation { .. })));
}

pub(crate) fn dropping_the_threads_ends_them() {
    let server = server();
    let pool = server.client_threads(options()).unwrap();
    let alice = client(&server, 61_001, &[]);
    let answer = pool.run(&alice, |_| 7);
    drop(pool);
    assert!(matches!(answer.wait(), Ok(7) | Err(RunError::Closed)));
    assert!(!threads().iter().any(|(name, _)| name.starts_with("client-")));
}
