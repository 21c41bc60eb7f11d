//! References held by those who cannot hold a value of Rust: by number.
//!
//! A C program has a pointer that it never looks behind, and counts references by calling. A [`Ledger`] is the other side of
//! that: an [`ObjectId`] names a token, a thread or a process as long as the system lives and never names another one, and
//! the ledger holds one real reference for each that the program counts. So a token's
//! [`reference_count`](crate::TokenRef::reference_count) and the system's [`balance`](crate::System::balance) include what is
//! held by number, and a number that was given back once too often, or that names something else, is an answer and not
//! an accident.
//!
//! It deliberately never makes a pointer of a number, and knows nothing of objects that nobody gave to it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::PoisonError;

use vicar_nt::NtStatus;

use crate::process::ProcessRef;
use crate::sync::{Mutex, MutexGuard};
use crate::thread::ThreadRef;
use crate::token::TokenRef;

/// Names a token, thread or process: no other object of its system has the number, not even after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(NonZeroU64);

impl ObjectId {
    /// Takes a number that came from a caller; zero names nothing.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Names an object by the number that its system gave it, which is never zero.
    pub(crate) fn of(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
    }

    /// Returns the number.
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

/// What kind of object a number names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "POBJECT_TYPE")]
pub enum ObjectKind {
    /// A token.
    Token,
    /// A thread.
    Thread,
    /// A process.
    Process,
}

/// One reference to an object of any kind.
#[derive(Clone, Debug)]
pub enum ObjectRef {
    /// To a token.
    Token(TokenRef),
    /// To a thread.
    Thread(ThreadRef),
    /// To a process.
    Process(ProcessRef),
}

impl ObjectRef {
    /// Returns the number of the object.
    pub fn id(&self) -> ObjectId {
        match self {
            Self::Token(token) => token.object_id(),
            Self::Thread(thread) => thread.object_id(),
            Self::Process(process) => process.object_id(),
        }
    }

    /// Returns what kind of object it is.
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Token(_) => ObjectKind::Token,
            Self::Thread(_) => ObjectKind::Thread,
            Self::Process(_) => ObjectKind::Process,
        }
    }
}

impl From<TokenRef> for ObjectRef {
    fn from(token: TokenRef) -> Self {
        Self::Token(token)
    }
}

impl From<ThreadRef> for ObjectRef {
    fn from(thread: ThreadRef) -> Self {
        Self::Thread(thread)
    }
}

impl From<ProcessRef> for ObjectRef {
    fn from(process: ProcessRef) -> Self {
        Self::Process(process)
    }
}

/// Why a number did not lead to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// No reference is held by this number: it was never given out, or given back as often as it was taken.
    Unknown,
    /// It names an object of this kind.
    OtherKind(ObjectKind),
}

impl NotHeld {
    /// Returns the status for a caller that only takes statuses.
    ///
    /// # Source
    /// ObReferenceObjectByPointer (wdm.h page) for the kind; a pointer to nothing has no status in NT, where it stops the
    /// system.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Unknown => NtStatus::INVALID_PARAMETER,
            Self::OtherKind(_) => NtStatus::OBJECT_TYPE_MISMATCH,
        }
    }
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no reference is held by this number"),
            Self::OtherKind(kind) => write!(f, "the number names a {kind:?}"),
        }
    }
}

impl std::error::Error for NotHeld {}

const SHARDS: usize = 16;

/// The references of one object; never empty while it is in the table.
#[derive(Debug)]
struct Held {
    one: ObjectRef,
    others: Vec<ObjectRef>,
}

impl Held {
    fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }
}

type Shard = BTreeMap<ObjectId, Held>;

/// The references that are held by number. Dropping it gives all of them back.
///
/// Whoever keeps one keeps it for one system: numbers of two systems are not told apart.
///
/// # NT
/// The pointer count of objects, as far as it is counted by pointer.
#[derive(Debug, Default)]
pub struct Ledger {
    shards: [Mutex<Shard>; SHARDS],
}

impl Ledger {
    /// Makes one that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self, id: ObjectId) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let index = usize::try_from(id.number()).unwrap_or(0) % SHARDS;
        self.shards.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a reference over, which counts by number from now on.
    ///
    /// # Returns
    /// The number; the same for every reference to the same object.
    pub fn keep(&self, object: impl Into<ObjectRef>) -> ObjectId {
        let object = object.into();
        let id = object.id();
        let mut shard = self.shard(id);
        match shard.get_mut(&id) {
            Some(held) => held.others.push(object),
            None => {
                shard.insert(id, Held { one: object, others: Vec::new() });
            }
        }
        id
    }

    /// Gives one reference back as a value; it no longer counts by number.
    ///
    /// # Errors
    /// - [`NotHeld::Unknown`] when no reference is held by this number.
    pub fn take(&self, id: ObjectId) -> Result<ObjectRef, NotHeld> {
        let mut shard = self.shard(id);
        let held = shard.get_mut(&id).ok_or(NotHeld::Unknown)?;
        match held.others.pop() {
            Some(object) => Ok(object),
            None => shard.remove(&id).map(|held| held.one).ok_or(NotHeld::Unknown),
        }
    }

    /// Takes one more reference on an object that one is held of, and returns how many are held then.
    ///
    /// # Errors
    /// - [`NotHeld::Unknown`] when no reference is held by this number: there is no object to be sure of.
    ///
    /// # NT
    /// `ObReferenceObject`.
    #[doc(alias = "ObReferenceObject")]
    #[track_caller]
    pub fn reference(&self, id: ObjectId) -> Result<usize, NotHeld> {
        let mut shard = self.shard(id);
        let held = shard.get_mut(&id).ok_or(NotHeld::Unknown)?;
        held.others.push(held.one.clone());
        Ok(held.count())
    }

    /// Gives one reference back and returns how many are held still.
    ///
    /// The last reference to a token may end its logon session: termination routines run here, with no lock held.
    ///
    /// # Errors
    /// - [`NotHeld::Unknown`] when no reference is held by this number.
    ///
    /// # NT
    /// `ObDereferenceObject`.
    #[doc(alias = "ObDereferenceObject")]
    pub fn dereference(&self, id: ObjectId) -> Result<usize, NotHeld> {
        let mut shard = self.shard(id);
        let held = shard.get_mut(&id).ok_or(NotHeld::Unknown)?;
        let (object, left) = match held.others.pop() {
            Some(object) => (object, held.count()),
            None => (shard.remove(&id).map(|held| held.one).ok_or(NotHeld::Unknown)?, 0),
        };
        drop(shard);
        drop(object);
        Ok(left)
    }

    /// Returns the object of a number, by a reference of its own that is a value and does not count by number.
    ///
    /// # Errors
    /// - [`NotHeld::Unknown`] when no reference is held by this number.
    #[track_caller]
    pub fn object(&self, id: ObjectId) -> Result<ObjectRef, NotHeld> {
        self.shard(id).get(&id).map(|held| held.one.clone()).ok_or(NotHeld::Unknown)
    }

    /// Returns the token of a number.
    ///
    /// # Errors
    /// - [`NotHeld::Unknown`] when no reference is held by this number, [`NotHeld::OtherKind`] when it names no token.
    #[track_caller]
    pub fn token(&self, id: ObjectId) -> Result<TokenRef, NotHeld> {
        match self.object(id)? {
            ObjectRef::Token(token) => Ok(token),
            other @ (ObjectRef::Thread(_) | ObjectRef::Process(_)) => Err(NotHeld::OtherKind(other.kind())),
        }
    }

    /// Returns the thread of a number.
    ///
    /// # Errors
    /// - as for [`Ledger::token`].
    pub fn thread(&self, id: ObjectId) -> Result<ThreadRef, NotHeld> {
        match self.object(id)? {
            ObjectRef::Thread(thread) => Ok(thread),
            other @ (ObjectRef::Token(_) | ObjectRef::Process(_)) => Err(NotHeld::OtherKind(other.kind())),
        }
    }

    /// Returns the process of a number.
    ///
    /// # Errors
    /// - as for [`Ledger::token`].
    pub fn process(&self, id: ObjectId) -> Result<ProcessRef, NotHeld> {
        match self.object(id)? {
            ObjectRef::Process(process) => Ok(process),
            other @ (ObjectRef::Token(_) | ObjectRef::Thread(_)) => Err(NotHeld::OtherKind(other.kind())),
        }
    }

    /// Returns how many references are held by this number.
    pub fn count(&self, id: ObjectId) -> usize {
        self.shard(id).get(&id).map_or(0, Held::count)
    }

    /// Returns what is held, in the order of the numbers: which object, of what kind, and how many references.
    pub fn held(&self) -> Vec<(ObjectId, ObjectKind, usize)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.iter().map(|(id, held)| (*id, held.one.kind(), held.count())));
        }
        all.sort_unstable_by_key(|(id, _, _)| *id);
        all
    }
}
