//! Changing a token in place: its privileges and groups.

use vicar_nt::group::Group;
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeSet};
use vicar_nt::token::{self as value, GroupChange, PowerfulPrivileges, TokenState};
use vicar_nt::{NtStatus, Sid};

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
}

impl PrivilegesAdjusted {
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
        let powerful = self.powerful();
        self.modify(|state| {
            let adjusted = state.adjust_privileges(changes, powerful);
            if changed_count(&adjusted) > room {
                return (None, Err(NtStatus::BUFFER_TOO_SMALL));
            }
            let (replacement, answer) = privileges_answer(adjusted);
            (replacement, Ok(answer))
        })
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
        self.modify(|state| match state.adjust_groups(changes) {
            Ok(adjusted) => {
                let (replacement, answer) = groups_answer(adjusted);
                (replacement, Ok(answer))
            }
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
    (changed.then_some(state), PrivilegesAdjusted { all_assigned, changed, previous })
}

fn groups_answer(adjusted: value::AdjustedGroups) -> (Option<TokenState>, GroupsAdjusted) {
    let value::AdjustedGroups { state, all_assigned, changed, previous } = adjusted;
    (changed.then_some(state), GroupsAdjusted { all_assigned, changed, previous })
}

fn changed_count(adjusted: &value::Adjusted) -> usize {
    let now = adjusted.state.privileges();
    adjusted.previous.entries().filter(|before| !now.entries().any(|after| after == *before)).count()
}
