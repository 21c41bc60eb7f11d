//! What must be given back: references, client contexts, subject contexts.
//!
//! Everything is kept by the pointer that the driver has, with the place that took it. The book belongs to the world and is
//! thrown away with it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vicar_nt::ImpersonationLevel;

use super::{Rule, Site, report_at};

/// Mixes one address: pointers of a program are not chosen by an enemy.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
}

/// A table by address.
type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<Mix>>;

/// A subject context that is captured.
#[derive(Clone, Copy, Debug)]
struct Subject {
    primary: usize,
    client: usize,
    /// The level of the client when it was captured.
    level: ImpersonationLevel,
    /// The driver asked for the client's level, or had something decided that looks at it.
    was_tested: bool,
    locks: u32,
    site: Site,
}

/// How many objects are remembered whose references were all given back, the latest first.
const FORMER: usize = 0x1000;

#[derive(Clone, Debug, Default)]
struct Book {
    /// By object: where each reference was taken that is not given back.
    references: ByAddress<Vec<Site>>,
    /// Objects whose references were all given back.
    former: VecDeque<usize>,
    /// By client token: where each context was created that is not deleted.
    contexts: ByAddress<Vec<Site>>,
    /// By the structure's address: where the context in it was deleted.
    deleted: ByAddress<Site>,
    /// By the structure's address.
    subjects: ByAddress<Subject>,
    /// Those whose structure was captured into again: released through a copy, or never.
    displaced: Vec<Subject>,
    /// By token: where each impersonation was disabled that is not restored.
    disabled: ByAddress<Vec<Site>>,
    /// By its number: where each handle of the kernel's was opened that is not closed.
    handles: ByAddress<Site>,
}

static BOOK: Mutex<Option<Book>> = Mutex::new(None);

fn book() -> MutexGuard<'static, Option<Book>> {
    BOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<R>(action: impl FnOnce(&mut Book) -> R) -> R {
    action(book().get_or_insert_default())
}

/// Opens an empty book.
pub(crate) fn clear() {
    *book() = None;
}

/// Notes a reference that the driver holds from now on.
pub(crate) fn referenced(object: usize, site: Site) {
    with(|book| book.references.entry(object).or_default().push(site));
}

/// Notes that a reference was given back; false when the driver holds none.
pub(crate) fn dereferenced(object: usize) -> bool {
    with(|book| {
        let was_held = drop_one(&mut book.references, object);
        if was_held && !book.references.contains_key(&object) {
            book.former.truncate(FORMER.saturating_sub(1));
            book.former.push_front(object);
        }
        was_held
    })
}

/// Returns whether the driver held references to an object and has given all of them back.
pub(crate) fn was_referenced(object: usize) -> bool {
    with(|book| book.former.contains(&object))
}

fn drop_one<T>(of: &mut ByAddress<Vec<T>>, key: usize) -> bool {
    let Some(sites) = of.get_mut(&key) else { return false };
    let dropped = sites.pop().is_some();
    if sites.is_empty() {
        of.remove(&key);
    }
    dropped
}

/// Notes a client context by its token and by the structure that it is in.
pub(crate) fn created(address: usize, token: usize, site: Site) {
    with(|book| {
        book.contexts.entry(token).or_default().push(site);
        book.deleted.remove(&address);
    });
}

/// Returns whether a context with this token is created and not deleted.
pub(crate) fn is_created(token: usize) -> bool {
    with(|book| book.contexts.contains_key(&token))
}

/// Notes that a context was deleted; false when none was created with this token.
pub(crate) fn deleted(address: usize, token: usize, site: impl FnOnce() -> Site) -> bool {
    with(|book| {
        let was_created = drop_one(&mut book.contexts, token);
        if was_created {
            book.deleted.insert(address, site());
        }
        was_created
    })
}

/// Returns where the context in a structure was deleted, if one was and no other was created there.
pub(crate) fn deleted_at(address: usize) -> Option<Site> {
    with(|book| book.deleted.get(&address).copied())
}

/// Notes that a thread's impersonation was put aside, with its token.
pub(crate) fn disabled(token: usize, site: Site) {
    with(|book| book.disabled.entry(token).or_default().push(site));
}

/// Notes that an impersonation was put back; false when none with this token was put aside.
pub(crate) fn restored(token: usize) -> bool {
    with(|book| drop_one(&mut book.disabled, token))
}

/// Notes that a handle of the kernel's was opened.
pub(crate) fn opened(handle: usize, site: Site) {
    with(|book| book.handles.insert(handle, site));
}

/// Notes that a handle was closed.
pub(crate) fn closed(handle: usize) {
    with(|book| book.handles.remove(&handle));
}

/// Notes a captured subject context.
pub(crate) fn captured(address: usize, primary: usize, client: usize, level: ImpersonationLevel, site: Site) {
    with(|book| {
        let subject = Subject { primary, client, level, was_tested: false, locks: 0, site };
        book.displaced.extend(book.subjects.insert(address, subject));
    });
}

impl Book {
    /// Takes a subject out: the structure itself, or the one that it is a copy of.
    fn take(&mut self, address: usize, primary: usize) -> Option<(Option<usize>, Subject)> {
        if let Some(subject) = self.subjects.remove(&address) {
            return Some((Some(address), subject));
        }
        let other = self.subjects.iter().find(|(_, subject)| subject.primary == primary).map(|(address, _)| *address);
        if let Some(address) = other {
            return self.subjects.remove(&address).map(|subject| (Some(address), subject));
        }
        let index = self.displaced.iter().rposition(|subject| subject.primary == primary)?;
        Some((None, self.displaced.remove(index)))
    }

    /// Finds a subject as [`Book::take`] does and changes it in its place.
    fn change<R>(&mut self, address: usize, primary: usize, action: impl FnOnce(&mut Subject) -> R) -> Option<R> {
        let (place, mut subject) = self.take(address, primary)?;
        let result = action(&mut subject);
        match place {
            Some(address) => drop(self.subjects.insert(address, subject)),
            None => self.displaced.push(subject),
        }
        Some(result)
    }
}

/// Notes that a subject context was locked; false when it is not captured.
pub(crate) fn locked(address: usize, primary: usize) -> bool {
    with(|book| book.change(address, primary, |found| found.locks = found.locks.saturating_add(1)).is_some())
}

/// Notes that a subject context was unlocked; false when it is not locked.
pub(crate) fn unlocked(address: usize, primary: usize) -> bool {
    let unlock = |found: &mut Subject| found.locks.checked_sub(1).map(|left| found.locks = left).is_some();
    with(|book| book.change(address, primary, unlock).unwrap_or(false))
}

/// Returns whether a subject context is locked.
pub(crate) fn is_locked(address: usize, primary: usize) -> bool {
    with(|book| book.change(address, primary, |found| found.locks > 0).unwrap_or(false))
}

/// Notes that the driver asked for a token's level, or had something decided that looks at it.
pub(crate) fn tested(client: usize) {
    with(|book| {
        for subject in book.subjects.values_mut().chain(&mut book.displaced) {
            subject.was_tested |= subject.client == client;
        }
    });
}

/// Returns whether the driver has tested the level of a token since it was captured.
pub(crate) fn was_tested(client: usize) -> bool {
    with(|book| {
        book.subjects.values().chain(&book.displaced).any(|subject| subject.client == client && subject.was_tested)
    })
}

/// Returns the highest level at which the driver has a token that it knows from captured subject contexts only, and has
/// not tested the level of; and where the token was captured.
///
/// A token that it has from elsewhere too says nothing: it may be used as what it is there.
pub(crate) fn untested(token: usize) -> Option<(ImpersonationLevel, Site)> {
    with(|book| {
        let subjects = book.subjects.values().chain(&book.displaced);
        let subjects: Vec<&Subject> = subjects.filter(|subject| subject.client == token).collect();
        let held = book.references.get(&token).map_or(0, Vec::len);
        if subjects.iter().any(|subject| subject.was_tested) || held != subjects.len() {
            return None;
        }
        subjects.iter().map(|subject| (subject.level, subject.site)).max_by_key(|(level, _)| *level)
    })
}

/// Returns the level of the client when the subject context at an address was captured, if it has this token still.
pub(crate) fn captured_level(address: usize, client: usize) -> Option<ImpersonationLevel> {
    with(|book| book.subjects.get(&address).filter(|subject| subject.client == client).map(|subject| subject.level))
}

/// What a subject context was when it was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// Captured and unlocked.
    Properly,
    /// Still locked.
    Locked,
    /// Not captured.
    NotCaptured,
}

/// Notes that a subject context was released.
pub(crate) fn released(address: usize, primary: usize) -> Released {
    with(|book| match book.take(address, primary) {
        None => Released::NotCaptured,
        Some((_, subject)) if subject.locks > 0 => Released::Locked,
        Some(_) => Released::Properly,
    })
}

/// Reports what is held still: each context, each subject context, and each reference that is neither's.
pub(crate) fn report_held(what: &'static str) {
    let Some(Book { mut references, contexts, subjects, displaced, disabled, handles, .. }) = book().clone() else {
        return;
    };
    for (token, sites) in contexts {
        for site in sites {
            drop_one(&mut references, token);
            report_at(
                Rule::ContextNotDeleted,
                what,
                site,
                "a client context was created here and never deleted".into(),
            );
        }
    }
    for subject in subjects.into_values().chain(displaced) {
        for token in [subject.primary, subject.client] {
            drop_one(&mut references, token);
        }
        report_at(
            Rule::SubjectNotReleased,
            what,
            subject.site,
            "a subject context was captured here and never released".into(),
        );
    }
    for (token, sites) in disabled {
        for site in sites {
            drop_one(&mut references, token);
            let detail = "an impersonation was disabled here and never restored".into();
            report_at(Rule::RestoreWithoutDisable, what, site, detail);
        }
    }
    for site in handles.into_values() {
        report_at(Rule::BadHandle, what, site, "a kernel handle was opened here and never closed".into());
    }
    for (object, sites) in references {
        for site in sites {
            let detail = format!("a reference to the object {object:#x} was taken here and never given back");
            report_at(Rule::ReferenceLeaked, what, site, detail);
        }
    }
}
