//! A test runner whose every test is the only thread of a process of its own.
//!
//! Start-up of a server is single-threaded, which the standard test runner is not. Prints what the standard one prints.

use std::process::{Command, ExitCode};

/// A test's name and body.
pub(crate) type Test = (&'static str, fn());

const ALONE: &str = "VICAR_TEST_ALONE";

/// Runs the tests that the command line asks for.
pub(crate) fn run(needs_root: bool, tests: &[Test]) -> ExitCode {
    if let Some(wanted) = std::env::var_os(ALONE) {
        for (name, body) in tests {
            if wanted == *name {
                body();
                return ExitCode::SUCCESS;
            }
        }
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let is_root = rustix::process::geteuid().is_root();
    let (mut passed, mut failed, mut ignored) = (0_u32, 0_u32, 0_u32);
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    println!("\nrunning {} tests", tests.iter().filter(|(name, _)| wanted(name)).count());
    for (name, _) in tests.iter().filter(|(name, _)| wanted(name)) {
        if needs_root && !is_root {
            println!("test {name} ... ignored, needs root");
            ignored += 1;
            continue;
        }
        let started = std::env::current_exe().and_then(|exe| Command::new(exe).env(ALONE, name).output());
        let output = match started {
            Ok(output) => output,
            Err(error) => {
                println!("test {name} ... FAILED (not started: {error})");
                failed += 1;
                continue;
            }
        };
        if output.status.success() {
            println!("test {name} ... ok");
            passed += 1;
        } else {
            println!("test {name} ... FAILED ({})", output.status);
            println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            failed += 1;
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
