//! The process that keeps the starting rights: it lays the scene, looks at it, and takes it away.
//!
//! It is this program again, started before the server gives up its powers. Its standard input is the only thing that keeps it:
//! when that ends, by the end of the demonstration or by whatever killed it, the scratch directory is removed. It is in a
//! session of its own, so that Ctrl-C reaches the server alone.

use super::people::Cast;
use super::question::{FILES, text_of};
use crate::prove::remove;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The directory that is served, below the scratch directory.
pub(crate) const SHARE: &str = "share";
/// Most of a file that is looked at, in bytes.
const LOOK_BYTES: u64 = 4_096;

/// What the keeper is asked: first to lay, then to look.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Lay { people: Vec<(String, u32)>, team: u32 },
    Look { path: String },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    Laid { scratch: PathBuf },
    Seen(Option<Seen>),
    Failed(String),
}

/// What the kernel recorded about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// What it says, if that is text.
    pub(crate) text: Option<String>,
}

/// The server's end.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    orders: Option<ChildStdin>,
    reports: BufReader<ChildStdout>,
    /// The scratch directory.
    pub(crate) scratch: PathBuf,
}

impl Keeper {
    /// Starts the keeper and has it lay the scene.
    pub(crate) fn start(cast: &Cast) -> Result<Self, String> {
        let mut process = Command::new("/proc/self/exe")
            .args(["demo", "--keeper"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the keeper: {error}"))?;
        let (Some(orders), Some(reports)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the keeper has no pipes".to_owned());
        };
        let reports = BufReader::new(reports);
        let mut keeper = Self { process, orders: Some(orders), reports, scratch: PathBuf::new() };
        let people = cast.people.iter().map(|person| (person.name.to_owned(), person.id)).collect();
        match keeper.ask(&Order::Lay { people, team: cast.team })? {
            Report::Laid { scratch } => keeper.scratch = scratch,
            Report::Seen(_) => return Err("the keeper answered something else".to_owned()),
            Report::Failed(error) => return Err(error),
        }
        Ok(keeper)
    }

    /// What the kernel recorded about a file below the share; `None` when there is none.
    pub(crate) fn look(&mut self, path: &str) -> Result<Option<Seen>, String> {
        match self.ask(&Order::Look { path: path.to_owned() })? {
            Report::Seen(seen) => Ok(seen),
            Report::Laid { .. } => Err("the keeper answered something else".to_owned()),
            Report::Failed(error) => Err(error),
        }
    }

    fn ask(&mut self, order: &Order) -> Result<Report, String> {
        let gone = |error: &dyn std::fmt::Display| format!("the keeper is gone: {error}");
        let mut line = serde_json::to_string(order).map_err(|error| error.to_string())?;
        line.push('\n');
        let orders = self.orders.as_mut().ok_or_else(|| gone(&"it was dismissed"))?;
        orders.write_all(line.as_bytes()).map_err(|error| gone(&error))?;
        let mut answer = String::new();
        self.reports.read_line(&mut answer).map_err(|error| gone(&error))?;
        serde_json::from_str(&answer).map_err(|error| gone(&error))
    }

    /// Has everything removed and waits for it.
    pub(crate) fn dismiss(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        drop(self.orders.take());
        match self.process.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err("the scratch directory could not be removed".to_owned()),
            Err(error) => Err(format!("the keeper is gone: {error}")),
        }
    }
}

impl Drop for Keeper {
    /// Also when the demonstration panics. The first end counts; asking twice gives the same answer.
    fn drop(&mut self) {
        // Whoever wanted to know has called `dismiss`; the keeper tells the rest on standard error.
        let _ = self.end();
    }
}

/// The keeper itself.
pub(crate) fn run() -> Result<(), String> {
    // Already a leader, if somebody started it by hand: then Ctrl-C ends it, and nothing was laid.
    let _ = rustix::process::setsid();
    let mut scene = None;
    let mut failed = None;
    for line in std::io::stdin().lock().lines() {
        let Ok(order) = line
            .map_err(|error| error.to_string())
            .and_then(|line| serde_json::from_str::<Order>(&line).map_err(|error| error.to_string()))
        else {
            break;
        };
        let report = match (order, &scene) {
            (Order::Lay { people, team }, None) => match Scene::begin() {
                Ok(begun) => {
                    let scene = scene.insert(begun);
                    match scene.lay(&people, team) {
                        Ok(()) => Report::Laid { scratch: scene.path() },
                        Err(error) => Report::Failed(error),
                    }
                }
                Err(error) => Report::Failed(error),
            },
            (Order::Look { path }, Some(scene)) => match scene.look(&path) {
                Ok(seen) => Report::Seen(seen),
                Err(error) => Report::Failed(error),
            },
            (Order::Lay { .. }, Some(_)) | (Order::Look { .. }, None) => Report::Failed("out of order".to_owned()),
        };
        if let Err(error) = answer(&report) {
            failed = Some(error);
            break;
        }
    }
    // Input has ended, or nobody listens any more: the demonstration is over.
    let removed = scene.as_mut().map_or(Ok(()), Scene::remove);
    match (removed, failed) {
        (Err(error), _) | (Ok(()), Some(error)) => Err(error),
        (Ok(()), None) => Ok(()),
    }
}

fn answer(report: &Report) -> Result<(), String> {
    let mut line = serde_json::to_string(report).map_err(|error| error.to_string())?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

/// The scratch directory, open.
struct Scene {
    base: PathBuf,
    parent: OwnedFd,
    name: String,
    top: OwnedFd,
    is_removed: bool,
}

impl Drop for Scene {
    /// Also when the keeper panics.
    fn drop(&mut self) {
        // `remove` was called where somebody wants to know.
        let _ = self.remove();
    }
}

impl Scene {
    /// Makes an empty directory that only root may enter yet.
    fn begin() -> Result<Self, String> {
        let base = reachable_base()?;
        let failed = |error: rustix::io::Errno| format!("cannot make a directory in {}: {error}", base.display());
        let directory = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = rustix::fs::open(&base, directory, Mode::empty()).map_err(failed)?;
        let mut salt = [0_u8; 8];
        getrandom::fill(&mut salt).map_err(|error| format!("no randomness: {error}"))?;
        let name = format!("vicar-demo-{:016x}", u64::from_le_bytes(salt));
        rustix::fs::mkdirat(&parent, &name, Mode::RWXU).map_err(failed)?;
        let top = rustix::fs::openat(&parent, &name, OFlags::RDONLY | directory, Mode::empty());
        let top = top.map_err(|error| {
            // Empty, and ours a moment ago.
            let _ = rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR);
            failed(error)
        })?;
        Ok(Self { base, parent, name, top, is_removed: false })
    }

    fn path(&self) -> PathBuf {
        self.base.join(&self.name)
    }

    fn lay(&self, people: &[(String, u32)], team: u32) -> Result<(), String> {
        let at = |what: &str| {
            let what = what.to_owned();
            move |error: rustix::io::Errno| format!("cannot lay {what}: {error}")
        };
        let id_of = |who: usize| people.get(who).map_or(0, |(_, id)| *id);
        self.directory(SHARE, 0, 0, 0o755).map_err(at(SHARE))?;
        for (name, id) in people {
            self.directory(&format!("{SHARE}/{name}"), *id, *id, 0o755).map_err(at(name))?;
        }
        // Set-group-id: what is made in it belongs to the team.
        self.directory(&format!("{SHARE}/team"), 0, team, 0o2775).map_err(at("team"))?;
        for file in &FILES {
            let uid = file.owner.map_or(0, id_of);
            let gid = match file.group {
                super::question::Group::Own => uid,
                super::question::Group::Team => team,
            };
            self.file(&format!("{SHARE}/{}", file.path), uid, gid, file.mode).map_err(at(file.path))?;
        }
        // Now the people may pass through; nobody but root may write here or see what else there is.
        rustix::fs::fchmod(&self.top, Mode::from_raw_mode(0o711)).map_err(at("the scratch directory"))
    }

    fn directory(&self, path: &str, uid: u32, gid: u32, mode: u32) -> rustix::io::Result<()> {
        rustix::fs::mkdirat(&self.top, path, Mode::RWXU)?;
        let directory = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        give(&directory, uid, gid, mode)
    }

    fn file(&self, path: &str, uid: u32, gid: u32, mode: u32) -> rustix::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = self.open(path, flags, Mode::RUSR | Mode::WUSR)?;
        give(&file, uid, gid, mode)?;
        let name = path.strip_prefix("share/").unwrap_or(path);
        File::from(file)
            .write_all(text_of(name).as_bytes())
            .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
    }

    /// Opens below the scratch directory; no link is followed, whoever put it there.
    fn open(&self, path: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.top, path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, mode, resolve)
    }

    fn look(&self, path: &str) -> Result<Option<Seen>, String> {
        let failed = |error: rustix::io::Errno| format!("cannot look at {path}: {error}");
        let file = match self.open(&format!("{SHARE}/{path}"), OFlags::RDONLY, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        let mut text = Vec::new();
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            File::from(file).take(LOOK_BYTES).read_to_end(&mut text).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(Some(Seen { uid: stat.st_uid, gid: stat.st_gid, text: String::from_utf8(text).ok() }))
    }

    fn remove(&mut self) -> Result<(), String> {
        if std::mem::replace(&mut self.is_removed, true) {
            return Ok(());
        }
        remove::tree(self.parent.as_fd(), &self.name, self.top.as_fd()).map_err(|left| left.to_string())
    }
}

fn give(fd: &OwnedFd, uid: u32, gid: u32, mode: u32) -> rustix::io::Result<()> {
    rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    // After the change of owner, which clears set-group-id.
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
}

/// A directory for temporary files that everybody can reach.
fn reachable_base() -> Result<PathBuf, String> {
    [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")]
        .into_iter()
        .filter_map(|base| base.canonicalize().ok())
        .find(|base| base.ancestors().all(is_passable))
        .ok_or_else(|| "neither TMPDIR nor /tmp nor /var/tmp can be reached by everybody".to_owned())
}

/// Whether everybody may pass through a directory and nobody else may swap what is in it.
fn is_passable(directory: &Path) -> bool {
    let Ok(stat) = directory.metadata() else { return false };
    let is_swappable = stat.mode() & 0o022 != 0 && stat.mode() & 0o1000 == 0;
    stat.mode() & 0o001 != 0 && !is_swappable
}
