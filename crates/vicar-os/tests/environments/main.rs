//! Every road in every environment: it works, or says what it needs.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test program: a failure is a panic")]

#[path = "../alone/mod.rs"]
mod alone;
mod place;
mod roads;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "../acting/scratch.rs"]
mod scratch;

use place::{Place, Said};
use roads::Road::{Elevated, Mailbox, Peer, Ring, Scoped, Sealed, SealedWithin, Supervisor, Threads};
use std::process::ExitCode;

const TESTS: &[alone::Test] = &[
    ("root", root),
    ("service", service),
    ("service_that_may_kill", service_that_may_kill),
    ("user", user),
    ("user_namespace", user_namespace),
    ("user_namespace_without_setgroups", user_namespace_without_setgroups),
    ("without_io_uring", without_io_uring),
    ("without_personalities", without_personalities),
    ("without_the_peers_process", without_the_peers_process),
    ("without_landlock", without_landlock),
];

fn main() -> ExitCode {
    alone::run(true, TESTS)
}

/// What is expected of a server that may act as others and has every process it wants.
const EVERYTHING: [(roads::Road, Said); 9] = [
    (Scoped, Said::Works),
    (Threads, Said::Works),
    (Mailbox, Said::Works),
    (Ring, Said::Works),
    (Sealed, Said::Works),
    (SealedWithin, Said::Works),
    (Elevated, Said::Works),
    (Supervisor, Said::Works),
    (Peer, Said::Works),
];

/// The same, but for some roads.
fn but(exceptions: &[(roads::Road, &'static str)]) -> Vec<(roads::Road, Said)> {
    let said = |road, usual| {
        let found = exceptions.iter().find(|(exception, _)| *exception == road);
        (road, found.map_or(usual, |(_, why)| Said::Why(why)))
    };
    EVERYTHING.into_iter().map(|(road, usual)| said(road, usual)).collect()
}

fn root() {
    place::expect(&Place::AsItIs, &but(&[]));
}

const NEEDS_KILL: &str = "this process needs CAP_KILL for it";
const NEEDS_MORE: &str = "this process needs CAP_DAC_READ_SEARCH and CAP_KILL and CAP_SETPCAP for it";

/// systemd's `User=`, `AmbientCapabilities=CAP_SETUID CAP_SETGID`.
fn service() {
    let exceptions = [(Sealed, NEEDS_KILL), (SealedWithin, NEEDS_KILL), (Elevated, NEEDS_MORE)];
    place::expect(&Place::Service { capabilities: "+setuid,+setgid" }, &but(&exceptions));
}

/// With `CAP_KILL` too, workers that do not end by themselves can be ended.
fn service_that_may_kill() {
    let needs = "this process needs CAP_DAC_READ_SEARCH and CAP_SETPCAP for it";
    place::expect(&Place::Service { capabilities: "+setuid,+setgid,+kill" }, &but(&[(Elevated, needs)]));
}

/// What is said of somebody whom the server may not act as.
const OTHERS: &str = "level Identification does not allow acting as the client: the gate lowered it at step User";

/// Nothing but one's own user.
fn user() {
    let needs = "this process needs CAP_KILL and CAP_SETGID and CAP_SETUID for it";
    let all =
        "this process needs CAP_DAC_READ_SEARCH and CAP_KILL and CAP_SETGID and CAP_SETUID and CAP_SETPCAP for it";
    let exceptions = [
        (Scoped, OTHERS),
        (Threads, OTHERS),
        (Mailbox, OTHERS),
        (Ring, "this process cannot change identities"),
        (Sealed, needs),
        (SealedWithin, needs),
        (Elevated, all),
    ];
    place::expect(&Place::Service { capabilities: "" }, &but(&exceptions));
}

fn user_namespace() {
    place::expect(&Place::Namespace { denies_groups: false }, &but(&[]));
}

fn user_namespace_without_setgroups() {
    let exceptions = [
        (Scoped, OTHERS),
        (Threads, OTHERS),
        (Mailbox, OTHERS),
        (Ring, "this process cannot change identities"),
        (Sealed, OTHERS),
        (SealedWithin, OTHERS),
        (Elevated, OTHERS),
    ];
    place::expect(&Place::Namespace { denies_groups: true }, &but(&exceptions));
}

fn without_io_uring() {
    let setup = |errno| Place::Filtered { call: libc::SYS_io_uring_setup, argument: None, errno };
    let forbidden = "io_uring_setup: Operation not permitted (os error 1); a filter or the sysctl kernel.io_uring_disabled \
                     forbids it";
    place::expect(&setup(libc::EPERM), &but(&[(Ring, forbidden)]));
    place::expect(&setup(libc::ENOSYS), &but(&[(Ring, "the kernel has no io_uring")]));
}

fn without_personalities() {
    // IORING_REGISTER_PERSONALITY.
    let place = Place::Filtered { call: libc::SYS_io_uring_register, argument: Some((1, 9)), errno: libc::EINVAL };
    place::expect(&place, &but(&[(Ring, "keeping an identity: Invalid argument (os error 22)")]));
}

fn without_the_peers_process() {
    // SO_PEERPIDFD. Without it the process is found by its number and looked at again.
    let place = Place::Filtered { call: libc::SYS_getsockopt, argument: Some((2, 77)), errno: libc::ENOPROTOOPT };
    place::expect(&place, &but(&[(Peer, "works, by number")]));
}

fn without_landlock() {
    let place = Place::Filtered { call: libc::SYS_landlock_create_ruleset, argument: None, errno: libc::ENOSYS };
    place::expect(
        &place,
        &but(&[(SealedWithin, "worker not sealed: this kernel has no Landlock, or it is switched off")]),
    );
}
