//! The kernel and the model side by side: every step is done to both, and both must agree afterwards.

use std::collections::{BTreeSet, VecDeque};

use vicar_kernel::handle::right;
use vicar_kernel::impersonate::Disabled;
use vicar_kernel::job::{Job, JobLimit};
use vicar_kernel::pipe::{Pipe, PipeClient};
use vicar_kernel::token::DuplicateKind;
use vicar_kernel::{
    ClientContext, Duplicate, Locality, OnOpen, OpenAs, Outcome, Policy, Process, ProcessRef, Profile, Qos, Reach,
    Refreshed, SubjectContext, System, Terms, Thread, ThreadRef, TokenHandle, TokenRef, Tracking,
};
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes};
use vicar_nt::{ImpersonationLevel, NtStatus, RequestedMask};

use crate::cast::{PRIVILEGES, Role};
use crate::op::Op;
use crate::rules::{self, Asked, Change, Facts, Held, Protection, Worn};

/// Most contexts and handles at a time.
const MOST: usize = 6;

/// What the model knows of a captured context.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    token: usize,
    level: ImpersonationLevel,
    effective_only: bool,
    qos: Qos,
    remote: bool,
    source: usize,
    changes: u64,
}

struct Both<R> {
    real: R,
    model: Known,
}

struct Server {
    process: ProcessRef,
    job: Job,
    primary: usize,
    limits: [bool; 2],
}

struct Actor {
    thread: ThreadRef,
    server: usize,
    worn: Option<Worn>,
}

struct Line {
    client: PipeClient,
    qos: Qos,
    author: Option<Known>,
    queue: VecDeque<Option<Known>>,
}

/// Kernel and model.
pub(crate) struct Stage {
    system: System,
    strict: bool,
    tokens: Vec<Facts>,
    cast: Vec<Option<(TokenRef, usize)>>,
    servers: Vec<Server>,
    actors: Vec<Actor>,
    contexts: Vec<Both<ClientContext>>,
    handles: Vec<(TokenHandle, usize)>,
    disabled: Vec<(usize, Disabled, Worn)>,
    pipe: Pipe,
    line: Option<Line>,
    is_disconnected: bool,
    failure_planned: bool,
}

fn reach(effective_only: bool) -> Reach {
    if effective_only { Reach::EffectiveOnly } else { Reach::AllHeld }
}

fn is_exhaustion(status: NtStatus) -> bool {
    status == NtStatus::INSUFFICIENT_RESOURCES || status == NtStatus::NO_MEMORY
}

impl Stage {
    pub(crate) fn new(profile: Profile, policy: Policy) -> Self {
        let system = System::new(profile, policy);
        let mut tokens = Vec::new();
        let made = |role: Role, tokens: &mut Vec<Facts>| {
            let real = role.token(&system);
            tokens.push(Facts { id: real.id(), ..role.facts(profile) });
            (real, tokens.len() - 1)
        };
        let cast = Role::ALL.iter().map(|role| Some(made(*role, &mut tokens))).collect();
        let runs_as = [Role::System, Role::Service, Role::Alice, Role::AliceRestricted, Role::Bob];
        let servers: Vec<Server> = runs_as
            .into_iter()
            .map(|role| {
                let (real, primary) = made(role, &mut tokens);
                let process = Process::new(&system, real).unwrap();
                let job = Job::new();
                // The other processes are in no job at all.
                if role != Role::Alice {
                    process.assign_job(&job).unwrap();
                }
                Server { process, job, primary, limits: [false; 2] }
            })
            .collect();
        let actors = (0..servers.len() * 2)
            .map(|index| Actor { thread: Thread::new(&servers[index / 2].process), server: index / 2, worn: None })
            .collect();
        Self {
            system,
            strict: policy == Policy::strict(),
            tokens,
            cast,
            servers,
            actors,
            contexts: Vec::new(),
            handles: Vec::new(),
            disabled: Vec::new(),
            pipe: Pipe::new(),
            line: None,
            is_disconnected: false,
            failure_planned: false,
        }
    }

    fn profile(&self) -> Profile {
        self.system.profile()
    }

    /// Notes a token that the kernel must just have made: no token had its identity before.
    fn fresh(&mut self, real: &TokenRef, facts: Facts) -> usize {
        assert!(self.tokens.iter().all(|token| token.id != real.id()), "a copy has an identity of its own");
        self.tokens.push(Facts { id: real.id(), ..facts });
        self.tokens.len() - 1
    }

    /// What the model says a thread's effective token is.
    fn effective(&self, thread: usize) -> (usize, Option<ImpersonationLevel>, bool) {
        match self.actors[thread].worn {
            Some(worn) => (worn.token, Some(worn.level), worn.effective_only),
            None => (self.servers[self.actors[thread].server].primary, None, false),
        }
    }

    /// A failure that was planned explains a refusal, once; nothing else of the kind does.
    fn excused(&mut self, status: NtStatus) -> bool {
        is_exhaustion(status) && self.failure_planned
    }

    /// 2.8 and 3.6: what wearing `token` at `asked` must have come to.
    fn wear(
        &mut self,
        thread: usize,
        token: usize,
        asked: ImpersonationLevel,
        flags: (bool, bool),
        answer: Result<Outcome, NtStatus>,
    ) {
        let server = &self.servers[self.actors[thread].server];
        let facts = self.tokens[token].clone();
        let level = facts.level.map_or(asked, |own| asked.min(own));
        let allowed = rules::gate(self.profile(), self.strict, &self.tokens[server.primary], &facts, level);
        let limits = if self.actors[thread].server == 2 { [false; 2] } else { server.limits };
        let judged = rules::job(self.profile(), limits, &facts);
        match answer {
            Err(status) if self.excused(status) => return,
            Err(status) => return assert_eq!(Err(status), judged),
            Ok(outcome) => {
                assert_eq!(judged, Ok(()));
                assert_eq!(matches!(outcome, Outcome::AsRequested), allowed, "the gate");
            }
        }
        let real =
            self.actors[thread].thread.reference_impersonation().expect("it succeeded, so the thread wears somebody");
        let (effective_only, copy_on_open) = flags;
        let worn = if allowed {
            Worn { token, level, effective_only, copy_on_open }
        } else {
            let copy = facts.copy_at(ImpersonationLevel::Identification);
            let token = self.fresh(&real.token, copy);
            Worn { token, level: ImpersonationLevel::Identification, effective_only, copy_on_open }
        };
        self.actors[thread].worn = Some(worn);
    }

    /// 2.1: what capturing `source` must have come to.
    fn captured(
        &mut self,
        answer: Result<&ClientContext, NtStatus>,
        thread: usize,
        qos: Qos,
        remote: bool,
        from_thread: bool,
    ) -> Option<Known> {
        let (source, held, worn_effective_only) = self.effective(thread);
        let allowed = rules::capture(held, qos.level, remote);
        let context = match answer {
            Err(status) if self.excused(status) => return None,
            Err(status) => {
                assert_eq!(Err(status), allowed);
                return None;
            }
            Ok(context) => context,
        };
        assert_eq!(allowed, Ok(()));
        let dynamic = qos.tracking == Tracking::Dynamic;
        let asked = Asked { dynamic, from_thread, effective_only: qos.reach == Reach::EffectiveOnly };
        let effective_only = rules::captured_reach(self.system.policy(), asked, worn_effective_only);
        let is_direct = dynamic && !remote;
        assert_eq!(context.is_direct(), is_direct);
        let changes = self.tokens[source].changes;
        let token = if is_direct {
            source
        } else {
            let copy = self.tokens[source].copy_at(qos.level);
            self.fresh(context.token(), copy)
        };
        let known = Known { token, level: qos.level, effective_only, qos, remote, source, changes };
        self.check_context(context, known);
        Some(known)
    }

    fn check_context(&self, context: &ClientContext, known: Known) {
        assert_eq!(context.token().id(), self.tokens[known.token].id);
        assert_eq!((context.level(), context.reach()), (known.level, reach(known.effective_only)));
        // Invariant 3.
        assert!(context.token().level().is_none_or(|own| context.level() <= own));
    }

    fn keep(&mut self, real: ClientContext, model: Known) {
        if self.contexts.len() == MOST {
            drop(self.contexts.remove(0));
        }
        self.contexts.push(Both { real, model });
    }

    /// Does one step to both sides and compares everything.
    pub(crate) fn step(&mut self, op: Op) {
        let planned_before = self.failure_planned;
        let actors = self.actors.len();
        let thread = self.act(op, actors);
        let is_planning = matches!(op, Op::FailNext { .. });
        if planned_before && !is_planning {
            // A plan lasts for one step.
            self.system.pool().fail_nth(0);
            self.failure_planned = false;
        }
        self.check(thread);
    }

    fn act(&mut self, op: Op, actors: usize) -> usize {
        match op {
            Op::Assign { thread, role, level } => {
                let thread = thread % actors;
                let Some((real, source)) = self.pick(role) else { return thread };
                let wanted =
                    Duplicate { kind: DuplicateKind::Impersonation, level: Some(level), reach: Reach::AllHeld };
                let copy = match real.duplicate(wanted) {
                    Ok(copy) => copy,
                    Err(status) => {
                        assert!(self.excused(status));
                        return thread;
                    }
                };
                let facts = self.tokens[source].copy_at(level);
                let token = self.fresh(&copy, facts);
                let answer = self.actors[thread].thread.assign(&copy);
                self.wear(thread, token, level, (false, false), answer);
                thread
            }
            Op::Wear { thread, role, level, effective_only, copy } => {
                let thread = thread % actors;
                let Some((real, token)) = self.pick(role) else { return thread };
                let on_open = if copy { OnOpen::Copy } else { OnOpen::Share };
                let terms = Terms { level, reach: reach(effective_only), on_open };
                let answer = self.actors[thread].thread.impersonate_token(&real, terms);
                self.wear(thread, token, level, (effective_only, copy), answer);
                thread
            }
            Op::Impersonate { thread, context } => {
                let thread = thread % actors;
                if self.contexts.is_empty() {
                    return thread;
                }
                let Both { real, model } = &self.contexts[context % self.contexts.len()];
                let (model, answer) = (*model, self.actors[thread].thread.impersonate(real));
                self.wear(thread, model.token, model.level, (model.effective_only, true), answer);
                thread
            }
            Op::PrepareOnly { thread, context } => {
                let thread = thread % actors;
                if let Some(Both { real, .. }) = self.contexts.get(context % MOST) {
                    drop(self.actors[thread].thread.prepare(real));
                }
                thread
            }
            Op::Revert { thread } => {
                let thread = thread % actors;
                self.actors[thread].thread.revert();
                self.actors[thread].worn = None;
                thread
            }
            Op::Disable { thread } => {
                let thread = thread % actors;
                let disabled = self.actors[thread].thread.disable_impersonation();
                let worn = self.actors[thread].worn.take();
                assert_eq!(disabled.is_some(), worn.is_some());
                if let Some((disabled, worn)) = disabled.zip(worn) {
                    self.disabled.push((thread, disabled, worn));
                }
                thread
            }
            Op::Restore => {
                let Some((thread, disabled, worn)) = self.disabled.pop() else { return 0 };
                drop(disabled);
                self.actors[thread].worn = Some(worn);
                thread
            }
            Op::Open { target, caller, as_self } => {
                self.open(target % actors, caller % actors, as_self);
                target % actors
            }
            Op::Close { handle } => {
                if !self.handles.is_empty() {
                    let index = handle % self.handles.len();
                    drop(self.handles.remove(index));
                }
                0
            }
            Op::AssignHandle { thread, handle } => {
                let thread = thread % actors;
                if self.handles.is_empty() {
                    return thread;
                }
                let (handle, token) = &self.handles[handle % self.handles.len()];
                let (token, answer) = (*token, self.actors[thread].thread.assign_handle(handle));
                match self.tokens[token].level {
                    None => assert_eq!(answer, Err(NtStatus::BAD_TOKEN_TYPE)),
                    Some(level) => self.wear(thread, token, level, (false, false), answer),
                }
                thread
            }
            Op::AdjustHandle { handle, privilege, change } => {
                if !self.handles.is_empty() {
                    let (handle, token) = &self.handles[handle % self.handles.len()];
                    let _ = handle.adjust_privileges(&[change_of(privilege, change)]).unwrap();
                    self.adjusted(*token, privilege, change);
                }
                0
            }
            Op::AdjustPrimary { process, privilege, change } => {
                let server = process % self.servers.len();
                let _ =
                    self.servers[server].process.reference_primary().adjust_privileges(&[change_of(privilege, change)]);
                self.adjusted(self.servers[server].primary, privilege, change);
                server * 2
            }
            Op::Capture { thread, qos, remote } => {
                let thread = thread % actors;
                let captured = ClientContext::capture(&self.actors[thread].thread, qos, locality(remote));
                if let Some(known) =
                    self.captured(captured.as_ref().map_err(|status| *status), thread, qos, remote, true)
                {
                    self.keep(captured.unwrap(), known);
                }
                thread
            }
            Op::CaptureSubject { thread, qos, remote } => {
                let thread = thread % actors;
                let subject = SubjectContext::capture(&self.actors[thread].thread);
                let captured = ClientContext::from_subject(&subject, qos, locality(remote));
                drop(subject);
                if let Some(known) =
                    self.captured(captured.as_ref().map_err(|status| *status), thread, qos, remote, false)
                {
                    self.keep(captured.unwrap(), known);
                }
                thread
            }
            Op::Refresh { context, thread } => {
                self.refresh(context, thread % actors);
                thread % actors
            }
            Op::Delete { context } => {
                if !self.contexts.is_empty() {
                    let index = context % self.contexts.len();
                    drop(self.contexts.remove(index));
                }
                0
            }
            Op::PipeOpen { thread, qos } => {
                self.pipe_open(thread % actors, qos);
                thread % actors
            }
            Op::PipeWrite { thread } => {
                self.pipe_write(thread % actors);
                thread % actors
            }
            Op::PipeRead => {
                self.pipe_read();
                0
            }
            Op::PipeImpersonate { thread } => {
                self.pipe_impersonate(thread % actors);
                thread % actors
            }
            Op::PipeDisconnect => {
                if self.is_disconnected {
                    self.pipe.listen().unwrap();
                } else {
                    self.pipe.disconnect();
                }
                self.is_disconnected = !self.is_disconnected;
                self.line = None;
                0
            }
            Op::ReplacePrimary { process, role } => {
                let server = process % self.servers.len();
                let Some((real, source)) = self.pick(role) else { return 0 };
                let wanted = Duplicate { kind: DuplicateKind::Primary, level: None, reach: Reach::AllHeld };
                let Ok(copy) = real.duplicate(wanted) else { return 0 };
                let facts = Facts { level: None, protection: Protection::OfItsUser, ..self.tokens[source].clone() };
                let token = self.fresh(&copy, facts);
                let old = self.servers[server].process.replace_primary(copy).unwrap();
                assert_eq!(old.id(), self.tokens[self.servers[server].primary].id);
                self.servers[server].primary = token;
                server * 2
            }
            Op::LimitJob { process, limit } => {
                let server = process % self.servers.len();
                let limits = [JobLimit::NoAdmin, JobLimit::RestrictedToken];
                self.servers[server].job.limit(limits[limit % 2]);
                self.servers[server].limits[limit % 2] = true;
                server * 2
            }
            Op::Forget { role } => {
                let index = role % self.cast.len();
                self.cast[index] = None;
                0
            }
            Op::Remake { role } => {
                let index = role % self.cast.len();
                if self.cast[index].is_none() && !self.failure_planned {
                    let role = Role::ALL[index];
                    let real = role.token(&self.system);
                    let token = self.fresh(&real, role.facts(self.profile()));
                    self.cast[index] = Some((real, token));
                }
                0
            }
            Op::FailNext { nth } => {
                self.system.pool().fail_nth(nth);
                self.failure_planned = true;
                0
            }
        }
    }

    /// A member of the cast who is there.
    fn pick(&self, role: usize) -> Option<(TokenRef, usize)> {
        self.cast[role % self.cast.len()].clone()
    }

    fn adjusted(&mut self, token: usize, privilege: usize, change: Change) {
        let (profile, strict) = (self.profile(), self.strict);
        rules::adjust(profile, strict, &mut self.tokens[token], privilege % PRIVILEGES.len(), change);
    }

    /// 2.22, NtOpenThreadToken.
    fn open(&mut self, target: usize, caller: usize, as_self: bool) {
        let open_as = if as_self { OpenAs::Process } else { OpenAs::Caller };
        let desired = RequestedMask(right::QUERY.bits() | right::ADJUST_PRIVILEGES.bits() | right::IMPERSONATE.bits());
        let answer = self.actors[target].thread.open_token(&self.actors[caller].thread, desired, open_as);
        let Some(worn) = self.actors[target].worn else {
            return assert_eq!(answer.err(), Some(NtStatus::NO_TOKEN));
        };
        if worn.level == ImpersonationLevel::Anonymous {
            return assert_eq!(answer.err(), Some(NtStatus::CANT_OPEN_ANONYMOUS));
        }
        let (subject, level, _) = if as_self {
            (self.servers[self.actors[caller].server].primary, None, false)
        } else {
            self.effective(caller)
        };
        let process = &self.tokens[self.servers[self.actors[target].server].primary];
        let facts = if worn.copy_on_open {
            let source = &self.tokens[worn.token];
            let source = if worn.effective_only { source.stripped() } else { source.clone() };
            let with_restricted_code = source.is_restricted || process.is_restricted;
            let protection = Protection::OnOpen { client: source.user, process: process.user, with_restricted_code };
            Facts { level: Some(worn.level), protection, ..source }
        } else {
            self.tokens[worn.token].clone()
        };
        match answer {
            Err(status) if self.excused(status) => {}
            Err(status) => assert_eq!(rules::open(&self.tokens[subject], level, &facts), Err(status)),
            Ok(handle) => {
                assert_eq!(rules::open(&self.tokens[subject], level, &facts), Ok(()));
                let token = if worn.copy_on_open {
                    let token = self.fresh(handle.token_unchecked(), facts);
                    self.actors[target].worn = Some(Worn { token, copy_on_open: false, ..worn });
                    token
                } else {
                    worn.token
                };
                assert_eq!(handle.token_unchecked().id(), self.tokens[token].id);
                if self.handles.len() == MOST {
                    drop(self.handles.remove(0));
                }
                self.handles.push((handle, token));
            }
        }
    }

    /// 2.4.
    fn refresh(&mut self, context: usize, thread: usize) {
        if self.contexts.is_empty() {
            return;
        }
        let index = context % self.contexts.len();
        let before = self.contexts[index].model;
        let answer = self.contexts[index].real.refresh(&self.actors[thread].thread);
        if before.qos.tracking == Tracking::Static {
            return assert_eq!(answer, Ok(Refreshed::Unchanged));
        }
        let (source, held, _) = self.effective(thread);
        let found = match answer {
            Err(status) => {
                assert!(self.excused(status) || rules::capture(held, before.qos.level, before.remote) == Err(status));
                drop(self.contexts.remove(index));
                return;
            }
            Ok(Refreshed::Unchanged) => {
                assert_eq!((source, self.tokens[source].changes), (before.source, before.changes));
                return;
            }
            Ok(found) => found,
        };
        let entry = self.contexts.remove(index);
        let known = self.captured(Ok(&entry.real), thread, before.qos, before.remote, true).unwrap();
        let is_other = source != before.source;
        assert_eq!(found == Refreshed::TokenReplaced, is_other);
        let is_changed = self.tokens[source].changes != before.changes || known.effective_only != before.effective_only;
        assert!(is_other || is_changed);
        self.contexts.insert(index, Both { real: entry.real, model: known });
    }

    fn pipe_open(&mut self, thread: usize, qos: Qos) {
        let answer = self.pipe.open(&self.actors[thread].thread, Some(qos));
        if self.is_disconnected {
            return assert_eq!(answer.err(), Some(NtStatus::PIPE_DISCONNECTED));
        }
        if self.line.is_some() {
            return assert_eq!(answer.err(), Some(NtStatus::PIPE_BUSY));
        }
        let author = match (&answer, qos.tracking) {
            (Err(status), _) if self.excused(*status) => return,
            (Err(status), Tracking::Dynamic) => panic!("opening captures nothing: {status}"),
            (Err(status), Tracking::Static) => {
                let (_, held, _) = self.effective(thread);
                return assert_eq!(rules::capture(held, qos.level, false), Err(*status));
            }
            (Ok(_), Tracking::Dynamic) => None,
            (Ok(_), Tracking::Static) => Some(self.authored(thread, qos)),
        };
        self.line = Some(Line { client: answer.unwrap(), qos, author, queue: VecDeque::new() });
    }

    /// What a capture inside the pipe came to. A copy inside is met when somebody impersonates; until then nobody knows its
    /// identity.
    fn authored(&mut self, thread: usize, qos: Qos) -> Known {
        let (source, held, worn_effective_only) = self.effective(thread);
        assert_eq!(rules::capture(held, qos.level, false), Ok(()));
        let dynamic = qos.tracking == Tracking::Dynamic;
        let asked = Asked { dynamic, from_thread: true, effective_only: qos.reach == Reach::EffectiveOnly };
        let effective_only = rules::captured_reach(self.system.policy(), asked, worn_effective_only);
        let changes = self.tokens[source].changes;
        let token = if dynamic {
            source
        } else {
            let copy = self.tokens[source].copy_at(qos.level);
            self.tokens.push(Facts { id: vicar_nt::Luid::ZERO, ..copy });
            self.tokens.len() - 1
        };
        Known { token, level: qos.level, effective_only, qos, remote: false, source, changes }
    }

    fn pipe_write(&mut self, thread: usize) {
        let Some(line) = &self.line else { return };
        let qos = line.qos;
        let answer = line.client.write(&self.actors[thread].thread, b"x");
        let entry = match (answer, qos.tracking) {
            (Err(status), _) if self.excused(status) => return,
            (Err(status), Tracking::Static) => panic!("writing captures nothing: {status}"),
            (Err(status), Tracking::Dynamic) => {
                let (_, held, _) = self.effective(thread);
                return assert_eq!(rules::capture(held, qos.level, false), Err(status));
            }
            (Ok(()), Tracking::Static) => None,
            (Ok(()), Tracking::Dynamic) => Some(self.authored(thread, qos)),
        };
        if let Some(line) = &mut self.line {
            line.queue.push_back(entry);
        }
    }

    fn pipe_read(&mut self) {
        let answer = self.pipe.read(16);
        match &mut self.line {
            None if self.is_disconnected => assert_eq!(answer, Err(NtStatus::PIPE_DISCONNECTED)),
            None => assert_eq!(answer, Err(NtStatus::PIPE_LISTENING)),
            Some(line) => {
                let read = line.queue.pop_front();
                assert_eq!(answer.unwrap().is_some(), read.is_some());
                if let Some(Some(author)) = read {
                    line.author = Some(author);
                }
            }
        }
    }

    fn pipe_impersonate(&mut self, thread: usize) {
        let answer = self.pipe.impersonate(&self.actors[thread].thread);
        let Some(line) = &self.line else {
            let status = if self.is_disconnected { NtStatus::PIPE_DISCONNECTED } else { NtStatus::PIPE_LISTENING };
            return assert_eq!(answer, Err(status));
        };
        let Some(author) = line.author else { return assert_eq!(answer, Err(NtStatus::CANNOT_IMPERSONATE)) };
        if answer == Ok(Outcome::AsRequested) && self.tokens[author.token].id == vicar_nt::Luid::ZERO {
            let worn = self.actors[thread].thread.reference_impersonation().unwrap();
            assert!(self.tokens.iter().all(|token| token.id != worn.token.id()));
            self.tokens[author.token].id = worn.token.id();
        }
        self.wear(thread, author.token, author.level, (author.effective_only, true), answer);
    }

    /// Every reference the model says there is, by token.
    fn references(&self) -> impl Iterator<Item = usize> + '_ {
        let line = self.line.iter().flat_map(|line| line.queue.iter().flatten().chain(&line.author));
        let cast = self.cast.iter().flatten().map(|(_, token)| *token);
        let primaries = self.servers.iter().map(|server| server.primary);
        let worn = self.actors.iter().filter_map(|actor| actor.worn).map(|worn| worn.token);
        let contexts = self.contexts.iter().map(|both| both.model.token);
        let handles = self.handles.iter().map(|(_, token)| *token);
        let disabled = self.disabled.iter().map(|(_, _, worn)| worn.token);
        cast.chain(primaries)
            .chain(worn)
            .chain(contexts)
            .chain(handles)
            .chain(disabled)
            .chain(line.map(|known| known.token))
    }

    /// The invariants, after every step.
    fn check(&self, touched: usize) {
        // 1, 3, 6: who wears what, at which level; the model never raises one.
        for actor in &self.actors {
            let real = actor.thread.reference_impersonation();
            assert_eq!(actor.thread.is_impersonating(), actor.worn.is_some());
            assert_eq!(
                real.as_ref().map(|real| (real.token.id(), real.level, real.reach, real.copy_on_open)),
                actor.worn.map(|worn| (
                    self.tokens[worn.token].id,
                    worn.level,
                    reach(worn.effective_only),
                    worn.copy_on_open
                ))
            );
            assert!(real.is_none_or(|real| real.token.level().is_none_or(|own| real.level <= own)));
        }
        // 2: the references are those the model knows of, in sum and for one token; sessions live as long as their tokens.
        let sum = self.references().count();
        assert_eq!(self.system.balance(), i64::try_from(sum).unwrap(), "references");
        let sessions: BTreeSet<u64> = self.references().map(|token| self.tokens[token].session).collect();
        assert_eq!(self.system.session_count(), sessions.len());
        let actor = &self.actors[touched];
        let effective = actor.thread.reference_effective();
        let (token, level, _) = self.effective(touched);
        assert_eq!(effective.level(), level);
        let own = self.references().filter(|referenced| *referenced == token).count();
        assert_eq!(effective.token().reference_count(), own + 1, "references of one token");
        self.check_state(effective.token(), &self.tokens[token]);
        // 4: below Impersonation nothing is authorised. 10: what belongs to the process is asked of the process.
        let subject = SubjectContext::capture(&actor.thread);
        let may_act = level.is_none_or(|level| level >= ImpersonationLevel::Impersonation);
        assert_eq!(subject.for_authorisation().is_ok(), may_act);
        let primary = &self.tokens[self.servers[actor.server].primary];
        for (index, privilege) in PRIVILEGES.into_iter().enumerate() {
            let held = may_act && self.tokens[token].privileges[index] == Held::Enabled;
            assert_eq!(subject.holds(privilege, vicar_nt::check::AccessMode::User), held);
            assert_eq!(subject.primary_holds(privilege), primary.privileges[index] == Held::Enabled);
        }
    }

    fn check_state(&self, real: &TokenRef, model: &Facts) {
        let state = real.state();
        assert_eq!((real.id(), real.level(), state.user().sid), (model.id, model.level, model.user));
        assert_eq!((real.authentication_id().to_u64(), real.origin().to_u64()), (model.session, model.origin));
        assert_eq!(
            (state.integrity().map(|level| level.0), state.is_restricted()),
            (Some(model.integrity), model.is_restricted)
        );
        for (privilege, held) in PRIVILEGES.into_iter().zip(model.privileges) {
            let privileges = state.privileges();
            assert_eq!(privileges.is_enabled(privilege), held == Held::Enabled);
            assert_eq!(privileges.present().contains(privilege), held != Held::Absent);
        }
    }

    /// Gives everything back: nothing may be left.
    pub(crate) fn end(self) {
        let Self { system, cast, servers, actors, contexts, handles, mut disabled, pipe, line, .. } = self;
        while let Some(entry) = disabled.pop() {
            drop(entry);
        }
        drop((cast, servers, actors, contexts, handles, pipe, line));
        assert_eq!((system.balance(), system.pool().in_use_bytes(), system.session_count()), (0, 0, 0));
    }
}

fn locality(remote: bool) -> Locality {
    if remote { Locality::Remote } else { Locality::Local }
}

fn change_of(privilege: usize, change: Change) -> LuidAndAttributes {
    let attributes = match change {
        Change::Enable => PrivilegeAttributes::ENABLED,
        Change::Disable => PrivilegeAttributes::empty(),
        Change::Remove => PrivilegeAttributes::REMOVED,
    };
    LuidAndAttributes::new(PRIVILEGES[privilege % PRIVILEGES.len()], attributes)
}
