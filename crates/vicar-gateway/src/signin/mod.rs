//! Who is it? HTTP Basic against a password file or the system's accounts.
//!
//! [`SignIn::sign_in`] takes what a request presented and gives a [`SignedIn`]: the name, the captured identity and what the
//! share acts with. Verified credentials are remembered for a minute under a keyed hash; the answer to a wrong password is
//! held back longer and longer, and a right one never. With PAM no refusal comes before a constant time, so that it does not
//! tell whether the modules were asked.
//!
//! Slow work (argon2, PAM) runs on a bounded number of threads for blocking work, never on one that acts as a client. This
//! module never asks the system's account database itself: the supervisor does.

pub mod account;
mod backoff;
pub mod basic;
mod cache;
pub mod file;
pub mod hash;
mod queue;
mod system;
pub mod write;

use crate::limit::network;
use account::{Account, AccountError, Accounts, Logon, SignedIn};
use backoff::BackOff;
use basic::Credentials;
use cache::{Cache, Key, Keyed};
use core::fmt;
use file::{PasswordFile, Who};
use http::StatusCode;
use queue::Queue;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vicar_os::UnixIdentity;

/// How long a verified credential is good without being verified again.
const LIFETIME: Duration = Duration::from_secs(60);
/// Most verified credentials that are remembered.
const CAPACITY: usize = 4_096;

/// From the start of a check to the earliest refusal, with PAM.
///
/// Modules ask for a random delay after a wrong password (pam_unix: about two seconds, three at most), and some names are
/// refused without asking them: how long a refusal takes would tell which. libpam's longest delay and a slow hash fit in.
///
/// # Source
/// pam_fail_delay(3): up to half as much more or less than what is asked for.
const SOONEST_REFUSAL: Duration = Duration::from_millis(3_500);

/// How passwords are checked.
pub enum Method {
    /// By a password file.
    File(PasswordFile),
    /// By the system's accounts, through this PAM service.
    Pam {
        /// The service's name.
        service: String,
    },
}

impl Method {
    fn service(&self) -> &str {
        match self {
            Self::File(_) => "password-file",
            Self::Pam { service } => service,
        }
    }

    /// A password file takes the same time for every name by itself.
    const fn soonest_refusal(&self) -> Duration {
        match self {
            Self::File(_) => Duration::ZERO,
            Self::Pam { .. } => SOONEST_REFUSAL,
        }
    }
}

/// A refused sign-in: what the client is told, and what the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 401 for a wrong password, 403 for an account that may not, 503 when nothing can be said.
    pub status: StatusCode,
    /// One word for the audit log.
    pub reason: &'static str,
}

impl Refusal {
    const PASSWORD: Self = Self { status: StatusCode::UNAUTHORIZED, reason: "password" };
    const CANNOT_ACT: Self = Self { status: StatusCode::FORBIDDEN, reason: "cannot-act-as-user" };
    const UNAVAILABLE: Self = Self { status: StatusCode::SERVICE_UNAVAILABLE, reason: "sign-in-unavailable" };
    const BUSY: Self = Self { status: StatusCode::SERVICE_UNAVAILABLE, reason: "sign-in-busy" };
}

/// How much sign-in may do at once.
#[derive(Clone, Copy, Debug)]
pub struct SignInLimits {
    /// Passwords that are checked at the same time.
    pub parallel: usize,
    /// Requests that may be there, checked or waiting; beyond that room is made at the cost of the address that has most
    /// waiting (503).
    pub waiting: usize,
}

/// The sign-in of one server.
pub struct SignIn<C> {
    shared: Arc<Shared<C>>,
    queue: Queue,
    back_off: BackOff,
    keyed: Keyed,
}

/// What the threads for blocking work need.
struct Shared<C> {
    method: Method,
    accounts: Option<Box<dyn Accounts>>,
    logon: Box<dyn Logon<C>>,
    verified: Cache<Key, Arc<SignedIn<C>>>,
    /// Contexts by hash of the name, so that the same person keeps the same context, and with it a client thread that
    /// holds the identity already.
    contexts: Cache<Key, Arc<SignedIn<C>>>,
}

impl<C: Send + Sync + 'static> SignIn<C> {
    /// Puts sign-in together; `None` when the system gives no randomness.
    ///
    /// # Inputs
    /// - `accounts`: needed for PAM and for lines that name a system account; without it both are answered 503.
    #[must_use]
    pub fn new(
        method: Method,
        accounts: Option<Box<dyn Accounts>>,
        logon: Box<dyn Logon<C>>,
        limits: SignInLimits,
    ) -> Option<Self> {
        let contexts = Cache::new(LIFETIME.saturating_mul(10), CAPACITY);
        let verified = Cache::new(LIFETIME, CAPACITY);
        Some(Self {
            shared: Arc::new(Shared { method, accounts, logon, verified, contexts }),
            queue: Queue::new(limits.parallel.max(1), limits.waiting),
            back_off: BackOff::default(),
            keyed: Keyed::new()?,
        })
    }

    /// Finds out who presented these credentials.
    ///
    /// A credential that was verified less than a minute ago costs one keyed hash. Any other is checked on a thread for
    /// blocking work; if it is wrong, this future ends later the more wrong ones there were by this name or address, and with
    /// PAM never before a constant time.
    ///
    /// # Errors
    /// - [`Refusal`] with the status for the client and the word for the log.
    ///
    /// # Identity
    /// Never switches a thread. The result's groups are those the account had when it was checked.
    pub async fn sign_in(
        &self,
        credentials: Credentials,
        remote: &str,
        address: Option<IpAddr>,
    ) -> Result<Arc<SignedIn<C>>, Refusal> {
        let key = self.keyed.key([credentials.user(), credentials.password(), self.shared.method.service()]);
        if let Some(known) = self.shared.verified.find(&key, Instant::now()) {
            return Ok(known);
        }
        let turn = self.queue.turn(address.map(network)).await.ok_or(Refusal::BUSY)?;
        // A browser opens several connections at once; the first one's answer serves the others.
        if let Some(known) = self.shared.verified.find(&key, Instant::now()) {
            return Ok(known);
        }
        let user = Arc::clone(credentials.user());
        let name_key = self.keyed.key(["context", credentials.user(), self.shared.method.service()]);
        let (shared, remote) = (Arc::clone(&self.shared), remote.to_owned());
        let started = Instant::now();
        let work = move || {
            let answer = shared.check(&credentials, &remote, &name_key);
            if let Ok(person) = &answer {
                shared.verified.insert(key, Arc::clone(person), Instant::now());
            }
            drop(turn);
            answer
        };
        let answer = tokio::task::spawn_blocking(work).await.unwrap_or(Err(Refusal::UNAVAILABLE));
        if let Err(refusal) = &answer
            && refusal.status == StatusCode::UNAUTHORIZED
        {
            let rest = self.shared.method.soonest_refusal().saturating_sub(started.elapsed());
            let held_back = self.back_off.refused(&user, address, Instant::now());
            tokio::time::sleep(rest.saturating_add(held_back)).await;
        }
        answer
    }
}

impl<C: Send + Sync + 'static> Shared<C> {
    fn check(&self, credentials: &Credentials, remote: &str, key: &Key) -> Result<Arc<SignedIn<C>>, Refusal> {
        let (name, identity) = self.verify(credentials, remote)?;
        if let Some(known) = self.contexts.find(key, Instant::now())
            && known.identity == identity
            && *known.name == *name
        {
            return Ok(known);
        }
        let client = self.logon.logon(&identity).map_err(|_refused| Refusal::CANNOT_ACT)?;
        let person = Arc::new(SignedIn { name: name.into(), identity, client });
        self.contexts.insert(*key, Arc::clone(&person), Instant::now());
        Ok(person)
    }

    fn verify(&self, credentials: &Credentials, remote: &str) -> Result<(String, UnixIdentity), Refusal> {
        let (user, password) = (credentials.user(), credentials.password());
        let account = match &self.method {
            Method::File(file) => match file.verify(user, password).ok_or(Refusal::PASSWORD)? {
                Who::Numeric(identity) => return Ok((user.as_ref().to_owned(), identity.clone())),
                Who::System => self.accounts()?.resolve(user),
            },
            Method::Pam { service } => self.accounts()?.authenticate(service, user, password, remote),
        };
        match account {
            Ok(Account { name, identity }) => Ok((name, identity)),
            Err(AccountError::Denied(reason)) => Err(Refusal { reason, ..Refusal::PASSWORD }),
            Err(AccountError::NotAllowed(reason)) => Err(Refusal { reason, ..Refusal::CANNOT_ACT }),
            Err(AccountError::Unavailable(reason)) => Err(Refusal { reason, ..Refusal::UNAVAILABLE }),
        }
    }

    fn accounts(&self) -> Result<&dyn Accounts, Refusal> {
        self.accounts.as_deref().ok_or(Refusal::UNAVAILABLE)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.service())
    }
}

impl<C> fmt::Debug for SignIn<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("method", &self.shared.method).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
