//! Access and privilege checks of a captured subject.
//!
//! [`SubjectContext::access_check`] asks `vicar-nt` about both tokens at once and passes its answer on; the level of the
//! client is part of the question, so a client that may only be identified opens nothing. [`ThreadRef::holds`] captures the
//! calling thread for one question. Nothing is decided here; what sources leave open is read as the
//! [`Policy`](crate::Policy) of the tokens' system says.

use vicar_nt::check::{AccessMode, AccessRequest, Api, CheckOptions, decide};
use vicar_nt::descriptor::DescriptorRef;
use vicar_nt::privilege::PrivilegeMask;
use vicar_nt::{AccessMask, GenericMapping, NtStatus, Privilege, Readings, RequestedMask};

use crate::subject::{LockedSubject, SubjectContext};
use crate::thread::ThreadRef;
use crate::token::TokenRef;

/// What is asked of an access check, apart from who asks.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The object's security descriptor; without one everybody but the kernel is refused.
    pub descriptor: Option<DescriptorRef<'a>>,
    /// The rights wanted.
    pub desired: RequestedMask,
    /// Rights that were granted before.
    pub previously_granted: RequestedMask,
    /// What generic rights mean for the object's type.
    pub mapping: GenericMapping,
    /// On whose behalf: the kernel is not asked for anything, not even for a level.
    pub mode: AccessMode,
}

/// The rights an access check granted, and the privileges that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The rights.
    pub mask: AccessMask,
    /// The privileges used.
    pub privileges: PrivilegeMask,
}

impl SubjectContext {
    /// Checks access for the captured subject.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when there is no descriptor, or it does not grant what is wanted.
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when the client is below level Impersonation, whatever the descriptor says.
    /// - `STATUS_PRIVILEGE_NOT_HELD` when the audit list is asked for without the security privilege.
    ///
    /// # Identity
    /// The client's token decides when there is one, at the level of the capture.
    ///
    /// # NT
    /// `SeAccessCheck`; its BOOLEAN, AccessStatus and GrantedAccess are one result.
    ///
    /// # Source
    /// SeAccessCheck (wdm.h page); MS-DTYP 2.5.3.2; spec/nt-impersonation 4.1, 4.2.
    #[doc(alias = "SeAccessCheck")]
    #[track_caller]
    pub fn access_check(&self, access: &Access<'_>) -> Result<Granted, NtStatus> {
        if access.mode == AccessMode::User {
            self.note_use();
        }
        check(&self.lock(), access, Api::SeAccessCheck, self.primary().system().policy().readings)
    }
}

impl TokenRef {
    /// Checks access for a token that a server was handed, to an object of its own.
    ///
    /// # Errors
    /// - `STATUS_NO_IMPERSONATION_TOKEN` when it is a primary token.
    /// - `STATUS_BAD_IMPERSONATION_LEVEL` when it is below level Identification, which is enough here.
    /// - `STATUS_GENERIC_NOT_MAPPED`, `STATUS_INVALID_SECURITY_DESCR` for what the server asks wrongly.
    /// - `STATUS_ACCESS_DENIED`, `STATUS_PRIVILEGE_NOT_HELD` as for [`SubjectContext::access_check`].
    ///
    /// # NT
    /// `NtAccessCheck`, after the handle was resolved. The supplied token is checked, not the caller's.
    ///
    /// # Source
    /// AccessCheck (page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtAccessCheck")]
    #[doc(alias = "AccessCheck")]
    pub fn access_check(&self, access: &Access<'_>) -> Result<Granted, NtStatus> {
        check(&LockedSubject::of_token(self), access, Api::NtAccessCheck, self.system().policy().readings)
    }
}

fn check(locked: &LockedSubject, access: &Access<'_>, api: Api, readings: Readings) -> Result<Granted, NtStatus> {
    let request = AccessRequest {
        subject: locked.subject(),
        descriptor: access.descriptor,
        desired: access.desired,
        previously_granted: access.previously_granted,
        mapping: access.mapping,
        mode: access.mode,
        api,
        object_types: &[],
        self_sid: None,
        policies: &[],
        options: CheckOptions { readings, ..CheckOptions::STANDARD },
    };
    let grant = decide(&request).map_err(|denial| denial.status())?;
    Ok(Granted { mask: grant.mask(), privileges: grant.privileges_used() })
}

impl ThreadRef {
    /// Says whether whoever this thread acts as has a privilege in force.
    ///
    /// # Identity
    /// A thread that wears a client below level Impersonation has none, even if client and process both do.
    ///
    /// # NT
    /// `SeSinglePrivilegeCheck`.
    ///
    /// # Source
    /// SeSinglePrivilegeCheck (ntddk.h page); spec/nt-impersonation 2.18.
    #[doc(alias = "SeSinglePrivilegeCheck")]
    #[must_use]
    #[track_caller]
    pub fn holds(&self, privilege: Privilege, mode: AccessMode) -> bool {
        match mode {
            AccessMode::Kernel => true,
            AccessMode::User => SubjectContext::capture(self).holds(privilege, mode),
        }
    }
}
