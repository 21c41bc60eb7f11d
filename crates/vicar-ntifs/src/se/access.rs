//! Access checks of a subject context.

use std::cell::Cell;
use std::mem::offset_of;

use vicar_kernel::access::{Access, Granted};
use vicar_kernel::{SeenSubject, SubjectTokens, TokenRef};
use vicar_nt::descriptor::DescriptorRef;
use vicar_nt::privilege::PrivilegeMask;
use vicar_nt::{AccessMask, GenericMapping, ImpersonationLevel, NtStatus, RequestedMask};

use crate::convert;
use crate::entry::{Call, Routine, enter, planned, routine};
use crate::ex::pool;
use crate::layout::{
    ACCESS_MASK, BOOLEAN, GENERIC_MAPPING, KPROCESSOR_MODE, LUID_AND_ATTRIBUTES, NTSTATUS, PACCESS_TOKEN,
    PRIVILEGE_SET, PSECURITY_DESCRIPTOR, SECURITY_SUBJECT_CONTEXT,
};
use crate::ptr;
use crate::se::known::Known;
use crate::se::subject;
use crate::verifier::{Rule, book, flow};

static CHECK: Routine = routine!(SeAccessCheck, PASSIVE_LEVEL, "SeAccessCheck (wdm.h page)");
static FREE: Routine = routine!(SeFreePrivileges, PASSIVE_LEVEL, "SeFreePrivileges (ntifs.h page)");

/// `SE_PRIVILEGE_USED_FOR_ACCESS`.
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

/// What a check came to. Two words, so that it is returned in registers.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    status: NtStatus,
    mask: AccessMask,
    used: PrivilegeMask,
}

impl Answer {
    /// Writes the answer in the way of `SeAccessCheck`.
    #[inline]
    pub(crate) fn store(
        mut self,
        call: &Call,
        privileges: *mut *mut PRIVILEGE_SET,
        granted: *mut ACCESS_MASK,
        status: *mut NTSTATUS,
    ) -> BOOLEAN {
        if !privileges.is_null() {
            self = self.store_used(call, privileges);
        }
        let written = [ptr::write(granted, self.mask.bits()), ptr::write(status, convert::status(self.status))];
        if written != [true; 2] {
            call.report(Rule::NullArgument, "GrantedAccess or AccessStatus is NULL");
        }
        u8::from(self.status == NtStatus::SUCCESS && written == [true; 2])
    }

    /// Writes the privileges that were used, or null; without memory for them the answer is another.
    fn store_used(self, call: &Call, to: *mut *mut PRIVILEGE_SET) -> Self {
        let (used, answer) = match privileges_used(call, self.used) {
            Ok(used) => (used, self),
            Err(status) => (std::ptr::null_mut(), Self::from(status)),
        };
        ptr::write(to, used);
        answer
    }
}

impl From<NtStatus> for Answer {
    #[inline]
    fn from(status: NtStatus) -> Self {
        Self { status, mask: AccessMask::NONE, used: PrivilegeMask::NONE }
    }
}

impl From<Result<Granted, NtStatus>> for Answer {
    #[inline]
    fn from(answer: Result<Granted, NtStatus>) -> Self {
        match answer {
            Ok(Granted { mask, privileges }) => Self { status: NtStatus::SUCCESS, mask, used: privileges },
            Err(status) => Self::from(status),
        }
    }
}

/// Checks access for a subject to what a descriptor of either form protects.
///
/// The answer is as for [`SubjectTokens::access_check`], and `STATUS_INVALID_SECURITY_DESCR` when the descriptor is
/// malformed; it grants nothing to a user.
#[inline(always)]
pub(crate) fn check(call: &Call, subject: SubjectTokens<'_>, question: &Question) -> Answer {
    // Word by word, in registers: a structure written piece by piece would be copied before its pieces have arrived.
    let client = subject.client();
    let level = client.map_or(ImpersonationLevel::Anonymous, |(_, level)| level);
    check_tokens(call, client.map(|(token, _)| token), level, subject.primary(), question)
}

fn check_tokens(
    call: &Call,
    client: Option<&TokenRef>,
    level: ImpersonationLevel,
    primary: &TokenRef,
    question: &Question,
) -> Answer {
    let subject = SubjectTokens::new(client.map(|token| (token, level)), primary);
    LAST.with(|place| {
        // Taken out for the time: the answer may end a session, whose routines may check access themselves.
        let mut last = place.take().unwrap_or_default();
        let Last { descriptor, subject: seen } = &mut *last;
        let answer = match validated(call, question.descriptor, descriptor) {
            Ok(descriptor) => Answer::from(subject.access_check(
                &Access {
                    descriptor,
                    desired: RequestedMask(question.desired),
                    previously_granted: RequestedMask(question.previous),
                    mapping: question.mapping,
                    mode: convert::mode(question.mode),
                },
                seen,
            )),
            Err(status) => Answer::from(status),
        };
        place.set(Some(last));
        answer
    })
}

/// What this thread asked about last.
#[derive(Default)]
struct Last {
    /// The object's descriptor, validated. It is used again for the same bytes.
    descriptor: Option<Known>,
    /// The states of whoever was asked about.
    subject: SeenSubject,
}

thread_local! {
    static LAST: Cell<Option<Box<Last>>> = const { Cell::new(None) };
}

/// Returns the caller's descriptor as it is now, validated; `None` for null.
///
/// # Errors
/// - `STATUS_INVALID_SECURITY_DESCR` when it is malformed.
#[inline]
fn validated<'a>(
    call: &Call,
    from: PSECURITY_DESCRIPTOR,
    last: &'a mut Option<Known>,
) -> Result<Option<DescriptorRef<'a>>, NtStatus> {
    if from.is_null() {
        return Ok(None);
    }
    if !last.as_ref().is_some_and(|last| last.is_still(call, from)) {
        validate(call, from, last)?;
    }
    Ok(last.as_ref().map(Known::descriptor))
}

#[cold]
fn validate(call: &Call, from: PSECURITY_DESCRIPTOR, last: &mut Option<Known>) -> Result<(), NtStatus> {
    let bytes = ptr::descriptor(call, from)?;
    if last.as_ref().is_none_or(|last| last.descriptor().as_bytes() != &*bytes) {
        *last = None;
        *last = Some(Known::new(&bytes)?);
    }
    Ok(())
}

/// Makes the set of the privileges that a check used; null when it used none.
///
/// # Errors
/// - as for [`pool::allocate`].
pub(crate) fn privileges_used(call: &Call, used: PrivilegeMask) -> Result<*mut PRIVILEGE_SET, NtStatus> {
    if used.is_empty() {
        return Ok(std::ptr::null_mut());
    }
    let set = pool::allocate(call, bytes_of_privileges(used.count()), *b"Sepv", 0)?.cast::<PRIVILEGE_SET>();
    write_privileges(set, used);
    Ok(set)
}

/// The bytes of a set of so many privileges.
pub(crate) fn bytes_of_privileges(count: u32) -> usize {
    usize::try_from(count).unwrap_or(0).saturating_mul(size_of::<LUID_AND_ATTRIBUTES>()).saturating_add(8)
}

/// Writes the privileges that were used where there is room for them; a set of none is zero.
pub(crate) fn write_privileges(set: *mut PRIVILEGE_SET, used: PrivilegeMask) {
    let head = set.cast::<u32>();
    ptr::write_at(head, 0, used.count());
    ptr::write_at(head, 1, u32::from(!used.is_empty()));
    let entries = head.wrapping_add(2).cast::<LUID_AND_ATTRIBUTES>();
    for (index, privilege) in used.iter().enumerate() {
        let entry = LUID_AND_ATTRIBUTES { Luid: convert::luid(privilege.luid()), Attributes: USED_FOR_ACCESS };
        ptr::write_at(entries, index, entry);
    }
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
        let answer = |answer: Answer| answer.store(call, Privileges, GrantedAccess, AccessStatus);
        if let Some(status) = planned(call) {
            return answer(NtStatus(status.cast_unsigned()).into());
        }
        let Some(mapping) = ptr::read(GenericMapping) else {
            call.report(Rule::NullArgument, "GenericMapping is NULL");
            return answer(NtStatus::ACCESS_DENIED.into());
        };
        let question = Question {
            descriptor: SecurityDescriptor,
            desired: DesiredAccess,
            previous: PreviouslyGrantedAccess,
            mapping: convert::mapping(mapping),
            mode: AccessMode,
        };
        subject::with_tokens(call, SubjectSecurityContext, |tokens| answer(check(call, tokens, &question)))
            .unwrap_or_else(|| answer(NtStatus::ACCESS_DENIED.into()))
    })
}

#[cold]
fn test_lock(call: &Call, subject: *const SECURITY_SUBJECT_CONTEXT, locked: BOOLEAN) {
    let Some(context) = ptr::read(subject) else { return };
    if locked != 0 && !book::is_locked(subject.addr(), context.PrimaryToken.addr()) {
        call.report(Rule::SubjectNotLocked, "SubjectContextLocked is TRUE and the subject context is not locked");
    }
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
