//! The soak: many clients, eight users, every kind of request, cut connections and panics, and after each request the question whether
//! it was what the kernel does for the same user in a process that is that user for good.
//!
//! The server is this program again, in a process of its own. `VICAR_SOAK_REQUESTS`, `VICAR_SOAK_CLIENTS` and `VICAR_SOAK_SEED` change
//! the numbers; `--include-ignored` asks for the whole soak.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a test program: what goes wrong ends it"
)]

mod cast;
mod chance;
mod count;
mod kernel;
mod log;
mod plan;
#[expect(dead_code, reason = "the hostile cases use the rest")]
mod rig;
mod server;
mod threads;
mod tree;
#[expect(dead_code, reason = "the hostile cases use the rest")]
mod wire;
mod worker;

use std::process::ExitCode;
use std::time::Instant;

use cast::User;
use count::Count;
use kernel::Kernel;
use plan::{ASKED, JUDGED, Plan};
use rig::Rig;
use worker::{Actor, GivenUp, Worker, World};

/// Requests in the short soak and in the whole one.
const SHORT: usize = 5_000;
const WHOLE: usize = 100_000;
const CLIENTS: usize = 64;
/// Requests to a server that is wrong on purpose.
const SABOTAGED: usize = 1_000;

/// What the server is told about its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Truth,
    /// No supplementary groups.
    GroupsForgotten,
    /// The first two users have each other's ids.
    Swapped,
}

impl Told {
    fn about(self, users: &[User]) -> Vec<User> {
        let mut told = users.to_vec();
        match self {
            Self::Truth => {}
            Self::GroupsForgotten => told.iter_mut().for_each(|user| user.groups.truncate(1)),
            Self::Swapped => {
                told.swap(0, 1);
                for (told, user) in told.iter_mut().zip(users) {
                    told.name.clone_from(&user.name);
                    told.password.clone_from(&user.password);
                }
            }
        }
        told
    }
}

fn main() -> ExitCode {
    if let Ok(ids) = std::env::var(kernel::ROLE) {
        kernel::live(&ids);
        return ExitCode::SUCCESS;
    }
    if let Ok(order) = std::env::var(rig::ROLE) {
        server::live(&order);
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    println!("\nrunning 1 test");
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the soak needs root");
        println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        return ExitCode::SUCCESS;
    }
    let is_whole = std::env::args().any(|argument| argument == "--include-ignored");
    let requests = number("VICAR_SOAK_REQUESTS").unwrap_or(if is_whole { WHOLE } else { SHORT });
    let clients = number("VICAR_SOAK_CLIENTS").unwrap_or(CLIENTS);
    let seed = number("VICAR_SOAK_SEED").unwrap_or(20_261_124) as u64;
    // First whether it can fail at all: with a server that is told wrongly who its users are.
    let found: Vec<_> =
        [Told::GroupsForgotten, Told::Swapped].map(|told| soak(SABOTAGED, clients, seed, told)).into_iter().collect();
    let is_blind = found.contains(&0);
    println!("soak of wrong servers: {found:?} wrong verdicts found");
    let wrong = soak(requests, clients, seed, Told::Truth) + usize::from(is_blind);
    let (word, passed, failed) = if wrong == 0 { ("ok", 1, 0) } else { ("FAILED", 0, 1) };
    println!("test soak ... {word}\n");
    println!(
        "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        begun.elapsed().as_secs_f64()
    );
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// Two users for each client: next to each other at first, then farther apart.
fn pair(worker: usize, users: usize) -> [usize; 2] {
    let first = worker % users;
    let distance = 1 + (worker / users) % (users - 1);
    [first, (first + distance) % users]
}

fn soak(requests: usize, clients: usize, seed: u64, told: Told) -> usize {
    let users = cast::eight();
    let scratch = rig::scratch("soak");
    let share = scratch.join("share");
    rig::directory(&share, 0, 0, 0o755);
    let mut shared_files = Vec::new();
    for tree in [ASKED, JUDGED] {
        let tree = share.join(tree);
        rig::directory(&tree, 0, 0, 0o755);
        for worker in 0..clients {
            plan::lay_area(&tree, worker, pair(worker, users.len()).map(|number| &users[number]), seed);
        }
        if tree.ends_with(ASKED) {
            shared_files = plan::lay_shared(&tree, &users);
        }
    }
    let kernels: Vec<Kernel> = users.iter().map(Kernel::start).collect();
    let mut rig = Rig::start(scratch, &told.about(&users), |order| order.faults = true);
    if told == Told::Truth {
        println!("soak: {requests} requests, {clients} clients, seed {seed}, server process {}", rig.pid);
    }
    let world = World { address: rig.address, share: rig.share(), shared_files, count: Count::default() };
    let begun = Instant::now();
    let given_up = run(&world, &users, &kernels, requests, clients, seed);
    let seconds = begun.elapsed().as_secs_f64();
    for complaint in rig.complaints() {
        world.count.complain(complaint);
    }
    tree::compare(&world.share, &given_up, &world.count);
    let lines = log::compare(&rig.audit(), &users, &world.count);
    let status = rig.stop();
    if !status.success() {
        world.count.complain(format!("the server ended with {status}: {}", rig.words()));
    }
    if told == Told::Truth {
        println!("{lines} lines in the audit log");
        world.count.print(seconds);
        world.count.insist(requests);
    }
    world.count.wrong()
}

fn run(world: &World, users: &[User], kernels: &[Kernel], requests: usize, clients: usize, seed: u64) -> Vec<GivenUp> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|number| {
                let actors = pair(number, users.len()).map(|at| Actor { user: &users[at], kernel: &kernels[at] });
                let worker = Worker::new(world, actors, Plan::new(number, seed));
                let share = requests / clients + usize::from(number < requests % clients);
                scope.spawn(move || worker.work(share))
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a client")).collect()
    })
}
