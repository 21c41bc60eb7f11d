//! A server with sealed workers, and people.

use crate::jobs::JOBS;
use crate::scratch::Scratch;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vicar_os::sealed::{
    Accept, JobAnswer, Plan, Purpose, Seal, SealedError, SealedWorkers, SealerOptions, WorkerOptions,
};
use vicar_os::{ClientContext, LogonKind, Server, StartOptions, Starting, UnixIdentity};

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) server: Server,
    pub(crate) workers: SealedWorkers,
}

pub(crate) fn options() -> WorkerOptions {
    let mut options = WorkerOptions::default();
    // Longer than anything takes, however busy the machine is.
    options.call_limit = Duration::from_secs(120);
    options.wait = Duration::from_secs(60);
    options
}

impl World {
    /// Starts a server; `set_up` makes files as root.
    pub(crate) fn new(set_up: impl FnOnce(&Scratch)) -> Self {
        Self::with(options(), set_up)
    }

    pub(crate) fn with(options: WorkerOptions, set_up: impl FnOnce(&Scratch)) -> Self {
        let scratch = Scratch::new();
        set_up(&scratch);
        let mut starting = Starting::begin(StartOptions::default()).unwrap();
        let sealer = starting.fork_sealer(SealerOptions::default(), JOBS).unwrap();
        let server = starting.finish().unwrap();
        let workers = SealedWorkers::new(&server, sealer, options);
        Self { scratch, server, workers }
    }

    pub(crate) fn client(&self, identity: &UnixIdentity) -> ClientContext {
        self.server.logon(LogonKind::Network, identity).unwrap()
    }

    /// Has a job done, with no descriptors either way.
    pub(crate) fn job(
        &self,
        client: &ClientContext,
        plan: &Arc<Plan>,
        name: &str,
        bytes: &[u8],
    ) -> Result<JobAnswer, SealedError> {
        let job = self.workers.sealer().job(name).unwrap();
        self.workers.take(client, plan)?.call(job, bytes, &[], Accept::bytes(1 << 20))
    }

    pub(crate) fn text(&self, client: &ClientContext, plan: &Arc<Plan>, name: &str, bytes: &[u8]) -> String {
        String::from_utf8(self.job(client, plan, name, bytes).unwrap().bytes).unwrap()
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.scratch.path("")
    }
}

pub(crate) fn plan(purpose: Purpose) -> Arc<Plan> {
    Arc::new(Plan::new(Seal::new(purpose)))
}
