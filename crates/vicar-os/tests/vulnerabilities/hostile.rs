//! Hostile processes of a client's own user, which is all that user is on this machine: fully dropped.

use crate::scratch::identity;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use vicar_os::switch::irrevocable;

/// Names what this program is to be when it is started again: a hostile process.
pub(crate) const PLAN: &str = "VICAR_TEST_HOSTILE";

const SCRIPT: &str = include_str!("hostile.pl");

/// The part of [`crate`]'s `main` that becomes a hostile process.
pub(crate) fn be_hostile(plan: &str) {
    let mut words = plan.split('\t');
    let mut next = || words.next().unwrap().to_owned();
    let (uid, what) = (next().parse().unwrap(), next());
    // A process of root's has made this one; from here on it is the client and nothing else, for good.
    irrevocable::drop_to(&identity(uid, &[])).unwrap();
    if what == "exchange" {
        return exchange(&next(), &next());
    }
    let numbers = [
        ("tgkill", libc::SYS_tgkill),
        ("tkill", libc::SYS_tkill),
        ("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo),
        ("ptrace", libc::SYS_ptrace),
        ("prlimit64", libc::SYS_prlimit64),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("kcmp", libc::SYS_kcmp),
        ("move_pages", libc::SYS_move_pages),
        ("get_robust_list", libc::SYS_get_robust_list),
        ("ioprio_set", libc::SYS_ioprio_set),
        ("setpriority", libc::SYS_setpriority),
        ("sched_setaffinity", libc::SYS_sched_setaffinity),
        ("sched_setscheduler", libc::SYS_sched_setscheduler),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
    ];
    let numbers = numbers.map(|(name, number)| format!("{name}={number}"));
    panic!("{}", Command::new("perl").args(["-e", SCRIPT, &next(), &what]).args(numbers).exec());
}

pub(crate) fn start(plan: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .env(PLAN, plan)
        .env_remove("VICAR_TEST_ALONE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Attacks this process until [`Attack::end`].
pub(crate) struct Attack {
    child: Child,
    heard: String,
}

/// Starts an attacker, which must happen while this process is still root. `None`, said aloud, without perl.
pub(crate) fn attack(uid: u32, what: &str) -> Option<Attack> {
    if Command::new("perl").args(["-MTime::HiRes", "-e", "1"]).status().is_ok_and(|status| status.success()) {
        return Some(Attack::by(start(&format!("{uid}\t{what}\t{}", std::process::id()))));
    }
    eprintln!("skipped: perl is not installed");
    None
}

/// What an attacker had to say.
pub(crate) struct Report {
    pub(crate) won: Vec<String>,
    /// Name of the attempt and error number.
    pub(crate) failed: Vec<(String, i32)>,
    pub(crate) tries: u64,
    pub(crate) rounds: u64,
}

impl Attack {
    pub(crate) fn by(child: Child) -> Self {
        Self { child, heard: String::new() }
    }

    /// Whether it has attacked every thread so many times by now, a hundred at most.
    pub(crate) fn has_been_round(&mut self, times: usize) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let stdout = self.child.stdout.as_mut().unwrap();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while rustix::event::poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&now)) == Ok(1) {
            let mut bytes = [0; 64];
            let len = stdout.read(&mut bytes).unwrap();
            assert!(len > 0, "the attacker ended: {}", self.heard);
            self.heard.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
        }
        self.heard.lines().filter(|line| *line == "round").count() >= times
    }

    pub(crate) fn end(mut self) -> Report {
        let mut stdin = self.child.stdin.take().unwrap();
        let _ = stdin.write_all(b"end\n");
        drop(stdin);
        let mut text = self.heard;
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        let mut report = Report { won: Vec::new(), failed: Vec::new(), tries: 0, rounds: 0 };
        for line in text.lines() {
            if let Some(what) = line.strip_prefix("won ") {
                report.won.push(what.to_owned());
            } else if let Some((what, errno)) = line.strip_prefix("failed ").and_then(|rest| rest.split_once(": ")) {
                report.failed.push((what.to_owned(), errno.parse().unwrap()));
            } else if let Some(rest) = line.strip_prefix("tries ") {
                let (tries, rounds) = rest.split_once(" rounds ").unwrap();
                (report.tries, report.rounds) = (tries.parse().unwrap(), rounds.parse().unwrap());
            }
        }
        report
    }
}

impl Report {
    /// Every attempt failed for want of rights. A thread may have ended meanwhile (`ESRCH`, `ENOENT`).
    pub(crate) fn all_refused(&self) {
        assert!(self.rounds > 0 && self.tries > 100, "{} attempts", self.tries);
        assert!(self.won.is_empty(), "the client could {:?}", self.won);
        for (what, errno) in &self.failed {
            let refused = [libc::EPERM, libc::EACCES, libc::ESRCH, libc::ENOENT].contains(errno);
            assert!(refused, "{what} failed with {errno}, not for want of rights");
        }
    }
}

fn exchange(one: &str, other: &str) {
    use rustix::event::{PollFd, PollFlags, Timespec};
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let stdin = std::io::stdin();
    loop {
        for _ in 0..200 {
            let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
        }
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        if rustix::event::poll(&mut watched, Some(&NOW)) != Ok(0) {
            return;
        }
    }
}
