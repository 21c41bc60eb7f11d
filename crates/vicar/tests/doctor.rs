//! `vicar doctor`: what it shows, tries and answers.
#![expect(clippy::unwrap_used, reason = "test program")]

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

fn doctor(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vicar")).arg("doctor").args(args).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_road_of_root_is_open_and_was_tried() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: needs root");
    }
    let output = doctor(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = json(&output);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(told["machine"]["kernel"], format!("Linux {}", release.trim()));
    assert!(told["machine"]["mounts"].is_array());
    let roads = told["roads"].as_array().unwrap();
    for name in ["this thread", "client threads", "io_uring", "mailbox", "sealed workers"] {
        let road = roads.iter().find(|road| road["name"] == name).unwrap();
        assert_eq!((&road["state"], road.get("why")), (&"open".into(), None), "{road}");
        assert!(road["trial"]["checks"].as_u64().unwrap() > 400, "{road}");
    }
    let text = String::from_utf8(doctor(&["--directory", "/tmp"]).stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("client threads    open     2 identities")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("directory         /tmp")), "{text}");
}

#[test]
fn without_powers_it_says_so_and_judges_nothing() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: needs root");
    }
    // Where it was built others may not get.
    let directory = std::env::temp_dir().join(format!("vicar-test-doctor-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.join("vicar");
    std::fs::copy(env!("CARGO_BIN_EXE_vicar"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=61000", "--regid=61000", "--clear-groups"]).arg(&program).args(["doctor", "--json"]);
    let output = command.current_dir("/").output().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let told = json(&output);
    assert!(told["machine"]["process"].as_str().unwrap().starts_with("uid 61000, no capabilities"), "{told}");
    for road in told["roads"].as_array().unwrap() {
        assert_eq!(road["state"], "closed", "{road}");
        assert!(road["why"].as_str().unwrap().contains("own user"), "{road}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let output = doctor(&["--directory", "/no/such/directory"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/no/such/directory: "));
}
