//! A descriptor that a check was about, kept to know it again.
//!
//! Callers change their descriptors between checks, free them, and put others in their place, so an address says nothing.
//! What is kept is used again only for the same bytes, all of them compared at every check; that costs less than validating
//! them anew.

use std::ffi::c_void;

use vicar_nt::NtStatus;
use vicar_nt::descriptor::{Descriptor, DescriptorRef};

use crate::entry::Call;
use crate::ptr;

/// A descriptor in one block that was valid, and what has to be looked at before it may be compared as a whole.
#[derive(Debug)]
pub(crate) struct Known {
    descriptor: Descriptor,
    head: [u8; 4],
    offsets: [u8; 16],
    /// Where SIDs and lists stand, and the bytes there that say how long they are.
    sids: [Option<(usize, [u8; 2])>; 2],
    lists: [Option<(usize, [u8; 4])>; 2],
}

impl Known {
    /// Validates a descriptor.
    ///
    /// # Errors
    /// - `STATUS_INVALID_SECURITY_DESCR` when it is malformed.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, NtStatus> {
        const WRONG: NtStatus = NtStatus::INVALID_SECURITY_DESCR;
        fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
            bytes.get(offset..)?.first_chunk().copied()
        }
        let descriptor = Descriptor::parse(bytes).map_err(|_| WRONG)?;
        let [_, _, low, high] = at(bytes, 0).ok_or(WRONG)?;
        let control = u16::from_le_bytes([low, high]);
        let offset = |place: usize, is_present: bool| {
            let offset = usize::try_from(u32::from_le_bytes(at(bytes, place)?)).ok()?;
            (is_present && offset != 0).then_some(offset)
        };
        let sid = |place: usize| offset(place, true).and_then(|offset| Some((offset, at(bytes, offset)?)));
        let list = |place: usize, bit: u16| {
            offset(place, control & bit != 0).and_then(|offset| Some((offset, at(bytes, offset)?)))
        };
        Ok(Self {
            head: at(bytes, 0).ok_or(WRONG)?,
            offsets: at(bytes, 4).ok_or(WRONG)?,
            sids: [sid(4), sid(8)],
            lists: [list(12, ptr::SE_SACL_PRESENT), list(16, ptr::SE_DACL_PRESENT)],
            descriptor,
        })
    }

    /// Returns the descriptor.
    #[inline]
    pub(crate) fn descriptor(&self) -> DescriptorRef<'_> {
        self.descriptor.as_ref()
    }

    /// Returns whether what the caller has now is byte for byte this descriptor, in one block.
    ///
    /// No more is read than [`ptr::descriptor`] would: what says how long a part is comes before the part.
    #[inline]
    pub(crate) fn is_still(&self, call: &Call, from: *const c_void) -> bool {
        let valid = self.descriptor.as_bytes();
        ptr::read::<u32>(from.cast()) == Some(u32::from_ne_bytes(self.head))
            && ptr::read::<u128>(from.wrapping_byte_add(4).cast()) == Some(u128::from_ne_bytes(self.offsets))
            && self.sids.iter().flatten().all(|&(offset, length)| {
                ptr::read::<u16>(from.wrapping_byte_add(offset).cast()) == Some(u16::from_ne_bytes(length))
            })
            && self.lists.iter().flatten().all(|&(offset, length)| {
                ptr::read::<u32>(from.wrapping_byte_add(offset).cast()) == Some(u32::from_ne_bytes(length))
            })
            && ptr::bytes(call, from, valid.len()).is_some_and(|whole| is_equal(whole, valid))
    }
}

/// Compares blocks of some tens of bytes, for which a call would cost as much as the comparison.
#[inline]
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differs = |one: &[u8; 8], other: &[u8; 8]| u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other);
    // What is left over is compared again with some of what is not.
    let (Some(one_end), Some(other_end)) = (one.last_chunk(), other.last_chunk()) else { return one == other };
    let (ones, others) = (one.as_chunks().0.iter(), other.as_chunks().0.iter());
    one.len() == other.len()
        && ones.zip(others).fold(differs(one_end, other_end), |sum, (one, other)| sum | differs(one, other)) == 0
}
