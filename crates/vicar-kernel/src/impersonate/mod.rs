//! Taking a client on: decide, prepare, commit.
//!
//! [`ThreadRef::prepare`] does everything that can fail (gate, copy, pool) and changes nothing; [`Pending::commit`] swaps
//! the thread's record and cannot fail. Whoever must make an operating system obey does it between the two. What a thread
//! wears is an [`Impersonation`]. Nothing here switches any kernel's idea of who a thread is.
//!
//! | the gate | installed token | level | answer |
//! |---|---|---|---|
//! | allows | the token itself | as asked, at most the token's own | [`Outcome::AsRequested`] |
//! | allows, token has more process trust | a copy with less | as asked | [`Outcome::AsRequested`] |
//! | refuses | a copy | Identification | [`Outcome::Downgraded`] |
//! | a copy cannot be made, or a job forbids the token | nothing changes | | the error |

use std::panic::Location;

use vicar_nt::{ImpersonationLevel, NtStatus};

use crate::audit::{Attempt, What};
use crate::client::{ClientContext, JudgedStates};
use crate::gate::{self, GateInput, GateStep, Party, TrustLimit, Verdict};
use crate::pool::Charge;
use crate::qos::Reach;
use crate::thread::ThreadRef;
use crate::token::{TokenKind, TokenRef};

mod guard;

pub use guard::Disabled;

/// What happens when somebody opens the token of an impersonating thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "CopyOnOpen")]
pub enum OnOpen {
    /// A copy is handed out; the client's own token stays out of reach.
    Copy,
    /// The token itself is handed out.
    Share,
}

/// What a thread wears: a counted reference, the level it is worn at and two flags, all of one moment.
#[derive(Debug)]
#[doc(alias = "PS_IMPERSONATION_INFORMATION")]
#[doc(alias = "SE_IMPERSONATION_STATE")]
pub struct Impersonation {
    /// The token.
    pub token: TokenRef,
    /// The level that requests are judged by; not the token's own, which may be higher.
    pub level: ImpersonationLevel,
    /// Whether what the client has disabled exists.
    pub reach: Reach,
    /// Whether opening the thread's token gives a copy.
    pub copy_on_open: bool,
}

impl Impersonation {
    /// Takes another reference on the same.
    #[inline]
    #[track_caller]
    pub(crate) fn reference(&self) -> Self {
        Self { token: self.token.clone(), level: self.level, reach: self.reach, copy_on_open: self.copy_on_open }
    }

    /// Returns the terms under which the token is worn, for wearing it again later.
    pub fn terms(&self) -> Terms {
        let on_open = if self.copy_on_open { OnOpen::Copy } else { OnOpen::Share };
        Terms { level: self.level, reach: self.reach, on_open }
    }
}

impl Clone for Impersonation {
    #[track_caller]
    fn clone(&self) -> Self {
        self.reference()
    }
}

/// How a token is to be worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The level asked for; the token's own is the ceiling.
    pub level: ImpersonationLevel,
    /// Whether what the client has disabled is to exist.
    pub reach: Reach,
    /// What opening the thread's token gives.
    pub on_open: OnOpen,
}

/// Whether the thread got what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a downgraded thread cannot act as the client"]
pub enum Outcome {
    /// At the level asked for, or at the token's own if that is lower.
    AsRequested,
    /// A copy at level Identification, because the gate refused.
    Downgraded {
        /// The step that refused.
        step: GateStep,
    },
}

/// An impersonation that is decided and paid for but not in force.
///
/// Dropping it changes nothing.
///
/// # Examples
/// It is put in force once:
/// ```compile_fail,E0382
/// # use vicar_kernel::Pending;
/// fn twice(pending: Pending) {
///     let first = pending.commit();
///     let second = pending.commit();
/// #   drop((first, second));
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is in force until it is committed"]
pub struct Pending {
    thread: ThreadRef,
    worn: Impersonation,
    verdict: Verdict,
    record_charge: Option<Charge>,
    states: JudgedStates,
    at: &'static Location<'static>,
}

impl Pending {
    /// Returns whether the thread will get what was asked for.
    pub fn outcome(&self) -> Outcome {
        if self.verdict.is_allowed { Outcome::AsRequested } else { Outcome::Downgraded { step: self.verdict.step } }
    }

    /// Returns the token that will be worn: the client's, or a copy.
    pub fn token(&self) -> &TokenRef {
        &self.worn.token
    }

    /// Returns the level it will be worn at.
    pub fn level(&self) -> ImpersonationLevel {
        self.worn.level
    }

    /// Returns whether what the client has disabled will exist.
    pub fn reach(&self) -> Reach {
        self.worn.reach
    }

    /// Returns what the gate decided, with its reasons.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Returns the thread that will wear it.
    pub fn thread(&self) -> &ThreadRef {
        &self.thread
    }

    /// Puts it in force. What the thread wore before is lost.
    ///
    /// A thread that has exited meanwhile takes nothing on.
    ///
    /// # Identity
    /// The thread's requests are judged by the token and level of this value afterwards.
    ///
    /// # Cost
    /// One exclusive lock for a swap. The old token is given back after the lock is released, which may end a logon
    /// session.
    pub fn commit(self) -> Outcome {
        let outcome = self.outcome();
        self.note();
        let Self { thread, worn, verdict: _, record_charge, states: _, at: _ } = self;
        thread.keep_record_charge(record_charge);
        drop(thread.exchange(Some(worn)));
        outcome
    }

    /// Tells whoever listens or verifies what is about to be in force.
    #[inline]
    fn note(&self) {
        let (thread, worn) = (self.thread.id(), &self.worn);
        let outcome = self.outcome();
        self.thread.system().tell(self.at, || {
            let (token, user) = (worn.token.id(), worn.token.state().user().sid);
            match outcome {
                Outcome::AsRequested => What::Impersonated { thread, token, user, level: worn.level },
                Outcome::Downgraded { .. } => What::Downgraded { thread, token, user, verdict: Box::new(self.verdict) },
            }
        });
        if let Some(verifier) = self.thread.system().verifier() {
            let downgraded_by = match outcome {
                Outcome::AsRequested => None,
                Outcome::Downgraded { step } => Some(step),
            };
            verifier.taken_on(thread, self.at, downgraded_by);
        }
    }
}

impl ThreadRef {
    /// Decides and prepares that this thread wears a client.
    ///
    /// Nothing about the client is looked up again: its context is taken as it was captured. The thread may be any thread,
    /// not only the calling one; the gate looks at *its* process.
    ///
    /// # Errors
    /// - as for [`ThreadRef::prepare_token`]; the thread is unchanged.
    ///
    /// # NT
    /// The first half of `SeImpersonateClientEx`. Opening the thread's token always gives a copy.
    ///
    /// # Source
    /// SeImpersonateClientEx (ntifs.h page); spec/nt-impersonation 2.5.
    #[track_caller]
    pub fn prepare(&self, client: &ClientContext) -> Result<Pending, NtStatus> {
        let terms = Terms { level: client.level(), reach: client.reach(), on_open: OnOpen::Copy };
        self.prepare_token(client.token(), terms)
    }

    /// Decides and prepares that this thread wears a token.
    ///
    /// # Inputs
    /// - `token`: primary or impersonation; referenced again if it is worn itself.
    /// - `terms`: level, reach and what opening gives. A level above the token's own is lowered to it.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when the token is of another system.
    /// - `STATUS_THREAD_IS_TERMINATING` when the thread has exited.
    /// - `STATUS_NO_MEMORY` when the thread's record cannot be made.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` when a copy cannot be made.
    /// - `STATUS_ACCESS_DENIED` when the process is in a job that forbids the token.
    ///
    /// A refusal by the gate is not an error.
    ///
    /// # Identity
    /// Uses the primary token of the thread's process, never what the caller or the thread wears.
    ///
    /// # NT
    /// The first half of `PsImpersonateClient`.
    ///
    /// # Source
    /// PsImpersonateClient (ntifs.h page); spec/nt-impersonation 2.8, 3.3, 3.6.
    #[track_caller]
    pub fn prepare_token(&self, token: &TokenRef, terms: Terms) -> Result<Pending, NtStatus> {
        let at = Location::caller();
        self.system().refused(Attempt::Impersonate, at, self.decide(token, terms, at))
    }

    #[track_caller]
    fn decide(&self, token: &TokenRef, terms: Terms, at: &'static Location<'static>) -> Result<Pending, NtStatus> {
        if !token.system().is_same(self.system()) {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        if self.has_exited() {
            return Err(NtStatus::THREAD_IS_TERMINATING);
        }
        let record_charge = self.charge_record()?;
        let level = token.level().map_or(terms.level, |own| terms.level.capped_by(own));
        let (verdict, states) = self.judge(token, level);
        let (token, level) = install(token, level, &verdict)?;
        let token = match self.process().job() {
            Some(job) => job.judge(self.system().profile(), token)?,
            None => token,
        };
        let copy_on_open = terms.on_open == OnOpen::Copy;
        let worn = Impersonation { token, level, reach: terms.reach, copy_on_open };
        Ok(Pending { thread: self.clone(), worn, verdict, record_charge, states, at })
    }

    /// Takes a client on.
    ///
    /// # Errors
    /// - as for [`ThreadRef::prepare`]; the thread wears what it wore before.
    ///
    /// # NT
    /// `SeImpersonateClientEx`; the obsolete `SeImpersonateClient` loses the status and does not exist here.
    #[doc(alias = "SeImpersonateClientEx")]
    #[doc(alias = "SeImpersonateClient")]
    #[track_caller]
    pub fn impersonate(&self, client: &ClientContext) -> Result<Outcome, NtStatus> {
        if let Some(outcome) = self.impersonate_as_judged(client) {
            return Ok(outcome);
        }
        let pending = self.prepare(client)?;
        self.note_judged(client, &pending);
        Ok(pending.commit())
    }

    /// Takes a client on whom the gate allowed before, when nothing that it looked at has changed.
    ///
    /// Every input of the gate is either fixed with the system and the context, or part of the two states that are compared
    /// here. Whoever wants to hear of impersonations, and jobs, get the long way.
    #[inline]
    #[track_caller]
    fn impersonate_as_judged(&self, client: &ClientContext) -> Option<Outcome> {
        let judged = client.judged()?;
        let token = client.token();
        if !self.may_wear_unasked(token, judged.states) {
            return None;
        }
        let (level, reach) =
            (token.level().map_or(client.level(), |own| client.level().capped_by(own)), client.reach());
        let token = judged.reference(token, self.seat());
        let worn = Impersonation { token, level, reach, copy_on_open: true };
        self.wear_unasked(worn, judged.states)
    }

    /// Remembers what the gate said, if it just said yes.
    fn note_judged(&self, client: &ClientContext, pending: &Pending) {
        if self.is_plain(pending) {
            client.note_judged(pending.states, self.seat());
            self.look_at_primary();
        }
    }

    /// Takes a token on.
    ///
    /// # Errors
    /// - as for [`ThreadRef::prepare_token`]; the thread wears what it wore before.
    ///
    /// # NT
    /// `PsImpersonateClient`; its NULL token is [`Thread::revert`](crate::thread::Thread::revert).
    #[doc(alias = "PsImpersonateClient")]
    #[track_caller]
    pub fn impersonate_token(&self, token: &TokenRef, terms: Terms) -> Result<Outcome, NtStatus> {
        if let Some(outcome) = self.wear_token_as_judged(token, terms) {
            return Ok(outcome);
        }
        let pending = self.prepare_token(token, terms)?;
        if self.is_plain(&pending) && pending.token().is_same(token) {
            token.note_judged(pending.states, pending.level());
            self.look_at_primary();
        }
        Ok(pending.commit())
    }

    /// Takes a token on that the gate allowed before at this level, when nothing that it looked at has changed.
    #[inline]
    #[track_caller]
    fn wear_token_as_judged(&self, token: &TokenRef, terms: Terms) -> Option<Outcome> {
        let (states, judged_level) = token.judged()?;
        let level = token.level().map_or(terms.level, |own| terms.level.capped_by(own));
        if level != judged_level || !self.may_wear_unasked(token, states) {
            return None;
        }
        let copy_on_open = terms.on_open == OnOpen::Copy;
        let worn = Impersonation { token: token.clone(), level, reach: terms.reach, copy_on_open };
        self.wear_unasked(worn, states)
    }

    /// Whether the token is as the gate saw it, and nobody else wants to be asked or told.
    #[inline]
    fn may_wear_unasked(&self, token: &TokenRef, states: JudgedStates) -> bool {
        token.state_id() == states.token
            && token.system().is_same(self.system())
            && self.process().job().is_none()
            && !self.system().is_observed()
    }

    /// Puts on what the gate allowed, if the process is as the gate saw it.
    #[inline]
    fn wear_unasked(&self, worn: Impersonation, states: JudgedStates) -> Option<Outcome> {
        match self.wear_as_judged(worn, states.process) {
            Ok(old) => {
                drop(old);
                Some(Outcome::AsRequested)
            }
            Err(refused) => {
                drop(refused);
                None
            }
        }
    }

    /// Whether a verdict may be remembered: an allowance that lowers nothing, where no record has to be paid for.
    fn is_plain(&self, pending: &Pending) -> bool {
        pending.verdict.is_allowed
            && pending.verdict.clamp.is_none()
            && !self.system().profile().has_record_allocation()
    }

    /// Takes an impersonation token on at its own level, shared with whoever opens it.
    ///
    /// # Errors
    /// - `STATUS_BAD_TOKEN_TYPE` when it is a primary token.
    /// - as for [`ThreadRef::prepare_token`]; the thread wears what it wore before.
    ///
    /// # NT
    /// `PsAssignImpersonationToken`, `SetThreadToken`, after the handle was resolved.
    ///
    /// # Source
    /// SetThreadToken (page); spec/nt-impersonation 2.10.
    #[doc(alias = "PsAssignImpersonationToken")]
    #[doc(alias = "SetThreadToken")]
    #[doc(alias = "ThreadImpersonationToken")]
    #[track_caller]
    pub fn assign(&self, token: &TokenRef) -> Result<Outcome, NtStatus> {
        let TokenKind::Impersonation(level) = token.kind() else { return Err(NtStatus::BAD_TOKEN_TYPE) };
        self.impersonate_token(token, Terms { level, reach: Reach::AllHeld, on_open: OnOpen::Share })
    }

    /// Takes a copy of the own process's token on, to lower what the thread can do.
    ///
    /// # Errors
    /// - the pool's statuses when the copy cannot be made, and as for [`ThreadRef::prepare_token`].
    ///
    /// # NT
    /// `ImpersonateSelf`.
    ///
    /// # Source
    /// ImpersonateSelf (page); spec/nt-impersonation 2.25.
    #[doc(alias = "ImpersonateSelf")]
    #[track_caller]
    pub fn impersonate_self(&self, level: ImpersonationLevel) -> Result<Outcome, NtStatus> {
        self.assign(&self.process().reference_primary().copy_for_client(level)?)
    }

    /// Asks the gate. The two tokens are read one after the other, never with both locks held.
    fn judge(&self, token: &TokenRef, level: ImpersonationLevel) -> (Verdict, JudgedStates) {
        let process = self.process().reference_primary();
        let (process_state, token_state) = (process.state(), token.state());
        let input =
            GateInput { process: Party::of(&process, &process_state), token: Party::of(token, &token_state), level };
        let states = JudgedStates { process: process_state.id(), token: token_state.id() };
        (gate::judge(self.system().profile(), self.system().policy(), &input), states)
    }
}

/// Makes what a verdict says is to be worn, and at which level.
#[track_caller]
fn install(
    token: &TokenRef,
    level: ImpersonationLevel,
    verdict: &Verdict,
) -> Result<(TokenRef, ImpersonationLevel), NtStatus> {
    let level = if verdict.is_allowed { level } else { ImpersonationLevel::Identification };
    let token = match verdict.clamp {
        Some(TrustLimit(trust)) => token.copy_with_trust(level, trust)?,
        None if verdict.is_allowed => token.clone(),
        None => token.copy_for_client(level)?,
    };
    Ok((token, level))
}
