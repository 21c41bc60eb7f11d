//! The same operations through [`Files`]: what has an opcode by a ring, the rest by the threads behind the same calls.
//!
//! What its methods do not offer, or refuse by a rule of ours, is done by a closure on the same threads and counted under
//! the reason's name.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test: what is not named goes to Files, or is a failure")]

use crate::operation::{Batch, Operation, describe_as, line_of, look};
use crate::people::COUNT;
use crate::watchdog::Declared;
use rustix::fs::{Access as Bits, OFlags, RenameFlags};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt::{self, Display, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vicar_os::fs::{Access, BeneathPath, Entry, FsError, Kind, Links, Name, Replace, Stat, Time};
use vicar_os::ring::{
    self, Blocking, Content, Done, Files, FilesOptions, Inline, Inode, OpenFor, RingOptions, UseRing,
};
use vicar_os::{ClientContext, ClientThreadOptions, KernelGid, KernelUid, Server};

/// Why an operation was not done by a method of [`Files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outside {
    /// A path stays beneath the tree; the yardstick's does not.
    LinkLeavesTheTree,
    /// Only regular files and directories are opened.
    SpecialFile,
    /// A special file cannot be made.
    MakesSpecialFile,
    /// The last name of the path is the tree itself, and what is changed has a name.
    NoName,
    /// Nothing is made at the other end of a link.
    MakesThroughLink,
    /// No second name for what a link names, only for the link.
    NamesThroughLink,
    /// A look has no flag that says that the file would be made: the kernel may refuse that in a sticky directory.
    StickyAndThere,
    /// A directory on the way is a link in a sticky directory, which the kernel may not follow as the last name.
    LinkOnTheWay,
    /// No question after the right to search alone.
    SearchAlone,
    /// No question after reading and writing at once: one entry of an ACL must give both, where two may give one each.
    SeveralRights,
}

/// Why a step did not succeed.
enum No {
    Errno(Errno),
    Outside(Outside),
}

impl From<Errno> for No {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

type May<T> = Result<T, No>;

/// What was done how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Nothing but submissions, where there is a ring.
    submitted: usize,
    /// Looked up by a submission, and done by a thread: there is no opcode.
    by_thread: usize,
    outside: BTreeMap<Outside, usize>,
    /// Looks that were asked for again because renames disturbed all their tries.
    disturbed: Cell<usize>,
}

impl Tally {
    pub(crate) fn submitted(&self) -> usize {
        self.submitted
    }

    pub(crate) fn all(&self) -> usize {
        self.submitted + self.by_thread + self.outside.values().sum::<usize>()
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { submitted, by_thread, outside, disturbed } = self;
        write!(f, "{submitted} by calls with an opcode alone, {by_thread} with a thread, as closures {outside:?}")?;
        write!(f, "; {} looks disturbed", disturbed.get())
    }
}

/// A copy of the tree, and the ways in which it is worked on.
pub(crate) struct Road {
    pub(crate) name: &'static str,
    root: PathBuf,
    /// One of them in a round, by turns.
    files: Vec<Files>,
    turn: usize,
    /// The root of the tree as each of the people reached it in this round.
    roots: [Option<Inode>; COUNT],
    pub(crate) tally: Tally,
}

pub(crate) const RING: &str = "ring";
pub(crate) const NO_RING: &str = "no ring";

impl Road {
    /// Rings, if this machine has them: one that does at once what need not wait, and one that leaves all to workers.
    pub(crate) fn with_rings(server: &Server) -> Option<Self> {
        if let Err(why) = ring::survey() {
            println!("skipped: no ring, {why}");
            return None;
        }
        let inlines = [Inline::WhenReady, Inline::Never];
        let files = inlines.map(|inline| start(server, UseRing::IfAvailable, inline));
        assert!(files.iter().all(|files| files.ring().is_some()), "{}", files[0].report());
        Some(Self::new(RING, files.into()))
    }

    pub(crate) fn without_ring(server: &Server) -> Self {
        let files = start(server, UseRing::Never, Inline::WhenReady);
        assert!(files.ring().is_none());
        Self::new(NO_RING, vec![files])
    }

    fn new(name: &'static str, files: Vec<Files>) -> Self {
        Self { name, root: PathBuf::new(), files, turn: 0, roots: [const { None }; COUNT], tally: Tally::default() }
    }

    /// The tree is another one now.
    pub(crate) fn next_round(&mut self, root: PathBuf) {
        self.root = root;
        self.roots = [const { None }; COUNT];
        self.turn += 1;
    }

    /// Performs a batch as [`Batch::perform`] does.
    pub(crate) fn perform(&mut self, client: &ClientContext, batch: &Batch, declared: &Arc<Declared>) -> String {
        let files = &self.files[self.turn % self.files.len()];
        let who = batch.who;
        let home =
            self.roots[who].get_or_insert_with(|| files.blocking().root(client, &self.root).unwrap().unwrap()).clone();
        let (root, tally) = (&self.root, &mut self.tally);
        let mut said = String::new();
        for operation in &batch.operations {
            let (blocking, disturbed) = (files.blocking(), &tally.disturbed);
            let mut act =
                Act { files: blocking, files_of: files, client, home: &home, root, is_by_thread: false, disturbed };
            let tried = act.perform(operation);
            let is_by_thread = act.is_by_thread;
            let done = match tried {
                Err(No::Outside(reason)) => {
                    *tally.outside.entry(reason).or_default() += 1;
                    let (operation, root, declared) = (operation.clone(), root.clone(), Arc::clone(declared));
                    let closure = move |_: &vicar_os::AsClient<'_>| {
                        let _acting = declared.acts_for(who);
                        operation.perform(&root)
                    };
                    files.threads().run_blocking(client, closure).unwrap()
                }
                result => {
                    let count = if is_by_thread { &mut tally.by_thread } else { &mut tally.submitted };
                    *count += 1;
                    result.map_err(|no| match no {
                        No::Errno(errno) => errno,
                        No::Outside(_) => Errno::IO,
                    })
                }
            };
            writeln!(said, "{}", line_of(done)).unwrap();
        }
        said
    }
}

fn start(server: &Server, use_ring: UseRing, inline: Inline) -> Files {
    let threads = ClientThreadOptions { threads: 2, ..ClientThreadOptions::default() };
    let ring = RingOptions { inline, ..RingOptions::default() };
    server.files(&FilesOptions { use_ring, ring, threads }).unwrap()
}

/// How many submissions the kernel has taken from this process, by its own count.
pub(crate) fn submissions() -> u64 {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_link(&path).is_ok_and(|to| to == Path::new("anon_inode:[io_uring]")) {
            let about = Path::new("/proc/self/fdinfo").join(path.file_name().unwrap());
            let about = std::fs::read_to_string(about).unwrap();
            let line = about.lines().find_map(|line| line.strip_prefix("CachedSqHead:"));
            count += line.map_or(0, |number| number.trim().parse::<u64>().unwrap());
        }
    }
    count
}

/// One operation of one client.
struct Act<'a> {
    files: Blocking<'a>,
    files_of: &'a Files,
    client: &'a ClientContext,
    home: &'a Inode,
    root: &'a Path,
    is_by_thread: bool,
    disturbed: &'a Cell<usize>,
}

/// What the kernel said; a rule of ours that stands before it in the given errno or outside.
fn plain<T>(answer: Result<T, FsError>) -> May<T> {
    answer.map_err(|error| match error {
        FsError::Os { errno, .. } => No::Errno(errno),
        FsError::NotServed { kind: Kind::Fifo | Kind::Socket | Kind::CharacterDevice | Kind::BlockDevice } => {
            No::Outside(Outside::SpecialFile)
        }
        other => panic!("{other:?}"),
    })
}

fn beneath(path: &str) -> BeneathPath {
    if path == "." { BeneathPath::here() } else { BeneathPath::parse(path.as_bytes()).unwrap() }
}

fn described(stat: &Stat) -> String {
    let kind = match stat.kind {
        Kind::Regular => 0o100_000,
        Kind::Directory => 0o040_000,
        Kind::Symlink => 0o120_000,
        Kind::Fifo => 0o010_000,
        Kind::Socket => 0o140_000,
        Kind::CharacterDevice => 0o020_000,
        Kind::BlockDevice => 0o060_000,
        Kind::Unknown => 0,
    };
    describe_as(kind | stat.mode, stat.uid, stat.gid, u64::from(stat.links), stat.size)
}

impl Act<'_> {
    /// A walk that renames elsewhere disturbed as often as `Files` tries is asked for again, and counted.
    fn look(&self, path: &BeneathPath, links: Links) -> May<Inode> {
        let mut answer = self.files.look(self.client, self.home, path, links).unwrap();
        for _ in 0..100 {
            if !answer.as_ref().is_err_and(|error| error.is(Errno::AGAIN)) {
                break;
            }
            self.disturbed.set(self.disturbed.get() + 1);
            answer = self.files.look(self.client, self.home, path, links).unwrap();
        }
        match answer {
            Err(FsError::Os { errno: Errno::XDEV, .. }) => Err(No::Outside(Outside::LinkLeavesTheTree)),
            answer => plain(answer),
        }
    }

    /// The directory that a path's last name is in, and the name.
    fn parent(&self, path: &str) -> May<(Inode, Name)> {
        let (above, name) = beneath(path).split_last().ok_or(No::Outside(Outside::NoName))?;
        match self.look(&above, Links::Follow) {
            Ok(directory) => Ok((directory, name)),
            Err(No::Errno(Errno::ACCESS)) if self.has_link(&above) => Err(No::Outside(Outside::LinkOnTheWay)),
            Err(no) => Err(no),
        }
    }

    fn has_link(&self, path: &BeneathPath) -> bool {
        let mut above = Some(path.clone());
        while let Some(path) = above {
            if self.look(&path, Links::Stay).is_ok_and(|inode| inode.stat().kind == Kind::Symlink) {
                return true;
            }
            above = path.split_last().map(|(above, _)| above);
        }
        false
    }

    /// The parents of two paths. The kernel looks `from` up first; what is asked of it is `is_whole`ly looked up before
    /// the second path, or only the way to it.
    fn parents(&self, from: &str, to: &str, is_whole: bool) -> May<((Inode, Name), (Inode, Name))> {
        let (directory, name) = self.parent(from)?;
        match self.parent(to) {
            Ok(second) => Ok(((directory, name), second)),
            Err(later) => match self.files.stat(self.client, &directory, &name).unwrap() {
                Err(FsError::Os { errno, .. }) if is_whole || matches!(errno, Errno::ACCESS | Errno::NOTDIR) => {
                    Err(No::Errno(errno))
                }
                _ => Err(later),
            },
        }
    }

    fn after(&self, path: &str) -> String {
        match self.look(&beneath(path), Links::Stay) {
            Ok(inode) => described(inode.stat()),
            Err(No::Errno(errno)) => format!("done, then errno {}", errno.raw_os_error()),
            // It was done by the name and cannot be seen by it any more.
            Err(No::Outside(_)) => {
                let path = self.root.join(path);
                let looked = self.files_of.threads().run_blocking(self.client, move |_| look(&path, false)).unwrap();
                looked.unwrap_or_else(|errno| format!("done, then errno {}", errno.raw_os_error()))
            }
        }
    }

    fn now(&self, inode: &Inode) -> May<Stat> {
        let mut results = self.files.run(self.client, ring::Batch::of(inode.look_again())).unwrap();
        match plain(results.pop().unwrap())? {
            Done::Stat(stat) => Ok(stat),
            other => panic!("{other:?}"),
        }
    }

    fn perform(&mut self, operation: &Operation) -> May<String> {
        let (files, client) = (self.files, self.client);
        match operation {
            Operation::Open { path, flags, mode, content } => self.open(path, *flags, *mode, *content),
            Operation::Stat { path, follow: true } => Ok(described(self.look(&beneath(path), Links::Follow)?.stat())),
            Operation::Stat { path, follow: false } if path == "." => Ok(described(&self.now(self.home)?)),
            Operation::Stat { path, follow: false } => {
                let (directory, name) = self.parent(path)?;
                plain(files.stat(client, &directory, &name).unwrap()).map(|stat| described(&stat))
            }
            Operation::MakeDirectory { path, mode } => {
                let (directory, name) = self.parent(path)?;
                plain(files.make_directory(client, &directory, &name, *mode).unwrap())?;
                Ok(self.after(path))
            }
            Operation::RemoveDirectory { path } => {
                let (directory, name) = self.parent(path)?;
                plain(files.remove_directory(client, &directory, &name).unwrap())?;
                Ok("removed".to_owned())
            }
            Operation::Unlink { path } => {
                let (directory, name) = self.parent(path)?;
                plain(files.unlink(client, &directory, &name).unwrap())?;
                Ok("removed".to_owned())
            }
            Operation::Rename { from, to, flags } => {
                let replace = match *flags {
                    RenameFlags::EXCHANGE => Replace::Exchange,
                    RenameFlags::NOREPLACE => Replace::Never,
                    _ => Replace::File,
                };
                let ((directory, name), (second, to_name)) = self.parents(from, to, false)?;
                plain(files.rename(client, &directory, &name, &second, &to_name, replace).unwrap())?;
                Ok(self.after(to))
            }
            Operation::Link { from, to, follow } => {
                if *follow && self.look(&beneath(from), Links::Stay)?.stat().kind == Kind::Symlink {
                    return Err(No::Outside(Outside::NamesThroughLink));
                }
                let ((directory, name), (second, to_name)) = self.parents(from, to, true)?;
                plain(files.link(client, &directory, &name, &second, &to_name).unwrap())?;
                Ok(self.after(to))
            }
            Operation::Symlink { target, at } => {
                let (directory, name) = self.parent(at)?;
                let text = CString::new(target.as_str()).unwrap();
                plain(files.make_link(client, &directory, &name, &text).unwrap())?;
                Ok(self.after(at))
            }
            Operation::GetAttribute { path, name } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                let value = plain(files.attribute(client, &of, name).unwrap())?;
                value.map(|value| format!("{value:?}")).ok_or(No::Errno(Errno::NODATA))
            }
            Operation::SetAttribute { path, name, value } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                plain(files.set_attribute(client, &of, name, value).unwrap())?;
                Ok(self.after(path))
            }
            Operation::MakeNode { .. } => Err(No::Outside(Outside::MakesSpecialFile)),
            Operation::ReadLink { .. }
            | Operation::SetMode { .. }
            | Operation::SetOwner { .. }
            | Operation::SetTimes { .. }
            | Operation::RemoveAttribute { .. }
            | Operation::ListAttributes { .. }
            | Operation::List { .. }
            | Operation::Truncate { .. }
            | Operation::Access { .. } => self.perform_by_thread(operation),
        }
    }

    /// What has no opcode.
    fn perform_by_thread(&mut self, operation: &Operation) -> May<String> {
        let (files, client) = (self.files, self.client);
        match operation {
            Operation::ReadLink { path } => {
                let of = self.look(&beneath(path), Links::Stay)?;
                self.is_by_thread = true;
                plain(files.read_link(client, &of).unwrap()).map(|target| format!("{target:?}"))
            }
            Operation::SetMode { path, mode } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                self.is_by_thread = true;
                plain(files.set_mode(client, &of, *mode).unwrap())?;
                Ok(self.after(path))
            }
            Operation::SetOwner { path, uid, gid, follow } => {
                let of = self.look(&beneath(path), if *follow { Links::Follow } else { Links::Stay })?;
                let uid = uid.map(|uid| KernelUid::new(uid).unwrap());
                let gid = gid.map(|gid| KernelGid::new(gid).unwrap());
                self.is_by_thread = true;
                plain(files.set_owner(client, &of, uid, gid).unwrap())?;
                Ok(self.after(path))
            }
            Operation::SetTimes { path, seconds } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                let time = seconds.map(|seconds| Time { seconds, nanos: 7 });
                self.is_by_thread = true;
                plain(files.set_times(client, &of, time, time).unwrap())?;
                let Time { seconds, nanos } = self.now(&of)?.modified;
                Ok(if time.is_some() { format!("{seconds}.{nanos}") } else { "now".to_owned() })
            }
            Operation::RemoveAttribute { path, name } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                self.is_by_thread = true;
                let names = plain(files.attribute_names(client, &of).unwrap())?;
                plain(files.remove_attribute(client, &of, name).unwrap())?;
                // One that is not there is removed already, says the method. The kernel says that of ACLs only.
                let was_there = name.starts_with("system.") || names.iter().any(|there| there == name.as_bytes());
                if was_there { Ok(self.after(path)) } else { Err(No::Errno(Errno::NODATA)) }
            }
            Operation::ListAttributes { path } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                self.is_by_thread = true;
                let mut names = plain(files.attribute_names(client, &of).unwrap())?;
                // The yardstick splits what ends with a separator.
                names.push(Vec::new());
                names.sort_unstable();
                Ok(format!("{}", names.join(&b' ').escape_ascii()))
            }
            Operation::List { path } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                self.is_by_thread = true;
                let entries = plain(files.list(client, &of, 100_000).unwrap())?;
                let text = |entry: &Entry| String::from_utf8_lossy(entry.name.as_bytes()).into_owned();
                let mut names: Vec<_> = entries.iter().map(text).chain([".", ".."].map(str::to_owned)).collect();
                names.sort_unstable();
                Ok(names.join(" "))
            }
            Operation::Truncate { path, len } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                if of.stat().kind == Kind::Directory {
                    return Err(Errno::ISDIR.into());
                }
                self.is_by_thread = true;
                plain(files.truncate(client, &of, *len).unwrap())?;
                Ok(self.after(path))
            }
            Operation::Access { path, access } => {
                let of = self.look(&beneath(path), Links::Follow)?;
                let questions: &[Access] = match *access {
                    Bits::EXISTS => &[],
                    Bits::READ_OK => &[Access::Read],
                    Bits::WRITE_OK => &[Access::Write],
                    both if both.contains(Bits::READ_OK | Bits::WRITE_OK) => {
                        return Err(No::Outside(Outside::SeveralRights));
                    }
                    both if both.contains(Bits::WRITE_OK) => &[Access::WriteAndSearch],
                    _ => return Err(No::Outside(Outside::SearchAlone)),
                };
                for question in questions {
                    self.is_by_thread = true;
                    plain(files.access(client, &of, *question).unwrap())?;
                }
                Ok("may".to_owned())
            }
            other => unreachable!("{other:?} has an opcode"),
        }
    }

    fn open(&mut self, path: &str, flags: OFlags, mode: u32, content: u64) -> May<String> {
        let stays = flags.contains(OFlags::NOFOLLOW);
        if !flags.contains(OFlags::CREATE) {
            let looked = self.look(&beneath(path), if stays { Links::Stay } else { Links::Follow })?;
            return self.open_looked(&looked, path, flags, content);
        }
        let (directory, name) = self.parent(path)?;
        if !flags.contains(OFlags::EXCL) {
            match self.look(&beneath(path), Links::Stay) {
                Ok(looked) => match looked.stat().kind {
                    Kind::Symlink if !stays => return Err(No::Outside(Outside::MakesThroughLink)),
                    Kind::Directory => return Err(Errno::ISDIR.into()),
                    _ if directory.stat().mode & 0o1000 != 0 => return Err(No::Outside(Outside::StickyAndThere)),
                    Kind::Symlink => return Err(Errno::LOOP.into()),
                    _ => return self.open_looked(&looked, path, flags, content),
                },
                Err(No::Errno(Errno::NOENT)) => {}
                Err(no) => return Err(no),
            }
        }
        let made = plain(self.files.create(self.client, &directory, &name, mode).unwrap())?;
        let said = self.transfer(&made, flags, content)?;
        let made = self.look(&beneath(path), Links::Stay)?;
        Ok(said + &described(made.stat()))
    }

    fn open_looked(&mut self, looked: &Inode, path: &str, flags: OFlags, content: u64) -> May<String> {
        let (files, client) = (self.files, self.client);
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
        let truncates = flags.contains(OFlags::TRUNC);
        match looked.stat().kind {
            // The last name is a link that is not followed.
            Kind::Symlink => return Err(Errno::LOOP.into()),
            Kind::Directory if writes || truncates => return Err(Errno::ISDIR.into()),
            Kind::Directory => {
                self.is_by_thread = true;
                plain(files.list(client, looked, 100_000).unwrap())?;
                return Ok(described(&self.now(looked)?));
            }
            _ => {}
        }
        let open_for = match (writes, flags.contains(OFlags::WRONLY), truncates) {
            (false, _, false) => OpenFor::Reading,
            (true, true, _) => OpenFor::Writing,
            (_, false, _) | (false, true, true) => OpenFor::Both,
        };
        // By the same path or by what is held, by turns.
        let is_followed = !flags.contains(OFlags::NOFOLLOW);
        let opened = if is_followed && content.is_multiple_of(2) {
            files.open_file(client, self.home, &beneath(path), open_for).unwrap()
        } else {
            files.reopen(client, looked, open_for).unwrap()
        };
        let opened = plain(opened)?;
        if truncates {
            self.is_by_thread = true;
            plain(files.truncate(client, looked, 0).unwrap())?;
        }
        let said = self.transfer(&opened, flags, content)?;
        Ok(said + &described(&self.now(looked)?))
    }

    /// Reads and writes as the yardstick does.
    fn transfer(&self, opened: &Content, flags: OFlags, content: u64) -> May<String> {
        let (files, client) = (self.files, self.client);
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR);
        let mut said = String::new();
        if !writes || flags.contains(OFlags::RDWR) {
            let bytes = plain(files.read(client, opened, 0, 64).unwrap())?;
            write!(said, "read {} ", bytes.escape_ascii()).unwrap();
        }
        if writes {
            let is_at_end = flags.contains(OFlags::APPEND) && !flags.contains(OFlags::TRUNC);
            let offset = if is_at_end { opened.stat().size } else { 0 };
            let written = plain(files.write(client, opened, offset, content.to_string().into_bytes()).unwrap())?;
            write!(said, "wrote {written} ").unwrap();
        }
        Ok(said)
    }
}
