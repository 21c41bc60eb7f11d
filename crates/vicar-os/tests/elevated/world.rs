//! A server with an elevated queue.

use crate::scratch::{Scratch, identity};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use vicar_nt::Privilege;
use vicar_os::elevated::{
    ElevatedError, ElevatedOptions, ElevatedQueue, ElevatedTasks, Grants, SubjectNumber, Task, Vouching,
};
use vicar_os::fs::Name;
use vicar_os::{ClientContext, KernelGid, KernelUid, LogonKind, Server, StartOptions, Starting};

/// Set in the process that is killed while it has a queue.
pub(crate) const DOOMED: &str = "VICAR_TEST_DOOMED";

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) server: Server,
    pub(crate) tasks: ElevatedTasks,
}

/// Alice may back up, the members of 61300 restore, bob may take ownership.
pub(crate) fn grants() -> Grants {
    let (alice, bob) = (KernelUid::new(61_001).unwrap(), KernelUid::new(61_002).unwrap());
    Grants::nobody()
        .user(alice, Privilege::Backup)
        .group(KernelGid::new(61_300).unwrap(), Privilege::Restore)
        .user(bob, Privilege::TakeOwnership)
}

impl World {
    pub(crate) fn new(set_up: impl FnOnce(&Scratch)) -> Self {
        let scratch = Scratch::new();
        set_up(&scratch);
        let mut starting = Starting::begin(StartOptions::default()).unwrap();
        let mut options = ElevatedOptions::new(grants());
        options.vouching = Vouching::ServerToo;
        let audit = std::fs::OpenOptions::new().append(true).create_new(true).open(scratch.path("audit")).unwrap();
        let (queue, _registrar) = starting.fork_elevated(options, audit.into()).unwrap();
        let server = starting.finish().unwrap();
        let tasks = ElevatedTasks::start(&server, queue, 2, 64).unwrap();
        Self { scratch, server, tasks }
    }

    pub(crate) fn queue(&self) -> &ElevatedQueue {
        self.tasks.queue()
    }

    /// Signs somebody in with what the queue grants, and registers the number.
    pub(crate) fn client(&self, uid: u32, groups: &[u32]) -> (ClientContext, SubjectNumber) {
        let who = identity(uid, groups);
        let client = self.server.logon_holding(LogonKind::Network, &who, self.queue().granted(&who)).unwrap();
        (client, self.queue().register(&who).unwrap())
    }

    /// Has a task done in the directory of the test.
    pub(crate) fn ask(
        &self,
        who: &(ClientContext, SubjectNumber),
        task: Task,
    ) -> Result<Option<OwnedFd>, ElevatedError> {
        let directory = std::fs::File::open(self.scratch.path("")).unwrap();
        self.tasks.submit(&who.0, who.1, task, directory, None)?.wait()
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn line(pid: u32, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn only_the_queue_holds_more() {
    let world = World::new(|_| {});
    let queue = world.queue().pid();
    // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER for the tasks, KILL, SETGID, SETUID, SETPCAP for the queue itself.
    for set in ["CapPrm", "CapBnd"] {
        assert_eq!(line(queue, set), "00000000000001ef", "{set}");
    }
    for set in ["CapEff", "CapInh", "CapAmb"] {
        assert_eq!(line(queue, set), "0000000000000000", "{set}");
    }
    assert_eq!((line(queue, "NoNewPrivs"), line(queue, "Threads")), ("1".into(), "1".into()));
    assert_eq!(line(std::process::id(), "CapPrm"), "00000000000000c0");
    for what in ["fd/0", "exe", "root"] {
        let link = std::fs::read_link(format!("/proc/{queue}/{what}"));
        assert!(link.is_err(), "the server may not look into the queue: {link:?}");
    }
    assert!(std::fs::File::open(format!("/proc/{queue}/mem")).is_err());
}

fn process(pid: u32) -> OwnedFd {
    rustix::process::pidfd_open(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), PidfdFlags::empty()).unwrap()
}

fn ends(process: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)), Ok(1), "the process did not end");
}

pub(crate) fn without_the_queue_nothing_is_done() {
    let world = World::new(|scratch| scratch.file("f", 0o600, 0, 0));
    let alice = world.client(61_001, &[]);
    let queue = process(world.queue().pid());
    rustix::process::pidfd_send_signal(&queue, Signal::KILL).unwrap();
    ends(&queue);
    let asked = world.ask(&alice, Task::OpenForBackup { name: name("f") });
    assert_eq!(asked.err(), Some(ElevatedError::Dead));
    assert_eq!(world.queue().register(&identity(61_001, &[])).err(), Some(ElevatedError::Dead));
    assert!(!world.queue().is_alive());
}

pub(crate) fn be_doomed() {
    let world = World::new(|_| {});
    println!("{}", world.queue().pid());
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}

pub(crate) fn without_the_server_the_queue_ends() {
    use std::io::{BufRead as _, BufReader};
    let mut doomed = Command::new(std::env::current_exe().unwrap())
        .env(DOOMED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(doomed.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let queue = process(line.trim().parse().unwrap());
    doomed.kill().unwrap();
    doomed.wait().unwrap();
    ends(&queue);
}
