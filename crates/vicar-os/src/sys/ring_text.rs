//! Names as the kernel reads them: short ones are kept in place, so that a submission allocates nothing for them.

use core::ffi::{CStr, c_char};
use core::fmt;
use std::ffi::CString;

/// Bytes that are kept in place, the NUL at their end among them.
const ROOM: usize = 23;

/// A string that ends with a NUL and holds no other.
#[derive(Clone)]
pub(crate) struct Text(Form);

#[derive(Clone)]
enum Form {
    /// The rest is zero.
    Short([u8; ROOM]),
    Long(CString),
}

impl Text {
    /// Takes bytes over; those that hold a NUL, which no name does, become the empty string, which is no name either.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut short = [0; ROOM];
        // One byte less, so that a zero follows.
        let room = short.split_last_mut().and_then(|(_, room)| room.get_mut(..bytes.len()));
        match room {
            Some(room) if !bytes.contains(&0) => {
                room.copy_from_slice(bytes);
                Self(Form::Short(short))
            }
            Some(_) | None => Self::from(CString::new(bytes).unwrap_or_default()),
        }
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        match &self.0 {
            Form::Short(bytes) => CStr::from_bytes_until_nul(bytes).unwrap_or_default(),
            Form::Long(text) => text,
        }
    }

    /// Where it is now: a short one moves when this value does.
    pub(crate) fn as_ptr(&self) -> *const c_char {
        match &self.0 {
            Form::Short(bytes) => bytes.as_ptr().cast(),
            Form::Long(text) => text.as_ptr(),
        }
    }
}

impl From<CString> for Text {
    fn from(text: CString) -> Self {
        Self(Form::Long(text))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Form::Short([0; ROOM]))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_c_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back() {
        for len in 0..=ROOM + 2 {
            let bytes: Vec<u8> = (0..len).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect();
            let text = Text::of(&bytes);
            assert_eq!(text.as_c_str().to_bytes(), bytes);
            assert_eq!(text.as_ptr(), text.as_c_str().as_ptr());
            assert_eq!(matches!(text.0, Form::Short(_)), len < ROOM, "{len}");
        }
    }

    #[test]
    fn a_nul_inside_makes_it_no_name() {
        for bytes in [&b"a\0b"[..], &b"\0"[..], &[b'a'; ROOM][..ROOM - 1], &[0; 64][..]] {
            let expected = if bytes.contains(&0) { &b""[..] } else { bytes };
            assert_eq!(Text::of(bytes).as_c_str().to_bytes(), expected);
        }
        assert_eq!(Text::default().as_c_str(), c"");
    }
}
