//! Which accesses are put on record.

use vicar_nt::acl::AclRef;
use vicar_nt::check::{
    AccessMode, AccessRequest, AuditedBy, ObjectType, Subject, audit, audit_each, decide, decide_each, may_record,
};
use vicar_nt::descriptor::Sacl;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{
    GenericMapping, GroupAttributes, Guid, ImpersonationLevel, NtStatus, Privilege, RequestedMask, sddl, well_known,
};

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

/// Asks for rights of each node of {object, set, {two properties}, set}, of which everyone has 0x10 on the first property.
fn check_each(sacl: &str, global: &str, desired: u32, mode: AccessMode) -> Vec<Option<AuditedBy>> {
    let guid = |n: u8| Guid([n; 16]);
    let token = TokenState::builder(well_known::unix_user(1000))
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .build()
        .unwrap();
    let text = |n: u8| guid(n).to_string();
    let sd = format!("O:SYG:SYD:(OA;;0x10;{};;WD){sacl}", text(2));
    let (sd, global) = (sddl::parse(&sd, None).unwrap(), sddl::parse(global, None).unwrap());
    let types: Vec<ObjectType> =
        [0u16, 1, 2, 2, 1].into_iter().zip(0u8..).map(|(level, n)| ObjectType { level, guid: guid(n) }).collect();
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, sd.as_ref(), RequestedMask(desired), GenericMapping::DIRECTORY_SERVICE);
    let request = AccessRequest { object_types: &types, mode, ..request };
    let answers = decide_each(&request).unwrap();
    audit_each(&request, &answers, global.as_ref().sacl().entries())
}

#[test]
fn section_6_every_node_is_recorded_as_its_own_answer_was() {
    let object = |index| Some(AuditedBy::Object { index });
    let set = Guid([1; 16]).to_string();
    for (sacl, expected) in [
        ("S:".to_owned(), vec![None; 5]),
        ("S:(AU;SA;0x10;;;WD)".to_owned(), vec![None, None, object(0), None, None]),
        ("S:(AU;FA;0x10;;;WD)".to_owned(), vec![object(0), object(0), None, object(0), object(0)]),
        ("S:(AU;FA;0x20;;;WD)".to_owned(), vec![None; 5]),
        ("S:(AU;SAFA;0x10;;;WD)".to_owned(), vec![object(0); 5]),
        // An entry about a set is about the set and what is in it.
        (format!("S:(OU;SAFA;0x10;{set};;WD)"), vec![None, object(0), object(0), object(0), None]),
        (
            format!("S:(OU;SA;0x10;{set};;WD)(AU;FA;0x10;;;WD)"),
            vec![object(1), object(1), object(0), object(1), object(1)],
        ),
        (format!("S:(OU;SAFA;0x10;{};;WD)", Guid([9; 16])), vec![None; 5]),
        (format!("S:(OU;SAFA;0x10;;{set};WD)"), vec![object(0); 5]),
    ] {
        assert_eq!(check_each(&sacl, "S:", 0x10, AccessMode::User), expected, "{sacl}");
    }
    let global = check_each("S:(AU;SA;0x10;;;WD)", "S:(AU;FA;0x10;;;WD)", 0x10, AccessMode::User);
    let by_global = Some(AuditedBy::Global { index: 0 });
    assert_eq!(global, [by_global, by_global, object(0), by_global, by_global]);
    assert_eq!(check_each("S:(AU;SAFA;0x10;;;WD)", "S:", 0x10, AccessMode::Kernel), [None; 5]);
}

#[test]
fn section_6_the_process_needs_a_privilege_to_write_records() {
    let token = |state: Option<PrivilegeState>| {
        let token = TokenState::builder(well_known::unix_user(1000));
        state.map_or(token.clone(), |state| token.privilege(Privilege::Audit, state)).build().unwrap()
    };
    let (none, disabled) = (token(None), token(Some(PrivilegeState::Disabled)));
    let enabled = token(Some(PrivilegeState::Enabled));
    let refused = Err(NtStatus::PRIVILEGE_NOT_HELD);
    assert_eq!(may_record(&Subject::itself(&none)), refused);
    assert_eq!(may_record(&Subject::itself(&disabled)), refused);
    assert_eq!(may_record(&Subject::itself(&enabled)), Ok(()));
    for level in ImpersonationLevel::ALL {
        assert_eq!(may_record(&Subject::client(&enabled, level, &none)), refused, "{level:?}: a client gives nothing");
        assert_eq!(may_record(&Subject::client(&none, level, &enabled)), Ok(()), "{level:?}: nor takes anything away");
    }
}
