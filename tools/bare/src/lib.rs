//! One access check, without std: with a panic handler and an allocator of its own.
#![no_std]

#[cfg(feature = "std")]
extern crate vicar_kernel as _;

use core::alloc::{GlobalAlloc, Layout};

use vicar_nt::check::{AccessRequest, Subject, decide};
use vicar_nt::token::TokenState;
use vicar_nt::{GenericMapping, RequestedMask, named, sddl, well_known};

/// Has no memory to give: linking is what is tried here, not running.
struct Nothing;

// SAFETY: 1. no memory is ever handed out, so none can be misused; 2. null is how an allocator refuses.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Parses, builds and decides, so that all of it is linked.
// SAFETY: 1. nothing else in this library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn may_read() -> bool {
    let Ok(token) = TokenState::builder(well_known::EVERYONE).build() else { return false };
    let Ok(object) = sddl::parse("O:SYG:SYD:(A;;FR;;;WD)", None) else { return false };
    // What stands on other crates too.
    if named::service("a") == named::capability("a") {
        return false;
    }
    let subject = Subject::itself(&token);
    decide(&AccessRequest::new(subject, object.as_ref(), RequestedMask::GENERIC_READ, GenericMapping::FILE)).is_ok()
}
