//! The executive: pool and work items.

pub(crate) mod pool;
pub(crate) mod work;
