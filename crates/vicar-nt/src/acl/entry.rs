//! Entries that are to go into an ACL. None of them can be an invalid one: each type takes what its body holds, and the
//! flags that mean something for it.

use crate::acl::{AceFlags, AceKind};
use crate::claim::{Claim, ClaimType};
use crate::condition::{Condition, token};
use crate::guid::Guid;
use crate::integrity::IntegrityLevel;
use crate::mask::RequestedMask;
use crate::sid::{Sid, SidRef};
use crate::trust::ProcessTrust;
use crate::well_known;

bitflags::bitflags! {
    /// How an entry is inherited, and whether it was.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Inheritance: u8 {
        /// Objects that are not containers inherit the entry.
        const OBJECT_INHERIT = 0x01;
        /// Containers inherit the entry.
        const CONTAINER_INHERIT = 0x02;
        /// Whoever inherits the entry does not pass it on.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// The entry is only there to be inherited.
        const INHERIT_ONLY = 0x08;
        /// The entry was inherited.
        const INHERITED = 0x10;
    }
}

bitflags::bitflags! {
    /// Which outcomes are put on record.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Outcomes: u8 {
        /// Granted accesses.
        const SUCCESS = 0x40;
        /// Refused accesses.
        const FAILURE = 0x80;
    }
}

bitflags::bitflags! {
    /// What a mandatory label forbids from below.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.13.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct LabelPolicy: u32 {
        /// Writing.
        const NO_WRITE_UP = 0x1;
        /// Reading.
        const NO_READ_UP = 0x2;
        /// Executing.
        const NO_EXECUTE_UP = 0x4;
    }
}

/// Who may change or remove an access filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterChange {
    /// Whoever may set access filters.
    Anybody,
    /// Only whose trust dominates that of the object.
    Trusted,
}

/// What an entry about rights does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Allow,
    Deny,
    Audit,
    Alarm,
}

/// An entry of a type and everything it says.
///
/// # Source
/// MS-DTYP 2.4.4.
///
/// # Examples
/// ```
/// use vicar_nt::acl::{Acl, Entry, Inheritance, LabelPolicy};
/// use vicar_nt::{IntegrityLevel, RequestedMask, sddl, well_known};
/// let engineer = sddl::parse_condition("(@User.role == \"engineer\")", None).unwrap();
/// let acl = Acl::builder()
///     .with(Entry::deny(&well_known::GUESTS, RequestedMask::GENERIC_ALL))
///     .with(Entry::allow(&well_known::USERS, RequestedMask::GENERIC_READ).when(&engineer))
///     .build()
///     .unwrap();
/// assert_eq!(acl.as_ref().count(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Entry<'a> {
    pub(super) kind: AceKind,
    pub(super) flags: AceFlags,
    pub(super) mask: RequestedMask,
    pub(super) object_types: Option<(Option<Guid>, Option<Guid>)>,
    /// The server of a compound entry.
    pub(super) server: Option<Sid>,
    pub(super) sid: Sid,
    pub(super) data: &'a [u8],
}

/// An entry that grants, refuses or records rights. It can be about types of an object, and apply under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct RightsEntry<'a> {
    verb: Verb,
    flags: AceFlags,
    mask: RequestedMask,
    object_types: Option<(Option<Guid>, Option<Guid>)>,
    sid: Sid,
    data: Option<&'a [u8]>,
}

/// What a callback entry carries for a resource manager of its own: not a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationData<'a>(&'a [u8]);

impl<'a> ApplicationData<'a> {
    /// Takes bytes as they are; `None` when they start as a condition does.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.starts_with(&token::SIGNATURE)).then_some(Self(bytes))
    }
}

impl<'a> Entry<'a> {
    /// Grants rights. Type 0x00; 0x05, 0x09 and 0x0B with types and conditions.
    pub fn allow<'s>(sid: impl Into<SidRef<'s>>, mask: impl Into<RequestedMask>) -> RightsEntry<'a> {
        RightsEntry::new(Verb::Allow, AceFlags::empty(), sid.into(), mask.into())
    }

    /// Grants rights, and must not be removed by an editor.
    pub fn critical_allow<'s>(sid: impl Into<SidRef<'s>>, mask: impl Into<RequestedMask>) -> RightsEntry<'a> {
        RightsEntry::new(Verb::Allow, AceFlags::CRITICAL, sid.into(), mask.into())
    }

    /// Refuses rights. Type 0x01; 0x06, 0x0A and 0x0C with types and conditions.
    pub fn deny<'s>(sid: impl Into<SidRef<'s>>, mask: impl Into<RequestedMask>) -> RightsEntry<'a> {
        RightsEntry::new(Verb::Deny, AceFlags::empty(), sid.into(), mask.into())
    }

    /// Puts the use of rights on record. Type 0x02; 0x07, 0x0D and 0x0F with types and conditions.
    pub fn audit<'s>(
        sid: impl Into<SidRef<'s>>,
        mask: impl Into<RequestedMask>,
        outcomes: Outcomes,
    ) -> RightsEntry<'a> {
        RightsEntry::new(Verb::Audit, AceFlags::from_bits_retain(outcomes.bits()), sid.into(), mask.into())
    }

    /// Is reserved for alarms, which no system raises. Type 0x03; 0x08, 0x0E and 0x10 with types and conditions.
    pub fn alarm<'s>(
        sid: impl Into<SidRef<'s>>,
        mask: impl Into<RequestedMask>,
        outcomes: Outcomes,
    ) -> RightsEntry<'a> {
        RightsEntry::new(Verb::Alarm, AceFlags::from_bits_retain(outcomes.bits()), sid.into(), mask.into())
    }

    /// Grants rights to a client only while `server` acts for it. Type 0x04.
    pub fn allow_through<'s, 'c>(
        server: impl Into<SidRef<'s>>,
        client: impl Into<SidRef<'c>>,
        mask: impl Into<RequestedMask>,
    ) -> Self {
        let plain = Self::plain(AceKind::AllowCompound, client.into().to_sid(), mask.into());
        Self { server: Some(server.into().to_sid()), ..plain }
    }

    /// Labels the object with an integrity level. Type 0x11.
    pub fn label(level: IntegrityLevel, policy: LabelPolicy) -> Self {
        Self::plain(AceKind::MandatoryLabel, level.to_sid(), RequestedMask(policy.bits()))
    }

    /// Gives the object an attribute; `None` when the claim is of a type that no entry may hold. Type 0x12.
    #[must_use]
    pub fn resource_attribute(claim: &'a Claim) -> Option<Self> {
        let plain = Self::plain(AceKind::ResourceAttribute, well_known::EVERYONE, RequestedMask::NONE);
        (claim.kind() != ClaimType::Fqbn).then_some(Self { data: claim.as_bytes(), ..plain })
    }

    /// Names the central policy of the object; `None` when `id` is not S-1-17-x. Type 0x13.
    #[must_use]
    pub fn scoped_policy<'s>(id: impl Into<SidRef<'s>>) -> Option<Self> {
        let id = id.into();
        let is_id = id.authority() == 17 && id.sub_authorities().len() > 0;
        is_id.then(|| Self::plain(AceKind::ScopedPolicy, id.to_sid(), RequestedMask::NONE))
    }

    /// Labels the object with a process trust; `mask` is what callers keep who are trusted less. Type 0x14.
    pub fn trust_label(trust: ProcessTrust, mask: impl Into<RequestedMask>) -> Self {
        Self::plain(AceKind::TrustLabel, trust.to_sid(), mask.into())
    }

    /// Limits rights to `mask` for everybody of whom the condition does not surely hold. Type 0x15.
    pub fn access_filter<'s>(
        sid: impl Into<SidRef<'s>>,
        mask: impl Into<RequestedMask>,
        condition: &'a Condition,
        change: FilterChange,
    ) -> Self {
        let plain = Self::plain(AceKind::AccessFilter, sid.into().to_sid(), mask.into());
        let flags = match change {
            FilterChange::Anybody => AceFlags::empty(),
            FilterChange::Trusted => AceFlags::SUCCESSFUL_ACCESS,
        };
        Self { flags, data: condition.as_bytes(), ..plain }
    }

    /// Says how the entry is inherited.
    pub fn inherited(mut self, inheritance: Inheritance) -> Self {
        self.flags |= AceFlags::from_bits_retain(inheritance.bits());
        self
    }

    const fn plain(kind: AceKind, sid: Sid, mask: RequestedMask) -> Self {
        Self { kind, flags: AceFlags::empty(), mask, object_types: None, server: None, sid, data: &[] }
    }
}

impl<'a> RightsEntry<'a> {
    fn new(verb: Verb, flags: AceFlags, sid: SidRef<'_>, mask: RequestedMask) -> Self {
        Self { verb, flags, mask, object_types: None, sid: sid.to_sid(), data: None }
    }

    /// Makes an object entry: about a type of the object, a property set or a property, or the object itself; inherited by
    /// objects of one type, or of any.
    pub const fn about(mut self, object_type: Option<Guid>, inherited_object_type: Option<Guid>) -> Self {
        self.object_types = Some((object_type, inherited_object_type));
        self
    }

    /// Makes a callback entry that applies under a condition.
    pub fn when(mut self, condition: &'a Condition) -> Self {
        self.data = Some(condition.as_bytes());
        self
    }

    /// Makes a callback entry for a resource manager of its own. To everybody else its condition is unknown.
    pub const fn with_application_data(mut self, data: ApplicationData<'a>) -> Self {
        self.data = Some(data.0);
        self
    }

    /// Says how the entry is inherited.
    pub fn inherited(mut self, inheritance: Inheritance) -> Self {
        self.flags |= AceFlags::from_bits_retain(inheritance.bits());
        self
    }

    const fn kind(&self) -> AceKind {
        match (self.verb, self.object_types.is_some(), self.data.is_some()) {
            (Verb::Allow, false, false) => AceKind::Allow,
            (Verb::Deny, false, false) => AceKind::Deny,
            (Verb::Audit, false, false) => AceKind::Audit,
            (Verb::Alarm, false, false) => AceKind::Alarm,
            (Verb::Allow, true, false) => AceKind::AllowObject,
            (Verb::Deny, true, false) => AceKind::DenyObject,
            (Verb::Audit, true, false) => AceKind::AuditObject,
            (Verb::Alarm, true, false) => AceKind::AlarmObject,
            (Verb::Allow, false, true) => AceKind::AllowCallback,
            (Verb::Deny, false, true) => AceKind::DenyCallback,
            (Verb::Audit, false, true) => AceKind::AuditCallback,
            (Verb::Alarm, false, true) => AceKind::AlarmCallback,
            (Verb::Allow, true, true) => AceKind::AllowCallbackObject,
            (Verb::Deny, true, true) => AceKind::DenyCallbackObject,
            (Verb::Audit, true, true) => AceKind::AuditCallbackObject,
            (Verb::Alarm, true, true) => AceKind::AlarmCallbackObject,
        }
    }
}

impl<'a> From<RightsEntry<'a>> for Entry<'a> {
    fn from(entry: RightsEntry<'a>) -> Self {
        Self {
            kind: entry.kind(),
            flags: entry.flags,
            mask: entry.mask,
            object_types: entry.object_types,
            server: None,
            sid: entry.sid,
            data: entry.data.unwrap_or(&[]),
        }
    }
}

#[cfg(test)]
mod tests;
