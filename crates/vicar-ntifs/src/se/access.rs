//! Access checks of a subject context.

use std::cell::Cell;
use std::mem::offset_of;

use vicar_kernel::access::{Access, Granted};
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::privilege::PrivilegeMask;
use vicar_nt::{GenericMapping, NtStatus, RequestedMask};

use crate::convert;
use crate::entry::{Call, Routine, enter, planned, routine};
use crate::ex::pool;
use crate::layout::{
    ACCESS_MASK, BOOLEAN, GENERIC_MAPPING, KPROCESSOR_MODE, LUID_AND_ATTRIBUTES, NTSTATUS, PACCESS_TOKEN,
    PRIVILEGE_SET, PSECURITY_DESCRIPTOR, SECURITY_SUBJECT_CONTEXT,
};
use crate::ptr;
use crate::se::subject;
use crate::verifier::{Rule, book, flow};

static CHECK: Routine = routine!(SeAccessCheck, PASSIVE_LEVEL, "SeAccessCheck (wdm.h page)");
static FREE: Routine = routine!(SeFreePrivileges, PASSIVE_LEVEL, "SeFreePrivileges (ntifs.h page)");

const USED_FOR_ACCESS: u32 = 0x8000_0000;

/// What is asked, apart from who asks.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    pub(crate) descriptor: PSECURITY_DESCRIPTOR,
    pub(crate) desired: ACCESS_MASK,
    pub(crate) previous: ACCESS_MASK,
    pub(crate) mapping: GenericMapping,
    pub(crate) mode: KPROCESSOR_MODE,
}

/// Checks access for a subject to what a descriptor of either form protects.
///
/// # Errors
/// - as for [`vicar_kernel::SubjectContext::access_check`].
/// - `STATUS_INVALID_SECURITY_DESCR` when the descriptor is malformed; it grants nothing to a user.
pub(crate) fn check(
    call: &Call,
    subject: &vicar_kernel::SubjectContext,
    question: Question,
) -> Result<Granted, NtStatus> {
    let ask = |descriptor: Option<DescriptorRef<'_>>| {
        subject.access_check(&Access {
            descriptor,
            desired: RequestedMask(question.desired),
            previously_granted: RequestedMask(question.previous),
            mapping: question.mapping,
            mode: convert::mode(question.mode),
        })
    };
    if question.descriptor.is_null() {
        return ask(None);
    }
    let bytes = ptr::descriptor(call, question.descriptor)?;
    // Taken out for the time: the answer may end a session, whose routines may check access themselves.
    let kept = LAST.take().filter(|kept| kept.as_bytes() == &*bytes);
    let descriptor = match kept {
        Some(kept) => kept,
        None => Descriptor::parse(&bytes).map_err(|_| NtStatus::INVALID_SECURITY_DESCR)?,
    };
    let result = ask(Some(descriptor.as_ref()));
    LAST.set(Some(descriptor));
    result
}

thread_local! {
    /// The descriptor that this thread asked about last, validated. It is used again for the same bytes.
    static LAST: Cell<Option<Descriptor>> = const { Cell::new(None) };
}

/// Makes the set of the privileges that a check used; null when it used none.
///
/// # Errors
/// - as for [`pool::allocate`].
pub(crate) fn privileges_used(call: &Call, used: PrivilegeMask) -> Result<*mut PRIVILEGE_SET, NtStatus> {
    if used.is_empty() {
        return Ok(std::ptr::null_mut());
    }
    let count = usize::try_from(used.count()).unwrap_or(0);
    let length = count.saturating_mul(size_of::<LUID_AND_ATTRIBUTES>()).saturating_add(8);
    let set = pool::allocate(call, length, *b"Sepv", 0)?.cast::<PRIVILEGE_SET>();
    ptr::write(set.cast::<u32>(), used.count());
    ptr::write(set.cast::<u32>().wrapping_add(1), 1);
    let entries = set.cast::<u32>().wrapping_add(2).cast::<LUID_AND_ATTRIBUTES>();
    for (index, privilege) in used.iter().enumerate() {
        let entry = LUID_AND_ATTRIBUTES { Luid: convert::luid(privilege.luid()), Attributes: USED_FOR_ACCESS };
        ptr::write_at(entries, index, entry);
    }
    Ok(set)
}

/// Checks access for a subject context to what a descriptor protects.
///
/// # Returns
/// Whether everything that was asked for is granted. `GrantedAccess` is what is granted, or zero; `AccessStatus` says why:
/// `STATUS_SUCCESS`, `STATUS_ACCESS_DENIED`, `STATUS_BAD_IMPERSONATION_LEVEL` when the client may not act,
/// `STATUS_PRIVILEGE_NOT_HELD`, `STATUS_INVALID_SECURITY_DESCR` for a malformed descriptor. `Privileges`, if it is given,
/// receives the privileges that were used, to be freed by [`SeFreePrivileges`], or null.
///
/// # Safety
/// Every pointer is null or points to what it says; the descriptor and its parts are readable.
///
/// # Source
/// SeAccessCheck (wdm.h page); MS-DTYP 2.5.3.2; spec/nt-impersonation 4.1, 4.2.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeAccessCheck(
    SecurityDescriptor: PSECURITY_DESCRIPTOR,
    SubjectSecurityContext: *const SECURITY_SUBJECT_CONTEXT,
    SubjectContextLocked: BOOLEAN,
    DesiredAccess: ACCESS_MASK,
    PreviouslyGrantedAccess: ACCESS_MASK,
    Privileges: *mut *mut PRIVILEGE_SET,
    GenericMapping: *const GENERIC_MAPPING,
    AccessMode: KPROCESSOR_MODE,
    GrantedAccess: *mut ACCESS_MASK,
    AccessStatus: *mut NTSTATUS,
) -> BOOLEAN {
    enter(&CHECK, |call| {
        if call.is_verified() {
            test_lock(call, SubjectSecurityContext, SubjectContextLocked);
            flow::checks(call, AccessMode);
            let client = offset_of!(SECURITY_SUBJECT_CONTEXT, ClientToken);
            let client: Option<PACCESS_TOKEN> = ptr::read(ptr::field(SubjectSecurityContext, client));
            flow::decides(call, AccessMode, client.is_none_or(|client| !client.is_null()));
            flow::answers_by_level(call, SubjectSecurityContext);
        }
        let result = match planned(call) {
            Some(status) => Err(NtStatus(status.cast_unsigned())),
            None => ask(
                call,
                SubjectSecurityContext,
                GenericMapping,
                Question {
                    descriptor: SecurityDescriptor,
                    desired: DesiredAccess,
                    previous: PreviouslyGrantedAccess,
                    mapping: vicar_nt::GenericMapping::of(0, 0, 0, 0),
                    mode: AccessMode,
                },
            ),
        };
        answer(call, result, Privileges, GrantedAccess, AccessStatus)
    })
}

fn ask(
    call: &Call,
    subject: *const SECURITY_SUBJECT_CONTEXT,
    mapping: *const GENERIC_MAPPING,
    question: Question,
) -> Result<Granted, NtStatus> {
    let Some(mapping) = ptr::read(mapping) else {
        call.report(Rule::NullArgument, "GenericMapping is NULL");
        return Err(NtStatus::ACCESS_DENIED);
    };
    let question = Question { mapping: convert::mapping(mapping), ..question };
    subject::view(call, subject, |subject| check(call, subject, question)).ok_or(NtStatus::ACCESS_DENIED)?
}

#[cold]
fn test_lock(call: &Call, subject: *const SECURITY_SUBJECT_CONTEXT, locked: BOOLEAN) {
    let Some(context) = ptr::read(subject) else { return };
    if locked != 0 && !book::is_locked(subject.addr(), context.PrimaryToken.addr()) {
        call.report(Rule::SubjectNotLocked, "SubjectContextLocked is TRUE and the subject context is not locked");
    }
}

/// Writes an answer in the way of `SeAccessCheck`.
pub(crate) fn answer(
    call: &Call,
    result: Result<Granted, NtStatus>,
    privileges: *mut *mut PRIVILEGE_SET,
    granted: *mut ACCESS_MASK,
    status: *mut NTSTATUS,
) -> BOOLEAN {
    let result = result.and_then(|answer| {
        let used = match privileges.is_null() {
            true => std::ptr::null_mut(),
            false => privileges_used(call, answer.privileges)?,
        };
        ptr::write(privileges, used);
        Ok(answer)
    });
    if result.is_err() {
        ptr::write(privileges, std::ptr::null_mut());
    }
    let (mask, code) = match result {
        Ok(answer) => (answer.mask.bits(), NtStatus::SUCCESS),
        Err(status) => (0, status),
    };
    let written = [ptr::write(granted, mask), ptr::write(status, convert::status(code))];
    if written != [true; 2] {
        call.report(Rule::NullArgument, "GrantedAccess or AccessStatus is NULL");
    }
    u8::from(code == NtStatus::SUCCESS && written == [true; 2])
}

/// Frees a set of privileges that an access check made; null is none.
///
/// # Safety
/// `Privileges` is such a set.
///
/// # Source
/// SeFreePrivileges (ntifs.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn SeFreePrivileges(Privileges: *mut PRIVILEGE_SET) {
    enter(&FREE, |call| {
        if !Privileges.is_null() {
            pool::free(call, Privileges.cast());
        }
    });
}
