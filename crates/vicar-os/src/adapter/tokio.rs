//! Tokio: a runtime whose threads are the server from their first instruction, and work as clients beside it.
//!
//! A runtime makes threads when it needs them. One made while its maker acts as a client inherits that identity for
//! life and would run everybody's tasks with it. [`reset_threads`] puts a hook into the runtime's builder that makes each
//! new thread the server before it runs anything, and [`Clients::attach`] refuses a runtime without the hook.
//!
//! With this feature [`Server::run_as`] and [`ClientThread::adopt`](crate::ClientThread::adopt) answer
//! [`Misuse::RuntimeThread`](crate::Misuse::RuntimeThread) wherever a runtime is entered.
//!
//! ```no_run
//! use vicar_os::adapter::tokio::{Clients, reset_threads};
//! use vicar_os::{ClientThreadOptions, LogonKind, StartOptions, Starting, UnixIdentity};
//!
//! # fn serve(alice: &UnixIdentity) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Starting::begin(StartOptions::default())?.finish()?;
//! let threads = server.client_threads(ClientThreadOptions::default())?;
//! let runtime = reset_threads(tokio::runtime::Builder::new_multi_thread().enable_all(), &server).build()?;
//! runtime.block_on(async {
//!     let clients = Clients::attach(&server, threads).await?;
//!     let client = server.logon(LogonKind::Network, alice)?;
//!     let text = clients.run(&client, |_as_client| std::fs::read("/srv/notes")).await??;
//!     println!("{} bytes", text.len());
//!     Ok(())
//! })
//! # }
//! ```
//!
//! The evidence stays in its closure; a future that would carry it to another thread does not compile:
//!
//! ```compile_fail
//! # fn f(clients: vicar_os::adapter::tokio::Clients, client: vicar_os::ClientContext) {
//! tokio::spawn(async move {
//!     let kept = clients.run(&client, |as_client| as_client).await;
//!     tokio::task::yield_now().await;
//!     drop(kept);
//! });
//! # }
//! ```

use crate::enter::{AsClient, runtime_of_this_thread, serve_runtime};
use crate::switch::calls::Kernel;
use crate::switch::inherited::{Born, become_the_server};
use crate::{Answer, ClientContext, ClientThreads, Server};
use ::tokio::runtime::{Builder, Handle};
use core::fmt;

/// Puts the hook into a runtime that is being built: every thread it makes is the server before it runs a task.
///
/// Takes the place of a hook set by [`Builder::on_thread_start`] before; one set afterwards takes the place of this.
///
/// # Identity
/// A new thread that inherited a client's identity becomes the server again. One that cannot ends the process.
///
/// # Cost
/// Four readings and no change on each new thread, once.
pub fn reset_threads<'builder>(builder: &'builder mut Builder, server: &Server) -> &'builder mut Builder {
    let server = server.clone();
    builder.on_thread_start(move || {
        if server.can_switch() && become_the_server(&Kernel, server.base()) == Born::Client {
            server.note_inherited();
        }
        serve_runtime(server.id());
    })
}

/// Why no work can be given from this runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// No runtime is entered here.
    NoRuntime,
    /// The runtime was built without [`reset_threads`] for this server: its threads may be born as a client.
    NoHook,
    /// The runtime is shutting down, or its thread for the look panicked.
    Ended,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRuntime => "no tokio runtime is entered here",
            Self::NoHook => {
                "this tokio runtime was built without adapter::tokio::reset_threads for this server, so a thread of it could be born as a client"
            }
            Self::Ended => "the tokio runtime is shutting down",
        })
    }
}

impl core::error::Error for AttachError {}

/// Client threads, as the tasks of a runtime use them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    threads: ClientThreads,
}

impl Clients {
    /// Joins client threads and the runtime this is called in.
    ///
    /// # Errors
    /// - [`AttachError`]. One of the runtime's own threads is looked at, not its configuration.
    pub async fn attach(server: &Server, threads: ClientThreads) -> Result<Self, AttachError> {
        let runtime = Handle::try_current().map_err(|_none| AttachError::NoRuntime)?;
        let hooked = runtime.spawn_blocking(runtime_of_this_thread).await.map_err(|_ended| AttachError::Ended)?;
        if hooked == Some(server.id()) { Ok(Self { threads }) } else { Err(AttachError::NoHook) }
    }

    /// Runs `work` as the client on a client thread; the task waits, its thread does not.
    ///
    /// # Errors
    /// The answer is [`RunError`](crate::RunError) when the job did not run, or panicked. A job whose answer is dropped
    /// runs to its end.
    pub fn run<R: Send + 'static>(
        &self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R + Send + 'static,
    ) -> Answer<R> {
        self.threads.run(client, work)
    }

    /// The threads themselves.
    #[must_use]
    pub fn threads(&self) -> &ClientThreads {
        &self.threads
    }
}
