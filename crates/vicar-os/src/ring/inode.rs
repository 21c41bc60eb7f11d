//! One inode that a client reached.

use super::operation::Operation;
use crate::AsClient;
use crate::client::Projected;
use crate::fs::{FsError, Node, Root, Stat};
use core::fmt;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// One inode that a client reached, held in place of its name. Cheap to clone; the descriptor is closed with the last
/// clone, and never while a submission works in it.
///
/// It belongs to the client who reached it: the right to pass through the directories above was that client's, so
/// another client is refused with [`FsError::ForeignRoot`]. The descriptor is an `O_PATH` one: nothing can be read
/// through it.
#[derive(Clone)]
pub struct Inode {
    inner: Arc<Inner>,
}

struct Inner {
    held: Arc<OwnedFd>,
    stat: Stat,
    who: Arc<Projected>,
}

impl Inode {
    /// Opens a directory by walking to it from `/` as the client; see [`Root::open`].
    pub(super) fn root(as_client: &AsClient<'_>, path: &Path, who: Arc<Projected>) -> Result<Self, FsError> {
        let (fd, stat) = Root::open(as_client, path)?.into_parts();
        Ok(Self::new(fd, stat, who))
    }

    pub(super) fn new(fd: OwnedFd, stat: Stat, who: Arc<Projected>) -> Self {
        Self { inner: Arc::new(Inner { held: Arc::new(fd), stat, who }) }
    }

    /// What the kernel said when it was reached.
    #[must_use]
    pub fn stat(&self) -> &Stat {
        &self.inner.stat
    }

    pub(super) fn held(&self) -> &Arc<OwnedFd> {
        &self.inner.held
    }

    /// Whether the client that reached it is `who`: the same uid, gid and groups.
    pub(super) fn is_of(&self, who: &Arc<Projected>) -> bool {
        Arc::ptr_eq(&self.inner.who, who) || self.inner.who.identity == who.identity
    }

    /// The same inode for a client thread.
    pub(super) fn node(&self) -> Result<Node, FsError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(self, 3).map_err(FsError::os("hold"))?;
        Ok(Node::holding(fd, self.inner.stat))
    }

    /// Asks the kernel about it again.
    #[must_use]
    pub fn look_again(&self) -> Operation {
        Operation::stat_of(self)
    }
}

impl AsFd for Inode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.held.as_fd()
    }
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inode")
            .field("stat", self.stat())
            .field("who", &self.inner.who.identity)
            .finish_non_exhaustive()
    }
}
