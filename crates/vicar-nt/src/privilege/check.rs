//! Whether a subject has privileges in force.

use crate::check::{AccessMode, Subject};
use crate::level::ImpersonationLevel;
use crate::privilege::{LuidAndAttributes, Privilege, PrivilegeAttributes, PrivilegeSet};
use crate::reading::Readings;
use crate::status::NtStatus;
use crate::token::TokenState;

/// Whether all privileges of a list are needed, or any one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Every one (`PRIVILEGE_SET_ALL_NECESSARY`).
    All,
    /// At least one.
    Any,
}

/// Says whether a subject has privileges in force, and marks those it has.
///
/// # Inputs
/// - `subject`: both tokens of one thread; the client's decides when there is one.
/// - `wanted`: the privileges; those in force are marked [`PrivilegeAttributes::USED_FOR_ACCESS`].
/// - `mode`: on its own behalf the kernel has every privilege.
///
/// # Returns
/// Whether all are in force, or any one. An empty list has all its privileges, and not any one.
///
/// # Identity
/// A client below Impersonation has no privilege, whatever its token says, and nothing is marked.
///
/// # NT
/// `SePrivilegeCheck`.
///
/// # Source
/// learn.microsoft.com, `SePrivilegeCheck`, `PrivilegeCheck`.
#[must_use]
#[doc(alias = "SePrivilegeCheck")]
pub fn check(subject: &Subject<'_>, wanted: &mut [LuidAndAttributes], need: Need, mode: AccessMode) -> bool {
    check_by(subject, wanted, need, mode, Readings::empty())
}

/// As [`check`], with the other reading of uncertain rules.
///
/// Of them all only [`Readings::EMPTY_LIST_HAS_ANY`] is about this.
#[must_use]
pub fn check_by(
    subject: &Subject<'_>,
    wanted: &mut [LuidAndAttributes],
    need: Need,
    mode: AccessMode,
    readings: Readings,
) -> bool {
    match mode {
        AccessMode::Kernel => {
            for entry in wanted {
                entry.attributes.insert(PrivilegeAttributes::USED_FOR_ACCESS);
            }
            true
        }
        AccessMode::User if !subject.may_act() => false,
        AccessMode::User => check_set(subject.effective().privileges(), wanted, need, readings),
    }
}

/// Says whether a token that was handed over has privileges in force, and marks those it has.
///
/// # Errors
/// - [`NtStatus::BAD_IMPERSONATION_LEVEL`] when the token is at anonymous level. A primary token has no level.
///
/// # NT
/// `NtPrivilegeCheck`.
///
/// # Source
/// learn.microsoft.com, `PrivilegeCheck`.
#[doc(alias = "NtPrivilegeCheck")]
pub fn check_token(
    token: &TokenState,
    level: Option<ImpersonationLevel>,
    wanted: &mut [LuidAndAttributes],
    need: Need,
) -> Result<bool, NtStatus> {
    check_token_by(token, level, wanted, need, Readings::empty())
}

/// As [`check_token`], with the other reading of uncertain rules.
///
/// Of them all only [`Readings::EMPTY_LIST_HAS_ANY`] is about this.
///
/// # Errors
/// As [`check_token`].
pub fn check_token_by(
    token: &TokenState,
    level: Option<ImpersonationLevel>,
    wanted: &mut [LuidAndAttributes],
    need: Need,
    readings: Readings,
) -> Result<bool, NtStatus> {
    if level.is_none_or(ImpersonationLevel::may_identify) {
        Ok(check_set(token.privileges(), wanted, need, readings))
    } else {
        Err(NtStatus::BAD_IMPERSONATION_LEVEL)
    }
}

fn check_set(held: PrivilegeSet, wanted: &mut [LuidAndAttributes], need: Need, readings: Readings) -> bool {
    let mut all = true;
    let mut any = wanted.is_empty() && readings.contains(Readings::EMPTY_LIST_HAS_ANY);
    for entry in wanted {
        if Privilege::from_luid(entry.luid).is_some_and(|privilege| held.is_enabled(privilege)) {
            entry.attributes.insert(PrivilegeAttributes::USED_FOR_ACCESS);
            any = true;
        } else {
            all = false;
        }
    }
    match need {
        Need::All => all,
        Need::Any => any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::PrivilegeState;

    fn wanted() -> [LuidAndAttributes; 2] {
        [Privilege::Tcb, Privilege::Debug].map(|p| LuidAndAttributes::new(p, PrivilegeAttributes::empty()))
    }

    fn debugger() -> TokenState {
        TokenState::builder(crate::well_known::LOCAL_SYSTEM)
            .privilege(Privilege::Debug, PrivilegeState::Enabled)
            .privilege(Privilege::Tcb, PrivilegeState::Disabled)
            .build()
            .unwrap()
    }

    #[test]
    fn only_what_is_enabled_counts_and_is_marked() {
        let token = debugger();
        let subject = Subject::itself(&token);
        let mut list = wanted();
        assert!(!check(&subject, &mut list, Need::All, AccessMode::User));
        assert!(check(&subject, &mut list, Need::Any, AccessMode::User));
        assert_eq!(list.map(|entry| entry.attributes.bits()), [0, 0x8000_0000]);
        assert!(check(&subject, &mut [], Need::All, AccessMode::User));
        assert!(!check(&subject, &mut [], Need::Any, AccessMode::User));
    }

    #[test]
    fn a_client_below_impersonation_has_no_privilege() {
        let token = debugger();
        let subject = Subject::client(&token, ImpersonationLevel::Identification, &token);
        let mut list = wanted();
        assert!(!check(&subject, &mut list, Need::Any, AccessMode::User));
        assert_eq!(list, wanted());
        assert!(check(&subject, &mut list, Need::All, AccessMode::Kernel));
        assert!(list.iter().all(|entry| entry.attributes.contains(PrivilegeAttributes::USED_FOR_ACCESS)));
    }

    #[test]
    fn a_token_that_is_handed_over_needs_identification() {
        let check = |level| check_token(&debugger(), level, &mut wanted(), Need::Any);
        assert_eq!(check(Some(ImpersonationLevel::Anonymous)), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
        assert_eq!(check(Some(ImpersonationLevel::Identification)), Ok(true));
        assert_eq!(check(None), Ok(true));
    }
}
