//! What the system calls of a run over every road say.

use crate::road::ROADS;
use crate::scratch::{Scratch, client, server};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use vicar_os::switch::irrevocable;

/// Set in the process that runs under strace.
pub(crate) const INNER: &str = "VICAR_TEST_TRACED";

/// One system call: the thread that made it, its name, and its arguments with the result.
pub(crate) struct Call {
    pub(crate) thread: u32,
    pub(crate) name: String,
    pub(crate) rest: String,
}

/// Runs [`body`] and returns its system calls of these kinds in order; `None` without strace.
pub(crate) fn trace(kinds: &str) -> Option<Vec<Call>> {
    let log = std::env::temp_dir().join(format!("vicar-audit-{}", std::process::id()));
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={kinds}"), "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .env(INNER, "1")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(_missing) => {
            eprintln!("skipped: strace is not installed");
            return None;
        }
    };
    let text = std::fs::read_to_string(&log);
    let _ = std::fs::remove_file(&log);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut calls: Vec<Call> = Vec::new();
    // A call that another thread interrupts is printed in two halves; the first has the name.
    for line in text.unwrap().lines() {
        let (thread, call) = line.split_once(char::is_whitespace).unwrap();
        let (thread, call) = (thread.parse().unwrap(), call.trim_start());
        if let Some(resumed) = call.strip_prefix("<... ") {
            let (_, rest) = resumed.split_once("resumed>").unwrap();
            calls.iter_mut().rev().find(|call: &&mut Call| call.thread == thread).unwrap().rest.push_str(rest);
        } else if let Some((name, rest)) = call.split_once('(') {
            let rest = rest.replace("<unfinished ...>", "");
            calls.push(Call { thread, name: name.to_owned(), rest });
        }
    }
    calls.iter_mut().for_each(|call| call.rest = call.rest.replace(" )", ")"));
    Some(calls)
}

/// Acts by every road, with panics, refusals and threads that come and go.
pub(crate) fn body() {
    std::panic::set_hook(Box::new(|_| {}));
    let scratch = Scratch::new();
    scratch.file("open", 0o666, 0, 0);
    let dropped = crate::scratch::identity(61_001, &[61_300]);
    let path = scratch.path("open");
    irrevocable::ask(&dropped, || std::fs::read(&path).unwrap()).unwrap();
    let server = server();
    let people = [
        client(&server, 61_001, &[61_300]),
        client(&server, 61_002, &[]),
        client(&server, 61_003, &(61_301..61_365).collect::<Vec<_>>()),
    ];
    for road in ROADS {
        let act = (road.start)(&server);
        for round in 0..40 {
            let (path, made) = (scratch.path("open"), scratch.path(&format!("{}-{round}", road.name)));
            let job = move || {
                std::fs::write(&path, "x").unwrap();
                std::fs::write(&made, "x").unwrap();
                std::fs::create_dir(made.with_extension("dir")).unwrap();
                std::os::unix::fs::symlink("nowhere", made.with_extension("link")).unwrap();
                String::new()
            };
            act(&people[round % 3], Box::new(job)).unwrap();
        }
        drop(act);
    }
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        server.run_as(&people[0], |_| panic!("in the closure"))
    }));
    assert!(caught.is_err());
    let threads = server.client_threads(vicar_os::ClientThreadOptions::default()).unwrap();
    let panicked: Result<(), _> = threads.run_blocking(&people[0], |_| panic!("in the job"));
    assert!(panicked.is_err());
}

const CREDENTIAL_CALLS: &str = "setuid,setgid,setreuid,setregid,setresuid,setresgid,setgroups,setfsuid,setfsgid,capset,\
                                tgkill,tkill,kill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal";

/// musl, glibc, Bun, Go: calls that signal every thread, missed some, or waited for each other for ever.
pub(crate) fn v34_only_raw_calls_on_the_own_thread() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    only_one_module_changes_identities();
    let Some(calls) = trace(CREDENTIAL_CALLS) else { return };
    let mut threads: BTreeMap<u32, Vec<&Call>> = BTreeMap::new();
    for call in &calls {
        match call.name.as_str() {
            "setresuid" | "setresgid" | "setgroups" | "capset" => threads.entry(call.thread).or_default().push(call),
            // The killed process is the fork that has answered, or a yardstick; nobody signals a thread.
            "kill" => assert!(call.rest.contains("SIGKILL"), "{} {}", call.name, call.rest),
            other => panic!("{other}({}", call.rest),
        }
        assert!(!call.rest.contains("SIGRT_1") && !call.rest.contains("SIGRTMIN"), "{}({}", call.name, call.rest);
    }
    // The main thread, two pools, one of one's own, and the process that dropped for good.
    assert!(threads.len() > 15, "{} threads", threads.len());
    let (mut balanced, mut dropped) = (0, 0);
    for (thread, calls) in &threads {
        let last = |name: &str| calls.iter().rev().find(|call| call.name == name).map(|call| call.rest.as_str());
        let (users, groups) = (last("setresuid").unwrap_or_default(), last("setresgid").unwrap_or_default());
        // The drop ends with its attempts to come back, all refused.
        if calls.iter().any(|call| call.name == "setresuid" && call.rest.starts_with("61001, 61001, 61001)")) {
            assert!(calls.iter().rev().take(3).all(|call| call.rest.contains("EPERM")), "thread {thread}");
            dropped += 1;
            continue;
        }
        assert!(users.starts_with("0, 0, 0)") && groups.starts_with("0, 0, 0)"), "thread {thread}: {users} {groups}");
        assert!(calls.iter().all(|call| call.rest.trim_end().ends_with("= 0")), "thread {thread}");
        // Into a client, and out of it or on to the next one: every time the user id was a client's it is followed.
        let entered = calls.iter().filter(|call| call.name == "setresuid" && call.rest.starts_with("65520, ")).count();
        let left = calls.iter().filter(|call| call.name == "setresuid" && !call.rest.starts_with("65520, ")).count();
        assert_eq!(entered, left, "thread {thread}");
        balanced += 1;
    }
    assert_eq!(dropped, 1);
    println!("{} credential calls on {balanced} threads, balanced; one process dropped for good", calls.len());
}

/// The calls that change an identity are named in one module of the crate, and in the drop for good.
fn only_one_module_changes_identities() {
    const CHANGES: [&str; 8] = [
        "set_thread_res_uid",
        "set_thread_res_gid",
        "set_thread_uid",
        "set_thread_gid",
        "set_thread_groups",
        "thread::set_capabilities",
        "SYS_setres",
        "SYS_setgroups",
    ];
    fn look(directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                if CHANGES.iter().any(|change| text.contains(change)) {
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(crates).unwrap() {
        let source = entry.unwrap().path().join("src");
        if source.is_dir() {
            look(&source, &mut found);
        }
    }
    found.retain(|path| !path.contains("/vicar-os/src/switch/") && !path.contains("/vicar-bench/"));
    assert!(found.is_empty(), "identities are changed in {found:?}");
}

/// CVE-2023-41914 (Slurm): nothing is given to its owner afterwards; the other half of
/// [`v39_objects_are_born_with_their_owner`](crate::files::v39_objects_are_born_with_their_owner).
pub(crate) fn v39_nothing_is_given_away_afterwards() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    let Some(calls) = trace("chown,fchown,lchown,fchownat") else { return };
    // The test's own file is given away while it is still root.
    let later: Vec<&str> =
        calls.iter().map(|call| call.rest.as_str()).filter(|rest| !rest.contains("/open\"")).collect();
    assert!(later.is_empty(), "{later:?}");
}

/// CVE-2015-8709: root enters a namespace of the client's, and is traced there.
pub(crate) fn v43_no_namespace_is_entered() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    let Some(calls) = trace("setns,unshare") else { return };
    assert!(calls.len() > 15);
    for call in calls {
        assert!(call.name == "unshare" && call.rest.starts_with("CLONE_FS)"), "{}({}", call.name, call.rest);
    }
}
