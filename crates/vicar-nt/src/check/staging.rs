//! What the proposed rules of central policies would change.
//!
//! # Source
//! MS-DTYP 2.5.3.2; learn.microsoft.com, "Dynamic Access Control: staging policies".

use alloc::vec::Vec;

use crate::check::answer::{Denial, NodeAnswer};
use crate::check::request::{AccessRequest, CentralPolicy, CentralRule};
use crate::check::{decide, decide_each};
use crate::mask::AccessMask;

/// An access on which a proposed policy decides differently from the one in force.
///
/// For the audit log: it never changes what is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a difference nobody records was computed for nothing"]
pub struct StagedDifference {
    /// What is granted, or why not, by the rules in force.
    pub enforced: Result<AccessMask, Denial>,
    /// What would be granted, or why not, by the proposed ones.
    pub proposed: Result<AccessMask, Denial>,
    /// The nodes of the object type list that differ: which, in force, proposed. Empty without a list.
    pub nodes: Vec<(usize, NodeAnswer, NodeAnswer)>,
}

/// Says whether the proposed rules of the policies would decide differently, and how.
///
/// Rules without a proposal are as they are. A policy that the object does not name changes nothing.
///
/// # Returns
/// `None` when there are no proposals, or they would decide the same.
///
/// # Cost
/// Nothing without proposals; else two checks, four with a list of object types, and a copy of the list of rules.
#[must_use]
pub fn staged_difference(request: &AccessRequest<'_>) -> Option<StagedDifference> {
    let has_proposal = |policy: &CentralPolicy<'_>| policy.rules.iter().any(|rule| rule.proposed.is_some());
    if !request.policies.iter().any(has_proposal) {
        return None;
    }
    let rules: Vec<Vec<CentralRule<'_>>> = request
        .policies
        .iter()
        .map(|policy| {
            let staged = policy.rules.iter().map(|rule| CentralRule {
                descriptor: rule.proposed.unwrap_or(rule.descriptor),
                proposed: None,
                applies: rule.applies,
            });
            staged.collect()
        })
        .collect();
    let policies: Vec<CentralPolicy<'_>> =
        request.policies.iter().zip(&rules).map(|(policy, rules)| CentralPolicy { id: policy.id, rules }).collect();
    let staged: AccessRequest<'_> = AccessRequest { policies: &policies, ..*request };
    let mask = |request: &AccessRequest<'_>| decide(request).map(|grant| grant.mask());
    let (enforced, proposed) = (mask(request), mask(&staged));
    let nodes = match request.object_types {
        [] => Vec::new(),
        [_, ..] => match (decide_each(request), decide_each(&staged)) {
            (Ok(now), Ok(then)) => {
                let both = now.into_iter().zip(then).enumerate();
                both.filter(|(_, (now, then))| now != then).map(|(at, (now, then))| (at, now, then)).collect()
            }
            (Err(_), _) | (_, Err(_)) => Vec::new(),
        },
    };
    let is_same = match (&enforced, &proposed) {
        (Ok(now), Ok(then)) => now == then,
        (Err(now), Err(then)) => now.status() == then.status(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    if is_same && nodes.is_empty() { None } else { Some(StagedDifference { enforced, proposed, nodes }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Subject;
    use crate::descriptor::Descriptor;
    use crate::token::TokenState;
    use crate::{GenericMapping, GroupAttributes, RequestedMask, Sid, sddl, well_known};

    fn difference(dacl: &str, rule: &str, proposed: Option<&str>, desired: u32) -> Option<StagedDifference> {
        let sd = |text: &str| sddl::parse(text, None).unwrap();
        let object = sd(&alloc::format!("O:SYG:SYD:{dacl}S:(SP;;;;;S-1-17-9)"));
        let (rule, proposed) = (sd(rule), proposed.map(sd));
        let id: Sid = "S-1-17-9".parse().unwrap();
        let rules = [CentralRule {
            applies: None,
            descriptor: rule.as_ref(),
            proposed: proposed.as_ref().map(Descriptor::as_ref),
        }];
        let policies = [CentralPolicy { id: id.as_ref(), rules: &rules }];
        let token = TokenState::builder(well_known::unix_user(1))
            .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
            .build()
            .unwrap();
        let request = AccessRequest {
            policies: &policies,
            ..AccessRequest::new(Subject::itself(&token), object.as_ref(), RequestedMask(desired), GenericMapping::FILE)
        };
        let before = decide(&request).map(|grant| grant.mask());
        let difference = staged_difference(&request);
        assert_eq!(decide(&request).map(|grant| grant.mask()), before);
        if let Some(difference) = &difference {
            assert_eq!(difference.enforced, before);
        }
        difference
    }

    #[test]
    fn section_3_14_staging_reports_a_difference_and_changes_nothing() {
        let tighter = difference("(A;;FA;;;WD)", "D:(A;;FA;;;WD)", Some("D:(A;;FR;;;WD)"), 2).unwrap();
        assert_eq!((tighter.enforced.is_ok(), tighter.proposed.is_ok()), (true, false));
        let wider = difference("(A;;FA;;;WD)", "D:(A;;FR;;;WD)", Some("D:(A;;FA;;;WD)"), 2).unwrap();
        assert_eq!((wider.enforced.is_ok(), wider.proposed.is_ok()), (false, true));
        let maximum = difference("(A;;FA;;;WD)", "D:(A;;FR;;;WD)", Some("D:(A;;FX;;;WD)"), 0x0200_0000).unwrap();
        assert_eq!(maximum.proposed.unwrap().bits(), 0x12_00A0);
    }

    #[test]
    fn section_3_14_staging_is_silent_where_nothing_differs() {
        assert_eq!(difference("(A;;FA;;;WD)", "D:(A;;FA;;;WD)", None, 2), None);
        assert_eq!(difference("(A;;FA;;;WD)", "D:(A;;FA;;;WD)", Some("D:(A;;FR;;;WD)"), 1), None);
        // The object's own DACL refuses either way.
        assert_eq!(difference("(A;;FR;;;WD)", "D:(A;;FR;;;WD)", Some("D:(A;;FA;;;WD)"), 2), None);
    }
}
