//! Security identifiers, owned and borrowed.
//!
//! [`Sid`] is a copyable value of at most 68 bytes; [`SidRef`] is a validated view into somebody else's bytes, so that
//! walking an ACL copies nothing. Neither resolves a name: a SID is a number, and who it belongs to is not known here.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;

use crate::wire::{Malformed, ParseError};

/// A security identifier whose revision, count and length were checked.
///
/// Two SIDs are equal when their encoded bytes are equal. The order is by encoded bytes; it is total and stable, and
/// means nothing beyond that.
///
/// # NT
/// `SID`.
///
/// # Source
/// MS-DTYP 2.4.2.2 (packet representation), 2.4.2.1 (string format).
///
/// # Examples
/// ```
/// use vicar_nt::Sid;
/// let admins: Sid = "S-1-5-32-544".parse().unwrap();
/// assert_eq!(admins, vicar_nt::well_known::ADMINISTRATORS);
/// assert!("S-1-5-".parse::<Sid>().is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Sid {
    len: u8,
    bytes: [u8; Sid::MAX_LEN],
}

/// A validated SID inside bytes that belong to somebody else.
#[derive(Clone, Copy)]
pub struct SidRef<'a> {
    bytes: &'a [u8],
}

impl Sid {
    /// Most sub-authorities a SID may have.
    pub const MAX_SUB_AUTHORITIES: usize = 15;
    /// Largest encoded SID in bytes: an 8-byte head and fifteen 4-byte sub-authorities.
    pub const MAX_LEN: usize = 68;
    /// Largest identifier authority: 48 bits.
    pub const MAX_AUTHORITY: u64 = 0xFFFF_FFFF_FFFF;

    /// Makes a SID from its identifier authority and sub-authorities.
    ///
    /// # Returns
    /// `None` when `authority` needs more than 48 bits or there are more than fifteen sub-authorities.
    #[must_use]
    pub const fn new(authority: u64, sub_authorities: &[u32]) -> Option<Self> {
        let count = match sub_authorities.len() {
            0 => 0u8,
            1 => 1,
            2 => 2,
            3 => 3,
            4 => 4,
            5 => 5,
            6 => 6,
            7 => 7,
            8 => 8,
            9 => 9,
            10 => 10,
            11 => 11,
            12 => 12,
            13 => 13,
            14 => 14,
            15 => 15,
            _ => return None,
        };
        let [0, 0, a, b, c, d, e, f] = authority.to_be_bytes() else { return None };
        let mut bytes = [0; Self::MAX_LEN];
        let Some((head, mut tail)) = bytes.split_first_chunk_mut::<8>() else { return None };
        *head = [1, count, a, b, c, d, e, f];
        let mut left = sub_authorities;
        while let [first, rest @ ..] = left {
            let Some((slot, after)) = tail.split_first_chunk_mut::<4>() else { return None };
            *slot = first.to_le_bytes();
            tail = after;
            left = rest;
        }
        Some(Self { len: count.saturating_mul(4).saturating_add(8), bytes })
    }

    /// Makes a SID of numbers that this crate knows to fit: those of [`crate::well_known`], and of a digest.
    pub(crate) const fn constant(authority: u64, sub_authorities: &[u32]) -> Self {
        match Self::new(authority, sub_authorities) {
            Some(sid) => sid,
            // Reached only by what does not fit, which nothing in this crate is: a SID without numbers matches nobody.
            None => Self { len: 8, bytes: Self::EMPTY },
        }
    }

    const EMPTY: [u8; Self::MAX_LEN] = {
        let mut bytes = [0; Self::MAX_LEN];
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        bytes
    };

    /// Reads one SID from the front of `wire` and returns it with the bytes that follow.
    ///
    /// # Errors
    /// - [`ParseError`] naming the item and the byte where it is wrong: revision not 1, more than fifteen
    ///   sub-authorities, or bytes that end too early.
    ///
    /// # Source
    /// MS-DTYP 2.4.2.2.
    pub fn parse(wire: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        SidRef::parse(wire).map(|(sid, rest)| (sid.to_sid(), rest))
    }

    /// Returns the encoded SID: 8 to 68 bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// Borrows this SID as a view.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> SidRef<'_> {
        SidRef { bytes: self.as_bytes() }
    }

    /// Returns the 48-bit identifier authority.
    #[must_use]
    pub fn authority(&self) -> u64 {
        self.as_ref().authority()
    }

    /// Returns the sub-authorities in order.
    pub fn sub_authorities(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.as_ref().sub_authorities()
    }

    /// Returns the last sub-authority (the relative identifier), if there is one.
    #[must_use]
    pub fn rid(&self) -> Option<u32> {
        self.as_ref().rid()
    }

    /// Returns this SID with one more sub-authority, or `None` when it already has fifteen.
    #[must_use]
    pub fn child(&self, rid: u32) -> Option<Self> {
        let count = self.sub_authorities().len();
        let mut subs = [0u32; Self::MAX_SUB_AUTHORITIES];
        for (to, from) in subs.iter_mut().zip(self.sub_authorities().chain([rid])) {
            *to = from;
        }
        Self::new(self.authority(), subs.get(..count.checked_add(1)?)?)
    }

    /// Returns whether `other` is this SID with exactly one more sub-authority, as an account is of its domain.
    #[must_use]
    pub fn is_domain_of(&self, other: SidRef<'_>) -> bool {
        other.authority() == self.authority()
            && other.sub_authorities().len() == self.sub_authorities().len().saturating_add(1)
            && other.sub_authorities().zip(self.sub_authorities()).all(|(theirs, ours)| theirs == ours)
    }
}

impl<'a> SidRef<'a> {
    /// Reads one SID from the front of `wire` without copying it and returns it with the bytes that follow.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`Sid::parse`].
    #[inline]
    pub fn parse(wire: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let len: u8 = match wire {
            // Count 0..=15 gives 8..=68 bytes, so the saturating forms never saturate.
            [1, count @ 0..=15, ..] => count.saturating_mul(4).saturating_add(8),
            [1, _, ..] => return Err(ParseError::at(Malformed::Sid, 1, "SID sub-authority count")),
            [1] => return Err(ParseError::at(Malformed::Sid, 1, "SID sub-authority count")),
            _ => return Err(ParseError::at(Malformed::Sid, 0, "SID revision")),
        };
        match wire.split_at_checked(usize::from(len)) {
            Some((bytes, rest)) => Ok((Self { bytes }, rest)),
            None => Err(ParseError::at(Malformed::Sid, wire.len(), "SID sub-authorities")),
        }
    }

    /// Returns the encoded SID: 8 to 68 bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Makes a view of bytes that were validated before: a whole SID and nothing else.
    #[inline]
    pub(crate) const fn validated(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Copies the SID out.
    #[must_use]
    #[inline]
    pub fn to_sid(self) -> Sid {
        let mut bytes = [0; Sid::MAX_LEN];
        if let Some(to) = bytes.get_mut(..self.bytes.len()) {
            to.copy_from_slice(self.bytes);
        }
        Sid { len: u8::try_from(self.bytes.len()).unwrap_or(8), bytes }
    }

    /// The first eight bytes as a number: revision, count and authority.
    #[inline]
    pub(crate) fn head(self) -> u64 {
        self.bytes.first_chunk().map_or(0, |head| u64::from_le_bytes(*head))
    }

    /// The last eight bytes as a number. With the relative identifier in them, they tell most SIDs apart.
    #[inline]
    pub(crate) fn tail(self) -> u64 {
        self.bytes.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail))
    }

    /// Returns the 48-bit identifier authority.
    #[must_use]
    pub fn authority(self) -> u64 {
        match self.bytes {
            [_, _, a, b, c, d, e, f, ..] => u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]),
            _ => 0,
        }
    }

    /// Returns the sub-authorities in order.
    pub fn sub_authorities(self) -> impl ExactSizeIterator<Item = u32> + 'a {
        let (chunks, _) = self.bytes.get(8..).unwrap_or(&[]).as_chunks::<4>();
        chunks.iter().map(|chunk| u32::from_le_bytes(*chunk))
    }

    /// Returns the last sub-authority (the relative identifier), if there is one.
    #[must_use]
    pub fn rid(self) -> Option<u32> {
        self.sub_authorities().last()
    }
}

/// Most SIDs that differ do so in their length or in their last eight bytes.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.last_chunk::<8>() == b.last_chunk::<8>() && a == b
}

impl PartialEq for Sid {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        is_same(self.as_bytes(), other.as_bytes())
    }
}
impl Eq for Sid {}
impl PartialOrd for Sid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Sid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}
impl PartialEq for SidRef<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        is_same(self.bytes, other.bytes)
    }
}
impl Eq for SidRef<'_> {}
impl PartialEq<Sid> for SidRef<'_> {
    #[inline]
    fn eq(&self, other: &Sid) -> bool {
        is_same(self.bytes, other.as_bytes())
    }
}
impl PartialEq<SidRef<'_>> for Sid {
    #[inline]
    fn eq(&self, other: &SidRef<'_>) -> bool {
        is_same(self.as_bytes(), other.bytes)
    }
}
impl<'a> From<&'a Sid> for SidRef<'a> {
    fn from(sid: &'a Sid) -> Self {
        sid.as_ref()
    }
}

impl fmt::Display for SidRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority();
        if authority > u64::from(u32::MAX) {
            write!(f, "S-1-{authority:#x}")?;
        } else {
            write!(f, "S-1-{authority}")?;
        }
        self.sub_authorities().try_for_each(|sub| write!(f, "-{sub}"))
    }
}
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}
impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl fmt::Debug for SidRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = ParseError;

    /// Reads the canonical text form: `S-1-`, the authority (decimal, or `0x` and hexadecimal), and one to fifteen
    /// decimal sub-authorities. The leniencies of SDDL are in [`crate::sddl`], not here.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let Some(rest) = text.strip_prefix("S-1-").or_else(|| text.strip_prefix("s-1-")) else {
            return Err(ParseError::at(Malformed::Text, 0, "SID prefix"));
        };
        let mut at: usize = 4;
        let mut parts = rest.split('-');
        let first = parts.next().unwrap_or("");
        let authority = match first.strip_prefix("0x") {
            Some(hex) => digits(hex, 16),
            None => digits(first, 10),
        };
        let authority = authority.filter(|value| *value <= Self::MAX_AUTHORITY);
        let authority = authority.ok_or(ParseError::at(Malformed::Text, at, "SID identifier authority"))?;
        at = at.saturating_add(first.len()).saturating_add(1);
        let mut subs = [0u32; Self::MAX_SUB_AUTHORITIES];
        let mut count: usize = 0;
        for part in parts {
            let value = digits(part, 10).and_then(|value| u32::try_from(value).ok());
            let value = value.ok_or(ParseError::at(Malformed::Text, at, "SID sub-authority"))?;
            *subs.get_mut(count).ok_or(ParseError::at(Malformed::Text, at, "SID sub-authority count"))? = value;
            count = count.saturating_add(1);
            at = at.saturating_add(part.len()).saturating_add(1);
        }
        if count == 0 {
            return Err(ParseError::at(Malformed::Text, text.len(), "SID sub-authority"));
        }
        subs.get(..count).and_then(|subs| Self::new(authority, subs)).ok_or(ParseError::at(Malformed::Text, 0, "SID"))
    }
}

/// Reads a number made of digits alone, no sign and no blanks.
fn digits(text: &str, radix: u32) -> Option<u64> {
    if text.is_empty() || !text.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_and_bytes_agree() {
        for (text, hex_len) in [("S-1-1-0", 12), ("S-1-5-32-544", 16), ("S-1-0x500000000-32-579", 16)] {
            let sid: Sid = text.parse().unwrap();
            assert_eq!(sid.to_string(), text);
            assert_eq!(sid.as_bytes().len(), hex_len);
            assert_eq!(Sid::parse(sid.as_bytes()).unwrap().0, sid);
        }
    }

    #[test]
    fn malformed_bytes_are_named_by_offset() {
        for (bytes, error) in [
            (&[][..], ParseError::at(Malformed::Sid, 0, "SID revision")),
            (&[2, 0, 0, 0, 0, 0, 0, 5], ParseError::at(Malformed::Sid, 0, "SID revision")),
            (&[1, 16, 0, 0, 0, 0, 0, 5], ParseError::at(Malformed::Sid, 1, "SID sub-authority count")),
            (&[1, 1, 0, 0, 0, 0, 0, 5, 1, 0, 0], ParseError::at(Malformed::Sid, 11, "SID sub-authorities")),
        ] {
            assert_eq!(Sid::parse(bytes).unwrap_err(), error);
        }
    }

    #[test]
    fn malformed_text_is_named_by_offset() {
        for (text, at) in [
            ("", 0),
            ("S-2-5-1", 0),
            ("S-1-x-1", 4),
            ("S-1-5", 5),
            ("S-1-5-", 6),
            ("S-1-5-4294967296", 6),
            ("S-1-5-1 ", 6),
            ("S-1-281474976710656-1", 4),
        ] {
            assert_eq!(text.parse::<Sid>().unwrap_err().at_byte(), at, "{text}");
        }
    }

    #[test]
    fn sixteen_sub_authorities_do_not_fit() {
        assert!(Sid::new(5, &[1; 15]).is_some());
        assert!(Sid::new(5, &[1; 16]).is_none());
        assert!(Sid::new(1 << 48, &[1]).is_none());
        assert!(Sid::new(5, &[1; 15]).unwrap().child(1).is_none());
    }

    #[test]
    fn a_domain_has_accounts_one_level_below() {
        let domain: Sid = "S-1-5-21-1-2-3".parse().unwrap();
        let account = domain.child(1001).unwrap();
        assert!(domain.is_domain_of(account.as_ref()));
        assert!(!domain.is_domain_of(domain.as_ref()));
        assert!(!domain.is_domain_of(account.child(1).unwrap().as_ref()));
    }
}
