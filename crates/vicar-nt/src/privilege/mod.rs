//! Privileges: the 35 rights that are not about one object.

mod check;
mod set;

use core::fmt;
use core::str::FromStr;

use crate::luid::Luid;
use crate::wire::{Malformed, ParseError};

pub use check::{Need, check, check_by, check_token, check_token_by};
pub use set::{LuidAndAttributes, PrivilegeAttributes, PrivilegeMask, PrivilegeSet, PrivilegeState};

macro_rules! privileges {
    ($($variant:ident = $number:literal, $text:literal;)*) => {
        /// A right that is not about one object.
        ///
        /// # NT
        /// The `Se...Privilege` constants; the number is the low part of the LUID.
        ///
        /// # Source
        /// learn.microsoft.com, "Privilege Constants"; MS-LSAD 3.1.1.2.1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Privilege {
            $(#[doc = $text] $variant = $number,)*
        }

        impl Privilege {
            /// Every privilege, in the order of their numbers.
            pub const ALL: [Self; 35] = [$(Self::$variant,)*];

            /// Returns the low part of the privilege's LUID, 2 to 36.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }

            /// Returns the privilege with this number, or `None` when there is none.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// Returns the NT name, such as `SeImpersonatePrivilege`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => concat!("Se", stringify!($variant), "Privilege"),)* }
            }

            /// Returns the text Windows shows for it.
            #[must_use]
            pub const fn display_text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

privileges! {
    CreateToken = 2, "Create a token object";
    AssignPrimaryToken = 3, "Replace a process-level token";
    LockMemory = 4, "Lock pages in memory";
    IncreaseQuota = 5, "Adjust memory quotas for a process";
    MachineAccount = 6, "Add workstations to domain";
    Tcb = 7, "Act as part of the operating system";
    Security = 8, "Manage auditing and security log";
    TakeOwnership = 9, "Take ownership of files or other objects";
    LoadDriver = 10, "Load and unload device drivers";
    SystemProfile = 11, "Profile system performance";
    Systemtime = 12, "Change the system time";
    ProfileSingleProcess = 13, "Profile single process";
    IncreaseBasePriority = 14, "Increase scheduling priority";
    CreatePagefile = 15, "Create a pagefile";
    CreatePermanent = 16, "Create permanent shared objects";
    Backup = 17, "Back up files and directories";
    Restore = 18, "Restore files and directories";
    Shutdown = 19, "Shut down the system";
    Debug = 20, "Debug programs";
    Audit = 21, "Generate security audits";
    SystemEnvironment = 22, "Modify firmware environment values";
    ChangeNotify = 23, "Bypass traverse checking";
    RemoteShutdown = 24, "Force shutdown from a remote system";
    Undock = 25, "Remove computer from docking station";
    SyncAgent = 26, "Synchronize directory service data";
    EnableDelegation = 27, "Enable computer and user accounts to be trusted for delegation";
    ManageVolume = 28, "Perform volume maintenance tasks";
    Impersonate = 29, "Impersonate a client after authentication";
    CreateGlobal = 30, "Create global objects";
    TrustedCredManAccess = 31, "Access Credential Manager as a trusted caller";
    Relabel = 32, "Modify an object label";
    IncreaseWorkingSet = 33, "Increase a process working set";
    TimeZone = 34, "Change the time zone";
    CreateSymbolicLink = 35, "Create symbolic links";
    DelegateSessionUserImpersonate = 36, "Obtain an impersonation token for another user in the same session";
}

impl Privilege {
    /// Returns the privilege's LUID.
    #[must_use]
    pub fn luid(self) -> Luid {
        Luid { low: u32::from(self.number()), high: 0 }
    }

    /// Returns the privilege a LUID names, or `None` when it names none.
    #[must_use]
    pub const fn from_luid(luid: Luid) -> Option<Self> {
        if luid.high == 0 { Self::from_number(luid.low) } else { None }
    }

    /// Returns whether this privilege can be enabled only at high integrity or above.
    ///
    /// # Source
    /// Recalled behaviour of recent Windows, not documented with a full list; the switch that applies it is
    /// [`PowerfulPrivileges`](crate::token::PowerfulPrivileges).
    #[must_use]
    pub const fn needs_high_integrity(self) -> bool {
        matches!(
            self,
            Self::CreateToken
                | Self::Tcb
                | Self::LoadDriver
                | Self::Backup
                | Self::Restore
                | Self::TakeOwnership
                | Self::Debug
                | Self::Impersonate
                | Self::Relabel
                | Self::DelegateSessionUserImpersonate
        )
    }

    const fn bit(self) -> u64 {
        1u64.wrapping_shl(self.number() as u32)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
impl FromStr for Privilege {
    type Err = ParseError;

    /// Reads the NT name, `SeImpersonatePrivilege`, without regard to case.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|privilege| privilege.name().eq_ignore_ascii_case(text));
        found.ok_or(ParseError::at(Malformed::Text, 0, "privilege name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_those_of_nt() {
        assert_eq!(Privilege::ALL.len(), 35);
        for (number, privilege) in (2u32..=36).zip(Privilege::ALL) {
            assert_eq!(Privilege::from_number(number), Some(privilege));
            assert_eq!(Privilege::from_luid(privilege.luid()), Some(privilege));
            assert_eq!(privilege.name().parse::<Privilege>().unwrap(), privilege);
        }
        assert_eq!(Privilege::Impersonate.name(), "SeImpersonatePrivilege");
        assert_eq!(Privilege::from_luid(Luid { low: 29, high: 1 }), None);
        assert!("SeNothingPrivilege".parse::<Privilege>().is_err());
    }
}
