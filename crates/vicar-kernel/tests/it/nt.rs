//! 6.L and parts of 6.D to 6.H: the calls by handle and the calls of programs.

use vicar_kernel::anonymous::{AnonymousLogon, EveryoneIncludesAnonymous};
use vicar_kernel::handle::right;
use vicar_kernel::job::{Job, Stripping};
use vicar_kernel::nt::{Caller, GroupsChange, PrivilegeChange, check_thread_token_length};
use vicar_kernel::object::{HandleValue, Handles, process_right, thread_right};
use vicar_kernel::policy::ThreadQuery;
use vicar_kernel::token::{DuplicateKind, parse_filter_flags};
use vicar_kernel::user::win32_error;
use vicar_kernel::{
    Duplicate, GateStep, OpenAs, Outcome, Pipe, Policy, Profile, Qos, Reach, SubjectContext, Thread, ThreadRef,
    TokenHandle,
};
use vicar_nt::token::{Filter, FilterFlags, TokenFlags};
use vicar_nt::{AccessMask, Group, GroupAttributes, NtStatus, Privilege, RequestedMask, well_known};

use crate::fixture::{
    Anonymous, Identification, Imp, STATIC, Who, World, at, context, disabled, enabled, imp, terms, user_a, user_b,
};

pub(crate) const NOTHING: Filter<'_> = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &[] };

const OK: Result<Outcome, NtStatus> = Ok(Outcome::AsRequested);

/// A process with handles, and a thread of it that calls.
struct Program {
    thread: ThreadRef,
    handles: Handles,
}

impl Program {
    fn new(world: &World, who: Who) -> Self {
        Self { thread: world.thread(who), handles: Handles::new(&world.system) }
    }

    fn call(&self) -> Caller<'_> {
        Caller { thread: &self.thread, handles: &self.handles }
    }

    fn thread(&self, thread: &ThreadRef, access: AccessMask) -> HandleValue {
        self.handles.add_thread(thread, access).unwrap()
    }

    fn token(&self, token: vicar_kernel::TokenRef, access: AccessMask) -> HandleValue {
        self.handles.add_token(TokenHandle::with_rights(token, access)).unwrap()
    }
}

fn wire(qos: Qos) -> [u8; Qos::SIZE] {
    qos.to_bytes()
}

#[test]
fn t107_there_is_one_kind_of_handle_and_a_user_gets_a_positive_one() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let _ = program.call().impersonate_self(Imp).unwrap();
    let own = program.thread(&program.thread, thread_right::ALL);
    let opened = program.call().open_thread_token(own, right::QUERY.into(), OpenAs::Process).unwrap();
    assert!(opened.number() > 0 && opened.number().is_multiple_of(4) && opened.number() < 0x8000_0000);
}

#[test]
fn t108_the_thread_handle_needs_the_right_to_query() {
    for (thread_query, limited_is_enough) in [(ThreadQuery::Full, false), (ThreadQuery::Limited, true)] {
        let mut policy = Policy::strict();
        policy.thread_query = thread_query;
        let world = World::with(Profile::V4, policy);
        let program = Program::new(&world, Who::A);
        let _ = program.call().impersonate_self(Imp).unwrap();
        for (access, is_enough) in [
            (AccessMask::NONE, false),
            (thread_right::IMPERSONATE, false),
            (thread_right::QUERY_LIMITED_INFORMATION, limited_is_enough),
            (thread_right::QUERY_INFORMATION, true),
        ] {
            let handle = program.thread(&program.thread, access);
            let answer = program.call().open_thread_token(handle, right::QUERY.into(), OpenAs::Process);
            let answer = answer.map(|_| ());
            assert_eq!(
                answer,
                if is_enough { Ok(()) } else { Err(NtStatus::ACCESS_DENIED) },
                "{thread_query:?} {access}"
            );
        }
    }
}

#[test]
fn t109_a_process_handle_is_no_thread_handle() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let process = program.handles.add_process(program.thread.process(), process_right::ALL).unwrap();
    let answer = program.call().open_thread_token(process, right::QUERY.into(), OpenAs::Process);
    assert_eq!(answer, Err(NtStatus::OBJECT_TYPE_MISMATCH));
    let thread = program.thread(&program.thread, thread_right::ALL);
    assert_eq!(program.call().open_process_token(thread, right::QUERY.into()), Err(NtStatus::OBJECT_TYPE_MISMATCH));
}

#[test]
fn t133_filtering_the_null_handle() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    assert_eq!(program.call().filter_token(HandleValue::NULL, &NOTHING), Err(NtStatus::INVALID_HANDLE));
}

#[test]
fn t145_adjusting_groups_takes_a_list_or_a_reset() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let token = program.token(world.token(Who::B), right::ALL);
    let invalid = Err(NtStatus::INVALID_PARAMETER);
    assert_eq!(program.call().adjust_groups(token, GroupsChange::Nothing), invalid);
    assert_eq!(program.call().adjust_privileges(token, PrivilegeChange::Nothing), invalid);
    assert_eq!(program.call().adjust_groups(token, GroupsChange::Reset), Ok(NtStatus::SUCCESS));
    assert_eq!(program.call().adjust_groups(token, GroupsChange::List(&[])), Ok(NtStatus::SUCCESS));
    assert_eq!(program.call().adjust_privileges(token, PrivilegeChange::DisableAll), Ok(NtStatus::SUCCESS));
}

#[test]
fn t167_impersonating_the_anonymous_user_on_the_null_handle() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap();
    let answer = program.call().impersonate_anonymous_token(&anonymous, HandleValue::NULL);
    assert_eq!(answer, Err(NtStatus::INVALID_HANDLE));
}

#[test]
fn t168_impersonating_the_anonymous_user_takes_the_right_to_impersonate() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap();
    let weak = program.thread(&program.thread, AccessMask::SYNCHRONIZE);
    assert_eq!(program.call().impersonate_anonymous_token(&anonymous, weak), Err(NtStatus::ACCESS_DENIED));
    assert!(!program.thread.is_impersonating());
    let able = program.thread(&program.thread, thread_right::IMPERSONATE);
    assert_eq!(program.call().impersonate_anonymous_token(&anonymous, able), OK);
}

#[test]
fn t216_a_buffer_for_a_handle_has_the_length_of_one() {
    assert_eq!(check_thread_token_length(4), Err(NtStatus::INFO_LENGTH_MISMATCH));
    assert_eq!(check_thread_token_length(16), Err(NtStatus::INFO_LENGTH_MISMATCH));
    assert_eq!(check_thread_token_length(8), Ok(()));
}

#[test]
fn t220_a_token_handle_without_the_right_to_impersonate() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let own = program.thread(&program.thread, thread_right::ALL);
    let weak = program.token(world.imp(Who::A, Imp), right::QUERY | right::DUPLICATE);
    assert_eq!(program.call().set_thread_token(own, weak), Err(NtStatus::ACCESS_DENIED));
    let able = program.token(world.imp(Who::A, Imp), right::IMPERSONATE);
    assert_eq!(program.call().set_thread_token(own, able), Ok(Some(Outcome::AsRequested)));
    assert_eq!(program.call().set_thread_token(own, HandleValue::NULL), Ok(None));
    assert!(!program.thread.is_impersonating());
}

#[test]
fn t221_a_thread_handle_without_the_right_to_set_its_token() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let token = program.token(world.imp(Who::A, Imp), right::ALL);
    let all_but = thread_right::ALL.without(thread_right::SET_THREAD_TOKEN);
    let weak = program.thread(&program.thread, all_but);
    assert_eq!(program.call().set_thread_token(weak, token), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(program.call().set_thread_token(weak, HandleValue::NULL), Err(NtStatus::ACCESS_DENIED));
    assert!(!program.thread.is_impersonating());
}

#[test]
fn t222_taking_a_thread_on_takes_a_right_to_each_of_the_two() {
    let world = World::new();
    let program = Program::new(&world, Who::Ns);
    let (server, client) = (world.thread(Who::Ns), world.thread(Who::B));
    let able_server = program.thread(&server, thread_right::IMPERSONATE);
    let weak_server = program.thread(&server, thread_right::ALL.without(thread_right::IMPERSONATE));
    let able_client = program.thread(&client, thread_right::DIRECT_IMPERSONATION);
    let weak_client = program.thread(&client, thread_right::ALL.without(thread_right::DIRECT_IMPERSONATION));
    let denied = Err(NtStatus::ACCESS_DENIED);
    assert_eq!(program.call().impersonate_thread(weak_server, able_client, wire(STATIC)), denied);
    assert_eq!(program.call().impersonate_thread(able_server, weak_client, wire(STATIC)), denied);
    assert!(!server.is_impersonating());
    assert_eq!(program.call().impersonate_thread(able_server, able_client, wire(STATIC)), OK);
    assert_eq!(server.reference_impersonation().unwrap().token.state().user().sid, user_b());
}

#[test]
fn the_length_of_a_quality_of_service_that_a_user_sends_is_tested() {
    let world = World::new();
    let program = Program::new(&world, Who::Ns);
    let both = program.thread(&program.thread, thread_right::ALL);
    let mut wrong = wire(STATIC);
    wrong[0] = 13;
    assert_eq!(program.call().impersonate_thread(both, both, wrong), Err(NtStatus::INVALID_PARAMETER));
}

#[test]
fn t074_a_handle_to_a_service_thread_is_dangerous_and_its_descriptor_does_not_give_it() {
    let world = World::new();
    let target = world.thread(Who::Ns);
    let attacker = Program::new(&world, Who::A);
    let subject = SubjectContext::capture(&attacker.thread);
    for wanted in [thread_right::SET_THREAD_TOKEN, thread_right::IMPERSONATE, thread_right::DIRECT_IMPERSONATION] {
        let opened = attacker.handles.open_thread(&subject, &target, wanted.into());
        assert_eq!(opened, Err(NtStatus::ACCESS_DENIED));
    }
    // With the handle in hand, the gate looks at the service's process.
    let leaked = attacker.thread(&target, thread_right::SET_THREAD_TOKEN);
    let token = attacker.token(world.imp(Who::B, Imp), right::ALL);
    assert_eq!(attacker.call().set_thread_token(leaked, token), Ok(Some(Outcome::AsRequested)));
    assert_eq!(target.reference_impersonation().unwrap().level, Imp);
}

#[test]
fn t132_filtering_nothing_away_restricts_nothing() {
    let world = World::new();
    let token = world.token(Who::A);
    let filtered = token.filter(&NOTHING).unwrap();
    assert!(!filtered.is_restricted() && !filtered.is_same(&token));
    assert_eq!(filtered.state().state(), token.state().state());
    assert_ne!(filtered.id(), token.id());
}

#[test]
fn t134_the_most_that_can_be_taken_leaves_change_notify() {
    let world = World::new();
    let filter = Filter { flags: FilterFlags::DISABLE_MAX_PRIVILEGE, ..NOTHING };
    let filtered = world.token(Who::Ns).filter(&filter).unwrap();
    let state = filtered.state();
    assert_eq!(state.privileges().present().iter().collect::<Vec<_>>(), [Privilege::ChangeNotify]);
    let gone =
        TokenFlags::HAS_BACKUP_PRIVILEGE | TokenFlags::HAS_RESTORE_PRIVILEGE | TokenFlags::HAS_IMPERSONATE_PRIVILEGE;
    assert!(!state.flags().intersects(gone));
    // A service without it is downgraded at once.
    let process = vicar_kernel::Process::new(&world.system, filtered).unwrap();
    let outcome = Thread::new(&process).impersonate_token(&world.imp(Who::B, Imp), terms(Imp));
    assert_eq!(outcome, Ok(Outcome::Downgraded { step: GateStep::User }));
}

#[test]
fn t135_a_restricting_sid_has_no_attributes() {
    let world = World::new();
    let restrict = [Group::new(well_known::USERS, GroupAttributes::ENABLED)];
    let balance = world.system.balance();
    let token = world.token(Who::A);
    assert_eq!(token.filter(&Filter { restrict: &restrict, ..NOTHING }).unwrap_err(), NtStatus::INVALID_PARAMETER);
    drop(token);
    assert_eq!(world.system.balance(), balance);
}

#[test]
fn t136_restricting_a_restricted_token_leaves_what_both_lists_have() {
    let world = World::new();
    let restrict = [well_known::USERS, well_known::GUESTS].map(|sid| Group::new(sid, GroupAttributes::empty()));
    let filtered = world.token(Who::Ar).filter(&Filter { restrict: &restrict, ..NOTHING }).unwrap();
    let left: Vec<_> = filtered.state().restricting_sids().iter().map(|group| group.sid).collect();
    assert_eq!(left, [well_known::USERS]);
}

#[test]
fn t138_a_filtered_token_is_a_child() {
    let world = World::new();
    let token = world.imp(Who::A, Identification);
    let delete = [Privilege::Shutdown.luid()];
    let child = token.filter(&Filter { delete: &delete, ..NOTHING }).unwrap();
    assert_eq!(child.parent_id(), token.id());
    assert!(child.is_child_or_sibling_of(&token) && !token.is_child_or_sibling_of(&child));
    assert!(token.filter(&NOTHING).unwrap().is_child_or_sibling_of(&child));
    assert_ne!(child.modified_id(), token.modified_id());
    assert_eq!((child.kind(), child.origin()), (token.kind(), token.origin()));
    assert_eq!(child.authentication_id(), token.authentication_id());
    assert!(child.state().is_filtered());
}

#[test]
fn t099_a_filtering_job_takes_a_privilege_away_from_whom_its_processes_wear() {
    for profile in [Profile::V1, Profile::V2] {
        let world = World::with(profile, Policy::strict());
        let process = world.process(Who::Sys);
        let job = Job::new();
        let stripping = Stripping { disable: vec![], delete: vec![Privilege::Shutdown.luid()], restrict: vec![] };
        job.strip(stripping.clone()).unwrap();
        assert_eq!(job.strip(stripping), Err(NtStatus::ACCESS_DENIED));
        process.assign_job(&job).unwrap();
        let thread = Thread::new(&process);
        let client = world.imp(Who::B, Imp);
        assert_eq!(thread.impersonate_token(&client, terms(Imp)), OK);
        let worn = thread.reference_impersonation().unwrap();
        let is_stripped = !worn.token.state().privileges().present().contains(Privilege::Shutdown);
        assert_eq!(is_stripped, profile == Profile::V1);
        assert!(client.state().privileges().present().contains(Privilege::Shutdown));
        assert_eq!(worn.token.is_same(&client), profile != Profile::V1);
        assert_eq!(worn.level, Imp);
    }
}

#[test]
fn filter_flags_mean_what_the_generation_knew() {
    let write = Ok(FilterFlags::WRITE_RESTRICTED);
    assert_eq!(parse_filter_flags(Profile::V1, 0x4), write);
    assert_eq!(parse_filter_flags(Profile::V2, 0x8), write);
    assert_eq!(parse_filter_flags(Profile::V2, 0x4), Ok(FilterFlags::LUA_TOKEN));
    for (profile, raw) in [(Profile::V0, 0x4), (Profile::V1, 0x8), (Profile::V4, 0x10)] {
        assert_eq!(parse_filter_flags(profile, raw), Err(NtStatus::INVALID_PARAMETER));
    }
}

#[test]
fn a_filtered_handle_has_the_rights_of_its_source_and_needs_the_right_to_duplicate() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let weak = program.token(world.token(Who::A), right::QUERY);
    assert_eq!(program.call().filter_token(weak, &NOTHING), Err(NtStatus::ACCESS_DENIED));
    let source = program.token(world.token(Who::A), right::QUERY | right::DUPLICATE);
    let filtered = program.call().filter_token(source, &NOTHING).unwrap();
    assert_eq!(program.handles.token(filtered).unwrap().access(), right::QUERY | right::DUPLICATE);
    assert_eq!(program.call().compare_tokens(source, filtered), Ok(true));
}

#[test]
fn a_signed_in_user_is_worn_as_a_copy_of_a_primary_token_or_as_the_impersonation_token_itself() {
    let world = World::new();
    let program = Program::new(&world, Who::Ns);
    let primary = program.token(world.token(Who::B), right::QUERY | right::DUPLICATE);
    assert_eq!(program.call().impersonate_logged_on_user(primary), OK);
    assert_eq!(program.thread.reference_impersonation().unwrap().level, Imp);
    program.call().revert_to_self();
    let token = world.imp(Who::B, Identification);
    let worn = program.token(token.clone(), right::QUERY | right::IMPERSONATE);
    assert_eq!(program.call().impersonate_logged_on_user(worn), OK);
    assert!(program.thread.reference_impersonation().unwrap().token.is_same(&token));
    for rights in [right::QUERY, right::DUPLICATE] {
        let weak = program.token(world.token(Who::B), rights);
        assert_eq!(program.call().impersonate_logged_on_user(weak), Err(NtStatus::ACCESS_DENIED));
    }
}

#[test]
fn a_copy_made_by_a_program_can_be_read_and_worn_and_not_raised() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let source = program.token(world.imp(Who::A, Imp), right::DUPLICATE);
    let copy = program.call().duplicate_to(source, Identification).unwrap();
    assert_eq!(program.handles.token(copy).unwrap().access(), right::QUERY | right::IMPERSONATE);
    let raised = program.call().duplicate_to(source, vicar_nt::ImpersonationLevel::Delegation);
    assert_eq!(raised.map_err(win32_error), Err(1346));
    assert_eq!(program.call().set_token_of(None, copy), Ok(Some(Outcome::AsRequested)));
    let opened = program.call().open_token_of(None, right::QUERY.into(), OpenAs::Process).unwrap();
    assert!(program.handles.token(opened).unwrap().is_same_object(&program.handles.token(copy).unwrap()));
    assert_eq!(program.call().set_token_of(None, HandleValue::NULL), Ok(None));
    let none = program.call().open_token_of(None, right::QUERY.into(), OpenAs::Process);
    assert_eq!(none.map_err(win32_error), Err(1008));
}

#[test]
fn a_pipes_client_is_taken_on_by_its_name_too() {
    let world = World::new();
    let program = Program::new(&world, Who::Ns);
    let pipe = Pipe::new();
    let client = world.thread(Who::B);
    let _end = pipe.open(&client, Some(at(Identification, STATIC))).unwrap();
    assert_eq!(program.call().impersonate_named_pipe_client(&pipe), OK);
    assert_eq!(program.thread.reference_impersonation().unwrap().level, Identification);
}

#[test]
fn t161_opening_an_object_by_level() {
    let world = World::new();
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;WD)", None).unwrap();
    let open = |level| {
        let thread = world.wearing(Who::B, level);
        let access = vicar_kernel::access::Access {
            descriptor: Some(descriptor.as_ref()),
            desired: RequestedMask::GENERIC_READ,
            previously_granted: RequestedMask::NONE,
            mapping: vicar_nt::GenericMapping::FILE,
            mode: vicar_nt::check::AccessMode::User,
        };
        SubjectContext::capture(&thread).access_check(&access).map(|granted| granted.mask)
    };
    let bad = Err(NtStatus::BAD_IMPERSONATION_LEVEL);
    assert_eq!((open(Anonymous), open(Identification)), (bad, bad));
    assert_eq!(open(Imp), Ok(AccessMask::truncate(0x12_0089)));
}

#[test]
fn t162_a_handle_opened_before_is_good_at_every_level() {
    let world = World::new();
    let program = Program::new(&world, Who::Ns);
    let process = program.handles.add_process(program.thread.process(), process_right::ALL).unwrap();
    let opened = program.call().open_process_token(process, right::QUERY.into()).unwrap();
    let _ = program.thread.impersonate_token(&world.imp(Who::B, Identification), terms(Identification)).unwrap();
    let again = program.call().open_process_token(process, right::QUERY.into());
    assert_eq!(again, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    assert!(program.call().query_token(opened, 1, 1000).is_ok());
}

#[test]
fn t171_without_the_setting_the_anonymous_user_is_not_one_of_everyone() {
    let world = World::new();
    // The setting is an argument: what is absent is `No`, and there is no default to forget.
    let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap();
    assert!(!anonymous.token().state().counts_for_allow(well_known::EVERYONE.as_ref()));
}

#[test]
fn replacing_a_process_token_takes_the_privilege_unless_it_is_in_the_family() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let target = world.process(Who::A);
    let process = program.handles.add_process(&target, process_right::SET_INFORMATION).unwrap();
    let stranger = program.token(world.token(Who::A), right::ASSIGN_PRIMARY);
    assert_eq!(program.call().set_process_token(process, stranger), Err(NtStatus::PRIVILEGE_NOT_HELD));
    let impersonation = program.token(world.imp(Who::A, Imp), right::ASSIGN_PRIMARY);
    assert_eq!(program.call().set_process_token(process, impersonation), Err(NtStatus::BAD_TOKEN_TYPE));
    let weak = program.token(world.token(Who::A), right::QUERY);
    assert_eq!(program.call().set_process_token(process, weak), Err(NtStatus::ACCESS_DENIED));
    let child = program.thread.process().reference_primary().filter(&NOTHING).unwrap();
    let family = program.token(child.clone(), right::ASSIGN_PRIMARY);
    assert_eq!(program.call().set_process_token(process, family), Ok(()));
    assert!(target.reference_primary().is_same(&child));
    // Once more is no change; another process may not have it.
    assert_eq!(program.call().set_process_token(process, family), Ok(()));
    let other = program.handles.add_process(&world.process(Who::A), process_right::SET_INFORMATION).unwrap();
    assert_eq!(program.call().set_process_token(other, family), Err(NtStatus::TOKEN_ALREADY_IN_USE));
}

#[test]
fn a_closed_handle_names_nothing_and_its_object_is_released() {
    let world = World::new();
    let program = Program::new(&world, Who::A);
    let balance = world.system.balance();
    let bytes = world.system.pool().in_use_bytes();
    let token = program.token(world.token(Who::B), right::ALL);
    assert_eq!(program.handles.count(), 1);
    assert_eq!(program.handles.close(token), Ok(()));
    assert_eq!(program.handles.close(token), Err(NtStatus::INVALID_HANDLE));
    assert_eq!((world.system.balance(), world.system.pool().in_use_bytes()), (balance, bytes));
    assert_eq!(program.handles.token(token).unwrap_err(), NtStatus::INVALID_HANDLE);
    let own = imp(&world.token(Who::A), Imp);
    let wanted = Duplicate { kind: DuplicateKind::Primary, level: None, reach: Reach::AllHeld };
    let source = program.token(own, right::QUERY);
    assert_eq!(program.call().duplicate_token(source, None, wanted), Err(NtStatus::ACCESS_DENIED));
    assert_ne!(user_a(), user_b());
}

#[test]
fn an_open_that_finds_no_room_for_its_handle_leaves_the_thread_as_it_was() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    let handles = Handles::new(&world.system);
    let caller = Caller { thread: &thread, handles: &handles };
    let named = handles.add_thread(&thread, thread_right::ALL).unwrap();
    let _ = thread.impersonate(&context(&world, Who::B, Imp)).unwrap();
    let before = thread.reference_impersonation().unwrap();
    let pool = world.system.pool();
    let first = pool.charge_count();
    let opened = caller.open_thread_token(named, right::QUERY.into(), OpenAs::Process).unwrap();
    let charges = pool.charge_count() - first;
    handles.close(opened).unwrap();
    assert!(charges >= 2 && !thread.reference_impersonation().unwrap().token.is_same(&before.token));
    for nth in 1..=charges {
        thread.revert();
        let _ = thread.impersonate_token(&before.token, before.terms()).unwrap();
        pool.fail_nth(nth);
        let refused = caller.open_thread_token(named, right::QUERY.into(), OpenAs::Process);
        assert_eq!(refused, Err(NtStatus::INSUFFICIENT_RESOURCES), "charge {nth}");
        let after = thread.reference_impersonation().unwrap();
        assert!(after.token.is_same(&before.token) && after.copy_on_open, "charge {nth}");
        assert_eq!(handles.count(), 1);
    }
    // Refused for other reasons: the number is taken, the room for it given back.
    let in_use = pool.in_use_bytes();
    thread.revert();
    let none = caller.open_thread_token(named, right::QUERY.into(), OpenAs::Process);
    assert_eq!((none, pool.in_use_bytes()), (Err(NtStatus::NO_TOKEN), in_use));
}

#[test]
fn a_wrong_handle_is_found_before_a_wrong_level_and_a_wrong_length_before_both() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    let handles = Handles::new(&world.system);
    let caller = Caller { thread: &thread, handles: &handles };
    let good = handles.add_thread(&thread, thread_right::ALL).unwrap();
    let mut qos = STATIC.to_bytes();
    qos[4] = 4;
    let asked = |server, client, qos| caller.impersonate_thread(server, client, qos);
    assert_eq!(asked(HandleValue::NULL, good, qos), Err(NtStatus::INVALID_HANDLE));
    assert_eq!(asked(good, HandleValue::NULL, qos), Err(NtStatus::INVALID_HANDLE));
    assert_eq!(asked(good, good, qos), Err(NtStatus::INVALID_PARAMETER));
    qos[0] = 11;
    assert_eq!(asked(HandleValue::NULL, good, qos), Err(NtStatus::INVALID_PARAMETER));
    assert!(!thread.is_impersonating());
}

#[test]
fn the_previous_state_of_privileges_takes_the_right_to_query() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let handles = Handles::new(&world.system);
    let caller = Caller { thread: &thread, handles: &handles };
    let token = world.imp(Who::A, Imp);
    let changes = [enabled(Privilege::Shutdown), disabled(Privilege::ChangeNotify)];
    let open = |rights| handles.add_token(TokenHandle::with_rights(token.clone(), rights)).unwrap();
    for weak in [right::ADJUST_PRIVILEGES, right::QUERY] {
        let refused = caller.adjust_privileges_reporting(open(weak), &changes, 2);
        assert_eq!(refused.map(|adjusted| adjusted.changed), Err(NtStatus::ACCESS_DENIED));
    }
    let both = open(right::ADJUST_PRIVILEGES.union(right::QUERY));
    let small = caller.adjust_privileges_reporting(both, &changes, 1).map(|adjusted| adjusted.changed);
    assert_eq!(small, Err(NtStatus::BUFFER_TOO_SMALL));
    let state = token.state_id();
    let done = caller.adjust_privileges_reporting(both, &changes, 2).unwrap();
    assert!(done.changed && done.previous.is_enabled(Privilege::ChangeNotify) && token.state_id() != state);
}

#[test]
fn the_right_to_query_a_little_opens_a_thread_token_under_the_compatible_policy_only() {
    for (policy, opens) in [(Policy::strict(), false), (Policy::compatible(), true)] {
        let world = World::with(Profile::V4, policy);
        let thread = world.thread(Who::Sys);
        let handles = Handles::new(&world.system);
        let caller = Caller { thread: &thread, handles: &handles };
        let _ = thread.impersonate(&context(&world, Who::B, Imp)).unwrap();
        let limited = handles.add_thread(&thread, thread_right::QUERY_LIMITED_INFORMATION).unwrap();
        let opened = caller.open_thread_token(limited, right::QUERY.into(), OpenAs::Process);
        assert_eq!(opened.is_ok(), opens);
        let neither = handles.add_thread(&thread, thread_right::IMPERSONATE).unwrap();
        let refused = caller.open_thread_token(neither, right::QUERY.into(), OpenAs::Process);
        assert_eq!(refused, Err(NtStatus::ACCESS_DENIED));
        let primary = handles.add_process(thread.process(), thread_right::ALL).unwrap();
        let mismatch = caller.open_thread_token(primary, right::QUERY.into(), OpenAs::Process);
        assert_eq!(mismatch, Err(NtStatus::OBJECT_TYPE_MISMATCH));
    }
}

#[test]
fn a_process_may_be_given_the_token_it_has() {
    let world = World::new();
    let process = world.process(Who::A);
    let token = process.reference_primary();
    assert!(process.replace_primary(token.clone()).unwrap().is_same(&token));
    assert!(process.reference_primary().is_same(&token) && token.is_in_use());
    // Another process may not have it.
    let other = world.process(Who::A);
    assert_eq!(other.replace_primary(token.clone()).map(drop), Err(NtStatus::TOKEN_ALREADY_IN_USE));
    drop(process);
    assert!(!token.is_in_use());
}
