//! The routines, called as C calls them. One world a process: the tests take turns.
#![expect(
    unsafe_code,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test program: a failure is a panic, and the routines of a C interface are unsafe to call (in call.rs)"
)]

mod again;
mod call;
mod check;
mod client;
mod readings;
mod stage;
mod state;
mod sweep;
mod thread;
mod token;
mod work;
mod wrong;
