//! Run-time routines: SIDs, access lists, descriptors, strings, rights.
//!
//! They work on their callers' memory by the algorithms of `vicar-nt`; nobody's identity plays a part. A null pointer that
//! would fault in a kernel is reported to the verifier and answered with a failure.

pub(crate) mod ace;
pub(crate) mod acl;
pub(crate) mod descriptor;
pub(crate) mod form;
mod list;
pub(crate) mod mask;
pub(crate) mod service;
pub(crate) mod sid;
pub(crate) mod string;
