//! A running `vicar serve` on a scratch directory.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use vicar_gateway::signin::file::Person;
use vicar_gateway::signin::hash::{Cost, PasswordHash};
use vicar_gateway::signin::write::put_line;

/// A scratch directory with a share, a state directory and a password file; removed on drop.
pub(crate) struct Scratch {
    pub(crate) dir: PathBuf,
}

impl Scratch {
    /// Makes it; `people` are lines of the password file, each with its name as the password.
    pub(crate) fn new(name: &str, people: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("vicar-test-serve-{name}-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        for (path, mode) in [("", 0o755), ("share", 0o755), ("state", 0o700)] {
            let path = dir.join(path);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        for line in people {
            let person = Person::parse(line).unwrap();
            let hash = PasswordHash::of(&person.name, Cost::Random).unwrap();
            put_line(&dir.join("passwords"), &person, &hash).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Lays a file in the share.
    pub(crate) fn lay(&self, name: &str, owner: u32, mode: u32) {
        let path = self.path("share").join(name);
        std::fs::write(&path, format!("{name}\n")).unwrap();
        std::os::unix::fs::chown(&path, Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// `vicar serve` on this share with these arguments besides.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vicar"));
        command.arg("serve").arg(self.path("share")).arg("--state").arg(self.path("state")).args(args);
        command.current_dir(&self.dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it in plain HTTP on a free port with the password file.
    pub(crate) fn start(&self, args: &[&str]) -> Server {
        Server::spawn(
            self.command(&["--password-file", "passwords", "--insecure-http", "--listen", "127.0.0.1:0", "--json"]),
            args,
        )
    }

    /// The same as somebody else than root, who owns the state and the password file.
    pub(crate) fn start_as(&self, uid: u32) -> Server {
        for name in ["state", "passwords"] {
            std::os::unix::fs::chown(self.path(name), Some(uid), Some(uid)).unwrap();
        }
        let program = self.path("vicar");
        std::fs::copy(env!("CARGO_BIN_EXE_vicar"), &program).unwrap();
        let mut command = Command::new(&program);
        command.arg("serve").arg(self.path("share")).arg("--state").arg(self.path("state"));
        command.args(["--password-file", "passwords", "--insecure-http", "--listen", "127.0.0.1:0", "--json"]);
        command.current_dir(&self.dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.uid(uid).gid(uid);
        Server::spawn(command, &[])
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The running server.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// What it said at start.
    pub(crate) told: Value,
}

impl Server {
    fn spawn(mut command: Command, args: &[&str]) -> Self {
        let mut child = command.args(args).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it did not start: {said}");
        }
        Self { child, told: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn address(&self) -> &str {
        self.told["url"].as_str().unwrap().strip_prefix("http://").unwrap().trim_end_matches('/')
    }

    /// Sends a request as somebody whose password is the name; the connection stays open.
    pub(crate) fn send(&self, line: &str, who: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let authorization = BASE64_STANDARD.encode(format!("{who}:{who}"));
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {authorization}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    /// Asks and gives the status.
    pub(crate) fn ask(&self, line: &str, who: &str, body: &str) -> u16 {
        status(&mut self.send(line, who, body))
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives the exit code and what was said on standard error.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut said).unwrap();
        }
        (status.code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a whole reply; 0 when the connection ends without one.
pub(crate) fn status(stream: &mut TcpStream) -> u16 {
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// Runs a command that must not start and gives what it said.
pub(crate) fn refused(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{said}");
    said
}

/// Whether this is root; says so when a test cannot run for it.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}
