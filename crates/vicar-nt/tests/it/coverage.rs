//! What is covered by which test: each entry type, SDDL word, check step, refusal, switch and status has a line in
//! `tests/golden/coverage.txt` that names a test or a vector, and every name there exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use vicar_nt::acl::{AceKind, Acl};
use vicar_nt::{Sid, sddl};

use crate::case::rows;

const TYPES: [&str; 17] =
    ["A", "D", "AU", "AL", "OA", "OD", "OU", "OL", "XA", "XD", "ZA", "XU", "ML", "RA", "SP", "TL", "FL"];
const FLAGS: [&str; 9] = ["OI", "CI", "NP", "IO", "ID", "SA", "FA", "CR", "TP"];
const RIGHTS: [&str; 28] = [
    "CC", "DC", "LC", "SW", "RP", "WP", "DT", "LO", "CR", "SD", "RC", "WD", "WO", "GA", "GX", "GW", "GR", "FA", "FR",
    "FW", "FX", "KA", "KR", "KW", "KX", "NW", "NR", "NX",
];
const ALIASES: [&str; 74] = [
    "WD",
    "CO",
    "CG",
    "OW",
    "NU",
    "IU",
    "SU",
    "AN",
    "ED",
    "PS",
    "AU",
    "RC",
    "SY",
    "LS",
    "NS",
    "WR",
    "UD",
    "AC",
    "AS",
    "SS",
    "LW",
    "ME",
    "MP",
    "HI",
    "SI",
    "BA",
    "BU",
    "BG",
    "PU",
    "AO",
    "SO",
    "PO",
    "BO",
    "RE",
    "RU",
    "RD",
    "NO",
    "MU",
    "LU",
    "IS",
    "CY",
    "ER",
    "CD",
    "RA",
    "ES",
    "MS",
    "HA",
    "AA",
    "RM",
    "HO",
    "SH",
    "RO",
    "LA",
    "LG",
    "DA",
    "DU",
    "DG",
    "DC",
    "DD",
    "CA",
    "SA",
    "EA",
    "PA",
    "CN",
    "AP",
    "KA",
    "EK",
    "RS",
    "S-1-5-5-1-2",
    "S-1-19-512-4096",
    "S-1-17-9",
    "S-1-15-3-1",
    "S-1-22-1-7",
    "S-1-0-0",
];
const OPERATORS: [&str; 23] = [
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "Contains",
    "Any_of",
    "Not_Contains",
    "Not_Any_of",
    "Exists",
    "Not_Exists",
    "Member_of",
    "Device_Member_of",
    "Member_of_Any",
    "Device_Member_of_Any",
    "Not_Member_of",
    "Not_Device_Member_of",
    "Not_Member_of_Any",
    "Not_Device_Member_of_Any",
    "&&",
    "||",
    "!",
];
const STEPS: [&str; 14] = [
    "Mode",
    "Caller",
    "Level",
    "Mapped",
    "TrustLabel",
    "AccessFilter",
    "Integrity",
    "Privilege",
    "Owner",
    "NoDacl",
    "Ace",
    "PassEnd",
    "Package",
    "CentralRule",
];
const SWITCHES: [&str; 10] = [
    "UnknownAces::Skip",
    "UnknownAces::Refuse",
    "TypedDenyWithoutList::Denies",
    "TypedDenyWithoutList::Ignored",
    "OwnerWhenWriteRestricted::MustBeRestrictingSid",
    "OwnerWhenWriteRestricted::Implied",
    "AppContainerIntegrity::WaivedUpToMedium",
    "AppContainerIntegrity::Enforced",
    "UnknownCentralPolicy::Recovery",
    "UnknownCentralPolicy::NoPolicy",
];
const STATUSES: [&str; 17] = [
    "ACCESS_DENIED",
    "PRIVILEGE_NOT_HELD",
    "BAD_IMPERSONATION_LEVEL",
    "NO_IMPERSONATION_TOKEN",
    "GENERIC_NOT_MAPPED",
    "INVALID_SECURITY_DESCR",
    "INVALID_PARAMETER",
    "INVALID_OWNER",
    "INVALID_PRIMARY_GROUP",
    "NO_SECURITY_ON_OBJECT",
    "CANT_ENABLE_DENY_ONLY",
    "CANT_DISABLE_MANDATORY",
    "UNKNOWN_REVISION",
    "INVALID_ACL",
    "INVALID_SID",
    "NOT_SUPPORTED",
    "NOT_ALL_ASSIGNED",
];

fn wanted() -> BTreeSet<String> {
    let kinds = (0u8..=0x15).map(|number| format!("type {:?}", AceKind::from_number(number)));
    let lists: [(&str, &[&str]); 8] = [
        ("letter", &TYPES),
        ("flag", &FLAGS),
        ("right", &RIGHTS),
        ("alias", &ALIASES),
        ("operator", &OPERATORS),
        ("step", &STEPS),
        ("switch", &SWITCHES),
        ("status", &STATUSES),
    ];
    let words = lists.iter().flat_map(|(what, list)| list.iter().map(move |word| format!("{what} {word}")));
    kinds.chain(words).collect()
}

fn sources(at: &Path, into: &mut String) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn everything_has_a_test_and_every_test_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/golden/coverage.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let covered: BTreeMap<String, &str> =
        lines.map(|line| line.split_once(" = ").unwrap()).map(|(item, by)| (item.to_owned(), by)).collect();
    let wanted = wanted();
    let missing: Vec<&String> = wanted.iter().filter(|item| !covered.contains_key(*item)).collect();
    let stale: Vec<&String> = covered.keys().filter(|item| !wanted.contains(*item)).collect();
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for directory in ["check", "sddl", "descriptor", "assign"] {
        ids.extend(rows(directory).iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
    let exists = |name: &&str| ids.contains(*name) || code.contains(&format!("fn {name}("));
    let unknown: Vec<&&str> = covered.values().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty() && stale.is_empty() && unknown.is_empty(), "{missing:?} {stale:?} {unknown:?}");
}

/// Reads and prints a word in the place where it belongs, and reads what was printed.
fn both_ways(text: &str) -> String {
    let domain: Sid = "S-1-5-21-1-2-3".parse().unwrap();
    let sd = sddl::parse(text, Some(&domain)).unwrap_or_else(|error| panic!("{text}: {error}"));
    let printed = sddl::print(sd.as_ref(), Some(&domain)).unwrap_or_else(|error| panic!("{text}: {error}"));
    let again = sddl::parse(&printed, Some(&domain)).unwrap();
    assert_eq!(sddl::print(again.as_ref(), Some(&domain)).unwrap(), printed);
    printed
}

#[test]
fn every_alias_is_read_and_printed() {
    for alias in ALIASES {
        let text = format!("O:{alias}");
        assert_eq!(both_ways(&text), text);
        assert_eq!(both_ways(&format!("O:{}", alias.to_lowercase())).to_lowercase(), text.to_lowercase());
    }
}

#[test]
fn every_right_is_read_and_printed() {
    for right in RIGHTS {
        let kind = if right.starts_with('N') { "ML" } else { "AU" };
        let sid = if kind == "ML" { "LW" } else { "WD" };
        // Execute on a key is what reading one is, and reading is what is printed.
        let expected = if right == "KX" { "KR" } else { right };
        assert_eq!(both_ways(&format!("S:({kind};;{right};;;{sid})")), format!("S:({kind};;{expected};;;{sid})"));
    }
}

#[test]
fn every_flag_is_read_and_printed() {
    for flag in FLAGS {
        let data = if flag == "TP" { ";(@USER.a == 1)" } else { "" };
        let kind = if flag == "TP" { "FL" } else { "AU" };
        let text = format!("S:({kind};{flag};FR;;;WD{data})");
        assert_eq!(both_ways(&text), text);
    }
}

#[test]
fn every_type_letter_is_read_and_printed() {
    let guid = "bf967aba-0de6-11d0-a285-00aa003049e2";
    for letter in TYPES {
        let (list, guid, sid, data) = match letter {
            "A" | "D" => ("D", "", "WD", ""),
            "OA" | "OD" => ("D", guid, "WD", ""),
            "OU" | "OL" => ("S", guid, "WD", ""),
            "XA" | "XD" => ("D", "", "WD", ";(@USER.a == 1)"),
            "ZA" => ("D", guid, "WD", ";(@USER.a == 1)"),
            "XU" | "FL" => ("S", "", "WD", ";(@USER.a == 1)"),
            "ML" => ("S", "", "LW", ""),
            "RA" => ("S", "", "WD", ";(\"a\",TI,0x0,1)"),
            "SP" => ("S", "", "S-1-17-9", ""),
            "TL" => ("S", "", "S-1-19-512-4096", ""),
            _ => ("S", "", "WD", ""),
        };
        let text = format!("{list}:({letter};;;{guid};;{sid}{data})");
        assert_eq!(both_ways(&text), text);
    }
}

#[test]
fn every_operator_is_read_and_printed() {
    for operator in OPERATORS {
        let condition = match operator {
            "&&" | "||" => format!("(@USER.a) {operator} (@USER.b)"),
            "!" => "!(@USER.a)".to_owned(),
            "Exists" | "Not_Exists" => format!("{operator} @USER.a"),
            _ if operator.contains("Member_of") => format!("{operator} {{SID(BA)}}"),
            _ => format!("@USER.a {operator} 1"),
        };
        let printed = both_ways(&format!("D:(XA;;FR;;;WD;({condition}))"));
        assert!(printed.to_lowercase().contains(&operator.to_lowercase()), "{operator}: {printed}");
    }
}

#[test]
fn every_type_without_a_letter_is_read_and_carried() {
    let sid = [1u8, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for number in [0x0Cu8, 0x0E, 0x0F, 0x10] {
        let is_object = number != 0x0E;
        let size = if is_object { 24u8 } else { 20 };
        let mut ace = vec![number, 0, size, 0, 1, 0, 0, 0];
        if is_object {
            ace.extend_from_slice(&[0; 4]);
        }
        ace.extend_from_slice(&sid);
        let acl = Acl::builder().parse_entry(&ace).unwrap().build().unwrap();
        let read: Vec<_> = acl.as_ref().aces().map(|ace| (ace.kind().number(), ace.as_bytes().to_vec())).collect();
        assert_eq!(read, [(number, ace)]);
        assert_eq!(acl.as_ref().revision(), if is_object { 4 } else { 2 });
    }
}
