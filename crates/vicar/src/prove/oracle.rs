//! What the kernel says: the same operation by a child that has become the person for good.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use vicar_os::switch::irrevocable::drop_to;
use vicar_os::{KernelGid, KernelUid, UnixIdentity};

use super::question::Act;
use super::scene::Owner;

/// How long one child may take for all its questions.
const TIME: Duration = Duration::from_secs(30);
/// Most that a child reads of one file, and that we read of a child, in bytes.
const MOST_BYTES: u64 = 4_194_304;

/// Questions for one child.
#[derive(Debug, Serialize, Deserialize)]
struct Batch {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    items: Vec<Item>,
}

/// One operation on absolute paths.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) act: Act,
    pub(crate) path: String,
    pub(crate) to: Option<String>,
    /// What CREATE and OVERWRITE write.
    pub(crate) body: String,
}

/// What the kernel did with one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It was done. `made` is what the kernel recorded for the file that was made or written.
    Allowed { made: Option<Made> },
    /// The kernel denied it.
    Denied { errno: i32 },
    /// It failed for a reason that is nobody's permission.
    Failed { errno: i32 },
}

/// Owner and mode of a file, as the kernel recorded them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

impl Made {
    pub(crate) fn owner(self) -> Owner {
        Owner { uid: self.uid, gid: self.gid }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum OracleError {
    Start(std::io::Error),
    Talk(std::io::Error),
    Slow,
    /// The child ended without answering everything; its own words.
    Ended(String),
}

impl fmt::Display for OracleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot start a child: {error}"),
            Self::Talk(error) => write!(f, "cannot talk to a child: {error}"),
            Self::Slow => write!(f, "a child took longer than {} s", TIME.as_secs()),
            Self::Ended(words) => write!(f, "a child gave up: {words}"),
        }
    }
}

/// Has a fresh child become `identity` and do the operations in order.
pub(crate) fn ask(identity: &UnixIdentity, items: Vec<Item>) -> Result<Vec<Answer>, OracleError> {
    let expected = items.len();
    let batch = Batch {
        uid: identity.uid().raw(),
        gid: identity.gid().raw(),
        groups: identity.groups().iter().map(|group| group.raw()).collect(),
        items,
    };
    let question = serde_json::to_vec(&batch).map_err(|error| OracleError::Talk(error.into()))?;
    let mut child = Command::new("/proc/self/exe")
        .args(["prove", "--oracle"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(OracleError::Start)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let answers = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            scope.spawn(move || {
                // A child that ended early says so on its own; the broken pipe adds nothing.
                let _ = stdin.write_all(&question);
            });
        }
        let said = stdout.map(|pipe| scope.spawn(move || read_all(pipe)));
        let words = stderr.map(|pipe| scope.spawn(move || read_all(pipe)));
        let deadline = Instant::now().checked_add(TIME);
        loop {
            match child.try_wait() {
                Ok(Some(_)) => break,
                Ok(None) if deadline.is_some_and(|at| Instant::now() < at) => {
                    std::thread::sleep(Duration::from_millis(2))
                }
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(OracleError::Slow);
                }
                Err(error) => return Err(OracleError::Talk(error)),
            }
        }
        let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let words = words.and_then(|thread| thread.join().ok()).unwrap_or_default();
        serde_json::from_slice::<Vec<Answer>>(&said)
            .map_err(|_| OracleError::Ended(String::from_utf8_lossy(&words).trim().to_owned()))
    })?;
    if answers.len() == expected { Ok(answers) } else { Err(OracleError::Ended("too few answers".to_owned())) }
}

fn read_all(pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = pipe.take(MOST_BYTES).read_to_end(&mut bytes);
    bytes
}

/// The child's whole life: reads a batch, drops everything that is not the person, does the operations, answers.
pub(crate) fn serve() -> Result<(), String> {
    let mut question = Vec::new();
    std::io::stdin().lock().take(MOST_BYTES).read_to_end(&mut question).map_err(|error| error.to_string())?;
    let batch: Batch = serde_json::from_slice(&question).map_err(|error| error.to_string())?;
    let uid = KernelUid::new(batch.uid).ok_or("no such uid")?;
    let gid = KernelGid::new(batch.gid).ok_or("no such gid")?;
    let groups =
        batch.groups.iter().map(|raw| KernelGid::new(*raw)).collect::<Option<Vec<_>>>().ok_or("no such group")?;
    let identity = UnixIdentity::new(uid, gid, groups).map_err(|error| error.to_string())?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    drop_to(&identity).map_err(|error| error.to_string())?;
    let answers: Vec<Answer> = batch.items.iter().map(answer).collect();
    let text = serde_json::to_vec(&answers).map_err(|error| error.to_string())?;
    std::io::stdout().lock().write_all(&text).map_err(|error| error.to_string())
}

fn answer(item: &Item) -> Answer {
    match perform(item) {
        Ok(made) => Answer::Allowed { made },
        Err(errno) => {
            let raw = errno.raw_os_error();
            if is_denial(errno) { Answer::Denied { errno: raw } } else { Answer::Failed { errno: raw } }
        }
    }
}

/// What the kernel answers to somebody who may not; a place that is hidden from somebody counts as refused.
fn is_denial(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::NOENT)
}

fn perform(item: &Item) -> Result<Option<Made>, Errno> {
    let path = item.path.as_str();
    match item.act {
        Act::Read => read(path).map(|_| None),
        Act::List => {
            let dir = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            for entry in Dir::read_from(&dir)? {
                entry?;
            }
            Ok(None)
        }
        Act::Create => write(path, OFlags::CREATE | OFlags::EXCL, item.body.as_bytes()).map(Some),
        Act::Overwrite => write(path, OFlags::TRUNC, item.body.as_bytes()).map(Some),
        Act::Delete => rustix::fs::unlinkat(CWD, path, AtFlags::empty()).map(|()| None),
        Act::MakeDirectory => {
            rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o777))?;
            recorded(rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?).map(Some)
        }
        Act::Copy => {
            let content = read(path)?;
            write(item.to.as_deref().ok_or(Errno::INVAL)?, OFlags::CREATE | OFlags::EXCL, &content).map(Some)
        }
        Act::Move => {
            let to = item.to.as_deref().ok_or(Errno::INVAL)?;
            rustix::fs::renameat(CWD, path, CWD, to)?;
            recorded(rustix::fs::statat(CWD, to, AtFlags::SYMLINK_NOFOLLOW)?).map(Some)
        }
    }
}

fn read(path: &str) -> Result<Vec<u8>, Errno> {
    let file =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut content = Vec::new();
    std::fs::File::from(file).take(MOST_BYTES).read_to_end(&mut content).map_err(|error| errno_of(&error))?;
    Ok(content)
}

fn write(path: &str, how: OFlags, body: &[u8]) -> Result<Made, Errno> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | how;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(body).map_err(|error| errno_of(&error))?;
    recorded(rustix::fs::fstat(file.as_fd())?)
}

fn recorded(stat: rustix::fs::Stat) -> Result<Made, Errno> {
    Ok(Made { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 })
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
