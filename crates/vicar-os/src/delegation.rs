//! Acting for a client towards others: only with a credential that the client handed over.
//!
//! Level Delegation means one thing more than Impersonation: the server can prove to another machine that it acts for the
//! client. Nothing local proves that. A context of this level exists only together with a [`DelegatedCredential`]
//! ([`Server::logon_delegated`](crate::Server::logon_delegated)); whoever asks for the level without one gets an error, and
//! never the server's own credential in its place. This crate makes no such credential and contains no Kerberos: the trait
//! is where one would be put.
//!
//! What Impersonation must not reach, it does not: the server gives up its session keyring when it starts, client
//! threads have an empty one each and no system call to use keys at all. Two things remain that Linux decides by the
//! effective user alone, and that look like delegation: the kernel's NFS client asks `rpc.gssd` for a ticket of the
//! *acting* user, which takes it from that user's own cache on this machine if there is one, and CIFS mounts with
//! `multiuser` do the like. Mount such shares where clients act only if that is wanted. And the environment of the process
//! is one for all threads: no `KRB5CCNAME` of the server belongs in it.

use core::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Something a client handed over that proves to others that its holder may act for it.
///
/// Implementations hold the credential itself (a ticket cache of their own, in memory) and whatever uses it. Nothing of it
/// may be kept where another context's thread finds it: not in the environment, not in a keyring of the process.
pub trait DelegatedCredential: Send + Sync + fmt::Debug {
    /// The mechanism it is good for, such as `krb5`.
    fn mechanism(&self) -> &str;

    /// When it ends; `None` when it says so itself to whoever uses it.
    fn expires(&self) -> Option<SystemTime>;
}

/// Why there is nothing to act with towards others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DelegationError {
    /// The client handed nothing over.
    NotDelegated,
    /// What it handed over has ended.
    Expired,
}

impl fmt::Display for DelegationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDelegated => "the client delegated no credential",
            Self::Expired => "the credential that the client delegated has ended",
        })
    }
}

impl core::error::Error for DelegationError {}

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
