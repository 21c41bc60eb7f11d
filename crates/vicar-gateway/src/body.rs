//! The bodies of requests and replies, and why one may end early.

use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// A request's body as the share reads it: metered, limited and watched by the front.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// A reply's body as the share makes it.
pub type ReplyBody = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body ended before it was whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// The request's body is longer than the server takes (413).
    TooLarge {
        /// Most bytes the server takes.
        limit: u64,
    },
    /// The client sent nothing for too long (408).
    Idle {
        /// How long the server waits for the next bytes.
        after: Duration,
    },
    /// The connection ended before the body was whole, or its framing was broken.
    Cut,
    /// The host failed while the body was made or kept.
    Host {
        /// What was being done.
        operation: &'static str,
        /// The errno, or 0 where there is none.
        errno: i32,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "body exceeds {limit} bytes"),
            Self::Idle { after } => write!(f, "body idle for {} s", after.as_secs()),
            Self::Cut => f.write_str("body cut short"),
            Self::Host { operation, errno } => write!(f, "{operation}: errno {errno}"),
        }
    }
}

impl core::error::Error for BodyError {}

/// A body with nothing in it.
#[must_use]
pub fn empty() -> ReplyBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is whole already.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> ReplyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
