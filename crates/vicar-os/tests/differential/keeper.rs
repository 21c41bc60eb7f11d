//! A process that stays root: makes the trees, compares them, and removes them, also when the test fails.

use crate::files::{NO_RING, RING};
use crate::lane::Round;
use crate::road::ROADS;
use crate::tree;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Names the directory in the process that is to be the keeper.
pub(crate) const KEEPER: &str = "VICAR_TEST_KEEPER";

/// The copy that the yardstick works on; the others are named after the roads.
pub(crate) const YARDSTICK: &str = "dropped";

/// The copy that sealed workers work on.
pub(crate) const SEALED: &str = "sealed";

fn copies() -> Vec<&'static str> {
    [YARDSTICK, SEALED, RING, NO_RING].into_iter().chain(ROADS.iter().map(|road| road.name)).collect()
}

/// Which of two places a round's trees are in: one is worked in while the other is compared and made anew.
fn place(round: u32) -> &'static str {
    if round.is_multiple_of(2) { "even" } else { "odd" }
}

/// Where a copy begins. Links of a tree lead up to two directories out of it: what is there is the copy's own, and not
/// writable.
fn root_of(directory: &Path, copy: &str) -> PathBuf {
    directory.join(copy).join("around/it/tree")
}

/// What the keeper does until its input ends.
pub(crate) fn keep() {
    let directory = PathBuf::from(std::env::var_os(KEEPER).unwrap());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let done = std::panic::catch_unwind(|| match line.split_once(' ') {
            Some(("build", rest)) => {
                let (place, seed) = rest.split_once(' ').unwrap();
                rebuild(&directory.join(place), seed.parse().unwrap());
                "ok".to_owned()
            }
            Some(("compare", rest)) => {
                let (place, copies) = rest.split_once(' ').unwrap();
                compare(&directory.join(place), copies.split(','))
            }
            _ => panic!("{line}"),
        });
        println!("{}", done.unwrap_or_else(|_| "the keeper panicked".to_owned()));
    }
    let _ = std::fs::remove_dir_all(directory);
}

fn rebuild(directory: &Path, seed: u64) {
    for copy in copies() {
        let root = root_of(directory, copy);
        if root.exists() {
            std::fs::remove_dir_all(&root).unwrap();
        }
        std::fs::create_dir_all(root.parent().unwrap()).unwrap();
        tree::build(&root, seed);
    }
}

fn compare<'a>(directory: &Path, copies: impl Iterator<Item = &'a str>) -> String {
    let wanted = tree::digest(&root_of(directory, YARDSTICK));
    for copy in copies {
        let found = tree::digest(&root_of(directory, copy));
        if found != wanted {
            let difference = wanted.lines().zip(found.lines()).find(|(one, other)| one != other);
            return format!("the copy of {copy} differs: {difference:?}");
        }
    }
    "ok".to_owned()
}

/// Where the copies are.
#[derive(Clone)]
pub(crate) struct Copies(PathBuf);

impl Copies {
    pub(crate) fn root(&self, round: u32, copy: &str) -> PathBuf {
        root_of(&self.0.join(place(round)), copy)
    }
}

pub(crate) struct Keeper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    directory: PathBuf,
}

impl Keeper {
    /// Starts the keeper, as root, on a new directory that everybody may enter.
    pub(crate) fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("vicar-differential-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(KEEPER, &directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output, directory }
    }

    pub(crate) fn copies(&self) -> Copies {
        Copies(self.directory.clone())
    }

    /// Asks for all copies of a round's tree to be made anew.
    pub(crate) fn tell_build(&mut self, round: &Round) {
        self.tell(&format!("build {} {}", place(round.number), round.seed));
    }

    /// Asks whether these copies are as the yardstick's.
    pub(crate) fn tell_compare(&mut self, round: &Round, copies: &[&str]) {
        self.tell(&format!("compare {} {}", place(round.number), copies.join(",")));
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for the next answer, which is about this round; panics when something was different.
    pub(crate) fn is_ok(&mut self, round: &Round) {
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), "ok", "in the tree of seed {}", round.seed);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
