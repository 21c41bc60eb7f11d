//! What a SACL needs beyond inheritance: a privilege, and the label of the new object.
//!
//! # Source
//! MS-DTYP 2.5.3.4.1; learn.microsoft.com, "Mandatory Integrity Control".

use core::cmp::Ordering;

use crate::acl::{Ace, AceFlags, AceKind, Acl, AclRef};
use crate::assign::list::{Given, Outcome, Rules, build};
use crate::assign::{AssignFlags, NewObject};
use crate::integrity::IntegrityLevel;
use crate::privilege::Privilege;
use crate::reading::Readings;
use crate::status::NtStatus;

const NO_WRITE_UP: u32 = 1;

/// Whether the creator may give what is in its SACL.
///
/// # Errors
/// [`NtStatus::PRIVILEGE_NOT_HELD`].
pub(super) fn may_give(object: &NewObject<'_>, given: Given<'_>, readings: Readings) -> Result<(), NtStatus> {
    let Given::List(list) = given else { return Ok(()) };
    if object.flags.contains(AssignFlags::AVOID_PRIVILEGE_CHECK) {
        return Ok(());
    }
    let privileges = object.token.privileges();
    let labels_are_free = !readings.contains(Readings::LABELS_NEED_SECURITY_PRIVILEGE);
    let is_free = |ace: &Ace<'_>| {
        ace.kind() == AceKind::ResourceAttribute || (labels_are_free && ace.kind() == AceKind::MandatoryLabel)
    };
    if !privileges.is_enabled(Privilege::Security) && !list.aces().all(|ace| is_free(&ace)) {
        return Err(NtStatus::PRIVILEGE_NOT_HELD);
    }
    let own = object.token.integrity().unwrap_or(IntegrityLevel::UNTRUSTED);
    let is_within = |ace: &Ace<'_>| {
        let level = ace.parts().and_then(|parts| IntegrityLevel::parse_sid(parts.sid));
        level.is_some_and(|level| level <= own)
    };
    let mut labels = list.aces().filter(|ace| ace.kind() == AceKind::MandatoryLabel);
    let may_raise = privileges.is_enabled(Privilege::Relabel) || readings.contains(Readings::LABELS_ABOVE_ARE_FREE);
    if !may_raise && !labels.all(|ace| is_within(&ace)) {
        return Err(NtStatus::PRIVILEGE_NOT_HELD);
    }
    Ok(())
}

/// Gives the object its label, and what a protected SACL inherits all the same.
///
/// # Errors
/// [`NtStatus::INVALID_ACL`] when the list is too long.
pub(super) fn complete(
    object: &NewObject<'_>,
    rules: &Rules<'_>,
    sacl: Outcome,
    given: Given<'_>,
    parent: AclRef<'_>,
) -> Result<Outcome, NtStatus> {
    let given_list = match given {
        Given::List(list) => list,
        Given::Absent | Given::Null => AclRef::EMPTY,
    };
    let present = match &sacl {
        Outcome::List(acl) => acl.as_ref(),
        Outcome::Absent | Outcome::Null => AclRef::EMPTY,
    };
    let has_own_label = has_label(given_list);
    // The creator's label stands; an inherited one would be a second.
    let is_second = |ace: &Ace<'_>| {
        has_own_label && ace.kind() == AceKind::MandatoryLabel && ace.flags().contains(AceFlags::INHERITED)
    };
    let mut out = Acl::builder();
    let mut count: usize = 0;
    for ace in present.aces().filter(|ace| !is_second(ace)) {
        out = out.verbatim(&ace);
        count = count.saturating_add(1);
    }
    if rules.is_auto && rules.is_protected {
        let always = |ace: &Ace<'_>| matches!(ace.kind(), AceKind::ResourceAttribute | AceKind::ScopedPolicy);
        for ace in parent.aces().filter(always) {
            out = rules.inherit(out, &ace);
            count = count.saturating_add(1);
        }
    }
    if !has_label(present) {
        let inherited = parent.aces().filter(|ace| ace.kind() == AceKind::MandatoryLabel);
        let inherited = build(inherited.fold(Acl::builder(), |acl, ace| rules.inherit(acl, &ace)))?;
        for ace in inherited.as_ref().aces() {
            out = out.verbatim(&ace);
            count = count.saturating_add(1);
        }
        if !has_label(inherited.as_ref())
            && let Some((level, policy)) = stamp(object, rules.readings)
        {
            out = out.label(level, policy, AceFlags::empty());
            count = count.saturating_add(1);
        }
    }
    match sacl {
        Outcome::Absent | Outcome::Null if count == 0 => Ok(sacl),
        Outcome::Absent | Outcome::Null | Outcome::List(_) => Ok(Outcome::List(build(out)?)),
    }
}

fn has_label(list: AclRef<'_>) -> bool {
    list.aces().any(|ace| ace.kind() == AceKind::MandatoryLabel && ace.is_effective())
}

/// The label an object gets because of who created it.
fn stamp(object: &NewObject<'_>, readings: Readings) -> Option<(IntegrityLevel, u32)> {
    let asked = [
        (AssignFlags::MACL_NO_WRITE_UP, NO_WRITE_UP),
        (AssignFlags::MACL_NO_READ_UP, 2),
        (AssignFlags::MACL_NO_EXECUTE_UP, 4),
    ];
    let policy = asked.into_iter().filter(|(flag, _)| object.flags.contains(*flag)).fold(0, |all, (_, bit)| all | bit);
    let own = object.token.integrity().unwrap_or(IntegrityLevel::UNTRUSTED);
    if policy != 0 {
        Some((own, policy))
    } else {
        let labels = match own.cmp(&IntegrityLevel::MEDIUM) {
            Ordering::Less => !readings.contains(Readings::LOW_CREATORS_DO_NOT_LABEL),
            Ordering::Equal => false,
            Ordering::Greater => readings.contains(Readings::HIGH_CREATORS_LABEL),
        };
        labels.then_some((own, NO_WRITE_UP))
    }
}
