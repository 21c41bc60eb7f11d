//! Job objects, as far as they limit whom a process may wear.
//!
//! A [`Job`] holds limits that stay for its life. They existed before Vista; under a later profile they say nothing. A job
//! judges the token that is about to be worn, after the gate, and its refusal is an error, not a downgrade. Limits on
//! anything else, and lists of what to strip from worn tokens, are not here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use vicar_nt::NtStatus;

use crate::policy::Profile;
use crate::token::Token;

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
}

impl JobLimit {
    const fn bit(self) -> u8 {
        match self {
            Self::NoAdmin => 0x1,
            Self::RestrictedToken => 0x2,
        }
    }
}

/// A group of processes under the same limits. Cloning gives another handle to the same job.
#[derive(Clone, Debug)]
#[doc(alias = "EJOB")]
pub struct Job(Arc<AtomicU8>);

impl Job {
    /// Makes a job without limits.
    #[expect(clippy::new_without_default, reason = "a job without limits is made on purpose")]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU8::new(0)))
    }

    /// Adds a limit; there is no way to take it back.
    pub fn limit(&self, limit: JobLimit) {
        self.0.fetch_or(limit.bit(), Ordering::AcqRel);
    }

    /// Returns whether the limit is set.
    pub fn has(&self, limit: JobLimit) -> bool {
        self.0.load(Ordering::Acquire) & limit.bit() != 0
    }

    /// Judges a token that a process of this job is about to wear.
    ///
    /// # Errors
    /// - `STATUS_ACCESS_DENIED` when a limit forbids it.
    ///
    /// # Source
    /// JOBOBJECT_SECURITY_LIMIT_INFORMATION and PsImpersonateClient (pages); spec/nt-impersonation 3.5.
    pub(crate) fn judge(&self, profile: Profile, token: &Token) -> Result<(), NtStatus> {
        match profile {
            Profile::V0 | Profile::V1 => {}
            Profile::V2 | Profile::V3 | Profile::V4 => return Ok(()),
        }
        let state = token.state();
        let is_refused = (self.has(JobLimit::NoAdmin) && state.is_admin())
            || (self.has(JobLimit::RestrictedToken) && !state.is_restricted());
        if is_refused { Err(NtStatus::ACCESS_DENIED) } else { Ok(()) }
    }
}
