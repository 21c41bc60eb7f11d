//! Numbers that follow from a seed, and the permissions that are made of them.

/// SplitMix64: the same seed, the same numbers.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// Permission bits, of which those for owner, group and others are all likely.
    pub(crate) fn mode(&mut self) -> u32 {
        const LIKELY: [u32; 12] = [0o755, 0o777, 0o700, 0o750, 0o770, 0o644, 0o600, 0o640, 0o604, 0o000, 0o070, 0o007];
        if self.once_in(3) { self.below(0o1000) } else { LIKELY[self.index(LIKELY.len())] }
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u32::try_from(len).unwrap())).unwrap()
    }

    /// A POSIX ACL as its extended attribute has it: version 2, then tag, permissions and id of each entry.
    pub(crate) fn acl(&mut self, users: &[u32], groups: &[u32]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0];
        let mut entry = |tag: u16, permissions: u32, id: u32| {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&u16::try_from(permissions & 7).unwrap().to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        };
        entry(0x01, self.below(8), u32::MAX);
        for user in users.iter().filter(|_| self.once_in(3)).copied().collect::<Vec<_>>() {
            entry(0x02, self.below(8), user);
        }
        entry(0x04, self.below(8), u32::MAX);
        for group in groups.iter().filter(|_| self.once_in(3)).copied().collect::<Vec<_>>() {
            entry(0x08, self.below(8), group);
        }
        entry(0x10, self.below(8), u32::MAX);
        entry(0x20, self.below(8), u32::MAX);
        bytes
    }
}
