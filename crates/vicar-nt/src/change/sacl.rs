//! Replacing parts of a SACL.

use crate::acl::{Ace, AceFlags, AceKind, Acl, AclRef};
use crate::assign::list::{Outcome, Rules, build};
use crate::change::set::Keeping;
use crate::change::{Change, SecurityInformation, SetFlags};
use crate::check::trust_dominates;
use crate::descriptor::{Control, DescriptorRef, Sacl};
use crate::integrity::IntegrityLevel;
use crate::privilege::Privilege;
use crate::sid::SidRef;
use crate::status::NtStatus;
use crate::token::TokenState;
use crate::well_known;

/// The control bits that belong to a SACL.
pub(super) const KEPT: Control = Control::SACL_DEFAULTED
    .union(Control::SACL_PROTECTED)
    .union(Control::SACL_AUTO_INHERITED)
    .union(Control::SACL_AUTO_INHERIT_REQ);

pub(super) fn held(sacl: Sacl<'_>) -> Outcome {
    match sacl {
        Sacl::Absent => Outcome::Absent,
        Sacl::Null => Outcome::Null,
        Sacl::List(list) => Outcome::List(list.to_acl()),
    }
}

/// The new SACL, and the control bits that go with it.
pub(super) fn replace(
    change: &Change<'_>,
    parts: SecurityInformation,
    current: &DescriptorRef<'_>,
    rules: &Rules<'_>,
) -> Result<(Outcome, Control), NtStatus> {
    if !change.flags.contains(SetFlags::AVOID_PRIVILEGE_CHECK) {
        may_replace(change.token, parts, change.new.sacl().entries(), current.sacl().entries())?;
    }
    let asked = change.new.control();
    let is_auto = change.flags.contains(SetFlags::SACL_AUTO_INHERIT);
    let replaces_audit = parts.contains(SecurityInformation::SACL);
    let protected = Control::SACL_PROTECTED;
    let keeping = Keeping::of(is_auto, asked.contains(protected), current.control().contains(protected));
    let is_named = |ace: &Ace<'_>| parts.intersects(SecurityInformation::part_of(ace.kind()));
    let select = |list: AclRef<'_>, wanted: bool| {
        build(list.aces().filter(|ace| is_named(ace) == wanted).fold(Acl::builder(), |acl, ace| acl.verbatim(&ace)))
    };
    let (new, old) = (select(change.new.sacl().entries(), true)?, select(current.sacl().entries(), true)?);
    let replaced = keeping.combine(new.as_ref(), old.as_ref(), rules)?;
    let untouched = select(current.sacl().entries(), false)?;
    let all = replaced.as_ref().aces().chain(untouched.as_ref().aces());
    let all = build(all.fold(Acl::builder(), |acl, ace| acl.verbatim(&ace)))?;
    let mut bits = current.control().intersection(KEPT);
    if replaces_audit {
        bits = asked.intersection(protected);
        if is_auto || asked.contains(Control::SACL_AUTO_INHERIT_REQ | Control::SACL_AUTO_INHERITED) {
            bits |= Control::SACL_AUTO_INHERITED;
        }
    }
    let before = if replaces_audit { change.new.sacl() } else { current.sacl() };
    Ok(match (before, all.as_ref().count()) {
        (Sacl::Absent, 0) => (Outcome::Absent, bits),
        (Sacl::Null, 0) => (Outcome::Null, bits),
        (Sacl::Absent | Sacl::Null | Sacl::List(_), _) => (Outcome::List(all), bits),
    })
}

/// # Errors
/// [`NtStatus::PRIVILEGE_NOT_HELD`], [`NtStatus::ACCESS_DENIED`].
fn may_replace(
    token: &TokenState,
    parts: SecurityInformation,
    new: AclRef<'_>,
    current: AclRef<'_>,
) -> Result<(), NtStatus> {
    if parts.contains(SecurityInformation::LABEL) && !token.privileges().is_enabled(Privilege::Relabel) {
        let own = token.integrity().unwrap_or(IntegrityLevel::UNTRUSTED);
        let is_within = |ace: Ace<'_>| {
            let level = ace.parts().and_then(|parts| IntegrityLevel::parse_sid(parts.sid));
            level.is_some_and(|level| level <= own)
        };
        if !of_kind(new, AceKind::MandatoryLabel).all(is_within) {
            return Err(NtStatus::PRIVILEGE_NOT_HELD);
        }
    }
    let trust = token.trust().unwrap_or(&well_known::TRUST_NONE).as_ref();
    let dominates = |label: Option<SidRef<'_>>| label.is_some_and(|label| trust_dominates(trust, label));
    if parts.contains(SecurityInformation::TRUST_LABEL) {
        let both = of_kind(new, AceKind::TrustLabel).chain(of_kind(current, AceKind::TrustLabel));
        if !both.map(|ace| ace.parts().map(|parts| parts.sid)).all(dominates) {
            return Err(NtStatus::ACCESS_DENIED);
        }
    }
    if parts.contains(SecurityInformation::ACCESS_FILTER) {
        // On a filter this bit says that only somebody trusted may change it.
        let is_protected = |ace: &Ace<'_>| ace.flags().contains(AceFlags::SUCCESSFUL_ACCESS);
        let is_kept = |ace: Ace<'_>| of_kind(new, AceKind::AccessFilter).any(|other| other == ace);
        let is_trusted = match of_kind(current, AceKind::TrustLabel).next() {
            Some(label) => dominates(label.parts().map(|parts| parts.sid)),
            None => token.trust().is_some_and(|trust| *trust != well_known::TRUST_NONE),
        };
        if !is_trusted && !of_kind(current, AceKind::AccessFilter).filter(is_protected).all(is_kept) {
            return Err(NtStatus::ACCESS_DENIED);
        }
    }
    Ok(())
}

fn of_kind(list: AclRef<'_>, kind: AceKind) -> impl Iterator<Item = Ace<'_>> {
    list.aces().filter(move |ace| ace.kind() == kind)
}
