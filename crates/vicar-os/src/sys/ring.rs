//! One io_uring, and the submissions that are under way in it.
//!
//! Every submission carries a personality: the only function that puts an entry into the queue takes a `NonZeroU16` and
//! sets it. There is no kernel polling thread (`IORING_SETUP_SQPOLL`), whose own identity would count for entries
//! without one. The memory that an entry points to belongs to the queue from the moment it is pushed until the kernel
//! has said that it is done.
#![expect(unsafe_code, reason = "the kernel reads and writes the memory that submissions point to")]

use super::ring_call::{Calls, Pending};
pub(crate) use super::ring_call::{Finished, Link};
use core::mem::MaybeUninit;
use core::num::NonZeroU16;
use core::ptr::NonNull;
use io_uring::types::CancelBuilder;
use io_uring::{IoUring, Probe, squeue};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use rustix::io::Errno;
use std::time::{Duration, Instant};

const REGISTER_PERSONALITY: u32 = 9;
const UNREGISTER_PERSONALITY: u32 = 10;

/// How long the end of a queue waits for the kernel; memory that is still in its hands then is left to it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The calls on a ring that touch no memory of ours: any thread may make them, and they need no lock.
#[derive(Debug)]
pub(crate) struct Channel {
    fd: OwnedFd,
}

impl Channel {
    /// Keeps the calling thread's credentials in the ring.
    ///
    /// # Source
    /// io_uring_register(2), `IORING_REGISTER_PERSONALITY`, Linux 5.6.
    pub(crate) fn register_personality(&self) -> Result<NonZeroU16, Errno> {
        let id = self.register(REGISTER_PERSONALITY, 0)?;
        u16::try_from(id).ok().and_then(NonZeroU16::new).ok_or(Errno::INVAL)
    }

    /// Forgets credentials; submissions that are under way keep them (the kernel counts references).
    ///
    /// # Source
    /// io_uring_register(2), `IORING_UNREGISTER_PERSONALITY`.
    pub(crate) fn unregister_personality(&self, id: NonZeroU16) -> Result<(), Errno> {
        self.register(UNREGISTER_PERSONALITY, u32::from(id.get())).map(|_zero| ())
    }

    /// Makes one of the two calls above.
    fn register(&self, operation: u32, argument: u32) -> Result<libc::c_long, Errno> {
        // SAFETY:
        // 1. both operations take a null pointer and a number, and touch no memory of ours.
        // 2. the function is private and is called with these two operations only.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.fd.as_raw_fd(),
                operation,
                core::ptr::null::<libc::c_void>(),
                argument,
            )
        };
        if result >= 0 { Ok(result) } else { Err(last_errno()) }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn last_errno() -> Errno {
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Why there is no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRing {
    /// io_uring_setup was refused.
    Setup(Errno),
    /// The kernel does not say which operations it knows.
    Probe(Errno),
    /// The kernel made a polling thread although none was asked for.
    Polled,
}

/// A ring and everything that is under way in it.
pub(crate) struct Queue {
    ring: IoUring,
    /// Where the kernel's memory is; `None` is free.
    pending: Vec<Option<NonNull<Pending>>>,
    free: Vec<usize>,
    /// Memory of calls that have ended, for the next ones: at most as much as was ever under way.
    #[expect(
        clippy::vec_box,
        reason = "each is given to the kernel where it is, and must not move with its place here"
    )]
    spare: Vec<Box<MaybeUninit<Pending>>>,
}

// SAFETY:
// 1. the pointers in `pending` come from `Box::into_raw` and are this value's alone.
// 2. what they point to is `Send`: strings, vectors, numbers and counted descriptors.
unsafe impl Send for Queue {}

impl Queue {
    /// Makes a ring with room for `entries` submissions, without a polling thread.
    ///
    /// # Source
    /// io_uring_setup(2).
    pub(crate) fn open(entries: u32) -> Result<Self, NoRing> {
        let ring = IoUring::builder().dontfork().setup_clamp().build(entries);
        let ring = ring.map_err(|error| NoRing::Setup(errno_of(&error)))?;
        if ring.params().is_setup_sqpoll() {
            return Err(NoRing::Polled);
        }
        Ok(Self { ring, pending: Vec::new(), free: Vec::new(), spare: Vec::new() })
    }

    /// Another descriptor of the same ring.
    pub(crate) fn channel(&self) -> Result<Channel, Errno> {
        // SAFETY: the ring's descriptor is open as long as `self.ring` lives.
        let fd = unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) };
        Ok(Channel { fd: rustix::io::fcntl_dupfd_cloexec(fd, 3)? })
    }

    /// Returns those of `codes` that the kernel knows.
    ///
    /// # Source
    /// io_uring_register(2), `IORING_REGISTER_PROBE`, Linux 5.6.
    pub(crate) fn known(&self, codes: impl Iterator<Item = u8>) -> Result<Vec<u8>, NoRing> {
        let mut probe = Probe::new();
        self.ring.submitter().register_probe(&mut probe).map_err(|error| NoRing::Probe(errno_of(&error)))?;
        Ok(codes.filter(|code| probe.is_supported(*code)).collect())
    }

    /// How many submissions can be under way without a completion being lost.
    pub(crate) fn limit(&self) -> usize {
        let (submissions, completions) = (self.ring.params().sq_entries(), self.ring.params().cq_entries());
        usize::try_from(submissions.min(completions)).unwrap_or(usize::MAX)
    }

    /// How many submissions are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.pending.len().saturating_sub(self.free.len())
    }

    /// Whether entries are waiting for the kernel to take them.
    pub(crate) fn has_unsubmitted(&mut self) -> bool {
        !self.ring.submission().is_empty()
    }

    /// Puts one batch into the queue, each entry with this personality. The last call of it ends the last chain.
    ///
    /// The caller sees to it that no more than [`limit`](Self::limit) are under way; what does not fit is returned.
    pub(crate) fn push(
        &mut self,
        personality: NonZeroU16,
        group: u64,
        calls: Calls,
        always_async: bool,
    ) -> Result<(), Calls> {
        let room = {
            let queue = self.ring.submission();
            queue.capacity().saturating_sub(queue.len())
        };
        if calls.len() > room {
            return Err(calls);
        }
        let last = calls.len().saturating_sub(1);
        let Self { ring, pending: places, free, spare } = self;
        let mut is_linked = false;
        for (position, (call, link)) in calls.into_iter().enumerate() {
            let mut flags = match link {
                Link::Soft if position < last => squeue::Flags::IO_LINK,
                Link::None | Link::Soft => squeue::Flags::empty(),
            };
            if always_async {
                flags |= squeue::Flags::ASYNC;
            }
            let memory = spare.pop().unwrap_or_else(Box::new_uninit);
            let mut pending = Box::write(memory, Pending::new(call, group, position));
            let entry = pending.entry(is_linked);
            is_linked = link == Link::Soft;
            let Some(index) = hold(places, free, pending) else { continue };
            let entry = entry.flags(flags).user_data(index).personality(personality.get());
            // SAFETY:
            // 1. what the entry points to is on the heap, owned by the `Pending` that `hold` keeps, and is neither
            //    touched nor freed before the kernel has completed this entry (`finish` is the only one to take it).
            // 2. the pointers were made from the value before it was turned into a raw pointer, which does not move it.
            let pushed = unsafe { ring.submission().push(&entry) };
            // The room was counted above, and nobody else has the queue.
            debug_assert!(pushed.is_ok());
        }
        Ok(())
    }

    /// Hands the kernel what was pushed. What can be done at once is done during the call, on this thread.
    ///
    /// # Source
    /// io_uring_enter(2).
    pub(crate) fn submit(&mut self) -> Result<(), Errno> {
        while self.has_unsubmitted() {
            match self.ring.submit() {
                Ok(0) => return Err(Errno::AGAIN),
                Ok(_) => {}
                Err(error) if errno_of(&error) == Errno::INTR => {}
                Err(error) => return Err(errno_of(&error)),
            }
        }
        Ok(())
    }

    /// Asks the kernel to cancel all that has not begun or waits for something. What it cannot cancel goes on.
    ///
    /// # Source
    /// io_uring_register(2), `IORING_REGISTER_SYNC_CANCEL`, Linux 6.0.
    pub(crate) fn cancel(&self) -> Result<(), Errno> {
        let no_waiting = io_uring::types::Timespec::new();
        let cancelled = self.ring.submitter().register_sync_cancel(Some(no_waiting), CancelBuilder::any());
        cancelled.map_err(|error| errno_of(&error))
    }

    /// Takes one completion.
    pub(crate) fn finish(&mut self) -> Option<Finished> {
        let entry = self.ring.completion().next()?;
        let index = usize::try_from(entry.user_data()).ok()?;
        let pointer = self.pending.get_mut(index)?.take()?;
        self.free.push(index);
        // SAFETY:
        // 1. the pointer came from `Box::into_raw` in `hold`, and was taken out of its place, so this happens once.
        // 2. the kernel has completed the entry, and no entry of ours completes more than once, so it holds no pointer
        //    into it any more.
        let mut pending = unsafe { Box::from_raw(pointer.as_ptr()) };
        let finished = pending.finished(entry.result(), |raw| {
            // SAFETY: the kernel has just opened this descriptor for the entry, and nobody else knows its number.
            unsafe { OwnedFd::from_raw_fd(raw) }
        });
        let memory = Box::into_raw(pending);
        // SAFETY:
        // 1. the pointer is that of a box, which was given up: the value is whole, and nobody else has it.
        // 2. it is not used after this but as memory of its size and alignment.
        unsafe { memory.drop_in_place() };
        // SAFETY: as above; memory that need not be initialized has no destructor to run.
        self.spare.push(unsafe { Box::from_raw(memory.cast()) });
        Some(finished)
    }
}

/// Puts a call in a free place, whose number is returned.
fn hold(places: &mut Vec<Option<NonNull<Pending>>>, free: &mut Vec<usize>, pending: Box<Pending>) -> Option<u64> {
    let pointer = NonNull::new(Box::into_raw(pending))?;
    let index = match free.pop() {
        Some(index) => index,
        None => {
            places.push(None);
            places.len().saturating_sub(1)
        }
    };
    if let Some(place) = places.get_mut(index) {
        *place = Some(pointer);
    }
    u64::try_from(index).ok()
}

impl Drop for Queue {
    /// Waits for what is under way. What has not ended in time keeps its memory for ever: the kernel may still write.
    fn drop(&mut self) {
        let started = Instant::now();
        // Where it cannot be cancelled it is waited for.
        let _ = self.cancel();
        loop {
            let submitted = self.submit();
            while let Some(finished) = self.finish() {
                drop(finished);
            }
            if self.under_way() == 0 || submitted.is_err() {
                return;
            }
            let Some(left) = PATIENCE.checked_sub(started.elapsed()) else { return };
            // SAFETY: the ring's descriptor is open as long as `self.ring` lives.
            let fd = unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) };
            let left =
                Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(1), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

impl core::fmt::Debug for Queue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Queue").field("under_way", &self.under_way()).finish_non_exhaustive()
    }
}
