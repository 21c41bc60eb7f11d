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

/// What an allow or deny entry says that is about the object itself and has no condition.
#[derive(Clone, Copy)]
pub(crate) struct PlainParts<'a> {
    pub(crate) is_allow: bool,
    pub(crate) mask: RequestedMask,
    pub(crate) sid: SidRef<'a>,
}

impl<'a> WholeAce<'a> {
    /// The number of the type.
    #[inline]
    pub(crate) const fn number(self) -> u8 {
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

    /// Reads mask and SID of an entry that is about the object itself and has no condition. Everything else is for
    /// [`read`](Self::read).
    #[inline]
    pub(crate) fn plain_parts(self) -> Option<PlainParts<'a>> {
        let [number @ 0..=1, _, _, _, a, b, c, d, sid @ ..] = self.bytes else { return None };
        let [1, count @ 0..=15, ..] = sid else { return None };
        Some(PlainParts {
            is_allow: *number == 0,
            mask: RequestedMask(u32::from_le_bytes([*a, *b, *c, *d])),
            sid: SidRef::validated(sid.get(..usize::from(*count).wrapping_mul(4).wrapping_add(8))?),
        })
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

/// The entries of a validated ACL, in stored order, not taken apart.
#[derive(Clone)]
pub(crate) struct WholeAces<'a> {
    pub(super) rest: &'a [u8],
    pub(super) left: u16,
}

impl<'a> Iterator for WholeAces<'a> {
    type Item = WholeAce<'a>;

    #[inline]
    fn next(&mut self) -> Option<WholeAce<'a>> {
        self.left = self.left.checked_sub(1)?;
        let [_, _, low, high, ..] = self.rest else { return None };
        let size = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(WholeAce { bytes })
    }
}
