//! The types of entries, and what is known of each.
//!
//! [`AceKind::row`] is the one table: everything else that depends on the type follows from it.

/// What type an entry is of.
///
/// # Source
/// MS-DTYP 2.4.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AceKind {
    /// 0x00
    Allow,
    /// 0x01
    Deny,
    /// 0x02
    Audit,
    /// 0x03, reserved
    Alarm,
    /// 0x04
    AllowCompound,
    /// 0x05
    AllowObject,
    /// 0x06
    DenyObject,
    /// 0x07
    AuditObject,
    /// 0x08, reserved
    AlarmObject,
    /// 0x09
    AllowCallback,
    /// 0x0A
    DenyCallback,
    /// 0x0B
    AllowCallbackObject,
    /// 0x0C
    DenyCallbackObject,
    /// 0x0D
    AuditCallback,
    /// 0x0E, reserved
    AlarmCallback,
    /// 0x0F
    AuditCallbackObject,
    /// 0x10, reserved
    AlarmCallbackObject,
    /// 0x11
    MandatoryLabel,
    /// 0x12
    ResourceAttribute,
    /// 0x13
    ScopedPolicy,
    /// 0x14
    TrustLabel,
    /// 0x15
    AccessFilter,
    /// Anything else: carried verbatim, skipped by every evaluation.
    Unknown(u8),
}

/// What the entries of a type are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Allow,
    /// Allows a client while a server acts for it.
    AllowThrough,
    Deny,
    Audit,
    Alarm,
    Label,
    Attribute,
    Policy,
    Trust,
    Filter,
    Unknown,
}

/// What follows the mask of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Sid,
    SidAndData,
    Object,
    ObjectAndData,
    Compound,
    Opaque,
}

/// What follows the SID of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    None,
    Condition,
    Claim,
}

struct Row {
    role: Role,
    shape: Shape,
    /// The type without object types.
    plain: AceKind,
}

const fn row(role: Role, shape: Shape, plain: AceKind) -> Row {
    Row { role, shape, plain }
}

impl AceKind {
    /// Returns the type with this number.
    #[must_use]
    #[inline]
    pub const fn from_number(number: u8) -> Self {
        match number {
            0x00 => Self::Allow,
            0x01 => Self::Deny,
            0x02 => Self::Audit,
            0x03 => Self::Alarm,
            0x04 => Self::AllowCompound,
            0x05 => Self::AllowObject,
            0x06 => Self::DenyObject,
            0x07 => Self::AuditObject,
            0x08 => Self::AlarmObject,
            0x09 => Self::AllowCallback,
            0x0A => Self::DenyCallback,
            0x0B => Self::AllowCallbackObject,
            0x0C => Self::DenyCallbackObject,
            0x0D => Self::AuditCallback,
            0x0E => Self::AlarmCallback,
            0x0F => Self::AuditCallbackObject,
            0x10 => Self::AlarmCallbackObject,
            0x11 => Self::MandatoryLabel,
            0x12 => Self::ResourceAttribute,
            0x13 => Self::ScopedPolicy,
            0x14 => Self::TrustLabel,
            0x15 => Self::AccessFilter,
            other => Self::Unknown(other),
        }
    }

    /// Returns the number of the type.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Allow => 0x00,
            Self::Deny => 0x01,
            Self::Audit => 0x02,
            Self::Alarm => 0x03,
            Self::AllowCompound => 0x04,
            Self::AllowObject => 0x05,
            Self::DenyObject => 0x06,
            Self::AuditObject => 0x07,
            Self::AlarmObject => 0x08,
            Self::AllowCallback => 0x09,
            Self::DenyCallback => 0x0A,
            Self::AllowCallbackObject => 0x0B,
            Self::DenyCallbackObject => 0x0C,
            Self::AuditCallback => 0x0D,
            Self::AlarmCallback => 0x0E,
            Self::AuditCallbackObject => 0x0F,
            Self::AlarmCallbackObject => 0x10,
            Self::MandatoryLabel => 0x11,
            Self::ResourceAttribute => 0x12,
            Self::ScopedPolicy => 0x13,
            Self::TrustLabel => 0x14,
            Self::AccessFilter => 0x15,
            Self::Unknown(number) => number,
        }
    }

    /// Returns whether the type has object type GUIDs; an ACL with such an entry has revision 4.
    #[must_use]
    pub const fn has_object_types(self) -> bool {
        matches!(self.shape(), Shape::Object | Shape::ObjectAndData)
    }

    /// Returns whether data may follow the SID.
    #[must_use]
    pub const fn has_data(self) -> bool {
        matches!(self.shape(), Shape::SidAndData | Shape::ObjectAndData)
    }

    /// Returns whether the type gives or takes rights, in a DACL.
    #[must_use]
    #[inline]
    pub(crate) const fn decides(self) -> bool {
        matches!(self.role(), Role::Allow | Role::AllowThrough | Role::Deny)
    }

    /// Returns whether the mask of the type holds rights of the object.
    pub(crate) const fn has_rights(self) -> bool {
        self.decides() || self.is_record()
    }

    /// Returns whether the type asks for a record, in a SACL.
    pub(crate) const fn is_record(self) -> bool {
        matches!(self.role(), Role::Audit | Role::Alarm)
    }

    /// Returns what follows the SID.
    pub(crate) const fn data(self) -> Data {
        match (self.has_data(), self.role()) {
            (false, _) => Data::None,
            (true, Role::Attribute) => Data::Claim,
            (true, _) => Data::Condition,
        }
    }

    #[inline]
    pub(crate) const fn role(self) -> Role {
        self.row().role
    }

    #[inline]
    pub(super) const fn shape(self) -> Shape {
        self.row().shape
    }

    /// Returns the type that says the same without object types.
    pub(crate) const fn plain(self) -> Self {
        self.row().plain
    }

    #[inline]
    const fn row(self) -> Row {
        match self {
            Self::Allow => row(Role::Allow, Shape::Sid, self),
            Self::Deny => row(Role::Deny, Shape::Sid, self),
            Self::Audit => row(Role::Audit, Shape::Sid, self),
            Self::Alarm => row(Role::Alarm, Shape::Sid, self),
            Self::AllowCompound => row(Role::AllowThrough, Shape::Compound, self),
            Self::AllowObject => row(Role::Allow, Shape::Object, Self::Allow),
            Self::DenyObject => row(Role::Deny, Shape::Object, Self::Deny),
            Self::AuditObject => row(Role::Audit, Shape::Object, Self::Audit),
            Self::AlarmObject => row(Role::Alarm, Shape::Object, Self::Alarm),
            Self::AllowCallback => row(Role::Allow, Shape::SidAndData, self),
            Self::DenyCallback => row(Role::Deny, Shape::SidAndData, self),
            Self::AllowCallbackObject => row(Role::Allow, Shape::ObjectAndData, Self::AllowCallback),
            Self::DenyCallbackObject => row(Role::Deny, Shape::ObjectAndData, Self::DenyCallback),
            Self::AuditCallback => row(Role::Audit, Shape::SidAndData, self),
            Self::AlarmCallback => row(Role::Alarm, Shape::SidAndData, self),
            Self::AuditCallbackObject => row(Role::Audit, Shape::ObjectAndData, Self::AuditCallback),
            Self::AlarmCallbackObject => row(Role::Alarm, Shape::ObjectAndData, Self::AlarmCallback),
            Self::MandatoryLabel => row(Role::Label, Shape::Sid, self),
            Self::ResourceAttribute => row(Role::Attribute, Shape::SidAndData, self),
            Self::ScopedPolicy => row(Role::Policy, Shape::Sid, self),
            Self::TrustLabel => row(Role::Trust, Shape::Sid, self),
            Self::AccessFilter => row(Role::Filter, Shape::SidAndData, self),
            Self::Unknown(_) => row(Role::Unknown, Shape::Opaque, self),
        }
    }
}
