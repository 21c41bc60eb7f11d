//! Finding a SID among many: which entries of a list have it.
//!
//! A table of buckets over positions in somebody else's list, behind a filter of bits: most SIDs that a list is asked for
//! are not in it, and nearly all of those cost one look at one word. Bit and bucket of a SID follow from its first and last
//! eight bytes, which tell the SIDs of one domain apart. Whoever makes many SIDs fall into one bucket gains nothing: a
//! bucket is sorted, and a long one is searched by halves.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::sid::{Sid, SidRef};

/// A SID and what the tables go by, computed once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    sid: SidRef<'a>,
    hash: u64,
}

impl<'a> Key<'a> {
    #[inline]
    pub(crate) fn new(sid: SidRef<'a>) -> Self {
        Self { sid, hash: hash(sid) }
    }

    #[inline]
    pub(crate) const fn sid(self) -> SidRef<'a> {
        self.sid
    }
}

/// Says which SIDs a list surely has not, and one more beside those it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a> {
    /// At least one; a power of two of them.
    words: &'a [u64],
    /// How far a hash is shifted to become the number of a bit.
    shift: u32,
    /// The hash of the one more.
    also: u64,
}

impl Filter<'_> {
    /// Of nothing it is sure.
    pub(crate) const UNSURE: Filter<'static> = Filter { words: &[u64::MAX], shift: 58, also: 0 };

    /// Returns whether it takes no search to know that this SID is none of them.
    #[inline]
    pub(crate) fn surely_lacks(self, key: Key<'_>) -> bool {
        let (word, bit) = place(key.hash, self.shift);
        key.hash != self.also && self.words.get(word).is_none_or(|word| word & bit == 0)
    }
}

/// The positions of SIDs in a list, by SID.
#[derive(Clone, Debug)]
pub(crate) struct SidIndex {
    /// A bit for each SID, and some more. At least one word; a power of two of them.
    filter: Arc<[u64]>,
    /// How far a hash is shifted to become the number of a bit.
    filter_shift: u32,
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
/// Bits of the filter for each entry, at least: of the SIDs that are not there, one in thirty is searched for.
const BITS_EACH: usize = 32;
/// Bits of the filter, at least: a short list costs next to nothing, and is what most tokens have.
const BITS: usize = 2048;

impl SidIndex {
    /// Makes the index of a list, given the SIDs of its entries in order. A SID may occur more than once.
    pub(crate) fn new<'s>(sids: impl Iterator<Item = &'s Sid> + Clone) -> Self {
        let count = sids.clone().count();
        let shift_for = |many: usize| u64::BITS.saturating_sub(many.next_power_of_two().trailing_zeros());
        let filter_shift = shift_for(count.saturating_mul(BITS_EACH).max(BITS));
        let mut filter = vec![0u64; shifted(u64::MAX, filter_shift).saturating_add(1) / 64];
        for sid in sids.clone() {
            let (word, bit) = place(hash(sid.as_ref()), filter_shift);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
        }
        let shift = shift_for(count.max(2));
        let mut sorted: Vec<(usize, u64, SidRef<'s>, u32)> = (0u32..)
            .zip(sids)
            .map(|(at, sid)| (shifted(hash(sid.as_ref()), shift), sid.as_ref().tail(), sid.as_ref(), at))
            .collect();
        sorted.sort_by(|a, b| (a.0, a.1, a.2.as_bytes(), a.3).cmp(&(b.0, b.1, b.2.as_bytes(), b.3)));
        let mut starts = vec![0u32; shifted(u64::MAX, shift).saturating_add(2)];
        for (number, start) in starts.iter_mut().enumerate() {
            let before = sorted.partition_point(|(bucket, ..)| *bucket < number);
            *start = u32::try_from(before).unwrap_or(u32::MAX);
        }
        let slots = sorted.iter().map(|&(_, tail, _, at)| Slot { tail, at });
        Self { filter: filter.into(), filter_shift, shift, starts: starts.into(), slots: slots.collect() }
    }

    /// Returns whether it takes no search to know that no entry has this SID.
    #[inline]
    pub(crate) fn surely_lacks(&self, key: Key<'_>) -> bool {
        let (word, bit) = place(key.hash, self.filter_shift);
        self.filter.get(word).is_none_or(|word| word & bit == 0)
    }

    /// Returns what says which SIDs no entry has, for these and one more.
    #[inline]
    pub(crate) fn filter(&self, also: Key<'_>) -> Filter<'_> {
        Filter { words: &self.filter, shift: self.filter_shift, also: also.hash }
    }

    /// Returns the positions of the entries that have this SID, in order; `list` holds the entries, `sid_of` says which SID
    /// one has.
    #[inline]
    pub(crate) fn find<'a, T>(
        &'a self,
        key: Key<'a>,
        list: &'a [T],
        sid_of: fn(&T) -> &Sid,
    ) -> impl Iterator<Item = &'a T> {
        let tail = key.sid.tail();
        let slots = self.candidates(key, tail, list, sid_of);
        slots.iter().filter(move |slot| slot.tail == tail).filter_map(move |slot| {
            let entry = list.get(usize::try_from(slot.at).ok()?)?;
            (*sid_of(entry) == key.sid).then_some(entry)
        })
    }

    #[inline]
    fn candidates<T>(&self, key: Key<'_>, tail: u64, list: &[T], sid_of: fn(&T) -> &Sid) -> &[Slot] {
        let number = shifted(key.hash, self.shift);
        let Some([start, end, ..]) = self.starts.get(number..) else { return &[] };
        let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end)) else { return &[] };
        match self.slots.get(start..end) {
            Some(slots) if slots.len() <= SHORT => slots,
            Some(slots) => narrowed(slots, key.sid, tail, list, sid_of),
            None => &[],
        }
    }

    /// Returns the bytes a copy of this index needs.
    pub(crate) fn size_of_copy(&self) -> usize {
        let buckets = size_of_val::<[u32]>(&self.starts).saturating_add(size_of_val::<[Slot]>(&self.slots));
        size_of_val::<[u64]>(&self.filter).saturating_add(buckets)
    }
}

#[cold]
fn narrowed<'a, T>(slots: &'a [Slot], sid: SidRef<'_>, tail: u64, list: &[T], sid_of: fn(&T) -> &Sid) -> &'a [Slot] {
    let bytes_of =
        |slot: &Slot| usize::try_from(slot.at).ok().and_then(|at| list.get(at)).map(|entry| sid_of(entry).as_bytes());
    let wanted = (tail, Some(sid.as_bytes()));
    let start = slots.partition_point(|slot| (slot.tail, bytes_of(slot)) < wanted);
    let rest = slots.get(start..).unwrap_or(&[]);
    let len = rest.partition_point(|slot| (slot.tail, bytes_of(slot)) == wanted);
    rest.get(..len).unwrap_or(&[])
}

/// The high bits of a product depend on every bit of the factor; only they are used.
#[inline]
fn hash(sid: SidRef<'_>) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    (sid.head().rotate_left(29) ^ sid.tail()).wrapping_mul(ODD)
}

#[inline]
fn shifted(hash: u64, shift: u32) -> usize {
    usize::try_from(hash.wrapping_shr(shift)).unwrap_or(usize::MAX)
}

/// Which word of the filter, and which bit of the word.
#[inline]
fn place(hash: u64, shift: u32) -> (usize, u64) {
    let number = hash.wrapping_shr(shift);
    (usize::try_from(number / 64).unwrap_or(usize::MAX), 1u64.rotate_left(u32::try_from(number & 63).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &[Sid], sid: &Sid) -> Vec<usize> {
        let numbered: Vec<(usize, Sid)> = list.iter().copied().enumerate().collect();
        let index = SidIndex::new(list.iter());
        let key = Key::new(sid.as_ref());
        let found: Vec<usize> = index.find(key, &numbered, |(_, sid)| sid).map(|(at, _)| *at).collect();
        assert!(found.is_empty() || !index.surely_lacks(key));
        let other = Key::new(crate::well_known::EVERYONE.as_ref());
        assert_eq!(index.filter(other).surely_lacks(key), index.surely_lacks(key));
        assert!(!index.filter(key).surely_lacks(key) && !Filter::UNSURE.surely_lacks(key));
        found
    }

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        let sid = |n: u32| Sid::new(5, &[21, 1, 2, 3, n]).unwrap();
        let list: Vec<Sid> = (0..500).map(|n| sid(n * 3)).collect();
        for n in 0..1500 {
            let expected: Vec<usize> = (n % 3 == 0).then_some(usize::try_from(n / 3).unwrap()).into_iter().collect();
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
