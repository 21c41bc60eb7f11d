//! Names that stay beneath a directory: parsed once, then the type is the proof.

use core::fmt;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Why bytes are not a name or a path beneath a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all where a name is needed.
    Empty,
    /// A NUL byte, which ends a name for the kernel.
    Nul {
        /// Where it is.
        at_byte: usize,
    },
    /// `.` or `..`, which are not names of things.
    Dots {
        /// Where it begins.
        at_byte: usize,
    },
    /// A slash inside a single name.
    Slash {
        /// Where it is.
        at_byte: usize,
    },
    /// A component longer than [`Name::MAX_LEN`].
    LongComponent {
        /// Where it begins.
        at_byte: usize,
    },
    /// A path longer than [`BeneathPath::MAX_LEN`].
    LongPath,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty name"),
            Self::Nul { at_byte } => write!(f, "NUL in a name at byte {at_byte}"),
            Self::Dots { at_byte } => write!(f, "dots instead of a name at byte {at_byte}"),
            Self::Slash { at_byte } => write!(f, "slash in a name at byte {at_byte}"),
            Self::LongComponent { at_byte } => {
                write!(f, "name longer than {} bytes at byte {at_byte}", Name::MAX_LEN)
            }
            Self::LongPath => write!(f, "path longer than {} bytes", BeneathPath::MAX_LEN),
        }
    }
}

impl core::error::Error for NameError {}

/// One name in a directory: 1 to 255 bytes, any byte but NUL and slash, neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Longest name in bytes (NAME_MAX).
    pub const MAX_LEN: usize = 255;

    /// Reads a name.
    ///
    /// # Errors
    /// - [`NameError`] naming the byte where it stops being a name.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        check_component(bytes, 0)?;
        Ok(Self(bytes.into()))
    }

    /// Returns the bytes as the file system has them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_os(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A path beneath a directory: names joined by single slashes, or the directory itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BeneathPath(Box<[u8]>);

impl BeneathPath {
    /// Longest path in bytes (PATH_MAX without its NUL).
    pub const MAX_LEN: usize = 4095;

    /// The directory itself.
    #[must_use]
    pub fn here() -> Self {
        Self(Box::default())
    }

    /// Reads a path of one or more names; there is no leading, trailing or doubled slash.
    ///
    /// # Errors
    /// - [`NameError`] naming the byte where it stops being such a path.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(NameError::LongPath);
        }
        let mut at_byte = 0_usize;
        for component in bytes.split(|&byte| byte == b'/') {
            check_component(component, at_byte)?;
            at_byte = at_byte.saturating_add(component.len()).saturating_add(1);
        }
        Ok(Self(bytes.into()))
    }

    /// Whether this is the directory itself.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes; empty for the directory itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the names from the outermost to the innermost.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
    }

    /// Returns the path of the directory that holds this, and the last name; `None` for the directory itself.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, Name)> {
        if self.is_here() {
            return None;
        }
        match self.0.iter().rposition(|&byte| byte == b'/') {
            None => Some((Self::here(), Name(self.0.clone()))),
            Some(slash) => {
                let (parent, rest) = self.0.split_at_checked(slash)?;
                Some((Self(parent.into()), Name(rest.get(1..)?.into())))
            }
        }
    }

    /// Returns the path of `name` inside this.
    ///
    /// # Errors
    /// - [`NameError::LongPath`] when the result is too long.
    pub fn join(&self, name: &Name) -> Result<Self, NameError> {
        let mut bytes = Vec::with_capacity(self.0.len().saturating_add(name.0.len()).saturating_add(1));
        bytes.extend_from_slice(&self.0);
        if !self.is_here() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(&name.0);
        if bytes.len() > Self::MAX_LEN {
            return Err(NameError::LongPath);
        }
        Ok(Self(bytes.into()))
    }

    /// Whether `other` is this path or lies beneath it, by name.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        if self.is_here() {
            return true;
        }
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => rest.first().is_none_or(|&byte| byte == b'/'),
            None => false,
        }
    }

    pub(crate) fn as_os(&self) -> &OsStr {
        if self.is_here() { OsStr::new(".") } else { OsStr::from_bytes(&self.0) }
    }
}

impl fmt::Debug for BeneathPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

fn check_component(bytes: &[u8], at_byte: usize) -> Result<(), NameError> {
    if bytes.is_empty() {
        return Err(NameError::Empty);
    }
    if bytes == b"." || bytes == b".." {
        return Err(NameError::Dots { at_byte });
    }
    if let Some(inside) = bytes.iter().position(|&byte| byte == 0) {
        return Err(NameError::Nul { at_byte: at_byte.saturating_add(inside) });
    }
    if let Some(inside) = bytes.iter().position(|&byte| byte == b'/') {
        return Err(NameError::Slash { at_byte: at_byte.saturating_add(inside) });
    }
    if bytes.len() > Name::MAX_LEN {
        return Err(NameError::LongComponent { at_byte });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_names_that_stay_beneath_are_paths() {
        for bad in [&b""[..], b".", b"..", b"/", b"/a", b"a/", b"a//b", b"a/./b", b"a/../b", b"../a", b"a\0b"] {
            assert!(BeneathPath::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
        for good in [&b"a"[..], b"a/b", b"...", b".a", b"a..", b"\xff\xfe", b"a b", b"a\nb", b"-", b"\\"] {
            assert_eq!(BeneathPath::parse(good).unwrap().as_bytes(), good);
        }
        assert_eq!(BeneathPath::parse(b"ab/c\0"), Err(NameError::Nul { at_byte: 4 }));
        assert_eq!(BeneathPath::parse(b"ab/.."), Err(NameError::Dots { at_byte: 3 }));
    }

    #[test]
    fn lengths_end_where_the_kernel_ends_them() {
        assert!(Name::parse(&[b'a'; 255]).is_ok());
        assert_eq!(Name::parse(&[b'a'; 256]), Err(NameError::LongComponent { at_byte: 0 }));
        let long: Vec<u8> = [b'a', b'/'].iter().copied().cycle().take(4095).collect();
        assert!(BeneathPath::parse(&long).is_ok());
        let longer: Vec<u8> = [b'a', b'/'].iter().copied().cycle().take(4097).collect();
        assert_eq!(BeneathPath::parse(&longer), Err(NameError::LongPath));
    }

    #[test]
    fn a_name_that_begins_alike_is_not_inside() {
        let path = |bytes: &[u8]| BeneathPath::parse(bytes).unwrap();
        assert!(path(b"a").contains(&path(b"a")));
        assert!(path(b"a").contains(&path(b"a/b")));
        assert!(!path(b"a").contains(&path(b"ab")));
        assert!(!path(b"a/b").contains(&path(b"a")));
        assert!(BeneathPath::here().contains(&path(b"a")));
    }

    proptest! {
        #[test]
        fn splitting_and_joining_are_inverse(parts in proptest::collection::vec("[^/\0]{1,20}", 1..6)) {
            let joined = parts.join("/");
            if let Ok(path) = BeneathPath::parse(joined.as_bytes()) {
                let (parent, name) = path.split_last().unwrap();
                prop_assert_eq!(parent.join(&name).unwrap(), path.clone());
                prop_assert!(parent.contains(&path));
                prop_assert_eq!(path.components().count(), parts.len());
            }
        }
    }
}
