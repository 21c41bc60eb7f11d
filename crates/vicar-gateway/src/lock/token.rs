//! Tokens of locks.

use core::fmt;

/// The token of a lock: 122 random bits, which whoever is not shown it cannot know.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Box<str>);

impl Token {
    /// Makes one that was never made before.
    ///
    /// # Errors
    /// - [`getrandom::Error`] when the kernel has no random bytes.
    ///
    /// # Source
    /// RFC 4918 6.5 (`opaquelocktoken`), RFC 9562 5.4 (UUID version 4).
    pub fn random() -> Result<Self, getrandom::Error> {
        use fmt::Write as _;
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes)?;
        if let Some(version) = bytes.get_mut(6) {
            *version = (*version & 0x0f) | 0x40;
        }
        if let Some(variant) = bytes.get_mut(8) {
            *variant = (*variant & 0x3f) | 0x80;
        }
        let mut text = String::from("opaquelocktoken:");
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text.into()))
    }

    /// Returns it as a URL.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    /// Prints nothing of it: a token in a log is a token given away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_uuids_and_different() {
        let (one, two) = (Token::random().unwrap(), Token::random().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), "opaquelocktoken:".len() + 36);
        assert_eq!(one.as_str().as_bytes()["opaquelocktoken:".len() + 14], b'4');
        assert!(!format!("{one:?}").contains(one.as_str()));
    }
}
