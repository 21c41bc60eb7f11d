//! What can be submitted: one system call each, on one name of a directory that the client reached, or beneath it.

mod batch;

pub use batch::Batch;
pub(super) use batch::Endings;

use super::inode::Inode;
use crate::fs::{
    BeneathPath, Errno, FsError, Kind, Links, Name, NameError, Replace, Stat, XATTR_VALUE_LIMIT, magic_path,
};
use crate::sys::ring_call::{At, Call, Names};
use crate::sys::ring_text::Text;
use core::fmt;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, OFlags, RenameFlags, ResolveFlags, XattrFlags};
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// Most bytes of one reading or writing.
pub const CONTENT_LIMIT: usize = 1 << 30;

/// Never waits, never takes a terminal, never outlives an exec.
const QUIET: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFor {
    /// Its content is read.
    Reading,
    /// Its content is changed.
    Writing,
    /// Both.
    Both,
}

impl OpenFor {
    const fn flags(self) -> OFlags {
        match self {
            Self::Reading => OFlags::RDONLY,
            Self::Writing => OFlags::WRONLY,
            Self::Both => OFlags::RDWR,
        }
    }
}

/// A regular file that a client opened for its content. Cheap to clone; closed with the last clone, and never while a
/// submission works on it.
#[derive(Clone)]
pub struct Content {
    held: Arc<OwnedFd>,
    stat: Stat,
}

impl Content {
    /// What the kernel said when it was opened.
    #[must_use]
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }
}

impl AsFd for Content {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("stat", &self.stat).finish_non_exhaustive()
    }
}

/// What an operation gave.
#[derive(Debug)]
#[non_exhaustive]
pub enum Done {
    /// Success and nothing else.
    Nothing,
    /// The inode that was looked for.
    Inode(Inode),
    /// A regular file, open for its content.
    Content(Content),
    /// What the kernel says about an inode.
    Stat(Stat),
    /// Content that was read; fewer bytes than asked for at the end of the file.
    Bytes(Vec<u8>),
    /// How many bytes were written; fewer than given when there is no room for more.
    Written(usize),
    /// The value of an extended attribute; `None` when there is none of that name.
    Attribute(Option<Vec<u8>>),
    /// A socket.
    Socket(OwnedFd),
}

/// One system call to be made as a client.
///
/// It says nothing about who that is: without a client it cannot be submitted.
///
/// ```compile_fail
/// fn nobody(ring: &vicar_os::ring::Ring, operation: vicar_os::ring::Operation) {
///     let _ = ring.run(operation.into());
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Operation {
    call: Call,
    ending: Ending,
}

/// What is not for the kernel.
#[derive(Clone, Debug)]
struct Ending {
    what: &'static str,
    /// The inodes it works in, besides that of `gives`; all of them must be the client's.
    works_in: [Option<Inode>; 2],
    gives: Gives,
}

/// What the output of the call is made into.
#[derive(Clone, Debug)]
enum Gives {
    Nothing,
    /// An inode beneath this one.
    InodeBeneath(Inode),
    /// This very inode, opened.
    Opened(Inode),
    /// A file that did not exist.
    Made,
    Stat,
    Attribute,
    Bytes,
    Written,
    Socket,
}

fn named(text: &str) -> Result<Text, FsError> {
    match text.bytes().position(|byte| byte == 0) {
        Some(at_byte) => Err(FsError::Name(NameError::Nul { at_byte })),
        None => Ok(Text::of(text.as_bytes())),
    }
}

fn held(inode: &Inode) -> At {
    At::Held(Arc::clone(inode.held()))
}

fn magic(fd: BorrowedFd<'_>) -> Text {
    Text::of(magic_path(fd).as_bytes())
}

fn names(at: At, name: &Name, to: &Inode, to_name: &Name) -> Box<Names> {
    let (name, to_name) = (Text::of(name.as_bytes()), Text::of(to_name.as_bytes()));
    Box::new(Names { at, name, to: held(to), to_name })
}

impl Operation {
    fn new(what: &'static str, call: Call, works_in: &Inode, gives: Gives) -> Self {
        Self { call, ending: Ending { what, works_in: [Some(works_in.clone()), None], gives } }
    }

    /// Works in no inode but what `gives` names.
    const fn nowhere(what: &'static str, call: Call, gives: Gives) -> Self {
        Self { call, ending: Ending { what, works_in: [None, None], gives } }
    }

    /// Finds what `path` names beneath `directory` and looks at it without opening it for content.
    ///
    /// # Errors
    /// - [`FsError::Os`] when the client cannot get there; `EXDEV` when a link leads outside, `ELOOP` for a magic link,
    ///   `EAGAIN` when a rename on the way disturbed `..`.
    /// - [`FsError::KernelFileSystem`] when a file system mounted beneath is one of the kernel's own.
    #[must_use]
    pub fn look(directory: &Inode, path: &BeneathPath, links: Links) -> Self {
        let stay = match links {
            Links::Follow => OFlags::empty(),
            Links::Stay => OFlags::NOFOLLOW,
        };
        let (at, path) = (held(directory), Text::of(path.as_os().as_bytes()));
        let call = Call::Open { at, path, flags: OFlags::PATH | OFlags::CLOEXEC | stay, mode: 0, resolve: BENEATH };
        let gives = Gives::InodeBeneath(directory.clone());
        Self::nowhere("look", call, gives)
    }

    /// Opens a regular file that was looked at, by the same path; one system call, done at once when the path is cached.
    ///
    /// # Errors
    /// - [`FsError::NotServed`] when `looked` is no regular file.
    /// - [`FsError::Changed`] when the path leads to another inode now; whatever that was is closed again.
    /// - [`FsError::Os`] when the client may not.
    pub fn open(directory: &Inode, path: &BeneathPath, looked: &Inode, open_for: OpenFor) -> Result<Self, FsError> {
        let flags = open_for.flags() | QUIET;
        let call = Call::Open {
            at: held(directory),
            path: Text::of(path.as_os().as_bytes()),
            flags,
            mode: 0,
            resolve: BENEATH,
        };
        Self::opening(call, directory, looked)
    }

    /// As [`Self::open`], by one name in `directory`, which is no link: a little cheaper, because nothing can lead outside.
    ///
    /// # Errors
    /// - As [`Self::open`]; `ELOOP` when the name is a symbolic link.
    pub fn open_name(directory: &Inode, name: &Name, looked: &Inode, open_for: OpenFor) -> Result<Self, FsError> {
        let flags = open_for.flags() | QUIET | OFlags::NOFOLLOW;
        let (at, path) = (held(directory), Text::of(name.as_bytes()));
        let call = Call::Open { at, path, flags, mode: 0, resolve: ResolveFlags::empty() };
        Self::opening(call, directory, looked)
    }

    /// Opens a regular file that was looked at: this very inode, whatever its name is now.
    ///
    /// # Errors
    /// - As [`Self::open`]; `ENOENT` where procfs is not mounted.
    pub fn reopen(looked: &Inode, open_for: OpenFor) -> Result<Self, FsError> {
        let flags = open_for.flags() | QUIET;
        let at = At::Magic(Arc::clone(looked.held()));
        let call = Call::Open { at, path: magic(looked.as_fd()), flags, mode: 0, resolve: ResolveFlags::empty() };
        Self::opening(call, looked, looked)
    }

    fn opening(call: Call, works_in: &Inode, looked: &Inode) -> Result<Self, FsError> {
        match looked.stat().kind {
            Kind::Regular => {}
            kind @ (Kind::Directory
            | Kind::Symlink
            | Kind::Fifo
            | Kind::Socket
            | Kind::CharacterDevice
            | Kind::BlockDevice
            | Kind::Unknown) => return Err(FsError::NotServed { kind }),
        }
        Ok(Self::new("open", call, works_in, Gives::Opened(looked.clone())))
    }

    /// Makes a regular file and opens it for both; nothing may have the name.
    ///
    /// # Inputs
    /// - `mode`: permission bits before the umask.
    #[must_use]
    pub fn create(directory: &Inode, name: &Name, mode: u32) -> Self {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | QUIET;
        let (at, path) = (held(directory), Text::of(name.as_bytes()));
        let call = Call::Open { at, path, flags, mode: mode & 0o7777, resolve: BENEATH };
        Self::new("create", call, directory, Gives::Made)
    }

    /// Makes a regular file without a name and opens it for both; [`Self::name_it`] gives it one.
    #[must_use]
    pub fn create_nameless(directory: &Inode, mode: u32) -> Self {
        let flags = OFlags::TMPFILE | OFlags::RDWR | QUIET;
        let call =
            Call::Open { at: held(directory), path: Text::of(b"."), flags, mode: mode & 0o777, resolve: BENEATH };
        Self::new("create temporary file", call, directory, Gives::Made)
    }

    /// Gives a file without a name one that nothing has yet.
    #[must_use]
    pub fn name_it(content: &Content, directory: &Inode, name: &Name) -> Self {
        let names = Names {
            at: At::Magic(Arc::clone(&content.held)),
            name: magic(content.as_fd()),
            to: held(directory),
            to_name: Text::of(name.as_bytes()),
        };
        let call = Call::Link { names: Box::new(names), flags: AtFlags::SYMLINK_FOLLOW };
        Self::new("link", call, directory, Gives::Nothing)
    }

    /// Says what the kernel says about a name, without following a link.
    #[must_use]
    pub fn stat(directory: &Inode, name: &Name) -> Self {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        Self::new(
            "stat",
            Call::Stat { at: held(directory), path: Text::of(name.as_bytes()), flags },
            directory,
            Gives::Stat,
        )
    }

    /// Says what the kernel says about an inode now.
    #[must_use]
    pub fn stat_of(inode: &Inode) -> Self {
        let call = Call::Stat { at: held(inode), path: Text::default(), flags: AtFlags::EMPTY_PATH };
        Self::new("stat", call, inode, Gives::Stat)
    }

    /// Makes a directory.
    #[must_use]
    pub fn make_directory(directory: &Inode, name: &Name, mode: u32) -> Self {
        let call = Call::MakeDirectory { at: held(directory), name: Text::of(name.as_bytes()), mode: mode & 0o7777 };
        Self::new("make directory", call, directory, Gives::Nothing)
    }

    /// Removes a name that is not a directory.
    #[must_use]
    pub fn unlink(directory: &Inode, name: &Name) -> Self {
        let call = Call::Unlink { at: held(directory), name: Text::of(name.as_bytes()), flags: AtFlags::empty() };
        Self::new("unlink", call, directory, Gives::Nothing)
    }

    /// Removes an empty directory.
    #[must_use]
    pub fn remove_directory(directory: &Inode, name: &Name) -> Self {
        let call = Call::Unlink { at: held(directory), name: Text::of(name.as_bytes()), flags: AtFlags::REMOVEDIR };
        Self::new("remove directory", call, directory, Gives::Nothing)
    }

    /// Renames something in `directory` to a name in `to`.
    #[must_use]
    pub fn rename(directory: &Inode, name: &Name, to: &Inode, to_name: &Name, replace: Replace) -> Self {
        let flags = match replace {
            Replace::Never => RenameFlags::NOREPLACE,
            Replace::File => RenameFlags::empty(),
            Replace::Exchange => RenameFlags::EXCHANGE,
        };
        let call = Call::Rename { names: names(held(directory), name, to, to_name), flags };
        let mut operation = Self::new("rename", call, directory, Gives::Nothing);
        operation.ending.works_in[1] = Some(to.clone());
        operation
    }

    /// Gives something in `directory` a second name in `to`; of a symbolic link, the link.
    #[must_use]
    pub fn link(directory: &Inode, name: &Name, to: &Inode, to_name: &Name) -> Self {
        let call = Call::Link { names: names(held(directory), name, to, to_name), flags: AtFlags::empty() };
        let mut operation = Self::new("link", call, directory, Gives::Nothing);
        operation.ending.works_in[1] = Some(to.clone());
        operation
    }

    /// Makes a symbolic link with the given text.
    #[must_use]
    pub fn make_link(directory: &Inode, name: &Name, text: &CStr) -> Self {
        let call =
            Call::Symlink { text: Text::of(text.to_bytes()), at: held(directory), name: Text::of(name.as_bytes()) };
        Self::new("make link", call, directory, Gives::Nothing)
    }

    /// Reads an extended attribute.
    ///
    /// # Errors
    /// - [`FsError::Name`] when `name` holds a NUL.
    pub fn attribute(of: &Inode, name: &str) -> Result<Self, FsError> {
        let limit = u32::try_from(XATTR_VALUE_LIMIT).unwrap_or(u32::MAX);
        let (path, name) = (magic(of.as_fd()), named(name)?);
        let call = Call::GetAttribute { of: Arc::clone(of.held()), path, name, limit };
        Ok(Self::new("read attribute", call, of, Gives::Attribute))
    }

    /// Sets an extended attribute in one step.
    ///
    /// # Errors
    /// - [`FsError::Name`] when `name` holds a NUL.
    pub fn set_attribute(of: &Inode, name: &str, value: &[u8]) -> Result<Self, FsError> {
        let call = Call::SetAttribute {
            of: Arc::clone(of.held()),
            names: Box::new([magic(of.as_fd()), named(name)?]),
            value: value.to_vec(),
            flags: XattrFlags::empty(),
        };
        Ok(Self::new("set attribute", call, of, Gives::Nothing))
    }

    /// Makes a socket, by the numbers of socket(2). It is closed on exec; whether the client may make it is checked now,
    /// what it may be connected to when that is done.
    #[must_use]
    pub fn socket(domain: i32, kind: i32, protocol: i32) -> Self {
        let call = Call::Socket { domain, kind, protocol };
        Self::nowhere("socket", call, Gives::Socket)
    }

    /// Reads up to `len_bytes` from `offset`, in one system call.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `EINVAL` when `offset` or `len_bytes` (limit [`CONTENT_LIMIT`]) is out of range.
    pub fn read(content: &Content, offset: u64, len_bytes: usize) -> Result<Self, FsError> {
        let len = in_range("read", offset, len_bytes)?;
        let call = Call::Read { from: Arc::clone(&content.held), offset, len_bytes: len };
        Ok(Self::nowhere("read", call, Gives::Bytes))
    }

    /// Writes `bytes` at `offset`, in one system call.
    ///
    /// # Errors
    /// - [`FsError::Os`] with `EINVAL` when `offset` or the length (limit [`CONTENT_LIMIT`]) is out of range.
    pub fn write(content: &Content, offset: u64, bytes: Vec<u8>) -> Result<Self, FsError> {
        let _len = in_range("write", offset, bytes.len())?;
        let call = Call::Write { to: Arc::clone(&content.held), offset, bytes };
        Ok(Self::nowhere("write", call, Gives::Written))
    }

    /// Closes a file now, among other operations; by itself it is closed when the last clone is dropped. With other
    /// clones it stays open until those are dropped.
    ///
    /// What close(2) says of earlier writes is not told.
    #[must_use]
    pub fn close(content: Content) -> Self {
        let call = Call::Close { held: Some(content.held) };
        Self::nowhere("close", call, Gives::Nothing)
    }
}

impl Ending {
    /// All inodes that it works in.
    fn inodes(&self) -> impl Iterator<Item = &Inode> {
        let given = match &self.gives {
            Gives::InodeBeneath(inode) | Gives::Opened(inode) => Some(inode),
            Gives::Nothing
            | Gives::Made
            | Gives::Stat
            | Gives::Attribute
            | Gives::Bytes
            | Gives::Written
            | Gives::Socket => None,
        };
        self.works_in.iter().flatten().chain(given)
    }
}

/// The largest offset would mean "where the descriptor is now".
fn in_range(operation: &'static str, offset: u64, len_bytes: usize) -> Result<u32, FsError> {
    let invalid = FsError::Os { operation, errno: Errno::INVAL };
    if i64::try_from(offset).is_err() || len_bytes > CONTENT_LIMIT {
        return Err(invalid);
    }
    u32::try_from(len_bytes).map_err(|_too_long| invalid)
}
