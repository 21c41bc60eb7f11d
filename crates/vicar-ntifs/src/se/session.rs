//! Logon sessions: marking them, and being told that they ended.

use vicar_nt::{Luid, NtStatus};

use crate::convert;
use crate::entry::{Call, Routine, enter_status, routine};
use crate::layout::{LUID, NTSTATUS};
use crate::ptr;
use crate::verifier::Rule;
use crate::world::{self, World};

static MARK: Routine = routine!(
    SeMarkLogonSessionForTerminationNotification,
    PASSIVE_LEVEL,
    "SeMarkLogonSessionForTerminationNotification (ntifs.h page)"
);
static REGISTER: Routine = routine!(
    SeRegisterLogonSessionTerminatedRoutine,
    PASSIVE_LEVEL,
    "SeRegisterLogonSessionTerminatedRoutine (ntifs.h page)"
);
static UNREGISTER: Routine = routine!(
    SeUnregisterLogonSessionTerminatedRoutine,
    PASSIVE_LEVEL,
    "SeUnregisterLogonSessionTerminatedRoutine (ntifs.h page)"
);

/// A routine that is told of a logon session that ended.
pub type SE_LOGON_SESSION_TERMINATED_ROUTINE = extern "system" fn(*const LUID) -> NTSTATUS;

/// Asks that the registered routines be told when a logon session ends.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_NOT_FOUND` when there is no such session; `STATUS_INVALID_PARAMETER` for null.
///
/// # Safety
/// `LogonId` is null or points to an identifier.
///
/// # Source
/// SeMarkLogonSessionForTerminationNotification (ntifs.h page); spec/nt-impersonation 2.21.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeMarkLogonSessionForTerminationNotification(LogonId: *const LUID) -> NTSTATUS {
    enter_status(&MARK, |call| {
        let Some(id) = ptr::read(LogonId) else {
            call.report(Rule::NullArgument, "LogonId is NULL");
            return Err(NtStatus::INVALID_PARAMETER);
        };
        world::current().system.mark_for_termination_notice(convert::from_luid(id))
    })
}

/// Registers a routine that is told of marked logon sessions that end. Registering it twice makes two registrations.
///
/// It is called on the thread that gives the last token back.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for null; `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`.
///
/// # Safety
/// `CallbackRoutine` is null or a routine that may be called until it is unregistered.
///
/// # Source
/// SeRegisterLogonSessionTerminatedRoutine (ntifs.h page); spec/nt-impersonation 2.21.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeRegisterLogonSessionTerminatedRoutine(
    CallbackRoutine: Option<SE_LOGON_SESSION_TERMINATED_ROUTINE>,
) -> NTSTATUS {
    enter_status(&REGISTER, |_| {
        let routine = CallbackRoutine.ok_or(NtStatus::INVALID_PARAMETER)?;
        let world = world::current();
        let id = world.system.register_termination_routine(move |id: Luid| {
            let id = convert::luid(id);
            // What the routine answers is for nobody.
            let _ = routine(&raw const id);
        })?;
        registrations(&world).push(((routine as *const ()).addr(), id));
        Ok(())
    })
}

fn registrations(world: &World) -> std::sync::MutexGuard<'_, Vec<(usize, vicar_kernel::logon::RoutineId)>> {
    world.registrations.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Takes one registration of a routine back.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_INVALID_PARAMETER` for null; for a routine that is not registered what the world's policy
/// says: `STATUS_NOT_FOUND`, or `STATUS_INSUFFICIENT_RESOURCES` as the page has it.
///
/// # Safety
/// None needed.
///
/// # Source
/// SeUnregisterLogonSessionTerminatedRoutine (ntifs.h page); spec/nt-impersonation 2.21.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeUnregisterLogonSessionTerminatedRoutine(
    CallbackRoutine: Option<SE_LOGON_SESSION_TERMINATED_ROUTINE>,
) -> NTSTATUS {
    enter_status(&UNREGISTER, |call| unregister(call, CallbackRoutine))
}

fn unregister(_call: &Call, routine: Option<SE_LOGON_SESSION_TERMINATED_ROUTINE>) -> Result<(), NtStatus> {
    let address = (routine.ok_or(NtStatus::INVALID_PARAMETER)? as *const ()).addr();
    let world = world::current();
    let mut list = registrations(&world);
    let found = list.iter().position(|(registered, _)| *registered == address).map(|index| list.remove(index));
    drop(list);
    match found {
        Some((_, id)) => world.system.unregister_termination_routine(id),
        None => Err(match world.system.policy().missing_routine {
            vicar_kernel::policy::MissingRoutine::NotFound => NtStatus::NOT_FOUND,
            vicar_kernel::policy::MissingRoutine::InsufficientResources => NtStatus::INSUFFICIENT_RESOURCES,
        }),
    }
}
