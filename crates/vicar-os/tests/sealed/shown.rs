//! What the kernel shows of a worker, and what it refuses.

use crate::ends::{ends, process};
use crate::later::attack_later;
use crate::scratch::identity;
use crate::world::{World, plan};
use std::sync::Arc;
use vicar_os::sealed::{Limits, Plan, Purpose, Seal};

const NONE: &str = "0000000000000000";

fn line(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or("missing");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn a_worker_is_its_client_and_nothing_else() {
    let world = World::new(|_| {});
    let many: Vec<u32> = (61_300..61_900).collect();
    for (uid, groups) in [(61_001, &[][..]), (61_002, &[61_300, 61_301]), (61_003, &many)] {
        let client = world.client(&identity(uid, groups));
        for purpose in [Purpose::Files, Purpose::Execute] {
            let seen = world.text(&client, &plan(purpose), "status", b"");
            assert_eq!(line(&seen, "Uid"), format!("{uid} {uid} {uid} {uid}"));
            assert_eq!(line(&seen, "Gid"), format!("{uid} {uid} {uid} {uid}"));
            let mut expected: Vec<u32> = groups.iter().copied().chain([uid]).collect();
            expected.sort_unstable();
            let expected: Vec<String> = expected.iter().map(u32::to_string).collect();
            assert_eq!(line(&seen, "Groups"), expected.join(" "));
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(line(&seen, set), NONE, "{set}");
            }
            assert_eq!(line(&seen, "NoNewPrivs"), "1");
            assert_eq!(line(&seen, "Seccomp"), "2");
            assert_eq!(line(&seen, "Threads"), "1");
            assert_eq!(line(&seen, "CoreDumping"), "0");
        }
    }
    // Who looks from outside sees the same, of the purpose that opens nothing.
    let client = world.client(&identity(61_001, &[61_300]));
    let parser = plan(Purpose::Parse);
    let pid = u32::from_le_bytes(world.job(&client, &parser, "pid", b"").unwrap().bytes.try_into().unwrap());
    let seen = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert_eq!((line(&seen, "Uid"), line(&seen, "CapPrm")), ("61001 61001 61001 61001".into(), NONE.into()));
    assert_eq!((line(&seen, "Seccomp"), line(&seen, "Groups")), ("2".into(), "61001 61300".into()));
    assert_eq!(world.text(&client, &parser, "status", b""), "Operation not permitted (os error 1)");
}

pub(crate) fn a_purpose_allows_what_it_says() {
    let world = World::new(|_| {});
    let client = world.client(&identity(61_001, &[]));
    let said = |purpose| world.text(&client, &plan(purpose), "calls", b"");
    let (parse, files, execute) = (said(Purpose::Parse), said(Purpose::Files), said(Purpose::Execute));
    println!("{parse}\n{files}\n{execute}");
    let is = |text: &str, name: &str, expected: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        assert_eq!(found, Some(expected), "{name}\n{text}");
    };
    for text in [&parse, &files] {
        ["memory", "time"].iter().for_each(|name| is(text, name, "ok"));
        for name in [
            "thread",
            "program",
            "socket",
            "unix",
            "setuid",
            "setgroups",
            "kill",
            "chroot",
            "prctl",
            "namespace",
            "session",
        ] {
            is(text, name, "1");
        }
    }
    is(&parse, "open", "1");
    is(&files, "open", "ok");
    for name in ["memory", "time", "thread", "program", "open", "socket", "unix", "kill", "prctl"] {
        is(&execute, name, "ok");
    }
    for name in ["setuid", "setgroups", "kill all", "chroot", "namespace"] {
        is(&execute, name, "1");
    }
}

/// Another process of the same user, sealed by nobody: it may not look, write or trace. What is left is to end the worker or
/// to make it slow, which hurts that user alone.
pub(crate) fn the_client_cannot_touch_its_worker() {
    const OF_THE_SAME_USER: [&str; 10] = [
        "tgkill",
        "tkill",
        "kill",
        "rt_tgsigqueueinfo",
        "pidfd_send_signal",
        "prlimit64",
        "ioprio_set",
        "setpriority",
        "sched_setaffinity",
        "sched_setscheduler",
    ];
    let Some(attacker) = attack_later(61_001, "all") else { return };
    let Some(stranger) = attack_later(61_002, "all") else { return };
    let world = World::new(|_| {});
    let (alice, bob) = (world.client(&identity(61_001, &[])), world.client(&identity(61_002, &[])));
    let (parse, execute) = (plan(Purpose::Parse), plan(Purpose::Execute));
    let pid_of =
        |client, plan| u32::from_le_bytes(world.job(client, plan, "pid", b"").unwrap().bytes.try_into().unwrap());
    let mut worker = world.workers.take(&alice, &parse).unwrap();
    let echo = world.workers.sealer().job("echo").unwrap();
    let pid = world.workers.sealer().job("pid").unwrap();
    let pid = worker.call(pid, b"", &[], vicar_os::sealed::Accept::bytes(4)).unwrap().bytes;
    let pid = u32::from_le_bytes(pid.try_into().unwrap());
    let (mut attack, mut strangers) = (attacker.begin(pid), stranger.begin(pid));
    let begun = std::time::Instant::now();
    while !attack.has_been_round(50) || !strangers.has_been_round(50) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(120), "nobody attacks");
        worker.call(echo, b"x", &[], vicar_os::sealed::Accept::bytes(1)).unwrap();
    }
    let report = attack.end();
    println!("{} attempts in {} rounds, possible: {:?}", report.tries, report.rounds, report.won);
    assert!(report.tries > 1000, "{} attempts", report.tries);
    let beyond: Vec<_> = report.won.iter().filter(|what| !OF_THE_SAME_USER.contains(&what.as_str())).collect();
    assert!(beyond.is_empty(), "the client could {beyond:?}");
    strangers.end().all_refused();
    // From a sealed program of the same user, and of another.
    let bobs = pid_of(&bob, &parse);
    let killed = process(pid);
    let script = format!("kill -9 {bobs} 2> /dev/null || echo refused; kill -9 {pid} && echo ended");
    assert_eq!(world.text(&alice, &execute, "shell", script.as_bytes()), "refused\nended\n");
    // A signal is on its way when kill returns: a request that is sent before it arrives would be lost with the worker.
    ends(&killed);
    drop(worker);
    // The next request gets a new worker; the other client's is there.
    assert_ne!(pid_of(&alice, &parse), pid);
    assert_eq!(pid_of(&bob, &parse), bobs);
}

pub(crate) fn a_program_of_a_worker_is_sealed() {
    let world = World::new(|_| {});
    let client = world.client(&identity(61_001, &[61_300]));
    let seen = world.text(&client, &plan(Purpose::Execute), "shell", b"cat /proc/self/status; ls /proc/self/fd");
    assert_eq!(line(&seen, "Uid"), "61001 61001 61001 61001");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(line(&seen, set), NONE, "{set}");
    }
    assert_eq!((line(&seen, "NoNewPrivs"), line(&seen, "Seccomp")), ("1".into(), "2".into()));
    // 3 is the directory that ls has open: the worker's socket is not there.
    assert!(seen.ends_with("\n0\n1\n2\n3\n"), "{seen}");
    let sealed = Seal::new(Purpose::Execute).with_limits(Limits::WORKER.memory(3 << 30));
    let seen = world.text(&client, &Arc::new(Plan::new(sealed)), "shell", b"ulimit -v -n -c");
    assert!(seen.contains("3145728") || seen.contains('0'), "{seen}");
}

pub(crate) fn the_sealer_keeps_four_capabilities() {
    let world = World::new(|_| {});
    let seen = std::fs::read_to_string(format!("/proc/{}/status", world.workers.sealer().pid())).unwrap();
    // KILL, SETGID, SETUID, SETPCAP: bits 5 to 8.
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(line(&seen, set), "00000000000001e0", "{set}");
    }
    assert_eq!((line(&seen, "CapInh"), line(&seen, "CapAmb")), (NONE.into(), NONE.into()));
    assert_eq!((line(&seen, "NoNewPrivs"), line(&seen, "Threads")), ("1".into(), "1".into()));
}
