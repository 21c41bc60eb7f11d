//! The state of a token, and what follows from it.

use crate::acl::Acl;
use crate::claim::Claims;
use crate::group::{Group, GroupAttributes, GroupList};
use crate::integrity::IntegrityLevel;
use crate::privilege::{Privilege, PrivilegeSet};
use crate::sid::{Sid, SidRef};
use crate::sid_index::Key;
use crate::token::Builder;
use crate::utf16::{self, Utf16};

bitflags::bitflags! {
    /// What integrity means for a token.
    ///
    /// # NT
    /// `TOKEN_MANDATORY_POLICY`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MandatoryPolicy: u32 {
        /// Objects above the token's level are protected from it.
        const NO_WRITE_UP = 0x1;
        /// New processes get the lower of the token's and the program's level.
        const NEW_PROCESS_MIN = 0x2;
    }
}

bitflags::bitflags! {
    /// Facts that follow from a token's state, in the numbers NT uses.
    ///
    /// They are computed from the state when asked for and stored nowhere, so they cannot be stale.
    ///
    /// # NT
    /// `TOKEN_*` flags of `TokenAccessInformation`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct TokenFlags: u32 {
        /// SeChangeNotifyPrivilege is enabled.
        const HAS_TRAVERSE_PRIVILEGE = 0x1;
        /// SeBackupPrivilege is enabled.
        const HAS_BACKUP_PRIVILEGE = 0x2;
        /// SeRestorePrivilege is enabled.
        const HAS_RESTORE_PRIVILEGE = 0x4;
        /// The restricting SIDs count for writing only.
        const WRITE_RESTRICTED = 0x8;
        /// There is a list of restricting SIDs, perhaps an empty one.
        const IS_RESTRICTED = 0x10;
        /// The token is exempt from sandbox policies that do not concern the kernel.
        const SANDBOX_INERT = 0x40;
        /// SeImpersonatePrivilege is enabled.
        const HAS_IMPERSONATE_PRIVILEGE = 0x80;
        /// The token is the result of filtering.
        const IS_FILTERED = 0x800;
        /// The integrity level is medium or above.
        const NOT_LOW = 0x2000;
        /// The token is an AppContainer's.
        const LOWBOX = 0x4000;
    }
}

/// Which half of an administrator's token this is.
///
/// # NT
/// `TOKEN_ELEVATION_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elevation {
    /// There is no other half.
    Default,
    /// The powerful half.
    Full,
    /// The filtered half.
    Limited,
}

/// The package a token is confined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppContainer {
    pub(crate) package: Sid,
    pub(crate) capabilities: GroupList,
    pub(crate) is_lpac: bool,
}

impl AppContainer {
    /// Returns the package SID.
    #[must_use]
    pub const fn package(&self) -> &Sid {
        &self.package
    }

    /// Returns the capabilities the package holds.
    #[must_use]
    pub fn capabilities(&self) -> &GroupList {
        &self.capabilities
    }

    /// Returns whether the package is less privileged: it does not count as one of all application packages.
    #[must_use]
    pub const fn is_lpac(&self) -> bool {
        self.is_lpac
    }
}

/// Whether a token's own attributes say that its package is less privileged.
pub(crate) fn marks_lpac(local_claims: &Claims) -> bool {
    let marker = utf16::encode("WIN://NOALLAPPPKG");
    Utf16::from_bytes(&marker).is_some_and(|name| local_claims.find(name).is_some())
}

/// Who a subject is, at one moment.
///
/// # NT
/// The parts of an access token that can differ between two tokens of one logon: what
/// `NtQueryInformationToken` shows, without the ids.
///
/// # Examples
/// ```
/// use vicar_nt::token::TokenState;
/// use vicar_nt::{GroupAttributes, well_known};
/// let alice = TokenState::builder(well_known::unix_user(1000))
///     .group(well_known::unix_group(100), GroupAttributes::ALWAYS_ENABLED)
///     .build()
///     .unwrap();
/// assert_eq!(alice.groups().len(), 1);
/// assert!(!alice.is_restricted());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenState {
    pub(crate) user: Group,
    pub(crate) groups: GroupList,
    pub(crate) restricting: Option<GroupList>,
    pub(crate) is_write_restricted: bool,
    pub(crate) privileges: PrivilegeSet,
    pub(crate) integrity: Option<IntegrityLevel>,
    pub(crate) mandatory_policy: MandatoryPolicy,
    pub(crate) default_owner: Sid,
    pub(crate) primary_group: Option<Sid>,
    pub(crate) default_dacl: Option<Acl>,
    pub(crate) session: u32,
    pub(crate) elevation: Elevation,
    pub(crate) app_container: Option<AppContainer>,
    pub(crate) trust: Option<Sid>,
    pub(crate) user_claims: Claims,
    pub(crate) device_claims: Claims,
    pub(crate) local_claims: Claims,
    pub(crate) device_groups: GroupList,
    pub(crate) is_filtered: bool,
    pub(crate) is_sandbox_inert: bool,
}

impl TokenState {
    /// Starts a token for `user`, who counts for allow and deny.
    pub fn builder(user: Sid) -> Builder {
        Builder::new(user)
    }

    /// Returns the user and how it counts.
    #[must_use]
    pub const fn user(&self) -> &Group {
        &self.user
    }

    /// Returns the groups in their given order.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the restricting SIDs; empty also when the token is not restricted, so ask [`Self::is_restricted`].
    #[must_use]
    pub fn restricting_sids(&self) -> &[Group] {
        self.restricting.as_deref().unwrap_or(&[])
    }

    /// Returns whether there is a list of restricting SIDs. An empty list restricts everything.
    ///
    /// # NT
    /// `SeTokenIsRestricted`.
    #[must_use]
    #[doc(alias = "SeTokenIsRestricted")]
    pub const fn is_restricted(&self) -> bool {
        self.restricting.is_some()
    }

    /// Returns whether the restricting SIDs count for writing only.
    ///
    /// # NT
    /// `SeTokenIsWriteRestricted`.
    #[must_use]
    #[doc(alias = "SeTokenIsWriteRestricted")]
    pub const fn is_write_restricted(&self) -> bool {
        self.is_write_restricted
    }

    /// Returns the privileges.
    #[must_use]
    pub const fn privileges(&self) -> PrivilegeSet {
        self.privileges
    }

    /// Returns the integrity level, or `None` when the token carries none.
    #[must_use]
    pub const fn integrity(&self) -> Option<IntegrityLevel> {
        self.integrity
    }

    /// Returns what integrity means for this token.
    #[must_use]
    pub const fn mandatory_policy(&self) -> MandatoryPolicy {
        self.mandatory_policy
    }

    /// Returns who owns what this subject creates.
    #[must_use]
    pub const fn default_owner(&self) -> &Sid {
        &self.default_owner
    }

    /// Returns the group of what this subject creates, if the token has one.
    #[must_use]
    pub const fn primary_group(&self) -> Option<&Sid> {
        self.primary_group.as_ref()
    }

    /// Returns the DACL of what this subject creates when nothing else gives one, if the token has one.
    #[must_use]
    pub const fn default_dacl(&self) -> Option<&Acl> {
        self.default_dacl.as_ref()
    }

    /// Returns the terminal session.
    #[must_use]
    pub const fn session(&self) -> u32 {
        self.session
    }

    /// Returns which half of an administrator's token this is.
    #[must_use]
    pub const fn elevation(&self) -> Elevation {
        self.elevation
    }

    /// Returns the package the token is confined to, if any.
    #[must_use]
    pub const fn app_container(&self) -> Option<&AppContainer> {
        self.app_container.as_ref()
    }

    /// Returns whether the token is confined to a less privileged package.
    #[must_use]
    pub fn is_lpac(&self) -> bool {
        self.app_container.as_ref().is_some_and(AppContainer::is_lpac)
    }

    pub(crate) fn is_marked_lpac(&self) -> bool {
        marks_lpac(&self.local_claims)
    }

    /// Returns the process trust SID, if any.
    #[must_use]
    pub const fn trust(&self) -> Option<&Sid> {
        self.trust.as_ref()
    }

    /// Returns what is claimed about the user.
    #[must_use]
    pub const fn user_claims(&self) -> &Claims {
        &self.user_claims
    }

    /// Returns what is claimed about the device the user came from.
    #[must_use]
    pub const fn device_claims(&self) -> &Claims {
        &self.device_claims
    }

    /// Returns the token's own attributes.
    #[must_use]
    pub const fn local_claims(&self) -> &Claims {
        &self.local_claims
    }

    /// Returns the groups of the device the user came from.
    #[must_use]
    pub fn device_groups(&self) -> &[Group] {
        &self.device_groups
    }

    /// Returns whether the device is an enabled member of `sid`.
    #[must_use]
    pub fn device_counts_for_allow(&self, sid: SidRef<'_>) -> bool {
        self.device_groups.holds(Key::new(sid), GroupAttributes::counts_for_allow)
    }

    /// Returns whether the device is a member of `sid` for deny entries.
    #[must_use]
    pub fn device_counts_for_deny(&self, sid: SidRef<'_>) -> bool {
        self.device_groups.holds(Key::new(sid), GroupAttributes::counts_for_deny)
    }

    /// Returns this state with another process trust SID, or none.
    ///
    /// # NT
    /// What the kernel does when a thread's process is trusted less than the token it takes on.
    #[must_use]
    pub fn with_trust(&self, trust: Option<Sid>) -> Self {
        Self { trust, ..self.clone() }
    }

    /// Returns whether the token is the result of filtering.
    #[must_use]
    pub const fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// Returns whether allow ACEs for `sid` count for this subject.
    ///
    /// # Cost
    /// Does not grow with the number of groups. No allocation.
    #[must_use]
    #[inline]
    pub fn counts_for_allow(&self, sid: SidRef<'_>) -> bool {
        self.allows_key(Key::new(sid))
    }

    #[inline]
    pub(crate) fn allows_key(&self, key: Key<'_>) -> bool {
        (self.user.sid == key.sid() && self.user.attributes.counts_for_allow())
            || self.groups.holds(key, GroupAttributes::counts_for_allow)
    }

    /// Returns whether deny ACEs for `sid` count for this subject; a deny-only SID does.
    ///
    /// # Cost
    /// Does not grow with the number of groups. No allocation.
    #[must_use]
    #[inline]
    pub fn counts_for_deny(&self, sid: SidRef<'_>) -> bool {
        self.denies_key(Key::new(sid))
    }

    #[inline]
    pub(crate) fn denies_key(&self, key: Key<'_>) -> bool {
        (self.user.sid == key.sid() && self.user.attributes.counts_for_deny())
            || self.groups.holds(key, GroupAttributes::counts_for_deny)
    }

    /// Returns whether `sid` is one of the restricting SIDs, for allow and deny alike.
    #[must_use]
    pub fn is_restricting(&self, sid: SidRef<'_>) -> bool {
        self.restricts_key(Key::new(sid))
    }

    pub(crate) fn restricts_key(&self, key: Key<'_>) -> bool {
        self.restricting.as_ref().is_some_and(|list| list.holds(key, |_| true))
    }

    /// Returns whether the token has the enabled local Administrators group.
    ///
    /// # NT
    /// `SeTokenIsAdmin`. A deny-only or disabled membership does not count.
    #[must_use]
    #[doc(alias = "SeTokenIsAdmin")]
    pub fn is_admin(&self) -> bool {
        self.counts_for_allow(crate::well_known::ADMINISTRATORS.as_ref())
    }

    /// Returns whether `sid` may be made an owner by this subject without any privilege.
    #[must_use]
    pub fn may_own_as(&self, sid: &Sid) -> bool {
        let deny_only = GroupAttributes::USE_FOR_DENY_ONLY;
        if self.user.sid == *sid {
            return !self.user.attributes.contains(deny_only);
        }
        let mut found = self.groups.find(sid.as_ref());
        found.any(|group| group.attributes.contains(GroupAttributes::OWNER) && !group.attributes.contains(deny_only))
    }

    /// Computes the facts NT keeps as flag bits.
    #[must_use]
    pub fn flags(&self) -> TokenFlags {
        let mut flags = TokenFlags::empty();
        flags.set(TokenFlags::HAS_TRAVERSE_PRIVILEGE, self.privileges.is_enabled(Privilege::ChangeNotify));
        flags.set(TokenFlags::HAS_BACKUP_PRIVILEGE, self.privileges.is_enabled(Privilege::Backup));
        flags.set(TokenFlags::HAS_RESTORE_PRIVILEGE, self.privileges.is_enabled(Privilege::Restore));
        flags.set(TokenFlags::HAS_IMPERSONATE_PRIVILEGE, self.privileges.is_enabled(Privilege::Impersonate));
        flags.set(TokenFlags::WRITE_RESTRICTED, self.is_write_restricted);
        flags.set(TokenFlags::IS_RESTRICTED, self.is_restricted());
        flags.set(TokenFlags::IS_FILTERED, self.is_filtered);
        flags.set(TokenFlags::SANDBOX_INERT, self.is_sandbox_inert);
        flags.set(TokenFlags::LOWBOX, self.app_container.is_some());
        flags.set(TokenFlags::NOT_LOW, self.integrity.is_some_and(|level| level >= IntegrityLevel::MEDIUM));
        flags
    }

    /// Returns the bytes to charge for a copy of this state, before it is made.
    #[must_use]
    pub fn size_of_copy(&self) -> usize {
        let lists = [
            Some(self.groups.size_of_copy()),
            self.restricting.as_ref().map(GroupList::size_of_copy),
            self.default_dacl.as_ref().map(Acl::size_of_copy),
            Some(self.user_claims.size_of_copy()),
            Some(self.device_claims.size_of_copy()),
            Some(self.local_claims.size_of_copy()),
            Some(self.device_groups.size_of_copy()),
            self.app_container.as_ref().map(|package| package.capabilities.size_of_copy()),
        ];
        lists.into_iter().flatten().fold(size_of::<Self>(), usize::saturating_add)
    }
}
