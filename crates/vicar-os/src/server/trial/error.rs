//! Why a trial of a road did not pass.

use crate::fs::NameError;
use crate::sealed::{FileError, SealedError};
use crate::{AdoptError, EnterError, LogonError, MailboxError, Misuse, RunError};
use core::fmt;

/// Why a road is not open, must not be used, or is not known to work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrialError {
    /// The road gave no answer: it is closed here.
    Refused(Refused),
    /// The kernel allowed or refused what it must not, or showed somebody else: the road must not be used.
    Wrong(&'static str),
    /// The trial itself could not be made, so nothing is known of the road.
    Broken {
        /// What was being done.
        what: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
}

/// What a road said instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// A throw-away client could not be logged on.
    Logon(LogonError),
    /// The client could not be acted as.
    Enter(EnterError),
    /// The client threads did not run the job.
    Run(RunError),
    /// A thread could not become a client thread.
    Adopt(AdoptError),
    /// A thread could not be registered.
    Misuse(Misuse),
    /// The other thread did not take the client on.
    Mailbox(MailboxError),
    /// There was no sealed worker, or it gave no answer.
    Sealed(SealedError),
    /// A sealed worker did not do what it was asked.
    File(FileError),
    /// A name of the trial's files is none.
    Name(NameError),
    /// The number of a throw-away client is no id.
    NoId(u32),
    /// A thread could not be made.
    NoThread(i32),
    /// The other thread said nothing in time.
    Silent,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logon(error) => error.fmt(f),
            Self::Enter(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Adopt(error) => error.fmt(f),
            Self::Misuse(error) => error.fmt(f),
            Self::Mailbox(error) => error.fmt(f),
            Self::Sealed(error) => error.fmt(f),
            Self::File(error) => error.fmt(f),
            Self::Name(error) => error.fmt(f),
            Self::NoId(id) => write!(f, "{id} is no id here"),
            Self::NoThread(errno) => write!(f, "making a thread: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::Silent => f.write_str("the thread that was told to act as the client said nothing in time"),
        }
    }
}

impl fmt::Display for TrialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => why.fmt(f),
            Self::Wrong(what) => f.write_str(what),
            Self::Broken { what, errno } => write!(f, "{what}: {}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

impl core::error::Error for TrialError {}

/// A variant of [`Refused`] for each error that a road has.
macro_rules! of {
    ($($variant:ident($error:ty)),* $(,)?) => {
        $(
            impl From<$error> for TrialError {
                fn from(error: $error) -> Self {
                    Self::Refused(Refused::$variant(error))
                }
            }
        )*
    };
}

of!(
    Logon(LogonError),
    Enter(EnterError),
    Run(RunError),
    Adopt(AdoptError),
    Misuse(Misuse),
    Mailbox(MailboxError),
    Sealed(SealedError),
    File(FileError),
    Name(NameError),
);
