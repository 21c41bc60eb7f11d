//! 6.E and parts of 6.F and 6.L: opening tokens, and what the rights to them allow.

use vicar_kernel::handle::right;
use vicar_kernel::token::DuplicateKind;
use vicar_kernel::{
    ClientContext, Duplicate, OnOpen, OpenAs, Outcome, Process, Qos, Reach, SubjectContext, Terms, Thread, ThreadRef,
    TokenHandle,
};
use vicar_nt::check::AccessMode;
use vicar_nt::privilege::{LuidAndAttributes, Need, PrivilegeAttributes};
use vicar_nt::token::TokenState;
use vicar_nt::{AccessMask, NtStatus, Privilege, RequestedMask, well_known};

use crate::fixture::{
    Anonymous, DYNAMIC, Identification, Imp, Local, STATIC, Who, World, at, context, enabled, terms, user, user_a,
};

fn ask(rights: &[AccessMask]) -> RequestedMask {
    RequestedMask(rights.iter().fold(0, |mask, right| mask | right.bits()))
}

const QUERY: RequestedMask = RequestedMask(0x8);
const BOTH: [OpenAs; 2] = [OpenAs::Caller, OpenAs::Process];

/// A service thread that wears A's live token with copy on open; A holds Shutdown, disabled.
fn service_wearing_a(world: &World, reach: Reach) -> (ThreadRef, ThreadRef) {
    let client = world.thread(Who::A);
    let server = world.thread(Who::Sys);
    let context = ClientContext::capture(&client, Qos { reach, ..DYNAMIC }, Local).unwrap();
    let _ = server.impersonate(&context).unwrap();
    (server, client)
}

#[test]
fn t102_a_thread_that_wears_nobody_has_no_token_to_open() {
    let world = World::new();
    let thread = world.thread(Who::A);
    for open_as in BOTH {
        assert_eq!(thread.open_token(&thread, QUERY, open_as).unwrap_err(), NtStatus::NO_TOKEN);
    }
}

#[test]
fn t103_a_thread_that_wears_itself_opens_its_token_either_way() {
    let world = World::new();
    let thread = world.thread(Who::A);
    assert_eq!(thread.impersonate_self(Imp), Ok(Outcome::AsRequested));
    for open_as in BOTH {
        let handle = thread.open_token(&thread, ask(&[right::ALL]), open_as).unwrap();
        assert_eq!(handle.query().unwrap().user().sid, user_a());
        assert!(handle.token_unchecked().is_same(&thread.reference_impersonation().unwrap().token));
    }
}

#[test]
fn t104_an_anonymous_thread_token_cannot_be_opened_by_anybody() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let _ = thread.impersonate_self(Anonymous).unwrap();
    for open_as in BOTH {
        let refused = thread.open_token(&thread, QUERY, open_as).unwrap_err();
        assert_eq!(refused, NtStatus::CANT_OPEN_ANONYMOUS);
    }
}

#[test]
fn t105_an_identified_thread_token_is_opened_as_the_process_only() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let _ = thread.impersonate_self(Identification).unwrap();
    let rights = ask(&[right::QUERY, right::ADJUST_PRIVILEGES, right::DUPLICATE, right::IMPERSONATE]);
    assert!(thread.open_token(&thread, rights, OpenAs::Process).is_ok());
    let refused = thread.open_token(&thread, rights, OpenAs::Caller).unwrap_err();
    assert_eq!(refused, NtStatus::BAD_IMPERSONATION_LEVEL);
}

#[test]
fn t089_a_downgraded_thread_shows_its_level_to_its_process() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let _ = thread.impersonate(&context(&world, Who::B, Imp)).unwrap();
    let handle = thread.open_token(&thread, QUERY, OpenAs::Process).unwrap();
    assert_eq!(handle.token_unchecked().level(), Some(Identification));
    assert!(handle.query().is_ok());
}

#[test]
fn t110_the_first_open_makes_a_copy_and_the_second_gives_it_again() {
    let world = World::new();
    let (server, client) = service_wearing_a(&world, Reach::AllHeld);
    let first = server.open_token(&server, QUERY, OpenAs::Process).unwrap();
    let worn = server.reference_impersonation().unwrap();
    assert!(worn.token.is_same(first.token_unchecked()) && !worn.copy_on_open);
    assert!(!worn.token.is_same(&client.process().reference_primary()));
    assert_eq!((worn.level, worn.reach, worn.token.level()), (Imp, Reach::AllHeld, Some(Imp)));
    let second = server.open_token(&server, QUERY, OpenAs::Process).unwrap();
    assert!(first.is_same_object(&second));
}

#[test]
fn t112_what_is_enabled_through_the_handle_counts_for_the_thread_and_not_for_the_client() {
    let world = World::new();
    let (server, client) = service_wearing_a(&world, Reach::AllHeld);
    let handle = server.open_token(&server, ask(&[right::ADJUST_PRIVILEGES]), OpenAs::Process).unwrap();
    let holds = || SubjectContext::capture(&server).holds(Privilege::Shutdown, AccessMode::User);
    assert!(!holds());
    assert!(handle.adjust_privileges(&[enabled(Privilege::Shutdown)]).unwrap().all_assigned);
    assert!(holds());
    assert!(!client.process().reference_primary().state().privileges().is_enabled(Privilege::Shutdown));
}

#[test]
fn t113_an_effective_only_client_gives_only_what_it_had_enabled() {
    let world = World::new();
    let (server, _client) = service_wearing_a(&world, Reach::EffectiveOnly);
    let handle = server.open_token(&server, ask(&[right::ADJUST_PRIVILEGES, right::QUERY]), OpenAs::Process).unwrap();
    assert!(!handle.query().unwrap().privileges().present().contains(Privilege::Shutdown));
    let adjusted = handle.adjust_privileges(&[enabled(Privilege::Shutdown)]).unwrap();
    assert_eq!(adjusted.status(), NtStatus::NOT_ALL_ASSIGNED);
}

#[test]
fn t114_after_the_swap_the_clients_token_has_its_base_count() {
    let world = World::new();
    let client = world.thread(Who::A);
    let primary = client.process().reference_primary();
    let base = primary.reference_count();
    let server = world.thread(Who::Sys);
    let _ = server.impersonate_token(&primary, terms(Imp)).unwrap();
    assert_eq!(primary.reference_count(), base + 1);
    let handle = server.open_token(&server, QUERY, OpenAs::Process).unwrap();
    assert_eq!(primary.reference_count(), base);
    assert_eq!(handle.token_unchecked().reference_count(), 2);
}

#[test]
fn t115_a_third_user_is_refused() {
    let world = World::new();
    let server = world.thread(Who::A);
    let _ = server.impersonate_token(&world.imp(Who::Bx, Imp), terms(Imp)).unwrap();
    let state = TokenState::builder(user(1003)).group(well_known::USERS, vicar_nt::GroupAttributes::ALWAYS_ENABLED);
    let stranger = Thread::new(&Process::new(&world.system, world.token_of(state, 0xD001, 0)).unwrap());
    let refused = server.open_token(&stranger, QUERY, OpenAs::Process).unwrap_err();
    assert_eq!(refused, NtStatus::ACCESS_DENIED);
    // The refusal left the thread as it was.
    assert!(server.reference_impersonation().unwrap().copy_on_open);
    for friend in [Who::A, Who::B, Who::Ns, Who::Sys] {
        let is_friend = friend != Who::Ns;
        let opened = server.open_token(&world.thread(friend), QUERY, OpenAs::Process);
        assert_eq!(opened.is_ok(), is_friend, "{friend:?}");
    }
}

#[test]
fn t116_restricted_code_may_open_what_a_restricted_process_wears() {
    let world = World::new();
    let restricted = || TokenState::builder(user_a()).restricting(well_known::RESTRICTED_CODE);
    let process = Process::new(&world.system, world.token_of(restricted(), 0xA001, 0)).unwrap();
    let thread = Thread::new(&process);
    let token = world.token_of(restricted(), 0xA001, 0);
    assert_eq!(thread.impersonate_token(&token, terms(Imp)), Ok(Outcome::AsRequested));
    assert!(thread.open_token(&thread, ask(&[right::ALL]), OpenAs::Process).is_ok());
}

#[test]
fn t117_opening_as_the_process_never_touches_what_the_caller_wears() {
    let world = World::new();
    let (target, _client) = service_wearing_a(&world, Reach::AllHeld);
    for (process, is_allowed) in [(Who::Sys, true), (Who::Ns, false)] {
        let caller = world.thread(process);
        let _ = caller.impersonate_token(&world.imp(Who::B, Identification), terms(Identification)).unwrap();
        let before = caller.reference_impersonation().unwrap();
        assert_eq!(target.open_token(&caller, QUERY, OpenAs::Process).is_ok(), is_allowed);
        let after = caller.reference_impersonation().unwrap();
        assert!(before.token.is_same(&after.token) && before.terms() == after.terms());
    }
}

#[test]
fn t118_opening_while_the_thread_reverts_never_brings_a_client_back() {
    let world = World::new();
    let target = world.thread(Who::Sys);
    let token = world.imp(Who::A, Imp);
    let balance = world.system.balance();
    for _ in 0..500 {
        let _ = target.impersonate_token(&token, terms(Imp)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| target.revert());
            scope.spawn(|| match target.open_token(&target, QUERY, OpenAs::Process) {
                Ok(handle) => assert!(!handle.token_unchecked().is_same(&token)),
                Err(status) => assert_eq!(status, NtStatus::NO_TOKEN),
            });
        });
        assert!(!target.is_impersonating());
    }
    assert_eq!(world.system.balance(), balance);
    // The same with the revert, and with another client, exactly between the copy and what puts it on the thread.
    let _ = target.impersonate_token(&token, terms(Imp)).unwrap();
    let reverting = target.clone();
    world.system.pool().before_nth(1, move || reverting.revert());
    assert_eq!(target.open_token(&target, QUERY, OpenAs::Process).unwrap_err(), NtStatus::NO_TOKEN);
    assert!(!target.is_impersonating());
    assert_eq!(world.system.balance(), balance);
    let other = world.imp(Who::B, Imp);
    let _ = target.impersonate_token(&token, terms(Imp)).unwrap();
    let (changing, next) = (target.clone(), other.clone());
    world.system.pool().before_nth(1, move || assert!(changing.impersonate_token(&next, terms(Imp)).is_ok()));
    let opened = target.open_token(&target, QUERY, OpenAs::Process).unwrap();
    assert_eq!(opened.token_unchecked().state().user().sid, other.state().user().sid);
    assert_eq!(target.reference_impersonation().unwrap().token.state().user().sid, other.state().user().sid);
    target.revert();
}

#[test]
fn an_open_that_cannot_copy_leaves_the_thread_as_it_was() {
    let world = World::new();
    let (server, _client) = service_wearing_a(&world, Reach::AllHeld);
    let balance = world.system.balance();
    world.system.pool().fail_nth(1);
    let refused = server.open_token(&server, QUERY, OpenAs::Process).unwrap_err();
    assert_eq!((refused, world.system.balance()), (NtStatus::INSUFFICIENT_RESOURCES, balance));
    assert!(server.reference_impersonation().unwrap().copy_on_open);
}

#[test]
fn an_identified_thread_opens_no_process_token_and_an_impersonating_one_is_judged_as_the_client() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    assert!(thread.process().open_token(&thread, QUERY).is_ok());
    for level in [Anonymous, Identification] {
        let _ = thread.impersonate_token(&world.imp(Who::A, level), terms(level)).unwrap();
        let refused = thread.process().open_token(&thread, QUERY).unwrap_err();
        assert_eq!(refused, NtStatus::BAD_IMPERSONATION_LEVEL);
    }
    let _ = thread.impersonate_token(&world.imp(Who::A, Imp), terms(Imp)).unwrap();
    assert_eq!(thread.process().open_token(&thread, QUERY).unwrap_err(), NtStatus::ACCESS_DENIED);
}

#[test]
fn cv08_no_low_caller_opens_the_token_of_its_elevated_user() {
    let world = World::new();
    let elevated = world.process(Who::Ae);
    assert!(elevated.open_token(&world.thread(Who::Ae), ask(&[right::ALL])).is_ok());
    for weak in [Who::A, Who::Al] {
        for rights in [right::QUERY, right::DUPLICATE, right::IMPERSONATE, right::ADJUST_PRIVILEGES] {
            let refused = elevated.open_token(&world.thread(weak), ask(&[rights])).unwrap_err();
            assert_eq!(refused, NtStatus::ACCESS_DENIED, "{weak:?}, {rights:?}");
        }
    }
}

fn handle(world: &World, who: Who, rights: &[AccessMask]) -> (TokenHandle, SubjectContext) {
    let thread = world.thread(who);
    (thread.process().open_token(&thread, ask(rights)).unwrap(), SubjectContext::capture(&thread))
}

const IMP_COPY: Duplicate = Duplicate { kind: DuplicateKind::Impersonation, level: Some(Imp), reach: Reach::AllHeld };

#[test]
fn t127_without_a_desired_access_the_copy_has_the_rights_of_the_handle() {
    let world = World::new();
    let (source, caller) = handle(&world, Who::A, &[right::DUPLICATE, right::QUERY]);
    assert_eq!(source.duplicate(&caller, None, IMP_COPY).unwrap().access(), source.access());
    let copy = source.duplicate(&caller, Some(ask(&[right::IMPERSONATE])), IMP_COPY).unwrap();
    assert_eq!(copy.access(), right::IMPERSONATE);
}

#[test]
fn a_copy_can_be_opened_by_whom_its_maker_names() {
    let world = World::new();
    let (source, caller) = handle(&world, Who::A, &[right::DUPLICATE, right::QUERY]);
    let asked = vicar_nt::sddl::parse("G:BUD:(A;;0xf01ff;;;SY)", None).unwrap();
    let query = Some(ask(&[right::QUERY]));
    let refused = source.duplicate_protected(&caller, query, IMP_COPY, asked.as_ref()).map(drop);
    assert_eq!(refused, Err(NtStatus::ACCESS_DENIED), "the maker did not name itself");
    let copy = source.duplicate_protected(&caller, None, IMP_COPY, asked.as_ref()).unwrap();
    let descriptor = copy.token_unchecked().descriptor().unwrap();
    assert_eq!(descriptor.as_ref().owner().unwrap(), user_a().as_ref(), "the rest is the maker's");
    let audited = vicar_nt::sddl::parse("G:BUS:(AU;SA;0x8;;;WD)", None).unwrap();
    let refused = source.duplicate_protected(&caller, None, IMP_COPY, audited.as_ref()).map(drop);
    assert_eq!(refused, Err(NtStatus::PRIVILEGE_NOT_HELD));
    let other = vicar_nt::sddl::parse("O:SYG:BU", None).unwrap();
    let refused = source.duplicate_protected(&caller, None, IMP_COPY, other.as_ref()).map(drop);
    assert_eq!(refused, Err(NtStatus::INVALID_OWNER));
    let groupless = vicar_nt::sddl::parse("D:(A;;0xf01ff;;;SY)", None).unwrap();
    let refused = source.duplicate_protected(&caller, None, IMP_COPY, groupless.as_ref()).map(drop);
    assert_eq!(refused, Err(NtStatus::INVALID_PRIMARY_GROUP), "this maker has none to give");
    let made = vicar_kernel::token::descriptor_of_new(other.as_ref(), &caller, AccessMode::Kernel).unwrap();
    assert_eq!(made.as_ref().owner().unwrap(), well_known::LOCAL_SYSTEM.as_ref());
}

#[test]
fn t128_each_operation_asks_for_its_right() {
    let world = World::new();
    let (weak, caller) = handle(&world, Who::A, &[right::QUERY]);
    let denied = NtStatus::ACCESS_DENIED;
    assert_eq!(weak.duplicate(&caller, None, IMP_COPY).unwrap_err(), denied);
    assert_eq!(weak.adjust_privileges(&[enabled(Privilege::Shutdown)]).unwrap_err(), denied);
    assert_eq!(weak.adjust_groups(&[]).unwrap_err(), denied);
    assert_eq!(weak.query_source().unwrap_err(), denied);
    let (no_query, _) = handle(&world, Who::A, &[right::QUERY_SOURCE]);
    assert_eq!(no_query.query().unwrap_err(), denied);
    assert_eq!(no_query.query_source().unwrap().name, *b"Fixture ");
    let mut wanted = [LuidAndAttributes::new(Privilege::ChangeNotify, PrivilegeAttributes::empty())];
    assert_eq!(no_query.privilege_check(&mut wanted, Need::All).unwrap_err(), denied);
    assert_eq!(weak.privilege_check(&mut wanted, Need::All), Ok(true));
    let (source, caller) = handle(&world, Who::A, &[right::DUPLICATE, right::QUERY]);
    let copy = source.duplicate(&caller, None, IMP_COPY).unwrap();
    let thread = world.thread(Who::A);
    assert_eq!(thread.assign_handle(&copy), Err(denied));
    assert!(!thread.is_impersonating());
    let copy = source.duplicate(&caller, Some(ask(&[right::IMPERSONATE])), IMP_COPY).unwrap();
    assert_eq!(thread.assign_handle(&copy), Ok(Outcome::AsRequested));
}

#[test]
fn t223_a_thread_may_take_on_itself() {
    let world = World::new();
    let thread = world.thread(Who::A);
    assert_eq!(thread.impersonate_thread(&thread, STATIC), Ok(Outcome::AsRequested));
    let worn = thread.reference_impersonation().unwrap();
    assert_eq!((worn.level, worn.token.state().user().sid), (Imp, user_a()));
}

#[test]
fn t224_an_identified_thread_cannot_be_taken_on() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let client = world.wearing(Who::B, Identification);
    let refused = server.impersonate_thread(&client, at(Identification, STATIC));
    assert_eq!(refused, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    assert!(!server.is_impersonating());
}

#[test]
fn a_shared_token_is_opened_itself() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let token = world.imp(Who::A, Imp);
    let shared = Terms { on_open: OnOpen::Share, ..terms(Imp) };
    let _ = thread.impersonate_token(&token, shared).unwrap();
    let handle = thread.open_token(&thread, QUERY, OpenAs::Caller).unwrap();
    assert!(handle.token_unchecked().is_same(&token));
}
