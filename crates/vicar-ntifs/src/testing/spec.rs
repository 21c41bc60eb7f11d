//! What a token is to be, in words.
//!
//! | field | form | example |
//! |---|---|---|
//! | user | a SID or an alias of SDDL | `S-1-5-21-1-1-1-1001`, `SY` |
//! | groups | SIDs, each with `:deny`, `:owner`, `:primary`, `:disabled` or `:optional` if need be | `WD BU BA:owner` |
//! | privileges | names, each with `:disabled` if need be; or `all` | `SeChangeNotifyPrivilege SeImpersonatePrivilege:disabled` |
//! | integrity | `untrusted` `low` `medium` `medium-plus` `high` `system` `none` or a SID | `low` |
//! | restricted | SIDs | `S-1-5-21-1-1-1-1001 RC` |
//! | package, capabilities | SIDs | `S-1-15-2-1-1-1-1-1-1-1` |

use vicar_kernel::{LogonKind, System, TokenKind, TokenRef, TokenSpec};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::{Builder, Elevation, TokenState};
use vicar_nt::{GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, NtStatus, Privilege, Sid, sddl};

/// Which half of a split logon a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The logon was not split.
    None,
    /// The elevated half.
    Full,
    /// The half without the administrators.
    Limited,
}

/// What a token is to be; [`Person::new`] is an ordinary user.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// Who.
    pub user: &'a str,
    /// The groups.
    pub groups: &'a str,
    /// The privileges.
    pub privileges: &'a str,
    /// The integrity level.
    pub integrity: &'a str,
    /// The restricting SIDs.
    pub restricted: &'a str,
    /// Whether those count for writing only.
    pub is_write_restricted: bool,
    /// The package of an AppContainer.
    pub package: &'a str,
    /// Its capabilities.
    pub capabilities: &'a str,
    /// Whether it is a less privileged one.
    pub is_lpac: bool,
    /// The process trust.
    pub trust: &'a str,
    /// The terminal session.
    pub session: u32,
    /// Which half of a split logon.
    pub half: Half,
    /// The logon session; zero starts a new one.
    pub logon: Luid,
    /// The logon session that made this one with explicit credentials, or zero.
    pub origin: Luid,
    /// The level of an impersonation token; `None` is a primary token.
    pub level: Option<ImpersonationLevel>,
}

impl<'a> Person<'a> {
    /// An ordinary user at medium integrity in session 1.
    pub const fn new(user: &'a str) -> Self {
        Self {
            user,
            groups: "WD BU:primary AU",
            privileges: "SeChangeNotifyPrivilege SeShutdownPrivilege:disabled",
            integrity: "medium",
            restricted: "",
            is_write_restricted: false,
            package: "",
            capabilities: "",
            is_lpac: false,
            trust: "",
            session: 1,
            half: Half::None,
            logon: Luid::ZERO,
            origin: Luid::ZERO,
            level: None,
        }
    }

    fn state(&self) -> Result<TokenState, NtStatus> {
        let mut builder = TokenState::builder(sid(self.user)?).session(self.session);
        for word in self.groups.split_whitespace() {
            let (name, attributes, is_primary) = group(word)?;
            builder = builder.group(name, attributes);
            if is_primary {
                builder = builder.primary_group(name);
            }
        }
        builder = privileges(builder, self.privileges)?;
        builder = match self.integrity {
            "none" => builder.no_integrity(),
            word => builder.integrity(integrity(word)?),
        };
        for word in self.restricted.split_whitespace() {
            builder = builder.restricting(sid(word)?);
        }
        if self.is_write_restricted {
            builder = builder.write_restricted();
        }
        if !self.package.is_empty() {
            builder = builder.app_container(sid(self.package)?);
        }
        for word in self.capabilities.split_whitespace() {
            builder = builder.capability(sid(word)?);
        }
        if self.is_lpac {
            builder = builder.less_privileged();
        }
        if !self.trust.is_empty() {
            builder = builder.trust(sid(self.trust)?);
        }
        builder = match self.half {
            Half::None => builder,
            Half::Full => builder.elevation(Elevation::Full),
            Half::Limited => builder.elevation(Elevation::Limited),
        };
        builder.build().map_err(|_| NtStatus::INVALID_PARAMETER)
    }

    /// Makes the token.
    ///
    /// # Errors
    /// - `STATUS_INVALID_PARAMETER` when a word means nothing, or the parts do not fit together.
    /// - `STATUS_INSUFFICIENT_RESOURCES`, `STATUS_QUOTA_EXCEEDED` from the world's pool.
    pub(crate) fn token(&self, system: &System) -> Result<TokenRef, NtStatus> {
        let state = self.state()?;
        let session = match self.logon == Luid::ZERO {
            true => system.logon(LogonKind::Interactive, None)?,
            false => match system.session(self.logon) {
                Some(session) => session,
                None => system.logon(LogonKind::Interactive, Some(self.logon))?,
            },
        };
        let kind = self.level.map_or(TokenKind::Primary, TokenKind::Impersonation);
        session.create_token(TokenSpec { state, kind, source: *b"vicartst", origin: self.origin })
    }
}

fn sid(word: &str) -> Result<Sid, NtStatus> {
    sddl::parse_sid(word, None).map_err(|_| NtStatus::INVALID_PARAMETER)
}

/// Reads a group, how it takes part, and whether it is the primary one.
fn group(word: &str) -> Result<(Sid, GroupAttributes, bool), NtStatus> {
    let mut parts = word.split(':');
    let name = sid(parts.next().unwrap_or(""))?;
    let mut attributes = GroupAttributes::ALWAYS_ENABLED;
    let mut is_primary = false;
    for part in parts {
        attributes = match part {
            "primary" => {
                is_primary = true;
                attributes
            }
            "deny" => GroupAttributes::USE_FOR_DENY_ONLY,
            "owner" => attributes.union(GroupAttributes::OWNER),
            "logon" => attributes.union(GroupAttributes::LOGON_ID),
            "optional" => attributes.difference(GroupAttributes::MANDATORY),
            "disabled" => GroupAttributes::empty(),
            _ => return Err(NtStatus::INVALID_PARAMETER),
        };
    }
    Ok((name, attributes, is_primary))
}

fn privileges(builder: Builder, words: &str) -> Result<Builder, NtStatus> {
    words.split_whitespace().try_fold(builder, |builder, word| {
        if word == "all" {
            let all = (0..64).filter_map(Privilege::from_number);
            return Ok(all.fold(builder, |builder, one| builder.privilege(one, PrivilegeState::EnabledByDefault)));
        }
        let (name, state) = match word.split_once(':') {
            None => (word, PrivilegeState::EnabledByDefault),
            Some((name, "disabled")) => (name, PrivilegeState::Disabled),
            Some((name, "enabled")) => (name, PrivilegeState::Enabled),
            Some(_) => return Err(NtStatus::INVALID_PARAMETER),
        };
        let found = (0..64).filter_map(Privilege::from_number).find(|one| one.name() == name);
        Ok(builder.privilege(found.ok_or(NtStatus::INVALID_PARAMETER)?, state))
    })
}

fn integrity(word: &str) -> Result<IntegrityLevel, NtStatus> {
    Ok(match word {
        "untrusted" => IntegrityLevel::UNTRUSTED,
        "low" => IntegrityLevel::LOW,
        "medium" => IntegrityLevel::MEDIUM,
        "medium-plus" => IntegrityLevel::MEDIUM_PLUS,
        "high" => IntegrityLevel::HIGH,
        "system" => IntegrityLevel::SYSTEM,
        other => {
            let sid = sid(other)?;
            let level = IntegrityLevel(sid.rid().ok_or(NtStatus::INVALID_PARAMETER)?);
            if level.to_sid() == sid { level } else { return Err(NtStatus::INVALID_PARAMETER) }
        }
    })
}
