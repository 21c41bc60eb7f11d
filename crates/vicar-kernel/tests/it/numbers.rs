//! Every case has its place: a function of its own here, or a line that says where else.
#![expect(clippy::arithmetic_side_effects, reason = "counts of a few hundred lines")]

use std::collections::BTreeMap;

/// The source of every module of this test.
const SOURCES: [&str; 24] = [
    include_str!("anonymous.rs"),
    include_str!("apart.rs"),
    include_str!("capture.rs"),
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

fn elsewhere(prefix: &str) -> Vec<usize> {
    let lines = include_str!("../golden/elsewhere.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let number = words.next()?.strip_prefix(prefix)?.parse().ok()?;
            let place = words.next()?;
            assert!(["nowhere", "vicar-os"].contains(&place), "{line}");
            assert!(words.count() > 5, "no reason: {line}");
            Some(number)
        })
        .collect()
}

fn every_case_has_one_place(prefix: &str, digits: usize, upper: &str, count: usize) {
    let here = functions(prefix, digits);
    let there = elsewhere(upper);
    for number in 1..=count {
        let places = here.get(&number).copied().unwrap_or(0) + usize::from(there.contains(&number));
        assert_eq!(places, 1, "{upper}{number} has {places} places");
    }
    assert_eq!(here.len() + there.len(), count);
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
