//! One operation, made from numbers and performed by whoever this thread is.

use crate::numbers::Numbers;
use crate::people::{COUNT, NAMED_GROUPS, USERS};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const DIRECTORIES: [&str; 16] =
    ["", "", "", "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d0/e0", "d1/e0", "d2/e0", "d3/e0", "d4/e0/g0"];
const NAMES: [&str; 14] = ["f0", "f1", "f2", "f3", "f4", "f5", "l0", "l1", "l2", "e0", "n0", "n1", "d6", "pipe"];

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Open { path: String, flags: OFlags, mode: u32, content: u64 },
    Stat { path: String, follow: bool },
    MakeDirectory { path: String, mode: u32 },
    RemoveDirectory { path: String },
    Unlink { path: String },
    Rename { from: String, to: String, flags: RenameFlags },
    Link { from: String, to: String, follow: bool },
    Symlink { target: String, at: String },
    ReadLink { path: String },
    SetMode { path: String, mode: u32 },
    SetOwner { path: String, uid: Option<u32>, gid: Option<u32>, follow: bool },
    SetTimes { path: String, seconds: Option<i64> },
    SetAttribute { path: String, name: &'static str, value: Vec<u8> },
    GetAttribute { path: String, name: &'static str },
    RemoveAttribute { path: String, name: &'static str },
    ListAttributes { path: String },
    List { path: String },
    Truncate { path: String, len: u64 },
    Access { path: String, access: Access },
    MakeNode { path: String, kind: FileType },
}

/// Several operations of one person.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) seed: u64,
    pub(crate) who: usize,
    pub(crate) operations: Vec<Operation>,
}

impl Batch {
    pub(crate) fn of(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let who = numbers.index(COUNT);
        let count = numbers.below(12) + 1;
        Self { seed, who, operations: (0..count).map(|_| Operation::of(&mut numbers)).collect() }
    }

    /// Performs them all beneath `root`; one line each.
    pub(crate) fn perform(&self, root: &Path) -> String {
        let mut said = String::new();
        for operation in &self.operations {
            writeln!(said, "{}", line_of(operation.perform(root))).unwrap();
        }
        said
    }
}

/// What is said of an operation.
pub(crate) fn line_of(done: Result<String, Errno>) -> String {
    done.unwrap_or_else(|errno| format!("errno {}", errno.raw_os_error()))
}

fn path(numbers: &mut Numbers) -> String {
    let directory = DIRECTORIES[numbers.index(DIRECTORIES.len())];
    if numbers.once_in(12) {
        return if directory.is_empty() { ".".to_owned() } else { directory.to_owned() };
    }
    let name = NAMES[numbers.index(NAMES.len())];
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

fn attribute(numbers: &mut Numbers) -> (&'static str, Vec<u8>) {
    match numbers.below(8) {
        0 | 1 => ("system.posix_acl_access", numbers.acl(&USERS, &NAMED_GROUPS)),
        2 => ("system.posix_acl_default", numbers.acl(&USERS, &NAMED_GROUPS)),
        3 => ("trusted.x", vec![1]),
        4 => ("security.capability", vec![1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        5 => ("user.b", vec![2; numbers.index(40)]),
        _ => ("user.a", numbers.next().to_le_bytes().to_vec()),
    }
}

impl Operation {
    fn of(numbers: &mut Numbers) -> Self {
        let path_of = path;
        let path = path(numbers);
        match numbers.below(32) {
            0..=9 => {
                const WAYS: [OFlags; 3] = [OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR];
                let mut flags = WAYS[numbers.index(3)];
                for extra in [OFlags::CREATE, OFlags::EXCL, OFlags::TRUNC, OFlags::APPEND, OFlags::NOFOLLOW] {
                    flags |= if numbers.once_in(4) { extra } else { OFlags::empty() };
                }
                let mode = numbers.mode() | if numbers.once_in(6) { numbers.below(8) << 9 } else { 0 };
                Self::Open { path, flags, mode, content: numbers.next() }
            }
            10 | 11 => Self::Stat { path, follow: numbers.once_in(2) },
            12 => Self::MakeDirectory { path, mode: numbers.mode() },
            13 => Self::RemoveDirectory { path },
            14 => Self::Unlink { path },
            15 | 16 => {
                const WAYS: [RenameFlags; 4] =
                    [RenameFlags::empty(), RenameFlags::empty(), RenameFlags::EXCHANGE, RenameFlags::NOREPLACE];
                Self::Rename { from: path, to: path_of(numbers), flags: WAYS[numbers.index(4)] }
            }
            17 => Self::Link { from: path, to: path_of(numbers), follow: numbers.once_in(3) },
            18 => {
                const TARGETS: [&str; 7] = ["f0", "../d1/f1", "../../d2", "nowhere", "l0", "/etc/shadow", "../d3/e0"];
                Self::Symlink { target: TARGETS[numbers.index(7)].to_owned(), at: path }
            }
            19 => Self::ReadLink { path },
            20 | 21 => {
                let special = if numbers.once_in(3) { numbers.below(8) << 9 } else { 0 };
                Self::SetMode { path, mode: numbers.mode() | special }
            }
            22 | 23 => {
                let uid = numbers.once_in(3).then(|| USERS[numbers.index(USERS.len())]);
                let gid = (!numbers.once_in(3)).then(|| NAMED_GROUPS[numbers.index(NAMED_GROUPS.len())]);
                Self::SetOwner { path, uid, gid, follow: numbers.once_in(2) }
            }
            24 => {
                let seconds = (!numbers.once_in(2)).then(|| i64::from(numbers.below(1_000_000_000)));
                Self::SetTimes { path, seconds }
            }
            25 | 26 => {
                let (name, value) = attribute(numbers);
                Self::SetAttribute { path, name, value }
            }
            27 => Self::GetAttribute { path, name: attribute(numbers).0 },
            28 if numbers.once_in(2) => Self::RemoveAttribute { path, name: attribute(numbers).0 },
            28 => Self::ListAttributes { path },
            29 => Self::List { path },
            30 if numbers.once_in(3) => {
                const KINDS: [FileType; 3] = [FileType::Fifo, FileType::CharacterDevice, FileType::Socket];
                Self::MakeNode { path, kind: KINDS[numbers.index(3)] }
            }
            30 => Self::Truncate { path, len: u64::from(numbers.below(100)) },
            _ => Self::Access { path, access: Access::from_bits_truncate(numbers.below(8)) },
        }
    }

    pub(crate) fn perform(&self, root: &Path) -> Result<String, Errno> {
        let at = |path: &str| -> PathBuf { root.join(path) };
        match self {
            Self::Open { path, flags, mode, content } => open(&at(path), *flags, *mode, *content),
            Self::Stat { path, follow } => look(&at(path), *follow),
            Self::MakeDirectory { path, mode } => {
                rustix::fs::mkdir(at(path), Mode::from_raw_mode(*mode))?;
                Ok(after(&at(path)))
            }
            Self::RemoveDirectory { path } => rustix::fs::rmdir(at(path)).map(|()| "removed".to_owned()),
            Self::Unlink { path } => rustix::fs::unlink(at(path)).map(|()| "removed".to_owned()),
            Self::Rename { from, to, flags } => {
                rustix::fs::renameat_with(CWD, at(from), CWD, at(to), *flags)?;
                Ok(after(&at(to)))
            }
            Self::Link { from, to, follow } => {
                let flags = if *follow { AtFlags::SYMLINK_FOLLOW } else { AtFlags::empty() };
                rustix::fs::linkat(CWD, at(from), CWD, at(to), flags)?;
                Ok(after(&at(to)))
            }
            Self::Symlink { target, at: link } => {
                rustix::fs::symlink(target, at(link))?;
                Ok(after(&at(link)))
            }
            Self::ReadLink { path } => rustix::fs::readlink(at(path), Vec::new()).map(|target| format!("{target:?}")),
            Self::SetMode { path, mode } => {
                rustix::fs::chmod(at(path), Mode::from_raw_mode(*mode))?;
                Ok(after(&at(path)))
            }
            Self::SetOwner { path, uid, gid, follow } => {
                let flags = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                rustix::fs::chownat(CWD, at(path), uid.map(Uid::from_raw), gid.map(Gid::from_raw), flags)?;
                Ok(after(&at(path)))
            }
            Self::SetTimes { path, seconds } => set_times(&at(path), *seconds),
            Self::SetAttribute { path, name, value } => {
                rustix::fs::setxattr(at(path), *name, value, XattrFlags::empty())?;
                Ok(after(&at(path)))
            }
            Self::GetAttribute { path, name } => {
                let mut value = [0_u8; 512];
                let len = rustix::fs::getxattr(at(path), *name, &mut value[..])?;
                Ok(format!("{:?}", &value[..len]))
            }
            Self::RemoveAttribute { path, name } => {
                rustix::fs::removexattr(at(path), *name)?;
                Ok(after(&at(path)))
            }
            Self::ListAttributes { path } => {
                let mut names = [0_u8; 512];
                let len = rustix::fs::listxattr(at(path), &mut names[..])?;
                let mut names: Vec<&[u8]> = names[..len].split(|byte| *byte == 0).collect();
                names.sort_unstable();
                Ok(format!("{}", names.join(&b' ').escape_ascii()))
            }
            Self::List { path } => list(&at(path)),
            Self::Truncate { path, len } => {
                let file = rustix::fs::open(at(path), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?;
                rustix::fs::ftruncate(&file, *len)?;
                Ok(after(&at(path)))
            }
            Self::Access { path, access } => {
                rustix::fs::accessat(CWD, at(path), *access, AtFlags::EACCESS)?;
                Ok("may".to_owned())
            }
            Self::MakeNode { path, kind } => {
                let device = if *kind == FileType::CharacterDevice { rustix::fs::makedev(1, 3) } else { 0 };
                rustix::fs::mknodat(CWD, at(path), *kind, Mode::from_raw_mode(0o666), device)?;
                Ok(after(&at(path)))
            }
        }
    }
}

fn open(path: &Path, flags: OFlags, mode: u32, content: u64) -> Result<String, Errno> {
    let extra = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags | extra, Mode::from_raw_mode(mode))?;
    let mut said = String::new();
    let about = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(about.st_mode) == FileType::RegularFile {
        if !flags.intersects(OFlags::WRONLY | OFlags::RDWR) || flags.contains(OFlags::RDWR) {
            let mut bytes = [0_u8; 64];
            let read = rustix::io::pread(&file, &mut bytes[..], 0)?;
            write!(said, "read {} ", bytes[..read].escape_ascii()).unwrap();
        }
        if flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
            let written = rustix::io::write(&file, content.to_string().as_bytes())?;
            write!(said, "wrote {written} ").unwrap();
        }
    }
    Ok(said + &describe(&rustix::fs::fstat(&file)?))
}

fn describe(about: &rustix::fs::Stat) -> String {
    let size = u64::try_from(about.st_size).unwrap();
    describe_as(about.st_mode, about.st_uid, about.st_gid, about.st_nlink, size)
}

/// Type and permission bits, owner, names, length.
pub(crate) fn describe_as(mode: u32, uid: u32, gid: u32, links: u64, size: u64) -> String {
    let is_directory = FileType::from_raw_mode(mode) == FileType::Directory;
    // The size of a directory says how its file system keeps it.
    let size = if is_directory { 0 } else { size };
    format!("{mode:o} {uid}:{gid} {links} {size}")
}

pub(crate) fn look(path: &Path, follow: bool) -> Result<String, Errno> {
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    rustix::fs::statat(CWD, path, flags).map(|about| describe(&about))
}

/// What is there now, as far as it may be looked at.
fn after(path: &Path) -> String {
    look(path, false).unwrap_or_else(|errno| format!("done, then errno {}", errno.raw_os_error()))
}

fn set_times(path: &Path, seconds: Option<i64>) -> Result<String, Errno> {
    let time = match seconds {
        Some(tv_sec) => Timespec { tv_sec, tv_nsec: 7 },
        None => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
    };
    rustix::fs::utimensat(CWD, path, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty())?;
    let about = rustix::fs::statat(CWD, path, AtFlags::empty())?;
    Ok(if seconds.is_some() { format!("{}.{}", about.st_mtime, about.st_mtime_nsec) } else { "now".to_owned() })
}

fn list(path: &Path) -> Result<String, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names.join(" "))
}
