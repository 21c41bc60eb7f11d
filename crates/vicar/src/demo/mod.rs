//! The demonstration: three people, a few files, one server, and what the kernel said.
//!
//! [`keeper`] is a process that keeps the starting rights: it lays the files, says what the kernel recorded, and takes
//! everything away when this process is gone, however it went. [`people`] are throw-away identities; [`question`] is what is
//! asked and what must come of it; [`table`] prints the answers.

pub(crate) mod keeper;
pub(crate) mod people;
pub(crate) mod question;
pub(crate) mod table;
