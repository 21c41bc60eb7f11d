//! Replacing parts of a descriptor.

use crate::acl::{AceFlags, Acl, AclRef};
use crate::assign::ObjectKind;
use crate::assign::inherit::Substitutes;
use crate::assign::list::{Outcome, Rules, build};
use crate::change::{SecurityInformation, sacl};
use crate::descriptor::{Control, Dacl, Descriptor, DescriptorRef};
use crate::mask::GenericMapping;
use crate::privilege::Privilege;
use crate::reading::Readings;
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::token::TokenState;
use crate::well_known;

bitflags::bitflags! {
    /// How parts are replaced.
    ///
    /// # NT
    /// The `SEF_*` flags of `SeSetSecurityDescriptorInfoEx`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SetFlags: u32 {
        /// What the DACL inherited stays, whatever the new one says.
        const DACL_AUTO_INHERIT = 0x1;
        /// What the SACL inherited stays, whatever the new one says.
        const SACL_AUTO_INHERIT = 0x2;
        /// Neither privilege nor trust is needed for what is in the SACL.
        const AVOID_PRIVILEGE_CHECK = 0x8;
        /// Anybody may be named owner.
        const AVOID_OWNER_CHECK = 0x10;
    }
}

/// A change of the security of an object that exists.
///
/// Whether the caller was granted [`access_to_set`](crate::change::access_to_set) is for the caller of [`set()`] to see to.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The object's descriptor; `None` if it has none.
    pub current: Option<DescriptorRef<'a>>,
    /// The descriptor that holds the new parts.
    pub new: DescriptorRef<'a>,
    /// Which parts are replaced.
    pub parts: SecurityInformation,
    /// How.
    pub flags: SetFlags,
    /// The effective token of whoever changes it.
    pub token: &'a TokenState,
    /// What generic rights mean for the object's type.
    pub mapping: GenericMapping,
}

/// Makes the descriptor an object has after a change. Parts that are not named stay as they are.
///
/// With BACKUP every part is replaced as a whole. Without, SACL replaces the audit entries only, and LABEL, ATTRIBUTE, SCOPE,
/// TRUST_LABEL and ACCESS_FILTER each the entries of their kind. Generic rights of entries in force are mapped.
///
/// # Errors
/// - [`NtStatus::NO_SECURITY_ON_OBJECT`] when the object has no descriptor.
/// - [`NtStatus::INVALID_PARAMETER`] when one ACL is to be protected and unprotected at once.
/// - [`NtStatus::INVALID_OWNER`] when an owner is to be set and the new one is missing, or is nobody the token may name.
/// - [`NtStatus::INVALID_PRIMARY_GROUP`] when a group is to be set and is missing.
/// - [`NtStatus::PRIVILEGE_NOT_HELD`] when a label is above the token's level and SeRelabelPrivilege is not enabled.
/// - [`NtStatus::ACCESS_DENIED`] when a trust label or a protected filter is changed by somebody trusted too little.
/// - [`NtStatus::INVALID_ACL`] when the entries do not fit in a list.
///
/// # NT
/// `SeSetSecurityDescriptorInfo`, and `SeSetSecurityDescriptorInfoEx` with flags.
///
/// # Source
/// learn.microsoft.com, `SeSetSecurityDescriptorInfoEx`; that SACL keeps the other kinds of entries is recalled, not documented.
#[doc(alias = "SeSetSecurityDescriptorInfo")]
#[doc(alias = "SeSetSecurityDescriptorInfoEx")]
pub fn set(change: &Change<'_>) -> Result<Descriptor, NtStatus> {
    set_by(change, Readings::empty())
}

/// As [`set()`], with some uncertain rules read the other way.
///
/// Of them all only [`Readings::DENY_ONLY_USER_OWNS`] and [`Readings::AUDIT_WITHOUT_SYSTEM_SECURITY`] are about this.
///
/// # Errors
/// - Those of [`set()`].
pub fn set_by(change: &Change<'_>, readings: Readings) -> Result<Descriptor, NtStatus> {
    let current = change.current.ok_or(NtStatus::NO_SECURITY_ON_OBJECT)?;
    let parts = change.parts.expanded();
    for both in [
        SecurityInformation::PROTECTED_DACL | SecurityInformation::UNPROTECTED_DACL,
        SecurityInformation::PROTECTED_SACL | SecurityInformation::UNPROTECTED_SACL,
    ] {
        if parts.contains(both) {
            return Err(NtStatus::INVALID_PARAMETER);
        }
    }
    let mut out = Descriptor::builder();
    if let Some(byte) = current.resource_manager_byte() {
        out = out.resource_manager_byte(byte);
    }
    let mut owner = current.owner().map(|owner| owner.to_sid());
    if parts.contains(SecurityInformation::OWNER) {
        owner = Some(change.new_owner(readings)?);
    } else {
        out = out.control(current.control().intersection(Control::OWNER_DEFAULTED));
    }
    let mut group = current.group().map(|group| group.to_sid());
    if parts.contains(SecurityInformation::GROUP) {
        group = Some(change.new.group().ok_or(NtStatus::INVALID_PRIMARY_GROUP)?.to_sid());
    } else {
        out = out.control(current.control().intersection(Control::GROUP_DEFAULTED));
    }
    if let Some(owner) = owner {
        out = out.owner(owner);
    }
    if let Some(group) = group {
        out = out.group(group);
    }
    let rules = change.rules(readings);
    let (dacl, bits) = match parts.contains(SecurityInformation::DACL) {
        true => dacl(change, &current, &rules)?,
        false => (held(current.dacl()), current.control().intersection(KEPT_OF_DACL)),
    };
    let bits = protect(
        bits,
        Control::DACL_PROTECTED,
        parts.contains(SecurityInformation::PROTECTED_DACL),
        parts.contains(SecurityInformation::UNPROTECTED_DACL),
    );
    out = out.control(bits);
    out = match dacl {
        Outcome::Absent => out,
        Outcome::Null => out.null_dacl(),
        Outcome::List(acl) => out.dacl(acl),
    };
    let (sacl, bits) = match parts.wants_sacl() {
        true => sacl::replace(change, parts, &current, &rules)?,
        false => (sacl::held(current.sacl()), current.control().intersection(sacl::KEPT)),
    };
    let bits = protect(
        bits,
        Control::SACL_PROTECTED,
        parts.contains(SecurityInformation::PROTECTED_SACL),
        parts.contains(SecurityInformation::UNPROTECTED_SACL),
    );
    out = out.control(bits);
    out = match sacl {
        Outcome::Absent => out,
        Outcome::Null => out.null_sacl(),
        Outcome::List(acl) => out.sacl(acl),
    };
    out.build().map_err(|_| NtStatus::INVALID_ACL)
}

const KEPT_OF_DACL: Control = Control::DACL_DEFAULTED
    .union(Control::DACL_PROTECTED)
    .union(Control::DACL_AUTO_INHERITED)
    .union(Control::DACL_AUTO_INHERIT_REQ)
    .union(Control::DACL_TRUSTED);

fn protect(bits: Control, protected: Control, wants: bool, refuses: bool) -> Control {
    if wants {
        bits.union(protected)
    } else if refuses {
        bits.difference(protected)
    } else {
        bits
    }
}

fn held(dacl: Dacl<'_>) -> Outcome {
    match dacl {
        Dacl::Absent => Outcome::Absent,
        Dacl::Null => Outcome::Null,
        Dacl::List(list) => Outcome::List(list.to_acl()),
    }
}

/// The new DACL, and the control bits that go with it.
fn dacl(change: &Change<'_>, current: &DescriptorRef<'_>, rules: &Rules<'_>) -> Result<(Outcome, Control), NtStatus> {
    let asked = change.new.control();
    let is_auto = change.flags.contains(SetFlags::DACL_AUTO_INHERIT);
    let protected = Control::DACL_PROTECTED;
    let mut bits = asked.intersection(protected);
    let stored = Control::DACL_AUTO_INHERIT_REQ | Control::DACL_AUTO_INHERITED;
    if is_auto || asked.contains(stored) {
        bits |= Control::DACL_AUTO_INHERITED;
    }
    let list = match change.new.dacl() {
        Dacl::Absent => return Ok((Outcome::Absent, bits)),
        Dacl::Null => return Ok((Outcome::Null, bits)),
        Dacl::List(list) => list,
    };
    let inherited = match current.dacl() {
        Dacl::Absent | Dacl::Null => AclRef::EMPTY,
        Dacl::List(list) => list,
    };
    let keeping = Keeping::of(is_auto, asked.contains(protected), current.control().contains(protected));
    Ok((Outcome::List(keeping.combine(list, inherited, rules)?), bits))
}

/// What becomes of inherited entries when a list is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// The new list is taken as given.
    AsGiven,
    /// The new list is protected: nothing in it counts as inherited any more.
    AllExplicit,
    /// The explicit entries are the new list's, the inherited ones the current list's.
    InheritedOfCurrent,
}

impl Keeping {
    pub(super) const fn of(is_auto: bool, new_is_protected: bool, current_is_protected: bool) -> Self {
        match (is_auto, new_is_protected, current_is_protected) {
            (false, _, _) | (true, false, true) => Self::AsGiven,
            (true, true, _) => Self::AllExplicit,
            (true, false, false) => Self::InheritedOfCurrent,
        }
    }

    pub(super) fn combine(self, new: AclRef<'_>, current: AclRef<'_>, rules: &Rules<'_>) -> Result<Acl, NtStatus> {
        let is_inherited = |flags: AceFlags| flags.contains(AceFlags::INHERITED);
        let dropped = match self {
            Self::AllExplicit => AceFlags::INHERITED,
            Self::AsGiven | Self::InheritedOfCurrent => AceFlags::empty(),
        };
        let own = new.aces().filter(|ace| self != Self::InheritedOfCurrent || !is_inherited(ace.flags()));
        let mut acl = own.fold(Acl::builder(), |acl, ace| rules.explicit(acl, &ace, dropped));
        if self == Self::InheritedOfCurrent {
            let kept = current.aces().filter(|ace| is_inherited(ace.flags()));
            acl = kept.fold(acl, |acl, ace| acl.verbatim(&ace));
        }
        build(acl)
    }
}

impl<'a> Change<'a> {
    fn new_owner(&self, readings: Readings) -> Result<Sid, NtStatus> {
        let owner = self.new.owner().ok_or(NtStatus::INVALID_OWNER)?.to_sid();
        let may_name = self.flags.contains(SetFlags::AVOID_OWNER_CHECK)
            || self.token.may_own_as(&owner)
            || (readings.contains(Readings::DENY_ONLY_USER_OWNS) && self.token.user().sid == owner)
            || self.token.privileges().is_enabled(Privilege::Restore);
        if may_name { Ok(owner) } else { Err(NtStatus::INVALID_OWNER) }
    }

    /// How a given entry is stored: in force, its rights are mapped; creators stay creators.
    const fn rules(&self, readings: Readings) -> Rules<'a> {
        Rules {
            is_auto: false,
            is_default: false,
            is_protected: false,
            kind: ObjectKind::Leaf,
            object_types: &[],
            mapping: self.mapping,
            substitutes: Substitutes { owner: &well_known::CREATOR_OWNER, group: &well_known::CREATOR_GROUP },
            readings,
            server: None,
        }
    }
}
