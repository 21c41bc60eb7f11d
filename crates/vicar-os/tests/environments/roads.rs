//! The roads of a server, and what is said of each.

use crate::scratch::{Scratch, identity};
use core::fmt::Display;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use vicar_nt::Privilege;
use vicar_os::elevated::{ElevatedError, ElevatedOptions, ElevatedQueue, ElevatedTasks, Grants, Task, Vouching};
use vicar_os::fs::Name;
use vicar_os::ring::{self, RingOptions};
use vicar_os::sealed::{
    Accept, Bounds, Job, Plan, Purpose, Seal, SealedWorkers, Sealer, SealerOptions, WorkerOptions, landlock_version,
};
use vicar_os::supervisor::{Supervisor, SupervisorOptions, admission};
use vicar_os::{ClientThreadOptions, KernelUid, LogonKind, Server, StartError, StartOptions, Starting};

/// One way of acting as a client, or of learning who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    Scoped,
    Threads,
    Mailbox,
    Ring,
    Sealed,
    /// A sealed worker that may only read.
    SealedWithin,
    Elevated,
    Supervisor,
    /// The process at the other end of a socket.
    Peer,
}

/// What this machine lacks, whatever a process is allowed.
pub(crate) fn there_is() -> String {
    let ring = ring::survey().is_ok();
    let peer = vicar_os::machine::look().peer_process;
    let lacking = [(Road::Ring, ring), (Road::SealedWithin, landlock_version().is_ok()), (Road::Peer, peer)];
    let lacking = lacking.iter().filter(|(_, there_is)| !there_is).map(|(road, _)| format!("no {road:?};"));
    format!("this machine: {}", lacking.collect::<String>())
}

const ECHO: Job = Job { name: "echo", run: |request| request.bytes.to_vec().into() };

struct World {
    scratch: Scratch,
    server: Server,
    sealer: Result<Sealer, StartError>,
    elevated: Result<ElevatedQueue, StartError>,
    supervisor: Result<Supervisor, StartError>,
}

fn start() -> World {
    let scratch = Scratch::new();
    let secret = scratch.path("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let alice = KernelUid::new(61_001).unwrap();
    let mut starting = Starting::begin(StartOptions::default()).unwrap();
    let mut options = ElevatedOptions::new(Grants::nobody().user(alice, Privilege::Backup));
    options.vouching = Vouching::ServerToo;
    let audit = std::fs::OpenOptions::new().append(true).create_new(true).open(scratch.path("audit")).unwrap();
    let elevated = starting.fork_elevated(options, audit.into()).map(|(queue, _registrar)| queue);
    let own = KernelUid::new(rustix::process::getuid().as_raw()).unwrap();
    let policy = admission::Policy::strict(1000, own, starting.anonymous().uid());
    let supervisor = starting.fork_supervisor(SupervisorOptions::new(policy));
    let sealer = starting.fork_sealer(SealerOptions::default(), &[ECHO]);
    World { scratch, server: starting.finish().unwrap(), sealer, elevated, supervisor }
}

fn word<T>(said: Result<T, impl Display>) -> String {
    said.map_or_else(|why| why.to_string(), |_| "works".to_owned())
}

/// Tries roads, and returns what each says.
pub(crate) fn try_all(roads: impl Iterator<Item = Road>) -> Vec<(Road, String)> {
    let World { scratch, server, sealer, elevated, supervisor } = start();
    let workers = sealer.map(|sealer| SealedWorkers::new(&server, sealer, WorkerOptions::default()));
    let mut elevated = Some(elevated);
    let mut said = |road| match road {
        Road::Scoped => word(server.try_scoped()),
        Road::Threads => {
            let threads = server.client_threads(ClientThreadOptions::default()).unwrap();
            word(server.try_threads(&threads))
        }
        Road::Mailbox => word(server.try_mailbox()),
        Road::Ring => match ring::Ring::start(&server, &RingOptions::default()) {
            Ok(ring) => word(server.try_ring(&ring)),
            Err(why) => why.to_string(),
        },
        Road::Sealed => match &workers {
            Ok(workers) => word(server.try_sealed(workers)),
            Err(why) => why.to_string(),
        },
        Road::SealedWithin => match &workers {
            Ok(workers) => word(within(&server, workers)),
            Err(why) => why.to_string(),
        },
        Road::Elevated => match elevated.take().unwrap() {
            Ok(queue) => word(back_up(&server, queue, &scratch)),
            Err(why) => why.to_string(),
        },
        Road::Supervisor => match &supervisor {
            Ok(supervisor) => word(supervisor.resolve("root")),
            Err(why) => why.to_string(),
        },
        Road::Peer => {
            let (near, _far) = UnixStream::pair().unwrap();
            let peer = vicar_os::source::peer::of(&near).map(|peer| peer.process().is_some());
            match peer {
                Ok(true) if vicar_os::machine::look().peer_process => "works".to_owned(),
                Ok(true) => "works, by number".to_owned(),
                Ok(false) => "no process".to_owned(),
                Err(why) => why.to_string(),
            }
        }
    };
    roads.map(|road| (road, said(road))).collect()
}

/// A job of a worker that may only read.
fn within(server: &Server, workers: &SealedWorkers) -> Result<(), vicar_os::sealed::SealedError> {
    let client = server.logon(LogonKind::Network, &identity(61_001, &[])).unwrap();
    let plan = Arc::new(Plan::new(Seal::new(Purpose::Files).within(Bounds::ReadOnly)));
    let echo = workers.sealer().job("echo").unwrap();
    let answer = workers.take(&client, &plan)?.call(echo, b"x", &[], Accept::bytes(1))?;
    assert_eq!(answer.bytes, b"x");
    Ok(())
}

/// Reads a file that its client may not read.
fn back_up(server: &Server, queue: ElevatedQueue, scratch: &Scratch) -> Result<(), ElevatedError> {
    let who = identity(61_001, &[]);
    let client = server.logon_holding(LogonKind::Network, &who, queue.granted(&who)).unwrap();
    let number = queue.register(&who)?;
    let tasks = ElevatedTasks::start(server, queue, 1, 8).unwrap();
    let directory = std::fs::File::open(scratch.path("")).unwrap();
    let task = Task::OpenForBackup { name: Name::parse(b"secret").unwrap() };
    let file = tasks.submit(&client, number, task, directory, None)?.wait()?.unwrap();
    assert_eq!(std::io::read_to_string(std::fs::File::from(file)).unwrap(), "secret");
    Ok(())
}
