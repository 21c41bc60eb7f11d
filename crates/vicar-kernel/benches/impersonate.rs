//! What a server pays for each request, beside the floor of two uncontended atomic operations.
//!
//! `cargo bench -p vicar-kernel --bench impersonate`. `vicar-bench --kernel` measures the same paired with the floor, in one
//! run and with ratios; this is for looking at one of them while it is changed.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be prepared is a panic")]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use divan::{Bencher, black_box};
use vicar_kernel::gate::{GateInput, Party, judge};
use vicar_kernel::{
    ClientContext, Locality, LogonKind, OnOpen, Policy, Process, ProcessRef, Profile, Qos, Reach, SubjectContext,
    System, Terms, Thread, ThreadRef, TokenKind, TokenRef, TokenSpec, Tracking,
};
use vicar_nt::privilege::{Privilege, PrivilegeState};
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, well_known};

fn main() {
    divan::main();
}

const STATIC: Qos = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::AllHeld };
const DYNAMIC: Qos = Qos { tracking: Tracking::Dynamic, ..STATIC };
const TERMS: Terms = Terms { level: ImpersonationLevel::Impersonation, reach: Reach::AllHeld, on_open: OnOpen::Copy };

/// A server that may act as anybody, and a client with twenty groups.
struct Scene {
    process: ProcessRef,
    client: ThreadRef,
    context: ClientContext,
}

impl Scene {
    fn new() -> Self {
        let system = System::new(Profile::V4, Policy::strict());
        let (own, other) = (token(&system, 1), token(&system, 1000));
        let process = Process::new(&system, own).unwrap();
        let client = Thread::new(&Process::new(&system, other).unwrap());
        let context = ClientContext::capture(&client, STATIC, Locality::Local).unwrap();
        Self { process, client, context }
    }

    fn server(&self) -> ThreadRef {
        Thread::new(&self.process)
    }
}

fn token(system: &System, uid: u32) -> TokenRef {
    let mut state = TokenState::builder(well_known::unix_user(uid))
        .integrity(IntegrityLevel::MEDIUM)
        .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault);
    for gid in 61_000..61_020 {
        state = state.group(well_known::unix_group(gid), GroupAttributes::ALWAYS_ENABLED);
    }
    let state = state.build().unwrap();
    let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Bench   ", origin: Luid::ZERO };
    system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap()
}

/// Nothing that counts a reference up and down can cost less.
#[divan::bench(sample_size = 1000)]
fn floor_of_two_atomic_operations(bencher: Bencher<'_, '_>) {
    let counter = AtomicU64::new(0);
    bencher.bench_local(|| {
        black_box(&counter).fetch_add(1, Ordering::AcqRel);
        black_box(&counter).fetch_sub(1, Ordering::AcqRel)
    });
}

#[divan::bench(sample_size = 1000)]
fn impersonate_and_revert(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    let server = scene.server();
    bencher.bench_local(|| {
        let outcome = server.impersonate(black_box(&scene.context));
        server.revert();
        outcome
    });
}

#[divan::bench(sample_size = 1000)]
fn impersonate_a_token_and_revert(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    let server = scene.server();
    bencher.bench_local(|| {
        let outcome = server.impersonate_token(black_box(scene.context.token()), TERMS);
        server.revert();
        outcome
    });
}

/// The long way: the gate is asked, and the two phases are taken one by one.
#[divan::bench(sample_size = 1000)]
fn prepare_commit_and_revert(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    let server = scene.server();
    bencher.bench_local(|| {
        let outcome = server.prepare(black_box(&scene.context)).map(vicar_kernel::Pending::commit);
        server.revert();
        outcome
    });
}

/// Each thread has a record of its own; what they share is the client.
#[divan::bench(threads = [1, 2], sample_size = 1000)]
fn impersonate_one_client_on_threads(bencher: Bencher<'_, '_>) {
    static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);
    thread_local! {
        static SERVER: ThreadRef = SCENE.server();
    }
    bencher.bench(|| {
        SERVER.with(|server| {
            let outcome = server.impersonate(black_box(&SCENE.context));
            server.revert();
            outcome
        })
    });
}

#[divan::bench(sample_size = 1000)]
fn dynamic_capture_and_delete(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    bencher.bench_local(|| drop(black_box(ClientContext::capture(&scene.client, DYNAMIC, Locality::Local))));
}

#[divan::bench(sample_size = 1000)]
fn static_capture_and_delete(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    bencher.bench_local(|| drop(black_box(ClientContext::capture(&scene.client, STATIC, Locality::Local))));
}

#[divan::bench(sample_size = 1000)]
fn subject_capture_and_release(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    let server = scene.server();
    let _ = server.impersonate(&scene.context).unwrap();
    bencher.bench_local(|| drop(black_box(SubjectContext::capture(&server))));
}

#[divan::bench(sample_size = 1000)]
fn own_effective_token(bencher: Bencher<'_, '_>) {
    let scene = Scene::new();
    let server = scene.server();
    let _ = server.impersonate(&scene.context).unwrap();
    let mut own = server.own();
    bencher.bench_local(|| black_box(own.effective().state.id()));
}

#[divan::bench(sample_size = 1000, args = [ImpersonationLevel::Identification, ImpersonationLevel::Impersonation])]
fn gate(bencher: Bencher<'_, '_>, level: ImpersonationLevel) {
    let system = System::new(Profile::V4, Policy::strict());
    // Without the privilege every comparison is made.
    let plain = |uid| {
        let state = TokenState::builder(well_known::unix_user(uid)).integrity(IntegrityLevel::MEDIUM).build().unwrap();
        let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"Bench   ", origin: Luid::ZERO };
        system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap()
    };
    let (process, token) = (plain(1), plain(1));
    let (process_state, token_state) = (process.state(), token.state());
    let policy = Policy::strict();
    bencher.bench_local(|| {
        let (process, token) = (Party::of(&process, &process_state), Party::of(&token, &token_state));
        judge(Profile::V4, black_box(&policy), &GateInput { process, token, level })
    });
}
