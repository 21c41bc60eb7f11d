//! One task, in a process of its own that is the client with one capability.

use super::task::Task;
use super::wire::{Told, encode_told};
use super::{ElevatedError, desk::Asked};
use crate::UnixIdentity;
use crate::fs::{Kind, Name, refuse_kernel_file_system};
use crate::packet;
use crate::sealed::{Bounds, Purpose, install_filter};
use crate::supervisor::apart::{be_apart, descriptor};
use crate::switch::raised;
use crate::sys::fork;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::process::{Pid, Signal};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// Does the task, answers, and ends the process. The exit code is 0, or the kernel's error, or 255.
pub(super) fn main(asked: &Asked, identity: &UnixIdentity, anonymous: &UnixIdentity, queue: Pid) -> ! {
    // A panic must not unwind into the code of the queue that forked this process.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let done = shape(asked, identity, anonymous, queue)
            .map_err(|()| ElevatedError::Crashed)
            .and_then(|()| perform(&asked.task, identity, &asked.descriptors));
        answer(&asked.answer, &done)
    }));
    fork::exit_now(code.unwrap_or(255))
}

/// What a process is before it does anything for somebody.
fn shape(asked: &Asked, identity: &UnixIdentity, anonymous: &UnixIdentity, queue: Pid) -> Result<(), ()> {
    let mut kept: Vec<u32> = asked.descriptors.iter().chain([&asked.answer]).map(descriptor).collect();
    be_apart(c"vicar-elevate", &mut kept, Mode::from_raw_mode(0o077)).map_err(drop)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).map_err(drop)?;
    rustix::stdio::dup2_stderr(&null).map_err(drop)?;
    drop(null);
    raised::take_on(identity, anonymous, asked.task.capability()).map_err(drop)?;
    // A change of ids clears this, so it comes after; the queue may have ended before.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(drop)?;
    if rustix::process::getppid() != Some(queue) {
        return Err(());
    }
    install_filter(Purpose::Files, &Bounds::Everything).map_err(drop)
}

fn answer(socket: &OwnedFd, done: &Result<Option<OwnedFd>, ElevatedError>) -> i32 {
    let (told, file): (Told, Option<&OwnedFd>) = match done {
        Ok(file) => (Ok(()), file.as_ref()),
        Err(error) => (Err(error.clone()), None),
    };
    let files: Vec<BorrowedFd<'_>> = file.into_iter().map(|file| file.as_fd()).collect();
    let sent = packet::send(socket.as_fd(), &encode_told(&told), &files, SendFlags::DONTWAIT);
    match (sent, told) {
        (Ok(()), Ok(())) => 0,
        (Ok(()), Err(ElevatedError::Os(errno))) => errno.min(254),
        _ => 255,
    }
}

fn os(errno: Errno) -> ElevatedError {
    ElevatedError::Os(errno.raw_os_error())
}

fn perform(task: &Task, identity: &UnixIdentity, descriptors: &[OwnedFd]) -> Result<Option<OwnedFd>, ElevatedError> {
    let directory = descriptors.first().ok_or(ElevatedError::Os(libc::EBADF))?;
    if kind_of(directory.as_fd())? != Kind::Directory {
        return Err(ElevatedError::Os(libc::ENOTDIR));
    }
    refuse_kernel_file_system(directory.as_fd()).map_err(|_refused| ElevatedError::NotServed)?;
    match task {
        Task::OpenForBackup { name } => {
            let kind = kind_of(look(directory, name)?.as_fd())?;
            let more = if kind == Kind::Directory { OFlags::DIRECTORY } else { OFlags::empty() };
            open(directory, name, OFlags::RDONLY | more, &[Kind::Regular, Kind::Directory]).map(Some)
        }
        Task::OpenForRestore { name } => open(directory, name, OFlags::WRONLY, &[Kind::Regular]).map(Some),
        Task::TakeOwnership { name } => {
            let file = look(directory, name)?;
            change_owner(&file, Some(Uid::from_raw(identity.uid().raw())), None)
        }
        Task::SetOwner { name, owner, group } => {
            let file = look(directory, name)?;
            change_owner(&file, Some(Uid::from_raw(owner.raw())), Some(Gid::from_raw(group.raw())))
        }
        Task::SetMode { name, mode } => {
            let file = look(directory, name)?;
            // A descriptor that was opened only to look has no mode to change; its entry in procfs leads to the same file.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::chmod(path, Mode::from_raw_mode(*mode)).map_err(os).map(|()| None)
        }
        Task::Link { name } => {
            let file = descriptors.get(1).ok_or(ElevatedError::Os(libc::EBADF))?;
            served(file.as_fd(), &[Kind::Regular])?;
            let (old, new) = (c"", name.as_bytes());
            rustix::fs::linkat(file, old, directory, new, AtFlags::EMPTY_PATH).map_err(os).map(|()| None)
        }
    }
}

fn change_owner(file: &OwnedFd, owner: Option<Uid>, group: Option<Gid>) -> Result<Option<OwnedFd>, ElevatedError> {
    rustix::fs::chownat(file, c"", owner, group, AtFlags::EMPTY_PATH).map_err(os).map(|()| None)
}

/// Opens the name without following it, and without the right to do anything with the content.
fn look(directory: &OwnedFd, name: &Name) -> Result<OwnedFd, ElevatedError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(directory, name.as_bytes(), flags, Mode::empty(), STAY).map_err(os)?;
    served(file.as_fd(), &[Kind::Regular, Kind::Directory])?;
    Ok(file)
}

/// A name leads to what is in the directory, and to nothing else.
const STAY: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

fn open(directory: &OwnedFd, name: &Name, access: OFlags, kinds: &[Kind]) -> Result<OwnedFd, ElevatedError> {
    // A device or a FIFO is not even opened.
    let before = look(directory, name)?;
    served(before.as_fd(), kinds)?;
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(directory, name.as_bytes(), flags, Mode::empty(), STAY).map_err(os)?;
    let seen = |file: &OwnedFd| rustix::fs::fstat(file).map(|seen| (seen.st_dev, seen.st_ino)).map_err(os);
    if seen(&before)? != seen(&file)? {
        return Err(ElevatedError::Os(libc::ESTALE));
    }
    Ok(file)
}

fn kind_of(file: BorrowedFd<'_>) -> Result<Kind, ElevatedError> {
    rustix::fs::fstat(file).map(|seen| Kind::of(FileType::from_raw_mode(seen.st_mode))).map_err(os)
}

fn served(file: BorrowedFd<'_>, kinds: &[Kind]) -> Result<(), ElevatedError> {
    if !kinds.contains(&kind_of(file)?) {
        return Err(ElevatedError::NotServed);
    }
    refuse_kernel_file_system(file).map_err(|_refused| ElevatedError::NotServed)
}
