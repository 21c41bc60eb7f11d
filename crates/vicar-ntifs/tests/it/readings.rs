//! Uncertain rules of inheritance are read as the world's policy says.

use std::ptr::null_mut;

use vicar_kernel::Policy;
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::{Readings, sddl};
use vicar_ntifs::testing::Options;
use vicar_ntifs::verifier::Mode;
use vicar_ntifs::*;

use crate::call::c;
use crate::stage::{SUCCESS, Stage, no_subject};

static FILE: GENERIC_MAPPING = GENERIC_MAPPING {
    GenericRead: 0x12_0089,
    GenericWrite: 0x12_0116,
    GenericExecute: 0x12_00A0,
    GenericAll: 0x1F_01FF,
};

fn stage(readings: Readings) -> Stage {
    let mut policy = Policy::strict();
    policy.readings = readings;
    Stage::with(Options { policy, verifier: Mode::Collected, ..Options::STANDARD })
}

/// The SACL of a descriptor in pool, which is freed.
fn sacl_of(mut made: PSECURITY_DESCRIPTOR, len: usize) -> String {
    let mut bytes = vec![0u8; len];
    let mut length = u32::try_from(len).unwrap();
    let all: SECURITY_INFORMATION = 0xF;
    let mut source = made;
    let status =
        c!(SeQuerySecurityDescriptorInfo(&raw const all, bytes.as_mut_ptr().cast(), &raw mut length, &raw mut source));
    assert_eq!(status, SUCCESS);
    assert_eq!(c!(SeDeassignSecurity(&raw mut made)), SUCCESS);
    let text = sddl::print(DescriptorRef::parse(&bytes).unwrap(), None).unwrap();
    text.split_once("S:").unwrap().1.to_owned()
}

fn bytes_of(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap()
}

#[test]
fn new_objects_inherit_as_the_policy_reads_the_rules() {
    let (parent, creator) = (bytes_of("O:SYG:SYS:(AU;OISA;0x1000001;;;WD)"), bytes_of("G:SY"));
    let entries = [Readings::empty(), Readings::AUDIT_WITHOUT_SYSTEM_SECURITY].map(|readings| {
        let stage = stage(readings);
        let (mut made, mut subject) = (null_mut(), no_subject());
        c!(SeCaptureSubjectContext(&raw mut subject));
        let [from, wishes] = [&parent, &creator].map(|block| block.as_bytes().as_ptr().cast_mut().cast());
        let file = &raw const FILE;
        let status = c!(SeAssignSecurity(from, wishes, &raw mut made, 0, &raw const subject, file, 1));
        c!(SeReleaseSubjectContext(&raw mut subject));
        assert_eq!(status, SUCCESS);
        let text = sacl_of(made, 256);
        stage.clean();
        text
    });
    assert_eq!(entries, ["(AU;SA;0x1000001;;;WD)", "(AU;SA;CC;;;WD)"]);
}

#[test]
fn objects_are_changed_as_the_policy_reads_the_rules() {
    let new = bytes_of("S:(AU;SA;0x1000001;;;WD)");
    let old = bytes_of("O:SYG:SY");
    let entries = [Readings::empty(), Readings::AUDIT_WITHOUT_SYSTEM_SECURITY].map(|readings| {
        let stage = stage(readings);
        let mut place: PSECURITY_DESCRIPTOR = old.as_bytes().as_ptr().cast_mut().cast();
        let parts: SECURITY_INFORMATION = 8;
        let from = new.as_bytes().as_ptr().cast_mut().cast();
        let (parts, file) = (&raw const parts, &raw const FILE);
        let status = c!(SeSetSecurityDescriptorInfo(null_mut(), parts, from, &raw mut place, 1, file));
        assert_eq!(status, SUCCESS);
        let text = sacl_of(place, 256);
        stage.clean();
        text
    });
    assert_eq!(entries, ["(AU;SA;0x1000001;;;WD)", "(AU;SA;CC;;;WD)"]);
}
