//! The system calls that can be submitted to an io_uring, with everything they point to.
//!
//! The same value can be done by the calling thread instead, by the same call.
#![expect(unsafe_code, reason = "buffers that the kernel has filled are taken as filled")]

use super::ring_text::Text;
use core::mem::MaybeUninit;
use io_uring::{opcode, squeue, types};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, IntoRawFd as _, OwnedFd, RawFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, Statx, StatxFlags, XattrFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType};
use smallvec::SmallVec;
use std::sync::Arc;

/// Whether the next call waits for this one, and is cancelled (`ECANCELED`) when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It does not.
    None,
    /// It does.
    Soft,
}

/// Where a name is looked up.
#[derive(Clone, Debug)]
pub(crate) enum At {
    /// In a directory that is held open.
    Held(Arc<OwnedFd>),
    /// Nowhere: the name is the magic link of a descriptor of ours, which the value keeps open.
    Magic(#[expect(dead_code, reason = "held for its end: the descriptor that the magic link names")] Arc<OwnedFd>),
}

impl At {
    fn raw(&self) -> types::Fd {
        types::Fd(self.as_fd().as_raw_fd())
    }
}

impl AsFd for At {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Held(fd) => fd.as_fd(),
            Self::Magic(_) => CWD,
        }
    }
}

/// A name, and another one. In a box, because most calls have less and are moved about.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) at: At,
    pub(crate) name: Text,
    pub(crate) to: At,
    pub(crate) to_name: Text,
}

/// One system call that has an opcode.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Open {
        at: At,
        path: Text,
        flags: OFlags,
        mode: u32,
        resolve: ResolveFlags,
    },
    Stat {
        at: At,
        path: Text,
        flags: AtFlags,
    },
    MakeDirectory {
        at: At,
        name: Text,
        mode: u32,
    },
    Unlink {
        at: At,
        name: Text,
        flags: AtFlags,
    },
    Rename {
        names: Box<Names>,
        flags: RenameFlags,
    },
    Link {
        names: Box<Names>,
        flags: AtFlags,
    },
    Symlink {
        text: Text,
        at: At,
        name: Text,
    },
    GetAttribute {
        of: Arc<OwnedFd>,
        path: Text,
        name: Text,
        limit: u32,
    },
    SetAttribute {
        of: Arc<OwnedFd>,
        names: Box<[Text; 2]>,
        value: Vec<u8>,
        flags: XattrFlags,
    },
    Socket {
        domain: i32,
        kind: i32,
        protocol: i32,
    },
    Read {
        from: Arc<OwnedFd>,
        offset: u64,
        len_bytes: u32,
    },
    Write {
        to: Arc<OwnedFd>,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// Closed by the kernel if nobody else holds it then, else with the last who does.
    Close {
        held: Option<Arc<OwnedFd>>,
    },
}

/// What a call gave.
#[derive(Debug)]
pub(crate) enum Output {
    /// Nothing but success.
    Nothing,
    /// A new descriptor, closed on exec.
    Descriptor(OwnedFd),
    /// What the kernel says about an inode.
    Stat(Box<Statx>),
    /// Content.
    Bytes(Vec<u8>),
    /// How many bytes were taken.
    Count(usize),
}

/// A call that has ended: the `position`th of its group.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) group: u64,
    pub(crate) position: usize,
    pub(crate) output: Result<Output, Errno>,
}

/// The calls of one batch, in order.
pub(crate) type Calls = SmallVec<[(Call, Link); 1]>;

/// What each call of a batch gave.
pub(crate) type Outputs = SmallVec<[Result<Output, Errno>; 1]>;

/// A call in the kernel's hands, and the memory the kernel writes its answer to.
pub(super) struct Pending {
    call: Call,
    group: u64,
    position: usize,
    how: types::OpenHow,
    stat: Option<Box<MaybeUninit<Statx>>>,
    bytes: Vec<u8>,
    /// Whether the kernel was asked to close what the call holds.
    closes: bool,
}

impl Call {
    /// The number by which the kernel knows it.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Open { resolve, .. } if resolve.is_empty() => opcode::OpenAt::CODE,
            Self::Open { .. } => opcode::OpenAt2::CODE,
            Self::Stat { .. } => opcode::Statx::CODE,
            Self::MakeDirectory { .. } => opcode::MkDirAt::CODE,
            Self::Unlink { .. } => opcode::UnlinkAt::CODE,
            Self::Rename { .. } => opcode::RenameAt::CODE,
            Self::Link { .. } => opcode::LinkAt::CODE,
            Self::Symlink { .. } => opcode::SymlinkAt::CODE,
            Self::GetAttribute { .. } => opcode::GetXattr::CODE,
            Self::SetAttribute { .. } => opcode::SetXattr::CODE,
            Self::Socket { .. } => opcode::Socket::CODE,
            Self::Read { .. } => opcode::Read::CODE,
            Self::Write { .. } => opcode::Write::CODE,
            Self::Close { .. } => opcode::Close::CODE,
        }
    }

    /// The numbers of all calls, with their names.
    pub(crate) const CODES: [(u8, &'static str); 14] = [
        (opcode::OpenAt2::CODE, "openat2"),
        (opcode::Statx::CODE, "statx"),
        (opcode::MkDirAt::CODE, "mkdirat"),
        (opcode::UnlinkAt::CODE, "unlinkat"),
        (opcode::RenameAt::CODE, "renameat2"),
        (opcode::LinkAt::CODE, "linkat"),
        (opcode::SymlinkAt::CODE, "symlinkat"),
        (opcode::GetXattr::CODE, "getxattr"),
        (opcode::SetXattr::CODE, "setxattr"),
        (opcode::Socket::CODE, "socket"),
        (opcode::Read::CODE, "read"),
        (opcode::Write::CODE, "write"),
        (opcode::Close::CODE, "close"),
        (opcode::OpenAt::CODE, "openat"),
    ];

    /// Whether it can make an inode, whose mode then depends on the umask of the thread that submits it.
    pub(crate) fn makes(&self) -> bool {
        match self {
            Self::Open { flags, .. } => {
                flags.intersects(OFlags::CREATE.union(OFlags::TMPFILE).difference(OFlags::DIRECTORY))
            }
            Self::MakeDirectory { .. } | Self::Symlink { .. } => true,
            Self::Stat { .. }
            | Self::Unlink { .. }
            | Self::Rename { .. }
            | Self::Link { .. }
            | Self::GetAttribute { .. }
            | Self::SetAttribute { .. }
            | Self::Socket { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Close { .. } => false,
        }
    }

    /// Whether the kernel cancels what is linked to it when it fails, and only then. It does not for calls on names other
    /// than opening (seen on 6.18: a failed unlinkat, and the next one was done), and it does for a short transfer.
    pub(crate) fn stops_what_follows(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Socket { .. } => true,
            Self::Stat { .. }
            | Self::MakeDirectory { .. }
            | Self::Unlink { .. }
            | Self::Rename { .. }
            | Self::Link { .. }
            | Self::Symlink { .. }
            | Self::GetAttribute { .. }
            | Self::SetAttribute { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Close { .. } => false,
        }
    }

    /// Does it on the calling thread, as whoever that is.
    pub(crate) fn perform(self) -> Result<Output, Errno> {
        let done = |result: Result<(), Errno>| result.map(|()| Output::Nothing);
        match self {
            Self::Open { at, path, flags, mode, resolve } => {
                rustix::fs::openat2(at, path.as_c_str(), flags, Mode::from_raw_mode(mode), resolve)
                    .map(Output::Descriptor)
            }
            Self::Stat { at, path, flags } => {
                rustix::fs::statx(at, path.as_c_str(), flags, WANTED).map(|stat| Output::Stat(Box::new(stat)))
            }
            Self::MakeDirectory { at, name, mode } => {
                done(rustix::fs::mkdirat(at, name.as_c_str(), Mode::from_raw_mode(mode)))
            }
            Self::Unlink { at, name, flags } => done(rustix::fs::unlinkat(at, name.as_c_str(), flags)),
            Self::Rename { names, flags } => {
                let Names { at, name, to, to_name } = &*names;
                done(rustix::fs::renameat_with(at, name.as_c_str(), to, to_name.as_c_str(), flags))
            }
            Self::Link { names, flags } => {
                let Names { at, name, to, to_name } = &*names;
                done(rustix::fs::linkat(at, name.as_c_str(), to, to_name.as_c_str(), flags))
            }
            Self::Symlink { text, at, name } => done(rustix::fs::symlinkat(text.as_c_str(), at, name.as_c_str())),
            Self::GetAttribute { of: _of, path, name, limit } => {
                let mut value = Vec::with_capacity(size(limit));
                rustix::fs::getxattr(path.as_c_str(), name.as_c_str(), rustix::buffer::spare_capacity(&mut value))?;
                Ok(Output::Bytes(value))
            }
            Self::SetAttribute { of: _of, names, value, flags } => {
                let [path, name] = &*names;
                done(rustix::fs::setxattr(path.as_c_str(), name.as_c_str(), &value, flags))
            }
            Self::Socket { domain, kind, protocol } => socket(domain, kind, protocol),
            Self::Read { from, offset, len_bytes } => {
                let mut bytes = Vec::with_capacity(size(len_bytes));
                rustix::io::pread(&from, rustix::buffer::spare_capacity(&mut bytes), offset)?;
                Ok(Output::Bytes(bytes))
            }
            Self::Write { to, offset, bytes } => rustix::io::pwrite(&to, &bytes, offset).map(Output::Count),
            Self::Close { held } => {
                drop(held);
                Ok(Output::Nothing)
            }
        }
    }
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

fn size(len_bytes: u32) -> usize {
    usize::try_from(len_bytes).unwrap_or(0)
}

fn socket(domain: i32, kind: i32, protocol: i32) -> Result<Output, Errno> {
    let domain = AddressFamily::from_raw(u16::try_from(domain).map_err(|_range| Errno::AFNOSUPPORT)?);
    let kind = SocketType::from_raw(u32::try_from(kind).map_err(|_range| Errno::INVAL)?);
    let protocol = match u32::try_from(protocol) {
        Ok(number) => core::num::NonZeroU32::new(number).map(Protocol::from_raw),
        Err(_range) => return Err(Errno::INVAL),
    };
    rustix::net::socket_with(domain, kind, SocketFlags::CLOEXEC, protocol).map(Output::Descriptor)
}

impl Pending {
    pub(super) fn new(call: Call, group: u64, position: usize) -> Self {
        let how = if let Call::Open { flags, mode, resolve, .. } = &call {
            let how = types::OpenHow::new().flags(u64::from(flags.bits()));
            how.mode(u64::from(*mode)).resolve(resolve.bits())
        } else {
            types::OpenHow::new()
        };
        let stat = matches!(call, Call::Stat { .. }).then(|| Box::new(MaybeUninit::uninit()));
        let room = if let Call::GetAttribute { limit: len, .. } | Call::Read { len_bytes: len, .. } = &call {
            size(*len)
        } else {
            0
        };
        Self { call, group, position, how, stat, bytes: Vec::with_capacity(room), closes: false }
    }

    /// The entry for it, which points into it: it must stay where it is until the entry is completed.
    ///
    /// `may_be_cancelled`: the call before it can cancel it.
    pub(super) fn entry(&mut self, may_be_cancelled: bool) -> squeue::Entry {
        let stat = self.stat.as_deref_mut().map_or(core::ptr::null_mut(), MaybeUninit::as_mut_ptr);
        match &mut self.call {
            Call::Close { held } => {
                // Nobody can take a share of what only this call holds. What is not closed by the kernel is closed when
                // the call has ended, also when it was cancelled.
                let alone = held.as_mut().and_then(Arc::get_mut).filter(|_| !may_be_cancelled);
                self.closes = alone.is_some();
                match alone {
                    Some(alone) => opcode::Close::new(types::Fd(alone.as_raw_fd())).build(),
                    None => opcode::Nop::new().build(),
                }
            }
            // One structure less for the kernel to fetch.
            Call::Open { at, path, flags, mode, resolve } if resolve.is_empty() => {
                opcode::OpenAt::new(at.raw(), path.as_ptr()).flags(flags.bits().cast_signed()).mode(*mode).build()
            }
            Call::Open { at, path, .. } => opcode::OpenAt2::new(at.raw(), path.as_ptr(), &raw const self.how).build(),
            Call::Stat { at, path, flags } => opcode::Statx::new(at.raw(), path.as_ptr(), stat.cast())
                .flags(flags.bits().cast_signed())
                .mask(WANTED.bits())
                .build(),
            Call::MakeDirectory { at, name, mode } => opcode::MkDirAt::new(at.raw(), name.as_ptr()).mode(*mode).build(),
            Call::Unlink { at, name, flags } => {
                opcode::UnlinkAt::new(at.raw(), name.as_ptr()).flags(flags.bits().cast_signed()).build()
            }
            Call::Rename { names, flags } => {
                let Names { at, name, to, to_name } = &**names;
                opcode::RenameAt::new(at.raw(), name.as_ptr(), to.raw(), to_name.as_ptr()).flags(flags.bits()).build()
            }
            Call::Link { names, flags } => {
                let Names { at, name, to, to_name } = &**names;
                opcode::LinkAt::new(at.raw(), name.as_ptr(), to.raw(), to_name.as_ptr())
                    .flags(flags.bits().cast_signed())
                    .build()
            }
            Call::Symlink { text, at, name } => opcode::SymlinkAt::new(at.raw(), text.as_ptr(), name.as_ptr()).build(),
            Call::GetAttribute { path, name, limit, .. } => {
                opcode::GetXattr::new(name.as_ptr(), self.bytes.as_mut_ptr().cast(), path.as_ptr(), *limit).build()
            }
            Call::SetAttribute { names, value, flags, .. } => {
                let [path, name] = &**names;
                // A value that is too long for the kernel is too long in any number of bits.
                let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
                opcode::SetXattr::new(name.as_ptr(), value.as_ptr().cast(), path.as_ptr(), len)
                    .flags(flags.bits().cast_signed())
                    .build()
            }
            Call::Socket { domain, kind, protocol } => {
                opcode::Socket::new(*domain, *kind | libc::SOCK_CLOEXEC, *protocol).build()
            }
            Call::Read { from, offset, len_bytes } => {
                opcode::Read::new(types::Fd(from.as_raw_fd()), self.bytes.as_mut_ptr(), *len_bytes)
                    .offset(*offset)
                    .build()
            }
            Call::Write { to, offset, bytes } => {
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                opcode::Write::new(types::Fd(to.as_raw_fd()), bytes.as_ptr(), len).offset(*offset).build()
            }
        }
    }

    /// Makes its answer of what the kernel returned; `adopt` takes a descriptor that was opened.
    pub(super) fn finished(&mut self, result: i32, adopt: impl FnOnce(RawFd) -> OwnedFd) -> Finished {
        let output = match usize::try_from(result) {
            // What it says of earlier writes is not told by other roads either.
            Err(_negative) if self.closes => Ok(Output::Nothing),
            Err(_negative) => Err(Errno::from_raw_os_error(result.saturating_neg())),
            Ok(count) => Ok(match &self.call {
                Call::Open { .. } | Call::Socket { .. } => Output::Descriptor(adopt(result)),
                Call::Stat { .. } => match self.stat.take() {
                    // SAFETY: statx succeeded, and then it has written the whole structure.
                    Some(stat) => Output::Stat(unsafe { stat.assume_init() }),
                    None => Output::Nothing,
                },
                Call::GetAttribute { .. } | Call::Read { .. } => {
                    let len = count.min(self.bytes.capacity());
                    // SAFETY:
                    // 1. `len` is at most the capacity.
                    // 2. the kernel has written `count` bytes from the start, and `len` is at most that.
                    unsafe { self.bytes.set_len(len) };
                    Output::Bytes(core::mem::take(&mut self.bytes))
                }
                Call::Write { .. } => Output::Count(count),
                Call::MakeDirectory { .. }
                | Call::Unlink { .. }
                | Call::Rename { .. }
                | Call::Link { .. }
                | Call::Symlink { .. }
                | Call::SetAttribute { .. }
                | Call::Close { .. } => Output::Nothing,
            }),
        };
        let (group, position) = (self.group, self.position);
        if let Call::Close { held } = &mut self.call
            && self.closes
            && let Some(closed) = held.take().and_then(Arc::into_inner)
        {
            // Whatever the kernel answered: a file system may answer anything to a close that was done, and closing a
            // number twice would close what somebody else was given meanwhile. A number too many is the lesser evil.
            let _number = closed.into_raw_fd();
        }
        Finished { group, position, output }
    }
}
