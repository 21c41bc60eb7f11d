//! Headers and bodies that several methods answer with.

use core::fmt::Write as _;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::body::{ReplyBody, empty, full};
use crate::dav::xml::escape_into;

pub(super) const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");
const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What every answer carries: nothing here runs in a browser, leaks to other sites or stays in shared caches.
pub(super) fn harden(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CORP, HeaderValue::from_static("same-origin"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
}

/// An answer without a body.
pub(super) fn bare(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    harden(response.headers_mut());
    response
}

/// An answer with an XML document.
pub(super) fn xml(status: StatusCode, document: String) -> Response<ReplyBody> {
    let mut response = Response::new(full(document));
    *response.status_mut() = status;
    harden(response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, XML);
    response
}

pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
pub(super) const MULTISTATUS_OPEN: &str =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n";
pub(super) const MULTISTATUS_CLOSE: &str = "</D:multistatus>\n";

/// The body that names a violated precondition (RFC 4918 8.7).
pub(super) fn error_body(element: &str, href: Option<&str>) -> String {
    let mut out = format!("{DECLARATION}<D:error xmlns:D=\"DAV:\"><D:{element}");
    match href {
        Some(href) => {
            out.push_str("><D:href>");
            escape_into(href, &mut out);
            let _ = write!(out, "</D:href></D:{element}>");
        }
        None => out.push_str("/>"),
    }
    out.push_str("</D:error>\n");
    out
}

/// The body that tells the fate of single members (RFC 4918 9.6.1).
pub(super) fn members_body(members: &[(String, StatusCode)]) -> String {
    let mut out = String::from(MULTISTATUS_OPEN);
    for (href, status) in members {
        out.push_str("<D:response><D:href>");
        escape_into(href, &mut out);
        out.push_str("</D:href>");
        status_line(*status, &mut out);
        out.push_str("</D:response>\n");
    }
    out.push_str(MULTISTATUS_CLOSE);
    out
}

pub(super) fn status_line(status: StatusCode, out: &mut String) {
    for part in
        ["<D:status>HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or_default(), "</D:status>"]
    {
        out.push_str(part);
    }
}
