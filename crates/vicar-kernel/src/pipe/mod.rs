//! Named pipes in memory: the classic user of client impersonation.
//!
//! A [`Pipe`] has one server end and at most one client at a time; messages go both ways. With static tracking the client is
//! captured when it opens the pipe; with dynamic tracking every message carries the context of the thread that wrote it, and
//! reading the message makes it the one that [`Pipe::impersonate`] takes on. What the server writes carries nobody. A client
//! that leaves takes nothing back, and the next one inherits nothing. Each read comes in two forms: one that says that there
//! is no message, and one that waits. [`PipeNames`] gives pipes names.
//!
//! | state | client opens | server reads | server impersonates | client writes |
//! |---|---|---|---|---|
//! | listening | connects | `PIPE_LISTENING` | `PIPE_LISTENING` | |
//! | connected | `PIPE_BUSY` | a message or none | the author, or `CANNOT_IMPERSONATE` | queued |
//! | client gone | `PIPE_BUSY` | what is left, then `PIPE_BROKEN` | the author, or `CANNOT_IMPERSONATE` | |
//! | disconnected | `PIPE_DISCONNECTED` | `PIPE_DISCONNECTED` | `PIPE_DISCONNECTED` | `PIPE_DISCONNECTED` |

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::client::ClientContext;
use crate::impersonate::Outcome;
use crate::pool::{Charge, Purpose};
use crate::qos::{Locality, Qos, Reach, Tracking};
use crate::system::System;
use crate::thread::ThreadRef;
use crate::token::TokenRef;
use crate::verifier::{Lock, Locking, Watched};

mod client;
mod names;
#[cfg(test)]
mod tests;

pub use client::PipeClient;
pub use names::{FirstInstance, PipeNames};

/// What a client that gives no quality of service is taken to allow.
///
/// # Source
/// spec/nt-impersonation 2.24.
pub const WITHOUT_QOS: Qos =
    Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Dynamic, reach: Reach::EffectiveOnly };

/// What a client should allow a server that it does not know: to see who it is.
///
/// # Source
/// CreateFile (page, SECURITY_IDENTIFICATION); CVE-2003-0496.
pub const CAUTIOUS: Qos =
    Qos { level: ImpersonationLevel::Identification, tracking: Tracking::Static, reach: Reach::EffectiveOnly };

/// Whether the account that a server runs under may pass remote clients on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelegationTrust {
    /// It may.
    Trusted,
    /// It may not.
    NotTrusted,
}

/// The bytes of one stored client context.
const CONTEXT_SIZE: usize = 72;

/// A captured client with what it costs.
struct Stored {
    context: ClientContext,
    _charge: Charge,
}

struct Message {
    bytes: VecDeque<u8>,
    author: Option<Stored>,
    _charge: Charge,
}

impl Message {
    /// Pays for a message and takes its bytes.
    fn new(system: &System, bytes: &[u8], author: Option<Stored>) -> Result<Self, NtStatus> {
        let charge = system.pool().charge(Purpose::PipeMessage, bytes.len())?;
        Ok(Self { bytes: bytes.iter().copied().collect(), author, _charge: charge })
    }

    /// Takes up to `limit` bytes off the front.
    fn take(&mut self, limit: usize) -> Vec<u8> {
        self.bytes.drain(..limit.min(self.bytes.len())).collect()
    }
}

/// One client and what was said with it.
struct Connection {
    system: System,
    qos: Qos,
    generation: u64,
    author: Option<Stored>,
    to_server: VecDeque<Message>,
    to_client: VecDeque<Message>,
    is_client_gone: bool,
}

enum State {
    Listening,
    Connected(Box<Connection>),
    Disconnected,
}

impl State {
    fn may_open(&self) -> Result<(), NtStatus> {
        match self {
            Self::Listening => Ok(()),
            Self::Connected(_) => Err(NtStatus::PIPE_BUSY),
            Self::Disconnected => Err(NtStatus::PIPE_DISCONNECTED),
        }
    }

    /// The connection, for the server end.
    fn connection(&mut self) -> Result<&mut Connection, NtStatus> {
        match self {
            Self::Connected(connection) => Ok(connection),
            Self::Listening => Err(NtStatus::PIPE_LISTENING),
            Self::Disconnected => Err(NtStatus::PIPE_DISCONNECTED),
        }
    }

    /// The connection, for the client end of that generation.
    fn connection_of(&mut self, generation: u64) -> Result<&mut Connection, NtStatus> {
        match self {
            Self::Connected(connection) if connection.generation == generation => Ok(connection),
            Self::Connected(_) | Self::Listening | Self::Disconnected => Err(NtStatus::PIPE_DISCONNECTED),
        }
    }
}

struct Inner {
    /// Of the first client; says whether locks are looked at.
    system: OnceLock<System>,
    state: Mutex<State>,
    changed: Condvar,
    generations: AtomicU64,
}

/// The server end of a pipe.
pub struct Pipe(Arc<Inner>);

/// Captures the author of something, paying for the stored context.
#[track_caller]
fn store(thread: &ThreadRef, qos: Qos) -> Result<Stored, NtStatus> {
    let charge = thread.system().pool().charge(Purpose::ClientContext, CONTEXT_SIZE)?;
    Ok(Stored { context: ClientContext::capture(thread, qos, Locality::Local)?, _charge: charge })
}

impl Inner {
    #[track_caller]
    fn state(&self) -> Watched<'_, MutexGuard<'_, State>> {
        let locking = self.locking();
        Watched::new(locking, self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[track_caller]
    fn locking(&self) -> Option<Locking<'_>> {
        // No closure: it would have a line of its own.
        match self.system.get() {
            Some(system) => system.locking(Lock::Pipe),
            None => None,
        }
    }

    /// Replaces the state and wakes whoever waits; what it held is released after the lock.
    fn replace(&self, state: State) {
        let old = std::mem::replace(&mut *self.state(), state);
        self.changed.notify_all();
        drop(old);
    }

    /// Asks again after every change until there is an answer, an error or no time left.
    fn wait<R>(
        &self,
        limit: Duration,
        mut ask: impl FnMut(&mut State) -> Result<Option<R>, NtStatus>,
    ) -> Result<R, NtStatus> {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(answer) = ask(&mut state)? {
                return Ok(answer);
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(NtStatus::IO_TIMEOUT);
            }
            let waited = self.changed.wait_timeout(state.into_guard(), left);
            state = Watched::new(self.locking(), waited.unwrap_or_else(PoisonError::into_inner).0);
        }
    }
}

/// What reading leaves to be dropped outside the lock.
struct Taken {
    bytes: Vec<u8>,
    #[expect(dead_code, reason = "held only to be dropped outside the lock")]
    left: (Option<Stored>, Option<Message>),
}

impl Connection {
    /// Reads for the server; the author of what is read becomes the one to impersonate.
    fn read(&mut self, limit: usize) -> Result<Option<Taken>, NtStatus> {
        let Some(message) = self.to_server.front_mut() else {
            return if self.is_client_gone { Err(NtStatus::PIPE_BROKEN) } else { Ok(None) };
        };
        if limit == 0 && !message.bytes.is_empty() {
            return Ok(Some(Taken { bytes: Vec::new(), left: (None, None) })); // nothing is consumed: same author
        }
        let bytes = message.take(limit);
        let replaced = message.author.take().and_then(|next| self.author.replace(next));
        let done = if message.bytes.is_empty() { self.to_server.pop_front() } else { None };
        Ok(Some(Taken { bytes, left: (replaced, done) }))
    }
}

impl Pipe {
    /// Makes a pipe that waits for a client.
    #[expect(clippy::new_without_default, reason = "a pipe that waits for clients is made on purpose")]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            system: OnceLock::new(),
            state: Mutex::new(State::Listening),
            changed: Condvar::new(),
            generations: AtomicU64::new(0),
        }))
    }

    /// Opens the client end.
    ///
    /// # Inputs
    /// - `opener`: the thread that opens; captured now when tracking is static.
    /// - `qos`: what the client allows; [`WITHOUT_QOS`] when it says nothing. [`CAUTIOUS`] is what a client should say.
    ///
    /// # Errors
    /// - `STATUS_PIPE_BUSY` when the pipe has a client, `STATUS_PIPE_DISCONNECTED` when nobody listens.
    /// - the statuses of [`ClientContext::capture`] when tracking is static. The pipe still listens then.
    #[track_caller]
    pub fn open(&self, opener: &ThreadRef, qos: Option<Qos>) -> Result<PipeClient, NtStatus> {
        Self::open_inner(&self.0, opener, qos.unwrap_or(WITHOUT_QOS))
    }

    #[track_caller]
    fn open_inner(inner: &Arc<Inner>, opener: &ThreadRef, qos: Qos) -> Result<PipeClient, NtStatus> {
        inner.state().may_open()?;
        let author = match qos.tracking {
            Tracking::Static => Some(store(opener, qos)?),
            Tracking::Dynamic => None,
        };
        Self::connect(inner, opener.system(), qos, author)
    }

    fn connect(inner: &Arc<Inner>, system: &System, qos: Qos, author: Option<Stored>) -> Result<PipeClient, NtStatus> {
        let generation = inner.generations.fetch_add(1, Ordering::Relaxed);
        // Only the first one's counts.
        let _ = inner.system.set(system.clone());
        let connection = Box::new(Connection {
            system: system.clone(),
            qos,
            generation,
            author,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            is_client_gone: false,
        });
        let mut state = inner.state();
        // The capture was made without the lock; another client may have come first.
        if let Err(status) = state.may_open() {
            drop(state);
            drop(connection);
            return Err(status);
        }
        *state = State::Connected(connection);
        drop(state);
        inner.changed.notify_all();
        Ok(PipeClient::new(Arc::clone(inner), qos, generation))
    }

    /// Opens the client end for a client on another machine, whom a transport has signed in here.
    ///
    /// What such a client says about quality of service is not heard: the server's account decides how far it may go, and
    /// the client is the same for every message.
    ///
    /// # Inputs
    /// - `client`: the token of the sign-in; an impersonation token's own level is the ceiling.
    ///
    /// # Errors
    /// - as for [`Pipe::open`] with static tracking.
    ///
    /// # Source
    /// CreateFile (page, security flags of remote pipes); spec/nt-impersonation 2.24.
    #[track_caller]
    pub fn open_remote(&self, client: &TokenRef, server: DelegationTrust) -> Result<PipeClient, NtStatus> {
        let most = match server {
            DelegationTrust::Trusted => ImpersonationLevel::Delegation,
            DelegationTrust::NotTrusted => ImpersonationLevel::Impersonation,
        };
        let level = client.level().map_or(most, |own| most.capped_by(own));
        let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
        self.0.state().may_open()?;
        let charge = client.system().pool().charge(Purpose::ClientContext, CONTEXT_SIZE)?;
        let context = ClientContext::from_token(client, qos, Locality::Local)?;
        Self::connect(&self.0, client.system(), qos, Some(Stored { context, _charge: charge }))
    }

    /// Reads up to `limit` bytes of the oldest message; its author becomes the one to impersonate.
    ///
    /// # Returns
    /// `None` when no message waits.
    ///
    /// # Errors
    /// - `STATUS_PIPE_LISTENING`, `STATUS_PIPE_DISCONNECTED` when there is no client.
    /// - `STATUS_PIPE_BROKEN` when the client is gone and everything it wrote was read.
    pub fn read(&self, limit: usize) -> Result<Option<Vec<u8>>, NtStatus> {
        let mut state = self.0.state();
        let taken = state.connection()?.read(limit);
        drop(state);
        Ok(taken?.map(|taken| taken.bytes))
    }

    /// Like [`Pipe::read`], but waits up to `patience` for a message.
    ///
    /// # Errors
    /// - `STATUS_IO_TIMEOUT` when none came.
    /// - as for [`Pipe::read`].
    pub fn read_wait(&self, limit: usize, patience: Duration) -> Result<Vec<u8>, NtStatus> {
        Ok(self.0.wait(patience, |state| state.connection()?.read(limit))?.bytes)
    }

    /// Waits up to `patience` for a client.
    ///
    /// # Errors
    /// - `STATUS_IO_TIMEOUT` when none came, `STATUS_PIPE_DISCONNECTED` when nobody listens.
    ///
    /// # NT
    /// `ConnectNamedPipe` on a pipe that listens.
    #[doc(alias = "ConnectNamedPipe")]
    pub fn wait_for_client(&self, patience: Duration) -> Result<(), NtStatus> {
        self.0.wait(patience, |state| match state {
            State::Connected(_) => Ok(Some(())),
            State::Listening => Ok(None),
            State::Disconnected => Err(NtStatus::PIPE_DISCONNECTED),
        })
    }

    /// Sends a message to the client. Nobody is captured: a client cannot impersonate its server.
    ///
    /// # Errors
    /// - `STATUS_PIPE_LISTENING`, `STATUS_PIPE_DISCONNECTED` when there is no client, `STATUS_PIPE_CLOSING` when it is gone.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool. Nothing is queued then.
    pub fn write(&self, bytes: &[u8]) -> Result<(), NtStatus> {
        let mut state = self.0.state();
        let connection = state.connection()?;
        if connection.is_client_gone {
            return Err(NtStatus::PIPE_CLOSING);
        }
        let message = Message::new(&connection.system, bytes, None)?;
        connection.to_client.push_back(message);
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    /// Copies the oldest message and changes nothing, not even whom the server may impersonate.
    ///
    /// # Errors
    /// - as for [`Pipe::read`].
    pub fn peek(&self) -> Result<Option<Vec<u8>>, NtStatus> {
        let mut state = self.0.state();
        let connection = state.connection()?;
        Ok(connection.to_server.front().map(|message| message.bytes.iter().copied().collect()))
    }

    /// Lets `server` act as the client: as the author of the message read last, or as the opener.
    ///
    /// # Errors
    /// - `STATUS_CANNOT_IMPERSONATE` when no author is known yet.
    /// - `STATUS_PIPE_LISTENING`, `STATUS_PIPE_DISCONNECTED` when there is no client.
    /// - the statuses of [`ThreadRef::impersonate`].
    ///
    /// # NT
    /// `FSCTL_PIPE_IMPERSONATE`, `ImpersonateNamedPipeClient`.
    #[doc(alias = "FSCTL_PIPE_IMPERSONATE")]
    #[doc(alias = "ImpersonateNamedPipeClient")]
    #[track_caller]
    pub fn impersonate(&self, server: &ThreadRef) -> Result<Outcome, NtStatus> {
        let mut state = self.0.state();
        let author = state.connection()?.author.as_ref();
        let context = author.map(|author| author.context.clone()).ok_or(NtStatus::CANNOT_IMPERSONATE);
        drop(state);
        server.impersonate(&context?)
    }

    /// Throws the client out, with everything that was said and every identity kept of it.
    #[doc(alias = "DisconnectNamedPipe")]
    pub fn disconnect(&self) {
        self.0.replace(State::Disconnected);
    }

    /// Listens for the next client.
    ///
    /// # Errors
    /// - `STATUS_PIPE_CONNECTED` when there is a client, `STATUS_PIPE_CLOSING` when one is gone but not thrown out.
    pub fn listen(&self) -> Result<(), NtStatus> {
        let mut state = self.0.state();
        match &*state {
            State::Connected(connection) if connection.is_client_gone => Err(NtStatus::PIPE_CLOSING),
            State::Connected(_) => Err(NtStatus::PIPE_CONNECTED),
            State::Listening | State::Disconnected => {
                *state = State::Listening;
                Ok(())
            }
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.state() {
            State::Listening => f.write_str("Pipe(listening)"),
            State::Disconnected => f.write_str("Pipe(disconnected)"),
            State::Connected(connection) => f
                .debug_struct("Pipe")
                .field("qos", &connection.qos)
                .field("to_server", &connection.to_server.len())
                .field("to_client", &connection.to_client.len())
                .field("knows_author", &connection.author.is_some())
                .field("is_client_gone", &connection.is_client_gone)
                .finish_non_exhaustive(),
        }
    }
}
