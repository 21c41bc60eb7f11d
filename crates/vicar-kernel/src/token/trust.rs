//! A token state with another process trust.

use vicar_nt::privilege::{PrivilegeSet, PrivilegeState};
use vicar_nt::token::{Builder, TokenState};
use vicar_nt::{GroupAttributes, Privilege, Sid};

/// Returns `state` with its process trust replaced, or `None` when it has a part that cannot be put together anew.
///
/// The parts are put together twice, once with the trust they had: only if that gives `state` again, nothing was lost.
pub(super) fn with_trust(state: &TokenState, trust: Option<&Sid>) -> Option<TokenState> {
    if rebuild(state, state.trust())? == *state { rebuild(state, trust) } else { None }
}

fn rebuild(state: &TokenState, trust: Option<&Sid>) -> Option<TokenState> {
    let mut builder = TokenState::builder(state.user().sid)
        .groups(state.groups().iter().copied())
        .mandatory_policy(state.mandatory_policy().bits())
        .owner(*state.default_owner())
        .session(state.session())
        .elevation(state.elevation());
    if state.user().attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY) {
        builder = builder.user_deny_only();
    }
    builder = match state.integrity() {
        Some(level) => builder.integrity(level),
        None => builder.no_integrity(),
    };
    if let Some(group) = state.primary_group() {
        builder = builder.primary_group(*group);
    }
    if let Some(acl) = state.default_dacl() {
        builder = builder.default_dacl(acl.clone());
    }
    for sid in state.restricting_sids() {
        builder = builder.restricting(sid.sid);
    }
    if state.is_write_restricted() {
        builder = builder.write_restricted();
    }
    builder = Privilege::ALL.into_iter().fold(builder, |builder, one| privilege(builder, state.privileges(), one));
    if let Some(container) = state.app_container() {
        builder = builder.app_container(*container.package());
        builder = container.capabilities().iter().fold(builder, |builder, one| builder.capability(one.sid));
    }
    if state.is_lpac() {
        builder = builder.less_privileged();
    }
    if let Some(trust) = trust {
        builder = builder.trust(*trust);
    }
    builder.build().ok()
}

fn privilege(builder: Builder, held: PrivilegeSet, one: Privilege) -> Builder {
    let state = match (held.is_enabled(one), held.enabled_by_default().contains(one)) {
        (true, true) => PrivilegeState::EnabledByDefault,
        (true, false) => PrivilegeState::Enabled,
        (false, _) => PrivilegeState::Disabled,
    };
    if held.present().contains(one) { builder.privilege(one, state) } else { builder }
}
