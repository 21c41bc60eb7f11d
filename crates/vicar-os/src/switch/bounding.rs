//! The capability bounding set: what no program that this process executes can ever hold.

use rustix::io::Errno;
use rustix::thread::CapabilitySet;

/// Every capability that this kernel knows, one at a time: the first number it does not know ends the list.
pub(super) fn known_capabilities() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS)
        .filter_map(|bit| 1_u64.checked_shl(bit))
        .map(CapabilitySet::from_bits_retain)
        .take_while(|&capability| rustix::thread::capability_is_in_bounding_set(capability).is_ok())
}

/// Takes everything but `kept` out of the calling thread's bounding set, for good.
///
/// # Errors
/// - `EPERM` without CAP_SETPCAP.
///
/// # Source
/// prctl(2) PR_CAPBSET_DROP, capabilities(7).
pub(super) fn cut_to(kept: CapabilitySet) -> Result<(), Errno> {
    known_capabilities()
        .filter(|&capability| !kept.contains(capability))
        .try_for_each(rustix::thread::remove_capability_from_bounding_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_is_kept_stays() {
        crate::testing::passes_alone("switch::bounding::tests::nothing_but_what_is_kept_stays", || {
            let count = known_capabilities().count();
            assert!((38..64).contains(&count), "{count}");
            let bounding = || {
                known_capabilities()
                    .filter(|&capability| rustix::thread::capability_is_in_bounding_set(capability) == Ok(true))
                    .fold(CapabilitySet::empty(), CapabilitySet::union)
            };
            let (before, kept) = (bounding(), CapabilitySet::SETUID | CapabilitySet::KILL);
            cut_to(kept).unwrap();
            assert_eq!(bounding(), before & kept);
            assert_eq!(known_capabilities().count(), count, "a number that is gone is known still");
            cut_to(CapabilitySet::empty()).unwrap();
            assert_eq!(cut_to(CapabilitySet::empty()), Ok(()));
        });
    }
}
