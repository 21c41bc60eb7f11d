//! Changing the privileges and groups of a token by its handle.

use vicar_kernel::handle::right;
use vicar_kernel::token::Info;
use vicar_nt::check::AccessMode;
use vicar_nt::privilege::LuidAndAttributes;
use vicar_nt::token::GroupChange;
use vicar_nt::{AccessMask, GroupAttributes, NtStatus, Sid};

use super::{answer, held, previous_mode, probe, probe_optional};
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle::{self, Table};
use crate::layout::{BOOLEAN, HANDLE, NTSTATUS, TOKEN_GROUPS, TOKEN_PRIVILEGES, ULONG};
use crate::ptr;
use crate::se::filter;
use crate::se::information::marshal;

static ZW_PRIVILEGES: Routine =
    routine!(ZwAdjustPrivilegesToken, PASSIVE_LEVEL, "AdjustTokenPrivileges (securitybaseapi.h page)");
static NT_PRIVILEGES: Routine =
    routine!(NtAdjustPrivilegesToken, PASSIVE_LEVEL, "AdjustTokenPrivileges (securitybaseapi.h page)");
static ZW_GROUPS: Routine = routine!(ZwAdjustGroupsToken, PASSIVE_LEVEL, "AdjustTokenGroups (securitybaseapi.h page)");
static NT_GROUPS: Routine = routine!(NtAdjustGroupsToken, PASSIVE_LEVEL, "AdjustTokenGroups (securitybaseapi.h page)");

/// A change, as the headers name its arguments, and the room for what was before it.
struct Change<L> {
    TokenHandle: HANDLE,
    /// Whether all are changed, and the list is not looked at.
    all: BOOLEAN,
    NewState: *const L,
    BufferLength: ULONG,
    PreviousState: *mut L,
    ReturnLength: *mut ULONG,
}

impl<L> Change<L> {
    /// Tests the arguments.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when there is neither a list nor the wish to change all.
    /// - `STATUS_ACCESS_VIOLATION` when the state before is wanted and not its length; `STATUS_DATATYPE_MISALIGNMENT`.
    fn probe(&self, call: &Call, mode: AccessMode) -> Result<(), NtStatus> {
        ptr::write(self.ReturnLength, 0);
        if self.all == 0 {
            if self.NewState.is_null() {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            probe(call, self.NewState.cast::<ULONG>(), mode)?;
        }
        if self.PreviousState.is_null() {
            return probe_optional(call, self.ReturnLength, mode);
        }
        probe(call, self.PreviousState.cast::<ULONG>().cast_const(), mode)?;
        probe(call, self.ReturnLength, mode)
    }

    /// The rights that the change takes.
    fn rights(&self, change: AccessMask) -> AccessMask {
        if self.PreviousState.is_null() { change } else { change.union(right::QUERY) }
    }

    /// Tells the length of what was before, and whether there is room for it if it is wanted.
    fn fits(&self, before: &Info) -> bool {
        let length = ULONG::try_from(before.size()).unwrap_or(ULONG::MAX);
        ptr::write(self.ReturnLength, length);
        self.PreviousState.is_null() || length <= self.BufferLength
    }

    /// Stores what was before, if it is wanted.
    fn store(&self, call: &Call, before: &Info) -> Result<(), NtStatus> {
        if !self.PreviousState.is_null() {
            let block = marshal(call, before, self.PreviousState.addr(), Table::Own)?;
            ptr::write_bytes(self.PreviousState.cast(), &block);
        }
        Ok(())
    }
}

fn privileges(call: &Call, change: &Change<TOKEN_PRIVILEGES>, mode: AccessMode) -> Result<(), NtStatus> {
    change.probe(call, mode)?;
    let list: Option<Vec<LuidAndAttributes>> = match change.all {
        0 => Some(filter::privileges(change.NewState)?),
        1.. => None,
    };
    let opened = handle::token(call, change.TokenHandle, mode)?;
    let token = held(&opened, change.rights(right::ADJUST_PRIVILEGES), mode)?;
    let adjusted = match list {
        Some(list) => token.adjust_privileges_if(&list, |made| change.fits(&Info::Privileges(made.changed_since())))?,
        None => token.disable_all_privileges_if(|made| change.fits(&Info::Privileges(made.changed_since())))?,
    };
    change.store(call, &Info::Privileges(adjusted.changed_since()))?;
    answer(adjusted.status())
}

fn groups(call: &Call, change: &Change<TOKEN_GROUPS>, mode: AccessMode) -> Result<(), NtStatus> {
    change.probe(call, mode)?;
    let list: Option<Vec<(Sid, GroupChange)>> = match change.all {
        0 => {
            let groups = filter::groups(call, change.NewState)?.into_iter();
            Some(groups.map(|group| (group.sid, wish(group.attributes))).collect())
        }
        1.. => None,
    };
    let opened = handle::token(call, change.TokenHandle, mode)?;
    let token = held(&opened, change.rights(right::ADJUST_GROUPS), mode)?;
    let adjusted = match list {
        Some(list) => token.adjust_groups_if(&list, |made| change.fits(&Info::Sids(made.previous.clone())))?,
        None => token.reset_groups_if(|made| change.fits(&Info::Sids(made.previous.clone())))?,
    };
    change.store(call, &Info::Sids(adjusted.previous))?;
    answer(if adjusted.all_assigned { NtStatus::SUCCESS } else { NtStatus::NOT_ALL_ASSIGNED })
}

/// What a list wants with a group.
fn wish(attributes: GroupAttributes) -> GroupChange {
    if attributes.contains(GroupAttributes::ENABLED) { GroupChange::Enable } else { GroupChange::Disable }
}

/// Enables, disables and removes privileges, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_NOT_ALL_ASSIGNED`, a success, when one was not there or may not be enabled: the others are
/// changed. Nothing is changed at all by `STATUS_INVALID_PARAMETER` when there is neither a list nor the wish to disable all,
/// or far too long a one; `STATUS_ACCESS_VIOLATION`, `STATUS_DATATYPE_MISALIGNMENT`; the handle statuses;
/// `STATUS_BUFFER_TOO_SMALL` when the state before is wanted and does not fit. `*ReturnLength` is the bytes of the privileges
/// that change, as they were, or zero when it did not come so far.
///
/// # Safety
/// Each list is null or has as many entries as it says, `PreviousState` is null or has `BufferLength` bytes, `ReturnLength` is
/// null or points to a number.
///
/// # Source
/// AdjustTokenPrivileges (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAdjustPrivilegesToken(
    TokenHandle: HANDLE,
    DisableAllPrivileges: BOOLEAN,
    NewState: *const TOKEN_PRIVILEGES,
    BufferLength: ULONG,
    PreviousState: *mut TOKEN_PRIVILEGES,
    ReturnLength: *mut ULONG,
) -> NTSTATUS {
    let change = Change { TokenHandle, all: DisableAllPrivileges, NewState, BufferLength, PreviousState, ReturnLength };
    enter_status(&ZW_PRIVILEGES, |call| privileges(call, &change, AccessMode::Kernel))
}

/// [`ZwAdjustPrivilegesToken`] for whoever the calling thread works for: a user's handle needs `TOKEN_ADJUST_PRIVILEGES`, and
/// `TOKEN_QUERY` to be told the state before.
///
/// # Safety
/// As for [`ZwAdjustPrivilegesToken`].
///
/// # Source
/// AdjustTokenPrivileges (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAdjustPrivilegesToken(
    TokenHandle: HANDLE,
    DisableAllPrivileges: BOOLEAN,
    NewState: *const TOKEN_PRIVILEGES,
    BufferLength: ULONG,
    PreviousState: *mut TOKEN_PRIVILEGES,
    ReturnLength: *mut ULONG,
) -> NTSTATUS {
    let change = Change { TokenHandle, all: DisableAllPrivileges, NewState, BufferLength, PreviousState, ReturnLength };
    enter_status(&NT_PRIVILEGES, |call| privileges(call, &change, previous_mode()))
}

/// Enables and disables groups, for the kernel: all of a list, or none.
///
/// # Returns
/// `STATUS_SUCCESS`; `STATUS_NOT_ALL_ASSIGNED`, a success, when the token lacks one; the user counts as such. Nothing is changed
/// by `STATUS_CANT_DISABLE_MANDATORY`, `STATUS_CANT_ENABLE_DENY_ONLY`, `STATUS_INVALID_SID` and what
/// [`ZwAdjustPrivilegesToken`] answers. `*ReturnLength` is as there.
///
/// # Safety
/// As for [`ZwAdjustPrivilegesToken`].
///
/// # Source
/// AdjustTokenGroups (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwAdjustGroupsToken(
    TokenHandle: HANDLE,
    ResetToDefault: BOOLEAN,
    NewState: *const TOKEN_GROUPS,
    BufferLength: ULONG,
    PreviousState: *mut TOKEN_GROUPS,
    ReturnLength: *mut ULONG,
) -> NTSTATUS {
    let change = Change { TokenHandle, all: ResetToDefault, NewState, BufferLength, PreviousState, ReturnLength };
    enter_status(&ZW_GROUPS, |call| groups(call, &change, AccessMode::Kernel))
}

/// [`ZwAdjustGroupsToken`] for whoever the calling thread works for: a user's handle needs `TOKEN_ADJUST_GROUPS`, and
/// `TOKEN_QUERY` to be told the state before.
///
/// # Safety
/// As for [`ZwAdjustPrivilegesToken`].
///
/// # Source
/// AdjustTokenGroups (securitybaseapi.h page); spec/nt-impersonation 2.23.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtAdjustGroupsToken(
    TokenHandle: HANDLE,
    ResetToDefault: BOOLEAN,
    NewState: *const TOKEN_GROUPS,
    BufferLength: ULONG,
    PreviousState: *mut TOKEN_GROUPS,
    ReturnLength: *mut ULONG,
) -> NTSTATUS {
    let change = Change { TokenHandle, all: ResetToDefault, NewState, BufferLength, PreviousState, ReturnLength };
    enter_status(&NT_GROUPS, |call| groups(call, &change, previous_mode()))
}
