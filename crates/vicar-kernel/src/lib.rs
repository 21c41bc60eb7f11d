//! The objects and routines of NT client impersonation.
#![forbid(unsafe_code)]
