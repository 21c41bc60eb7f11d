//! What a check answers.

use core::fmt;

use crate::descriptor::DescriptorRef;
use crate::level::ImpersonationLevel;
use crate::mask::AccessMask;
use crate::privilege::{Privilege, PrivilegeMask};
use crate::status::NtStatus;

/// Proof that a check granted these rights on this descriptor. Only the check can make one.
#[must_use = "a grant nobody uses usually means the check guards nothing"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'d> {
    pub(super) mask: AccessMask,
    pub(super) privileges: PrivilegeMask,
    pub(super) of: Option<DescriptorRef<'d>>,
}

impl<'d> Grant<'d> {
    /// Returns what was granted: specific and standard rights, never MAXIMUM_ALLOWED.
    #[must_use]
    pub const fn mask(&self) -> AccessMask {
        self.mask
    }

    /// Returns the privileges without which less would have been granted.
    #[must_use]
    pub const fn privileges_used(&self) -> PrivilegeMask {
        self.privileges
    }

    /// Returns the descriptor the rights were granted on, if there was one.
    #[must_use]
    pub const fn descriptor(&self) -> Option<DescriptorRef<'d>> {
        self.of
    }
}

/// One reading of a DACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// With the token's own SIDs, and its package's.
    Normal,
    /// With its restricting SIDs.
    Restricted,
}

/// Which step refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller must map generic rights itself.
    GenericNotMapped,
    /// The caller must give an impersonation token.
    ImpersonationTokenRequired,
    /// The client does not let the server do this.
    LevelTooLow(ImpersonationLevel),
    /// There is no descriptor.
    NoDescriptor,
    /// The descriptor has no owner or no group, and the caller's rules need both.
    IncompleteDescriptor,
    /// The list of object types is not a tree, or names a type twice.
    ObjectTypeList,
    /// Nothing was asked for, and nothing had been granted.
    NothingDesired,
    /// The subject's process is not trusted enough.
    TrustLabel,
    /// An access filter does not let the subject through.
    AccessFilter,
    /// The subject's integrity is below the object's.
    Integrity,
    /// A privilege is needed that is not enabled.
    PrivilegeNotHeld(Privilege),
    /// The DACL has an effective entry of an unknown type, and the options say to refuse then.
    UnknownAce {
        /// Which entry, from 0.
        index: u16,
    },
    /// An entry denies.
    DenyAce {
        /// In which reading.
        pass: Pass,
        /// Which entry, from 0.
        index: u16,
    },
    /// No entry grants.
    NotGranted {
        /// In which reading.
        pass: Pass,
    },
    /// The subject may, but the package it is confined to may not.
    Package,
    /// A rule of the object's central policy does not grant.
    CentralRule {
        /// Which rule, from 0.
        index: u16,
    },
    /// As much as allowed was asked for, and nothing is.
    NothingAllowed,
}

/// A check refused.
///
/// For the log and for whoever asks why. To the client it is one status: `Display` prints that and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rights asked for that are missing.
    pub missing: AccessMask,
    /// Which step refused.
    pub by: Refusal,
}

impl Denial {
    /// Returns what NT answers.
    pub const fn status(&self) -> NtStatus {
        self.by.status()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("access denied")
    }
}
impl core::error::Error for Denial {}

/// What one node of an object type list was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeAnswer {
    /// Success, or why not.
    pub status: NtStatus,
    /// What is granted there; with a refusal, the part of what was asked for that would have been.
    pub granted: AccessMask,
}
