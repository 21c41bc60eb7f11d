//! Where an identity comes from: the account databases, a socket's other end, or this process itself.
//!
//! [`account`] asks the name service, [`peer`] asks the kernel who connected, [`own`] asks it who we are; [`principal`] is the
//! rule by which a Kerberos principal is an account, and `kerberos` (a feature) proves principals. Each answers
//! with a whole identity or an error: an unknown name, a failing database, a process that is gone and an id that means
//! "somebody else" never become user 0, nobody, or an empty group list.
//!
//! Nothing here decides whether an identity may be used; see [`crate::supervisor::admission`] for that.

pub mod account;
#[cfg(feature = "kerberos")]
pub mod kerberos;
pub mod name;
pub mod own;
pub mod peer;
pub mod principal;
pub mod process;
pub mod token;

pub use account::{Account, AccountError};
pub use name::NameError;
pub use own::Own;
pub use peer::{Peer, SourceError};

/// The user id that stands for "some user this kernel cannot name here" (`/proc/sys/kernel/overflowuid`).
///
/// # Source
/// user_namespaces(7), "Unmapped user and group IDs".
pub const OVERFLOW_ID: u32 = 65_534;
