//! The way of `vicar-os` by io_uring, through its public interface alone.
//!
//! Two clients take turns, a batch each: no thread changes its identity, so turns cost nothing that one client would not.
//! A path is one name in a directory that the client holds, where the plain call walks from `/`. What is opened is always
//! compared with what was looked at before, by one fstat each; a batch closes what the batch before it opened.

use std::time::{Duration, Instant};

use vicar_os::ClientContext;
use vicar_os::fs::{BeneathPath, Links, Name};
use vicar_os::ring::{Batch, Content, Done, Files, FilesOptions, Inode, OpenFor, Operation, Ring};

use crate::method::Running;
use crate::op::{Op, Target};
use crate::ours;
use crate::scratch::ANOTHER;

struct Person {
    client: ClientContext,
    directory: Inode,
    looked: Inode,
    content: Content,
}

struct InTurn {
    ring: Ring,
    /// Holds the client threads.
    _files: Files,
    turn: [Person; 2],
    op: Op,
    name: Name,
    batch: u32,
    /// What the last batch opened; the next one closes it.
    open: Vec<Content>,
}

fn told(error: impl std::fmt::Display) -> String {
    format!("ring: {error}")
}

fn content_of(done: Done) -> Result<Content, String> {
    if let Done::Content(content) = done { Ok(content) } else { Err(format!("ring: open gave {done:?}")) }
}

fn must_be_whole(done: &Done) -> Result<(), String> {
    let is_whole = matches!(done, Done::Bytes(bytes) if bytes.len() == Target::LEN);
    if is_whole { Ok(()) } else { Err(format!("ring: read gave {done:?}")) }
}

impl InTurn {
    fn one(&self, operation: Operation) -> Result<Done, String> {
        let [Person { client, .. }, _] = &self.turn;
        self.ring.run_one(client, operation).map_err(told)?.map_err(told)
    }

    /// Runs a batch, and gives each answer to `each`.
    fn many(&self, batch: Batch, mut each: impl FnMut(Done) -> Result<(), String>) -> Result<(), String> {
        let [Person { client, .. }, _] = &self.turn;
        for result in self.ring.run_blocking(client, batch).map_err(told)? {
            each(result.map_err(told)?)?;
        }
        Ok(())
    }

    fn opening(&self) -> Result<Operation, String> {
        let [Person { directory, looked, .. }, _] = &self.turn;
        Operation::open_name(directory, &self.name, looked, OpenFor::Reading).map_err(told)
    }

    /// Opens `count` times, and closes what was opened before in the same submission.
    fn open(&mut self, count: u32) -> Result<(), String> {
        let mut batch = Batch::with_capacity(self.open.len().saturating_mul(2));
        for _ in 0..count {
            batch.push(self.opening()?);
        }
        for content in self.open.drain(..) {
            batch.push(Operation::close(content));
        }
        let mut opened = std::mem::take(&mut self.open);
        self.many(batch, |done| {
            if !matches!(done, Done::Nothing) {
                opened.push(content_of(done)?);
            }
            Ok(())
        })?;
        self.open = opened;
        Ok(())
    }

    fn perform(&mut self, count: u32) -> Result<(), String> {
        match (self.op, count) {
            // By itself it is dearer to have it closed than to close it.
            (Op::OpenClose | Op::OpenStat, 1) => content_of(self.one(self.opening()?)?).map(drop),
            // What an open file is, is asked for in any case: it must be the one that was looked at.
            (Op::OpenClose | Op::OpenStat, count) => self.open(count),
            (Op::Statx, count) => {
                let [Person { directory, .. }, _] = &self.turn;
                let mut batch = Batch::with_capacity(usize::try_from(count).unwrap_or(0));
                for _ in 0..count {
                    batch.push(Operation::stat(directory, &self.name));
                }
                self.many(batch, |_| Ok(()))
            }
            (Op::Read, count) => {
                let [Person { content, .. }, _] = &self.turn;
                let read = || Operation::read(content, 0, Target::LEN).map_err(told);
                if count == 1 {
                    return must_be_whole(&self.one(read()?)?);
                }
                let mut batch = Batch::with_capacity(usize::try_from(count).unwrap_or(0));
                for _ in 0..count {
                    batch.push(read()?);
                }
                self.many(batch, |done| must_be_whole(&std::hint::black_box(done)))
            }
            (Op::OpenRead, count) => {
                self.open(count)?;
                let mut batch = Batch::with_capacity(self.open.len());
                for content in &self.open {
                    batch.push(Operation::read(content, 0, Target::LEN).map_err(told)?);
                }
                self.many(batch, |done| must_be_whole(&std::hint::black_box(done)))
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
            self.perform(now)?;
            self.turn.reverse();
            left = left.saturating_sub(now);
        }
        self.open.clear();
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
        let content = blocking.reopen(&client, &looked, OpenFor::Reading).map_err(told)?.map_err(told)?;
        Ok(Person { client, directory, looked, content })
    };
    let turn = [person(client)?, person(another)?];
    let name = Name::parse(Target::FILE.as_bytes()).map_err(told)?;
    Ok(Box::new(InTurn { ring, _files: files, turn, op: target.op(), name, batch, open: Vec::new() }))
}
