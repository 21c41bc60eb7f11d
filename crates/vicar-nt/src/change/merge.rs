//! Replacing parts of a descriptor as an editor does: in order, and with what the parent passes on.

use crate::acl::{Acl, Canonical};
use crate::assign::ObjectKind;
use crate::change::{Change, Lists, SecurityInformation, SetFlags, inherit_again_by, set_by};
use crate::descriptor::{Control, Dacl, Descriptor, DescriptorRef, Sacl};
use crate::guid::Guid;
use crate::reading::Readings;
use crate::status::NtStatus;

/// Makes the descriptor an object has after a change that keeps inheritance right.
///
/// The explicit entries are the new descriptor's, the inherited ones what the parent passes on now, whatever either
/// descriptor says was inherited; a list that is or becomes protected inherits nothing, and all its entries are explicit.
/// The DACL is put in canonical order. If that could change what it means, it stays as it is and is marked protected.
///
/// # Inputs
/// - `parent`: the container of the object; without one nothing is inherited.
/// - `object_types`: the types of the object, for entries that only some type inherits.
///
/// # Errors
/// - Those of [`set()`](crate::change::set()).
///
/// # NT
/// `SetSecurityInfo`, `SetNamedSecurityInfo`, before they store the descriptor and [propagate](crate::change::propagate) it.
///
/// # Source
/// learn.microsoft.com, `SetSecurityInfo`, "Automatic Propagation of Inheritable ACEs", "Order of ACEs in a DACL".
#[doc(alias = "SetSecurityInfo")]
pub fn merge(
    change: &Change<'_>,
    parent: Option<DescriptorRef<'_>>,
    kind: ObjectKind,
    object_types: &[Guid],
) -> Result<Descriptor, NtStatus> {
    merge_by(change, parent, kind, object_types, Readings::empty())
}

/// As [`merge()`], with some uncertain rules read the other way, as for [`set_by`] and [`inherit_again_by`].
///
/// # Errors
/// - Those of [`set()`](crate::change::set()).
pub fn merge_by(
    change: &Change<'_>,
    parent: Option<DescriptorRef<'_>>,
    kind: ObjectKind,
    object_types: &[Guid],
    readings: Readings,
) -> Result<Descriptor, NtStatus> {
    let asked = change.parts.expanded();
    let protects = |bit| asked.contains(bit);
    let mut flags = change.flags;
    // What is to be protected is made explicit; the rest inherits again below.
    flags.set(
        SetFlags::DACL_AUTO_INHERIT,
        flags.contains(SetFlags::DACL_AUTO_INHERIT) || asked.contains(SecurityInformation::DACL),
    );
    flags.set(
        SetFlags::SACL_AUTO_INHERIT,
        flags.contains(SetFlags::SACL_AUTO_INHERIT) || asked.contains(SecurityInformation::SACL),
    );
    let new = with_protection(
        change.new,
        protects(SecurityInformation::PROTECTED_DACL),
        protects(SecurityInformation::PROTECTED_SACL),
    )?;
    let stored = set_by(&Change { new: new.as_ref(), flags, ..*change }, readings)?;
    let lists = match (asked.contains(SecurityInformation::DACL), asked.wants_sacl()) {
        (true, true) => Some(Lists::Both),
        (true, false) => Some(Lists::Dacl),
        (false, true) => Some(Lists::Sacl),
        (false, false) => None,
    };
    let nothing = Descriptor::builder().build().map_err(|_| NtStatus::INVALID_ACL)?;
    let parent = parent.unwrap_or(nothing.as_ref());
    let joined = match lists {
        None => stored,
        Some(lists) => inherit_again_by(stored.as_ref(), parent, lists, kind, object_types, &change.mapping, readings)?,
    };
    match asked.contains(SecurityInformation::DACL) {
        true => in_order(joined, change),
        false => Ok(joined),
    }
}

/// The descriptor, with its lists marked protected.
fn with_protection(descriptor: DescriptorRef<'_>, dacl: bool, sacl: bool) -> Result<Descriptor, NtStatus> {
    let mut bits = descriptor.control();
    bits.set(Control::DACL_PROTECTED, dacl || bits.contains(Control::DACL_PROTECTED));
    bits.set(Control::SACL_PROTECTED, sacl || bits.contains(Control::SACL_PROTECTED));
    let dacl = match descriptor.dacl() {
        Dacl::List(list) => Some(list.to_acl()),
        Dacl::Absent | Dacl::Null => None,
    };
    rebuild(descriptor, dacl, bits)
}

fn in_order(descriptor: Descriptor, change: &Change<'_>) -> Result<Descriptor, NtStatus> {
    let view = descriptor.as_ref();
    let Dacl::List(list) = view.dacl() else { return Ok(descriptor) };
    match list.canonicalise(&change.mapping).map_err(|_| NtStatus::INVALID_ACL)? {
        Canonical::Already => Ok(descriptor),
        Canonical::Reordered(acl) => rebuild(view, Some(acl), view.control()),
        Canonical::MeaningChanges(_) => {
            rebuild(view, Some(list.to_acl()), view.control().union(Control::DACL_PROTECTED))
        }
    }
}

/// The descriptor with another DACL, if one is given, and other control bits.
fn rebuild(descriptor: DescriptorRef<'_>, dacl: Option<Acl>, control: Control) -> Result<Descriptor, NtStatus> {
    let mut out = Descriptor::builder().control(control);
    if let Some(byte) = descriptor.resource_manager_byte() {
        out = out.resource_manager_byte(byte);
    }
    if let Some(owner) = descriptor.owner() {
        out = out.owner(owner.to_sid());
    }
    if let Some(group) = descriptor.group() {
        out = out.group(group.to_sid());
    }
    out = match (dacl, descriptor.dacl()) {
        (Some(acl), _) => out.dacl(acl),
        (None, Dacl::Null) => out.null_dacl(),
        (None, Dacl::Absent | Dacl::List(_)) => out,
    };
    out = match descriptor.sacl() {
        Sacl::Absent => out,
        Sacl::Null => out.null_sacl(),
        Sacl::List(list) => out.sacl(list.to_acl()),
    };
    out.build().map_err(|_| NtStatus::INVALID_ACL)
}
