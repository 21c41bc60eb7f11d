//! The primitives that everything concurrent in this crate is made of.
//!
//! They are those of the standard library; under `cfg(loom)` and `cfg(shuttle)` they are those of a program that tries the
//! interleavings out. `Arc`, `Weak` and `OnceLock` stay the standard library's: their insides are not what is on trial.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic};
#[cfg(loom)]
pub(crate) use loom::thread;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic};
#[cfg(shuttle)]
pub(crate) use shuttle::thread;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, atomic};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::thread;
