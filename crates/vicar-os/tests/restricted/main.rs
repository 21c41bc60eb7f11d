//! Clients with less than their own rights: the kernel's answers beside those of NT's access check.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test program: a failure is a panic"
)]

#[path = "../levels/acl.rs"]
mod acl;
#[path = "../alone/mod.rs"]
mod alone;
mod matrix;
mod refused;
#[path = "../acting/scratch.rs"]
mod scratch;
mod swapped;

use std::process::ExitCode;
use vicar_nt::token::{Filter, FilterFlags};
use vicar_nt::{Group, GroupAttributes, Sid, well_known};
use vicar_os::{ClientContext, ImpersonationLevel, Qos, Reach, Server, Tracking};

fn main() -> ExitCode {
    if let Some(names) = std::env::var_os(swapped::NAMES) {
        swapped::exchange_for_ever(names.to_str().unwrap());
        return ExitCode::SUCCESS;
    }
    alone::run(
        true,
        &[
            ("matrix::what_nt_grants_is_what_is_opened", matrix::what_nt_grants_is_what_is_opened),
            ("matrix::directories_are_passed_by_every_pass", matrix::directories_are_passed_by_every_pass),
            ("refused::other_roads_refuse", refused::other_roads_refuse),
            ("refused::what_cannot_be_done_twice", refused::what_cannot_be_done_twice),
            ("refused::lowered_integrity_reads", refused::lowered_integrity_reads),
            ("refused::in_between_the_thread_is_nobody", refused::in_between_the_thread_is_nobody),
            ("refused::a_root_is_its_openers", refused::a_root_is_its_openers),
            (
                "swapped::what_is_swapped_between_two_passes_is_not_opened",
                swapped::what_is_swapped_between_two_passes_is_not_opened,
            ),
        ],
    )
}

/// The groups of the client that tests restrict; its user is 61001.
pub(crate) const GROUPS: [u32; 3] = [61_300, 61_301, 61_302];

pub(crate) const NOTHING: Filter<'_> = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &[] };

pub(crate) fn group(gid: u32) -> Sid {
    well_known::unix_group(gid)
}

pub(crate) fn restricting(sids: &[Sid]) -> Vec<Group> {
    sids.iter().map(|sid| Group::new(*sid, GroupAttributes::empty())).collect()
}

pub(crate) fn alice(server: &Server) -> ClientContext {
    scratch::client(server, 61_001, &GROUPS)
}

/// The client, with a token that was filtered.
pub(crate) fn filtered(server: &Server, filter: &Filter<'_>) -> ClientContext {
    let token = alice(server).kernel().token().filter(filter).unwrap();
    let level = ImpersonationLevel::Impersonation;
    let qos = Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
    server.context_from_token(&token, qos).unwrap()
}
