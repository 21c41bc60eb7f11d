//! Job objects, as far as they limit whom a process may wear.
//!
//! A [`Job`] holds limits that stay for its life. They existed before Vista; under a later profile they say nothing. A job
//! judges the token that is about to be worn, after the gate: a refusal is an error, not a downgrade, and what is not refused
//! may be weakened by the job's [`Stripping`]. Limits on anything else are not here.
//!
//! | limit | token about to be worn | what happens |
//! |---|---|---|
//! | [`JobLimit::NoAdmin`] | an administrator's | refused |
//! | [`JobLimit::RestrictedToken`] | one without restricting SIDs | refused |
//! | [`JobLimit::OnlyToken`] | any | nothing: it is about primary tokens |
//! | [`Stripping`] | any that was not refused | a filtered copy is worn |

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use vicar_nt::group::Group;
use vicar_nt::token::{Filter, FilterFlags};
use vicar_nt::{Luid, NtStatus, Sid};

use crate::policy::Profile;
use crate::token::TokenRef;

/// A limit on the tokens that processes of a job wear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "JOBOBJECT_SECURITY_LIMIT_INFORMATION")]
pub enum JobLimit {
    /// No token of an administrator.
    #[doc(alias = "JOB_OBJECT_SECURITY_NO_ADMIN")]
    NoAdmin,
    /// Only tokens with restricting SIDs.
    #[doc(alias = "JOB_OBJECT_SECURITY_RESTRICTED_TOKEN")]
    RestrictedToken,
    /// Only one given token, for processes; whom threads wear is not limited by it.
    #[doc(alias = "JOB_OBJECT_SECURITY_ONLY_TOKEN")]
    OnlyToken,
}

impl JobLimit {
    const fn bit(self) -> u8 {
        match self {
            Self::NoAdmin => 0x1,
            Self::RestrictedToken => 0x2,
            Self::OnlyToken => 0x4,
        }
    }
}

/// What a job takes away from every token its processes wear.
///
/// # NT
/// The lists of `JOB_OBJECT_SECURITY_FILTER_TOKENS`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "JOB_OBJECT_SECURITY_FILTER_TOKENS")]
#[doc(alias = "JOBOBJECT_SECURITY_LIMIT_INFORMATION")]
pub struct Stripping {
    /// SIDs that count for deny entries only.
    pub disable: Vec<Sid>,
    /// Privileges to remove.
    pub delete: Vec<Luid>,
    /// Restricting SIDs to add.
    pub restrict: Vec<Group>,
}

#[derive(Debug)]
struct Limits {
    bits: AtomicU8,
    stripping: OnceLock<Stripping>,
}

/// A group of processes under the same limits. Cloning gives another handle to the same job.
#[derive(Clone, Debug)]
#[doc(alias = "EJOB")]
pub struct Job(Arc<Limits>);

impl Job {
    /// Makes a job without limits.
    #[expect(clippy::new_without_default, reason = "a job without limits is made on purpose")]
    pub fn new() -> Self {
        Self(Arc::new(Limits { bits: AtomicU8::new(0), stripping: OnceLock::new() }))
    }

    /// Adds a limit; there is no way to take it back.
    pub fn limit(&self, limit: JobLimit) {
        self.0.bits.fetch_or(limit.bit(), Ordering::AcqRel);
    }

    /// Makes every token worn from now on be weakened; there is no way to take it back.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when the job weakens tokens already.
    pub fn strip(&self, stripping: Stripping) -> Result<(), NtStatus> {
        self.0.stripping.set(stripping).map_err(|_| NtStatus::ACCESS_DENIED)
    }

    /// Returns whether the limit is set.
    pub fn has(&self, limit: JobLimit) -> bool {
        self.0.bits.load(Ordering::Acquire) & limit.bit() != 0
    }

    /// Judges a token that a process of this job is about to wear, and returns what it may wear instead.
    ///
    /// Refusals look at the token as it is, before anything is taken away from it.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when a limit forbids it.
    /// - the statuses of [`TokenRef::filter`] when it is to be weakened and cannot be.
    ///
    /// # Source
    /// JOBOBJECT_SECURITY_LIMIT_INFORMATION and PsImpersonateClient (pages); spec/nt-impersonation 3.5.
    #[track_caller]
    pub(crate) fn judge(&self, profile: Profile, token: TokenRef) -> Result<TokenRef, NtStatus> {
        match profile {
            Profile::V0 | Profile::V1 => {}
            Profile::V2 | Profile::V3 | Profile::V4 => return Ok(token),
        }
        let state = token.state();
        let is_refused = (self.has(JobLimit::NoAdmin) && state.is_admin())
            || (self.has(JobLimit::RestrictedToken) && !state.is_restricted());
        if is_refused {
            return Err(NtStatus::ACCESS_DENIED);
        }
        let Some(Stripping { disable, delete, restrict }) = self.0.stripping.get() else { return Ok(token) };
        token.filter(&Filter { flags: FilterFlags::empty(), disable, delete, restrict })
    }
}
