//! The worker's own process: becomes its client, seals itself, and does what it is asked until nobody asks.

use super::file::{self, Performed, Read};
use super::job::{Job, JobAnswer, JobRequest};
use super::order::{Order, Report, encode_report};
use super::seal::{self, SealError};
use super::{BELL, INLINE, JOB, LARGE_JOB, MAX_LARGE, MAX_MESSAGE_LEN};
use crate::packet::{self, Received};
use crate::supervisor::apart::{be_apart, descriptor};
use crate::switch::irrevocable::drop_to;
use crate::sys::fork;
use crate::sys::shm::{Shared, Use};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt};
use rustix::process::{Pid, Signal};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// What a worker is handed when it is forked.
pub(super) struct Handed {
    pub(super) socket: OwnedFd,
    pub(super) requests: OwnedFd,
    pub(super) answers: OwnedFd,
}

/// Becomes the worker and ends the process when nobody asks any more.
pub(super) fn main(order: &Order, handed: &Handed, jobs: &[Job], sealer: Pid) -> ! {
    // A panic must not unwind into the code of the sealer that forked this process.
    let code = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let worker = Worker::shape(order, handed, jobs, sealer);
        let report = match &worker {
            Ok(_) => Report::Ready,
            Err(error) => Report::Failed(error.clone()),
        };
        let sent = packet::send(handed.socket.as_fd(), &encode_report(&report), &[], SendFlags::empty());
        match worker {
            Ok(mut worker) if sent.is_ok() => worker.serve(),
            _ => 71,
        }
    }));
    fork::exit_now(code.unwrap_or(70))
}

struct Worker<'a> {
    socket: BorrowedFd<'a>,
    jobs: &'a [Job],
    root: Option<OwnedFd>,
    requests: Shared,
    answers: Shared,
    buffer: Vec<u8>,
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> SealError {
    move |errno| SealError::Failed { operation, errno: errno.raw_os_error() }
}

impl<'a> Worker<'a> {
    /// Everything that must be done before the filter is there, in the one order in which it works.
    fn shape(order: &Order, handed: &'a Handed, jobs: &'a [Job], sealer: Pid) -> Result<Self, SealError> {
        let mut kept = [&handed.socket, &handed.requests, &handed.answers].map(descriptor);
        be_apart(c"vicar-sealed", &mut kept, Mode::from_raw_mode(0o022))
            .map_err(|(_, errno)| failed("start")(errno))?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).map_err(failed("start"))?;
        rustix::stdio::dup2_stderr(&null).map_err(failed("start"))?;
        drop(null);
        drop_to(&order.identity).map_err(SealError::Dropped)?;
        // A change of ids clears this, so it comes after; the sealer may have ended before.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed("prctl"))?;
        if rustix::process::getppid() != Some(sealer) {
            return Err(failed("getppid")(Errno::SRCH));
        }
        let root = match &order.plan.directory {
            None => None,
            // As the client: whoever cannot get there has no business beneath it.
            Some(path) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let root =
                    rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
                Some(root.map_err(|errno| SealError::Directory { path: path.clone(), errno: errno.raw_os_error() })?)
            }
        };
        let requests = Shared::map(&handed.requests, file::REQUEST_WORDS, Use::Read).map_err(failed("mmap"))?;
        let answers = Shared::map(&handed.answers, file::ANSWER_WORDS, Use::ReadWrite).map_err(failed("mmap"))?;
        sockopt::set_socket_timeout(&handed.socket, sockopt::Timeout::Recv, Some(order.idle))
            .map_err(failed("setsockopt"))?;
        seal::close(&order.plan.seal)?;
        let buffer = vec![0; MAX_MESSAGE_LEN];
        Ok(Self { socket: handed.socket.as_fd(), jobs, root, requests, answers, buffer })
    }

    fn serve(&mut self) -> i32 {
        let mut flags = RecvFlags::empty();
        loop {
            match packet::receive(self.socket, &mut self.buffer, flags) {
                Ok(Received::Message { len, descriptors }) => {
                    if self.answer(len, descriptors).is_none() {
                        return 65;
                    }
                }
                Ok(Received::End) => return 0,
                // Nobody asked for a while. Whoever asks from now on hears that nobody is here; who asked just before is
                // answered.
                Err(Errno::AGAIN) if flags.is_empty() => {
                    if rustix::net::shutdown(self.socket, Shutdown::Read).is_err() {
                        return 0;
                    }
                    flags = RecvFlags::DONTWAIT;
                }
                Err(Errno::AGAIN) => return 0,
                Ok(Received::TooLong) | Err(_) => return 65,
            }
        }
    }

    /// Answers one message; `None` when it is none, and when nobody takes the answer.
    fn answer(&mut self, len: usize, descriptors: Vec<OwnedFd>) -> Option<()> {
        match self.buffer.get(..len)? {
            [BELL, count] if descriptors.is_empty() => self.ring(usize::from(*count)),
            [JOB, low, high, bytes @ ..] => {
                let job = self.jobs.get(usize::from(u16::from_le_bytes([*low, *high])))?;
                let answer = (job.run)(JobRequest { bytes, descriptors });
                self.hand_over(&answer)
            }
            [LARGE_JOB, low, high] => {
                let job = self.jobs.get(usize::from(u16::from_le_bytes([*low, *high])))?;
                let mut descriptors = descriptors.into_iter();
                let bytes = packet::read_memory(&descriptors.next()?, MAX_LARGE)?;
                let answer = (job.run)(JobRequest { bytes: &bytes, descriptors: descriptors.collect() });
                self.hand_over(&answer)
            }
            _ => None,
        }
    }

    /// Does what lies in the shared memory.
    fn ring(&self, count: usize) -> Option<()> {
        let root = self.root.as_ref()?.as_fd();
        let mut read = Read::new();
        let mut at = 0;
        let mut opened = Vec::new();
        for index in 0..count {
            at = read.fill(&self.requests, at)?;
            let performed = read.perform(root);
            file::write_answer(&self.answers, index, &performed)?;
            if let Performed::Opened(file) = performed {
                opened.push(file);
            }
        }
        let borrowed: Vec<BorrowedFd<'_>> = opened.iter().map(|file| file.as_fd()).collect();
        let bell = [BELL, u8::try_from(count).ok()?];
        let sent = packet::send(self.socket, &bell, &borrowed, SendFlags::empty());
        fork::close_together(opened);
        sent.ok()
    }

    fn hand_over(&self, answer: &JobAnswer) -> Option<()> {
        let mut descriptors: Vec<BorrowedFd<'_>> = answer.descriptors.iter().map(|file| file.as_fd()).collect();
        if answer.bytes.len() <= INLINE {
            let mut message = vec![JOB];
            message.extend_from_slice(&answer.bytes);
            return packet::send(self.socket, &message, &descriptors, SendFlags::empty()).ok();
        }
        let large = packet::write_memory(&answer.bytes).ok()?;
        descriptors.insert(0, large.as_fd());
        packet::send(self.socket, &[LARGE_JOB], &descriptors, SendFlags::empty()).ok()
    }
}
