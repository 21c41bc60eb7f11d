//! Rules of the access check and of auditing that no vector shows alone: sections 3 and 6 of the rules list.

use vicar_nt::acl::{AceFlags, Acl};
use vicar_nt::check::{AccessRequest, AuditedBy, ObjectType, Pass, Refusal, Step, Subject, audit, decide, explain};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimType, Value};
use vicar_nt::descriptor::Descriptor;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{
    GenericMapping, GroupAttributes, Guid, IntegrityLevel, Privilege, RequestedMask, Sid, sddl, well_known,
};

const MAXIMUM: u32 = 0x0200_0000;
const SECURITY: u32 = 0x0100_0000;

fn me() -> Builder {
    TokenState::builder(well_known::unix_user(1)).group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
}

fn sd(text: &str) -> Descriptor {
    sddl::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is granted, or who refused.
fn ask(token: Builder, text: &str, desired: u32) -> Result<u32, Refusal> {
    let (token, object) = (token.build().unwrap(), sd(text));
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    decide(&request).map(|grant| grant.mask().bits()).map_err(|denial| denial.by)
}

#[test]
fn section_3_1_the_order_of_the_whole_check() {
    // Each of these would refuse; the earlier one in the order does.
    let walls = [
        ("S:(TL;;;;;S-1-19-512-4096)", Refusal::TrustLabel),
        ("(FL;;;;;WD;(a == 1))", Refusal::AccessFilter),
        ("(ML;;NWNRNX;;;SI)", Refusal::Integrity),
        ("", Refusal::PrivilegeNotHeld(Privilege::Security)),
        ("", Refusal::DenyAce { pass: Pass::Normal, index: 0 }),
    ];
    for first in 0..walls.len() {
        let sacl: String = walls[first..3.max(first)].iter().map(|(text, _)| text.trim_start_matches("S:")).collect();
        let desired = if first < 4 { SECURITY | 1 } else { 1 };
        // Only the trust label's filter of SECURITY is not asked for: it always stays possible there.
        let answer = ask(me(), &format!("O:SYG:SYD:(D;;0x1;;;WD)S:{sacl}"), desired);
        assert_eq!(answer, Err(walls[first].1), "{first}");
    }
    let (token, object) = (me().build().unwrap(), sd("O:SYG:SYD:(A;;0x1;;;WD)"));
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(1), GenericMapping::FILE);
    let (_, steps) = explain(&request);
    let names: Vec<String> =
        steps.iter().map(|step| format!("{step:?}").split([' ', '(']).next().unwrap().to_owned()).collect();
    // The owner and group are whole, so the two interfaces differ in the token only.
    assert_eq!(names, ["Mode", "Caller", "Level", "Mapped", "Integrity", "Owner", "Ace", "PassEnd", "End"]);
}

#[test]
fn section_3_3_the_first_effective_trust_label_counts_and_system_security_stays_possible() {
    let low = "(TL;;0x1;;;S-1-19-0-0)";
    let high = "(TL;;0x1;;;S-1-19-512-4096)";
    let inherit_only = "(TL;IO;0x1;;;S-1-19-512-4096)";
    let with = |labels: &str, desired| ask(me(), &format!("O:SYG:SYD:(A;;FA;;;WD)S:{labels}"), desired);
    assert_eq!(with(&format!("{low}{high}"), 2), Ok(2));
    assert_eq!(with(&format!("{high}{low}"), 2), Err(Refusal::TrustLabel));
    assert_eq!(with(&format!("{inherit_only}{low}"), 2), Ok(2));
    assert_eq!(with(high, MAXIMUM), Ok(1));
    assert_eq!(with("(TL;;GR;;;S-1-19-512-4096)", MAXIMUM), Ok(0x12_0089));
    let auditor = me().privilege(Privilege::Security, PrivilegeState::Enabled);
    assert_eq!(ask(auditor, &format!("O:SYG:SYD:S:{high}"), SECURITY), Ok(SECURITY));
}

#[test]
fn section_3_4_every_effective_filter_counts_and_system_security_stays_possible() {
    let with = |filters: &str, desired| ask(me(), &format!("O:SYG:SYD:(A;;FA;;;WD)S:{filters}"), desired);
    let (one, two) = ("(FL;;0x3;;;WD;(Exists a))", "(FL;;0x6;;;WD;(Exists b))");
    assert_eq!(with(&format!("{one}{two}"), MAXIMUM), Ok(2));
    assert_eq!(with(&format!("{one}{two}"), 1), Err(Refusal::AccessFilter));
    assert_eq!(with("(FL;IO;0x1;;;WD;(Exists a))", 2), Ok(2));
    assert_eq!(with("(FL;;0x1;;;WD;(Not_Exists a))", 2), Ok(2));
    // Unknown is not true.
    assert_eq!(with("(FL;;0x1;;;WD;(a == 1))", 2), Err(Refusal::AccessFilter));
    let auditor = me().privilege(Privilege::Security, PrivilegeState::Enabled);
    assert_eq!(ask(auditor, &format!("O:SYG:SYD:S:{one}"), SECURITY), Ok(SECURITY));
}

#[test]
fn section_3_5_what_is_possible_from_below_right_by_right() {
    let mapping = GenericMapping::FILE;
    let (read, write, execute) = (mapping.read.bits(), mapping.write.bits(), mapping.execute.bits());
    let everything = "O:SYG:SYD:NO_ACCESS_CONTROL";
    for policy in 0..8u32 {
        let letters = ["NW", "NR", "NX"].iter().enumerate().filter(|(bit, _)| policy & (1 << bit) != 0);
        let letters: String = letters.map(|(_, name)| *name).collect();
        let text = format!("{everything}S:(ML;;{letters};;;HI)");
        for bit in (0..21).map(|shift| 1u32 << shift).filter(|bit| mapping.all.bits() & bit != 0) {
            let writes = write | 0xD_0000;
            let reads = read | 0x2_0000;
            let executes = (execute & !read) | 0x10_0000;
            let free = |class: u32, no: u32| policy & no == 0 && class & bit != 0;
            let survives = free(writes, 1) || free(reads, 2) || free(executes, 4);
            let touched = [(writes, 1u32), (reads, 2), (executes, 4)];
            let is_forbidden = touched.iter().any(|(class, no)| policy & no != 0 && class & bit != 0);
            let at_the_start = read | execute | 0x12_0000 | if policy & 1 == 0 { mapping.all.bits() } else { 0 };
            let possible = policy == 0 || (at_the_start & bit != 0 && (!is_forbidden || survives));
            assert_eq!(ask(me(), &text, bit).is_ok(), possible, "policy {policy} bit {bit:#x}");
        }
    }
}

#[test]
fn section_3_5_the_first_effective_label_counts() {
    let with = |labels: &str| ask(me(), &format!("O:SYG:SYD:(A;;FA;;;WD)S:{labels}"), 2);
    assert_eq!(with("(ML;;NW;;;LW)(ML;;NW;;;HI)"), Ok(2));
    assert_eq!(with("(ML;;NW;;;HI)(ML;;NW;;;LW)"), Err(Refusal::Integrity));
    assert_eq!(with("(ML;IO;NW;;;HI)(ML;;NW;;;LW)"), Ok(2));
    let untrusted = me().no_integrity();
    assert_eq!(ask(untrusted, "O:SYG:SYD:(A;;FA;;;WD)S:(ML;;NW;;;S-1-16-0)", 2), Ok(2));
    let new_process_min = me().integrity(IntegrityLevel::LOW).mandatory_policy(2);
    assert_eq!(ask(new_process_min, "O:SYG:SYD:(A;;FA;;;WD)", 2), Ok(2));
}

#[test]
fn section_3_6_privileges_that_gave_a_right_are_named_and_only_those() {
    let used = |privileges: &[Privilege], text: &str, desired: u32| {
        let token = privileges.iter().fold(me(), |token, name| token.privilege(*name, PrivilegeState::Enabled));
        let (token, object) = (token.build().unwrap(), sd(text));
        let subject = Subject::itself(&token);
        let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
        let grant = decide(&request).unwrap();
        grant.privileges_used().iter().collect::<Vec<_>>()
    };
    use Privilege::{Backup, Relabel, Security, TakeOwnership};
    let all = [Security, TakeOwnership, Relabel, Backup];
    let object = "O:SYG:SYD:(A;;0x1;;;WD)";
    assert_eq!(used(&all, object, 1), []);
    assert_eq!(used(&all, object, SECURITY | 1), [Security]);
    assert_eq!(used(&all, object, 0x8_0000), [TakeOwnership]);
    assert_eq!(used(&[Relabel], object, 0x8_0000), [Relabel]);
    assert_eq!(used(&all, object, MAXIMUM), []);
    assert_eq!(used(&all, object, MAXIMUM | 0x8_0000 | SECURITY), [Security, TakeOwnership]);
    // A privilege that is there but not enabled gives nothing.
    let disabled = me().privilege(Security, PrivilegeState::Disabled);
    assert_eq!(ask(disabled, object, SECURITY), Err(Refusal::PrivilegeNotHeld(Security)));
}

#[test]
fn section_3_9_deny_only_plays_no_part_among_restricting_sids() {
    let user = well_known::unix_user(1);
    let token = || me().restricting(user).restricting(well_known::GUESTS);
    assert_eq!(ask(token(), "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;BG)", 1), Ok(1));
    // The restricting SID denies although the token's own group of that name would not.
    let denied = Err(Refusal::DenyAce { pass: Pass::Restricted, index: 0 });
    assert_eq!(ask(token(), "O:SYG:SYD:(D;;0x1;;;BG)(A;;0x1;;;WD)(A;;0x1;;;S-1-22-1-1)", 1), denied);
    let deny_only = token().user_deny_only();
    assert_eq!(ask(deny_only, "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;S-1-22-1-1)", 1), Ok(1));
}

#[test]
fn section_3_10_the_restricted_pass_does_not_involve_the_package() {
    let token =
        || me().app_container("S-1-15-2-1-2-3-4-5-6-7".parse().unwrap()).restricting(well_known::RESTRICTED_CODE);
    let package = "(A;;0x1;;;S-1-15-2-1-2-3-4-5-6-7)";
    let both = format!("O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;RC){package}");
    assert_eq!(ask(token(), &both, 1), Ok(1));
    let no_restricted = format!("O:SYG:SYD:(A;;0x1;;;WD){package}");
    assert_eq!(ask(token(), &no_restricted, 1), Err(Refusal::NotGranted { pass: Pass::Restricted }));
    assert_eq!(ask(token(), "O:SYG:SYD:(A;;0x1;;;WD)(A;;0x1;;;RC)", 1), Err(Refusal::Package));
}

#[test]
fn section_3_11_maximum_is_the_union_of_single_rights() {
    let objects = [
        "O:SYG:SYD:(A;;0x3;;;WD)(D;;0x2;;;WD)(A;;0x16;;;S-1-22-1-1)",
        "O:S-1-22-1-1G:SYD:(D;;0x6;;;WD)(A;;FA;;;WD)",
        "O:SYG:SYD:(D;;0x1;;;BG)(A;;FR;;;WD)S:(ML;;NW;;;HI)",
        "O:SYG:SYD:NO_ACCESS_CONTROL",
        "O:SYG:SYD:",
    ];
    for object in objects {
        for token in [me(), me().restricting(well_known::EVERYONE), me().integrity(IntegrityLevel::LOW)] {
            let single = (0..21).map(|shift| 1u32 << shift).filter(|bit| 0x1F_01FF & bit != 0);
            let union = single.filter(|bit| ask(token.clone(), object, *bit).is_ok()).fold(0, |all, bit| all | bit);
            assert_eq!(ask(token.clone(), object, MAXIMUM).unwrap_or(0), union, "{object}");
        }
    }
}

fn types(levels: &[u16]) -> Vec<ObjectType> {
    (0u8..).zip(levels).map(|(n, level)| ObjectType { level: *level, guid: Guid([n; 16]) }).collect()
}

#[test]
fn section_3_12_a_control_access_right_is_granted_by_its_guid() {
    let (token, right) = (me().build().unwrap(), Guid([1; 16]));
    let object = sd(&format!("O:SYG:SYD:(OA;;CR;{right};;WD)"));
    let asked = |types: &[ObjectType]| {
        let subject = Subject::itself(&token);
        let mapping = GenericMapping::DIRECTORY_SERVICE;
        let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(0x100), mapping);
        decide(&AccessRequest { object_types: types, ..request }).is_ok()
    };
    assert!(asked(&types(&[0, 1])));
    assert!(!asked(&types(&[0])) && !asked(&[]) && !asked(&types(&[0, 1, 1])));
    let alone = [ObjectType { level: 0, guid: right }];
    assert!(asked(&alone));
}

#[test]
fn section_3_12_the_list_of_types_is_a_tree_of_five_levels() {
    let (token, object) = (me().build().unwrap(), sd("O:SYG:SYD:(A;;0x1;;;WD)"));
    let is_a_tree = |types: &[ObjectType]| {
        let subject = Subject::itself(&token);
        let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(1), GenericMapping::FILE);
        let answer = decide(&AccessRequest { object_types: types, ..request });
        assert!(answer.as_ref().map_or_else(|denial| denial.by == Refusal::ObjectTypeList, |_| true));
        answer.is_ok()
    };
    for good in [&[][..], &[0], &[0, 1, 2, 3, 4], &[0, 1, 2, 1, 2, 2]] {
        assert!(is_a_tree(&types(good)), "{good:?}");
    }
    for bad in [&[1][..], &[0, 0], &[0, 2], &[0, 1, 3], &[0, 1, 0], &[0, 1, 2, 3, 4, 5]] {
        assert!(!is_a_tree(&types(bad)), "{bad:?}");
    }
    let mut twice = types(&[0, 1, 1]);
    twice[2].guid = twice[0].guid;
    assert!(!is_a_tree(&twice));
}

fn claim(kind: ClaimType, flags: ClaimFlags, values: &[Value<'_>]) -> Claim {
    let name = encode("a");
    Claim::new(Utf16::from_bytes(&name).unwrap(), kind, flags, values).unwrap()
}

fn word(text: &str) -> Vec<u8> {
    encode(text)
}

/// `T`, `F` or `U`: an allow entry applies when it is true, its negation when it is false.
fn truth(token: Builder, condition: &str) -> char {
    let applies = |condition: &str| {
        let text = format!("O:SYG:SYD:(XA;;0x1;;;WD;{condition})S:(RA;;;;;WD;(\"r\",TI,0,7))");
        ask(token.clone(), &text, 1).is_ok()
    };
    match (applies(condition), applies(&format!("(!{condition})"))) {
        (true, false) => 'T',
        (false, true) => 'F',
        (false, false) => 'U',
        (true, true) => panic!("{condition} is true and false"),
    }
}

#[test]
fn section_3_13_comparisons_by_type() {
    let (upper, lower) = (word("ABC"), word("abc"));
    let text = |bytes| Value::Text(Utf16::from_bytes(bytes).unwrap());
    let number = |values: &[i128]| {
        let values: Vec<Value<'_>> = values.iter().map(|value| Value::Integer(*value)).collect();
        claim(ClaimType::Int64, ClaimFlags::empty(), &values)
    };
    let plain = ClaimFlags::empty();
    let everyone = Value::Sid(well_known::EVERYONE.as_ref());
    let admins = Value::Sid(well_known::ADMINISTRATORS.as_ref());
    let octets = claim(ClaimType::Octets, plain, &[Value::Octets(&[1, 2])]);
    let yes = claim(ClaimType::Boolean, plain, &[Value::Boolean(true)]);
    let big = claim(ClaimType::Uint64, plain, &[Value::Integer(u64::MAX.into())]);
    let sids = claim(ClaimType::Sid, plain, &[everyone, admins]);
    let exact = claim(ClaimType::Text, ClaimFlags::VALUE_CASE_SENSITIVE, &[text(&upper)]);
    let disabled = claim(ClaimType::Int64, ClaimFlags::DISABLED, &[Value::Integer(1)]);
    let program =
        claim(ClaimType::Fqbn, plain, &[Value::Fqbn { version: 1, name: Utf16::from_bytes(&lower).unwrap() }]);
    for (claim, condition, expected) in [
        (number(&[5]), "(@User.a < 6)", 'T'),
        (number(&[5]), "(@User.a <= 5)", 'T'),
        (number(&[5]), "(@User.a > 5)", 'F'),
        (number(&[-5]), "(@User.a < 0x0)", 'T'),
        (number(&[1, 2]), "(@User.a < 6)", 'U'),
        (number(&[5]), "(@User.a < {6})", 'U'),
        (number(&[5]), "(@User.a == \"5\")", 'U'),
        (number(&[5]), "(@User.a Any_of {5, \"5\"})", 'U'),
        (number(&[7]), "(@User.a == @Resource.r)", 'T'),
        (number(&[7]), "(@User.a == @Resource.none)", 'U'),
        (number(&[1, 2]), "(@User.a == {2, 1, 2})", 'T'),
        (number(&[1, 2]), "(@User.a != {2, 1, 3})", 'T'),
        (number(&[1, 2]), "(@User.a Contains {1})", 'T'),
        (number(&[1, 2]), "(@User.a Contains 3)", 'F'),
        (number(&[1, 2]), "(@User.a Not_Contains {1, 3})", 'T'),
        (number(&[1, 2]), "(@User.a Any_of {3, 1})", 'T'),
        (number(&[1, 2]), "(@User.a Not_Any_of {3, 4})", 'T'),
        (number(&[1, 1]), "(@User.a == 1)", 'U'),
        (number(&[1, 1]), "(Exists @User.a)", 'F'),
        (disabled.clone(), "(Exists @User.a)", 'F'),
        (disabled, "(@User.a == 1)", 'U'),
        (big.clone(), "(@User.a > 0)", 'T'),
        (big, "(@User.a == -1)", 'F'),
        (claim(ClaimType::Text, plain, &[text(&upper)]), "(@User.a == \"abc\")", 'T'),
        (claim(ClaimType::Text, plain, &[text(&upper)]), "(@User.a < \"abd\")", 'T'),
        (claim(ClaimType::Text, plain, &[text(&lower)]), "(@User.a < \"ABD\")", 'T'),
        (claim(ClaimType::Text, plain, &[text(&lower), text(&upper)]), "(Exists @User.a)", 'F'),
        (exact.clone(), "(@User.a == \"abc\")", 'F'),
        (exact.clone(), "(@User.a == \"ABC\")", 'T'),
        (exact, "(@User.a < \"a\")", 'T'),
        (octets.clone(), "(@User.a == #0102)", 'T'),
        (octets.clone(), "(@User.a > #01)", 'T'),
        (octets.clone(), "(@User.a < #0103)", 'T'),
        (octets.clone(), "(@User.a)", 'U'),
        (octets, "(@User.a == 258)", 'U'),
        (sids.clone(), "(@User.a Any_of {SID(BA)})", 'T'),
        (sids.clone(), "(@User.a == {SID(BA), SID(WD)})", 'T'),
        (sids.clone(), "(@User.a < SID(BA))", 'U'),
        (sids, "(@User.a)", 'U'),
        (yes.clone(), "(@User.a == 1)", 'T'),
        (yes.clone(), "(@User.a != 0)", 'T'),
        (yes.clone(), "(@User.a == 2)", 'U'),
        (yes.clone(), "(@User.a > 0)", 'U'),
        (yes.clone(), "(@User.a Any_of {1})", 'U'),
        (yes, "(@User.a)", 'T'),
        (program.clone(), "(Exists @User.a)", 'T'),
        (program.clone(), "(@User.a == @Device.a)", 'T'),
        (program.clone(), "(@User.a < @Device.a)", 'U'),
        (program, "(@User.a == \"abc\")", 'U'),
        (number(&[0]), "(@User.a)", 'F'),
        (number(&[1, 2]), "(@User.a)", 'U'),
        (claim(ClaimType::Text, plain, &[text(&[])]), "(@User.a)", 'F'),
    ] {
        let device = claim.clone();
        assert_eq!(truth(me().user_claim(claim).device_claim(device), condition), expected, "{condition}");
    }
}

#[test]
fn section_3_13_attributes_are_looked_up_where_they_belong() {
    let one = |value| claim(ClaimType::Int64, ClaimFlags::empty(), &[Value::Integer(value)]);
    let token = || me().user_claim(one(1)).device_claim(one(2)).local_claim(one(3));
    for condition in ["(@User.a == 1)", "(@Device.A == 2)", "(a == 3)", "(@Resource.R == 7)"] {
        assert_eq!(truth(token(), condition), 'T', "{condition}");
    }
    for condition in ["(@User.r == 7)", "(@Resource.a == 1)"] {
        assert_eq!(truth(token(), condition), 'U', "{condition}");
    }
    for (condition, expected) in [
        ("(Exists a)", 'T'),
        ("(Exists @User.a)", 'T'),
        ("(Exists @Device.a)", 'T'),
        ("(Exists @Resource.r)", 'T'),
        ("(Not_Exists @Resource.a)", 'T'),
        ("(Exists @Resource.a)", 'F'),
    ] {
        assert_eq!(truth(token(), condition), expected, "{condition}");
    }
}

#[test]
fn section_3_13_members() {
    let token = || {
        me().group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::GUESTS, GroupAttributes::USE_FOR_DENY_ONLY)
            .device_group(well_known::ADMINISTRATORS, GroupAttributes::ALWAYS_ENABLED)
    };
    for (condition, expected) in [
        ("(Member_of {SID(WD), SID(BU)})", 'T'),
        ("(Member_of SID(S-1-22-1-1))", 'T'),
        ("(Member_of {SID(WD), SID(BG)})", 'F'),
        ("(Member_of_Any {SID(BG), SID(BU)})", 'T'),
        ("(Device_Member_of {SID(BA)})", 'T'),
        ("(Device_Member_of {SID(BU)})", 'F'),
        ("(Device_Member_of_Any {SID(BU), SID(BA)})", 'T'),
        ("(Not_Member_of {SID(WD), SID(BG)})", 'T'),
        ("(Not_Member_of_Any {SID(WD), SID(BG)})", 'F'),
        ("(Not_Device_Member_of {SID(BA)})", 'F'),
        ("(Not_Device_Member_of_Any {SID(BU), SID(BG)})", 'T'),
        ("(Member_of {})", 'U'),
    ] {
        assert_eq!(truth(token(), condition), expected, "{condition}");
    }
    // In a deny entry a group for deny only is one.
    let deny = "O:SYG:SYD:(XD;;0x1;;;WD;(Member_of {SID(BG)}))(A;;0x1;;;WD)";
    assert_eq!(ask(token(), deny, 1), Err(Refusal::DenyAce { pass: Pass::Normal, index: 0 }));
}

#[test]
fn section_3_13_three_valued_logic() {
    let one = claim(ClaimType::Int64, ClaimFlags::empty(), &[Value::Integer(1)]);
    let token = || me().user_claim(one.clone());
    let values = [('T', "@User.a == 1"), ('F', "@User.a == 2"), ('U', "@User.none == 1")];
    for (a, left) in values {
        assert_eq!(truth(token(), &format!("({left})")), a);
        for (b, right) in values {
            let and = if [a, b].contains(&'F') {
                'F'
            } else if [a, b].contains(&'U') {
                'U'
            } else {
                'T'
            };
            let or = if [a, b].contains(&'T') {
                'T'
            } else if [a, b].contains(&'U') {
                'U'
            } else {
                'F'
            };
            assert_eq!(truth(token(), &format!("(({left}) && ({right}))")), and, "{a} and {b}");
            assert_eq!(truth(token(), &format!("(({left}) || ({right}))")), or, "{a} or {b}");
        }
    }
}

fn is_recorded(token: Builder, text: &str, desired: u32, change: impl FnOnce(&mut AccessRequest<'_>)) -> bool {
    let (token, object, none) = (token.build().unwrap(), sd(text), sd("S:"));
    let subject = Subject::itself(&token);
    let mut request = AccessRequest::new(subject, object.as_ref(), RequestedMask(desired), GenericMapping::FILE);
    change(&mut request);
    audit(&request, &decide(&request), none.as_ref().sacl().entries()) == Some(AuditedBy::Object { index: 0 })
}

#[test]
fn section_6_access_to_the_sacl_itself_can_be_audited() {
    let auditor = || me().privilege(Privilege::Security, PrivilegeState::Enabled);
    let text = "O:SYG:SYD:(A;;0x1;;;WD)S:(AU;SAFA;0x1000000;;;WD)";
    assert!(is_recorded(auditor(), text, SECURITY, |_| ()));
    assert!(is_recorded(me(), text, SECURITY, |_| ()));
    assert!(!is_recorded(auditor(), text, 1, |_| ()));
}

#[test]
fn section_6_self_is_put_in_its_place() {
    let user: Sid = well_known::unix_user(1);
    let text = "O:SYG:SYD:(A;;0x1;;;WD)S:(AU;SA;0x1;;;PS)";
    let token = me().build().unwrap();
    let (object, none) = (sd(text), sd("S:"));
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(1), GenericMapping::FILE);
    let recorded = |self_sid| {
        let request = AccessRequest { self_sid, ..request };
        audit(&request, &decide(&request), none.as_ref().sacl().entries()).is_some()
    };
    assert!(recorded(Some(user.as_ref())) && !recorded(None) && !recorded(Some(well_known::GUESTS.as_ref())));
}

#[test]
fn section_3_8_a_list_is_read_as_it_is_stored() {
    let allow_then_deny = Acl::builder()
        .allow(&well_known::EVERYONE, RequestedMask(1), AceFlags::INHERITED)
        .deny(&well_known::EVERYONE, RequestedMask(3), AceFlags::empty())
        .allow(&well_known::EVERYONE, RequestedMask(2), AceFlags::empty())
        .build()
        .unwrap();
    let object = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).dacl(allow_then_deny).build().unwrap();
    let token = me().build().unwrap();
    let subject = Subject::itself(&token);
    let request = AccessRequest::new(subject, object.as_ref(), RequestedMask(3), GenericMapping::FILE);
    let (answer, steps) = explain(&request);
    assert_eq!(answer.unwrap_err().by, Refusal::DenyAce { pass: Pass::Normal, index: 1 });
    // What comes after the entry that refuses is not read.
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Ace { .. })).count(), 2);
}

#[test]
fn section_3_13_long_lists_compare_as_short_ones_do() {
    // Around the length from which both sides are sorted first, and far above it.
    for (left, right) in [(31, 33), (32, 33), (33, 32), (33, 33), (33, 34), (40, 33), (400, 300)] {
        for shift in [0, 1, 20, 1000] {
            let (ours, theirs) = ((0..left).rev(), (shift..shift + right).rev());
            let numbers: Vec<i128> = ours.clone().collect();
            let values: Vec<Value<'_>> = numbers.iter().map(|value| Value::Integer(*value)).collect();
            let claim = claim(ClaimType::Int64, ClaimFlags::empty(), &values);
            let list = |values: &mut dyn Iterator<Item = i128>| {
                let texts: Vec<String> = values.map(|value| value.to_string()).collect();
                format!("{{{}}}", texts.join(", "))
            };
            let (wanted, more) = (list(&mut theirs.clone()), list(&mut theirs.clone().chain(theirs.clone())));
            let contains = theirs.clone().all(|value| ours.clone().any(|own| own == value));
            let is_same = contains && ours.clone().all(|own| theirs.clone().any(|value| own == value));
            let intersects = theirs.clone().any(|value| ours.clone().any(|own| own == value));
            let letter = |fact: bool| if fact { 'T' } else { 'F' };
            for (operator, fact) in [
                ("==", is_same),
                ("!=", !is_same),
                ("Contains", contains),
                ("Not_Contains", !contains),
                ("Any_of", intersects),
                ("Not_Any_of", !intersects),
            ] {
                for wanted in [&wanted, &more] {
                    let condition = format!("(@User.a {operator} {wanted})");
                    let case = format!("{left} {operator} {right} from {shift}");
                    assert_eq!(truth(me().user_claim(claim.clone()), &condition), letter(fact), "{case}");
                }
                let other = wanted.replace('}', ", \"x\"}");
                let condition = format!("(@User.a {operator} {other})");
                assert_eq!(
                    truth(me().user_claim(claim.clone()), &condition),
                    'U',
                    "{left} {operator} {right} and a text"
                );
            }
        }
    }
}
