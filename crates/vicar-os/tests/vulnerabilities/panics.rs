//! Panics wherever code of the caller runs.

use crate::scratch::{client, server};
use crate::world::status;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use vicar_os::{
    Answer, ClientContext, ClientThread, ClientThreadOptions, ClientThreads, DEFAULT_UMASK, RunError, Server,
};

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a destructor");
        }
    }
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

fn still_serves(threads: &ClientThreads, who: &ClientContext, after: &str) {
    // One seat: a thread that died would never answer.
    let (told, answered) = std::sync::mpsc::channel();
    let answer = threads.run(who, move |as_client| {
        let uid = as_client.shown().uid.raw();
        let _ = told.send(uid);
        uid
    });
    let waited = answered.recv_timeout(std::time::Duration::from_secs(60));
    assert_eq!(waited, Ok(61_001), "no answer after a panic {after}");
    assert_eq!(answer.wait(), Ok(61_001));
}

fn scoped(server: &Server, alice: &ClientContext) {
    let groups = status("Groups");
    for round in 0..20 {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            server.run_as(alice, |_| match round % 3 {
                0 => panic!("in the closure"),
                1 => panic_any(Bomb),
                _ => drop(Bomb),
            })
        }));
        // The payload may be a bomb itself.
        let payload = caught.unwrap_err();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        assert_eq!([status("Uid"), status("Gid"), status("Groups")], ["0 0 0 0", "0 0 0 0", &groups]);
        assert_eq!(status("CapEff"), "00000000000000c0");
        assert!(server.run_as(alice, |_| ()).is_ok());
    }
}

/// CVE-1999-0035 (ftpd): a way out of the middle, which must not take the identity along.
pub(crate) fn v29_every_callback_may_panic() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let server = server();
    let alice = client(&server, 61_001, &[]);
    scoped(&server, &alice);
    let options = ClientThreadOptions { threads: 1, per_client: 1, ..ClientThreadOptions::default() };
    let threads = server.client_threads(options).unwrap();
    let outcome: Result<(), _> = threads.run_blocking(&alice, |_| panic!("in the job"));
    assert_eq!(outcome, Err(RunError::Panicked));
    still_serves(&threads, &alice, "in the job");

    let outcome: Result<(), _> = threads.run_blocking(&alice, |_| panic_any(Bomb));
    assert_eq!(outcome, Err(RunError::Panicked));
    still_serves(&threads, &alice, "whose payload panics when it is dropped");

    let held = Bomb;
    let outcome: Result<(), _> = threads.run_blocking(&alice, move |_| drop(held));
    assert_eq!(outcome, Err(RunError::Panicked));
    still_serves(&threads, &alice, "in what the job holds");

    // A result nobody waits for is dropped by the thread.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    drop(threads.run(&alice, move |_| {
        let _ = wait.recv();
        Bomb
    }));
    let _ = go.send(());
    still_serves(&threads, &alice, "in a result that nobody takes");

    let (go, wait) = std::sync::mpsc::channel::<()>();
    let answer = threads.run(&alice, move |_| wait.recv().is_ok());
    let mut answer: std::pin::Pin<Box<Answer<bool>>> = Box::pin(answer);
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(answer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let _ = go.send(());
    still_serves(&threads, &alice, "in a waker");
    assert!(matches!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())), std::task::Poll::Ready(Ok(true))));

    // A thread of the caller's own goes on with the panic, is the client no longer than its work, and serves again.
    let (own, who) = (server.clone(), alice.clone());
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&own, DEFAULT_UMASK).unwrap();
        for _ in 0..3 {
            let ran: Result<Result<(), _>, _> =
                catch_unwind(AssertUnwindSafe(|| thread.run(&who, |_| panic!("in the work"))));
            assert!(ran.is_err(), "{ran:?}");
            assert_eq!(thread.run(&who, |as_client| as_client.shown().uid.raw()), Ok(61_001));
        }
    });
    thread.join().unwrap();

    // A job that is dropped unrun: too many wait, or the threads end.
    let options =
        ClientThreadOptions { threads: 1, per_client: 1, queued_per_client: 1, ..ClientThreadOptions::default() };
    let narrow = server.client_threads(options).unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let running = narrow.run(&alice, move |_| wait.recv().is_ok());
    let queued = narrow.run(&alice, |_| ());
    let held = Bomb;
    let refused = catch_unwind(AssertUnwindSafe(|| narrow.run_blocking(&alice, move |_| drop(held))));
    assert!(matches!(refused, Ok(Err(RunError::Busy)) | Err(_)), "{refused:?}");
    let _ = go.send(());
    assert_eq!((running.wait(), queued.wait()), (Ok(true), Ok(())));
    still_serves(&narrow, &alice, "in a job that was refused");
}
