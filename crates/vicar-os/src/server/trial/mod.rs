//! The trial of a road: two throw-away clients take turns on it, and the kernel's answers are compared.

mod error;
mod stage;

pub use error::{Refused, TrialError};

use super::{SelfTest, Server};
use crate::ring::Ring;
use crate::{
    AsClient, ClientContext, ClientThread, ClientThreads, DEFAULT_UMASK, EnterError, KernelGid, KernelUid, LogonKind,
    SafePoint, UnixIdentity,
};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// The two clients; the first is in the second's group. They are those of start-up's own test.
const FIRST_ID: u32 = 65_518;
const SECOND_ID: u32 = 65_519;
/// How often they take turns.
const TURNS: u32 = 100;

/// What a client does on the road.
pub(crate) type Job<R> = Box<dyn FnOnce(&AsClient<'_>) -> R + Send>;

type Found<R> = Result<R, TrialError>;

/// How long another thread may take to reach its safe point in a trial.
const PATIENCE: Duration = Duration::from_secs(60);

/// It did not.
const SILENT: TrialError = TrialError::Refused(Refused::Silent);

impl Server {
    /// Tries acting on the calling thread: two throw-away clients take turns, 202 times, and each answer of the kernel about
    /// their files is compared with what it must be.
    ///
    /// # Errors
    /// - [`TrialError`]; after [`TrialError::Wrong`] the road must not be used.
    pub fn try_scoped(&self) -> Result<SelfTest, TrialError> {
        self.try_road(|client, job| Ok(self.run_as(client, job)?))
    }

    /// Tries client threads, in the same way.
    ///
    /// # Errors
    /// - As [`Self::try_scoped`].
    pub fn try_threads(&self, threads: &ClientThreads) -> Result<SelfTest, TrialError> {
        self.try_road(|client, job| Ok(threads.run_blocking(client, job)?))
    }

    /// Tries telling another thread whom to act as, in the same way. Makes a thread and ends it.
    ///
    /// # Errors
    /// - As [`Self::try_scoped`].
    pub fn try_mailbox(&self) -> Result<SelfTest, TrialError> {
        let (give, jobs) = channel::<(Job<Found<Seen>>, Sender<Result<Found<Seen>, EnterError>>)>();
        let (ready, started) = channel();
        let server = self.clone();
        let body = move || -> Result<(), TrialError> {
            let thread = ClientThread::adopt(&server, DEFAULT_UMASK)?;
            let mut thread = thread.register()?;
            ready.send(thread.handle()).map_err(|_gone| TrialError::Wrong("nobody waits for the thread"))?;
            loop {
                if thread.wait(Some(PATIENCE)) == SafePoint::Quiet {
                    return Ok(());
                }
                // Whoever gave the order has a job for it, or is done.
                let Ok((job, answer)) = jobs.recv() else { return Ok(()) };
                // Nobody may be waiting any more.
                let _ = answer.send(thread.run(job));
            }
        };
        let no_thread = |error: std::io::Error| Refused::NoThread(error.raw_os_error().unwrap_or(libc::EAGAIN));
        let thread = std::thread::Builder::new().name("vicar-trial".to_owned()).spawn(body);
        let thread = thread.map_err(|error| TrialError::Refused(no_thread(error)))?;
        let tried = match started.recv_timeout(PATIENCE) {
            Ok(handle) => {
                let tried = self.try_road(|client, job| {
                    self.impersonate_on(&handle, client, PATIENCE)?;
                    let (answer, answered) = channel();
                    give.send((job, answer)).map_err(|_gone| SILENT)?;
                    Ok(answered.recv_timeout(PATIENCE).map_err(|_silent| SILENT)??)
                });
                // Lets it look for a job once more.
                let reverted = self.revert_on(&handle, PATIENCE).map_err(TrialError::from);
                drop(give);
                tried.and_then(|done| reverted.map(|()| done))
            }
            Err(_silent) => Err(SILENT),
        };
        thread.join().unwrap_or(Err(TrialError::Wrong("the thread panicked"))).and(tried)
    }

    /// Tries a ring, in the same way: what each client may open of its own and of the other's, and whose a socket is.
    ///
    /// # Errors
    /// - As [`Self::try_scoped`].
    pub fn try_ring(&self, ring: &Ring) -> Result<SelfTest, TrialError> {
        let started = Instant::now();
        let clients = [client(self, FIRST_ID, &[SECOND_ID])?, client(self, SECOND_ID, &[])?];
        let [_, second_client] = &clients;
        let (mut checks, mut files) = (0_u32, Vec::new());
        for client in &clients {
            let made = self.run_as(client, make)??;
            checks = checks.saturating_add(made.checks);
            files.extend(made.file.map(Arc::new));
        }
        let [of_first, of_second] = files.as_slice() else {
            return Err(TrialError::Wrong("a client's file is missing"));
        };
        for turn in 0..TURNS {
            for (index, client) in clients.iter().enumerate() {
                let (own, other) = if index == 0 { (of_first, of_second) } else { (of_second, of_first) };
                let shared = turn >= TURNS / 2 && index == 0;
                let (opened, owner) = ring.try_opening(client, [own, other])?;
                if owner != Some(client.identity().uid().raw()) {
                    return Err(TrialError::Wrong("a socket made as a client belongs to somebody else"));
                }
                for (answer, allowed) in opened.into_iter().zip([true, shared]) {
                    match answer {
                        Ok(()) if allowed => {}
                        Err(Errno::ACCESS) if !allowed => {}
                        Ok(()) => return Err(TrialError::Wrong("a client opened a file that is not for it")),
                        Err(Errno::ACCESS) => {
                            return Err(TrialError::Wrong("a client could not open a file that is for it"));
                        }
                        Err(errno) => return Err(broken("opening a file anew")(errno)),
                    }
                }
                checks = checks.saturating_add(3);
            }
            if turn.saturating_add(1) == TURNS / 2 {
                let changed = self.run_as(second_client, |_| rustix::fs::fchmod(of_second, Mode::from_raw_mode(0o640)));
                changed?.map_err(broken("fchmod"))?;
            }
        }
        Ok(SelfTest { identities: 2, checks, took: started.elapsed() })
    }

    /// Tries a road: `act` does a job as a client and gives back what it returned, or says why it was not done.
    ///
    /// # Errors
    /// - [`TrialError::Wrong`] means that the road must not be used.
    pub(crate) fn try_road(
        &self,
        act: impl Fn(&ClientContext, Job<Found<Seen>>) -> Found<Found<Seen>>,
    ) -> Found<SelfTest> {
        let started = Instant::now();
        let clients = [client(self, FIRST_ID, &[SECOND_ID])?, client(self, SECOND_ID, &[])?];
        let [_, second_client] = &clients;
        let mut checks = 0_u32;
        let mut files = Vec::new();
        for client in &clients {
            let made = act(client, Box::new(make))??;
            checks = checks.saturating_add(made.checks);
            files.extend(made.file.map(Arc::new));
        }
        let [of_first, of_second] = files.as_slice() else {
            return Err(TrialError::Wrong("a client's file is missing"));
        };
        for turn in 0..TURNS {
            for (index, client) in clients.iter().enumerate() {
                let (own, other) = if index == 0 { (of_first, of_second) } else { (of_second, of_first) };
                let (own, other) = (Arc::clone(own), Arc::clone(other));
                // In the second half the second's file is for its group, in which the first is.
                let shared = turn >= TURNS / 2 && index == 0;
                let seen = act(client, Box::new(move |as_client| look(as_client, &own, &other, shared)))??;
                checks = checks.saturating_add(seen.checks);
            }
            if turn.saturating_add(1) == TURNS / 2 {
                let second = Arc::clone(of_second);
                act(
                    second_client,
                    Box::new(move |_| {
                        rustix::fs::fchmod(&*second, Mode::from_raw_mode(0o640)).map_err(broken("fchmod"))?;
                        Ok(Seen { checks: 0, file: None })
                    }),
                )??;
            }
        }
        Ok(SelfTest { identities: 2, checks, took: started.elapsed() })
    }
}

/// What one job found right.
pub(crate) struct Seen {
    checks: u32,
    file: Option<OwnedFd>,
}

fn broken(what: &'static str) -> impl FnOnce(Errno) -> TrialError {
    move |errno| TrialError::Broken { what, errno: errno.raw_os_error() }
}

fn client(server: &Server, id: u32, groups: &[u32]) -> Found<ClientContext> {
    let refused = || TrialError::Refused(Refused::NoId(id));
    let groups = groups.iter().filter_map(|gid| KernelGid::new(*gid));
    let (uid, gid) = KernelUid::new(id).zip(KernelGid::new(id)).ok_or_else(refused)?;
    let identity = UnixIdentity::new(uid, gid, groups).map_err(|_too_many| refused())?;
    Ok(server.logon(LogonKind::Network, &identity)?)
}

/// Makes a file that only its owner may open, which has no name and ends with its last descriptor.
fn make(as_client: &AsClient<'_>) -> Found<Seen> {
    let file = rustix::fs::memfd_create(c"vicar-trial", MemfdFlags::CLOEXEC).map_err(broken("memfd_create"))?;
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(broken("fchmod"))?;
    let about = rustix::fs::fstat(&file).map_err(broken("fstat"))?;
    if about.st_uid != as_client.shown().uid.raw() || about.st_gid != as_client.shown().gid.raw() {
        return Err(TrialError::Wrong("a file made as a client belongs to somebody else"));
    }
    Ok(Seen { checks: 2, file: Some(file) })
}

fn look(as_client: &AsClient<'_>, own: &OwnedFd, other: &OwnedFd, may_other: bool) -> Found<Seen> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if user != as_client.shown().uid.raw() || group != as_client.shown().gid.raw() {
        return Err(TrialError::Wrong("a thread is not the client it is said to be"));
    }
    for (file, allowed) in [(own, true), (other, may_other)] {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        match rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(_) if allowed => {}
            Err(Errno::ACCESS) if !allowed => {}
            Ok(_) => return Err(TrialError::Wrong("a client opened a file that is not for it")),
            Err(Errno::ACCESS) => return Err(TrialError::Wrong("a client could not open a file that is for it")),
            Err(errno) => return Err(broken("opening a file anew")(errno)),
        }
    }
    Ok(Seen { checks: 4, file: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enter::Shown;

    fn shown(id: u32) -> Shown {
        let (uid, gid) = (KernelUid::new(id).unwrap(), KernelGid::new(id).unwrap());
        Shown { uid, gid, groups: [].into() }
    }

    /// What a road would be found to be that leaves its threads the server's.
    #[test]
    fn a_thread_that_was_not_switched_is_seen() {
        let (client, own) = (shown(FIRST_ID), shown(rustix::process::geteuid().as_raw()));
        let wrong = make(&AsClient::new(&client, None)).map(|_| ());
        assert_eq!(wrong, Err(TrialError::Wrong("a file made as a client belongs to somebody else")));
        if own.gid.raw() != rustix::process::getegid().as_raw() {
            return eprintln!("skipped: needs a group with the user's number");
        }
        let made = make(&AsClient::new(&own, None)).unwrap().file.unwrap();
        let wrong = |who: &Shown, may_other| look(&AsClient::new(who, None), &made, &made, may_other).map(|_| ());
        assert_eq!(wrong(&client, true), Err(TrialError::Wrong("a thread is not the client it is said to be")));
        assert_eq!(wrong(&own, false), Err(TrialError::Wrong("a client opened a file that is not for it")));
        assert_eq!(wrong(&own, true), Ok(()));
    }
}
