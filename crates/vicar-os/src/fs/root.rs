//! The directory everything else lies beneath.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat2};

use super::beneath::{BeneathPath, Name};
use super::directory::Directory;
use super::error::{Errno, FsError};
use super::node::{Links, Node, stat_of};
use super::stat::{FileId, Stat};
use crate::restricted::{Effect, Passes};
use crate::{AsClient, KernelGid, KernelUid};
use std::sync::Arc;

/// A directory that a client opened from `/`, and beneath which that client works.
///
/// It belongs to the client who opened it: the right to pass through the directories above was that client's, so
/// another client is refused with [`FsError::ForeignRoot`].
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    stat: Stat,
    opened_by: Opener,
}

/// How much room a file system has for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an ordinary user may still write.
    pub available_bytes: u64,
    /// Bytes in use.
    pub used_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Opener {
    uid: KernelUid,
    gid: KernelGid,
    groups: Box<[KernelGid]>,
    /// Of a restricted client: what it may pass through, the same user with other restrictions may not.
    passes: Option<Arc<Passes>>,
}

impl Opener {
    fn of(as_client: &AsClient<'_>) -> Self {
        let shown = as_client.shown();
        let passes = as_client.turns().map(|turns| Arc::clone(turns.passes()));
        Self { uid: shown.uid, gid: shown.gid, groups: shown.groups.clone(), passes }
    }

    fn is(&self, as_client: &AsClient<'_>) -> bool {
        let shown = as_client.shown();
        self.uid == shown.uid
            && self.gid == shown.gid
            && *self.groups == *shown.groups
            && self.passes.as_ref() == as_client.turns().map(crate::restricted::Turns::passes)
    }
}

impl Root {
    /// Opens a directory by walking to it from `/` as the client.
    ///
    /// Links on the way are followed, magic links of procfs are not. Only the way is walked: the client needs search
    /// permission on every directory above, and no right on the directory itself.
    ///
    /// # Inputs
    /// - `path`: absolute, chosen by the administrator, not by a client.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client cannot get there, or `path` is not absolute (`EINVAL`).
    /// - [`FsError::KernelFileSystem`] when it is procfs, sysfs, devfs or another file system of the kernel itself.
    ///
    /// # Source
    /// openat2(2), Linux 5.6.
    pub fn open(as_client: &AsClient<'_>, path: &Path) -> Result<Self, FsError> {
        const OPERATION: &str = "open root";
        if path.as_os_str().as_bytes().first() != Some(&b'/') {
            return Err(FsError::Os { operation: OPERATION, errno: Errno::INVAL });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let walk = |_| {
            let fd = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
                .map_err(FsError::os(OPERATION))?;
            let stat = stat_of(fd.as_fd())?;
            Ok((fd, stat))
        };
        let (fd, stat) = as_client.each(Effect::Reads, walk, |(_, one), (_, other)| Ok(one.id == other.id))?;
        refuse_kernel_file_system(fd.as_fd())?;
        if is_device_file_system(stat.id)? {
            return Err(FsError::KernelFileSystem { magic: DEVTMPFS });
        }
        Ok(Self { fd, stat, opened_by: Opener::of(as_client) })
    }

    /// The descriptor and what the kernel said of it, for a holder that knows whose they are.
    pub(crate) fn into_parts(self) -> (OwnedFd, Stat) {
        (self.fd, self.stat)
    }

    /// Returns which inode this is.
    #[must_use]
    pub const fn id(&self) -> FileId {
        self.stat.id
    }

    /// Finds what `path` names and looks at it without opening it for content.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client cannot get there; `EXDEV` when a link leads outside, `ELOOP` for a magic link.
    /// - [`FsError::KernelFileSystem`] when another file system mounted beneath is one of the kernel's own.
    /// - [`FsError::ForeignRoot`] when another client opened this root.
    pub fn look(&self, as_client: &AsClient<'_>, path: &BeneathPath, links: Links) -> Result<Node, FsError> {
        let node = Node::find(as_client, self.fd(as_client)?, path.as_os(), links)?;
        self.refuse_foreign_mount(&node)?;
        Ok(node)
    }

    /// Opens the directory at `path`, for working in it.
    ///
    /// # Errors
    /// - As for [`look`](Self::look); `ENOTDIR` when it is something else.
    pub fn directory(&self, as_client: &AsClient<'_>, path: &BeneathPath) -> Result<Directory, FsError> {
        Directory::of(self.look(as_client, path, Links::Follow)?)
    }

    /// Opens the directory that holds `path`, and returns it with the last name; `EBUSY` for the root itself.
    ///
    /// # Errors
    /// - As for [`directory`](Self::directory).
    pub fn parent(&self, as_client: &AsClient<'_>, path: &BeneathPath) -> Result<(Directory, Name), FsError> {
        let Some((parent, name)) = path.split_last() else {
            return Err(FsError::Os { operation: "parent of the root", errno: Errno::BUSY });
        };
        Ok((self.directory(as_client, &parent)?, name))
    }

    /// Returns how much room there is, as statfs(2) tells an ordinary user.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the kernel cannot tell.
    pub fn space(&self, as_client: &AsClient<'_>) -> Result<Space, FsError> {
        space_of(self.fd(as_client)?)
    }

    fn fd(&self, as_client: &AsClient<'_>) -> Result<BorrowedFd<'_>, FsError> {
        if self.opened_by.is(as_client) { Ok(self.fd.as_fd()) } else { Err(FsError::ForeignRoot) }
    }

    fn refuse_foreign_mount(&self, node: &Node) -> Result<(), FsError> {
        if node.stat().id.device == self.stat.id.device { Ok(()) } else { refuse_kernel_file_system(node.as_fd()) }
    }
}

/// How much room the file system has that an inode is on.
pub(crate) fn space_of(fd: BorrowedFd<'_>) -> Result<Space, FsError> {
    let stat = fstatfs(fd).map_err(FsError::os("statfs"))?;
    let block = u64::try_from(stat.f_bsize).unwrap_or(0);
    Ok(Space {
        available_bytes: stat.f_bavail.saturating_mul(block),
        used_bytes: stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(block),
    })
}

const DEVTMPFS: u64 = 0x1373;

/// File systems through which the kernel itself is read and written, by the magic numbers of statfs(2).
const KERNEL_FILE_SYSTEMS: [u64; 26] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    DEVTMPFS,    // devfs
    0x1cd1,      // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x4249_4e4d, // binfmt_misc
    0x6265_6570, // configfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x1980_0202, // mqueue
    0x6573_5543, // fusectl
    0x6e73_6673, // nsfs
    0x5049_5045, // pipefs
    0x534f_434b, // sockfs
    0x0904_1934, // anonymous inodes
    0x6759_6969, // rpc_pipefs
    0x6e66_7364, // nfsd
    0x5043_5245, // resctrl would be rdtgroup
    0x6c6f_6f70, // binderfs
];

pub(crate) fn refuse_kernel_file_system(fd: BorrowedFd<'_>) -> Result<(), FsError> {
    let stat = fstatfs(fd).map_err(FsError::os("statfs"))?;
    // The type is a signed word whose upper half is only a sign; the magic numbers have 32 bits.
    let magic = u64::from_ne_bytes(stat.f_type.to_ne_bytes()) & 0xffff_ffff;
    if KERNEL_FILE_SYSTEMS.contains(&magic) { Err(FsError::KernelFileSystem { magic }) } else { Ok(()) }
}

/// devtmpfs shows itself as tmpfs; it is known by being what is mounted at /dev.
fn is_device_file_system(id: FileId) -> Result<bool, FsError> {
    let device_of = |path: &str| -> Result<Option<u64>, FsError> {
        match openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
            Ok(fd) => Ok(Some(stat_of(fd.as_fd())?.id.device)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
            Err(errno) => Err(FsError::Os { operation: "open /dev", errno }),
        }
    };
    Ok(device_of("/dev")? == Some(id.device) && device_of("/")? != Some(id.device))
}
