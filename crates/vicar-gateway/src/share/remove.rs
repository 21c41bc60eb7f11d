//! DELETE.

use std::sync::Arc;
use std::time::Instant;

use http::{Response, StatusCode};
use vicar_os::fs::{BeneathPath, Directory, Failed, FsError, Limits, Name, Verdict, remove_tree};
use vicar_os::{AsClient, fs::FileId};

use super::conditional::{self, Purpose};
use super::failure::{Failure, status_of};
use super::guard::{self, Change, Touch};
use super::request::{Call, no_body};
use super::{Inner, RequestBody, answer};
use crate::body::ReplyBody;
use crate::dav::condition::Depth;
use crate::dav::href;

pub(super) async fn serve(call: &Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    no_body(body).await?;
    let (path, inner, headers) = (call.path(), Arc::clone(call.inner), Arc::clone(&call.headers));
    if path.is_here() {
        return Err(Failure::FORBIDDEN);
    }
    let (depth, slash) = (call.depth()?, call.target.slash);
    let touch = call
        .run(move |as_client, root| {
            let of = |error: FsError| Failure::of(&error);
            let (directory, name) = root.parent(as_client, &path).map_err(of)?;
            let stat = directory.stat(as_client, &name).map_err(of)?;
            if stat.is_directory() && !matches!(depth, None | Some(Depth::Infinity)) {
                return Err(Failure::BAD_REQUEST);
            }
            if slash && !stat.is_directory() {
                return Err(Failure::NOT_FOUND);
            }
            if let Some(status) = conditional::refusal(&headers, Some(&stat), Purpose::Change) {
                return Err(Failure::status(status));
            }
            let above = guard::above(as_client, root, &directory, &inner).map_err(of)?;
            Ok(Touch { path, id: Some(stat.id), above, change: Change::Tree })
        })
        .await?;
    let wanted = touch.id;
    guard::admit(call, &[touch]).await?;
    let (path, inner, uid, limits) = (call.path(), Arc::clone(call.inner), call.uid(), tree_limits(call));
    call.run(move |as_client, root| {
        let of = |error: FsError| Failure::of(&error);
        let (directory, name) = root.parent(as_client, &path).map_err(of)?;
        let stat = directory.stat(as_client, &name).map_err(of)?;
        if Some(stat.id) != wanted {
            return Err(Failure::CONFLICT);
        }
        remove(as_client, &directory, &name, &path, stat.id, Removal { inner: &inner, uid, limits })
    })
    .await?;
    Ok(answer::bare(StatusCode::NO_CONTENT))
}

pub(super) fn tree_limits(call: &Call<'_>) -> Limits {
    Limits { entries: call.limits().tree_entries, depth: call.limits().tree_depth }
}

/// What a removal needs besides its place.
pub(super) struct Removal<'a> {
    pub(super) inner: &'a Inner,
    pub(super) uid: u32,
    pub(super) limits: Limits,
}

/// Removes a tree as the client, and the locks on what is gone; what is left is told member by member.
///
/// A lock of somebody else that is met on the way, by whatever name it was made, keeps its file.
pub(super) fn remove(
    as_client: &AsClient<'_>,
    directory: &Directory,
    name: &Name,
    path: &BeneathPath,
    id: FileId,
    removal: Removal<'_>,
) -> Result<(), Failure> {
    let now = Instant::now();
    let locks = &removal.inner.locks;
    let any = !locks.is_empty(now);
    let mut judge = |met: FileId| {
        let foreign = any && met != id && locks.on(met, now).iter().any(|held| held.uid != removal.uid);
        if foreign { Verdict::Veto } else { Verdict::Go }
    };
    let failed =
        remove_tree(as_client, directory, name, removal.limits, &mut judge).map_err(|error| Failure::of(&error))?;
    let [Failed { path: top, error }] = failed.as_slice() else {
        if failed.is_empty() {
            locks.end(id, path, now);
            return Ok(());
        }
        return Err(Failure::members(failed.iter().map(|failed| member(path, failed)).collect()));
    };
    if top.is_empty() {
        return Err(Failure::of(error));
    }
    Err(Failure::members(failed.iter().map(|failed| member(path, failed)).collect()))
}

fn member(path: &BeneathPath, failed: &Failed) -> (String, StatusCode) {
    let mut href = href::of(path, true);
    href::encode_into(&failed.path, &mut href);
    (href, status_of(&failed.error))
}
