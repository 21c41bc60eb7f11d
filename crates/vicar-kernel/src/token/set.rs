//! What may be set in a token after it was made, and what that takes.
//!
//! A [`Setting`] is one value with its class. Setting asks for a right to the token and, for what only the system may set,
//! for a privilege of the caller. The change is one critical section, like every other change of a token.

use vicar_nt::acl::Acl;
use vicar_nt::token::{MandatoryPolicy, TokenState};
use vicar_nt::{AccessMask, IntegrityLevel, Luid, NtStatus, Privilege, Sid};

use super::query::InfoClass;
use super::{Replacement, Token, TokenRef};
use crate::handle::right;
use crate::pool::Purpose;
use crate::subject::SubjectContext;

/// The bytes that a default access list may have.
pub const DEFAULT_DACL_LIMIT: usize = 4096;

/// One value to set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Setting {
    /// Who owns what the token's holder makes.
    Owner(Sid),
    /// The group of what the token's holder makes.
    PrimaryGroup(Sid),
    /// Who may use what the token's holder makes; `None` takes it away.
    DefaultDacl(Option<Acl>),
    /// The terminal session.
    SessionId(u32),
    /// The logon session that made the token.
    Origin(Luid),
    /// The other half of a split pair.
    LinkedToken(TokenRef),
    /// The integrity level.
    IntegrityLevel(IntegrityLevel),
    /// What integrity means for the token.
    MandatoryPolicy(MandatoryPolicy),
}

/// What setting something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The right to the token.
    pub right: AccessMask,
    /// The privilege of the caller.
    pub privilege: Option<Privilege>,
    /// The bytes of the 64-bit C form.
    pub length: usize,
}

/// Returns what setting a class takes.
///
/// # Errors
/// - `STATUS_INVALID_INFO_CLASS` when the class can only be read.
///
/// # Source
/// SetTokenInformation (page), NtSetInformationToken (ntifs.h page); spec/nt-impersonation 2.23.
pub const fn requirement(class: InfoClass) -> Result<Requirement, NtStatus> {
    let default = right::ADJUST_DEFAULT;
    let (right, privilege, length) = match class {
        InfoClass::Owner | InfoClass::PrimaryGroup | InfoClass::DefaultDacl => (default, None, 8),
        InfoClass::IntegrityLevel => (default, None, 16),
        InfoClass::SessionId => (right::ADJUST_SESSIONID, Some(Privilege::Tcb), 4),
        InfoClass::Origin => (default, Some(Privilege::Tcb), 8),
        InfoClass::MandatoryPolicy => (default, Some(Privilege::Tcb), 4),
        InfoClass::LinkedToken => (default, Some(Privilege::CreateToken), 8),
        InfoClass::User
        | InfoClass::Groups
        | InfoClass::Privileges
        | InfoClass::Source
        | InfoClass::Type
        | InfoClass::ImpersonationLevel
        | InfoClass::Statistics
        | InfoClass::RestrictedSids
        | InfoClass::GroupsAndPrivileges
        | InfoClass::SessionReference
        | InfoClass::SandBoxInert
        | InfoClass::AuditPolicy
        | InfoClass::ElevationType
        | InfoClass::Elevation
        | InfoClass::HasRestrictions
        | InfoClass::AccessInformation
        | InfoClass::VirtualizationAllowed
        | InfoClass::VirtualizationEnabled
        | InfoClass::UiAccess
        | InfoClass::LogonSid
        | InfoClass::IsAppContainer
        | InfoClass::Capabilities
        | InfoClass::AppContainerSid
        | InfoClass::AppContainerNumber
        | InfoClass::UserClaims
        | InfoClass::DeviceClaims
        | InfoClass::RestrictedUserClaims
        | InfoClass::RestrictedDeviceClaims
        | InfoClass::DeviceGroups
        | InfoClass::RestrictedDeviceGroups
        | InfoClass::SecurityAttributes
        | InfoClass::IsRestricted
        | InfoClass::ProcessTrustLevel
        | InfoClass::PrivateNameSpace
        | InfoClass::SingletonAttributes
        | InfoClass::BnoIsolation
        | InfoClass::ChildProcessFlags
        | InfoClass::IsLessPrivilegedAppContainer
        | InfoClass::IsSandboxed => return Err(NtStatus::INVALID_INFO_CLASS),
    };
    Ok(Requirement { right, privilege, length })
}

/// Says whether a buffer of `length` bytes can hold a value of this class.
///
/// # Errors
/// - `STATUS_INVALID_INFO_CLASS` when the class can only be read.
/// - `STATUS_INFO_LENGTH_MISMATCH` when the buffer is too short.
pub const fn check_length(class: InfoClass, length: usize) -> Result<(), NtStatus> {
    match requirement(class) {
        Ok(requirement) if length >= requirement.length => Ok(()),
        Ok(_) => Err(NtStatus::INFO_LENGTH_MISMATCH),
        Err(status) => Err(status),
    }
}

impl Setting {
    /// Returns the class of this value.
    pub const fn class(&self) -> InfoClass {
        match self {
            Self::Owner(_) => InfoClass::Owner,
            Self::PrimaryGroup(_) => InfoClass::PrimaryGroup,
            Self::DefaultDacl(_) => InfoClass::DefaultDacl,
            Self::SessionId(_) => InfoClass::SessionId,
            Self::Origin(_) => InfoClass::Origin,
            Self::LinkedToken(_) => InfoClass::LinkedToken,
            Self::IntegrityLevel(_) => InfoClass::IntegrityLevel,
            Self::MandatoryPolicy(_) => InfoClass::MandatoryPolicy,
        }
    }
}

impl TokenRef {
    /// Sets one value, for a caller whose right to the token was tested.
    ///
    /// # Errors
    /// - `STATUS_PRIVILEGE_NOT_HELD` when the system alone may set it, or an integrity level is to be raised, and the caller
    ///   does not hold the privilege. That of acting as the system is asked of the caller's process.
    /// - `STATUS_INVALID_OWNER`, `STATUS_INVALID_PRIMARY_GROUP` when the SID is not the token's to use.
    /// - `STATUS_ALLOTTED_SPACE_EXCEEDED` when an access list is longer than [`DEFAULT_DACL_LIMIT`].
    /// - `STATUS_INVALID_PARAMETER` for a linked token of another system, or one that would link in a circle.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// Nothing is changed then.
    ///
    /// # Identity
    /// Whoever shares this token, threads included, sees the change; copies do not.
    ///
    /// # NT
    /// `NtSetInformationToken`, after the handle was resolved.
    ///
    /// # Source
    /// SetTokenInformation (page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtSetInformationToken")]
    #[doc(alias = "SetTokenInformation")]
    pub fn set_information(&self, caller: &SubjectContext, setting: Setting) -> Result<(), NtStatus> {
        self.set_if(setting, |privilege| holds(caller, privilege))
    }

    /// Sets one value for the kernel, which holds every privilege.
    ///
    /// # Errors
    /// - as for [`TokenRef::set_information`], without `STATUS_PRIVILEGE_NOT_HELD`.
    pub fn set_information_unchecked(&self, setting: Setting) -> Result<(), NtStatus> {
        self.set_if(setting, |_| true)
    }

    fn set_if(&self, setting: Setting, holds: impl Fn(Privilege) -> bool) -> Result<(), NtStatus> {
        if requirement(setting.class())?.privilege.is_some_and(|privilege| !holds(privilege)) {
            return Err(NtStatus::PRIVILEGE_NOT_HELD);
        }
        match setting {
            Setting::Owner(owner) => self.set(|state| state.with_default_owner(owner)),
            Setting::PrimaryGroup(group) => self.set(|state| state.with_primary_group(group)),
            Setting::DefaultDacl(acl) => self.set_default_dacl(acl),
            Setting::SessionId(session) => self.set(|state| Ok(state.with_session(session))),
            Setting::IntegrityLevel(level) => {
                let may_raise = holds(Privilege::Tcb);
                self.set(|state| {
                    if state.integrity().is_none_or(|own| level > own) && !may_raise {
                        return Err(NtStatus::PRIVILEGE_NOT_HELD);
                    }
                    Ok(state.with_integrity(level))
                })
            }
            Setting::MandatoryPolicy(policy) => self.set(|state| Ok(state.with_mandatory_policy(policy))),
            Setting::Origin(origin) => {
                self.set_origin(origin);
                Ok(())
            }
            Setting::LinkedToken(other) => {
                if !other.system().is_same(self.system()) {
                    return Err(NtStatus::INVALID_PARAMETER);
                }
                self.set_linked(&other)
            }
        }
    }

    fn set_default_dacl(&self, acl: Option<Acl>) -> Result<(), NtStatus> {
        let charge = match &acl {
            Some(acl) if acl.size_of_copy() > DEFAULT_DACL_LIMIT => return Err(NtStatus::ALLOTTED_SPACE_EXCEEDED),
            Some(acl) => Some(self.system().pool().charge(Purpose::Token, acl.size_of_copy())?),
            None => None,
        };
        self.set(|state| Ok(state.with_default_dacl(acl)))?;
        self.keep_later_charge(charge);
        Ok(())
    }
}

impl Token {
    /// Replaces the origin, unless it is the same.
    fn set_origin(&self, origin: Luid) {
        self.slot.modify(&self.system, |current| {
            let is_new = current.origin != origin;
            (is_new.then(|| Replacement { origin, state: current.state.clone() }), ())
        });
    }

    /// Replaces the state by what `change` makes of it, unless it is the same.
    fn set(&self, change: impl FnOnce(&TokenState) -> Result<TokenState, NtStatus>) -> Result<(), NtStatus> {
        self.modify(|state| match change(state) {
            Ok(changed) if changed == *state => (None, Ok(())),
            Ok(changed) => (Some(changed), Ok(())),
            Err(status) => (None, Err(status)),
        })
    }
}

/// Acting as the system is asked of the process, everything else of whomever the caller acts as.
fn holds(caller: &SubjectContext, privilege: Privilege) -> bool {
    if privilege == Privilege::Tcb {
        caller.primary_holds(privilege)
    } else {
        caller.holds(privilege, vicar_nt::check::AccessMode::User)
    }
}
