//! Which texts can be the name of an account at all.

use core::fmt;

/// Longest account name accepted, in bytes (LOGIN_NAME_MAX without its terminator).
pub const MAX_NAME_LEN: usize = 255;

/// Why a text is not the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It is longer than [`MAX_NAME_LEN`].
    TooLong,
    /// It contains, at this byte, something that no account database can hold: a control character, white space, a
    /// colon, a comma or a slash.
    Character {
        /// Offset in bytes.
        at: usize,
    },
    /// It starts with a sign that other programs read as an option, a number or a database of its own.
    Sign,
    /// It reads as a number, and other programs would take it for a user id.
    Number,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("account name is empty"),
            Self::TooLong => write!(f, "account name is longer than {MAX_NAME_LEN} bytes"),
            Self::Character { at } => write!(f, "account name has a character that no account may have at byte {at}"),
            Self::Sign => f.write_str("account name starts with a sign"),
            Self::Number => f.write_str("account name reads as a number"),
        }
    }
}

impl core::error::Error for NameError {}

/// Checks that `name` can be the name of an account.
///
/// Says nothing about whether there is such an account. A number is refused because the programs around us would take
/// it for a user id, and a wrong guess there has made users root before (CVE-2017-1000082, CVE-2020-13776).
///
/// # Errors
/// - [`NameError`] naming the first rule that is broken.
///
/// # Examples
/// ```
/// use vicar_os::source::name::{NameError, check};
///
/// assert_eq!(check("alice"), Ok(()));
/// assert_eq!(check("0x0"), Err(NameError::Number));
/// ```
pub fn check(name: &str) -> Result<(), NameError> {
    let bytes = name.as_bytes();
    let Some(first) = bytes.first() else { return Err(NameError::Empty) };
    if bytes.len() > MAX_NAME_LEN {
        return Err(NameError::TooLong);
    }
    if matches!(first, b'-' | b'+' | b'#' | b'~') {
        return Err(NameError::Sign);
    }
    let refused = |(_, c): &(usize, char)| c.is_control() || c.is_whitespace() || matches!(c, ':' | ',' | '/');
    if let Some((at, _)) = name.char_indices().find(refused) {
        return Err(NameError::Character { at });
    }
    if reads_as_number(bytes) { Err(NameError::Number) } else { Ok(()) }
}

/// Whether some reader of numbers would take these bytes whole: decimal, with a point or an exponent, or with a radix.
fn reads_as_number(bytes: &[u8]) -> bool {
    match bytes {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        [b'0', b'o' | b'O' | b'b' | b'B', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        [b'0'..=b'9' | b'.', ..] => {
            bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'_' | b'-' | b'+' | b'e' | b'E'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_databases_hold_are_names() {
        for name in
            ["alice", "_apt", "www-data", "a", "2pac", "0day", "WORK\\alice", "alice@example.org", "machine$", "josé"]
        {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert_eq!(check(&"a".repeat(MAX_NAME_LEN)), Ok(()));
    }

    #[test]
    fn numbers_in_every_dress_are_refused() {
        for name in
            ["0", "00", "1000", "4294967295", "0x0", "0X1f", "0x", "0o17", "0b1", "1.5", "1e3", "1_000", ".5", "0-1"]
        {
            assert_eq!(check(name), Err(NameError::Number), "{name}");
        }
        for name in ["-1", "+0", "#0", "~root", "-", "+"] {
            assert_eq!(check(name), Err(NameError::Sign), "{name}");
        }
    }

    #[test]
    fn texts_that_databases_cannot_hold_are_refused() {
        assert_eq!(check(""), Err(NameError::Empty));
        assert_eq!(check(&"a".repeat(256)), Err(NameError::TooLong));
        for (name, at) in [
            ("a b", 1),
            ("a:b", 1),
            ("alice\n", 5),
            ("alice\0", 5),
            ("a/b", 1),
            ("é,a", 2),
            ("\u{a0}", 0),
            ("a\u{85}", 1),
        ] {
            assert_eq!(check(name), Err(NameError::Character { at }), "{name:?}");
        }
    }
}
