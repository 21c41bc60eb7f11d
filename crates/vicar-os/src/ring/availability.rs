//! Whether this system lets a server use io_uring, and what for.

use crate::sys::ring::{NoRing, Queue};
use crate::sys::ring_call::Call;
use core::fmt;
use rustix::io::Errno;

/// Why there is no ring. The client threads do everything then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The options said so.
    TurnedOff,
    /// This process cannot change identities, so there is none to keep.
    Powerless,
    /// io_uring_setup(2) was refused.
    Setup {
        /// What the kernel answered.
        errno: i32,
    },
    /// The kernel does not say which operations it knows.
    NoProbe {
        /// What the kernel answered.
        errno: i32,
    },
    /// The kernel does not keep identities.
    NoPersonality {
        /// What the kernel answered.
        errno: i32,
    },
    /// The kernel made a polling thread although none was asked for; its identity would be the server's.
    Polled,
    /// A thread or a descriptor that the ring needs could not be made.
    Resources {
        /// What the system answered.
        errno: i32,
    },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |errno: &i32| std::io::Error::from_raw_os_error(*errno);
        match self {
            Self::TurnedOff => f.write_str("turned off"),
            Self::Powerless => f.write_str("this process cannot change identities"),
            Self::Setup { errno: libc::ENOSYS } => f.write_str("the kernel has no io_uring"),
            Self::Setup { errno: errno @ (libc::EPERM | libc::EACCES) } => {
                write!(f, "io_uring_setup: {}; a filter or the sysctl kernel.io_uring_disabled forbids it", told(errno))
            }
            Self::Setup { errno } => write!(f, "io_uring_setup: {}", told(errno)),
            Self::NoProbe { errno } => write!(f, "asking for the known operations: {}", told(errno)),
            Self::NoPersonality { errno } => write!(f, "keeping an identity: {}", told(errno)),
            Self::Polled => f.write_str("the kernel made a polling thread"),
            Self::Resources { errno } => write!(f, "making the ring's threads: {}", told(errno)),
        }
    }
}

impl core::error::Error for Unavailable {}

impl Unavailable {
    pub(super) const fn of(error: NoRing) -> Self {
        match error {
            NoRing::Setup(errno) => Self::Setup { errno: errno.raw_os_error() },
            NoRing::Probe(errno) => Self::NoProbe { errno: errno.raw_os_error() },
            NoRing::Polled => Self::Polled,
        }
    }
}

/// The operations that a ring does; the others are done by client threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// A bit for each code; there are fewer than 64.
    codes: u64,
}

const fn bit(code: u8) -> u64 {
    match 1_u64.checked_shl(code as u32) {
        Some(bit) => bit,
        None => 0,
    }
}

impl Known {
    /// Asks the kernel; leaves out what `without` names.
    pub(super) fn ask(queue: &Queue, without: &[&str]) -> Result<Self, NoRing> {
        let wanted = Call::CODES.iter().filter(|(_, name)| !without.contains(name)).map(|(code, _)| *code);
        Ok(Self { codes: queue.known(wanted)?.into_iter().fold(0, |codes, code| codes | bit(code)) })
    }

    pub(super) const fn contains(&self, code: u8) -> bool {
        self.codes & bit(code) != 0
    }

    /// Names of the system calls that are submitted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        Call::CODES.iter().filter(|(code, _)| self.contains(*code)).map(|(_, name)| *name)
    }

    /// Names of the system calls that could be submitted to a newer kernel.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        Call::CODES.iter().filter(|(code, _)| !self.contains(*code)).map(|(_, name)| *name)
    }
}

/// Finds out what this system allows, by trying: makes a ring, asks what it knows, keeps the caller's own identity in it
/// and forgets it.
///
/// # Errors
/// - [`Unavailable`]; nothing is left behind.
///
/// # Cost
/// Six system calls and a few pages of memory.
///
/// # Source
/// io_uring_setup(2), io_uring_register(2).
pub fn survey() -> Result<Known, Unavailable> {
    let queue = Queue::open(4).map_err(Unavailable::of)?;
    let known = Known::ask(&queue, &[]).map_err(Unavailable::of)?;
    let refused = |errno: Errno| Unavailable::NoPersonality { errno: errno.raw_os_error() };
    let channel = queue.channel().map_err(|errno| Unavailable::Resources { errno: errno.raw_os_error() })?;
    let id = channel.register_personality().map_err(refused)?;
    channel.unregister_personality(id).map_err(refused)?;
    Ok(known)
}
