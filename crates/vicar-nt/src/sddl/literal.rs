//! Text, bytes and numbers, as conditions and resource attributes write them.

use alloc::vec::Vec;

use crate::sddl::cursor::Cursor;
use crate::sddl::error::{Problem, SddlError};

/// Adds a text as UTF-16.
pub(super) fn extend_utf16(out: &mut Vec<u8>, text: &str) {
    match text.is_ascii() {
        true => out.extend(text.bytes().flat_map(|byte| [byte, 0])),
        false => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
    }
}

/// Reads text between quotation marks; there is no way to write one inside.
pub(super) fn quoted<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, SddlError> {
    cursor.expect("\"", Problem::Literal)?;
    let text = cursor.take_while(|c| c != '"' && c != '\0');
    if cursor.eat("\"") { Ok(text) } else { Err(cursor.error(Problem::Literal)) }
}

/// Reads hexadecimal digits in pairs. `#` is a digit 0, and an odd count starts with one.
pub(super) fn octets(digits: &str) -> Vec<u8> {
    let value = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let padding = (!digits.len().is_multiple_of(2)).then_some(0);
    let nibbles: Vec<u8> = padding.into_iter().chain(digits.chars().map(value)).collect();
    let (pairs, _) = nibbles.as_chunks::<2>();
    pairs.iter().map(|[high, low]| high.wrapping_shl(4) | low).collect()
}

/// Reads the digits of a number with optional sign, from -2^63 to 2^64-1: value, sign code, base code.
pub(super) fn integer_parts(cursor: &mut Cursor<'_>) -> Result<(i128, u8, u8), SddlError> {
    let at = cursor.at();
    let sign: u8 = match cursor.peek() {
        Some('+') => 1,
        Some('-') => 2,
        _ => 3,
    };
    if sign != 3 {
        cursor.next();
    }
    let (base, code): (u32, u8) = if cursor.eat_ignore_case("0x") {
        (16, 3)
    } else if cursor.peek() == Some('0') {
        (8, 1)
    } else {
        (10, 2)
    };
    let digits = cursor.take_while(|c| c.is_digit(base));
    if digits.is_empty() || cursor.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
        return Err(SddlError::new(at, Problem::Number));
    }
    let add = |value: i128, c: char| {
        value.saturating_mul(i128::from(base)).saturating_add(i128::from(c.to_digit(base).unwrap_or(0)))
    };
    let magnitude = digits.chars().fold(0, add);
    Ok((if sign == 2 { magnitude.saturating_neg() } else { magnitude }, sign, code))
}

/// Reads a number and encodes it: eight bytes, how it was signed, in which base.
pub(super) fn integer(cursor: &mut Cursor<'_>) -> Result<[u8; 10], SddlError> {
    let at = cursor.at();
    let (value, sign, base) = integer_parts(cursor)?;
    let bytes = match (i64::try_from(value), u64::try_from(value)) {
        (Ok(signed), _) => signed.to_le_bytes(),
        (Err(_), Ok(unsigned)) => unsigned.to_le_bytes(),
        (Err(_), Err(_)) => return Err(SddlError::new(at, Problem::Number)),
    };
    let [a, b, c, d, e, f, g, h] = bytes;
    Ok([a, b, c, d, e, f, g, h, sign, base])
}
