use super::*;
use crate::mask::RequestedMask;
use crate::{IntegrityLevel, well_known};
use alloc::vec;
use alloc::vec::Vec;

fn sample() -> Vec<u8> {
    let acl = Acl::builder().allow(&well_known::EVERYONE, RequestedMask(1), AceFlags::empty()).build().unwrap();
    acl.as_ref().as_bytes().to_vec()
}

#[test]
fn a_built_acl_reads_back() {
    let acl = Acl::builder()
        .deny(&well_known::GUESTS, RequestedMask::GENERIC_ALL, AceFlags::INHERITED)
        .label(IntegrityLevel::HIGH, 1, AceFlags::empty())
        .build()
        .unwrap();
    let aces: Vec<_> = acl.as_ref().aces().collect();
    assert_eq!(aces[0].kind(), AceKind::Deny);
    assert_eq!(aces[0].flags(), AceFlags::INHERITED);
    assert_eq!(aces[0].parts().unwrap().sid, well_known::GUESTS);
    assert_eq!(aces[1].kind(), AceKind::MandatoryLabel);
    assert_eq!(Acl::parse(acl.as_ref().as_bytes()).unwrap(), acl);
}

#[test]
fn malformed_acls_are_named_by_offset() {
    let change = |at: usize, byte: u8| {
        let mut bytes = sample();
        bytes[at] = byte;
        bytes
    };
    for (bytes, kind, at, item) in [
        (vec![], Malformed::Acl, 0, "ACL revision"),
        (vec![2, 0, 8, 0], Malformed::Acl, 4, "ACE count"),
        (change(0, 5), Malformed::Revision, 0, "ACL revision"),
        (change(0, 1), Malformed::Revision, 0, "ACL revision"),
        (change(2, 9), Malformed::Acl, 2, "ACL size"),
        (change(2, 4), Malformed::Acl, 2, "ACL size"),
        (change(2, 32), Malformed::Acl, 28, "ACL size"),
        (change(4, 2), Malformed::Acl, 28, "ACE type"),
        (change(10, 6), Malformed::Acl, 10, "ACE size"),
        (change(10, 0), Malformed::Acl, 10, "ACE size"),
        (change(10, 24), Malformed::Acl, 28, "ACE size"),
        (change(10, 16), Malformed::Acl, 24, "SID sub-authorities"),
        (change(10, 4), Malformed::Acl, 12, "ACE mask"),
        (change(16, 2), Malformed::Acl, 16, "SID revision"),
        (change(17, 16), Malformed::Acl, 17, "SID sub-authority count"),
    ] {
        assert_eq!(AclRef::parse(&bytes).unwrap_err(), ParseError::at(kind, at, item), "{bytes:?}");
    }
}

#[test]
fn slack_is_carried_and_ignored() {
    for slack in (4..=44).step_by(4) {
        let mut bytes = sample();
        bytes[2] += u8::try_from(slack).unwrap();
        bytes.resize(bytes.len() + slack, 0xAA);
        let acl = Acl::parse(&bytes).unwrap();
        assert_eq!(acl.as_ref().aces().count(), 1);
        assert_eq!(acl.as_ref().as_bytes(), bytes);
    }
}

#[test]
fn unknown_types_are_carried_verbatim_and_stepped_over() {
    let mut bytes = vec![2, 0, 36, 0, 2, 0, 0, 0, 0x77, 0xFF, 8, 0, 1, 2, 3, 4];
    bytes.extend_from_slice(&sample()[8..]);
    let acl = Acl::parse(&bytes).unwrap();
    let aces: Vec<_> = acl.as_ref().aces().collect();
    assert_eq!(aces[0].kind(), AceKind::Unknown(0x77));
    assert!(aces[0].parts().is_none());
    assert_eq!(aces[1].kind(), AceKind::Allow);
    let copy = aces.iter().fold(Acl::builder(), AclBuilder::verbatim).build().unwrap();
    assert_eq!(copy, acl);
}

#[test]
fn an_acl_that_is_too_long_cannot_be_built() {
    let grow = |count| {
        let add = |acl: AclBuilder, _| acl.allow(&well_known::EVERYONE, RequestedMask(1), AceFlags::empty());
        (0..count).fold(Acl::builder(), add).build()
    };
    assert_eq!(grow(3276).unwrap().as_ref().as_bytes().len(), 65_528);
    assert_eq!(grow(3277).unwrap_err(), AclTooLong);
}

#[test]
fn every_type_number_round_trips() {
    for number in 0..=u8::MAX {
        assert_eq!(AceKind::from_number(number).number(), number);
    }
}
