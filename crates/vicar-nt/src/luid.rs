//! Locally unique identifiers.

use core::cmp::Ordering;
use core::fmt;

/// A 64-bit number that is unique until the system restarts.
///
/// The order is that of the signed 64-bit number `high:low`.
///
/// # NT
/// `LUID`.
///
/// # Source
/// MS-DTYP 2.3.7.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Luid {
    /// The low 32 bits.
    pub low: u32,
    /// The high 32 bits, signed.
    pub high: i32,
}

impl Luid {
    /// The logon session of the operating system.
    pub const SYSTEM: Self = Self { low: 0x3e7, high: 0 };
    /// The logon session of the anonymous user.
    pub const ANONYMOUS_LOGON: Self = Self { low: 0x3e6, high: 0 };
    /// The logon session of local service.
    pub const LOCAL_SERVICE: Self = Self { low: 0x3e5, high: 0 };
    /// The logon session of network service.
    pub const NETWORK_SERVICE: Self = Self { low: 0x3e4, high: 0 };
    /// No identifier; the origin of a network logon.
    pub const ZERO: Self = Self { low: 0, high: 0 };
    /// The first number that is handed out; those below are well known.
    pub const FIRST_DYNAMIC: Self = Self { low: 0x3e9, high: 0 };

    /// Splits a 64-bit number.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        Self { low: u32::from_le_bytes([a, b, c, d]), high: i32::from_le_bytes([e, f, g, h]) }
    }

    /// Joins both halves into a 64-bit number.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        let [a, b, c, d] = self.low.to_le_bytes();
        let [e, f, g, h] = self.high.to_le_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl PartialOrd for Luid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Luid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.high.cmp(&other.high).then(self.low.cmp(&other.low))
    }
}
impl fmt::Debug for Luid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl fmt::Display for Luid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.to_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_signed_and_halves_round_trip() {
        let minus_one = Luid { low: u32::MAX, high: -1 };
        assert!(minus_one < Luid::ZERO);
        assert!(Luid { low: 0, high: 1 } > Luid { low: u32::MAX, high: 0 });
        for value in [0, 0x3e7, u64::MAX, 0x8000_0000_0000_0001] {
            assert_eq!(Luid::from_u64(value).to_u64(), value);
        }
    }
}
