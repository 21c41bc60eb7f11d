//! Write locks: who holds which, and for how long.
//!
//! A lock belongs to a user and to an inode. [`LockTable`] is the list of them, kept in memory; it knows nothing of
//! files beyond their ids, and it does not decide who may write: whoever asks it has found that out as the client.

mod table;
mod token;

pub use table::{Held, LockTable, Refusal, Request, Scope, Terms};
pub use token::Token;
