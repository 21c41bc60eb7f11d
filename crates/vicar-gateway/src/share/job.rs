//! Jobs: the only way from the service to a file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::StatusCode;
use vicar_os::fs::{Errno, FsError, Root};
use vicar_os::{AsClient, ClientContext, ClientThreads, RunError};

use super::ShareOptions;
use super::failure::Failure;

/// Most directories of one kind that are kept open for clients; each is a descriptor.
const ROOTS: usize = 128;

/// Runs work as clients, with the share's directory opened by that very client.
#[derive(Clone)]
pub(super) struct Jobs {
    threads: ClientThreads,
    share: Arc<Roots>,
    spool: Arc<Roots>,
}

impl core::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Jobs(..)")
    }
}

/// User and group id as the kernel showed them to the first job of a request.
pub(super) type Seen = Arc<OnceLock<(u32, u32)>>;

/// One directory, opened once by each captured identity.
struct Roots {
    path: Box<Path>,
    open: Mutex<HashMap<u64, Arc<Root>>>,
}

impl Roots {
    fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self { path: path.into(), open: Mutex::new(HashMap::new()) })
    }

    fn of(&self, as_client: &AsClient<'_>, generation: u64) -> Result<Arc<Root>, FsError> {
        if let Some(root) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&generation) {
            return Ok(Arc::clone(root));
        }
        let root = Arc::new(Root::open(as_client, &self.path)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= ROOTS {
            // Generations only grow: the smaller half is the older one.
            let mut generations: Vec<u64> = open.keys().copied().collect();
            generations.sort_unstable();
            for old in generations.iter().take(ROOTS / 2) {
                open.remove(old);
            }
        }
        open.insert(generation, Arc::clone(&root));
        Ok(root)
    }
}

impl Jobs {
    pub(super) fn new(threads: ClientThreads, options: &ShareOptions) -> Self {
        Self { threads, share: Roots::new(&options.root), spool: Roots::new(&options.spool) }
    }

    /// Runs `work` as the client beneath the share.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        client: &ClientContext,
        seen: &Seen,
        work: impl FnOnce(&AsClient<'_>, &Root) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let (share, seen, generation) = (Arc::clone(&self.share), Arc::clone(seen), client.generation());
        self.run_plain(client, move |as_client| {
            let shown = as_client.shown();
            seen.get_or_init(|| (shown.uid.raw(), shown.gid.raw()));
            let root = share.of(as_client, generation).map_err(|error| of_root(&error))?;
            work(as_client, &root)
        })
        .await?
    }

    /// Runs `work` as the client, without the share's directory.
    pub(super) async fn run_plain<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        self.threads.run(client, work).await.map_err(|error: RunError| Failure::of_run(&error))
    }

    /// Runs `work` as the client some time, and nobody waits for it.
    pub(super) fn leave(&self, client: &ClientContext, work: impl FnOnce(&AsClient<'_>) + Send + 'static) {
        drop(self.threads.run(client, work));
    }

    /// Returns the spool as this client opened it; for use inside a job.
    pub(super) fn spool(&self, as_client: &AsClient<'_>, client: &ClientContext) -> Result<Arc<Root>, FsError> {
        self.spool.of(as_client, client.generation())
    }
}

/// A share that is not there is the server's trouble, not the request's.
fn of_root(error: &FsError) -> Failure {
    if error.is(Errno::NOENT) || error.is(Errno::NOTDIR) {
        Failure::status(StatusCode::SERVICE_UNAVAILABLE)
    } else {
        Failure::of(error)
    }
}
