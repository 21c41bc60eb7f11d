//! A runner whose every test is a process of its own.

use std::process::{Command, ExitCode};

/// A test's name and body.
pub(crate) type Test = (&'static str, fn());

const ALONE: &str = "VICAR_TEST_ALONE";

/// Runs the tests that the command line asks for, and prints what the standard runner prints.
pub(crate) fn run(tests: &[Test]) -> ExitCode {
    if let Some(wanted) = std::env::var_os(ALONE) {
        let (_, body) = tests.iter().find(|(name, _)| wanted == **name).unwrap();
        body();
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted: Vec<&Test> = tests
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
        .collect();
    println!("\nrunning {} tests", wanted.len());
    let (mut passed, mut failed) = (0_u32, 0_u32);
    for (name, _) in &wanted {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: {name} needs root");
            passed += 1;
            continue;
        }
        let output = Command::new(std::env::current_exe().unwrap()).env(ALONE, name).output().unwrap();
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
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}
