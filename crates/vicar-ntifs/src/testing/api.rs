//! The C side of the test kernel.

use std::ffi::c_char;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::Arc;

use vicar_kernel::anonymous::EveryoneIncludesAnonymous;
use vicar_kernel::{ProcessRef, Profile, ThreadRef, TokenRef};
use vicar_nt::NtStatus;

use crate::convert;
use crate::current;
use crate::entry::{Call, Routine, enter, enter_status, routine};
use crate::layout::{KPROCESSOR_MODE, LUID, NTSTATUS, PACCESS_TOKEN, PCSTR, PEPROCESS, PETHREAD, ULONG};
use crate::object;
use crate::ptr::{self, Held};
use crate::testing::spec::{Half, Person};
use crate::testing::{self, Options};
use crate::verifier::{Mode, flow};
use crate::world::{self, HostProcess, HostThread};

static RESET: Routine = routine!(vicar_reset, HIGH_LEVEL, "vicar_test.h");
static TOKEN: Routine = routine!(vicar_token_create, HIGH_LEVEL, "vicar_test.h");
static PROCESS: Routine = routine!(vicar_process_create, HIGH_LEVEL, "vicar_test.h");
static PROCESS_EXIT: Routine = routine!(vicar_process_exit, HIGH_LEVEL, "vicar_test.h");
static THREAD: Routine = routine!(vicar_thread_create, HIGH_LEVEL, "vicar_test.h");
static THREAD_EXIT: Routine = routine!(vicar_thread_exit, HIGH_LEVEL, "vicar_test.h");
static USER: Routine = routine!(vicar_user_thread, HIGH_LEVEL, "vicar_test.h");
static ACT: Routine = routine!(vicar_act_as, HIGH_LEVEL, "vicar_test.h");
static MODE: Routine = routine!(vicar_set_previous_mode, HIGH_LEVEL, "vicar_test.h");
static RETURN: Routine = routine!(vicar_return_to_user_mode, HIGH_LEVEL, "vicar_test.h");
static OBJECT: Routine = routine!(vicar_object_access, HIGH_LEVEL, "vicar_test.h");
static FAIL_ALLOCATION: Routine = routine!(vicar_fail_allocation, HIGH_LEVEL, "vicar_test.h");
static FAIL_ROUTINE: Routine = routine!(vicar_fail_routine, HIGH_LEVEL, "vicar_test.h");
static BALANCE: Routine = routine!(vicar_balance, HIGH_LEVEL, "vicar_test.h");
static POOL: Routine = routine!(vicar_pool_bytes, HIGH_LEVEL, "vicar_test.h");
static ALLOCATIONS: Routine = routine!(vicar_allocation_count, HIGH_LEVEL, "vicar_test.h");
static REFERENCES: Routine = routine!(vicar_reference_count, HIGH_LEVEL, "vicar_test.h");

/// How a world is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VICAR_WORLD {
    /// Size of this structure in bytes.
    pub Size: ULONG,
    /// 0 to 4: which generation of Windows.
    pub Profile: ULONG,
    /// 0: off, 1: findings are collected, 2: the first one ends the process.
    pub Verifier: ULONG,
    /// Bit 0: the anonymous user counts as one of everyone.
    pub Flags: ULONG,
}

/// What a token is to be; a null text is what an ordinary user has.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VICAR_PERSON {
    /// Size of this structure in bytes.
    pub Size: ULONG,
    /// Bit 0: write-restricted; bit 1: less privileged AppContainer; bit 2: elevated half; bit 3: limited half.
    pub Flags: ULONG,
    /// A SID.
    pub User: PCSTR,
    /// SIDs, with `:deny`, `:owner`, `:primary`, `:disabled`, `:optional`, `:logon`.
    pub Groups: PCSTR,
    /// Names, with `:disabled`; or `all`.
    pub Privileges: PCSTR,
    /// `low`, `medium`, ...
    pub Integrity: PCSTR,
    /// SIDs.
    pub Restricted: PCSTR,
    /// A SID.
    pub Package: PCSTR,
    /// SIDs.
    pub Capabilities: PCSTR,
    /// A SID.
    pub Trust: PCSTR,
    /// The terminal session.
    pub Session: ULONG,
    /// -1: a primary token; 0 to 3: an impersonation token of this level.
    pub Level: i32,
    /// The logon session; zero starts a new one.
    pub LogonId: LUID,
    /// The logon session that made it with explicit credentials, or zero.
    pub Origin: LUID,
}

/// Makes a new world; what C code keeps of the old one means nothing any more.
///
/// C: `NTSTATUS vicar_reset(const VICAR_WORLD *World);` with NULL for profile V4 and a verifier that ends the process.
///
/// # Safety
/// `World` is null or points to its structure.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_reset(World: *const VICAR_WORLD) -> NTSTATUS {
    enter_status(&RESET, |_| {
        current::act_as_system();
        let Some(world) = ptr::read(World) else { return world::reset(Options::STANDARD) };
        let profile = match world.Profile {
            0 => Profile::V0,
            1 => Profile::V1,
            2 => Profile::V2,
            3 => Profile::V3,
            4 => Profile::V4,
            5.. => return Err(NtStatus::INVALID_PARAMETER),
        };
        let everyone = match world.Flags & 1 {
            0 => EveryoneIncludesAnonymous::No,
            _ => EveryoneIncludesAnonymous::Yes,
        };
        let verifier = Mode::from_number(world.Verifier).ok_or(NtStatus::INVALID_PARAMETER)?;
        world::reset(Options { profile, verifier, everyone, ..Options::STANDARD })
    })
}

/// Reads a text; null is `otherwise`.
fn word<'a>(call: &'a Call, text: PCSTR, otherwise: &'a str) -> Result<&'a str, NtStatus> {
    if text.is_null() { Ok(otherwise) } else { ptr::text(call, text).ok_or(NtStatus::INVALID_PARAMETER) }
}

fn token(call: &Call, from: *const VICAR_PERSON) -> Result<TokenRef, NtStatus> {
    let person = ptr::read(from).ok_or(NtStatus::INVALID_PARAMETER)?;
    let plain = Person::new("");
    let person = Person {
        user: word(call, person.User, "")?,
        groups: word(call, person.Groups, plain.groups)?,
        privileges: word(call, person.Privileges, plain.privileges)?,
        integrity: word(call, person.Integrity, plain.integrity)?,
        restricted: word(call, person.Restricted, plain.restricted)?,
        is_write_restricted: person.Flags & 1 != 0,
        package: word(call, person.Package, plain.package)?,
        capabilities: word(call, person.Capabilities, plain.capabilities)?,
        is_lpac: person.Flags & 2 != 0,
        trust: word(call, person.Trust, plain.trust)?,
        session: person.Session,
        half: match person.Flags & 0xC {
            0x4 => Half::Full,
            0x8 => Half::Limited,
            _ => Half::None,
        },
        logon: convert::from_luid(person.LogonId),
        origin: convert::from_luid(person.Origin),
        level: match person.Level {
            -1 => None,
            level => Some(convert::from_level(level)?),
        },
    };
    person.token(&world::current().system)
}

/// Stores `made`, or null when it was not made.
fn store<T>(to: *mut *mut T, made: Result<*mut T, NtStatus>) -> Result<(), NtStatus> {
    if !ptr::write(to, made.unwrap_or(null_mut())) {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    made.map(drop)
}

/// Makes a token, of which the caller gets a reference.
///
/// C: `NTSTATUS vicar_token_create(const VICAR_PERSON *Person, PACCESS_TOKEN *Token);`
///
/// # Safety
/// The pointers are null or point to their structures.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_token_create(Person: *const VICAR_PERSON, Token: *mut PACCESS_TOKEN) -> NTSTATUS {
    enter_status(&TOKEN, |call| store(Token, token(call, Person).map(|token| object::give(call, token))))
}

fn pointer_of_process(process: &HostProcess) -> PEPROCESS {
    with_exposed_provenance_mut(process.pointer)
}

fn pointer_of_thread(thread: &HostThread) -> PETHREAD {
    with_exposed_provenance_mut(thread.pointer)
}

/// Makes a process that runs under a primary token. The pointer may be used until [`vicar_process_exit`]; no reference
/// is the caller's.
///
/// C: `NTSTATUS vicar_process_create(PACCESS_TOKEN Primary, PEPROCESS *Process);`
///
/// # Safety
/// `Primary` is a token that the caller references; `Process` is null or room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_process_create(Primary: PACCESS_TOKEN, Process: *mut PEPROCESS) -> NTSTATUS {
    enter_status(&PROCESS, |call| {
        let primary: Option<Held<TokenRef>> = object::look(call, Primary);
        let made = primary
            .ok_or(NtStatus::INVALID_PARAMETER)
            .and_then(|primary| Ok(pointer_of_process(&*world::current().create_process(TokenRef::clone(&primary))?)));
        store(Process, made)
    })
}

/// Ends a process: its handles are closed.
///
/// C: `void vicar_process_exit(PEPROCESS Process);`
///
/// # Safety
/// `Process` came from [`vicar_process_create`].
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_process_exit(Process: PEPROCESS) {
    enter(&PROCESS_EXIT, |call| {
        let world = world::current();
        let found = object::look::<ProcessRef>(call, Process).and_then(|process| world.find_process(process.id()));
        if let Some(process) = found {
            world.end_process(&process);
        }
    });
}

/// Makes a thread of a process. The pointer may be used until [`vicar_thread_exit`]; no reference is the caller's.
///
/// C: `NTSTATUS vicar_thread_create(PEPROCESS Process, PETHREAD *Thread);`
///
/// # Safety
/// `Process` is a process that the caller may use; `Thread` is null or room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_thread_create(Process: PEPROCESS, Thread: *mut PETHREAD) -> NTSTATUS {
    enter_status(&THREAD, |call| {
        let world = world::current();
        let found = object::look::<ProcessRef>(call, Process).and_then(|process| world.find_process(process.id()));
        let made = found.ok_or(NtStatus::INVALID_PARAMETER);
        store(Thread, made.map(|process| pointer_of_thread(&world.create_thread(&process, false))))
    })
}

fn host_thread(call: &Call, thread: PETHREAD) -> Option<Arc<HostThread>> {
    object::look::<ThreadRef>(call, thread).and_then(|thread| world::current().find_thread(thread.id()))
}

/// Ends a thread: it gives back what it wears.
///
/// C: `void vicar_thread_exit(PETHREAD Thread);`
///
/// # Safety
/// `Thread` came from [`vicar_thread_create`] or [`vicar_user_thread`].
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_thread_exit(Thread: PETHREAD) {
    enter(&THREAD_EXIT, |call| {
        if let Some(thread) = host_thread(call, Thread) {
            testing::note_exit(&thread, testing::site_of(&THREAD_EXIT));
            world::current().end_thread(&thread);
        }
    });
}

/// Makes a token, a process that runs under it and a thread of that process, all of them the world's.
///
/// C: `NTSTATUS vicar_user_thread(const VICAR_PERSON *Person, PETHREAD *Thread);`
///
/// # Safety
/// The pointers are null or point to their structures.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_user_thread(Person: *const VICAR_PERSON, Thread: *mut PETHREAD) -> NTSTATUS {
    enter_status(&USER, |call| {
        let made = token(call, Person).and_then(|token| {
            let world = world::current();
            let process = world.create_process(token)?;
            Ok(pointer_of_thread(&world.create_thread(&process, false)))
        });
        store(Thread, made)
    })
}

/// Makes the calling thread of the program act as a thread of the world; NULL makes it a system thread.
///
/// C: `NTSTATUS vicar_act_as(PETHREAD Thread);`
///
/// # Safety
/// `Thread` is null or a thread that the caller may use.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_act_as(Thread: PETHREAD) -> NTSTATUS {
    enter_status(&ACT, |call| {
        if Thread.is_null() {
            current::act_as_system();
            return Ok(());
        }
        current::act_as(host_thread(call, Thread).ok_or(NtStatus::INVALID_PARAMETER)?);
        Ok(())
    })
}

/// Says whose request the calling thread works on, and returns whose it was.
///
/// C: `KPROCESSOR_MODE vicar_set_previous_mode(KPROCESSOR_MODE Mode);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_set_previous_mode(Mode: KPROCESSOR_MODE) -> KPROCESSOR_MODE {
    enter(&MODE, |_| current::seat().previous_mode.replace(Mode))
}

/// Marks the point where the calling thread goes back to user mode.
///
/// C: `void vicar_return_to_user_mode(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_return_to_user_mode() {
    enter(&RETURN, |call| testing::return_to_user_mode(call.site()));
}

/// Says that something works on an object as whoever the calling thread acts as.
///
/// C: `void vicar_object_access(const char *What);`
///
/// # Safety
/// `What` is null or a text that ends with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_object_access(What: *const c_char) {
    enter(&OBJECT, |call| {
        flow::works(call, ptr::text(call, What).unwrap_or("an object was worked on"));
    });
}

/// Makes the nth allocation from now fail once, with a status or, for zero, the usual one; nth zero takes a plan back.
///
/// C: `void vicar_fail_allocation(ULONG64 Nth, NTSTATUS Status);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_fail_allocation(Nth: u64, Status: NTSTATUS) {
    enter(&FAIL_ALLOCATION, |_| match Status {
        0 => testing::fail_allocation(Nth),
        status => testing::fail_allocation_with(Nth, NtStatus(status.cast_unsigned())),
    });
}

/// Makes the next call of a routine that answers with a status answer this one and do nothing.
///
/// C: `NTSTATUS vicar_fail_routine(const char *Routine, NTSTATUS Status);`
///
/// # Safety
/// `Routine` is null or a text.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_fail_routine(Routine: *const c_char, Status: NTSTATUS) -> NTSTATUS {
    enter_status(&FAIL_ROUTINE, |call| {
        world::plan_failure(ptr::text(call, Routine).ok_or(NtStatus::INVALID_PARAMETER)?, Status);
        Ok(())
    })
}

/// Returns the number of token references that are held in the world.
///
/// C: `LONG64 vicar_balance(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_balance() -> i64 {
    enter(&BALANCE, |_| testing::balance())
}

/// Returns the bytes that are charged to the world's pool.
///
/// C: `ULONG64 vicar_pool_bytes(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_pool_bytes() -> u64 {
    enter(&POOL, |_| testing::pool_bytes())
}

/// Returns how many allocations were tried in this world, refused ones included.
///
/// C: `ULONG64 vicar_allocation_count(void);`
///
/// # Safety
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_allocation_count() -> u64 {
    enter(&ALLOCATIONS, |_| testing::allocation_count())
}

/// Returns how many references there are to a token; zero for what is no token.
///
/// C: `ULONG64 vicar_reference_count(PACCESS_TOKEN Token);`
///
/// # Safety
/// `Token` is a token that the caller references.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn vicar_reference_count(Token: PACCESS_TOKEN) -> u64 {
    enter(&REFERENCES, |call| {
        // Looking takes a reference when pointers are numbers, which is not one of those counted.
        match object::look::<TokenRef>(call, Token) {
            None => 0,
            Some(held @ Held::Borrowed(_)) => u64::try_from(held.reference_count()).unwrap_or(0),
            Some(held @ Held::Owned(_)) => u64::try_from(held.reference_count()).unwrap_or(0).saturating_sub(1),
        }
    })
}
