//! What a client delegated: a ticket in the memory of a process of its own, and proofs made with it.

use super::error::against_proof;
use super::line::Line;
use super::wire::{Reply, Request};
use super::{Kerberos, MAX_TOKEN_LEN};
use crate::delegation::{DelegatedCredential, InitiateError, Initiator, Service, Turn};
use crate::supervisor::Unavailable;
use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// A ticket that a client forwarded. The ticket itself is in the client's helper; this is the line to it.
pub(super) struct Ticket {
    /// Shared with the proofs that are begun.
    held: Arc<Held>,
    principal: String,
    until: SystemTime,
}

/// What keeps the helper alive.
#[derive(Debug)]
struct Held {
    line: Line,
    /// The number of the next proof.
    next: AtomicU32,
    /// The helper ends when this does.
    _kerberos: Kerberos,
}

impl Ticket {
    pub(super) fn new(line: Line, principal: &str, until: SystemTime, kerberos: Kerberos) -> Self {
        let held = Arc::new(Held { line, next: AtomicU32::new(0), _kerberos: kerberos });
        Self { held, principal: principal.to_owned(), until }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("principal", &self.principal).field("until", &self.until).finish_non_exhaustive()
    }
}

impl DelegatedCredential for Ticket {
    fn mechanism(&self) -> &str {
        "krb5"
    }

    fn expires(&self) -> Option<SystemTime> {
        Some(self.until)
    }

    fn initiate(&self, service: &Service) -> Result<Box<dyn Initiator>, InitiateError> {
        let number = self.held.next.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Proof { held: Arc::clone(&self.held), number, state: State::New(service.clone()) }))
    }
}

/// A proof to one service.
#[derive(Debug)]
struct Proof {
    held: Arc<Held>,
    number: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    New(Service),
    Begun,
    Over,
}

impl Initiator for Proof {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Turn, InitiateError> {
        let state = core::mem::replace(&mut self.state, State::Over);
        let reply = match (state, token) {
            (State::New(service), None) => {
                self.held.line.call(&Request::Begin { number: self.number, service: service.as_str() })
            }
            (State::Begun, Some(token)) => {
                if token.is_empty() || token.len() > MAX_TOKEN_LEN {
                    self.held.line.tell(&Request::End { number: self.number });
                    return Err(InitiateError::TooLong);
                }
                self.held.line.call(&Request::Step { number: self.number, token })
            }
            (State::Begun, None) => {
                self.held.line.tell(&Request::End { number: self.number });
                return Err(InitiateError::OutOfTurn);
            }
            (State::New(_), Some(_)) | (State::Over, _) => return Err(InitiateError::OutOfTurn),
        };
        match reply.map_err(InitiateError::Unavailable)? {
            Reply::Continue(token) => {
                self.state = State::Begun;
                Ok(Turn::Continue(token))
            }
            Reply::Done(token) => Ok(Turn::Done((!token.is_empty()).then_some(token))),
            Reply::Refused(refusal) => Err(InitiateError::Refused(refusal)),
            Reply::Against(rule) => Err(against_proof(rule)),
            // Not an answer to what was asked: whoever is there is not the helper we know.
            Reply::Accepted { .. } => Err(InitiateError::Unavailable(Unavailable::Crashed)),
        }
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        if matches!(self.state, State::Begun) {
            self.held.line.tell(&Request::End { number: self.number });
        }
    }
}
