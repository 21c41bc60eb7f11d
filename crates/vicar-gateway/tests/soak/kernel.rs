//! The oracle: processes that have become a user for good and do the same operations on a twin of the files.
//!
//! They drop by plain per-thread calls of a process with one thread, on purpose not by the code that is tested.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use rustix::fs::XattrFlags;
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};

use crate::cast::User;

/// Set for a child, with its ids: `UID:GID,GROUP...`.
pub(crate) const ROLE: &str = "VICAR_TEST_KERNEL";

/// What is done, on absolute paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    Read {
        path: String,
    },
    /// Over what is there, else a new file.
    Write {
        path: String,
        body: String,
    },
    Unlink {
        path: String,
    },
    MakeDirectory {
        path: String,
    },
    RemoveDirectory {
        path: String,
    },
    /// Reads `from`, makes a new file beside `to` with the mode and the list of `from`, and gives it the name: what RFC 4918 9.8.4 calls deleting and
    /// copying, without the moment in between.
    Copy {
        from: String,
        to: String,
        overwrite: bool,
    },
    Rename {
        from: String,
        to: String,
        overwrite: bool,
    },
    Stat {
        path: String,
    },
    List {
        path: String,
    },
    /// Whether it can be opened for writing; changes nothing.
    OpenForWriting {
        path: String,
    },
}

/// What came of it: the number of the error, or what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done(Done),
    Failed(i32),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) names: Option<Vec<String>>,
    /// Whether the name was not there before.
    pub(crate) is_new: bool,
}

/// One child that is one user.
#[derive(Debug)]
pub(crate) struct Kernel {
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    child: Mutex<Child>,
}

impl Kernel {
    pub(crate) fn start(user: &User) -> Self {
        let groups: Vec<String> = user.groups.iter().map(ToString::to_string).collect();
        let mut child = Command::new("/proc/self/exe")
            .env(ROLE, format!("{}:{},{}", user.uid, user.gid, groups.join(",")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a kernel child");
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { talk: Mutex::new((stdin, BufReader::new(stdout))), child: Mutex::new(child) }
    }

    pub(crate) fn ask(&self, op: &Op) -> Answer {
        let mut talk = self.talk.lock().unwrap();
        let mut line = serde_json::to_string(op).unwrap();
        line.push('\n');
        talk.0.write_all(line.as_bytes()).expect("ask a kernel child");
        let mut answer = String::new();
        talk.1.read_line(&mut answer).expect("hear a kernel child");
        serde_json::from_str(&answer).expect("a kernel child's answer")
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The child's life.
pub(crate) fn live(ids: &str) {
    let (uid, groups) = ids.split_once(':').unwrap();
    let uid = Uid::from_raw(uid.parse().unwrap());
    let groups: Vec<Gid> =
        groups.split(',').filter(|raw| !raw.is_empty()).map(|raw| Gid::from_raw(raw.parse().unwrap())).collect();
    rustix::thread::set_thread_groups(&groups).unwrap();
    rustix::thread::set_thread_res_gid(groups[0], groups[0], groups[0]).unwrap();
    rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    assert!(rustix::thread::set_thread_uid(Uid::ROOT).is_err(), "the drop can be undone");
    rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let op: Op = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match perform(&op) {
            Ok(done) => Answer::Done(done),
            Err(error) => Answer::Failed(error.raw_os_error().unwrap_or(-1)),
        };
        serde_json::to_writer(&mut out, &answer).unwrap();
        out.write_all(b"\n").unwrap();
        out.flush().unwrap();
    }
}

fn perform(op: &Op) -> io::Result<Done> {
    match op {
        Op::Read { path } => Ok(Done { content: Some(read(path)?), ..Done::default() }),
        Op::Write { path, body } => write(path, body.as_bytes()),
        Op::Unlink { path } => fs::remove_file(path).map(|()| Done::default()),
        Op::MakeDirectory { path } => fs::create_dir(path).map(|()| Done { is_new: true, ..Done::default() }),
        Op::RemoveDirectory { path } => fs::remove_dir(path).map(|()| Done::default()),
        Op::Copy { from, to, overwrite } => {
            let content = read(from)?;
            refuse_existing(to, *overwrite)?;
            let is_new = fs::symlink_metadata(to).is_err();
            let beside = format!("{to}.new");
            let mode = fs::metadata(from)?.mode() & 0o777;
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?.write_all(&content)?;
            let mut list = [0; 1024];
            if let Ok(length) = rustix::fs::getxattr(from.as_str(), ACL, &mut list[..]) {
                rustix::fs::setxattr(beside.as_str(), ACL, &list[..length], XattrFlags::empty())?;
            }
            fs::rename(&beside, to).inspect_err(|_| {
                let _ = fs::remove_file(&beside);
            })?;
            Ok(Done { is_new, ..Done::default() })
        }
        Op::Rename { from, to, overwrite } => {
            fs::symlink_metadata(from)?;
            refuse_existing(to, *overwrite)?;
            let is_new = fs::symlink_metadata(to).is_err();
            fs::rename(from, to).map(|()| Done { is_new, ..Done::default() })
        }
        Op::Stat { path } => fs::symlink_metadata(path).map(|_| Done::default()),
        Op::List { path } => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                // A name of which nothing may be known is not worth listing.
                if entry.metadata().is_ok() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
            names.sort();
            Ok(Done { names: Some(names), ..Done::default() })
        }
        Op::OpenForWriting { path } => OpenOptions::new().write(true).open(path).map(|_| Done::default()),
    }
}

fn refuse_existing(path: &str, overwrite: bool) -> io::Result<()> {
    if !overwrite && fs::symlink_metadata(path).is_ok() {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::EXIST.raw_os_error()));
    }
    Ok(())
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    OpenOptions::new().read(true).open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

fn write(path: &str, body: &[u8]) -> io::Result<Done> {
    let existing = OpenOptions::new().write(true).truncate(true).open(path);
    let (mut file, is_new) = match existing {
        Ok(file) => (file, false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (OpenOptions::new().write(true).create_new(true).mode(0o666).open(path)?, true)
        }
        Err(error) => return Err(error),
    };
    file.write_all(body)?;
    Ok(Done { is_new, ..Done::default() })
}

/// Where the kernel keeps a list, and the one that new files inherit.
pub(crate) const ACL: &str = "system.posix_acl_access";
pub(crate) const DEFAULT_ACL: &str = "system.posix_acl_default";

/// Owner, mode and content of a path, as root sees it; `None` when it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    /// The access control list, as the kernel keeps it; `None` where mode bits are all there is.
    pub(crate) acl: Option<Vec<u8>>,
    /// `None` for a directory.
    pub(crate) content: Option<Vec<u8>>,
}

pub(crate) fn state(path: &str) -> Option<State> {
    let meta = fs::symlink_metadata(path).ok()?;
    let content = if meta.is_file() { Some(fs::read(path).ok()?) } else { None };
    let mut buffer = [0; 1024];
    let acl = rustix::fs::lgetxattr(path, ACL, &mut buffer[..]).ok().map(|length| buffer[..length].to_vec());
    Some(State { uid: meta.uid(), gid: meta.gid(), mode: meta.mode(), acl, content })
}
