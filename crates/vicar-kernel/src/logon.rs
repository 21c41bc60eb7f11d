//! Logon sessions: one per successful sign-in, shared by every token that came of it.
//!
//! A [`LogonSession`] makes tokens. Each token keeps its session alive; the session ends with the last one, and marked
//! sessions are announced then. It knows no password and authenticates nobody.

use std::fmt;
use std::sync::Arc;

use vicar_nt::{Luid, NtStatus};

use crate::pool::Charge;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::system::System;
use crate::token::{Token, TokenRef, TokenSpec};

/// How the sign-in happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "SECURITY_LOGON_TYPE")]
pub enum LogonKind {
    /// The system itself.
    System,
    /// At a console.
    Interactive,
    /// Over the network with a credential that cannot be passed on.
    Network,
    /// A scheduled job.
    Batch,
    /// A service.
    Service,
    /// Over the network with a password in hand.
    NetworkCleartext,
    /// The caller's own identity with other credentials for the network.
    NewCredentials,
    /// At a remote desktop.
    RemoteInteractive,
}

pub(crate) type Routine = Arc<dyn Fn(Luid) + Send + Sync>;

/// Names one registration of a termination routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RoutineId(u64);

impl RoutineId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// What the session data base knows of one session.
///
/// `tokens` may rise from zero only under the data base lock and while the session is not ended; from one upwards any token
/// of the session may raise it, because that token keeps it above zero.
#[derive(Debug)]
pub(crate) struct Session {
    id: Luid,
    kind: LogonKind,
    tokens: AtomicU64,
    handles: AtomicU64,
    is_marked: AtomicBool,
    is_ended: AtomicBool,
    _charge: Charge,
}

impl Session {
    pub(crate) fn new(id: Luid, kind: LogonKind, charge: Charge) -> Self {
        Self {
            id,
            kind,
            tokens: AtomicU64::new(0),
            handles: AtomicU64::new(0),
            is_marked: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            _charge: charge,
        }
    }

    pub(crate) fn id(&self) -> Luid {
        self.id
    }

    pub(crate) fn kind(&self) -> LogonKind {
        self.kind
    }

    pub(crate) fn mark(&self) {
        self.is_marked.store(true, Ordering::Release);
    }

    /// Ends the session if nothing needs it any more, and announces that if it is marked.
    ///
    /// A session that had tokens ends with the last one; one that never had any ends with its last handle.
    fn end_if_unused(&self, system: &System, also_handles: bool) {
        let mut sessions = system.sessions();
        let is_unused = self.tokens.load(Ordering::Acquire) == 0
            && (!also_handles || self.handles.load(Ordering::Acquire) == 0)
            && !self.is_ended.load(Ordering::Acquire);
        if !is_unused {
            return;
        }
        self.is_ended.store(true, Ordering::Release);
        let unlinked = sessions.remove(&self.id);
        drop(sessions);
        drop(unlinked);
        if self.is_marked.load(Ordering::Acquire) {
            system.announce_termination(self.id);
        }
    }
}

/// One token's hold on its session.
#[derive(Debug)]
pub(crate) struct SessionHold {
    system: System,
    session: Arc<Session>,
}

impl SessionHold {
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Takes another hold. This one keeps the session alive meanwhile, so no lock is needed.
    pub(crate) fn again(&self) -> Self {
        self.session.tokens.fetch_add(1, Ordering::AcqRel);
        Self { system: self.system.clone(), session: Arc::clone(&self.session) }
    }
}

impl Drop for SessionHold {
    fn drop(&mut self) {
        if self.session.tokens.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.session.end_if_unused(&self.system, false);
        }
    }
}

/// A handle to a logon session, from which its first tokens are made.
///
/// A handle does not keep a session alive once it has had a token: after the last token is gone, making another is
/// refused.
pub struct LogonSession {
    system: System,
    session: Arc<Session>,
}

impl LogonSession {
    pub(crate) fn new(system: System, session: Arc<Session>) -> Self {
        session.handles.fetch_add(1, Ordering::AcqRel);
        Self { system, session }
    }

    /// Returns the identifier that all tokens of this session carry.
    #[doc(alias = "AuthenticationId")]
    pub fn id(&self) -> Luid {
        self.session.id()
    }

    /// Returns how the sign-in happened.
    pub fn kind(&self) -> LogonKind {
        self.session.kind()
    }

    /// Returns the world of this session.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Returns whether the session is over.
    pub fn is_ended(&self) -> bool {
        self.session.is_ended.load(Ordering::Acquire)
    }

    /// Makes a token of this session.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PRIMARY_GROUP` when the primary group is neither the user nor a group of the token.
    /// - `STATUS_NO_SUCH_LOGON_SESSION` when the session is over.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # Identity
    /// Nobody's privilege is tested: who holds a `LogonSession` may create tokens.
    ///
    /// # NT
    /// `NtCreateToken`, without its test of the create-token privilege.
    ///
    /// # Source
    /// spec/nt-impersonation 1.11, 2.21.
    #[doc(alias = "NtCreateToken")]
    #[doc(alias = "ZwCreateToken")]
    #[track_caller]
    pub fn create_token(&self, spec: TokenSpec) -> Result<TokenRef, NtStatus> {
        if spec.state.primary_group().is_some_and(|group| !spec.state.may_have_as_primary_group(group)) {
            return Err(NtStatus::INVALID_PRIMARY_GROUP);
        }
        let charge = Token::charge(&self.system, &spec.state)?;
        // Nothing may fail from here on: giving the session's only hold back would end it.
        let hold = self.hold()?;
        Ok(Token::create(&self.system, hold, charge, spec))
    }

    fn hold(&self) -> Result<SessionHold, NtStatus> {
        let sessions = self.system.sessions();
        if self.is_ended() {
            return Err(NtStatus::NO_SUCH_LOGON_SESSION);
        }
        self.session.tokens.fetch_add(1, Ordering::AcqRel);
        drop(sessions);
        Ok(SessionHold { system: self.system.clone(), session: Arc::clone(&self.session) })
    }
}

impl Clone for LogonSession {
    fn clone(&self) -> Self {
        Self::new(self.system.clone(), Arc::clone(&self.session))
    }
}

impl Drop for LogonSession {
    fn drop(&mut self) {
        if self.session.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.session.end_if_unused(&self.system, true);
        }
    }
}

impl fmt::Debug for LogonSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogonSession")
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("is_ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}
