//! File operations as throw-away users, against the kernel and against somebody who renames behind our back.
//!
//! Each test is a process of its own: it arranges its files as root, then gives up its powers and acts as clients. The
//! process that started it clears up.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

mod content;
mod name;
mod race;
mod stage;

use std::process::{Command, ExitCode};

use stage::Stage;

/// A test: how the files are arranged, and what is done with them.
type Test = (&'static str, fn(&Stage), fn(&stage::Acting));

const ALONE: &str = "VICAR_TEST_ALONE";

fn main() -> ExitCode {
    let tests: Vec<Test> = [name::TESTS, content::TESTS, race::TESTS].concat();
    if let Some(wanted) = std::env::var_os(ALONE) {
        let (_, arrange, act) = tests.iter().find(|(name, _, _)| wanted == **name).unwrap();
        let stage = Stage::of(&std::env::args().nth(1).unwrap());
        arrange(&stage);
        act(&stage.act());
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, one, other] = arguments.as_slice()
        && word == "race"
    {
        race::race(one, other);
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let (mut passed, mut failed) = (0_u32, 0_u32);
    println!("\nrunning {} tests", tests.iter().filter(|(name, _, _)| wanted(name)).count());
    for (name, _, _) in tests.iter().filter(|(name, _, _)| wanted(name)) {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: {name} needs root");
            passed += 1;
            continue;
        }
        let scratch = std::env::temp_dir().join(format!("vicar-fs-{}-{name}", std::process::id()));
        stage::prepare(&scratch);
        let exe = std::env::current_exe().unwrap();
        let output = Command::new(exe).arg(&scratch).env(ALONE, name).output().unwrap();
        std::fs::remove_dir_all(&scratch).unwrap();
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
