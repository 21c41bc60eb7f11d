//! Whole trees, copied and removed within limits.

use super::beneath::Name;
use super::directory::Directory;
use super::error::{Errno, FsError};
use super::node::Node;
use super::stat::{FileId, Kind};
use super::temp::unguessable_name;
use crate::AsClient;

/// How large a tree one call takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries, the top one included.
    pub entries: usize,
    /// Most directories inside each other.
    pub depth: usize,
}

/// What a caller says to one inode of a tree before it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Remove it.
    Go,
    /// Leave it; it is reported as [`FsError::Vetoed`].
    Veto,
}

/// How much of a copy to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The thing alone; of a directory, the directory without its content.
    Alone,
    /// Everything in it too.
    Whole,
}

/// One entry of a tree that was not done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where it is, from the top of the tree; empty for the top itself.
    pub path: Vec<u8>,
    /// Why.
    pub error: FsError,
}

/// Most failures that are collected before a removal stops.
const FAILURE_LIMIT: usize = 256;

/// Removes a name and everything beneath it.
///
/// The tree is counted before anything is removed. What cannot be removed is left with all that leads to it; the rest is
/// gone. Links are removed and not followed, other file systems are not entered.
///
/// # Returns
/// What was left; empty when everything is gone.
///
/// # Errors
/// - [`FsError::TooMany`], [`FsError::TooDeep`] when it is larger than `limits`; nothing was removed.
/// - [`FsError::Os`] when the name is not there.
pub fn remove_tree(
    as_client: &AsClient<'_>,
    directory: &Directory,
    name: &Name,
    limits: Limits,
    judge: &mut dyn FnMut(FileId) -> Verdict,
) -> Result<Vec<Failed>, FsError> {
    let mut left = limits.entries;
    count(as_client, directory, name, limits, limits.depth, &mut left)?;
    let mut removal = Removal { as_client, judge, path: Vec::new(), failed: Vec::new() };
    removal.remove(directory, name, limits.depth);
    Ok(removal.failed)
}

fn count(
    as_client: &AsClient<'_>,
    directory: &Directory,
    name: &Name,
    limits: Limits,
    depth_left: usize,
    left: &mut usize,
) -> Result<(), FsError> {
    *left = left.checked_sub(1).ok_or(FsError::TooMany { limit: limits.entries })?;
    let node = directory.look(as_client, name)?;
    if !node.stat().is_directory() {
        return Ok(());
    }
    let depth_left = depth_left.checked_sub(1).ok_or(FsError::TooDeep { limit: limits.depth })?;
    let inner = Directory::of(node)?;
    // One that cannot be read counts once; the removal will say what is wrong with it.
    let entries = match inner.list(as_client, *left) {
        Ok(entries) => entries,
        Err(FsError::TooMany { .. }) => return Err(FsError::TooMany { limit: limits.entries }),
        Err(_) => return Ok(()),
    };
    for entry in entries {
        if matches!(entry.kind, Kind::Directory | Kind::Unknown) {
            let counted = count(as_client, &inner, &entry.name, limits, depth_left, left);
            if let Err(error @ (FsError::TooMany { .. } | FsError::TooDeep { .. })) = counted {
                return Err(error);
            }
        } else {
            *left = left.checked_sub(1).ok_or(FsError::TooMany { limit: limits.entries })?;
        }
    }
    Ok(())
}

struct Removal<'a, 'c> {
    as_client: &'a AsClient<'c>,
    judge: &'a mut dyn FnMut(FileId) -> Verdict,
    path: Vec<u8>,
    failed: Vec<Failed>,
}

impl Removal<'_, '_> {
    /// Whether it is gone afterwards.
    fn remove(&mut self, directory: &Directory, name: &Name, depth_left: usize) -> bool {
        if self.failed.len() >= FAILURE_LIMIT {
            return false;
        }
        match self.try_remove(directory, name, depth_left) {
            Ok(gone) => gone,
            Err(error) if error.is(Errno::NOENT) && !self.path.is_empty() => true,
            Err(error) => {
                self.failed.push(Failed { path: self.path.clone(), error });
                false
            }
        }
    }

    fn try_remove(&mut self, directory: &Directory, name: &Name, depth_left: usize) -> Result<bool, FsError> {
        let stat = directory.stat(self.as_client, name)?;
        if (self.judge)(stat.id) == Verdict::Veto {
            return Err(FsError::Vetoed);
        }
        if !stat.is_directory() {
            directory.unlink(self.as_client, name)?;
            return Ok(true);
        }
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return Err(FsError::TooDeep { limit: 0 });
        };
        let mut all_gone = true;
        let mut unlisted = None;
        match directory.look(self.as_client, name).and_then(Directory::of) {
            Ok(inner) => match inner.list(self.as_client, usize::MAX) {
                Ok(entries) => {
                    let length = self.path.len();
                    for entry in entries {
                        if !self.path.is_empty() {
                            self.path.push(b'/');
                        }
                        self.path.extend_from_slice(entry.name.as_bytes());
                        all_gone &= self.remove(&inner, &entry.name, depth_left);
                        self.path.truncate(length);
                    }
                }
                Err(error) => unlisted = Some(error),
            },
            Err(error) => unlisted = Some(error),
        }
        if !all_gone {
            return Ok(false);
        }
        // An empty directory can be removed by somebody who cannot read it.
        directory.remove_directory(self.as_client, name).map_err(|error| unlisted.unwrap_or(error))?;
        Ok(true)
    }
}

/// Copies a thing and, if asked, everything beneath it to a name that is free; all of it, or nothing stays.
///
/// Files keep their permission bits (not the set-id bits), their ACL and their user attributes; they belong to the
/// client who copies. Links are copied as links. Devices, FIFOs and sockets are refused.
///
/// # Errors
/// - [`Failed`] naming what could not be copied; what had been made is removed again.
pub fn copy_tree(
    as_client: &AsClient<'_>,
    from: Node,
    to: (&Directory, &Name),
    reach: Reach,
    limits: Limits,
) -> Result<(), Failed> {
    let mut copy = Copy { as_client, reach, limits, left: limits.entries, path: Vec::new(), made: false };
    copy.copy(from, to, limits.depth).map_err(|error| {
        let everything = Limits { entries: usize::MAX, depth: limits.depth.saturating_add(1) };
        // What we made is ours to remove; what has the name for any other reason is not ours.
        if copy.made {
            let _ = remove_tree(as_client, to.0, to.1, everything, &mut |_| Verdict::Go);
        }
        Failed { path: copy.path, error }
    })
}

/// Returns a name nobody can guess, for building something beside its destination.
///
/// # Errors
/// - [`FsError::Os`] when the kernel has no random bytes.
pub fn building_name(_: &AsClient<'_>) -> Result<Name, FsError> {
    unguessable_name()
}

struct Copy<'a, 'c> {
    as_client: &'a AsClient<'c>,
    reach: Reach,
    limits: Limits,
    left: usize,
    /// Where the copy is; after an error, where it stopped.
    path: Vec<u8>,
    /// Whether the directory at the top was made; a file or a link gets its name last.
    made: bool,
}

impl Copy<'_, '_> {
    fn copy(&mut self, node: Node, to: (&Directory, &Name), depth_left: usize) -> Result<(), FsError> {
        self.left = self.left.checked_sub(1).ok_or(FsError::TooMany { limit: self.limits.entries })?;
        let stat = *node.stat();
        match stat.kind {
            Kind::Regular => {
                let source = node.open_read(self.as_client)?;
                let temp = to.0.create_temp(self.as_client, stat.mode & 0o777)?;
                let filled = temp
                    .copy_from(self.as_client, &source, source.stat().size)
                    .and_then(|()| temp.take_attributes(self.as_client, &node));
                filled.and_then(|()| temp.link_new(self.as_client, to.0, to.1)).inspect_err(|_| {
                    temp.discard(self.as_client, to.0);
                })
            }
            Kind::Directory => {
                let depth_left = depth_left.checked_sub(1).ok_or(FsError::TooDeep { limit: self.limits.depth })?;
                let source = Directory::of(node)?;
                to.0.make_directory(self.as_client, to.1, (stat.mode & 0o777) | 0o700)?;
                self.made = true;
                let target = Directory::of(to.0.look(self.as_client, to.1)?)?;
                if self.reach == Reach::Whole {
                    let length = self.path.len();
                    for entry in source.list(self.as_client, self.left)? {
                        if !self.path.is_empty() {
                            self.path.push(b'/');
                        }
                        self.path.extend_from_slice(entry.name.as_bytes());
                        let inner = source.look(self.as_client, &entry.name)?;
                        self.copy(inner, (&target, &entry.name), depth_left)?;
                        self.path.truncate(length);
                    }
                }
                target.node().take_attributes(self.as_client, source.node())?;
                if stat.mode & 0o700 != 0o700 {
                    let made = to.0.stat(self.as_client, to.1)?.mode;
                    target.node().set_mode(self.as_client, made & stat.mode)?;
                }
                Ok(())
            }
            Kind::Symlink => {
                let text = node.read_link(self.as_client)?;
                to.0.make_link(self.as_client, to.1, &text)
            }
            Kind::Fifo | Kind::Socket | Kind::CharacterDevice | Kind::BlockDevice | Kind::Unknown => {
                Err(FsError::NotServed { kind: stat.kind })
            }
        }
    }
}
