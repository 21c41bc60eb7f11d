//! From one token state to a weaker one.

use alloc::vec::Vec;

use crate::group::{Group, GroupAttributes, GroupList};
use crate::integrity::IntegrityLevel;
use crate::luid::Luid;
use crate::privilege::{Privilege, PrivilegeMask};
use crate::reading::Readings;
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::token::state::TokenState;

bitflags::bitflags! {
    /// What filtering does beyond its lists.
    ///
    /// # NT
    /// The flags of `NtFilterToken`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FilterFlags: u32 {
        /// Every privilege but SeChangeNotifyPrivilege is removed; the list of privileges is not looked at.
        const DISABLE_MAX_PRIVILEGE = 0x1;
        /// The result is exempt from sandbox policies that do not concern the kernel.
        const SANDBOX_INERT = 0x2;
        /// The result is what an administrator works with who has not elevated.
        const LUA_TOKEN = 0x4;
        /// The restricting SIDs count for writing only.
        const WRITE_RESTRICTED = 0x8;
    }
}

/// How to weaken a token.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// What to do beyond the lists.
    pub flags: FilterFlags,
    /// SIDs that will count for deny entries only; those the token does not have are passed over.
    pub disable: &'a [Sid],
    /// Privileges to remove; those the token does not have are passed over.
    pub delete: &'a [Luid],
    /// Restricting SIDs; their attributes must be empty.
    pub restrict: &'a [Group],
}

/// Privileges that are left to an administrator who has not elevated.
const LUA_PRIVILEGES: [Privilege; 5] = [
    Privilege::ChangeNotify,
    Privilege::Shutdown,
    Privilege::Undock,
    Privilege::IncreaseWorkingSet,
    Privilege::TimeZone,
];

/// Groups an administrator does not have who has not elevated: built in, and of a domain.
const LUA_BUILTIN: [u32; 11] = [544, 547, 548, 549, 550, 551, REPLICATORS, 553, 554, 556, 569];
const REPLICATORS: u32 = 552;
const LUA_DOMAIN: [u32; 7] = [498, 512, 516, 517, 518, 519, 520];

impl TokenState {
    /// Makes a weaker state: SIDs for deny only, privileges removed, restricting SIDs added.
    ///
    /// Nothing it takes away can come back: a second list of restricting SIDs leaves what is in both, and a fully
    /// restricted state never becomes a write-restricted one.
    ///
    /// # Errors
    /// - [`NtStatus::INVALID_PARAMETER`] when a restricting SID has attributes, or the state is to be write-restricted and
    ///   there are no restricting SIDs.
    ///
    /// # NT
    /// `SeFilterToken`, `NtFilterToken`.
    ///
    /// # Source
    /// learn.microsoft.com, `CreateRestrictedToken`, "Restricted Tokens".
    #[doc(alias = "SeFilterToken")]
    #[doc(alias = "NtFilterToken")]
    pub fn filter(&self, filter: &Filter<'_>) -> Result<Self, NtStatus> {
        self.filter_by(filter, Readings::empty())
    }

    /// As [`TokenState::filter`], with the other reading of uncertain rules.
    ///
    /// Of them all only [`Readings::LUA_KEEPS_DOMAIN_GROUPS`] and [`Readings::LUA_KEEPS_REPLICATORS`] are about this.
    ///
    /// # Errors
    /// As [`TokenState::filter`].
    pub fn filter_by(&self, filter: &Filter<'_>, readings: Readings) -> Result<Self, NtStatus> {
        if filter.restrict.iter().any(|group| !group.attributes.is_empty()) {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let is_lua = filter.flags.contains(FilterFlags::LUA_TOKEN);
        let deny_only = |sid: &Sid| filter.disable.contains(sid) || (is_lua && is_powerful(sid, readings));
        let weaken = |group: &Group| if deny_only(&group.sid) { disabled(group) } else { *group };
        let mut state = self.clone();
        state.user = if filter.disable.contains(&self.user.sid) { disabled(&self.user) } else { self.user };
        state.groups = self.groups.iter().map(weaken).collect();
        state.privileges = self.privileges.retain(self.kept_privileges(filter));
        state.restricting = self.restricted_further(filter.restrict);
        state.is_write_restricted = match (filter.flags.contains(FilterFlags::WRITE_RESTRICTED), self.is_restricted()) {
            (true, false) if filter.restrict.is_empty() => return Err(NtStatus::INVALID_PARAMETER),
            (true, false) => true,
            (true, true) => self.is_write_restricted,
            (false, _) => self.is_write_restricted && filter.restrict.is_empty(),
        };
        if is_lua {
            state.integrity = self.integrity.map(|level| level.min(IntegrityLevel::MEDIUM));
            state.default_owner = self.user.sid;
        }
        if !state.may_own_as(&state.default_owner) {
            state.default_owner = self.user.sid;
        }
        state.is_filtered = self.is_filtered || state != *self;
        state.is_sandbox_inert |= filter.flags.contains(FilterFlags::SANDBOX_INERT);
        Ok(state)
    }

    fn kept_privileges(&self, filter: &Filter<'_>) -> PrivilegeMask {
        if filter.flags.contains(FilterFlags::DISABLE_MAX_PRIVILEGE) {
            return PrivilegeMask::NONE.with(Privilege::ChangeNotify);
        }
        let deleted: PrivilegeMask = filter.delete.iter().filter_map(|luid| Privilege::from_luid(*luid)).collect();
        let is_lua = filter.flags.contains(FilterFlags::LUA_TOKEN);
        let is_kept =
            |privilege: &Privilege| !deleted.contains(*privilege) && (!is_lua || LUA_PRIVILEGES.contains(privilege));
        self.privileges.present().iter().filter(is_kept).collect()
    }

    fn restricted_further(&self, restrict: &[Group]) -> Option<GroupList> {
        if restrict.is_empty() {
            return self.restricting.clone();
        }
        let is_left = |group: &&Group| self.restricting.is_none() || self.is_restricting(group.sid.as_ref());
        let added: Vec<Group> = restrict
            .iter()
            .filter(is_left)
            .map(|group| Group::new(group.sid, GroupAttributes::ALWAYS_ENABLED))
            .collect();
        Some(GroupList::new(added))
    }
}

/// The group for deny only, for good. That it is mandatory stays.
fn disabled(group: &Group) -> Group {
    let gone = GroupAttributes::ENABLED.union(GroupAttributes::ENABLED_BY_DEFAULT);
    Group::new(group.sid, group.attributes.difference(gone).union(GroupAttributes::USE_FOR_DENY_ONLY))
}

fn is_powerful(sid: &Sid, readings: Readings) -> bool {
    let spares_domains = readings.contains(Readings::LUA_KEEPS_DOMAIN_GROUPS);
    let spared = if readings.contains(Readings::LUA_KEEPS_REPLICATORS) { Some(REPLICATORS) } else { None };
    let mut subs = sid.sub_authorities();
    match (sid.authority(), subs.next(), sid.rid()) {
        (5, Some(32), Some(rid)) => spared != Some(rid) && LUA_BUILTIN.contains(&rid),
        (5, Some(21), Some(rid)) => !spares_domains && LUA_DOMAIN.contains(&rid),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::PrivilegeState;
    use crate::token::{TokenFlags, TokenState};
    use crate::well_known;

    const NOTHING: Filter<'_> = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &[] };

    fn admin() -> TokenState {
        TokenState::builder(well_known::unix_user(1000))
            .group(well_known::ADMINISTRATORS, GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER)
            .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
            .owner(well_known::ADMINISTRATORS)
            .integrity(IntegrityLevel::HIGH)
            .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault)
            .privilege(Privilege::ChangeNotify, PrivilegeState::EnabledByDefault)
            .build()
            .unwrap()
    }

    fn restricting(sids: &[Sid]) -> Vec<Group> {
        sids.iter().map(|sid| Group::new(*sid, GroupAttributes::empty())).collect()
    }

    #[test]
    fn filtering_nothing_changes_nothing() {
        assert_eq!(admin().filter(&NOTHING).unwrap(), admin());
    }

    #[test]
    fn a_disabled_group_denies_and_owns_no_more() {
        let filter = Filter { disable: &[well_known::ADMINISTRATORS, well_known::GUESTS], ..NOTHING };
        let state = admin().filter(&filter).unwrap();
        assert!(!state.is_admin() && state.counts_for_deny(well_known::ADMINISTRATORS.as_ref()));
        assert!(state.groups()[0].attributes.contains(GroupAttributes::MANDATORY));
        assert_eq!(*state.default_owner(), well_known::unix_user(1000));
        assert!(state.is_filtered() && !state.is_restricted());
        let user = Filter { disable: &[well_known::unix_user(1000)], ..NOTHING };
        assert!(!admin().filter(&user).unwrap().user().attributes.counts_for_allow());
    }

    #[test]
    fn the_most_that_can_be_removed_leaves_change_notify() {
        let filter = Filter { flags: FilterFlags::DISABLE_MAX_PRIVILEGE, ..NOTHING };
        let state = admin().filter(&filter).unwrap();
        assert_eq!(state.privileges().present().iter().collect::<Vec<_>>(), [Privilege::ChangeNotify]);
        let gone = TokenFlags::HAS_BACKUP_PRIVILEGE
            | TokenFlags::HAS_RESTORE_PRIVILEGE
            | TokenFlags::HAS_IMPERSONATE_PRIVILEGE;
        assert!(!state.flags().intersects(gone));
    }

    #[test]
    fn restricting_twice_leaves_what_is_in_both() {
        let (first, second) =
            (restricting(&[well_known::USERS, well_known::EVERYONE]), restricting(&[well_known::USERS]));
        let once = admin().filter(&Filter { restrict: &first, ..NOTHING }).unwrap();
        let twice = once.filter(&Filter { restrict: &second, ..NOTHING }).unwrap();
        assert_eq!(twice.restricting_sids().len(), 1);
        let other = restricting(&[well_known::GUESTS]);
        let none = twice.filter(&Filter { restrict: &other, ..NOTHING }).unwrap();
        assert!(none.is_restricted() && none.restricting_sids().is_empty());
    }

    #[test]
    fn a_restriction_never_becomes_a_write_restriction() {
        let list = restricting(&[well_known::USERS]);
        let flags = FilterFlags::WRITE_RESTRICTED;
        let full = admin().filter(&Filter { restrict: &list, ..NOTHING }).unwrap();
        assert!(!full.filter(&Filter { flags, restrict: &list, ..NOTHING }).unwrap().is_write_restricted());
        let write = admin().filter(&Filter { flags, restrict: &list, ..NOTHING }).unwrap();
        assert!(write.is_write_restricted() && write.filter(&NOTHING).unwrap().is_write_restricted());
        assert!(!write.filter(&Filter { restrict: &list, ..NOTHING }).unwrap().is_write_restricted());
        assert_eq!(admin().filter(&Filter { flags, ..NOTHING }), Err(NtStatus::INVALID_PARAMETER));
    }

    #[test]
    fn a_restricting_sid_with_attributes_is_refused() {
        let list = [Group::new(well_known::USERS, GroupAttributes::ENABLED)];
        assert_eq!(admin().filter(&Filter { restrict: &list, ..NOTHING }), Err(NtStatus::INVALID_PARAMETER));
    }

    #[test]
    fn an_administrator_who_has_not_elevated_is_a_user() {
        let state = admin().filter(&Filter { flags: FilterFlags::LUA_TOKEN, ..NOTHING }).unwrap();
        assert!(!state.is_admin() && state.counts_for_allow(well_known::USERS.as_ref()));
        assert_eq!(state.integrity(), Some(IntegrityLevel::MEDIUM));
        assert!(!state.privileges().present().contains(Privilege::Impersonate));
        assert!(state.flags().contains(TokenFlags::IS_FILTERED));
    }
}
