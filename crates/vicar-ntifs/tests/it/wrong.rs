//! Null pointers, one place after the other, and findings that end the process.

use std::process::{Command, Output};
use std::ptr::{null, null_mut};

use vicar_ntifs::testing::{self, Options};
use vicar_ntifs::verifier::{Mode, Rule};
use vicar_ntifs::*;

use crate::call::c;
use crate::stage::*;

/// Every routine of the core is called with null wherever a pointer goes. Each answers with an error or does nothing, and
/// what the real one would not survive is a finding.
#[test]
fn null_is_survived_everywhere() {
    let stage = Stage::new();
    let stop = |what: &str, status: NTSTATUS, expected: NTSTATUS| {
        assert_eq!(status, expected, "{what}");
        let found = stage.found();
        assert!(found.iter().all(|rule| *rule == Rule::NullArgument), "{what}: {found:?}");
        found.len()
    };
    let bad = INVALID_PARAMETER;
    let qos = STATIC;
    let thread = c!(PsGetCurrentThread());
    let mut context = garbage();
    assert_eq!(stop("create", c!(SeCreateClientSecurity(null_mut(), &raw const qos, 0, &raw mut context)), bad), 1);
    assert_eq!(stop("create", c!(SeCreateClientSecurity(thread, null(), 0, &raw mut context)), bad), 1);
    assert!(context.ClientToken.is_null());
    assert_eq!(stop("create", c!(SeCreateClientSecurity(thread, &raw const qos, 0, null_mut())), bad), 1);
    let made = c!(SeCreateClientSecurityFromSubjectContext(null(), &raw const qos, 0, &raw mut context));
    assert_eq!(stop("from subject", made, bad), 1);
    assert_eq!(stop("impersonate", c!(SeImpersonateClientEx(null(), null_mut())), bad), 1);
    c!(SeImpersonateClient(null(), null_mut()));
    assert_eq!(stage.found(), [Rule::ResultUnseen, Rule::NullArgument]);
    c!(SeDeleteClientSecurity(null_mut()));
    c!(SeCaptureSubjectContext(null_mut()));
    c!(SeCaptureSubjectContextEx(null_mut(), null_mut(), null_mut()));
    c!(SeLockSubjectContext(null()));
    c!(SeUnlockSubjectContext(null()));
    c!(SeReleaseSubjectContext(null_mut()));
    assert!(c!(vicar_query_subject_context_token(null())).is_null());
    assert_eq!(stop("subjects", 0, 0), 7);
    let mut subject = no_subject();
    c!(SeCaptureSubjectContextEx(null_mut(), null_mut(), &raw mut subject));
    assert!(subject.PrimaryToken.is_null());
    assert_eq!(stop("no process", 0, 0), 1);
    assert_eq!(stop("ps", c!(PsImpersonateClient(null_mut(), null_mut(), 0, 0, 0)), bad), 1);
    assert_eq!(stop("ps", c!(PsAssignImpersonationToken(null_mut(), null_mut())), bad), 1);
    c!(PsRevertThreadToSelf(null_mut()));
    assert_eq!(c!(PsIsThreadImpersonating(null_mut())), 0);
    assert_eq!(c!(PsDisableImpersonation(null_mut(), null_mut())), 0);
    c!(PsRestoreImpersonation(null_mut(), null()));
    assert!(c!(PsReferenceImpersonationToken(null_mut(), null_mut(), null_mut(), null_mut())).is_null());
    assert!(c!(PsReferencePrimaryToken(null_mut())).is_null());
    assert!(c!(PsReferenceEffectiveToken(null_mut(), null_mut(), null_mut(), null_mut())).is_null());
    c!(PsDereferencePrimaryToken(null_mut()));
    assert_eq!(stop("ps", 0, 0), 8);
    c!(PsDereferenceImpersonationToken(null_mut()));
    assert_eq!(stop("allowed", 0, 0), 0);
    assert!(c!(PsGetThreadId(null_mut())).is_null() && c!(PsGetProcessId(null_mut())).is_null());
    assert!(c!(IoThreadToProcess(null_mut())).is_null() && c!(IoGetRequestorProcess(null())).is_null());
    assert_eq!(c!(PsIsSystemThread(null_mut())), 0);
    assert_eq!(stop("numbers", 0, 0), 5);
    assert_eq!(stop("find", c!(PsLookupThreadByThreadId(null_mut(), null_mut())), bad), 1);
    assert_eq!(stop("find", c!(PsLookupProcessByProcessId(null_mut(), null_mut())), bad), 1);
    assert_eq!(stop("query", c!(SeQueryInformationToken(null_mut(), 1, null_mut())), bad), 1);
    assert_eq!(stop("session", c!(SeQuerySessionIdToken(null_mut(), null_mut())), bad), 1);
    assert_eq!(stop("id", c!(SeQueryAuthenticationIdToken(null_mut(), null_mut())), bad), 1);
    let by_handle = c!(ObReferenceObjectByHandle(null_mut(), 0, null_mut(), KernelMode, null_mut(), null_mut()));
    assert_eq!(stop("by handle", by_handle, bad), 1);
    assert_eq!(stop("by pointer", c!(ObReferenceObjectByPointer(null_mut(), 0, null_mut(), KernelMode)), bad), 1);
    let open = c!(ObOpenObjectByPointer(null_mut(), 0, null_mut(), 0, null_mut(), KernelMode, null_mut()));
    assert_eq!(stop("open", open, bad), 1);
    let none = null_mut();
    assert_eq!(stop("zw", c!(ZwOpenThreadTokenEx(none, 0, 0, 0, null_mut())), ACCESS_VIOLATION), 1);
    assert_eq!(stop("zw", c!(ZwOpenProcessTokenEx(none, 0, 0, null_mut())), ACCESS_VIOLATION), 1);
    assert_eq!(stop("zw", c!(ZwDuplicateToken(none, 0, null(), 0, 1, null_mut())), ACCESS_VIOLATION), 1);
    assert_eq!(stop("zw", c!(ZwQueryInformationToken(none, 1, null_mut(), 0, null_mut())), ACCESS_VIOLATION), 1);
    assert_eq!(stop("zw", c!(ZwImpersonateThread(none, none, null())), ACCESS_VIOLATION), 1);
    assert_eq!(stop("zw", c!(ZwClose(null_mut())), INVALID_HANDLE), 0);
    c!(SeDeleteAccessState(null_mut()));
    c!(SeSetAccessStateGenericMapping(null_mut(), null()));
    assert_eq!(stop("states", c!(SeAppendPrivileges(null_mut(), null())), bad), 3);
    c!(KeRaiseIrql(PASSIVE_LEVEL, null_mut()));
    assert_eq!(stop("level", 0, 0), 1);
    c!(ExFreePool(null_mut()));
    c!(SeFreePrivileges(null_mut()));
    assert_eq!(stage.found(), [Rule::PoolNotAllocated], "SeFreePrivileges ignores null");
    assert!(c!(ExAllocatePool2(0, 16, 0)).is_null());
    stage.clean();
}

#[test]
fn blocks_of_pool_are_freed_once_and_by_their_tag() {
    let stage = Stage::new();
    let block = c!(ExAllocatePoolWithTag(0, 24, u32::from_le_bytes(*b"vtst")));
    assert_eq!(crate::call::peek_bytes(block.cast(), 24), [0xA5; 24]);
    c!(ExFreePoolWithTag(block, u32::from_le_bytes(*b"else")));
    assert_eq!(stage.found(), [Rule::PoolNotAllocated]);
    c!(ExFreePoolWithTag(block, u32::from_le_bytes(*b"vtst")));
    c!(ExFreePool(block));
    assert_eq!(stage.found(), [Rule::PoolNotAllocated]);
    let kept = c!(ExAllocatePool2(0, 100, 7));
    assert_eq!(crate::call::peek_bytes(kept.cast(), 100), [0; 100]);
    assert_eq!(kept.addr() % 16, 0);
    assert_eq!(c!(vicar_verify()), 1);
    assert_eq!(stage.found(), [Rule::PoolLeaked]);
    c!(ExFreePool(kept));
    c!(vicar_fail_allocation(1, status(0xC000_0044)));
    assert!(c!(ExAllocatePool2(0, 16, 7)).is_null());
    stage.clean();
}

const ENDS: &str = "VICAR_NTIFS_TEST_ENDS";

/// Runs a test in a process of its own.
fn alone(name: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    Command::new(program).args(["--exact", name, "--nocapture"]).env(ENDS, "1").output().unwrap()
}

/// The first routine of a process finds the standard world, with its verifier on from the first call.
#[test]
fn a_driver_needs_no_world_to_be_made_for_it() {
    if std::env::var_os(ENDS).is_some() {
        let mut subject = no_subject();
        c!(SeCaptureSubjectContext(&raw mut subject));
        assert_eq!(vicar_ntifs::verifier::mode(), Mode::Fatal);
        assert_eq!(c!(PsIsSystemThread(c!(PsGetCurrentThread()))), 1);
        c!(SeReleaseSubjectContext(&raw mut subject));
        assert_eq!(testing::verify(), 0);
        return;
    }
    let ended = alone("wrong::a_driver_needs_no_world_to_be_made_for_it");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Runs in a process of its own, which the first finding ends with its text.
#[test]
fn the_first_finding_ends_the_process_when_it_is_to() {
    if std::env::var_os(ENDS).is_some() {
        let _stage = Stage::with(Options { verifier: Mode::Fatal, ..Options::STANDARD });
        let mut context = capture(ALICE.thread(), STATIC).unwrap();
        c!(SeDeleteClientSecurity(&raw mut context));
        c!(SeDeleteClientSecurity(&raw mut context));
        println!("went on");
        std::process::exit(0);
    }
    let ended = alone("wrong::the_first_finding_ends_the_process_when_it_is_to");
    let (told, wrong) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(!ended.status.success());
    assert!(!told.contains("went on"), "{told}");
    for part in
        ["context-deleted-twice", "SeDeleteClientSecurity", "the_first_finding_ends_the_process", "(ntifs.h page)"]
    {
        assert!(wrong.contains(part), "{part} in {wrong}");
    }
}

#[test]
fn a_new_world_forgets_what_was_found_and_planned() {
    let stage = Stage::new();
    c!(SeDeleteClientSecurity(null_mut()));
    testing::plan_failure("SeTokenType", BAD_LEVEL);
    drop(stage);
    let stage = Stage::new();
    assert_eq!(c!(vicar_finding_count()), 0);
    assert_eq!(c!(vicar_reset(&VICAR_WORLD { Size: 16, Profile: 5, Verifier: 1, Flags: 0 })), INVALID_PARAMETER);
    assert_eq!(c!(vicar_reset(&VICAR_WORLD { Size: 16, Profile: 4, Verifier: 3, Flags: 0 })), INVALID_PARAMETER);
    stage.clean();
}
