//! One measurement in a process that was started for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::thread::CpuSet;

use crate::method::{Method, Running};
use crate::op::{Op, Target};
use crate::{ours, peers, ring};

/// Fewest and most windows that are timed; the best one counts, because everything else on the machine only makes it
/// longer. Many short windows find the machine undisturbed more often than few long ones.
const WINDOWS: std::ops::RangeInclusive<usize> = 5..=40;
/// Most operations in one window.
const MAX_COUNT: f64 = 200_000.0;

/// Starts this program again for one measurement and returns its nanoseconds per operation.
pub(crate) fn spawn(method: Method, op: Op, groups: u32, window: Duration, scratch: &Path) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    let output = Command::new(program)
        .args(["--measure", method.name(), "--op", op.name(), "--groups", &groups.to_string()])
        .args(["--window-ms", &window.as_millis().to_string()])
        .arg("--scratch")
        .arg(scratch)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("start of {}: {error}", method.name()))?;
    if !output.status.success() {
        return Err(format!("{} with {groups} groups: {}", method.name(), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("{} answered {text:?}", method.name()))
}

/// Measures in this process and returns nanoseconds per operation.
pub(crate) fn measure(method: Method, target: &Target, groups: u32, window: Duration) -> Result<f64, String> {
    let mut one = CpuSet::new();
    one.set(0);
    // Not allowed in some containers; the figures are only noisier then.
    let _ = rustix::thread::sched_setaffinity(None, &one);
    let mut running = set_up(method, target, groups)?;
    let warm = running.time(8)?;
    let each = per_operation(warm, 8).max(100.0);
    let count = whole((window.as_secs_f64() * 1e9 / each).clamp(2.0, MAX_COUNT));
    let mut best = f64::INFINITY;
    let mut spent = Duration::ZERO;
    let enough = window.saturating_mul(20);
    for done in 0..*WINDOWS.end() {
        if done >= *WINDOWS.start() && spent >= enough {
            break;
        }
        let took = running.time(count)?;
        spent = spent.saturating_add(took);
        best = best.min(per_operation(took, count));
    }
    Ok(best)
}

fn set_up(method: Method, target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    match method {
        Method::Plain => peers::plain(target),
        Method::Naive => peers::naive(target, groups),
        Method::Libc1 => peers::libc_wrappers(target, groups, 0),
        Method::Libc16 => peers::libc_wrappers(target, groups, 16),
        Method::Libc128 => peers::libc_wrappers(target, groups, 128),
        Method::Setfsuid => peers::setfsuid(target),
        Method::Fork => peers::fork(target, groups),
        Method::RunAs => ours::run_as(target, groups),
        Method::Sticky => ours::sticky(target, groups),
        Method::Alternate => ours::alternate(target, groups),
        Method::Pool => ours::pool(target, groups, 1),
        Method::PoolBatch => ours::pool(target, groups, 32),
        Method::Sticky90 => ours::sticky90(target, groups),
        Method::Pool90 => ours::pool90(target, groups, 1),
        Method::Pool90Ten => ours::pool90(target, groups, 10),
        Method::Sealed => ours::sealed(target, groups, 1),
        Method::SealedBatch => ours::sealed(target, groups, 32),
        Method::Ring => ring::ring(target, groups, 1),
        Method::Ring8 => ring::ring(target, groups, 8),
        Method::Ring32 => ring::ring(target, groups, 32),
    }
}

fn per_operation(took: Duration, count: u32) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(count)
}

/// The whole part of a number that is known to lie between 2 and [`MAX_COUNT`].
fn whole(count: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 2..=200,000 by the caller")]
    let whole = count as u32;
    whole
}
