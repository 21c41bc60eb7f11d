//! Tests on the road of sealed workers, to which no closure can go.
//!
//! A worker is a fork of the sealer, and so of the process that runs the test: it has the test, but not where the test has
//! come to. It is sent all answers so far and goes through the test again with them; the first job for which there is no
//! answer is the one to do, and there the worker leaves the test. What a test does must therefore follow from its answers.

use crate::world::World;
use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use vicar_os::sealed::{
    Accept, Job, JobAnswer, JobRequest, Plan, Purpose, Seal, SealedWorkers, SealerOptions, WorkerOptions,
};
use vicar_os::{ClientContext, Server, StartOptions, Starting};

pub(crate) type Body = Rc<dyn Fn(&World)>;

thread_local! {
    static BODY: RefCell<Option<Body>> = const { RefCell::new(None) };
}

/// Keeps the test for the workers that are made later.
pub(crate) fn keep(body: impl Fn(&World) + 'static) -> Body {
    let body: Body = Rc::new(body);
    BODY.set(Some(Rc::clone(&body)));
    body
}

const JOBS: &[Job] = &[Job { name: "replay", run: replay }];

/// The answer for which a worker was asked, thrown out of the test.
struct Said(String);

/// In a worker: the answers so far.
pub(crate) struct Replay {
    answers: Vec<String>,
    next: Cell<usize>,
}

impl Replay {
    pub(crate) fn perform(&self, job: impl FnOnce() -> String) -> String {
        let next = self.next.replace(self.next.get() + 1);
        match self.answers.get(next) {
            Some(answer) => answer.clone(),
            None => resume_unwind(Box::new(Said(job()))),
        }
    }
}

/// The directory, then the answers: each with its length before it.
fn encode<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(text);
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut texts = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let (text, rest) = rest.split_at(usize::try_from(u32::from_le_bytes(*len)).unwrap());
        texts.push(text);
        bytes = rest;
    }
    texts
}

fn replay(request: JobRequest<'_>) -> JobAnswer {
    let texts = decode(request.bytes);
    let (dir, answers) = texts.split_first().unwrap();
    let answers = answers.iter().map(|answer| String::from_utf8(answer.to_vec()).unwrap()).collect();
    let world = World::replayed(PathBuf::from(OsStr::from_bytes(dir)), Replay { answers, next: Cell::new(0) });
    let body = BODY.with_borrow(|body| Rc::clone(body.as_ref().unwrap()));
    match catch_unwind(AssertUnwindSafe(|| body(&world))) {
        Err(thrown) => match thrown.downcast::<Said>() {
            Ok(said) => said.0.into_bytes().into(),
            // A failure of the job is the worker's: it ends, and what it said is on standard error.
            Err(panic) => resume_unwind(panic),
        },
        Ok(()) => panic!("the test asks for less when it is done again"),
    }
}

/// In the test's process: the workers, and what they have answered.
pub(crate) struct Workers {
    pub(crate) server: Server,
    workers: SealedWorkers,
    plan: Arc<Plan>,
    dir: PathBuf,
    answers: RefCell<Vec<String>>,
}

impl Workers {
    pub(crate) fn start(dir: &Path) -> Self {
        let mut starting = Starting::begin(StartOptions::default()).unwrap();
        let sealer = starting.fork_sealer(SealerOptions::default(), JOBS).unwrap();
        let server = starting.finish().unwrap();
        let mut options = WorkerOptions::default();
        (options.call_limit, options.wait) = (Duration::from_secs(300), Duration::from_secs(60));
        let workers = SealedWorkers::new(&server, sealer, options);
        let plan = Arc::new(Plan::new(Seal::new(Purpose::Execute)));
        Self { server, workers, plan, dir: dir.to_owned(), answers: RefCell::new(Vec::new()) }
    }

    /// Has the next job of the test done by a worker of the client.
    pub(crate) fn perform(&self, client: &ClientContext) -> String {
        let mut answers = self.answers.borrow_mut();
        let texts = std::iter::once(self.dir.as_os_str().as_bytes()).chain(answers.iter().map(String::as_bytes));
        let request = encode(texts);
        let job = self.workers.sealer().job("replay").unwrap();
        let mut worker = self.workers.take(client, &self.plan).unwrap();
        let answer = worker.call(job, &request, &[], Accept::bytes(1 << 20)).unwrap();
        let answer = String::from_utf8(answer.bytes).unwrap();
        answers.push(answer.clone());
        answer
    }
}
