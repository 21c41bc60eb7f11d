//! What a connection is doing, so that one that does nothing can be ended.

use crate::limit::Limits;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// No such moment.
const NEVER: u64 = u64::MAX;

/// Moments of one connection, in milliseconds since it began.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    serving: AtomicUsize,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    stalled_since: AtomicU64,
}

/// What a look at the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Fine,
    /// The head of a request takes too long.
    SlowHead,
    /// Nothing was asked for too long.
    Idle,
    /// The client does not take what it asked for.
    Stalled,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            serving: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(NEVER),
            stalled_since: AtomicU64::new(NEVER),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NEVER.saturating_sub(1))
    }

    /// A request's head is whole.
    pub(super) fn request_began(&self) {
        self.serving.fetch_add(1, Ordering::AcqRel);
        self.head_since.store(NEVER, Ordering::Release);
    }

    /// Its reply has left, or never will.
    pub(super) fn request_ended(&self) {
        self.idle_since.store(self.now(), Ordering::Release);
        self.head_since.store(NEVER, Ordering::Release);
        self.serving.fetch_sub(1, Ordering::AcqRel);
    }

    fn bytes_read(&self) {
        if self.serving.load(Ordering::Acquire) == 0 {
            // Only the first byte of a head starts its clock.
            let _ = self.head_since.compare_exchange(NEVER, self.now(), Ordering::AcqRel, Ordering::Acquire);
        }
    }

    fn wrote(&self, blocked: bool) {
        if blocked {
            let _ = self.stalled_since.compare_exchange(NEVER, self.now(), Ordering::AcqRel, Ordering::Acquire);
        } else {
            self.stalled_since.store(NEVER, Ordering::Release);
        }
    }

    /// Whether a limit is passed, and when to look again.
    pub(super) fn judge(&self, limits: &Limits) -> (Verdict, Duration) {
        let now = self.now();
        let passed =
            |since: u64, limit: Duration| since != NEVER && u128::from(now.saturating_sub(since)) >= limit.as_millis();
        let is_serving = self.serving.load(Ordering::Acquire) > 0;
        let verdict = if passed(self.stalled_since.load(Ordering::Acquire), limits.body_idle) {
            Verdict::Stalled
        } else if is_serving {
            Verdict::Fine
        } else if passed(self.head_since.load(Ordering::Acquire), limits.header_time) {
            Verdict::SlowHead
        } else if passed(self.idle_since.load(Ordering::Acquire), limits.idle) {
            Verdict::Idle
        } else {
            Verdict::Fine
        };
        // A quarter of the shortest limit: nobody gets more than that on top.
        let shortest = limits.header_time.min(limits.body_idle).min(limits.idle);
        (verdict, shortest.checked_div(4).unwrap_or(shortest).max(Duration::from_millis(10)))
    }
}

/// A connection's stream under watch.
#[derive(Debug)]
pub(super) struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) && buffer.filled().len() > before {
            this.activity.bytes_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.activity.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_flush(cx);
        this.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        header_time: Duration::from_secs(4),
        body_idle: Duration::from_secs(6),
        idle: Duration::from_secs(8),
        ..Limits::USUAL
    };

    async fn after(seconds: u64, activity: &Activity) -> Verdict {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        activity.judge(&LIMITS).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_ended_for_silence_slow_heads_and_unread_replies_only() {
        let activity = Activity::new();
        assert_eq!(after(7, &activity).await, Verdict::Fine);
        assert_eq!(after(1, &activity).await, Verdict::Idle);
        activity.bytes_read();
        activity.request_began();
        activity.bytes_read();
        assert_eq!(after(100, &activity).await, Verdict::Fine);
        activity.wrote(true);
        assert_eq!(after(5, &activity).await, Verdict::Fine);
        activity.wrote(true);
        assert_eq!(after(1, &activity).await, Verdict::Stalled);
        activity.wrote(false);
        activity.request_ended();
        assert_eq!(after(5, &activity).await, Verdict::Fine);
        activity.bytes_read();
        assert_eq!(after(2, &activity).await, Verdict::Fine);
        activity.bytes_read();
        assert_eq!(after(2, &activity).await, Verdict::SlowHead);
    }
}
