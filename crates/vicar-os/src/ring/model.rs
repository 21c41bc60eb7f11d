//! The table of identities under every order of a few threads: what is leased is registered, and is whose it should be.

use super::identities::{Identities, NoLease, Patience};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::num::NonZeroU16;
use loom::thread;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::{Arc, PoisonError};

/// Preemptions tried in one interleaving.
const PREEMPTIONS: usize = 3;

fn explore(name: &str, program: impl Fn() + Send + Sync + 'static) {
    let count = Arc::new(Count::new(0));
    let counted = Arc::clone(&count);
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
    let bound = builder.preemption_bound.unwrap();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        program();
    });
    println!("{name}: {} interleavings, at most {bound} preemptions", count.load(std::sync::atomic::Ordering::Relaxed));
}

/// A kernel that gives a number out again as soon as it is free: the worst that it may do.
struct Kernel {
    /// Whose each number is.
    owners: Mutex<Vec<Option<u64>>>,
}

impl Kernel {
    fn new(len: usize) -> Self {
        Self { owners: Mutex::new(vec![None; len]) }
    }

    fn register(&self, key: u64) -> NonZeroU16 {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let free = owners.iter().position(Option::is_none).expect("more are registered than the table allows");
        owners[free] = Some(key);
        NonZeroU16::new(u16::try_from(free + 1).unwrap()).unwrap()
    }

    fn unregister(&self, id: NonZeroU16) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = owners[usize::from(id.get()) - 1].take();
        assert!(owner.is_some(), "unregistered twice");
    }

    /// Does a request: as whom?
    fn perform(&self, id: NonZeroU16) -> Option<u64> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(id.get()) - 1]
    }

    fn count(&self) -> usize {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().count()
    }
}

struct World {
    table: Identities<u64>,
    kernel: Kernel,
    revoked: AtomicBool,
    done: AtomicUsize,
}

impl World {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            table: Identities::new(limit),
            kernel: Kernel::new(limit),
            revoked: AtomicBool::new(false),
            done: AtomicUsize::new(0),
        })
    }

    /// One request of `key`; the request must be done as `key`, however late.
    fn request(&self, key: u64, patience: Patience) -> Result<(), NoLease<()>> {
        let is_revoked = || key == 1 && self.revoked.load(Ordering::SeqCst);
        let register = || Ok::<_, ()>(self.kernel.register(key));
        let id = self.table.lease(&key, patience, is_revoked, register, |id| self.kernel.unregister(id))?;
        thread::yield_now();
        assert_eq!(self.kernel.perform(id), Some(key), "done as somebody else");
        self.table.release(&key);
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn what_is_leased_stays() {
    explore("three clients, one place", || {
        let world = World::new(1);
        let threads: Vec<_> = [1, 2]
            .map(|key| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.request(key, Patience::Wait))
            })
            .into();
        assert_eq!(world.request(3, Patience::Wait), Ok(()));
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Ok(()));
        }
        assert_eq!((world.done.load(Ordering::SeqCst), world.kernel.count(), world.table.count()), (3, 1, 1));
    });
}

#[test]
fn one_client_is_registered_once() {
    explore("one client, two threads, two places", || {
        let world = World::new(2);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.request(1, Patience::Wait))
        };
        assert_eq!(world.request(1, Patience::Wait), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(()));
        assert_eq!((world.kernel.count(), world.table.count()), (1, 1));
    });
}

#[test]
fn after_a_revocation_nothing_is_left() {
    explore("a revocation against two requests", || {
        let world = World::new(2);
        let threads: Vec<_> = [1, 2]
            .map(|key| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.request(key, Patience::Wait))
            })
            .into();
        world.revoked.store(true, Ordering::SeqCst);
        world.table.revoke(|key| *key == 1, |id| world.kernel.unregister(id));
        // From here on nobody acts as the first, whatever the others do.
        assert!(!world.kernel.owners.lock().unwrap().contains(&Some(1)));
        assert_eq!(world.request(1, Patience::Wait), Err(NoLease::Revoked));
        let [first, second] = <[_; 2]>::try_from(threads).unwrap().map(|thread| thread.join().unwrap());
        assert!(first == Ok(()) || first == Err(NoLease::Revoked));
        assert_eq!(second, Ok(()));
        assert!(!world.kernel.owners.lock().unwrap().contains(&Some(1)));
    });
}

#[test]
fn the_impatient_are_told() {
    explore("one who does not wait, one place", || {
        let world = World::new(1);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.request(1, Patience::Wait))
        };
        let said = world.request(2, Patience::Never);
        assert!(said == Ok(()) || said == Err(NoLease::Full));
        assert_eq!(other.join().unwrap(), Ok(()));
        assert_eq!(world.request(2, Patience::Never), Ok(()));
    });
}
