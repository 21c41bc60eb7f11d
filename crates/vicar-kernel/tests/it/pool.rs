//! The pool: every operation either happens or leaves everything as it was.

use vicar_kernel::{ClientContext, LogonKind, Profile, SubjectContext};
use vicar_nt::NtStatus;

use crate::fixture::{DYNAMIC, Imp, Local, Remote, STATIC, Who, World, terms};

#[test]
fn failing_each_charge_in_turn_leaves_state_references_and_bytes_as_they_were() {
    for profile in Profile::ALL {
        let world = World::with(profile, crate::fixture::policy());
        let client = world.thread(Who::B);
        let token = world.imp(Who::B, Imp);
        let subject = SubjectContext::capture(&client);
        let weak = world.thread(Who::A);
        type Operation<'a> = Box<dyn Fn() -> Result<(), NtStatus> + 'a>;
        let operations: [(&str, Operation<'_>); 7] = [
            ("capture", Box::new(|| ClientContext::capture(&client, STATIC, Local).map(drop))),
            ("remote", Box::new(|| ClientContext::capture(&client, DYNAMIC, Remote).map(drop))),
            ("subject", Box::new(|| ClientContext::from_subject(&subject, STATIC, Local).map(drop))),
            ("prepare", Box::new(|| weak.prepare_token(&token, terms(Imp)).map(drop))),
            ("copy", Box::new(|| token.copy_for_client(Imp).map(drop))),
            ("logon", Box::new(|| world.system.logon(LogonKind::Network, None).map(drop))),
            ("child", Box::new(|| client.process().create_child().map(drop))),
        ];
        for (name, operation) in &operations {
            let pool = world.system.pool();
            let first = pool.charge_count();
            operation().unwrap();
            let charges = pool.charge_count() - first;
            assert!(charges > 0, "{name}");
            let before = (world.system.balance(), pool.in_use_bytes(), world.system.session_count());
            for nth in 1..=charges {
                pool.fail_nth(nth);
                assert!(operation().is_err(), "{name}, charge {nth} of {charges}, {profile:?}");
                let after = (world.system.balance(), pool.in_use_bytes(), world.system.session_count());
                assert_eq!(after, before, "{name}, charge {nth}");
            }
            pool.fail_nth(0);
            operation().unwrap();
        }
    }
}

#[test]
fn everything_charged_is_given_back() {
    let world = World::new();
    let server = world.thread(Who::A);
    let _ = server.impersonate_token(&world.imp(Who::B, Imp), terms(Imp)).unwrap();
    assert!(world.system.pool().in_use_bytes() > 0);
    drop(server);
    assert_eq!((world.system.pool().in_use_bytes(), world.system.balance(), world.system.session_count()), (0, 0, 0));
}

#[test]
fn a_token_with_more_groups_costs_more() {
    let world = World::new();
    let cost = |groups: u32| {
        let before = world.system.pool().in_use_bytes();
        let state = (0..groups).fold(vicar_nt::token::TokenState::builder(crate::fixture::user_a()), |state, gid| {
            state.group(vicar_nt::well_known::unix_group(gid), vicar_nt::GroupAttributes::ALWAYS_ENABLED)
        });
        let _token = world.token_of(state, 0xC001, 0);
        world.system.pool().in_use_bytes() - before
    };
    assert!(cost(1000) > cost(1) + 999 * 68);
}
