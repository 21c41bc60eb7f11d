//! The queue's own process: knows subjects, judges, starts a process for each task, and writes down what was done.

use super::record::Record;
use super::subject::Subjects;
use super::task::{self, Task};
use super::wire::{self, MAX_MESSAGE_LEN, MAX_REGISTRATION_LEN, Message, Stated, encode_told};
use super::{ElevatedError, ElevatedOptions, Grants, Owners, Refusal, Vouching, perform};
use crate::packet::{self, Received};
use crate::source::token;
use crate::supervisor::apart::{self, be_apart, descriptor, see_off};
use crate::supervisor::{ForkError, Missing, Operation};
use crate::switch::calls::put_in_force;
use crate::switch::powers;
use crate::sys::fork::{self, Side};
use crate::{KernelUid, UnixIdentity};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::CapabilitySet;
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};
use vicar_kernel::{LogonKind, Policy, Profile, SubjectContext, System, TokenKind, TokenRef, TokenSpec};
use vicar_nt::check::AccessMode;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::{Luid, NtStatus, Privilege, PrivilegeSet};

/// What the queue needs besides what its tasks need: to become a client, to give everything else up while at it, and to end a
/// task that takes too long.
const ALWAYS: CapabilitySet =
    CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::SETPCAP).union(CapabilitySet::KILL);

/// Longest time that a queue which is to end waits for its tasks to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything the process is started with.
pub(super) struct Beginning {
    pub(super) socket: OwnedFd,
    pub(super) server: OwnedFd,
    pub(super) registrar: OwnedFd,
    pub(super) audit: OwnedFd,
    pub(super) anonymous: UnixIdentity,
    pub(super) options: ElevatedOptions,
}

/// Runs the queue until the server hangs up or ends, then ends every task; returns the process's exit code.
pub(super) fn main(beginning: Beginning) -> i32 {
    if let Err(error) = shape(&beginning) {
        let _ = apart::report(&beginning.socket, Err(error));
        return 71;
    }
    match Desk::new(beginning) {
        Ok(desk) if apart::report(&desk.socket, Ok(())).is_ok() => desk.run(),
        // Whoever waits sees that nobody is there.
        Ok(_) | Err(_) => 71,
    }
}

fn shape(beginning: &Beginning) -> Result<(), ForkError> {
    let shape = |errno| apart::failed((Operation::Shape, errno));
    let Beginning { socket, server, registrar, audit, options, .. } = beginning;
    let mut kept = [socket, server, registrar, audit].map(descriptor);
    be_apart(c"vicar-elevated", &mut kept, rustix::fs::Mode::from_raw_mode(0o077)).map_err(apart::failed)?;
    for signal in [Signal::INT, Signal::HUP, Signal::TERM, Signal::QUIT] {
        fork::ignore(signal);
    }
    let wanted = ALWAYS | task::capabilities(options.grants.every().iter());
    let kept = powers::keep(wanted).map_err(|error| shape(error.errno()))?;
    let missing = wanted.difference(kept);
    if !missing.is_empty() {
        return Err(ForkError::Lacks(Missing(missing)));
    }
    // This process itself does nothing with them.
    put_in_force(CapabilitySet::empty()).map_err(shape)
}

/// A task that was allowed, and whom it is for.
pub(super) struct Asked {
    pub(super) task: Task,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) answer: OwnedFd,
    identity: UnixIdentity,
    record: Record,
    gives_up: Instant,
}

/// A task at work.
struct Helper {
    process: Pid,
    ended: OwnedFd,
    user: KernelUid,
    /// For the answer that it took too long.
    answer: OwnedFd,
    record: Record,
    gives_up: Instant,
    is_late: bool,
}

struct Desk {
    socket: OwnedFd,
    server: OwnedFd,
    registrar: Option<OwnedFd>,
    audit: OwnedFd,
    anonymous: UnixIdentity,
    options: ElevatedOptions,
    own: Pid,
    system: System,
    /// Holds nothing: what a subject may not, nobody may.
    nobody: TokenRef,
    subjects: Subjects,
    waiting: VecDeque<Asked>,
    helpers: Vec<Helper>,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    End,
}

impl Desk {
    fn new(beginning: Beginning) -> Result<Self, NtStatus> {
        let Beginning { socket, server, registrar, audit, anonymous, options } = beginning;
        let system = System::new(Profile::V4, Policy::strict());
        let state = token::build(&anonymous, LogonKind::Service, PrivilegeSet::NONE)?;
        let session = system.logon(LogonKind::Service, None)?;
        let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"elevated", origin: Luid::from_u64(0) };
        let nobody = session.create_token(spec)?;
        Ok(Self {
            socket,
            server,
            registrar: Some(registrar),
            audit,
            anonymous,
            own: rustix::process::getpid(),
            system,
            nobody,
            subjects: Subjects::new(options.subjects, options.user_subjects, options.subject_lifetime),
            options,
            waiting: VecDeque::new(),
            helpers: Vec::new(),
        })
    }

    fn run(mut self) -> i32 {
        let code = loop {
            let now = Instant::now();
            self.reap();
            self.expire(now);
            self.start_tasks();
            match self.wait(now) {
                Ok((_, true)) => break 0,
                Ok((is_asked, false)) => {
                    // Whoever is named in a question was registered before it was asked.
                    self.take_registrations();
                    if is_asked && self.take_message() == Next::End {
                        break 0;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break 74,
            }
        };
        // Whoever is left is killed by the kernel as well, when this process ends.
        self.helpers.iter().for_each(|helper| end(helper.process));
        see_off(self.helpers.into_iter().map(|helper| (helper.process, helper.ended)).collect(), LAST_WORDS);
        code
    }

    /// Waits until something is ready or a time is over: whether there is a message, and whether the server has ended.
    fn wait(&self, now: Instant) -> Result<(bool, bool), Errno> {
        let mut watched = vec![PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.server, PollFlags::IN)];
        watched.extend(self.registrar.iter().map(|registrar| PollFd::new(registrar, PollFlags::IN)));
        watched.extend(self.helpers.iter().map(|helper| PollFd::new(&helper.ended, PollFlags::IN)));
        let working = self.helpers.iter().filter(|helper| !helper.is_late).map(|helper| helper.gives_up);
        let next = self.waiting.iter().map(|asked| asked.gives_up).chain(working).min();
        let left: Option<Timespec> = next.map(|next| crate::supervisor::timespec(next.saturating_duration_since(now)));
        rustix::event::poll(&mut watched, left.as_ref())?;
        let mut ready = watched.iter().map(|watched| !watched.revents().is_empty());
        Ok((ready.next().unwrap_or(false), ready.next().unwrap_or(false)))
    }

    fn take_registrations(&mut self) {
        while let Some(registrar) = &self.registrar {
            match packet::receive(registrar.as_fd(), &mut [0; 8], RecvFlags::DONTWAIT) {
                Ok(Received::Message { descriptors, .. }) => self.register(&descriptors),
                Ok(Received::TooLong) => {}
                Err(Errno::AGAIN) => return,
                // The supervisor has ended: nobody else will be registered by it.
                Ok(Received::End) | Err(_) => self.registrar = None,
            }
        }
    }

    fn register(&mut self, descriptors: &[OwnedFd]) {
        let [memory] = descriptors else { return };
        let read = packet::read_memory(memory, MAX_REGISTRATION_LEN);
        if let Some((number, identity)) = read.and_then(|bytes| wire::decode_registration(&bytes)) {
            self.subjects.register(number, identity, Instant::now());
        }
    }

    fn take_message(&mut self) -> Next {
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let (len, descriptors) = match packet::receive(self.socket.as_fd(), &mut buffer, RecvFlags::DONTWAIT) {
            Ok(Received::Message { len, descriptors }) => (len, descriptors),
            Ok(Received::TooLong) | Err(Errno::AGAIN) => return Next::Continue,
            Ok(Received::End) | Err(_) => return Next::End,
        };
        match buffer.get(..len).and_then(wire::decode) {
            Some(Message::Ask { number, stated, task }) => {
                let mut descriptors = descriptors.into_iter();
                // Without a socket there is nobody to tell.
                let Some(answer) = descriptors.next() else { return Next::Continue };
                let now = Instant::now();
                let identity = self.subjects.find(number, now).cloned();
                let mut record = Record::new(&task, &stated);
                let descriptors: Vec<OwnedFd> = descriptors.collect();
                match self.judge(identity, stated, &task, &descriptors) {
                    Ok(identity) => {
                        record.look_at(descriptors.first());
                        let gives_up = now.checked_add(self.options.limit).unwrap_or(now);
                        self.waiting.push_back(Asked { task, descriptors, answer, identity, record, gives_up });
                    }
                    Err(refusal) => self.refuse(&answer, &record, refusal),
                }
            }
            Some(Message::Register) => {
                // Otherwise the server could name itself whomever it likes.
                if self.options.vouching == Vouching::ServerToo {
                    self.register(&descriptors);
                }
            }
            Some(Message::Forget(number)) => self.subjects.forget(number),
            None => {
                if let Some(answer) = descriptors.first() {
                    tell(answer, &Err(ElevatedError::Refused(Refusal::Malformed)));
                }
            }
        }
        Next::Continue
    }

    /// Decides, from what is registered and by the options of the start, whether this may be done. The message can only lower.
    fn judge(
        &self,
        identity: Option<UnixIdentity>,
        stated: Stated,
        task: &Task,
        descriptors: &[OwnedFd],
    ) -> Result<UnixIdentity, Refusal> {
        if descriptors.len() != task.descriptors() {
            return Err(Refusal::Malformed);
        }
        let identity = identity.ok_or(Refusal::Unknown)?;
        if identity.uid() != stated.uid || identity.gid() != stated.gid {
            return Err(Refusal::Mismatch);
        }
        let subject = self.subject(&identity, stated).map_err(|_status| Refusal::BelowImpersonation)?;
        subject.for_authorisation().map_err(|_status| Refusal::BelowImpersonation)?;
        if !subject.holds(task.privilege(), AccessMode::User) {
            return Err(Refusal::NotHeld);
        }
        if let Task::SetOwner { owner, group, .. } = task
            && self.options.owners == Owners::AnyButRoot
            && (owner.is_root() || group.is_root())
        {
            return Err(Refusal::NotAllowed);
        }
        let of_user = self.waiting.iter().filter(|asked| asked.identity.uid() == identity.uid()).count();
        if self.waiting.len() >= self.options.waiting || of_user >= self.options.user_waiting {
            return Err(Refusal::Busy);
        }
        Ok(identity)
    }

    /// The subject as the portable kernel sees it: the registered identity, with the privileges that it was granted and that
    /// the server says were enabled.
    fn subject(&self, identity: &UnixIdentity, stated: Stated) -> Result<SubjectContext, NtStatus> {
        let granted = self.options.grants.of(identity);
        let enabled = granted.iter().filter(|privilege| stated.has(*privilege));
        let privileges = enabled.fold(PrivilegeSet::NONE, |set, privilege: Privilege| {
            set.with(privilege, PrivilegeState::EnabledByDefault)
        });
        let state = token::build(identity, LogonKind::Network, privileges)?;
        let session = self.system.logon(LogonKind::Network, None)?;
        let kind = TokenKind::Impersonation(stated.level);
        let spec = TokenSpec { state, kind, source: *b"elevated", origin: Luid::from_u64(0) };
        Ok(SubjectContext::from_parts(Some(session.create_token(spec)?), stated.level, self.nobody.clone()))
    }

    fn refuse(&self, answer: &OwnedFd, record: &Record, refusal: Refusal) {
        let written = record.write(&self.audit, refusal.word());
        let refusal = if written.is_ok() { refusal } else { Refusal::NoAudit };
        tell(answer, &Err(ElevatedError::Refused(refusal)));
    }

    /// Starts what may be started. What cannot be written down is not done.
    fn start_tasks(&mut self) {
        while self.helpers.len() < self.options.at_once {
            let Some(asked) = self.take_next() else { return };
            if asked.record.write(&self.audit, "begin").is_err() {
                tell(&asked.answer, &Err(ElevatedError::Refused(Refusal::NoAudit)));
                continue;
            }
            let process = match fork::fork() {
                Ok(Side::Child) => perform::main(&asked, &asked.identity, &self.anonymous, self.own),
                Ok(Side::Parent { child }) => child,
                Err(_) => {
                    let _ = asked.record.write(&self.audit, "not-started");
                    tell(&asked.answer, &Err(ElevatedError::Crashed));
                    continue;
                }
            };
            let Asked { answer, record, gives_up, identity, .. } = asked;
            let user = identity.uid();
            match rustix::process::pidfd_open(process, PidfdFlags::empty()) {
                Ok(ended) => {
                    self.helpers.push(Helper { process, ended, user, answer, record, gives_up, is_late: false })
                }
                Err(_) => {
                    end(process);
                    // It has just been made and is ending: this does not wait.
                    let _ = rustix::process::waitpid(Some(process), WaitOptions::empty());
                    let _ = record.write(&self.audit, "not-started");
                    tell(&answer, &Err(ElevatedError::Crashed));
                }
            }
        }
    }

    /// Whose turn it is, if it is anybody's now.
    fn take_next(&mut self) -> Option<Asked> {
        let at_work = |user: KernelUid| self.helpers.iter().filter(|helper| helper.user == user).count();
        let users = self.waiting.iter().map(|asked| asked.identity.uid());
        let place = whose_turn(users, at_work, self.options.user_at_once)?;
        self.waiting.remove(place)
    }

    fn expire(&mut self, now: Instant) {
        let (late, in_time): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.waiting).into_iter().partition(|asked: &Asked| asked.gives_up <= now);
        self.waiting = in_time;
        for asked in late {
            let _ = asked.record.write(&self.audit, "timed-out");
            tell(&asked.answer, &Err(ElevatedError::TimedOut));
        }
        for helper in self.helpers.iter_mut().filter(|helper| helper.gives_up <= now && !helper.is_late) {
            helper.is_late = true;
            end(helper.process);
            tell(&helper.answer, &Err(ElevatedError::TimedOut));
        }
    }

    /// Takes note of tasks that have ended.
    fn reap(&mut self) {
        for helper in core::mem::take(&mut self.helpers) {
            match rustix::process::waitpid(Some(helper.process), WaitOptions::NOHANG) {
                Ok(None) | Err(Errno::INTR) => self.helpers.push(helper),
                Ok(Some((_, status))) => {
                    let word = match status.exit_status() {
                        _ if helper.is_late => "timed-out".to_owned(),
                        Some(0) => "done".to_owned(),
                        Some(255) | None => "failed".to_owned(),
                        Some(errno) => format!("errno-{errno}"),
                    };
                    // There is nobody to tell any more; the line before it was written.
                    let _ = helper.record.write(&self.audit, &word);
                }
                Err(_) => {}
            }
        }
    }
}

/// The place of the one that is next among those who wait: whose user has the fewest tasks at work, fewer than `most`, and of these
/// the one that waits longest.
fn whose_turn(
    waiting: impl Iterator<Item = KernelUid>,
    at_work: impl Fn(KernelUid) -> usize,
    most: usize,
) -> Option<usize> {
    let counted = waiting.map(at_work).enumerate().filter(|(_, count)| *count < most);
    counted.min_by_key(|(_, count)| *count).map(|(place, _)| place)
}

/// Tells whoever waits, if anybody does. This process waits for nobody.
fn tell(answer: &OwnedFd, told: &wire::Told) {
    let _ = packet::send(answer.as_fd(), &encode_told(told), &[], SendFlags::DONTWAIT);
}

/// Kills a process; CAP_KILL is in force for no longer than that. Errors mean that it has ended.
fn end(process: Pid) {
    if put_in_force(CapabilitySet::KILL).is_ok() {
        let _ = rustix::process::kill_process(process, Signal::KILL);
    }
    let _ = put_in_force(CapabilitySet::empty());
}

impl Grants {
    pub(super) fn every(&self) -> vicar_nt::privilege::PrivilegeMask {
        self.users
            .values()
            .chain(self.groups.values())
            .fold(vicar_nt::privilege::PrivilegeMask::NONE, |all, one| all.union(*one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_behind_one_who_asks_for_much() {
        let user = |id| KernelUid::new(id).unwrap();
        let turn = |waiting: &[u32], working: &[u32], most| {
            let at_work = |who: KernelUid| working.iter().filter(|id| user(**id) == who).count();
            whose_turn(waiting.iter().map(|id| user(*id)), at_work, most)
        };
        assert_eq!(turn(&[], &[], 4), None);
        assert_eq!(turn(&[1, 1, 2], &[], 4), Some(0), "who waits longest");
        assert_eq!(turn(&[1, 1, 2], &[1], 4), Some(2), "who has the fewest at work");
        assert_eq!(turn(&[1, 1, 2], &[1, 2, 2], 4), Some(0));
        assert_eq!(turn(&[1, 1], &[1, 1, 1, 1], 4), None, "there is room, which is for others");
        assert_eq!(turn(&[1, 1, 3], &[1, 1, 1, 1], 4), Some(2));
        assert_eq!(turn(&[1], &[], 0), None);
    }
}
