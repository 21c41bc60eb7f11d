//! Groups of a token.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::sid::{Sid, SidRef};
use crate::sid_index::{Filter, Key, SidIndex};

bitflags::bitflags! {
    /// What a token says about one of its groups.
    ///
    /// # NT
    /// `SE_GROUP_*`.
    ///
    /// # Source
    /// learn.microsoft.com, "SID Attributes in an Access Token".
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct GroupAttributes: u32 {
        /// Cannot be disabled.
        const MANDATORY = 0x1;
        /// Enabled when the token was made.
        const ENABLED_BY_DEFAULT = 0x2;
        /// Counts for allow ACEs and for deny ACEs.
        const ENABLED = 0x4;
        /// May be made the owner of an object.
        const OWNER = 0x8;
        /// Counts for deny ACEs only.
        const USE_FOR_DENY_ONLY = 0x10;
        /// The group is an integrity level.
        const INTEGRITY = 0x20;
        /// The integrity level is in force.
        const INTEGRITY_ENABLED = 0x40;
        /// The group is local to the resource's domain.
        const RESOURCE = 0x2000_0000;
        /// The group stands for the logon session.
        const LOGON_ID = 0xC000_0000;
    }
}

impl GroupAttributes {
    /// What Unix groups have: mandatory, enabled, enabled by default.
    pub const ALWAYS_ENABLED: Self = Self::MANDATORY.union(Self::ENABLED_BY_DEFAULT).union(Self::ENABLED);

    /// Returns whether the group counts for allow ACEs. A deny-only group never does.
    #[must_use]
    pub const fn counts_for_allow(self) -> bool {
        self.contains(Self::ENABLED) && !self.contains(Self::USE_FOR_DENY_ONLY)
    }

    /// Returns whether the group counts for deny ACEs.
    #[must_use]
    pub const fn counts_for_deny(self) -> bool {
        self.intersects(Self::ENABLED.union(Self::USE_FOR_DENY_ONLY))
    }
}

/// A SID of a token, and what the token says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who.
    pub sid: Sid,
    /// In which way.
    pub attributes: GroupAttributes,
}

impl Group {
    /// Names a group and says how it counts.
    #[must_use]
    pub const fn new(sid: Sid, attributes: GroupAttributes) -> Self {
        Self { sid, attributes }
    }
}

/// Groups in their given order, with an index for look-up.
///
/// Copies share the entries and the index. A SID that occurs twice is found twice.
#[derive(Clone, Debug)]
pub struct GroupList {
    entries: Arc<[Group]>,
    index: SidIndex,
}

impl GroupList {
    /// Makes a list and its index. Entries beyond `u32::MAX` cannot exist: they would not fit in memory.
    #[must_use]
    pub fn new(entries: Vec<Group>) -> Self {
        let index = SidIndex::new(entries.iter().map(|group| &group.sid));
        Self { entries: entries.into(), index }
    }

    /// Finds the entries with this SID; usually none or one.
    ///
    /// # Cost
    /// Does not grow with the list, unless SIDs were chosen to collide: then with the logarithm of their number.
    pub fn find<'a>(&'a self, sid: SidRef<'a>) -> impl Iterator<Item = &'a Group> {
        self.find_key(Key::new(sid))
    }

    #[inline]
    fn find_key<'a>(&'a self, key: Key<'a>) -> impl Iterator<Item = &'a Group> {
        self.index.find(key, &self.entries, |group| &group.sid)
    }

    /// Returns what says which SIDs no entry has, for these and one more.
    #[inline]
    pub(crate) fn filter(&self, also: Key<'_>) -> Filter<'_> {
        self.index.filter(also)
    }

    /// Returns whether an entry with this SID has attributes of a kind.
    #[inline]
    pub(crate) fn holds(&self, key: Key<'_>, counts: impl Fn(GroupAttributes) -> bool) -> bool {
        !self.index.surely_lacks(key) && self.finds(key, counts)
    }

    #[inline(never)]
    fn finds(&self, key: Key<'_>, counts: impl Fn(GroupAttributes) -> bool) -> bool {
        self.find_key(key).any(|group| counts(group.attributes))
    }

    /// Returns the bytes a copy of this list needs.
    #[must_use]
    pub fn size_of_copy(&self) -> usize {
        size_of_val::<[Group]>(&self.entries).saturating_add(self.index.size_of_copy())
    }
}

impl Deref for GroupList {
    type Target = [Group];
    fn deref(&self) -> &[Group] {
        &self.entries
    }
}
impl PartialEq for GroupList {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}
impl Eq for GroupList {}
impl FromIterator<Group> for GroupList {
    fn from_iter<I: IntoIterator<Item = Group>>(groups: I) -> Self {
        Self::new(groups.into_iter().collect())
    }
}
