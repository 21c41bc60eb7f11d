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

/// What an entry says whose type has a mask and a SID and nothing else.
#[derive(Clone, Copy)]
pub(crate) struct PlainParts<'a> {
    pub(crate) mask: RequestedMask,
    pub(crate) sid: SidRef<'a>,
}

impl<'a> WholeAce<'a> {
    #[inline]
    pub(crate) const fn kind(self) -> AceKind {
        match self.bytes {
            [number, ..] => AceKind::from_number(*number),
            [] => AceKind::Unknown(u8::MAX),
        }
    }

    /// Whether the entry takes part in evaluations of its object.
    #[inline]
    pub(crate) const fn is_effective(self) -> bool {
        match self.bytes {
            [_, flags, ..] => *flags & AceFlags::INHERIT_ONLY.bits() == 0,
            _ => false,
        }
    }

    /// Reads mask and SID, which must follow each other directly, as they do in plain allow and deny entries.
    #[inline]
    pub(crate) fn plain_parts(self) -> Option<PlainParts<'a>> {
        let [_, _, _, _, a, b, c, d, sid @ ..] = self.bytes else { return None };
        let mask = RequestedMask(u32::from_le_bytes([*a, *b, *c, *d]));
        plain_sid(sid).map(|(sid, _)| PlainParts { mask, sid })
    }

    /// Takes the entry apart. Validation did the same, so this cannot fail.
    #[inline]
    pub(crate) fn read(self) -> Option<Ace<'a>> {
        Ace::parse(self.bytes).ok().map(|(ace, _)| ace)
    }
}

/// Splits a SID from the front of `bytes`, or returns `None` when there is none.
#[inline]
fn plain_sid(bytes: &[u8]) -> Option<(SidRef<'_>, &[u8])> {
    let [1, count @ 0..=15, ..] = bytes else { return None };
    let (sid, rest) = bytes.split_at_checked(usize::from(*count).wrapping_mul(4).wrapping_add(8))?;
    Some((SidRef::validated(sid), rest))
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
