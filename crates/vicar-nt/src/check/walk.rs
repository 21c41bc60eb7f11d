//! Reading a DACL.
//!
//! # Source
//! MS-DTYP 2.5.3.2.

use crate::acl::{Ace, AceKind, AceParts, AclRef, Role, WholeAce};
use crate::check::answer::{Pass, Refusal};
use crate::check::members::Members;
use crate::check::object_types::{Node, Nodes};
use crate::check::request::{AccessRequest, OwnerWhenWriteRestricted, TypedDenyWithoutList, UnknownAces};
use crate::check::step::{AceOutcome, Step, Trace};
use crate::condition::token::SIGNATURE;
use crate::condition::{Effect, Facts, applies, evaluate};
use crate::descriptor::{Dacl, DescriptorRef};
use crate::mask::{AccessMask, RequestedMask};
use crate::reading::Readings;
use crate::sid::SidRef;
use crate::sid_index::Key;
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

/// Only a privilege grants ACCESS_SYSTEM_SECURITY, and MAXIMUM_ALLOWED is no right.
pub(super) fn never_by_entry(request: &AccessRequest<'_>) -> AccessMask {
    let never = AccessMask::ACCESS_SYSTEM_SECURITY.union(AccessMask::MAXIMUM_ALLOWED);
    match request.options.readings.contains(Readings::RIGHTS_OF_THE_TYPE) {
        true => never | !request.mapping.all,
        false => never,
    }
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
    let is_owner_rights = |sid: SidRef<'_>| sid == well_known::OWNER_RIGHTS;
    match ace.plain() {
        Some(plain) => plain.has_short_sid() && plain.sid().is_some_and(is_owner_rights),
        None => ace.read().is_some_and(|ace| ace.parts().is_some_and(|parts| is_owner_rights(parts.sid))),
    }
}

impl<'a, M: Members<'a>> Walk<'_, 'a, M> {
    /// Returns what the subject has by owning the object, given a DACL.
    #[inline]
    pub(super) fn owner_rights<T: Trace<'a>>(&self, dacl: Dacl<'_>, trace: &mut T) -> AccessMask {
        let implied = AccessMask::READ_CONTROL | AccessMask::WRITE_DAC;
        if !T::LISTENS && self.may_stop && !self.asked.intersects(implied) {
            return AccessMask::NONE;
        }
        let is_owner = self.descriptor.owner().is_some_and(|owner| self.owns_as(owner));
        // Only an owner has anything to lose by such an entry.
        let has_owner_rights_ace = match dacl {
            Dacl::List(list) if is_owner => list.whole_aces().any(|(_, ace)| {
                let is_in_force =
                    ace.is_effective() || self.request.options.readings.contains(Readings::INHERITED_OWNER_RIGHTS);
                let takes_part = ace.kind().decides() && is_in_force;
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

    #[inline]
    fn owns_as(&self, owner: SidRef<'_>) -> bool {
        let owner = Key::new(owner);
        self.members.allows(owner) && self.restriction_lets_own(owner)
    }

    fn restriction_lets_own(&self, owner: Key<'_>) -> bool {
        let is_exempt = self.token.is_write_restricted()
            && self.request.options.owner_when_write_restricted == OwnerWhenWriteRestricted::Implied;
        !self.token.is_restricted() || is_exempt || self.members.restricts(owner)
    }

    /// Reads a DACL once and leaves in `nodes` what each was granted.
    ///
    /// # Inputs
    /// - `wanted`: what this reading has to grant to the subject; reading may stop when the root has it.
    ///
    /// # Errors
    /// The entry that refuses, when reading may stop there.
    #[inline]
    pub(super) fn read<N: Nodes, T: Trace<'a>>(
        &self,
        dacl: Dacl<'a>,
        pass: Pass,
        wanted: AccessMask,
        nodes: &mut N,
        trace: &mut T,
    ) -> Result<(), Refusal> {
        let list = match dacl {
            Dacl::List(list) => list,
            Dacl::Absent | Dacl::Null => {
                let granted = self.request.mapping.all | self.asked;
                let _ = nodes.grant(0, granted);
                trace.step(|| Step::NoDacl { pass, granted });
                return Ok(());
            }
        };
        if self.request.options.unknown_aces == UnknownAces::Refuse {
            let is_unknown = |ace: WholeAce<'_>| ace.kind().role() == Role::Unknown && ace.is_effective();
            if let Some((index, _)) = list.whole_aces().find(|(_, ace)| is_unknown(*ace)) {
                return Err(Refusal::UnknownAce { index });
            }
        }
        self.read_list(list, pass, wanted, nodes, trace)?;
        trace.step(|| Step::PassEnd { pass, granted: nodes.root().granted });
        Ok(())
    }

    /// This is where long lists are read fast: most entries are about rights that are decided or about somebody else, and
    /// that takes no search to know.
    fn read_list<N: Nodes, T: Trace<'a>>(
        &self,
        list: AclRef<'a>,
        pass: Pass,
        wanted: AccessMask,
        nodes: &mut N,
        trace: &mut T,
    ) -> Result<(), Refusal> {
        let has_package = pass == Pass::Normal && self.token.app_container().is_some();
        let filter = self.members.filter(pass);
        let is_done = |root: Node| root.granted.contains(wanted) && (!has_package || root.package.contains(self.asked));
        if self.may_stop && is_done(nodes.root()) {
            return Ok(());
        }
        let mut open = self.open_rights(nodes, has_package);
        for (index, ace) in list.whole_aces() {
            if let Some(plain) = ace.plain() {
                if !T::LISTENS && (!plain.is_effective() || !plain.mask().may_intersect(open)) {
                    continue;
                }
                let Some(sid) = plain.sid() else { continue };
                let key = Key::new(sid);
                let is_other = !plain.has_short_sid() && filter.surely_lacks(key);
                if !T::LISTENS && is_other {
                    continue;
                }
                let (mask, kind) = (self.map(plain.mask()), plain.kind());
                let told = |outcome| Step::Ace { pass, index, kind, sid: Some(sid), mask, outcome };
                if !plain.is_effective() {
                    trace.step(|| told(AceOutcome::InheritOnly));
                    continue;
                }
                if is_other {
                    trace.step(|| told(AceOutcome::NoMatch));
                    continue;
                }
                let effect = if kind == AceKind::Allow { Effect::Allow } else { Effect::Deny };
                let outcome = Self::move_rights(effect, self.match_key(key, effect, pass), 0, mask, nodes);
                trace.step(|| told(outcome));
            } else {
                let (mask, sid, outcome) = self.apply_whole(ace, pass, nodes);
                trace.step(|| Step::Ace { pass, index, kind: ace.kind(), sid, mask, outcome });
            }
            if self.may_stop {
                let root = nodes.root();
                if root.denied.intersects(wanted) {
                    return Err(Refusal::DenyAce { pass, index });
                }
                if is_done(root) {
                    return Ok(());
                }
            }
            open = self.open_rights(nodes, has_package);
        }
        Ok(())
    }

    /// Which rights an entry about the object itself could still move. What was not asked for is not answered, and what
    /// is decided stays so. With object types, everything stays open.
    #[inline]
    fn open_rights<N: Nodes>(&self, nodes: &N, has_package: bool) -> AccessMask {
        let root = nodes.root();
        let decided = root.granted | root.denied;
        let decided = if has_package { decided & root.package } else { decided };
        match (N::HAS_TYPES, self.may_stop) {
            (true, _) => !AccessMask::NONE,
            (false, true) => self.asked.without(decided),
            (false, false) => !decided,
        }
    }

    /// Takes an entry apart that is not plain, and applies it.
    #[inline(never)]
    fn apply_whole<'s, N: Nodes>(
        &self,
        ace: WholeAce<'s>,
        pass: Pass,
        nodes: &mut N,
    ) -> (AccessMask, Option<SidRef<'s>>, AceOutcome) {
        let Some(ace) = ace.read() else { return (AccessMask::NONE, None, AceOutcome::NotForDacl) };
        let parts = ace.parts();
        let mask = parts.map_or(AccessMask::NONE, |parts| self.map(parts.mask));
        (mask, parts.map(|parts| parts.sid), self.apply(&ace, mask, pass, nodes))
    }

    /// The rights of an entry, mapped.
    #[inline]
    pub(super) fn map(&self, mask: RequestedMask) -> AccessMask {
        self.request.mapping.map(mask).without(self.never_by_entry)
    }

    #[inline]
    fn move_rights<N: Nodes>(effect: Effect, matched: Match, at: usize, mask: AccessMask, nodes: &mut N) -> AceOutcome {
        match (effect, matched) {
            (Effect::Allow, Match::Subject) => AceOutcome::Granted { moved: nodes.grant(at, mask) },
            (Effect::Allow, Match::Package) => AceOutcome::GrantedToPackage { moved: nodes.grant_package(at, mask) },
            (Effect::Deny, Match::Subject) => AceOutcome::Denied { denied: nodes.deny(at, mask) },
            (Effect::Deny, Match::Package) | (_, Match::Nobody) => AceOutcome::NoMatch,
        }
    }

    fn apply<N: Nodes>(&self, ace: &Ace<'_>, mask: AccessMask, pass: Pass, nodes: &mut N) -> AceOutcome {
        if !ace.is_effective() {
            return AceOutcome::InheritOnly;
        }
        let Some(parts) = ace.parts() else { return AceOutcome::NotForDacl };
        let effect = match ace.kind().role() {
            Role::Allow => Effect::Allow,
            Role::Deny => Effect::Deny,
            Role::AllowThrough if self.compound_matches(parts, pass) => {
                return AceOutcome::Granted { moved: nodes.grant(0, mask) };
            }
            Role::AllowThrough => return AceOutcome::NoMatch,
            Role::Audit
            | Role::Alarm
            | Role::Label
            | Role::Attribute
            | Role::Policy
            | Role::Trust
            | Role::Filter
            | Role::Unknown => return AceOutcome::NotForDacl,
        };
        let matched = self.match_sid(parts.sid, effect, pass);
        if matched == Match::Nobody {
            return AceOutcome::NoMatch;
        }
        let Some(at) = self.node_of(parts, effect, nodes) else { return AceOutcome::TypeNotListed };
        if ace.kind().has_data() {
            let readings = self.request.options.readings;
            let facts = Facts { token: self.token, resource: self.descriptor.sacl().entries(), effect, readings };
            let truth = evaluate(parts.data, &facts);
            let is_passed_over =
                readings.contains(Readings::FOREIGN_DATA_DOES_NOT_DENY) && !parts.data.starts_with(&SIGNATURE);
            if !applies(effect, truth) || is_passed_over {
                return AceOutcome::Condition(truth);
            }
        }
        Self::move_rights(effect, matched, at, mask, nodes)
    }

    /// Which node an entry is about; `None` when it is about a type nobody asked about.
    fn node_of<N: Nodes>(&self, parts: &AceParts<'_>, effect: Effect, nodes: &N) -> Option<usize> {
        let Some(guid) = parts.object_type else { return Some(0) };
        if N::HAS_TYPES {
            return nodes.find(guid);
        }
        match (effect, self.request.options.typed_deny_without_list) {
            (Effect::Deny, TypedDenyWithoutList::Denies) => Some(0),
            (Effect::Deny, TypedDenyWithoutList::Ignored) | (Effect::Allow, _) => None,
        }
    }

    pub(super) fn match_sid(&self, sid: SidRef<'_>, effect: Effect, pass: Pass) -> Match {
        self.match_key(Key::new(sid), effect, pass)
    }

    #[inline]
    fn match_key(&self, key: Key<'_>, effect: Effect, pass: Pass) -> Match {
        let Some(key) = self.substitute(key) else { return Match::Nobody };
        let is_subject = match (pass, effect) {
            (Pass::Restricted, _) => self.members.restricts(key),
            (Pass::Normal, Effect::Allow) => self.members.allows(key),
            (Pass::Normal, Effect::Deny) => self.members.denies(key),
        };
        if is_subject {
            Match::Subject
        } else if pass == Pass::Normal
            && effect == Effect::Allow
            && self.token.app_container().is_some()
            && self.is_package(key)
        {
            Match::Package
        } else {
            Match::Nobody
        }
    }

    fn is_package(&self, key: Key<'_>) -> bool {
        let (sid, readings) = (key.sid(), self.request.options.readings);
        if sid == well_known::ALL_RESTRICTED_APPLICATION_PACKAGES {
            !readings.contains(Readings::RESTRICTED_PACKAGES_ARE_LPAC) || self.token.is_lpac()
        } else if sid == well_known::ALL_APPLICATION_PACKAGES && readings.contains(Readings::LPAC_IS_AMONG_ALL_PACKAGES)
        {
            true
        } else {
            self.members.is_package(key)
        }
    }

    /// Puts the owner in the place of OWNER RIGHTS and the object in the place of PRINCIPAL SELF.
    #[inline]
    fn substitute<'s>(&self, key: Key<'s>) -> Option<Key<'s>>
    where
        'a: 's,
    {
        let sid = key.sid();
        if !may_stand_for_another(sid) {
            Some(key)
        } else if sid == well_known::OWNER_RIGHTS {
            self.descriptor.owner().map(Key::new)
        } else if sid == well_known::PRINCIPAL_SELF {
            Some(self.request.self_sid.map_or(key, Key::new))
        } else {
            Some(key)
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
