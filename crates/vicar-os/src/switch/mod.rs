//! Every change of a thread's kernel identity, and its way back.
//!
//! Nothing else in the workspace changes credentials. Scoped changes go through `place`; changes for good are in
//! [`irrevocable`]; what a server gives up when it starts is in `powers`.

mod bounding;
pub(crate) mod calls;
#[cfg(feature = "tokio")]
pub(crate) mod inherited;
pub mod irrevocable;
pub(crate) mod place;
pub(crate) mod powers;
pub(crate) mod raised;
#[cfg(test)]
mod tests;
pub mod userns;

pub use place::{Step, SwitchError};
