//! Which accounts may sign in at all.
//!
//! A right password is not enough: system accounts, the server's own account and the anonymous identity are no
//! clients. The decision is a function of values; it asks nobody.

use crate::source::{Account, OVERFLOW_ID};
use crate::{KernelUid, UnixIdentity};
use core::fmt;
use std::collections::BTreeSet;

/// First user id of people where `/etc/login.defs` does not say (login.defs(5) gives the same default).
pub const DEFAULT_UID_MIN: u32 = 1000;

/// Whether user 0 may be a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Never.
    Refuse,
    /// If the administrator also names the account.
    IfNamed,
}

/// What the administrator decided about who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// First user id of people; accounts below it belong to the system.
    pub uid_min: u32,
    /// The user the server itself runs as.
    pub server: KernelUid,
    /// The user that stands for nobody; no client may map to it, named or not.
    pub anonymous: KernelUid,
    /// Accounts the administrator named as exceptions, as the database spells them.
    pub named: BTreeSet<String>,
    /// Whether user 0 may be among them.
    pub root: Root,
}

impl Policy {
    /// The strict policy: nobody is an exception.
    #[must_use]
    pub const fn strict(uid_min: u32, server: KernelUid, anonymous: KernelUid) -> Self {
        Self { uid_min, server, anonymous, named: BTreeSet::new(), root: Root::Refuse }
    }
}

/// Why an account may not sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is user 0.
    Root,
    /// It is the anonymous identity, which no client may be.
    Anonymous,
    /// It is the account the server runs as.
    Server,
    /// It is user 65534, who stands for users that cannot be named.
    Overflow,
    /// It is a system account: its user id is below the first one of people.
    System {
        /// The first user id of people.
        uid_min: u32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("user 0 may not sign in"),
            Self::Anonymous => f.write_str("the anonymous user may not sign in"),
            Self::Server => f.write_str("the server's own account may not sign in"),
            Self::Overflow => f.write_str("user 65534 may not sign in"),
            Self::System { uid_min } => write!(f, "accounts below user id {uid_min} may not sign in"),
        }
    }
}

impl core::error::Error for Refusal {}

/// Decides whether an account may be a client.
///
/// # Errors
/// - [`Refusal`] naming the first rule that refuses: user 0, the anonymous user, the server's user, user 65534, a
///   system account. A named account passes all but the second; user 0 needs [`Root::IfNamed`] as well.
///
/// # Examples
/// ```
/// use vicar_os::source::Account;
/// use vicar_os::supervisor::admission::{Policy, Refusal, admit};
/// use vicar_os::{KernelGid, KernelUid, UnixIdentity};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (Some(uid), Some(gid), Some(nobody)) = (KernelUid::new(33), KernelGid::new(33), KernelUid::new(65_520)) else {
///     return Ok(());
/// };
/// let account = Account::new("www-data".into(), UnixIdentity::new(uid, gid, [])?);
/// let policy = Policy::strict(1000, nobody, nobody);
/// assert_eq!(admit(&policy, &account), Err(Refusal::System { uid_min: 1000 }));
/// # Ok(())
/// # }
/// ```
pub fn admit(policy: &Policy, account: &Account) -> Result<(), Refusal> {
    admit_identity(policy, &account.identity, policy.named.contains(&account.name))
}

fn admit_identity(policy: &Policy, identity: &UnixIdentity, named: bool) -> Result<(), Refusal> {
    let uid = identity.uid();
    if uid == policy.anonymous {
        return Err(Refusal::Anonymous);
    }
    if uid.is_root() {
        return match policy.root {
            Root::IfNamed if named => Ok(()),
            Root::IfNamed | Root::Refuse => Err(Refusal::Root),
        };
    }
    if named {
        return Ok(());
    }
    if uid == policy.server {
        return Err(Refusal::Server);
    }
    if uid.raw() == OVERFLOW_ID {
        return Err(Refusal::Overflow);
    }
    if uid.raw() < policy.uid_min {
        return Err(Refusal::System { uid_min: policy.uid_min });
    }
    Ok(())
}

/// Reads the first user id of people from the text of `/etc/login.defs`.
///
/// A missing or unreadable setting gives [`DEFAULT_UID_MIN`]; of several, the last one holds.
///
/// # Source
/// login.defs(5): numbers are decimal, octal with a leading 0, or hexadecimal with a leading 0x.
#[must_use]
pub fn uid_min(login_defs: &str) -> u32 {
    login_defs
        .lines()
        .rev()
        .find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            if words.next() != Some("UID_MIN") {
                return None;
            }
            Some(words.next().and_then(number).unwrap_or(DEFAULT_UID_MIN))
        })
        .unwrap_or(DEFAULT_UID_MIN)
}

fn number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

/// Reads the first user id of people from this system's `/etc/login.defs`.
#[must_use]
pub fn uid_min_here() -> u32 {
    std::fs::read_to_string("/etc/login.defs").map_or(DEFAULT_UID_MIN, |text| uid_min(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KernelGid;

    const ANONYMOUS: u32 = 65_520;

    fn uid(raw: u32) -> KernelUid {
        KernelUid::new(raw).unwrap()
    }

    fn account(name: &str, raw: u32) -> Account {
        Account::new(name.into(), UnixIdentity::new(uid(raw), KernelGid::new(61_000).unwrap(), []).unwrap())
    }

    fn check(server: u32, named: &[&str], root: Root, who: (&str, u32), expected: Result<(), Refusal>) {
        let mut policy = Policy::strict(1000, uid(server), uid(ANONYMOUS));
        policy.named = named.iter().map(|&name| name.to_owned()).collect();
        policy.root = root;
        assert_eq!(admit(&policy, &account(who.0, who.1)), expected, "{who:?} with {named:?} {root:?}");
    }

    #[test]
    fn people_may_sign_in_and_the_system_may_not() {
        let system = Err(Refusal::System { uid_min: 1000 });
        check(0, &[], Root::Refuse, ("alice", 1000), Ok(()));
        check(0, &[], Root::Refuse, ("alice", 4_000_000_000), Ok(()));
        check(0, &[], Root::Refuse, ("www-data", 33), system);
        check(0, &[], Root::Refuse, ("last", 999), system);
        check(0, &[], Root::Refuse, ("nobody", 65_534), Err(Refusal::Overflow));
        check(1500, &[], Root::Refuse, ("vicar", 1500), Err(Refusal::Server));
    }

    #[test]
    fn naming_an_account_opens_all_but_root_and_the_anonymous_user() {
        check(0, &["www-data"], Root::Refuse, ("www-data", 33), Ok(()));
        check(0, &["nobody"], Root::Refuse, ("nobody", 65_534), Ok(()));
        check(1500, &["vicar"], Root::Refuse, ("vicar", 1500), Ok(()));
        check(0, &["www-data"], Root::Refuse, ("backup", 34), Err(Refusal::System { uid_min: 1000 }));
        check(0, &["vicar-anon"], Root::IfNamed, ("vicar-anon", ANONYMOUS), Err(Refusal::Anonymous));
    }

    #[test]
    fn root_needs_its_name_and_the_separate_word() {
        check(0, &[], Root::Refuse, ("root", 0), Err(Refusal::Root));
        check(0, &["root"], Root::Refuse, ("root", 0), Err(Refusal::Root));
        check(0, &[], Root::IfNamed, ("root", 0), Err(Refusal::Root));
        check(0, &["root"], Root::IfNamed, ("root", 0), Ok(()));
        check(0, &["root"], Root::IfNamed, ("toor", 0), Err(Refusal::Root));
    }

    #[test]
    fn the_first_uid_of_people_is_read_as_the_tools_read_it() {
        for (text, expected) in [
            ("", 1000),
            ("UID_MIN\t\t\t 500\n", 500),
            ("#UID_MIN 500\n", 1000),
            ("SYS_UID_MIN 101\nUID_MIN 2000 # comment\n", 2000),
            ("UID_MIN 0x200\n", 512),
            ("UID_MIN 01000\n", 512),
            ("UID_MIN 500\nUID_MIN 600\n", 600),
            ("UID_MIN lots\n", 1000),
            ("UID_MIN -1\n", 1000),
            ("UID_MIN\n", 1000),
            ("UID_MIN 0\n", 0),
        ] {
            assert_eq!(uid_min(text), expected, "{text:?}");
        }
    }
}
