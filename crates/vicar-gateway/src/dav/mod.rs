//! The words of WebDAV: XML in and out, the `If` header, names of properties, paths in URLs.
//!
//! [`xml`] reads a bounded tree and writes it back, [`body`] reads what a request asks for, [`condition`] the `If`
//! header, [`property`] names what is known about a file, [`href`] turns path bytes into URL text and back. Everything
//! here is a pure function of its input: no file is touched and no identity is known.

pub mod body;
pub mod condition;
pub mod href;
pub mod property;
pub mod stamp;
pub mod xml;
