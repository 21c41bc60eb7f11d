//! The test kernel: people, processes, threads, faults and balances, for C (`vicar_test.h`) and for Rust.
//!
//! [`spec`] reads what a token is to be from a structure of texts, [`api`] is the C side, and the functions here are its
//! Rust twins. Whoever calls them is the test, not the driver: nothing that they do is verified.

pub mod api;
pub mod report;
pub mod spec;
mod twin;

use vicar_nt::NtStatus;

use crate::current;
use crate::entry::Routine;
use crate::ex::{pool, work};
use crate::ke;
use crate::verifier::{self, Mode, Rule, Site, book, flow, report_at};
use crate::world::{self, HostThread};

pub use twin::{act_as, block_of, token, user_thread};

pub use crate::verifier::{Finding, findings, take_findings};
pub use crate::world::{Options, plan_failure, reset};

/// Returns the number of token references that are held, by the driver, the world and everything in it.
pub fn balance() -> i64 {
    world::current().system.balance()
}

/// Returns the bytes that are charged to the world's pool.
pub fn pool_bytes() -> u64 {
    world::current().system.pool().in_use_bytes()
}

/// Returns how many allocations were tried in this world.
pub fn allocation_count() -> u64 {
    world::current().system.pool().charge_count()
}

/// Makes the `nth` allocation from now fail once; zero takes a plan back.
pub fn fail_allocation(nth: u64) {
    world::current().system.pool().fail_nth(nth);
}

/// Makes the `nth` allocation from now fail once with a status of the test's choice.
pub fn fail_allocation_with(nth: u64, status: NtStatus) {
    world::current().system.pool().fail_nth_with(nth, status);
}

/// Waits until every work item has run.
pub fn settle() {
    work::settle();
}

/// Marks the point where the calling thread goes back to user mode: it must act as itself, at the lowest level.
pub fn return_to_user_mode(site: Site) {
    const WHAT: &str = "return to user mode";
    let seat = current::seat();
    let (irql, regions) = (ke::reset_irql(), ke::reset_critical());
    if verifier::mode() == Mode::Off {
        return;
    }
    flow::ended();
    if let Some(worn) = seat.host.thread.reference_impersonation() {
        let detail = format!("the thread still acts as {} at level {:?}", worn.token.state().user().sid, worn.level);
        report_at(Rule::ImpersonatingInUserMode, WHAT, site, detail);
    }
    ke::held::end(WHAT);
    if irql != 0 {
        report_at(Rule::Irql, WHAT, site, format!("the thread is at IRQL {irql}"));
    }
    if regions > 0 {
        report_at(Rule::CriticalRegion, WHAT, site, format!("the thread is still in {regions} critical regions"));
    }
}

/// Notes that a thread ends; it should act as itself then.
pub(crate) fn note_exit(thread: &HostThread, site: Site) {
    if verifier::mode() != Mode::Off && thread.thread.is_impersonating() {
        let detail = "the thread ends in its client's identity".to_owned();
        report_at(Rule::ExitedImpersonating, "the end of a thread", site, detail);
    }
}

/// Reports everything that is held still: contexts, references, pool.
///
/// # Returns
/// How many findings there are now, with those from before.
pub fn verify() -> usize {
    const WHAT: &str = "the end of the test";
    if verifier::mode() != Mode::Off {
        book::report_held(WHAT);
        pool::report_held(WHAT);
    }
    verifier::count()
}

/// Returns the caller of a routine of the test API.
pub(crate) fn site_of(routine: &Routine) -> Site {
    Site::of_caller(routine.address())
}
