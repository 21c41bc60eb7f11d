//! The security descriptor of a new object.
//!
//! [`assign`] puts it together from what the creator asked for, what the parent passes on and what the creator's token
//! gives by default. Changing the descriptor of an object that exists is [`crate::change`].
//!
//! # Source
//! MS-DTYP 2.5.3.4 (algorithm for creating a security descriptor).

pub(crate) mod inherit;
mod label;
pub(crate) mod list;

use crate::acl::AclRef;
use crate::descriptor::{Control, Dacl, Descriptor, DescriptorRef, Sacl};
use crate::guid::Guid;
use crate::mask::GenericMapping;
use crate::privilege::Privilege;
use crate::reading::Readings;
use crate::sid::Sid;
use crate::status::NtStatus;
use crate::token::TokenState;
use list::{Given, Outcome, Rules};

bitflags::bitflags! {
    /// How the parts of a new descriptor are chosen.
    ///
    /// # NT
    /// `SEF_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct AssignFlags: u32 {
        /// The DACL keeps track of what it inherited.
        const DACL_AUTO_INHERIT = 0x1;
        /// The SACL keeps track of what it inherited.
        const SACL_AUTO_INHERIT = 0x2;
        /// What the creator gave is a default: it counts only where nothing is inherited.
        const DEFAULT_DESCRIPTOR_FOR_OBJECT = 0x4;
        /// No privilege is needed for the SACL and the label.
        const AVOID_PRIVILEGE_CHECK = 0x8;
        /// The creator may name any owner.
        const AVOID_OWNER_CHECK = 0x10;
        /// The owner is the parent's, unless the creator names one.
        const DEFAULT_OWNER_FROM_PARENT = 0x20;
        /// The group is the parent's, unless the creator names one.
        const DEFAULT_GROUP_FROM_PARENT = 0x40;
        /// The object gets a label that forbids writing from below.
        const MACL_NO_WRITE_UP = 0x100;
        /// The object gets a label that forbids reading from below.
        const MACL_NO_READ_UP = 0x200;
        /// The object gets a label that forbids executing from below.
        const MACL_NO_EXECUTE_UP = 0x400;
        /// Accepted; nothing documented follows from it here.
        const AVOID_OWNER_RESTRICTION = 0x1000;
        /// Privileges are checked also for callers in kernel mode: here they always are.
        const FORCE_USER_MODE = 0x2000;
    }
}

/// Whether other objects can be created in the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// They cannot.
    Leaf,
    /// They can.
    Container,
}

/// An object that is to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewObject<'a> {
    /// The descriptor of what it is created in.
    pub parent: Option<DescriptorRef<'a>>,
    /// The descriptor its creator asks for, or a part of one.
    pub creator: Option<DescriptorRef<'a>>,
    /// The creator's effective token.
    pub token: &'a TokenState,
    /// Whether it is a container.
    pub kind: ObjectKind,
    /// How the parts are chosen.
    pub flags: AssignFlags,
    /// Its types; an entry that only some type inherits is effective if it is one of them.
    pub object_types: &'a [Guid],
    /// What generic rights mean for its type.
    pub mapping: GenericMapping,
    /// Who serves the object, for a creator that wants entries for its clients acting through that server only; `None` refuses that.
    pub server: Option<&'a Sid>,
}

/// Makes the descriptor of a new object.
///
/// # Returns
/// A descriptor with an owner and a group. It has no DACL only if neither creator, parent nor token give one.
///
/// # Errors
/// - [`NtStatus::INVALID_OWNER`] when the creator names an owner it may not name, or the parent's is wanted and there is none.
/// - [`NtStatus::INVALID_PRIMARY_GROUP`] when no group is named and neither parent nor token have one to give.
/// - [`NtStatus::PRIVILEGE_NOT_HELD`] when the creator gives audit entries without SeSecurityPrivilege, or a label above
///   its own level without SeRelabelPrivilege.
/// - [`NtStatus::NOT_SUPPORTED`] when the creator asks for entries that name the server (SE_SERVER_SECURITY) and no server is named.
/// - [`NtStatus::INVALID_ACL`] when the entries do not fit in a list.
///
/// # NT
/// `SeAssignSecurityEx`.
///
/// # Source
/// MS-DTYP 2.5.3.4.1.
#[doc(alias = "SeAssignSecurity")]
#[doc(alias = "SeAssignSecurityEx")]
pub fn assign(object: &NewObject<'_>) -> Result<Descriptor, NtStatus> {
    assign_by(object, Readings::empty())
}

/// Makes the descriptor of a new object, with some uncertain rules read the other way.
///
/// # Errors
/// - Those of [`assign`].
pub fn assign_by(object: &NewObject<'_>, readings: Readings) -> Result<Descriptor, NtStatus> {
    let control = object.creator.map_or(Control::empty(), |creator| creator.control());
    if control.contains(Control::SERVER_SECURITY) && object.server.is_none() {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    let (owner, group) = (object.owner(readings)?, object.group()?);
    let substitutes = inherit::Substitutes { owner: &owner, group: &group };
    let dacl = object.dacl_rules(control, substitutes, readings).compute(
        object.creator.map_or(Given::Absent, |creator| match creator.dacl() {
            Dacl::Absent => Given::Absent,
            Dacl::Null => Given::Null,
            Dacl::List(list) => Given::List(list),
        }),
        object.parent.map_or(AclRef::EMPTY, |parent| match parent.dacl() {
            Dacl::Absent | Dacl::Null => AclRef::EMPTY,
            Dacl::List(list) => list,
        }),
        object.token.default_dacl().map(|acl| acl.as_ref()),
    )?;
    let given_sacl = object.creator.map_or(Given::Absent, |creator| match creator.sacl() {
        Sacl::Absent => Given::Absent,
        Sacl::Null => Given::Null,
        Sacl::List(list) => Given::List(list),
    });
    let parent_sacl = object.parent.map_or(AclRef::EMPTY, |parent| parent.sacl().entries());
    label::may_give(object, given_sacl, readings)?;
    let rules = object.sacl_rules(control, substitutes, readings);
    let sacl = rules.compute(given_sacl, parent_sacl, None)?;
    let sacl = label::complete(object, &rules, sacl, given_sacl, parent_sacl)?;
    let mut builder = Descriptor::builder().owner(owner).group(group);
    let kept = control.intersection(Control::DACL_PROTECTED | Control::SACL_PROTECTED);
    builder = builder.control(kept);
    match dacl {
        Outcome::Absent => {}
        Outcome::Null => builder = builder.null_dacl(),
        Outcome::List(acl) => {
            builder = builder.dacl(acl);
            if object.flags.contains(AssignFlags::DACL_AUTO_INHERIT) {
                builder = builder.control(Control::DACL_AUTO_INHERITED);
            }
        }
    }
    match sacl {
        Outcome::Absent => {}
        Outcome::Null => builder = builder.null_sacl(),
        Outcome::List(acl) => {
            builder = builder.sacl(acl);
            if object.flags.contains(AssignFlags::SACL_AUTO_INHERIT) {
                builder = builder.control(Control::SACL_AUTO_INHERITED);
            }
        }
    }
    builder.build().map_err(|_| NtStatus::INVALID_ACL)
}

impl<'a> NewObject<'a> {
    fn owner(&self, readings: Readings) -> Result<Sid, NtStatus> {
        if let Some(owner) = self.creator.and_then(|creator| creator.owner()) {
            let owner = owner.to_sid();
            let may_name = self.flags.contains(AssignFlags::AVOID_OWNER_CHECK)
                || self.token.may_own_as(&owner)
                || (readings.contains(Readings::DENY_ONLY_USER_OWNS) && self.token.user().sid == owner)
                || self.token.privileges().is_enabled(Privilege::Restore);
            return if may_name { Ok(owner) } else { Err(NtStatus::INVALID_OWNER) };
        }
        if self.flags.contains(AssignFlags::DEFAULT_OWNER_FROM_PARENT) {
            let owner = self.parent.and_then(|parent| parent.owner());
            return owner.map(|owner| owner.to_sid()).ok_or(NtStatus::INVALID_OWNER);
        }
        Ok(*self.token.default_owner())
    }

    fn group(&self) -> Result<Sid, NtStatus> {
        let group = self.creator.and_then(|creator| creator.group()).map(|group| group.to_sid());
        let default = || match self.flags.contains(AssignFlags::DEFAULT_GROUP_FROM_PARENT) {
            true => self.parent.and_then(|parent| parent.group()).map(|group| group.to_sid()),
            false => self.token.primary_group().copied(),
        };
        group.or_else(default).ok_or(NtStatus::INVALID_PRIMARY_GROUP)
    }

    const fn dacl_rules(
        &self,
        control: Control,
        substitutes: inherit::Substitutes<'a>,
        readings: Readings,
    ) -> Rules<'a> {
        Rules {
            is_auto: self.flags.contains(AssignFlags::DACL_AUTO_INHERIT),
            is_default: self.flags.contains(AssignFlags::DEFAULT_DESCRIPTOR_FOR_OBJECT)
                || control.contains(Control::DACL_DEFAULTED),
            is_protected: control.contains(Control::DACL_PROTECTED),
            kind: self.kind,
            object_types: self.object_types,
            mapping: self.mapping,
            substitutes,
            readings,
            server: if control.contains(Control::SERVER_SECURITY) { self.server } else { None },
        }
    }

    const fn sacl_rules(
        &self,
        control: Control,
        substitutes: inherit::Substitutes<'a>,
        readings: Readings,
    ) -> Rules<'a> {
        Rules {
            is_auto: self.flags.contains(AssignFlags::SACL_AUTO_INHERIT),
            is_default: self.flags.contains(AssignFlags::DEFAULT_DESCRIPTOR_FOR_OBJECT)
                || control.contains(Control::SACL_DEFAULTED),
            is_protected: control.contains(Control::SACL_PROTECTED),
            ..self.dacl_rules(control, substitutes, readings)
        }
    }
}
