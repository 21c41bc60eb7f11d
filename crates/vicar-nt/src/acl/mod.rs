//! Access control lists over validated bytes.
//!
//! [`AclRef`] is a view into bytes that were checked once, completely; [`Acl`] owns such bytes. There is no second,
//! parsed form that could disagree with the bytes: entries are read where they stand, in stored order, and entries of
//! types this crate does not know are carried verbatim. The order is never repaired.

mod ace;
mod build;
mod entry;
mod kind;
mod order;
mod whole;

use alloc::sync::Arc;
use core::fmt;

pub use ace::{Ace, AceFlags, AceParts, Compound};
pub use build::{AclBuilder, AclTooLong};
pub use entry::{ApplicationData, Entry, FilterChange, Inheritance, LabelPolicy, Outcomes, RightsEntry};
pub use kind::AceKind;
pub(crate) use kind::{Data, Role};
pub use order::Canonical;
pub(crate) use whole::{WholeAce, WholeAces};

use crate::wire::{Malformed, ParseError, Reader};

/// A validated ACL inside bytes that belong to somebody else.
///
/// # NT
/// `ACL` that passed `RtlValidAcl`.
///
/// # Source
/// MS-DTYP 2.4.5.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AclRef<'a> {
    /// Exactly as many bytes as the header says, slack included.
    bytes: &'a [u8],
}

/// A validated ACL. Copies share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Acl {
    bytes: Arc<[u8]>,
}

const HEADER_LEN: usize = 8;

impl<'a> AclRef<'a> {
    /// An ACL without entries: it grants nothing.
    pub const EMPTY: AclRef<'static> = AclRef { bytes: &[2, 0, 8, 0, 0, 0, 0, 0] };

    /// Reads one ACL from the front of `wire` and validates it with all its entries.
    ///
    /// Bytes between the last entry and the size in the header are slack: carried, and ignored.
    ///
    /// # Errors
    /// - [`ParseError`] naming item and byte: revision not 2 to 4, size below 8, not a multiple of 4 or beyond the end,
    ///   an entry that does not fit, is shorter than its type needs, or holds a malformed SID.
    ///
    /// # Source
    /// MS-DTYP 2.4.5, 2.4.4.1.
    pub fn parse(wire: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let mut reader = Reader::new(Malformed::Acl, wire);
        let revision = reader.u8("ACL revision")?;
        if !(2..=4).contains(&revision) {
            return Err(ParseError::at(Malformed::Revision, 0, "ACL revision"));
        }
        reader.u8("ACL padding")?;
        let size = usize::from(reader.u16("ACL size")?);
        let count = reader.u16("ACE count")?;
        reader.u16("ACL padding")?;
        if size < HEADER_LEN || !size.is_multiple_of(4) {
            return Err(ParseError::at(Malformed::Acl, 2, "ACL size"));
        }
        let Some((bytes, rest)) = wire.split_at_checked(size) else {
            return Err(ParseError::at(Malformed::Acl, wire.len(), "ACL size"));
        };
        let mut at = HEADER_LEN;
        for _ in 0..count {
            let tail = bytes.get(at..).unwrap_or(&[]);
            let len = match whole::plain_len(tail) {
                Some(len) => len,
                None => Ace::parse(tail).map_err(|error| error.inside(at))?.0.as_bytes().len(),
            };
            at = at.saturating_add(len);
        }
        Ok((Self { bytes }, rest))
    }

    /// Returns the encoded ACL, slack included.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the revision, 2 to 4.
    #[must_use]
    pub fn revision(self) -> u8 {
        self.bytes.first().copied().unwrap_or(2)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn count(self) -> u16 {
        match self.bytes {
            [_, _, _, _, low, high, ..] => u16::from_le_bytes([*low, *high]),
            _ => 0,
        }
    }

    /// Returns the entries in stored order.
    #[must_use]
    pub fn aces(self) -> Aces<'a> {
        Aces { rest: self.bytes.get(HEADER_LEN..).unwrap_or(&[]), left: self.count() }
    }

    /// Returns the entries with their numbers in stored order, not taken apart.
    #[inline]
    pub(crate) fn whole_aces(self) -> WholeAces<'a> {
        WholeAces { rest: self.bytes.get(HEADER_LEN..).unwrap_or(&[]), at: 0, count: self.count() }
    }

    /// Returns the first effective entry of a type.
    #[inline]
    pub(crate) fn first_effective(self, kind: AceKind) -> Option<Ace<'a>> {
        self.whole_aces()
            .map(|(_, ace)| ace)
            .find(|ace| ace.kind() == kind && ace.is_effective())
            .and_then(WholeAce::read)
    }

    /// Copies the ACL out.
    #[must_use]
    pub fn to_acl(self) -> Acl {
        Acl { bytes: self.bytes.into() }
    }

    /// Makes a view of bytes that were validated when their offsets were recorded.
    pub(crate) const fn validated(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl Acl {
    /// Reads and validates one ACL that fills `wire`.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`AclRef::parse`], or when bytes follow the ACL.
    pub fn parse(wire: &[u8]) -> Result<Self, ParseError> {
        let (acl, rest) = AclRef::parse(wire)?;
        if rest.is_empty() {
            Ok(acl.to_acl())
        } else {
            Err(ParseError::at(Malformed::Acl, acl.bytes.len(), "end of ACL"))
        }
    }

    /// Starts an ACL.
    pub fn builder() -> AclBuilder {
        AclBuilder::new()
    }

    /// Borrows the ACL as a view.
    #[must_use]
    pub fn as_ref(&self) -> AclRef<'_> {
        AclRef { bytes: &self.bytes }
    }

    /// Returns the bytes a copy needs.
    #[must_use]
    pub fn size_of_copy(&self) -> usize {
        self.bytes.len()
    }
}

/// The entries of an ACL, in stored order.
#[derive(Clone, Debug)]
pub struct Aces<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Iterator for Aces<'a> {
    type Item = Ace<'a>;

    fn next(&mut self) -> Option<Ace<'a>> {
        self.left = self.left.checked_sub(1)?;
        // Validation read every entry in the same way, so this cannot fail.
        let (ace, rest) = Ace::parse(self.rest).ok()?;
        self.rest = rest;
        Some(ace)
    }
}

impl fmt::Debug for AclRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.aces()).finish()
    }
}
impl fmt::Debug for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_ref(), f)
    }
}

#[cfg(test)]
mod tests;
