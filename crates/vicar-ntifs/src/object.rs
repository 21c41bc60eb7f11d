//! Tokens, threads and processes as C callers have them: pointers that nobody looks behind.
//!
//! With the verifier off a pointer is the address of what the reference counts on, with the kind in its low bits, so a
//! call pays nothing for it. With the verifier on a pointer is a number in the kernel half of the address space, which no
//! program can follow: the [`Ledger`] of the world says what it is, and a pointer to something that
//! is gone, or to something else, is a finding instead of an accident. One process may see both after its world changed,
//! so the pointer itself says which it is.

use std::ffi::c_void;

use vicar_kernel::{Ledger, NotHeld, ObjectId, ObjectRef, ProcessRef, ThreadRef, TokenRef};

use crate::entry::Call;
use crate::ptr::{Addressed, Held};
use crate::verifier::{Rule, book};
use crate::world::{self, World};

/// Kernel objects that C callers hold.
pub(crate) trait Kernel: Addressed + Clone + Into<ObjectRef> {
    /// The kind in the low bits of an address.
    const TAG: usize;
    /// The kind as findings call it.
    const NAME: &'static str;

    /// Looks a number up.
    fn find(ledger: &Ledger, id: ObjectId) -> Result<Self, NotHeld>;
    /// Takes an object of this kind out of one of any kind.
    fn extract(object: ObjectRef) -> Option<Self>;
}

macro_rules! kernel {
    ($object:ident, $tag:literal, $name:literal, $find:ident, $variant:ident) => {
        impl Kernel for $object {
            const TAG: usize = $tag;
            const NAME: &'static str = $name;

            fn find(ledger: &Ledger, id: ObjectId) -> Result<Self, NotHeld> {
                ledger.$find(id)
            }

            fn extract(object: ObjectRef) -> Option<Self> {
                if let ObjectRef::$variant(object) = object { Some(object) } else { None }
            }
        }
    };
}

kernel!(TokenRef, 0x10, "token", token, Token);
kernel!(ThreadRef, 0x20, "thread", thread, Thread);
kernel!(ProcessRef, 0x30, "process", process, Process);

/// Objects are at least so far apart, which leaves these bits to the kind; a pointer into an object has others, and no kind.
const TAG_MASK: usize = 0x7F;
/// Numbers look like this; no program can map anything there.
const KERNEL_HALF: usize = 0xFFFF_8000_0000_0000;
/// A number leaves these bits zero, as if objects were aligned.
const NUMBER_MASK: usize = 0xF;
/// How many bits the number of an object has.
const ID_BITS: u32 = 32;
const GENERATION_MASK: u64 = 0x7FF;

/// What a pointer is.
enum Place {
    Null,
    /// The number of an object of this world.
    Number(ObjectId),
    /// The number of an object of an earlier world.
    Gone,
    /// A kind and an address.
    Address(usize, usize),
}

impl Place {
    fn of(pointer: *mut c_void) -> Self {
        let bits = pointer.addr();
        if bits == 0 {
            return Self::Null;
        }
        if bits < KERNEL_HALF {
            return Self::Address(bits & TAG_MASK, bits & !TAG_MASK);
        }
        if bits & NUMBER_MASK != 0 {
            return Self::Gone;
        }
        let number = u64::try_from(bits ^ KERNEL_HALF).unwrap_or(0) >> 4;
        match ObjectId::new(number & ((1 << ID_BITS) - 1)) {
            Some(id) if number >> ID_BITS == world::generation() & GENERATION_MASK => Self::Number(id),
            Some(_) | None => Self::Gone,
        }
    }
}

/// Makes the pointer of a number of this world.
fn number(id: ObjectId) -> *mut c_void {
    let number = (world::generation() & GENERATION_MASK) << ID_BITS | id.number();
    // A number of more than 32 bits would need a program that makes four thousand million objects.
    let bits = usize::try_from(number).unwrap_or(0) << 4;
    std::ptr::without_provenance_mut(KERNEL_HALF | bits)
}

fn address<T: Kernel>(object: T) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(object.into_address() | T::TAG)
}

/// Gives a reference to the C caller.
#[inline]
pub(crate) fn give<T: Kernel>(call: &Call, object: T) -> *mut c_void {
    if call.is_verified() { give_by_number(call, object) } else { address(object) }
}

#[cold]
fn give_by_number<T: Kernel>(call: &Call, object: T) -> *mut c_void {
    let pointer = number(world::current().ledger.keep(object));
    book::referenced(pointer.addr(), call.site());
    pointer
}

/// Keeps a reference for the world itself, and returns the pointer that C callers may borrow meanwhile.
pub(crate) fn keep<T: Kernel>(world: &World, object: T) -> *mut c_void {
    if world.is_verified { number(world.ledger.keep(object)) } else { address(object) }
}

/// Gives the world's own reference back.
pub(crate) fn let_go<T: Kernel>(world: &World, pointer: *mut c_void) {
    match Place::of(pointer) {
        Place::Number(id) => drop(world.ledger.dereference(id)),
        Place::Address(tag, address) if tag == T::TAG => drop(T::from_address(address)),
        Place::Null | Place::Gone | Place::Address(..) => {}
    }
}

#[cold]
fn wrong(call: &Call, pointer: *mut c_void, kind: &str, found: Option<NotHeld>) {
    match found {
        Some(NotHeld::OtherKind(other)) => {
            call.report(Rule::WrongObject, format!("{pointer:p} is a {other:?}, not a {kind}"));
        }
        Some(NotHeld::Unknown) => call.report(
            Rule::NotAnObject,
            format!("no reference to the {kind} {pointer:p} is held: it was given back, or never taken"),
        ),
        None if pointer.is_null() => call.report(Rule::NullArgument, format!("the {kind} is NULL")),
        None => call.report(Rule::NotAnObject, format!("{pointer:p} is no {kind}")),
    }
}

/// Reports a reference that cannot be given back: one too many of an object that was the caller's once, or of what never was
/// an object.
#[cold]
fn not_taken(call: &Call, pointer: *mut c_void, kind: &str, why: NotHeld) {
    match why {
        NotHeld::Unknown if book::was_referenced(pointer.addr()) => {
            call.report(
                Rule::OverDereferenced,
                format!("every reference to the {kind} {pointer:p} had been given back before"),
            );
        }
        NotHeld::Unknown | NotHeld::OtherKind(_) => wrong(call, pointer, kind, Some(why)),
    }
}

/// Looks at an object that the C caller holds a reference to, or may borrow, for as long as `action` runs.
///
/// It is shown where it is made: a value that is handed on by its bytes, right after they were written piece by piece, would
/// cost more than all the rest.
///
/// # Returns
/// `None` for null and, as far as that can be told, for what is no such object; with the verifier on that is a finding.
#[inline(always)]
pub(crate) fn with<T: Kernel, R>(call: &Call, pointer: *mut c_void, action: impl FnOnce(&T) -> R) -> Option<R> {
    match plain::<T>(call, pointer) {
        Some(address) => Some(action(&T::borrow_address(address))),
        None => look_closer::<T>(call, pointer).map(|object| action(&object)),
    }
}

/// Looks at an object and perhaps at another, null being none.
///
/// # Returns
/// As for [`with`].
#[inline(always)]
pub(crate) fn with_two<T: Kernel, R>(
    call: &Call,
    one: *mut c_void,
    other: *mut c_void,
    mut action: impl FnMut(&T, Option<&T>) -> R,
) -> Option<R> {
    match (plain::<T>(call, one), plain::<T>(call, other)) {
        (Some(one), place) if place.is_some() || other.is_null() => {
            let (one, other) = (T::borrow_address(one), place.map(T::borrow_address));
            Some(action(&one, other.as_deref()))
        }
        (Some(_) | None, Some(_) | None) => with_two_closer(call, one, other, &mut action),
    }
}

#[cold]
fn with_two_closer<T: Kernel, R>(
    call: &Call,
    one: *mut c_void,
    other: *mut c_void,
    action: &mut dyn FnMut(&T, Option<&T>) -> R,
) -> Option<R> {
    let one: Held<T> = look(call, one)?;
    let other: Option<Held<T>> = if other.is_null() { None } else { Some(look(call, other)?) };
    Some(action(&one, other.as_deref()))
}

/// Does the same and keeps what it saw, for routines that are not called often.
///
/// # Returns
/// As for [`with`].
#[inline]
pub(crate) fn look<T: Kernel>(call: &Call, pointer: *mut c_void) -> Option<Held<T>> {
    match plain::<T>(call, pointer) {
        Some(address) => Some(Held::Borrowed(T::borrow_address(address))),
        None => look_closer(call, pointer).map(Held::Owned),
    }
}

/// Returns the address of what a pointer is to, when no verifier wants to know and it is of the right kind.
#[inline(always)]
fn plain<T: Kernel>(call: &Call, pointer: *mut c_void) -> Option<usize> {
    let bits = pointer.addr();
    let is_plain = bits & TAG_MASK == T::TAG && bits < KERNEL_HALF && !call.is_verified();
    is_plain.then_some(bits & !TAG_MASK)
}

#[cold]
fn look_closer<T: Kernel>(call: &Call, pointer: *mut c_void) -> Option<T> {
    match Place::of(pointer) {
        Place::Number(id) => match T::find(&world::current().ledger, id) {
            Ok(object) => Some(object),
            Err(why) => {
                wrong(call, pointer, T::NAME, Some(why));
                None
            }
        },
        Place::Null | Place::Gone | Place::Address(..) => {
            wrong(call, pointer, T::NAME, None);
            None
        }
    }
}

/// Looks at an object by its number, and reports nothing.
pub(crate) fn peek<T: Kernel>(pointer: *mut c_void) -> Option<T> {
    let Place::Number(id) = Place::of(pointer) else { return None };
    T::find(&world::current().ledger, id).ok()
}

/// Takes a reference over that the C caller gives back.
///
/// # Returns
/// As for [`look`].
#[inline]
pub(crate) fn take<T: Kernel>(call: &Call, pointer: *mut c_void) -> Option<T> {
    match plain::<T>(call, pointer) {
        Some(address) => Some(T::from_address(address)),
        None => take_closer(call, pointer),
    }
}

#[cold]
fn take_closer<T: Kernel>(call: &Call, pointer: *mut c_void) -> Option<T> {
    match Place::of(pointer) {
        Place::Number(id) => take_by_number(call, pointer, id),
        Place::Null | Place::Gone | Place::Address(..) => {
            wrong(call, pointer, T::NAME, None);
            None
        }
    }
}

#[cold]
fn take_by_number<T: Kernel>(call: &Call, pointer: *mut c_void, id: ObjectId) -> Option<T> {
    let world = world::current();
    if let Err(why) = T::find(&world.ledger, id) {
        not_taken(call, pointer, T::NAME, why);
        return None;
    }
    if !book::dereferenced(pointer.addr()) {
        call.report(Rule::OverDereferenced, format!("no reference to the {} {pointer:p} is the caller's", T::NAME));
        return None;
    }
    T::extract(world.ledger.take(id).ok()?)
}

/// Takes one more reference to an object of any kind for the C caller.
///
/// # Returns
/// False when it is no object.
pub(crate) fn reference(call: &Call, pointer: *mut c_void) -> bool {
    fn again<T: Kernel>(address: usize) -> bool {
        let more = T::clone(&T::borrow_address(address));
        // The count stays with the caller, at the same address.
        let _ = more.into_address();
        true
    }
    match Place::of(pointer) {
        Place::Address(TokenRef::TAG, address) if !call.is_verified() => again::<TokenRef>(address),
        Place::Address(ThreadRef::TAG, address) if !call.is_verified() => again::<ThreadRef>(address),
        Place::Address(ProcessRef::TAG, address) if !call.is_verified() => again::<ProcessRef>(address),
        Place::Number(id) => match world::current().ledger.reference(id) {
            Ok(_) => {
                book::referenced(pointer.addr(), call.site());
                true
            }
            Err(why) => {
                wrong(call, pointer, "object", Some(why));
                false
            }
        },
        Place::Null | Place::Gone | Place::Address(..) => {
            wrong(call, pointer, "object", None);
            false
        }
    }
}

/// Gives a reference to an object of any kind back.
pub(crate) fn dereference(call: &Call, pointer: *mut c_void) {
    match Place::of(pointer) {
        Place::Address(TokenRef::TAG, address) if !call.is_verified() => drop(TokenRef::from_address(address)),
        Place::Address(ThreadRef::TAG, address) if !call.is_verified() => drop(ThreadRef::from_address(address)),
        Place::Address(ProcessRef::TAG, address) if !call.is_verified() => drop(ProcessRef::from_address(address)),
        Place::Number(id) => match world::current().ledger.object(id) {
            Ok(object) => {
                drop(match object {
                    ObjectRef::Token(_) => take_by_number::<TokenRef>(call, pointer, id).map(ObjectRef::from),
                    ObjectRef::Thread(_) => take_by_number::<ThreadRef>(call, pointer, id).map(ObjectRef::from),
                    ObjectRef::Process(_) => take_by_number::<ProcessRef>(call, pointer, id).map(ObjectRef::from),
                });
            }
            Err(why) => not_taken(call, pointer, "object", why),
        },
        Place::Null | Place::Gone | Place::Address(..) => wrong(call, pointer, "object", None),
    }
}

/// Looks at an object of any kind.
pub(crate) fn look_any(call: &Call, pointer: *mut c_void) -> Option<ObjectRef> {
    match Place::of(pointer) {
        Place::Address(TokenRef::TAG, address) if !call.is_verified() => {
            Some(TokenRef::clone(&TokenRef::borrow_address(address)).into())
        }
        Place::Address(ThreadRef::TAG, address) if !call.is_verified() => {
            Some(ThreadRef::clone(&ThreadRef::borrow_address(address)).into())
        }
        Place::Address(ProcessRef::TAG, address) if !call.is_verified() => {
            Some(ProcessRef::clone(&ProcessRef::borrow_address(address)).into())
        }
        Place::Number(id) => match world::current().ledger.object(id) {
            Ok(object) => Some(object),
            Err(why) => {
                wrong(call, pointer, "object", Some(why));
                None
            }
        },
        Place::Null | Place::Gone | Place::Address(..) => {
            wrong(call, pointer, "object", None);
            None
        }
    }
}
