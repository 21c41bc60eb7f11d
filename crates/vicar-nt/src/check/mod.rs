//! The access check: one algorithm, two outputs.
//!
//! [`decide`] answers; [`explain`] answers and says why. Both run the same code with a listener that hears nothing or
//! everything, so they cannot disagree. [`decide_each`] answers for every node of an object type list.
//!
//! The order is fixed: mode, descriptor, level, nothing asked, mapping; then the limits the system sets (trust label,
//! access filters, integrity); then privileges, the owner's rights, the DACL with the token's SIDs, the DACL with its
//! restricting SIDs, the package side of an AppContainer, and the rules of a central policy. Rights only ever move from
//! open to granted or to denied, and the first entry that mentions a right decides about it.
//!
//! [`audit()`] says whether an access is to be recorded. Nothing is cached, nothing is written, and nobody's identity is read from the surroundings.

mod answer;
mod audit;
mod central;
mod limit;
mod members;
mod object_types;
mod prepared;
mod remedy;
mod request;
mod staging;
mod step;
mod walk;

use alloc::vec;
use alloc::vec::Vec;

pub use answer::{Denial, Grant, NodeAnswer, Pass, Refusal};
pub use audit::{AuditedBy, audit, audit_each, may_record};
pub(crate) use limit::trust_dominates;
pub(crate) use members::Members;
pub use remedy::{Basis, Remedy, remedies};
pub use request::{
    AccessMode, AccessRequest, Api, AppContainerIntegrity, CentralPolicy, CentralRule, CheckOptions, ObjectType,
    OwnerWhenWriteRestricted, Question, Subject, TypedDenyWithoutList, UnknownAces, UnknownCentralPolicy,
};
pub use staging::{StagedDifference, staged_difference};
pub use step::{AceOutcome, CallerRule, IntegrityOutcome, Step};

use crate::descriptor::{Dacl, DescriptorRef};
use crate::mask::AccessMask;
use crate::privilege::{Privilege, PrivilegeMask};
use crate::reading::Readings;
use crate::status::NtStatus;
use crate::token::TokenState;
use object_types::{Node, Tree};
use prepared::Prepared;
pub(crate) use step::Trace;
use walk::Walk;

/// Decides whether a subject may have the requested rights on one object.
///
/// # Inputs
/// - `request.subject`: both tokens of one thread, captured together.
/// - `request.descriptor`: validated view; entries are read in stored order.
/// - `request.desired`: may hold generic bits, except by the rules of `NtAccessCheck`, and MAXIMUM_ALLOWED.
/// - `request.object_types`: with a list, the answer is that of its root.
///
/// # Returns
/// A [`Grant`] whose mask holds everything asked for by name, what was granted before, and with MAXIMUM_ALLOWED
/// everything else the subject may have.
///
/// # Errors
/// - [`Denial`] naming the rights still missing and the step that refused them; its status is what NT answers.
///
/// # Identity
/// Uses the client token when the subject has one, and refuses if its level is too low for the caller's rules. Never
/// reads the calling thread's identity.
///
/// # Cost
/// One look-up for each entry, of a SID of at most 68 bytes, whatever the number of groups. No system call, and no
/// allocation unless there is an object type list or an entry with a condition is met.
///
/// # NT
/// `SeAccessCheck`, `NtAccessCheck`, `NtAccessCheckByType`. Differs: refusal is an error value.
///
/// # Source
/// MS-DTYP 2.5.3.2 (algorithm), 2.5.3.3 (mandatory integrity).
///
/// # Examples
/// ```
/// use vicar_nt::check::{AccessRequest, Subject, decide};
/// use vicar_nt::token::TokenState;
/// use vicar_nt::{GenericMapping, RequestedMask, sddl, well_known};
/// let alice = TokenState::builder(well_known::unix_user(1000)).build().unwrap();
/// let file = sddl::parse("O:S-1-22-1-1000G:SYD:(A;;FR;;;S-1-22-1-1000)", None).unwrap();
/// let read = AccessRequest::new(
///     Subject::itself(&alice),
///     file.as_ref(),
///     RequestedMask::GENERIC_READ,
///     GenericMapping::FILE,
/// );
/// assert_eq!(decide(&read).unwrap().mask(), GenericMapping::FILE.read);
/// let write = AccessRequest { desired: RequestedMask::GENERIC_WRITE, ..read };
/// assert!(decide(&write).is_err());
/// ```
#[doc(alias = "SeAccessCheck")]
pub fn decide<'d>(request: &AccessRequest<'d>) -> Result<Grant<'d>, Denial> {
    evaluate(request, request.subject.effective(), &mut ())
}

/// Answers and says why.
///
/// # Errors
/// None: a refusal is part of the answer, and its reason the last step.
///
/// # Cost
/// That of [`decide`], and a growing list of steps.
pub fn explain<'d>(request: &AccessRequest<'d>) -> (Result<Grant<'d>, Denial>, Vec<Step<'d>>) {
    let mut steps = Vec::with_capacity(expected_steps(request));
    let answer = evaluate(request, request.subject.effective(), &mut steps);
    (answer, steps)
}

/// A step for each entry of the DACL, and about as many more as there are kinds of them.
fn expected_steps(request: &AccessRequest<'_>) -> usize {
    const BESIDE_ENTRIES: usize = 10;
    let entries = match request.descriptor.map(|descriptor| descriptor.dacl()) {
        Some(Dacl::List(list)) => usize::from(list.count()),
        Some(Dacl::Absent | Dacl::Null) | None => 0,
    };
    entries.saturating_add(BESIDE_ENTRIES)
}

/// Decides for every node of an object type list on its own.
///
/// # Returns
/// One answer per node, in the order of the list; without a list, one for the object.
///
/// # Errors
/// - [`Denial`] when the question itself is refused: the list is not a tree, the token or the descriptor will not do, the
///   level is too low, or nothing is asked for.
///
/// # NT
/// `NtAccessCheckByTypeResultList`.
///
/// # Source
/// MS-DTYP 2.5.3.2.
pub fn decide_each(request: &AccessRequest<'_>) -> Result<Vec<NodeAnswer>, Denial> {
    let count = request.object_types.len().max(1);
    let whole = |status, granted| vec![NodeAnswer { status, granted }; count];
    let opened = match open(request, request.subject.effective(), &mut ()) {
        Ok(Opened::Granted(mask, _)) => return Ok(whole(NtStatus::SUCCESS, mask)),
        Ok(Opened::Walk(prepared)) => prepared,
        Err(denial) if denial.by.is_about_the_question() => return Err(denial),
        Err(denial) => return Ok(whole(denial.status(), AccessMask::NONE)),
    };
    let walk = Walk { may_stop: false, ..opened.walk };
    let opened = Prepared { walk, ..opened };
    let mut nodes = vec![Node::new(opened.limit); count];
    let stays_below = request.options.readings.contains(Readings::DENIALS_DO_NOT_CLIMB);
    let read = match (request.object_types, &mut nodes[..]) {
        ([], [object]) => opened.read(object, &mut ()),
        (types, nodes) if stays_below => opened.read(&mut Tree::without_climbing(types, nodes), &mut ()),
        (types, nodes) => opened.read(&mut Tree::new(types, nodes), &mut ()),
    };
    if let Err(refusal) = read {
        return Ok(whole(refusal.status(), AccessMask::NONE));
    }
    let wants_maximum = request.desired.wants_maximum();
    Ok(nodes
        .into_iter()
        .map(|node| {
            let mask = node.left;
            let granted = if wants_maximum { mask } else { mask & walk.asked };
            if mask.contains(walk.asked) && !granted.is_empty() {
                NodeAnswer { status: NtStatus::SUCCESS, granted: granted | request.previous() }
            } else {
                NodeAnswer { status: NtStatus::ACCESS_DENIED, granted }
            }
        })
        .collect())
}

impl Refusal {
    /// Whether the question was refused, not the access.
    const fn is_about_the_question(self) -> bool {
        match self {
            Self::GenericNotMapped
            | Self::ImpersonationTokenRequired
            | Self::LevelTooLow(_)
            | Self::NoDescriptor
            | Self::IncompleteDescriptor
            | Self::ObjectTypeList
            | Self::NothingDesired => true,
            Self::TrustLabel
            | Self::AccessFilter
            | Self::Integrity
            | Self::PrivilegeNotHeld(_)
            | Self::UnknownAce { .. }
            | Self::DenyAce { .. }
            | Self::NotGranted { .. }
            | Self::Package
            | Self::CentralRule { .. }
            | Self::NothingAllowed => false,
        }
    }
}

#[inline]
pub(crate) fn evaluate<'d, M: Members<'d>, T: Trace<'d>>(
    request: &AccessRequest<'d>,
    members: M,
    trace: &mut T,
) -> Result<Grant<'d>, Denial> {
    let answer = conclude(request, members, trace);
    trace.step(|| match &answer {
        Ok((granted, _)) => Step::End { granted: *granted, denial: None },
        Err(denial) => Step::End { granted: AccessMask::NONE, denial: Some(denial.clone()) },
    });
    answer.map(|(mask, privileges)| Grant { mask, privileges, of: request.descriptor })
}

fn conclude<'a, M: Members<'a>, T: Trace<'a>>(
    request: &AccessRequest<'a>,
    members: M,
    trace: &mut T,
) -> Result<(AccessMask, PrivilegeMask), Denial> {
    let prepared = match open(request, members, trace)? {
        Opened::Granted(mask, privileges) => return Ok((mask, privileges)),
        Opened::Walk(prepared) => prepared,
    };
    match request.object_types {
        [] => prepared.conclude(&mut Node::new(prepared.limit), trace),
        types => {
            let mut nodes = vec![Node::new(prepared.limit); types.len()];
            prepared.conclude(&mut Tree::new(types, &mut nodes), trace)
        }
    }
}

/// A check whose first steps are done.
enum Opened<'r, 'a, M> {
    /// There is nothing left to look at.
    Granted(AccessMask, PrivilegeMask),
    /// The DACL decides.
    Walk(Prepared<'r, 'a, M>),
}

/// Does everything up to the DACL.
#[inline(always)]
fn open<'r, 'a, M: Members<'a>, T: Trace<'a>>(
    request: &'r AccessRequest<'a>,
    members: M,
    trace: &mut T,
) -> Result<Opened<'r, 'a, M>, Denial> {
    let asked = request.asked();
    let denied = |by| Denial { missing: asked, by };
    trace.step(|| Step::Mode(request.mode));
    if request.mode == AccessMode::Kernel {
        let maximum = if request.desired.wants_maximum() { request.mapping.all } else { AccessMask::NONE };
        return Ok(Opened::Granted(asked | maximum | request.previous(), PrivilegeMask::NONE));
    }
    let descriptor = judge_question(request, trace).map_err(denied)?;
    let wants_maximum = request.desired.wants_maximum();
    let previous = request.previous();
    trace.step(|| Step::Mapped { desired: request.desired, asked, previous, wants_maximum });
    if asked.is_empty() && !wants_maximum {
        return match previous.is_empty() {
            true => Err(denied(Refusal::NothingDesired)),
            false => Ok(Opened::Granted(previous, PrivilegeMask::NONE)),
        };
    }
    let token = request.subject.effective();
    let limit = limit::limits(request, descriptor.sacl().entries(), asked, trace).map_err(denied)?;
    let (by_privilege, privileges) = privilege_rights(token, asked, trace).map_err(denied)?;
    if by_privilege.contains(asked) && !wants_maximum && token.app_container().is_none() {
        return Ok(Opened::Granted(asked | previous, privileges));
    }
    let (may_stop, never_by_entry) = (!wants_maximum, walk::never_by_entry(request));
    let walk = Walk { request, token, members, descriptor, asked, may_stop, never_by_entry };
    Ok(Opened::Walk(Prepared { walk, limit, by_privilege, privileges }))
}

/// Judges the caller's arguments, by the caller's rules, and finds the descriptor.
#[inline]
fn judge_question<'r, 'a, T: Trace<'a>>(
    request: &'r AccessRequest<'a>,
    trace: &mut T,
) -> Result<&'r DescriptorRef<'a>, Refusal> {
    let level = request.subject.level();
    if T::LISTENS {
        compare_rules(request, trace);
    }
    let descriptor = match request.api {
        Api::SeAccessCheck => {
            let descriptor = request.descriptor.as_ref().ok_or(Refusal::NoDescriptor)?;
            let is_enough = request.subject.may_act();
            trace.step(|| Step::Level { level, is_enough });
            match level {
                Some(level) if !is_enough => return Err(Refusal::LevelTooLow(level)),
                Some(_) | None => descriptor,
            }
        }
        Api::NtAccessCheck => {
            if request.desired.has_generic() {
                return Err(Refusal::GenericNotMapped);
            }
            let Some(level) = level else { return Err(Refusal::ImpersonationTokenRequired) };
            let is_enough = level.may_identify();
            trace.step(|| Step::Level { level: Some(level), is_enough });
            if !is_enough {
                return Err(Refusal::LevelTooLow(level));
            }
            let descriptor = request.descriptor.as_ref().ok_or(Refusal::NoDescriptor)?;
            if descriptor.owner().is_none() || descriptor.group().is_none() {
                return Err(Refusal::IncompleteDescriptor);
            }
            descriptor
        }
    };
    if object_types::is_valid(request.object_types) { Ok(descriptor) } else { Err(Refusal::ObjectTypeList) }
}

/// Tells where the rules of the two interfaces judge these arguments differently, up to the first that refuses.
fn compare_rules<'a, T: Trace<'a>>(request: &AccessRequest<'_>, trace: &mut T) {
    let level = request.subject.level();
    let is_complete = request.descriptor.is_some_and(|object| object.owner().is_some() && object.group().is_some());
    let enough = level.map(|level| {
        let rule = CallerRule::LevelIsEnough(level);
        (rule, level.may_act_locally(), level.may_identify())
    });
    let rules = [
        Some((CallerRule::RightsAreMapped, true, !request.desired.has_generic())),
        Some((CallerRule::TokenIsImpersonated, true, level.is_some())),
        enough,
        Some((CallerRule::DescriptorIsComplete, request.descriptor.is_some(), is_complete)),
    ];
    for (rule, by_kernel, by_user) in rules.into_iter().flatten() {
        let (api, holds, by_the_other) = match request.api {
            Api::SeAccessCheck => (Api::SeAccessCheck, by_kernel, by_user),
            Api::NtAccessCheck => (Api::NtAccessCheck, by_user, by_kernel),
        };
        if holds != by_the_other {
            trace.step(|| Step::Caller { api, rule, holds, by_the_other });
        }
        if !holds {
            return;
        }
    }
}

/// Finds what was asked for by name that a privilege gives.
///
/// # Source
/// MS-DTYP 2.5.3.2.
#[inline]
fn privilege_rights<'a, T: Trace<'a>>(
    token: &TokenState,
    asked: AccessMask,
    trace: &mut T,
) -> Result<(AccessMask, PrivilegeMask), Refusal> {
    let mut rights = AccessMask::NONE;
    let mut used = PrivilegeMask::NONE;
    let mut try_privilege = |privilege: Privilege, right: AccessMask| {
        let is_held = token.privileges().is_enabled(privilege);
        trace.step(|| Step::Privilege { privilege, is_held, right });
        if is_held {
            rights |= right;
            used = used.with(privilege);
        }
        is_held
    };
    if asked.contains(AccessMask::ACCESS_SYSTEM_SECURITY)
        && !try_privilege(Privilege::Security, AccessMask::ACCESS_SYSTEM_SECURITY)
    {
        return Err(Refusal::PrivilegeNotHeld(Privilege::Security));
    }
    if asked.contains(AccessMask::WRITE_OWNER) && !try_privilege(Privilege::TakeOwnership, AccessMask::WRITE_OWNER) {
        try_privilege(Privilege::Relabel, AccessMask::WRITE_OWNER);
    }
    Ok((rights, used))
}
