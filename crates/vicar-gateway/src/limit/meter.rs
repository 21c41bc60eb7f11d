//! A request's body, counted, bounded and watched.

use crate::body::BodyError;
use bytes::{Buf as _, Bytes};
use core::pin::Pin;
use core::task::{Context, Poll};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Sleep;

const WHOLE: u8 = 0;
const TOO_LARGE: u8 = 1;
const IDLE: u8 = 2;
const CUT: u8 = 3;

/// What arrived of one request's body; shared between the body and whoever answers.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    failed: AtomicU8,
    ended: AtomicBool,
}

impl Meter {
    /// Bytes that arrived so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the body was read to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether the body ended before it was whole: the connection went, or the framing was broken.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.failed.load(Ordering::Acquire) == CUT
    }

    /// The status of a body that broke a limit while it was read: 413 or 408; whatever the share made of it.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.failed.load(Ordering::Acquire) {
            TOO_LARGE => Some(StatusCode::PAYLOAD_TOO_LARGE),
            IDLE => Some(StatusCode::REQUEST_TIMEOUT),
            _ => None,
        }
    }
}

/// A body behind a meter.
pub(crate) struct Metered<B> {
    inner: B,
    meter: Arc<Meter>,
    limit: u64,
    idle: Duration,
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl<B> Metered<B> {
    pub(crate) fn new(inner: B, meter: Arc<Meter>, limit: u64, idle: Duration) -> Self {
        Self { inner, meter, limit, idle, timer: Mutex::new(None) }
    }

    fn fail(&self, kind: u8, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.meter.failed.store(kind, Ordering::Release);
        Poll::Ready(Some(Err(error)))
    }

    /// Waits for the idle limit; armed by the first poll that finds nothing, disarmed by the next piece.
    fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        let sleep = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.idle)));
        sleep.as_mut().poll(cx)
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.meter.failed.load(Ordering::Acquire) != WHOLE {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        loop {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Pending => {
                    return match this.poll_idle(cx) {
                        Poll::Ready(()) => this.fail(IDLE, BodyError::Idle { after: this.idle }),
                        Poll::Pending => Poll::Pending,
                    };
                }
                Poll::Ready(None) => {
                    this.meter.ended.store(true, Ordering::Release);
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(_framing))) => return this.fail(CUT, BodyError::Cut),
                Poll::Ready(Some(Ok(frame))) => {
                    *this.timer.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
                    // Trailers carry nothing that a share knows.
                    let Ok(data) = frame.into_data() else { continue };
                    let piece = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
                    let before = this.meter.bytes.fetch_add(piece, Ordering::Relaxed);
                    if before.saturating_add(piece) > this.limit {
                        return this.fail(TOO_LARGE, BodyError::TooLarge { limit: this.limit });
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Full};
    use tokio::sync::mpsc;

    struct Pieces(mpsc::Receiver<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_handed_on_and_one_above_it_is_not() {
        for (limit, expected) in [(5, Ok(5)), (4, Err(BodyError::TooLarge { limit: 4 }))] {
            let meter = Arc::new(Meter::default());
            let body = Metered::new(Full::new(Bytes::from("12345")), Arc::clone(&meter), limit, Duration::from_secs(1));
            let whole = body.collect().await.map(|body| body.to_bytes().len());
            assert_eq!(whole, expected);
            assert_eq!(meter.bytes(), 5);
            assert_eq!(meter.status(), whole.is_err().then_some(StatusCode::PAYLOAD_TOO_LARGE));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_sending_is_given_up() {
        let (sender, body) = mpsc::channel(1);
        let meter = Arc::new(Meter::default());
        let mut body = Metered::new(Pieces(body), Arc::clone(&meter), 100, Duration::from_secs(30));
        let sending = tokio::spawn(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(29)).await;
                sender.send(Bytes::from("x")).await.unwrap();
            }
            sender
        });
        for _ in 0..3 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        let _sender = sending.await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::Idle { after: Duration::from_secs(30) });
        assert_eq!(meter.status(), Some(StatusCode::REQUEST_TIMEOUT));
        assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyError::Cut);
    }
}
