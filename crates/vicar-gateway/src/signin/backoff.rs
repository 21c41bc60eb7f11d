//! How long the answer to a wrong password is held back.
//!
//! Only refusals wait: a good credential is answered at once however many wrong ones came before it, so that nobody can
//! lock anybody out. A guesser waits per user name and per address, whichever is longer.

use crate::limit::network;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first refusals of a spell are free: people mistype.
const FREE: u32 = 2;
/// Delay of the first refusal that is not free; each further one doubles it.
const FIRST: Duration = Duration::from_millis(250);
/// Longest delay.
const LONGEST: Duration = Duration::from_secs(8);
/// A spell is over when nothing was refused for this long.
const SPELL: Duration = Duration::from_secs(600);
/// Most names and most addresses that are remembered.
const CAPACITY: usize = 8_192;

/// Counts refusals by user name and by address.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    users: Mutex<Spells<Arc<str>>>,
    addresses: Mutex<Spells<IpAddr>>,
}

impl BackOff {
    /// Counts one refusal and says how long its answer is held back.
    pub(super) fn refused(&self, user: &Arc<str>, address: Option<IpAddr>, now: Instant) -> Duration {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let by_user = users.count(Arc::clone(user), now);
        drop(users);
        let by_address = address.map_or(0, |address| {
            self.addresses.lock().unwrap_or_else(PoisonError::into_inner).count(network(address), now)
        });
        delay(by_user.max(by_address))
    }
}

fn delay(count: u32) -> Duration {
    match count.checked_sub(FREE) {
        None | Some(0) => Duration::ZERO,
        Some(over) => FIRST.saturating_mul(1_u32.checked_shl(over.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST),
    }
}

#[derive(Debug)]
struct Spells<K> {
    states: HashMap<K, (u32, Instant)>,
    capacity: usize,
}

impl<K> Default for Spells<K> {
    fn default() -> Self {
        Self { states: HashMap::new(), capacity: CAPACITY }
    }
}

impl<K: Clone + Eq + Hash> Spells<K> {
    fn count(&mut self, key: K, now: Instant) -> u32 {
        let is_over = |last: Instant| now.saturating_duration_since(last) > SPELL;
        if self.states.len() >= self.capacity && !self.states.contains_key(&key) {
            self.states.retain(|_, (_, last)| !is_over(*last));
            if self.states.len() >= self.capacity {
                // The lightest goes: a flood of made-up names must not make us forget the one being guessed at.
                let lightest = self.states.iter().min_by_key(|(_, state)| **state).map(|(key, _)| key.clone());
                if let Some(lightest) = lightest {
                    self.states.remove(&lightest);
                }
            }
        }
        let state = self.states.entry(key).or_insert((0, now));
        if is_over(state.1) {
            state.0 = 0;
        }
        state.0 = state.0.saturating_add(1);
        state.1 = now;
        state.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_a_limit_and_a_quiet_spell_forgives() {
        let back_off = BackOff::default();
        let start = Instant::now();
        let address = "192.0.2.1".parse().ok();
        let delays: Vec<u128> =
            (0..10).map(|_| back_off.refused(&"alice".into(), address, start).as_millis()).collect();
        assert_eq!(delays, [0, 0, 250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        assert_eq!(back_off.refused(&"alice".into(), None, start + SPELL + Duration::from_secs(1)), Duration::ZERO);
    }

    #[test]
    fn the_user_and_the_address_count_apart() {
        let back_off = BackOff::default();
        let now = Instant::now();
        let (one, two) = ("2001:db8::1".parse().ok(), "2001:db8:0:0:ffff::2".parse().ok());
        let _ = back_off.refused(&"a".into(), one, now);
        let _ = back_off.refused(&"b".into(), two, now);
        assert_eq!(back_off.refused(&"c".into(), one, now), FIRST);
        let elsewhere = "2001:db8:0:1::1".parse().ok();
        assert_eq!(back_off.refused(&"d".into(), elsewhere, now), Duration::ZERO);
        assert_eq!(back_off.refused(&"a".into(), elsewhere, now), Duration::ZERO);
        assert_eq!(back_off.refused(&"a".into(), None, now), FIRST);
    }

    #[test]
    fn a_flood_of_names_forgets_the_lightest_first() {
        let mut spells = Spells { states: HashMap::new(), capacity: 64 };
        let now = Instant::now();
        for _ in 0..5 {
            let _ = spells.count(u32::MAX, now);
        }
        for name in 0..2_000_u32 {
            let _ = spells.count(name, now);
            assert!(spells.states.len() <= 64);
        }
        assert_eq!(spells.count(u32::MAX, now), 6);
    }
}
