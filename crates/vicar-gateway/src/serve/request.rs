//! One request: checks in order, sign-in, the share, and what the front adds to the reply.

use super::handler::{Answer, Handler};
use super::ticket::{Outgoing, Ticket};
use super::{Connection, Shared};
use crate::audit::Ended;
use crate::body::{self, ReplyBody};
use crate::limit::Metered;
use crate::origin::{HostRefusal, Scheme, is_changing, same_site};
use crate::signin::account::SignedIn;
use crate::signin::basic;
use crate::tls::Issuer;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::Poll;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Why the front answers by itself: a status and the word for the log.
struct Refused {
    status: StatusCode,
    reason: &'static str,
}

impl Refused {
    const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }
}

/// Answers one request.
pub(super) async fn serve<C: Send + Sync + 'static>(
    shared: Arc<Shared<C>>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let mut ticket = Ticket::new(
        Arc::clone(&shared.audit),
        Arc::clone(&connection.activity),
        shared.next_request_id(),
        connection.remote.clone(),
    );
    ticket.record.method = request.method().as_str().to_owned();
    ticket.record.path = percent_decode_str(request.uri().path())
        .decode_utf8()
        .map_or_else(|_| request.uri().path().to_owned(), |path| path.into_owned());
    ticket.declared = request.body().size_hint().exact();
    ticket.is_waiting = request.headers().contains_key(EXPECT);
    let method = request.method().clone();
    let person = match admit(&shared, &connection, request.method(), &request, &mut ticket).await {
        Ok(person) => person,
        Err(refused) => {
            let response = refusal(&refused);
            return finish(&shared, &connection, &method, response, ticket, Ended::Refused(refused.reason));
        }
    };
    let limits = &shared.limits;
    let request = request.map(|incoming| {
        Metered::new(incoming, Arc::clone(&ticket.meter), limits.body_bytes, limits.body_idle).boxed_unsync()
    });
    let answer = catch(shared.handler.as_ref(), person, request).await;
    let (mut response, ended) = match answer {
        Some(answer) => {
            ticket.record.op = answer.op;
            ticket.record.path = answer.path;
            ticket.record.destination = answer.destination;
            ticket.record.shown = answer.shown;
            // Whatever was answered to half an upload, nobody may be there to take it.
            (answer.response, if ticket.meter.is_cut() { Ended::Cut } else { Ended::Done })
        }
        None => (refusal(&Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "panic")), Ended::Refused("panic")),
    };
    if let Some(status) = ticket.meter.status() {
        response = refusal(&Refused::new(status, "body"));
        // The rest of the body is not waited for.
        ticket.declared = None;
    }
    finish(&shared, &connection, &method, response, ticket, ended)
}

/// The checks, in order: limits that protect the server, whose site this is, who it is.
async fn admit<C: Send + Sync + 'static>(
    shared: &Shared<C>,
    connection: &Connection,
    method: &Method,
    request: &Request<Incoming>,
    ticket: &mut Ticket,
) -> Result<Arc<SignedIn<C>>, Refused> {
    if connection.is_one_too_many {
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "connections-per-address"));
    }
    if head_bytes(request) > shared.limits.header_bytes {
        return Err(Refused::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large"));
    }
    if !shared.audit.may_serve() {
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "audit-log"));
    }
    let own = shared.names.judge(request.version(), request.uri(), request.headers(), connection.arrival).map_err(
        |refusal| match refusal {
            HostRefusal::Malformed => Refused::new(StatusCode::BAD_REQUEST, "malformed-host"),
            HostRefusal::NotOurs => Refused::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host"),
        },
    )?;
    if is_changing(method) && !same_site(request.headers(), &own, connection.arrival.scheme) {
        return Err(Refused::new(StatusCode::FORBIDDEN, "cross-site"));
    }
    if request.body().size_hint().lower() > shared.limits.body_bytes {
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "body-size"));
    }
    let credentials = basic::presented(request.headers())
        .map_err(|malformed| Refused::new(StatusCode::UNAUTHORIZED, malformed.reason()))?
        .ok_or(Refused::new(StatusCode::UNAUTHORIZED, "no-credentials"))?;
    ticket.record.user = Some(credentials.user().as_ref().to_owned());
    let person = shared
        .sign_in
        .sign_in(credentials, &connection.remote_host, connection.address)
        .await
        .map_err(|refusal| Refused::new(refusal.status, refusal.reason))?;
    ticket.record.user = Some(person.name.as_ref().to_owned());
    let place = shared.users.take(Arc::clone(&person.name));
    ticket.place = Some(place.ok_or(Refused::new(StatusCode::TOO_MANY_REQUESTS, "requests-per-user"))?);
    Ok(person)
}

/// The bytes of a request's head, as it was sent. hyper limits only what it has to wait for.
fn head_bytes(request: &Request<Incoming>) -> usize {
    // Spaces, version, colons and line ends.
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()));
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len().saturating_add(target).saturating_add(14);
    fields.fold(line, |sum, field| sum.saturating_add(field).saturating_add(4))
}

/// Lets the handler answer; `None` when it panics.
async fn catch<C: 'static>(
    handler: &dyn Handler<C>,
    person: Arc<SignedIn<C>>,
    request: Request<crate::body::RequestBody>,
) -> Option<Answer> {
    // The future is dropped after a panic, and what it shared with others is theirs to lock and check.
    let begun = std::panic::catch_unwind(AssertUnwindSafe(|| handler.answer(person, request)));
    let mut answering = begun.ok()?;
    core::future::poll_fn(|cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| Pin::as_mut(&mut answering).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
            Err(_panic) => Poll::Ready(None),
        }
    })
    .await
}

/// A reply of the front's own. It says the status and nothing about whose fault it was; the log does.
fn refusal(refused: &Refused) -> Response<ReplyBody> {
    let status = refused.status;
    let text = format!("{} {}\n", status.as_str(), status.canonical_reason().unwrap_or("Refused"));
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"vicar\", charset=\"UTF-8\""));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    if refused.reason == "connections-per-address" {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Adds what every reply carries and ties the ticket to its body.
fn finish<C>(
    shared: &Shared<C>,
    connection: &Connection,
    method: &Method,
    response: Response<ReplyBody>,
    mut ticket: Ticket,
    ended: Ended,
) -> Response<Outgoing> {
    let (mut parts, reply) = response.into_parts();
    ticket.record.status = Some(parts.status.as_u16());
    let id = HeaderValue::from_str(&ticket.record.request);
    let headers = &mut parts.headers;
    or_insert(headers, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    or_insert(headers, CACHE_CONTROL, HeaderValue::from_static("private"));
    or_insert(headers, REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    or_insert(headers, CORP, HeaderValue::from_static("same-origin"));
    if let Ok(id) = id {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    // A browser that was told to insist could not get past a self-signed certificate any more, on any port of this name.
    if connection.arrival.scheme == Scheme::Https && connection.issuer == Some(Issuer::Given) {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if shared.is_draining() || ticket.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let has_no_body = *method == Method::HEAD
        || parts.status.is_informational()
        || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let expected = if has_no_body { Some(0) } else { announced.or_else(|| reply.size_hint().exact()) };
    Response::from_parts(parts, Outgoing::new(reply, ticket, ended, expected))
}

fn or_insert(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}
