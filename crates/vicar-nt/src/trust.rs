//! How far the code of a process is trusted.

use core::fmt;

use crate::sid::{Sid, SidRef};

/// A process trust: how code is protected, and by whom it is signed.
///
/// # NT
/// `SECURITY_PROCESS_TRUST_AUTHORITY`: S-1-19-type-level.
///
/// # Source
/// Observed; MS-DTYP 2.4.4.1 names the entry type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessTrust {
    /// 0 none, 512 protected process light, 1024 protected process.
    pub kind: u32,
    /// Who signed: 0, 1024, 1536, 2048, 4096, 8192, from anybody up to the system itself.
    pub level: u32,
}

impl ProcessTrust {
    /// What a token without a trust SID has.
    pub const NONE: Self = Self { kind: 0, level: 0 };

    /// Returns the SID of this trust.
    #[must_use]
    pub const fn to_sid(self) -> Sid {
        Sid::constant(19, &[self.kind, self.level])
    }

    /// Returns the trust a SID names, or `None` when it is not S-1-19 with exactly two sub-authorities.
    #[must_use]
    pub fn parse_sid(sid: SidRef<'_>) -> Option<Self> {
        let mut subs = sid.sub_authorities();
        match (sid.authority(), subs.next(), subs.next(), subs.next()) {
            (19, Some(kind), Some(level), None) => Some(Self { kind, level }),
            _ => None,
        }
    }

    /// Returns whether both parts are at least the other's.
    #[must_use]
    pub const fn dominates(self, other: Self) -> bool {
        self.kind >= other.kind && self.level >= other.level
    }
}

impl fmt::Display for ProcessTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trust {}-{}", self.kind, self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::well_known;

    #[test]
    fn section_1_1_trust_dominates_by_both_parts() {
        let trust = |kind, level| ProcessTrust { kind, level };
        for (subject, object, dominates) in [
            (trust(512, 4096), trust(512, 4096), true),
            (trust(1024, 8192), trust(512, 4096), true),
            (trust(1024, 1024), trust(512, 4096), false),
            (trust(0, 8192), trust(512, 4096), false),
            (ProcessTrust::NONE, ProcessTrust::NONE, true),
        ] {
            assert_eq!(subject.dominates(object), dominates, "{subject} {object}");
        }
    }

    #[test]
    fn a_trust_and_its_sid_are_one() {
        let trust = ProcessTrust { kind: 512, level: 4096 };
        assert_eq!(trust.to_sid(), "S-1-19-512-4096".parse::<Sid>().unwrap());
        assert_eq!(ProcessTrust::parse_sid(trust.to_sid().as_ref()), Some(trust));
        assert_eq!(ProcessTrust::parse_sid(well_known::TRUST_NONE.as_ref()), Some(ProcessTrust::NONE));
        for other in ["S-1-19-512", "S-1-19-512-4096-1", "S-1-16-512-4096"] {
            assert_eq!(ProcessTrust::parse_sid(other.parse::<Sid>().unwrap().as_ref()), None);
        }
    }
}
