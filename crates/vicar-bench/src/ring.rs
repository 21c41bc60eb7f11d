//! The way of `vicar-os` by io_uring, through its public interface alone.
//!
//! Two clients take turns, a batch each: no thread changes its identity, so turns cost nothing that one client would not.
//! A path is one name in a directory that the client holds, where the plain call walks from `/`.

use std::time::{Duration, Instant};

use vicar_os::ClientContext;
use vicar_os::fs::{BeneathPath, FsError, Links, Name};
use vicar_os::ring::{Batch, Content, Done, Files, FilesOptions, Inode, OpenFor, Operation, Ring};

use crate::method::Running;
use crate::op::{Op, Target};
use crate::ours;
use crate::scratch::ANOTHER;

struct Person {
    client: ClientContext,
    directory: Inode,
    looked: Inode,
}

struct InTurn {
    ring: Ring,
    /// Holds the client threads.
    _files: Files,
    turn: [Person; 2],
    op: Op,
    path: BeneathPath,
    name: Name,
    batch: u32,
}

fn told(error: impl std::fmt::Display) -> String {
    format!("ring: {error}")
}

fn batch_of(count: u32, mut one: impl FnMut() -> Result<Operation, FsError>) -> Result<Batch, String> {
    (0..count).try_fold(Batch::default(), |batch, _| Ok(batch.and(one().map_err(told)?)))
}

impl InTurn {
    fn run(&self, client: &ClientContext, batch: Batch) -> Result<Vec<Done>, String> {
        let results = self.ring.run_blocking(client, batch).map_err(told)?;
        results.into_iter().map(|result| result.map_err(told)).collect()
    }

    fn open(&self, person: &Person, count: u32) -> Result<Vec<Content>, String> {
        let one = || Operation::open(&person.directory, &self.path, &person.looked, OpenFor::Reading);
        let content = |done| if let Done::Content(content) = done { Some(content) } else { None };
        let contents: Option<Vec<Content>> =
            self.run(&person.client, batch_of(count, one)?)?.into_iter().map(content).collect();
        contents.ok_or_else(|| "ring: open gave something else".to_owned())
    }

    fn perform(&self, person: &Person, count: u32) -> Result<(), String> {
        match self.op {
            Op::OpenClose => self.open(person, count).map(drop),
            Op::Statx => {
                let batch = batch_of(count, || Ok(Operation::stat(&person.directory, &self.name)))?;
                self.run(&person.client, batch).map(drop)
            }
            Op::OpenRead => {
                let mut files = self.open(person, count)?.into_iter();
                let next = || match files.next() {
                    Some(content) => Operation::read(&content, 0, 4096),
                    None => Err(FsError::Changed),
                };
                for done in self.run(&person.client, batch_of(count, next)?)? {
                    let is_whole = matches!(&done, Done::Bytes(bytes) if bytes.len() == 4096);
                    if !is_whole {
                        return Err(format!("ring: read gave {done:?}"));
                    }
                    drop(std::hint::black_box(done));
                }
                Ok(())
            }
        }
    }
}

impl Running for InTurn {
    fn time(&mut self, count: u32) -> Result<Duration, String> {
        let start = Instant::now();
        let mut left = count;
        while left > 0 {
            let now = left.min(self.batch);
            let [person, _] = &self.turn;
            self.perform(person, now)?;
            self.turn.reverse();
            left = left.saturating_sub(now);
        }
        Ok(start.elapsed())
    }
}

/// `batch` operations a submission, two clients in turn.
pub(crate) fn ring(target: &Target, groups: u32, batch: u32) -> Result<Box<dyn Running>, String> {
    let (server, client) = ours::start(groups)?;
    let another = ours::logon(&server, ANOTHER, groups)?;
    let files = server.files(&FilesOptions::default()).map_err(told)?;
    let ring = files.ring().cloned().ok_or_else(|| files.report().to_string())?;
    let place = target.directory().ok_or("ring: no directory")?;
    let path = |name: &str| BeneathPath::parse(name.as_bytes()).map_err(told);
    let person = |client: ClientContext| -> Result<Person, String> {
        let blocking = files.blocking();
        let directory = blocking.root(&client, place).map_err(told)?.map_err(told)?;
        let look = |name: &str| -> Result<Inode, String> {
            blocking.look(&client, &directory, &path(name)?, Links::Stay).map_err(told)?.map_err(told)
        };
        let looked = look(Target::FILE)?;
        // A figure for a ring that does not act as the client would mean nothing.
        let is_first = client.identity().uid().raw() != ANOTHER;
        for (name, allowed) in [(Target::OF_CLIENT, is_first), (Target::OF_SERVER, false)] {
            let opened = blocking.open_file(&client, &directory, &path(name)?, OpenFor::Reading).map_err(told)?;
            if opened.is_ok() != allowed {
                return Err(format!("ring: {name} opened: {}, and not {allowed}", opened.is_ok()));
            }
        }
        Ok(Person { client, directory, looked })
    };
    let turn = [person(client)?, person(another)?];
    let name = Name::parse(Target::FILE.as_bytes()).map_err(told)?;
    let path = path(Target::FILE)?;
    Ok(Box::new(InTurn { ring, _files: files, turn, op: target.op(), path, name, batch }))
}
