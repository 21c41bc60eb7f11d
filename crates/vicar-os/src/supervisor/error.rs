//! Why an account was not resolved or a sign-in did not succeed.

use super::admission::Refusal;
use crate::source::AccountError;
use core::fmt;
use rustix::thread::CapabilitySet;

/// Why the supervisor gave no answer; says nothing about the account or the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The supervisor has ended. Nobody can sign in until the server is started again.
    Dead,
    /// No answer within the time limit.
    TimedOut,
    /// Too many requests are waiting.
    Busy,
    /// The process that worked on the answer ended without one.
    Crashed,
    /// A system call failed.
    Failed {
        /// The call.
        operation: Operation,
        /// What the kernel answered.
        errno: i32,
    },
}

/// A system call that the supervisor or its caller needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Making a process.
    Fork,
    /// Making a pipe.
    Pipe,
    /// Sending to the supervisor.
    Send,
    /// Receiving from the supervisor.
    Receive,
    /// Waiting for a descriptor.
    Poll,
    /// Closing what a new process must not have.
    Close,
    /// Taking on the shape of a helper process: session, signals, limits, name.
    Shape,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fork => "fork",
            Self::Pipe => "pipe2",
            Self::Send => "sendto",
            Self::Receive => "recvfrom",
            Self::Poll => "poll",
            Self::Close => "close_range",
            Self::Shape => "preparing a helper process",
        })
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dead => f.write_str("the supervisor process has ended"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Busy => f.write_str("too many requests are waiting"),
            Self::Crashed => f.write_str("the helper process ended without an answer"),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl core::error::Error for Unavailable {}

/// Why a name or user id was not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is no usable account.
    Account(AccountError),
    /// There was no answer.
    Unavailable(Unavailable),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(error) => error.fmt(f),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Account(error) => Some(error),
            Self::Unavailable(error) => Some(error),
        }
    }
}

/// A part of the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The PAM service.
    Service,
    /// The user's name.
    User,
    /// The password.
    Password,
    /// The remote host.
    RemoteHost,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Password => "password",
            Self::RemoteHost => "remote host",
        })
    }
}

/// A call of the PAM library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PamStep {
    /// pam_start or pam_start_confdir.
    Start,
    /// pam_set_item.
    SetItem,
    /// pam_authenticate.
    Authenticate,
    /// pam_acct_mgmt.
    AccountManagement,
    /// pam_get_item (PAM_USER).
    GetUser,
}

impl fmt::Display for PamStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "pam_start",
            Self::SetItem => "pam_set_item",
            Self::Authenticate => "pam_authenticate",
            Self::AccountManagement => "pam_acct_mgmt",
            Self::GetUser => "pam_get_item",
        })
    }
}

/// Why a sign-in did not succeed.
///
/// For the log. A client learns only that it was refused: which of these it was can tell it who exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignInError {
    /// A part of the credentials is empty, too long or has a zero byte; nobody was asked.
    Malformed(Field),
    /// User and password do not belong together, or there is no such user.
    WrongCredentials,
    /// The password was right and must be changed before it can be used again.
    PasswordExpired,
    /// The account has expired.
    AccountExpired,
    /// The account may not be used now, from there, or for this service.
    AccountDenied,
    /// The account is not one that may sign in here.
    NotAdmitted(Refusal),
    /// The service wanted something else than one password: a code, a new password, an answer shown on the screen.
    Prompted,
    /// The service accepted without asking for the password.
    NotAsked,
    /// The PAM library is not on this system. Debian calls it `libpam0g`, Fedora `pam-libs`, Arch and Alpine
    /// `pam` and `linux-pam`.
    NoPam,
    /// The PAM library lacks a function: it is older than Linux-PAM 1.4 and a configuration directory was given, or it
    /// is another implementation.
    OldPam,
    /// The service could not be started or a module failed.
    Pam {
        /// The call that failed.
        step: PamStep,
        /// What it returned.
        code: i32,
    },
    /// The user that PAM returned is no usable account.
    Account(AccountError),
    /// There was no answer.
    Unavailable(Unavailable),
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(field) => write!(f, "{field} is empty, too long or has a zero byte"),
            Self::WrongCredentials => f.write_str("wrong user or password"),
            Self::PasswordExpired => f.write_str("the password has expired"),
            Self::AccountExpired => f.write_str("the account has expired"),
            Self::AccountDenied => f.write_str("the account may not be used now"),
            Self::NotAdmitted(refusal) => refusal.fmt(f),
            Self::Prompted => f.write_str("the service asked for more than one password"),
            Self::NotAsked => f.write_str("the service accepted without asking for the password"),
            Self::NoPam => f.write_str("libpam.so.0 is not installed (Debian: libpam0g, Fedora: pam-libs)"),
            Self::OldPam => f.write_str("libpam.so.0 lacks a needed function (Linux-PAM 1.4 or later has it)"),
            Self::Pam { step, code } => write!(f, "{step} returned {code}"),
            Self::Account(error) => error.fmt(f),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SignInError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NotAdmitted(refusal) => Some(refusal),
            Self::Account(error) => Some(error),
            Self::Unavailable(error) => Some(error),
            Self::Malformed(_)
            | Self::WrongCredentials
            | Self::PasswordExpired
            | Self::AccountExpired
            | Self::AccountDenied
            | Self::Prompted
            | Self::NotAsked
            | Self::NoPam
            | Self::OldPam
            | Self::Pam { .. } => None,
        }
    }
}

/// Why there is no supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForkError {
    /// This process has more than one thread, or `/proc` cannot say: fork such processes first.
    ManyThreads,
    /// A system call failed, here or in the new process.
    Failed {
        /// The call.
        operation: Operation,
        /// What the kernel answered.
        errno: i32,
    },
    /// This process lacks capabilities that the new one cannot do without.
    Lacks(Missing),
    /// The new process did not report in time.
    NotReady,
}

/// Capabilities that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub(crate) CapabilitySet);

impl Missing {
    /// Their names, such as `CAP_KILL`.
    pub fn names(self) -> impl Iterator<Item = String> {
        self.0.iter_names().map(|(name, _)| format!("CAP_{name}"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names().collect();
        f.write_str(&names.join(" and "))
    }
}

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyThreads => {
                f.write_str("a process for the server can be forked only while the server has one thread")
            }
            Self::Lacks(missing) => write!(f, "this process needs {missing} for it"),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::NotReady => f.write_str("the supervisor did not report in time"),
        }
    }
}

impl core::error::Error for ForkError {}
