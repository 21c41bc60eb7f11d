//! The one answer of a job, as a future of no particular runtime and for blocking callers.

use super::RunError;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Resolves to what the job returned. The job runs to its end even when this is dropped.
#[must_use = "the job runs, but nobody looks at its result"]
pub struct Answer<R> {
    cell: Arc<Cell<R>>,
}

struct Cell<R> {
    state: Mutex<State<R>>,
    ready: Condvar,
}

enum State<R> {
    Waiting(Option<Waker>),
    Ready(Result<R, RunError>),
    Taken,
}

/// The other half: whoever holds it owes an answer, and dropping it is one.
pub(crate) struct Promise<R> {
    cell: Option<Arc<Cell<R>>>,
}

pub(crate) fn pair<R>() -> (Promise<R>, Answer<R>) {
    let cell = Arc::new(Cell { state: Mutex::new(State::Waiting(None)), ready: Condvar::new() });
    (Promise { cell: Some(Arc::clone(&cell)) }, Answer { cell })
}

impl<R> Promise<R> {
    pub(crate) fn keep(mut self, result: Result<R, RunError>) {
        if let Some(cell) = self.cell.take() {
            cell.set(result);
        }
    }
}

impl<R> Drop for Promise<R> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            cell.set(Err(RunError::Closed));
        }
    }
}

impl<R> Cell<R> {
    fn set(&self, result: Result<R, RunError>) {
        let before = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            core::mem::replace(&mut *state, State::Ready(result))
        };
        self.ready.notify_all();
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<R> Answer<R> {
    /// Blocks the calling thread until the job has ended.
    ///
    /// # Errors
    /// - [`RunError`] when the job did not run, or panicked.
    pub fn wait(self) -> Result<R, RunError> {
        let mut state = self.cell.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match core::mem::replace(&mut *state, State::Taken) {
                State::Ready(result) => return result,
                State::Taken => return Err(RunError::Closed),
                waiting @ State::Waiting(_) => {
                    *state = waiting;
                    state = self.cell.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl<R> Future for Answer<R> {
    type Output = Result<R, RunError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.cell.state.lock().unwrap_or_else(PoisonError::into_inner);
        match core::mem::replace(&mut *state, State::Taken) {
            State::Ready(result) => Poll::Ready(result),
            State::Taken => Poll::Ready(Err(RunError::Closed)),
            State::Waiting(_) => {
                *state = State::Waiting(Some(context.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
