//! GET and HEAD.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use vicar_os::fs::{Directory, File, FsError, Kind, Links, Stat};

use super::Caller;
use super::answer;
use super::conditional::{self, Part, Purpose, etag, http_date};
use super::failure::Failure;
use super::job::Jobs;
use super::listing::{Listing, Need, Rest};
use super::media::{ATTACHMENT, Media, Place};
use super::pull::{self, Source};
use super::request::Call;
use crate::body::{BodyError, ReplyBody, empty};
use crate::dav::href;
use crate::page;

/// Read together with opening the file: most files are not longer.
const FIRST: usize = 64 * 1024;
/// Read at a time after that.
const CHUNK: usize = 256 * 1024;

enum Found {
    File {
        file: File,
        part: Part,
        first: Bytes,
    },
    Directory(Listing),
    /// A directory whose URL lacks its slash.
    Slashless,
    /// The conditions stop it.
    Stopped(StatusCode, Stat),
}

pub(super) async fn serve(call: &Call<'_>) -> Result<Response<ReplyBody>, Failure> {
    let (path, slash, headers) = (call.path(), call.target.slash, Arc::clone(&call.headers));
    let (inner, uid) = (Arc::clone(call.inner), call.uid());
    let reads_content = call.op == "get";
    let found = call
        .run(move |as_client, root| {
            let of = |error: FsError| Failure::of(&error);
            let node = root.look(as_client, &path, Links::Follow).map_err(of)?;
            if node.stat().kind == Kind::Directory {
                if !slash {
                    return Ok(Found::Slashless);
                }
                let directory = Directory::of(node).map_err(of)?;
                return Listing::read(as_client, path, directory, &inner, uid).map(Found::Directory);
            }
            if slash {
                return Err(Failure::NOT_FOUND);
            }
            let file = node.open_read(as_client).map_err(of)?;
            let stat = *file.stat();
            if let Some(status) = conditional::refusal(&headers, Some(&stat), Purpose::Read) {
                return Ok(Found::Stopped(status, stat));
            }
            let part = if reads_content { conditional::part(&headers, &stat) } else { Part::Whole };
            let (offset, length) = extent(part, stat.size);
            let first = if reads_content && length > 0 {
                let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(FIRST);
                let bytes = file.read_at(as_client, offset, wanted).map_err(of)?;
                if bytes.len() < wanted {
                    return Err(Failure::status(StatusCode::SERVICE_UNAVAILABLE));
                }
                Bytes::from(bytes)
            } else {
                Bytes::new()
            };
            Ok(Found::File { file, part, first })
        })
        .await?;
    match found {
        Found::File { file, part, first } => Ok(file_answer(call, file, part, first, reads_content)),
        Found::Directory(listing) => Ok(page_answer(call, listing, reads_content)),
        Found::Slashless => {
            let mut response = answer::bare(StatusCode::MOVED_PERMANENTLY);
            let location = href::of(&call.path(), true);
            response.headers_mut().insert(LOCATION, header(&location));
            Ok(response)
        }
        Found::Stopped(status, stat) => {
            let mut response = answer::bare(status);
            describe(response.headers_mut(), &stat);
            Ok(response)
        }
    }
}

/// Offset and length of a part.
const fn extent(part: Part, size: u64) -> (u64, u64) {
    match part {
        Part::Whole => (0, size),
        Part::Range { first, last } => (first, last.saturating_sub(first).saturating_add(1)),
        Part::Unsatisfiable => (0, 0),
    }
}

fn header(text: &str) -> HeaderValue {
    // Everything we put into headers is ASCII without controls; if it were not, an empty header harms nobody.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

pub(super) fn describe(headers: &mut HeaderMap, stat: &Stat) {
    headers.insert(ETAG, header(&etag(stat)));
    headers.insert(LAST_MODIFIED, header(&http_date(stat.modified)));
}

fn file_answer(call: &Call<'_>, file: File, part: Part, first: Bytes, reads_content: bool) -> Response<ReplyBody> {
    let stat = *file.stat();
    let (offset, length) = extent(part, stat.size);
    let mut response = answer::bare(match part {
        Part::Whole => StatusCode::OK,
        Part::Range { .. } => StatusCode::PARTIAL_CONTENT,
        Part::Unsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
    });
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    match part {
        Part::Whole => {}
        Part::Range { first, last } => {
            headers.insert(CONTENT_RANGE, header(&format!("bytes {first}-{last}/{}", stat.size)));
        }
        Part::Unsatisfiable => {
            headers.insert(CONTENT_RANGE, header(&format!("bytes */{}", stat.size)));
            return response;
        }
    }
    describe(headers, &stat);
    let media = Media::of(call.target.path.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media.content_type));
    if media.place == Place::Saved {
        headers.insert(CONTENT_DISPOSITION, ATTACHMENT);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if reads_content {
        let sent = u64::try_from(first.len()).unwrap_or(u64::MAX);
        let rest = (sent < length).then(|| Content {
            jobs: call.jobs().clone(),
            caller: call.caller.clone(),
            file: Arc::new(file),
            at: offset.saturating_add(sent),
            end: offset.saturating_add(length),
        });
        *response.body_mut() = pull::body(first, rest, Some(length));
    }
    response
}

/// Reads on as the caller, when the client has taken what was read.
struct Content {
    jobs: Jobs,
    caller: Caller,
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Source for Content {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BodyError> {
        let left = self.end.saturating_sub(self.at);
        if left == 0 {
            return Ok(None);
        }
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        let (file, at) = (Arc::clone(&self.file), self.at);
        let read = self.jobs.run_plain(&self.caller.client, move |as_client| file.read_at(as_client, at, wanted)).await;
        let bytes = match read {
            Ok(Ok(bytes)) if bytes.len() == wanted => bytes,
            // The length was promised. What is not there any more is not made up: the connection is cut.
            Ok(Ok(_short)) => return Err(BodyError::Host { operation: "read a file that shrank", errno: 0 }),
            Ok(Err(error)) => {
                let errno = error.errno().map_or(0, vicar_os::fs::Errno::raw_os_error);
                return Err(BodyError::Host { operation: "read", errno });
            }
            Err(_) => return Err(BodyError::Host { operation: "read as the client", errno: 0 }),
        };
        self.at = self.at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(Some((Bytes::from(bytes), self)))
    }
}

fn page_answer(call: &Call<'_>, listing: Listing, reads_content: bool) -> Response<ReplyBody> {
    let mut response = answer::bare(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, header(page::policy()));
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if !reads_content {
        *response.body_mut() = empty();
        return response;
    }
    let reader = page::Reader { uid: call.uid(), name: call.caller.name.to_string() };
    let mut head = String::new();
    page::write_head(&listing.path, &reader, listing.entries.len(), &mut head);
    let write = move |as_client: &vicar_os::AsClient<'_>,
                      root: &vicar_os::fs::Root,
                      listing: &Listing,
                      entry: &vicar_os::fs::Entry,
                      out: &mut String| {
        if let Some(member) = listing.member(as_client, root, entry, Need::Stat) {
            page::write_row(&entry.name, &member.stat, &reader, out);
        }
    };
    let rest = Rest {
        jobs: call.jobs().clone(),
        caller: call.caller.clone(),
        seen: Arc::clone(&call.seen),
        listing: Arc::new(listing),
        write: Arc::new(write),
        at: 0,
        close: page::CLOSE,
    };
    *response.body_mut() = pull::body(Bytes::from(head), Some(rest), None);
    response
}
