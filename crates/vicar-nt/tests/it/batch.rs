//! Batches answer as single checks do.

use proptest::prelude::*;
use vicar_nt::batch::{PreparedSubject, PreparedToken, Question, decide_prepared, each_descriptor, each_subject};
use vicar_nt::check::{CheckOptions, ObjectType, OwnerWhenWriteRestricted, Subject, UnknownAces, decide};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, Guid, ImpersonationLevel, RequestedMask, Sid, sddl, well_known};

use crate::model::{questions, tokens};

fn server() -> TokenState {
    TokenState::builder(well_known::NULL).build().unwrap()
}

/// As the questions of single checks are asked, with every switch that the SIDs of a token can matter to.
fn question(desired: u32, previous: u32, is_implied: bool) -> Question<'static> {
    let owner = OwnerWhenWriteRestricted::Implied;
    let options = CheckOptions { owner_when_write_restricted: owner, ..CheckOptions::STRICT };
    Question {
        previously_granted: RequestedMask(previous),
        options: if is_implied { options } else { CheckOptions::STANDARD },
        ..Question::new(RequestedMask(desired), GenericMapping::FILE)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_column_of_descriptors_is_answered_as_each_of_them(
        asked in proptest::collection::vec(questions(), 1..6),
        is_implied in any::<bool>(),
        is_client in any::<bool>(),
    ) {
        let (token, server) = (&asked[0].token, server());
        let prepared = PreparedToken::new(token);
        let subject = match is_client {
            true => PreparedSubject::client(&prepared, ImpersonationLevel::Impersonation, &server),
            false => PreparedSubject::itself(&prepared),
        };
        let question = question(asked[0].desired, asked[0].previous, is_implied);
        let column: Vec<Descriptor> = asked.iter().map(|asked| asked.descriptor()).collect();
        let answers: Vec<_> = each_descriptor(subject, &question, column.iter().map(Descriptor::as_ref)).collect();
        prop_assert_eq!(answers.len(), column.len());
        for (answer, sd) in answers.iter().zip(&column) {
            let single = question.about(subject.subject(), Some(sd.as_ref()));
            prop_assert_eq!(answer, &decide(&single));
            prop_assert_eq!(answer, &decide_prepared(subject, &question, Some(sd.as_ref())));
        }
    }

    #[test]
    fn many_subjects_are_answered_as_each_of_them(asked in questions(), tokens in proptest::collection::vec(tokens(), 0..6)) {
        let sd = asked.descriptor();
        let question = question(asked.desired, asked.previous, false);
        let subjects = tokens.iter().map(Subject::itself);
        let answers: Vec<_> = each_subject(&question, sd.as_ref(), subjects).collect();
        let singles: Vec<_> =
            tokens.iter().map(|token| decide(&question.about(Subject::itself(token), Some(sd.as_ref())))).collect();
        prop_assert_eq!(answers, singles);
    }

    #[test]
    fn object_types_and_unknown_entries_are_answered_alike(asked in questions(), listed in 0usize..4) {
        let types: Vec<ObjectType> =
            [0u16, 1, 2].into_iter().zip(0u8..).map(|(level, n)| ObjectType { level, guid: Guid([n; 16]) }).collect();
        let options = CheckOptions { unknown_aces: UnknownAces::Refuse, ..CheckOptions::STANDARD };
        let plain = Question { options, ..question(asked.desired, asked.previous, false) };
        let question = Question { object_types: &types[..listed.min(3)], ..plain };
        let (sd, prepared) = (asked.descriptor(), PreparedToken::new(&asked.token));
        let subject = PreparedSubject::itself(&prepared);
        let single = question.about(subject.subject(), Some(sd.as_ref()));
        prop_assert_eq!(decide_prepared(subject, &question, Some(sd.as_ref())), decide(&single));
    }
}

#[test]
fn special_entries_are_answered_alike() {
    let user: Sid = "S-1-5-21-1-2-3-1001".parse().unwrap();
    let token = TokenState::builder(user)
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::USERS, GroupAttributes::USE_FOR_DENY_ONLY)
        .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
        .build()
        .unwrap();
    let prepared = PreparedToken::from(&token);
    assert_eq!(prepared.state(), &token);
    for text in [
        "O:S-1-5-21-1-2-3-1001G:SYD:(A;;0x3;;;OW)",
        "O:SYG:SYD:(A;;0x3;;;PS)",
        "O:SYG:SYD:(D;;0x1;;;BU)(A;;0x3;;;BU)",
        "O:SYG:SYD:(XA;;0x3;;;WD;(Member_of {SID(BU)}))",
        "O:SYG:SYD:(OA;;0x3;00000000-0000-0000-0000-0000000000a1;;WD)(A;;0x1;;;WD)",
        "O:SYG:SYD:NO_ACCESS_CONTROL",
        "O:SYG:SYD:",
        "O:SYG:SY",
        "O:SYG:SYD:(A;;FA;;;WD)S:(ML;;NWNR;;;HI)",
        "O:SYG:SYD:(A;;FA;;;WD)S:(SP;;;;;S-1-17-9)",
    ] {
        let sd = sddl::parse(text, None).unwrap();
        for desired in [0x1, 0x2, 0x3, 0x2_0000, RequestedMask::MAXIMUM_ALLOWED.0, 0x0100_0000, 0] {
            let question = Question {
                self_sid: Some(user.as_ref()),
                ..Question::new(RequestedMask(desired), GenericMapping::FILE)
            };
            let subject = PreparedSubject::itself(&prepared);
            let single = question.about(subject.subject(), Some(sd.as_ref()));
            assert_eq!(format!("{:?}", single.question()), format!("{question:?}"));
            assert_eq!(decide_prepared(subject, &question, Some(sd.as_ref())), decide(&single), "{text} {desired:#x}");
        }
    }
}
