//! Random sequences against a small model, and what no sequence may ever do.
#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "indices and counts are the test's own")]

use proptest::prelude::*;
use vicar_kernel::impersonate::Disabled;
use vicar_kernel::{ClientContext, Outcome, Qos, Reach, Thread, ThreadRef, TokenRef, Tracking};
use vicar_nt::{ImpersonationLevel, Privilege, Sid};

use crate::fixture::{Local, Remote, Who, World, disabled, enabled, imp, terms};

/// The processes of the threads: privileged, and two ordinary users.
const SERVERS: [Who; 3] = [Who::Sys, Who::A, Who::B];
const CLIENTS: [Who; 2] = [Who::A, Who::Bn];

#[derive(Clone, Copy, Debug)]
enum Op {
    Capture { thread: usize, qos: Qos, is_remote: bool },
    FromToken { client: usize, level: ImpersonationLevel, qos: Qos },
    Forget { context: usize },
    Impersonate { thread: usize, context: usize },
    Abandon { thread: usize, context: usize },
    Wear { thread: usize, client: usize, level: ImpersonationLevel },
    Revert { thread: usize },
    Disable { thread: usize },
    Restore,
    Adjust { thread: usize, on: bool },
    FailNext { nth: u64 },
}

fn level() -> impl Strategy<Value = ImpersonationLevel> {
    prop::sample::select(ImpersonationLevel::ALL.to_vec())
}

fn qos() -> impl Strategy<Value = Qos> {
    let tracking = prop::sample::select(vec![Tracking::Static, Tracking::Dynamic]);
    let reach = prop::sample::select(vec![Reach::AllHeld, Reach::EffectiveOnly]);
    (level(), tracking, reach).prop_map(|(level, tracking, reach)| Qos { level, tracking, reach })
}

fn op() -> impl Strategy<Value = Op> {
    let thread = 0..SERVERS.len() * 2;
    let client = 0..CLIENTS.len();
    let context = 0..8_usize;
    prop_oneof![
        4 => (thread.clone(), qos(), any::<bool>()).prop_map(|(thread, qos, is_remote)| Op::Capture { thread, qos, is_remote }),
        3 => (client.clone(), level(), qos()).prop_map(|(client, level, qos)| Op::FromToken { client, level, qos }),
        1 => context.clone().prop_map(|context| Op::Forget { context }),
        6 => (thread.clone(), context.clone()).prop_map(|(thread, context)| Op::Impersonate { thread, context }),
        1 => (thread.clone(), context).prop_map(|(thread, context)| Op::Abandon { thread, context }),
        3 => (thread.clone(), client, level()).prop_map(|(thread, client, level)| Op::Wear { thread, client, level }),
        2 => thread.clone().prop_map(|thread| Op::Revert { thread }),
        1 => thread.clone().prop_map(|thread| Op::Disable { thread }),
        1 => Just(Op::Restore),
        1 => (thread, any::<bool>()).prop_map(|(thread, on)| Op::Adjust { thread, on }),
        1 => (1..3_u64).prop_map(|nth| Op::FailNext { nth }),
    ]
}

/// What a thread wears according to the model: user and level.
type Worn = Option<(Sid, ImpersonationLevel)>;

/// A context and whom it stands for.
struct Held {
    context: ClientContext,
    user: Sid,
}

struct Run {
    world: World,
    threads: Vec<(ThreadRef, Who)>,
    model: Vec<Worn>,
    clients: Vec<TokenRef>,
    contexts: Vec<Held>,
    disabled: Vec<(usize, Disabled, Worn)>,
}

fn user_of(token: &TokenRef) -> Sid {
    token.state().user().sid
}

impl Run {
    fn new() -> Self {
        let world = World::new();
        let mut threads = Vec::new();
        for who in SERVERS {
            let process = world.process(who);
            threads.extend([(Thread::new(&process), who), (Thread::new(&process), who)]);
        }
        let model = threads.iter().map(|_| None).collect();
        let clients = CLIENTS.into_iter().map(|who| world.token(who)).collect();
        Self { world, threads, model, clients, contexts: Vec::new(), disabled: Vec::new() }
    }

    /// The model's gate: anybody below Impersonation, the privileged process, or the same user.
    fn model_gate(&self, thread: usize, user: Sid, level: ImpersonationLevel) -> ImpersonationLevel {
        let (thread, who) = &self.threads[thread];
        let own = user_of(&thread.process().reference_primary());
        let is_allowed = level < ImpersonationLevel::Impersonation || *who == Who::Sys || own == user;
        if is_allowed { level } else { ImpersonationLevel::Identification }
    }

    fn keep(&mut self, captured: Result<ClientContext, vicar_nt::NtStatus>, user: Sid) {
        let Ok(context) = captured else { return };
        if self.contexts.len() == 8 {
            self.contexts.remove(0);
        }
        self.contexts.push(Held { context, user });
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Capture { thread, qos, is_remote } => {
                let effective = self.threads[thread].0.reference_effective();
                let (user, held) = (user_of(effective.token()), effective.level());
                drop(effective);
                let locality = if is_remote { Remote } else { Local };
                let captured = ClientContext::capture(&self.threads[thread].0, qos, locality);
                if let (Ok(context), Some(held)) = (&captured, held) {
                    assert!(context.level() <= held && held >= ImpersonationLevel::Impersonation);
                    assert!(context.token().level().is_none_or(|own| context.level() <= own));
                }
                self.keep(captured, user);
            }
            Op::FromToken { client, level, qos } => {
                // May fail when a failure is planned.
                let Ok(token) = self.clients[client].copy_for_client(level) else { return };
                let captured = ClientContext::from_token(&token, qos, Local);
                assert!(captured.as_ref().map_or(true, |context| context.level() <= level));
                self.keep(captured, user_of(&token));
            }
            Op::Forget { context } => {
                if context < self.contexts.len() {
                    self.contexts.remove(context);
                }
            }
            Op::Impersonate { thread, context } => {
                let Some(held) = self.contexts.get(context) else { return };
                let outcome = self.threads[thread].0.impersonate(&held.context);
                self.expect(thread, held.user, held.context.level(), outcome);
            }
            Op::Abandon { thread, context } => {
                let Some(held) = self.contexts.get(context) else { return };
                drop(self.threads[thread].0.prepare(&held.context));
            }
            Op::Wear { thread, client, level } => {
                let Ok(token) = self.clients[client].copy_for_client(ImpersonationLevel::Impersonation) else { return };
                let outcome = self.threads[thread].0.impersonate_token(&token, terms(level));
                let capped = level.min(ImpersonationLevel::Impersonation);
                self.expect(thread, user_of(&token), capped, outcome);
            }
            Op::Revert { thread } => {
                self.threads[thread].0.revert();
                self.model[thread] = None;
            }
            Op::Disable { thread } => {
                if let Some(disabled) = self.threads[thread].0.disable_impersonation() {
                    self.disabled.push((thread, disabled, self.model[thread].take()));
                }
            }
            Op::Restore => {
                if let Some((thread, disabled, worn)) = self.disabled.pop() {
                    drop(disabled);
                    self.model[thread] = worn;
                }
            }
            Op::Adjust { thread, on } => {
                let effective = self.threads[thread].0.reference_effective();
                let change = if on { enabled(Privilege::Shutdown) } else { disabled(Privilege::Shutdown) };
                let _ = effective.token().adjust_privileges(&[change]);
            }
            Op::FailNext { nth } => self.world.system.pool().fail_nth(nth),
        }
        self.check();
    }

    fn expect(
        &mut self,
        thread: usize,
        user: Sid,
        asked: ImpersonationLevel,
        outcome: Result<Outcome, vicar_nt::NtStatus>,
    ) {
        let got = self.model_gate(thread, user, asked);
        match outcome {
            Err(_) => {}
            Ok(Outcome::AsRequested) => {
                assert_eq!(got, asked);
                self.model[thread] = Some((user, got));
            }
            Ok(Outcome::Downgraded { .. }) => {
                assert_eq!(got, ImpersonationLevel::Identification);
                assert!(asked >= ImpersonationLevel::Impersonation);
                self.model[thread] = Some((user, got));
            }
        }
    }

    fn check(&self) {
        for ((thread, _), model) in self.threads.iter().zip(&self.model) {
            let worn = thread.reference_impersonation();
            assert_eq!(worn.as_ref().map(|worn| (user_of(&worn.token), worn.level)), *model);
            assert_eq!(thread.is_impersonating(), model.is_some());
            if let Some(worn) = worn {
                assert!(worn.token.level().is_none_or(|own| worn.level <= own));
            }
        }
        let references = self.threads.len() / 2
            + self.clients.len()
            + self.model.iter().flatten().count()
            + self.contexts.len()
            + self.disabled.len();
        assert_eq!(self.world.system.balance(), i64::try_from(references).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn t231_random_sequences_agree_with_the_model_and_give_everything_back(ops in prop::collection::vec(op(), 1..60)) {
        let mut run = Run::new();
        for op in ops {
            run.step(op);
        }
        let Run { world, threads, clients, contexts, disabled, .. } = run;
        // Innermost first, as scopes would.
        for entry in disabled.into_iter().rev() {
            drop(entry);
        }
        drop((threads, clients, contexts));
        prop_assert_eq!(world.system.balance(), 0);
        prop_assert_eq!(world.system.pool().in_use_bytes(), 0);
        prop_assert_eq!(world.system.session_count(), 0);
    }

    #[test]
    fn no_chain_of_copies_raises_a_level(levels in prop::collection::vec(level(), 1..8)) {
        let world = World::new();
        let mut token = imp(&world.token(Who::A), levels[0]);
        for level in levels {
            if let Ok(copy) = token.copy_for_client(level) {
                prop_assert!(copy.level() <= token.level());
                token = copy;
            }
        }
    }
}
