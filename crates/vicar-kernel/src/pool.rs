//! Memory made for a caller, charged before it is made.
//!
//! NT allocates tokens and impersonation records from a limited pool, and callers must survive its exhaustion. Rust's
//! allocator does not fail, so a [`Pool`] counts instead: every object made on behalf of a caller is charged first, the
//! charge is given back with the object, and a test may make the n-th charge fail. It never allocates anything itself.

use std::fmt;
use std::sync::{Arc, PoisonError};

use vicar_nt::NtStatus;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a charge is for; decides the status of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A token object with its variable part.
    Token,
    /// The impersonation record of a thread.
    ThreadRecord,
    /// A logon session.
    LogonSession,
    /// A client context kept by a transport.
    ClientContext,
    /// An entry of a handle table.
    Handle,
    /// A message that waits in a pipe.
    PipeMessage,
    /// A request that waits for a worker.
    WorkItem,
    /// The registration of a termination routine.
    Routine,
    /// Bytes that a routine returns or a driver asks for.
    Buffer,
}

impl Purpose {
    const fn exhausted(self) -> NtStatus {
        match self {
            Self::Token
            | Self::LogonSession
            | Self::ClientContext
            | Self::Handle
            | Self::PipeMessage
            | Self::WorkItem
            | Self::Routine
            | Self::Buffer => NtStatus::INSUFFICIENT_RESOURCES,
            Self::ThreadRecord => NtStatus::NO_MEMORY,
        }
    }

    const fn over_limit(self) -> NtStatus {
        match self {
            Self::Token
            | Self::LogonSession
            | Self::ClientContext
            | Self::Handle
            | Self::PipeMessage
            | Self::WorkItem
            | Self::Routine
            | Self::Buffer => NtStatus::QUOTA_EXCEEDED,
            Self::ThreadRecord => NtStatus::NO_MEMORY,
        }
    }
}

/// A counter of bytes with a limit. Cloning gives another handle to the same counter.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    in_use: AtomicU64,
    limit: AtomicU64,
    charges: AtomicU64,
    fail_at: AtomicU64,
    fail_with: AtomicU32,
    act_at: AtomicU64,
    act: Mutex<Act>,
}

/// What is done before a charge.
struct Act(Option<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "planned" } else { "none" })
    }
}

impl Pool {
    /// Returns a pool without a limit.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Counters {
            in_use: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            charges: AtomicU64::new(0),
            fail_at: AtomicU64::new(0),
            fail_with: AtomicU32::new(0),
            act_at: AtomicU64::new(0),
            act: Mutex::new(Act(None)),
        }))
    }

    /// Returns the bytes charged and not yet given back.
    pub fn in_use_bytes(&self) -> u64 {
        self.0.in_use.load(Ordering::Acquire)
    }

    /// Returns how many charges were tried so far, refused ones included.
    pub fn charge_count(&self) -> u64 {
        self.0.charges.load(Ordering::Acquire)
    }

    /// Limits the bytes in use; a charge beyond it is refused with `STATUS_QUOTA_EXCEEDED`.
    ///
    /// What is in use already stays. `None` removes the limit.
    pub fn limit_bytes(&self, limit: Option<u64>) {
        self.0.limit.store(limit.unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Makes the `nth` charge from now fail once, as an exhausted pool would; 1 is the next one.
    ///
    /// Zero takes a planned failure back.
    pub fn fail_nth(&self, nth: u64) {
        self.plan(nth, 0);
    }

    /// Makes the `nth` charge from now fail once with `status`; 1 is the next one.
    pub fn fail_nth_with(&self, nth: u64, status: NtStatus) {
        self.plan(nth, status.0);
    }

    /// Runs `act` once, on the thread that charges, before the `nth` charge from now; 1 is the next one.
    ///
    /// Whoever charges holds no lock of this crate, so `act` may call anything: what another thread could do between two
    /// steps of a routine happens there every time. A second plan replaces the first; zero takes it back.
    pub fn before_nth(&self, nth: u64, act: impl FnOnce() + Send + 'static) {
        self.0.act.lock().unwrap_or_else(PoisonError::into_inner).0 = (nth != 0).then(|| Box::new(act) as _);
        self.0.act_at.store(self.nth_from_now(nth), Ordering::Release);
    }

    fn nth_from_now(&self, nth: u64) -> u64 {
        if nth == 0 { 0 } else { self.charge_count().saturating_add(nth) }
    }

    fn plan(&self, nth: u64, status: u32) {
        let at = self.nth_from_now(nth);
        self.0.fail_with.store(status, Ordering::Release);
        self.0.fail_at.store(at, Ordering::Release);
    }

    /// Charges `bytes` before something is made for a caller.
    ///
    /// # Errors
    /// - `STATUS_INSUFFICIENT_RESOURCES` (`STATUS_NO_MEMORY` for a thread record) when a failure was planned.
    /// - `STATUS_QUOTA_EXCEEDED` (`STATUS_NO_MEMORY` for a thread record) when the limit would be passed.
    ///
    /// Nothing is charged then.
    pub fn charge(&self, purpose: Purpose, bytes: usize) -> Result<Charge, NtStatus> {
        let nth = self.0.charges.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        if nth == self.0.act_at.load(Ordering::Acquire) {
            let act = self.0.act.lock().unwrap_or_else(PoisonError::into_inner).0.take();
            act.into_iter().for_each(|act| act());
        }
        if nth == self.0.fail_at.load(Ordering::Acquire) {
            let named = self.0.fail_with.load(Ordering::Acquire);
            return Err(if named == 0 { purpose.exhausted() } else { NtStatus(named) });
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let limit = self.0.limit.load(Ordering::Acquire);
        self.0
            .in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .map_err(|_| purpose.over_limit())?;
        Ok(Charge { pool: self.clone(), bytes })
    }
}

/// Bytes charged to a [`Pool`]; given back when dropped.
#[derive(Debug)]
#[must_use = "dropping it gives the bytes back"]
pub struct Charge {
    pool: Pool,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.pool.0.in_use.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
