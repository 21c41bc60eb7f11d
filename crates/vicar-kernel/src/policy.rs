//! Which Windows is imitated, and how the open questions are answered.
//!
//! A [`Profile`] chooses the rules that existed in one generation of Windows. A [`Policy`] answers, by name, every question
//! that the public sources leave open or answer differently; [`Policy::strict`] takes the side that allows less. Neither
//! has a default value, so a system always says which one it runs under. What is open about access checks, filters and
//! inheritance has its names in `vicar-nt`; the policy carries them.

use vicar_nt::Readings;
use vicar_nt::token::PowerfulPrivileges;

/// The generation of Windows whose impersonation rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Before the impersonate privilege: no gate.
    V0,
    /// 2000 SP4, XP SP2, Server 2003: the impersonate privilege and the gate.
    V1,
    /// Vista, 7: mandatory integrity takes part in the gate.
    V2,
    /// 8, 8.1: AppContainers and process trust.
    V3,
    /// 10, 11: the elevation rule and constrained impersonation. The reference.
    V4,
}

impl Profile {
    /// Every profile, oldest first.
    pub const ALL: [Self; 5] = [Self::V0, Self::V1, Self::V2, Self::V3, Self::V4];

    /// Returns whether a thread's impersonation record is an allocation of its own, which can fail.
    ///
    /// # NT
    /// Up to Server 2003 the record was allocated at the first impersonation; later it is part of the thread object.
    pub const fn has_record_allocation(self) -> bool {
        match self {
            Self::V0 | Self::V1 => true,
            Self::V2 | Self::V3 | Self::V4 => false,
        }
    }
}

/// Gate step G2: what makes a token "the anonymous one", which everybody may wear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnonymousSession {
    /// The anonymous logon session, the anonymous user, and no other group or privilege of weight.
    UserMustBeAnonymous,
    /// The anonymous logon session alone: a forged token with real groups passes, as observed on Windows.
    SessionAlone,
}

/// Gate step G3: which roads lower a token's process trust to that of the wearing process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustClamp {
    /// All of them.
    EveryRoad,
    /// Only those that pass G1 and G2 first; anonymous-session tokens and low levels keep their trust.
    AfterAnonymous,
}

/// Gate step G6: what a matching originating logon session excuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginReach {
    /// The user comparison (G7) only.
    UserOnly,
    /// The user comparison and the restricted-token rule (G8).
    UserAndRestriction,
    /// The user comparison, the restricted-token rule and integrity (G5).
    UserRestrictionAndIntegrity,
}

/// Gate step G8: which mismatch of restriction is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestrictedParity {
    /// A restricted process may not wear an unrestricted token. A restricted token may be worn by anybody, which is what
    /// Microsoft's pages on restricted tokens promise.
    ProcessOnly,
    /// Both must be restricted, or neither.
    BothWays,
}

/// Gate step G9: which tokens a sandboxed process may wear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxRule {
    /// AppContainer tokens of its own package.
    SamePackage,
    /// AppContainer tokens of any package.
    AnyPackage,
}

/// Gate step G10: what "elevated" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElevationRule {
    /// Any elevated token, split or not.
    Elevated,
    /// Only the full half of a split pair.
    FullHalf,
}

/// Gate step G11: whether the constrained-impersonation capability may overrule a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstrainedImpersonation {
    /// Same package, session, capabilities a subset, and also same user and no higher integrity.
    SameUser,
    /// Same package, session and capabilities a subset: the rule that CVE-2018-0821 exploited.
    AnyUser,
    /// Never.
    Off,
}

/// Capture: when the client's own effective-only restriction survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectiveOnlyRule {
    /// Always: the request or the client's thread or both.
    Either,
    /// Only for dynamic tracking of a thread; a static copy and a subject context forget it.
    DynamicThreadOnly,
}

/// Capture: what is stored for a remote client with dynamic tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteDynamic {
    /// A copy, as Microsoft's page says.
    Copy,
    /// The live token.
    Live,
}

/// Duplicating a primary token into an impersonation token without naming a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnnamedLevel {
    /// The result is at level Anonymous.
    Anonymous,
    /// The result is at level Impersonation.
    Impersonation,
}

/// The status of unregistering a logon callback that was never registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingRoutine {
    /// `STATUS_NOT_FOUND`.
    NotFound,
    /// `STATUS_INSUFFICIENT_RESOURCES`, as the page lists it.
    InsufficientResources,
}

/// Putting a client on an untrusted thread that has more rights than the thread's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raising {
    /// Refused with a reason; the work belongs to a system worker.
    Refused,
    /// Done as far as the gate allows, which is what NT does.
    AsTheGateSays,
}

/// Opening a thread's token by a handle of the thread: which right to the thread is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadQuery {
    /// The right to query it.
    Full,
    /// The right to query a little about it, as is enough for a process from Vista on.
    Limited,
}

/// The answers to every open question, one field a question.
///
/// Start from [`Policy::strict`] and change the fields that must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Gate step G2.
    pub anonymous_session: AnonymousSession,
    /// Gate step G3.
    pub trust_clamp: TrustClamp,
    /// Gate step G6.
    pub origin_reach: OriginReach,
    /// Gate step G8.
    pub restricted_parity: RestrictedParity,
    /// Gate step G9.
    pub sandbox: SandboxRule,
    /// Gate step G10.
    pub elevation: ElevationRule,
    /// Gate step G11.
    pub constrained: ConstrainedImpersonation,
    /// Capture of a client that is itself restricted to what it has enabled.
    pub effective_only: EffectiveOnlyRule,
    /// Capture of a remote client with dynamic tracking.
    pub remote_dynamic: RemoteDynamic,
    /// Duplicating without a level.
    pub unnamed_level: UnnamedLevel,
    /// Enabling powerful privileges below high integrity, from Vista on.
    pub powerful_privileges: PowerfulPrivileges,
    /// Unregistering what was not registered.
    pub missing_routine: MissingRoutine,
    /// Raising an untrusted thread.
    pub raising: Raising,
    /// Opening a thread's token.
    pub thread_query: ThreadQuery,
    /// The rules of access checks, privilege checks, filters and inheritance that are read the other way.
    ///
    /// None is, under either policy: each rule is read as Windows was seen to do it, and where nothing was seen, as the
    /// strict side has it.
    pub readings: Readings,
}

impl Policy {
    /// Returns the policy that allows least.
    ///
    /// One answer is not the narrowest on purpose: [`RestrictedParity::ProcessOnly`], because a documented use of
    /// restricted tokens would otherwise be refused.
    pub const fn strict() -> Self {
        Self {
            anonymous_session: AnonymousSession::UserMustBeAnonymous,
            trust_clamp: TrustClamp::EveryRoad,
            origin_reach: OriginReach::UserOnly,
            restricted_parity: RestrictedParity::ProcessOnly,
            sandbox: SandboxRule::SamePackage,
            elevation: ElevationRule::Elevated,
            constrained: ConstrainedImpersonation::SameUser,
            effective_only: EffectiveOnlyRule::Either,
            remote_dynamic: RemoteDynamic::Copy,
            unnamed_level: UnnamedLevel::Anonymous,
            powerful_privileges: PowerfulPrivileges::NeedHighIntegrity,
            missing_routine: MissingRoutine::NotFound,
            raising: Raising::Refused,
            thread_query: ThreadQuery::Full,
            readings: Readings::empty(),
        }
    }

    /// Returns the policy closest to what was observed or described of Windows, where that is known to allow more.
    pub const fn compatible() -> Self {
        Self {
            anonymous_session: AnonymousSession::SessionAlone,
            trust_clamp: TrustClamp::AfterAnonymous,
            origin_reach: OriginReach::UserAndRestriction,
            restricted_parity: RestrictedParity::ProcessOnly,
            sandbox: SandboxRule::SamePackage,
            elevation: ElevationRule::FullHalf,
            constrained: ConstrainedImpersonation::AnyUser,
            effective_only: EffectiveOnlyRule::DynamicThreadOnly,
            remote_dynamic: RemoteDynamic::Copy,
            unnamed_level: UnnamedLevel::Anonymous,
            powerful_privileges: PowerfulPrivileges::AtAnyIntegrity,
            missing_routine: MissingRoutine::InsufficientResources,
            raising: Raising::AsTheGateSays,
            thread_query: ThreadQuery::Limited,
            readings: Readings::empty(),
        }
    }
}
