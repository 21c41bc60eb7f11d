//! The primitives that the mailbox and the table of a ring's identities are made of.
//!
//! They are those of the standard library; under `cfg(loom)` they are those of a program that tries the interleavings
//! out. Everything else in this crate uses the standard library's.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
