//! Why a request was not done, as the one status the client is told.

use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use vicar_os::RunError;
use vicar_os::fs::{BeneathPath, Errno, FsError};

use super::answer;
use crate::body::{BodyError, ReplyBody, empty, full};
use crate::dav::condition::HeaderError;
use crate::dav::href::{self, HrefError};
use crate::dav::xml::XmlError;

/// A refusal: a status, and at most the one element WebDAV has for the reason.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    reason: Option<Reason>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone, Debug)]
enum Reason {
    /// An element of WebDAV, with the URL it speaks of.
    Precondition(&'static str, Option<String>),
    /// What happened to the members, as (path, status).
    Members(Vec<(String, StatusCode)>),
}

impl Failure {
    pub(super) const fn status(status: StatusCode) -> Self {
        Self { status, reason: None, headers: Vec::new() }
    }

    pub(super) const BAD_REQUEST: Self = Self::status(StatusCode::BAD_REQUEST);
    pub(super) const FORBIDDEN: Self = Self::status(StatusCode::FORBIDDEN);
    pub(super) const CONFLICT: Self = Self::status(StatusCode::CONFLICT);
    pub(super) const NOT_FOUND: Self = Self::status(StatusCode::NOT_FOUND);
    pub(super) const NOT_ALLOWED: Self = Self::status(StatusCode::METHOD_NOT_ALLOWED);
    pub(super) const PRECONDITION: Self = Self::status(StatusCode::PRECONDITION_FAILED);
    pub(super) const NO_STORAGE: Self = Self::status(StatusCode::INSUFFICIENT_STORAGE);

    /// A refusal with the element that names its precondition (RFC 4918 16).
    pub(super) const fn precondition(status: StatusCode, element: &'static str) -> Self {
        Self { status, reason: Some(Reason::Precondition(element, None)), headers: Vec::new() }
    }

    /// The client has as much under way as one may have.
    pub(super) fn too_many() -> Self {
        Self::status(StatusCode::TOO_MANY_REQUESTS).with_header(RETRY_AFTER, "1")
    }

    /// Something is locked and the token was not handed in.
    pub(super) fn locked(path: &BeneathPath) -> Self {
        let href = href::of(path, false);
        Self {
            status: StatusCode::LOCKED,
            reason: Some(Reason::Precondition("lock-token-submitted", Some(href))),
            headers: Vec::new(),
        }
    }

    /// A lock is in the way of a lock.
    pub(super) fn conflicting_lock(path: &BeneathPath) -> Self {
        let href = href::of(path, false);
        Self {
            status: StatusCode::LOCKED,
            reason: Some(Reason::Precondition("no-conflicting-lock", Some(href))),
            headers: Vec::new(),
        }
    }

    /// Part of it was done, and these members were not.
    pub(super) const fn members(members: Vec<(String, StatusCode)>) -> Self {
        Self { status: StatusCode::MULTI_STATUS, reason: Some(Reason::Members(members)), headers: Vec::new() }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The status for a file operation that the kernel or we refused.
    pub(super) fn of(error: &FsError) -> Self {
        Self::status(status_of(error))
    }

    /// As [`of`](Self::of), where a missing or wrong thing on the way is a conflict: something is to be made there.
    pub(super) fn of_parent(error: &FsError) -> Self {
        let failure = Self::of(error);
        if failure.status == StatusCode::NOT_FOUND { Self::CONFLICT } else { failure }
    }

    pub(super) fn of_body(error: &BodyError) -> Self {
        Self::status(match error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Idle { .. } => StatusCode::REQUEST_TIMEOUT,
            BodyError::Cut => StatusCode::BAD_REQUEST,
            BodyError::Host { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        })
    }

    pub(super) const fn of_run(error: &RunError) -> Self {
        Self::status(match error {
            RunError::Busy | RunError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            RunError::Panicked | RunError::Enter(_) => StatusCode::INTERNAL_SERVER_ERROR,
            // The enum may grow: what we do not know is no success.
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        })
    }

    pub(super) const fn of_xml(error: &XmlError) -> Self {
        Self::status(match error {
            XmlError::Limit { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            XmlError::Malformed { .. } | XmlError::Forbidden { .. } => StatusCode::BAD_REQUEST,
        })
    }

    pub(super) const fn of_header(_: &HeaderError) -> Self {
        Self::BAD_REQUEST
    }

    pub(super) const fn of_href(error: &HrefError) -> Self {
        use vicar_os::fs::NameError;
        Self::status(match error {
            HrefError::Name(NameError::LongPath | NameError::LongComponent { .. }) => StatusCode::URI_TOO_LONG,
            HrefError::Name(_) | HrefError::Relative | HrefError::Escape { .. } => StatusCode::BAD_REQUEST,
        })
    }

    pub(super) fn into_response(self) -> Response<ReplyBody> {
        let mut response = match self.reason {
            None => Response::new(empty()),
            Some(Reason::Precondition(element, href)) => xml(answer::error_body(element, href.as_deref())),
            Some(Reason::Members(members)) => xml(answer::members_body(&members)),
        };
        *response.status_mut() = self.status;
        answer::harden(response.headers_mut());
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn xml(body: String) -> Response<ReplyBody> {
    let mut response = Response::new(full(body));
    response.headers_mut().insert(CONTENT_TYPE, answer::XML);
    response
}

/// One status for every error, and no detail: the rest is for the log of the machine's owner.
pub(super) fn status_of(error: &FsError) -> StatusCode {
    match error {
        FsError::Os { errno, .. } => of_errno(*errno),
        FsError::NotServed { .. } | FsError::KernelFileSystem { .. } => StatusCode::FORBIDDEN,
        FsError::TooMany { .. } | FsError::TooDeep { .. } => StatusCode::INSUFFICIENT_STORAGE,
        FsError::Name(_) => StatusCode::BAD_REQUEST,
        FsError::Changed => StatusCode::CONFLICT,
        FsError::Vetoed => StatusCode::LOCKED,
        FsError::CannotBeDoneTwice { .. } | FsError::MayNotWrite => StatusCode::FORBIDDEN,
        FsError::ForeignRoot | FsError::Switch(_) => StatusCode::INTERNAL_SERVER_ERROR,
        // The enum may grow: what we do not know is no success.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn of_errno(errno: Errno) -> StatusCode {
    match errno {
        // XDEV and LOOP: a link or a name that leads out of the share, or into procfs.
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => {
            StatusCode::FORBIDDEN
        }
        Errno::NOENT | Errno::NOTDIR => StatusCode::NOT_FOUND,
        Errno::ISDIR => StatusCode::METHOD_NOT_ALLOWED,
        Errno::EXIST | Errno::NOTEMPTY | Errno::BUSY | Errno::TXTBSY | Errno::STALE => StatusCode::CONFLICT,
        Errno::NAMETOOLONG => StatusCode::URI_TOO_LONG,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::MLINK => StatusCode::INSUFFICIENT_STORAGE,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::NOBUFS => StatusCode::SERVICE_UNAVAILABLE,
        Errno::INVAL | Errno::ILSEQ | Errno::OPNOTSUPP => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_has_the_status_that_was_promised() {
        let status = |errno| status_of(&FsError::Os { operation: "x", errno }).as_u16();
        for (errno, wanted) in [
            (Errno::ACCESS, 403),
            (Errno::PERM, 403),
            (Errno::ROFS, 403),
            (Errno::XDEV, 403),
            (Errno::LOOP, 403),
            (Errno::NOENT, 404),
            (Errno::NOTDIR, 404),
            (Errno::NAMETOOLONG, 414),
            (Errno::NOSPC, 507),
            (Errno::DQUOT, 507),
            (Errno::FBIG, 507),
            (Errno::MFILE, 503),
            (Errno::NFILE, 503),
            (Errno::IO, 500),
        ] {
            assert_eq!(status(errno), wanted, "{errno:?}");
        }
    }
}
