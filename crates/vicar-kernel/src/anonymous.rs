//! The anonymous user: somebody whom everybody may act as.
//!
//! An [`AnonymousLogon`] is the anonymous logon session of a system. [`AnonymousLogon::impersonate`] puts its token on a
//! thread at level Impersonation, which is not the same as wearing a client at level Anonymous: it can be opened, and it
//! acts as S-1-5-7. A sandboxed caller gets an anonymous token in its own sandbox. Nobody is asked for a credential.

use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, NtStatus, well_known};

use crate::impersonate::{OnOpen, Outcome, Terms};
use crate::logon::{LogonKind, LogonSession};
use crate::qos::Reach;
use crate::subject::SubjectContext;
use crate::system::System;
use crate::thread::ThreadRef;
use crate::token::{TokenKind, TokenRef, TokenSpec};

/// Whether the anonymous user counts as one of everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EveryoneIncludesAnonymous {
    /// It does not: the setting's value 0, or the setting is absent.
    No,
    /// It does: value 1.
    Yes,
}

/// The anonymous logon session of a system, and its token.
#[derive(Debug)]
pub struct AnonymousLogon {
    session: LogonSession,
    everyone: EveryoneIncludesAnonymous,
    token: TokenRef,
}

impl AnonymousLogon {
    /// Starts the anonymous logon session.
    ///
    /// # Errors
    /// - `STATUS_LOGON_SESSION_COLLISION` when the system has one already.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    pub fn new(system: &System, everyone: EveryoneIncludesAnonymous) -> Result<Self, NtStatus> {
        let session = system.logon(LogonKind::Network, Some(Luid::ANONYMOUS_LOGON))?;
        let token = create(&session, everyone, None)?;
        Ok(Self { session, everyone, token })
    }

    /// Returns the anonymous token of callers that are not sandboxed.
    pub fn token(&self) -> &TokenRef {
        &self.token
    }

    /// Makes `target` act as the anonymous user.
    ///
    /// # Inputs
    /// - `caller`: the thread that asks. Its effective token says whether a sandbox applies, unless it wears a client that
    ///   may not act; then its process does.
    /// - `target`: the thread to change.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when the caller's process is restricted: anonymous would be more than it has.
    /// - the statuses of [`ThreadRef::impersonate_token`].
    ///
    /// # NT
    /// `NtImpersonateAnonymousToken`, after the handle was resolved.
    ///
    /// # Source
    /// ImpersonateAnonymousToken (page); CVE-2018-0751, CVE-2018-0752; spec/nt-impersonation 2.22.
    #[doc(alias = "NtImpersonateAnonymousToken")]
    #[doc(alias = "ImpersonateAnonymousToken")]
    pub fn impersonate(&self, caller: &ThreadRef, target: &ThreadRef) -> Result<Outcome, NtStatus> {
        let subject = SubjectContext::capture(caller);
        let deciding = subject.for_authorisation().unwrap_or(subject.primary()).state();
        if subject.primary().state().is_restricted() {
            return Err(NtStatus::ACCESS_DENIED);
        }
        let sandboxed = match deciding.app_container() {
            Some(_) => Some(create(&self.session, self.everyone, Some(&deciding))?),
            None => None,
        };
        let token = sandboxed.as_ref().unwrap_or(&self.token);
        let terms = Terms { level: ImpersonationLevel::Impersonation, reach: Reach::AllHeld, on_open: OnOpen::Copy };
        target.impersonate_token(token, terms)
    }
}

/// Makes an anonymous token, in the sandbox of `like` if it has one.
fn create(
    session: &LogonSession,
    everyone: EveryoneIncludesAnonymous,
    like: Option<&TokenState>,
) -> Result<TokenRef, NtStatus> {
    let mut builder = TokenState::builder(well_known::ANONYMOUS)
        .group(well_known::NETWORK, GroupAttributes::ALWAYS_ENABLED)
        .integrity(IntegrityLevel::UNTRUSTED);
    builder = match everyone {
        EveryoneIncludesAnonymous::No => builder,
        EveryoneIncludesAnonymous::Yes => builder.group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED),
    };
    if let Some((state, container)) = like.and_then(|state| Some((state, state.app_container()?))) {
        builder = builder.app_container(*container.package()).session(state.session());
        if container.is_lpac() {
            builder = builder.less_privileged();
        }
    }
    let state = builder.build().map_err(|_| NtStatus::INTERNAL_ERROR)?;
    session.create_token(TokenSpec {
        state,
        kind: TokenKind::Impersonation(ImpersonationLevel::Impersonation),
        source: *b"*SYSTEM*",
        origin: Luid::ZERO,
    })
}
