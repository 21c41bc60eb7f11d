//! Claims, conditions and entries: bytes and values, both ways.

use proptest::prelude::*;
use vicar_nt::acl::{Acl, AclRef};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimRef, ClaimType, Value};
use vicar_nt::condition::token::{Class, Membership, Relation, Whose};
use vicar_nt::condition::{Attribute, Condition, Operand};
use vicar_nt::privilege::Need;
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{Sid, sddl};

use crate::model::people;

/// A value that owns what it refers to.
#[derive(Clone, Debug)]
enum Owned {
    Number(i128),
    Text(Vec<u8>),
    Program(u64, Vec<u8>),
    Sid(Sid),
    Truth(bool),
    Octets(Vec<u8>),
}

impl Owned {
    fn borrow(&self) -> Value<'_> {
        let text = |bytes| Utf16::from_bytes(bytes).unwrap();
        match self {
            Self::Number(number) => Value::Integer(*number),
            Self::Text(bytes) => Value::Text(text(bytes)),
            Self::Program(version, name) => Value::Fqbn { version: *version, name: text(name) },
            Self::Sid(sid) => Value::Sid(sid.as_ref()),
            Self::Truth(truth) => Value::Boolean(*truth),
            Self::Octets(octets) => Value::Octets(octets),
        }
    }
}

/// UTF-16 without NUL, also with half a surrogate pair.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1u16.., 0..6).prop_map(|units| units.into_iter().flat_map(u16::to_le_bytes).collect())
}

fn claims() -> impl Strategy<Value = (ClaimType, Vec<Owned>)> {
    let octets = proptest::collection::vec(any::<u8>(), 0..9);
    let list = |values: BoxedStrategy<Owned>| proptest::collection::vec(values, 1..4);
    prop_oneof![
        list(any::<i64>().prop_map(|number| Owned::Number(number.into())).boxed())
            .prop_map(|values| (ClaimType::Int64, values)),
        list(any::<u64>().prop_map(|number| Owned::Number(number.into())).boxed())
            .prop_map(|values| (ClaimType::Uint64, values)),
        list(texts().prop_map(Owned::Text).boxed()).prop_map(|values| (ClaimType::Text, values)),
        list((any::<u64>(), texts()).prop_map(|(version, name)| Owned::Program(version, name)).boxed())
            .prop_map(|values| (ClaimType::Fqbn, values)),
        list(proptest::sample::select(people()).prop_map(Owned::Sid).boxed())
            .prop_map(|values| (ClaimType::Sid, values)),
        list(any::<bool>().prop_map(Owned::Truth).boxed()).prop_map(|values| (ClaimType::Boolean, values)),
        list(octets.prop_map(Owned::Octets).boxed()).prop_map(|values| (ClaimType::Octets, values)),
    ]
}

/// Conditions of every kind of token.
fn conditions() -> impl Strategy<Value = Condition> {
    let classes = [Class::Local, Class::User, Class::Resource, Class::Device];
    let names =
        proptest::sample::select(vec!["a", "Project", "x/y.z:1", "%name with (all) \"of\" them!", "é\u{1F600}"]);
    let attributes = (proptest::sample::select(classes.to_vec()), names)
        .prop_map(|(class, name)| Attribute::new(class, name).unwrap());
    let relations = [
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::LessOrEqual,
        Relation::Greater,
        Relation::GreaterOrEqual,
        Relation::Contains,
        Relation::AnyOf,
        Relation::NotContains,
        Relation::NotAnyOf,
    ];
    let words = proptest::sample::select(vec!["", "word", "two words", "é\u{1F600}"])
        .prop_map(|word| Owned::Text(encode(word)));
    let values = prop_oneof![
        any::<i64>().prop_map(|number| Owned::Number(number.into())),
        words,
        proptest::sample::select(people()).prop_map(Owned::Sid),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Owned::Octets),
    ];
    let relation = proptest::sample::select(relations.to_vec());
    let compare = (relation, attributes.clone(), proptest::collection::vec(values, 0..4), any::<bool>());
    let compare = compare.prop_map(|(relation, left, values, is_list)| {
        let values: Vec<Value<'_>> = values.iter().map(Owned::borrow).collect();
        let right = match &values[..] {
            [value] if !is_list => Operand::Value(*value),
            values => Operand::List(values),
        };
        Condition::compare(relation, &left, right).unwrap()
    });
    let members = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        proptest::collection::vec(proptest::sample::select(people()), 0..3),
    );
    let members = members.prop_map(|(device, any, is_negated, sids)| {
        let whose = if device { Whose::Device } else { Whose::User };
        let need = if any { Need::Any } else { Need::All };
        Condition::member(Membership { whose, need, is_negated }, &sids).unwrap()
    });
    let leaf = prop_oneof![
        compare,
        members,
        attributes.clone().prop_map(|attribute| Condition::exists(&attribute)),
        attributes.clone().prop_map(|attribute| Condition::not_exists(&attribute)),
        attributes.prop_map(|attribute| Condition::attribute(&attribute)),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(&b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(&b)),
            inner.prop_map(|a| a.negated()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn claims_of_every_type_survive_the_way_to_bytes_and_back((kind, values) in claims(), name in "[a-z ]{1,4}", flags in any::<u32>()) {
        let name = encode(&name);
        let name = Utf16::from_bytes(&name).unwrap();
        let flags = ClaimFlags::from_bits_retain(flags);
        let values: Vec<Value<'_>> = values.iter().map(Owned::borrow).collect();
        let claim = Claim::new(name, kind, flags, &values).unwrap();
        let read = ClaimRef::parse(claim.as_bytes()).unwrap();
        prop_assert_eq!((read.name(), read.kind(), read.flags()), (name, kind, flags));
        let again: Vec<Value<'_>> = read.values().collect();
        prop_assert_eq!(&again, &values);
        prop_assert_eq!(Claim::new(read.name(), read.kind(), read.flags(), &again).unwrap(), claim);
    }

    #[test]
    fn conditions_survive_the_way_to_bytes_and_text_and_back(condition in conditions()) {
        prop_assert_eq!(Condition::parse(condition.as_bytes()).unwrap(), condition.clone());
        let text = sddl::print_condition(&condition, None).unwrap();
        let again = sddl::parse_condition(&text, None);
        prop_assert_eq!(again.as_ref(), Ok(&condition), "{}", text);
    }

    #[test]
    fn a_condition_that_parses_has_one_answer_and_keeps_its_bytes(bytes in proptest::collection::vec(proptest::sample::select(vec![0x04u8, 0x10, 0x18, 0x50, 0x51, 0x80, 0x87, 0x89, 0xA0, 0xA2, 0xF8, 0xF9, 0, 1, 2, 3]), 0..24)) {
        let data = [&b"artx"[..], &bytes].concat();
        if let Ok(condition) = Condition::parse(&data) {
            prop_assert!(data.starts_with(condition.as_bytes()));
            prop_assert!(data[condition.as_bytes().len()..].iter().all(|byte| *byte == 0));
            prop_assert_eq!(Condition::parse(condition.as_bytes()).unwrap(), condition);
        }
    }

    #[test]
    fn a_list_that_parses_is_rebuilt_from_its_entries(count in 0u16..4, bytes in proptest::collection::vec(prop_oneof![0u8..0x18, Just(1u8), Just(0u8), Just(16u8), Just(20u8)], 0..80)) {
        let size = u16::try_from(bytes.len() / 4 * 4 + 8).unwrap();
        let data = [&[2u8, 0], &size.to_le_bytes()[..], &count.to_le_bytes(), &[0, 0], &bytes].concat();
        if let Ok((list, _)) = AclRef::parse(&data) {
            let copy = list.aces().fold(Acl::builder(), |acl, ace| acl.verbatim(&ace)).build().unwrap();
            prop_assert!(copy.as_ref().aces().eq(list.aces()));
            prop_assert_eq!(Acl::parse(copy.as_ref().as_bytes()).unwrap(), copy);
        }
    }
}
