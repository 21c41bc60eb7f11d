//! What would change the answer.

use alloc::vec::Vec;

use crate::acl::{Ace, AceKind, Acl, AclRef, Role};
use crate::check::answer::Refusal;
use crate::check::decide;
use crate::check::request::{AccessRequest, Api, Subject};
use crate::descriptor::{Dacl, Descriptor, DescriptorRef, Sacl};
use crate::group::{Group, GroupAttributes, GroupList};
use crate::integrity::IntegrityLevel;
use crate::level::ImpersonationLevel;
use crate::mask::{AccessMask, RequestedMask};
use crate::privilege::{Privilege, PrivilegeState};
use crate::sid::{Sid, SidRef};
use crate::token::TokenState;

/// Why a membership would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Because of an entry of the DACL, counted from 0.
    Ace(u16),
    /// Because it would make the subject the object's owner.
    Owner,
}

/// One change that alone would turn a refusal into a grant. Each was tried: the check was asked again with that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// To ask for no more than this.
    AskForLess {
        /// What would be granted of what was asked for.
        granted: AccessMask,
    },
    /// To map generic rights before asking.
    MapGenericRights,
    /// A client at this level.
    Level(ImpersonationLevel),
    /// An enabled privilege.
    Privilege {
        /// Which.
        privilege: Privilege,
        /// Whether the token has it, and it only needs to be enabled.
        is_present: bool,
    },
    /// An integrity level at least this high.
    Integrity(IntegrityLevel),
    /// Process trust at least this high.
    Trust(Sid),
    /// Membership, in force.
    Membership {
        /// In which group, or to be which user.
        sid: Sid,
        /// Whether the token has it, but disabled or for deny only.
        is_present: bool,
        /// Why it would help.
        basis: Basis,
    },
    /// Not to be a member.
    NoMembership {
        /// Of which group.
        sid: Sid,
        /// The entry that denies, from 0.
        index: u16,
    },
    /// One more restricting SID.
    RestrictingSid {
        /// Which.
        sid: Sid,
        /// The entry that would grant, from 0.
        index: u16,
    },
    /// One more capability of the package.
    Capability {
        /// Which.
        sid: Sid,
        /// The entry that would grant, from 0.
        index: u16,
    },
    /// Another outcome of an entry's condition.
    Condition {
        /// The entry, from 0.
        index: u16,
        /// Whether it would have to hold.
        holds: bool,
    },
}

/// Entries that are tried; a longer DACL is not searched further.
const TRIED: usize = 64;

/// Finds single changes that would turn a refusal into a grant.
///
/// # Returns
/// Every remedy that was tried and helps, the least first: to ask for less, then what concerns the caller, then what
/// concerns the token. Nothing when access is granted, and nothing when no single change helps.
///
/// # Cost
/// One check per candidate: a handful, and up to four for each of the first 64 effective entries.
#[must_use]
pub fn remedies(request: &AccessRequest<'_>) -> Vec<Remedy> {
    let Err(denial) = decide(request) else { return Vec::new() };
    let mut search = Search { request, found: Vec::new() };
    search.about_the_question(denial.by);
    search.about_privileges();
    search.about_labels();
    if let Some(descriptor) = request.descriptor {
        search.about_entries(descriptor);
    }
    search.found
}

struct Search<'r, 'a> {
    request: &'r AccessRequest<'a>,
    found: Vec<Remedy>,
}

impl Search<'_, '_> {
    fn note(&mut self, remedy: Remedy, helps: bool) {
        if helps && !self.found.contains(&remedy) {
            self.found.push(remedy);
        }
    }

    /// Asks again with another token in the place of the one that decides.
    fn grants_to(&self, token: &TokenState) -> bool {
        let subject = match self.request.subject.client {
            Some((_, level)) => Subject::client(token, level, self.request.subject.primary),
            None => Subject::itself(token),
        };
        decide(&AccessRequest { subject, ..*self.request }).is_ok()
    }

    fn about_the_question(&mut self, by: Refusal) {
        let request = self.request;
        if by == Refusal::GenericNotMapped {
            let desired = RequestedMask::from(request.mapping.map(request.desired));
            self.note(Remedy::MapGenericRights, decide(&AccessRequest { desired, ..*request }).is_ok());
        }
        if let (Refusal::LevelTooLow(_) | Refusal::ImpersonationTokenRequired, api) = (by, request.api) {
            let level = match api {
                Api::SeAccessCheck => ImpersonationLevel::Impersonation,
                Api::NtAccessCheck => ImpersonationLevel::Identification,
            };
            let subject = Subject::client(request.subject.effective(), level, request.subject.primary);
            self.note(Remedy::Level(level), decide(&AccessRequest { subject, ..*request }).is_ok());
        }
        let maximum = AccessRequest { desired: RequestedMask::MAXIMUM_ALLOWED, ..*request };
        if let Ok(grant) = decide(&maximum) {
            let granted = grant.mask() & request.asked();
            let desired = RequestedMask::from(granted);
            let helps = !granted.is_empty()
                && granted != request.asked()
                && decide(&AccessRequest { desired, ..*request }).is_ok();
            self.note(Remedy::AskForLess { granted }, helps);
        }
    }

    fn about_privileges(&mut self) {
        let token = self.request.subject.effective();
        for privilege in [Privilege::Security, Privilege::TakeOwnership, Privilege::Relabel] {
            if !token.privileges.is_enabled(privilege) {
                let privileges = token.privileges.with(privilege, PrivilegeState::Enabled);
                let is_present = token.privileges.present().contains(privilege);
                let helps = self.grants_to(&TokenState { privileges, ..token.clone() });
                self.note(Remedy::Privilege { privilege, is_present }, helps);
            }
        }
    }

    fn about_labels(&mut self) {
        let token = self.request.subject.effective();
        let sacl = self.request.descriptor.map_or(AclRef::EMPTY, |descriptor| descriptor.sacl().entries());
        let label = |kind: AceKind| {
            let mut labels = sacl.aces().filter(|ace| ace.kind() == kind && ace.is_effective());
            labels.next().and_then(|ace| ace.parts().map(|parts| parts.sid.to_sid()))
        };
        let level = match label(AceKind::MandatoryLabel) {
            Some(sid) => IntegrityLevel::parse_sid(sid.as_ref()),
            None => Some(IntegrityLevel::MEDIUM),
        };
        if let Some(level) = level.filter(|level| token.integrity.is_none_or(|own| own < *level)) {
            self.note(Remedy::Integrity(level), self.grants_to(&token.with_integrity(level)));
        }
        if let Some(trust) = label(AceKind::TrustLabel) {
            self.note(Remedy::Trust(trust), self.grants_to(&token.with_trust(Some(trust))));
        }
    }

    fn about_entries(&mut self, descriptor: DescriptorRef<'_>) {
        if let Some(owner) = descriptor.owner() {
            self.try_membership(owner, Basis::Owner);
        }
        let Dacl::List(list) = descriptor.dacl() else { return };
        let effective = (0u16..).zip(list.aces()).filter(|(_, ace)| ace.is_effective());
        for (index, ace) in effective.take(TRIED) {
            let Some(parts) = ace.parts() else { continue };
            if ace.kind().role() == Role::Deny {
                self.try_without(parts.sid, index);
            } else if ace.kind().decides() {
                self.try_membership(parts.sid, Basis::Ace(index));
                self.try_other_lists(parts.sid, index);
            }
            if ace.kind().has_data() {
                self.try_condition(descriptor, list, index, &ace);
            }
        }
    }

    fn try_membership(&mut self, sid: SidRef<'_>, basis: Basis) {
        let token = self.request.subject.effective();
        if token.counts_for_allow(sid) {
            return;
        }
        let is_present = token.user.sid == sid || token.groups.find(sid).next().is_some();
        let others = token.groups.iter().filter(|group| group.sid != sid).copied();
        let added = Group::new(sid.to_sid(), GroupAttributes::ALWAYS_ENABLED);
        let groups: GroupList = others.chain([added]).collect();
        let helps = self.grants_to(&TokenState { groups, ..token.clone() });
        self.note(Remedy::Membership { sid: sid.to_sid(), is_present, basis }, helps);
    }

    fn try_other_lists(&mut self, sid: SidRef<'_>, index: u16) {
        let token = self.request.subject.effective();
        let added = |list: &GroupList| -> GroupList {
            let added = Group::new(sid.to_sid(), GroupAttributes::ALWAYS_ENABLED);
            list.iter().copied().chain([added]).collect()
        };
        if let Some(list) = token.restricting.as_ref().filter(|_| !token.is_restricting(sid)) {
            let helps = self.grants_to(&TokenState { restricting: Some(added(list)), ..token.clone() });
            self.note(Remedy::RestrictingSid { sid: sid.to_sid(), index }, helps);
        }
        // A capability's SID is S-1-15-3-x; nothing else can be one.
        let is_capability = sid.authority() == 15 && sid.sub_authorities().next() == Some(3);
        if let Some(container) = token.app_container.as_ref().filter(|_| is_capability) {
            let mut container = container.clone();
            container.capabilities = added(&container.capabilities);
            let helps = self.grants_to(&TokenState { app_container: Some(container), ..token.clone() });
            self.note(Remedy::Capability { sid: sid.to_sid(), index }, helps);
        }
    }

    fn try_without(&mut self, sid: SidRef<'_>, index: u16) {
        let token = self.request.subject.effective();
        if token.groups.find(sid).next().is_some() {
            let groups: GroupList = token.groups.iter().filter(|group| group.sid != sid).copied().collect();
            let helps = self.grants_to(&TokenState { groups, ..token.clone() });
            self.note(Remedy::NoMembership { sid: sid.to_sid(), index }, helps);
        }
    }

    /// Asks again about an object whose entry has no condition, or is not there.
    fn try_condition(&mut self, descriptor: DescriptorRef<'_>, list: AclRef<'_>, index: u16, ace: &Ace<'_>) {
        let holds = ace.kind().role() == Role::Allow;
        let mut acl = Acl::builder();
        for (at, other) in (0u16..).zip(list.aces()) {
            acl = match (at == index, other.parts()) {
                (true, Some(parts)) if holds => {
                    let types = other.kind().has_object_types();
                    let types = types.then_some((parts.object_type, parts.inherited_object_type));
                    let kind = if types.is_some() { AceKind::AllowObject } else { AceKind::Allow };
                    acl.entry(kind, other.flags(), parts.mask, types, parts.sid, &[])
                }
                (true, _) => acl,
                (false, _) => acl.verbatim(&other),
            };
        }
        let Some(changed) = acl.build().ok().and_then(|acl| with_dacl(descriptor, acl)) else { return };
        let helps = decide(&AccessRequest { descriptor: Some(changed.as_ref()), ..*self.request }).is_ok();
        self.note(Remedy::Condition { index, holds }, helps);
    }
}

fn with_dacl(descriptor: DescriptorRef<'_>, dacl: Acl) -> Option<Descriptor> {
    let mut out = Descriptor::builder().dacl(dacl);
    if let Some(owner) = descriptor.owner() {
        out = out.owner(owner.to_sid());
    }
    if let Some(group) = descriptor.group() {
        out = out.group(group.to_sid());
    }
    if let Sacl::List(list) = descriptor.sacl() {
        out = out.sacl(list.to_acl());
    }
    out.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Builder;
    use crate::{GenericMapping, sddl, well_known};
    use alloc::vec;

    fn me() -> Builder {
        TokenState::builder(well_known::unix_user(1)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
    }

    fn remedies_of(token: Builder, text: &str, desired: u32) -> Vec<Remedy> {
        let (sd, token) = (sddl::parse(text, None).unwrap(), token.build().unwrap());
        let subject = Subject::itself(&token);
        remedies(&AccessRequest::new(subject, sd.as_ref(), RequestedMask(desired), GenericMapping::FILE))
    }

    #[test]
    fn what_is_granted_needs_no_remedy() {
        assert_eq!(remedies_of(me(), "O:SYG:SYD:(A;;0x1;;;WD)", 1), vec![]);
    }

    #[test]
    fn missing_rights_and_groups_are_named() {
        let found = remedies_of(me(), "O:BAG:SYD:(A;;0x1;;;WD)(A;;0x3;;;BU)(A;;0x2;;;BG)(A;;0x4;;;AN)", 3);
        let membership = |sid, at| Remedy::Membership { sid, is_present: false, basis: Basis::Ace(at) };
        let less = Remedy::AskForLess { granted: AccessMask::truncate(1) };
        assert_eq!(found, vec![less, membership(well_known::USERS, 1), membership(well_known::GUESTS, 2)]);
        let owner = Remedy::Membership { sid: well_known::ADMINISTRATORS, is_present: false, basis: Basis::Owner };
        assert_eq!(remedies_of(me(), "O:BAG:SYD:", 0x4_0000), vec![owner]);
        let disabled = me().group(well_known::USERS, GroupAttributes::empty());
        let present = Remedy::Membership { sid: well_known::USERS, is_present: true, basis: Basis::Ace(0) };
        assert_eq!(remedies_of(disabled, "O:SYG:SYD:(A;;0x1;;;BU)", 1), vec![present]);
    }

    #[test]
    fn the_entry_that_denies_is_named() {
        let token = me().group(well_known::GUESTS, GroupAttributes::ALWAYS_ENABLED);
        let found = remedies_of(token, "O:SYG:SYD:(D;;0x1;;;BG)(A;;0x1;;;WD)", 1);
        assert_eq!(found, vec![Remedy::NoMembership { sid: well_known::GUESTS, index: 0 }]);
    }

    #[test]
    fn privileges_levels_and_trust_are_named() {
        let privilege = |privilege, is_present| Remedy::Privilege { privilege, is_present };
        let found = remedies_of(me(), "O:SYG:SYD:(A;;FA;;;WD)", 0x0100_0001);
        let less = Remedy::AskForLess { granted: AccessMask::truncate(1) };
        assert_eq!(found, vec![less, privilege(Privilege::Security, false)]);
        let token = me().privilege(Privilege::TakeOwnership, PrivilegeState::Disabled);
        let found = remedies_of(token, "O:SYG:SYD:", 0x8_0000);
        assert_eq!(found, vec![privilege(Privilege::TakeOwnership, true), privilege(Privilege::Relabel, false)]);
        let found = remedies_of(me().integrity(IntegrityLevel::LOW), "O:SYG:SYD:(A;;FA;;;WD)", 2);
        assert_eq!(found, vec![Remedy::Integrity(IntegrityLevel::MEDIUM)]);
        let found = remedies_of(me(), "O:SYG:SYD:(A;;FA;;;WD)S:(TL;;0x1;;;S-1-19-512-4096)", 2);
        assert_eq!(found, vec![Remedy::Trust("S-1-19-512-4096".parse().unwrap())]);
    }

    #[test]
    fn restrictions_packages_and_conditions_are_named() {
        let restricted = me().restricting(well_known::RESTRICTED_CODE);
        let found = remedies_of(restricted, "O:SYG:SYD:(A;;0x1;;;WD)", 1);
        assert_eq!(found, vec![Remedy::RestrictingSid { sid: well_known::EVERYONE, index: 0 }]);
        let capability: Sid = "S-1-15-3-1".parse().unwrap();
        let confined = me().app_container("S-1-15-2-1-2-3-4-5-6-7".parse().unwrap());
        let found = remedies_of(confined, "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;S-1-15-3-1)", 1);
        assert_eq!(found, vec![Remedy::Capability { sid: capability, index: 1 }]);
        let found = remedies_of(me(), "O:SYG:SYD:(XA;;0x1;;;WD;(@User.a == 1))", 1);
        assert_eq!(found, vec![Remedy::Condition { index: 0, holds: true }]);
        let found =
            remedies_of(me(), "O:SYG:SYD:(XD;;0x1;;;AN;(@User.a == 1))(XD;;0x1;;;WD;(@User.a == 1))(A;;0x1;;;WD)", 1);
        assert!(found.contains(&Remedy::Condition { index: 1, holds: false }));
    }

    #[test]
    fn levels_and_generic_rights_are_named() {
        let sd = sddl::parse("O:SYG:SYD:(A;;FA;;;WD)", None).unwrap();
        let token = me().build().unwrap();
        let level = ImpersonationLevel::Anonymous;
        let request = AccessRequest::new(
            Subject::client(&token, level, &token),
            sd.as_ref(),
            RequestedMask(1),
            GenericMapping::FILE,
        );
        assert_eq!(remedies(&request), vec![Remedy::Level(ImpersonationLevel::Impersonation)]);
        let request = AccessRequest { api: Api::NtAccessCheck, ..request };
        assert_eq!(remedies(&request), vec![Remedy::Level(ImpersonationLevel::Identification)]);
        let subject = Subject::client(&token, ImpersonationLevel::Identification, &token);
        let request = AccessRequest { subject, desired: RequestedMask::GENERIC_READ, ..request };
        assert_eq!(remedies(&request), vec![Remedy::MapGenericRights]);
    }
}
