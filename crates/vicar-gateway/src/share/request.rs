//! One request on its way.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt as _;
use vicar_os::AsClient;
use vicar_os::fs::{BeneathPath, Root};

use super::failure::Failure;
use super::job::{Jobs, Seen};
use super::{Caller, Facts, FaultPoint, Inner, RequestBody, ShareLimits};
use crate::dav::condition::Depth;
use crate::dav::href::{self, Target};
use crate::dav::xml::DOCUMENT_LIMIT;
use crate::lock::LockTable;

/// A request whose path was read, and what is needed to do it.
pub(super) struct Call<'a> {
    pub(super) inner: &'a Arc<Inner>,
    pub(super) caller: &'a Caller,
    pub(super) op: &'static str,
    pub(super) headers: Arc<HeaderMap>,
    pub(super) target: Target,
    pub(super) seen: Seen,
    host: Option<String>,
    destination: Option<BeneathPath>,
}

impl<'a> Call<'a> {
    pub(super) fn read(
        inner: &'a Arc<Inner>,
        caller: &'a Caller,
        op: &'static str,
        head: Parts,
    ) -> Result<Self, Box<(Facts, Failure)>> {
        let raw_path = head.uri.path();
        // `OPTIONS *` asks about the server as a whole.
        let target = if op == "options" && raw_path == "*" { href::parse("/") } else { href::parse(raw_path) };
        let target = target.map_err(|error| {
            let facts = Facts { op, path: raw_path.to_owned(), destination: None, shown: None };
            Box::new((facts, Failure::of_href(&error)))
        })?;
        let host = head
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .or_else(|| head.headers.get(HOST).and_then(|value| value.to_str().ok()).map(str::to_owned));
        Ok(Self {
            inner,
            caller,
            op,
            headers: Arc::new(head.headers),
            target,
            seen: Arc::new(OnceLock::new()),
            host,
            destination: None,
        })
    }

    pub(super) fn into_facts(self) -> Facts {
        Facts {
            op: self.op,
            path: for_people(&self.target.path),
            destination: self.destination.as_ref().map(for_people),
            shown: self.seen.get().copied(),
        }
    }

    pub(super) fn jobs(&self) -> &'a Jobs {
        &self.inner.jobs
    }

    pub(super) fn locks(&self) -> &'a LockTable<Caller> {
        &self.inner.locks
    }

    pub(super) fn limits(&self) -> ShareLimits {
        self.inner.options.limits
    }

    pub(super) fn path(&self) -> BeneathPath {
        self.target.path.clone()
    }

    pub(super) fn uid(&self) -> u32 {
        self.caller.client.identity().uid().raw()
    }

    /// Runs `work` as the caller beneath the share.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&AsClient<'_>, &Root) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        self.inner.jobs.run(&self.caller.client, &self.seen, work).await
    }

    /// Returns a header as text; one that is sent twice or is not ASCII is a bad request.
    pub(super) fn text(&self, name: impl http::header::AsHeaderName) -> Result<Option<&str>, Failure> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| Failure::BAD_REQUEST),
            (Some(_), Some(_)) => Err(Failure::BAD_REQUEST),
        }
    }

    pub(super) fn depth(&self) -> Result<Option<Depth>, Failure> {
        self.text("depth")?.map(Depth::parse).transpose().map_err(|error| Failure::of_header(&error))
    }

    /// Reads where a copy or a move goes; another server is not reached from here.
    pub(super) fn read_destination(&mut self) -> Result<Target, Failure> {
        const DESTINATION: HeaderName = HeaderName::from_static("destination");
        let text = self.text(DESTINATION)?.ok_or(Failure::BAD_REQUEST)?;
        let target = self.local_target(text)?;
        self.destination = Some(target.path.clone());
        Ok(target)
    }

    /// Reads a URL that must be one of ours: an absolute path, or one with our own host.
    pub(super) fn local_target(&self, text: &str) -> Result<Target, Failure> {
        let uri: Uri = text.parse().map_err(|_| Failure::BAD_REQUEST)?;
        if let Some(authority) = uri.authority() {
            let ours = self.host.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str()));
            if !ours {
                return Err(Failure::status(StatusCode::BAD_GATEWAY));
            }
        }
        if text.contains('#') || uri.query().is_some() {
            return Err(Failure::BAD_REQUEST);
        }
        href::parse(uri.path()).map_err(|error| Failure::of_href(&error))
    }

    /// Lets the request fail where a test wants it to.
    pub(super) async fn inject_fault(&self) -> Result<(), Failure> {
        let Some(fault) = &self.inner.options.fault else { return Ok(()) };
        match (fault.0)(&self.headers) {
            None => Ok(()),
            Some(FaultPoint::AsClient) => self.run(|_, _| -> Result<(), Failure> { fail() }).await,
            Some(FaultPoint::Handler) => fail(),
        }
    }
}

fn fail() -> ! {
    std::panic::resume_unwind(Box::new("a fault that a test asked for"))
}

/// Reads a body that must be small.
pub(super) async fn small_body(mut body: RequestBody) -> Result<Bytes, Failure> {
    let mut whole: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::of_body(&error))?;
        if let Some(data) = frame.data_ref() {
            if whole.len().saturating_add(data.len()) > DOCUMENT_LIMIT {
                return Err(Failure::status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            whole.extend_from_slice(data);
        }
    }
    Ok(whole.into())
}

/// Refuses a body where none is understood.
pub(super) async fn no_body(body: RequestBody) -> Result<(), Failure> {
    let bytes = small_body(body).await.map_err(|failure| {
        if failure.status == StatusCode::PAYLOAD_TOO_LARGE {
            Failure::status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        } else {
            failure
        }
    })?;
    if bytes.is_empty() { Ok(()) } else { Err(Failure::status(StatusCode::UNSUPPORTED_MEDIA_TYPE)) }
}

/// Writes a path for a log: UTF-8 as it is, other bytes as `\xff`.
pub(super) fn for_people(path: &BeneathPath) -> String {
    use core::fmt::Write as _;
    let mut out = String::from("/");
    for chunk in path.as_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}
