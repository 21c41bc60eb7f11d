//! The server's end of the line to one client's helper: a question, an answer, and a limit for both.

use super::wire::{self, MAX_MESSAGE_LEN, Reply, Request};
use crate::packet::{self, Received};
use crate::supervisor::{Operation, Unavailable, timespec};
use core::fmt;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One helper, as the server knows it. When it is dropped, the helper is killed.
pub(super) struct Line {
    socket: OwnedFd,
    limit: Duration,
    /// Whether an answer may still come that nobody waits for any more, or none ever will.
    is_over: Mutex<bool>,
}

impl Line {
    pub(super) const fn new(socket: OwnedFd, limit: Duration) -> Self {
        Self { socket, limit, is_over: Mutex::new(false) }
    }

    /// Asks and waits for the answer. Others who ask wait for their turn.
    ///
    /// # Errors
    /// - [`Unavailable`]; the helper is of no use any more.
    pub(super) fn call(&self, request: &Request<'_>) -> Result<Reply, Unavailable> {
        let mut is_over = self.lock();
        if *is_over {
            return Err(Unavailable::Crashed);
        }
        let answered = self.ask(request);
        if answered.is_err() {
            *is_over = true;
            // An error means that the other end is gone already.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        }
        answered
    }

    /// Says something that has no answer.
    pub(super) fn tell(&self, request: &Request<'_>) {
        let is_over = self.lock();
        if !*is_over {
            // Whoever does not hear it keeps a little memory until the line is closed.
            let _ = packet::send(self.socket.as_fd(), &wire::encode_request(request), &[], SendFlags::DONTWAIT);
        }
    }

    fn ask(&self, request: &Request<'_>) -> Result<Reply, Unavailable> {
        let failed = |operation| move |errno: Errno| Unavailable::Failed { operation, errno: errno.raw_os_error() };
        let bytes = wire::encode_request(request);
        match packet::send(self.socket.as_fd(), &bytes, &[], SendFlags::DONTWAIT) {
            // One that has ended may have said why.
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => {}
            Err(Errno::AGAIN) => return Err(Unavailable::TimedOut),
            Err(errno) => return Err(failed(Operation::Send)(errno)),
        }
        let start = Instant::now();
        loop {
            let left = self.limit.saturating_sub(start.elapsed());
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
            match rustix::event::poll(&mut watched, Some(&timespec(left))) {
                Ok(0) => return Err(Unavailable::TimedOut),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(Operation::Poll)(errno)),
            }
        }
        let mut buffer = vec![0; MAX_MESSAGE_LEN];
        let mut receive = || packet::receive(self.socket.as_fd(), &mut buffer, RecvFlags::DONTWAIT);
        // One that ended without reading the question is heard first (unix(7), ECONNRESET), and then what it had said.
        let received = match receive() {
            Ok(Received::End) => receive(),
            other => other,
        };
        match received {
            // A message that is none, or that brings something: whoever is there is not the helper we know.
            Ok(Received::Message { len, descriptors }) if descriptors.is_empty() => {
                buffer.get(..len).and_then(wire::decode_reply).ok_or(Unavailable::Crashed)
            }
            Ok(Received::Message { .. } | Received::End | Received::TooLong) => Err(Unavailable::Crashed),
            Err(errno) => Err(failed(Operation::Receive)(errno)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("socket", &self.socket).finish_non_exhaustive()
    }
}
