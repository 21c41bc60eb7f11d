//! Why a client proved nothing.

use super::MAX_TOKEN_LEN;
use super::wire::Rule;
use crate::delegation::{InitiateError, MechanismRefusal};
use crate::supervisor::Unavailable;
use core::fmt;

/// Why a client was not accepted.
///
/// For the log. A client learns only that it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// The mechanism refused: the token is none, was seen before, is too old, or is for another service.
    Refused(MechanismRefusal),
    /// The token is empty or longer than [`MAX_TOKEN_LEN`].
    TokenLength {
        /// How long it is.
        bytes: usize,
    },
    /// The answer would be longer than [`MAX_TOKEN_LEN`].
    AnswerLength,
    /// The mechanism is another than Kerberos.
    Mechanism,
    /// The client did not say who it is.
    Anonymous,
    /// The principal is longer than [`MAX_PRINCIPAL_LEN`](super::MAX_PRINCIPAL_LEN), or no text.
    Principal,
    /// The client handed over a credential of somebody else.
    ForeignCredential,
    /// It is over: the client was accepted or refused before.
    OutOfTurn,
    /// The keytab cannot be read.
    Keytab {
        /// What the kernel answered.
        errno: i32,
    },
    /// The helper could not be made powerless, and read nothing.
    NotSealed,
    /// There was no answer; says nothing about the client.
    Unavailable(Unavailable),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TokenLength { bytes } => write!(f, "a token has 1 to {MAX_TOKEN_LEN} bytes, not {bytes}"),
            Self::AnswerLength => f.write_str("the answer to the token is too long"),
            Self::Mechanism => f.write_str("the client used another mechanism than Kerberos"),
            Self::Anonymous => f.write_str("the client is anonymous"),
            Self::Principal => f.write_str("the principal is too long, or no text"),
            Self::ForeignCredential => f.write_str("the client delegated a credential that is not its own"),
            Self::OutOfTurn => f.write_str("the client was accepted or refused before"),
            Self::Keytab { errno } => write!(f, "keytab: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::NotSealed => f.write_str("the helper process could not give up its rights"),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unavailable(error) => Some(error),
            Self::Refused(_)
            | Self::TokenLength { .. }
            | Self::AnswerLength
            | Self::Mechanism
            | Self::Anonymous
            | Self::Principal
            | Self::ForeignCredential
            | Self::OutOfTurn
            | Self::Keytab { .. }
            | Self::NotSealed => None,
        }
    }
}

/// What a rule means to whoever accepts.
pub(super) const fn against(rule: Rule) -> AcceptError {
    match rule {
        Rule::Mechanism => AcceptError::Mechanism,
        Rule::Anonymous => AcceptError::Anonymous,
        Rule::Principal => AcceptError::Principal,
        Rule::ForeignCredential => AcceptError::ForeignCredential,
        Rule::TooLong => AcceptError::AnswerLength,
        Rule::OutOfTurn | Rule::TooMany => AcceptError::OutOfTurn,
        Rule::Keytab(errno) => AcceptError::Keytab { errno },
        Rule::Seal => AcceptError::NotSealed,
        Rule::Busy => AcceptError::Unavailable(Unavailable::Busy),
    }
}

/// What a rule means to whoever initiates.
pub(super) const fn against_proof(rule: Rule) -> InitiateError {
    match rule {
        Rule::TooLong => InitiateError::TooLong,
        Rule::TooMany => InitiateError::TooMany,
        Rule::OutOfTurn => InitiateError::OutOfTurn,
        // These are about accepting.
        Rule::Mechanism
        | Rule::Anonymous
        | Rule::Principal
        | Rule::ForeignCredential
        | Rule::Keytab(_)
        | Rule::Seal
        | Rule::Busy => InitiateError::Unavailable(Unavailable::Crashed),
    }
}
