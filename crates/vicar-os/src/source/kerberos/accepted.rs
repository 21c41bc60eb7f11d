//! From a proved principal to a client.

use super::credential::Ticket;
use crate::delegation::{self, DelegatedCredential, DelegationError};
use crate::source::Account;
use crate::source::principal::{PrincipalError, RealmRule};
use crate::supervisor::Supervisor;
use crate::{ClientContext, ImpersonationLevel, LogonError, LogonKind, Qos, Reach, Server, Tracking};
use std::sync::Arc;

/// A principal that proved who it is. Not an account yet, see [`Self::sign_in`].
#[derive(Debug)]
pub struct Accepted {
    principal: String,
    answer: Vec<u8>,
    credential: Option<Arc<dyn DelegatedCredential>>,
}

impl Accepted {
    pub(super) fn new(principal: String, answer: Vec<u8>, ticket: Option<Ticket>) -> Self {
        let credential = ticket.map(|ticket| Arc::new(ticket) as Arc<dyn DelegatedCredential>);
        Self { principal, answer, credential }
    }

    /// Who it is, in text form: for the log.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The last token, which the client needs to know that this is the service it meant; empty if it did not ask.
    #[must_use]
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Whether the client forwarded a ticket.
    #[must_use]
    pub fn delegates(&self) -> bool {
        self.credential.is_some()
    }

    /// Finds the account that the principal is, by the one rule there is.
    ///
    /// # Errors
    /// - [`PrincipalError`]; what the client delegated is gone.
    pub fn sign_in(self, rule: &RealmRule, supervisor: &Supervisor) -> Result<SignedIn, PrincipalError> {
        let account = rule.account(&self.principal, supervisor)?;
        Ok(SignedIn { account, credential: self.credential })
    }
}

/// An account whose principal proved who it is.
#[derive(Debug)]
pub struct SignedIn {
    account: Account,
    credential: Option<Arc<dyn DelegatedCredential>>,
}

impl SignedIn {
    /// The account.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Makes the client: at level Delegation if it forwarded a ticket that is good, else at level Impersonation.
    ///
    /// # Errors
    /// - As [`Server::logon`].
    pub fn logon(self, server: &Server) -> Result<ClientContext, LogonError> {
        match delegation::good(self.credential.as_ref()) {
            Ok(credential) => {
                server.logon_delegated(LogonKind::Network, &self.account.identity, Arc::clone(credential))
            }
            Err(DelegationError::NotDelegated | DelegationError::Expired | DelegationError::Revoked) => {
                server.logon(LogonKind::Network, &self.account.identity)
            }
        }
    }

    /// Makes the client at one level. What it delegated is dropped unless the level is Delegation.
    ///
    /// # Errors
    /// - [`LogonError::Delegation`] for level Delegation, if the client forwarded nothing or what it forwarded has ended. The
    ///   server's own credential is never used instead.
    /// - Others as [`Server::logon_with`].
    pub fn logon_at(self, server: &Server, level: ImpersonationLevel) -> Result<ClientContext, LogonError> {
        if level != ImpersonationLevel::Delegation {
            let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
            return server.logon_with(LogonKind::Network, &self.account.identity, qos);
        }
        let credential = delegation::good(self.credential.as_ref()).map_err(LogonError::Delegation)?;
        server.logon_delegated(LogonKind::Network, &self.account.identity, Arc::clone(credential))
    }
}
