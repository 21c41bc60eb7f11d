use super::*;
use alloc::format;
use alloc::string::ToString;

fn domain() -> Sid {
    "S-1-5-21-1-2-3".parse().unwrap()
}

fn hex_of(text: &str) -> String {
    let sd = parse(text, Some(&domain())).unwrap_or_else(|error| panic!("{text}: {error}"));
    sd.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical(text: &str) -> String {
    let sd = parse(text, Some(&domain())).unwrap_or_else(|error| panic!("{text}: {error}"));
    print(sd.as_ref(), Some(&domain())).unwrap()
}

fn error(text: &str) -> (usize, Problem) {
    match parse(text, Some(&domain())) {
        Ok(sd) => panic!("{text} was read as {}", print(sd.as_ref(), Some(&domain())).unwrap()),
        Err(error) => (error.at, error.problem),
    }
}

#[test]
fn bytes_are_those_windows_wrote() {
    for (text, hex) in [
        (
            "D:(A;;GA;;;WD)",
            "010004800000000000000000000000001400000002001c00010000000000140000000010010100000000000100000000",
        ),
        ("D:", "01000480000000000000000000000000140000000200080000000000"),
        ("D:PS:", "010014900000000000000000140000001c00000002000800000000000200080000000000"),
        ("", "0100008000000000000000000000000000000000"),
    ] {
        assert_eq!(hex_of(text), hex, "{text}");
    }
    let condition = "61727478f902000000610004010000000000000003028000";
    assert!(hex_of("D:(XA;;;;;WD;(@User.a == 1))").ends_with(condition));
}

#[test]
fn text_becomes_canonical() {
    for (text, out) in [
        ("D:(A;;-99;;;LG)", "D:(A;;0xffffff9d;;;LG)"),
        ("D:(A;;0x123456789;;;LG)", "D:(A;;0xffffffff;;;LG)"),
        ("D:(A;;-9876543210;;;LG)", "D:(A;;CC;;;LG)"),
        ("O:S-0x1-20-0-579", "O:S-1-32-0-1401"),
        ("D:(A;;GA;;;S-1-3-4294967296-3-4)", "D:(A;;GA;;;S-1-3-4294967295-3-4)"),
        ("S:D:G:SYO:BA", "O:BAG:SYD:S:"),
        ("D:AIARP(a;ciOI;fa;;; wd )", "D:PARAI(A;OICI;FA;;;WD)"),
        ("  D: P (A;;GR GW;;;WD) (D;;010;;;SY)", "D:P(A;;GWGR;;;WD)(D;;SW;;;SY)"),
        ("O:S-1-5-21-1-2-3-512D:", "O:DAD:"),
        ("O:S-1-0x500000000-32-579", "O:S-1-0x500000000-32-579"),
        ("O:S-1-0005- 32-544", "O:BA"),
        ("D:(A;;0x1200a9;;;WD)(A;;0x20019;;;WD)(A;;;;;WD)", "D:(A;;0x1200a9;;;WD)(A;;KR;;;WD)(A;;;;;WD)"),
        ("S:(ML;;NXNW;;;LW)(AU;SAFA;GA;;;WD)", "S:(ML;;NWNX;;;LW)(AU;SAFA;GA;;;WD)"),
        ("D:NO_ACCESS_CONTROLS:NO_ACCESS_CONTROL", "D:NO_ACCESS_CONTROLS:NO_ACCESS_CONTROL"),
        ("D:(OA;;RP;F30E3BBF-9FF0-11D1-B603-0000F80367C1;;WD)", "D:(OA;;RP;f30e3bbf-9ff0-11d1-b603-0000f80367c1;;WD)"),
        ("D:(OA;;RP;;;WD)", "D:(A;;RP;;;WD)"),
        (
            "D:(XA;;FX;;;S-1-1-0;(@User.Project Any_of @Resource.Project))",
            "D:(XA;;FX;;;WD;(@USER.Project Any_of @RESOURCE.Project))",
        ),
        (
            "D:(XA;;;;;WD;(Member_of {SID(BA), SID(BO)} && @Device.Bitlocker))",
            "D:(XA;;;;;WD;((Member_of {SID(BA), SID(BO)}) && (@DEVICE.Bitlocker)))",
        ),
        ("D:(XA;;;;;WD;(OctetStringType==#1#2#3##))", "D:(XA;;;;;WD;(OctetStringType == #01020300))"),
        ("D:(XA;;;;;WD;(!(@User.a == 1)))", "D:(XA;;;;;WD;(!(@USER.a == 1)))"),
        ("D:(XA;;;;;WD;(a||b&&!@user.c>=+0x1F))", "D:(XA;;;;;WD;((a) || ((b) && !(@USER.c >= +0x1f))))"),
        ("D:(XA;;;;;WD;(exists a))", "D:(XA;;;;;WD;(Exists a))"),
        ("D:(XA;;;;;WD;(Member_of_Any(SID(BA))))", "D:(XA;;;;;WD;(Member_of_any SID(BA)))"),
        (
            "D:(XA;;;;;WD;(@User.a%0020b == {-1, 0, 017, \"x)\", #abc, SID(WD)}))",
            "D:(XA;;;;;WD;(@USER.a%0020b == {-1, 0, 017, \"x)\", #0abc, SID(WD)}))",
        ),
        ("S:(RA;;;;;WD;(\"p\",TS,0,\"w\",\"sql\"))", "S:(RA;;;;;WD;(\"p\",TS,0x0,\"w\",\"sql\"))"),
        ("S:(RA;;;;;WD;(\"p\",TX,0x10001,0077,abc))", "S:(RA;;;;;WD;(\"p\",TX,0x10001,0077,0abc))"),
        (
            "S:(TL;;0x1;;;S-1-19-512-4096)(FL;TP;0x1;;;WD;(Exists TSA://x))(SP;;;;;S-1-17-9)",
            "S:(TL;;CC;;;S-1-19-512-4096)(FL;TP;CC;;;WD;(Exists TSA://x))(SP;;;;;S-1-17-9)",
        ),
    ] {
        assert_eq!(canonical(text), out, "{text}");
        assert_eq!(canonical(out), out, "{text}");
    }
}

#[test]
fn what_windows_refuses_is_refused_where_it_is_wrong() {
    use Problem as P;
    for (text, at, problem) in [
        ("D:(A;;GA;;)", 10, P::Fields),
        ("d:(A;;GA;;;LG)", 0, P::Section),
        ("D:((A;;GA;;;LG))", 3, P::Fields),
        ("D :S:", 0, P::Section),
        ("D:P:S:", 3, P::Section),
        ("D:(A;;GA ;;;LG)", 8, P::Rights),
        ("D:(A;;RP LCLOR C;;;AU)", 13, P::Rights),
        ("D:(A;;GA;;;LG;)", 13, P::Fields),
        ("D:(A;;GA;;;S-1-3-4 )", 18, P::Parenthesis),
        ("D:(A;;GA;;{f30e3bbf-9ff0-11d1-b603-0000f80367c1};WD)", 10, P::Guid),
        ("O:S-1", 5, P::Sid),
        ("O:S-1-", 6, P::SidAuthority),
        ("O:S-1-5", 7, P::SidSubAuthorities),
        ("O:S-2-5-1", 4, P::SidRevision),
        ("O:S-1-281474976710656-1", 6, P::SidAuthority),
        ("O:", 2, P::Sid),
        ("O:XX", 2, P::Sid),
        ("O:BR", 2, P::Sid),
        ("O:SYO:SY", 4, P::SectionTwice),
        ("D:(A;;GA;;;LG)(AU;SA;CR;;;BA)", 15, P::AceTypeInList),
        ("D:(B;;GA;;;LG)", 3, P::AceType),
        ("D:(A;XX;GA;;;LG)", 5, P::AceFlags),
        ("D:(A;;GA;;;LG", 13, P::Parenthesis),
        ("D:(A;;12x;;;LG)", 6, P::Rights),
        ("D:(A;;NW;;;LG)", 6, P::Rights),
        ("D:(XA;;GA;;;WD)", 14, P::Fields),
        ("D:(XA;;GA;;;WD;)", 15, P::Condition),
        ("D:(XA;;GA;;;WD;())", 16, P::AttributeName),
        ("D:(XA;;GA;;;WD;(@User.a == b))", 27, P::LocalAttributeOnRight),
        ("D:(XA;;GA;;;WD;(@User.a == !(b)))", 27, P::Literal),
        ("D:(XA;;GA;;;WD;(! Member_of{SID(WD)}))", 18, P::Condition),
        ("D:(XA;;GA;;;WD;(Member_ofSID(WD)))", 28, P::Condition),
        ("D:(XA;;GA;;;WD;(Member_of 1))", 26, P::Sid),
        ("D:(XA;;GA;;;WD;(1 == @User.a))", 16, P::AttributeName),
        ("D:(XA;;GA;;;WD;(@User.a == 0x10000000000000000))", 27, P::Number),
        ("D:(XA;;GA;;;WD;(@User.a == -9223372036854775809))", 27, P::Number),
        ("D:(XA;;GA;;;WD;(@User.a == {1, {2}}))", 31, P::Literal),
        ("D:(XA;;GA;;;WD;(@User.a == \"x))", 31, P::Literal),
        ("D:(XA;;GA;;;WD;(@User.%00zz))", 22, P::AttributeName),
        ("S:(RA;;;;;SY;(\"p\",TU,0,1))", 10, P::ResourceAttributeTrustee),
        ("S:(RA;;;;;WD;(\"p\",TU,0x100,1))", 21, P::ReservedFlags),
        ("S:(RA;;;;;WD;(\"p\",TU,0))", 22, P::ResourceAttribute),
        ("S:(RA;;;;;WD;(\"p\",TB,0,2))", 23, P::Number),
    ] {
        assert_eq!(error(text), (at, problem), "{text}");
    }
}

#[test]
fn conditions_nest_as_deep_as_an_entry_has_room() {
    let deep = format!("D:(XA;;GA;;;WD;{}@User.a{})", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(canonical(&deep), "D:(XA;;GA;;;WD;(@USER.a))");
    let negated = format!("D:(XA;;GA;;;WD;(@User.b || {}@User.a))", "!".repeat(5000));
    assert_eq!(canonical(&canonical(&negated)), canonical(&negated));
    let chain = format!("D:(XA;;GA;;;WD;({}@User.a))", "@User.b && ".repeat(3000));
    assert_eq!(hex_of(&canonical(&chain)), hex_of(&chain));
    let too_long = format!("D:(XA;;GA;;;WD;({}@User.a))", "@User.b && ".repeat(9000));
    assert_eq!(error(&too_long).1, Problem::TooLong);
}

#[test]
fn account_aliases_need_a_domain() {
    assert_eq!(parse("O:DA", None).unwrap_err().problem, Problem::AliasNeedsDomain);
    let sid = parse_sid("DA", Some(&domain())).unwrap();
    assert_eq!(sid.to_string(), "S-1-5-21-1-2-3-512");
    assert_eq!(print_sid(sid.as_ref(), None), "S-1-5-21-1-2-3-512");
    assert_eq!(print_sid(sid.as_ref(), Some(&domain())), "DA");
}

#[test]
fn an_object_entry_without_types_leaves_slack_as_windows_does() {
    let sd = parse("D:(OA;;RP;;;WD)", None).unwrap();
    let Dacl::List(acl) = sd.as_ref().dacl() else { panic!("no list") };
    assert_eq!((acl.revision(), acl.as_bytes().len(), acl.count()), (4, 8 + 20 + 4, 1));
}

#[test]
fn entries_without_a_text_form_are_named() {
    let entry = [0x77u8, 0, 4, 0];
    let acl = Acl::builder().parse_entry(&entry).unwrap().build().unwrap();
    let sd = Descriptor::builder().dacl(acl).build().unwrap();
    let error = print(sd.as_ref(), None).unwrap_err();
    assert_eq!(error, PrintError { index: 0, reason: Unprintable::AceType(0x77) });
}

#[test]
fn a_local_name_outside_ascii_survives_the_way_to_text_and_back() {
    let read = parse("D:(XA;;GA;;;WD;(\u{10c}M == 1))", None).unwrap();
    let text = print(read.as_ref(), None).unwrap();
    assert_eq!(text, "D:(XA;;GA;;;WD;(%010cM == 1))");
    assert_eq!(parse(&text, None).unwrap(), read);
    let read = parse("D:(XA;;GA;;;WD;(Member_of\u{6e8}))", None).unwrap();
    assert_eq!(parse(&print(read.as_ref(), None).unwrap(), None).unwrap(), read);
    // What is printed as it is may not be escaped: the name would read back as a keyword.
    assert!(parse("D:(XA;;GA;;;WD;(%0045xists == 1))", None).is_err());
}

#[test]
fn a_number_is_written_as_the_value_it_is_whatever_its_sign_code_says() {
    let mut bytes = parse("D:(XA;;GA;;;WD;(@User.a == 1))", None).unwrap().as_bytes().to_vec();
    let at = bytes.windows(9).position(|window| *window == [1, 0, 0, 0, 0, 0, 0, 0, 3]).unwrap();
    bytes[at + 8] = 2;
    let text = print(Descriptor::parse(&bytes).unwrap().as_ref(), None).unwrap();
    assert_eq!(text, "D:(XA;;GA;;;WD;(@USER.a == 1))");
    assert_eq!(canonical("D:(XA;;GA;;;WD;(@User.a == -1))"), "D:(XA;;GA;;;WD;(@USER.a == -1))");
}
