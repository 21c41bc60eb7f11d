//! Proof that a crate and everything below it do without `std`: a panic handler may exist once, and `std` brings one.
//! Compiled by `check` against the crate under test, and against one that does use `std`, where it must fail.
#![no_std]

extern crate subject as _;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
