//! Which accesses an object's SACL wants on record.
//!
//! Whether auditing is switched on at all, and what becomes of a record, is decided elsewhere.
//!
//! # Source
//! MS-DTYP 2.4.4.10 (audit entries); learn.microsoft.com, "Audit Generation".

use crate::acl::{AceFlags, AceKind, AclRef};
use crate::check::answer::{Denial, Grant, Pass};
use crate::check::members::Members;
use crate::check::request::{AccessMode, AccessRequest};
use crate::check::walk::{Match, Walk};
use crate::condition::{Effect, Facts, Truth, evaluate};
use crate::mask::AccessMask;

/// Where the entry stands that wants a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditedBy {
    /// In the object's SACL.
    Object {
        /// Which entry, from 0.
        index: u16,
    },
    /// In the SACL that holds for all objects of a type.
    Global {
        /// Which entry, from 0.
        index: u16,
    },
}

/// Says whether an access is to be recorded, and by which entry.
///
/// One record per access, not per entry: the first entry that wants it is named. Accesses of the kernel itself are not
/// recorded.
///
/// # Inputs
/// - `request`, `answer`: the question and what [`decide`](crate::check::decide) said.
/// - `global`: the SACL for all objects of the type; an empty one if there is none.
///
/// # Cost
/// O(entries × log groups) comparisons.
#[must_use]
pub fn audit(request: &AccessRequest<'_>, answer: &Result<Grant<'_>, Denial>, global: AclRef<'_>) -> Option<AuditedBy> {
    let descriptor = request.descriptor.as_ref().filter(|_| request.mode == AccessMode::User)?;
    let token = request.subject.effective();
    let walk = Walk { request, token, members: token, descriptor, asked: request.asked(), may_stop: false };
    let own = walk.audited_by(descriptor.sacl().entries(), answer).map(|index| AuditedBy::Object { index });
    own.or_else(|| walk.audited_by(global, answer).map(|index| AuditedBy::Global { index }))
}

const fn is_audit(kind: AceKind) -> bool {
    matches!(kind, AceKind::Audit | AceKind::AuditObject | AceKind::AuditCallback | AceKind::AuditCallbackObject)
}

impl<M: Members> Walk<'_, '_, M> {
    fn audited_by(&self, list: AclRef<'_>, answer: &Result<Grant<'_>, Denial>) -> Option<u16> {
        let wants_maximum = self.request.desired.wants_maximum();
        let mut entries = (0u16..).zip(list.aces()).filter(|(_, ace)| is_audit(ace.kind()) && ace.is_effective());
        let found = entries.find(|(_, ace)| {
            let Some(parts) = ace.parts() else { return false };
            let mask = self.request.mapping.map(parts.mask).without(AccessMask::MAXIMUM_ALLOWED);
            let is_wanted = match answer {
                Ok(grant) => ace.flags().contains(AceFlags::SUCCESSFUL_ACCESS) && grant.mask().intersects(mask),
                Err(_) => {
                    let concerns = self.asked.intersects(mask) || (wants_maximum && !mask.is_empty());
                    ace.flags().contains(AceFlags::FAILED_ACCESS) && concerns
                }
            };
            let is_about_type =
                parts.object_type.is_none_or(|guid| self.request.object_types.iter().any(|node| node.guid == guid));
            is_wanted
                && is_about_type
                && self.match_sid(parts.sid, Effect::Deny, Pass::Normal) == Match::Subject
                && self.condition_may_hold(ace.kind(), parts.data)
        });
        found.map(|(index, _)| index)
    }

    /// A record too many is better than one too few: an unknown condition counts.
    fn condition_may_hold(&self, kind: AceKind, data: &[u8]) -> bool {
        let facts = Facts { token: self.token, resource: self.descriptor.sacl().entries(), effect: Effect::Deny };
        !kind.has_data() || evaluate(data, &facts) != Truth::False
    }
}
