//! How much of everything one client may have.
//!
//! [`Limits`] are the numbers, each with a flag of `vicar serve` and a status. [`Tally`] counts what a client holds at the
//! same time; [`Meter`] counts and bounds a request's body.
//!
//! Limits of the share itself (entries of a listing, depth infinity, threads of one client) live with the share.

mod meter;
mod tally;

pub use meter::Meter;
pub(crate) use meter::Metered;
pub(crate) use tally::network;
pub use tally::{Held, Tally};

use std::time::Duration;

/// The limits of the front.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the first byte of a request's head to its last (408).
    pub header_time: Duration,
    /// Bytes of a request's head (431).
    pub header_bytes: usize,
    /// Header fields of a request (431).
    pub header_fields: usize,
    /// Between two pieces of a request's body (408), and for the client to take a piece of a reply (cut).
    pub body_idle: Duration,
    /// Bytes of a request's body (413).
    pub body_bytes: u64,
    /// Between two requests of one connection (closed).
    pub idle: Duration,
    /// Connections in all; more are closed at once.
    pub connections: usize,
    /// Connections of one address, or of one IPv6 network of 64 bits (503).
    pub connections_per_address: usize,
    /// Requests of one user that are served at the same time (429).
    pub requests_per_user: usize,
    /// How long a draining server waits for requests to end (cut).
    pub drain: Duration,
}

impl Limits {
    /// The limits of a server whose administrator said nothing.
    pub const USUAL: Self = Self {
        header_time: Duration::from_secs(10),
        header_bytes: 32 * 1024,
        header_fields: 100,
        body_idle: Duration::from_secs(30),
        body_bytes: 64 * 1024 * 1024 * 1024,
        idle: Duration::from_secs(75),
        connections: 4_096,
        connections_per_address: 256,
        requests_per_user: 128,
        drain: Duration::from_secs(30),
    };
}
