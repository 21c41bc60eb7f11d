//! Another thread's identity: a registered client thread changes itself when it is asked to.
//!
//! Linux lets nobody change another thread's credentials, so the target does it: it becomes a [`MailboxThread`], which
//! looks into its mailbox at its *safe points*: before each piece of work, when it waits, and whenever it says so. A safe
//! point needs the thread exclusively, and a closure that runs as a client borrows it, so an identity never changes under
//! a closure. Whoever holds the [`ThreadHandle`] asks with [`Server::impersonate_on`] and [`Server::revert_on`], and waits
//! for the answer, with a time limit. When time is up the request is withdrawn; if the target took it at that very moment,
//! the answer is waited for instead. So a caller always knows: it took effect, or it never will.
//!
//! A thread that blocks elsewhere reaches no safe point. It may opt in to being interrupted by a signal
//! ([`MailboxThread::allow_interruption`]): the blocking call then fails with `EINTR`, the closure returns, and the safe
//! point is reached. The handler does nothing.

#[cfg(all(test, loom))]
mod model;
mod registry;
mod slot;

use crate::client::ClientContext;
use crate::enter::{AsClient, EnterError, Misuse, Shown, acts_as_client};
use crate::pool::{AdoptError, ClientThread};
use crate::server::Server;
use crate::sys;
use core::fmt;
use registry::Registry;
use slot::{Slot, Unanswered};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// What is asked of a thread.
#[derive(Debug)]
enum Request {
    Impersonate(ClientContext),
    Revert,
}

type Answer = Result<Shown, EnterError>;

#[derive(Debug)]
struct Mailbox {
    server: u64,
    thread: ThreadId,
    task: rustix::thread::Pid,
    may_interrupt: AtomicBool,
    slot: Slot<Request, Answer>,
}

/// The mailboxes of a server's threads.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes(Registry<ThreadId, Mailbox>);

/// How others name a thread that can be told whom to act as. Cheap to clone; outlives the thread harmlessly.
///
/// # NT
/// The `ServerThread` argument of `SeImpersonateClientEx`.
#[derive(Clone)]
#[doc(alias = "ServerThread")]
pub struct ThreadHandle {
    mailbox: Arc<Mailbox>,
}

/// A client thread that others may tell whom to act as.
///
/// Belongs to its thread. When it is dropped, whoever waits for it is told that it has ended.
#[derive(Debug)]
pub struct MailboxThread {
    thread: ClientThread,
    assigned: Option<ClientContext>,
    mailbox: Arc<Mailbox>,
}

/// What a safe point found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SafePoint {
    /// Nothing was asked.
    Quiet,
    /// A request was done or refused, and its caller has the answer.
    Answered,
}

/// Why another thread does not act as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxError {
    /// The thread reached no safe point in time. The request was withdrawn: it never takes effect.
    TimedOut,
    /// The thread has ended; the request never takes effect.
    Ended,
    /// The thread took the request and panicked. It ends, and with it whatever identity it had.
    Panicked,
    /// The thread took the request and was refused; it is what it was before.
    Enter(EnterError),
    /// A thread would wait for itself; it has [`MailboxThread::run`].
    OwnThread,
    /// The calling code broke a rule.
    Misuse(Misuse),
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the thread reached no safe point in time; the request was withdrawn"),
            Self::Ended => f.write_str("the thread has ended"),
            Self::Panicked => f.write_str("the thread panicked"),
            Self::Enter(error) => error.fmt(f),
            Self::OwnThread => f.write_str("a thread cannot wait for itself"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl core::error::Error for MailboxError {}

impl ThreadHandle {
    /// Returns the thread's id in this process.
    #[must_use]
    pub fn thread(&self) -> ThreadId {
        self.mailbox.thread
    }

    /// Returns the thread's id as the kernel shows it below `/proc/self/task`. For logs and tests: another thread may have
    /// it once this one has ended.
    #[must_use]
    pub fn task(&self) -> i32 {
        self.mailbox.task.as_raw_nonzero().get()
    }
}

impl fmt::Debug for ThreadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadHandle").field("task", &self.task()).finish_non_exhaustive()
    }
}

impl ClientThread {
    /// Lets others tell this thread whom to act as.
    ///
    /// # Errors
    /// - [`Misuse::AlreadyRegistered`] when this thread has a mailbox already; the client thread is dropped.
    ///
    /// # Identity
    /// The thread lets go of the client it held last and is nobody.
    pub fn register(mut self) -> Result<MailboxThread, Misuse> {
        self.release();
        let mailbox = Arc::new(Mailbox {
            server: self.server().id(),
            thread: std::thread::current().id(),
            task: rustix::thread::gettid(),
            may_interrupt: AtomicBool::new(false),
            slot: Slot::new(),
        });
        if self.server().mailboxes().0.add(mailbox.thread, Arc::clone(&mailbox)) {
            Ok(MailboxThread { thread: self, assigned: None, mailbox })
        } else {
            Err(Misuse::AlreadyRegistered)
        }
    }
}

impl MailboxThread {
    /// Returns the handle that others name this thread by.
    #[must_use]
    pub fn handle(&self) -> ThreadHandle {
        ThreadHandle { mailbox: Arc::clone(&self.mailbox) }
    }

    /// Returns whom this thread was told to act as.
    #[must_use]
    pub fn assigned(&self) -> Option<&ClientContext> {
        self.assigned.as_ref()
    }

    /// A safe point: does what is asked, if anything is.
    ///
    /// # Identity
    /// After a request to impersonate that was not refused, this thread has the client's kernel identity until the next
    /// request; after a request to revert it is nobody.
    ///
    /// # Cost
    /// One relaxed load when nothing is asked.
    pub fn safe_point(&mut self) -> SafePoint {
        let Some(mut taken) = self.mailbox.slot.take() else { return SafePoint::Quiet };
        let answer = match taken.request() {
            Some(Request::Impersonate(client)) => match self.thread.hold(&client) {
                Ok(shown) => {
                    let shown = shown.clone();
                    self.assigned = Some(client);
                    Ok(shown)
                }
                Err(error) => Err(error),
            },
            Some(Request::Revert) => {
                self.thread.release();
                self.assigned = None;
                Ok(Shown::verified(self.thread.server().anonymous()))
            }
            None => return SafePoint::Quiet,
        };
        taken.answer(answer);
        SafePoint::Answered
    }

    /// Waits at a safe point until something is asked, and does it.
    ///
    /// # Inputs
    /// - `limit`: how long to wait; `None` for as long as it takes.
    pub fn wait(&mut self, limit: Option<Duration>) -> SafePoint {
        self.mailbox.slot.wait(limit.and_then(|limit| Instant::now().checked_add(limit)));
        self.safe_point()
    }

    /// Passes a safe point, then runs `work` as whoever this thread was told to act as.
    ///
    /// The gate is asked anew whenever the client's token or the server's changed since.
    ///
    /// # Errors
    /// - [`Misuse::ActsForNobody`] when nobody was named; else as for [`ClientThread::run`]. `work` did not run.
    pub fn run<R>(&mut self, work: impl FnOnce(&AsClient<'_>) -> R) -> Result<R, EnterError> {
        let _ = self.safe_point();
        let Some(client) = &self.assigned else { return Err(EnterError::Misuse(Misuse::ActsForNobody)) };
        self.thread.run(client, work)
    }

    /// Lets those who wait for this thread interrupt its blocking calls, which then fail with `EINTR`.
    ///
    /// For the whole process a real-time signal (`SIGRTMIN + 3`) gets a handler that does nothing. The signal is sent again
    /// until the request is taken, because one that arrives just before a blocking call interrupts nothing. The standard
    /// library repeats some interrupted calls by itself (`read_exact`, `read_to_end`): work that is to be interruptible
    /// must not use them.
    ///
    /// # Errors
    /// - [`AdoptError`] when the process already uses the signal (`EBUSY`) or the kernel refuses.
    ///
    /// # Source
    /// signal(7), "Interruption of system calls and library functions by signal handlers".
    pub fn allow_interruption(&mut self) -> Result<(), AdoptError> {
        let failed = |errno: rustix::io::Errno| AdoptError { operation: "sigaction", errno: errno.raw_os_error() };
        sys::signal::allow_interruption().map_err(failed)?;
        self.mailbox.may_interrupt.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for MailboxThread {
    fn drop(&mut self) {
        // Before the client thread goes: afterwards this thread is the server and must take no request.
        self.thread.server().mailboxes().0.remove(&self.mailbox.thread);
        self.mailbox.slot.close();
    }
}

/// How long after the first signal the next is sent; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

impl Server {
    /// Finds a registered client thread of this server.
    ///
    /// # Returns
    /// `None` for any other thread: nobody can be made to act who did not ask for it.
    #[must_use]
    pub fn registered(&self, thread: ThreadId) -> Option<ThreadHandle> {
        self.mailboxes().0.find(&thread).map(|mailbox| ThreadHandle { mailbox })
    }

    /// Makes another thread act as a client, in place of whomever it acts as.
    ///
    /// # Inputs
    /// - `limit`: how long to wait until the thread reaches a safe point. What it then does is waited for.
    ///
    /// # Returns
    /// What the kernel showed of the thread.
    ///
    /// # Errors
    /// - [`MailboxError`]; the thread's record and kernel identity are what they were, but for
    ///   [`MailboxError::Panicked`], after which the thread ends.
    ///
    /// # Identity
    /// Changes nothing about the calling thread, which must not act as a client itself. The gate is asked by the target.
    ///
    /// # NT
    /// `SeImpersonateClientEx` with a `ServerThread`. Differs: takes effect at the thread's next safe point, and never below
    /// level Impersonation.
    ///
    /// # Source
    /// learn.microsoft.com, SeImpersonateClientEx.
    #[doc(alias = "SeImpersonateClientEx")]
    pub fn impersonate_on(
        &self,
        thread: &ThreadHandle,
        client: &ClientContext,
        limit: Duration,
    ) -> Result<Shown, MailboxError> {
        if client.server() != self.id() {
            return Err(MailboxError::Misuse(Misuse::ForeignContext));
        }
        self.ask(thread, Request::Impersonate(client.clone()), limit)
    }

    /// Makes another thread act for nobody.
    ///
    /// # Errors
    /// - As for [`Self::impersonate_on`].
    ///
    /// # NT
    /// `PsRevertThreadToSelf`. Differs: what a client thread is by itself is the anonymous identity, not the server's.
    #[doc(alias = "PsRevertThreadToSelf")]
    pub fn revert_on(&self, thread: &ThreadHandle, limit: Duration) -> Result<(), MailboxError> {
        self.ask(thread, Request::Revert, limit).map(drop)
    }

    fn ask(&self, thread: &ThreadHandle, request: Request, limit: Duration) -> Result<Shown, MailboxError> {
        let mailbox = &*thread.mailbox;
        if mailbox.server != self.id() {
            return Err(MailboxError::Misuse(Misuse::ForeignThread));
        }
        if mailbox.thread == std::thread::current().id() {
            return Err(MailboxError::OwnThread);
        }
        // Who acts as a client has the client's rights, and those do not reach other threads.
        if acts_as_client() {
            return Err(MailboxError::Misuse(Misuse::AlreadyImpersonating));
        }
        let deadline = Instant::now().checked_add(limit);
        let mut pause = FIRST_PAUSE;
        let mut nudge = || {
            if !mailbox.may_interrupt.load(Ordering::Acquire) {
                return None;
            }
            // A failure (a full queue of signals) is made good by the next try, or by the time limit.
            let _ = sys::signal::interrupt(mailbox.task);
            let now = pause;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            Some(now)
        };
        match mailbox.slot.post(request, deadline, &mut nudge) {
            Ok(answer) => answer.map_err(MailboxError::Enter),
            Err(Unanswered::TimedOut) => Err(MailboxError::TimedOut),
            Err(Unanswered::Ended) => Err(MailboxError::Ended),
            Err(Unanswered::Panicked) => Err(MailboxError::Panicked),
        }
    }
}
