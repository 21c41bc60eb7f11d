//! PUT: the body waits in a file without a name until it is whole, then it takes its place in one step.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use vicar_os::AsClient;
use vicar_os::fs::{BeneathPath, Directory, Errno, File, FsError, Links, Name, Node, Root, Stat, Temp};

use super::answer;
use super::conditional::{self, Purpose};
use super::failure::Failure;
use super::get::describe;
use super::guard::{self, Change, Touch};
use super::job::Jobs;
use super::request::Call;
use super::{Caller, Inner, RequestBody};
use crate::body::ReplyBody;

/// Bytes that are collected before they are written.
const CHUNK: usize = 1 << 20;
/// Pieces that are collected before they are written, however small they are: each costs more memory than it carries.
const PIECES: usize = 4096;

pub(super) async fn serve(call: &Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    if call.headers.contains_key(CONTENT_RANGE) {
        return Err(Failure::BAD_REQUEST);
    }
    if call.target.slash {
        return Err(Failure::NOT_ALLOWED);
    }
    let declared = call.text(CONTENT_LENGTH)?.map(str::parse::<u64>).transpose().map_err(|_| Failure::BAD_REQUEST)?;
    let (upload, touch) = prepare(call).await?;
    guard::admit(call, &[touch]).await?;
    let length = upload.receive(call, body).await?;
    if declared.is_some_and(|declared| declared != length) {
        return Err(Failure::BAD_REQUEST);
    }
    // The body may have taken an hour: whoever has locked the place since is in the way.
    if !call.locks().is_empty(Instant::now()) {
        let (path, inner) = (call.path(), Arc::clone(call.inner));
        let touch = call
            .run(move |as_client, root| Target::find(as_client, root, &path)?.touch(as_client, root, path, &inner))
            .await?;
        guard::admit(call, &[touch]).await?;
    }
    let (kept, inner) = (Arc::clone(&upload.kept), Arc::clone(call.inner));
    let path = call.path();
    let headers = Arc::clone(&call.headers);
    let done = call
        .run(move |as_client, root| {
            let target = Target::find(as_client, root, &path)?;
            // What is there may be another file than at first: its conditions and its permission count.
            if let Some(status) = conditional::refusal(&headers, target.stat(), Purpose::Change) {
                return Err(Failure::status(status));
            }
            kept.commit(as_client, &target, length, &inner)
        })
        .await?;
    if done.fate == Fate::InPlace {
        upload.keep();
    }
    let mut response = answer::bare(done.status);
    describe(response.headers_mut(), &done.stat);
    Ok(response)
}

/// Where a body goes: a name in a directory, and the file that is there and may be written.
struct Target {
    directory: Directory,
    name: Name,
    there: Option<There>,
}

struct There {
    node: Node,
    file: File,
    /// Whether the name is the file itself and not a link to it.
    by_own_name: bool,
}

impl Target {
    /// Opens what is there for writing, as the client: that is the permission.
    fn find(as_client: &AsClient<'_>, root: &Root, path: &BeneathPath) -> Result<Self, Failure> {
        let of = |error: FsError| Failure::of(&error);
        if path.is_here() {
            return Err(Failure::NOT_ALLOWED);
        }
        let (directory, name) = root.parent(as_client, path).map_err(|error| Failure::of_parent(&error))?;
        let there = match root.look(as_client, path, Links::Follow) {
            Ok(node) if node.stat().is_directory() => return Err(Failure::NOT_ALLOWED),
            Ok(node) => {
                let file = node.open_write(as_client).map_err(of)?;
                let own = directory.stat(as_client, &name).map_err(of)?;
                let by_own_name = own.id == node.stat().id;
                Some(There { node, file, by_own_name })
            }
            Err(error) if error.is(Errno::NOENT) => {
                // Nothing, or a link to nothing: making a file where a link points is not what was asked for.
                match directory.stat(as_client, &name) {
                    Ok(_) => return Err(Failure::CONFLICT),
                    Err(error) if error.is(Errno::NOENT) => None,
                    Err(error) => return Err(of(error)),
                }
            }
            Err(error) => return Err(of(error)),
        };
        Ok(Self { directory, name, there })
    }

    fn stat(&self) -> Option<&Stat> {
        self.there.as_ref().map(|there| there.file.stat())
    }

    fn touch(&self, as_client: &AsClient<'_>, root: &Root, path: BeneathPath, inner: &Inner) -> Result<Touch, Failure> {
        let above = guard::above(as_client, root, &self.directory, inner).map_err(|error| Failure::of(&error))?;
        let change = if self.there.is_some() { Change::Content } else { Change::Name };
        Ok(Touch { path, id: self.stat().map(|stat| stat.id), above, change })
    }
}

/// The file a body is kept in, and where it lies.
struct Kept {
    temp: Temp,
    beside: Directory,
    place: KeptPlace,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeptPlace {
    /// In the directory of the target: it can take its place.
    Beside,
    /// In the spool: its content can be copied.
    Spool,
}

struct Done {
    status: StatusCode,
    stat: Stat,
    fate: Fate,
}

/// What became of the file the body was kept in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is the file now.
    InPlace,
    /// Its content was copied, and it is to be removed.
    Copied,
}

impl Kept {
    fn create(as_client: &AsClient<'_>, target: Target, caller: &Caller, jobs: &Jobs) -> Result<Self, Failure> {
        let mode = if target.there.is_some() { 0o600 } else { 0o666 };
        match target.directory.create_temp(as_client, mode) {
            Ok(temp) => Ok(Self { temp, beside: target.directory, place: KeptPlace::Beside }),
            Err(error) if target.there.is_some() && error.errno().is_some_and(may_spool) => {
                let spool = jobs.spool(as_client, &caller.client).map_err(|error| Failure::of(&error))?;
                let beside = spool.directory(as_client, &BeneathPath::here()).map_err(|error| Failure::of(&error))?;
                let temp = beside.create_temp(as_client, 0o600).map_err(|error| Failure::of(&error))?;
                Ok(Self { temp, beside, place: KeptPlace::Spool })
            }
            Err(error) => Err(Failure::of(&error)),
        }
    }

    /// Puts the body where it belongs.
    fn commit(&self, as_client: &AsClient<'_>, target: &Target, length: u64, inner: &Inner) -> Result<Done, Failure> {
        let of = |error: FsError| Failure::of(&error);
        let Some(there) = &target.there else {
            if self.place == KeptPlace::Spool || self.beside.id() != target.directory.id() {
                // The file that could be written is gone, and a new one cannot be made here.
                return Err(Failure::CONFLICT);
            }
            self.temp.link_new(as_client, &target.directory, &target.name).map_err(of)?;
            let stat = self.temp.stat(as_client).map_err(of)?;
            return Ok(Done { status: StatusCode::CREATED, stat, fate: Fate::InPlace });
        };
        if self.may_take_place_of(as_client, target, there)
            && self.temp.take_looks(as_client, &there.node).is_ok()
            && self.temp.replace(as_client, &target.directory, &target.name).is_ok()
        {
            let stat = self.temp.stat(as_client).map_err(of)?;
            inner.locks.follow(there.node.stat().id, stat.id, Instant::now());
            return Ok(Done { status: StatusCode::NO_CONTENT, stat, fate: Fate::InPlace });
        }
        there.file.replace_content(as_client, &self.temp, length).map_err(of)?;
        let stat = there.file.stat_now(as_client).map_err(of)?;
        Ok(Done { status: StatusCode::NO_CONTENT, stat, fate: Fate::Copied })
    }

    /// Whether replacing the file keeps everything about it: it is the client's own, has one name, and that name is here.
    fn may_take_place_of(&self, as_client: &AsClient<'_>, target: &Target, there: &There) -> bool {
        let stat = there.file.stat();
        self.place == KeptPlace::Beside
            && self.beside.id() == target.directory.id()
            && there.by_own_name
            && stat.links == 1
            && stat.uid == as_client.shown().uid.raw()
    }
}

/// The client may write the file, and not make files beside it.
const fn may_spool(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::PERM | Errno::ROFS)
}

/// A body on its way. Dropped before it is kept, it is removed by the client whose it is.
struct Upload {
    kept: Arc<Kept>,
    jobs: Jobs,
    caller: Caller,
    finished: bool,
}

impl Upload {
    async fn receive(&self, call: &Call<'_>, mut body: RequestBody) -> Result<u64, Failure> {
        let mut written = 0_u64;
        let mut waiting: Vec<Bytes> = Vec::new();
        let mut waiting_bytes = 0_usize;
        loop {
            let frame = body.frame().await.transpose().map_err(|error| Failure::of_body(&error))?;
            let ended = frame.is_none();
            if let Some(data) = frame.and_then(|frame| frame.into_data().ok()) {
                waiting_bytes = waiting_bytes.saturating_add(data.len());
                waiting.push(data);
            }
            if waiting_bytes >= CHUNK || waiting.len() >= PIECES || (ended && waiting_bytes > 0) {
                let end = written.saturating_add(u64::try_from(waiting_bytes).unwrap_or(u64::MAX));
                if self.kept.place == KeptPlace::Spool && end > call.limits().spool_bytes {
                    return Err(Failure::NO_STORAGE);
                }
                let (kept, pieces, at) = (Arc::clone(&self.kept), core::mem::take(&mut waiting), written);
                call.run(move |as_client, _| write_all(as_client, &kept, at, &pieces)).await?;
                written = end;
                waiting_bytes = 0;
            }
            if ended {
                return Ok(written);
            }
        }
    }

    fn keep(mut self) {
        self.finished = true;
    }
}

fn write_all(as_client: &AsClient<'_>, kept: &Kept, offset: u64, pieces: &[Bytes]) -> Result<(), Failure> {
    let mut at = offset;
    for piece in pieces {
        kept.temp.write_at(as_client, at, piece).map_err(|error| Failure::of(&error))?;
        at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            let kept = Arc::clone(&self.kept);
            // Closing it frees what it holds, which takes its time: that too is done there.
            self.jobs.leave(&self.caller.client, move |as_client| kept.temp.discard(as_client, &kept.beside));
        }
    }
}

async fn prepare(call: &Call<'_>) -> Result<(Upload, Touch), Failure> {
    let (path, inner, headers) = (call.path(), Arc::clone(call.inner), Arc::clone(&call.headers));
    let caller = call.caller.clone();
    let (kept, touch) = call
        .run(move |as_client, root| {
            let target = Target::find(as_client, root, &path)?;
            if let Some(status) = conditional::refusal(&headers, target.stat(), Purpose::Change) {
                return Err(Failure::status(status));
            }
            let touch = target.touch(as_client, root, path, &inner)?;
            Ok((Kept::create(as_client, target, &caller, &inner.jobs)?, touch))
        })
        .await?;
    let upload =
        Upload { kept: Arc::new(kept), jobs: call.jobs().clone(), caller: call.caller.clone(), finished: false };
    Ok((upload, touch))
}
