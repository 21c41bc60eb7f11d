//! How an object is named when it is opened.

use super::{HANDLE, PVOID, ULONG, UNICODE_STRING};

/// Name, root and attributes of an object to open or create.
///
/// # Source
/// ntdef.h, `OBJECT_ATTRIBUTES`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OBJECT_ATTRIBUTES {
    /// Size of this structure in bytes.
    pub Length: ULONG,
    /// Where the name starts, or null for the root of the name space.
    pub RootDirectory: HANDLE,
    /// The name.
    pub ObjectName: *mut UNICODE_STRING,
    /// `OBJ_*` bits.
    pub Attributes: ULONG,
    /// A descriptor for a new object, or null.
    pub SecurityDescriptor: PVOID,
    /// A `SECURITY_QUALITY_OF_SERVICE`, or null.
    pub SecurityQualityOfService: PVOID,
}

/// What the primary token of a process is replaced with.
///
/// # Source
/// ntddk.h, `PROCESS_ACCESS_TOKEN`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PROCESS_ACCESS_TOKEN {
    /// A handle to the new token.
    pub Token: HANDLE,
    /// A handle to the first thread of the process; not looked at.
    pub Thread: HANDLE,
}
