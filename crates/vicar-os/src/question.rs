//! Could she? The kernel's own answer about a client, for a server that may know who she is and not act as her.
//!
//! At level Identification nothing is ever opened for a client. What remains is to ask: a thread of ours takes the
//! client's kernel identity on, resolves the name as she would and lets the kernel say whether she may
//! (`faccessat2` with `AT_EACCESS`, by the very inode that was found). No code of the caller runs on that thread in the
//! meantime, and the answer is a [`Could`], which holds no descriptor.
//!
//! An answer is about the moment it was given. Whoever acts on it later, with rights of its own, has a race with everybody
//! who may rename or change modes: an object that is judged so must not be named again, and a right that matters is exercised
//! as the client ([`Server::run_as`](crate::Server::run_as)), where the kernel decides about the deed itself. What an
//! answer cannot foresee, because only the deed is judged by it: a program file that is being executed (`ETXTBSY`), an
//! append-only file opened without `O_APPEND`, leases, quotas, a full disk, the sticky bit of a directory.

use crate::enter::{AsClient, EnterError};
use crate::fs::{BeneathPath, Errno, FsError, Links, Root};
use core::fmt;
use std::path::PathBuf;

/// What a client might want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// To read the content of a file, or the names in a directory.
    Read,
    /// To change the content of a file.
    Write,
    /// Both, in one opening.
    ReadAndWrite,
    /// To pass through a directory, or to execute a file.
    Search,
    /// To make names in a directory; to remove them too, unless the directory is sticky.
    ChangeNames,
}

impl Want {
    pub(crate) const fn rights(self) -> rustix::fs::Access {
        use rustix::fs::Access;
        match self {
            Self::Read => Access::READ_OK,
            Self::Write => Access::WRITE_OK,
            Self::ReadAndWrite => Access::READ_OK.union(Access::WRITE_OK),
            Self::Search => Access::EXEC_OK,
            Self::ChangeNames => Access::WRITE_OK.union(Access::EXEC_OK),
        }
    }
}

/// A question: whether a client could do something to what a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The directory beneath which the path lies: absolute, chosen by the administrator. The client walks to it from `/`.
    pub root: PathBuf,
    /// The path, which may be a client's.
    pub path: BeneathPath,
    /// What to do with a link as its last name.
    pub links: Links,
    /// What is wanted.
    pub want: Want,
}

/// The kernel's answer, and nothing else.
///
/// ```compile_fail
/// fn is_a_descriptor<T: std::os::fd::AsFd>() {}
/// is_a_descriptor::<vicar_os::Could>();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an answer that nobody looks at was not asked for"]
pub enum Could {
    /// She could, at that moment.
    Yes,
    /// She could not: she cannot get there, or the right is missing.
    No {
        /// What the kernel said to her.
        errno: Errno,
    },
}

impl Could {
    /// Whether the answer is yes.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// Why there is no answer. Never to be read as yes or as no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// The question could not be put as the client.
    Enter(EnterError),
    /// The path leads to something of which nothing is answered, or the system failed.
    Fs(FsError),
    /// The thread that was to ask is ending, or has too much to do.
    Busy,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enter(error) => error.fmt(f),
            Self::Fs(error) => error.fmt(f),
            Self::Busy => f.write_str("no thread is free to ask"),
        }
    }
}

impl core::error::Error for AskError {}

impl Question {
    /// Puts the question on a thread that has the client's identity.
    pub(crate) fn put(&self, as_client: &AsClient<'_>) -> Result<Could, AskError> {
        let root = match Root::open(as_client, &self.root) {
            Ok(root) => root,
            Err(error) => return answer(error),
        };
        let node = match root.look(as_client, &self.path, self.links) {
            Ok(node) => node,
            Err(error) => return answer(error),
        };
        match node.may(as_client, self.want.rights()) {
            Ok(()) => Ok(Could::Yes),
            Err(error) => answer(error),
        }
    }
}

/// A refusal is an answer; a failure is none.
fn answer(error: FsError) -> Result<Could, AskError> {
    const REFUSALS: [Errno; 9] = [
        Errno::ACCESS,
        Errno::PERM,
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::LOOP,
        Errno::XDEV,
        Errno::ROFS,
        Errno::NAMETOOLONG,
        Errno::NXIO,
    ];
    match error.errno() {
        Some(errno) if REFUSALS.contains(&errno) => Ok(Could::No { errno }),
        Some(_) | None => Err(AskError::Fs(error)),
    }
}
