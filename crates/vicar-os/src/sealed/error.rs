//! Why a sealed worker did not do what it was asked.

use super::SealError;
use crate::enter::EnterError;
use core::fmt;

/// Why there is no answer from a worker. The server is what it was, and so is every other worker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealedError {
    /// The server may not act as the client, or the calling thread acts as one now.
    Enter(EnterError),
    /// All workers that there may be, or all that this client may have, are at work.
    Busy,
    /// The plan has too many directories, or a path that cannot be one.
    BadPlan,
    /// The worker was not sealed; it has ended.
    NotSealed(SealError),
    /// There is no job of that number.
    NoSuchJob,
    /// The request is too long.
    TooLong,
    /// The worker was started without a directory, and so has no files.
    NoDirectory,
    /// The worker ended before it answered: the job panicked, crashed, used more than its limits, or was killed.
    Crashed,
    /// The worker did not answer in time and was killed.
    TimedOut,
    /// What the worker sent is no answer, or more than was accepted; it was killed.
    BadAnswer,
    /// The process that makes workers is gone: none can be made until the server is started again.
    Dead,
    /// A system call failed here.
    Failed {
        /// The call.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
}

impl fmt::Display for SealedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enter(error) => error.fmt(f),
            Self::Busy => f.write_str("all sealed workers are at work"),
            Self::BadPlan => f.write_str("too many directories, or a path that cannot be one"),
            Self::NotSealed(error) => write!(f, "worker not sealed: {error}"),
            Self::NoSuchJob => f.write_str("no such job"),
            Self::TooLong => f.write_str("the request is too long"),
            Self::NoDirectory => f.write_str("the worker has no directory"),
            Self::Crashed => f.write_str("the worker ended before it answered"),
            Self::TimedOut => f.write_str("the worker took too long and was killed"),
            Self::BadAnswer => f.write_str("the worker's answer is none; it was killed"),
            Self::Dead => f.write_str("the process that makes workers is gone"),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl core::error::Error for SealedError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Enter(error) => Some(error),
            Self::NotSealed(error) => Some(error),
            Self::Busy
            | Self::BadPlan
            | Self::NoSuchJob
            | Self::TooLong
            | Self::NoDirectory
            | Self::Crashed
            | Self::TimedOut
            | Self::BadAnswer
            | Self::Dead
            | Self::Failed { .. } => None,
        }
    }
}

/// Why one file request of a batch was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// The kernel refused the client.
    Os(i32),
    /// What is there is not what is opened for content: not a regular file (or directory, if one was asked for), or on a file
    /// system of the kernel's own.
    NotServed,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(errno) => std::io::Error::from_raw_os_error(*errno).fmt(f),
            Self::NotServed => f.write_str("not a file whose content is served"),
        }
    }
}

impl core::error::Error for FileError {}
