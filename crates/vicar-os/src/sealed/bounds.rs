//! Restrictions beyond what the client's own rights are: Landlock.

use super::SealError;
use crate::sys::landlock::{self, Ruleset};
use core::fmt;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// What a sealed process may reach of what its client may reach.
///
/// A restriction that this kernel cannot enforce is refused when the process is sealed, never left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Bounds {
    /// Everything.
    #[default]
    Everything,
    /// Everything, and nothing of it can be changed: no write, no creation, no removal, no change of mode, owner, attribute or
    /// time. `/dev/null` and `/dev/full` may be written, and descriptors that were open before.
    ///
    /// About files only: what the client can make *other* programs change, through a socket, is not in it.
    ReadOnly,
    /// What lies beneath some directories.
    Beneath(Beneath),
}

/// Directories beneath which a sealed process may work.
///
/// Contents and names only: looking at a file (`stat`, `readlink`, `access`, `chdir`) is not restricted by Landlock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Beneath {
    directories: Vec<PathBuf>,
    read_only: bool,
    programs: bool,
}

impl Beneath {
    /// Reading and changing beneath `directory` and nowhere else. The client must be able to reach it.
    ///
    /// Modes, owners, attributes and times can be changed through an open descriptor only, because calls that take a name
    /// are not covered by Landlock and are refused.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directories: vec![directory], read_only: false, programs: false }
    }

    /// Beneath this directory as well.
    #[must_use]
    pub fn and(mut self, directory: PathBuf) -> Self {
        self.directories.push(directory);
        self
    }

    /// Nothing can be changed there either.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The system's programs, libraries and settings (`/usr`, `/bin`, `/sbin`, `/lib`, `/lib32`, `/lib64`, `/libx32`, `/etc`)
    /// may be read and executed, and `/dev/zero`, `/dev/random`, `/dev/urandom` read: what a program needs to run at all.
    #[must_use]
    pub const fn with_programs(mut self) -> Self {
        self.programs = true;
        self
    }

    pub(super) const fn has_programs(&self) -> bool {
        self.programs
    }

    pub(super) const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The directories, as given.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }
}

/// Why this kernel cannot enforce a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLandlock {
    /// It has no Landlock, or it is switched off.
    Missing,
    /// Its version of Landlock does not cover what would have to be.
    TooOld {
        /// The version it has.
        version: u32,
        /// The version that is needed: the first that covers truncation.
        needed: u32,
    },
}

impl fmt::Display for NoLandlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("this kernel has no Landlock, or it is switched off"),
            Self::TooOld { version, needed } => write!(f, "Landlock version {version} is too old: {needed} is needed"),
        }
    }
}

/// The first version that covers truncate(2); before it, a file could be emptied by whoever must not write it.
const NEEDED: u32 = 3;

/// The version of Landlock that this kernel enforces.
///
/// # Errors
/// - [`NoLandlock`] when it cannot enforce [`Bounds`] other than [`Bounds::Everything`].
///
/// # Source
/// landlock(7), "ABI versions": 3 (Linux 6.2) covers truncation, 5 (6.10) device requests, 6 (6.12) signals and abstract
/// sockets.
pub fn landlock_version() -> Result<u32, NoLandlock> {
    match landlock::version() {
        Ok(version) if version < NEEDED => Err(NoLandlock::TooOld { version, needed: NEEDED }),
        Ok(version) => Ok(version),
        Err(_) => Err(NoLandlock::Missing),
    }
}

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIRECTORY: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const DEVICE_REQUESTS: u64 = 1 << 15;
/// Removing, making, linking across directories: bits 4 to 13.
const NAMES: u64 = 0x3FF0;
const READING: u64 = EXECUTE | READ_FILE | READ_DIRECTORY;
const CHANGING: u64 = WRITE_FILE | NAMES | TRUNCATE;
/// What a rule about something that is no directory may name.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_REQUESTS;
/// Connecting to abstract sockets and signalling processes outside.
const OUTSIDE: u64 = 3;

const PROGRAMS: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"];
const SINKS: [&str; 2] = ["/dev/null", "/dev/full"];
const SOURCES: [&str; 3] = ["/dev/zero", "/dev/random", "/dev/urandom"];
/// A file that everybody may write, and no sealed process: opening it tells whether the restriction is there.
const WITNESS: &str = "/dev/zero";

/// Puts the restrictions on the calling thread, for good, and tries that they are there.
pub(super) fn enforce(bounds: &Bounds) -> Result<(), SealError> {
    let version = match bounds {
        Bounds::Everything => return Ok(()),
        Bounds::ReadOnly | Bounds::Beneath(_) => landlock_version().map_err(SealError::Landlock)?,
    };
    let device_requests = if version >= 5 { DEVICE_REQUESTS } else { 0 };
    let scoped = if version >= 6 { OUTSIDE } else { 0 };
    let handled = device_requests
        | CHANGING
        | match bounds {
            Bounds::Everything | Bounds::ReadOnly => 0,
            Bounds::Beneath(_) => READING,
        };
    let rules = Rules { set: Ruleset::new(handled, scoped).map_err(failed("landlock_create_ruleset"))?, handled };
    for path in SINKS {
        rules.allow_if_there(path, READ_FILE | WRITE_FILE | TRUNCATE)?;
    }
    if let Bounds::Beneath(beneath) = bounds {
        let allowed = if beneath.read_only { READING } else { READING | CHANGING };
        for directory in &beneath.directories {
            let place = look(directory)
                .map_err(|errno| SealError::Directory { path: directory.clone(), errno: errno.raw_os_error() })?;
            rules.allow(&place, allowed)?;
        }
        if beneath.programs {
            PROGRAMS.iter().try_for_each(|path| rules.allow_if_there(path, READING))?;
            SOURCES.iter().try_for_each(|path| rules.allow_if_there(path, READ_FILE))?;
        }
    }
    let witness = || rustix::fs::open(WITNESS, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty());
    let before = witness().is_ok();
    rules.set.restrict_self().map_err(failed("landlock_restrict_self"))?;
    if before && witness().is_ok() {
        return Err(SealError::NotProven("a file can be written that is out of bounds"));
    }
    Ok(())
}

struct Rules {
    set: Ruleset,
    handled: u64,
}

impl Rules {
    fn allow(&self, place: &OwnedFd, access: u64) -> Result<(), SealError> {
        let seen = rustix::fs::fstat(place).map_err(failed("fstat"))?;
        let is_directory = FileType::from_raw_mode(seen.st_mode) == FileType::Directory;
        let possible = if is_directory { self.handled } else { self.handled & OF_FILES };
        if access & possible == 0 {
            return Ok(());
        }
        self.set.allow(place.as_fd(), access & possible).map_err(failed("landlock_add_rule"))
    }

    /// A system without the file, or a client that may not reach it, has nothing to allow.
    fn allow_if_there(&self, path: impl AsRef<Path>, access: u64) -> Result<(), SealError> {
        look(path.as_ref()).map_or(Ok(()), |place| self.allow(&place, access))
    }
}

fn look(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> SealError {
    move |errno| SealError::Failed { operation, errno: errno.raw_os_error() }
}
