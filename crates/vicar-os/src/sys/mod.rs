//! Raw system calls that no safe library offers, one noun a file.
//!
//! Everything unsafe in this crate is below this module. Each function does one thing and has a safe signature.

pub(crate) mod cred;
pub(crate) mod keyring;
pub(crate) mod seccomp;
pub(crate) mod signal;
