//! Everything that can be read about a token, by class.
//!
//! [`InfoClass`] numbers what `NtQueryInformationToken` can be asked; [`Info`] is the typed answer and knows the bytes its
//! 64-bit C form takes, so that a caller with a buffer is told what NT would tell it. The level of a token does not matter
//! here: whoever holds it may read it. Of C structures only those of claims are laid out here.

use std::sync::Arc;

use vicar_nt::acl::Acl;
use vicar_nt::claim::Claims;
use vicar_nt::group::Group;
use vicar_nt::privilege::PrivilegeSet;
use vicar_nt::token::{Elevation, MandatoryPolicy, TokenFlags};
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, NtStatus, Sid};

use super::{Duplicate, DuplicateKind, Snapshot, TokenKind, TokenRef, TokenSource};
use crate::qos::Reach;

macro_rules! classes {
    ($($number:literal $name:ident $alias:literal,)*) => {
        /// What can be asked about a token.
        ///
        /// # Source
        /// TOKEN_INFORMATION_CLASS (winnt.h page); spec/nt-impersonation 7.4.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[doc(alias = "TOKEN_INFORMATION_CLASS")]
        #[non_exhaustive]
        pub enum InfoClass {
            $(#[doc = concat!("`", $alias, "`.")] #[doc(alias = $alias)] $name,)*
        }

        impl InfoClass {
            /// Every class, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the number NT gives the class.
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $number,)* }
            }

            /// Returns the name NT gives the class.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $alias,)* }
            }

            /// Reads a class number.
            ///
            /// # Errors
            /// - `STATUS_INVALID_INFO_CLASS` when there is no such class.
            pub const fn parse(number: u32) -> Result<Self, NtStatus> {
                match number { $($number => Ok(Self::$name),)* _ => Err(NtStatus::INVALID_INFO_CLASS) }
            }
        }
    };
}

classes! {
    1 User "TokenUser",
    2 Groups "TokenGroups",
    3 Privileges "TokenPrivileges",
    4 Owner "TokenOwner",
    5 PrimaryGroup "TokenPrimaryGroup",
    6 DefaultDacl "TokenDefaultDacl",
    7 Source "TokenSource",
    8 Type "TokenType",
    9 ImpersonationLevel "TokenImpersonationLevel",
    10 Statistics "TokenStatistics",
    11 RestrictedSids "TokenRestrictedSids",
    12 SessionId "TokenSessionId",
    13 GroupsAndPrivileges "TokenGroupsAndPrivileges",
    14 SessionReference "TokenSessionReference",
    15 SandBoxInert "TokenSandBoxInert",
    16 AuditPolicy "TokenAuditPolicy",
    17 Origin "TokenOrigin",
    18 ElevationType "TokenElevationType",
    19 LinkedToken "TokenLinkedToken",
    20 Elevation "TokenElevation",
    21 HasRestrictions "TokenHasRestrictions",
    22 AccessInformation "TokenAccessInformation",
    23 VirtualizationAllowed "TokenVirtualizationAllowed",
    24 VirtualizationEnabled "TokenVirtualizationEnabled",
    25 IntegrityLevel "TokenIntegrityLevel",
    26 UiAccess "TokenUIAccess",
    27 MandatoryPolicy "TokenMandatoryPolicy",
    28 LogonSid "TokenLogonSid",
    29 IsAppContainer "TokenIsAppContainer",
    30 Capabilities "TokenCapabilities",
    31 AppContainerSid "TokenAppContainerSid",
    32 AppContainerNumber "TokenAppContainerNumber",
    33 UserClaims "TokenUserClaimAttributes",
    34 DeviceClaims "TokenDeviceClaimAttributes",
    35 RestrictedUserClaims "TokenRestrictedUserClaimAttributes",
    36 RestrictedDeviceClaims "TokenRestrictedDeviceClaimAttributes",
    37 DeviceGroups "TokenDeviceGroups",
    38 RestrictedDeviceGroups "TokenRestrictedDeviceGroups",
    39 SecurityAttributes "TokenSecurityAttributes",
    40 IsRestricted "TokenIsRestricted",
    41 ProcessTrustLevel "TokenProcessTrustLevel",
    42 PrivateNameSpace "TokenPrivateNameSpace",
    43 SingletonAttributes "TokenSingletonAttributes",
    44 BnoIsolation "TokenBnoIsolation",
    45 ChildProcessFlags "TokenChildProcessFlags",
    46 IsLessPrivilegedAppContainer "TokenIsLessPrivilegedAppContainer",
    47 IsSandboxed "TokenIsSandboxed",
}

/// Numbers and counts of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TOKEN_STATISTICS")]
pub struct Statistics {
    /// The token object.
    pub token_id: Luid,
    /// Its logon session.
    pub authentication_id: Luid,
    /// Primary or impersonation.
    pub kind: TokenKind,
    /// The bytes charged for its state.
    pub dynamic_charged: u32,
    /// How many groups, the user not among them.
    pub group_count: u32,
    /// How many privileges.
    pub privilege_count: u32,
    /// Its last modification.
    pub modified_id: Luid,
}

/// What an access check needs to know of a token, in one answer.
#[derive(Clone, Debug)]
#[doc(alias = "TOKEN_ACCESS_INFORMATION")]
pub struct AccessInformation {
    /// The state that user, groups, privileges, package, capabilities and trust are read from.
    pub state: Arc<Snapshot>,
    /// Its logon session.
    pub authentication_id: Luid,
    /// Primary or impersonation.
    pub kind: TokenKind,
    /// The flags that follow from the state.
    pub flags: TokenFlags,
}

/// An answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Info {
    /// The user or the integrity level, with attributes.
    Sid(Group),
    /// A list of SIDs with attributes.
    Sids(Vec<Group>),
    /// Privileges.
    Privileges(PrivilegeSet),
    /// Owner, primary group, package or process trust; `None` when there is none.
    Pointer(Option<Sid>),
    /// The default access list; `None` when there is none.
    Dacl(Option<Acl>),
    /// Who made the token.
    Source(TokenSource),
    /// Primary or impersonation.
    Type(TokenKind),
    /// The level.
    Level(ImpersonationLevel),
    /// Numbers and counts.
    Statistics(Statistics),
    /// User and groups, restricting SIDs, privileges, logon session.
    GroupsAndPrivileges(Vec<Group>, Vec<Group>, PrivilegeSet, Luid),
    /// The logon session that made it.
    Origin(Luid),
    /// Which half of a split pair it is.
    ElevationType(Elevation),
    /// The other half of a split pair.
    LinkedToken(TokenRef),
    /// Everything an access check needs.
    Access(Box<AccessInformation>),
    /// The mandatory policy.
    MandatoryPolicy(MandatoryPolicy),
    /// A number.
    Number(u32),
    /// Yes or no.
    Flag(bool),
    /// Claims; [`serialise_claims`](super::serialise_claims) gives their C form.
    Claims(Claims),
}

/// The bytes of the C form of a list of SIDs with attributes.
fn sids_size(groups: &[Group]) -> usize {
    groups.iter().fold(8_usize, |sum, group| sum.saturating_add(16).saturating_add(group.sid.as_bytes().len()))
}

fn arrays_size(groups: &[Group]) -> usize {
    sids_size(groups).saturating_sub(8)
}

fn privileges_size(privileges: PrivilegeSet) -> usize {
    privileges.entries().count().saturating_mul(12)
}

impl Info {
    /// Returns the bytes that the 64-bit C form of this answer takes.
    pub fn size(&self) -> usize {
        match self {
            Self::Sid(group) => 16_usize.saturating_add(group.sid.as_bytes().len()),
            Self::Sids(groups) => sids_size(groups),
            Self::Privileges(privileges) => privileges_size(*privileges).saturating_add(4),
            Self::Pointer(sid) => sid.as_ref().map_or(0, |sid| sid.as_bytes().len()).saturating_add(8),
            Self::Dacl(acl) => acl.as_ref().map_or(0, Acl::size_of_copy).saturating_add(8),
            Self::Source(_) => 16,
            Self::Type(_)
            | Self::Level(_)
            | Self::ElevationType(_)
            | Self::MandatoryPolicy(_)
            | Self::Number(_)
            | Self::Flag(_) => 4,
            Self::Statistics(_) => 56,
            Self::GroupsAndPrivileges(groups, restricting, privileges, _) => 56_usize
                .saturating_add(arrays_size(groups))
                .saturating_add(arrays_size(restricting))
                .saturating_add(privileges_size(*privileges)),
            Self::Origin(_) | Self::LinkedToken(_) => 8,
            Self::Access(_) => 88,
            Self::Claims(claims) => super::serialise_claims(claims, 0).len(),
        }
    }
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The status.
    pub status: NtStatus,
    /// The bytes that would have been enough; zero unless the buffer was too small.
    pub needed: usize,
}

impl From<NtStatus> for QueryError {
    fn from(status: NtStatus) -> Self {
        Self { status, needed: 0 }
    }
}

impl TokenRef {
    /// Answers one question about the token.
    ///
    /// # Errors
    /// - `STATUS_INVALID_INFO_CLASS` for the level of a primary token, and for the classes that Microsoft reserves or that
    ///   describe things no token of this kernel has: session reference, audit policy, restricted claims, security
    ///   attributes, singleton attributes, object isolation.
    /// - `STATUS_NO_SUCH_LOGON_SESSION` for the linked token when there is none.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` when the linked token cannot be copied.
    ///
    /// # Identity
    /// Readable at every level. The linked token is given as an impersonation token at level Identification.
    ///
    /// # NT
    /// `SeQueryInformationToken`.
    ///
    /// # Source
    /// SeQueryInformationToken (ntifs.h page), GetTokenInformation (page); spec/nt-impersonation 2.15.
    #[doc(alias = "SeQueryInformationToken")]
    #[track_caller]
    pub fn query_information(&self, class: InfoClass) -> Result<Info, NtStatus> {
        let state = self.state();
        Ok(match class {
            InfoClass::User => Info::Sid(*state.user()),
            InfoClass::Groups => Info::Sids(state.groups().to_vec()),
            InfoClass::Privileges => Info::Privileges(state.privileges()),
            InfoClass::Owner => Info::Pointer(Some(*state.default_owner())),
            InfoClass::PrimaryGroup => Info::Pointer(state.primary_group().copied()),
            InfoClass::DefaultDacl => Info::Dacl(state.default_dacl().cloned()),
            InfoClass::Source => Info::Source(self.source()),
            InfoClass::Type => Info::Type(self.kind()),
            InfoClass::ImpersonationLevel => Info::Level(self.level().ok_or(NtStatus::INVALID_INFO_CLASS)?),
            InfoClass::Statistics => Info::Statistics(self.statistics(&state)),
            InfoClass::RestrictedSids => Info::Sids(state.restricting_sids().to_vec()),
            InfoClass::SessionId => Info::Number(state.session()),
            InfoClass::GroupsAndPrivileges => {
                let mut groups = vec![*state.user()];
                groups.extend_from_slice(state.groups());
                let restricting = state.restricting_sids().to_vec();
                Info::GroupsAndPrivileges(groups, restricting, state.privileges(), self.authentication_id())
            }
            InfoClass::SandBoxInert => Info::Flag(state.flags().contains(TokenFlags::SANDBOX_INERT)),
            InfoClass::Origin => Info::Origin(self.origin()),
            InfoClass::ElevationType => Info::ElevationType(state.elevation()),
            InfoClass::LinkedToken => Info::LinkedToken(self.linked_as(DuplicateKind::Impersonation)?),
            InfoClass::Elevation => Info::Flag(is_elevated(&state)),
            InfoClass::HasRestrictions => Info::Flag(state.is_filtered()),
            InfoClass::AccessInformation => Info::Access(Box::new(AccessInformation {
                authentication_id: self.authentication_id(),
                kind: self.kind(),
                flags: state.flags(),
                state,
            })),
            InfoClass::VirtualizationAllowed | InfoClass::VirtualizationEnabled | InfoClass::UiAccess => {
                Info::Flag(false)
            }
            InfoClass::IntegrityLevel => Info::Sid(integrity(&state)),
            InfoClass::MandatoryPolicy => Info::MandatoryPolicy(state.mandatory_policy()),
            InfoClass::LogonSid => {
                let is_logon = |group: &&Group| group.attributes.contains(GroupAttributes::LOGON_ID);
                let found: Vec<Group> = state.groups().iter().filter(is_logon).copied().collect();
                if found.is_empty() {
                    return Err(NtStatus::NOT_FOUND);
                }
                Info::Sids(found)
            }
            InfoClass::IsAppContainer => Info::Flag(state.app_container().is_some()),
            InfoClass::Capabilities => {
                Info::Sids(state.app_container().map_or_else(Vec::new, |container| container.capabilities().to_vec()))
            }
            InfoClass::AppContainerSid => Info::Pointer(state.app_container().map(|container| *container.package())),
            InfoClass::AppContainerNumber | InfoClass::ChildProcessFlags => Info::Number(0),
            InfoClass::DeviceGroups => Info::Sids(state.device_groups().to_vec()),
            InfoClass::RestrictedDeviceGroups => Info::Sids(Vec::new()),
            InfoClass::IsRestricted => Info::Flag(state.is_restricted()),
            InfoClass::ProcessTrustLevel => Info::Pointer(state.trust().copied()),
            InfoClass::PrivateNameSpace => Info::Flag(false),
            InfoClass::IsLessPrivilegedAppContainer => Info::Flag(state.is_lpac()),
            InfoClass::IsSandboxed => {
                let is_low = state.integrity().is_some_and(|level| level < IntegrityLevel::MEDIUM);
                Info::Flag(state.app_container().is_some() || state.is_restricted() || is_low)
            }
            InfoClass::UserClaims => Info::Claims(state.user_claims().clone()),
            InfoClass::DeviceClaims => Info::Claims(state.device_claims().clone()),
            InfoClass::SessionReference
            | InfoClass::AuditPolicy
            | InfoClass::RestrictedUserClaims
            | InfoClass::RestrictedDeviceClaims
            | InfoClass::SecurityAttributes
            | InfoClass::SingletonAttributes
            | InfoClass::BnoIsolation => return Err(NtStatus::INVALID_INFO_CLASS),
        })
    }

    /// Like [`TokenRef::query_information`] for a caller whose buffer holds `room` bytes.
    ///
    /// # Errors
    /// - `STATUS_BUFFER_TOO_SMALL`, with the bytes needed.
    /// - as for [`TokenRef::query_information`].
    #[track_caller]
    pub fn query_information_into(&self, class: InfoClass, room: usize) -> Result<Info, QueryError> {
        let info = self.query_information(class)?;
        let needed = info.size();
        if needed > room { Err(QueryError { status: NtStatus::BUFFER_TOO_SMALL, needed }) } else { Ok(info) }
    }

    fn statistics(&self, state: &Snapshot) -> Statistics {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Statistics {
            token_id: self.id(),
            authentication_id: self.authentication_id(),
            kind: self.kind(),
            dynamic_charged: count(state.size_of_copy()),
            group_count: count(state.groups().len()),
            privilege_count: state.privileges().present().count(),
            modified_id: state.modified_id(),
        }
    }

    /// Returns the other half of a split pair as a token of the wanted type; an impersonation token is at Identification.
    ///
    /// # Errors
    /// - `STATUS_NO_SUCH_LOGON_SESSION` when there is none, or it is gone.
    /// - the pool's statuses.
    #[track_caller]
    pub(crate) fn linked_as(&self, kind: DuplicateKind) -> Result<TokenRef, NtStatus> {
        let other = self.linked().ok_or(NtStatus::NO_SUCH_LOGON_SESSION)?;
        let level = match kind {
            DuplicateKind::Primary => None,
            DuplicateKind::Impersonation => Some(ImpersonationLevel::Identification),
        };
        other.duplicate(Duplicate { kind, level, reach: Reach::AllHeld })
    }
}

fn is_elevated(state: &Snapshot) -> bool {
    match state.elevation() {
        Elevation::Full => true,
        Elevation::Limited => false,
        Elevation::Default => state.is_admin(),
    }
}

/// A token without a level counts as untrusted for whoever reads it.
fn integrity(state: &Snapshot) -> Group {
    let level = state.integrity().unwrap_or(IntegrityLevel::UNTRUSTED);
    Group::new(level.to_sid(), GroupAttributes::INTEGRITY | GroupAttributes::INTEGRITY_ENABLED)
}
