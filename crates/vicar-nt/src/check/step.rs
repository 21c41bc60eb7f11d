//! What a check did, step by step.

use alloc::vec::Vec;

use crate::acl::AceKind;
use crate::check::answer::{Denial, Pass};
use crate::check::request::{AccessMode, Api};
use crate::condition::Truth;
use crate::integrity::IntegrityLevel;
use crate::level::ImpersonationLevel;
use crate::mask::{AccessMask, RequestedMask};
use crate::privilege::Privilege;
use crate::sid::SidRef;

/// What became of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AceOutcome {
    /// It is only there to be inherited.
    InheritOnly,
    /// Its type takes no part in access checks, or is unknown.
    NotForDacl,
    /// It is about somebody else.
    NoMatch,
    /// It is about the subject, but its condition does not hold, or not surely.
    Condition(Truth),
    /// It is about an object type that was not asked about.
    TypeNotListed,
    /// It grants; `moved` is what was still open.
    Granted {
        /// What was granted that was neither granted nor denied before.
        moved: AccessMask,
    },
    /// It grants to the package the subject is confined to.
    GrantedToPackage {
        /// What was granted that was not granted before.
        moved: AccessMask,
    },
    /// It denies; `denied` is what was still open.
    Denied {
        /// What was denied that was neither granted nor denied before.
        denied: AccessMask,
    },
}

/// How integrity came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegrityOutcome {
    /// The token's policy says that integrity does not bind it.
    PolicyOff,
    /// The subject is at least at the object's level.
    Dominates,
    /// The subject is an AppContainer's and the object at most medium.
    Waived,
    /// The subject is below the object's level.
    Below,
}

/// A rule by which the two interfaces judge their caller's arguments differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerRule {
    /// Rights come mapped. `SeAccessCheck` maps them itself.
    RightsAreMapped,
    /// The token is an impersonation token. `SeAccessCheck` takes a process's own too.
    TokenIsImpersonated,
    /// The level is enough: Impersonation for `SeAccessCheck`, Identification for `NtAccessCheck`.
    LevelIsEnough(ImpersonationLevel),
    /// The descriptor has an owner and a group. `SeAccessCheck` needs neither.
    DescriptorIsComplete,
}

/// One step of a check, for as long as what was checked is there. Exhaustive on purpose: whoever tells the story must tell
/// all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// On whose behalf the caller asks.
    Mode(AccessMode),
    /// A rule of the interface that was asked, where it matters which one that is.
    Caller {
        /// By whose rules.
        api: Api,
        /// Which rule.
        rule: CallerRule,
        /// Whether the arguments pass.
        holds: bool,
        /// Whether they would pass by the rules of the other interface.
        by_the_other: bool,
    },
    /// At which level the client is impersonated.
    Level {
        /// The thread's level; `None` when it does not impersonate.
        level: Option<ImpersonationLevel>,
        /// Whether that is enough.
        is_enough: bool,
    },
    /// What was asked for, and what it means for the type.
    Mapped {
        /// As asked.
        desired: RequestedMask,
        /// Mapped, without MAXIMUM_ALLOWED.
        asked: AccessMask,
        /// What was granted before.
        previous: AccessMask,
        /// Whether as much as possible is wanted beyond `asked`.
        wants_maximum: bool,
    },
    /// The trust label of the object.
    TrustLabel {
        /// The label.
        label: SidRef<'a>,
        /// Whether the subject's trust dominates it.
        dominates: bool,
        /// What remains possible.
        allowed: AccessMask,
    },
    /// An access filter of the object.
    AccessFilter {
        /// Which entry of the SACL, from 0.
        index: u16,
        /// Whether its condition holds.
        truth: Truth,
        /// What remains possible.
        allowed: AccessMask,
    },
    /// The integrity label of the object.
    Integrity {
        /// The subject's level; `None` counts as untrusted.
        subject: Option<IntegrityLevel>,
        /// The object's level; `None` when its label is malformed and nobody dominates it.
        object: Option<IntegrityLevel>,
        /// What the label forbids from below: 1 writing, 2 reading, 4 executing.
        policy: u32,
        /// How it came out.
        outcome: IntegrityOutcome,
        /// What remains possible.
        allowed: AccessMask,
    },
    /// A right that a privilege can give was asked for.
    Privilege {
        /// Which privilege was looked at.
        privilege: Privilege,
        /// Whether it is enabled.
        is_held: bool,
        /// The right.
        right: AccessMask,
    },
    /// What the subject has by owning the object.
    Owner {
        /// Whether it owns the object.
        is_owner: bool,
        /// Whether it owns the object, but the DACL says itself what owners may do.
        has_owner_rights_ace: bool,
        /// What it has by owning.
        moved: AccessMask,
    },
    /// There is no DACL.
    NoDacl {
        /// In which reading.
        pass: Pass,
        /// What everybody may do.
        granted: AccessMask,
    },
    /// One entry of a DACL was read.
    Ace {
        /// In which reading.
        pass: Pass,
        /// Which entry, from 0.
        index: u16,
        /// Its type.
        kind: AceKind,
        /// Whom it is about, as it stands in the entry; `None` when the type is unknown.
        sid: Option<SidRef<'a>>,
        /// Its rights, mapped.
        mask: AccessMask,
        /// What became of it.
        outcome: AceOutcome,
    },
    /// A reading of a DACL came to an end.
    PassEnd {
        /// Which reading.
        pass: Pass,
        /// What is granted at the root.
        granted: AccessMask,
    },
    /// What the package the subject is confined to was granted.
    Package {
        /// At the root.
        granted: AccessMask,
    },
    /// A rule of the object's central policy comes next.
    CentralRule {
        /// Which rule, from 0.
        index: u16,
        /// Whether it applies to this object.
        applies: bool,
    },
    /// The answer.
    End {
        /// What is granted; 0 with a refusal.
        granted: AccessMask,
        /// Why not.
        denial: Option<Denial>,
    },
}

/// Whoever listens to a check.
pub(crate) trait Trace<'a> {
    /// Whether anybody does: what only matters to a listener need not be found out for nobody.
    const LISTENS: bool;

    fn step(&mut self, step: impl FnOnce() -> Step<'a>);
}

/// Nobody listens, and no step is ever made.
impl<'a> Trace<'a> for () {
    const LISTENS: bool = false;

    #[inline]
    fn step(&mut self, _: impl FnOnce() -> Step<'a>) {}
}

impl<'a> Trace<'a> for Vec<Step<'a>> {
    const LISTENS: bool = true;

    #[inline]
    fn step(&mut self, step: impl FnOnce() -> Step<'a>) {
        self.push(step());
    }
}
