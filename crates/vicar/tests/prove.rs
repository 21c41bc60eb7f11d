//! `vicar prove` against servers that are wrong in different ways, as a process, with throw-away ids.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::panic,
    reason = "a test program: what goes wrong ends it"
)]

#[path = "prove/deputy.rs"]
mod deputy;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use deputy::{Deputy, Manner};
use serde_json::Value;

const ALICE: &str = "alice:alice pw:@1@61001:61001,61100";
const BOB: &str = "bob:b@61002:61002";

/// A directory to serve, with something in it that is none of the test's business.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vicar-prove-test-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::create_dir(path.join("precious")).unwrap();
        fs::write(path.join("precious/file"), "keep").unwrap();
        for path in [path.clone(), path.join("precious")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(path)
    }

    fn assert_clean(&self) {
        let names: Vec<_> = fs::read_dir(&self.0).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["precious"], "something was left behind");
        assert_eq!(fs::read_to_string(self.0.join("precious/file")).unwrap(), "keep");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

fn vicar(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vicar"));
    command.arg("prove").args(arguments).stdin(Stdio::null());
    command
}

fn prove(url: &str, root: &Path, more: &[&str]) -> Output {
    vicar(&[url, "--root", root.to_str().unwrap()]).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn verdicts(output: &Output) -> Vec<Value> {
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], Value::Bool(false));
    json["verdicts"].as_array().unwrap().clone()
}

/// How many verdicts have this word.
fn count(verdicts: &[Value], word: &str) -> usize {
    verdicts.iter().filter(|verdict| verdict["verdict"] == word).count()
}

fn find<'a>(verdicts: &'a [Value], who: &str, op: &str, path: &str) -> &'a Value {
    verdicts
        .iter()
        .find(|verdict| verdict["who"] == who && verdict["op"] == op && verdict["path"] == path)
        .unwrap_or_else(|| panic!("no {who} {op} {path}"))
}

#[test]
fn a_server_that_acts_as_itself_leaks() {
    if !is_root() {
        return;
    }
    let place = Place::new("confused");
    let deputy = Deputy::start(&place.0, Manner::Confused);
    let output = prove(&deputy.url(), &place.0, &["--as", ALICE, "--as", BOB, "--json"]);
    assert_exit(&output, 1);
    let verdicts = verdicts(&output);
    let leak = find(&verdicts, "alice", "GET", "bob/own.txt");
    assert_eq!((&leak["expected"], &leak["got"], &leak["http"]), (&"refused".into(), &"allowed".into(), &200.into()));
    let own = find(&verdicts, "bob", "GET", "bob/own.txt");
    assert_eq!((&own["expected"], &own["got"], &own["verdict"]), (&"allowed".into(), &"allowed".into(), &"ok".into()));
    let upload = find(&verdicts, "alice", "PUT", "alice/new.txt");
    assert_eq!(
        (&upload["got"], &upload["owner_uid"], &upload["owner_gid"]),
        (&"wrong owner".into(), &0.into(), &0.into())
    );
    for (op, path) in [
        ("GET", "groups/alice-denied.txt"),
        ("GET", "groups/alice-stranger.txt"),
        ("GET", "alice/link-to-other.txt"),
        ("GET", "alice/link-outside.txt"),
        ("PROPFIND", "bob/private/"),
        ("PUT", "bob/public.txt"),
        ("PUT", "bob/from-alice.txt"),
        ("DELETE", "bob/victim.txt"),
        ("DELETE", "sticky/bob-for-alice.txt"),
        ("MKCOL", "bob/private/sub"),
        ("COPY", "bob/own.txt"),
        ("MOVE", "bob/prey.txt"),
    ] {
        assert_eq!(find(&verdicts, "alice", op, path)["verdict"], "LEAK", "{op} {path}");
    }
    assert_eq!(find(&verdicts, "(nobody)", "GET", "alice/own.txt")["got"], "refused");
    assert_eq!(count(&verdicts, "WRONGLY REFUSED"), 0);
    place.assert_clean();
}

#[test]
fn a_server_that_refuses_everything_is_wrong_too() {
    if !is_root() {
        return;
    }
    let place = Place::new("prudish");
    let deputy = Deputy::start(&place.0, Manner::Prudish);
    let output = prove(&deputy.url(), &place.0, &["--as", ALICE, "--as", BOB, "--json"]);
    assert_exit(&output, 1);
    let verdicts = verdicts(&output);
    assert_eq!(count(&verdicts, "LEAK"), 0);
    assert_eq!(find(&verdicts, "alice", "GET", "groups/alice-member.txt")["verdict"], "WRONGLY REFUSED");
    assert_eq!(count(&verdicts, "WRONGLY REFUSED"), 20);
    place.assert_clean();
}

#[test]
fn a_server_that_lies_is_not_believed() {
    if !is_root() {
        return;
    }
    let place = Place::new("liar");
    let deputy = Deputy::start(&place.0, Manner::Liar);
    let output = prove(&deputy.url(), &place.0, &["--as", ALICE, "--json"]);
    assert_exit(&output, 1);
    let verdicts = verdicts(&output);
    assert_eq!(count(&verdicts, "LEAK"), 0);
    assert_eq!(find(&verdicts, "alice", "PUT", "alice/new.txt")["note"], "said yes but did nothing");
    place.assert_clean();
}

#[test]
fn a_method_that_is_not_offered_is_no_refusal() {
    if !is_root() {
        return;
    }
    let place = Place::new("reads");
    let deputy = Deputy::start(&place.0, Manner::ReadsOnly);
    let output = prove(&deputy.url(), &place.0, &["--as", ALICE]);
    assert_exit(&output, 1);
    let table = text(&output.stdout);
    assert!(table.contains("not offered") && !table.contains("WRONGLY REFUSED"), "{table}");
    assert!(table.contains("The server is a confused deputy"), "{table}");
    place.assert_clean();
}

#[test]
fn what_cannot_be_judged_is_not_judged() {
    if !is_root() {
        return;
    }
    let place = Place::new("unjudged");
    for (manner, words) in
        [(Manner::Closed, "does not let alice sign in"), (Manner::Elsewhere, "cannot see the files through the URL")]
    {
        let deputy = Deputy::start(&place.0, manner);
        let output = prove(&deputy.url(), &place.0, &["--as", ALICE]);
        assert_exit(&output, 3);
        assert!(text(&output.stderr).contains(words), "{manner:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        place.assert_clean();
    }
    let output = prove("http://127.0.0.1:1/", &place.0, &["--as", ALICE]);
    assert_exit(&output, 3);
    place.assert_clean();
    // Ids that are not given come from the system's accounts; every system has this one.
    let deputy = Deputy::start(&place.0, Manner::Closed);
    let output = prove(&deputy.url(), &place.0, &["--as", "nobody:x"]);
    assert_exit(&output, 3);
    assert!(text(&output.stderr).contains("does not let nobody sign in"), "{}", text(&output.stderr));
    place.assert_clean();
}

#[test]
fn a_directory_that_people_cannot_reach_is_not_judged() {
    if !is_root() {
        return;
    }
    let place = Place::new("hidden");
    let deputy = Deputy::start(&place.0, Manner::Confused);
    fs::set_permissions(&place.0, fs::Permissions::from_mode(0o700)).unwrap();
    let output = prove(&deputy.url(), &place.0, &["--as", ALICE]);
    assert_exit(&output, 3);
    assert!(text(&output.stderr).contains("alice cannot even get to"), "{}", text(&output.stderr));
    assert_eq!(deputy.requests.load(Ordering::SeqCst), 0, "the server was asked although nothing could be judged");
    place.assert_clean();
}

#[test]
fn only_what_was_laid_is_removed() {
    if !is_root() {
        return;
    }
    let place = Place::new("untidy");
    let deputy = Deputy::start(&place.0, Manner::Untidy);
    let output = prove(&deputy.url(), &place.0, &["--as", ALICE, "--as", BOB]);
    assert_exit(&output, 1);
    assert!(!text(&output.stderr).contains("left behind"), "{}", text(&output.stderr));
    place.assert_clean();
}

#[test]
fn a_signal_in_the_middle_leaves_nothing_behind() {
    if !is_root() {
        return;
    }
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let place = Place::new("interrupted");
        let deputy = Deputy::start(&place.0, Manner::Stuck);
        let child = vicar(&[&deputy.url(), "--root", place.0.to_str().unwrap(), "--as", ALICE])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while deputy.requests.load(Ordering::SeqCst) < 7 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server was not asked");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(fs::read_dir(&place.0).unwrap().count() > 1, "nothing was laid");
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_exit(&output, 3);
        assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
        place.assert_clean();
    }
}

#[test]
fn people_can_come_from_a_file() {
    if !is_root() {
        return;
    }
    let place = Place::new("file");
    let deputy = Deputy::start(&place.0, Manner::Confused);
    let file = std::env::temp_dir().join(format!("vicar-prove-test-{}-people", std::process::id()));
    fs::write(&file, format!("# people\n\n{ALICE}\n  {BOB}\n")).unwrap();
    let output = prove(&deputy.url(), &place.0, &["--as-file", file.to_str().unwrap(), "--json"]);
    assert_exit(&output, 1);
    find(&verdicts(&output), "bob", "GET", "alice/own.txt");
    fs::write(&file, "alice\n").unwrap();
    let output = prove(&deputy.url(), &place.0, &["--as-file", file.to_str().unwrap()]);
    assert_exit(&output, 2);
    assert!(text(&output.stderr).contains(":1: no ':' between name and password"), "{}", text(&output.stderr));
    fs::remove_file(&file).unwrap();
    place.assert_clean();
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    if !is_root() {
        return;
    }
    let place = Place::new("usage");
    for (people, words) in [
        (vec![], "nobody to sign in as"),
        (vec!["--as", "root:x@0:0"], "nothing can be proved"),
        (vec!["--as", ALICE, "--as", "other:x@61001:1"], "are the same person"),
        (vec!["--as", "alice:-@61001:61001"], "there is none"),
        (vec!["--as", "no-such-person-here:x"], "no-such-person-here"),
    ] {
        let output = prove("http://127.0.0.1:1/", &place.0, &people);
        assert_exit(&output, 2);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
    let output = prove("ftp://127.0.0.1/", &place.0, &["--as", ALICE]);
    assert_exit(&output, 2);
    let output = prove("http://127.0.0.1:1/", &place.0.join("nowhere"), &["--as", ALICE]);
    assert_exit(&output, 2);
    place.assert_clean();
}

#[test]
fn without_root_two_lines_say_what_is_needed() {
    if !is_root() {
        return;
    }
    let place = Place::new("unprivileged");
    // The program may lie where the other id cannot reach it.
    let copy = place.0.join("precious/vicar");
    fs::copy(env!("CARGO_BIN_EXE_vicar"), &copy).unwrap();
    let output = Command::new(&copy)
        .args(["prove", "http://127.0.0.1:1/", "--root", place.0.to_str().unwrap(), "--as", ALICE])
        .uid(61_990)
        .gid(61_990)
        .output()
        .unwrap();
    assert_exit(&output, 2);
    let words = text(&output.stderr);
    assert_eq!(words.lines().count(), 2, "{words}");
    assert!(words.contains("needs root"), "{words}");
}
