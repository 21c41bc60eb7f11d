//! Access lists in their callers' memory: where the entries stand, and what a change writes.
//!
//! Nothing here follows a pointer. A list is looked at as bytes; a change is bytes, and where they go.

use vicar_nt::acl::{Ace, AceFlags, AceKind, AclRef};
use vicar_nt::{RequestedMask, Sid};

/// Bytes of the head of a list.
pub(crate) const HEAD: usize = 8;

/// A well-formed list, measured.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    bytes: &'a [u8],
    acl: AclRef<'a>,
    used: usize,
}

/// What is written into a list to change it: a new head, and everything behind some byte.
pub(super) struct Change {
    pub(super) head: [u8; HEAD],
    pub(super) at: usize,
    pub(super) tail: Vec<u8>,
}

/// Why an entry does not get into a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl<'a> List<'a> {
    /// Measures a list; `None` when it or an entry of it is malformed.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (acl, _) = AclRef::parse(bytes).ok()?;
        let used = acl.aces().fold(HEAD, |used, ace| used.saturating_add(ace.as_bytes().len()));
        Some(Self { bytes: acl.as_bytes(), acl, used })
    }

    pub(super) fn revision(self) -> u8 {
        self.acl.revision()
    }

    /// The first byte behind the entries; the size of the list when they fill it.
    pub(super) fn used(self) -> usize {
        self.used
    }

    pub(super) fn is_full(self) -> bool {
        self.used >= self.bytes.len()
    }

    /// The first byte of an entry.
    pub(super) fn start_of(self, index: u32) -> Option<usize> {
        let index = usize::try_from(index).ok().filter(|index| *index < usize::from(self.acl.count()))?;
        Some(self.acl.aces().take(index).fold(HEAD, |at, ace| at.saturating_add(ace.as_bytes().len())))
    }

    /// Puts whole entries before the `index`-th, or behind the last one.
    pub(super) fn insert(self, index: u32, entries: &[u8], count: u16, revision: u8) -> Result<Change, NoRoom> {
        let at = self.start_of(index).unwrap_or(self.used);
        let used = self.used.checked_add(entries.len()).filter(|used| *used <= self.bytes.len()).ok_or(NoRoom)?;
        let count = self.acl.count().checked_add(count).ok_or(NoRoom)?;
        let moved = self.bytes.get(at..self.used).unwrap_or(&[]);
        let mut tail = Vec::with_capacity(used.saturating_sub(at));
        tail.extend_from_slice(entries);
        tail.extend_from_slice(moved);
        Ok(Change { head: self.head(revision.max(self.revision()), count), at, tail })
    }

    /// Takes an entry out; what it leaves behind the others is zeroed.
    pub(super) fn remove(self, index: u32) -> Option<Change> {
        let at = self.start_of(index)?;
        let (entry, _) = Ace::parse(self.bytes.get(at..)?).ok()?;
        let len = entry.as_bytes().len();
        let mut tail = self.bytes.get(at.checked_add(len)?..self.used)?.to_vec();
        tail.resize(tail.len().checked_add(len)?, 0);
        Some(Change { head: self.head(self.revision(), self.acl.count().checked_sub(1)?), at, tail })
    }

    /// The head with another revision and count; the other bytes stay as they are.
    fn head(self, revision: u8, count: u16) -> [u8; HEAD] {
        let [_, pad, size_low, size_high, _, _, tail_low, tail_high] =
            self.bytes.first_chunk().copied().unwrap_or_default();
        let [count_low, count_high] = count.to_le_bytes();
        [revision, pad, size_low, size_high, count_low, count_high, tail_low, tail_high]
    }
}

/// Encodes an entry of a type that has a mask and a SID.
pub(super) fn plain(kind: AceKind, flags: AceFlags, mask: RequestedMask, sid: &Sid) -> Vec<u8> {
    let len = sid.as_bytes().len().saturating_add(8);
    // A SID has at most 68 bytes.
    let [low, high] = u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes();
    let mut ace = Vec::with_capacity(len);
    ace.extend_from_slice(&[kind.number(), flags.bits(), low, high]);
    ace.extend_from_slice(&mask.0.to_le_bytes());
    ace.extend_from_slice(sid.as_bytes());
    ace
}

/// Counts the entries that fill `bytes`, and says the lowest revision that holds them; `None` when they are malformed.
pub(super) fn entries(bytes: &[u8]) -> Option<(u16, u8)> {
    let (mut rest, mut count, mut revision) = (bytes, 0_u16, 2_u8);
    while !rest.is_empty() {
        let (ace, behind) = Ace::parse(rest).ok()?;
        let needed = if ace.kind().has_object_types() {
            4
        } else if ace.kind() == AceKind::AllowCompound {
            3
        } else {
            2
        };
        (rest, count, revision) = (behind, count.checked_add(1)?, revision.max(needed));
    }
    Some((count, revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vicar_nt::well_known::{ADMINISTRATORS, EVERYONE};

    fn list(len: usize) -> Vec<u8> {
        let mut bytes = vec![0xCC; len];
        bytes[..HEAD].copy_from_slice(&[2, 0, u8::try_from(len).unwrap(), 0, 0, 0, 0, 0]);
        bytes
    }

    fn apply(bytes: &mut [u8], change: &Change) {
        bytes[..HEAD].copy_from_slice(&change.head);
        bytes[change.at..][..change.tail.len()].copy_from_slice(&change.tail);
    }

    #[test]
    fn entries_move_for_one_before_them_and_close_up_behind_one_that_goes() {
        let mut bytes = list(64);
        let everyone = plain(AceKind::Allow, AceFlags::empty(), RequestedMask(1), &EVERYONE);
        let admins = plain(AceKind::Deny, AceFlags::empty(), RequestedMask(2), &ADMINISTRATORS);
        for (index, ace) in [(u32::MAX, &everyone), (0, &admins)] {
            let change = List::parse(&bytes).unwrap().insert(index, ace, 1, 2).unwrap();
            apply(&mut bytes, &change);
        }
        assert_eq!(&bytes[8..32], admins);
        assert_eq!(&bytes[32..52], everyone);
        let change = List::parse(&bytes).unwrap().remove(0).unwrap();
        apply(&mut bytes, &change);
        assert_eq!(&bytes[8..28], everyone);
        assert_eq!(List::parse(&bytes).unwrap().used(), 28);
        assert!(List::parse(&bytes).unwrap().remove(1).is_none());
    }

    #[test]
    fn an_entry_that_does_not_fit_changes_nothing() {
        let bytes = list(24);
        let everyone = plain(AceKind::Allow, AceFlags::empty(), RequestedMask(1), &EVERYONE);
        assert_eq!(List::parse(&bytes).unwrap().insert(u32::MAX, &everyone, 1, 2).err(), Some(NoRoom));
        assert!(List::parse(&list(28)).unwrap().insert(u32::MAX, &everyone, 1, 2).is_ok());
    }

    #[test]
    fn entries_must_fill_their_bytes() {
        let everyone = plain(AceKind::Allow, AceFlags::empty(), RequestedMask(1), &EVERYONE);
        assert_eq!(entries(&everyone), Some((1, 2)));
        assert_eq!(entries(&everyone[..16]), None);
        assert_eq!(entries(&[&everyone[..], &[0; 4]].concat()), None);
        assert_eq!(entries(&[]), Some((0, 2)));
    }
}
