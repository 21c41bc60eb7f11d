//! A client and one capability: what a task of the elevated queue is done as, in a process of its own.

use super::bounding;
use super::irrevocable::{Claim, DropError, Step};
use crate::UnixIdentity;
use crate::sys::{cred, fork, keyring};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

fn failed(step: Step) -> impl Fn(Errno) -> DropError {
    move |errno| DropError::Failed { step, errno: errno.raw_os_error() }
}

/// Makes this process, which has one thread, `identity` with `capability` and no other, for good.
///
/// The real ids are `anonymous`; the effective ids, by which files are checked, and the saved ones are the client's, with all
/// groups. The client may end the process, which is its own loss; it cannot trace it or look into it, because the process
/// has a capability more and cannot be dumped. Nothing is inheritable or ambient, the bounding set is empty, the
/// secure bits are locked, `no_new_privs` is set. Then it is read back.
///
/// # Errors
/// - [`DropError`]; the process must end at once.
///
/// # Source
/// capabilities(7): SECBIT_NO_SETUID_FIXUP keeps the sets as they are while ids change.
pub(crate) fn take_on(
    identity: &UnixIdentity,
    anonymous: &UnixIdentity,
    capability: CapabilitySet,
) -> Result<(), DropError> {
    if fork::thread_count() != Some(1) {
        return Err(DropError::ManyThreads);
    }
    if identity.uid().is_root() || anonymous.uid().is_root() {
        return Err(DropError::Root);
    }
    let none = CapabilitySet::empty();
    let held = rustix::thread::capabilities(None).map_err(failed(Step::Observe))?.permitted;
    let sets = |effective, permitted| CapabilitySets { effective, permitted, inheritable: none };
    rustix::thread::set_capabilities(None, sets(held, held)).map_err(failed(Step::SetCapabilities))?;
    keyring::join_empty_session().map_err(failed(Step::Keyring))?;
    bounding::cut_to(none).map_err(failed(Step::BoundingSet))?;
    use CapabilitiesSecureBits as Bits;
    let kept = Bits::NO_SETUID_FIXUP
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::KEEP_CAPS_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(kept).map_err(failed(Step::SecureBits))?;
    rustix::thread::clear_ambient_capability_set().map_err(failed(Step::AmbientSet))?;
    let groups: Vec<Gid> = identity.groups().iter().map(|group| Gid::from_raw(group.raw())).collect();
    rustix::thread::set_thread_groups(&groups).map_err(failed(Step::SetGroups))?;
    let (gid, nobodys) = (Gid::from_raw(identity.gid().raw()), Gid::from_raw(anonymous.gid().raw()));
    rustix::thread::set_thread_res_gid(nobodys, gid, gid).map_err(failed(Step::SetGroupIds))?;
    let (uid, nobody) = (Uid::from_raw(identity.uid().raw()), Uid::from_raw(anonymous.uid().raw()));
    rustix::thread::set_thread_res_uid(nobody, uid, uid).map_err(failed(Step::SetUserIds))?;
    rustix::thread::set_capabilities(None, sets(capability, capability)).map_err(failed(Step::SetCapabilities))?;
    rustix::thread::set_no_new_privs(true).map_err(failed(Step::NoNewPrivileges))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed(Step::Dumpable))?;
    prove(identity, anonymous, capability)
}

fn prove(identity: &UnixIdentity, anonymous: &UnixIdentity, capability: CapabilitySet) -> Result<(), DropError> {
    let hold = |claim, holds| if holds { Ok(()) } else { Err(DropError::NotProven(claim)) };
    let (uid, gid) = (identity.uid().raw(), identity.gid().raw());
    let (nobody, nobodys) = (anonymous.uid().raw(), anonymous.gid().raw());
    hold(Claim::UserIds, cred::user_ids().map_err(failed(Step::Observe))? == [nobody, uid, uid])?;
    hold(Claim::GroupIds, cred::group_ids().map_err(failed(Step::Observe))? == [nobodys, gid, gid])?;
    let mut listed: Vec<u32> =
        rustix::process::getgroups().map_err(failed(Step::Observe))?.into_iter().map(Gid::as_raw).collect();
    listed.sort_unstable();
    hold(Claim::Groups, listed.iter().copied().eq(identity.groups().iter().map(|group| group.raw())))?;
    let sets = rustix::thread::capabilities(None).map_err(failed(Step::Observe))?;
    let only = sets.effective == capability && sets.permitted == capability && sets.inheritable.is_empty();
    hold(Claim::NoCapabilities, only)?;
    let back = rustix::thread::set_thread_res_uid(None, Some(Uid::ROOT), None);
    hold(Claim::NoWayBackToUser, back.is_err())?;
    let back = rustix::thread::set_thread_res_gid(None, Some(Gid::ROOT), None);
    hold(Claim::NoWayBackToGroup, back.is_err() || gid == 0)?;
    hold(Claim::FixedGroups, rustix::thread::set_thread_groups(&[]).is_err())
}
