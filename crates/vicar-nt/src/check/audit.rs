//! Which accesses an object's SACL wants on record.
//!
//! Whether auditing is switched on at all, and what becomes of a record, is decided elsewhere.
//!
//! # Source
//! MS-DTYP 2.4.4.10 (audit entries); learn.microsoft.com, "Audit Generation".

use alloc::vec;
use alloc::vec::Vec;

use crate::acl::{AceFlags, AceKind, AclRef, Role};
use crate::check::answer::{Denial, Grant, NodeAnswer, Pass};
use crate::check::members::Members;
use crate::check::object_types;
use crate::check::request::{AccessMode, AccessRequest, Subject};
use crate::check::walk::{Match, Walk};
use crate::condition::{Effect, Facts, Truth, evaluate};
use crate::guid::Guid;
use crate::mask::AccessMask;
use crate::privilege::Privilege;
use crate::reading::Readings;
use crate::status::NtStatus;
use crate::token::TokenState;

/// Where the entry stands that wants a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditedBy {
    /// In the object's SACL.
    Object {
        /// Which entry, from 0.
        index: u16,
    },
    /// In the SACL that holds for all objects of a type.
    Global {
        /// Which entry, from 0.
        index: u16,
    },
}

/// What became of an access, to an object or to one node of an object type list.
#[derive(Clone, Copy)]
enum Outcome {
    Granted(AccessMask),
    Refused,
}

/// What an entry may be about: any of the types asked about, or one node.
#[derive(Clone, Copy)]
enum About {
    AnyType,
    Node(usize),
}

/// Says whether an access is to be recorded, and by which entry.
///
/// One record per access, not per entry: the first entry that wants it is named. Accesses of the kernel itself are not
/// recorded. A handle to an access that was granted and recorded is recorded again when it is closed (GenerateOnClose).
///
/// # Inputs
/// - `request`, `answer`: the question and what [`decide`](crate::check::decide) said.
/// - `global`: the SACL for all objects of the type; an empty one if there is none.
///
/// # Cost
/// O(entries × log groups) comparisons.
///
/// # NT
/// `SeOpenObjectAuditAlarm`, `SeAuditingFileEvents`.
#[must_use]
pub fn audit(request: &AccessRequest<'_>, answer: &Result<Grant<'_>, Denial>, global: AclRef<'_>) -> Option<AuditedBy> {
    let walk = recorded(request)?;
    let outcome = answer.as_ref().map_or(Outcome::Refused, |grant| Outcome::Granted(grant.mask()));
    walk.audited(global, outcome, About::AnyType)
}

/// Says whether the process of a subject may have records written that it makes up itself.
///
/// # Errors
/// - [`NtStatus::PRIVILEGE_NOT_HELD`] unless SeAuditPrivilege is enabled in the token of the process.
///
/// # Identity
/// The client that its thread acts as neither gives the privilege nor takes it away.
///
/// # NT
/// What `NtAccessCheckAndAuditAlarm`, `NtOpenObjectAuditAlarm` and their family ask of a caller in user mode.
///
/// # Source
/// learn.microsoft.com, `AccessCheckAndAuditAlarm`, remarks on SE_AUDIT_NAME.
pub fn may_record(subject: &Subject<'_>) -> Result<(), NtStatus> {
    let is_held = subject.primary.privileges().is_enabled(Privilege::Audit);
    if is_held { Ok(()) } else { Err(NtStatus::PRIVILEGE_NOT_HELD) }
}

/// Says for every node of an object type list whether the access to it is to be recorded, and by which entry.
///
/// An entry about a type is about its node and everything below it; one about no type is about every node.
///
/// # Inputs
/// - `request`, `answers`: the question and what [`decide_each`](crate::check::decide_each) said, one per node.
/// - `global`: the SACL for all objects of the type; an empty one if there is none.
///
/// # Returns
/// One entry per answer, in their order.
///
/// # Cost
/// O(nodes × entries × log groups) comparisons.
///
/// # NT
/// `AccessCheckByTypeResultListAndAuditAlarm`.
#[must_use]
pub fn audit_each(request: &AccessRequest<'_>, answers: &[NodeAnswer], global: AclRef<'_>) -> Vec<Option<AuditedBy>> {
    let Some(walk) = recorded(request) else { return vec![None; answers.len()] };
    let outcome = |answer: &NodeAnswer| match answer.status.is_success() {
        true => Outcome::Granted(answer.granted),
        false => Outcome::Refused,
    };
    let about = |at| if request.object_types.is_empty() { About::AnyType } else { About::Node(at) };
    answers.iter().enumerate().map(|(at, answer)| walk.audited(global, outcome(answer), about(at))).collect()
}

/// The walk over the SACLs of an access that can be recorded at all.
fn recorded<'r, 'a>(request: &'r AccessRequest<'a>) -> Option<Walk<'r, 'a, &'a TokenState>> {
    let descriptor = request.descriptor.as_ref().filter(|_| request.mode == AccessMode::User)?;
    let token = request.subject.effective();
    let never_by_entry = AccessMask::MAXIMUM_ALLOWED;
    Some(Walk { request, token, members: token, descriptor, asked: request.asked(), may_stop: false, never_by_entry })
}

impl<'a, M: Members<'a>> Walk<'_, 'a, M> {
    fn audited(&self, global: AclRef<'_>, outcome: Outcome, about: About) -> Option<AuditedBy> {
        let own = self.audited_by(self.descriptor.sacl().entries(), outcome, about);
        let own = own.map(|index| AuditedBy::Object { index });
        own.or_else(|| self.audited_by(global, outcome, about).map(|index| AuditedBy::Global { index }))
    }

    fn audited_by(&self, list: AclRef<'_>, outcome: Outcome, about: About) -> Option<u16> {
        let readings = self.request.options.readings;
        let by_name = readings.contains(Readings::MAXIMUM_AUDITED_BY_NAME);
        let any_will_do = self.request.desired.wants_maximum() && !by_name;
        let effect = match readings.contains(Readings::AUDIT_ENABLED_GROUPS) {
            true => Effect::Allow,
            false => Effect::Deny,
        };
        let mut entries =
            (0u16..).zip(list.aces()).filter(|(_, ace)| ace.kind().role() == Role::Audit && ace.is_effective());
        let found = entries.find(|(_, ace)| {
            let Some(parts) = ace.parts() else { return false };
            let mask = self.map(parts.mask);
            let is_wanted = match outcome {
                Outcome::Granted(granted) => {
                    ace.flags().contains(AceFlags::SUCCESSFUL_ACCESS) && granted.intersects(mask)
                }
                Outcome::Refused => {
                    let concerns = self.asked.intersects(mask) || (any_will_do && !mask.is_empty());
                    ace.flags().contains(AceFlags::FAILED_ACCESS) && concerns
                }
            };
            let is_about = parts.object_type.is_none_or(|guid| self.is_about(guid, about));
            is_wanted
                && is_about
                && self.match_sid(parts.sid, effect, Pass::Normal) == Match::Subject
                && self.condition_may_hold(ace.kind(), parts.data)
        });
        found.map(|(index, _)| index)
    }

    fn is_about(&self, guid: Guid, about: About) -> bool {
        let types = self.request.object_types;
        let Some(at) = types.iter().position(|node| node.guid == guid) else { return false };
        match about {
            About::AnyType => true,
            About::Node(node) => object_types::is_within(types, at, node),
        }
    }

    /// A record too many is better than one too few: an unknown condition counts.
    fn condition_may_hold(&self, kind: AceKind, data: &[u8]) -> bool {
        let readings = self.request.options.readings;
        let resource = self.descriptor.sacl().entries();
        let facts = Facts { token: self.token, resource, effect: Effect::Deny, readings };
        !kind.has_data()
            || match evaluate(data, &facts) {
                Truth::True => true,
                Truth::False => false,
                Truth::Unknown => !readings.contains(Readings::UNKNOWN_IS_NOT_AUDITED),
            }
    }
}
