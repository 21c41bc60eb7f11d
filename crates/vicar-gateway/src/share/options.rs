//! OPTIONS: what this server can do.

use http::{HeaderValue, Response, StatusCode};

use super::answer;
use crate::body::ReplyBody;

pub(super) const ALLOW: &str = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK";

pub(super) fn serve() -> Response<ReplyBody> {
    let mut response = answer::bare(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(http::header::ALLOW, HeaderValue::from_static(ALLOW));
    headers.insert("dav", HeaderValue::from_static("1, 2, 3"));
    headers.insert("ms-author-via", HeaderValue::from_static("DAV"));
    headers.insert(http::header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}
