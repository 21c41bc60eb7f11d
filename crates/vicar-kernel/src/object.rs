//! Numbers for objects: what a caller without the kernel's trust names threads, processes and tokens by.
//!
//! [`Handles`] is the table of one process: a [`HandleValue`] leads to an object of one type with the rights that were
//! granted on it. Looking one up tests, in this order, that it exists, that it names the right type and that it carries the
//! rights. The null value names nothing. What the rights allow is decided elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vicar_nt::check::{AccessRequest, CheckOptions, decide};
use vicar_nt::{AccessMask, GenericMapping, NtStatus, RequestedMask, sddl};

use crate::handle::TokenHandle;
use crate::pool::{Charge, Purpose};
use crate::process::ProcessRef;
use crate::subject::SubjectContext;
use crate::system::System;
use crate::thread::ThreadRef;

/// The rights to a thread that impersonation asks for.
///
/// # Source
/// Thread Security and Access Rights (page); spec/nt-impersonation 7.3.
pub mod thread_right {
    use vicar_nt::AccessMask;

    /// To read what the thread wears.
    #[doc(alias = "THREAD_QUERY_INFORMATION")]
    pub const QUERY_INFORMATION: AccessMask = AccessMask::truncate(0x0040);
    /// To put a token on it.
    #[doc(alias = "THREAD_SET_THREAD_TOKEN")]
    pub const SET_THREAD_TOKEN: AccessMask = AccessMask::truncate(0x0080);
    /// To make it take somebody on.
    #[doc(alias = "THREAD_IMPERSONATE")]
    pub const IMPERSONATE: AccessMask = AccessMask::truncate(0x0100);
    /// To make another thread take on whom it acts as.
    #[doc(alias = "THREAD_DIRECT_IMPERSONATION")]
    pub const DIRECT_IMPERSONATION: AccessMask = AccessMask::truncate(0x0200);
    /// To read a little about it.
    #[doc(alias = "THREAD_QUERY_LIMITED_INFORMATION")]
    pub const QUERY_LIMITED_INFORMATION: AccessMask = AccessMask::truncate(0x0800);
    /// Everything.
    #[doc(alias = "THREAD_ALL_ACCESS")]
    pub const ALL: AccessMask = AccessMask::truncate(0x001F_FFFF);
}

/// The rights to a process that its token is opened or replaced with.
///
/// # Source
/// Process Security and Access Rights (page).
pub mod process_right {
    use vicar_nt::AccessMask;

    /// To replace its token.
    #[doc(alias = "PROCESS_SET_INFORMATION")]
    pub const SET_INFORMATION: AccessMask = AccessMask::truncate(0x0200);
    /// To open its token.
    #[doc(alias = "PROCESS_QUERY_INFORMATION")]
    pub const QUERY_INFORMATION: AccessMask = AccessMask::truncate(0x0400);
    /// To open its token, from Vista on.
    #[doc(alias = "PROCESS_QUERY_LIMITED_INFORMATION")]
    pub const QUERY_LIMITED_INFORMATION: AccessMask = AccessMask::truncate(0x1000);
    /// Everything.
    #[doc(alias = "PROCESS_ALL_ACCESS")]
    pub const ALL: AccessMask = AccessMask::truncate(0x001F_FFFF);
}

/// What generic rights to a thread mean.
const THREAD_MAPPING: GenericMapping = GenericMapping::of(0x2_0048, 0x2_0437, 0x12_1800, 0x1F_FFFF);

/// A number that names an object in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "HANDLE")]
pub struct HandleValue(u32);

impl HandleValue {
    /// The value that names nothing.
    pub const NULL: Self = Self(0);

    /// Takes a number that came from a caller.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns whether it is the value that names nothing.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

#[derive(Clone, Debug)]
enum Object {
    Token(TokenHandle),
    Thread(ThreadRef, AccessMask),
    Process(ProcessRef, AccessMask),
}

#[derive(Debug)]
struct Entry {
    object: Object,
    _charge: Charge,
}

#[derive(Debug)]
struct Table {
    last: u32,
    entries: BTreeMap<u32, Entry>,
}

/// The handles of one process. Dropping it closes all of them.
#[derive(Debug)]
#[doc(alias = "HANDLE_TABLE")]
pub struct Handles {
    system: System,
    table: Mutex<Table>,
}

/// A number that names nothing yet. Dropping it gives back what was paid.
#[derive(Debug)]
struct Reserved<'a> {
    handles: &'a Handles,
    number: u32,
    charge: Charge,
}

impl Reserved<'_> {
    fn name(self, object: Object) -> HandleValue {
        let Self { handles, number, charge } = self;
        handles.table().entries.insert(number, Entry { object, _charge: charge });
        HandleValue(number)
    }

    /// Names an opened token.
    fn name_token(self, token: TokenHandle) -> HandleValue {
        self.name(Object::Token(token))
    }
}

/// Says which rights to a process, or to a thread of it, a subject has of those it wants.
fn granted(
    caller: &SubjectContext,
    process: &ProcessRef,
    desired: RequestedMask,
    mapping: GenericMapping,
) -> Result<AccessMask, NtStatus> {
    let state = process.reference_primary().state();
    let user = state.user().sid;
    let mut text = format!("O:{user}G:{user}D:(A;;0x1fffff;;;{user})(A;;0x1fffff;;;SY)");
    if let Some(level) = state.integrity() {
        // Writing to a string cannot fail.
        let _ = write!(text, "S:(ML;;NWNRNX;;;{})", level.to_sid());
    }
    let descriptor = sddl::parse(&text, None).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?;
    let locked = caller.lock();
    let options = CheckOptions { readings: process.system().policy().readings, ..CheckOptions::STANDARD };
    let request = AccessRequest::new(locked.subject(), descriptor.as_ref(), desired, mapping);
    Ok(decide(&AccessRequest { options, ..request }).map_err(|denial| denial.status())?.mask())
}

fn demand(granted: AccessMask, right: AccessMask) -> Result<(), NtStatus> {
    if granted.contains(right) { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) }
}

impl Handles {
    /// Makes an empty table.
    pub fn new(system: &System) -> Self {
        Self { system: system.clone(), table: Mutex::new(Table { last: 0, entries: BTreeMap::new() }) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pays for a name and takes a number before there is something to name: what follows cannot fail for want of one.
    ///
    /// # Errors
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    fn reserve(&self) -> Result<Reserved<'_>, NtStatus> {
        let charge = self.system.pool().charge(Purpose::Handle, size_of::<Entry>())?;
        let mut table = self.table();
        let number = table.last.checked_add(4).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
        table.last = number;
        Ok(Reserved { handles: self, number, charge })
    }

    fn insert(&self, object: Object) -> Result<HandleValue, NtStatus> {
        Ok(self.reserve()?.name(object))
    }

    /// Opens a token and names it; the name is paid for first, because opening can change what is opened.
    ///
    /// # Errors
    /// - as for [`Handles::add_token`]; nothing is opened then.
    /// - those of `open`.
    pub fn add_opened(&self, open: impl FnOnce() -> Result<TokenHandle, NtStatus>) -> Result<HandleValue, NtStatus> {
        let name = self.reserve()?;
        Ok(name.name_token(open()?))
    }

    /// Names an opened token.
    ///
    /// # Errors
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the pool.
    pub fn add_token(&self, token: TokenHandle) -> Result<HandleValue, NtStatus> {
        self.insert(Object::Token(token))
    }

    /// Names a thread, with rights that were agreed on elsewhere.
    ///
    /// # Errors
    /// - as for [`Handles::add_token`].
    pub fn add_thread(&self, thread: &ThreadRef, access: AccessMask) -> Result<HandleValue, NtStatus> {
        self.insert(Object::Thread(thread.clone(), access))
    }

    /// Names a process, with rights that were agreed on elsewhere.
    ///
    /// # Errors
    /// - as for [`Handles::add_token`].
    pub fn add_process(&self, process: &ProcessRef, access: AccessMask) -> Result<HandleValue, NtStatus> {
        self.insert(Object::Process(process.clone(), access))
    }

    /// Opens a thread for a subject and names it.
    ///
    /// The thread may be used by its process's user and by the system, and not from below its process's integrity level.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED`, `STATUS_BAD_IMPERSONATION_LEVEL` from the access check.
    /// - as for [`Handles::add_token`].
    ///
    /// # NT
    /// `NtOpenThread`.
    #[doc(alias = "NtOpenThread")]
    pub fn open_thread(
        &self,
        caller: &SubjectContext,
        thread: &ThreadRef,
        desired: RequestedMask,
    ) -> Result<HandleValue, NtStatus> {
        self.add_thread(thread, granted(caller, thread.process(), desired, THREAD_MAPPING)?)
    }

    /// Opens a process for a subject and names it; who may is as for its threads.
    ///
    /// # Errors
    /// - as for [`Handles::open_thread`].
    ///
    /// # NT
    /// `NtOpenProcess`.
    pub fn open_process(
        &self,
        caller: &SubjectContext,
        process: &ProcessRef,
        desired: RequestedMask,
    ) -> Result<HandleValue, NtStatus> {
        self.add_process(process, granted(caller, process, desired, GenericMapping::PROCESS)?)
    }

    /// Gives a name up.
    ///
    /// # Errors
    /// - `STATUS_INVALID_HANDLE` when it names nothing.
    ///
    /// # NT
    /// `NtClose`.
    #[doc(alias = "NtClose")]
    pub fn close(&self, handle: HandleValue) -> Result<(), NtStatus> {
        let removed = self.table().entries.remove(&handle.0);
        removed.map(drop).ok_or(NtStatus::INVALID_HANDLE)
    }

    /// Returns the number of open handles.
    pub fn count(&self) -> usize {
        self.table().entries.len()
    }

    fn object(&self, handle: HandleValue) -> Result<Object, NtStatus> {
        self.table().entries.get(&handle.0).map(|entry| entry.object.clone()).ok_or(NtStatus::INVALID_HANDLE)
    }

    /// Returns the token a handle names, whatever its rights.
    ///
    /// # Errors
    /// - `STATUS_INVALID_HANDLE` when it names nothing.
    /// - `STATUS_OBJECT_TYPE_MISMATCH` when it names something else.
    #[doc(alias = "ObReferenceObjectByHandle")]
    pub fn token(&self, handle: HandleValue) -> Result<TokenHandle, NtStatus> {
        match self.object(handle)? {
            Object::Token(token) => Ok(token),
            Object::Thread(..) | Object::Process(..) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        }
    }

    /// Returns the thread a handle names.
    ///
    /// # Errors
    /// - as for [`Handles::token`], and `STATUS_ACCESS_DENIED` when the handle lacks `right`.
    pub fn thread(&self, handle: HandleValue, right: AccessMask) -> Result<ThreadRef, NtStatus> {
        match self.object(handle)? {
            Object::Thread(thread, access) => demand(access, right).map(|()| thread),
            Object::Token(_) | Object::Process(..) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        }
    }

    /// Returns the process a handle names.
    ///
    /// # Errors
    /// - as for [`Handles::thread`]; one of the `rights` is enough.
    pub fn process(&self, handle: HandleValue, rights: &[AccessMask]) -> Result<ProcessRef, NtStatus> {
        match self.object(handle)? {
            Object::Process(process, access) if rights.iter().any(|right| access.contains(*right)) => Ok(process),
            Object::Process(..) => Err(NtStatus::ACCESS_DENIED),
            Object::Token(_) | Object::Thread(..) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        }
    }
}
