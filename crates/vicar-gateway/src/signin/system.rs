//! This system's accounts through the supervisor, and this server's right to act as them.

use super::account::{Account, AccountError, Accounts, Logon, LogonRefused};
use vicar_os::supervisor::{Credentials, PamStep, ResolveError, Secret, SignInError, Supervisor, Unavailable};
use vicar_os::{ClientContext, KernelGid, KernelUid, LogonKind, Server, UnixIdentity};

/// PAM_AUTHINFO_UNAVAIL: what knows the passwords could not be reached, whichever was given.
const AUTHINFO_UNAVAIL: i32 = 9;

impl Accounts for Supervisor {
    fn resolve(&self, name: &str) -> Result<Account, AccountError> {
        match Supervisor::resolve(self, name) {
            Ok(account) if self.admit(&account).is_ok() => {
                Ok(Account { name: account.name, identity: account.identity })
            }
            // The password was right, so saying that the account may not tells nothing to a stranger.
            Ok(_) => Err(AccountError::NotAllowed("not-admitted")),
            Err(ResolveError::Account(error)) => Err(of_account(error)),
            Err(ResolveError::Unavailable(error)) => Err(AccountError::Unavailable(of_unavailable(error))),
            Err(_) => Err(AccountError::Unavailable("resolve")),
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
        Os::Failed { .. } => AccountError::Unavailable("account-database"),
        Os::Name(_) | Os::Unknown => AccountError::NotAllowed("no-such-account"),
        Os::TooManyGroups { .. } => AccountError::NotAllowed("too-many-groups"),
        Os::MinusOne | Os::Inconsistent => AccountError::NotAllowed("unusable-account"),
        _ => AccountError::NotAllowed("unusable-account"),
    }
}

fn of_unavailable(error: Unavailable) -> &'static str {
    match error {
        Unavailable::Dead => "supervisor-ended",
        Unavailable::TimedOut => "supervisor-timed-out",
        Unavailable::Busy => "supervisor-busy",
        Unavailable::Crashed => "helper-ended",
        Unavailable::Failed { .. } => "supervisor-failed",
        _ => "supervisor-failed",
    }
}

/// Whoever is refused before or instead of a look at the password is told what a wrong password is told: anything else
/// would tell strangers which accounts there are. A module that fails in its own way at a wrong password, as pam_exec does,
/// counts as one that refuses: otherwise its errors could be guessed against without being held back.
fn of_sign_in(error: &SignInError) -> AccountError {
    match error {
        SignInError::WrongCredentials => AccountError::Denied("password"),
        SignInError::Malformed(_) => AccountError::Denied("not-a-credential"),
        SignInError::NotAdmitted(_) => AccountError::Denied("not-admitted"),
        SignInError::Pam { step: PamStep::Authenticate, code } if *code != AUTHINFO_UNAVAIL => {
            AccountError::Denied("pam-error")
        }
        SignInError::PasswordExpired => AccountError::NotAllowed("password-expired"),
        SignInError::AccountExpired => AccountError::NotAllowed("account-expired"),
        SignInError::AccountDenied => AccountError::NotAllowed("account-denied"),
        SignInError::Account(error) => match of_account(*error) {
            AccountError::NotAllowed(reason) => AccountError::Denied(reason),
            other @ (AccountError::Denied(_) | AccountError::Unavailable(_)) => other,
        },
        SignInError::Prompted => AccountError::Unavailable("pam-asks-for-more-than-a-password"),
        SignInError::NotAsked => AccountError::Unavailable("pam-did-not-ask-for-the-password"),
        SignInError::NoPam => AccountError::Unavailable("no-pam-library"),
        SignInError::OldPam => AccountError::Unavailable("old-pam-library"),
        SignInError::Pam { .. } => AccountError::Unavailable("pam-error"),
        SignInError::Unavailable(error) => AccountError::Unavailable(of_unavailable(*error)),
        _ => AccountError::Unavailable("sign-in"),
    }
}

impl Logon<ClientContext> for Server {
    fn logon(&self, identity: &UnixIdentity) -> Result<ClientContext, LogonRefused> {
        // The gate would refuse each request; whoever signs in is told at once.
        if self.report().powerless.is_some() && own().as_ref() != Some(identity) {
            return Err(LogonRefused);
        }
        // A password in clear text reached the server over the network: NT calls that kind of logon the same.
        Server::logon(self, LogonKind::NetworkCleartext, identity).map_err(|_refused| LogonRefused)
    }
}

/// Who this process is.
fn own() -> Option<UnixIdentity> {
    let uid = KernelUid::new(rustix::process::geteuid().as_raw())?;
    let gid = KernelGid::new(rustix::process::getegid().as_raw())?;
    let groups = rustix::process::getgroups().ok()?;
    UnixIdentity::new(uid, gid, groups.into_iter().filter_map(|group| KernelGid::new(group.as_raw()))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vicar_os::source::AccountError as Os;

    #[test]
    fn an_account_that_cannot_be_used_is_answered_as_a_wrong_password_is() {
        for error in [Os::Unknown, Os::MinusOne, Os::Inconsistent, Os::TooManyGroups { count: 70_000 }] {
            assert!(matches!(of_sign_in(&SignInError::Account(error)), AccountError::Denied(_)), "{error:?}");
        }
        let failed = Os::Failed { lookup: vicar_os::source::account::Lookup::Name, errno: 5 };
        assert!(matches!(of_sign_in(&SignInError::Account(failed)), AccountError::Unavailable(_)));
    }
}
