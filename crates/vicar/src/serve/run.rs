//! The runtime: from the first connection to the last.

use super::start::Ready;
use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;
use vicar_gateway::serve::signal::stop_on_signals;
use vicar_gateway::serve::{Gateway, Stopped, Stopper};
use vicar_os::adapter::tokio::{Clients, reset_threads};
use vicar_os::supervisor::Supervisor;

/// How long jobs that a cut request began may take to end by themselves.
const JOBS_AFTER_DRAIN: Duration = Duration::from_secs(10);
/// The same when the server was told to end at once.
const JOBS_AFTER_CUT: Duration = Duration::from_millis(500);

/// How often the supervisor is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How it ended: the server, and what ran beside it (if it did end).
#[derive(Debug)]
pub(crate) struct Ending<T> {
    /// The server.
    pub(crate) stopped: Stopped,
    /// What ran beside it.
    pub(crate) beside: Option<T>,
}

/// Says once, on standard error, that the supervisor is gone.
async fn watch(supervisor: Supervisor) {
    while supervisor.is_alive() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // Standard error may be gone too; the audit log has a line for each sign-in that fails for it.
    let _ = writeln!(
        std::io::stderr(),
        "vicar: the supervisor has ended; no account can sign in until this server is started again"
    );
}

impl Ready {
    /// Serves until a signal, or until `beside` asks for the end.
    ///
    /// `beside` gets what ends the server; sockets are listening already when it is called. When it has ended and nobody asked
    /// for the end, the server goes on.
    pub(crate) fn run<T, F>(self, beside: impl FnOnce(Stopper) -> F) -> Result<Ending<T>, String>
    where
        F: Future<Output = T>,
    {
        let Self { parts, listeners, server, threads, supervisor, banner: _ } = self;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = reset_threads(&mut builder, &server)
            .worker_threads(std::thread::available_parallelism().map_or(2, |count| count.get().max(2)))
            .thread_name("vicar-front")
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        let ending = runtime.block_on(async {
            // Looks at a thread of the runtime that was made, not at how.
            Clients::attach(&server, threads.clone()).await.map_err(|error| error.to_string())?;
            let gateway = Gateway::new(parts, listeners);
            let stopper = gateway.stopper();
            stop_on_signals(stopper.clone()).map_err(|error| format!("cannot take signals: {error}"))?;
            let mut serving = tokio::spawn(gateway.run());
            tokio::spawn(watch(supervisor.clone()));
            let beside = beside(stopper);
            tokio::pin!(beside);
            // Whichever ends first, the server's end is the end.
            let (mut ended, stopped) = tokio::select! {
                stopped = &mut serving => (None, stopped),
                ended = &mut beside => (Some(ended), (&mut serving).await),
            };
            let stopped = stopped.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            if ended.is_none() {
                // It may have been about to end; nothing is waited for.
                ended = tokio::time::timeout(Duration::from_millis(1), &mut beside).await.ok();
            }
            Ok::<_, String>(Ending { stopped, beside: ended })
        })?;
        // A PAM conversation may hang; its thread is left behind, the supervisor ends its process.
        runtime.shutdown_timeout(Duration::from_millis(500));
        let patience = match ending.stopped {
            Stopped::Drained => JOBS_AFTER_DRAIN,
            Stopped::Cut => JOBS_AFTER_CUT,
        };
        let (done, waits) = mpsc::channel();
        std::thread::spawn(move || {
            drop(threads);
            drop(supervisor);
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
        let _ = waits.recv_timeout(patience);
        Ok(ending)
    }
}
