//! Data that drivers read: the types of objects, and the names of privileges and SIDs.

use std::ffi::c_void;

use crate::layout::POBJECT_TYPE;
use crate::ptr::Export;

mod names;

pub use names::*;

/// What an object type is of; its address is all that counts.
#[derive(Debug)]
#[repr(C)]
pub struct OBJECT_TYPE {
    kind: u8,
}

/// The types of objects that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Token,
    Thread,
    Process,
}

static TOKEN: OBJECT_TYPE = OBJECT_TYPE { kind: 1 };
static THREAD: OBJECT_TYPE = OBJECT_TYPE { kind: 2 };
static PROCESS: OBJECT_TYPE = OBJECT_TYPE { kind: 3 };

/// A pointer to a type, at the address that drivers read it from.
type Place = Export<*const OBJECT_TYPE>;

static TOKEN_PLACE: Place = Export::new(&raw const TOKEN);
static THREAD_PLACE: Place = Export::new(&raw const THREAD);
static PROCESS_PLACE: Place = Export::new(&raw const PROCESS);

/// The type of tokens: a pointer to a pointer, as NT exports it.
#[unsafe(no_mangle)]
pub static SeTokenObjectType: Export<*const Place> = Export::new(&raw const TOKEN_PLACE);
/// The type of threads.
#[unsafe(no_mangle)]
pub static PsThreadType: Export<*const Place> = Export::new(&raw const THREAD_PLACE);
/// The type of processes.
#[unsafe(no_mangle)]
pub static PsProcessType: Export<*const Place> = Export::new(&raw const PROCESS_PLACE);

/// Returns which type a driver names.
pub(crate) fn kind(of: POBJECT_TYPE) -> Option<Type> {
    let is = |known: &'static OBJECT_TYPE| {
        std::ptr::eq(of.cast_const(), std::ptr::from_ref(known).cast::<c_void>()) && known.kind != 0
    };
    [(&TOKEN, Type::Token), (&THREAD, Type::Thread), (&PROCESS, Type::Process)]
        .into_iter()
        .find_map(|(known, kind)| is(known).then_some(kind))
}
