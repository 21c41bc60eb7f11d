//! Acting as clients by io_uring: the kernel keeps who each client is, and every request says whose it is.
//!
//! A [`Ring`] submits [`Operation`]s, each with the identity of a [`ClientContext`]; the kernel checks each as that
//! client, whatever thread submitted it and whatever worker does it. Many clients take turns without any thread changing
//! its identity. [`Files`] is the front over both roads: what has an opcode is submitted, what has none (`chmod`,
//! `chown`, `utimensat`, `getdents`, `readlink`, `truncate`, `access`, `statfs`, locks) is done by client threads behind
//! the same calls, and where io_uring is not allowed the threads do everything.
//!
//! # Rules
//! * A submission without an identity cannot be expressed: the only way into the queue takes the number of one, which is
//!   never zero, and a number is leased to the submission until it has ended.
//! * No kernel polling thread (`IORING_SETUP_SQPOLL`): it would act as the server.
//! * An identity is kept by a thread made for it, after it has become the client for good: nothing permitted, real and
//!   saved ids of nobody, an empty session keyring. It is then tried: the client's file opens and the server's does not.
//! * A path is resolved beneath a directory that the client itself reached, by `openat2`; everything else takes one name
//!   in such a directory. Content is opened only of what was looked at before and is a regular file.
//! * The ring's descriptor is the sum of all identities in it. It never leaves this module and is closed on exec.
//! * Memory that a submission points to is the ring's until the kernel is done, also when nobody waits any more.
//!
//! What the kernel does not check again: reading and writing a file that the client opened.
//!
//! # The look at what was opened
//! Between the look and the opening, whoever may write a directory on the way can put something else in the name's place:
//! another file, a FIFO, a device, a link into a file system of the kernel's own. So each opening for content ends with one
//! fstat(2), by which the inode is compared with the one that was looked at, and anything else is closed and reported
//! ([`FsError::Changed`]). It is never left out, because nothing cheaper proves the same: a flag of openat2 that opens
//! regular files only does not exist, `RESOLVE_NO_XDEV` says nothing about the kind, a statx of the ring is always given to
//! a kernel worker and costs more than the call, and so does opening the magic link of the descriptor that is held. What
//! it does make needless is `RESOLVE_BENEATH` for a single name ([`Operation::open_name`]): the name has no `..` and is no
//! link, and whatever else is found there is not what was found beneath before.
//!
//! # Restricted clients
//! A client that has less than the rights of its user and groups (deny-only groups, restricting SIDs, a lowered integrity) is
//! refused by a [`Ring`] and by every method of [`Files`], with [`EnterError::Project`]: its opens have to succeed twice, and
//! an io_uring keeps one identity a number. [`ClientThreads::run_restricted`](crate::ClientThreads::run_restricted) is its
//! road.
//!
//! # Source
//! io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register(2) (`IORING_REGISTER_PERSONALITY`,
//! `IORING_REGISTER_PROBE`), openat2(2), credentials(7).

mod availability;
mod capture;
mod files;
mod identities;
mod inode;
#[cfg(loom)]
#[cfg(test)]
mod model;
mod operation;
#[cfg(not(loom))]
#[cfg(test)]
mod tests;
mod traffic;

pub use availability::{Known, Unavailable, survey};
pub use files::{Blocking, FileAnswer, Files, FilesOptions, Lock, RoadReport, UseRing};
pub use inode::Inode;
pub use operation::{Batch, CONTENT_LIMIT, Content, Done, OpenFor, Operation};

use crate::client::{ClientContext, IdentityKey, Projected};
use crate::enter::{EnterError, Misuse, Purpose, acts_as_client};
use crate::fs::{Errno, FsError, magic_path};
use crate::pool::{Answer, ClientThread, RunError, answer};
use crate::server::Server;
use crate::sys::ring::Queue;
use crate::sys::ring_call::{At, Call, Calls, Link, Output, Outputs};
use crate::sys::ring_text::Text;
use capture::Registrar;
use core::fmt;
use operation::Endings;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{OFlags, ResolveFlags};
use smallvec::smallvec;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use traffic::{Bounds, Order, Traffic};

/// When the kernel may do a request during the submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inline {
    /// When it need not wait for anything.
    WhenReady,
    /// Never: a kernel worker does every request (`IOSQE_ASYNC`). Slower, and the same answers.
    Never,
}

/// How large a ring is. Zero means one.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Most operations under way, rounded up to a power of two by the kernel.
    pub entries: u32,
    /// Most identities kept at a time, at most 65,535; the longest unused leaves.
    pub identities: u16,
    /// Most batches that wait to be submitted; one more is [`RunError::Busy`].
    pub queued: usize,
    /// Most of them of one user.
    pub queued_per_client: usize,
    /// The umask for what is made.
    pub umask: u32,
    /// When the kernel may do a request during the submission.
    pub inline: Inline,
    /// How long the end of the ring waits for what is under way; then it is cancelled, and what cannot be cancelled is
    /// left to the kernel with its memory.
    pub patience: Duration,
    /// System calls that are not submitted although the kernel could, by the names that [`Known::names`] gives.
    pub without: Vec<&'static str>,
}

impl Default for RingOptions {
    /// 256 operations, 1,024 identities, 4,096 waiting batches, 1,024 of one user, umask 022, five seconds to end.
    fn default() -> Self {
        Self {
            entries: 256,
            identities: 1024,
            queued: 4096,
            queued_per_client: 1024,
            umask: crate::DEFAULT_UMASK,
            inline: Inline::WhenReady,
            patience: Duration::from_secs(5),
            without: Vec::new(),
        }
    }
}

/// A ring with the identities of a server's clients. Cheap to clone; it ends with the last clone, after what is under
/// way.
#[derive(Clone)]
pub struct Ring {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    traffic: Arc<Traffic>,
    registrar: Arc<Registrar>,
    driver: Option<JoinHandle<()>>,
    known: Known,
}

impl Ring {
    /// Makes a ring and its two threads.
    ///
    /// # Errors
    /// - [`Unavailable`]; nothing is left running.
    pub fn start(server: &Server, options: &RingOptions) -> Result<Self, Unavailable> {
        if !server.can_switch() {
            return Err(Unavailable::Powerless);
        }
        survey()?;
        let queue = Queue::open(options.entries.max(1)).map_err(Unavailable::of)?;
        let known = Known::ask(&queue, &options.without).map_err(Unavailable::of)?;
        let bounds = Bounds {
            queued: options.queued.max(1),
            queued_per_client: options.queued_per_client.max(1),
            always_async: options.inline == Inline::Never,
            patience: options.patience,
        };
        let resources = |errno: i32| Unavailable::Resources { errno };
        let traffic = Traffic::new(queue, usize::from(options.identities), bounds);
        let traffic = Arc::new(traffic.map_err(|errno| resources(errno.raw_os_error()))?);
        let no_thread = |error: std::io::Error| resources(error.raw_os_error().unwrap_or(libc::EAGAIN));
        let registrar = Arc::new(Registrar::start(server, &traffic).map_err(no_thread)?);
        let (ready, started) = channel();
        let body = {
            let (server, traffic, registrar) = (server.clone(), Arc::clone(&traffic), Arc::clone(&registrar));
            let umask = options.umask;
            move || {
                // Nobody from now on: what it submits is checked as the client that the submission names.
                let thread = ClientThread::adopt(&server, umask);
                let adopted = thread.as_ref().map(|_| ()).map_err(|error| error.errno);
                let is_ready = ready.send(adopted).is_ok() && adopted.is_ok();
                if is_ready {
                    traffic.drive(&|client| registrar.register(client));
                }
                drop(thread);
            }
        };
        let driver = std::thread::Builder::new().name("ring-driver".to_owned()).spawn(body).map_err(no_thread)?;
        let inner = Inner { server: server.clone(), traffic, registrar, driver: Some(driver), known };
        match started.recv() {
            Ok(Ok(())) => Ok(Self { inner: Arc::new(inner) }),
            Ok(Err(errno)) => Err(resources(errno)),
            Err(_ended) => Err(resources(libc::ECANCELED)),
        }
    }

    /// The operations that this ring does.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.inner.known
    }

    /// How many operations a batch may have.
    #[must_use]
    pub fn batch_limit(&self) -> usize {
        self.inner.traffic.limit()
    }

    /// How many identities the ring keeps now.
    #[must_use]
    pub fn identities(&self) -> usize {
        self.inner.traffic.identity_count()
    }

    /// Submits a batch as the client.
    ///
    /// The answer is a future of no particular runtime, with one result for each operation; [`Answer::wait`] blocks
    /// instead. The batch runs to its end even when the answer is dropped; a descriptor that nobody takes is closed.
    ///
    /// # Errors
    /// The answer is [`RunError`] when nothing was submitted: the gate refused, the client was revoked, too much waits. Every
    /// operation is `ENOSYS` when the batch has one that this ring does not know, more than [`Self::batch_limit`], or a
    /// chain that the kernel would not stop (see [`Batch::then`]).
    ///
    /// # Identity
    /// Changes none. The kernel checks each operation as the client: its uid, gid and all groups, no capability.
    ///
    /// # Cost
    /// One hand-over to the ring's own thread; for a client that the ring does not keep, the making of a thread.
    pub fn run(&self, client: &ClientContext, batch: Batch) -> Answer<Vec<Result<Done, FsError>>> {
        let (promise, answer) = answer::pair();
        match self.prepare(client, batch) {
            Err(early) => promise.keep(early),
            Ok(Prepared { key, calls, endings }) => {
                let deliver = move |outputs: Result<Outputs, RunError>| {
                    promise.keep(outputs.map(|outputs| endings.end(outputs)));
                };
                self.inner.traffic.order(Order { client: client.clone(), key, calls, deliver: Box::new(deliver) });
            }
        }
        answer
    }

    /// Submits a batch as the client and waits for it, on the calling thread where that is right.
    ///
    /// # Errors
    /// - As [`Self::run`]; [`Misuse::AlreadyImpersonating`] on a thread that acts as a client, because the kernel would
    ///   make its workers of that thread.
    ///
    /// # Cost
    /// One system call for what can be done at once, and one for each file that is opened. What makes an inode is handed
    /// over, because its mode depends on the umask of the thread that submits it. For one operation at a time a client
    /// thread that keeps its client is cheaper, see [`crate::ClientThread::run`]; a ring pays from eight on.
    pub fn run_blocking(&self, client: &ClientContext, batch: Batch) -> Result<Vec<Result<Done, FsError>>, RunError> {
        if acts_as_client() {
            return Err(RunError::Enter(EnterError::Misuse(Misuse::AlreadyImpersonating)));
        }
        if batch.makes() {
            return self.run(client, batch).wait();
        }
        Ok(match self.run_prepared(client, batch)? {
            Ok((outputs, endings)) => endings.end(outputs),
            Err(early) => early,
        })
    }

    fn run_prepared(&self, client: &ClientContext, batch: Batch) -> Result<Result<Ran, Early>, RunError> {
        let Prepared { key, calls, endings } = match self.prepare(client, batch) {
            Ok(prepared) => prepared,
            Err(early) => return early.map(Err),
        };
        let register = |client: &ClientContext| self.inner.registrar.register(client);
        let outputs = self.inner.traffic.run_here(client, &key, calls, &register)?;
        Ok(Ok((outputs, endings)))
    }

    /// Submits one operation as the client and waits for it; as [`Self::run_blocking`], with less to be put together.
    ///
    /// # Errors
    /// - As [`Self::run_blocking`].
    pub fn run_one(&self, client: &ClientContext, operation: Operation) -> Result<Result<Done, FsError>, RunError> {
        let batch = Batch::of(operation);
        if acts_as_client() || batch.makes() {
            return self.run_blocking(client, batch)?.pop().ok_or(RunError::Closed);
        }
        let (outputs, endings) = match self.run_prepared(client, batch)? {
            Ok(ran) => ran,
            Err(mut early) => return early.pop().ok_or(RunError::Closed),
        };
        endings.end_one(outputs).ok_or(RunError::Closed)
    }

    /// Ends a client: it is revoked on every road, what it has under way in this ring is waited for, and the ring forgets
    /// it. Later submissions are [`EnterError::Revoked`].
    ///
    /// Blocks until the kernel is done; of what was opened, descriptors stay.
    pub fn revoke(&self, client: &ClientContext) {
        self.inner.traffic.revoke(client);
    }

    /// Opens files anew as the client and makes a socket: what the kernel said of each file, and whose the socket is.
    pub(crate) fn try_opening(&self, client: &ClientContext, files: [&Arc<OwnedFd>; 2]) -> Result<Tried, RunError> {
        let open = |file: &Arc<OwnedFd>| Call::Open {
            at: At::Magic(Arc::clone(file)),
            path: Text::of(magic_path(file.as_fd()).as_bytes()),
            flags: OFlags::RDONLY | OFlags::CLOEXEC,
            mode: 0,
            resolve: ResolveFlags::empty(),
        };
        let socket = Call::Socket { domain: libc::AF_UNIX, kind: libc::SOCK_STREAM, protocol: 0 };
        let [own, other] = files.map(open);
        let key = client.key(self.inner.server.primary_state(), Purpose::Act);
        let register = |client: &ClientContext| self.inner.registrar.register(client);
        // One by one: the smallest ring holds no more.
        let run = |call| -> Result<Result<Output, Errno>, RunError> {
            let outputs = self.inner.traffic.run_here(client, &key, smallvec![(call, Link::None)], &register)?;
            Ok(outputs.into_iter().next().unwrap_or(Err(Errno::IO)))
        };
        let opened = [run(own)?.map(drop), run(other)?.map(drop)];
        let owner = match run(socket)? {
            Ok(Output::Descriptor(socket)) => rustix::fs::fstat(socket).ok().map(|about| about.st_uid),
            Ok(Output::Nothing | Output::Stat(_) | Output::Bytes(_) | Output::Count(_)) | Err(_) => None,
        };
        Ok((opened, owner))
    }

    /// Whether the ring does all of a batch, and all of it as the batch says.
    pub(crate) fn knows(&self, batch: &Batch) -> bool {
        batch.len() <= self.batch_limit()
            && batch.codes().all(|code| self.inner.known.contains(code))
            && batch.stops_in_kernel()
    }

    fn prepare(&self, client: &ClientContext, batch: Batch) -> Result<Prepared, Ended> {
        if client.server() != self.inner.server.id() {
            return Err(Err(RunError::Enter(EnterError::Misuse(Misuse::ForeignContext))));
        }
        if batch.is_empty() {
            return Err(Ok(Vec::new()));
        }
        if !self.knows(&batch) {
            let refused = || Err(FsError::Os { operation: "submit", errno: Errno::NOSYS });
            return Err(Ok((0..batch.len()).map(|_| refused()).collect()));
        }
        let key = client.key(self.inner.server.primary_state(), Purpose::Act);
        let projected = projected(client).map_err(Err)?;
        let (calls, endings) = batch.split(projected).map_err(Ok)?;
        Ok(Prepared { key, calls, endings })
    }
}

fn projected(client: &ClientContext) -> Result<Arc<Projected>, RunError> {
    client.projected().map_err(|error| RunError::Enter(EnterError::Project(error)))
}

/// What the kernel said of two files, and whose the socket is that was made.
type Tried = ([Result<(), Errno>; 2], Option<u32>);

/// Answers of a batch that was not submitted.
type Early = Vec<Result<Done, FsError>>;

/// A batch that ended before it was submitted.
type Ended = Result<Early, RunError>;

/// What the kernel gave, and what is made of it.
type Ran = (Outputs, Endings);

struct Prepared {
    key: IdentityKey,
    calls: Calls,
    endings: Endings,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("identities", &self.identities()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.traffic.close();
        if let Some(driver) = self.driver.take()
            && driver.thread().id() != std::thread::current().id()
        {
            let _ = driver.join();
        }
    }
}
