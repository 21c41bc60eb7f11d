//! UTF-16 text as it stands in bytes: little-endian, perhaps unaligned, perhaps not well-formed.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// UTF-16LE text inside bytes that belong to somebody else. Unpaired surrogates are allowed and carried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Utf16<'a> {
    bytes: &'a [u8],
}

impl<'a> Utf16<'a> {
    /// Takes bytes as text; `None` when there is half a unit.
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len().is_multiple_of(2) { Some(Self { bytes }) } else { None }
    }

    /// Takes the text up to the first NUL; `None` when there is none.
    #[must_use]
    pub fn until_nul(bytes: &'a [u8]) -> Option<Self> {
        let (units, _) = bytes.as_chunks::<2>();
        let len = units.iter().position(|unit| *unit == [0, 0])?;
        bytes.get(..len.saturating_mul(2)).map(|bytes| Self { bytes })
    }

    /// Returns the encoded text.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the units in order.
    pub fn units(self) -> impl ExactSizeIterator<Item = u16> + Clone + 'a {
        let (units, _) = self.bytes.as_chunks::<2>();
        units.iter().map(|unit| u16::from_le_bytes(*unit))
    }

    /// Returns whether there is no text.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Compares upper-cased units in order.
    #[must_use]
    pub fn cmp_ignore_case(self, other: Utf16<'_>) -> Ordering {
        self.units().map(upper).cmp(other.units().map(upper))
    }

    /// Compares lower-cased units in order.
    pub(crate) fn cmp_lower_case(self, other: Utf16<'_>) -> Ordering {
        self.units().map(lower).cmp(other.units().map(lower))
    }

    /// Compares units in order.
    #[must_use]
    pub fn cmp_exact(self, other: Utf16<'_>) -> Ordering {
        self.units().cmp(other.units())
    }

    /// Returns whether both texts are equal without regard to case.
    #[must_use]
    pub fn eq_ignore_case(self, other: Utf16<'_>) -> bool {
        self.cmp_ignore_case(other) == Ordering::Equal
    }
}

/// Encodes text.
#[must_use]
pub fn encode(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Upper-cases one unit, as NT does: one unit for one unit, and only where lower-casing leads back. Letters whose
/// upper-case form is another letter's too (dotless i, long s, the micro sign) stay as they are.
pub(crate) fn upper(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut forms = letter.to_uppercase();
    let (Some(form), None) = (forms.next(), forms.next()) else { return unit };
    let mut back = form.to_lowercase();
    if form != letter && (back.next(), back.next()) != (Some(letter), None) {
        return unit;
    }
    u16::try_from(u32::from(form)).unwrap_or(unit)
}

/// Lower-cases what [`upper`] upper-cases.
fn lower(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(upper(unit))) else { return unit };
    let mut forms = letter.to_lowercase();
    match (forms.next(), forms.next()) {
        (Some(form), None) => u16::try_from(u32::from(form)).unwrap_or(unit),
        _ => unit,
    }
}

impl fmt::Display for Utf16<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decoded = char::decode_utf16(self.units());
        decoded.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}
impl fmt::Debug for Utf16<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        Utf16::from_bytes(&encode(a)).unwrap().eq_ignore_case(Utf16::from_bytes(&encode(b)).unwrap())
    }

    #[test]
    fn case_folds_one_unit_at_a_time_and_both_ways() {
        assert!(equal("straße", "STRAßE") && equal("Ünï", "üNÏ") && equal("", ""));
        for (a, b) in [("ı", "I"), ("ſ", "S"), ("µ", "Μ"), ("ß", "SS"), ("a", "ab"), ("a", "")] {
            assert!(!equal(a, b), "{a} {b}");
        }
    }

    #[test]
    fn half_a_unit_is_not_text() {
        assert!(Utf16::from_bytes(&[0x61]).is_none());
        assert!(Utf16::until_nul(&[0x61, 0, 0]).is_none());
        assert_eq!(Utf16::until_nul(&[0x61, 0, 0, 0, 9]).unwrap().as_bytes(), [0x61, 0]);
    }
}
