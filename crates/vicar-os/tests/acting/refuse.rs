//! What must not run, or not start.

use crate::scratch::{client, identity, server};
use crate::status;
use vicar_kernel::{TokenKind, TokenSpec};
use vicar_nt::token::TokenState;
use vicar_nt::{GroupAttributes, IntegrityLevel, Luid, Sid, well_known};
use vicar_os::{
    DelegationError, EnterError, GateStep, ImpersonationLevel, KernelUid, LogonError, LogonKind, Misuse, ProjectError,
    Qos, Reach, StartError, StartOptions, Starting, Tracking,
};

fn qos(level: ImpersonationLevel) -> Qos {
    Qos { level, tracking: Tracking::Static, reach: Reach::EffectiveOnly }
}

pub(crate) fn below_impersonation_nothing_runs() {
    let server = server();
    for level in [ImpersonationLevel::Anonymous, ImpersonationLevel::Identification] {
        let client = server.logon_with(LogonKind::Network, &identity(61_001, &[]), qos(level)).unwrap();
        let refused = server.run_as(&client, |_| unreachable!("ran at {level:?}"));
        let expected: Result<(), _> = Err(EnterError::BelowImpersonation { level, gate_step: None::<GateStep> });
        assert_eq!(refused.map(|_: ()| ()), expected);
        assert_eq!(status("Uid"), "0 0 0 0");
    }
    let more = server.logon_with(LogonKind::Network, &identity(61_001, &[]), qos(ImpersonationLevel::Delegation));
    assert_eq!(more.map(|_| ()), Err(LogonError::Delegation(DelegationError::NotDelegated)));
}

pub(crate) fn what_the_kernel_cannot_hold_is_refused() {
    const ON: GroupAttributes = GroupAttributes::MANDATORY.union(GroupAttributes::ENABLED);
    let server = server();
    let user = well_known::unix_user(61_001);
    let (own, team) = (well_known::unix_group(61_001), well_known::unix_group(61_300));
    let base = || TokenState::builder(user).integrity(IntegrityLevel::MEDIUM).group(own, ON).primary_group(own);
    let foreign: Sid = "S-1-5-21-1-2-3-1001".parse().unwrap();
    let cases = [
        (base().group(team, GroupAttributes::USE_FOR_DENY_ONLY), ProjectError::DenyOnlyGroup(team)),
        (base().group(team, GroupAttributes::empty()), ProjectError::DisabledGroup(team)),
        (base().group(foreign, ON), ProjectError::UnmappedGroup(foreign)),
        (base().group(well_known::ADMINISTRATORS, ON), ProjectError::UnmappedGroup(well_known::ADMINISTRATORS)),
        (base().restricting(user), ProjectError::RestrictedWithoutEveryone),
        (base().restricting(user).write_restricted(), ProjectError::RestrictedWithoutEveryone),
        (base().restricting(user).restricting(well_known::EVERYONE), ProjectError::Restricted),
        (base().user_deny_only(), ProjectError::DenyOnlyUser),
        (base().integrity(IntegrityLevel::LOW), ProjectError::LoweredIntegrity(Some(IntegrityLevel::LOW))),
        (base().no_integrity(), ProjectError::LoweredIntegrity(None)),
        (base().primary_group(user), ProjectError::NoPrimaryGroup),
        (
            TokenState::builder(foreign).integrity(IntegrityLevel::MEDIUM).group(own, ON).primary_group(own),
            ProjectError::UnmappedUser(foreign),
        ),
        (
            TokenState::builder(well_known::LOCAL_SYSTEM)
                .integrity(IntegrityLevel::SYSTEM)
                .group(own, ON)
                .primary_group(own),
            ProjectError::UnmappedUser(well_known::LOCAL_SYSTEM),
        ),
    ];
    for (builder, expected) in cases {
        let session = server.system().logon(LogonKind::Network, None).unwrap();
        let spec = TokenSpec {
            state: builder.build().unwrap(),
            kind: TokenKind::Impersonation(ImpersonationLevel::Impersonation),
            source: *b"test\0\0\0\0",
            origin: Luid::from_u64(0),
        };
        let token = session.create_token(spec).unwrap();
        // Some can be enforced by several passes (see the tests of restricted clients); no closure runs as them.
        let refused = match server.context_from_token(&token, qos(ImpersonationLevel::Impersonation)) {
            Err(LogonError::Project(error)) => error,
            Err(error) => panic!("{error}"),
            Ok(client) => match server.run_as(&client, |_| unreachable!("ran as {client:?}")).map(|_: ()| ()) {
                Err(EnterError::Project(error)) => error,
                other => panic!("{other:?}"),
            },
        };
        assert_eq!(refused, expected);
    }
}

pub(crate) fn root_and_the_anonymous_uid_are_no_clients() {
    let server = server();
    let root = server.logon(LogonKind::Network, &identity(0, &[]));
    assert_eq!(root.map(|_| ()), Err(LogonError::Project(ProjectError::Root)));
    // The anonymous identity is the anonymous logon, and that does act, as nobody.
    let nobody = server.logon(LogonKind::Network, &server.anonymous().clone()).unwrap();
    let uid = server.run_as(&nobody, |as_client| as_client.shown().uid).unwrap();
    assert_eq!(uid, server.anonymous().uid());
    assert_eq!(KernelUid::new(65_520), Some(uid));
}

pub(crate) fn a_second_thread_stops_start_up() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv().is_ok());
    let refused = Starting::begin(StartOptions::default()).unwrap_err();
    assert!(matches!(refused, StartError::NotSingleThreaded { threads: 2 }), "{refused}");
    drop(stop);
    assert!(!thread.join().unwrap());
}

pub(crate) fn a_context_of_another_server_is_refused() {
    let (one, two) = (server(), server());
    let client = client(&one, 61_001, &[]);
    let refused = two.run_as(&client, |_| ()).unwrap_err();
    assert_eq!(refused, EnterError::Misuse(Misuse::ForeignContext));
}

/// Dynamic tracking: a group that is switched off in the client's token is noticed, and refused, at the next entry.
pub(crate) fn an_adjusted_token_is_projected_anew() {
    const OPTIONAL: GroupAttributes = GroupAttributes::ENABLED;
    let server = server();
    let (own, team) = (well_known::unix_group(61_001), well_known::unix_group(61_300));
    let state = TokenState::builder(well_known::unix_user(61_001))
        .integrity(IntegrityLevel::MEDIUM)
        .group(own, GroupAttributes::MANDATORY.union(GroupAttributes::ENABLED))
        .group(team, OPTIONAL)
        .primary_group(own)
        .build()
        .unwrap();
    let session = server.system().logon(LogonKind::Network, None).unwrap();
    let kind = TokenKind::Impersonation(ImpersonationLevel::Impersonation);
    let token =
        session.create_token(TokenSpec { state, kind, source: *b"test\0\0\0\0", origin: Luid::from_u64(0) }).unwrap();
    let dynamic = Qos { level: ImpersonationLevel::Impersonation, tracking: Tracking::Dynamic, reach: Reach::AllHeld };
    let client = server.context_from_token(&token, dynamic).unwrap();
    assert!(server.run_as(&client, |_| status("Groups")).unwrap().contains("61300"));
    let _ = token.adjust_groups(&[(team, vicar_nt::token::GroupChange::Disable)]).unwrap();
    let refused = server.run_as(&client, |_| ()).unwrap_err();
    assert_eq!(refused, EnterError::Project(ProjectError::DisabledGroup(team)));
}
