//! The tokens of section 6.0, and short words for what every test does.

use vicar_kernel::gate::{self, CONSTRAINED_IMPERSONATION};
use vicar_kernel::token::DuplicateKind;
use vicar_kernel::{
    ClientContext, Duplicate, GateStep, Impersonation, Locality, LogonKind, OnOpen, Outcome, Policy, Process,
    ProcessRef, Profile, Qos, Reach, System, Terms, Thread, ThreadRef, TokenKind, TokenRef, TokenSpec, Tracking,
};
use vicar_nt::privilege::{LuidAndAttributes, PrivilegeAttributes, PrivilegeState};
use vicar_nt::token::{Builder, Elevation, TokenState};
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, Privilege, Sid, well_known};

pub(crate) use ImpersonationLevel::{Anonymous, Delegation, Identification, Impersonation as Imp};
pub(crate) use Locality::{Local, Remote};

pub(crate) const STATIC: Qos = Qos { level: Imp, tracking: Tracking::Static, reach: Reach::AllHeld };
pub(crate) const DYNAMIC: Qos = Qos { tracking: Tracking::Dynamic, ..STATIC };

/// The session of a token, by its number in the specification.
const A_SESSION: u64 = 0xA001;
const AE_SESSION: u64 = 0xA002;
const B_SESSION: u64 = 0xB001;
const BX_SESSION: u64 = 0xB002;
const BN_SESSION: u64 = 0xB003;

/// Which token of section 6.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Local System.
    Sys,
    /// Local System with every privilege removed.
    SysBare,
    /// Network Service with the impersonate privilege enabled.
    Ns,
    /// Network Service with the impersonate privilege disabled.
    Nsx,
    /// An ordinary user, limited half.
    A,
    /// The same user, elevated half.
    Ae,
    /// The elevated half, lowered to medium integrity.
    AeMedium,
    /// A at low integrity.
    Al,
    /// A with restricting SIDs.
    Ar,
    /// A without an integrity level.
    ANone,
    /// Another user.
    B,
    /// B, signed in by A with explicit credentials.
    Bx,
    /// As Bx, at high integrity.
    BxHigh,
    /// B, signed in over the network.
    Bn,
    /// A in package P1 with the constrained-impersonation capability.
    Ac1,
    /// A in package P1 with one capability.
    Ac1s,
    /// A in package P2.
    Ac2,
    /// B in package P1 with one capability.
    Bc1,
    /// B in package P1 with a capability that Ac1 lacks.
    Bc9,
    /// B in package P1, another session.
    Bc1OtherSession,
    /// Local System in package P1.
    SysC1,
    /// The anonymous user.
    Anon,
    /// The anonymous session with B's user and the Administrators.
    AnonForged,
    /// B with process trust.
    BTrust,
    /// The anonymous user with process trust.
    AnonTrust,
}

pub(crate) fn user(rid: u32) -> Sid {
    Sid::new(5, &[21, 1, 1, 1, rid]).unwrap()
}

pub(crate) fn user_a() -> Sid {
    user(1001)
}

pub(crate) fn user_b() -> Sid {
    user(1002)
}

fn package(number: u32) -> Sid {
    Sid::new(15, &[2, number, number, number, number, number, number, number]).unwrap()
}

fn capability(number: u32) -> Sid {
    Sid::new(15, &[3, number]).unwrap()
}

pub(crate) fn trust_light() -> Sid {
    Sid::new(19, &[512, 4096]).unwrap()
}

fn ordinary(user: Sid) -> Builder {
    TokenState::builder(user)
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
        .privilege(Privilege::ChangeNotify, PrivilegeState::EnabledByDefault)
        .privilege(Privilege::Shutdown, PrivilegeState::Disabled)
        .session(1)
}

const ADMIN: GroupAttributes = GroupAttributes::ALWAYS_ENABLED.union(GroupAttributes::OWNER);

fn system_user() -> Builder {
    TokenState::builder(well_known::LOCAL_SYSTEM)
        .group(well_known::ADMINISTRATORS, ADMIN)
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .integrity(IntegrityLevel::SYSTEM)
}

fn service(impersonate: PrivilegeState) -> Builder {
    TokenState::builder(well_known::NETWORK_SERVICE)
        .group(well_known::SERVICE, GroupAttributes::ALWAYS_ENABLED)
        .privilege(Privilege::Impersonate, impersonate)
        .privilege(Privilege::ChangeNotify, PrivilegeState::EnabledByDefault)
        .integrity(IntegrityLevel::SYSTEM)
}

fn elevated() -> Builder {
    ordinary(user_a())
        .group(well_known::ADMINISTRATORS, ADMIN)
        .privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault)
        .elevation(Elevation::Full)
        .integrity(IntegrityLevel::HIGH)
}

fn limited() -> Builder {
    ordinary(user_a())
        .group(well_known::ADMINISTRATORS, GroupAttributes::USE_FOR_DENY_ONLY)
        .elevation(Elevation::Limited)
}

fn confined(user: Sid, number: u32, capabilities: &[u32]) -> Builder {
    let builder = ordinary(user).integrity(IntegrityLevel::LOW).app_container(package(number));
    capabilities.iter().fold(builder, |builder, number| builder.capability(capability(*number)))
}

fn anonymous() -> Builder {
    TokenState::builder(well_known::ANONYMOUS)
        .group(well_known::NETWORK, GroupAttributes::ALWAYS_ENABLED)
        .integrity(IntegrityLevel::UNTRUSTED)
}

/// State, logon session and origin of a token.
fn recipe(who: Who) -> (Builder, u64, u64) {
    let system = Luid::SYSTEM.to_u64();
    let service_session = Luid::NETWORK_SERVICE.to_u64();
    let anonymous_session = Luid::ANONYMOUS_LOGON.to_u64();
    let holder = PrivilegeState::EnabledByDefault;
    match who {
        Who::Sys => {
            (system_user().privilege(Privilege::Impersonate, holder).privilege(Privilege::Tcb, holder), system, 0)
        }
        Who::SysBare => (system_user(), system, 0),
        Who::Ns => (service(holder), service_session, system),
        Who::Nsx => (service(PrivilegeState::Disabled), service_session, system),
        Who::A => (limited(), A_SESSION, system),
        Who::Ae => (elevated(), AE_SESSION, system),
        Who::AeMedium => (elevated().integrity(IntegrityLevel::MEDIUM), AE_SESSION, system),
        Who::Al => (limited().integrity(IntegrityLevel::LOW), A_SESSION, system),
        Who::Ar => (limited().restricting(user_a()).restricting(well_known::USERS), A_SESSION, system),
        Who::ANone => (limited().no_integrity(), A_SESSION, system),
        Who::B => (ordinary(user_b()), B_SESSION, system),
        Who::Bx => (ordinary(user_b()), BX_SESSION, A_SESSION),
        Who::BxHigh => (ordinary(user_b()).integrity(IntegrityLevel::HIGH), BX_SESSION, A_SESSION),
        Who::Bn => (ordinary(user_b()), BN_SESSION, 0),
        Who::Ac1 => (confined(user_a(), 1, &[1, 2]).capability(CONSTRAINED_IMPERSONATION), A_SESSION, system),
        Who::Ac1s => (confined(user_a(), 1, &[1]), A_SESSION, system),
        Who::Ac2 => (confined(user_a(), 2, &[1]), A_SESSION, system),
        Who::Bc1 => (confined(user_b(), 1, &[1]), B_SESSION, system),
        Who::Bc9 => (confined(user_b(), 1, &[9]), B_SESSION, system),
        Who::Bc1OtherSession => (confined(user_b(), 1, &[1]).session(2), B_SESSION, system),
        Who::SysC1 => (confined(well_known::LOCAL_SYSTEM, 1, &[1]), system, 0),
        Who::Anon => (anonymous(), anonymous_session, 0),
        Who::AnonForged => (ordinary(user_b()).group(well_known::ADMINISTRATORS, ADMIN), anonymous_session, 0),
        Who::BTrust => (ordinary(user_b()).trust(trust_light()), B_SESSION, system),
        Who::AnonTrust => (anonymous().trust(trust_light()), anonymous_session, 0),
    }
}

/// A system, and words to make its tokens.
pub(crate) struct World {
    pub(crate) system: System,
}

/// The environment variable that is there when the tests that name no policy run under the compatible one.
pub(crate) const POLICY: &str = "VICAR_TEST_POLICY";

/// The policy of a test that names none: the strict one, unless [`POLICY`] is there.
pub(crate) fn policy() -> Policy {
    if std::env::var_os(POLICY).is_some() { Policy::compatible() } else { Policy::strict() }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Profile::V4, policy())
    }

    pub(crate) fn strict() -> Self {
        Self::with(Profile::V4, Policy::strict())
    }

    pub(crate) fn with(profile: Profile, policy: Policy) -> Self {
        Self { system: System::new(profile, policy) }
    }

    /// Makes the primary token of a fixture, in its session.
    pub(crate) fn token(&self, who: Who) -> TokenRef {
        let (state, session, origin) = recipe(who);
        self.token_of(state, session, origin)
    }

    pub(crate) fn token_of(&self, state: Builder, session: u64, origin: u64) -> TokenRef {
        let id = Luid::from_u64(session);
        let logon =
            self.system.session(id).unwrap_or_else(|| self.system.logon(LogonKind::Interactive, Some(id)).unwrap());
        logon
            .create_token(TokenSpec {
                state: state.build().unwrap(),
                kind: TokenKind::Primary,
                source: *b"Fixture ",
                origin: Luid::from_u64(origin),
            })
            .unwrap()
    }

    /// An impersonation duplicate of a fixture.
    pub(crate) fn imp(&self, who: Who, level: ImpersonationLevel) -> TokenRef {
        imp(&self.token(who), level)
    }

    pub(crate) fn process(&self, who: Who) -> ProcessRef {
        Process::new(&self.system, self.token(who)).unwrap()
    }

    /// A thread of a new process that runs as `who`.
    pub(crate) fn thread(&self, who: Who) -> ThreadRef {
        Thread::new(&self.process(who))
    }

    /// A thread of a process that may wear anybody, wearing `who` at `level`.
    pub(crate) fn wearing(&self, who: Who, level: ImpersonationLevel) -> ThreadRef {
        self.wearing_with(who, level, Reach::AllHeld)
    }

    pub(crate) fn wearing_with(&self, who: Who, level: ImpersonationLevel, reach: Reach) -> ThreadRef {
        let thread = self.thread(Who::Sys);
        let terms = Terms { level, reach, on_open: OnOpen::Copy };
        assert_eq!(thread.impersonate_token(&self.imp(who, level), terms), Ok(Outcome::AsRequested));
        thread
    }

    /// In a process of `process`, a thread asks for `token` at `level`: the outcome and what it wears then.
    pub(crate) fn ask(&self, process: Who, token: &TokenRef, level: ImpersonationLevel) -> (Outcome, Impersonation) {
        let thread = self.thread(process);
        let outcome = thread.impersonate_token(token, terms(level)).unwrap();
        let worn = thread.reference_impersonation().unwrap();
        (outcome, worn)
    }

    /// The level a thread of `process` gets when it asks for `token` at Impersonation, and the refusing step.
    pub(crate) fn level(&self, process: Who, token: Who) -> (ImpersonationLevel, Option<GateStep>) {
        let (outcome, worn) = self.ask(process, &self.imp(token, Imp), Imp);
        let step = match outcome {
            Outcome::AsRequested => None,
            Outcome::Downgraded { step } => Some(step),
        };
        (worn.level, step)
    }
}

pub(crate) fn allowed() -> (ImpersonationLevel, Option<GateStep>) {
    (Imp, None)
}

pub(crate) fn downgraded(step: GateStep) -> (ImpersonationLevel, Option<GateStep>) {
    (Identification, Some(step))
}

pub(crate) fn terms(level: ImpersonationLevel) -> Terms {
    Terms { level, reach: Reach::AllHeld, on_open: OnOpen::Copy }
}

pub(crate) fn imp(token: &TokenRef, level: ImpersonationLevel) -> TokenRef {
    token
        .duplicate(Duplicate { kind: DuplicateKind::Impersonation, level: Some(level), reach: Reach::AllHeld })
        .unwrap()
}

pub(crate) fn at(level: ImpersonationLevel, qos: Qos) -> Qos {
    Qos { level, ..qos }
}

pub(crate) fn enabled(privilege: Privilege) -> LuidAndAttributes {
    LuidAndAttributes::new(privilege, PrivilegeAttributes::ENABLED)
}

pub(crate) fn disabled(privilege: Privilege) -> LuidAndAttributes {
    LuidAndAttributes::new(privilege, PrivilegeAttributes::empty())
}

pub(crate) fn removed(privilege: Privilege) -> LuidAndAttributes {
    LuidAndAttributes::new(privilege, PrivilegeAttributes::REMOVED)
}

/// A static context of `who` at `level`.
pub(crate) fn context(world: &World, who: Who, level: ImpersonationLevel) -> ClientContext {
    ClientContext::from_token(&world.token(who), at(level, STATIC), Local).unwrap()
}

/// Asks the gate alone, for a primary token of a fixture on either side.
pub(crate) fn verdict(world: &World, process: Who, token: Who, level: ImpersonationLevel) -> gate::Verdict {
    let (process, token) = (world.token(process), world.token(token));
    let (process_state, token_state) = (process.state(), token.state());
    let input = gate::GateInput {
        process: gate::Party::of(&process, &process_state),
        token: gate::Party::of(&token, &token_state),
        level,
    };
    gate::judge(world.system.profile(), world.system.policy(), &input)
}
