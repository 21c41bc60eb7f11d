//! Leaving the terminal behind before becoming somebody else.
//!
//! Whoever keeps the caller's controlling terminal can push characters into its input (TIOCSTI) and so type as the
//! caller.

use crate::sys::fork::{self, Side};
use core::fmt;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

/// Where this process stands towards a terminal.
#[derive(Debug)]
pub enum Terminal {
    /// There is none to leave.
    None,
    /// This process has left it.
    Left,
    /// This is a new process that has left it; the one it came from waits for it.
    LeftInChild(Parent),
    /// This is the old process: the new one has ended, with this exit code (128 and the signal's number if killed).
    Ended(i32),
}

/// The process that waits for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent(Pid);

impl Parent {
    /// Makes the kernel hang this process up (SIGHUP) when the waiting one ends. Call it after the last change of
    /// identity, which would undo it.
    ///
    /// # Errors
    /// - [`TerminalError`] when the kernel refused, or the waiting process has ended already.
    ///
    /// # Source
    /// prctl(2) PR_SET_PDEATHSIG.
    pub fn bind(self) -> Result<(), TerminalError> {
        rustix::process::set_parent_process_death_signal(Some(Signal::HUP)).map_err(failed("prctl"))?;
        if rustix::process::getppid() == Some(self.0) { Ok(()) } else { Err(failed("getppid")(Errno::SRCH)) }
    }
}

/// Why the terminal could not be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalError {
    /// The call that failed.
    pub operation: &'static str,
    /// What the kernel answered.
    pub errno: i32,
}

impl fmt::Display for TerminalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, std::io::Error::from_raw_os_error(self.errno))
    }
}

impl core::error::Error for TerminalError {}

fn failed(operation: &'static str) -> impl Fn(Errno) -> TerminalError {
    move |errno| TerminalError { operation, errno: errno.raw_os_error() }
}

/// Starts a session without a terminal, if there is a terminal to leave.
///
/// A process that leads a process group cannot do that. It is forked; the caller gets [`Terminal::Ended`] when the new
/// process has ended and should end with its exit code.
///
/// # Errors
/// - [`TerminalError`] when a call failed; with more than one thread, `fork` fails with `EBUSY`.
///
/// # Source
/// setsid(2), ioctl_tty(2) TIOCSTI.
pub fn leave_terminal() -> Result<Terminal, TerminalError> {
    if !has_terminal() {
        return Ok(Terminal::None);
    }
    match rustix::process::setsid() {
        Ok(_) => return Ok(Terminal::Left),
        Err(Errno::PERM) => {}
        Err(errno) => return Err(failed("setsid")(errno)),
    }
    let this = rustix::process::getpid();
    match fork::fork().map_err(failed("fork"))? {
        Side::Child => {
            rustix::process::setsid().map_err(failed("setsid"))?;
            Ok(Terminal::LeftInChild(Parent(this)))
        }
        Side::Parent { child } => wait_for(child).map(Terminal::Ended),
    }
}

/// Whether this process has a controlling terminal, or a terminal as standard input, output or error.
fn has_terminal() -> bool {
    let controlling = rustix::fs::open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
    controlling.is_ok()
        || rustix::termios::isatty(rustix::stdio::stdin())
        || rustix::termios::isatty(rustix::stdio::stdout())
        || rustix::termios::isatty(rustix::stdio::stderr())
}

fn wait_for(child: Pid) -> Result<i32, TerminalError> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let killed = status.terminating_signal().map(|signal| signal.saturating_add(128));
                if let Some(code) = status.exit_status().or(killed) {
                    return Ok(code);
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("waitpid")(errno)),
        }
    }
}
