//! What the system calls of a run over every road say.

use crate::road::ROADS;
use crate::scratch::{Scratch, client};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use vicar_os::fs::Name;
use vicar_os::ring::{FilesOptions, UseRing};
use vicar_os::sealed::{
    Accept, Job, JobAnswer, JobRequest, Plan, Purpose, Seal, SealedWorkers, Sealer, SealerOptions, WorkerOptions,
};
use vicar_os::switch::irrevocable;
use vicar_os::{ClientContext, Server, StartOptions, Starting};

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
    let mut starting = Starting::begin(StartOptions::default()).unwrap();
    let sealer = starting.fork_sealer(SealerOptions::default(), JOBS).unwrap();
    let server = starting.finish().unwrap();
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
    by_files(&server, &people, &scratch);
    by_a_worker(&server, sealer, &people, &scratch);
}

/// How many rings there were on which identities were captured.
const RINGS: usize = 3;

/// The calls of `Files`, with and without a ring.
fn by_files(server: &Server, people: &[ClientContext], scratch: &Scratch) {
    for use_ring in [UseRing::IfAvailable; RINGS].into_iter().chain([UseRing::Never]) {
        let files = server.files(&FilesOptions { use_ring, ..FilesOptions::default() }).unwrap();
        for who in people {
            let blocking = files.blocking();
            let home = blocking.root(who, &scratch.path("")).unwrap().unwrap();
            let name = |what: &str| Name::parse(format!("{what}-{}", who.identity().uid()).as_bytes()).unwrap();
            let made = blocking.create(who, &home, &name("by-files"), 0o600).unwrap().unwrap();
            blocking.write(who, &made, 0, b"x".to_vec()).unwrap().unwrap();
            blocking.unlink(who, &home, &name("by-files")).unwrap().unwrap();
            blocking.make_directory(who, &home, &name("directory"), 0o700).unwrap().unwrap();
            blocking.remove_directory(who, &home, &name("directory")).unwrap().unwrap();
        }
    }
}

const JOBS: &[Job] = &[Job { name: "write", run: write }];

/// In a worker.
fn write(request: JobRequest<'_>) -> JobAnswer {
    std::fs::write(Path::new(std::ffi::OsStr::from_bytes(request.bytes)), "x").unwrap();
    JobAnswer::default()
}

/// Sealed workers, which are made for the clients and end.
fn by_a_worker(server: &Server, sealer: Sealer, people: &[ClientContext], scratch: &Scratch) {
    let workers = SealedWorkers::new(server, sealer, WorkerOptions::default());
    let plan = std::sync::Arc::new(Plan::new(Seal::new(Purpose::Files)));
    for who in people {
        let mut worker = workers.take(who, &plan).unwrap();
        let path = scratch.path(&format!("by-worker-{}", who.identity().uid()));
        let job = workers.sealer().job("write").unwrap();
        worker.call(job, path.as_os_str().as_bytes(), &[], Accept::bytes(1)).unwrap();
    }
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
            // The killed process is the fork that has answered, a yardstick or a worker; nobody signals a thread.
            "kill" => assert!(call.rest.contains("SIGKILL"), "{} {}", call.name, call.rest),
            other => panic!("{other}({}", call.rest),
        }
        assert!(!call.rest.contains("SIGRT_1") && !call.rest.contains("SIGRTMIN"), "{}({}", call.name, call.rest);
    }
    // The main thread, pools, threads of one's own, captures, and the processes that dropped for good.
    assert!(threads.len() > 15, "{} threads", threads.len());
    let (mut balanced, mut dropped, mut captured, mut without) = (0, 0, 0, 0);
    for (thread, calls) in &threads {
        let last = |name: &str| calls.iter().rev().find(|call| call.name == name).map(|call| call.rest.as_str());
        let (users, groups) = (last("setresuid").unwrap_or_default(), last("setresgid").unwrap_or_default());
        // The sealer changes no identity, it gives up capabilities.
        if calls.iter().all(|call| call.name == "capset") {
            without += 1;
            continue;
        }
        // Who is a client for good, in a process or to be kept by a ring, tries to come back, and is refused every time.
        let for_good = |call: &&&Call| {
            call.name == "setresuid"
                && ["61001", "61002", "61003"].iter().any(|uid| {
                    let is = |kept: &str| call.rest.starts_with(&format!("{kept}, {uid}, {kept})"));
                    is(uid) || is("65520")
                })
        };
        if let Some(drop) = calls.iter().find(for_good) {
            let later = calls.iter().skip_while(|call| !std::ptr::eq(**call, *drop)).skip(1);
            let later: Vec<_> =
                later.filter(|call| call.name != "capset" && !call.rest.starts_with("-1, -1, -1)")).collect();
            assert!(later.len() >= 3 && later.iter().all(|call| call.rest.contains("EPERM")), "thread {thread}");
            let count = if drop.rest.starts_with("65520") { &mut captured } else { &mut dropped };
            *count += 1;
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
    // The one that was asked, and a sealed worker for each of three people.
    assert_eq!((dropped, without), (4, 1));
    let rings = if vicar_os::ring::survey().is_ok() { RINGS } else { 0 };
    assert_eq!(captured, 3 * rings, "each ring captured each of three people once");
    println!(
        "counted: {} credential calls on {balanced} threads, balanced; {dropped} processes and {captured} captures for good",
        calls.len()
    );
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
