//! The way from a password to a task: the supervisor says who signed in, the queue believes the supervisor.

use crate::scratch::Scratch;
use crate::world::{grants, name};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use vicar_os::elevated::{ElevatedOptions, ElevatedTasks, Task};
use vicar_os::supervisor::admission::Policy;
use vicar_os::supervisor::{Credentials, Secret, SupervisorOptions, Unasked};
use vicar_os::{KernelUid, LogonKind, StartOptions, Starting};

const APART: &str = "VICAR_TEST_MOUNTS";

/// Goes on in a mount namespace whose account files name alice.
fn with_alice() {
    if std::env::var_os(APART).is_none() {
        let error = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--"])
            .arg(std::env::current_exe().unwrap())
            .env(APART, "1")
            .exec();
        panic!("unshare: {error}");
    }
    let directory = std::env::temp_dir().join(format!("vicar-signed-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    for (file, text) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\nalice:x:61001:61001::/:/bin/sh\n"),
        ("group", "root:x:0:\nalice:x:61001:\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\ninitgroups: files\n"),
    ] {
        std::fs::write(directory.join(file), text).unwrap();
        let over = std::path::Path::new("/etc").join(file);
        let mounted = std::process::Command::new("mount").arg("--bind").arg(directory.join(file)).arg(&over).status();
        assert!(mounted.unwrap().success(), "{}", over.display());
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

pub(crate) fn whoever_signs_in_is_registered_by_the_supervisor() {
    with_alice();
    let scratch = Scratch::new();
    scratch.file("roots", 0o600, 0, 0);
    let services = scratch.path("pam.d");
    std::fs::create_dir(&services).unwrap();
    std::fs::write(services.join("permit"), "auth required pam_permit.so\naccount required pam_permit.so\n").unwrap();
    let mut starting = Starting::begin(StartOptions::default()).unwrap();
    let audit = std::fs::File::create(scratch.path("audit")).unwrap();
    let (queue, registrar) = starting.fork_elevated(ElevatedOptions::new(grants()), audit.into()).unwrap();
    let policy = Policy::strict(1000, KernelUid::new(0).unwrap(), KernelUid::new(65_520).unwrap());
    let mut options = SupervisorOptions::new(policy);
    options.confdir = Some(services);
    options.unasked = Unasked::Accept;
    let supervisor = starting.fork_supervisor_for(options, registrar).unwrap();
    let server = starting.finish().unwrap();
    let tasks = ElevatedTasks::start(&server, queue, 1, 8).unwrap();
    // A look-up is no sign-in.
    assert_eq!(supervisor.resolve("alice").unwrap().subject, None);
    let account = supervisor
        .authenticate(Credentials {
            service: "permit".into(),
            user: "alice".into(),
            password: Secret::new("unasked"),
            remote_host: None,
        })
        .unwrap();
    let subject = account.subject.unwrap();
    let granted = tasks.queue().granted(&account.identity);
    let client = server.logon_holding(LogonKind::Network, &account.identity, granted).unwrap();
    let directory = std::fs::File::open(scratch.path("")).unwrap();
    let task = Task::OpenForBackup { name: name("roots") };
    let file = tasks.submit(&client, subject, task, directory, None).unwrap().wait().unwrap().unwrap();
    let mut text = String::new();
    std::fs::File::from(file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "roots");
    assert!(tasks.queue().register(&account.identity).is_err(), "the server vouches for nobody");
}
