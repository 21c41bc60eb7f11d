//! What a token says by class, and what may be set.

use vicar_kernel::access::Access;
use vicar_kernel::handle::right;
use vicar_kernel::token::query::QueryError;
use vicar_kernel::token::set::{DEFAULT_DACL_LIMIT, check_length, requirement};
use vicar_kernel::token::{Info, InfoClass, Setting};
use vicar_kernel::{SubjectContext, TokenHandle, TokenKind};
use vicar_nt::acl::Acl;
use vicar_nt::check::AccessMode;
use vicar_nt::token::{MandatoryPolicy, PackageReach};
use vicar_nt::{GenericMapping, IntegrityLevel, Luid, NtStatus, Privilege, RequestedMask, Sid, sddl, well_known};

use crate::fixture::{Anonymous, Identification, Imp, Who, World, user_a};

fn caller(world: &World, who: Who) -> SubjectContext {
    SubjectContext::capture(&world.thread(who))
}

#[test]
fn every_class_number_is_read_back_and_no_other_is_a_class() {
    assert_eq!(InfoClass::ALL.len(), 47);
    for class in InfoClass::ALL {
        assert_eq!(InfoClass::parse(class.number()), Ok(*class));
        assert!(class.name().starts_with("Token"));
    }
    for number in [0, 48, u32::MAX] {
        assert_eq!(InfoClass::parse(number), Err(NtStatus::INVALID_INFO_CLASS));
    }
}

#[test]
fn every_class_is_answered_or_refused_by_a_status_that_says_why() {
    let world = World::new();
    for token in [world.token(Who::Ae), world.imp(Who::Ac1, Anonymous)] {
        for class in InfoClass::ALL {
            match token.query_information(*class) {
                Ok(info) => {
                    let needed = info.size();
                    let short = token.query_information_into(*class, needed - 1).unwrap_err();
                    assert_eq!(short, QueryError { status: NtStatus::BUFFER_TOO_SMALL, needed }, "{class:?}");
                    assert!(token.query_information_into(*class, needed).is_ok());
                }
                Err(status) => {
                    let reasons = [NtStatus::INVALID_INFO_CLASS, NtStatus::NO_SUCH_LOGON_SESSION, NtStatus::NOT_FOUND];
                    assert!(reasons.contains(&status), "{class:?}: {status}");
                }
            }
        }
    }
}

#[test]
fn the_sizes_are_those_of_the_c_structures() {
    let world = World::new();
    let token = world.imp(Who::A, Imp);
    let size = |class| token.query_information(class).unwrap().size();
    assert_eq!(size(InfoClass::User), 16 + 28);
    assert_eq!(size(InfoClass::Statistics), 56);
    assert_eq!(size(InfoClass::Source), 16);
    assert_eq!(size(InfoClass::ImpersonationLevel), 4);
    assert_eq!(size(InfoClass::AccessInformation), 88);
    assert_eq!(size(InfoClass::IntegrityLevel), 16 + 12);
    assert_eq!(size(InfoClass::Privileges), 4 + 2 * 12);
    assert_eq!(size(InfoClass::Owner), 8 + 28);
}

#[test]
fn a_primary_token_has_no_level_to_read() {
    let world = World::new();
    let refused = world.token(Who::A).query_information(InfoClass::ImpersonationLevel).unwrap_err();
    assert_eq!(refused, NtStatus::INVALID_INFO_CLASS);
    let level = world.imp(Who::A, Identification).query_information(InfoClass::ImpersonationLevel).unwrap();
    assert!(matches!(level, Info::Level(Identification)));
}

#[test]
fn reading_the_source_takes_a_right_of_its_own() {
    let world = World::new();
    let asker = caller(&world, Who::A);
    let query = TokenHandle::with_rights(world.token(Who::A), right::QUERY);
    let denied = QueryError::from(NtStatus::ACCESS_DENIED);
    assert_eq!(query.query_information(&asker, InfoClass::Source, 100).unwrap_err(), denied);
    assert!(query.query_information(&asker, InfoClass::User, 100).is_ok());
    let source = TokenHandle::with_rights(world.token(Who::A), right::QUERY_SOURCE);
    assert!(source.query_information(&asker, InfoClass::Source, 100).is_ok());
    assert_eq!(source.query_information(&asker, InfoClass::User, 100).unwrap_err(), denied);
}

#[test]
fn the_other_half_is_shown_to_the_system_as_primary_and_to_others_for_identifying() {
    let world = World::new();
    let (limited, full) = (world.token(Who::A), world.token(Who::Ae));
    let maker = world.token_of(
        vicar_nt::token::TokenState::builder(well_known::LOCAL_SYSTEM)
            .privilege(Privilege::CreateToken, vicar_nt::privilege::PrivilegeState::EnabledByDefault),
        0x3E7,
        0,
    );
    let maker = SubjectContext::from_parts(None, Imp, maker);
    let asker = caller(&world, Who::A);
    let link = |subject: &SubjectContext| limited.set_information(subject, Setting::LinkedToken(full.clone()));
    assert_eq!(link(&asker), Err(NtStatus::PRIVILEGE_NOT_HELD));
    assert_eq!(link(&maker), Ok(()));
    let back = full.set_information(&maker, Setting::LinkedToken(limited.clone()));
    assert_eq!(back, Err(NtStatus::INVALID_PARAMETER), "a circle would never end");
    let handle = TokenHandle::with_rights(limited.clone(), right::ALL);
    let kind = |subject: &SubjectContext| {
        let info = handle.query_information(subject, InfoClass::LinkedToken, 8).unwrap();
        let Info::LinkedToken(token) = info else { panic!("{info:?}") };
        token.kind()
    };
    assert_eq!(kind(&asker), TokenKind::Impersonation(Identification));
    assert_eq!(kind(&caller(&world, Who::Sys)), TokenKind::Primary);
}

#[test]
fn what_may_be_set_and_what_it_takes() {
    let settable: Vec<_> = InfoClass::ALL.iter().filter(|class| requirement(**class).is_ok()).collect();
    assert_eq!(settable.len(), 8);
    assert_eq!(check_length(InfoClass::User, 100), Err(NtStatus::INVALID_INFO_CLASS));
    assert_eq!(check_length(InfoClass::Owner, 7), Err(NtStatus::INFO_LENGTH_MISMATCH));
    assert_eq!(check_length(InfoClass::SessionId, 4), Ok(()));
}

#[test]
fn owner_and_group_must_be_the_tokens() {
    let world = World::new();
    let (token, asker) = (world.token(Who::Ae), caller(&world, Who::A));
    let set = |setting| token.set_information(&asker, setting);
    let modified = token.modified_id();
    assert_eq!(set(Setting::Owner(well_known::USERS)), Err(NtStatus::INVALID_OWNER));
    assert_eq!(set(Setting::PrimaryGroup(well_known::GUESTS)), Err(NtStatus::INVALID_PRIMARY_GROUP));
    assert_eq!(token.modified_id(), modified);
    assert_eq!(set(Setting::Owner(well_known::ADMINISTRATORS)), Ok(()));
    assert_eq!(set(Setting::PrimaryGroup(well_known::USERS)), Ok(()));
    assert_ne!(token.modified_id(), modified);
    let state = token.state();
    assert_eq!(*state.default_owner(), well_known::ADMINISTRATORS);
    assert_eq!(state.primary_group(), Some(&well_known::USERS));
    let settled = token.modified_id();
    assert_eq!(set(Setting::Owner(well_known::ADMINISTRATORS)), Ok(()));
    assert_eq!(token.modified_id(), settled, "nothing was modified");
}

#[test]
fn integrity_may_be_lowered_and_is_raised_by_the_system_only() {
    let world = World::new();
    let (token, asker) = (world.token(Who::A), caller(&world, Who::A));
    let lower = Setting::IntegrityLevel(IntegrityLevel::LOW);
    let raise = Setting::IntegrityLevel(IntegrityLevel::HIGH);
    assert_eq!(token.set_information(&asker, raise.clone()), Err(NtStatus::PRIVILEGE_NOT_HELD));
    assert_eq!(token.set_information(&asker, lower), Ok(()));
    assert_eq!(token.state().integrity(), Some(IntegrityLevel::LOW));
    // Acting as the system is asked of the process, whomever its thread wears.
    let wearing = SubjectContext::capture(&world.wearing(Who::B, Identification));
    assert_eq!(token.set_information(&wearing, raise), Ok(()));
}

#[test]
fn session_origin_and_policy_are_the_systems_to_set() {
    let world = World::new();
    let token = world.token(Who::A);
    let (asker, system) = (caller(&world, Who::A), caller(&world, Who::Sys));
    let settings = || {
        [
            Setting::SessionId(7),
            Setting::Origin(Luid::from_u64(0x77)),
            Setting::MandatoryPolicy(MandatoryPolicy::NEW_PROCESS_MIN),
        ]
    };
    for setting in settings() {
        assert_eq!(token.set_information(&asker, setting), Err(NtStatus::PRIVILEGE_NOT_HELD));
    }
    for setting in settings() {
        assert_eq!(token.set_information(&system, setting), Ok(()));
    }
    assert_eq!((token.session(), token.origin()), (7, Luid::from_u64(0x77)));
    let weak = TokenHandle::with_rights(token, right::ADJUST_DEFAULT);
    assert_eq!(weak.set_information(&system, Setting::SessionId(8)), Err(NtStatus::ACCESS_DENIED));
}

#[test]
fn a_default_access_list_is_paid_for_and_limited() {
    let world = World::new();
    let (token, asker) = (world.token(Who::A), caller(&world, Who::A));
    let list = |entries: usize| {
        let text = format!("D:{}", "(A;;GA;;;WD)".repeat(entries));
        let descriptor = sddl::parse(&text, None).unwrap();
        let vicar_nt::descriptor::Dacl::List(acl) = descriptor.as_ref().dacl() else { panic!("no list in {text}") };
        acl.to_acl()
    };
    let set = |acl: Option<Acl>| token.set_information(&asker, Setting::DefaultDacl(acl));
    let before = world.system.pool().in_use_bytes();
    assert_eq!(set(Some(list(DEFAULT_DACL_LIMIT / 20 + 1))), Err(NtStatus::ALLOTTED_SPACE_EXCEEDED));
    assert_eq!(world.system.pool().in_use_bytes(), before);
    assert_eq!(set(Some(list(4))), Ok(()));
    assert_eq!(world.system.pool().in_use_bytes(), before + 8 + 4 * 20);
    world.system.pool().fail_nth(1);
    assert_eq!(set(Some(list(5))), Err(NtStatus::INSUFFICIENT_RESOURCES));
    assert_eq!(token.state().default_dacl(), Some(&list(4)));
    assert_eq!(set(None), Ok(()));
    assert_eq!(world.system.pool().in_use_bytes(), before);
}

#[test]
fn a_confined_copy_is_low_and_a_child() {
    let world = World::new();
    let token = world.token(Who::Ae);
    let package: Sid = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
    let confined = token.confine(package, &[], PackageReach::OnlyItself).unwrap();
    assert!(confined.is_app_container() && confined.parent_id() == token.id());
    assert_eq!(confined.state().integrity(), Some(IntegrityLevel::LOW));
    let again = confined.confine(package, &[], PackageReach::OnlyItself);
    assert_eq!(again.unwrap_err(), NtStatus::INVALID_PARAMETER);
}

#[test]
fn a_servers_check_of_a_handle_asks_for_the_right_to_read_it() {
    let world = World::new();
    let descriptor = sddl::parse("O:SYG:SYD:(A;;FA;;;WD)", None).unwrap();
    let access = |desired| Access {
        descriptor: Some(descriptor.as_ref()),
        desired,
        previously_granted: RequestedMask::NONE,
        mapping: GenericMapping::FILE,
        mode: AccessMode::User,
    };
    let check = |rights, level, desired| {
        TokenHandle::with_rights(world.imp(Who::A, level), rights).access_check(&access(desired)).map(|_| ())
    };
    let read = RequestedMask(1);
    assert_eq!(check(right::QUERY, Identification, read), Ok(()));
    assert_eq!(check(right::QUERY, Anonymous, read), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    assert_eq!(check(right::DUPLICATE, Imp, read), Err(NtStatus::ACCESS_DENIED));
    assert_eq!(check(right::DUPLICATE, Imp, RequestedMask::GENERIC_READ), Err(NtStatus::GENERIC_NOT_MAPPED));
    assert_eq!(*world.token(Who::A).state().default_owner(), user_a());
}

#[test]
fn the_questions_with_a_yes_or_a_no() {
    let world = World::new();
    let is = |who| {
        let token = world.token(who);
        (token.is_admin(), token.is_restricted(), token.is_write_restricted(), token.holds_impersonate())
    };
    assert_eq!(is(Who::Sys), (true, false, false, true));
    assert_eq!(is(Who::A), (false, false, false, false), "deny-only is no membership");
    assert_eq!(is(Who::Ar), (false, true, false, false));
    assert!(world.token(Who::Ac1).is_app_container() && world.token(Who::A).is_primary());
}
