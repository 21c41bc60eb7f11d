//! Starting a server: everything that must happen while the process still has one thread.

use super::anonymous::{self, AnonymousError};
use super::probe::{self, ProbeError, SelfTest};
use super::{Inner, NEXT_SERVER, Server, token};
use crate::elevated::{ElevatedOptions, ElevatedQueue, Registrar};
use crate::mailbox::Mailboxes;
use crate::project::{Projection, RootClients};
use crate::sealed::{Job, Sealer, SealerOptions};
use crate::supervisor::{ForkError, Supervisor, SupervisorOptions};
use crate::switch::SwitchError;
use crate::switch::calls::{CredentialCalls as _, Kernel, Observed};
use crate::switch::place::{Base, Target};
use crate::switch::powers::{self, Powers, PowersError};
use crate::sys;
use crate::{IdentityError, KernelGid, KernelUid, UnixIdentity, ring};
use core::fmt;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use vicar_kernel::{LogonKind, Policy, Process, Profile, System, TokenKind, TokenSpec};
use vicar_nt::{Luid, NtStatus};

/// First Linux version whose calls this crate relies on.
const OLDEST_KERNEL: (u32, u32) = (5, 10);

/// What a server may be told before it starts. Every default is the strict side.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// Whether user 0 may be a client.
    pub root: RootClients,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self { root: RootClients::Refused }
    }
}

/// Why a server did not start. The process must end: it may have given up powers already.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// More than one thread: the others would keep the powers that this one gives up.
    NotSingleThreaded {
        /// How many threads there are.
        threads: usize,
    },
    /// Real, effective and saved ids differ: a set-uid program must not be a server.
    MixedIds,
    /// The kernel is older than 5.10.
    OldKernel(String),
    /// Nobody's identity could not be found.
    Anonymous(AnonymousError),
    /// The process's own ids are not an identity.
    OwnIdentity(IdentityError),
    /// The powers could not be given up.
    Powers(PowersError),
    /// The process's credentials could not be read.
    Observe(i32),
    /// The kernel allowed or refused something in the self-test that it must not, or the test could not be run.
    SelfTest {
        /// What was wrong, or being done.
        what: &'static str,
        /// What the kernel answered, when the test could not be run.
        errno: Option<i32>,
    },
    /// The server's keys could not be put out of its clients' reach.
    Keyring {
        /// What was wrong, or being done.
        what: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
    /// The server's token could not be made.
    Token(NtStatus),
    /// The supervisor, or another process that is forked at the start, could not be started.
    Supervisor(ForkError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSingleThreaded { threads } => write!(f, "{threads} threads exist before start-up has ended"),
            Self::MixedIds => f.write_str("real, effective and saved ids differ: a set-uid program is no server"),
            Self::OldKernel(release) => write!(f, "Linux {release} is older than 5.10"),
            Self::Anonymous(error) => error.fmt(f),
            Self::OwnIdentity(error) => error.fmt(f),
            Self::Powers(error) => write!(f, "giving up powers: {error}"),
            Self::Observe(errno) => {
                write!(f, "reading credentials: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::SelfTest { what, errno: None } => write!(f, "self-test: {what}"),
            Self::SelfTest { what, errno: Some(errno) } => {
                write!(f, "self-test: {what}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::Keyring { what, errno } => write!(f, "{what}: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::Token(status) => write!(f, "the server's token: {status}"),
            Self::Supervisor(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

/// What start-up found, gave up and tested.
#[derive(Clone, Debug)]
pub struct StartReport {
    /// The running kernel's release.
    pub kernel: String,
    /// What was given up and what is left.
    pub powers: Powers,
    /// What the self-test did; `None` when identities cannot be changed.
    pub self_test: Option<SelfTest>,
    /// Why identities cannot be changed, when they cannot.
    pub powerless: Option<Powerless>,
    /// What a ring could do here, or why there can be none.
    pub ring: Result<ring::Known, ring::Unavailable>,
}

/// Why a server can only act as its own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Powerless {
    /// The process lacks CAP_SETUID or CAP_SETGID.
    NoCapabilities,
    /// It has both, and this system refused the change all the same.
    Refused(SwitchError),
}

impl fmt::Display for Powerless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCapabilities => f.write_str("no CAP_SETUID and CAP_SETGID: can only act as its own user"),
            Self::Refused(error) => write!(f, "can only act as its own user: {error}"),
        }
    }
}

/// A server on its way, single-threaded and with all powers it was started with.
#[derive(Debug)]
pub struct Starting {
    options: StartOptions,
    anonymous: UnixIdentity,
    kernel: String,
}

impl Starting {
    /// Begins start-up.
    ///
    /// # Errors
    /// - [`StartError`] when there is more than one thread, the ids are mixed, the kernel is too old, or the anonymous
    ///   identity is somebody's. Nothing was changed.
    pub fn begin(options: StartOptions) -> Result<Self, StartError> {
        single_threaded()?;
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        if version(&kernel).is_none_or(|version| version < OLDEST_KERNEL) {
            return Err(StartError::OldKernel(kernel));
        }
        let observed = observe()?;
        if observed.user_ids != [observed.user_ids[0]; 3] || observed.group_ids != [observed.group_ids[0]; 3] {
            return Err(StartError::MixedIds);
        }
        let anonymous = anonymous::find().map_err(StartError::Anonymous)?;
        Ok(Self { options, anonymous, kernel })
    }

    /// Who nobody will be.
    #[must_use]
    pub fn anonymous(&self) -> &UnixIdentity {
        &self.anonymous
    }

    /// Forks the process that keeps the starting rights: it looks up accounts and talks to PAM.
    ///
    /// # Errors
    /// - [`StartError::Supervisor`]; nothing was changed.
    pub fn fork_supervisor(&mut self, options: SupervisorOptions) -> Result<Supervisor, StartError> {
        single_threaded()?;
        Supervisor::fork(options).map_err(StartError::Supervisor)
    }

    /// Forks the process that does with privileges what clients ask, and gives what registers subjects with it. First of all: it
    /// is the one that keeps capabilities beyond those of a server.
    ///
    /// # Inputs
    /// - `audit`: where it writes a line before and after each task, open for appending.
    ///
    /// # Errors
    /// - [`StartError::Supervisor`]; nothing was changed. [`ForkError::NotReady`] also when this process lacks a capability that
    ///   the granted privileges need.
    pub fn fork_elevated(
        &mut self,
        options: ElevatedOptions,
        audit: OwnedFd,
    ) -> Result<(ElevatedQueue, Registrar), StartError> {
        single_threaded()?;
        ElevatedQueue::fork(options, audit, self.anonymous.clone()).map_err(StartError::Supervisor)
    }

    /// Forks the supervisor, as [`Self::fork_supervisor`], which registers everybody who signs in with the elevated queue.
    ///
    /// # Errors
    /// - [`StartError::Supervisor`]; nothing was changed.
    pub fn fork_supervisor_for(
        &mut self,
        options: SupervisorOptions,
        registrar: Registrar,
    ) -> Result<Supervisor, StartError> {
        single_threaded()?;
        Supervisor::fork_with(options, Some(registrar)).map_err(StartError::Supervisor)
    }

    /// Forks the process that sealed workers are made from. Do it before secrets are read: a worker has the memory that this
    /// process has now.
    ///
    /// # Errors
    /// - [`StartError::Supervisor`]; nothing was changed.
    pub fn fork_sealer(&mut self, options: SealerOptions, jobs: &'static [Job]) -> Result<Sealer, StartError> {
        single_threaded()?;
        Sealer::fork(options, jobs).map_err(StartError::Supervisor)
    }

    /// Forks the process that accepts Kerberos tokens, with the starting rights: see [`crate::source::kerberos`].
    ///
    /// # Errors
    /// - [`StartError::Supervisor`]; nothing was changed. `EINVAL` for options that cannot be, and for a replay cache that is no
    ///   file of its own;
    ///   `EPERM` when helpers could not become their user or not be ended then (CAP_SETUID, CAP_SETGID, CAP_KILL);
    ///   another number when the replay cache cannot be opened or given to that user.
    #[cfg(feature = "kerberos")]
    pub fn fork_kerberos(
        &mut self,
        options: crate::source::kerberos::KerberosOptions,
    ) -> Result<crate::source::kerberos::Kerberos, StartError> {
        single_threaded()?;
        crate::source::kerberos::Kerberos::fork(options, &self.anonymous).map_err(StartError::Supervisor)
    }

    /// Gives up powers, tests what is left, and becomes the server.
    ///
    /// # Errors
    /// - [`StartError`]; the process must end.
    ///
    /// # Identity
    /// Afterwards the process holds CAP_SETUID and CAP_SETGID if it can change identities with them, else nothing. It has a
    /// new, empty session keyring.
    pub fn finish(self) -> Result<Server, StartError> {
        single_threaded()?;
        give_up_keys()?;
        let mut powers = powers::give_up().map_err(StartError::Powers)?;
        let observed = observe()?;
        let own = identity_of(&observed)?;
        let base = Arc::new(Base {
            uid: Uid::from_raw(own.uid().raw()),
            gid: Gid::from_raw(own.gid().raw()),
            groups: observed.groups.iter().map(|gid| Gid::from_raw(*gid)).collect(),
            capabilities: powers.kept,
            anonymous_uid: Uid::from_raw(self.anonymous.uid().raw()),
            anonymous_gid: Gid::from_raw(self.anonymous.gid().raw()),
        });
        let (self_test, powerless) = if powers.can_switch() {
            match probe::run(&base, &self.anonymous) {
                Ok(done) => (Some(done), None),
                Err(ProbeError::Powerless(error)) => (None, Some(Powerless::Refused(error))),
                Err(ProbeError::Wrong(what)) => return Err(StartError::SelfTest { what, errno: None }),
                Err(ProbeError::Broken(what, errno)) => {
                    return Err(StartError::SelfTest { what, errno: Some(errno.raw_os_error()) });
                }
            }
        } else {
            (None, Some(Powerless::NoCapabilities))
        };
        let can_switch = self_test.is_some();
        if !can_switch {
            powers.give_up_rest().map_err(StartError::Powers)?;
        }
        let state = token::of_server(&own, &powers, can_switch).map_err(StartError::Token)?;
        let system = System::new(Profile::V4, Policy::strict());
        let session = system.logon(LogonKind::Service, None).map_err(StartError::Token)?;
        let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"vicar-os", origin: Luid::from_u64(0) };
        let primary = session.create_token(spec).map_err(StartError::Token)?;
        let process = Process::new(&system, primary.clone()).map_err(StartError::Token)?;
        let rules = Arc::new(Projection { anonymous: self.anonymous, root: self.options.root });
        let inner = Inner {
            id: NEXT_SERVER.fetch_add(1, Ordering::Relaxed),
            system,
            process,
            primary,
            rest: Arc::new(Target::new(&rules.anonymous)),
            base,
            rules,
            can_switch,
            own,
            report: StartReport { kernel: self.kernel, powers, self_test, powerless, ring: ring::survey() },
            mailboxes: Mailboxes::default(),
            #[cfg(feature = "tokio")]
            inherited: AtomicU64::new(0),
        };
        Ok(Server { inner: Arc::new(inner) })
    }
}

/// Leaves the session keyring behind, whose keys a thread would still possess while it acts as a client. A keyring of the
/// process cannot be left behind, so there must be none.
fn give_up_keys() -> Result<(), StartError> {
    let failed = |what| move |errno: Errno| StartError::Keyring { what, errno: errno.raw_os_error() };
    sys::keyring::join_empty_session().map_err(failed("leaving the session keyring"))?;
    match sys::keyring::has_process_keyring() {
        Ok(false) => Ok(()),
        Ok(true) => Err(failed("clients would possess the process keyring")(Errno::EXIST)),
        Err(errno) => Err(failed("looking for a process keyring")(errno)),
    }
}

fn observe() -> Result<Observed, StartError> {
    Kernel.observe().map_err(|errno| StartError::Observe(errno.raw_os_error()))
}

fn identity_of(observed: &Observed) -> Result<UnixIdentity, StartError> {
    let ([_, uid, _], [_, gid, _]) = (observed.user_ids, observed.group_ids);
    let (Some(uid), Some(gid)) = (KernelUid::new(uid), KernelGid::new(gid)) else {
        return Err(StartError::MixedIds);
    };
    let groups = observed.groups.iter().filter_map(|gid| KernelGid::new(*gid));
    UnixIdentity::new(uid, gid, groups).map_err(StartError::OwnIdentity)
}

fn single_threaded() -> Result<(), StartError> {
    if cfg!(test) {
        // The test runner has a thread of its own, which keeps what it has, does nothing, and ends with the test.
        return Ok(());
    }
    let tasks = std::fs::read_dir("/proc/self/task");
    let threads = tasks.map_err(|error| StartError::Observe(error.raw_os_error().unwrap_or(0)))?.count();
    if threads == 1 { Ok(()) } else { Err(StartError::NotSingleThreaded { threads }) }
}

/// Major and minor number of a kernel release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    numbers.next()?.parse().ok().zip(numbers.next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_keyring_of_its_own_is_no_server() {
        let name = "server::start::tests::a_process_with_a_keyring_of_its_own_is_no_server";
        crate::testing::passes_alone(name, || {
            if !sys::keyring::works_here() {
                return eprintln!("skipped: no keyrings here");
            }
            assert!(give_up_keys().is_ok());
            sys::keyring::make_process_keyring();
            assert!(matches!(give_up_keys(), Err(StartError::Keyring { .. })));
        });
    }

    #[test]
    fn releases_have_a_version() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10.0"), Some((5, 10)));
        assert_eq!(version("5.9.16"), Some((5, 9)));
        assert_eq!(version("five"), None);
        assert!(version("5.9.16") < Some(OLDEST_KERNEL));
    }
}
