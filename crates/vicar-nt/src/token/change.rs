//! From one token state to the next: one part replaced, everything else kept.

use crate::acl::Acl;
use crate::group::{Group, GroupAttributes, GroupList};
use crate::integrity::IntegrityLevel;
use crate::privilege::{Privilege, PrivilegeMask};
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::token::state::{AppContainer, MandatoryPolicy, TokenState};

/// Whether a package counts as one of all application packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageReach {
    /// It does.
    AllPackages,
    /// It does not: the package is less privileged.
    OnlyItself,
}

/// Privileges that are left to a token that is confined to a package.
const PACKAGE_PRIVILEGES: PrivilegeMask = PrivilegeMask::NONE
    .with(Privilege::ChangeNotify)
    .with(Privilege::IncreaseWorkingSet)
    .with(Privilege::Shutdown)
    .with(Privilege::TimeZone)
    .with(Privilege::Undock);

impl TokenState {
    /// Returns this state with another owner of what the subject creates.
    ///
    /// # Errors
    /// - [`NtStatus::INVALID_OWNER`] when `owner` is neither the user nor a group that may own.
    ///
    /// # NT
    /// `NtSetInformationToken` with `TokenOwner`.
    ///
    /// # Source
    /// learn.microsoft.com, `SetTokenInformation`.
    pub fn with_default_owner(&self, owner: Sid) -> Result<Self, NtStatus> {
        if !self.may_own_as(&owner) {
            return Err(NtStatus::INVALID_OWNER);
        }
        Ok(Self { default_owner: owner, ..self.clone() })
    }

    /// Returns whether a SID may be the group of what the subject creates: the user, or any group of the token.
    pub fn may_have_as_primary_group(&self, group: &Sid) -> bool {
        self.user.sid == *group || self.groups.find(group.as_ref()).next().is_some()
    }

    /// Returns this state with another group of what the subject creates.
    ///
    /// # Errors
    /// - [`NtStatus::INVALID_PRIMARY_GROUP`] when `group` is neither the user nor a group of the token.
    ///
    /// # NT
    /// `NtSetInformationToken` with `TokenPrimaryGroup`.
    ///
    /// # Source
    /// learn.microsoft.com, `SetTokenInformation`.
    pub fn with_primary_group(&self, group: Sid) -> Result<Self, NtStatus> {
        if !self.may_have_as_primary_group(&group) {
            return Err(NtStatus::INVALID_PRIMARY_GROUP);
        }
        Ok(Self { primary_group: Some(group), ..self.clone() })
    }

    /// Returns this state with another DACL of what the subject creates, or none.
    ///
    /// # NT
    /// `NtSetInformationToken` with `TokenDefaultDacl`.
    #[must_use]
    pub fn with_default_dacl(&self, default_dacl: Option<Acl>) -> Self {
        Self { default_dacl, ..self.clone() }
    }

    /// Returns this state in another terminal session.
    ///
    /// # NT
    /// `NtSetInformationToken` with `TokenSessionId`.
    #[must_use]
    pub fn with_session(&self, session: u32) -> Self {
        Self { session, ..self.clone() }
    }

    /// Returns this state at another integrity level. Who may raise one is decided by whoever calls this.
    ///
    /// # NT
    /// `NtSetInformationToken` with `TokenIntegrityLevel`.
    #[must_use]
    pub fn with_integrity(&self, level: IntegrityLevel) -> Self {
        Self { integrity: Some(level), ..self.clone() }
    }

    /// Returns this state with another meaning of integrity.
    ///
    /// # NT
    /// `NtSetInformationToken` with `TokenMandatoryPolicy`.
    #[must_use]
    pub fn with_mandatory_policy(&self, mandatory_policy: MandatoryPolicy) -> Self {
        Self { mandatory_policy, ..self.clone() }
    }

    /// Returns this state confined to a package.
    ///
    /// The level becomes low, unless it is lower, and of the privileges only the five that a package may hold are left.
    ///
    /// # Errors
    /// - [`NtStatus::INVALID_PARAMETER`] when `package` is not a package SID (S-1-15-2-x, eight sub-authorities, or twelve for a
    ///   child), a capability is not a capability SID (S-1-15-3-x), or the state is confined already.
    ///
    /// # NT
    /// `NtCreateLowBoxToken`. Differs: a confined state cannot be confined again to a child package.
    ///
    /// # Source
    /// learn.microsoft.com, "AppContainer isolation"; MS-DTYP 2.4.2.4 (package and capability SIDs).
    #[doc(alias = "NtCreateLowBoxToken")]
    pub fn with_app_container(
        &self,
        package: Sid,
        capabilities: &[Sid],
        reach: PackageReach,
    ) -> Result<Self, NtStatus> {
        let is_capability = |sid: &Sid| sid.authority() == 15 && sid.sub_authorities().next() == Some(3);
        if self.app_container.is_some() || !is_package(&package) || !capabilities.iter().all(is_capability) {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let held = capabilities.iter().map(|sid| Group::new(*sid, GroupAttributes::ENABLED));
        let is_lpac = reach == PackageReach::OnlyItself || self.is_marked_lpac();
        let capabilities: GroupList = held.collect();
        let level = self.integrity.unwrap_or(IntegrityLevel::UNTRUSTED).min(IntegrityLevel::LOW);
        Ok(Self {
            app_container: Some(AppContainer { package, capabilities, is_lpac }),
            integrity: Some(level),
            privileges: self.privileges.retain(PACKAGE_PRIVILEGES),
            ..self.clone()
        })
    }

    /// Returns whether the token is exempt from sandbox policies that do not concern the kernel.
    #[must_use]
    pub const fn is_sandbox_inert(&self) -> bool {
        self.is_sandbox_inert
    }
}

/// A package's SID has eight sub-authorities, a child package's twelve; the two that stand for all packages have two.
fn is_package(sid: &Sid) -> bool {
    let mut subs = sid.sub_authorities();
    sid.authority() == 15 && matches!(subs.len(), 8 | 12) && subs.next() == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privilege::PrivilegeState;
    use crate::well_known;

    fn token() -> TokenState {
        TokenState::builder(well_known::unix_user(1))
            .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::ADMINISTRATORS, GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER)
            .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault)
            .privilege(Privilege::ChangeNotify, PrivilegeState::EnabledByDefault)
            .sandbox_inert()
            .build()
            .unwrap()
    }

    #[test]
    fn one_part_changes_and_the_rest_stays() {
        let old = token();
        let acl = Acl::builder().build().unwrap();
        let new = old.with_default_dacl(Some(acl.clone()));
        assert_eq!(new.default_dacl(), Some(&acl));
        assert_eq!(new.with_default_dacl(None), old);
        assert_eq!(old.with_session(7).session(), 7);
        assert_eq!(old.with_session(7).with_session(0), old);
        assert_eq!(old.with_integrity(IntegrityLevel::HIGH).integrity(), Some(IntegrityLevel::HIGH));
        let policy = MandatoryPolicy::NEW_PROCESS_MIN;
        assert_eq!(old.with_mandatory_policy(policy).mandatory_policy(), policy);
        assert!(old.is_sandbox_inert());
    }

    #[test]
    fn only_who_may_own_becomes_the_default_owner() {
        let owned = token().with_default_owner(well_known::ADMINISTRATORS).unwrap();
        assert_eq!(*owned.default_owner(), well_known::ADMINISTRATORS);
        assert_eq!(token().with_default_owner(well_known::USERS), Err(NtStatus::INVALID_OWNER));
        assert!(token().with_primary_group(well_known::USERS).is_ok());
        assert!(token().with_primary_group(well_known::unix_user(1)).is_ok());
        assert_eq!(token().with_primary_group(well_known::GUESTS), Err(NtStatus::INVALID_PRIMARY_GROUP));
    }

    #[test]
    fn a_confined_token_is_low_and_holds_five_privileges_at_most() {
        let package: Sid = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
        let capability: Sid = "S-1-15-3-1".parse().unwrap();
        let confined = token().with_app_container(package, &[capability], PackageReach::OnlyItself).unwrap();
        assert_eq!(confined.integrity(), Some(IntegrityLevel::LOW));
        assert_eq!(confined.privileges().present().iter().collect::<alloc::vec::Vec<_>>(), [Privilege::ChangeNotify]);
        assert!(confined.is_lpac() && confined.app_container().unwrap().capabilities().len() == 1);
        let wide = PackageReach::AllPackages;
        assert!(!token().with_app_container(package, &[], wide).unwrap().is_lpac());
        assert_eq!(confined.with_app_container(package, &[], wide), Err(NtStatus::INVALID_PARAMETER));
        let all = well_known::ALL_APPLICATION_PACKAGES;
        assert_eq!(token().with_app_container(all, &[], wide), Err(NtStatus::INVALID_PARAMETER));
        assert_eq!(token().with_app_container(package, &[all], wide), Err(NtStatus::INVALID_PARAMETER));
        let untrusted = token().with_integrity(IntegrityLevel::UNTRUSTED);
        let untrusted = untrusted.with_app_container(package, &[], wide).unwrap();
        assert_eq!(untrusted.integrity(), Some(IntegrityLevel::UNTRUSTED));
    }
}
