//! Whom the queue knows: subjects that somebody trustworthy has registered, by numbers nobody can guess.

use crate::UnixIdentity;
use core::fmt;
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A number that stands for one signed-in subject at the queue. 128 random bits: it cannot be guessed, and says nothing.
///
/// Whoever holds it can have done what the subject's privileges allow, so it is shown nowhere, logs included.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubjectNumber([u8; 16]);

impl SubjectNumber {
    /// Draws a number.
    pub(crate) fn draw() -> Result<Self, Errno> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = bytes.get_mut(filled..).unwrap_or_default();
            match rustix::rand::getrandom(rest, GetRandomFlags::empty()) {
                Ok(count) => filled = filled.saturating_add(count),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(Self(bytes))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for SubjectNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectNumber(..)")
    }
}

/// The subjects that are registered now: bounded in number and in time.
pub(super) struct Subjects {
    known: HashMap<SubjectNumber, (UnixIdentity, Option<Instant>)>,
    order: VecDeque<SubjectNumber>,
    most: usize,
    most_of_one: usize,
    lifetime: Duration,
}

impl Subjects {
    pub(super) fn new(most: usize, most_of_one: usize, lifetime: Duration) -> Self {
        let (most, most_of_one) = (most.max(1), most_of_one.max(1));
        Self { known: HashMap::new(), order: VecDeque::new(), most, most_of_one, lifetime }
    }

    /// Registers a subject; the oldest ones make room: its own user's when that has as many as it may, else anybody's.
    pub(super) fn register(&mut self, number: SubjectNumber, identity: UnixIdentity, now: Instant) {
        // A number that is there already is left as it is: it could only have been chosen to be.
        if self.known.contains_key(&number) {
            return;
        }
        self.order.retain(|number| self.known.contains_key(number));
        let is_own =
            |number: &SubjectNumber| self.known.get(number).is_some_and(|(known, _)| known.uid() == identity.uid());
        let own: Vec<SubjectNumber> = self.order.iter().copied().filter(is_own).collect();
        let spare = own.len().saturating_add(1).saturating_sub(self.most_of_one);
        for number in own.into_iter().take(spare) {
            self.known.remove(&number);
        }
        self.order.retain(|number| self.known.contains_key(number));
        while self.known.len() >= self.most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.known.remove(&oldest);
        }
        self.order.push_back(number);
        self.known.insert(number, (identity, now.checked_add(self.lifetime)));
    }

    pub(super) fn forget(&mut self, number: SubjectNumber) {
        self.known.remove(&number);
    }

    /// Who has this number now.
    pub(super) fn find(&mut self, number: SubjectNumber, now: Instant) -> Option<&UnixIdentity> {
        let ended = self.known.get(&number)?.1.is_some_and(|end| end <= now);
        if ended {
            self.known.remove(&number);
        }
        self.known.get(&number).map(|(identity, _)| identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelGid, KernelUid};

    fn somebody(uid: u32) -> UnixIdentity {
        UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(uid).unwrap(), []).unwrap()
    }

    #[test]
    fn subjects_are_bounded_end_and_are_not_replaced() {
        let mut subjects = Subjects::new(3, 9, Duration::from_secs(60));
        let now = Instant::now();
        let number = |which| SubjectNumber::from_bytes([which; 16]);
        for which in 1..=4 {
            subjects.register(number(which), somebody(61_000 + u32::from(which)), now);
        }
        assert_eq!(subjects.find(number(1), now), None, "the oldest made room");
        assert_eq!(subjects.find(number(4), now), Some(&somebody(61_004)));
        subjects.register(number(4), somebody(61_009), now);
        assert_eq!(subjects.find(number(4), now), Some(&somebody(61_004)));
        subjects.forget(number(3));
        assert_eq!(subjects.find(number(3), now), None);
        let later = now + Duration::from_secs(60);
        assert_eq!(subjects.find(number(4), later), None);
        for which in 5..200 {
            subjects.register(number(which), somebody(61_005), later);
            assert!(subjects.known.len() <= 3 && subjects.order.len() <= 4);
        }
    }

    #[test]
    fn who_signs_in_often_makes_room_for_itself() {
        let mut subjects = Subjects::new(100, 3, Duration::from_secs(60));
        let now = Instant::now();
        let number = |which| SubjectNumber::from_bytes([which; 16]);
        subjects.register(number(0), somebody(61_002), now);
        for which in 1..=200 {
            subjects.register(number(which), somebody(61_001), now);
        }
        assert_eq!(subjects.find(number(0), now), Some(&somebody(61_002)));
        let left: Vec<u8> = (1..=200).filter(|which| subjects.find(number(*which), now).is_some()).collect();
        assert_eq!(left, [198, 199, 200]);
        assert!(subjects.order.len() <= 5);
    }

    #[test]
    fn numbers_differ_and_are_not_shown() {
        let (one, other) = (SubjectNumber::draw().unwrap(), SubjectNumber::draw().unwrap());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "SubjectNumber(..)");
    }
}
