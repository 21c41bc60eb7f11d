//! Each credential call made to fail, or to lie, by the kernel's side of it, at each position, from start-up to the end.

use crate::road::{Act, ROADS};
use crate::scratch::{Scratch, client};
use crate::world::status;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use vicar_os::fs::BeneathPath;
use vicar_os::ring::{FilesOptions, OpenFor};
use vicar_os::sealed::{
    Accept, Job, JobAnswer, JobRequest, Limits, Plan, Purpose, Seal, SealedWorkers, Sealer, SealerOptions,
    WorkerOptions,
};
use vicar_os::{ClientContext, ClientThreadOptions, Server, StartOptions, Starting};

/// Set in the process that runs under strace.
const INNER: &str = "VICAR_TEST_INJECTED";

/// strace counts for each thread: the first thirteen or so calls hit the self-test, whose failure leaves a server without
/// power, and the rest hit every road.
const POSITIONS: std::ops::RangeInclusive<u32> = 1..=40;

/// Enough for every thread to make as many calls.
const ROUNDS: usize = 12;

/// What became of the processes.
#[derive(Default)]
struct Ends {
    whole: u32,
    aborted: u32,
}

/// Runs [`body`] while strace tampers with `call`.
fn tampered(call: &str, what: &str, ends: &mut Ends) {
    let inject = format!("inject={call}:{what}");
    let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("strace").args(strace).arg(exe).env(INNER, "1").output().unwrap();
    if output.status.success() {
        ends.whole += 1;
        return;
    }
    // The allowed death: a thread that cannot get back, or is not what it should be.
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{call} {what}: {text}");
    let known = ["cannot leave", "cannot become anonymous", "cannot undo", "is not what it should be"];
    assert!(known.iter().any(|why| text.contains(&format!("vicar: {why}")) || text.contains(why)), "{text}");
    ends.aborted += 1;
}

fn without_strace() -> bool {
    let missing = Command::new("strace").arg("-V").output().is_err();
    if missing {
        eprintln!("skipped: strace is not installed");
    }
    missing
}

/// CVE-2006-2607 (cron), CVE-2006-4447 (X.Org), CVE-2006-6008 (ftpd): the result of a change of identity ignored.
pub(crate) fn v08_a_failing_call_at_any_position_fails_closed() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    if without_strace() {
        return;
    }
    for (call, error) in
        [("setgroups", "ENOMEM"), ("setresgid", "EAGAIN"), ("setresuid", "EAGAIN"), ("capset", "EPERM")]
    {
        let mut ends = Ends::default();
        for position in POSITIONS.filter(|position| *position < 18 || position % 4 == 0) {
            tampered(call, &format!("error={error}:when={position}"), &mut ends);
        }
        println!("{call}: {} runs without a wrong answer, {} ended the process", ends.whole, ends.aborted);
        assert!(ends.whole > 0 && (ends.aborted > 5 || call == "capset"));
    }
}

/// wsgidav: an exception between the steps left half an identity. Here a step claims success and does nothing.
pub(crate) fn v31_a_step_that_did_nothing_is_found_out() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    if without_strace() {
        return;
    }
    for call in ["setgroups", "setresgid", "setresuid"] {
        let mut ends = Ends::default();
        for position in POSITIONS.step_by(4) {
            tampered(call, &format!("retval=0:when={position}"), &mut ends);
        }
        println!("{call}: {} runs without a wrong answer, {} ended the process", ends.whole, ends.aborted);
        assert!(ends.whole > 0);
    }
}

/// NFS-Ganesha: the failure was logged, and the thread went on as root. Here nothing succeeds any more from some call on.
pub(crate) fn v32_nothing_goes_on_as_the_server() {
    if std::env::var_os(INNER).is_some() {
        return body();
    }
    if without_strace() {
        return;
    }
    for call in ["setgroups", "setresgid", "setresuid"] {
        let mut ends = Ends::default();
        for position in [1, 5, 12, 13, 14, 15, 16, 18, 21, 26] {
            tampered(call, &format!("error=ENOMEM:when={position}+"), &mut ends);
        }
        println!("{call}: {} runs without a wrong answer, {} ended the process", ends.whole, ends.aborted);
        assert!(ends.whole + ends.aborted == 10 && ends.aborted > 0);
    }
}

/// Acts as two clients by every road. Every answer is either the client's, or an error with nothing done.
fn body() {
    let scratch = Scratch::new();
    for uid in [61_001, 61_002] {
        scratch.file(&uid.to_string(), 0o600, uid, uid);
    }
    // A start-up that fails has served nobody.
    let Ok((server, sealer)) = std::panic::catch_unwind(|| {
        let mut starting = Starting::begin(StartOptions::default()).unwrap();
        let sealer = starting.fork_sealer(SealerOptions::default(), JOBS).ok();
        (starting.finish().unwrap(), sealer)
    }) else {
        return;
    };
    let before = server_state();
    let people = [(61_001, client(&server, 61_001, &[61_300])), (61_002, client(&server, 61_002, &[61_301, 61_302]))];
    for road in ROADS {
        let start = road.start;
        let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| start(&server)));
        let Ok(act) = started else { continue };
        let act: Act = act;
        for _ in 0..ROUNDS {
            for (uid, who) in &people {
                let (uid, path) = (*uid, scratch.path(&uid.to_string()));
                let job = move || {
                    let fields = [status("Uid"), status("Gid"), status("CapEff")];
                    let effective = |line: &str| line.split(' ').nth(1) == Some(uid.to_string().as_str());
                    let is_client = effective(&fields[0]) && effective(&fields[1]);
                    if !is_client || fields[2] != "0000000000000000" {
                        wrong(&format!("ran as {fields:?} for {uid}"));
                    }
                    let groups = status("Groups");
                    if groups != if uid == 61_001 { "61001 61300" } else { "61002 61301 61302" } {
                        wrong(&format!("ran with {groups} for {uid}"));
                    }
                    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
                };
                match act(who, Box::new(job)) {
                    Ok(content) => assert_eq!(content, uid.to_string()),
                    Err(refused) => assert!(is_a_refusal(&refused), "{refused}"),
                }
                if server_state() != before {
                    wrong(&format!("the server is {:?}", server_state()));
                }
            }
        }
    }
    by_files(&server, &people, &scratch);
    if let Some(sealer) = sealer {
        by_a_worker(&server, sealer, &people, &scratch);
    }
}

/// The same by calls of `Files`: by a ring, whose captures make the same calls on threads of their own.
fn by_files(server: &Server, people: &[(u32, ClientContext)], scratch: &Scratch) {
    let before = server_state();
    for _ in 0..2 {
        let options = FilesOptions {
            threads: ClientThreadOptions { threads: 1, ..ClientThreadOptions::default() },
            ..FilesOptions::default()
        };
        let Ok(files) = server.files(&options) else { continue };
        for (uid, who) in people.iter().chain(people) {
            let Ok(Ok(home)) = files.blocking().root(who, &scratch.path("")) else { continue };
            for (owner, _) in people {
                let path = BeneathPath::parse(owner.to_string().as_bytes()).unwrap();
                let opened = files.blocking().open_file(who, &home, &path, OpenFor::Reading);
                if owner != uid && matches!(opened, Ok(Ok(_))) {
                    wrong(&format!("{uid} opened what is {owner}'s"));
                }
                let Ok(Ok(content)) = opened else { continue };
                if let Ok(Ok(bytes)) = files.blocking().read(who, &content, 0, 64) {
                    assert_eq!(bytes, uid.to_string().as_bytes());
                }
            }
            if server_state() != before {
                wrong(&format!("the server is {:?}", server_state()));
            }
        }
    }
}

const JOBS: &[Job] = &[Job { name: "who", run: who }];

/// In a worker: who this is, and what it reads.
fn who(request: JobRequest<'_>) -> JobAnswer {
    let ids = ["Uid", "Gid", "Groups", "CapEff", "CapPrm"].map(status).join("|");
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(request.bytes));
    format!("{ids}|{}", std::fs::read_to_string(path).unwrap_or_default()).into_bytes().into()
}

/// The same by sealed workers: each is the client, or is none.
fn by_a_worker(server: &Server, sealer: Sealer, people: &[(u32, ClientContext)], scratch: &Scratch) {
    let mut options = WorkerOptions::default();
    options.wait = std::time::Duration::from_millis(100);
    let workers = SealedWorkers::new(server, sealer, options);
    for round in 0..2 {
        // Another plan, another process.
        let seal = Seal::new(Purpose::Files).with_limits(Limits::WORKER.memory((256 + round) << 20));
        let plan = std::sync::Arc::new(Plan::new(seal));
        for (uid, who) in people {
            let Ok(mut worker) = workers.take(who, &plan) else { continue };
            let job = workers.sealer().job("who").unwrap();
            let path = scratch.path(&uid.to_string());
            let Ok(answer) = worker.call(job, path.as_os_str().as_bytes(), &[], Accept::bytes(4096)) else { continue };
            let groups = if *uid == 61_001 { "61001 61300" } else { "61002 61301 61302" };
            let (ids, none) = (format!("{uid} {uid} {uid} {uid}"), "0000000000000000");
            let expected = format!("{ids}|{ids}|{groups}|{none}|{none}|{uid}");
            if answer.bytes != expected.as_bytes() {
                wrong(&format!("a worker of {uid} is {}", String::from_utf8_lossy(&answer.bytes)));
            }
        }
    }
}

/// A wrong identity is never excused, whatever else happens to the thread.
fn wrong(what: &str) -> ! {
    eprintln!("WRONG: {what}");
    std::process::exit(99)
}

/// An error of the switch or of the gate, or a thread of one's own that could not be adopted.
fn is_a_refusal(text: &str) -> bool {
    ["setgroups", "setresgid", "setresuid", "capset", "credentials", "does not allow acting", "the thread has ended"]
        .iter()
        .any(|known| text.contains(known))
}

fn server_state() -> [String; 5] {
    ["Uid", "Gid", "Groups", "CapEff", "CapPrm"].map(status)
}
