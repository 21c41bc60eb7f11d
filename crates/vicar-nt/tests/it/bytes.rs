//! Whatever the bytes are: an answer, never a panic, and never more than there is.

use proptest::prelude::*;
use vicar_nt::Sid;
use vicar_nt::acl::AclRef;
use vicar_nt::claim::ClaimRef;
use vicar_nt::condition::{Effect, Facts, Truth, evaluate};
use vicar_nt::descriptor::DescriptorRef;
use vicar_nt::token::TokenState;
use vicar_nt::well_known;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_break_a_reader(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
        let _ = Sid::parse(&bytes);
        let _ = AclRef::parse(&bytes);
        let _ = ClaimRef::parse(&bytes);
        let _ = DescriptorRef::parse(&bytes);
    }

    #[test]
    fn a_parsed_sid_accounts_for_every_byte(bytes in proptest::collection::vec(0u8..4, 0..80)) {
        if let Ok((sid, rest)) = Sid::parse(&bytes) {
            prop_assert_eq!([sid.as_bytes(), rest].concat(), bytes);
            prop_assert_eq!(sid.sub_authorities().len() * 4 + 8, sid.as_bytes().len());
        }
    }

    #[test]
    fn no_condition_breaks_the_evaluation(tail in proptest::collection::vec(tokens(), 0..12), junk in proptest::collection::vec(any::<u8>(), 0..4)) {
        let token = TokenState::builder(well_known::EVERYONE).build().unwrap();
        let facts = Facts { token: &token, resource: AclRef::EMPTY, effect: Effect::Allow, readings: vicar_nt::Readings::empty() };
        let data = [&b"artx"[..], &tail.concat(), &junk].concat();
        let truth = evaluate(&data, &facts);
        prop_assert!(matches!(truth, Truth::True | Truth::False | Truth::Unknown));
    }
}

fn tokens() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(vec![
        vec![0xF9, 2, 0, 0, 0, 0x61, 0],
        vec![0x04, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2],
        vec![0x10, 2, 0, 0, 0, 0x61, 0],
        vec![0x50, 0, 0, 0, 0],
        vec![0x51, 12, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        vec![0x80],
        vec![0x87],
        vec![0x89],
        vec![0x92],
        vec![0xA0],
        vec![0xA1],
        vec![0xA2],
        vec![0],
    ])
}
