//! From one token state to the next: privileges and groups.

use alloc::vec::Vec;

use crate::group::{Group, GroupAttributes, GroupList};
use crate::integrity::IntegrityLevel;
use crate::privilege::{LuidAndAttributes, Privilege, PrivilegeAttributes, PrivilegeSet};
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::token::state::TokenState;

/// Whether powerful privileges can be enabled below high integrity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerfulPrivileges {
    /// They cannot; asking for one counts as asking for a privilege that is not there. The strict side.
    NeedHighIntegrity,
    /// They can, as before integrity levels existed.
    AtAnyIntegrity,
}

/// A token state after its privileges were adjusted.
#[derive(Clone, Debug)]
#[must_use]
pub struct Adjusted {
    /// The new state.
    pub state: TokenState,
    /// Whether every privilege named was there; if not, NT answers STATUS_NOT_ALL_ASSIGNED.
    pub all_assigned: bool,
    /// Whether anything is different; if not, the token keeps its modified id.
    pub changed: bool,
    /// The privileges as they were.
    pub previous: PrivilegeSet,
}

/// A token state after its groups were adjusted.
#[derive(Clone, Debug)]
#[must_use]
pub struct AdjustedGroups {
    /// The new state.
    pub state: TokenState,
    /// Whether every group named was there; if not, NT answers STATUS_NOT_ALL_ASSIGNED.
    pub all_assigned: bool,
    /// Whether anything is different.
    pub changed: bool,
    /// The groups that changed, as they were.
    pub previous: Vec<Group>,
}

/// What to do with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// Let it count.
    Enable,
    /// Let it not count.
    Disable,
}

impl TokenState {
    /// Enables, disables and removes privileges.
    ///
    /// Privileges the token does not have are passed over. Removal beats enabling and is final.
    ///
    /// # Returns
    /// The new state, and whether all were assigned and anything changed.
    ///
    /// # NT
    /// `NtAdjustPrivilegesToken`, after its arguments were captured and its buffer sizes checked.
    ///
    /// # Source
    /// learn.microsoft.com, `AdjustTokenPrivileges`.
    #[doc(alias = "NtAdjustPrivilegesToken")]
    pub fn adjust_privileges(&self, changes: &[LuidAndAttributes], powerful: PowerfulPrivileges) -> Adjusted {
        let mut set = self.privileges;
        let mut all_assigned = true;
        for change in changes {
            let Some(privilege) = Privilege::from_luid(change.luid).filter(|p| set.present().contains(*p)) else {
                all_assigned = false;
                continue;
            };
            if change.attributes.contains(PrivilegeAttributes::REMOVED) {
                set = set.without(privilege);
            } else if !change.attributes.contains(PrivilegeAttributes::ENABLED) {
                set = set.disable(privilege);
            } else if set.is_enabled(privilege) || self.may_enable(privilege, powerful) {
                set = set.enable(privilege);
            } else {
                all_assigned = false;
            }
        }
        self.with_privileges(set, all_assigned)
    }

    /// Disables every privilege.
    ///
    /// # NT
    /// `NtAdjustPrivilegesToken` with `DisableAllPrivileges`.
    pub fn disable_all_privileges(&self) -> Adjusted {
        self.with_privileges(self.privileges.disable_all(), true)
    }

    fn may_enable(&self, privilege: Privilege, powerful: PowerfulPrivileges) -> bool {
        match powerful {
            PowerfulPrivileges::AtAnyIntegrity => true,
            PowerfulPrivileges::NeedHighIntegrity => {
                !privilege.needs_high_integrity() || self.integrity.is_some_and(|level| level >= IntegrityLevel::HIGH)
            }
        }
    }

    fn with_privileges(&self, privileges: PrivilegeSet, all_assigned: bool) -> Adjusted {
        Adjusted {
            changed: privileges != self.privileges,
            previous: self.privileges,
            all_assigned,
            state: Self { privileges, ..self.clone() },
        }
    }

    /// Enables and disables groups; either all changes are made or none.
    ///
    /// Groups the token does not have, and the user, are passed over.
    ///
    /// # Errors
    /// - [`NtStatus::CANT_DISABLE_MANDATORY`] when a mandatory group is to be disabled.
    /// - [`NtStatus::CANT_ENABLE_DENY_ONLY`] when a deny-only group is to be enabled.
    ///
    /// # NT
    /// `NtAdjustGroupsToken`. Differs: the whole list is validated before anything changes.
    ///
    /// # Source
    /// learn.microsoft.com, `AdjustTokenGroups`.
    #[doc(alias = "NtAdjustGroupsToken")]
    pub fn adjust_groups(&self, changes: &[(Sid, GroupChange)]) -> Result<AdjustedGroups, NtStatus> {
        let mut groups: Vec<Group> = self.groups.to_vec();
        let mut all_assigned = true;
        for (sid, change) in changes {
            let mut found = false;
            for group in groups.iter_mut().filter(|group| group.sid == *sid) {
                found = true;
                match change {
                    GroupChange::Enable if group.attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY) => {
                        return Err(NtStatus::CANT_ENABLE_DENY_ONLY);
                    }
                    GroupChange::Enable => group.attributes.insert(GroupAttributes::ENABLED),
                    GroupChange::Disable if group.attributes.contains(GroupAttributes::MANDATORY) => {
                        return Err(NtStatus::CANT_DISABLE_MANDATORY);
                    }
                    GroupChange::Disable => group.attributes.remove(GroupAttributes::ENABLED),
                }
            }
            all_assigned &= found;
        }
        Ok(self.with_groups(groups, all_assigned))
    }

    /// Gives every group that is neither mandatory nor deny-only the state it had when the token was made.
    ///
    /// # NT
    /// `NtAdjustGroupsToken` with `ResetToDefault`.
    pub fn reset_groups(&self) -> AdjustedGroups {
        let mut groups: Vec<Group> = self.groups.to_vec();
        let fixed = GroupAttributes::MANDATORY.union(GroupAttributes::USE_FOR_DENY_ONLY);
        for group in groups.iter_mut().filter(|group| !group.attributes.intersects(fixed)) {
            let by_default = group.attributes.contains(GroupAttributes::ENABLED_BY_DEFAULT);
            group.attributes.set(GroupAttributes::ENABLED, by_default);
        }
        self.with_groups(groups, true)
    }

    fn with_groups(&self, groups: Vec<Group>, all_assigned: bool) -> AdjustedGroups {
        let differing = self.groups.iter().zip(&groups).filter(|(old, new)| old != new);
        let previous: Vec<Group> = differing.map(|(old, _)| *old).collect();
        AdjustedGroups {
            changed: !previous.is_empty(),
            previous,
            all_assigned,
            state: Self { groups: GroupList::new(groups), ..self.clone() },
        }
    }

    /// Returns the state without what is not in force: disabled groups and disabled privileges are gone for good.
    ///
    /// Deny-only groups stay: dropping one would grant what it denied. A default owner that is gone is replaced by the
    /// user.
    ///
    /// # NT
    /// Duplication with `EffectiveOnly`.
    #[must_use]
    pub fn effective_only(&self) -> Self {
        let in_force = |group: &&Group| group.attributes.counts_for_deny();
        let groups: GroupList = self.groups.iter().filter(in_force).copied().collect();
        let mut state = Self { groups, privileges: self.privileges.retain(self.privileges.enabled()), ..self.clone() };
        if !state.may_own_as(&state.default_owner) {
            state.default_owner = state.user.sid;
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::PrivilegeState;
    use crate::token::TokenFlags;
    use crate::well_known;

    fn change(privilege: Privilege, attributes: PrivilegeAttributes) -> LuidAndAttributes {
        LuidAndAttributes::new(privilege, attributes)
    }

    fn service() -> TokenState {
        TokenState::builder(well_known::LOCAL_SERVICE)
            .privilege(Privilege::Impersonate, PrivilegeState::Disabled)
            .privilege(Privilege::ChangeNotify, PrivilegeState::EnabledByDefault)
            .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::GUESTS, GroupAttributes::empty())
            .group(well_known::ADMINISTRATORS, GroupAttributes::USE_FOR_DENY_ONLY)
            .build()
            .unwrap()
    }

    #[test]
    fn a_privilege_that_is_not_there_is_reported_and_the_rest_applied() {
        let changes = [
            change(Privilege::Tcb, PrivilegeAttributes::ENABLED),
            change(Privilege::ChangeNotify, PrivilegeAttributes::empty()),
        ];
        let adjusted = service().adjust_privileges(&changes, PowerfulPrivileges::AtAnyIntegrity);
        assert!(!adjusted.all_assigned && adjusted.changed);
        assert!(!adjusted.state.flags().contains(TokenFlags::HAS_TRAVERSE_PRIVILEGE));
    }

    #[test]
    fn adjusting_to_the_present_state_changes_nothing() {
        let same = [change(Privilege::ChangeNotify, PrivilegeAttributes::ENABLED)];
        let adjusted = service().adjust_privileges(&same, PowerfulPrivileges::NeedHighIntegrity);
        assert!(adjusted.all_assigned && !adjusted.changed);
        assert_eq!(adjusted.state, service());
    }

    #[test]
    fn removal_beats_enabling_and_is_final() {
        let both = PrivilegeAttributes::ENABLED.union(PrivilegeAttributes::REMOVED);
        let policy = PowerfulPrivileges::AtAnyIntegrity;
        let gone = service().adjust_privileges(&[change(Privilege::Impersonate, both)], policy).state;
        assert!(!gone.privileges().present().contains(Privilege::Impersonate));
        let again = gone.adjust_privileges(&[change(Privilege::Impersonate, PrivilegeAttributes::ENABLED)], policy);
        assert!(!again.all_assigned && !again.changed);
    }

    #[test]
    fn powerful_privileges_need_high_integrity_under_the_strict_policy() {
        let enable = [change(Privilege::Impersonate, PrivilegeAttributes::ENABLED)];
        assert!(!service().adjust_privileges(&enable, PowerfulPrivileges::NeedHighIntegrity).all_assigned);
        let adjusted = service().adjust_privileges(&enable, PowerfulPrivileges::AtAnyIntegrity);
        assert!(adjusted.state.flags().contains(TokenFlags::HAS_IMPERSONATE_PRIVILEGE));
    }

    #[test]
    fn groups_change_all_together_or_not_at_all() {
        let token = service();
        let mandatory = [(well_known::GUESTS, GroupChange::Enable), (well_known::USERS, GroupChange::Disable)];
        assert_eq!(token.adjust_groups(&mandatory).unwrap_err(), NtStatus::CANT_DISABLE_MANDATORY);
        let deny_only = [(well_known::ADMINISTRATORS, GroupChange::Enable)];
        assert_eq!(token.adjust_groups(&deny_only).unwrap_err(), NtStatus::CANT_ENABLE_DENY_ONLY);
        let adjusted = token.adjust_groups(&[(well_known::GUESTS, GroupChange::Enable)]).unwrap();
        assert!(adjusted.changed && adjusted.state.counts_for_allow(well_known::GUESTS.as_ref()));
        assert_eq!(adjusted.state.reset_groups().state, token);
        let user = [(well_known::LOCAL_SERVICE, GroupChange::Disable)];
        assert!(!token.adjust_groups(&user).unwrap().all_assigned);
    }

    #[test]
    fn effective_only_keeps_deny_only_groups() {
        let token = service().effective_only();
        assert!(!token.privileges().present().contains(Privilege::Impersonate));
        assert_eq!(token.groups().len(), 2);
        assert!(token.counts_for_deny(well_known::ADMINISTRATORS.as_ref()));
        assert!(!token.counts_for_allow(well_known::ADMINISTRATORS.as_ref()));
    }
}
