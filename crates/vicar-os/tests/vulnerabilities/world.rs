//! A test's world: its files, made as root, and one road on which it acts. A test runs once for each road, in a process
//! of its own.

use crate::road::{Act, Job, ROADS, Road};
use crate::scratch::{Scratch, server};
use std::path::{Path, PathBuf};
use std::process::Command;
use vicar_os::sealed::{self, Purpose, Seal};
use vicar_os::switch::irrevocable;
use vicar_os::{ClientContext, LogonKind, Server, UnixIdentity};

/// Names the road in the process that runs a test on it.
const ROAD: &str = "VICAR_TEST_ROAD";

/// The road that is no server's: a forked process that is the client for good.
const IRREVOCABLE: &str = "irrevocable";

/// The same, sealed as a worker is that executes programs.
const SEALED: &str = "sealed";

pub(crate) struct World {
    pub(crate) road: &'static str,
    scratch: Scratch,
    acting: Option<(Server, Act)>,
}

/// A client on the road of its world.
pub(crate) struct Who {
    pub(crate) identity: UnixIdentity,
    pub(crate) context: Option<ClientContext>,
}

/// Runs `body` over every road, those of a process that is the client for good included. `set_up` makes the files as root.
pub(crate) fn every_road(set_up: impl Fn(&Scratch), body: impl Fn(&World)) {
    over(&[&[IRREVOCABLE, SEALED], &server_roads()[..]].concat(), set_up, body);
}

/// Runs `body` over every road of a server.
pub(crate) fn every_server_road(set_up: impl Fn(&Scratch), body: impl Fn(&World)) {
    over(&server_roads(), set_up, body);
}

/// Runs `body` over the roads on which a thread acts for one client after another.
pub(crate) fn every_sticky_road(set_up: impl Fn(&Scratch), body: impl Fn(&World)) {
    let sticky: Vec<&str> = server_roads().into_iter().filter(|name| *name != "scoped").collect();
    over(&sticky, set_up, body);
}

/// Runs `body` on one road.
pub(crate) fn one_road(name: &'static str, set_up: impl Fn(&Scratch), body: impl Fn(&World)) {
    over(&[name], set_up, body);
}

fn server_roads() -> Vec<&'static str> {
    ROADS.iter().map(|road| road.name).collect()
}

fn over(roads: &[&'static str], set_up: impl Fn(&Scratch), body: impl Fn(&World)) {
    if let Some(wanted) = std::env::var_os(ROAD) {
        let road = roads.iter().find(|road| wanted == ***road).unwrap();
        let scratch = Scratch::new();
        set_up(&scratch);
        let acting = ROADS.iter().find(|known| known.name == *road).map(|Road { start, .. }| {
            let server = server();
            let act = start(&server);
            (server, act)
        });
        return body(&World { road, scratch, acting });
    }
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
        let context = self.acting.as_ref().map(|(server, _)| server.logon(LogonKind::Network, &identity).unwrap());
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
        match (&self.acting, &who.context) {
            (Some((_, act)), Some(context)) => {
                let job: Job = Box::new(move || job(&dir));
                act(context, job)
            }
            _ => {
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
        self.scratch.path("")
    }

    pub(crate) fn is_irrevocable(&self) -> bool {
        self.acting.is_none()
    }

    /// The server; there is none on the irrevocable road.
    pub(crate) fn server(&self) -> &Server {
        &self.acting.as_ref().unwrap().0
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
