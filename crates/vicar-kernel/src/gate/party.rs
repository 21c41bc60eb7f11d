//! What the gate knows of one side: values only.

use vicar_nt::token::{AppContainer, Elevation, TokenState};
use vicar_nt::{Group, GroupAttributes, IntegrityLevel, Luid, Privilege, Sid, well_known};

use crate::token::{Snapshot, Token};

/// One side of a gate decision: the facts of a token that matter to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party<'a> {
    /// The user; whether it counts for allowing is not looked at.
    pub user: Sid,
    /// The logon session.
    pub authentication_id: Luid,
    /// The logon session that made the token with explicit credentials, or zero.
    pub origin: Luid,
    /// The integrity level, if there is one.
    pub integrity: Option<IntegrityLevel>,
    /// Whether the impersonate privilege is enabled.
    pub holds_impersonate: bool,
    /// Whether there are restricting SIDs.
    pub is_restricted: bool,
    /// Whether the user is the anonymous one and no group or privilege carries weight.
    pub has_only_anonymous_data: bool,
    /// How far the token is elevated.
    pub elevation: ElevationFacts,
    /// The process trust SID, if any.
    pub trust: Option<Sid>,
    /// The AppContainer, if any.
    pub sandbox: Option<Sandbox<'a>>,
    /// The terminal session.
    pub session: u32,
}

/// How far a token is elevated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElevationFacts {
    /// The full half of a split pair, or an unsplit administrator.
    pub is_elevated: bool,
    /// The full half of a split pair.
    pub is_full_half: bool,
}

/// The AppContainer of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox<'a> {
    package: &'a Sid,
    capabilities: &'a [Group],
}

impl<'a> Sandbox<'a> {
    /// Puts a package and its capabilities together.
    pub const fn new(package: &'a Sid, capabilities: &'a [Group]) -> Self {
        Self { package, capabilities }
    }

    /// Returns the package SID.
    pub const fn package(&self) -> &'a Sid {
        self.package
    }

    /// Returns whether the package holds the constrained-impersonation capability.
    pub fn is_constrained_impersonator(&self) -> bool {
        self.capabilities.iter().any(|capability| capability.sid == CONSTRAINED_IMPERSONATION)
    }

    /// Returns whether every capability of `other` is one of this sandbox.
    pub fn holds_all_of(&self, other: &Sandbox<'_>) -> bool {
        other.capabilities.iter().all(|theirs| self.capabilities.iter().any(|ours| ours.sid == theirs.sid))
    }
}

/// The capability that lets a sandboxed process wear tokens of its own package.
///
/// Named capabilities are S-1-15-3-1024 followed by the SHA-256 of the upper-case name; these words are the hash of
/// `CONSTRAINEDIMPERSONATION` in UTF-16 little endian.
///
/// # Source
/// DeriveCapabilitySidsFromName (securitybaseapi.h page).
pub const CONSTRAINED_IMPERSONATION: Sid = match Sid::new(
    15,
    &[
        3,
        1024,
        1_604_681_682,
        535_129_537,
        3_273_749_797,
        3_666_938_095,
        336_295_784,
        2_177_615_760,
        2_743_807_136,
        2_867_270_584,
    ],
) {
    Some(sid) => sid,
    None => well_known::NULL, // ten sub-authorities are within the limit; a test looks
};

impl<'a> Party<'a> {
    /// Reads the facts off one snapshot of a token.
    #[inline]
    pub fn of(token: &Token, snapshot: &'a Snapshot) -> Self {
        let state = snapshot.state();
        Self {
            user: state.user().sid,
            authentication_id: token.authentication_id(),
            origin: snapshot.origin(),
            integrity: state.integrity(),
            holds_impersonate: state.privileges().is_enabled(Privilege::Impersonate),
            is_restricted: state.is_restricted(),
            has_only_anonymous_data: snapshot.facts().has_only_anonymous_data,
            elevation: snapshot.facts().elevation,
            trust: state.trust().copied(),
            sandbox: state.app_container().map(sandbox),
            session: state.session(),
        }
    }
}

/// What has to be searched for in a state, found once when the state is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GateFacts {
    has_only_anonymous_data: bool,
    elevation: ElevationFacts,
}

impl GateFacts {
    pub(crate) fn of(state: &TokenState) -> Self {
        Self { has_only_anonymous_data: has_only_anonymous_data(state), elevation: elevation(state) }
    }
}

fn sandbox(container: &AppContainer) -> Sandbox<'_> {
    Sandbox { package: container.package(), capabilities: container.capabilities() }
}

fn elevation(state: &TokenState) -> ElevationFacts {
    let (is_elevated, is_full_half) = match state.elevation() {
        Elevation::Full => (true, true),
        Elevation::Default => (state.is_admin(), false),
        Elevation::Limited => (false, false),
    };
    ElevationFacts { is_elevated, is_full_half }
}

/// The anonymous user, no privilege but bypass-traverse, and no group but those every anonymous token has.
fn has_only_anonymous_data(state: &TokenState) -> bool {
    let is_weightless = |group: &Group| {
        let sid = group.sid;
        sid == well_known::EVERYONE
            || sid == well_known::NETWORK
            || sid == well_known::ANONYMOUS
            || IntegrityLevel::parse_sid(sid.as_ref()).is_some()
            || group.attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY)
    };
    state.user().sid == well_known::ANONYMOUS
        && state.groups().iter().all(is_weightless)
        && state.privileges().present().without(Privilege::ChangeNotify).is_empty()
}

/// Returns whether process trust `upper` is at least `lower` in type and in level. No trust is below every other.
///
/// A SID that is not of the form S-1-19-type-level is dominated only by itself.
///
/// # Source
/// MS-DTYP 2.4.4 (process trust label); spec/nt-impersonation 3.2 G3.
pub fn dominates(upper: Option<&Sid>, lower: Option<&Sid>) -> bool {
    match (upper, lower) {
        (_, None) => true,
        (None, Some(lower)) => trust_parts(lower) == Some((0, 0)),
        (Some(upper), Some(lower)) => match (trust_parts(upper), trust_parts(lower)) {
            (Some((upper_type, upper_level)), Some((lower_type, lower_level))) => {
                upper_type >= lower_type && upper_level >= lower_level
            }
            (None, _) | (_, None) => upper == lower,
        },
    }
}

fn trust_parts(sid: &Sid) -> Option<(u32, u32)> {
    let mut subs = sid.sub_authorities();
    match (sid.authority(), subs.next(), subs.next(), subs.next()) {
        (19, Some(kind), Some(level), None) => Some((kind, level)),
        _ => None,
    }
}
