//! Sets of privileges.

use core::fmt;

use crate::luid::Luid;
use crate::privilege::Privilege;

/// A set of privileges without attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrivilegeMask(u64);

impl PrivilegeMask {
    /// No privilege.
    pub const NONE: Self = Self(0);

    /// Returns whether the set has no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether `privilege` is a member.
    #[must_use]
    pub const fn contains(self, privilege: Privilege) -> bool {
        self.0 & privilege.bit() != 0
    }

    /// Returns this set and one more member.
    #[must_use]
    pub const fn with(self, privilege: Privilege) -> Self {
        Self(self.0 | privilege.bit())
    }

    /// Returns this set without one member.
    #[must_use]
    pub const fn without(self, privilege: Privilege) -> Self {
        Self(self.0 & !privilege.bit())
    }

    /// Returns what is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns what is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the members, lowest number first.
    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        Privilege::ALL.into_iter().filter(move |privilege| self.contains(*privilege))
    }

    /// Returns how many members there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl fmt::Debug for PrivilegeMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
impl FromIterator<Privilege> for PrivilegeMask {
    fn from_iter<I: IntoIterator<Item = Privilege>>(privileges: I) -> Self {
        privileges.into_iter().fold(Self::NONE, Self::with)
    }
}

bitflags::bitflags! {
    /// What a privilege entry says about a privilege.
    ///
    /// # NT
    /// `SE_PRIVILEGE_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PrivilegeAttributes: u32 {
        /// Enabled when the token was made.
        const ENABLED_BY_DEFAULT = 0x1;
        /// Enabled now; only such a privilege counts.
        const ENABLED = 0x2;
        /// To be removed for good.
        const REMOVED = 0x4;
        /// Was used to grant an access or to pass a privilege check.
        const USED_FOR_ACCESS = 0x8000_0000;
    }
}

/// A privilege by LUID, with attributes; the LUID may name no privilege at all.
///
/// # NT
/// `LUID_AND_ATTRIBUTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LuidAndAttributes {
    /// Which privilege.
    pub luid: Luid,
    /// What is said about it.
    pub attributes: PrivilegeAttributes,
}

impl LuidAndAttributes {
    /// Names a privilege and says something about it.
    #[must_use]
    pub fn new(privilege: Privilege, attributes: PrivilegeAttributes) -> Self {
        Self { luid: privilege.luid(), attributes }
    }
}

/// Whether a privilege of a new token can be used at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivilegeState {
    /// Present but not in force until it is enabled.
    Disabled,
    /// In force now, but not by default.
    Enabled,
    /// In force now and after the token's privileges are reset.
    EnabledByDefault,
}

/// The privileges of a token.
///
/// Whatever is enabled or enabled by default is present: no function of this type can make it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrivilegeSet {
    present: PrivilegeMask,
    enabled: PrivilegeMask,
    enabled_by_default: PrivilegeMask,
}

impl PrivilegeSet {
    /// No privilege.
    pub const NONE: Self =
        Self { present: PrivilegeMask::NONE, enabled: PrivilegeMask::NONE, enabled_by_default: PrivilegeMask::NONE };

    /// Returns what the token holds, enabled or not.
    #[must_use]
    pub const fn present(self) -> PrivilegeMask {
        self.present
    }

    /// Returns what is in force.
    #[must_use]
    pub const fn enabled(self) -> PrivilegeMask {
        self.enabled
    }

    /// Returns what was in force when the token was made.
    #[must_use]
    pub const fn enabled_by_default(self) -> PrivilegeMask {
        self.enabled_by_default
    }

    /// Returns whether `privilege` is in force.
    #[must_use]
    pub const fn is_enabled(self, privilege: Privilege) -> bool {
        self.enabled.contains(privilege)
    }

    /// Returns the set with `privilege` added, or its state replaced.
    #[must_use]
    pub const fn with(self, privilege: Privilege, state: PrivilegeState) -> Self {
        let mut out = self.without(privilege);
        out.present = out.present.with(privilege);
        match state {
            PrivilegeState::Disabled => {}
            PrivilegeState::Enabled => out.enabled = out.enabled.with(privilege),
            PrivilegeState::EnabledByDefault => {
                out.enabled = out.enabled.with(privilege);
                out.enabled_by_default = out.enabled_by_default.with(privilege);
            }
        }
        out
    }

    /// Returns the set with `privilege` removed.
    #[must_use]
    pub const fn without(self, privilege: Privilege) -> Self {
        Self {
            present: self.present.without(privilege),
            enabled: self.enabled.without(privilege),
            enabled_by_default: self.enabled_by_default.without(privilege),
        }
    }

    /// Returns the set with `privilege` enabled, which changes nothing when it is not present.
    #[must_use]
    pub const fn enable(self, privilege: Privilege) -> Self {
        if !self.present.contains(privilege) {
            return self;
        }
        Self { enabled: self.enabled.with(privilege), ..self }
    }

    /// Returns the set with `privilege` disabled.
    #[must_use]
    pub const fn disable(self, privilege: Privilege) -> Self {
        Self { enabled: self.enabled.without(privilege), ..self }
    }

    /// Returns the set with every privilege disabled.
    #[must_use]
    pub const fn disable_all(self) -> Self {
        Self { enabled: PrivilegeMask::NONE, ..self }
    }

    /// Returns the set with only the members of `keep`.
    #[must_use]
    pub const fn retain(self, keep: PrivilegeMask) -> Self {
        Self {
            present: self.present.intersection(keep),
            enabled: self.enabled.intersection(keep),
            enabled_by_default: self.enabled_by_default.intersection(keep),
        }
    }

    /// Returns every privilege of the set with its attributes, lowest number first.
    pub fn entries(self) -> impl Iterator<Item = LuidAndAttributes> {
        self.present.iter().map(move |privilege| {
            let mut attributes = PrivilegeAttributes::empty();
            attributes.set(PrivilegeAttributes::ENABLED, self.enabled.contains(privilege));
            attributes.set(PrivilegeAttributes::ENABLED_BY_DEFAULT, self.enabled_by_default.contains(privilege));
            LuidAndAttributes::new(privilege, attributes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enabled_is_present() {
        let set = PrivilegeSet::NONE.enable(Privilege::Tcb);
        assert_eq!(set, PrivilegeSet::NONE);
        let set = set.with(Privilege::Tcb, PrivilegeState::EnabledByDefault).disable_all();
        assert!(set.present().contains(Privilege::Tcb) && !set.is_enabled(Privilege::Tcb));
        assert_eq!(set.without(Privilege::Tcb), PrivilegeSet::NONE);
    }
}
