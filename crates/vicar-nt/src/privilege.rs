//! Privileges: the 35 rights that are not about one object.

use core::fmt;
use core::str::FromStr;

use crate::check::{AccessMode, Subject};
use crate::level::ImpersonationLevel;
use crate::luid::Luid;
use crate::status::NtStatus;
use crate::token::TokenState;
use crate::wire::{Malformed, ParseError};

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

/// A set of privileges without attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrivilegeMask(u64);

impl PrivilegeMask {
    /// No privilege.
    pub const NONE: Self = Self(0);

    /// Returns whether the set has no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether `privilege` is a member.
    #[must_use]
    pub const fn contains(self, privilege: Privilege) -> bool {
        self.0 & privilege.bit() != 0
    }

    /// Returns this set and one more member.
    #[must_use]
    pub const fn with(self, privilege: Privilege) -> Self {
        Self(self.0 | privilege.bit())
    }

    /// Returns this set without one member.
    #[must_use]
    pub const fn without(self, privilege: Privilege) -> Self {
        Self(self.0 & !privilege.bit())
    }

    /// Returns what is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns what is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the members, lowest number first.
    pub fn iter(self) -> impl Iterator<Item = Privilege> {
        Privilege::ALL.into_iter().filter(move |privilege| self.contains(*privilege))
    }

    /// Returns how many members there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

impl fmt::Debug for PrivilegeMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
impl FromIterator<Privilege> for PrivilegeMask {
    fn from_iter<I: IntoIterator<Item = Privilege>>(privileges: I) -> Self {
        privileges.into_iter().fold(Self::NONE, Self::with)
    }
}

bitflags::bitflags! {
    /// What a privilege entry says about a privilege.
    ///
    /// # NT
    /// `SE_PRIVILEGE_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PrivilegeAttributes: u32 {
        /// Enabled when the token was made.
        const ENABLED_BY_DEFAULT = 0x1;
        /// Enabled now; only such a privilege counts.
        const ENABLED = 0x2;
        /// To be removed for good.
        const REMOVED = 0x4;
        /// Was used to grant an access or to pass a privilege check.
        const USED_FOR_ACCESS = 0x8000_0000;
    }
}

/// A privilege by LUID, with attributes; the LUID may name no privilege at all.
///
/// # NT
/// `LUID_AND_ATTRIBUTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LuidAndAttributes {
    /// Which privilege.
    pub luid: Luid,
    /// What is said about it.
    pub attributes: PrivilegeAttributes,
}

impl LuidAndAttributes {
    /// Names a privilege and says something about it.
    #[must_use]
    pub fn new(privilege: Privilege, attributes: PrivilegeAttributes) -> Self {
        Self { luid: privilege.luid(), attributes }
    }
}

/// Whether a privilege of a new token can be used at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivilegeState {
    /// Present but not in force until it is enabled.
    Disabled,
    /// In force now, but not by default.
    Enabled,
    /// In force now and after the token's privileges are reset.
    EnabledByDefault,
}

/// The privileges of a token.
///
/// Whatever is enabled or enabled by default is present: no function of this type can make it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrivilegeSet {
    present: PrivilegeMask,
    enabled: PrivilegeMask,
    enabled_by_default: PrivilegeMask,
}

impl PrivilegeSet {
    /// No privilege.
    pub const NONE: Self =
        Self { present: PrivilegeMask::NONE, enabled: PrivilegeMask::NONE, enabled_by_default: PrivilegeMask::NONE };

    /// Returns what the token holds, enabled or not.
    #[must_use]
    pub const fn present(self) -> PrivilegeMask {
        self.present
    }

    /// Returns what is in force.
    #[must_use]
    pub const fn enabled(self) -> PrivilegeMask {
        self.enabled
    }

    /// Returns what was in force when the token was made.
    #[must_use]
    pub const fn enabled_by_default(self) -> PrivilegeMask {
        self.enabled_by_default
    }

    /// Returns whether `privilege` is in force.
    #[must_use]
    pub const fn is_enabled(self, privilege: Privilege) -> bool {
        self.enabled.contains(privilege)
    }

    /// Returns the set with `privilege` added, or its state replaced.
    #[must_use]
    pub const fn with(self, privilege: Privilege, state: PrivilegeState) -> Self {
        let mut out = self.without(privilege);
        out.present = out.present.with(privilege);
        match state {
            PrivilegeState::Disabled => {}
            PrivilegeState::Enabled => out.enabled = out.enabled.with(privilege),
            PrivilegeState::EnabledByDefault => {
                out.enabled = out.enabled.with(privilege);
                out.enabled_by_default = out.enabled_by_default.with(privilege);
            }
        }
        out
    }

    /// Returns the set with `privilege` removed.
    #[must_use]
    pub const fn without(self, privilege: Privilege) -> Self {
        Self {
            present: self.present.without(privilege),
            enabled: self.enabled.without(privilege),
            enabled_by_default: self.enabled_by_default.without(privilege),
        }
    }

    /// Returns the set with `privilege` enabled, which changes nothing when it is not present.
    #[must_use]
    pub const fn enable(self, privilege: Privilege) -> Self {
        if !self.present.contains(privilege) {
            return self;
        }
        Self { enabled: self.enabled.with(privilege), ..self }
    }

    /// Returns the set with `privilege` disabled.
    #[must_use]
    pub const fn disable(self, privilege: Privilege) -> Self {
        Self { enabled: self.enabled.without(privilege), ..self }
    }

    /// Returns the set with every privilege disabled.
    #[must_use]
    pub const fn disable_all(self) -> Self {
        Self { enabled: PrivilegeMask::NONE, ..self }
    }

    /// Returns the set with only the members of `keep`.
    #[must_use]
    pub const fn retain(self, keep: PrivilegeMask) -> Self {
        Self {
            present: self.present.intersection(keep),
            enabled: self.enabled.intersection(keep),
            enabled_by_default: self.enabled_by_default.intersection(keep),
        }
    }

    /// Returns every privilege of the set with its attributes, lowest number first.
    pub fn entries(self) -> impl Iterator<Item = LuidAndAttributes> {
        self.present.iter().map(move |privilege| {
            let mut attributes = PrivilegeAttributes::empty();
            attributes.set(PrivilegeAttributes::ENABLED, self.enabled.contains(privilege));
            attributes.set(PrivilegeAttributes::ENABLED_BY_DEFAULT, self.enabled_by_default.contains(privilege));
            LuidAndAttributes::new(privilege, attributes)
        })
    }
}

/// Whether all privileges of a list are needed, or any one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Every one (`PRIVILEGE_SET_ALL_NECESSARY`).
    All,
    /// At least one.
    Any,
}

/// Says whether a subject has privileges in force, and marks those it has.
///
/// # Inputs
/// - `subject`: both tokens of one thread; the client's decides when there is one.
/// - `wanted`: the privileges; those in force are marked [`PrivilegeAttributes::USED_FOR_ACCESS`].
/// - `mode`: on its own behalf the kernel has every privilege.
///
/// # Returns
/// Whether all are in force, or any one. An empty list has all its privileges, and not any one.
///
/// # Identity
/// A client below Impersonation has no privilege, whatever its token says, and nothing is marked.
///
/// # NT
/// `SePrivilegeCheck`.
///
/// # Source
/// learn.microsoft.com, `SePrivilegeCheck`, `PrivilegeCheck`.
#[must_use]
#[doc(alias = "SePrivilegeCheck")]
pub fn check(subject: &Subject<'_>, wanted: &mut [LuidAndAttributes], need: Need, mode: AccessMode) -> bool {
    match mode {
        AccessMode::Kernel => {
            for entry in wanted {
                entry.attributes.insert(PrivilegeAttributes::USED_FOR_ACCESS);
            }
            true
        }
        AccessMode::User if !subject.may_act() => false,
        AccessMode::User => check_set(subject.effective().privileges(), wanted, need),
    }
}

/// Says whether a token that was handed over has privileges in force, and marks those it has.
///
/// # Errors
/// - [`NtStatus::BAD_IMPERSONATION_LEVEL`] when the token is at anonymous level. A primary token has no level.
///
/// # NT
/// `NtPrivilegeCheck`.
///
/// # Source
/// learn.microsoft.com, `PrivilegeCheck`.
#[doc(alias = "NtPrivilegeCheck")]
pub fn check_token(
    token: &TokenState,
    level: Option<ImpersonationLevel>,
    wanted: &mut [LuidAndAttributes],
    need: Need,
) -> Result<bool, NtStatus> {
    if level.is_none_or(ImpersonationLevel::may_identify) {
        Ok(check_set(token.privileges(), wanted, need))
    } else {
        Err(NtStatus::BAD_IMPERSONATION_LEVEL)
    }
}

fn check_set(held: PrivilegeSet, wanted: &mut [LuidAndAttributes], need: Need) -> bool {
    let mut all = true;
    let mut any = false;
    for entry in wanted {
        if Privilege::from_luid(entry.luid).is_some_and(|privilege| held.is_enabled(privilege)) {
            entry.attributes.insert(PrivilegeAttributes::USED_FOR_ACCESS);
            any = true;
        } else {
            all = false;
        }
    }
    match need {
        Need::All => all,
        Need::Any => any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> [LuidAndAttributes; 2] {
        [Privilege::Tcb, Privilege::Debug].map(|p| LuidAndAttributes::new(p, PrivilegeAttributes::empty()))
    }

    fn debugger() -> TokenState {
        TokenState::builder(crate::well_known::LOCAL_SYSTEM)
            .privilege(Privilege::Debug, PrivilegeState::Enabled)
            .privilege(Privilege::Tcb, PrivilegeState::Disabled)
            .build()
            .unwrap()
    }

    #[test]
    fn only_what_is_enabled_counts_and_is_marked() {
        let token = debugger();
        let subject = Subject::itself(&token);
        let mut list = wanted();
        assert!(!check(&subject, &mut list, Need::All, AccessMode::User));
        assert!(check(&subject, &mut list, Need::Any, AccessMode::User));
        assert_eq!(list.map(|entry| entry.attributes.bits()), [0, 0x8000_0000]);
        assert!(check(&subject, &mut [], Need::All, AccessMode::User));
        assert!(!check(&subject, &mut [], Need::Any, AccessMode::User));
    }

    #[test]
    fn a_client_below_impersonation_has_no_privilege() {
        let token = debugger();
        let subject = Subject::client(&token, ImpersonationLevel::Identification, &token);
        let mut list = wanted();
        assert!(!check(&subject, &mut list, Need::Any, AccessMode::User));
        assert_eq!(list, wanted());
        assert!(check(&subject, &mut list, Need::All, AccessMode::Kernel));
        assert!(list.iter().all(|entry| entry.attributes.contains(PrivilegeAttributes::USED_FOR_ACCESS)));
    }

    #[test]
    fn a_token_that_is_handed_over_needs_identification() {
        let check = |level| check_token(&debugger(), level, &mut wanted(), Need::Any);
        assert_eq!(check(Some(ImpersonationLevel::Anonymous)), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
        assert_eq!(check(Some(ImpersonationLevel::Identification)), Ok(true));
        assert_eq!(check(None), Ok(true));
    }

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

    #[test]
    fn what_is_enabled_is_present() {
        let set = PrivilegeSet::NONE.enable(Privilege::Tcb);
        assert_eq!(set, PrivilegeSet::NONE);
        let set = set.with(Privilege::Tcb, PrivilegeState::EnabledByDefault).disable_all();
        assert!(set.present().contains(Privilege::Tcb) && !set.is_enabled(Privilege::Tcb));
        assert_eq!(set.without(Privilege::Tcb), PrivilegeSet::NONE);
    }
}
