//! The process that workers are forked from: it has one thread, and the rights to become anybody and to end anybody.

use super::job::Job;
use super::order::{self, MAX_ORDER_LEN, Order, Report};
use super::worker::{self, Handed};
use super::{START, SealerOptions};
use crate::packet::{self, Received};
use crate::supervisor::apart::{be_apart, descriptor, failed, report, see_off};
use crate::supervisor::{ForkError, Missing, Operation};
use crate::switch::powers;
use crate::sys::fork::{self, Side};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::CapabilitySet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

/// What the sealer keeps: becoming somebody, emptying the bounding set and locking the secure bits while at it, and ending
/// a worker that does not end by itself.
const KEPT: CapabilitySet =
    CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::SETPCAP).union(CapabilitySet::KILL);
/// What it cannot do without.
const NEEDED: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::KILL);

/// Longest time that a sealer which is to end waits for its workers to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the sealer until the server hangs up or ends, then ends every worker; returns the process's exit code.
pub(super) fn main(socket: OwnedFd, server: OwnedFd, options: &SealerOptions, jobs: &[Job]) -> i32 {
    if report(&socket, shape(&socket, &server)).is_err() {
        return 71;
    }
    Sealer { own: rustix::process::getpid(), socket, server, jobs, most: options.workers, workers: Vec::new() }.run()
}

fn shape(socket: &OwnedFd, server: &OwnedFd) -> Result<(), ForkError> {
    let shape = |errno| failed((Operation::Shape, errno));
    be_apart(c"vicar-sealer", &mut [descriptor(socket), descriptor(server)], rustix::fs::Mode::from_raw_mode(0o077))
        .map_err(failed)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(shape)?;
    // The server drains and stops by itself; this process must be there until it has.
    for signal in [Signal::INT, Signal::HUP, Signal::TERM, Signal::QUIT] {
        fork::ignore(signal);
    }
    let kept = powers::keep(KEPT).map_err(|error| shape(error.errno()))?;
    // Without these a worker could not be one, or could not be ended.
    let missing = NEEDED.difference(kept);
    if missing.is_empty() { Ok(()) } else { Err(ForkError::Lacks(Missing(missing))) }
}

/// A worker, as the sealer knows it.
struct Child {
    process: Pid,
    ended: OwnedFd,
    /// Held by the server for as long as it wants the worker; `None` for what a worker left behind, which was told to end.
    line: Option<OwnedFd>,
}

struct Sealer<'a> {
    own: Pid,
    socket: OwnedFd,
    server: OwnedFd,
    jobs: &'a [Job],
    most: usize,
    workers: Vec<Child>,
}

/// What became ready.
struct Events {
    order: bool,
    server_ended: bool,
    /// Workers that the server let go of.
    let_go: Vec<Pid>,
}

impl Sealer<'_> {
    fn run(mut self) -> i32 {
        let code = loop {
            self.reap();
            match self.wait() {
                Ok(events) if events.server_ended => break 0,
                Ok(events) => {
                    for process in events.let_go {
                        end(process);
                        let ended = self.workers.iter_mut().find(|worker| worker.process == process);
                        ended.into_iter().for_each(|worker| worker.line = None);
                    }
                    if events.order && self.take_order().is_none() {
                        break 0;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break 74,
            }
        };
        // Whoever is left is killed by the kernel as well, when this process ends.
        self.workers.iter().for_each(|worker| end(worker.process));
        children().into_iter().for_each(end);
        see_off(self.workers.into_iter().map(|worker| (worker.process, worker.ended)).collect(), LAST_WORDS);
        code
    }

    fn wait(&self) -> Result<Events, Errno> {
        let mut watched = vec![PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.server, PollFlags::IN)];
        // A line on which nothing is ever said: it only ends.
        let held = self.workers.iter().filter_map(|worker| Some((worker.process, worker.line.as_ref()?)));
        let held: Vec<(Pid, &OwnedFd)> = held.collect();
        watched.extend(held.iter().map(|(_, line)| PollFd::new(*line, PollFlags::IN)));
        watched.extend(self.workers.iter().map(|worker| PollFd::new(&worker.ended, PollFlags::IN)));
        rustix::event::poll(&mut watched, None)?;
        let mut ready = watched.iter().map(|watched| !watched.revents().is_empty());
        Ok(Events {
            order: ready.next().unwrap_or(false),
            server_ended: ready.next().unwrap_or(false),
            let_go: held
                .iter()
                .zip(ready)
                .filter(|(_, is_ready)| *is_ready)
                .map(|((process, _), _)| *process)
                .collect(),
        })
    }

    /// Takes note of workers that have ended, and ends what they left behind.
    fn reap(&mut self) {
        let before = self.workers.len();
        self.workers.retain(|worker| {
            matches!(rustix::process::waitpid(Some(worker.process), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR))
        });
        if self.workers.len() == before {
            return;
        }
        // What a worker started has become this process's own (PR_SET_CHILD_SUBREAPER); when it has ended, the same is true
        // of what that started.
        for process in children() {
            if self.workers.iter().any(|worker| worker.process == process) {
                continue;
            }
            end(process);
            if let Ok(ended) = rustix::process::pidfd_open(process, PidfdFlags::empty()) {
                self.workers.push(Child { process, ended, line: None });
            }
        }
    }

    /// Starts a worker, if there is an order; `None` when nobody will order any more.
    fn take_order(&mut self) -> Option<()> {
        let mut message = [0; 1];
        let descriptors = match packet::receive(self.socket.as_fd(), &mut message, RecvFlags::DONTWAIT) {
            Ok(Received::Message { len: 1, descriptors }) if message == [START] => descriptors,
            Ok(Received::Message { .. } | Received::TooLong) | Err(Errno::AGAIN) => return Some(()),
            Ok(Received::End) | Err(_) => return None,
        };
        let Ok([order, socket, line, requests, answers]) = <[OwnedFd; 5]>::try_from(descriptors) else {
            return Some(());
        };
        let report = match self.start(&order, Handed { socket, requests, answers }, line) {
            Ok(()) => return Some(()),
            Err(refused) => refused,
        };
        // Whoever ordered may have ended, and its socket may be none: this process does not wait for it.
        let (socket, report) = report;
        let _ = packet::send(socket.as_fd(), &order::encode_report(&report), &[], SendFlags::DONTWAIT);
        Some(())
    }

    fn start(&mut self, order: &OwnedFd, handed: Handed, line: OwnedFd) -> Result<(), (OwnedFd, Report)> {
        let failed = |operation, errno: Errno| {
            Report::Failed(super::SealError::Failed { operation, errno: errno.raw_os_error() })
        };
        if self.workers.len() >= self.most {
            return Err((handed.socket, Report::Full));
        }
        let read = packet::read_memory(order, MAX_ORDER_LEN);
        let Some(order) = read.and_then(|bytes| order::decode(&bytes)) else {
            return Err((handed.socket, failed("order", Errno::INVAL)));
        };
        let process = match fork::fork() {
            Ok(Side::Child) => worker::main(&order, &handed, self.jobs, self.own),
            Ok(Side::Parent { child }) => child,
            Err(errno) => return Err((handed.socket, failed("fork", errno))),
        };
        match rustix::process::pidfd_open(process, PidfdFlags::empty()) {
            Ok(ended) => {
                self.workers.push(Child { process, ended, line: Some(line) });
                Ok(())
            }
            Err(errno) => {
                end(process);
                // It has just been made and is ending: this does not wait.
                let _ = rustix::process::waitpid(Some(process), WaitOptions::empty());
                Err((handed.socket, failed("fork", errno)))
            }
        }
    }
}

/// The children of this process; none when this kernel does not list them (CONFIG_PROC_CHILDREN).
fn children() -> Vec<Pid> {
    let list = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}

/// Kills a process and its process group. Errors mean that they have ended.
fn end(process: Pid) {
    let _ = rustix::process::kill_process_group(process, Signal::KILL);
    let _ = rustix::process::kill_process(process, Signal::KILL);
}

/// Orders a worker, as the server: the order lies in memory that cannot change.
pub(super) fn send_order(
    socket: &OwnedFd,
    order: &Order,
    descriptors: [&OwnedFd; 4],
) -> Result<(), super::SealedError> {
    let failed = |operation: &'static str| {
        move |errno: Errno| super::SealedError::Failed { operation, errno: errno.raw_os_error() }
    };
    let bytes = order::encode(order).ok_or(super::SealedError::BadPlan)?;
    let memory = packet::write_memory(&bytes).map_err(failed("memfd_create"))?;
    let [worker, line, requests, answers] = descriptors;
    let all = [memory.as_fd(), worker.as_fd(), line.as_fd(), requests.as_fd(), answers.as_fd()];
    packet::send(socket.as_fd(), &[START], &all, SendFlags::empty()).map_err(|errno| match errno {
        Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => super::SealedError::Dead,
        errno => failed("sendmsg")(errno),
    })
}
