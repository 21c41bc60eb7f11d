//! Tokens as values: who a subject is, at one moment.
//!
//! [`TokenState`] is immutable. What changes a token in NT is here a function from one state to the next, so a reader
//! never sees half a change. Identity (ids, references, logon sessions) is not here: that belongs to objects, and
//! this crate has none.

mod adjust;
mod build;
mod change;
mod compare;
mod filter;
mod state;

pub use adjust::{Adjusted, AdjustedGroups, GroupChange, PowerfulPrivileges};
pub use build::{BuildError, Builder};
pub use change::PackageReach;
pub use compare::{CopyReach, Form};
pub use filter::{Filter, FilterFlags};
pub use state::{AppContainer, Elevation, MandatoryPolicy, TokenFlags, TokenState};
