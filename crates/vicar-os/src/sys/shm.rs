//! Memory shared by two processes: numbers in it, never references.
#![expect(unsafe_code, reason = "mmap(2) and munmap(2) give and take memory that no reference may point to")]

use core::mem::size_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::{AsFd, OwnedFd};

/// What this process does with the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reads it.
    Read,
    /// Reads and writes it.
    ReadWrite,
}

/// A mapping of shared memory, as a row of 64-bit numbers.
///
/// The other process may write at any time, so every number is read and written atomically, and whoever reads one twice
/// may see two.
#[derive(Debug)]
pub(crate) struct Shared {
    start: NonNull<AtomicU64>,
    words: usize,
    access: Use,
}

// SAFETY: the memory belongs to nobody but this value, is mapped until it is dropped, and is accessed atomically only.
unsafe impl Send for Shared {}
// SAFETY: as above; all methods that touch the memory do it atomically.
unsafe impl Sync for Shared {}

impl Shared {
    /// Makes memory of `words` numbers, all zero. Its length can never be changed (F_SEAL_SHRINK, F_SEAL_GROW).
    ///
    /// # Source
    /// memfd_create(2), fcntl(2) F_ADD_SEALS.
    pub(crate) fn create(words: usize) -> Result<OwnedFd, Errno> {
        let memory = rustix::fs::memfd_create(c"vicar", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let len = words.checked_mul(size_of::<u64>()).ok_or(Errno::INVAL)?;
        rustix::fs::ftruncate(&memory, u64::try_from(len).map_err(|_too_long| Errno::INVAL)?)?;
        rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(memory)
    }

    /// Lets nobody write who does not map the memory already, and lets no further seal be set.
    pub(crate) fn close_to_writers(memory: &OwnedFd) -> Result<(), Errno> {
        rustix::fs::fcntl_add_seals(memory, SealFlags::FUTURE_WRITE | SealFlags::SEAL)
    }

    /// Maps memory of at least `words` numbers, whose length cannot change.
    ///
    /// # Errors
    /// - `EINVAL` when it could be shortened, which would make every access a fault, or is too short.
    ///
    /// # Source
    /// mmap(2), fcntl(2) F_GET_SEALS.
    pub(crate) fn map(memory: impl AsFd, words: usize, access: Use) -> Result<Self, Errno> {
        let memory = memory.as_fd();
        let len = words.checked_mul(size_of::<u64>()).filter(|len| *len > 0).ok_or(Errno::INVAL)?;
        if !rustix::fs::fcntl_get_seals(memory)?.contains(SealFlags::SHRINK) {
            return Err(Errno::INVAL);
        }
        let size = rustix::fs::fstat(memory)?.st_size;
        if usize::try_from(size).map_or(true, |size| size < len) {
            return Err(Errno::INVAL);
        }
        let protection = match access {
            Use::Read => ProtFlags::READ,
            Use::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY:
        // 1. a null hint lets the kernel choose a place that nothing else uses.
        // 2. the file is at least `len` long and cannot be shortened (checked), so the whole mapping can be accessed.
        let start = unsafe { rustix::mm::mmap(core::ptr::null_mut(), len, protection, MapFlags::SHARED, memory, 0) }?;
        let start = NonNull::new(start.cast::<AtomicU64>()).ok_or(Errno::FAULT)?;
        Ok(Self { start, words, access })
    }

    /// Reads a number; `None` beyond the end.
    pub(crate) fn load(&self, index: usize) -> Option<u64> {
        Some(self.word(index)?.load(Ordering::Acquire))
    }

    /// Writes a number; `None` beyond the end, or when the memory is only read here.
    pub(crate) fn store(&self, index: usize, value: u64) -> Option<()> {
        if self.access == Use::Read {
            return None;
        }
        self.word(index)?.store(value, Ordering::Release);
        Some(())
    }

    fn word(&self, index: usize) -> Option<&AtomicU64> {
        if index >= self.words {
            return None;
        }
        // SAFETY: the result lies within the mapping, because `index` is less than `words` (checked).
        let word = unsafe { self.start.add(index) };
        // SAFETY:
        // 1. the address is mapped, readable and aligned: a mapping begins on a page and numbers follow one another.
        // 2. atomics are all that is ever made of it here; a read-only mapping is only loaded from (see `store`).
        Some(unsafe { word.as_ref() })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let len = self.words.saturating_mul(size_of::<u64>());
        // SAFETY:
        // 1. this is exactly what `map` mapped, and nobody else unmaps it.
        // 2. references into it live no longer than a borrow of this value.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), len) };
        // It was mapped, so it can be unmapped; there is nothing to do about an error.
        let _ = unmapped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_mappings_are_one_memory() {
        let memory = Shared::create(512).unwrap();
        let ours = Shared::map(&memory, 512, Use::ReadWrite).unwrap();
        Shared::close_to_writers(&memory).unwrap();
        let theirs = Shared::map(&memory, 512, Use::Read).unwrap();
        ours.store(511, 7).unwrap();
        assert_eq!(theirs.load(511), Some(7));
        assert_eq!((theirs.load(512), ours.store(512, 1), theirs.store(0, 1)), (None, None, None));
        assert_eq!(Shared::map(&memory, 512, Use::ReadWrite).err(), Some(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&memory, 0), Err(Errno::PERM));
        assert_eq!(rustix::io::pwrite(&memory, b"x", 0), Err(Errno::PERM));
    }

    #[test]
    fn memory_that_may_be_shortened_or_is_too_short_is_not_mapped() {
        let memory = rustix::fs::memfd_create(c"t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&memory, 4096).unwrap();
        assert_eq!(Shared::map(&memory, 1, Use::Read).err(), Some(Errno::INVAL));
        let short = Shared::create(4).unwrap();
        assert_eq!(Shared::map(&short, 1024, Use::Read).err(), Some(Errno::INVAL));
        assert_eq!(Shared::map(&short, 0, Use::Read).err(), Some(Errno::INVAL));
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Shared::map(&file, 1, Use::Read).is_err());
    }
}
