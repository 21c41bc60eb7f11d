//! Claims: named, typed values about a user, a device, a token or an object.
//!
//! A claim is kept in the bytes an ACE would hold ([`Claim`], [`ClaimRef`]), so tokens and resource attributes are read
//! by the same code. What a claim means is decided by [`crate::condition`], not here.

mod encode;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::sid::SidRef;
use crate::utf16::Utf16;
use crate::wire::{Malformed, ParseError, Reader};

bitflags::bitflags! {
    /// The flags of a claim.
    ///
    /// # Source
    /// MS-DTYP 2.4.10.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ClaimFlags: u32 {
        /// New objects do not inherit the attribute.
        const NON_INHERITABLE = 0x01;
        /// Strings compare with regard to case.
        const VALUE_CASE_SENSITIVE = 0x02;
        /// The claim counts in deny entries only.
        const USE_FOR_DENY_ONLY = 0x04;
        /// The claim starts disabled.
        const DISABLED_BY_DEFAULT = 0x08;
        /// The claim does not count.
        const DISABLED = 0x10;
        /// The claim cannot be disabled.
        const MANDATORY = 0x20;
    }
}

/// The type of a claim's values.
///
/// # Source
/// MS-DTYP 2.4.10.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimType {
    /// Signed 64-bit numbers.
    Int64,
    /// Unsigned 64-bit numbers.
    Uint64,
    /// UTF-16 text.
    Text,
    /// Names of programs with the versions they have. No ACE may hold one: it occurs in tokens only.
    Fqbn,
    /// SIDs.
    Sid,
    /// Truth values.
    Boolean,
    /// Bytes.
    Octets,
}

impl ClaimType {
    /// Returns the type with this number, or `None` when there is none.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Int64),
            2 => Some(Self::Uint64),
            3 => Some(Self::Text),
            4 => Some(Self::Fqbn),
            5 => Some(Self::Sid),
            6 => Some(Self::Boolean),
            0x10 => Some(Self::Octets),
            _ => None,
        }
    }

    /// Returns the number of the type.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Int64 => 1,
            Self::Uint64 => 2,
            Self::Text => 3,
            Self::Fqbn => 4,
            Self::Sid => 5,
            Self::Boolean => 6,
            Self::Octets => 0x10,
        }
    }
}

/// One value of a claim or of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number, signed or unsigned 64 bits.
    Integer(i128),
    /// Text.
    Text(Utf16<'a>),
    /// A program, by its fully qualified binary name.
    Fqbn {
        /// Its version.
        version: u64,
        /// Its name: publisher, product and file.
        name: Utf16<'a>,
    },
    /// A SID.
    Sid(SidRef<'a>),
    /// A truth value.
    Boolean(bool),
    /// Bytes.
    Octets(&'a [u8]),
}

impl Value<'_> {
    /// How many bytes of a claim hold nothing but the value: its end and its length are left out.
    const fn size(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Boolean(_) => 8,
            Self::Text(text) => text.as_bytes().len(),
            Self::Fqbn { name, .. } => name.as_bytes().len().saturating_add(8),
            Self::Sid(sid) => sid.as_bytes().len(),
            Self::Octets(octets) => octets.len(),
        }
    }

    /// Orders two values of one type; `None` when the types differ.
    pub(crate) fn order(&self, other: &Value<'_>, is_case_sensitive: bool) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
            (Self::Boolean(a), Value::Boolean(b)) => Some(a.cmp(b)),
            (Self::Octets(a), Value::Octets(b)) => Some((*a).cmp(*b)),
            (Self::Sid(a), Value::Sid(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Text(a), Value::Text(b)) if is_case_sensitive => Some(a.cmp_exact(*b)),
            (Self::Text(a), Value::Text(b)) => Some(a.cmp_ignore_case(*b)),
            (Self::Fqbn { version, name }, Value::Fqbn { version: other_version, name: other_name }) => {
                let names = Self::Text(*name).order(&Value::Text(*other_name), is_case_sensitive);
                names.map(|order| order.then(version.cmp(other_version)))
            }
            (
                Self::Integer(_)
                | Self::Boolean(_)
                | Self::Octets(_)
                | Self::Sid(_)
                | Self::Text(_)
                | Self::Fqbn { .. },
                _,
            ) => None,
        }
    }
}

/// A validated claim inside bytes that belong to somebody else.
///
/// # NT
/// `CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1`.
///
/// # Source
/// MS-DTYP 2.4.10.1.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRef<'a> {
    bytes: &'a [u8],
    name: Utf16<'a>,
    kind: ClaimType,
    flags: ClaimFlags,
    count: usize,
}

const TYPE_AT: usize = 4;
const OFFSETS_AT: usize = 16;

impl<'a> ClaimRef<'a> {
    /// Reads a claim and checks every value.
    ///
    /// # Errors
    /// - [`ParseError`] when the type is unknown, an offset leads outside, text does not end, a SID is malformed, a truth
    ///   value is neither 0 nor 1, there is no value, or the values share so many bytes that together they are longer than
    ///   the claim.
    ///
    /// # Cost
    /// One pass over the bytes, whoever wrote them: that is why values that share bytes have a limit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(Malformed::Claim, bytes);
        let name_at = offset(&mut reader, "claim name offset")?;
        let type_at = reader.at();
        let kind = ClaimType::from_number(reader.u16("claim type")?);
        let kind = kind.ok_or(ParseError::at(Malformed::Claim, type_at, "claim type"))?;
        reader.u16("claim padding")?;
        let flags = ClaimFlags::from_bits_retain(reader.u32("claim flags")?);
        let count_at = reader.at();
        let count = offset(&mut reader, "claim value count")?;
        if count == 0 || count > reader.rest().len() {
            return Err(ParseError::at(Malformed::Claim, count_at, "claim value count"));
        }
        let name = bytes.get(name_at..).and_then(Utf16::until_nul);
        let name = name.ok_or(ParseError::at(Malformed::Claim, 0, "claim name offset"))?;
        let claim = Self { bytes, name, kind, flags, count };
        let mut total: usize = 0;
        for index in 0..count {
            total = total.saturating_add(claim.value(index)?.size());
            if total > bytes.len() {
                return Err(ParseError::at(Malformed::Claim, slot_of(index), "claim value offset"));
            }
        }
        Ok(claim)
    }

    /// Reads the claim of a resource attribute entry.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`parse`](Self::parse), and when the claim is of a type no entry may hold.
    ///
    /// # Source
    /// MS-DTYP 2.4.4.15, 2.4.10.1.
    pub fn parse_in_ace(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let claim = Self::parse(bytes)?;
        match claim.kind {
            ClaimType::Fqbn => Err(ParseError::at(Malformed::Claim, TYPE_AT, "claim type")),
            ClaimType::Int64
            | ClaimType::Uint64
            | ClaimType::Text
            | ClaimType::Sid
            | ClaimType::Boolean
            | ClaimType::Octets => Ok(claim),
        }
    }

    fn value(&self, index: usize) -> Result<Value<'a>, ParseError> {
        let mut slots = Reader::starting_at(Malformed::Claim, self.bytes, slot_of(index), "claim value offset")?;
        let at = offset(&mut slots, "claim value offset")?;
        let mut reader = Reader::starting_at(Malformed::Claim, self.bytes, at, "claim value")?;
        let wrong = ParseError::at(Malformed::Claim, at, "claim value");
        Ok(match self.kind {
            ClaimType::Int64 => Value::Integer(i128::from(i64::from_le_bytes(reader.array("claim value")?))),
            ClaimType::Uint64 => Value::Integer(i128::from(reader.u64("claim value")?)),
            ClaimType::Text => Value::Text(Utf16::until_nul(reader.rest()).ok_or(wrong)?),
            ClaimType::Fqbn => {
                let version = reader.u64("claim value")?;
                Value::Fqbn { version, name: Utf16::until_nul(reader.rest()).ok_or(wrong)? }
            }
            ClaimType::Boolean => match reader.u64("claim value")? {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                _ => return Err(wrong),
            },
            ClaimType::Octets => Value::Octets(counted(&mut reader)?),
            ClaimType::Sid => match SidRef::parse(counted(&mut reader)?) {
                Ok((sid, [])) => Value::Sid(sid),
                Ok(_) | Err(_) => return Err(wrong),
            },
        })
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> Utf16<'a> {
        self.name
    }

    /// Returns the type of the values.
    #[must_use]
    pub const fn kind(&self) -> ClaimType {
        self.kind
    }

    /// Returns the flags.
    #[must_use]
    pub const fn flags(&self) -> ClaimFlags {
        self.flags
    }

    /// Returns the number of values, at least one.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Returns the values in order.
    #[must_use]
    pub const fn values(&self) -> Values<'a> {
        Values { claim: *self, next: 0 }
    }

    /// Returns whether strings of this claim compare with regard to case.
    #[must_use]
    pub const fn is_case_sensitive(&self) -> bool {
        self.flags.contains(ClaimFlags::VALUE_CASE_SENSITIVE)
    }

    /// Returns whether no value occurs twice. A claim of which this does not hold counts as missing.
    #[must_use]
    pub fn has_unique_values(&self) -> bool {
        if self.count == 1 {
            return true;
        }
        let order = |a: &Value<'_>, b: &Value<'_>| a.order(b, self.is_case_sensitive()).unwrap_or(Ordering::Less);
        let mut values: Vec<Value<'a>> = self.values().collect();
        values.sort_unstable_by(order);
        values.windows(2).all(|pair| match pair {
            [a, b] => order(a, b) != Ordering::Equal,
            _ => true,
        })
    }
}

/// The values of a claim, in order.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    claim: ClaimRef<'a>,
    next: usize,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.next >= self.claim.count {
            return None;
        }
        // Every value was read when the claim was parsed, so this cannot fail.
        let value = self.claim.value(self.next).ok();
        self.next = self.next.saturating_add(1);
        value
    }
}

/// Where the offset of a value stands.
const fn slot_of(index: usize) -> usize {
    OFFSETS_AT.saturating_add(index.saturating_mul(4))
}

fn offset(reader: &mut Reader<'_>, item: &'static str) -> Result<usize, ParseError> {
    let at = reader.at();
    usize::try_from(reader.u32(item)?).map_err(|_| ParseError::at(Malformed::Claim, at, item))
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ParseError> {
    let len = offset(reader, "claim value length")?;
    reader.take(len, "claim value")
}

/// A claim that owns its bytes. Copies share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    bytes: Arc<[u8]>,
}

/// A claim cannot be made of these parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// The name is empty or has a NUL in it.
    Name,
    /// There is no value.
    NoValue,
    /// A value is not of the claim's type.
    OtherType {
        /// Which, from 0.
        index: usize,
    },
    /// A number does not fit in the 64 bits of its type.
    Number {
        /// Which value, from 0.
        index: usize,
    },
    /// A text has a NUL in it.
    NulInText {
        /// Which value, from 0.
        index: usize,
    },
    /// An offset or a length needs more than 32 bits.
    TooLong,
}

impl core::fmt::Display for ClaimError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Name => f.pad("the name of a claim is empty or has a NUL in it"),
            Self::NoValue => f.pad("a claim has at least one value"),
            Self::OtherType { index } => write!(f, "value {index} is not of the claim's type"),
            Self::Number { index } => write!(f, "value {index} does not fit in 64 bits"),
            Self::NulInText { index } => write!(f, "value {index} has a NUL in it"),
            Self::TooLong => f.pad("claim exceeds 4 GiB"),
        }
    }
}
impl core::error::Error for ClaimError {}

impl Claim {
    /// Makes a claim, packed as Windows packs it: offsets, name, values, no alignment between them.
    ///
    /// # Errors
    /// - [`ClaimError`] when the name is empty, there is no value, a value is not of type `kind`, a number does not fit in
    ///   64 bits, or a name or text contains a NUL.
    pub fn new(name: Utf16<'_>, kind: ClaimType, flags: ClaimFlags, values: &[Value<'_>]) -> Result<Self, ClaimError> {
        if name.is_empty() || name.units().any(|unit| unit == 0) {
            return Err(ClaimError::Name);
        }
        if values.is_empty() {
            return Err(ClaimError::NoValue);
        }
        let mut offsets: Vec<u8> = Vec::new();
        let mut tail: Vec<u8> = Vec::new();
        let base = OFFSETS_AT.saturating_add(values.len().saturating_mul(4));
        let place = |len: usize| u32::try_from(base.saturating_add(len)).map_err(|_| ClaimError::TooLong);
        let name_at = place(0)?;
        tail.extend_from_slice(name.as_bytes());
        tail.extend_from_slice(&[0, 0]);
        for (index, value) in values.iter().enumerate() {
            offsets.extend_from_slice(&place(tail.len())?.to_le_bytes());
            encode::value(&mut tail, kind, value, index)?;
        }
        let count = u32::try_from(values.len()).map_err(|_| ClaimError::TooLong)?;
        let mut bytes: Vec<u8> = Vec::with_capacity(base.saturating_add(tail.len()));
        bytes.extend_from_slice(&name_at.to_le_bytes());
        bytes.extend_from_slice(&kind.number().to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&flags.bits().to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&offsets);
        bytes.extend_from_slice(&tail);
        Ok(Self { bytes: bytes.into() })
    }

    /// Copies and validates a claim. Bytes that belong to no value are carried.
    ///
    /// # Errors
    /// - [`ParseError`] as for [`ClaimRef::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        ClaimRef::parse(bytes).map(|claim| Self { bytes: claim.bytes.into() })
    }

    /// Returns the encoded claim.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the type of the values.
    #[must_use]
    pub fn kind(&self) -> ClaimType {
        // It was validated when it was made, so this cannot fail.
        ClaimRef::parse(&self.bytes).map_or(ClaimType::Octets, |claim| claim.kind)
    }
}

/// The claims of one class that a token holds. Copies share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    list: Arc<[Claim]>,
}

impl Claims {
    /// Makes a list.
    #[must_use]
    pub fn new(claims: Vec<Claim>) -> Self {
        Self { list: claims.into() }
    }

    /// Returns the first claim with this name, compared without regard to case.
    #[must_use]
    pub fn find(&self, name: Utf16<'_>) -> Option<ClaimRef<'_>> {
        let mut claims = self.iter();
        claims.find(|claim| claim.name().eq_ignore_case(name))
    }

    /// Returns the claims in order.
    pub fn iter(&self) -> impl Iterator<Item = ClaimRef<'_>> {
        self.list.iter().filter_map(|claim| ClaimRef::parse(&claim.bytes).ok())
    }

    /// Returns the bytes a copy needs.
    #[must_use]
    pub fn size_of_copy(&self) -> usize {
        let sizes = self.list.iter().map(|claim| claim.bytes.len().saturating_add(size_of::<Box<[u8]>>()));
        sizes.fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests;
