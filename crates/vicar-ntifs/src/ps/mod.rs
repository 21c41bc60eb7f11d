//! Processes and threads: whom they wear, and finding them.

pub(crate) mod find;
pub(crate) mod impersonate;
pub(crate) mod system_thread;
