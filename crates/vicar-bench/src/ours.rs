//! The ways of `vicar-os`, through its public interface alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vicar_os::fs::BeneathPath;
use vicar_os::sealed::{
    FileAccess, FileAnswer, FileRequest, Plan, Purpose, Seal, SealedWorkers, SealerOptions, WorkerOptions,
};
use vicar_os::{
    ClientContext, ClientThread, ClientThreadOptions, ClientThreads, DEFAULT_UMASK, KernelGid, KernelUid, LogonKind,
    Server, StartOptions, Starting, UnixIdentity,
};

use crate::method::Running;
use crate::op::{self, Op, Target};
use crate::scratch::{self, ANOTHER, CLIENT};

/// Starts a server in this process and logs a client with `groups` groups on.
pub(crate) fn start(groups: u32) -> Result<(Server, ClientContext), String> {
    let server = Starting::begin(StartOptions::default())
        .and_then(Starting::finish)
        .map_err(|error| format!("server: {error}"))?;
    if let Some(why) = &server.report().powerless {
        return Err(format!("server: {why}"));
    }
    let client = logon(&server, CLIENT, groups)?;
    Ok((server, client))
}

/// Logs the throw-away user `id` on with `groups` groups.
pub(crate) fn logon(server: &Server, id: u32, groups: u32) -> Result<ClientContext, String> {
    let (Some(uid), Some(gid)) = (KernelUid::new(id), KernelGid::new(id)) else {
        return Err("the client's ids".to_owned());
    };
    let groups = scratch::groups(id, groups).filter_map(KernelGid::new);
    let identity = UnixIdentity::new(uid, gid, groups).map_err(|error| format!("identity: {error}"))?;
    server.logon(LogonKind::Network, &identity).map_err(|error| format!("logon: {error}"))
}

/// Runs `count` operations one after the other.
fn repeat(target: &Target, count: u32) -> Result<(), String> {
    (0..count).try_for_each(|_| target.run())
}

/// `Server::run_as` around each operation.
struct RunAs {
    server: Server,
    client: ClientContext,
    target: Target,
}

impl Running for RunAs {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        for _ in 0..count {
            self.server
                .run_as(&self.client, |_as_client| self.target.run())
                .map_err(|error| format!("run_as: {error}"))??;
        }
        Ok(start.elapsed())
    }
}

/// `Server::run_as` around each operation.
pub(crate) fn run_as(target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = start(groups)?;
    server.run_as(&client, |_as_client| target.must_be_client()).map_err(|error| format!("run_as: {error}"))??;
    target.must_be_server()?;
    Ok(Box::new(RunAs { server, client, target: target.clone() }))
}

/// This thread as a client thread: entered for each operation, while it keeps its last client in between.
struct OwnThread {
    thread: ClientThread,
    /// The client of this operation, and that of the next one.
    turn: [ClientContext; 2],
    target: Target,
}

impl Running for OwnThread {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        for _ in 0..count {
            let target = &self.target;
            let [client, _] = &self.turn;
            self.thread.run(client, |_as_client| target.run()).map_err(|error| format!("client thread: {error}"))??;
            self.turn.reverse();
        }
        Ok(start.elapsed())
    }
}

/// Makes the calling thread a client thread and proves it with both clients.
fn own_thread(server: &Server, turn: [ClientContext; 2], target: &Target) -> Result<Box<dyn Running>, String> {
    let told = |error| format!("client thread: {error}");
    let mut thread = ClientThread::adopt(server, DEFAULT_UMASK).map_err(|error| format!("client thread: {error}"))?;
    for client in &turn {
        let proof = thread.run(client, |_as_client| target.must_be_client()).map_err(told)?;
        if client.identity().uid().raw() == CLIENT {
            proof?;
        } else if proof.is_ok() {
            return Err("client thread: another client is taken for the first".to_owned());
        }
    }
    Ok(Box::new(OwnThread { thread, turn, target: target.clone() }))
}

/// A client thread that already holds the client; entered once per operation.
pub(crate) fn sticky(target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = start(groups)?;
    own_thread(&server, [client.clone(), client], target)
}

/// A client thread that takes on another client for every operation.
pub(crate) fn alternate(target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = start(groups)?;
    let another = logon(&server, ANOTHER, groups)?;
    own_thread(&server, [client, another], target)
}

/// Of so many operations one in a row is the first of another client.
const ROW: u32 = 10;

/// As [`OwnThread`], ten operations of each client in turn.
struct InRows {
    thread: ClientThread,
    turn: [ClientContext; 2],
    target: Target,
}

impl Running for InRows {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        for done in 0..count {
            let target = &self.target;
            let [client, _] = &self.turn;
            self.thread.run(client, |_as_client| target.run()).map_err(|error| format!("client thread: {error}"))??;
            if done % ROW == ROW - 1 {
                self.turn.reverse();
            }
        }
        Ok(start.elapsed())
    }
}

/// A client thread that takes on another client for every tenth operation.
pub(crate) fn sticky90(target: &Target, groups: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = start(groups)?;
    let another = logon(&server, ANOTHER, groups)?;
    let thread = ClientThread::adopt(&server, DEFAULT_UMASK).map_err(|error| format!("client thread: {error}"))?;
    Ok(Box::new(InRows { thread, turn: [client, another], target: target.clone() }))
}

/// One job an operation for a single client thread, ten of each client in turn.
struct PoolInRows {
    threads: ClientThreads,
    turn: [ClientContext; 2],
    target: Target,
    /// How many are handed over before the first is waited for; a divisor of [`ROW`].
    at_once: u32,
}

impl Running for PoolInRows {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let mut handed = Vec::new();
        let start = Instant::now();
        for done in 1..=count {
            let target = self.target.clone();
            let [client, _] = &self.turn;
            handed.push(self.threads.run(client, move |_as_client| target.run()));
            if done.is_multiple_of(self.at_once) || done == count {
                // The last first: they end in order, and the caller sleeps once.
                while let Some(answer) = handed.pop() {
                    answer.wait().map_err(|error| format!("client threads: {error}"))??;
                }
            }
            if done % ROW == 0 {
                self.turn.reverse();
            }
        }
        Ok(start.elapsed())
    }
}

/// One job an operation, nine of ten of the client that the thread holds.
pub(crate) fn pool90(target: &Target, groups: u32, at_once: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = start(groups)?;
    let another = logon(&server, ANOTHER, groups)?;
    let options = ClientThreadOptions { threads: 1, ..ClientThreadOptions::default() };
    let threads = server.client_threads(options).map_err(|error| format!("client threads: {error}"))?;
    let proof = target.clone();
    threads
        .run_blocking(&client, move |_as_client| proof.must_be_client())
        .map_err(|error| format!("client threads: {error}"))??;
    Ok(Box::new(PoolInRows { threads, turn: [client, another], target: target.clone(), at_once }))
}

/// Jobs handed to the client threads.
struct Pool {
    threads: ClientThreads,
    client: ClientContext,
    target: Target,
    batch: u32,
}

impl Running for Pool {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        let mut left = count;
        while left > 0 {
            let now = left.min(self.batch);
            let target = self.target.clone();
            self.threads
                .run_blocking(&self.client, move |_as_client| repeat(&target, now))
                .map_err(|error| format!("client threads: {error}"))??;
            left = left.saturating_sub(now);
        }
        Ok(start.elapsed())
    }
}

/// One job for `batch` operations, handed to the client threads and waited for.
pub(crate) fn pool(target: &Target, groups: u32, batch: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = start(groups)?;
    let threads =
        server.client_threads(ClientThreadOptions::default()).map_err(|error| format!("client threads: {error}"))?;
    let proof = target.clone();
    threads
        .run_blocking(&client, move |_as_client| proof.must_be_client())
        .map_err(|error| format!("client threads: {error}"))??;
    Ok(Box::new(Pool { threads, client, target: target.clone(), batch }))
}

/// A sealed worker that does file requests.
struct Worker {
    worker: vicar_os::sealed::Worker,
    op: Op,
    batch: Vec<FileRequest>,
}

impl Worker {
    /// Has one batch done, and what is open closed again.
    fn once(&mut self) -> Result<(), String> {
        for answer in self.worker.files(&self.batch).map_err(|error| format!("sealed worker: {error}"))? {
            match (answer.map_err(|error| format!("sealed worker: {error}"))?, self.op) {
                (FileAnswer::Opened(file), Op::OpenClose) => drop(file),
                (FileAnswer::Opened(file), Op::OpenStat) => {
                    let seen = rustix::fs::fstat(file).map_err(|errno| format!("fstat: {errno}"))?;
                    std::hint::black_box(seen);
                }
                (FileAnswer::Opened(file), Op::OpenRead) => op::read_page(&file)?,
                (FileAnswer::Seen(seen), Op::Statx) => {
                    std::hint::black_box(seen);
                }
                (other, _) => return Err(format!("sealed worker: answered {other:?}")),
            }
        }
        Ok(())
    }
}

impl Running for Worker {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let size = u32::try_from(self.batch.len()).map_err(|_too_many| "batch")?;
        let rounds = count.div_ceil(size.max(1));
        let start = Instant::now();
        for _ in 0..rounds {
            self.once()?;
        }
        // As if exactly `count` had been done: the last batch may be more.
        let done = f64::from(rounds.saturating_mul(size));
        Ok(start.elapsed().mul_f64(f64::from(count) / done))
    }
}

/// A sealed worker of the client, asked for `batch` operations a message.
pub(crate) fn sealed(target: &Target, groups: u32, batch: usize) -> Result<Box<dyn Running>, String> {
    let told = |error: &dyn std::fmt::Display| format!("sealed worker: {error}");
    let mut starting = Starting::begin(StartOptions::default()).map_err(|error| told(&error))?;
    let sealer = starting.fork_sealer(SealerOptions::default(), &[]).map_err(|error| told(&error))?;
    let server = starting.finish().map_err(|error| told(&error))?;
    let client = logon(&server, CLIENT, groups)?;
    let directory = target.directory().ok_or("sealed worker: no directory")?;
    let plan = Arc::new(Plan::new(Seal::new(Purpose::Files)).at(directory.to_owned()));
    let workers = SealedWorkers::new(&server, sealer, WorkerOptions::default());
    let mut worker = workers.take(&client, &plan).map_err(|error| told(&error))?;
    let path = |name: &str| BeneathPath::parse(name.as_bytes()).map_err(|error| told(&error));
    let open = |name: &str| path(name).map(|path| FileRequest::Open { path, access: FileAccess::Read });
    let proof = worker.files(&[open(Target::OF_CLIENT)?, open(Target::OF_SERVER)?]).map_err(|error| told(&error))?;
    let [Ok(FileAnswer::Opened(_)), Err(_)] = &proof[..] else {
        return Err(format!("sealed worker: is not the client: {proof:?}"));
    };
    let request = match target.op() {
        Op::OpenClose | Op::OpenStat | Op::OpenRead => open(Target::FILE)?,
        Op::Read => return Err("sealed worker: an open file is read by whoever has it".to_owned()),
        Op::Statx => FileRequest::Stat { path: path(Target::FILE)? },
    };
    Ok(Box::new(Worker { worker, op: target.op(), batch: vec![request; batch] }))
}
