//! Limits, crashes, bounds in number, and who dies with whom.

use crate::scratch::identity;
use crate::world::{World, options, plan};
use rustix::process::{Pid, PidfdFlags};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use vicar_os::fs::BeneathPath;
use vicar_os::sealed::{Accept, FileAnswer, FileRequest, Limits, Plan, Purpose, Seal, SealedError};
use vicar_os::{EnterError, Misuse};

/// Set in the process that is killed while it has workers.
pub(crate) const DOOMED: &str = "VICAR_TEST_DOOMED";

fn pid_of(world: &World, client: &vicar_os::ClientContext, plan: &Arc<Plan>) -> u32 {
    u32::from_le_bytes(world.job(client, plan, "pid", b"").unwrap().bytes.try_into().unwrap())
}

pub(crate) fn process(pid: u32) -> OwnedFd {
    rustix::process::pidfd_open(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), PidfdFlags::empty()).unwrap()
}

/// Waits until a process has ended.
pub(crate) fn ends(process: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)), Ok(1), "the process did not end");
}

pub(crate) fn memory_and_time_are_limited() {
    let mut options = options();
    options.call_limit = Duration::from_secs(3);
    let world = World::with(options, |_| {});
    let client = world.client(&identity(61_001, &[]));
    // On a busy machine an honest job may take as long, too.
    let patiently =
        |plan: &Arc<Plan>, name: &str| (0..40).find_map(|_| world.job(&client, plan, name, b"").ok()).unwrap().bytes;
    let limited = |limits| Arc::new(Plan::new(Seal::new(Purpose::Parse).with_limits(limits)));
    let small = limited(Limits::WORKER.memory(256 << 20));
    let taken = u64::from_le_bytes(patiently(&small, "hoard").try_into().unwrap());
    assert!(taken < 256 << 20, "{taken}");
    let endless = plan(Purpose::Parse);
    let spinning = process(u32::from_le_bytes(patiently(&endless, "pid").try_into().unwrap()));
    assert_eq!(world.job(&client, &endless, "spin", b"").err(), Some(SealedError::TimedOut));
    ends(&spinning);
}

pub(crate) fn a_crash_is_an_error_of_one_request() {
    let world = World::new(|_| {});
    let (alice, bob) = (world.client(&identity(61_001, &[])), world.client(&identity(61_002, &[])));
    let parse = plan(Purpose::Parse);
    let others = pid_of(&world, &bob, &parse);
    for name in ["panic", "abort", "panic", "abort"] {
        let before = process(pid_of(&world, &alice, &parse));
        assert_eq!(world.job(&alice, &parse, name, b"").err(), Some(SealedError::Crashed), "{name}");
        ends(&before);
        assert_eq!(world.text(&alice, &parse, "echo", b"again"), "again");
    }
    // Processor time is a limit of its own: the kernel ends the worker.
    let second = Seal::new(Purpose::Parse).with_limits(Limits::NONE.processor(Duration::from_secs(1)));
    assert_eq!(world.job(&alice, &Arc::new(Plan::new(second)), "spin", b"").err(), Some(SealedError::Crashed));
    assert_eq!(pid_of(&world, &bob, &parse), others);
}

pub(crate) fn workers_are_bounded_and_taken_again() {
    let mut options = options();
    (options.workers, options.per_user) = (3, 2);
    // How long one waits who gets nothing; who is to get something asks as often as it takes.
    options.wait = Duration::from_millis(50);
    let world = World::with(options, |_| {});
    let people = [61_001, 61_002, 61_003].map(|uid| world.client(&identity(uid, &[])));
    let parse = plan(Purpose::Parse);
    let take = |who: usize| world.workers.take(&people[who], &parse);
    let (first, second) = (take(0).unwrap(), take(0).unwrap());
    assert_eq!(take(0).err(), Some(SealedError::Busy), "more than the user may have");
    // The same user, signed in once more.
    let again = world.client(&identity(61_001, &[]));
    assert_eq!(world.workers.take(&again, &parse).err(), Some(SealedError::Busy));
    let third = take(1).unwrap();
    assert_eq!(take(2).err(), Some(SealedError::Busy), "more than there may be");
    drop(first);
    // Whoever rests makes room.
    let patiently = |who: usize| (0..1_200).find_map(|_| take(who).ok()).unwrap();
    let mut fourth = patiently(2);
    let echo = world.workers.sealer().job("echo").unwrap();
    fourth.call(echo, b"x", &[], Accept::bytes(1)).unwrap();
    drop((second, third, fourth));
    let pid_of = |client: &_, plan: &Arc<Plan>| {
        let mut worker = (0..1_200).find_map(|_| world.workers.take(client, plan).ok()).unwrap();
        let pid = world.workers.sealer().job("pid").unwrap();
        u32::from_le_bytes(worker.call(pid, b"", &[], Accept::bytes(4)).unwrap().bytes.try_into().unwrap())
    };
    let before = pid_of(&people[2], &parse);
    assert_eq!(pid_of(&people[2], &parse), before, "a worker at rest is taken again");
    let other = Arc::new(Plan::new(Seal::new(Purpose::Parse).with_limits(Limits::WORKER)));
    assert_ne!(pid_of(&people[2], &other), before, "by another plan it is another");
    assert_ne!(pid_of(&world.client(&identity(61_003, &[])), &parse), before, "and for another logon");
    // One that waits gets what is given back.
    let held = [patiently(0), patiently(0)];
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (0..1000).find_map(|_| take(0).ok()).is_some());
        drop(held);
        assert!(waiting.join().unwrap());
    });
}

pub(crate) fn an_idle_worker_ends_and_the_next_request_gets_another() {
    let mut options = options();
    options.idle = Duration::from_millis(100);
    let world = World::with(options, |_| {});
    let client = world.client(&identity(61_001, &[]));
    let parse = plan(Purpose::Parse);
    let pid = world.workers.sealer().job("pid").unwrap();
    // Held while it is looked up; one that went to rest for good before it was asked is asked no more.
    let worker = std::iter::repeat_with(|| {
        let mut worker = world.workers.take(&client, &parse).unwrap();
        let answer = worker.call(pid, b"", &[], Accept::bytes(4)).ok()?;
        Some(process(u32::from_le_bytes(answer.bytes.try_into().unwrap())))
    });
    ends(&worker.take(1_000).find_map(|worker| worker).unwrap());
    for _ in 0..20 {
        assert_eq!(world.text(&client, &parse, "echo", b"x"), "x");
    }
}

/// One that ends between being taken and being asked is replaced, once; what was begun is not asked again.
pub(crate) fn a_worker_that_ended_before_it_was_asked_is_replaced() {
    let world = World::new(|scratch| std::fs::create_dir(scratch.path("d")).unwrap());
    let (alice, dir) = (world.client(&identity(61_001, &[])), world.dir());
    let files = Arc::new(Plan::new(Seal::new(Purpose::Files)).at(dir));
    let pid = world.workers.sealer().job("pid").unwrap();
    let abort = world.workers.sealer().job("abort").unwrap();
    let number = |worker: &mut vicar_os::sealed::Worker| {
        let bytes = worker.call(pid, b"", &[], Accept::bytes(4)).unwrap().bytes;
        u32::from_le_bytes(bytes.try_into().unwrap())
    };
    let kill = |pid: u32| {
        let worker = process(pid);
        // As its own user: the server has no CAP_KILL.
        let killed =
            world.server.run_as(&alice, |_| rustix::process::pidfd_send_signal(&worker, rustix::process::Signal::KILL));
        assert_eq!(killed.unwrap(), Ok(()));
        ends(&worker);
    };
    let mut worker = world.workers.take(&alice, &files).unwrap();
    let first = number(&mut worker);
    kill(first);
    let second = number(&mut worker);
    assert_ne!(second, first);
    kill(second);
    let stat = FileRequest::Stat { path: BeneathPath::parse(b"d").unwrap() };
    assert!(matches!(worker.files(&[stat]).unwrap()[..], [Ok(FileAnswer::Seen(_))]));
    let third = number(&mut worker);
    assert_ne!(third, second);
    // It ends at work: nobody does it a second time.
    assert_eq!(worker.call(abort, b"", &[], Accept::bytes(0)).err(), Some(SealedError::Crashed));
    assert_eq!(worker.call(pid, b"", &[], Accept::bytes(4)).err(), Some(SealedError::Crashed));
    // Nor is anybody asked for a client that the server may not act as any more.
    let mut worker = world.workers.take(&alice, &files).unwrap();
    kill(number(&mut worker));
    world.server.give_up_impersonation();
    match worker.call(pid, b"", &[], Accept::bytes(4)).err() {
        Some(SealedError::Enter(EnterError::BelowImpersonation { .. })) => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) fn a_revoked_client_has_no_worker_any_more() {
    let world = World::new(|_| {});
    let (alice, bob) = (world.client(&identity(61_001, &[])), world.client(&identity(61_002, &[])));
    let parse = plan(Purpose::Parse);
    let worker = process(pid_of(&world, &alice, &parse));
    let mut held = world.workers.take(&alice, &parse).unwrap();
    let echo = world.workers.sealer().job("echo").unwrap();
    held.call(echo, b"", &[], Accept::bytes(0)).unwrap();
    alice.revoke();
    let revoked = Some(SealedError::Enter(EnterError::Revoked));
    assert_eq!(held.call(echo, b"", &[], Accept::bytes(0)).err(), revoked);
    ends(&worker);
    assert_eq!(world.workers.take(&alice, &parse).err(), revoked);
    // One that is given back is not kept for a client who was revoked meanwhile.
    let worker = process(pid_of(&world, &bob, &parse));
    let held = world.workers.take(&bob, &parse).unwrap();
    bob.revoke();
    drop(held);
    ends(&worker);
}

pub(crate) fn the_gate_is_asked() {
    let world = World::new(|_| {});
    let client = world.client(&identity(61_001, &[]));
    let parse = plan(Purpose::Parse);
    let pid = pid_of(&world, &client, &parse);
    assert_eq!(pid_of(&world, &client, &parse), pid);
    let inside = world.server.run_as(&client, |_| world.workers.take(&client, &parse).map(drop)).unwrap();
    let nested = EnterError::Misuse(Misuse::AlreadyImpersonating);
    assert_eq!(inside, Err(SealedError::Enter(nested)));
    world.server.give_up_impersonation();
    // A worker that is there already is of no use either.
    match world.workers.take(&client, &parse).err() {
        Some(SealedError::Enter(EnterError::BelowImpersonation { .. })) => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) fn without_the_sealer_all_workers_end() {
    let world = World::new(|_| {});
    let (alice, bob) = (world.client(&identity(61_001, &[])), world.client(&identity(61_002, &[])));
    let (parse, execute) = (plan(Purpose::Parse), plan(Purpose::Execute));
    let all =
        [pid_of(&world, &alice, &parse), pid_of(&world, &bob, &parse), pid_of(&world, &bob, &execute)].map(process);
    let mut held = world.workers.take(&alice, &parse).unwrap();
    let sealer = process(world.workers.sealer().pid());
    // The server holds no CAP_KILL, and needs none: the sealer is of its own user.
    rustix::process::pidfd_send_signal(&sealer, rustix::process::Signal::KILL).unwrap();
    all.iter().for_each(ends);
    let echo = world.workers.sealer().job("echo").unwrap();
    assert_eq!(held.call(echo, b"", &[], Accept::bytes(0)).err(), Some(SealedError::Dead));
    assert_eq!(world.workers.take(&bob, &parse).err(), Some(SealedError::Dead));
    assert!(!world.workers.sealer().is_alive());
}

/// Has three workers, one of which has started a program, says their numbers, and waits.
pub(crate) fn be_doomed() {
    let world = World::new(|_| {});
    let (alice, bob) = (world.client(&identity(61_001, &[])), world.client(&identity(61_002, &[])));
    let (parse, execute) = (plan(Purpose::Parse), plan(Purpose::Execute));
    let script = b"(setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!)";
    let left = world.text(&bob, &execute, "shell", script);
    let numbers = [pid_of(&world, &alice, &parse), pid_of(&world, &bob, &execute), world.workers.sealer().pid()]
        .map(|pid| pid.to_string());
    println!("{} {}", numbers.join(" "), left.trim());
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}

pub(crate) fn without_the_server_everything_ends() {
    use std::io::{BufRead as _, BufReader};
    let mut doomed = Command::new(std::env::current_exe().unwrap())
        .env(DOOMED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(doomed.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let all: Vec<OwnedFd> = line.split_whitespace().map(|pid| process(pid.parse().unwrap())).collect();
    assert_eq!(all.len(), 4, "{line}");
    doomed.kill().unwrap();
    doomed.wait().unwrap();
    all.iter().for_each(ends);
}

pub(crate) fn what_a_worker_leaves_behind_ends() {
    let world = World::new(|_| {});
    let client = world.client(&identity(61_001, &[]));
    let execute = plan(Purpose::Execute);
    let script = b"(setsid sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!); (setsid sh -c 'sleep 1000 & sleep 1000' < /dev/null > /dev/null 2>&1 & echo $!)";
    let left = world.text(&client, &execute, "shell", script);
    let left: Vec<OwnedFd> = left.split_whitespace().map(|pid| process(pid.parse().unwrap())).collect();
    assert_eq!(left.len(), 2);
    let worker = process(pid_of(&world, &client, &execute));
    assert_eq!(world.job(&client, &execute, "abort", b"").err(), Some(SealedError::Crashed));
    ends(&worker);
    left.iter().for_each(ends);
}

/// A program that makes more and more of itself, and one that is always another: both end with their worker.
pub(crate) fn a_fork_bomb_is_bounded_and_ends() {
    const MOST: u64 = 24;
    let world = World::new(|_| {});
    let client = world.client(&identity(61_951, &[]));
    let limits = Limits::NONE.tasks(MOST);
    let bounded = Arc::new(Plan::new(Seal::new(Purpose::Execute).with_limits(limits)));
    // The shell that cannot fork any more says so and goes on with what follows.
    let bomb =
        b"b() { sleep 1000 & b; }; (setsid sh -c 'while :; do sleep 1000 & done' < /dev/null > /dev/null 2>&1 &); \
        i=0; while [ $i -lt 100 ]; do sleep 1000 < /dev/null > /dev/null 2>&1 & i=$((i + 1)); done";
    let rabbit = b"setsid sh -c 'r() { r & exit; }; r' < /dev/null > /dev/null 2>&1 & echo";
    let tasks = || {
        let is_alices = |entry: std::io::Result<std::fs::DirEntry>| {
            let status = std::fs::read_to_string(entry.unwrap().path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("Uid:\t61951\t")) && !status.contains("State:\tZ")
        };
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| is_alices(entry).then_some(())).count()
    };
    for script in [&bomb[..], rabbit] {
        let worker = process(pid_of(&world, &client, &bounded));
        // What is said depends on which process was refused first.
        let _ = world.job(&client, &bounded, "shell", script);
        assert!(tasks() <= usize::try_from(MOST).unwrap(), "{}", tasks());
        let _ = world.job(&client, &bounded, "abort", b"");
        ends(&worker);
        // Whatever it left is found and killed, however often it has become another.
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while tasks() > 0 {
            assert!(std::time::Instant::now() < end, "{} are left", tasks());
            std::thread::yield_now();
        }
    }
    assert_eq!(world.text(&client, &bounded, "echo", b"again"), "again");
}

pub(crate) fn many_threads_use_many_workers() {
    let mut options = options();
    (options.workers, options.per_user) = (6, 3);
    let world = World::with(options, |_| {});
    let people = [61_001, 61_002, 61_003].map(|uid| world.client(&identity(uid, &[])));
    let parse = plan(Purpose::Parse);
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let (world, people, parse) = (&world, &people, &parse);
            scope.spawn(move || {
                for round in 0..60_usize {
                    let who = &people[(thread + round) % 3];
                    let text = format!("{thread} {round}");
                    if round % 17 == 5 {
                        assert_eq!(world.job(who, parse, "panic", b"").err(), Some(SealedError::Crashed));
                    } else {
                        assert_eq!(world.text(who, parse, "echo", text.as_bytes()), text);
                    }
                }
            });
        }
    });
}
