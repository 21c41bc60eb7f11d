//! Becoming somebody for good, and asking as somebody.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

mod alone;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use vicar_os::switch::irrevocable::{
    Answer, AskError, Bounding, DropError, Oracle, OracleError, Question, Seen, Step, ask, drop_to,
};
use vicar_os::{KernelGid, KernelUid, UnixIdentity};

fn main() -> ExitCode {
    if std::env::var_os(FAULTED).is_some() {
        println!("{:?}", ask(&identity(61_001, 61_001, &[61_100]), || b"ran".to_vec()));
        return ExitCode::SUCCESS;
    }
    alone::run(
        true,
        &[
            ("nothing_of_the_former_identity_is_left", nothing_of_the_former_identity_is_left),
            ("files_are_the_clients_and_only_the_clients", files_are_the_clients_and_only_the_clients),
            ("groups_grant_and_groups_deny", groups_grant_and_groups_deny),
            ("a_program_has_the_same_identity_and_gains_nothing", a_program_has_the_same_identity_and_gains_nothing),
            ("every_number_of_groups_that_the_kernel_keeps", every_number_of_groups_that_the_kernel_keeps),
            ("root_is_refused", root_is_refused),
            ("a_process_without_rights_becomes_only_itself", a_process_without_rights_becomes_only_itself),
            ("a_failing_step_is_an_error_and_nothing_runs", a_failing_step_is_an_error_and_nothing_runs),
            ("answers_are_whole_and_panics_are_contained", answers_are_whole_and_panics_are_contained),
            ("threads_are_refused", threads_are_refused),
            ("this_process_is_unchanged", this_process_is_unchanged),
            ("the_oracle_answers_every_question", the_oracle_answers_every_question),
            ("the_oracle_serves_many_threads", the_oracle_serves_many_threads),
            ("the_oracle_ends_with_its_handle", the_oracle_ends_with_its_handle),
        ],
    )
}

/// Set for the copy of this program that runs with failing system calls.
const FAULTED: &str = "VICAR_TEST_FAULTED";
const ALICE: u32 = 61_001;
const BOB: u32 = 61_002;
const TEAM: u32 = 61_100;

fn identity(uid: u32, gid: u32, groups: &[u32]) -> UnixIdentity {
    let groups = groups.iter().map(|&group| KernelGid::new(group).unwrap());
    UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(gid).unwrap(), groups).unwrap()
}

/// A directory of the test's own that everybody may enter, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("vicar-irrevocable-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, mode: u32, uid: u32, gid: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, name).unwrap();
        Self::owned(&path, mode, uid, gid);
        path
    }

    fn directory(&self, name: &str, mode: u32, uid: u32, gid: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        Self::owned(&path, mode, uid, gid);
        path
    }

    fn owned(path: &Path, mode: u32, uid: u32, gid: u32) {
        chown(path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(identity: &UnixIdentity, work: impl FnOnce() -> String) -> String {
    String::from_utf8(ask(identity, || work().into_bytes()).unwrap()).unwrap()
}

fn nothing_of_the_former_identity_is_left() {
    rustix::thread::set_thread_groups(&[rustix::fs::Gid::from_raw(0), rustix::fs::Gid::from_raw(TEAM)]).unwrap();
    let status = text(&identity(ALICE, 61_010, &[61_200]), || fs::read_to_string("/proc/self/status").unwrap());
    let line = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("Uid"), "61001 61001 61001 61001");
    assert_eq!(line("Gid"), "61010 61010 61010 61010");
    assert_eq!(line("Groups"), "61010 61200");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }
    assert_eq!(line("NoNewPrivs"), "1");
    assert_eq!(line("Threads"), "1");
}

fn files_are_the_clients_and_only_the_clients() {
    let scratch = Scratch::new();
    let mine = scratch.file("mine", 0o600, ALICE, ALICE);
    let other = scratch.file("other", 0o600, BOB, BOB);
    let root = scratch.file("root", 0o600, 0, 0);
    let home = scratch.directory("home", 0o700, ALICE, ALICE);
    let made = home.join("made");
    let seen = text(&identity(ALICE, ALICE, &[]), || {
        let read = |path: &Path| fs::read(path).is_ok();
        let memory = fs::File::open(format!("/proc/{}/mem", rustix::process::getppid().unwrap().as_raw_nonzero()));
        fs::write(&made, "x").unwrap();
        format!(
            "{} {} {} {} {}",
            read(&mine),
            read(&other),
            read(&root),
            read(Path::new("/etc/shadow")),
            memory.is_ok()
        )
    });
    assert_eq!(seen, "true false false false false");
    let made = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&made).unwrap());
    assert_eq!(made, ALICE);
}

fn groups_grant_and_groups_deny() {
    let scratch = Scratch::new();
    let team = scratch.file("team", 0o640, 0, TEAM);
    let not_team = scratch.file("not-team", 0o604, 0, TEAM);
    let try_both = |identity: &UnixIdentity| {
        text(identity, || format!("{} {}", fs::read(&team).is_ok(), fs::read(&not_team).is_ok()))
    };
    assert_eq!(try_both(&identity(ALICE, ALICE, &[TEAM])), "true false");
    assert_eq!(try_both(&identity(ALICE, TEAM, &[])), "true false");
    assert_eq!(try_both(&identity(ALICE, ALICE, &[])), "false true");
}

fn a_program_has_the_same_identity_and_gains_nothing() {
    let scratch = Scratch::new();
    let alice = identity(ALICE, ALICE, &[TEAM]);
    let id = text(&alice, || {
        let output = Command::new("/usr/bin/id").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    assert!(id.starts_with("uid=61001 gid=61001 groups=61001,61100"), "{id}");
    // A set-user-ID shell of root's, where such files count, would be root.
    let shell = scratch.0.join("shell");
    fs::copy("/bin/sh", &shell).unwrap();
    Scratch::owned(&shell, 0o4755, 0, 0);
    let id = text(&alice, || {
        let output = Command::new(&shell).args(["-p", "-c", "/usr/bin/id -u; grep -c . /etc/shadow"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    assert_eq!(id, "61001\n");
}

fn every_number_of_groups_that_the_kernel_keeps() {
    for count in [0_u32, 1, 1023, 1024, 1025, 65_535] {
        let groups: Vec<u32> = (100_000..100_000 + count).collect();
        let seen = ask(&identity(4_000_000_000, 4_000_000_001, &groups), || {
            format!("{} {}", rustix::process::geteuid(), rustix::process::getgroups().unwrap().len()).into_bytes()
        });
        assert_eq!(seen.unwrap(), format!("4000000000 {}", count + 1).into_bytes());
    }
}

fn root_is_refused() {
    assert_eq!(ask(&identity(0, 61_001, &[]), Vec::new), Err(AskError::Dropped(DropError::Root)));
    assert_eq!(drop_to(&identity(0, 0, &[])), Err(DropError::Root));
    // Group 0 is a group: whoever has it, has it.
    let groups = text(&identity(ALICE, 0, &[]), || format!("{:?}", rustix::process::getegid()));
    assert!(groups.contains('0'), "{groups}");
}

fn a_process_without_rights_becomes_only_itself() {
    let alice = identity(ALICE, ALICE, &[TEAM]);
    let seen = text(&alice, || {
        let bounding = |identity: &UnixIdentity| {
            ask(identity, || format!("{:?}", drop_to(identity).map(|dropped| dropped.bounding())).into_bytes())
                .map(|bytes| String::from_utf8(bytes).unwrap())
        };
        let itself = bounding(&alice);
        let without_group = bounding(&identity(ALICE, ALICE, &[]));
        let other = bounding(&identity(BOB, BOB, &[TEAM]));
        format!("{itself:?}; {without_group:?}; {other:?}")
    });
    let refused =
        AskError::Dropped(DropError::Failed { step: Step::SetGroups, errno: rustix::io::Errno::PERM.raw_os_error() });
    let expected: [Result<String, AskError>; 3] =
        [Ok(format!("{:?}", Ok::<_, DropError>(Bounding::Kept))), Err(refused), Err(refused)];
    assert_eq!(seen, expected.map(|result| format!("{result:?}")).join("; "));
}

fn a_failing_step_is_an_error_and_nothing_runs() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    for (call, when, step) in [
        ("keyctl", "1", "Keyring"),
        ("setgroups", "1", "SetGroups"),
        ("setresgid", "1", "SetGroupIds"),
        ("setresuid", "1", "SetUserIds"),
        ("capset", "1", "SetCapabilities"),
        ("getgroups", "3", "Observe"),
    ] {
        for errno in ["EAGAIN", "ENOMEM"] {
            let output = Command::new("strace")
                .args(["-f", "-q", "-e"])
                .arg(format!("trace={call}"))
                .arg("-e")
                .arg(format!("inject={call}:error={errno}:when={when}"))
                .arg("-o")
                .arg("/dev/null")
                .arg(std::env::current_exe().unwrap())
                .env(FAULTED, "1")
                .output()
                .unwrap();
            let seen = String::from_utf8(output.stdout).unwrap();
            assert!(
                seen.starts_with("Err(Dropped(Failed"),
                "{call} {errno}: {seen}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(seen.contains(step), "{call} {errno}: {seen}");
        }
    }
    // A call that claims success and does nothing is found out.
    for call in ["setgroups", "setresgid", "setresuid", "capset"] {
        let output = Command::new("strace")
            .args(["-f", "-q", "-e"])
            .arg(format!("trace={call}"))
            .arg("-e")
            .arg(format!("inject={call}:retval=0:when=1"))
            .arg("-o")
            .arg("/dev/null")
            .arg(std::env::current_exe().unwrap())
            .env(FAULTED, "1")
            .output()
            .unwrap();
        let seen = String::from_utf8(output.stdout).unwrap();
        // Leaving user 0 empties the sets by itself, so a lost capset changes nothing.
        let expected = if call == "capset" { "Ok([114, 97, 110])" } else { "Err(Dropped(" };
        assert!(seen.starts_with(expected), "{call}: {seen}");
    }
}

fn answers_are_whole_and_panics_are_contained() {
    let alice = identity(ALICE, ALICE, &[]);
    let long: Vec<u8> = (0..3_000_000_u32).map(|index| index.to_le_bytes()[0]).collect();
    assert_eq!(ask(&alice, || long.clone()).unwrap(), long);
    assert_eq!(ask(&alice, Vec::new).unwrap(), Vec::<u8>::new());
    assert_eq!(ask(&alice, || panic!("inside")), Err(AskError::Crashed));
    assert_eq!(ask(&alice, || std::process::abort()), Err(AskError::Crashed));
}

fn threads_are_refused() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv());
    let alice = identity(ALICE, ALICE, &[]);
    assert_eq!(ask(&alice, Vec::new), Err(AskError::ManyThreads));
    assert_eq!(drop_to(&alice), Err(DropError::ManyThreads));
    assert!(matches!(Oracle::start(), Err(OracleError::Ask(AskError::ManyThreads))));
    drop(send);
    let _ = thread.join().unwrap();
}

fn this_process_is_unchanged() {
    let status = || {
        let text = fs::read_to_string("/proc/self/status").unwrap();
        let kept = ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs"];
        text.lines().filter(|line| kept.iter().any(|key| line.starts_with(key))).collect::<Vec<_>>().join("\n")
    };
    let before = status();
    ask(&identity(ALICE, ALICE, &[]), Vec::new).unwrap();
    assert_eq!(status(), before);
}

fn the_oracle_answers_every_question() {
    let scratch = Scratch::new();
    let oracle = Oracle::start().unwrap();
    let alice = identity(ALICE, ALICE, &[TEAM]);
    let check = |question: Question, expected: Result<Answer, i32>| {
        assert_eq!(oracle.ask(&alice, &question), Ok(expected), "{question:?}");
    };
    let refused = || Err(rustix::io::Errno::ACCESS.raw_os_error());
    let mine = scratch.file("mine", 0o600, ALICE, ALICE);
    let bobs = scratch.file("bobs", 0o600, BOB, BOB);
    let team = scratch.directory("team", 0o2770, 0, TEAM);
    let home = scratch.directory("home", 0o700, ALICE, ALICE);
    check(Question::OpenRead(mine.clone()), Ok(Answer::Done));
    check(Question::OpenWrite(mine.clone()), Ok(Answer::Done));
    check(Question::OpenRead(bobs.clone()), refused());
    check(Question::OpenWrite(bobs.clone()), refused());
    let seen = |mode, uid, gid, size| Ok(Answer::Seen(Seen { mode, uid, gid, size }));
    check(Question::Stat(bobs), seen(0o100_600, BOB, BOB, 4));
    check(Question::Create(scratch.0.join("new"), 0o666), refused());
    check(Question::Create(home.join("new"), 0o666), seen(0o100_644, ALICE, ALICE, 0));
    check(Question::Create(home.join("new"), 0o666), Err(rustix::io::Errno::EXIST.raw_os_error()));
    check(Question::Create(team.join("new"), 0o660), seen(0o100_640, ALICE, TEAM, 0));
    check(Question::Rename(home.join("new"), home.join("newer")), Ok(Answer::Done));
    check(Question::Rename(mine, home.join("mine")), refused());
    check(Question::List(home.clone()), Ok(Answer::Names(vec!["newer".into()])));
    check(Question::Unlink(home.join("newer")), Ok(Answer::Done));
    check(Question::Unlink(home.join("newer")), Err(rustix::io::Errno::NOENT.raw_os_error()));
    let made = oracle.ask(&alice, &Question::CreateDirectory(home.join("sub"), 0o777)).unwrap().unwrap();
    let Answer::Seen(Seen { mode: 0o40_755, uid: ALICE, gid: ALICE, .. }) = made else { panic!("{made:?}") };
    check(Question::RemoveDirectory(home.join("sub")), Ok(Answer::Done));
    std::os::unix::fs::symlink("nowhere", scratch.0.join("link")).unwrap();
    check(Question::Stat(scratch.0.join("link")), Err(rustix::io::Errno::NOENT.raw_os_error()));
    check(Question::LinkStat(scratch.0.join("link")), seen(0o120_777, 0, 0, 7));
    let bob = identity(BOB, BOB, &[]);
    assert_eq!(oracle.ask(&bob, &Question::List(home)), Ok(Err(rustix::io::Errno::ACCESS.raw_os_error())));
    let root = identity(0, 0, &[]);
    let refused = oracle.ask(&root, &Question::Stat("/".into()));
    assert_eq!(refused, Err(OracleError::Ask(AskError::Dropped(DropError::Root))));
}

fn the_oracle_serves_many_threads() {
    let scratch = Scratch::new();
    let oracle = Arc::new(Oracle::start().unwrap());
    let files: Vec<PathBuf> =
        (0..8).map(|index| scratch.file(&format!("{index}"), 0o600, 61_000 + index, 61_000)).collect();
    let files = Arc::new(files);
    let threads: Vec<_> = (0..8_u32)
        .map(|index| {
            let (oracle, files) = (Arc::clone(&oracle), Arc::clone(&files));
            std::thread::spawn(move || {
                let who = identity(61_000 + index, 61_000, &[]);
                for (owner, file) in (0..).zip(files.iter()) {
                    let verdict = oracle.ask(&who, &Question::OpenRead(file.clone())).unwrap();
                    assert_eq!(verdict.is_ok(), owner == index, "{who} {file:?}");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn the_oracle_ends_with_its_handle() {
    let oracle = Oracle::start().unwrap();
    let children = || fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
    let child = children().trim().to_owned();
    assert!(!child.is_empty());
    drop(oracle);
    assert!(children().is_empty());
    assert!(!Path::new("/proc").join(child).exists());
}
