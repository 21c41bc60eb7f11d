//! Names for pipes, and who came first to one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vicar_nt::NtStatus;

use super::{CAUTIOUS, Inner, Pipe, PipeClient};
use crate::qos::Qos;
use crate::thread::ThreadRef;
use crate::verifier::Lock;

/// Whether a server insists on being the first that gives a pipe its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstInstance {
    /// Somebody else who has the name already is found out.
    #[doc(alias = "FILE_FLAG_FIRST_PIPE_INSTANCE")]
    Required,
    /// One more instance under the name will do.
    NotRequired,
}

/// The names of a machine's pipes. Several pipes may share one; a client gets the first that listens.
///
/// A name leads to its pipes as long as their server ends live.
#[derive(Default)]
pub struct PipeNames(Mutex<BTreeMap<String, Vec<std::sync::Weak<Inner>>>>);

impl PipeNames {
    /// Makes a machine without pipes.
    pub fn new() -> Self {
        Self::default()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Vec<std::sync::Weak<Inner>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a pipe with a name. Names are compared without regard to ASCII case.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when this is to be the first instance and it is not: somebody may be waiting for clients that
    ///   are not his.
    ///
    /// # NT
    /// `NtCreateNamedPipeFile`.
    #[doc(alias = "NtCreateNamedPipeFile")]
    #[doc(alias = "CreateNamedPipe")]
    pub fn create(&self, name: &str, first: FirstInstance) -> Result<Pipe, NtStatus> {
        let mut names = self.names();
        let instances = names.entry(name.to_ascii_lowercase()).or_default();
        instances.retain(|instance| instance.strong_count() > 0);
        if first == FirstInstance::Required && !instances.is_empty() {
            return Err(NtStatus::ACCESS_DENIED);
        }
        let pipe = Pipe::new();
        instances.push(Arc::downgrade(&pipe.0));
        Ok(pipe)
    }

    /// Opens the first pipe of that name that listens. Without a quality of service the server only gets to see who it is
    /// ([`CAUTIOUS`]), because a name says nothing about who stands behind it.
    ///
    /// # Errors
    /// - `STATUS_OBJECT_NAME_NOT_FOUND` when there is no such pipe.
    /// - as for [`Pipe::open`]; `STATUS_PIPE_BUSY` when all of them have clients.
    #[track_caller]
    pub fn open(&self, name: &str, opener: &ThreadRef, qos: Option<Qos>) -> Result<PipeClient, NtStatus> {
        let locking = opener.system().locking(Lock::PipeNames);
        let found: Vec<Arc<Inner>> = match self.names().get(&name.to_ascii_lowercase()) {
            Some(instances) => instances.iter().filter_map(std::sync::Weak::upgrade).collect(),
            None => Vec::new(),
        };
        drop(locking);
        let mut answer = NtStatus::OBJECT_NAME_NOT_FOUND;
        for inner in found {
            match Pipe::open_inner(&inner, opener, qos.unwrap_or(CAUTIOUS)) {
                Ok(client) => return Ok(client),
                Err(status @ (NtStatus::PIPE_BUSY | NtStatus::PIPE_DISCONNECTED)) => answer = status,
                Err(status) => return Err(status),
            }
        }
        Err(answer)
    }
}

impl fmt::Debug for PipeNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names().keys()).finish()
    }
}
