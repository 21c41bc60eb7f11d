//! Random questions, and a second, slow way to answer the plain ones: one right at a time.

use proptest::prelude::*;
use vicar_nt::acl::{AceFlags, Acl, AclBuilder};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, IntegrityLevel, Privilege, RequestedMask, Sid, well_known};

/// Whom entries and tokens are about. Nobody is on both sides of a package.
pub(crate) fn people() -> Vec<Sid> {
    let text = ["S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002", "S-1-5-21-1-2-3-1100"];
    let mut sids: Vec<Sid> = text.iter().map(|text| text.parse().unwrap()).collect();
    sids.extend([well_known::EVERYONE, well_known::RESTRICTED_CODE, well_known::OWNER_RIGHTS]);
    sids
}

pub(crate) fn package() -> Vec<Sid> {
    let own: Sid = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
    vec![own, "S-1-15-3-1".parse().unwrap(), "S-1-15-3-2".parse().unwrap(), well_known::ALL_APPLICATION_PACKAGES]
}

/// An entry of a plain type.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) is_deny: bool,
    pub(crate) is_inherit_only: bool,
    pub(crate) sid: Sid,
    pub(crate) mask: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) owner: Sid,
    pub(crate) dacl: Vec<Entry>,
    pub(crate) label: Option<(u32, u32)>,
    pub(crate) token: TokenState,
    pub(crate) desired: u32,
    pub(crate) previous: u32,
}

pub(crate) const MAXIMUM: u32 = 0x0200_0000;

fn masks() -> impl Strategy<Value = u32> {
    let bits = [1, 2, 4, 0x20, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x8000_0000, 0x4000_0000, 0x1000_0000];
    proptest::collection::vec(proptest::sample::select(bits.to_vec()), 0..4)
        .prop_map(|bits| bits.into_iter().fold(0, |mask, bit| mask | bit))
}

pub(crate) fn entries() -> impl Strategy<Value = Entry> {
    let sids = [people(), package()].concat();
    (any::<bool>(), proptest::bool::weighted(0.1), proptest::sample::select(sids), masks())
        .prop_map(|(is_deny, is_inherit_only, sid, mask)| Entry { is_deny, is_inherit_only, sid, mask })
}

/// Any privilege, and often one that a check looks at.
fn privileges() -> impl Strategy<Value = Privilege> {
    prop_oneof![
        proptest::sample::select(vec![Privilege::Security, Privilege::TakeOwnership, Privilege::Relabel]),
        proptest::sample::select(Privilege::ALL.to_vec()),
    ]
}

pub(crate) fn tokens() -> impl Strategy<Value = TokenState> {
    let attributes = prop_oneof![
        Just(GroupAttributes::ALWAYS_ENABLED),
        Just(GroupAttributes::USE_FOR_DENY_ONLY),
        Just(GroupAttributes::empty()),
    ];
    let groups = proptest::collection::vec((proptest::sample::select(people()), attributes), 0..4);
    let restricting =
        proptest::option::weighted(0.3, proptest::collection::vec(proptest::sample::select(people()), 1..3));
    let privileges = proptest::collection::vec(privileges(), 0..3);
    let level = proptest::sample::select(vec![0x1000u32, 0x2000, 0x3000]);
    let user = proptest::sample::select(people());
    let flags = (proptest::bool::weighted(0.1), any::<bool>(), proptest::bool::weighted(0.25), any::<bool>());
    (user, groups, restricting, privileges, level, flags).prop_map(
        |(user, groups, restricting, privileges, level, (deny_only, write_restricted, confined, lpac))| {
            let mut token = TokenState::builder(user).integrity(IntegrityLevel(level));
            if deny_only {
                token = token.user_deny_only();
            }
            for (sid, attributes) in groups {
                token = token.group(sid, attributes);
            }
            let is_restricted = restricting.is_some();
            for sid in restricting.into_iter().flatten() {
                token = token.restricting(sid);
            }
            if is_restricted && write_restricted {
                token = token.write_restricted();
            }
            for privilege in privileges {
                token = token.privilege(privilege, PrivilegeState::Enabled);
            }
            if confined {
                token = token.app_container(package()[0]).capability(package()[1]);
                if lpac {
                    token = token.less_privileged();
                }
            }
            token.build().unwrap()
        },
    )
}

pub(crate) fn questions() -> impl Strategy<Value = Question> {
    let owner = proptest::sample::select(people());
    let dacl = proptest::collection::vec(entries(), 0..6);
    let label = proptest::option::weighted(0.3, (proptest::sample::select(vec![0x1000u32, 0x2000, 0x3000]), 0u32..8));
    let desired = (masks(), proptest::bool::weighted(0.4), proptest::bool::weighted(0.1));
    let desired = desired.prop_map(|(mask, maximum, security)| {
        mask | if maximum { MAXIMUM } else { 0 } | if security { 0x0100_0000 } else { 0 }
    });
    (owner, dacl, label, tokens(), desired, prop_oneof![3 => Just(0), 1 => masks()]).prop_map(
        |(owner, dacl, label, token, desired, previous)| Question { owner, dacl, label, token, desired, previous },
    )
}

pub(crate) fn add(acl: AclBuilder, entry: &Entry) -> AclBuilder {
    let flags = if entry.is_inherit_only { AceFlags::INHERIT_ONLY } else { AceFlags::empty() };
    match entry.is_deny {
        true => acl.deny(&entry.sid, RequestedMask(entry.mask), flags),
        false => acl.allow(&entry.sid, RequestedMask(entry.mask), flags),
    }
}

impl Question {
    pub(crate) fn descriptor(&self) -> Descriptor {
        let dacl = self.dacl.iter().fold(Acl::builder(), add).build().unwrap();
        let mut builder = Descriptor::builder().owner(self.owner).group(self.owner).dacl(dacl);
        if let Some((level, policy)) = self.label {
            let sacl = Acl::builder().label(IntegrityLevel(level), policy, AceFlags::empty()).build().unwrap();
            builder = builder.sacl(sacl);
        }
        builder.build().unwrap()
    }
}

fn mapped(mask: u32) -> u32 {
    GenericMapping::FILE.map(RequestedMask(mask)).bits() & !MAXIMUM
}

/// Whether the subject has one right of an object that is not labelled, by the DACL and by owning it. `held` says who
/// counts for whom.
fn has_right(question: &Question, bit: u32, held: &dyn Fn(&Sid, bool) -> bool) -> bool {
    for entry in question.dacl.iter().filter(|entry| !entry.is_inherit_only && mapped(entry.mask) & bit != 0) {
        let sid = if entry.sid == well_known::OWNER_RIGHTS { &question.owner } else { &entry.sid };
        if held(sid, entry.is_deny) {
            return !entry.is_deny;
        }
    }
    false
}

/// Answers a question without a label, asked of a token of at least medium integrity: what is granted, or nothing.
pub(crate) fn model(question: &Question) -> Option<u32> {
    let token = &question.token;
    let asked = mapped(question.desired);
    let previous = mapped(question.previous);
    let wants_maximum = question.desired & MAXIMUM != 0;
    if asked == 0 && !wants_maximum {
        return (previous != 0).then_some(previous);
    }
    let enabled = |privilege| token.privileges().is_enabled(privilege);
    let mut by_privilege = 0;
    if asked & 0x0100_0000 != 0 {
        if !enabled(Privilege::Security) {
            return None;
        }
        by_privilege |= 0x0100_0000;
    }
    if enabled(Privilege::TakeOwnership) || enabled(Privilege::Relabel) {
        by_privilege |= asked & 0x8_0000;
    }
    let allow = |sid: &Sid| token.counts_for_allow(sid.as_ref());
    let normal = |sid: &Sid, is_deny: bool| if is_deny { token.counts_for_deny(sid.as_ref()) } else { allow(sid) };
    let restricted = |sid: &Sid, _: bool| token.restricting_sids().iter().any(|group| group.sid == *sid);
    let says_owner = question.dacl.iter().any(|entry| !entry.is_inherit_only && entry.sid == well_known::OWNER_RIGHTS);
    let owns = allow(&question.owner) && (!token.is_restricted() || restricted(&question.owner, false)) && !says_owner;
    let by_owning = if owns { 0x6_0000 } else { 0 };
    let writing = (0x12_0116 & !(0x12_0089 | 0x12_00A0)) | 0xD_0000;
    let in_package = |sid: &Sid, is_deny: bool| {
        let Some(container) = token.app_container() else { return false };
        let is_ours = sid == container.package() || container.capabilities().iter().any(|group| group.sid == *sid);
        !is_deny && !allow(sid) && (is_ours || (*sid == well_known::ALL_APPLICATION_PACKAGES && !token.is_lpac()))
    };
    let mut granted = 0;
    for bit in (0..28).map(|shift| 1u32 << shift).filter(|bit| *bit != MAXIMUM) {
        let given = (by_privilege | by_owning) & bit != 0;
        let by_dacl = bit != 0x0100_0000;
        let user = given || (by_dacl && has_right(question, bit, &normal));
        let second = !token.is_restricted() || (token.is_write_restricted() && writing & bit == 0);
        let second = second || given || (by_dacl && has_right(question, bit, &restricted));
        let package = token.app_container().is_none() || (by_dacl && has_right(question, bit, &in_package));
        if user && second && package {
            granted |= bit;
        }
    }
    let granted = if wants_maximum { granted } else { granted & asked };
    (granted & asked == asked && granted != 0).then_some(granted | previous)
}
