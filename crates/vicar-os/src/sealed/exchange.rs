//! What a server says to one worker, and what it makes of what comes back.

use super::file::{self, Expected, FileAccess, FileAnswer, FileRequest, Told};
use super::job::{Accept, JobAnswer, Refused, Wanted, inspect};
use super::order::{Report, decode_report};
use super::{BELL, FileError, INLINE, JOB, JobId, LARGE_JOB, MAX_LARGE, MAX_MESSAGE_LEN, SealedError};
use crate::fs::Kind;
use crate::packet::{self, Received};
use crate::sys::shm::Shared;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// The server's end of one worker.
pub(super) struct Exchange {
    socket: OwnedFd,
    requests: Shared,
    answers: Shared,
    buffer: Vec<u8>,
    known_device: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The worker was gone before anything could be sent to it: nothing was begun, and another may be asked the same.
    NotBegun,
    /// It is not known how much was done.
    Failed(SealedError),
}

impl From<SealedError> for NoAnswer {
    fn from(error: SealedError) -> Self {
        Self::Failed(error)
    }
}

impl From<NoAnswer> for SealedError {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::NotBegun => Self::Crashed,
            NoAnswer::Failed(error) => error,
        }
    }
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> SealedError {
    move |errno| SealedError::Failed { operation, errno: errno.raw_os_error() }
}

impl Exchange {
    /// Takes a socket whose time limits are set, memory that only this process writes, and memory that it only reads.
    pub(super) fn new(socket: OwnedFd, requests: Shared, answers: Shared) -> Self {
        Self { socket, requests, answers, buffer: vec![0; MAX_MESSAGE_LEN], known_device: None }
    }

    /// Waits for the process to say that it is a worker.
    pub(super) fn await_ready(&mut self) -> Result<(), SealedError> {
        let (len, none) = self.receive()?;
        match self.buffer.get(..len).filter(|_| none.is_empty()).and_then(decode_report) {
            Some(Report::Ready) => Ok(()),
            Some(Report::Full) => Err(SealedError::Busy),
            Some(Report::Failed(error)) => Err(SealedError::NotSealed(error)),
            None => Err(SealedError::BadAnswer),
        }
    }

    /// Whether the worker has not hung up. It says nothing without being asked, so anything to read is its end.
    pub(super) fn is_there(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec};
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        matches!(rustix::event::poll(&mut watched, Some(&now)), Ok(0))
    }

    fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), NoAnswer> {
        match packet::send(self.socket.as_fd(), bytes, descriptors, SendFlags::empty()) {
            Ok(()) => Ok(()),
            // A message is sent whole or not at all, and this one was not: nobody can have read it.
            Err(Errno::PIPE) => Err(NoAnswer::NotBegun),
            Err(Errno::CONNRESET) => Err(SealedError::Crashed.into()),
            Err(Errno::AGAIN) => Err(SealedError::TimedOut.into()),
            Err(errno) => Err(failed("sendmsg")(errno).into()),
        }
    }

    /// Waits for a message; its bytes are in the buffer.
    fn receive(&mut self) -> Result<(usize, Vec<OwnedFd>), SealedError> {
        match packet::receive(self.socket.as_fd(), &mut self.buffer, RecvFlags::empty()) {
            Ok(Received::Message { len, descriptors }) => Ok((len, descriptors)),
            Ok(Received::End) => Err(SealedError::Crashed),
            Ok(Received::TooLong) => Err(SealedError::BadAnswer),
            Err(Errno::AGAIN) => Err(SealedError::TimedOut),
            Err(errno) => Err(failed("recvmsg")(errno)),
        }
    }

    /// Has a job done.
    pub(super) fn call(
        &mut self,
        job: JobId,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
        accept: Accept,
    ) -> Result<JobAnswer, NoAnswer> {
        let [low, high] = job.0.to_le_bytes();
        if bytes.len() <= INLINE {
            let mut message = Vec::with_capacity(bytes.len().saturating_add(3));
            message.extend([JOB, low, high]);
            message.extend_from_slice(bytes);
            self.send(&message, descriptors)?;
        } else {
            let memory = packet::write_memory(bytes).map_err(failed("memfd_create"))?;
            let all: Vec<BorrowedFd<'_>> =
                core::iter::once(memory.as_fd()).chain(descriptors.iter().copied()).collect();
            self.send(&[LARGE_JOB, low, high], &all)?;
        }
        let (len, received) = self.receive()?;
        let mut received = received.into_iter();
        let bytes = match self.buffer.get(..len) {
            Some([JOB, bytes @ ..]) => bytes.to_vec(),
            Some([LARGE_JOB]) => received
                .next()
                .and_then(|memory| packet::read_memory(&memory, accept.bytes.min(MAX_LARGE)))
                .ok_or(SealedError::BadAnswer)?,
            _ => return Err(SealedError::BadAnswer.into()),
        };
        let descriptors: Vec<OwnedFd> = received.collect();
        if bytes.len() > accept.bytes || descriptors.len() > accept.descriptors {
            return Err(SealedError::BadAnswer.into());
        }
        let access = if accept.writable { None } else { Some(OFlags::RDONLY) };
        for descriptor in &descriptors {
            inspect(descriptor, Wanted { kind: Kind::Regular, access }, &mut None)
                .map_err(|_refused| SealedError::BadAnswer)?;
        }
        Ok(JobAnswer { bytes, descriptors })
    }

    /// Has up to 128 file operations done.
    pub(super) fn batch(
        &mut self,
        requests: &[FileRequest],
        answers: &mut Vec<Result<FileAnswer, FileError>>,
    ) -> Result<(), NoAnswer> {
        let mut at = 0;
        for request in requests {
            at = request.write(&self.requests, at).ok_or(SealedError::TooLong)?;
        }
        let bell = [BELL, u8::try_from(requests.len()).map_err(|_too_many| SealedError::TooLong)?];
        self.send(&bell, &[])?;
        let (len, files) = self.receive()?;
        if self.buffer.get(..len) != Some(&bell) {
            return Err(SealedError::BadAnswer.into());
        }
        let mut files = files.into_iter();
        for (index, request) in requests.iter().enumerate() {
            let told = file::read_answer(&self.answers, index).ok_or(SealedError::BadAnswer)?;
            answers.push(match (told, request.expected()) {
                (Told::Failed(errno), _) => Err(FileError::Os(errno)),
                (Told::Seen(seen), Expected::Stat) => Ok(FileAnswer::Seen(seen)),
                (Told::Done, Expected::Nothing) => Ok(FileAnswer::Done),
                (Told::Opened, Expected::Open(access)) => {
                    let file = files.next().ok_or(SealedError::BadAnswer)?;
                    match inspect(&file, wanted(access), &mut self.known_device) {
                        Ok(()) => Ok(FileAnswer::Opened(file)),
                        Err(Refused::Kind | Refused::FileSystem) => Err(FileError::NotServed),
                        Err(Refused::Flags | Refused::Errno(_)) => return Err(SealedError::BadAnswer.into()),
                    }
                }
                (Told::Opened | Told::Seen(_) | Told::Done, _) => return Err(SealedError::BadAnswer.into()),
            });
        }
        if files.next().is_some() { Err(SealedError::BadAnswer.into()) } else { Ok(()) }
    }
}

const fn wanted(access: FileAccess) -> Wanted {
    let kind = match access {
        FileAccess::Read | FileAccess::Write | FileAccess::ReadWrite => Kind::Regular,
        FileAccess::Directory => Kind::Directory,
    };
    Wanted { kind, access: Some(access.flags().intersection(OFlags::RWMODE)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::BeneathPath;
    use crate::sys::shm::Use;
    use proptest::prelude::*;

    /// A server's end, and what a worker in the hands of somebody else has.
    struct Hostile {
        exchange: Exchange,
        socket: OwnedFd,
        answers: Shared,
    }

    fn hostile() -> Hostile {
        let (near, socket) = packet::pair().unwrap();
        let (requests, answers) =
            (Shared::create(file::REQUEST_WORDS).unwrap(), Shared::create(file::ANSWER_WORDS).unwrap());
        let ours = Shared::map(&requests, file::REQUEST_WORDS, Use::ReadWrite).unwrap();
        let read = Shared::map(&answers, file::ANSWER_WORDS, Use::Read).unwrap();
        let answers = Shared::map(&answers, file::ANSWER_WORDS, Use::ReadWrite).unwrap();
        Hostile { exchange: Exchange::new(near, ours, read), socket, answers }
    }

    impl Hostile {
        /// Says something before it is asked, which is the same as saying it at once.
        fn says(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
            packet::send(self.socket.as_fd(), bytes, descriptors, SendFlags::empty()).unwrap();
        }

        fn open(&mut self) -> Result<Result<FileAnswer, FileError>, SealedError> {
            let request = FileRequest::Open { path: BeneathPath::parse(b"f").unwrap(), access: FileAccess::Read };
            let mut answers = Vec::new();
            self.exchange.batch(&[request], &mut answers).map(|()| answers.remove(0)).map_err(SealedError::from)
        }
    }

    fn file(path: &str, flags: OFlags) -> OwnedFd {
        rustix::fs::open(path, flags | OFlags::CLOEXEC, rustix::fs::Mode::empty()).unwrap()
    }

    fn own() -> String {
        std::env::current_exe().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn descriptors_are_what_was_asked_for() {
        const OPENED: u64 = 2;
        let mut worker = hostile();
        worker.answers.store(0, OPENED).unwrap();
        let (good, path) = (file(&own(), OFlags::RDONLY), file(&own(), OFlags::PATH));
        let (directory, device) = (file("/", OFlags::RDONLY), file("/dev/null", OFlags::RDONLY));
        let process = file("/proc/self/status", OFlags::RDONLY);
        worker.says(&[BELL, 1], &[good.as_fd()]);
        assert!(matches!(worker.open(), Ok(Ok(FileAnswer::Opened(_)))));
        for refused in [&directory, &device, &process] {
            worker.says(&[BELL, 1], &[refused.as_fd()]);
            assert!(matches!(worker.open(), Ok(Err(FileError::NotServed))));
        }
        for (bytes, descriptors) in [
            (&[BELL, 1][..], &[path.as_fd()][..]),
            (&[BELL, 1], &[]),
            (&[BELL, 1], &[good.as_fd(), good.as_fd()]),
            (&[BELL, 2], &[good.as_fd()]),
            (&[BELL], &[good.as_fd()]),
            (&[JOB, 1], &[good.as_fd()]),
            (&[0; MAX_MESSAGE_LEN + 1], &[good.as_fd()]),
        ] {
            worker.says(bytes, descriptors);
            assert_eq!(worker.open().err(), Some(SealedError::BadAnswer), "{:?}", bytes.get(..2));
        }
        // An answer of another kind.
        worker.answers.store(0, 4).unwrap();
        worker.says(&[BELL, 1], &[]);
        assert_eq!(worker.open().err(), Some(SealedError::BadAnswer));
    }

    #[test]
    fn no_more_is_taken_than_was_accepted() {
        let mut worker = hostile();
        let good = file(&own(), OFlags::RDONLY);
        let call = |worker: &mut Hostile, accept| {
            worker.exchange.call(JobId(0), b"", &[], accept).map(|_| ()).map_err(SealedError::from)
        };
        worker.says(&[JOB, 1, 2, 3], &[good.as_fd()]);
        assert_eq!(call(&mut worker, Accept::bytes(3).descriptors(1)), Ok(()));
        worker.says(&[JOB, 1, 2, 3], &[]);
        assert_eq!(call(&mut worker, Accept::bytes(2)), Err(SealedError::BadAnswer));
        worker.says(&[JOB], &[good.as_fd()]);
        assert_eq!(call(&mut worker, Accept::bytes(2)), Err(SealedError::BadAnswer));
        // A file is no memory that cannot change.
        worker.says(&[LARGE_JOB], &[good.as_fd()]);
        assert_eq!(call(&mut worker, Accept::bytes(usize::MAX)), Err(SealedError::BadAnswer));
        worker.says(&[LARGE_JOB], &[]);
        assert_eq!(call(&mut worker, Accept::bytes(usize::MAX)), Err(SealedError::BadAnswer));
        let large = packet::write_memory(&[7; 100]).unwrap();
        worker.says(&[LARGE_JOB], &[large.as_fd()]);
        assert_eq!(call(&mut worker, Accept::bytes(99)), Err(SealedError::BadAnswer));
        let null = file("/dev/null", OFlags::RDWR);
        worker.says(&[JOB], &[null.as_fd()]);
        assert_eq!(call(&mut worker, Accept::bytes(0).descriptors(1).writable()), Err(SealedError::BadAnswer));
    }

    #[test]
    fn only_what_was_not_sent_is_known_not_to_have_begun() {
        let ask = |worker: &mut Hostile| worker.exchange.call(JobId(0), b"", &[], Accept::bytes(0)).err();
        let crashed = || Some(NoAnswer::Failed(SealedError::Crashed));
        // It ends with the request before it looked at it, and having looked; who asks cannot tell.
        for looks in [false, true] {
            let Hostile { exchange, socket, answers } = hostile();
            let (mut worker, mut word) = (Hostile { exchange, socket: packet::pair().unwrap().0, answers }, [0; 8]);
            std::thread::scope(|scope| {
                let asked = scope.spawn(|| ask(&mut worker));
                let watched = &mut [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::IN)];
                assert_eq!(rustix::event::poll(watched, None), Ok(1));
                if looks {
                    packet::receive(socket.as_fd(), &mut word, RecvFlags::empty()).unwrap();
                }
                drop(socket);
                assert_eq!(asked.join().unwrap(), crashed(), "{looks}");
            });
            assert_eq!(ask(&mut worker), Some(NoAnswer::NotBegun));
        }
        // It takes no more requests, and lives.
        let mut worker = hostile();
        rustix::net::shutdown(&worker.socket, rustix::net::Shutdown::Read).unwrap();
        assert_eq!(ask(&mut worker), Some(NoAnswer::NotBegun));
        let mut answers = Vec::new();
        let request = FileRequest::Stat { path: BeneathPath::parse(b"f").unwrap() };
        assert_eq!(worker.exchange.batch(&[request], &mut answers), Err(NoAnswer::NotBegun));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn whatever_comes_is_judged(
            bytes in prop::collection::vec(any::<u8>(), 1..80),
            first in 0_u8..5,
            files in prop::collection::vec(0_usize..3, 0..4),
            words in prop::collection::vec(any::<u64>(), 0..24),
        ) {
            let mut worker = hostile();
            let all = [file(&own(), OFlags::RDONLY), file("/", OFlags::PATH), packet::write_memory(b"x").unwrap()];
            let files: Vec<BorrowedFd<'_>> = files.iter().map(|&which| all[which].as_fd()).collect();
            words.iter().enumerate().for_each(|(index, word)| worker.answers.store(index, word & 0xFF_0000_0007).unwrap());
            let mut bytes = bytes;
            bytes[0] = first;
            worker.says(&bytes, &files);
            let _ = worker.open();
            worker.says(&bytes, &files);
            let _ = worker.exchange.call(JobId(0), b"x", &[], Accept::bytes(40).descriptors(2));
            worker.says(&bytes, &files);
            let _ = worker.exchange.await_ready();
        }
    }
}
