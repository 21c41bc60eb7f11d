//! SIDs that mean the same everywhere, and the two families that stand for Unix ids.
//!
//! # Source
//! MS-DTYP 2.4.2.4 (well-known SID structures); S-1-22 is the convention of Unix implementations of SMB.

use crate::sid::Sid;

macro_rules! sids {
    ($($(#[$doc:meta])* $name:ident = $authority:literal $(, $sub:literal)*;)*) => {
        $($(#[$doc])* pub const $name: Sid = Sid::constant($authority, &[$($sub),*]);)*
    };
}

sids! {
    /// S-1-0-0, nobody.
    NULL = 0, 0;
    /// S-1-1-0, everyone.
    EVERYONE = 1, 0;
    /// S-1-2-0, users who are at the machine.
    LOCAL = 2, 0;
    /// S-1-3-0, replaced by the owner of a new object when an ACE is inherited.
    CREATOR_OWNER = 3, 0;
    /// S-1-3-1, replaced by the group of a new object when an ACE is inherited.
    CREATOR_GROUP = 3, 1;
    /// S-1-3-4, stands for the owner of the object during an access check.
    OWNER_RIGHTS = 3, 4;
    /// S-1-5-2, whoever signed in over the network.
    NETWORK = 5, 2;
    /// S-1-5-3, whoever signed in as a batch job.
    BATCH = 5, 3;
    /// S-1-5-4, whoever signed in at a terminal.
    INTERACTIVE = 5, 4;
    /// S-1-5-6, whoever signed in as a service.
    SERVICE = 5, 6;
    /// S-1-5-7, the anonymous user.
    ANONYMOUS = 5, 7;
    /// S-1-5-9, domain controllers of the enterprise.
    ENTERPRISE_DOMAIN_CONTROLLERS = 5, 9;
    /// S-1-5-10, stands for the object itself when the object is a principal.
    PRINCIPAL_SELF = 5, 10;
    /// S-1-5-11, everyone who proved who they are.
    AUTHENTICATED_USERS = 5, 11;
    /// S-1-5-12, code that runs restricted.
    RESTRICTED_CODE = 5, 12;
    /// S-1-5-18, the operating system.
    LOCAL_SYSTEM = 5, 18;
    /// S-1-5-19, local service.
    LOCAL_SERVICE = 5, 19;
    /// S-1-5-20, network service.
    NETWORK_SERVICE = 5, 20;
    /// S-1-5-33, the restricting SID of write-restricted services.
    WRITE_RESTRICTED = 5, 33;
    /// S-1-5-32-544, administrators.
    ADMINISTRATORS = 5, 32, 544;
    /// S-1-5-32-545, users.
    USERS = 5, 32, 545;
    /// S-1-5-32-546, guests.
    GUESTS = 5, 32, 546;
    /// S-1-5-32-551, backup operators.
    BACKUP_OPERATORS = 5, 32, 551;
    /// S-1-15-2-1, every package that is not marked less privileged.
    ALL_APPLICATION_PACKAGES = 15, 2, 1;
    /// S-1-15-2-2, every package, less privileged ones too.
    ALL_RESTRICTED_APPLICATION_PACKAGES = 15, 2, 2;
    /// S-1-18-1, an identity asserted by an authentication authority.
    AUTHENTICATION_AUTHORITY_ASSERTED = 18, 1;
    /// S-1-18-2, an identity asserted by a service.
    SERVICE_ASSERTED = 18, 2;
    /// S-1-19-0-0, no process trust at all.
    TRUST_NONE = 19, 0, 0;
}

/// Returns the SID of a Unix user id: S-1-22-1-uid.
#[must_use]
pub const fn unix_user(uid: u32) -> Sid {
    Sid::constant(22, &[1, uid])
}

/// Returns the SID of a Unix group id: S-1-22-2-gid.
#[must_use]
pub const fn unix_group(gid: u32) -> Sid {
    Sid::constant(22, &[2, gid])
}

/// Returns the SID of an integrity level: S-1-16-rid.
#[must_use]
pub const fn integrity(rid: u32) -> Sid {
    Sid::constant(16, &[rid])
}

/// Returns the SID of a logon session: S-1-5-5-high-low.
#[must_use]
pub const fn logon_session(high: u32, low: u32) -> Sid {
    Sid::constant(5, &[5, high, low])
}
