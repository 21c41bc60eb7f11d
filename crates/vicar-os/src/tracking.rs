//! Dynamic tracking: what the client's process is by now, and never more than it was.
//!
//! A static context is what the kernel recorded when the client connected. A dynamic one also holds a descriptor of the
//! client's process, and [`ClientContext::refresh`] looks at what that process is now:
//!
//! | found | what it does |
//! |---|---|
//! | the same user and groups | nothing |
//! | another effective user | the context is stopped for good ([`Stop::UserChanged`]); so it is for a process that acts as somebody else at that moment |
//! | it has ended | the context is stopped for good ([`Stop::Ended`]) |
//! | it has left groups | the context is lowered: what they granted is gone, what is denied to them stays denied ([`crate::restricted`]) |
//! | it has left the primary group of the connection | the context is stopped for good ([`Stop::PrimaryGroupLeft`]) |
//! | it has got groups | refused, or passed over, by [`MoreGroups`]; in no case does the client get them |
//! | it is back in groups that it had left | nothing: what was lowered stays so |
//! | it has executed another program as the same user | nothing |
//!
//! The identity looked at is that of the process's first thread. The process is the one that connected: since Linux 6.5 the
//! socket says so (`SO_PEERPIDFD`). Before, the process that has the recorded number is opened when the connection is
//! captured, and taken only if it has exactly the recorded user and groups; its starting time is compared at every look. If
//! the number went to another process in between, that was one of the same user and groups, and nothing can be gained by
//! it: a look never raises.

use crate::client::ClientContext;
use crate::sidmap;
use crate::source::process::{self, LookError};
use crate::{KernelGid, KernelUid, UnixIdentity};
use core::fmt;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};
use vicar_kernel::TokenRef;
use vicar_nt::token::GroupChange;
use vicar_nt::{NtStatus, Sid};

/// What to do about groups that a client has got since it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MoreGroups {
    /// A refresh is an error as long as the client has them.
    #[default]
    Refuse,
    /// The client goes on without them.
    Ignore,
}

/// What a refresh found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Tracked {
    /// The client is what it was at the last look.
    Unchanged,
    /// The client has less than it had.
    Lowered,
}

/// Why a context will never be acted on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The client's process has ended.
    Ended,
    /// The client's process has become another user.
    UserChanged {
        /// Who it was.
        was: KernelUid,
        /// Who it is.
        is: KernelUid,
    },
    /// The client's process has left the group that its files belong to.
    PrimaryGroupLeft(KernelGid),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the client's process has ended"),
            Self::UserChanged { was, is } => write!(f, "the client's process was user {was} and is user {is}"),
            Self::PrimaryGroupLeft(gid) => write!(f, "the client's process has left its primary group {gid}"),
        }
    }
}

/// Why a refresh did not say that the client is what it was, or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshError {
    /// The context is static, or there is no descriptor of the client's process.
    NotTracked,
    /// The context was stopped, now or before; nobody acts on it again.
    Stopped(Stop),
    /// The client has got a group; see [`MoreGroups`]. The context is what it was.
    MoreGroups(KernelGid),
    /// The process could not be looked at. The context is what it was.
    Look(LookError),
    /// The token could not be lowered. The context was what it is.
    Refused(NtStatus),
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTracked => f.write_str("the client's process is not tracked"),
            Self::Stopped(stop) => stop.fmt(f),
            Self::MoreGroups(gid) => write!(f, "the client's process has got group {gid}"),
            Self::Look(error) => error.fmt(f),
            Self::Refused(status) => write!(f, "lowering the client's token: {status}"),
        }
    }
}

impl core::error::Error for RefreshError {}

/// The process of a client, held since it connected.
#[derive(Debug)]
pub(crate) struct Process {
    descriptor: OwnedFd,
    pid: i32,
    started: u64,
    captured: UnixIdentity,
    more_groups: MoreGroups,
    stopped: OnceLock<Stop>,
    /// One look at a time.
    looking: Mutex<()>,
}

impl Process {
    /// Takes charge of a process that was captured as `captured`.
    pub(crate) fn track(
        descriptor: OwnedFd,
        pid: i32,
        captured: &UnixIdentity,
        more_groups: MoreGroups,
    ) -> Result<Self, RefreshError> {
        let seen = process::look(descriptor.as_fd(), pid).map_err(|error| match error {
            LookError::Ended => RefreshError::Stopped(Stop::Ended),
            LookError::Failed { .. } | LookError::Malformed => RefreshError::Look(error),
        })?;
        let (stopped, looking) = (OnceLock::new(), Mutex::new(()));
        let captured = captured.clone();
        Ok(Self { descriptor, pid, started: seen.started, captured, more_groups, stopped, looking })
    }

    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stopped.get().copied()
    }

    fn stop(&self, stop: Stop) -> RefreshError {
        RefreshError::Stopped(*self.stopped.get_or_init(|| stop))
    }

    pub(crate) fn refresh(&self, token: &TokenRef) -> Result<Tracked, RefreshError> {
        let _one_at_a_time = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = self.stopped() {
            return Err(RefreshError::Stopped(stop));
        }
        let seen = match process::look(self.descriptor.as_fd(), self.pid) {
            Ok(seen) if seen.started == self.started => seen.identity,
            Ok(_) | Err(LookError::Ended) => return Err(self.stop(Stop::Ended)),
            Err(error) => return Err(RefreshError::Look(error)),
        };
        let captured = &self.captured;
        if seen.uid() != captured.uid() {
            return Err(self.stop(Stop::UserChanged { was: captured.uid(), is: seen.uid() }));
        }
        // Both lists are sorted and hold the primary group.
        let is_in = |gid: &KernelGid, who: &UnixIdentity| who.groups().binary_search(gid).is_ok();
        if !is_in(&captured.gid(), &seen) {
            return Err(self.stop(Stop::PrimaryGroupLeft(captured.gid())));
        }
        let left: Vec<(Sid, GroupChange)> = captured
            .groups()
            .iter()
            .filter(|gid| !is_in(gid, &seen))
            .map(|gid| (sidmap::group_sid(*gid), GroupChange::Disable))
            .collect();
        // Lowered first: what was left is gone whatever is said about the rest.
        let adjusted = token.adjust_groups(&left).map_err(RefreshError::Refused)?;
        let more = seen.groups().iter().find(|gid| !is_in(gid, captured));
        match (more, self.more_groups) {
            (Some(gid), MoreGroups::Refuse) => Err(RefreshError::MoreGroups(*gid)),
            (Some(_), MoreGroups::Ignore) | (None, MoreGroups::Refuse | MoreGroups::Ignore) => {
                Ok(if adjusted.changed { Tracked::Lowered } else { Tracked::Unchanged })
            }
        }
    }
}

impl ClientContext {
    /// Looks at what the client's process is now, and lowers or stops this context (and all its clones) accordingly.
    ///
    /// Threads that hold the client's identity let go of it at their next entry. What already runs as the client runs on.
    ///
    /// # Errors
    /// - [`RefreshError`]; the request for which the look was made is to be refused.
    ///
    /// # Identity
    /// Changes none, and needs no right but reading `/proc/PID/status` (a `/proc` mounted with `hidepid` has none to read).
    ///
    /// # Cost
    /// Seven system calls.
    ///
    /// # NT
    /// SECURITY_DYNAMIC_TRACKING, at the moments that the server chooses.
    pub fn refresh(&self) -> Result<Tracked, RefreshError> {
        self.process().ok_or(RefreshError::NotTracked)?.refresh(self.kernel().token())
    }
}
