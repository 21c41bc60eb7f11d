//! The credential calls a switch makes, behind a seam that tests can make fail.

use crate::sys::cred;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

/// What the kernel says one thread is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Real, effective and saved user id.
    pub(crate) user_ids: cred::Triple,
    /// Real, effective and saved group id.
    pub(crate) group_ids: cred::Triple,
    /// Supplementary groups in the kernel's order.
    pub(crate) groups: Vec<u32>,
    /// Effective capabilities.
    pub(crate) effective: CapabilitySet,
    /// Permitted capabilities.
    pub(crate) permitted: CapabilitySet,
}

/// The calls that change or read the calling thread's credentials; nothing else in the workspace makes them.
///
/// `None` leaves an id unchanged.
pub(crate) trait CredentialCalls {
    /// setgroups(2), this thread only.
    fn set_groups(&self, groups: &[Gid]) -> Result<(), Errno>;
    /// setresgid(2), this thread only.
    fn set_group_ids(&self, real: Option<Gid>, effective: Option<Gid>, saved: Option<Gid>) -> Result<(), Errno>;
    /// setresuid(2), this thread only.
    fn set_user_ids(&self, real: Option<Uid>, effective: Option<Uid>, saved: Option<Uid>) -> Result<(), Errno>;
    /// capset(2), this thread only; nothing is inheritable.
    fn set_capabilities(&self, effective: CapabilitySet, permitted: CapabilitySet) -> Result<(), Errno>;
    /// getresuid(2), getresgid(2), getgroups(2) and capget(2).
    fn observe(&self) -> Result<Observed, Errno>;
}

/// The kernel itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel;

impl CredentialCalls for Kernel {
    fn set_groups(&self, groups: &[Gid]) -> Result<(), Errno> {
        rustix::thread::set_thread_groups(groups)
    }

    fn set_group_ids(&self, real: Option<Gid>, effective: Option<Gid>, saved: Option<Gid>) -> Result<(), Errno> {
        rustix::thread::set_thread_res_gid(real, effective, saved)
    }

    fn set_user_ids(&self, real: Option<Uid>, effective: Option<Uid>, saved: Option<Uid>) -> Result<(), Errno> {
        rustix::thread::set_thread_res_uid(real, effective, saved)
    }

    fn set_capabilities(&self, effective: CapabilitySet, permitted: CapabilitySet) -> Result<(), Errno> {
        let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
        rustix::thread::set_capabilities(None, sets)
    }

    fn observe(&self) -> Result<Observed, Errno> {
        let capabilities = rustix::thread::capabilities(None)?;
        Ok(Observed {
            user_ids: cred::user_ids()?,
            group_ids: cred::group_ids()?,
            groups: rustix::process::getgroups()?.into_iter().map(Gid::as_raw).collect(),
            effective: capabilities.effective,
            permitted: capabilities.permitted,
        })
    }
}

/// Numbers of all the calls that change an identity or its capabilities, for a filter that refuses them.
pub(crate) const NUMBERS: &[libc::c_long] = &[
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
];

/// Makes a call of that kind that changes nothing: it succeeds for everybody whom no filter stops.
pub(crate) fn change_nothing() -> Result<(), Errno> {
    rustix::thread::set_thread_res_uid(None, None, None)
}

/// Puts these capabilities in force on the calling thread, of those it has, and no other.
pub(crate) fn put_in_force(effective: rustix::thread::CapabilitySet) -> Result<(), Errno> {
    let permitted = rustix::thread::capabilities(None)?.permitted;
    let inheritable = rustix::thread::CapabilitySet::empty();
    let sets = rustix::thread::CapabilitySets { effective, permitted, inheritable };
    rustix::thread::set_capabilities(None, sets)
}
