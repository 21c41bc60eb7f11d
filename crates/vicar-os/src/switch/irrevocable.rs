//! Becoming somebody for good.
//!
//! [`drop_to`] gives up everything a process could come back with, then proves it by trying. It is for a forked child,
//! for a program about to execute another one ([`leave_terminal`], [`close_from`]), and for [`Oracle`], which does one
//! thing as somebody and reports what the kernel said: the yardstick that impersonation is measured with.
//!
//! There is no way back and no guard. A process whose drop failed is neither itself nor the other one: it must end.

pub(crate) mod answer;
mod ask;
mod oracle;
mod terminal;

pub use ask::{AskError, ask};
pub use oracle::{Answer, Oracle, OracleError, Question, Seen, Verdict};
pub use terminal::{Parent, Terminal, TerminalError, leave_terminal};

use super::bounding;
use crate::UnixIdentity;
use crate::sys::{cred, fork, keyring};
use core::fmt;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

/// Evidence that this process is somebody else for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    identity: UnixIdentity,
    bounding: Bounding,
}

impl Dropped {
    /// Who this process is now.
    #[must_use]
    pub const fn identity(&self) -> &UnixIdentity {
        &self.identity
    }

    /// What became of the capability bounding set.
    #[must_use]
    pub const fn bounding(&self) -> Bounding {
        self.bounding
    }
}

/// What became of the capability bounding set and the secure bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounding {
    /// The set is empty and the secure bits are locked.
    Empty,
    /// They are as they were, because this process had no `CAP_SETPCAP`; `no_new_privs` keeps a program from gaining
    /// any of them.
    Kept,
}

/// One step of a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Reading what the process is.
    Observe,
    /// A new session keyring.
    Keyring,
    /// Emptying the bounding set.
    BoundingSet,
    /// Locking the secure bits.
    SecureBits,
    /// Emptying the ambient set.
    AmbientSet,
    /// setgroups.
    SetGroups,
    /// setresgid.
    SetGroupIds,
    /// setresuid.
    SetUserIds,
    /// Emptying the other capability sets.
    SetCapabilities,
    /// no_new_privs.
    NoNewPrivileges,
    /// Staying undumpable.
    Dumpable,
    /// Closing descriptors.
    Close,
}

impl Step {
    const ALL: [Self; 12] = [
        Self::Observe,
        Self::Keyring,
        Self::BoundingSet,
        Self::SecureBits,
        Self::AmbientSet,
        Self::SetGroups,
        Self::SetGroupIds,
        Self::SetUserIds,
        Self::SetCapabilities,
        Self::NoNewPrivileges,
        Self::Dumpable,
        Self::Close,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "reading the credentials",
            Self::Keyring => "keyctl (new session keyring)",
            Self::BoundingSet => "prctl (capability bounding set)",
            Self::SecureBits => "prctl (secure bits)",
            Self::AmbientSet => "prctl (ambient capabilities)",
            Self::SetGroups => "setgroups",
            Self::SetGroupIds => "setresgid",
            Self::SetUserIds => "setresuid",
            Self::SetCapabilities => "capset",
            Self::NoNewPrivileges => "prctl (no_new_privs)",
            Self::Dumpable => "prctl (dumpable)",
            Self::Close => "close_range",
        })
    }
}

/// A claim of a drop that turned out to be false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// All three user ids are the new one.
    UserIds,
    /// All three group ids are the new one.
    GroupIds,
    /// The supplementary groups are exactly the new ones.
    Groups,
    /// No capability is effective, permitted, inheritable or ambient.
    NoCapabilities,
    /// No capability is in the bounding set.
    EmptyBoundingSet,
    /// The secure bits are locked.
    LockedSecureBits,
    /// No program can gain privileges.
    NoNewPrivileges,
    /// The former user ids cannot be taken back.
    NoWayBackToUser,
    /// The former group ids cannot be taken back.
    NoWayBackToGroup,
    /// The groups cannot be changed.
    FixedGroups,
}

impl Claim {
    const ALL: [Self; 10] = [
        Self::UserIds,
        Self::GroupIds,
        Self::Groups,
        Self::NoCapabilities,
        Self::EmptyBoundingSet,
        Self::LockedSecureBits,
        Self::NoNewPrivileges,
        Self::NoWayBackToUser,
        Self::NoWayBackToGroup,
        Self::FixedGroups,
    ];
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserIds => "the kernel shows other user ids",
            Self::GroupIds => "the kernel shows other group ids",
            Self::Groups => "the kernel shows other groups",
            Self::NoCapabilities => "a capability is left",
            Self::EmptyBoundingSet => "a capability is left in the bounding set",
            Self::LockedSecureBits => "the secure bits are not locked",
            Self::NoNewPrivileges => "programs can gain privileges",
            Self::NoWayBackToUser => "the former user id can be taken back",
            Self::NoWayBackToGroup => "the former group id can be taken back",
            Self::FixedGroups => "the groups can be changed",
        })
    }
}

/// Why a process is not somebody else for good. It may be half of each: it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropError {
    /// The process has more than one thread, or `/proc` cannot say; nothing was changed.
    ManyThreads,
    /// User 0 owns the system whatever it gives up; nothing was changed.
    Root,
    /// A step failed.
    Failed {
        /// The step.
        step: Step,
        /// What the kernel answered.
        errno: i32,
    },
    /// Every step succeeded, and still this is not so.
    NotProven(Claim),
}

impl fmt::Display for DropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyThreads => f.write_str("only a process with one thread can change for good"),
            Self::Root => f.write_str("user 0 cannot give up what it owns"),
            Self::Failed { step, errno } => write!(f, "{step}: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::NotProven(claim) => claim.fmt(f),
        }
    }
}

impl core::error::Error for DropError {}

fn failed(step: Step) -> impl Fn(Errno) -> DropError {
    move |errno| DropError::Failed { step, errno: errno.raw_os_error() }
}

/// Closes every descriptor from `first` up, without looking who owns it.
///
/// For a process that is about to become another program or to end: values that own such a descriptor must not be used
/// or dropped afterwards.
///
/// # Errors
/// - [`DropError::Failed`] when the kernel refused.
///
/// # Source
/// close_range(2), Linux 5.9.
pub fn close_from(first: u32) -> Result<(), DropError> {
    fork::close_from(first).map_err(failed(Step::Close))
}

/// Makes this process `identity` and nothing else, for good.
///
/// In this order: a new empty session keyring; bounding set emptied and secure bits locked (both need a capability, so
/// they come first); ambient set emptied; all groups; all three group ids; all three user ids; effective, permitted and
/// inheritable sets emptied; `no_new_privs`; not dumpable until the next exec. Then every id and set is read back, and
/// taking the former user, group and groups back is tried and must fail.
///
/// Descriptors, memory, working directory, umask and signal handlers are the caller's business.
///
/// A process that is `identity` already and may not change groups keeps its groups, if they are the same.
///
/// # Errors
/// - [`DropError::ManyThreads`], [`DropError::Root`]: nothing was changed.
/// - [`DropError::Failed`], [`DropError::NotProven`]: the process is in between and must end at once.
///
/// # Identity
/// Changes the calling thread, which is the whole process.
///
/// # Cost
/// About 60 system calls; setgroups grows with the groups.
///
/// # Source
/// setgroups(2), setresgid(2), setresuid(2), capset(2), capabilities(7), prctl(2), keyctl_join_session_keyring(3).
pub fn drop_to(identity: &UnixIdentity) -> Result<Dropped, DropError> {
    if fork::thread_count() != Some(1) {
        return Err(DropError::ManyThreads);
    }
    if identity.uid().is_root() {
        return Err(DropError::Root);
    }
    let former = Former::observe()?;
    keyring::join_empty_session().map_err(failed(Step::Keyring))?;
    let bounding = if former.effective.contains(CapabilitySet::SETPCAP) {
        bounding::cut_to(CapabilitySet::empty()).map_err(failed(Step::BoundingSet))?;
        lock_secure_bits()?;
        Bounding::Empty
    } else {
        Bounding::Kept
    };
    rustix::thread::clear_ambient_capability_set().map_err(failed(Step::AmbientSet))?;
    let keeps_groups = !former.effective.contains(CapabilitySet::SETGID) && former.has_groups_of(identity);
    if !keeps_groups {
        let groups: Vec<Gid> = identity.groups().iter().map(|group| Gid::from_raw(group.raw())).collect();
        rustix::thread::set_thread_groups(&groups).map_err(failed(Step::SetGroups))?;
    }
    let gid = Gid::from_raw(identity.gid().raw());
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed(Step::SetGroupIds))?;
    let uid = Uid::from_raw(identity.uid().raw());
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed(Step::SetUserIds))?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(failed(Step::SetCapabilities))?;
    rustix::thread::set_no_new_privs(true).map_err(failed(Step::NoNewPrivileges))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed(Step::Dumpable))?;
    prove(identity, &former, bounding)?;
    Ok(Dropped { identity: identity.clone(), bounding })
}

/// What the process was before.
struct Former {
    users: cred::Triple,
    groups: cred::Triple,
    listed: Vec<u32>,
    effective: CapabilitySet,
}

impl Former {
    fn observe() -> Result<Self, DropError> {
        Ok(Self {
            users: cred::user_ids().map_err(failed(Step::Observe))?,
            groups: cred::group_ids().map_err(failed(Step::Observe))?,
            listed: listed_groups()?,
            effective: rustix::thread::capabilities(None).map_err(failed(Step::Observe))?.effective,
        })
    }

    fn has_groups_of(&self, identity: &UnixIdentity) -> bool {
        self.groups.contains(&identity.gid().raw()) && same_groups(&self.listed, identity)
    }
}

fn listed_groups() -> Result<Vec<u32>, DropError> {
    let listed = rustix::process::getgroups().map_err(failed(Step::Observe))?;
    Ok(listed.into_iter().map(Gid::as_raw).collect())
}

/// Whether a list, together with the primary group, is exactly the identity's set.
fn same_groups(listed: &[u32], identity: &UnixIdentity) -> bool {
    let mut listed = listed.to_vec();
    listed.push(identity.gid().raw());
    listed.sort_unstable();
    listed.dedup();
    listed.iter().copied().eq(identity.groups().iter().map(|group| group.raw()))
}

/// What the secure bits must contain: user 0 means nothing, ambient capabilities cannot be raised, both for good.
const LOCKED: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_ROOT
    .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED)
    .union(CapabilitiesSecureBits::KEEP_CAPS_LOCKED)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);

fn lock_secure_bits() -> Result<(), DropError> {
    use CapabilitiesSecureBits as Bits;
    let now = rustix::thread::capabilities_secure_bits().map_err(failed(Step::SecureBits))?;
    let mut wanted = LOCKED;
    // A bit that somebody locked while it was set stays: the kernel would refuse to clear it. The sets are emptied
    // explicitly, so it changes nothing.
    if now.contains(Bits::NO_SETUID_FIXUP.union(Bits::NO_SETUID_FIXUP_LOCKED)) {
        wanted |= Bits::NO_SETUID_FIXUP;
    }
    if now.contains(Bits::KEEP_CAPS.union(Bits::KEEP_CAPS_LOCKED)) {
        wanted |= Bits::KEEP_CAPS;
    }
    rustix::thread::set_capabilities_secure_bits(wanted).map_err(failed(Step::SecureBits))
}

/// Reads everything back, then tries to return.
fn prove(identity: &UnixIdentity, former: &Former, bounding: Bounding) -> Result<(), DropError> {
    let (uid, gid) = (identity.uid().raw(), identity.gid().raw());
    hold(Claim::UserIds, cred::user_ids().map_err(failed(Step::Observe))? == [uid; 3])?;
    hold(Claim::GroupIds, cred::group_ids().map_err(failed(Step::Observe))? == [gid; 3])?;
    hold(Claim::Groups, same_groups(&listed_groups()?, identity))?;
    let sets = rustix::thread::capabilities(None).map_err(failed(Step::Observe))?;
    hold(Claim::NoCapabilities, (sets.effective | sets.permitted | sets.inheritable).is_empty())?;
    for capability in bounding::known_capabilities() {
        let is_ambient = rustix::thread::capability_is_in_ambient_set(capability).map_err(failed(Step::Observe))?;
        hold(Claim::NoCapabilities, !is_ambient)?;
        if bounding == Bounding::Empty {
            let is_bounding =
                rustix::thread::capability_is_in_bounding_set(capability).map_err(failed(Step::Observe))?;
            hold(Claim::EmptyBoundingSet, !is_bounding)?;
        }
    }
    if bounding == Bounding::Empty {
        let bits = rustix::thread::capabilities_secure_bits().map_err(failed(Step::Observe))?;
        hold(Claim::LockedSecureBits, bits.contains(LOCKED))?;
    }
    hold(Claim::NoNewPrivileges, rustix::thread::no_new_privs().map_err(failed(Step::Observe))?)?;
    for old in former.users.into_iter().chain([0]).filter(|&old| old != uid) {
        let back = rustix::thread::set_thread_res_uid(None, Some(Uid::from_raw(old)), None);
        hold(Claim::NoWayBackToUser, back.is_err())?;
    }
    for old in former.groups.into_iter().chain([0]).filter(|&old| old != gid) {
        let back = rustix::thread::set_thread_res_gid(None, Some(Gid::from_raw(old)), None);
        hold(Claim::NoWayBackToGroup, back.is_err())?;
    }
    hold(Claim::FixedGroups, rustix::thread::set_thread_groups(&[]).is_err())
}

const fn hold(claim: Claim, holds: bool) -> Result<(), DropError> {
    if holds { Ok(()) } else { Err(DropError::NotProven(claim)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelGid, KernelUid};

    fn identity(uid: u32, gid: u32, groups: &[u32]) -> UnixIdentity {
        let groups = groups.iter().map(|&group| KernelGid::new(group).unwrap());
        UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(gid).unwrap(), groups).unwrap()
    }

    #[test]
    fn a_process_with_threads_does_not_drop() {
        assert_eq!(drop_to(&identity(61_001, 61_001, &[])), Err(DropError::ManyThreads));
    }

    #[test]
    fn groups_are_compared_as_sets() {
        let alice = identity(61_001, 61_001, &[61_002, 61_003]);
        assert!(same_groups(&[61_003, 61_002], &alice));
        assert!(same_groups(&[61_001, 61_002, 61_003, 61_003], &alice));
        assert!(!same_groups(&[61_002], &alice));
        assert!(!same_groups(&[61_002, 61_003, 0], &alice));
        assert!(!same_groups(&[], &alice));
    }
}
