//! Weaker copies of tokens by handle.

use vicar_kernel::TokenHandle;
use vicar_kernel::handle::right;
use vicar_kernel::token::parse_filter_flags;
use vicar_nt::check::AccessMode;
use vicar_nt::token::Filter;
use vicar_nt::{Luid, NtStatus, Sid};

use super::{held, previous_mode, probe, probe_optional, store};
use crate::entry::{Call, Routine, enter_status, routine};
use crate::handle::{self, Table};
use crate::layout::{HANDLE, NTSTATUS, TOKEN_GROUPS, TOKEN_PRIVILEGES, ULONG};
use crate::se::filter::{groups, privileges};
use crate::world;

static ZW_FILTER: Routine = routine!(ZwFilterToken, PASSIVE_LEVEL, "CreateRestrictedToken (securitybaseapi.h page)");
static NT_FILTER: Routine = routine!(NtFilterToken, PASSIVE_LEVEL, "CreateRestrictedToken (securitybaseapi.h page)");

/// What is to be taken away, as the header names it.
struct Weaker {
    ExistingTokenHandle: HANDLE,
    Flags: ULONG,
    SidsToDisable: *const TOKEN_GROUPS,
    PrivilegesToDelete: *const TOKEN_PRIVILEGES,
    RestrictedSids: *const TOKEN_GROUPS,
}

impl Weaker {
    fn make(&self, call: &Call, mode: AccessMode) -> Result<HANDLE, NtStatus> {
        for list in [self.SidsToDisable.cast(), self.PrivilegesToDelete.cast(), self.RestrictedSids.cast::<ULONG>()] {
            probe_optional(call, list, mode)?;
        }
        let flags = parse_filter_flags(world::current().system.profile(), self.Flags)?;
        // The attributes of these are not looked at.
        let disable: Vec<Sid> = groups(call, self.SidsToDisable)?.into_iter().map(|group| group.sid).collect();
        let delete: Vec<Luid> = privileges(self.PrivilegesToDelete)?.into_iter().map(|entry| entry.luid).collect();
        let restrict = groups(call, self.RestrictedSids)?;
        let opened = handle::token(call, self.ExistingTokenHandle, mode)?;
        let filter = Filter { flags, disable: &disable, delete: &delete, restrict: &restrict };
        let made = held(&opened, right::DUPLICATE, mode)?.filter(&filter)?;
        let made = TokenHandle::with_rights(made, opened.access());
        handle::insert(call, Table::Own, |handles| handles.add_token(made))
    }
}

/// Makes a copy of a token that can do less, for the kernel.
///
/// # Returns
/// `STATUS_SUCCESS`: the new handle is the calling process's and has the rights of the old one. In this order
/// `STATUS_ACCESS_VIOLATION` and `STATUS_DATATYPE_MISALIGNMENT` for the pointers, `STATUS_INVALID_PARAMETER` for a flag that
/// means nothing to the world's profile or far too long a list, `STATUS_INVALID_SID`, the handle statuses,
/// `STATUS_INVALID_PARAMETER` for a restricting SID with attributes and write-restricting without restricting SIDs;
/// `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED`. The output is null then.
///
/// # Safety
/// Each list is null or has as many entries as it says; `NewTokenHandle` is null or room for a handle.
///
/// # Source
/// CreateRestrictedToken (securitybaseapi.h page), SeFilterToken (ntifs.h page); spec/nt-impersonation 2.14.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ZwFilterToken(
    ExistingTokenHandle: HANDLE,
    Flags: ULONG,
    SidsToDisable: *const TOKEN_GROUPS,
    PrivilegesToDelete: *const TOKEN_PRIVILEGES,
    RestrictedSids: *const TOKEN_GROUPS,
    NewTokenHandle: *mut HANDLE,
) -> NTSTATUS {
    let weaker = Weaker { ExistingTokenHandle, Flags, SidsToDisable, PrivilegesToDelete, RestrictedSids };
    enter_status(&ZW_FILTER, |call| {
        probe(call, NewTokenHandle, AccessMode::Kernel)?;
        store(NewTokenHandle, weaker.make(call, AccessMode::Kernel))
    })
}

/// [`ZwFilterToken`] for whoever the calling thread works for: a user's handle needs `TOKEN_DUPLICATE`.
///
/// # Safety
/// As for [`ZwFilterToken`].
///
/// # Source
/// CreateRestrictedToken (securitybaseapi.h page); spec/nt-impersonation 2.14.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn NtFilterToken(
    ExistingTokenHandle: HANDLE,
    Flags: ULONG,
    SidsToDisable: *const TOKEN_GROUPS,
    PrivilegesToDelete: *const TOKEN_PRIVILEGES,
    RestrictedSids: *const TOKEN_GROUPS,
    NewTokenHandle: *mut HANDLE,
) -> NTSTATUS {
    let weaker = Weaker { ExistingTokenHandle, Flags, SidsToDisable, PrivilegesToDelete, RestrictedSids };
    enter_status(&NT_FILTER, |call| {
        let mode = previous_mode();
        probe(call, NewTokenHandle, mode)?;
        store(NewTokenHandle, weaker.make(call, mode))
    })
}
