//! Credentials that were verified a moment ago.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A keyed hash of user, password and service. The key lives as long as the process and is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

/// Makes keys.
pub(super) struct Keyed(Hmac<Sha256>);

impl Keyed {
    /// Draws a random key; `None` when the system has no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0_u8; 32];
        getrandom::fill(&mut key).ok()?;
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    /// Hashes the parts, each with its length in front, so that no two triples run together.
    pub(super) fn key(&self, parts: [&str; 3]) -> Key {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part.as_bytes());
        }
        Key(mac.finalize().into_bytes().into())
    }
}

/// A bounded map whose entries end by themselves.
pub(super) struct Cache<K, V> {
    entries: Mutex<HashMap<K, (V, Instant)>>,
    lifetime: Duration,
    capacity: usize,
}

impl<K: Copy + Eq + std::hash::Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(lifetime: Duration, capacity: usize) -> Self {
        Self { entries: Mutex::default(), lifetime, capacity }
    }

    /// What is known and has not ended at `now`.
    pub(super) fn find(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    /// Remembers a value; when there is no room, what ends first makes room.
    pub(super) fn insert(&self, key: K, value: V, now: Instant) {
        let Some(until) = now.checked_add(self.lifetime) else { return };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.capacity && !entries.contains_key(&key) {
            entries.retain(|_, (_, until)| now < *until);
            if entries.len() >= self.capacity {
                let first = entries.iter().min_by_key(|(_, (_, until))| *until).map(|(key, _)| *key);
                if let Some(first) = first {
                    entries.remove(&first);
                }
            }
        }
        entries.insert(key, (value, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_and_the_map_stays_small() {
        let cache = Cache::new(Duration::from_secs(60), 3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (key, seconds) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
            cache.insert(key, key * 10, at(seconds));
        }
        assert_eq!([1, 2, 3, 4].map(|key| cache.find(&key, at(4))), [None, Some(20), Some(30), Some(40)]);
        assert_eq!(cache.find(&2, at(61)), None);
        assert_eq!(cache.find(&3, at(61)), Some(30));
        cache.insert(5, 50, at(100));
        assert_eq!(cache.entries.lock().unwrap().len(), 1);
    }

    #[test]
    fn keys_differ_by_every_part_and_by_process() {
        let keyed = Keyed::new().unwrap();
        let base = keyed.key(["alice", "secret", "vicar"]);
        assert!(base == keyed.key(["alice", "secret", "vicar"]));
        for parts in
            [["alic", "esecret", "vicar"], ["alice", "secre", "tvicar"], ["alice", "secret", "login"], ["", "", ""]]
        {
            assert!(base != keyed.key(parts), "{parts:?}");
        }
        assert!(base != Keyed::new().unwrap().key(["alice", "secret", "vicar"]));
    }
}
