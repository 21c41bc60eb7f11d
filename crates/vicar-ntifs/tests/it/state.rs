//! Access states, and checks of tokens without a subject context.

use std::ptr::{null, null_mut};

use vicar_ntifs::verifier::Rule;
use vicar_ntifs::*;

use crate::call::{c, peek};
use crate::stage::*;

static FILE: GENERIC_MAPPING = GENERIC_MAPPING {
    GenericRead: 0x0012_0089,
    GenericWrite: 0x0012_0116,
    GenericExecute: 0x0012_00A0,
    GenericAll: 0x001F_01FF,
};

fn empty() -> (ACCESS_STATE, [u64; 8]) {
    // Garbage of a byte each: what is on a stack.
    let state = crate::call::filled(0x5A);
    (state, [0x5A5A_5A5A_5A5A_5A5A; 8])
}

#[test]
fn an_access_state_captures_maps_and_is_deleted_once() {
    let stage = Stage::new();
    c!(vicar_act_as(ALICE.thread()));
    let (mut state, mut aux) = empty();
    let room: PVOID = aux.as_mut_ptr().cast();
    assert_eq!(c!(SeCreateAccessState(&raw mut state, room, 0x8000_0000, &raw const FILE)), SUCCESS);
    assert_eq!((state.OriginalDesiredAccess, state.RemainingDesiredAccess), (0x0012_0089, 0x0012_0089));
    assert_eq!((state.PreviouslyGrantedAccess, state.PrivilegesAllocated, state.Flags & 1), (0, 0, 1));
    assert!(state.SubjectSecurityContext.ClientToken.is_null());
    assert!(!state.SubjectSecurityContext.PrimaryToken.is_null());
    c!(SeDeleteAccessState(&raw mut state));
    assert!(state.SubjectSecurityContext.PrimaryToken.is_null());
    c!(SeDeleteAccessState(&raw mut state));
    assert_eq!(stage.found(), [Rule::SubjectReleasedTwice]);
    assert_eq!(c!(SeCreateAccessState(null_mut(), room, 1, null())), INVALID_PARAMETER);
    assert_eq!(c!(SeCreateAccessState(&raw mut state, null_mut(), 1, null())), INVALID_PARAMETER);
    assert_eq!(stage.found(), [Rule::NullArgument; 2]);
    stage.clean();
}

#[test]
fn privileges_used_by_an_open_grow_out_of_their_room() {
    let stage = Stage::new();
    let (mut state, mut aux) = empty();
    assert_eq!(c!(SeCreateAccessState(&raw mut state, aux.as_mut_ptr().cast(), 1, null())), SUCCESS);
    c!(SeSetAccessStateGenericMapping(&raw mut state, &raw const FILE));
    let two: [u32; 8] = [2, 1, 8, 0, 0, 9, 0, 0];
    let append = |state: &mut ACCESS_STATE| c!(SeAppendPrivileges(state, two.as_ptr().cast()));
    assert_eq!(append(&mut state), SUCCESS);
    assert_eq!(state.PrivilegesAllocated, 0);
    c!(vicar_fail_allocation(1, 0));
    assert_eq!(append(&mut state), INSUFFICIENT);
    assert_eq!(append(&mut state), SUCCESS);
    assert_eq!(append(&mut state), SUCCESS);
    assert_eq!(state.PrivilegesAllocated, 1);
    let used: *const u32 = std::ptr::with_exposed_provenance(usize::try_from(aux[0]).unwrap());
    let told: Vec<u32> = (0..6).map(|index| peek(used.wrapping_add(2 + 3 * index))).collect();
    assert_eq!((peek(used), told), (6, vec![8, 9, 8, 9, 8, 9]));
    assert_eq!(c!(SeAppendPrivileges(&raw mut state, null())), INVALID_PARAMETER);
    assert_eq!(stage.found(), [Rule::NullArgument]);
    c!(SeDeleteAccessState(&raw mut state));
    stage.clean();
}

/// A check through tokens, and through what is told about them, answers as a check through a subject context.
#[test]
fn three_ways_of_asking_give_one_answer() {
    let stage = Stage::new();
    let texts = [
        "O:SYG:SYD:(A;;GR;;;S-1-5-21-1-1-1-1001)",
        "O:SYG:SYD:(D;;GR;;;BU)(A;;GA;;;WD)",
        "O:S-1-5-21-1-1-1-1001G:BUD:",
        "O:SYG:SYD:(A;;GA;;;WD)S:(ML;;NWNRNX;;;HI)",
    ];
    for who in [ALICE, SERVICE] {
        for text in texts {
            let descriptor = vicar_nt::sddl::parse(text, None).unwrap();
            let descriptor: PVOID = descriptor.as_bytes().as_ptr().cast_mut().cast();
            for desired in [0x8000_0000_u32, 0x0004_0000, 0x0200_0000] {
                let (primary, client) = (BOB.token(), who.at(2).token());
                let (mut by_token, mut by_text, mut by_subject) = ((0, 0), (0, 0), (0, 0));
                let none: *mut *mut PRIVILEGE_SET = null_mut();
                let first = c!(SeAccessCheckFromStateEx(
                    descriptor,
                    primary,
                    client,
                    desired,
                    0,
                    none,
                    &raw const FILE,
                    UserMode,
                    &raw mut by_token.0,
                    &raw mut by_token.1
                ));
                let told = |token| {
                    let mut block = null_mut();
                    assert_eq!(c!(SeQueryInformationToken(token, 22, &raw mut block)), SUCCESS);
                    block
                };
                let (of_primary, of_client) = (told(primary), told(client));
                let second = c!(SeAccessCheckFromState(
                    descriptor,
                    of_primary.cast_const().cast(),
                    of_client.cast_const().cast(),
                    desired,
                    0,
                    none,
                    &raw const FILE,
                    UserMode,
                    &raw mut by_text.0,
                    &raw mut by_text.1
                ));
                let subject = SECURITY_SUBJECT_CONTEXT {
                    ClientToken: client,
                    ImpersonationLevel: 2,
                    PrimaryToken: primary,
                    ProcessAuditId: null_mut(),
                };
                let third = c!(SeAccessCheck(
                    descriptor,
                    &raw const subject,
                    0,
                    desired,
                    0,
                    none,
                    &raw const FILE,
                    UserMode,
                    &raw mut by_subject.0,
                    &raw mut by_subject.1
                ));
                let what = format!("{} {text} {desired:#x}", who.user);
                assert_eq!((first, by_token), (third, by_subject), "{what}");
                assert_eq!((second, by_text), (third, by_subject), "{what}");
                c!(ExFreePool(of_primary));
                c!(ExFreePool(of_client));
                c!(PsDereferencePrimaryToken(primary));
                c!(PsDereferenceImpersonationToken(client));
            }
        }
    }
    stage.clean();
}

#[test]
fn privileges_that_a_check_used_are_told_and_freed() {
    let stage = Stage::new();
    let (mut granted, mut answer, mut used) = (0, 0, null_mut());
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;GR;;;WD)", None).unwrap();
    let mut subject = no_subject();
    c!(SeCaptureSubjectContext(&raw mut subject));
    let mut ask = |used: *mut *mut PRIVILEGE_SET| {
        let allowed = c!(SeAccessCheck(
            descriptor.as_bytes().as_ptr().cast_mut().cast(),
            &raw const subject,
            0,
            0x0100_0000,
            0,
            used,
            &raw const FILE,
            UserMode,
            &raw mut granted,
            &raw mut answer
        ));
        (allowed, granted, answer)
    };
    assert_eq!(ask(&raw mut used), (1, 0x0100_0000, SUCCESS), "the audit list, by privilege");
    let set = peek(used);
    assert_eq!((set.PrivilegeCount, set.Privilege[0].Luid.LowPart, set.Privilege[0].Attributes), (1, 8, 0x8000_0000));
    c!(SeFreePrivileges(used));
    c!(vicar_fail_allocation(1, 0));
    assert_eq!(ask(&raw mut used), (0, 0, INSUFFICIENT), "what cannot be told is not granted");
    assert!(used.is_null());
    c!(SeReleaseSubjectContext(&raw mut subject));
    stage.clean();
}
