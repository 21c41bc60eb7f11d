//! What a server does for every request takes no memory. A program of its own: the counter is the allocator of the whole
//! program.
#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

use std::hint::black_box;

use vicar_kernel::{
    ClientContext, Locality, LogonKind, OnOpen, Outcome, Policy, Process, Profile, Qos, Reach, SubjectContext, System,
    Terms, Thread, ThreadRef, TokenKind, TokenRef, TokenSpec, Tracking,
};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, Privilege, well_known};

const STATIC: Qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::AllHeld };
const DYNAMIC: Qos = Qos { tracking: Tracking::Dynamic, ..STATIC };

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

fn token(system: &System, uid: u32) -> TokenRef {
    let mut state = TokenState::builder(well_known::unix_user(uid))
        .integrity(IntegrityLevel::HIGH)
        .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault);
    for gid in 3000..3020 {
        state = state.group(well_known::unix_group(gid), GroupAttributes::ALWAYS_ENABLED);
    }
    let spec =
        TokenSpec { state: state.build().unwrap(), kind: TokenKind::Primary, source: *b"Allocate", origin: Luid::ZERO };
    system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap()
}

struct Stage {
    system: System,
    server: ThreadRef,
    client: ThreadRef,
}

fn stage(profile: Profile) -> Stage {
    let system = System::new(profile, Policy::strict());
    let thread = |uid| Thread::new(&Process::new(&system, token(&system, uid)).unwrap());
    let (server, client) = (thread(1), thread(1000));
    Stage { system, server, client }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![1_u8]))), 1);
    let stage = stage(Profile::V4);
    // A static capture copies the token, so this is not zero.
    assert!(allocations(|| drop(ClientContext::capture(&stage.client, STATIC, Locality::Local))) > 0);
}

#[test]
fn impersonating_and_reverting_take_no_memory_remembered_or_judged() {
    for profile in [Profile::V0, Profile::V1, Profile::V2, Profile::V3, Profile::V4] {
        let stage = stage(profile);
        for qos in [STATIC, DYNAMIC] {
            let context = ClientContext::capture(&stage.client, qos, Locality::Local).unwrap();
            // The first time is judged in full; a record is made for a thread once in early profiles.
            assert_eq!(stage.server.impersonate(&context), Ok(Outcome::AsRequested));
            stage.server.revert();
            for _ in 0..3 {
                let cost = allocations(|| {
                    assert_eq!(stage.server.impersonate(&context), Ok(Outcome::AsRequested));
                    stage.server.revert();
                });
                assert_eq!(cost, 0, "{profile:?} {qos:?}");
            }
            // Judged in full every time: a context that was never worn, and the two phases.
            let fresh = context.clone();
            let cost = allocations(|| {
                let pending = stage.server.prepare(&fresh).unwrap();
                assert_eq!(pending.commit(), Outcome::AsRequested);
                stage.server.revert();
            });
            assert_eq!(cost, 0, "{profile:?} {qos:?}, two phases");
        }
        let terms = Terms { level: ImpersonationLevel::Impersonation, reach: Reach::AllHeld, on_open: OnOpen::Copy };
        let token = stage.client.process().reference_primary();
        for _ in 0..3 {
            let cost = allocations(|| {
                assert_eq!(stage.server.impersonate_token(&token, terms), Ok(Outcome::AsRequested));
                stage.server.revert();
            });
            assert_eq!(cost, 0, "{profile:?}, by token");
        }
    }
}

#[test]
fn dynamic_capture_subjects_and_references_take_no_memory() {
    let stage = stage(Profile::V4);
    let wearing = ClientContext::capture(&stage.client, STATIC, Locality::Local).unwrap();
    let _ = stage.server.impersonate(&wearing).unwrap();
    for thread in [&stage.client, &stage.server] {
        let cost = allocations(|| drop(black_box(ClientContext::capture(thread, DYNAMIC, Locality::Local).unwrap())));
        assert_eq!(cost, 0);
        assert_eq!(allocations(|| drop(black_box(SubjectContext::capture(thread)))), 0);
        assert_eq!(allocations(|| drop(black_box(thread.reference_effective()))), 0);
        let mut own = thread.own();
        let _ = own.effective();
        assert_eq!(allocations(|| assert!(black_box(own.effective().state).id() > 0)), 0);
    }
    let cost = allocations(|| drop(stage.server.disable_impersonation()));
    assert_eq!(cost, 0);
    assert!(stage.system.balance() > 0);
}

/// The first thread in each seat makes its lease; afterwards there is nothing to make.
#[test]
fn threads_that_share_a_context_take_no_memory_after_their_first_time() {
    let stage = stage(Profile::V4);
    let context = ClientContext::capture(&stage.client, STATIC, Locality::Local).unwrap();
    let threads: Vec<ThreadRef> = (0..8).map(|_| Thread::new(stage.server.process())).collect();
    let wear = || {
        for thread in &threads {
            assert_eq!(thread.impersonate(&context), Ok(Outcome::AsRequested));
            thread.revert();
        }
    };
    wear();
    wear();
    assert_eq!(allocations(wear), 0);
}
