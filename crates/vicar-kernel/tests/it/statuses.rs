//! Routine by status: the reviewed table of what every routine can answer, held against the source, the cases, the handles
//! and the pool.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a helper of a test that fails is a test that fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use vicar_kernel::anonymous::{AnonymousLogon, EveryoneIncludesAnonymous};
use vicar_kernel::elevate::{Acting, Elevated};
use vicar_kernel::handle::right;
use vicar_kernel::nt::{Caller, GroupsChange, PrivilegeChange};
use vicar_kernel::object::{HandleValue, Handles, process_right, thread_right};
use vicar_kernel::token::{DuplicateKind, InfoClass, Setting};
use vicar_kernel::work::{OnBugCheck, WorkQueue, WorkQueueOptions};
use vicar_kernel::{
    ClientContext, Duplicate, Elevator, LogonKind, OnOpen, OpenAs, Pipe, Policy, Profile, Reach, Request,
    SubjectContext, Terms, Thread, TokenHandle, TokenKind, TokenSpec,
};
use vicar_nt::token::{PackageReach, TokenState};
use vicar_nt::{Luid, NtStatus, Sid};

use crate::fixture::{DYNAMIC, Imp, Local, Remote, STATIC, Who, World, at, terms, user_a};
use crate::nt::NOTHING;
use crate::numbers;

const TABLE: &str = include_str!("../golden/routines.txt");

struct Row<'a> {
    name: &'a str,
    is_charged: bool,
    statuses: Vec<&'a str>,
    cases: Vec<&'a str>,
}

fn rows() -> Vec<Row<'static>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let mut cell = || cells.next().unwrap_or_default();
            let (name, charged, statuses, cases) = (cell(), cell(), cell(), cell());
            assert!(["charged", "free"].contains(&charged), "{line}");
            let words = |text: &'static str| text.split_whitespace().filter(|word| *word != "-").collect();
            Row { name, is_charged: charged == "charged", statuses: words(statuses), cases: words(cases) }
        })
        .collect()
}

fn aliases(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            aliases(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("doc(alias = \"").skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            let is_routine = ["Se", "Ps", "Nt", "Zw", "Ex", "Io", "Ob", "Rtl"].iter().any(|prefix| {
                let rest = name.strip_prefix(prefix).unwrap_or_default();
                rest.starts_with(|letter: char| letter.is_ascii_uppercase())
                    && rest.contains(|letter: char| letter.is_ascii_lowercase())
            });
            if is_routine && !name.contains('_') {
                found.insert(name.to_owned());
            }
        }
    }
}

#[test]
fn the_table_has_exactly_the_routines_that_the_source_names() {
    let mut named = BTreeSet::new();
    aliases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    let listed: BTreeSet<String> = rows().iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(listed, named);
    assert_eq!(rows().len(), listed.len(), "a routine is listed twice");
}

#[test]
fn every_status_has_a_number_and_every_case_a_function() {
    let groups = ["pool", "gate", "handle"];
    let known: BTreeSet<&str> = vicar_statuses().into_iter().collect();
    let mut count = 0;
    for row in rows() {
        for status in &row.statuses {
            assert!(groups.contains(status) || known.contains(status), "{}: {status}", row.name);
            count += 1;
        }
        assert!(!row.cases.is_empty(), "{}: no case", row.name);
        let bodies: Vec<&str> = row.cases.iter().filter_map(|case| numbers::body(case)).collect();
        assert_eq!(bodies.len(), row.cases.len(), "{}: a test is no function", row.name);
        for status in row.statuses.iter().filter(|status| !groups.contains(status) && **status != "SUCCESS") {
            let short = if *status == "BAD_IMPERSONATION_LEVEL" { "BAD" } else { status };
            assert!(bodies.iter().any(|body| body.contains(short)), "{}: no test shows {status}", row.name);
        }
    }
    println!("{} routines, {count} answers", rows().len());
}

/// The names of the statuses that a table may use.
fn vicar_statuses() -> Vec<&'static str> {
    let all = [
        NtStatus::SUCCESS,
        NtStatus::NOT_ALL_ASSIGNED,
        NtStatus::INVALID_PARAMETER,
        NtStatus::BAD_IMPERSONATION_LEVEL,
        NtStatus::ACCESS_DENIED,
        NtStatus::NO_IMPERSONATION_TOKEN,
        NtStatus::GENERIC_NOT_MAPPED,
        NtStatus::INVALID_SECURITY_DESCR,
        NtStatus::PRIVILEGE_NOT_HELD,
        NtStatus::CANT_DISABLE_MANDATORY,
        NtStatus::CANT_ENABLE_DENY_ONLY,
        NtStatus::BUFFER_TOO_SMALL,
        NtStatus::INVALID_HANDLE,
        NtStatus::NO_SUCH_LOGON_SESSION,
        NtStatus::NO_TOKEN,
        NtStatus::CANT_OPEN_ANONYMOUS,
        NtStatus::INVALID_INFO_CLASS,
        NtStatus::NOT_FOUND,
        NtStatus::BAD_TOKEN_TYPE,
        NtStatus::TOKEN_ALREADY_IN_USE,
        NtStatus::INFO_LENGTH_MISMATCH,
        NtStatus::INVALID_OWNER,
        NtStatus::INVALID_PRIMARY_GROUP,
        NtStatus::ALLOTTED_SPACE_EXCEEDED,
        NtStatus::THREAD_IS_TERMINATING,
        NtStatus::NO_MEMORY,
        NtStatus::INSUFFICIENT_RESOURCES,
    ];
    all.into_iter().filter_map(|status| status.name()?.strip_prefix("STATUS_")).collect()
}

struct Nothing;

impl Request for Nothing {
    const NAME: &'static str = "nothing";
    const ACTING: Acting = Acting::AlsoAsClient;
    type Answer = ();

    fn approve(&self, _: &SubjectContext) -> Result<(), NtStatus> {
        Ok(())
    }

    fn perform(self, _: &Elevated<'_>) -> Result<(), NtStatus> {
        Ok(())
    }
}

type Operation<'a> = Box<dyn Fn() -> Result<(), NtStatus> + 'a>;

/// Makes the first, second, ... charge of every routine that charges fail, in every profile.
#[test]
fn each_charge_of_every_routine_may_fail_and_leaves_everything_as_it_was() {
    let mut swept: BTreeMap<&str, u64> = BTreeMap::new();
    for profile in Profile::ALL {
        sweep(profile, &mut swept);
    }
    for row in rows() {
        let charges = swept.get(row.name).copied();
        match (row.is_charged, charges) {
            (true, None) => panic!("{} charges and is not swept", row.name),
            (true, Some(0)) => panic!("{} is listed as charged and charged nothing", row.name),
            (false, Some(_)) => panic!("{} is listed as free and is swept", row.name),
            (true, Some(_)) | (false, None) => {}
        }
    }
}

fn sweep(profile: Profile, swept: &mut BTreeMap<&'static str, u64>) {
    let world = World::with(profile, Policy::strict());
    let system = &world.system;
    let client = world.thread(Who::B);
    let (token, primary) = (world.imp(Who::B, Imp), world.token(Who::B));
    let subject = SubjectContext::capture(&client);
    let caller_thread = world.thread(Who::Sys);
    let process = caller_thread.process().clone();
    let asker = SubjectContext::capture(&caller_thread);
    let handles = Handles::new(system);
    let caller = Caller { thread: &caller_thread, handles: &handles };
    let anonymous = AnonymousLogon::new(system, EveryoneIncludesAnonymous::No).unwrap();
    let session = system.session(primary.authentication_id()).unwrap();
    let context = ClientContext::from_token(&primary, at(Imp, STATIC), Local).unwrap();
    let confined = world.process(Who::Ac1);
    let process_handle = handles.add_process(&process, process_right::ALL).unwrap();
    let client_handle = handles.add_thread(&client, thread_right::ALL).unwrap();
    let token_handle = handles.add_token(TokenHandle::with_rights(token.clone(), right::ALL)).unwrap();
    let package: Sid = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
    let full = world.token(Who::Ae);
    let half = world.token(Who::A);
    let maker = world.token_of(
        TokenState::builder(vicar_nt::well_known::LOCAL_SYSTEM)
            .privilege(vicar_nt::Privilege::CreateToken, vicar_nt::privilege::PrivilegeState::EnabledByDefault),
        0x3E7,
        0,
    );
    let maker = SubjectContext::from_parts(None, Imp, maker);
    half.set_information(&maker, Setting::LinkedToken(full)).unwrap();
    let copy = Duplicate { kind: DuplicateKind::Impersonation, level: Some(Imp), reach: Reach::EffectiveOnly };
    let options = WorkQueueOptions { workers: 1, capacity: 64, on_bug_check: OnBugCheck::Abort };
    let elevator = Elevator::new(WorkQueue::start(&process, options).unwrap());
    let dacl = vicar_nt::sddl::parse("D:(A;;GA;;;WD)", None).unwrap();
    let vicar_nt::descriptor::Dacl::List(dacl) = dacl.as_ref().dacl() else { panic!("no list") };
    let dacl = dacl.to_acl();
    let spec = || TokenSpec {
        state: TokenState::builder(user_a()).build().unwrap(),
        kind: TokenKind::Primary,
        source: *b"Sweep   ",
        origin: Luid::ZERO,
    };
    // A thread of another user for each call: from the first record of the early profiles on, the gate and the copy fail too.
    let weak_process = world.process(Who::A);
    let weak = || Thread::new(&weak_process);
    let shared = Terms { on_open: OnOpen::Share, ..terms(Imp) };
    let operations: Vec<(&[&'static str], Operation<'_>)> = vec![
        (&["SeCreateClientSecurity"], Box::new(|| ClientContext::capture(&client, STATIC, Local).map(drop))),
        (&["SeCreateClientSecurity"], Box::new(|| ClientContext::capture(&client, DYNAMIC, Remote).map(drop))),
        (
            &["SeCreateClientSecurityFromSubjectContext"],
            Box::new(|| ClientContext::from_subject(&subject, STATIC, Local).map(drop)),
        ),
        (
            &["SeUpdateClientSecurity"],
            Box::new(|| {
                let mut live = ClientContext::capture(&client, DYNAMIC, Remote)?;
                live.refresh(&client).map(drop)
            }),
        ),
        (&["SeImpersonateClientEx", "SeImpersonateClient"], Box::new(|| weak().impersonate(&context).map(drop))),
        (&["PsImpersonateClient"], Box::new(|| weak().impersonate_token(&token, shared).map(drop))),
        (&["PsAssignImpersonationToken"], Box::new(|| weak().assign(&token).map(drop))),
        (
            &["NtSetInformationThread"],
            Box::new(|| {
                let thread = handles.add_thread(&weak(), thread_right::ALL)?;
                let answer = caller.set_thread_token(thread, token_handle).map(drop);
                handles.close(thread).and(answer)
            }),
        ),
        (
            &["NtImpersonateThread", "ZwImpersonateThread"],
            Box::new(|| {
                let server = handles.add_thread(&weak(), thread_right::ALL)?;
                let answer = caller.impersonate_thread(server, client_handle, STATIC.to_bytes()).map(drop);
                handles.close(server).and(answer)
            }),
        ),
        (
            &["NtImpersonateAnonymousToken"],
            Box::new(|| {
                let thread = Thread::new(&confined);
                anonymous.impersonate(&thread, &thread).map(drop)
            }),
        ),
        (&["SeCopyClientToken"], Box::new(|| token.copy_for_client(Imp).map(drop))),
        (
            &["NtDuplicateToken", "ZwDuplicateToken"],
            Box::new(|| close(&handles, caller.duplicate_token(token_handle, None, copy))),
        ),
        (&["SeFilterToken", "ZwFilterToken"], Box::new(|| token.filter(&NOTHING).map(drop))),
        (&["NtFilterToken"], Box::new(|| close(&handles, caller.filter_token(token_handle, &NOTHING)))),
        (&["NtCreateLowBoxToken"], Box::new(|| token.confine(package, &[], PackageReach::OnlyItself).map(drop))),
        (
            &["NtOpenProcessToken", "NtOpenProcessTokenEx"],
            Box::new(|| close(&handles, caller.open_process_token(process_handle, right::QUERY.into()))),
        ),
        (
            &["NtOpenThreadToken", "NtOpenThreadTokenEx"],
            Box::new(|| {
                let fresh = Thread::new(&process);
                let _ = fresh.impersonate(&context)?;
                let named = handles.add_thread(&fresh, thread_right::ALL)?;
                let answer = close(&handles, caller.open_thread_token(named, right::QUERY.into(), OpenAs::Process));
                handles.close(named).and(answer)
            }),
        ),
        (
            &["NtOpenThread"],
            Box::new(|| close(&handles, handles.open_thread(&asker, &caller_thread, thread_right::ALL.into()))),
        ),
        (&["SeQueryInformationToken"], Box::new(|| half.query_information(InfoClass::LinkedToken).map(drop))),
        (
            &["NtQueryInformationToken"],
            Box::new(|| {
                let named = TokenHandle::with_rights(half.clone(), right::ALL);
                let asked = named.query_information(&asker, InfoClass::LinkedToken, 8);
                asked.map(drop).map_err(|error| error.status)
            }),
        ),
        (
            &["NtSetInformationToken"],
            Box::new(|| {
                half.set_information(&asker, Setting::DefaultDacl(Some(dacl.clone())))?;
                half.set_information(&asker, Setting::DefaultDacl(None))
            }),
        ),
        (&["NtCreateToken", "ZwCreateToken"], Box::new(|| session.create_token(spec()).map(drop))),
        (
            &["SeRegisterLogonSessionTerminatedRoutine"],
            Box::new(|| system.unregister_termination_routine(system.register_termination_routine(|_| ())?)),
        ),
        // No NT routine of their own.
        (&["logon"], Box::new(|| system.logon(LogonKind::Network, None).map(drop))),
        (&["create a child process"], Box::new(|| client.process().create_child().map(drop))),
        (
            &["open a pipe, write and read"],
            Box::new(|| {
                let pipe = Pipe::new();
                let end = pipe.open(&client, Some(DYNAMIC))?;
                end.write(&client, b"question")?;
                pipe.write(b"answer")
            }),
        ),
        (&["open a static pipe"], Box::new(|| Pipe::new().open(&client, Some(STATIC)).map(drop))),
        (
            &["elevate"],
            Box::new(|| {
                let ticket = elevator.submit(&client, Nothing)?;
                ticket.wait()
            }),
        ),
    ];
    let pool = system.pool();
    for (names, operation) in &operations {
        let first = pool.charge_count();
        operation().unwrap();
        let charges = pool.charge_count() - first;
        let before =
            (system.balance(), pool.in_use_bytes(), system.session_count(), handles.count(), half.modified_id());
        for nth in 1..=charges {
            pool.fail_nth(nth);
            let answer = operation();
            assert!(answer.is_err(), "{names:?}, charge {nth} of {charges}, {profile:?}");
            let status = answer.unwrap_err();
            let allowed = [NtStatus::INSUFFICIENT_RESOURCES, NtStatus::NO_MEMORY];
            assert!(allowed.contains(&status), "{names:?}: {status}");
            let after =
                (system.balance(), pool.in_use_bytes(), system.session_count(), handles.count(), half.modified_id());
            assert_eq!(after, before, "{names:?}, charge {nth} of {charges}, {profile:?}");
        }
        pool.fail_nth(0);
        pool.limit_bytes(Some(pool.in_use_bytes()));
        let status = operation().unwrap_err();
        assert!([NtStatus::QUOTA_EXCEEDED, NtStatus::NO_MEMORY].contains(&status), "{names:?}: {status}");
        pool.limit_bytes(None);
        for name in *names {
            let most = swept.entry(name).or_insert(0);
            *most = (*most).max(charges);
        }
    }
}

/// Closes what was opened, or passes the refusal on.
fn close(handles: &Handles, opened: Result<vicar_kernel::object::HandleValue, NtStatus>) -> Result<(), NtStatus> {
    handles.close(opened?)
}

/// Asks every routine that takes a handle for its answer to no handle, a wrong one and one without rights.
#[test]
fn every_handle_is_tested_for_being_one_its_type_and_its_rights() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    let handles = Handles::new(&world.system);
    let caller = Caller { thread: &thread, handles: &handles };
    let anonymous = AnonymousLogon::new(&world.system, EveryoneIncludesAnonymous::No).unwrap();
    let none = vicar_nt::AccessMask::NONE;
    let token = |rights| handles.add_token(TokenHandle::with_rights(world.imp(Who::B, Imp), rights)).unwrap();
    let (weak_token, good_token) = (token(none), token(right::ALL));
    let weak_thread = handles.add_thread(&thread, none).unwrap();
    let good_thread = handles.add_thread(&thread, thread_right::ALL).unwrap();
    let weak_process = handles.add_process(thread.process(), none).unwrap();
    let good_process = handles.add_process(thread.process(), process_right::ALL).unwrap();
    let copy = Duplicate { kind: DuplicateKind::Impersonation, level: Some(Imp), reach: Reach::AllHeld };
    let descriptor = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;WD)", None).unwrap();
    let access = vicar_kernel::access::Access {
        descriptor: Some(descriptor.as_ref()),
        desired: vicar_nt::RequestedMask(1),
        previously_granted: vicar_nt::RequestedMask::NONE,
        mapping: vicar_nt::GenericMapping::FILE,
        mode: vicar_nt::check::AccessMode::User,
    };
    type Ask<'a> = Box<dyn Fn(HandleValue) -> Result<(), NtStatus> + 'a>;
    let qos = STATIC.to_bytes();
    // Name, a handle without rights, one of another type, and the call.
    let rows: Vec<(&str, HandleValue, HandleValue, Ask<'_>)> = vec![
        ("NtAccessCheck", weak_token, good_thread, Box::new(|h| caller.access_check(h, &access).map(drop))),
        (
            "NtAdjustGroupsToken",
            weak_token,
            good_thread,
            Box::new(|h| caller.adjust_groups(h, GroupsChange::Reset).map(drop)),
        ),
        (
            "NtAdjustPrivilegesToken",
            weak_token,
            good_process,
            Box::new(|h| caller.adjust_privileges(h, PrivilegeChange::DisableAll).map(drop)),
        ),
        ("NtCompareTokens", weak_token, good_thread, Box::new(|h| caller.compare_tokens(good_token, h).map(drop))),
        ("NtDuplicateToken", weak_token, good_thread, Box::new(|h| caller.duplicate_token(h, None, copy).map(drop))),
        ("ZwDuplicateToken", weak_token, good_thread, Box::new(|h| caller.duplicate_token(h, None, copy).map(drop))),
        ("NtFilterToken", weak_token, good_thread, Box::new(|h| caller.filter_token(h, &NOTHING).map(drop))),
        (
            "NtImpersonateAnonymousToken",
            weak_thread,
            good_token,
            Box::new(|h| caller.impersonate_anonymous(&anonymous, h).map(drop)),
        ),
        (
            "NtImpersonateThread",
            weak_thread,
            good_token,
            Box::new(|h| caller.impersonate_thread(h, good_thread, qos).map(drop)),
        ),
        (
            "ZwImpersonateThread",
            weak_thread,
            good_token,
            Box::new(|h| caller.impersonate_thread(good_thread, h, qos).map(drop)),
        ),
        (
            "NtOpenProcessToken",
            weak_process,
            good_thread,
            Box::new(|h| caller.open_process_token(h, right::QUERY.into()).map(drop)),
        ),
        (
            "NtOpenProcessTokenEx",
            weak_process,
            good_token,
            Box::new(|h| caller.open_process_token(h, right::QUERY.into()).map(drop)),
        ),
        (
            "NtOpenThreadToken",
            weak_thread,
            good_process,
            Box::new(|h| caller.open_thread_token(h, right::QUERY.into(), OpenAs::Caller).map(drop)),
        ),
        (
            "NtOpenThreadTokenEx",
            weak_thread,
            good_token,
            Box::new(|h| caller.open_thread_token(h, right::QUERY.into(), OpenAs::Process).map(drop)),
        ),
        (
            "NtPrivilegeCheck",
            weak_token,
            good_thread,
            Box::new(|h| caller.privilege_check(h, &mut [], vicar_nt::privilege::Need::All).map(drop)),
        ),
        (
            "NtQueryInformationToken",
            weak_token,
            good_thread,
            Box::new(|h| caller.query_token(h, 1, 1000).map(drop).map_err(|error| error.status)),
        ),
        ("NtSetInformationProcess", weak_process, good_thread, Box::new(|h| caller.set_process_token(h, good_token))),
        (
            "NtSetInformationThread",
            weak_thread,
            good_token,
            Box::new(|h| caller.set_thread_token(h, HandleValue::NULL).map(drop)),
        ),
        (
            "PsAssignImpersonationToken",
            weak_token,
            good_thread,
            Box::new(|h| {
                // No token at all is a wish to revert, not a mistake.
                let h = if h.is_null() { HandleValue::new(3) } else { h };
                caller.set_thread_token(good_thread, h).map(drop)
            }),
        ),
        (
            "NtSetInformationToken",
            weak_token,
            good_thread,
            Box::new(|h| caller.set_token(h, Setting::DefaultDacl(None), 8)),
        ),
        (
            "ObReferenceObjectByHandle",
            weak_thread,
            good_token,
            Box::new(|h| handles.thread(h, thread_right::QUERY_INFORMATION).map(drop)),
        ),
    ];
    for (name, weak, other, ask) in &rows {
        assert_eq!(ask(HandleValue::NULL), Err(NtStatus::INVALID_HANDLE), "{name}");
        assert_eq!(ask(*other), Err(NtStatus::OBJECT_TYPE_MISMATCH), "{name}");
        assert_eq!(ask(*weak), Err(NtStatus::ACCESS_DENIED), "{name}");
    }
    let asked: BTreeSet<&str> = rows.iter().map(|row| row.0).collect();
    let listed: BTreeSet<&str> =
        self::rows().iter().filter(|row| row.statuses.contains(&"handle")).map(|row| row.name).collect();
    assert_eq!(asked, listed);
}

#[test]
fn the_answers_of_an_access_check_to_what_is_asked_wrongly() {
    let world = World::new();
    let ask = |descriptor: &vicar_nt::descriptor::Descriptor, desired| {
        let access = vicar_kernel::access::Access {
            descriptor: Some(descriptor.as_ref()),
            desired,
            previously_granted: vicar_nt::RequestedMask::NONE,
            mapping: vicar_nt::GenericMapping::FILE,
            mode: vicar_nt::check::AccessMode::User,
        };
        let se = SubjectContext::capture(&world.wearing(Who::B, Imp)).access_check(&access).map(drop);
        (se, world.imp(Who::B, Imp).access_check(&access).map(drop))
    };
    let whole = vicar_nt::sddl::parse("O:SYG:SYD:(A;;FA;;;WD)", None).unwrap();
    let audit = vicar_nt::AccessMask::ACCESS_SYSTEM_SECURITY.into();
    let not_held = Err(NtStatus::PRIVILEGE_NOT_HELD);
    assert_eq!(ask(&whole, audit), (not_held, not_held));
    let ownerless = vicar_nt::sddl::parse("D:(A;;FA;;;WD)", None).unwrap();
    let read = vicar_nt::RequestedMask(1);
    assert_eq!(ask(&ownerless, read).1, Err(NtStatus::INVALID_SECURITY_DESCR));
}

#[test]
fn a_refresh_that_may_not_capture_says_so() {
    let world = World::new();
    let thread = world.thread(Who::Sys);
    let mut live = ClientContext::capture(&thread, DYNAMIC, Local).unwrap();
    let low = crate::fixture::Identification;
    let _ = thread.impersonate_token(&world.imp(Who::B, low), terms(low)).unwrap();
    assert_eq!(live.refresh(&thread).unwrap_err(), NtStatus::BAD_IMPERSONATION_LEVEL);
    let handles = Handles::new(&world.system);
    let subject = SubjectContext::capture(&thread);
    let opened = handles.open_thread(&subject, &thread, thread_right::ALL.into());
    assert_eq!(opened, Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    let group = [(vicar_nt::well_known::GUESTS, vicar_nt::token::GroupChange::Enable)];
    let token = handles.add_token(TokenHandle::with_rights(world.token(Who::A), right::ALL)).unwrap();
    let caller = Caller { thread: &thread, handles: &handles };
    assert_eq!(caller.adjust_groups(token, GroupsChange::List(&group)), Ok(NtStatus::NOT_ALL_ASSIGNED));
}
