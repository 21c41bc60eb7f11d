//! What was done and what went wrong, from all workers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::plan::{Fate, Kind};

/// How many complaints are kept word for word.
const KEPT: usize = 60;

#[derive(Debug, Default)]
pub(crate) struct Count {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: usize,
    writes: usize,
    kinds: BTreeMap<Kind, usize>,
    statuses: BTreeMap<u16, usize>,
    cut: usize,
    panics: usize,
    compared: usize,
    complaints: Vec<String>,
    complained: usize,
}

impl Count {
    pub(crate) fn request(&self, kind: Kind, fate: Fate) {
        let mut inner = self.inner.lock().unwrap();
        inner.requests += 1;
        inner.writes += usize::from(kind.is_write());
        *inner.kinds.entry(kind).or_default() += 1;
        match fate {
            Fate::Whole => {}
            Fate::CutHalfWay | Fate::CutUnread => inner.cut += 1,
            Fate::PanicAsClient | Fate::PanicInHandler => inner.panics += 1,
        }
    }

    pub(crate) fn status(&self, status: u16) {
        *self.inner.lock().unwrap().statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn compared(&self) {
        self.inner.lock().unwrap().compared += 1;
    }

    pub(crate) fn complain(&self, words: String) {
        let mut inner = self.inner.lock().unwrap();
        inner.complained += 1;
        if inner.complaints.len() < KEPT {
            inner.complaints.push(words);
        }
    }

    /// How many complaints there are.
    pub(crate) fn wrong(&self) -> usize {
        self.inner.lock().unwrap().complained
    }

    /// Complains if the mixture is not what a soak is to be.
    pub(crate) fn insist(&self, requests: usize) {
        let (done, writes, cut, panics) = {
            let inner = self.inner.lock().unwrap();
            (inner.requests, inner.writes, inner.cut, inner.panics)
        };
        if done != requests || writes * 4 < done || (done >= 5_000 && (cut * 20 < done || panics * 100 < done)) {
            self.complain(format!("{done} of {requests} requests, {writes} writes, {cut} cut, {panics} panics"));
        }
    }

    /// Prints the figures.
    pub(crate) fn print(&self, seconds: f64) {
        let inner = self.inner.lock().unwrap();
        let share = |part: usize| part as f64 * 100.0 / inner.requests.max(1) as f64;
        println!(
            "{} requests in {seconds:.1} s ({:.0}/s): {:.1} % writes, {:.1} % cut, {:.1} % panics; {} owners, modes and contents compared",
            inner.requests,
            inner.requests as f64 / seconds,
            share(inner.writes),
            share(inner.cut),
            share(inner.panics),
            inner.compared,
        );
        let kinds: Vec<String> = inner.kinds.iter().map(|(kind, count)| format!("{kind:?} {count}")).collect();
        println!("  {}", kinds.join(", "));
        let statuses: Vec<String> = inner.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        println!("  {}", statuses.join(", "));
        for complaint in &inner.complaints {
            println!("WRONG {complaint}");
        }
        println!("{} wrong", inner.complained);
    }
}
