//! The calls that programs make, in the kernel's terms.
//!
//! Each is the Win32 call of its name without its pointers: it acts on the calling thread, through the handles of its
//! process, and answers with the NT status; [`win32_error`] gives the number that `GetLastError` would. A downgrade is a
//! success: look at the [`Outcome`].

use vicar_nt::{ImpersonationLevel, NtStatus, RequestedMask};

use crate::anonymous::AnonymousLogon;
use crate::handle::{OpenAs, right};
use crate::impersonate::Outcome;
use crate::nt::Caller;
use crate::object::HandleValue;
use crate::pipe::Pipe;
use crate::qos::Reach;
use crate::token::{Duplicate, DuplicateKind, TokenKind};

impl Caller<'_> {
    /// Takes a signed-in user on.
    ///
    /// A primary token is copied to level Impersonation, an impersonation token is worn itself. Nobody needs a privilege to
    /// call this; without one the gate may downgrade.
    ///
    /// # Errors
    /// - the handle statuses; a primary token's handle needs [`right::QUERY`] and [`right::DUPLICATE`], an impersonation
    ///   token's [`right::QUERY`] and [`right::IMPERSONATE`].
    /// - as for [`ThreadRef::assign`](crate::thread::ThreadRef::assign).
    ///
    /// # Source
    /// ImpersonateLoggedOnUser (page); spec/nt-impersonation 2.25.
    #[doc(alias = "ImpersonateLoggedOnUser")]
    #[track_caller]
    pub fn impersonate_logged_on_user(&self, token: HandleValue) -> Result<Outcome, NtStatus> {
        let handle = self.handles.token(token)?;
        let token = handle.demand(right::QUERY)?;
        match token.kind() {
            TokenKind::Primary => {
                let copy = handle.demand(right::DUPLICATE)?.copy_for_client(ImpersonationLevel::Impersonation)?;
                self.thread.assign(&copy)
            }
            TokenKind::Impersonation(_) => self.thread.assign(handle.demand(right::IMPERSONATE)?),
        }
    }

    /// Takes a copy of the own process's token on.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when the process's token does not let its own process copy it.
    /// - as for [`ThreadRef::impersonate_self`](crate::thread::ThreadRef::impersonate_self).
    ///
    /// # Source
    /// ImpersonateSelf (page); spec/nt-impersonation 2.25.
    #[doc(alias = "ImpersonateSelf")]
    #[track_caller]
    pub fn impersonate_self(&self, level: ImpersonationLevel) -> Result<Outcome, NtStatus> {
        let opened = self.thread.process().open_token(self.thread, RequestedMask::from(right::DUPLICATE))?;
        self.thread.assign(&opened.demand(right::DUPLICATE)?.copy_for_client(level)?)
    }

    /// Takes the client of a pipe on.
    ///
    /// # Errors
    /// - as for [`Pipe::impersonate`].
    ///
    /// # Source
    /// ImpersonateNamedPipeClient (page).
    #[doc(alias = "ImpersonateNamedPipeClient")]
    #[track_caller]
    pub fn impersonate_named_pipe_client(&self, pipe: &Pipe) -> Result<Outcome, NtStatus> {
        pipe.impersonate(self.thread)
    }

    /// Takes the anonymous user on.
    ///
    /// # Errors
    /// - as for [`Caller::impersonate_anonymous`].
    ///
    /// # Source
    /// ImpersonateAnonymousToken (page).
    #[doc(alias = "ImpersonateAnonymousToken")]
    pub fn impersonate_anonymous_token(
        &self,
        anonymous: &AnonymousLogon,
        thread: HandleValue,
    ) -> Result<Outcome, NtStatus> {
        self.impersonate_anonymous(anonymous, thread)
    }

    /// Ends all impersonation of the calling thread. Cannot fail.
    ///
    /// # Source
    /// RevertToSelf (page): a program whose revert fails must end; this one's does not.
    #[doc(alias = "RevertToSelf")]
    #[track_caller]
    pub fn revert_to_self(&self) {
        self.thread.revert();
    }

    /// Opens the token of a thread, the calling one when none is named.
    ///
    /// # Errors
    /// - as for [`Caller::open_thread_token`].
    ///
    /// # Source
    /// OpenThreadToken (page).
    #[doc(alias = "OpenThreadToken")]
    #[track_caller]
    pub fn open_token_of(
        &self,
        thread: Option<HandleValue>,
        desired: RequestedMask,
        open_as: OpenAs,
    ) -> Result<HandleValue, NtStatus> {
        match thread {
            Some(thread) => self.open_thread_token(thread, desired, open_as),
            None => self.handles.add_token(self.thread.open_token(self.thread, desired, open_as)?),
        }
    }

    /// Puts a token on a thread, the calling one when none is named; no token takes it off.
    ///
    /// # Errors
    /// - as for [`Caller::set_thread_token`].
    ///
    /// # Source
    /// SetThreadToken (page).
    #[doc(alias = "SetThreadToken")]
    #[track_caller]
    pub fn set_token_of(&self, thread: Option<HandleValue>, token: HandleValue) -> Result<Option<Outcome>, NtStatus> {
        match thread {
            Some(thread) => self.set_thread_token(thread, token),
            None if token.is_null() => {
                self.thread.revert();
                Ok(None)
            }
            None => self.thread.assign_handle(&self.handles.token(token)?).map(Some),
        }
    }

    /// Copies a token to an impersonation token at a level, with the rights to wear and read it.
    ///
    /// # Errors
    /// - as for [`Caller::duplicate_token`].
    ///
    /// # Source
    /// DuplicateToken (page): the new handle has TOKEN_IMPERSONATE and TOKEN_QUERY.
    #[doc(alias = "DuplicateToken")]
    #[track_caller]
    pub fn duplicate_to(&self, token: HandleValue, level: ImpersonationLevel) -> Result<HandleValue, NtStatus> {
        let desired = RequestedMask::from(right::IMPERSONATE | right::QUERY);
        let wanted = Duplicate { kind: DuplicateKind::Impersonation, level: Some(level), reach: Reach::AllHeld };
        self.duplicate_token(token, Some(desired), wanted)
    }
}

/// Returns the Win32 error number of a status that impersonation answers with.
///
/// # Returns
/// 0 for success, 317 (`ERROR_MR_MID_NOT_FOUND`) for a status that is not in the table.
///
/// # NT
/// `RtlNtStatusToDosError`.
///
/// # Source
/// MS-ERREF 2.2, 2.3.
#[doc(alias = "RtlNtStatusToDosError")]
pub const fn win32_error(status: NtStatus) -> u32 {
    match status {
        NtStatus::SUCCESS => 0,
        NtStatus::ACCESS_DENIED => 5,
        NtStatus::INVALID_HANDLE | NtStatus::OBJECT_TYPE_MISMATCH => 6,
        NtStatus::NO_MEMORY => 8,
        NtStatus::INFO_LENGTH_MISMATCH => 24,
        NtStatus::INVALID_PARAMETER | NtStatus::INVALID_INFO_CLASS => 87,
        NtStatus::BUFFER_TOO_SMALL => 122,
        NtStatus::PIPE_BUSY => 231,
        NtStatus::PIPE_DISCONNECTED => 233,
        NtStatus::PIPE_LISTENING => 536,
        NtStatus::NO_TOKEN => 1008,
        NtStatus::NOT_ALL_ASSIGNED => 1300,
        NtStatus::INVALID_OWNER => 1307,
        NtStatus::INVALID_PRIMARY_GROUP => 1308,
        NtStatus::NO_IMPERSONATION_TOKEN => 1309,
        NtStatus::CANT_DISABLE_MANDATORY => 1310,
        NtStatus::NO_SUCH_LOGON_SESSION => 1312,
        NtStatus::PRIVILEGE_NOT_HELD => 1314,
        NtStatus::INVALID_SECURITY_DESCR => 1338,
        NtStatus::ALLOTTED_SPACE_EXCEEDED => 1344,
        NtStatus::BAD_IMPERSONATION_LEVEL => 1346,
        NtStatus::CANT_OPEN_ANONYMOUS => 1347,
        NtStatus::BAD_TOKEN_TYPE => 1349,
        NtStatus::GENERIC_NOT_MAPPED => 1360,
        NtStatus::CANNOT_IMPERSONATE => 1368,
        NtStatus::INSUFFICIENT_RESOURCES => 1450,
        NtStatus::QUOTA_EXCEEDED => 1816,

        _ => 317,
    }
}
