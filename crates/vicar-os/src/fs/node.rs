//! One inode that was found and looked at, and not yet opened for content.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, accessat, openat, openat2, readlinkat, statx};

use super::content::File;
use super::error::{Errno, FsError};
use super::stat::{Kind, Stat};
use crate::AsClient;
use crate::restricted::{Effect, Judges};

/// What to do with a symbolic link as the last name of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Follow it, if it stays beneath.
    Follow,
    /// Take the link itself.
    Stay,
}

/// A question about access rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// May its content be read?
    Read,
    /// May its content, or the names in it, be changed?
    Write,
    /// May a directory be passed through, together with changing the names in it?
    WriteAndSearch,
}

/// One inode, found as the client; holds it in place of its name.
#[derive(Debug)]
pub struct Node {
    fd: OwnedFd,
    stat: Stat,
}

impl Node {
    pub(crate) const fn holding(fd: OwnedFd, stat: Stat) -> Self {
        Self { fd, stat }
    }

    pub(super) fn find(
        as_client: &AsClient<'_>,
        at: BorrowedFd<'_>,
        path: &OsStr,
        links: Links,
    ) -> Result<Self, FsError> {
        let stay = match links {
            Links::Follow => OFlags::empty(),
            Links::Stay => OFlags::NOFOLLOW,
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC | stay;
        Self::resolve(as_client, at, path, flags, ResolveFlags::empty())
    }

    pub(super) fn find_here(
        as_client: &AsClient<'_>,
        at: BorrowedFd<'_>,
        name: &OsStr,
        stay: ResolveFlags,
    ) -> Result<Self, FsError> {
        Self::resolve(as_client, at, name, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, stay)
    }

    fn resolve(
        as_client: &AsClient<'_>,
        at: BorrowedFd<'_>,
        path: &OsStr,
        flags: OFlags,
        more: ResolveFlags,
    ) -> Result<Self, FsError> {
        let find = |_| {
            let fd = resolve(at, path, flags, more).map_err(FsError::os("look"))?;
            let stat = stat_of(fd.as_fd())?;
            Ok(Self { fd, stat })
        };
        as_client.each(Effect::Reads, find, |one, other| Ok(one.stat.id == other.stat.id))
    }

    /// Returns what the kernel said when it was looked at.
    #[must_use]
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Opens a regular file for reading: this very inode, never waiting.
    ///
    /// # Errors
    /// - [`FsError::NotServed`] when it is not a regular file.
    /// - [`FsError::Os`] when the client may not read it.
    pub fn open_read(&self, as_client: &AsClient<'_>) -> Result<File, FsError> {
        self.open_regular(as_client, OFlags::RDONLY)
    }

    /// Opens a regular file for reading and writing, unchanged; the answer is the client's permission to write.
    ///
    /// A client that may write and not read gets a descriptor that can only write.
    ///
    /// # Errors
    /// - [`FsError::NotServed`] when it is not a regular file.
    /// - [`FsError::Os`] when the client may not write it.
    pub fn open_write(&self, as_client: &AsClient<'_>) -> Result<File, FsError> {
        self.open_regular(as_client, OFlags::WRONLY)
    }

    fn open_regular(&self, as_client: &AsClient<'_>, mode: OFlags) -> Result<File, FsError> {
        match self.stat.kind {
            Kind::Regular => {}
            Kind::Directory
            | Kind::Symlink
            | Kind::Fifo
            | Kind::Socket
            | Kind::CharacterDevice
            | Kind::BlockDevice
            | Kind::Unknown => return Err(FsError::NotServed { kind: self.stat.kind }),
        }
        let fd = self.reopen(as_client, mode)?;
        let stat = stat_of(fd.as_fd())?;
        if stat.id != self.stat.id || stat.kind != Kind::Regular {
            return Err(FsError::Changed);
        }
        Ok(File::holding(fd, stat))
    }

    /// Asks the kernel whether the client has a right, by its effective ids.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the kernel says no (`EACCES`, `EROFS`, ...).
    ///
    /// # Source
    /// faccessat2(2) with `AT_EACCESS`, Linux 5.8; access(2) would answer for the real ids.
    pub fn access(&self, as_client: &AsClient<'_>, access: Access) -> Result<(), FsError> {
        let wanted = match access {
            Access::Read => rustix::fs::Access::READ_OK,
            Access::Write => rustix::fs::Access::WRITE_OK,
            Access::WriteAndSearch => rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
        };
        self.may(as_client, wanted)
    }

    pub(crate) fn may(&self, as_client: &AsClient<'_>, wanted: rustix::fs::Access) -> Result<(), FsError> {
        let write = rustix::fs::Access::WRITE_OK;
        let effect = if wanted.contains(write) { Effect::Writes } else { Effect::Reads };
        let ask = |judges| {
            let wanted = if judges == Judges::Writing { write } else { wanted };
            accessat(CWD, self.magic_path(), wanted, AtFlags::EACCESS).map_err(FsError::os("access"))
        };
        as_client.each(effect, ask, |(), ()| Ok(true))
    }

    /// Returns the text of a symbolic link.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `EINVAL` when it is not a link.
    pub fn read_link(&self, _: &AsClient<'_>) -> Result<CString, FsError> {
        // Asked by descriptor the kernel would say `ENOENT`, and something is there.
        if self.stat.kind != Kind::Symlink {
            return Err(FsError::Os { operation: "read link", errno: Errno::INVAL });
        }
        readlinkat(&self.fd, c"", Vec::new()).map_err(FsError::os("read link"))
    }

    /// Opens this very inode again with other flags, checked against the client's rights now.
    pub(super) fn reopen(&self, as_client: &AsClient<'_>, flags: OFlags) -> Result<OwnedFd, FsError> {
        let quiet = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
        let open = |_| {
            openat(CWD, self.magic_path(), flags | quiet, Mode::empty()).map_err(|errno| match errno {
                // The inode is in our hand, so it is procfs that is not there: the machine's trouble, and no missing file.
                Errno::NOENT => FsError::Os { operation: "open by way of /proc", errno: Errno::NOSYS },
                errno => FsError::Os { operation: "open", errno },
            })
        };
        let is_same = |one: &OwnedFd, other: &OwnedFd| Ok(stat_of(one.as_fd())?.id == stat_of(other.as_fd())?.id);
        as_client.each(if writes { Effect::Writes } else { Effect::Reads }, open, is_same)
    }

    /// The one magic link we follow ourselves: our own descriptor, by its number.
    pub(crate) fn magic_path(&self) -> String {
        magic_path(self.fd.as_fd())
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(crate) fn magic_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// How often a path is walked again when a rename disturbed it. Any rename of the machine disturbs every `..` that is
/// being walked, so whoever renames all the time must not make the links of others fail: a walk through forty of them was
/// disturbed once in four tries by nothing but a busy machine.
pub(crate) const TRIES: u32 = 64;

/// Resolves a path beneath a directory; tries again when a rename anywhere disturbed `..` (`EAGAIN`).
fn resolve(at: BorrowedFd<'_>, path: &OsStr, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd, Errno> {
    let mut answer = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        answer = openat2(at, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more);
        match answer {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    answer
}

pub(crate) fn stat_of(fd: BorrowedFd<'_>) -> Result<Stat, FsError> {
    let raw = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
        .map_err(FsError::os("stat"))?;
    Ok(Stat::of(&raw))
}
