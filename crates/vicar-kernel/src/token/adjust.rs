//! Changing a token in place: its privileges and groups.

use vicar_nt::group::Group;
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeMask, PrivilegeSet};
use vicar_nt::token::{self as value, GroupChange, PowerfulPrivileges, TokenState};
use vicar_nt::{NtStatus, Privilege, Sid};

use super::Token;
use crate::policy::Profile;

/// What adjusting privileges did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PrivilegesAdjusted {
    /// Whether every privilege named was there and could be changed as asked.
    pub all_assigned: bool,
    /// Whether anything is different; only then is there a new ModifiedId and state number.
    pub changed: bool,
    /// The privileges before.
    pub previous: PrivilegeSet,
    /// The privileges since.
    pub now: PrivilegeSet,
}

impl PrivilegesAdjusted {
    /// Returns the privileges that are different since or gone, as they were.
    pub fn changed_since(&self) -> PrivilegeSet {
        let differing = self.previous.entries().filter(|before| !self.now.entries().any(|after| after == *before));
        let differing = differing.filter_map(|before| Privilege::from_luid(before.luid));
        self.previous.retain(differing.fold(PrivilegeMask::NONE, PrivilegeMask::with))
    }

    /// Returns `STATUS_SUCCESS` or `STATUS_NOT_ALL_ASSIGNED`, which is a success too.
    pub const fn status(&self) -> NtStatus {
        if self.all_assigned { NtStatus::SUCCESS } else { NtStatus::NOT_ALL_ASSIGNED }
    }
}

/// What adjusting groups did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct GroupsAdjusted {
    /// Whether every group named was there.
    pub all_assigned: bool,
    /// Whether anything is different.
    pub changed: bool,
    /// The groups that changed, as they were.
    pub previous: Vec<Group>,
}

impl Token {
    /// Enables, disables and removes privileges in one critical section.
    ///
    /// Privileges the token does not have are passed over. Removal beats enabling and is final. Everything that follows
    /// from the privileges follows at once, because it is computed from them.
    ///
    /// # Returns
    /// Whether all were assigned, whether anything changed, and the privileges before.
    ///
    /// # Identity
    /// Whoever shares this token, threads included, sees the change; copies do not.
    ///
    /// # NT
    /// `NtAdjustPrivilegesToken` with a list.
    ///
    /// # Source
    /// AdjustTokenPrivileges (page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtAdjustPrivilegesToken")]
    #[doc(alias = "AdjustTokenPrivileges")]
    pub fn adjust_privileges(&self, changes: &[LuidAndAttributes]) -> PrivilegesAdjusted {
        let powerful = self.powerful();
        self.modify(|state| privileges_answer(state.adjust_privileges(changes, powerful)))
    }

    /// Like [`Token::adjust_privileges`] for a caller that has room for `room` changed privileges.
    ///
    /// # Errors
    /// - `STATUS_BUFFER_TOO_SMALL` when more privileges would change; nothing is changed then.
    pub fn adjust_privileges_reporting(
        &self,
        changes: &[LuidAndAttributes],
        room: usize,
    ) -> Result<PrivilegesAdjusted, NtStatus> {
        self.adjust_privileges_if(changes, |adjusted| adjusted.changed_since().entries().count() <= room)
    }

    /// Like [`Token::adjust_privileges`] for a caller that says whether it has room for the state before.
    ///
    /// # Inputs
    /// - `fits`: is shown what the change would do, before anybody sees it, in the critical section of the change.
    ///
    /// # Errors
    /// - `STATUS_BUFFER_TOO_SMALL` when it does not fit; nothing is changed then.
    pub fn adjust_privileges_if(
        &self,
        changes: &[LuidAndAttributes],
        fits: impl FnOnce(&PrivilegesAdjusted) -> bool,
    ) -> Result<PrivilegesAdjusted, NtStatus> {
        let powerful = self.powerful();
        self.modify(|state| if_it_fits(privileges_answer(state.adjust_privileges(changes, powerful)), fits))
    }

    /// Like [`Token::disable_all_privileges`] for a caller that says whether it has room for the state before.
    ///
    /// # Errors
    /// - as for [`Token::adjust_privileges_if`].
    pub fn disable_all_privileges_if(
        &self,
        fits: impl FnOnce(&PrivilegesAdjusted) -> bool,
    ) -> Result<PrivilegesAdjusted, NtStatus> {
        self.modify(|state| if_it_fits(privileges_answer(state.disable_all_privileges()), fits))
    }

    /// Disables every privilege.
    ///
    /// # NT
    /// `NtAdjustPrivilegesToken` with `DisableAllPrivileges`.
    pub fn disable_all_privileges(&self) -> PrivilegesAdjusted {
        self.modify(|state| privileges_answer(state.disable_all_privileges()))
    }

    /// Enables and disables groups; either all changes are made or none.
    ///
    /// # Errors
    /// - `STATUS_CANT_DISABLE_MANDATORY`, `STATUS_CANT_ENABLE_DENY_ONLY`; nothing is changed then.
    ///
    /// # NT
    /// `NtAdjustGroupsToken` with a list.
    ///
    /// # Source
    /// AdjustTokenGroups (page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtAdjustGroupsToken")]
    #[doc(alias = "AdjustTokenGroups")]
    pub fn adjust_groups(&self, changes: &[(Sid, GroupChange)]) -> Result<GroupsAdjusted, NtStatus> {
        self.adjust_groups_if(changes, |_| true)
    }

    /// Like [`Token::adjust_groups`] for a caller that says whether it has room for the state before.
    ///
    /// # Inputs
    /// - `fits`: is shown what the change would do, before anybody sees it, in the critical section of the change.
    ///
    /// # Errors
    /// - as for [`Token::adjust_groups`].
    /// - `STATUS_BUFFER_TOO_SMALL` when it does not fit; nothing is changed then.
    pub fn adjust_groups_if(
        &self,
        changes: &[(Sid, GroupChange)],
        fits: impl FnOnce(&GroupsAdjusted) -> bool,
    ) -> Result<GroupsAdjusted, NtStatus> {
        self.modify(|state| match state.adjust_groups(changes) {
            Ok(adjusted) => if_it_fits(groups_answer(adjusted), fits),
            Err(status) => (None, Err(status)),
        })
    }

    /// Gives every group that may change the state it had when the token was made.
    ///
    /// # NT
    /// `NtAdjustGroupsToken` with `ResetToDefault`.
    pub fn reset_groups(&self) -> GroupsAdjusted {
        self.modify(|state| groups_answer(state.reset_groups()))
    }

    /// Like [`Token::reset_groups`] for a caller that says whether it has room for the state before.
    ///
    /// # Errors
    /// - `STATUS_BUFFER_TOO_SMALL` when it does not fit; nothing is changed then.
    pub fn reset_groups_if(&self, fits: impl FnOnce(&GroupsAdjusted) -> bool) -> Result<GroupsAdjusted, NtStatus> {
        self.modify(|state| if_it_fits(groups_answer(state.reset_groups()), fits))
    }

    /// Whether powerful privileges need high integrity; there was no integrity before Vista.
    fn powerful(&self) -> PowerfulPrivileges {
        match self.system().profile() {
            Profile::V0 | Profile::V1 => PowerfulPrivileges::AtAnyIntegrity,
            Profile::V2 | Profile::V3 | Profile::V4 => self.system().policy().powerful_privileges,
        }
    }
}

fn privileges_answer(adjusted: value::Adjusted) -> (Option<TokenState>, PrivilegesAdjusted) {
    let value::Adjusted { state, all_assigned, changed, previous } = adjusted;
    let now = state.privileges();
    (changed.then_some(state), PrivilegesAdjusted { all_assigned, changed, previous, now })
}

fn groups_answer(adjusted: value::AdjustedGroups) -> (Option<TokenState>, GroupsAdjusted) {
    let value::AdjustedGroups { state, all_assigned, changed, previous } = adjusted;
    (changed.then_some(state), GroupsAdjusted { all_assigned, changed, previous })
}

/// Keeps a change to itself when its caller has no room for what was before.
fn if_it_fits<A>(
    (replacement, answer): (Option<TokenState>, A),
    fits: impl FnOnce(&A) -> bool,
) -> (Option<TokenState>, Result<A, NtStatus>) {
    if fits(&answer) { (replacement, Ok(answer)) } else { (None, Err(NtStatus::BUFFER_TOO_SMALL)) }
}
