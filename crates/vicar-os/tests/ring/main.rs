//! Acting as clients by io_uring, and by threads where there is none: the same tests for both.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
mod lifetime;
mod operations;
mod rules;
#[path = "../acting/scratch.rs"]
mod scratch;
mod stage;
mod vulnerabilities;

use std::process::ExitCode;

const TESTS: &[alone::Test] = &[
    ("the_owner_may_and_a_stranger_may_not", operations::the_owner_may_and_a_stranger_may_not),
    ("groups_allow_and_deny", operations::groups_allow_and_deny),
    ("what_is_made_is_the_clients", operations::what_is_made_is_the_clients),
    ("sticky_directories_and_set_group_directories", operations::sticky_directories_and_set_group_directories),
    ("attributes_are_the_clients", operations::attributes_are_the_clients),
    ("sockets_are_the_clients", operations::sockets_are_the_clients),
    ("what_has_no_opcode_is_done_too", operations::what_has_no_opcode_is_done_too),
    ("a_path_stays_beneath", rules::a_path_stays_beneath),
    ("a_race_of_links_leads_nowhere_else", rules::a_race_of_links_leads_nowhere_else),
    ("only_regular_files_are_opened_for_content", rules::only_regular_files_are_opened_for_content),
    ("an_inode_belongs_to_its_client", rules::an_inode_belongs_to_its_client),
    ("the_gate_is_asked_again", rules::the_gate_is_asked_again),
    ("no_thread_that_acts_submits", rules::no_thread_that_acts_submits),
    ("the_trial_of_a_ring_passes", rules::the_trial_of_a_ring_passes),
    ("the_report_says_which_and_why", rules::the_report_says_which_and_why),
    ("what_is_closed_among_others_is_closed", lifetime::what_is_closed_among_others_is_closed),
    ("one_operation_is_a_batch_of_one", lifetime::one_operation_is_a_batch_of_one),
    ("chains_stop_at_the_first_failure", lifetime::chains_stop_at_the_first_failure),
    ("a_chain_stops_behind_every_kind_of_failure", lifetime::a_chain_stops_behind_every_kind_of_failure),
    ("batches_are_larger_than_the_ring_is_quick", lifetime::batches_are_larger_than_the_ring_is_quick),
    ("dropped_futures_lose_nothing", lifetime::dropped_futures_lose_nothing),
    ("a_ring_ends_after_what_is_under_way", lifetime::a_ring_ends_after_what_is_under_way),
    ("ten_thousand_clients_in_turn", lifetime::ten_thousand_clients_in_turn),
    ("many_threads_and_clients_share_a_small_ring", lifetime::many_threads_and_clients_share_a_small_ring),
    ("a_revoked_client_is_refused_everywhere", lifetime::a_revoked_client_is_refused_everywhere),
    ("too_much_is_refused", lifetime::too_much_is_refused),
    ("v22_no_polling_thread_and_no_nameless_request", vulnerabilities::v22_no_polling_thread_and_no_nameless_request),
    ("v23_a_kernel_worker_is_the_client_too", vulnerabilities::v23_a_kernel_worker_is_the_client_too),
    ("v24_identities_come_and_go_while_requests_run", vulnerabilities::v24_identities_come_and_go_while_requests_run),
];

fn main() -> ExitCode {
    alone::run(true, TESTS)
}
