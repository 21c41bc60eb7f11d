//! NTSTATUS values.

use core::fmt;

use crate::check::Refusal;
use crate::wire::{Malformed, ParseError};

/// What an NT routine answers. Any 32-bit number is one; the named ones are constants.
///
/// There is no `Default`: the default of a number is zero, and zero is success.
///
/// # Source
/// MS-ERREF 2.3.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a status nobody reads is usually a failure nobody noticed"]
#[repr(transparent)]
pub struct NtStatus(pub u32);

macro_rules! statuses {
    ($($name:ident = $value:literal, $what:literal;)*) => {
        impl NtStatus {
            $(#[doc = $what] pub const $name: Self = Self($value);)*

            /// Returns the NT name of this status, if this crate knows it.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(concat!("STATUS_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000_0000, "Done.";
    PENDING = 0x0000_0103, "Will be done later (success class).";
    NOT_ALL_ASSIGNED = 0x0000_0106, "Done, except for privileges or groups the token does not have (success class).";
    DATATYPE_MISALIGNMENT = 0x8000_0002, "A pointer is not aligned.";
    BUFFER_OVERFLOW = 0x8000_0005, "The data did not fit; what fitted was written.";
    UNSUCCESSFUL = 0xC000_0001, "Failed.";
    NOT_IMPLEMENTED = 0xC000_0002, "Not implemented.";
    INVALID_INFO_CLASS = 0xC000_0003, "The information class does not exist or does not apply.";
    INFO_LENGTH_MISMATCH = 0xC000_0004, "The buffer does not have the length of the class.";
    ACCESS_VIOLATION = 0xC000_0005, "A pointer is bad.";
    INVALID_HANDLE = 0xC000_0008, "The handle is not one.";
    INVALID_PARAMETER = 0xC000_000D, "An argument is out of range.";
    INVALID_DEVICE_REQUEST = 0xC000_0010, "The device does not do that.";
    NO_MEMORY = 0xC000_0017, "An allocation failed.";
    ACCESS_DENIED = 0xC000_0022, "The policy refuses.";
    BUFFER_TOO_SMALL = 0xC000_0023, "The buffer is too small; nothing was written.";
    OBJECT_TYPE_MISMATCH = 0xC000_0024, "The handle names another type of object.";
    OBJECT_NAME_NOT_FOUND = 0xC000_0034, "No object has this name.";
    QUOTA_EXCEEDED = 0xC000_0044, "The caller's quota does not allow it.";
    THREAD_IS_TERMINATING = 0xC000_004B, "The thread is ending.";
    UNKNOWN_REVISION = 0xC000_0058, "The revision of a structure is not known.";
    REVISION_MISMATCH = 0xC000_0059, "Two revisions do not fit together.";
    INVALID_OWNER = 0xC000_005A, "The SID may not be made an owner by this caller.";
    INVALID_PRIMARY_GROUP = 0xC000_005B, "The SID may not be made a primary group by this caller.";
    NO_IMPERSONATION_TOKEN = 0xC000_005C, "An impersonation token is needed and a primary token was given.";
    CANT_DISABLE_MANDATORY = 0xC000_005D, "A mandatory group cannot be disabled.";
    NO_LOGON_SERVERS = 0xC000_005E, "Nobody can verify the credentials now.";
    NO_SUCH_LOGON_SESSION = 0xC000_005F, "The logon session does not exist.";
    NO_SUCH_PRIVILEGE = 0xC000_0060, "The privilege does not exist.";
    PRIVILEGE_NOT_HELD = 0xC000_0061, "A privilege that is needed is not held or not enabled.";
    NO_SUCH_USER = 0xC000_0064, "The account does not exist.";
    WRONG_PASSWORD = 0xC000_006A, "The password is wrong.";
    LOGON_FAILURE = 0xC000_006D, "The name or the password is wrong.";
    ACCOUNT_RESTRICTION = 0xC000_006E, "The account may not sign in this way.";
    INVALID_ACL = 0xC000_0077, "The ACL is malformed.";
    INVALID_SID = 0xC000_0078, "The SID is malformed.";
    INVALID_SECURITY_DESCR = 0xC000_0079, "The security descriptor is malformed or incomplete.";
    NO_TOKEN = 0xC000_007C, "The thread is not impersonating.";
    ALLOTTED_SPACE_EXCEEDED = 0xC000_0099, "There is no room left in the structure.";
    INSUFFICIENT_RESOURCES = 0xC000_009A, "The pool is exhausted.";
    BAD_IMPERSONATION_LEVEL = 0xC000_00A5, "The client does not let the server do this.";
    CANT_OPEN_ANONYMOUS = 0xC000_00A6, "A token at anonymous level cannot be opened.";
    BAD_TOKEN_TYPE = 0xC000_00A8, "The token has the wrong type.";
    INSTANCE_NOT_AVAILABLE = 0xC000_00AB, "All instances of the pipe are busy.";
    PIPE_NOT_AVAILABLE = 0xC000_00AC, "The pipe has no free instance.";
    INVALID_PIPE_STATE = 0xC000_00AD, "The pipe is not in a state for this.";
    PIPE_BUSY = 0xC000_00AE, "The pipe is busy.";
    ILLEGAL_FUNCTION = 0xC000_00AF, "The client end asked for what only the server end may do.";
    PIPE_DISCONNECTED = 0xC000_00B0, "The server disconnected the pipe.";
    PIPE_CLOSING = 0xC000_00B1, "The other end is closed.";
    PIPE_CONNECTED = 0xC000_00B2, "The pipe is connected already.";
    PIPE_LISTENING = 0xC000_00B3, "Nobody has connected yet.";
    IO_TIMEOUT = 0xC000_00B5, "The time limit passed.";
    NOT_SUPPORTED = 0xC000_00BB, "Not supported.";
    NO_SECURITY_ON_OBJECT = 0xC000_00D7, "The object has no security descriptor.";
    GENERIC_NOT_MAPPED = 0xC000_00E6, "A generic right was not mapped.";
    BAD_DESCRIPTOR_FORMAT = 0xC000_00E7, "The descriptor is absolute where self-relative is needed, or the reverse.";
    INTERNAL_ERROR = 0xC000_00E5, "Something is wrong here.";
    NOT_LOGON_PROCESS = 0xC000_00ED, "The caller is not a logon process.";
    LOGON_SESSION_EXISTS = 0xC000_00EE, "The logon session exists already.";
    BAD_LOGON_SESSION_STATE = 0xC000_0104, "The logon session is not in a state for this.";
    LOGON_SESSION_COLLISION = 0xC000_0105, "The logon session id is in use.";
    PROCESS_IS_TERMINATING = 0xC000_010A, "The process is ending.";
    CANNOT_IMPERSONATE = 0xC000_010D, "No client was captured yet.";
    CANCELLED = 0xC000_0120, "The request was withdrawn.";
    TOKEN_ALREADY_IN_USE = 0xC000_012B, "The token is a process's primary token already.";
    PIPE_BROKEN = 0xC000_014B, "The pipe is broken.";
    LOGON_TYPE_NOT_GRANTED = 0xC000_015B, "The account may not sign in this way here.";
    INVALID_DEVICE_STATE = 0xC000_0184, "The device is not in a state for this.";
    INVALID_ACE_CONDITION = 0xC000_01A2, "The condition of an ACE is malformed.";
    NOT_FOUND = 0xC000_0225, "What was named does not exist.";
    CANT_ENABLE_DENY_ONLY = 0xC000_02B3, "A deny-only group cannot be enabled.";
    INVALID_LABEL = 0xC000_0446, "The integrity label is malformed.";
    NOT_APPCONTAINER = 0xC000_A200, "The token is not an AppContainer's.";
}

impl NtStatus {
    /// Returns whether the status is of the success or information class.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 < 0x8000_0000
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "NTSTATUS {:#010x}", self.0),
        }
    }
}
impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl core::error::Error for NtStatus {}

impl ParseError {
    /// Returns what NT answers when it is handed these bytes.
    ///
    /// # Source
    /// MS-ERREF 2.3.1; learn.microsoft.com, `RtlValidSecurityDescriptor` and `NtSetSecurityObject`.
    pub const fn status(&self) -> NtStatus {
        match self.kind() {
            Malformed::Sid => NtStatus::INVALID_SID,
            Malformed::Acl => NtStatus::INVALID_ACL,
            Malformed::Descriptor => NtStatus::INVALID_SECURITY_DESCR,
            Malformed::Revision => NtStatus::UNKNOWN_REVISION,
            Malformed::Condition => NtStatus::INVALID_ACE_CONDITION,
            Malformed::Claim | Malformed::Text => NtStatus::INVALID_PARAMETER,
        }
    }
}

impl Refusal {
    /// Returns what NT answers when this step refuses.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::GenericNotMapped => NtStatus::GENERIC_NOT_MAPPED,
            Self::ImpersonationTokenRequired => NtStatus::NO_IMPERSONATION_TOKEN,
            Self::LevelTooLow(_) => NtStatus::BAD_IMPERSONATION_LEVEL,
            Self::IncompleteDescriptor => NtStatus::INVALID_SECURITY_DESCR,
            Self::ObjectTypeList => NtStatus::INVALID_PARAMETER,
            Self::PrivilegeNotHeld(_) => NtStatus::PRIVILEGE_NOT_HELD,
            Self::NoDescriptor
            | Self::NothingDesired
            | Self::TrustLabel
            | Self::AccessFilter
            | Self::Integrity
            | Self::UnknownAce { .. }
            | Self::DenyAce { .. }
            | Self::NotGranted { .. }
            | Self::Package
            | Self::CentralRule { .. }
            | Self::NothingAllowed => NtStatus::ACCESS_DENIED,
        }
    }
}
