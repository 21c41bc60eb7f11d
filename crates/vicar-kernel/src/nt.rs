//! The Nt calls on threads and tokens, by handle.
//!
//! A [`Caller`] is a thread and the handles of its process. Every call looks its handles up in the order NT does, asks for
//! the rights, and hands on to the routine that decides. Arguments are typed, so what NT finds wrong with pointers, lengths
//! and alignments cannot be said here; what it finds wrong with numbers can.

use vicar_nt::check::AccessMode;
use vicar_nt::privilege::{LuidAndAttributes, Need};
use vicar_nt::token::{Filter, GroupChange};
use vicar_nt::{NtStatus, RequestedMask, Sid};

use crate::access::{Access, Granted};
use crate::anonymous::AnonymousLogon;
use crate::handle::{OpenAs, right};
use crate::impersonate::Outcome;
use crate::object::{HandleValue, Handles, process_right, thread_right};
use crate::policy::{Profile, ThreadQuery};
use crate::qos::Qos;
use crate::subject::SubjectContext;
use crate::thread::ThreadRef;
use crate::token::query::QueryError;
use crate::token::{Duplicate, Info, InfoClass, PrivilegesAdjusted, Setting, set};

/// The class of `NtSetInformationThread` that puts a token on a thread.
#[doc(alias = "ThreadImpersonationToken")]
pub const THREAD_IMPERSONATION_TOKEN: u32 = 5;

/// The bytes of a handle in 64-bit C.
pub const HANDLE_SIZE: usize = 8;

/// Who calls: a thread and the handles of its process.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The calling thread.
    pub thread: &'a ThreadRef,
    /// Its process's handles.
    pub handles: &'a Handles,
}

/// How privileges are to be changed.
#[derive(Clone, Copy, Debug)]
pub enum PrivilegeChange<'a> {
    /// Each as the list says.
    List(&'a [LuidAndAttributes]),
    /// All are disabled.
    #[doc(alias = "DisableAllPrivileges")]
    DisableAll,
    /// No list was given: an error.
    Nothing,
}

/// How groups are to be changed.
#[derive(Clone, Copy, Debug)]
pub enum GroupsChange<'a> {
    /// Each as the list says.
    List(&'a [(Sid, GroupChange)]),
    /// All get the state they had when the token was made.
    #[doc(alias = "ResetToDefault")]
    Reset,
    /// No list was given: an error.
    Nothing,
}

/// Says whether a buffer of `length` bytes is one that holds a token handle.
///
/// # Errors
/// - `STATUS_INFO_LENGTH_MISMATCH` when it is shorter or longer; tested before anything about its address.
///
/// # Source
/// spec/nt-impersonation 2.22.
pub const fn check_thread_token_length(length: usize) -> Result<(), NtStatus> {
    if length == HANDLE_SIZE { Ok(()) } else { Err(NtStatus::INFO_LENGTH_MISMATCH) }
}

impl Caller<'_> {
    fn subject(&self) -> SubjectContext {
        SubjectContext::capture(self.thread)
    }

    /// Puts a token on a thread, or takes it off when no token is named.
    ///
    /// # Errors
    /// - `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH`, `STATUS_ACCESS_DENIED` for the thread's handle without
    ///   [`thread_right::SET_THREAD_TOKEN`] and for the token's without [`right::IMPERSONATE`].
    /// - as for [`ThreadRef::assign`].
    ///
    /// # NT
    /// `NtSetInformationThread(ThreadImpersonationToken)`.
    ///
    /// # Source
    /// ZwSetInformationThread (page); spec/nt-impersonation 2.10, 2.22.
    #[doc(alias = "NtSetInformationThread")]
    #[doc(alias = "PsAssignImpersonationToken")]
    #[track_caller]
    pub fn set_thread_token(&self, thread: HandleValue, token: HandleValue) -> Result<Option<Outcome>, NtStatus> {
        let thread = self.handles.thread(thread, thread_right::SET_THREAD_TOKEN)?;
        if token.is_null() {
            thread.revert();
            return Ok(None);
        }
        let token = self.handles.token(token)?;
        thread.assign_handle(&token).map(Some)
    }

    /// Makes one thread take on whom another acts as.
    ///
    /// # Inputs
    /// - `qos`: the wire form; its length field must be right here, because it comes from an untrusted caller.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when the quality of service is not one.
    /// - the handle statuses for the server's handle without [`thread_right::IMPERSONATE`] and the client's without
    ///   [`thread_right::DIRECT_IMPERSONATION`].
    /// - as for [`ThreadRef::impersonate_thread`].
    ///
    /// # NT
    /// `NtImpersonateThread`.
    #[doc(alias = "NtImpersonateThread")]
    #[track_caller]
    pub fn impersonate_thread(
        &self,
        server: HandleValue,
        client: HandleValue,
        qos: [u8; Qos::SIZE],
    ) -> Result<Outcome, NtStatus> {
        let [l0, l1, l2, l3, ..] = qos;
        if u32::from_le_bytes([l0, l1, l2, l3]) != 12 {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let server = self.handles.thread(server, thread_right::IMPERSONATE)?;
        let client = self.handles.thread(client, thread_right::DIRECT_IMPERSONATION)?;
        // The level is the capture's to judge, so a wrong handle is found before a wrong level.
        let qos = Qos::parse(qos)?;
        server.impersonate_thread(&client, qos)
    }

    /// Makes a thread act as the anonymous user.
    ///
    /// # Errors
    /// - the handle statuses without [`thread_right::IMPERSONATE`].
    /// - as for [`AnonymousLogon::impersonate`].
    ///
    /// # NT
    /// `NtImpersonateAnonymousToken`.
    #[doc(alias = "NtImpersonateAnonymousToken")]
    pub fn impersonate_anonymous(&self, anonymous: &AnonymousLogon, thread: HandleValue) -> Result<Outcome, NtStatus> {
        let target = self.handles.thread(thread, thread_right::IMPERSONATE)?;
        anonymous.impersonate(self.thread, &target)
    }

    /// Opens the token a thread wears.
    ///
    /// # Errors
    /// - the handle statuses without [`thread_right::QUERY_INFORMATION`]; [`ThreadQuery`] says whether
    ///   [`thread_right::QUERY_LIMITED_INFORMATION`] is enough.
    /// - as for [`ThreadRef::open_token`]. The thread is unchanged then.
    ///
    /// # NT
    /// `NtOpenThreadToken`. A user's wish for a kernel handle is not heard: there is only one kind of handle here.
    #[doc(alias = "NtOpenThreadToken")]
    #[doc(alias = "NtOpenThreadTokenEx")]
    #[track_caller]
    pub fn open_thread_token(
        &self,
        thread: HandleValue,
        desired: RequestedMask,
        open_as: OpenAs,
    ) -> Result<HandleValue, NtStatus> {
        let enough = match self.thread.system().policy().thread_query {
            ThreadQuery::Full => thread_right::QUERY_INFORMATION,
            ThreadQuery::Limited => thread_right::QUERY_LIMITED_INFORMATION,
        };
        let thread = match self.handles.thread(thread, thread_right::QUERY_INFORMATION) {
            Err(NtStatus::ACCESS_DENIED) => self.handles.thread(thread, enough)?,
            looked_up => looked_up?,
        };
        // Opening may put the copy that is opened on the thread, and a call that fails changes nothing.
        self.handles.add_opened(|| thread.open_token(self.thread, desired, open_as))
    }

    /// Opens the primary token of a process.
    ///
    /// # Errors
    /// - the handle statuses without [`process_right::QUERY_INFORMATION`]; from Vista on
    ///   [`process_right::QUERY_LIMITED_INFORMATION`] is enough.
    /// - as for [`ProcessRef::open_token`](crate::process::ProcessRef::open_token).
    ///
    /// # NT
    /// `NtOpenProcessToken`.
    #[doc(alias = "NtOpenProcessToken")]
    #[doc(alias = "NtOpenProcessTokenEx")]
    #[track_caller]
    pub fn open_process_token(&self, process: HandleValue, desired: RequestedMask) -> Result<HandleValue, NtStatus> {
        let full = [process_right::QUERY_INFORMATION];
        let either = [process_right::QUERY_INFORMATION, process_right::QUERY_LIMITED_INFORMATION];
        let enough: &[_] = match self.thread.system().profile() {
            Profile::V0 | Profile::V1 => &full,
            Profile::V2 | Profile::V3 | Profile::V4 => &either,
        };
        let process = self.handles.process(process, enough)?;
        self.handles.add_token(process.open_token(self.thread, desired)?)
    }

    /// Copies a token.
    ///
    /// # Errors
    /// - the handle statuses without [`right::DUPLICATE`].
    /// - as for [`TokenHandle::duplicate`](crate::handle::TokenHandle::duplicate).
    ///
    /// # NT
    /// `NtDuplicateToken`.
    #[doc(alias = "NtDuplicateToken")]
    #[track_caller]
    pub fn duplicate_token(
        &self,
        token: HandleValue,
        desired: Option<RequestedMask>,
        wanted: Duplicate,
    ) -> Result<HandleValue, NtStatus> {
        self.handles.add_token(self.handles.token(token)?.duplicate(&self.subject(), desired, wanted)?)
    }

    /// Makes a weaker copy of a token.
    ///
    /// # Errors
    /// - the handle statuses without [`right::DUPLICATE`].
    /// - as for [`TokenRef::filter`](crate::token::TokenRef::filter).
    ///
    /// # NT
    /// `NtFilterToken`.
    #[doc(alias = "NtFilterToken")]
    #[track_caller]
    pub fn filter_token(&self, token: HandleValue, filter: &Filter<'_>) -> Result<HandleValue, NtStatus> {
        self.handles.add_token(self.handles.token(token)?.filter(filter)?)
    }

    /// Enables, disables and removes privileges.
    ///
    /// # Returns
    /// `STATUS_SUCCESS` or `STATUS_NOT_ALL_ASSIGNED`.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when there is neither a list nor the wish to disable all.
    /// - the handle statuses without [`right::ADJUST_PRIVILEGES`].
    ///
    /// # NT
    /// `NtAdjustPrivilegesToken`.
    #[doc(alias = "NtAdjustPrivilegesToken")]
    pub fn adjust_privileges(&self, token: HandleValue, change: PrivilegeChange<'_>) -> Result<NtStatus, NtStatus> {
        let changes = match change {
            PrivilegeChange::Nothing => return Err(NtStatus::INVALID_PARAMETER),
            PrivilegeChange::List(changes) => Some(changes),
            PrivilegeChange::DisableAll => None,
        };
        let token = self.handles.token(token)?;
        let token = token.demand(right::ADJUST_PRIVILEGES)?;
        Ok(match changes {
            Some(changes) => token.adjust_privileges(changes).status(),
            None => token.disable_all_privileges().status(),
        })
    }

    /// Enables, disables and removes privileges for a caller that wants to know the state before and has room for `room`
    /// changed privileges.
    ///
    /// # Errors
    /// - the handle statuses without [`right::ADJUST_PRIVILEGES`] and [`right::QUERY`].
    /// - `STATUS_BUFFER_TOO_SMALL` when more privileges would change; nothing is changed then.
    ///
    /// # NT
    /// `NtAdjustPrivilegesToken` with a buffer for the previous state.
    #[doc(alias = "NtAdjustPrivilegesToken")]
    pub fn adjust_privileges_reporting(
        &self,
        token: HandleValue,
        changes: &[LuidAndAttributes],
        room: usize,
    ) -> Result<PrivilegesAdjusted, NtStatus> {
        let token = self.handles.token(token)?;
        token.demand(right::ADJUST_PRIVILEGES.union(right::QUERY))?.adjust_privileges_reporting(changes, room)
    }

    /// Enables and disables groups.
    ///
    /// # Returns
    /// `STATUS_SUCCESS` or `STATUS_NOT_ALL_ASSIGNED`.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when there is neither a list nor the wish to reset.
    /// - the handle statuses without [`right::ADJUST_GROUPS`].
    /// - as for [`Token::adjust_groups`](crate::token::Token::adjust_groups).
    ///
    /// # NT
    /// `NtAdjustGroupsToken`.
    #[doc(alias = "NtAdjustGroupsToken")]
    pub fn adjust_groups(&self, token: HandleValue, change: GroupsChange<'_>) -> Result<NtStatus, NtStatus> {
        let changes = match change {
            GroupsChange::Nothing => return Err(NtStatus::INVALID_PARAMETER),
            GroupsChange::List(changes) => Some(changes),
            GroupsChange::Reset => None,
        };
        let token = self.handles.token(token)?;
        let token = token.demand(right::ADJUST_GROUPS)?;
        let all_assigned = match changes {
            Some(changes) => token.adjust_groups(changes)?.all_assigned,
            None => token.reset_groups().all_assigned,
        };
        Ok(if all_assigned { NtStatus::SUCCESS } else { NtStatus::NOT_ALL_ASSIGNED })
    }

    /// Answers one question about a token.
    ///
    /// # Errors
    /// - `STATUS_INVALID_INFO_CLASS` when there is no such class.
    /// - the handle statuses, and as for
    ///   [`TokenHandle::query_information`](crate::handle::TokenHandle::query_information).
    ///
    /// # NT
    /// `NtQueryInformationToken`.
    #[doc(alias = "NtQueryInformationToken")]
    #[track_caller]
    pub fn query_token(&self, token: HandleValue, class: u32, room: usize) -> Result<Info, QueryError> {
        let class = InfoClass::parse(class)?;
        self.handles.token(token)?.query_information(&self.subject(), class, room)
    }

    /// Sets one value of a token, from a buffer of `length` bytes.
    ///
    /// # Errors
    /// - `STATUS_INFO_LENGTH_MISMATCH` when the buffer is too short for the class.
    /// - the handle statuses, and as for
    ///   [`TokenHandle::set_information`](crate::handle::TokenHandle::set_information).
    ///
    /// # NT
    /// `NtSetInformationToken`.
    #[doc(alias = "NtSetInformationToken")]
    pub fn set_token(&self, token: HandleValue, setting: Setting, length: usize) -> Result<(), NtStatus> {
        set::check_length(setting.class(), length)?;
        self.handles.token(token)?.set_information(&self.subject(), setting)
    }

    /// Compares two tokens.
    ///
    /// # Errors
    /// - the handle statuses without [`right::QUERY`] to both.
    ///
    /// # NT
    /// `NtCompareTokens`.
    #[doc(alias = "NtCompareTokens")]
    pub fn compare_tokens(&self, first: HandleValue, second: HandleValue) -> Result<bool, NtStatus> {
        self.handles.token(first)?.is_equal_to(&self.handles.token(second)?)
    }

    /// Says whether privileges are in force in a token.
    ///
    /// # Errors
    /// - the handle statuses, and as for [`TokenHandle::privilege_check`](crate::handle::TokenHandle::privilege_check).
    ///
    /// # NT
    /// `NtPrivilegeCheck`.
    #[doc(alias = "NtPrivilegeCheck")]
    pub fn privilege_check(
        &self,
        token: HandleValue,
        wanted: &mut [LuidAndAttributes],
        need: Need,
    ) -> Result<bool, NtStatus> {
        self.handles.token(token)?.privilege_check(wanted, need)
    }

    /// Checks access to an object of the caller's for whomever a token speaks for.
    ///
    /// # Errors
    /// - the handle statuses, and as for [`TokenHandle::access_check`](crate::handle::TokenHandle::access_check).
    ///
    /// # NT
    /// `NtAccessCheck`.
    #[doc(alias = "NtAccessCheck")]
    pub fn access_check(&self, token: HandleValue, access: &Access<'_>) -> Result<Granted, NtStatus> {
        if access.desired.has_generic() {
            return Err(NtStatus::GENERIC_NOT_MAPPED);
        }
        self.handles.token(token)?.access_check(access)
    }

    /// Replaces the primary token of a process.
    ///
    /// # Errors
    /// - the handle statuses for the process's handle without [`process_right::SET_INFORMATION`] and for the token's without
    ///   [`right::ASSIGN_PRIMARY`].
    /// - as for [`ProcessRef::assign_primary`](crate::process::ProcessRef::assign_primary).
    ///
    /// # NT
    /// `NtSetInformationProcess(ProcessAccessToken)`.
    ///
    /// # Source
    /// spec/nt-impersonation 2.23.
    #[doc(alias = "NtSetInformationProcess")]
    #[track_caller]
    pub fn set_process_token(&self, process: HandleValue, token: HandleValue) -> Result<(), NtStatus> {
        let process = self.handles.process(process, &[process_right::SET_INFORMATION])?;
        let handle = self.handles.token(token)?;
        process.assign_primary(handle.demand(right::ASSIGN_PRIMARY)?, self.thread, AccessMode::User)
    }
}
