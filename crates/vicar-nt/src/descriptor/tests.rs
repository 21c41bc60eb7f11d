use super::*;
use crate::acl::{AceFlags, Acl};
use crate::mask::RequestedMask;
use crate::status::NtStatus;
use crate::well_known;
use alloc::vec;
use alloc::vec::Vec;

fn sample() -> Descriptor {
    let acl = Acl::builder().allow(&well_known::EVERYONE, RequestedMask(1), AceFlags::empty()).build().unwrap();
    Descriptor::builder().owner(well_known::LOCAL_SYSTEM).group(well_known::LOCAL_SYSTEM).dacl(acl).build().unwrap()
}

#[test]
fn a_built_descriptor_reads_back_as_it_is() {
    let built = sample();
    let read = Descriptor::parse(built.as_bytes()).unwrap();
    assert_eq!(read, built);
    assert_eq!(read.as_ref().owner(), Some(well_known::LOCAL_SYSTEM.as_ref()));
    assert!(matches!(read.as_ref().dacl(), Dacl::List(list) if list.count() == 1));
    assert_eq!(read.as_ref().sacl(), Sacl::Absent);
}

#[test]
fn null_empty_and_absent_are_three_things() {
    let dacl = |builder: Builder| Descriptor::parse(builder.build().unwrap().as_bytes()).unwrap();
    assert_eq!(dacl(Descriptor::builder()).as_ref().dacl(), Dacl::Absent);
    assert_eq!(dacl(Descriptor::builder().null_dacl()).as_ref().dacl(), Dacl::Null);
    let empty = dacl(Descriptor::builder().dacl(Acl::builder().build().unwrap()));
    assert_eq!(empty.as_ref().dacl(), Dacl::List(AclRef::EMPTY));
}

#[test]
fn malformed_descriptors_are_named_by_offset_and_status() {
    let good = sample().as_bytes().to_vec();
    let change = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let end = good.len();
    let rows: Vec<(Vec<u8>, usize, &str, NtStatus)> = vec![
        (vec![], 0, "descriptor header", NtStatus::INVALID_SECURITY_DESCR),
        (good[..19].to_vec(), 19, "descriptor header", NtStatus::INVALID_SECURITY_DESCR),
        (change(0, 2), 0, "descriptor revision", NtStatus::UNKNOWN_REVISION),
        (change(3, 0), 2, "self-relative bit", NtStatus::INVALID_SECURITY_DESCR),
        (change(4, 2), 4, "owner offset", NtStatus::INVALID_SECURITY_DESCR),
        (change(4, 16), 4, "owner offset", NtStatus::INVALID_SECURITY_DESCR),
        (change(4, 0xFC), 4, "owner offset", NtStatus::INVALID_SECURITY_DESCR),
        (change(7, 0xFF), 4, "owner offset", NtStatus::INVALID_SECURITY_DESCR),
        (change(8, 21), 8, "group offset", NtStatus::INVALID_SECURITY_DESCR),
        (change(16, 22), 16, "DACL offset", NtStatus::INVALID_SECURITY_DESCR),
        (change(20, 5), 20, "ACL revision", NtStatus::UNKNOWN_REVISION),
        (change(22, 9), 22, "ACL size", NtStatus::INVALID_ACL),
        (change(30, 6), 30, "ACE size", NtStatus::INVALID_ACL),
        (change(49, 16), 49, "SID sub-authority count", NtStatus::INVALID_SID),
        (good[..end - 1].to_vec(), end - 1, "SID sub-authorities", NtStatus::INVALID_SID),
    ];
    for (bytes, at, item, status) in rows {
        let error = DescriptorRef::parse(&bytes).unwrap_err();
        assert_eq!((error.at_byte(), error.item(), error.status()), (at, item, status));
        assert!(Descriptor::parse(&bytes).is_err());
    }
}

#[test]
fn the_offset_of_an_acl_that_is_not_present_is_not_read() {
    let mut bytes = sample().as_bytes().to_vec();
    bytes[12..16].copy_from_slice(&[0xFF; 4]);
    assert_eq!(DescriptorRef::parse(&bytes).unwrap().sacl(), Sacl::Absent);
    bytes[2] |= 0x10;
    assert_eq!(DescriptorRef::parse(&bytes).unwrap_err().item(), "SACL offset");
}

#[test]
fn parts_may_overlap_and_leave_gaps() {
    let mut bytes = sample().as_bytes().to_vec();
    let owner = bytes[4..8].to_vec();
    bytes[8..12].copy_from_slice(&owner);
    bytes.extend_from_slice(&[0xEE; 7]);
    let read = DescriptorRef::parse(&bytes).unwrap();
    assert_eq!(read.owner(), read.group());
    assert_eq!(read.as_bytes().len(), bytes.len());
    assert_eq!(read.to_descriptor().as_bytes(), bytes);
}
