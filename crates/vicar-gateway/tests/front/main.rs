//! The front over real sockets, with a share that does what its path says.
#![expect(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "test program")]

mod audit;
mod drain;
mod front;
mod limits;
mod listeners;
mod requests;
mod site;
