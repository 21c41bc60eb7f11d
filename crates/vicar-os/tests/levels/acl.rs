//! Permission bits and ACLs, written as the kernel stores them.

use rustix::fs::XattrFlags;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

/// What one entry of an ACL is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    User(u32),
    Group(u32),
}

/// Owner, group, permission bits, and entries for others. With entries the group bits of the mode are the mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) owner_bits: u16,
    pub(crate) group_bits: u16,
    pub(crate) other_bits: u16,
    pub(crate) mask: u16,
    pub(crate) entries: Vec<(Tag, u16)>,
}

impl Security {
    /// Gives it to a file that is there.
    pub(crate) fn put_on(&self, path: &Path) {
        chown(path, Some(self.owner), Some(self.group)).unwrap();
        let mode = self.owner_bits << 6 | self.group_bits << 3 | self.other_bits;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(u32::from(mode))).unwrap();
        if self.entries.is_empty() {
            return;
        }
        const NONE: u32 = u32::MAX;
        let mut lines = vec![(0x01_u16, self.owner_bits, NONE), (0x04, self.group_bits, NONE)];
        lines.extend(self.entries.iter().map(|(tag, bits)| match *tag {
            Tag::User(id) => (0x02, *bits, id),
            Tag::Group(id) => (0x08, *bits, id),
        }));
        lines.extend([(0x10, self.mask, NONE), (0x20, self.other_bits, NONE)]);
        lines.sort_by_key(|(tag, _, id)| (*tag, *id));
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, bits, id) in lines {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&bits.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        rustix::fs::setxattr(path, "system.posix_acl_access", &bytes, XattrFlags::empty()).unwrap();
    }
}

/// Numbers that look random and are the same every time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u32::try_from(self.0 >> 33).unwrap() % limit
    }

    pub(crate) fn bits(&mut self) -> u16 {
        u16::try_from(self.below(8)).unwrap()
    }

    /// Something about the users and groups that tests use.
    pub(crate) fn security(&mut self) -> Security {
        let mut security = Security {
            owner: 61_001 + self.below(3),
            group: 61_300 + self.below(3),
            owner_bits: self.bits(),
            group_bits: self.bits(),
            other_bits: self.bits(),
            mask: 7,
            entries: Vec::new(),
        };
        if self.below(2) == 0 {
            security.mask = self.bits();
            for id in 61_001..61_004 {
                if self.below(3) == 0 {
                    security.entries.push((Tag::User(id), self.bits()));
                }
            }
            for id in 61_300..61_304 {
                if self.below(3) == 0 {
                    security.entries.push((Tag::Group(id), self.bits()));
                }
            }
        }
        security
    }
}
