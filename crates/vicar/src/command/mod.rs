//! The commands, one file each.

pub(crate) mod assign;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod passwd;
pub(crate) mod prove;
mod readings;
pub(crate) mod run;
pub(crate) mod sddl;
pub(crate) mod serve;
mod strict_json;
pub(crate) mod whoami;
