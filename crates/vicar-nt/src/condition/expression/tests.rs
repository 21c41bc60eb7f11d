use super::*;
use crate::condition::token::Whose;
use crate::privilege::Need;
use crate::utf16::Utf16;
use crate::{sddl, well_known};
use alloc::string::String;
use alloc::vec;

fn attribute(class: Class, name: &str) -> Attribute {
    Attribute::new(class, name).unwrap()
}

fn text_of(condition: &Condition) -> String {
    assert_eq!(Condition::parse(condition.as_bytes()).unwrap(), *condition);
    let text = sddl::print_condition(condition, None).unwrap();
    assert_eq!(sddl::parse_condition(&text, None).unwrap(), *condition, "{text}");
    text
}

#[test]
fn every_operator_can_be_built_and_means_its_text() {
    let a = attribute(Class::User, "a");
    let one = Operand::Value(Value::Integer(1));
    for (relation, text) in [
        (Relation::Equal, "=="),
        (Relation::NotEqual, "!="),
        (Relation::Less, "<"),
        (Relation::LessOrEqual, "<="),
        (Relation::Greater, ">"),
        (Relation::GreaterOrEqual, ">="),
        (Relation::Contains, "Contains"),
        (Relation::AnyOf, "Any_of"),
        (Relation::NotContains, "Not_Contains"),
        (Relation::NotAnyOf, "Not_Any_of"),
    ] {
        let condition = Condition::compare(relation, &a, one).unwrap();
        assert_eq!(text_of(&condition), alloc::format!("(@USER.a {text} 1)"));
    }
    for (whose, need, is_negated, text) in [
        (Whose::User, Need::All, false, "Member_of"),
        (Whose::User, Need::Any, false, "Member_of_any"),
        (Whose::Device, Need::All, false, "Device_Member_of"),
        (Whose::Device, Need::Any, false, "Device_Member_of_Any"),
        (Whose::User, Need::All, true, "Not_Member_of"),
        (Whose::User, Need::Any, true, "Not_Member_of_Any"),
        (Whose::Device, Need::All, true, "Not_Device_Member_of"),
        (Whose::Device, Need::Any, true, "Not_Device_Member_of_Any"),
    ] {
        let sids = [well_known::EVERYONE, well_known::ADMINISTRATORS];
        let condition = Condition::member(Membership { whose, need, is_negated }, &sids).unwrap();
        assert_eq!(text_of(&condition), alloc::format!("({text} {{SID(WD), SID(BA)}})"));
    }
    let (local, device) = (attribute(Class::Local, "b"), attribute(Class::Device, "c"));
    let both = Condition::exists(&local).and(&Condition::not_exists(&device)).or(&Condition::attribute(&a).negated());
    assert_eq!(text_of(&both), "(((Exists b) && (Not_Exists @DEVICE.c)) || !(@USER.a))");
}

#[test]
fn every_value_a_condition_can_hold_is_written() {
    let a = attribute(Class::Resource, "a");
    let word = utf16::encode("w");
    let word = Value::Text(Utf16::from_bytes(&word).unwrap());
    let sid = Value::Sid(well_known::EVERYONE.as_ref());
    let all = [Value::Integer(-7), Value::Integer(i64::MAX.into()), word, sid, Value::Octets(&[1, 0xAB])];
    let list = Condition::compare(Relation::AnyOf, &a, Operand::List(&all)).unwrap();
    assert_eq!(text_of(&list), "(@RESOURCE.a Any_of {-7, 9223372036854775807, \"w\", SID(WD), #01ab})");
    let empty = Condition::compare(Relation::Contains, &a, Operand::List(&[])).unwrap();
    assert_eq!(text_of(&empty), "(@RESOURCE.a Contains {})");
    let user = attribute(Class::User, "b");
    let other = Condition::compare(Relation::Equal, &a, Operand::Attribute(&user)).unwrap();
    assert_eq!(text_of(&other), "(@RESOURCE.a == @USER.b)");
}

#[test]
fn a_condition_that_cannot_be_is_not_made() {
    let a = attribute(Class::User, "a");
    let local = attribute(Class::Local, "l");
    let program = Value::Fqbn { version: 1, name: Utf16::from_bytes(&[]).unwrap() };
    let list = [Value::Integer(1), program];
    let compare = |right| Condition::compare(Relation::Equal, &a, right).unwrap_err();
    assert_eq!(compare(Operand::Attribute(&local)), ConditionError::LocalAttributeOnRight);
    assert_eq!(compare(Operand::Value(Value::Boolean(true))), ConditionError::NotALiteral);
    assert_eq!(compare(Operand::List(&list)), ConditionError::NotALiteral);
    assert_eq!(compare(Operand::Value(Value::Integer(1 << 64))), ConditionError::Number);
    assert!(Attribute::new(Class::User, "").is_none() && Attribute::new(Class::User, "a\0").is_none());
}

#[test]
fn section_1_8_malformed_conditions_are_named_by_offset_and_item() {
    let name: &[u8] = &[0xF9, 2, 0, 0, 0, 0x61, 0];
    let int: &[u8] = &[0x04, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2];
    let sid: &[u8] = &[0x51, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1];
    let changed = |bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        bytes
    };
    for (tail, at, item) in [
        (vec![], 4, "answer"),
        (vec![0], 4, "answer"),
        (name.repeat(2), 18, "answer"),
        (int.to_vec(), 15, "answer"),
        (vec![0xFF], 4, "condition token"),
        (vec![0x7F], 4, "condition token"),
        ([name, &[0, 0, 0, 0]].concat(), 11, "condition token"),
        ([name, &[0, 0x87]].concat(), 11, "condition token"),
        (vec![0xA0], 4, "operand"),
        (vec![0xA2], 4, "operand"),
        ([name, &[0xA1]].concat(), 11, "operand"),
        ([int, &[0xA2]].concat(), 15, "operand"),
        ([int, &[0x87]].concat(), 15, "operand"),
        ([name, &[0x89]].concat(), 11, "operand"),
        ([int, int, &[0x80]].concat(), 26, "operand"),
        ([name, int, &[0x80, 0xA0]].concat(), 23, "operand"),
        ([name, name, int, &[0x80, 0x80]].concat(), 30, "operand"),
        (name[..3].to_vec(), 5, "length"),
        (name[..6].to_vec(), 9, "data of a token"),
        (changed(name, 4, 0xFF), 9, "data of a token"),
        ([&[0xF9, 1, 0, 0, 0, 0x61][..], &[0x87]].concat(), 4, "condition token"),
        (int[..5].to_vec(), 5, "integer literal"),
        (int[..9].to_vec(), 13, "integer sign"),
        (int[..10].to_vec(), 14, "integer base"),
        (changed(int, 9, 4), 5, "integer literal"),
        (changed(int, 9, 0), 5, "integer literal"),
        (changed(int, 10, 4), 5, "integer literal"),
        (changed(&changed(int, 0, 1), 2, 1), 5, "integer literal"),
        (changed(&changed(int, 0, 2), 3, 1), 5, "integer literal"),
        (changed(&changed(int, 0, 3), 5, 1), 5, "integer literal"),
        (changed(sid, 5, 2), 5, "literal"),
        (changed(sid, 1, 7), 5, "literal"),
        ([&[0x50, 11, 0, 0, 0][..], &changed(int, 0, 0x60)].concat(), 5, "literal"),
        (vec![0x50, 5, 0, 0, 0, 0x50, 0, 0, 0, 0], 5, "literal"),
        (vec![0x10, 1, 0, 0, 0, 0x61], 5, "literal"),
    ] {
        let data = [&SIGNATURE[..], &tail].concat();
        let error = Condition::parse(&data).unwrap_err();
        assert_eq!((error.kind(), error.at_byte(), error.item()), (Malformed::Condition, at, item), "{tail:x?}");
    }
    for data in [&b""[..], b"art", b"arty\x87"] {
        let error = Condition::parse(data).unwrap_err();
        assert_eq!((error.at_byte(), error.item()), (0, "condition signature"));
    }
}

#[test]
fn padding_is_left_out_and_comes_back_in_an_entry() {
    let name = [0xF9, 2, 0, 0, 0, 0x61, 0];
    let data = [&SIGNATURE[..], &name, &[0x87]].concat();
    for padding in 0..=3usize {
        let padded = [&data[..], &vec![0; padding]].concat();
        assert_eq!(Condition::parse(&padded).unwrap().as_bytes(), data);
    }
}
