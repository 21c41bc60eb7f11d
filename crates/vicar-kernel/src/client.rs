//! What a server keeps of a client: captured once, worn later.
//!
//! A [`ClientContext`] is made from a thread, a subject context or a token, under a [`Qos`]. The capture decides once what
//! may be passed on at all; wearing it later looks nothing up again. It owns one token reference and gives it back when
//! dropped, which never disturbs a thread that wears the token. It judges nothing about the server: the gate does.

use std::panic::Location;
use std::sync::OnceLock;

use vicar_nt::{ImpersonationLevel, Luid, NtStatus};

use crate::audit::Attempt;
use crate::policy::{Policy, RemoteDynamic};
use crate::qos::{Locality, Qos, Reach, Tracking};
use crate::subject::SubjectContext;
use crate::tally::Seat;
use crate::thread::ThreadRef;
use crate::token::{Spare, TokenRef, TokenSource};
use crate::verifier::Ticket;

mod parts;

pub use parts::ClientParts;
use parts::{Shape, Source, has_control, worn};

/// The identity of a token at one moment, for noticing later that it is another one or has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TOKEN_CONTROL")]
pub struct TokenControl {
    /// The token object.
    pub token_id: Luid,
    /// Its logon session.
    pub authentication_id: Luid,
    /// Its last modification.
    pub modified_id: Luid,
    /// Who made it.
    pub source: TokenSource,
}

impl TokenControl {
    /// Reads the identity of a token as it is now.
    pub fn of(token: &TokenRef) -> Self {
        Self {
            token_id: token.id(),
            authentication_id: token.authentication_id(),
            modified_id: token.modified_id(),
            source: token.source(),
        }
    }
}

/// What a refresh found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Refreshed {
    /// The same token, unmodified; or the context is static.
    Unchanged,
    /// The same token, but modified or worn with another reach.
    AttributesChanged,
    /// Another token.
    TokenReplaced,
}

/// A captured client. Cloning takes another token reference.
///
/// # NT
/// `SECURITY_CLIENT_CONTEXT`. Dropping it is `SeDeleteClientSecurity`.
#[derive(Debug)]
#[must_use]
#[doc(alias = "SECURITY_CLIENT_CONTEXT")]
#[doc(alias = "SeDeleteClientSecurity")]
pub struct ClientContext {
    token: TokenRef,
    qos: Qos,
    locality: Locality,
    is_direct: bool,
    reach: Reach,
    direct_reach: Reach,
    control: TokenControl,
    ticket: Ticket,
    judged: OnceLock<Judged>,
}

impl ClientContext {
    /// Captures whom a thread acts as: whom it wears, or its process.
    ///
    /// # Inputs
    /// - `client`: any thread; need not be the calling one.
    /// - `qos`: what the client grants.
    /// - `locality`: where the server of the request runs.
    ///
    /// # Returns
    /// A context at level `qos.level`. Static tracking holds a private copy, dynamic tracking of a local client the live
    /// token.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the thread wears a client below level Impersonation (for every level asked
    ///   for), or below the level asked for, or below Delegation for a remote server.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` when the copy cannot be made.
    ///
    /// Nothing is referenced then.
    ///
    /// # NT
    /// `SeCreateClientSecurity`. A level outside 0 to 3 is refused by [`Qos::parse`].
    ///
    /// # Source
    /// SeCreateClientSecurity (ntifs.h page); spec/nt-impersonation 2.1, 3.1.
    #[doc(alias = "SeCreateClientSecurity")]
    #[track_caller]
    pub fn capture(client: &ThreadRef, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        let captured = Self::build(Source::of_thread(client), qos, locality);
        if captured.is_err() {
            client.note_use(Location::caller());
        }
        captured
    }

    /// Captures the client of a subject context, or its process if it has none.
    ///
    /// The subject context keeps its own references.
    ///
    /// # Errors
    /// - as for [`ClientContext::capture`].
    ///
    /// # NT
    /// `SeCreateClientSecurityFromSubjectContext`. NT's subject context does not know the thread's effective-only
    /// restriction; ours does, and [`EffectiveOnlyRule`](crate::policy::EffectiveOnlyRule) says whether it is kept.
    ///
    /// # Source
    /// SeCreateClientSecurityFromSubjectContext (ntifs.h page); spec/nt-impersonation 2.2.
    #[doc(alias = "SeCreateClientSecurityFromSubjectContext")]
    #[track_caller]
    pub fn from_subject(subject: &SubjectContext, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        Self::build(Source::of_subject(subject.tokens(), subject.client().map(|client| client.reach)), qos, locality)
    }

    /// Captures a client that has no thread, only a token.
    ///
    /// An impersonation token counts as worn at its own level, with nothing restricted.
    ///
    /// # Errors
    /// - as for [`ClientContext::capture`].
    ///
    /// # NT
    /// No routine of this name; the capture table with the token as the source.
    ///
    /// # Source
    /// spec/nt-impersonation 3.1.
    #[track_caller]
    pub fn from_token(token: &TokenRef, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        let source =
            Source { token: token.clone(), level: token.level(), reach: Reach::AllHeld, remembers_reach: true };
        Self::build(source, qos, locality)
    }

    #[inline(always)]
    #[track_caller]
    fn build(source: Source, qos: Qos, locality: Locality) -> Result<Self, NtStatus> {
        let at = Location::caller();
        let Source { token, level, reach, remembers_reach } = source;
        token.system().refused(Attempt::Capture, at, may_capture(level, qos.level, locality))?;
        // Read before the copy is made: a modification in between is then noticed by a refresh, not missed.
        let control = TokenControl::of(&token);
        let Shape { is_direct, reach, direct_reach } =
            Shape::of(token.system().policy(), (reach, remembers_reach), qos, locality);
        let token = worn(token, is_direct, qos, at)?;
        let ticket = Ticket::take(token.system());
        let judged = OnceLock::new();
        Ok(Self { token, qos, locality, is_direct, reach, direct_reach, control, ticket, judged })
    }

    /// Returns the token that will be worn: the client's live one, or a private copy.
    pub fn token(&self) -> &TokenRef {
        &self.token
    }

    /// Returns the level it will be worn at.
    pub fn level(&self) -> ImpersonationLevel {
        self.qos.level
    }

    /// Returns whether what the client has disabled will exist for the server.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the reach that NT keeps for live tokens, which a copy has too but does not use.
    #[doc(alias = "DirectAccessEffectiveOnly")]
    pub fn direct_reach(&self) -> Reach {
        self.direct_reach
    }

    /// Returns whether the token is the client's live one.
    #[doc(alias = "DirectlyAccessClientToken")]
    pub fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Returns what the client granted.
    pub fn qos(&self) -> Qos {
        self.qos
    }

    /// Returns where the server of the request runs.
    #[doc(alias = "ServerIsRemote")]
    pub fn locality(&self) -> Locality {
        self.locality
    }

    /// Returns the identity of the client's token at capture, for a remote server that tracks it.
    #[doc(alias = "ClientTokenControl")]
    pub fn token_control(&self) -> Option<&TokenControl> {
        has_control(self.qos, self.locality).then_some(&self.control)
    }

    /// Takes the context apart. Its token reference moves; wear it by [`ThreadRef::impersonate_token`].
    pub fn into_parts(self) -> ClientParts {
        let control = self.token_control().copied();
        let Self { token, qos, locality, is_direct, reach, direct_reach, .. } = self;
        ClientParts { token, qos, locality, is_direct, reach, direct_reach, control }
    }

    /// Returns the states that the gate allowed this context for, without lowering anything.
    #[inline]
    pub(crate) fn judged(&self) -> Option<&Judged> {
        self.judged.get()
    }

    /// Notes that the gate allowed it; only the first time counts, because states rarely change once a server is up.
    pub(crate) fn note_judged(&self, states: JudgedStates, first: Seat) {
        // Losing against another thread that notes the same is as good.
        let _ = self.judged.set(Judged { states, first, spares: OnceLock::new() });
    }

    /// Looks again whom a thread acts as, and captures anew if that changed.
    ///
    /// # Returns
    /// What was found; the context is up to date then. A static context never changes.
    ///
    /// # Errors
    /// - as for [`ClientContext::capture`]; the old context must not be used any more.
    ///
    /// # NT
    /// A routine of early versions compared the token's identity and modification in this way; it is not in current headers.
    ///
    /// # Source
    /// spec/nt-impersonation 2.4.
    #[doc(alias = "SeUpdateClientSecurity")]
    #[track_caller]
    pub fn refresh(&mut self, client: &ThreadRef) -> Result<Refreshed, NtStatus> {
        match self.qos.tracking {
            Tracking::Static => return Ok(Refreshed::Unchanged),
            Tracking::Dynamic => {}
        }
        let fresh = Self::capture(client, self.qos, self.locality)?;
        let found = if fresh.control.token_id != self.control.token_id {
            Refreshed::TokenReplaced
        } else if fresh.control.modified_id != self.control.modified_id || fresh.reach != self.reach {
            Refreshed::AttributesChanged
        } else {
            return Ok(Refreshed::Unchanged);
        };
        *self = fresh;
        Ok(found)
    }
}

/// The states of a process and of a token that the gate looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JudgedStates {
    pub(crate) process: u64,
    pub(crate) token: u64,
}

/// That the gate allowed a context, and where threads take their references from.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) states: JudgedStates,
    first: Seat,
    spares: OnceLock<Box<[OnceLock<Spare>; Seat::COUNT]>>,
}

impl Judged {
    /// Takes the reference that a thread in `seat` wears.
    ///
    /// Threads in the seat of the first count on the context's own lease, others on one of their own, so that they do not
    /// share a cache line. The first in each seat makes its lease; they go with the context.
    #[inline]
    #[track_caller]
    pub(crate) fn reference(&self, token: &TokenRef, seat: Seat) -> TokenRef {
        if seat == self.first {
            return token.clone();
        }
        match self.spares.get().and_then(|spares| spares.get(seat.index())?.get()) {
            Some(spare) => spare.reference(),
            None => self.first_reference(token, seat),
        }
    }

    #[cold]
    #[track_caller]
    fn first_reference(&self, token: &TokenRef, seat: Seat) -> TokenRef {
        if self.spares.get().is_none() {
            let _ = self.spares.set(Box::new(std::array::from_fn(|_| OnceLock::new())));
        }
        if let Some(place) = self.spares.get().and_then(|spares| spares.get(seat.index())) {
            let _ = place.set(token.spare());
        }
        token.clone()
    }
}

impl Clone for ClientContext {
    #[track_caller]
    fn clone(&self) -> Self {
        let Self { qos, locality, is_direct, reach, direct_reach, control, .. } = *self;
        let (token, ticket, judged) = (self.token.clone(), self.ticket.again(), OnceLock::new());
        Self { token, qos, locality, is_direct, reach, direct_reach, control, ticket, judged }
    }
}

/// The capture table: whether a source at `held` (a primary token has none) may be passed on at `wanted`.
///
/// # Errors
/// - `STATUS_BAD_IMPERSONATION_LEVEL` when it may not.
///
/// # NT
/// The rows C2 to C6; C1 is [`Qos::parse`].
///
/// # Source
/// SeCreateClientSecurity (ntifs.h page); spec/nt-impersonation 3.1.
pub fn may_capture(
    held: Option<ImpersonationLevel>,
    wanted: ImpersonationLevel,
    locality: Locality,
) -> Result<(), NtStatus> {
    let Some(held) = held else { return Ok(()) };
    let is_forwardable = match locality {
        Locality::Local => held.may_act_locally(),
        Locality::Remote => held == ImpersonationLevel::Delegation,
    };
    if wanted > held || !is_forwardable { Err(NtStatus::BAD_IMPERSONATION_LEVEL) } else { Ok(()) }
}

/// Whether the live token is kept.
fn is_direct(tracking: Tracking, locality: Locality, policy: &Policy) -> bool {
    match (tracking, locality) {
        (Tracking::Static, Locality::Local | Locality::Remote) => false,
        (Tracking::Dynamic, Locality::Local) => true,
        (Tracking::Dynamic, Locality::Remote) => match policy.remote_dynamic {
            RemoteDynamic::Copy => false,
            RemoteDynamic::Live => true,
        },
    }
}
