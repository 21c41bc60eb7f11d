//! Every case has its place: a function of its own here, or a line that says where else.
#![expect(clippy::arithmetic_side_effects, reason = "counts of a few hundred lines")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The source of every module of this test.
const SOURCES: [&str; 25] = [
    include_str!("anonymous.rs"),
    include_str!("apart.rs"),
    include_str!("capture.rs"),
    include_str!("claims.rs"),
    include_str!("concurrency.rs"),
    include_str!("cv.rs"),
    include_str!("elevate.rs"),
    include_str!("foreign.rs"),
    include_str!("gate.rs"),
    include_str!("impersonate.rs"),
    include_str!("information.rs"),
    include_str!("job.rs"),
    include_str!("ledger.rs"),
    include_str!("logon.rs"),
    include_str!("matrix.rs"),
    include_str!("nt.rs"),
    include_str!("open.rs"),
    include_str!("pipe.rs"),
    include_str!("policies.rs"),
    include_str!("pool.rs"),
    include_str!("property.rs"),
    include_str!("subject.rs"),
    include_str!("token.rs"),
    include_str!("watch.rs"),
    include_str!("work.rs"),
];

/// The cases that functions of these names are.
fn functions(prefix: &str, digits: usize) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for source in SOURCES {
        for line in source.lines() {
            let Some(name) = line.trim_start().strip_prefix("fn ").and_then(|rest| rest.strip_prefix(prefix)) else {
                continue;
            };
            let number = name.get(..digits).filter(|_| name.as_bytes().get(digits) == Some(&b'_'));
            if let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) {
                *found.entry(number).or_insert(0) += 1;
            }
        }
    }
    found
}

/// The text of a test, named in full or by its case number.
pub(crate) fn body(case: &str) -> Option<&'static str> {
    let mut sources = SOURCES.iter().chain([&include_str!("statuses.rs")]);
    sources.find_map(|source| {
        let starts = [format!("fn {case}("), format!("fn {case}_")];
        let at = starts.iter().find_map(|start| source.find(start.as_str()))?;
        let rest = source.get(at..)?;
        rest.get(..rest.find("\n}")?)
    })
}

/// A case that has its place in another crate, or in none.
struct Elsewhere {
    number: usize,
    place: &'static str,
}

const HOMES: [&str; 2] = ["vicar-os", "vicar-ntifs"];

fn elsewhere(prefix: &str) -> Vec<Elsewhere> {
    let lines = include_str!("../golden/elsewhere.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let number = words.next()?.strip_prefix(prefix)?.parse().ok()?;
            let place = words.next()?;
            assert!(place == "nowhere" || HOMES.contains(&place), "{line}");
            assert!(words.count() > 5, "no reason: {line}");
            Some(Elsewhere { number, place })
        })
        .collect()
}

fn every_case_has_one_place(prefix: &str, digits: usize, upper: &str, count: usize) {
    let here = functions(prefix, digits);
    let there = elsewhere(upper);
    for number in 1..=count {
        let named = there.iter().filter(|case| case.number == number).count();
        let places = here.get(&number).copied().unwrap_or(0) + named;
        assert_eq!(places, 1, "{upper}{number} has {places} places");
    }
    assert_eq!(here.len() + there.len(), count);
}

/// The text of every Rust and C file beneath a directory.
fn texts(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs" || extension == "c");
        if path.is_dir() {
            texts(&path, found);
        } else if is_source {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// Whether a text defines a function whose name has `word` at its beginning or after an underscore.
fn defines(text: &str, word: &str) -> bool {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices('(').map(move |(at, _)| line.get(..at).unwrap())).any(|before| {
        let name = before.rsplit(|letter| !is_name(letter)).next().unwrap_or_default();
        let kind = before.strip_suffix(name).unwrap_or_default().trim_end();
        let is_definition = ["fn", "void", "int"].iter().any(|word| kind.ends_with(word));
        is_definition && (name.starts_with(word) || name.contains(&format!("_{word}")))
    })
}

#[test]
fn a_case_that_another_crate_is_said_to_have_is_a_function_there() {
    for home in HOMES {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(home);
        if !directory.is_dir() {
            println!("skipped: {home} is not here");
            continue;
        }
        let mut found = Vec::new();
        texts(&directory.join("src"), &mut found);
        texts(&directory.join("tests"), &mut found);
        let words = elsewhere("T").into_iter().map(|case| (case.place, format!("t{:03}_", case.number)));
        let vulnerabilities = elsewhere("CV").into_iter().map(|case| (case.place, format!("cv{:02}_", case.number)));
        for (_, word) in words.chain(vulnerabilities).filter(|(place, _)| *place == home) {
            assert!(found.iter().any(|text| defines(text, &word)), "{home} has no function {word}");
        }
    }
}

#[test]
fn a_function_is_told_from_a_call_and_a_comment() {
    for text in
        ["fn t217_it(", "    pub(crate) fn t217_it() {", "static void t217_it(void)", "int vicar_t217_it(void) {"]
    {
        assert!(defines(text, "t217_"), "{text}");
    }
    for text in ["    t217_it();", "// fn t217_it(", "fn t2170_it(", "fn it_t21(", "RUN(t217_it);", "(\"x\", t217_it),"]
    {
        assert!(!defines(text, "t217_"), "{text}");
    }
}

#[test]
fn each_of_the_231_cases_has_one_place() {
    every_case_has_one_place("t", 3, "T", 231);
}

#[test]
fn each_of_the_28_vulnerabilities_has_one_place() {
    every_case_has_one_place("cv", 2, "CV", 28);
}

#[test]
fn every_module_is_looked_at() {
    let modules = include_str!("main.rs").lines().filter(|line| line.starts_with("mod ")).count();
    // This module, the fixtures and the table of statuses have no cases.
    assert_eq!(SOURCES.len() + 3, modules);
}
