//! Access masks: as asked for, as decided about, and the mapping between them.

use core::fmt;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not};

const GENERIC_BITS: u32 = 0xF000_0000;

/// Rights as a caller asks for them; may contain generic bits and [`MAXIMUM_ALLOWED`](AccessMask::MAXIMUM_ALLOWED).
///
/// # NT
/// `ACCESS_MASK` before `RtlMapGenericMask`.
///
/// # Source
/// MS-DTYP 2.4.3.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestedMask(pub u32);

impl RequestedMask {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Whatever reading means for the type.
    pub const GENERIC_READ: Self = Self(0x8000_0000);
    /// Whatever writing means for the type.
    pub const GENERIC_WRITE: Self = Self(0x4000_0000);
    /// Whatever executing means for the type.
    pub const GENERIC_EXECUTE: Self = Self(0x2000_0000);
    /// Everything the type has.
    pub const GENERIC_ALL: Self = Self(0x1000_0000);
    /// As much as the subject may have.
    pub const MAXIMUM_ALLOWED: Self = Self(0x0200_0000);

    /// Returns whether any of the four generic bits is set.
    #[must_use]
    pub const fn has_generic(self) -> bool {
        self.0 & GENERIC_BITS != 0
    }

    /// Returns whether this, mapped, could have a right of `open`, whatever the type.
    #[inline]
    pub(crate) const fn may_intersect(self, open: AccessMask) -> bool {
        self.0 & (open.0 | GENERIC_BITS) != 0
    }

    /// Returns whether the caller asks for as much as it may have.
    #[must_use]
    pub const fn wants_maximum(self) -> bool {
        self.0 & Self::MAXIMUM_ALLOWED.0 != 0
    }
}

impl BitOr for RequestedMask {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
impl From<AccessMask> for RequestedMask {
    fn from(mask: AccessMask) -> Self {
        Self(mask.0)
    }
}

/// Specific and standard rights of one object type; never contains generic bits.
///
/// # Source
/// MS-DTYP 2.4.3.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccessMask(u32);

impl AccessMask {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Delete the object.
    pub const DELETE: Self = Self(0x0001_0000);
    /// Read the owner, the group and the DACL.
    pub const READ_CONTROL: Self = Self(0x0002_0000);
    /// Replace the DACL.
    pub const WRITE_DAC: Self = Self(0x0004_0000);
    /// Replace the owner.
    pub const WRITE_OWNER: Self = Self(0x0008_0000);
    /// Wait for the object.
    pub const SYNCHRONIZE: Self = Self(0x0010_0000);
    /// Read and replace the SACL. Only a privilege grants it.
    pub const ACCESS_SYSTEM_SECURITY: Self = Self(0x0100_0000);
    /// As much as the subject may have: a request, never a right that is granted.
    pub const MAXIMUM_ALLOWED: Self = Self(0x0200_0000);

    /// Makes a mask, or returns `None` when a generic bit is set.
    #[must_use]
    pub const fn new(bits: u32) -> Option<Self> {
        if bits & GENERIC_BITS == 0 { Some(Self(bits)) } else { None }
    }

    /// Makes a mask of the bits that are not generic; the generic ones are dropped.
    #[must_use]
    pub const fn truncate(bits: u32) -> Self {
        Self(bits & !GENERIC_BITS)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether no bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether every bit of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether any bit of `other` is set here.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the bits set here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the bits set here or in `other`.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the bits set both here and in `other`.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for AccessMask {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}
impl BitAnd for AccessMask {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        self.intersection(other)
    }
}
impl BitOrAssign for AccessMask {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}
impl BitAndAssign for AccessMask {
    fn bitand_assign(&mut self, other: Self) {
        *self = self.intersection(other);
    }
}
impl Not for AccessMask {
    type Output = Self;
    fn not(self) -> Self {
        Self::truncate(!self.0)
    }
}
impl fmt::Debug for AccessMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
impl fmt::Display for AccessMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
impl fmt::Debug for RequestedMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
impl fmt::Display for RequestedMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// What each generic right means for one object type.
///
/// # NT
/// `GENERIC_MAPPING`.
///
/// # Source
/// MS-DTYP 2.4.3; learn.microsoft.com, the security pages of each object type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenericMapping {
    /// What GENERIC_READ means.
    pub read: AccessMask,
    /// What GENERIC_WRITE means.
    pub write: AccessMask,
    /// What GENERIC_EXECUTE means.
    pub execute: AccessMask,
    /// What GENERIC_ALL means.
    pub all: AccessMask,
}

impl GenericMapping {
    /// A type for which the generic rights mean nothing.
    pub const NONE: Self = Self::of(0, 0, 0, 0);
    /// Files and directories of a file system.
    pub const FILE: Self = Self::of(0x12_0089, 0x12_0116, 0x12_00A0, 0x1F_01FF);
    /// Registry keys.
    pub const REGISTRY: Self = Self::of(0x2_0019, 0x2_0006, 0x2_0019, 0xF_003F);
    /// Directory service objects.
    pub const DIRECTORY_SERVICE: Self = Self::of(0x2_0094, 0x2_0028, 0x2_0004, 0xF_01FF);
    /// Directories of the object manager.
    pub const OBJECT_DIRECTORY: Self = Self::of(0x2_0003, 0x2_000C, 0x2_0003, 0xF_000F);
    /// Mutants.
    pub const MUTANT: Self = Self::of(0x2_0001, 0x2_0000, 0x12_0000, 0x1F_0001);
    /// Processes.
    pub const PROCESS: Self = Self::of(0x2_0410, 0x2_0BEA, 0x12_1001, 0x1F_FFFF);
    /// Tokens.
    pub const TOKEN: Self = Self::of(0x2_001A, 0x2_01E0, 0x2_0005, 0xF_01FF);

    /// Makes a mapping from four masks, in the order read, write, execute, all. Generic bits in them are dropped.
    #[must_use]
    pub const fn of(read: u32, write: u32, execute: u32, all: u32) -> Self {
        Self {
            read: AccessMask::truncate(read),
            write: AccessMask::truncate(write),
            execute: AccessMask::truncate(execute),
            all: AccessMask::truncate(all),
        }
    }

    /// Replaces generic bits by this type's specific rights; other bits stay. Mapping twice changes nothing.
    ///
    /// # NT
    /// `RtlMapGenericMask`.
    #[must_use]
    #[doc(alias = "RtlMapGenericMask")]
    #[inline]
    pub const fn map(&self, requested: RequestedMask) -> AccessMask {
        let mut out = AccessMask::truncate(requested.0);
        if !requested.has_generic() {
            return out;
        }
        if requested.0 & RequestedMask::GENERIC_READ.0 != 0 {
            out = out.union(self.read);
        }
        if requested.0 & RequestedMask::GENERIC_WRITE.0 != 0 {
            out = out.union(self.write);
        }
        if requested.0 & RequestedMask::GENERIC_EXECUTE.0 != 0 {
            out = out.union(self.execute);
        }
        if requested.0 & RequestedMask::GENERIC_ALL.0 != 0 {
            out = out.union(self.all);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_bits_are_replaced_and_others_stay() {
        let file = GenericMapping::FILE;
        assert_eq!(file.map(RequestedMask(0x8000_0000)).bits(), 0x12_0089);
        assert_eq!(file.map(RequestedMask(0xF000_0000)).bits(), 0x1F_01FF);
        assert_eq!(file.map(RequestedMask(0x0201_0001)).bits(), 0x0201_0001);
        let once = file.map(RequestedMask(0x6000_0002));
        assert_eq!(file.map(once.into()), once);
        assert_eq!(GenericMapping::of(0xF000_0001, 0, 0, 0).read.bits(), 1);
    }

    #[test]
    fn a_mask_never_holds_generic_bits() {
        assert!(AccessMask::new(0x8000_0000).is_none());
        assert!((!AccessMask::NONE).bits() == 0x0FFF_FFFF);
    }
}
