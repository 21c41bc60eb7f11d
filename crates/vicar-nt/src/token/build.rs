//! Making a token state.

use alloc::vec::Vec;
use core::fmt;

use crate::acl::Acl;
use crate::claim::{Claim, Claims};
use crate::group::{Group, GroupAttributes, GroupList};
use crate::integrity::IntegrityLevel;
use crate::privilege::{Privilege, PrivilegeSet, PrivilegeState};
use crate::sid::Sid;
use crate::token::state::{AppContainer, Elevation, MandatoryPolicy, TokenState};

/// Puts a token state together; [`TokenState::builder`] makes one.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    user: Group,
    groups: Vec<Group>,
    restricting: Option<Vec<Group>>,
    is_write_restricted: bool,
    privileges: PrivilegeSet,
    integrity: Option<IntegrityLevel>,
    mandatory_policy: u32,
    owner: Option<Sid>,
    primary_group: Option<Sid>,
    default_dacl: Option<Acl>,
    session: u32,
    elevation: Elevation,
    package: Option<Sid>,
    capabilities: Vec<Group>,
    is_lpac: bool,
    trust: Option<Sid>,
    user_claims: Vec<Claim>,
    device_claims: Vec<Claim>,
    local_claims: Vec<Claim>,
    device_groups: Vec<Group>,
    is_sandbox_inert: bool,
}

/// Why a token state cannot be made from these parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The default owner is neither the user nor a group that may own.
    OwnerNotInToken,
    /// Capabilities or the less-privileged mark were given without a package.
    CapabilityWithoutPackage,
    /// The token is to be write-restricted but has no restricting SIDs.
    WriteRestrictedWithoutSids,
    /// The mandatory policy has bits that mean nothing.
    UnknownMandatoryPolicy,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OwnerNotInToken => "default owner is neither the user nor a group that may own",
            Self::CapabilityWithoutPackage => "capabilities without a package",
            Self::WriteRestrictedWithoutSids => "write-restricted without restricting SIDs",
            Self::UnknownMandatoryPolicy => "mandatory policy has unknown bits",
        })
    }
}
impl core::error::Error for BuildError {}

impl Builder {
    pub(crate) const fn new(user: Sid) -> Self {
        Self {
            user: Group::new(user, GroupAttributes::ALWAYS_ENABLED),
            groups: Vec::new(),
            restricting: None,
            is_write_restricted: false,
            privileges: PrivilegeSet::NONE,
            integrity: Some(IntegrityLevel::MEDIUM),
            mandatory_policy: MandatoryPolicy::NO_WRITE_UP.bits(),
            owner: None,
            primary_group: None,
            default_dacl: None,
            session: 0,
            elevation: Elevation::Default,
            package: None,
            capabilities: Vec::new(),
            is_lpac: false,
            trust: None,
            user_claims: Vec::new(),
            device_claims: Vec::new(),
            local_claims: Vec::new(),
            device_groups: Vec::new(),
            is_sandbox_inert: false,
        }
    }

    /// Makes the user count for deny ACEs only.
    pub fn user_deny_only(mut self) -> Self {
        self.user.attributes = GroupAttributes::USE_FOR_DENY_ONLY;
        self
    }

    /// Adds a group.
    pub fn group(mut self, sid: Sid, attributes: GroupAttributes) -> Self {
        self.groups.push(Group::new(sid, attributes));
        self
    }

    /// Adds groups.
    pub fn groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.groups.extend(groups);
        self
    }

    /// Adds a privilege, or replaces its state.
    pub fn privilege(mut self, privilege: Privilege, state: PrivilegeState) -> Self {
        self.privileges = self.privileges.with(privilege, state);
        self
    }

    /// Sets the integrity level; it is medium otherwise.
    pub fn integrity(mut self, level: IntegrityLevel) -> Self {
        self.integrity = Some(level);
        self
    }

    /// Leaves the token without an integrity level, which counts as untrusted.
    pub fn no_integrity(mut self) -> Self {
        self.integrity = None;
        self
    }

    /// Sets the mandatory policy by its NT number; it is 1 (no write up) otherwise.
    pub fn mandatory_policy(mut self, policy: u32) -> Self {
        self.mandatory_policy = policy;
        self
    }

    /// Sets who owns what the subject creates; it is the user otherwise.
    pub fn owner(mut self, sid: Sid) -> Self {
        self.owner = Some(sid);
        self
    }

    /// Sets the group of what the subject creates.
    ///
    /// It need not be one of the token's groups: new objects get it unchecked (spec/access-check 5.1, section 8 O). Whoever
    /// makes a token object of the state asks [`TokenState::may_have_as_primary_group`].
    pub fn primary_group(mut self, sid: Sid) -> Self {
        self.primary_group = Some(sid);
        self
    }

    /// Sets the DACL of what the subject creates when nothing else gives one.
    pub fn default_dacl(mut self, acl: Acl) -> Self {
        self.default_dacl = Some(acl);
        self
    }

    /// Adds a restricting SID.
    pub fn restricting(mut self, sid: Sid) -> Self {
        let list = self.restricting.get_or_insert_with(Vec::new);
        list.push(Group::new(sid, GroupAttributes::ALWAYS_ENABLED));
        self
    }

    /// Lets the restricting SIDs count for writing only.
    pub fn write_restricted(mut self) -> Self {
        self.is_write_restricted = true;
        self
    }

    /// Sets the terminal session.
    pub fn session(mut self, session: u32) -> Self {
        self.session = session;
        self
    }

    /// Says which half of an administrator's token this is.
    pub fn elevation(mut self, elevation: Elevation) -> Self {
        self.elevation = elevation;
        self
    }

    /// Confines the token to a package.
    pub fn app_container(mut self, package: Sid) -> Self {
        self.package = Some(package);
        self
    }

    /// Adds a capability of the package.
    pub fn capability(mut self, sid: Sid) -> Self {
        self.capabilities.push(Group::new(sid, GroupAttributes::ENABLED));
        self
    }

    /// Marks the package as less privileged. A local attribute `WIN://NOALLAPPPKG` does the same.
    pub fn less_privileged(mut self) -> Self {
        self.is_lpac = true;
        self
    }

    /// Sets the process trust SID.
    pub fn trust(mut self, sid: Sid) -> Self {
        self.trust = Some(sid);
        self
    }

    /// Adds a claim about the user.
    pub fn user_claim(mut self, claim: Claim) -> Self {
        self.user_claims.push(claim);
        self
    }

    /// Adds a claim about the device.
    pub fn device_claim(mut self, claim: Claim) -> Self {
        self.device_claims.push(claim);
        self
    }

    /// Adds an attribute of the token itself.
    pub fn local_claim(mut self, claim: Claim) -> Self {
        self.local_claims.push(claim);
        self
    }

    /// Adds a group of the device.
    pub fn device_group(mut self, sid: Sid, attributes: GroupAttributes) -> Self {
        self.device_groups.push(Group::new(sid, attributes));
        self
    }

    /// Exempts the token from sandbox policies that do not concern the kernel.
    pub fn sandbox_inert(mut self) -> Self {
        self.is_sandbox_inert = true;
        self
    }

    /// Makes the token state.
    ///
    /// # Errors
    /// - [`BuildError`] naming the parts that contradict each other.
    pub fn build(self) -> Result<TokenState, BuildError> {
        let Some(mandatory_policy) = MandatoryPolicy::from_bits(self.mandatory_policy) else {
            return Err(BuildError::UnknownMandatoryPolicy);
        };
        if self.is_write_restricted && self.restricting.is_none() {
            return Err(BuildError::WriteRestrictedWithoutSids);
        }
        let local_claims = Claims::new(self.local_claims);
        let app_container = match self.package {
            Some(package) => {
                let is_marked = super::state::marks_lpac(&local_claims);
                let capabilities = GroupList::new(self.capabilities);
                Some(AppContainer { package, capabilities, is_lpac: self.is_lpac || is_marked })
            }
            None if self.is_lpac || !self.capabilities.is_empty() => {
                return Err(BuildError::CapabilityWithoutPackage);
            }
            None => None,
        };
        let state = TokenState {
            user: self.user,
            groups: GroupList::new(self.groups),
            restricting: self.restricting.map(GroupList::new),
            is_write_restricted: self.is_write_restricted,
            privileges: self.privileges,
            integrity: self.integrity,
            mandatory_policy,
            default_owner: self.owner.unwrap_or(self.user.sid),
            primary_group: self.primary_group,
            default_dacl: self.default_dacl,
            session: self.session,
            elevation: self.elevation,
            app_container,
            trust: self.trust,
            user_claims: Claims::new(self.user_claims),
            device_claims: Claims::new(self.device_claims),
            local_claims,
            device_groups: GroupList::new(self.device_groups),
            is_filtered: false,
            is_sandbox_inert: self.is_sandbox_inert,
        };
        if self.owner.is_some_and(|owner| owner != state.user.sid && !state.may_own_as(&owner)) {
            return Err(BuildError::OwnerNotInToken);
        }
        Ok(state)
    }
}
