//! The count of outstanding token references.
//!
//! Every lease is entered here from its making to its end. The counts themselves are those of the leases: taking and giving
//! references back touches nothing that other tokens or other threads use, and the sum is made when somebody asks for it.
//! When a system is made with call-site tracking, the source line of every outstanding reference is known too.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{PoisonError, Weak};

use crate::sync::{Mutex, MutexGuard};
use crate::token::Lease;

type Site = (&'static str, u32, u32);

/// What a lease is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// By references only.
    References,
    /// By references, and by somebody who hands them out.
    HandingOut,
}

/// Which of a few leases a thread's references are counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat(usize);

impl Seat {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;

    pub(crate) fn of(number: u64) -> Self {
        Self(usize::try_from(number).unwrap_or(0) % Self::COUNT)
    }

    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

#[derive(Debug)]
struct Entry {
    token: u64,
    lease: Weak<Lease>,
    purpose: Purpose,
}

impl Entry {
    fn references(&self) -> usize {
        let held = self.lease.strong_count();
        match self.purpose {
            Purpose::References => held,
            Purpose::HandingOut => held.saturating_sub(1),
        }
    }
}

#[derive(Debug, Default)]
struct Book {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

/// Knows every lease of a system.
#[derive(Debug)]
pub(crate) struct Tally {
    book: Mutex<Book>,
    sites: Option<Mutex<BTreeMap<Site, i64>>>,
}

impl Tally {
    pub(crate) fn new(tracks_sites: bool) -> Self {
        Self { book: Mutex::new(Book::default()), sites: tracks_sites.then(|| Mutex::new(BTreeMap::new())) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a new lease and returns where.
    pub(crate) fn enter(&self, token: u64, lease: Weak<Lease>, purpose: Purpose) -> usize {
        let entry = Some(Entry { token, lease, purpose });
        let mut book = self.book();
        let Book { entries, free } = &mut *book;
        if let Some((index, place)) = free.pop().and_then(|index| Some((index, entries.get_mut(index)?))) {
            *place = entry;
            return index;
        }
        entries.push(entry);
        entries.len().saturating_sub(1)
    }

    /// Strikes a lease out that ends.
    pub(crate) fn strike(&self, index: usize) {
        let mut book = self.book();
        let Book { entries, free } = &mut *book;
        let struck = entries.get_mut(index).and_then(Option::take);
        if struck.is_some() {
            free.push(index);
        }
        drop(book);
        drop(struck);
    }

    /// Notes that nobody hands out references of a lease any more, while its holder still holds it.
    pub(crate) fn keep_no_longer(&self, index: usize) {
        if let Some(Some(entry)) = self.book().entries.get_mut(index) {
            entry.purpose = Purpose::References;
        }
    }

    pub(crate) fn balance(&self) -> i64 {
        let sum = self.book().entries.iter().flatten().map(Entry::references).sum::<usize>();
        i64::try_from(sum).unwrap_or(i64::MAX)
    }

    pub(crate) fn count_of(&self, token: u64) -> usize {
        self.book().entries.iter().flatten().filter(|entry| entry.token == token).map(Entry::references).sum()
    }

    pub(crate) fn tracks_sites(&self) -> bool {
        self.sites.is_some()
    }

    pub(crate) fn take(&self, at: &'static Location<'static>) {
        self.add(at, 1);
    }

    pub(crate) fn give(&self, at: &'static Location<'static>) {
        self.add(at, -1);
    }

    fn add(&self, at: &'static Location<'static>, by: i64) {
        let Some(sites) = &self.sites else { return };
        let mut sites = sites.lock().unwrap_or_else(PoisonError::into_inner);
        let site = (at.file(), at.line(), at.column());
        let count = sites.entry(site).or_insert(0);
        *count = count.saturating_add(by);
        if *count == 0 {
            sites.remove(&site);
        }
    }

    pub(crate) fn outstanding(&self) -> Vec<(Site, i64)> {
        let Some(sites) = &self.sites else { return Vec::new() };
        sites.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(site, count)| (*site, *count)).collect()
    }
}
