//! The primitives that the table of identities is made of; its model replaces them.

pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
