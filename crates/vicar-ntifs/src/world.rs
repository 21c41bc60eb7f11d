//! The world that the routines work on: one a process, built anew for every test.
//!
//! A driver test needs no set-up: the first routine that is called makes a [`World`] of profile V4 whose verifier ends the
//! process at the first finding, and every thread of the program is a system thread in it until it is told to act as
//! another one. [`reset`] starts over with other [`Options`].

use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use vicar_kernel::anonymous::EveryoneIncludesAnonymous;
use vicar_kernel::block::ThreadBlock;
use vicar_kernel::logon::RoutineId;
use vicar_kernel::object::Handles;
use vicar_kernel::{
    AnonymousLogon, Ledger, LogonKind, Policy, Process, ProcessRef, Profile, System, Thread, ThreadRef, TokenKind,
    TokenRef, TokenSpec,
};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, IntegrityLevel, Luid, NtStatus, Privilege, well_known};

use crate::entry::{self, NO_WORLD, PLANNED};
use crate::ex::pool;
use crate::ex::work::Work;
use crate::ke;
use crate::layout::NTSTATUS;
use crate::object;
use crate::verifier::{self, Mode, book, flow};

/// How a world is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The generation of Windows that is imitated.
    pub profile: Profile,
    /// The answers to the open questions.
    pub policy: Policy,
    /// What happens when something is found.
    pub verifier: Mode,
    /// Whether the anonymous user counts as one of everyone.
    pub everyone: EveryoneIncludesAnonymous,
}

impl Options {
    /// The reference: V4, strict, and the first finding ends the process.
    pub const STANDARD: Self = Self {
        profile: Profile::V4,
        policy: Policy::strict(),
        verifier: Mode::Fatal,
        everyone: EveryoneIncludesAnonymous::No,
    };
}

/// A process, its handles, and the pointer that C callers borrow.
#[derive(Debug)]
pub(crate) struct HostProcess {
    pub(crate) process: ProcessRef,
    pub(crate) handles: Handles,
    pub(crate) pointer: usize,
}

/// A thread, its process, and the pointer that C callers borrow.
#[derive(Debug)]
pub(crate) struct HostThread {
    pub(crate) thread: ThreadRef,
    pub(crate) process: Arc<HostProcess>,
    pub(crate) is_system: bool,
    pub(crate) pointer: usize,
}

/// The routines to be told of ending logon sessions: their address, and the name of the registration.
pub(crate) type Registrations = Mutex<Vec<(usize, RoutineId)>>;

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) is_verified: bool,
    pub(crate) ledger: Ledger,
    pub(crate) anonymous: AnonymousLogon,
    /// Handles that belong to no process.
    pub(crate) kernel_handles: Handles,
    pub(crate) system_process: Arc<HostProcess>,
    pub(crate) registrations: Registrations,
    pub(crate) work: Work,
    processes: Mutex<BTreeMap<u64, Arc<HostProcess>>>,
    threads: Mutex<BTreeMap<u64, Arc<HostThread>>>,
}

static WORLD: RwLock<Option<Arc<World>>> = RwLock::new(None);
static GENERATION: AtomicU64 = AtomicU64::new(0);
static PLANS: Mutex<Option<HashMap<String, NTSTATUS>>> = Mutex::new(None);

/// Returns a number that changes with every world; zero before the first.
#[inline]
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

/// Returns the world, after making the standard one if there is none.
pub(crate) fn current() -> Arc<World> {
    if let Some(world) = &*WORLD.read().unwrap_or_else(PoisonError::into_inner) {
        return Arc::clone(world);
    }
    let mut place = WORLD.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(world) = &*place {
        return Arc::clone(world);
    }
    match install(&mut place, Options::STANDARD) {
        Ok(world) => world,
        Err(status) => {
            eprintln!("vicar-ntifs: the first world cannot be made: {status}");
            std::process::abort()
        }
    }
}

/// Forgets the world and makes another. Pointers, handles and structures of the old one mean nothing any more.
///
/// # Errors
/// - `STATUS_INSUFFICIENT_RESOURCES` when a thread or a token cannot be made; the old world is gone then too.
pub fn reset(options: Options) -> Result<(), NtStatus> {
    // What waits runs in the world it was queued in.
    let before = WORLD.read().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(world) = before {
        world.work.end();
    }
    let mut place = WORLD.write().unwrap_or_else(PoisonError::into_inner);
    let old = place.take();
    let made = install(&mut place, options).map(drop);
    drop(place);
    drop(old);
    made
}

fn install(place: &mut Option<Arc<World>>, options: Options) -> Result<Arc<World>, NtStatus> {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    *plans() = None;
    entry::attend(PLANNED, false);
    entry::attend(NO_WORLD, false);
    book::clear();
    flow::clear();
    pool::clear();
    drop(verifier::take_findings());
    verifier::set_mode(options.verifier);
    let world = Arc::new(World::new(options)?);
    *place = Some(Arc::clone(&world));
    Ok(world)
}

fn plans() -> MutexGuard<'static, Option<HashMap<String, NTSTATUS>>> {
    PLANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the next call of a routine answer `status` and do nothing.
pub fn plan_failure(routine: &str, status: NTSTATUS) {
    plans().get_or_insert_default().insert(routine.to_owned(), status);
    entry::attend(PLANNED, true);
}

/// Returns what was planned for a routine, which is used up by that.
#[cold]
pub(crate) fn take_planned(routine: &str) -> Option<NTSTATUS> {
    let mut plans = plans();
    let planned = plans.as_mut()?;
    let status = planned.remove(routine);
    if planned.is_empty() {
        entry::attend(PLANNED, false);
    }
    status
}

impl World {
    fn new(options: Options) -> Result<Self, NtStatus> {
        let system = System::new(options.profile, options.policy);
        let primary = system_token(&system)?;
        let anonymous = AnonymousLogon::new(&system, options.everyone)?;
        let process = Process::new(&system, primary)?;
        let handles = Handles::new(&system);
        let mut world = Self {
            is_verified: options.verifier != Mode::Off,
            ledger: Ledger::new(),
            anonymous,
            kernel_handles: Handles::new(&system),
            system_process: Arc::new(HostProcess { process: process.clone(), handles, pointer: 0 }),
            registrations: Mutex::new(Vec::new()),
            work: Work::default(),
            processes: Mutex::new(BTreeMap::new()),
            threads: Mutex::new(BTreeMap::new()),
            system,
        };
        world.system_process = world.adopt_process(process);
        Ok(world)
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<HostProcess>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<HostThread>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a process known to C callers.
    pub(crate) fn adopt_process(&self, process: ProcessRef) -> Arc<HostProcess> {
        let pointer = object::keep(self, process.clone()).expose_provenance();
        let host = Arc::new(HostProcess { handles: Handles::new(&self.system), pointer, process });
        self.processes().insert(host.process.id(), Arc::clone(&host));
        host
    }

    /// Makes a thread known to C callers.
    pub(crate) fn adopt_thread(
        &self,
        thread: ThreadRef,
        process: &Arc<HostProcess>,
        is_system: bool,
    ) -> Arc<HostThread> {
        let pointer = object::keep(self, thread.clone()).expose_provenance();
        let host = Arc::new(HostThread { process: Arc::clone(process), is_system, pointer, thread });
        self.threads().insert(host.thread.id(), Arc::clone(&host));
        host
    }

    /// Makes a thread of a process.
    pub(crate) fn create_thread(&self, process: &Arc<HostProcess>, is_system: bool) -> Arc<HostThread> {
        let thread = Thread::new(&process.process);
        if !is_system {
            // A new thread has no block yet.
            let _ = thread.attach_block(ThreadBlock::new());
        }
        self.adopt_thread(thread, process, is_system)
    }

    /// Returns the thread that C callers know by this pointer, if it runs.
    pub(crate) fn thread_at(&self, pointer: usize) -> Option<Arc<HostThread>> {
        self.threads().values().find(|host| host.pointer == pointer).cloned()
    }

    /// Makes a process that runs under a token.
    pub(crate) fn create_process(&self, primary: TokenRef) -> Result<Arc<HostProcess>, NtStatus> {
        Ok(self.adopt_process(Process::new(&self.system, primary)?))
    }

    /// Ends a thread: it gives back what it wears and is not found any more.
    pub(crate) fn end_thread(&self, thread: &HostThread) {
        if let Some(host) = self.threads().remove(&thread.thread.id()) {
            host.thread.exit();
            flow::forget(host.thread.id());
            ke::gate::thread_ended();
            object::let_go::<ThreadRef>(self, std::ptr::with_exposed_provenance_mut::<c_void>(host.pointer));
        }
    }

    /// Ends a process: its handles are closed and it is not found any more.
    pub(crate) fn end_process(&self, process: &HostProcess) {
        if let Some(host) = self.processes().remove(&process.process.id()) {
            object::let_go::<ProcessRef>(self, std::ptr::with_exposed_provenance_mut::<c_void>(host.pointer));
        }
    }

    /// Returns the process of this number, if it runs.
    pub(crate) fn find_process(&self, id: u64) -> Option<Arc<HostProcess>> {
        self.processes().get(&id).cloned()
    }

    /// Returns the thread of this number, if it runs.
    pub(crate) fn find_thread(&self, id: u64) -> Option<Arc<HostThread>> {
        self.threads().get(&id).cloned()
    }
}

/// The references that were kept for C callers are given back; those by number go with the ledger.
impl Drop for World {
    fn drop(&mut self) {
        let place = |pointer: usize| std::ptr::with_exposed_provenance_mut::<c_void>(pointer);
        for host in std::mem::take(&mut *self.threads()).into_values() {
            object::let_go::<ThreadRef>(self, place(host.pointer));
        }
        for host in std::mem::take(&mut *self.processes()).into_values() {
            object::let_go::<ProcessRef>(self, place(host.pointer));
        }
    }
}

/// Makes the token of the system's own process: every privilege, enabled.
fn system_token(system: &System) -> Result<TokenRef, NtStatus> {
    let administrators = GroupAttributes::ALWAYS_ENABLED.union(GroupAttributes::OWNER);
    let builder = TokenState::builder(well_known::LOCAL_SYSTEM)
        .group(well_known::ADMINISTRATORS, administrators)
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::AUTHENTICATED_USERS, GroupAttributes::ALWAYS_ENABLED)
        .integrity(IntegrityLevel::SYSTEM);
    let privileges = (0..64).filter_map(Privilege::from_number);
    let builder =
        privileges.fold(builder, |builder, privilege| builder.privilege(privilege, PrivilegeState::EnabledByDefault));
    let state = builder.build().map_err(|_| NtStatus::INTERNAL_ERROR)?;
    let session = system.logon(LogonKind::System, Some(Luid::SYSTEM))?;
    session.create_token(TokenSpec { state, kind: TokenKind::Primary, source: *b"*SYSTEM*", origin: Luid::ZERO })
}
