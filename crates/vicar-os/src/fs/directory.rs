//! Names in one directory: listed, made, changed and removed.

use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, StatxFlags, mkdirat, openat, renameat_with, statx,
    symlinkat, unlinkat,
};

use super::beneath::Name;
use super::error::{Errno, FsError};
use super::node::{Node, stat_of};
use super::root::Root;
use super::stat::{FileId, Kind, Stat};
use super::temp::Temp;
use crate::AsClient;
use crate::restricted::Effect;

/// A directory that the client reached, for working in it.
#[derive(Debug)]
pub struct Directory(Node);

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Name,
    /// What the directory says it is; [`Kind::Unknown`] where the file system does not say.
    pub kind: Kind,
}

/// What a rename does with the name it arrives at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Nothing may be there (`EEXIST`).
    Never,
    /// A file there is replaced in one step.
    File,
    /// The two names change places in one step; both must exist.
    Exchange,
}

impl Directory {
    /// Takes a node as a directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `ENOTDIR` when it is something else.
    pub fn of(node: Node) -> Result<Self, FsError> {
        if node.stat().is_directory() {
            Ok(Self(node))
        } else {
            Err(FsError::Os { operation: "open directory", errno: Errno::NOTDIR })
        }
    }

    /// Returns the directory as a node.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.0
    }

    /// Returns which inode it is.
    #[must_use]
    pub const fn id(&self) -> FileId {
        self.0.stat().id
    }

    /// Looks at a name in it, without following a link.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it is not there or the client may not search.
    pub fn look(&self, as_client: &AsClient<'_>, name: &Name) -> Result<Node, FsError> {
        Node::find_here(as_client, self.0.as_fd(), name.as_os(), ResolveFlags::NO_XDEV)
    }

    /// Returns what the kernel says about a name in it, without following a link.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it is not there or the client may not search.
    pub fn stat(&self, as_client: &AsClient<'_>, name: &Name) -> Result<Stat, FsError> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = |_| {
            let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
            let raw = statx(self.0.as_fd(), name.as_os(), flags, wanted).map_err(FsError::os("stat"))?;
            Ok(Stat::of(&raw))
        };
        as_client.each(Effect::Reads, stat, |one, other| Ok(one.id == other.id))
    }

    /// Reads the names in it, in the file system's order, without `.` and `..`.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not read the directory.
    /// - [`FsError::TooMany`] when there are more than `limit`.
    ///
    /// # Cost
    /// One system call for about a thousand names.
    pub fn list(&self, as_client: &AsClient<'_>, limit: usize) -> Result<Vec<Entry>, FsError> {
        let fd = self.0.reopen(as_client, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut buffer: Vec<u8> = Vec::with_capacity(32 * 1024);
        let mut names = RawDir::new(&fd, buffer.spare_capacity_mut());
        let mut entries = Vec::new();
        while let Some(entry) = names.next() {
            let entry = entry.map_err(FsError::os("list"))?;
            let bytes = entry.file_name().to_bytes();
            if bytes == b"." || bytes == b".." {
                continue;
            }
            if entries.len() >= limit {
                return Err(FsError::TooMany { limit });
            }
            // A file system that hands out names which are none (a slash, too long) is not ours to repair: leave them out.
            if let Ok(name) = Name::parse(bytes) {
                entries.push(Entry { name, kind: Kind::of(entry.file_type()) });
            }
        }
        Ok(entries)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it exists or the client may not.
    pub fn make_directory(&self, as_client: &AsClient<'_>, name: &Name, mode: u32) -> Result<(), FsError> {
        as_client.once("make directory")?;
        mkdirat(self.0.as_fd(), name.as_os(), Mode::from_raw_mode(mode & 0o7777)).map_err(FsError::os("make directory"))
    }

    /// Removes a name that is not a directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    pub fn unlink(&self, as_client: &AsClient<'_>, name: &Name) -> Result<(), FsError> {
        as_client.once("unlink")?;
        unlinkat(self.0.as_fd(), name.as_os(), AtFlags::empty()).map_err(FsError::os("unlink"))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it is not empty or the client may not.
    pub fn remove_directory(&self, as_client: &AsClient<'_>, name: &Name) -> Result<(), FsError> {
        as_client.once("remove directory")?;
        unlinkat(self.0.as_fd(), name.as_os(), AtFlags::REMOVEDIR).map_err(FsError::os("remove directory"))
    }

    /// Renames something in this directory to a name in `to`.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not; `EXDEV` between file systems, `EINVAL` into itself or where the file
    ///   system cannot do what `replace` asks.
    pub fn rename(
        &self,
        as_client: &AsClient<'_>,
        name: &Name,
        to: &Self,
        to_name: &Name,
        replace: Replace,
    ) -> Result<(), FsError> {
        as_client.once("rename")?;
        let flags = match replace {
            Replace::Never => RenameFlags::NOREPLACE,
            Replace::File => RenameFlags::empty(),
            Replace::Exchange => RenameFlags::EXCHANGE,
        };
        renameat_with(self.0.as_fd(), name.as_os(), to.0.as_fd(), to_name.as_os(), flags).map_err(FsError::os("rename"))
    }

    /// Makes a symbolic link with the given text.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not.
    pub fn make_link(&self, as_client: &AsClient<'_>, name: &Name, text: &CString) -> Result<(), FsError> {
        as_client.once("make link")?;
        symlinkat(OsStr::from_bytes(text.to_bytes()), self.0.as_fd(), name.as_os()).map_err(FsError::os("make link"))
    }

    /// Makes a file without a name, on the same file system; where that cannot be, one with an unguessable name.
    ///
    /// # Inputs
    /// - `mode`: permission bits before the umask.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not make files here.
    pub fn create_temp(&self, as_client: &AsClient<'_>, mode: u32) -> Result<Temp, FsError> {
        Temp::create(as_client, self, mode)
    }

    /// Makes a file with an unguessable name: what [`create_temp`](Self::create_temp) does where every file has one.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not make files here.
    pub fn create_named_temp(&self, as_client: &AsClient<'_>, mode: u32) -> Result<Temp, FsError> {
        Temp::create_named(as_client, self, mode)
    }

    /// Returns the directories above this one, the nearest first, up to and with the root; by `..`, so that links on the
    /// way here do not matter.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client may not search one of them.
    /// - [`FsError::TooDeep`] when the root is not met; the directory may have been moved out of it.
    pub fn ancestors(&self, as_client: &AsClient<'_>, root: &Root) -> Result<Vec<FileId>, FsError> {
        as_client.each(Effect::Reads, |_| self.climb(root), |one, other| Ok(one == other))
    }

    fn climb(&self, root: &Root) -> Result<Vec<FileId>, FsError> {
        const LIMIT: usize = 512;
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        if self.id() == root.id() {
            return Ok(found);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut fd = openat(self.0.as_fd(), c"..", flags, Mode::empty()).map_err(FsError::os("look above"))?;
        loop {
            let id = stat_of(fd.as_fd())?.id;
            found.push(id);
            if id == root.id() {
                return Ok(found);
            }
            if found.len() >= LIMIT || !seen.insert(id) {
                return Err(FsError::TooDeep { limit: LIMIT });
            }
            fd = openat(&fd, c"..", flags, Mode::empty()).map_err(FsError::os("look above"))?;
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
