//! What hostile people do to a server that acts as them: each case against one real gateway in a process of its own, and afterwards a
//! look at every thread of that process.
//!
//! The program runs itself again in a private mount namespace (for the full disk), as the server and as the kernel's children.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test program: what goes wrong ends it"
)]

mod browser;
mod disk;
mod link;
mod lock;
mod name;
mod special;
mod upload;
mod wire_abuse;

#[path = "../soak/cast.rs"]
#[expect(dead_code, reason = "the soak uses the rest")]
mod cast;
#[path = "../soak/rig.rs"]
mod rig;
#[path = "../soak/server.rs"]
mod server;
#[path = "../soak/threads.rs"]
mod threads;
#[path = "../soak/wire.rs"]
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use cast::User;
use rig::Rig;
use wire::{Got, Sent, Wire};

/// Set once the process has its own mounts.
const MOUNTS: &str = "VICAR_TEST_MOUNTS";

/// What a case works with: a running gateway and two people who have nothing in common but `TEAM`, which bob is not in.
pub(crate) struct Scene {
    pub(crate) rig: Rig,
    pub(crate) alice: User,
    pub(crate) bob: User,
}

/// How a case ended, if not by a panic.
pub(crate) enum Outcome {
    Held,
    /// It could not be tried here.
    Skipped(&'static str),
}

type Case = (&'static str, fn(&Scene) -> Outcome);

impl Scene {
    /// Asks on a connection of its own.
    pub(crate) fn ask(&self, user: &User, sent: Sent) -> Got {
        self.try_ask(user, sent).expect("an answer")
    }

    pub(crate) fn try_ask(&self, user: &User, sent: Sent) -> std::io::Result<Got> {
        Wire::open(self.rig.address)?.ask(&sent.sign_in(&user.name, &user.password))
    }

    pub(crate) fn get(&self, user: &User, path: &str) -> Got {
        self.ask(user, Sent::new("GET", path))
    }

    pub(crate) fn put(&self, user: &User, path: &str, body: &[u8]) -> u16 {
        self.ask(user, Sent::new("PUT", path).body(body)).status
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire::open(self.rig.address).expect("a connection")
    }

    /// The whole URL of a path, for a Destination.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.rig.address)
    }

    /// A directory for one case: alice's, readable by all.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        let path = self.rig.path(name);
        rig::directory(&path, self.alice.uid, self.alice.gid, 0o755);
        path
    }

    pub(crate) fn alices(&self, path: &std::path::Path, mode: u32, content: &str) {
        rig::file(path, self.alice.uid, self.alice.gid, mode, content.as_bytes());
    }

    pub(crate) fn bobs(&self, path: &std::path::Path, mode: u32, content: &str) {
        rig::file(path, self.bob.uid, self.bob.gid, mode, content.as_bytes());
    }
}

/// Whether a status refuses.
pub(crate) fn is_refused(status: u16) -> bool {
    (400..500).contains(&status)
}

fn main() -> ExitCode {
    if let Ok(order) = std::env::var(rig::ROLE) {
        server::live(&order);
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        println!("\nrunning 1 test\nskipped: hostile people need root to be played");
        println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(MOUNTS).is_none() {
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        let program = std::env::current_exe().unwrap();
        let mut run = Command::new("unshare");
        run.args(["--mount", "--propagation", "private", "--"]).arg(&program).args(&arguments).env(MOUNTS, "own");
        if let Ok(status) = run.status() {
            return ExitCode::from(u8::try_from(status.code().unwrap_or(101)).unwrap_or(101));
        }
        println!("no unshare(1): the cases that mount are skipped");
    }
    run_all()
}

fn run_all() -> ExitCode {
    let begun = Instant::now();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let cases: Vec<Case> = [
        link::CASES,
        special::CASES,
        name::CASES,
        upload::CASES,
        lock::CASES,
        browser::CASES,
        wire_abuse::CASES,
        disk::CASES,
    ]
    .concat()
    .into_iter()
    .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())))
    .collect();
    println!("\nrunning {} tests", cases.len() + 1);
    let scratch = rig::scratch("hostile");
    // Readable by everybody, and outside all the same.
    rig::file(&scratch.join("outside.txt"), 0, 0, 0o644, b"outside\n");
    rig::directory(&scratch.join("share"), 0, 0, 0o755);
    let alice = User::new("alice", 61_001, [cast::TEAM]);
    let bob = User::new("bob", 61_002, []);
    let users = [alice.clone(), bob.clone()];
    let rig = Rig::start(scratch, &users, |order| order.head_seconds = Some(3));
    let mut scene = Scene { rig, alice, bob };
    let mut failed = Vec::new();
    for (name, case) in &cases {
        let at = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| case(&scene))) {
            Ok(Outcome::Held) => println!("test {name} ... ok ({:.1} s)", at.elapsed().as_secs_f64()),
            Ok(Outcome::Skipped(why)) => println!("skipped: {name}: {why}"),
            Err(_) => {
                println!("test {name} ... FAILED");
                failed.push(*name);
            }
        }
    }
    let complaints = scene.rig.complaints();
    let name = "the_server_lives_and_every_thread_is_who_it_should_be";
    let is_json = scene.rig.audit().lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    let status = scene.rig.stop();
    if complaints.is_empty() && is_json && status.success() {
        println!("test {name} ... ok");
    } else {
        println!(
            "test {name} ... FAILED: {complaints:?}, {status}, log lines are JSON: {is_json}\n{}",
            scene.rig.words()
        );
        failed.push(name);
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("\nfailures: {failed:?}");
    println!(
        "test result: {word}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        cases.len() + 1 - failed.len(),
        failed.len(),
        begun.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
