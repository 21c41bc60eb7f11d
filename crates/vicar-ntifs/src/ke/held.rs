//! The locks that the calling thread of the program holds.

use std::cell::RefCell;

use super::gate;
use crate::entry::Call;
use crate::layout::KIRQL;
use crate::ptr;
use crate::verifier::{Mode, Rule, Site, mode, report_at};

/// What kind of lock it is, and how it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A spin lock.
    Spin,
    /// A fast mutex.
    Mutex,
    /// A resource, with others.
    Shared,
    /// A resource, alone.
    Exclusive,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin lock",
            Self::Mutex => "fast mutex",
            Self::Shared | Self::Exclusive => "resource",
        }
    }
}

/// A lock that is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) address: usize,
    pub(crate) kind: Kind,
    /// The interrupt level before.
    pub(crate) irql: KIRQL,
    site: Site,
}

thread_local! {
    static HELD: RefCell<Vec<Holding>> = const { RefCell::new(Vec::new()) };
    /// Its address is what this thread is called in a lock.
    static ME: u8 = const { 0 };
}

/// Returns what the calling thread is called in a lock; never zero.
pub(crate) fn me() -> usize {
    ME.with(|me| std::ptr::from_ref(me).addr())
}

/// Notes that a lock is held from now on.
pub(crate) fn took(call: &Call, address: usize, kind: Kind, irql: KIRQL) {
    let site = if call.is_verified() { call.site() } else { Site::UNKNOWN };
    HELD.with_borrow_mut(|held| held.push(Holding { address, kind, irql, site }));
}

/// Notes that a lock is given back, the way it was taken last; `None` when the thread does not hold it, which is reported.
pub(crate) fn gave(call: &Call, address: usize, kinds: &[Kind]) -> Option<Holding> {
    let found = HELD.with_borrow_mut(|held| {
        let index = held.iter().rposition(|one| one.address == address && kinds.contains(&one.kind))?;
        Some(held.remove(index))
    });
    if found.is_none() {
        call.report(Rule::LockMisused, format!("the lock {address:#x} is released, and this thread does not hold it"));
    }
    found
}

/// Says whether the calling thread holds a lock in some way.
pub(crate) fn holds(address: usize, kind: Kind) -> bool {
    HELD.with_borrow(|held| held.iter().any(|one| one.address == address && one.kind == kind))
}

/// Reports a thread that would wait for itself for ever.
///
/// With the verifier off the process ends, because it cannot go on.
#[cold]
pub(crate) fn stuck(call: &Call, address: usize, kind: Kind) {
    let detail = format!("the {} {address:#x} is held by this thread already, which waits for itself", kind.name());
    if mode() == Mode::Off {
        eprintln!("vicar-ntifs: {detail}");
        std::process::abort();
    }
    call.report(Rule::LockMisused, detail);
}

/// Waits for a lock whose owner stands in a word of the caller's memory, and takes it; false when the thread holds it.
pub(crate) fn take_word(call: &Call, word: *mut usize, lock: usize, kind: Kind) -> bool {
    let mut gate = gate::close();
    loop {
        match ptr::read(word) {
            None | Some(0) => break,
            Some(owner) if owner == me() => {
                drop(gate);
                stuck(call, lock, kind);
                return false;
            }
            Some(_) => gate = gate::wait(gate, None).0,
        }
    }
    ptr::write(word, me());
    true
}

/// Gives a lock back whose owner stands in a word.
pub(crate) fn give_word(word: *mut usize) {
    let gate = gate::close();
    ptr::write(word, 0);
    drop(gate);
    gate::ring();
}

/// Reports every lock that the calling thread holds still at the end of something, and forgets them.
pub(crate) fn end(what: &'static str) {
    let held = HELD.with_borrow_mut(std::mem::take);
    for Holding { address, kind, site, .. } in held {
        let detail = format!("the {} {address:#x} was acquired here and is held still", kind.name());
        report_at(Rule::LockMisused, what, site, detail);
    }
}
