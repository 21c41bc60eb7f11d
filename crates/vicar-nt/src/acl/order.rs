//! The order editors keep entries in, and what putting them in order would do.
//!
//! The check reads entries as they are stored and never repairs anything.
//!
//! # Source
//! learn.microsoft.com, "Order of ACEs in a DACL"; MS-DTYP 2.4.5.

use alloc::vec::Vec;

use crate::acl::{Ace, AceFlags, AceKind, Acl, AclRef, AclTooLong, Role};
use crate::mask::{AccessMask, GenericMapping};

/// Where an entry stands among others in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Deny,
    DenyObject,
    Allow,
    AllowObject,
    /// In the order of generations, nearest first, which the entries themselves do not tell: it is kept.
    Inherited,
}

/// Whether an entry takes rights or gives them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Takes,
    Gives,
    Neither,
}

/// What putting a list in order comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Canonical {
    /// It is in order.
    Already,
    /// In order it means the same.
    Reordered(Acl),
    /// In order it could mean something else: a deny and an allow entry with rights in common would change places. An
    /// editor leaves such a list alone, and marks it protected.
    MeaningChanges(Acl),
}

impl<'a> AclRef<'a> {
    /// Returns whether the entries stand in canonical order: explicit before inherited, among the explicit ones deny before
    /// allow, and in each of the two plain before object entries.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        self.aces().map(|ace| rank(&ace)).is_sorted()
    }

    /// Puts the entries in canonical order; entries of one rank keep theirs.
    ///
    /// # Inputs
    /// - `mapping`: what generic rights mean, to tell which entries have rights in common.
    ///
    /// # Errors
    /// - [`AclTooLong`] when the entries do not fit, which cannot happen to a list that does not use every last byte.
    ///
    /// # Cost
    /// O(aces²) comparisons of masks when the list is not in order.
    pub fn canonicalise(self, mapping: &GenericMapping) -> Result<Canonical, AclTooLong> {
        if self.is_canonical() {
            return Ok(Canonical::Already);
        }
        let mut entries: Vec<(usize, Ace<'a>)> = self.aces().enumerate().collect();
        entries.sort_by_key(|(_, ace)| rank(ace));
        let ordered = entries.iter().fold(Acl::builder(), |acl, (_, ace)| acl.verbatim(ace)).build()?;
        Ok(match changes_meaning(&entries, mapping) {
            true => Canonical::MeaningChanges(ordered),
            false => Canonical::Reordered(ordered),
        })
    }
}

/// Whether two entries that give and take the same right have changed places. Whom they are about does not matter: one
/// subject can be in both groups.
fn changes_meaning(entries: &[(usize, Ace<'_>)], mapping: &GenericMapping) -> bool {
    let later = |at: usize| entries.get(at.saturating_add(1)..).unwrap_or(&[]).iter();
    entries.iter().enumerate().any(|(at, (was, ace))| {
        later(at).any(|(other_was, other)| {
            other_was < was
                && direction(ace.kind()) != direction(other.kind())
                && direction(ace.kind()) != Direction::Neither
                && direction(other.kind()) != Direction::Neither
                && rights(ace, mapping).intersects(rights(other, mapping))
        })
    })
}

fn rights(ace: &Ace<'_>, mapping: &GenericMapping) -> AccessMask {
    ace.parts().map_or(AccessMask::NONE, |parts| mapping.map(parts.mask))
}

fn rank(ace: &Ace<'_>) -> Rank {
    if ace.flags().contains(AceFlags::INHERITED) {
        return Rank::Inherited;
    }
    match (direction(ace.kind()), ace.kind().has_object_types()) {
        (Direction::Takes, false) => Rank::Deny,
        (Direction::Takes, true) => Rank::DenyObject,
        (Direction::Gives | Direction::Neither, false) => Rank::Allow,
        (Direction::Gives | Direction::Neither, true) => Rank::AllowObject,
    }
}

const fn direction(kind: AceKind) -> Direction {
    match (kind.decides(), kind.role()) {
        (false, _) => Direction::Neither,
        (true, Role::Deny) => Direction::Takes,
        (true, _) => Direction::Gives,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::Dacl;
    use crate::sddl;
    use alloc::string::String;

    fn ordered(text: &str) -> (&'static str, String) {
        let sd = sddl::parse(text, None).unwrap();
        let Dacl::List(list) = sd.as_ref().dacl() else { panic!("no list") };
        let (what, acl) = match list.canonicalise(&GenericMapping::FILE).unwrap() {
            Canonical::Already => ("already", list.to_acl()),
            Canonical::Reordered(acl) => ("reordered", acl),
            Canonical::MeaningChanges(acl) => ("changes", acl),
        };
        assert!(acl.as_ref().is_canonical());
        assert_eq!(what == "already", list.is_canonical());
        let out = crate::descriptor::Descriptor::builder().dacl(acl).build().unwrap();
        (what, sddl::print(out.as_ref(), None).unwrap())
    }

    #[test]
    fn section_5_5_order_is_deny_allow_inherited() {
        let good =
            "D:(D;;GA;;;AN)(OD;;CR;00000000-0000-0000-0000-000000000001;;WD)(A;;FR;;;WD)(A;ID;FR;;;BA)(D;ID;FW;;;BG)";
        assert_eq!(ordered(good).0, "already");
        assert_eq!(ordered("D:(A;;FR;;;WD)(A;;FX;;;SY)").0, "already");
        assert_eq!(ordered("D:").0, "already");
        let (what, text) = ordered("D:(A;ID;FR;;;WD)(A;;FX;;;SY)");
        assert_eq!((what, text.as_str()), ("reordered", "D:(A;;FX;;;SY)(A;ID;FR;;;WD)"));
    }

    #[test]
    fn section_5_5_a_deny_that_would_pass_an_allow_with_the_same_rights_changes_the_meaning() {
        assert_eq!(ordered("D:(A;;0x1;;;WD)(D;;0x2;;;BG)").0, "reordered");
        let (what, text) = ordered("D:(A;;0x3;;;WD)(D;;0x2;;;BG)");
        assert_eq!((what, text.as_str()), ("changes", "D:(D;;DC;;;BG)(A;;CCDC;;;WD)"));
        assert_eq!(ordered("D:(A;;GR;;;WD)(D;;0x1;;;BG)").0, "changes");
        assert_eq!(ordered("D:(D;ID;0x1;;;BG)(A;;0x1;;;WD)").0, "changes");
    }
}
