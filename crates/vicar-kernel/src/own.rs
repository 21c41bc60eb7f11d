//! A thread's look at itself: whom its requests are judged by, without a lock as long as nothing changes.
//!
//! An [`OwnThread`] keeps what it saw last and compares numbers before it shows it again. It keeps a state, never a token:
//! a thread that has reverted holds no logon session open through it. It changes nothing and decides nothing.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use vicar_nt::ImpersonationLevel;
use vicar_nt::check::Subject;

use crate::process::KnownPrimary;
use crate::qos::Reach;
use crate::subject::SubjectTokens;
use crate::thread::{Summary, Thread, ThreadRef};
use crate::token::{Slot, Snapshot, TokenRef};

/// A thread's look at its own effective token. Not for other threads: it is neither `Send` nor `Sync`.
///
/// # Examples
/// It cannot be handed to another thread:
/// ```compile_fail,E0277
/// fn hand_over(thread: &vicar_kernel::ThreadRef) {
///     let own = thread.own();
///     std::thread::spawn(move || drop(own));
/// }
/// ```
/// What it shows cannot be kept across the next look, which may find somebody else:
/// ```compile_fail,E0499
/// fn keep(thread: &vicar_kernel::ThreadRef) {
///     let mut own = thread.own();
///     let before = own.effective();
///     let after = own.effective();
///     drop((before, after));
/// }
/// ```
pub struct OwnThread {
    thread: ThreadRef,
    seen: Option<Seen>,
    _of_one_thread: PhantomData<*const ()>,
}

#[derive(Debug)]
struct Seen {
    summary: Summary,
    source: Source,
    snapshot: Arc<Snapshot>,
    level: Option<ImpersonationLevel>,
    reach: Reach,
}

/// Where the state came from, and how a change of it shows.
#[derive(Debug)]
enum Source {
    Primary(KnownPrimary),
    Worn(Arc<Slot>),
}

impl Seen {
    #[inline]
    fn is_current(&self, thread: &Thread) -> bool {
        self.summary == thread.summary()
            && match &self.source {
                Source::Primary(known) => known.is_still(thread.process(), self.snapshot.id()),
                Source::Worn(slot) => slot.state_id() == self.snapshot.id(),
            }
    }

    #[cold]
    fn look(thread: &Thread) -> Self {
        loop {
            // Read first: a change that comes after it is noticed at the next look.
            let summary = thread.summary();
            if !summary.is_active() {
                let known = thread.process().known_primary();
                let snapshot = known.state(thread.system());
                let source = Source::Primary(known);
                return Self { summary, source, snapshot, level: None, reach: Reach::AllHeld };
            }
            if let Some(worn) = thread.reference_impersonation() {
                let snapshot = worn.token.state();
                let source = Source::Worn(Arc::clone(worn.token.slot()));
                return Self { summary, source, snapshot, level: Some(worn.level), reach: worn.reach };
            }
        }
    }
}

/// Whom a thread's requests are judged by at one moment.
#[derive(Clone, Copy, Debug)]
pub struct EffectiveState<'a> {
    /// The state of the token.
    pub state: &'a Arc<Snapshot>,
    /// The level the client is worn at; `None` when the process speaks for itself.
    pub level: Option<ImpersonationLevel>,
    /// Whether what is disabled exists.
    pub reach: Reach,
}

impl OwnThread {
    /// Returns the effective token's state as it is now, with the level of the same moment.
    ///
    /// # Identity
    /// Whoever decides something by this must test the level first.
    ///
    /// # Cost
    /// Three atomic loads while nothing changes; two shared locks after a change.
    #[inline]
    pub fn effective(&mut self) -> EffectiveState<'_> {
        if !self.seen.as_ref().is_some_and(|seen| seen.is_current(&self.thread)) {
            self.seen = None;
        }
        let Seen { snapshot, level, reach, .. } = self.seen.get_or_insert_with(|| Seen::look(&self.thread));
        EffectiveState { state: snapshot, level: *level, reach: *reach }
    }

    /// Returns the thread.
    pub fn thread(&self) -> &ThreadRef {
        &self.thread
    }
}

impl ThreadRef {
    /// Returns a look at the effective token for the thread that calls, which should be this one.
    pub fn own(&self) -> OwnThread {
        OwnThread { thread: self.clone(), seen: None, _of_one_thread: PhantomData }
    }
}

/// The states of a subject's tokens as they were seen last, for somebody who asks about the same subject again and again.
///
/// A state is shown again without a lock when the token is the same object and its state has the same number, which is never
/// used twice. Neither a token nor a logon session is kept. What is seen once only costs no more than without this.
#[derive(Debug, Default)]
pub struct SeenSubject {
    client: SeenState,
    primary: SeenState,
}

#[derive(Debug, Default)]
struct SeenState {
    snapshot: Option<Arc<Snapshot>>,
    /// Where the snapshot came from; known from the second look on.
    slot: Option<Arc<Slot>>,
    /// Where the slot is that was looked at last. It may be gone.
    last: usize,
}

impl SeenState {
    #[inline]
    fn look(&mut self, token: &TokenRef) -> &Snapshot {
        let slot = token.slot();
        let is_known = self.slot.as_ref().is_some_and(|known| Arc::ptr_eq(known, slot));
        if !is_known || self.snapshot.as_ref().is_some_and(|snapshot| snapshot.id() != slot.state_id()) {
            self.forget(slot, is_known);
        }
        self.snapshot.get_or_insert_with(|| token.state())
    }

    /// Forgets the state; the next one is of this slot.
    fn forget(&mut self, slot: &Arc<Slot>, is_known: bool) {
        self.snapshot = None;
        if !is_known {
            let at = Arc::as_ptr(slot).addr();
            self.slot = (self.last == at).then(|| Arc::clone(slot));
            self.last = at;
        }
    }
}

impl SeenSubject {
    /// Shows the states of a subject as they are now.
    #[inline]
    pub(crate) fn look(&mut self, tokens: SubjectTokens<'_>) -> Subject<'_> {
        let primary = self.primary.look(tokens.primary()).state();
        match tokens.client() {
            Some((client, level)) => Subject::client(self.client.look(client).state(), level, primary),
            None => Subject::itself(primary),
        }
    }
}

impl fmt::Debug for OwnThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnThread").field("thread", &self.thread).finish_non_exhaustive()
    }
}
