//! A small process, forked early, that finds out what the kernel would say to somebody.
//!
//! Each question is answered in a fork of its own that drops to the identity for good. A server with many threads
//! cannot fork like that; the oracle, which has one thread, can.

mod wire;

use super::ask::{AskError, ask, reap};
use crate::UnixIdentity;
use crate::supervisor::apart::{be_apart, descriptor};
use crate::sys::fork::{self, Side};
use core::fmt;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest question or answer in bytes, a listing included.
const MAX_FRAME_LEN: u32 = 80 << 20;
/// Longer than one question may take in its process.
const PATIENCE: Duration = Duration::from_secs(75);

/// One thing to try. Paths are resolved as the identity, relative ones from `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// Open for reading.
    OpenRead(PathBuf),
    /// Open for writing; nothing is truncated.
    OpenWrite(PathBuf),
    /// Look at what the path leads to.
    Stat(PathBuf),
    /// Look at the path itself, even if it is a symbolic link.
    LinkStat(PathBuf),
    /// Create a regular file that must not exist, with this mode less the umask 022.
    Create(PathBuf, u32),
    /// Remove a file.
    Unlink(PathBuf),
    /// Create a directory, with this mode less the umask 022.
    CreateDirectory(PathBuf, u32),
    /// Remove an empty directory.
    RemoveDirectory(PathBuf),
    /// Rename the first path to the second.
    Rename(PathBuf, PathBuf),
    /// List a directory.
    List(PathBuf),
}

/// What the kernel showed of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
}

/// What came of a question that the kernel allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It was done, or could be opened.
    Done,
    /// What a look showed, or what was created.
    Seen(Seen),
    /// The names in a directory, sorted, without `.` and `..`.
    Names(Vec<OsString>),
}

/// What the kernel said: an answer or an error number.
pub type Verdict = Result<Answer, i32>;

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OracleError {
    /// The process that would have found out could not.
    Ask(AskError),
    /// The oracle process has ended, or did not answer in time.
    Gone,
    /// A system call failed here.
    Failed {
        /// The call.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
}

impl fmt::Display for OracleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(error) => error.fmt(f),
            Self::Gone => f.write_str("the oracle process has ended"),
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl core::error::Error for OracleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Ask(error) => Some(error),
            Self::Gone | Self::Failed { .. } => None,
        }
    }
}

/// The handle of an oracle process; questions are answered one after the other. The process ends with it.
///
/// A yardstick for tests and proofs, not a part of a server: whoever holds the handle can do these things as anybody
/// but user 0.
pub struct Oracle {
    socket: Mutex<UnixStream>,
    process: Pid,
}

impl Oracle {
    /// Forks the oracle.
    ///
    /// # Errors
    /// - [`OracleError::Ask`] with [`AskError::ManyThreads`] when this process has more than one thread.
    /// - [`OracleError::Failed`] when it could not be made.
    ///
    /// # Identity
    /// The oracle keeps the rights of the calling thread, so fork it before giving them up.
    pub fn start() -> Result<Self, OracleError> {
        let failed = |operation, errno: i32| OracleError::Failed { operation, errno };
        let (near, far) =
            UnixStream::pair().map_err(|error| failed("socketpair", error.raw_os_error().unwrap_or(0)))?;
        let this = rustix::process::getpid();
        let process = match fork::fork() {
            Ok(Side::Child) => serve(far, this),
            Ok(Side::Parent { child }) => child,
            Err(Errno::BUSY) => return Err(OracleError::Ask(AskError::ManyThreads)),
            Err(errno) => return Err(failed("fork", errno.raw_os_error())),
        };
        drop(far);
        near.set_read_timeout(Some(PATIENCE))
            .map_err(|error| failed("setsockopt", error.raw_os_error().unwrap_or(0)))?;
        Ok(Self { socket: Mutex::new(near), process })
    }

    /// Tries one thing as `identity`.
    ///
    /// # Returns
    /// What the kernel said: the outer result is about the oracle, the inner one about the file.
    ///
    /// # Errors
    /// - [`OracleError::Ask`] when the forked process could not become `identity`.
    /// - [`OracleError::Gone`] when there is nobody to ask any more.
    ///
    /// # Cost
    /// A fork and about 70 system calls.
    pub fn ask(&self, identity: &UnixIdentity, question: &Question) -> Result<Verdict, OracleError> {
        let frame = wire::encode_question(identity, question);
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = send(&mut socket, &frame).and_then(|()| receive(&mut socket)).and_then(|bytes| {
            wire::decode_answer(&bytes).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
        });
        match answered {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(error)) => Err(OracleError::Ask(error)),
            Err(_) => {
                // Whatever comes later would be taken for the answer to another question.
                let _ = socket.shutdown(std::net::Shutdown::Both);
                Err(OracleError::Gone)
            }
        }
    }
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oracle").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The oracle may be of another user by now, and then it ends by itself when the socket closes.
        let socket = self.socket.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = socket.shutdown(std::net::Shutdown::Both);
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        let _ = reap(self.process);
    }
}

fn send(socket: &mut UnixStream, frame: &[u8]) -> std::io::Result<()> {
    let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    socket.write_all(&len.to_le_bytes())?;
    socket.write_all(frame)
}

fn receive(socket: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut len = [0; 4];
    socket.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    if len > MAX_FRAME_LEN {
        return Err(std::io::Error::from(std::io::ErrorKind::InvalidData));
    }
    let mut frame = Vec::new();
    let read = socket.take(u64::from(len)).read_to_end(&mut frame)?;
    if u32::try_from(read) == Ok(len) {
        Ok(frame)
    } else {
        Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
    }
}

/// The oracle's own process.
fn serve(socket: UnixStream, parent: Pid) -> ! {
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let owned = OwnedFd::from(socket);
        if be_apart(c"vicar-oracle", &mut [descriptor(&owned)], Mode::from_raw_mode(0o022)).is_err() {
            return 71;
        }
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        if rustix::process::getppid() != Some(parent) {
            return 0;
        }
        let mut socket = UnixStream::from(owned);
        while let Ok(frame) = receive(&mut socket) {
            let Some((identity, question)) = wire::decode_question(&frame) else { return 65 };
            let answer = ask(&identity, || wire::encode_verdict(&attempt(&question)))
                .and_then(|bytes| wire::decode_verdict(&bytes).ok_or(AskError::Crashed));
            if send(&mut socket, &wire::encode_answer(&answer)).is_err() {
                return 0;
            }
        }
        0
    }));
    fork::exit_now(code.unwrap_or(70))
}

/// Tries one thing as whoever this process is.
fn attempt(question: &Question) -> Verdict {
    const LOOK: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
    let tried = match question {
        Question::OpenRead(path) => {
            rustix::fs::open(path, LOOK | OFlags::RDONLY, Mode::empty()).map(|_file| Answer::Done)
        }
        Question::OpenWrite(path) => {
            rustix::fs::open(path, LOOK | OFlags::WRONLY, Mode::empty()).map(|_file| Answer::Done)
        }
        Question::Stat(path) => look(path, AtFlags::empty()),
        Question::LinkStat(path) => look(path, AtFlags::SYMLINK_NOFOLLOW),
        Question::Create(path, mode) => {
            let flags = LOOK | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            rustix::fs::open(path, flags, Mode::from_raw_mode(*mode))
                .and_then(|_file| look(path, AtFlags::SYMLINK_NOFOLLOW))
        }
        Question::Unlink(path) => rustix::fs::unlink(path).map(|()| Answer::Done),
        Question::CreateDirectory(path, mode) => {
            rustix::fs::mkdir(path, Mode::from_raw_mode(*mode)).and_then(|()| look(path, AtFlags::SYMLINK_NOFOLLOW))
        }
        Question::RemoveDirectory(path) => rustix::fs::rmdir(path).map(|()| Answer::Done),
        Question::Rename(from, to) => rustix::fs::rename(from, to).map(|()| Answer::Done),
        Question::List(path) => list(path),
    };
    tried.map_err(Errno::raw_os_error)
}

fn look(path: &Path, flags: AtFlags) -> Result<Answer, Errno> {
    let seen = rustix::fs::statat(CWD, path, flags)?;
    Ok(Answer::Seen(Seen {
        mode: seen.st_mode,
        uid: seen.st_uid,
        gid: seen.st_gid,
        size: u64::try_from(seen.st_size).unwrap_or(0),
    }))
}

fn list(path: &Path) -> Result<Answer, Errno> {
    let directory = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort_unstable();
    Ok(Answer::Names(names))
}
