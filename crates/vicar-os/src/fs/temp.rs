//! Files that have no name until they are whole.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, fchmod, fchown, fsync, linkat, openat};

use super::attribute;
use super::beneath::Name;
use super::content;
use super::directory::{Directory, Replace};
use super::error::{Errno, FsError};
use super::node::{Node, magic_path, stat_of};
use super::stat::Stat;
use crate::AsClient;

/// A file being written; nobody else sees it, or nobody else can guess its name.
///
/// Dropping it closes it and removes nothing: removing a name is the client's deed. Call [`discard`](Self::discard) as
/// the client when it is not wanted any more; without a name there is nothing to remove.
#[derive(Debug)]
#[must_use = "a temporary file is to be put in place or discarded"]
pub struct Temp {
    fd: OwnedFd,
    name: Option<Name>,
}

impl Temp {
    pub(super) fn create(as_client: &AsClient<'_>, beside: &Directory, mode: u32) -> Result<Self, FsError> {
        as_client.once("create temporary file")?;
        let mode = Mode::from_raw_mode(mode & 0o777);
        let unnamed = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match openat(beside, c".", unnamed, mode) {
            Ok(fd) => Ok(Self { fd, name: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                Self::create_named(as_client, beside, mode.as_raw_mode())
            }
            Err(errno) => Err(FsError::Os { operation: "create temporary file", errno }),
        }
    }

    pub(super) fn create_named(as_client: &AsClient<'_>, beside: &Directory, mode: u32) -> Result<Self, FsError> {
        as_client.once("create temporary file")?;
        let name = unguessable_name()?;
        let mode = Mode::from_raw_mode(mode & 0o777);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = openat(beside, name.as_os(), flags, mode).map_err(FsError::os("create temporary file"))?;
        Ok(Self { fd, name: Some(name) })
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the disk or the quota is full, or writing fails.
    pub fn write_at(&self, _: &AsClient<'_>, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        content::write_at(self.fd.as_fd(), offset, bytes)
    }

    /// Copies `len_bytes` of another file to its start.
    ///
    /// # Errors
    /// - [`FsError::Os`] when copying fails; [`FsError::Changed`] when the source is shorter.
    pub fn copy_from(&self, as_client: &AsClient<'_>, from: &impl AsFd, len_bytes: u64) -> Result<(), FsError> {
        content::copy_content(as_client, from.as_fd(), self.fd.as_fd(), len_bytes)
    }

    /// Asks the kernel about it.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it cannot tell.
    pub fn stat(&self, _: &AsClient<'_>) -> Result<Stat, FsError> {
        stat_of(self.fd.as_fd())
    }

    /// Sets its permission bits.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the kernel refuses.
    pub fn set_mode(&self, as_client: &AsClient<'_>, mode: u32) -> Result<(), FsError> {
        as_client.once("set mode")?;
        fchmod(&self.fd, Mode::from_raw_mode(mode & 0o7777)).map_err(FsError::os("set mode"))
    }

    /// Makes it look like `model`: group, permission bits, ACL and every attribute the client can read and write.
    ///
    /// # Errors
    /// - [`FsError::Os`] when something cannot be kept; then the content belongs into the old inode instead.
    pub fn take_looks(&self, as_client: &AsClient<'_>, model: &Node) -> Result<(), FsError> {
        as_client.once("set group")?;
        let stat = model.stat();
        let own = stat_of(self.fd.as_fd())?;
        if own.gid != stat.gid {
            fchown(&self.fd, None, Some(Gid::from_raw(stat.gid))).map_err(FsError::os("set group"))?;
        }
        // Writing drops set-id bits and file capabilities; a replacement drops them too.
        self.set_mode(as_client, stat.mode & 0o777)?;
        attribute::copy_all(as_client, &model.magic_path(), &magic_path(self.fd.as_fd()))
    }

    /// Copies the ACL and the user attributes of `model`, leaving owner and group alone.
    ///
    /// # Errors
    /// - [`FsError::Os`] when user attributes cannot be copied.
    pub fn take_attributes(&self, as_client: &AsClient<'_>, model: &Node) -> Result<(), FsError> {
        attribute::inherit(as_client, model, &magic_path(self.fd.as_fd()))
    }

    /// Waits until the content is on the disk.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it could not be written.
    pub fn sync(&self, _: &AsClient<'_>) -> Result<(), FsError> {
        fsync(&self.fd).map_err(FsError::os("sync"))
    }

    /// Gives it its name, if nothing has that name yet.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `EEXIST` when something is there, or as the kernel says; it is as it was.
    pub fn link_new(&self, as_client: &AsClient<'_>, beside: &Directory, name: &Name) -> Result<(), FsError> {
        as_client.once("link")?;
        match &self.name {
            None => self.link(beside, name),
            Some(own) => beside.rename(as_client, own, beside, name, Replace::Never),
        }
    }

    /// Gives it the name of a file that is there, in one step; that file loses the name.
    ///
    /// # Errors
    /// - [`FsError::Os`] as the kernel says; the old file keeps its name.
    pub fn replace(&self, as_client: &AsClient<'_>, beside: &Directory, name: &Name) -> Result<(), FsError> {
        as_client.once("link")?;
        match &self.name {
            Some(own) => beside.rename(as_client, own, beside, name, Replace::File),
            None => {
                let own = unguessable_name()?;
                self.link(beside, &own)?;
                beside.rename(as_client, &own, beside, name, Replace::File).inspect_err(|_| {
                    // The name is unguessable and the client's own: nobody else is hurt if it stays.
                    let _ = beside.unlink(as_client, &own);
                })
            }
        }
    }

    /// Removes what there is of it; after it was put in place there is nothing left to remove.
    pub fn discard(&self, as_client: &AsClient<'_>, beside: &Directory) {
        if let Some(name) = &self.name {
            // Nothing can be done about a failure: the name is unguessable and the file is the client's own.
            let _ = beside.unlink(as_client, name);
        }
    }

    /// linkat with `AT_EMPTY_PATH` needs CAP_DAC_READ_SEARCH; through our own descriptor's link it needs nothing.
    fn link(&self, beside: &Directory, name: &Name) -> Result<(), FsError> {
        linkat(CWD, magic_path(self.fd.as_fd()), beside, name.as_os(), AtFlags::SYMLINK_FOLLOW)
            .map_err(FsError::os("link"))
    }
}

impl AsFd for Temp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes a name of 128 random bits.
pub(super) fn unguessable_name() -> Result<Name, FsError> {
    use std::fmt::Write as _;
    let mut random = [0_u8; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(FsError::os("getrandom"))?;
    let mut text = String::from(".vicar-");
    for byte in random {
        let _ = write!(text, "{byte:02x}");
    }
    Name::parse(text.as_bytes()).map_err(FsError::Name)
}
