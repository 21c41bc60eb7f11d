//! The steps of the gate, and what each of them compared.

use std::fmt;

use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, Sid};

/// One step of the gate. The documentation of each names its number in the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GateStep {
    /// G0: the profile has no gate.
    NoGate,
    /// G1: below level Impersonation anything may be worn.
    Level,
    /// G2: the anonymous token may be worn by everybody.
    AnonymousSession,
    /// G3: process trust is lowered to that of the process.
    Trust,
    /// G4: the process holds the impersonate privilege, enabled.
    Privilege,
    /// G5: the token's integrity is above that of the process.
    Integrity,
    /// G6: the token was made by the logon session of the process.
    Origin,
    /// G7: another user.
    User,
    /// G8: a restricted process, an unrestricted token.
    Restricted,
    /// G9: the token is outside the sandbox of the process.
    Sandbox,
    /// G10: the token is elevated, the process is not.
    Elevation,
    /// G11: constrained impersonation overrules the refusal.
    Constrained,
    /// G12: nothing speaks against it.
    End,
}

impl GateStep {
    /// Every step, in order.
    pub const ALL: [Self; 13] = [
        Self::NoGate,
        Self::Level,
        Self::AnonymousSession,
        Self::Trust,
        Self::Privilege,
        Self::Integrity,
        Self::Origin,
        Self::User,
        Self::Restricted,
        Self::Sandbox,
        Self::Elevation,
        Self::Constrained,
        Self::End,
    ];

    /// Returns the number of the step, 0 to 12.
    pub const fn number(self) -> u8 {
        match self {
            Self::NoGate => 0,
            Self::Level => 1,
            Self::AnonymousSession => 2,
            Self::Trust => 3,
            Self::Privilege => 4,
            Self::Integrity => 5,
            Self::Origin => 6,
            Self::User => 7,
            Self::Restricted => 8,
            Self::Sandbox => 9,
            Self::Elevation => 10,
            Self::Constrained => 11,
            Self::End => 12,
        }
    }

    /// Returns the word used in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoGate => "no-gate",
            Self::Level => "level",
            Self::AnonymousSession => "anonymous-session",
            Self::Trust => "trust",
            Self::Privilege => "privilege",
            Self::Integrity => "integrity",
            Self::Origin => "origin",
            Self::User => "user",
            Self::Restricted => "restricted",
            Self::Sandbox => "sandbox",
            Self::Elevation => "elevation",
            Self::Constrained => "constrained",
            Self::End => "end",
        }
    }
}

impl fmt::Display for GateStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "G{} {}", self.number(), self.name())
    }
}

/// What a step did to the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Allowed; nothing after it counts.
    Allows,
    /// Refused; only constrained impersonation may still overrule it.
    Refuses,
    /// Excused a later step.
    Excuses,
    /// Lowers the token's process trust.
    Clamps,
    /// Left the question to the next step.
    Continues,
}

/// What a step compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Nothing.
    Nothing,
    /// The level asked for.
    Level(ImpersonationLevel),
    /// The token's logon session.
    Session {
        /// Of the token.
        token: Luid,
    },
    /// The impersonate privilege of the process.
    Privilege {
        /// Whether it is enabled.
        is_enabled: bool,
    },
    /// Process trust.
    Trust {
        /// Of the token.
        token: Option<Sid>,
        /// Of the process.
        process: Option<Sid>,
    },
    /// Integrity, with the values assumed for what is missing.
    Integrity {
        /// Of the token.
        token: IntegrityLevel,
        /// Of the process.
        process: IntegrityLevel,
    },
    /// Originating session and own session.
    Origin {
        /// The session that made the token.
        token: Luid,
        /// The session of the process.
        process: Luid,
    },
    /// Users.
    Users {
        /// Of the token.
        token: Sid,
        /// Of the process.
        process: Sid,
    },
    /// Restriction.
    Restricted {
        /// Of the token.
        token: bool,
        /// Of the process.
        process: bool,
    },
    /// Packages.
    Packages {
        /// Of the token.
        token: Option<Sid>,
        /// Of the process.
        process: Option<Sid>,
    },
    /// Elevation.
    Elevated {
        /// Of the token.
        token: bool,
        /// Of the process.
        process: bool,
    },
    /// The conditions of constrained impersonation.
    Constrained {
        /// Whether user and integrity agree too.
        is_same_user: bool,
    },
}

/// One step that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub step: GateStep,
    /// What it did.
    pub effect: Effect,
    /// What it compared.
    pub compared: Compared,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing compared"),
            Self::Level(level) => write!(f, "level {level}"),
            Self::Session { token } => write!(f, "token session {token}"),
            Self::Privilege { is_enabled: true } => f.write_str("process holds SeImpersonatePrivilege"),
            Self::Privilege { is_enabled: false } => {
                f.write_str("process does not hold SeImpersonatePrivilege enabled")
            }
            Self::Trust { token, process } => {
                write!(f, "token trust {}, process trust {}", OrNone(token), OrNone(process))
            }
            Self::Integrity { token, process } => write!(f, "token {token}, process {process}"),
            Self::Origin { token, process } => write!(f, "token made by session {token}, process session {process}"),
            Self::Users { token, process } => write!(f, "token user {token}, process user {process}"),
            Self::Restricted { token, process } => write!(f, "token {}, process {}", word(*token), word(*process)),
            Self::Packages { token, process } => {
                write!(f, "token package {}, process package {}", OrNone(token), OrNone(process))
            }
            Self::Elevated { token, process } => write!(f, "token elevated {token}, process elevated {process}"),
            Self::Constrained { is_same_user: true } => f.write_str("same user"),
            Self::Constrained { is_same_user: false } => f.write_str("another user or higher integrity"),
        }
    }
}

const fn word(is_restricted: bool) -> &'static str {
    if is_restricted { "restricted" } else { "unrestricted" }
}

struct OrNone<'a>(&'a Option<Sid>);

impl fmt::Display for OrNone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(sid) => write!(f, "{sid}"),
            None => f.write_str("none"),
        }
    }
}
