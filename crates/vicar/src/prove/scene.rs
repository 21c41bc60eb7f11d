//! The files of the test: laid below one random directory, twice, through descriptors and without following links.
//!
//! The server is asked for the tree `asked`; the kernel is asked, by dropped children, for the same things in its twin `judged`.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::person::Person;
use super::question::deep_name;
use super::remove;

/// The two trees.
pub(crate) const ASKED: &str = "asked";
/// The twin of [`ASKED`] that only dropped children touch.
pub(crate) const JUDGED: &str = "judged";
/// A file that everybody may read: whether the server shows the place at all.
pub(crate) const SEEN: &str = "seen.txt";
/// Most of a file that is looked at, in bytes.
const LOOK_BYTES: u64 = 65_536;

/// A step of laying or looking that the kernel refused.
#[derive(Debug)]
pub(crate) struct SceneError {
    pub(crate) step: &'static str,
    pub(crate) path: String,
    pub(crate) errno: Errno,
}

impl fmt::Display for SceneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.step, self.path, self.errno)
    }
}

fn at(step: &'static str, path: &str) -> impl FnOnce(Errno) -> SceneError {
    move |errno| SceneError { step, path: path.to_owned(), errno }
}

fn io_at(step: &'static str, path: &str) -> impl FnOnce(std::io::Error) -> SceneError {
    move |error| SceneError { step, path: path.to_owned(), errno: Errno::from_io_error(&error).unwrap_or(Errno::IO) }
}

/// Somebody who owns files in the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// What is to be laid for whom.
#[derive(Debug)]
pub(crate) struct Cast<'a> {
    pub(crate) people: &'a [Person],
    /// Stands in for the other person when there is only one; owns files, never signs in.
    pub(crate) someone: Owner,
    /// A group that nobody in the cast is in.
    pub(crate) foreign_group: u32,
}

impl Cast<'_> {
    /// Directory name and owner of the one whose files the person at `number` must not get.
    pub(crate) fn other_of(&self, number: usize) -> (&str, Owner) {
        let next = number.checked_add(1).and_then(|next| self.people.get(next)).or_else(|| self.people.first());
        match next {
            Some(person) if self.people.len() > 1 => (&person.slug, owner_of(person)),
            Some(_) | None => ("someone", self.someone),
        }
    }
}

fn owner_of(person: &Person) -> Owner {
    Owner { uid: person.identity.uid().raw(), gid: person.identity.gid().raw() }
}

/// What a path in the scene is now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Missing,
    File {
        owner: Owner,
        mode: u32,
        content: Vec<u8>,
    },
    Directory {
        owner: Owner,
    },
    /// A link, a pipe, a socket or a device.
    Other,
}

/// The laid files. Dropping it removes them.
pub(crate) struct Scene {
    root: OwnedFd,
    root_path: PathBuf,
    name: String,
    top: OwnedFd,
    /// What the links that point outside lead to: readable by root alone, on no disk.
    outside: OwnedFd,
    nonce: String,
    is_removed: bool,
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("root", &self.root_path).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Scene {
    /// Makes the random directory; nobody but root may enter it yet.
    pub(crate) fn begin(root_path: &Path, nonce: &str) -> Result<Self, SceneError> {
        let shown = root_path.display().to_string();
        let root = rustix::fs::open(root_path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(at("open", &shown))?;
        let outside = rustix::fs::memfd_create("vicar-prove-outside", MemfdFlags::CLOEXEC)
            .map_err(at("make", "a memory file"))?;
        rustix::fs::fchmod(&outside, Mode::from_raw_mode(0o600)).map_err(at("chmod", "a memory file"))?;
        let name = format!("vicar-prove-{}", nonce.get(..12).unwrap_or(nonce));
        rustix::fs::mkdirat(&root, &name, Mode::RWXU).map_err(at("make", &name))?;
        let top = match open_directory(root.as_fd(), &name).map_err(at("open", &name)) {
            Ok(top) => top,
            Err(error) => {
                // Nothing is in it yet, and only an empty directory can go this way.
                let _ = rustix::fs::unlinkat(&root, &name, AtFlags::REMOVEDIR);
                return Err(error);
            }
        };
        let scene = Self {
            root,
            root_path: root_path.to_owned(),
            name,
            top,
            outside,
            nonce: nonce.to_owned(),
            is_removed: false,
        };
        let mut text = std::fs::File::from(scene.outside.try_clone().map_err(io_at("open", "a memory file"))?);
        text.write_all(scene.marker("outside").as_bytes()).map_err(io_at("write", "a memory file"))?;
        Ok(scene)
    }

    /// The directory's name below the root.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The randomness that all names and contents are made of.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Where a path of a tree is for somebody who starts at `/`.
    pub(crate) fn absolute(&self, tree: &str, path: &str) -> PathBuf {
        self.root_path.join(&self.name).join(tree).join(path)
    }

    /// What stands in the file laid at `path`; nobody can guess it.
    pub(crate) fn marker(&self, path: &str) -> String {
        format!("{} {path}\n", self.nonce)
    }

    /// Lays both trees and then opens the random directory to everybody.
    pub(crate) fn lay(&self, cast: &Cast<'_>) -> Result<(), SceneError> {
        for tree in [ASKED, JUDGED] {
            self.directory(tree, ROOT, 0o755)?;
            self.file(tree, SEEN, ROOT, 0o644)?;
            self.directory(&format!("{tree}/groups"), ROOT, 0o755)?;
            self.directory(&format!("{tree}/sticky"), ROOT, 0o1777)?;
            for person in cast.people {
                self.home(tree, &person.slug, owner_of(person))?;
            }
            if cast.people.len() < 2 {
                self.home(tree, "someone", cast.someone)?;
            }
            for (number, person) in cast.people.iter().enumerate() {
                self.about(tree, person, cast.other_of(number), cast.foreign_group)?;
            }
        }
        rustix::fs::fchmod(&self.top, Mode::from_raw_mode(0o755)).map_err(at("chmod", &self.name))
    }

    /// One person's own directory.
    fn home(&self, tree: &str, slug: &str, owner: Owner) -> Result<(), SceneError> {
        let home = format!("{tree}/{slug}");
        self.directory(&home, owner, 0o755)?;
        self.directory(&format!("{home}/private"), owner, 0o700)?;
        let deep = format!("{slug}/private/{}", deep_name(&self.nonce));
        self.file(tree, &deep, owner, 0o644)?;
        for (name, mode) in
            [("own.txt", 0o600), ("keep.txt", 0o600), ("gone.txt", 0o600), ("victim.txt", 0o600), ("public.txt", 0o644)]
        {
            self.file(tree, &format!("{slug}/{name}"), owner, mode)?;
        }
        self.file(tree, &format!("{slug}/move.txt"), owner, 0o644)?;
        self.file(tree, &format!("{slug}/prey.txt"), owner, 0o644)
    }

    /// What is about one person and the other.
    fn about(&self, tree: &str, person: &Person, other: (&str, Owner), foreign: u32) -> Result<(), SceneError> {
        let (other, other_owner) = other;
        let slug = &person.slug;
        let team = Owner { uid: 0, gid: person.team().raw() };
        let foreign = Owner { uid: 0, gid: foreign };
        self.file(tree, &format!("groups/{slug}-member.txt"), team, 0o660)?;
        self.file(tree, &format!("groups/{slug}-shared.txt"), team, 0o660)?;
        self.file(tree, &format!("groups/{slug}-stranger.txt"), foreign, 0o660)?;
        self.file(tree, &format!("groups/{slug}-denied.txt"), team, 0o604)?;
        self.directory(&format!("{tree}/groups/{slug}-team"), team, 0o2770)?;
        self.directory(&format!("{tree}/groups/{slug}-others"), foreign, 0o2770)?;
        self.file(tree, &format!("sticky/{other}-for-{slug}.txt"), other_owner, 0o666)?;
        self.link(&format!("{tree}/{slug}/link-to-other.txt"), &format!("../{other}/own.txt"), owner_of(person))?;
        let outside = format!("/proc/{}/fd/{}", std::process::id(), self.outside.as_raw_fd());
        self.link(&format!("{tree}/{slug}/link-outside.txt"), &outside, owner_of(person))
    }

    fn directory(&self, path: &str, owner: Owner, mode: u32) -> Result<(), SceneError> {
        let (parent, leaf) = self.parent_of(path)?;
        rustix::fs::mkdirat(&parent, leaf, Mode::RWXU).map_err(at("make", path))?;
        let made = open_directory(parent.as_fd(), leaf).map_err(at("open", path))?;
        give(made.as_fd(), owner, mode).map_err(at("give away", path))
    }

    fn file(&self, tree: &str, path: &str, owner: Owner, mode: u32) -> Result<(), SceneError> {
        let full = format!("{tree}/{path}");
        let (parent, leaf) = self.parent_of(&full)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&parent, leaf, flags, Mode::RUSR | Mode::WUSR).map_err(at("make", &full))?;
        let mut made = std::fs::File::from(made);
        made.write_all(self.marker(path).as_bytes()).map_err(io_at("write", &full))?;
        give(made.as_fd(), owner, mode).map_err(at("give away", &full))
    }

    fn link(&self, path: &str, target: &str, owner: Owner) -> Result<(), SceneError> {
        let (parent, leaf) = self.parent_of(path)?;
        rustix::fs::symlinkat(target, &parent, leaf).map_err(at("make", path))?;
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::chownat(&parent, leaf, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(at("give away", path))
    }

    /// Opens the directory that `path` is in, without following anything.
    fn parent_of<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str), SceneError> {
        let (parent, leaf) = path.rsplit_once('/').unwrap_or((".", path));
        let fd = rustix::fs::openat2(
            &self.top,
            parent,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            strictly_beneath(),
        )
        .map_err(at("open", parent))?;
        Ok((fd, leaf))
    }

    /// Looks, as root and without following links, at what a path of the asked tree has become.
    pub(crate) fn look(&self, path: &str) -> Result<Seen, SceneError> {
        let path = format!("{ASKED}/{}", path.trim_end_matches('/'));
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = match rustix::fs::openat2(&self.top, &path, flags, Mode::empty(), strictly_beneath()) {
            Ok(place) => place,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Seen::Missing),
            Err(Errno::LOOP) => return Ok(Seen::Other),
            Err(errno) => return Err(at("look at", &path)(errno)),
        };
        let stat = rustix::fs::fstat(&place).map_err(at("look at", &path))?;
        let owner = Owner { uid: stat.st_uid, gid: stat.st_gid };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = match rustix::fs::openat2(&self.top, &path, flags, Mode::empty(), strictly_beneath()) {
                    Ok(file) => std::fs::File::from(file),
                    Err(Errno::NOENT) => return Ok(Seen::Missing),
                    Err(errno) => return Err(at("read", &path)(errno)),
                };
                let mut content = Vec::new();
                file.take(LOOK_BYTES).read_to_end(&mut content).map_err(io_at("read", &path))?;
                Ok(Seen::File { owner, mode: stat.st_mode & 0o7777, content })
            }
            FileType::Directory => Ok(Seen::Directory { owner }),
            FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Ok(Seen::Other),
        }
    }

    /// Removes everything below the random directory, and the directory.
    pub(crate) fn remove(&mut self) -> Result<(), remove::Left> {
        if self.is_removed {
            return Ok(());
        }
        remove::tree(self.root.as_fd(), &self.name, self.top.as_fd())?;
        self.is_removed = true;
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Err(left) = self.remove() {
            let _ =
                writeln!(std::io::stderr(), "vicar prove: {left} (in {})", self.root_path.join(&self.name).display());
        }
    }
}

/// Sets owner and mode of an open file; the mode last, because a change of owner clears set-id bits.
fn give(fd: BorrowedFd<'_>, owner: Owner, mode: u32) -> Result<(), Errno> {
    rustix::fs::fchown(fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
}

fn open_directory(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// How every path of the scene is resolved.
fn strictly_beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV
}

/// Resolves the root once, as the administrator wrote it.
pub(crate) fn real_root(path: &Path) -> Result<PathBuf, SceneError> {
    let shown = path.display().to_string();
    let real = std::fs::canonicalize(path).map_err(io_at("find", &shown))?;
    let stat = rustix::fs::statat(CWD, &real, AtFlags::empty()).map_err(at("look at", &shown))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        Ok(real)
    } else {
        Err(SceneError { step: "use", path: shown, errno: Errno::NOTDIR })
    }
}
