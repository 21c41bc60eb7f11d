//! `vicar passwd`: what it writes, keeps and refuses.
#![expect(clippy::unwrap_used, reason = "test program")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vicar_gateway::signin::file::{PasswordFile, Root, Who};

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("vicar-test-passwd-{name}-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

/// Runs it with this on standard input; gives the exit code and what it said on standard error.
fn passwd(file: &Path, person: &str, input: &[u8]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vicar"))
        .arg("passwd")
        .args([file.as_os_str(), person.as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A person that is refused is refused before anything is read.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_line_is_made_replaced_and_signs_in() {
    let dir = scratch("lines");
    let file = dir.join("passwords");
    assert_eq!(passwd(&file, "alice@61001:61001,61050", b"first one\n"), (Some(0), String::new()));
    let (code, said) = passwd(&file, "no-such-account", "pässwörd:with colons".as_bytes());
    assert_eq!(code, Some(0));
    assert!(said.contains("warning: this system has no account no-such-account"), "{said}");
    assert_eq!(passwd(&file, "daemon", b"a warning less\n"), (Some(0), String::new()));
    assert_eq!(passwd(&file, "alice@61001:61001", b"second one\r\nand more"), (Some(0), String::new()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = std::fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("second one"));
    let parsed = PasswordFile::parse(&text, &file, Root::Refused).unwrap();
    assert_eq!(parsed.len(), 3);
    assert_eq!(parsed.verify("no-such-account", "pässwörd:with colons"), Some(&Who::System));
    assert_eq!(parsed.verify("alice", "first one"), None);
    let alice = parsed.verify("alice", "second one").unwrap();
    assert!(matches!(alice, Who::Numeric(identity) if identity.to_string() == "uid 61001 gid 61001 groups 61001"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_is_refused_changes_nothing() {
    let dir = scratch("refused");
    let file = dir.join("passwords");
    for (person, input, said) in [
        ("alice", &b""[..], "the password is empty"),
        ("alice", b"\n", "the password is empty"),
        ("alice", b"a\tb\n", "control character"),
        ("alice", b"\xff\xfe\n", "not UTF-8"),
        ("alice", &[b'x'; 2_000], "longer than 1024"),
        ("a b", b"x\n", "expected a name"),
        ("alice@x:1", b"x\n", "expected a decimal id"),
        ("alice@61001", b"x\n", "expected a group id after"),
        ("alice@4294967295:1", b"x\n", "nobody's"),
    ] {
        let (code, stderr) = passwd(&file, person, input);
        assert_eq!(code, Some(2), "{person}");
        assert!(stderr.contains(said), "{person}: {stderr}");
        assert!(!file.exists(), "{person}");
    }
    std::fs::write(&file, "not a password file\n").unwrap();
    let (code, stderr) = passwd(&file, "alice", b"x\n");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("passwords:1: expected NAME:HASH"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a password file\n");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o622)).unwrap();
    let (code, stderr) = passwd(&file, "alice", b"x\n");
    assert!(code == Some(2) && stderr.contains("writable by nobody else"), "{stderr}");
    std::fs::remove_dir_all(&dir).unwrap();
}
