//! What the system sets above the DACL: trust labels, access filters, integrity labels.
//!
//! Each yields a mask of what remains possible; whatever was asked for outside it is refused before the DACL is read.

use crate::acl::{AceKind, AclRef};
use crate::check::answer::Refusal;
use crate::check::request::{AccessRequest, AppContainerIntegrity};
use crate::check::step::{IntegrityOutcome, Step, Trace};
use crate::condition::{Effect, Facts, Truth, evaluate};
use crate::integrity::IntegrityLevel;
use crate::mask::{AccessMask, GenericMapping};
use crate::privilege::Privilege;
use crate::reading::Readings;
use crate::sid::SidRef;
use crate::token::{MandatoryPolicy, TokenState};
use crate::trust::ProcessTrust;
use crate::well_known;

const EVERYTHING: AccessMask = AccessMask::truncate(u32::MAX);

/// Applies all limits in order.
///
/// # Errors
/// The step that refuses something that was asked for.
#[inline]
pub(super) fn limits<'a, T: Trace<'a>>(
    request: &AccessRequest<'_>,
    sacl: AclRef<'a>,
    asked: AccessMask,
    trace: &mut T,
) -> Result<AccessMask, Refusal> {
    // Without any entry nothing but the default label can set a limit.
    let has_default_level = |level: IntegrityLevel| level >= IntegrityLevel::MEDIUM;
    if !T::LISTENS && sacl.count() == 0 && request.subject.effective().integrity().is_some_and(has_default_level) {
        return Ok(EVERYTHING);
    }
    limits_of(request, sacl, asked, trace)
}

fn limits_of<'a, T: Trace<'a>>(
    request: &AccessRequest<'_>,
    sacl: AclRef<'a>,
    asked: AccessMask,
    trace: &mut T,
) -> Result<AccessMask, Refusal> {
    let token = request.subject.effective();
    let trust = trust_limit(request, token, sacl, trace);
    if !trust.contains(asked) {
        return Err(Refusal::TrustLabel);
    }
    let filter = filter_limit(request, token, sacl, trace);
    if !filter.contains(asked) {
        return Err(Refusal::AccessFilter);
    }
    let integrity = integrity_limit(request, token, sacl, trace);
    if !integrity.contains(asked) {
        return Err(Refusal::Integrity);
    }
    Ok(trust & filter & integrity)
}

/// # Source
/// Observed; MS-DTYP 2.4.4.1 names the entry type.
fn trust_limit<'a, T: Trace<'a>>(
    request: &AccessRequest<'_>,
    token: &TokenState,
    sacl: AclRef<'a>,
    trace: &mut T,
) -> AccessMask {
    let Some(label) = sacl.first_effective(AceKind::TrustLabel) else { return EVERYTHING };
    let Some(parts) = label.parts() else { return EVERYTHING };
    let subject = token.trust().unwrap_or(&well_known::TRUST_NONE);
    let dominates = trust_dominates(subject.as_ref(), parts.sid);
    let allowed = match dominates {
        true => EVERYTHING,
        false => request.mapping.map(parts.mask) | AccessMask::ACCESS_SYSTEM_SECURITY,
    };
    trace.step(|| Step::TrustLabel { label: parts.sid, dominates, allowed });
    allowed
}

/// What is not a trust SID dominates nothing and is dominated by nothing.
pub(crate) fn trust_dominates(subject: SidRef<'_>, object: SidRef<'_>) -> bool {
    match (ProcessTrust::parse_sid(subject), ProcessTrust::parse_sid(object)) {
        (Some(subject), Some(object)) => subject.dominates(object),
        (None, _) | (_, None) => false,
    }
}

/// # Source
/// Observed; MS-DTYP 2.4.4.17 for the condition.
fn filter_limit<'a, T: Trace<'a>>(
    request: &AccessRequest<'_>,
    token: &TokenState,
    sacl: AclRef<'a>,
    trace: &mut T,
) -> AccessMask {
    let mut allowed = EVERYTHING;
    let filters = sacl.whole_aces().filter(|(_, ace)| ace.kind() == AceKind::AccessFilter && ace.is_effective());
    for (index, filter) in filters {
        let Some(filter) = filter.read() else { continue };
        let Some(parts) = filter.parts() else { continue };
        let readings = request.options.readings;
        if readings.contains(Readings::FILTER_FOR_ITS_SID) && !token.counts_for_allow(parts.sid) {
            continue;
        }
        let truth = evaluate(parts.data, &Facts { token, resource: sacl, effect: Effect::Allow, readings });
        if truth != Truth::True {
            allowed &= request.mapping.map(parts.mask) | AccessMask::ACCESS_SYSTEM_SECURITY;
        }
        trace.step(|| Step::AccessFilter { index, truth, allowed });
    }
    allowed
}

/// # Source
/// MS-DTYP 2.5.3.3.
fn integrity_limit<'a, T: Trace<'a>>(
    request: &AccessRequest<'_>,
    token: &TokenState,
    sacl: AclRef<'a>,
    trace: &mut T,
) -> AccessMask {
    let label = sacl.first_effective(AceKind::MandatoryLabel);
    let (object, policy) = match label.as_ref().and_then(|label| label.parts()) {
        Some(parts) => match IntegrityLevel::parse_sid(parts.sid) {
            Some(level) => (Some(level), parts.mask.0),
            None => (None, parts.mask.0 | NO_WRITE_UP),
        },
        None => (Some(IntegrityLevel::MEDIUM), NO_WRITE_UP),
    };
    let readings = request.options.readings;
    let subject = token.integrity();
    let level = subject.unwrap_or(match readings.contains(Readings::NO_LEVEL_IS_MEDIUM) {
        true => IntegrityLevel::MEDIUM,
        false => IntegrityLevel::UNTRUSTED,
    });
    let is_waived = token.app_container().is_some()
        && request.options.app_container_integrity == AppContainerIntegrity::WaivedUpToMedium;
    let outcome = if !token.mandatory_policy().contains(MandatoryPolicy::NO_WRITE_UP) {
        IntegrityOutcome::PolicyOff
    } else if object.is_some_and(|object| level >= object) {
        IntegrityOutcome::Dominates
    } else if is_waived && object.is_some_and(|level| level <= IntegrityLevel::MEDIUM) {
        IntegrityOutcome::Waived
    } else {
        IntegrityOutcome::Below
    };
    let allowed = match outcome {
        IntegrityOutcome::PolicyOff | IntegrityOutcome::Dominates | IntegrityOutcome::Waived => EVERYTHING,
        IntegrityOutcome::Below => {
            let relabel = token.privileges().is_enabled(Privilege::Relabel);
            let by_privilege = if relabel { AccessMask::WRITE_OWNER } else { AccessMask::NONE };
            let spared = match readings.contains(Readings::LABEL_SPARES_SYSTEM_SECURITY) {
                true => AccessMask::ACCESS_SYSTEM_SECURITY,
                false => AccessMask::NONE,
            };
            from_below(&request.mapping, policy) | by_privilege | spared
        }
    };
    trace.step(|| Step::Integrity { subject, object, policy, outcome, allowed });
    allowed
}

const NO_WRITE_UP: u32 = 1;
const NO_READ_UP: u32 = 2;
const NO_EXECUTE_UP: u32 = 4;

/// What is possible from below, given what the label forbids. A right that belongs to a class that is not forbidden
/// survives, also when a forbidden class has it too.
fn from_below(mapping: &GenericMapping, policy: u32) -> AccessMask {
    let no_write = policy & NO_WRITE_UP != 0;
    let no_read = policy & NO_READ_UP != 0;
    let no_execute = policy & NO_EXECUTE_UP != 0;
    if !(no_write || no_read || no_execute) {
        return EVERYTHING;
    }
    let standard_write = AccessMask::DELETE | AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER;
    let write = mapping.write | standard_write | AccessMask::ACCESS_SYSTEM_SECURITY;
    let read = mapping.read | AccessMask::READ_CONTROL;
    let execute = mapping.execute.without(mapping.read) | AccessMask::SYNCHRONIZE;
    let unless = |forbidden: bool, class: AccessMask| if forbidden { AccessMask::NONE } else { class };
    let mut allowed = mapping.read | mapping.execute | AccessMask::SYNCHRONIZE | AccessMask::READ_CONTROL;
    if !no_write {
        allowed |= mapping.all;
    }
    if no_read {
        allowed = allowed.without(read.without(unless(no_write, write) | unless(no_execute, execute)));
    }
    if no_execute {
        allowed = allowed.without(execute.without(unless(no_write, write) | unless(no_read, read)));
    }
    if no_write {
        allowed = allowed.without(write.without(unless(no_execute, execute) | unless(no_read, read)));
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_possible_from_below_on_a_file() {
        let file = GenericMapping::FILE;
        for (policy, allowed) in [(0, 0x0FFF_FFFF), (1, 0x12_00A9), (7, 0)] {
            assert_eq!(from_below(&file, policy).bits(), allowed, "policy {policy}");
        }
        assert!(from_below(&file, NO_READ_UP).contains(AccessMask::truncate(2)));
        assert!(!from_below(&file, NO_READ_UP).contains(AccessMask::truncate(1)));
    }

    #[test]
    fn trust_needs_both_parts() {
        let sid = |kind, level| crate::Sid::new(19, &[kind, level]).unwrap();
        let dominates = |a: crate::Sid, b: crate::Sid| trust_dominates(a.as_ref(), b.as_ref());
        assert!(dominates(sid(512, 4096), sid(512, 4096)));
        assert!(dominates(sid(1024, 8192), sid(512, 4096)));
        assert!(!dominates(sid(1024, 1024), sid(512, 4096)));
        assert!(!dominates(crate::well_known::EVERYONE, sid(0, 0)));
    }
}
