//! The 45 vulnerabilities of other programs that this one must not have, each a test over every road it applies to.
//! What is tested elsewhere is listed in `elsewhere.txt`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
mod attacked;
mod audit;
mod elsewhere;
mod faults;
mod files;
mod groups;
mod hostile;
mod numbers;
mod panics;
mod powers;
mod racer;
mod replay;
mod ring;
mod road;
#[path = "../acting/scratch.rs"]
mod scratch;
#[path = "../ring/stage.rs"]
mod stage;
mod table;
mod who;
mod windows;
mod world;

use std::process::ExitCode;

const TESTS: &[alone::Test] = &[
    ("v01_set_group_directory", files::v01_set_group_directory),
    ("v02_set_group_bit", files::v02_set_group_bit),
    ("v03_file_capabilities_end_with_a_write", files::v03_file_capabilities_end_with_a_write),
    ("v04_no_device_can_be_made", powers::v04_no_device_can_be_made),
    ("v05_no_file_capability_can_be_planted", powers::v05_no_file_capability_can_be_planted),
    ("v06_any_order_of_groups_is_the_same_set", groups::v06_any_order_of_groups_is_the_same_set),
    ("v07_the_identity_does_not_depend_on_the_thread", who::v07_the_identity_does_not_depend_on_the_thread),
    ("v08_a_failing_call_at_any_position_fails_closed", faults::v08_a_failing_call_at_any_position_fails_closed),
    ("v09_minus_one_is_nobody", who::v09_minus_one_is_nobody),
    ("v10_large_ids_are_themselves", who::v10_large_ids_are_themselves),
    ("v11_a_name_is_an_account_or_an_error", who::v11_a_name_is_an_account_or_an_error),
    ("v15_a_connection_is_the_clients", who::v15_a_connection_is_the_clients),
    ("v16_a_denied_group_stays_denied_at_every_length", groups::v16_a_denied_group_stays_denied_at_every_length),
    ("v17_the_primary_group_is_in_the_list", groups::v17_the_primary_group_is_in_the_list),
    ("v18_a_program_has_the_clients_groups", groups::v18_a_program_has_the_clients_groups),
    ("v19_a_dropped_process_has_no_group_of_the_server", groups::v19_a_dropped_process_has_no_group_of_the_server),
    ("v20_the_next_client_has_no_group_of_the_last", groups::v20_the_next_client_has_no_group_of_the_last),
    ("v21_no_list_is_padded", groups::v21_no_list_is_padded),
    ("v25_a_kept_identity_is_checked_like_a_new_one", files::v25_a_kept_identity_is_checked_like_a_new_one),
    ("v26_a_link_leads_only_where_the_client_may_go", files::v26_a_link_leads_only_where_the_client_may_go),
    ("v27_connect_is_the_clients", who::v27_connect_is_the_clients),
    ("v28_bind_is_the_clients", who::v28_bind_is_the_clients),
    ("v29_no_handler_runs_on_a_client_thread", powers::v29_no_handler_runs_on_a_client_thread),
    ("v29_every_callback_may_panic", panics::v29_every_callback_may_panic),
    ("v30_a_server_that_is_not_root_is_itself_again", who::v30_a_server_that_is_not_root_is_itself_again),
    ("v31_a_step_that_did_nothing_is_found_out", faults::v31_a_step_that_did_nothing_is_found_out),
    ("v32_nothing_goes_on_as_the_server", faults::v32_nothing_goes_on_as_the_server),
    ("v33_a_new_logon_brings_new_groups", groups::v33_a_new_logon_brings_new_groups),
    ("v34_only_raw_calls_on_the_own_thread", audit::v34_only_raw_calls_on_the_own_thread),
    ("v35_no_thread_is_made_while_acting", powers::v35_no_thread_is_made_while_acting),
    ("v36_a_program_is_powerless", powers::v36_a_program_is_powerless),
    ("v37_the_client_cannot_touch_the_server", attacked::v37_the_client_cannot_touch_the_server),
    ("v38_memory_is_never_the_clients", powers::v38_memory_is_never_the_clients),
    ("v39_objects_are_born_with_their_owner", files::v39_objects_are_born_with_their_owner),
    ("v39_nothing_is_given_away_afterwards", audit::v39_nothing_is_given_away_afterwards),
    ("v40_only_captured_groups_count", groups::v40_only_captured_groups_count),
    ("v41_who_may_act_as_whom", who::v41_who_may_act_as_whom),
    ("v43_no_namespace_is_entered", audit::v43_no_namespace_is_entered),
    ("v44_access_is_what_open_does", files::v44_access_is_what_open_does),
    ("v45_a_message_never_says_root", who::v45_a_message_never_says_root),
    ("cv06_no_client_leaves_its_view_to_another", windows::cv06_no_client_leaves_its_view_to_another),
    ("cv06_a_root_is_resolved_in_no_view", windows::cv06_a_root_is_resolved_in_no_view),
    ("cv20_a_second_step_acts_on_what_the_first_one_saw", windows::cv20_a_second_step_acts_on_what_the_first_one_saw),
    ("cv22_every_step_takes_the_witness", windows::cv22_every_step_takes_the_witness),
    (
        "cv23_the_anonymous_user_has_no_account_and_no_default",
        windows::cv23_the_anonymous_user_has_no_account_and_no_default,
    ),
    ("cv28_nothing_is_looked_up_while_acting", windows::cv28_nothing_is_looked_up_while_acting),
    ("cv28_nothing_is_loaded_while_acting", windows::cv28_nothing_is_loaded_while_acting),
    ("v01_by_files", ring::v01_by_files),
    ("v02_by_files", ring::v02_by_files),
    ("v03_by_files", ring::v03_by_files),
    ("v05_by_files", ring::v05_by_files),
    ("v06_by_files", ring::v06_by_files),
    ("v10_by_files", ring::v10_by_files),
    ("v16_by_files", ring::v16_by_files),
    ("v17_by_files", ring::v17_by_files),
    ("v20_by_files", ring::v20_by_files),
    ("v21_by_files", ring::v21_by_files),
    ("v25_by_files", ring::v25_by_files),
    ("v29_by_files", ring::v29_by_files),
    ("v33_by_files", ring::v33_by_files),
    ("v39_by_files", ring::v39_by_files),
    ("v40_by_files", ring::v40_by_files),
    ("v44_by_files", ring::v44_by_files),
    ("every_row_names_every_road", table::every_row_names_every_road),
    ("every_number_is_here_or_elsewhere", elsewhere::every_number_is_here_or_elsewhere),
];

fn main() -> ExitCode {
    if let Some(plan) = std::env::var_os(hostile::PLAN) {
        hostile::be_hostile(plan.to_str().unwrap());
        return ExitCode::SUCCESS;
    }
    alone::run(true, TESTS)
}
