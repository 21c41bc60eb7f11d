//! A process of its own that keeps the starting rights: it looks accounts up and signs people in.
//!
//! A server forks its supervisor while it has one thread and before it gives up its powers. The supervisor opens no
//! file of a client and listens to nobody but the server: short typed messages over one socket. It does no work itself
//! either. Each look-up and each PAM conversation runs in a helper process, limited in number and time, because name
//! service and PAM modules may block, crash, change the process's ids or leave threads behind.
//!
//! [`Supervisor`] is the server's end; [`SupervisorOptions`] its limits; [`admission`] decides who may sign in at all.
//! When the supervisor ends, every call says so at once ([`Unavailable::Dead`]): nobody signs in until the server is
//! started again. When the server ends, so does the supervisor.
//!
//! It never opens a session or sets credentials through PAM (`pam_open_session`, `pam_setcred`), and groups that
//! modules would add there are not seen.

pub mod admission;
pub(crate) mod apart;
mod channel;
mod errand;
pub mod error;
mod secret;
mod serve;
mod wire;

pub(crate) use channel::timespec;
pub use error::{Field, ForkError, Missing, Operation, PamStep, ResolveError, SignInError, Unavailable};
pub use secret::Secret;

use crate::elevated::Registrar;
use crate::source::Account;
use crate::sys::fork::{self, Side};
use channel::Channel;
use core::fmt;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags, WaitOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::{Ask, SignIn};

/// How long the new process may take to report, and to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a PAM service may accept somebody without having asked for the password.
///
/// A service made for another program may contain `pam_rootok`: it accepts everybody whom root asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// Such a sign-in is refused.
    Refuse,
    /// Such a sign-in counts.
    Accept,
}

/// The limits and rules of a supervisor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorOptions {
    /// Who may sign in.
    pub admission: admission::Policy,
    /// Most PAM conversations at a time.
    pub conversations: usize,
    /// Longest time for one conversation; its process is killed after that.
    pub conversation_limit: Duration,
    /// Most look-ups at a time.
    pub lookups: usize,
    /// Longest time for one look-up; its process is killed after that.
    pub lookup_limit: Duration,
    /// Most requests waiting for their turn.
    pub waiting: usize,
    /// A directory with PAM service files to use instead of the system's.
    pub confdir: Option<PathBuf>,
    /// Whether acceptance without a password prompt counts.
    pub unasked: Unasked,
}

impl SupervisorOptions {
    /// The usual limits: 16 conversations of 30 seconds, 8 look-ups of 10 seconds, 256 waiting.
    #[must_use]
    pub const fn new(admission: admission::Policy) -> Self {
        Self {
            admission,
            conversations: 16,
            conversation_limit: Duration::from_secs(30),
            lookups: 8,
            lookup_limit: Duration::from_secs(10),
            waiting: 256,
            confdir: None,
            unasked: Unasked::Refuse,
        }
    }
}

/// What somebody presents to sign in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The PAM service, a file name below `/etc/pam.d`: letters, digits, `-` and `_`.
    pub service: String,
    /// The user's name as typed.
    pub user: String,
    /// The password as typed, at most 511 bytes.
    pub password: Secret,
    /// The client's address (PAM_RHOST), for modules that decide by it.
    pub remote_host: Option<String>,
}

/// The server's end of its supervisor. Cheap to clone; may be used from many threads at once.
///
/// Calls block, so an asynchronous server makes them on a thread that may wait. Never call them while impersonating.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    channel: Channel,
    process: Pid,
    options: SupervisorOptions,
}

impl Supervisor {
    /// Forks the supervisor.
    ///
    /// # Errors
    /// - [`ForkError::ManyThreads`] when this process has more than one thread.
    /// - [`ForkError::Failed`], [`ForkError::NotReady`] when the new process could not be made or prepared; it has
    ///   ended or is ending.
    ///
    /// # Identity
    /// The supervisor keeps the identity and capabilities of the calling thread. It is in a session of its own, cannot
    /// be dumped or traced by others, has no descriptor but its socket, and ends when this process does.
    ///
    /// # Source
    /// fork(2), setsid(2), prctl(2) PR_SET_DUMPABLE, pidfd_open(2).
    pub fn fork(options: SupervisorOptions) -> Result<Self, ForkError> {
        Self::fork_with(options, None)
    }

    /// As [`Self::fork`]; with a registrar, whoever signs in is registered with the elevated queue.
    pub(crate) fn fork_with(options: SupervisorOptions, registrar: Option<Registrar>) -> Result<Self, ForkError> {
        let failed = |operation| move |errno: Errno| ForkError::Failed { operation, errno: errno.raw_os_error() };
        let (near, far) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(failed(Operation::Pipe))?;
        let server = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map_err(failed(Operation::Fork))?;
        let process = match fork::fork() {
            Ok(Side::Child) => serve::main(far, server, registrar, options),
            Ok(Side::Parent { child }) => child,
            Err(Errno::BUSY) => return Err(ForkError::ManyThreads),
            Err(errno) => return Err(failed(Operation::Fork)(errno)),
        };
        // Whoever holds the registrar says who signed in: that is the supervisor alone.
        drop((far, server, registrar));
        let inner = Inner { channel: Channel::new(near), process, options };
        inner.channel.await_ready(PATIENCE)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Looks an account up by name.
    ///
    /// Says nothing about whether it may sign in; see [`Self::admit`].
    ///
    /// # Errors
    /// - [`ResolveError::Account`] as for [`crate::source::account::by_name`].
    /// - [`ResolveError::Unavailable`] when there was no answer.
    ///
    /// # Cost
    /// A message each way, a fork and the databases.
    pub fn resolve(&self, name: &str) -> Result<Account, ResolveError> {
        // A name that cannot be one is answered here, whatever its length.
        crate::source::name::check(name)
            .map_err(|error| ResolveError::Account(crate::source::AccountError::Name(error)))?;
        self.lookup(Ask::Name(name.to_owned()))
    }

    /// Looks an account up by user id.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub fn resolve_uid(&self, uid: u32) -> Result<Account, ResolveError> {
        self.lookup(Ask::Uid(uid))
    }

    fn lookup(&self, ask: Ask) -> Result<Account, ResolveError> {
        match self.inner.channel.call(ask, patience(self.inner.options.lookup_limit)) {
            Ok(Ok(account)) => Ok(account),
            Ok(Err(SignInError::Account(error))) => Err(ResolveError::Account(error)),
            Ok(Err(SignInError::Unavailable(error))) | Err(error) => Err(ResolveError::Unavailable(error)),
            Ok(Err(
                SignInError::Malformed(_)
                | SignInError::WrongCredentials
                | SignInError::PasswordExpired
                | SignInError::AccountExpired
                | SignInError::AccountDenied
                | SignInError::NotAdmitted(_)
                | SignInError::Prompted
                | SignInError::NotAsked
                | SignInError::NoPam
                | SignInError::OldPam
                | SignInError::Pam { .. },
            )) => Err(ResolveError::Unavailable(Unavailable::Crashed)),
        }
    }

    /// Signs somebody in: the password through `pam_authenticate`, the account through `pam_acct_mgmt`, then the
    /// account of the user that PAM ended with, its groups, and whether it may sign in at all.
    ///
    /// An account that may not sign in is refused before PAM sees the password. The delay that modules ask for after
    /// a failure is observed. A refusal without modules is therefore the quickest: whoever hands refusals to strangers
    /// holds all of them back to one time, or the time tells which names are such accounts.
    ///
    /// # Errors
    /// - [`SignInError`]; [`SignInError::Unavailable`] says nothing about the credentials.
    ///
    /// # Cost
    /// A message each way, a fork, and the modules: about 50 ms for a yescrypt password. Remember the result.
    ///
    /// # Source
    /// pam_authenticate(3), pam_acct_mgmt(3).
    pub fn authenticate(&self, credentials: Credentials) -> Result<Account, SignInError> {
        let sign_in = checked(credentials)?;
        self.inner
            .channel
            .call(Ask::SignIn(sign_in), patience(self.inner.options.conversation_limit))
            .map_err(SignInError::Unavailable)?
    }

    /// Decides whether an account may sign in, by the same policy that [`Self::authenticate`] uses.
    ///
    /// # Errors
    /// - [`admission::Refusal`] naming the rule.
    pub fn admit(&self, account: &Account) -> Result<(), admission::Refusal> {
        admission::admit(&self.inner.options.admission, account)
    }

    /// Whether the supervisor is there to answer.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner.channel.is_alive()
    }

    /// The supervisor's process id, for the log.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.process.as_raw_nonzero().get().unsigned_abs()
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("process", &self.inner.process).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// Ends the supervisor and waits a moment for it, so that no zombie stays.
    fn drop(&mut self) {
        self.channel.hang_up();
        let start = Instant::now();
        while let Ok(None) = rustix::process::waitpid(Some(self.process), WaitOptions::NOHANG) {
            if start.elapsed() > PATIENCE {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How long a caller waits: for its turn, for the work, and for the messages.
const fn patience(limit: Duration) -> Duration {
    limit.saturating_mul(2).saturating_add(serve::MOST_DELAY).saturating_add(PATIENCE)
}

/// Checks that the parts of the credentials can be what they are said to be.
fn checked(credentials: Credentials) -> Result<SignIn, SignInError> {
    let Credentials { service, user, password, remote_host } = credentials;
    let sign_in = SignIn { service, user, password, remote_host };
    sign_in.check().map_err(SignInError::Malformed)?;
    Ok(sign_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: &str, user: &str, password: &str, host: Option<&str>, expected: Option<Field>) {
        let credentials = Credentials {
            service: service.into(),
            user: user.into(),
            password: Secret::new(password),
            remote_host: host.map(str::to_owned),
        };
        assert!(!format!("{credentials:?}").contains(password) || password.is_empty());
        let seen = checked(credentials).err();
        assert_eq!(seen, expected.map(SignInError::Malformed), "{service:?} {user:?} {host:?}");
    }

    #[test]
    fn credentials_are_checked_before_anybody_is_asked() {
        check("vicar", "alice", "zq", None, None);
        check("vicar-test_2", "alice", "zq", Some("192.0.2.1"), None);
        for service in ["", "../su", "a/b", ".hidden", "a\0", "a b", &"s".repeat(65)] {
            check(service, "alice", "zq", None, Some(Field::Service));
        }
        for user in ["", "a\0b", &"u".repeat(257)] {
            check("vicar", user, "zq", None, Some(Field::User));
        }
        for password in ["", "z\0q", &"z".repeat(512)] {
            check("vicar", "alice", password, None, Some(Field::Password));
        }
        for host in ["", "h\0", "a b", "h\n", &"h".repeat(256)] {
            check("vicar", "alice", "zq", Some(host), Some(Field::RemoteHost));
        }
    }

    #[test]
    fn a_process_with_threads_forks_no_supervisor() {
        let nobody = crate::KernelUid::new(61_999).unwrap();
        let options = SupervisorOptions::new(admission::Policy::strict(1000, nobody, nobody));
        assert!(matches!(Supervisor::fork(options), Err(ForkError::ManyThreads)));
    }
}
