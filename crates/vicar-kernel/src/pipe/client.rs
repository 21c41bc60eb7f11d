//! The client end of a pipe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use vicar_nt::NtStatus;

use super::{Inner, Message, store};
use crate::impersonate::Outcome;
use crate::qos::{Qos, Tracking};
use crate::thread::ThreadRef;

/// The client end of a pipe. Dropping it closes it; what was sent stays, and so does who sent it.
pub struct PipeClient {
    inner: Arc<Inner>,
    qos: Qos,
    generation: u64,
}

impl PipeClient {
    pub(super) fn new(inner: Arc<Inner>, qos: Qos, generation: u64) -> Self {
        Self { inner, qos, generation }
    }

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
    /// - the statuses of [`ClientContext::capture`](crate::client::ClientContext::capture) when tracking is dynamic.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// Nothing is queued then.
    #[track_caller]
    pub fn write(&self, author: &ThreadRef, bytes: &[u8]) -> Result<(), NtStatus> {
        let stored = match self.qos.tracking {
            Tracking::Static => None,
            Tracking::Dynamic => Some(store(author, self.qos)?),
        };
        let message = Message::new(author.system(), bytes, stored)?;
        let mut state = self.inner.state();
        match state.connection_of(self.generation) {
            Ok(connection) => connection.to_server.push_back(message),
            Err(status) => {
                drop(state);
                drop(message);
                return Err(status);
            }
        }
        drop(state);
        self.inner.changed.notify_all();
        Ok(())
    }

    /// Reads up to `limit` bytes of the oldest message of the server.
    ///
    /// # Returns
    /// `None` when no message waits.
    ///
    /// # Errors
    /// - `STATUS_PIPE_DISCONNECTED` when the server threw this client out, or is gone.
    pub fn read(&self, limit: usize) -> Result<Option<Vec<u8>>, NtStatus> {
        let mut state = self.inner.state();
        Ok(read(&mut state.connection_of(self.generation)?.to_client, limit))
    }

    /// Like [`PipeClient::read`], but waits up to `patience` for a message.
    ///
    /// # Errors
    /// - `STATUS_IO_TIMEOUT` when none came.
    /// - as for [`PipeClient::read`].
    pub fn read_wait(&self, limit: usize, patience: Duration) -> Result<Vec<u8>, NtStatus> {
        self.inner.wait(patience, |state| Ok(read(&mut state.connection_of(self.generation)?.to_client, limit)))
    }

    /// Sends a message and waits for the answer.
    ///
    /// # Errors
    /// - as for [`PipeClient::write`] and [`PipeClient::read_wait`].
    ///
    /// # NT
    /// `FSCTL_PIPE_TRANSCEIVE`.
    #[doc(alias = "FSCTL_PIPE_TRANSCEIVE")]
    #[doc(alias = "TransactNamedPipe")]
    #[track_caller]
    pub fn transceive(
        &self,
        author: &ThreadRef,
        bytes: &[u8],
        limit: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, NtStatus> {
        self.write(author, bytes)?;
        self.read_wait(limit, patience)
    }

    /// Refuses: only the server end may impersonate.
    ///
    /// # Errors
    /// - `STATUS_ILLEGAL_FUNCTION`, always.
    pub fn impersonate(&self, _: &ThreadRef) -> Result<Outcome, NtStatus> {
        Err(NtStatus::ILLEGAL_FUNCTION)
    }
}

fn read(queue: &mut std::collections::VecDeque<Message>, limit: usize) -> Option<Vec<u8>> {
    let message = queue.front_mut()?;
    let bytes = message.take(limit);
    if message.bytes.is_empty() {
        queue.pop_front();
    }
    Some(bytes)
}

impl Drop for PipeClient {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Ok(connection) = state.connection_of(self.generation) {
            connection.is_client_gone = true;
        }
        drop(state);
        self.inner.changed.notify_all();
    }
}

impl fmt::Debug for PipeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeClient").field("qos", &self.qos).finish_non_exhaustive()
    }
}
