//! Named pipes in memory: the classic user of client impersonation.
//!
//! A [`Pipe`] has one server end and at most one client at a time. With static tracking the client is captured when it
//! opens the pipe; with dynamic tracking every message carries the context of the thread that wrote it, and reading the
//! message makes it the one that [`Pipe::impersonate`] takes on. A client that leaves takes nothing back, and the next one
//! inherits nothing. There is no name space here and no blocking: a read finds a message or says that there is none.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::client::ClientContext;
use crate::impersonate::Outcome;
use crate::pool::{Charge, Purpose};
use crate::qos::{Locality, Qos, Reach, Tracking};
use crate::thread::ThreadRef;

/// What a client that gives no quality of service is taken to allow.
///
/// # Source
/// spec/nt-impersonation 2.24.
pub const WITHOUT_QOS: Qos =
    Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Dynamic, reach: Reach::EffectiveOnly };

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
}

enum State {
    Listening,
    Connected { qos: Qos, generation: u64, author: Option<Stored>, queue: VecDeque<Message> },
    Disconnected,
}

impl State {
    fn may_open(&self) -> Result<(), NtStatus> {
        match self {
            Self::Listening => Ok(()),
            Self::Connected { .. } => Err(NtStatus::PIPE_BUSY),
            Self::Disconnected => Err(NtStatus::PIPE_DISCONNECTED),
        }
    }
}

struct Inner {
    state: Mutex<State>,
    generations: AtomicU64,
}

/// The server end of a pipe.
pub struct Pipe(Arc<Inner>);

/// The client end of a pipe. Dropping it changes nothing about what was sent.
pub struct PipeClient {
    inner: Arc<Inner>,
    qos: Qos,
    generation: u64,
}

/// Captures the author of something, paying for the stored context.
fn store(thread: &ThreadRef, qos: Qos) -> Result<Stored, NtStatus> {
    let charge = thread.system().pool().charge(Purpose::ClientContext, CONTEXT_SIZE)?;
    Ok(Stored { context: ClientContext::capture(thread, qos, Locality::Local)?, _charge: charge })
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the state; what it held is released after the lock.
    fn replace(&self, state: State) {
        let old = std::mem::replace(&mut *self.state(), state);
        drop(old);
    }
}

impl Pipe {
    /// Makes a pipe that waits for a client.
    #[expect(clippy::new_without_default, reason = "a pipe that waits for clients is made on purpose")]
    pub fn new() -> Self {
        Self(Arc::new(Inner { state: Mutex::new(State::Listening), generations: AtomicU64::new(0) }))
    }

    /// Opens the client end.
    ///
    /// # Inputs
    /// - `opener`: the thread that opens; captured now when tracking is static.
    /// - `qos`: what the client allows; [`WITHOUT_QOS`] when it says nothing.
    ///
    /// # Errors
    /// - `STATUS_PIPE_BUSY` when the pipe has a client, `STATUS_PIPE_DISCONNECTED` when nobody listens.
    /// - the statuses of [`ClientContext::capture`] when tracking is static. The pipe still listens then.
    pub fn open(&self, opener: &ThreadRef, qos: Option<Qos>) -> Result<PipeClient, NtStatus> {
        let qos = qos.unwrap_or(WITHOUT_QOS);
        self.0.state().may_open()?;
        let author = match qos.tracking {
            Tracking::Static => Some(store(opener, qos)?),
            Tracking::Dynamic => None,
        };
        let mut state = self.0.state();
        // The capture was made without the lock; another client may have come first.
        state.may_open()?;
        let generation = self.0.generations.fetch_add(1, Ordering::Relaxed);
        *state = State::Connected { qos, generation, author, queue: VecDeque::new() };
        Ok(PipeClient { inner: Arc::clone(&self.0), qos, generation })
    }

    /// Reads up to `limit` bytes of the oldest message; its author becomes the one to impersonate.
    ///
    /// # Returns
    /// `None` when no message waits.
    ///
    /// # Errors
    /// - `STATUS_PIPE_LISTENING`, `STATUS_PIPE_DISCONNECTED` when there is no client.
    pub fn read(&self, limit: usize) -> Result<Option<Vec<u8>>, NtStatus> {
        let mut state = self.0.state();
        let (author, queue) = match &mut *state {
            State::Connected { author, queue, .. } => (author, queue),
            State::Listening => return Err(NtStatus::PIPE_LISTENING),
            State::Disconnected => return Err(NtStatus::PIPE_DISCONNECTED),
        };
        let Some(message) = queue.front_mut() else { return Ok(None) };
        if limit == 0 && !message.bytes.is_empty() {
            return Ok(Some(Vec::new())); // nothing is consumed, so nobody else becomes the author
        }
        let taken = message.bytes.drain(..limit.min(message.bytes.len())).collect();
        let replaced = message.author.take().and_then(|next| author.replace(next));
        if message.bytes.is_empty() {
            queue.pop_front();
        }
        drop(state);
        drop(replaced);
        Ok(Some(taken))
    }

    /// Copies the oldest message and changes nothing, not even whom the server may impersonate.
    ///
    /// # Errors
    /// - as for [`Pipe::read`].
    pub fn peek(&self) -> Result<Option<Vec<u8>>, NtStatus> {
        match &*self.0.state() {
            State::Connected { queue, .. } => Ok(queue.front().map(|message| message.bytes.iter().copied().collect())),
            State::Listening => Err(NtStatus::PIPE_LISTENING),
            State::Disconnected => Err(NtStatus::PIPE_DISCONNECTED),
        }
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
    pub fn impersonate(&self, server: &ThreadRef) -> Result<Outcome, NtStatus> {
        let context = match &*self.0.state() {
            State::Connected { author: Some(author), .. } => author.context.clone(),
            State::Connected { author: None, .. } => return Err(NtStatus::CANNOT_IMPERSONATE),
            State::Listening => return Err(NtStatus::PIPE_LISTENING),
            State::Disconnected => return Err(NtStatus::PIPE_DISCONNECTED),
        };
        server.impersonate(&context)
    }

    /// Throws the client out, with everything it sent and every identity kept of it.
    pub fn disconnect(&self) {
        self.0.replace(State::Disconnected);
    }

    /// Waits for the next client.
    ///
    /// # Errors
    /// - `STATUS_PIPE_CONNECTED` when the pipe still has one.
    pub fn listen(&self) -> Result<(), NtStatus> {
        let mut state = self.0.state();
        match &*state {
            State::Connected { .. } => Err(NtStatus::PIPE_CONNECTED),
            State::Listening | State::Disconnected => {
                *state = State::Listening;
                Ok(())
            }
        }
    }
}

impl PipeClient {
    /// Returns what this client allows.
    pub fn qos(&self) -> Qos {
        self.qos
    }

    /// Sends a message.
    ///
    /// # Inputs
    /// - `author`: the thread that writes; captured now when tracking is dynamic, whichever thread completes the write.
    ///
    /// # Errors
    /// - `STATUS_PIPE_DISCONNECTED` when the server threw this client out.
    /// - the statuses of [`ClientContext::capture`] when tracking is dynamic. Nothing is queued then.
    pub fn write(&self, author: &ThreadRef, bytes: &[u8]) -> Result<(), NtStatus> {
        let stored = match self.qos.tracking {
            Tracking::Static => None,
            Tracking::Dynamic => Some(store(author, self.qos)?),
        };
        let mut state = self.inner.state();
        match &mut *state {
            State::Connected { generation, queue, .. } if *generation == self.generation => {
                queue.push_back(Message { bytes: bytes.iter().copied().collect(), author: stored });
                Ok(())
            }
            State::Connected { .. } | State::Listening | State::Disconnected => {
                drop(state);
                Err(NtStatus::PIPE_DISCONNECTED)
            }
        }
    }

    /// Refuses: only the server end may impersonate.
    ///
    /// # Errors
    /// - `STATUS_ILLEGAL_FUNCTION`, always.
    pub fn impersonate(&self, _: &ThreadRef) -> Result<Outcome, NtStatus> {
        Err(NtStatus::ILLEGAL_FUNCTION)
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        match &*state {
            State::Listening => f.write_str("Pipe(listening)"),
            State::Disconnected => f.write_str("Pipe(disconnected)"),
            State::Connected { qos, queue, author, .. } => f
                .debug_struct("Pipe")
                .field("qos", qos)
                .field("waiting", &queue.len())
                .field("knows_author", &author.is_some())
                .finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for PipeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeClient").field("qos", &self.qos).finish_non_exhaustive()
    }
}
