//! Acting for a client towards others: only with a credential that the client handed over.
//!
//! Level Delegation means one thing more than Impersonation: the server can prove to another machine that it acts for the
//! client. Nothing local proves that. A context of this level exists only together with a [`DelegatedCredential`]
//! ([`Server::logon_delegated`](crate::Server::logon_delegated)); whoever asks for the level without one gets an error, and
//! never the server's own credential in its place. With the feature `kerberos` such credentials come from tickets that clients
//! forwarded (`source::kerberos`); this module knows no mechanism.
//!
//! A credential is used through [`Server::initiate`](crate::Server::initiate) only, which asks the gate first: a server that may not act as the
//! client here may not act for it elsewhere. A client with less than its own rights (a restricted token) is refused: what
//! another machine would see is the whole client. A revoked client is refused as on every other road.
//!
//! What Impersonation must not reach, it does not: the server gives up its session keyring when it starts, client
//! threads have an empty one each and no system call to use keys at all. Two things remain that Linux decides by the
//! effective user alone, and that look like delegation: the kernel's NFS client asks `rpc.gssd` for a ticket of the
//! *acting* user, which takes it from that user's own cache on this machine if there is one, and CIFS mounts with
//! `multiuser` do the like. Mount such shares where clients act only if that is wanted. And the environment of the process
//! is one for all threads: no `KRB5CCNAME` of the server belongs in it.

use crate::supervisor::Unavailable;
use crate::{ClientContext, EnterError};
use core::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use vicar_nt::ImpersonationLevel;

/// Something a client handed over that proves to others that its holder may act for it.
///
/// Implementations hold the credential itself (a ticket cache of their own, in memory) and whatever uses it. Nothing of it
/// may be kept where another context's thread finds it: not in the environment, not in a keyring of the process.
pub trait DelegatedCredential: Send + Sync + fmt::Debug {
    /// The mechanism it is good for, such as `krb5`.
    fn mechanism(&self) -> &str;

    /// When it ends; `None` when it says so itself to whoever uses it.
    fn expires(&self) -> Option<SystemTime>;

    /// Begins to prove to a service that the holder acts for the client.
    ///
    /// # Errors
    /// - [`InitiateError`]; never the holder's own credential instead.
    fn initiate(&self, service: &Service) -> Result<Box<dyn Initiator>, InitiateError>;
}

/// A proof to one service, made in turns.
pub trait Initiator: Send + fmt::Debug {
    /// Takes what the service answered, nothing at first, and returns what is to be sent to it.
    ///
    /// # Errors
    /// - [`InitiateError`]; the proof has failed and is over.
    ///
    /// # Cost
    /// May ask a server of the mechanism over the network and wait for it. Not for a thread that runs tasks.
    fn step(&mut self, token: Option<&[u8]>) -> Result<Turn, InitiateError>;
}

/// What is to be done with the outcome of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send this, and come back with the answer.
    Continue(Vec<u8>),
    /// Both sides are proved; send this if there is something.
    Done(Option<Vec<u8>>),
}

/// A service on a host, such as `HTTP` on `files.example.org`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    text: String,
    service_len: usize,
}

impl Service {
    /// Names a service; `None` unless both parts have letters, digits, `.`, `-` and `_` only and are 1 to 255 bytes long.
    ///
    /// # Source
    /// RFC 2743 4.1, host-based service names.
    #[must_use]
    pub fn new(service: &str, host: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_name = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(is_plain);
        let is_named = is_name(service) && is_name(host);
        is_named.then(|| Self { text: format!("{service}@{host}"), service_len: service.len() })
    }

    /// Service, `@`, host.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The service alone.
    #[must_use]
    pub fn service(&self) -> &str {
        self.text.get(..self.service_len).unwrap_or_default()
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a mechanism said when it refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MechanismRefusal {
    /// The major status (RFC 2744 3.9.1).
    pub major: u32,
    /// The mechanism's own status.
    pub minor: u32,
    /// Both in words, printable ASCII.
    pub text: String,
}

impl fmt::Display for MechanismRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x}, {})", self.text, self.major, self.minor)
    }
}

/// Why there is nothing to act with towards others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelegationError {
    /// The client handed nothing over.
    NotDelegated,
    /// What it handed over has ended.
    Expired,
    /// The client was revoked, see [`ClientContext::revoke`](crate::ClientContext::revoke).
    Revoked,
}

impl fmt::Display for DelegationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDelegated => "the client delegated no credential",
            Self::Expired => "the credential that the client delegated has ended",
            Self::Revoked => "the client was revoked",
        })
    }
}

impl core::error::Error for DelegationError {}

/// Why nothing was proved to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitiateError {
    /// There is no credential to do it with.
    Delegation(DelegationError),
    /// The server may not act as the client, or the client is less than itself.
    Enter(EnterError),
    /// The gate granted less than level Delegation.
    BelowDelegation {
        /// The level that was granted.
        level: ImpersonationLevel,
    },
    /// The mechanism refused: no such service, an answer that is none, a server that cannot be reached.
    Refused(MechanismRefusal),
    /// What the service sent is longer than any answer.
    TooLong,
    /// The proof is over, or there is no answer where one is due.
    OutOfTurn,
    /// Too many proofs at a time with one credential.
    TooMany,
    /// The process that keeps the credential gave no answer; says nothing about the credential.
    Unavailable(Unavailable),
}

impl fmt::Display for InitiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation(error) => error.fmt(f),
            Self::Enter(error) => error.fmt(f),
            Self::BelowDelegation { level } => {
                write!(f, "level {level:?} does not allow acting for the client elsewhere")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TooLong => f.write_str("the service's answer is too long"),
            Self::OutOfTurn => f.write_str("the proof is over, or an answer is missing"),
            Self::TooMany => f.write_str("too many proofs at a time"),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InitiateError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Delegation(error) => Some(error),
            Self::Enter(error) => Some(error),
            Self::Unavailable(error) => Some(error),
            Self::BelowDelegation { .. } | Self::Refused(_) | Self::TooLong | Self::OutOfTurn | Self::TooMany => None,
        }
    }
}

/// What may be known of a delegated credential without using it.
#[derive(Clone, Copy, Debug)]
pub struct Delegated<'client>(&'client Arc<dyn DelegatedCredential>);

impl<'client> Delegated<'client> {
    pub(crate) const fn new(credential: &'client Arc<dyn DelegatedCredential>) -> Self {
        Self(credential)
    }

    /// The mechanism it is good for, such as `krb5`.
    #[must_use]
    pub fn mechanism(self) -> &'client str {
        self.0.mechanism()
    }

    /// When it ends; `None` when it says so itself to whoever uses it.
    #[must_use]
    pub fn expires(self) -> Option<SystemTime> {
        self.0.expires()
    }
}

/// A proof that ends with its client.
#[derive(Debug)]
pub(crate) struct OfClient {
    pub(crate) client: ClientContext,
    pub(crate) proof: Box<dyn Initiator>,
}

impl Initiator for OfClient {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Turn, InitiateError> {
        self.client.credential().map_err(InitiateError::Delegation)?;
        self.proof.step(token)
    }
}

/// Returns a credential that is still good.
pub(crate) fn good(
    credential: Option<&Arc<dyn DelegatedCredential>>,
) -> Result<&Arc<dyn DelegatedCredential>, DelegationError> {
    let credential = credential.ok_or(DelegationError::NotDelegated)?;
    match credential.expires() {
        Some(end) if end <= SystemTime::now() => Err(DelegationError::Expired),
        Some(_) | None => Ok(credential),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_two_plain_names() {
        let service = Service::new("HTTP", "files.example.org").unwrap();
        assert_eq!((service.as_str(), service.service()), ("HTTP@files.example.org", "HTTP"));
        for (service, host) in
            [("", "h"), ("HTTP", ""), ("HTTP@x", "h"), ("HTTP", "h/x"), ("HTTP", "h\0"), ("H T", "h")]
        {
            assert_eq!(Service::new(service, host), None, "{service:?} {host:?}");
        }
        assert_eq!(Service::new("HTTP", &"h".repeat(256)), None);
    }
}
