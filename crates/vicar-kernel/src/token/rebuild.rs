//! States that differ in one part from another.

use vicar_nt::acl::Acl;
use vicar_nt::group::Group;
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes, PrivilegeMask, PrivilegeState};
use vicar_nt::token::{Builder, Filter, FilterFlags, MandatoryPolicy, PowerfulPrivileges, TokenFlags, TokenState};
use vicar_nt::{GroupAttributes, IntegrityLevel, NtStatus, Privilege, Sid};

/// The parts that a holder of the right may set.
#[derive(Clone, Debug)]
pub(super) struct Settable {
    pub(super) owner: Sid,
    pub(super) primary_group: Option<Sid>,
    pub(super) default_dacl: Option<Acl>,
    pub(super) session: u32,
    pub(super) integrity: Option<IntegrityLevel>,
    pub(super) mandatory_policy: MandatoryPolicy,
}

impl Settable {
    fn of(state: &TokenState) -> Self {
        Self {
            owner: *state.default_owner(),
            primary_group: state.primary_group().copied(),
            default_dacl: state.default_dacl().cloned(),
            session: state.session(),
            integrity: state.integrity(),
            mandatory_policy: state.mandatory_policy(),
        }
    }
}

/// Returns `state` with its settable parts changed and everything else kept.
///
/// # Errors
/// - `STATUS_NOT_SUPPORTED` when the state has a part that cannot be put together anew, such as claims. It is noticed before
///   anything changes, by putting the unchanged state together first.
pub(super) fn with(state: &TokenState, change: impl FnOnce(&mut Settable)) -> Result<TokenState, NtStatus> {
    let mut parts = Settable::of(state);
    if assemble(state, &parts)? != *state {
        return Err(NtStatus::NOT_SUPPORTED);
    }
    change(&mut parts);
    assemble(state, &parts)
}

fn assemble(state: &TokenState, parts: &Settable) -> Result<TokenState, NtStatus> {
    let held = state.privileges();
    let mut builder =
        fixed(state).owner(parts.owner).session(parts.session).mandatory_policy(parts.mandatory_policy.bits());
    builder = match parts.integrity {
        Some(level) => builder.integrity(level),
        None => builder.no_integrity(),
    };
    if let Some(group) = parts.primary_group {
        builder = builder.primary_group(group);
    }
    if let Some(acl) = &parts.default_dacl {
        builder = builder.default_dacl(acl.clone());
    }
    for privilege in held.present().iter() {
        let is_default = held.enabled_by_default().contains(privilege);
        let kind = match (is_default, held.is_enabled(privilege)) {
            (true, _) => PrivilegeState::EnabledByDefault,
            (false, true) => PrivilegeState::Enabled,
            (false, false) => PrivilegeState::Disabled,
        };
        builder = builder.privilege(privilege, kind);
    }
    let missing = lost(held.present());
    if let (true, Some(privilege)) = (state.is_filtered(), missing) {
        builder = builder.privilege(privilege, PrivilegeState::Disabled);
    }
    let mut built = builder.build().map_err(|_| NtStatus::NOT_SUPPORTED)?;
    let disabled: Vec<LuidAndAttributes> = held
        .enabled_by_default()
        .iter()
        .filter(|privilege| !held.is_enabled(*privilege))
        .map(|privilege| LuidAndAttributes::new(privilege, PrivilegeAttributes::empty()))
        .collect();
    built = built.adjust_privileges(&disabled, PowerfulPrivileges::AtAnyIntegrity).state;
    if let (true, Some(privilege)) = (state.is_filtered(), missing) {
        // Being filtered is remembered; taking a privilege away that was added for it brings that back.
        let delete = [privilege.luid()];
        let filter = Filter { flags: FilterFlags::empty(), disable: &[], delete: &delete, restrict: &[] };
        built = built.filter(&filter)?;
    }
    Ok(built.with_trust(state.trust().copied()))
}

/// Starts with everything that nobody may set.
fn fixed(state: &TokenState) -> Builder {
    let is_group = |group: &&Group| !group.attributes.contains(GroupAttributes::INTEGRITY);
    let mut builder = TokenState::builder(state.user().sid)
        .groups(state.groups().iter().filter(is_group).copied())
        .elevation(state.elevation());
    if !state.user().attributes.counts_for_allow() {
        builder = builder.user_deny_only();
    }
    for group in state.restricting_sids() {
        builder = builder.restricting(group.sid);
    }
    if state.is_write_restricted() {
        builder = builder.write_restricted();
    }
    for group in state.device_groups() {
        builder = builder.device_group(group.sid, group.attributes);
    }
    if let Some(container) = state.app_container() {
        builder = builder.app_container(*container.package());
        for capability in container.capabilities().iter() {
            builder = builder.capability(capability.sid);
        }
        if container.is_lpac() {
            builder = builder.less_privileged();
        }
    }
    if state.flags().contains(TokenFlags::SANDBOX_INERT) {
        builder = builder.sandbox_inert();
    }
    builder
}

/// A privilege that is not held.
fn lost(held: PrivilegeMask) -> Option<Privilege> {
    (0..=64_u32).filter_map(Privilege::from_number).find(|privilege| !held.contains(*privilege))
}
