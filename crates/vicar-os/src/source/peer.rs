//! Who is at the other end of a Unix socket.

use super::OVERFLOW_ID;
use super::process::{self, LookError};
use crate::sys::socket;
use crate::{IdentityError, KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A process that connected to us, as the kernel recorded it at that moment.
#[derive(Debug)]
pub struct Peer {
    pid: u32,
    identity: UnixIdentity,
    process: Option<OwnedFd>,
}

impl Peer {
    /// The process id at the time of the connection. For the log only: it may be another process's by now.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Effective user, effective group and supplementary groups at the time of the connection.
    #[must_use]
    pub const fn identity(&self) -> &UnixIdentity {
        &self.identity
    }

    /// A descriptor of the process that connected.
    ///
    /// Since Linux 6.5 it is that very process. Before, it is the process that had its number when it was captured, if that
    /// had exactly the recorded user and groups; else, and for a process of another pid namespace, there is none.
    #[must_use]
    pub fn process(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(OwnedFd::as_fd)
    }

    pub(crate) fn into_parts(self) -> (UnixIdentity, u32, Option<OwnedFd>) {
        (self.identity, self.pid, self.process)
    }

    /// Whether the socket was made by this process itself, with `socketpair` for instance: it then reports this
    /// process's own identity, whoever holds the other end now.
    #[must_use]
    pub fn is_this_process(&self) -> bool {
        self.pid == std::process::id()
    }
}

/// What the kernel was asked about a socket's other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// Process, user and group (SO_PEERCRED).
    Credentials,
    /// Supplementary groups (SO_PEERGROUPS).
    Groups,
    /// A descriptor of the process (SO_PEERPIDFD).
    Process,
    /// Whether it is still there (poll).
    Presence,
    /// Which ids mean something here (`/proc/self/gid_map`).
    IdMap,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "SO_PEERCRED",
            Self::Groups => "SO_PEERGROUPS",
            Self::Process => "SO_PEERPIDFD",
            Self::Presence => "poll",
            Self::IdMap => "/proc/self/gid_map",
        })
    }
}

/// Why a socket's other end is nobody we can act as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The kernel would not answer.
    Failed {
        /// What was asked.
        query: Query,
        /// What the kernel answered.
        errno: i32,
    },
    /// The socket has no other end.
    NotConnected,
    /// The process that connected has ended, or closed its end.
    Gone,
    /// The user id is 65534: a user of another namespace whom this one cannot name.
    UnknownUser,
    /// A group id is 65534 in a namespace that does not map every group: some group that this one cannot name.
    UnknownGroup,
    /// More groups than the kernel keeps; cannot happen unless the kernel changes.
    TooManyGroups {
        /// How many distinct groups it reported.
        count: usize,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { query, errno } => write!(f, "{query}: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::NotConnected => f.write_str("socket is not connected"),
            Self::Gone => f.write_str("peer is gone"),
            Self::UnknownUser => f.write_str("peer's user has no name in this user namespace"),
            Self::UnknownGroup => f.write_str("one of the peer's groups has no name in this user namespace"),
            Self::TooManyGroups { count } => write!(f, "peer is in {count} groups"),
        }
    }
}

impl core::error::Error for SourceError {}

fn failed(query: Query) -> impl Fn(Errno) -> SourceError {
    move |errno| SourceError::Failed { query, errno: errno.raw_os_error() }
}

/// Captures who connected to the other end of `socket`, a Unix socket of any library.
///
/// The kernel recorded it when the connection was made: an identity the peer takes on later, by exec or set-user-ID, is
/// not seen, and neither is the identity of another process that got the socket from it. Names, addresses and messages
/// play no part. The identity is the *effective* one: a server that connects while impersonating is its client here.
///
/// A socket that this process made with `socketpair` reports this process, see [`Peer::is_this_process`]; a server that
/// hands such a pair to somebody else must not ask.
///
/// # Errors
/// - [`SourceError::Gone`] when the process ended or hung up before it was captured.
/// - [`SourceError::NotConnected`] when there is no other end.
/// - [`SourceError::UnknownUser`], [`SourceError::UnknownGroup`] when an id is the kernel's "somebody else".
/// - [`SourceError::Failed`] when the kernel would not answer.
///
/// # Identity
/// Reads the socket only; the calling thread's identity plays no part.
///
/// # Cost
/// Four to six system calls; the group list is read once more when it has more than 64 entries.
///
/// # NT
/// Static tracking: the security context is captured when the connection is made.
///
/// # Source
/// unix(7): SO_PEERCRED, SO_PEERGROUPS; SO_PEERPIDFD since Linux 6.5.
pub fn of(socket: &impl AsFd) -> Result<Peer, SourceError> {
    capture(socket.as_fd(), &socket::peer_process)
}

/// Asks a socket for a descriptor of its peer; `None` when this kernel cannot say.
type AskProcess = dyn Fn(BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno>;

fn capture(socket: BorrowedFd<'_>, peer_process: &AskProcess) -> Result<Peer, SourceError> {
    let raw = socket::peer_credentials(socket).map_err(failed(Query::Credentials))?;
    let Some(uid) = KernelUid::new(raw.uid) else { return Err(SourceError::NotConnected) };
    let Some(gid) = KernelGid::new(raw.gid) else { return Err(SourceError::NotConnected) };
    if uid.raw() == OVERFLOW_ID {
        return Err(SourceError::UnknownUser);
    }
    let listed = socket::peer_groups(socket).map_err(failed(Query::Groups))?;
    let groups: Option<Vec<KernelGid>> = listed.iter().map(|&group| KernelGid::new(group)).collect();
    let identity =
        UnixIdentity::new(uid, gid, groups.ok_or(SourceError::UnknownGroup)?).map_err(|error| match error {
            IdentityError::TooManyGroups { count } => SourceError::TooManyGroups { count },
        })?;
    if identity.groups().iter().any(|group| group.raw() == OVERFLOW_ID) && !every_group_has_a_name()? {
        return Err(SourceError::UnknownGroup);
    }
    let process = match peer_process(socket) {
        Ok(Some(process)) => Some(process),
        Ok(None) => by_number(raw.pid, &identity)?,
        Err(Errno::SRCH | Errno::INVAL | Errno::NODATA) => return Err(SourceError::Gone),
        Err(errno) => return Err(failed(Query::Process)(errno)),
    };
    if has_hung_up(socket, process.as_ref()).map_err(failed(Query::Presence))? {
        return Err(SourceError::Gone);
    }
    // A process of another pid namespace shows as 0; its ids are the kernel's all the same.
    let pid = u32::try_from(raw.pid).map_err(|_negative| SourceError::NotConnected)?;
    Ok(Peer { pid, identity, process })
}

/// Opens the process that has the peer's number now, if it is what the peer was.
fn by_number(pid: i32, identity: &UnixIdentity) -> Result<Option<OwnedFd>, SourceError> {
    if pid <= 0 {
        return Ok(None);
    }
    let looked = process::open(pid).and_then(|process| Ok((process::look(process.as_fd(), pid)?, process)));
    match looked {
        Ok((seen, process)) => Ok((seen.identity == *identity).then_some(process)),
        Err(LookError::Ended) => Err(SourceError::Gone),
        // A kernel without process descriptors, a hidden /proc: the identity stands, and nothing can be tracked.
        Err(LookError::Failed { .. } | LookError::Malformed) => Ok(None),
    }
}

/// Whether the peer has closed its end, or its process has ended.
fn has_hung_up(socket: BorrowedFd<'_>, process: Option<&OwnedFd>) -> Result<bool, Errno> {
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = vec![PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    if let Some(process) = process {
        // A process descriptor is readable once the process has ended.
        watched.push(PollFd::new(process, PollFlags::IN));
    }
    loop {
        match rustix::event::poll(&mut watched, Some(&NOW)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether 65534 is a group like any other here: this namespace maps every group.
fn every_group_has_a_name() -> Result<bool, SourceError> {
    let map = std::fs::read_to_string("/proc/self/gid_map")
        .map_err(|error| SourceError::Failed { query: Query::IdMap, errno: error.raw_os_error().unwrap_or(0) })?;
    Ok(is_whole_map(&map))
}

/// Whether an id map is the one of the first namespace: everything, to itself.
pub(crate) fn is_whole_map(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn only_the_whole_map_is_whole() {
        assert!(is_whole_map("         0          0 4294967295\n"));
        assert!(!is_whole_map("0 0 65536\n"));
        assert!(!is_whole_map("0 0 65534\n65535 65535 4294901760\n"));
        assert!(!is_whole_map(""));
    }

    #[test]
    fn a_pair_of_our_own_reports_ourselves() {
        let (near, _far) = UnixStream::pair().unwrap();
        let peer = of(&near).unwrap();
        assert!(peer.is_this_process());
        assert_eq!(peer.identity().uid().raw(), rustix::process::geteuid().as_raw());
    }

    #[test]
    fn without_so_peerpidfd_the_number_must_still_be_the_same_identity() {
        let absent = |_: BorrowedFd<'_>| Ok(None);
        let (near, _far) = UnixStream::pair().unwrap();
        let peer = capture(near.as_fd(), &absent).unwrap();
        assert!(peer.process().is_some());
        let pid = i32::try_from(peer.pid()).unwrap();
        assert!(by_number(pid, peer.identity()).unwrap().is_some());
        let (uid, gid) = (KernelUid::new(61_777).unwrap(), peer.identity().gid());
        let somebody_else = UnixIdentity::new(uid, gid, []).unwrap();
        assert!(by_number(pid, &somebody_else).unwrap().is_none());
        assert!(by_number(0, peer.identity()).unwrap().is_none());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let gone = by_number(i32::try_from(child.id()).unwrap(), peer.identity());
        assert_eq!(gone.map(|_| ()), Err(SourceError::Gone));
    }

    #[test]
    fn a_peer_that_hung_up_is_gone() {
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        assert_eq!(of(&near).unwrap_err(), SourceError::Gone);
    }
}
