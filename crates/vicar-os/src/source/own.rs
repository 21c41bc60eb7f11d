//! Who this process is.

use crate::sys::{cred, fork};
use crate::{IdentityError, KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

/// The calling thread's identity and powers, as the kernel shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Own {
    /// Effective user, effective group and supplementary groups.
    pub identity: UnixIdentity,
    /// Whether real, effective and saved ids are the same, and the program was not started with more rights than its
    /// caller had.
    pub is_plain: bool,
    /// Effective capabilities.
    pub effective: CapabilitySet,
    /// Permitted capabilities.
    pub permitted: CapabilitySet,
}

/// Why this process cannot say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnError {
    /// The kernel would not answer.
    Failed {
        /// The call.
        operation: &'static str,
        /// What the kernel answered.
        errno: i32,
    },
    /// The kernel showed an id that cannot be one.
    MinusOne,
    /// The kernel showed more groups than it keeps.
    TooManyGroups {
        /// How many.
        count: usize,
    },
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { operation, errno } => {
                write!(f, "{operation}: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::MinusOne => f.write_str("the kernel shows the id 4294967295"),
            Self::TooManyGroups { count } => write!(f, "the kernel shows {count} groups"),
        }
    }
}

impl core::error::Error for OwnError {}

/// Reads the calling thread's identity and capabilities.
///
/// # Errors
/// - [`OwnError::Failed`] when the kernel would not answer; the others when its answer cannot be an identity.
///
/// # Source
/// getresuid(2), getresgid(2), getgroups(2), capget(2), getauxval(3) AT_SECURE.
pub fn own() -> Result<Own, OwnError> {
    let failed = |operation| move |errno: Errno| OwnError::Failed { operation, errno: errno.raw_os_error() };
    let users = cred::user_ids().map_err(failed("getresuid"))?;
    let groups = cred::group_ids().map_err(failed("getresgid"))?;
    let listed = rustix::process::getgroups().map_err(failed("getgroups"))?;
    let sets = rustix::thread::capabilities(None).map_err(failed("capget"))?;
    let [real_user, effective_user, saved_user] = users;
    let [real_group, effective_group, saved_group] = groups;
    let uid = KernelUid::new(effective_user).ok_or(OwnError::MinusOne)?;
    let gid = KernelGid::new(effective_group).ok_or(OwnError::MinusOne)?;
    let listed: Option<Vec<KernelGid>> = listed.into_iter().map(|group| KernelGid::new(group.as_raw())).collect();
    let identity = UnixIdentity::new(uid, gid, listed.ok_or(OwnError::MinusOne)?).map_err(|error| match error {
        IdentityError::TooManyGroups { count } => OwnError::TooManyGroups { count },
    })?;
    let same_user = real_user == effective_user && saved_user == effective_user;
    let same_group = real_group == effective_group && saved_group == effective_group;
    Ok(Own {
        identity,
        is_plain: same_user && same_group && !fork::started_with_more_rights(),
        effective: sets.effective,
        permitted: sets.permitted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_plain_and_is_its_effective_user() {
        let own = own().unwrap();
        assert!(own.is_plain);
        assert_eq!(own.identity.uid().raw(), rustix::process::geteuid().as_raw());
        assert!(own.permitted.contains(own.effective));
    }
}
