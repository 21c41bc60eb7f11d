//! Counts what each client holds.

use core::fmt;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What one person usually holds: an IPv4 address, or an IPv6 network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// How many things each key holds now; keys that hold nothing are forgotten.
pub struct Tally<K> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

/// One thing held; given back on drop.
pub struct Held<K: Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Clone + Eq + Hash> Tally<K> {
    /// Lets each key hold `most` things.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { counts: Arc::default(), most }
    }

    /// Takes one more for `key`, if it may have one.
    #[must_use]
    pub fn take(&self, key: K) -> Option<Held<K>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        counts.insert(key.clone(), count.saturating_add(1));
        Some(Held { counts: Arc::clone(&self.counts), key })
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.key) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            Some(_) | None => {
                counts.remove(&self.key);
            }
        }
    }
}

impl<K> fmt::Debug for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("most", &self.most).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash> fmt::Debug for Held<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again_and_nothing_is_kept() {
        let tally = Tally::new(2);
        let one = tally.take("alice");
        let two = tally.take("alice");
        assert!(one.is_some() && two.is_some() && tally.take("alice").is_none() && tally.take("bob").is_some());
        drop(one);
        assert!(tally.take("alice").is_some());
        drop(two);
        assert!(tally.counts.lock().unwrap().is_empty());
        assert!(Tally::new(0).take("alice").is_none());
    }
}
