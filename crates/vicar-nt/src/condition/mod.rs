//! Conditions of callback ACEs: three-valued logic over claims and groups.
//!
//! [`token`] reads the postfix form that stands in ACEs; [`evaluate`] runs it; a [`Condition`] is one that is well-formed. What cannot be read or compared is
//! [`Truth::Unknown`], and what that means is the entry's business: an unknown condition does not grant, and does deny.
//! The text form is in [`crate::sddl`].

mod compare;
mod eval;
mod expression;
pub mod token;

pub use eval::{Facts, evaluate};
pub use expression::{Attribute, Condition, ConditionError, Operand};

/// What a condition comes to.
///
/// # Source
/// MS-DTYP 2.4.4.17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said.
    Unknown,
}

impl Truth {
    /// False if either is false, else unknown if either is unknown.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// True if either is true, else unknown if either is unknown.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::False, Self::False) => Self::False,
        }
    }

    /// Returns the opposite; the opposite of unknown is unknown.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(fact: bool) -> Self {
        if fact { Self::True } else { Self::False }
    }
}

/// What an entry does when it applies. Groups and claims that are for deny only count in one case and not in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It grants.
    Allow,
    /// It refuses.
    Deny,
}

/// Returns whether a conditional entry takes part in the check.
///
/// # Source
/// MS-DTYP 2.4.4.17: unknown does not grant, and unknown does deny.
#[must_use]
pub const fn applies(effect: Effect, condition: Truth) -> bool {
    match (effect, condition) {
        (_, Truth::True) => true,
        (_, Truth::False) => false,
        (Effect::Allow, Truth::Unknown) => false,
        (Effect::Deny, Truth::Unknown) => true,
    }
}

#[cfg(test)]
mod tests;
