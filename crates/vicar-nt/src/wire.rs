//! The only reader of offsets: a bounded cursor over untrusted bytes, and the error that says where they were wrong.
//!
//! Every structure of this crate that comes from bytes is read through [`Reader`]. It never reads outside its slice,
//! never multiplies a length it was given without checking, and never returns a number without saying where it stood.

use core::fmt;

/// Which structure is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A SID.
    Sid,
    /// An ACL, or an ACE inside it.
    Acl,
    /// A security descriptor.
    Descriptor,
    /// The revision of an ACL or of a security descriptor.
    Revision,
    /// The condition of an ACE.
    Condition,
    /// A claim.
    Claim,
    /// A name or a number in text.
    Text,
}

/// Bytes or text are not what they claim to be.
///
/// # Source
/// MS-DTYP 2.4 gives the structures; the offset counts from the start of the outermost one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    kind: Malformed,
    at_byte: usize,
    item: &'static str,
}

impl ParseError {
    /// Says that `item` is wrong at byte `at_byte`.
    #[must_use]
    pub const fn at(kind: Malformed, at_byte: usize, item: &'static str) -> Self {
        Self { kind, at_byte, item }
    }

    /// Returns which structure is malformed.
    #[must_use]
    pub const fn kind(&self) -> Malformed {
        self.kind
    }

    /// Returns the offset of the wrong byte, from the start of what was parsed.
    #[must_use]
    pub const fn at_byte(&self) -> usize {
        self.at_byte
    }

    /// Returns the name of what should have been there.
    #[must_use]
    pub const fn item(&self) -> &'static str {
        self.item
    }

    /// Moves the error from an inner structure to the outer one that holds it at `base`.
    #[must_use]
    pub const fn inside(self, base: usize) -> Self {
        Self { at_byte: self.at_byte.saturating_add(base), ..self }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {} at byte {}", self.item, self.at_byte)
    }
}
impl core::error::Error for ParseError {}

/// A cursor over untrusted bytes that knows where it is.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    kind: Malformed,
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`, which are to be a structure of this kind.
    #[must_use]
    #[inline]
    pub const fn new(kind: Malformed, bytes: &'a [u8]) -> Self {
        Self { kind, rest: bytes, at: 0 }
    }

    /// Starts at byte `offset` of `bytes`; on failure names `item`.
    ///
    /// # Errors
    /// - [`ParseError`] at the end of `bytes` when `offset` lies beyond it.
    #[inline]
    pub fn starting_at(
        kind: Malformed,
        bytes: &'a [u8],
        offset: usize,
        item: &'static str,
    ) -> Result<Self, ParseError> {
        let rest = bytes.get(offset..).ok_or(ParseError::at(kind, bytes.len(), item))?;
        Ok(Self { kind, rest, at: offset })
    }

    /// Returns how many bytes were passed.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Returns the bytes not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns whether everything was read.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// - [`ParseError`] naming `item` and where it should have been; nothing is consumed.
    #[inline]
    pub fn take(&mut self, len: usize, item: &'static str) -> Result<&'a [u8], ParseError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(ParseError::at(self.kind, self.at, item))?;
        self.rest = rest;
        self.at = self.at.saturating_add(len);
        Ok(head)
    }

    /// Reads a fixed number of bytes.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`take`](Self::take).
    #[inline]
    pub fn array<const N: usize>(&mut self, item: &'static str) -> Result<[u8; N], ParseError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(ParseError::at(self.kind, self.at, item))?;
        self.rest = rest;
        self.at = self.at.saturating_add(N);
        Ok(*head)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`take`](Self::take).
    #[inline]
    pub fn u8(&mut self, item: &'static str) -> Result<u8, ParseError> {
        self.array::<1>(item).map(|[byte]| byte)
    }

    /// Reads a little-endian `u16`.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`take`](Self::take).
    #[inline]
    pub fn u16(&mut self, item: &'static str) -> Result<u16, ParseError> {
        self.array(item).map(u16::from_le_bytes)
    }

    /// Reads a little-endian `u32`.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`take`](Self::take).
    #[inline]
    pub fn u32(&mut self, item: &'static str) -> Result<u32, ParseError> {
        self.array(item).map(u32::from_le_bytes)
    }

    /// Reads a little-endian `u64`, which need not be aligned.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`take`](Self::take).
    #[inline]
    pub fn u64(&mut self, item: &'static str) -> Result<u64, ParseError> {
        self.array(item).map(u64::from_le_bytes)
    }
}
