//! The cases that a policy decides, under the strict and under the compatible policy, side by side.

use vicar_kernel::{ClientContext, Locality, Outcome, Policy, Profile, Qos, Reach, SubjectContext};
use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::fixture::{
    Anonymous, DYNAMIC, Delegation, Identification, Imp, Local, POLICY, Remote, STATIC, Who, World, at, enabled, imp,
};

fn worlds() -> [World; 2] {
    [Policy::strict(), Policy::compatible()].map(|policy| World::with(Profile::V4, policy))
}

/// Case, process, token, level under the strict policy, level under the compatible one.
const GATE: &[(&str, Who, Who, ImpersonationLevel, ImpersonationLevel)] = &[
    ("T048", Who::A, Who::B, Identification, Identification),
    ("T051", Who::Ns, Who::B, Imp, Imp),
    ("T052", Who::Nsx, Who::B, Identification, Identification),
    ("T055", Who::A, Who::A, Imp, Imp),
    ("T056", Who::Al, Who::A, Identification, Identification),
    ("T058", Who::A, Who::Ae, Identification, Identification),
    ("T059", Who::A, Who::AeMedium, Identification, Identification),
    ("T060", Who::Ae, Who::A, Imp, Imp),
    ("T061", Who::A, Who::Bx, Imp, Imp),
    ("T062", Who::A, Who::Bn, Identification, Identification),
    ("T063", Who::A, Who::BxHigh, Identification, Identification),
    ("T064", Who::SysBare, Who::B, Imp, Imp),
    ("T066", Who::Ar, Who::A, Identification, Identification),
    ("T067", Who::Ar, Who::Ar, Imp, Imp),
    ("T068", Who::A, Who::Ar, Imp, Imp),
    ("T069", Who::A, Who::Anon, Imp, Imp),
    ("T070", Who::A, Who::AnonForged, Identification, Imp),
    ("T077", Who::Ac1, Who::A, Identification, Identification),
    ("T078", Who::Ac1, Who::Ac1s, Imp, Imp),
    ("T079", Who::Ac1, Who::Ac2, Identification, Identification),
    ("T080", Who::Ac1, Who::Bc1, Identification, Imp),
    ("T082", Who::Ac1, Who::Bc9, Identification, Identification),
    ("T083", Who::Ac1, Who::Bc1OtherSession, Identification, Identification),
    ("T084", Who::Ac1s, Who::Bc1, Identification, Identification),
    ("T085", Who::Ac1, Who::SysC1, Identification, Imp),
    ("T086", Who::A, Who::ANone, Identification, Identification),
];

#[test]
fn the_gate_cases_under_both_policies() {
    let [strict, compatible] = worlds();
    for (case, process, token, under_strict, under_compatible) in GATE {
        assert_eq!(strict.level(*process, *token).0, *under_strict, "{case} strict");
        assert_eq!(compatible.level(*process, *token).0, *under_compatible, "{case} compatible");
    }
}

#[test]
fn the_capture_cases_under_both_policies() {
    for world in worlds() {
        let capture = |who: &dyn Fn() -> vicar_kernel::ThreadRef, level, locality: Locality| {
            ClientContext::capture(&who(), at(level, STATIC), locality).map(|_| ())
        };
        let bad = Err(NtStatus::BAD_IMPERSONATION_LEVEL);
        for level in ImpersonationLevel::ALL {
            for locality in [Local, Remote] {
                assert_eq!(capture(&|| world.thread(Who::A), level, locality), Ok(()));
                for low in [Anonymous, Identification] {
                    assert_eq!(capture(&|| world.wearing(Who::B, low), level, locality), bad);
                }
                assert_eq!(capture(&|| world.wearing(Who::B, Delegation), level, locality), Ok(()));
            }
            let within = if level <= Imp { Ok(()) } else { bad };
            assert_eq!(capture(&|| world.wearing(Who::B, Imp), level, Local), within);
            assert_eq!(capture(&|| world.wearing(Who::B, Imp), level, Remote), bad);
        }
    }
}

#[test]
fn a_restriction_survives_every_capture_or_the_live_one_only() {
    let expected = [[true; 3], [false, true, false]];
    for (world, expected) in worlds().iter().zip(expected) {
        let client = world.wearing_with(Who::B, Imp, Reach::EffectiveOnly);
        let subject = SubjectContext::capture(&client);
        let all = |qos: Qos| Qos { reach: Reach::AllHeld, ..qos };
        let is_kept = [
            ClientContext::capture(&client, all(STATIC), Local).unwrap(),
            ClientContext::capture(&client, all(DYNAMIC), Local).unwrap(),
            ClientContext::from_subject(&subject, all(DYNAMIC), Local).unwrap(),
        ]
        .map(|context| context.reach().is_effective_only());
        assert_eq!(is_kept, expected);
    }
}

#[test]
fn a_remote_live_client_is_copied_under_both_policies_and_kept_live_when_asked() {
    let mut live = Policy::strict();
    live.remote_dynamic = vicar_kernel::policy::RemoteDynamic::Live;
    let policies = [(Policy::strict(), false), (Policy::compatible(), false), (live, true)];
    for (policy, is_live) in policies {
        let world = World::with(Profile::V4, policy);
        let context = ClientContext::capture(&world.thread(Who::A), DYNAMIC, Remote).unwrap();
        assert_eq!(context.is_direct(), is_live);
        assert!(context.token_control().is_some());
    }
}

#[test]
fn powerful_privileges_may_be_enabled_at_high_integrity_or_anywhere() {
    for (world, is_enabled) in worlds().iter().zip([false, true]) {
        let privilege = vicar_nt::Privilege::Debug;
        let state = vicar_nt::token::TokenState::builder(crate::fixture::user_a())
            .privilege(privilege, vicar_nt::privilege::PrivilegeState::Disabled);
        let token = imp(&world.token_of(state, 0xC001, 0), Imp);
        assert_eq!(token.adjust_privileges(&[enabled(privilege)]).all_assigned, is_enabled);
    }
}

#[test]
fn unregistering_what_is_not_registered() {
    for (world, status) in worlds().iter().zip([NtStatus::NOT_FOUND, NtStatus::INSUFFICIENT_RESOURCES]) {
        let id = world.system.register_termination_routine(|_| ()).unwrap();
        assert_eq!(world.system.unregister_termination_routine(id), Ok(()));
        assert_eq!(world.system.unregister_termination_routine(id), Err(status));
    }
}

#[test]
fn the_anonymous_road_and_process_trust() {
    for (world, keeps) in worlds().iter().zip([false, true]) {
        let (outcome, worn) = world.ask(Who::A, &world.imp(Who::AnonTrust, Imp), Imp);
        assert_eq!((outcome, worn.token.state().trust().is_some()), (Outcome::AsRequested, keeps));
    }
}

/// A test that names no policy runs under the strict one; here all of them run again. What differs names its policy, and
/// then both.
#[test]
fn every_case_holds_under_the_compatible_policy_too() {
    if std::env::var_os(POLICY).is_some() {
        // This is the second run.
        return;
    }
    let program = std::env::current_exe().unwrap();
    let run =
        std::process::Command::new(program).args(["--test-threads", "2"]).env(POLICY, "compatible").output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{text}");
    let passed = text.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    let passed: usize = passed.and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!(passed > 380, "{passed} ran");
}
