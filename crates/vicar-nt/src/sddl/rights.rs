//! Masks in text.
//!
//! # Source
//! MS-DTYP 2.5.1.1; the number forms were observed.

use alloc::string::String;

use crate::reading::Readings;
use crate::sddl::cursor::{Cursor, is_white};
use crate::sddl::error::{Problem, SddlError};
use crate::sddl::hex;
use crate::sddl::pair::Pairs;

/// Which names a mask may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    General,
    /// In a mandatory label: what it forbids.
    Label,
}

type Table = &'static [(&'static str, u32)];

/// One bit each, in the order in which they are written.
static LETTERS: Table = &[
    ("CC", 0x1),
    ("DC", 0x2),
    ("LC", 0x4),
    ("SW", 0x8),
    ("RP", 0x10),
    ("WP", 0x20),
    ("DT", 0x40),
    ("LO", 0x80),
    ("CR", 0x100),
    ("SD", 0x1_0000),
    ("RC", 0x2_0000),
    ("WD", 0x4_0000),
    ("WO", 0x8_0000),
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
];

/// Whole masks; the first of two equal ones is written.
static WHOLE: Table = &[
    ("FA", 0x1F_01FF),
    ("FR", 0x12_0089),
    ("FW", 0x12_0116),
    ("FX", 0x12_00A0),
    ("KA", 0xF_003F),
    ("KR", 0x2_0019),
    ("KW", KEY_WRITE),
    ("KX", 0x2_0019),
];

const KEY_WRITE: u32 = 0x2_0006;

static LABEL: Table = &[("NW", 1), ("NR", 2), ("NX", 4)];

static PLACES_OF_LETTERS: Pairs = Pairs::of(LETTERS);
static PLACES_OF_WHOLE: Pairs = Pairs::of(WHOLE);
static PLACES_OF_LABEL: Pairs = Pairs::of(LABEL);

/// Reads a mask from a field that starts at byte `at` of the text.
pub(super) fn parse(field: &str, at: usize, names: Names) -> Result<u32, SddlError> {
    let wrong = |offset: usize| SddlError::new(at.saturating_add(offset), Problem::Rights);
    let trimmed = field.trim_start_matches(is_white);
    let skipped = field.len().saturating_sub(trimmed.len());
    if trimmed.starts_with(['+', '-']) || trimmed.starts_with(|c: char| c.is_ascii_digit()) {
        return number(trimmed).ok_or(wrong(skipped));
    }
    let mut cursor = Cursor::new(trimmed);
    let mut mask = 0;
    while !cursor.is_done() {
        let offset = skipped.saturating_add(cursor.at());
        mask |= right(cursor.rest(), names).ok_or(wrong(offset))?;
        cursor.skip(2);
        let blanks = cursor.take_bytes_while(|byte| byte == b' ');
        if cursor.is_done() && !blanks.is_empty() {
            return Err(wrong(field.len().saturating_sub(blanks.len())));
        }
    }
    Ok(mask)
}

/// What the two letters mean that a text starts with.
fn right(text: &str, names: Names) -> Option<u32> {
    let [first, second, ..] = *text.as_bytes() else { return None };
    let find = |table: Table, places: &Pairs| table.get(places.find(first, second)?).map(|(_, bits)| *bits);
    let of_label = match names {
        Names::General => None,
        Names::Label => find(LABEL, &PLACES_OF_LABEL),
    };
    of_label.or_else(|| find(LETTERS, &PLACES_OF_LETTERS)).or_else(|| find(WHOLE, &PLACES_OF_WHOLE))
}

/// Reads a number with optional sign. The magnitude saturates before the sign is applied.
fn number(text: &str) -> Option<u32> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, base) = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        (hex, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let add = |value: u32, c: char| value.saturating_mul(base).saturating_add(c.to_digit(base).unwrap_or(0));
    let magnitude = digits.chars().fold(0, add);
    Some(if is_negative { magnitude.wrapping_neg() } else { magnitude })
}

/// Writes a mask: as one name, as letters if every bit has some, else as a number. Zero is nothing.
pub(super) fn print(out: &mut String, mask: u32, names: Names, readings: Readings) {
    let (whole, letters): (Table, Table) = match names {
        Names::General => (WHOLE, LETTERS),
        Names::Label => (&[], LABEL),
    };
    let has_no_name = mask == KEY_WRITE && readings.contains(Readings::KEY_WRITE_IN_LETTERS);
    if let Some((name, _)) = whole.iter().find(|(_, bits)| *bits == mask && !has_no_name) {
        out.push_str(name);
        return;
    }
    if letters.iter().fold(mask, |left, (_, bit)| left & !bit) != 0 {
        hex(out, mask);
        return;
    }
    for (name, _) in letters.iter().filter(|(_, bit)| mask & bit != 0) {
        out.push_str(name);
    }
}
