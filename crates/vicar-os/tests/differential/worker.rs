//! A process that is one person for good and performs that person's batches: the yardstick.

use crate::operation::Batch;
use crate::people::COUNT;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use vicar_os::UnixIdentity;
use vicar_os::switch::irrevocable;

/// Names the person in the process that is to be one.
pub(crate) const WORKER: &str = "VICAR_TEST_WORKER";

const TREE: &str = "VICAR_TEST_TREE";

/// What such a process does until its input ends.
pub(crate) fn work(identity: &UnixIdentity) {
    let root = PathBuf::from(std::env::var_os(TREE).unwrap());
    std::env::set_current_dir("/").unwrap();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    irrevocable::drop_to(identity).unwrap();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut seed = [0; 8];
    while input.read_exact(&mut seed).is_ok() {
        let said = Batch::of(u64::from_le_bytes(seed)).perform(&root);
        let len = u32::try_from(said.len()).unwrap();
        output.write_all(&[&len.to_le_bytes()[..], said.as_bytes()].concat()).unwrap();
        output.flush().unwrap();
    }
}

/// The processes of all the people.
pub(crate) struct Workers(Vec<(Child, ChildStdin, ChildStdout)>);

impl Workers {
    /// Starts them on the tree at `root`, as root.
    pub(crate) fn start(root: &Path) -> Self {
        let start = |who: usize| {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .env(WORKER, who.to_string())
                .env(TREE, root)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            (child, input, output)
        };
        Self((0..COUNT).map(start).collect())
    }

    pub(crate) fn give(&mut self, who: usize, seed: u64) {
        let (_, input, _) = &mut self.0[who];
        input.write_all(&seed.to_le_bytes()).unwrap();
    }

    pub(crate) fn take(&mut self, who: usize) -> String {
        let (_, _, output) = &mut self.0[who];
        let mut len = [0; 4];
        output.read_exact(&mut len).unwrap();
        let mut text = vec![0; usize::try_from(u32::from_le_bytes(len)).unwrap()];
        output.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for (mut child, input, _) in self.0.drain(..) {
            drop(input);
            let _ = child.wait();
        }
    }
}
