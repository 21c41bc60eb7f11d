//! A client, as the server may act as it.

use crate::UnixIdentity;
use crate::delegation::{self, Delegated, DelegatedCredential, DelegationError};
use crate::enter::Purpose;
use crate::project::{ProjectError, Projection, project};
use crate::restricted::{self, Passes};
use crate::switch::place::Target;
use crate::tracking::Process;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use vicar_kernel::{Qos, Reach};
use vicar_nt::{ImpersonationLevel, NtStatus};

/// Who a client is and how far a server may go in acting as it, captured once; a tracked client can become less, see
/// [`Self::refresh`].
///
/// Cheap to clone; all clones are the same client. Holding one gives no right by itself: the gate is asked whenever a
/// thread takes the identity on.
///
/// # NT
/// A `SECURITY_CLIENT_CONTEXT` together with what its token is on this system.
#[derive(Clone)]
#[doc(alias = "SECURITY_CLIENT_CONTEXT")]
pub struct ClientContext {
    inner: Arc<Inner>,
}

struct Inner {
    kernel: vicar_kernel::ClientContext,
    generation: u64,
    server: u64,
    captured_as: UnixIdentity,
    rules: Arc<Projection>,
    more: More,
    current: Mutex<Arc<Standing>>,
    revoked: AtomicBool,
}

/// What a context has besides its token.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// What the client handed over for acting towards others.
    pub(crate) delegated: Option<Arc<dyn DelegatedCredential>>,
    /// The client's process, for dynamic tracking.
    pub(crate) process: Option<Process>,
}

/// What a token's state is here; replaced when the token is adjusted.
#[derive(Debug)]
struct Standing {
    state_id: u64,
    /// What the kernel can hold, or why it cannot.
    whole: Result<Arc<Projected>, ProjectError>,
    passes: Arc<Passes>,
}

/// The identity of a client who has all of its rights.
#[derive(Debug)]
pub(crate) struct Projected {
    pub(crate) identity: UnixIdentity,
    pub(crate) target: Arc<Target>,
}

impl Standing {
    fn of(kernel: &vicar_kernel::ClientContext, rules: &Projection) -> Result<Self, ProjectError> {
        let snapshot = kernel.token().state();
        let state_id = snapshot.id();
        match project(&snapshot, rules) {
            Ok(identity) => {
                let passes = Arc::new(Passes::whole(&identity));
                let target = Arc::new(Target::new(&identity));
                Ok(Self { state_id, whole: Ok(Arc::new(Projected { identity, target })), passes })
            }
            // What it says of the passes is about what nothing can enforce; if they can, the first reason is still why
            // the token cannot be held.
            Err(why) => {
                let passes = Arc::new(restricted::passes(&snapshot, rules)?);
                Ok(Self { state_id, whole: Err(why), passes })
            }
        }
    }
}

/// Everything a cached kernel identity depends on; two equal keys are the same identity at the same level and reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdentityKey {
    generation: u64,
    client_state: u64,
    server_state: u64,
    level: ImpersonationLevel,
    reach: Reach,
    purpose: Purpose,
    is_stopped: bool,
}

static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);

impl ClientContext {
    pub(crate) fn new(
        kernel: vicar_kernel::ClientContext,
        server: u64,
        rules: &Arc<Projection>,
        more: More,
    ) -> Result<Self, ProjectError> {
        let standing = Standing::of(&kernel, rules)?;
        let inner = Inner {
            kernel,
            generation: NEXT_GENERATION.fetch_add(1, Ordering::Relaxed),
            server,
            captured_as: standing.passes.who().clone(),
            rules: Arc::clone(rules),
            more,
            current: Mutex::new(Arc::new(standing)),
            revoked: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A number no other context of this process has or had.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.inner.generation
    }

    /// What the client was on this system when it was captured. For the server's own records; what the client allows to be
    /// known is [`Self::named`].
    #[must_use]
    pub fn identity(&self) -> &UnixIdentity {
        &self.inner.captured_as
    }

    /// Returns who the client is, if it allows the server to know.
    ///
    /// # Errors
    /// - STATUS_CANT_OPEN_ANONYMOUS at level Anonymous.
    ///
    /// # NT
    /// Opening the token of a thread that impersonates at level Anonymous.
    pub fn named(&self) -> Result<&UnixIdentity, NtStatus> {
        if self.level().may_identify() { Ok(&self.inner.captured_as) } else { Err(NtStatus::CANT_OPEN_ANONYMOUS) }
    }

    /// Returns what may be known of the credential that the client handed over for acting towards others. It is used
    /// through [`Server::initiate`](crate::Server::initiate).
    ///
    /// # Errors
    /// - [`DelegationError::NotDelegated`] for every client below level Delegation.
    /// - [`DelegationError::Expired`] when the credential has ended. Local work goes on as before.
    /// - [`DelegationError::Revoked`] after [`Self::revoke`].
    pub fn delegated(&self) -> Result<Delegated<'_>, DelegationError> {
        self.credential().map(Delegated::new)
    }

    pub(crate) fn credential(&self) -> Result<&Arc<dyn DelegatedCredential>, DelegationError> {
        if self.is_revoked() {
            return Err(DelegationError::Revoked);
        }
        delegation::good(self.inner.more.delegated.as_ref())
    }

    /// How far the client lets the server go; what a thread really gets is decided by the gate.
    #[must_use]
    pub fn level(&self) -> ImpersonationLevel {
        self.inner.kernel.level()
    }

    /// The quality of service the context was captured with.
    pub fn qos(&self) -> Qos {
        self.inner.kernel.qos()
    }

    /// Ends the client: from now on nobody takes its identity on, by any road. What has begun runs to its end.
    ///
    /// A thread that keeps the identity between jobs lets go of it as it always does; a ring is told by
    /// [`Ring::revoke`](crate::ring::Ring::revoke), which also waits.
    pub fn revoke(&self) {
        self.inner.revoked.store(true, Ordering::SeqCst);
    }

    /// Whether [`Self::revoke`] was called.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.inner.revoked.load(Ordering::SeqCst)
    }

    /// The portable half: token, level, reach.
    pub fn kernel(&self) -> &vicar_kernel::ClientContext {
        &self.inner.kernel
    }

    pub(crate) fn server(&self) -> u64 {
        self.inner.server
    }

    /// What an identity taken on now depends on. Two atomic reads, no lock.
    pub(crate) fn key(&self, server_state: u64, purpose: Purpose) -> IdentityKey {
        IdentityKey {
            generation: self.inner.generation,
            client_state: self.inner.kernel.token().state_id(),
            server_state,
            level: self.inner.kernel.level(),
            reach: self.inner.kernel.reach(),
            purpose,
            is_stopped: self.process().is_some_and(|process| process.stopped().is_some()),
        }
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        self.inner.more.process.as_ref()
    }

    /// What the client's token is on this system now; an error for a restricted one.
    pub(crate) fn projected(&self) -> Result<Arc<Projected>, ProjectError> {
        self.standing()?.whole.clone()
    }

    /// Who must allow what the client does now.
    pub(crate) fn passes(&self) -> Result<Arc<Passes>, ProjectError> {
        Ok(Arc::clone(&self.standing()?.passes))
    }

    /// Whether the client has less than the rights of its user and groups, so that only
    /// [`Server::run_restricted`](crate::Server::run_restricted) acts for it.
    ///
    /// # Errors
    /// - [`ProjectError`] when its token was adjusted to something that cannot be enforced.
    pub fn is_restricted(&self) -> Result<bool, ProjectError> {
        Ok(self.standing()?.whole.is_err())
    }

    fn standing(&self) -> Result<Arc<Standing>, ProjectError> {
        if let Some(stop) = self.process().and_then(Process::stopped) {
            return Err(ProjectError::Stopped(stop));
        }
        let mut current = self.inner.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.state_id != self.inner.kernel.token().state_id() {
            *current = Arc::new(Standing::of(&self.inner.kernel, &self.inner.rules)?);
        }
        Ok(Arc::clone(&current))
    }
}

impl IdentityKey {
    /// The context it was made from.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The server's token it was made under.
    pub(crate) const fn server_state(&self) -> u64 {
        self.server_state
    }
}

impl fmt::Debug for ClientContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientContext")
            .field("generation", &self.inner.generation)
            .field("identity", &self.inner.captured_as)
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}
