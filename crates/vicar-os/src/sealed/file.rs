//! File operations as the worker's client: what is asked, what is answered, and how both lie in shared memory.

use crate::fs::{BeneathPath, FileId, Kind, Stat, Time};
use crate::sys::shm::Shared;
use core::ffi::CStr;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Most requests in one batch: as many as descriptors fit into one message.
pub const MAX_BATCH: usize = crate::packet::MAX_DESCRIPTORS;

/// Words of the memory that requests are written to: 128 of them with paths of 4,095 bytes.
pub(super) const REQUEST_WORDS: usize = MAX_BATCH * (HEAD_WORDS + 512);
/// Words of the memory that answers are written to.
pub(super) const ANSWER_WORDS: usize = MAX_BATCH * SLOT_WORDS;
const HEAD_WORDS: usize = 2;
const SLOT_WORDS: usize = 12;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// Reading a regular file.
    Read,
    /// Writing a regular file, which keeps its content.
    Write,
    /// Both.
    ReadWrite,
    /// Listing a directory, and opening beneath it.
    Directory,
}

impl FileAccess {
    pub(super) const fn flags(self) -> OFlags {
        const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW);
        match self {
            Self::Read => ALWAYS.union(OFlags::RDONLY),
            Self::Write => ALWAYS.union(OFlags::WRONLY),
            Self::ReadWrite => ALWAYS.union(OFlags::RDWR),
            Self::Directory => ALWAYS.union(OFlags::RDONLY).union(OFlags::DIRECTORY),
        }
    }
}

/// One operation on a path beneath the worker's directory. Links that stay beneath it are followed on the way; the last
/// name is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileRequest {
    /// Opens what exists.
    Open {
        /// Where.
        path: BeneathPath,
        /// What for.
        access: FileAccess,
    },
    /// Creates a regular file that must not exist, and opens it for reading and writing.
    Create {
        /// Where.
        path: BeneathPath,
        /// Permission bits, less the umask 022.
        mode: u32,
    },
    /// Looks at what is there, even if it is a symbolic link.
    Stat {
        /// Where.
        path: BeneathPath,
    },
    /// Creates a directory.
    MakeDirectory {
        /// Where; at least one name.
        path: BeneathPath,
        /// Permission bits, less the umask 022.
        mode: u32,
    },
    /// Removes a file.
    Unlink {
        /// Where; at least one name.
        path: BeneathPath,
    },
    /// Removes an empty directory.
    RemoveDirectory {
        /// Where; at least one name.
        path: BeneathPath,
    },
}

/// What came of a request that the kernel allowed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileAnswer {
    /// An open file: a regular file, or a directory when one was asked for.
    Opened(OwnedFd),
    /// What the kernel says about it.
    Seen(Box<Stat>),
    /// It was done.
    Done,
}

const OPEN: u64 = 1;
const CREATE: u64 = 2;
const STAT: u64 = 3;
const MAKE_DIRECTORY: u64 = 4;
const UNLINK: u64 = 5;
const REMOVE_DIRECTORY: u64 = 6;

impl FileRequest {
    const fn parts(&self) -> (u64, u64, &BeneathPath) {
        match self {
            Self::Open { path, access } => (OPEN, *access as u64, path),
            Self::Create { path, mode } => (CREATE, *mode as u64, path),
            Self::Stat { path } => (STAT, 0, path),
            Self::MakeDirectory { path, mode } => (MAKE_DIRECTORY, *mode as u64, path),
            Self::Unlink { path } => (UNLINK, 0, path),
            Self::RemoveDirectory { path } => (REMOVE_DIRECTORY, 0, path),
        }
    }

    /// Writes the request at a word of the shared memory and returns the word after it.
    pub(super) fn write(&self, board: &Shared, at: usize) -> Option<usize> {
        let (operation, detail, path) = self.parts();
        let path = path.as_bytes();
        board.store(at, operation | (detail << 32))?;
        board.store(at.checked_add(1)?, u64::try_from(path.len()).ok()?)?;
        let mut next = at.checked_add(HEAD_WORDS)?;
        for chunk in path.chunks(8) {
            let mut word = [0; 8];
            word.get_mut(..chunk.len())?.copy_from_slice(chunk);
            board.store(next, u64::from_le_bytes(word))?;
            next = next.checked_add(1)?;
        }
        Some(next)
    }

    /// What an answer to this request must be.
    pub(super) const fn expected(&self) -> Expected {
        match self {
            Self::Open { access, .. } => Expected::Open(*access),
            Self::Create { .. } => Expected::Open(FileAccess::ReadWrite),
            Self::Stat { .. } => Expected::Stat,
            Self::MakeDirectory { .. } | Self::Unlink { .. } | Self::RemoveDirectory { .. } => Expected::Nothing,
        }
    }
}

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Open(FileAccess),
    Stat,
    Nothing,
}

/// A request as the worker reads it; the path ends with a zero.
pub(super) struct Read {
    operation: u64,
    detail: u32,
    path: [u8; PATH_ROOM],
    len: usize,
}

/// Longest path, its zero, and what rounding up to words takes.
const PATH_ROOM: usize = 4104;

impl Read {
    pub(super) const fn new() -> Self {
        Self { operation: 0, detail: 0, path: [0; PATH_ROOM], len: 0 }
    }

    /// Reads the request at a word and returns the word after it; `None` when there is none.
    pub(super) fn fill(&mut self, board: &Shared, at: usize) -> Option<usize> {
        let head = board.load(at)?;
        self.operation = head & 0xFFFF_FFFF;
        self.detail = u32::try_from(head >> 32).ok()?;
        self.len = usize::try_from(board.load(at.checked_add(1)?)?).ok()?;
        if self.len > BeneathPath::MAX_LEN {
            return None;
        }
        let mut next = at.checked_add(HEAD_WORDS)?;
        for chunk in self.path.get_mut(..self.len.next_multiple_of(8))?.chunks_exact_mut(8) {
            chunk.copy_from_slice(&board.load(next)?.to_le_bytes());
            next = next.checked_add(1)?;
        }
        *self.path.get_mut(self.len)? = 0;
        Some(next)
    }

    fn path(&self) -> Option<&CStr> {
        let path = self.path.get(..=self.len)?;
        // The directory itself has no name; calls that need one fail for it.
        if path == [0] { Some(c".") } else { CStr::from_bytes_with_nul(path).ok() }
    }

    /// Does what was asked, as whoever this process is, beneath `root`.
    pub(super) fn perform(&self, root: BorrowedFd<'_>) -> Performed {
        let Some(path) = self.path() else { return Performed::Failed(Errno::INVAL) };
        let done = match self.operation {
            OPEN => match access_of(self.detail) {
                Some(access) => open(root, path, access.flags(), Mode::empty()).map(Performed::Opened),
                None => Err(Errno::INVAL),
            },
            CREATE => {
                let flags = FileAccess::ReadWrite.flags() | OFlags::CREATE | OFlags::EXCL;
                open(root, path, flags, permissions(self.detail)).map(Performed::Opened)
            }
            STAT => stat(root, path).map(|seen| Performed::Seen(Box::new(seen))),
            MAKE_DIRECTORY => in_parent(root, path, |parent, name| {
                rustix::fs::mkdirat(parent, name, permissions(self.detail)).map(|()| Performed::Done)
            }),
            UNLINK => in_parent(root, path, |parent, name| {
                rustix::fs::unlinkat(parent, name, AtFlags::empty()).map(|()| Performed::Done)
            }),
            REMOVE_DIRECTORY => in_parent(root, path, |parent, name| {
                rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map(|()| Performed::Done)
            }),
            _ => Err(Errno::INVAL),
        };
        done.unwrap_or_else(Performed::Failed)
    }
}

fn access_of(detail: u32) -> Option<FileAccess> {
    [FileAccess::Read, FileAccess::Write, FileAccess::ReadWrite, FileAccess::Directory]
        .into_iter()
        .find(|access| *access as u32 == detail)
}

const fn permissions(bits: u32) -> Mode {
    Mode::from_raw_mode(bits & 0o777)
}

/// What the worker did.
pub(super) enum Performed {
    Opened(OwnedFd),
    Seen(Box<Statx>),
    Done,
    Failed(Errno),
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(root, path, flags, mode, BENEATH)
}

fn is_one_name(path: &CStr) -> bool {
    !path.to_bytes().contains(&b'/')
}

fn stat(root: BorrowedFd<'_>, path: &CStr) -> Result<Statx, Errno> {
    const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);
    const LOOK: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);
    if is_one_name(path) {
        // One name that is not followed cannot lead anywhere else.
        return rustix::fs::statx(root, path, LOOK, WANTED);
    }
    let place = open(root, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::statx(&place, c"", AtFlags::EMPTY_PATH | LOOK, WANTED)
}

/// Does something with the last name in its directory, which is opened beneath `root`.
fn in_parent<T>(
    root: BorrowedFd<'_>,
    path: &CStr,
    work: impl FnOnce(BorrowedFd<'_>, &CStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    use std::os::fd::AsFd as _;
    if path == c"." {
        return Err(Errno::INVAL);
    }
    let bytes = path.to_bytes_with_nul();
    let Some(slash) = bytes.iter().rposition(|&byte| byte == b'/') else { return work(root, path) };
    let (parent, rest) = bytes.split_at_checked(slash).ok_or(Errno::INVAL)?;
    let name = rest.get(1..).and_then(|name| CStr::from_bytes_with_nul(name).ok()).ok_or(Errno::INVAL)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat2(root, parent, flags, Mode::empty(), BENEATH)?;
    work(parent.as_fd(), name)
}

const FAILED: u64 = 1;
const OPENED: u64 = 2;
const SEEN: u64 = 3;
const DONE: u64 = 4;

/// Writes what was done into a slot of the shared memory.
pub(super) fn write_answer(board: &Shared, index: usize, performed: &Performed) -> Option<()> {
    let at = index.checked_mul(SLOT_WORDS)?;
    let word = |offset: usize, value: u64| board.store(at.checked_add(offset)?, value);
    match performed {
        Performed::Failed(errno) => word(0, FAILED | (u64::from(errno.raw_os_error().unsigned_abs()) << 32)),
        Performed::Opened(_) => word(0, OPENED),
        Performed::Done => word(0, DONE),
        Performed::Seen(seen) => {
            let time = |stamp: &rustix::fs::StatxTimestamp| u64::from_ne_bytes(stamp.tv_sec.to_ne_bytes());
            let has_birth = seen.stx_mask & StatxFlags::BTIME.bits() != 0;
            word(1, u64::from(seen.stx_mode) | (u64::from(seen.stx_nlink) << 32))?;
            word(2, u64::from(seen.stx_uid) | (u64::from(seen.stx_gid) << 32))?;
            word(3, seen.stx_size)?;
            word(4, seen.stx_ino)?;
            word(5, (u64::from(seen.stx_dev_major) << 32) | u64::from(seen.stx_dev_minor))?;
            word(6, time(&seen.stx_mtime))?;
            word(7, time(&seen.stx_ctime))?;
            word(8, time(&seen.stx_btime))?;
            word(9, u64::from(seen.stx_mtime.tv_nsec) | (u64::from(seen.stx_ctime.tv_nsec) << 32))?;
            word(10, u64::from(seen.stx_btime.tv_nsec) | (u64::from(has_birth) << 32))?;
            word(0, SEEN)
        }
    }
}

/// What a slot says: an error of the kernel's, something seen, something done, or that a descriptor comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Failed(i32),
    Opened,
    Seen(Box<Stat>),
    Done,
}

/// Reads a slot, each number once: whoever wrote it may be hostile, and may still be writing.
pub(super) fn read_answer(board: &Shared, index: usize) -> Option<Told> {
    let at = index.checked_mul(SLOT_WORDS)?;
    let word = |offset: usize| board.load(at.checked_add(offset)?);
    let halves = |word: u64| (u32::try_from(word & 0xFFFF_FFFF).ok(), u32::try_from(word >> 32).ok());
    let both = |word: u64| halves(word).0.zip(halves(word).1);
    let (tag, errno) = both(word(0)?)?;
    match u64::from(tag) {
        FAILED => i32::try_from(errno).ok().filter(|errno| (1..4096).contains(errno)).map(Told::Failed),
        OPENED if errno == 0 => Some(Told::Opened),
        DONE if errno == 0 => Some(Told::Done),
        SEEN if errno == 0 => {
            let (mode, links) = both(word(1)?)?;
            let (uid, gid) = both(word(2)?)?;
            let (modified, changed) = both(word(9)?)?;
            let (born, has_birth) = both(word(10)?)?;
            let seconds = |offset| Some(i64::from_ne_bytes(word(offset)?.to_ne_bytes()));
            let time = |seconds: i64, nanos: u32| (nanos < 1_000_000_000).then_some(Time { seconds, nanos });
            let kind = Kind::of(FileType::from_raw_mode(mode));
            Some(Told::Seen(Box::new(Stat {
                id: FileId { device: word(5)?, inode: word(4)? },
                kind,
                mode: mode & 0o7777,
                links,
                uid,
                gid,
                size: word(3)?,
                modified: time(seconds(6)?, modified)?,
                changed: time(seconds(7)?, changed)?,
                born: match has_birth {
                    0 => None,
                    1 => Some(time(seconds(8)?, born)?),
                    _ => return None,
                },
            })))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::shm::Use;
    use proptest::prelude::*;
    use std::os::fd::AsFd as _;

    fn board(words: usize) -> Shared {
        Shared::map(Shared::create(words).unwrap(), words, Use::ReadWrite).unwrap()
    }

    fn path(text: &str) -> BeneathPath {
        BeneathPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_longest_batch_fits() {
        let board = board(REQUEST_WORDS);
        let long = path(&["x".repeat(255).as_str(); 16].join("/")[..4095]);
        let request = FileRequest::Create { path: long, mode: 0o640 };
        let mut at = 0;
        for _ in 0..MAX_BATCH {
            at = request.write(&board, at).unwrap();
        }
        let mut read = Read::new();
        let mut seen = 0;
        for _ in 0..MAX_BATCH {
            seen = read.fill(&board, seen).unwrap();
            assert_eq!((read.operation, read.detail, read.len), (CREATE, 0o640, 4095));
            assert_eq!(read.path().unwrap().to_bytes().len(), 4095);
        }
        assert_eq!(seen, at);
    }

    #[test]
    fn requests_are_done_and_answers_are_read() {
        let directory = std::env::temp_dir().join(format!("vicar-sealed-file-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let root = rustix::fs::open(&directory, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let (requests, answers) = (board(REQUEST_WORDS), board(ANSWER_WORDS));
        let mut read = Read::new();
        let mut ask = |request: &FileRequest| {
            request.write(&requests, 0).unwrap();
            read.fill(&requests, 0).unwrap();
            let performed = read.perform(root.as_fd());
            write_answer(&answers, 3, &performed).unwrap();
            read_answer(&answers, 3).unwrap()
        };
        assert_eq!(ask(&FileRequest::MakeDirectory { path: path("d"), mode: 0o755 }), Told::Done);
        assert_eq!(ask(&FileRequest::Create { path: path("d/f"), mode: 0o600 }), Told::Opened);
        assert_eq!(ask(&FileRequest::Open { path: path("d/f"), access: FileAccess::Read }), Told::Opened);
        let Told::Seen(seen) = ask(&FileRequest::Stat { path: path("d/f") }) else { panic!("not seen") };
        let metadata = std::fs::metadata(directory.join("d/f")).unwrap();
        assert_eq!((seen.kind, seen.mode, seen.size), (Kind::Regular, 0o600, 0));
        assert_eq!(seen.id.inode, std::os::unix::fs::MetadataExt::ino(&metadata));
        assert!(matches!(ask(&FileRequest::Stat { path: BeneathPath::here() }), Told::Seen(_)));
        std::os::unix::fs::symlink("/etc", directory.join("out")).unwrap();
        std::os::unix::fs::symlink("d", directory.join("in")).unwrap();
        let open = |text: &str| FileRequest::Open { path: path(text), access: FileAccess::Read };
        assert_eq!(ask(&open("out/passwd")), Told::Failed(libc::EXDEV));
        assert_eq!(ask(&open("in/f")), Told::Opened);
        assert_eq!(ask(&open("in")), Told::Failed(libc::ELOOP));
        assert_eq!(ask(&FileRequest::Stat { path: path("out/passwd") }), Told::Failed(libc::EXDEV));
        assert_eq!(ask(&FileRequest::Unlink { path: path("out/passwd") }), Told::Failed(libc::EXDEV));
        assert_eq!(ask(&FileRequest::RemoveDirectory { path: BeneathPath::here() }), Told::Failed(libc::EINVAL));
        assert_eq!(ask(&FileRequest::Unlink { path: path("in/f") }), Told::Done);
        assert_eq!(ask(&FileRequest::RemoveDirectory { path: path("d") }), Told::Done);
        assert_eq!(ask(&FileRequest::Stat { path: path("d") }), Told::Failed(libc::ENOENT));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    /// One memory for all cases, which run one after the other in one test each.
    fn kept(which: &'static std::sync::OnceLock<Shared>, words: usize) -> &'static Shared {
        which.get_or_init(|| board(words))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn any_memory_is_an_answer_or_none(words in prop::collection::vec(any::<u64>(), SLOT_WORDS), small in any::<bool>()) {
            static BOARD: std::sync::OnceLock<Shared> = std::sync::OnceLock::new();
            let board = kept(&BOARD, SLOT_WORDS);
            for (index, word) in words.iter().enumerate() {
                board.store(index, if small { word & 0x0003_0000_0007 } else { *word }).unwrap();
            }
            if let Some(Told::Seen(seen)) = read_answer(board, 0) {
                prop_assert!(seen.modified.nanos < 1_000_000_000 && seen.mode <= 0o7777);
            }
            prop_assert_eq!(read_answer(board, 1), None);
        }

        #[test]
        fn any_memory_is_a_request_or_none(words in prop::collection::vec(any::<u64>(), 32), small in any::<bool>()) {
            static BOARD: std::sync::OnceLock<Shared> = std::sync::OnceLock::new();
            let board = kept(&BOARD, 32);
            for (index, word) in words.iter().enumerate() {
                board.store(index, if small { word & 0x0003_0000_00FF } else { *word }).unwrap();
            }
            let mut read = Read::new();
            if let Some(next) = read.fill(board, 0) {
                prop_assert!(next <= 32 && read.len <= BeneathPath::MAX_LEN);
            }
        }
    }
}
