//! Which passes a token needs, and which tokens none can enforce.

use super::*;
use crate::RootClients;
use vicar_nt::Group;
use vicar_nt::token::{Filter, FilterFlags};

const NOTHING: Filter<'_> = Filter { flags: FilterFlags::empty(), disable: &[], delete: &[], restrict: &[] };

fn group(raw: u32) -> Sid {
    well_known::unix_group(raw)
}

fn identity(uid: u32, gid: u32, groups: &[u32]) -> UnixIdentity {
    let groups = groups.iter().map(|&raw| KernelGid::new(raw).unwrap());
    UnixIdentity::new(KernelUid::new(uid).unwrap(), KernelGid::new(gid).unwrap(), groups).unwrap()
}

fn rules() -> Projection {
    Projection { anonymous: identity(65_520, 65_520, &[]), root: RootClients::Refused }
}

fn builder() -> vicar_nt::token::Builder {
    let mut builder = TokenState::builder(well_known::unix_user(7)).integrity(IntegrityLevel::MEDIUM);
    for sid in [well_known::EVERYONE, well_known::NETWORK, group(7), group(8), group(9)] {
        builder = builder.group(sid, GroupAttributes::ALWAYS_ENABLED);
    }
    builder.primary_group(group(7))
}

fn token() -> TokenState {
    builder().build().unwrap()
}

fn restrict(sids: &[Sid]) -> Vec<Group> {
    sids.iter().map(|sid| Group::new(*sid, GroupAttributes::empty())).collect()
}

fn identities(token: &TokenState) -> Vec<(UnixIdentity, Judges)> {
    let passes = passes(token, &rules()).unwrap();
    passes.list.iter().map(|pass| (pass.identity.clone(), pass.judges)).collect()
}

#[test]
fn each_denying_sid_has_a_pass_of_its_own() {
    let filter = Filter { disable: &[group(8), group(9), well_known::NETWORK], ..NOTHING };
    let all = Judges::Everything;
    let expected = [(7, &[7][..]), (7, &[7, 8]), (7, &[7, 9])].map(|(uid, groups)| (identity(uid, 7, groups), all));
    assert_eq!(identities(&token().filter(&filter).unwrap()), expected);
    // Without its user the client is the anonymous user; without its primary group its files would be nobody's group's.
    let filter = Filter { disable: &[well_known::unix_user(7), group(7)], ..NOTHING };
    let gid = 65_520;
    let expected = [identity(65_520, gid, &[8, 9]), identity(7, gid, &[8, 9]), identity(65_520, gid, &[7, 8, 9])]
        .map(|it| (it, all));
    assert_eq!(identities(&token().filter(&filter).unwrap()), expected);
}

#[test]
fn a_disabled_group_is_held_to_deny() {
    let state = builder().group(group(10), GroupAttributes::empty()).build().unwrap();
    let all = Judges::Everything;
    let expected = [(identity(7, 7, &[7, 8, 9]), all), (identity(7, 7, &[7, 8, 9, 10]), all)];
    assert_eq!(identities(&state), expected);
}

#[test]
fn restricting_sids_are_one_more_pass() {
    let list = restrict(&[well_known::EVERYONE, group(9), well_known::RESTRICTED_CODE]);
    let whole = (identity(7, 7, &[7, 8, 9]), Judges::Everything);
    let state = token().filter(&Filter { restrict: &list, ..NOTHING }).unwrap();
    assert_eq!(identities(&state), [whole.clone(), (identity(65_520, 9, &[9]), Judges::Everything)]);
    let list = restrict(&[well_known::EVERYONE, well_known::unix_user(7)]);
    let flags = FilterFlags::WRITE_RESTRICTED;
    let state = token().filter(&Filter { flags, restrict: &list, ..NOTHING }).unwrap();
    assert_eq!(identities(&state), [whole, (identity(7, 65_520, &[]), Judges::Writing)]);
    let passes = passes(&state, &rules()).unwrap();
    assert_eq!((passes.of(Effect::Reads).count(), passes.of(Effect::Writes).count()), (1, 2));
}

#[test]
fn lowered_integrity_writes_nothing_unless_the_policy_is_off() {
    let low = builder().integrity(IntegrityLevel::LOW);
    let strict = passes(&low.clone().build().unwrap(), &rules()).unwrap();
    assert!(strict.may(Effect::Reads) && !strict.may(Effect::Writes));
    let lax = passes(&low.mandatory_policy(0).build().unwrap(), &rules()).unwrap();
    assert!(lax.may(Effect::Writes));
}

#[test]
fn what_no_pass_can_enforce_is_refused() {
    let refused = |state: Result<TokenState, _>| passes(&state.unwrap(), &rules()).unwrap_err();
    let filtered = |disable: &[Sid], list: &[Sid]| {
        let restrict = restrict(list);
        refused(token().filter(&Filter { disable, restrict: &restrict, ..NOTHING }))
    };
    let everyone = well_known::EVERYONE;
    assert_eq!(filtered(&[everyone], &[]), ProjectError::DenyOnlyGroup(everyone));
    assert_eq!(filtered(&[], &[group(8)]), ProjectError::RestrictedWithoutEveryone);
    assert_eq!(filtered(&[], &[well_known::RESTRICTED_CODE]), ProjectError::RestrictedWithoutEveryone);
    let two = [everyone, well_known::unix_user(7), well_known::unix_user(8)];
    assert_eq!(filtered(&[], &two), ProjectError::SeveralUsers);
    assert_eq!(filtered(&[], &[everyone, well_known::unix_user(0)]), ProjectError::Root);
    let admins = well_known::ADMINISTRATORS;
    assert_eq!(filtered(&[], &[everyone, admins]), ProjectError::UnmappedGroup(admins));
    let many: Vec<Sid> = (100..117).map(group).collect();
    let mut crowd = builder();
    for sid in &many {
        crowd = crowd.group(*sid, GroupAttributes::USE_FOR_DENY_ONLY);
    }
    let crowd = passes(&crowd.build().unwrap(), &rules()).unwrap_err();
    assert_eq!(crowd, ProjectError::TooManyDenyOnly { count: 17 });
    let none = passes(&builder().no_integrity().build().unwrap(), &rules()).unwrap_err();
    assert_eq!(none, ProjectError::LoweredIntegrity(None));
    let root = TokenState::builder(well_known::unix_user(0)).user_deny_only().integrity(IntegrityLevel::MEDIUM);
    let root = root.group(group(7), GroupAttributes::ALWAYS_ENABLED).primary_group(group(7)).build().unwrap();
    assert_eq!(passes(&root, &rules()), Err(ProjectError::Root));
}
