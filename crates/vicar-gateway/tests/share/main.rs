//! The share acts as throw-away users on a real directory; each test is a process of its own.
//!
//! `share serve DIRECTORY` serves a directory over plain HTTP on loopback instead, for clients such as litmus: user
//! `u61001` with any password is user and group 61001. It prints the URL and ends with its standard input.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../../../vicar-os/tests/alone/mod.rs"]
mod alone;
mod answers;
mod change;
mod content;
mod lock;
mod property;
mod rig;
mod serve;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => {
            serve::run(&arguments.next().unwrap());
            return ExitCode::SUCCESS;
        }
        Some("worker") => {
            worker::run();
            return ExitCode::SUCCESS;
        }
        Some(_) | None => {}
    }
    let tests: Vec<alone::Test> =
        [content::TESTS, change::TESTS, lock::TESTS, property::TESTS, answers::TESTS].concat();
    alone::run(true, &tests)
}
