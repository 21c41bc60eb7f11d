//! What sign-in needs from the system: its accounts, and somebody to act as.

use core::fmt;
use std::sync::Arc;
use vicar_os::UnixIdentity;

/// An account that was found, and whose password was right where one was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name the system knows it by; may differ from what was typed.
    pub name: String,
    /// Its ids and groups, as they were when it was looked up.
    pub identity: UnixIdentity,
}

/// Why the system's accounts gave no account. The word is for the audit log; the client learns the kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountError {
    /// Wrong password or no such user; the client cannot tell the two apart.
    Denied(&'static str),
    /// The password was right, but the account may not sign in: locked, expired, or no such account any more.
    NotAllowed(&'static str),
    /// Nothing can be said: the supervisor is gone, too slow or too busy, or PAM is not there.
    Unavailable(&'static str),
}

/// The system's accounts. Calls may block for seconds and are made on threads for blocking work.
pub trait Accounts: Send + Sync + 'static {
    /// Looks up an account and its groups.
    ///
    /// # Errors
    /// - [`AccountError`]; never `Denied`.
    fn resolve(&self, name: &str) -> Result<Account, AccountError>;

    /// Checks a password and whether the account may sign in now.
    ///
    /// # Errors
    /// - [`AccountError`] by who is to blame.
    fn authenticate(&self, service: &str, user: &str, password: &str, remote: &str) -> Result<Account, AccountError>;
}

/// Makes what a share needs to act as somebody.
pub trait Logon<C>: Send + Sync + 'static {
    /// Logs an identity on.
    ///
    /// # Errors
    /// - [`LogonRefused`] when the server may not or cannot act as it.
    fn logon(&self, identity: &UnixIdentity) -> Result<C, LogonRefused>;
}

/// The server may not or cannot act as this identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogonRefused;

impl fmt::Display for LogonRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this server cannot act as that user")
    }
}

impl core::error::Error for LogonRefused {}

/// Somebody who signed in.
#[derive(Debug)]
pub struct SignedIn<C> {
    /// The name, as the system or the password file knows it.
    pub name: Arc<str>,
    /// The identity that was captured.
    pub identity: UnixIdentity,
    /// What the share acts with.
    pub client: C,
}
