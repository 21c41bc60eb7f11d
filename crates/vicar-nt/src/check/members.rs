//! In which ways a subject holds a SID.

use crate::check::answer::Pass;
use crate::group::GroupAttributes;
use crate::sid_index::{Filter, Key};
use crate::token::TokenState;
use crate::well_known;

/// Answers what a check asks about one SID. There are two: a token state, which looks into its lists one after the other,
/// and a prepared token, which looked beforehand. They answer alike.
pub(crate) trait Members<'m>: Copy {
    /// Which SIDs surely matter to no entry in a reading, and need not be asked about.
    fn filter(self, pass: Pass) -> Filter<'m>;
    /// Whether allow entries for a SID are about the subject.
    fn allows(self, key: Key<'_>) -> bool;
    /// Whether deny entries for a SID are about the subject.
    fn denies(self, key: Key<'_>) -> bool;
    /// Whether a SID is a restricting one.
    fn restricts(self, key: Key<'_>) -> bool;
    /// Whether allow entries for a SID are about the package the subject is confined to.
    fn is_package(self, key: Key<'_>) -> bool;
}

impl<'m> Members<'m> for &'m TokenState {
    #[inline]
    fn filter(self, pass: Pass) -> Filter<'m> {
        let user = Key::new(self.user.sid.as_ref());
        match (pass, &self.restricting, &self.app_container) {
            (Pass::Normal, _, None) => self.groups.filter(user),
            (Pass::Restricted, Some(restricting), _) => restricting.filter(user),
            (Pass::Normal, _, Some(_)) | (Pass::Restricted, None, _) => Filter::UNSURE,
        }
    }

    #[inline]
    fn allows(self, key: Key<'_>) -> bool {
        self.allows_key(key)
    }

    #[inline]
    fn denies(self, key: Key<'_>) -> bool {
        self.denies_key(key)
    }

    fn restricts(self, key: Key<'_>) -> bool {
        self.restricts_key(key)
    }

    fn is_package(self, key: Key<'_>) -> bool {
        let Some(package) = self.app_container() else { return false };
        let sid = key.sid();
        sid == *package.package()
            || sid == well_known::ALL_RESTRICTED_APPLICATION_PACKAGES
            || (sid == well_known::ALL_APPLICATION_PACKAGES && !package.is_lpac())
            || package.capabilities().holds(key, GroupAttributes::counts_for_allow)
    }
}
