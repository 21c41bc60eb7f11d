//! Which client thread does which job next: a pure state machine, driven under one lock.
//!
//! A job goes to a thread that already holds its client, else to one that holds nobody, else to the one that has been
//! idle longest. One client never has more than its share of the threads, and clients with waiting jobs take turns.

use std::collections::{HashMap, VecDeque};

/// How many jobs of its client a thread may take in a row while others wait.
const STREAK: u32 = 16;

/// The limits of a schedule; all at least 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) threads: usize,
    pub(super) per_client: usize,
    pub(super) queued_per_client: usize,
}

#[derive(Debug)]
struct Client<J> {
    running: usize,
    waiting: VecDeque<J>,
}

/// Jobs waiting and threads idle. `J` is a job, a client is named by its uid.
#[derive(Debug)]
pub(super) struct Schedule<J> {
    limits: Limits,
    clients: HashMap<u32, Client<J>>,
    /// Clients with waiting jobs, in the order of their turns.
    turns: VecDeque<u32>,
    /// Idle threads, longest idle first, with the client each holds.
    idle: VecDeque<(usize, Option<u32>)>,
    streak: HashMap<usize, u32>,
}

/// What becomes of a new job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed<J> {
    /// This idle thread is to do it now.
    On(usize, J),
    /// It waits for its turn.
    Waits,
    /// Its client has too many waiting already.
    Full(J),
}

impl<J> Schedule<J> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, clients: HashMap::new(), turns: VecDeque::new(), idle: VecDeque::new(), streak: HashMap::new() }
    }

    /// Places a new job.
    pub(super) fn submit(&mut self, client: u32, job: J) -> Placed<J> {
        let limits = self.limits;
        let entry = self.clients.entry(client).or_insert_with(|| Client { running: 0, waiting: VecDeque::new() });
        if entry.running < limits.per_client
            && entry.waiting.is_empty()
            && let Some(thread) = take_idle(&mut self.idle, client)
        {
            entry.running = entry.running.saturating_add(1);
            self.streak.insert(thread, 0);
            return Placed::On(thread, job);
        }
        if entry.waiting.len() >= limits.queued_per_client {
            return Placed::Full(job);
        }
        entry.waiting.push_back(job);
        if entry.waiting.len() == 1 {
            self.turns.push_back(client);
        }
        Placed::Waits
    }

    /// Records that a thread has ended a job of `client`.
    pub(super) fn ended(&mut self, client: u32) {
        if let Some(entry) = self.clients.get_mut(&client) {
            entry.running = entry.running.saturating_sub(1);
            if entry.running == 0 && entry.waiting.is_empty() {
                self.clients.remove(&client);
            }
        }
    }

    /// Returns the next job for a thread that holds `held`, or records it as idle.
    pub(super) fn next(&mut self, thread: usize, held: Option<u32>) -> Option<(u32, J)> {
        let streak = self.streak.get(&thread).copied().unwrap_or(0);
        let stays = held.filter(|_| streak < STREAK || self.turns.len() <= 1);
        let chosen = stays.filter(|held| self.may_run(*held)).or_else(|| {
            let turn = self.turns.iter().copied().find(|client| self.may_run(*client));
            turn.or_else(|| held.filter(|held| self.may_run(*held)))
        });
        let Some(client) = chosen else {
            self.idle.push_back((thread, held));
            return None;
        };
        let entry = self.clients.get_mut(&client)?;
        let job = entry.waiting.pop_front()?;
        entry.running = entry.running.saturating_add(1);
        let more = !entry.waiting.is_empty();
        self.turns.retain(|turn| *turn != client);
        if more {
            self.turns.push_back(client);
        }
        self.streak.insert(thread, if held == Some(client) { streak.saturating_add(1) } else { 0 });
        Some((client, job))
    }

    fn may_run(&self, client: u32) -> bool {
        self.clients
            .get(&client)
            .is_some_and(|entry| !entry.waiting.is_empty() && entry.running < self.limits.per_client)
    }

    /// Takes an idle thread out of the schedule; `false` when it was given a job meanwhile.
    pub(super) fn withdraw(&mut self, thread: usize) -> bool {
        let before = self.idle.len();
        self.idle.retain(|(idle, _)| *idle != thread);
        self.idle.len() < before
    }

    /// Drops every waiting job.
    pub(super) fn clear(&mut self) -> Vec<J> {
        self.turns.clear();
        self.clients.values_mut().flat_map(|client| client.waiting.drain(..)).collect()
    }
}

fn take_idle(idle: &mut VecDeque<(usize, Option<u32>)>, client: u32) -> Option<usize> {
    let holds = idle.iter().rposition(|(_, held)| *held == Some(client));
    let nobody = || idle.iter().rposition(|(_, held)| held.is_none());
    let index = holds.or_else(nobody).unwrap_or(0);
    idle.remove(index).map(|(thread, _)| thread)
}
