//! Several operations together, and what is made of their answers.

use super::{Content, Done, Gives, Operation};
use crate::client::Projected;
use crate::fs::{Errno, FsError, Stat, refuse_kernel_file_system, stat_of};
use crate::ring::inode::Inode;
use crate::ring::traffic::Calls;
use crate::sys::ring_call::{Link, Output};
use rustix::fd::AsFd as _;
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
    operations: Vec<(Operation, Link)>,
}

impl Batch {
    /// One operation.
    #[must_use]
    pub fn of(operation: Operation) -> Self {
        Self { operations: vec![(operation, Link::None)] }
    }

    /// Adds one that does not care about the others; the kernel may do them in any order.
    #[must_use]
    pub fn and(mut self, operation: Operation) -> Self {
        self.operations.push((operation, Link::None));
        self
    }

    /// Adds one that is done after the one before it has succeeded, and is cancelled (`ECANCELED`) when that fails.
    #[must_use]
    pub fn then(mut self, operation: Operation) -> Self {
        if let Some((_, link)) = self.operations.last_mut() {
            *link = Link::Soft;
        }
        self.operations.push((operation, Link::None));
        self
    }

    /// How many operations.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    pub(in crate::ring) fn codes(&self) -> impl Iterator<Item = u8> {
        self.operations.iter().map(|(operation, _)| operation.code())
    }

    /// Whether it must be submitted by a thread whose umask is known.
    pub(in crate::ring) fn makes(&self) -> bool {
        self.operations.iter().any(|(operation, _)| operation.call.makes())
    }

    /// Splits it into what the kernel does and what is made of the answers; refuses what is another client's.
    pub(in crate::ring) fn split(self, who: &Arc<Projected>) -> Result<(Calls, Endings), Vec<Result<Done, FsError>>> {
        let is_foreign = |operation: &Operation| operation.works_in.iter().flatten().any(|inode| !inode.is_of(who));
        if self.operations.iter().any(|(operation, _)| is_foreign(operation)) {
            let refuse = |(operation, _): (Operation, Link)| {
                let errno = Errno::CANCELED;
                Err(if is_foreign(&operation) {
                    FsError::ForeignRoot
                } else {
                    FsError::Os { operation: operation.what, errno }
                })
            };
            return Err(self.operations.into_iter().map(refuse).collect());
        }
        let mut calls = Vec::with_capacity(self.operations.len());
        let mut endings = Vec::with_capacity(self.operations.len());
        for (operation, link) in self.operations {
            calls.push((operation.call, link));
            endings.push((operation.what, operation.gives));
        }
        Ok((calls, Endings { endings, who: Arc::clone(who) }))
    }
}

impl From<Operation> for Batch {
    fn from(operation: Operation) -> Self {
        Self::of(operation)
    }
}

/// What is made of the answers of a batch.
pub(in crate::ring) struct Endings {
    endings: Vec<(&'static str, Gives)>,
    who: Arc<Projected>,
}

impl Endings {
    pub(in crate::ring) fn end(self, outputs: Vec<Result<Output, Errno>>) -> Vec<Result<Done, FsError>> {
        let who = self.who;
        self.endings.into_iter().zip(outputs).map(|((what, gives), output)| gives.end(what, output, &who)).collect()
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
