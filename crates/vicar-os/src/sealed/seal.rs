//! One process becomes a client for good, and less.

use super::bounds::{self, Bounds, NoLandlock};
use super::filter::{self, Purpose};
use crate::UnixIdentity;
use crate::switch::calls::change_nothing;
use crate::switch::irrevocable::{DropError, Dropped, drop_to};
use core::fmt;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use rustix::thread::SecureComputingMode;
use std::path::PathBuf;
use std::time::Duration;

/// What a process is to be sealed into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Seal {
    /// What it is for.
    pub purpose: Purpose,
    /// What it may reach of what the client may reach.
    pub bounds: Bounds,
    /// How much it may use.
    pub limits: Limits,
}

impl Seal {
    /// Everything the client may reach; no limits but those there are already.
    #[must_use]
    pub const fn new(purpose: Purpose) -> Self {
        Self { purpose, bounds: Bounds::Everything, limits: Limits::NONE }
    }

    /// The same within bounds.
    #[must_use]
    pub fn within(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same with limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// How much a sealed process may use. `None` leaves a limit as it is.
///
/// Memory, processor time and file size are limits of *each* process: a program that makes many has each of them many times.
/// What bounds their number is [`tasks`](Self::tasks). Not bounded are the sum of memory and processor time, disk space
/// (that is the file system's quota) and what is sent over networks; a control group of the service does the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of address space (RLIMIT_AS); the program's own code and stack count.
    pub memory: Option<u64>,
    /// Processor time, rounded up to seconds (RLIMIT_CPU); the process is killed at the end of it.
    pub processor: Option<Duration>,
    /// Open descriptors (RLIMIT_NOFILE).
    pub descriptors: Option<u64>,
    /// Bytes of a file it writes (RLIMIT_FSIZE).
    pub file_size: Option<u64>,
    /// Processes and threads of the client's user (RLIMIT_NPROC), *all* of them on this machine: when there are so many,
    /// neither this process nor what it started can make another (`EAGAIN`).
    pub tasks: Option<u64>,
}

impl Limits {
    /// As it is.
    pub const NONE: Self = Self { memory: None, processor: None, descriptors: None, file_size: None, tasks: None };

    /// The usual limits of a worker: 1 GiB of memory, 1024 descriptors, 1024 tasks of its user.
    pub const WORKER: Self =
        Self { memory: Some(1 << 30), processor: None, descriptors: Some(1024), file_size: None, tasks: Some(1024) };

    /// The same with so many bytes of memory.
    #[must_use]
    pub const fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// The same with so much processor time.
    #[must_use]
    pub const fn processor(self, time: Duration) -> Self {
        Self { processor: Some(time), ..self }
    }

    /// The same with so many tasks of its user.
    #[must_use]
    pub const fn tasks(self, count: u64) -> Self {
        Self { tasks: Some(count), ..self }
    }

    fn set(self) -> Result<(), Errno> {
        let seconds = |time: Duration| time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1);
        let wanted = [
            (Resource::As, self.memory),
            (Resource::Cpu, self.processor.map(seconds)),
            (Resource::Nofile, self.descriptors),
            (Resource::Fsize, self.file_size),
            (Resource::Nproc, self.tasks),
            (Resource::Core, Some(0)),
        ];
        for (resource, limit) in wanted {
            let Some(limit) = limit else { continue };
            // Never more than it was: a process without rights could not raise it.
            let most = rustix::process::getrlimit(resource).maximum;
            let limit = most.map_or(limit, |most| most.min(limit));
            rustix::process::setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
        }
        Ok(())
    }
}

/// Evidence that this process is a client for good, and sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    dropped: Dropped,
}

impl Sealed {
    /// Who this process is now, and what became of the bounding set.
    #[must_use]
    pub const fn dropped(&self) -> &Dropped {
        &self.dropped
    }
}

/// Why a process is not sealed. It may be half of it: it must end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// It did not become the client for good.
    Dropped(DropError),
    /// This kernel cannot enforce the bounds.
    Landlock(NoLandlock),
    /// A directory of the bounds is not there for the client.
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel answered.
        errno: i32,
    },
    /// A system call failed.
    Failed {
        /// The call.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
    /// Every step succeeded, and still this is so.
    NotProven(&'static str),
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(error) => error.fmt(f),
            Self::Landlock(error) => error.fmt(f),
            Self::Directory { path, errno } => {
                write!(f, "{}: {}", path.display(), std::io::Error::from_raw_os_error(*errno))
            }
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::NotProven(what) => write!(f, "sealing did not work: {what}"),
        }
    }
}

impl core::error::Error for SealError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Dropped(error) => Some(error),
            Self::Landlock(_) | Self::Directory { .. } | Self::Failed { .. } | Self::NotProven(_) => None,
        }
    }
}

/// Makes this process `identity` and nothing else, for good, as [`drop_to`], and seals it.
///
/// In this order: the drop and its proof; limits; the bounds, whose directories are opened as the client; the system call
/// filter. Then what must fail is tried: a file out of bounds, and a call that was without effect before the filter.
///
/// # Errors
/// - [`SealError::Dropped`] with [`DropError::ManyThreads`] or [`DropError::Root`]: nothing was changed.
/// - any other: the process is in between and must end at once.
///
/// # Identity
/// Changes the calling thread, which is the whole process.
///
/// # Source
/// landlock(7), seccomp(2), setrlimit(2).
pub fn seal(identity: &UnixIdentity, seal: &Seal) -> Result<Sealed, SealError> {
    let dropped = drop_to(identity).map_err(SealError::Dropped)?;
    close(seal)?;
    Ok(Sealed { dropped })
}

/// The part of [`seal()`] that comes after the drop.
pub(super) fn close(seal: &Seal) -> Result<(), SealError> {
    let failed = |operation| move |errno: Errno| SealError::Failed { operation, errno: errno.raw_os_error() };
    seal.limits.set().map_err(failed("setrlimit"))?;
    bounds::enforce(&seal.bounds)?;
    change_nothing().map_err(failed("setresuid"))?;
    filter::install(seal.purpose, &seal.bounds).map_err(failed("seccomp"))?;
    if change_nothing().is_ok() {
        return Err(SealError::NotProven("a call is made that the filter refuses"));
    }
    match (seal.purpose, rustix::thread::secure_computing_mode()) {
        (Purpose::Execute, Ok(SecureComputingMode::Filter)) | (Purpose::Parse | Purpose::Files, Err(Errno::PERM)) => {
            Ok(())
        }
        _ => Err(SealError::NotProven("the kernel shows no filter")),
    }
}
