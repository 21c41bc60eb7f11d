//! The server's side: approved as the client, handed over by a system worker.

use super::task::Task;
use super::wire::Stated;
use super::{ElevatedError, ElevatedQueue, SubjectNumber};
use crate::client::ClientContext;
use crate::enter::{self, EnterError, Misuse};
use crate::server::Server;
use std::os::fd::{AsFd, OwnedFd};
use vicar_kernel::elevate::{Acting, Elevated, Request, Ticket};
use vicar_kernel::work::{OnBugCheck, WorkQueueOptions};
use vicar_kernel::{Elevator, Outcome, SubjectContext, WorkQueue};
use vicar_nt::check::AccessMode;
use vicar_nt::{NtStatus, Privilege};

/// Hands tasks of clients to the elevated queue.
///
/// Dropping it waits for what is queued.
#[derive(Debug)]
pub struct ElevatedTasks {
    server: Server,
    queue: ElevatedQueue,
    elevator: Elevator,
}

/// A task on its way up: plain values and open descriptors.
struct Errand {
    queue: ElevatedQueue,
    number: SubjectNumber,
    stated: Stated,
    task: Task,
    descriptors: Vec<OwnedFd>,
}

impl Request for Errand {
    const NAME: &'static str = "elevated-task";
    // The task's own process acts as the client; the worker only carries the message.
    const ACTING: Acting = Acting::ForItself;
    type Answer = Result<Option<OwnedFd>, ElevatedError>;

    fn approve(&self, subject: &SubjectContext) -> Result<(), NtStatus> {
        subject.for_authorisation()?;
        if subject.holds(self.task.privilege(), AccessMode::User) { Ok(()) } else { Err(NtStatus::PRIVILEGE_NOT_HELD) }
    }

    fn perform(self, _worker: &Elevated<'_>) -> Result<Self::Answer, NtStatus> {
        Ok(self.queue.ask(self.number, self.stated, &self.task, &self.descriptors))
    }
}

/// The promise of an answer. Dropping it changes nothing about the task.
#[derive(Debug)]
#[must_use = "the answer is in it"]
pub struct ElevatedTicket(Ticket<Result<Option<OwnedFd>, ElevatedError>>);

impl ElevatedTicket {
    /// Waits for the answer: a descriptor where the task opens something.
    ///
    /// # Errors
    /// - [`ElevatedError`].
    pub fn wait(self) -> Result<Option<OwnedFd>, ElevatedError> {
        self.0.wait().map_err(ElevatedError::Status)?
    }
}

impl ElevatedTasks {
    /// Starts `workers` threads that carry messages, with room for `capacity` that wait.
    ///
    /// # Errors
    /// - `STATUS_INSUFFICIENT_RESOURCES` when a thread cannot be made.
    pub fn start(server: &Server, queue: ElevatedQueue, workers: usize, capacity: usize) -> Result<Self, NtStatus> {
        let options = WorkQueueOptions { workers, capacity, on_bug_check: OnBugCheck::Abort };
        let elevator = Elevator::new(WorkQueue::start(server.process(), options)?);
        Ok(Self { server: server.clone(), queue, elevator })
    }

    /// The process that does the tasks.
    #[must_use]
    pub fn queue(&self) -> &ElevatedQueue {
        &self.queue
    }

    /// Has a task approved as the client, and hands it over.
    ///
    /// # Inputs
    /// - `client`: made by [`Server::logon_holding`] with what the queue grants; a privilege that was switched off in its
    ///   token counts as not held.
    /// - `subject`: the number that the supervisor gave the client's account.
    /// - `directory`: a directory, opened by whoever: what is done in it is done as the client with the task's privilege.
    /// - `file`: for [`Task::Link`] only.
    ///
    /// # Errors
    /// - [`ElevatedError::Enter`] when the server may not act as the client.
    /// - [`ElevatedError::NotHeld`] when the client's token does not hold the privilege, or has it switched off.
    /// - [`ElevatedError::Status`] when the work queue is full or closed.
    ///
    /// # Identity
    /// The calling thread stays what it is.
    pub fn submit(
        &self,
        client: &ClientContext,
        subject: SubjectNumber,
        task: Task,
        directory: impl AsFd,
        file: Option<OwnedFd>,
    ) -> Result<ElevatedTicket, ElevatedError> {
        if enter::acts_as_client() {
            return Err(ElevatedError::Enter(EnterError::Misuse(Misuse::AlreadyImpersonating)));
        }
        let projected = enter::judge(&self.server, client).map_err(ElevatedError::Enter)?;
        let directory = rustix::io::fcntl_dupfd_cloexec(directory, 0).map_err(super::failed("fcntl"))?;
        let state = client.kernel().token().state();
        let enabled = Privilege::ALL
            .into_iter()
            .filter(|privilege| state.privileges().is_enabled(*privilege))
            .filter_map(|privilege| 1_u64.checked_shl(u32::from(privilege.number())))
            .fold(0, |all, bit| all | bit);
        let stated =
            Stated { uid: projected.identity.uid(), gid: projected.identity.gid(), level: client.level(), enabled };
        let privilege = task.privilege();
        let descriptors: Vec<OwnedFd> = core::iter::once(directory).chain(file).collect();
        let errand = Errand { queue: self.queue.clone(), number: subject, stated, task, descriptors };
        let thread = self.server.new_thread();
        // Approval looks at the level that the thread has then, so either outcome is right.
        let (Outcome::AsRequested | Outcome::Downgraded { .. }) =
            thread.impersonate(client.kernel()).map_err(ElevatedError::Status)?;
        let submitted = self.elevator.submit(&thread, errand);
        thread.revert();
        submitted.map(ElevatedTicket).map_err(|status| {
            if status == NtStatus::PRIVILEGE_NOT_HELD {
                ElevatedError::NotHeld(privilege)
            } else {
                ElevatedError::Status(status)
            }
        })
    }
}
