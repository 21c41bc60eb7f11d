//! A test runner whose every test is the only thread of a process of its own.
//!
//! Start-up of a server is single-threaded, which the standard test runner is not. Prints what the standard one prints.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A test's name and body.
pub(crate) type Test = (&'static str, fn());

const ALONE: &str = "VICAR_TEST_ALONE";

/// This program, where every user can execute it: tests start it again as somebody else.
struct Program {
    path: PathBuf,
    /// Where the copy lies that is removed at the end.
    copy: Option<PathBuf>,
}

impl Program {
    fn for_everybody() -> std::io::Result<Self> {
        let path = std::env::current_exe()?;
        let is_open = |way: &Path| std::fs::metadata(way).is_ok_and(|data| data.permissions().mode() & 0o001 != 0);
        if path.ancestors().all(is_open) {
            return Ok(Self { path, copy: None });
        }
        let directory = std::env::temp_dir().join(format!("vicar-test-program-{}", std::process::id()));
        std::fs::create_dir(&directory)?;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))?;
        // Kept from here on, so that a copy that fails is removed too.
        let copied = Self { path: directory.join("program"), copy: Some(directory) };
        std::fs::copy(&path, &copied.path)?;
        std::fs::set_permissions(&copied.path, std::fs::Permissions::from_mode(0o755))?;
        Ok(copied)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(copy) = &self.copy {
            let _ = std::fs::remove_dir_all(copy);
        }
    }
}

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
    let program = match Program::for_everybody() {
        Ok(program) => program,
        Err(error) => {
            println!("this program cannot be found or copied: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed, mut ignored) = (0_u32, 0_u32, 0_u32);
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    println!("\nrunning {} tests", tests.iter().filter(|(name, _)| wanted(name)).count());
    for (name, _) in tests.iter().filter(|(name, _)| wanted(name)) {
        if needs_root && !is_root {
            println!("test {name} ... ignored, needs root");
            ignored += 1;
            continue;
        }
        let output = match Command::new(&program.path).env(ALONE, name).output() {
            Ok(output) => output,
            Err(error) => {
                println!("test {name} ... FAILED (not started: {error})");
                failed += 1;
                continue;
            }
        };
        if output.status.success() {
            println!("test {name} ... ok");
            // What a test says that it left out or counted is heard also when it passes.
            for text in [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)) {
                let is_heard = |line: &&str| line.starts_with("skipped: ") || line.starts_with("counted: ");
                text.lines().filter(is_heard).for_each(|line| println!("{line}"));
            }
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
