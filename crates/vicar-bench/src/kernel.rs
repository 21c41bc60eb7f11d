//! What the objects of vicar-kernel cost by themselves: no system call takes part.
//!
//! The measure of each figure is the floor, two atomic operations that nobody contends for: what counting one reference up
//! and down costs, and nothing can be taken on and given back for less. The figure for two threads is a ratio of another
//! kind: how many times as much two threads get done on one captured client as one does.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::CpuSet;
use vicar_kernel::gate::{GateInput, Party, judge};
use vicar_kernel::{
    ClientContext, Locality, LogonKind, Outcome, Policy, Process, Profile, Qos, Reach, System, Thread, ThreadRef,
    TokenKind, TokenRef, TokenSpec, Tracking,
};
use vicar_nt::privilege::{Privilege, PrivilegeState};
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, well_known};

/// Windows of one measurement; the best counts.
const WINDOWS: usize = 5;
/// Groups of the client.
const GROUPS: u32 = 20;

/// One figure of one run.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) groups: u32,
    pub(crate) nanoseconds: Vec<f64>,
    pub(crate) ratios: Vec<f64>,
}

/// Something that is done `count` times.
pub(crate) type Job<'a> = Box<dyn FnMut(u32) + 'a>;

/// Measures everything `rounds` times.
pub(crate) fn measure(rounds: u32, window: Duration) -> Result<Vec<Figure>, String> {
    let scene = Scene::new()?;
    // Nothing here enters the kernel, so short windows are as good and more of them are undisturbed.
    let window = window.min(Duration::from_millis(2));
    let processor = rustix::thread::sched_getaffinity(None).ok();
    pin(0);
    let mut jobs = scene.jobs();
    let mut figures: Vec<Figure> = jobs.iter().map(|(name, label, groups, _)| figure(name, label, *groups)).collect();
    let mut together =
        figure("kernel_two_threads", "vicar-kernel: two threads, one client: throughput of two over one", GROUPS);
    let mut floor_job: Job<'_> = Box::new(floor);
    for _ in 0..rounds {
        for (figure, (.., job)) in figures.iter_mut().zip(&mut jobs) {
            let before = best(&mut floor_job, window);
            let took = best(job, window);
            let floor = f64::midpoint(before, best(&mut floor_job, window));
            figure.nanoseconds.push(took);
            figure.ratios.push(took / floor);
        }
        let (each, gain) = scene.two_threads(window);
        together.nanoseconds.push(each);
        together.ratios.push(gain);
    }
    if let Some(before) = processor {
        let _ = rustix::thread::sched_setaffinity(None, &before);
    }
    figures.push(together);
    Ok(figures)
}

pub(crate) fn figure(name: &'static str, label: &'static str, groups: u32) -> Figure {
    Figure { name, label, groups, nanoseconds: Vec::new(), ratios: Vec::new() }
}

/// Keeps the calling thread on one processor where that is allowed; the figures are only noisier elsewhere.
pub(crate) fn pin(processor: usize) {
    let mut one = CpuSet::new();
    one.set(processor);
    let _ = rustix::thread::sched_setaffinity(None, &one);
}

/// Two atomic operations on a counter of one's own.
fn floor(count: u32) {
    let counter = AtomicU64::new(0);
    for _ in 0..count {
        black_box(&counter).fetch_add(1, Ordering::AcqRel);
        black_box(&counter).fetch_sub(1, Ordering::AcqRel);
    }
}

/// Nanoseconds of one operation, in the best of several windows.
pub(crate) fn best(job: &mut Job<'_>, window: Duration) -> f64 {
    let warm = per_operation(timed(job, 512), 512).max(1.0);
    let count = whole(window.as_secs_f64() * 1e9 / warm);
    (0..WINDOWS).map(|_| per_operation(timed(job, count), count)).fold(f64::INFINITY, f64::min)
}

fn timed(job: &mut Job<'_>, count: u32) -> Duration {
    let start = Instant::now();
    job(count);
    start.elapsed()
}

fn per_operation(took: Duration, count: u32) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(count)
}

fn whole(count: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped on the same line")]
    let whole = count.clamp(512.0, 4_000_000.0) as u32;
    whole
}

/// A server that may act as anybody, a server that may not, and a client with groups.
struct Scene {
    process: vicar_kernel::ProcessRef,
    server: ThreadRef,
    client: ThreadRef,
    token: TokenRef,
    plain: TokenRef,
    context: ClientContext,
}

const STATIC: Qos =
    Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Static, reach: Reach::EffectiveOnly };
const DYNAMIC: Qos = Qos { tracking: Tracking::Dynamic, ..STATIC };

fn status(status: vicar_nt::NtStatus) -> String {
    format!("vicar-kernel: {status}")
}

impl Scene {
    fn new() -> Result<Self, String> {
        let system = System::new(Profile::V4, Policy::strict());
        let token = |uid: u32, privilege: Option<Privilege>| {
            let mut builder = TokenState::builder(well_known::unix_user(uid)).integrity(IntegrityLevel::MEDIUM);
            for gid in 0..GROUPS {
                builder =
                    builder.group(well_known::unix_group(gid.saturating_add(61_000)), GroupAttributes::ALWAYS_ENABLED);
            }
            if let Some(privilege) = privilege {
                builder = builder.privilege(privilege, PrivilegeState::EnabledByDefault);
            }
            let state = builder.build().map_err(|error| format!("token: {error:?}"))?;
            let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"bench   ", origin: Luid::ZERO };
            system.logon(LogonKind::Network, None).and_then(|logon| logon.create_token(spec)).map_err(status)
        };
        let process = Process::new(&system, token(61_000, Some(Privilege::Impersonate))?).map_err(status)?;
        let token_of_client = token(61_001, None)?;
        let client = Thread::new(&Process::new(&system, token_of_client.clone()).map_err(status)?);
        let context = ClientContext::from_token(&token_of_client, STATIC, Locality::Local).map_err(status)?;
        let server = Thread::new(&process);
        if server.impersonate(&context) != Ok(Outcome::AsRequested) || !server.is_impersonating() {
            return Err("the client was not taken on".to_owned());
        }
        server.revert();
        Ok(Self { process, server, client, token: token_of_client, plain: token(61_001, None)?, context })
    }

    fn jobs(&self) -> Vec<(&'static str, &'static str, u32, Job<'_>)> {
        vec![
            ("kernel_floor", "the floor: two uncontended atomic operations", 0, Box::new(floor)),
            ("kernel_gate_privilege", "vicar-kernel: gate, allowed by the privilege", GROUPS, self.gate(&self.token)),
            ("kernel_gate_same_user", "vicar-kernel: gate, every step, same user", GROUPS, self.gate_of_plain()),
            (
                "kernel_impersonate_revert",
                "vicar-kernel: impersonate and revert, gate's verdict remembered",
                GROUPS,
                Box::new(|count| impersonate(&self.server, &self.context, count)),
            ),
            (
                "kernel_prepare",
                "vicar-kernel: prepare (gate asked anew), dropped",
                GROUPS,
                Box::new(|count| {
                    for _ in 0..count {
                        drop(black_box(self.server.prepare(&self.context)));
                    }
                }),
            ),
            ("kernel_capture_dynamic", "vicar-kernel: dynamic capture and delete", GROUPS, self.capture(DYNAMIC)),
            ("kernel_capture_static", "vicar-kernel: static capture and delete", GROUPS, self.capture(STATIC)),
            (
                "kernel_effective_own",
                "vicar-kernel: a thread's look at its own effective token",
                GROUPS,
                Box::new(|count| {
                    let _ = self.server.impersonate(&self.context);
                    let mut own = self.server.own();
                    for _ in 0..count {
                        black_box(own.effective().state.id());
                    }
                    self.server.revert();
                }),
            ),
            (
                "kernel_effective_reference",
                "vicar-kernel: reference and dereference the effective token",
                GROUPS,
                Box::new(|count| {
                    for _ in 0..count {
                        drop(black_box(self.client.reference_effective()));
                    }
                }),
            ),
        ]
    }

    fn capture(&self, qos: Qos) -> Job<'_> {
        Box::new(move |count| {
            for _ in 0..count {
                drop(black_box(ClientContext::capture(&self.client, qos, Locality::Local)));
            }
        })
    }

    /// The gate for the server that may act as anybody.
    fn gate<'a>(&'a self, token: &'a TokenRef) -> Job<'a> {
        let process = self.process.reference_primary();
        Box::new(move |count| decide(&process, token, count))
    }

    /// The gate between two tokens of one user, none of them privileged: every step is walked.
    fn gate_of_plain(&self) -> Job<'_> {
        Box::new(|count| decide(&self.plain, &self.token, count))
    }

    /// Nanoseconds of one operation while two threads work on one context, and how many times as much they get done.
    ///
    /// One and two take turns, window by window, and the best of each counts.
    fn two_threads(&self, window: Duration) -> (f64, f64) {
        let threads = [Thread::new(&self.process), Thread::new(&self.process)];
        let mut alone: Job<'_> = Box::new(|count| impersonate(&self.server, &self.context, count));
        let count = whole(window.as_secs_f64() * 1e9 / best(&mut alone, window));
        let (mut one, mut both) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..WINDOWS {
            one = one.min(self.at_once(&threads[..1], count));
            both = both.min(self.at_once(&threads, count));
        }
        (both / 2.0, 2.0 * one / both)
    }

    /// Nanoseconds that the slower of several threads needs for one operation, each on a processor of its own.
    fn at_once(&self, threads: &[ThreadRef], count: u32) -> f64 {
        let barrier = Barrier::new(threads.len());
        std::thread::scope(|scope| {
            let workers: Vec<_> = threads
                .iter()
                .enumerate()
                .map(|(processor, thread)| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        pin(processor);
                        impersonate(thread, &self.context, 512);
                        barrier.wait();
                        let start = Instant::now();
                        impersonate(thread, &self.context, count);
                        per_operation(start.elapsed(), count)
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
        })
    }
}

fn impersonate(thread: &ThreadRef, context: &ClientContext, count: u32) {
    for _ in 0..count {
        let _ = black_box(thread.impersonate(black_box(context)));
        thread.revert();
    }
}

fn decide(process: &TokenRef, token: &TokenRef, count: u32) {
    let (process_state, token_state) = (process.state(), token.state());
    let level = ImpersonationLevel::Impersonation;
    let policy = Policy::strict();
    for _ in 0..count {
        let (process, token) = (Party::of(process, &process_state), Party::of(token, &token_state));
        let _ = black_box(judge(Profile::V4, &policy, black_box(&GateInput { process, token, level })));
    }
}
