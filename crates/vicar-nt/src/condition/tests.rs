use super::*;
use crate::acl::AclRef;
use crate::token::TokenState;
use crate::well_known;

fn eval(tail: &[u8]) -> Truth {
    let token = TokenState::builder(well_known::EVERYONE).build().unwrap();
    let facts =
        Facts { token: &token, resource: AclRef::EMPTY, effect: Effect::Allow, readings: crate::Readings::empty() };
    evaluate(&[&b"artx"[..], tail].concat(), &facts)
}

#[test]
fn unknown_is_neither_true_nor_false() {
    use Truth::{False, True, Unknown};
    let rows = [
        (False, True, False, True),
        (False, Unknown, False, Unknown),
        (True, Unknown, Unknown, True),
        (Unknown, Unknown, Unknown, Unknown),
    ];
    for (a, b, and, or) in rows {
        assert_eq!((a.and(b), b.and(a)), (and, and));
        assert_eq!((a.or(b), b.or(a)), (or, or));
    }
    assert_eq!(Unknown.negated(), Unknown);
    assert!(applies(Effect::Deny, Unknown) && !applies(Effect::Allow, Unknown));
}

#[test]
fn whatever_does_not_come_to_one_answer_is_unknown() {
    let int: &[u8] = &[0x04, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2];
    let name: &[u8] = &[0xF9, 2, 0, 0, 0, 0x61, 0];
    let exists: &[u8] = &[0x87];
    assert_eq!(eval(&[name, exists].concat()), Truth::False);
    assert_eq!(eval(&[name, exists, &[0, 0, 0]].concat()), Truth::False);
    for bad in [
        [name, exists, &[0, 0, 0, 0]].concat(),
        [name, exists, &[0, 1]].concat(),
        [name, exists, name].concat(),
        [int, int, &[0x80]].concat(),
        [int, exists].concat(),
        [int].concat(),
        [&[0xA0][..]].concat(),
        [&[0xFF][..]].concat(),
        [&[0xF9, 3, 0, 0, 0, 0x61, 0, 0][..], exists].concat(),
        [&[0xF9, 0xFF, 0xFF, 0xFF, 0xFF][..], exists].concat(),
        [name, &[0x01, 0, 1, 0, 0, 0, 0, 0, 0, 3, 2][..], &[0x80]].concat(),
        [name, &[0x04, 1, 0, 0, 0, 0, 0, 0, 0, 4, 2][..], &[0x80]].concat(),
        [name, &[0x50, 5, 0, 0, 0, 0x50, 0, 0, 0, 0][..], &[0x80]].concat(),
    ] {
        assert_eq!(eval(&bad), Truth::Unknown, "{bad:x?}");
    }
}

#[test]
fn data_that_is_not_a_condition_is_unknown() {
    let token = TokenState::builder(well_known::EVERYONE).build().unwrap();
    let facts =
        Facts { token: &token, resource: AclRef::EMPTY, effect: Effect::Deny, readings: crate::Readings::empty() };
    for data in [&b""[..], b"art", b"arty\x00\x00\x00\x00", b"artx"] {
        assert_eq!(evaluate(data, &facts), Truth::Unknown);
    }
}
