//! 6.A: capturing a client.

use vicar_kernel::client::may_capture;
use vicar_kernel::policy::{EffectiveOnlyRule, RemoteDynamic};
use vicar_kernel::{
    ClientContext, Locality, OnOpen, Policy, Profile, Qos, Reach, Refreshed, SubjectContext, Terms, Thread,
    TokenControl, TokenKind, Tracking,
};
use vicar_nt::{ImpersonationLevel, NtStatus, Privilege};

use crate::fixture::{
    Anonymous, DYNAMIC, Delegation, Identification, Imp, Local, Remote, STATIC, Who, World, at, enabled, imp,
};

const BAD: Option<NtStatus> = Some(NtStatus::BAD_IMPERSONATION_LEVEL);

fn refusal(result: Result<ClientContext, NtStatus>) -> Option<NtStatus> {
    result.err()
}

fn narrow(qos: Qos) -> Qos {
    Qos { reach: Reach::EffectiveOnly, ..qos }
}

#[test]
fn t001_unimpersonated_local_static_succeeds_at_every_level() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let primary = thread.process().reference_primary();
    let before = primary.reference_count();
    for level in ImpersonationLevel::ALL {
        let context = ClientContext::capture(&thread, at(level, STATIC), Local).unwrap();
        assert_eq!(context.token().kind(), TokenKind::Impersonation(level));
        assert!(!context.token().is_same(&primary) && !context.is_direct());
        assert_eq!(context.token().state().user(), primary.state().user());
        assert_eq!(primary.reference_count(), before);
    }
}

#[test]
fn t002_unimpersonated_remote_static_succeeds_at_every_level() {
    let world = World::new();
    let thread = world.thread(Who::A);
    for level in ImpersonationLevel::ALL {
        let context = ClientContext::capture(&thread, at(level, STATIC), Remote).unwrap();
        assert_eq!((context.level(), context.locality()), (level, Remote));
    }
}

#[test]
fn t003_identified_client_cannot_be_captured() {
    let world = World::new();
    let thread = world.wearing(Who::B, Identification);
    let before = world.system.balance();
    assert_eq!(refusal(ClientContext::capture(&thread, at(Identification, STATIC), Local)), BAD);
    assert_eq!(world.system.balance(), before);
}

#[test]
fn t004_identified_client_cannot_be_captured_even_anonymously() {
    let world = World::new();
    let thread = world.wearing(Who::B, Identification);
    assert_eq!(refusal(ClientContext::capture(&thread, at(Anonymous, STATIC), Local)), BAD);
}

#[test]
fn t005_anonymous_client_cannot_be_captured_at_any_level() {
    let world = World::new();
    let thread = world.wearing(Who::B, Anonymous);
    for level in ImpersonationLevel::ALL {
        assert_eq!(refusal(ClientContext::capture(&thread, at(level, STATIC), Local)), BAD);
    }
}

#[test]
fn t006_impersonating_client_can_be_captured_locally() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    assert_eq!(ClientContext::capture(&thread, STATIC, Local).unwrap().level(), Imp);
}

#[test]
fn t007_delegation_is_above_what_an_impersonating_client_holds() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    assert_eq!(refusal(ClientContext::capture(&thread, at(Delegation, STATIC), Local)), BAD);
}

#[test]
fn t008_remote_needs_delegation_whatever_is_asked() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    assert_eq!(refusal(ClientContext::capture(&thread, at(Identification, STATIC), Remote)), BAD);
}

#[test]
fn t009_delegated_client_can_be_captured_for_a_remote_server() {
    let world = World::new();
    let thread = world.wearing(Who::B, Delegation);
    assert_eq!(ClientContext::capture(&thread, at(Delegation, STATIC), Remote).unwrap().level(), Delegation);
}

#[test]
fn t010_a_level_out_of_range_is_refused_before_anything_else() {
    for level in [4, u32::MAX] {
        let mut wire = STATIC.to_bytes();
        wire[4..8].copy_from_slice(&level.to_le_bytes());
        assert_eq!(Qos::parse(wire), Err(NtStatus::INVALID_PARAMETER));
    }
}

#[test]
fn t011_dynamic_local_keeps_the_live_primary_token() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let primary = thread.process().reference_primary();
    let before = primary.reference_count();
    for reach in [Reach::AllHeld, Reach::EffectiveOnly] {
        let context = ClientContext::capture(&thread, Qos { reach, ..DYNAMIC }, Local).unwrap();
        assert!(context.is_direct() && context.token().is_same(&primary));
        assert_eq!(primary.reference_count(), before + 1);
        assert_eq!((context.direct_reach(), context.reach()), (reach, reach));
    }
}

#[test]
fn t012_the_threads_restriction_survives_a_dynamic_capture() {
    for policy in [Policy::strict(), Policy::compatible()] {
        let world = World::with(Profile::V4, policy);
        let thread = world.wearing_with(Who::B, Imp, Reach::EffectiveOnly);
        let context = ClientContext::capture(&thread, DYNAMIC, Local).unwrap();
        assert_eq!((context.direct_reach(), context.reach()), (Reach::EffectiveOnly, Reach::EffectiveOnly));
    }
}

#[test]
fn t013_the_requests_restriction_is_kept_too() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let context = ClientContext::capture(&thread, narrow(DYNAMIC), Local).unwrap();
    assert_eq!(context.direct_reach(), Reach::EffectiveOnly);
}

#[test]
fn t014_dynamic_remote_stores_a_copy_and_the_token_control() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let primary = thread.process().reference_primary();
    let context = ClientContext::capture(&thread, DYNAMIC, Remote).unwrap();
    assert!(!context.is_direct() && !context.token().is_same(&primary));
    assert_eq!(context.token_control(), Some(&TokenControl::of(&primary)));
    assert_eq!(ClientContext::capture(&thread, DYNAMIC, Local).unwrap().token_control(), None);
    let mut policy = Policy::strict();
    policy.remote_dynamic = RemoteDynamic::Live;
    let world = World::with(Profile::V4, policy);
    assert!(ClientContext::capture(&world.thread(Who::A), DYNAMIC, Remote).unwrap().is_direct());
}

#[test]
fn t015_without_a_client_the_level_field_means_nothing() {
    let world = World::new();
    for level in ImpersonationLevel::ALL {
        let subject = SubjectContext::from_parts(None, level, world.token(Who::A));
        let context = ClientContext::from_subject(&subject, at(Delegation, STATIC), Remote).unwrap();
        assert_eq!(context.level(), Delegation);
    }
}

#[test]
fn t016_subject_context_of_an_identified_client_is_refused() {
    let world = World::new();
    let subject = SubjectContext::capture(&world.wearing(Who::B, Identification));
    assert_eq!(refusal(ClientContext::from_subject(&subject, at(Identification, STATIC), Local)), BAD);
}

#[test]
fn t017_a_subject_context_forgets_the_restriction_only_under_the_compatible_rule() {
    let mut compatible = Policy::strict();
    compatible.effective_only = EffectiveOnlyRule::DynamicThreadOnly;
    for (policy, expected) in [(Policy::strict(), Reach::EffectiveOnly), (compatible, Reach::AllHeld)] {
        let world = World::with(Profile::V4, policy);
        let subject = SubjectContext::capture(&world.wearing_with(Who::B, Imp, Reach::EffectiveOnly));
        let context = ClientContext::from_subject(&subject, DYNAMIC, Local).unwrap();
        assert_eq!((context.direct_reach(), context.reach()), (expected, expected));
    }
}

#[test]
fn t018_dropping_a_context_gives_exactly_its_reference_back() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let primary = thread.process().reference_primary();
    for qos in [STATIC, DYNAMIC] {
        let (count, balance) = (primary.reference_count(), world.system.balance());
        let context = ClientContext::capture(&thread, qos, Local).unwrap();
        let second = context.clone();
        assert_eq!(world.system.balance(), balance + 2);
        drop((context, second));
        assert_eq!((primary.reference_count(), world.system.balance()), (count, balance));
    }
}

#[test]
fn t019_a_copy_that_cannot_be_made_leaves_nothing_behind() {
    let world = World::new();
    let thread = world.thread(Who::A);
    let (balance, used) = (world.system.balance(), world.system.pool().in_use_bytes());
    world.system.pool().fail_nth(1);
    let status = refusal(ClientContext::capture(&thread, STATIC, Local));
    assert_eq!(status, Some(NtStatus::INSUFFICIENT_RESOURCES));
    world.system.pool().fail_nth_with(1, NtStatus::NO_SUCH_LOGON_SESSION);
    let status = refusal(ClientContext::capture(&thread, STATIC, Local));
    assert_eq!(status, Some(NtStatus::NO_SUCH_LOGON_SESSION));
    world.system.pool().limit_bytes(Some(used));
    let status = refusal(ClientContext::capture(&thread, STATIC, Local));
    assert_eq!(status, Some(NtStatus::QUOTA_EXCEEDED));
    assert_eq!((world.system.balance(), world.system.pool().in_use_bytes()), (balance, used));
}

#[test]
fn t020_the_length_field_is_ignored_and_rewritten() {
    for length in [0_u32, 99] {
        let mut wire = narrow(DYNAMIC).to_bytes();
        wire[..4].copy_from_slice(&length.to_le_bytes());
        let qos = Qos::parse(wire).unwrap();
        assert_eq!(qos, narrow(DYNAMIC));
        assert_eq!(qos.to_bytes(), [12, 0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 0]);
    }
}

/// The expanded table of 3.1, line by line as written there: Anon, Ident, Imp, Deleg.
const TABLE: [(&str, Option<ImpersonationLevel>, Locality, [bool; 4]); 10] = [
    ("primary, local", None, Local, [true, true, true, true]),
    ("primary, remote", None, Remote, [true, true, true, true]),
    ("Anonymous, local", Some(Anonymous), Local, [false, false, false, false]),
    ("Anonymous, remote", Some(Anonymous), Remote, [false, false, false, false]),
    ("Identification, local", Some(Identification), Local, [false, false, false, false]),
    ("Identification, remote", Some(Identification), Remote, [false, false, false, false]),
    ("Impersonation, local", Some(Imp), Local, [true, true, true, false]),
    ("Impersonation, remote", Some(Imp), Remote, [false, false, false, false]),
    ("Delegation, local", Some(Delegation), Local, [true, true, true, true]),
    ("Delegation, remote", Some(Delegation), Remote, [true, true, true, true]),
];

#[test]
fn the_capture_table_holds_on_every_road_for_every_row_tracking_and_reach() {
    let world = World::new();
    for (name, held, locality, row) in TABLE {
        let thread = match held {
            None => world.thread(Who::B),
            Some(level) => world.wearing(Who::B, level),
        };
        let token = held.map_or_else(|| world.token(Who::B), |level| world.imp(Who::B, level));
        let subject = SubjectContext::capture(&thread);
        for (level, expected) in ImpersonationLevel::ALL.into_iter().zip(row) {
            assert_eq!(may_capture(held, level, locality).is_ok(), expected, "{name}, {level}");
            for tracking in [Tracking::Static, Tracking::Dynamic] {
                for reach in [Reach::AllHeld, Reach::EffectiveOnly] {
                    let qos = Qos { level, tracking, reach };
                    let roads = [
                        ClientContext::capture(&thread, qos, locality),
                        ClientContext::from_subject(&subject, qos, locality),
                        ClientContext::from_token(&token, qos, locality),
                    ];
                    for road in roads {
                        match road {
                            Err(status) => {
                                assert!(!expected, "{name}, {level}");
                                assert_eq!(Some(status), BAD);
                            }
                            Ok(context) => {
                                assert!(expected, "{name}, {level}");
                                assert_eq!((context.level(), context.reach()), (level, reach));
                                let is_live = tracking == Tracking::Dynamic && locality == Local;
                                assert_eq!(context.is_direct(), is_live);
                                if !is_live {
                                    assert_eq!(context.token().kind(), TokenKind::Impersonation(level));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_effective_only_rule_is_a_strict_or_unless_switched() {
    let mut compatible = Policy::strict();
    compatible.effective_only = EffectiveOnlyRule::DynamicThreadOnly;
    for (policy, is_strict) in [(Policy::strict(), true), (compatible, false)] {
        let world = World::with(Profile::V4, policy);
        for thread_reach in [Reach::AllHeld, Reach::EffectiveOnly] {
            let thread = world.wearing_with(Who::B, Imp, thread_reach);
            for qos_reach in [Reach::AllHeld, Reach::EffectiveOnly] {
                for tracking in [Tracking::Static, Tracking::Dynamic] {
                    let qos = Qos { level: Imp, tracking, reach: qos_reach };
                    let counts = is_strict || tracking == Tracking::Dynamic;
                    let expected = if counts { qos_reach.narrowed_by(thread_reach) } else { qos_reach };
                    assert_eq!(ClientContext::capture(&thread, qos, Local).unwrap().reach(), expected);
                }
            }
        }
    }
}

#[test]
fn refresh_notices_modification_and_replacement_and_refuses_what_may_not_be_captured() {
    let world = World::new();
    let thread = world.wearing(Who::B, Imp);
    let mut context = ClientContext::capture(&thread, DYNAMIC, Local).unwrap();
    let mut frozen = ClientContext::capture(&thread, STATIC, Local).unwrap();
    assert_eq!(context.refresh(&thread), Ok(Refreshed::Unchanged));
    let _ = thread.reference_impersonation().unwrap().token.adjust_privileges(&[enabled(Privilege::Shutdown)]);
    assert_eq!(context.refresh(&thread), Ok(Refreshed::AttributesChanged));
    assert_eq!(context.refresh(&thread), Ok(Refreshed::Unchanged));
    let token = world.imp(Who::A, Imp);
    let _ =
        thread.impersonate_token(&token, Terms { level: Imp, reach: Reach::AllHeld, on_open: OnOpen::Share }).unwrap();
    assert_eq!(context.refresh(&thread), Ok(Refreshed::TokenReplaced));
    assert!(context.token().is_same(&token));
    let _ = thread.assign(&imp(&token, Identification)).unwrap();
    assert_eq!(context.refresh(&thread), Err(NtStatus::BAD_IMPERSONATION_LEVEL));
    assert_eq!(frozen.refresh(&thread), Ok(Refreshed::Unchanged));
    thread.revert();
    assert_eq!(context.refresh(&thread), Ok(Refreshed::TokenReplaced));
}

#[test]
fn a_remote_dynamic_copy_is_refreshed_when_the_original_changes() {
    let world = World::new();
    let thread = world.thread(Who::B);
    let mut context = ClientContext::capture(&thread, DYNAMIC, Remote).unwrap();
    assert_eq!(context.refresh(&thread), Ok(Refreshed::Unchanged));
    let primary = thread.process().reference_primary();
    let _ = primary.adjust_privileges(&[enabled(Privilege::Shutdown)]);
    assert!(!context.token().state().privileges().is_enabled(Privilege::Shutdown));
    assert_eq!(context.refresh(&thread), Ok(Refreshed::AttributesChanged));
    assert!(context.token().state().privileges().is_enabled(Privilege::Shutdown));
    assert_eq!(context.refresh(&Thread::new(thread.process())), Ok(Refreshed::Unchanged));
}
