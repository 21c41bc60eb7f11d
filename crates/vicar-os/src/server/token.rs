//! Tokens of the server and of its clients, built from Unix identities.

use crate::project::Projection;
use crate::{KernelUid, UnixIdentity, sidmap};
use vicar_kernel::LogonKind;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, IntegrityLevel, NtStatus, Privilege, PrivilegeSet, well_known};

/// Attributes of every Unix group in a token: the kernel cannot switch a group off, so neither can a token.
const UNIX_GROUP: GroupAttributes =
    GroupAttributes::MANDATORY.union(GroupAttributes::ENABLED_BY_DEFAULT).union(GroupAttributes::ENABLED);

/// Builds a client's token state; the anonymous identity becomes the anonymous logon.
pub(super) fn of_client(identity: &UnixIdentity, kind: LogonKind, rules: &Projection) -> Result<TokenState, NtStatus> {
    if identity.uid() == rules.anonymous.uid() {
        let anonymous = TokenState::builder(well_known::ANONYMOUS).integrity(IntegrityLevel::UNTRUSTED);
        return anonymous.build().map_err(|_invalid| NtStatus::INVALID_PARAMETER);
    }
    let how = match kind {
        LogonKind::Network | LogonKind::NetworkCleartext => well_known::NETWORK,
        LogonKind::Interactive | LogonKind::RemoteInteractive | LogonKind::NewCredentials => well_known::INTERACTIVE,
        LogonKind::Service | LogonKind::System => well_known::SERVICE,
        LogonKind::Batch => well_known::BATCH,
    };
    build(identity, &[how], integrity_of(identity.uid()), PrivilegeSet::NONE)
}

/// Builds the server's own token state.
pub(super) fn of_server(identity: &UnixIdentity, privileges: PrivilegeSet) -> Result<TokenState, NtStatus> {
    build(identity, &[well_known::SERVICE], IntegrityLevel::SYSTEM, privileges)
}

fn integrity_of(uid: KernelUid) -> IntegrityLevel {
    if uid.is_root() { IntegrityLevel::HIGH } else { IntegrityLevel::MEDIUM }
}

fn build(
    identity: &UnixIdentity,
    extra: &[vicar_nt::Sid],
    integrity: IntegrityLevel,
    privileges: PrivilegeSet,
) -> Result<TokenState, NtStatus> {
    let mut builder = TokenState::builder(sidmap::user_sid(identity.uid()))
        .integrity(integrity)
        .primary_group(sidmap::group_sid(identity.gid()))
        .group(well_known::EVERYONE, UNIX_GROUP)
        .group(well_known::AUTHENTICATED_USERS, UNIX_GROUP);
    for sid in extra {
        builder = builder.group(*sid, UNIX_GROUP);
    }
    for privilege in privileges.present().iter() {
        let enabled = privileges.is_enabled(privilege);
        let state = if enabled { PrivilegeState::EnabledByDefault } else { PrivilegeState::Disabled };
        builder = builder.privilege(privilege, state);
    }
    for group in identity.groups() {
        builder = builder.group(sidmap::group_sid(*group), UNIX_GROUP);
    }
    builder.build().map_err(|_invalid| NtStatus::INVALID_PARAMETER)
}

/// The privilege to impersonate: present, but off until switching was seen to work.
pub(super) fn impersonate(seen_to_work: bool) -> PrivilegeSet {
    let state = if seen_to_work { PrivilegeState::EnabledByDefault } else { PrivilegeState::Disabled };
    PrivilegeSet::NONE.with(Privilege::Impersonate, state)
}
