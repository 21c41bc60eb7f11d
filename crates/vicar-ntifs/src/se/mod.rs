//! The security reference monitor: contexts, checks, tokens.

pub(crate) mod access;
pub(crate) mod assign;
pub(crate) mod change;
pub(crate) mod client;
pub(crate) mod filter;
pub(crate) mod information;
pub(crate) mod known;
pub(crate) mod privilege;
pub(crate) mod session;
pub(crate) mod state;
pub(crate) mod subject;
pub(crate) mod token;
