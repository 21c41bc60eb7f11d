//! Content of regular files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, copy_file_range, fallocate, fsync, ftruncate};
use rustix::io::{pread, pwrite};

use super::error::{Errno, FsError};
use super::node::stat_of;
use super::stat::Stat;
use crate::AsClient;

/// A regular file that the client opened.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
    stat: Stat,
}

impl File {
    pub(crate) const fn holding(fd: OwnedFd, stat: Stat) -> Self {
        Self { fd, stat }
    }

    /// Returns what the kernel said when it was opened.
    #[must_use]
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Asks the kernel again.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it cannot tell.
    pub fn stat_now(&self, _: &AsClient<'_>) -> Result<Stat, FsError> {
        stat_of(self.fd.as_fd())
    }

    /// Reads up to `len_bytes` from `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// - [`FsError::Os`] when reading fails.
    pub fn read_at(&self, _: &AsClient<'_>, offset: u64, len_bytes: usize) -> Result<Vec<u8>, FsError> {
        read_at(self.fd.as_fd(), offset, len_bytes)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// - [`FsError::Os`] when writing fails; a part may be written.
    pub fn write_at(&self, _: &AsClient<'_>, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        write_at(self.fd.as_fd(), offset, bytes)
    }

    /// Replaces the whole content by that of `from`, in place, and cuts the file to that length.
    ///
    /// Room is reserved first where the file system can, so that a full disk is noticed before anything is written.
    ///
    /// # Errors
    /// - [`FsError::Os`] when there is no room (nothing was changed if it could be reserved) or a copy fails.
    pub fn replace_content(&self, as_client: &AsClient<'_>, from: &impl AsFd, len_bytes: u64) -> Result<(), FsError> {
        if len_bytes > 0 {
            match fallocate(&self.fd, FallocateFlags::KEEP_SIZE, 0, len_bytes) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
                Err(errno) => return Err(FsError::Os { operation: "reserve", errno }),
            }
        }
        copy_content(as_client, from.as_fd(), self.fd.as_fd(), len_bytes)?;
        ftruncate(&self.fd, len_bytes).map_err(FsError::os("truncate"))
    }

    /// Waits until the content is on the disk.
    ///
    /// # Errors
    /// - [`FsError::Os`] when it could not be written.
    pub fn sync(&self, _: &AsClient<'_>) -> Result<(), FsError> {
        fsync(&self.fd).map_err(FsError::os("sync"))
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(super) fn read_at(fd: BorrowedFd<'_>, offset: u64, len_bytes: usize) -> Result<Vec<u8>, FsError> {
    let mut bytes: Vec<u8> = Vec::with_capacity(len_bytes);
    while bytes.len() < len_bytes {
        let at = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match pread(fd, rustix::buffer::spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(FsError::Os { operation: "read", errno }),
        }
    }
    bytes.truncate(len_bytes);
    Ok(bytes)
}

pub(super) fn write_at(fd: BorrowedFd<'_>, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
    let mut rest = bytes;
    let mut at = offset;
    while !rest.is_empty() {
        match pwrite(fd, rest, at) {
            Ok(0) => return Err(FsError::Os { operation: "write", errno: Errno::IO }),
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                at = at.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(FsError::Os { operation: "write", errno }),
        }
    }
    Ok(())
}

/// Copies exactly `len_bytes` from the start of one file to the start of another; a source that ends early is an error.
pub(super) fn copy_content(
    _: &AsClient<'_>,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    len_bytes: u64,
) -> Result<(), FsError> {
    const CHUNK: u64 = 1 << 20;
    let (mut read_offset, mut write_offset) = (0_u64, 0_u64);
    let mut in_kernel = true;
    while write_offset < len_bytes {
        let left = len_bytes.saturating_sub(write_offset);
        if in_kernel {
            let wanted = usize::try_from(left.min(CHUNK.saturating_mul(64))).unwrap_or(usize::MAX);
            match copy_file_range(from, Some(&mut read_offset), to, Some(&mut write_offset), wanted) {
                // Some file systems answer 0 although there is more to read: the loop below knows better.
                Ok(0) => in_kernel = false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::BADF) => {
                    in_kernel = false;
                }
                Err(errno) => return Err(FsError::Os { operation: "copy", errno }),
            }
        } else {
            let bytes = read_at(from, write_offset, usize::try_from(left.min(CHUNK)).unwrap_or(usize::MAX))?;
            if bytes.is_empty() {
                return Err(FsError::Changed);
            }
            write_at(to, write_offset, &bytes)?;
            write_offset = write_offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
    }
    Ok(())
}
