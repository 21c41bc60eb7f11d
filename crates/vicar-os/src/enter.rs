//! Acting as a client on one thread: the evidence, the errors, and the two-phase way in and out.

use crate::client::{ClientContext, Projected};
use crate::pool::AdoptError;
use crate::project::ProjectError;
use crate::restricted::{PassThread, Passes, Turns};
use crate::server::Server;
use crate::switch::SwitchError;
use crate::switch::calls::Kernel;
use crate::switch::place::ThreadPlace;
use crate::{KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use core::marker::PhantomData;
use std::cell::Cell;
use std::sync::Arc;
use vicar_kernel::{GateStep, Outcome, Pending, ThreadRef};
use vicar_nt::{ImpersonationLevel, NtStatus};

/// What the kernel showed of a thread's identity when it was last changed: read back, and compared with what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Effective user id.
    pub uid: KernelUid,
    /// Effective group id.
    pub gid: KernelGid,
    /// Supplementary groups, sorted.
    pub groups: Box<[KernelGid]>,
}

impl Shown {
    /// What the kernel shows of a thread that was verified to be `identity`.
    pub(crate) fn verified(identity: &UnixIdentity) -> Self {
        Self { uid: identity.uid(), gid: identity.gid(), groups: identity.groups().into() }
    }
}

/// Evidence that the current thread holds a client's identity. Ends with the closure it was given to.
///
/// Cannot leave its thread: another thread is somebody else.
///
/// ```compile_fail
/// fn needs_send<T: Send>() {}
/// needs_send::<vicar_os::AsClient<'static>>();
/// ```
///
/// ```compile_fail
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<vicar_os::AsClient<'static>>();
/// ```
#[derive(Debug)]
pub struct AsClient<'scope> {
    shown: &'scope Shown,
    /// The passes of a restricted client, whose identity the thread does not hold in between.
    turns: Option<&'scope dyn Turns>,
    thread_bound: PhantomData<*const ()>,
}

impl<'scope> AsClient<'scope> {
    pub(crate) fn new(shown: &'scope Shown, turns: Option<&'scope dyn Turns>) -> Self {
        Self { shown, turns, thread_bound: PhantomData }
    }

    pub(crate) fn turns(&self) -> Option<&'scope dyn Turns> {
        self.turns
    }

    /// What the kernel showed of this thread when it took the identity on. For a restricted client: who it is, less what
    /// counts for denying only; the thread itself is nobody.
    #[must_use]
    pub fn shown(&self) -> &Shown {
        self.shown
    }
}

/// A rule of this crate that the calling code broke. Never caused by a client's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// This thread already acts as a client; nesting would make the first end end both.
    AlreadyImpersonating,
    /// This thread is not what the server's threads are: it was made inside a closure, or changed by other code.
    ForeignThread,
    /// The context was made by another [`Server`].
    ForeignContext,
    /// Nobody has told this thread whom to act as; see [`crate::MailboxThread`].
    ActsForNobody,
    /// This thread has a mailbox already.
    AlreadyRegistered,
    /// This thread runs the tasks of an asynchronous runtime: other clients' tasks would be next.
    RuntimeThread,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyImpersonating => "this thread already acts as a client",
            Self::ForeignThread => "this thread does not have the server's identity",
            Self::ForeignContext => "the client context belongs to another server",
            Self::ActsForNobody => "this thread was told to act for nobody",
            Self::AlreadyRegistered => "this thread has a mailbox already",
            Self::RuntimeThread => "a thread of an asynchronous runtime never acts as a client; use client threads",
        })
    }
}

/// Why nothing was done as the client. The closure did not run, and the thread is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnterError {
    /// The server may know who the client is, not act as it.
    BelowImpersonation {
        /// The level that was granted.
        level: ImpersonationLevel,
        /// The step of the gate that lowered it; `None` when the client itself allowed no more.
        gate_step: Option<GateStep>,
    },
    /// The client does not even allow the server to know who it is.
    BelowIdentification,
    /// Impersonation was refused with this status.
    Refused(NtStatus),
    /// The Linux kernel cannot hold the token.
    Project(ProjectError),
    /// This process has no power to change identities, and the client is not exactly its own user and groups.
    CannotProject,
    /// The calling code broke a rule.
    Misuse(Misuse),
    /// A system call failed.
    Switch(SwitchError),
    /// The client's identity could not be kept in the ring.
    Keep(AdoptError),
    /// The client was revoked, see [`ClientContext::revoke`].
    Revoked,
}

impl fmt::Display for EnterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowImpersonation { level, gate_step: Some(step) } => {
                write!(f, "level {level:?} does not allow acting as the client: the gate lowered it at step {step:?}")
            }
            Self::BelowImpersonation { level, gate_step: None } => {
                write!(f, "level {level:?} does not allow acting as the client")
            }
            Self::BelowIdentification => f.write_str("level Anonymous does not allow asking about the client"),
            Self::Refused(status) => write!(f, "impersonation refused: {status}"),
            Self::Project(error) => error.fmt(f),
            Self::CannotProject => f.write_str(
                "no CAP_SETUID and CAP_SETGID, and the client is not exactly this process's user and groups",
            ),
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Switch(error) => error.fmt(f),
            Self::Keep(error) => write!(f, "keeping the client's identity in the ring: {error}"),
            Self::Revoked => f.write_str("the client was revoked"),
        }
    }
}

impl core::error::Error for EnterError {}

thread_local! {
    static ACTS_AS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread acts as a client now.
///
/// For code that may be called on any thread and must not do then what it does otherwise: panic hooks, loggers.
#[must_use]
pub fn acts_as_client() -> bool {
    ACTS_AS_CLIENT.get()
}

#[cfg(feature = "tokio")]
thread_local! {
    /// The server whose runtime this thread was made for.
    static RUNTIME_OF: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Says that the calling thread belongs to a runtime of this server, for life.
#[cfg(feature = "tokio")]
pub(crate) fn serve_runtime(server: u64) {
    RUNTIME_OF.set(Some(server));
}

/// The server whose runtime the calling thread was made for.
#[cfg(feature = "tokio")]
pub(crate) fn runtime_of_this_thread() -> Option<u64> {
    RUNTIME_OF.get()
}

/// Whether the calling thread runs tasks: made for that, or inside a runtime's `block_on`.
#[cfg(feature = "tokio")]
fn runs_tasks() -> bool {
    RUNTIME_OF.get().is_some() || tokio::runtime::Handle::try_current().is_ok()
}

/// Without the adapter nothing is known of runtimes.
#[cfg(not(feature = "tokio"))]
fn runs_tasks() -> bool {
    false
}

/// Marks the thread as acting for the life of the value, so that nesting is seen.
pub(crate) struct Acting(());

impl Acting {
    pub(crate) fn begin() -> Result<Self, Misuse> {
        if ACTS_AS_CLIENT.replace(true) { Err(Misuse::AlreadyImpersonating) } else { Ok(Self(())) }
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTS_AS_CLIENT.set(false);
    }
}

/// What a thread takes a client's identity on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Work as the client; needs level Impersonation.
    Act,
    /// Work as a client that may be restricted, by the operations of [`crate::fs`] only; needs level Impersonation.
    ActRestricted,
    /// Questions of ours, see [`crate::question`]; needs level Identification.
    Ask,
}

/// Whose identity a thread has taken on.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) shown: Shown,
    /// Of a restricted client; the thread then is nobody between its turns, and has a place to take them in.
    passes: Option<Arc<Passes>>,
}

/// A thread of one server: its record in the portable kernel and its identity in this one, always changed together.
pub(crate) struct ServerThread {
    server: Server,
    record: ThreadRef,
    /// `None` when this process cannot switch: then every thread stays what it is.
    place: Option<ThreadPlace<Kernel>>,
}

impl ServerThread {
    /// Takes charge of the calling thread, which must be the server.
    pub(crate) fn adopt(server: &Server) -> Result<Self, EnterError> {
        if runs_tasks() {
            return Err(EnterError::Misuse(Misuse::RuntimeThread));
        }
        let place = if server.can_switch() {
            let place = ThreadPlace::of_server_thread(Kernel, server.base());
            Some(place.map_err(|_not_the_server| EnterError::Misuse(Misuse::ForeignThread))?)
        } else {
            None
        };
        Ok(Self { server: server.clone(), record: server.new_thread(), place })
    }

    /// Takes `context`'s identity on: gate and copy, then the kernel, then the record, which cannot fail.
    ///
    /// For a restricted client, where the purpose allows one, the kernel identity is nobody's, and the passes are returned.
    ///
    /// # Errors
    /// - [`EnterError`]; record and kernel are what they were.
    pub(crate) fn enter(&mut self, context: &ClientContext, purpose: Purpose) -> Result<Entered, EnterError> {
        let pending = self.judge(context, purpose)?;
        let projected = match (context.projected(), purpose) {
            (Ok(projected), Purpose::Act | Purpose::ActRestricted | Purpose::Ask) => projected,
            (Err(_restricted), Purpose::ActRestricted | Purpose::Ask) => {
                let passes = context.passes().map_err(EnterError::Project)?;
                let Some(place) = &mut self.place else { return Err(EnterError::CannotProject) };
                place.enter(self.server.rest_target()).map_err(EnterError::Switch)?;
                let (Outcome::AsRequested | Outcome::Downgraded { .. }) = pending.commit();
                return Ok(Entered { shown: Shown::verified(passes.who()), passes: Some(passes) });
            }
            (Err(error), Purpose::Act) => return Err(EnterError::Project(error)),
        };
        let shown = match &mut self.place {
            Some(place) => {
                place.enter(&projected.target).map_err(EnterError::Switch)?;
                Shown::verified(&projected.identity)
            }
            // Start-up read these ids from the kernel, and nothing here can change them.
            None if self.server.is_exactly(&projected.identity) => Shown::verified(&projected.identity),
            None => return Err(EnterError::CannotProject),
        };
        // The outcome was looked at above, before anything was changed.
        let (Outcome::AsRequested | Outcome::Downgraded { .. }) = pending.commit();
        Ok(Entered { shown, passes: None })
    }

    /// Makes the calling thread the client for good: it has no way back and nothing permitted. It must end soon.
    ///
    /// # Errors
    /// - [`EnterError`]; the thread must end without doing anything else. A restricted client is not one identity.
    pub(crate) fn enter_for_good(mut self, context: &ClientContext) -> Result<Arc<Projected>, EnterError> {
        let place = self.place.take().ok_or(EnterError::CannotProject)?;
        let pending = self.judge(context, Purpose::Act)?;
        let projected = context.projected().map_err(EnterError::Project)?;
        place.enter_for_good(&projected.target).map_err(EnterError::Switch)?;
        let (Outcome::AsRequested | Outcome::Downgraded { .. }) = pending.commit();
        Ok(projected)
    }

    /// Asks the gate; changes nothing.
    fn judge(&self, context: &ClientContext, purpose: Purpose) -> Result<Pending, EnterError> {
        ask_gate(&self.server, &self.record, context, purpose)
    }

    /// Gives the evidence of what [`Self::enter`] did to `work`.
    pub(crate) fn act<R>(&mut self, entered: &Entered, work: impl FnOnce(&AsClient<'_>) -> R) -> R {
        match (&entered.passes, &mut self.place) {
            (Some(passes), Some(place)) => {
                let turns = PassThread::new(place, self.server.rest_target(), Arc::clone(passes));
                work(&AsClient::new(&entered.shown, Some(&turns)))
            }
            (None | Some(_), _) => work(&AsClient::new(&entered.shown, None)),
        }
    }

    /// Takes on the anonymous identity, in which client threads rest.
    pub(crate) fn rest(&mut self) -> Result<(), SwitchError> {
        self.record.revert();
        match &mut self.place {
            Some(place) => place.enter(self.server.rest_target()),
            None => Ok(()),
        }
    }

    /// Is the server again, or the process ends.
    pub(crate) fn leave(&mut self) {
        if let Some(place) = &mut self.place {
            place.leave();
        }
        self.record.revert();
    }

    /// Reads the identity back and ends the process unless it is what it should be.
    pub(crate) fn verify(&self) {
        if let Some(place) = &self.place {
            place.verify();
        }
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for ServerThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerThread").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Asks the gate whether the server may act as the client now, and what the client is here, and changes nothing.
///
/// # Errors
/// - [`EnterError`] as [`ServerThread::enter`] would have it.
pub(crate) fn judge(server: &Server, context: &ClientContext) -> Result<Arc<Projected>, EnterError> {
    // Nothing is to come into force here.
    let _not_committed = ask_gate(server, &server.new_thread(), context, Purpose::Act)?;
    context.projected().map_err(EnterError::Project)
}

/// Asks the gate which level it grants the server for the client now, which must be all of itself, and changes nothing.
///
/// # Errors
/// - [`EnterError`] as [`ServerThread::enter`] would have it.
pub(crate) fn level_granted(server: &Server, context: &ClientContext) -> Result<ImpersonationLevel, EnterError> {
    let level = ask_gate(server, &server.new_thread(), context, Purpose::Act)?.level();
    context.projected().map(|_identity| level).map_err(EnterError::Project)
}

fn ask_gate(
    server: &Server,
    record: &ThreadRef,
    context: &ClientContext,
    purpose: Purpose,
) -> Result<Pending, EnterError> {
    if context.server() != server.id() {
        return Err(EnterError::Misuse(Misuse::ForeignContext));
    }
    if context.is_revoked() {
        return Err(EnterError::Revoked);
    }
    let pending = record.prepare(context.kernel()).map_err(EnterError::Refused)?;
    let gate_step = match pending.outcome() {
        Outcome::AsRequested => None,
        Outcome::Downgraded { step } => Some(step),
    };
    let level = pending.level();
    match purpose {
        Purpose::Act | Purpose::ActRestricted if !level.may_act_locally() => {
            Err(EnterError::BelowImpersonation { level, gate_step })
        }
        Purpose::Ask if !level.may_identify() => Err(EnterError::BelowIdentification),
        Purpose::Act | Purpose::ActRestricted | Purpose::Ask => Ok(pending),
    }
}

/// Runs `work` as the client on the calling thread; see [`Server::run_as`].
pub(crate) fn run_as<R>(
    server: &Server,
    context: &ClientContext,
    purpose: Purpose,
    work: impl FnOnce(&AsClient<'_>) -> R,
) -> Result<R, EnterError> {
    let _acting = Acting::begin().map_err(EnterError::Misuse)?;
    let mut thread = ServerThread::adopt(server)?;
    let entered = thread.enter(context, purpose)?;
    // When `work` unwinds, `thread` is dropped: the identity ends before the panic leaves this function.
    Ok(thread.act(&entered, work))
}
