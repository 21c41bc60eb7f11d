//! Token objects: a fixed identity around a state that is replaced as a whole.
//!
//! A [`Token`] never changes its ids, type or level. What can be adjusted lives in a [`Snapshot`], an immutable
//! `vicar_nt::token::TokenState` with a number that no other state of the same system has; a change installs a new
//! snapshot, so a reader sees either the old state or the new one and never a mixture. [`TokenRef`] is a counted
//! reference. Which bits of a state follow from which others is decided in `vicar-nt`, never here.

mod adjust;
mod claims;
mod compare;
mod duplicate;
mod filter;
mod predicate;
mod protect;
pub mod query;
mod reference;
mod relation;
pub mod set;
mod slot;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::TokenState;
use vicar_nt::{ImpersonationLevel, Luid, NtStatus};

use crate::client::JudgedStates;
use crate::gate::GateFacts;
use crate::ledger::ObjectId;
use crate::logon::{LogonKind, SessionHold};
use crate::pool::{Charge, Purpose};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::system::System;

pub use adjust::{GroupsAdjusted, PrivilegesAdjusted};
pub use claims::serialise as serialise_claims;
pub use duplicate::{Duplicate, DuplicateKind};
pub use filter::parse_filter_flags;
pub use protect::descriptor_of_new;
pub use query::{Info, InfoClass};
use reference::Home;
pub(crate) use reference::Spare;
pub use reference::{Lease, TokenRef};
use relation::Relations;
pub use set::Setting;
pub(crate) use slot::Slot;

/// What a token is attached to, and how strong it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "TOKEN_TYPE")]
pub enum TokenKind {
    /// For processes. Has no level.
    #[doc(alias = "TokenPrimary")]
    Primary,
    /// For threads, at this level.
    #[doc(alias = "TokenImpersonation")]
    Impersonation(ImpersonationLevel),
}

impl TokenKind {
    /// Returns the level of an impersonation token.
    pub const fn level(self) -> Option<ImpersonationLevel> {
        match self {
            Self::Primary => None,
            Self::Impersonation(level) => Some(level),
        }
    }
}

/// Who made a token, for audit trails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TOKEN_SOURCE")]
pub struct TokenSource {
    /// Eight bytes, such as `*SYSTEM*`.
    pub name: [u8; 8],
    /// Chosen by the source.
    pub identifier: Luid,
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    /// User, groups, privileges and the rest of the adjustable state.
    pub state: TokenState,
    /// Primary, or impersonation at a level.
    pub kind: TokenKind,
    /// Eight bytes that name the maker.
    pub source: [u8; 8],
    /// The logon session that made this token with explicit credentials; zero for a network logon.
    pub origin: Luid,
}

/// One immutable state of a token, with a number of its own.
///
/// The number is unique in the system for the state's content: copies that strip nothing share the snapshot and therefore
/// the number, a change makes a new one. Tokens that share a snapshot share logon session and origin too, so whatever is
/// decided about one of them by these holds for all. Whatever of a token can change and the gate looks at is in here.
#[derive(Debug)]
pub struct Snapshot {
    id: u64,
    modified_id: Luid,
    origin: Luid,
    state: TokenState,
    facts: GateFacts,
}

impl Snapshot {
    fn new(id: u64, modified_id: Luid, origin: Luid, state: TokenState) -> Self {
        let facts = GateFacts::of(&state);
        Self { id, modified_id, origin, state, facts }
    }

    /// Returns what the gate wants to know and would have to search for.
    pub(crate) fn facts(&self) -> GateFacts {
        self.facts
    }

    /// Returns the number of this state; never zero.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the identifier that changes with every modification.
    #[doc(alias = "ModifiedId")]
    pub fn modified_id(&self) -> Luid {
        self.modified_id
    }

    /// Returns the logon session that made the token with explicit credentials, or zero.
    pub fn origin(&self) -> Luid {
        self.origin
    }

    /// Returns the state itself.
    pub fn state(&self) -> &TokenState {
        &self.state
    }
}

impl Deref for Snapshot {
    type Target = TokenState;

    fn deref(&self) -> &TokenState {
        &self.state
    }
}

/// A token object. Reached through a [`TokenRef`].
#[doc(alias = "PACCESS_TOKEN")]
pub struct Token {
    system: System,
    number: u64,
    id: Luid,
    parent_id: Luid,
    source: TokenSource,
    relations: Relations,
    kind: TokenKind,
    is_in_use: AtomicBool,
    slot: Arc<Slot>,
    home: Home,
    /// The states and the level that the gate said yes to first, lowering nothing.
    judged: OnceLock<(JudgedStates, ImpersonationLevel)>,
    /// Who may open it; made when it is first asked for, `None` inside when it cannot be made.
    descriptor: OnceLock<Option<Descriptor>>,
    // Fields drop in this order: the hold may end the session and call termination routines.
    hold: SessionHold,
    _charge: Charge,
}

/// What a change makes of a snapshot; the numbers are added when it is put in place.
struct Replacement {
    origin: Luid,
    state: TokenState,
}

/// What a copy of a token takes over unchanged, and what it does not.
struct Blueprint {
    parent_id: Luid,
    source: TokenSource,
    kind: TokenKind,
    snapshot: Arc<Snapshot>,
    descriptor: Option<Descriptor>,
}

impl Token {
    /// Charges the pool for a token with this state.
    pub(crate) fn charge(system: &System, state: &TokenState) -> Result<Charge, NtStatus> {
        Self::charge_with(system, state, 0)
    }

    /// Charges the pool for a token with this state and so many bytes more.
    fn charge_with(system: &System, state: &TokenState, more: usize) -> Result<Charge, NtStatus> {
        let bytes = size_of::<Self>().saturating_add(state.size_of_copy()).saturating_add(more);
        system.pool().charge(Purpose::Token, bytes)
    }

    #[track_caller]
    pub(crate) fn create(system: &System, hold: SessionHold, charge: Charge, spec: TokenSpec) -> TokenRef {
        let snapshot = Snapshot::new(system.next_number(), system.allocate_luid(), spec.origin, spec.state);
        let blueprint = Blueprint {
            parent_id: Luid::from_u64(0),
            source: TokenSource { name: spec.source, identifier: system.allocate_luid() },
            kind: spec.kind,
            snapshot: Arc::new(snapshot),
            descriptor: None,
        };
        Self::assemble(system, hold, charge, blueprint)
    }

    #[track_caller]
    fn assemble(system: &System, hold: SessionHold, charge: Charge, blueprint: Blueprint) -> TokenRef {
        let Blueprint { parent_id, source, kind, snapshot, descriptor } = blueprint;
        TokenRef::adopt(&Arc::new(Self {
            system: system.clone(),
            number: system.next_number(),
            id: system.allocate_luid(),
            parent_id,
            source,
            relations: Relations::default(),
            kind,
            is_in_use: AtomicBool::new(false),
            home: Home::default(),
            judged: OnceLock::new(),
            slot: Arc::new(Slot::new(snapshot)),
            descriptor: descriptor.map_or_else(OnceLock::new, |given| OnceLock::from(Some(given))),
            hold,
            _charge: charge,
        }))
    }

    /// Returns the world of this token.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Returns the number that no other token, process or thread of this system has.
    pub fn object_id(&self) -> ObjectId {
        ObjectId::of(self.number)
    }

    /// Returns the identity of this token object; every copy has another.
    #[doc(alias = "TokenId")]
    pub fn id(&self) -> Luid {
        self.id
    }

    /// Returns the logon session, which many tokens share.
    ///
    /// # Identity
    /// Says nothing about what the holder may do: test the level before deciding anything by it.
    ///
    /// # NT
    /// `SeQueryAuthenticationIdToken`; it succeeds at every level, which is why CVE-2015-0010 was possible.
    #[doc(alias = "SeQueryAuthenticationIdToken")]
    #[doc(alias = "AuthenticationId")]
    pub fn authentication_id(&self) -> Luid {
        self.hold.session().id()
    }

    /// Returns how the sign-in of this token's logon session happened.
    pub fn logon_kind(&self) -> LogonKind {
        self.hold.session().kind()
    }

    /// Returns the identity of the token this one was filtered from, or zero.
    #[doc(alias = "ParentTokenId")]
    pub fn parent_id(&self) -> Luid {
        self.parent_id
    }

    /// Returns the identifier that changes with every modification.
    #[doc(alias = "ModifiedId")]
    pub fn modified_id(&self) -> Luid {
        self.slot.modified_id()
    }

    /// Returns who made this token.
    #[doc(alias = "TOKEN_SOURCE")]
    pub fn source(&self) -> TokenSource {
        self.source
    }

    /// Returns the logon session that made this token with explicit credentials, or zero.
    #[doc(alias = "TOKEN_ORIGIN")]
    #[doc(alias = "OriginatingLogonSession")]
    pub fn origin(&self) -> Luid {
        self.state().origin
    }

    /// Returns whether this is a primary or an impersonation token, and the level of the latter.
    #[doc(alias = "SeTokenType")]
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Returns the level of an impersonation token; a primary token has none.
    ///
    /// # NT
    /// `SeTokenImpersonationLevel`. Differs: NT returns a meaningless level for a primary token.
    #[doc(alias = "SeTokenImpersonationLevel")]
    pub fn level(&self) -> Option<ImpersonationLevel> {
        self.kind.level()
    }

    /// Returns whether a process runs under this very token.
    #[doc(alias = "TokenInUse")]
    pub fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Acquire)
    }

    /// Claims this token for a process; false when another process has it.
    pub(crate) fn claim(&self) -> bool {
        !self.is_in_use.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn unclaim(&self) {
        self.is_in_use.store(false, Ordering::Release);
    }

    /// Returns the state as it is now; later changes do not affect what is returned.
    ///
    /// # Cost
    /// One shared lock and one reference count; no allocation.
    pub fn state(&self) -> Arc<Snapshot> {
        self.slot.state(&self.system)
    }

    /// Returns the number of the current state.
    ///
    /// Whoever caches something derived from a state compares this number before using it.
    ///
    /// # Cost
    /// One atomic load.
    pub fn state_id(&self) -> u64 {
        self.slot.state_id()
    }

    /// Replaces the state by what `change` makes of it, if it makes anything, and returns its answer.
    ///
    /// Every change of a token goes through its slot: new snapshot number, new ModifiedId, one critical section.
    fn modify<R>(&self, change: impl FnOnce(&TokenState) -> (Option<TokenState>, R)) -> R {
        self.slot.modify(&self.system, |current| {
            let (state, answer) = change(&current.state);
            (state.map(|state| Replacement { origin: current.origin, state }), answer)
        })
    }

    /// Returns the states and the level that the gate allowed this token for, without lowering anything.
    #[inline]
    pub(crate) fn judged(&self) -> Option<(JudgedStates, ImpersonationLevel)> {
        self.judged.get().copied()
    }

    /// Notes that the gate allowed it; only the first time counts, because states rarely change once a server is up.
    pub(crate) fn note_judged(&self, states: JudgedStates, level: ImpersonationLevel) {
        // Losing against another thread that notes the same is as good.
        let _ = self.judged.set((states, level));
    }

    /// Returns the adjustable half, for noticing changes without holding the token.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("authentication_id", &self.authentication_id())
            .field("kind", &self.kind)
            .field("user", &self.state().user().sid)
            .field("state_id", &self.state_id())
            .finish_non_exhaustive()
    }
}
