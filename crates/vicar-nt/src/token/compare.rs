//! Copies of a token, and whether two tokens come to the same.

use crate::group::GroupList;
use crate::level::ImpersonationLevel;
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::token::state::TokenState;

/// What a token is used for.
///
/// # NT
/// `TOKEN_TYPE`, with the level of an impersonation token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It belongs to a process.
    Primary,
    /// It can be impersonated, at this level at most.
    Impersonation(ImpersonationLevel),
}

/// How much of a token a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyReach {
    /// What is in force now; the rest is gone for good.
    EffectiveOnly,
    /// Everything.
    AllHeld,
}

impl TokenState {
    /// Returns the state of a copy, if a copy of that form may be made.
    ///
    /// # Inputs
    /// - `from`: what the token is now.
    /// - `to`: what the copy will be.
    ///
    /// # Errors
    /// - [`NtStatus::BAD_IMPERSONATION_LEVEL`] when the copy would be at a higher level than the token, or primary although
    ///   the token is below Impersonation.
    ///
    /// # NT
    /// `NtDuplicateToken`.
    ///
    /// # Source
    /// learn.microsoft.com, `DuplicateTokenEx`, `ZwDuplicateToken`.
    #[doc(alias = "NtDuplicateToken")]
    pub fn duplicate(&self, from: Form, to: Form, reach: CopyReach) -> Result<Self, NtStatus> {
        let is_allowed = match (from, to) {
            (Form::Primary, _) => true,
            (Form::Impersonation(held), Form::Primary) => held.may_act_locally(),
            (Form::Impersonation(held), Form::Impersonation(wanted)) => wanted <= held,
        };
        if !is_allowed {
            return Err(NtStatus::BAD_IMPERSONATION_LEVEL);
        }
        Ok(match reach {
            CopyReach::EffectiveOnly => self.effective_only(),
            CopyReach::AllHeld => self.clone(),
        })
    }

    /// Returns whether both hold the same SIDs, the user among them, are both restricted by the same SIDs or neither, and
    /// hold the same privileges.
    ///
    /// Whether a group or a privilege is enabled, the order, integrity, packages and claims are not looked at.
    ///
    /// # NT
    /// `NtCompareTokens`.
    ///
    /// # Source
    /// learn.microsoft.com, `NtCompareTokens`.
    #[must_use]
    #[doc(alias = "NtCompareTokens")]
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        let restricting = match (&self.restricting, &other.restricting) {
            (None, None) => true,
            (Some(own), Some(others)) => has_sids_of(own, others) && has_sids_of(others, own),
            (None, Some(_)) | (Some(_), None) => false,
        };
        restricting
            && self.privileges.present() == other.privileges.present()
            && self.has_sids_of(other)
            && other.has_sids_of(self)
    }

    fn has_sids_of(&self, other: &Self) -> bool {
        let has = |sid: &Sid| self.user.sid == *sid || self.groups.find(sid.as_ref()).next().is_some();
        has(&other.user.sid) && other.groups.iter().all(|group| has(&group.sid))
    }
}

fn has_sids_of(list: &GroupList, others: &GroupList) -> bool {
    others.iter().all(|other| list.find(other.sid.as_ref()).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::GroupAttributes;
    use crate::privilege::{Privilege, PrivilegeState};
    use crate::well_known;

    fn token() -> crate::token::Builder {
        TokenState::builder(well_known::unix_user(1))
            .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::GUESTS, GroupAttributes::empty())
            .privilege(Privilege::Debug, PrivilegeState::Disabled)
    }

    #[test]
    fn a_copy_is_never_at_a_higher_level() {
        use ImpersonationLevel::{Anonymous, Delegation, Identification, Impersonation};
        let token = token().build().unwrap();
        let copy = |from, to| token.duplicate(from, to, CopyReach::AllHeld);
        let levels = [Anonymous, Identification, Impersonation, Delegation];
        for (n, from) in levels.into_iter().enumerate() {
            for (m, to) in levels.into_iter().enumerate() {
                assert_eq!(copy(Form::Impersonation(from), Form::Impersonation(to)).is_ok(), m <= n);
            }
            assert_eq!(copy(Form::Impersonation(from), Form::Primary).is_ok(), n >= 2);
            assert_eq!(copy(Form::Primary, Form::Impersonation(from)).unwrap(), token);
        }
        let refused = copy(Form::Impersonation(Identification), Form::Primary);
        assert_eq!(refused, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    }

    #[test]
    fn an_effective_copy_holds_what_is_in_force() {
        let copy = token().build().unwrap().duplicate(Form::Primary, Form::Primary, CopyReach::EffectiveOnly).unwrap();
        assert_eq!((copy.groups().len(), copy.privileges().present().count()), (1, 0));
    }

    #[test]
    fn equivalence_looks_at_sids_restrictions_and_privileges() {
        let one = token().build().unwrap();
        let swapped = TokenState::builder(well_known::unix_user(1))
            .group(well_known::GUESTS, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::USERS, GroupAttributes::empty())
            .privilege(Privilege::Debug, PrivilegeState::Enabled);
        assert!(one.is_equivalent_to(&swapped.clone().session(3).build().unwrap()));
        let others = [
            swapped.clone().restricting(well_known::USERS),
            swapped.clone().privilege(Privilege::Tcb, PrivilegeState::Disabled),
            swapped.clone().group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED),
            TokenState::builder(well_known::unix_user(1)).group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED),
        ];
        for other in others {
            let other = other.build().unwrap();
            assert!(!one.is_equivalent_to(&other) && !other.is_equivalent_to(&one));
        }
        let restricted = token().restricting(well_known::USERS).restricting(well_known::EVERYONE).build().unwrap();
        let again = token().restricting(well_known::EVERYONE).restricting(well_known::USERS).build().unwrap();
        assert!(restricted.is_equivalent_to(&again));
    }
}
