//! A server with every way of getting files, and people.

use crate::scratch::{self, Scratch};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use vicar_os::fs::{BeneathPath, FsError, Name};
use vicar_os::ring::{Files, FilesOptions, Inline, Inode, RingOptions, UseRing};
use vicar_os::{ClientContext, ClientThreadOptions, Server};

/// One way of doing files. A directory of this name is there for each.
pub(crate) struct Road {
    pub(crate) name: &'static str,
    pub(crate) files: Files,
    pub(crate) waits: bool,
}

pub(crate) struct Stage {
    pub(crate) scratch: Scratch,
    pub(crate) server: Server,
}

/// What a kernel of 5.10 lacks of what is submitted.
pub(crate) const LACKING: [&str; 6] = ["mkdirat", "symlinkat", "linkat", "getxattr", "setxattr", "socket"];

pub(crate) const ROADS: [&str; 6] = ["waiting", "future", "workers", "small", "lacking", "threads"];

/// Calls a method of a road's files the way that road does, and unwraps what was not done at all.
macro_rules! ask {
    ($road:expr, $method:ident, $client:expr $(, $argument:expr)*) => {
        if $road.waits {
            $road.files.blocking().$method($client $(, $argument)*).unwrap()
        } else {
            crate::stage::block_on($road.files.$method($client $(, $argument)*)).unwrap()
        }
    };
}
pub(crate) use ask;

impl Stage {
    /// Makes the files as root, then the server; `None`, aloud, where the kernel has no ring to test.
    pub(crate) fn new(set_up: impl Fn(&Scratch, &str)) -> Option<Self> {
        if let Err(why) = vicar_os::ring::survey() {
            println!("skipped: {why}");
            return None;
        }
        let scratch = Scratch::new();
        for name in ROADS {
            directory(&scratch, name, 0o1777, 0, 0);
            set_up(&scratch, name);
        }
        let server = scratch::server();
        Some(Self { scratch, server })
    }

    /// Runs `body` on every road, each with threads and a ring of its own.
    pub(crate) fn every_road(&self, body: impl Fn(&Self, &Road)) {
        for name in ROADS {
            let road = self.road(name);
            body(self, &road);
        }
    }

    pub(crate) fn road(&self, name: &'static str) -> Road {
        let mut ring = RingOptions::default();
        match name {
            "workers" => ring.inline = Inline::Never,
            "small" => ring = RingOptions { entries: 2, identities: 2, ..ring },
            "lacking" => ring.without = LACKING.to_vec(),
            _ => {}
        }
        let threads = ClientThreadOptions { threads: 2, ..ClientThreadOptions::default() };
        let use_ring = if name == "threads" { UseRing::Never } else { UseRing::IfAvailable };
        let files = self.server.files(&FilesOptions { use_ring, ring, threads }).unwrap();
        assert_eq!(files.ring().is_some(), name != "threads", "{}", files.report());
        Road { name, files, waits: name != "future" }
    }

    pub(crate) fn client(&self, uid: u32, groups: &[u32]) -> ClientContext {
        scratch::client(&self.server, uid, groups)
    }

    /// The directory of a road, as the client reached it.
    pub(crate) fn home(&self, road: &Road, client: &ClientContext) -> Inode {
        ask!(road, root, client, &self.scratch.path(road.name)).unwrap()
    }
}

pub(crate) fn directory(scratch: &Scratch, name: &str, mode: u32, uid: u32, gid: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = scratch.path(name);
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn path(text: &str) -> BeneathPath {
    BeneathPath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

/// `ok` or the number of the error.
pub(crate) fn word<T>(result: &Result<T, FsError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(FsError::Os { errno, .. }) => match errno.raw_os_error() {
            libc::EPERM => "EPERM".to_owned(),
            libc::EACCES => "EACCES".to_owned(),
            other => format!("errno {other}"),
        },
        Err(other) => format!("{other:?}"),
    }
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future of no particular runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
