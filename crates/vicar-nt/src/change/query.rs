//! Parts of a descriptor.

use crate::acl::Acl;
use crate::change::SecurityInformation;
use crate::descriptor::{Control, Dacl, Descriptor, DescriptorRef, Sacl};
use crate::status::NtStatus;

/// Copies the named parts of a descriptor out.
///
/// Of the SACL, only the kinds of entries that are named: auditing without the label, the label without auditing.
///
/// # Errors
/// - [`NtStatus::NO_SECURITY_ON_OBJECT`] when the object has no descriptor.
///
/// # NT
/// `SeQuerySecurityDescriptorInfo`.
///
/// # Source
/// learn.microsoft.com, `SeQuerySecurityDescriptorInfo`.
#[doc(alias = "SeQuerySecurityDescriptorInfo")]
pub fn query(current: Option<DescriptorRef<'_>>, parts: SecurityInformation) -> Result<Descriptor, NtStatus> {
    let current = current.ok_or(NtStatus::NO_SECURITY_ON_OBJECT)?;
    let parts = parts.expanded();
    let control = current.control();
    let mut out = Descriptor::builder();
    if let Some(owner) = current.owner().filter(|_| parts.contains(SecurityInformation::OWNER)) {
        out = out.owner(owner.to_sid()).control(control.intersection(Control::OWNER_DEFAULTED));
    }
    if let Some(group) = current.group().filter(|_| parts.contains(SecurityInformation::GROUP)) {
        out = out.group(group.to_sid()).control(control.intersection(Control::GROUP_DEFAULTED));
    }
    if parts.contains(SecurityInformation::DACL) {
        out = match current.dacl() {
            Dacl::Absent => out,
            Dacl::Null => out.null_dacl(),
            Dacl::List(list) => out.dacl(list.to_acl()),
        };
        out = out.control(control.intersection(DACL_BITS));
    }
    if parts.wants_sacl() {
        let has_audit = parts.contains(SecurityInformation::SACL);
        out = match current.sacl() {
            Sacl::Null if has_audit => out.null_sacl(),
            Sacl::Absent | Sacl::Null => out,
            Sacl::List(list) => {
                let wanted = list.aces().filter(|ace| parts.intersects(SecurityInformation::part_of(ace.kind())));
                let acl = wanted.fold(Acl::builder(), |acl, ace| acl.verbatim(&ace));
                let acl = acl.build().map_err(|_| NtStatus::INVALID_ACL)?;
                match has_audit || acl.as_ref().count() > 0 {
                    true => out.sacl(acl),
                    false => out,
                }
            }
        };
        out = out.control(control.intersection(SACL_BITS));
    }
    out.build().map_err(|_| NtStatus::INVALID_ACL)
}

const DACL_BITS: Control = Control::DACL_DEFAULTED
    .union(Control::DACL_PROTECTED)
    .union(Control::DACL_AUTO_INHERITED)
    .union(Control::DACL_AUTO_INHERIT_REQ);
const SACL_BITS: Control = Control::SACL_DEFAULTED
    .union(Control::SACL_PROTECTED)
    .union(Control::SACL_AUTO_INHERITED)
    .union(Control::SACL_AUTO_INHERIT_REQ);
