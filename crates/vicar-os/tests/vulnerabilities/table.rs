//! Which test goes over which road, and why not over the others: `roads.txt`.

use crate::stage;
use crate::world::{IRREVOCABLE, SEALED, WORKER, server_roads};
use std::collections::BTreeSet;
use std::path::Path;

const TABLE: &str = include_str!("roads.txt");

/// The road of [`vicar_os::ring::Files`], which takes calls and no closures: a test of its own is for the same number, with
/// this at the end of its name. It goes over every way of [`stage::ROADS`], the one without a ring included.
const FILES: &str = "files";
const BY_FILES: &str = "_by_files";

/// Every road there is.
fn all() -> BTreeSet<&'static str> {
    assert!(stage::ROADS.contains(&"threads") && stage::ROADS.len() > 1);
    server_roads().into_iter().chain([IRREVOCABLE, SEALED, WORKER, FILES]).collect()
}

/// A line: the test, the roads it goes over, and then for all others, with a reason each, why it does not. A reason that
/// begins with `@` is the test that goes there: a file of this crate and a function in it.
struct Row<'a> {
    test: &'a str,
    over: BTreeSet<&'a str>,
    reasons: Vec<(BTreeSet<&'a str>, &'a str)>,
}

fn names(text: &str) -> BTreeSet<&str> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

fn rows() -> Vec<Row<'static>> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut cells = line.split(" | ");
            let (test, over) = (cells.next().unwrap(), names(cells.next().unwrap()));
            let reasons = cells.map(|cell| cell.split_once(": ").unwrap_or_else(|| panic!("{line}")));
            Row { test, over, reasons: reasons.map(|(roads, why)| (names(roads), why)).collect() }
        })
        .collect()
}

/// Makes sure that the test that runs goes over the roads that its row says.
pub(crate) fn says(roads: &[&str]) {
    let test = std::env::var("VICAR_TEST_ALONE").unwrap();
    let row = rows().into_iter().find(|row| row.test == test).unwrap_or_else(|| panic!("{test} has no row"));
    let over: BTreeSet<&str> = row.over.into_iter().filter(|road| *road != FILES).collect();
    assert_eq!(over, roads.iter().copied().collect(), "the row of {test}");
}

pub(crate) fn every_row_names_every_road() {
    let (all, rows) = (all(), rows());
    let tests: Vec<&str> =
        crate::TESTS.iter().map(|(name, _)| *name).filter(|name| !name.starts_with("every_")).collect();
    let (by_files, by_road): (Vec<&str>, Vec<&str>) = tests.iter().partition(|name| name.ends_with(BY_FILES));
    let in_rows: Vec<&str> = rows.iter().map(|row| row.test).collect();
    assert_eq!(in_rows, by_road, "a row for each test, in their order");
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut with_files = BTreeSet::new();
    for Row { test, over, reasons } in &rows {
        let mut named = over.clone();
        for (roads, why) in reasons {
            for road in roads {
                assert!(named.insert(road), "{test} names {road} twice");
            }
            assert!(why.len() > 10, "{test}: {why}");
            if let Some((file, function)) = why.strip_prefix("@ ").map(|place| place.split_once(' ').unwrap()) {
                let text = std::fs::read_to_string(crate_directory.join(file)).unwrap();
                assert!(text.contains(&format!("fn {function}(")), "{test}: {file} has no {function}");
            }
        }
        assert_eq!(named, all, "{test}: each road is in its row, and nothing else");
        if over.contains(FILES) {
            let number = test.split('_').next().unwrap();
            let name = by_files.iter().find(|name| name.split('_').next() == Some(number));
            with_files.insert(*name.unwrap_or_else(|| panic!("{test} has no test by files")));
        }
    }
    assert_eq!(with_files, by_files.into_iter().collect(), "tests by files that no row names");
    println!("counted: {} tests by roads, {} by files, {} roads", rows.len(), with_files.len(), all.len());
}
