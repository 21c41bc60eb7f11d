//! Central access policies.
//!
//! # Source
//! MS-DTYP 2.5.3.2; MS-GPCAP 1.3.

use crate::acl::{AceKind, AclRef};
use crate::check::request::{AccessRequest, CentralPolicy, UnknownCentralPolicy};
use crate::condition::{Effect, Facts, Truth, evaluate};
use crate::descriptor::Dacl;
use crate::reading::Readings;
use crate::token::TokenState;

/// What an object gets whose policy is not known: full control for administrators, the system and the owner.
const RECOVERY: &[u8; 72] = &[
    2, 0, 72, 0, 3, 0, 0, 0, // three entries
    0, 0, 24, 0, 0, 0, 0, 0x10, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0, // administrators
    0, 0, 20, 0, 0, 0, 0, 0x10, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0, // the system
    0, 0, 20, 0, 0, 0, 0, 0x10, 1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, // owner rights
];

/// A rule whose DACL must grant too.
pub(super) struct Rule<'a> {
    pub(super) index: u16,
    pub(super) applies: bool,
    pub(super) dacl: Dacl<'a>,
}

/// The rules of the policy an object names, in order. An object that names none has none.
pub(super) fn rules<'a>(
    request: &AccessRequest<'a>,
    token: &'a TokenState,
    sacl: AclRef<'a>,
) -> impl Iterator<Item = Rule<'a>> + use<'a> {
    let id = sacl.first_effective(AceKind::ScopedPolicy).and_then(|ace| ace.parts().map(|parts| parts.sid));
    let known: Option<&CentralPolicy<'a>> = id.and_then(|id| request.policies.iter().find(|policy| policy.id == id));
    let is_unknown = id.is_some() && known.is_none();
    let recovery = (is_unknown && request.options.unknown_central_policy == UnknownCentralPolicy::Recovery)
        .then(|| Rule { index: 0, applies: true, dacl: Dacl::List(AclRef::validated(RECOVERY)) });
    let rules = known.map_or(&[][..], |policy| policy.rules);
    let readings = request.options.readings;
    let facts = Facts { token, resource: sacl, effect: Effect::Allow, readings };
    let applies = move |truth: Truth| match truth {
        Truth::True => true,
        Truth::False => false,
        Truth::Unknown => readings.contains(Readings::UNKNOWN_RULES_APPLY),
    };
    let list = move |dacl: Dacl<'a>| match dacl {
        Dacl::Absent | Dacl::Null if readings.contains(Readings::RULES_WITHOUT_DACL_REFUSE) => {
            Dacl::List(AclRef::EMPTY)
        }
        Dacl::Absent | Dacl::Null | Dacl::List(_) => dacl,
    };
    let rules = rules.iter().enumerate().map(move |(index, rule)| Rule {
        index: u16::try_from(index).unwrap_or(u16::MAX),
        applies: rule.applies.is_none_or(|condition| applies(evaluate(condition, &facts))),
        dacl: list(rule.descriptor.dacl()),
    });
    recovery.into_iter().chain(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recovery_policy_is_a_valid_acl() {
        let (acl, rest) = AclRef::parse(RECOVERY).unwrap();
        assert_eq!((acl.aces().count(), rest.len()), (3, 0));
        let sids: alloc::vec::Vec<_> = acl.aces().map(|ace| ace.parts().unwrap().sid.to_sid()).collect();
        let expected =
            [crate::well_known::ADMINISTRATORS, crate::well_known::LOCAL_SYSTEM, crate::well_known::OWNER_RIGHTS];
        assert_eq!(sids, expected);
    }
}
