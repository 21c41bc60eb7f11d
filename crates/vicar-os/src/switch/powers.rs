//! What a server gives up for good when it starts, and what it keeps: the right to change its threads' ids.

use super::bounding;
use super::calls::{CredentialCalls, Kernel};
use core::fmt;
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet};

/// The capabilities a server keeps: they let it change the ids of its threads and matter to no file check.
pub(crate) const KEPT: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID);

/// What was given up and what is left, for the start-up message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Powers {
    /// Capabilities before.
    pub(crate) before: CapabilitySet,
    /// Capabilities now: permitted and effective.
    pub(crate) kept: CapabilitySet,
    /// Whether the bounding set was cut to what is kept; that needs CAP_SETPCAP.
    pub(crate) bounding_cut: bool,
}

impl Powers {
    /// Whether identities can be changed at all.
    #[must_use]
    pub fn can_switch(&self) -> bool {
        self.kept.contains(KEPT)
    }

    /// Names of the capabilities that are left, such as `CAP_SETUID`.
    pub fn kept(&self) -> impl Iterator<Item = String> + use<> {
        names(self.kept)
    }

    /// Names of the capabilities that were given up.
    pub fn dropped(&self) -> impl Iterator<Item = String> + use<> {
        names(self.before.difference(self.kept))
    }

    /// Whether the bounding set was cut too.
    #[must_use]
    pub fn bounding_is_cut(&self) -> bool {
        self.bounding_cut
    }

    /// Gives up what is left too, for a server that was seen not to be able to use it.
    pub(crate) fn give_up_rest(&mut self) -> Result<(), PowersError> {
        let none = CapabilitySet::empty();
        Kernel.set_capabilities(none, none).map_err(at("capset"))?;
        self.kept = none;
        Ok(())
    }
}

fn names(set: CapabilitySet) -> impl Iterator<Item = String> {
    set.iter_names().map(|(name, _)| format!("CAP_{name}"))
}

/// The one call of giving up powers that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowersError {
    operation: &'static str,
    errno: Errno,
}

impl PowersError {
    pub(crate) const fn errno(&self) -> Errno {
        self.errno
    }
}

impl fmt::Display for PowersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.errno)
    }
}

impl core::error::Error for PowersError {}

fn at(operation: &'static str) -> impl FnOnce(Errno) -> PowersError {
    move |errno| PowersError { operation, errno }
}

/// Cuts the calling thread's capabilities to [`KEPT`], for good where the thread may do so.
///
/// Must run while the process has one thread: all of this is per thread and is inherited by the threads made later.
///
/// # Errors
/// - [`PowersError`] naming the call; the process must not go on as a server.
///
/// # Identity
/// Afterwards: permitted and effective are `KEPT`, or nothing when not both were held; nothing is inheritable or ambient; a program this
/// process executes gains nothing (`no_new_privs`, and SECBIT_NOROOT locked where CAP_SETPCAP was held); the process
/// cannot be traced or dumped by others.
///
/// # Source
/// capabilities(7), prctl(2), PR_SET_DUMPABLE(2const).
pub(crate) fn give_up() -> Result<Powers, PowersError> {
    let before = rustix::thread::capabilities(None).map_err(at("capget"))?.permitted;
    // One without the other changes no identity, and would be left in a client's hands.
    let kept = if before.contains(KEPT) { KEPT } else { CapabilitySet::empty() };
    let bounding_cut = cut(before, kept)?;
    Ok(Powers { before, kept, bounding_cut })
}

/// Cuts the calling process's capabilities to those in `wanted` that it has, for good, as [`give_up`].
///
/// # Returns
/// What is left: permitted and effective.
pub(crate) fn keep(wanted: CapabilitySet) -> Result<CapabilitySet, PowersError> {
    let before = rustix::thread::capabilities(None).map_err(at("capget"))?.permitted;
    let kept = before.intersection(wanted);
    cut(before, kept)?;
    Ok(kept)
}

/// Does it, and returns whether the bounding set was cut too.
fn cut(before: CapabilitySet, kept: CapabilitySet) -> Result<bool, PowersError> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(at("prctl PR_SET_DUMPABLE"))?;
    rustix::thread::set_no_new_privs(true).map_err(at("prctl PR_SET_NO_NEW_PRIVS"))?;
    rustix::thread::clear_ambient_capability_set().map_err(at("prctl PR_CAP_AMBIENT_CLEAR_ALL"))?;
    let bounding_cut = before.contains(CapabilitySet::SETPCAP);
    if bounding_cut {
        // Effective may have been lowered by whoever started us; permitted is what counts.
        Kernel.set_capabilities(before, before).map_err(at("capset"))?;
        bounding::cut_to(kept).map_err(at("prctl PR_CAPBSET_DROP"))?;
        let bits = rustix::thread::capabilities_secure_bits().map_err(at("prctl PR_GET_SECUREBITS"))?;
        let bits = bits
            .union(CapabilitiesSecureBits::NO_ROOT)
            .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
            .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE)
            .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);
        rustix::thread::set_capabilities_secure_bits(bits).map_err(at("prctl PR_SET_SECUREBITS"))?;
    }
    Kernel.set_capabilities(kept, kept).map_err(at("capset"))?;
    let now = rustix::thread::capabilities(None).map_err(at("capget"))?;
    if now.permitted != kept || now.effective != kept || !now.inheritable.is_empty() {
        return Err(PowersError { operation: "verifying the capability sets", errno: Errno::PERM });
    }
    Ok(bounding_cut)
}
