//! Threads that act as clients and rest as nobody.

pub(crate) mod answer;
mod schedule;
mod sticky;
#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use sticky::{AdoptError, ClientThread, DEFAULT_UMASK};

use crate::client::ClientContext;
use crate::enter::{AsClient, EnterError, Purpose};
use crate::question::{AskError, Could, Question};
use crate::server::Server;
use core::fmt;
use schedule::{Limits, Placed, Schedule};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many threads, and how much of them one client may have. Zero means one.
#[derive(Clone, Copy, Debug)]
pub struct ClientThreadOptions {
    /// How many client threads.
    pub threads: usize,
    /// Most threads that act for one user at the same time.
    pub per_client: usize,
    /// Most jobs of one user that wait; one more is [`RunError::Busy`].
    pub queued_per_client: usize,
    /// How long an idle thread keeps its last client's identity.
    pub keep: Duration,
    /// The umask of the threads.
    pub umask: u32,
}

impl Default for ClientThreadOptions {
    /// Sixteen threads, at most four of them for one user, 1,024 waiting jobs a user, kept for 250 ms, umask 022.
    fn default() -> Self {
        Self {
            threads: 16,
            per_client: 4,
            queued_per_client: 1024,
            keep: Duration::from_millis(250),
            umask: DEFAULT_UMASK,
        }
    }
}

/// Why a job has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunError {
    /// The job did not run.
    Enter(EnterError),
    /// The job panicked; its thread let go of the client and goes on.
    Panicked,
    /// The client has too many jobs waiting; the job did not run.
    Busy,
    /// The threads are ending; the job did not run.
    Closed,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enter(error) => error.fmt(f),
            Self::Panicked => f.write_str("the job panicked"),
            Self::Busy => f.write_str("too many jobs of this client are waiting"),
            Self::Closed => f.write_str("the client threads are ending"),
        }
    }
}

impl core::error::Error for RunError {}

/// Why the threads did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError {
    /// A thread could not be made.
    Spawn(std::io::Error),
    /// A thread could not be made powerless.
    Adopt(AdoptError),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(error) => write!(f, "creating a client thread: {error}"),
            Self::Adopt(error) => write!(f, "making a client thread powerless: {error}"),
        }
    }
}

impl core::error::Error for PoolError {}

/// A set of client threads. Cheap to clone; the threads end with the last clone, after the jobs that run.
#[derive(Clone)]
pub struct ClientThreads {
    pool: Arc<Pool>,
}

/// Runs under the client's identity, or is told why not.
type Work = Box<dyn FnOnce(Result<&AsClient<'_>, RunError>) + Send>;

struct Job {
    client: ClientContext,
    purpose: Purpose,
    work: Work,
}

impl Job {
    /// Whose share of the threads it counts against: a user has one share, however many contexts were made for it.
    fn user(&self) -> u32 {
        self.client.identity().uid().raw()
    }
}

struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    seats: Vec<Condvar>,
    keep: Duration,
}

struct State {
    schedule: Schedule<Job>,
    /// The job that an idle thread was given.
    given: Vec<Option<Job>>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientThreads {
    pub(crate) fn start(server: &Server, options: ClientThreadOptions) -> Result<Self, PoolError> {
        let limits = Limits {
            threads: options.threads.max(1),
            per_client: options.per_client.max(1),
            queued_per_client: options.queued_per_client.max(1),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                schedule: Schedule::new(limits),
                given: (0..limits.threads).map(|_| None).collect(),
                closed: false,
            }),
            seats: (0..limits.threads).map(|_| Condvar::new()).collect(),
            keep: options.keep,
        });
        let (ready, started) = channel();
        let mut pool = Pool { shared: Arc::clone(&shared), threads: Vec::with_capacity(limits.threads) };
        for seat in 0..limits.threads {
            let (server, shared, ready) = (server.clone(), Arc::clone(&shared), ready.clone());
            let body = move || client_thread(&server, &shared, seat, options.umask, &ready);
            let thread = std::thread::Builder::new().name(format!("client-{seat}")).spawn(body);
            // On failure `pool` is dropped: the threads made so far are told to end.
            pool.threads.push(thread.map_err(PoolError::Spawn)?);
        }
        drop(ready);
        for _ in 0..limits.threads {
            match started.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(PoolError::Adopt(error)),
                Err(_ended) => {
                    return Err(PoolError::Adopt(AdoptError { operation: "starting", errno: libc::ECANCELED }));
                }
            }
        }
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Runs `work` as the client on one of the threads.
    ///
    /// The answer is a future of no particular runtime; [`Answer::wait`] blocks instead. The job runs to its end even
    /// when the answer is dropped.
    ///
    /// # Errors
    /// The answer is [`RunError`] when the job did not run, or panicked.
    ///
    /// # Identity
    /// As [`Server::run_as`]; besides, the thread can make no thread and execute no program.
    ///
    /// # Cost
    /// One hand-over between threads, which is four futex calls and two changes of the running thread (measured: three
    /// and a half times an opening and closing of a file); the switch only when no idle thread holds this client. So put
    /// what belongs together into one job.
    pub fn run<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> Answer<R> {
        self.give(client, Purpose::Act, work)
    }

    fn give<R: Send + 'static>(
        &self,
        client: &ClientContext,
        purpose: Purpose,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> Answer<R> {
        let (promise, answer) = answer::pair();
        let work: Work = Box::new(move |entered| match entered {
            Ok(as_client) => match catch_unwind(AssertUnwindSafe(|| work(as_client))) {
                Ok(result) => promise.keep(Ok(result)),
                Err(panic) => {
                    promise.keep(Err(RunError::Panicked));
                    std::panic::resume_unwind(panic);
                }
            },
            Err(error) => promise.keep(Err(error)),
        });
        self.submit(Job { client: client.clone(), purpose, work });
        answer
    }

    /// Runs `work` as the client on one of the threads and waits for it.
    ///
    /// # Errors
    /// - As [`Self::run`].
    pub fn run_blocking<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> Result<R, RunError> {
        self.run(client, work).wait()
    }

    /// Runs `work` for a client that may be restricted; see [`Server::run_restricted`].
    ///
    /// # Errors
    /// The answer is [`RunError`] when the job did not run, or panicked.
    pub fn run_restricted<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> Answer<R> {
        self.give(client, Purpose::ActRestricted, work)
    }

    /// Asks the kernel, on one of the threads, whether the client could do something. Blocks for the answer.
    ///
    /// # Errors
    /// - As for [`ClientThread::could`]; [`AskError::Busy`] when the client has too many jobs waiting or the threads end.
    ///
    /// # Cost
    /// One hand-over between threads and three system calls; the switch only when no idle thread asked about this client
    /// last.
    pub fn could(&self, client: &ClientContext, question: &Question) -> Result<Could, AskError> {
        let question = question.clone();
        match self.give(client, Purpose::Ask, move |as_client| question.put(as_client)).wait() {
            Ok(answer) => answer,
            Err(RunError::Enter(error)) => Err(AskError::Enter(error)),
            Err(RunError::Panicked | RunError::Busy | RunError::Closed) => Err(AskError::Busy),
        }
    }

    fn submit(&self, job: Job) {
        let shared = &self.pool.shared;
        let user = job.user();
        let mut state = shared.lock();
        if state.closed {
            // Dropping the job answers `Closed`; outside the lock, because the answer may wake anything.
            drop(state);
            return drop(job);
        }
        match state.schedule.submit(user, job) {
            Placed::On(seat, job) => {
                if let Some(place) = state.given.get_mut(seat) {
                    *place = Some(job);
                }
                drop(state);
                if let Some(seat) = shared.seats.get(seat) {
                    seat.notify_one();
                }
            }
            Placed::Waits => {}
            Placed::Full(job) => {
                drop(state);
                (job.work)(Err(RunError::Busy));
            }
        }
    }
}

impl fmt::Debug for ClientThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientThreads").field("threads", &self.pool.threads.len()).finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.shared.lock();
            state.closed = true;
            state.schedule.clear()
        };
        for seat in &self.shared.seats {
            seat.notify_one();
        }
        // Last, because what a job holds may panic when it is dropped.
        drop(waiting);
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last clone may be dropped by a job; its thread cannot wait for itself.
            if thread.thread().id() != own {
                let _ = thread.join();
            }
        }
    }
}

fn client_thread(server: &Server, shared: &Shared, seat: usize, umask: u32, ready: &Sender<Result<(), AdoptError>>) {
    let mut thread = match ClientThread::adopt(server, umask) {
        Ok(thread) => thread,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    // Idle before it is said to be ready, so that the first job does not have to wait.
    let mut next = shared.lock().schedule.next(seat, None);
    let _ = ready.send(Ok(()));
    loop {
        let Some((user, job)) = next.take().or_else(|| wait_for_job(shared, seat, &mut thread)) else { return };
        let work = job.work;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let mut work = Some(work);
            let entered = thread.run_for(job.purpose, &job.client, |as_client| {
                if let Some(work) = work.take() {
                    work(Ok(as_client));
                }
            });
            if let (Err(error), Some(work)) = (entered, work.take()) {
                work(Err(RunError::Enter(error)));
            }
        }));
        if let Err(panic) = ran {
            thread.release();
            discard(panic);
        }
        drop(job.client);
        let mut state = shared.lock();
        state.schedule.ended(user);
        if state.closed {
            return;
        }
        next = state.schedule.next(seat, thread.holds());
    }
}

/// Drops what a job panicked with. A value that panics in turn must not end the thread, whose seat would then be taken
/// for one that works: it is left where it is.
pub(crate) fn discard(panic: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        Box::leak(again);
    }
}

/// Waits until this idle thread is given a job; lets go of its client when that takes long. `None` ends the thread.
fn wait_for_job(shared: &Shared, seat: usize, thread: &mut ClientThread) -> Option<(u32, Job)> {
    let wake = shared.seats.get(seat)?;
    let mut state = shared.lock();
    loop {
        if let Some(job) = state.given.get_mut(seat)?.take() {
            return Some((job.user(), job));
        }
        if state.closed {
            return None;
        }
        if thread.holds().is_none() {
            state = wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let (woken, waited) = wake.wait_timeout(state, shared.keep).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        if waited.timed_out() && state.schedule.withdraw(seat) {
            drop(state);
            thread.release();
            state = shared.lock();
            if let Some(next) = state.schedule.next(seat, None) {
                return Some(next);
            }
        }
    }
}
