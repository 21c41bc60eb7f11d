//! The Windows NT security model as values and decisions.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
