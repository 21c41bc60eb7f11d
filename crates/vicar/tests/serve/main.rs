//! `vicar serve` as an administrator runs it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test program")]

mod identity;
mod limits;
mod refused;
mod server;
mod signals;
mod sockets;
