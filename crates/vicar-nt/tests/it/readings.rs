//! Both readings of every uncertain rule.

use vicar_nt::acl::{Acl, ApplicationData, Entry, Inheritance};
use vicar_nt::assign::{AssignFlags, NewObject, ObjectKind, assign, assign_by};
use vicar_nt::batch::{PreparedSubject, PreparedToken, Question, decide_prepared};
use vicar_nt::change::{
    Change, Lists, Member, SecurityInformation, SetFlags, Tree, inherit_again_by, merge_by, propagate_by, set_by,
};
use vicar_nt::check::{
    AccessMode, AccessRequest, AuditedBy, CentralPolicy, CentralRule, CheckOptions, ObjectType, Subject, audit, decide,
    decide_each,
};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::condition::token::{Class, Relation};
use vicar_nt::condition::{Attribute, Condition, ConditionError, Operand};
use vicar_nt::descriptor::{Dacl, Descriptor};
use vicar_nt::privilege::{LuidAndAttributes, Need, PrivilegeAttributes, PrivilegeState, check_by, check_token_by};
use vicar_nt::token::{Builder, Filter, FilterFlags, TokenState};
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{
    GenericMapping, GroupAttributes, Guid, IntegrityLevel, NtStatus, Privilege, Readings, RequestedMask, Sid, sddl,
    well_known,
};

const A1: &str = "00000000-0000-0000-0000-0000000000a1";
const A2: &str = "00000000-0000-0000-0000-0000000000a2";
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
    let both = |number: i128, condition: &str| holds(Readings::NUMBERS_BY_BITS, numbers(&[number]), condition);
    let most = i128::from(u64::MAX);
    for literal in ["18446744073709551615", "+18446744073709551615", "0xffffffffffffffff", "01777777777777777777777"] {
        assert_eq!(both(most, &format!("(@User.a == {literal})")), [true, true], "{literal}");
        assert_eq!(both(-1, &format!("(@User.a == {literal})")), [false, true], "{literal}");
        assert_eq!(both(-1, &format!("(@User.a != {literal})")), [true, false], "{literal}");
        assert_eq!(both(most, &format!("(@User.a > {literal})")), [false, false], "{literal}");
        assert_eq!(both(most - 1, &format!("(@User.a == {literal})")), [false, false], "{literal}");
        assert_eq!(both(7, &format!("(@User.a < {literal})")), [true, false], "{literal}");
        assert_eq!(both(7, &format!("(@User.a Any_of {{7, {literal}}})")), [true, true], "{literal}");
        assert_eq!(both(-1, &format!("(@User.a Any_of {{7, {literal}}})")), [false, true], "{literal}");
    }
    assert_eq!(both(most, "(@User.a == -1)"), [false, true]);
    assert_eq!(both(-1, "(@User.a == -1)"), [true, true]);
    assert_eq!(both(most, "(@User.a > 0)"), [true, false]);
    assert_eq!(both(7, "(@User.a > 5)"), [true, true]);
}

#[test]
fn section_3_13_numbers_at_the_edges_of_64_bits() {
    let edges = [0, 1, -1, i64::MIN.into(), i128::from(i64::MIN) + 1, i64::MAX.into(), i128::from(i64::MAX) + 1]
        .into_iter()
        .chain([i128::from(u64::MAX) - 1, u64::MAX.into()]);
    let edges: Vec<i128> = edges.collect();
    let bits = |number: i128| i64::try_from(number).unwrap_or_else(|_| u64::try_from(number).unwrap().cast_signed());
    for a in &edges {
        for b in &edges {
            for (operator, accept) in [
                ("==", std::cmp::Ordering::is_eq as fn(std::cmp::Ordering) -> bool),
                ("!=", std::cmp::Ordering::is_ne),
                ("<", std::cmp::Ordering::is_lt),
                ("<=", std::cmp::Ordering::is_le),
                (">", std::cmp::Ordering::is_gt),
                (">=", std::cmp::Ordering::is_ge),
            ] {
                let condition = format!("(@User.a {operator} {b})");
                let expected = [accept(a.cmp(b)), accept(bits(*a).cmp(&bits(*b)))];
                assert_eq!(
                    holds(Readings::NUMBERS_BY_BITS, numbers(&[*a]), &condition),
                    expected,
                    "{a} {operator} {b}"
                );
                // The text of what was read is the same number again, as is what is put together without text.
                let read = sddl::parse_condition(&condition, None).unwrap();
                assert_eq!(sddl::print_condition(&read, None).unwrap(), condition.replace("@User", "@USER"));
            }
            // The text 0 is one in octal.
            if *b != 0 {
                let name = Attribute::new(Class::User, "a").unwrap();
                let made = Condition::compare(Relation::Equal, &name, Operand::Value(Value::Integer(*b))).unwrap();
                assert_eq!(made, sddl::parse_condition(&format!("(@User.a == {b})"), None).unwrap());
            }
        }
        let attribute =
            format!("O:SYG:SYS:(RA;;;;;WD;(\"n\",{},0x0,{a}))", if bits(*a) == 0 || *a > 0 { "TU" } else { "TI" });
        assert_eq!(sddl::print(sd(&attribute).as_ref(), None).unwrap(), attribute);
    }
    for beyond in ["18446744073709551616", "-9223372036854775809", "0x10000000000000000", "-0x8000000000000001"] {
        assert!(sddl::parse_condition(&format!("(@User.a == {beyond})"), None).is_err(), "{beyond}");
        for kind in ["TI", "TU"] {
            assert!(sddl::parse(&format!("S:(RA;;;;;WD;(\"n\",{kind},0,{beyond}))"), None).is_err(), "{kind} {beyond}");
        }
    }
    for wrong in ["TU,0,-1", "TI,0,9223372036854775808"] {
        assert!(sddl::parse(&format!("S:(RA;;;;;WD;(\"n\",{wrong}))"), None).is_err(), "{wrong}");
    }
    for number in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1] {
        let name = Attribute::new(Class::User, "a").unwrap();
        let made = Condition::compare(Relation::Equal, &name, Operand::Value(Value::Integer(number)));
        assert_eq!(made, Err(ConditionError::Number));
    }
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
    made(reading, token, parent, creator, ObjectKind::Leaf)
}

/// The descriptor of a new object of type [`A1`], both ways.
fn made(
    reading: Readings,
    token: Builder,
    parent: &str,
    creator: &str,
    kind: ObjectKind,
) -> [Result<String, NtStatus>; 2] {
    let token = token.primary_group(well_known::EVERYONE).build().unwrap();
    let (parent, creator) = (sd(parent), sd(creator));
    let object = NewObject {
        parent: Some(parent.as_ref()),
        creator: Some(creator.as_ref()),
        token: &token,
        kind,
        flags: AssignFlags::empty(),
        object_types: &[A1.parse().unwrap()],
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

/// The text of a descriptor, both ways.
fn printed(reading: Readings, object: &Descriptor) -> [Option<String>; 2] {
    [Readings::empty(), reading].map(|readings| sddl::print_by(object.as_ref(), None, readings).ok())
}

/// As text, both ways.
fn retold(reading: Readings, text: &str) -> [String; 2] {
    printed(reading, &sd(text)).map(|text| text.unwrap())
}

#[test]
fn section_2_2_the_order_of_flags() {
    let reading = Readings::FLAGS_IN_BIT_ORDER;
    let all = "S:(AU;OICINPIOIDSAFACR;FR;;;WD)";
    assert_eq!(retold(reading, all), [all, "S:(AU;OICINPIOIDCRSAFA;FR;;;WD)"]);
    let filter = "S:(FL;OIFACRTP;FR;;;WD;(a))";
    assert_eq!(retold(reading, filter), [filter, "S:(FL;OICRTPFA;FR;;;WD;(a))"]);
    let critical = "D:(A;OICR;FR;;;WD)(A;;FR;;;WD)";
    assert_eq!(retold(reading, critical), [critical, critical]);
    for text in retold(reading, all).iter().chain(&retold(reading, filter)) {
        assert!([sd(all), sd(filter)].contains(&sd(text)), "{text}: either order is read");
    }
}

#[test]
fn section_2_3_the_rights_to_write_a_key() {
    let reading = Readings::KEY_WRITE_IN_LETTERS;
    assert_eq!(retold(reading, "D:(A;;0x20006;;;WD)"), ["D:(A;;KW;;;WD)", "D:(A;;DCLCRC;;;WD)"]);
    assert_eq!(sd("D:(A;;KW;;;WD)"), sd("D:(A;;DCLCRC;;;WD)"));
    let others = "D:(A;;KA;;;WD)(A;;KR;;;WD)(A;;FW;;;WD)(A;;DCLC;;;WD)";
    assert_eq!(retold(reading, others), [others, others]);
}

#[test]
fn section_2_7_entries_without_a_text_form() {
    let reading = Readings::LEAVE_OUT_WHAT_HAS_NO_TEXT;
    let everyone = &well_known::EVERYONE;
    let plain = |mask| Entry::allow(everyone, RequestedMask(mask));
    let data = ApplicationData::new(b"resource manager").unwrap();
    let foreign = Acl::builder().with(plain(1)).with(plain(2).with_application_data(data)).with(plain(4));
    let object = |acl: vicar_nt::acl::AclBuilder| Descriptor::builder().dacl(acl.build().unwrap()).build().unwrap();
    let left = Some("D:(A;;CC;;;WD)(A;;LC;;;WD)".to_owned());
    assert_eq!(printed(reading, &object(foreign)), [None, left.clone()]);
    let unknown = Acl::builder().with(plain(1)).parse_entry(&[0x77, 0, 4, 0]).unwrap().with(plain(4));
    assert_eq!(printed(reading, &object(unknown)), [None, left]);
    let everything = "O:SYG:SYD:P(XA;;FR;;;WD;(a))S:(RA;;;;;WD;(\"p\",TU,0x0,3))";
    assert_eq!(retold(reading, everything), [everything, everything]);
}

#[test]
fn section_2_7_alarms() {
    let typed = format!("S:(OL;SA;FR;{A1};;WD)(AU;SA;FR;;;WD)");
    for (alarm, left) in [("S:(AL;SA;FR;;;WD)", "S:"), (typed.as_str(), "S:(AU;SA;FR;;;WD)")] {
        assert_eq!(printed(Readings::ALARMS_HAVE_NO_TEXT, &sd(alarm)), [Some(alarm.to_owned()), None]);
        let both = Readings::ALARMS_HAVE_NO_TEXT | Readings::LEAVE_OUT_WHAT_HAS_NO_TEXT;
        assert_eq!(retold(both, alarm), [alarm, left]);
    }
    let error = sddl::print_by(sd("S:(AL;SA;FR;;;WD)").as_ref(), None, Readings::ALARMS_HAVE_NO_TEXT).unwrap_err();
    assert_eq!((error.index, error.reason), (0, sddl::Unprintable::AceType(3)));
}

#[test]
fn section_7_replicators_of_an_administrator_who_has_not_elevated() {
    let [replicators, backup] = [552, 551].map(|rid| Sid::new(5, &[32, rid]).unwrap());
    let token = [replicators, backup]
        .into_iter()
        .fold(me(), |token, group| token.group(group, GroupAttributes::ALWAYS_ENABLED));
    let token = token.build().unwrap();
    let filter = Filter { flags: FilterFlags::LUA_TOKEN, disable: &[], delete: &[], restrict: &[] };
    let counts = [Readings::empty(), Readings::LUA_KEEPS_REPLICATORS].map(|readings| {
        let weak = token.filter_by(&filter, readings).unwrap();
        [replicators, backup].map(|group| weak.counts_for_allow(group.as_ref()))
    });
    assert_eq!(counts, [[false, false], [true, false]]);
}

fn text(text: &str) -> Result<String, NtStatus> {
    Ok(text.to_owned())
}

#[test]
fn section_5_3_containers_and_entries_of_other_types() {
    let reading = Readings::CONTAINERS_DROP_OTHER_TYPES;
    let on = |parent: &str, kind| made(reading, me(), &format!("D:(A;OICI;FR;;;SY){parent}"), "", kind);
    let other = format!("(OA;OICI;RP;;{A2};WD)");
    let carried = format!("D:(A;OICI;FR;;;SY)(OA;OICIIO;RP;;{A2};WD)");
    assert_eq!(on(&other, ObjectKind::Container), [text(&carried), text("D:(A;OICI;FR;;;SY)")]);
    assert_eq!(on(&other, ObjectKind::Leaf), [text("D:(A;;FR;;;SY)"), text("D:(A;;FR;;;SY)")]);
    let own = format!("(OA;CI;RP;{A2};{A1};WD)");
    let kept = format!("D:(A;OICI;FR;;;SY)(OA;;RP;{A2};;WD)(OA;CIIO;RP;{A2};{A1};WD)");
    assert_eq!(on(&own, ObjectKind::Container), [text(&kept), text(&kept)]);
}

#[test]
fn section_5_3_leaves_and_entries_of_other_types() {
    let reading = Readings::LEAVES_KEEP_OTHER_TYPES;
    let on = |parent: &str, kind| made(reading, me(), &format!("D:(A;OI;FR;;;SY){parent}"), "", kind);
    let kept = format!("D:(A;;FR;;;SY)(OA;OIIO;RP;;{A2};WD)");
    assert_eq!(on(&format!("(OA;OI;RP;;{A2};WD)"), ObjectKind::Leaf), [text("D:(A;;FR;;;SY)"), text(&kept)]);
    // Containers alone inherit this one.
    let none = text("D:(A;;FR;;;SY)");
    assert_eq!(on(&format!("(OA;CI;RP;;{A2};WD)"), ObjectKind::Leaf), [none.clone(), none]);
    let own = text("D:(A;;FR;;;SY)(A;;RP;;;WD)");
    assert_eq!(on(&format!("(OA;OI;RP;;{A1};WD)"), ObjectKind::Leaf), [own.clone(), own]);
}

#[test]
fn section_5_3_whether_an_inherited_entry_says_who_inherits_it() {
    let reading = Readings::ENTRIES_KEEP_WHO_INHERITS;
    let parent = format!("D:(OA;CI;RP;{A2};{A1};WD)");
    let both = format!("D:(OA;;RP;{A2};;WD)(OA;CIIO;RP;{A2};{A1};WD)");
    assert_eq!(made(reading, me(), &parent, "", ObjectKind::Container), [text(&both), text(&parent)]);
    let parent = format!("D:(OA;OI;RP;{A2};{A1};WD)");
    let [plain, kept] = [format!("D:(OA;;RP;{A2};;WD)"), format!("D:(OA;;RP;{A2};{A1};WD)")];
    assert_eq!(made(reading, me(), &parent, "", ObjectKind::Leaf), [text(&plain), text(&kept)]);
    // An entry that names no type but that one becomes a plain entry all the same.
    let parent = format!("D:(OA;OI;RP;;{A1};WD)");
    assert_eq!(made(reading, me(), &parent, "", ObjectKind::Leaf), [text("D:(A;;RP;;;WD)"), text("D:(A;;RP;;;WD)")]);
}

#[test]
fn section_5_4_the_label_of_what_a_high_creator_makes() {
    let reading = Readings::HIGH_CREATORS_LABEL;
    let high = me().integrity(IntegrityLevel::HIGH);
    assert_eq!(assigned(reading, high, "", ""), [text(""), text("S:(ML;;NW;;;HI)")]);
    assert_eq!(assigned(reading, me(), "", ""), [text(""), text("")]);
}

#[test]
fn section_5_4_a_label_above_the_creator() {
    let reading = Readings::LABELS_ABOVE_ARE_FREE;
    let label = "S:(ML;;NW;;;SI)";
    assert_eq!(assigned(reading, me(), "", label), [Err(NtStatus::PRIVILEGE_NOT_HELD), text(label)]);
    let audit = "S:(AU;SA;FR;;;WD)";
    assert_eq!(assigned(reading, me(), "", audit), [const { Err(NtStatus::PRIVILEGE_NOT_HELD) }; 2]);
}

#[test]
fn section_5_4_what_a_label_needs() {
    let reading = Readings::LABELS_NEED_SECURITY_PRIVILEGE;
    let label = "S:(ML;;NW;;;LW)";
    assert_eq!(assigned(reading, me(), "", label), [text(label), Err(NtStatus::PRIVILEGE_NOT_HELD)]);
    let auditor = me().privilege(Privilege::Security, PrivilegeState::Enabled);
    assert_eq!(assigned(reading, auditor, "", label), [text(label), text(label)]);
    let attribute = "S:(RA;;;;;WD;(\"p\",TU,0x0,3))";
    assert_eq!(assigned(reading, me(), "", attribute), [text(attribute), text(attribute)]);
}

#[test]
fn section_5_4_the_label_of_a_parent() {
    let reading = Readings::LABELS_STAY;
    let parent = "S:(ML;OI;NW;;;LW)(SP;OI;;;;S-1-17-1)";
    let all = text("S:(ML;;NW;;;LW)(SP;;;;;S-1-17-1)");
    assert_eq!(assigned(reading, me(), parent, ""), [all, text("S:(SP;;;;;S-1-17-1)")]);
}

#[test]
fn section_3_10_less_privileged_packages_among_all() {
    let reading = Readings::LPAC_IS_AMONG_ALL_PACKAGES;
    let object = "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;AC)";
    assert_eq!(both(reading, package().less_privileged(), object, 1), [DENIED, Ok(1)]);
    assert_eq!(both(reading, package(), object, 1), [Ok(1), Ok(1)]);
    assert_eq!(both(reading, me(), "O:SYG:SYD:(A;;0x1;;;AC)", 1), [DENIED, DENIED]);
    let token = package().less_privileged().build().unwrap();
    let (token, object) = (PreparedToken::new(&token), sd(object));
    let prepared = [Readings::empty(), reading].map(|readings| {
        let options = CheckOptions { readings, ..CheckOptions::STANDARD };
        let question = Question { options, ..Question::new(RequestedMask(1), GenericMapping::FILE) };
        decide_prepared(PreparedSubject::itself(&token), &question, Some(object.as_ref())).is_ok()
    });
    assert_eq!(prepared, [false, true]);
}

#[test]
fn section_3_12_how_far_a_denial_reaches() {
    let token = me().build().unwrap();
    let object = sd(&format!("O:SYG:SYD:(OD;;0x80000;{A2};;WD)(A;;0xa0000;;;WD)"));
    let types =
        [(0, "00000000-0000-0000-0000-0000000000a0"), (1, A1), (2, A2), (1, "00000000-0000-0000-0000-0000000000a3")]
            .map(|(level, guid)| ObjectType { level, guid: guid.parse::<Guid>().unwrap() });
    let answers = [Readings::empty(), Readings::DENIALS_DO_NOT_CLIMB].map(|readings| {
        let options = CheckOptions { readings, ..CheckOptions::STANDARD };
        let request = AccessRequest {
            options,
            object_types: &types,
            ..AccessRequest::new(
                Subject::itself(&token),
                object.as_ref(),
                RequestedMask(0xA_0000),
                GenericMapping::DIRECTORY_SERVICE,
            )
        };
        assert!(decide(&request).is_err(), "the one answer about all is a denial either way");
        let each = decide_each(&request).unwrap();
        each.iter().map(|node| (node.status == NtStatus::SUCCESS, node.granted.bits())).collect::<Vec<_>>()
    });
    let (no, yes) = ((false, 0x2_0000), (true, 0xA_0000));
    assert_eq!(answers, [vec![no, no, no, yes], vec![yes, yes, no, yes]]);
}

/// A folder with one object in it.
struct Folder(Descriptor);

impl Tree for Folder {
    type Id = u32;

    fn children(&self, of: &u32) -> Vec<Member<u32>> {
        let child = Member { id: of + 1, descriptor: self.0.clone(), kind: ObjectKind::Leaf };
        if *of == 0 { vec![child] } else { Vec::new() }
    }
}

#[test]
fn what_changes_and_propagates_is_read_the_other_way_too() {
    let (reading, file) = (Readings::AUDIT_WITHOUT_SYSTEM_SECURITY, GenericMapping::FILE);
    let (object, parent) = (sd("O:SYG:SY"), sd("S:(AU;OISA;0x1000001;;;WD)"));
    let token = me().build().unwrap();
    let both = [Readings::empty(), reading];
    let print = |new: &Descriptor| sddl::print(new.as_ref(), None).unwrap();
    let again = both.map(|readings| {
        let (object, parent) = (object.as_ref(), parent.as_ref());
        print(&inherit_again_by(object, parent, Lists::Sacl, ObjectKind::Leaf, &[], &file, readings).unwrap())
    });
    let inherited = ["O:SYG:SYS:AI(AU;IDSA;0x1000001;;;WD)", "O:SYG:SYS:AI(AU;IDSA;CC;;;WD)"];
    assert_eq!(again, inherited);
    let propagated = both.map(|readings| {
        let folder = Folder(object.clone());
        let all: Vec<_> = propagate_by(&folder, 0, parent.clone(), Lists::Sacl, &file, readings).collect();
        print(&all[0].as_ref().unwrap().descriptor)
    });
    assert_eq!(propagated, inherited);
    let new = sd("S:(AU;SA;0x1000001;;;WD)");
    let change = Change {
        current: Some(object.as_ref()),
        new: new.as_ref(),
        parts: SecurityInformation::SACL,
        flags: SetFlags::AVOID_PRIVILEGE_CHECK,
        token: &token,
        mapping: file,
    };
    let set = both.map(|readings| print(&set_by(&change, readings).unwrap()));
    assert_eq!(set, ["O:SYG:SYS:(AU;SA;0x1000001;;;WD)", "O:SYG:SYS:(AU;SA;CC;;;WD)"]);
    let merged =
        both.map(|readings| print(&merge_by(&change, Some(parent.as_ref()), ObjectKind::Leaf, &[], readings).unwrap()));
    assert_eq!(
        merged,
        ["O:SYG:SYS:AI(AU;SA;0x1000001;;;WD)(AU;IDSA;0x1000001;;;WD)", "O:SYG:SYS:AI(AU;SA;CC;;;WD)(AU;IDSA;CC;;;WD)",]
    );
    let owner = GroupAttributes::ALWAYS_ENABLED | GroupAttributes::OWNER;
    let weak = me().group(well_known::USERS, owner).owner(well_known::USERS).user_deny_only().build().unwrap();
    let new = sd("O:S-1-22-1-1");
    let change = Change { new: new.as_ref(), parts: SecurityInformation::OWNER, token: &weak, ..change };
    let owned = [Readings::empty(), Readings::DENY_ONLY_USER_OWNS].map(|readings| set_by(&change, readings).is_ok());
    assert_eq!(owned, [false, true]);
}
