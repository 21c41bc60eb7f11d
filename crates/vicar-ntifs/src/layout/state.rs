//! The state of an open in progress.

use core::fmt;

use super::{
    ACCESS_MASK, BOOLEAN, INITIAL_PRIVILEGE_SET, LUID, PRIVILEGE_SET, PSECURITY_DESCRIPTOR, PVOID,
    SECURITY_QUALITY_OF_SERVICE, SECURITY_SUBJECT_CONTEXT, ULONG, UNICODE_STRING,
};

/// Privileges used so far: room for three, read as a set of one or more.
///
/// # Source
/// ntifs.h, the `Privileges` union of `ACCESS_STATE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub union ACCESS_STATE_PRIVILEGES {
    /// The room.
    pub InitialPrivilegeSet: INITIAL_PRIVILEGE_SET,
    /// The same bytes as a set.
    pub PrivilegeSet: PRIVILEGE_SET,
}

impl fmt::Debug for ACCESS_STATE_PRIVILEGES {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ACCESS_STATE_PRIVILEGES").finish_non_exhaustive()
    }
}

/// Everything an open carries from the request to the decision and its audit record.
///
/// # Source
/// ntifs.h, `ACCESS_STATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ACCESS_STATE {
    /// Identifies the operation in audit records.
    pub OperationID: LUID,
    /// Whether the decision was made.
    pub SecurityEvaluated: BOOLEAN,
    /// Whether an audit record is due.
    pub GenerateAudit: BOOLEAN,
    /// Whether closing is audited too.
    pub GenerateOnClose: BOOLEAN,
    /// Whether `Privileges` moved to an allocation of its own.
    pub PrivilegesAllocated: BOOLEAN,
    /// Traverse and restriction bits.
    pub Flags: ULONG,
    /// Rights asked for and not decided.
    pub RemainingDesiredAccess: ACCESS_MASK,
    /// Rights granted so far.
    pub PreviouslyGrantedAccess: ACCESS_MASK,
    /// Rights as first asked for.
    pub OriginalDesiredAccess: ACCESS_MASK,
    /// Who asks.
    pub SubjectSecurityContext: SECURITY_SUBJECT_CONTEXT,
    /// A descriptor for a new object, or null.
    pub SecurityDescriptor: PSECURITY_DESCRIPTOR,
    /// The kernel's own.
    pub AuxData: PVOID,
    /// Privileges used so far.
    pub Privileges: ACCESS_STATE_PRIVILEGES,
    /// Whether the use of those is audited.
    pub AuditPrivileges: BOOLEAN,
    /// The object's name, for audit records.
    pub ObjectName: UNICODE_STRING,
    /// The name of its type, for audit records.
    pub ObjectTypeName: UNICODE_STRING,
}

/// The security part of a create request.
///
/// # Source
/// wdm.h, `IO_SECURITY_CONTEXT`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IO_SECURITY_CONTEXT {
    /// What the client allowed, or null.
    pub SecurityQos: *mut SECURITY_QUALITY_OF_SERVICE,
    /// The state of the open.
    pub AccessState: *mut ACCESS_STATE,
    /// Rights asked for.
    pub DesiredAccess: ACCESS_MASK,
    /// Create options as the caller gave them.
    pub FullCreateOptions: ULONG,
}
