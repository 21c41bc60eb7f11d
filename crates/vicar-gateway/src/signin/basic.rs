//! The Authorization header of HTTP Basic.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use core::fmt;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest user name in bytes.
pub const MAX_USER: usize = 255;
/// Longest password in bytes.
pub const MAX_PASSWORD: usize = 1_024;
/// Longest encoded header value in bytes: both at their longest, a colon, and the scheme.
const MAX_VALUE: usize = 1_800;

/// A user name and a password that somebody presented; nothing is known about them yet. The password is wiped with the
/// last copy.
#[derive(Clone)]
pub struct Credentials {
    user: Arc<str>,
    password: Arc<Zeroizing<String>>,
}

impl Credentials {
    /// Checks lengths and characters.
    ///
    /// # Errors
    /// - [`Malformed`] naming the rule.
    ///
    /// # Source
    /// RFC 7617 2: a colon ends the user name, neither part has control characters.
    pub fn new(user: &str, password: &str) -> Result<Self, Malformed> {
        if user.is_empty() || user.contains(':') {
            return Err(Malformed::UserName);
        }
        if user.len() > MAX_USER || password.len() > MAX_PASSWORD {
            return Err(Malformed::TooLong);
        }
        if user.chars().chain(password.chars()).any(char::is_control) {
            return Err(Malformed::ControlCharacter);
        }
        Ok(Self { user: user.into(), password: Arc::new(Zeroizing::new(password.to_owned())) })
    }

    /// The user name: 1 to 255 bytes, no colon, no control character.
    #[must_use]
    pub fn user(&self) -> &Arc<str> {
        &self.user
    }

    /// The password: at most 1,024 bytes, no control character; may be empty and may have colons.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why an Authorization header is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// There are several.
    Several,
    /// It is not the Basic scheme.
    Scheme,
    /// It is not base64.
    Base64,
    /// What it encodes is not UTF-8.
    Utf8,
    /// There is no colon.
    NoColon,
    /// The user name is empty.
    UserName,
    /// The user name, the password or the header is too long.
    TooLong,
    /// There is a control character.
    ControlCharacter,
}

impl Malformed {
    /// One word for the audit log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Several => "several-authorizations",
            Self::Scheme => "unknown-scheme",
            Self::Base64 | Self::Utf8 | Self::NoColon | Self::UserName | Self::TooLong | Self::ControlCharacter => {
                "malformed-authorization"
            }
        }
    }
}

/// Reads the credentials of a request; `None` when it presents nothing.
///
/// # Errors
/// - [`Malformed`] when something was presented that is not Basic credentials.
pub fn presented(headers: &HeaderMap) -> Result<Option<Credentials>, Malformed> {
    // Clients differ in whether they pad.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => return Err(Malformed::Several),
    };
    if value.len() > MAX_VALUE {
        return Err(Malformed::TooLong);
    }
    let (scheme, encoded) = value.split_at_checked(6).ok_or(Malformed::Scheme)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return Err(Malformed::Scheme);
    }
    let decoded = Zeroizing::new(LENIENT.decode(encoded.trim_ascii()).map_err(|_| Malformed::Base64)?);
    let text = core::str::from_utf8(&decoded).map_err(|_| Malformed::Utf8)?;
    let (user, password) = text.split_once(':').ok_or(Malformed::NoColon)?;
    Credentials::new(user, password).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;
    use http::HeaderValue;

    fn read(value: &str) -> Result<Option<(String, String)>, Malformed> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        Ok(presented(&headers)?.map(|found| (found.user().to_string(), found.password().to_owned())))
    }

    fn basic(raw: impl AsRef<[u8]>) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(raw))
    }

    #[test]
    fn the_first_colon_ends_the_name_and_utf_8_is_kept() {
        let pair = |user: &str, password: &str| Ok(Some((user.to_owned(), password.to_owned())));
        assert_eq!(read(&basic("alice:a:b:")), pair("alice", "a:b:"));
        assert_eq!(read(&basic("alice:")), pair("alice", ""));
        assert_eq!(read(&basic("zoë:pässwörd €")), pair("zoë", "pässwörd €"));
        assert_eq!(read("bAsIc YTpi"), pair("a", "b"));
        assert_eq!(read("Basic YTpiYw"), pair("a", "bc"));
        assert_eq!(presented(&HeaderMap::new()).map(|found| found.is_none()), Ok(true));
    }

    #[test]
    fn what_is_not_basic_is_refused_with_the_rule() {
        for (value, expected) in [
            ("Bearer xyz", Malformed::Scheme),
            ("Basic", Malformed::Scheme),
            ("Basic !!!!", Malformed::Base64),
            (&basic([b'a', b':', 0xff]), Malformed::Utf8),
            (&basic("alice"), Malformed::NoColon),
            (&basic(":x"), Malformed::UserName),
            (&basic("a\nb:x"), Malformed::ControlCharacter),
            (&basic("ab:x\0"), Malformed::ControlCharacter),
            (&basic(format!("{}:x", "a".repeat(MAX_USER + 1))), Malformed::TooLong),
            (&basic(format!("a:{}", "x".repeat(MAX_PASSWORD + 1))), Malformed::TooLong),
            (&basic("x".repeat(100_000)), Malformed::TooLong),
        ] {
            assert_eq!(read(value), Err(expected), "{value:.40}");
        }
        assert!(read(&basic(format!("{}:{}", "a".repeat(MAX_USER), "x".repeat(MAX_PASSWORD)))).is_ok());
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert_eq!(presented(&headers).map(drop), Err(Malformed::Several));
    }

    #[test]
    fn the_password_is_wiped_with_its_last_copy() {
        const fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        wiped(&*Credentials::new("alice", "s3cret").unwrap().password);
    }

    #[test]
    fn debug_output_never_has_the_password() {
        let text = format!("{:?}", Credentials::new("alice", "s3cret").unwrap());
        assert!(text.contains("alice") && !text.contains("s3cret"));
    }
}
