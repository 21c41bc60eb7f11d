//! Weaker copies of tokens.

use std::sync::Arc;

use vicar_nt::group::Group;
use vicar_nt::token::{Filter, FilterFlags, PackageReach, TokenState};
use vicar_nt::{NtStatus, Sid};

use super::{Blueprint, Snapshot, Token, TokenRef};
use crate::policy::Profile;

/// Reads the flags of `NtFilterToken` as a generation of Windows understands them.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when a bit means nothing to it.
///
/// # Source
/// CreateRestrictedToken (page): the LUA flag and the present number of the write-restricted flag came with Vista, XP SP2 had
/// the latter as 0x4.
pub const fn parse_filter_flags(profile: Profile, raw: u32) -> Result<FilterFlags, NtStatus> {
    let known = match (profile, raw) {
        (Profile::V0, 0x4..) => None,
        (Profile::V1, 0x8..) => None,
        (Profile::V1, 0x4..=0x7) => match FilterFlags::from_bits(raw ^ 0x4) {
            Some(flags) => Some(flags.union(FilterFlags::WRITE_RESTRICTED)),
            None => None,
        },
        (Profile::V0 | Profile::V1 | Profile::V2 | Profile::V3 | Profile::V4, _) => FilterFlags::from_bits(raw),
    };
    match known {
        Some(flags) => Ok(flags),
        None => Err(NtStatus::INVALID_PARAMETER),
    }
}

impl TokenRef {
    /// Makes a weaker copy: SIDs for deny only, privileges removed, restricting SIDs added.
    ///
    /// The copy has the type and level of this token and its logon session, and names it as its parent. It is modified from
    /// the start: its ModifiedId is new.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when a restricting SID has attributes, or the copy is to be write-restricted and has no
    ///   restricting SIDs.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # NT
    /// `SeFilterToken`. A primary token is accepted: Microsoft's page says both.
    ///
    /// # Source
    /// SeFilterToken, CreateRestrictedToken (pages); spec/nt-impersonation 2.14.
    #[doc(alias = "SeFilterToken")]
    #[doc(alias = "NtFilterToken")]
    #[doc(alias = "ZwFilterToken")]
    #[doc(alias = "CreateRestrictedToken")]
    #[track_caller]
    pub fn filter(&self, filter: &Filter<'_>) -> Result<Self, NtStatus> {
        let source = self.state();
        let more = filter.restrict.len().saturating_mul(size_of::<Group>());
        let charge = Token::charge_with(self.system(), source.state(), more)?;
        let state = source.state().filter_by(filter, self.system().policy().readings)?;
        Ok(self.child(charge, state))
    }

    /// Makes a copy that is confined to a package.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when the token is confined already, or a SID is not that of a package or a capability.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # NT
    /// `NtCreateLowBoxToken`, without its list of handles.
    ///
    /// # Source
    /// SECURITY_CAPABILITIES (page); spec/nt-impersonation 1.11.
    #[doc(alias = "NtCreateLowBoxToken")]
    #[track_caller]
    pub fn confine(&self, package: Sid, capabilities: &[Sid], reach: PackageReach) -> Result<Self, NtStatus> {
        let source = self.state();
        let more = capabilities.len().saturating_mul(size_of::<Group>());
        let charge = Token::charge_with(self.system(), source.state(), more)?;
        let state = source.state().with_app_container(package, capabilities, reach)?;
        Ok(self.child(charge, state))
    }

    /// Puts a token with this state together that is a child of this one.
    #[track_caller]
    fn child(&self, charge: crate::pool::Charge, state: TokenState) -> Self {
        let system = self.system();
        let snapshot = Snapshot::new(system.next_number(), system.allocate_luid(), self.origin(), state);
        let blueprint = Blueprint {
            parent_id: self.id(),
            source: self.source(),
            kind: self.kind(),
            snapshot: Arc::new(snapshot),
            descriptor: None,
        };
        Token::assemble(system, self.hold.again(), charge, blueprint)
    }

    /// Returns whether this token was filtered from `parent`, or from the same token as it in the same logon session.
    ///
    /// # Source
    /// spec/nt-impersonation 1.11, 2.23 (assigning a primary token without the privilege).
    pub fn is_child_or_sibling_of(&self, parent: &Self) -> bool {
        let is_child = self.parent_id() == parent.id();
        let is_sibling = self.parent_id() != vicar_nt::Luid::ZERO
            && self.parent_id() == parent.parent_id()
            && self.authentication_id() == parent.authentication_id();
        is_child || is_sibling
    }
}
