//! The server: what is left of the process after it gave up its powers, and the right to act as clients.

mod anonymous;
mod probe;
mod start;
mod token;
mod trial;

pub use anonymous::AnonymousError;
pub use probe::SelfTest;
pub use start::{Powerless, StartError, StartOptions, StartReport, Starting};
pub use trial::{Refused, TrialError};

use crate::client::{ClientContext, More};
use crate::delegation::{self, DelegatedCredential, DelegationError, InitiateError, Initiator, OfClient, Service};
use crate::enter::{self, AsClient, EnterError, Purpose};
use crate::mailbox::Mailboxes;
use crate::pool::{ClientThreadOptions, ClientThreads, PoolError};
use crate::project::{ProjectError, Projection};
use crate::question::{AskError, Could, Question};
use crate::ring::{Files, FilesOptions};
use crate::source::Peer;
use crate::switch::place::{Base, Target};
use crate::tracking::{MoreGroups, Process, RefreshError, Tracked};
use crate::{KernelUid, UnixIdentity, sidmap};
use core::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
#[cfg(feature = "tokio")]
use std::sync::atomic::Ordering;
use vicar_kernel::{
    Locality, LogonKind, ProcessRef, Qos, Reach, System, Thread, ThreadRef, TokenKind, TokenRef, TokenSpec, Tracking,
};
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes, PrivilegeMask, PrivilegeState};
use vicar_nt::token::TokenState;
use vicar_nt::{ImpersonationLevel, Luid, NtStatus, Privilege, PrivilegeSet};

/// A server that may act as its clients. Cheap to clone; made once, by [`Starting`].
///
/// # Examples
/// ```no_run
/// use vicar_os::{LogonKind, Server, Starting, StartOptions, source};
///
/// let server: Server = Starting::begin(StartOptions::default())?.finish()?;
/// let listener = std::os::unix::net::UnixListener::bind("/run/notes.sock")?;
/// for stream in listener.incoming() {
///     let peer = source::peer::of(&stream?)?;
///     let client = server.logon(LogonKind::Network, peer.identity())?;
///     let notes = server.run_as(&client, |_as_client| std::fs::read("/srv/notes/today.txt"))?;
///     println!("{:?}", notes.map(|text| text.len()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    id: u64,
    system: System,
    process: ProcessRef,
    primary: TokenRef,
    base: Arc<Base>,
    rest: Arc<Target>,
    rules: Arc<Projection>,
    can_switch: bool,
    own: UnixIdentity,
    report: StartReport,
    mailboxes: Mailboxes,
    /// Threads that were born as a client.
    #[cfg(feature = "tokio")]
    inherited: AtomicU64,
}

/// Why a client could not be logged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogonError {
    /// The token or the context was refused with this status.
    Refused(NtStatus),
    /// The identity is one that no client may have here.
    Project(ProjectError),
    /// The client's process cannot be tracked, or is not what it was.
    Tracking(RefreshError),
    /// Level Delegation without a credential that the client delegated.
    Delegation(DelegationError),
}

impl fmt::Display for LogonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "logon refused: {status}"),
            Self::Project(error) => error.fmt(f),
            Self::Tracking(error) => error.fmt(f),
            Self::Delegation(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LogonError {}

static NEXT_SERVER: AtomicU64 = AtomicU64::new(1);

impl Server {
    /// What start-up found, gave up and tested.
    #[must_use]
    pub fn report(&self) -> &StartReport {
        &self.inner.report
    }

    /// Who client threads are while they act for nobody.
    #[must_use]
    pub fn anonymous(&self) -> &UnixIdentity {
        &self.inner.rules.anonymous
    }

    /// The portable half: sessions, tokens, threads and their references.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.inner.system
    }

    /// Makes a client out of somebody whose identity has been proved, at level Impersonation.
    ///
    /// The identity is captured: a group given to the account later is not in it.
    ///
    /// # Errors
    /// - [`LogonError::Project`] for user 0 (unless the administrator named it), the anonymous uid and whatever else the
    ///   kernel cannot hold.
    /// - [`LogonError::Refused`] when a token or the context cannot be made.
    ///
    /// # Identity
    /// Changes none. The caller vouches for `identity`: it comes from a checked password or from the kernel.
    ///
    /// # NT
    /// `LsaLogonUser`, then `SeCreateClientSecurity` with static tracking and `EffectiveOnly`.
    #[doc(alias = "LsaLogonUser")]
    #[doc(alias = "SeCreateClientSecurity")]
    pub fn logon(&self, kind: LogonKind, identity: &UnixIdentity) -> Result<ClientContext, LogonError> {
        let level = ImpersonationLevel::Impersonation;
        self.logon_with(kind, identity, Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly })
    }

    /// Makes a client as [`Self::logon`] does, whose token holds privileges and has them enabled.
    ///
    /// They change nothing about what this thread or a file call may do. [`crate::elevated`] acts on them, by what it was
    /// granted itself.
    ///
    /// # Errors
    /// - As [`Self::logon`].
    pub fn logon_holding(
        &self,
        kind: LogonKind,
        identity: &UnixIdentity,
        privileges: PrivilegeMask,
    ) -> Result<ClientContext, LogonError> {
        let enabled = |set: PrivilegeSet, privilege| set.with(privilege, PrivilegeState::EnabledByDefault);
        let privileges = privileges.iter().fold(PrivilegeSet::NONE, enabled);
        let state = crate::source::token::build(identity, kind, privileges).map_err(LogonError::Refused)?;
        let session = self.inner.system.logon(kind, None).map_err(LogonError::Refused)?;
        let level = ImpersonationLevel::Impersonation;
        let spec =
            TokenSpec { state, kind: TokenKind::Impersonation(level), source: *b"vicar-os", origin: Luid::from_u64(0) };
        let token = session.create_token(spec).map_err(LogonError::Refused)?;
        self.context_from_token(&token, Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly })
    }

    /// Makes a client as [`Self::logon`] does, with the quality of service the client chose.
    ///
    /// # Errors
    /// - As [`Self::logon`]; [`LogonError::Delegation`] for a level above Impersonation: local proof of identity carries
    ///   nothing that could be forwarded.
    pub fn logon_with(&self, kind: LogonKind, identity: &UnixIdentity, qos: Qos) -> Result<ClientContext, LogonError> {
        if qos.level == ImpersonationLevel::Delegation {
            return Err(LogonError::Delegation(DelegationError::NotDelegated));
        }
        let state = token::of_client(identity, kind, &self.inner.rules).map_err(LogonError::Refused)?;
        self.logon_at(ImpersonationLevel::Impersonation, kind, state, qos, More::default())
    }

    /// Makes a client at level Delegation, with the credential that it handed over for acting towards others.
    ///
    /// # Errors
    /// - As [`Self::logon`]; [`LogonError::Delegation`] when the credential has ended.
    ///
    /// # Identity
    /// On this machine as at level Impersonation. The credential is used through [`Self::initiate`] only.
    pub fn logon_delegated(
        &self,
        kind: LogonKind,
        identity: &UnixIdentity,
        credential: Arc<dyn DelegatedCredential>,
    ) -> Result<ClientContext, LogonError> {
        let level = ImpersonationLevel::Delegation;
        let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
        delegation::good(Some(&credential)).map_err(LogonError::Delegation)?;
        let state = token::of_client(identity, kind, &self.inner.rules).map_err(LogonError::Refused)?;
        self.logon_at(level, kind, state, qos, More { delegated: Some(credential), process: None })
    }

    /// Makes a client out of the process at a socket's other end, and tracks that process.
    ///
    /// # Inputs
    /// - `level`: as in [`Self::logon_with`]; the tracking is dynamic, the reach effective-only.
    /// - `more_groups`: what a refresh is to do when the client has got groups.
    ///
    /// # Errors
    /// - As for [`Self::logon_with`].
    /// - [`LogonError::Tracking`] when there is no descriptor of the process, when the peer is this process itself, and when
    ///   the process is already somebody else than who connected, see [`ClientContext::refresh`].
    ///
    /// # NT
    /// `SeCreateClientSecurity` with dynamic tracking.
    pub fn logon_peer(
        &self,
        kind: LogonKind,
        peer: Peer,
        level: ImpersonationLevel,
        more_groups: MoreGroups,
    ) -> Result<ClientContext, LogonError> {
        if level == ImpersonationLevel::Delegation {
            return Err(LogonError::Delegation(DelegationError::NotDelegated));
        }
        let not_tracked = LogonError::Tracking(RefreshError::NotTracked);
        if peer.is_this_process() {
            return Err(not_tracked);
        }
        let (identity, pid, descriptor) = peer.into_parts();
        let (Some(descriptor), Ok(pid)) = (descriptor, i32::try_from(pid)) else { return Err(not_tracked) };
        let process = Process::track(descriptor, pid, &identity, more_groups).map_err(LogonError::Tracking)?;
        let state = token::of_tracked(&identity, kind, &self.inner.rules).map_err(LogonError::Refused)?;
        let qos = Qos { level, tracking: Tracking::Dynamic, reach: Reach::EffectiveOnly };
        let more = More { delegated: None, process: Some(process) };
        let client = self.logon_at(ImpersonationLevel::Impersonation, kind, state, qos, more)?;
        let (Tracked::Unchanged | Tracked::Lowered) = client.refresh().map_err(LogonError::Tracking)?;
        Ok(client)
    }

    fn logon_at(
        &self,
        level: ImpersonationLevel,
        kind: LogonKind,
        state: TokenState,
        qos: Qos,
        more: More,
    ) -> Result<ClientContext, LogonError> {
        let session = self.inner.system.logon(kind, None).map_err(LogonError::Refused)?;
        let spec =
            TokenSpec { state, kind: TokenKind::Impersonation(level), source: *b"vicar-os", origin: Luid::from_u64(0) };
        let token = session.create_token(spec).map_err(LogonError::Refused)?;
        self.context_of(&token, qos, more)
    }

    /// Makes a context from a token of this server's [`System`].
    ///
    /// # Errors
    /// - [`LogonError::Refused`] by the capture rules (spec of `SeCreateClientSecurity`).
    /// - [`LogonError::Project`] when the token is not something that this kernel can hold.
    /// - [`LogonError::Delegation`] for level Delegation: a token is no credential.
    pub fn context_from_token(&self, token: &TokenRef, qos: Qos) -> Result<ClientContext, LogonError> {
        if qos.level == ImpersonationLevel::Delegation {
            return Err(LogonError::Delegation(DelegationError::NotDelegated));
        }
        self.context_of(token, qos, More::default())
    }

    fn context_of(&self, token: &TokenRef, qos: Qos, more: More) -> Result<ClientContext, LogonError> {
        let kernel =
            vicar_kernel::ClientContext::from_token(token, qos, Locality::Local).map_err(LogonError::Refused)?;
        ClientContext::new(kernel, self.inner.id, &self.inner.rules, more).map_err(LogonError::Project)
    }

    /// Runs `work` with the client's identity and returns its result; this thread is the server again afterwards.
    ///
    /// Also when `work` panics. The thread must be one of the server's own: the identity is changed for this thread
    /// only, and whatever threads `work` makes stay the client, so make none; on [`ClientThreads`] they cannot be made.
    ///
    /// # Errors
    /// - [`EnterError`]; `work` did not run.
    ///
    /// # Identity
    /// The gate is asked now, against the process's own token. Real user and group are the anonymous ones, effective
    /// are the client's, supplementary groups are all of the client's, effective capabilities are empty. If the thread
    /// cannot become the server again, the process is aborted.
    ///
    /// # Cost
    /// Seven credential calls and three readings; see [`ClientThreads`] for work that comes often.
    ///
    /// # NT
    /// `SeImpersonateClientEx`, `work`, `SeStopImpersonatingClient`. Differs: never runs below Impersonation, and does
    /// not nest.
    #[doc(alias = "SeImpersonateClientEx")]
    #[doc(alias = "SeStopImpersonatingClient")]
    pub fn run_as<R>(&self, client: &ClientContext, work: impl FnOnce(&AsClient<'_>) -> R) -> Result<R, EnterError> {
        enter::run_as(self, client, Purpose::Act, work)
    }

    /// Runs `work` for a client that may have less than the rights of its user and groups.
    ///
    /// `work` uses the operations of [`crate::fs`] and nothing else: each is done as every identity that the client's token
    /// needs, and what cannot be is refused; see [`crate::restricted`]. For a client that is not restricted this is
    /// [`Self::run_as`].
    ///
    /// # Errors
    /// - As for [`Self::run_as`]; `work` did not run.
    ///
    /// # Identity
    /// Between operations the thread is nobody: real, effective and supplementary ids are the anonymous ones.
    ///
    /// # Cost
    /// Each operation that needs permission: one switch and one deed for each pass, and a switch back.
    ///
    /// # NT
    /// `SeImpersonateClientEx` with a token of `SeFilterToken`, or one whose groups were adjusted.
    #[doc(alias = "SeFilterToken")]
    pub fn run_restricted<R>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R,
    ) -> Result<R, EnterError> {
        enter::run_as(self, client, Purpose::ActRestricted, work)
    }

    /// Asks the kernel whether the client could do something, without doing it or any part of it.
    ///
    /// Level Identification is enough. See [`crate::question`] for what an answer is worth.
    ///
    /// # Errors
    /// - [`AskError`]; there is no answer. [`EnterError::BelowIdentification`] at level Anonymous.
    ///
    /// # Identity
    /// The calling thread has the client's identity for the time of the question, during which nothing else runs on it;
    /// [`ClientThreads::could`] asks on a thread of its own.
    ///
    /// # NT
    /// An access check by a server that impersonates at level Identification.
    pub fn could(&self, client: &ClientContext, question: &Question) -> Result<Could, AskError> {
        enter::run_as(self, client, Purpose::Ask, |as_client| question.put(as_client)).map_err(AskError::Enter)?
    }

    /// Begins to prove to a service elsewhere that this server acts for the client, with the credential that the client
    /// handed over.
    ///
    /// # Errors
    /// - [`InitiateError::Delegation`] without such a credential, after its end, and when the client was revoked. The server's own
    ///   is never used. Each turn of the proof asks for both again.
    /// - [`InitiateError::Enter`], [`InitiateError::BelowDelegation`] when the gate grants the server less, and for a client that
    ///   is restricted: another machine would see the whole client.
    /// - Others as the mechanism has them.
    ///
    /// # Identity
    /// Changes none; the gate is asked, and nothing is projected.
    ///
    /// # NT
    /// Network access by a thread that impersonates at level Delegation.
    pub fn initiate(&self, client: &ClientContext, service: &Service) -> Result<Box<dyn Initiator>, InitiateError> {
        let level = enter::level_granted(self, client).map_err(InitiateError::Enter)?;
        let credential = client.credential().map_err(InitiateError::Delegation)?;
        if level != ImpersonationLevel::Delegation {
            return Err(InitiateError::BelowDelegation { level });
        }
        let proof = credential.initiate(service)?;
        Ok(Box::new(OfClient { client: client.clone(), proof }))
    }

    /// Starts threads that do nothing but act as clients and rest powerless.
    ///
    /// # Errors
    /// - [`PoolError`] when a thread cannot be made or cannot be made powerless; none is left running.
    pub fn client_threads(&self, options: ClientThreadOptions) -> Result<ClientThreads, PoolError> {
        ClientThreads::start(self, options)
    }

    /// Starts both roads for file operations: a ring if this system allows it, and client threads for the rest.
    ///
    /// # Errors
    /// - [`PoolError`] when a client thread cannot be made; none is left running. Without a ring the threads do everything.
    pub fn files(&self, options: &FilesOptions) -> Result<Files, PoolError> {
        Files::start(self, options)
    }

    /// Gives the privilege to impersonate up for good: from now on this server acts as its own user only.
    ///
    /// Threads that keep a client's identity between jobs are judged anew at their next job.
    ///
    /// # NT
    /// `AdjustTokenPrivileges` on the process's own token with `SE_PRIVILEGE_REMOVED`.
    pub fn give_up_impersonation(&self) {
        let remove = LuidAndAttributes::new(Privilege::Impersonate, PrivilegeAttributes::REMOVED);
        // A token without the privilege is what was asked for, so there is no answer to look at.
        let _ = self.inner.primary.adjust_privileges(&[remove]);
    }

    pub(crate) fn mailboxes(&self) -> &Mailboxes {
        &self.inner.mailboxes
    }

    /// How many threads of its runtimes were made by a thread that acted as a client, and were made the server.
    ///
    /// More than none is a defect of the program: something makes threads inside a closure.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn inherited_threads(&self) -> u64 {
        self.inner.inherited.load(Ordering::Relaxed)
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn note_inherited(&self) {
        self.inner.inherited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }

    pub(crate) fn base(&self) -> &Arc<Base> {
        &self.inner.base
    }

    pub(crate) fn rest_target(&self) -> &Arc<Target> {
        &self.inner.rest
    }

    pub(crate) fn can_switch(&self) -> bool {
        self.inner.can_switch
    }

    pub(crate) fn is_exactly(&self, identity: &UnixIdentity) -> bool {
        self.inner.own == *identity
    }

    /// Whether this is the user whom the server itself is.
    pub(crate) fn is_users(&self, uid: KernelUid) -> bool {
        self.inner.own.uid() == uid
    }

    pub(crate) fn process(&self) -> &ProcessRef {
        &self.inner.process
    }

    pub(crate) fn new_thread(&self) -> ThreadRef {
        Thread::new(&self.inner.process)
    }

    /// Id of the server token's present state: when it changes, the gate may answer differently.
    pub(crate) fn primary_state(&self) -> u64 {
        self.inner.primary.state_id()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("sid", &sidmap::user_sid(self.inner.own.uid()))
            .field("can_switch", &self.inner.can_switch)
            .finish_non_exhaustive()
    }
}
