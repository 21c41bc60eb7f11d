//! Measures what acting as a client costs, beside the other ways of doing it, as paired ratios in one run.
//!
//! Each figure comes from a process of its own, pinned to one processor, started for it: identities, thread counts and
//! capability sets of one method cannot leak into the next. Between every two measurements stands a plain one (the
//! server's own call, no impersonation); a method's ratio is its time over the mean of the two plain ones around it, and
//! what is printed is the median over the rounds.
//!
//! It measures; it decides nothing, and no other crate may depend on it.

mod beside;
mod child;
mod decide;
mod kernel;
mod layer;
mod method;
mod op;
mod ours;
mod peers;
mod report;
mod ring;
mod scratch;

use std::process::ExitCode;

use clap::Parser;

use crate::method::Method;
use crate::op::Op;

/// Measures what acting as a client costs, beside the other ways of doing it.
#[derive(Debug, Parser)]
#[command(name = "vicar-bench", version)]
struct Args {
    /// Print `{rows: [{name, op, groups, median_ns, ratio, rounds, peer}]}` instead of a table.
    #[arg(long)]
    json: bool,
    /// Print the same rows as JSON objects, one a line.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// Every way and operation, clients with 0, 3, 64 and 1,024 groups; 45 seconds a round instead of six (two processors
    /// of a busy virtual machine), seven minutes by default.
    #[arg(long)]
    full: bool,
    /// Only what vicar-kernel costs by itself; needs no rights.
    #[arg(long)]
    kernel: bool,
    /// Only what vicar-nt costs by itself: checks, batches, validating, text; needs no rights.
    #[arg(long)]
    checks: bool,
    /// How many times the whole list is gone through.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(3..=99))]
    rounds: u32,
    /// Length of one timed window in milliseconds; the best of several windows counts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    window_ms: u64,
    /// The interpreter through which Samba, winacl and impacket are asked, each where it is installed.
    #[arg(long, default_value = "/usr/bin/python3", value_name = "PATH")]
    python: std::path::PathBuf,
    /// One measurement, in this process: how the program calls itself.
    #[arg(long, hide = true, requires_all = ["op", "groups", "scratch"])]
    measure: Option<Method>,
    /// One measurement of the layer, in this process.
    #[arg(long, hide = true)]
    layer: bool,
    #[arg(long, hide = true)]
    op: Option<Op>,
    #[arg(long, hide = true)]
    groups: Option<u32>,
    #[arg(long, hide = true)]
    scratch: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("vicar-bench: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let window = std::time::Duration::from_millis(args.window_ms);
    if let (Some(method), Some(op), Some(groups), Some(scratch)) = (args.measure, args.op, args.groups, &args.scratch) {
        let ns = child::measure(method, &op::Target::new(op, scratch)?, groups, window)?;
        println!("{ns}");
        return Ok(());
    }
    if args.layer {
        return layer::print(window);
    }
    if args.kernel {
        return print(&report::Report::of_kernel(args.rounds, window)?, args);
    }
    if args.checks {
        return print(&report::Report::of_checks(args.rounds, window, &args.python)?, args);
    }
    if !rustix::process::geteuid().is_root() {
        return Err("needs root: it switches to throw-away user ids and back".to_owned());
    }
    let scratch = scratch::Scratch::create()?;
    let report = report::Report::collect(args.full, args.rounds, window, scratch.path(), &args.python)?;
    print(&report, args)
}

fn print(report: &report::Report, args: &Args) -> Result<(), String> {
    match (args.json, args.jsonl) {
        (true, _) => report.print_json(),
        (false, true) => report.print_lines(),
        (false, false) => report.print_table(),
    }
}
