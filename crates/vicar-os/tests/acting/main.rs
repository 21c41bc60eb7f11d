//! A server acts as its clients, and the kernel says who gets what.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

#[path = "../alone/mod.rs"]
mod alone;
mod pool;
mod powerless;
mod powers;
mod refuse;
mod scratch;

use scratch::{Scratch, client, identity, server};
use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use vicar_os::{EnterError, KernelUid, Misuse};

fn main() -> ExitCode {
    alone::run(
        true,
        &[
            ("start_up_keeps_two_capabilities_and_tests_itself", start_up_keeps_two_capabilities_and_tests_itself),
            ("the_kernel_decides_and_records_the_client", the_kernel_decides_and_records_the_client),
            ("groups_grant_and_groups_deny", groups_grant_and_groups_deny),
            ("the_identity_ends_with_the_closure_also_by_panic", the_identity_ends_with_the_closure_also_by_panic),
            ("acting_does_not_nest", acting_does_not_nest),
            ("every_road_passes_its_trial", every_road_passes_its_trial),
            ("a_trial_sees_a_road_that_does_not_switch", a_trial_sees_a_road_that_does_not_switch),
            ("references_balance", references_balance),
            ("refuse::below_impersonation_nothing_runs", refuse::below_impersonation_nothing_runs),
            ("refuse::what_the_kernel_cannot_hold_is_refused", refuse::what_the_kernel_cannot_hold_is_refused),
            ("refuse::root_and_the_anonymous_uid_are_no_clients", refuse::root_and_the_anonymous_uid_are_no_clients),
            ("refuse::a_second_thread_stops_start_up", refuse::a_second_thread_stops_start_up),
            ("refuse::a_context_of_another_server_is_refused", refuse::a_context_of_another_server_is_refused),
            ("refuse::an_adjusted_token_is_projected_anew", refuse::an_adjusted_token_is_projected_anew),
            ("pool::threads_rest_anonymous", pool::threads_rest_anonymous),
            ("pool::every_job_runs_as_its_client", pool::every_job_runs_as_its_client),
            ("pool::a_panic_ends_the_job_and_nothing_else", pool::a_panic_ends_the_job_and_nothing_else),
            (
                "pool::a_client_thread_makes_no_thread_and_runs_no_program",
                pool::a_client_thread_makes_no_thread_and_runs_no_program,
            ),
            (
                "pool::the_gate_is_asked_again_when_the_servers_token_changes",
                pool::the_gate_is_asked_again_when_the_servers_token_changes,
            ),
            ("pool::dropping_the_threads_ends_them", pool::dropping_the_threads_ends_them),
            (
                "powerless::a_service_with_ambient_capabilities_serves",
                powerless::a_service_with_ambient_capabilities_serves,
            ),
            (
                "powerless::a_user_without_capabilities_serves_itself_only",
                powerless::a_user_without_capabilities_serves_itself_only,
            ),
            (
                "powerless::a_user_with_lent_ids_is_root_of_its_own_namespace",
                powerless::a_user_with_lent_ids_is_root_of_its_own_namespace,
            ),
            (
                "powerless::one_of_the_two_capabilities_is_given_up_too",
                powerless::one_of_the_two_capabilities_is_given_up_too,
            ),
            (
                "powers::each_privilege_is_what_the_kernel_shows_of_its_capabilities",
                powers::each_privilege_is_what_the_kernel_shows_of_its_capabilities,
            ),
            ("powers::two_capabilities_are_four_privileges", powers::two_capabilities_are_four_privileges),
            ("powers::effective_only_leaves_nothing_to_enable", powers::effective_only_leaves_nothing_to_enable),
            (
                "powerless::with_every_id_and_setgroups_denied_it_serves_itself",
                powerless::with_every_id_and_setgroups_denied_it_serves_itself,
            ),
            ("powerless::denied_setgroups_is_said_aloud", powerless::denied_setgroups_is_said_aloud),
        ],
    )
}

/// The value of a line of the calling thread's status file, such as `CapEff`.
fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// CAP_SETUID and CAP_SETGID, as status files print them.
const TWO: &str = "00000000000000c0";
const NONE: &str = "0000000000000000";

fn start_up_keeps_two_capabilities_and_tests_itself() {
    let server = server();
    let report = server.report();
    let self_test = report.self_test.unwrap();
    assert_eq!(self_test.identities, 3);
    assert!(self_test.checks > 100, "{self_test:?}");
    assert_eq!(report.powers.kept().collect::<Vec<_>>(), ["CAP_SETGID", "CAP_SETUID"]);
    assert!(report.powers.dropped().any(|name| name == "CAP_DAC_OVERRIDE"));
    assert!(report.powers.bounding_is_cut());
    std::thread::spawn(|| {
        assert_eq!([status("CapPrm"), status("CapEff"), status("CapBnd")], [TWO, TWO, TWO]);
        assert_eq!([status("CapInh"), status("CapAmb"), status("NoNewPrivs")], [NONE, NONE, "1"]);
    })
    .join()
    .unwrap();
    assert_eq!(rustix::process::dumpable_behavior().unwrap(), rustix::process::DumpableBehavior::NotDumpable);
}

fn the_kernel_decides_and_records_the_client() {
    let scratch = Scratch::new();
    scratch.file("bob.txt", 0o600, 61_002, 61_002);
    scratch.file("alice.txt", 0o600, 61_001, 61_001);
    let server = server();
    let alice = client(&server, 61_001, &[]);
    let (own, others, made, shown) = server
        .run_as(&alice, |as_client| {
            std::fs::write(scratch.path("made.txt"), "by alice").unwrap();
            let made = std::fs::metadata(scratch.path("made.txt")).unwrap();
            let others = std::fs::read(scratch.path("bob.txt")).map_err(|error| error.raw_os_error());
            assert_eq!(status("Uid"), format!("{} 61001 0 61001", server.anonymous().uid()));
            assert_eq!([status("CapEff"), status("CapPrm")], [NONE, TWO]);
            (std::fs::read(scratch.path("alice.txt")), others, made, as_client.shown().clone())
        })
        .unwrap();
    assert_eq!(own.unwrap(), b"alice.txt");
    assert_eq!(others, Err(Some(libc::EACCES)));
    assert_eq!((made.uid(), made.gid()), (61_001, 61_001));
    assert_eq!(Some(shown.uid), KernelUid::new(61_001));
    assert_eq!(status("Uid"), "0 0 0 0");
    assert_eq!(std::fs::read(scratch.path("alice.txt")).unwrap_err().raw_os_error(), Some(libc::EACCES));
}

fn groups_grant_and_groups_deny() {
    let scratch = Scratch::new();
    scratch.file("team.txt", 0o660, 0, 61_300);
    scratch.file("not-team.txt", 0o604, 0, 61_300);
    let server = server();
    let read = |uid, groups: &[u32], name: &str| {
        let client = client(&server, uid, groups);
        server.run_as(&client, |_| std::fs::read(scratch.path(name)).is_ok()).unwrap()
    };
    let many: Vec<u32> = (61_300..61_364).collect();
    assert!(read(61_001, &[61_300], "team.txt") && read(61_001, &many, "team.txt"));
    assert!(!read(61_002, &[], "team.txt"));
    assert!(!read(61_001, &[61_300], "not-team.txt") && !read(61_001, &many, "not-team.txt"));
    assert!(read(61_002, &[], "not-team.txt"));
    // The group as the primary one denies, too.
    assert!(!read(61_300, &[], "not-team.txt"));
}

fn the_identity_ends_with_the_closure_also_by_panic() {
    let server = server();
    let alice = client(&server, 61_001, &[61_300]);
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        server.run_as(&alice, |_| {
            assert_eq!(status("Uid").split(' ').nth(1), Some("61001"));
            panic!("in the closure")
        })
    }));
    assert!(caught.is_err());
    assert_eq!([status("Uid"), status("Gid"), status("Groups")], ["0 0 0 0", "0 0 0 0", &server_groups()]);
    assert_eq!([status("CapEff"), status("CapPrm")], [TWO, TWO]);
    assert!(server.run_as(&alice, |_| ()).is_ok());
}

/// The groups this process was started with.
fn server_groups() -> String {
    let groups = rustix::process::getgroups().unwrap();
    groups.iter().map(|group| group.as_raw().to_string()).collect::<Vec<_>>().join(" ")
}

fn acting_does_not_nest() {
    let server = server();
    let (alice, bob) = (client(&server, 61_001, &[]), client(&server, 61_002, &[]));
    assert!(!vicar_os::acts_as_client());
    assert_eq!(server.run_as(&alice, |_| vicar_os::acts_as_client()), Ok(true));
    assert!(!vicar_os::acts_as_client());
    let inner = server.run_as(&alice, |_| server.run_as(&bob, |_| unreachable!("ran inside")));
    assert_eq!(inner.unwrap().map(|_: ()| ()), Err(EnterError::Misuse(Misuse::AlreadyImpersonating)));
    assert!(server.run_as(&bob, |_| ()).is_ok());
}

fn references_balance() {
    let server = server();
    let before = server.system().balance();
    for round in 0..100_u32 {
        let client = server.logon(vicar_os::LogonKind::Network, &identity(61_000 + round % 7, &[61_300])).unwrap();
        let again = client.clone();
        server.run_as(&again, |_| ()).unwrap();
        drop(client);
        assert!(server.system().balance() > before);
    }
    assert_eq!(server.system().balance(), before);
}

fn every_road_passes_its_trial() {
    let server = server();
    let threads = server.client_threads(vicar_os::ClientThreadOptions::default()).unwrap();
    for tried in [server.try_scoped(), server.try_threads(&threads), server.try_mailbox()] {
        let tried = tried.unwrap();
        // Two files, and at each of two hundred turns two ids and two files.
        assert_eq!((tried.identities, tried.checks), (2, 804));
    }
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 1 + 16);
}

/// A server that gave its privilege up cannot pass, whatever the threads still hold.
fn a_trial_sees_a_road_that_does_not_switch() {
    let server = server();
    let threads = server.client_threads(vicar_os::ClientThreadOptions::default()).unwrap();
    server.give_up_impersonation();
    for tried in [server.try_scoped(), server.try_threads(&threads), server.try_mailbox()] {
        assert!(matches!(tried, Err(vicar_os::TrialError::Refused(_))), "{tried:?}");
    }
}
