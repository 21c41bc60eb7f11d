//! The one door: every exported routine enters here, is known by name, and leaves without unwinding.
//!
//! With the verifier off, entering costs one load. With it on, the door tests the interrupt level and remembers where the
//! routine was called from, for whoever reports something about the call.

use std::cell::OnceCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicIsize, AtomicU8, Ordering};

use vicar_nt::NtStatus;

use crate::ke;
use crate::layout::{KIRQL, NTSTATUS};
use crate::verifier::{self, Rule, Site};
use crate::world;

/// What is known about an exported routine.
#[derive(Debug)]
pub(crate) struct Routine {
    /// Its name.
    pub(crate) name: &'static str,
    /// The highest interrupt level it may be called at.
    pub(crate) highest: KIRQL,
    /// The page that says what it does.
    pub(crate) page: &'static str,
    /// Where its code begins; whoever called it is the next frame.
    address: fn() -> usize,
    /// How far above its [`Call`] the return address is on the stack; zero if that is not known yet.
    return_at: AtomicIsize,
}

impl Routine {
    /// Describes a routine; use `routine!`.
    pub(crate) const fn new(name: &'static str, highest: KIRQL, page: &'static str, address: fn() -> usize) -> Self {
        Self { name, highest, page, address, return_at: AtomicIsize::new(0) }
    }

    pub(crate) fn address(&self) -> usize {
        (self.address)()
    }
}

/// Describes an exported routine: its path, the highest interrupt level, its page.
macro_rules! routine {
    ($function:ident, $highest:ident, $page:literal) => {
        $crate::entry::Routine::new(stringify!($function), $crate::layout::$highest, $page, || {
            ($function as *const ()).addr()
        })
    };
}
pub(crate) use routine;

/// Nobody listens and nothing is planned.
const QUIET: u8 = 0;
/// The verifier is on.
pub(crate) const VERIFYING: u8 = 1;
/// A routine is to fail once.
pub(crate) const PLANNED: u8 = 2;

/// There is no world yet, so nobody knows whether a verifier is on.
pub(crate) const NO_WORLD: u8 = 4;

static ATTENTION: AtomicU8 = AtomicU8::new(NO_WORLD);

/// Turns one reason to look closer on or off.
pub(crate) fn attend(bit: u8, on: bool) {
    if on {
        ATTENTION.fetch_or(bit, Ordering::SeqCst);
    } else {
        ATTENTION.fetch_and(!bit, Ordering::SeqCst);
    }
}

/// One call of an exported routine, while it lasts.
#[derive(Debug)]
pub(crate) struct Call {
    routine: &'static Routine,
    attention: u8,
    site: OnceCell<Site>,
}

impl Call {
    /// Returns whether the verifier wants to know.
    #[inline]
    pub(crate) fn is_verified(&self) -> bool {
        self.attention & VERIFYING != 0
    }

    /// Returns where the routine was called from; looked for when it is first asked for.
    pub(crate) fn site(&self) -> Site {
        *self.site.get_or_init(|| {
            let here = std::ptr::from_ref(self).addr();
            Site::of_call(self.routine.address(), &self.routine.return_at, here)
        })
    }

    /// Reports that something about this call is wrong.
    #[cold]
    pub(crate) fn report(&self, rule: Rule, detail: impl Into<String>) {
        if self.is_verified() {
            verifier::report(rule, self.routine, self.site(), detail.into());
        }
    }
}

/// Enters a routine that cannot fail.
#[inline]
pub(crate) fn enter<T>(routine: &'static Routine, body: impl FnOnce(&Call) -> T) -> T {
    let mut attention = ATTENTION.load(Ordering::Relaxed);
    if attention & NO_WORLD != 0 {
        attention = first_call();
    }
    let call = Call { routine, attention, site: OnceCell::new() };
    let border = Border(routine);
    if call.attention != QUIET {
        look(&call);
    }
    let answer = body(&call);
    border.leave();
    answer
}

/// The border to a C caller. A panic is a fault of this library, and C code cannot be unwound through: the process ends with
/// the routine's name before anything else happens. Whoever comes back without one leaves.
struct Border(&'static Routine);

impl Border {
    #[inline]
    fn leave(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for Border {
    #[cold]
    fn drop(&mut self) {
        died(self.0);
    }
}

/// Enters a routine that answers with a status.
#[inline]
pub(crate) fn enter_status(routine: &'static Routine, body: impl FnOnce(&Call) -> Result<(), NtStatus>) -> NTSTATUS {
    enter(routine, |call| {
        if let Some(status) = planned(call) {
            return status;
        }
        match body(call) {
            Ok(()) => 0,
            Err(status) => status.0.cast_signed(),
        }
    })
}

/// Returns the status that a test planned for this routine, once.
#[inline]
pub(crate) fn planned(call: &Call) -> Option<NTSTATUS> {
    if call.attention & PLANNED == 0 { None } else { world::take_planned(call.routine.name) }
}

/// Makes the standard world before anything is done in it, and returns what there is to attend to.
#[cold]
fn first_call() -> u8 {
    drop(world::current());
    ATTENTION.load(Ordering::SeqCst)
}

#[cold]
fn look(call: &Call) {
    let irql = ke::current_irql();
    if irql > call.routine.highest {
        call.report(
            Rule::Irql,
            format!("called at IRQL {irql}, and the highest it may be called at is {}", call.routine.highest),
        );
    }
}

#[cold]
fn died(routine: &Routine) -> ! {
    eprintln!("vicar-ntifs: a panic inside {} reached its C caller; the process ends", routine.name);
    std::process::abort()
}
