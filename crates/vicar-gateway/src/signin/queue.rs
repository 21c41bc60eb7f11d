//! Whose password is checked next.
//!
//! Each address has a line of its own and the lines take turns, so whoever comes first from an address waits for one
//! check of each other address and not for all of theirs. When everything is full, room for a newcomer is made at the end
//! of the longest line: one address alone may use the whole queue, and no few addresses can keep another out.

use core::fmt;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Who stands in one line: an address, or all that have none.
pub(super) type Origin = Option<IpAddr>;

/// The lines.
#[derive(Clone)]
pub(super) struct Queue {
    state: Arc<Mutex<State>>,
    /// Most that are there, at work or waiting.
    most: usize,
}

struct State {
    /// Turns that nobody has; if there is one, nobody waits.
    free: usize,
    /// Turns that somebody has.
    taken: usize,
    lines: HashMap<Origin, VecDeque<oneshot::Sender<Turn>>>,
    /// The lines that are not empty, the next one first.
    order: VecDeque<Origin>,
}

/// The right to check one password; the next in the queue has it on drop.
pub(super) struct Turn(Option<Queue>);

impl Queue {
    /// Gives `parallel` turns at a time to at most `most`, at work or waiting.
    pub(super) fn new(parallel: usize, most: usize) -> Self {
        let state = State { free: parallel, taken: 0, lines: HashMap::new(), order: VecDeque::new() };
        Self { state: Arc::new(Mutex::new(state)), most }
    }

    /// Waits for a turn; `None` when there is no room, or none any more.
    pub(super) async fn turn(&self, origin: Origin) -> Option<Turn> {
        let receiver = match self.lock().enter(origin, self.most)? {
            Entered::Served => return Some(Turn(Some(self.clone()))),
            Entered::Waiting(receiver) => receiver,
        };
        receiver.await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a turn on.
    fn pass(&self) {
        let mut state = self.lock();
        while let Some(next) = state.next() {
            match next.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // Whoever waited is gone. Its turn must not be given on from here by its own drop.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
        state.taken = state.taken.saturating_sub(1);
        state.free = state.free.saturating_add(1);
    }
}

enum Entered {
    Served,
    Waiting(oneshot::Receiver<Turn>),
}

impl State {
    fn enter(&mut self, origin: Origin, most: usize) -> Option<Entered> {
        if self.is_full(most) {
            self.forget_the_gone();
        }
        if self.is_full(most) {
            self.make_room(origin)?;
        }
        if let Some(free) = self.free.checked_sub(1) {
            self.free = free;
            self.taken = self.taken.saturating_add(1);
            return Some(Entered::Served);
        }
        let (sender, receiver) = oneshot::channel();
        let line = self.lines.entry(origin).or_default();
        if line.is_empty() {
            self.order.push_back(origin);
        }
        line.push_back(sender);
        Some(Entered::Waiting(receiver))
    }

    fn is_full(&self, most: usize) -> bool {
        self.lines.values().fold(self.taken, |sum, line| sum.saturating_add(line.len())) >= most
    }

    fn forget_the_gone(&mut self) {
        self.lines.retain(|_, line| {
            line.retain(|waiting| !waiting.is_closed());
            !line.is_empty()
        });
        let lines = &self.lines;
        self.order.retain(|origin| lines.contains_key(origin));
    }

    /// Sends away the last of the longest line, if that line stays at least as long as the newcomer's then is.
    fn make_room(&mut self, origin: Origin) -> Option<()> {
        let own = self.lines.get(&origin).map_or(0, VecDeque::len);
        let longest = self.lines.values_mut().max_by_key(|line| line.len())?;
        if longest.len() <= own.saturating_add(1) {
            return None;
        }
        longest.pop_back().map(drop)
    }

    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let origin = self.order.pop_front()?;
        let line = self.lines.get_mut(&origin)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&origin);
        } else {
            self.order.push_back(origin);
        }
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.pass();
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::Future;
    use core::pin::Pin;
    use core::task::{Context, Poll, Waker};

    type Waiting<'a> = Pin<Box<dyn Future<Output = Option<Turn>> + 'a>>;

    fn from(queue: &Queue, last: u8) -> Waiting<'_> {
        Box::pin(queue.turn(Some(IpAddr::from([192, 0, 2, last]))))
    }

    /// `None` while it waits; `Some(None)` when it was sent away.
    fn look(waiting: &mut Waiting<'_>) -> Option<Option<Turn>> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn lines_take_turns() {
        let queue = Queue::new(1, 100);
        let turn = look(&mut from(&queue, 1)).unwrap().unwrap();
        let mut crowd: Vec<_> = (0..20).map(|_| from(&queue, 1)).collect();
        assert!(crowd.iter_mut().all(|waiting| look(waiting).is_none()));
        let mut other = from(&queue, 2);
        assert!(look(&mut other).is_none());
        drop(turn);
        let second = look(&mut crowd[0]).unwrap().unwrap();
        assert!(look(&mut other).is_none());
        drop(second);
        let third = look(&mut other).unwrap().unwrap();
        assert!(look(&mut crowd[1]).is_none());
        drop(third);
        assert!(look(&mut crowd[1]).is_some_and(|turn| turn.is_some()));
    }

    #[test]
    fn two_addresses_that_fill_the_queue_keep_no_third_out() {
        let queue = Queue::new(4, 68);
        let mut crowd: Vec<_> = (0..200).map(|index| from(&queue, index % 2)).collect();
        let looks: Vec<_> = crowd.iter_mut().map(look).collect();
        let count = |wanted: fn(&Option<Option<Turn>>) -> bool| looks.iter().filter(|look| wanted(look)).count();
        assert_eq!(count(|look| matches!(look, Some(Some(_)))), 4);
        assert_eq!(count(Option::is_none), 64);
        let mut good = from(&queue, 9);
        assert!(look(&mut good).is_none(), "it waits");
        drop(looks);
        let mut turns = 0;
        while turns < 5 && look(&mut good).is_none() {
            for waiting in &mut crowd[4..68] {
                turns += 1;
                drop(look(waiting));
            }
        }
        drop(crowd);
        assert!(look(&mut from(&queue, 9)).is_some_and(|turn| turn.is_some()), "everything was given back");
    }

    #[test]
    fn whoever_goes_away_makes_room_and_loses_no_turn() {
        let queue = Queue::new(1, 3);
        let turn = look(&mut from(&queue, 1)).unwrap().unwrap();
        let (mut one, mut two) = (from(&queue, 1), from(&queue, 2));
        assert!(look(&mut one).is_none() && look(&mut two).is_none());
        assert!(look(&mut from(&queue, 3)).is_some_and(|turn| turn.is_none()), "full, and no line is longer");
        drop(one);
        let mut three = from(&queue, 3);
        assert!(look(&mut three).is_none());
        drop(turn);
        // It was given the turn and never took it.
        drop(two);
        assert!(look(&mut three).is_some_and(|turn| turn.is_some()));
    }
}
