//! Asynchronous servers: no thread of a runtime is ever a client, and every request has one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
mod request;
mod runtime;
#[path = "../acting/scratch.rs"]
mod scratch;

use std::process::ExitCode;

fn main() -> ExitCode {
    alone::run(
        true,
        &[
            ("runtime::without_the_hook_it_is_refused", runtime::without_the_hook_it_is_refused),
            ("runtime::a_thread_born_as_a_client_is_the_server", runtime::a_thread_born_as_a_client_is_the_server),
            (
                "runtime::without_the_hook_a_thread_born_as_a_client_stays_it",
                runtime::without_the_hook_a_thread_born_as_a_client_stays_it,
            ),
            ("runtime::its_threads_never_act", runtime::its_threads_never_act),
            (
                "runtime::tasks_of_many_clients_leave_its_threads_alone",
                runtime::tasks_of_many_clients_leave_its_threads_alone,
            ),
            (
                "request::it_reaches_the_service_with_its_client_or_not_at_all",
                request::it_reaches_the_service_with_its_client_or_not_at_all,
            ),
            ("request::the_extractor_gives_the_client_or_500", request::the_extractor_gives_the_client_or_500),
            (
                "request::an_inner_layer_replaces_the_client_of_an_outer_one",
                request::an_inner_layer_replaces_the_client_of_an_outer_one,
            ),
        ],
    )
}

/// A line of this thread's status, its fields joined by single spaces.
fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
