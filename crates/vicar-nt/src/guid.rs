//! GUIDs, which name object types.

use core::fmt;
use core::str::FromStr;

use crate::wire::{Malformed, ParseError};

/// A GUID in its encoded form: the first three parts little-endian, the rest as written.
///
/// # Source
/// MS-DTYP 2.3.4.2 (packet representation), 2.3.4.3 (curly braced string; here without braces).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, rest @ ..] = self.0;
        let a = u32::from_le_bytes([a0, a1, a2, a3]);
        let b = u16::from_le_bytes([b0, b1]);
        let c = u16::from_le_bytes([c0, c1]);
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d0:02x}{d1:02x}-")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = ParseError;

    /// Reads 36 characters, `f30e3bbf-9ff0-11d1-b603-0000f80367c1`, in either case, without braces.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        // The order in which the encoded bytes are written.
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let wrong = |at| ParseError::at(Malformed::Text, at, "GUID");
        let mut bytes = [0u8; 16];
        let mut digits = text.bytes().enumerate();
        let mut next = || -> Result<u8, ParseError> {
            let (mut at, mut byte) = digits.next().ok_or(wrong(text.len()))?;
            if DASHES.contains(&at) {
                if byte != b'-' {
                    return Err(wrong(at));
                }
                (at, byte) = digits.next().ok_or(wrong(text.len()))?;
            }
            let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digit.ok_or(wrong(at))
        };
        for slot in ORDER {
            let byte = next()?.wrapping_shl(4) | next()?;
            if let Some(to) = bytes.get_mut(slot) {
                *to = byte;
            }
        }
        match digits.next() {
            None => Ok(Self(bytes)),
            Some((at, _)) => Err(wrong(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_and_bytes_agree() {
        let text = "f30e3bbf-9ff0-11d1-b603-0000f80367c1";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(guid.0[..6], [0xbf, 0x3b, 0x0e, 0xf3, 0xf0, 0x9f]);
        assert_eq!(guid.to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Guid>().unwrap(), guid);
    }

    #[test]
    fn anything_but_36_characters_is_refused() {
        let text = "f30e3bbf-9ff0-11d1-b603-0000f80367c1";
        for (bad, at) in [
            ("{f30e3bbf-9ff0-11d1-b603-0000f80367c1}", 0),
            ("f30e3bbf9ff0-11d1-b603-0000f80367c1", 8),
            (&text[..35], 35),
            ("f30e3bbf-9ff0-11d1-b603-0000f80367c1 ", 36),
            ("f30e3bbf-9ff0-11d1-b603-0000f80367cé", 35),
        ] {
            assert_eq!(bad.parse::<Guid>().unwrap_err().at_byte(), at, "{bad}");
        }
    }
}
