//! What happened, one JSON line a request.
//!
//! [`AuditLog`] holds the file that was opened at start-up; [`Record`] is one line. While a line could not be written,
//! [`AuditLog::may_serve`] says no and the front answers 503; each refused request tries to write its own line, so that
//! service comes back by itself when the disk does.
//!
//! This module never opens a file after start-up and is never called by a thread that holds a client's identity.

pub mod clock;
mod record;

pub use record::{Ended, Record};

use core::fmt;
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether requests are served while the log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Necessity {
    /// No: they are refused with 503.
    Required,
    /// Yes: the administrator said so.
    Optional,
}

/// Why the log could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuditError {
    /// The system refused.
    Open {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: rustix::io::Errno,
    },
    /// It is not a regular file.
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else owns it or may write it.
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, error } => write!(f, "cannot open audit log {}: {error}", path.display()),
            Self::NotAFile { path } => write!(f, "audit log {} is not a regular file", path.display()),
            Self::NotOurs { path, uid, mode } => write!(
                f,
                "audit log {} belongs to uid {uid} with mode {mode:04o}; it must be this user's own and writable by nobody else",
                path.display()
            ),
        }
    }
}

impl core::error::Error for AuditError {}

/// The file that every request leaves a line in.
pub struct AuditLog {
    sink: Mutex<Sink>,
    failing: AtomicBool,
    necessity: Necessity,
}

struct Sink {
    out: Box<dyn Write + Send>,
    /// Whether the last line was written in part only, so that the next one starts with a line feed.
    torn: bool,
}

impl AuditLog {
    /// Opens the log for appending; a new file gets mode 0600.
    ///
    /// # Errors
    /// - [`AuditError`] when it cannot be opened, is not a regular file, or is not this user's own.
    ///
    /// # Identity
    /// Opens as the server, at start-up.
    pub fn open(path: &Path, necessity: Necessity) -> Result<Self, AuditError> {
        let flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let failed = |error| AuditError::Open { path: path.to_owned(), error };
        let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(AuditError::NotAFile { path: path.to_owned() });
        }
        let mode = stat.st_mode & 0o7777;
        if stat.st_uid != rustix::process::geteuid().as_raw() || mode & 0o022 != 0 {
            return Err(AuditError::NotOurs { path: path.to_owned(), uid: stat.st_uid, mode });
        }
        Ok(Self::to(File::from(fd), necessity))
    }

    /// Writes the log to something that is open already.
    #[must_use]
    pub fn to(out: impl Write + Send + 'static, necessity: Necessity) -> Self {
        Self { sink: Mutex::new(Sink { out: Box::new(out), torn: false }), failing: AtomicBool::new(false), necessity }
    }

    /// Whether a request may be served: the last line was written, or the log is optional.
    #[must_use]
    pub fn may_serve(&self) -> bool {
        self.necessity == Necessity::Optional || !self.failing.load(Ordering::Acquire)
    }

    /// Appends one record; a failure is remembered for [`Self::may_serve`] and told on standard error once.
    pub fn write(&self, record: &Record) {
        let line = record.to_line();
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let result = sink.append(line.as_bytes());
        drop(sink);
        match result {
            Ok(()) => self.failing.store(false, Ordering::Release),
            Err(error) => {
                if !self.failing.swap(true, Ordering::AcqRel) {
                    // Standard error may be gone as well; there is nobody else to tell.
                    let _ = writeln!(std::io::stderr(), "vicar: cannot write the audit log: {error}");
                }
            }
        }
    }
}

impl Sink {
    fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.put(b"\n")?;
        }
        self.put(line)?;
        self.out.flush()
    }

    /// Writes all of it; what is written in part leaves the line torn, what is not written at all leaves it as it was.
    fn put(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    self.torn = !bytes.is_empty();
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("necessity", &self.necessity)
            .field("failing", &self.failing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
