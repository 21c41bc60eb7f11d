//! A test's world: its files, made as root, and one road on which it acts. A test runs once for each road, in a process
//! of its own.

use crate::replay::{self, Replay, Workers};
use crate::road::{Act, Job, ROADS, Road};
use crate::scratch::{Scratch, server};
use crate::table;
use std::path::{Path, PathBuf};
use std::process::Command;
use vicar_os::sealed::{self, Purpose, Seal};
use vicar_os::switch::irrevocable;
use vicar_os::{ClientContext, LogonKind, Server, UnixIdentity};

/// Names the road in the process that runs a test on it.
const ROAD: &str = "VICAR_TEST_ROAD";

/// The road that is no server's: a forked process that is the client for good.
pub(crate) const IRREVOCABLE: &str = "irrevocable";

/// The same, sealed as a worker is that executes programs.
pub(crate) const SEALED: &str = "sealed";

/// A process that a server's sealer made for the client.
pub(crate) const WORKER: &str = "sealed worker";

pub(crate) struct World {
    pub(crate) road: &'static str,
    dir: PathBuf,
    /// Removed at the end by whoever made it.
    _scratch: Option<Scratch>,
    how: How,
}

/// How jobs are done.
enum How {
    /// Each by a process that is the client for good, made by this one.
    ByItself,
    OnARoad(Server, Act),
    ByWorkers(Workers),
    /// This is such a worker, which goes through the test to find out what its job is.
    Replayed(Replay),
}

/// A client on the road of its world.
pub(crate) struct Who {
    pub(crate) identity: UnixIdentity,
    pub(crate) context: Option<ClientContext>,
}

/// Runs `body` over every road, those of a process that is the client for good included. `set_up` makes the files as root.
pub(crate) fn every_road(set_up: impl Fn(&Scratch), body: impl Fn(&World) + 'static) {
    over(&[&[IRREVOCABLE, SEALED, WORKER], &server_roads()[..]].concat(), set_up, body);
}

/// Runs `body` over every road of a server.
pub(crate) fn every_server_road(set_up: impl Fn(&Scratch), body: impl Fn(&World) + 'static) {
    over(&server_roads(), set_up, body);
}

/// Runs `body` over the roads on which a thread acts for one client after another.
pub(crate) fn every_sticky_road(set_up: impl Fn(&Scratch), body: impl Fn(&World) + 'static) {
    let sticky: Vec<&str> = server_roads().into_iter().filter(|name| *name != "scoped").collect();
    over(&sticky, set_up, body);
}

/// Runs `body` over the roads on which something of a client's is kept from one job to the next: a thread, or a worker.
pub(crate) fn every_keeping_road(set_up: impl Fn(&Scratch), body: impl Fn(&World) + 'static) {
    let keeping: Vec<&str> = server_roads().into_iter().filter(|name| *name != "scoped").chain([WORKER]).collect();
    over(&keeping, set_up, body);
}

/// Runs `body` over the roads on which a process is the client for good.
pub(crate) fn every_dropped_road(set_up: impl Fn(&Scratch), body: impl Fn(&World) + 'static) {
    over(&[IRREVOCABLE, SEALED, WORKER], set_up, body);
}

pub(crate) fn server_roads() -> Vec<&'static str> {
    ROADS.iter().map(|road| road.name).collect()
}

fn over(roads: &[&'static str], set_up: impl Fn(&Scratch), body: impl Fn(&World) + 'static) {
    if let Some(wanted) = std::env::var_os(ROAD) {
        let road = roads.iter().find(|road| wanted == ***road).unwrap();
        let scratch = Scratch::new();
        set_up(&scratch);
        let dir = scratch.path("");
        let how = if let Some(Road { start, .. }) = ROADS.iter().find(|known| known.name == *road) {
            let server = server();
            let act = start(&server);
            How::OnARoad(server, act)
        } else if *road == WORKER {
            // Kept where a worker, which is a fork of this process, finds it.
            let body = replay::keep(body);
            return body(&World { road, how: How::ByWorkers(Workers::start(&dir)), dir, _scratch: Some(scratch) });
        } else {
            How::ByItself
        };
        return body(&World { road, dir, _scratch: Some(scratch), how });
    }
    table::says(roads);
    for road in roads {
        let output = Command::new(std::env::current_exe().unwrap()).env(ROAD, road).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "on the road {road}: {}\n{text}", output.status);
        text.lines().filter(|line| line.starts_with("skipped: ")).for_each(|line| eprintln!("{line}"));
    }
}

impl World {
    /// Logs a client on: user and group are the same number.
    pub(crate) fn client(&self, uid: u32, groups: &[u32]) -> Who {
        self.client_of(crate::scratch::identity(uid, groups))
    }

    pub(crate) fn client_of(&self, identity: UnixIdentity) -> Who {
        let server = match &self.how {
            How::OnARoad(server, _) | How::ByWorkers(Workers { server, .. }) => Some(server),
            How::ByItself | How::Replayed(_) => None,
        };
        let context = server.map(|server| server.logon(LogonKind::Network, &identity).unwrap());
        Who { identity, context }
    }

    /// Does `job` as the client, in the directory of the test, and returns what it says.
    pub(crate) fn act(&self, who: &Who, job: impl FnOnce(&Path) -> String + Send + 'static) -> String {
        self.try_act(who, job).unwrap()
    }

    pub(crate) fn try_act(
        &self,
        who: &Who,
        job: impl FnOnce(&Path) -> String + Send + 'static,
    ) -> Result<String, String> {
        let dir = self.dir();
        match &self.how {
            How::OnARoad(_, act) => {
                let job: Job = Box::new(move || job(&dir));
                act(who.context.as_ref().unwrap(), job)
            }
            How::ByWorkers(workers) => Ok(workers.perform(who.context.as_ref().unwrap())),
            How::Replayed(replay) => Ok(replay.perform(|| job(&dir))),
            How::ByItself => {
                let work = || {
                    if self.road == SEALED {
                        sealed::seal(&who.identity, &Seal::new(Purpose::Execute)).unwrap();
                    }
                    job(&dir).into_bytes()
                };
                irrevocable::ask(&who.identity, work)
                    .map(|bytes| String::from_utf8(bytes).unwrap())
                    .map_err(|error| error.to_string())
            }
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    /// Whether jobs are done by processes that are the client for good.
    pub(crate) fn is_irrevocable(&self) -> bool {
        !matches!(self.how, How::OnARoad(..))
    }

    /// The same in a worker, which has answers instead of workers.
    pub(crate) fn replayed(dir: PathBuf, replay: Replay) -> Self {
        Self { road: WORKER, dir, _scratch: None, how: How::Replayed(replay) }
    }

    /// The server of a road of a server's threads.
    pub(crate) fn server(&self) -> &Server {
        let How::OnARoad(server, _) = &self.how else { panic!("{} has no server", self.road) };
        server
    }
}

/// The value of a line of the calling thread's status file, such as `CapEff`.
pub(crate) fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `ok` or the name of the error.
pub(crate) fn word<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => errno_word(error.raw_os_error()),
    }
}

/// `ok` or the name of the error, of a raw call.
pub(crate) fn raw_word<T>(result: Result<T, rustix::io::Errno>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => errno_word(Some(error.raw_os_error())),
    }
}

fn errno_word(raw: Option<i32>) -> String {
    match raw {
        Some(libc::EPERM) => "EPERM".to_owned(),
        Some(libc::EACCES) => "EACCES".to_owned(),
        other => format!("{other:?}"),
    }
}
