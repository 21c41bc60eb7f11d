//! Clients with less than their own rights: what a restricted token means to a kernel that has no such thing.
//!
//! A restricted token is judged by NT in one walk with two rules, and twice over if it has restricting SIDs. The Linux
//! kernel has one set of ids and one rule. So a deed that needs permission is done once for each of several identities, the
//! *passes*, and all must succeed **on the same inode** (device and number are compared): opening a file, listing a
//! directory, looking at a name, reading an attribute, asking. The descriptor of the first pass is the one that is handed
//! out, the others are closed. What cannot be done twice is refused. What cannot be enforced is refused. Nothing is ignored.
//!
//! | NT | how it is enforced here |
//! |---|---|
//! | group for deny only (`SidsToDisable`) | one pass without any such group, one more for each of them with it added: what it grants is lost in the first, what it denies in its own |
//! | group that is disabled and not deny-only | as for deny only: stricter than NT, where it neither grants nor denies |
//! | user for deny only | the first pass as the anonymous user with the client's groups, one more as the user |
//! | Everyone for deny only | refused ([`ProjectError::DenyOnlyGroup`]): nobody on Linux is outside the class "others" |
//! | groups that no file on Linux can name (Network, Interactive, logon SIDs, ...), deny-only or not | nothing to enforce |
//! | any other SID that is no Unix user or group | refused ([`ProjectError::UnmappedGroup`], [`ProjectError::UnmappedUser`]) |
//! | privileges removed | nothing to enforce: no privilege of a client ever becomes a capability; the elevated queue asks the token |
//! | restricting SIDs | one more pass: the user among them (else the anonymous user) with the groups among them |
//! | restricting SIDs without Everyone | refused ([`ProjectError::RestrictedWithoutEveryone`]): the class "others" cannot be taken away |
//! | restricting SIDs with several users | refused ([`ProjectError::SeveralUsers`]): a thread has one uid |
//! | restricting SIDs Restricted Code, Write Restricted | grant nothing, because no file on Linux names them |
//! | write-restricted | the pass of the restricting SIDs counts for writing only, and is asked for writing only |
//! | integrity below medium, with the policy that protects what is above | no writing at all: everything on Linux is unlabelled, which means medium and protected from writing; reading as before |
//! | integrity below medium without that policy | nothing to enforce |
//! | no integrity level | refused ([`ProjectError::LoweredIntegrity`]) |
//! | AppContainer | refused ([`ProjectError::AppContainer`]) |
//! | making, removing, renaming, linking, changing modes, ACLs, attributes and owners | refused ([`FsError::CannotBeDoneTwice`]): the second time it would find the deed done |
//! | more than 16 SIDs for deny only | refused ([`ProjectError::TooManyDenyOnly`]): each costs a pass |
//!
//! The cost is one change of identity and one deed for each pass. Reading and writing through an open descriptor is checked
//! by nobody, here as everywhere, and costs nothing more.
//!
//! Only the operations of [`crate::fs`] know of passes. Between them the thread is nobody (the anonymous identity), never the
//! client: a raw system call in the closure is judged as nobody's. That is why such clients have an entry of their own,
//! [`Server::run_restricted`](crate::Server::run_restricted), and every other road refuses them.

mod turns;

pub(crate) use turns::{PassThread, Turns};

use crate::project::{ProjectError, Projection, lives_in_tokens_only, primary_group};
use crate::switch::place::Target;
use crate::{KernelGid, KernelUid, UnixIdentity, sidmap};
use std::sync::Arc;
use vicar_nt::token::{MandatoryPolicy, TokenState};
use vicar_nt::{GroupAttributes, IntegrityLevel, Sid, well_known};

#[cfg(doc)]
use crate::fs::FsError;

/// Most SIDs for deny only.
pub const MAX_DENY_ONLY: usize = 16;

/// What a pass has a say in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judges {
    Everything,
    /// Writing, and of a deed that reads and writes the writing.
    Writing,
}

/// What a deed does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Reads,
    Writes,
}

/// One identity that must be allowed what the client does.
#[derive(Debug)]
pub(crate) struct Pass {
    identity: UnixIdentity,
    pub(crate) target: Arc<Target>,
    pub(crate) judges: Judges,
}

impl PartialEq for Pass {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity && self.judges == other.judges
    }
}

impl Eq for Pass {}

/// Everything that must allow a deed of one client. The first pass judges everything.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passes {
    list: Vec<Pass>,
    may_write: bool,
    who: UnixIdentity,
}

impl Passes {
    /// The one pass of a token that Linux can hold.
    pub(crate) fn whole(identity: &UnixIdentity) -> Self {
        let mut passes = Self { list: Vec::new(), may_write: true, who: identity.clone() };
        passes.push(identity.clone(), Judges::Everything);
        passes
    }

    fn push(&mut self, identity: UnixIdentity, judges: Judges) {
        let target = Arc::new(Target::new(&identity));
        self.list.push(Pass { identity, target, judges });
    }

    /// Who the client is, for the server's records: its user, whatever counts for denying only left out.
    pub(crate) fn who(&self) -> &UnixIdentity {
        &self.who
    }

    /// Whether there is any deed of this kind that may be allowed.
    pub(crate) fn may(&self, effect: Effect) -> bool {
        self.may_write || effect == Effect::Reads
    }

    /// The passes that have a say in a deed.
    pub(crate) fn of(&self, effect: Effect) -> impl Iterator<Item = &Pass> {
        self.list.iter().filter(move |pass| pass.judges == Judges::Everything || effect == Effect::Writes)
    }
}

/// What of a token's groups counts how.
#[derive(Default)]
struct Groups {
    allow: Vec<KernelGid>,
    deny_only: Vec<KernelGid>,
}

impl Groups {
    fn of(token: &TokenState) -> Result<Self, ProjectError> {
        let mut groups = Self::default();
        for group in token.groups() {
            match sidmap::resolve_group(&group.sid) {
                Some(gid) if group.attributes.counts_for_allow() => groups.allow.push(gid),
                Some(gid) => groups.deny_only.push(gid),
                None if group.sid == well_known::EVERYONE && !group.attributes.counts_for_allow() => {
                    return Err(ProjectError::DenyOnlyGroup(group.sid));
                }
                None if lives_in_tokens_only(&group.sid) => {}
                None => return Err(ProjectError::UnmappedGroup(group.sid)),
            }
        }
        groups.deny_only.sort_unstable();
        groups.deny_only.dedup();
        groups.allow.retain(|gid| !groups.deny_only.contains(gid));
        Ok(groups)
    }
}

/// Returns the passes that together have exactly the token's rights, or fewer.
///
/// # Errors
/// - [`ProjectError`] naming what no number of passes can enforce.
///
/// # Cost
/// O(groups) for each SID that counts for denying only.
///
/// # Source
/// MS-DTYP 2.5.3.2; learn.microsoft.com, "Restricted Tokens", "Mandatory Integrity Control"; acl(5), "Access check
/// algorithm": among the entries for groups one that allows is enough, so each denying group needs a pass of its own.
pub(crate) fn passes(token: &TokenState, rules: &Projection) -> Result<Passes, ProjectError> {
    if token.app_container().is_some() {
        return Err(ProjectError::AppContainer);
    }
    let may_write = match token.integrity() {
        None => return Err(ProjectError::LoweredIntegrity(None)),
        Some(level) => {
            level >= IntegrityLevel::MEDIUM || !token.mandatory_policy().contains(MandatoryPolicy::NO_WRITE_UP)
        }
    };
    let Groups { allow, deny_only } = Groups::of(token)?;
    let uid = user(&token.user().sid, rules)?;
    let primary = primary_group(token).filter(|gid| allow.contains(gid) || deny_only.contains(gid));
    let primary = primary.ok_or(ProjectError::NoPrimaryGroup)?;
    let gid = if allow.contains(&primary) { primary } else { rules.anonymous.gid() };
    let user_denies_only = token.user().attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY);
    let count = deny_only.len().saturating_add(usize::from(user_denies_only));
    if count > MAX_DENY_ONLY {
        return Err(ProjectError::TooManyDenyOnly { count });
    }
    let identity = |uid, more: Option<KernelGid>| {
        let groups = allow.iter().copied().chain(more);
        UnixIdentity::new(uid, gid, groups).map_err(ProjectError::Identity)
    };
    let base = if user_denies_only { rules.anonymous.uid() } else { uid };
    let mut passes = Passes { list: Vec::new(), may_write, who: identity(uid, None)? };
    passes.push(identity(base, None)?, Judges::Everything);
    if user_denies_only {
        passes.push(identity(uid, None)?, Judges::Everything);
    }
    for denying in deny_only {
        passes.push(identity(base, Some(denying))?, Judges::Everything);
    }
    if token.is_restricted() {
        let judges = if token.is_write_restricted() { Judges::Writing } else { Judges::Everything };
        passes.push(restricting(token, rules)?, judges);
    }
    Ok(passes)
}

fn user(sid: &Sid, rules: &Projection) -> Result<KernelUid, ProjectError> {
    let uid = sidmap::resolve_user(sid).ok_or(ProjectError::UnmappedUser(*sid))?;
    rules.admits(uid)?;
    Ok(uid)
}

/// The identity of a token's restricting SIDs.
fn restricting(token: &TokenState, rules: &Projection) -> Result<UnixIdentity, ProjectError> {
    const GRANT_NOTHING: [Sid; 2] = [well_known::RESTRICTED_CODE, well_known::WRITE_RESTRICTED];
    let (mut users, mut groups, mut has_everyone) = (Vec::new(), Vec::new(), false);
    for group in token.restricting_sids() {
        if let Some(gid) = sidmap::resolve_group(&group.sid) {
            groups.push(gid);
        } else if sidmap::resolve_user(&group.sid).is_some() {
            users.push(user(&group.sid, rules)?);
        } else if group.sid == well_known::EVERYONE {
            has_everyone = true;
        } else if !lives_in_tokens_only(&group.sid) && !GRANT_NOTHING.contains(&group.sid) {
            return Err(ProjectError::UnmappedGroup(group.sid));
        }
    }
    if !has_everyone {
        return Err(ProjectError::RestrictedWithoutEveryone);
    }
    users.dedup();
    let uid = match *users {
        [] => rules.anonymous.uid(),
        [uid] => uid,
        [_, _, ..] => return Err(ProjectError::SeveralUsers),
    };
    let gid = groups.first().copied().unwrap_or(rules.anonymous.gid());
    UnixIdentity::new(uid, gid, groups).map_err(ProjectError::Identity)
}

#[cfg(test)]
mod tests;
