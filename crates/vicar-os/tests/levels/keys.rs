//! Keys of the server, which are network credentials, and the clients that must not reach them.

use crate::scratch::{client, server};
use std::process::Command;
use vicar_os::{ClientThread, DEFAULT_UMASK};

/// Set in the process that has keys.
const INNER: &str = "VICAR_TEST_KEYS";

/// The calls that no safe library has, as a program. `make` gives this process a session keyring with a key, its user a
/// key, and becomes the test; `try` uses every way to them that there is and prints what was reached.
const PROGRAM: &str = r#"
import ctypes, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
ADD, KEYCTL = (248, 250) if platform.machine() == "x86_64" else (217, 219)
JOIN, UNLINK, SEARCH, READ, TIMEOUT = 1, 9, 10, 11, 15
SESSION, USER = -3, -4
call = lambda *a: libc.syscall(*[ctypes.c_long(x) if isinstance(x, int) else x for x in a])
if sys.argv[1] == "make":
    if call(KEYCTL, JOIN, None) < 0:
        sys.exit(77)
    keys = [call(ADD, b"user", name, b"secret", 6, ring) for name, ring in ((b"vicar-session", SESSION), (b"vicar-user", USER))]
    if min(keys) < 0:
        sys.exit(77)
    for key in keys:
        call(KEYCTL, TIMEOUT, key, 60)
    os.environ["VICAR_TEST_KEYS"] = " ".join(map(str, keys))
    os.execv(sys.argv[2], [sys.argv[2]])
buffer = ctypes.create_string_buffer(64)
for key in map(int, os.environ["VICAR_TEST_KEYS"].split()):
    if call(KEYCTL, READ, key, buffer, 64) > 0:
        print("read", key)
for ring in (-1, -2, -3, -4, -5):
    for name in (b"vicar-session", b"vicar-user"):
        if call(KEYCTL, SEARCH, ring, b"user", name, 0) > 0:
            print("found", name.decode(), "in", ring)
if sys.argv[1] == "remove":
    for key in map(int, os.environ["VICAR_TEST_KEYS"].split()):
        call(KEYCTL, UNLINK, key, USER)
"#;

fn reached(how: &str) -> Vec<String> {
    let output = Command::new("python3").args(["-c", PROGRAM, how]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Which of the keys the calling thread may even see; `None` when this kernel does not list keys.
fn seen() -> Option<Vec<String>> {
    let text = std::fs::read_to_string("/proc/keys").ok()?;
    let ours = ["vicar-session", "vicar-user"];
    Some(ours.iter().filter(|name| text.contains(**name)).map(|name| (*name).to_owned()).collect())
}

pub(crate) fn no_key_of_the_server_is_in_a_clients_reach() {
    if std::env::var_os(INNER).is_none() {
        let exe = std::env::current_exe().unwrap();
        match Command::new("python3").args(["-c", PROGRAM, "make"]).arg(exe).status() {
            Ok(status) if status.code() == Some(77) => println!("skipped: no keyrings here"),
            Ok(status) => assert!(status.success(), "{status}"),
            Err(error) => println!("skipped: python3: {error}"),
        }
        return;
    }
    let lists = seen().is_some();
    let before = reached("try");
    let has = |ways: &[String], what: &str| ways.iter().any(|way| way.contains(what));
    assert!(has(&before, "read") && has(&before, "vicar-session") && has(&before, "vicar-user"), "{before:?}");
    if lists {
        assert_eq!(seen().unwrap().len(), 2);
    }
    let server = server();
    let alice = client(&server, 61_001, &[]);
    // On a thread of the server's own, which may run programs: each way is tried for real.
    let scoped = server.run_as(&alice, |_| (reached("try"), seen().unwrap_or_default())).unwrap();
    assert_eq!(scoped, (Vec::new(), Vec::new()));
    // On a client thread keys cannot be used at all, and none is listed.
    let own = server.clone();
    let thread = std::thread::spawn(move || {
        let mut thread = ClientThread::adopt(&own, DEFAULT_UMASK).unwrap();
        let resting = seen().unwrap_or_default();
        let acting = thread.run(&alice, |_| seen().unwrap_or_default()).unwrap();
        [resting, acting]
    });
    assert_eq!(thread.join().unwrap(), [Vec::<String>::new(), Vec::new()]);
    // The server has left its session behind, and its user's keys are still its own.
    let after = reached("remove");
    assert!(!has(&after, "vicar-session") && has(&after, "vicar-user"), "{after:?}");
}
