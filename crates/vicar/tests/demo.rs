//! `vicar demo` as a newcomer runs it: what it prints, and that nothing stays.
#![expect(clippy::unwrap_used, reason = "test program")]

use rustix::process::{Pid, Signal};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const VICAR: &str = env!("CARGO_BIN_EXE_vicar");

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// A directory for temporary files of this test alone, that everybody can reach.
fn own_tmp(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("vicar-test-{name}-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn demo(tmp: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(VICAR);
    command.arg("demo").args(args).env("TMPDIR", tmp).stdin(Stdio::null());
    command
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

/// Waits until nothing is left below `dir`.
fn wait_empty(dir: &Path) {
    let start = Instant::now();
    while entries(dir) > 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "left behind in {}", dir.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_demo_says_who_got_what_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let tmp = own_tmp("demo-once");
    let output = demo(&tmp, &["--once", "--json"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.lines().count(), 1);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["ok"], true);
    assert!(told.get("url").is_none() && told.get("people").is_none());
    let verdicts = told["verdicts"].as_array().unwrap();
    let find = |who: &str, op: &str, path: &str| {
        verdicts
            .iter()
            .find(|verdict| verdict["who"] == who && verdict["op"] == op && verdict["path"] == path)
            .unwrap_or_else(|| panic!("no verdict for {who} {op} {path}"))
    };
    let uid_of = |name: &str, path: &str| find(name, "GET", path)["owner_uid"].as_u64().unwrap();
    let (alice, bob) = (uid_of("alice", "alice/a.txt"), uid_of("bob", "bob/b.txt"));
    let carol = find("carol", "PUT", "carol/from-carol.txt")["owner_uid"].as_u64().unwrap();
    let team = find("alice", "GET", "team/t.txt")["owner_gid"].as_u64().unwrap();
    let ids = [alice, bob, carol, team];
    assert!(ids.iter().all(|id| (61_000..62_000).contains(id)), "{ids:?}");
    let yes = |http: u64, uid: u64, gid: u64| ("allowed", http, Some(uid), Some(gid));
    let no = |uid: u64, gid: u64| ("refused", 403, Some(uid), Some(gid));
    let none = ("refused", 403, None, None);
    let expected = [
        ("alice", "GET", "alice/a.txt", yes(200, alice, alice)),
        ("alice", "GET", "bob/b.txt", no(bob, bob)),
        ("alice", "GET", "team/t.txt", yes(200, 0, team)),
        ("alice", "GET", "team/not-for-team.txt", no(0, team)),
        ("bob", "GET", "alice/a.txt", no(alice, alice)),
        ("bob", "GET", "bob/b.txt", yes(200, bob, bob)),
        ("bob", "GET", "team/t.txt", no(0, team)),
        ("bob", "GET", "team/not-for-team.txt", yes(200, 0, team)),
        ("carol", "GET", "alice/a.txt", no(alice, alice)),
        ("carol", "GET", "bob/b.txt", no(bob, bob)),
        ("carol", "GET", "team/t.txt", no(0, team)),
        ("carol", "GET", "team/not-for-team.txt", yes(200, 0, team)),
        ("alice", "PUT", "alice/from-alice.txt", yes(201, alice, alice)),
        ("alice", "PUT", "bob/from-alice.txt", none),
        ("alice", "PUT", "team/from-alice.txt", yes(201, alice, team)),
        ("bob", "PUT", "bob/from-bob.txt", yes(201, bob, bob)),
        ("bob", "PUT", "carol/from-bob.txt", none),
        ("bob", "PUT", "team/from-bob.txt", none),
        ("carol", "PUT", "carol/from-carol.txt", yes(201, carol, carol)),
        ("carol", "PUT", "alice/from-carol.txt", none),
        ("carol", "PUT", "team/from-carol.txt", none),
        ("alice", "PUT", "team/t.txt", yes(204, 0, team)),
        ("bob", "PUT", "team/t.txt", no(0, team)),
        ("carol", "PUT", "team/t.txt", no(0, team)),
    ];
    assert_eq!(verdicts.len(), expected.len());
    for (who, op, path, (word, http, uid, gid)) in expected {
        let verdict = find(who, op, path);
        assert_eq!((verdict["expected"].as_str(), verdict["got"].as_str()), (Some(word), Some(word)), "{verdict}");
        assert_eq!(verdict["http"], http, "{verdict}");
        assert_eq!((verdict["owner_uid"].as_u64(), verdict["owner_gid"].as_u64()), (uid, gid), "{verdict}");
        for field in ["who", "path", "op", "expected", "http", "got", "owner_uid", "owner_gid"] {
            assert!(verdict.get(field).is_some(), "{field}");
        }
    }
    assert_eq!(entries(&tmp), 0);
    std::fs::remove_dir(&tmp).unwrap();
}

#[test]
fn the_table_is_for_people() {
    if !is_root() {
        return;
    }
    let tmp = own_tmp("demo-table");
    let output = demo(&tmp, &["--once"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(told.contains("24 verdicts, all right") && !told.contains("WRONG"), "{told}");
    assert!(!told.contains("Sign in as"), "a server that is gone needs no password");
    std::fs::remove_dir(&tmp).unwrap();
}

/// A demonstration that serves, and the line it printed.
fn serving(tmp: &Path) -> (Child, Value) {
    let mut child = demo(tmp, &["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn however_it_ends_nothing_is_left_behind() {
    if !is_root() {
        return;
    }
    let tmp = own_tmp("demo-ends");
    for (signal, code) in [(Signal::INT, Some(0)), (Signal::TERM, Some(0)), (Signal::KILL, None)] {
        let (mut child, told) = serving(&tmp);
        assert_eq!(told["ok"], true);
        assert!(told["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
        assert_eq!(told["people"].as_array().unwrap().len(), 3);
        assert_eq!(entries(&tmp), 1);
        let scratch = std::fs::read_dir(&tmp).unwrap().next().unwrap().unwrap();
        assert_eq!(scratch.metadata().unwrap().permissions().mode() & 0o7777, 0o711);
        for name in ["passwords", "audit.jsonl"] {
            let mode = scratch.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{name}");
        }
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), code, "{signal:?}");
        if code.is_some() {
            assert_eq!(entries(&tmp), 0, "{signal:?}: it waits for its keeper");
        }
        wait_empty(&tmp);
    }
    std::fs::remove_dir(&tmp).unwrap();
}

#[test]
fn without_root_and_without_lent_ids_two_lines_say_what_it_needs() {
    if !is_root() {
        return;
    }
    let tmp = own_tmp("demo-rootless");
    let program = tmp.join("vicar");
    std::fs::copy(VICAR, &program).unwrap();
    let output =
        Command::new(&program).args(["demo", "--once"]).uid(61_990).gid(61_990).current_dir("/").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("needs root") && said.contains("/etc/subuid"), "{said}");
    std::fs::remove_file(&program).unwrap();
    assert_eq!(entries(&tmp), 0);
    std::fs::remove_dir(&tmp).unwrap();
}

#[test]
fn a_port_that_is_taken_is_one_line_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let tmp = own_tmp("demo-port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = demo(&tmp, &["--once", "--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.lines().count() == 1 && said.contains("cannot listen on 127.0.0.1:"), "{said}");
    assert_eq!(entries(&tmp), 0);
    std::fs::remove_dir(&tmp).unwrap();
}

/// As a user with lent ids: `/etc` is replaced for this run alone, in a mount namespace of its own.
const LENT: &str = r#"
set -e
cp -a /etc "$1/etc"
echo 'lent:x:61998:61998::/:/bin/sh' >> "$1/etc/passwd"
echo 'lent:x:61998:' >> "$1/etc/group"
echo 'lent:200000:65536' > "$1/etc/subuid"
echo 'lent:200000:65536' > "$1/etc/subgid"
mount --bind "$1/etc" /etc
cd /
exec setpriv --reuid 61998 --regid 61998 --clear-groups env TMPDIR="$1/tmp" "$1/vicar" demo --once --json
"#;

#[test]
fn a_user_with_lent_ids_needs_no_root() {
    if !is_root() {
        return;
    }
    for program in ["unshare", "setpriv", "newuidmap", "newgidmap"] {
        if !Path::new("/usr/bin").join(program).exists() {
            return eprintln!("skipped: needs {program}");
        }
    }
    let dir = own_tmp("demo-lent");
    std::fs::copy(VICAR, dir.join("vicar")).unwrap();
    std::fs::create_dir(dir.join("tmp")).unwrap();
    std::fs::set_permissions(dir.join("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let output = Command::new("unshare").args(["--mount", "sh", "-c", LENT, "sh"]).arg(&dir).output().unwrap();
    let (told, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if said.contains("unshare") {
        eprintln!("skipped: no namespaces here: {said}");
    } else {
        assert!(output.status.success(), "{told}{said}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["ok"], told["verdicts"].as_array().unwrap().len()), (&Value::Bool(true), 24));
    }
    assert_eq!(entries(&dir.join("tmp")), 0);
    std::fs::remove_dir_all(&dir).unwrap();
}
