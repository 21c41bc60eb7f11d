//! Accounts and their groups, from the name service of this system.
//!
//! The name service may load libraries, open sockets and wait. Ask it before client threads exist, or through
//! [`crate::supervisor::Supervisor`], which asks it in a short-lived process of its own.

use super::name::{self, NameError};
use crate::elevated::SubjectNumber;
use crate::sys::account as databases;
use crate::{IdentityError, KernelGid, KernelUid, UnixIdentity, acts_as_client};
use core::fmt;
use rustix::io::Errno;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A person or service known to this system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The name as the database spells it, which may differ from the name that was asked for.
    pub name: String,
    /// User, primary group and every group the database lists.
    pub identity: UnixIdentity,
    /// The home directory, when the database names one.
    pub home: Option<PathBuf>,
    /// The login shell, when the database names one.
    pub shell: Option<PathBuf>,
    /// Its number at the elevated queue, when the supervisor has signed it in and there is such a queue.
    pub subject: Option<SubjectNumber>,
}

impl Account {
    /// Describes an account that was found by other means than the name service.
    #[must_use]
    pub const fn new(name: String, identity: UnixIdentity) -> Self {
        Self { name, identity, home: None, shell: None, subject: None }
    }
}

/// A question to the account databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// Which account has this name (getpwnam).
    Name,
    /// Which account has this user id (getpwuid).
    Uid,
    /// Which groups the account is in (getgrouplist).
    Groups,
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "getpwnam_r",
            Self::Uid => "getpwuid_r",
            Self::Groups => "getgrouplist",
        })
    }
}

/// Why there is no account to act as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The text cannot be the name of an account.
    Name(NameError),
    /// The databases know no such account.
    Unknown,
    /// The databases could not answer; this says nothing about the account.
    Failed {
        /// What was asked.
        lookup: Lookup,
        /// What the C library answered.
        errno: i32,
    },
    /// The entry carries the id 4294967295, which system calls read as "do not change".
    MinusOne,
    /// The entry is not the one that was asked for, or its name is not text.
    Inconsistent,
    /// The account is in more groups than the kernel keeps.
    TooManyGroups {
        /// How many distinct groups it is in.
        count: usize,
    },
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Unknown => f.write_str("no such account"),
            Self::Failed { lookup, errno } => write!(f, "{lookup}: {}", std::io::Error::from_raw_os_error(*errno)),
            Self::MinusOne => f.write_str("account has the id 4294967295"),
            Self::Inconsistent => f.write_str("account database gave an entry that was not asked for"),
            Self::TooManyGroups { count } => {
                write!(f, "account is in {count} groups, more than {}", UnixIdentity::MAX_GROUPS)
            }
        }
    }
}

impl core::error::Error for AccountError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Name(error) => Some(error),
            Self::Unknown | Self::Failed { .. } | Self::MinusOne | Self::Inconsistent | Self::TooManyGroups { .. } => {
                None
            }
        }
    }
}

/// Refuses to ask while this thread acts as a client: the name service loads what its configuration names, and would do so
/// with the client's rights and view.
fn not_while_acting(lookup: Lookup) -> Result<(), AccountError> {
    if acts_as_client() { Err(failed(lookup)(Errno::PERM)) } else { Ok(()) }
}

fn failed(lookup: Lookup) -> impl Fn(Errno) -> AccountError {
    move |errno| AccountError::Failed { lookup, errno: errno.raw_os_error() }
}

/// Looks an account and its groups up by name.
///
/// # Returns
/// The account with every group the databases list and the primary group. A database that is out of reach while the
/// groups are listed may leave groups out: the C library does not report that. An administrator whose files deny by
/// group needs a database that answers.
///
/// # Errors
/// - [`AccountError::Name`] when the text cannot be a name, a number for instance; nothing was asked.
/// - [`AccountError::Unknown`] when there is no such account.
/// - [`AccountError::Failed`] when a database could not answer; with `EPERM` when this thread acts as a client.
/// - [`AccountError::MinusOne`], [`AccountError::Inconsistent`] when the entry cannot be used.
/// - [`AccountError::TooManyGroups`] when the kernel could not hold the groups; the list is never cut.
///
/// # Identity
/// Asks as this process. May load libraries and block; a thread that acts as a client is refused.
///
/// # Source
/// getpwnam(3), getgrouplist(3).
///
/// # Examples
/// ```
/// use vicar_os::source::account::{AccountError, by_name};
///
/// assert!(by_name("root").is_ok_and(|root| root.identity.uid().is_root()));
/// assert_eq!(by_name("no-such-account"), Err(AccountError::Unknown));
/// ```
pub fn by_name(name: &str) -> Result<Account, AccountError> {
    name::check(name).map_err(AccountError::Name)?;
    not_while_acting(Lookup::Name)?;
    // The name has no control characters (checked), so no zero byte either.
    let asked = CString::new(name).map_err(|_has_zero| AccountError::Name(NameError::Character { at: 0 }))?;
    let entry = databases::by_name(&asked).map_err(failed(Lookup::Name))?.ok_or(AccountError::Unknown)?;
    complete(entry)
}

/// Looks an account and its groups up by user id.
///
/// # Errors
/// As for [`by_name`]; [`AccountError::MinusOne`] also when 4294967295 is asked for, [`AccountError::Inconsistent`]
/// when the entry has another user id than the one asked for.
///
/// # Identity
/// As for [`by_name`].
///
/// # Source
/// getpwuid(3), getgrouplist(3).
pub fn by_uid(uid: u32) -> Result<Account, AccountError> {
    let asked = KernelUid::new(uid).ok_or(AccountError::MinusOne)?;
    not_while_acting(Lookup::Uid)?;
    let entry = databases::by_uid(asked.raw()).map_err(failed(Lookup::Uid))?.ok_or(AccountError::Unknown)?;
    if entry.uid != uid {
        return Err(AccountError::Inconsistent);
    }
    complete(entry)
}

/// Returns the name of a group, when the database has one that is text and this thread does not act as a client.
///
/// # Identity
/// As for [`by_name`].
///
/// # Source
/// getgrgid(3).
#[must_use]
pub fn group_name(gid: KernelGid) -> Option<String> {
    if acts_as_client() {
        return None;
    }
    databases::group_name(gid.raw()).ok().flatten().and_then(|name| String::from_utf8(name).ok())
}

fn complete(entry: databases::Entry) -> Result<Account, AccountError> {
    let name = CString::new(entry.name).map_err(|_has_zero| AccountError::Inconsistent)?;
    let listed = databases::groups_of(&name, entry.gid).map_err(failed(Lookup::Groups))?;
    let name = name.into_string().map_err(|_not_text| AccountError::Inconsistent)?;
    if name.is_empty() {
        return Err(AccountError::Inconsistent);
    }
    let identity = identity(entry.uid, entry.gid, &listed)?;
    Ok(Account { name, identity, home: path(entry.home), shell: path(entry.shell), subject: None })
}

/// Builds an identity from what a database listed; refuses the id that means "do not change" anywhere in it.
fn identity(uid: u32, gid: u32, groups: &[u32]) -> Result<UnixIdentity, AccountError> {
    let uid = KernelUid::new(uid).ok_or(AccountError::MinusOne)?;
    let gid = KernelGid::new(gid).ok_or(AccountError::MinusOne)?;
    let groups: Option<Vec<KernelGid>> = groups.iter().map(|&group| KernelGid::new(group)).collect();
    UnixIdentity::new(uid, gid, groups.ok_or(AccountError::MinusOne)?).map_err(|error| match error {
        IdentityError::TooManyGroups { count } => AccountError::TooManyGroups { count },
    })
}

fn path(text: Vec<u8>) -> Option<PathBuf> {
    if text.is_empty() { None } else { Some(PathBuf::from(OsString::from_vec(text))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_a_name_and_nobody_is_asked() {
        for name in ["0", "65534", "0x0", "-1"] {
            assert!(matches!(by_name(name), Err(AccountError::Name(_))), "{name}");
        }
        assert_eq!(by_name("no-such-account-of-vicar"), Err(AccountError::Unknown));
    }

    #[test]
    fn an_unknown_or_impossible_uid_is_an_error() {
        assert_eq!(by_uid(u32::MAX), Err(AccountError::MinusOne));
        assert_eq!(by_uid(61_999), Err(AccountError::Unknown));
        assert_eq!(by_uid(4_000_000_000), Err(AccountError::Unknown));
    }

    #[test]
    fn minus_one_is_refused_wherever_it_stands() {
        assert_eq!(identity(u32::MAX, 5, &[]), Err(AccountError::MinusOne));
        assert_eq!(identity(61_001, u32::MAX, &[]), Err(AccountError::MinusOne));
        assert_eq!(identity(61_001, 5, &[7, u32::MAX]), Err(AccountError::MinusOne));
    }

    #[test]
    fn the_primary_group_is_always_in_the_list_and_group_0_never_appears_by_itself() {
        for count in [0_u32, 1, 1023, 1024, 1025, 65_535] {
            let listed: Vec<u32> = (10..10 + count).collect();
            let identity = identity(61_001, 5, &listed).unwrap();
            assert_eq!(identity.groups().len(), listed.len() + 1);
            assert!(identity.groups().contains(&KernelGid::new(5).unwrap()));
            assert!(!identity.groups().iter().any(|group| group.is_root()));
        }
        let listed: Vec<u32> = (10..10 + 65_536).collect();
        assert_eq!(identity(61_001, 5, &listed), Err(AccountError::TooManyGroups { count: 65_537 }));
        assert_eq!(identity(61_001, 10, &listed).unwrap().groups().len(), 65_536);
    }

    #[test]
    fn root_has_its_home_and_shell() {
        let root = by_uid(0).unwrap();
        assert_eq!(root.name, "root");
        assert_eq!(root.home.as_deref(), Some(std::path::Path::new("/root")));
        assert_eq!(by_name("root").unwrap(), root);
    }
}
