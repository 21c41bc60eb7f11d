//! Directories as streams: the names at once, what is known about them batch by batch.

use std::sync::Arc;

use bytes::Bytes;
use vicar_os::AsClient;
use vicar_os::fs::{BeneathPath, Directory, Entry, Kind, Links, Node, Root, Stat};

use super::failure::Failure;
use super::job::{Jobs, Seen};
use super::pull::Source;
use super::{Caller, Inner};
use crate::body::BodyError;
use crate::limit::Held;

/// Entries whose state is read in one job.
const BATCH: usize = 256;
/// Bytes after which a batch ends early: how much is written about one entry is up to who asks.
const BATCH_BYTES: usize = 1 << 20;

/// Entries up to which a listing is small; the others are counted, as their names stay in memory while they are sent.
const SMALL: usize = 1024;

/// The entries of one directory, sorted, each taken once.
pub(super) struct Listing {
    pub(super) path: BeneathPath,
    pub(super) directory: Directory,
    pub(super) entries: Vec<Entry>,
    /// The place of a large one among those of its user.
    _place: Option<Held<u32>>,
}

/// One entry as the client sees it, links followed.
pub(super) struct Member {
    pub(super) stat: Stat,
    pub(super) node: Option<Node>,
}

/// Whether the inode itself is needed, or only what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Stat,
    Node,
}

impl Listing {
    /// Reads the names: directories first, then by name without regard to case.
    ///
    /// A large listing is refused while `uid` is sent as many as one may be.
    pub(super) fn read(
        as_client: &AsClient<'_>,
        path: BeneathPath,
        directory: Directory,
        inner: &Inner,
        uid: u32,
    ) -> Result<Self, Failure> {
        let limit = inner.options.limits.listing_entries;
        let mut entries = directory.list(as_client, limit).map_err(|error| Failure::of(&error))?;
        let place = if entries.len() > SMALL {
            Some(inner.large_listings.take(uid).ok_or_else(Failure::too_many)?)
        } else {
            None
        };
        entries.retain(|entry| matches!(entry.kind, Kind::Regular | Kind::Directory | Kind::Symlink | Kind::Unknown));
        entries.sort_unstable_by(|one, other| {
            let (a, b) = (one.name.as_bytes(), other.name.as_bytes());
            let ignoring_case = || a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
            let directories_first = (one.kind != Kind::Directory).cmp(&(other.kind != Kind::Directory));
            directories_first.then_with(ignoring_case).then_with(|| a.cmp(b))
        });
        Ok(Self { path, directory, entries, _place: place })
    }

    /// Looks at one entry; `None` when it is gone, leads out of the share or is not served.
    pub(super) fn member(&self, as_client: &AsClient<'_>, root: &Root, entry: &Entry, need: Need) -> Option<Member> {
        if need == Need::Stat && entry.kind != Kind::Symlink {
            let stat = self.directory.stat(as_client, &entry.name).ok()?;
            if stat.kind.is_served() {
                return Some(Member { stat, node: None });
            }
            if stat.kind != Kind::Symlink {
                return None;
            }
        }
        let path = self.path.join(&entry.name).ok()?;
        let node = root.look(as_client, &path, Links::Follow).ok()?;
        let stat = *node.stat();
        stat.kind.is_served().then_some(Member { stat, node: Some(node) })
    }

    /// Writes the entries from `at`, at most a batch and about a megabyte; returns where the next batch begins.
    pub(super) fn write_batch(
        &self,
        as_client: &AsClient<'_>,
        root: &Root,
        write: &Write,
        at: usize,
        out: &mut String,
    ) -> usize {
        let end = at.saturating_add(BATCH).min(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate().take(end).skip(at) {
            write(as_client, root, self, entry, out);
            if out.len() >= BATCH_BYTES {
                return index.saturating_add(1);
            }
        }
        end
    }
}

/// Writes one entry.
pub(super) type Write = dyn Fn(&AsClient<'_>, &Root, &Listing, &Entry, &mut String) + Send + Sync;

/// Makes the rest of a listing's document.
pub(super) struct Rest {
    pub(super) jobs: Jobs,
    pub(super) caller: Caller,
    pub(super) seen: Seen,
    pub(super) listing: Arc<Listing>,
    pub(super) write: Arc<Write>,
    pub(super) at: usize,
    /// What ends the document.
    pub(super) close: &'static str,
}

impl Source for Rest {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BodyError> {
        if self.at >= self.listing.entries.len() {
            let close = core::mem::take(&mut self.close);
            return Ok((!close.is_empty()).then(|| (Bytes::from_static(close.as_bytes()), self)));
        }
        let (listing, write, at) = (Arc::clone(&self.listing), Arc::clone(&self.write), self.at);
        let (bytes, at) = self
            .jobs
            .run(&self.caller.client, &self.seen, move |as_client, root| {
                let mut out = String::new();
                let end = listing.write_batch(as_client, root, &*write, at, &mut out);
                Ok((Bytes::from(out), end))
            })
            .await
            .map_err(|_: Failure| BodyError::Host { operation: "list", errno: 0 })?;
        self.at = at;
        Ok(Some((bytes, self)))
    }
}
