//! The public interface, against vectors and against properties.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics has failed, which is what it is for"
)]

mod assign;
mod audit;
mod batch;
mod bytes;
mod case;
mod check_properties;
mod coverage;
mod encode_properties;
mod explain;
mod model;
mod question;
mod readings;
mod rules_bytes;
mod rules_check;
mod rules_rest;
mod rules_text;
mod sddl_properties;
mod switches;
mod text_model;
mod vectors;
