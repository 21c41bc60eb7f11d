//! The elevated queue: what is done with a privilege, for whom, and by what process.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
#[expect(dead_code, reason = "shared with tests that start another server")]
#[path = "../acting/scratch.rs"]
mod scratch;
mod signed;
mod tasks;
mod world;

use std::process::ExitCode;

const TESTS: &[alone::Test] = &[
    ("backup_reads_what_the_client_may_not", tasks::backup_reads_what_the_client_may_not),
    ("restore_writes_and_sets_what_the_client_may_not", tasks::restore_writes_and_sets_what_the_client_may_not),
    ("ownership_is_taken_for_oneself", tasks::ownership_is_taken_for_oneself),
    ("a_link_needs_the_clients_own_right_to_the_directory", tasks::a_link_needs_the_clients_own_right_to_the_directory),
    (
        "a_privilege_that_is_not_held_or_off_is_refused_before_the_queue",
        tasks::a_privilege_that_is_not_held_or_off_is_refused_before_the_queue,
    ),
    ("what_is_no_file_is_not_touched", tasks::what_is_no_file_is_not_touched),
    ("each_task_is_written_down", tasks::each_task_is_written_down),
    ("many_threads_ask_at_once", tasks::many_threads_ask_at_once),
    ("only_the_queue_holds_more", world::only_the_queue_holds_more),
    ("without_the_queue_nothing_is_done", world::without_the_queue_nothing_is_done),
    ("without_the_server_the_queue_ends", world::without_the_server_the_queue_ends),
    ("whoever_signs_in_is_registered_by_the_supervisor", signed::whoever_signs_in_is_registered_by_the_supervisor),
];

fn main() -> ExitCode {
    if std::env::var_os(world::DOOMED).is_some() {
        world::be_doomed();
        return ExitCode::SUCCESS;
    }
    alone::run(true, TESTS)
}
