//! Each credential call made to fail by the kernel's side of it, at each position, from start-up to the end.

use crate::scratch::{Scratch, client, server};
use crate::status;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use vicar_os::{ClientThreadOptions, EnterError, RunError};

/// Set in the process that runs under strace.
const INNER: &str = "VICAR_TEST_INJECTED";

/// The calls of a thread that are made to fail. strace counts for each thread: the first thirteen or so hit the self-test,
/// whose failure leaves a server without power, and the rest hit both roads.
const POSITIONS: std::ops::RangeInclusive<u32> = 1..=40;

/// Enough for every thread to make as many calls.
const ROUNDS: usize = 12;

pub(crate) fn a_failing_call_at_any_position_fails_closed() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    if Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("skipped: strace is not installed");
    }
    for (call, error) in
        [("setgroups", "ENOMEM"), ("setresgid", "EAGAIN"), ("setresuid", "EAGAIN"), ("capset", "EPERM")]
    {
        let (mut whole, mut aborted) = (0, 0);
        for position in POSITIONS {
            let exe = std::env::current_exe().unwrap();
            let inject = format!("inject={call}:error={error}:when={position}");
            let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
            let output = Command::new("strace").args(strace).arg(exe).env(INNER, "1").output().unwrap();
            if output.status.success() {
                whole += 1;
            } else {
                // The one allowed death: a thread that cannot get back.
                let text = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{call} {position}: {text}");
                assert!(
                    text.contains("vicar: cannot leave") || text.contains("cannot become anonymous"),
                    "{call} {position}: {text}"
                );
                aborted += 1;
            }
        }
        println!("{call}: {whole} runs without a wrong answer, {aborted} ended the process");
        assert!(whole > 0 && (aborted > 5 || call == "capset"));
    }
}

/// Acts as two clients by both roads. Every answer is either the client's, or an error with nothing done.
fn body() {
    let scratch = Scratch::new();
    for uid in [61_001, 61_002] {
        scratch.file(&uid.to_string(), 0o600, uid, uid);
    }
    let starting = std::panic::catch_unwind(server);
    // A start-up that fails has served nobody.
    let Ok(server) = starting else { return };
    let groups = server_state();
    let people = [(61_001, client(&server, 61_001, &[61_300])), (61_002, client(&server, 61_002, &[61_301, 61_302]))];
    for _ in 0..ROUNDS {
        for (uid, who) in &people {
            let path = scratch.path(&uid.to_string());
            let answer = server.run_as(who, |as_client| {
                assert_eq!(status("Uid").split(' ').nth(1), Some(uid.to_string().as_str()));
                assert_eq!(as_client.shown().uid.raw(), *uid);
                std::fs::read(&path).unwrap()
            });
            match answer {
                Ok(content) => assert_eq!(content, uid.to_string().as_bytes()),
                Err(EnterError::Switch(_) | EnterError::BelowImpersonation { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            assert_eq!(server_state(), groups);
        }
    }
    let options = ClientThreadOptions { threads: 1, ..ClientThreadOptions::default() };
    let Ok(pool) = server.client_threads(options) else { return };
    for _ in 0..ROUNDS {
        for (uid, who) in &people {
            let (uid, path) = (*uid, scratch.path(&uid.to_string()));
            let answer = pool.run_blocking(who, move |_| {
                assert_eq!(status("Uid").split(' ').nth(1), Some(uid.to_string().as_str()));
                std::fs::read(&path).unwrap()
            });
            match answer {
                Ok(content) => assert_eq!(content, uid.to_string().as_bytes()),
                Err(RunError::Enter(EnterError::Switch(_) | EnterError::BelowImpersonation { .. })) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn server_state() -> [String; 5] {
    ["Uid", "Gid", "Groups", "CapEff", "CapPrm"].map(status)
}
