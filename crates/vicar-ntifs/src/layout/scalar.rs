//! Numbers, pointers without a shape, and the locally unique identifier.

use core::ffi::c_void;

/// True or false in one byte; any non-zero value is true.
pub type BOOLEAN = u8;
/// A byte.
pub type UCHAR = u8;
/// Sixteen bits without a sign.
pub type USHORT = u16;
/// Thirty-two bits without a sign, on every platform.
pub type ULONG = u32;
/// Thirty-two bits with a sign, on every platform.
pub type LONG = i32;
/// One UTF-16 code unit.
pub type WCHAR = u16;
/// A status; zero and positive values are success.
pub type NTSTATUS = i32;
/// Rights of one object type, or rights asked for.
pub type ACCESS_MASK = ULONG;
/// A 64-bit number with a sign.
pub type LARGE_INTEGER = i64;
/// A pointer whose target is not described.
pub type PVOID = *mut c_void;
/// A handle of the object manager.
pub type HANDLE = *mut c_void;
/// A counted reference to a token; the target is never described.
pub type PACCESS_TOKEN = *mut c_void;
/// A counted reference to a thread, or a borrowed one; the target is never described.
pub type PETHREAD = *mut c_void;
/// A counted reference to a process, or a borrowed one; the target is never described.
pub type PEPROCESS = *mut c_void;
/// A type of objects; only compared.
pub type POBJECT_TYPE = *mut c_void;
/// A SID of any length.
pub type PSID = *mut c_void;
/// A descriptor in either form.
pub type PSECURITY_DESCRIPTOR = *mut c_void;
/// How far a server may act as its client: 0 anonymous, 1 identification, 2 impersonation, 3 delegation.
pub type SECURITY_IMPERSONATION_LEVEL = i32;
/// Static (0) or dynamic (1) tracking.
pub type SECURITY_CONTEXT_TRACKING_MODE = BOOLEAN;
/// Primary (1) or impersonation (2).
pub type TOKEN_TYPE = i32;

/// A number as wide as a pointer, with a sign.
pub type LONG_PTR = isize;
/// An interrupt level.
pub type KIRQL = u8;
/// Kernel (0) or user (1).
pub type KPROCESSOR_MODE = i8;
/// Size of a block in bytes.
pub type SIZE_T = usize;
/// A text that ends with a zero byte.
pub type PCSTR = *const core::ffi::c_char;

/// The level that threads run at.
pub const PASSIVE_LEVEL: KIRQL = 0;
/// The level at which no APC runs.
pub const APC_LEVEL: KIRQL = 1;
/// The level of the scheduler and of deferred procedure calls.
pub const DISPATCH_LEVEL: KIRQL = 2;
/// The highest level there is on x64.
pub const HIGH_LEVEL: KIRQL = 15;

/// `KPROCESSOR_MODE` of requests that the kernel makes.
pub const KernelMode: KPROCESSOR_MODE = 0;
/// `KPROCESSOR_MODE` of requests that a user makes.
pub const UserMode: KPROCESSOR_MODE = 1;

/// Which parts of a descriptor are meant.
pub type SECURITY_INFORMATION = ULONG;
/// Where memory comes from.
pub type POOL_TYPE = i32;

/// A locally unique identifier: unique on one system until it restarts.
///
/// # Source
/// ntddk.h, `LUID`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LUID {
    /// The low 32 bits.
    pub LowPart: ULONG,
    /// The high 32 bits, with a sign.
    pub HighPart: LONG,
}

/// A globally unique identifier.
///
/// # Source
/// guiddef.h, `GUID`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GUID {
    /// The first field.
    pub Data1: u32,
    /// The second field.
    pub Data2: u16,
    /// The third field.
    pub Data3: u16,
    /// The last eight bytes.
    pub Data4: [u8; 8],
}

/// Text in UTF-16 that knows its length.
///
/// # Source
/// ntdef.h, `UNICODE_STRING`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct UNICODE_STRING {
    /// Length in bytes, without a terminator.
    pub Length: USHORT,
    /// Room in bytes.
    pub MaximumLength: USHORT,
    /// The code units.
    pub Buffer: *mut WCHAR,
}
