//! The count of outstanding token references.
//!
//! The balance is a sum over shards, so that counting never makes unrelated threads share a cache line. When a system is
//! made with call-site tracking, the source line of every outstanding reference is known too.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(AtomicI64);

type Site = (&'static str, u32, u32);

/// Counts references taken minus references given back.
#[derive(Debug)]
pub(crate) struct Tally {
    shards: [Shard; SHARDS],
    sites: Option<Mutex<BTreeMap<Site, i64>>>,
}

impl Tally {
    pub(crate) fn new(tracks_sites: bool) -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()), sites: tracks_sites.then(Mutex::default) }
    }

    pub(crate) fn take(&self, key: u64, at: &'static Location<'static>) {
        self.add(key, at, 1);
    }

    pub(crate) fn give(&self, key: u64, at: &'static Location<'static>) {
        self.add(key, at, -1);
    }

    fn add(&self, key: u64, at: &'static Location<'static>, by: i64) {
        let index = usize::try_from(key).unwrap_or(0) % SHARDS;
        if let Some(shard) = self.shards.get(index) {
            shard.0.fetch_add(by, Ordering::Relaxed);
        }
        let Some(sites) = &self.sites else { return };
        let mut sites = sites.lock().unwrap_or_else(PoisonError::into_inner);
        let site = (at.file(), at.line(), at.column());
        let count = sites.entry(site).or_insert(0);
        *count = count.saturating_add(by);
        if *count == 0 {
            sites.remove(&site);
        }
    }

    pub(crate) fn balance(&self) -> i64 {
        self.shards.iter().fold(0_i64, |sum, shard| sum.saturating_add(shard.0.load(Ordering::Acquire)))
    }

    pub(crate) fn outstanding(&self) -> Vec<(Site, i64)> {
        let Some(sites) = &self.sites else { return Vec::new() };
        sites.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(site, count)| (*site, *count)).collect()
    }
}
