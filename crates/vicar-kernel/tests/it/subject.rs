//! 6.G: subject contexts, and what each level may decide.

use vicar_kernel::access::{Answers, ServerAccess};
use vicar_kernel::subject::LockedSubject;
use vicar_kernel::{ClientContext, SubjectContext};
use vicar_nt::check::{AccessMode, AccessRequest, Api, ObjectType, decide};
use vicar_nt::descriptor::{Descriptor, DescriptorRef};
use vicar_nt::privilege::{LuidAndAttributes, Need, PrivilegeAttributes, check_token};
use vicar_nt::{AccessMask, GenericMapping, ImpersonationLevel, Luid, NtStatus, Privilege, RequestedMask, sddl};

use crate::fixture::{Anonymous, Delegation, Identification, Imp, Local, STATIC, Who, World, terms, user_a, user_b};

const BAD: NtStatus = NtStatus::BAD_IMPERSONATION_LEVEL;

#[test]
fn capturing_takes_both_tokens_and_releasing_gives_both_back() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let balance = world.system.balance();
    let subject = SubjectContext::capture(&thread);
    assert_eq!(world.system.balance(), balance + 2);
    assert_eq!(subject.level(), Some(Imp));
    assert_eq!(subject.audit_id(), thread.process().id());
    assert!(subject.primary().is_same(&thread.process().reference_primary()));
    thread.revert();
    assert_eq!(subject.effective_token_unchecked().state().user().sid, user_b());
    drop(subject);
    assert_eq!(SubjectContext::capture(&thread).level(), None);
}

#[test]
fn t166_the_process_is_named_and_need_not_be_the_threads_own() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let attached = world.process(Who::A);
    let subject = SubjectContext::capture_in(Some(&thread), &attached);
    assert_eq!(subject.primary().state().user().sid, user_a());
    assert_eq!(subject.client().map(|client| client.level), Some(Imp));
    assert!(SubjectContext::capture_in(None, &attached).client().is_none());
}

#[test]
fn t165_the_logon_session_of_a_token_is_readable_at_every_level_but_decides_nothing_below_impersonation() {
    let world = World::new();
    for level in ImpersonationLevel::ALL {
        let thread = world.wearing(Who::B, level);
        let worn = thread.reference_impersonation().unwrap();
        assert_eq!(worn.token.authentication_id(), Luid::from_u64(0xB001));
        let decided = SubjectContext::capture(&thread).authentication_id();
        assert_eq!(decided.is_ok(), level >= Imp);
    }
}

#[test]
fn cv01_an_identified_system_token_is_not_an_administrator() {
    let world = World::new();
    let thread = world.thread(Who::A);
    for level in [Anonymous, Identification] {
        let _ = thread.impersonate_token(&world.imp(Who::Sys, level), terms(level)).unwrap();
        let subject = SubjectContext::capture(&thread);
        assert_eq!(subject.is_admin(), Err(BAD));
        assert_eq!(subject.for_authorisation().unwrap_err(), BAD);
    }
    assert_eq!(SubjectContext::capture(&world.wearing(Who::Sys, Imp)).is_admin(), Ok(true));
    thread.revert();
    assert_eq!(SubjectContext::capture(&thread).is_admin(), Ok(false));
}

#[test]
fn cv02_an_identified_token_names_no_logon_session() {
    let world = World::new();
    let subject = SubjectContext::capture(&world.wearing(Who::Sys, Identification));
    assert_eq!(subject.authentication_id(), Err(BAD));
}

#[test]
fn an_identified_client_may_be_shown_and_an_anonymous_one_may_not() {
    let world = World::new();
    let shown = |level| {
        let subject = SubjectContext::capture(&world.wearing(Who::B, level));
        subject.for_display().map(|token| token.state().user().sid)
    };
    assert_eq!(shown(Anonymous), Err(BAD));
    assert_eq!(shown(Identification), Ok(user_b()));
    assert_eq!(shown(Delegation), Ok(user_b()));
}

#[test]
fn parts_make_a_subject_whose_level_is_at_most_the_tokens() {
    let world = World::new();
    let primary = world.token(Who::A);
    let client = world.imp(Who::B, Identification);
    let subject = SubjectContext::from_parts(Some(client), Delegation, primary);
    assert_eq!(subject.level(), Some(Identification));
    assert_eq!(ClientContext::from_subject(&subject, STATIC, Local).unwrap_err(), BAD);
    let subject = SubjectContext::from_parts(Some(world.token(Who::B)), Imp, world.token(Who::A));
    assert_eq!(subject.level(), Some(Imp));
}

/// A descriptor without a DACL, and one that grants everything to B.
fn everybody() -> Descriptor {
    vicar_nt::sddl::parse("O:SYG:SYD:NO_ACCESS_CONTROL", None).unwrap()
}

fn only_b() -> Descriptor {
    vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;S-1-5-21-1-1-1-1002)", None).unwrap()
}

const READ: RequestedMask = RequestedMask(0x1);
const EVERYTHING: RequestedMask = RequestedMask(0x0200_0000);

/// What `SeAccessCheck` answers about a subject at `level`.
fn access(
    level: ImpersonationLevel,
    descriptor: Option<DescriptorRef<'_>>,
    desired: RequestedMask,
    mode: AccessMode,
) -> Result<AccessMask, NtStatus> {
    let world = World::new();
    let locked = SubjectContext::capture(&world.wearing(Who::B, level)).lock();
    let any = everybody();
    let request = AccessRequest::new(locked.subject(), any.as_ref(), desired, GenericMapping::FILE);
    let request = AccessRequest { descriptor, mode, ..request };
    decide(&request).map(|grant| grant.mask()).map_err(|denial| denial.status())
}

#[test]
fn t148_an_identified_subject_is_refused_even_by_an_object_without_a_dacl() {
    let descriptor = everybody();
    assert_eq!(access(Identification, Some(descriptor.as_ref()), READ, AccessMode::User), Err(BAD));
    assert_eq!(access(Anonymous, Some(descriptor.as_ref()), READ, AccessMode::User), Err(BAD));
}

#[test]
fn t149_the_kernel_on_its_own_behalf_is_not_asked_for_a_level() {
    let descriptor = only_b();
    assert!(access(Identification, Some(descriptor.as_ref()), READ, AccessMode::Kernel).is_ok());
}

#[test]
fn t150_a_missing_descriptor_refuses_before_the_level_does() {
    assert_eq!(access(Identification, None, READ, AccessMode::User), Err(NtStatus::ACCESS_DENIED));
}

#[test]
fn t151_at_impersonation_the_dacl_decides() {
    let descriptor = only_b();
    for level in [Imp, Delegation] {
        assert_eq!(access(level, Some(descriptor.as_ref()), READ, AccessMode::User), Ok(AccessMask::truncate(0x1)));
    }
}

#[test]
fn t152_asking_for_everything_at_identification_is_refused_too() {
    let descriptor = only_b();
    assert_eq!(access(Identification, Some(descriptor.as_ref()), EVERYTHING, AccessMode::User), Err(BAD));
}

#[test]
fn t090_a_downgraded_thread_opens_nothing() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let _ = thread.impersonate(&crate::fixture::context(&world, Who::B, Imp)).unwrap();
    let locked = SubjectContext::capture(&thread).lock();
    let descriptor = everybody();
    let request = AccessRequest::new(locked.subject(), descriptor.as_ref(), READ, GenericMapping::FILE);
    assert_eq!(decide(&request).unwrap_err().status(), BAD);
}

fn wanted(privileges: [Privilege; 2]) -> [LuidAndAttributes; 2] {
    privileges.map(|privilege| LuidAndAttributes::new(privilege, PrivilegeAttributes::empty()))
}

fn is_marked(entry: &LuidAndAttributes) -> bool {
    entry.attributes.contains(PrivilegeAttributes::USED_FOR_ACCESS)
}

#[test]
fn t153_an_identified_client_holds_no_privilege_and_nothing_is_marked() {
    let world = World::new();
    for level in [Anonymous, Identification] {
        let subject = SubjectContext::capture(&world.wearing(Who::Sys, level));
        let mut entries = wanted([Privilege::Impersonate, Privilege::Tcb]);
        assert!(!subject.privilege_check(&mut entries, Need::Any, AccessMode::User));
        assert!(!entries.iter().any(is_marked));
    }
}

#[test]
fn t154_the_kernel_holds_every_privilege_and_all_are_marked() {
    let world = World::new();
    let subject = SubjectContext::capture(&world.wearing(Who::B, Identification));
    let mut entries = wanted([Privilege::Impersonate, Privilege::Tcb]);
    assert!(subject.privilege_check(&mut entries, Need::All, AccessMode::Kernel));
    assert!(entries.iter().all(is_marked));
}

#[test]
fn t155_any_one_is_enough_and_only_that_one_is_marked() {
    let world = World::new();
    let subject = SubjectContext::capture(&world.wearing(Who::Sys, Imp));
    let mut entries = wanted([Privilege::Debug, Privilege::Impersonate]);
    assert!(subject.privilege_check(&mut entries, Need::Any, AccessMode::User));
    assert_eq!(entries.map(|entry| is_marked(&entry)), [false, true]);
    assert!(!subject.privilege_check(&mut entries, Need::All, AccessMode::User));
}

#[test]
fn t156_what_belongs_to_the_process_is_asked_of_the_process() {
    let world = World::new();
    let thread = world.wearing(Who::A, Imp);
    let subject = SubjectContext::capture(&thread);
    assert!(subject.primary_holds(Privilege::Tcb) && !subject.holds(Privilege::Tcb, AccessMode::User));
}

#[test]
fn t157_a_token_handed_over_is_asked_from_identification_on() {
    let world = World::new();
    let ask = |level| {
        let token = world.imp(Who::Ns, level);
        check_token(&token.state(), token.level(), &mut wanted([Privilege::Impersonate; 2]), Need::All)
    };
    assert_eq!(ask(Anonymous), Err(BAD));
    assert_eq!((ask(Identification), ask(Imp)), (Ok(true), Ok(true)));
}

#[test]
fn t158_a_servers_own_check_takes_an_impersonation_token_from_identification_on() {
    let world = World::new();
    let descriptor = only_b();
    let ask = |locked: &LockedSubject, desired| {
        let request = AccessRequest::new(locked.subject(), descriptor.as_ref(), desired, GenericMapping::FILE);
        decide(&AccessRequest { api: Api::NtAccessCheck, ..request })
            .map(|grant| grant.mask())
            .map_err(|denial| denial.status())
    };
    let primary = LockedSubject::of_token(&world.token(Who::B));
    assert_eq!(ask(&primary, READ), Err(NtStatus::NO_IMPERSONATION_TOKEN));
    let at = |level| LockedSubject::of_token(&world.imp(Who::B, level));
    assert_eq!(ask(&at(Anonymous), READ), Err(BAD));
    assert_eq!(
        (ask(&at(Identification), READ), ask(&at(Imp), READ)),
        (Ok(AccessMask::truncate(0x1)), Ok(AccessMask::truncate(0x1)))
    );
    assert_eq!(ask(&at(Imp), RequestedMask(0x8000_0000)), Err(NtStatus::GENERIC_NOT_MAPPED));
}

/// A server asks about three types of an object: the second may be written by whom the object is about.
#[test]
fn a_server_is_answered_for_each_type_and_told_which_privileges_it_took() {
    let world = World::new();
    let guid = |byte: u8| vicar_nt::Guid([byte; 16]);
    let text = "O:SYG:SYD:(A;;0x1;;;WD)(OA;;0x2;02020202-0202-0202-0202-020202020202;;PS)S:(AU;SA;0x2;;;WD)";
    let descriptor = sddl::parse(text, None).unwrap();
    let types: Vec<ObjectType> =
        [(0, 1), (1, 2), (1, 3)].map(|(level, byte)| ObjectType { level, guid: guid(byte) }).to_vec();
    let user = user_b();
    let asked = |desired| ServerAccess {
        descriptor: Some(descriptor.as_ref()),
        desired,
        mapping: GenericMapping::FILE,
        object_types: &types,
        self_sid: Some(user.as_ref()),
        readings: vicar_nt::Readings::empty(),
    };
    let subject = LockedSubject::of_token(&world.imp(Who::B, Identification));
    assert_eq!(subject.may_be_asked_about(RequestedMask(0x1000_0000)), Err(NtStatus::GENERIC_NOT_MAPPED));
    let answer = subject.answer_server(&asked(RequestedMask(3)), Answers::Each).unwrap();
    let told: Vec<_> = answer.nodes.iter().map(|node| (node.status.is_success(), node.granted.bits())).collect();
    assert_eq!(told, [(false, 1), (true, 3), (false, 1)]);
    assert!(answer.is_recorded && answer.privileges.is_empty());
    let whole = subject.answer_server(&asked(RequestedMask(1)), Answers::Whole).unwrap();
    assert_eq!((whole.nodes.len(), whole.nodes[0].granted.bits(), whole.is_recorded), (1, 1, false));
    let nothing = subject.answer_server(&asked(RequestedMask(0)), Answers::Each).unwrap();
    assert!(nothing.nodes.iter().all(|node| node.status == NtStatus::ACCESS_DENIED));
    let primary = LockedSubject::of_token(&world.token(Who::B));
    let refused = primary.answer_server(&asked(RequestedMask(1)), Answers::Whole).unwrap_err();
    assert_eq!(refused, NtStatus::NO_IMPERSONATION_TOKEN);
    assert_eq!(primary.may_be_asked_about(RequestedMask(1)), Err(NtStatus::NO_IMPERSONATION_TOKEN));
    let anonymous = LockedSubject::of_token(&world.imp(Who::B, Anonymous));
    assert_eq!(anonymous.may_be_asked_about(RequestedMask(1)), Err(BAD));
    assert_eq!(subject.may_be_asked_about(RequestedMask(1)), Ok(()));
}

#[test]
fn t160_everything_about_a_token_can_be_read_at_every_level() {
    let world = World::new();
    assert_eq!(world.imp(Who::B, Anonymous).state().user().sid, user_b());
}

#[test]
fn cv04_an_identified_client_may_not_assign_primary_tokens() {
    let world = World::new();
    let state = vicar_nt::token::TokenState::builder(user_a())
        .privilege(Privilege::AssignPrimaryToken, vicar_nt::privilege::PrivilegeState::EnabledByDefault);
    let token = world.token_of(state, 0xA001, 0);
    let thread = world.thread(Who::Sys);
    for (level, expected) in [(Identification, false), (Imp, true)] {
        let _ = thread.impersonate_token(&token, terms(level)).unwrap();
        let subject = SubjectContext::capture(&thread);
        assert_eq!(subject.holds(Privilege::AssignPrimaryToken, AccessMode::User), expected);
    }
}

#[test]
fn a_token_that_is_client_and_primary_at_once_is_read_once() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let own = thread.process().reference_primary();
    let _ = thread.impersonate_token(&own, terms(Imp)).unwrap();
    let locked = SubjectContext::capture(&thread).lock();
    let subject = locked.subject();
    assert!(std::ptr::eq(subject.client.unwrap().0, subject.primary));
}

/// Whoever keeps states between checks sees every change of a token, and every other token, all the same.
#[test]
fn what_was_seen_before_is_not_what_is_checked() {
    let world = World::new();
    let mapping = GenericMapping::of(1, 2, 4, 7);
    let hers = sddl::parse(&format!("O:BAG:BAD:(A;;GR;;;{})", user_b()), None).unwrap();
    let ask = |desired| vicar_kernel::access::Access {
        descriptor: Some(hers.as_ref()),
        desired: RequestedMask(desired),
        previously_granted: RequestedMask(0),
        mapping,
        mode: AccessMode::User,
    };
    let mut seen = vicar_kernel::SeenSubject::default();
    let mut same = |subject: &SubjectContext, desired| {
        let expected = subject.access_check(&ask(desired));
        for _ in 0..3 {
            assert_eq!(subject.tokens().access_check(&ask(desired), &mut seen), expected);
        }
        expected.is_ok()
    };
    let subjects = [Who::A, Who::B, Who::Sys].map(|who| SubjectContext::capture(&world.thread(who)));
    let worn = [Imp, Identification].map(|level| SubjectContext::capture(&world.wearing(Who::B, level)));
    for one in subjects.iter().chain(&worn) {
        for other in subjects.iter().chain(&worn) {
            same(one, 0x8000_0000);
            same(other, 0x8000_0000);
        }
    }
    // The audit list is for those who hold a privilege: it is disabled and enabled between checks.
    let state = vicar_nt::token::TokenState::builder(user_a())
        .privilege(Privilege::Security, vicar_nt::privilege::PrivilegeState::EnabledByDefault);
    let token = world
        .system
        .logon(vicar_kernel::LogonKind::Network, None)
        .unwrap()
        .create_token(vicar_kernel::TokenSpec {
            state: state.build().unwrap(),
            kind: vicar_kernel::TokenKind::Primary,
            source: *b"again   ",
            origin: Luid::ZERO,
        })
        .unwrap();
    let process = vicar_kernel::Process::new(&world.system, token).unwrap();
    let subject = SubjectContext::capture(&vicar_kernel::Thread::new(&process));
    for is_enabled in [true, false, true, false] {
        let attributes = if is_enabled { PrivilegeAttributes::ENABLED } else { PrivilegeAttributes::empty() };
        let _ = subject.primary().adjust_privileges(&[LuidAndAttributes::new(Privilege::Security, attributes)]);
        assert_eq!(same(&subject, 0x0100_0000), is_enabled);
    }
}
