//! The only place where a raw pointer is followed.
//!
//! Everything here takes what a C caller passed and gives back a value, a slice or an object; nothing outside this file
//! dereferences. The functions are safe to call because whoever may call them is inside an exported routine: those are
//! `unsafe extern "system" fn`, and their callers promise what NT's callers promise, namely that a pointer which is not
//! null points to what the routine's page says. What can be checked is checked here all the same: null, alignment where a
//! value is shared, revision and length of what carries its own length.
//!
//! Values are read and written without asking for alignment, because C code packs structures.
#![expect(unsafe_code, reason = "a C interface passes pointers; this file is where all of them are followed")]

use std::alloc::{Layout, alloc, dealloc};
use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use vicar_kernel::process::Process;
use vicar_kernel::thread::Thread;
use vicar_kernel::token::Lease;
use vicar_kernel::{ProcessRef, ThreadRef, TokenRef};
use vicar_nt::{NtStatus, Sid};

use crate::entry::Call;
use crate::layout;

/// A type of which every bit pattern is a value, so that whatever C wrote may be read.
///
/// # Safety
/// Implementors are `Copy`, have no invalid bit pattern (integers, raw pointers, nullable function pointers, and
/// `repr(C)` structures and unions of those) and own nothing.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ty),* $(,)?) => {
        $(
            // SAFETY:
            // 1. the type is an integer, a raw pointer, or a `repr(C)` structure or union of such.
            // 2. its padding, if it has any, is never read.
            unsafe impl Plain for $name {}
        )*
    };
}

plain! {
    u8, i8, u16, i16, u32, i32, u64, i64, u128, usize,
    layout::LUID, layout::LUID_AND_ATTRIBUTES, layout::GUID, layout::GENERIC_MAPPING,
    layout::SID_AND_ATTRIBUTES, layout::TOKEN_SOURCE, layout::TOKEN_CONTROL,
    layout::SECURITY_QUALITY_OF_SERVICE, layout::SECURITY_CLIENT_CONTEXT, layout::SECURITY_SUBJECT_CONTEXT,
    layout::SE_IMPERSONATION_STATE, layout::ACCESS_STATE, layout::OBJECT_ATTRIBUTES, layout::UNICODE_STRING,
    layout::SECURITY_DESCRIPTOR, layout::SECURITY_DESCRIPTOR_RELATIVE, layout::ACL, layout::ACE_HEADER,
    layout::OBJECT_TYPE_LIST, layout::PROCESS_ACCESS_TOKEN, layout::WORK_QUEUE_ITEM, layout::KEVENT, layout::FAST_MUTEX, layout::ERESOURCE, layout::IRP, layout::TOKEN_ACCESS_INFORMATION, crate::se::state::AUX_ACCESS_DATA,
    crate::testing::api::VICAR_WORLD, crate::testing::api::VICAR_PERSON, crate::testing::report::VICAR_FINDING,
}

// SAFETY:
// 1. every bit pattern is a raw pointer; it is only copied here.
unsafe impl<T> Plain for *mut T {}
// SAFETY:
// 1. as above.
unsafe impl<T> Plain for *const T {}

/// Returns whether a pointer may be used for a `T` by a routine that asks for alignment.
pub(crate) fn is_aligned<T>(pointer: *const T) -> bool {
    pointer.is_aligned()
}

/// Reads what a pointer points to; `None` for null.
#[inline]
pub(crate) fn read<T: Plain>(from: *const T) -> Option<T> {
    if from.is_null() {
        return None;
    }
    // SAFETY:
    // 1. `from` is not null, and the caller of the exported routine promised that it then points to a readable `T`.
    // 2. every bit pattern is a `T`, because `T` is `Plain`.
    // 3. an unaligned read asks for no alignment.
    Some(unsafe { from.read_unaligned() })
}

/// Returns where a member of a structure is; null stays null.
pub(crate) fn field<S, T>(of: *const S, offset: usize) -> *const T {
    if of.is_null() { std::ptr::null() } else { of.wrapping_byte_add(offset).cast() }
}

/// Reads the `index`-th of an array of `T`; `None` for null.
pub(crate) fn read_at<T: Plain>(from: *const T, index: usize) -> Option<T> {
    if from.is_null() { None } else { read(from.wrapping_add(index)) }
}

/// Writes to where a pointer points; false for null.
#[inline]
pub(crate) fn write<T: Plain>(to: *mut T, value: T) -> bool {
    if to.is_null() {
        return false;
    }
    // SAFETY:
    // 1. `to` is not null, and the caller of the exported routine promised that it then points to writable room for a `T`.
    // 2. an unaligned write asks for no alignment, and nothing is dropped because `T` is `Copy`.
    unsafe { to.write_unaligned(value) };
    true
}

/// Writes the `index`-th of an array of `T`; false for null.
pub(crate) fn write_at<T: Plain>(to: *mut T, index: usize, value: T) -> bool {
    !to.is_null() && write(to.wrapping_add(index), value)
}

/// Views `length` bytes for as long as the call lasts; `None` for null unless there are none.
pub(crate) fn bytes(_call: &Call, from: *const c_void, length: usize) -> Option<&[u8]> {
    if length == 0 {
        return Some(&[]);
    }
    if from.is_null() || isize::try_from(length).is_err() {
        return None;
    }
    // SAFETY:
    // 1. `from` is not null and the caller promised `length` readable bytes, which fit an `isize`.
    // 2. bytes need no alignment and have no invalid pattern.
    // 3. the caller does not change them while the routine runs, and the view ends with the call.
    Some(unsafe { std::slice::from_raw_parts(from.cast(), length) })
}

/// Copies bytes to where a pointer points; false for null unless there are none.
pub(crate) fn write_bytes(to: *mut c_void, from: &[u8]) -> bool {
    if from.is_empty() {
        return true;
    }
    if to.is_null() {
        return false;
    }
    // SAFETY:
    // 1. `from` is a live slice of `from.len()` bytes.
    // 2. `to` is not null and the caller promised room for that many bytes.
    // 3. `copy_from` allows the two to overlap.
    unsafe { to.cast::<u8>().copy_from(from.as_ptr(), from.len()) };
    true
}

/// Reads a text that ends with a zero byte; `None` for null or what is not UTF-8.
pub(crate) fn text(_call: &Call, from: *const c_char) -> Option<&str> {
    if from.is_null() {
        return None;
    }
    // SAFETY:
    // 1. `from` is not null and the caller promised a string that ends with a zero byte.
    // 2. the caller does not change it while the routine runs, and the view ends with the call.
    let text = unsafe { CStr::from_ptr(from) };
    text.to_str().ok()
}

/// Reads how long a SID is; `None` for null, and for more than fifteen sub-authorities.
fn sid_length(call: &Call, from: *const c_void) -> Option<usize> {
    match bytes(call, from, 2)? {
        [_, count @ 0..=15] => Some(usize::from(*count).saturating_mul(4).saturating_add(8)),
        _ => None,
    }
}

/// Reads a SID by its own count.
///
/// # Errors
/// - `STATUS_INVALID_SID` for null, a revision that is not 1, and more than fifteen sub-authorities.
pub(crate) fn sid(call: &Call, from: *const c_void) -> Result<Sid, NtStatus> {
    let length = sid_length(call, from).ok_or(NtStatus::INVALID_SID)?;
    let whole = bytes(call, from, length).ok_or(NtStatus::INVALID_SID)?;
    Sid::parse(whole).map(|(sid, _)| sid).map_err(|_| NtStatus::INVALID_SID)
}

/// Views an access list by its own size; what is in it is not looked at.
///
/// # Errors
/// - `STATUS_INVALID_ACL` for null and a size below that of the head.
pub(crate) fn acl(call: &Call, from: *const layout::ACL) -> Result<&[u8], NtStatus> {
    let head = read(from).ok_or(NtStatus::INVALID_ACL)?;
    let length = usize::from(head.AclSize);
    if length < size_of::<layout::ACL>() {
        return Err(NtStatus::INVALID_ACL);
    }
    bytes(call, from.cast(), length).ok_or(NtStatus::INVALID_ACL)
}

/// The control bit of a descriptor in one block.
const SE_SELF_RELATIVE: u16 = 0x8000;
pub(crate) const SE_DACL_PRESENT: u16 = 0x0004;
pub(crate) const SE_SACL_PRESENT: u16 = 0x0010;
const RELATIVE_HEAD: usize = 20;

/// Reads a descriptor of either form as one block; only lengths are looked at.
///
/// A descriptor in one block is viewed where it is, one in parts is put together.
///
/// # Errors
/// - `STATUS_INVALID_SECURITY_DESCR` for null, a revision that is not 1, a malformed SID or access list, and what does not
///   fit 64 KiB a part.
pub(crate) fn descriptor(call: &Call, from: *const c_void) -> Result<Cow<'_, [u8]>, NtStatus> {
    const WRONG: NtStatus = NtStatus::INVALID_SECURITY_DESCR;
    let head = bytes(call, from, 4).ok_or(WRONG)?;
    let &[revision, _, low, high] = head else { return Err(WRONG) };
    if revision != 1 {
        return Err(WRONG);
    }
    if u16::from_le_bytes([low, high]) & SE_SELF_RELATIVE == 0 {
        return absolute(call, from.cast()).map(Cow::Owned);
    }
    let head: layout::SECURITY_DESCRIPTOR_RELATIVE = read(from.cast()).ok_or(WRONG)?;
    let mut end = RELATIVE_HEAD;
    for offset in [head.Owner, head.Group] {
        if let Some(part) = part(from, offset) {
            let length = sid_length(call, part).ok_or(WRONG)?;
            end = end.max(end_of(offset, length).ok_or(WRONG)?);
        }
    }
    for (offset, present) in [(head.Sacl, SE_SACL_PRESENT), (head.Dacl, SE_DACL_PRESENT)] {
        if let Some(part) = part(from, offset).filter(|_| head.Control & present != 0) {
            let length = acl(call, part.cast()).map_err(|_| WRONG)?.len();
            end = end.max(end_of(offset, length).ok_or(WRONG)?);
        }
    }
    bytes(call, from, end).map(Cow::Borrowed).ok_or(WRONG)
}

fn part(from: *const c_void, offset: u32) -> Option<*const c_void> {
    if offset == 0 { None } else { Some(from.wrapping_byte_add(usize::try_from(offset).ok()?)) }
}

fn end_of(offset: u32, length: usize) -> Option<usize> {
    usize::try_from(offset).ok()?.checked_add(length)
}

/// Puts a descriptor together whose parts lie anywhere: head, audit list, access list, owner, group.
fn absolute(call: &Call, from: *const layout::SECURITY_DESCRIPTOR) -> Result<Vec<u8>, NtStatus> {
    const WRONG: NtStatus = NtStatus::INVALID_SECURITY_DESCR;
    let parts = read(from).ok_or(WRONG)?;
    let mut block = vec![0_u8; RELATIVE_HEAD];
    let mut offsets = [0_u32; 4];
    let list = |present: u16, list: *mut layout::ACL| match parts.Control & present != 0 && !list.is_null() {
        true => acl(call, list).map(Some).map_err(|_| WRONG),
        false => Ok(None),
    };
    let name = |name: *mut c_void| match name.is_null() {
        true => Ok(None),
        false => sid(call, name).map(Some).map_err(|_| WRONG),
    };
    let (sacl, dacl) = (list(SE_SACL_PRESENT, parts.Sacl)?, list(SE_DACL_PRESENT, parts.Dacl)?);
    let (owner, group) = (name(parts.Owner)?, name(parts.Group)?);
    let [of_owner, of_group, of_sacl, of_dacl] = &mut offsets;
    for (offset, part) in [
        (of_sacl, sacl),
        (of_dacl, dacl),
        (of_owner, owner.as_ref().map(Sid::as_bytes)),
        (of_group, group.as_ref().map(Sid::as_bytes)),
    ] {
        let Some(part) = part else { continue };
        *offset = u32::try_from(block.len()).map_err(|_| WRONG)?;
        block.extend_from_slice(part);
        block.resize(block.len().next_multiple_of(4), 0);
    }
    let [low, high] = (parts.Control | SE_SELF_RELATIVE).to_le_bytes();
    let head = [1, parts.Sbz1, low, high].into_iter().chain(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    for (to, from) in block.iter_mut().zip(head) {
        *to = from;
    }
    Ok(block)
}

/// An object that a C caller keeps a reference to, borrowed for a call: owned by it, or a reference taken for the time.
pub(crate) enum Held<T> {
    /// The caller's own reference; it is not given back here.
    Borrowed(ManuallyDrop<T>),
    /// A reference of this value.
    Owned(T),
}

impl<T> Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(object) => object,
            Self::Owned(object) => object,
        }
    }
}

/// Kernel objects whose references can be kept as addresses: one count of an `Arc` is one reference of the C caller.
pub(crate) trait Addressed: Sized {
    /// Keeps the reference as the address of what it counts on.
    fn into_address(self) -> usize;
    /// Takes the reference back that an address is.
    ///
    /// The address must come from [`Addressed::into_address`] and stand for a count that is not given back yet.
    fn from_address(address: usize) -> Self;

    /// Looks at the object without taking its count.
    #[inline(always)]
    fn borrow_address(address: usize) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self::from_address(address))
    }
}

macro_rules! addressed {
    ($object:ty, $inner:ty, $into:ident, $from:ident) => {
        impl Addressed for $object {
            #[inline]
            fn into_address(self) -> usize {
                Arc::into_raw(self.$into()).expose_provenance()
            }

            #[inline(always)]
            #[track_caller]
            fn from_address(address: usize) -> Self {
                let raw: *const $inner = std::ptr::with_exposed_provenance(address);
                // SAFETY:
                // 1. `raw` came from `Arc::into_raw` of this type: the caller's address has the kind of this object in
                //    its low bits, and only `into_address` makes such addresses.
                // 2. the count it stands for is still held: the caller of the exported routine promised a reference.
                Self::$from(unsafe { Arc::from_raw(raw) })
            }
        }
    };
}

addressed!(TokenRef, Lease, into_lease, from_lease);
addressed!(ThreadRef, Thread, into_arc, from_arc);
addressed!(ProcessRef, Process, into_arc, from_arc);

/// A pointer exported as data, written once before C code can read it.
#[derive(Debug)]
#[repr(transparent)]
pub struct Export<T>(T);

// SAFETY:
// 1. the value is a constant of this library that nothing here writes after it is made.
// 2. what it points to is only compared by address.
unsafe impl<T> Sync for Export<T> {}

impl<T> Export<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }
}

/// Reads a word of the calling thread's stack.
///
/// The address must be that of a word in a frame that is in use: between a value of a caller and the top of the frame it is
/// in.
pub(crate) fn stack_word(at: usize) -> usize {
    let word: *const usize = std::ptr::with_exposed_provenance(at);
    if !word.is_aligned() {
        return 0;
    }
    // SAFETY:
    // 1. the caller says that the word is inside a frame of this thread that is in use, so it is mapped.
    // 2. it is aligned, and every pattern is a number.
    // 3. a volatile read is not moved or assumed about: the word belongs to the calling convention.
    unsafe { word.read_volatile() }
}

/// What stands before a block of pool.
#[repr(C, align(16))]
struct Head<T> {
    magic: u64,
    length: usize,
    tag: u32,
    owned: T,
}

const ALLOCATED: u64 = u64::from_le_bytes(*b"vicarblk");

fn block<T>(length: usize) -> Option<Layout> {
    let head = Layout::new::<Head<T>>();
    Layout::from_size_align(head.size().checked_add(length)?, head.align()).ok()
}

/// Allocates a block of pool filled with `fill`, which keeps `owned` until it is freed.
///
/// # Returns
/// `None` when there is no memory; `owned` is dropped then.
pub(crate) fn allocate<T>(length: usize, tag: u32, fill: u8, owned: T) -> Option<*mut c_void> {
    let layout = block::<T>(length)?;
    // SAFETY:
    // 1. the size is not zero: it includes the head.
    let raw = unsafe { alloc(layout) };
    if raw.is_null() {
        return None;
    }
    let head = Head { magic: ALLOCATED, length, tag, owned };
    // SAFETY:
    // 1. `raw` is aligned for a head and has room for one, by the layout it was allocated with.
    unsafe { raw.cast::<Head<T>>().write(head) };
    let body = raw.wrapping_add(size_of::<Head<T>>());
    // SAFETY:
    // 1. `length` bytes follow the head in the same allocation, and are not shared yet.
    unsafe { body.write_bytes(fill, length) };
    Some(body.cast())
}

/// Frees a block that [`allocate`] made with the same `T`, and returns what it kept.
///
/// # Returns
/// `None` when it is no such block, as far as that can be told.
pub(crate) fn free<T>(body: *mut c_void) -> Option<T> {
    let head = body.cast::<u8>().wrapping_sub(size_of::<Head<T>>()).cast::<Head<T>>();
    if body.is_null() || !head.is_aligned() {
        return None;
    }
    // SAFETY:
    // 1. the caller of the exported routine promised a block of pool, before which there is a head.
    // 2. the magic number is the head's first member, and every pattern of it is a number.
    let magic = unsafe { head.cast::<u64>().read() };
    if magic != ALLOCATED {
        return None;
    }
    // SAFETY:
    // 1. the magic number says that there is a head, which is moved out once: the number is cleared next.
    let Head { length, owned, .. } = unsafe { head.read() };
    // SAFETY:
    // 1. the head is still allocated, and the caller gave the block up.
    unsafe { head.cast::<u64>().write(0) };
    let layout = block::<T>(length)?;
    // SAFETY:
    // 1. the block was allocated with this layout, which only depends on the length in the head.
    unsafe { dealloc(head.cast(), layout) };
    Some(owned)
}
