//! Which accesses are put on record.

use vicar_nt::acl::AclRef;
use vicar_nt::check::{AccessMode, AccessRequest, AuditedBy, Subject, audit, decide};
use vicar_nt::descriptor::Sacl;
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, GroupAttributes, RequestedMask, sddl, well_known};

/// Asks for rights of an object that grants everyone 0x1; the second SACL holds for all objects of the type.
fn check(sacl: &str, global: &str, desired: u32, mode: AccessMode) -> Option<AuditedBy> {
    let token = TokenState::builder(well_known::unix_user(1000))
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::ADMINISTRATORS, GroupAttributes::USE_FOR_DENY_ONLY)
        .group(well_known::USERS, GroupAttributes::empty())
        .build()
        .unwrap();
    let sd = sddl::parse(&format!("O:S-1-22-1-1000G:SYD:(A;;0x1;;;WD){sacl}"), None).unwrap();
    let global = sddl::parse(global, None).unwrap();
    let list: AclRef<'_> = match global.as_ref().sacl() {
        Sacl::List(list) => list,
        Sacl::Absent | Sacl::Null => AclRef::EMPTY,
    };
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    let request = AccessRequest { mode, ..request };
    audit(&request, &decide(&request), list)
}

#[test]
fn success_and_failure_are_recorded_as_the_flags_say() {
    let object = |index| Some(AuditedBy::Object { index });
    for (sacl, desired, expected) in [
        ("", 1, None),
        ("S:(AU;SA;0x1;;;WD)", 1, object(0)),
        ("S:(AU;FA;0x1;;;WD)", 1, None),
        ("S:(AU;SA;0x2;;;WD)", 1, None),
        ("S:(AU;FA;0x2;;;WD)", 2, object(0)),
        ("S:(AU;FA;0x1;;;WD)", 2, None),
        ("S:(AU;SA;GR;;;WD)", 1, object(0)),
        ("S:(AU;IOSA;0x1;;;WD)", 1, None),
        ("S:(AU;SA;0x1;;;BG)(AU;SA;0x1;;;BA)", 1, object(1)),
        ("S:(AU;SA;0x1;;;BU)", 1, None),
        ("S:(AU;SA;0x1;;;OW)", 1, object(0)),
        ("S:(OU;SA;0x1;00000000-0000-0000-0000-0000000000a1;;WD)", 1, None),
        ("S:(XU;SA;0x1;;;WD;(Exists @User.a))", 1, None),
        ("S:(XU;SA;0x1;;;WD;(@User.a == 1))", 1, object(0)),
        ("S:(AL;SA;0x1;;;WD)", 1, None),
        ("S:(AU;SA;0x1;;;WD)", 0x0200_0000, object(0)),
        ("S:(AU;FA;0x2;;;WD)", 0x0200_0002, object(0)),
    ] {
        assert_eq!(check(sacl, "", desired, AccessMode::User), expected, "{sacl} {desired:#x}");
    }
}

#[test]
fn either_list_is_enough_and_the_kernel_is_not_recorded() {
    let global = "S:(AU;SA;0x1;;;WD)";
    assert_eq!(check("", global, 1, AccessMode::User), Some(AuditedBy::Global { index: 0 }));
    assert_eq!(check(global, global, 1, AccessMode::User), Some(AuditedBy::Object { index: 0 }));
    assert_eq!(check(global, global, 1, AccessMode::Kernel), None);
}
