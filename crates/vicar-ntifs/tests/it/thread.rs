//! What threads wear, by pointer and by handle.

use std::ptr::{null, null_mut};

use vicar_ntifs::verifier::Rule;
use vicar_ntifs::*;

use crate::call::c;
use crate::stage::*;

/// A handle of the kernel to a thread, or of the calling process.
fn handle(thread: PETHREAD, rights: ACCESS_MASK, attributes: ULONG) -> HANDLE {
    let mut handle = null_mut();
    let opened =
        c!(ObOpenObjectByPointer(thread, attributes, null_mut(), rights, null_mut(), KernelMode, &raw mut handle));
    assert_eq!(opened, SUCCESS);
    handle
}

const THREAD_CLASS: i32 = 5;

#[test]
fn what_is_put_aside_comes_back_as_it_was() {
    let stage = Stage::new();
    let (server, token, other) = (SERVICE.thread(), ALICE.at(2).token(), BOB.at(2).token());
    let mut state = SE_IMPERSONATION_STATE { Token: server, CopyOnOpen: 0x5A, EffectiveOnly: 0x5A, Level: 0x5A };
    assert_eq!(c!(PsDisableImpersonation(server, &raw mut state)), 0);
    assert_eq!((state.Token, state.CopyOnOpen, state.EffectiveOnly, state.Level), (null_mut(), 0, 0, 0));
    c!(PsRestoreImpersonation(server, &raw const state));
    assert_eq!(stage.found(), [Rule::RestoreWithoutDisable]);
    assert_eq!(level(server), None, "nothing is restored of nobody");
    assert_eq!(c!(PsImpersonateClient(server, token, 1, 1, 2)), SUCCESS);
    let before = c!(vicar_balance());
    assert_eq!(c!(PsDisableImpersonation(server, &raw mut state)), 1);
    assert_eq!((state.Token, state.CopyOnOpen, state.EffectiveOnly, state.Level), (token, 1, 1, 2));
    assert_eq!((level(server), c!(vicar_balance())), (None, before), "the reference has moved");
    assert_eq!(c!(PsImpersonateClient(server, other, 0, 0, 1)), SUCCESS);
    c!(PsRestoreImpersonation(server, &raw const state));
    assert_eq!((level(server), c!(vicar_balance())), (Some(2), before));
    assert_eq!(c!(PsImpersonateClient(server, null_mut(), 0x5A, 0x5A, 0x5A)), SUCCESS);
    assert_eq!(c!(PsIsThreadImpersonating(server)), 0);
    assert_eq!(c!(PsImpersonateClient(server, token, 0, 0, 4)), INVALID_PARAMETER);
    c!(PsDereferenceImpersonationToken(token));
    c!(PsDereferenceImpersonationToken(other));
    c!(PsDereferenceImpersonationToken(null_mut()));
    stage.clean();
}

#[test]
fn the_effective_token_is_the_clients_or_the_process_s() {
    let stage = Stage::new();
    let (server, client) = (SERVICE.thread(), ALICE.at(2).token());
    let (mut kind, mut only, mut level) = (0x5A, 0x5A, 0x5A);
    let mut ask = || {
        let token = c!(PsReferenceEffectiveToken(server, &raw mut kind, &raw mut only, &raw mut level));
        c!(ObfDereferenceObject(token));
        (token, kind, only, level)
    };
    let primary = c!(PsReferencePrimaryToken(c!(IoThreadToProcess(server))));
    assert_eq!(ask(), (primary, 1, 0, 0x5A), "a primary token has no level");
    assert_eq!(c!(PsImpersonateClient(server, client, 0, 1, 2)), SUCCESS);
    assert_eq!(ask(), (client, 2, 1, 2));
    c!(PsRevertThreadToSelf(server));
    c!(PsDereferencePrimaryToken(primary));
    c!(PsDereferenceImpersonationToken(client));
    stage.clean();
}

#[test]
fn t217_a_misaligned_buffer_of_the_right_length() {
    let stage = Stage::new();
    c!(vicar_set_previous_mode(UserMode));
    let mut token = [null_mut::<std::ffi::c_void>(); 2];
    let thread = std::ptr::without_provenance_mut(usize::MAX - 1);
    let odd: PVOID = token.as_mut_ptr().wrapping_byte_add(1).cast();
    assert_eq!(c!(NtSetInformationThread(thread, THREAD_CLASS, odd, 8)), MISALIGNED);
    assert_eq!(c!(NtSetInformationThread(thread, THREAD_CLASS, odd, 4)), status(0xC000_0004), "the length is first");
    assert_eq!(c!(NtSetInformationThread(thread, THREAD_CLASS, odd, 16)), status(0xC000_0004));
    assert_eq!(c!(NtSetInformationThread(thread, THREAD_CLASS, token.as_mut_ptr().cast(), 8)), SUCCESS);
    assert_eq!(c!(NtSetInformationThread(thread, 4, token.as_mut_ptr().cast(), 8)), status(0xC000_0003));
    stage.clean();
}

#[test]
fn t218_a_null_buffer_of_the_right_length() {
    let stage = Stage::new();
    c!(vicar_set_previous_mode(UserMode));
    let thread = std::ptr::without_provenance_mut(usize::MAX - 1);
    assert_eq!(c!(NtSetInformationThread(thread, THREAD_CLASS, null_mut(), 8)), ACCESS_VIOLATION);
    assert_eq!(stage.found(), [], "a user may pass what it likes");
    assert_eq!(c!(ZwSetInformationThread(thread, THREAD_CLASS, null_mut(), 8)), ACCESS_VIOLATION);
    assert_eq!(stage.found(), [Rule::NullArgument], "the kernel may not");
    stage.clean();
}

#[test]
fn t225_a_bad_pointer_to_a_quality_of_service() {
    let stage = Stage::new();
    c!(vicar_set_previous_mode(UserMode));
    let this = std::ptr::without_provenance_mut(usize::MAX - 1);
    let qos = [STATIC; 2];
    assert_eq!(c!(NtImpersonateThread(this, this, null())), ACCESS_VIOLATION);
    assert_eq!(c!(NtImpersonateThread(this, this, qos.as_ptr().wrapping_byte_add(1))), MISALIGNED);
    let short = SECURITY_QUALITY_OF_SERVICE { Length: 11, ..STATIC };
    assert_eq!(c!(NtImpersonateThread(this, this, &raw const short)), INVALID_PARAMETER);
    assert_eq!(c!(NtImpersonateThread(this, this, qos.as_ptr())), SUCCESS);
    assert_eq!(level(c!(PsGetCurrentThread())), Some(2));
    assert_eq!(c!(ZwImpersonateThread(this, null_mut(), qos.as_ptr())), INVALID_HANDLE);
    c!(PsRevertToSelf());
    stage.clean();
}

#[test]
fn a_thread_token_is_opened_set_and_taken_off_by_handle() {
    let stage = Stage::new();
    let (server, client) = (SERVICE.thread(), ALICE.at(2).token());
    c!(vicar_act_as(server));
    let this = std::ptr::without_provenance_mut(usize::MAX - 1);
    let mut opened = this;
    assert_eq!(c!(ZwOpenThreadTokenEx(this, 8, 1, 0x200, &raw mut opened)), status(0xC000_007C));
    assert!(opened.is_null(), "from Vista on the output is cleared");
    assert_eq!(c!(PsImpersonateClient(server, client, 1, 0, 0)), SUCCESS);
    assert_eq!(c!(ZwOpenThreadTokenEx(this, 8, 1, 0x200, &raw mut opened)), status(0xC000_00A6));
    assert_eq!(c!(PsImpersonateClient(server, client, 1, 0, 2)), SUCCESS);
    assert_eq!(c!(ZwOpenThreadTokenEx(this, 8, 1, 0, &raw mut opened)), INVALID_PARAMETER, "not the system's process");
    assert_eq!(c!(ZwOpenThreadTokenEx(this, 0x0200_0000, 1, 0x200, &raw mut opened)), SUCCESS);
    let (mut object, mut told) = (null_mut(), [0_u32; 2]);
    let find = |kind, mode, object: *mut PVOID, told: *mut ULONG| {
        c!(ObReferenceObjectByHandle(opened, 0x000F_01FF, kind, mode, object, told))
    };
    assert_eq!(find(null_mut(), UserMode, &raw mut object, told.as_mut_ptr()), INVALID_HANDLE, "it is the kernel's");
    assert_eq!(find(null_mut(), KernelMode, &raw mut object, told.as_mut_ptr()), SUCCESS);
    assert_eq!(told, [0, 0x000F_01FF]);
    assert_ne!(object, client, "the client's own token stays out of reach");
    let (mut copy, mut only, mut worn_at) = (0x5A, 0x5A, 0x5A);
    let worn = c!(PsReferenceImpersonationToken(server, &raw mut copy, &raw mut only, &raw mut worn_at));
    assert_eq!((worn, copy, only, worn_at), (object, 0, 0, 2), "the copy is what the thread wears now");
    let threads = crate::call::peek(crate::call::peek((&raw const PsThreadType).cast::<*const POBJECT_TYPE>()));
    assert_eq!(find(threads, KernelMode, &raw mut object, null_mut()), TYPE_MISMATCH);
    assert!(object.is_null());
    c!(PsRevertToSelf());
    assert_eq!(c!(ZwSetInformationThread(this, THREAD_CLASS, (&raw mut opened).cast(), 8)), SUCCESS);
    assert_eq!(level(server), Some(2));
    assert_eq!(c!(PsAssignImpersonationToken(server, null_mut())), SUCCESS);
    assert_eq!(level(server), None);
    assert_eq!(c!(PsAssignImpersonationToken(server, opened)), SUCCESS);
    assert_eq!(c!(ZwClose(opened)), SUCCESS);
    assert_eq!(c!(PsAssignImpersonationToken(server, opened)), INVALID_HANDLE);
    assert_eq!(stage.found(), [Rule::BadHandle]);
    c!(PsRevertToSelf());
    c!(vicar_verify());
    assert_eq!(stage.found(), [Rule::ReferenceLeaked; 3], "two references to the copy, one to the client");
}

#[test]
fn the_anonymous_user_is_taken_on_by_handle() {
    let stage = Stage::new();
    let server = SERVICE.thread();
    c!(vicar_act_as(server));
    c!(vicar_set_previous_mode(UserMode));
    assert_eq!(c!(NtImpersonateAnonymousToken(null_mut())), INVALID_HANDLE);
    let weak = handle(server, 0x0010_0000, 0);
    assert_eq!(c!(NtImpersonateAnonymousToken(weak)), ACCESS_DENIED);
    assert_eq!(c!(ZwImpersonateAnonymousToken(weak)), SUCCESS, "the kernel is not asked for rights");
    assert_eq!(level(server), Some(2));
    c!(PsRevertToSelf());
    assert_eq!(c!(NtClose(weak)), SUCCESS);
    stage.clean();
}

#[test]
fn a_copy_of_a_token_is_made_by_handle() {
    let stage = Stage::new();
    let (mut own, mut copy) = (null_mut(), null_mut());
    let process = std::ptr::without_provenance_mut(usize::MAX);
    assert_eq!(c!(ZwOpenProcessTokenEx(process, 0xF_01FF, 0, &raw mut own)), SUCCESS);
    let mut qos = SECURITY_QUALITY_OF_SERVICE { ImpersonationLevel: 1, ..STATIC };
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: 48,
        RootDirectory: null_mut(),
        ObjectName: null_mut(),
        Attributes: 0x200,
        SecurityDescriptor: null_mut(),
        SecurityQualityOfService: (&raw mut qos).cast(),
    };
    assert_eq!(c!(ZwDuplicateToken(own, 0, &raw const attributes, 0, 2, &raw mut copy)), SUCCESS);
    assert_eq!(c!(ZwClose(copy)), SUCCESS);
    let mut duplicate = |attributes: &OBJECT_ATTRIBUTES, kind| {
        c!(ZwDuplicateToken(own, 0, std::ptr::from_ref(attributes), 0, kind, &raw mut copy))
    };
    attributes.Length = 47;
    assert_eq!(duplicate(&attributes, 2), INVALID_PARAMETER);
    attributes.Length = 48;
    attributes.SecurityDescriptor = (&raw mut attributes).cast();
    assert_eq!(duplicate(&attributes, 2), status(0xC000_0079), "these bytes are no descriptor");
    assert_eq!(c!(ZwClose(own)), SUCCESS);
    stage.clean();
}

#[test]
fn threads_and_processes_are_found_by_number() {
    let stage = Stage::new();
    let alice = ALICE.thread();
    let process = c!(IoThreadToProcess(alice));
    let (mut thread, mut found) = (process, alice);
    assert_eq!(c!(PsLookupThreadByThreadId(c!(PsGetThreadId(alice)), &raw mut thread)), SUCCESS);
    assert_eq!(c!(PsLookupProcessByProcessId(c!(PsGetProcessId(process)), &raw mut found)), SUCCESS);
    assert_eq!((thread, found), (alice, process));
    assert_eq!((c!(PsIsSystemThread(alice)), c!(PsIsSystemThread(c!(PsGetCurrentThread())))), (0, 1));
    c!(ObfDereferenceObject(thread));
    c!(ObfDereferenceObject(found));
    c!(ObfDereferenceObject(thread));
    assert_eq!(stage.found(), [Rule::OverDereferenced], "the pointer is borrowed now");
    for wrong in [0_usize, 3, 4 << 20] {
        let wrong = std::ptr::without_provenance_mut(wrong);
        assert_eq!(c!(PsLookupThreadByThreadId(wrong, &raw mut thread)), INVALID_PARAMETER);
        assert_eq!(c!(PsLookupProcessByProcessId(wrong, &raw mut found)), INVALID_PARAMETER);
        assert!(thread.is_null() && found.is_null());
    }
    c!(vicar_thread_exit(alice));
    assert_eq!(c!(PsGetThreadId(alice)), null_mut());
    assert_eq!(stage.found(), [Rule::NotAnObject]);
    stage.clean();
}

#[test]
fn a_pointer_of_an_earlier_world_is_no_object() {
    let stage = Stage::new();
    let (old, token) = (ALICE.thread(), ALICE.token());
    drop(stage);
    let stage = Stage::new();
    let _same_number = ALICE.thread();
    assert_eq!(c!(PsIsThreadImpersonating(old)), 0);
    c!(PsDereferencePrimaryToken(token));
    c!(ObfDereferenceObject(null_mut()));
    c!(ObfReferenceObject(std::ptr::without_provenance_mut(0x5A5A_5A10)));
    let no = Rule::NotAnObject;
    assert_eq!(stage.found(), [no, no, Rule::NullArgument, no]);
    stage.clean();
}

#[test]
fn a_raised_level_is_found_at_every_routine_that_may_not_be_called_there() {
    let stage = Stage::new();
    let mut old = 0x5A;
    c!(KeRaiseIrql(DISPATCH_LEVEL, &raw mut old));
    assert_eq!((old, c!(KeGetCurrentIrql())), (PASSIVE_LEVEL, DISPATCH_LEVEL));
    let _ = c!(SeTokenType(null_mut()));
    assert_eq!(stage.found(), [Rule::Irql, Rule::NullArgument]);
    let block = c!(ExAllocatePool2(0, 16, 1));
    c!(ExFreePool(block));
    assert_eq!(stage.found(), []);
    c!(KeRaiseIrql(PASSIVE_LEVEL, &raw mut old));
    c!(KeLowerIrql(HIGH_LEVEL));
    assert_eq!(stage.found(), [Rule::IrqlOrder, Rule::IrqlOrder]);
    c!(KeEnterCriticalRegion());
    c!(vicar_return_to_user_mode());
    assert_eq!(stage.found(), [Rule::Irql, Rule::Irql, Rule::CriticalRegion], "entering a region, and going back");
    c!(KeLeaveCriticalRegion());
    assert_eq!(stage.found(), [Rule::CriticalRegion]);
    stage.clean();
}

#[test]
fn going_back_to_user_mode_as_the_client_is_found() {
    let stage = Stage::new();
    let (server, client) = (SERVICE.thread(), ALICE.at(2).token());
    c!(vicar_act_as(server));
    assert_eq!(c!(PsImpersonateClient(server, client, 0, 0, 2)), SUCCESS);
    c!(PsDereferenceImpersonationToken(client));
    c!(vicar_return_to_user_mode());
    assert_eq!(stage.found(), [Rule::ImpersonatingInUserMode]);
    c!(vicar_thread_exit(server));
    assert_eq!(stage.found(), [Rule::ExitedImpersonating]);
    stage.clean();
}

#[test]
fn a_planned_failure_happens_once() {
    let stage = Stage::new();
    let client = ALICE.thread();
    let name = std::ffi::CString::new("SeCreateClientSecurity").unwrap();
    assert_eq!(c!(vicar_fail_routine(name.as_ptr(), BAD_LEVEL)), SUCCESS);
    assert_eq!(capture(client, STATIC).unwrap_err(), BAD_LEVEL);
    let mut context = capture(client, STATIC).unwrap();
    c!(SeDeleteClientSecurity(&raw mut context));
    stage.clean();
}

#[test]
fn t042_a_threads_block_follows_its_impersonation_and_is_never_read_back() {
    let stage = Stage::new();
    let person = vicar_ntifs::testing::spec::Person::new("S-1-5-21-1-1-1-1001");
    let server = vicar_ntifs::testing::user_thread(&person).unwrap();
    let block = vicar_ntifs::testing::block_of(server).unwrap();
    assert_eq!((block.is_impersonating(), block.locale()), (0, 0));
    let token = vicar_ntifs::testing::token(&person).unwrap();
    vicar_ntifs::testing::act_as(Some(server)).unwrap();
    assert_eq!(c!(PsImpersonateClient(c!(PsGetCurrentThread()), token, 0, 0, 2)), SUCCESS);
    assert_eq!((block.is_impersonating(), block.locale()), (1, -1));
    block.overwrite(0, 0);
    assert_eq!(c!(PsIsThreadImpersonating(server)), 1, "what the program writes there changes nothing");
    c!(PsRevertToSelf());
    assert_eq!((block.is_impersonating(), block.locale()), (0, 0));
    c!(PsDereferencePrimaryToken(token));
    vicar_ntifs::testing::act_as(None).unwrap();
    assert!(vicar_ntifs::testing::block_of(c!(PsGetCurrentThread())).is_none(), "the system's threads have none");
    assert!(vicar_ntifs::testing::act_as(Some(token)).is_err());
    stage.clean();
}

/// What winfsp does: a token is opened for the subject that an access state carries, not for whoever calls.
#[test]
fn a_token_is_opened_for_the_subject_of_an_access_state() {
    let stage = Stage::new();
    let (alice, bob) = (ALICE.thread(), BOB.thread());
    let token = c!(PsReferencePrimaryToken(c!(IoThreadToProcess(alice))));
    let (mut state, mut aux): (ACCESS_STATE, [u64; 8]) = (crate::call::filled(0x5A), [0; 8]);
    c!(vicar_act_as(alice));
    assert_eq!(c!(SeCreateAccessState(&raw mut state, aux.as_mut_ptr().cast(), 8, null())), SUCCESS);
    c!(vicar_act_as(bob));
    let mut handle = null_mut();
    let mut open = |state: PVOID| c!(ObOpenObjectByPointer(token, 0, state, 8, null_mut(), UserMode, &raw mut handle));
    assert_eq!(open(null_mut()), ACCESS_DENIED, "Bob may not read Alice's token");
    assert_eq!(open((&raw mut state).cast()), SUCCESS, "but the state is Alice's");
    assert_eq!(c!(ZwClose(handle)), SUCCESS);
    c!(SeDeleteAccessState(&raw mut state));
    c!(PsDereferencePrimaryToken(token));
    stage.clean();
}
