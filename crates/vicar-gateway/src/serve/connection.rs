//! One connection: TLS, HTTP/1.1, the clock, and how it ends.

use super::activity::{Activity, Verdict, Watched};
use super::{Connection, Phase, Shared, request};
use crate::audit::{Ended, Record};
use crate::body::BodyError;
use core::pin::Pin;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

/// How long a closing connection is read on, so that the client gets the last reply before the reset.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes that are read then.
const LINGER_BYTES: usize = 1024 * 1024;

/// How a connection's last request ended, if it never became one.
enum Last {
    /// Nothing to say.
    Quiet,
    /// A head that was no HTTP or too large; hyper has answered.
    Answered(u16, &'static str),
    /// The head took too long.
    SlowHead,
}

/// Serves one connection until it ends, is idle, or the server does.
pub(super) async fn drive<C, S>(
    stream: S,
    shared: Arc<Shared<C>>,
    connection: Arc<Connection>,
    mut phase: watch::Receiver<Phase>,
) where
    C: Send + Sync + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::clone(&connection.activity);
    let service = service_fn(|incoming| {
        let serving = request::serve(Arc::clone(&shared), Arc::clone(&connection), incoming);
        Box::pin(async move { Ok::<_, BodyError>(serving.await) })
    });
    let limits = &shared.limits;
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        // One clock of ours tells a slow head from a connection that rests.
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes)
        .max_headers(limits.header_fields)
        .serve_connection(stream, service);
    if *phase.borrow_and_update() != Phase::Running {
        Pin::new(&mut http).graceful_shutdown();
    }
    let last = loop {
        let (verdict, look_again) = activity.judge(limits);
        match verdict {
            Verdict::Fine => {}
            Verdict::SlowHead => break Last::SlowHead,
            Verdict::Idle | Verdict::Stalled => return,
        }
        tokio::select! {
            result = core::future::poll_fn(|cx| http.poll_without_shutdown(cx)) => break match result {
                Err(error) if error.is_parse_too_large() => Last::Answered(431, "head-too-large"),
                Err(error) if error.is_parse() => Last::Answered(400, "malformed-request"),
                Ok(()) | Err(_) => Last::Quiet,
            },
            changed = phase.changed() => match (*phase.borrow_and_update(), changed) {
                (Phase::Running, Ok(())) => {}
                (Phase::Draining, Ok(())) => Pin::new(&mut http).graceful_shutdown(),
                (Phase::Ended, _) | (_, Err(_)) => return,
            },
            () = tokio::time::sleep(look_again) => {}
        }
    };
    let mut stream = http.into_parts().io.into_inner();
    match last {
        Last::Quiet => {}
        Last::Answered(status, reason) => shared.audit.write(&unread(&shared, &connection, status, reason)),
        Last::SlowHead => {
            shared.audit.write(&unread(&shared, &connection, 408, "head-too-slow"));
            let reply = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = tokio::time::timeout(LINGER, stream.write_all(reply)).await;
        }
    }
    let _ = tokio::time::timeout(LINGER, linger(&mut stream)).await;
}

/// Says that nothing more comes and reads what is still under way.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut buffer = [0_u8; 4_096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}

/// The line of a request whose head was never whole.
fn unread<C>(shared: &Shared<C>, connection: &Connection, status: u16, reason: &'static str) -> Record {
    Record {
        at: SystemTime::now(),
        request: shared.next_request_id(),
        remote: connection.remote.clone(),
        method: "-".to_owned(),
        op: "-",
        path: String::new(),
        destination: None,
        user: None,
        shown: None,
        status: Some(status),
        bytes_in: 0,
        bytes_out: 0,
        took: Duration::ZERO,
        ended: Ended::Refused(reason),
    }
}

impl Connection {
    /// A fresh clock.
    pub(super) fn clock() -> Arc<Activity> {
        Activity::new()
    }
}
