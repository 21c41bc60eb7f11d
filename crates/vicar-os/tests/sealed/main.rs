//! Sealed workers: what they are, what they cannot do, and what their end does to others.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
mod answers;
mod bounds;
mod ends;
mod files;
#[expect(dead_code, reason = "shared with tests that attack the server")]
#[path = "../vulnerabilities/hostile.rs"]
mod hostile;
mod jobs;
mod later;
#[expect(dead_code, reason = "shared with tests whose server has no workers")]
#[path = "../acting/scratch.rs"]
mod scratch;
mod shown;
mod world;

use std::process::ExitCode;

const TESTS: &[alone::Test] = &[
    ("a_worker_is_its_client_and_nothing_else", shown::a_worker_is_its_client_and_nothing_else),
    ("a_purpose_allows_what_it_says", shown::a_purpose_allows_what_it_says),
    ("the_client_cannot_touch_its_worker", shown::the_client_cannot_touch_its_worker),
    ("a_program_of_a_worker_is_sealed", shown::a_program_of_a_worker_is_sealed),
    ("the_sealer_keeps_four_capabilities", shown::the_sealer_keeps_four_capabilities),
    ("requests_and_answers_of_any_length_come_whole", answers::requests_and_answers_of_any_length_come_whole),
    ("descriptors_go_both_ways_and_are_looked_at", answers::descriptors_go_both_ways_and_are_looked_at),
    ("more_than_was_accepted_ends_the_worker", answers::more_than_was_accepted_ends_the_worker),
    ("files_are_the_clients", files::files_are_the_clients),
    ("a_batch_is_answered_in_order", files::a_batch_is_answered_in_order),
    ("what_is_no_file_is_not_served", files::what_is_no_file_is_not_served),
    ("a_worker_without_the_right_to_its_directory_is_none", files::a_worker_without_the_right_to_its_directory_is_none),
    ("read_only_and_beneath_hold_in_a_worker", bounds::read_only_and_beneath_hold_in_a_worker),
    ("memory_and_time_are_limited", ends::memory_and_time_are_limited),
    ("a_crash_is_an_error_of_one_request", ends::a_crash_is_an_error_of_one_request),
    ("workers_are_bounded_and_taken_again", ends::workers_are_bounded_and_taken_again),
    (
        "an_idle_worker_ends_and_the_next_request_gets_another",
        ends::an_idle_worker_ends_and_the_next_request_gets_another,
    ),
    ("a_worker_that_ended_before_it_was_asked_is_replaced", ends::a_worker_that_ended_before_it_was_asked_is_replaced),
    ("the_gate_is_asked", ends::the_gate_is_asked),
    ("a_revoked_client_has_no_worker_any_more", ends::a_revoked_client_has_no_worker_any_more),
    ("without_the_sealer_all_workers_end", ends::without_the_sealer_all_workers_end),
    ("without_the_server_everything_ends", ends::without_the_server_everything_ends),
    ("what_a_worker_leaves_behind_ends", ends::what_a_worker_leaves_behind_ends),
    ("a_fork_bomb_is_bounded_and_ends", ends::a_fork_bomb_is_bounded_and_ends),
    ("many_threads_use_many_workers", ends::many_threads_use_many_workers),
];

fn main() -> ExitCode {
    if let Some(plan) = std::env::var_os(hostile::PLAN) {
        hostile::be_hostile(plan.to_str().unwrap());
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(ends::DOOMED).is_some() {
        ends::be_doomed();
        return ExitCode::SUCCESS;
    }
    alone::run(true, TESTS)
}
