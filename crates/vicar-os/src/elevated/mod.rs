//! The elevated queue: a process of its own that does with a privilege what a client asks, and what it may ask.
//!
//! A server that acts as its clients holds CAP_SETUID and CAP_SETGID and nothing else. What a client may do *beyond* its Unix
//! rights, because it holds `SeBackupPrivilege`, `SeRestorePrivilege` or `SeTakeOwnershipPrivilege`, is done here. The
//! [`ElevatedQueue`] is forked first, before the supervisor and before there are threads. It alone keeps the capabilities that its
//! tasks need, in its permitted set; in force in its own process is none. Each [`Task`] is done in a process of its own
//! that is the client, with all its groups, and **one** capability for good: so what the kernel decides is "the client with this
//! privilege", never "the server".
//!
//! # Whom the queue believes
//!
//! Not the server: it talks to strangers. What it sends is data, read by total functions, and can only lower:
//!
//! * **Who may ask.** A subject is a [`SubjectNumber`], 128 random bits, that the *supervisor* registered over a socket of its own when
//!   somebody's password was right ([`Account::subject`](crate::source::Account::subject)); the server learns the number, and no
//!   number makes it somebody else. Ids and groups come from the registration, never from a request. A server that checks
//!   passwords itself, or takes clients by peer credentials, can be allowed to register subjects ([`Vouching::ServerToo`]); then whoever
//!   controls the server can be any subject here.
//! * **What they may.** Privileges are granted by the [`Grants`] that the queue was started with. The token state that travels with
//!   a request (user, level, enabled privileges) is intersected with them: it can switch a privilege off and never on.
//! * **With what.** One name in a directory that comes as a descriptor; no path, no closure. Only regular files and directories, on
//!   no file system of the kernel's own.
//!
//! Whoever controls the server process can therefore have done what the subjects that are signed in now hold privileges
//! for, in any directory that the server can open, until their numbers end ([`ElevatedOptions::subject_lifetime`]). Each such task is
//! written to the audit trail by the queue itself, before it is done; what cannot be written is not done.
//!
//! # The requirements of an elevation
//!
//! [`ElevatedTasks`] hands requests to the queue through `vicar-kernel`'s [`Elevator`](vicar_kernel::Elevator), whose table of requirements
//! (captured and approved on the client's thread, no privileged closure, results by completion, drained before it goes) holds here too.
//! They are judged again by the queue. A client that must act as itself for part of the work does: the whole task is done with the
//! client's ids.

mod desk;
mod error;
mod perform;
mod record;
mod request;
mod subject;
mod task;
mod wire;

pub use error::{ElevatedError, Refusal};
pub use request::{ElevatedTasks, ElevatedTicket};
pub use subject::SubjectNumber;
pub use task::Task;

use crate::packet::{self, Received};
use crate::supervisor::apart::{Apart, PATIENCE};
use crate::supervisor::{ForkError, Operation};
use crate::{KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, sockopt};
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use vicar_nt::Privilege;
use vicar_nt::privilege::PrivilegeMask;
use wire::{Message, Stated};

/// Who holds which privileges, as the administrator wrote it. Nobody holds anything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    users: BTreeMap<u32, PrivilegeMask>,
    groups: BTreeMap<u32, PrivilegeMask>,
}

impl Grants {
    /// Nobody holds anything.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// And this user holds this privilege. Privileges that no [`Task`] needs change nothing.
    #[must_use]
    pub fn user(mut self, user: KernelUid, privilege: Privilege) -> Self {
        let mask = self.users.entry(user.raw()).or_insert(PrivilegeMask::NONE);
        *mask = mask.with(privilege);
        self
    }

    /// And the members of this group hold this privilege.
    #[must_use]
    pub fn group(mut self, group: KernelGid, privilege: Privilege) -> Self {
        let mask = self.groups.entry(group.raw()).or_insert(PrivilegeMask::NONE);
        *mask = mask.with(privilege);
        self
    }

    /// What somebody holds, as a user and by groups.
    #[must_use]
    pub fn of(&self, identity: &UnixIdentity) -> PrivilegeMask {
        let by_groups = identity.groups().iter().filter_map(|group| self.groups.get(&group.raw()));
        by_groups.chain(self.users.get(&identity.uid().raw())).fold(PrivilegeMask::NONE, |all, one| all.union(*one))
    }
}

/// Who may register subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouching {
    /// The supervisor, for those whose passwords it has seen checked.
    SupervisorOnly,
    /// The server too, for whomever it likes.
    ServerToo,
}

/// Whom [`Task::SetOwner`] may make an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Any user and group but 0.
    AnyButRoot,
    /// Anybody.
    Anybody,
}

/// The limits and rules of a queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ElevatedOptions {
    /// Who holds which privileges.
    pub grants: Grants,
    /// Who may register subjects.
    pub vouching: Vouching,
    /// Who may be made an owner.
    pub owners: Owners,
    /// Most tasks at a time.
    pub at_once: usize,
    /// Most tasks of one user at a time; others have the rest.
    pub user_at_once: usize,
    /// Most tasks that wait for their turn.
    pub waiting: usize,
    /// Most tasks of one user that wait for their turn. Whose user has the fewest at work is next, then who waits longest.
    pub user_waiting: usize,
    /// Longest time for one task, the wait included; its process is killed after that.
    pub limit: Duration,
    /// Most subjects; the oldest ones make room.
    pub subjects: usize,
    /// Most subjects of one user, however often it signs in; its own oldest ones make room.
    pub user_subjects: usize,
    /// How long a subject may ask after it was registered.
    pub subject_lifetime: Duration,
}

impl ElevatedOptions {
    /// The usual limits: 8 tasks at a time and 64 waiting, of one user 4 and 16, 30 seconds each; 4,096 subjects, 64 of one user, an
    /// hour each, registered by the supervisor.
    #[must_use]
    pub const fn new(grants: Grants) -> Self {
        Self {
            grants,
            vouching: Vouching::SupervisorOnly,
            owners: Owners::AnyButRoot,
            at_once: 8,
            user_at_once: 4,
            waiting: 64,
            user_waiting: 16,
            limit: Duration::from_secs(30),
            subjects: 4096,
            user_subjects: 64,
            subject_lifetime: Duration::from_secs(3600),
        }
    }
}

/// The supervisor's end of the queue: whoever has it can register subjects. It is handed to
/// [`Starting::fork_supervisor_for`](crate::Starting::fork_supervisor_for), and the server keeps nothing of it.
#[derive(Debug)]
pub struct Registrar(OwnedFd);

impl Registrar {
    /// Registers somebody; `None` when the queue does not take it now.
    pub(crate) fn register(&self, identity: &UnixIdentity) -> Option<SubjectNumber> {
        let number = SubjectNumber::draw().ok()?;
        let memory = packet::write_memory(&wire::encode_registration(number, identity)).ok()?;
        packet::send(self.0.as_fd(), &[1], &[memory.as_fd()], SendFlags::DONTWAIT).ok()?;
        Some(number)
    }

    pub(crate) const fn descriptor(&self) -> &OwnedFd {
        &self.0
    }
}

/// The server's end of the queue. Cheap to clone. The process ends with the last of them.
#[derive(Clone)]
pub struct ElevatedQueue {
    inner: Arc<Handle>,
}

struct Handle {
    apart: Apart,
    options: ElevatedOptions,
}

impl ElevatedQueue {
    /// Forks the queue. See [`Starting::fork_elevated`](crate::Starting::fork_elevated).
    pub(crate) fn fork(
        options: ElevatedOptions,
        audit: OwnedFd,
        anonymous: UnixIdentity,
    ) -> Result<(Self, Registrar), ForkError> {
        let (registrar, far_registrar) = packet::pair()
            .map_err(|errno| ForkError::Failed { operation: Operation::Pipe, errno: errno.raw_os_error() })?;
        let theirs = options.clone();
        let apart = Apart::fork(|socket, server| {
            let options = theirs;
            desk::main(desk::Beginning { socket, server, registrar: far_registrar, audit, anonymous, options })
        })?;
        Ok((Self { inner: Arc::new(Handle { apart, options }) }, Registrar(registrar)))
    }

    /// What somebody holds here.
    #[must_use]
    pub fn granted(&self, identity: &UnixIdentity) -> PrivilegeMask {
        self.inner.options.grants.of(identity)
    }

    /// Registers somebody whom the server vouches for.
    ///
    /// # Errors
    /// - [`ElevatedError::Refused`] with [`Refusal::NotAllowed`] unless the options say [`Vouching::ServerToo`].
    /// - [`ElevatedError::Dead`] when the queue is gone.
    pub fn register(&self, identity: &UnixIdentity) -> Result<SubjectNumber, ElevatedError> {
        // The queue would not take it either.
        if self.inner.options.vouching != Vouching::ServerToo {
            return Err(ElevatedError::Refused(Refusal::NotAllowed));
        }
        let number = SubjectNumber::draw().map_err(failed("getrandom"))?;
        let memory =
            packet::write_memory(&wire::encode_registration(number, identity)).map_err(failed("memfd_create"))?;
        self.send(&Message::Register, &[memory.as_fd()])?;
        Ok(number)
    }

    /// Takes a number out of force, at sign-out.
    ///
    /// # Errors
    /// - [`ElevatedError::Dead`] when the queue is gone, and with it every number.
    pub fn forget(&self, number: SubjectNumber) -> Result<(), ElevatedError> {
        self.send(&Message::Forget(number), &[])
    }

    /// Whether the process is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner.apart.is_alive()
    }

    /// Its process id, for the log.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.apart.pid()
    }

    fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> Result<(), ElevatedError> {
        packet::send(self.inner.apart.socket().as_fd(), &wire::encode(message), descriptors, SendFlags::empty())
            .map_err(|errno| match errno {
                Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => ElevatedError::Dead,
                Errno::AGAIN => ElevatedError::TimedOut,
                errno => failed("sendmsg")(errno),
            })
    }

    /// Asks, and waits for the answer on a socket that nobody else has.
    fn ask(
        &self,
        number: SubjectNumber,
        stated: Stated,
        task: &Task,
        descriptors: &[OwnedFd],
    ) -> Result<Option<OwnedFd>, ElevatedError> {
        let (near, far) = packet::pair().map_err(failed("socketpair"))?;
        let limit = self.inner.options.limit.saturating_add(PATIENCE);
        sockopt::set_socket_timeout(&near, sockopt::Timeout::Recv, Some(limit)).map_err(failed("setsockopt"))?;
        let all: Vec<BorrowedFd<'_>> =
            core::iter::once(far.as_fd()).chain(descriptors.iter().map(|file| file.as_fd())).collect();
        self.send(&Message::Ask { number, stated, task: task.clone() }, &all)?;
        drop(all);
        drop(far);
        let mut buffer = [0; 16];
        let (len, files) = match packet::receive(near.as_fd(), &mut buffer, RecvFlags::empty()) {
            Ok(Received::Message { len, descriptors }) => (len, descriptors),
            Ok(Received::End) if self.is_alive() => return Err(ElevatedError::Crashed),
            Ok(Received::End) => return Err(ElevatedError::Dead),
            Ok(Received::TooLong) => return Err(ElevatedError::Malformed),
            Err(Errno::AGAIN) => return Err(ElevatedError::TimedOut),
            Err(errno) => return Err(failed("recvmsg")(errno)),
        };
        let told = buffer.get(..len).and_then(wire::decode_told).ok_or(ElevatedError::Malformed)?;
        let mut files = files.into_iter();
        let (file, more) = (files.next(), files.next());
        told?;
        let wants_file = matches!(task, Task::OpenForBackup { .. } | Task::OpenForRestore { .. });
        if more.is_some() || file.is_some() != wants_file {
            return Err(ElevatedError::Malformed);
        }
        Ok(file)
    }
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> ElevatedError {
    move |errno| ElevatedError::Failed { operation, errno: errno.raw_os_error() }
}

/// Reads bytes as each message of the queue, and makes sure that what is one is written the same again. For fuzzing.
#[doc(hidden)]
pub fn judge_message(bytes: &[u8]) {
    if let Some(message) = wire::decode(bytes) {
        assert_eq!(wire::encode(&message), bytes);
    }
    if let Some((number, identity)) = wire::decode_registration(bytes) {
        assert_eq!(wire::encode_registration(number, &identity), bytes);
    }
    if let Some(told) = wire::decode_told(bytes) {
        assert_eq!(wire::decode_told(&wire::encode_told(&told)), Some(told));
    }
}

impl fmt::Debug for ElevatedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElevatedQueue").field("process", &self.pid()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
