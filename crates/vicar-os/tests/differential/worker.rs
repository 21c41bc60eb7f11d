//! A process that is one person for good and performs that person's batches: the yardstick.

use crate::operation::Batch;
use crate::people::COUNT;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use vicar_os::UnixIdentity;
use vicar_os::switch::irrevocable;

/// Names the person in the process that is to be one.
pub(crate) const WORKER: &str = "VICAR_TEST_WORKER";

/// What such a process does until its input ends.
pub(crate) fn work(identity: &UnixIdentity) {
    std::env::set_current_dir("/").unwrap();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    irrevocable::drop_to(identity).unwrap();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut order = [0; 12];
    while input.read_exact(&mut order).is_ok() {
        let (seed, len) = order.split_first_chunk().unwrap();
        let mut root = vec![0; usize::try_from(u32::from_le_bytes(len.try_into().unwrap())).unwrap()];
        input.read_exact(&mut root).unwrap();
        let said = Batch::of(u64::from_le_bytes(*seed)).perform(Path::new(OsStr::from_bytes(&root)));
        let len = u32::try_from(said.len()).unwrap();
        output.write_all(&[&len.to_le_bytes()[..], said.as_bytes()].concat()).unwrap();
        output.flush().unwrap();
    }
}

/// The processes of all the people.
pub(crate) struct Workers(Vec<(Child, ChildStdin, ChildStdout)>);

impl Workers {
    /// Starts them, as root.
    pub(crate) fn start() -> Self {
        let start = |who: usize| {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .env(WORKER, who.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            (child, input, output)
        };
        Self((0..COUNT).map(start).collect())
    }

    /// Has a batch done by whose it is, in the tree at `root`.
    pub(crate) fn perform(&mut self, batch: &Batch, root: &Path) -> String {
        let (_, input, output) = &mut self.0[batch.who];
        let root = root.as_os_str().as_bytes();
        let len = u32::try_from(root.len()).unwrap();
        input.write_all(&[&batch.seed.to_le_bytes()[..], &len.to_le_bytes(), root].concat()).unwrap();
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
