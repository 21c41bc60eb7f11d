//! The executive: pool, work items, mutexes and resources.

pub(crate) mod mutex;
pub(crate) mod pool;
pub(crate) mod resource;
pub(crate) mod work;
