//! Integrity levels.

use core::fmt;

use crate::sid::{Sid, SidRef};
use crate::well_known;

/// How trustworthy a subject is, or how trustworthy one must be to change an object.
///
/// Any number is a level; they compare as numbers. A token without a level is `None`, never a number.
///
/// # Source
/// MS-DTYP 2.4.4.13 (mandatory label ACE); learn.microsoft.com, "Mandatory Integrity Control".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegrityLevel(pub u32);

impl IntegrityLevel {
    /// Anonymous and untrusted code.
    pub const UNTRUSTED: Self = Self(0);
    /// Sandboxed code.
    pub const LOW: Self = Self(0x1000);
    /// Ordinary users, and every object without a label.
    pub const MEDIUM: Self = Self(0x2000);
    /// Between medium and high.
    pub const MEDIUM_PLUS: Self = Self(0x2100);
    /// Elevated administrators.
    pub const HIGH: Self = Self(0x3000);
    /// Services of the system.
    pub const SYSTEM: Self = Self(0x4000);
    /// Protected processes.
    pub const PROTECTED: Self = Self(0x5000);

    /// Returns the SID of this level, S-1-16-rid.
    #[must_use]
    pub const fn to_sid(self) -> Sid {
        well_known::integrity(self.0)
    }

    /// Returns the level a SID names, or `None` when it is not S-1-16 with exactly one sub-authority.
    #[must_use]
    pub fn parse_sid(sid: SidRef<'_>) -> Option<Self> {
        let mut subs = sid.sub_authorities();
        match (sid.authority(), subs.next(), subs.next()) {
            (16, Some(rid), None) => Some(Self(rid)),
            _ => None,
        }
    }
}

impl fmt::Display for IntegrityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNTRUSTED => f.pad("untrusted"),
            Self::LOW => f.pad("low"),
            Self::MEDIUM => f.pad("medium"),
            Self::MEDIUM_PLUS => f.pad("medium-plus"),
            Self::HIGH => f.pad("high"),
            Self::SYSTEM => f.pad("system"),
            Self::PROTECTED => f.pad("protected"),
            Self(rid) => write!(f, "integrity {rid:#x}"),
        }
    }
}
