//! How much of a client's identity a server may use.

use core::fmt;

/// How much a server may do with a client's identity.
///
/// The order exists for capping one level by another. Whether something is permitted is asked by name, with
/// [`may_act_locally`](Self::may_act_locally). There is no default.
///
/// # NT
/// `SECURITY_IMPERSONATION_LEVEL`.
///
/// # Source
/// learn.microsoft.com, "Impersonation Levels".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ImpersonationLevel {
    /// The server learns nothing about the client.
    Anonymous = 0,
    /// The server may ask who the client is, and decide about its own objects; it may not act as the client.
    Identification = 1,
    /// The server may act as the client on this machine.
    Impersonation = 2,
    /// The server may act as the client on other machines too.
    Delegation = 3,
}

impl ImpersonationLevel {
    /// All levels, lowest first.
    pub const ALL: [Self; 4] = [Self::Anonymous, Self::Identification, Self::Impersonation, Self::Delegation];

    /// Returns whether local objects may be opened as the client.
    #[must_use]
    pub const fn may_act_locally(self) -> bool {
        matches!(self, Self::Impersonation | Self::Delegation)
    }

    /// Returns whether the server may know who the client is.
    #[must_use]
    pub const fn may_identify(self) -> bool {
        matches!(self, Self::Identification | Self::Impersonation | Self::Delegation)
    }

    /// Returns the lower of two levels.
    #[must_use]
    pub fn capped_by(self, limit: Self) -> Self {
        self.min(limit)
    }

    /// Returns the level with this NT number, or `None` when there is none.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Anonymous),
            1 => Some(Self::Identification),
            2 => Some(Self::Impersonation),
            3 => Some(Self::Delegation),
            _ => None,
        }
    }

    /// Returns the NT number of the level.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Anonymous => 0,
            Self::Identification => 1,
            Self::Impersonation => 2,
            Self::Delegation => 3,
        }
    }
}

impl fmt::Display for ImpersonationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Anonymous => "anonymous",
            Self::Identification => "identification",
            Self::Impersonation => "impersonation",
            Self::Delegation => "delegation",
        })
    }
}
