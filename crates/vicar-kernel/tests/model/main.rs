//! Random sequences of everything that touches an identity, done to the kernel and to a model of its rules.
//!
//! After every step the ten invariants of the specification hold and both sides agree: who wears whom at which level, every
//! reference, every session, what the effective token is and what it authorises. A failure prints the seed and the shortest
//! sequence of steps that still fails; `VICAR_MODEL_SEED=n` runs that sequence alone, `VICAR_MODEL_STEPS=n` so many steps.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a helper of a test that fails is a test that fails; indices and counts are the test's own"
)]

mod cast;
mod crowd;
mod op;
mod rules;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use vicar_kernel::{Policy, Profile};

use crate::op::{Op, Random};
use crate::stage::Stage;

/// Steps in one sequence.
const LENGTH: usize = 250;
/// Steps in all, unless the environment names another number.
const STEPS: u64 = 1_000_000;

/// A sequence: its seed gives profile, policy and steps.
fn sequence(seed: u64) -> (Profile, Policy, Vec<Op>) {
    let mut random = Random::new(seed);
    // The reference profile and the strict policy most often.
    let profile = if random.below(2) == 0 { Profile::V4 } else { Profile::ALL[random.below(Profile::ALL.len())] };
    let policy = if random.below(3) == 0 { Policy::compatible() } else { Policy::strict() };
    (profile, policy, (0..LENGTH).map(|_| random.op()).collect())
}

fn run(profile: Profile, policy: Policy, ops: &[Op]) {
    let mut stage = Stage::new(profile, policy);
    for op in ops {
        stage.step(*op);
    }
    stage.end();
}

fn fails(profile: Profile, policy: Policy, ops: &[Op]) -> bool {
    catch_unwind(AssertUnwindSafe(|| run(profile, policy, ops))).is_err()
}

/// Takes away what is not needed for a failure: halves, quarters, then single steps.
fn shortest(profile: Profile, policy: Policy, mut ops: Vec<Op>) -> Vec<Op> {
    let mut size = ops.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + size).min(ops.len()));
            if fails(profile, policy, &fewer) { ops = fewer } else { at += size }
        }
        size /= 2;
    }
    ops
}

fn report(seed: u64) -> ! {
    let (profile, policy, ops) = sequence(seed);
    std::panic::set_hook(Box::new(|_| {}));
    let ops = shortest(profile, policy, ops);
    drop(std::panic::take_hook());
    let policy_name = if policy == Policy::strict() { "strict" } else { "compatible" };
    eprintln!("VICAR_MODEL_SEED={seed}: profile {profile:?}, policy {policy_name}, {} steps:", ops.len());
    for op in &ops {
        eprintln!("    {op:?}");
    }
    run(profile, policy, &ops);
    panic!("seed {seed} failed at first and not again");
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn t231_a_million_random_steps_agree_with_the_model() {
    if let Some(seed) = from_environment("VICAR_MODEL_SEED") {
        let (profile, policy, ops) = sequence(seed);
        if fails(profile, policy, &ops) {
            report(seed);
        }
        return;
    }
    let wanted = from_environment("VICAR_MODEL_STEPS").unwrap_or(STEPS);
    let sequences = wanted.div_ceil(u64::try_from(LENGTH).unwrap());
    let (next, failed) = (AtomicU64::new(1), AtomicU64::new(0));
    // Each sequence has a world of its own, so two processors simply take turns.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > sequences || failed.load(Ordering::Relaxed) != 0 {
                        return;
                    }
                    let (profile, policy, ops) = sequence(seed);
                    if fails(profile, policy, &ops) {
                        failed.store(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        0 => println!("{} steps in {sequences} sequences", sequences * u64::try_from(LENGTH).unwrap()),
        seed => report(seed),
    }
}
