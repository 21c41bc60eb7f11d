//! Many callers, one socket: whoever waits first reads for all.
//!
//! No thread is kept for reading. A caller sends its question, then either reads the socket, handing other callers
//! their answers, or sleeps until somebody has handed it its own or the reader's place is free.

use super::error::{ForkError, Operation, Unavailable};
use super::wire::{self, Answer, Ask, MAX_ANSWER_LEN, MAX_PACKET_LEN, Question};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The server's end of the socket.
pub(crate) struct Channel {
    socket: OwnedFd,
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    calls: HashMap<u64, Call>,
    is_being_read: bool,
    is_dead: bool,
}

/// What has arrived for one caller.
#[derive(Default)]
struct Call {
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, state: Mutex::new(State::default()), turn: Condvar::new() }
    }

    /// Waits for the supervisor's first packet: one zero byte, or the number of an operation and what it returned.
    pub(crate) fn await_ready(&self, limit: Duration) -> Result<(), ForkError> {
        let failed = |operation, errno: Errno| ForkError::Failed { operation, errno: errno.raw_os_error() };
        let deadline = Deadline::after(limit);
        loop {
            match self.poll(PollFlags::IN, &deadline) {
                Ok(true) => {}
                Ok(false) => return Err(ForkError::NotReady),
                Err(errno) => return Err(failed(Operation::Poll, errno)),
            }
            let mut packet = [0; 8];
            match rustix::net::recv(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
                Ok((1, _)) if packet.first() == Some(&0) => return Ok(()),
                Ok((5, _)) => {
                    let [tag, errno @ .., _, _, _] = packet;
                    let Ok(operation) = wire::operation(tag) else { return Err(ForkError::NotReady) };
                    return Err(ForkError::Failed { operation, errno: i32::from_le_bytes(errno) });
                }
                Ok(_) => return Err(ForkError::NotReady),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(failed(Operation::Receive, errno)),
            }
        }
    }

    /// Asks and waits for the answer.
    pub(crate) fn call(&self, ask: Ask, limit: Duration) -> Result<Answer, Unavailable> {
        let deadline = Deadline::after(limit);
        let id = {
            let mut state = self.lock();
            if state.is_dead {
                return Err(Unavailable::Dead);
            }
            let id = state.next;
            state.next = state.next.wrapping_add(1);
            state.calls.insert(id, Call::default());
            id
        };
        let answer = self.send(id, ask, &deadline).and_then(|()| self.receive(id, &deadline));
        self.lock().calls.remove(&id);
        answer
    }

    /// Whether the other end is there.
    pub(crate) fn is_alive(&self) -> bool {
        if self.lock().is_dead {
            return false;
        }
        // Not readable, not writable: only whether the other end has hung up.
        match self.poll(PollFlags::empty(), &Deadline::after(Duration::ZERO)) {
            Ok(has_hung_up) => !has_hung_up,
            Err(_) => false,
        }
    }

    /// Tells the supervisor that nothing more will come.
    pub(crate) fn hang_up(&self) {
        // An error means that the other end is gone already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }

    fn send(&self, id: u64, ask: Ask, deadline: &Deadline) -> Result<(), Unavailable> {
        let question = Question { id, ask };
        let packet = wire::encode_question(&question);
        drop(question);
        loop {
            match rustix::net::send(&self.socket, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => {
                    let ready = self.poll(PollFlags::OUT, deadline).map_err(failed(Operation::Poll))?;
                    if !ready {
                        return Err(Unavailable::TimedOut);
                    }
                }
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(self.die()),
                Err(errno) => return Err(failed(Operation::Send)(errno)),
            }
        }
    }

    fn receive(&self, id: u64, deadline: &Deadline) -> Result<Answer, Unavailable> {
        let mut state = self.lock();
        loop {
            if let Some(call) = state.calls.get_mut(&id).filter(|call| call.is_whole) {
                let bytes = core::mem::take(&mut call.bytes);
                drop(state);
                return wire::decode_answer(&bytes).map_err(|wire::Malformed| self.die());
            }
            if state.is_dead {
                return Err(Unavailable::Dead);
            }
            let left = deadline.left();
            if left.is_zero() {
                return Err(Unavailable::TimedOut);
            }
            if state.is_being_read {
                let waited = self.turn.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            } else {
                state.is_being_read = true;
                drop(state);
                let result = {
                    let _place = ReaderPlace(self);
                    self.read_until_whole(id, deadline)
                };
                result?;
                state = self.lock();
            }
        }
    }

    /// Reads for everybody until this caller's answer is whole.
    fn read_until_whole(&self, id: u64, deadline: &Deadline) -> Result<(), Unavailable> {
        let mut packet = vec![0; MAX_PACKET_LEN];
        loop {
            if !self.poll(PollFlags::IN, deadline).map_err(failed(Operation::Poll))? {
                return Err(Unavailable::TimedOut);
            }
            let len = match rustix::net::recv(&self.socket, &mut *packet, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
                Ok((_, 0)) | Err(Errno::CONNRESET | Errno::PIPE) => return Err(self.die()),
                Ok((_, len)) => len,
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(errno) => return Err(failed(Operation::Receive)(errno)),
            };
            // A packet longer than any, or one that is none: whoever is there is not the supervisor we know.
            let Some(part) = packet.get(..len).and_then(|packet| wire::decode_part(packet).ok()) else {
                return Err(self.die());
            };
            let mut state = self.lock();
            // An answer that nobody waits for any more is dropped.
            let Some(call) = state.calls.get_mut(&part.id) else { continue };
            if call.is_whole || call.bytes.len().saturating_add(part.bytes.len()) > MAX_ANSWER_LEN {
                drop(state);
                return Err(self.die());
            }
            call.bytes.extend_from_slice(part.bytes);
            call.is_whole = part.is_last;
            if part.is_last {
                if part.id == id {
                    return Ok(());
                }
                self.turn.notify_all();
            }
        }
    }

    /// Waits until the socket is ready or has hung up; `false` when the time is over first.
    fn poll(&self, flags: PollFlags, deadline: &Deadline) -> Result<bool, Errno> {
        loop {
            let mut watched = [PollFd::new(&self.socket, flags)];
            match rustix::event::poll(&mut watched, Some(&timespec(deadline.left()))) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn die(&self) -> Unavailable {
        self.lock().is_dead = true;
        self.turn.notify_all();
        Unavailable::Dead
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to read; given back when dropped, and then somebody else takes it.
struct ReaderPlace<'a>(&'a Channel);

impl Drop for ReaderPlace<'_> {
    fn drop(&mut self) {
        self.0.lock().is_being_read = false;
        self.0.turn.notify_all();
    }
}

fn failed(operation: Operation) -> impl Fn(Errno) -> Unavailable {
    move |errno| Unavailable::Failed { operation, errno: errno.raw_os_error() }
}

/// A moment in time that may be too far away to name.
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    fn left(&self) -> Duration {
        self.0.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()))
    }
}

/// A duration as poll(2) takes it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests;
