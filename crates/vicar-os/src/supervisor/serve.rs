//! The supervisor's own process: takes questions, starts helpers, hands answers back.

use super::SupervisorOptions;
use super::apart::{be_apart, descriptor};
use super::channel::timespec;
use super::errand::{self, HEAD_LEN};
use super::error::{Operation, SignInError, Unavailable};
use super::wire::{self, Answer, Ask, MAX_ANSWER_LEN, Question};
use crate::elevated::Registrar;
use crate::sys::fork::{self, Side};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use zeroize::Zeroize as _;

/// Longest time a refusal is held back, whatever PAM modules ask for.
pub(crate) const MOST_DELAY: Duration = Duration::from_secs(10);
/// Most refusals held back; beyond that they are sent at once.
const MOST_HELD: usize = 1024;
/// Most packets that wait for room in the socket before questions are left there.
const MOST_UNSENT: usize = 256;
/// Longest time that a supervisor which is to end waits for its helpers to end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Longest question in bytes.
const MAX_QUESTION_LEN: usize = 2048;

/// Runs the supervisor until the server hangs up or ends, then ends the process.
pub(crate) fn main(socket: OwnedFd, server: OwnedFd, registrar: Option<Registrar>, options: SupervisorOptions) -> ! {
    // A panic must not unwind into the code of the server that forked this process.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let mut kept = vec![descriptor(&socket), descriptor(&server)];
        kept.extend(registrar.iter().map(|registrar| descriptor(registrar.descriptor())));
        let ready = be_apart(c"vicar-superv", &mut kept, rustix::fs::Mode::from_raw_mode(0o077)).and_then(|()| {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
                .map_err(|errno| (Operation::Shape, errno))
        });
        let report = match ready {
            Ok(()) => vec![0],
            Err((operation, errno)) => {
                let mut report = vec![wire::operation_tag(operation)];
                report.extend_from_slice(&errno.raw_os_error().to_le_bytes());
                report
            }
        };
        // The server drains and stops by itself; this process must be there until it has.
        for signal in [Signal::INT, Signal::HUP, Signal::TERM, Signal::QUIT] {
            fork::ignore(signal);
        }
        let sent = rustix::net::send(&socket, &report, SendFlags::NOSIGNAL);
        if ready.is_err() || sent.is_err() {
            return 71;
        }
        Desk::new(socket, server, registrar, options).run()
    }));
    fork::exit_now(code.unwrap_or(70))
}

/// What a helper works on, for the limits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lookup,
    Conversation,
}

impl Kind {
    const fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Name(_) | Ask::Uid(_) => Self::Lookup,
            Ask::SignIn(_) => Self::Conversation,
        }
    }
}

/// A question that waits for its turn.
struct Waiting {
    question: Question,
    gives_up: Instant,
}

/// A helper at work.
struct Helper {
    id: u64,
    kind: Kind,
    process: Pid,
    ended: OwnedFd,
    pipe: OwnedFd,
    gives_up: Instant,
    frame: Vec<u8>,
}

/// A process that was told to end; a helper counts until the kernel says it has.
struct Ending {
    /// `None` for a process that a helper left behind.
    kind: Option<Kind>,
    process: Pid,
    ended: OwnedFd,
}

/// A refusal that is held back.
struct Held {
    until: Instant,
    id: u64,
    answer: Vec<u8>,
}

/// Whether to go on.
enum Next {
    Continue,
    End,
}

struct Desk {
    socket: OwnedFd,
    server: OwnedFd,
    registrar: Option<Registrar>,
    options: SupervisorOptions,
    own: Pid,
    waiting: VecDeque<Waiting>,
    helpers: Vec<Helper>,
    ending: Vec<Ending>,
    held: Vec<Held>,
    unsent: VecDeque<Vec<u8>>,
}

/// What became ready.
struct Events {
    question: bool,
    server_ended: bool,
    /// For each helper, in order, whether its pipe has something.
    helpers: Vec<bool>,
}

impl Desk {
    fn new(socket: OwnedFd, server: OwnedFd, registrar: Option<Registrar>, options: SupervisorOptions) -> Self {
        Self {
            socket,
            server,
            registrar,
            options,
            own: rustix::process::getpid(),
            waiting: VecDeque::new(),
            helpers: Vec::new(),
            ending: Vec::new(),
            held: Vec::new(),
            unsent: VecDeque::new(),
        }
    }

    fn run(mut self) -> i32 {
        let code = loop {
            let now = Instant::now();
            self.reap();
            self.expire(now);
            self.start_helpers(now);
            if matches!(self.send(), Next::End) {
                break 0;
            }
            let events = match self.wait() {
                Ok(events) => events,
                Err(Errno::INTR) => continue,
                Err(_) => break 74,
            };
            if events.server_ended || (events.question && matches!(self.take_question(), Next::End)) {
                break 0;
            }
            self.read_helpers(&events.helpers);
        };
        for helper in core::mem::take(&mut self.helpers) {
            self.dismiss(helper);
        }
        // Nothing is left to serve: wait for the last ones, and for what they leave behind, but not for ever.
        let deadline = after(Instant::now(), LAST_WORDS);
        while !self.ending.is_empty() && Instant::now() < deadline {
            let mut watched: Vec<_> =
                self.ending.iter().map(|ending| PollFd::new(&ending.ended, PollFlags::IN)).collect();
            let left = timespec(deadline.saturating_duration_since(Instant::now()));
            let _ = rustix::event::poll(&mut watched, Some(&left));
            drop(watched);
            self.reap();
        }
        code
    }

    /// Waits until something is ready or a time is over.
    fn wait(&self) -> Result<Events, Errno> {
        let mut socket_flags = PollFlags::empty();
        if self.unsent.len() < MOST_UNSENT {
            socket_flags |= PollFlags::IN;
        }
        if !self.unsent.is_empty() {
            socket_flags |= PollFlags::OUT;
        }
        let mut watched = vec![PollFd::new(&self.socket, socket_flags), PollFd::new(&self.server, PollFlags::IN)];
        watched.extend(self.helpers.iter().map(|helper| PollFd::new(&helper.pipe, PollFlags::IN)));
        watched.extend(self.ending.iter().map(|ending| PollFd::new(&ending.ended, PollFlags::IN)));
        let limit = self.next_time().map(|at| timespec(at.saturating_duration_since(Instant::now())));
        rustix::event::poll(&mut watched, limit.as_ref())?;
        let mut ready = watched.iter().map(PollFd::revents);
        let socket = ready.next().unwrap_or(PollFlags::empty());
        let server = ready.next().unwrap_or(PollFlags::empty());
        Ok(Events {
            question: socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            server_ended: !server.is_empty(),
            helpers: ready.take(self.helpers.len()).map(|flags| !flags.is_empty()).collect(),
        })
    }

    /// The first moment at which something is over.
    fn next_time(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|waiting| waiting.gives_up);
        let helpers = self.helpers.iter().map(|helper| helper.gives_up);
        waiting.chain(helpers).chain(self.held.iter().map(|held| held.until)).min()
    }

    fn take_question(&mut self) -> Next {
        let mut packet = [0; MAX_QUESTION_LEN];
        let received = rustix::net::recv(&self.socket, &mut packet, RecvFlags::DONTWAIT | RecvFlags::TRUNC);
        let question = match received {
            Ok((_, 0)) | Err(Errno::CONNRESET | Errno::PIPE | Errno::NOTCONN) => return Next::End,
            Ok((_, len)) => packet.get(..len).and_then(|packet| wire::decode_question(packet).ok()),
            Err(_) => return Next::Continue,
        };
        packet.zeroize();
        // A question that is none has no number to answer to; its caller, if there is one, gives up by itself.
        let Some(question) = question else { return Next::Continue };
        if self.waiting.len() >= self.options.waiting {
            self.answer(question.id, &Err(SignInError::Unavailable(Unavailable::Busy)));
        } else {
            let gives_up = after(Instant::now(), self.limit(Kind::of(&question.ask)));
            self.waiting.push_back(Waiting { question, gives_up });
        }
        Next::Continue
    }

    const fn limit(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Lookup => self.options.lookup_limit,
            Kind::Conversation => self.options.conversation_limit,
        }
    }

    fn has_room(&self, kind: Kind) -> bool {
        let most = match kind {
            Kind::Lookup => self.options.lookups,
            Kind::Conversation => self.options.conversations,
        };
        let helpers = self.helpers.iter().filter(|helper| helper.kind == kind).count();
        let ending = self.ending.iter().filter(|ending| ending.kind == Some(kind)).count();
        helpers.saturating_add(ending) < most
    }

    fn start_helpers(&mut self, now: Instant) {
        for kind in [Kind::Lookup, Kind::Conversation] {
            while self.has_room(kind) {
                let next = self.waiting.iter().position(|waiting| Kind::of(&waiting.question.ask) == kind);
                let Some(Waiting { question, .. }) = next.and_then(|index| self.waiting.remove(index)) else { break };
                let id = question.id;
                if let Err(error) = self.start_helper(question, kind, now) {
                    self.answer(id, &Err(SignInError::Unavailable(error)));
                }
            }
        }
    }

    fn start_helper(&mut self, question: Question, kind: Kind, now: Instant) -> Result<(), Unavailable> {
        let failed = |operation| move |errno: Errno| Unavailable::Failed { operation, errno: errno.raw_os_error() };
        let (pipe, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed(Operation::Pipe))?;
        let process = match fork::fork().map_err(failed(Operation::Fork))? {
            Side::Child => {
                // The passwords of others who wait are none of this process's business.
                self.waiting.clear();
                errand::main(question.ask, &self.options, write, self.own)
            }
            Side::Parent { child } => child,
        };
        drop((question.ask, write));
        let prepared = rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK)
            .and_then(|()| rustix::process::pidfd_open(process, PidfdFlags::empty()));
        let ended = match prepared {
            Ok(ended) => ended,
            Err(errno) => {
                end(process);
                // It has just been made and is ending: this does not wait.
                let _ = rustix::process::waitpid(Some(process), WaitOptions::empty());
                return Err(failed(Operation::Fork)(errno));
            }
        };
        let gives_up = after(now, self.limit(kind));
        self.helpers.push(Helper { id: question.id, kind, process, ended, pipe, gives_up, frame: Vec::new() });
        Ok(())
    }

    fn read_helpers(&mut self, ready: &[bool]) {
        let mut at_work = Vec::with_capacity(self.helpers.len());
        let helpers = core::mem::take(&mut self.helpers);
        let ready = ready.iter().copied().chain(core::iter::repeat(false));
        for (mut helper, is_ready) in helpers.into_iter().zip(ready) {
            match if is_ready { read_frame(&mut helper) } else { Progress::More } {
                Progress::More => at_work.push(helper),
                Progress::Whole { delay, answer } => {
                    let answer = if helper.kind == Kind::Conversation { self.registered(answer) } else { answer };
                    self.hand_over(helper.id, delay, answer);
                    self.dismiss(helper);
                }
                Progress::Crashed => {
                    self.answer(helper.id, &Err(SignInError::Unavailable(Unavailable::Crashed)));
                    self.dismiss(helper);
                }
            }
        }
        self.helpers = at_work;
    }

    /// Registers somebody who has signed in with the elevated queue, and puts the number into the answer. A helper cannot
    /// choose one.
    fn registered(&self, answer: Vec<u8>) -> Vec<u8> {
        match wire::decode_answer(&answer) {
            Ok(Ok(mut account)) => {
                account.subject = self.registrar.as_ref().and_then(|registrar| registrar.register(&account.identity));
                wire::encode_answer(&Ok(account))
            }
            Ok(Err(_)) | Err(wire::Malformed) => answer,
        }
    }

    /// Sends an answer, or holds it back if it is a refusal that modules want to be slow.
    fn hand_over(&mut self, id: u64, delay: Duration, answer: Vec<u8>) {
        if delay.is_zero() || self.held.len() >= MOST_HELD {
            self.unsent.extend(wire::encode_parts(id, &answer));
        } else {
            self.held.push(Held { until: after(Instant::now(), delay.min(MOST_DELAY)), id, answer });
        }
    }

    fn dismiss(&mut self, helper: Helper) {
        end(helper.process);
        self.ending.push(Ending { kind: Some(helper.kind), process: helper.process, ended: helper.ended });
    }

    fn answer(&mut self, id: u64, answer: &Answer) {
        self.unsent.extend(wire::encode_parts(id, &wire::encode_answer(answer)));
    }

    fn expire(&mut self, now: Instant) {
        let (late, in_time): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.helpers).into_iter().partition(|helper| helper.gives_up <= now);
        self.helpers = in_time;
        for helper in late {
            self.answer(helper.id, &Err(SignInError::Unavailable(Unavailable::TimedOut)));
            self.dismiss(helper);
        }
        let (late, in_time): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.gives_up <= now);
        self.waiting = in_time;
        for waiting in late {
            self.answer(waiting.question.id, &Err(SignInError::Unavailable(Unavailable::Busy)));
        }
        let (due, held): (Vec<_>, Vec<_>) =
            core::mem::take(&mut self.held).into_iter().partition(|held| held.until <= now);
        self.held = held;
        for held in due {
            self.unsent.extend(wire::encode_parts(held.id, &held.answer));
        }
    }

    /// Takes note of processes that have ended, and ends those that they left behind.
    ///
    /// A module's program may be in a session of its own. When its helper ends it becomes a child of this process, which
    /// asked for that (PR_SET_CHILD_SUBREAPER).
    fn reap(&mut self) {
        let before = self.ending.len();
        self.ending.retain(|ending| {
            matches!(rustix::process::waitpid(Some(ending.process), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR))
        });
        if self.ending.len() == before {
            return;
        }
        for process in children() {
            let is_helper = self.helpers.iter().any(|helper| helper.process == process);
            if is_helper || self.ending.iter().any(|ending| ending.process == process) {
                continue;
            }
            end(process);
            if let Ok(ended) = rustix::process::pidfd_open(process, PidfdFlags::empty()) {
                self.ending.push(Ending { kind: None, process, ended });
            }
        }
    }

    fn send(&mut self) -> Next {
        while let Some(packet) = self.unsent.front() {
            match rustix::net::send(&self.socket, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => drop(self.unsent.pop_front()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => return Next::Continue,
                Err(_) => return Next::End,
            }
        }
        Next::Continue
    }
}

/// What a helper's pipe has given.
enum Progress {
    More,
    Whole { delay: Duration, answer: Vec<u8> },
    Crashed,
}

fn read_frame(helper: &mut Helper) -> Progress {
    let mut chunk = [0; 16_384];
    loop {
        match rustix::io::read(&helper.pipe, &mut chunk) {
            Ok(0) => return Progress::Crashed,
            Ok(count) => helper.frame.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return Progress::More,
            Err(_) => return Progress::Crashed,
        }
        if let Some(progress) = whole(&helper.frame) {
            return progress;
        }
    }
}

/// Looks at what has arrived: `None` while more must come.
fn whole(frame: &[u8]) -> Option<Progress> {
    let (delay, rest) = frame.split_first_chunk::<4>()?;
    let (len, answer) = rest.split_first_chunk::<4>()?;
    let Ok(len) = usize::try_from(u32::from_le_bytes(*len)) else { return Some(Progress::Crashed) };
    if len > MAX_ANSWER_LEN || frame.len() > MAX_ANSWER_LEN.saturating_add(HEAD_LEN) || answer.len() > len {
        return Some(Progress::Crashed);
    }
    if answer.len() < len {
        return None;
    }
    Some(match wire::decode_answer(answer) {
        Ok(decoded) => {
            let delay = Duration::from_micros(u64::from(u32::from_le_bytes(*delay)));
            Progress::Whole { delay: if decoded.is_err() { delay } else { Duration::ZERO }, answer: answer.to_vec() }
        }
        Err(wire::Malformed) => Progress::Crashed,
    })
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

fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(delay_us: u32, answer: &[u8]) -> Vec<u8> {
        let mut frame = delay_us.to_le_bytes().to_vec();
        frame.extend_from_slice(&u32::try_from(answer.len()).unwrap().to_le_bytes());
        frame.extend_from_slice(answer);
        frame
    }

    #[test]
    fn a_frame_is_whole_exactly_when_all_of_it_is_there() {
        let answer = wire::encode_answer(&Err(SignInError::WrongCredentials));
        let frame = frame(2_000_000, &answer);
        for len in 0..frame.len() {
            assert!(whole(&frame[..len]).is_none(), "{len}");
        }
        let Some(Progress::Whole { delay, answer: seen }) = whole(&frame) else { panic!("not whole") };
        assert_eq!((delay, seen), (Duration::from_secs(2), answer));
        assert!(matches!(whole(&[&frame[..], b"x"].concat()), Some(Progress::Crashed)));
    }

    proptest! {
        #[test]
        fn any_bytes_from_a_helper_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = whole(&bytes);
        }
    }
}
