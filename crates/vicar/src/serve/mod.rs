//! Starting and running the gateway: what `vicar serve` and `vicar demo` have in common.
//!
//! [`Plan`] is everything that is read and opened while the process has one thread and all its rights; [`start()`] turns it into
//! `Ready`, a server that has given its powers up and has its client threads; `Ready::run` is the runtime.

mod banner;
mod plan;
mod run;
mod start;

pub(crate) use plan::{Passwords, Plan};
pub(crate) use start::start;
