//! The end: both trees, name by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::count::Count;
use crate::kernel::{State, state};
use crate::plan::{ASKED, JUDGED, SHARED};
use crate::worker::{GivenUp, brief};

/// Compares everything but the shared files. Names whose request was cut are as before or as after, together.
pub(crate) fn compare(share: &Path, given_up: &[GivenUp], count: &Count) {
    let (mut asked, mut judged) = (BTreeMap::new(), BTreeMap::new());
    collect(&share.join(ASKED), "", &mut asked);
    collect(&share.join(JUDGED), "", &mut judged);
    let mut open = BTreeSet::new();
    for given in given_up {
        let now: Vec<_> = given.names.iter().map(|name| asked.get(&name.path).cloned()).collect();
        let as_before = given.names.iter().zip(&now).all(|(name, now)| *now == name.before);
        let as_after = given.names.iter().zip(&now).all(|(name, now)| *now == name.after);
        count.compared();
        if !as_before && !as_after {
            for (name, now) in given.names.iter().zip(&now) {
                let (before, after) = (brief(&name.before), brief(&name.after));
                count.complain(format!("{} is {} after a cut: before {before}, after {after}", name.path, brief(now)));
            }
        }
        open.extend(given.names.iter().map(|name| name.path.as_str()));
    }
    let names: BTreeSet<&String> = asked.keys().chain(judged.keys()).collect();
    for name in names.into_iter().filter(|name| !open.contains(name.as_str())) {
        count.compared();
        let (asked, judged) = (asked.get(name).cloned(), judged.get(name).cloned());
        if asked != judged {
            count.complain(format!("at the end {name} is {}, should be {}", brief(&asked), brief(&judged)));
        }
    }
}

fn collect(directory: &Path, below: &str, into: &mut BTreeMap<String, State>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if name == SHARED {
            continue;
        }
        let Some(found) = state(&entry.path().to_string_lossy()) else { continue };
        let is_directory = found.content.is_none() && entry.file_type().is_ok_and(|kind| kind.is_dir());
        into.insert(name.clone(), found);
        if is_directory {
            collect(&entry.path(), &format!("{name}/"), into);
        }
    }
}
