//! The server's side: workers by client, bounded, and what is asked of one.

use super::exchange::{Exchange, NoAnswer};
use super::file::{self, FileAnswer, FileRequest, MAX_BATCH};
use super::job::{Accept, JobAnswer};
use super::order::Order;
use super::{FileError, JobId, MAX_LARGE, Plan, SealedError, Sealer, WorkerOptions, sealer};
use crate::client::{ClientContext, IdentityKey};
use crate::enter;
use crate::packet;
use crate::server::Server;
use crate::sys::shm::{Shared, Use};
use core::fmt;
use rustix::io::Errno;
use rustix::net::sockopt;
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The sealed workers of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SealedWorkers {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    sealer: Sealer,
    options: WorkerOptions,
    state: Mutex<State>,
    freed: Condvar,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("sealer", &self.sealer).field("options", &self.options).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// At rest, the one that rests longest first.
    idle: Vec<Process>,
    /// At rest or at work.
    all: usize,
    by_user: HashMap<u32, usize>,
}

impl State {
    fn add(&mut self, user: u32) {
        self.all = self.all.saturating_add(1);
        let count = self.by_user.entry(user).or_default();
        *count = count.saturating_add(1);
    }

    fn remove(&mut self, user: u32) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_user.get_mut(&user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_user.remove(&user);
            }
        }
    }

    /// Ends workers at rest for which `which` holds.
    fn end(&mut self, most: usize, which: impl Fn(&Process) -> bool) {
        let (mut gone, mut kept) = (Vec::new(), Vec::new());
        for process in core::mem::take(&mut self.idle) {
            if gone.len() < most && which(&process) { gone.push(process) } else { kept.push(process) }
        }
        self.idle = kept;
        gone.iter().for_each(|process| self.remove(process.user));
    }
}

/// A worker process, as the server holds it. Dropping it ends the process.
struct Process {
    user: u32,
    key: IdentityKey,
    plan: Arc<Plan>,
    /// The sealer kills the worker when this is closed.
    _line: OwnedFd,
    exchange: Exchange,
}

/// One worker of one client, for the exclusive use of whoever holds this. It goes back to rest when dropped.
pub struct Worker {
    process: Option<Process>,
    client: ClientContext,
    inner: Arc<Inner>,
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> SealedError {
    move |errno| SealedError::Failed { operation, errno: errno.raw_os_error() }
}

impl SealedWorkers {
    /// Takes a sealer into a server's service.
    #[must_use]
    pub fn new(server: &Server, sealer: Sealer, options: WorkerOptions) -> Self {
        let state = Mutex::new(State::default());
        Self { inner: Arc::new(Inner { server: server.clone(), sealer, options, state, freed: Condvar::new() }) }
    }

    /// The process that makes the workers.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// Takes a worker that is this client by this plan: one at rest, or a new one.
    ///
    /// # Errors
    /// - [`SealedError::Enter`] when the server may not act as the client, which is judged now, as for
    ///   [`Server::run_as`].
    /// - [`SealedError::Busy`] when there are as many workers as there may be, in all or for this client's user, and none
    ///   is given back in time.
    /// - [`SealedError::NotSealed`] when the new process could not become what the plan says; it has ended.
    /// - [`SealedError::Dead`] when the sealer is gone.
    ///
    /// # Identity
    /// The calling thread stays the server.
    ///
    /// # Cost
    /// A worker at rest: a lock and a comparison. A new one: two kilobytes of messages, a fork from a small process and
    /// about 90 system calls there.
    pub fn take(&self, client: &ClientContext, plan: &Arc<Plan>) -> Result<Worker, SealedError> {
        let inner = &self.inner;
        if enter::acts_as_client() {
            return Err(SealedError::Enter(enter::EnterError::Misuse(enter::Misuse::AlreadyImpersonating)));
        }
        if client.is_revoked() {
            return Err(SealedError::Enter(enter::EnterError::Revoked));
        }
        let key = client.key(inner.server.primary_state(), enter::Purpose::Act);
        // The key of a worker at rest was judged when it was started; a change on either side makes another key.
        let user = client.identity().uid().raw();
        if let Some(process) = self.reserve(user, key, plan)? {
            return Ok(self.hand_out(process, client));
        }
        // A place is reserved: it is filled, or given back.
        let judged = enter::judge(&inner.server, client).map_err(SealedError::Enter);
        match judged.and_then(|projected| inner.start(user, key, plan, &projected.identity)) {
            Ok(process) => Ok(self.hand_out(process, client)),
            Err(error) => {
                inner.release(user);
                Err(error)
            }
        }
    }

    fn hand_out(&self, process: Process, client: &ClientContext) -> Worker {
        Worker { process: Some(process), client: client.clone(), inner: Arc::clone(&self.inner) }
    }

    /// Finds a worker at rest, or reserves the place for a new one.
    fn reserve(&self, user: u32, key: IdentityKey, plan: &Arc<Plan>) -> Result<Option<Process>, SealedError> {
        let inner = &self.inner;
        let until = Instant::now().checked_add(inner.options.wait);
        let mut state = inner.lock();
        loop {
            let fits = |process: &Process| process.key == key && *process.plan == **plan;
            // The one that rested last: it is the least likely to have gone.
            while let Some(at) = state.idle.iter().rposition(fits) {
                let process = state.idle.remove(at);
                if process.exchange.is_there() {
                    return Ok(Some(process));
                }
                state.remove(process.user);
            }
            state.end(usize::MAX, |process| !process.exchange.is_there());
            // One of the same user's that is of no use now makes room, else the one that rests longest.
            if state.by_user.get(&user).copied().unwrap_or(0) >= inner.options.per_user {
                state.end(1, |process| process.user == user);
            }
            if state.all >= inner.options.workers {
                state.end(1, |_| true);
            }
            let has_room = state.all < inner.options.workers
                && state.by_user.get(&user).copied().unwrap_or(0) < inner.options.per_user;
            if has_room {
                state.add(user);
                return Ok(None);
            }
            let left = until.map_or(inner.options.wait, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(SealedError::Busy);
            }
            (state, _) = inner.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders a worker in a place that is reserved for it.
    fn start(
        &self,
        user: u32,
        key: IdentityKey,
        plan: &Arc<Plan>,
        identity: &crate::UnixIdentity,
    ) -> Result<Process, SealedError> {
        let (near, far) = packet::pair().map_err(failed("socketpair"))?;
        let (line, held_by_sealer) = packet::pair().map_err(failed("socketpair"))?;
        let requests = Shared::create(file::REQUEST_WORDS).map_err(failed("memfd_create"))?;
        let answers = Shared::create(file::ANSWER_WORDS).map_err(failed("memfd_create"))?;
        let our_requests = Shared::map(&requests, file::REQUEST_WORDS, Use::ReadWrite).map_err(failed("mmap"))?;
        Shared::close_to_writers(&requests).map_err(failed("fcntl"))?;
        let our_answers = Shared::map(&answers, file::ANSWER_WORDS, Use::Read).map_err(failed("mmap"))?;
        let order = Order { identity: identity.clone(), plan: (**plan).clone(), idle: self.options.idle };
        sealer::send_order(self.sealer.socket(), &order, [&far, &held_by_sealer, &requests, &answers])?;
        drop((far, held_by_sealer, requests, answers));
        for side in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
            sockopt::set_socket_timeout(&near, side, Some(self.options.call_limit)).map_err(failed("setsockopt"))?;
        }
        let mut exchange = Exchange::new(near, our_requests, our_answers);
        exchange.await_ready().map_err(|error| self.told(error))?;
        Ok(Process { user, key, plan: Arc::clone(plan), _line: line, exchange })
    }

    /// A worker that is gone may have gone with the sealer.
    fn told(&self, error: SealedError) -> SealedError {
        if error == SealedError::Crashed && !self.sealer.is_alive() { SealedError::Dead } else { error }
    }

    /// Gives a place back that no worker has any more.
    fn release(&self, user: u32) {
        self.lock().remove(user);
        self.freed.notify_all();
    }
}

impl Worker {
    /// Has a job done.
    ///
    /// # Errors
    /// - [`SealedError::NoSuchJob`], [`SealedError::TooLong`] (more than 64 MiB, or more than 127 descriptors): nothing was
    ///   sent.
    /// - [`SealedError::Enter`] when the client was revoked meanwhile: nothing was sent, and the worker is being ended.
    /// - any other: there is no answer, and the worker is being ended.
    ///
    /// # Cost
    /// A message each way. Requests and answers longer than 60 KiB travel in memory that can no longer be changed.
    ///
    /// A worker that had ended before anything was sent to it is replaced, once, by a new one that is asked the same: the request
    /// was certainly not begun. What the worker remembered from requests before is gone with it.
    pub fn call(
        &mut self,
        job: JobId,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
        accept: Accept,
    ) -> Result<JobAnswer, SealedError> {
        if usize::from(job.0) >= self.inner.sealer.jobs() {
            return Err(SealedError::NoSuchJob);
        }
        if bytes.len() > MAX_LARGE || descriptors.len() >= packet::MAX_DESCRIPTORS {
            return Err(SealedError::TooLong);
        }
        self.with(|exchange| exchange.call(job, bytes, descriptors, accept))
    }

    /// Has file operations done beneath the plan's directory, in batches of up to [`MAX_BATCH`], and returns what the
    /// kernel said to each, in order.
    ///
    /// # Errors
    /// - [`SealedError::NoDirectory`] when the plan has none.
    /// - [`SealedError::Enter`] when the client was revoked meanwhile: nothing was sent, and the worker is being ended.
    /// - any other: the worker is being ended, and it is not known which of the requests were done.
    ///
    /// # Cost
    /// For each batch one message each way; requests and answers lie in shared memory, open files come with the message.
    /// For each open file two calls more, which look at what came. A worker that had ended before the first batch was sent is
    /// replaced as for [`Self::call`].
    pub fn files(&mut self, requests: &[FileRequest]) -> Result<Vec<Result<FileAnswer, FileError>>, SealedError> {
        if self.process.as_ref().is_some_and(|process| process.plan.directory.is_none()) {
            return Err(SealedError::NoDirectory);
        }
        self.with(|exchange| {
            let mut answers = Vec::with_capacity(requests.len());
            for batch in requests.chunks(MAX_BATCH) {
                match exchange.batch(batch, &mut answers) {
                    // The batches before it were begun.
                    Err(NoAnswer::NotBegun) if !answers.is_empty() => return Err(SealedError::Crashed.into()),
                    other => other?,
                }
            }
            Ok(answers)
        })
    }

    /// Asks the process something; after an error it is ended, because what it says next could be the answer to this.
    fn with<T>(&mut self, ask: impl Fn(&mut Exchange) -> Result<T, NoAnswer>) -> Result<T, SealedError> {
        let Some(process) = &mut self.process else { return Err(SealedError::Crashed) };
        let user = process.user;
        let asked = if self.client.is_revoked() {
            Err(SealedError::Enter(enter::EnterError::Revoked))
        } else {
            match ask(&mut process.exchange) {
                // It ended at rest: a new one is asked, once.
                Err(NoAnswer::NotBegun) => self.renew().and_then(|exchange| ask(exchange).map_err(SealedError::from)),
                other => other.map_err(SealedError::from),
            }
        };
        asked.map_err(|error| {
            self.process = None;
            self.inner.release(user);
            self.inner.told(error)
        })
    }

    /// Puts a new worker in the place of one that has ended. Whether the server may still act as the client is judged anew.
    fn renew(&mut self) -> Result<&mut Exchange, SealedError> {
        let Some(Process { user, plan, .. }) = self.process.take() else { return Err(SealedError::Crashed) };
        let key = self.client.key(self.inner.server.primary_state(), enter::Purpose::Act);
        let projected = enter::judge(&self.inner.server, &self.client).map_err(SealedError::Enter)?;
        let fresh = self.inner.start(user, key, &plan, &projected.identity)?;
        Ok(&mut self.process.insert(fresh).exchange)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("user", &self.process.as_ref().map(|process| process.user))
            .finish_non_exhaustive()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        if self.client.is_revoked() {
            // Nobody takes it again.
            let user = process.user;
            drop(process);
            return self.inner.release(user);
        }
        self.inner.lock().idle.push(process);
        self.inner.freed.notify_all();
    }
}
