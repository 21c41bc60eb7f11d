//! The front: from a bound socket to a share and back.
//!
//! [`Gateway`] accepts connections on every [`Listener`], speaks TLS where it should, keeps the limits and the cross-site
//! rules, signs people in, hands each request to a [`Handler`], and leaves a line in the audit log. [`Stopper`] ends it:
//! first gracefully, then at once.
//!
//! No thread of the front ever holds a client's identity, and nothing here knows a path of the share.

mod accept;
mod activity;
mod connection;
mod handler;
mod listen;
mod request;
mod share;
pub mod signal;
pub mod state;
mod ticket;

pub use handler::{Answer, Answering, Handler};
pub use listen::{BindError, Listener, Transport};

use crate::audit::AuditLog;
use crate::limit::{Limits, Tally};
use crate::origin::{Arrival, Names};
use crate::signin::SignIn;
use crate::tls::Issuer;
use activity::Activity;
use core::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Most connections at a time that are answered 503 because their address has too many.
const REFUSALS: usize = 64;

/// How long connections that were told to end at once may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// No new connections; requests that run may end.
    Draining,
    /// Connections are closed.
    Ended,
}

/// What every connection shares.
struct Shared<C> {
    handler: Arc<dyn Handler<C>>,
    sign_in: SignIn<C>,
    audit: Arc<AuditLog>,
    names: Names,
    limits: Limits,
    addresses: Tally<IpAddr>,
    users: Tally<Arc<str>>,
    /// Connections that are one too many of their address and are told so.
    refusals: Arc<Semaphore>,
    boot: u32,
    requests: AtomicU64,
    phase: watch::Sender<Phase>,
}

impl<C> Shared<C> {
    fn next_request_id(&self) -> String {
        format!("{:08x}-{:06x}", self.boot, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Running
    }
}

/// What is known of one connection.
struct Connection {
    arrival: Arrival,
    /// The client's address and port, for the log.
    remote: String,
    /// The address alone, for PAM.
    remote_host: String,
    address: Option<IpAddr>,
    issuer: Option<Issuer>,
    /// Whether this address has too many already: its one request is answered 503.
    is_one_too_many: bool,
    activity: Arc<Activity>,
}

/// How a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every request ended.
    Drained,
    /// Some were cut: the time was up, or it was told to end at once.
    Cut,
}

/// What a gateway is made of.
pub struct Parts<C> {
    /// Who answers.
    pub handler: Arc<dyn Handler<C>>,
    /// Who it is.
    pub sign_in: SignIn<C>,
    /// Where it is written down.
    pub audit: AuditLog,
    /// The names it answers to.
    pub names: Names,
    /// How much of everything.
    pub limits: Limits,
}

/// A server that is ready to run.
pub struct Gateway<C> {
    shared: Arc<Shared<C>>,
    listeners: Vec<Listener>,
    phase: watch::Receiver<Phase>,
}

/// Ends a gateway from anywhere.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<Phase>);

impl Stopper {
    /// Accepts no more connections and lets requests end, for as long as the limits say.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Closes every connection now.
    pub fn end(&self) {
        self.advance(Phase::Ended);
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let is_later = *phase < to;
            if is_later {
                *phase = to;
            }
            is_later
        });
    }
}

impl<C: Send + Sync + 'static> Gateway<C> {
    /// Puts a gateway together; nothing is accepted before [`Self::run`].
    #[must_use]
    pub fn new(parts: Parts<C>, listeners: Vec<Listener>) -> Self {
        let Parts { handler, sign_in, audit, names, limits } = parts;
        let (sender, phase) = watch::channel(Phase::Running);
        let mut boot = [0_u8; 4];
        // Only tells runs apart in the log; zero will do.
        let _ = getrandom::fill(&mut boot);
        let shared = Shared {
            handler,
            sign_in,
            audit: Arc::new(audit),
            names,
            addresses: Tally::new(limits.connections_per_address),
            users: Tally::new(limits.requests_per_user),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            limits,
            boot: u32::from_ne_bytes(boot),
            requests: AtomicU64::new(1),
            phase: sender,
        };
        Self { shared: Arc::new(shared), listeners, phase }
    }

    /// What ends this gateway.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared.phase.clone())
    }

    /// Serves until a [`Stopper`] ends it.
    ///
    /// # Errors
    /// - The system's, when a socket cannot be given to the runtime.
    ///
    /// # Identity
    /// Runs on the runtime's threads, which are the server itself and never anybody else.
    pub async fn run(self) -> std::io::Result<Stopped> {
        let Self { shared, listeners, mut phase } = self;
        let places = Arc::new(Semaphore::new(shared.limits.connections));
        let all = u32::try_from(shared.limits.connections).unwrap_or(u32::MAX);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let shared = Arc::clone(&shared);
            accepting.spawn(accept::accept(listener, shared, Arc::clone(&places), phase.clone())?);
        }
        reached(&mut phase, Phase::Draining).await;
        // Each accept loop ends by itself and closes its socket.
        while accepting.join_next().await.is_some() {}
        let drained = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Ended) => false,
            everything = places.acquire_many(all) => everything.is_ok(),
            () = tokio::time::sleep(shared.limits.drain) => false,
        };
        // The last connection may have gone because of the second word, between the two looks.
        if drained && *phase.borrow() < Phase::Ended {
            return Ok(Stopped::Drained);
        }
        Stopper(shared.phase.clone()).end();
        let _ = tokio::time::timeout(LAST_WORDS, places.acquire_many(all)).await;
        Ok(Stopped::Cut)
    }
}

/// Waits until a phase or a later one is reached.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // Fails only when the sender is gone, and with it the server.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

impl<C> fmt::Debug for Parts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Gateway<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}
