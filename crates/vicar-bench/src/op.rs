//! The operation that is timed, and the files it works on.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

/// A file-system operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Op {
    /// openat, close.
    OpenClose,
    /// statx.
    Statx,
    /// openat, pread of 4 KiB, close.
    OpenRead,
}

impl Op {
    /// The name in reports and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenClose => "open_close",
            Self::Statx => "statx",
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
}

impl Target {
    /// Name of the file that is timed: the client's, readable by everyone, so that every method walks the same path.
    pub(crate) const FILE: &'static str = "file";
    /// Name of a file that only the client may open.
    pub(crate) const OF_CLIENT: &'static str = "of-client";
    /// Name of a file that only the server may open.
    pub(crate) const OF_SERVER: &'static str = "of-server";

    pub(crate) fn new(op: Op, scratch: &Path) -> Self {
        Self {
            op,
            file: scratch.join(Self::FILE),
            of_client: scratch.join(Self::OF_CLIENT),
            of_server: scratch.join(Self::OF_SERVER),
        }
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
            Op::OpenRead => {
                let file = open(&self.file)?;
                let mut page = [0_u8; 4096];
                let read = rustix::io::pread(&file, &mut page, 0).map_err(|errno| format!("pread: {errno}"))?;
                std::hint::black_box(page);
                if read == page.len() { Ok(()) } else { Err(format!("pread returned {read} bytes")) }
            }
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

fn open(path: &Path) -> Result<rustix::fd::OwnedFd, String> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| format!("open {}: {errno}", path.display()))
}
