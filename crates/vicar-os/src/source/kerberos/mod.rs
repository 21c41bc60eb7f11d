//! Kerberos: tokens in, a client out, and what it delegated (feature `kerberos`; needs MIT's library and headers to build).
//!
//! A client sends GSS-API tokens, negotiated (SPNEGO, as HTTP's `Negotiate` has them) or plain; what comes out is a
//! *principal*, and if the client forwarded a ticket, a credential for acting as it towards others. The principal becomes an
//! account by [`RealmRule`] and nothing else, the account a [`ClientContext`] of level Impersonation, or of level Delegation if
//! and only if there is a credential.
//!
//! # Where it runs
//!
//! Reading a token is reading a stranger's bytes before anybody is known, in a large C library, next to the keys of the
//! service. In the server's own process, which may become any user, one mistake there would be the whole machine; PAM is
//! kept out of it for less. The supervisor's helpers answer one question each; a negotiation has several turns, and what was
//! delegated must live as long as the context. So each client has a process of its own:
//!
//! ```text
//!  server ---- new line ----> vicar-kerberos   (the starting rights; reads nothing of a client)
//!    |                            | fork
//!    +------- tokens ------->  vicar-krb5      (one client: powerless, filtered; its ticket is in its memory)
//! ```
//!
//! * [`Starting::fork_kerberos`](crate::Starting::fork_kerberos) forks the process that helpers are made from, while the server has one thread.
//! * A helper reads the keytab, loads what the library loads, and then becomes a user of its own for good
//!   ([`KerberosOptions::identity`]), without capabilities: no tasks, no programs, no signals, no keyrings, 1 GiB of memory. Only
//!   then it reads the first token. Keys and replay cache are descriptors by then.
//! * `KRB5_KTNAME`, `KRB5CCNAME` and their like are not looked at: the keytab and the replay cache are named by
//!   [`KerberosOptions`], and a credential is what the client sent. `KRB5_CONFIG` is, because it says where the realms are.
//! * A helper finds no credential by itself: its default cache and keytab are places where there is nothing.
//! * A ticket that was forwarded is in a `MEMORY:` cache of the one process that read it, and the server never has its key.
//!   When the last [`ClientContext`] that holds it and the last proof begun with it are dropped, its line closes and the
//!   process is killed. No file, keyring or environment has it; another context's line leads to another process, and without
//!   [`Server::initiate`](crate::Server::initiate) no line is reached at all.
//!
//! Whoever takes a helper over while it reads his token can say that he is another principal of the realm: it has the keys. He is
//! then an account that the rule and the supervisor admit, never user 0 or a system account, and has nothing of other clients.
//!
//! # What a ticket does not say
//!
//! Groups come from the account databases; what an Active Directory puts into a ticket (PAC) is not read. Nobody is acted for
//! who did not come: `S4U2self` and `S4U2proxy` are not offered. Tokens are not bound to a TLS channel.
//!
//! # Identity
//!
//! Nothing here changes the identity of a thread of the server, and nothing needs one: calls may be made on any thread that may
//! wait. They wait for a helper, which may wait for a disk or a key distribution centre, at most [`KerberosOptions::limit`]: a
//! program with a runtime makes them in `spawn_blocking`, never in a task.
//!
//! # Examples
//! ```no_run
//! use vicar_os::source::kerberos::{Accept, KerberosOptions};
//! use vicar_os::source::principal::RealmRule;
//! use vicar_os::{StartOptions, Starting};
//! # fn talk(_send: Vec<u8>) -> Vec<u8> { Vec::new() }
//! # fn serve(supervisor: vicar_os::supervisor::SupervisorOptions) -> Result<(), Box<dyn std::error::Error>> {
//! let mut starting = Starting::begin(StartOptions::default())?;
//! let helpers = vicar_os::source::account::by_name("vicar-krb5")?.identity;
//! let options = KerberosOptions::new("HTTP", "/etc/vicar/http.keytab".into(), "/var/lib/vicar/replay".into(), helpers);
//! let kerberos = starting.fork_kerberos(options)?;
//! let supervisor = starting.fork_supervisor(supervisor)?;
//! let server = starting.finish()?;
//! let rule = RealmRule::new("EXAMPLE.ORG", 1000)?;
//!
//! let (mut accepting, mut token) = (kerberos.accept()?, talk(Vec::new()));
//! let accepted = loop {
//!     match accepting.step(&token)? {
//!         Accept::Continue(answer) => token = talk(answer),
//!         Accept::Done(accepted) => break accepted,
//!     }
//! };
//! let client = accepted.sign_in(&rule, &supervisor)?.logon(&server)?;
//! println!("{:?}", server.run_as(&client, |_as_client| std::fs::read("/srv/notes")));
//! # Ok(())
//! # }
//! ```
//!
//! # Source
//! RFC 2743, RFC 2744 (GSS-API), RFC 4120 and 4121 (Kerberos), RFC 4178 (SPNEGO), RFC 4559 (HTTP); MIT Kerberos, "Developing with GSSAPI".
//!
//! [`ClientContext`]: crate::ClientContext
//! [`RealmRule`]: super::principal::RealmRule

mod accepted;
mod credential;
mod desk;
mod error;
mod helper;
mod line;
mod wire;

pub use accepted::{Accepted, SignedIn};
pub use error::AcceptError;

use crate::UnixIdentity;
use crate::packet::{self, Received};
use crate::supervisor::apart::see_off;
use crate::supervisor::{ForkError, Operation, Unavailable};
use crate::sys::fork::{self, Side};
use core::fmt;
use credential::Ticket;
use line::Line;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, sockopt};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::CapabilitySet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wire::{Reply, Request};

/// Longest token in bytes, both ways.
pub const MAX_TOKEN_LEN: usize = 65_535;
/// Longest principal in bytes, in text form.
pub const MAX_PRINCIPAL_LEN: usize = 1024;

/// How long the new process may take to report, and to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What tokens are accepted with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KerberosOptions {
    /// The service that clients come to, such as `HTTP`: its keys in the keytab are used, for any host, and no other
    /// service's.
    pub service: String,
    /// Where the keys are, from `/`. Read anew for each client, with the starting rights.
    pub keytab: PathBuf,
    /// Where it is kept which tokens were seen, from `/`. Made if it is not there, in a directory that nobody else may
    /// write; given to [`Self::identity`]. Keep it over restarts: a token is good for some minutes.
    pub replay_cache: PathBuf,
    /// Whom helpers become: a system account for this and nothing else, without groups that mean something. Not user 0, and
    /// not the anonymous user, whom other servers on this machine expect to be nobody's.
    pub identity: UnixIdentity,
    /// Most clients at a time that are being accepted or have delegated; a process each.
    pub most: usize,
    /// Longest time for one turn; the helper is killed after that.
    pub limit: Duration,
}

impl KerberosOptions {
    /// The usual limits: 256 clients, 20 seconds.
    #[must_use]
    pub fn new(service: &str, keytab: PathBuf, replay_cache: PathBuf, identity: UnixIdentity) -> Self {
        let (most, limit) = (256, Duration::from_secs(20));
        Self { service: service.to_owned(), keytab, replay_cache, identity, most, limit }
    }

    fn are_usable(&self, anonymous: &UnixIdentity) -> bool {
        let uid = self.identity.uid();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !self.service.is_empty()
            && self.service.bytes().all(is_plain)
            && self.keytab.is_absolute()
            && self.replay_cache.is_absolute()
            && self.most > 0
            && !uid.is_root()
            && uid != anonymous.uid()
    }
}

/// The server's end of what accepts tokens. Cheap to clone. The process ends with the last clone, and with it every helper.
#[derive(Clone)]
pub struct Kerberos {
    inner: Arc<Handle>,
}

struct Handle {
    socket: OwnedFd,
    process: Pid,
    limit: Duration,
}

impl Kerberos {
    /// Forks the process. See [`Starting::fork_kerberos`](crate::Starting::fork_kerberos).
    pub(crate) fn fork(options: KerberosOptions, anonymous: &UnixIdentity) -> Result<Self, ForkError> {
        let failed = |operation| move |errno: Errno| ForkError::Failed { operation, errno: errno.raw_os_error() };
        if !options.are_usable(anonymous) {
            return Err(failed(Operation::Shape)(Errno::INVAL));
        }
        if !may_be_given_up(&options.identity).map_err(failed(Operation::Shape))? {
            return Err(failed(Operation::Shape)(Errno::PERM));
        }
        let replay = desk::replay_cache(&options).map_err(failed(Operation::Shape))?;
        let (near, socket) = packet::pair().map_err(failed(Operation::Pipe))?;
        let server = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map_err(failed(Operation::Fork))?;
        let limit = options.limit;
        let process = match fork::fork() {
            Ok(Side::Child) => desk::main(socket, server, replay, options),
            Ok(Side::Parent { child }) => child,
            Err(Errno::BUSY) => return Err(ForkError::ManyThreads),
            Err(errno) => return Err(failed(Operation::Fork)(errno)),
        };
        drop((socket, server, replay));
        let inner = Handle { socket: near, process, limit };
        for side in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&inner.socket, side, Some(PATIENCE)).map_err(failed(Operation::Receive))?;
        }
        match packet::receive(inner.socket.as_fd(), &mut [0; 8], RecvFlags::empty()) {
            Ok(Received::Message { len: 1, .. }) => Ok(Self { inner: Arc::new(inner) }),
            Ok(_) | Err(Errno::AGAIN) => Err(ForkError::NotReady),
            Err(errno) => Err(failed(Operation::Receive)(errno)),
        }
    }

    /// Begins with a client that has sent nothing yet, in a process of its own.
    ///
    /// # Errors
    /// - [`Unavailable::Dead`] when the process has ended that helpers are made from; nobody signs in by a ticket then until the
    ///   server is started again. [`Unavailable::Failed`] when a system call failed.
    ///
    /// # Cost
    /// A message and a fork. Whether there is room for one more helper is told by the first step.
    pub fn accept(&self) -> Result<Accepting, Unavailable> {
        let failed = |operation| move |errno: Errno| Unavailable::Failed { operation, errno: errno.raw_os_error() };
        let (near, far) = packet::pair().map_err(failed(Operation::Pipe))?;
        match packet::send(self.inner.socket.as_fd(), &[1], &[far.as_fd()], SendFlags::empty()) {
            Ok(()) => Ok(Accepting { line: Some(Line::new(near, self.inner.limit)), kerberos: self.clone() }),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Err(Unavailable::Dead),
            Err(Errno::AGAIN) => Err(Unavailable::TimedOut),
            Err(errno) => Err(failed(Operation::Send)(errno)),
        }
    }

    /// The process id of what helpers are made from, for the log.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.process.as_raw_nonzero().get().unsigned_abs()
    }
}

/// Whether helpers can become `identity`, and be ended then.
fn may_be_given_up(identity: &UnixIdentity) -> Result<bool, Errno> {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::KILL;
    let is_it = rustix::process::geteuid().as_raw() == identity.uid().raw();
    Ok(is_it || rustix::thread::capabilities(None)?.effective.contains(needed))
}

impl fmt::Debug for Kerberos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kerberos").field("process", &self.inner.process).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    /// Ends the process and waits a moment for it, so that no zombie stays.
    fn drop(&mut self) {
        // An error means that the other end is gone already.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        if let Ok(ended) = rustix::process::pidfd_open(self.process, PidfdFlags::empty()) {
            see_off(vec![(self.process, ended)], PATIENCE);
        }
    }
}

/// A client on its way in. Dropping it ends its helper.
#[derive(Debug)]
pub struct Accepting {
    /// `None` when it is over.
    line: Option<Line>,
    kerberos: Kerberos,
}

/// What is to be done with the outcome of one step.
#[derive(Debug)]
pub enum Accept {
    /// Send this to the client and come back with its answer.
    Continue(Vec<u8>),
    /// The client is proved.
    Done(Accepted),
}

impl Accepting {
    /// Takes a token of the client.
    ///
    /// # Errors
    /// - [`AcceptError`]; it is over, and the client proved nothing. A token that is empty or longer than [`MAX_TOKEN_LEN`] is
    ///   shown to nobody.
    ///
    /// # Cost
    /// Waits for the helper; see the [module](self) about which threads may.
    pub fn step(&mut self, token: &[u8]) -> Result<Accept, AcceptError> {
        let line = self.line.take().ok_or(AcceptError::OutOfTurn)?;
        if token.is_empty() || token.len() > MAX_TOKEN_LEN {
            return Err(AcceptError::TokenLength { bytes: token.len() });
        }
        match line.call(&Request::Accept(token)).map_err(AcceptError::Unavailable)? {
            Reply::Continue(token) => {
                self.line = Some(line);
                Ok(Accept::Continue(token))
            }
            Reply::Accepted { token, principal, delegated_until } => {
                let until =
                    delegated_until.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end)));
                let ticket = until.map(|until| Ticket::new(line, &principal, until, self.kerberos.clone()));
                Ok(Accept::Done(Accepted::new(principal, token, ticket)))
            }
            Reply::Refused(refusal) => Err(AcceptError::Refused(refusal)),
            Reply::Against(rule) => Err(error::against(rule)),
            // Not an answer to what was asked: whoever is there is not the helper we know.
            Reply::Done(_) => Err(AcceptError::Unavailable(Unavailable::Crashed)),
        }
    }
}
