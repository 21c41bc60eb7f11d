//! Being written.

pub mod admission;
pub mod error;
pub mod secret;
