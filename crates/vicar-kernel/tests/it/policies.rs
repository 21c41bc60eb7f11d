//! The cases that a policy decides, under the strict and under the compatible policy, side by side.

use vicar_kernel::access::Access;
use vicar_kernel::{ClientContext, Locality, Outcome, Policy, Profile, Qos, Reach, SubjectContext, TokenHandle};
use vicar_nt::check::AccessMode;
use vicar_nt::privilege::Need;
use vicar_nt::token::{Filter, FilterFlags, TokenState};
use vicar_nt::{GenericMapping, GroupAttributes, ImpersonationLevel, NtStatus, Readings, RequestedMask};

use crate::fixture::{
    Anonymous, DYNAMIC, Delegation, Identification, Imp, Local, POLICY, Remote, STATIC, Who, World, at, enabled, imp,
    user_a,
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

/// Two systems that differ in one rule of `vicar-nt`.
fn reading(reading: Readings) -> [World; 2] {
    [Readings::empty(), reading].map(|readings| {
        let mut policy = Policy::strict();
        policy.readings = readings;
        World::with(Profile::V4, policy)
    })
}

#[test]
fn no_rule_is_read_the_other_way_unless_it_is_asked_for() {
    for policy in [Policy::strict(), Policy::compatible()] {
        assert!(policy.readings.is_empty());
    }
}

#[test]
fn access_checks_read_uncertain_rules_as_the_system_says() {
    // An entry for OWNER RIGHTS that is only there to be inherited.
    let text = format!("O:{0}G:SYD:(A;OICIIO;0x1;;;OW)", user_a());
    let descriptor = vicar_nt::sddl::parse(&text, None).unwrap();
    let access = Access {
        descriptor: Some(descriptor.as_ref()),
        desired: RequestedMask(0x2_0000),
        previously_granted: RequestedMask::NONE,
        mapping: GenericMapping::FILE,
        mode: AccessMode::User,
    };
    let [granted, denied] = reading(Readings::INHERITED_OWNER_RIGHTS).map(|world| {
        let as_itself = SubjectContext::capture(&world.thread(Who::A)).access_check(&access).map(|it| it.mask.bits());
        let handed = world.imp(Who::A, Imp).access_check(&access).map(|it| it.mask.bits());
        assert_eq!(as_itself, handed);
        as_itself
    });
    assert_eq!((granted, denied), (Ok(0x2_0000), Err(NtStatus::ACCESS_DENIED)));
}

#[test]
fn handles_are_opened_as_the_system_reads_the_rules() {
    // Adjusting privileges is writing, which a label forbids from below.
    let opened = reading(Readings::NO_LEVEL_IS_MEDIUM).map(|world| {
        let without_level = world.token_of(TokenState::builder(user_a()).no_integrity(), 1, 1);
        let subject = SubjectContext::from_parts(None, Imp, without_level);
        TokenHandle::open(&world.token(Who::A), &subject, RequestedMask(0x20)).map(|_| ())
    });
    assert_eq!(opened, [Err(NtStatus::ACCESS_DENIED), Ok(())]);
}

#[test]
fn filters_and_privilege_checks_read_uncertain_rules_as_the_system_says() {
    let replicators = vicar_nt::Sid::new(5, &[32, 552]).unwrap();
    let filter = Filter { flags: FilterFlags::LUA_TOKEN, disable: &[], delete: &[], restrict: &[] };
    let counts = reading(Readings::LUA_KEEPS_REPLICATORS).map(|world| {
        let state = TokenState::builder(user_a()).group(replicators, GroupAttributes::ALWAYS_ENABLED);
        let token = world.token_of(state, 1, 1);
        token.filter(&filter).unwrap().state().counts_for_allow(replicators.as_ref())
    });
    assert_eq!(counts, [false, true]);
    let has_any = reading(Readings::EMPTY_LIST_HAS_ANY).map(|world| {
        let subject = SubjectContext::capture(&world.thread(Who::A));
        let by_handle = TokenHandle::open_unchecked(&world.imp(Who::A, Imp), RequestedMask(0x8));
        let by_handle = by_handle.privilege_check(&mut [], Need::Any).unwrap();
        assert_eq!(subject.privilege_check(&mut [], Need::Any, AccessMode::User), by_handle);
        by_handle
    });
    assert_eq!(has_any, [false, true]);
}
