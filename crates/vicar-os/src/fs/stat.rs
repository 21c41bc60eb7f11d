//! What the kernel says about an inode.

use core::fmt;

use rustix::fs::{FileType, Statx};

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// Something this version does not know.
    Unknown,
}

impl Kind {
    pub(crate) const fn of(file_type: FileType) -> Self {
        match file_type {
            FileType::RegularFile => Self::Regular,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::CharacterDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Unknown => Self::Unknown,
        }
    }

    /// Whether its content may be opened at all.
    #[must_use]
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Regular | Self::Directory)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::Fifo => "FIFO",
            Self::Socket => "socket",
            Self::CharacterDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Unknown => "file of unknown type",
        })
    }
}

/// Which inode: the device it is on and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The device, major number in the upper half.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
}

/// A point in time as the file system stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since 1970-01-01 UTC, negative before.
    pub seconds: i64,
    /// Nanoseconds after that second, 0 to 999,999,999.
    pub nanos: u32,
}

/// What the kernel says about one inode at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Which inode.
    pub id: FileId,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits, 0 to 0o7777.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Its length in bytes.
    pub size: u64,
    /// When its content changed.
    pub modified: Time,
    /// When anything about it changed.
    pub changed: Time,
    /// When it was made, where the file system knows.
    pub born: Option<Time>,
}

impl Stat {
    pub(crate) fn of(raw: &Statx) -> Self {
        let time = |stamp: rustix::fs::StatxTimestamp| Time { seconds: stamp.tv_sec, nanos: stamp.tv_nsec };
        let mode = u32::from(raw.stx_mode);
        Self {
            id: FileId {
                device: (u64::from(raw.stx_dev_major) << 32) | u64::from(raw.stx_dev_minor),
                inode: raw.stx_ino,
            },
            kind: Kind::of(FileType::from_raw_mode(mode)),
            mode: mode & 0o7777,
            links: raw.stx_nlink,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            size: raw.stx_size,
            modified: time(raw.stx_mtime),
            changed: time(raw.stx_ctime),
            born: (raw.stx_mask & rustix::fs::StatxFlags::BTIME.bits() != 0).then(|| time(raw.stx_btime)),
        }
    }

    /// What fstat(2) says of the same inode later; `None` when it is another one, or has become something else.
    pub(crate) fn again(&self, raw: &rustix::fs::Stat) -> Option<Self> {
        let kind = Kind::of(FileType::from_raw_mode(raw.st_mode));
        let device = (u64::from(rustix::fs::major(raw.st_dev)) << 32) | u64::from(rustix::fs::minor(raw.st_dev));
        let id = FileId { device, inode: raw.st_ino };
        let time = |seconds, nanos| Time { seconds, nanos: u32::try_from(nanos).unwrap_or(0) };
        (id == self.id && kind == self.kind).then(|| Self {
            mode: raw.st_mode & 0o7777,
            links: u32::try_from(raw.st_nlink).unwrap_or(u32::MAX),
            uid: raw.st_uid,
            gid: raw.st_gid,
            size: u64::try_from(raw.st_size).unwrap_or(0),
            modified: time(raw.st_mtime, raw.st_mtime_nsec),
            changed: time(raw.st_ctime, raw.st_ctime_nsec),
            ..*self
        })
    }

    /// Whether this is a directory.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }
}
