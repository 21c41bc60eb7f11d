//! Reading a DACL.
//!
//! # Source
//! MS-DTYP 2.5.3.2.

use crate::acl::{Ace, AceKind, AceParts, AclRef, PlainParts, WholeAce};
use crate::check::answer::{Pass, Refusal};
use crate::check::members::Members;
use crate::check::object_types::Tree;
use crate::check::request::{AccessRequest, OwnerWhenWriteRestricted, TypedDenyWithoutList, UnknownAces};
use crate::check::step::{AceOutcome, Step, Trace};
use crate::condition::token::SIGNATURE;
use crate::condition::{Effect, Facts, applies, evaluate};
use crate::descriptor::{Dacl, DescriptorRef};
use crate::mask::{AccessMask, RequestedMask};
use crate::reading::Readings;
use crate::sid::SidRef;
use crate::token::TokenState;
use crate::well_known;

/// What every reading of a DACL in one check has in common.
#[derive(Clone, Copy)]
pub(super) struct Walk<'r, 'a, M> {
    pub(super) request: &'r AccessRequest<'a>,
    pub(super) token: &'a TokenState,
    /// Who answers which SIDs the token holds.
    pub(super) members: M,
    pub(super) descriptor: &'r DescriptorRef<'a>,
    /// What is asked for by name, whoever has to grant it.
    pub(super) asked: AccessMask,
    /// Whether reading may stop as soon as the root is decided.
    pub(super) may_stop: bool,
    /// What no entry gives or takes, whatever its mask says.
    pub(super) never_by_entry: AccessMask,
}

/// What an entry does, whoever it is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Effect(Effect),
    Compound,
    None,
    Unknown,
}

const fn role(kind: AceKind) -> Role {
    match kind {
        AceKind::Allow | AceKind::AllowObject | AceKind::AllowCallback | AceKind::AllowCallbackObject => {
            Role::Effect(Effect::Allow)
        }
        AceKind::Deny | AceKind::DenyObject | AceKind::DenyCallback | AceKind::DenyCallbackObject => {
            Role::Effect(Effect::Deny)
        }
        AceKind::AllowCompound => Role::Compound,
        AceKind::Audit
        | AceKind::Alarm
        | AceKind::AuditObject
        | AceKind::AlarmObject
        | AceKind::AuditCallback
        | AceKind::AlarmCallback
        | AceKind::AuditCallbackObject
        | AceKind::AlarmCallbackObject
        | AceKind::MandatoryLabel
        | AceKind::ResourceAttribute
        | AceKind::ScopedPolicy
        | AceKind::TrustLabel
        | AceKind::AccessFilter => Role::None,
        AceKind::Unknown(_) => Role::Unknown,
    }
}

/// Only a privilege grants ACCESS_SYSTEM_SECURITY, and MAXIMUM_ALLOWED is no right.
pub(super) fn never_by_entry(request: &AccessRequest<'_>) -> AccessMask {
    let never = AccessMask::ACCESS_SYSTEM_SECURITY.union(AccessMask::MAXIMUM_ALLOWED);
    match request.options.readings.contains(Readings::RIGHTS_OF_THE_TYPE) {
        true => never | !request.mapping.all,
        false => never,
    }
}

const fn is_conditional(kind: AceKind) -> bool {
    matches!(
        kind,
        AceKind::AllowCallback | AceKind::DenyCallback | AceKind::AllowCallbackObject | AceKind::DenyCallbackObject
    )
}

/// Whom an entry is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Subject,
    Package,
    Nobody,
}

/// OWNER RIGHTS and PRINCIPAL SELF have one sub-authority, which most SIDs in lists have not.
#[inline]
fn may_stand_for_another(sid: SidRef<'_>) -> bool {
    matches!(sid.as_bytes(), [_, 1, ..])
}

fn names_owner_rights(ace: WholeAce<'_>) -> bool {
    match ace.plain_parts() {
        Some(parts) => parts.sid == well_known::OWNER_RIGHTS,
        None => ace.read().is_some_and(|ace| ace.parts().is_some_and(|parts| parts.sid == well_known::OWNER_RIGHTS)),
    }
}

impl<'r, 'a, M: Members> Walk<'r, 'a, M> {
    /// Returns what the subject has by owning the object, given a DACL.
    pub(super) fn owner_rights<T: Trace>(&self, dacl: Dacl<'_>, trace: &mut T) -> AccessMask {
        let implied = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
        if !T::LISTENS && self.may_stop && !self.asked.intersects(implied) {
            return AccessMask::NONE;
        }
        let is_owner = self.descriptor.owner().is_some_and(|owner| self.owns_as(owner));
        // Only an owner has anything to lose by such an entry.
        let has_owner_rights_ace = match dacl {
            Dacl::List(list) if is_owner => list.whole_aces().any(|ace| {
                let is_in_force =
                    ace.is_effective() || self.request.options.readings.contains(Readings::INHERITED_OWNER_RIGHTS);
                let takes_part = !matches!(role(ace.kind()), Role::None | Role::Unknown) && is_in_force;
                names_owner_rights(ace) && takes_part
            }),
            Dacl::List(_) | Dacl::Absent | Dacl::Null => false,
        };
        let moved = match is_owner && !has_owner_rights_ace {
            true => implied,
            false => AccessMask::NONE,
        };
        trace.step(|| Step::Owner { is_owner, has_owner_rights_ace, moved });
        moved
    }

    fn owns_as(&self, owner: SidRef<'_>) -> bool {
        let is_exempt = self.token.is_write_restricted()
            && self.request.options.owner_when_write_restricted == OwnerWhenWriteRestricted::Implied;
        let restricted = self.token.is_restricted() && !is_exempt;
        self.members.allows(owner) && (!restricted || self.members.restricts(owner))
    }

    /// Reads a DACL once and leaves in `tree` what each node was granted.
    ///
    /// # Inputs
    /// - `wanted`: what this reading has to grant to the subject; reading may stop when the root has it.
    ///
    /// # Errors
    /// The entry that refuses, when reading may stop there.
    pub(super) fn read<T: Trace>(
        &self,
        dacl: Dacl<'_>,
        pass: Pass,
        wanted: AccessMask,
        tree: &mut Tree<'_, '_>,
        trace: &mut T,
    ) -> Result<(), Refusal> {
        let list = match dacl {
            Dacl::List(list) => list,
            Dacl::Absent | Dacl::Null => {
                let granted = self.request.mapping.all | self.asked;
                let _ = tree.grant(0, granted);
                trace.step(|| Step::NoDacl { pass, granted });
                return Ok(());
            }
        };
        self.read_list(list, pass, wanted, tree, trace)?;
        trace.step(|| Step::PassEnd { pass, granted: tree.root().granted });
        Ok(())
    }

    fn read_list<T: Trace>(
        &self,
        list: AclRef<'_>,
        pass: Pass,
        wanted: AccessMask,
        tree: &mut Tree<'_, '_>,
        trace: &mut T,
    ) -> Result<(), Refusal> {
        if self.request.options.unknown_aces == UnknownAces::Refuse {
            let is_unknown = |ace: &WholeAce<'_>| role(ace.kind()) == Role::Unknown && ace.is_effective();
            if let Some((index, _)) = (0u16..).zip(list.whole_aces()).find(|(_, ace)| is_unknown(ace)) {
                return Err(Refusal::UnknownAce { index });
            }
        }
        let has_package = pass == Pass::Normal && self.token.app_container().is_some();
        let mut open = self.open_rights(tree, has_package);
        for (index, ace) in (0u16..).zip(list.whole_aces()) {
            if !T::LISTENS && self.is_idle(ace, open) {
                continue;
            }
            let (mask, sid, outcome) = self.apply_whole(ace, pass, tree);
            trace.step(|| Step::Ace { pass, index, kind: ace.kind(), sid: sid.map(SidRef::to_sid), mask, outcome });
            if self.may_stop {
                let root = tree.root();
                if root.denied.intersects(wanted) {
                    return Err(Refusal::DenyAce { pass, index });
                }
                if root.granted.contains(wanted) && (!has_package || root.package.contains(self.asked)) {
                    break;
                }
            }
            open = self.open_rights(tree, has_package);
        }
        Ok(())
    }

    /// Which rights an entry about the object itself could still move. What was not asked for is not answered, and what
    /// is decided stays so. With object types, everything stays open.
    #[inline]
    fn open_rights(&self, tree: &Tree<'_, '_>, has_package: bool) -> AccessMask {
        let root = tree.root();
        let decided = root.granted | root.denied;
        let decided = if has_package { decided & root.package } else { decided };
        match (tree.has_types(), self.may_stop) {
            (true, _) => !AccessMask::NONE,
            (false, true) => self.asked.without(decided),
            (false, false) => !decided,
        }
    }

    /// Whether it takes no search to know that an entry changes nothing. This is where long lists are read fast: what is
    /// not surely idle is taken apart by [`apply`](Self::apply).
    #[inline]
    fn is_idle(&self, ace: WholeAce<'_>, open: AccessMask) -> bool {
        let Some(PlainParts { mask, sid, .. }) = ace.plain_parts() else { return false };
        !ace.is_effective()
            || !self.map(mask).intersects(open)
            || (!may_stand_for_another(sid) && self.members.surely_lacks(sid))
    }

    #[inline(never)]
    fn apply_whole<'s>(
        &self,
        ace: WholeAce<'s>,
        pass: Pass,
        tree: &mut Tree<'_, '_>,
    ) -> (AccessMask, Option<SidRef<'s>>, AceOutcome) {
        let Some(PlainParts { is_allow, mask, sid }) = ace.plain_parts() else {
            let Some(ace) = ace.read() else { return (AccessMask::NONE, None, AceOutcome::NotForDacl) };
            let parts = ace.parts();
            let mask = parts.map_or(AccessMask::NONE, |parts| self.map(parts.mask));
            return (mask, parts.map(|parts| parts.sid), self.apply(&ace, mask, pass, tree));
        };
        let mask = self.map(mask);
        let effect = if is_allow { Effect::Allow } else { Effect::Deny };
        let outcome = if ace.is_effective() {
            Self::move_rights(effect, self.match_sid(sid, effect, pass), 0, mask, tree)
        } else {
            AceOutcome::InheritOnly
        };
        (mask, Some(sid), outcome)
    }

    /// The rights of an entry, mapped.
    #[inline]
    pub(super) fn map(&self, mask: RequestedMask) -> AccessMask {
        self.request.mapping.map(mask).without(self.never_by_entry)
    }

    #[inline]
    fn move_rights(effect: Effect, matched: Match, at: usize, mask: AccessMask, tree: &mut Tree<'_, '_>) -> AceOutcome {
        match (effect, matched) {
            (Effect::Allow, Match::Subject) => AceOutcome::Granted { moved: tree.grant(at, mask) },
            (Effect::Allow, Match::Package) => AceOutcome::GrantedToPackage { moved: tree.grant_package(at, mask) },
            (Effect::Deny, Match::Subject) => AceOutcome::Denied { denied: tree.deny(at, mask) },
            (Effect::Deny, Match::Package) | (_, Match::Nobody) => AceOutcome::NoMatch,
        }
    }

    #[inline(never)]
    fn apply(&self, ace: &Ace<'_>, mask: AccessMask, pass: Pass, tree: &mut Tree<'_, '_>) -> AceOutcome {
        if !ace.is_effective() {
            return AceOutcome::InheritOnly;
        }
        let Some(parts) = ace.parts() else { return AceOutcome::NotForDacl };
        let effect = match role(ace.kind()) {
            Role::Effect(effect) => effect,
            Role::Compound if self.compound_matches(parts, pass) => {
                return AceOutcome::Granted { moved: tree.grant(0, mask) };
            }
            Role::Compound => return AceOutcome::NoMatch,
            Role::None | Role::Unknown => return AceOutcome::NotForDacl,
        };
        let matched = self.match_sid(parts.sid, effect, pass);
        if matched == Match::Nobody {
            return AceOutcome::NoMatch;
        }
        let Some(at) = self.node_of(parts, effect, tree) else { return AceOutcome::TypeNotListed };
        if is_conditional(ace.kind()) {
            let readings = self.request.options.readings;
            let facts = Facts { token: self.token, resource: self.descriptor.sacl().entries(), effect, readings };
            let truth = evaluate(parts.data, &facts);
            let is_passed_over =
                readings.contains(Readings::FOREIGN_DATA_DOES_NOT_DENY) && !parts.data.starts_with(&SIGNATURE);
            if !applies(effect, truth) || is_passed_over {
                return AceOutcome::Condition(truth);
            }
        }
        Self::move_rights(effect, matched, at, mask, tree)
    }

    /// Which node an entry is about; `None` when it is about a type nobody asked about.
    fn node_of(&self, parts: &AceParts<'_>, effect: Effect, tree: &Tree<'_, '_>) -> Option<usize> {
        let Some(guid) = parts.object_type else { return Some(0) };
        if tree.has_types() {
            return tree.find(guid);
        }
        match (effect, self.request.options.typed_deny_without_list) {
            (Effect::Deny, TypedDenyWithoutList::Denies) => Some(0),
            (Effect::Deny, TypedDenyWithoutList::Ignored) | (Effect::Allow, _) => None,
        }
    }

    #[inline]
    pub(super) fn match_sid(&self, sid: SidRef<'_>, effect: Effect, pass: Pass) -> Match {
        let Some(sid) = self.substitute(sid) else { return Match::Nobody };
        let is_subject = match (pass, effect) {
            (Pass::Restricted, _) => self.members.restricts(sid),
            (Pass::Normal, Effect::Allow) => self.members.allows(sid),
            (Pass::Normal, Effect::Deny) => self.members.denies(sid),
        };
        if is_subject {
            Match::Subject
        } else if pass == Pass::Normal
            && effect == Effect::Allow
            && self.token.app_container().is_some()
            && self.members.is_package(sid)
            && !(self.request.options.readings.contains(Readings::RESTRICTED_PACKAGES_ARE_LPAC)
                && sid == well_known::ALL_RESTRICTED_APPLICATION_PACKAGES
                && !self.token.is_lpac())
        {
            Match::Package
        } else {
            Match::Nobody
        }
    }

    /// Puts the owner in the place of OWNER RIGHTS and the object in the place of PRINCIPAL SELF.
    #[inline]
    fn substitute<'s>(&self, sid: SidRef<'s>) -> Option<SidRef<'s>>
    where
        'a: 's,
    {
        if !may_stand_for_another(sid) {
            Some(sid)
        } else if sid == well_known::OWNER_RIGHTS {
            self.descriptor.owner()
        } else if sid == well_known::PRINCIPAL_SELF {
            Some(self.request.self_sid.unwrap_or(sid))
        } else {
            Some(sid)
        }
    }

    /// A compound entry is about a client and the server that acts for it, together.
    fn compound_matches(&self, parts: &AceParts<'_>, pass: Pass) -> bool {
        const IMPERSONATION: u16 = 1;
        let Some(compound) = parts.compound.filter(|compound| compound.kind == IMPERSONATION) else { return false };
        self.request.subject.client.is_some()
            && self.request.subject.primary.counts_for_allow(compound.server)
            && self.match_sid(parts.sid, Effect::Allow, pass) == Match::Subject
    }
}
