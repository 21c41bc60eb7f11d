//! Raw system calls that no safe library offers, one noun a file.
//!
//! Everything unsafe in this crate is below this module. Each function does one thing and has a safe signature.

pub(crate) mod account;
pub(crate) mod cred;
pub(crate) mod fork;
#[cfg(feature = "kerberos")]
pub(crate) mod gss;
pub(crate) mod keyring;
pub(crate) mod landlock;
pub(crate) mod pam;
pub(crate) mod ring;
pub(crate) mod ring_call;
pub(crate) mod ring_text;
pub(crate) mod seccomp;
pub(crate) mod shm;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod thread;
