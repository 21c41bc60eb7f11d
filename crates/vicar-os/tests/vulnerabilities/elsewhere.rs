//! Every number is tested: here, or where `elsewhere.txt` says.

use std::collections::BTreeSet;
use std::path::Path;

const LIST: &str = include_str!("elsewhere.txt");

pub(crate) fn every_number_is_here_or_elsewhere() {
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut numbers: BTreeSet<u32> =
        crate::TESTS.iter().filter_map(|(name, _)| name.strip_prefix('v')?.get(..2)?.parse().ok()).collect();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [number, place, test, why] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(numbers.insert(number.trim().parse().unwrap()), "{number} is here and elsewhere");
        assert!(!why.is_empty());
        if let Some(missing) = place.strip_prefix("no ") {
            assert!(!crate_directory.join(missing).exists(), "{missing} exists: say which test is for {number}");
            continue;
        }
        // What is said to be tested there is there.
        let text = std::fs::read_to_string(crate_directory.join(place)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{place} has no {test}");
    }
    assert_eq!(numbers, (1..=45).collect());
}
