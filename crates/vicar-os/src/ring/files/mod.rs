//! One front over both roads: what has an opcode goes to the ring, the rest and whatever no ring can do to the threads.

mod plan;

use super::{Batch, Content, Done, Inode, Known, OpenFor, Ring, RingOptions, Unavailable, projected};
use crate::client::ClientContext;
use crate::fs::{Access, BeneathPath, Entry, FsError, Links, Name, Replace, Space, Stat, Time};
use crate::pool::{Answer, ClientThreadOptions, ClientThreads, PoolError, RunError, answer};
use crate::server::Server;
use crate::sys::ring_call::{Call, Calls, Link, Output, Outputs};
use crate::{AsClient, KernelGid, KernelUid};
use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::Arc;

/// Whether a ring is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseRing {
    /// If this system allows it; the report says why not.
    IfAvailable,
    /// Never: client threads do everything.
    Never,
}

/// How a [`Files`] is made.
#[derive(Clone, Debug)]
pub struct FilesOptions {
    /// Whether a ring is made.
    pub use_ring: UseRing,
    /// How large it is.
    pub ring: RingOptions,
    /// The client threads.
    pub threads: ClientThreadOptions,
}

impl Default for FilesOptions {
    /// A ring if this system allows it, both roads with their own defaults.
    fn default() -> Self {
        Self { use_ring: UseRing::IfAvailable, ring: RingOptions::default(), threads: ClientThreadOptions::default() }
    }
}

/// Which road does what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoadReport {
    /// What the ring does, or why there is none.
    pub ring: Result<Known, Unavailable>,
}

impl fmt::Display for RoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ring {
            Err(why) => write!(f, "client threads do everything: no ring, {why}"),
            Ok(known) => {
                let list = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
                write!(f, "the ring does {}", list(&mut known.names()))?;
                let missing = list(&mut known.missing());
                if missing.is_empty() { Ok(()) } else { write!(f, "; client threads do {missing}, which it lacks") }
            }
        }
    }
}

/// What a file operation gave: [`RunError`] when nothing was done as the client, [`FsError`] when the kernel or a rule
/// of [`crate::fs`] refused.
pub type FileAnswer<T> = Result<Result<T, FsError>, RunError>;

/// File operations as clients, each by the road that can do it. Cheap to clone.
///
/// The methods are futures of no particular runtime; [`Self::blocking`] has the same ones for callers that wait. None of
/// them changes the identity of the calling thread, and a future that is dropped leaves nothing half-owned: what was
/// submitted runs to its end, and a descriptor that nobody takes is closed.
///
/// Restricted clients are refused, see [the module](crate::ring#restricted-clients).
///
/// # Examples
/// ```no_run
/// # use vicar_os::{ClientContext, Server};
/// # use vicar_os::fs::BeneathPath;
/// # use vicar_os::ring::{FilesOptions, OpenFor};
/// # async fn first_bytes(server: &Server, client: &ClientContext) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
/// let files = server.files(&FilesOptions::default())?;
/// println!("{}", files.report());
/// let share = files.root(client, std::path::Path::new("/srv/share")).await??;
/// let content = files.open_file(client, &share, &BeneathPath::parse(b"notes/today.txt")?, OpenFor::Reading).await??;
/// Ok(files.read(client, &content, 0, 4096).await??)
/// # }
/// ```
#[derive(Clone)]
pub struct Files {
    ring: Option<Ring>,
    threads: ClientThreads,
    report: Arc<RoadReport>,
}

/// The methods of [`Files`] for callers that wait.
#[derive(Clone, Copy, Debug)]
pub struct Blocking<'a>(&'a Files);

impl Files {
    /// Starts the client threads and, if it may be, the ring.
    ///
    /// # Errors
    /// - [`PoolError`] when the threads cannot be made. A ring that cannot be made is no error: [`Self::report`] says so.
    pub(crate) fn start(server: &Server, options: &FilesOptions) -> Result<Self, PoolError> {
        let threads = server.client_threads(options.threads)?;
        let ring = match options.use_ring {
            UseRing::Never => Err(Unavailable::TurnedOff),
            UseRing::IfAvailable => Ring::start(server, &options.ring),
        };
        let report = RoadReport { ring: ring.as_ref().map(|ring| ring.known().clone()).map_err(|why| *why) };
        Ok(Self { ring: ring.ok(), threads, report: Arc::new(report) })
    }

    /// Which road does what, and why.
    #[must_use]
    pub fn report(&self) -> &RoadReport {
        &self.report
    }

    /// The ring, if there is one.
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        self.ring.as_ref()
    }

    /// The client threads.
    #[must_use]
    pub fn threads(&self) -> &ClientThreads {
        &self.threads
    }

    /// The same operations for callers that wait. Not for a thread of an asynchronous runtime.
    #[must_use]
    pub fn blocking(&self) -> Blocking<'_> {
        Blocking(self)
    }

    /// Does a batch as the client: by the ring if it knows every operation of it, else on one client thread in order.
    ///
    /// # Errors
    /// The answer is [`RunError`] when nothing was done.
    pub fn run(&self, client: &ClientContext, batch: Batch) -> Answer<Vec<Result<Done, FsError>>> {
        match &self.ring {
            Some(ring) if ring.knows(&batch) => ring.run(client, batch),
            Some(_) | None => self.run_on_thread(client, batch),
        }
    }

    /// Ends a client on every road; see [`Ring::revoke`].
    pub fn revoke(&self, client: &ClientContext) {
        match &self.ring {
            Some(ring) => ring.revoke(client),
            None => client.revoke(),
        }
    }

    fn run_on_thread(&self, client: &ClientContext, batch: Batch) -> Answer<Vec<Result<Done, FsError>>> {
        let early = |ended| {
            let (promise, answer) = answer::pair();
            promise.keep(ended);
            answer
        };
        let who = match projected(client) {
            Ok(who) => who,
            Err(error) => return early(Err(error)),
        };
        match batch.split(who) {
            Err(refused) => early(Ok(refused)),
            Ok((calls, endings)) => self.threads.run(client, move |_as_client| endings.end(perform(calls))),
        }
    }
}

/// Does calls in order on this thread, as the kernel does a chain of submissions.
fn perform(calls: Calls) -> Outputs {
    let mut is_cancelled = false;
    let mut outputs = Outputs::with_capacity(calls.len());
    for (call, link) in calls {
        let output = if is_cancelled { Err(Errno::CANCELED) } else { again(call) };
        is_cancelled = link == Link::Soft && output.is_err();
        outputs.push(output);
    }
    outputs
}

/// A path that a rename disturbed is walked again, as the ring's caller does.
fn again(call: Call) -> Result<Output, Errno> {
    match call.clone().perform() {
        Err(Errno::AGAIN | Errno::INTR) if matches!(call, Call::Open { .. }) => call.perform(),
        output => output,
    }
}

impl Blocking<'_> {
    /// Does a batch as the client and waits for it.
    ///
    /// # Errors
    /// - [`RunError`] when nothing was done.
    pub fn run(&self, client: &ClientContext, batch: Batch) -> Result<Vec<Result<Done, FsError>>, RunError> {
        match &self.0.ring {
            Some(ring) if ring.knows(&batch) => ring.run_blocking(client, batch),
            Some(_) | None => self.0.run_on_thread(client, batch).wait(),
        }
    }
}

/// How a plan gets its answers: as a future, or by waiting, which is a future that is ready at once.
trait Way: Sync {
    fn submit(
        &self,
        client: &ClientContext,
        batch: Batch,
    ) -> impl Future<Output = Result<Vec<Result<Done, FsError>>, RunError>> + Send;

    fn on_thread<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, RunError>> + Send;
}

struct Polling<'a>(&'a Files);

impl Way for Polling<'_> {
    fn submit(
        &self,
        client: &ClientContext,
        batch: Batch,
    ) -> impl Future<Output = Result<Vec<Result<Done, FsError>>, RunError>> + Send {
        self.0.run(client, batch)
    }

    fn on_thread<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, RunError>> + Send {
        self.0.threads.run(client, work)
    }
}

struct Waiting<'a>(&'a Files);

impl Way for Waiting<'_> {
    fn submit(
        &self,
        client: &ClientContext,
        batch: Batch,
    ) -> impl Future<Output = Result<Vec<Result<Done, FsError>>, RunError>> + Send {
        core::future::ready(Blocking(self.0).run(client, batch))
    }

    fn on_thread<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> impl Future<Output = Result<R, RunError>> + Send {
        core::future::ready(self.0.threads.run_blocking(client, work))
    }
}

/// The value of a future that never waits.
fn now<T>(plan: impl Future<Output = FileAnswer<T>>) -> FileAnswer<T> {
    match pin!(plan).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // Every step was ready when it was asked for, so there is nothing to wait for.
        Poll::Pending => Err(RunError::Closed),
    }
}

macro_rules! fronts {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $output:ty;)*) => {
        impl Files {
            $(
                $(#[$doc])*
                pub async fn $name(&self, client: &ClientContext $(, $argument: $type)*) -> FileAnswer<$output> {
                    plan::$name(&Polling(self), client $(, $argument)*).await
                }
            )*
        }

        impl Blocking<'_> {
            $(
                $(#[$doc])*
                pub fn $name(&self, client: &ClientContext $(, $argument: $type)*) -> FileAnswer<$output> {
                    now(plan::$name(&Waiting(self.0), client $(, $argument)*))
                }
            )*
        }
    };
}

fronts! {
    /// Opens a directory by walking to it from `/` as the client, on a thread; see [`Root::open`](crate::fs::Root::open).
    ///
    /// # Errors
    /// - As there.
    fn root(path: &Path) -> Inode;

    /// Finds what `path` names beneath `directory`; see [`Operation::look`](super::Operation::look).
    ///
    /// # Errors
    /// - As there.
    fn look(directory: &Inode, path: &BeneathPath, links: Links) -> Inode;

    /// Looks at a regular file and opens it for its content.
    ///
    /// # Errors
    /// - As [`Operation::look`](super::Operation::look) and [`Operation::open`](super::Operation::open).
    fn open_file(directory: &Inode, path: &BeneathPath, open_for: OpenFor) -> Content;

    /// Opens a regular file that was looked at: this very inode.
    ///
    /// # Errors
    /// - As [`Operation::reopen`](super::Operation::reopen).
    fn reopen(looked: &Inode, open_for: OpenFor) -> Content;

    /// Makes a regular file; nothing may have the name.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not, or `EEXIST`.
    fn create(directory: &Inode, name: &Name, mode: u32) -> Content;

    /// Makes a regular file without a name.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not, or `EOPNOTSUPP` where every file has a name.
    fn create_nameless(directory: &Inode, mode: u32) -> Content;

    /// Gives a file without a name one that nothing has yet.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not, or `EEXIST`.
    fn name_it(content: &Content, directory: &Inode, name: &Name) -> ();

    /// Says what the kernel says about a name, without following a link.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it is not there or the client may not search.
    fn stat(directory: &Inode, name: &Name) -> Stat;

    /// Makes a directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it exists or the client may not.
    fn make_directory(directory: &Inode, name: &Name, mode: u32) -> ();

    /// Removes a name that is not a directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn unlink(directory: &Inode, name: &Name) -> ();

    /// Removes an empty directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it is not empty or the client may not.
    fn remove_directory(directory: &Inode, name: &Name) -> ();

    /// Renames something in `directory` to a name in `to`.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not; `EXDEV` between file systems.
    fn rename(directory: &Inode, name: &Name, to: &Inode, to_name: &Name, replace: Replace) -> ();

    /// Gives something a second name.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn link(directory: &Inode, name: &Name, to: &Inode, to_name: &Name) -> ();

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn make_link(directory: &Inode, name: &Name, text: &CStr) -> ();

    /// Reads an extended attribute; `None` when there is none of that name.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not read it.
    fn attribute(of: &Inode, name: &str) -> Option<Vec<u8>>;

    /// Sets an extended attribute in one step.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn set_attribute(of: &Inode, name: &str, value: &[u8]) -> ();

    /// Makes a socket, by the numbers of socket(2).
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not make one of that kind.
    fn socket(domain: i32, kind: i32, protocol: i32) -> OwnedFd;

    /// Reads up to `len_bytes` from `offset`; fewer at the end of the file.
    ///
    /// # Errors
    /// - [`FsError::Os`] when reading fails.
    fn read(content: &Content, offset: u64, len_bytes: usize) -> Vec<u8>;

    /// Writes `bytes` at `offset`, and returns how many were taken.
    ///
    /// # Errors
    /// - [`FsError::Os`] when writing fails.
    fn write(content: &Content, offset: u64, bytes: Vec<u8>) -> usize;

    /// Sets the permission bits of something that is not a link, on a thread.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn set_mode(of: &Inode, mode: u32) -> ();

    /// Sets owner and group, on a thread; `None` leaves one as it is.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn set_owner(of: &Inode, uid: Option<KernelUid>, gid: Option<KernelGid>) -> ();

    /// Sets when it was last read and changed, on a thread; `None` is now.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn set_times(of: &Inode, read: Option<Time>, changed: Option<Time>) -> ();

    /// Reads the names in a directory, on a thread.
    ///
    /// # Errors
    /// - As [`Directory::list`](crate::fs::Directory::list).
    fn list(directory: &Inode, limit: usize) -> Vec<Entry>;

    /// Returns the text of a symbolic link, on a thread.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `EINVAL` when it is not a link.
    fn read_link(of: &Inode) -> CString;

    /// Cuts or lengthens a regular file, on a thread.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not write it; [`FsError::NotServed`] when it is no regular file.
    fn truncate(of: &Inode, len_bytes: u64) -> ();

    /// Asks whether the client has a right, by its effective ids, on a thread.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the kernel says no.
    fn access(of: &Inode, access: Access) -> ();

    /// Returns how much room there is, on a thread.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the kernel cannot tell.
    fn space(of: &Inode) -> Space;

    /// Removes an extended attribute, on a thread; one that is not there is removed already.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    fn remove_attribute(of: &Inode, name: &str) -> ();

    /// Returns the names of extended attributes, on a thread.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the file system has none.
    fn attribute_names(of: &Inode) -> Vec<Vec<u8>>;

    /// Locks a file for everybody who asks (flock(2)), on a thread, without waiting.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `EWOULDBLOCK` when somebody else holds it.
    fn lock(content: &Content, lock: Lock) -> ();
}

/// What to do with the lock of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Hold it together with others.
    Shared,
    /// Hold it alone.
    Exclusive,
    /// Give it back.
    Unlock,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("report", &self.report).finish_non_exhaustive()
    }
}
