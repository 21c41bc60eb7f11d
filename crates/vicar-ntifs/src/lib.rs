//! The C side of `vicar`: `ntifs.h` on a Linux machine, and a kernel that checks what the driver did.
//!
//! A driver's source is compiled against `include/ntifs.h` and linked with this library. Its calls of `Se`, `Ps`, `Ob`
//! and `Zw` routines then work on a world of `vicar-kernel`: access checks are decided, references counted, and a
//! [verifier] reports what was done wrong, where, and which page says so.
//!
//! ```text
//! driver in C ── SeImpersonateClientEx ──> entry ──> se/ps/ob/zw ──> vicar-kernel
//!                                            │            │
//!                                        verifier      object: pointers that nobody looks behind
//! test in C   ── vicar_* ────────────────> testing ───> world: one a process, made anew for every test
//! ```
//!
//! The structures that drivers fill and read are in the layout of x64 Windows, under their NT names, and compared with two
//! witnesses: the mingw-w64 DDK headers and `windows-sys`. Every `BOOLEAN` is a [`BOOLEAN`] (`u8`) and every enumeration
//! an integer, because a C caller may store any value there, and as a Rust `bool` or `enum` that would be undefined
//! behaviour.
//!
//! What it deliberately never does: decide. Policy lives in `vicar-kernel` and `vicar-nt`. No routine unwinds into its
//! caller, and every output is written on every path, as the routine's page says.
#![expect(
    unsafe_code,
    reason = "exported routines are unsafe to call by nature and carry no_mangle; pointers are followed in ptr only"
)]
#![expect(
    non_snake_case,
    non_camel_case_types,
    non_upper_case_globals,
    reason = "these are the names of ntifs.h; a reader looks for them and the header is compared with them"
)]

mod convert;
mod current;
mod entry;
mod ex;
mod export;
mod handle;
mod ke;
mod layout;
mod ob;
mod object;
mod ps;
mod ptr;
mod rtl;
mod se;
pub mod testing;
pub mod verifier;
mod world;
mod zw;

pub use ex::mutex::*;
pub use ex::pool::*;
pub use ex::resource::*;
pub use ex::work::*;
pub use export::*;
pub use ke::event::*;
pub use ke::spin::*;
pub use ke::*;
pub use layout::*;
pub use ob::*;
pub use ps::find::*;
pub use ps::impersonate::*;
pub use ps::system_thread::*;
pub use rtl::ace::*;
pub use rtl::acl::*;
pub use rtl::descriptor::*;
pub use rtl::form::*;
pub use rtl::mask::*;
pub use rtl::service::*;
pub use rtl::sid::*;
pub use rtl::string::*;
pub use se::access::*;
pub use se::assign::*;
pub use se::change::*;
pub use se::client::*;
pub use se::filter::*;
pub use se::information::*;
pub use se::privilege::*;
pub use se::session::*;
pub use se::state::*;
pub use se::subject::*;
pub use se::token::*;
pub use testing::api::*;
pub use testing::report::*;
pub use zw::access::*;
pub use zw::adjust::*;
pub use zw::audit::*;
pub use zw::filter::*;
pub use zw::process::*;
pub use zw::question::*;
pub use zw::setting::*;
pub use zw::thread::*;
pub use zw::token::*;
