//! The Windows NT security model as values and decisions.
//!
//! Everything here is a value or a pure function: SIDs, masks, ACLs, security descriptors and their text form, the
//! states of tokens, the access check and the privilege check. There is no I/O, no lock, no clock, no global and no
//! unsafe code, and nothing reads who the calling thread is: identity is always an argument.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod acl;
pub mod assign;
pub mod batch;
pub mod change;
pub mod check;
pub mod claim;
pub mod condition;
pub mod descriptor;
pub mod group;
pub mod guid;
pub mod integrity;
pub mod level;
pub mod luid;
pub mod mask;
pub mod named;
pub mod privilege;
pub mod reading;
pub mod sddl;
pub mod sid;
mod sid_index;
pub mod status;
pub mod token;
pub mod trust;
pub mod utf16;
pub mod well_known;
pub mod wire;

pub use group::{Group, GroupAttributes};
pub use guid::Guid;
pub use integrity::IntegrityLevel;
pub use level::ImpersonationLevel;
pub use luid::Luid;
pub use mask::{AccessMask, GenericMapping, RequestedMask};
pub use privilege::{Privilege, PrivilegeSet};
pub use reading::Readings;
pub use sid::{Sid, SidRef};
pub use status::NtStatus;
pub use wire::ParseError;
