//! What must hold for every question.

use proptest::prelude::*;
use vicar_nt::check::{AccessRequest, ObjectType, Subject, decide, decide_each, explain};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, Guid, ImpersonationLevel, IntegrityLevel, RequestedMask, well_known};

use crate::model::{Entry, MAXIMUM, Question, model, package, people, questions, tokens};

fn ask<R>(question: &Question, sd: &Descriptor, ask: impl FnOnce(&AccessRequest<'_>) -> R) -> R {
    let server = TokenState::builder(well_known::NULL).build().unwrap();
    let subject = Subject::client(&question.token, ImpersonationLevel::Impersonation, &server);
    let request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(question.desired), GenericMapping::FILE);
    ask(&AccessRequest { previously_granted: RequestedMask(question.previous), ..request })
}

fn granted(question: &Question) -> u32 {
    ask(question, &question.descriptor(), |request| decide(request).map_or(0, |grant| grant.mask().bits()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_answer_is_that_of_a_model_that_looks_at_one_right_at_a_time(mut question in questions()) {
        question.label = Some((IntegrityLevel::LOW.0, 7));
        prop_assert_eq!(granted(&question), model(&question).unwrap_or(0));
    }

    #[test]
    fn explaining_and_deciding_agree(question in questions()) {
        let sd = question.descriptor();
        ask(&question, &sd, |request| {
            let (answer, steps) = explain(request);
            prop_assert_eq!(answer, decide(request));
            prop_assert!(!steps.is_empty());
            Ok(())
        })?;
    }

    #[test]
    fn a_grant_never_exceeds_the_request(question in questions()) {
        let mapping = GenericMapping::FILE;
        let sd = question.descriptor();
        let wanted = mapping.map(RequestedMask(question.desired | question.previous)).bits();
        let mask = ask(&question, &sd, |request| decide(request).map_or(0, |grant| grant.mask().bits()));
        prop_assert_eq!(mask & MAXIMUM, 0);
        if question.desired & MAXIMUM == 0 {
            prop_assert_eq!(mask & !wanted, 0);
        }
        if mask != 0 {
            prop_assert_eq!(mask & (wanted & !MAXIMUM), wanted & !MAXIMUM);
        }
    }

    #[test]
    fn a_deny_in_front_never_adds_rights(mut question in questions(), who in 0usize..6, mask in any::<u32>()) {
        let before = granted(&question);
        let deny = Entry { is_deny: true, is_inherit_only: false, sid: people()[who], mask };
        question.dacl.insert(0, deny);
        prop_assert_eq!(granted(&question) & !before, 0);
    }

    #[test]
    fn removing_a_group_never_adds_rights_through_allow_entries(mut question in questions(), which in 0usize..4) {
        question.dacl.retain(|entry| !entry.is_deny);
        // Most of what a group can do, it does where as much as possible is asked for and the group owns the object.
        question.desired |= MAXIMUM;
        if let Some(group) = question.token.groups().get(which) {
            question.owner = group.sid;
        }
        let before = granted(&question);
        let token = &question.token;
        let kept = token.groups().iter().enumerate().filter(|(index, _)| *index != which).map(|(_, group)| *group);
        let mut fewer = TokenState::builder(token.user().sid).groups(kept);
        if !token.user().attributes.counts_for_allow() {
            fewer = fewer.user_deny_only();
        }
        for group in token.restricting_sids() {
            fewer = fewer.restricting(group.sid);
        }
        if token.is_write_restricted() {
            fewer = fewer.write_restricted();
        }
        if let Some(container) = token.app_container() {
            fewer = fewer.app_container(*container.package()).capability(container.capabilities()[0].sid);
            if container.is_lpac() {
                fewer = fewer.less_privileged();
            }
        }
        question.token = fewer.integrity(token.integrity().unwrap()).build().unwrap();
        prop_assert_eq!(granted(&question) & !before, 0);
    }

    #[test]
    fn lowering_integrity_never_adds_rights_through_allow_entries(mut question in questions(), level in 0u32..0x3000) {
        // Everybody may do everything, as far as the label lets through.
        let everything = |sid| Entry { is_deny: false, is_inherit_only: false, sid, mask: 0x1000_0000 };
        question.dacl = people().into_iter().chain(package()).map(everything).collect();
        question.desired = MAXIMUM;
        let before = granted(&question);
        let own = question.token.integrity().unwrap();
        let lower = IntegrityLevel(level.min(own.0));
        question.token = question.token.with_integrity(lower);
        prop_assert_eq!(granted(&question) & !before, 0);
    }

    /// Where no privilege can answer (they are never volunteered), and no right is asked for by name beside the maximum.
    #[test]
    fn maximum_allowed_is_the_union_of_single_rights(mut question in questions()) {
        question.previous = 0;
        question.token = question.token.disable_all_privileges().state;
        question.desired = MAXIMUM;
        let maximum = granted(&question);
        let mut union = 0;
        for bit in (0..24).map(|shift| 1u32 << shift) {
            question.desired = bit;
            union |= granted(&question);
        }
        prop_assert_eq!(maximum, union);
    }

    #[test]
    fn enabling_fewer_privileges_never_adds_rights(mut question in questions(), rights in 1u32..4) {
        question.desired = if rights & 1 != 0 { 0x8_0000 } else { 0 } | if rights & 2 != 0 { 0x0100_0000 } else { 0 };
        let before = granted(&question);
        question.token = question.token.disable_all_privileges().state;
        prop_assert_eq!(granted(&question) & !before, 0);
    }

    #[test]
    fn restricting_a_token_never_adds_rights(mut question in questions(), who in 0usize..6) {
        let before = granted(&question);
        if question.token.is_restricted() || question.token.app_container().is_some() {
            return Ok(());
        }
        let token = &question.token;
        let mut fewer = TokenState::builder(token.user().sid).groups(token.groups().iter().copied());
        if !token.user().attributes.counts_for_allow() {
            fewer = fewer.user_deny_only();
        }
        let fewer = fewer.restricting(people()[who]).integrity(token.integrity().unwrap());
        question.token = fewer.build().unwrap();
        prop_assert_eq!(granted(&question) & !before, 0);
    }

    #[test]
    fn what_is_in_force_decides_what_is_granted(question in questions(), token in tokens()) {
        let full = Question { token: token.clone(), ..question.clone() };
        let effective = Question { token: token.effective_only(), ..question };
        prop_assert_eq!(granted(&full), granted(&effective));
    }

    #[test]
    fn the_root_of_a_list_is_answered_as_the_object_is(question in questions()) {
        let sd = question.descriptor();
        let types = [0u16, 1, 2, 2, 1].into_iter().zip(0u8..).map(|(level, n)| ObjectType { level, guid: Guid([n; 16]) });
        let types: Vec<ObjectType> = types.collect();
        ask(&question, &sd, |request| {
            let plain = decide(request).map(|grant| grant.mask());
            let request = AccessRequest { object_types: &types, ..*request };
            let listed = decide(&request).map(|grant| grant.mask());
            prop_assert_eq!(&listed, &plain);
            if let Ok(nodes) = decide_each(&request) {
                prop_assert_eq!(nodes.len(), types.len());
                prop_assert_eq!(nodes[0].status.is_success(), plain.is_ok());
                if let Ok(mask) = plain {
                    prop_assert!(nodes.iter().all(|node| node.granted == mask));
                }
            } else {
                prop_assert!(plain.is_err());
            }
            Ok(())
        })?;
    }
}
