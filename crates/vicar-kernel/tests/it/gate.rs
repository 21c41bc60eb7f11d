//! 6.C: the gate, mostly through impersonation itself; profile V4 under the strict policy unless said.

use vicar_kernel::gate::{self, GateInput, Party};
use vicar_kernel::policy::{
    AnonymousSession, ConstrainedImpersonation, ElevationRule, OriginReach, RestrictedParity, SandboxRule,
};
use vicar_kernel::token::Setting;
use vicar_kernel::{
    ClientContext, GateStep, Outcome, Policy, Profile, Reach, SubjectContext, Thread, ThreadRef, TokenKind, TokenRef,
};
use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, NtStatus, Privilege};

use crate::fixture::{
    Anonymous, DYNAMIC, Delegation, Identification, Imp, Local, STATIC, Who, World, allowed, context, disabled,
    downgraded, enabled, imp, removed, terms, user_b, verdict,
};

fn with_policy(change: impl FnOnce(&mut Policy)) -> World {
    let mut policy = Policy::strict();
    change(&mut policy);
    World::with(Profile::V4, policy)
}

#[test]
fn t048_another_users_token_is_downgraded_to_a_copy_at_identification() {
    let world = World::new();
    let token = world.imp(Who::B, Imp);
    let (outcome, worn) = world.ask(Who::A, &token, Imp);
    assert_eq!(outcome, Outcome::Downgraded { step: GateStep::User });
    assert_eq!((worn.level, worn.token.kind()), (Identification, TokenKind::Impersonation(Identification)));
    assert!(!worn.token.is_same(&token));
    assert_eq!(worn.token.state().user().sid, user_b());
}

#[test]
fn t049_an_identification_token_is_worn_itself() {
    let world = World::new();
    let token = world.imp(Who::B, Identification);
    let (outcome, worn) = world.ask(Who::A, &token, Identification);
    assert_eq!((outcome, worn.level), (Outcome::AsRequested, Identification));
    assert!(worn.token.is_same(&token));
}

#[test]
fn t050_a_lower_level_than_the_tokens_is_granted_with_the_same_object() {
    let world = World::new();
    let token = world.imp(Who::B, Imp);
    let (outcome, worn) = world.ask(Who::A, &token, Anonymous);
    assert_eq!((outcome, worn.level), (Outcome::AsRequested, Anonymous));
    assert!(worn.token.is_same(&token));
}

#[test]
fn t051_a_service_with_the_privilege_may_wear_anybody() {
    assert_eq!(World::new().level(Who::Ns, Who::B), allowed());
}

#[test]
fn t052_a_disabled_privilege_does_not_count() {
    assert_eq!(World::new().level(Who::Nsx, Who::B), downgraded(GateStep::User));
}

#[test]
fn t053_enabling_the_privilege_in_the_process_token_counts_at_once() {
    let world = World::new();
    let server = world.thread(Who::Nsx);
    let client = context(&world, Who::B, Imp);
    assert_eq!(server.impersonate(&client), Ok(Outcome::Downgraded { step: GateStep::User }));
    let _ = server.process().reference_primary().adjust_privileges(&[enabled(Privilege::Impersonate)]);
    assert_eq!(server.impersonate(&client), Ok(Outcome::AsRequested));
    assert_eq!(server.reference_impersonation().unwrap().level, Imp);
}

#[test]
fn t054_removing_the_privilege_counts_at_once() {
    let world = World::new();
    let server = world.thread(Who::Ns);
    let client = context(&world, Who::B, Imp);
    assert_eq!(server.impersonate(&client), Ok(Outcome::AsRequested));
    let _ = server.process().reference_primary().adjust_privileges(&[removed(Privilege::Impersonate)]);
    assert_eq!(server.impersonate(&client), Ok(Outcome::Downgraded { step: GateStep::User }));
}

#[test]
fn t055_the_own_user_at_the_same_integrity_is_allowed() {
    assert_eq!(World::new().level(Who::A, Who::A), allowed());
}

#[test]
fn t056_a_low_process_may_not_wear_its_users_medium_token() {
    assert_eq!(World::new().level(Who::Al, Who::A), downgraded(GateStep::Integrity));
}

#[test]
fn t057_a_low_process_may_identify_its_users_medium_token() {
    let world = World::new();
    let (outcome, worn) = world.ask(Who::Al, &world.imp(Who::A, Identification), Identification);
    assert_eq!((outcome, worn.level), (Outcome::AsRequested, Identification));
}

#[test]
fn t058_the_elevated_half_is_above_a_medium_process() {
    assert_eq!(World::new().level(Who::A, Who::Ae), downgraded(GateStep::Integrity));
}

#[test]
fn t059_lowering_the_elevated_half_helps_only_where_elevation_is_not_looked_at() {
    let world = World::with(Profile::V2, crate::fixture::policy());
    assert_eq!(world.level(Who::A, Who::AeMedium), allowed());
    assert_eq!(World::new().level(Who::A, Who::AeMedium), downgraded(GateStep::Elevation));
    let world = with_policy(|policy| policy.elevation = ElevationRule::FullHalf);
    assert_eq!(world.level(Who::A, Who::AeMedium), downgraded(GateStep::Elevation));
}

#[test]
fn t060_the_elevated_half_may_wear_the_limited_one() {
    assert_eq!(World::new().level(Who::Ae, Who::A), allowed());
}

#[test]
fn t061_a_token_made_with_explicit_credentials_by_this_session_is_allowed() {
    assert_eq!(World::new().level(Who::A, Who::Bx), allowed());
}

#[test]
fn t062_a_network_logon_has_no_origin_to_match() {
    assert_eq!(World::new().level(Who::A, Who::Bn), downgraded(GateStep::User));
}

#[test]
fn t063_origin_does_not_excuse_integrity_under_the_strict_rule() {
    assert_eq!(World::new().level(Who::A, Who::BxHigh), downgraded(GateStep::Integrity));
    let world = with_policy(|policy| policy.origin_reach = OriginReach::UserRestrictionAndIntegrity);
    assert_eq!(world.level(Who::A, Who::BxHigh), allowed());
}

#[test]
fn t064_system_without_any_privilege_may_wear_interactive_users_by_their_origin() {
    let world = World::new();
    assert_eq!(world.level(Who::SysBare, Who::B), allowed());
    assert_eq!(world.level(Who::SysBare, Who::Bn), downgraded(GateStep::User));
}

#[test]
fn t065_network_services_share_one_user() {
    assert_eq!(World::new().level(Who::Nsx, Who::Ns), allowed());
}

#[test]
fn t066_a_restricted_process_may_not_wear_its_users_unrestricted_token() {
    assert_eq!(World::new().level(Who::Ar, Who::A), downgraded(GateStep::Restricted));
}

#[test]
fn t067_a_restricted_process_may_wear_a_restricted_token_of_its_user() {
    assert_eq!(World::new().level(Who::Ar, Who::Ar), allowed());
}

#[test]
fn t068_a_restricted_token_may_be_worn_by_an_unrestricted_process_of_its_user() {
    assert_eq!(World::new().level(Who::A, Who::Ar), allowed());
    let world = with_policy(|policy| policy.restricted_parity = RestrictedParity::BothWays);
    assert_eq!(world.level(Who::A, Who::Ar), downgraded(GateStep::Restricted));
}

#[test]
fn t069_the_anonymous_token_may_be_worn_by_everybody() {
    let world = World::new();
    for process in [Who::A, Who::Al, Who::Ar, Who::Ac1, Who::Nsx] {
        assert_eq!(world.level(process, Who::Anon), allowed(), "{process:?}");
        assert_eq!(verdict(&world, process, Who::Anon, Imp).step, GateStep::AnonymousSession);
    }
}

#[test]
fn t070_a_forged_anonymous_token_passes_only_under_the_compatible_rule() {
    assert_eq!(World::strict().level(Who::A, Who::AnonForged), downgraded(GateStep::User));
    let world = with_policy(|policy| policy.anonymous_session = AnonymousSession::SessionAlone);
    assert_eq!(world.level(Who::A, Who::AnonForged), allowed());
}

#[test]
fn t071_what_the_thread_wears_does_not_help_its_process() {
    let world = World::new();
    let server = world.thread(Who::Sys);
    let _ = server.impersonate_token(&world.imp(Who::Sys, Imp), terms(Imp)).unwrap();
    // As a kernel bug might leave it: the process is an ordinary user's now, its thread still wears the system.
    drop(server.process().replace_primary(world.token(Who::A)).unwrap());
    let worn = server.reference_impersonation().unwrap();
    assert!(worn.token.state().privileges().is_enabled(Privilege::Impersonate));
    assert_eq!(server.impersonate(&context(&world, Who::B, Imp)), Ok(Outcome::Downgraded { step: GateStep::User }));
}

#[test]
fn t072_a_privileged_service_thread_that_wears_a_user_may_still_wear_another() {
    let world = World::new();
    let server = world.thread(Who::Ns);
    assert_eq!(server.impersonate(&context(&world, Who::A, Imp)), Ok(Outcome::AsRequested));
    assert_eq!(server.impersonate(&context(&world, Who::B, Imp)), Ok(Outcome::AsRequested));
    assert_eq!(server.reference_impersonation().unwrap().token.state().user().sid, user_b());
}

#[test]
fn t073_the_gate_uses_the_process_of_the_target_thread() {
    let world = World::new();
    let client = ClientContext::capture(&world.thread(Who::B), STATIC, Local).unwrap();
    let (weak, strong) = (world.thread(Who::A), world.thread(Who::Ns));
    assert_eq!(weak.impersonate(&client), Ok(Outcome::Downgraded { step: GateStep::User }));
    assert_eq!(strong.impersonate(&client), Ok(Outcome::AsRequested));
}

#[test]
fn t075_before_the_privilege_there_is_no_gate() {
    let world = World::with(Profile::V0, crate::fixture::policy());
    assert_eq!(world.level(Who::A, Who::B), allowed());
}

#[test]
fn t076_before_vista_integrity_is_not_looked_at() {
    let world = World::with(Profile::V1, Policy::strict());
    assert_eq!(world.level(Who::Al, Who::A), allowed());
}

#[test]
fn t077_a_sandboxed_process_may_not_wear_its_users_own_token() {
    let world = World::new();
    assert_eq!(world.level(Who::Ac1, Who::A), downgraded(GateStep::Integrity));
    assert_eq!(world.level(Who::Ac1, Who::Al), downgraded(GateStep::Sandbox));
}

#[test]
fn t078_a_sandboxed_process_may_wear_its_own_package() {
    assert_eq!(World::new().level(Who::Ac1, Who::Ac1s), allowed());
}

#[test]
fn t079_a_sandboxed_process_may_not_wear_another_package() {
    assert_eq!(World::new().level(Who::Ac1, Who::Ac2), downgraded(GateStep::Sandbox));
    let world = with_policy(|policy| policy.sandbox = SandboxRule::AnyPackage);
    assert_eq!(world.level(Who::Ac1, Who::Ac2), allowed());
}

#[test]
fn t080_constrained_impersonation_of_another_user_works_only_before_the_fix() {
    assert_eq!(World::strict().level(Who::Ac1, Who::Bc1), downgraded(GateStep::User));
    let world = with_policy(|policy| policy.constrained = ConstrainedImpersonation::AnyUser);
    assert_eq!(world.level(Who::Ac1, Who::Bc1), allowed());
    assert_eq!(verdict(&world, Who::Ac1, Who::Bc1, Imp).step, GateStep::Constrained);
}

#[test]
fn t081_the_same_user_in_the_same_package_is_allowed() {
    assert_eq!(World::new().level(Who::Ac1, Who::Ac1s), allowed());
}

#[test]
fn t082_constrained_needs_the_capabilities_to_be_a_subset() {
    let world = with_policy(|policy| policy.constrained = ConstrainedImpersonation::AnyUser);
    assert_eq!(world.level(Who::Ac1, Who::Bc9), downgraded(GateStep::User));
}

#[test]
fn t083_constrained_needs_the_same_session() {
    let world = with_policy(|policy| policy.constrained = ConstrainedImpersonation::AnyUser);
    assert_eq!(world.level(Who::Ac1, Who::Bc1OtherSession), downgraded(GateStep::User));
}

#[test]
fn t084_constrained_needs_the_capability() {
    let world = with_policy(|policy| policy.constrained = ConstrainedImpersonation::AnyUser);
    assert_eq!(world.level(Who::Ac1s, Who::Bc1), downgraded(GateStep::User));
    let world = with_policy(|policy| policy.constrained = ConstrainedImpersonation::Off);
    assert_eq!(world.level(Who::Ac1, Who::Bc1), downgraded(GateStep::User));
}

#[test]
fn t085_a_wrapped_system_token_stays_out_of_reach() {
    assert_eq!(World::strict().level(Who::Ac1, Who::SysC1), downgraded(GateStep::User));
    // What CVE-2018-0821 did.
    let world = with_policy(|policy| policy.constrained = ConstrainedImpersonation::AnyUser);
    assert_eq!(world.level(Who::Ac1, Who::SysC1), allowed());
}

#[test]
fn t086_a_token_without_integrity_counts_as_system() {
    assert_eq!(World::new().level(Who::A, Who::ANone), downgraded(GateStep::Integrity));
}

#[test]
fn t087_process_trust_is_lowered_to_that_of_the_process() {
    let world = World::new();
    let token = world.imp(Who::BTrust, Imp);
    let (outcome, worn) = world.ask(Who::Ns, &token, Imp);
    assert_eq!((outcome, worn.level), (Outcome::AsRequested, Imp));
    assert_eq!(worn.token.state().trust(), None);
    assert!(token.state().trust().is_some());
    let downgraded = world.ask(Who::A, &token, Imp).1;
    assert_eq!((downgraded.level, downgraded.token.state().trust()), (Identification, None));
}

#[test]
fn t088_the_anonymous_road_lowers_trust_too_under_the_strict_rule() {
    let world = World::strict();
    let (_, worn) = world.ask(Who::A, &world.imp(Who::AnonTrust, Imp), Imp);
    assert_eq!((worn.level, worn.token.state().trust()), (Imp, None));
    let (_, worn) = world.ask(Who::A, &world.imp(Who::BTrust, Identification), Identification);
    assert_eq!((worn.level, worn.token.state().trust()), (Identification, None));
    let world = World::with(Profile::V4, Policy::compatible());
    let (_, worn) = world.ask(Who::A, &world.imp(Who::AnonTrust, Imp), Imp);
    assert!(worn.token.state().trust().is_some());
    let world = World::with(Profile::V2, Policy::strict());
    let (_, worn) = world.ask(Who::Ns, &world.imp(Who::BTrust, Imp), Imp);
    assert!(worn.token.state().trust().is_some());
}

#[test]
fn t091_a_downgraded_copy_differs_in_identity_and_level_only() {
    let world = World::new();
    let token = world.imp(Who::B, Imp);
    let (_, worn) = world.ask(Who::A, &token, Imp);
    assert_ne!(worn.token.id(), token.id());
    assert_eq!(worn.token.authentication_id(), token.authentication_id());
    assert_eq!(worn.token.modified_id(), token.modified_id());
    assert_eq!(worn.token.state().state(), token.state().state());
    assert_eq!((worn.token.origin(), worn.token.source()), (token.origin(), token.source()));
}

#[test]
fn t092_a_downgrade_replaces_the_previous_client() {
    let world = World::new();
    let server = world.thread(Who::A);
    let own = world.imp(Who::A, Imp);
    let _ = server.impersonate_token(&own, terms(Imp)).unwrap();
    assert_eq!(own.reference_count(), 2);
    let _ = server.impersonate_token(&world.imp(Who::B, Imp), terms(Imp)).unwrap();
    let worn = server.reference_impersonation().unwrap();
    assert_eq!((own.reference_count(), worn.level, worn.token.state().user().sid), (1, Identification, user_b()));
    assert_eq!(worn.token.reference_count(), 2);
}

#[test]
fn t093_a_process_may_wear_its_own_primary_token() {
    let world = World::new();
    let server = world.thread(Who::A);
    let own = server.process().reference_primary();
    assert_eq!(server.impersonate_token(&own, terms(Imp)), Ok(Outcome::AsRequested));
    assert!(server.reference_impersonation().unwrap().token.is_same(&own));
}

#[test]
fn t094_a_level_above_the_tokens_is_lowered_to_it() {
    let world = World::new();
    let (outcome, worn) = world.ask(Who::Ns, &world.imp(Who::B, Imp), Delegation);
    assert_eq!((outcome, worn.level), (Outcome::AsRequested, Imp));
    let (outcome, worn) = world.ask(Who::A, &world.imp(Who::B, Anonymous), Delegation);
    assert_eq!((outcome, worn.level), (Outcome::AsRequested, Anonymous));
}

#[test]
fn a_downgraded_client_cannot_be_passed_on() {
    let world = World::new();
    let server = world.thread(Who::A);
    let _ = server.impersonate(&context(&world, Who::B, Imp)).unwrap();
    for level in ImpersonationLevel::ALL {
        let qos = crate::fixture::at(level, STATIC);
        let refused = ClientContext::capture(&server, qos, Local).err();
        assert_eq!(refused, Some(NtStatus::BAD_IMPERSONATION_LEVEL));
    }
}

#[test]
fn a_downgrade_keeps_reach_and_copy_on_open() {
    let world = World::new();
    let server = world.thread(Who::A);
    let wanted =
        vicar_kernel::Terms { reach: Reach::EffectiveOnly, on_open: vicar_kernel::OnOpen::Share, ..terms(Imp) };
    let _ = server.impersonate_token(&world.imp(Who::B, Imp), wanted).unwrap();
    let worn = server.reference_impersonation().unwrap();
    assert_eq!((worn.reach, worn.copy_on_open), (Reach::EffectiveOnly, false));
}

#[test]
fn explaining_gives_the_same_verdict_and_ends_with_the_step_that_decided() {
    let world = World::new();
    let everybody =
        [Who::Sys, Who::Ns, Who::Nsx, Who::A, Who::Ae, Who::Al, Who::Ar, Who::B, Who::Bx, Who::Ac1, Who::Bc1];
    for process in everybody {
        for token in everybody {
            for level in ImpersonationLevel::ALL {
                let (p, t) = (world.token(process), world.token(token));
                let (p_state, t_state) = (p.state(), t.state());
                let input = GateInput { process: Party::of(&p, &p_state), token: Party::of(&t, &t_state), level };
                let (verdict, steps) = gate::explain(Profile::V4, &Policy::strict(), &input);
                assert_eq!(verdict, gate::judge(Profile::V4, &Policy::strict(), &input));
                assert!(steps.iter().any(|step| step.step == verdict.step && step.compared == verdict.compared));
                assert!(verdict.to_string().contains(verdict.step.name()));
            }
        }
    }
}

#[test]
fn t163_a_child_process_gets_the_primary_token_whatever_its_maker_wears() {
    let world = World::new();
    let server = world.thread(Who::Ns);
    let _ = server.impersonate(&context(&world, Who::B, Imp)).unwrap();
    let child = server.process().create_child().unwrap();
    assert_eq!(child.reference_primary().state().user(), server.process().reference_primary().state().user());
    assert!(!Thread::new(&child).is_impersonating() && !Thread::new(server.process()).is_impersonating());
    let _ = imp(&child.reference_primary(), Imp);
}

#[test]
fn process_trust_dominates_in_type_and_level_together() {
    let trust = |kind, level| vicar_nt::Sid::new(19, &[kind, level]).unwrap();
    let (light, full, light_high) = (trust(512, 4096), trust(1024, 4096), trust(512, 8192));
    assert!(gate::dominates(None, None) && gate::dominates(Some(&light), None));
    assert!(!gate::dominates(None, Some(&light)));
    assert!(gate::dominates(None, Some(&vicar_nt::well_known::TRUST_NONE)));
    assert!(gate::dominates(Some(&full), Some(&light)) && !gate::dominates(Some(&light), Some(&full)));
    assert!(!gate::dominates(Some(&full), Some(&light_high)) && !gate::dominates(Some(&light_high), Some(&full)));
    let odd = vicar_nt::Sid::new(19, &[1]).unwrap();
    assert!(gate::dominates(Some(&odd), Some(&odd)) && !gate::dominates(Some(&full), Some(&odd)));
}

#[test]
fn the_constrained_impersonation_capability_is_the_hash_of_its_name() {
    // SHA-256 of CONSTRAINEDIMPERSONATION in UTF-16LE, as eight little-endian words after S-1-15-3-1024.
    assert_eq!(
        gate::CONSTRAINED_IMPERSONATION.to_string(),
        "S-1-15-3-1024-1604681682-535129537-3273749797-3666938095-336295784-2177615760-2743807136-2867270584"
    );
}

#[test]
fn an_origin_that_changes_is_looked_at_again_even_after_the_gate_said_yes() {
    let world = World::new();
    let system = SubjectContext::capture(&world.thread(Who::Sys));
    let (thread, token) = (world.thread(Who::A), world.token(Who::Bx));
    let copy = imp(&token, Imp);
    let client = ClientContext::from_token(&token, DYNAMIC, Local).unwrap();
    assert!(client.is_direct());
    let (allowed, origin, number) = (Ok(Outcome::AsRequested), token.origin(), token.state_id());
    for _ in 0..3 {
        assert_eq!(thread.impersonate(&client), allowed);
    }
    token.set_information(&system, Setting::Origin(origin)).unwrap();
    assert_eq!(token.state_id(), number);
    token.set_information(&system, Setting::Origin(Luid::from_u64(0x77))).unwrap();
    assert_ne!(token.state_id(), number);
    assert_eq!(thread.impersonate(&client), Ok(Outcome::Downgraded { step: GateStep::User }));
    // A copy keeps what it was made with.
    assert_eq!((copy.origin(), copy.state_id()), (origin, number));
    token.set_information(&system, Setting::Origin(origin)).unwrap();
    assert_eq!(thread.impersonate(&client), allowed);
}

#[test]
fn whatever_changes_on_either_side_is_looked_at_again_after_the_gate_said_yes() {
    type Change = fn(&World, &SubjectContext, &TokenRef, &ThreadRef);
    let cases: [(Who, Who, Change, GateStep); 4] = [
        (
            Who::A,
            Who::A,
            |_, system, token, _| {
                token.set_information(system, Setting::IntegrityLevel(IntegrityLevel::HIGH)).unwrap();
            },
            GateStep::Integrity,
        ),
        (
            Who::A,
            Who::A,
            |_, system, _, thread| {
                let process = thread.process().reference_primary();
                process.set_information(system, Setting::IntegrityLevel(IntegrityLevel::LOW)).unwrap();
            },
            GateStep::Integrity,
        ),
        (
            Who::A,
            Who::A,
            |world, _, _, thread| drop(thread.process().replace_primary(world.token(Who::Bn)).unwrap()),
            GateStep::User,
        ),
        (
            Who::Ns,
            Who::B,
            |_, _, _, thread| {
                let process = thread.process().reference_primary();
                let _ = process.adjust_privileges(&[disabled(Privilege::Impersonate)]);
            },
            GateStep::User,
        ),
    ];
    for (process, client, change, step) in cases {
        let world = World::new();
        let system = SubjectContext::capture(&world.thread(Who::Sys));
        let (thread, token) = (world.thread(process), world.token(client));
        let context = ClientContext::from_token(&token, DYNAMIC, Local).unwrap();
        for _ in 0..3 {
            assert_eq!(thread.impersonate(&context), Ok(Outcome::AsRequested), "{process:?} {client:?}");
        }
        change(&world, &system, &token, &thread);
        assert_eq!(thread.impersonate(&context), Ok(Outcome::Downgraded { step }), "{process:?} {client:?}");
    }
}

/// G11 overrules a refusal for the user, the restriction and the sandbox, and nothing else.
#[test]
fn constrained_impersonation_overrules_neither_integrity_nor_elevation() {
    let policies = [Policy::strict(), {
        let mut policy = Policy::strict();
        policy.constrained = ConstrainedImpersonation::AnyUser;
        policy
    }];
    let world = World::new();
    let (own, other) = (world.token(Who::Ac1), world.token(Who::Bc1));
    let (own_state, other_state) = (own.state(), other.state());
    let process = Party::of(&own, &own_state);
    let same = Party { user: process.user, ..Party::of(&other, &other_state) };
    let stranger = Party::of(&other, &other_state);
    let elevated = gate::ElevationFacts { is_elevated: true, is_full_half: true };
    let judge = |policy: &Policy, process, token| {
        let verdict = gate::judge(Profile::V4, policy, &GateInput { process, token, level: Imp });
        (verdict.is_allowed, verdict.step)
    };
    for (index, policy) in policies.iter().enumerate() {
        // Nothing to overrule; another user is overruled by the older rule only; a restriction by both.
        assert_eq!(judge(policy, process, same), (true, GateStep::End));
        let for_user = [(false, GateStep::User), (true, GateStep::Constrained)][index];
        assert_eq!(judge(policy, process, stranger), for_user);
        let restricted = Party { is_restricted: true, ..process };
        assert_eq!(judge(policy, restricted, same), (true, GateStep::Constrained));
        // Elevation is refused by itself, and beside each of the others.
        let risen = |token| Party { elevation: elevated, ..token };
        assert_eq!(judge(policy, process, risen(same)), (false, GateStep::Elevation));
        assert_eq!(judge(policy, process, risen(stranger)), (false, GateStep::User));
        assert_eq!(judge(policy, restricted, risen(same)), (false, GateStep::Restricted));
        // So is integrity, where it is missing too.
        for integrity in [Some(IntegrityLevel::HIGH), None] {
            for token in [same, stranger] {
                let above = Party { integrity, ..token };
                assert_eq!(judge(policy, process, above), (false, GateStep::Integrity));
            }
        }
    }
}
