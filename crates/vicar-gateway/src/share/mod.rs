//! The file service: every method of HTTP and WebDAV, done as the client who asks.
//!
//! A [`Share`] is a directory. [`Share::serve`] takes a request and a [`Caller`], does the work in jobs on client
//! threads, and gives a [`Reply`]. The code that waits for those jobs never touches a file; the code in the jobs never
//! acts as anybody but the caller, and what it may do is decided by the kernel.
//!
//! What a request meets, in order: its path is read ([`crate::dav::href`]), its conditions and locks are looked at
//! (`guard`), then the method's own module does it. An error becomes one status in `failure` and nothing else.

mod answer;
mod conditional;
mod failure;
mod get;
mod guard;
mod job;
mod listing;
mod locking;
mod make;
mod media;
mod options;
mod propfind;
mod proppatch;
mod pull;
mod put;
mod remove;
mod request;
mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use vicar_os::{ClientContext, ClientThreads};

pub use crate::body::{BodyError, ReplyBody, RequestBody};
use crate::limit::Tally;
use crate::lock::{LockTable, Terms};
use failure::Failure;
use job::Jobs;
use proppatch::Patching;
use request::Call;

/// Who asks: a name for people, and the captured identity.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The name the caller signed in with.
    pub name: Arc<str>,
    /// As whom everything is done.
    pub client: ClientContext,
}

/// What was asked and as whom it was done, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The operation, as a lower-case word.
    pub op: &'static str,
    /// The path, decoded; bytes that are not UTF-8 as `\xff`.
    pub path: String,
    /// Where a copy or a move goes.
    pub destination: Option<String>,
    /// User and group id as the kernel showed them on the thread that did it; `None` when nothing was done.
    pub shown: Option<(u32, u32)>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Reply {
    /// What to send.
    pub response: Response<ReplyBody>,
    /// What to write into the audit log.
    pub facts: Facts,
}

/// How much of everything one request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareLimits {
    /// Most entries of one listing (507).
    pub listing_entries: usize,
    /// Most listings of more than 1,024 entries that one user is sent at the same time (429).
    pub listings_per_user: usize,
    /// Most entries that one copy or delete, or a move to another file system, takes on (507).
    pub tree_entries: usize,
    /// Most directories inside each other for a copy, move or delete (507).
    pub tree_depth: usize,
    /// Most bytes of an upload that is kept in the spool, because the client may write a file and not beside it (507).
    pub spool_bytes: u64,
    /// Most locks of one user (507).
    pub locks_per_user: usize,
    /// Longest life of a lock.
    pub lock_life: Duration,
}

impl Default for ShareLimits {
    /// 100,000 entries, 4 large listings a user at a time, 128 levels, 1 GiB in the spool, 1,000 locks a user for an hour.
    fn default() -> Self {
        Self {
            listing_entries: 100_000,
            listings_per_user: 4,
            tree_entries: 100_000,
            tree_depth: 128,
            spool_bytes: 1 << 30,
            locks_per_user: 1000,
            lock_life: Duration::from_secs(3600),
        }
    }
}

/// What to serve.
#[derive(Clone, Debug)]
pub struct ShareOptions {
    /// The directory, absolute; each client walks to it from `/` itself.
    pub root: PathBuf,
    /// Where uploads wait whose client may not write beside the file; each client needs to be able to make files there.
    pub spool: PathBuf,
    /// How much of everything.
    pub limits: ShareLimits,
    /// Where tests let a request fail; nothing outside the code can set it.
    pub fault: Option<Fault>,
}

impl ShareOptions {
    /// Serves `root` with the default limits; the spool is /var/tmp.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), spool: PathBuf::from("/var/tmp"), limits: ShareLimits::default(), fault: None }
    }
}

/// A fault to be injected by tests: looks at a request's headers and says where it fails.
#[derive(Clone)]
pub struct Fault(pub Arc<FaultFn>);

/// Looks at a request's headers and says where it fails, if it does.
pub type FaultFn = dyn Fn(&HeaderMap) -> Option<FaultPoint> + Send + Sync;

impl core::fmt::Debug for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fault(..)")
    }
}

/// Where a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Its first job panics while it acts as the client.
    AsClient,
    /// Its handler panics before any job.
    Handler,
}

/// Why a share was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShareError {
    /// A path of the options is not absolute.
    RelativePath(PathBuf),
}

impl core::fmt::Display for ShareError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::RelativePath(path) => write!(f, "\"{}\" is not an absolute path", path.display()),
        }
    }
}

impl core::error::Error for ShareError {}

/// A directory that is served. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Share {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ShareOptions,
    jobs: Jobs,
    locks: LockTable<Caller>,
    patching: Patching,
    /// By user id.
    large_listings: Tally<u32>,
}

impl Share {
    /// Takes a directory into service. Nothing is opened yet: each client opens it as itself.
    ///
    /// # Errors
    /// - [`ShareError::RelativePath`] when a path is not absolute.
    pub fn open(options: ShareOptions, threads: ClientThreads) -> Result<Self, ShareError> {
        for path in [&options.root, &options.spool] {
            if !path.is_absolute() {
                return Err(ShareError::RelativePath(path.clone()));
            }
        }
        let locks =
            LockTable::new(Terms { longest: options.limits.lock_life, per_user: options.limits.locks_per_user });
        let jobs = Jobs::new(threads, &options);
        let large_listings = Tally::new(options.limits.listings_per_user);
        let inner = Inner { options, jobs, locks, patching: Patching::default(), large_listings };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Does what a request asks for, as the caller.
    ///
    /// The future may be dropped at any time; a half-received upload is then removed, as the caller.
    pub async fn serve(&self, caller: &Caller, request: Request<RequestBody>) -> Reply {
        let (head, body) = request.into_parts();
        let op = operation(&head.method);
        let mut call = match Call::read(&self.inner, caller, op, head) {
            Ok(call) => call,
            Err(refused) => {
                let (facts, failure) = *refused;
                return Reply { response: failure.into_response(), facts };
            }
        };
        let done = match call.inject_fault().await {
            Ok(()) => dispatch(&mut call, body).await,
            Err(failure) => Err(failure),
        };
        let response = done.unwrap_or_else(Failure::into_response);
        Reply { response, facts: call.into_facts() }
    }
}

async fn dispatch(call: &mut Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    match call.op {
        "get" | "head" => get::serve(call).await,
        "options" => Ok(options::serve()),
        "put" => put::serve(call, body).await,
        "delete" => remove::serve(call, body).await,
        "mkcol" => make::serve(call, body).await,
        "copy" | "move" => transfer::serve(call, body).await,
        "propfind" => propfind::serve(call, body).await,
        "proppatch" => proppatch::serve(call, body).await,
        "lock" => locking::lock(call, body).await,
        "unlock" => locking::unlock(call).await,
        _ => Err(Failure::status(StatusCode::METHOD_NOT_ALLOWED).with_header(http::header::ALLOW, options::ALLOW)),
    }
}

fn operation(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "OPTIONS" => "options",
        "PUT" => "put",
        "DELETE" => "delete",
        "MKCOL" => "mkcol",
        "COPY" => "copy",
        "MOVE" => "move",
        "PROPFIND" => "propfind",
        "PROPPATCH" => "proppatch",
        "LOCK" => "lock",
        "UNLOCK" => "unlock",
        _ => "other",
    }
}
