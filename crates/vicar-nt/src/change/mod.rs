//! Changing and querying the security of objects that exist.
//!
//! [`access_to_set`] and [`access_to_query`] say what a caller must have been granted; [`set()`] and [`query()`] work on the
//! parts. [`merge()`] does what an editor does. [`inherit_again`] recomputes what an object inherits, and [`propagate()`] does that for everything below it.
//!
//! # Source
//! learn.microsoft.com, `SECURITY_INFORMATION`, `SetSecurityInfo`, "Automatic Propagation of Inheritable ACEs"; MS-DTYP 2.4.7.

mod inherited;
mod merge;
mod query;
mod sacl;
mod set;

pub use inherited::{
    Lists, Member, Propagation, Tree, Update, Updated, inherit_again, inherit_again_by, propagate, propagate_by,
};
pub use merge::{merge, merge_by};
pub use query::query;
pub use set::{Change, SetFlags, set, set_by};

use crate::acl::{AceKind, Role};
use crate::mask::AccessMask;

bitflags::bitflags! {
    /// Which parts of a descriptor a request is about.
    ///
    /// # NT
    /// `SECURITY_INFORMATION`.
    ///
    /// # Source
    /// MS-DTYP 2.4.7.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SecurityInformation: u32 {
        /// The owner.
        const OWNER = 0x1;
        /// The group.
        const GROUP = 0x2;
        /// The DACL.
        const DACL = 0x4;
        /// The audit entries of the SACL.
        const SACL = 0x8;
        /// The mandatory label.
        const LABEL = 0x10;
        /// The resource attributes.
        const ATTRIBUTE = 0x20;
        /// The identifiers of central policies.
        const SCOPE = 0x40;
        /// The process trust label.
        const TRUST_LABEL = 0x80;
        /// The access filters.
        const ACCESS_FILTER = 0x100;
        /// Everything, as it is.
        const BACKUP = 0x1_0000;
        /// The SACL inherits.
        const UNPROTECTED_SACL = 0x1000_0000;
        /// The DACL inherits.
        const UNPROTECTED_DACL = 0x2000_0000;
        /// The SACL does not inherit.
        const PROTECTED_SACL = 0x4000_0000;
        /// The DACL does not inherit.
        const PROTECTED_DACL = 0x8000_0000;
    }
}

impl SecurityInformation {
    /// Returns the part an entry of a SACL belongs to.
    const fn part_of(kind: AceKind) -> Self {
        match kind.role() {
            Role::Label => Self::LABEL,
            Role::Attribute => Self::ATTRIBUTE,
            Role::Policy => Self::SCOPE,
            Role::Trust => Self::TRUST_LABEL,
            Role::Filter => Self::ACCESS_FILTER,
            Role::Allow | Role::AllowThrough | Role::Deny | Role::Audit | Role::Alarm | Role::Unknown => Self::SACL,
        }
    }

    /// Returns what BACKUP stands for.
    const fn expanded(self) -> Self {
        match self.contains(Self::BACKUP) {
            true => self
                .union(Self::OWNER)
                .union(Self::GROUP)
                .union(Self::DACL)
                .union(Self::SACL)
                .union(Self::LABEL)
                .union(Self::ATTRIBUTE)
                .union(Self::SCOPE)
                .union(Self::TRUST_LABEL)
                .union(Self::ACCESS_FILTER),
            false => self,
        }
    }

    const fn wants_sacl(self) -> bool {
        self.intersects(
            Self::SACL
                .union(Self::LABEL)
                .union(Self::ATTRIBUTE)
                .union(Self::SCOPE)
                .union(Self::TRUST_LABEL)
                .union(Self::ACCESS_FILTER),
        )
    }
}

/// Returns the access a caller needs to set these parts.
///
/// Trust labels and access filters are documented nowhere: they need the most any other part does.
///
/// # NT
/// `SeSetSecurityAccessMask`.
///
/// # Source
/// learn.microsoft.com, `SECURITY_INFORMATION`, "Right required to set".
#[must_use]
#[doc(alias = "SeSetSecurityAccessMask")]
pub fn access_to_set(parts: SecurityInformation) -> AccessMask {
    use SecurityInformation as Info;
    let all = AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER | AccessMask::ACCESS_SYSTEM_SECURITY;
    let needs = [
        (Info::OWNER | Info::GROUP | Info::LABEL, AccessMask::WRITE_OWNER),
        (Info::DACL | Info::ATTRIBUTE | Info::PROTECTED_DACL | Info::UNPROTECTED_DACL, AccessMask::WRITE_DAC),
        (Info::SACL | Info::SCOPE | Info::PROTECTED_SACL | Info::UNPROTECTED_SACL, AccessMask::ACCESS_SYSTEM_SECURITY),
        (Info::TRUST_LABEL | Info::ACCESS_FILTER | Info::BACKUP, all),
    ];
    needs.into_iter().filter(|(part, _)| parts.intersects(*part)).fold(AccessMask::NONE, |all, (_, mask)| all | mask)
}

/// Returns the access a caller needs to query these parts.
///
/// # NT
/// `SeQuerySecurityAccessMask`.
///
/// # Source
/// learn.microsoft.com, `SECURITY_INFORMATION`, "Right required to query".
#[must_use]
#[doc(alias = "SeQuerySecurityAccessMask")]
pub fn access_to_query(parts: SecurityInformation) -> AccessMask {
    use SecurityInformation as Info;
    let read = Info::OWNER
        | Info::GROUP
        | Info::DACL
        | Info::LABEL
        | Info::ATTRIBUTE
        | Info::SCOPE
        | Info::TRUST_LABEL
        | Info::ACCESS_FILTER
        | Info::BACKUP;
    let mut mask = AccessMask::NONE;
    if parts.intersects(read) {
        mask |= AccessMask::READ_CONTROL;
    }
    if parts.intersects(Info::SACL | Info::BACKUP) {
        mask |= AccessMask::ACCESS_SYSTEM_SECURITY;
    }
    mask
}

#[cfg(test)]
mod tests;
