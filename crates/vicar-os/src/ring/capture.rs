//! Keeping a client's identity in a ring: a thread made for it becomes the client for good, and the ring keeps what the
//! thread is.
//!
//! What a ring keeps is everything: ids, groups, all capability sets, keyrings. So the thread has nothing permitted when
//! it is kept, real and saved ids of nobody, and an empty session keyring: a request that is done with it can do what the
//! client can do and could not become the server by any means. The thread ends at once.

use super::traffic::Traffic;
use crate::client::ClientContext;
use crate::enter::{EnterError, ServerThread};
use crate::fs::magic_path;
use crate::pool::AdoptError;
use crate::server::Server;
use crate::sys;
use crate::sys::ring_call::{At, Call, Link, Output};
use crate::sys::ring_text::Text;
use core::num::NonZeroU16;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use smallvec::smallvec;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

type Reply = Sender<Result<NonZeroU16, EnterError>>;

/// A thread of the server that makes the threads whose identities are kept. It never is anybody else.
#[derive(Debug)]
pub(super) struct Registrar {
    orders: Option<Sender<(ClientContext, Reply)>>,
    thread: Option<JoinHandle<()>>,
}

fn failed(operation: &'static str) -> impl FnOnce(Errno) -> EnterError {
    move |errno| EnterError::Keep(AdoptError { operation, errno: errno.raw_os_error() })
}

impl Registrar {
    pub(super) fn start(server: &Server, traffic: &Arc<Traffic>) -> std::io::Result<Self> {
        let (orders, taken) = channel();
        let (server, traffic) = (server.clone(), Arc::clone(traffic));
        let builder = std::thread::Builder::new().name("ring-registrar".to_owned());
        let thread = builder.spawn(move || serve(&server, &traffic, &taken))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Has `client`'s identity kept and tried, and returns its number.
    pub(super) fn register(&self, client: &ClientContext) -> Result<NonZeroU16, EnterError> {
        let ended = || EnterError::Keep(AdoptError { operation: "asking the registrar", errno: libc::ECANCELED });
        let (reply, answer) = channel();
        self.orders.as_ref().ok_or_else(ended)?.send((client.clone(), reply)).map_err(|_ended| ended())?;
        answer.recv().map_err(|_ended| ended())?
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(server: &Server, traffic: &Traffic, orders: &Receiver<(ClientContext, Reply)>) {
    let blocked = sys::signal::block_all().map_err(failed("pthread_sigmask"));
    while let Ok((client, reply)) = orders.recv() {
        let kept = blocked.and_then(|()| keep(server, traffic, &client));
        // Nobody waits for it any more: then it is not kept.
        if let Err(unsent) = reply.send(kept)
            && let Ok(id) = unsent.0
        {
            traffic.forget(id);
        }
    }
}

/// A file without a name that only its owner may open.
fn private_file() -> Result<OwnedFd, Errno> {
    let file = rustix::fs::memfd_create(c"vicar-ring", MemfdFlags::CLOEXEC)?;
    rustix::fs::fchmod(&file, Mode::RUSR.union(Mode::WUSR))?;
    Ok(file)
}

fn keep(server: &Server, traffic: &Traffic, client: &ClientContext) -> Result<NonZeroU16, EnterError> {
    let servers = private_file().map_err(failed("making the server's file"))?;
    let thread = std::thread::Builder::new().name("ring-capture".to_owned());
    let captured = std::thread::scope(|scope| {
        let body = || -> Result<(NonZeroU16, OwnedFd), EnterError> {
            sys::keyring::join_empty_session().map_err(failed("keyctl KEYCTL_JOIN_SESSION_KEYRING"))?;
            ServerThread::adopt(server)?.enter_for_good(client)?;
            let own = private_file().map_err(failed("making the client's file"))?;
            let id = traffic.channel().register_personality().map_err(failed("io_uring_register"))?;
            Ok((id, own))
        };
        let spawned = thread.spawn_scoped(scope, body);
        let spawned = spawned.map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
            EnterError::Keep(AdoptError { operation: "making a thread", errno })
        })?;
        let panicked = || EnterError::Keep(AdoptError { operation: "keeping", errno: libc::ECANCELED });
        spawned.join().map_err(|_panic| panicked())?
    });
    let (id, own) = captured?;
    prove(server, traffic, client, id, (servers, own)).inspect_err(|_wrong| traffic.forget(id))?;
    Ok(id)
}

/// Opens the client's own file and the server's with the personality: one it may, the other not.
fn prove(
    server: &Server,
    traffic: &Traffic,
    client: &ClientContext,
    id: NonZeroU16,
    (servers, own): (OwnedFd, OwnedFd),
) -> Result<(), EnterError> {
    let open = |file: OwnedFd| -> Result<Result<Output, Errno>, EnterError> {
        let path = Text::of(magic_path(file.as_fd()).as_bytes());
        let call = Call::Open {
            at: At::Magic(Arc::new(file)),
            path,
            flags: OFlags::RDONLY | OFlags::CLOEXEC,
            mode: 0,
            resolve: ResolveFlags::empty(),
        };
        let mut done = traffic.run_unleased(id, smallvec![(call, Link::None)]);
        Ok(done.pop().unwrap_or(Err(Errno::IO)))
    };
    let expected = failed("trying the kept identity");
    let opened = open(own)?.map_err(failed("opening the client's own file"))?;
    drop(opened);
    let is_servers_user = client.projected().is_ok_and(|projected| server.is_users(projected.identity.uid()));
    match open(servers)? {
        Err(Errno::ACCESS) => Ok(()),
        Ok(_) if is_servers_user => Ok(()),
        Ok(_) => Err(expected(Errno::PERM)),
        Err(errno) => Err(expected(errno)),
    }
}
