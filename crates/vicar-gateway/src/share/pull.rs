//! Bodies that are made while they are sent, one piece when the last one is gone.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::body::{BodyError, ReplyBody};

/// Makes the pieces of a body.
pub(super) trait Source: Send + Sized + 'static {
    /// Makes the next piece; `None` at the end.
    fn next(self) -> impl Future<Output = Result<Option<(Bytes, Self)>, BodyError>> + Send;
}

type Step<S> = Pin<Box<dyn Future<Output = Result<Option<(Bytes, S)>, BodyError>> + Send>>;

enum State<S> {
    Resting(S),
    Making(Step<S>),
    Over,
}

struct Pulled<S> {
    first: Option<Bytes>,
    state: State<S>,
    left: Option<u64>,
}

/// Makes a body of a first piece and what a source makes; `length` when it is known.
pub(super) fn body<S: Source>(first: Bytes, source: Option<S>, length: Option<u64>) -> ReplyBody {
    let state = source.map_or(State::Over, State::Resting);
    Pulled { first: Some(first).filter(|first| !first.is_empty()), state, left: length }.boxed_unsync()
}

// Nothing inside is pinned in place: the step is in a box.
impl<S> Unpin for Pulled<S> {}

impl<S> Pulled<S> {
    fn count(&mut self, piece: &Bytes) {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(length));
    }
}

impl<S: Source> Body for Pulled<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(first) = self.first.take() {
            self.count(&first);
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            match core::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Resting(source) => self.state = State::Making(Box::pin(source.next())),
                State::Making(mut step) => match step.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = State::Making(step);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(None)) => return Poll::Ready(None),
                    Poll::Ready(Ok(Some((piece, source)))) => {
                        self.state = State::Resting(source);
                        if !piece.is_empty() {
                            self.count(&piece);
                            return Poll::Ready(Some(Ok(Frame::data(piece))));
                        }
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && (matches!(self.state, State::Over) || self.left == Some(0))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
