//! What workers can do: functions that were there before the first worker was.

use crate::fs::Kind;
use core::fmt;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd as _, OwnedFd};

/// What a job is asked.
#[derive(Debug)]
pub struct JobRequest<'a> {
    /// The bytes of the request.
    pub bytes: &'a [u8],
    /// The descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
}

/// What a job answers.
#[derive(Debug, Default)]
pub struct JobAnswer {
    /// The bytes of the answer.
    pub bytes: Vec<u8>,
    /// Descriptors to hand over; at most 128.
    pub descriptors: Vec<OwnedFd>,
}

impl From<Vec<u8>> for JobAnswer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, descriptors: Vec::new() }
    }
}

/// A function that workers run as their client. It is named by its place in the list that the sealer was started with, so
/// no message can make a worker run anything else.
///
/// # Identity
/// Runs as the client, sealed; whatever happens to the process is an error of this request and nothing else.
#[derive(Clone, Copy)]
pub struct Job {
    /// The name in errors and logs.
    pub name: &'static str,
    /// What it does.
    pub run: fn(JobRequest<'_>) -> JobAnswer,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(&self.name).finish()
    }
}

/// What a server takes from a worker, which may be in the hands of whoever made the file it parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accept {
    /// Most bytes.
    pub bytes: usize,
    /// Most descriptors. Each must be a regular file on a file system that is not the kernel's own, open for reading only.
    pub descriptors: usize,
    /// Whether descriptors may be open for writing too.
    pub writable: bool,
}

impl Accept {
    /// At most so many bytes, and no descriptor.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self { bytes, descriptors: 0, writable: false }
    }

    /// And at most so many descriptors.
    #[must_use]
    pub const fn descriptors(self, descriptors: usize) -> Self {
        Self { descriptors, ..self }
    }

    /// And they may be open for writing.
    #[must_use]
    pub const fn writable(self) -> Self {
        Self { writable: true, ..self }
    }
}

/// What a received descriptor must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    /// `RDONLY`, `WRONLY` or `RDWR`; `None` for any of them.
    pub(super) access: Option<OFlags>,
}

/// Looks at a descriptor that a worker handed over: its type, how it is open, and what file system it is on.
///
/// `known` remembers devices that were looked at, because files of one worker mostly are on one.
pub(super) fn inspect(file: &OwnedFd, wanted: Wanted, known: &mut Option<u64>) -> Result<(), Refused> {
    let seen = rustix::fs::fstat(file).map_err(Refused::Errno)?;
    if Kind::of(FileType::from_raw_mode(seen.st_mode)) != wanted.kind {
        return Err(Refused::Kind);
    }
    let flags = rustix::fs::fcntl_getfl(file).map_err(Refused::Errno)?;
    if flags.contains(OFlags::PATH) || wanted.access.is_some_and(|access| flags & OFlags::RWMODE != access) {
        return Err(Refused::Flags);
    }
    if *known != Some(seen.st_dev) {
        crate::fs::refuse_kernel_file_system(file.as_fd()).map_err(|_refused| Refused::FileSystem)?;
        *known = Some(seen.st_dev);
    }
    Ok(())
}

/// Why a received descriptor was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Errno(Errno),
    Kind,
    Flags,
    FileSystem,
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Wanted = Wanted { kind: Kind::Regular, access: Some(OFlags::RDONLY) };

    fn judged(path: &str, flags: OFlags, wanted: Wanted) -> Result<(), Refused> {
        let file = rustix::fs::open(path, flags | OFlags::CLOEXEC, rustix::fs::Mode::empty()).unwrap();
        inspect(&file, wanted, &mut None)
    }

    #[test]
    fn a_descriptor_is_what_was_asked_for_or_refused() {
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        assert_eq!(judged(own, OFlags::RDONLY, READ), Ok(()));
        assert_eq!(judged(own, OFlags::PATH, READ), Err(Refused::Flags));
        assert_eq!(judged("/", OFlags::RDONLY, READ), Err(Refused::Kind));
        assert_eq!(judged("/", OFlags::RDONLY, Wanted { kind: Kind::Directory, ..READ }), Ok(()));
        assert_eq!(judged("/dev/null", OFlags::RDONLY, READ), Err(Refused::Kind));
        assert_eq!(judged("/proc/self/status", OFlags::RDONLY, READ), Err(Refused::FileSystem));
        let file = std::env::temp_dir().join(format!("vicar-inspect-{}", std::process::id()));
        std::fs::write(&file, "x").unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(judged(path, OFlags::RDWR, READ), Err(Refused::Flags));
        assert_eq!(judged(path, OFlags::RDWR, Wanted { access: None, ..READ }), Ok(()));
        std::fs::remove_file(&file).unwrap();
        let (pipe, _write) = rustix::pipe::pipe().unwrap();
        assert_eq!(inspect(&pipe, READ, &mut None), Err(Refused::Kind));
    }
}
