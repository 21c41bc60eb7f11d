//! May this process really wear this token?
//!
//! [`judge`] is a pure function of a profile, a policy and a [`GateInput`]: the primary token of the target thread's
//! process, the token and the level asked for. It answers with a [`Verdict`] that names the deciding [`GateStep`] and what
//! was compared. [`explain`] walks the same code and keeps every step. The gate never looks at a thread, at the caller or
//! at what the caller wears, and it has no side effects.
//!
//! A refusal is not an error: whoever impersonates gets a private copy at level Identification instead.

use std::fmt;

use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, Sid};

use crate::policy::{
    AnonymousSession, ConstrainedImpersonation, ElevationRule, OriginReach, Policy, Profile, RestrictedParity,
    SandboxRule, TrustClamp,
};

mod party;
mod step;

pub(crate) use party::GateFacts;
pub use party::{CONSTRAINED_IMPERSONATION, ElevationFacts, Party, Sandbox, dominates};
pub use step::{Compared, Effect, GateStep, Step};

/// What the gate looks at.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    /// The primary token of the target thread's process.
    pub process: Party<'a>,
    /// The token to be worn.
    pub token: Party<'a>,
    /// The level asked for, already capped by the token's own.
    pub level: ImpersonationLevel,
}

/// What the gate decided, by which step, and what that step compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// Whether the token may be worn at the level asked for; otherwise a copy at Identification is.
    pub is_allowed: bool,
    /// The step that decided.
    pub step: GateStep,
    /// What that step compared.
    pub compared: Compared,
    /// The process trust the worn token must be given, if its own is more than the process has.
    pub clamp: Option<TrustLimit>,
}

/// The process trust that a worn token is lowered to; `None` inside is no trust at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustLimit(pub Option<Sid>);

/// Receives every step of a decision.
trait Listener {
    /// Whether steps are worth putting together.
    const LISTENS: bool;

    fn step(&mut self, step: Step);
}

impl Listener for () {
    const LISTENS: bool = false;

    fn step(&mut self, _: Step) {}
}

impl Listener for Vec<Step> {
    const LISTENS: bool = true;

    fn step(&mut self, step: Step) {
        self.push(step);
    }
}

/// Decides whether a process may wear a token at a level.
///
/// # Inputs
/// - `profile`: which steps exist.
/// - `policy`: how the open questions are answered.
/// - `input`: both tokens as they are now, and the level.
///
/// # Returns
/// The verdict. `clamp` is set only when the token carries more process trust than the process.
///
/// # Identity
/// Only the primary token of the target thread's process counts, never what any thread wears.
///
/// # Cost
/// A few comparisons; O(capabilities squared) for constrained impersonation. No allocation.
///
/// # NT
/// `SeTokenCanImpersonate`, which is internal to the kernel.
///
/// # Source
/// "Impersonate a client after authentication" (policy page), ImpersonateLoggedOnUser and PsImpersonateClient (pages) for
/// G1, G4, G6, G7, G8; public research for the others. spec/nt-impersonation 3.2.
///
/// # Examples
/// ```
/// use vicar_kernel::gate::{ElevationFacts, GateInput, GateStep, Party, judge};
/// use vicar_kernel::{Policy, Profile};
/// use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, well_known};
/// let alice = Party {
///     user: well_known::unix_user(1000),
///     authentication_id: Luid::from_u64(0xA001),
///     origin: Luid::ZERO,
///     integrity: Some(IntegrityLevel::MEDIUM),
///     holds_impersonate: false,
///     is_restricted: false,
///     has_only_anonymous_data: false,
///     elevation: ElevationFacts { is_elevated: false, is_full_half: false },
///     trust: None,
///     sandbox: None,
///     session: 1,
/// };
/// let bob = Party { user: well_known::unix_user(1001), ..alice };
/// let input = GateInput { process: alice, token: alice, level: ImpersonationLevel::Impersonation };
/// assert!(judge(Profile::V4, &Policy::strict(), &input).is_allowed);
/// let input = GateInput { token: bob, ..input };
/// let verdict = judge(Profile::V4, &Policy::strict(), &input);
/// assert!(!verdict.is_allowed);
/// assert_eq!(verdict.step, GateStep::User);
/// ```
#[doc(alias = "SeTokenCanImpersonate")]
pub fn judge(profile: Profile, policy: &Policy, input: &GateInput<'_>) -> Verdict {
    Walk { profile, policy, input, listener: &mut () }.run()
}

/// Decides like [`judge`] and returns every step that was looked at, in order.
pub fn explain(profile: Profile, policy: &Policy, input: &GateInput<'_>) -> (Verdict, Vec<Step>) {
    let mut steps = Vec::new();
    let verdict = Walk { profile, policy, input, listener: &mut steps }.run();
    (verdict, steps)
}

/// A step and what it did.
type Decided = (GateStep, Effect);

struct Walk<'a, L> {
    profile: Profile,
    policy: &'a Policy,
    input: &'a GateInput<'a>,
    listener: &'a mut L,
}

impl<L: Listener> Walk<'_, L> {
    /// Takes the steps in order until one decides, then says what becomes of the token's trust.
    fn run(&mut self) -> Verdict {
        let (step, effect) = self.early_exits().unwrap_or_else(|| self.comparisons());
        let clamp = self.trust_clamp(step);
        Verdict { is_allowed: effect == Effect::Allows, step, compared: self.compared(step), clamp }
    }

    fn tell(&mut self, step: GateStep, effect: Effect) -> Decided {
        if L::LISTENS {
            let compared = self.compared(step);
            self.listener.step(Step { step, effect, compared });
        }
        (step, effect)
    }

    /// Reports a step that allows when `holds` and otherwise leaves the question open.
    fn allow_if(&mut self, holds: bool, step: GateStep) -> Option<Decided> {
        let told = self.tell(step, if holds { Effect::Allows } else { Effect::Continues });
        holds.then_some(told)
    }

    /// Reports a step that refuses when `holds` and otherwise leaves the question open.
    fn refuse_if(&mut self, holds: bool, step: GateStep) -> Option<Decided> {
        let told = self.tell(step, if holds { Effect::Refuses } else { Effect::Continues });
        holds.then_some(told)
    }

    /// G0 to G4, the steps that allow without comparing the two parties.
    fn early_exits(&mut self) -> Option<Decided> {
        let GateInput { process, token, level } = self.input;
        if self.profile == Profile::V0 {
            return Some(self.tell(GateStep::NoGate, Effect::Allows));
        }
        if let Some(decided) = self.allow_if(!level.may_act_locally(), GateStep::Level) {
            return Some(decided);
        }
        let is_anonymous = token.authentication_id == Luid::ANONYMOUS_LOGON
            && match self.policy.anonymous_session {
                AnonymousSession::SessionAlone => true,
                AnonymousSession::UserMustBeAnonymous => token.has_only_anonymous_data,
            };
        if let Some(decided) = self.allow_if(is_anonymous, GateStep::AnonymousSession) {
            return Some(decided);
        }
        self.allow_if(process.holds_impersonate, GateStep::Privilege)
    }

    /// G5 to G12, of which all must hold; G11 may overrule a refusal of G7, G8 or G9.
    fn comparisons(&mut self) -> Decided {
        let origin = self.has_matching_origin();
        if let Some(refused) = self.integrity(origin) {
            return refused;
        }
        self.tell(GateStep::Origin, if origin { Effect::Excuses } else { Effect::Continues });
        let is_stranger = !origin && self.input.token.user != self.input.process.user;
        let refused = self.refuse_if(is_stranger, GateStep::User);
        let refused = refused.or_else(|| self.restriction(origin)).or_else(|| self.sandbox());
        if let Some(elevated) = self.elevation() {
            return refused.unwrap_or(elevated);
        }
        match refused {
            None => self.tell(GateStep::End, Effect::Allows),
            Some(refused) => self.constrained().unwrap_or(refused),
        }
    }

    /// G6: the token was made with explicit credentials by the logon session of the process.
    fn has_matching_origin(&self) -> bool {
        let GateInput { process, token, .. } = self.input;
        token.origin != Luid::ZERO && token.origin == process.authentication_id
    }

    /// The integrity of token and process. A token without one counts as system, a process without one as untrusted.
    fn integrity_levels(&self) -> (IntegrityLevel, IntegrityLevel) {
        let GateInput { process, token, .. } = self.input;
        (token.integrity.unwrap_or(IntegrityLevel::SYSTEM), process.integrity.unwrap_or(IntegrityLevel::UNTRUSTED))
    }

    /// G5.
    fn integrity(&mut self, origin: bool) -> Option<Decided> {
        if self.profile < Profile::V2 {
            return None;
        }
        let (token, process) = self.integrity_levels();
        let is_excused = origin
            && match self.policy.origin_reach {
                OriginReach::UserOnly | OriginReach::UserAndRestriction => false,
                OriginReach::UserRestrictionAndIntegrity => true,
            };
        self.refuse_if(token > process && !is_excused, GateStep::Integrity)
    }

    /// G8.
    fn restriction(&mut self, origin: bool) -> Option<Decided> {
        let GateInput { process, token, .. } = self.input;
        let is_excused = origin
            && match self.policy.origin_reach {
                OriginReach::UserOnly => false,
                OriginReach::UserAndRestriction | OriginReach::UserRestrictionAndIntegrity => true,
            };
        let is_mismatch = match self.policy.restricted_parity {
            RestrictedParity::ProcessOnly => process.is_restricted && !token.is_restricted,
            RestrictedParity::BothWays => process.is_restricted != token.is_restricted,
        };
        self.refuse_if(is_mismatch && !is_excused, GateStep::Restricted)
    }

    /// G9.
    fn sandbox(&mut self) -> Option<Decided> {
        if self.profile < Profile::V3 {
            return None;
        }
        let is_outside = match (self.input.process.sandbox, self.input.token.sandbox, self.policy.sandbox) {
            (None, _, _) | (Some(_), Some(_), SandboxRule::AnyPackage) => false,
            (Some(_), None, _) => true,
            (Some(own), Some(other), SandboxRule::SamePackage) => own.package() != other.package(),
        };
        self.refuse_if(is_outside, GateStep::Sandbox)
    }

    /// Whether token and process are elevated, as the policy means it.
    fn elevated(&self) -> (bool, bool) {
        let (token, process) = (self.input.token.elevation, self.input.process.elevation);
        match self.policy.elevation {
            ElevationRule::Elevated => (token.is_elevated, process.is_elevated),
            ElevationRule::FullHalf => (token.is_full_half, process.is_full_half || process.is_elevated),
        }
    }

    /// G10.
    fn elevation(&mut self) -> Option<Decided> {
        if self.profile < Profile::V4 {
            return None;
        }
        let (token, process) = self.elevated();
        self.refuse_if(token && !process, GateStep::Elevation)
    }

    /// Whether user and integrity speak for constrained impersonation too.
    fn is_same_user(&self) -> bool {
        let GateInput { process, token, .. } = self.input;
        let (of_token, of_process) = self.integrity_levels();
        token.user == process.user && of_token <= of_process
    }

    /// G11.
    fn constrained(&mut self) -> Option<Decided> {
        if self.profile < Profile::V4 {
            return None;
        }
        let GateInput { process, token, .. } = self.input;
        let holds = match (process.sandbox, token.sandbox) {
            (None, _) | (_, None) => false,
            (Some(own), Some(other)) => {
                own.is_constrained_impersonator()
                    && token.session == process.session
                    && own.package() == other.package()
                    && own.holds_all_of(&other)
            }
        };
        let holds = match self.policy.constrained {
            ConstrainedImpersonation::Off => false,
            ConstrainedImpersonation::AnyUser => holds,
            ConstrainedImpersonation::SameUser => holds && self.is_same_user(),
        };
        self.allow_if(holds, GateStep::Constrained)
    }

    /// G3. Never decides; says what the token's trust must become, whichever way the decision went.
    fn trust_clamp(&mut self, decided: GateStep) -> Option<TrustLimit> {
        if self.profile < Profile::V3 {
            return None;
        }
        let is_reached = match self.policy.trust_clamp {
            TrustClamp::EveryRoad => true,
            TrustClamp::AfterAnonymous => !matches!(decided, GateStep::Level | GateStep::AnonymousSession),
        };
        let GateInput { process, token, .. } = self.input;
        let clamps = is_reached && !dominates(process.trust.as_ref(), token.trust.as_ref());
        self.tell(GateStep::Trust, if clamps { Effect::Clamps } else { Effect::Continues });
        clamps.then_some(TrustLimit(process.trust))
    }

    /// What a step compares.
    fn compared(&self, step: GateStep) -> Compared {
        let GateInput { process, token, level } = self.input;
        match step {
            GateStep::NoGate | GateStep::End => Compared::Nothing,
            GateStep::Level => Compared::Level(*level),
            GateStep::AnonymousSession => Compared::Session { token: token.authentication_id },
            GateStep::Trust => Compared::Trust { token: token.trust, process: process.trust },
            GateStep::Privilege => Compared::Privilege { is_enabled: process.holds_impersonate },
            GateStep::Integrity => {
                let (token, process) = self.integrity_levels();
                Compared::Integrity { token, process }
            }
            GateStep::Origin => Compared::Origin { token: token.origin, process: process.authentication_id },
            GateStep::User => Compared::Users { token: token.user, process: process.user },
            GateStep::Restricted => Compared::Restricted { token: token.is_restricted, process: process.is_restricted },
            GateStep::Sandbox => Compared::Packages {
                token: token.sandbox.map(|sandbox| *sandbox.package()),
                process: process.sandbox.map(|sandbox| *sandbox.package()),
            },
            GateStep::Elevation => {
                let (token, process) = self.elevated();
                Compared::Elevated { token, process }
            }
            GateStep::Constrained => Compared::Constrained { is_same_user: self.is_same_user() },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = if self.is_allowed { "allowed" } else { "downgraded" };
        write!(f, "{answer} by {}: {}", self.step, self.compared)?;
        match self.clamp {
            Some(_) => f.write_str(", trust lowered"),
            None => Ok(()),
        }
    }
}
