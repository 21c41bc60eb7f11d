//! A process of a client's own user that renames behind everybody's back.

use crate::hostile;
use std::path::Path;
use std::process::Child;

/// Exchanges two names as the client, as fast as it can, while this process lives.
pub(crate) fn exchange_for_ever(uid: u32, one: &Path, other: &Path) {
    let racer = hostile::start(&format!("{uid}\texchange\t{}\t{}", one.display(), other.display()));
    // Nobody waits for it: it ends when its input does, with this process.
    KEPT.with_borrow_mut(|kept| kept.push(racer));
}

thread_local! {
    /// The racers' input stays open as long as this thread lives.
    static KEPT: std::cell::RefCell<Vec<Child>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Whether a process is a child of this one.
fn is_ours(racer: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", racer.id())).unwrap_or_default();
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).map(str::to_owned);
    parent == Some(std::process::id().to_string())
}

/// Ends the racers when it is dropped: nobody can remove a directory while somebody moves things in it.
pub(crate) struct Races;

impl Drop for Races {
    fn drop(&mut self) {
        // A sealed worker has a copy of what is kept, and none of the racers is its own: they stay where they are.
        let (ours, others): (Vec<Child>, Vec<Child>) = KEPT.take().into_iter().partition(is_ours);
        KEPT.set(others);
        for mut racer in ours {
            drop(racer.stdin.take());
            let _ = racer.wait();
        }
    }
}
