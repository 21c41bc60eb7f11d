//! The same operations on the same trees, by processes that are the client for good and by every road of a server: the
//! kernel's answers and what is left behind must be the same.
//!
//! `VICAR_DIFFERENTIAL_SEED` repeats a run, `VICAR_DIFFERENTIAL_OPERATIONS` says how many distinct ones are wanted; a failure
//! prints the seed of its round.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

mod compare;
mod files;
#[path = "../vulnerabilities/hostile.rs"]
mod hostile;
mod keeper;
mod lane;
#[path = "../vulnerabilities/numbers.rs"]
mod numbers;
mod operation;
mod people;
#[path = "../vulnerabilities/road.rs"]
mod road;
mod sealed;
mod tree;
mod watchdog;
mod worker;

#[path = "../alone/mod.rs"]
mod alone;

use people::identity;
use std::process::ExitCode;

/// `hostile` is shared and looks for the identities here.
mod scratch {
    pub(crate) use crate::people::identity_of as identity;
}

const TESTS: &[alone::Test] = &[("every_road_is_the_client", compare::every_road_is_the_client)];

/// Run with `--include-ignored` only.
const LONG: &[alone::Test] = &[("a_million_operations", compare::a_million_operations)];

fn main() -> ExitCode {
    if let Some(plan) = std::env::var_os(hostile::PLAN) {
        hostile::be_hostile(plan.to_str().unwrap());
        return ExitCode::SUCCESS;
    }
    if let Some(who) = std::env::var_os(worker::WORKER) {
        worker::work(&identity(who.to_str().unwrap().parse().unwrap()));
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(keeper::KEEPER).is_some() {
        keeper::keep();
        return ExitCode::SUCCESS;
    }
    let is_child = std::env::var_os("VICAR_TEST_ALONE").is_some();
    if is_child || std::env::args().any(|argument| argument == "--include-ignored") {
        return alone::run(true, &[TESTS, LONG].concat());
    }
    LONG.iter().for_each(|(name, _)| println!("test {name} ... ignored, long: a million operations"));
    alone::run(true, TESTS)
}
