//! Which account a Kerberos principal is.
//!
//! A ticket proves a *principal*, `alice@EXAMPLE.ORG`, and not an account. The way from one to the other is where servers
//! have made strangers root: by taking the name in front of the `@` and asking the account databases for it, whatever
//! came after it (CVE-2020-25717 in Samba). [`RealmRule`] is the whole way:
//!
//! 1. The principal is spelled without escapes, has exactly one component and exactly one realm.
//! 2. The realm is, byte for byte, the one that the administrator named. Another realm's `alice` is nobody here, trust between
//!    the realms or not.
//! 3. The component can be the name of an account at all: no number, no option, no separator ([`super::name`]).
//! 4. The account database spells the account as the principal does. A database that finds `alice` for `ALICE` or for
//!    `alice@example.org` says that two principals would be one account.
//! 5. The account is not user 0, whoever is named in the policy, and not below the floor.
//! 6. The supervisor's policy admits it ([`crate::supervisor::admission`]).
//!
//! Nothing falls back: an account that cannot be found is an error, not nobody and not a guest.

use super::account::Account;
use super::name::{self, NameError};
use crate::supervisor::admission::Refusal;
use crate::supervisor::{ResolveError, Supervisor};
use core::fmt;

/// Longest realm in bytes.
const MAX_REALM_LEN: usize = 255;

/// The one realm whose principals are accounts here, and the first user id that they may have.
///
/// # Examples
/// ```
/// use vicar_os::source::principal::{PrincipalError, RealmRule};
///
/// let rule = RealmRule::new("EXAMPLE.ORG", 1000)?;
/// assert_eq!(rule.name("alice@EXAMPLE.ORG"), Ok("alice"));
/// assert_eq!(rule.name("alice@EVIL.ORG"), Err(PrincipalError::Realm));
/// assert_eq!(rule.name("alice/admin@EXAMPLE.ORG"), Err(PrincipalError::Components));
/// # Ok::<(), vicar_os::source::principal::RuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmRule {
    realm: String,
    uid_floor: u32,
}

/// Why there is no such rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// The realm is empty, longer than 255 bytes, or has other characters than letters, digits, `.`, `-` and `_`.
    Realm,
    /// A floor of 0 would let everybody through.
    Floor,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Realm => "a realm has letters, digits, '.', '-' and '_', and at most 255 of them",
            Self::Floor => "the first user id of people cannot be 0",
        })
    }
}

impl core::error::Error for RuleError {}

/// Why a principal is no account here.
///
/// For the log. A client learns only that it was refused: which of these it was can tell it who exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrincipalError {
    /// It has no realm or more than one, or a character that needs an escape.
    Syntax,
    /// It is of another realm.
    Realm,
    /// It has more than one component: a service, or an instance of a user.
    Components,
    /// Its name cannot be the name of an account.
    Name(NameError),
    /// The account could not be looked up.
    Resolve(ResolveError),
    /// The account databases found an account that is spelled otherwise.
    Spelling,
    /// The account is user 0.
    Root,
    /// The account's user id is below the floor.
    BelowFloor {
        /// The first user id that may be a client.
        floor: u32,
    },
    /// The policy does not let the account sign in.
    NotAdmitted(Refusal),
}

impl fmt::Display for PrincipalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("the principal is not a plain name and one realm"),
            Self::Realm => f.write_str("the principal is of another realm"),
            Self::Components => f.write_str("the principal has more than one component"),
            Self::Name(error) => error.fmt(f),
            Self::Resolve(error) => error.fmt(f),
            Self::Spelling => f.write_str("the account is spelled otherwise than the principal"),
            Self::Root => f.write_str("no principal is user 0"),
            Self::BelowFloor { floor } => write!(f, "the account's user id is below {floor}"),
            Self::NotAdmitted(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for PrincipalError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Name(error) => Some(error),
            Self::Resolve(error) => Some(error),
            Self::NotAdmitted(refusal) => Some(refusal),
            Self::Syntax | Self::Realm | Self::Components | Self::Spelling | Self::Root | Self::BelowFloor { .. } => {
                None
            }
        }
    }
}

impl RealmRule {
    /// Makes the rule.
    ///
    /// # Inputs
    /// - `realm`: as the key distribution centre spells it; realms differ by case (RFC 4120 6.1).
    /// - `uid_floor`: the first user id of people, see [`crate::supervisor::admission::uid_min_here`].
    ///
    /// # Errors
    /// - [`RuleError`].
    pub fn new(realm: &str, uid_floor: u32) -> Result<Self, RuleError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if realm.is_empty() || realm.len() > MAX_REALM_LEN || !realm.bytes().all(is_plain) {
            return Err(RuleError::Realm);
        }
        if uid_floor == 0 {
            return Err(RuleError::Floor);
        }
        Ok(Self { realm: realm.to_owned(), uid_floor })
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The first user id that a principal may have here.
    #[must_use]
    pub const fn uid_floor(&self) -> u32 {
        self.uid_floor
    }

    /// Returns the name of the account that a principal would be: steps 1 to 3 of the [module](self). Asks nobody.
    ///
    /// # Inputs
    /// - `principal`: in the text form of the GSS-API mechanism (RFC 1964 2.1.1), in which a backslash escapes.
    ///
    /// # Errors
    /// - [`PrincipalError`] naming the first step that fails.
    pub fn name<'principal>(&self, principal: &'principal str) -> Result<&'principal str, PrincipalError> {
        if principal.contains(['\\', '\0']) {
            return Err(PrincipalError::Syntax);
        }
        let (name, realm) = principal.split_once('@').ok_or(PrincipalError::Syntax)?;
        if realm.contains('@') {
            return Err(PrincipalError::Syntax);
        }
        if realm != self.realm {
            return Err(PrincipalError::Realm);
        }
        if name.contains('/') {
            return Err(PrincipalError::Components);
        }
        name::check(name).map_err(PrincipalError::Name)?;
        Ok(name)
    }

    /// Looks up the account that a principal is: all steps of the [module](self).
    ///
    /// # Errors
    /// - [`PrincipalError`] naming the first step that fails.
    ///
    /// # Identity
    /// Changes none. The name service is asked by a helper of the supervisor.
    pub fn account(&self, principal: &str, supervisor: &Supervisor) -> Result<Account, PrincipalError> {
        let name = self.name(principal)?;
        let account = supervisor.resolve(name).map_err(PrincipalError::Resolve)?;
        self.check(name, &account)?;
        supervisor.admit(&account).map_err(PrincipalError::NotAdmitted)?;
        Ok(account)
    }

    /// Steps 4 and 5.
    fn check(&self, name: &str, account: &Account) -> Result<(), PrincipalError> {
        let uid = account.identity.uid();
        if uid.is_root() {
            return Err(PrincipalError::Root);
        }
        if account.name != name {
            return Err(PrincipalError::Spelling);
        }
        if uid.raw() < self.uid_floor {
            return Err(PrincipalError::BelowFloor { floor: self.uid_floor });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelGid, KernelUid, UnixIdentity};

    fn rule() -> RealmRule {
        RealmRule::new("VICAR.TEST", 1000).unwrap()
    }

    #[test]
    fn only_one_plain_name_of_the_one_realm_is_a_name() {
        let number = PrincipalError::Name(NameError::Number);
        for (principal, expected) in [
            ("alice@VICAR.TEST", Ok("alice")),
            ("a.b-c_1@VICAR.TEST", Ok("a.b-c_1")),
            ("alice@EVIL", Err(PrincipalError::Realm)),
            ("alice@vicar.test", Err(PrincipalError::Realm)),
            ("alice@VICAR.TEST.EVIL", Err(PrincipalError::Realm)),
            ("alice@EVIL.VICAR.TEST", Err(PrincipalError::Realm)),
            ("alice@", Err(PrincipalError::Realm)),
            ("alice", Err(PrincipalError::Syntax)),
            ("", Err(PrincipalError::Syntax)),
            ("alice@EVIL@VICAR.TEST", Err(PrincipalError::Syntax)),
            ("alice\\@EVIL@VICAR.TEST", Err(PrincipalError::Syntax)),
            ("alice@VICAR.TEST\\@EVIL", Err(PrincipalError::Syntax)),
            ("alice\0@VICAR.TEST", Err(PrincipalError::Syntax)),
            ("alice@VICAR.TEST\0", Err(PrincipalError::Syntax)),
            ("alice\\0@VICAR.TEST", Err(PrincipalError::Syntax)),
            ("alice/admin@VICAR.TEST", Err(PrincipalError::Components)),
            ("HTTP/localhost@VICAR.TEST", Err(PrincipalError::Components)),
            ("WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", Err(PrincipalError::Realm)),
            ("/@VICAR.TEST", Err(PrincipalError::Components)),
            ("@VICAR.TEST", Err(PrincipalError::Name(NameError::Empty))),
            ("0@VICAR.TEST", Err(number)),
            ("0x0@VICAR.TEST", Err(number)),
            ("-root@VICAR.TEST", Err(PrincipalError::Name(NameError::Sign))),
            ("al ice@VICAR.TEST", Err(PrincipalError::Name(NameError::Character { at: 2 }))),
            ("alice\n@VICAR.TEST", Err(PrincipalError::Name(NameError::Character { at: 5 }))),
        ] {
            assert_eq!(rule().name(principal), expected, "{principal:?}");
        }
    }

    #[test]
    fn nobody_becomes_root_or_a_system_account_or_somebody_spelled_otherwise() {
        let account = |name: &str, uid: u32| {
            let uid = KernelUid::new(uid).unwrap();
            Account::new(name.into(), UnixIdentity::new(uid, KernelGid::new(61_001).unwrap(), []).unwrap())
        };
        assert_eq!(rule().check("alice", &account("alice", 61_001)), Ok(()));
        assert_eq!(rule().check("alice", &account("alice", 1000)), Ok(()));
        assert_eq!(rule().check("alice", &account("alice", 999)), Err(PrincipalError::BelowFloor { floor: 1000 }));
        for name in ["root", "alice", "toor"] {
            assert_eq!(rule().check(name, &account(name, 0)), Err(PrincipalError::Root));
        }
        assert_eq!(rule().check("ALICE", &account("alice", 61_001)), Err(PrincipalError::Spelling));
        assert_eq!(rule().check("alice", &account("alice@vicar.test", 61_001)), Err(PrincipalError::Spelling));
    }

    #[test]
    fn a_rule_without_a_realm_or_a_floor_is_none() {
        for realm in ["", "A@B", "A/B", "A B", "A\0", "A\\B", &"A".repeat(256)] {
            assert_eq!(RealmRule::new(realm, 1000), Err(RuleError::Realm), "{realm:?}");
        }
        assert_eq!(RealmRule::new("VICAR.TEST", 0), Err(RuleError::Floor));
        assert_eq!((rule().realm(), rule().uid_floor()), ("VICAR.TEST", 1000));
    }
}
