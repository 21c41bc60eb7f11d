//! Takes the scene away again: everything below one directory, nothing beside it.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// How deep a tree may be; a person could make a deeper one while the test runs.
const DEEPEST: usize = 128;

/// Something that could not be removed.
#[derive(Debug)]
pub(crate) struct Left {
    step: &'static str,
    path: String,
    errno: Errno,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "left behind: cannot {} {}: {}", self.step, self.path, self.errno)
    }
}

/// Removes the directory `name` of `parent`, which `top` has open, with all that is in it.
///
/// Each directory is taken from its owner before it is emptied, so that nobody moves things in meanwhile. Links are removed, not
/// followed; another file system is not entered; and if `name` is no longer what `top` has open, only the inside of `top` goes.
pub(crate) fn tree(parent: BorrowedFd<'_>, name: &str, top: BorrowedFd<'_>) -> Result<(), Left> {
    let left = |step, errno| Left { step, path: name.to_owned(), errno };
    let device = rustix::fs::fstat(top).map_err(|errno| left("look at", errno))?.st_dev;
    empty(top, name, device, 0)?;
    let ours = rustix::fs::fstat(top).map_err(|errno| left("look at", errno))?;
    let named = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| left("find", errno))?;
    if (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino) {
        return Err(left("recognise", Errno::STALE));
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(|errno| left("remove", errno))
}

fn empty(dir: BorrowedFd<'_>, path: &str, device: u64, depth: usize) -> Result<(), Left> {
    let left = |step, errno| Left { step, path: path.to_owned(), errno };
    if depth >= DEEPEST {
        return Err(left("go deeper than", Errno::NAMETOOLONG));
    }
    if rustix::fs::fstat(dir).map_err(|errno| left("look at", errno))?.st_dev != device {
        return Err(left("cross into", Errno::XDEV));
    }
    rustix::fs::fchown(dir, Some(Uid::ROOT), Some(Gid::ROOT)).map_err(|errno| left("take", errno))?;
    rustix::fs::fchmod(dir, Mode::RWXU).map_err(|errno| left("close", errno))?;
    // Names are collected first: removing while reading may skip some.
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).map_err(|errno| left("list", errno))? {
        let entry = entry.map_err(|errno| left("list", errno))?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        let below = format!("{path}/{}", name.to_string_lossy());
        let left = |step, errno| Left { step, path: below.clone(), errno };
        let stat = match rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(left("look at", errno)),
        };
        let flags = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let inner: OwnedFd = rustix::fs::openat(
                dir,
                &name,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .map_err(|errno| left("open", errno))?;
            empty(inner.as_fd(), &below, device, depth.saturating_add(1))?;
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        match rustix::fs::unlinkat(dir, &name, flags) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(left("remove", errno)),
        }
    }
    Ok(())
}
