//! Processes: the owners of primary tokens.
//!
//! A [`Process`] here is nothing but a number and the slot that holds its primary token. The gate looks at this token and
//! at no other, whatever its threads wear.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError};

use vicar_nt::check::AccessMode;
use vicar_nt::{NtStatus, Privilege};

use crate::gate::dominates;
use crate::job::Job;
use crate::ledger::ObjectId;
use crate::qos::Reach;
use crate::subject::SubjectContext;
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::system::System;
use crate::thread::ThreadRef;
use crate::token::{Duplicate, DuplicateKind, Slot, Snapshot, TokenKind, TokenRef};
use crate::verifier::Lock;

/// A process. Reached through a [`ProcessRef`].
#[doc(alias = "PEPROCESS")]
#[repr(align(128))]
pub struct Process {
    system: System,
    id: u64,
    primary: RwLock<TokenRef>,
    /// How often the primary token was replaced; written under its lock.
    exchanges: AtomicU64,
    job: OnceLock<Job>,
}

/// A shared handle to a [`Process`]; lives as long as any of its threads.
#[derive(Clone, Debug)]
pub struct ProcessRef(Arc<Process>);

impl Process {
    /// Makes a process that runs under `primary`.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when the token is of another system.
    /// - `STATUS_BAD_TOKEN_TYPE` when it is an impersonation token.
    /// - `STATUS_TOKEN_ALREADY_IN_USE` when another process runs under this very token.
    ///
    /// # Source
    /// spec/nt-impersonation 2.23, NtSetInformationProcess.
    #[expect(clippy::new_ret_no_self, reason = "a process exists only behind its shared handle")]
    pub fn new(system: &System, primary: TokenRef) -> Result<ProcessRef, NtStatus> {
        claim(system, &primary)?;
        let id = system.next_number();
        Ok(ProcessRef(Arc::new(Self {
            system: system.clone(),
            id,
            primary: RwLock::new(primary),
            exchanges: AtomicU64::new(0),
            job: OnceLock::new(),
        })))
    }

    /// Returns the world of this process.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Returns a number that no other process or thread of this system has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the number that no other token, process or thread of this system has.
    pub fn object_id(&self) -> ObjectId {
        ObjectId::of(self.id)
    }

    /// Puts this process into a job, for life.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when it is in one.
    #[doc(alias = "NtAssignProcessToJobObject")]
    pub fn assign_job(&self, job: &Job) -> Result<(), NtStatus> {
        self.job.set(job.clone()).map_err(|_| NtStatus::ACCESS_DENIED)
    }

    /// Returns the job this process is in, if any.
    pub fn job(&self) -> Option<&Job> {
        self.job.get()
    }

    /// Takes a reference on the primary token.
    ///
    /// # NT
    /// `PsReferencePrimaryToken`.
    ///
    /// # Source
    /// PsReferencePrimaryToken (ntifs.h page); spec/nt-impersonation 2.11.
    #[doc(alias = "PsReferencePrimaryToken")]
    #[doc(alias = "SeReferencePrimaryToken")]
    #[inline]
    #[track_caller]
    pub fn reference_primary(&self) -> TokenRef {
        let _locking = self.system.locking(Lock::PrimaryToken);
        self.primary.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what is needed to notice without a lock that the primary token is another one or has changed.
    pub(crate) fn known_primary(&self) -> KnownPrimary {
        let _locking = self.system.locking(Lock::PrimaryToken);
        let primary = self.primary.read().unwrap_or_else(PoisonError::into_inner);
        KnownPrimary { exchanges: self.exchanges.load(Ordering::Relaxed), slot: Arc::clone(primary.slot()) }
    }

    /// Replaces the primary token by another and returns the one that was in force, which may be the same.
    ///
    /// A gate decision that is under way uses either the old token or the new one, whole.
    ///
    /// # Errors
    /// - as for [`Process::new`]; the primary token is unchanged then.
    ///
    /// # Identity
    /// Nobody's assign-primary privilege is tested here.
    ///
    /// # NT
    /// The exchange inside `NtSetInformationProcess(ProcessAccessToken)`. A process trust above that of the token it
    /// replaces is refused with `STATUS_ACCESS_DENIED` instead of being lowered, because a token in the caller's hands
    /// is never changed behind its back.
    #[doc(alias = "ProcessAccessToken")]
    pub fn replace_primary(&self, primary: TokenRef) -> Result<TokenRef, NtStatus> {
        // Nothing is in the way of a token that is in force already.
        let current = self.reference_primary();
        if primary.is_same(&current) {
            return Ok(current);
        }
        drop(current);
        claim(&self.system, &primary)?;
        loop {
            let current = self.reference_primary();
            if !dominates(current.state().trust(), primary.state().trust()) {
                primary.unclaim();
                return Err(NtStatus::ACCESS_DENIED);
            }
            let locking = self.system.locking(Lock::PrimaryToken);
            let mut slot = self.primary.write().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have replaced what was compared with.
            if slot.is_same(&current) {
                let old = std::mem::replace(&mut *slot, primary);
                self.exchanges.store(self.exchanges.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
                drop(slot);
                drop(locking);
                old.unclaim();
                return Ok(old);
            }
        }
    }
}

/// The primary token of a process as it was seen. Keeps neither the token nor its session alive.
#[derive(Clone, Debug)]
pub(crate) struct KnownPrimary {
    exchanges: u64,
    slot: Arc<Slot>,
}

impl KnownPrimary {
    pub(crate) fn state(&self, system: &System) -> Arc<Snapshot> {
        self.slot.state(system)
    }

    /// Returns whether `process` runs under this token still, and under the state of this number.
    ///
    /// State numbers never come back, so both were so at the moment of the first look.
    #[inline]
    pub(crate) fn is_still(&self, process: &Process, state_id: u64) -> bool {
        self.exchanges == process.exchanges.load(Ordering::Acquire) && self.slot.state_id() == state_id
    }
}

impl ProcessRef {
    /// Makes a process that inherits a copy of this one's primary token, and its job, whatever the calling thread wears.
    ///
    /// # Errors
    /// - the statuses of [`TokenRef::duplicate`].
    ///
    /// # Source
    /// Impersonation tokens are not inherited by processes (CreateProcess page); spec/nt-impersonation 4.1.
    pub fn create_child(&self) -> Result<Self, NtStatus> {
        let wanted = Duplicate { kind: DuplicateKind::Primary, level: None, reach: Reach::AllHeld };
        let child = Process::new(&self.0.system, self.reference_primary().duplicate(wanted)?)?;
        if let Some(job) = self.job() {
            child.assign_job(job)?;
        }
        Ok(child)
    }

    /// Replaces the primary token for a caller whose right to assign it was tested.
    ///
    /// # Errors
    /// - `STATUS_BAD_TOKEN_TYPE` when it is an impersonation token.
    /// - `STATUS_PRIVILEGE_NOT_HELD` when it is neither a child nor a sibling of the primary token of the calling thread's
    ///   process and whomever that thread acts as does not hold the privilege to assign primary tokens; the kernel does.
    /// - as for [`Process::replace_primary`].
    ///
    /// # Source
    /// spec/nt-impersonation 2.23 (NtSetInformationProcess).
    #[track_caller]
    pub fn assign_primary(&self, token: &TokenRef, caller: &ThreadRef, mode: AccessMode) -> Result<(), NtStatus> {
        if token.kind() != TokenKind::Primary {
            return Err(NtStatus::BAD_TOKEN_TYPE);
        }
        let is_family = token.is_child_or_sibling_of(&caller.process().reference_primary());
        if !is_family && !SubjectContext::capture(caller).holds(Privilege::AssignPrimaryToken, mode) {
            return Err(NtStatus::PRIVILEGE_NOT_HELD);
        }
        self.replace_primary(token.clone()).map(drop)
    }

    /// Returns whether both are the same process.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Keeps this handle as an `Arc`, for those who can keep no value of this type.
    pub fn into_arc(self) -> Arc<Process> {
        self.0
    }

    /// Makes a handle of an `Arc` that was one before.
    pub const fn from_arc(process: Arc<Process>) -> Self {
        Self(process)
    }
}

fn claim(system: &System, primary: &TokenRef) -> Result<(), NtStatus> {
    if !primary.system().is_same(system) {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    match primary.kind() {
        TokenKind::Impersonation(_) => Err(NtStatus::BAD_TOKEN_TYPE),
        TokenKind::Primary if primary.claim() => Ok(()),
        TokenKind::Primary => Err(NtStatus::TOKEN_ALREADY_IN_USE),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.primary.read().unwrap_or_else(PoisonError::into_inner).unclaim();
    }
}

impl Deref for ProcessRef {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("id", &self.id)
            .field("primary", &self.reference_primary())
            .finish_non_exhaustive()
    }
}
