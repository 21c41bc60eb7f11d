//! The self-test: three identities, real files, and the kernel's own answers.

use crate::switch::SwitchError;
use crate::switch::calls::Kernel;
use crate::switch::place::{Base, Target, ThreadPlace};
use crate::{KernelGid, KernelUid, UnixIdentity};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ids the test takes on besides the anonymous one; no file of theirs outlives it.
const FIRST_ID: u32 = 65_518;
const SECOND_ID: u32 = 65_519;

/// What the self-test did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// How many identities were taken on.
    pub identities: u32,
    /// How many answers of the kernel were compared with what they must be.
    pub checks: u32,
    /// How long it took.
    pub took: Duration,
}

/// Why the self-test did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeError {
    /// Identities cannot be changed here; the server can still work for its own user.
    Powerless(SwitchError),
    /// An identity was taken on, and the kernel then allowed or refused what it must not.
    Wrong(&'static str),
    /// The test itself could not be run.
    Broken(&'static str, Errno),
}

/// Runs the test on a thread of its own, which ends with it.
pub(super) fn run(base: &Arc<Base>, anonymous: &UnixIdentity) -> Result<SelfTest, ProbeError> {
    let base = Arc::clone(base);
    let anonymous = Arc::new(Target::new(anonymous));
    let thread = std::thread::Builder::new().name("vicar-self-test".to_owned()).spawn(move || test(&base, &anonymous));
    let thread = thread.map_err(|_no_thread| ProbeError::Broken("creating a thread", Errno::AGAIN))?;
    thread.join().unwrap_or(Err(ProbeError::Wrong("the self-test panicked")))
}

fn target(uid: u32, groups: &[u32]) -> Result<Arc<Target>, ProbeError> {
    let broken = ProbeError::Broken("building an identity", Errno::INVAL);
    let gids = groups.iter().filter_map(|gid| KernelGid::new(*gid));
    let (Some(uid), Some(gid)) = (KernelUid::new(uid), KernelGid::new(uid)) else { return Err(broken) };
    let identity = UnixIdentity::new(uid, gid, gids).map_err(|_too_many| broken)?;
    Ok(Arc::new(Target::new(&identity)))
}

fn test(base: &Arc<Base>, anonymous: &Arc<Target>) -> Result<SelfTest, ProbeError> {
    let started = Instant::now();
    let mut place = ThreadPlace::of_server_thread(Kernel, base).map_err(ProbeError::Powerless)?;
    // The first is a member of the second's group; the anonymous identity is a member of neither.
    let first = target(FIRST_ID, &[SECOND_ID])?;
    let second = target(SECOND_ID, &[])?;
    let mut checks = Checks::default();

    let servers = file("making the server's file")?;
    let of_first = owned_file(&mut place, &first, FIRST_ID, &mut checks)?;
    let of_second = owned_file(&mut place, &second, SECOND_ID, &mut checks)?;
    place.leave();

    for (who, is_first, is_second) in [(&first, true, false), (&second, false, true), (anonymous, false, false)] {
        enter(&mut place, who, &mut checks)?;
        checks.expect(&servers, false, "a client opened the server's file")?;
        checks.expect(&of_first, is_first, "a 0600 file did not belong to exactly its owner")?;
        checks.expect(&of_second, is_second, "a 0600 file did not belong to exactly its owner")?;
    }
    for (mode, member, stranger, what) in [
        (0o640, true, false, "a group file was not readable by exactly its members"),
        (0o604, false, true, "a file that denies its group was not denied to exactly its members"),
    ] {
        enter(&mut place, &second, &mut checks)?;
        rustix::fs::fchmod(&of_second, Mode::from_raw_mode(mode))
            .map_err(|errno| ProbeError::Broken("fchmod", errno))?;
        enter(&mut place, &first, &mut checks)?;
        checks.expect(&of_second, member, what)?;
        enter(&mut place, anonymous, &mut checks)?;
        checks.expect(&of_second, stranger, what)?;
    }
    place.leave();
    checks.count = checks.count.saturating_add(1);
    Ok(SelfTest { identities: 3, checks: checks.count, took: started.elapsed() })
}

fn enter(place: &mut ThreadPlace<Kernel>, who: &Arc<Target>, checks: &mut Checks) -> Result<(), ProbeError> {
    place.enter(who).map_err(ProbeError::Powerless)?;
    // Real, effective and saved ids of both kinds, groups, effective and permitted capabilities were compared.
    checks.count = checks.count.saturating_add(9);
    Ok(())
}

fn owned_file(
    place: &mut ThreadPlace<Kernel>,
    who: &Arc<Target>,
    id: u32,
    checks: &mut Checks,
) -> Result<OwnedFd, ProbeError> {
    enter(place, who, checks)?;
    let file = file("making a client's file")?;
    let about = rustix::fs::fstat(&file).map_err(|errno| ProbeError::Broken("fstat", errno))?;
    checks.count = checks.count.saturating_add(2);
    if about.st_uid == id && about.st_gid == id {
        Ok(file)
    } else {
        Err(ProbeError::Wrong("a file made as a client belongs to somebody else"))
    }
}

/// A file that has no name and ends with its last descriptor.
fn file(what: &'static str) -> Result<OwnedFd, ProbeError> {
    let broken = |errno| ProbeError::Broken(what, errno);
    let file = rustix::fs::memfd_create(c"vicar-self-test", MemfdFlags::CLOEXEC).map_err(broken)?;
    rustix::fs::fchmod(&file, Mode::RUSR.union(Mode::WUSR)).map_err(broken)?;
    Ok(file)
}

#[derive(Default)]
struct Checks {
    count: u32,
}

impl Checks {
    /// Opens `file` anew, as whoever this thread is, and compares the kernel's answer.
    fn expect(&mut self, file: &OwnedFd, allowed: bool, what: &'static str) -> Result<(), ProbeError> {
        self.count = self.count.saturating_add(1);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        match rustix::fs::open(path.as_str(), OFlags::RDONLY.union(OFlags::CLOEXEC), Mode::empty()) {
            Ok(_) if allowed => Ok(()),
            Err(Errno::ACCESS) if !allowed => Ok(()),
            Ok(_) | Err(Errno::ACCESS) => Err(ProbeError::Wrong(what)),
            Err(errno) => Err(ProbeError::Broken("opening a file anew", errno)),
        }
    }
}
