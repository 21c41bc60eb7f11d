//! Whether two tokens would be judged alike.

use vicar_nt::group::Group;

use super::Token;

impl Token {
    /// Returns whether both tokens have the same SIDs, restriction, restricting SIDs and privileges.
    ///
    /// Which of them are enabled, the level, the type, the ids and the session are not compared.
    ///
    /// # NT
    /// `NtCompareTokens`.
    ///
    /// # Source
    /// NtCompareTokens (page); spec/nt-impersonation 2.23.
    #[doc(alias = "NtCompareTokens")]
    pub fn is_equal_to(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.state(), other.state());
        let with_user = |groups: &[Group], user: Group| {
            let mut all = groups.to_vec();
            all.push(user);
            all
        };
        ours.is_restricted() == theirs.is_restricted()
            && ours.privileges().present() == theirs.privileges().present()
            && has_same_sids(ours.restricting_sids(), theirs.restricting_sids())
            && has_same_sids(&with_user(ours.groups(), *ours.user()), &with_user(theirs.groups(), *theirs.user()))
    }
}

/// Compares as sets, in both directions.
fn has_same_sids(ours: &[Group], theirs: &[Group]) -> bool {
    let is_within =
        |some: &[Group], all: &[Group]| some.iter().all(|group| all.iter().any(|candidate| candidate.sid == group.sid));
    is_within(ours, theirs) && is_within(theirs, ours)
}
