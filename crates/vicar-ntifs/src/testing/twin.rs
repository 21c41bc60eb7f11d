//! The Rust twin of the C interface: people and who acts.

use std::ffi::c_void;
use std::ptr::with_exposed_provenance_mut;
use std::sync::Arc;

use vicar_kernel::block::ThreadBlock;
use vicar_nt::NtStatus;

use crate::current;
use crate::entry::{Routine, enter, routine};
use crate::layout::{PACCESS_TOKEN, PETHREAD};
use crate::object;
use crate::testing::spec::Person;
use crate::world;

static TOKEN: Routine = routine!(token, HIGH_LEVEL, "vicar_ntifs::testing");

/// Makes a token, of which the caller gets a reference.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when a word of the person means nothing, or the words do not fit together.
/// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the world's pool.
pub fn token(person: &Person<'_>) -> Result<PACCESS_TOKEN, NtStatus> {
    enter(&TOKEN, |call| Ok(object::give(call, person.token(&world::current().system)?)))
}

/// Makes a token, a process that runs under it and a thread of that process, all of them the world's.
///
/// # Errors
/// - as for [`token`].
pub fn user_thread(person: &Person<'_>) -> Result<PETHREAD, NtStatus> {
    let world = world::current();
    let process = world.create_process(person.token(&world.system)?)?;
    Ok(with_exposed_provenance_mut::<c_void>(world.create_thread(&process, false).pointer))
}

/// Makes the calling thread of the program act as a thread of the world; `None` makes it a system thread.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when the world has no such thread.
pub fn act_as(thread: Option<PETHREAD>) -> Result<(), NtStatus> {
    let Some(thread) = thread else {
        current::act_as_system();
        return Ok(());
    };
    let found = world::current().thread_at(thread.addr()).ok_or(NtStatus::INVALID_PARAMETER)?;
    current::act_as(found);
    Ok(())
}

/// Returns a thread's block in its process's memory; threads of the system have none.
///
/// # Source
/// spec/nt-impersonation 1.13.
pub fn block_of(thread: PETHREAD) -> Option<Arc<ThreadBlock>> {
    world::current().thread_at(thread.addr())?.thread.block().cloned()
}
