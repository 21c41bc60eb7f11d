//! Both tokens of one thread, read together.
//!
//! A [`SubjectContext`] is what a decision is made about: the client a thread wears, if any, and the primary token of a
//! process. It holds references until dropped, so later changes of the thread mean nothing to it. The accessors that
//! authorise test the level; the one that does not says so in its name.

use std::panic::Location;
use std::sync::Arc;

use vicar_nt::check::{AccessMode, Subject};
use vicar_nt::privilege::{self, LuidAndAttributes, Need, PrivilegeAttributes};
use vicar_nt::{ImpersonationLevel, Luid, NtStatus, Privilege};

use crate::process::ProcessRef;
use crate::qos::Reach;
use crate::thread::ThreadRef;
use crate::token::{Snapshot, TokenRef};

/// The client part of a subject context.
#[derive(Debug)]
pub struct SubjectClient {
    /// The token the thread wore.
    pub token: TokenRef,
    /// The level it wore it at.
    pub level: ImpersonationLevel,
    /// Its restriction to what is enabled; NT does not record it.
    pub reach: Reach,
}

/// The tokens a decision is made about. Dropping it gives both references back.
///
/// # NT
/// `SECURITY_SUBJECT_CONTEXT`. Dropping it is `SeReleaseSubjectContext`.
#[derive(Debug)]
#[doc(alias = "SECURITY_SUBJECT_CONTEXT")]
#[doc(alias = "SeReleaseSubjectContext")]
pub struct SubjectContext {
    client: Option<SubjectClient>,
    primary: TokenRef,
    audit_id: u64,
    thread: Option<ThreadRef>,
}

impl SubjectContext {
    /// Captures a thread and its own process.
    ///
    /// # NT
    /// `SeCaptureSubjectContext` for the calling thread.
    ///
    /// # Source
    /// SeCaptureSubjectContext (ntifs.h page); spec/nt-impersonation 2.13.
    #[doc(alias = "SeCaptureSubjectContext")]
    #[track_caller]
    pub fn capture(thread: &ThreadRef) -> Self {
        Self::capture_in(Some(thread), thread.process())
    }

    /// Captures a thread, or no thread, and a process that need not be the thread's own.
    ///
    /// # NT
    /// `SeCaptureSubjectContextEx`. A thread that is attached to another process passes that process here, by name.
    ///
    /// # Source
    /// SeCaptureSubjectContextEx (ntifs.h page); spec/nt-impersonation 2.13.
    #[doc(alias = "SeCaptureSubjectContextEx")]
    #[track_caller]
    pub fn capture_in(thread: Option<&ThreadRef>, process: &ProcessRef) -> Self {
        let client = match thread.map(|thread| thread.reference_impersonation()) {
            Some(Some(worn)) => Some(SubjectClient { token: worn.token, level: worn.level, reach: worn.reach }),
            Some(None) | None => None,
        };
        let thread = match process.system().verifier() {
            Some(_) => thread.cloned(),
            None => None,
        };
        Self { client, primary: process.reference_primary(), audit_id: process.id(), thread }
    }

    /// Puts a subject context together from its parts, as a caller with its own structures does.
    ///
    /// # Inputs
    /// - `client`: the client's token, if any.
    /// - `level`: its level; looked at only when there is a client, and lowered to the token's own.
    /// - `primary`: the token of the process.
    #[track_caller]
    pub fn from_parts(client: Option<TokenRef>, level: ImpersonationLevel, primary: TokenRef) -> Self {
        let client = client.map(|token| SubjectClient { level: capped(&token, level), token, reach: Reach::AllHeld });
        Self { client, primary, audit_id: 0, thread: None }
    }

    /// Returns the client, if there is one.
    pub fn client(&self) -> Option<&SubjectClient> {
        self.client.as_ref()
    }

    /// Returns the token of the process.
    pub fn primary(&self) -> &TokenRef {
        &self.primary
    }

    /// Returns the number of the captured process, or 0 when it was put together from parts.
    #[doc(alias = "ProcessAuditId")]
    pub fn audit_id(&self) -> u64 {
        self.audit_id
    }

    /// Returns the level of the client; `None` when the process speaks for itself.
    pub fn level(&self) -> Option<ImpersonationLevel> {
        self.client.as_ref().map(|client| client.level)
    }

    /// Returns the client's token, or the primary token, whatever the level.
    ///
    /// # Identity
    /// Not for authorising: at level Identification this is a client that the server may not act as. Use
    /// [`SubjectContext::for_authorisation`].
    ///
    /// # NT
    /// `SeQuerySubjectContextToken`.
    #[doc(alias = "SeQuerySubjectContextToken")]
    pub fn effective_token_unchecked(&self) -> &TokenRef {
        match &self.client {
            Some(client) => &client.token,
            None => &self.primary,
        }
    }

    /// Returns the token that may authorise something.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when there is a client below level Impersonation. The primary token is not used
    ///   instead: that would turn an identified client into the server.
    ///
    /// # Source
    /// spec/nt-impersonation 4.3.
    #[track_caller]
    pub fn for_authorisation(&self) -> Result<&TokenRef, NtStatus> {
        match &self.client {
            None => Ok(&self.primary),
            Some(client) if client.level.may_act_locally() => Ok(&client.token),
            Some(_) => {
                self.note_use();
                Err(NtStatus::BAD_IMPERSONATION_LEVEL)
            }
        }
    }

    /// Tells the verifier that this subject was to act, if its client may not.
    #[inline]
    #[track_caller]
    pub(crate) fn note_use(&self) {
        let Some(thread) = &self.thread else { return };
        if self.level().is_some_and(|level| !level.may_act_locally()) {
            thread.note_use(Location::caller());
        }
    }

    /// Returns the token that may be shown or logged.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when there is a client at level Anonymous.
    pub fn for_display(&self) -> Result<&TokenRef, NtStatus> {
        match &self.client {
            None => Ok(&self.primary),
            Some(client) if client.level.may_identify() => Ok(&client.token),
            Some(_) => Err(NtStatus::BAD_IMPERSONATION_LEVEL),
        }
    }

    /// Returns the logon session that may authorise something.
    ///
    /// # Errors
    /// - as for [`SubjectContext::for_authorisation`].
    ///
    /// # Source
    /// CVE-2015-0010; spec/nt-impersonation 4.4 CV02.
    #[track_caller]
    pub fn authentication_id(&self) -> Result<Luid, NtStatus> {
        Ok(self.for_authorisation()?.authentication_id())
    }

    /// Returns whether whoever may authorise something is an administrator.
    ///
    /// # Errors
    /// - as for [`SubjectContext::for_authorisation`].
    ///
    /// # Source
    /// CVE-2015-0002; spec/nt-impersonation 4.4 CV01.
    #[doc(alias = "SeTokenIsAdmin")]
    #[track_caller]
    pub fn is_admin(&self) -> Result<bool, NtStatus> {
        Ok(self.for_authorisation()?.state().is_admin())
    }

    /// Reads both states once, so that several questions are answered about one moment.
    ///
    /// Nothing is kept from changing meanwhile: the states are immutable and the changes make new ones.
    ///
    /// # NT
    /// `SeLockSubjectContext`; dropping the result is `SeUnlockSubjectContext`.
    ///
    /// # Source
    /// SeLockSubjectContext (ntifs.h page); spec/nt-impersonation 2.13.
    #[doc(alias = "SeLockSubjectContext")]
    #[doc(alias = "SeUnlockSubjectContext")]
    pub fn lock(&self) -> LockedSubject {
        self.tokens().lock()
    }

    /// Looks at both tokens.
    #[inline]
    pub fn tokens(&self) -> SubjectTokens<'_> {
        let client = self.client.as_ref().map(|client| (&client.token, client.level));
        SubjectTokens { client, primary: &self.primary }
    }

    /// Says whether privileges are in force, and marks those that are.
    ///
    /// # Inputs
    /// - `wanted`: the privileges; those in force are marked as used for access.
    /// - `need`: all of them, or any one.
    /// - `mode`: the kernel holds everything.
    ///
    /// # Identity
    /// The client decides when there is one, and holds nothing below level Impersonation.
    ///
    /// # NT
    /// `SePrivilegeCheck`.
    ///
    /// # Source
    /// SePrivilegeCheck (ntifs.h page); spec/nt-impersonation 2.17.
    #[doc(alias = "SePrivilegeCheck")]
    #[must_use]
    #[track_caller]
    pub fn privilege_check(&self, wanted: &mut [LuidAndAttributes], need: Need, mode: AccessMode) -> bool {
        if mode == AccessMode::User {
            self.note_use();
        }
        self.tokens().privilege_check(wanted, need, mode)
    }

    /// Says whether one privilege is in force.
    ///
    /// # Identity
    /// As for [`SubjectContext::privilege_check`].
    ///
    /// # NT
    /// `SeSinglePrivilegeCheck`, for a subject that was captured already.
    #[doc(alias = "SeSinglePrivilegeCheck")]
    #[must_use]
    #[track_caller]
    pub fn holds(&self, privilege: Privilege, mode: AccessMode) -> bool {
        let mut wanted = [LuidAndAttributes::new(privilege, PrivilegeAttributes::empty())];
        self.privilege_check(&mut wanted, Need::All, mode)
    }

    /// Says whether the process holds one privilege, whomever its thread wears.
    ///
    /// For what belongs to the process alone: acting as part of the system, writing audits, starting processes.
    ///
    /// # Source
    /// SeTcbPrivilege and SeAuditPrivilege are tested on the primary token; spec/nt-impersonation 2.18.
    #[must_use]
    pub fn primary_holds(&self, privilege: Privilege) -> bool {
        self.primary.state().privileges().is_enabled(privilege)
    }
}

/// Both tokens of a decision, looked at where somebody else holds the references.
///
/// For those who keep a subject context in a structure of their own and ask one question about it.
#[derive(Clone, Copy, Debug)]
pub struct SubjectTokens<'a> {
    client: Option<(&'a TokenRef, ImpersonationLevel)>,
    primary: &'a TokenRef,
}

impl<'a> SubjectTokens<'a> {
    /// Looks at the two tokens.
    ///
    /// # Inputs
    /// - `client`: the client's token and its level, if there is a client; the level is lowered to the token's own.
    /// - `primary`: the token of the process.
    #[inline]
    #[must_use]
    pub fn new(client: Option<(&'a TokenRef, ImpersonationLevel)>, primary: &'a TokenRef) -> Self {
        let client = client.map(|(token, level)| (token, capped(token, level)));
        Self { client, primary }
    }

    /// Returns the client's token and its level, if there is a client.
    #[inline]
    #[must_use]
    pub fn client(&self) -> Option<(&'a TokenRef, ImpersonationLevel)> {
        self.client
    }

    /// Returns the token of the process.
    #[inline]
    #[must_use]
    pub fn primary(&self) -> &'a TokenRef {
        self.primary
    }

    /// Says whether privileges are in force, as [`SubjectContext::privilege_check`] does.
    #[must_use]
    pub fn privilege_check(&self, wanted: &mut [LuidAndAttributes], need: Need, mode: AccessMode) -> bool {
        privilege::check_by(&self.lock().subject(), wanted, need, mode, self.primary.system().policy().readings)
    }

    /// Takes references of its own.
    #[track_caller]
    pub fn to_context(&self) -> SubjectContext {
        let client =
            self.client.map(|(token, level)| SubjectClient { token: token.clone(), level, reach: Reach::AllHeld });
        SubjectContext { client, primary: self.primary.clone(), audit_id: 0, thread: None }
    }

    /// Reads both states once, as [`SubjectContext::lock`] does.
    #[inline]
    pub fn lock(&self) -> LockedSubject {
        let primary = self.primary.state();
        let client = self.client.map(|(token, level)| {
            (if token.is_same(self.primary) { Arc::clone(&primary) } else { token.state() }, level)
        });
        LockedSubject { client, primary }
    }
}

/// Returns the level at which a token counts as a client's: at most its own.
#[inline]
fn capped(token: &TokenRef, level: ImpersonationLevel) -> ImpersonationLevel {
    token.level().map_or(level, |own| level.capped_by(own))
}

/// Both states of a subject context, of one moment.
///
/// # Examples
/// What the access check is given ends with it:
/// ```compile_fail,E0515
/// # use vicar_kernel::SubjectContext;
/// fn keep(subject: &SubjectContext) -> vicar_nt::check::Subject<'_> {
///     let locked = subject.lock();
///     locked.subject()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LockedSubject {
    client: Option<(Arc<Snapshot>, ImpersonationLevel)>,
    primary: Arc<Snapshot>,
}

impl LockedSubject {
    /// Reads a token that was handed over as the subject, as the routines that take a token handle do.
    ///
    /// An impersonation token is a client at its own level; a primary token speaks for itself.
    pub fn of_token(token: &TokenRef) -> Self {
        let state = token.state();
        Self { client: token.level().map(|level| (Arc::clone(&state), level)), primary: state }
    }

    /// Returns the subject as the access check takes it.
    #[inline]
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match &self.client {
            Some((client, level)) => Subject::client(client, *level, &self.primary),
            None => Subject::itself(&self.primary),
        }
    }
}
