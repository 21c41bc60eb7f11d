//! Why the queue did not do what it was asked.

use crate::enter::EnterError;
use core::fmt;
use vicar_nt::{NtStatus, Privilege};

/// Why the queue itself refused a task. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The message is none, or brought other descriptors than its task needs.
    Malformed,
    /// Nobody is registered under this number, or no longer.
    Unknown,
    /// The subject of the message is not the one who is registered under its number.
    Mismatch,
    /// The subject was captured below level Impersonation.
    BelowImpersonation,
    /// The subject does not hold the privilege, or had it switched off.
    NotHeld,
    /// The options do not allow what was asked: user 0 or group 0 as an owner, somebody vouched for by the server.
    NotAllowed,
    /// As many tasks are at work and waiting as there may be.
    Busy,
    /// The audit trail cannot be written.
    NoAudit,
}

impl Refusal {
    pub(super) const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Unknown,
        Self::Mismatch,
        Self::BelowImpersonation,
        Self::NotHeld,
        Self::NotAllowed,
        Self::Busy,
        Self::NoAudit,
    ];

    /// The word in the audit trail.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown-subject",
            Self::Mismatch => "other-subject",
            Self::BelowImpersonation => "below-impersonation",
            Self::NotHeld => "privilege-not-held",
            Self::NotAllowed => "not-allowed",
            Self::Busy => "busy",
            Self::NoAudit => "no-audit",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the message is none",
            Self::Unknown => "the subject is not registered",
            Self::Mismatch => "another subject is registered under this number",
            Self::BelowImpersonation => "the subject was captured below level Impersonation",
            Self::NotHeld => "the subject does not hold the privilege",
            Self::NotAllowed => "the queue's options do not allow this",
            Self::Busy => "the queue is full",
            Self::NoAudit => "the audit trail cannot be written",
        })
    }
}

/// Why a task was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElevatedError {
    /// The server may not act as the client.
    Enter(EnterError),
    /// The client's token does not hold the privilege, or has it switched off.
    NotHeld(Privilege),
    /// The work queue of the server refused.
    Status(NtStatus),
    /// The queue refused.
    Refused(Refusal),
    /// The kernel refused the client with its privilege.
    Os(i32),
    /// What is there is neither a regular file nor a directory, or on a file system of the kernel's own.
    NotServed,
    /// The task took too long; its process was killed.
    TimedOut,
    /// The task's process ended before it answered.
    Crashed,
    /// The answer is none.
    Malformed,
    /// The queue is gone: nothing is done with privileges until the server is started again.
    Dead,
    /// A system call failed here.
    Failed {
        /// The call.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
}

impl fmt::Display for ElevatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enter(error) => error.fmt(f),
            Self::NotHeld(privilege) => write!(f, "the client does not hold {}", privilege.name()),
            Self::Status(status) => write!(f, "work queue: {status}"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Os(errno) => std::io::Error::from_raw_os_error(*errno).fmt(f),
            Self::NotServed => f.write_str("neither a regular file nor a directory that is served"),
            Self::TimedOut => f.write_str("the task took too long and was ended"),
            Self::Crashed => f.write_str("the task's process ended before it answered"),
            Self::Malformed => f.write_str("the answer is none"),
            Self::Dead => f.write_str("the elevated queue is gone"),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl core::error::Error for ElevatedError {}
