//! What is covered by which test: each variant of what can come out wrong or be chosen, each SDDL word, each other
//! reading of an uncertain rule, each status and each rule has a line in `tests/golden/coverage.txt` that names tests or
//! vectors, and every name there exists. What has to be there is read from the source, so that nothing new is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use vicar_nt::acl::Acl;
use vicar_nt::{Sid, sddl};

use crate::case::rows;

/// Enumerations that are neither answers nor errors nor choices between readings: their variants have tests where they
/// are used, and no lines.
const WITHOUT_LINES: [&str; 19] = [
    "Base",
    "CopyReach",
    "Dacl",
    "Effect",
    "Elevation",
    "Form",
    "GroupChange",
    "ImpersonationLevel",
    "Lists",
    "Literal",
    "ObjectKind",
    "Operand",
    "PackageReach",
    "Privilege",
    "PrivilegeState",
    "Sacl",
    "Sign",
    "Value",
    "Whose",
];

/// Tables of SDDL words: what they are, where they stand, what they are called.
const TABLES: [(&str, &str, &str); 9] = [
    ("letter", "sddl/ace.rs", "TYPES"),
    ("flag", "sddl/ace.rs", "FLAGS"),
    ("right", "sddl/rights.rs", "LETTERS"),
    ("right", "sddl/rights.rs", "WHOLE"),
    ("right", "sddl/rights.rs", "LABEL"),
    ("alias", "sddl/alias.rs", "TABLE"),
    ("attribute", "sddl/attribute.rs", "TYPES"),
    ("operator", "sddl/condition_text.rs", "RELATIONS"),
    ("operator", "sddl/condition_text.rs", "MEMBERSHIPS"),
];

/// Words that stand in no table.
const OTHER_WORDS: [(&str, &[&str]); 3] = [
    ("operator", &["Exists", "Not_Exists", "&&", "||", "!"]),
    ("section", &["O:", "G:", "D:", "S:"]),
    ("control", &["P", "AR", "AI", "NO_ACCESS_CONTROL"]),
];

/// The rules: section, number of the first, number of the last.
const RULES: [(&str, u32, u32); 40] = [
    ("1.1", 1, 8),
    ("1.2", 1, 3),
    ("1.3", 0, 4),
    ("1.4", 1, 4),
    ("1.5", 1, 4),
    ("1.6", 1, 4),
    ("1.7", 1, 7),
    ("1.8", 1, 5),
    ("2.1", 1, 3),
    ("2.2", 1, 6),
    ("2.3", 1, 3),
    ("2.4", 1, 6),
    ("2.5", 1, 5),
    ("2.6", 0, 2),
    ("2.7", 0, 0),
    ("3.0", 1, 3),
    ("3.1", 0, 0),
    ("3.2", 1, 13),
    ("3.3", 1, 1),
    ("3.4", 1, 1),
    ("3.5", 1, 14),
    ("3.6", 1, 6),
    ("3.7", 1, 4),
    ("3.8", 1, 12),
    ("3.9", 1, 4),
    ("3.10", 1, 7),
    ("3.11", 1, 5),
    ("3.12", 1, 9),
    ("3.13", 1, 11),
    ("3.14", 1, 4),
    ("3.15", 0, 0),
    ("4.0", 1, 7),
    ("5.1", 1, 3),
    ("5.2", 1, 11),
    ("5.3", 1, 8),
    ("5.4", 1, 3),
    ("5.5", 0, 0),
    ("5.6", 1, 7),
    ("6.0", 1, 7),
    ("7.0", 1, 9),
];

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).unwrap()
}

/// The words of a table of the source.
fn words(path: &str, table: &str) -> Vec<String> {
    let text = source(path);
    let table = text.split(&format!("static {table}:")).nth(1).expect("a table").split("];").next().unwrap();
    table.split("(\"").skip(1).map(|entry| entry.split('"').next().unwrap().to_owned()).collect()
}

fn table(what: &str) -> Vec<String> {
    TABLES.iter().filter(|(of, ..)| *of == what).flat_map(|(_, path, name)| words(path, name)).collect()
}

/// Every public enumeration of a source, with its variants.
fn enumerations(text: &str) -> Vec<(String, Vec<String>)> {
    let bodies = text.split("\npub enum ").skip(1);
    bodies
        .map(|body| {
            let name: String = body.chars().take_while(|c| c.is_alphanumeric()).collect();
            let lines = body.lines().skip(1).take_while(|line| *line != "}");
            let variants =
                lines.filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase)));
            let variants = variants.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect());
            (name, variants.collect())
        })
        .collect()
}

/// Every word in capitals behind `before`.
fn constants(text: &str, before: &str) -> BTreeSet<String> {
    let names = text.split(before).skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect::<String>()
    });
    names.filter(|name| name.len() > 3).collect()
}

fn sources(at: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(fs::read_to_string(path).unwrap());
        }
    }
}

fn sources_of(crate_name: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(crate_name);
    let mut texts = Vec::new();
    ["src", "tests"].iter().for_each(|part| sources(&root.join(part), &mut texts));
    texts
}

fn wanted() -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    let mut shipped = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut shipped);
    let mut unlisted: BTreeSet<&str> = WITHOUT_LINES.into_iter().collect();
    for text in &shipped {
        for (name, variants) in enumerations(text) {
            if unlisted.remove(name.as_str()) {
                continue;
            }
            assert!(!variants.is_empty(), "{name}");
            wanted.extend(variants.iter().map(|variant| format!("variant {name}::{variant}")));
        }
        wanted.extend(constants(text, "NtStatus::").into_iter().map(|name| format!("status {name}")));
    }
    // This one is made by a macro.
    assert!(unlisted.remove("Privilege") && unlisted.is_empty(), "no such enumerations: {unlisted:?}");
    let readings = constants(&source("reading.rs"), "        const ");
    wanted.extend(readings.iter().map(|name| format!("reading {name}")));
    for (what, path, name) in TABLES {
        wanted.extend(words(path, name).iter().map(|word| format!("{what} {word}")));
    }
    for (what, list) in OTHER_WORDS {
        wanted.extend(list.iter().map(|word| format!("{what} {word}")));
    }
    for (section, first, last) in RULES {
        wanted.extend((first..=last).map(|number| format!("rule {section}.{number}")));
    }
    wanted
}

/// Takes the item of a line and what covers it; of a rule, only the number is the item.
fn split(line: &str) -> (String, &str) {
    let (item, names) = line.rsplit_once(" = ").unwrap_or_else(|| panic!("{line}"));
    let item = match item.strip_prefix("rule ") {
        Some(rule) => format!("rule {}", rule.split(' ').next().unwrap()),
        None => item.to_owned(),
    };
    (item, names)
}

#[test]
fn everything_has_a_test_and_every_test_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/golden/coverage.txt")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let covered: BTreeMap<String, &str> = lines.iter().map(|line| split(line)).collect();
    assert_eq!(covered.len(), lines.len(), "an item is there twice");
    let wanted = wanted();
    let missing: Vec<&String> = wanted.iter().filter(|item| !covered.contains_key(*item)).collect();
    let stale: Vec<&String> = covered.keys().filter(|item| !wanted.contains(*item)).collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for directory in ["check", "sddl", "descriptor", "assign"] {
        known.extend(rows(directory).iter().map(|row| row["id"].as_str().unwrap().to_owned()));
    }
    for text in ["vicar-nt", "vicar-kernel"].into_iter().flat_map(sources_of) {
        for test in text.split("#[test]").skip(1) {
            let name = test.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            known.extend(name.map(str::to_owned));
        }
    }
    let is_known = |names: &str| {
        let reason = names.strip_prefix("absent: ");
        reason.map_or_else(|| names.split(", ").all(|name| known.contains(name)), |reason| reason.len() > 20)
    };
    let unknown: Vec<&&str> = covered.values().filter(|names| !is_known(names)).collect();
    assert!(missing.is_empty() && stale.is_empty() && unknown.is_empty(), "{missing:#?} {stale:#?} {unknown:#?}");
    assert!(wanted.len() > 600, "{}", wanted.len());
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
    for alias in table("alias") {
        let text = format!("O:{alias}");
        assert_eq!(both_ways(&text), text);
        assert_eq!(both_ways(&format!("O:{}", alias.to_lowercase())).to_lowercase(), text.to_lowercase());
    }
}

#[test]
fn sids_without_an_alias_are_read_and_printed() {
    for sid in ["S-1-5-5-1-2", "S-1-19-512-4096", "S-1-17-9", "S-1-15-3-1", "S-1-22-1-7", "S-1-0-0"] {
        let text = format!("O:{sid}");
        assert_eq!(both_ways(&text), text);
    }
}

#[test]
fn every_right_is_read_and_printed() {
    for right in table("right") {
        let kind = if right.starts_with('N') { "ML" } else { "AU" };
        let sid = if kind == "ML" { "LW" } else { "WD" };
        // Execute on a key is what reading one is, and reading is what is printed.
        let expected = if right == "KX" { "KR" } else { right.as_str() };
        assert_eq!(both_ways(&format!("S:({kind};;{right};;;{sid})")), format!("S:({kind};;{expected};;;{sid})"));
    }
}

#[test]
fn every_flag_is_read_and_printed() {
    for flag in table("flag") {
        let data = if flag == "TP" { ";(@USER.a == 1)" } else { "" };
        let kind = if flag == "TP" { "FL" } else { "AU" };
        let text = format!("S:({kind};{flag};FR;;;WD{data})");
        assert_eq!(both_ways(&text), text);
    }
}

#[test]
fn every_type_letter_is_read_and_printed() {
    let guid = "bf967aba-0de6-11d0-a285-00aa003049e2";
    for letter in table("letter") {
        let (list, guid, sid, data) = match letter.as_str() {
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
    let others = OTHER_WORDS.iter().filter(|(what, _)| *what == "operator").flat_map(|(_, words)| words.iter());
    let operators = table("operator").into_iter().chain(others.map(|word| (*word).to_owned()));
    for operator in operators {
        let condition = match operator.as_str() {
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
