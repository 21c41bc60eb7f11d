//! What cannot be seen from outside: numbers that were forgotten, requests that hang, a system without rings.

use super::traffic::Order;
use super::{Batch, Done, FilesOptions, Operation, Ring, RingOptions, Unavailable, UseRing, survey};
use crate::client::ClientContext;
use crate::enter::Purpose;
use crate::pool::RunError;
use crate::switch::calls::{CredentialCalls as _, Kernel};
use crate::sys::ring_call::{At, Call, Calls, Link, Output, Outputs};
use crate::sys::ring_text::Text;
use crate::sys::seccomp::{Rule, Verdict, When, install};
use crate::testing::passes_alone;
use crate::{EnterError, KernelGid, KernelUid, LogonKind, Server, StartOptions, Starting, UnixIdentity};
use core::num::NonZeroU16;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use smallvec::smallvec;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn server() -> Server {
    Starting::begin(StartOptions::default()).unwrap().finish().unwrap()
}

fn client(server: &Server, uid: u32) -> ClientContext {
    let (uid, gid) = (KernelUid::new(uid).unwrap(), KernelGid::new(uid).unwrap());
    server.logon(LogonKind::Network, &UnixIdentity::new(uid, gid, []).unwrap()).unwrap()
}

fn ring(server: &Server, identities: u16) -> Ring {
    let options = RingOptions { identities, patience: Duration::from_millis(20), ..RingOptions::default() };
    Ring::start(server, &options).unwrap()
}

fn is_closed_here() -> bool {
    survey().inspect_err(|why| println!("skipped: {why}")).is_err()
}

fn open_root() -> Calls {
    let directory = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let call = Call::Open {
        at: At::Held(Arc::new(directory)),
        path: Text::of(b"."),
        flags: OFlags::PATH | OFlags::CLOEXEC,
        mode: 0,
        resolve: ResolveFlags::empty(),
    };
    smallvec![(call, Link::None)]
}

/// What became of a batch.
type Told = Receiver<Result<Outputs, RunError>>;

/// Submits a reading of a pipe, which is under way until something is written to the other end.
fn hang(ring: &Ring, client: &ClientContext) -> (OwnedFd, Told) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let call = Call::Read { from: Arc::new(read), offset: 0, len_bytes: 8 };
    (write, order(ring, client, smallvec![(call, Link::None)]))
}

fn order(ring: &Ring, client: &ClientContext, calls: Calls) -> Told {
    let (said, answer) = channel();
    let deliver = Box::new(move |outputs| drop(said.send(outputs)));
    let key = client.key(ring.inner.server.primary_state(), Purpose::Act);
    ring.inner.traffic.order(Order { client: client.clone(), key, calls, deliver });
    answer
}

fn ids(ring: &Ring) -> usize {
    ring.identities()
}

#[test]
fn a_forgotten_number_is_refused_by_the_kernel() {
    passes_alone("ring::tests::a_forgotten_number_is_refused_by_the_kernel", || {
        if is_closed_here() {
            return;
        }
        let server = server();
        let ring = ring(&server, 4);
        let traffic = &ring.inner.traffic;
        let id = ring.inner.registrar.register(&client(&server, 61_001)).unwrap();
        assert!(matches!(traffic.run_unleased(id, open_root())[..], [Ok(Output::Descriptor(_))]));
        traffic.forget(id);
        assert!(matches!(traffic.run_unleased(id, open_root())[..], [Err(Errno::INVAL)]));
        assert_eq!(traffic.channel().unregister_personality(id), Err(Errno::INVAL));
        // A number that nobody ever had, whatever thread submits it.
        let never = NonZeroU16::new(60_000).unwrap();
        assert!(matches!(traffic.run_unleased(never, open_root())[..], [Err(Errno::INVAL)]));
    });
}

#[test]
fn what_is_under_way_is_not_evicted() {
    passes_alone("ring::tests::what_is_under_way_is_not_evicted", || {
        if is_closed_here() {
            return;
        }
        let server = server();
        let ring = ring(&server, 1);
        let (alice, bob) = (client(&server, 61_001), client(&server, 61_002));
        let (write, hanging) = hang(&ring, &alice);
        let waiting = order(&ring, &bob, open_root());
        while !ring.inner.traffic.is_starved() {
            std::thread::yield_now();
        }
        // The only place is taken: bob waits, and alice is served, also by whoever comes for her now.
        assert_eq!(ids(&ring), 1);
        assert!(waiting.try_recv().is_err() && hanging.try_recv().is_err());
        rustix::io::write(&write, b"go").unwrap();
        assert!(matches!(hanging.recv().unwrap().unwrap()[..], [Ok(Output::Bytes(ref bytes))] if bytes == b"go"));
        assert!(matches!(waiting.recv().unwrap().unwrap()[..], [Ok(Output::Descriptor(_))]));
        assert_eq!(ids(&ring), 1);
    });
}

#[test]
fn a_revocation_waits_for_what_is_under_way() {
    passes_alone("ring::tests::a_revocation_waits_for_what_is_under_way", || {
        if is_closed_here() {
            return;
        }
        let server = server();
        let ring = ring(&server, 4);
        let alice = client(&server, 61_001);
        let (write, hanging) = hang(&ring, &alice);
        while ring.inner.traffic.under_way() == 0 {
            std::thread::yield_now();
        }
        // Not the registrar's own requests, which come before: those end by themselves.
        assert!(order(&ring, &alice, open_root()).recv().unwrap().is_ok());
        let revoking = {
            let (ring, alice) = (ring.clone(), alice.clone());
            std::thread::spawn(move || {
                ring.revoke(&alice);
                hanging.try_recv()
            })
        };
        while !alice.is_revoked() {
            std::thread::yield_now();
        }
        let later = order(&ring, &alice, open_root()).recv().unwrap();
        assert!(matches!(later, Err(RunError::Enter(EnterError::Revoked))), "{later:?}");
        assert_eq!(ids(&ring), 1);
        rustix::io::write(&write, b"go").unwrap();
        // The lease is given back before the answer is handed over, so that may come a moment later.
        let _ = revoking.join().unwrap();
        assert_eq!(ids(&ring), 0);
    });
}

#[test]
fn the_end_cancels_what_hangs() {
    passes_alone("ring::tests::the_end_cancels_what_hangs", || {
        if is_closed_here() {
            return;
        }
        let server = server();
        let ring = ring(&server, 4);
        let (_write, hanging) = hang(&ring, &client(&server, 61_001));
        while ring.inner.traffic.under_way() == 0 {
            std::thread::yield_now();
        }
        drop(ring);
        let ended = hanging.recv();
        let is_cancelled =
            matches!(&ended, Ok(Ok(outputs)) if matches!(outputs[..], [Err(Errno::CANCELED | Errno::INTR)]));
        // It may not have been submitted yet, or was given up.
        assert!(is_cancelled || matches!(ended, Ok(Err(RunError::Closed)) | Err(_)), "{ended:?}");
    });
}

#[test]
fn without_io_uring_the_threads_do_everything() {
    passes_alone("ring::tests::without_io_uring_the_threads_do_everything", || {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let verdict = Verdict::Fail(Errno::from_raw_os_error(errno));
            let rule = Rule { call: libc::SYS_io_uring_setup, when: When::Always, verdict };
            install(&[rule], Verdict::Allow).unwrap();
            assert_eq!(survey(), Err(Unavailable::Setup { errno }));
        }
        let server = server();
        let report = server.report().ring.clone();
        assert!(matches!(report, Err(Unavailable::Setup { .. })), "{report:?}");
        let files = server.files(&FilesOptions { use_ring: UseRing::IfAvailable, ..FilesOptions::default() }).unwrap();
        assert!(files.ring().is_none());
        assert!(files.report().to_string().starts_with("client threads do everything: no ring, "));
        let alice = client(&server, 61_001);
        let home = files.blocking().root(&alice, &std::env::temp_dir()).unwrap().unwrap();
        let made = files.blocking().create_nameless(&alice, &home, 0o600).unwrap().unwrap();
        assert_eq!(made.stat().uid, 61_001);
        let chain = Batch::of(Operation::stat_of(&home)).then(Operation::socket(libc::AF_INET, libc::SOCK_RAW, 1));
        let results = files.blocking().run(&alice, chain.then(Operation::stat_of(&home))).unwrap();
        assert!(matches!(results[..], [Ok(Done::Stat(_)), Err(_), Err(_)]), "{results:?}");
    });
}

#[test]
fn a_server_that_cannot_switch_has_no_ring() {
    passes_alone("ring::tests::a_server_that_cannot_switch_has_no_ring", || {
        let none = rustix::thread::CapabilitySet::empty();
        Kernel.set_capabilities(none, none).unwrap();
        let server = server();
        assert_eq!(Ring::start(&server, &RingOptions::default()).map(|_| ()), Err(Unavailable::Powerless));
    });
}
