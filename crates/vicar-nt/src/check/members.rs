//! In which ways a subject holds a SID.

use crate::sid::SidRef;
use crate::token::TokenState;
use crate::well_known;

/// Answers what a check asks about one SID. There are two: a token state, which looks into its lists one after the other,
/// and a prepared token, which looked beforehand. They answer alike.
pub(crate) trait Members: Copy {
    /// Whether it takes no search to know that the subject holds `sid` in none of these ways.
    fn surely_lacks(self, sid: SidRef<'_>) -> bool;
    /// Whether allow entries for `sid` are about the subject.
    fn allows(self, sid: SidRef<'_>) -> bool;
    /// Whether deny entries for `sid` are about the subject.
    fn denies(self, sid: SidRef<'_>) -> bool;
    /// Whether `sid` is a restricting SID.
    fn restricts(self, sid: SidRef<'_>) -> bool;
    /// Whether allow entries for `sid` are about the package the subject is confined to.
    fn is_package(self, sid: SidRef<'_>) -> bool;
}

impl Members for &TokenState {
    #[inline]
    fn surely_lacks(self, sid: SidRef<'_>) -> bool {
        !self.is_restricted() && self.app_container().is_none() && self.surely_holds_not(sid)
    }

    #[inline]
    fn allows(self, sid: SidRef<'_>) -> bool {
        self.counts_for_allow(sid)
    }

    #[inline]
    fn denies(self, sid: SidRef<'_>) -> bool {
        self.counts_for_deny(sid)
    }

    fn restricts(self, sid: SidRef<'_>) -> bool {
        self.is_restricting(sid)
    }

    fn is_package(self, sid: SidRef<'_>) -> bool {
        let Some(package) = self.app_container() else { return false };
        sid == *package.package()
            || sid == well_known::ALL_RESTRICTED_APPLICATION_PACKAGES
            || (sid == well_known::ALL_APPLICATION_PACKAGES && !package.is_lpac())
            || package.capabilities().find(sid).any(|capability| capability.attributes.counts_for_allow())
    }
}
