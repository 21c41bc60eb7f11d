//! The C side of `vicar`: the names and layouts of `ntifs.h`.
//!
//! Code written for the Windows kernel fills and reads these structures itself, so their bytes are fixed: a driver puts
//! a `SECURITY_QUALITY_OF_SERVICE` on its stack, stores a `SECURITY_CLIENT_CONTEXT` in its device extension, and
//! `SeAccessCheck` must read the fields of the `SECURITY_SUBJECT_CONTEXT` that it is given. This crate declares them as
//! x64 Windows lays them out, under their NT names, and its tests compare every size and offset with two witnesses: the
//! mingw-w64 DDK headers and `windows-sys`.
//!
//! The types that matter: [`SECURITY_QUALITY_OF_SERVICE`], [`SECURITY_CLIENT_CONTEXT`], [`SECURITY_SUBJECT_CONTEXT`].
//!
//! What it deliberately never does: decide. Policy lives in `vicar-kernel` and `vicar-nt`. It exports no function: the
//! routines are called from Rust through `vicar-kernel`.
//!
//! Every `BOOLEAN` is a [`BOOLEAN`] (`u8`) and every enumeration an integer, because a C caller may store any value
//! there, and as a Rust `bool` or `enum` that would be undefined behaviour.

#![forbid(unsafe_code)]

mod layout;

pub use layout::*;
