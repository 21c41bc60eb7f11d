//! A thread that does round after round by one road, on that road's copies of the trees.

use crate::files::{self, Tally};
use crate::numbers::Numbers;
use crate::operation::Batch;
use crate::people::identity;
use crate::road::Road;
use crate::sealed::Sealed;
use crate::watchdog::Declared;
use crate::worker::Workers;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vicar_os::{ClientContext, Server};

/// Operations on one tree before it is compared and made anew.
const ROUND: usize = 5000;

/// What everybody does in one tree, in this order.
pub(crate) struct Round {
    pub(crate) number: u32,
    /// Of the tree, and of what is done in it.
    pub(crate) seed: u64,
    pub(crate) batches: Vec<Arc<Batch>>,
}

impl Round {
    pub(crate) fn of(number: u32, seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let (mut batches, mut count) = (Vec::new(), 0);
        while count < ROUND {
            let batch = Batch::of(numbers.next());
            count += batch.operations.len();
            batches.push(Arc::new(batch));
        }
        Self { number, seed, batches }
    }

    /// What differed, and how to see it again.
    pub(crate) fn report(&self, road: &str, variable: &str, batch: &Batch, truth: &str, found: &str) -> String {
        let mut text = format!("{road} differs from {}; again with {variable}={}\n", identity(batch.who), self.seed);
        for (index, operation) in batch.operations.iter().enumerate() {
            let (truth, found) = (truth.lines().nth(index), found.lines().nth(index));
            let mark = if truth == found { ' ' } else { '!' };
            text.push_str(&format!("{mark} {operation:?}\n    {truth:?}\n    {found:?}\n"));
        }
        text
    }
}

/// Where this road's copy of a round's tree begins.
type RootOf = Box<dyn Fn(u32) -> PathBuf + Send>;

/// Does one batch in the tree at a path.
type Perform<'a> = dyn FnMut(&Arc<Batch>, &Path) -> String + 'a;

/// One round done: an answer for each batch.
struct Done {
    said: Vec<String>,
    took: Duration,
    tally: Option<Tally>,
}

pub(crate) struct Lane {
    pub(crate) name: &'static str,
    give: Option<Sender<Arc<Round>>>,
    answers: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    pub(crate) took: Duration,
    pub(crate) tally: Option<Tally>,
}

/// What a lane's thread does.
struct Work {
    rounds: Receiver<Arc<Round>>,
    answers: Sender<Done>,
    root_of: RootOf,
}

impl Work {
    fn go(&self, perform: &mut Perform<'_>) {
        while let Ok(round) = self.rounds.recv() {
            let (root, started) = ((self.root_of)(round.number), Instant::now());
            let said = round.batches.iter().map(|batch| perform(batch, &root)).collect();
            let _ = self.answers.send(Done { said, took: started.elapsed(), tally: None });
        }
    }
}

impl Lane {
    fn start(name: &'static str, root_of: RootOf, body: impl FnOnce(&Work) + Send + 'static) -> Self {
        let (give, rounds) = channel();
        let (told, answers) = channel();
        let work = Work { rounds, answers: told, root_of };
        let thread = std::thread::spawn(move || body(&work));
        Self { name, give: Some(give), answers, thread: Some(thread), took: Duration::ZERO, tally: None }
    }

    /// The people themselves: each batch by the process that is its person.
    pub(crate) fn yardstick(mut workers: Workers, root_of: RootOf) -> Self {
        Self::start("yardstick", root_of, move |work| work.go(&mut |batch, root| workers.perform(batch, root)))
    }

    /// A road on which a closure acts as the client.
    pub(crate) fn road(
        road: &'static Road,
        server: &Server,
        clients: &Arc<Vec<ClientContext>>,
        declared: &Arc<Declared>,
        root_of: RootOf,
    ) -> Self {
        let (server, clients, declared) = (server.clone(), Arc::clone(clients), Arc::clone(declared));
        Self::start(road.name, root_of, move |work| {
            let act = (road.start)(&server);
            work.go(&mut |batch, root| {
                let (root, declared, this) = (root.to_owned(), Arc::clone(&declared), Arc::clone(batch));
                let job = move || {
                    let _acting = declared.acts_for(this.who);
                    this.perform(&root)
                };
                act(&clients[batch.who], Box::new(job)).unwrap()
            });
        })
    }

    pub(crate) fn sealed(sealed: Sealed, clients: &Arc<Vec<ClientContext>>, root_of: RootOf) -> Self {
        let clients = Arc::clone(clients);
        Self::start(crate::keeper::SEALED, root_of, move |work| {
            work.go(&mut |batch, root| sealed.perform(&clients[batch.who], batch, root));
        })
    }

    /// By the calls of `Files`, which count how each was done.
    pub(crate) fn files(
        mut road: files::Road,
        clients: &Arc<Vec<ClientContext>>,
        declared: &Arc<Declared>,
        root_of: RootOf,
    ) -> Self {
        let (clients, declared) = (Arc::clone(clients), Arc::clone(declared));
        Self::start(road.name, root_of, move |work| {
            while let Ok(round) = work.rounds.recv() {
                let started = Instant::now();
                road.next_round((work.root_of)(round.number));
                let one = |batch: &Arc<Batch>| road.perform(&clients[batch.who], batch, &declared);
                let said = round.batches.iter().map(one).collect();
                let (took, tally) = (started.elapsed(), Some(road.tally.clone()));
                let _ = work.answers.send(Done { said, took, tally });
            }
        })
    }

    pub(crate) fn give(&self, round: &Arc<Round>) {
        // One that has ended is heard of when its answer is waited for.
        let _ = self.give.as_ref().unwrap().send(Arc::clone(round));
    }

    /// Waits for the round that was given; panics as the lane did.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let Ok(done) = self.answers.recv() else {
            match self.thread.take().unwrap().join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => panic!("{} ended", self.name),
            }
        };
        self.took += done.took;
        self.tally = done.tally;
        done.said
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.give.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
