//! `vicar prove` against `vicar serve`: everything is as the kernel has it, in plain text and over TLS.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program: what goes wrong ends it"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use vicar_gateway::signin::file::Person;
use vicar_gateway::signin::hash::{Cost, PasswordHash};
use vicar_gateway::signin::write::put_line;

/// The people's lines for `--as`; names, passwords and ids are those of the password file.
const PEOPLE: [&str; 3] = ["alice:pw:@1@61011:61011,61100", "bob:pw@61012:61012,61101,61102", "carol:pw@61013:61100"];

struct Served {
    scratch: PathBuf,
    server: Child,
    told: Value,
}

impl Served {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let scratch = std::env::temp_dir().join(format!("vicar-prove-serve-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        for (path, mode) in [("", 0o755), ("share", 0o755), ("state", 0o700)] {
            fs::create_dir(scratch.join(path)).unwrap();
            fs::set_permissions(scratch.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        for line in PEOPLE {
            let (name, rest) = line.split_once(':').unwrap();
            let (password, ids) = rest.rsplit_once('@').unwrap();
            let person = Person::parse(&format!("{name}@{ids}")).unwrap();
            put_line(&scratch.join("passwords"), &person, &PasswordHash::of(password, Cost::Random).unwrap()).unwrap();
        }
        let mut server = Command::new(env!("CARGO_BIN_EXE_vicar"))
            .arg("serve")
            .arg(scratch.join("share"))
            .args(["--listen", "127.0.0.1:0", "--json", "--password-file"])
            .arg(scratch.join("passwords"))
            .arg("--state")
            .arg(scratch.join("state"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut words = String::new();
            server.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            panic!("the server did not start: {line}{words}")
        });
        Self { scratch, server, told }
    }

    fn prove(&self, more: &[&str]) -> Output {
        let url = self.told["url"].as_str().unwrap();
        Command::new(env!("CARGO_BIN_EXE_vicar"))
            .args(["prove", url, "--root"])
            .arg(self.scratch.join("share"))
            .args(more)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

fn assert_exit(output: &Output, code: i32) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{error}");
}

#[test]
fn the_gateway_gives_three_people_what_the_kernel_gives_them() {
    if !is_root() {
        return;
    }
    let served = Served::start("plain", &["--insecure-http"]);
    let people: Vec<&str> = PEOPLE.iter().flat_map(|line| ["--as", line]).collect();
    let output = served.prove(&[&people[..], &["--json"]].concat());
    assert_exit(&output, 0);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], true);
    let verdicts = json["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 3 * 26 + 1);
    for verdict in verdicts {
        assert_eq!((&verdict["verdict"], &verdict["got"]), (&"ok".into(), &verdict["expected"]), "{verdict}");
    }
    assert!(fs::read_dir(served.scratch.join("share")).unwrap().next().is_none(), "something was left behind");
    let output = served.prove(&["--as", "alice:wrong@61011:61011"]);
    assert_exit(&output, 3);
}

#[test]
fn a_certificate_is_believed_by_its_fingerprint_only() {
    if !is_root() {
        return;
    }
    let served = Served::start("tls", &[]);
    let fingerprint = served.told["tls"]["fingerprint_sha256"]
        .as_str()
        .unwrap_or_else(|| panic!("no fingerprint in {}", served.told));
    let person = ["--as", PEOPLE[0]];
    assert_exit(&served.prove(&[&person[..], &["--tls-fingerprint", fingerprint]].concat()), 0);
    assert_exit(&served.prove(&[&person[..], &["--insecure-tls"]].concat()), 0);
    let other = "0".repeat(64);
    assert_exit(&served.prove(&[&person[..], &["--tls-fingerprint", &other]].concat()), 3);
    assert_exit(&served.prove(&person), 3);
    let asked = fs::read_to_string(served.scratch.join("state/audit.jsonl")).unwrap();
    assert_eq!(asked.lines().count(), 2 * (2 + 27), "a request was sent to a server that was not believed");
    assert_exit(&served.prove(&[&person[..], &["--tls-fingerprint", "ab:cd"]].concat()), 2);
}
