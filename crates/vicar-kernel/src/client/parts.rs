//! What a capture is made of: where a client comes from, what its terms become, and the parts for callers' structures.
//!
//! Most of this is inlined whole: a value that is moved right after it was made is waited for.

use std::panic::Location;

use vicar_nt::{ImpersonationLevel, NtStatus};

use super::{TokenControl, is_direct, may_capture};
use crate::audit::{Attempt, What};
use crate::impersonate::Impersonation;
use crate::policy::{EffectiveOnlyRule, Policy};
use crate::qos::{Locality, Qos, Reach, Tracking};
use crate::subject::SubjectTokens;
use crate::thread::{Effective, ThreadRef};
use crate::token::TokenRef;

/// What a context is made of, for those who keep it in a structure of their own.
///
/// The reference in it is the context's own. Nothing notices any more when it is given back twice or never.
///
/// # NT
/// The members of `SECURITY_CLIENT_CONTEXT`.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientParts {
    /// The token that will be worn: the client's live one, or a private copy.
    #[doc(alias = "ClientToken")]
    pub token: TokenRef,
    /// What the client granted.
    #[doc(alias = "SecurityQos")]
    pub qos: Qos,
    /// Where the server of the request runs.
    #[doc(alias = "ServerIsRemote")]
    pub locality: Locality,
    /// Whether the token is the client's live one.
    #[doc(alias = "DirectlyAccessClientToken")]
    pub is_direct: bool,
    /// Whether what the client has disabled will exist for the server.
    pub reach: Reach,
    /// The reach that NT keeps for live tokens.
    #[doc(alias = "DirectAccessEffectiveOnly")]
    pub direct_reach: Reach,
    /// The identity of the client's token at capture, for a remote server that tracks it.
    #[doc(alias = "ClientTokenControl")]
    pub control: Option<TokenControl>,
}

/// Where a client is captured from.
pub(super) struct Source {
    pub(super) token: TokenRef,
    /// The level the source is worn at; a primary token has no ceiling.
    pub(super) level: Option<ImpersonationLevel>,
    /// The source's own restriction.
    pub(super) reach: Reach,
    /// Whether the compatible rule would still know that restriction.
    pub(super) remembers_reach: bool,
}

impl Source {
    #[inline(always)]
    #[track_caller]
    pub(super) fn of_thread(client: &ThreadRef) -> Self {
        match client.reference_effective() {
            Effective::Primary(token) => Self { token, level: None, reach: Reach::AllHeld, remembers_reach: true },
            Effective::Impersonating(Impersonation { token, level, reach, .. }) => {
                Self { token, level: Some(level), reach, remembers_reach: true }
            }
        }
    }

    /// The thread's restriction is known when a subject context of ours was captured, and not by the structure of NT.
    #[inline(always)]
    #[track_caller]
    pub(super) fn of_subject(tokens: SubjectTokens<'_>, reach: Option<Reach>) -> Self {
        let (token, level) = match tokens.client() {
            Some((client, level)) => (client.clone(), Some(level)),
            None => (tokens.primary().clone(), None),
        };
        Self { token, level, reach: reach.unwrap_or(Reach::AllHeld), remembers_reach: false }
    }
}

/// Returns the token to be worn, the client's or a copy, and tells who listens.
#[inline(always)]
#[track_caller]
pub(super) fn worn(
    token: TokenRef,
    is_direct: bool,
    qos: Qos,
    at: &'static Location<'static>,
) -> Result<TokenRef, NtStatus> {
    let token = if is_direct {
        token
    } else {
        token.system().refused(Attempt::Capture, at, token.copy_for_client(qos.level))?
    };
    token.system().tell(at, || What::Captured {
        token: token.id(),
        user: token.state().user().sid,
        level: qos.level,
        is_direct,
    });
    Ok(token)
}

impl ClientParts {
    /// Captures whom a thread acts as, for a structure of the caller's own.
    ///
    /// # Errors
    /// - as for [`ClientContext::capture`](crate::ClientContext::capture).
    ///
    /// # NT
    /// `SeCreateClientSecurity`.
    ///
    /// # Source
    /// SeCreateClientSecurity (ntifs.h page); spec/nt-impersonation 2.1, 3.1.
    #[inline]
    #[track_caller]
    pub fn capture(client: &ThreadRef, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        let captured = Self::build(Source::of_thread(client), qos, locality);
        if captured.is_err() {
            client.note_use(Location::caller());
        }
        captured
    }

    /// Captures the client of a subject, or its process if it has none, for a structure of the caller's own.
    ///
    /// # Errors
    /// - as for [`ClientContext::capture`](crate::ClientContext::capture).
    ///
    /// # NT
    /// `SeCreateClientSecurityFromSubjectContext`.
    ///
    /// # Source
    /// SeCreateClientSecurityFromSubjectContext (ntifs.h page); spec/nt-impersonation 2.2.
    #[inline]
    #[track_caller]
    pub fn from_subject(subject: SubjectTokens<'_>, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        Self::build(Source::of_subject(subject, None), qos, locality)
    }

    #[inline(always)]
    #[track_caller]
    fn build(source: Source, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        let at = Location::caller();
        let Source { token, level, reach, remembers_reach } = source;
        token.system().refused(Attempt::Capture, at, may_capture(level, qos.level, locality))?;
        // Of the client's own token, not of the copy.
        let control = has_control(qos, locality).then(|| TokenControl::of(&token));
        let Shape { is_direct, reach, direct_reach } =
            Shape::of(token.system().policy(), (reach, remembers_reach), qos, locality);
        let token = worn(token, is_direct, qos, at)?;
        Ok(Self { token, qos, locality, is_direct, reach, direct_reach, control })
    }
}

/// What a capture makes of a source, apart from the token.
pub(super) struct Shape {
    pub(super) is_direct: bool,
    pub(super) reach: Reach,
    pub(super) direct_reach: Reach,
}

impl Shape {
    #[inline(always)]
    pub(super) fn of(policy: &Policy, (own, remembers): (Reach, bool), qos: Qos, locality: Locality) -> Self {
        let known_reach = match policy.effective_only {
            EffectiveOnlyRule::Either => own,
            EffectiveOnlyRule::DynamicThreadOnly if remembers => own,
            EffectiveOnlyRule::DynamicThreadOnly => Reach::AllHeld,
        };
        let direct_reach = qos.reach.narrowed_by(known_reach);
        let reach = match (policy.effective_only, qos.tracking) {
            (EffectiveOnlyRule::Either, Tracking::Static | Tracking::Dynamic)
            | (EffectiveOnlyRule::DynamicThreadOnly, Tracking::Dynamic) => direct_reach,
            (EffectiveOnlyRule::DynamicThreadOnly, Tracking::Static) => qos.reach,
        };
        Self { is_direct: is_direct(qos.tracking, locality, policy), reach, direct_reach }
    }
}

/// Whether a remote server is told which token it tracks.
#[inline]
pub(super) fn has_control(qos: Qos, locality: Locality) -> bool {
    qos.tracking == Tracking::Dynamic && locality == Locality::Remote
}
