//! Checks that follow one another: what was kept from the last one is never used for anything else.

use std::ptr::null_mut;

use vicar_kernel::access::Access;
use vicar_kernel::{LogonKind, Policy, Profile, SubjectContext, System, TokenKind, TokenSpec};
use vicar_kernel::{Process, Thread};
use vicar_nt::check::AccessMode;
use vicar_nt::descriptor::DescriptorRef;
use vicar_nt::token::TokenState;
use vicar_nt::{
    GenericMapping, GroupAttributes, IntegrityLevel, Luid, NtStatus, Privilege, RequestedMask, Sid, well_known,
};
use vicar_ntifs::*;

use crate::call::c;
use crate::stage::*;

static FILE: GENERIC_MAPPING = GENERIC_MAPPING {
    GenericRead: 0x0012_0089,
    GenericWrite: 0x0012_0116,
    GenericExecute: 0x0012_00A0,
    GenericAll: 0x001F_01FF,
};

/// Asks for the right to read, as a user.
fn may_read(descriptor: &[u8], subject: &SECURITY_SUBJECT_CONTEXT) -> (ACCESS_MASK, NTSTATUS) {
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
    assert_eq!(allowed, u8::from(answer == SUCCESS));
    (granted, answer)
}

fn descriptor(sddl: &str) -> Vec<u8> {
    vicar_nt::sddl::parse(sddl, None).unwrap().as_bytes().to_vec()
}

/// The same question to the model, about the bytes as they are now, validated now.
fn oracle() -> impl Fn(&[u8]) -> (ACCESS_MASK, NTSTATUS) {
    let system = System::new(Profile::V4, Policy::strict());
    let alice = TokenState::builder(Sid::new(5, &[21, 1, 1, 1, 1001]).unwrap())
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::AUTHENTICATED_USERS, GroupAttributes::ALWAYS_ENABLED)
        .integrity(IntegrityLevel::MEDIUM);
    let alice = alice.privilege(Privilege::ChangeNotify, vicar_nt::privilege::PrivilegeState::EnabledByDefault);
    let spec =
        TokenSpec { state: alice.build().unwrap(), kind: TokenKind::Primary, source: *b"oracle  ", origin: Luid::ZERO };
    let token = system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap();
    let subject = SubjectContext::capture(&Thread::new(&Process::new(&system, token).unwrap()));
    move |bytes| {
        let Ok(descriptor) = DescriptorRef::parse(bytes) else {
            return (0, NtStatus::INVALID_SECURITY_DESCR.0.cast_signed());
        };
        let access = Access {
            descriptor: Some(descriptor),
            desired: RequestedMask(0x8000_0000),
            previously_granted: RequestedMask(0),
            mapping: GenericMapping::of(0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF),
            mode: AccessMode::User,
        };
        match subject.access_check(&access) {
            Ok(granted) => (granted.mask.bits(), SUCCESS),
            Err(status) => (0, status.0.cast_signed()),
        }
    }
}

/// Every bit of a descriptor is changed in place, and back again, between two checks of one thread.
#[test]
fn every_bit_that_changes_between_two_checks_is_seen() {
    for make in [Stage::quiet as fn() -> Stage, Stage::new] {
        let stage = make();
        let (alice, expected) = (ALICE.thread(), oracle());
        c!(vicar_act_as(alice));
        let mut subject = no_subject();
        c!(SeCaptureSubjectContext(&raw mut subject));
        // What a changed offset or length points to is there too.
        let mut bytes =
            descriptor("O:S-1-5-21-1-1-1-1001G:BUD:(D;;GW;;;BG)(A;;GA;;;BA)(A;;GRGX;;;BU)S:(AU;SA;GW;;;WD)");
        let length = bytes.len();
        bytes.resize(0x4_0000, 0);
        let first = may_read(&bytes, &subject);
        assert_eq!(first, (0x0012_0089, SUCCESS));
        let (mut answers, mut other) = (0, 0);
        for at in 0..length {
            // The upper halves of offsets would point out of the test's memory, and so would the other form's pointers.
            if matches!(at, 6 | 7 | 10 | 11 | 14 | 15 | 18 | 19) {
                continue;
            }
            for bit in (0..8).map(|bit| 1 << bit).filter(|bit| at != 3 || *bit != 0x80) {
                bytes[at] ^= bit;
                let answer = may_read(&bytes, &subject);
                assert_eq!(answer, expected(&bytes), "byte {at}, bit {bit:#x}");
                bytes[at] ^= bit;
                assert_eq!(may_read(&bytes, &subject), first, "byte {at}, bit {bit:#x}, back again");
                answers += 1;
                other += u32::from(answer != first);
            }
        }
        assert!(answers > 1000 && other > 100, "{answers} changes, {other} of which mattered");
        c!(SeReleaseSubjectContext(&raw mut subject));
        stage.clean();
    }
}

/// At one address stands one descriptor after another: as long, shorter, longer, malformed.
#[test]
fn another_descriptor_at_the_same_address_is_another() {
    for make in [Stage::quiet as fn() -> Stage, Stage::new] {
        let stage = make();
        let (alice, expected) = (ALICE.thread(), oracle());
        c!(vicar_act_as(alice));
        let mut subject = no_subject();
        c!(SeCaptureSubjectContext(&raw mut subject));
        let several = [
            descriptor("O:BAG:BAD:(A;;GA;;;BU)"),
            descriptor("O:BAG:BAD:(D;;GA;;;BU)"),
            descriptor("O:BAG:BAD:(A;;GA;;;BA)"),
            descriptor("O:BAG:BAD:"),
            descriptor("O:BAG:BAD:(A;;GA;;;BA)(A;;GR;;;S-1-5-21-1-1-1-1001)(A;;GW;;;WD)"),
            descriptor("O:BAG:BAD:NO_ACCESS_CONTROL"),
            {
                let mut malformed = descriptor("O:BAG:BAD:(A;;GA;;;BU)");
                malformed[22] = 7;
                malformed
            },
        ];
        let mut place = vec![0_u8; 0x4_0000];
        for one in &several {
            for other in &several {
                for bytes in [one, other, other, one] {
                    place[..bytes.len()].copy_from_slice(bytes);
                    assert_eq!(may_read(&place, &subject), expected(bytes));
                    // And the same bytes elsewhere.
                    assert_eq!(may_read(bytes, &subject), expected(bytes));
                }
            }
        }
        c!(SeReleaseSubjectContext(&raw mut subject));
        stage.clean();
    }
}

/// The fields of one structure name one token after another, in every order of three, with and without a client.
#[test]
fn whoever_is_in_the_fields_now_is_checked() {
    for make in [Stage::quiet as fn() -> Stage, Stage::new] {
        let stage = make();
        let (alice, bob, service) = (ALICE.token(), BOB.token(), SERVICE.token());
        let (alice_client, bob_client) = (ALICE.at(2).token(), BOB.at(2).token());
        let hers = descriptor("O:BAG:BAD:(A;;GA;;;S-1-5-21-1-1-1-1001)");
        let mut subject = no_subject();
        let primaries = [(alice, true), (bob, false), (service, false)];
        let clients = [(null_mut(), None), (alice_client, Some(true)), (bob_client, Some(false))];
        for &(first, _) in &primaries {
            for &(primary, own) in &primaries {
                for &(client, acting) in &clients {
                    for (primary, own) in [(first, first == alice), (primary, own), (primary, own), (primary, own)] {
                        (subject.PrimaryToken, subject.ClientToken, subject.ImpersonationLevel) = (primary, client, 2);
                        let may = may_read(&hers, &subject).1 == SUCCESS;
                        assert_eq!(may, acting.unwrap_or(own));
                        subject.ImpersonationLevel = 1;
                        let level = may_read(&hers, &subject).1;
                        assert_eq!(level == BAD_LEVEL, acting.is_some());
                    }
                }
            }
        }
        for token in [alice, bob, service, alice_client, bob_client] {
            c!(PsDereferencePrimaryToken(token));
        }
        stage.clean();
    }
}

/// A client context is read at every call, whatever was in it before.
#[test]
fn the_fields_of_a_client_context_are_read_at_every_call() {
    for make in [Stage::quiet as fn() -> Stage, Stage::new] {
        let stage = make();
        let (server, client) = (SERVICE.thread(), ALICE.thread());
        c!(vicar_act_as(server));
        let mut context = capture(client, DYNAMIC).unwrap();
        for round in 0..3 {
            for wanted in [2, 1, 0, 2] {
                context.SecurityQos.ImpersonationLevel = wanted;
                let only = u8::from(wanted == 1);
                (context.DirectlyAccessClientToken, context.DirectAccessEffectiveOnly) = (1, only);
                context.SecurityQos.EffectiveOnly = 1 - only;
                assert_eq!(c!(SeImpersonateClientEx(&raw const context, null_mut())), SUCCESS, "round {round}");
                let (mut copy, mut effective, mut level) = (0x5A, 0x5A, 0x5A);
                let worn = c!(PsReferenceImpersonationToken(server, &raw mut copy, &raw mut effective, &raw mut level));
                assert_eq!((copy, effective, level), (1, only, wanted));
                c!(PsDereferenceImpersonationToken(worn));
                c!(SeStopImpersonatingClient());
            }
            context.SecurityQos.ImpersonationLevel = 4;
            assert_eq!(c!(SeImpersonateClientEx(&raw const context, null_mut())), INVALID_PARAMETER);
        }
        c!(SeDeleteClientSecurity(&raw mut context));
        c!(vicar_act_as(null_mut()));
        let _ = stage.found();
        stage.clean();
    }
}

/// A thread that ends gives back what it kept, and another world is another.
#[test]
fn nothing_is_kept_from_one_world_for_the_next() {
    let hers = descriptor("O:BAG:BAD:(A;;GA;;;S-1-5-21-1-1-1-1001)");
    for words in [ALICE, BOB, ALICE, ALICE, BOB] {
        let stage = Stage::quiet();
        c!(vicar_act_as(words.thread()));
        let mut subject = no_subject();
        c!(SeCaptureSubjectContext(&raw mut subject));
        for _ in 0..3 {
            assert_eq!(may_read(&hers, &subject).1 == SUCCESS, words.user == ALICE.user);
        }
        c!(SeReleaseSubjectContext(&raw mut subject));
        stage.clean();
    }
}
