//! A supervisor signs people in, with PAM services and account files of the test's own.
//!
//! Each test that needs accounts runs in a mount namespace of its own, with its own files in place of the system's.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test program: a failure is a panic"
)]

mod alone;

use rustix::process::{Pid, Signal};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use vicar_os::KernelUid;
use vicar_os::source::{AccountError, NameError};
use vicar_os::supervisor::admission::{Policy, Refusal};
use vicar_os::supervisor::{
    Credentials, ForkError, ResolveError, Secret, SignInError, Supervisor, SupervisorOptions, Unasked, Unavailable,
};

fn main() -> ExitCode {
    alone::run(
        true,
        &[
            ("resolves_names_and_uids", resolves_names_and_uids),
            ("group_lists_are_whole_at_every_boundary", group_lists_are_whole_at_every_boundary),
            ("the_right_password_signs_in_and_others_do_not", the_right_password_signs_in_and_others_do_not),
            ("an_expired_account_does_not_sign_in", an_expired_account_does_not_sign_in),
            ("a_denying_service_denies", a_denying_service_denies),
            ("a_missing_service_denies", a_missing_service_denies),
            ("acceptance_without_a_prompt_counts_only_if_allowed", acceptance_without_a_prompt_counts_only_if_allowed),
            ("accounts_that_may_not_sign_in_never_reach_pam", accounts_that_may_not_sign_in_never_reach_pam),
            ("whom_pam_accepts_must_still_have_an_account", whom_pam_accepts_must_still_have_an_account),
            ("many_sign_ins_run_at_once", many_sign_ins_run_at_once),
            ("a_hanging_module_is_killed_and_blocks_no_look_up", a_hanging_module_is_killed_and_blocks_no_look_up),
            ("a_hanging_database_is_given_up", a_hanging_database_is_given_up),
            ("many_look_ups_leave_nothing_behind", many_look_ups_leave_nothing_behind),
            ("too_many_waiting_are_told_so", too_many_waiting_are_told_so),
            ("a_refusal_is_slow_and_takes_no_place", a_refusal_is_slow_and_takes_no_place),
            ("when_it_dies_every_call_says_so_at_once", when_it_dies_every_call_says_so_at_once),
            ("it_ends_with_its_last_handle", it_ends_with_its_last_handle),
            ("what_modules_leave_behind_is_ended", what_modules_leave_behind_is_ended),
            ("it_ends_with_the_server", it_ends_with_the_server),
            ("signals_from_the_terminal_do_not_end_it", signals_from_the_terminal_do_not_end_it),
            ("it_is_apart", it_is_apart),
            ("helpers_hold_nothing_and_leave_nothing", helpers_hold_nothing_and_leave_nothing),
            ("no_password_is_left_in_its_memory", no_password_is_left_in_its_memory),
            ("a_helper_has_no_password_of_others", a_helper_has_no_password_of_others),
            ("a_system_without_pam_says_so", a_system_without_pam_says_so),
            ("a_process_with_threads_forks_none", a_process_with_threads_forks_none),
        ],
    )
}

const ALICE: u32 = 61_001;
const BOB: u32 = 61_002;

/// A directory of the test's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("vicar-supervisor-{}", std::process::id()));
        fs::create_dir_all(path.join("pam.d")).unwrap();
        Self(path)
    }

    fn service(&self, name: &str, lines: &str) {
        fs::write(self.0.join("pam.d").join(name), lines).unwrap();
    }

    fn options(&self) -> SupervisorOptions {
        let mut options = options();
        options.confdir = Some(self.0.join("pam.d"));
        options
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("skipped: {} is left: {error}", self.0.display());
        }
    }
}

fn options() -> SupervisorOptions {
    let root = KernelUid::new(0).unwrap();
    SupervisorOptions::new(Policy::strict(1000, root, KernelUid::new(65_520).unwrap()))
}

/// Puts account files of the test's own over the system's, for this process and its children only.
fn with_accounts(scratch: &Scratch, extra_groups: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    const APART: &str = "VICAR_TEST_MOUNTS";
    if std::env::var_os(APART).is_none() {
        // The same process, as another copy of this program: nothing that was made before is lost but memory.
        let error = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--"])
            .arg(std::env::current_exe().unwrap())
            .env(APART, "1")
            .exec();
        panic!("unshare: {error}");
    }
    let files = [
        (
            "passwd",
            "root:x:0:0:root:/root:/bin/sh\nsystem:x:200:200::/:/bin/false\n\
             alice:x:61001:61001::/home/alice:/bin/sh\nbob:x:61002:61002::/home/bob:/bin/sh\n\
             nobody:x:65534:65534::/:/bin/false\nminus:x:4294967295:61001::/:/bin/sh\n"
                .to_owned(),
        ),
        (
            "group",
            format!(
                "root:x:0:\nalice:x:61001:\nbob:x:61002:\nteam:x:61100:alice,bob\nnogroup:x:65534:\n{extra_groups}"
            ),
        ),
        // The hash is of "correct horse", SHA-512, few rounds. Bob's account expired long ago.
        (
            "shadow",
            format!(
                "root:*:19000::::::\nsystem:{HASH}:19000::::::\nalice:{HASH}:19000::::::\nbob:{HASH}:19000:::::1:\n"
            ),
        ),
    ];
    for (name, text) in files {
        let path = scratch.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        mount(&["--bind".as_ref(), path.as_os_str(), Path::new("/etc").join(name).as_os_str()]);
    }
    // Only the files, whatever this system asks besides.
    let order = scratch.0.join("nsswitch.conf");
    fs::write(&order, "passwd: files\ngroup: files\nshadow: files\ninitgroups: files\n").unwrap();
    if Path::new("/etc/nsswitch.conf").exists() {
        mount(&["--bind".as_ref(), order.as_os_str(), "/etc/nsswitch.conf".as_ref()]);
    }
}

fn mount(arguments: &[&std::ffi::OsStr]) {
    let status = std::process::Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}: {status}");
}

const HASH: &str =
    "$6$vicarsalt$8/yEh102wPGao3S4DaHG.NwaAHULbsAhEEhh0TwHmHSLN.FvlnDzIkbHmOZJNKmUWGNz5.lx7lf2WLRejQzuG/";

fn credentials(service: &str, user: &str, password: &str) -> Credentials {
    Credentials {
        service: service.into(),
        user: user.into(),
        password: Secret::new(password),
        remote_host: Some("192.0.2.7".into()),
    }
}

const UNIX: &str = "auth required pam_unix.so nodelay\naccount required pam_unix.so\n";
const PERMIT: &str = "auth required pam_permit.so\naccount required pam_permit.so\n";

fn resolves_names_and_uids() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    let supervisor = Supervisor::fork(options()).unwrap();
    let alice = supervisor.resolve("alice").unwrap();
    assert_eq!(alice.identity.to_string(), "uid 61001 gid 61001 groups 61001,61100");
    assert_eq!(alice.home.as_deref(), Some(Path::new("/home/alice")));
    assert_eq!(supervisor.resolve_uid(ALICE).unwrap(), alice);
    let refused = |error| Err(ResolveError::Account(error));
    assert_eq!(supervisor.resolve("carol"), refused(AccountError::Unknown));
    assert_eq!(supervisor.resolve("0"), refused(AccountError::Name(NameError::Number)));
    assert_eq!(supervisor.resolve(&"x".repeat(100_000)), refused(AccountError::Name(NameError::TooLong)));
    assert_eq!(supervisor.resolve_uid(61_999), refused(AccountError::Unknown));
    assert_eq!(supervisor.resolve_uid(u32::MAX), refused(AccountError::MinusOne));
    // The C library may refuse the line or hand it on; neither is anybody.
    assert!(supervisor.resolve("minus").is_err());
    assert_eq!(supervisor.admit(&alice), Ok(()));
    let root = supervisor.resolve("root").unwrap();
    assert_eq!(supervisor.admit(&root), Err(Refusal::Root));
}

fn group_lists_are_whole_at_every_boundary() {
    let scratch = Scratch::new();
    let mut lines = String::new();
    for (count, member) in
        [(1, "u1"), (1022, "u1022"), (1023, "u1023"), (1024, "u1024"), (65_535, "u65535"), (65_536, "u65536")]
    {
        for gid in 100_000..100_000 + count {
            lines.push_str(&format!("{member}-{gid}:x:{gid}:{member}\n"));
        }
    }
    with_accounts(&scratch, &lines);
    let mut passwd = fs::read_to_string("/etc/passwd").unwrap();
    for count in [0, 1, 1022, 1023, 1024, 65_535, 65_536] {
        passwd.push_str(&format!("u{count}:x:{}:61003::/:/bin/sh\n", 200_000 + count));
    }
    fs::write(scratch.0.join("passwd"), passwd).unwrap();
    let mut options = options();
    options.lookup_limit = Duration::from_secs(120);
    let supervisor = Supervisor::fork(options).unwrap();
    for count in [0, 1, 1022, 1023, 1024, 65_535] {
        let account = supervisor.resolve(&format!("u{count}")).unwrap();
        // The primary group is one more.
        assert_eq!(account.identity.groups().len(), count + 1);
        assert!(!account.identity.groups().iter().any(|group| group.is_root()));
    }
    assert_eq!(supervisor.resolve("u65536"), Err(ResolveError::Account(AccountError::TooManyGroups { count: 65_537 })));
}

fn the_right_password_signs_in_and_others_do_not() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("vicar", UNIX);
    let supervisor = Supervisor::fork(scratch.options()).unwrap();
    let alice = supervisor.authenticate(credentials("vicar", "alice", "correct horse")).unwrap();
    assert_eq!((alice.name.as_str(), alice.identity.uid().raw()), ("alice", ALICE));
    assert_eq!(alice, supervisor.resolve("alice").unwrap());
    for (user, password) in [("alice", "wrong"), ("alice", "correct hors"), ("carol", "correct horse")] {
        let refused = supervisor.authenticate(credentials("vicar", user, password));
        assert_eq!(refused, Err(SignInError::WrongCredentials), "{user} {password}");
    }
}

fn an_expired_account_does_not_sign_in() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("vicar", UNIX);
    let supervisor = Supervisor::fork(scratch.options()).unwrap();
    // The password is right: only account management knows.
    let refused = supervisor.authenticate(credentials("vicar", "bob", "correct horse"));
    assert_eq!(refused, Err(SignInError::AccountExpired));
}

fn a_denying_service_denies() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("deny", "auth required pam_deny.so\naccount required pam_permit.so\n");
    scratch.service("deny-account", "auth required pam_permit.so\naccount required pam_deny.so\n");
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    let refused = supervisor.authenticate(credentials("deny", "alice", "correct horse"));
    assert_eq!(refused, Err(SignInError::WrongCredentials));
    let refused = supervisor.authenticate(credentials("deny-account", "alice", "correct horse"));
    assert!(matches!(refused, Err(SignInError::AccountDenied | SignInError::Pam { .. })), "{refused:?}");
}

fn a_missing_service_denies() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    let refused = supervisor.authenticate(credentials("nowhere", "alice", "correct horse"));
    assert!(refused.is_err(), "{refused:?}");
}

fn acceptance_without_a_prompt_counts_only_if_allowed() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("permit", PERMIT);
    scratch.service("rootok", "auth sufficient pam_rootok.so\naccount required pam_permit.so\n");
    let strict = Supervisor::fork(scratch.options()).unwrap();
    for service in ["permit", "rootok"] {
        let refused = strict.authenticate(credentials(service, "alice", "anything"));
        assert_eq!(refused, Err(SignInError::NotAsked), "{service}");
    }
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let open = Supervisor::fork(options).unwrap();
    let account = open.authenticate(credentials("permit", "alice", "anything")).unwrap();
    assert_eq!(account.identity.uid().raw(), ALICE);
    assert_eq!(
        open.authenticate(credentials("permit", "alice", "")).unwrap_err().to_string(),
        "password is empty, too long or has a zero byte"
    );
}

fn accounts_that_may_not_sign_in_never_reach_pam() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    let mark = scratch.0.join("reached");
    scratch.service(
        "mark",
        &format!("auth required pam_exec.so quiet /bin/touch {}\naccount required pam_permit.so\n", mark.display()),
    );
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    for (user, refusal) in
        [("root", Refusal::Root), ("system", Refusal::System { uid_min: 1000 }), ("nobody", Refusal::Overflow)]
    {
        let refused = supervisor.authenticate(credentials("mark", user, "correct horse"));
        assert_eq!(refused, Err(SignInError::NotAdmitted(refusal)));
        assert!(!mark.exists(), "{user}");
    }
    for user in ["0", "61001", "-1"] {
        let refused = supervisor.authenticate(credentials("mark", user, "correct horse"));
        assert!(matches!(refused, Err(SignInError::Account(AccountError::Name(_)))), "{refused:?}");
        assert!(!mark.exists(), "{user}");
    }
    supervisor.authenticate(credentials("mark", "alice", "x")).unwrap();
    assert!(mark.exists());
}

fn whom_pam_accepts_must_still_have_an_account() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("permit", PERMIT);
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    // PAM accepts anybody; the account still must exist.
    let refused = supervisor.authenticate(credentials("permit", "carol", "x"));
    assert_eq!(refused, Err(SignInError::Account(AccountError::Unknown)));
}

fn many_sign_ins_run_at_once() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("slow", "auth required pam_exec.so quiet /bin/sleep 0.3\naccount required pam_permit.so\n");
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    let callers: Vec<_> = (0..32)
        .map(|index| {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || {
                let user = if index % 2 == 0 { "alice" } else { "bob" };
                let account = supervisor.authenticate(credentials("slow", user, "x")).unwrap();
                assert_eq!(account.identity.uid().raw(), if index % 2 == 0 { ALICE } else { BOB });
            })
        })
        .collect();
    let mut most = 0;
    while !callers.iter().all(std::thread::JoinHandle::is_finished) {
        most = most.max(children_of(supervisor.pid()).len());
        std::thread::sleep(Duration::from_millis(5));
    }
    for caller in callers {
        caller.join().unwrap();
    }
    // Each takes much longer than a look; 16 may run at a time.
    assert!((2..=16).contains(&most), "{most} at a time");
}

fn a_hanging_module_is_killed_and_blocks_no_look_up() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("hang", "auth required pam_exec.so quiet /bin/sleep 600\naccount required pam_permit.so\n");
    let mut options = scratch.options();
    options.conversations = 1;
    options.conversation_limit = Duration::from_secs(3);
    let supervisor = Supervisor::fork(options).unwrap();
    let caller = {
        let supervisor = supervisor.clone();
        std::thread::spawn(move || supervisor.authenticate(credentials("hang", "alice", "x")))
    };
    let programs = || children_of(supervisor.pid()).first().map(|&helper| children_of(helper)).unwrap_or_default();
    eventually(|| !programs().is_empty());
    let program = programs();
    supervisor.resolve("alice").unwrap();
    assert!(!caller.is_finished(), "the look-up waited for the module");
    assert_eq!(caller.join().unwrap(), Err(SignInError::Unavailable(Unavailable::TimedOut)));
    // The sleeping program went with its helper.
    eventually(|| children_of(supervisor.pid()).is_empty());
    eventually(|| !program.iter().any(|&process| is_there(process)));
    assert!(supervisor.is_alive());
}

/// Puts a pipe in place of the accounts: whoever opens it waits for somebody to write, and nobody will.
fn block_passwd(scratch: &Scratch) {
    let pipe = scratch.0.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0)
        .unwrap();
    mount(&["--bind".as_ref(), pipe.as_os_str(), "/etc/passwd".as_ref()]);
}

fn unblock_passwd() {
    let status = std::process::Command::new("umount").args(["--lazy", "/etc/passwd"]).status().unwrap();
    assert!(status.success());
}

fn a_hanging_database_is_given_up() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("vicar", UNIX);
    let mut options = scratch.options();
    options.lookups = 2;
    options.lookup_limit = Duration::from_secs(1);
    options.conversation_limit = Duration::from_secs(1);
    let supervisor = Supervisor::fork(options).unwrap();
    block_passwd(&scratch);
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || supervisor.resolve("alice"))
        })
        .collect();
    let sign_in = supervisor.authenticate(credentials("vicar", "alice", "correct horse"));
    assert_eq!(sign_in, Err(SignInError::Unavailable(Unavailable::TimedOut)));
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Err(ResolveError::Unavailable(Unavailable::TimedOut)));
    }
    unblock_passwd();
    assert_eq!(supervisor.resolve("alice").unwrap().identity.uid().raw(), ALICE);
}

fn many_look_ups_leave_nothing_behind() {
    let supervisor = Supervisor::fork(options()).unwrap();
    let open = || fs::read_dir(format!("/proc/{}/fd", supervisor.pid())).unwrap().count();
    supervisor.resolve("root").unwrap();
    eventually(|| children_of(supervisor.pid()).is_empty());
    let before = open();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || {
                for _ in 0..100 {
                    assert_eq!(supervisor.resolve("root").unwrap().name, "root");
                    assert_eq!(supervisor.resolve("carol"), Err(ResolveError::Account(AccountError::Unknown)));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    eventually(|| children_of(supervisor.pid()).is_empty() && open() == before);
}

fn too_many_waiting_are_told_so() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("slow", "auth required pam_exec.so quiet /bin/sleep 1\naccount required pam_permit.so\n");
    let mut options = scratch.options();
    options.conversations = 1;
    options.waiting = 1;
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    let callers: Vec<_> = (0..6)
        .map(|_| {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || supervisor.authenticate(credentials("slow", "alice", "x")))
        })
        .collect();
    let answers: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let busy = answers.iter().filter(|answer| **answer == Err(SignInError::Unavailable(Unavailable::Busy))).count();
    assert!(busy >= 3, "{answers:?}");
    assert!(answers.iter().any(Result::is_ok));
}

fn a_refusal_is_slow_and_takes_no_place() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service(
        "delay",
        // Long enough to be seen, and the delay longer than anything else here.
        "auth optional pam_exec.so quiet /bin/sleep 0.3\nauth optional pam_faildelay.so delay=6000000\n\
         auth required pam_unix.so\naccount required pam_unix.so\n",
    );
    let mut options = scratch.options();
    options.conversations = 1;
    let supervisor = Supervisor::fork(options).unwrap();
    let refused = {
        let supervisor = supervisor.clone();
        std::thread::spawn(move || supervisor.authenticate(credentials("delay", "alice", "wrong")))
    };
    // Its conversation begins and ends; what is left of it is the delay, which PAM may shorten or lengthen by half.
    eventually(|| !children_of(supervisor.pid()).is_empty());
    eventually(|| children_of(supervisor.pid()).is_empty());
    assert!(!refused.is_finished(), "the refusal was not held back");
    supervisor.authenticate(credentials("delay", "alice", "correct horse")).unwrap();
    assert!(!refused.is_finished(), "the right password waited behind a refusal");
    assert_eq!(refused.join().unwrap(), Err(SignInError::WrongCredentials));
}

fn when_it_dies_every_call_says_so_at_once() {
    let scratch = Scratch::new();
    scratch.service("hang", "auth required pam_exec.so quiet /bin/sleep 600\naccount required pam_permit.so\n");
    with_accounts(&scratch, "");
    let supervisor = Supervisor::fork(scratch.options()).unwrap();
    assert!(supervisor.is_alive());
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let supervisor = supervisor.clone();
            std::thread::spawn(move || supervisor.authenticate(credentials("hang", "alice", "x")))
        })
        .collect();
    eventually(|| children_of(supervisor.pid()).len() == 4);
    let helpers = children_of(supervisor.pid());
    eventually(|| helpers.iter().all(|&helper| !children_of(helper).is_empty()));
    let programs: Vec<u32> = helpers.iter().copied().flat_map(children_of).collect();
    rustix::process::kill_process(pid(supervisor.pid()), Signal::KILL).unwrap();
    // Much later they would be told something else: that time is up.
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Err(SignInError::Unavailable(Unavailable::Dead)));
    }
    assert!(!supervisor.is_alive());
    assert_eq!(supervisor.resolve("alice"), Err(ResolveError::Unavailable(Unavailable::Dead)));
    // Its helpers die with it; nobody is left to end what they started.
    for helper in helpers {
        eventually(|| !is_there(helper));
    }
    end(&programs);
}

fn it_ends_with_its_last_handle() {
    let supervisor = Supervisor::fork(options()).unwrap();
    let process = supervisor.pid();
    let other = supervisor.clone();
    drop(supervisor);
    assert!(other.is_alive() && is_there(process));
    drop(other);
    assert!(!is_there(process));
}

fn what_modules_leave_behind_is_ended() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    // This one does not wait for its program, which has a session of its own.
    let daemon = scratch.0.join("daemon");
    fs::write(
        &daemon,
        format!("#!/bin/sh\nsetsid sleep 601 & echo $! > {0}.new; mv {0}.new {0}\n", scratch.0.join("left").display()),
    )
    .unwrap();
    fs::set_permissions(&daemon, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    scratch.service(
        "leave",
        &format!("auth required pam_exec.so quiet {}\naccount required pam_permit.so\n", daemon.display()),
    );
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    supervisor.authenticate(credentials("leave", "alice", "x")).unwrap();
    let left: u32 = fs::read_to_string(scratch.0.join("left")).unwrap().trim().parse().unwrap();
    eventually(|| !is_there(left));
    assert!(supervisor.is_alive());
}

fn it_ends_with_the_server() {
    use std::io::BufRead as _;
    // A server in a process of its own that is killed while somebody signs in: another copy of this program.
    const INNER: &str = "VICAR_TEST_INNER_SERVER";
    if std::env::var_os(INNER).is_some() {
        let scratch = Scratch::new();
        with_accounts(&scratch, "");
        scratch.service("hang", "auth required pam_exec.so quiet /bin/sleep 600\naccount required pam_permit.so\n");
        let supervisor = Supervisor::fork(scratch.options()).unwrap();
        let signing_in = supervisor.clone();
        std::thread::spawn(move || signing_in.authenticate(credentials("hang", "alice", "x")));
        let programs = || children_of(supervisor.pid()).first().map(|&helper| children_of(helper)).unwrap_or_default();
        eventually(|| !programs().is_empty());
        let all = [vec![supervisor.pid()], children_of(supervisor.pid()), programs()].concat();
        drop(scratch);
        println!("{}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        std::thread::sleep(Duration::from_secs(60));
        panic!("nobody killed this process");
    }
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .env(INNER, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let processes: Vec<u32> = line.split_whitespace().map(|process| process.parse().unwrap()).collect();
    assert!(processes.len() == 3 && processes.iter().all(|&process| is_there(process)), "{line}");
    server.kill().unwrap();
    server.wait().unwrap();
    for process in processes {
        eventually(|| !is_there(process));
    }
}

fn signals_from_the_terminal_do_not_end_it() {
    let supervisor = Supervisor::fork(options()).unwrap();
    for signal in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::TERM] {
        rustix::process::kill_process(pid(supervisor.pid()), signal).unwrap();
        assert_eq!(supervisor.resolve("root").unwrap().name, "root");
    }
    // Only its own session is asked for: in a container, this process's may be led from outside and have no number.
    assert_eq!(rustix::process::getsid(Some(pid(supervisor.pid()))), Ok(pid(supervisor.pid())));
}

fn it_is_apart() {
    let open = fs::File::open("/etc/passwd").unwrap();
    let supervisor = Supervisor::fork(options()).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", supervisor.pid())).unwrap();
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().to_owned();
    assert_eq!(line("Name:"), "vicar-superv");
    assert_eq!(line("Threads:"), "1");
    let fds: Vec<PathBuf> = fs::read_dir(format!("/proc/{}/fd", supervisor.pid()))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!fds.iter().any(|target| target == Path::new("/etc/passwd")), "{fds:?}");
    // Three standard ones, the socket and the server's process.
    assert!(fds.len() <= 6, "{fds:?}");
    let parent = std::process::id();
    assert_eq!(line("PPid:"), parent.to_string());
    drop(open);
    // Not even root's file: somebody else cannot read its memory, because it cannot be dumped.
    let text = format!("/proc/{}/mem", supervisor.pid());
    let bob =
        vicar_os::UnixIdentity::new(KernelUid::new(BOB).unwrap(), vicar_os::KernelGid::new(BOB).unwrap(), []).unwrap();
    let answer = vicar_os::switch::irrevocable::ask(&bob, || vec![u8::from(fs::File::open(text).is_err())]);
    assert_eq!(answer, Ok(vec![1]));
}

fn helpers_hold_nothing_and_leave_nothing() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    let seen = scratch.0.join("seen");
    // The module's program looks at what it was given: descriptors, signal mask and session.
    let script = scratch.0.join("look");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\n/bin/ls -l /proc/self/fd > {0}\n/bin/grep -E 'Sig(Blk|Ign)' /proc/self/status >> {0}\n",
            seen.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    scratch.service(
        "look",
        &format!("auth required pam_exec.so quiet {}\naccount required pam_permit.so\n", script.display()),
    );
    let mut options = scratch.options();
    options.unasked = Unasked::Accept;
    let supervisor = Supervisor::fork(options).unwrap();
    supervisor.authenticate(credentials("look", "alice", "x")).unwrap();
    let text = fs::read_to_string(&seen).unwrap();
    assert!(!text.contains("socket:") && !text.contains("pidfd"), "{text}");
    assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
    eventually(|| children_of(supervisor.pid()).is_empty());
}

fn no_password_is_left_in_its_memory() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("vicar", UNIX);
    let supervisor = Supervisor::fork(scratch.options()).unwrap();
    // Made after the fork, so that it can only have come through the socket.
    let password = format!("zq{:x}zq", Instant::now().elapsed().as_nanos() + 0xfeed_beef_0000_0001);
    for _ in 0..3 {
        let refused = supervisor.authenticate(credentials("vicar", "alice", &password));
        assert_eq!(refused, Err(SignInError::WrongCredentials));
    }
    assert!(!memory_of(supervisor.pid(), &password));
}

fn a_helper_has_no_password_of_others() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("hang", "auth required pam_exec.so quiet /bin/sleep 600\naccount required pam_permit.so\n");
    let mut options = scratch.options();
    options.conversations = 1;
    options.conversation_limit = Duration::from_secs(600);
    let supervisor = Supervisor::fork(options).unwrap();
    let password = format!("zq{:x}zq", Instant::now().elapsed().as_nanos() + 0xfeed_beef_0000_0002);
    let sign_in = |password: String| {
        let supervisor = supervisor.clone();
        std::thread::spawn(move || supervisor.authenticate(credentials("hang", "alice", &password)))
    };
    let first = sign_in("another".to_owned());
    eventually(|| children_of(supervisor.pid()).first().is_some_and(|&helper| !children_of(helper).is_empty()));
    let second = sign_in(password.clone());
    eventually(|| memory_of(supervisor.pid(), &password));
    // A helper that waits for its database, made while the second password waits for its turn.
    block_passwd(&scratch);
    let look_up = {
        let supervisor = supervisor.clone();
        std::thread::spawn(move || supervisor.resolve("bob"))
    };
    eventually(|| children_of(supervisor.pid()).len() == 2);
    // A new one forgets first of all what its parent knows, and goes to its work then.
    eventually(|| children_of(supervisor.pid()).into_iter().all(|helper| !memory_of(helper, &password)));
    assert_eq!(children_of(supervisor.pid()).len(), 2);
    let programs: Vec<u32> = children_of(supervisor.pid()).into_iter().flat_map(children_of).collect();
    rustix::process::kill_process(pid(supervisor.pid()), Signal::KILL).unwrap();
    unblock_passwd();
    end(&programs);
    for caller in [first, second] {
        assert_eq!(caller.join().unwrap(), Err(SignInError::Unavailable(Unavailable::Dead)));
    }
    assert_eq!(look_up.join().unwrap(), Err(ResolveError::Unavailable(Unavailable::Dead)));
}

/// Whether a text is anywhere in the memory that a process has written to.
fn memory_of(process: u32, text: &str) -> bool {
    use std::os::unix::fs::FileExt as _;
    let memory = fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut scanned = 0_usize;
    for line in fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (from, to) = words.next().unwrap().split_once('-').unwrap();
        if !words.next().unwrap().starts_with("rw") {
            continue;
        }
        let from = u64::from_str_radix(from, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(u64::from_str_radix(to, 16).unwrap() - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            scanned += bytes.len();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                return true;
            }
        }
    }
    assert!(scanned > 100_000, "{scanned}");
    false
}

fn a_system_without_pam_says_so() {
    let scratch = Scratch::new();
    with_accounts(&scratch, "");
    scratch.service("vicar", UNIX);
    let nothing = scratch.0.join("nothing");
    fs::write(&nothing, "").unwrap();
    for directory in ["/lib", "/lib64", "/usr/lib", "/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"] {
        let library = Path::new(directory).join("libpam.so.0");
        if library.exists() {
            mount(&["--bind".as_ref(), nothing.as_os_str(), library.as_os_str()]);
        }
    }
    let supervisor = Supervisor::fork(scratch.options()).unwrap();
    let refused = supervisor.authenticate(credentials("vicar", "alice", "correct horse")).unwrap_err();
    assert_eq!(refused, SignInError::NoPam);
    assert!(refused.to_string().contains("libpam0g"), "{refused}");
}

fn a_process_with_threads_forks_none() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv());
    assert!(matches!(Supervisor::fork(options()), Err(ForkError::ManyThreads)));
    drop(send);
    let _ = thread.join().unwrap();
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).unwrap()).unwrap()
}

/// Ends programs of this test that nobody else will end.
fn end(programs: &[u32]) {
    for &program in programs {
        let _ = rustix::process::kill_process(pid(program), Signal::KILL);
    }
}

/// Whether a process exists and is no zombie.
fn is_there(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

fn children_of(process: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{process}/task/{process}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
