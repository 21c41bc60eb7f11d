//! A server in a process of its own, and the scratch directory that it serves.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::cast::User;

/// Set for the server process: an [`Order`] as JSON.
pub(crate) const ROLE: &str = "VICAR_TEST_SERVER";

/// What the server process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) share: PathBuf,
    /// Where password file and audit log go.
    pub(crate) state: PathBuf,
    /// Name, password and `UID:GID,GROUP...`.
    pub(crate) users: Vec<(String, String, String)>,
    pub(crate) client_threads: usize,
    /// Whether a request header may ask for a panic.
    pub(crate) faults: bool,
    /// How long a client may take to send a head; `None` leaves the gateway's own limit.
    pub(crate) head_seconds: Option<u64>,
}

/// What it says once it listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) address: SocketAddr,
    pub(crate) anonymous: (u32, u32),
}

/// The running server. Dropping it ends the server and removes the scratch directory.
#[derive(Debug)]
pub(crate) struct Rig {
    scratch: PathBuf,
    server: Child,
    words: Arc<Mutex<Vec<u8>>>,
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    anonymous: (u32, u32),
    client_threads: usize,
}

/// A scratch directory for one run: open to everybody, made and owned by root.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("vicar-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    directory(&path, 0, 0, 0o755);
    path
}

/// Makes a directory that belongs to somebody.
pub(crate) fn directory(path: &Path, uid: u32, gid: u32, mode: u32) {
    fs::create_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    give(path, uid, gid, mode);
}

/// Makes a file that belongs to somebody.
pub(crate) fn file(path: &Path, uid: u32, gid: u32, mode: u32, content: &[u8]) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    give(path, uid, gid, mode);
}

pub(crate) fn give(path: &Path, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

impl Rig {
    /// Starts a server for `scratch/share`, which must be there already; state goes to `scratch/state`.
    pub(crate) fn start(scratch: PathBuf, users: &[User], change: impl FnOnce(&mut Order)) -> Self {
        let state = scratch.join("state");
        directory(&state, 0, 0, 0o700);
        let mut order = Order {
            share: scratch.join("share"),
            state,
            users: users.iter().map(|user| (user.name.clone(), user.password.clone(), user.ids())).collect(),
            client_threads: 16,
            faults: false,
            head_seconds: None,
        };
        change(&mut order);
        let mut server = Command::new("/proc/self/exe")
            .env(ROLE, serde_json::to_string(&order).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start a server process");
        let words = Arc::new(Mutex::new(Vec::new()));
        let (heard, mut stderr) = (Arc::clone(&words), server.stderr.take().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                heard.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Ready>(&line) else {
            let status = server.wait();
            std::thread::sleep(Duration::from_millis(100));
            panic!("the server did not start ({status:?}): {line}{}", String::from_utf8_lossy(&words.lock().unwrap()));
        };
        // Whatever it says later is kept flowing.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let pid = server.id();
        let client_threads = order.client_threads;
        Self { scratch, server, words, address: ready.address, pid, anonymous: ready.anonymous, client_threads }
    }

    pub(crate) fn share(&self) -> PathBuf {
        self.scratch.join("share")
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.share().join(below)
    }

    /// The audit log so far, a line a request.
    pub(crate) fn audit(&self) -> String {
        fs::read_to_string(self.scratch.join("state/audit.jsonl")).unwrap_or_default()
    }

    /// What the server said on standard error.
    pub(crate) fn words(&self) -> String {
        String::from_utf8_lossy(&self.words.lock().unwrap()).into_owned()
    }

    /// Waits until nothing goes on and no identity is kept, then says which threads are not who they should be.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let complaints = match self.server.try_wait().unwrap() {
                Some(status) => return vec![format!("the server ended: {status}: {}", self.words())],
                None => crate::threads::complaints(self.pid, self.anonymous, self.client_threads),
            };
            if complaints.is_empty() || begun.elapsed() > Duration::from_secs(60) {
                return complaints;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks the server to end, as a service manager does, and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.server);
        let _ = kill_process(pid, Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(120) {
            if let Some(status) = self.server.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.server.kill();
        self.server.wait().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.server.try_wait().ok().flatten().is_none() {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
        if std::env::var_os("VICAR_TEST_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.scratch);
        }
    }
}
