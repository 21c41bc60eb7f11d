//! Sealed workers that perform batches. A closure cannot go to another process, so this road has a job of its own.

use crate::operation::Batch;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use vicar_os::sealed::{
    Accept, Job, JobAnswer, JobRequest, Plan, Purpose, Seal, SealedWorkers, Sealer, SealerOptions, WorkerOptions,
};
use vicar_os::{ClientContext, Server, Starting};

const JOBS: &[Job] = &[Job { name: "batch", run: batch }];

/// The number of the batch, and the tree.
fn batch(request: JobRequest<'_>) -> JobAnswer {
    let (number, root) = request.bytes.split_first_chunk::<8>().unwrap();
    Batch::of(u64::from_le_bytes(*number)).perform(Path::new(OsStr::from_bytes(root))).into_bytes().into()
}

/// Forks what the workers are made from.
pub(crate) fn fork(starting: &mut Starting) -> Sealer {
    starting.fork_sealer(SealerOptions::default(), JOBS).unwrap()
}

pub(crate) struct Sealed {
    workers: SealedWorkers,
    plan: Arc<Plan>,
}

impl Sealed {
    pub(crate) fn new(server: &Server, sealer: Sealer) -> Self {
        let workers = SealedWorkers::new(server, sealer, WorkerOptions::default());
        Self { workers, plan: Arc::new(Plan::new(Seal::new(Purpose::Files))) }
    }

    pub(crate) fn perform(&self, client: &ClientContext, batch: &Batch, root: &Path) -> String {
        let job = self.workers.sealer().job("batch").unwrap();
        let mut worker = self.workers.take(client, &self.plan).unwrap();
        let bytes = [&batch.seed.to_le_bytes()[..], root.as_os_str().as_bytes()].concat();
        let answer = worker.call(job, &bytes, &[], Accept::bytes(1 << 20)).unwrap();
        String::from_utf8(answer.bytes).unwrap()
    }
}
