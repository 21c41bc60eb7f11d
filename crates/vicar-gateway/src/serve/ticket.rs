//! One request from its head to the end of its reply; leaves one line in the audit log, however it ends.

use super::activity::Activity;
use crate::audit::{AuditLog, Ended, Record};
use crate::body::{BodyError, ReplyBody};
use crate::limit::{Held, Meter};
use bytes::Bytes;
use core::pin::Pin;
use core::task::{Context, Poll};
use http_body::{Body, Frame, SizeHint};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Most bytes of an unread body that may still be under way when the reply is sent.
const READ_ON: u64 = 16 * 1024;

/// What is known of a request so far.
pub(super) struct Ticket {
    audit: Arc<AuditLog>,
    activity: Arc<Activity>,
    began: Instant,
    /// What the line will say; the end fills in the rest.
    pub(super) record: Record,
    /// The request's body.
    pub(super) meter: Arc<Meter>,
    /// How long that said it is; `None` when only its end says so.
    pub(super) declared: Option<u64>,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) is_waiting: bool,
    /// This user's share of the server.
    pub(super) place: Option<Held<Arc<str>>>,
}

impl Ticket {
    pub(super) fn new(audit: Arc<AuditLog>, activity: Arc<Activity>, request: String, remote: String) -> Self {
        activity.request_began();
        let record = Record {
            at: SystemTime::now(),
            request,
            remote,
            method: String::new(),
            op: "-",
            path: String::new(),
            destination: None,
            user: None,
            shown: None,
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            took: Duration::ZERO,
            // Until it is known better: a request that nobody ends was cut.
            ended: Ended::Cut,
        };
        Self {
            audit,
            activity,
            began: Instant::now(),
            record,
            meter: Arc::default(),
            declared: Some(0),
            is_waiting: false,
            place: None,
        }
    }
}

impl Ticket {
    /// Whether so much of the request's body was left unread that the connection cannot go on.
    ///
    /// What is left is read on as far as it has arrived; a client that was never told to send it, or that sends more
    /// than fits a buffer, is told that the connection ends.
    pub(super) fn ends_connection(&self) -> bool {
        let unread = match self.declared {
            Some(declared) => declared.saturating_sub(self.meter.bytes()),
            None if self.meter.is_whole() => 0,
            None => u64::MAX,
        };
        unread > READ_ON || (self.is_waiting && unread > 0 && self.meter.bytes() == 0)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.record.took = self.began.elapsed();
        self.record.bytes_in = self.meter.bytes();
        self.audit.write(&self.record);
        self.activity.request_ended();
    }
}

/// A reply's body on its way out, with the ticket of its request.
pub(super) struct Outgoing {
    inner: ReplyBody,
    ticket: Ticket,
    /// How the request ends when everything has left.
    ended: Ended,
    /// Bytes the reply announced; `None` when only its end says that it is whole.
    expected: Option<u64>,
}

impl Outgoing {
    /// Sends `inner`; `expected` bytes of it make the reply whole.
    pub(super) fn new(inner: ReplyBody, mut ticket: Ticket, ended: Ended, expected: Option<u64>) -> Self {
        if expected == Some(0) {
            ticket.record.ended = ended;
        }
        Self { inner, ticket, ended, expected }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let piece = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                let sent = this.ticket.record.bytes_out.saturating_add(piece);
                this.ticket.record.bytes_out = sent;
                if this.expected.is_some_and(|expected| sent >= expected) {
                    this.ticket.record.ended = this.ended;
                }
            }
            Poll::Ready(None) => this.ticket.record.ended = this.ended,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
