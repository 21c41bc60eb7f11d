//! What one entry of a parent becomes in a new object.
//!
//! # Source
//! MS-DTYP 2.5.3.4.4.

use crate::acl::{Ace, AceFlags, AceKind, AceParts, AclBuilder};
use crate::assign::ObjectKind;
use crate::assign::list::Rules;
use crate::claim::{ClaimFlags, ClaimRef};
use crate::guid::Guid;
use crate::mask::{AccessMask, GenericMapping, RequestedMask};
use crate::reading::Readings;
use crate::sid::{Sid, SidRef};
use crate::well_known;

/// Who stands where an entry says CREATOR OWNER or CREATOR GROUP.
#[derive(Clone, Copy)]
pub(crate) struct Substitutes<'a> {
    pub(crate) owner: &'a Sid,
    pub(crate) group: &'a Sid,
}

const INHERITANCE: AceFlags = AceFlags::OBJECT_INHERIT
    .union(AceFlags::CONTAINER_INHERIT)
    .union(AceFlags::NO_PROPAGATE_INHERIT)
    .union(AceFlags::INHERIT_ONLY);

/// An entry as it is in force on the new object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct InForce<'a> {
    kind: AceKind,
    mask: RequestedMask,
    object_type: Option<Guid>,
    inherited_object_type: Option<Guid>,
    sid: SidRef<'a>,
    data: &'a [u8],
}

impl<'a> InForce<'a> {
    const fn of(kind: AceKind, parts: &AceParts<'a>) -> Self {
        Self {
            kind,
            mask: parts.mask,
            object_type: parts.object_type,
            inherited_object_type: parts.inherited_object_type,
            sid: parts.sid,
            data: parts.data,
        }
    }

    /// Maps the rights and cuts them down to what the type has.
    fn mapped(mut self, mapping: &GenericMapping, readings: Readings) -> Self {
        if self.kind.has_rights() {
            let mut limit = mapping.all;
            if self.kind.is_record() && !readings.contains(Readings::AUDIT_WITHOUT_SYSTEM_SECURITY) {
                limit |= AccessMask::ACCESS_SYSTEM_SECURITY;
            }
            self.mask = RequestedMask::from(mapping.map(self.mask) & limit);
        }
        self
    }

    fn substituted(mut self, substitutes: &Substitutes<'a>) -> Self {
        if self.sid == well_known::CREATOR_OWNER {
            self.sid = substitutes.owner.as_ref();
        } else if self.sid == well_known::CREATOR_GROUP {
            self.sid = substitutes.group.as_ref();
        }
        self
    }

    /// Drops the type that inherits; an entry that then names no type is a plain one.
    fn for_this_object(mut self, readings: Readings) -> Self {
        if self.object_type.is_some() && readings.contains(Readings::ENTRIES_KEEP_WHO_INHERITS) {
            return self;
        }
        if self.inherited_object_type.take().is_some() && self.object_type.is_none() {
            self.kind = self.kind.plain();
        }
        self
    }

    fn add_to(self, acl: AclBuilder, flags: AceFlags) -> AclBuilder {
        let types = self.kind.has_object_types().then_some((self.object_type, self.inherited_object_type));
        acl.entry(self.kind, flags, self.mask, types, self.sid, self.data)
    }
}

impl Rules<'_> {
    /// Adds what a parent's entry becomes: nothing, one entry, or one in force and one to be passed on.
    pub(crate) fn inherit(&self, acl: AclBuilder, ace: &Ace<'_>) -> AclBuilder {
        let Some(parts) = ace.parts() else { return acl };
        if parts.compound.is_some() || !is_inheritable_claim(ace.kind(), parts) {
            return acl;
        }
        let is_trust_or_filter = matches!(ace.kind(), AceKind::TrustLabel | AceKind::AccessFilter);
        if (is_trust_or_filter && self.readings.contains(Readings::TRUST_AND_FILTERS_STAY))
            || (ace.kind() == AceKind::MandatoryLabel && self.readings.contains(Readings::LABELS_STAY))
        {
            return acl;
        }
        let flags = ace.flags();
        let mut kept = flags.difference(INHERITANCE | AceFlags::INHERITED);
        if self.is_auto {
            kept |= AceFlags::INHERITED;
        }
        let passed_on = flags.intersection(AceFlags::OBJECT_INHERIT | AceFlags::CONTAINER_INHERIT);
        let to_objects = flags.contains(AceFlags::OBJECT_INHERIT);
        let to_containers = flags.contains(AceFlags::CONTAINER_INHERIT);
        let is_last = flags.contains(AceFlags::NO_PROPAGATE_INHERIT);
        let source = InForce::of(ace.kind(), parts);
        let is_for_this = parts.inherited_object_type.is_none_or(|guid| self.object_types.contains(&guid));
        let in_force =
            source.for_this_object(self.readings).mapped(&self.mapping, self.readings).substituted(&self.substitutes);
        match self.kind {
            ObjectKind::Leaf if to_objects && is_for_this => in_force.add_to(acl, kept),
            ObjectKind::Leaf if to_objects && self.readings.contains(Readings::LEAVES_KEEP_OTHER_TYPES) => {
                source.add_to(acl, kept | passed_on | AceFlags::INHERIT_ONLY)
            }
            ObjectKind::Leaf => acl,
            ObjectKind::Container if is_last && to_containers && is_for_this => in_force.add_to(acl, kept),
            ObjectKind::Container if is_last => acl,
            ObjectKind::Container if to_containers && is_for_this && in_force == source => {
                in_force.add_to(acl, kept | passed_on)
            }
            ObjectKind::Container if to_containers && is_for_this => {
                source.add_to(in_force.add_to(acl, kept), kept | passed_on | AceFlags::INHERIT_ONLY)
            }
            ObjectKind::Container if !is_for_this && self.readings.contains(Readings::CONTAINERS_DROP_OTHER_TYPES) => {
                acl
            }
            ObjectKind::Container if to_containers || to_objects => {
                source.add_to(acl, kept | passed_on | AceFlags::INHERIT_ONLY)
            }
            ObjectKind::Container => acl,
        }
    }

    /// Adds an entry the creator gave: in force, it is mapped; with auto-inheritance, creators are replaced too, and on a
    /// container what changed is kept beside it to be passed on.
    pub(crate) fn explicit(&self, acl: AclBuilder, ace: &Ace<'_>, dropped: AceFlags) -> AclBuilder {
        let flags = ace.flags().difference(dropped);
        let Some(parts) = ace.parts().filter(|parts| parts.compound.is_none()) else { return acl.verbatim(ace) };
        if let (AceKind::Allow, Some(server)) = (ace.kind(), self.server) {
            let mask = InForce::of(ace.kind(), parts).mapped(&self.mapping, self.readings).mask;
            let mask = if ace.is_effective() { mask } else { parts.mask };
            return acl.allow_through(server, parts.sid, mask, flags);
        }
        let source = InForce::of(ace.kind(), parts);
        if !ace.is_effective() {
            return source.add_to(acl, flags);
        }
        let mapped = source.mapped(&self.mapping, self.readings);
        if !self.is_auto {
            return mapped.add_to(acl, flags);
        }
        let in_force = mapped.substituted(&self.substitutes);
        let is_passed_on = flags.intersects(AceFlags::OBJECT_INHERIT | AceFlags::CONTAINER_INHERIT);
        if self.kind == ObjectKind::Container && is_passed_on && in_force != source {
            let acl = in_force.add_to(acl, flags.difference(INHERITANCE));
            return source.add_to(acl, flags | AceFlags::INHERIT_ONLY);
        }
        in_force.add_to(acl, flags)
    }
}

/// A resource attribute can say that new objects do not inherit it.
fn is_inheritable_claim(kind: AceKind, parts: &AceParts<'_>) -> bool {
    kind != AceKind::ResourceAttribute
        || ClaimRef::parse_in_ace(parts.data).is_ok_and(|claim| !claim.flags().contains(ClaimFlags::NON_INHERITABLE))
}
