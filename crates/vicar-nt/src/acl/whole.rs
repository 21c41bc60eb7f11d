//! Entries of a validated list, found but not taken apart.

use crate::acl::{Ace, AceFlags, AceKind};
use crate::mask::RequestedMask;
use crate::sid::SidRef;

/// One entry of a validated ACL. Whoever only looks for some types, or reads a list of plain entries, takes nothing
/// apart that it does not need.
#[derive(Clone, Copy)]
pub(crate) struct WholeAce<'a> {
    bytes: &'a [u8],
}

/// An allow or deny entry that is about the object itself and has no condition.
#[derive(Clone, Copy)]
pub(crate) struct PlainAce<'a> {
    /// Type, flags, size, mask, and the first eight bytes of the SID.
    front: &'a [u8; 16],
    bytes: &'a [u8],
}

impl<'a> PlainAce<'a> {
    #[inline]
    pub(crate) const fn kind(self) -> AceKind {
        match self.front {
            [0, ..] => AceKind::Allow,
            [_, ..] => AceKind::Deny,
        }
    }

    /// Whether the entry takes part in evaluations of its object.
    #[inline]
    pub(crate) const fn is_effective(self) -> bool {
        let [_, flags, ..] = self.front;
        *flags & AceFlags::INHERIT_ONLY.bits() == 0
    }

    #[inline]
    pub(crate) const fn mask(self) -> RequestedMask {
        let [_, _, _, _, a, b, c, d, ..] = self.front;
        RequestedMask(u32::from_le_bytes([*a, *b, *c, *d]))
    }

    /// Whether the SID has one sub-authority.
    #[inline]
    pub(crate) const fn has_short_sid(self) -> bool {
        let [_, _, _, _, _, _, _, _, _, count, ..] = self.front;
        *count == 1
    }

    /// The SID. Validation saw that it fits.
    #[inline]
    pub(crate) fn sid(self) -> Option<SidRef<'a>> {
        let [_, _, _, _, _, _, _, _, _, count @ 0..=15, ..] = self.front else { return None };
        self.bytes.get(8..usize::from(*count).wrapping_mul(4).wrapping_add(16)).map(SidRef::validated)
    }
}

impl<'a> WholeAce<'a> {
    /// The number of the type.
    #[inline]
    const fn number(self) -> u8 {
        match self.bytes {
            [number, ..] => *number,
            [] => u8::MAX,
        }
    }

    #[inline]
    pub(crate) const fn kind(self) -> AceKind {
        AceKind::from_number(self.number())
    }

    /// Whether the entry takes part in evaluations of its object.
    #[inline]
    pub(crate) const fn is_effective(self) -> bool {
        match self.bytes {
            [_, flags, ..] => *flags & AceFlags::INHERIT_ONLY.bits() == 0,
            _ => false,
        }
    }

    /// Looks at an entry that is about the object itself and has no condition. Everything else is for
    /// [`read`](Self::read).
    #[inline]
    pub(crate) fn plain(self) -> Option<PlainAce<'a>> {
        let front = self.bytes.first_chunk::<16>()?;
        matches!(front, [0..=1, ..]).then_some(PlainAce { front, bytes: self.bytes })
    }

    /// Takes the entry apart. Validation did the same, so this cannot fail.
    #[inline]
    pub(crate) fn read(self) -> Option<Ace<'a>> {
        Ace::parse(self.bytes).ok().map(|(ace, _)| ace)
    }
}

/// Measures an entry at the front of `bytes` if it is one of a type with a mask and a SID, and valid. Everything else
/// is for the reader that can say what is wrong.
#[inline]
pub(super) fn plain_len(bytes: &[u8]) -> Option<usize> {
    let [0..=3, _, low, high, _, _, _, _, 1, count @ 0..=15, ..] = bytes else { return None };
    let size = usize::from(u16::from_le_bytes([*low, *high]));
    let needed = usize::from(*count).wrapping_mul(4).wrapping_add(16);
    (size.is_multiple_of(4) && size >= needed && size <= bytes.len()).then_some(size)
}

/// The entries of a validated ACL with their numbers, in stored order, not taken apart.
#[derive(Clone)]
pub(crate) struct WholeAces<'a> {
    pub(super) rest: &'a [u8],
    pub(super) at: u16,
    pub(super) count: u16,
}

impl<'a> Iterator for WholeAces<'a> {
    type Item = (u16, WholeAce<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u16, WholeAce<'a>)> {
        let at = self.at;
        if at >= self.count {
            return None;
        }
        let [_, _, low, high, ..] = self.rest else { return None };
        let size = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        self.at = at.wrapping_add(1);
        Some((at, WholeAce { bytes }))
    }
}
