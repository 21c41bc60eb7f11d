//! One client thread: rests as nobody, keeps its last client, never is the server.

use crate::client::{ClientContext, IdentityKey};
use crate::enter::{Acting, AsClient, EnterError, Entered, Purpose, ServerThread, Shown};
use crate::question::{AskError, Could, Question};
use crate::server::Server;
use crate::switch::place::{Step, SwitchError, die};
use crate::sys;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// How often a kept identity is read back in full: once in this many entries.
const VERIFY_EVERY: u32 = 4096;

/// The umask of client threads unless the options say otherwise: no group or other may write what a client makes.
pub const DEFAULT_UMASK: u32 = 0o022;

/// The calling thread, given over to acting as clients for the rest of its life.
///
/// Between jobs it keeps the last client's identity, so that the same client again costs nothing; the key of what it
/// holds is compared at every entry. It can make no thread and execute no program, and no signal handler runs on it. The
/// working directory and the umask that work leaves are there for the same client only: another one begins in `/`.
#[derive(Debug)]
pub struct ClientThread {
    server: Server,
    thread: ServerThread,
    held: Option<(IdentityKey, Entered)>,
    umask: Mode,
    entries: u32,
}

/// The step of making a thread powerless that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdoptError {
    /// What was being done.
    pub operation: &'static str,
    /// What the kernel answered.
    pub errno: i32,
}

impl core::fmt::Display for AdoptError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.operation, std::io::Error::from_raw_os_error(self.errno))
    }
}

impl core::error::Error for AdoptError {}

fn at(operation: &'static str) -> impl FnOnce(Errno) -> AdoptError {
    move |errno| AdoptError { operation, errno: errno.raw_os_error() }
}

impl ClientThread {
    /// Turns the calling thread, which must be one of the server's, into a client thread.
    ///
    /// # Errors
    /// - [`AdoptError`]; the thread is to be ended, parts of this cannot be undone.
    ///
    /// # Identity
    /// Afterwards the thread is anonymous, has its own working directory (`/`) and umask, an empty session keyring, all
    /// signals blocked, and a filter that refuses clone, fork, exec and every use of keys.
    ///
    /// # Source
    /// unshare(2) CLONE_FS, umask(2), keyctl(2), pthread_sigmask(3), seccomp(2).
    pub fn adopt(server: &Server, umask: u32) -> Result<Self, AdoptError> {
        sys::signal::block_all().map_err(at("pthread_sigmask"))?;
        sys::thread::unshare(UnshareFlags::FS).map_err(at("unshare CLONE_FS"))?;
        rustix::process::chdir("/").map_err(at("chdir"))?;
        let umask = Mode::from_raw_mode(umask);
        rustix::process::umask(umask);
        sys::keyring::join_empty_session().map_err(at("keyctl KEYCTL_JOIN_SESSION_KEYRING"))?;
        sys::seccomp::refuse_tasks_programs_and_keys().map_err(at("seccomp"))?;
        let not_ours = |_error| AdoptError { operation: "checking the thread's identity", errno: libc::EPERM };
        let mut thread = ServerThread::adopt(server).map_err(not_ours)?;
        thread.rest().map_err(|error| AdoptError { operation: "becoming anonymous", errno: error.errno })?;
        Ok(Self { server: server.clone(), thread, held: None, umask, entries: 0 })
    }

    /// Runs `work` as the client.
    ///
    /// # Errors
    /// - [`EnterError`]; `work` did not run. When the client's identity could not be taken on, the thread is anonymous.
    ///
    /// # Cost
    /// The same client again: two atomic reads and a comparison. Another client: four credential calls and three
    /// readings (one call more when the server is not root).
    pub fn run<R>(&mut self, client: &ClientContext, work: impl FnOnce(&AsClient<'_>) -> R) -> Result<R, EnterError> {
        self.run_for(Purpose::Act, client, work)
    }

    /// Runs `work` for a client that may be restricted; see [`Server::run_restricted`].
    ///
    /// # Errors
    /// - As for [`Self::run`]. `work` did not run.
    pub fn run_restricted<R>(
        &mut self,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R,
    ) -> Result<R, EnterError> {
        self.run_for(Purpose::ActRestricted, client, work)
    }

    /// Asks the kernel whether the client could do something.
    ///
    /// # Errors
    /// - [`AskError`]; there is no answer. [`EnterError::BelowIdentification`] at level Anonymous.
    ///
    /// # NT
    /// An access check by a server that impersonates at level Identification.
    pub fn could(&mut self, client: &ClientContext, question: &Question) -> Result<Could, AskError> {
        self.run_for(Purpose::Ask, client, |as_client| question.put(as_client)).map_err(AskError::Enter)?
    }

    pub(super) fn run_for<R>(
        &mut self,
        purpose: Purpose,
        client: &ClientContext,
        work: impl FnOnce(&AsClient<'_>) -> R,
    ) -> Result<R, EnterError> {
        let _acting = Acting::begin().map_err(EnterError::Misuse)?;
        if client.is_revoked() {
            return Err(EnterError::Revoked);
        }
        let key = client.key(self.server.primary_state(), purpose);
        let is_held = self.held.as_ref().is_some_and(|(held, _)| *held == key);
        if is_held {
            self.entries = self.entries.wrapping_add(1);
            if self.entries.checked_rem(VERIFY_EVERY) == Some(0) {
                self.thread.verify();
            }
        } else {
            let entered = self.thread.enter(client, purpose).and_then(|entered| self.forget_view().map(|()| entered));
            match entered {
                Ok(entered) => self.held = Some((key, entered)),
                Err(error) => {
                    self.let_go();
                    return Err(error);
                }
            }
        }
        match &self.held {
            Some((_, entered)) => Ok(self.thread.act(entered, work)),
            // Put there above.
            None => Err(EnterError::CannotProject),
        }
    }

    /// Takes the client's identity on and keeps it. On an error the thread is what it was, unlike after [`Self::run`].
    pub(crate) fn hold(&mut self, client: &ClientContext) -> Result<&Shown, EnterError> {
        if client.is_revoked() {
            return Err(EnterError::Revoked);
        }
        let key = client.key(self.server.primary_state(), Purpose::Act);
        if self.held.as_ref().is_none_or(|(held, _)| *held != key) {
            self.forget_view()?;
            let entered = self.thread.enter(client, Purpose::Act)?;
            self.held = Some((key, entered));
        }
        match &self.held {
            Some((_, entered)) => Ok(&entered.shown),
            // Put there above.
            None => Err(EnterError::CannotProject),
        }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Leaves the working directory and the umask that the work for another client may have left: names would be resolved
    /// in a directory that this client could not have got to.
    fn forget_view(&self) -> Result<(), EnterError> {
        rustix::process::umask(self.umask);
        rustix::process::chdir("/").map_err(|errno| EnterError::Switch(SwitchError::new(Step::LeaveDirectory, errno)))
    }

    /// Lets go of the last client: the thread is nobody again, or the process ends.
    pub fn release(&mut self) {
        if self.held.is_some() {
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        self.held = None;
        if self.thread.rest().is_err() {
            die("a client thread cannot become anonymous");
        }
        // Only so as not to keep the directory in use: whoever is taken on next leaves it before anything else.
        let _ = self.forget_view();
    }

    /// Uid of the client whose identity the thread holds.
    pub(super) fn holds(&self) -> Option<u32> {
        self.held.as_ref().map(|(_, entered)| entered.shown.uid.raw())
    }
}
