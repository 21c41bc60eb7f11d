//! One message and its descriptors, over a pair of sockets that keeps messages apart.

use crate::{KernelGid, KernelUid, UnixIdentity};
use core::mem::MaybeUninit;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Most descriptors in one message. The kernel allows 253.
pub(crate) const MAX_DESCRIPTORS: usize = 128;

const SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// Makes a pair of sockets that are closed on exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one message with descriptors. Interruptions are waited out.
///
/// # Errors
/// - `EPIPE` when nobody will read it; `EAGAIN` with [`SendFlags::DONTWAIT`], or when a send time limit is over.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG);
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags | SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// What a socket gave.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message of this length is in the buffer, and these came with it.
    Message { len: usize, descriptors: Vec<OwnedFd> },
    /// The other end is closed.
    End,
    /// A message that is longer than the buffer, or brought more descriptors than can be taken. They are closed.
    TooLong,
}

/// Receives one message; its descriptors are closed on exec. Interruptions are waited out.
///
/// # Errors
/// - `EAGAIN` with [`RecvFlags::DONTWAIT`], or when a receive time limit is over.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let message = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(Received::End),
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = part {
            descriptors.extend(more);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Ok(Received::TooLong);
    }
    if message.bytes == 0 {
        // Nobody here sends an empty message.
        return Ok(Received::End);
    }
    Ok(Received::Message { len: message.bytes, descriptors })
}

/// Puts bytes into memory that nobody can change any more.
pub(crate) fn write_memory(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let memory = rustix::fs::memfd_create(c"vicar", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&memory, rest)?;
        rest = rest.get(written..).ok_or(Errno::IO)?;
    }
    rustix::fs::fcntl_add_seals(&memory, WHOLE | SealFlags::SEAL)?;
    Ok(memory)
}

/// What makes memory unchangeable.
const WHOLE: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// Reads memory that nobody can change; `None` for any other descriptor, and for more than `most` bytes.
pub(crate) fn read_memory(memory: &OwnedFd, most: usize) -> Option<Vec<u8>> {
    if !rustix::fs::fcntl_get_seals(memory).ok()?.contains(WHOLE) {
        return None;
    }
    let size = rustix::fs::fstat(memory).ok()?.st_size;
    let len = usize::try_from(size).ok().filter(|len| *len <= most)?;
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match rustix::io::pread(memory, bytes.get_mut(done..)?, u64::try_from(done).ok()?).ok()? {
            0 => return None,
            count => done = done.checked_add(count)?,
        }
    }
    Some(bytes)
}

/// Reads what another process wrote: total functions, little-endian numbers, nothing left over.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn half(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length of two bytes, and so many bytes.
    pub(crate) fn text(&mut self, most: usize) -> Option<&'a [u8]> {
        let len = usize::from(self.half()?);
        if len > most {
            return None;
        }
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(text)
    }

    /// An identity as [`put_identity`] writes it: it has one spelling, sorted and unique.
    pub(crate) fn identity(&mut self) -> Option<UnixIdentity> {
        let uid = KernelUid::new(self.number()?)?;
        let gid = KernelGid::new(self.number()?)?;
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= UnixIdentity::MAX_GROUPS)?;
        let mut groups = Vec::with_capacity(count);
        for _ in 0..count {
            groups.push(KernelGid::new(self.number()?)?);
        }
        let identity = UnixIdentity::new(uid, gid, groups.iter().copied()).ok()?;
        (identity.groups() == groups).then_some(identity)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// `None` when something is left over.
    pub(crate) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// Longest form of an identity in bytes.
pub(crate) const MAX_IDENTITY_LEN: usize = 12 + 4 * UnixIdentity::MAX_GROUPS;

pub(crate) fn put_identity(out: &mut Vec<u8>, identity: &UnixIdentity) {
    out.extend_from_slice(&identity.uid().raw().to_le_bytes());
    out.extend_from_slice(&identity.gid().raw().to_le_bytes());
    // An identity has at most 65,536 groups.
    let count = u32::try_from(identity.groups().len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
    for group in identity.groups() {
        out.extend_from_slice(&group.raw().to_le_bytes());
    }
}

/// Writes a text that is shorter than 65,536 bytes; a longer one would be refused by the reader.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    const MOST: usize = 64 << 20;

    fn taken(received: Received) -> (usize, usize) {
        match received {
            Received::Message { len, descriptors } => (len, descriptors.len()),
            Received::End => (0, 0),
            Received::TooLong => panic!("too long"),
        }
    }

    #[test]
    fn messages_keep_their_bytes_and_descriptors_apart() {
        let (near, far) = pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let many = [null.as_fd(); MAX_DESCRIPTORS];
        send(near.as_fd(), b"one", &[null.as_fd()], SendFlags::empty()).unwrap();
        send(near.as_fd(), b"three", &many[..3], SendFlags::empty()).unwrap();
        send(near.as_fd(), b"x", &many, SendFlags::empty()).unwrap();
        let mut buffer = [0; 5];
        assert_eq!(taken(receive(far.as_fd(), &mut buffer, RecvFlags::empty()).unwrap()), (3, 1));
        assert_eq!(taken(receive(far.as_fd(), &mut buffer, RecvFlags::empty()).unwrap()), (5, 3));
        assert_eq!(taken(receive(far.as_fd(), &mut buffer, RecvFlags::empty()).unwrap()), (1, MAX_DESCRIPTORS));
        assert_eq!(receive(far.as_fd(), &mut buffer, RecvFlags::DONTWAIT).err(), Some(Errno::AGAIN));
        send(near.as_fd(), b"longer", &[null.as_fd()], SendFlags::empty()).unwrap();
        assert!(matches!(receive(far.as_fd(), &mut buffer, RecvFlags::empty()), Ok(Received::TooLong)));
        drop(near);
        assert!(matches!(receive(far.as_fd(), &mut buffer, RecvFlags::empty()), Ok(Received::End)));
        assert_eq!(send(far.as_fd(), b"x", &[], SendFlags::empty()), Err(Errno::PIPE));
    }

    #[test]
    fn only_memory_that_cannot_change_is_read() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let memory = write_memory(&bytes).unwrap();
        assert_eq!(read_memory(&memory, MOST), Some(bytes));
        assert_eq!(rustix::io::pwrite(&memory, b"x", 0), Err(Errno::PERM));
        let open = rustix::fs::memfd_create(c"t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::io::write(&open, b"x").unwrap();
        assert_eq!(read_memory(&open, MOST), None);
        rustix::fs::fcntl_add_seals(&open, SealFlags::SHRINK | SealFlags::GROW).unwrap();
        assert_eq!(read_memory(&open, MOST), None);
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(read_memory(&OwnedFd::from(file), MOST), None);
        let long = rustix::fs::memfd_create(c"t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&long, u64::try_from(MOST).unwrap() + 1).unwrap();
        rustix::fs::fcntl_add_seals(&long, WHOLE).unwrap();
        assert_eq!(read_memory(&long, MOST), None);
    }
}
