//! The world that everything else lives in.
//!
//! A [`System`] hands out LUIDs and snapshot numbers, knows the logon sessions, counts token references and holds the
//! profile, the policy and the pool. It is a cheap handle: clones are the same world. There is no global one, and two
//! worlds never share anything; an object of one is refused by the routines of the other.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, PoisonError};

use vicar_nt::{Luid, NtStatus};

use crate::audit::{Attempt, Event, Sink, What};
use crate::logon::{LogonKind, LogonSession, Routine, RoutineId, Session};
use crate::policy::{MissingRoutine, Policy, Profile};
use crate::pool::{Charge, Pool, Purpose};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, RwLock};
use crate::tally::{Seat, Tally};
use crate::verifier::{AtEnd, Lock, Locking, Report, Verifier, Watched};

/// A world of tokens, processes and threads. Cloning gives another handle to the same world.
#[derive(Clone)]
pub struct System(Arc<World>);

struct Registration {
    id: RoutineId,
    routine: Routine,
    _charge: Charge,
}

struct World {
    profile: Profile,
    policy: Policy,
    pool: Pool,
    tally: Tally,
    next_luid: AtomicU64,
    next_number: AtomicU64,
    next_seat: AtomicU64,
    sessions: Mutex<BTreeMap<Luid, Arc<Session>>>,
    routines: Mutex<Vec<Registration>>,
    is_audited: AtomicBool,
    sink: RwLock<Option<Arc<dyn Sink>>>,
    verifier: Option<Verifier>,
}

impl System {
    /// Makes a world that follows the rules of `profile` with the answers of `policy`.
    pub fn new(profile: Profile, policy: Policy) -> Self {
        Self::build(profile, policy, false, None)
    }

    /// Makes a world that also remembers which source line took each outstanding token reference.
    ///
    /// # Cost
    /// One lock and one map look-up for every reference taken or given back: for tests and leak hunts.
    pub fn with_reference_sites(profile: Profile, policy: Policy) -> Self {
        Self::build(profile, policy, true, None)
    }

    /// Makes a world that remembers every capture, reference, impersonation and lock with its source line.
    ///
    /// # Cost
    /// A lock and a look-up for each of them: for tests and for finding out what a program does wrong.
    pub fn with_verifier(profile: Profile, policy: Policy) -> Self {
        Self::build(profile, policy, true, Some(Verifier::default()))
    }

    fn build(profile: Profile, policy: Policy, tracks_sites: bool, verifier: Option<Verifier>) -> Self {
        Self(Arc::new(World {
            profile,
            policy,
            pool: Pool::new(),
            tally: Tally::new(tracks_sites),
            next_luid: AtomicU64::new(Luid::FIRST_DYNAMIC.to_u64()),
            next_number: AtomicU64::new(1),
            next_seat: AtomicU64::new(0),
            sessions: Mutex::new(BTreeMap::new()),
            routines: Mutex::new(Vec::new()),
            is_audited: AtomicBool::new(false),
            sink: RwLock::new(None),
            verifier,
        }))
    }

    /// Returns the generation of Windows that is imitated.
    pub fn profile(&self) -> Profile {
        self.0.profile
    }

    /// Returns the answers to the open questions.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Returns the counter that caller-made objects are charged to.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Returns whether both handles are the same world.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the number of token references taken and not given back.
    ///
    /// The sum is exact when no other thread is taking or giving references back at the moment.
    pub fn balance(&self) -> i64 {
        self.0.tally.balance()
    }

    /// Returns file, line, column and count of outstanding token references.
    ///
    /// Empty unless the world was made by [`System::with_reference_sites`].
    pub fn outstanding(&self) -> Vec<((&'static str, u32, u32), i64)> {
        self.0.tally.outstanding()
    }

    /// Returns what was done wrong so far and what is held; `None` unless the world was made by
    /// [`System::with_verifier`].
    pub fn verify(&self) -> Option<Report> {
        Some(self.0.verifier.as_ref()?.report(self.outstanding()))
    }

    /// Gives `tell` a report when the returned value is dropped, if the world is verified.
    pub fn verify_at_end<F: FnMut(Report)>(&self, tell: F) -> AtEnd<F> {
        AtEnd::new(self.clone(), tell)
    }

    /// Makes `sink` hear of everything that happens to an identity from now on; `None` ends that.
    pub fn set_audit(&self, sink: Option<Arc<dyn Sink>>) {
        let mut slot = self.0.sink.write().unwrap_or_else(PoisonError::into_inner);
        self.0.is_audited.store(sink.is_some(), Ordering::Release);
        let old = std::mem::replace(&mut *slot, sink);
        drop(slot);
        drop(old);
    }

    /// Tells the sink, if there is one, what `what` makes of it. Called with no lock held.
    #[inline]
    pub(crate) fn tell(&self, at: &'static Location<'static>, what: impl FnOnce() -> What) {
        if self.0.is_audited.load(Ordering::Relaxed) {
            self.tell_listener(&Event { what: what(), at });
        }
    }

    #[cold]
    fn tell_listener(&self, event: &Event) {
        let sink = self.0.sink.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = sink {
            sink.event(event);
        }
    }

    /// Tells the sink that something was refused, and passes the answer on.
    pub(crate) fn refused<T>(
        &self,
        attempt: Attempt,
        at: &'static Location<'static>,
        answer: Result<T, NtStatus>,
    ) -> Result<T, NtStatus> {
        if let Err(status) = answer {
            self.tell(at, || What::Refused { attempt, status });
        }
        answer
    }

    #[inline]
    pub(crate) fn verifier(&self) -> Option<&Verifier> {
        self.0.verifier.as_ref()
    }

    /// Says that a lock is about to be taken; the result is dropped right after the lock.
    #[inline]
    #[track_caller]
    pub(crate) fn locking(&self, lock: Lock) -> Option<Locking<'_>> {
        let at = Location::caller();
        self.0.verifier.as_ref().map(|verifier| verifier.locking(lock, at))
    }

    /// Returns an identifier that this world has not handed out before.
    ///
    /// # NT
    /// `ZwAllocateLocallyUniqueId`.
    #[doc(alias = "ZwAllocateLocallyUniqueId")]
    #[doc(alias = "NtAllocateLocallyUniqueId")]
    #[doc(alias = "ExAllocateLocallyUniqueId")]
    pub fn allocate_luid(&self) -> Luid {
        Luid::from_u64(self.0.next_luid.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.0.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Returns whether somebody wants to hear of every impersonation.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.0.verifier.is_some() || self.0.is_audited.load(Ordering::Relaxed)
    }

    /// Returns the next of a few seats: threads made one after the other sit apart.
    pub(crate) fn next_seat(&self) -> Seat {
        Seat::of(self.0.next_seat.fetch_add(1, Ordering::Relaxed))
    }

    #[track_caller]
    pub(crate) fn sessions(&self) -> Watched<'_, MutexGuard<'_, BTreeMap<Luid, Arc<Session>>>> {
        let locking = self.locking(Lock::Sessions);
        Watched::new(locking, self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[track_caller]
    fn routines(&self) -> Watched<'_, MutexGuard<'_, Vec<Registration>>> {
        let locking = self.locking(Lock::Routines);
        Watched::new(locking, self.0.routines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a logon session.
    ///
    /// The session has no token yet. It ends with its last token, or with its last handle if it never had one.
    ///
    /// # Inputs
    /// - `id`: a well-known or otherwise agreed identifier; `None` allocates one.
    ///
    /// # Errors
    /// - `STATUS_LOGON_SESSION_COLLISION` when a live session has this identifier.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # NT
    /// What the local security authority does before it creates a token; there is no kernel routine of this name.
    pub fn logon(&self, kind: LogonKind, id: Option<Luid>) -> Result<LogonSession, NtStatus> {
        let charge = self.pool().charge(Purpose::LogonSession, size_of::<Session>())?;
        let id = id.unwrap_or_else(|| self.allocate_luid());
        let session = Arc::new(Session::new(id, kind, charge));
        let mut sessions = self.sessions();
        if sessions.contains_key(&id) {
            return Err(NtStatus::LOGON_SESSION_COLLISION);
        }
        sessions.insert(id, Arc::clone(&session));
        drop(sessions);
        Ok(LogonSession::new(self.clone(), session))
    }

    /// Returns a handle to the live logon session with this identifier.
    pub fn session(&self, id: Luid) -> Option<LogonSession> {
        let session = Arc::clone(self.sessions().get(&id)?);
        Some(LogonSession::new(self.clone(), session))
    }

    /// Returns the number of live logon sessions.
    pub fn session_count(&self) -> usize {
        self.sessions().len()
    }

    /// Asks that the termination routines be told when a session ends. Asking twice is asking once.
    ///
    /// # Errors
    /// - `STATUS_NOT_FOUND` when no live session has this identifier.
    ///
    /// # NT
    /// `SeMarkLogonSessionForTerminationNotification`.
    ///
    /// # Source
    /// SeMarkLogonSessionForTerminationNotification (ntifs.h page); spec/nt-impersonation 2.21.
    #[doc(alias = "SeMarkLogonSessionForTerminationNotification")]
    pub fn mark_for_termination_notice(&self, id: Luid) -> Result<(), NtStatus> {
        let sessions = self.sessions();
        sessions.get(&id).ok_or(NtStatus::NOT_FOUND)?.mark();
        Ok(())
    }

    /// Registers a routine that is told the identifier of every marked session that ends.
    ///
    /// The same routine may be registered again; it is then called once for each registration.
    ///
    /// # Returns
    /// The name to unregister it by.
    ///
    /// # Errors
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    ///
    /// # Identity
    /// Called on the thread that gave the last token back, with no lock of this crate held. The identity of that thread
    /// means nothing to the routine.
    ///
    /// # NT
    /// `SeRegisterLogonSessionTerminatedRoutine`. Differs: NT calls the routine on a system worker thread.
    ///
    /// # Source
    /// SeRegisterLogonSessionTerminatedRoutine (ntifs.h page); spec/nt-impersonation 2.21.
    #[doc(alias = "SeRegisterLogonSessionTerminatedRoutine")]
    pub fn register_termination_routine(
        &self,
        routine: impl Fn(Luid) + Send + Sync + 'static,
    ) -> Result<RoutineId, NtStatus> {
        let charge = self.pool().charge(Purpose::Routine, size_of::<Registration>())?;
        let id = RoutineId::new(self.next_number());
        self.routines().push(Registration { id, routine: Arc::new(routine), _charge: charge });
        Ok(id)
    }

    /// Takes a registration back. A call that is under way on another thread may still finish afterwards.
    ///
    /// # Errors
    /// - the status named by [`MissingRoutine`] when there is no such registration.
    ///
    /// # NT
    /// `SeUnregisterLogonSessionTerminatedRoutine`.
    #[doc(alias = "SeUnregisterLogonSessionTerminatedRoutine")]
    pub fn unregister_termination_routine(&self, id: RoutineId) -> Result<(), NtStatus> {
        let mut routines = self.routines();
        let Some(index) = routines.iter().position(|registered| registered.id == id) else {
            return Err(match self.policy().missing_routine {
                MissingRoutine::NotFound => NtStatus::NOT_FOUND,
                MissingRoutine::InsufficientResources => NtStatus::INSUFFICIENT_RESOURCES,
            });
        };
        let removed = routines.remove(index);
        drop(routines);
        drop(removed);
        Ok(())
    }

    /// Tells every routine that a marked session ended. No lock is held while a routine runs.
    pub(crate) fn announce_termination(&self, id: Luid) {
        let routines: Vec<Routine> = self.routines().iter().map(|registered| Arc::clone(&registered.routine)).collect();
        for routine in routines {
            routine(id);
        }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("profile", &self.0.profile)
            .field("balance", &self.balance())
            .field("in_use_bytes", &self.0.pool.in_use_bytes())
            .finish_non_exhaustive()
    }
}
