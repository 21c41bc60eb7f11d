//! The structures, one file a noun.

#![expect(
    non_camel_case_types,
    non_snake_case,
    reason = "these are the names of ntifs.h; a reader looks for them and a header is made from them"
)]

mod acl;
mod client;
mod descriptor;
mod dispatch;
mod io;
mod object;
mod privilege;
mod scalar;
mod sid;
mod state;
mod token;

pub use acl::*;
pub use client::*;
pub use descriptor::*;
pub use dispatch::*;
pub use io::*;
pub use object::*;
pub use privilege::*;
pub use scalar::*;
pub use sid::*;
pub use state::*;
pub use token::*;
