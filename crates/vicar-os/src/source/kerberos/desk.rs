//! The process that helpers are made from: it holds the starting rights, reads nothing of a client, and ends helpers.

use super::KerberosOptions;
use super::helper;
use super::wire::{self, Reply, Rule};
use crate::packet::{self, Received};
use crate::supervisor::Operation;
use crate::supervisor::apart::{be_apart, descriptor, see_off};
use crate::sys::fork::{self, Side};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// Longest time that this process, when it is to end, waits for its helpers to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Opens the replay cache and gives it to whom helpers will be; it is made if it is not there.
pub(super) fn replay_cache(options: &KerberosOptions) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let replay = rustix::fs::open(&options.replay_cache, flags, Mode::RUSR | Mode::WUSR)?;
    let there = rustix::fs::fstat(&replay)?;
    if rustix::fs::FileType::from_raw_mode(there.st_mode) != rustix::fs::FileType::RegularFile || there.st_nlink != 1 {
        return Err(Errno::INVAL);
    }
    let (uid, gid) = (options.identity.uid().raw(), options.identity.gid().raw());
    if there.st_uid != uid || there.st_gid != gid {
        rustix::fs::fchown(&replay, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    rustix::fs::fchmod(&replay, Mode::RUSR | Mode::WUSR)?;
    Ok(replay)
}

/// Runs until the server hangs up or ends, then ends every helper and the process.
pub(super) fn main(socket: OwnedFd, server: OwnedFd, replay: OwnedFd, options: KerberosOptions) -> ! {
    // A panic must not unwind into the code of the server that forked this process.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        // Whoever waits sees that nobody is there.
        if shape(&socket, &server, &replay).is_err()
            || packet::send(socket.as_fd(), &[0], &[], SendFlags::empty()).is_err()
        {
            return 71;
        }
        Desk { socket, server, replay, options, own: rustix::process::getpid(), helpers: Vec::new() }.run()
    }));
    fork::exit_now(code.unwrap_or(70))
}

fn shape(socket: &OwnedFd, server: &OwnedFd, replay: &OwnedFd) -> Result<(), (Operation, Errno)> {
    let mut kept = [descriptor(socket), descriptor(server), descriptor(replay)];
    be_apart(c"vicar-kerberos", &mut kept, Mode::from_raw_mode(0o077))?;
    for signal in [Signal::INT, Signal::HUP, Signal::TERM, Signal::QUIT] {
        fork::ignore(signal);
    }
    Ok(())
}

/// One client's helper.
struct Helper {
    process: Pid,
    ended: OwnedFd,
    /// The helper's end of its line: when the other one is closed, nobody wants the helper any more.
    line: OwnedFd,
    is_ending: bool,
}

struct Desk {
    socket: OwnedFd,
    server: OwnedFd,
    /// Which tokens were seen, for all helpers.
    replay: OwnedFd,
    options: KerberosOptions,
    own: Pid,
    helpers: Vec<Helper>,
}

impl Desk {
    fn run(mut self) -> i32 {
        let code = loop {
            self.reap();
            match self.wait() {
                Ok((_, true)) => break 0,
                Ok((true, false)) => {
                    if !self.take() {
                        break 0;
                    }
                }
                Ok((false, false)) | Err(Errno::INTR) => {}
                Err(_) => break 74,
            }
        };
        // Whoever is left is killed by the kernel as well, when this process ends.
        self.helpers.iter().for_each(|helper| end(helper.process));
        see_off(self.helpers.into_iter().map(|helper| (helper.process, helper.ended)).collect(), LAST_WORDS);
        code
    }

    /// Waits until something happens: whether there is a question, and whether the server has ended. Ends the helpers that nobody
    /// wants any more.
    fn wait(&mut self) -> Result<(bool, bool), Errno> {
        let mut watched = vec![PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.server, PollFlags::IN)];
        watched.extend(self.helpers.iter().map(|helper| PollFd::new(&helper.ended, PollFlags::IN)));
        // Asking for nothing: only a hang-up is told. Once is enough.
        watched.extend(
            self.helpers
                .iter()
                .filter(|helper| !helper.is_ending)
                .map(|helper| PollFd::new(&helper.line, PollFlags::empty())),
        );
        rustix::event::poll(&mut watched, None)?;
        let ready: Vec<bool> = watched.iter().map(|watched| !watched.revents().is_empty()).collect();
        drop(watched);
        let mut lines = ready.iter().skip(self.helpers.len().saturating_add(2));
        for helper in self.helpers.iter_mut().filter(|helper| !helper.is_ending) {
            if lines.next() == Some(&true) {
                end(helper.process);
                helper.is_ending = true;
            }
        }
        Ok((ready.first() == Some(&true), ready.get(1) == Some(&true)))
    }

    fn reap(&mut self) {
        self.helpers.retain(|helper| {
            matches!(rustix::process::waitpid(Some(helper.process), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR))
        });
    }

    /// Takes one question, which is a line for a new helper; whether to go on.
    fn take(&mut self) -> bool {
        let descriptors = match packet::receive(self.socket.as_fd(), &mut [0; 8], RecvFlags::DONTWAIT) {
            Ok(Received::Message { descriptors, .. }) => descriptors,
            Ok(Received::TooLong) | Err(Errno::AGAIN) => return true,
            Ok(Received::End) | Err(_) => return false,
        };
        for line in descriptors {
            if self.helpers.len() >= self.options.most {
                let busy = wire::encode_reply(&Reply::Against(Rule::Busy));
                // Whoever does not read it sees the end of the line.
                let _ = packet::send(line.as_fd(), &busy, &[], SendFlags::DONTWAIT);
            } else {
                self.start(line);
            }
        }
        true
    }

    /// Starts a helper; if it cannot be made the line is closed, which is heard at its other end.
    fn start(&mut self, line: OwnedFd) {
        let process = match fork::fork() {
            Ok(Side::Child) => {
                // The lines of others are closed with everything else.
                helper::main(line, &self.replay, &self.options, self.own)
            }
            Ok(Side::Parent { child }) => child,
            Err(_) => return,
        };
        match rustix::process::pidfd_open(process, PidfdFlags::empty()) {
            Ok(ended) => self.helpers.push(Helper { process, ended, line, is_ending: false }),
            Err(_) => {
                end(process);
                // It has just been made and is ending: this does not wait.
                let _ = rustix::process::waitpid(Some(process), WaitOptions::empty());
            }
        }
    }
}

/// Ends a helper; an error means that it has ended.
fn end(process: Pid) {
    let _ = rustix::process::kill_process(process, Signal::KILL);
}
