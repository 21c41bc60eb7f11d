//! Who somebody is to the Linux kernel: a user id, a group id and the supplementary groups.

use core::fmt;

/// A user id that is safe to hand to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelUid(u32);

impl KernelUid {
    /// Returns `None` for `u32::MAX`, which system calls read as "do not change".
    ///
    /// # Source
    /// setresuid(2).
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        if raw == u32::MAX { None } else { Some(Self(raw)) }
    }

    /// Returns the number as system calls take it.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether this is user 0, which no client may map to unless the administrator named it.
    #[must_use]
    pub const fn is_root(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for KernelUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A group id that is safe to hand to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelGid(u32);

impl KernelGid {
    /// Returns `None` for `u32::MAX`, which system calls read as "do not change".
    ///
    /// # Source
    /// setresgid(2).
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        if raw == u32::MAX { None } else { Some(Self(raw)) }
    }

    /// Returns the number as system calls take it.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether this is group 0.
    #[must_use]
    pub const fn is_root(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for KernelGid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a set of ids is not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// More groups than the kernel keeps for one thread; dropping one could grant what was denied to it.
    TooManyGroups {
        /// How many distinct groups were given, the primary group included.
        count: usize,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyGroups { count } => {
                write!(f, "group count {count} exceeds {}", UnixIdentity::MAX_GROUPS)
            }
        }
    }
}

impl core::error::Error for IdentityError {}

/// Everything the kernel looks at to know whose request this is.
///
/// The supplementary groups are sorted, unique and always contain the primary group: a file that denies its own group
/// denies it to whoever has that group as the primary one too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UnixIdentity {
    uid: KernelUid,
    gid: KernelGid,
    groups: Box<[KernelGid]>,
}

impl UnixIdentity {
    /// Most groups the kernel keeps for one thread (NGROUPS_MAX).
    pub const MAX_GROUPS: usize = 65_536;

    /// Builds an identity from ids in any order.
    ///
    /// # Inputs
    /// - `groups`: supplementary groups; duplicates are folded, `gid` is added.
    ///
    /// # Errors
    /// - [`IdentityError::TooManyGroups`] when more than [`Self::MAX_GROUPS`] distinct groups remain.
    ///
    /// # Source
    /// credentials(7), setgroups(2).
    pub fn new(
        uid: KernelUid,
        gid: KernelGid,
        groups: impl IntoIterator<Item = KernelGid>,
    ) -> Result<Self, IdentityError> {
        let mut groups: Vec<KernelGid> = groups.into_iter().chain(core::iter::once(gid)).collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.len() > Self::MAX_GROUPS {
            return Err(IdentityError::TooManyGroups { count: groups.len() });
        }
        Ok(Self { uid, gid, groups: groups.into_boxed_slice() })
    }

    /// The user id.
    #[must_use]
    pub const fn uid(&self) -> KernelUid {
        self.uid
    }

    /// The primary group id; new files belong to it unless the directory says otherwise.
    #[must_use]
    pub const fn gid(&self) -> KernelGid {
        self.gid
    }

    /// The supplementary groups: sorted, unique, the primary group among them.
    #[must_use]
    pub fn groups(&self) -> &[KernelGid] {
        &self.groups
    }
}

impl fmt::Debug for UnixIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for UnixIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} gid {} groups ", self.uid, self.gid)?;
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gids(raw: &[u32]) -> Vec<KernelGid> {
        raw.iter().map(|&raw| KernelGid::new(raw).unwrap()).collect()
    }

    #[test]
    fn minus_one_is_no_id() {
        assert_eq!(KernelUid::new(u32::MAX), None);
        assert_eq!(KernelGid::new(u32::MAX), None);
        assert_eq!(KernelUid::new(4_000_000_000).map(KernelUid::raw), Some(4_000_000_000));
    }

    #[test]
    fn groups_are_a_sorted_set_with_the_primary_group() {
        let identity =
            UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(7).unwrap(), gids(&[9, 3, 9, 3]))
                .unwrap();
        assert_eq!(identity.groups(), gids(&[3, 7, 9]));
        assert_eq!(identity.to_string(), "uid 61001 gid 7 groups 3,7,9");
    }

    #[test]
    fn no_group_list_is_ever_cut_or_padded() {
        for count in [0_u32, 1, 1023, 1024, 1025, 65_535] {
            let list: Vec<u32> = (10..10 + count).collect();
            let identity =
                UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(5).unwrap(), gids(&list)).unwrap();
            assert_eq!(identity.groups().len(), usize::try_from(count).unwrap() + 1);
            assert!(!identity.groups().iter().any(|group| group.is_root()));
        }
        let list: Vec<u32> = (10..10 + 65_536).collect();
        assert_eq!(
            UnixIdentity::new(KernelUid::new(61_001).unwrap(), KernelGid::new(5).unwrap(), gids(&list)),
            Err(IdentityError::TooManyGroups { count: 65_537 })
        );
    }
}
