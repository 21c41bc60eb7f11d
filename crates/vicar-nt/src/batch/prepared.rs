//! A token whose SIDs were looked at beforehand.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::check::{Members, Pass, Subject};
use crate::group::Group;
use crate::level::ImpersonationLevel;
use crate::sid::Sid;
use crate::sid_index::{Filter, Key, SidIndex};
use crate::token::TokenState;
use crate::well_known;

bitflags::bitflags! {
    /// In which ways a subject holds one SID.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Holding: u8 {
        const ALLOW = 1;
        const DENY = 2;
        const RESTRICTING = 4;
        const PACKAGE = 8;
        /// By the other reading of a rule only. It answers nothing, and lets nobody say that the SID surely is not there.
        const BY_READING = 16;
    }
}

#[derive(Clone, Copy, Debug)]
struct Member {
    sid: Sid,
    holding: Holding,
}

/// A token state made ready for many checks: each SID it holds, with all that checks may ask about it, found by one
/// look-up whatever the number of groups.
///
/// Preparing costs about as much as sorting the groups. It pays from a handful of checks on; the answers are those of
/// [`decide`](crate::check::decide) either way.
#[derive(Clone, Debug)]
pub struct PreparedToken {
    state: TokenState,
    members: Arc<[Member]>,
    index: SidIndex,
}

impl PreparedToken {
    /// Prepares a token state. Lists are shared with it, not copied.
    ///
    /// # Cost
    /// O(n log n) in the number of SIDs the token holds. Everything that is ever allocated is allocated here.
    #[must_use]
    pub fn new(state: &TokenState) -> Self {
        let mut held: Vec<Member> = Vec::new();
        let mut hold = |sid: Sid, holding: Holding| held.push(Member { sid, holding });
        let of_group = |group: &Group| {
            let mut holding = Holding::empty();
            holding.set(Holding::ALLOW, group.attributes.counts_for_allow());
            holding.set(Holding::DENY, group.attributes.counts_for_deny());
            holding
        };
        for group in core::iter::once(state.user()).chain(state.groups()) {
            hold(group.sid, of_group(group));
        }
        for group in state.restricting_sids() {
            hold(group.sid, Holding::RESTRICTING);
        }
        if let Some(package) = state.app_container() {
            hold(*package.package(), Holding::PACKAGE);
            hold(well_known::ALL_RESTRICTED_APPLICATION_PACKAGES, Holding::PACKAGE);
            let of_all = if package.is_lpac() { Holding::BY_READING } else { Holding::PACKAGE };
            hold(well_known::ALL_APPLICATION_PACKAGES, of_all);
            let capabilities = package.capabilities().iter();
            for capability in capabilities.filter(|capability| capability.attributes.counts_for_allow()) {
                hold(capability.sid, Holding::PACKAGE);
            }
        }
        held.sort_by_key(|member| member.sid);
        // Two entries with one SID become one that holds it in both ways.
        held.dedup_by(|later, earlier| {
            let is_same = later.sid == earlier.sid;
            if is_same {
                earlier.holding |= later.holding;
            }
            is_same
        });
        held.retain(|member| !member.holding.is_empty());
        let index = SidIndex::new(held.iter().map(|member| &member.sid));
        Self { state: state.clone(), members: held.into(), index }
    }

    /// Returns the token state.
    #[must_use]
    pub const fn state(&self) -> &TokenState {
        &self.state
    }

    #[inline]
    fn holds(&self, key: Key<'_>, holding: Holding) -> bool {
        !self.index.surely_lacks(key) && self.holding(key).contains(holding)
    }

    #[inline(never)]
    fn holding(&self, key: Key<'_>) -> Holding {
        let mut found = self.index.find(key, &self.members, |member| &member.sid);
        found.next().map_or(Holding::empty(), |member| member.holding)
    }
}

impl From<&TokenState> for PreparedToken {
    fn from(state: &TokenState) -> Self {
        Self::new(state)
    }
}

impl<'m> Members<'m> for &'m PreparedToken {
    #[inline]
    fn filter(self, _: Pass) -> Filter<'m> {
        self.index.filter(Key::new(self.state.user.sid.as_ref()))
    }

    #[inline]
    fn allows(self, key: Key<'_>) -> bool {
        self.holds(key, Holding::ALLOW)
    }

    #[inline]
    fn denies(self, key: Key<'_>) -> bool {
        self.holds(key, Holding::DENY)
    }

    #[inline]
    fn restricts(self, key: Key<'_>) -> bool {
        self.holds(key, Holding::RESTRICTING)
    }

    #[inline]
    fn is_package(self, key: Key<'_>) -> bool {
        self.holds(key, Holding::PACKAGE)
    }
}

/// Both tokens of one thread, of which the one that decides is prepared.
#[derive(Clone, Copy, Debug)]
pub struct PreparedSubject<'a> {
    pub(super) effective: &'a PreparedToken,
    pub(super) subject: Subject<'a>,
}

impl<'a> PreparedSubject<'a> {
    /// A subject that acts for itself.
    #[must_use]
    pub const fn itself(primary: &'a PreparedToken) -> Self {
        Self { effective: primary, subject: Subject::itself(primary.state()) }
    }

    /// A subject that acts for a client.
    #[must_use]
    pub const fn client(client: &'a PreparedToken, level: ImpersonationLevel, primary: &'a TokenState) -> Self {
        Self { effective: client, subject: Subject::client(client.state(), level, primary) }
    }

    /// Returns the subject as a single check takes it.
    #[must_use]
    pub const fn subject(&self) -> Subject<'a> {
        self.subject
    }
}
