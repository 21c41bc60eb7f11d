//! From a token to what the Linux kernel can hold: total, and never wider than the token.

use crate::tracking::Stop;
use crate::{IdentityError, KernelGid, KernelUid, UnixIdentity, sidmap};
use core::fmt;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, IntegrityLevel, Sid, well_known};

/// What a token may be projected to.
#[derive(Clone, Debug)]
pub struct Projection {
    /// What the anonymous logon acts as; no other token may map to its uid.
    pub anonymous: UnixIdentity,
    /// Whether the administrator named user 0 as a permitted client.
    pub root: RootClients,
}

/// Written permission, from configuration, to let a client be user 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootClients {
    /// No client is user 0.
    Refused,
    /// The administrator said so.
    NamedByAdministrator,
}

impl Projection {
    /// Whether a client may be this user.
    pub(crate) fn admits(&self, uid: KernelUid) -> Result<(), ProjectError> {
        if uid.is_root() && self.root == RootClients::Refused {
            return Err(ProjectError::Root);
        }
        if uid == self.anonymous.uid() {
            return Err(ProjectError::MapsToAnonymous(uid));
        }
        Ok(())
    }
}

/// What of a token the Linux kernel cannot hold. Dropping it silently could grant what was denied, so nothing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectError {
    /// The user's SID is not a Unix user's.
    UnmappedUser(Sid),
    /// A group's SID is neither a Unix group's nor one that only lives in tokens.
    UnmappedGroup(Sid),
    /// The token has no primary group that is a Unix group and one of its groups.
    NoPrimaryGroup,
    /// The user may only be used for denying; the kernel has no such uid.
    DenyOnlyUser,
    /// The group may only be used for denying; the kernel has no such membership.
    DenyOnlyGroup(Sid),
    /// The group is switched off; leaving it out could grant what is denied to it.
    DisabledGroup(Sid),
    /// The token has restricting SIDs.
    Restricted,
    /// Everyone is not among the token's restricting SIDs; nobody on Linux is outside the class "others".
    RestrictedWithoutEveryone,
    /// Several users are among the token's restricting SIDs; a thread has one uid.
    SeveralUsers,
    /// More SIDs for deny only than [`crate::restricted::MAX_DENY_ONLY`].
    TooManyDenyOnly {
        /// How many.
        count: usize,
    },
    /// The client's process ended or became somebody else, and nobody acts on its context any more.
    Stopped(Stop),
    /// The token belongs to an AppContainer.
    AppContainer,
    /// The token's integrity is below medium, or it has none.
    LoweredIntegrity(Option<IntegrityLevel>),
    /// The token maps to user 0 and the administrator did not allow that.
    Root,
    /// The token is not the anonymous logon but maps to the anonymous uid.
    MapsToAnonymous(KernelUid),
    /// The ids are not an identity.
    Identity(IdentityError),
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnmappedUser(sid) => write!(f, "user {sid} is no unix user"),
            Self::UnmappedGroup(sid) => write!(f, "group {sid} is no unix group"),
            Self::NoPrimaryGroup => f.write_str("the token's primary group is no unix group"),
            Self::DenyOnlyUser => f.write_str("the user is deny-only, which the kernel cannot hold"),
            Self::DenyOnlyGroup(sid) => write!(f, "group {sid} is deny-only, which the kernel cannot hold"),
            Self::DisabledGroup(sid) => write!(f, "group {sid} is disabled, and leaving it out could grant access"),
            Self::Restricted => f.write_str("restricting SIDs cannot be held by the kernel"),
            Self::RestrictedWithoutEveryone => {
                f.write_str("restricting SIDs without Everyone cannot be enforced: everybody is among the others")
            }
            Self::SeveralUsers => f.write_str("several users among the restricting SIDs cannot be enforced"),
            Self::TooManyDenyOnly { count } => write!(f, "{count} SIDs for deny only are too many"),
            Self::Stopped(stop) => stop.fmt(f),
            Self::AppContainer => f.write_str("an AppContainer cannot be held by the kernel"),
            Self::LoweredIntegrity(Some(_)) => f.write_str("integrity below medium cannot be held by the kernel"),
            Self::LoweredIntegrity(None) => f.write_str("the token has no integrity level"),
            Self::Root => f.write_str("user 0 is no permitted client"),
            Self::MapsToAnonymous(uid) => write!(f, "uid {uid} is the anonymous identity"),
            Self::Identity(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ProjectError {}

/// Returns the Unix identity that has exactly the token's rights on this system.
///
/// # Errors
/// - [`ProjectError`] naming the first part of the token that the kernel cannot hold.
///
/// # Cost
/// O(groups). One allocation.
///
/// # Source
/// credentials(7) for what the kernel can hold.
pub fn project(token: &TokenState, rules: &Projection) -> Result<UnixIdentity, ProjectError> {
    if token.user().attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY) {
        return Err(ProjectError::DenyOnlyUser);
    }
    if token.is_restricted() || token.is_write_restricted() {
        return Err(ProjectError::Restricted);
    }
    if token.app_container().is_some() {
        return Err(ProjectError::AppContainer);
    }
    let mut groups = Vec::with_capacity(token.groups().len());
    for group in token.groups() {
        if group.attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY) {
            return Err(ProjectError::DenyOnlyGroup(group.sid));
        }
        match sidmap::resolve_group(&group.sid) {
            Some(_) if !group.attributes.contains(GroupAttributes::ENABLED) => {
                return Err(ProjectError::DisabledGroup(group.sid));
            }
            Some(gid) => groups.push(gid),
            None if lives_in_tokens_only(&group.sid) => {}
            None => return Err(ProjectError::UnmappedGroup(group.sid)),
        }
    }
    if token.user().sid == well_known::ANONYMOUS {
        return if groups.is_empty() { Ok(rules.anonymous.clone()) } else { Err(ProjectError::NoPrimaryGroup) };
    }
    match token.integrity() {
        Some(level) if level >= IntegrityLevel::MEDIUM => {}
        lowered => return Err(ProjectError::LoweredIntegrity(lowered)),
    }
    let uid = sidmap::resolve_user(&token.user().sid).ok_or(ProjectError::UnmappedUser(token.user().sid))?;
    rules.admits(uid)?;
    // A token may name a group it is not in; on Linux the primary group is a membership.
    let gid = primary_group(token).filter(|gid| groups.contains(gid)).ok_or(ProjectError::NoPrimaryGroup)?;
    UnixIdentity::new(uid, gid, groups).map_err(ProjectError::Identity)
}

pub(crate) fn primary_group(token: &TokenState) -> Option<KernelGid> {
    token.primary_group().and_then(sidmap::resolve_group)
}

/// Whether a group says how somebody signed in, which no file on Linux can name.
pub(crate) fn lives_in_tokens_only(sid: &Sid) -> bool {
    const TOKEN_ONLY: [Sid; 7] = [
        well_known::EVERYONE,
        well_known::LOCAL,
        well_known::NETWORK,
        well_known::INTERACTIVE,
        well_known::SERVICE,
        well_known::AUTHENTICATED_USERS,
        well_known::BATCH,
    ];
    TOKEN_ONLY.contains(sid) || is_logon_sid(sid)
}

fn is_logon_sid(sid: &Sid) -> bool {
    sid.authority() == 5 && sid.sub_authorities().next() == Some(5) && sid.sub_authorities().count() == 3
}
