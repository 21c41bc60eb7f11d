//! An attacker of a process that does not exist yet.

use crate::hostile::{Attack, PLAN};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// An attacker that waits, with the rights of root, to hear whom to attack; then it is a client for good.
pub(crate) struct Waiting(Child);

/// Starts one; `None`, said aloud, without perl. As for attacks on this process, but on one that is not there yet.
pub(crate) fn attack_later(uid: u32, what: &str) -> Option<Waiting> {
    let has_perl = Command::new("perl").args(["-MTime::HiRes", "-e", "1"]).status();
    if !has_perl.is_ok_and(|status| status.success()) {
        eprintln!("skipped: perl is not installed");
        return None;
    }
    let mut command = Command::new("sh");
    command.args(["-c", "read pid; export \"$1=$2\t$pid\"; exec \"$3\"", "sh", PLAN, &format!("{uid}\t{what}")]);
    command.arg(std::env::current_exe().unwrap()).env_remove("VICAR_TEST_ALONE");
    Some(Waiting(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()))
}

impl Waiting {
    /// Attacks this process until [`Attack::end`].
    pub(crate) fn begin(mut self, pid: u32) -> Attack {
        self.0.stdin.as_mut().unwrap().write_all(format!("{pid}\n").as_bytes()).unwrap();
        Attack::by(self.0)
    }
}
