//! Paths in URLs: raw bytes in, percent-encoded text out, and back.

use vicar_os::fs::{BeneathPath, NameError};

/// Where a URL points beneath the share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path, every byte as it was encoded.
    pub path: BeneathPath,
    /// Whether the URL ends with a slash, and so means a directory.
    pub slash: bool,
}

/// Why the path of a URL is not one beneath the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HrefError {
    /// It does not begin with a slash.
    Relative,
    /// A percent sign without two hexadecimal digits.
    Escape {
        /// Where it is.
        at_byte: usize,
    },
    /// What it decodes to is not a path, `%2F` inside a name included.
    Name(NameError),
}

impl core::fmt::Display for HrefError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Relative => f.write_str("path without a leading slash"),
            Self::Escape { at_byte } => write!(f, "incomplete percent escape at byte {at_byte}"),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for HrefError {}

/// Reads the path of a URL. Doubled slashes count once, `.` and `..` are refused: whoever sends them meant them.
///
/// # Errors
/// - [`HrefError`] naming what is wrong.
pub fn parse(path: &str) -> Result<Target, HrefError> {
    let rest = path.strip_prefix('/').ok_or(HrefError::Relative)?;
    let mut bytes = Vec::with_capacity(rest.len());
    let mut at_byte = 1_usize;
    for part in rest.split('/') {
        if !part.is_empty() {
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            let decoded = decode(part, at_byte)?;
            if let Some(inside) = decoded.iter().position(|&byte| byte == b'/') {
                return Err(HrefError::Name(NameError::Slash { at_byte: at_byte.saturating_add(inside) }));
            }
            bytes.extend_from_slice(&decoded);
        }
        at_byte = at_byte.saturating_add(part.len()).saturating_add(1);
    }
    let path =
        if bytes.is_empty() { BeneathPath::here() } else { BeneathPath::parse(&bytes).map_err(HrefError::Name)? };
    Ok(Target { path, slash: rest.is_empty() || rest.ends_with('/') })
}

fn decode(part: &str, at_byte: usize) -> Result<Vec<u8>, HrefError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes().iter().copied().enumerate();
    while let Some((index, byte)) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|(_, byte)| char::from(byte).to_digit(16));
        let value = match (digit(), digit()) {
            (Some(high), Some(low)) => u8::try_from(high.wrapping_mul(16) | low).ok(),
            (_, _) => None,
        };
        bytes.push(value.ok_or(HrefError::Escape { at_byte: at_byte.saturating_add(index) })?);
    }
    Ok(bytes)
}

/// Writes path bytes as the path of a URL; slashes stay, everything that is not plainly safe is percent-encoded.
pub fn encode_into(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'/' | b'!' | b'$' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b'@'
            )
        {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0')));
            }
        }
    }
}

/// Returns the absolute path of a URL for something beneath the share.
#[must_use]
pub fn of(path: &BeneathPath, directory: bool) -> String {
    let mut out = String::with_capacity(path.as_bytes().len().saturating_add(2));
    out.push('/');
    encode_into(path.as_bytes(), &mut out);
    if directory && !path.is_here() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_survives() {
        let name: Vec<u8> = (1..=255_u8).filter(|&byte| byte != b'/').collect();
        let path = BeneathPath::parse(&name).unwrap();
        assert_eq!(parse(&of(&path, false)).unwrap(), Target { path: path.clone(), slash: false });
        assert_eq!(parse(&of(&path, true)).unwrap(), Target { path, slash: true });
    }

    #[test]
    fn nothing_leads_out() {
        for bad in ["", "a", "/..", "/%2e%2E/x", "/a/../b", "/./a", "/a%2fb", "/a%00", "/%", "/%4", "/%zz", "/a/%2e"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("/").unwrap(), Target { path: BeneathPath::here(), slash: true });
        assert_eq!(parse("//a///b//").unwrap().path.as_bytes(), b"a/b");
        assert_eq!(parse("/a%25b+c").unwrap().path.as_bytes(), b"a%b+c");
    }

    proptest! {
        #[test]
        fn decoding_is_total(text in "/[a%0-9A-F/.]{0,30}") {
            if let Ok(target) = parse(&text) {
                prop_assert_eq!(parse(&of(&target.path, target.slash)).unwrap(), target);
            }
        }
    }
}
