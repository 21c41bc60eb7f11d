//! Subject contexts, access checks and privileges.

use std::ptr::{null, null_mut};

use vicar_kernel::Profile;
use vicar_ntifs::verifier::Rule;
use vicar_ntifs::*;

use crate::call::c;
use crate::stage::*;

static FILE: GENERIC_MAPPING = GENERIC_MAPPING {
    GenericRead: 0x0012_0089,
    GenericWrite: 0x0012_0116,
    GenericExecute: 0x0012_00A0,
    GenericAll: 0x001F_01FF,
};

/// A descriptor of Alice's that nobody but her may use.
fn hers() -> Vec<u8> {
    vicar_nt::sddl::parse("O:S-1-5-21-1-1-1-1001G:BUD:(A;;GA;;;S-1-5-21-1-1-1-1001)", None).unwrap().as_bytes().to_vec()
}

/// Asks for the right to read, as a user.
fn may_read(descriptor: &[u8], subject: &SECURITY_SUBJECT_CONTEXT) -> (BOOLEAN, ACCESS_MASK, NTSTATUS) {
    let (mut granted, mut answer) = (0x5A5A, 0x5A5A);
    let allowed = c!(SeAccessCheck(
        descriptor.as_ptr().cast_mut().cast(),
        std::ptr::from_ref(subject),
        0,
        0x8000_0000,
        0,
        null_mut(),
        &raw const FILE,
        UserMode,
        &raw mut granted,
        &raw mut answer,
    ));
    (allowed, granted, answer)
}

#[test]
fn the_client_is_checked_when_there_is_one() {
    let stage = Stage::new();
    let (server, client) = (SERVICE.thread(), ALICE.thread());
    c!(vicar_act_as(server));
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    assert_eq!(may_read(&hers(), &subject), (0, 0, ACCESS_DENIED));
    c!(SeReleaseSubjectContext(&raw mut subject));
    let mut context = capture(client, STATIC).unwrap();
    assert_eq!(c!(SeImpersonateClientEx(&raw const context, null_mut())), SUCCESS);
    c!(SeCaptureSubjectContext(&raw mut subject));
    assert_eq!(may_read(&hers(), &subject), (1, 0x0012_0089, SUCCESS));
    subject.ImpersonationLevel = 1;
    assert_eq!(may_read(&hers(), &subject), (0, 0, BAD_LEVEL), "the field is read at every check");
    c!(SeReleaseSubjectContext(&raw mut subject));
    c!(SeStopImpersonatingClient());
    c!(SeDeleteClientSecurity(&raw mut context));
    stage.clean();
}

/// Row 15 of the caller table: a file system filters a token, puts it into the context, checks, and puts the old one back.
#[test]
fn a_token_that_is_put_into_the_context_is_the_one_that_is_checked() {
    let stage = Stage::new();
    let alice = ALICE.thread();
    c!(vicar_act_as(alice));
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    assert_eq!(may_read(&hers(), &subject).0, 1);
    let (own, bob) = (subject.PrimaryToken, BOB.token());
    subject.PrimaryToken = bob;
    assert_eq!(may_read(&hers(), &subject), (0, 0, ACCESS_DENIED));
    subject.PrimaryToken = own;
    assert_eq!(may_read(&hers(), &subject).0, 1);
    c!(SeReleaseSubjectContext(&raw mut subject));
    c!(PsDereferencePrimaryToken(bob));
    stage.clean();
}

#[test]
fn both_forms_of_a_descriptor_give_the_same_answer() {
    let stage = Stage::new();
    c!(vicar_act_as(ALICE.thread()));
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    let relative = hers();
    let at = |offset: usize| u32::from_le_bytes(relative[offset..offset + 4].try_into().unwrap()) as usize;
    let part = |offset: usize| relative.as_ptr().wrapping_add(at(offset)).cast_mut();
    let parts = SECURITY_DESCRIPTOR {
        Revision: 1,
        Sbz1: 0,
        Control: 4,
        Owner: part(4).cast(),
        Group: part(8).cast(),
        Sacl: null_mut(),
        Dacl: part(16).cast(),
    };
    let (mut granted, mut answer) = (0, 0);
    let mut privileges = std::ptr::without_provenance_mut(0x5A);
    assert_eq!(
        c!(SeAccessCheck(
            (&raw const parts).cast_mut().cast(),
            &raw const subject,
            0,
            0x8000_0000,
            0,
            &raw mut privileges,
            &raw const FILE,
            UserMode,
            &raw mut granted,
            &raw mut answer,
        )),
        1
    );
    assert_eq!((granted, answer), (0x0012_0089, SUCCESS));
    assert!(privileges.is_null(), "no privilege was used");
    c!(SeReleaseSubjectContext(&raw mut subject));
    stage.clean();
}

#[test]
fn what_is_asked_wrongly_is_refused_and_written_all_the_same() {
    let stage = Stage::new();
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    let mut broken = hers();
    broken[0] = 7;
    assert_eq!(may_read(&broken, &subject), (0, 0, status(0xC000_0079)));
    let mut cut = hers();
    cut[16..20].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(may_read(&cut, &subject), (0, 0, status(0xC000_0079)));
    let (mut granted, mut answer) = (0x5A, 0x5A);
    let no = c!(SeAccessCheck(
        null_mut(),
        &raw const subject,
        0,
        1,
        0,
        null_mut(),
        &raw const FILE,
        UserMode,
        &raw mut granted,
        &raw mut answer,
    ));
    assert_eq!((no, granted, answer), (0, 0, ACCESS_DENIED));
    assert_eq!(stage.found(), []);
    for (subject, mapping, granted) in [
        (null(), &raw const FILE, &raw mut granted),
        (&raw const subject, null(), &raw mut granted),
        (&raw const subject, &raw const FILE, null_mut()),
    ] {
        answer = 0x5A;
        let descriptor = hers();
        let no = c!(SeAccessCheck(
            descriptor.as_ptr().cast_mut().cast(),
            subject,
            0,
            0x8000_0000,
            0,
            null_mut(),
            mapping,
            UserMode,
            granted,
            &raw mut answer,
        ));
        assert_eq!(no, 0);
        assert_ne!(answer, 0x5A, "the status is written on every path");
        assert_eq!(stage.found(), [Rule::NullArgument]);
    }
    c!(SeReleaseSubjectContext(&raw mut subject));
    stage.clean();
}

#[test]
fn locking_is_paired_and_said_truly() {
    let stage = Stage::new();
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    let descriptor = hers();
    let (mut granted, mut answer) = (0, 0);
    let mut check = |locked| {
        c!(SeAccessCheck(
            descriptor.as_ptr().cast_mut().cast(),
            &raw const subject,
            locked,
            1,
            0,
            null_mut(),
            &raw const FILE,
            UserMode,
            &raw mut granted,
            &raw mut answer,
        ))
    };
    check(1);
    assert_eq!(stage.found(), [Rule::SubjectNotLocked]);
    c!(SeLockSubjectContext(&raw const subject));
    check(1);
    assert_eq!(stage.found(), []);
    c!(SeUnlockSubjectContext(&raw const subject));
    c!(SeUnlockSubjectContext(&raw const subject));
    assert_eq!(stage.found(), [Rule::SubjectNotLocked]);
    c!(SeLockSubjectContext(&raw const subject));
    c!(SeReleaseSubjectContext(&raw mut subject));
    assert_eq!(stage.found(), [Rule::SubjectStillLocked]);
    c!(SeReleaseSubjectContext(&raw mut subject));
    assert_eq!(stage.found(), [Rule::SubjectReleasedTwice]);
    stage.clean();
}

#[test]
fn privileges_are_those_of_whoever_may_act() {
    let stage = Stage::of(Profile::V4);
    let server = SERVICE.thread();
    c!(vicar_act_as(server));
    let impersonate = LUID { LowPart: 29, HighPart: 0 };
    assert_eq!(c!(SeSinglePrivilegeCheck(impersonate, UserMode)), 1);
    let client = ALICE.at(2).token();
    assert_eq!(c!(PsImpersonateClient(server, client, 0, 0, 2)), SUCCESS);
    assert_eq!(c!(SeSinglePrivilegeCheck(impersonate, UserMode)), 0);
    assert_eq!(c!(SeSinglePrivilegeCheck(impersonate, KernelMode)), 1);
    assert_eq!(c!(SeSinglePrivilegeCheck(LUID { LowPart: 9999, HighPart: 0 }, UserMode)), 0);
    c!(PsRevertToSelf());
    c!(PsDereferenceImpersonationToken(client));
    let mut wanted = [1_u32, 1, 29, 0, 0];
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    assert_eq!(c!(SePrivilegeCheck((&raw mut wanted).cast(), &raw const subject, UserMode)), 1);
    assert_eq!(wanted[4], 0x8000_0000, "what is in force is marked");
    c!(SeReleaseSubjectContext(&raw mut subject));
    assert_eq!(c!(SePrivilegeCheck(null_mut(), &raw const subject, UserMode)), 0);
    assert_eq!(stage.found(), [Rule::NullArgument]);
    stage.clean();
}

#[test]
fn t126_the_output_is_tested_before_the_handle() {
    let stage = Stage::new();
    c!(vicar_act_as(ALICE.thread()));
    c!(vicar_set_previous_mode(UserMode));
    assert_eq!(c!(NtDuplicateToken(null_mut(), 0, null(), 0, 2, null_mut())), ACCESS_VIOLATION);
    let mut new = null_mut();
    assert_eq!(c!(NtDuplicateToken(null_mut(), 0, null(), 0, 2, &raw mut new)), INVALID_HANDLE);
    let odd: *mut HANDLE = (&raw mut new).wrapping_byte_add(1);
    assert_eq!(c!(NtDuplicateToken(null_mut(), 0, null(), 0, 2, odd)), MISALIGNED);
    assert_eq!(c!(NtDuplicateToken(null_mut(), 0, null(), 0, 3, null_mut())), INVALID_PARAMETER);
    stage.clean();
}

#[test]
fn without_a_verifier_the_same_is_answered() {
    let stage = Stage::quiet();
    let (server, client) = (SERVICE.thread(), ALICE.thread());
    c!(vicar_act_as(server));
    let before = c!(vicar_balance());
    for qos in [STATIC, DYNAMIC] {
        let mut context = capture(client, qos).unwrap();
        assert_eq!(context.DirectlyAccessClientToken, qos.ContextTrackingMode);
        assert_eq!(c!(SeImpersonateClientEx(&raw const context, null_mut())), SUCCESS);
        let mut subject = no_subject();
        c!(SeCaptureSubjectContext(&raw mut subject));
        assert_eq!(subject.ClientToken, context.ClientToken, "a token has one address");
        assert_eq!(may_read(&hers(), &subject), (1, 0x0012_0089, SUCCESS));
        c!(SeReleaseSubjectContext(&raw mut subject));
        c!(SeStopImpersonatingClient());
        c!(SeDeleteClientSecurity(&raw mut context));
    }
    c!(vicar_fail_allocation(1, 0));
    assert_eq!(capture(client, STATIC).unwrap_err(), INSUFFICIENT);
    assert_eq!(c!(vicar_balance()), before);
    let mut thread = null_mut();
    let mut seen = null_mut();
    assert_eq!(c!(PsLookupThreadByThreadId(c!(PsGetCurrentThreadId()), &raw mut thread)), SUCCESS);
    assert_eq!(thread, server, "a thread has one address");
    let mut handle = null_mut();
    let open = |kind: POBJECT_TYPE, handle: *mut HANDLE| {
        c!(ObOpenObjectByPointer(thread, 0x200, null_mut(), 0x1F_FFFF, kind, KernelMode, handle))
    };
    assert_eq!(open(null_mut(), &raw mut handle), SUCCESS);
    assert_eq!(open(std::ptr::without_provenance_mut(0x5A), &raw mut seen), TYPE_MISMATCH);
    assert_eq!(c!(ZwClose(handle)), SUCCESS);
    assert_eq!(c!(ZwClose(handle)), INVALID_HANDLE);
    c!(ObfDereferenceObject(thread));
    stage.clean();
}
