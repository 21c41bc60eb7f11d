//! The list of locks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vicar_os::fs::{BeneathPath, FileId};

use super::token::Token;
pub use crate::dav::body::Scope;

/// The locks of one share. `H` is what is kept of the holder.
#[derive(Debug)]
pub struct LockTable<H> {
    terms: Terms,
    state: Mutex<State<H>>,
}

/// How many and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Longest life of a lock; a refresh begins it anew.
    pub longest: Duration,
    /// Most locks of one user.
    pub per_user: usize,
}

/// A lock that is held.
#[derive(Clone, Debug)]
pub struct Held<H> {
    /// Its token, for its holder's eyes only.
    pub token: Token,
    /// Which inode is locked.
    pub id: FileId,
    /// By which path it was locked.
    pub path: BeneathPath,
    /// Whether what is beneath is locked too.
    pub deep: bool,
    /// Exclusive or shared.
    pub scope: Scope,
    /// The user who holds it.
    pub uid: u32,
    /// What is kept of the holder.
    pub holder: H,
    /// What the holder said about itself, as XML that stands alone.
    pub owner: Option<Arc<str>>,
    /// How long it lasts from its last refresh.
    pub timeout: Duration,
    /// When it ends.
    pub ends: Instant,
}

/// A wish for a lock.
#[derive(Clone, Debug)]
pub struct Request<H> {
    /// Which inode.
    pub id: FileId,
    /// By which path.
    pub path: BeneathPath,
    /// The directories above it, in any order.
    pub above: Vec<FileId>,
    /// Whether what is beneath is to be locked too.
    pub deep: bool,
    /// Exclusive or shared.
    pub scope: Scope,
    /// The user who asks.
    pub uid: u32,
    /// What to keep of the holder.
    pub holder: H,
    /// What the client said about itself.
    pub owner: Option<Arc<str>>,
    /// How long.
    pub timeout: Duration,
}

/// Why there is no lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Another lock is in the way, on this path.
    Conflict(BeneathPath),
    /// The user has as many locks as one may have.
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The kernel has no random bytes for a token.
    NoToken,
    /// The user holds no lock of that token there.
    Unknown,
}

#[derive(Debug)]
struct State<H> {
    by_token: HashMap<Token, Held<H>>,
    by_id: HashMap<FileId, Vec<Token>>,
    /// How many of them are deep.
    deep: usize,
    /// No lock ends before this: until then nothing has to be looked through.
    quiet_until: Option<Instant>,
}

impl<H: Clone> LockTable<H> {
    /// Makes an empty list.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let state = State { by_token: HashMap::new(), by_id: HashMap::new(), deep: 0, quiet_until: None };
        Self { terms, state: Mutex::new(state) }
    }

    /// Returns how many and how long.
    #[must_use]
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether any lock is held.
    #[must_use]
    pub fn is_empty(&self, now: Instant) -> bool {
        self.lock(now).by_token.is_empty()
    }

    /// Whether any lock is held that reaches beneath its own inode.
    #[must_use]
    pub fn has_deep(&self, now: Instant) -> bool {
        self.lock(now).deep > 0
    }

    /// Returns the locks on one inode.
    #[must_use]
    pub fn on(&self, id: FileId, now: Instant) -> Vec<Held<H>> {
        self.lock(now).on(id).cloned().collect()
    }

    /// Returns the locks that cover an inode: those on it, and the deep ones on the directories above it.
    #[must_use]
    pub fn covering(&self, id: Option<FileId>, above: &[FileId], now: Instant) -> Vec<Held<H>> {
        let state = self.lock(now);
        let own = id.into_iter().flat_map(|id| state.on(id));
        let inherited = above.iter().flat_map(|id| state.on(*id)).filter(|held| held.deep);
        own.chain(inherited).cloned().collect()
    }

    /// Returns the locks on what lies beneath a path, by the path they were made with.
    #[must_use]
    pub fn beneath(&self, path: &BeneathPath, now: Instant) -> Vec<Held<H>> {
        let state = self.lock(now);
        state.by_token.values().filter(|held| held.path != *path && path.contains(&held.path)).cloned().collect()
    }

    /// Takes a lock, unless one in the way is held that `harmless` does not excuse.
    ///
    /// # Errors
    /// - [`Refusal::Conflict`], [`Refusal::TooMany`], [`Refusal::NoToken`]; nothing changed.
    pub fn acquire(
        &self,
        wish: Request<H>,
        harmless: impl Fn(&Held<H>) -> bool,
        now: Instant,
    ) -> Result<Held<H>, Refusal> {
        let token = Token::random().map_err(|_| Refusal::NoToken)?;
        let mut state = self.lock(now);
        let in_the_way = |held: &&Held<H>| {
            let covers = held.id == wish.id
                || held.deep && wish.above.contains(&held.id)
                || wish.deep && wish.path.contains(&held.path);
            let tolerates = held.scope == Scope::Shared && wish.scope == Scope::Shared;
            covers && !tolerates && !harmless(held)
        };
        if let Some(held) = state.by_token.values().find(in_the_way) {
            return Err(Refusal::Conflict(held.path.clone()));
        }
        if state.by_token.values().filter(|held| held.uid == wish.uid).count() >= self.terms.per_user {
            return Err(Refusal::TooMany { limit: self.terms.per_user });
        }
        let timeout = wish.timeout.min(self.terms.longest);
        let held = Held {
            token: token.clone(),
            id: wish.id,
            path: wish.path,
            deep: wish.deep,
            scope: wish.scope,
            uid: wish.uid,
            holder: wish.holder,
            owner: wish.owner,
            timeout,
            ends: now.checked_add(timeout).unwrap_or(now),
        };
        state.by_id.entry(held.id).or_default().push(token.clone());
        state.deep = state.deep.saturating_add(usize::from(held.deep));
        state.note_end(held.ends);
        state.by_token.insert(token, held.clone());
        Ok(held)
    }

    /// Begins the life of a lock anew; only its holder can, on something it covers.
    ///
    /// # Errors
    /// - [`Refusal::Unknown`] when the user holds no such lock there.
    pub fn refresh(
        &self,
        token: &str,
        uid: u32,
        covers: impl Fn(&Held<H>) -> bool,
        timeout: Duration,
        now: Instant,
    ) -> Result<Held<H>, Refusal> {
        let mut state = self.lock(now);
        let held = state.mine_mut(token, uid, covers).ok_or(Refusal::Unknown)?;
        held.timeout = timeout.min(self.terms.longest);
        held.ends = now.checked_add(held.timeout).unwrap_or(now);
        let held = held.clone();
        state.note_end(held.ends);
        Ok(held)
    }

    /// Gives a lock back; only its holder can, on something it covers.
    ///
    /// # Errors
    /// - [`Refusal::Unknown`] when the user holds no such lock there.
    pub fn release(
        &self,
        token: &str,
        uid: u32,
        covers: impl Fn(&Held<H>) -> bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        let mut state = self.lock(now);
        let token = state.mine_mut(token, uid, covers).ok_or(Refusal::Unknown)?.token.clone();
        state.forget(&token);
        Ok(())
    }

    /// Lets the locks on one inode follow a file whose content moved to another.
    pub fn follow(&self, from: FileId, to: FileId, now: Instant) {
        let mut state = self.lock(now);
        let Some(tokens) = state.by_id.remove(&from) else { return };
        for token in &tokens {
            if let Some(held) = state.by_token.get_mut(token) {
                held.id = to;
            }
        }
        state.by_id.entry(to).or_default().extend(tokens);
    }

    /// Ends the locks on something that is gone, and on what was beneath it.
    pub fn end(&self, id: FileId, path: &BeneathPath, now: Instant) {
        let mut state = self.lock(now);
        let gone: Vec<Token> = state
            .by_token
            .values()
            .filter(|held| held.id == id || held.path != *path && path.contains(&held.path))
            .map(|held| held.token.clone())
            .collect();
        for token in gone {
            state.forget(&token);
        }
    }

    fn lock(&self, now: Instant) -> MutexGuard<'_, State<H>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.quiet_until.is_some_and(|until| until <= now) {
            let over: Vec<Token> =
                state.by_token.values().filter(|held| held.ends <= now).map(|held| held.token.clone()).collect();
            for token in over {
                state.forget(&token);
            }
            state.quiet_until = state.by_token.values().map(|held| held.ends).min();
        }
        state
    }
}

impl<H> State<H> {
    fn on(&self, id: FileId) -> impl Iterator<Item = &Held<H>> {
        self.by_id.get(&id).into_iter().flatten().filter_map(|token| self.by_token.get(token))
    }

    fn mine_mut(&mut self, token: &str, uid: u32, covers: impl Fn(&Held<H>) -> bool) -> Option<&mut Held<H>> {
        self.by_token.values_mut().find(|held| held.token.as_str() == token && held.uid == uid && covers(held))
    }

    fn note_end(&mut self, ends: Instant) {
        self.quiet_until = Some(self.quiet_until.map_or(ends, |until| until.min(ends)));
    }

    fn forget(&mut self, token: &Token) {
        let Some(held) = self.by_token.remove(token) else { return };
        self.deep = self.deep.saturating_sub(usize::from(held.deep));
        if let Some(tokens) = self.by_id.get_mut(&held.id) {
            tokens.retain(|other| other != token);
            if tokens.is_empty() {
                self.by_id.remove(&held.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn table() -> LockTable<()> {
        LockTable::new(Terms { longest: HOUR, per_user: 3 })
    }

    fn id(inode: u64) -> FileId {
        FileId { device: 1, inode }
    }

    fn wish(inode: u64, path: &str, uid: u32) -> Request<()> {
        Request {
            id: id(inode),
            path: BeneathPath::parse(path.as_bytes()).unwrap(),
            above: vec![id(1)],
            deep: false,
            scope: Scope::Exclusive,
            uid,
            holder: (),
            owner: None,
            timeout: HOUR,
        }
    }

    fn never(_: &Held<()>) -> bool {
        false
    }

    fn always(_: &Held<()>) -> bool {
        true
    }

    #[test]
    fn exclusive_is_alone_and_shared_is_not() {
        let (table, now) = (table(), Instant::now());
        table.acquire(wish(5, "a", 1), never, now).unwrap();
        assert!(matches!(table.acquire(wish(5, "a", 1), never, now), Err(Refusal::Conflict(_))));
        let shared = |uid| Request { scope: Scope::Shared, ..wish(6, "b", uid) };
        table.acquire(shared(1), never, now).unwrap();
        table.acquire(shared(2), never, now).unwrap();
        assert!(matches!(table.acquire(wish(6, "b", 3), never, now), Err(Refusal::Conflict(_))));
        assert!(table.acquire(wish(6, "b", 3), always, now).is_ok());
    }

    #[test]
    fn deep_locks_reach_down_and_look_down() {
        let (table, now) = (table(), Instant::now());
        let deep = |inode, path| Request { deep: true, above: vec![], ..wish(inode, path, 1) };
        let above = table.acquire(deep(1, "d"), never, now).unwrap();
        assert!(matches!(table.acquire(wish(5, "d/a", 2), never, now), Err(Refusal::Conflict(_))));
        assert_eq!(table.covering(Some(id(5)), &[id(1)], now).len(), 1);
        table.release(above.token.as_str(), 1, always, now).unwrap();
        table.acquire(wish(5, "d/a", 2), never, now).unwrap();
        assert!(matches!(table.acquire(deep(1, "d"), never, now), Err(Refusal::Conflict(_))));
        assert!(table.acquire(wish(1, "d", 1), never, now).is_ok());
    }

    #[test]
    fn only_the_holder_refreshes_and_releases() {
        let (table, now) = (table(), Instant::now());
        let held = table.acquire(wish(5, "a", 1), never, now).unwrap();
        let token = held.token.as_str();
        assert_eq!(table.release(token, 2, always, now), Err(Refusal::Unknown));
        assert!(table.refresh(token, 2, always, HOUR, now).is_err());
        assert_eq!(table.release(token, 1, |held| held.id == id(6), now), Err(Refusal::Unknown));
        assert!(table.refresh(token, 1, always, HOUR, now).is_ok());
        assert_eq!(table.release(token, 1, always, now), Ok(()));
        assert!(table.is_empty(now));
    }

    #[test]
    fn locks_end_and_a_refresh_puts_that_off() {
        let (table, now) = (table(), Instant::now());
        let short = Request { timeout: Duration::from_secs(10), ..wish(5, "a", 1) };
        let held = table.acquire(short, never, now).unwrap();
        let later = now + Duration::from_secs(9);
        table.refresh(held.token.as_str(), 1, always, Duration::from_secs(10), later).unwrap();
        assert_eq!(table.on(id(5), now + Duration::from_secs(18)).len(), 1);
        assert_eq!(table.on(id(5), now + Duration::from_secs(19)).len(), 0);
        let long = Request { timeout: HOUR * 10, ..wish(5, "a", 1) };
        assert_eq!(table.acquire(long, never, later).map(|held| held.timeout).ok(), Some(HOUR));
    }

    #[test]
    fn one_user_cannot_take_them_all() {
        let (table, now) = (table(), Instant::now());
        for inode in 10..13 {
            table.acquire(wish(inode, &format!("f{inode}"), 1), never, now).unwrap();
        }
        assert!(matches!(table.acquire(wish(20, "g", 1), never, now), Err(Refusal::TooMany { limit: 3 })));
        assert!(table.acquire(wish(20, "g", 2), never, now).is_ok());
    }

    #[test]
    fn locks_follow_a_replaced_file_and_end_with_a_removed_one() {
        let (table, now) = (table(), Instant::now());
        table.acquire(wish(5, "d/a", 1), never, now).unwrap();
        table.follow(id(5), id(7), now);
        assert_eq!((table.on(id(5), now).len(), table.on(id(7), now).len()), (0, 1));
        table.end(id(99), &BeneathPath::parse(b"d").unwrap(), now);
        assert!(table.is_empty(now));
    }
}
