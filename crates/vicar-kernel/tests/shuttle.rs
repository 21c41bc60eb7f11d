//! Longer schedules than `loom` can go through, chosen at random.
//!
//! Runs only as `RUSTFLAGS="--cfg shuttle" cargo test -p vicar-kernel --test shuttle --release -- --nocapture`. Each test
//! goes through so many random schedules of its locks and atomic operations (`SCHEDULES`), sequentially consistent ones; a
//! failure prints the schedule.
#![cfg(shuttle)]
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

use std::sync::Arc;

use shuttle::thread;
use vicar_kernel::{
    ClientContext, Locality, LogonKind, OnOpen, Policy, Process, Profile, Qos, Reach, System, Terms, Thread, TokenKind,
    TokenRef, TokenSpec, Tracking,
};
use vicar_nt::privilege::{LuidAndAttributes, Privilege, PrivilegeAttributes, PrivilegeState};
use vicar_nt::token::TokenState;
use vicar_nt::{ImpersonationLevel, IntegrityLevel, Luid, well_known};

/// Schedules tried by each test.
const SCHEDULES: usize = 20_000;

fn token(system: &System, uid: u32) -> TokenRef {
    let state = TokenState::builder(well_known::unix_user(uid))
        .integrity(IntegrityLevel::HIGH)
        .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault)
        .build()
        .unwrap();
    let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Shuttle ", origin: Luid::ZERO };
    system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap()
}

const STATIC: Qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::AllHeld };

#[test]
fn four_threads_on_two_records_lose_nothing() {
    shuttle::check_random(
        || {
            let system = System::new(Profile::V4, Policy::strict());
            let process = Process::new(&system, token(&system, 1000)).unwrap();
            let targets = Arc::new([Thread::new(&process), Thread::new(&process)]);
            let client = token(&system, 1001);
            let context = Arc::new(ClientContext::from_token(&client, STATIC, Locality::Local).unwrap());
            let before = system.balance();
            let workers: Vec<_> = (0..4_usize)
                .map(|number| {
                    let (targets, context, client) = (Arc::clone(&targets), Arc::clone(&context), client.clone());
                    let process = process.clone();
                    thread::spawn(move || {
                        let level = ImpersonationLevel::Identification;
                        let terms = Terms { level, reach: Reach::AllHeld, on_open: OnOpen::Share };
                        for step in 0..4_usize {
                            let [one, other] = &*targets;
                            let target = if (number ^ step) & 1 == 0 { one } else { other };
                            match number {
                                0 | 1 => {
                                    let _ = target.impersonate(&context).unwrap();
                                    target.revert();
                                }
                                2 => {
                                    let _ = target.impersonate_token(&client, terms).unwrap();
                                    drop(target.disable_impersonation());
                                }
                                _ => {
                                    let on = if step & 1 == 0 {
                                        PrivilegeAttributes::empty()
                                    } else {
                                        PrivilegeAttributes::ENABLED
                                    };
                                    let change = LuidAndAttributes::new(Privilege::Impersonate, on);
                                    let _ = process.reference_primary().adjust_privileges(&[change]);
                                    if let Some(worn) = target.reference_impersonation() {
                                        assert!(worn.token.level().is_none_or(|own| worn.level <= own));
                                    }
                                }
                            }
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.join().unwrap();
            }
            for target in &*targets {
                target.revert();
            }
            assert_eq!(system.balance(), before);
            drop((targets, context, client, process));
            assert_eq!((system.balance(), system.session_count(), system.pool().in_use_bytes()), (0, 0, 0));
        },
        SCHEDULES,
    );
    println!("four threads: {SCHEDULES} schedules");
}
