//! Who takes part: the tokens that processes and clients start with, as the kernel makes them and as the model knows them.

use vicar_kernel::{LogonKind, Profile, System, TokenKind, TokenRef, TokenSpec};
use vicar_nt::privilege::{Privilege, PrivilegeState};
use vicar_nt::token::{Elevation, TokenState};
use vicar_nt::{GroupAttributes, IntegrityLevel, Luid, Sid, well_known};

use crate::rules::{Facts, Held, Protection};

/// The privileges that take part.
pub(crate) const PRIVILEGES: [Privilege; 3] = [Privilege::Impersonate, Privilege::ChangeNotify, Privilege::Shutdown];

/// One of the cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Local System, which may act as anybody.
    System,
    /// A service that may act as anybody once it enables the privilege, if it may enable it.
    Service,
    /// An ordinary user.
    Alice,
    /// The same user's elevated half.
    AliceElevated,
    /// The same user at low integrity.
    AliceLow,
    /// The same user, restricted.
    AliceRestricted,
    /// Another user.
    Bob,
    /// The other user, signed in by Alice with explicit credentials.
    BobByAlice,
    /// The anonymous user.
    Nobody,
}

impl Role {
    pub(crate) const ALL: [Self; 9] = [
        Self::System,
        Self::Service,
        Self::Alice,
        Self::AliceElevated,
        Self::AliceLow,
        Self::AliceRestricted,
        Self::Bob,
        Self::BobByAlice,
        Self::Nobody,
    ];

    const ALICE_SESSION: u64 = 0xA001;

    /// What the model starts from. Before Vista nobody has a level of their own.
    pub(crate) fn facts(self, profile: Profile) -> Facts {
        let user = |rid| Sid::new(5, &[21, 7, 7, 7, rid]).unwrap();
        let (alice, bob) = (user(1001), user(1002));
        let ordinary = [Held::Absent, Held::Enabled, Held::Disabled];
        let plain = Facts {
            id: Luid::ZERO,
            user: alice,
            session: Self::ALICE_SESSION,
            origin: 0,
            integrity: 0x2000,
            is_admin: false,
            is_full_half: false,
            is_restricted: false,
            privileges: ordinary,
            level: None,
            changes: 0,
            protection: Protection::OfItsUser,
        };
        let system = Luid::SYSTEM.to_u64();
        let facts = match self {
            Self::System => Facts {
                user: well_known::LOCAL_SYSTEM,
                session: system,
                integrity: 0x4000,
                is_admin: true,
                privileges: [Held::Enabled, Held::Enabled, Held::Absent],
                ..plain
            },
            Self::Service => Facts {
                user: well_known::NETWORK_SERVICE,
                session: Luid::NETWORK_SERVICE.to_u64(),
                integrity: 0x4000,
                privileges: [Held::Disabled, Held::Enabled, Held::Absent],
                ..plain
            },
            Self::Alice => plain,
            Self::AliceElevated => Facts {
                session: 0xA002,
                origin: system,
                integrity: 0x3000,
                is_admin: true,
                is_full_half: true,
                privileges: [Held::Disabled, Held::Enabled, Held::Disabled],
                ..plain
            },
            Self::AliceLow => {
                Facts { integrity: 0x1000, privileges: [Held::Disabled, Held::Enabled, Held::Enabled], ..plain }
            }
            Self::AliceRestricted => Facts { is_restricted: true, ..plain },
            Self::Bob => Facts { user: bob, session: 0xB001, origin: system, ..plain },
            Self::BobByAlice => Facts { user: bob, session: 0xB002, origin: Self::ALICE_SESSION, ..plain },
            Self::Nobody => Facts {
                user: well_known::ANONYMOUS,
                session: Luid::ANONYMOUS_LOGON.to_u64(),
                integrity: 0x0000,
                privileges: [Held::Absent; 3],
                ..plain
            },
        };
        if profile < Profile::V2 { Facts { integrity: 0x2000, ..facts } } else { facts }
    }

    /// Makes the token.
    pub(crate) fn token(self, system: &System) -> TokenRef {
        let facts = self.facts(system.profile());
        let mut builder = TokenState::builder(facts.user).integrity(IntegrityLevel(facts.integrity));
        if self != Self::Nobody {
            builder = builder.group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED);
        }
        if facts.is_admin {
            builder = builder.group(well_known::ADMINISTRATORS, GroupAttributes::ALWAYS_ENABLED);
        }
        if facts.is_full_half {
            builder = builder.elevation(Elevation::Full);
        }
        if facts.is_restricted {
            builder = builder.restricting(facts.user);
        }
        for (privilege, held) in PRIVILEGES.into_iter().zip(facts.privileges) {
            builder = match held {
                Held::Absent => builder,
                Held::Disabled => builder.privilege(privilege, PrivilegeState::Disabled),
                Held::Enabled => builder.privilege(privilege, PrivilegeState::EnabledByDefault),
            };
        }
        let id = Luid::from_u64(facts.session);
        let logon = match system.session(id) {
            Some(logon) => logon,
            None => system.logon(LogonKind::Interactive, Some(id)).unwrap(),
        };
        let origin = Luid::from_u64(facts.origin);
        let state = builder.build().unwrap();
        logon.create_token(TokenSpec { state, kind: TokenKind::Primary, source: *b"Model   ", origin }).unwrap()
    }
}
