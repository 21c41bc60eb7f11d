//! What stands between a changing request and the change: the `If` header and other people's locks.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use vicar_os::AsClient;
use vicar_os::fs::{Access, BeneathPath, Directory, Errno, FileId, FsError, Links, Root, Stat};

use super::conditional::etag;
use super::failure::Failure;
use super::request::Call;
use super::{Caller, Inner};
use crate::dav::condition::{IfHeader, State};
use crate::lock::Held;

/// Something that a request is about to change.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    /// Its path.
    pub(super) path: BeneathPath,
    /// What is there now.
    pub(super) id: Option<FileId>,
    /// The directories above it, the nearest first; beyond that one only when deep locks are held.
    pub(super) above: Vec<FileId>,
    /// What of it changes.
    pub(super) change: Change,
}

/// What of a thing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Its content or its properties.
    Content,
    /// Its name appears in a directory.
    Name,
    /// Its name appears or goes, with everything beneath it.
    Tree,
}

/// Returns the directories above something in `directory`, as far as the locks that are held make it matter.
pub(super) fn above(
    as_client: &AsClient<'_>,
    root: &Root,
    directory: &Directory,
    inner: &Inner,
) -> Result<Vec<FileId>, FsError> {
    let mut above = vec![directory.id()];
    if inner.locks.has_deep(Instant::now()) {
        above.extend(directory.ancestors(as_client, root)?);
    }
    Ok(above)
}

/// Returns all directories above a path, whatever is locked now: for whoever asks for a lock, which a deep one that is
/// taken meanwhile must meet.
pub(super) fn all_above_path(
    as_client: &AsClient<'_>,
    root: &Root,
    path: &BeneathPath,
) -> Result<Vec<FileId>, FsError> {
    let Some((parent, _)) = path.split_last() else { return Ok(Vec::new()) };
    let directory = root.directory(as_client, &parent)?;
    let mut above = vec![directory.id()];
    above.extend(directory.ancestors(as_client, root)?);
    Ok(above)
}

/// Returns the directories above a path, as [`above`] does; nothing is above the root.
pub(super) fn above_path(
    as_client: &AsClient<'_>,
    root: &Root,
    path: &BeneathPath,
    inner: &Inner,
) -> Result<Vec<FileId>, FsError> {
    match path.split_last() {
        None => Ok(Vec::new()),
        Some((parent, _)) => above(as_client, root, &root.directory(as_client, &parent)?, inner),
    }
}

/// What a look at a path found, for judging conditions.
struct Found {
    id: Option<FileId>,
    above: Vec<FileId>,
    etag: Option<String>,
}

fn find(as_client: &AsClient<'_>, root: &Root, path: &BeneathPath, inner: &Inner) -> Found {
    // A path the client cannot get to has no state that the client could know.
    let stat: Option<Stat> = root.look(as_client, path, Links::Follow).map(|node| *node.stat()).ok();
    Found {
        id: stat.map(|stat| stat.id),
        above: above_path(as_client, root, path, inner).unwrap_or_default(),
        etag: stat.as_ref().map(etag),
    }
}

/// Lets a change pass, or says why not: `If` must hold (412), and every lock in the way must be the caller's own, with its
/// token handed in (423).
pub(super) async fn admit(call: &Call<'_>, touches: &[Touch]) -> Result<(), Failure> {
    let header = call.text("if")?.map(IfHeader::parse).transpose().map_err(|error| Failure::of_header(&error))?;
    if let Some(header) = &header
        && !holds(call, header).await?
    {
        return Err(Failure::PRECONDITION);
    }
    if call.locks().is_empty(Instant::now()) {
        return Ok(());
    }
    let tokens: Vec<&str> = header.iter().flat_map(IfHeader::submitted_tokens).collect();
    for touch in touches {
        check_locks(call, touch, &tokens).await?;
    }
    Ok(())
}

async fn holds(call: &Call<'_>, header: &IfHeader) -> Result<bool, Failure> {
    let mut paths: HashMap<Option<String>, Option<BeneathPath>> = HashMap::new();
    for (resource, _) in &header.lists {
        paths.entry(resource.clone()).or_insert_with(|| match resource {
            None => Some(call.path()),
            // A resource elsewhere has no state that we could know.
            Some(url) => call.local_target(url).ok().map(|target| target.path),
        });
    }
    let inner = Arc::clone(call.inner);
    let found: HashMap<Option<String>, Option<Found>> = call
        .run(move |as_client, root| {
            let look = |path: Option<BeneathPath>| path.map(|path| find(as_client, root, &path, &inner));
            Ok(paths.into_iter().map(|(resource, path)| (resource, look(path))).collect())
        })
        .await?;
    let (uid, now) = (call.uid(), Instant::now());
    Ok(header.holds(|resource, state| {
        let Some(Some(found)) = found.get(&resource.map(str::to_owned)) else { return false };
        match state {
            State::Etag(tag) => found.etag.as_deref() == Some(tag.as_str()),
            State::Token(token) => call
                .locks()
                .covering(found.id, &found.above, now)
                .iter()
                .any(|held| held.uid == uid && held.token.as_str() == token),
        }
    }))
}

async fn check_locks(call: &Call<'_>, touch: &Touch, tokens: &[&str]) -> Result<(), Failure> {
    let now = Instant::now();
    let mut in_the_way = call.locks().covering(touch.id, &touch.above, now);
    match touch.change {
        Change::Content => {}
        Change::Name | Change::Tree => {
            // Names in a locked directory are part of its content.
            in_the_way.extend(touch.above.first().into_iter().flat_map(|parent| call.locks().on(*parent, now)));
        }
    }
    if touch.change == Change::Tree {
        in_the_way.extend(call.locks().beneath(&touch.path, now));
    }
    let mut by_place: HashMap<FileId, Vec<Held<Caller>>> = HashMap::new();
    for held in in_the_way {
        by_place.entry(held.id).or_default().push(held);
    }
    for place in by_place.into_values() {
        let mine = |held: &Held<Caller>| held.uid == call.uid();
        if place.iter().any(|held| mine(held) && tokens.contains(&held.token.as_str())) {
            continue;
        }
        for held in place {
            if mine(&held) || holder_may_write(call, &held, touch).await {
                return Err(Failure::locked(&held.path));
            }
        }
    }
    Ok(())
}

/// Whether the holder of a lock could make this change at all. A lock protects the holder's writing; where the holder
/// cannot write it protects nothing and keeps nobody out.
pub(super) async fn holder_may_write(call: &Call<'_>, held: &Held<Caller>, touch: &Touch) -> bool {
    let (touch, locked) = (touch.clone(), held.path.clone());
    let look = move |as_client: &AsClient<'_>, root: &Root| -> Result<bool, FsError> {
        let may = |path: &BeneathPath, wanted: Option<FileId>, access: Access| -> Result<bool, FsError> {
            match root.look(as_client, path, Links::Follow) {
                Ok(node) if wanted.is_some_and(|wanted| wanted != node.stat().id) => Ok(false),
                Ok(node) => Ok(node.access(as_client, access).is_ok()),
                Err(error) => cannot(error),
            }
        };
        if touch.change != Change::Content
            && let Some((parent, _)) = touch.path.split_last()
            && may(&parent, touch.above.first().copied(), Access::WriteAndSearch)?
        {
            return Ok(true);
        }
        if touch.id.is_some() && may(&touch.path, touch.id, Access::Write)? {
            return Ok(true);
        }
        Ok(touch.path != locked && touch.path.contains(&locked) && may(&locked, None, Access::Write)?)
    };
    // On whose behalf this is asked is the caller; what the kernel shows is the holder, so it is not the audit's.
    let unseen = Arc::new(OnceLock::new());
    let job = call.jobs().run(&held.holder.client, &unseen, move |as_client, root| {
        look(as_client, root).map_err(|error| Failure::of(&error))
    });
    // When it cannot be found out, the lock counts.
    job.await.unwrap_or(true)
}

/// The holder cannot even get there: that is an answer. Anything else is none.
fn cannot(error: FsError) -> Result<bool, FsError> {
    match error.errno() {
        Some(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP) => Ok(false),
        Some(_) | None => Err(error),
    }
}
