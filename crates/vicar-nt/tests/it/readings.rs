//! Both readings of every uncertain rule.

use vicar_nt::acl::{Acl, ApplicationData, Entry, Inheritance};
use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign, assign_by};
use vicar_nt::check::{
    AccessMode, AccessRequest, AuditedBy, CentralPolicy, CentralRule, CheckOptions, Subject, audit, decide,
};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::descriptor::{Dacl, Descriptor};
use vicar_nt::privilege::{LuidAndAttributes, Need, PrivilegeAttributes, PrivilegeState, check_by, check_token_by};
use vicar_nt::token::{Builder, Filter, FilterFlags, TokenState};
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{
    GenericMapping, GroupAttributes, IntegrityLevel, NtStatus, Privilege, Readings, RequestedMask, Sid, sddl,
    well_known,
};

const MAXIMUM: u32 = 0x0200_0000;

fn me() -> Builder {
    TokenState::builder(well_known::unix_user(1)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
}

fn sd(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is granted, or the status.
fn ask(token: Builder, object: &Descriptor, desired: u32, readings: Readings) -> Result<u32, NtStatus> {
    let token = token.build().unwrap();
    let options = CheckOptions { readings, ..CheckOptions::STANDARD };
    let request =
        AccessRequest::new(Subject::itself(&token), object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    decide(&AccessRequest { options, ..request }).map(|grant| grant.mask().bits()).map_err(|denial| denial.status())
}

const DENIED: Result<u32, NtStatus> = Err(NtStatus::ACCESS_DENIED);

/// Asks one question both ways.
fn both(reading: Readings, token: Builder, text: &str, desired: u32) -> [Result<u32, NtStatus>; 2] {
    [Readings::empty(), reading].map(|readings| ask(token.clone(), &sd(text), desired, readings))
}

fn claim(kind: ClaimType, flags: ClaimFlags, values: &[Value<'_>]) -> Claim {
    let name = encode("a");
    Claim::new(Utf16::from_bytes(&name).unwrap(), kind, flags, values).unwrap()
}

/// Whether an allow entry with a condition applies, both ways, to a user whose claim `a` is this.
fn holds(reading: Readings, claim: Claim, condition: &str) -> [bool; 2] {
    let text = format!("O:SYG:SYD:(XA;;0x1;;;WD;{condition})");
    both(reading, me().user_claim(claim), &text, 1).map(|answer| answer.is_ok())
}

fn numbers(values: &[i128]) -> Claim {
    let kind =
        if values.iter().any(|value| i64::try_from(*value).is_err()) { ClaimType::Uint64 } else { ClaimType::Int64 };
    let values: Vec<Value<'_>> = values.iter().map(|value| Value::Integer(*value)).collect();
    claim(kind, ClaimFlags::empty(), &values)
}

#[test]
fn section_3_4_whom_a_filter_is_for() {
    let text = "O:SYG:SYD:(A;;FA;;;WD)S:(FL;;0x1;;;BG;(Exists a))";
    assert_eq!(both(Readings::FILTER_FOR_ITS_SID, me(), text, 2), [DENIED, Ok(2)]);
}

#[test]
fn section_3_5_a_token_without_a_level() {
    let text = "O:SYG:SYD:(A;;FA;;;WD)";
    assert_eq!(both(Readings::NO_LEVEL_IS_MEDIUM, me().no_integrity(), text, 2), [DENIED, Ok(2)]);
}

#[test]
fn section_3_5_a_label_and_system_security() {
    let reading = Readings::LABEL_SPARES_SYSTEM_SECURITY;
    let low = || me().integrity(IntegrityLevel::LOW);
    let text = "O:SYG:SYD:(A;;FA;;;WD)";
    let not_held = Err(NtStatus::PRIVILEGE_NOT_HELD);
    assert_eq!(both(reading, low(), text, 0x0100_0000), [DENIED, not_held]);
    let auditor = low().privilege(Privilege::Security, PrivilegeState::Enabled);
    assert_eq!(both(reading, auditor, text, 0x0100_0000), [DENIED, Ok(0x0100_0000)]);
}

fn package() -> Builder {
    me().app_container("S-1-15-2-1-2-3-4-5-6-7".parse().unwrap()).integrity(IntegrityLevel::LOW)
}

#[test]
fn section_3_6_privileges_of_a_package() {
    let owner = package().privilege(Privilege::TakeOwnership, PrivilegeState::Enabled);
    assert_eq!(both(Readings::PRIVILEGES_FOR_PACKAGES, owner, "O:SYG:SYD:", 0x8_0000), [DENIED, Ok(0x8_0000)]);
}

#[test]
fn section_3_10_who_is_a_restricted_package() {
    let text = "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;S-1-15-2-2)";
    let reading = Readings::RESTRICTED_PACKAGES_ARE_LPAC;
    assert_eq!(both(reading, package(), text, 1), [Ok(1), DENIED]);
    assert_eq!(both(reading, package().less_privileged(), text, 1), [Ok(1), Ok(1)]);
}

#[test]
fn section_3_7_owner_rights_that_are_only_inherited() {
    let text = "O:S-1-22-1-1G:SYD:(A;OICIIO;0x1;;;OW)";
    assert_eq!(both(Readings::INHERITED_OWNER_RIGHTS, me(), text, 0x2_0000), [Ok(0x2_0000), DENIED]);
}

#[test]
fn section_3_8_rights_that_the_type_does_not_have() {
    let text = "O:SYG:SYD:(A;;0x201;;;WD)";
    assert_eq!(both(Readings::RIGHTS_OF_THE_TYPE, me(), text, 0x200), [Ok(0x200), DENIED]);
    assert_eq!(both(Readings::RIGHTS_OF_THE_TYPE, me(), text, MAXIMUM), [Ok(0x201), Ok(1)]);
}

#[test]
fn section_3_9_what_writing_is_for_a_write_restricted_token() {
    let token = || me().restricting(well_known::WRITE_RESTRICTED).write_restricted();
    let text = "O:SYG:SYD:(A;;FA;;;WD)";
    assert_eq!(both(Readings::WRITING_BY_MAPPING, token(), text, 0x1_0000), [DENIED, Ok(0x1_0000)]);
    assert_eq!(both(Readings::WRITING_BY_MAPPING, token(), text, 2), [DENIED, DENIED]);
}

#[test]
fn section_1_7_callback_data_that_is_no_condition() {
    let everyone = &well_known::EVERYONE;
    let data = ApplicationData::new(b"resource manager").unwrap();
    let object = |entry: Entry<'_>| {
        let acl = Acl::builder().with(entry).with(Entry::allow(everyone, RequestedMask(3))).build().unwrap();
        Descriptor::builder().owner(well_known::LOCAL_SYSTEM).group(well_known::LOCAL_SYSTEM).dacl(acl).build().unwrap()
    };
    let deny = object(Entry::deny(everyone, RequestedMask(1)).with_application_data(data).into());
    assert_eq!(ask(me(), &deny, 1, Readings::empty()), DENIED);
    assert_eq!(ask(me(), &deny, 1, Readings::FOREIGN_DATA_DOES_NOT_DENY), Ok(1));
    let allow = object(Entry::allow(everyone, RequestedMask(4)).with_application_data(data).into());
    assert_eq!(ask(me(), &allow, 4, Readings::empty()), DENIED);
    assert_eq!(ask(me(), &allow, 4, Readings::FOREIGN_DATA_DOES_NOT_DENY), DENIED);
    // A condition that is malformed is a condition: it is unknown, and denies.
    let name = sddl::parse_condition("(@User.a)", None).unwrap();
    let entry = Entry::deny(everyone, RequestedMask(1)).when(&name).inherited(Inheritance::empty());
    assert_eq!(ask(me(), &object(entry.into()), 1, Readings::FOREIGN_DATA_DOES_NOT_DENY), DENIED);
}

#[test]
fn section_3_13_resource_attributes_that_are_only_inherited_or_repeated() {
    let inherited = "O:SYG:SYD:(XA;;0x1;;;WD;(@Resource.p == 3))S:(RA;IO;;;;WD;(\"p\",TU,0,3))";
    assert_eq!(both(Readings::INHERITED_ATTRIBUTES, me(), inherited, 1), [DENIED, Ok(1)]);
    let twice = "O:SYG:SYD:(XA;;0x1;;;WD;(@Resource.p == 3))S:(RA;;;;;WD;(\"p\",TU,0,3))(RA;;;;;WD;(\"P\",TU,0,4))";
    assert_eq!(both(Readings::REPEATED_ATTRIBUTES_ARE_MISSING, me(), twice, 1), [Ok(1), DENIED]);
}

#[test]
fn section_3_13_claims_for_deny_only() {
    let claim = claim(ClaimType::Int64, ClaimFlags::USE_FOR_DENY_ONLY, &[Value::Integer(1)]);
    assert_eq!(holds(Readings::DENY_ONLY_CLAIMS_ALLOW, claim.clone(), "(@User.a == 1)"), [false, true]);
    let deny = "O:SYG:SYD:(XD;;0x1;;;WD;(@User.a == 2))(A;;0x1;;;WD)";
    // In a deny entry it counts either way: the condition is false, not unknown.
    assert_eq!(both(Readings::DENY_ONLY_CLAIMS_ALLOW, me().user_claim(claim), deny, 1), [Ok(1), Ok(1)]);
}

#[test]
fn section_3_13_the_truth_of_what_has_none() {
    for claim in [
        numbers(&[1, 2]),
        claim(ClaimType::Sid, ClaimFlags::empty(), &[Value::Sid(well_known::EVERYONE.as_ref())]),
        claim(ClaimType::Octets, ClaimFlags::empty(), &[Value::Octets(&[1])]),
    ] {
        assert_eq!(holds(Readings::NO_TRUTH_IS_FALSE, claim.clone(), "(!(@User.a))"), [false, true]);
        assert_eq!(holds(Readings::NO_TRUTH_IS_FALSE, claim, "(@User.a)"), [false, false]);
    }
    assert_eq!(holds(Readings::NO_TRUTH_IS_FALSE, numbers(&[1]), "(!(@User.none))"), [false, false]);
}

#[test]
fn section_3_13_numbers_by_value_or_by_bits() {
    let condition = "(@User.a == 0xffffffffffffffff)";
    assert_eq!(holds(Readings::NUMBERS_BY_BITS, numbers(&[u64::MAX.into()]), condition), [false, true]);
    assert_eq!(holds(Readings::NUMBERS_BY_BITS, numbers(&[u64::MAX.into()]), "(@User.a > 0)"), [true, false]);
    assert_eq!(holds(Readings::NUMBERS_BY_BITS, numbers(&[-1]), condition), [true, true]);
    assert_eq!(holds(Readings::NUMBERS_BY_BITS, numbers(&[7]), "(@User.a > 5)"), [true, true]);
}

#[test]
fn section_3_13_text_is_ordered_in_one_case() {
    let text = encode("_");
    let text = [Value::Text(Utf16::from_bytes(&text).unwrap())];
    let claim = claim(ClaimType::Text, ClaimFlags::empty(), &text);
    assert_eq!(holds(Readings::TEXT_ORDER_IN_LOWER_CASE, claim.clone(), "(@User.a > \"z\")"), [true, false]);
    assert_eq!(holds(Readings::TEXT_ORDER_IN_LOWER_CASE, claim, "(@User.a == \"_\")"), [true, true]);
}

#[test]
fn section_3_13_one_value_and_a_list_of_one() {
    let reading = Readings::ONE_VALUE_IS_NO_LIST;
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a == {1})"), [true, false]);
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a != {2})"), [true, false]);
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a == {1, 1})"), [true, true]);
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a == 1)"), [true, true]);
}

#[test]
fn section_3_13_empty_lists() {
    let reading = Readings::EMPTY_LISTS_ANSWER;
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a Contains {})"), [false, true]);
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a Not_Contains {})"), [false, false]);
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a Not_Any_of {})"), [false, true]);
    assert_eq!(holds(reading, numbers(&[1]), "(@User.a Any_of {})"), [false, false]);
}

/// Asks about an object with a central policy of one rule.
fn by_rule(
    reading: Readings,
    token: &Builder,
    object: &str,
    rule: &str,
    applies: Option<&str>,
    desired: u32,
) -> [Result<u32, NtStatus>; 2] {
    let (object, rule) = (sd(&format!("{object}S:(SP;;;;;S-1-17-9)")), sd(rule));
    let applies = applies.map(|text| sddl::parse_condition(text, None).unwrap());
    let applies = applies.as_ref().map(|condition| condition.as_bytes());
    let rules = [CentralRule { applies, descriptor: rule.as_ref(), proposed: None }];
    let id: Sid = "S-1-17-9".parse().unwrap();
    let policies = [CentralPolicy { id: id.as_ref(), rules: &rules }];
    let token = token.clone().build().unwrap();
    [Readings::empty(), reading].map(|readings| {
        let options = CheckOptions { readings, ..CheckOptions::STANDARD };
        let subject = Subject::itself(&token);
        let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
        let answer = decide(&AccessRequest { options, policies: &policies, ..request });
        answer.map(|grant| grant.mask().bits()).map_err(|denial| denial.status())
    })
}

#[test]
fn section_3_14_owner_and_privileges_under_a_rule() {
    let reading = Readings::RULES_WITHOUT_OWNER;
    let mine = "O:S-1-22-1-1G:SYD:(A;;FA;;;WD)";
    assert_eq!(by_rule(reading, &me(), mine, "D:(A;;0x1;;;WD)", None, 0x2_0001), [Ok(0x2_0001), DENIED]);
    let auditor = me().privilege(Privilege::Security, PrivilegeState::Enabled);
    let other = "O:SYG:SYD:(A;;FA;;;WD)";
    assert_eq!(by_rule(reading, &auditor, other, "D:(A;;FA;;;WD)", None, 0x0100_0001), [Ok(0x0100_0001), DENIED]);
}

#[test]
fn section_3_14_a_rule_without_a_dacl() {
    let object = "O:SYG:SYD:(A;;FA;;;WD)";
    for rule in ["D:NO_ACCESS_CONTROL", ""] {
        assert_eq!(by_rule(Readings::RULES_WITHOUT_DACL_REFUSE, &me(), object, rule, None, 1), [Ok(1), DENIED]);
    }
}

#[test]
fn section_3_14_a_rule_of_which_it_is_unknown_whether_it_applies() {
    let object = "O:SYG:SYD:(A;;FA;;;WD)";
    let reading = Readings::UNKNOWN_RULES_APPLY;
    assert_eq!(by_rule(reading, &me(), object, "D:", Some("(@User.none == 1)"), 1), [Ok(1), DENIED]);
    assert_eq!(by_rule(reading, &me(), object, "D:", Some("(Exists @User.none)"), 1), [Ok(1), Ok(1)]);
}

/// Whether an access is recorded, both ways.
fn recorded(reading: Readings, token: Builder, text: &str, desired: u32) -> [bool; 2] {
    let (token, object, none) = (token.build().unwrap(), sd(text), sd("S:"));
    [Readings::empty(), reading].map(|readings| {
        let options = CheckOptions { readings, ..CheckOptions::STANDARD };
        let subject = Subject::itself(&token);
        let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
        let request = AccessRequest { options, ..request };
        audit(&request, &decide(&request), none.as_ref().sacl().entries()) == Some(AuditedBy::Object { index: 0 })
    })
}

#[test]
fn section_6_whose_access_is_recorded() {
    let token = || me().group(well_known::GUESTS, GroupAttributes::USE_FOR_DENY_ONLY);
    let text = "O:SYG:SYD:(A;;0x1;;;WD)S:(AU;SA;0x1;;;BG)";
    assert_eq!(recorded(Readings::AUDIT_ENABLED_GROUPS, token(), text, 1), [true, false]);
    let text = "O:SYG:SYD:(A;;0x1;;;WD)S:(AU;SA;0x1;;;WD)";
    assert_eq!(recorded(Readings::AUDIT_ENABLED_GROUPS, token(), text, 1), [true, true]);
}

#[test]
fn section_6_an_audit_entry_whose_condition_is_unknown() {
    let text = "O:SYG:SYD:(A;;0x1;;;WD)S:(XU;SA;0x1;;;WD;(@User.none == 1))";
    assert_eq!(recorded(Readings::UNKNOWN_IS_NOT_AUDITED, me(), text, 1), [true, false]);
    let text = "O:SYG:SYD:(A;;0x1;;;WD)S:(XU;SA;0x1;;;WD;(Not_Exists @User.none))";
    assert_eq!(recorded(Readings::UNKNOWN_IS_NOT_AUDITED, me(), text, 1), [true, true]);
}

#[test]
fn section_6_a_refused_maximum() {
    let reading = Readings::MAXIMUM_AUDITED_BY_NAME;
    let text = "O:SYG:SYD:S:(AU;FA;0x2;;;WD)";
    assert_eq!(recorded(reading, me(), text, MAXIMUM), [true, false]);
    assert_eq!(recorded(reading, me(), text, MAXIMUM | 1), [true, false]);
    assert_eq!(recorded(reading, me(), text, MAXIMUM | 2), [true, true]);
}

/// The descriptor of a new file, both ways.
fn assigned(reading: Readings, token: Builder, parent: &str, creator: &str) -> [Result<String, NtStatus>; 2] {
    let token = token.primary_group(well_known::EVERYONE).build().unwrap();
    let (parent, creator) = (sd(parent), sd(creator));
    let object = NewObject {
        parent: Some(parent.as_ref()),
        creator: Some(creator.as_ref()),
        token: &token,
        kind: ObjectKind::Leaf,
        flags: AssignFlags::empty(),
        object_types: &[],
        mapping: GenericMapping::FILE,
        server: None,
    };
    assert_eq!(assign(&object), assign_by(&object, Readings::empty()));
    [Readings::empty(), reading].map(|readings| {
        assign_by(&object, readings).map(|new| sddl::print(new.as_ref(), None).unwrap().replace("O:S-1-22-1-1G:WD", ""))
    })
}

#[test]
fn section_5_1_a_user_for_deny_only_as_owner() {
    let owner = GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER;
    let token = || me().group(well_known::USERS, owner).owner(well_known::USERS).user_deny_only();
    let refused = Err(NtStatus::INVALID_OWNER);
    let made = Ok(String::new());
    assert_eq!(assigned(Readings::DENY_ONLY_USER_OWNS, token(), "", "O:S-1-22-1-1"), [refused.clone(), made]);
    assert_eq!(assigned(Readings::DENY_ONLY_USER_OWNS, token(), "", "O:SY"), [refused.clone(), refused]);
}

#[test]
fn section_5_3_the_rights_of_an_audit_entry_that_is_inherited() {
    let made = |text: &str| Ok(text.to_owned());
    let reading = Readings::AUDIT_WITHOUT_SYSTEM_SECURITY;
    let parent = "S:(AU;OISA;0x1000001;;;WD)";
    assert_eq!(assigned(reading, me(), parent, ""), [made("S:(AU;SA;0x1000001;;;WD)"), made("S:(AU;SA;CC;;;WD)")]);
}

#[test]
fn section_5_3_trust_labels_and_filters_of_a_parent() {
    let made = |text: &str| Ok(text.to_owned());
    let parent = "S:(TL;OI;FR;;;S-1-19-512-4096)(FL;OI;FR;;;WD;(a))(SP;OI;;;;S-1-17-1)";
    let all = made("S:(TL;;FR;;;S-1-19-512-4096)(FL;;FR;;;WD;(a))(SP;;;;;S-1-17-1)");
    assert_eq!(assigned(Readings::TRUST_AND_FILTERS_STAY, me(), parent, ""), [all, made("S:(SP;;;;;S-1-17-1)")]);
}

#[test]
fn section_5_4_the_label_of_what_a_low_creator_makes() {
    let low = me().integrity(IntegrityLevel::LOW);
    let made = |text: &str| Ok(text.to_owned());
    assert_eq!(assigned(Readings::LOW_CREATORS_DO_NOT_LABEL, low, "", ""), [made("S:(ML;;NW;;;LW)"), made("")]);
}

#[test]
fn section_4_any_one_of_no_privileges() {
    let token = me().build().unwrap();
    let subject = Subject::itself(&token);
    let readings = [Readings::empty(), Readings::EMPTY_LIST_HAS_ANY];
    let has = |need, mode| readings.map(|readings| check_by(&subject, &mut [], need, mode, readings));
    assert_eq!(has(Need::Any, AccessMode::User), [false, true]);
    assert_eq!(has(Need::All, AccessMode::User), [true, true]);
    assert_eq!(has(Need::Any, AccessMode::Kernel), [true, true]);
    let handed = readings.map(|readings| check_token_by(&token, None, &mut [], Need::Any, readings));
    assert_eq!(handed, [Ok(false), Ok(true)]);
    let wanted = || [LuidAndAttributes::new(Privilege::Debug, PrivilegeAttributes::empty())];
    let one = readings.map(|readings| check_by(&subject, &mut wanted(), Need::Any, AccessMode::User, readings));
    assert_eq!(one, [false, false], "a list that is not empty is read as ever");
}

#[test]
fn section_7_domain_groups_of_an_administrator_who_has_not_elevated() {
    let domain_admins = "S-1-5-21-1-2-3-512".parse().unwrap();
    let mut token = me();
    for group in [domain_admins, well_known::ADMINISTRATORS] {
        token = token.group(group, GroupAttributes::ALWAYS_ENABLED);
    }
    let token = token.build().unwrap();
    let filter = Filter { flags: FilterFlags::LUA_TOKEN, disable: &[], delete: &[], restrict: &[] };
    let counts = [Readings::empty(), Readings::LUA_KEEPS_DOMAIN_GROUPS].map(|readings| {
        let weak = token.filter_by(&filter, readings).unwrap();
        [domain_admins, well_known::ADMINISTRATORS].map(|group| weak.counts_for_allow(group.as_ref()))
    });
    assert_eq!(counts, [[false, false], [true, false]]);
}

#[test]
fn section_2_2_types_of_an_entry_that_has_none() {
    let guid = "bf967aba-0de6-11d0-a285-00aa003049e2";
    let read = |text: &str| {
        [Readings::empty(), Readings::PLAIN_ENTRIES_REFUSE_TYPES].map(|readings| {
            let sd = sddl::parse_by(text, None, readings).map_err(|error| error.at)?;
            Ok::<String, usize>(sddl::print(sd.as_ref(), None).unwrap())
        })
    };
    let plain = Ok("D:(A;;FR;;;WD)".to_owned());
    assert_eq!(read(&format!("D:(A;;FR;{guid};;WD)")), [plain.clone(), Err(9)]);
    assert_eq!(read(&format!("D:(A;;FR;;{guid};WD)")), [plain.clone(), Err(9)]);
    assert_eq!(read("D:(A;;FR;;;WD)"), [plain.clone(), plain]);
    let typed = format!("D:(OA;;FR;{guid};;WD)");
    assert_eq!(read(&typed), [Ok(typed.clone()), Ok(typed.clone())]);
}

#[test]
fn section_2_2_slack_of_entries_for_types_without_types() {
    let read = |readings| {
        let sd = sddl::parse_by("D:(OA;;RP;;;WD)", None, readings).unwrap();
        let Dacl::List(list) = sd.as_ref().dacl() else { panic!("no list") };
        (list.revision(), list.as_bytes().len())
    };
    assert_eq!([Readings::empty(), Readings::NO_SLACK_FOR_TYPES].map(read), [(4, 32), (2, 28)]);
}
