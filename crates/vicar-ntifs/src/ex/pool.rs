//! Blocks of pool: memory that a routine gives to its caller, or that a driver asks for.
//!
//! Every block is charged to the world's pool, so a test can make any of them fail.

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vicar_kernel::pool::{Charge, Purpose};
use vicar_nt::NtStatus;

use crate::entry::{Call, Routine, enter, routine};
use crate::layout::{PVOID, SIZE_T, ULONG};
use crate::ptr;
use crate::verifier::{Rule, Site, report_at};
use crate::world;

static ALLOCATE2: Routine = routine!(ExAllocatePool2, DISPATCH_LEVEL, "ExAllocatePool2 (wdm.h page)");
static ALLOCATE: Routine = routine!(ExAllocatePoolWithTag, DISPATCH_LEVEL, "ExAllocatePoolWithTag (wdm.h page)");
static FREE: Routine = routine!(ExFreePool, DISPATCH_LEVEL, "ExFreePool (wdm.h page)");
static FREE_TAG: Routine = routine!(ExFreePoolWithTag, DISPATCH_LEVEL, "ExFreePoolWithTag (wdm.h page)");

/// `POOL_FLAG_UNINITIALIZED`.
const UNINITIALIZED: u64 = 0x2;
/// What uninitialised memory is filled with, so that nobody relies on it.
const GARBAGE: u8 = 0xA5;

/// A block that is allocated, as the verifier knows it.
#[derive(Clone, Copy, Debug)]
struct Known {
    length: usize,
    tag: u32,
    site: Site,
}

static BLOCKS: Mutex<Option<HashMap<usize, Known>>> = Mutex::new(None);

fn blocks() -> MutexGuard<'static, Option<HashMap<usize, Known>>> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets which blocks are allocated.
pub(crate) fn clear() {
    *blocks() = None;
}

/// Reports the blocks that are allocated still.
pub(crate) fn report_held(what: &'static str) {
    for (address, known) in blocks().clone().unwrap_or_default() {
        let tag = String::from_utf8_lossy(&known.tag.to_le_bytes()).into_owned();
        let detail = format!("{} bytes at {address:#x} with tag '{tag}' were never freed", known.length);
        report_at(Rule::PoolLeaked, what, known.site, detail);
    }
}

/// Allocates a block for the caller of a routine, who frees it with `ExFreePool`.
///
/// # Errors
/// - `STATUS_INSUFFICIENT_RESOURCES` or `STATUS_QUOTA_EXCEEDED` from the world's pool.
pub(crate) fn allocate(call: &Call, length: usize, tag: [u8; 4], fill: u8) -> Result<*mut c_void, NtStatus> {
    let charge = world::current().system.pool().charge(Purpose::Buffer, length)?;
    let tag = u32::from_le_bytes(tag);
    let block = ptr::allocate::<Charge>(length, tag, fill, charge).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
    if call.is_verified() {
        blocks().get_or_insert_default().insert(block.addr(), Known { length, tag, site: call.site() });
    }
    Ok(block)
}

/// Frees a block.
pub(crate) fn free(call: &Call, block: *mut c_void) {
    if call.is_verified() && blocks().get_or_insert_default().remove(&block.addr()).is_none() {
        let what = if block.is_null() { "NULL".to_owned() } else { format!("{block:p}") };
        return call.report(Rule::PoolNotAllocated, format!("{what} is no block of pool, or was freed before"));
    }
    drop(ptr::free::<Charge>(block));
}

/// Allocates pool; the block is all zero unless the flags say that it need not be.
///
/// # Returns
/// The block; null when there is no memory, or the tag is zero.
///
/// # Safety
/// None needed.
///
/// # Source
/// ExAllocatePool2 (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExAllocatePool2(Flags: u64, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID {
    enter(&ALLOCATE2, |call| {
        if Tag == 0 {
            return null_mut();
        }
        let fill = if Flags & UNINITIALIZED == 0 { 0 } else { GARBAGE };
        allocate(call, NumberOfBytes, Tag.to_le_bytes(), fill).unwrap_or(null_mut())
    })
}

/// Allocates pool, with anything in it.
///
/// # Returns
/// The block, or null when there is no memory.
///
/// # Safety
/// None needed.
///
/// # Source
/// ExAllocatePoolWithTag (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExAllocatePoolWithTag(PoolType: i32, NumberOfBytes: SIZE_T, Tag: ULONG) -> PVOID {
    // The kinds of pool differ in where they may be touched, which means nothing here.
    let _ = PoolType;
    enter(&ALLOCATE, |call| allocate(call, NumberOfBytes, Tag.to_le_bytes(), GARBAGE).unwrap_or(null_mut()))
}

/// Frees pool.
///
/// # Safety
/// `P` is a block of pool that is not freed yet.
///
/// # Source
/// ExFreePool (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExFreePool(P: PVOID) {
    enter(&FREE, |call| free(call, P));
}

/// Frees pool; the tag should be that of the allocation, or zero.
///
/// # Safety
/// `P` is a block of pool that is not freed yet.
///
/// # Source
/// ExFreePoolWithTag (wdm.h page).
#[unsafe(no_mangle)]
pub unsafe extern "system" fn ExFreePoolWithTag(P: PVOID, Tag: ULONG) {
    enter(&FREE_TAG, |call| {
        let known = if call.is_verified() { blocks().get_or_insert_default().get(&P.addr()).copied() } else { None };
        if let Some(known) = known
            && Tag != 0
            && known.tag != Tag
        {
            return call.report(Rule::PoolNotAllocated, format!("{P:p} was allocated with another tag"));
        }
        free(call, P);
    });
}
