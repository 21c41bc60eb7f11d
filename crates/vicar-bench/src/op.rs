//! The operation that is timed, and the files it works on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

/// A file-system operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Op {
    /// openat, close.
    OpenClose,
    /// openat, fstat, close: what a server does that must know what it opened.
    OpenStat,
    /// statx.
    Statx,
    /// pread of 4 KiB of an open file, which the kernel does not check again.
    Read,
    /// openat, pread of 4 KiB, close.
    OpenRead,
}

impl Op {
    /// The name in reports and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenClose => "open_close",
            Self::OpenStat => "open_stat",
            Self::Statx => "statx",
            Self::Read => "read",
            Self::OpenRead => "open_read",
        }
    }
}

/// An operation on one prepared directory.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    op: Op,
    file: PathBuf,
    of_client: PathBuf,
    of_server: PathBuf,
    /// The file that is timed, for what needs it open.
    open: Option<Arc<OwnedFd>>,
}

impl Target {
    /// Name of the file that is timed: the client's, readable by everyone, so that every method walks the same path.
    pub(crate) const FILE: &'static str = "file";
    /// Name of a file that only the client may open.
    pub(crate) const OF_CLIENT: &'static str = "of-client";
    /// Name of a file that only the server may open.
    pub(crate) const OF_SERVER: &'static str = "of-server";

    /// Bytes of each file.
    pub(crate) const LEN: usize = 4096;

    pub(crate) fn new(op: Op, scratch: &Path) -> Result<Self, String> {
        let file = scratch.join(Self::FILE);
        let open = if op == Op::Read { Some(Arc::new(open(&file)?)) } else { None };
        let (of_client, of_server) = (scratch.join(Self::OF_CLIENT), scratch.join(Self::OF_SERVER));
        Ok(Self { op, file, of_client, of_server, open })
    }

    /// Which operation it is.
    pub(crate) const fn op(&self) -> Op {
        self.op
    }

    /// The directory of the files.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.file.parent()
    }

    /// Does the operation once.
    pub(crate) fn run(&self) -> Result<(), String> {
        match self.op {
            Op::OpenClose => open(&self.file).map(drop),
            Op::Statx => rustix::fs::statx(rustix::fs::CWD, &self.file, AtFlags::empty(), StatxFlags::BASIC_STATS)
                .map(|seen| {
                    std::hint::black_box(seen);
                })
                .map_err(|errno| format!("statx: {errno}")),
            Op::OpenStat => {
                let seen = rustix::fs::fstat(open(&self.file)?).map_err(|errno| format!("fstat: {errno}"))?;
                std::hint::black_box(seen);
                Ok(())
            }
            Op::Read => match &self.open {
                Some(file) => read_page(file),
                None => Err("nothing is open".to_owned()),
            },
            Op::OpenRead => read_page(&open(&self.file)?),
        }
    }

    /// Checks that the kernel takes the calling thread for the client: a figure for a method that does not act as the
    /// client would mean nothing.
    pub(crate) fn must_be_client(&self) -> Result<(), String> {
        open(&self.of_client).map_err(|why| format!("acting as the client, the client's file: {why}"))?;
        match open(&self.of_server) {
            Ok(_) => Err("acting as the client, the server's own file opened".to_owned()),
            Err(_) => Ok(()),
        }
    }

    /// Checks that the kernel takes the calling thread for the server again.
    pub(crate) fn must_be_server(&self) -> Result<(), String> {
        open(&self.of_server).map(drop).map_err(|why| format!("as the server, its own file: {why}"))
    }
}

/// Reads all of a file and throws it away.
pub(crate) fn read_page(file: impl AsFd) -> Result<(), String> {
    let mut page = [0_u8; Target::LEN];
    let read = rustix::io::pread(file, &mut page, 0).map_err(|errno| format!("pread: {errno}"))?;
    std::hint::black_box(page);
    if read == page.len() { Ok(()) } else { Err(format!("pread returned {read} bytes")) }
}

fn open(path: &Path) -> Result<OwnedFd, String> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| format!("open {}: {errno}", path.display()))
}
