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
            let file = look(directory, name)?;
            reopen(&file, OFlags::RDONLY, &[Kind::Regular, Kind::Directory]).map(Some)
        }
        Task::OpenForRestore { name } => {
            let file = look(directory, name)?;
            reopen(&file, OFlags::WRONLY, &[Kind::Regular]).map(Some)
        }
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
            // A descriptor that was opened only to look has no mode to change.
            rustix::fs::chmod(itself(&file), Mode::from_raw_mode(*mode)).map_err(os).map(|()| None)
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

/// Opens what was looked at, whatever has its name by now: a device or a FIFO is not even touched.
fn reopen(file: &OwnedFd, access: OFlags, kinds: &[Kind]) -> Result<OwnedFd, ElevatedError> {
    served(file.as_fd(), kinds)?;
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(itself(file), flags, Mode::empty()).map_err(os)
}

/// The path of what a descriptor that was opened only to look is about: its entry in procfs leads to that very file.
fn itself(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_was_looked_at_is_opened_whatever_has_its_name_by_then() {
        let path = std::env::temp_dir().join(format!("vicar-elevated-swapped-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let directory = OwnedFd::from(std::fs::File::open(&path).unwrap());
        let (name, at) = (Name::parse(b"f").unwrap(), path.join("f"));
        let read = |file: OwnedFd| {
            let mut text = String::new();
            std::fs::File::from(file).read_to_string(&mut text).map(|_| text)
        };
        for others in [0, 1, 2] {
            std::fs::write(&at, "judged").unwrap();
            let judged = look(&directory, &name).unwrap();
            std::fs::remove_file(&at).unwrap();
            match others {
                0 => std::fs::write(&at, "another").unwrap(),
                1 => std::os::unix::fs::symlink("/etc/passwd", &at).unwrap(),
                _ => {
                    rustix::fs::mknodat(rustix::fs::CWD, &at, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
                }
            }
            assert_eq!(read(reopen(&judged, OFlags::RDONLY, &[Kind::Regular]).unwrap()).unwrap(), "judged");
            let directory_only = reopen(&judged, OFlags::RDONLY, &[Kind::Directory]).err();
            assert_eq!(directory_only, Some(ElevatedError::NotServed));
            assert!(reopen(&judged, OFlags::WRONLY, &[Kind::Regular]).is_ok());
            if others > 0 {
                assert_eq!(look(&directory, &name).err(), Some(ElevatedError::NotServed));
            }
            std::fs::remove_file(&at).unwrap();
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
}
