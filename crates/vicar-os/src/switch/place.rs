//! Where a thread's kernel identity is, and moving it there and back.

use super::calls::{CredentialCalls, Observed};
use crate::UnixIdentity;
use core::fmt;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use std::sync::Arc;

/// The one call of a switch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Making the server's capabilities effective again, on the way out of a client's identity.
    RaiseCapabilities,
    /// setgroups(2).
    SetGroups,
    /// setresgid(2).
    SetGroupIds,
    /// setresuid(2).
    SetUserIds,
    /// Emptying the effective capability set, on the way into a client's identity.
    LowerCapabilities,
    /// Reading back what the kernel holds.
    Observe,
    /// Comparing what the kernel holds with what was asked for.
    Verify,
    /// Going to `/`, away from the working directory of the client before.
    LeaveDirectory,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RaiseCapabilities => "capset (raise)",
            Self::SetGroups => "setgroups",
            Self::SetGroupIds => "setresgid",
            Self::SetUserIds => "setresuid",
            Self::LowerCapabilities => "capset (lower)",
            Self::Observe => "reading the thread's credentials",
            Self::Verify => "verifying the thread's credentials",
            Self::LeaveDirectory => "chdir",
        })
    }
}

/// Why a thread's identity did not change; the thread is what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchError {
    /// The call that failed.
    pub step: Step,
    /// What the kernel answered.
    pub errno: i32,
}

impl SwitchError {
    pub(crate) fn new(step: Step, errno: Errno) -> Self {
        Self { step, errno: errno.raw_os_error() }
    }
}

impl fmt::Display for SwitchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, std::io::Error::from_raw_os_error(self.errno))
    }
}

impl core::error::Error for SwitchError {}

/// What the server's own threads are, and who nobody is: the two fixed points of every switch.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
    /// Permitted and, while a thread is the server, effective capabilities.
    pub(crate) capabilities: CapabilitySet,
    pub(crate) anonymous_uid: Uid,
    pub(crate) anonymous_gid: Gid,
}

impl Base {
    /// Whether `observed` is exactly the server's identity.
    pub(crate) fn is_server(&self, observed: &Observed) -> bool {
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        observed.user_ids == [uid; 3]
            && observed.group_ids == [gid; 3]
            && same_groups(&observed.groups, &self.groups)
            && observed.effective == self.capabilities
            && observed.permitted == self.capabilities
    }

    /// Whether `observed` is the client `target` for good: real and saved ids are nobody's, and nothing is permitted.
    pub(crate) fn is_client_for_good(&self, observed: &Observed, target: &Target) -> bool {
        let (uid, gid) = (self.anonymous_uid.as_raw(), self.anonymous_gid.as_raw());
        observed.user_ids == [uid, target.uid.as_raw(), uid]
            && observed.group_ids == [gid, target.gid.as_raw(), gid]
            && same_groups(&observed.groups, &target.groups)
            && observed.effective.is_empty()
            && observed.permitted.is_empty()
    }

    /// Whether `observed` is exactly the client `target`: real = anonymous, effective = client, saved = server.
    pub(crate) fn is_client(&self, observed: &Observed, target: &Target) -> bool {
        observed.user_ids == [self.anonymous_uid.as_raw(), target.uid.as_raw(), self.uid.as_raw()]
            && observed.group_ids == [self.anonymous_gid.as_raw(), target.gid.as_raw(), self.gid.as_raw()]
            && same_groups(&observed.groups, &target.groups)
            && observed.effective.is_empty()
            && observed.permitted == self.capabilities
    }
}

fn same_groups(observed: &[u32], wanted: &[Gid]) -> bool {
    // The kernel sorts its list; so do we. A server's own list is kept as it was read.
    observed.len() == wanted.len() && observed.iter().zip(wanted).all(|(seen, group)| *seen == group.as_raw())
}

/// A client's ids, in the form that system calls take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Target {
    pub(crate) fn new(identity: &UnixIdentity) -> Self {
        Self {
            uid: Uid::from_raw(identity.uid().raw()),
            gid: Gid::from_raw(identity.gid().raw()),
            groups: identity.groups().iter().map(|group| Gid::from_raw(group.raw())).collect(),
        }
    }
}

/// The kernel identity of the calling thread, which this value owns until it is dropped.
///
/// Not `Send`: it describes one thread.
#[derive(Debug)]
pub(crate) struct ThreadPlace<C: CredentialCalls> {
    calls: C,
    base: Arc<Base>,
    at: Option<Arc<Target>>,
    thread_bound: core::marker::PhantomData<*const ()>,
}

/// What was done so far, so that exactly that can be undone.
#[derive(Default)]
struct Done {
    raised: bool,
    groups: bool,
    group_ids: bool,
    user_ids: bool,
}

impl<C: CredentialCalls> ThreadPlace<C> {
    /// Takes charge of the calling thread, which must be the server.
    ///
    /// # Errors
    /// - [`Step::Observe`] when the kernel does not say.
    /// - [`Step::Verify`] when the thread is not exactly the server: it was made or changed by somebody else.
    pub(crate) fn of_server_thread(calls: C, base: &Arc<Base>) -> Result<Self, SwitchError> {
        let observed = calls.observe().map_err(|errno| SwitchError::new(Step::Observe, errno))?;
        if !base.is_server(&observed) {
            return Err(SwitchError::new(Step::Verify, Errno::PERM));
        }
        Ok(Self { calls, base: Arc::clone(base), at: None, thread_bound: core::marker::PhantomData })
    }

    /// Takes on `target`'s identity.
    ///
    /// From the server that is three calls, from another client four (five when the server is not root). Every call's
    /// result is looked at, and the whole identity is read back.
    ///
    /// # Errors
    /// - [`SwitchError`] naming the call; exactly the calls made before it were undone and the thread is what it was.
    ///
    /// # Identity
    /// If an undo fails the process is aborted.
    pub(crate) fn enter(&mut self, target: &Arc<Target>) -> Result<(), SwitchError> {
        let mut done = Done::default();
        match self.enter_steps(target, &mut done) {
            Ok(()) => {
                self.at = Some(Arc::clone(target));
                Ok(())
            }
            Err(error) => {
                self.undo(target, &done);
                Err(error)
            }
        }
    }

    fn enter_steps(&self, target: &Target, done: &mut Done) -> Result<(), SwitchError> {
        let base = &*self.base;
        if let Some(from) = self.at.as_deref() {
            self.raise(from).map_err(|errno| SwitchError::new(Step::RaiseCapabilities, errno))?;
            done.raised = true;
        }
        if self.groups_now() != target.groups {
            self.calls.set_groups(&target.groups).map_err(|errno| SwitchError::new(Step::SetGroups, errno))?;
            done.groups = true;
        }
        self.calls
            .set_group_ids(Some(base.anonymous_gid), Some(target.gid), Some(base.gid))
            .map_err(|errno| SwitchError::new(Step::SetGroupIds, errno))?;
        done.group_ids = true;
        self.calls
            .set_user_ids(Some(base.anonymous_uid), Some(target.uid), Some(base.uid))
            .map_err(|errno| SwitchError::new(Step::SetUserIds, errno))?;
        done.user_ids = true;
        if self.keeps_capabilities(target) {
            self.calls
                .set_capabilities(CapabilitySet::empty(), base.capabilities)
                .map_err(|errno| SwitchError::new(Step::LowerCapabilities, errno))?;
        }
        let observed = self.calls.observe().map_err(|errno| SwitchError::new(Step::Observe, errno))?;
        if base.is_client(&observed, target) { Ok(()) } else { Err(SwitchError::new(Step::Verify, Errno::PERM)) }
    }

    /// Puts back what `done` says was changed, in reverse, or ends the process.
    fn undo(&self, target: &Target, done: &Done) {
        let (base, calls, from) = (&*self.base, &self.calls, self.at.as_deref());
        if done.user_ids {
            must(self.raise(target), "cannot undo a switch: capabilities");
        }
        if done.group_ids {
            let back = match from {
                Some(from) => calls.set_group_ids(Some(base.anonymous_gid), Some(from.gid), Some(base.gid)),
                None => calls.set_group_ids(Some(base.gid), Some(base.gid), Some(base.gid)),
            };
            must(back, "cannot undo a switch: setresgid");
        }
        if done.groups {
            must(calls.set_groups(self.groups_now()), "cannot undo a switch: setgroups");
        }
        match from {
            Some(from) if done.raised => {
                let back = calls.set_user_ids(Some(base.anonymous_uid), Some(from.uid), Some(base.uid));
                must(back, "cannot undo a switch: setresuid");
                if self.keeps_capabilities(from) {
                    let lowered = calls.set_capabilities(CapabilitySet::empty(), base.capabilities);
                    must(lowered, "cannot undo a switch: capset");
                }
            }
            None if done.user_ids => {
                let back = calls.set_user_ids(Some(base.uid), Some(base.uid), Some(base.uid));
                must(back, "cannot undo a switch: setresuid");
            }
            Some(_) | None => {}
        }
        self.verify();
    }

    /// Becomes the server again, or ends the process: a thread of unknown identity must not serve again.
    pub(crate) fn leave(&mut self) {
        let Some(from) = self.at.take() else { return };
        let (base, calls) = (&*self.base, &self.calls);
        // The saved user id is the server's, so a root server needs no capability to take it back, and gets them with it.
        if self.keeps_capabilities(&from) {
            must(self.raise(&from), "cannot leave a client's identity: capabilities");
        }
        let back = calls.set_user_ids(Some(base.uid), Some(base.uid), Some(base.uid));
        must(back, "cannot leave a client's identity: setresuid");
        let back = calls.set_group_ids(Some(base.gid), Some(base.gid), Some(base.gid));
        must(back, "cannot leave a client's identity: setresgid");
        if from.groups != base.groups {
            must(calls.set_groups(&base.groups), "cannot leave a client's identity: setgroups");
        }
        self.verify();
    }

    /// Reads the thread's credentials and ends the process unless they are what this value says.
    pub(crate) fn verify(&self) {
        let whole = self.calls.observe().is_ok_and(|observed| match self.at.as_deref() {
            Some(client) => self.base.is_client(&observed, client),
            None => self.base.is_server(&observed),
        });
        if !whole {
            die("a thread's identity is not what it should be");
        }
    }

    /// Makes the thread `target` for good. Real and saved ids become nobody's and not the client's, because a process of
    /// the client's may signal whoever has its id as one of those two; no capability is left.
    ///
    /// The whole identity is read back, and taking the server's ids and the groups back is tried and must fail.
    ///
    /// # Errors
    /// - [`SwitchError`]; the thread is in between and must end without doing anything else.
    ///
    /// # Source
    /// setgroups(2), setresgid(2), setresuid(2), capset(2), capabilities(7), kill(2).
    pub(crate) fn enter_for_good(self, target: &Target) -> Result<(), SwitchError> {
        let (base, calls) = (&*self.base, &self.calls);
        if self.at.is_some() {
            return Err(SwitchError::new(Step::Verify, Errno::BUSY));
        }
        calls.set_groups(&target.groups).map_err(|errno| SwitchError::new(Step::SetGroups, errno))?;
        calls
            .set_group_ids(Some(base.anonymous_gid), Some(target.gid), Some(base.anonymous_gid))
            .map_err(|errno| SwitchError::new(Step::SetGroupIds, errno))?;
        calls
            .set_user_ids(Some(base.anonymous_uid), Some(target.uid), Some(base.anonymous_uid))
            .map_err(|errno| SwitchError::new(Step::SetUserIds, errno))?;
        calls
            .set_capabilities(CapabilitySet::empty(), CapabilitySet::empty())
            .map_err(|errno| SwitchError::new(Step::LowerCapabilities, errno))?;
        let back = [
            calls.set_user_ids(None, Some(base.uid), None).is_ok() && base.uid != target.uid,
            calls.set_group_ids(None, Some(base.gid), None).is_ok() && base.gid != target.gid,
            calls.set_groups(&base.groups).is_ok(),
        ];
        if back.contains(&true) {
            return Err(SwitchError::new(Step::Verify, Errno::PERM));
        }
        let observed = calls.observe().map_err(|errno| SwitchError::new(Step::Observe, errno))?;
        if base.is_client_for_good(&observed, target) {
            Ok(())
        } else {
            Err(SwitchError::new(Step::Verify, Errno::PERM))
        }
    }

    fn groups_now(&self) -> &[Gid] {
        self.at.as_deref().map_or(&self.base.groups, |target| &target.groups)
    }

    /// Makes the server's capabilities effective while the thread's effective user is `from`.
    ///
    /// A root server gets them back from the kernel together with user 0; others ask for them.
    fn raise(&self, from: &Target) -> Result<(), Errno> {
        if self.keeps_capabilities(from) {
            self.calls.set_capabilities(self.base.capabilities, self.base.capabilities)
        } else {
            self.calls.set_user_ids(None, Some(self.base.uid), None)
        }
    }

    /// Whether the kernel leaves the effective capabilities alone when this server becomes `target` (capabilities(7),
    /// "Effect of user ID changes on capabilities": only leaving user 0 empties them).
    fn keeps_capabilities(&self, target: &Target) -> bool {
        !self.base.uid.is_root() || target.uid.is_root()
    }
}

impl<C: CredentialCalls> Drop for ThreadPlace<C> {
    fn drop(&mut self) {
        self.leave();
    }
}

fn must(result: Result<(), Errno>, what: &str) {
    if result.is_err() {
        die(what);
    }
}

/// Ends the process at once. No logger, no allocation: both may need rights that this thread has lost.
pub(crate) fn die(what: &str) -> ! {
    // Not by the standard library's stderr: somebody who holds its lock must not be waited for.
    let _ = rustix::io::write(rustix::stdio::stderr(), &[b"vicar: ", what.as_bytes(), b"\n"].concat());
    std::process::abort()
}
