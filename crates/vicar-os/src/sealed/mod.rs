//! Processes that are one client for good, and less than the client.
//!
//! [`seal()`] gives up everything a process could come back with ([`drop_to`](crate::switch::irrevocable::drop_to)), then
//! puts a system call filter on it that fits its [`Purpose`], Landlock's [`Bounds`] and [`Limits`], and proves each by
//! trying. It is for a process that is about to execute a program, and for the workers of this module.
//!
//! Workers are forked by the [`Sealer`], a process with one thread that a server forks before it has more, and before it
//! reads secrets: a worker has the memory that the server had then. A worker does [`Job`]s, functions that were there before it
//! was, and [`FileRequest`]s, in batches through shared memory. [`SealedWorkers`] keeps them by client and plan, bounded in
//! number, and judges at each [`take`](SealedWorkers::take) whether the server may still act as the client.
//!
//! What a worker says is not trusted: it may be in the hands of whoever made the file it parsed. Every message has a limit and
//! is read by total functions, shared memory is read as numbers and each number once, descriptors are looked at before
//! anybody gets them, and one wrong answer ends the worker. It has sockets to nobody but the server, memory shared with nobody
//! but the server, and makes no call that traces or signals (purposes [`Purpose::Parse`] and [`Purpose::Files`]). What the
//! client's other processes show in `/proc`, their memory included, is a file to [`Purpose::Files`]: keep such workers within
//! [`Bounds`].
//!
//! | who ends | what happens |
//! |---|---|
//! | the worker | its request fails ([`SealedError::Crashed`]); the next one gets a new worker |
//! | the sealer | all workers are killed by the kernel (PR_SET_PDEATHSIG, set after the last change of ids, which clears it); [`SealedError::Dead`] |
//! | the server | the sealer sees it (pidfd), kills all workers and what they started, and ends |
//! | nobody asks | the worker ends by itself after its idle time |
//!
//! What a program leaves running that was started by a worker with [`Purpose::Execute`] is killed when that worker ends: it
//! becomes a child of the sealer (PR_SET_CHILD_SUBREAPER), and so does what that has started meanwhile. How many there can be is
//! bounded by [`Limits::tasks`]. Not bounded: programs of a worker outlive a sealer that is itself killed, because the signal of
//! PR_SET_PDEATHSIG is for the worker alone and is not inherited; they stay sealed, and a control group of the service ends them.
//!
//! # Cost
//! An open file that comes from a worker costs what opening it costs, and besides: passing the descriptor, closing it in the
//! worker, and two calls that look at what came (fstat, fcntl), which a hostile worker makes necessary. Taking descriptors
//! out of a worker (pidfd_getfd) is no way around it: that needs the right to trace it, which the server does not have, and a call
//! for each.

mod bounds;
mod error;
mod exchange;
mod file;
mod filter;
mod job;
mod order;
mod seal;
mod sealer;
mod worker;
mod workers;

pub use bounds::{Beneath, Bounds, NoLandlock, landlock_version};
pub use error::{FileError, SealedError};
pub use file::{FileAccess, FileAnswer, FileRequest, MAX_BATCH};
pub use filter::Purpose;
#[cfg(feature = "kerberos")]
pub(crate) use filter::WITHOUT_SIGNALS;
pub(crate) use filter::install as install_filter;
pub use job::{Accept, Job, JobAnswer, JobRequest};
pub use seal::{Limits, Seal, SealError, Sealed, seal};
pub use workers::{SealedWorkers, Worker};

use crate::supervisor::ForkError;
use crate::supervisor::apart::Apart;
use core::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// First byte of an order for a worker.
const START: u8 = 1;
/// First byte of the message that says: look into the shared memory.
const BELL: u8 = 1;
/// First byte of a job's request or answer that is in the message.
const JOB: u8 = 2;
/// The only byte of one that is in the first descriptor.
const LARGE_JOB: u8 = 3;
/// Most bytes of a request or answer that travels in a message.
const INLINE: usize = 60 << 10;
/// Longest message.
const MAX_MESSAGE_LEN: usize = INLINE + 16;
/// Most bytes of any request or answer.
const MAX_LARGE: usize = 64 << 20;

/// What a worker is to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Plan {
    /// How it is sealed.
    pub seal: Seal,
    /// The directory its file requests are beneath, opened by the worker as the client.
    pub directory: Option<PathBuf>,
}

impl Plan {
    /// A worker without a directory.
    #[must_use]
    pub const fn new(seal: Seal) -> Self {
        Self { seal, directory: None }
    }

    /// With a directory.
    #[must_use]
    pub fn at(self, directory: PathBuf) -> Self {
        Self { directory: Some(directory), ..self }
    }
}

/// The limits of a sealer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SealerOptions {
    /// Most workers at a time; those that are ending count.
    pub workers: usize,
}

impl Default for SealerOptions {
    fn default() -> Self {
        Self { workers: 128 }
    }
}

/// The limits of a server's workers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// Most workers at a time.
    pub workers: usize,
    /// Most workers of one user at a time.
    pub per_user: usize,
    /// How long a worker stays that nobody asks.
    pub idle: Duration,
    /// Longest time for one answer; the worker is killed after that.
    pub call_limit: Duration,
    /// Longest time to wait for a worker when there are as many as there may be.
    pub wait: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { workers: 64, per_user: 4, idle: seconds(60), call_limit: seconds(30), wait: seconds(10) }
    }
}

/// The number of a job: its place in the list that the sealer was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(u16);

/// The server's end of the process that makes sealed workers. Cheap to clone. The process ends with the last of them.
#[derive(Clone)]
pub struct Sealer {
    inner: Arc<Handle>,
}

struct Handle {
    apart: Apart,
    jobs: &'static [Job],
}

impl Sealer {
    /// Forks the sealer. See [`Starting::fork_sealer`](crate::Starting::fork_sealer).
    ///
    /// # Errors
    /// - [`ForkError::ManyThreads`] when this process has more than one thread.
    /// - [`ForkError::Lacks`] when the process lacks CAP_SETUID, CAP_SETGID or CAP_KILL: a worker could not become anybody, or
    ///   not be ended.
    /// - [`ForkError::Failed`], [`ForkError::NotReady`] when it could not be made or prepared; it has ended or is ending.
    ///
    /// # Identity
    /// The sealer keeps the ids of the calling thread and no capability but CAP_SETUID, CAP_SETGID, CAP_SETPCAP and CAP_KILL. It
    /// opens no file of a client. It is in a session of its own, cannot be dumped or traced by others, has no descriptor but its
    /// socket, and ends when this process does.
    ///
    /// # Source
    /// fork(2), capabilities(7), prctl(2) PR_SET_CHILD_SUBREAPER, pidfd_open(2).
    pub fn fork(options: SealerOptions, jobs: &'static [Job]) -> Result<Self, ForkError> {
        let apart = Apart::fork(|socket, server| sealer::main(socket, server, &options, jobs))?;
        Ok(Self { inner: Arc::new(Handle { apart, jobs }) })
    }

    /// Finds a job by its name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<JobId> {
        let place = self.inner.jobs.iter().position(|job| job.name == name)?;
        u16::try_from(place).ok().map(JobId)
    }

    /// Whether the process is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner.apart.is_alive()
    }

    /// Its process id, for the log.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.apart.pid()
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        self.inner.apart.socket()
    }

    pub(crate) fn jobs(&self) -> usize {
        self.inner.jobs.len()
    }
}

/// Reads bytes as an order, and as a worker's first report, and makes sure that what is one means itself. For fuzzing.
#[doc(hidden)]
pub fn judge_message(bytes: &[u8]) {
    if let Some(order) = order::decode(bytes) {
        assert_eq!(order::encode(&order).as_deref(), Some(bytes));
    }
    if let Some(report) = order::decode_report(bytes) {
        assert_eq!(order::decode_report(&order::encode_report(&report)), Some(report));
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("process", &self.pid()).finish_non_exhaustive()
    }
}
