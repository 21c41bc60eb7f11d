//! Token states for accounts and for this process.

use super::own::Own;
use crate::capability::{Namespace, privileges};
use crate::{KernelUid, UnixIdentity, sidmap};
use vicar_kernel::LogonKind;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, IntegrityLevel, NtStatus, PrivilegeSet, Sid, well_known};

/// Builds the token state of somebody who signed in: no privileges, every Unix group mandatory and enabled.
///
/// # Errors
/// - `STATUS_INVALID_PARAMETER` when the parts do not make a token.
///
/// # Cost
/// O(groups).
pub fn of_identity(identity: &UnixIdentity, kind: LogonKind) -> Result<TokenState, NtStatus> {
    build(identity, kind, PrivilegeSet::NONE)
}

/// Builds the token state of this process, with the privileges that its capabilities amount to.
///
/// # Errors
/// As for [`of_identity`].
pub fn of_own(own: &Own, kind: LogonKind, namespace: Namespace) -> Result<TokenState, NtStatus> {
    build(&own.identity, kind, privileges(own.effective, own.permitted, namespace))
}

/// As [`of_identity`], with Unix groups that are enabled and not mandatory.
pub(crate) fn of_changing(identity: &UnixIdentity, kind: LogonKind) -> Result<TokenState, NtStatus> {
    let changing = GroupAttributes::ENABLED.union(GroupAttributes::ENABLED_BY_DEFAULT);
    assemble(identity, kind, PrivilegeSet::NONE, changing)
}

pub(crate) fn build(
    identity: &UnixIdentity,
    kind: LogonKind,
    privileges: PrivilegeSet,
) -> Result<TokenState, NtStatus> {
    assemble(identity, kind, privileges, GroupAttributes::ALWAYS_ENABLED)
}

fn assemble(
    identity: &UnixIdentity,
    kind: LogonKind,
    privileges: PrivilegeSet,
    unix_groups: GroupAttributes,
) -> Result<TokenState, NtStatus> {
    let mut builder = TokenState::builder(sidmap::user_sid(identity.uid()))
        .integrity(integrity(identity.uid()))
        .primary_group(sidmap::group_sid(identity.gid()));
    for sid in [well_known::EVERYONE, well_known::AUTHENTICATED_USERS, how(kind)] {
        builder = builder.group(sid, GroupAttributes::ALWAYS_ENABLED);
    }
    for group in identity.groups() {
        builder = builder.group(sidmap::group_sid(*group), unix_groups);
    }
    for privilege in privileges.present().iter() {
        let is_enabled = privileges.is_enabled(privilege);
        let state = if is_enabled { PrivilegeState::EnabledByDefault } else { PrivilegeState::Disabled };
        builder = builder.privilege(privilege, state);
    }
    builder.build().map_err(|_invalid| NtStatus::INVALID_PARAMETER)
}

const fn how(kind: LogonKind) -> Sid {
    match kind {
        LogonKind::Network | LogonKind::NetworkCleartext => well_known::NETWORK,
        LogonKind::Interactive | LogonKind::RemoteInteractive | LogonKind::NewCredentials => well_known::INTERACTIVE,
        LogonKind::Service | LogonKind::System => well_known::SERVICE,
        LogonKind::Batch => well_known::BATCH,
    }
}

const fn integrity(uid: KernelUid) -> IntegrityLevel {
    if uid.is_root() { IntegrityLevel::HIGH } else { IntegrityLevel::MEDIUM }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelGid, Projection, RootClients, project};

    #[test]
    fn an_identity_survives_the_way_through_a_token() {
        let identity = |uid, gid, groups: &[u32]| {
            let groups = groups.iter().map(|&group| KernelGid::new(group).unwrap());
            UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(gid).unwrap(), groups).unwrap()
        };
        let rules = Projection { anonymous: identity(65_520, 65_520, &[]), root: RootClients::Refused };
        for alice in [identity(61_001, 61_001, &[]), identity(4_000_000_000, 0, &[61_100, 61_200])] {
            let state = of_identity(&alice, LogonKind::Interactive).unwrap();
            assert!(state.privileges().present().is_empty());
            assert_eq!(project(&state, &rules), Ok(alice));
        }
    }
}
