//! `vicar run` and `vicar whoami`, from outside.
//!
//! Tests that need accounts run the command in a mount namespace with account files of the test's own.
#![expect(clippy::unwrap_used, reason = "a test program: a failure is a panic")]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const VICAR: &str = env!("CARGO_BIN_EXE_vicar");

/// A directory of the test's own that everybody may enter, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vicar-run-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let home = path.join("alice");
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(61_001), Some(61_001)).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let passwd = format!(
            "root:x:0:0:root:/root:/bin/sh\nalice:x:61001:61001::{}:/bin/dash\nbob:x:61002:61002::/nowhere:\n",
            home.display()
        );
        std::fs::write(path.join("passwd"), passwd).unwrap();
        let group = "root:x:0:\nalice:x:61001:\nbob:x:61002:\nteam:x:61100:alice,bob\n";
        std::fs::write(path.join("group"), group).unwrap();
        std::fs::write(path.join("nsswitch.conf"), "passwd: files\ngroup: files\ninitgroups: files\n").unwrap();
        Self(path)
    }

    /// The command line `vicar ...` where alice and bob exist.
    fn vicar(&self, arguments: &[&str]) -> Command {
        self.program(VICAR, arguments)
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        const SCRIPT: &str = "for f in passwd group nsswitch.conf; do mount --bind \"$1/$f\" \"/etc/$f\" || exit 99; done; shift; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c", SCRIPT, "sh"]);
        command.arg(&self.0).arg(program).args(arguments).stdin(Stdio::null());
        command
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A scratch directory, or `None`, said aloud, when this is not root.
fn as_root() -> Option<Scratch> {
    if rustix::process::geteuid().is_root() {
        return Some(Scratch::new());
    }
    eprintln!("skipped: needs root");
    None
}

fn check(mut command: Command, code: i32, stdout: &str, stderr_has: &str) {
    let Output { status, stdout: out, stderr } = command.output().unwrap();
    let (out, stderr) = (String::from_utf8(out).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{command:?}\n{out}\n{stderr}");
    assert_eq!(out, stdout, "{command:?}\n{stderr}");
    assert!(stderr.contains(stderr_has), "{command:?}\n{stderr}");
}

#[test]
fn the_tasks_of_a_commands_user_are_bounded() {
    let Some(scratch) = as_root() else { return };
    let shell = ["--", "/bin/sh", "-c", "ulimit -p"];
    let run = ["run", "--as", "alice"];
    check(scratch.vicar(&[&run[..], &["--tasks", "77"], &shell].concat()), 0, "77\n", "");
    check(scratch.vicar(&[&run[..], &["--tasks", "0"], &shell].concat()), 2, "", "--tasks");
    let output = scratch.vicar(&[&run[..], &shell].concat()).output().unwrap();
    let most: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!((1..=4096).contains(&most), "{most}");
}

#[test]
fn a_command_runs_as_the_user_with_all_groups() {
    let Some(scratch) = as_root() else { return };
    let id = ["run", "--as", "alice", "--", "/usr/bin/id"];
    check(scratch.vicar(&id), 0, "uid=61001(alice) gid=61001(alice) groups=61001(alice),61100(team)\n", "");
}

#[test]
fn the_commands_exit_code_is_passed_on() {
    let Some(scratch) = as_root() else { return };
    for code in [0, 1, 2, 77] {
        check(scratch.vicar(&["run", "--as", "bob", "--", "sh", "-c", &format!("exit {code}")]), code, "", "");
    }
}

#[test]
fn the_command_has_a_clean_environment_and_starts_at_home() {
    let Some(scratch) = as_root() else { return };
    let home = scratch.0.join("alice");
    let mut command =
        scratch.vicar(&["run", "--as", "alice", "--", "sh", "-c", "env | grep -v ^_= | sort; pwd; umask"]);
    command
        .env("SECRET", "1")
        .env("LD_LIBRARY_PATH", "/x")
        .env("BASH_ENV", "/x")
        .env("TERM", "xterm")
        .env("LANG", "/etc/shadow");
    command.env("PATH", format!("/nowhere:{}", std::env::var("PATH").unwrap()));
    let expected = format!(
        "HOME={0}\nLOGNAME=alice\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD={0}\nSHELL=/bin/dash\nTERM=xterm\nUSER=alice\n{0}\n0022\n",
        home.display()
    );
    check(command, 0, &expected, "");
    // No home directory: the root directory.
    check(scratch.vicar(&["run", "--as", "bob", "--", "pwd"]), 0, "/\n", "");
}

#[test]
fn the_command_has_no_descriptor_of_the_caller_and_no_power() {
    let Some(scratch) = as_root() else { return };
    let open = std::fs::File::open("/etc/shadow").unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    let command = scratch.vicar(&["run", "--as", "alice", "--", "ls", "/proc/self/fd"]);
    // 3 is the directory that ls has open.
    check(command, 0, "0\n1\n2\n3\n", "");
    drop(open);
    let script = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status | tr -d '\\t '";
    let expected = "Uid:61001610016100161001\nGid:61001610016100161001\nGroups:6100161100\nCapInh:0000000000000000\n\
                    CapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000\nCapAmb:0000000000000000\nNoNewPrivs:1\n";
    check(scratch.vicar(&["run", "--as", "alice", "--", "sh", "-c", script]), 0, expected, "");
}

/// Runs a script as alice and returns what it said.
fn as_alice(scratch: &Scratch, options: &[&str], script: &str) -> String {
    let mut command = scratch.vicar(&[&["run", "--as", "alice"], options, &["--", "sh", "-c", script]].concat());
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    text
}

/// Prints `ok` or `no` for each of some commands.
const TELL: &str = "t() { if \"$@\" > /dev/null 2>&1; then echo ok; else echo no; fi; }; ";

#[test]
fn the_command_and_what_it_starts_are_filtered() {
    let Some(scratch) = as_root() else { return };
    let script = "sh -c 'grep -E \"^(NoNewPrivs|Seccomp):\" /proc/self/status' | tr -d '\\t'";
    assert_eq!(as_alice(&scratch, &[], script), "NoNewPrivs:1\nSeccomp:2\n");
    // Each of these works for a user who is not sealed, or fails for another reason.
    let calls = "import ctypes, errno, sys\nc = ctypes.CDLL(None, use_errno=True)\nfor n, a in [('setresuid', (-1, -1, -1)), \
                 ('ptrace', (0, 0, 0, 0)), ('unshare', (0x10000000,)), ('setgroups', (0, 0))]:\n  \
                 print(n, getattr(c, n)(*a), errno.errorcode.get(ctypes.get_errno()))\n\
                 for n, a in [(425, (1, 0)), (250, (0, -3, 0)), (321, (0, 0, 0)), (323, (0,)), (272, (0x10000000,))]:\n  \
                 print(n, c.syscall(n, *a), errno.errorcode.get(ctypes.get_errno()))\n";
    if cfg!(target_arch = "x86_64") && Command::new("/usr/bin/python3").arg("--version").output().is_ok() {
        let file = scratch.0.join("calls.py");
        std::fs::write(&file, calls).unwrap();
        let said = as_alice(&scratch, &[], &format!("/usr/bin/python3 {}", file.display()));
        assert_eq!(said.lines().count(), 9, "{said}");
        assert!(said.lines().all(|line| line.ends_with(" -1 EPERM")), "{said}");
    }
}

#[test]
fn a_read_only_command_changes_nothing() {
    let Some(scratch) = as_root() else { return };
    as_alice(&scratch, &[], "echo old > f; mkdir d");
    let script = format!(
        "{TELL} t cat f; t ls .; t sh -c 'echo x >> f'; t sh -c 'echo x > f'; t touch n; t touch f; t rm f; t mv f g;
        t ln f g; t mkdir e; t rmdir d; t chmod 777 f; t truncate -s 0 f; t ln -s f s; t mkfifo p;
        t sh -c 'echo x > /dev/null'"
    );
    let said = as_alice(&scratch, &["--read-only"], &script);
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        "ok ok no no no no no no no no no no no no no ok".split(' ').collect::<Vec<_>>()
    );
    assert_eq!(std::fs::read_to_string(scratch.0.join("alice/f")).unwrap(), "old\n");
}

#[test]
fn a_command_beneath_a_directory_stays_there() {
    let Some(scratch) = as_root() else { return };
    let home = scratch.0.join("alice");
    let (inside, outside) = (home.join("in"), home.join("out"));
    let script = format!(
        "mkdir {0} {1}; echo i > {0}/f; echo o > {1}/f; ln -s {1}/f {0}/away",
        inside.display(),
        outside.display()
    );
    as_alice(&scratch, &[], &script);
    let script = format!(
        "{TELL} cd {0}; t cat f; t sh -c 'echo x >> f'; t mkdir e; t rm f; t cat {1}/f; t cat away; t ls {1}; t touch {1}/n;
        t mv e {1}/; t sh -c 'echo x >> {1}/f'; t chmod 600 {1}/f; t ls /; t touch e/n",
        inside.display(),
        outside.display()
    );
    let said = as_alice(&scratch, &["--beneath", inside.to_str().unwrap()], &script);
    assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), "ok ok ok ok no no no no no no no no ok");
    let script = format!("{TELL} cd {}; t ls e; t touch e/m; t rm e/n", inside.display());
    let said = as_alice(&scratch, &["--read-only", "--beneath", inside.to_str().unwrap()], &script);
    assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" "), "ok no no");
    let command = scratch.vicar(&["run", "--as", "bob", "--beneath", inside.to_str().unwrap(), "--", "true"]);
    check(command, 2, "", "Permission denied");
}

#[test]
fn a_restriction_that_cannot_be_enforced_is_refused() {
    let Some(scratch) = as_root() else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let mark = scratch.0.join("alice/mark");
    let without = |options: &[&str]| {
        let strace = [
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "inject=landlock_create_ruleset:error=EOPNOTSUPP",
            VICAR,
            "run",
            "--as",
            "alice",
        ];
        scratch.program("strace", &[&strace, options, &["--", "touch", mark.to_str().unwrap()]].concat())
    };
    check(without(&["--read-only"]), 2, "", "Landlock");
    check(without(&["--beneath", "/tmp"]), 2, "", "Landlock");
    assert!(!mark.exists());
    check(without(&[]), 0, "", "");
    assert!(mark.exists());
}

#[test]
fn below_impersonation_nothing_runs() {
    let Some(scratch) = as_root() else { return };
    let mark = scratch.0.join("alice/mark");
    let mark = mark.to_str().unwrap();
    for level in ["anonymous", "identification"] {
        let command = scratch.vicar(&["run", "--as", "alice", "--level", level, "--", "touch", mark]);
        check(command, 1, "", level);
    }
    // An account of this machine is no credential for another one.
    let command = scratch.vicar(&["run", "--as", "alice", "--level", "delegation", "--", "touch", mark]);
    check(command, 1, "", "STATUS_BAD_IMPERSONATION_LEVEL");
    assert!(!Path::new(mark).exists());
    check(scratch.vicar(&["run", "--as", "alice", "--level", "impersonation", "--", "touch", mark]), 0, "", "");
    assert!(Path::new(mark).exists());
}

#[test]
fn root_is_no_client() {
    let Some(scratch) = as_root() else { return };
    check(scratch.vicar(&["run", "--as", "root", "--", "true"]), 1, "", "user 0");
}

#[test]
fn names_that_are_none_are_errors_and_nobody() {
    let Some(scratch) = as_root() else { return };
    for (name, why) in
        [("carol", "no such account"), ("0", "number"), ("61001", "number"), ("", "empty"), ("a:b", "character")]
    {
        check(scratch.vicar(&["run", "--as", name, "--", "id"]), 2, "", why);
    }
    check(scratch.vicar(&["run", "--as", "alice", "--", "/no/such/program"]), 2, "", "/no/such/program");
    check(scratch.vicar(&["run", "--as", "alice"]), 2, "", "CMD");
}

#[test]
fn without_rights_one_runs_as_oneself_and_as_nobody_else() {
    let Some(scratch) = as_root() else { return };
    let plain =
        ["--reuid=61001", "--regid=61001", "--groups=61001,61100", "--bounding-set=-all", "--inh-caps=-all", "--"];
    let as_alice = |user| {
        let mut words = plain.to_vec();
        words.extend([VICAR, "run", "--as", user, "--", "id", "-un"]);
        scratch.program("setpriv", &words)
    };
    check(as_alice("alice"), 0, "alice\n", "");
    check(as_alice("bob"), 1, "", "gate step G7 user");
    check(as_alice("root"), 1, "", "denied");
}

#[test]
fn a_set_user_id_copy_refuses_to_work() {
    let Some(scratch) = as_root() else { return };
    let copy = scratch.0.join("vicar");
    std::fs::copy(VICAR, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o6755)).unwrap();
    let file = scratch.0.join("state");
    let file = file.to_str().unwrap();
    for command in [
        &["run", "--as", "bob", "--", "id"][..],
        &["serve", "/", "--state", file],
        &["passwd", file, "bob@61002:61002"],
        &["prove", "http://127.0.0.1:1/", "--as", "a:b@61001:61001", "--root", "/"],
        &["demo", "--once"],
    ] {
        let who = ["--reuid=61001", "--regid=61001", "--clear-groups", "--", copy.to_str().unwrap()];
        check(scratch.program("setpriv", &[&who[..], command].concat()), 2, "", "set-user-ID");
    }
    assert!(!Path::new(file).exists(), "made with rights that are not the caller's");
}

#[test]
fn on_a_terminal_the_command_is_in_a_session_without_one() {
    let Some(scratch) = as_root() else { return };
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: script(1) is not installed");
        return;
    }
    let look = "ps -o sid=,tty= -p $$ | tr -s ' '; (: < /dev/tty) 2> /dev/null; echo no tty $?; exit 7";
    let inner = scratch.0.join("inner.sh");
    std::fs::write(&inner, format!("#!/bin/sh\n{look}\n")).unwrap();
    std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Once as the leader of the terminal's session, which must fork, and once as an ordinary child.
    for line in [
        format!("exec {VICAR} run --as alice -- {}", inner.display()),
        format!("{VICAR} run --as alice -- {}; exit $?", inner.display()),
    ] {
        let mut command = scratch.program("script", &["--quiet", "--return", "--command", &line, "/dev/null"]);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(7), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(" ?"), "{text}");
        assert!(text.contains("no tty") && !text.contains("no tty 0"), "{text}");
    }
}

#[test]
fn whoami_shows_the_token_and_what_it_is_here() {
    let output = Command::new(VICAR).args(["whoami", "--json"]).output().unwrap();
    assert!(output.status.success());
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(seen["user"]["sid"], format!("S-1-22-1-{uid}"));
    assert_eq!(seen["unix"]["uid"], uid);
    assert_eq!(seen["type"], "primary");
    assert!(seen["level"].is_null());
    let groups = seen["groups"].as_array().unwrap();
    let everyone = groups.iter().find(|group| group["sid"] == "S-1-1-0").unwrap();
    assert_eq!(everyone["name"], "Everyone");
    assert_eq!(everyone["attributes"], serde_json::json!(["mandatory", "enabled by default", "enabled"]));
    let gid = rustix::process::getegid().as_raw();
    assert!(groups.iter().any(|group| group["sid"] == format!("S-1-22-2-{gid}")));
    let privilege = |name: &str| {
        let all = seen["privileges"].as_array().unwrap();
        all.iter().find(|privilege| privilege["name"] == name).map(|privilege| privilege["enabled"].as_bool().unwrap())
    };
    assert_eq!(privilege("SeCreateSymbolicLinkPrivilege"), Some(true));
    assert_eq!(privilege("SeChangeNotifyPrivilege"), None);
    let text = Command::new(VICAR).arg("whoami").output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with(&format!("user       S-1-22-1-{uid}")), "{text}");
}

#[test]
fn whoami_without_capabilities_has_no_power() {
    let Some(_scratch) = as_root() else { return };
    let mut command = Command::new(VICAR);
    command.args(["whoami", "--json"]).uid(61_001).gid(61_001);
    let output = command.output().unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["user"]["sid"], "S-1-22-1-61001");
    assert_eq!(seen["user"]["name"], serde_json::Value::Null);
    assert_eq!(seen["integrity"]["name"], "medium");
    let names: Vec<_> =
        seen["privileges"].as_array().unwrap().iter().map(|privilege| privilege["name"].clone()).collect();
    assert_eq!(names, ["SeIncreaseWorkingSetPrivilege", "SeCreateSymbolicLinkPrivilege"]);
}
