//! Tokens of the server and of its clients.

use crate::project::Projection;
use crate::source::token;
use crate::switch::powers::Powers;
use crate::{UnixIdentity, capability};
use vicar_kernel::LogonKind;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{IntegrityLevel, NtStatus, Privilege, well_known};

/// Builds a client's token state; the anonymous identity becomes the anonymous logon.
pub(super) fn of_client(identity: &UnixIdentity, kind: LogonKind, rules: &Projection) -> Result<TokenState, NtStatus> {
    if identity.uid() != rules.anonymous.uid() {
        return token::of_identity(identity, kind);
    }
    let anonymous = TokenState::builder(well_known::ANONYMOUS).integrity(IntegrityLevel::UNTRUSTED);
    anonymous.build().map_err(|_invalid| NtStatus::INVALID_PARAMETER)
}

/// Builds the token state of a client whose groups are tracked: they can be switched off, and nobody switches them on.
pub(super) fn of_tracked(identity: &UnixIdentity, kind: LogonKind, rules: &Projection) -> Result<TokenState, NtStatus> {
    if identity.uid() == rules.anonymous.uid() {
        return of_client(identity, kind, rules);
    }
    token::of_changing(identity, kind)
}

/// Builds the server's own token state from what is left of its powers.
///
/// The privilege to impersonate is enabled only when switching was seen to work.
pub(super) fn of_server(own: &UnixIdentity, powers: &Powers, seen_to_work: bool) -> Result<TokenState, NtStatus> {
    let state = if seen_to_work { PrivilegeState::EnabledByDefault } else { PrivilegeState::Disabled };
    let privileges = capability::privileges(powers.kept, powers.kept, capability::namespace_here());
    token::build(own, LogonKind::Service, privileges.with(Privilege::Impersonate, state))
}
