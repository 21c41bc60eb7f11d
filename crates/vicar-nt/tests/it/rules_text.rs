//! Rules about text: section 2 of the rules list.

use vicar_nt::acl::Acl;
use vicar_nt::descriptor::{Control, Dacl, Descriptor, Sacl};
use vicar_nt::sddl::{self, Problem, Unprintable};
use vicar_nt::{RequestedMask, Sid, well_known};

fn domain() -> Sid {
    "S-1-5-21-1-2-3".parse().unwrap()
}

fn canonical(text: &str) -> String {
    let sd = sddl::parse(text, Some(&domain())).unwrap_or_else(|error| panic!("{text}: {error}"));
    sddl::print(sd.as_ref(), Some(&domain())).unwrap()
}

#[test]
fn section_2_1_white_space_and_where_it_may_stand() {
    for text in [
        " O:SY",
        "O: SY ",
        "\tO:SY\r\n",
        "O:SY  G:BA  D:P (A;;GA;;;WD) (D;;GA;;; BG )  S: (AU;SA;GA;;;WD)",
        "D: (A; OI;GA;;; WD )",
        "D:(A;;GA; ; ;WD)",
    ] {
        assert!(sddl::parse(text, None).is_ok(), "{text}");
    }
    for text in ["O :SY", "D :", "D:(A ;;GA;;;WD)", "D:(A;;GA ;;;WD)", "D:(A;;GA;;;S-1-1-0 )", "d:", "o:SY", "s:"] {
        assert!(sddl::parse(text, None).is_err(), "{text}");
    }
}

#[test]
fn section_2_1_the_same_letters_set_the_bits_of_both_lists_and_nothing_else() {
    let control = |text: &str| sddl::parse(text, None).unwrap().as_ref().control();
    for letters in ["P", "AR", "AI", "PAR", "AIP", "ARAI", "PARAI"] {
        let [dacl, sacl] = ["D:", "S:"].map(|list| control(&format!("{list}{letters}")));
        let has = |name: &str| letters.contains(name);
        assert_eq!(dacl.contains(Control::DACL_PROTECTED), has("P"), "{letters}");
        assert_eq!(dacl.contains(Control::DACL_AUTO_INHERIT_REQ), has("AR"), "{letters}");
        assert_eq!(dacl.contains(Control::DACL_AUTO_INHERITED), has("AI"), "{letters}");
        assert_eq!(sacl.contains(Control::SACL_PROTECTED), has("P"), "{letters}");
        assert_eq!(sacl.contains(Control::SACL_AUTO_INHERIT_REQ), has("AR"), "{letters}");
        assert_eq!(sacl.contains(Control::SACL_AUTO_INHERITED), has("AI"), "{letters}");
        let all = dacl | sacl;
        assert!(!all.intersects(Control::DACL_DEFAULTED | Control::SACL_DEFAULTED | Control::RM_CONTROL_VALID));
        assert!(dacl.contains(Control::SELF_RELATIVE) && sacl.contains(Control::SELF_RELATIVE));
    }
    assert_eq!(control("").bits(), 0x8000);
    // A DEFAULTED bit has no text.
    let defaulted = Descriptor::builder().null_dacl().control(Control::DACL_DEFAULTED).build().unwrap();
    assert_eq!(sddl::print(defaulted.as_ref(), None).unwrap(), "D:NO_ACCESS_CONTROL");
}

#[test]
fn section_2_2_letters_and_numbers_of_types() {
    let types = [
        ("D:(A;;;;;WD)", 0x00),
        ("D:(D;;;;;WD)", 0x01),
        ("S:(AU;;;;;WD)", 0x02),
        ("S:(AL;;;;;WD)", 0x03),
        ("D:(OA;;;00000000-0000-0000-0000-000000000001;;WD)", 0x05),
        ("D:(OD;;;;00000000-0000-0000-0000-000000000001;WD)", 0x06),
        ("S:(OU;;;00000000-0000-0000-0000-000000000001;;WD)", 0x07),
        ("S:(OL;;;00000000-0000-0000-0000-000000000001;;WD)", 0x08),
        ("D:(XA;;;;;WD;(a))", 0x09),
        ("D:(XD;;;;;WD;(a))", 0x0A),
        ("D:(ZA;;;00000000-0000-0000-0000-000000000001;;WD;(a))", 0x0B),
        ("S:(XU;;;;;WD;(a))", 0x0D),
        ("S:(ML;;;;;LW)", 0x11),
        ("S:(RA;;;;;WD;(\"a\",TI,0,1))", 0x12),
        ("S:(SP;;;;;S-1-17-1)", 0x13),
        ("S:(TL;;;;;S-1-19-512-4096)", 0x14),
        ("S:(FL;;;;;WD;(a))", 0x15),
    ];
    for (text, number) in types {
        for text in [text.to_owned(), text.replacen(&text[3..5], &text[3..5].to_lowercase(), 1)] {
            let sd = sddl::parse(&text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
            let list = match (sd.as_ref().dacl(), sd.as_ref().sacl()) {
                (Dacl::List(list), _) | (_, Sacl::List(list)) => list.to_acl(),
                _ => panic!("{text}: no list"),
            };
            assert_eq!(list.as_ref().aces().next().unwrap().kind().number(), number, "{text}");
        }
    }
}

#[test]
fn section_2_2_types_of_the_other_list_are_refused_in_a_dacl() {
    for kind in ["AU", "AL", "OU", "OL", "XU", "ML", "RA", "SP", "TL", "FL"] {
        let error = sddl::parse(&format!("D:({kind};;;;;WD)"), None).unwrap_err();
        assert_eq!((error.problem, error.at), (Problem::AceTypeInList, 3), "{kind}");
    }
}

#[test]
fn section_2_2_data_stands_where_its_type_takes_some_and_nowhere_else() {
    for (kind, list) in [("XA", "D"), ("XD", "D"), ("ZA", "D"), ("XU", "S"), ("FL", "S"), ("RA", "S")] {
        let error = sddl::parse(&format!("{list}:({kind};;;;;WD)"), None).unwrap_err();
        assert_eq!(error.problem, Problem::Fields, "{kind}");
    }
    for (kind, list) in [("A", "D"), ("OD", "D"), ("AU", "S"), ("ML", "S"), ("SP", "S"), ("TL", "S")] {
        let error = sddl::parse(&format!("{list}:({kind};;;;;WD;(a))"), None).unwrap_err();
        assert_eq!(error.problem, Problem::Fields, "{kind}");
    }
    assert_eq!(canonical("D:(XA;;;;;WD;  ( a == 1 ) )"), "D:(XA;;;;;WD;(a == 1))");
    assert_eq!(canonical("D:(A;;;00000000-0000-0000-0000-000000000001;;WD)"), "D:(A;;;;;WD)");
}

#[test]
fn section_2_3_what_every_right_is() {
    let general = "CC=1 DC=2 LC=4 SW=8 RP=10 WP=20 DT=40 LO=80 CR=100 SD=10000 RC=20000 WD=40000 WO=80000 GA=10000000 \
                   GX=20000000 GW=40000000 GR=80000000 FA=1f01ff FR=120089 FW=120116 FX=1200a0 KA=f003f KR=20019 \
                   KW=20006 KX=20019";
    let mut all = 0;
    for (name, bits) in general.split_whitespace().map(|pair| pair.split_once('=').unwrap()) {
        let bits = u32::from_str_radix(bits, 16).unwrap();
        for text in [name.to_owned(), name.to_lowercase()] {
            assert_eq!(sddl::parse_rights(&text), Ok(RequestedMask(bits)), "{name}");
        }
        all |= bits;
        assert_eq!(sddl::parse_rights(&format!("SY{name}")).unwrap_err().at, 0);
        assert_eq!(sddl::parse_rights(&format!("CC {name}")), Ok(RequestedMask(bits | 1)));
    }
    assert_eq!(all, 0xF01F_01FF);
    for (name, bits) in [("NW", 1u32), ("NR", 2), ("NX", 4)] {
        assert!(sddl::parse_rights(name).is_err());
        let sd = sddl::parse(&format!("S:(ML;;{name};;;LW)"), None).unwrap();
        let mask = sd.as_ref().sacl().entries().aces().next().unwrap().parts().unwrap().mask;
        assert_eq!(mask, RequestedMask(bits));
    }
}

#[test]
fn section_2_3_how_a_mask_is_printed() {
    for (mask, text) in [
        (0, ""),
        (0x1F_01FF, "FA"),
        (0x12_0089, "FR"),
        (0x12_0116, "FW"),
        (0x12_00A0, "FX"),
        (0xF_003F, "KA"),
        (0x2_0019, "KR"),
        (0x2_0006, "KW"),
        (0x1_01FF, "CCDCLCSWRPWPDTLOCRSD"),
        (0xF000_0000, "GAGXGWGR"),
        (0x12_00A9, "0x1200a9"),
        (0x10_0000, "0x100000"),
        (0x0100_0001, "0x1000001"),
        (u32::MAX, "0xffffffff"),
    ] {
        assert_eq!(sddl::print_rights(RequestedMask(mask)), text);
        assert_eq!(sddl::parse_rights(text), Ok(RequestedMask(mask)));
    }
}

/// Alias and SID, as the rules list them.
const ALIASES: &str = "WD=S-1-1-0 CO=S-1-3-0 CG=S-1-3-1 OW=S-1-3-4 NU=S-1-5-2 IU=S-1-5-4 SU=S-1-5-6 AN=S-1-5-7 ED=S-1-5-9 \
    PS=S-1-5-10 AU=S-1-5-11 RC=S-1-5-12 SY=S-1-5-18 LS=S-1-5-19 NS=S-1-5-20 WR=S-1-5-33 UD=S-1-5-84-0-0-0-0-0 \
    AC=S-1-15-2-1 AS=S-1-18-1 SS=S-1-18-2 LW=S-1-16-4096 ME=S-1-16-8192 MP=S-1-16-8448 HI=S-1-16-12288 SI=S-1-16-16384 \
    BA=32-544 BU=32-545 BG=32-546 PU=32-547 AO=32-548 SO=32-549 PO=32-550 BO=32-551 RE=32-552 RU=32-554 RD=32-555 \
    NO=32-556 MU=32-558 LU=32-559 IS=32-568 CY=32-569 ER=32-573 CD=32-574 RA=32-575 ES=32-576 MS=32-577 HA=32-578 \
    AA=32-579 RM=32-580 HO=32-584 SH=32-585 RO=@498 LA=@500 LG=@501 DA=@512 DU=@513 DG=@514 DC=@515 DD=@516 CA=@517 \
    SA=@518 EA=@519 PA=@520 CN=@522 AP=@525 KA=@526 EK=@527 RS=@553";

#[test]
fn section_2_4_whom_every_alias_stands_for() {
    let mut count = 0;
    for (alias, sid) in ALIASES.split_whitespace().map(|pair| pair.split_once('=').unwrap()) {
        let of_domain = sid.starts_with('@');
        let sid = sid.replace('@', "S-1-5-21-1-2-3-");
        let sid: Sid = if sid.starts_with("32-") { format!("S-1-5-{sid}") } else { sid }.parse().unwrap();
        for text in [alias.to_owned(), alias.to_lowercase(), format!(" {alias} ")] {
            assert_eq!(sddl::parse_sid(&text, Some(&domain())), Ok(sid), "{alias}");
        }
        assert_eq!(sddl::print_sid(sid.as_ref(), Some(&domain())), alias);
        let other: Sid = "S-1-5-21-9-9-9".parse().unwrap();
        if of_domain {
            let error = sddl::parse_sid(alias, None).unwrap_err();
            assert_eq!((error.problem, error.at), (Problem::AliasNeedsDomain, 0), "{alias}");
            assert_eq!(sddl::print_sid(sid.as_ref(), None), sid.to_string());
            assert_eq!(sddl::print_sid(sid.as_ref(), Some(&other)), sid.to_string());
        } else {
            assert_eq!(sddl::parse_sid(alias, None), Ok(sid));
            assert_eq!(sddl::print_sid(sid.as_ref(), None), alias);
        }
        count += 1;
    }
    assert_eq!(count, 68);
    let known: Vec<&str> = ALIASES.split_whitespace().map(|pair| &pair[..2]).collect();
    for a in 'A'..='Z' {
        for b in 'A'..='Z' {
            let name = format!("{a}{b}");
            assert_eq!(sddl::parse_sid(&name, Some(&domain())).is_ok(), known.contains(&name.as_str()), "{name}");
        }
    }
}

#[test]
fn section_2_4_letters_mean_what_their_field_says() {
    let sd = sddl::parse("D:(A;CR;CRWDRCSDDC;;;WD)(A;;KA;;;RC)S:(AU;SAFA;FA;;;SA)", Some(&domain())).unwrap();
    let text = "D:(A;CR;DCCRSDRCWD;;;WD)(A;;KA;;;RC)S:(AU;SAFA;FA;;;SA)";
    assert_eq!(sddl::print(sd.as_ref(), Some(&domain())).unwrap(), text);
}

#[test]
fn section_2_4_numbers_of_sids() {
    for (text, sid) in [
        ("s-1-5-32-544", "S-1-5-32-544"),
        ("S-1-0x5-0x20-544", "S-1-5-32-544"),
        ("S-1-5-00032-544", "S-1-5-32-544"),
        ("S-1- 5-32-544", "S-1-5-32-544"),
        ("S-1-5-32- 544", "S-1-5-32-544"),
        ("S-0x1-5-20-220", "S-1-5-32-544"),
        ("S-1-5-99999999999999999999", "S-1-5-4294967295"),
        ("S-1-281474976710655-1", "S-1-0xffffffffffff-1"),
    ] {
        assert_eq!(sddl::parse_sid(text, None).unwrap().to_string(), sid, "{text}");
    }
    for text in
        ["S-1-5-32 -544", "S-1 -5-32", "S-1-281474976710656-1", "S-1-5", "S-1-5-", "S-2-5-1", "S-1-5--1", "S-1-5-1x"]
    {
        assert!(sddl::parse_sid(text, None).is_err(), "{text}");
    }
}

#[test]
fn section_2_5_what_binds_tighter() {
    let condition = |text: &str| {
        let condition = sddl::parse_condition(text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
        sddl::print_condition(&condition, None).unwrap()
    };
    for (text, printed) in [
        ("(a || b && c)", "((a) || ((b) && (c)))"),
        ("(a && b || c)", "(((a) && (b)) || (c))"),
        ("(a || b || c)", "(((a) || (b)) || (c))"),
        ("(!@User.a && b)", "(!(@USER.a) && (b))"),
        ("(!(a == 1) || exists b)", "(!(a == 1) || (Exists b))"),
        ("(MEMBER_OF{SID(BA)})", "(Member_of {SID(BA)})"),
        ("(@uSeR.a ANY_OF {1})", "(@USER.a Any_of {1})"),
        ("(@User.a%0020b == -0x10)", "(@USER.a%0020b == -0x10)"),
        ("(a == 0xffffffffffffffff)", "(a == 0xffffffffffffffff)"),
        ("(a == -9223372036854775808)", "(a == -9223372036854775808)"),
        ("(a == #)", "(a == #)"),
    ] {
        assert_eq!(condition(text), printed, "{text}");
    }
    for text in [
        "(! Member_of{SID(BA)})",
        "(!!! !!!)",
        "(a == !(b))",
        "(Member_ofSID(BA))",
        "(Member_of_AnySID(BA))",
        "(@User.a == \"a\"b\")",
        "(a == 18446744073709551616)",
        "(a == {1, {2}})",
        "(a == b)",
        "(a) b",
        "a == 1",
        "()",
    ] {
        assert!(sddl::parse_condition(text, None).is_err(), "{text}");
    }
}

#[test]
fn section_2_6_the_types_and_values_of_resource_attributes() {
    for (text, printed) in [
        ("(\"a\",TI,0,-7,+5,0x10,010)", "(\"a\",TI,0x0,-7,5,16,8)"),
        ("(\"a\",tu,0x10001,18446744073709551615)", "(\"a\",TU,0x10001,18446744073709551615)"),
        ("(\"a b\",TS,2,\"x y\",\"\")", ""),
        ("(\"a%0020b\",TS,2,\"x y\",\"\")", "(\"a%0020b\",TS,0x2,\"x y\",\"\")"),
        ("(\"a\",TD,0,BA,S-1-1-0)", "(\"a\",TD,0x0,BA,WD)"),
        ("(\"a\",TX,0,0077,abc,1#2)", "(\"a\",TX,0x0,0077,0abc,0102)"),
        ("(\"a\",TB,0,0,1)", "(\"a\",TB,0x0,0,1)"),
        ("( \"a\" , TB , 0 , 1 )", "(\"a\",TB,0x0,1)"),
    ] {
        let whole = format!("S:(RA;;;;;WD;{text})");
        match printed {
            "" => assert!(sddl::parse(&whole, None).is_err(), "{text}"),
            _ => assert_eq!(canonical(&whole), format!("S:(RA;;;;;WD;{printed})"), "{text}"),
        }
    }
    for text in [
        "(\"a\",TI,0)",
        "(\"a\",TB,0,2)",
        "(\"a\",TF,0,1)",
        "(\"a\",TI,0x8000,1)",
        "(\"a\",TD,0,SID(BA))",
        "(a,TI,0,1)",
    ] {
        assert!(sddl::parse(&format!("S:(RA;;;;;WD;{text})"), None).is_err(), "{text}");
    }
}

#[test]
fn section_2_7_what_does_not_come_back_from_text() {
    let print = |bytes: &[u8]| {
        let acl = Acl::builder().parse_entry(bytes).unwrap().build().unwrap();
        let sd = Descriptor::builder().dacl(acl).build().unwrap();
        sddl::print(sd.as_ref(), None)
    };
    let sid = [1u8, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let entry = |kind: u8, middle: &[u8], data: &[u8]| {
        let size = u8::try_from(8 + middle.len() + 12 + data.len()).unwrap();
        [&[kind, 0, size, 0, 1, 0, 0, 0][..], middle, &sid, data].concat()
    };
    assert!(print(&entry(0x00, &[], &[])).is_ok());
    for (kind, middle) in
        [(0x04u8, [&[1u8, 0, 0, 0][..], &sid].concat()), (0x0C, vec![0; 4]), (0x0E, vec![]), (0x0F, vec![0; 4])]
    {
        assert!(print(&entry(kind, &middle, &[])).is_err(), "{kind:#x}");
    }
    let reason = |bytes: &[u8]| print(bytes).unwrap_err().reason;
    assert_eq!(reason(&[0x77, 0, 4, 0]), Unprintable::AceType(0x77));
    assert_eq!(reason(&entry(0x09, &[], b"data")), Unprintable::Condition);
    assert_eq!(reason(&entry(0x12, &[], b"data")), Unprintable::ResourceAttribute);
    // Slack, revision and the order of parts are gone; what the lists say is not.
    let plain = sddl::parse("O:SYD:(A;;FA;;;WD)", None).unwrap();
    let Dacl::List(list) = plain.as_ref().dacl() else { panic!("no list") };
    let mut bytes = list.as_bytes().to_vec();
    bytes[0] = 4;
    bytes[2] += 8;
    bytes.extend_from_slice(&[0xEE; 8]);
    let odd = Descriptor::builder().owner(well_known::LOCAL_SYSTEM).dacl(Acl::parse(&bytes).unwrap()).build().unwrap();
    assert_ne!(odd, plain);
    let text = sddl::print(odd.as_ref(), None).unwrap();
    assert_eq!(sddl::parse(&text, None).unwrap(), plain);
}
