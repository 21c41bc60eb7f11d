//! Threads that are told by others whom to act as: real threads, real kernel ids.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
#[path = "../acting/scratch.rs"]
mod scratch;

use rustix::io::Errno;
use scratch::{Scratch, client, identity, server};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use vicar_os::{
    AsClient, ClientThread, DEFAULT_UMASK, EnterError, ImpersonationLevel, LogonKind, MailboxError, MailboxThread,
    Misuse, Qos, Reach, SafePoint, Server, ThreadHandle, Tracking,
};

fn main() -> ExitCode {
    alone::run(
        true,
        &[
            ("another_thread_takes_a_client_on_and_lets_go", another_thread_takes_a_client_on_and_lets_go),
            ("the_kernel_judges_the_thread_as_its_client", the_kernel_judges_the_thread_as_its_client),
            ("a_request_that_is_late_never_takes_effect", a_request_that_is_late_never_takes_effect),
            ("a_thread_that_ends_answers_everybody", a_thread_that_ends_answers_everybody),
            ("a_panic_ends_the_thread_and_answers_everybody", a_panic_ends_the_thread_and_answers_everybody),
            ("a_refusal_changes_nothing", a_refusal_changes_nothing),
            ("only_registered_threads_can_be_named", only_registered_threads_can_be_named),
            ("who_may_not_ask", who_may_not_ask),
            ("what_is_said_is_what_the_kernel_shows", what_is_said_is_what_the_kernel_shows),
            (
                "a_blocked_thread_is_interrupted_only_if_it_allows_it",
                a_blocked_thread_is_interrupted_only_if_it_allows_it,
            ),
            ("no_other_signal_reaches_an_interruptible_thread", no_other_signal_reaches_an_interruptible_thread),
        ],
    )
}

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

/// A line of another thread's status file, such as `Uid`.
fn status_of(handle: &ThreadHandle, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/self/task/{}/status", handle.task())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

const NOBODY: &str = "65520 65520 0 65520";
const ALICE: &str = "65520 61001 0 61001";

/// A registered thread that does what `body` says.
fn target(server: &Server, body: impl FnOnce(MailboxThread) + Send + 'static) -> (ThreadHandle, JoinHandle<()>) {
    let (tell, told) = channel();
    let server = server.clone();
    let thread = std::thread::spawn(move || {
        let thread = ClientThread::adopt(&server, DEFAULT_UMASK).unwrap().register().unwrap();
        tell.send(thread.handle()).unwrap();
        body(thread);
    });
    (told.recv().unwrap(), thread)
}

/// What a thread is to do at its next step; it does nothing else.
enum Step {
    SafePoint(Sender<SafePoint>),
    Run(Sender<Result<u32, EnterError>>),
    End,
}

fn stepping(server: &Server) -> (ThreadHandle, JoinHandle<()>, Sender<Step>) {
    let (give, steps): (Sender<Step>, Receiver<Step>) = channel();
    let (handle, thread) = target(server, move |mut thread| {
        loop {
            match steps.recv().unwrap() {
                Step::SafePoint(answer) => answer.send(thread.safe_point()).unwrap(),
                Step::Run(answer) => {
                    let ran = thread.run(|as_client| {
                        assert_eq!(as_client.shown().uid.raw(), rustix::process::geteuid().as_raw());
                        as_client.shown().uid.raw()
                    });
                    answer.send(ran).unwrap();
                }
                Step::End => return,
            }
        }
    });
    (handle, thread, give)
}

fn step<R>(give: &Sender<Step>, make: impl FnOnce(Sender<R>) -> Step) -> R {
    let (answer, answered) = channel();
    give.send(make(answer)).unwrap();
    answered.recv().unwrap()
}

/// A thread that waits for requests until it is told to act as 61009.
fn waiting(server: &Server) -> (ThreadHandle, JoinHandle<()>) {
    target(server, |mut thread| {
        loop {
            assert_eq!(thread.wait(None), SafePoint::Answered);
            if thread.assigned().is_some_and(|client| client.identity().uid().raw() == 61_009) {
                return;
            }
        }
    })
}

fn end(server: &Server, handle: &ThreadHandle, thread: JoinHandle<()>) {
    server.impersonate_on(handle, &client(server, 61_009, &[]), PATIENCE).unwrap();
    thread.join().unwrap();
}

fn another_thread_takes_a_client_on_and_lets_go() {
    let server = server();
    let (alice, bob) = (client(&server, 61_001, &[61_300, 61_301]), client(&server, 61_002, &[]));
    let balance = server.system().balance();
    let (handle, thread) = waiting(&server);
    assert_eq!([status_of(&handle, "Uid"), status_of(&handle, "Groups")], [NOBODY, "65520"]);
    let shown = server.impersonate_on(&handle, &alice, PATIENCE).unwrap();
    assert_eq!(shown.uid.raw(), 61_001);
    assert_eq!([status_of(&handle, "Uid"), status_of(&handle, "Groups")], [ALICE, "61001 61300 61301"]);
    assert_eq!([status_of(&handle, "CapEff"), status_of(&handle, "Gid")], ["0000000000000000", ALICE]);
    // Replaced without a stop in between, as NT does.
    server.impersonate_on(&handle, &bob, PATIENCE).unwrap();
    assert_eq!([status_of(&handle, "Uid"), status_of(&handle, "Groups")], ["65520 61002 0 61002", "61002"]);
    server.revert_on(&handle, PATIENCE).unwrap();
    assert_eq!([status_of(&handle, "Uid"), status_of(&handle, "Groups")], [NOBODY, "65520"]);
    assert_eq!(rustix::process::geteuid().as_raw(), 0);
    end(&server, &handle, thread);
    assert_eq!(server.system().balance(), balance);
}

fn the_kernel_judges_the_thread_as_its_client() {
    let scratch = Scratch::new();
    scratch.file("61001", 0o600, 61_001, 61_001);
    scratch.file("61002", 0o600, 61_002, 61_002);
    let (own, others) = (scratch.path("61001"), scratch.path("61002"));
    let server = server();
    let alice = client(&server, 61_001, &[]);
    let (tell, read) = channel::<()>();
    let (handle, thread) = target(&server, move |mut thread| {
        assert_eq!(thread.wait(None), SafePoint::Answered);
        let read = thread.run(|_| (std::fs::read(&own).unwrap(), std::fs::read(&others).unwrap_err().kind()));
        assert_eq!(read, Ok((b"61001".to_vec(), std::io::ErrorKind::PermissionDenied)));
        tell.send(()).unwrap();
        assert_eq!(thread.wait(None), SafePoint::Answered);
        // Nobody now, and not the server either.
        assert!(thread.assigned().is_none() && std::fs::read(&own).is_err());
    });
    server.impersonate_on(&handle, &alice, PATIENCE).unwrap();
    read.recv().unwrap();
    server.revert_on(&handle, PATIENCE).unwrap();
    thread.join().unwrap();
}

fn a_request_that_is_late_never_takes_effect() {
    let server = server();
    let (alice, bob) = (client(&server, 61_001, &[]), client(&server, 61_002, &[]));
    let (handle, thread, give) = stepping(&server);
    assert_eq!(server.impersonate_on(&handle, &alice, SHORT), Err(MailboxError::TimedOut));
    assert_eq!(server.impersonate_on(&handle, &alice, Duration::ZERO), Err(MailboxError::TimedOut));
    assert_eq!(step(&give, Step::SafePoint), SafePoint::Quiet);
    assert_eq!(step(&give, Step::Run), Err(EnterError::Misuse(Misuse::ActsForNobody)));
    assert_eq!(status_of(&handle, "Uid"), NOBODY);
    // The same for a thread that acts as somebody: it stays who it is.
    let asked = std::thread::scope(|scope| {
        let asker = scope.spawn(|| server.impersonate_on(&handle, &alice, PATIENCE));
        while step(&give, Step::SafePoint) == SafePoint::Quiet {}
        asker.join().unwrap()
    });
    assert_eq!(asked.unwrap().uid.raw(), 61_001);
    assert_eq!(server.impersonate_on(&handle, &bob, SHORT), Err(MailboxError::TimedOut));
    assert_eq!(server.revert_on(&handle, SHORT), Err(MailboxError::TimedOut));
    assert_eq!(step(&give, Step::Run), Ok(61_001));
    assert_eq!(status_of(&handle, "Uid"), ALICE);
    give.send(Step::End).unwrap();
    thread.join().unwrap();
}

fn a_thread_that_ends_answers_everybody() {
    let server = server();
    let alice = client(&server, 61_001, &[]);
    let (handle, thread, give) = stepping(&server);
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3).map(|_| scope.spawn(|| server.impersonate_on(&handle, &alice, PATIENCE))).collect();
        give.send(Step::End).unwrap();
        for asker in askers {
            assert_eq!(asker.join().unwrap(), Err(MailboxError::Ended));
        }
    });
    thread.join().unwrap();
    assert_eq!(server.impersonate_on(&handle, &alice, PATIENCE), Err(MailboxError::Ended));
    assert_eq!(server.revert_on(&handle, Duration::ZERO), Err(MailboxError::Ended));
    assert!(server.registered(handle.thread()).is_none());
}

fn a_panic_ends_the_thread_and_answers_everybody() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let server = server();
    let (alice, bob) = (client(&server, 61_001, &[]), client(&server, 61_002, &[]));
    let (go, gone) = channel::<()>();
    let (handle, thread) = target(&server, move |mut thread| {
        assert_eq!(thread.wait(None), SafePoint::Answered);
        gone.recv().unwrap();
        let ran: Result<(), _> = thread.run(|_| panic!("in the work"));
        unreachable!("{ran:?}");
    });
    server.impersonate_on(&handle, &alice, PATIENCE).unwrap();
    std::thread::scope(|scope| {
        // Whether it is posted before the thread's last safe point or after it: the answer is one of two, never none.
        let asker = scope.spawn(|| server.impersonate_on(&handle, &bob, PATIENCE));
        go.send(()).unwrap();
        let told = asker.join().unwrap().map(|shown| shown.uid.raw());
        assert!(told == Err(MailboxError::Ended) || told == Ok(61_002), "{told:?}");
    });
    assert!(thread.join().is_err());
    assert_eq!(server.revert_on(&handle, PATIENCE), Err(MailboxError::Ended));
}

fn a_refusal_changes_nothing() {
    let server = server();
    let alice = client(&server, 61_001, &[]);
    let qos = |level| Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    let known =
        server.logon_with(LogonKind::Network, &identity(61_002, &[]), qos(ImpersonationLevel::Identification)).unwrap();
    let (handle, thread) = waiting(&server);
    server.impersonate_on(&handle, &alice, PATIENCE).unwrap();
    let refused = server.impersonate_on(&handle, &known, PATIENCE).unwrap_err();
    let below = EnterError::BelowImpersonation { level: ImpersonationLevel::Identification, gate_step: None };
    assert_eq!(refused, MailboxError::Enter(below));
    assert_eq!(status_of(&handle, "Uid"), ALICE);
    end(&server, &handle, thread);

    // The gate is asked again before each piece of work.
    let (handle, thread, give) = stepping(&server);
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| server.impersonate_on(&handle, &alice, PATIENCE));
        while step(&give, Step::SafePoint) == SafePoint::Quiet {}
        asker.join().unwrap().unwrap();
    });
    assert_eq!(step(&give, Step::Run), Ok(61_001));
    server.give_up_impersonation();
    let refused = step(&give, Step::Run).unwrap_err();
    assert!(matches!(refused, EnterError::BelowImpersonation { gate_step: Some(_), .. }), "{refused}");
    assert_eq!(status_of(&handle, "Uid"), NOBODY);
    give.send(Step::End).unwrap();
    thread.join().unwrap();
}

fn only_registered_threads_can_be_named() {
    let server = server();
    assert!(server.registered(std::thread::current().id()).is_none());
    let (handle, thread) = waiting(&server);
    let found = server.registered(handle.thread()).unwrap();
    assert_eq!((found.task(), found.thread()), (handle.task(), handle.thread()));
    end(&server, &handle, thread);
    assert!(server.registered(handle.thread()).is_none());
    let plain = std::thread::spawn({
        let server = server.clone();
        move || {
            let thread = ClientThread::adopt(&server, DEFAULT_UMASK).unwrap();
            let found = server.registered(std::thread::current().id()).is_some();
            drop(thread);
            found
        }
    });
    assert!(!plain.join().unwrap());
}

fn who_may_not_ask() {
    let (server, other) = (server(), server());
    let alice = client(&server, 61_001, &[]);
    let (handle, thread) = waiting(&server);
    let misuse = |misuse| Err(MailboxError::Misuse(misuse));
    assert_eq!(other.impersonate_on(&handle, &alice, PATIENCE), misuse(Misuse::ForeignContext));
    assert_eq!(other.revert_on(&handle, PATIENCE), Err(MailboxError::Misuse(Misuse::ForeignThread)));
    // A closure that runs as a client has the client's rights, and no client may direct the server's threads.
    let inside = server.run_as(&alice, |_| server.impersonate_on(&handle, &alice, PATIENCE)).unwrap();
    assert_eq!(inside, misuse(Misuse::AlreadyImpersonating));
    assert_eq!(status_of(&handle, "Uid"), NOBODY);
    end(&server, &handle, thread);
    let own = server.clone();
    let (_, thread) = target(&server, move |thread| {
        let alice = client(&own, 61_001, &[]);
        assert_eq!(own.impersonate_on(&thread.handle(), &alice, PATIENCE), Err(MailboxError::OwnThread));
        let second = ClientThread::adopt(&own, DEFAULT_UMASK).map(|_| ());
        assert!(second.is_err(), "a client thread was adopted twice");
    });
    thread.join().unwrap();
}

/// Many callers, two targets, time limits from nothing to much: whoever is told yes sees it in the kernel, whoever is told no
/// never does.
fn what_is_said_is_what_the_kernel_shows() {
    const ROUNDS: u32 = 600;
    let server = server();
    let (handle, thread) = waiting(&server);
    let (mut yes, mut no) = (0_u32, 0_u32);
    for round in 0..ROUNDS {
        let uid = 61_010 + round % 3;
        let before = status_of(&handle, "Uid");
        let limit = if round % 4 == 1 { PATIENCE } else { Duration::from_nanos(u64::from(round % 40) * 2_000) };
        let told = server.impersonate_on(&handle, &client(&server, uid, &[61_300]), limit);
        let now = status_of(&handle, "Uid");
        match told {
            Ok(shown) => {
                yes += 1;
                assert_eq!(shown.uid.raw(), uid);
                assert_eq!(now, format!("65520 {uid} 0 {uid}"));
            }
            Err(MailboxError::TimedOut) => {
                no += 1;
                assert_eq!(now, before);
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!("{yes} took effect, {no} were withdrawn");
    assert!(yes > 0 && no > 0, "{yes} took effect, {no} were withdrawn");
    // Several callers at once: each is answered, and the last word is one of theirs.
    let told: Vec<_> = std::thread::scope(|scope| {
        let ask = |uid| {
            let (server, handle) = (&server, &handle);
            scope.spawn(move || {
                let client = client(server, uid, &[]);
                (0..100)
                    .map(|_| server.impersonate_on(handle, &client, PATIENCE).unwrap().uid.raw())
                    .all(|seen| seen == uid)
            })
        };
        let askers = [ask(61_020), ask(61_021), ask(61_022)];
        askers.map(|asker| asker.join().unwrap()).to_vec()
    });
    assert_eq!(told, [true; 3]);
    end(&server, &handle, thread);
}

fn a_blocked_thread_is_interrupted_only_if_it_allows_it() {
    let server = server();
    let alice = client(&server, 61_001, &[]);
    for allows in [false, true] {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let (blocks, blocked) = channel::<()>();
        let (handle, thread) = target(&server, move |mut thread| {
            if allows {
                thread.allow_interruption().unwrap();
                thread.allow_interruption().unwrap();
            }
            blocks.send(()).unwrap();
            let first = rustix::io::read(&read, &mut [0_u8; 1][..]);
            assert_eq!(first, if allows { Err(Errno::INTR) } else { Ok(1) });
            let point = thread.safe_point();
            assert_eq!(point, if allows { SafePoint::Answered } else { SafePoint::Quiet });
            if allows {
                // Interrupted inside the work, too: it ends, and the next request is done.
                let work = |_: &AsClient<'_>| {
                    blocks.send(()).unwrap();
                    rustix::io::read(&read, &mut [0_u8; 1][..])
                };
                let inside = thread.run(work).unwrap();
                assert_eq!(inside, Err(Errno::INTR));
                assert_eq!(thread.wait(Some(PATIENCE)), SafePoint::Answered);
            }
        });
        blocked.recv().unwrap();
        if allows {
            server.impersonate_on(&handle, &alice, PATIENCE).unwrap();
            assert_eq!(status_of(&handle, "Uid"), ALICE);
            blocked.recv().unwrap();
            server.revert_on(&handle, PATIENCE).unwrap();
        } else {
            assert_eq!(server.impersonate_on(&handle, &alice, SHORT), Err(MailboxError::TimedOut));
            assert_eq!(status_of(&handle, "Uid"), NOBODY);
            rustix::io::write(&write, b"x").unwrap();
        }
        thread.join().unwrap();
        drop(write);
    }
}

fn no_other_signal_reaches_an_interruptible_thread() {
    let server = server();
    let (tell, told) = channel::<()>();
    let (handle, thread) = target(&server, move |mut thread| {
        thread.allow_interruption().unwrap();
        tell.send(()).unwrap();
        assert_eq!(thread.wait(None), SafePoint::Answered);
    });
    told.recv().unwrap();
    // Every signal that can be blocked is, but SIGRTMIN + 3, number 37.
    let all = u64::from_str_radix("fffffffe7ffbfeff", 16).unwrap();
    let blocked = u64::from_str_radix(&status_of(&handle, "SigBlk"), 16).unwrap();
    assert_eq!(all & !blocked, 1 << 36);
    server.revert_on(&handle, PATIENCE).unwrap();
    thread.join().unwrap();
}
