//! Why a file operation was not done.

use core::fmt;

pub use rustix::io::Errno;

use super::beneath::NameError;
use super::stat::Kind;
use crate::switch::SwitchError;

/// Why a file operation was not done, and by whom it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FsError {
    /// The kernel refused; the client lacks the right, the thing does not exist, the disk is full.
    Os {
        /// The system call or the step that failed.
        operation: &'static str,
        /// What the kernel answered.
        errno: Errno,
    },
    /// The thing is neither a regular file nor a directory, so its content is not served.
    NotServed {
        /// What it is.
        kind: Kind,
    },
    /// The file system is one of the kernel's own (procfs, sysfs, devfs and the like).
    KernelFileSystem {
        /// The magic number of its type, see statfs(2).
        magic: u64,
    },
    /// More entries than the limit of this call.
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// A tree is deeper than the limit of this call.
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The name cannot be one.
    Name(NameError),
    /// Between the look and the opening, another inode took the place.
    Changed,
    /// The caller's veto, see [`Verdict`](super::Verdict).
    Vetoed,
    /// The root was opened by another client than the one who uses it now.
    ForeignRoot,
    /// The client is restricted, and this cannot be done once for each of its identities; see [`crate::restricted`].
    CannotBeDoneTwice {
        /// What was to be done.
        operation: &'static str,
    },
    /// The client's integrity is below that of every file.
    MayNotWrite,
    /// One of the identities of a restricted client could not be taken on.
    Switch(SwitchError),
}

impl FsError {
    pub(crate) const fn os(operation: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Os { operation, errno }
    }

    /// Returns the kernel's error number, when the kernel is the one who refused.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Os { errno, .. } => Some(*errno),
            Self::NotServed { .. }
            | Self::KernelFileSystem { .. }
            | Self::TooMany { .. }
            | Self::TooDeep { .. }
            | Self::Name(_)
            | Self::Changed
            | Self::Vetoed
            | Self::ForeignRoot
            | Self::CannotBeDoneTwice { .. }
            | Self::MayNotWrite
            | Self::Switch(_) => None,
        }
    }

    /// Whether the kernel answered with this number.
    #[must_use]
    pub fn is(&self, wanted: Errno) -> bool {
        self.errno() == Some(wanted)
    }
}

impl fmt::Display for FsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { operation, errno } => write!(f, "{operation}: {errno}"),
            Self::NotServed { kind } => write!(f, "a {kind} is not served"),
            Self::KernelFileSystem { magic } => write!(f, "file system type {magic:#x} is the kernel's own"),
            Self::TooMany { limit } => write!(f, "more than {limit} entries"),
            Self::TooDeep { limit } => write!(f, "deeper than {limit} directories"),
            Self::Name(error) => error.fmt(f),
            Self::Changed => f.write_str("another file took its place meanwhile"),
            Self::Vetoed => f.write_str("the caller refused"),
            Self::ForeignRoot => f.write_str("this directory was opened by another client"),
            Self::CannotBeDoneTwice { operation } => {
                write!(f, "{operation}: cannot be done once for each identity of a restricted client")
            }
            Self::MayNotWrite => f.write_str("the client's integrity is below that of every file"),
            Self::Switch(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for FsError {}
