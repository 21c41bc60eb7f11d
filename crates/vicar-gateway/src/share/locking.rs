//! LOCK and UNLOCK.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Response, StatusCode};
use vicar_os::AsClient;
use vicar_os::fs::{Access, Errno, FileId, FsError, Links, Root, Stat};

use super::conditional::{self, Purpose};
use super::failure::Failure;
use super::guard::{self, Change, Touch};
use super::propfind::active_lock;
use super::request::{Call, small_body};
use super::{Caller, RequestBody, answer};
use crate::body::ReplyBody;
use crate::dav::body::{self as asked, LockWish};
use crate::dav::condition::{self, Depth, IfHeader};
use crate::lock::{Held, Refusal, Request};

const LOCK_TOKEN: HeaderName = HeaderName::from_static("lock-token");

pub(super) async fn lock(call: &Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    let wish = asked::lock(&small_body(body).await?).map_err(|error| Failure::of_xml(&error))?;
    match wish {
        None => refresh(call).await,
        Some(wish) => take(call, wish).await,
    }
}

async fn take(call: &Call<'_>, wish: LockWish) -> Result<Response<ReplyBody>, Failure> {
    let deep = match call.depth()? {
        None | Some(Depth::Infinity) => true,
        Some(Depth::Zero) => false,
        Some(Depth::One) => return Err(Failure::BAD_REQUEST),
    };
    let timeout = condition::timeout(call.text("timeout")?, call.locks().terms().longest);
    let place = Place::find(call).await?;
    let (id, status) = match place.stat {
        Some(stat) => {
            // `If` must hold; the locks of others are judged below, where shared ones get along.
            guard::admit(call, &[]).await?;
            (stat.id, StatusCode::OK)
        }
        None => {
            let touch = Touch { path: call.path(), id: None, above: place.above.clone(), change: Change::Name };
            guard::admit(call, &[touch]).await?;
            (create(call).await?, StatusCode::CREATED)
        }
    };
    let is_directory = place.stat.is_some_and(|stat| stat.is_directory());
    let harmless = harmless_locks(call, id, &place.above, deep && is_directory).await;
    let request = Request {
        id,
        path: call.path(),
        above: place.above,
        deep: deep && is_directory,
        scope: wish.scope,
        uid: call.uid(),
        holder: call.caller.clone(),
        owner: wish.owner.map(Arc::from),
        timeout,
    };
    let now = Instant::now();
    let taken = call.locks().acquire(request, |held| harmless.contains(&held.token), now);
    let held = taken.map_err(|refusal| match refusal {
        Refusal::Conflict(path) => Failure::conflicting_lock(&path),
        Refusal::TooMany { .. } => Failure::NO_STORAGE,
        Refusal::NoToken | Refusal::Unknown => Failure::status(StatusCode::INTERNAL_SERVER_ERROR),
    })?;
    let mut response = answer::xml(status, discovery(&held, call.uid(), now));
    if let Ok(value) = HeaderValue::from_str(&format!("<{}>", held.token.as_str())) {
        response.headers_mut().insert(LOCK_TOKEN, value);
    }
    Ok(response)
}

/// The locks of others that would be in the way and keep nobody out, because their holders cannot write here.
async fn harmless_locks(call: &Call<'_>, id: FileId, above: &[FileId], deep: bool) -> Vec<crate::lock::Token> {
    let now = Instant::now();
    let mut in_the_way = call.locks().covering(Some(id), above, now);
    if deep {
        in_the_way.extend(call.locks().beneath(&call.path(), now));
    }
    let touch = Touch { path: call.path(), id: Some(id), above: above.to_vec(), change: Change::Content };
    let mut harmless = Vec::new();
    for held in in_the_way {
        if held.uid != call.uid() && !guard::holder_may_write(call, &held, &touch).await {
            harmless.push(held.token);
        }
    }
    harmless
}

/// What a lock is to be put on.
struct Place {
    stat: Option<Stat>,
    above: Vec<FileId>,
}

impl Place {
    /// Looks, and asks the kernel whether the client may write: who may not write has nothing to lock.
    async fn find(call: &Call<'_>) -> Result<Self, Failure> {
        let (path, headers, slash) = (call.path(), Arc::clone(&call.headers), call.target.slash);
        call.run(move |as_client, root| {
            let of = |error: FsError| Failure::of(&error);
            let stat = match root.look(as_client, &path, Links::Follow) {
                Ok(node) => {
                    let stat = *node.stat();
                    if !stat.kind.is_served() {
                        return Err(Failure::FORBIDDEN);
                    }
                    if slash && !stat.is_directory() {
                        return Err(Failure::NOT_FOUND);
                    }
                    let access = if stat.is_directory() { Access::WriteAndSearch } else { Access::Write };
                    node.access(as_client, access).map_err(of)?;
                    Some(stat)
                }
                Err(error) if error.is(Errno::NOENT) && !slash => None,
                Err(error) => return Err(Failure::of_parent(&error)),
            };
            if let Some(status) = conditional::refusal(&headers, stat.as_ref(), Purpose::Change) {
                return Err(Failure::status(status));
            }
            let above = guard::all_above_path(as_client, root, &path).map_err(|error| Failure::of_parent(&error))?;
            Ok(Self { stat, above })
        })
        .await
    }
}

/// Makes the empty file that a lock on nothing stands on (RFC 4918 7.3).
async fn create(call: &Call<'_>) -> Result<FileId, Failure> {
    let path = call.path();
    call.run(move |as_client, root| {
        let of = |error: FsError| Failure::of(&error);
        let (directory, name) = root.parent(as_client, &path).map_err(|error| Failure::of_parent(&error))?;
        let temp = directory.create_temp(as_client, 0o666).map_err(of)?;
        temp.link_new(as_client, &directory, &name).map_err(|error| {
            temp.discard(as_client, &directory);
            of(error)
        })?;
        temp.stat(as_client).map(|stat| stat.id).map_err(of)
    })
    .await
}

async fn refresh(call: &Call<'_>) -> Result<Response<ReplyBody>, Failure> {
    let text = call.text("if")?.ok_or(Failure::BAD_REQUEST)?;
    let header = IfHeader::parse(text).map_err(|error| Failure::of_header(&error))?;
    guard::admit(call, &[]).await?;
    let timeout = condition::timeout(call.text("timeout")?, call.locks().terms().longest);
    let (id, above) = place_of_lock(call).await?;
    let now = Instant::now();
    let covers = |held: &Held<Caller>| held.id == id || held.deep && above.contains(&held.id);
    let refreshed = header
        .submitted_tokens()
        .find_map(|token| call.locks().refresh(token, call.uid(), covers, timeout, now).ok())
        .ok_or_else(|| Failure::precondition(StatusCode::PRECONDITION_FAILED, "lock-token-matches-request-uri"))?;
    Ok(answer::xml(StatusCode::OK, discovery(&refreshed, call.uid(), now)))
}

pub(super) async fn unlock(call: &Call<'_>) -> Result<Response<ReplyBody>, Failure> {
    let text = call.text(LOCK_TOKEN)?.ok_or(Failure::BAD_REQUEST)?;
    let token = condition::lock_token(text).map_err(|error| Failure::of_header(&error))?;
    let (id, above) = place_of_lock(call).await?;
    let covers = |held: &Held<Caller>| held.id == id || held.deep && above.contains(&held.id);
    // Somebody else's token is as unknown as one that never was.
    call.locks()
        .release(token, call.uid(), covers, Instant::now())
        .map_err(|_| Failure::precondition(StatusCode::CONFLICT, "lock-token-matches-request-uri"))?;
    Ok(answer::bare(StatusCode::NO_CONTENT))
}

async fn place_of_lock(call: &Call<'_>) -> Result<(FileId, Vec<FileId>), Failure> {
    let (path, inner, headers) = (call.path(), Arc::clone(call.inner), Arc::clone(&call.headers));
    call.run(move |as_client: &AsClient<'_>, root: &Root| {
        let of = |error: FsError| Failure::of(&error);
        let stat = *root.look(as_client, &path, Links::Follow).map_err(of)?.stat();
        if let Some(status) = conditional::refusal(&headers, Some(&stat), Purpose::Change) {
            return Err(Failure::status(status));
        }
        Ok((stat.id, guard::above_path(as_client, root, &path, &inner).map_err(of)?))
    })
    .await
}

fn discovery(held: &Held<Caller>, uid: u32, now: Instant) -> String {
    let mut out = format!("{}<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>", answer::DECLARATION);
    active_lock(held, uid, now, &mut out);
    out.push_str("</D:lockdiscovery></D:prop>\n");
    out
}
