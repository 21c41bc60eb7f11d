//! Several operations together, and what is made of their answers.

use super::{Content, Done, Ending, Gives, Operation};
use crate::client::Projected;
use crate::fs::{Errno, FsError, Stat, refuse_kernel_file_system, stat_of};
use crate::ring::inode::Inode;
use crate::sys::ring_call::{Calls, Link, Output, Outputs};
use rustix::fd::AsFd as _;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Several operations of one client, handed to the kernel together.
///
/// # Examples
/// ```no_run
/// # use vicar_os::ring::{Batch, Inode, Operation};
/// # use vicar_os::fs::{BeneathPath, Links, Name};
/// # fn batch(home: &Inode, name: &Name, path: &BeneathPath) -> Batch {
/// // The second is done only when the first succeeded.
/// Batch::of(Operation::make_directory(home, name, 0o700)).then(Operation::look(home, path, Links::Stay))
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    calls: Calls,
    /// As many.
    endings: SmallVec<[Ending; 1]>,
}

impl Batch {
    /// One operation.
    #[must_use]
    pub fn of(operation: Operation) -> Self {
        Self { calls: smallvec![(operation.call, Link::None)], endings: smallvec![operation.ending] }
    }

    /// None yet, with room for this many.
    #[must_use]
    pub fn with_capacity(operations: usize) -> Self {
        Self { calls: Calls::with_capacity(operations), endings: SmallVec::with_capacity(operations) }
    }

    /// Adds one that does not care about the others; the kernel may do them in any order.
    #[must_use]
    pub fn and(mut self, operation: Operation) -> Self {
        self.push(operation);
        self
    }

    /// Adds one that is done after the one before it has succeeded, and is cancelled (`ECANCELED`) when that fails.
    ///
    /// A ring does this only behind an opening or a socket: the kernel goes on behind most other failures. Through
    /// [`Files`](crate::ring::Files) a client thread does the whole batch then.
    #[must_use]
    pub fn then(mut self, operation: Operation) -> Self {
        if let Some((_, link)) = self.calls.last_mut() {
            *link = Link::Soft;
        }
        self.push(operation);
        self
    }

    /// As [`Self::and`], in place.
    pub fn push(&mut self, operation: Operation) {
        self.calls.push((operation.call, Link::None));
        self.endings.push(operation.ending);
    }

    /// How many operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(in crate::ring) fn codes(&self) -> impl Iterator<Item = u8> {
        self.calls.iter().map(|(call, _)| call.code())
    }

    /// Whether the kernel stops each chain in it where [`Self::then`] says.
    pub(in crate::ring) fn stops_in_kernel(&self) -> bool {
        let chained = self.calls.iter().rev().skip(1).filter(|(_, link)| *link == Link::Soft);
        chained.into_iter().all(|(call, _)| call.stops_what_follows())
    }

    /// Whether it must be submitted by a thread whose umask is known.
    pub(in crate::ring) fn makes(&self) -> bool {
        self.calls.iter().any(|(call, _)| call.makes())
    }

    /// Splits it into what the kernel does and what is made of the answers; refuses what is another client's.
    pub(in crate::ring) fn split(self, who: Arc<Projected>) -> Result<(Calls, Endings), Vec<Result<Done, FsError>>> {
        let is_foreign = |ending: &Ending| ending.inodes().any(|inode| !inode.is_of(&who));
        if self.endings.iter().any(is_foreign) {
            let refuse = |ending: Ending| {
                let errno = Errno::CANCELED;
                Err(if is_foreign(&ending) {
                    FsError::ForeignRoot
                } else {
                    FsError::Os { operation: ending.what, errno }
                })
            };
            return Err(self.endings.into_iter().map(refuse).collect());
        }
        Ok((self.calls, Endings { endings: self.endings, who }))
    }
}

impl From<Operation> for Batch {
    fn from(operation: Operation) -> Self {
        Self::of(operation)
    }
}

/// What is made of the answers of a batch.
pub(in crate::ring) struct Endings {
    endings: SmallVec<[Ending; 1]>,
    who: Arc<Projected>,
}

impl Endings {
    pub(in crate::ring) fn end(self, outputs: Outputs) -> Vec<Result<Done, FsError>> {
        let who = self.who;
        let mut done = Vec::with_capacity(outputs.len());
        done.extend(self.endings.into_iter().zip(outputs).map(|(ending, output)| ending.end(output, &who)));
        done
    }

    /// As [`Self::end`], of a batch of one.
    pub(in crate::ring) fn end_one(self, outputs: Outputs) -> Option<Result<Done, FsError>> {
        Some(self.endings.into_iter().next()?.end(outputs.into_iter().next()?, &self.who))
    }
}

impl Ending {
    fn end(self, output: Result<Output, Errno>, who: &Arc<Projected>) -> Result<Done, FsError> {
        self.gives.end(self.what, output, who)
    }
}

impl Gives {
    fn end(self, what: &'static str, output: Result<Output, Errno>, who: &Arc<Projected>) -> Result<Done, FsError> {
        let output = match (output, &self) {
            (Err(Errno::NODATA), Self::Attribute) => return Ok(Done::Attribute(None)),
            (output, _) => output.map_err(FsError::os(what))?,
        };
        match (self, output) {
            (Self::InodeBeneath(above), Output::Descriptor(fd)) => {
                let stat = stat_of(fd.as_fd())?;
                if stat.id.device != above.stat().id.device {
                    refuse_kernel_file_system(fd.as_fd())?;
                }
                Ok(Done::Inode(Inode::new(fd, stat, Arc::clone(who))))
            }
            (Self::Opened(looked), Output::Descriptor(fd)) => {
                let stat = looked.stat().again(&rustix::fs::fstat(&fd).map_err(FsError::os("stat"))?);
                match stat {
                    Some(stat) => Ok(Done::Content(Content { held: Arc::new(fd), stat })),
                    None => Err(FsError::Changed),
                }
            }
            (Self::Made, Output::Descriptor(fd)) => {
                let stat = stat_of(fd.as_fd())?;
                Ok(Done::Content(Content { held: Arc::new(fd), stat }))
            }
            (Self::Socket, Output::Descriptor(fd)) => Ok(Done::Socket(fd)),
            (Self::Stat, Output::Stat(raw)) => Ok(Done::Stat(Stat::of(&raw))),
            (Self::Attribute, Output::Bytes(value)) => Ok(Done::Attribute(Some(value))),
            (Self::Bytes, Output::Bytes(bytes)) => Ok(Done::Bytes(bytes)),
            (Self::Written, Output::Count(count)) => Ok(Done::Written(count)),
            (Self::Nothing, Output::Nothing) => Ok(Done::Nothing),
            // A call that gives something else than calls of its kind do: not to be taken for what was asked.
            (_, _) => Err(FsError::Os { operation: what, errno: Errno::IO }),
        }
    }
}
