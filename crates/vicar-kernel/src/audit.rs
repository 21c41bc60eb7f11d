//! What happened to whose identity, told to somebody who listens.
//!
//! A [`Sink`] installed by [`System::set_audit`](crate::system::System::set_audit) receives an [`Event`] for everything
//! Windows is silent about: captures, impersonations, downgrades with the gate's reasons, reverts, refusals and work that
//! was done with more rights. Nobody listens at first, and then an event costs one load of a flag. Nothing is written
//! anywhere here, and no decision depends on a sink.

use std::fmt;
use std::panic::Location;

use vicar_nt::{ImpersonationLevel, Luid, NtStatus, Sid};

use crate::gate::Verdict;

/// Receives events on the thread that caused them, with no lock of this crate held.
///
/// # Identity
/// The causing thread may wear a client by then; a sink that does something with the event's thread identity in an
/// operating system hands the event to another thread first.
pub trait Sink: Send + Sync + 'static {
    /// Takes an event.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Sink for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attempt {
    /// Capturing a client.
    Capture,
    /// Wearing a token, for a reason other than the gate's.
    Impersonate,
    /// Opening the token of a thread or process.
    OpenToken,
    /// Having something done with more rights.
    Elevate,
}

impl Attempt {
    /// Returns the word used in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Impersonate => "impersonate",
            Self::OpenToken => "open-token",
            Self::Elevate => "elevate",
        }
    }
}

/// Something that happened to an identity, and the source line that made it happen.
#[derive(Clone, Debug)]
pub struct Event {
    /// What.
    pub what: What,
    /// Where in the program.
    pub at: &'static Location<'static>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A client was captured.
    Captured {
        /// The token kept: the client's own or a copy.
        token: Luid,
        /// Its user.
        user: Sid,
        /// The level it may be worn at.
        level: ImpersonationLevel,
        /// Whether it is the client's own token.
        is_direct: bool,
    },
    /// A thread took a client on, as asked.
    Impersonated {
        /// The thread.
        thread: u64,
        /// The token worn.
        token: Luid,
        /// Its user.
        user: Sid,
        /// The level it is worn at.
        level: ImpersonationLevel,
    },
    /// A thread got a client at Identification only, because the gate refused.
    Downgraded {
        /// The thread.
        thread: u64,
        /// The copy worn.
        token: Luid,
        /// Its user.
        user: Sid,
        /// What the gate compared and which step refused.
        verdict: Box<Verdict>,
    },
    /// A thread that wore a client wears nobody now.
    Reverted {
        /// The thread.
        thread: u64,
    },
    /// Something about an identity was refused with an error.
    Refused {
        /// What was tried.
        attempt: Attempt,
        /// The answer.
        status: NtStatus,
    },
    /// An approved request was done with more rights than its client has.
    Elevated {
        /// The name of the request.
        request: &'static str,
        /// The client's user.
        client: Sid,
        /// How it ended.
        status: NtStatus,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captured { token, user, level, is_direct } => {
                let kind = if *is_direct { "live" } else { "copied" };
                write!(f, "captured {user} as {kind} token {token} at {level}")
            }
            Self::Impersonated { thread, token, user, level } => {
                write!(f, "thread {thread} wears {user} with token {token} at {level}")
            }
            Self::Downgraded { thread, token, user, verdict } => {
                write!(f, "thread {thread} may only identify {user} with token {token}: {verdict}")
            }
            Self::Reverted { thread } => write!(f, "thread {thread} reverted"),
            Self::Refused { attempt, status } => write!(f, "{} refused: {status}", attempt.name()),
            Self::Elevated { request, client, status } => write!(f, "{request} done for {client}: {status}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.at)
    }
}
