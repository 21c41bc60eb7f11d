//! Which threads can be told whom to act as.

use crate::sync::Mutex;
use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// Threads by their id, from the moment they are registered until they end.
#[derive(Debug)]
pub(super) struct Registry<K, T> {
    threads: Mutex<HashMap<K, Arc<T>>>,
}

impl<K, T> Default for Registry<K, T> {
    fn default() -> Self {
        Self { threads: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash, T> Registry<K, T> {
    /// Registers a thread; `false` when it is registered already, and then nothing changes.
    pub(super) fn add(&self, key: K, thread: Arc<T>) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.contains_key(&key) {
            return false;
        }
        threads.insert(key, thread);
        true
    }

    pub(super) fn find(&self, key: &K) -> Option<Arc<T>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)
    }

    pub(super) fn remove(&self, key: &K) {
        let gone = self.threads.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        // Outside the lock.
        drop(gone);
    }
}
