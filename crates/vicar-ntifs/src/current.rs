//! Which thread of the world the calling thread of the program is.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use vicar_kernel::ThreadRef;

use crate::layout::{KPROCESSOR_MODE, KernelMode};
use crate::verifier::{Rule, Site, report_at};
use crate::world::{self, HostThread, World};

/// The calling thread in its world.
#[derive(Debug)]
pub(crate) struct Seat {
    generation: u64,
    pub(crate) host: Arc<HostThread>,
    /// Whose request is being worked on.
    pub(crate) previous_mode: Cell<KPROCESSOR_MODE>,
    /// Set when the thread was made for this thread of the program, and ends with it.
    ends_in: Option<Arc<World>>,
    /// Set when a driver started it.
    is_started: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(world) = &self.ends_in else { return };
        if self.host.thread.is_impersonating() && world.is_verified {
            let detail = "the thread of the program ended in its client's identity".to_owned();
            report_at(Rule::ExitedImpersonating, "the end of a thread", Site::UNKNOWN, detail);
        }
        world.end_thread(&self.host);
    }
}

thread_local! {
    static SEAT: RefCell<Option<Rc<Seat>>> = const { RefCell::new(None) };
}

/// Returns the calling thread's seat; a thread that sits nowhere becomes a system thread.
#[inline]
pub(crate) fn seat() -> Rc<Seat> {
    let seated = SEAT.with_borrow(|seat| match seat {
        Some(seat) if seat.generation == world::generation() => Some(Rc::clone(seat)),
        Some(_) | None => None,
    });
    match seated {
        Some(seat) => seat,
        None => sit_as_system(),
    }
}

#[cold]
fn sit_as_system() -> Rc<Seat> {
    let world = world::current();
    let host = world.create_thread(&world.system_process, true);
    sit(host, Some(world), false)
}

fn sit(host: Arc<HostThread>, ends_in: Option<Arc<World>>, is_started: bool) -> Rc<Seat> {
    let seat = Rc::new(Seat {
        generation: world::generation(),
        host,
        previous_mode: Cell::new(KernelMode),
        ends_in,
        is_started,
    });
    // Dropped after the slot is free again: ending the old seat may call back.
    let old = SEAT.replace(Some(Rc::clone(&seat)));
    drop(old);
    seat
}

/// Makes the calling thread of the program the worker that it is.
pub(crate) fn sit_as_worker(world: &Arc<World>, thread: &ThreadRef) {
    let is_seated = SEAT.with_borrow(|seat| seat.as_ref().is_some_and(|seat| seat.host.thread.is_same(thread)));
    if !is_seated {
        let host = world.adopt_thread(thread.clone(), &world.system_process, true);
        sit(host, Some(Arc::clone(world)), false);
    }
}

/// Makes the calling thread of the program act as a thread of the world, until it is told otherwise.
pub(crate) fn act_as(host: Arc<HostThread>) -> Rc<Seat> {
    sit(host, None, false)
}

/// Makes the calling thread of the program a thread that was made for it and ends with it.
pub(crate) fn become_thread(host: Arc<HostThread>, world: Arc<World>) -> Rc<Seat> {
    sit(host, Some(world), true)
}

/// Ends the thread that the calling thread of the program is, if it was made for it.
///
/// # Returns
/// Whether it was.
pub(crate) fn end() -> bool {
    let seat = seat();
    let is_own = seat.is_started;
    drop(seat);
    if is_own {
        act_as_system();
    }
    is_own
}

/// Makes the calling thread of the program a system thread again.
pub(crate) fn act_as_system() {
    let old = SEAT.replace(None);
    drop(old);
}
