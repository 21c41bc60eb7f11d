//! 6.F: duplicating and adjusting tokens; snapshots and references.

use vicar_kernel::policy::UnnamedLevel;
use vicar_kernel::token::DuplicateKind;
use vicar_kernel::{Duplicate, Policy, Process, Profile, Reach, System, TokenKind};
use vicar_nt::token::{GroupChange, TokenFlags, TokenState};
use vicar_nt::{GroupAttributes, ImpersonationLevel, NtStatus, Privilege, well_known};

use crate::fixture::{
    Anonymous, Delegation, Identification, Imp, Who, World, allowed, disabled, enabled, imp, removed, user_a,
};

fn to(kind: DuplicateKind, level: Option<ImpersonationLevel>) -> Duplicate {
    Duplicate { kind, level, reach: Reach::AllHeld }
}

const PRIMARY: Duplicate = Duplicate { kind: DuplicateKind::Primary, level: None, reach: Reach::AllHeld };

#[test]
fn t119_a_copy_cannot_be_raised() {
    let world = World::new();
    for own in ImpersonationLevel::ALL {
        for wanted in ImpersonationLevel::ALL {
            let copied = world.imp(Who::A, own).duplicate(to(DuplicateKind::Impersonation, Some(wanted)));
            match copied {
                Ok(copy) => assert_eq!((wanted <= own, copy.level()), (true, Some(wanted))),
                Err(status) => assert_eq!((wanted > own, status), (true, NtStatus::BAD_IMPERSONATION_LEVEL)),
            }
        }
    }
}

#[test]
fn t120_an_identification_token_cannot_become_primary() {
    let world = World::new();
    for level in [Anonymous, Identification] {
        let refused = world.imp(Who::A, level).duplicate(PRIMARY).unwrap_err();
        assert_eq!(refused, NtStatus::BAD_IMPERSONATION_LEVEL);
    }
}

#[test]
fn t121_an_impersonation_token_can_become_primary_and_has_no_level_then() {
    let world = World::new();
    for level in [Imp, Delegation] {
        let primary = world.imp(Who::A, level).duplicate(PRIMARY).unwrap();
        assert_eq!((primary.kind(), primary.level()), (TokenKind::Primary, None));
    }
}

#[test]
fn t123_a_primary_token_can_become_any_level() {
    let world = World::new();
    for level in ImpersonationLevel::ALL {
        assert_eq!(imp(&world.token(Who::A), level).level(), Some(level));
    }
}

#[test]
fn t124_the_level_asked_for_counts_for_a_primary_copy_too() {
    let world = World::new();
    let token = world.imp(Who::A, Identification);
    let refused = token.duplicate(to(DuplicateKind::Primary, Some(Imp))).unwrap_err();
    assert_eq!(refused, NtStatus::BAD_IMPERSONATION_LEVEL);
    let token = world.imp(Who::A, Imp);
    let refused = token.duplicate(to(DuplicateKind::Primary, Some(Delegation))).unwrap_err();
    assert_eq!(refused, NtStatus::BAD_IMPERSONATION_LEVEL);
}

#[test]
fn t125_there_are_two_types() {
    assert_eq!(DuplicateKind::parse(0), Err(NtStatus::INVALID_PARAMETER));
    assert_eq!(DuplicateKind::parse(1), Ok(DuplicateKind::Primary));
    assert_eq!(DuplicateKind::parse(2), Ok(DuplicateKind::Impersonation));
    assert_eq!(DuplicateKind::parse(3), Err(NtStatus::INVALID_PARAMETER));
}

#[test]
fn without_a_level_an_impersonation_source_keeps_its_own_and_a_primary_one_gets_the_policys() {
    let world = World::new();
    let copy = world.imp(Who::A, Identification).duplicate(to(DuplicateKind::Impersonation, None)).unwrap();
    assert_eq!(copy.level(), Some(Identification));
    let copy = world.token(Who::A).duplicate(to(DuplicateKind::Impersonation, None)).unwrap();
    assert_eq!(copy.level(), Some(Anonymous));
    let mut policy = Policy::strict();
    policy.unnamed_level = UnnamedLevel::Impersonation;
    let world = World::with(Profile::V4, policy);
    let copy = world.token(Who::A).duplicate(to(DuplicateKind::Impersonation, None)).unwrap();
    assert_eq!(copy.level(), Some(Imp));
}

#[test]
fn t129_effective_only_removes_what_is_disabled_and_keeps_the_user() {
    let world = World::new();
    let token = world.token(Who::A);
    let copy = token.duplicate(Duplicate { reach: Reach::EffectiveOnly, ..PRIMARY }).unwrap();
    assert!(token.state().privileges().present().contains(Privilege::Shutdown));
    assert!(!copy.state().privileges().present().contains(Privilege::Shutdown));
    assert_eq!(copy.state().user().sid, user_a());
    assert_eq!(copy.modified_id(), token.modified_id());
    assert_ne!(copy.state_id(), token.state_id());
}

#[test]
fn t130_effective_only_keeps_groups_that_only_deny() {
    let world = World::new();
    let copy = world.token(Who::A).duplicate(Duplicate { reach: Reach::EffectiveOnly, ..PRIMARY }).unwrap();
    assert!(copy.state().counts_for_deny(well_known::ADMINISTRATORS.as_ref()));
    assert!(!copy.state().is_admin());
}

#[test]
fn t131_only_the_parameter_strips() {
    let world = World::new();
    let token = world.token(Who::A);
    let copy = token.duplicate(to(DuplicateKind::Impersonation, Some(Imp))).unwrap();
    assert_eq!(copy.state().state(), token.state().state());
    assert_eq!(copy.state_id(), token.state_id());
}

#[test]
fn a_copy_keeps_everything_but_its_identity_and_is_not_in_use() {
    let world = World::new();
    let process = world.process(Who::Bx);
    let token = process.reference_primary();
    assert!(token.is_in_use());
    let copy = token.duplicate(PRIMARY).unwrap();
    assert_ne!(copy.id(), token.id());
    assert!(!copy.is_in_use());
    assert_eq!(copy.authentication_id(), token.authentication_id());
    assert_eq!((copy.parent_id(), copy.origin(), copy.source()), (token.parent_id(), token.origin(), token.source()));
    assert_eq!(copy.logon_kind(), token.logon_kind());
}

#[test]
fn t137_a_user_that_only_denies_is_still_the_same_user_to_the_gate() {
    let world = World::new();
    let server = world.thread(Who::A);
    let token = world.token_of(TokenState::builder(user_a()).user_deny_only().session(1), 0xA001, 0x3e7);
    let _ = server.impersonate_token(&token, crate::fixture::terms(Imp)).unwrap();
    assert_eq!(server.reference_impersonation().unwrap().level, Imp);
    assert_eq!(world.level(Who::A, Who::A), allowed());
}

#[test]
fn t139_a_privilege_that_is_not_there_is_reported_and_the_rest_applied() {
    let world = World::new();
    let token = world.token(Who::A);
    let adjusted = token.adjust_privileges(&[enabled(Privilege::Debug), enabled(Privilege::Shutdown)]);
    assert_eq!((adjusted.all_assigned, adjusted.changed), (false, true));
    assert_eq!(adjusted.status(), NtStatus::NOT_ALL_ASSIGNED);
    assert!(token.state().privileges().is_enabled(Privilege::Shutdown));
}

#[test]
fn t140_without_room_for_the_previous_state_nothing_changes() {
    let world = World::new();
    let token = world.token(Who::A);
    let (modified, state) = (token.modified_id(), token.state_id());
    let changes = [enabled(Privilege::Shutdown), disabled(Privilege::ChangeNotify)];
    assert_eq!(token.adjust_privileges_reporting(&changes, 1), Err(NtStatus::BUFFER_TOO_SMALL));
    assert_eq!((token.modified_id(), token.state_id()), (modified, state));
    assert!(token.adjust_privileges_reporting(&changes, 2).unwrap().changed);
}

#[test]
fn what_would_change_is_shown_before_it_does() {
    let world = World::new();
    let token = world.token(Who::A);
    let changes = [enabled(Privilege::Shutdown), enabled(Privilege::ChangeNotify)];
    let mut seen = 0;
    let refused = token.adjust_privileges_if(&changes, |would| {
        seen = would.changed_since().entries().count();
        false
    });
    assert_eq!((refused, seen), (Err(NtStatus::BUFFER_TOO_SMALL), 1));
    assert!(!token.state().privileges().is_enabled(Privilege::Shutdown));
    let done = token.adjust_privileges_if(&changes, |_| true).unwrap();
    let before: Vec<_> = done.changed_since().entries().collect();
    assert_eq!((before.len(), before[0].luid), (1, Privilege::Shutdown.luid()));
    assert!(!done.changed_since().is_enabled(Privilege::Shutdown) && done.now.is_enabled(Privilege::Shutdown));
    let state = token.state_id();
    assert_eq!(token.disable_all_privileges_if(|_| false).unwrap_err(), NtStatus::BUFFER_TOO_SMALL);
    assert_eq!(token.reset_groups_if(|_| false).unwrap_err(), NtStatus::BUFFER_TOO_SMALL);
    assert_eq!(token.adjust_groups_if(&[], |_| false).unwrap_err(), NtStatus::BUFFER_TOO_SMALL);
    assert_eq!(token.state_id(), state);
    assert!(token.disable_all_privileges_if(|would| would.changed).unwrap().changed);
}

#[test]
fn t141_adjusting_to_the_present_state_changes_no_identifier() {
    let world = World::new();
    let token = world.token(Who::A);
    let (modified, state) = (token.modified_id(), token.state_id());
    let adjusted = token.adjust_privileges(&[enabled(Privilege::ChangeNotify)]);
    assert_eq!((adjusted.status(), adjusted.changed), (NtStatus::SUCCESS, false));
    assert_eq!((token.modified_id(), token.state_id()), (modified, state));
}

#[test]
fn t142_an_effective_change_gives_new_modification_and_state_numbers_only() {
    let world = World::new();
    let token = world.token(Who::A);
    let (id, modified, state, old) = (token.id(), token.modified_id(), token.state_id(), token.state());
    let _ = token.adjust_privileges(&[enabled(Privilege::Shutdown)]);
    assert_eq!(token.id(), id);
    assert_ne!(token.modified_id(), modified);
    assert_ne!(token.state_id(), state);
    assert_eq!(token.state_id(), token.state().id());
    assert!(!old.privileges().is_enabled(Privilege::Shutdown));
}

#[test]
fn t143_a_mandatory_group_cannot_be_disabled() {
    let world = World::new();
    let token = world.token(Who::B);
    let state = token.state_id();
    let refused = token.adjust_groups(&[(well_known::USERS, GroupChange::Disable)]).unwrap_err();
    assert_eq!((refused, token.state_id()), (NtStatus::CANT_DISABLE_MANDATORY, state));
}

#[test]
fn t144_a_deny_only_group_cannot_be_enabled() {
    let world = World::new();
    let token = world.token(Who::A);
    let refused = token.adjust_groups(&[(well_known::ADMINISTRATORS, GroupChange::Enable)]).unwrap_err();
    assert_eq!(refused, NtStatus::CANT_ENABLE_DENY_ONLY);
}

#[test]
fn groups_can_be_adjusted_and_reset() {
    let world = World::new();
    let optional = GroupAttributes::ENABLED.union(GroupAttributes::ENABLED_BY_DEFAULT);
    let token = world.token_of(TokenState::builder(user_a()).group(well_known::GUESTS, optional), 0xA001, 0);
    let before = token.state();
    let adjusted = token.adjust_groups(&[(well_known::GUESTS, GroupChange::Disable)]).unwrap();
    assert!(adjusted.changed && adjusted.all_assigned && adjusted.previous.len() == 1);
    assert!(!token.state().counts_for_allow(well_known::GUESTS.as_ref()));
    assert!(token.reset_groups().changed);
    assert_eq!(token.state().state(), before.state());
    assert_ne!(token.state_id(), before.id());
}

#[test]
fn flags_follow_every_privilege_change() {
    let world = World::new();
    let token = world.token(Who::Nsx);
    let holds = || token.state().flags().contains(TokenFlags::HAS_IMPERSONATE_PRIVILEGE);
    assert!(!holds());
    let _ = token.adjust_privileges(&[enabled(Privilege::Impersonate)]);
    assert!(holds());
    let _ = token.disable_all_privileges();
    assert!(!holds());
    let _ = token.adjust_privileges(&[removed(Privilege::Impersonate)]);
    assert!(!token.adjust_privileges(&[enabled(Privilege::Impersonate)]).all_assigned);
    assert!(!holds());
}

#[test]
fn powerful_privileges_need_high_integrity_from_vista_on_under_the_strict_rule() {
    let ordinary = |world: &World| {
        let state = TokenState::builder(user_a())
            .privilege(Privilege::Impersonate, vicar_nt::privilege::PrivilegeState::Disabled);
        world.token_of(state, 0xA001, 0)
    };
    let world = World::strict();
    assert!(!ordinary(&world).adjust_privileges(&[enabled(Privilege::Impersonate)]).all_assigned);
    for world in [World::with(Profile::V4, Policy::compatible()), World::with(Profile::V1, Policy::strict())] {
        assert!(ordinary(&world).adjust_privileges(&[enabled(Privilege::Impersonate)]).all_assigned);
    }
}

#[test]
fn a_process_needs_a_primary_token_of_its_own() {
    let world = World::new();
    let token = world.token(Who::A);
    let process = Process::new(&world.system, token.clone()).unwrap();
    let refused = |token| Process::new(&world.system, token).unwrap_err();
    assert_eq!(refused(token.clone()), NtStatus::TOKEN_ALREADY_IN_USE);
    assert_eq!(refused(world.imp(Who::A, Imp)), NtStatus::BAD_TOKEN_TYPE);
    assert_eq!(refused(World::new().token(Who::A)), NtStatus::INVALID_PARAMETER);
    let old = process.replace_primary(world.token(Who::B)).unwrap();
    assert!(old.is_same(&token) && !token.is_in_use());
    assert_eq!(process.replace_primary(world.token(Who::BTrust)).unwrap_err(), NtStatus::ACCESS_DENIED);
    drop(process);
    assert!(Process::new(&world.system, token).is_ok());
}

#[test]
fn references_are_counted_and_their_source_lines_known() {
    let world = World { system: System::with_reference_sites(Profile::V4, Policy::strict()) };
    let token = world.token(Who::A);
    assert_eq!((world.system.balance(), token.reference_count()), (1, 1));
    let second = token.clone();
    let line = line!() - 1;
    assert_eq!((world.system.balance(), token.reference_count()), (2, 2));
    assert_eq!((second.taken_at().line(), second.taken_at().file()), (line, file!()));
    assert!(world.system.outstanding().iter().any(|((file, at, _), count)| (*file, *at, *count) == (file!(), line, 1)));
    drop((token, second));
    assert_eq!(world.system.balance(), 0);
    assert!(world.system.outstanding().is_empty());
}

#[test]
fn t146_the_level_makes_no_difference_to_equality() {
    let world = World::new();
    assert!(world.imp(Who::A, Identification).is_equal_to(&world.imp(Who::A, Imp)));
    let token = world.token(Who::A);
    let _ = token.adjust_privileges(&[enabled(Privilege::Shutdown)]);
    assert!(token.is_equal_to(&world.token(Who::A)) && token.is_equal_to(&token));
}

#[test]
fn t147_restriction_users_groups_and_privileges_do() {
    let world = World::new();
    let token = world.token(Who::A);
    for other in [Who::Ar, Who::B, Who::Ae] {
        assert!(!token.is_equal_to(&world.token(other)) && !world.token(other).is_equal_to(&token));
    }
    let fewer = world.token(Who::A);
    let _ = fewer.adjust_privileges(&[removed(Privilege::Shutdown)]);
    assert!(!fewer.is_equal_to(&token) && !token.is_equal_to(&fewer));
}
