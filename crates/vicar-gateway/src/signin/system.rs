//! This system's accounts through the supervisor, and this server's right to act as them.

use super::account::{Account, AccountError, Accounts, Logon, LogonRefused};
use vicar_os::supervisor::{Credentials, PamStep, ResolveError, Secret, SignInError, Supervisor};
use vicar_os::{ClientContext, LogonKind, Server, UnixIdentity};

/// PAM_AUTHINFO_UNAVAIL: what knows the passwords could not be reached, whichever was given.
const AUTHINFO_UNAVAIL: i32 = 9;

impl Accounts for Supervisor {
    fn resolve(&self, name: &str) -> Result<Account, AccountError> {
        match Supervisor::resolve(self, name) {
            Ok(account) if self.admit(&account).is_ok() => {
                Ok(Account { name: account.name, identity: account.identity })
            }
            // The password was right, so saying that the account may not tells nothing to a stranger.
            Ok(_) => Err(AccountError::NotAllowed),
            Err(ResolveError::Account(error)) => Err(of_account(error)),
            Err(ResolveError::Unavailable(_)) => Err(AccountError::Unavailable),
            Err(_) => Err(AccountError::Unavailable),
        }
    }

    fn authenticate(&self, service: &str, user: &str, password: &str, remote: &str) -> Result<Account, AccountError> {
        let credentials = Credentials {
            service: service.to_owned(),
            user: user.to_owned(),
            password: Secret::new(password),
            remote_host: Some(remote.to_owned()),
        };
        match Supervisor::authenticate(self, credentials) {
            Ok(account) => Ok(Account { name: account.name, identity: account.identity }),
            Err(error) => Err(of_sign_in(&error)),
        }
    }
}

fn of_account(error: vicar_os::source::AccountError) -> AccountError {
    use vicar_os::source::AccountError as Os;
    match error {
        Os::Failed { .. } => AccountError::Unavailable,
        Os::Name(_) | Os::Unknown | Os::MinusOne | Os::Inconsistent | Os::TooManyGroups { .. } => {
            AccountError::NotAllowed
        }
        _ => AccountError::NotAllowed,
    }
}

/// Whoever is refused before or instead of a look at the password is told what a wrong password is told: anything else
/// would tell strangers which accounts there are. A module that fails in its own way at a wrong password, as pam_exec does,
/// counts as one that refuses: otherwise its errors could be guessed against without being held back.
fn of_sign_in(error: &SignInError) -> AccountError {
    match error {
        SignInError::Malformed(_) | SignInError::WrongCredentials | SignInError::NotAdmitted(_) => AccountError::Denied,
        SignInError::Pam { step: PamStep::Authenticate, code } if *code != AUTHINFO_UNAVAIL => AccountError::Denied,
        SignInError::PasswordExpired
        | SignInError::AccountExpired
        | SignInError::AccountDenied
        | SignInError::Account(_) => AccountError::NotAllowed,
        SignInError::Prompted
        | SignInError::NotAsked
        | SignInError::NoPam
        | SignInError::OldPam
        | SignInError::Pam { .. }
        | SignInError::Unavailable(_) => AccountError::Unavailable,
        _ => AccountError::Unavailable,
    }
}

impl Logon<ClientContext> for Server {
    fn logon(&self, identity: &UnixIdentity) -> Result<ClientContext, LogonRefused> {
        // A password in clear text reached the server over the network: NT calls that kind of logon the same.
        Server::logon(self, LogonKind::NetworkCleartext, identity).map_err(|_refused| LogonRefused)
    }
}
