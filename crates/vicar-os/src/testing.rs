//! Running a test alone in a process of its own, as root.

use std::process::{Command, ExitStatus};

const ALONE: &str = "VICAR_TEST_ALONE";

/// Runs `body` in a fresh process that runs only the test `name` (its full path), and returns how that process ended.
///
/// `None` when the test was skipped, aloud, because it needs root.
pub(crate) fn alone(name: &str, body: impl FnOnce()) -> Option<ExitStatus> {
    if std::env::var_os(ALONE).is_some_and(|wanted| wanted == *name) {
        body();
        std::process::exit(0);
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: {name} needs root");
        return None;
    }
    let exe = std::env::current_exe().unwrap();
    let output = Command::new(exe).args([name, "--exact", "--nocapture"]).env(ALONE, name).output().unwrap();
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Some(output.status)
}

/// As [`alone`], and the process must end well.
pub(crate) fn passes_alone(name: &str, body: impl FnOnce()) {
    if let Some(status) = alone(name, body) {
        assert!(status.success(), "{name}: {status}");
    }
}
