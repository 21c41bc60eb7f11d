//! Tokens held with rights: what a caller without the kernel's trust gets.
//!
//! A [`TokenHandle`] is a token reference and the rights that an access check granted on it; each operation asks for its
//! right. [`ThreadRef::open_token`] and [`ProcessRef::open_token`] make them. The client's own token is never handed out
//! when a thread wears it with copy on open: the opener gets a copy, and the thread wears that copy from then on. There is
//! no handle table and no number here; what holds a handle is a value.

use vicar_nt::check::{AccessMode, AccessRequest, CheckOptions, decide};
use vicar_nt::descriptor::DescriptorRef;
use vicar_nt::privilege::{LuidAndAttributes, Need};
use vicar_nt::token::{Filter, GroupChange};
use vicar_nt::{AccessMask, GenericMapping, NtStatus, Privilege, RequestedMask, Sid};

use std::panic::Location;
use std::sync::Arc;

use crate::access::{Access, Granted};
use crate::audit::Attempt;
use crate::client::ClientContext;
use crate::impersonate::{Impersonation, Outcome};
use crate::process::ProcessRef;
use crate::qos::{Locality, Qos};
use crate::subject::SubjectContext;
use crate::thread::{Replaced, ThreadRef};
use crate::token::query::QueryError;
use crate::token::{
    Duplicate, DuplicateKind, GroupsAdjusted, Info, InfoClass, PrivilegesAdjusted, Setting, Snapshot, TokenRef,
    TokenSource, descriptor_of_new, set,
};

/// The rights to a token.
///
/// # Source
/// Access Rights for Access-Token Objects (page).
pub mod right {
    use vicar_nt::AccessMask;

    /// To attach it to a process.
    #[doc(alias = "TOKEN_ASSIGN_PRIMARY")]
    pub const ASSIGN_PRIMARY: AccessMask = AccessMask::truncate(0x0001);
    /// To copy it.
    #[doc(alias = "TOKEN_DUPLICATE")]
    pub const DUPLICATE: AccessMask = AccessMask::truncate(0x0002);
    /// To put it on a thread.
    #[doc(alias = "TOKEN_IMPERSONATE")]
    pub const IMPERSONATE: AccessMask = AccessMask::truncate(0x0004);
    /// To read everything about it but its source.
    #[doc(alias = "TOKEN_QUERY")]
    pub const QUERY: AccessMask = AccessMask::truncate(0x0008);
    /// To read its source.
    #[doc(alias = "TOKEN_QUERY_SOURCE")]
    pub const QUERY_SOURCE: AccessMask = AccessMask::truncate(0x0010);
    /// To enable, disable and remove its privileges.
    #[doc(alias = "TOKEN_ADJUST_PRIVILEGES")]
    pub const ADJUST_PRIVILEGES: AccessMask = AccessMask::truncate(0x0020);
    /// To enable and disable its groups.
    #[doc(alias = "TOKEN_ADJUST_GROUPS")]
    pub const ADJUST_GROUPS: AccessMask = AccessMask::truncate(0x0040);
    /// To set its owner, primary group, default access list and integrity.
    #[doc(alias = "TOKEN_ADJUST_DEFAULT")]
    pub const ADJUST_DEFAULT: AccessMask = AccessMask::truncate(0x0080);
    /// To move it to another terminal session.
    #[doc(alias = "TOKEN_ADJUST_SESSIONID")]
    pub const ADJUST_SESSIONID: AccessMask = AccessMask::truncate(0x0100);
    /// Everything.
    #[doc(alias = "TOKEN_ALL_ACCESS")]
    pub const ALL: AccessMask = AccessMask::truncate(0x000F_01FF);
}

/// As whom a thread's token is opened. It decides who is checked, not which token is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenAs {
    /// As whomever the calling thread acts.
    Caller,
    /// As the calling thread's process.
    #[doc(alias = "OpenAsSelf")]
    Process,
    /// As the kernel, of which nothing is asked: it gets the rights it wants.
    #[doc(alias = "KernelMode")]
    Kernel,
}

/// A token and the rights that were granted on it.
#[derive(Clone, Debug)]
pub struct TokenHandle {
    token: TokenRef,
    access: AccessMask,
}

impl TokenHandle {
    /// Opens a token for a subject.
    ///
    /// # Errors
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the subject has a client that may not act.
    /// - `STATUS_ACCESS_DENIED` when the token's security descriptor does not grant what is asked for.
    ///
    /// # NT
    /// `ObOpenObjectByPointer` for a token.
    #[track_caller]
    pub fn open(token: &TokenRef, subject: &SubjectContext, desired: RequestedMask) -> Result<Self, NtStatus> {
        subject.note_use();
        let at = Location::caller();
        token.system().refused(Attempt::OpenToken, at, Self::open_checked(token, subject, desired))
    }

    #[track_caller]
    fn open_checked(token: &TokenRef, subject: &SubjectContext, desired: RequestedMask) -> Result<Self, NtStatus> {
        let locked = subject.lock();
        let descriptor = token.descriptor()?.as_ref();
        let options = CheckOptions { readings: token.system().policy().readings, ..CheckOptions::STANDARD };
        let request = AccessRequest::new(locked.subject(), descriptor, desired, GenericMapping::TOKEN);
        let access = decide(&AccessRequest { options, ..request }).map_err(|denial| denial.status())?.mask();
        Ok(Self { token: token.clone(), access })
    }

    /// Opens a token for the kernel: nothing is checked, and as many rights as possible are all rights.
    #[track_caller]
    pub fn open_unchecked(token: &TokenRef, desired: RequestedMask) -> Self {
        let wanted = GenericMapping::TOKEN.map(desired).without(AccessMask::MAXIMUM_ALLOWED);
        let access = if desired.wants_maximum() { wanted.union(right::ALL) } else { wanted };
        Self { token: token.clone(), access }
    }

    /// Returns the rights that were granted.
    pub fn access(&self) -> AccessMask {
        self.access
    }

    /// Returns whether both handles are to the same token object.
    ///
    /// # NT
    /// `NtCompareObjects`.
    #[doc(alias = "NtCompareObjects")]
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.token.is_same(&other.token)
    }

    /// Returns the token, for callers that the kernel trusts; no right is asked for.
    pub fn token_unchecked(&self) -> &TokenRef {
        &self.token
    }

    /// Holds a token with rights that were agreed on elsewhere, as the kernel's own callers do.
    pub const fn with_rights(token: TokenRef, access: AccessMask) -> Self {
        Self { token, access }
    }

    /// Returns the token if this handle has the rights.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when it does not.
    pub fn demand(&self, right: AccessMask) -> Result<&TokenRef, NtStatus> {
        if self.access.contains(right) { Ok(&self.token) } else { Err(NtStatus::ACCESS_DENIED) }
    }

    /// Returns the token's state, at whatever level it is.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::QUERY`].
    pub fn query(&self) -> Result<Arc<Snapshot>, NtStatus> {
        Ok(self.demand(right::QUERY)?.state())
    }

    /// Returns who made the token.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::QUERY_SOURCE`].
    pub fn query_source(&self) -> Result<TokenSource, NtStatus> {
        Ok(self.demand(right::QUERY_SOURCE)?.source())
    }

    /// Copies the token.
    ///
    /// # Inputs
    /// - `caller`: who asks; checked against the copy when `desired` is given.
    /// - `desired`: the rights to the copy; `None` gives those of this handle.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::DUPLICATE`], or when the copy does not grant what is asked for.
    /// - as for [`TokenRef::duplicate`].
    ///
    /// # NT
    /// `NtDuplicateToken`; a desired access of zero is `None`.
    #[doc(alias = "NtDuplicateToken")]
    #[track_caller]
    pub fn duplicate(
        &self,
        caller: &SubjectContext,
        desired: Option<RequestedMask>,
        wanted: Duplicate,
    ) -> Result<Self, NtStatus> {
        let copy = self.demand(right::DUPLICATE)?.duplicate(wanted)?;
        self.open_copy(copy, caller, desired)
    }

    /// Copies the token, and has the caller say who may open the copy.
    ///
    /// # Errors
    /// - as for [`TokenHandle::duplicate`], and between copying and opening those of [`descriptor_of_new`].
    #[track_caller]
    pub fn duplicate_protected(
        &self,
        caller: &SubjectContext,
        desired: Option<RequestedMask>,
        wanted: Duplicate,
        asked: DescriptorRef<'_>,
    ) -> Result<Self, NtStatus> {
        let protect = || descriptor_of_new(asked, caller, AccessMode::User);
        let copy = self.demand(right::DUPLICATE)?.duplicate_protected(wanted, protect)?;
        self.open_copy(copy, caller, desired)
    }

    #[track_caller]
    fn open_copy(
        &self,
        copy: TokenRef,
        caller: &SubjectContext,
        desired: Option<RequestedMask>,
    ) -> Result<Self, NtStatus> {
        match desired {
            None => Ok(Self { token: copy, access: self.access }),
            Some(desired) => Self::open(&copy, caller, desired),
        }
    }

    /// Makes a weaker copy, held with the rights of this handle.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::DUPLICATE`].
    /// - as for [`TokenRef::filter`].
    ///
    /// # NT
    /// `NtFilterToken`.
    #[doc(alias = "NtFilterToken")]
    #[track_caller]
    pub fn filter(&self, filter: &Filter<'_>) -> Result<Self, NtStatus> {
        Ok(Self { token: self.demand(right::DUPLICATE)?.filter(filter)?, access: self.access })
    }

    /// Answers one question about the token, for a caller whose buffer holds `room` bytes.
    ///
    /// A holder of the privilege to act as the system is given the linked token as a primary token.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::QUERY`], or [`right::QUERY_SOURCE`] for the source.
    /// - as for [`TokenRef::query_information_into`].
    ///
    /// # NT
    /// `NtQueryInformationToken`.
    ///
    /// # Source
    /// GetTokenInformation (page); spec/nt-impersonation 2.15.
    #[doc(alias = "NtQueryInformationToken")]
    #[doc(alias = "GetTokenInformation")]
    #[track_caller]
    pub fn query_information(
        &self,
        caller: &SubjectContext,
        class: InfoClass,
        room: usize,
    ) -> Result<Info, QueryError> {
        let right = if class == InfoClass::Source { right::QUERY_SOURCE } else { right::QUERY };
        let token = self.demand(right)?;
        if class == InfoClass::LinkedToken && room >= 8 && caller.primary_holds(Privilege::Tcb) {
            return Ok(Info::LinkedToken(token.linked_as(DuplicateKind::Primary)?));
        }
        token.query_information_into(class, room)
    }

    /// Sets one value of the token.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without the right that [`set::requirement`] names.
    /// - as for [`TokenRef::set_information`].
    ///
    /// # NT
    /// `NtSetInformationToken`.
    #[doc(alias = "NtSetInformationToken")]
    pub fn set_information(&self, caller: &SubjectContext, setting: Setting) -> Result<(), NtStatus> {
        let right = set::requirement(setting.class())?.right;
        self.demand(right)?.set_information(caller, setting)
    }

    /// Compares two tokens.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::QUERY`] to both.
    ///
    /// # NT
    /// `NtCompareTokens`.
    #[doc(alias = "NtCompareTokens")]
    pub fn is_equal_to(&self, other: &Self) -> Result<bool, NtStatus> {
        Ok(self.demand(right::QUERY)?.is_equal_to(other.demand(right::QUERY)?))
    }

    /// Checks access to an object of the caller's for whomever this token speaks for.
    ///
    /// # Errors
    /// - `STATUS_GENERIC_NOT_MAPPED` when a generic right is asked for.
    /// - `STATUS_ACCESS_DENIED` without [`right::QUERY`].
    /// - as for [`TokenRef::access_check`].
    ///
    /// # NT
    /// `NtAccessCheck`.
    #[doc(alias = "NtAccessCheck")]
    pub fn access_check(&self, access: &Access<'_>) -> Result<Granted, NtStatus> {
        if access.desired.has_generic() {
            return Err(NtStatus::GENERIC_NOT_MAPPED);
        }
        self.demand(right::QUERY)?.access_check(access)
    }

    /// Enables, disables and removes privileges.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::ADJUST_PRIVILEGES`].
    pub fn adjust_privileges(&self, changes: &[LuidAndAttributes]) -> Result<PrivilegesAdjusted, NtStatus> {
        Ok(self.demand(right::ADJUST_PRIVILEGES)?.adjust_privileges(changes))
    }

    /// Enables and disables groups.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::ADJUST_GROUPS`].
    /// - as for [`Token::adjust_groups`](crate::token::Token::adjust_groups).
    pub fn adjust_groups(&self, changes: &[(Sid, GroupChange)]) -> Result<GroupsAdjusted, NtStatus> {
        self.demand(right::ADJUST_GROUPS)?.adjust_groups(changes)
    }

    /// Says whether privileges are in force, and marks those that are.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::QUERY`].
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the token is at level Anonymous; Identification is enough here.
    ///
    /// # NT
    /// `NtPrivilegeCheck`.
    #[doc(alias = "NtPrivilegeCheck")]
    pub fn privilege_check(&self, wanted: &mut [LuidAndAttributes], need: Need) -> Result<bool, NtStatus> {
        self.demand(right::QUERY)?.privilege_check(wanted, need)
    }
}

impl ProcessRef {
    /// Opens the primary token of this process.
    ///
    /// # Errors
    /// - as for [`TokenHandle::open`].
    ///
    /// # Identity
    /// Checks whomever `caller` acts as, so a thread that only identifies a client opens nothing.
    ///
    /// # NT
    /// `NtOpenProcessToken`, after the process handle was resolved.
    #[doc(alias = "NtOpenProcessToken")]
    #[track_caller]
    pub fn open_token(&self, caller: &ThreadRef, desired: RequestedMask) -> Result<TokenHandle, NtStatus> {
        TokenHandle::open(&self.reference_primary(), &SubjectContext::capture(caller), desired)
    }
}

impl ThreadRef {
    /// Opens the token this thread wears.
    ///
    /// When it is worn with copy on open, a copy is opened and worn from now on, so that what the opener enables takes
    /// effect on the thread and a second open gives the same object. The client's own token stays out of reach.
    ///
    /// # Inputs
    /// - `caller`: the thread that asks.
    /// - `desired`: the rights wanted.
    /// - `open_as`: who of the caller is checked.
    ///
    /// # Errors
    /// - `STATUS_NO_TOKEN` when this thread wears nobody.
    /// - `STATUS_CANT_OPEN_ANONYMOUS` when it wears a client at level Anonymous, whoever asks.
    /// - as for [`TokenHandle::open`], and the pool's statuses when a copy cannot be made. The thread is unchanged then.
    ///
    /// # NT
    /// `NtOpenThreadToken`, after the thread handle was resolved. Instead of setting the caller's impersonation aside for
    /// the process to be checked, the process is named to the check. The gate is not asked about the copy again.
    ///
    /// # Source
    /// OpenThreadToken (page), NtOpenThreadTokenEx (ntifs.h page); spec/nt-impersonation 2.22.
    #[doc(alias = "NtOpenThreadToken")]
    #[doc(alias = "NtOpenThreadTokenEx")]
    #[doc(alias = "OpenThreadToken")]
    #[track_caller]
    pub fn open_token(
        &self,
        caller: &ThreadRef,
        desired: RequestedMask,
        open_as: OpenAs,
    ) -> Result<TokenHandle, NtStatus> {
        let subject = match open_as {
            OpenAs::Caller => Some(SubjectContext::capture(caller)),
            OpenAs::Process => Some(SubjectContext::capture_in(None, caller.process())),
            OpenAs::Kernel => None,
        };
        let open = |token: &TokenRef| match &subject {
            Some(subject) => TokenHandle::open(token, subject, desired),
            None => Ok(TokenHandle::open_unchecked(token, desired)),
        };
        loop {
            let worn = self.reference_impersonation().ok_or(NtStatus::NO_TOKEN)?;
            if !worn.level.may_identify() {
                return Err(NtStatus::CANT_OPEN_ANONYMOUS);
            }
            if !worn.copy_on_open {
                return open(&worn.token);
            }
            let copy = worn.token.copy_on_open(&worn, &self.process().reference_primary())?;
            let handle = open(&copy)?;
            let shared = Impersonation { token: copy, level: worn.level, reach: worn.reach, copy_on_open: false };
            match self.replace_if_unchanged(&worn, shared) {
                Replaced::Done(old) => {
                    drop(old);
                    return Ok(handle);
                }
                // Somebody put another token on this thread or reverted it: never bring the old one back.
                Replaced::Changed(refused) => drop(refused),
            }
        }
    }

    /// Takes an opened impersonation token on at its own level.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` without [`right::IMPERSONATE`].
    /// - as for [`ThreadRef::assign`].
    ///
    /// # NT
    /// `NtSetInformationThread(ThreadImpersonationToken)`, after the thread handle was resolved.
    #[track_caller]
    pub fn assign_handle(&self, handle: &TokenHandle) -> Result<Outcome, NtStatus> {
        self.assign(handle.demand(right::IMPERSONATE)?)
    }

    /// Takes on whomever another thread acts as.
    ///
    /// # Errors
    /// - as for [`ClientContext::capture`] and [`ThreadRef::prepare`]; this thread is unchanged then.
    ///
    /// # Identity
    /// The gate looks at this thread's process, whoever calls.
    ///
    /// # NT
    /// `NtImpersonateThread`, after both thread handles were resolved.
    ///
    /// # Source
    /// spec/nt-impersonation 2.22.
    #[doc(alias = "NtImpersonateThread")]
    #[doc(alias = "ZwImpersonateThread")]
    #[track_caller]
    pub fn impersonate_thread(&self, client: &ThreadRef, qos: Qos) -> Result<Outcome, NtStatus> {
        self.impersonate(&ClientContext::capture(client, qos, Locality::Local)?)
    }
}
