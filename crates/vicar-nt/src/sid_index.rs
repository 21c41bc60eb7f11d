//! Finding a SID among many: which entries of a list have it.
//!
//! A table of buckets over positions in somebody else's list. The bucket of a SID follows from its first and last eight
//! bytes, which tell the SIDs of one domain apart. Whoever makes many SIDs fall into one bucket gains nothing: a bucket is
//! sorted, and a long one is searched by halves.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::sid::{Sid, SidRef};

/// The positions of SIDs in a list, by SID.
#[derive(Clone, Debug)]
pub(crate) struct SidIndex {
    /// How far a hash is shifted to become the number of a bucket.
    shift: u32,
    /// Where each bucket begins in `slots`, and where the last one ends.
    starts: Arc<[u32]>,
    /// By bucket; within a bucket by the last bytes of the SID, then by the whole SID, then by position.
    slots: Arc<[Slot]>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    tail: u64,
    at: u32,
}

/// A bucket up to this long is read from end to end.
const SHORT: usize = 8;

impl SidIndex {
    /// Makes the index of a list, given the SIDs of its entries in order. A SID may occur more than once.
    pub(crate) fn new<'s>(sids: impl Iterator<Item = &'s Sid> + Clone) -> Self {
        let count = sids.clone().count();
        // Twice as many buckets as entries: most of those that are asked for and not there end at an empty bucket.
        let bits = count.saturating_mul(2).max(2).next_power_of_two().trailing_zeros();
        let shift = u64::BITS.saturating_sub(bits);
        let mut sorted: Vec<(usize, u64, SidRef<'s>, u32)> = (0u32..)
            .zip(sids)
            .map(|(at, sid)| (bucket(sid.as_ref(), shift), sid.as_ref().tail(), sid.as_ref(), at))
            .collect();
        sorted.sort_by(|a, b| (a.0, a.1, a.2.as_bytes(), a.3).cmp(&(b.0, b.1, b.2.as_bytes(), b.3)));
        let mut starts = vec![0u32; 1usize.checked_shl(bits).unwrap_or(2).saturating_add(1)];
        for (number, start) in starts.iter_mut().enumerate() {
            let before = sorted.partition_point(|(bucket, ..)| *bucket < number);
            *start = u32::try_from(before).unwrap_or(u32::MAX);
        }
        let slots = sorted.iter().map(|&(_, tail, _, at)| Slot { tail, at });
        Self { shift, starts: starts.into(), slots: slots.collect() }
    }

    /// Returns the positions of the entries that have this SID, in order; `sid_at` says which SID stands at a position.
    #[inline]
    pub(crate) fn find<'a, F>(&'a self, sid: SidRef<'a>, sid_at: F) -> impl Iterator<Item = usize> + 'a
    where
        F: Fn(usize) -> Option<&'a Sid> + 'a,
    {
        let tail = sid.tail();
        let slots = self.candidates(sid, tail, &sid_at);
        slots.iter().filter(move |slot| slot.tail == tail).filter_map(move |slot| {
            let at = usize::try_from(slot.at).ok()?;
            (*sid_at(at)? == sid).then_some(at)
        })
    }

    #[inline]
    fn candidates<'a>(&'a self, sid: SidRef<'_>, tail: u64, sid_at: &dyn Fn(usize) -> Option<&'a Sid>) -> &'a [Slot] {
        let number = bucket(sid, self.shift);
        let Some([start, end, ..]) = self.starts.get(number..) else { return &[] };
        let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end)) else { return &[] };
        match self.slots.get(start..end) {
            Some(slots) if slots.len() <= SHORT => slots,
            Some(slots) => narrowed(slots, sid, tail, sid_at),
            None => &[],
        }
    }

    /// Returns the bytes a copy of this index needs.
    pub(crate) fn size_of_copy(&self) -> usize {
        size_of_val::<[u32]>(&self.starts).saturating_add(size_of_val::<[Slot]>(&self.slots))
    }
}

#[cold]
fn narrowed<'a>(
    slots: &'a [Slot],
    sid: SidRef<'_>,
    tail: u64,
    sid_at: &dyn Fn(usize) -> Option<&'a Sid>,
) -> &'a [Slot] {
    let bytes_of = |slot: &Slot| usize::try_from(slot.at).ok().and_then(sid_at).map(Sid::as_bytes);
    let wanted = (tail, Some(sid.as_bytes()));
    let start = slots.partition_point(|slot| (slot.tail, bytes_of(slot)) < wanted);
    let rest = slots.get(start..).unwrap_or(&[]);
    let len = rest.partition_point(|slot| (slot.tail, bytes_of(slot)) == wanted);
    rest.get(..len).unwrap_or(&[])
}

/// The bucket of a SID: the high bits of a product depend on every bit of the factor.
#[inline]
fn bucket(sid: SidRef<'_>, shift: u32) -> usize {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = (sid.head().rotate_left(29) ^ sid.tail()).wrapping_mul(ODD);
    usize::try_from(mixed.wrapping_shr(shift)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[Sid], sid: &Sid) -> Vec<usize> {
        SidIndex::new(list.iter()).find(sid.as_ref(), |at| list.get(at)).collect()
    }

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        let sid = |n: u32| Sid::new(5, &[21, 1, 2, 3, n]).unwrap();
        let list: Vec<Sid> = (0..500).map(|n| sid(n * 3)).collect();
        for n in 0..1500 {
            let expected: Vec<usize> = (n % 3 == 0).then_some((n / 3) as usize).into_iter().collect();
            assert_eq!(found(&list, &sid(n)), expected);
        }
        assert_eq!(found(&[], &sid(1)), []);
        assert_eq!(found(&[sid(1), sid(2), sid(1)], &sid(1)), [0, 2]);
    }

    #[test]
    fn one_bucket_for_all_is_searched_by_halves() {
        // Same first and last eight bytes: all fall into one bucket.
        let sid = |n: u32| Sid::new(5, &[21, n, 2, 3, 1000]).unwrap();
        let mut list: Vec<Sid> = (0..500).map(sid).collect();
        list.push(sid(7));
        assert_eq!(found(&list, &sid(7)), [7, 500]);
        assert_eq!(found(&list, &sid(499)), [499]);
        assert_eq!(found(&list, &sid(501)), []);
    }

    #[test]
    fn short_sids_have_a_bucket_too() {
        let list = [Sid::new(1, &[]).unwrap(), Sid::new(1, &[0]).unwrap()];
        assert_eq!(found(&list, &list[0]), [0]);
        assert_eq!(found(&list, &list[1]), [1]);
    }
}
