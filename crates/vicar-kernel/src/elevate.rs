//! Work that needs more rights than its client has: approved as the client, done by a system worker.
//!
//! A [`Request`] is a value with two halves. [`Request::approve`] runs on the client's thread, against the client's captured
//! subject, before anything is queued; [`Request::perform`] runs on a worker that was privileged all along. No identity
//! travels upwards and the client's thread never changes. A closure cannot be sent: only a type that says who approves it.
//!
//! | requirement | here |
//! |---|---|
//! | Q1 capture in the client's thread | [`Elevator::submit`] captures subject and context before it queues |
//! | Q2 validate as the client | [`Request::approve`] is the only way to the queue |
//! | Q3 captured arguments | a request is `Send + 'static`: it borrows nothing of the client's |
//! | Q4 the worker is the system; acts as the client only by name | [`Elevated::as_client`] tests status and level, and reverts |
//! | Q5 checked opens as the client | what runs in [`Elevated::as_client`] is judged by the client's token |
//! | Q6 the context is deleted once | it is owned by the item, which is dropped on success, failure and cancellation |
//! | Q7 the client's thread is untouched | nothing here takes a thread to change but the worker's own |
//! | Q8 results by completion | a [`Ticket`] gives the answer or a status, also when the work will never be done |
//! | Q9 drained before it goes | dropping the [`Elevator`] waits for what is queued |
//!
//! The other direction, putting more rights on a thread that untrusted code can reach, is [`ThreadRef::raise`], and is refused
//! unless the policy says otherwise: the owner of such a thread can open its token, send it elsewhere and race the revert.

use std::fmt;
use std::panic::Location;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vicar_nt::token::TokenState;
use vicar_nt::{ImpersonationLevel, NtStatus, Privilege, Sid, well_known};

use crate::audit::{Attempt, What};
use crate::client::ClientContext;
use crate::gate::dominates;
use crate::impersonate::Outcome;
use crate::policy::Raising;
use crate::pool::{Charge, Purpose};
use crate::qos::{Locality, Qos, Reach, Tracking};
use crate::subject::SubjectContext;
use crate::thread::ThreadRef;
use crate::work::{QueueError, Urgency, WeakItem, WorkItem, WorkQueue, Worker};

/// Whether a worker also acts as the client for a part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// It does not: the client need only be identified.
    ForItself,
    /// It does: the client is captured at level Impersonation, and must be one that can be.
    AlsoAsClient,
}

/// Something a client may ask to have done with the system's rights.
pub trait Request: Send + 'static {
    /// The name in audit trails.
    const NAME: &'static str;
    /// Whether the work also acts as the client.
    const ACTING: Acting;
    /// What the client gets.
    type Answer: Send + 'static;

    /// Decides, on the client's thread, whether this client may have exactly this done.
    ///
    /// # Errors
    /// - the status the client gets; nothing is queued then.
    ///
    /// # Identity
    /// `subject` is the client. Use checks that test the level: [`SubjectContext::access_check`],
    /// [`SubjectContext::for_authorisation`].
    fn approve(&self, subject: &SubjectContext) -> Result<(), NtStatus>;

    /// Does what was approved, and nothing else.
    ///
    /// # Errors
    /// - the status the client gets.
    ///
    /// # Identity
    /// Runs as the system.
    fn perform(self, worker: &Elevated<'_>) -> Result<Self::Answer, NtStatus>;
}

/// The worker a request is performed on.
///
/// # Examples
/// It cannot leave [`Request::perform`], nor its thread:
/// ```compile_fail,E0521
/// # use std::cell::Cell;
/// # use vicar_kernel::{SubjectContext, elevate::{Acting, Elevated, Request}};
/// # use vicar_nt::NtStatus;
/// thread_local!(static KEPT: Cell<Option<&'static Elevated<'static>>> = const { Cell::new(None) });
/// struct Keep;
/// impl Request for Keep {
/// #   const NAME: &'static str = "keep";
/// #   const ACTING: Acting = Acting::ForItself;
/// #   type Answer = ();
/// #   fn approve(&self, _: &SubjectContext) -> Result<(), NtStatus> { Ok(()) }
///     fn perform(self, worker: &Elevated<'_>) -> Result<(), NtStatus> {
///         KEPT.set(Some(worker));
///         Ok(())
///     }
/// }
/// ```
/// ```compile_fail,E0277
/// # use vicar_kernel::elevate::Elevated;
/// fn hand_over(worker: &Elevated<'_>) {
///     std::thread::scope(|scope| drop(scope.spawn(move || worker.thread().revert())));
/// }
/// ```
/// A request that borrows from the client is none:
/// ```compile_fail,E0478
/// # use vicar_kernel::{SubjectContext, elevate::{Acting, Elevated, Request}};
/// # use vicar_nt::NtStatus;
/// struct Borrowing<'a>(&'a str);
/// impl<'a> Request for Borrowing<'a> {
/// #   const NAME: &'static str = "borrow";
/// #   const ACTING: Acting = Acting::ForItself;
/// #   type Answer = ();
/// #   fn approve(&self, _: &SubjectContext) -> Result<(), NtStatus> { Ok(()) }
///     fn perform(self, _: &Elevated<'_>) -> Result<(), NtStatus> { Ok(()) }
/// }
/// ```
/// and one that owns what it needs is:
/// ```
/// # use vicar_kernel::{SubjectContext, elevate::{Acting, Elevated, Request}};
/// # use vicar_nt::NtStatus;
/// struct Owning(String);
/// impl Request for Owning {
/// #   const NAME: &'static str = "own";
/// #   const ACTING: Acting = Acting::ForItself;
/// #   type Answer = ();
/// #   fn approve(&self, _: &SubjectContext) -> Result<(), NtStatus> { Ok(()) }
///     fn perform(self, worker: &Elevated<'_>) -> Result<(), NtStatus> {
///         worker.thread().revert();
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Elevated<'a> {
    worker: &'a Worker<'a>,
    client: Option<&'a ClientContext>,
}

impl Elevated<'_> {
    /// Runs `work` while the worker acts as the client, and reverts, even when it panics.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the worker may only identify the client; `work` does not run.
    /// - `STATUS_CANNOT_IMPERSONATE` when the request does not say [`Acting::AlsoAsClient`].
    /// - as for [`ThreadRef::with_client`].
    #[track_caller]
    pub fn as_client<R>(&self, work: impl FnOnce() -> R) -> Result<R, NtStatus> {
        let client = self.client.ok_or(NtStatus::CANNOT_IMPERSONATE)?;
        self.worker.thread().with_client(client, work)
    }

    /// Returns the worker's thread.
    pub fn thread(&self) -> &ThreadRef {
        self.worker.thread()
    }
}

/// What a request and its client become when they are queued. Dropped exactly once, whatever happens.
struct Envelope<R: Request> {
    request: R,
    client: Option<ClientContext>,
    user: Sid,
    answer: SyncSender<Result<R::Answer, NtStatus>>,
    at: &'static Location<'static>,
    charge: Charge,
}

impl<R: Request> Envelope<R> {
    fn open(self, worker: &Worker<'_>) {
        let Self { request, client, user, answer, at, charge } = self;
        let result = request.perform(&Elevated { worker, client: client.as_ref() });
        // Nothing of the client is left when it hears that it is done.
        drop((client, charge));
        let status = match &result {
            Ok(_) => NtStatus::SUCCESS,
            Err(status) => *status,
        };
        worker.thread().system().tell(at, || What::Elevated { request: R::NAME, client: user, status });
        // The client may have stopped waiting; the work is done all the same.
        let _ = answer.send(result);
    }
}

/// The promise of an answer. Dropping it changes nothing about the work.
///
/// # Examples
/// There is one answer:
/// ```compile_fail,E0382
/// # use vicar_kernel::elevate::Ticket;
/// fn twice(ticket: Ticket<u64>) {
///     let first = ticket.wait();
///     let second = ticket.wait();
/// #   drop((first, second));
/// }
/// ```
/// and what was taken back is not waited for:
/// ```compile_fail,E0382
/// # use vicar_kernel::{Elevator, elevate::Ticket};
/// fn after_all(elevator: &Elevator, ticket: Ticket<u64>) {
///     if elevator.cancel(ticket) {
///         let _ = ticket.wait();
///     }
/// }
/// ```
#[derive(Debug)]
#[must_use = "the answer is in it"]
pub struct Ticket<A> {
    /// Not the item itself: it owns the sender, and whoever waits must hear when it is dropped.
    item: WeakItem,
    answer: Receiver<Result<A, NtStatus>>,
}

impl<A> Ticket<A> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// - `STATUS_CANCELLED` when the request will never be done, because no worker is left, or its work panicked.
    /// - what [`Request::perform`] answered.
    pub fn wait(self) -> Result<A, NtStatus> {
        self.answer.recv().unwrap_or(Err(NtStatus::CANCELLED))
    }

    /// Waits for the answer, but not longer than `limit`.
    ///
    /// # Errors
    /// - `STATUS_IO_TIMEOUT` when it is not there yet; it may be waited for again.
    /// - as for [`Ticket::wait`].
    pub fn wait_for(&self, limit: Duration) -> Result<A, NtStatus> {
        match self.answer.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(NtStatus::IO_TIMEOUT),
            Err(RecvTimeoutError::Disconnected) => Err(NtStatus::CANCELLED),
        }
    }
}

/// Takes requests upwards.
#[derive(Debug)]
pub struct Elevator {
    queue: WorkQueue,
}

/// How a client is captured that a worker will act as for a while.
const AS_CLIENT: Qos =
    Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::EffectiveOnly };

impl Elevator {
    /// Takes a queue whose workers are threads of the system.
    pub fn new(queue: WorkQueue) -> Self {
        Self { queue }
    }

    /// Has a request approved as the client of `thread`, and queues it.
    ///
    /// # Errors
    /// - what [`Request::approve`] answered.
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the thread wears a client at level Anonymous, or the worker is to act as a
    ///   client that is below level Impersonation.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool or a full queue: it is never done on the
    ///   calling thread instead.
    /// - `STATUS_PROCESS_IS_TERMINATING` when no worker is left.
    ///
    /// # Identity
    /// The calling thread, and `thread`, stay what they are.
    ///
    /// # Source
    /// SeImpersonateClientEx (ntifs.h page, remarks); spec/nt-impersonation 5.4.
    #[track_caller]
    pub fn submit<R: Request>(&self, thread: &ThreadRef, request: R) -> Result<Ticket<R::Answer>, NtStatus> {
        let at = Location::caller();
        thread.system().refused(Attempt::Elevate, at, self.try_submit(thread, request, at))
    }

    fn try_submit<R: Request>(
        &self,
        thread: &ThreadRef,
        request: R,
        at: &'static Location<'static>,
    ) -> Result<Ticket<R::Answer>, NtStatus> {
        let subject = SubjectContext::capture(thread);
        let user = subject.for_display()?.state().user().sid;
        request.approve(&subject)?;
        let client = match R::ACTING {
            Acting::ForItself => None,
            Acting::AlsoAsClient => Some(ClientContext::from_subject(&subject, AS_CLIENT, Locality::Local)?),
        };
        let charge = thread.system().pool().charge(Purpose::WorkItem, size_of::<Envelope<R>>())?;
        let (answer, receiver) = sync_channel(1);
        let envelope = Mutex::new(Some(Envelope { request, client, user, answer, at, charge }));
        let item = WorkItem::new(&self.queue, move |worker| {
            let taken = envelope.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(envelope) = taken {
                envelope.open(worker);
            }
        });
        self.queue.queue(&item, Urgency::Delayed).map_err(|error| match error {
            QueueError::Full => NtStatus::INSUFFICIENT_RESOURCES,
            QueueError::AlreadyQueued | QueueError::Closed => NtStatus::PROCESS_IS_TERMINATING,
        })?;
        Ok(Ticket { item: item.downgrade(), answer: receiver })
    }

    /// Takes a request back that has not started; its client is released here.
    ///
    /// # Returns
    /// Whether it had not started.
    pub fn cancel<A>(&self, ticket: Ticket<A>) -> bool {
        ticket.item.upgrade().is_some_and(|item| self.queue.cancel(&item))
    }

    /// Returns the queue.
    pub fn queue(&self) -> &WorkQueue {
        &self.queue
    }
}

/// What a thread would have more of than its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Raise {
    /// The system's own user.
    System,
    /// Membership of the administrators.
    Administrator,
    /// Integrity.
    Integrity,
    /// A privilege, the first one found.
    Privilege(Privilege),
    /// Process trust.
    Trust,
}

impl fmt::Display for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the client is the system and the process is not"),
            Self::Administrator => f.write_str("the client is an administrator and the process is not"),
            Self::Integrity => f.write_str("the client has higher integrity than the process"),
            Self::Privilege(privilege) => {
                write!(f, "the client holds {} and the process does not", privilege.name())
            }
            Self::Trust => f.write_str("the client has more process trust than the process"),
        }
    }
}

/// Returns the first thing a client has that a process has not.
///
/// A process that holds the privilege to act as part of the system cannot be raised.
pub fn raise_of(process: &TokenState, client: &TokenState) -> Option<Raise> {
    if process.privileges().is_enabled(Privilege::Tcb) {
        return None;
    }
    if client.user().sid == well_known::LOCAL_SYSTEM && process.user().sid != well_known::LOCAL_SYSTEM {
        return Some(Raise::System);
    }
    if client.is_admin() && !process.is_admin() {
        return Some(Raise::Administrator);
    }
    if client.integrity() > process.integrity() {
        return Some(Raise::Integrity);
    }
    if !dominates(process.trust(), client.trust()) {
        return Some(Raise::Trust);
    }
    let held = process.privileges().present();
    client.privileges().present().iter().find(|privilege| !held.contains(*privilege)).map(Raise::Privilege)
}

/// Why a thread was not raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseError {
    /// It would have got more than its process has. Hand the work to an [`Elevator`].
    Refused(Raise),
    /// It could not be done.
    Failed(NtStatus),
}

impl fmt::Display for RaiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(raise) => write!(f, "thread not raised: {raise}; hand the work to a system worker"),
            Self::Failed(status) => write!(f, "thread not raised: {status}"),
        }
    }
}

impl std::error::Error for RaiseError {}

impl ThreadRef {
    /// Makes this thread, whose process untrusted code may control, wear a client that may have more than the process.
    ///
    /// # Errors
    /// - [`RaiseError::Refused`] when the client has more, unless the policy is [`Raising::AsTheGateSays`].
    /// - [`RaiseError::Failed`] with the statuses of [`ThreadRef::impersonate`].
    ///
    /// # NT
    /// `SeImpersonateClientEx` with a `ServerThread` of a user process, of which Microsoft's page warns.
    ///
    /// # Source
    /// SeImpersonateClientEx (ntifs.h page, remarks); spec/nt-impersonation 5.1.
    #[track_caller]
    pub fn raise(&self, client: &ClientContext) -> Result<Outcome, RaiseError> {
        let (own, other) = (self.process().reference_primary().state(), client.token().state());
        let found = raise_of(&own, &other);
        match (self.system().policy().raising, found) {
            (Raising::Refused, Some(raise)) => {
                let refusal: Result<(), NtStatus> = Err(NtStatus::ACCESS_DENIED);
                let _ = self.system().refused(Attempt::Elevate, Location::caller(), refusal);
                Err(RaiseError::Refused(raise))
            }
            (Raising::Refused, None) | (Raising::AsTheGateSays, _) => {
                self.impersonate(client).map_err(RaiseError::Failed)
            }
        }
    }
}

impl<R: Request> fmt::Debug for Envelope<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("request", &R::NAME).field("user", &self.user).finish_non_exhaustive()
    }
}
