//! What tokens say, and weaker copies of them.

use std::ptr::{null, null_mut};

use vicar_ntifs::verifier::Rule;
use vicar_ntifs::*;

use crate::call::{c, peek, peek_bytes};
use crate::stage::*;

fn query(token: PACCESS_TOKEN, class: i32) -> Result<*mut u8, NTSTATUS> {
    let mut block = null_mut();
    match c!(SeQueryInformationToken(token, class, &raw mut block)) {
        SUCCESS => Ok(block.cast()),
        status => {
            assert!(block.is_null());
            Err(status)
        }
    }
}

/// The text of a SID that a structure points to.
fn sid(at: PSID) -> String {
    let head = peek_bytes(at.cast(), 2);
    let bytes = peek_bytes(at.cast(), 8 + 4 * usize::from(head[1]));
    vicar_nt::Sid::parse(&bytes).unwrap().0.to_string()
}

#[test]
fn a_token_tells_who_it_is_in_the_structures_of_c() {
    let stage = Stage::new();
    let token = ALICE.token();
    let user = query(token, 1).unwrap();
    assert_eq!(sid(peek(user.cast::<TOKEN_USER>()).User.Sid), ALICE.user);
    c!(ExFreePool(user.cast()));
    let groups = query(token, 2).unwrap();
    let head = peek(groups.cast::<TOKEN_GROUPS>());
    assert_eq!(head.GroupCount, 3);
    let entries = groups.wrapping_add(8).cast::<SID_AND_ATTRIBUTES>();
    let names: Vec<String> = (0..3).map(|index| sid(peek(entries.wrapping_add(index)).Sid)).collect();
    assert_eq!(names, ["S-1-1-0", "S-1-5-32-545", "S-1-5-11"]);
    assert_eq!(peek(entries).Attributes, 7);
    c!(ExFreePool(groups.cast()));
    let privileges = query(token, 3).unwrap();
    assert_eq!(peek(privileges.cast::<TOKEN_PRIVILEGES>()).PrivilegeCount, 2);
    let second = peek(privileges.wrapping_add(4 + 12).cast::<LUID_AND_ATTRIBUTES>());
    assert_eq!((second.Luid.LowPart, second.Attributes), (23, 3));
    c!(ExFreePool(privileges.cast()));
    let statistics = query(token, 10).unwrap();
    let told = peek(statistics.cast::<TOKEN_STATISTICS>());
    let mut id = LUID { LowPart: 0, HighPart: 0 };
    assert_eq!(c!(SeQueryAuthenticationIdToken(token, &raw mut id)), SUCCESS);
    assert_eq!((told.AuthenticationId, told.TokenType, told.GroupCount, told.PrivilegeCount), (id, 1, 3, 2));
    c!(ExFreePool(statistics.cast()));
    c!(PsDereferencePrimaryToken(token));
    stage.clean();
}

#[test]
fn numbers_are_stored_in_the_pointers_place() {
    let stage = Stage::new();
    let token = ALICE.token();
    for (class, expected) in [(12, 1), (25, 0x2000), (29, 0), (40, 0)] {
        let mut number = 0x5A5A_5A5A_5A5A_u64;
        assert_eq!(c!(SeQueryInformationToken(token, class, (&raw mut number).cast())), SUCCESS, "class {class}");
        assert_eq!(number, 0x5A5A_0000_0000 | expected, "class {class}: 32 bits and no more");
    }
    assert_eq!(query(token, 9).unwrap_err(), status(0xC000_0003), "a primary token has no level");
    for class in [0, 14, 16, 48, -1] {
        assert_eq!(query(token, class).unwrap_err(), status(0xC000_0003), "class {class}");
    }
    c!(PsDereferencePrimaryToken(token));
    stage.clean();
}

/// Every class that is answered says the same by handle as by pointer, needs as many bytes as it says and one less is not
/// enough.
#[test]
fn every_class_fits_exactly() {
    let stage = Stage::new();
    let token = ALICE.at(2).token();
    let mut handle = null_mut();
    let kind = null_mut();
    let opened = c!(ObOpenObjectByPointer(token, 0x200, null_mut(), 0xF_01FF, kind, KernelMode, &raw mut handle));
    assert_eq!(opened, SUCCESS);
    let mut answered = 0;
    for class in 1..=47 {
        let mut needed = 0;
        let first = c!(ZwQueryInformationToken(handle, class, null_mut(), 0, &raw mut needed));
        if first != status(0xC000_0023) {
            assert!(first < 0, "class {class} answered {first:#x} without room");
            continue;
        }
        answered += 1;
        let mut buffer = vec![0_u64; (needed as usize).div_ceil(8) + 1];
        let room: PVOID = buffer.as_mut_ptr().cast();
        let less = c!(ZwQueryInformationToken(handle, class, room, needed - 1, &raw mut needed));
        assert_eq!(less, status(0xC000_0023), "class {class}");
        assert!(buffer.iter().all(|word| *word == 0), "class {class}: nothing is written then");
        let room: PVOID = buffer.as_mut_ptr().cast();
        assert_eq!(c!(ZwQueryInformationToken(handle, class, room, needed, &raw mut needed)), SUCCESS, "class {class}");
        let beyond = needed as usize % 8;
        let last = buffer[needed as usize / 8].to_le_bytes();
        assert!(last[beyond..].iter().all(|byte| *byte == 0), "class {class}: not a byte more");
    }
    assert!(answered >= 28, "{answered} classes are answered");
    assert_eq!(c!(ZwClose(handle)), SUCCESS);
    c!(PsDereferenceImpersonationToken(token));
    stage.clean();
}

#[test]
fn a_token_by_handle_needs_the_right_when_a_user_asks() {
    let stage = Stage::new();
    c!(vicar_act_as(ALICE.thread()));
    c!(vicar_set_previous_mode(UserMode));
    let (mut handle, mut needed, mut kind) = (null_mut(), 0, 0_u32);
    let own = std::ptr::without_provenance_mut(usize::MAX);
    assert_eq!(c!(NtOpenProcessTokenEx(own, 0x0010, 0, &raw mut handle)), SUCCESS);
    let room: PVOID = (&raw mut kind).cast();
    assert_eq!(c!(NtQueryInformationToken(handle, 8, room, 4, &raw mut needed)), ACCESS_DENIED);
    assert_eq!(c!(NtQueryInformationToken(handle, 8, room, 4, null_mut())), ACCESS_VIOLATION);
    let odd = (&raw mut needed).wrapping_byte_add(1);
    assert_eq!(c!(NtQueryInformationToken(handle, 8, room, 4, odd)), MISALIGNED);
    assert_eq!(c!(NtClose(handle)), SUCCESS);
    assert_eq!(c!(NtOpenProcessTokenEx(own, 0x0008, 0, &raw mut handle)), SUCCESS);
    assert_eq!(c!(NtQueryInformationToken(handle, 8, room, 4, &raw mut needed)), SUCCESS);
    assert_eq!((kind, needed), (1, 4));
    assert_eq!(c!(NtQueryInformationToken(handle, 8, null_mut(), 4, &raw mut needed)), ACCESS_VIOLATION);
    assert_eq!(c!(NtClose(handle)), SUCCESS);
    assert_eq!(c!(NtOpenProcessTokenEx(own, 8, 0, null_mut())), ACCESS_VIOLATION);
    stage.clean();
}

#[test]
fn a_filtered_token_can_do_less() {
    let stage = Stage::new();
    let token = SERVICE.token();
    let everyone = [1_u8, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let disable = TOKEN_GROUPS {
        GroupCount: 1,
        Groups: [SID_AND_ATTRIBUTES { Sid: everyone.as_ptr().cast_mut().cast(), Attributes: 0x5A }],
    };
    let delete = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES { Luid: LUID { LowPart: 29, HighPart: 0 }, Attributes: 0 }],
    };
    let mut restrict = disable;
    let mut made = null_mut();
    let mut filter = |restrict: *const TOKEN_GROUPS, flags| {
        c!(SeFilterToken(token, flags, &raw const disable, &raw const delete, restrict, &raw mut made))
    };
    assert_eq!(filter(&raw const restrict, 0), INVALID_PARAMETER, "a restricting SID has attributes");
    restrict.Groups[0].Attributes = 0;
    assert_eq!(filter(&raw const restrict, 0x5A00), INVALID_PARAMETER, "flags that mean nothing");
    assert_eq!(filter(&raw const restrict, 0), SUCCESS);
    assert_eq!((c!(SeTokenIsRestricted(made)), c!(SeTokenIsRestricted(token))), (1, 0));
    assert_eq!((c!(SeTokenIsWriteRestricted(made)), c!(SeTokenType(made))), (0, 1));
    let privileges = query(made, 3).unwrap();
    assert_eq!(peek(privileges.cast::<TOKEN_PRIVILEGES>()).PrivilegeCount, 1);
    c!(ExFreePool(privileges.cast()));
    c!(ObfDereferenceObject(made));
    assert_eq!(c!(SeFilterToken(token, 1, null(), null(), null(), null_mut())), INVALID_PARAMETER);
    assert_eq!(stage.found(), [Rule::NullArgument]);
    c!(PsDereferencePrimaryToken(token));
    stage.clean();
}

#[test]
fn se_exports_name_privileges_and_sids() {
    let stage = Stage::new();
    let exports = peek(peek((&raw const SeExports).cast::<*const SE_EXPORTS>()));
    assert_eq!(size_of::<SE_EXPORTS>(), 520);
    assert_eq!(exports.SeImpersonatePrivilege.LowPart, 29);
    assert_eq!(sid(exports.SeLocalSystemSid), "S-1-5-18");
    assert_eq!(sid(exports.SeAliasAdminsSid), "S-1-5-32-544");
    assert_eq!(sid(exports.SeMediumMandatorySid), "S-1-16-8192");
    stage.clean();
}

#[test]
fn predicates_of_what_is_no_token_are_found() {
    let stage = Stage::new();
    let thread = ALICE.thread();
    assert_eq!(c!(SeTokenType(null_mut())), 0);
    assert_eq!(c!(SeTokenIsAdmin(thread)), 0);
    let token = ALICE.token();
    c!(PsDereferencePrimaryToken(token));
    assert_eq!(c!(SeTokenImpersonationLevel(token)), 0);
    c!(PsDereferencePrimaryToken(token));
    let found = stage.found();
    assert_eq!(found, [Rule::NullArgument, Rule::WrongObject, Rule::NotAnObject, Rule::OverDereferenced]);
    let mut session = 0x5A;
    assert_eq!(c!(SeQuerySessionIdToken(token, &raw mut session)), INVALID_PARAMETER);
    assert_eq!(session, 0);
    assert_eq!(stage.found(), [Rule::NotAnObject]);
    stage.clean();
}
