//! The ways of `vicar-os`.

use crate::method::Running;
use crate::op::Target;

/// `Server::run_as` around each operation.
pub(crate) fn run_as(_target: &Target, _groups: u32) -> Result<Box<dyn Running>, String> {
    Err("not wired".to_owned())
}

/// A client thread that already holds the client; entered once per operation.
pub(crate) fn sticky(_target: &Target, _groups: u32) -> Result<Box<dyn Running>, String> {
    Err("not wired".to_owned())
}

/// One job for `batch` operations, handed to the client threads and waited for.
pub(crate) fn pool(_target: &Target, _groups: u32, _batch: u32) -> Result<Box<dyn Running>, String> {
    Err("not wired".to_owned())
}
